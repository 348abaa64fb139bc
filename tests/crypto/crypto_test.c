/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers name their source. */
#include <stdlib.h>

#include "crypto/crypto.h"
#include "tests/test.h"

static struct crypto *new_crypto(void)
{
	struct crypto *c;

	EXPECT(crypto_start() == RC_OK);
	c = crypto_new();
	EXPECT(c != NULL);
	return c;
}

TEST(hmac_sha256_agrees_with_rfc_4231)
{
	struct crypto *c = new_crypto();
	struct crypto_mac_key k;
	uint8_t key[20], out[32], expect[32];
	struct slice parts[2] = { slice_str("Hi "), slice_str("There") };
	int again;

	memset(key, 0x0b, sizeof(key));
	crypto_mac_key_set(&k, key, sizeof(key));
	test_unhex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", expect, 32);
	for (again = 0; again < 3; again++) {	/* the cached context must give the same */
		EXPECT(crypto_mac(c, 0, &k, parts, 2, out) == RC_OK);
		EXPECT_MEM(out, expect, 32);
	}
	crypto_mac_key_set(&k, "Jefe", 4);	/* and a changed key in the same slot must not */
	parts[0] = slice_str("what do ya want ");
	parts[1] = slice_str("for nothing?");
	test_unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", expect, 32);
	EXPECT(crypto_mac(c, 0, &k, parts, 2, out) == RC_OK);
	EXPECT_MEM(out, expect, 32);
	crypto_free(c);
}

TEST(ctr_agrees_with_nist_sp_800_38a_for_each_key_length)
{
	static const struct {
		const char *key, *ct;
	} v[] = {
		{ "2b7e151628aed2a6abf7158809cf4f3c", "874d6191b620e3261bef6864990db6ce" },
		{ "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "1abc932417521ca24f2b0459fe7e6e0b" },
		{ "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		  "601ec313775789a5b7a7f504bbf3d228" },
	};
	struct crypto *c = new_crypto();
	uint8_t iv[16], key[32], pt[16], ct[16], out[16];
	size_t i;

	test_unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", iv, 16);
	test_unhex("6bc1bee22e409f96e93d7e117393172a", pt, 16);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		size_t n = test_unhex(v[i].key, key, 32);

		test_unhex(v[i].ct, ct, 16);
		EXPECT(crypto_ctr_key(c, 1, CRYPTO_AES, key, n) == RC_OK);
		EXPECT(crypto_ctr(c, 1, iv, pt, 16, out) == RC_OK);
		EXPECT_MEM(out, ct, 16);
		EXPECT(crypto_ctr(c, 1, iv, out, 16, out) == RC_OK);
		EXPECT_MEM(out, pt, 16);
	}
	crypto_free(c);
}

TEST(sm4_agrees_with_the_example_of_its_standard)
{
	/* GB/T 32907-2016, example 1: CTR over a zero block is the block cipher of the counter. */
	struct crypto *c = new_crypto();
	uint8_t key[16], expect[16], zero[16] = { 0 }, out[16];

	test_unhex("0123456789abcdeffedcba9876543210", key, 16);
	test_unhex("681edf34d206965e86b3e94f536e4246", expect, 16);
	EXPECT(crypto_ctr_key(c, 0, CRYPTO_SM4, key, 16) == RC_OK);
	EXPECT(crypto_ctr(c, 0, key, zero, 16, out) == RC_OK);
	EXPECT_MEM(out, expect, 16);
	crypto_free(c);
}

TEST(a_key_length_the_cipher_does_not_have_is_refused)
{
	struct crypto *c = new_crypto();
	uint8_t key[64] = { 0 };
	size_t n;

	for (n = 0; n <= 64; n++) {
		EXPECT((crypto_ctr_key(c, 0, CRYPTO_AES, key, n) == RC_OK) == (n == 16 || n == 24 || n == 32));
		EXPECT((crypto_ctr_key(c, 0, CRYPTO_SM4, key, n) == RC_OK) == (n == 16));
	}
	crypto_free(c);
}

TEST(a_sealed_message_opens_only_unchanged)
{
	struct crypto *c = new_crypto();
	struct secret k = { .b = { 1 } };
	uint8_t ct[40], tag[16], out[40];
	const uint8_t msg[40] = "forty bytes of something to keep secret";
	size_t i;

	EXPECT(crypto_seal(c, &k, slice_str("aad"), msg, sizeof(msg), ct, tag) == RC_OK);
	EXPECT(crypto_open(c, &k, slice_str("aad"), ct, sizeof(ct), out, tag) == RC_OK);
	EXPECT_MEM(out, msg, sizeof(msg));
	EXPECT(crypto_open(c, &k, slice_str("aae"), ct, sizeof(ct), out, tag) == RC_DENIED);
	for (i = 0; i < sizeof(out); i++)	/* no plaintext after a failure */
		EXPECT_INT(out[i], 0);
	for (i = 0; i < sizeof(ct) * 8; i++) {
		ct[i / 8] ^= (uint8_t)(1 << i % 8);
		EXPECT(crypto_open(c, &k, slice_str("aad"), ct, sizeof(ct), out, tag) == RC_DENIED);
		ct[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < 128; i++) {
		tag[i / 8] ^= (uint8_t)(1 << i % 8);
		EXPECT(crypto_open(c, &k, slice_str("aad"), ct, sizeof(ct), out, tag) == RC_DENIED);
		tag[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	k.b[31] ^= 1;
	EXPECT(crypto_open(c, &k, slice_str("aad"), ct, sizeof(ct), out, tag) == RC_DENIED);
	crypto_free(c);
}

TEST(aes_256_gcm_agrees_with_the_gcm_specification)
{
	/* McGrew and Viega, test case 14: zero key, zero nonce, one zero block. */
	struct crypto *c = new_crypto();
	struct secret k = { 0 };
	uint8_t zero[16] = { 0 }, ct[16], tag[16], e[16];

	EXPECT(crypto_seal(c, &k, slice_of(zero, 0), zero, 16, ct, tag) == RC_OK);
	test_unhex("cea7403d4d606b6e074ec5d3baf39d18", e, 16);
	EXPECT_MEM(ct, e, 16);
	test_unhex("d0d1c8a799996bf0265b98b5d48ab919", e, 16);
	EXPECT_MEM(tag, e, 16);
	crypto_free(c);
}

struct source {
	bool broken;
	unsigned calls;
};

static enum rc counting_source(void *ctx, uint8_t *out, size_t len)
{
	struct source *s = ctx;

	if (s->broken)
		return RC_MACHINE;
	s->calls++;
	memset(out, (int)s->calls, len);
	return RC_OK;
}

TEST(a_failing_random_source_stops_generation_and_gives_no_bytes)
{
	struct crypto *c = new_crypto();
	struct source s = { .broken = true };
	static struct crypto_random r;
	uint8_t out[16] = "untouched......", zero[16] = { 0 };

	crypto_random_init(&r, counting_source, &s);
	EXPECT(crypto_random_get(c, &r, out, sizeof(out)) == RC_MACHINE);
	EXPECT_MEM(out, zero, 16);
	s.broken = false;	/* it comes back when the source does */
	EXPECT(crypto_random_get(c, &r, out, sizeof(out)) == RC_OK);
	EXPECT(memcmp(out, zero, 16) != 0);
	crypto_free(c);
}

TEST(the_generator_reseeds_and_a_source_that_failed_meanwhile_stops_it)
{
	struct crypto *c = new_crypto();
	struct source s = { 0 };
	static struct crypto_random r;
	static uint8_t out[CRYPTO_RANDOM_POOL];
	unsigned i;

	crypto_random_init(&r, counting_source, &s);
	for (i = 0; i < CRYPTO_RANDOM_RESEED_POOLS; i++)
		EXPECT(crypto_random_get(c, &r, out, sizeof(out)) == RC_OK);
	EXPECT_INT(s.calls, 1);
	s.broken = true;
	EXPECT(crypto_random_get(c, &r, out, sizeof(out)) == RC_MACHINE);
	s.broken = false;
	EXPECT(crypto_random_get(c, &r, out, sizeof(out)) == RC_OK);
	EXPECT_INT(s.calls, 2);
	crypto_free(c);
}

TEST(given_out_random_bytes_are_wiped_and_never_repeat)
{
	struct crypto *c = new_crypto();
	struct source s = { 0 };
	static struct crypto_random r;
	uint8_t a[24], b[24], zero[24] = { 0 };

	crypto_random_init(&r, counting_source, &s);
	EXPECT(crypto_random_get(c, &r, a, sizeof(a)) == RC_OK);
	EXPECT_MEM(r.pool, zero, sizeof(zero));
	EXPECT(crypto_random_get(c, &r, b, sizeof(b)) == RC_OK);
	EXPECT(memcmp(a, b, sizeof(a)) != 0);
	crypto_free(c);
}

TEST(a_wrapped_secret_opens_with_the_right_key_and_purpose_only)
{
	struct crypto *c = new_crypto();
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX], other[CRYPTO_DER_MAX], opub[CRYPTO_DER_MAX];
	size_t npriv = sizeof(priv), npub = sizeof(pub), nother = sizeof(other), nopub = sizeof(opub), i;
	uint8_t blob[CRYPTO_WRAP_LEN];
	struct secret in = { .b = "thirty-two bytes of data root.." }, out = { 0 };
	struct slice info = slice_str("recovery");

	EXPECT(crypto_wrap_keypair(priv, &npriv, pub, &npub) == RC_OK);
	EXPECT(crypto_wrap_keypair(other, &nother, opub, &nopub) == RC_OK);
	EXPECT(crypto_wrap(c, slice_of(pub, npub), info, &in, blob) == RC_OK);
	EXPECT(crypto_unwrap(c, slice_of(priv, npriv), info, blob, &out) == RC_OK);
	EXPECT_MEM(in.b, out.b, 32);
	EXPECT(crypto_unwrap(c, slice_of(other, nother), info, blob, &out) == RC_DENIED);
	EXPECT(crypto_unwrap(c, slice_of(priv, npriv), slice_str("other"), blob, &out) == RC_DENIED);
	for (i = 0; i < sizeof(blob); i++) {
		blob[i] ^= 4;
		EXPECT(crypto_unwrap(c, slice_of(priv, npriv), info, blob, &out) != RC_OK);
		blob[i] ^= 4;
	}
	for (i = 0; i < npub; i++)	/* a truncated public key is not a key */
		EXPECT(crypto_wrap(c, slice_of(pub, i), info, &in, blob) == RC_BAD_INPUT);
	crypto_free(c);
}

/* The vectors of the Hadoop encrypted-key construction: wrap IV = complement of the file IV. */
static void eek_vector(enum crypto_cipher cipher, size_t n, bool dek_series, const char *kek, const char *iv_hex,
		       const char *expect_hex)
{
	struct crypto *c = new_crypto();
	uint8_t key[32], iv[16], dek[32], out[32], expect[32];
	size_t i;

	test_unhex(kek, key, sizeof(key));
	test_unhex(iv_hex, iv, 16);
	for (i = 0; i < 16; i++)
		iv[i] ^= 0xff;
	if (dek_series)
		for (i = 0; i < n; i++)
			dek[i] = (uint8_t)(7 * i + 3);
	else
		test_unhex("fb00ff3e11223344556677889900aabb", dek, sizeof(dek));
	EXPECT_INT(test_unhex(expect_hex, expect, sizeof(expect)), n);
	EXPECT(crypto_ctr_key(c, 0, cipher, key, n) == RC_OK);
	EXPECT(crypto_ctr(c, 0, iv, dek, n, out) == RC_OK);
	EXPECT_MEM(out, expect, n);
	crypto_free(c);
}

#define SERIES "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define IV "00112233445566778899aabbccddeeff"

TEST(encrypted_keys_agree_with_hadoop_for_aes_128_192_256_a_wrapping_counter_and_sm4)
{
	eek_vector(CRYPTO_AES, 16, false, "000102030405060708090a0b0c0d0e0f", IV, "e087dc46687d7cb9224e22741eca3cf6");
	eek_vector(CRYPTO_AES, 16, false, "f0e1d2c3b4a5968778695a4b3c2d1e0f", IV, "c78c0322ddec4088b9be5829d8f37795");
	eek_vector(CRYPTO_AES, 32, true, SERIES, IV,
		   "4f542d08c24c02150f298a4c0e510a95e2fafa388ca8ee7b1249650782fcb7ce");
	eek_vector(CRYPTO_AES, 24, true, "000102030405060708090a0b0c0d0e0f1011121314151617", IV,
		   "3128c828872c881142cd1a29b0a765fc1058b72617b166f9");
	eek_vector(CRYPTO_AES, 32, true, SERIES, "00000000000000000000000000000000",
		   "ea93f50553815dee68c5582b0ad1328281ea813ea5df0274024123aa1ae0a25c");
	eek_vector(CRYPTO_SM4, 16, false, "000102030405060708090a0b0c0d0e0f", IV, "700639bd642c629aca4f0ffa0eeddd5f");
}

TEST(what_is_sealed_for_an_x25519_key_opens_with_it_alone_and_unchanged)
{
	struct secret key = { 0 }, other = { 0 };
	uint8_t pub[32], blob[100 + CRYPTO_UPLOAD_OVERHEAD], plain[100], out[100], zero[32] = { 0 };
	struct crypto *c;
	size_t i;

	EXPECT(crypto_start() == RC_OK);
	c = crypto_new();
	EXPECT(c != NULL);
	memset(plain, 0x5a, sizeof(plain));
	memset(key.b, 7, sizeof(key.b));
	memset(other.b, 8, sizeof(other.b));
	EXPECT(crypto_upload_public(&key, pub) == RC_OK);
	EXPECT(crypto_upload_seal(c, pub, slice_str("x"), slice_of(plain, sizeof(plain)), blob) == RC_OK);
	EXPECT(crypto_upload_open(c, &key, slice_str("x"), slice_of(blob, sizeof(blob)), out) == RC_OK);
	EXPECT_MEM(out, plain, sizeof(plain));
	EXPECT(crypto_upload_open(c, &other, slice_str("x"), slice_of(blob, sizeof(blob)), out) == RC_DENIED);
	EXPECT(crypto_upload_open(c, &key, slice_str("y"), slice_of(blob, sizeof(blob)), out) == RC_DENIED);
	for (i = 0; i < sizeof(blob); i++) {
		blob[i] ^= 1;
		EXPECT(crypto_upload_open(c, &key, slice_str("x"), slice_of(blob, sizeof(blob)), out) == RC_DENIED);
		blob[i] ^= 1;
	}
	for (i = 0; i < sizeof(blob); i++)
		EXPECT(crypto_upload_open(c, &key, slice_str("x"), slice_of(blob, i), out) != RC_OK);
	EXPECT(crypto_upload_seal(c, zero, slice_str("x"), slice_of(plain, 1), blob) == RC_BAD_INPUT);	/* of small order */
	crypto_free(c);
}

/* RFC 8032, section 7.1, tests 1 to 3. */
TEST(ed25519_matches_the_rfc_and_refuses_what_does_not_fit)
{
	static const struct {
		const char *key, *public, *text, *signature;
	} v[] = {
		{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
		  "655141438e7a100b" },
		{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
		  "b00d291612bb0c00" },
		{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
		  "c027beceea1ec40a" },
	};
	uint8_t want[64], public[32], sig[64], text[2];
	struct secret key;
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		test_unhex(v[i].key, key.b, 32);
		n = test_unhex(v[i].text, text, sizeof(text));
		test_unhex(v[i].public, want, 32);
		EXPECT_INT(crypto_ed25519_public(&key, public), RC_OK);
		EXPECT(memcmp(public, want, 32) == 0);
		EXPECT_INT(crypto_ed25519_sign(&key, slice_of(text, n), sig), RC_OK);
		test_unhex(v[i].signature, want, 64);
		EXPECT(memcmp(sig, want, 64) == 0);
		EXPECT_INT(crypto_ed25519_verify(public, slice_of(text, n), sig), RC_OK);
		sig[i] ^= 1;
		EXPECT_INT(crypto_ed25519_verify(public, slice_of(text, n), sig), RC_DENIED);
		sig[i] ^= 1;
		public[31] ^= 1;
		EXPECT(crypto_ed25519_verify(public, slice_of(text, n), sig) != RC_OK);
	}
}
