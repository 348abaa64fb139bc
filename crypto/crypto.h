/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only door to cryptographic primitives. Everything comes from OpenSSL's libcrypto; nothing here
 * is a cipher of our own. Algorithms are fetched once; contexts are kept per thread in struct crypto.
 *
 * Lengths are bytes. Outputs are written only on RC_OK, except that in-place use (out == in) is
 * allowed where said. RC_MACHINE means libcrypto failed (no memory); RC_DENIED that a tag or a key
 * does not fit. No function keeps a pointer to a caller's memory.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/base.h"

#define CRYPTO_TAG_LEN 16
#define CRYPTO_HASH_LEN 32
#define CRYPTO_IV_LEN 16

enum crypto_cipher {
	CRYPTO_AES = 1,	/* 16, 24 or 32 bytes of key */
	CRYPTO_SM4 = 2,	/* 16 bytes of key */
};

/* Fetches every algorithm, without reading a configuration file. Once, before any other call. */
enum rc crypto_start(void);

/* Per-thread contexts; not to be shared between threads. NULL: no memory. */
struct crypto;
struct crypto *crypto_new(void);
void crypto_free(struct crypto *c);

/*
 * A key for HMAC-SHA-256. `id` names the key for the context cache: unequal keys in one process must
 * have unequal ids, which crypto_mac_key_set() sees to.
 */
#define CRYPTO_MAC_KEY_MAX 4096
struct crypto_mac_key {
	uint64_t id;
	size_t len;
	uint8_t b[CRYPTO_MAC_KEY_MAX];
};
void crypto_mac_key_set(struct crypto_mac_key *k, const void *key, size_t len);
void crypto_mac_key_wipe(struct crypto_mac_key *k);

/*
 * HMAC-SHA-256 over the concatenation of parts. Each slot (0..CRYPTO_MAC_SLOTS-1) remembers the key
 * it was last used with, so one purpose should keep to one slot.
 */
#define CRYPTO_MAC_SLOTS 9
enum rc crypto_mac(struct crypto *c, unsigned slot, const struct crypto_mac_key *k, const struct slice *parts,
		   size_t count, uint8_t out[CRYPTO_HASH_LEN]);

/*
 * CTR mode with a 128-bit big-endian counter (Hadoop's "AES/CTR/NoPadding", "SM4/CTR/NoPadding").
 * crypto_ctr_key() loads a key into slot 0 or 1; crypto_ctr() then runs any number of messages.
 * in and out may be the same. RC_BAD_INPUT: the cipher has no such key length.
 */
enum rc crypto_ctr_key(struct crypto *c, unsigned slot, enum crypto_cipher cipher, const uint8_t *key,
		       size_t key_len);
enum rc crypto_ctr(struct crypto *c, unsigned slot, const uint8_t iv[CRYPTO_IV_LEN], const uint8_t *in,
		   size_t len, uint8_t *out);

/*
 * AES-256-GCM with an all-zero nonce: every key is derived for one message and never used again
 * (see service/seal.c). in and out may be the same. Opening writes out only if the tag fits;
 * RC_DENIED otherwise, and out is wiped.
 */
enum rc crypto_seal(struct crypto *c, const struct secret *once, struct slice aad, const uint8_t *in, size_t len,
		    uint8_t *out, uint8_t tag[CRYPTO_TAG_LEN]);
enum rc crypto_open(struct crypto *c, const struct secret *once, struct slice aad, const uint8_t *in, size_t len,
		    uint8_t *out, const uint8_t tag[CRYPTO_TAG_LEN]);

enum rc crypto_sha256(const void *p, size_t len, uint8_t out[CRYPTO_HASH_LEN]);
/* Of a followed by b, neither empty, with this thread's context. out may be where a or b lies. */
enum rc crypto_sha256_two(struct crypto *c, struct slice a, struct slice b, uint8_t out[CRYPTO_HASH_LEN]);

/*
 * Random bytes: ChaCha20 with fast key erasure, seeded and reseeded from `entropy` (service/entropy.c).
 * When the source fails, nothing is returned any more (RC_MACHINE) until it works again: there is no
 * weaker fallback. One per thread.
 */
typedef enum rc (*crypto_entropy)(void *ctx, uint8_t *out, size_t len);
#define CRYPTO_RANDOM_POOL 4096
#define CRYPTO_RANDOM_RESEED_POOLS 256	/* reseed after this many pools: 1 MiB */
struct crypto_random {
	crypto_entropy entropy;
	void *ctx;
	struct secret key;
	uint32_t pools;		/* pools made since the last seeding; 0: not seeded */
	size_t used;		/* bytes of pool already given out and wiped */
	uint8_t pool[CRYPTO_RANDOM_POOL];
};
void crypto_random_init(struct crypto_random *r, crypto_entropy entropy, void *ctx);
enum rc crypto_random_get(struct crypto *c, struct crypto_random *r, void *out, size_t len);
void crypto_random_wipe(struct crypto_random *r);

/*
 * Wrapping a 32-byte secret for the holder of a P-384 key (ECDH, HKDF-SHA-256, AES-256-GCM):
 *   blob := version:u8 ephemeral_point[97] tag[16] ct[32]
 * `info` binds the blob to its purpose. Public keys are SubjectPublicKeyInfo DER, private ones PKCS#8
 * DER; RC_BAD_INPUT when they are not P-384 keys.
 */
#define CRYPTO_WRAP_LEN (1 + 97 + CRYPTO_TAG_LEN + 32)
#define CRYPTO_DER_MAX 1024
enum rc crypto_wrap(struct crypto *c, struct slice public_der, struct slice info, const struct secret *in,
		    uint8_t out[CRYPTO_WRAP_LEN]);
enum rc crypto_unwrap(struct crypto *c, struct slice private_der, struct slice info,
		      const uint8_t in[CRYPTO_WRAP_LEN], struct secret *out);
/* *len: room on entry, bytes written on return. */
enum rc crypto_wrap_keypair(uint8_t *private_der, size_t *private_len, uint8_t *public_der, size_t *public_len);

/*
 * Sealing bytes of any length for the holder of an X25519 key (ECDH, HKDF-SHA-256, AES-256-GCM):
 *   blob := ephemeral[32] tag[16] ct[len]
 * Any 32 bytes are a private key. `info` binds the blob to its purpose. out: in.len + CRYPTO_UPLOAD_OVERHEAD bytes,
 * or, opening, so many less. RC_BAD_INPUT: no public key, or no blob; RC_DENIED: it does not open.
 */
#define CRYPTO_UPLOAD_KEY_LEN 32
#define CRYPTO_UPLOAD_OVERHEAD (CRYPTO_UPLOAD_KEY_LEN + CRYPTO_TAG_LEN)
enum rc crypto_upload_public(const struct secret *key, uint8_t out[CRYPTO_UPLOAD_KEY_LEN]);
enum rc crypto_upload_seal(struct crypto *c, const uint8_t to[CRYPTO_UPLOAD_KEY_LEN], struct slice info, struct slice in,
			   uint8_t *out);
enum rc crypto_upload_open(struct crypto *c, const struct secret *key, struct slice info, struct slice in, uint8_t *out);

/*
 * ECDSA P-384 with SHA-384, signatures in DER. crypto_verify(): RC_BAD_INPUT: not a P-384 public key (SPKI DER),
 * RC_DENIED: the signature does not fit. The other two are not used by the service; *len: room on entry.
 */
#define CRYPTO_SIGNATURE_MAX 128
enum rc crypto_verify(struct slice public_der, struct slice text, struct slice signature);
enum rc crypto_sign(struct slice private_der, struct slice text, uint8_t *signature, size_t *len);
enum rc crypto_public_of(struct slice private_der, uint8_t *der, size_t *len);

/*
 * Ed25519 (RFC 8032): every 32 bytes are a private key. Verifying: RC_BAD_INPUT: not a public key, RC_DENIED: the
 * signature does not fit.
 */
#define CRYPTO_ED25519_LEN 32
#define CRYPTO_ED25519_SIG_LEN 64
enum rc crypto_ed25519_public(const struct secret *key, uint8_t out[CRYPTO_ED25519_LEN]);
enum rc crypto_ed25519_sign(const struct secret *key, struct slice text, uint8_t out[CRYPTO_ED25519_SIG_LEN]);
enum rc crypto_ed25519_verify(const uint8_t public[CRYPTO_ED25519_LEN], struct slice text,
			      const uint8_t signature[CRYPTO_ED25519_SIG_LEN]);

/*
 * The private key of an unencrypted PEM text as DER, for crypto_unwrap(). Not used by the service. *len:
 * room on entry. RC_BAD_INPUT: no such key in it.
 */
enum rc crypto_pem_private(struct slice pem, uint8_t *der, size_t *len);

#endif
