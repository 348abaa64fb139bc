/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted keys. Vectors: the Hadoop KMS specification of this project, section 3.1. */
#include <stdlib.h>

#include "tests/fake/core.h"
#include "tests/test.h"

#define KEK0 "000102030405060708090a0b0c0d0e0f"
#define KEK1 "f0e1d2c3b4a5968778695a4b3c2d1e0f"
#define DEK "fb00ff3e11223344556677889900aabb"
#define IV "00112233445566778899aabbccddeeff"
#define EEK0 "e087dc46687d7cb9224e22741eca3cf6"
#define EEK1 "c78c0322ddec4088b9be5829d8f37795"
#define KEK24 KEK0 "1011121314151617"
#define KEK32 KEK24 "18191a1b1c1d1e1f"
#define SM4 "default.key.acl.MANAGEMENT", "*", "default.key.acl.GENERATE_EEK", "*", "default.key.acl.DECRYPT_EEK", "*", \
	    "hadoop.security.crypto.cipher.suite", "SM4/CTR/NoPadding"

struct bytes {
	uint8_t b[64];
	size_t len;
};

static struct bytes hex(const char *text)
{
	struct bytes r;

	r.len = test_unhex(text, r.b, sizeof(r.b));
	return r;
}

static struct slice of(const struct bytes *b)
{
	return slice_of(b->b, b->len);
}

static enum wire_err decrypt(struct core *c, const char *version, const char *name, const char *iv, const char *eek,
			     struct wire_kv *kv)
{
	struct bytes i = hex(iv), m = hex(eek);

	memset(kv, 0, sizeof(*kv));
	if (core_eek(c, CALL_DECRYPT, version, name, of(&i), of(&m)) == E_OK)
		EXPECT(wire_kv_next(&c->ans.body, kv) && cur_end(&c->ans.body) && kv->present && kv->has_material);
	return c->err;
}

static enum wire_err reencrypt(struct core *c, const char *version, const char *name, const char *iv, const char *eek,
			       struct wire_eek *out)
{
	struct bytes i = hex(iv), m = hex(eek);

	memset(out, 0, sizeof(*out));
	if (core_eek(c, CALL_REENCRYPT, version, name, of(&i), of(&m)) == E_OK) {
		struct slice key = slice_of("", 0);

		EXPECT(wire_eek_next(&c->ans.body, out));
		EXPECT(cur_str16(&c->ans.body, WIRE_NAME_MAX, &key) && cur_end(&c->ans.body));
		EXPECT(slice_is(key, name));
	}
	return c->err;
}

static bool is_hex(struct slice s, const char *text)
{
	struct bytes b = hex(text);

	return slice_eq(s, of(&b));
}

TEST(the_vectors_decrypt_and_reencrypt)
{
	struct wire_kv kv;
	struct wire_eek eek;
	struct core c;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	EXPECT_INT(decrypt(&c, "k@0", "k", IV, EEK0, &kv), E_OK);
	EXPECT(is_hex(kv.material, DEK) && slice_is(kv.name, "k"));
	EXPECT_INT(reencrypt(&c, "k@0", "k", IV, EEK0, &eek), E_OK);	/* already current: the same */
	EXPECT(eek.unchanged && eek.number == 0 && is_hex(eek.material, EEK0));
	EXPECT_INT(core_roll(&c, "k", KEK1), E_OK);
	core_commit(&c);
	EXPECT_INT(decrypt(&c, "k@0", "k", IV, EEK0, &kv), E_OK);
	EXPECT(is_hex(kv.material, DEK));
	EXPECT_INT(decrypt(&c, "k@1", "k", IV, EEK1, &kv), E_OK);
	EXPECT(is_hex(kv.material, DEK));
	EXPECT_INT(reencrypt(&c, "k@0", "k", IV, EEK0, &eek), E_OK);
	EXPECT(!eek.unchanged && eek.number == 1 && is_hex(eek.material, EEK1) && is_hex(slice_of(eek.iv, 16), IV));
	EXPECT_INT(reencrypt(&c, "k@1", "k", IV, EEK1, &eek), E_OK);
	EXPECT(eek.unchanged && eek.number == 1 && is_hex(eek.material, EEK1));
	core_stop(&c);
}

TEST(longer_keys_and_a_counter_that_wraps_agree_with_the_vectors)
{
	static const struct {
		const char *kek, *iv, *eek;
	} v[] = {
		{ KEK32, IV, "4f542d08c24c02150f298a4c0e510a95e2fafa388ca8ee7b1249650782fcb7ce" },
		{ KEK24, IV, "3128c828872c881142cd1a29b0a765fc1058b72617b166f9" },
		{ KEK32, "00000000000000000000000000000000",
		  "ea93f50553815dee68c5582b0ad1328281ea813ea5df0274024123aa1ae0a25c" },
	};
	struct wire_kv kv;
	struct core c;
	char name[8], version[8];
	size_t i, j;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		snprintf(name, sizeof(name), "k%u", (unsigned)i);
		snprintf(version, sizeof(version), "k%u@0", (unsigned)i);
		core_make(&c, name, v[i].kek);
		EXPECT_INT(decrypt(&c, version, name, v[i].iv, v[i].eek, &kv), E_OK);
		EXPECT_INT(kv.material.len, strlen(v[i].kek) / 2);
		for (j = 0; j < kv.material.len; j++)
			EXPECT_INT(kv.material.p[j], (7 * j + 3) % 256);
	}
	core_stop(&c);
}

TEST(sm4_is_used_where_the_suite_says_so)
{
	struct wire_kv kv;
	struct core c;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	core_make(&c, "k32", KEK32);
	EXPECT_INT(core_config(&c, SM4, NULL), E_OK);
	EXPECT_INT(decrypt(&c, "k@0", "k", IV, "700639bd642c629aca4f0ffa0eeddd5f", &kv), E_OK);
	EXPECT(is_hex(kv.material, DEK));
	/* SM4 has 128-bit keys only. */
	EXPECT_INT(decrypt(&c, "k32@0", "k32", IV, EEK0, &kv), E_CIPHER_KEY);
	EXPECT_INT(c.ans.head.num[0], 256);
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k32"), E_CIPHER_KEY);
	EXPECT_INT(c.ans.head.events, 0);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	EXPECT_INT(decrypt(&c, "k@0", "k", IV, EEK0, &kv), E_OK);	/* and AES again afterwards */
	EXPECT(is_hex(kv.material, DEK));
	core_stop(&c);
}

TEST(a_key_of_a_length_no_cipher_has_cannot_encrypt)
{
	struct wire_kv kv;
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_create(&c, "k", 8, NULL, "42"), E_OK);
	core_commit(&c);
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_CIPHER_KEY);
	EXPECT_INT(decrypt(&c, "k@0", "k", IV, EEK0, &kv), E_CIPHER_KEY);
	core_stop(&c);
}

TEST(any_length_of_ciphertext_decrypts_to_as_many_bytes)
{
	static uint8_t in[WIRE_EEK_MAX + 1], first[WIRE_EEK_MAX];
	uint8_t iv[16] = { 9 };
	struct wire_kv kv;
	struct core c;
	size_t n;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	for (n = WIRE_EEK_MAX; n <= WIRE_EEK_MAX; n = n == 0 ? SIZE_MAX : n > 40 ? n / 2 : n - 1) {
		EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", "k", slice_of(iv, 16), slice_of(in, n)), E_OK);
		EXPECT(wire_kv_next(&c.ans.body, &kv));
		EXPECT_INT(kv.material.len, n);
		if (n == WIRE_EEK_MAX)
			memcpy(first, kv.material.p, n);
		EXPECT(slice_eq(kv.material, slice_of(first, n)));	/* a prefix: it is a stream */
	}
	EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", "k", slice_of(iv, 16), slice_of(in, WIRE_EEK_MAX + 1)),
		   E_BAD_MESSAGE);
	core_stop(&c);
}

TEST(checks_of_decrypt_come_in_the_order_of_the_protocol)
{
	static const enum wire_call calls[] = { CALL_DECRYPT, CALL_REENCRYPT };
	struct bytes m = hex(EEK0), iv = hex(IV), none = { .len = 0 };
	struct core c;
	size_t i;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	core_make(&c, "k2", KEK0);
#define DENY "hadoop.kms.blacklist.DECRYPT_EEK", "*", "hadoop.kms.blacklist.GENERATE_EEK", "*"
	for (i = 0; i < 2; i++) {
		EXPECT_INT(core_config(&c, DENY, NULL), E_OK);
		EXPECT_INT(core_eek(&c, calls[i], "", "k", of(&none), of(&m)), E_NAME_EMPTY);
		EXPECT_INT(core_eek(&c, calls[i], "k@7", "k", of(&none), of(&m)), E_OP_DENIED);
		EXPECT(slice_is(c.ans.arg, "k"));
		EXPECT_INT(core_config(&c, NULL), E_OK);	/* no key rights at all */
		EXPECT_INT(core_eek(&c, calls[i], "k@7", "k", of(&none), of(&m)), E_VERSION_NOT_FOUND);
		EXPECT(slice_is(c.ans.arg, "k@7"));
		EXPECT_INT(core_eek(&c, calls[i], "k", "k", of(&none), of(&m)), E_VERSION_NOT_FOUND);
		EXPECT_INT(core_eek(&c, calls[i], "none@0", "none", of(&none), of(&m)), E_VERSION_NOT_FOUND);
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k2", of(&none), of(&m)), E_VERSION_MISMATCH);
		EXPECT_INT(core_eek(&c, calls[i], "k@0", NULL, of(&none), of(&m)), E_VERSION_MISMATCH);
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "", of(&none), of(&m)), E_VERSION_MISMATCH);
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k", of(&none), of(&m)), E_KEY_DENIED);
		EXPECT_INT(core_config(&c, SM4, NULL), E_OK);
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k", of(&none), of(&m)), E_IV_LENGTH);
		iv.len = 15;
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k", of(&iv), of(&m)), E_IV_LENGTH);
		EXPECT_INT(c.ans.head.num[0], 15);
		iv.len = 17;
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k", of(&iv), of(&m)), E_IV_LENGTH);
		iv.len = 16;
		EXPECT_INT(core_eek(&c, calls[i], "k@0", "k", of(&iv), of(&m)), E_OK);
		EXPECT_INT(core_config(&c, "hadoop.kms.key.authorization.enable", "false", NULL), E_OK);
		EXPECT_INT(core_eek(&c, calls[i], "k@9", "k", of(&iv), of(&m)), E_VERSION_NOT_FOUND_NOAUTH);
		/* Decrypting then asks for no name; re-encrypting never goes to another key. */
		EXPECT_INT(core_eek(&c, calls[i], "k@0", NULL, of(&iv), of(&m)),
			   calls[i] == CALL_DECRYPT ? E_OK : E_VERSION_MISMATCH);
	}
	core_stop(&c);
}

TEST(a_version_of_another_key_with_the_same_start_does_not_belong)
{
	struct wire_kv kv;
	struct core c;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	core_make(&c, "k@0", KEK1);
	EXPECT_INT(decrypt(&c, "k@0", "k@0", IV, EEK0, &kv), E_VERSION_MISMATCH);
	EXPECT_INT(decrypt(&c, "k@0@0", "k", IV, EEK0, &kv), E_VERSION_MISMATCH);
	EXPECT_INT(decrypt(&c, "k@0@0", "k@0", IV, EEK1, &kv), E_OK);
	EXPECT(is_hex(kv.material, DEK));
	core_stop(&c);
}

TEST(generated_keys_decrypt_and_differ_for_each_size)
{
	static const char *const keks[] = { KEK0, KEK24, KEK32 };
	static struct wire_eek all[WIRE_EEK_COUNT_MAX];
	static uint8_t text[WIRE_EEK_COUNT_MAX * 64];
	struct wire_kv kv;
	struct core c;
	char name[8], version[8];
	uint32_t i, n = 0, count, k;

	core_ready(&c);
	for (k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "k%u", k);
		snprintf(version, sizeof(version), "k%u@0", k);
		core_make(&c, name, keks[k]);
		for (count = 0; count <= WIRE_EEK_COUNT_MAX; count = count ? count * 100 : 1) {
			struct cursor body;

			EXPECT_INT(core_name_n(&c, CALL_GENERATE, name, count, 0), E_OK);
			EXPECT_INT(c.ans.head.events, 1);
			EXPECT(c.ans.body.left <= sizeof(text));
			memcpy(text, c.ans.body.at, c.ans.body.left);
			body = cur_of(text, c.ans.body.left);
			EXPECT(cur_le32(&body, &n) && n == count);
			for (i = 0; i < count; i++) {
				EXPECT(wire_eek_next(&body, &all[i]));
				EXPECT_INT(all[i].number, 0);
				EXPECT(!all[i].unchanged);
				EXPECT_INT(all[i].material.len, strlen(keks[k]) / 2);
				if (i)
					EXPECT(memcmp(all[i].iv, all[i - 1].iv, 16) != 0);
			}
			EXPECT(cur_end(&body));
			for (i = 0; i < count; i += count / 10 + 1) {
				EXPECT_INT(core_eek(&c, CALL_DECRYPT, version, name, slice_of(all[i].iv, 16),
						    all[i].material), E_OK);
				EXPECT(wire_kv_next(&c.ans.body, &kv));
				EXPECT(!slice_eq(kv.material, all[i].material));
			}
		}
	}
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "k0", WIRE_EEK_COUNT_MAX + 1, 0), E_LIMIT);
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "k0", UINT32_MAX, 0), E_LIMIT);
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "none", 1, 0), E_GENERATE_NO_KEY);
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "none", 0, 0), E_OK);
	core_stop(&c);
}

/* ---- batches ---- */

struct item {
	const char *version, *iv, *eek;
};

static enum wire_err batch(struct core *c, const char *name, const struct item *it, uint32_t n)
{
	struct wire_batch_req m = { .cred = core_cred(c), .name = slice_str(name), .count = n };
	uint32_t i;

	wire_batch_req_put(core_req(c), &m);
	for (i = 0; i < n; i++) {
		struct bytes iv = hex(it[i].iv), eek = hex(it[i].eek);
		struct wire_item w = { .version_name = slice_str(it[i].version), .iv = of(&iv), .material = of(&eek) };

		wire_item_put(&c->out, &w);
	}
	return core_send(c, CALL_REENCRYPT_BATCH);
}

TEST(a_batch_of_old_and_current_keeps_its_order)
{
	static const struct item items[] = {
		{ "k@0", IV, EEK0 }, { "k@1", IV, EEK1 }, { "k@0", IV, EEK0 }, { "k@0", IV, "" }, { "k@1", IV, EEK0 },
	};
	static const char *const expect[] = { EEK1, EEK1, EEK1, "", EEK0 };
	struct wire_eek e;
	struct core c;
	uint32_t n = 0, i;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	EXPECT_INT(core_roll(&c, "k", KEK1), E_OK);
	core_commit(&c);
	EXPECT_INT(batch(&c, "k", items, 5), E_OK);
	EXPECT_INT(c.ans.head.events, 1);
	EXPECT(cur_le32(&c.ans.body, &n) && n == 5);
	for (i = 0; i < 5; i++) {
		EXPECT(wire_eek_next(&c.ans.body, &e));
		EXPECT_INT(e.number, 1);
		EXPECT_INT(e.unchanged, items[i].version[2] == '1');
		EXPECT(is_hex(e.material, expect[i]) && is_hex(slice_of(e.iv, 16), IV));
	}
	EXPECT(cur_end(&c.ans.body));
	EXPECT_INT(batch(&c, "k", items, 0), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n) && n == 0 && cur_end(&c.ans.body));
	core_stop(&c);
}

TEST(one_bad_item_refuses_a_batch_as_a_whole)
{
	struct item items[3] = { { "k@0", IV, EEK0 }, { "k@0", IV, EEK0 }, { "k@0", IV, EEK0 } };
	struct core c;
	uint32_t at;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	core_make(&c, "k2", KEK0);
	for (at = 0; at < 3; at++) {
		items[at].version = "k@1";
		EXPECT_INT(batch(&c, "k", items, 3), E_VERSION_NOT_FOUND);
		EXPECT(slice_is(c.ans.arg, "k@1"));
		items[at].version = "k2@0";
		EXPECT_INT(batch(&c, "k", items, 3), E_VERSION_MISMATCH);
		EXPECT(slice_is(c.ans.arg, "k2@0"));
		EXPECT_INT(core_config(&c, "hadoop.kms.key.authorization.enable", "false", NULL), E_OK);
		EXPECT_INT(batch(&c, "k", items, 3), E_VERSION_MISMATCH);
		EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
		items[at].version = "k@0";
		items[at].iv = "00";
		EXPECT_INT(batch(&c, "k", items, 3), E_IV_LENGTH);
		items[at].iv = IV;
		EXPECT_INT(batch(&c, "k", items, 3), E_OK);
	}
	EXPECT_INT(batch(&c, "none", items, 3), E_VERSION_MISMATCH);
	EXPECT_INT(batch(&c, "none", items, 0), E_OK);
	EXPECT_INT(batch(&c, "", items, 0), E_NAME_EMPTY);
	core_stop(&c);
}

TEST(who_may_not_use_a_key_hears_no_more_about_his_batch)
{
	struct item items[2] = { { "k@0", IV, EEK0 }, { "k@0", "00", EEK0 } };
	struct core c;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	EXPECT_INT(core_config(&c, "key.acl.k.READ", "*", NULL), E_OK);
	EXPECT_INT(batch(&c, "k", items, 2), E_KEY_DENIED);	/* not E_IV_LENGTH, and it is on record */
	EXPECT_INT(c.ans.head.events, 2);
	EXPECT_INT(batch(&c, "k", items, 0), E_OK);	/* nothing asked, nothing checked */
	core_stop(&c);
}

TEST(ten_thousand_keys_are_reencrypted_in_one_call)
{
	struct wire_batch_req m = { .count = WIRE_EEK_COUNT_MAX, .name = slice_str("k") };
	static uint8_t text[WIRE_EEK_COUNT_MAX * 64];
	struct cursor body;
	struct wire_eek e;
	struct wire_kv kv;
	struct core c;
	uint32_t i, n = 0;

	core_ready(&c);
	core_make(&c, "k", KEK0);
	EXPECT_INT(core_roll(&c, "k", KEK1), E_OK);
	core_commit(&c);
	m.cred = core_cred(&c);
	wire_batch_req_put(core_req(&c), &m);
	for (i = 0; i < m.count; i++) {
		uint8_t iv[16] = { 0 }, eek[16] = { 0 };
		struct wire_item w = { .version_name = slice_str("k@0"), .iv = slice_of(iv, 16),
				       .material = slice_of(eek, 16) };

		memcpy(iv, &i, 4);
		wire_item_put(&c.out, &w);
	}
	EXPECT_INT(core_send(&c, CALL_REENCRYPT_BATCH), E_OK);
	EXPECT(c.ans.body.left <= sizeof(text));
	memcpy(text, c.ans.body.at, c.ans.body.left);
	body = cur_of(text, c.ans.body.left);
	EXPECT(cur_le32(&body, &n) && n == m.count);
	for (i = 0; i < n; i++) {
		uint8_t plain[16], zero[16] = { 0 }, iv[16] = { 0 };

		EXPECT(wire_eek_next(&body, &e));
		memcpy(iv, &i, 4);
		EXPECT_MEM(e.iv, iv, 16);
		if (i % 997)
			continue;
		EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@1", "k", slice_of(e.iv, 16), e.material), E_OK);
		EXPECT(wire_kv_next(&c.ans.body, &kv));
		memcpy(plain, kv.material.p, 16);
		EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", "k", slice_of(iv, 16), slice_of(zero, 16)), E_OK);
		EXPECT(wire_kv_next(&c.ans.body, &kv));
		EXPECT_MEM(kv.material.p, plain, 16);
	}
	m.count++;
	wire_batch_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_REENCRYPT_BATCH), E_BAD_MESSAGE);
	core_stop(&c);
}
