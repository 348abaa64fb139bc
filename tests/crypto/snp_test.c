/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers: AES-256-GCM, McGrew and Viega, test cases 13, 14 and 16 (key of 32 bytes, IV of 12); SHA, FIPS 180-4
 * ("abc"); ECDSA on P-384 with SHA-384, RFC 6979 A.2.6, message "sample".
 */
#include "crypto/crypto.h"
#include "crypto/snp.h"
#include "tests/test.h"

static struct secret key;
static uint8_t iv[12], data[64], tag[16];

static bool is_hex(const uint8_t *p, const char *hex)
{
	uint8_t want[256];
	size_t n = test_unhex(hex, want, sizeof(want));

	return memcmp(p, want, n) == 0;
}

TEST(gcm_of_nothing_is_its_known_answer)
{
	memset(&key, 0, sizeof(key));
	memset(iv, 0, sizeof(iv));
	EXPECT(crypto_gcm_seal(&key, iv, slice_of(NULL, 0), data, 0, tag) == RC_OK);
	EXPECT(is_hex(tag, "530f8afbc74536b9a963b4f1c4cb738b"));
	EXPECT(crypto_gcm_open(&key, iv, slice_of(NULL, 0), data, 0, tag) == RC_OK);
	tag[0] ^= 1;
	EXPECT(crypto_gcm_open(&key, iv, slice_of(NULL, 0), data, 0, tag) == RC_DENIED);
}

TEST(gcm_of_a_block_is_its_known_answer)
{
	memset(&key, 0, sizeof(key));
	memset(iv, 0, sizeof(iv));
	memset(data, 0, sizeof(data));
	EXPECT(crypto_gcm_seal(&key, iv, slice_of(NULL, 0), data, 16, tag) == RC_OK);
	EXPECT(is_hex(data, "cea7403d4d606b6e074ec5d3baf39d18") && is_hex(tag, "d0d1c8a799996bf0265b98b5d48ab919"));
}

static const char text16[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
static uint8_t aad16[20];

static void case16(void)
{
	test_unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key.b, sizeof(key.b));
	test_unhex("cafebabefacedbaddecaf888", iv, sizeof(iv));
	test_unhex(text16, data, sizeof(data));
	test_unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad16, sizeof(aad16));
	EXPECT(crypto_gcm_seal(&key, iv, slice_of(aad16, 20), data, 60, tag) == RC_OK);
}

TEST(gcm_with_additional_data_is_its_known_answer_and_opens)
{
	case16();
	EXPECT(is_hex(data, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
			    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"));
	EXPECT(is_hex(tag, "76fc6ece0f4e1768cddf8853bb2d551b"));
	EXPECT(crypto_gcm_open(&key, iv, slice_of(aad16, 20), data, 60, tag) == RC_OK);
	EXPECT(is_hex(data, text16));
}

TEST(gcm_opens_nothing_that_was_changed_and_leaves_no_plaintext)
{
	static const uint8_t zeros[60];
	uint8_t *const changed[] = { key.b, &iv[11], &aad16[19], &data[59], &tag[15] };
	size_t i;

	for (i = 0; i < ARRAY_LEN(changed); i++) {
		case16();
		*changed[i] ^= 0x80;
		EXPECT(crypto_gcm_open(&key, iv, slice_of(aad16, 20), data, 60, tag) == RC_DENIED);
		EXPECT_MEM(data, zeros, 60);
	}
}

TEST(hashes_in_pieces_are_those_of_the_standard)
{
	struct crypto_hash *h = crypto_hash_new();
	uint8_t out[64];

	EXPECT(h && crypto_hash_begin(h, 384) == RC_OK);
	EXPECT(crypto_hash_add(h, slice_str("lost")) == RC_OK);
	EXPECT(crypto_hash_begin(h, 384) == RC_OK);	/* begins anew */
	EXPECT(crypto_hash_add(h, slice_str("ab")) == RC_OK && crypto_hash_add(h, slice_of(NULL, 0)) == RC_OK &&
	       crypto_hash_add(h, slice_str("c")) == RC_OK && crypto_hash_end(h, out) == RC_OK);
	EXPECT(is_hex(out, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"));
	EXPECT(crypto_hash_begin(h, 512) == RC_OK && crypto_hash_add(h, slice_str("abc")) == RC_OK &&
	       crypto_hash_end(h, out) == RC_OK);
	EXPECT(is_hex(out, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
	crypto_hash_free(h);
	crypto_hash_free(NULL);
}

static uint8_t d[48];
static struct crypto_p384_public q;
static struct crypto_p384_signature sig;

static void rfc6979(void)
{
	test_unhex("6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5", d, 48);
	test_unhex("ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13", q.x, 48);
	test_unhex("8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720", q.y, 48);
	test_unhex("94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46", sig.r, 48);
	test_unhex("99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8", sig.s, 48);
}

TEST(a_known_signature_is_accepted)
{
	rfc6979();
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_OK);
}

TEST(a_signature_for_another_message_or_by_another_key_is_refused)
{
	rfc6979();
	EXPECT(crypto_p384_verify(&q, slice_str("simple"), &sig) == RC_DENIED);
	sig.s[47] ^= 1;
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_DENIED);
	memset(&sig, 0, sizeof(sig));
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_DENIED);
	memset(&sig, 0xff, sizeof(sig));
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_DENIED);
}

TEST(numbers_that_are_no_point_of_the_curve_are_refused)
{
	rfc6979();
	q.y[47] ^= 1;
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_BAD_INPUT);
	memset(&q, 0, sizeof(q));
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_BAD_INPUT);
	memset(&q, 0xff, sizeof(q));
	EXPECT(crypto_p384_verify(&q, slice_str("sample"), &sig) == RC_BAD_INPUT);
}

TEST(what_was_signed_verifies_and_no_two_signatures_are_alike)
{
	struct crypto_p384_signature other;

	rfc6979();
	EXPECT(crypto_p384_sign(d, &q, slice_str("message"), &sig) == RC_OK);
	EXPECT(crypto_p384_verify(&q, slice_str("message"), &sig) == RC_OK);
	EXPECT(crypto_p384_sign(d, &q, slice_str("message"), &other) == RC_OK);
	EXPECT(memcmp(sig.r, other.r, 48) != 0);
}

TEST(halves_of_different_keys_do_not_sign)
{
	rfc6979();
	d[47] ^= 1;
	EXPECT(crypto_p384_sign(d, &q, slice_str("message"), &sig) == RC_BAD_INPUT);
	memset(d, 0, sizeof(d));
	EXPECT(crypto_p384_sign(d, &q, slice_str("message"), &sig) == RC_BAD_INPUT);
	memset(d, 0xff, sizeof(d));	/* beyond the group's order */
	EXPECT(crypto_p384_sign(d, &q, slice_str("message"), &sig) == RC_BAD_INPUT);
}
