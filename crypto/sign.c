/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA on P-384 with SHA-384: what an owner signs, and the core checks. Nothing of that is secret but the
 * private key that crypto_sign() is given, outside of the service. Ed25519: what the core signs itself.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/crypto.h"

static bool is_p384(EVP_PKEY *k)
{
	char name[32];
	size_t n;

	return EVP_PKEY_is_a(k, "EC") == 1 && EVP_PKEY_get_group_name(k, name, sizeof(name), &n) == 1 &&
	       (strcmp(name, "secp384r1") == 0 || strcmp(name, "P-384") == 0);
}

enum rc crypto_verify(struct slice public_der, struct slice text, struct slice signature)
{
	const uint8_t *der = public_der.p;
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY *k = NULL;
	enum rc rc = RC_BAD_INPUT;

	if (public_der.len <= CRYPTO_DER_MAX)
		k = d2i_PUBKEY(NULL, &der, (long)public_der.len);
	if (k && der == public_der.p + public_der.len && is_p384(k)) {
		ctx = EVP_MD_CTX_new();
		rc = RC_MACHINE;
		if (ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA384", NULL, NULL, k, NULL) == 1)
			rc = EVP_DigestVerify(ctx, signature.p, signature.len, text.p, text.len) == 1 ? RC_OK : RC_DENIED;
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return rc;
}

enum rc crypto_sign(struct slice private_der, struct slice text, uint8_t *signature, size_t *len)
{
	const uint8_t *der = private_der.p;
	EVP_PKEY *k = d2i_AutoPrivateKey(NULL, &der, (long)private_der.len);
	EVP_MD_CTX *ctx = NULL;
	enum rc rc = RC_BAD_INPUT;

	if (k && is_p384(k)) {
		ctx = EVP_MD_CTX_new();
		rc = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, k, NULL) == 1 &&
				     EVP_DigestSign(ctx, signature, len, text.p, text.len) == 1 ?
			     RC_OK :
			     RC_MACHINE;
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return rc;
}

enum rc crypto_public_of(struct slice private_der, uint8_t *der, size_t *len)
{
	const uint8_t *in = private_der.p;
	EVP_PKEY *k = d2i_AutoPrivateKey(NULL, &in, (long)private_der.len);
	int n = k && is_p384(k) ? i2d_PUBKEY(k, NULL) : 0;
	enum rc rc = RC_BAD_INPUT;

	if (n > 0 && (size_t)n <= *len && i2d_PUBKEY(k, &der) == n) {
		*len = (size_t)n;
		rc = RC_OK;
	}
	EVP_PKEY_free(k);
	return rc;
}

enum rc crypto_ed25519_public(const struct secret *key, uint8_t out[CRYPTO_ED25519_LEN])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, key->b, sizeof(key->b));
	size_t n = CRYPTO_ED25519_LEN;
	bool ok = k && EVP_PKEY_get_raw_public_key(k, out, &n) == 1 && n == CRYPTO_ED25519_LEN;

	EVP_PKEY_free(k);
	return ok ? RC_OK : RC_MACHINE;
}

enum rc crypto_ed25519_sign(const struct secret *key, struct slice text, uint8_t out[CRYPTO_ED25519_SIG_LEN])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, key->b, sizeof(key->b));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = CRYPTO_ED25519_SIG_LEN;
	bool ok = k && ctx && EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, k, NULL) == 1 &&
		  EVP_DigestSign(ctx, out, &n, text.p, text.len) == 1 && n == CRYPTO_ED25519_SIG_LEN;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return ok ? RC_OK : RC_MACHINE;
}

enum rc crypto_ed25519_verify(const uint8_t public[CRYPTO_ED25519_LEN], struct slice text,
			      const uint8_t signature[CRYPTO_ED25519_SIG_LEN])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public, CRYPTO_ED25519_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum rc rc = k ? RC_MACHINE : RC_BAD_INPUT;

	if (k && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k, NULL) == 1)
		rc = EVP_DigestVerify(ctx, signature, CRYPTO_ED25519_SIG_LEN, text.p, text.len) == 1 ? RC_OK : RC_DENIED;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(k);
	return rc;
}
