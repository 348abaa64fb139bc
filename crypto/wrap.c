/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrapping a secret for a P-384 public key: ephemeral ECDH, HKDF-SHA-256 over the shared point with
 * both public points and the purpose as context, AES-256-GCM. Used for recovery keyslots, never on
 * the path of a request.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include "crypto/crypto.h"

#define POINT_LEN 97	/* 0x04 || x || y */
#define WRAP_VERSION 1

static void pkey_drop(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
#define PKEY __attribute__((cleanup(pkey_drop))) EVP_PKEY

static bool is_p384(EVP_PKEY *k)
{
	char name[32];
	size_t n;

	return EVP_PKEY_is_a(k, "EC") == 1 && EVP_PKEY_get_group_name(k, name, sizeof(name), &n) == 1 &&
	       (strcmp(name, "secp384r1") == 0 || strcmp(name, "P-384") == 0);
}

static bool point_of(EVP_PKEY *k, uint8_t out[POINT_LEN])
{
	size_t n = 0;

	return EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, out, POINT_LEN, &n) == 1 && n == POINT_LEN &&
	       out[0] == 4;
}

static EVP_PKEY *key_from_point(const uint8_t point[POINT_LEN])
{
	static char group[] = "P-384";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point, POINT_LEN),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *k = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params) != 1)
		k = NULL;
	EVP_PKEY_CTX_free(ctx);
	return k;
}

/* EVP_PKEY_derive_set_peer() checks that the peer's point is on the curve. */
static bool ecdh(EVP_PKEY *own, EVP_PKEY *peer, uint8_t out[48])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t n = 48;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		  EVP_PKEY_derive(ctx, out, &n) == 1 && n == 48;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool kdf(const uint8_t shared[48], const uint8_t salt[2 * POINT_LEN], struct slice info, struct secret *out)
{
	static char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)shared, 48),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, 2 * POINT_LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.p, info.len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
	bool ok = ctx && EVP_KDF_derive(ctx, out->b, sizeof(out->b), params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(hkdf);
	return ok;
}

/* The key that both sides arrive at. `ephemeral` and `recipient` are the two points, in this order. */
static bool agree(EVP_PKEY *own, EVP_PKEY *peer, const uint8_t ephemeral[POINT_LEN],
		  const uint8_t recipient[POINT_LEN], struct slice info, struct secret *out)
{
	uint8_t shared[48] = { 0 }, salt[2 * POINT_LEN];
	bool ok;

	memcpy(salt, ephemeral, POINT_LEN);
	memcpy(salt + POINT_LEN, recipient, POINT_LEN);
	ok = ecdh(own, peer, shared) && kdf(shared, salt, info, out);
	mem_wipe(shared, sizeof(shared));
	return ok;
}

enum rc crypto_wrap(struct crypto *c, struct slice public_der, struct slice info, const struct secret *in,
		    uint8_t out[CRYPTO_WRAP_LEN])
{
	const uint8_t *der = public_der.p;
	uint8_t blob[CRYPTO_WRAP_LEN], recipient[POINT_LEN];
	PKEY *to = NULL, *ephemeral = NULL;
	SECRET k = { 0 };
	enum rc rc;

	if (public_der.len > CRYPTO_DER_MAX || !(to = d2i_PUBKEY(NULL, &der, (long)public_der.len)) ||
	    der != public_der.p + public_der.len || !is_p384(to) || !point_of(to, recipient))
		return RC_BAD_INPUT;
	ephemeral = EVP_EC_gen("P-384");
	blob[0] = WRAP_VERSION;
	if (!ephemeral || !point_of(ephemeral, blob + 1) || !agree(ephemeral, to, blob + 1, recipient, info, &k))
		return RC_MACHINE;
	rc = crypto_seal(c, &k, slice_of(blob, 1 + POINT_LEN), in->b, sizeof(in->b),
			 blob + 1 + POINT_LEN + CRYPTO_TAG_LEN, blob + 1 + POINT_LEN);
	if (rc == RC_OK)
		memcpy(out, blob, sizeof(blob));
	return rc;
}

enum rc crypto_unwrap(struct crypto *c, struct slice private_der, struct slice info,
		      const uint8_t in[CRYPTO_WRAP_LEN], struct secret *out)
{
	const uint8_t *der = private_der.p;
	uint8_t recipient[POINT_LEN];
	PKEY *own = NULL, *ephemeral = NULL;
	SECRET k = { 0 };

	if (in[0] != WRAP_VERSION || private_der.len > CRYPTO_DER_MAX ||
	    !(own = d2i_AutoPrivateKey(NULL, &der, (long)private_der.len)) ||
	    der != private_der.p + private_der.len || !is_p384(own) || !point_of(own, recipient))
		return RC_BAD_INPUT;
	ephemeral = key_from_point(in + 1);
	if (!ephemeral)
		return RC_BAD_INPUT;
	if (!agree(own, ephemeral, in + 1, recipient, info, &k))
		return RC_DENIED;
	return crypto_open(c, &k, slice_of(in, 1 + POINT_LEN), in + 1 + POINT_LEN + CRYPTO_TAG_LEN, sizeof(out->b),
			   out->b, in + 1 + POINT_LEN);
}

enum rc crypto_wrap_keypair(uint8_t *private_der, size_t *private_len, uint8_t *public_der, size_t *public_len)
{
	PKEY *k = EVP_EC_gen("P-384");
	int npriv, npub;

	if (!k)
		return RC_MACHINE;
	npriv = i2d_PrivateKey(k, NULL);
	npub = i2d_PUBKEY(k, NULL);
	if (npriv <= 0 || npub <= 0 || (size_t)npriv > *private_len || (size_t)npub > *public_len)
		return RC_NO_ROOM;
	if (i2d_PrivateKey(k, &private_der) != npriv || i2d_PUBKEY(k, &public_der) != npub)
		return RC_MACHINE;
	*private_len = (size_t)npriv;
	*public_len = (size_t)npub;
	return RC_OK;
}
