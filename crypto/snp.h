/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primitives of SEV-SNP's contracts, by libcrypto: AES-256-GCM with a nonce given by the caller, hashes
 * in pieces, ECDSA on P-384 over SHA-384 with keys and signatures as plain numbers. Apart from crypto.h, so
 * that the key service does not link them.
 *
 * Call crypto_start() first. RC_MACHINE: libcrypto failed. Nothing keeps a pointer to a caller's memory.
 */
#ifndef CRYPTO_SNP_H
#define CRYPTO_SNP_H

#include "crypto/hash.h"

#define CRYPTO_GCM_IV_LEN 12
#define CRYPTO_GCM_TAG_LEN 16

/*
 * In place. A nonce must never be used twice under a key: that is the caller's duty. Opening: RC_DENIED when
 * the tag does not fit; the data is wiped then.
 */
enum rc crypto_gcm_seal(const struct secret *key, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct slice aad, uint8_t *data,
			size_t len, uint8_t tag[CRYPTO_GCM_TAG_LEN]);
enum rc crypto_gcm_open(const struct secret *key, const uint8_t iv[CRYPTO_GCM_IV_LEN], struct slice aad, uint8_t *data,
			size_t len, const uint8_t tag[CRYPTO_GCM_TAG_LEN]);

/* A hash in pieces; bits: 384 or 512. NULL: no memory. crypto_hash_end() may be followed by crypto_hash_begin(). */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void);
void crypto_hash_free(struct crypto_hash *h);
enum rc crypto_hash_begin(struct crypto_hash *h, unsigned bits);
enum rc crypto_hash_add(struct crypto_hash *h, struct slice s);
/* Writes bits / 8 bytes. */
enum rc crypto_hash_end(struct crypto_hash *h, uint8_t *out);

/* Numbers of P-384, big-endian. */
#define CRYPTO_P384_LEN 48
struct crypto_p384_public {
	uint8_t x[CRYPTO_P384_LEN], y[CRYPTO_P384_LEN];
};
struct crypto_p384_signature {
	uint8_t r[CRYPTO_P384_LEN], s[CRYPTO_P384_LEN];
};

/* RC_BAD_INPUT: d is not a private key of q. */
enum rc crypto_p384_sign(const uint8_t d[CRYPTO_P384_LEN], const struct crypto_p384_public *q, struct slice message,
			 struct crypto_p384_signature *out);
/* RC_BAD_INPUT: q is not a point of the curve; RC_DENIED: it did not sign this. */
enum rc crypto_p384_verify(const struct crypto_p384_public *q, struct slice message,
			   const struct crypto_p384_signature *sig);

/* For the programs in contexts of their own: bytes of the kernel's generator, through libcrypto's. */
enum rc crypto_os_random(void *out, size_t len);

#endif
