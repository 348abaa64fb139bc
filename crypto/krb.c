/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See krb.h. Algorithms are fetched at the first use and kept; contexts live for one call, keys derived in it are wiped.
 */
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/krb.h"

#define BLOCK 16u

static const struct etype {
	const char *cts, *ecb, *digest;
	size_t key_len, sum_len;
	size_t mac_key_len;	/* of Ki and Kc */
	int32_t sum_type;
	bool sha2;		/* RFC 8009: HMAC over the cipher text, keys by HMAC */
} table[] = {
	{ "AES-128-CBC-CTS", "AES-128-ECB", "SHA1", 16, 12, 16, 15, false },
	{ "AES-256-CBC-CTS", "AES-256-ECB", "SHA1", 32, 12, 32, 16, false },
	{ "AES-128-CBC-CTS", "AES-128-ECB", "SHA256", 16, 16, 16, 19, true },
	{ "AES-256-CBC-CTS", "AES-256-ECB", "SHA384", 32, 24, 24, 20, true },
};

static struct {
	EVP_CIPHER *cts[ARRAY_LEN(table)], *ecb[ARRAY_LEN(table)];
	EVP_MAC *hmac;
	bool ok;
} alg;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	size_t i;

	alg.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	alg.ok = alg.hmac != NULL;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		alg.cts[i] = EVP_CIPHER_fetch(NULL, table[i].cts, NULL);
		alg.ecb[i] = EVP_CIPHER_fetch(NULL, table[i].ecb, NULL);
		alg.ok = alg.ok && alg.cts[i] && alg.ecb[i];
	}
}

static const struct etype *etype_of(int32_t etype)
{
	if (etype < CRYPTO_KRB_AES128_SHA1 || etype > CRYPTO_KRB_AES256_SHA384)
		return NULL;
	return &table[etype - CRYPTO_KRB_AES128_SHA1];
}

size_t crypto_krb_key_len(int32_t etype)
{
	const struct etype *e = etype_of(etype);

	return e ? e->key_len : 0;
}

size_t crypto_krb_sum_len(int32_t etype)
{
	const struct etype *e = etype_of(etype);

	return e ? e->sum_len : 0;
}

int32_t crypto_krb_sum_type(int32_t etype)
{
	const struct etype *e = etype_of(etype);

	return e ? e->sum_type : 0;
}

static enum rc hmac(const struct etype *e, const uint8_t *key, size_t key_len, const struct slice *parts, size_t count,
		    uint8_t *out, size_t out_len)
{
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)e->digest, 0),
				OSSL_PARAM_construct_end() };
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(alg.hmac);
	uint8_t sum[EVP_MAX_MD_SIZE];
	size_t i, n = 0;
	bool ok = ctx && EVP_MAC_init(ctx, key, key_len, params) == 1;

	for (i = 0; ok && i < count; i++)
		ok = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_MAC_final(ctx, sum, &n, sizeof(sum)) == 1 && n >= out_len;
	EVP_MAC_CTX_free(ctx);
	if (ok)
		memcpy(out, sum, out_len);
	mem_wipe(sum, sizeof(sum));
	return ok ? RC_OK : RC_MACHINE;
}

static size_t gcd(size_t a, size_t b)
{
	while (b) {
		size_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/*
 * The input is repeated, each time rotated right by 13 more bits, until the length is a common multiple; then its pieces
 * of out_len bytes are added up in ones' complement. Here: each bit of the sum from the back, with the carry put in again.
 */
void crypto_krb_nfold(struct slice in, uint8_t *out, size_t out_len)
{
	size_t total = in.len / gcd(in.len, out_len) * out_len, bits = in.len * 8, i;
	unsigned carry = 0;

	memset(out, 0, out_len);
	for (i = total; i-- > 0;) {
		/* byte i of the repeated input: its rotation says where its bits come from */
		size_t first = (i % in.len * 8 + bits - 13 * (i / in.len) % bits) % bits, byte = first / 8;
		unsigned two = (unsigned)in.p[byte] << 8 | in.p[(byte + 1) % in.len];

		carry += (two >> (8 - first % 8) & 0xff) + out[i % out_len];
		out[i % out_len] = (uint8_t)carry;
		carry >>= 8;
	}
	for (i = out_len; carry && i-- > 0;) {
		carry += out[i];
		out[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

/* DR: the constant, folded to a block, encrypted again and again; random-to-key of AES changes nothing. */
static enum rc derive_aes(const struct etype *e, const uint8_t *key, struct slice constant, uint8_t *out, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t block[BLOCK];
	size_t done, n;
	int got = 0;
	bool ok = ctx && EVP_EncryptInit_ex2(ctx, alg.ecb[e - table], key, NULL, NULL) == 1 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;

	if (constant.len == BLOCK)
		memcpy(block, constant.p, BLOCK);
	else
		crypto_krb_nfold(constant, block, BLOCK);
	for (done = 0; ok && done < len; done += n) {
		ok = EVP_EncryptUpdate(ctx, block, &got, block, BLOCK) == 1 && got == BLOCK;
		n = len - done < BLOCK ? len - done : BLOCK;
		memcpy(out + done, block, n);
	}
	EVP_CIPHER_CTX_free(ctx);
	mem_wipe(block, sizeof(block));
	return ok ? RC_OK : RC_MACHINE;
}

static enum rc derive(const struct etype *e, const uint8_t *key, struct slice constant, uint8_t *out, size_t len)
{
	const uint8_t before[4] = { 0, 0, 0, 1 };
	const uint8_t behind[5] = { 0, 0, 0, (uint8_t)(len * 8 >> 8), (uint8_t)(len * 8) };
	const struct slice parts[] = { { before, 4 }, constant, { behind, 5 } };

	pthread_once(&fetched, fetch);
	if (!alg.ok)
		return RC_MACHINE;
	if (e->sha2)
		return hmac(e, key, e->key_len, parts, 3, out, len);
	return derive_aes(e, key, constant, out, len);
}

enum rc crypto_krb_derive(const struct crypto_krb_key *k, struct slice constant, uint8_t *out, size_t len)
{
	const struct etype *e = etype_of(k->etype);

	if (!e || constant.len == 0 || len == 0 || len > 48)
		return RC_BAD_INPUT;
	return derive(e, k->b, constant, out, len);
}

/* Kc, Ke, Ki of a usage: RFC 3961 section 5.3, RFC 8009 section 5. */
enum { FOR_SUM = 0x99, FOR_CIPHER = 0xaa, FOR_INTEGRITY = 0x55 };
static enum rc derive_for(const struct etype *e, const struct crypto_krb_key *k, uint32_t usage, uint8_t what,
			  uint8_t out[32])
{
	const uint8_t label[5] = { (uint8_t)(usage >> 24), (uint8_t)(usage >> 16), (uint8_t)(usage >> 8), (uint8_t)usage,
				   what };

	return derive(e, k->b, slice_of(label, 5), out, what == FOR_CIPHER ? e->key_len : e->mac_key_len);
}

/* CBC with stealing, the last two blocks always swapped (CS3), IV zero; in place. libcrypto wants it in one piece. */
static enum rc cts(const struct etype *e, const uint8_t *key, bool encrypt, uint8_t *buf, size_t len)
{
	static const uint8_t iv[BLOCK];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_CIPHER_PARAM_CTS_MODE, (char *)"CS3", 0),
				OSSL_PARAM_construct_end() };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	bool ok = ctx && len <= INT32_MAX &&
		  EVP_CipherInit_ex2(ctx, alg.cts[e - table], key, iv, encrypt, params) == 1 &&
		  EVP_CipherUpdate(ctx, buf, &n, buf, (int)len) == 1 && n == (int)len;

	EVP_CIPHER_CTX_free(ctx);
	return ok ? RC_OK : RC_MACHINE;
}

/* RFC 3962 authenticates the plain text, RFC 8009 the cipher text behind its IV. */
static enum rc integrity(const struct etype *e, const uint8_t *ki, const uint8_t *buf, size_t len, uint8_t *sum)
{
	static const uint8_t iv[BLOCK];
	const struct slice parts[] = { { iv, sizeof(iv) }, { buf, len } };

	return hmac(e, ki, e->mac_key_len, e->sha2 ? parts : parts + 1, e->sha2 ? 2 : 1, sum, e->sum_len);
}

enum rc crypto_krb_decrypt(const struct crypto_krb_key *k, uint32_t usage, uint8_t *buf, size_t len, struct slice *plain)
{
	const struct etype *e = etype_of(k->etype);
	SECRET ke = { 0 };
	SECRET ki = { 0 };
	uint8_t sum[CRYPTO_KRB_SUM_MAX];
	enum rc rc;

	if (!e || len < CRYPTO_KRB_CONFOUNDER + e->sum_len)
		return RC_BAD_INPUT;
	len -= e->sum_len;
	rc = derive_for(e, k, usage, FOR_CIPHER, ke.b);
	if (rc == RC_OK)
		rc = derive_for(e, k, usage, FOR_INTEGRITY, ki.b);
	if (rc == RC_OK && e->sha2)
		rc = integrity(e, ki.b, buf, len, sum);
	if (rc == RC_OK && e->sha2 && !ct_equal(sum, buf + len, e->sum_len))
		rc = RC_DENIED;
	if (rc == RC_OK)
		rc = cts(e, ke.b, false, buf, len);
	if (rc == RC_OK && !e->sha2)
		rc = integrity(e, ki.b, buf, len, sum);
	if (rc == RC_OK && !e->sha2 && !ct_equal(sum, buf + len, e->sum_len))
		rc = RC_DENIED;
	if (rc == RC_OK)
		*plain = slice_of(buf + CRYPTO_KRB_CONFOUNDER, len - CRYPTO_KRB_CONFOUNDER);
	else
		mem_wipe(buf, len + e->sum_len);
	return rc;
}

enum rc crypto_krb_encrypt(const struct crypto_krb_key *k, uint32_t usage, const uint8_t confounder[CRYPTO_KRB_CONFOUNDER],
			   uint8_t *buf, size_t len, size_t *out_len)
{
	const struct etype *e = etype_of(k->etype);
	SECRET ke = { 0 };
	SECRET ki = { 0 };
	enum rc rc;

	if (!e || __builtin_add_overflow(len, CRYPTO_KRB_CONFOUNDER, &len))
		return RC_BAD_INPUT;
	memcpy(buf, confounder, CRYPTO_KRB_CONFOUNDER);
	rc = derive_for(e, k, usage, FOR_CIPHER, ke.b);
	if (rc == RC_OK)
		rc = derive_for(e, k, usage, FOR_INTEGRITY, ki.b);
	if (rc == RC_OK && !e->sha2)
		rc = integrity(e, ki.b, buf, len, buf + len);
	if (rc == RC_OK)
		rc = cts(e, ke.b, true, buf, len);
	if (rc == RC_OK && e->sha2)
		rc = integrity(e, ki.b, buf, len, buf + len);
	if (rc == RC_OK)
		*out_len = len + e->sum_len;
	return rc;
}

enum rc crypto_krb_checksum(const struct crypto_krb_key *k, uint32_t usage, const struct slice *parts, size_t count,
			    uint8_t out[CRYPTO_KRB_SUM_MAX])
{
	const struct etype *e = etype_of(k->etype);
	SECRET kc = { 0 };
	enum rc rc;

	if (!e)
		return RC_BAD_INPUT;
	rc = derive_for(e, k, usage, FOR_SUM, kc.b);
	if (rc == RC_OK)
		rc = hmac(e, kc.b, e->mac_key_len, parts, count, out, e->sum_len);
	return rc;
}
