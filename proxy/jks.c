/* SPDX-License-Identifier: Apache-2.0 */
/* JKS; see jks.h. What always holds: nothing is written to a result before all of it was checked. */
#include "proxy/jks.h"

#include <openssl/evp.h>

#include "proxy/text.h"

#define MAGIC_JKS 0xfeedfeedu
#define MAGIC_JCEKS 0xcecececeu
#define SHA1 20u
#define UTF16_MAX (2 * JKS_PASSWORD_MAX)

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

MUST_CHECK static bool cur_be32(struct cursor *c, uint32_t *out)
{
	const uint8_t *p;

	if (!cur_take(c, 4, &p))
		return false;
	*out = (uint32_t)be(p, 4);
	return true;
}

MUST_CHECK static bool cur_text(struct cursor *c, struct slice *out)
{
	const uint8_t *p;

	return cur_take(c, 2, &p) && cur_sub(c, be(p, 2), out);
}

/* len:u32 bytes[len], not empty */
MUST_CHECK static bool cur_der(struct cursor *c, struct slice *out)
{
	uint32_t len;

	return cur_be32(c, &len) && len > 0 && len <= JKS_DER_MAX && cur_sub(c, len, out);
}

MUST_CHECK static bool cur_cert(struct cursor *c, uint32_t version, struct slice *der)
{
	struct slice type;

	if (version == 2 && (!cur_text(c, &type) || !(slice_is(type, "X.509") || slice_is(type, "X509"))))
		return false;
	return cur_der(c, der);
}

static bool has_magic(struct slice file, uint32_t magic)
{
	return file.len >= 4 && be(file.p, 4) == magic;
}

bool jks_is(struct slice file)
{
	return has_magic(file, MAGIC_JKS);
}

bool jks_is_jceks(struct slice file)
{
	return has_magic(file, MAGIC_JCEKS);
}

MUST_CHECK static bool take_entry(struct cursor *c, uint32_t version, struct jks_entry *out)
{
	struct jks_entry e = { .version = version, .cert_count = 1 };
	struct slice der;
	const uint8_t *p;
	uint32_t tag, i;

	if (!cur_be32(c, &tag) || !cur_text(c, &e.alias) || !cur_take(c, 8, &p) || tag < 1 || tag > 2)
		return false;
	e.created_ms = be(p, 8);
	e.is_key = tag == 1;
	e.key = slice_of("", 0);
	if (e.is_key && (!cur_der(c, &e.key) || !cur_be32(c, &e.cert_count) || e.cert_count > JKS_CHAIN_MAX))
		return false;
	e.certs = *c;
	for (i = 0; i < e.cert_count; i++)
		if (!cur_cert(c, version, &der))
			return false;
	e.certs.left -= c->left;
	*out = e;
	return true;
}

enum rc jks_parse(struct slice file, struct jks *out)
{
	struct cursor c = cur_of(file.p, file.len), t;
	struct jks j = { 0 };
	struct jks_entry e;
	uint32_t magic, i;

	if (!cur_be32(&c, &magic) || magic != MAGIC_JKS || !cur_be32(&c, &j.version) || j.version < 1 ||
	    j.version > 2 || !cur_be32(&c, &j.count) || j.count > JKS_ENTRIES_MAX)
		return RC_BAD_INPUT;
	t = c;
	for (i = 0; i < j.count; i++)
		if (!take_entry(&c, j.version, &e))
			return RC_BAD_INPUT;
	j.entries = cur_of(t.at, t.left - c.left);
	j.covered = slice_of(file.p, file.len - c.left);
	if (!cur_take(&c, SHA1, &j.digest) || !cur_end(&c))
		return RC_BAD_INPUT;
	*out = j;
	return RC_OK;
}

bool jks_next(struct jks *j, struct jks_entry *out)
{
	return j->entries.left > 0 && take_entry(&j->entries, j->version, out);
}

bool jks_next_cert(struct jks_entry *e, struct slice *der)
{
	return e->certs.left > 0 && cur_cert(&e->certs, e->version, der);
}

/* ---- passwords ---- */

/* As Java has it in memory. A secret; the caller wipes it. */
MUST_CHECK static bool utf16(struct slice password, uint8_t out[UTF16_MAX], size_t *len)
{
	struct cursor c = cur_of(password.p, password.len);
	size_t n = 0, i;
	uint32_t cp;

	if (password.len > JKS_PASSWORD_MAX)
		return false;
	while (c.left) {
		uint32_t unit[2], units = 1;

		if (!text_utf8(&c, &cp))
			return false;
		unit[0] = cp;
		if (cp > 0xffff) {	/* a surrogate pair; four bytes of UTF-8, so there is room */
			unit[0] = 0xd800 + ((cp - 0x10000) >> 10);
			unit[1] = 0xdc00 + ((cp - 0x10000) & 0x3ff);
			units = 2;
		}
		for (i = 0; i < units; i++) {
			out[n++] = (uint8_t)(unit[i] >> 8);
			out[n++] = (uint8_t)unit[i];
		}
	}
	*len = n;
	return true;
}

struct part {
	const void *p;
	size_t len;
};

MUST_CHECK static bool sha1(const struct part *part, size_t count, uint8_t out[SHA1])
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	bool ok = m && EVP_DigestInit_ex(m, EVP_sha1(), NULL) == 1;
	size_t i;

	for (i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(m, part[i].p, part[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(m, out, NULL) == 1;
	EVP_MD_CTX_free(m);
	return ok;
}

enum rc jks_check(const struct jks *j, struct slice password)
{
	static const char whitener[] = "Mighty Aphrodite";
	uint8_t text[UTF16_MAX], digest[SHA1];
	size_t len = 0;
	enum rc rc = RC_BAD_INPUT;

	if (utf16(password, text, &len)) {
		const struct part parts[] = {
			{ text, len }, { whitener, sizeof(whitener) - 1 }, { j->covered.p, j->covered.len }
		};

		rc = !sha1(parts, ARRAY_LEN(parts), digest) ? RC_MACHINE :
		     ct_equal(digest, j->digest, SHA1)	    ? RC_OK :
							      RC_DENIED;
	}
	mem_wipe(text, sizeof(text));
	mem_wipe(digest, sizeof(digest));
	return rc;
}

/* ---- private keys ---- */

/* One DER element with that tag; lengths of up to four bytes, in their shortest form. */
MUST_CHECK static bool der_take(struct cursor *c, uint8_t tag, struct cursor *content)
{
	struct cursor t = *c;
	struct slice s;
	const uint8_t *p;
	uint8_t seen, first;
	size_t len;

	if (!cur_u8(&t, &seen) || seen != tag || !cur_u8(&t, &first))
		return false;
	len = first;
	if (first >= 0x80) {
		size_t n = first & 0x7f;

		if (n < 1 || n > 4 || !cur_take(&t, n, &p))
			return false;
		len = be(p, n);
		if (len < 0x80 || p[0] == 0)
			return false;
	}
	if (!cur_sub(&t, len, &s))
		return false;
	*content = cur_of(s.p, s.len);
	*c = t;
	return true;
}

/* EncryptedPrivateKeyInfo := SEQUENCE { SEQUENCE { OID, NULL? }, OCTET STRING } with the JDK's own OID. */
MUST_CHECK static bool protected_key(struct slice key, struct cursor *sealed)
{
	/* 1.3.6.1.4.1.42.2.17.1.1 */
	static const uint8_t key_protector[] = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01 };
	struct cursor c = cur_of(key.p, key.len), all, alg, oid, null;

	return der_take(&c, 0x30, &all) && cur_end(&c) && der_take(&all, 0x30, &alg) &&
	       der_take(&alg, 0x06, &oid) &&
	       slice_eq(slice_of(oid.at, oid.left), slice_of(key_protector, sizeof(key_protector))) &&
	       (cur_end(&alg) || (der_take(&alg, 0x05, &null) && cur_end(&null) && cur_end(&alg))) &&
	       der_take(&all, 0x04, sealed) && cur_end(&all);
}

/* sealed := salt[20] ciphertext check[20]; block i of the key stream is SHA-1(password, block i-1). */
static enum rc unseal(struct cursor sealed, const struct part *password, uint8_t *out, size_t *out_len)
{
	uint8_t block[SHA1], check[SHA1];
	const uint8_t *salt, *text, *want;
	size_t len, i, j;
	enum rc rc = RC_OK;

	if (sealed.left <= 2 * SHA1)
		return RC_BAD_INPUT;
	len = sealed.left - 2 * SHA1;
	if (!cur_take(&sealed, SHA1, &salt) || !cur_take(&sealed, len, &text) || !cur_take(&sealed, SHA1, &want))
		return RC_BAD_INPUT;
	memcpy(block, salt, SHA1);
	for (i = 0; i < len && rc == RC_OK; i += SHA1) {
		const struct part parts[] = { *password, { block, SHA1 } };

		if (!sha1(parts, 2, block))
			rc = RC_MACHINE;
		for (j = 0; j < SHA1 && i + j < len; j++)
			out[i + j] = text[i + j] ^ block[j];
	}
	if (rc == RC_OK) {
		const struct part parts[] = { *password, { out, len } };

		rc = !sha1(parts, 2, check)	  ? RC_MACHINE :
		     ct_equal(check, want, SHA1) ? RC_OK :
						   RC_DENIED;
	}
	mem_wipe(block, sizeof(block));
	mem_wipe(check, sizeof(check));
	if (rc != RC_OK)
		mem_wipe(out, len);
	else
		*out_len = len;
	return rc;
}

enum rc jks_key_open(struct slice key, struct slice password, uint8_t *out, size_t room, size_t *len)
{
	uint8_t text[UTF16_MAX];
	struct part p = { text, 0 };
	struct cursor sealed;
	enum rc rc = RC_BAD_INPUT;

	if (protected_key(key, &sealed) && sealed.left <= room && utf16(password, text, &p.len))
		rc = unseal(sealed, &p, out, len);
	mem_wipe(text, sizeof(text));
	return rc;
}
