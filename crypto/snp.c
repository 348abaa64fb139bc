/* SPDX-License-Identifier: Apache-2.0 */
/* See snp.h. Each call makes its context anew: messages to a secure processor are few. */
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "crypto/snp.h"

enum rc crypto_gcm_seal(const struct secret *key, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct slice aad, uint8_t *data,
			size_t len, uint8_t tag[CRYPTO_GCM_TAG_LEN])
{
	EVP_CIPHER_CTX *c = len <= INT32_MAX && aad.len <= INT32_MAX ? EVP_CIPHER_CTX_new() : NULL;
	int n = 0;
	bool ok = c && EVP_EncryptInit_ex2(c, EVP_aes_256_gcm(), key->b, iv, NULL) == 1 &&
		  (aad.len == 0 || EVP_EncryptUpdate(c, NULL, &n, aad.p, (int)aad.len) == 1) &&
		  (len == 0 || EVP_EncryptUpdate(c, data, &n, data, (int)len) == 1) &&
		  EVP_EncryptFinal_ex(c, data + len, &n) == 1 &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRYPTO_GCM_TAG_LEN, tag) == 1;

	EVP_CIPHER_CTX_free(c);
	if (!ok)
		mem_wipe(data, len);
	return ok ? RC_OK : RC_MACHINE;
}

enum rc crypto_gcm_open(const struct secret *key, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct slice aad, uint8_t *data,
			size_t len, const uint8_t tag[CRYPTO_GCM_TAG_LEN])
{
	EVP_CIPHER_CTX *c = len <= INT32_MAX && aad.len <= INT32_MAX ? EVP_CIPHER_CTX_new() : NULL;
	uint8_t expect[CRYPTO_GCM_TAG_LEN];
	enum rc rc = RC_MACHINE;
	int n = 0;

	memcpy(expect, tag, sizeof(expect));
	if (c && EVP_DecryptInit_ex2(c, EVP_aes_256_gcm(), key->b, iv, NULL) == 1 &&
	    (aad.len == 0 || EVP_DecryptUpdate(c, NULL, &n, aad.p, (int)aad.len) == 1) &&
	    (len == 0 || EVP_DecryptUpdate(c, data, &n, data, (int)len) == 1) &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CRYPTO_GCM_TAG_LEN, expect) == 1)
		rc = EVP_DecryptFinal_ex(c, data + len, &n) == 1 ? RC_OK : RC_DENIED;
	EVP_CIPHER_CTX_free(c);
	if (rc != RC_OK)
		mem_wipe(data, len);
	return rc;
}

struct crypto_hash {
	EVP_MD_CTX *ctx;
	unsigned bits;	/* 0: not begun */
};

struct crypto_hash *crypto_hash_new(void)
{
	struct crypto_hash *h = calloc(1, sizeof(*h));

	if (h && !(h->ctx = EVP_MD_CTX_new())) {
		free(h);
		return NULL;
	}
	return h;
}

void crypto_hash_free(struct crypto_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

enum rc crypto_hash_begin(struct crypto_hash *h, unsigned bits)
{
	INVARIANT(bits == 384 || bits == 512);
	h->bits = 0;
	if (EVP_DigestInit_ex2(h->ctx, bits == 384 ? EVP_sha384() : EVP_sha512(), NULL) != 1)
		return RC_MACHINE;
	h->bits = bits;
	return RC_OK;
}

enum rc crypto_hash_add(struct crypto_hash *h, struct slice s)
{
	INVARIANT(h->bits != 0);
	return s.len == 0 || EVP_DigestUpdate(h->ctx, s.p, s.len) == 1 ? RC_OK : RC_MACHINE;
}

enum rc crypto_hash_end(struct crypto_hash *h, uint8_t *out)
{
	unsigned bits = h->bits, n = 0;
	uint8_t sum[EVP_MAX_MD_SIZE];

	INVARIANT(bits != 0);
	h->bits = 0;
	if (EVP_DigestFinal_ex(h->ctx, sum, &n) != 1 || n != bits / 8)
		return RC_MACHINE;
	memcpy(out, sum, n);
	return RC_OK;
}

/* d: NULL for a public key. NULL: not a key of this curve, or no memory. */
static EVP_PKEY *key_of(const uint8_t *d, const struct crypto_p384_public *q)
{
	static char group[] = "P-384";
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t point[1 + 2 * CRYPTO_P384_LEN] = { 4 }, number[CRYPTO_P384_LEN] = { 0 };
	OSSL_PARAM params[4];
	EVP_PKEY *key = NULL;
	size_t n = 0, i;

	memcpy(point + 1, q->x, sizeof(q->x));
	memcpy(point + 1 + sizeof(q->x), q->y, sizeof(q->y));
	params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[n++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
	if (d) {
		for (i = 0; i < sizeof(number); i++)	/* parameters hold numbers as the machine does */
			number[i] = d[sizeof(number) - 1 - i];
		params[n++] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, number, sizeof(number));
	}
	params[n] = OSSL_PARAM_construct_end();
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	mem_wipe(number, sizeof(number));
	return key;
}

/* Whether the private half belongs to the public one, and both are in range. */
static bool key_is_sound(EVP_PKEY *key, bool pair)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && (pair ? EVP_PKEY_pairwise_check(ctx) : EVP_PKEY_public_check(ctx)) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool signature_numbers(const uint8_t *der, size_t len, struct crypto_p384_signature *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out->r, sizeof(out->r)) == CRYPTO_P384_LEN &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), out->s, sizeof(out->s)) == CRYPTO_P384_LEN;

	ECDSA_SIG_free(sig);
	return ok;
}

enum rc crypto_p384_sign(const uint8_t d[CRYPTO_P384_LEN], const struct crypto_p384_public *q, struct slice message,
			 struct crypto_p384_signature *out)
{
	EVP_PKEY *key = key_of(d, q);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct crypto_p384_signature sig;
	uint8_t der[128];
	size_t len = sizeof(der);
	enum rc rc = RC_MACHINE;

	if (!key || !key_is_sound(key, true))
		rc = RC_BAD_INPUT;
	else if (ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1 &&
		 EVP_DigestSign(ctx, der, &len, message.p, message.len) == 1 && signature_numbers(der, len, &sig))
		rc = RC_OK;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (rc == RC_OK)
		*out = sig;
	return rc;
}

/* Writes DER; returns its length, 0: no memory. */
static size_t signature_der(const struct crypto_p384_signature *sig, uint8_t out[128])
{
	BIGNUM *r = BN_bin2bn(sig->r, sizeof(sig->r), NULL), *s = BN_bin2bn(sig->s, sizeof(sig->s), NULL);
	ECDSA_SIG *e = ECDSA_SIG_new();
	int len = 0;

	if (r && s && e && ECDSA_SIG_set0(e, r, s) == 1) {	/* which takes r and s */
		r = s = NULL;
		len = i2d_ECDSA_SIG(e, NULL);
		len = len > 0 && len <= 128 ? i2d_ECDSA_SIG(e, &out) : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(e);
	return len > 0 ? (size_t)len : 0;
}

enum rc crypto_p384_verify(const struct crypto_p384_public *q, struct slice message,
			   const struct crypto_p384_signature *sig)
{
	EVP_PKEY *key = key_of(NULL, q);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128];
	size_t len = signature_der(sig, der);
	enum rc rc = RC_MACHINE;

	if (!key || !key_is_sound(key, false))
		rc = RC_BAD_INPUT;
	else if (len && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1)
		rc = EVP_DigestVerify(ctx, der, len, message.p, message.len) == 1 ? RC_OK : RC_DENIED;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

enum rc crypto_os_random(void *out, size_t len)
{
	return len <= INT32_MAX && RAND_priv_bytes(out, (int)len) == 1 ? RC_OK : RC_MACHINE;
}
