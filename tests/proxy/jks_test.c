/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JKS files that the test writes itself, after the layout in jks.h; that keytool's own files open is shown by
 * tests/tls. Mostly files that are not what they should be.
 */
#include "proxy/jks.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "tests/test.h"

static const char password[] = "changeit", other[] = "s\xc3\xa4sam \xf0\x9f\x94\x91";

struct out {
	uint8_t b[4096];
	size_t len;
};

static void put(struct out *o, const void *p, size_t n)
{
	INVARIANT(n <= sizeof(o->b) - o->len);
	memcpy(o->b + o->len, p, n);
	o->len += n;
}

static void put_be(struct out *o, uint64_t v, size_t n)
{
	while (n--) {
		uint8_t b = (uint8_t)(v >> (8 * n));

		put(o, &b, 1);
	}
}

static void put_text(struct out *o, const char *s)
{
	put_be(o, strlen(s), 2);
	put(o, s, strlen(s));
}

static void put_der(struct out *o, const void *p, size_t n)
{
	put_be(o, n, 4);
	put(o, p, n);
}

/* "changeit" and `other` as Java has them, independently of the code under test. */
static void put_utf16(struct out *o, const char *pw)
{
	static const uint8_t second[] = { 0, 's', 0, 0xe4, 0, 's', 0, 'a', 0, 'm', 0, ' ', 0xd8, 0x3d, 0xdd, 0x11 };
	size_t i;

	if (pw == other) {
		put(o, second, sizeof(second));
		return;
	}
	for (i = 0; pw[i]; i++)
		put_be(o, (uint8_t)pw[i], 2);
}

static void hash(const struct out *in, uint8_t digest[20])
{
	INVARIANT(EVP_Digest(in->b, in->len, digest, NULL, EVP_sha1(), NULL) == 1);
}

static void begin(struct out *o, uint32_t version, uint32_t count)
{
	*o = (struct out){ 0 };
	put_be(o, 0xfeedfeed, 4);
	put_be(o, version, 4);
	put_be(o, count, 4);
}

static void end(struct out *o, const char *pw)
{
	struct out covered = { 0 };
	uint8_t digest[20];

	put_utf16(&covered, pw);
	put(&covered, "Mighty Aphrodite", 16);
	put(&covered, o->b, o->len);
	hash(&covered, digest);
	put(o, digest, 20);
}

static void put_cert(struct out *o, uint32_t version, const char *der)
{
	if (version == 2)
		put_text(o, "X.509");
	put_der(o, der, strlen(der));
}

static void put_trusted(struct out *o, uint32_t version, const char *alias, const char *der)
{
	put_be(o, 2, 4);
	put_text(o, alias);
	put_be(o, 1700000000000, 8);
	put_cert(o, version, der);
}

/* Only for lengths below 128. */
static void put_tlv(struct out *o, uint8_t tag, const struct out *content)
{
	INVARIANT(content->len < 128);
	put(o, &tag, 1);
	put_be(o, content->len, 1);
	put(o, content->b, content->len);
}

static const uint8_t oid[] = { 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01, 0x05, 0x00 };

static void protect(struct out *o, const char *pw, const char *plain)
{
	struct out alg = { 0 }, body = { 0 }, seq = { 0 }, octets = { 0 };
	uint8_t block[20] = "a salt of twenty by";
	size_t n = strlen(plain), i;

	put(&octets, block, 20);
	for (i = 0; i < n; i++) {
		uint8_t c;

		if (i % 20 == 0) {
			struct out in = { 0 };

			put_utf16(&in, pw);
			put(&in, block, 20);
			hash(&in, block);
		}
		c = (uint8_t)plain[i] ^ block[i % 20];
		put(&octets, &c, 1);
	}
	put_utf16(&body, pw);
	put(&body, plain, n);
	hash(&body, block);
	put(&octets, block, 20);
	put(&alg, oid, sizeof(oid));
	put_tlv(&seq, 0x30, &alg);
	put_tlv(&seq, 0x04, &octets);
	*o = (struct out){ 0 };
	put_tlv(o, 0x30, &seq);
}

static void good_store(struct out *o)
{
	struct out key;

	protect(&key, password, "the private key, longer than a block");
	begin(o, 2, 2);
	put_be(o, 1, 4);
	put_text(o, "kms");
	put_be(o, 1700000000000, 8);
	put_der(o, key.b, key.len);
	put_be(o, 2, 4);
	put_cert(o, 2, "leaf");
	put_cert(o, 2, "issuer");
	put_trusted(o, 2, "ca", "root");
	end(o, password);
}

static struct slice all(const struct out *o)
{
	return slice_of(o->b, o->len);
}

TEST(a_store_gives_its_key_chain_and_trusted_certificates)
{
	uint8_t plain[128];
	struct jks_entry e;
	struct slice der;
	struct out o;
	struct jks j;
	size_t len = 0;

	good_store(&o);
	EXPECT(jks_is(all(&o)) && !jks_is_jceks(all(&o)));
	EXPECT(jks_parse(all(&o), &j) == RC_OK);
	EXPECT_INT(j.count, 2);
	EXPECT(jks_check(&j, slice_str(password)) == RC_OK);
	EXPECT(jks_next(&j, &e) && e.is_key && slice_is(e.alias, "kms") && e.created_ms == 1700000000000);
	EXPECT(jks_next_cert(&e, &der) && slice_is(der, "leaf"));
	EXPECT(jks_next_cert(&e, &der) && slice_is(der, "issuer"));
	EXPECT(!jks_next_cert(&e, &der));
	EXPECT(jks_key_open(e.key, slice_str(password), plain, e.key.len, &len) == RC_OK);
	EXPECT(slice_is(slice_of(plain, len), "the private key, longer than a block"));
	EXPECT(jks_next(&j, &e) && !e.is_key && slice_is(e.alias, "ca"));
	EXPECT(jks_next_cert(&e, &der) && slice_is(der, "root") && !jks_next_cert(&e, &der));
	EXPECT(!jks_next(&j, &e));
}

TEST(a_wrong_password_opens_neither_store_nor_key)
{
	static const char *const wrong[] = { "", "Changeit", "changei", "changeit ", "\xc3" };
	uint8_t plain[128];
	struct jks_entry e;
	struct out o;
	struct jks j;
	size_t len, i;

	good_store(&o);
	EXPECT(jks_parse(all(&o), &j) == RC_OK && jks_next(&j, &e));
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		enum rc want = wrong[i][0] == '\xc3' ? RC_BAD_INPUT : RC_DENIED;

		EXPECT(jks_check(&j, slice_str(wrong[i])) == want);
		memset(plain, 0xaa, sizeof(plain));
		EXPECT(jks_key_open(e.key, slice_str(wrong[i]), plain, sizeof(plain), &len) == want);
		EXPECT(plain[0] == (want == RC_DENIED ? 0 : 0xaa)); /* nothing of the attempt is left */
	}
}

TEST(passwords_outside_of_ascii_are_the_same_as_in_java)
{
	uint8_t plain[128];
	struct out key, o;
	size_t len = 0;
	struct jks j;

	protect(&key, other, "PKCS#8");
	EXPECT(jks_key_open(all(&key), slice_str(other), plain, sizeof(plain), &len) == RC_OK && len == 6);
	begin(&o, 2, 0);
	end(&o, other);
	EXPECT(jks_parse(all(&o), &j) == RC_OK && jks_check(&j, slice_str(other)) == RC_OK);
}

TEST(an_old_store_of_version_1_has_no_types)
{
	struct jks_entry e;
	struct slice der;
	struct out o;
	struct jks j;

	begin(&o, 1, 1);
	put_trusted(&o, 1, "ca", "root");
	end(&o, password);
	EXPECT(jks_parse(all(&o), &j) == RC_OK && jks_next(&j, &e));
	EXPECT(jks_next_cert(&e, &der) && slice_is(der, "root"));
}

TEST(every_truncation_and_every_extra_byte_is_refused)
{
	struct out o;
	struct jks j;
	size_t i;

	good_store(&o);
	for (i = 0; i < o.len; i++) {
		uint8_t *p = test_fence(o.b, i);

		EXPECT(jks_parse(slice_of(p, i), &j) == RC_BAD_INPUT);
		test_fence_free(p, i);
	}
	put(&o, "", 1);
	EXPECT(jks_parse(all(&o), &j) == RC_BAD_INPUT);
}

TEST(every_changed_byte_is_noticed)
{
	struct out o;
	struct jks j;
	size_t i;

	good_store(&o);
	for (i = 0; i < o.len; i++) {
		o.b[i] ^= 1;
		EXPECT(jks_parse(all(&o), &j) != RC_OK || jks_check(&j, slice_str(password)) == RC_DENIED);
		o.b[i] ^= 1;
	}
}

TEST(what_is_over_a_limit_or_unknown_is_refused)
{
	struct out o;
	struct jks j;

	begin(&o, 3, 0);
	end(&o, password);
	EXPECT(jks_parse(all(&o), &j) == RC_BAD_INPUT);
	begin(&o, 2, JKS_ENTRIES_MAX + 1);
	end(&o, password);
	EXPECT(jks_parse(all(&o), &j) == RC_BAD_INPUT);
	begin(&o, 2, 1);
	put_be(&o, 3, 4);	/* JCEKS's secret key */
	put_text(&o, "secret");
	put_be(&o, 0, 8);
	end(&o, password);
	EXPECT(jks_parse(all(&o), &j) == RC_BAD_INPUT);
	begin(&o, 2, 1);
	put_be(&o, 2, 4);
	put_text(&o, "ca");
	put_be(&o, 0, 8);
	put_text(&o, "PGP");
	put_der(&o, "root", 4);
	end(&o, password);
	EXPECT(jks_parse(all(&o), &j) == RC_BAD_INPUT);
}

TEST(a_key_that_is_protected_otherwise_or_not_at_all_is_refused)
{
	struct out key;
	uint8_t plain[128];
	size_t len, i;

	protect(&key, password, "PKCS#8");
	for (i = 0; i < key.len; i++) {
		uint8_t *p = test_fence(key.b, i);

		EXPECT(jks_key_open(slice_of(p, i), slice_str(password), plain, sizeof(plain), &len) != RC_OK);
		test_fence_free(p, i);
	}
	for (i = 0; i < key.len; i++) {
		key.b[i] ^= 0x20;
		EXPECT(jks_key_open(all(&key), slice_str(password), plain, sizeof(plain), &len) != RC_OK);
		key.b[i] ^= 0x20;
	}
	EXPECT(jks_key_open(all(&key), slice_str(password), plain, 45, &len) == RC_BAD_INPUT); /* no room */
}
