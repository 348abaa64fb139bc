/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing bytes for the holder of an X25519 key (RFC 7748): ephemeral agreement, HKDF-SHA-256 with both public keys as
 * salt and the purpose as context, AES-256-GCM. For what an owner sends to one core; never on the path of a request.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "crypto/crypto.h"

#define LEN CRYPTO_UPLOAD_KEY_LEN

static void pkey_drop(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
#define PKEY __attribute__((cleanup(pkey_drop))) EVP_PKEY

static bool public_of(EVP_PKEY *k, uint8_t out[LEN])
{
	size_t n = LEN;

	return EVP_PKEY_get_raw_public_key(k, out, &n) == 1 && n == LEN;
}

enum rc crypto_upload_public(const struct secret *key, uint8_t out[LEN])
{
	PKEY *k = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, key->b, sizeof(key->b));

	return k && public_of(k, out) ? RC_OK : RC_MACHINE;
}

/* libcrypto refuses a shared secret of zeros, which a point of small order would give. */
static bool agree(EVP_PKEY *own, EVP_PKEY *peer, uint8_t out[LEN])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t n = LEN;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		  EVP_PKEY_derive(ctx, out, &n) == 1 && n == LEN;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* both: the ephemeral public key, then the recipient's. */
static enum rc once_of(EVP_PKEY *own, EVP_PKEY *peer, uint8_t both[2 * LEN], struct slice info, struct secret *out)
{
	static char digest[] = "SHA256";
	uint8_t shared[LEN] = { 0 };
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, shared, LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, both, 2 * LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.p, info.len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
	bool agreed = agree(own, peer, shared);
	bool ok = agreed && ctx && EVP_KDF_derive(ctx, out->b, sizeof(out->b), params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(hkdf);
	mem_wipe(shared, sizeof(shared));
	return ok ? RC_OK : agreed ? RC_MACHINE : RC_DENIED;
}

enum rc crypto_upload_seal(struct crypto *c, const uint8_t to[LEN], struct slice info, struct slice in, uint8_t *out)
{
	PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, to, LEN);
	PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	uint8_t both[2 * LEN];
	SECRET k = { 0 };
	enum rc rc;

	if (!peer || !own || !public_of(own, both))
		return RC_MACHINE;
	memcpy(both + LEN, to, LEN);
	rc = once_of(own, peer, both, info, &k);
	if (rc != RC_OK)
		return rc == RC_DENIED ? RC_BAD_INPUT : rc;
	memcpy(out, both, LEN);
	return crypto_seal(c, &k, slice_of(both, sizeof(both)), in.p, in.len, out + CRYPTO_UPLOAD_OVERHEAD, out + LEN);
}

enum rc crypto_upload_open(struct crypto *c, const struct secret *key, struct slice info, struct slice in, uint8_t *out)
{
	PKEY *own = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, key->b, sizeof(key->b)), *peer = NULL;
	uint8_t both[2 * LEN];
	SECRET k = { 0 };
	enum rc rc;

	if (in.len < CRYPTO_UPLOAD_OVERHEAD)
		return RC_BAD_INPUT;
	peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, in.p, LEN);
	if (!own || !peer || !public_of(own, both + LEN))
		return RC_MACHINE;
	memcpy(both, in.p, LEN);
	rc = once_of(own, peer, both, info, &k);
	if (rc != RC_OK)
		return rc;
	return crypto_open(c, &k, slice_of(both, sizeof(both)), in.p + CRYPTO_UPLOAD_OVERHEAD, in.len - CRYPTO_UPLOAD_OVERHEAD,
			   out, in.p + LEN);
}
