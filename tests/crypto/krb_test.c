/* SPDX-License-Identifier: Apache-2.0 */
/* Kerberos' encryption types; known answers name their source. */
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/krb.h"
#include "tests/test.h"

static struct crypto_krb_key key_of(int32_t etype, const char *hex)
{
	struct crypto_krb_key k = { .etype = etype };

	EXPECT_INT(test_unhex(hex, k.b, sizeof(k.b)), crypto_krb_key_len(etype));
	return k;
}

static bool is_hex(const void *p, size_t len, const char *hex)
{
	uint8_t want[256];

	return test_unhex(hex, want, sizeof(want)) == len && memcmp(p, want, len) == 0;
}

TEST(n_fold_agrees_with_rfc_3961_appendix_a_1)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} v[] = {
		{ "012345", 8, "be072631276b1955" },
		{ "password", 7, "78a07b6caf85fa" },
		{ "Rough Consensus, and Running Code", 8, "bb6ed30870b7f0e0" },
		{ "password", 21, "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e" },
		{ "MASSACHVSETTS INSTITVTE OF TECHNOLOGY", 24, "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b" },
		{ "Q", 21, "518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15" },
		{ "ba", 21, "fb25d531 ae897449 9f52fd92 ea9857c4 ba24cf29 7e" },
		{ "kerberos", 8, "6b65726265726f73" },
		{ "kerberos", 16, "6b65726265726f737b9b5b2b93132b93" },
		{ "kerberos", 21, "8372c236344e5f1550cd0747e15d62ca7a5a3bcea4" },
		{ "kerberos", 32, "6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4" },
	};
	uint8_t out[32];
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		crypto_krb_nfold(slice_str(v[i].in), out, v[i].len);
		EXPECT(is_hex(out, v[i].len, v[i].out));
	}
}

/* Raw stealing is libcrypto's: what we rely on is that its CS3 is the mode that Kerberos means. */
TEST(cipher_text_stealing_agrees_with_rfc_3962_appendix_b)
{
	static const char text[] = "I would like the General Gau's Chicken, please, and wonton soup.";
	static const struct {
		size_t len;
		const char *out;
	} v[] = {
		{ 17, "c6353568f2bf8cb4d8a580362da7ff7f97" },
		{ 31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5" },
		{ 32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584" },
		{ 47, "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e"
		      "39312523a78662d5be7fcbcc98ebf5" },
		{ 48, "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd8"
		      "39312523a78662d5be7fcbcc98ebf5a8" },
		{ 64, "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a8"
		      "4807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8" },
	};
	static const uint8_t iv[16];
	OSSL_PARAM cs3[] = { OSSL_PARAM_construct_utf8_string(OSSL_CIPHER_PARAM_CTS_MODE, (char *)"CS3", 0),
			     OSSL_PARAM_construct_end() };
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC-CTS", NULL);
	uint8_t out[64];
	size_t i;
	int n;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

		EXPECT(EVP_EncryptInit_ex2(c, cipher, (const uint8_t *)"chicken teriyaki", iv, cs3) == 1);
		EXPECT(EVP_EncryptUpdate(c, out, &n, (const uint8_t *)text, (int)v[i].len) == 1);
		EXPECT_INT(n, v[i].len);
		EXPECT(is_hex(out, v[i].len, v[i].out));
		EVP_CIPHER_CTX_free(c);
	}
	EVP_CIPHER_free(cipher);
}

TEST(password_keys_agree_with_rfc_3962_appendix_b)
{
	static const struct {
		int rounds;
		int32_t etype;
		const char *key;
	} v[] = {
		{ 1, 17, "42263c6e89f4fc28b8df68ee09799f15" },
		{ 1, 18, "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161" },
		{ 2, 17, "c651bf29e2300ac27fa469d693bdda13" },
		{ 2, 18, "a2e16d16b36069c135d5e9d2e25f896102685618b95914b467c67622225824ff" },
		{ 1200, 17, "4c01cd46d632d01e6dbe230a01ed642a" },
		{ 1200, 18, "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a" },
	};
	static const char salt[] = "ATHENA.MIT.EDUraeburn";
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		struct crypto_krb_key k = { .etype = v[i].etype };
		size_t len = crypto_krb_key_len(k.etype);
		uint8_t out[32];

		EXPECT(PKCS5_PBKDF2_HMAC("password", 8, (const uint8_t *)salt, sizeof(salt) - 1, v[i].rounds, EVP_sha1(),
					 (int)len, k.b) == 1);
		EXPECT(crypto_krb_derive(&k, slice_str("kerberos"), out, len) == RC_OK);
		EXPECT(is_hex(out, len, v[i].key));
	}
}

TEST(password_keys_agree_with_rfc_8009_appendix_a)
{
	static const struct {
		int32_t etype;
		const char *name, *key;
	} v[] = {
		{ 19, "aes128-cts-hmac-sha256-128", "089bca48b105ea6ea77ca5d2f39dc5e7" },
		{ 20, "aes256-cts-hmac-sha384-192",
		  "45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467" },
	};
	size_t i;

	for (i = 0; i < 2; i++) {
		struct crypto_krb_key k = { .etype = v[i].etype };
		size_t len = crypto_krb_key_len(k.etype), n = strlen(v[i].name) + 1;
		uint8_t salt[128], out[32];

		memcpy(salt, v[i].name, n);
		n += test_unhex("10df9dd783e5bc8acea1730e74355f61", salt + n, 16);
		memcpy(salt + n, "ATHENA.MIT.EDUraeburn", 21);
		n += 21;
		EXPECT(PKCS5_PBKDF2_HMAC("password", 8, salt, (int)n, 32768, i ? EVP_sha384() : EVP_sha256(), (int)len,
					 k.b) == 1);
		EXPECT(crypto_krb_derive(&k, slice_str("kerberos"), out, len) == RC_OK);
		EXPECT(is_hex(out, len, v[i].key));
	}
}

/* RFC 8009 appendix A; for RFC 3962 of MIT Kerberos' t_derive.c, which starts from the keys of the RFC. Usage 2. */
TEST(derived_keys_agree_with_rfc_8009_and_with_mit)
{
	static const struct {
		int32_t etype;
		const char *base;
		const char *kc, *ke, *ki;
	} v[] = {
		{ 17, "42263c6e89f4fc28b8df68ee09799f15", "34280a382bc92769b2da2f9ef066854b",
		  "5b14fc4e250e14ddf9dccf1af6674f53", "4ed31063621684f09ae8d89991af3e8f" },
		{ 18, "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
		  "bfab388bdcb238e9f9c98d6a878304f04d30c82556375ac507a7a852790f4674",
		  "c7cfd9cd75fe793a586a542d87e0d1396f1134a104bb1a9190b8c90ada3ddf37",
		  "97151b4c76945063e2eb0529dc067d97d7bba90776d8126d91f34f3101aea8ba" },
		{ 19, "3705d96080c17728a0e800eab6e0d23c", "b31a018a48f54776f403e9a396325dc3",
		  "9b197dd1e8c5609d6e67c3e37c62c72e", "9fda0e56ab2d85e1569a688696c26a6c" },
		{ 20, "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
		  "ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d",
		  "56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49",
		  "69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		struct crypto_krb_key k = key_of(v[i].etype, v[i].base);
		uint8_t label[5] = { 0, 0, 0, 2, 0x99 }, out[32];
		size_t ki = strlen(v[i].ki) / 2, ke = strlen(v[i].ke) / 2;

		EXPECT(crypto_krb_derive(&k, slice_of(label, 5), out, ki) == RC_OK && is_hex(out, ki, v[i].kc));
		label[4] = 0xaa;
		EXPECT(crypto_krb_derive(&k, slice_of(label, 5), out, ke) == RC_OK && is_hex(out, ke, v[i].ke));
		label[4] = 0x55;
		EXPECT(crypto_krb_derive(&k, slice_of(label, 5), out, ki) == RC_OK && is_hex(out, ki, v[i].ki));
	}
}

/* RFC 8009 appendix A, and the known cipher texts of MIT Kerberos' t_decrypt.c. */
static const struct sample {
	int32_t etype;
	uint32_t usage;
	const char *text;	/* NULL: the bytes 0, 1, 2... */
	size_t len;
	const char *key, *confounder, *cipher;
} samples[] = {
#define A19 "3705d96080c17728a0e800eab6e0d23c"
#define A20 "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52"
	{ 19, 2, NULL, 0, A19, "7e5895eaf2672435bad817f545a37148",
	  "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718" },
	{ 19, 2, NULL, 6, A19, "7bca285e2fd4130fb55b1a5c83bc5b24",
	  "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c" },
	{ 19, 2, NULL, 16, A19, "56ab21713ff62c0a1457200f6fa9948f",
	  "3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc295fb4852e7d83e1e7c48c37eebe6b0d3" },
	{ 19, 2, NULL, 21, A19, "a7a4e29a4728ce10664fb64e49ad3fac",
	  "720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a413c2f92ca9b8334a287ffcbfc" },
	{ 20, 2, NULL, 0, A20, "f764e9fa15c276478b2c7d0c4e5f58e4",
	  "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c" },
	{ 20, 2, NULL, 6, A20, "b80d3251c1f6471494256ffe712d0b9a",
	  "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2" },
	{ 20, 2, NULL, 16, A20, "53bf8a0d105265d4e276428624ce5e63",
	  "bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f6"
	  "8cf51f14d798c2273f35df574d1f932e40c4ff255b36a266" },
	{ 20, 2, NULL, 21, A20, "763e65367e864f02f55153c7e3b58af1",
	  "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2"
	  "b2a602ac86fef6ecb647d6295fae077a1feb517508d2c16b4192e01f62" },
	{ 17, 1, "1", 1, "98450e3f3baa13f5c99beb936981b06f", NULL,
	  "f86742f537b35dc2174a4dbaa920faf9042090b065e1ebb1cad9a65394" },
	{ 17, 0, "", 0, "5a5c0f0ba54f3828b2195e66ca24a289", NULL,
	  "49ff8e11c173d9583a3254fbe7b1f1df36c538e8416784a1672e6676" },
	{ 17, 4, "30 bytes bytes bytes bytes byt", 30, "dceeb70b3de76562e689226c76429148", NULL,
	  "c96081032d5d8eeb7e32b4089f789d0faa481dea74c0f97cbf3146ddfcf8e800"
	  "156ecb532fc203e30ff600b63b350939fece510f02d7ff1e7bac" },
	{ 18, 0, "", 0, "17f275f2954f2ed1f90c377ba7f4d6a369aa0136e0bf0c927ad6133c693759a9", NULL,
	  "e5094c55ee7b38262e2b044280b069379a95bf95bd8376fb3281b435" },
	{ 18, 2, "9 bytesss", 9, "b1ae4cd8462aff1677053cc9279aac30b796fb81ce21474dd3ddbcfea4ec76d7", NULL,
	  "09957aa25fcaf88f7b39e4406e633012d5fea21853f6478da7065caef41fd454a40824eec5" },
	{ 18, 4, "30 bytes bytes bytes bytes byt", 30,
	  "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398", NULL,
	  "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a"
	  "295c688858f3b34b9cbd6eebae81daf6b734d4d498b6714f1c1d" },
};

TEST(encryption_agrees_with_rfc_8009_and_with_mit)
{
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(samples); i++) {
		const struct sample *s = &samples[i];
		struct crypto_krb_key k = key_of(s->etype, s->key);
		uint8_t buf[128], want[128], text[64];
		size_t n = test_unhex(s->cipher, want, sizeof(want)), out_len;
		struct slice plain;

		for (j = 0; j < s->len; j++)
			text[j] = s->text ? (uint8_t)s->text[j] : (uint8_t)j;
		memcpy(buf, want, n);
		EXPECT(crypto_krb_decrypt(&k, s->usage, buf, n, &plain) == RC_OK);
		EXPECT(slice_eq(plain, slice_of(text, s->len)));
		if (s->confounder)
			EXPECT(is_hex(buf, 16, s->confounder));
		/* and back, with the confounder that was in it */
		{
			uint8_t confounder[16];

			memcpy(confounder, buf, 16);
			memset(buf, 0xee, 16);
			EXPECT(crypto_krb_encrypt(&k, s->usage, confounder, buf, s->len, &out_len) == RC_OK);
			EXPECT_INT(out_len, n);
			EXPECT_MEM(buf, want, n);
		}
	}
}

TEST(checksums_agree_with_rfc_8009_and_with_mit)
{
	static const struct {
		int32_t etype;
		uint32_t usage;
		const char *text;
		const char *key, *sum;
	} v[] = {
		{ 17, 3, "eight nine ten eleven twelve thirteen", "9062430c8cda3388922e6d6a509f5b7a",
		  "01a4b088d45628f6946614e3" },
		{ 18, 4, "fourteen", "b1ae4cd8462aff1677053cc9279aac30b796fb81ce21474dd3ddbcfea4ec76d7",
		  "e08739e3279e2903ec8e3836" },
		{ 19, 2, NULL, A19, "d78367186643d67b411cba9139fc1dee" },
		{ 20, 2, NULL, A20, "45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a" },
	};
	uint8_t bytes[21], sum[CRYPTO_KRB_SUM_MAX];
	size_t i, j;

	for (j = 0; j < sizeof(bytes); j++)
		bytes[j] = (uint8_t)j;
	for (i = 0; i < ARRAY_LEN(v); i++) {
		struct crypto_krb_key k = key_of(v[i].etype, v[i].key);
		struct slice all = v[i].text ? slice_str(v[i].text) : slice_of(bytes, sizeof(bytes));
		struct slice parts[] = { { all.p, 5 }, { all.p + 5, all.len - 5 } };

		EXPECT(crypto_krb_checksum(&k, v[i].usage, parts, 2, sum) == RC_OK);
		EXPECT(is_hex(sum, crypto_krb_sum_len(k.etype), v[i].sum));
	}
}

TEST(a_changed_bit_a_cut_or_another_usage_is_refused_and_leaves_nothing)
{
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(samples); i++) {
		const struct sample *s = &samples[i];
		struct crypto_krb_key k = key_of(s->etype, s->key);
		uint8_t buf[128], want[128], zero[128] = { 0 };
		size_t n = test_unhex(s->cipher, want, sizeof(want));
		struct slice plain;

		for (j = 0; j < n; j++) {
			memcpy(buf, want, n);
			buf[j] ^= (uint8_t)(1 << j % 8);
			EXPECT(crypto_krb_decrypt(&k, s->usage, buf, n, &plain) == RC_DENIED);
			EXPECT_MEM(buf, zero, n);
			uint8_t *cut = test_fence(want, j);

			EXPECT(crypto_krb_decrypt(&k, s->usage, cut, j, &plain) != RC_OK);
			test_fence_free(cut, j);
		}
		memcpy(buf, want, n);
		EXPECT(crypto_krb_decrypt(&k, s->usage + 1, buf, n, &plain) == RC_DENIED);
	}
}

TEST(every_length_goes_there_and_back)
{
	static const int32_t types[] = { 17, 18, 19, 20 };
	uint8_t confounder[16] = "confounderconfo";
	size_t i, len, n;

	for (i = 0; i < 4; i++)
		for (len = 0; len < 100; len++) {
			struct crypto_krb_key k = { .etype = types[i], .b = { 1, 2, 3 } };
			uint8_t *buf = malloc(len + CRYPTO_KRB_OVERHEAD_MAX);
			struct slice plain;

			memset(buf, (int)len, len + CRYPTO_KRB_OVERHEAD_MAX);
			EXPECT(crypto_krb_encrypt(&k, 7, confounder, buf, len, &n) == RC_OK);
			EXPECT_INT(n, len + 16 + crypto_krb_sum_len(k.etype));
			EXPECT(crypto_krb_decrypt(&k, 7, buf, n, &plain) == RC_OK && plain.len == len);
			EXPECT(len == 0 || (plain.p[0] == len && plain.p[len - 1] == len));
			free(buf);
		}
}

TEST(other_encryption_types_are_refused)
{
	static const int32_t types[] = { -1, 0, 1, 3, 16, 21, 23, 24, 25, 26, INT32_MAX, INT32_MIN };
	uint8_t buf[128] = { 0 };
	struct slice plain;
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(types); i++) {
		struct crypto_krb_key k = { .etype = types[i] };

		EXPECT(crypto_krb_key_len(types[i]) == 0 && crypto_krb_sum_len(types[i]) == 0);
		EXPECT(crypto_krb_decrypt(&k, 2, buf, sizeof(buf), &plain) == RC_BAD_INPUT);
		EXPECT(crypto_krb_encrypt(&k, 2, buf, buf, 16, &n) == RC_BAD_INPUT);
		EXPECT(crypto_krb_checksum(&k, 2, NULL, 0, buf) == RC_BAD_INPUT);
		EXPECT(crypto_krb_derive(&k, slice_str("x"), buf, 16) == RC_BAD_INPUT);
	}
}
