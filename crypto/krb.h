/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kerberos' encryption types: RFC 3961 (n-fold, key derivation), RFC 3962 (AES with SHA-1), RFC 8009 (AES with SHA-2).
 * AES, its cipher text stealing and HMAC are libcrypto's; the derivation and the framing are here.
 *
 * Results: RC_BAD_INPUT: too short or an unknown type; RC_DENIED: integrity; RC_MACHINE: libcrypto failed. The functions
 * may be called by any thread and keep nothing.
 */
#ifndef CRYPTO_KRB_H
#define CRYPTO_KRB_H

#include "base/base.h"

enum crypto_krb_etype {
	CRYPTO_KRB_AES128_SHA1 = 17,	/* aes128-cts-hmac-sha1-96 */
	CRYPTO_KRB_AES256_SHA1 = 18,
	CRYPTO_KRB_AES128_SHA256 = 19,	/* aes128-cts-hmac-sha256-128 */
	CRYPTO_KRB_AES256_SHA384 = 20,	/* aes256-cts-hmac-sha384-192 */
};

#define CRYPTO_KRB_CONFOUNDER 16u
#define CRYPTO_KRB_SUM_MAX 24u
#define CRYPTO_KRB_OVERHEAD_MAX (CRYPTO_KRB_CONFOUNDER + CRYPTO_KRB_SUM_MAX)

struct crypto_krb_key {
	int32_t etype;
	uint8_t b[32];
};
static inline void crypto_krb_key_wipe(struct crypto_krb_key *k)
{
	mem_wipe(k, sizeof(*k));
}
#define CRYPTO_KRB_KEY __attribute__((cleanup(crypto_krb_key_wipe))) struct crypto_krb_key

/* Bytes of a key, of a checksum; 0: not one of the four types. */
size_t crypto_krb_key_len(int32_t etype);
size_t crypto_krb_sum_len(int32_t etype);
/* The number of the type's keyed checksum (RFC 3962 section 7, RFC 8009 section 6). */
int32_t crypto_krb_sum_type(int32_t etype);

/*
 * Decrypts in place: *plain is the part of buf[0..len) behind the confounder. Nothing is said of why: RC_DENIED, and
 * buf is wiped.
 */
enum rc crypto_krb_decrypt(const struct crypto_krb_key *k, uint32_t usage, uint8_t *buf, size_t len, struct slice *plain);
/*
 * Encrypts in place: the plain text is at buf + CRYPTO_KRB_CONFOUNDER, len bytes; confounder random. *out_len: bytes of buf
 * then used, at most len + CRYPTO_KRB_OVERHEAD_MAX, which buf must have.
 */
enum rc crypto_krb_encrypt(const struct crypto_krb_key *k, uint32_t usage, const uint8_t confounder[CRYPTO_KRB_CONFOUNDER],
			   uint8_t *buf, size_t len, size_t *out_len);
/* The keyed checksum over parts; out has crypto_krb_sum_len() bytes. */
enum rc crypto_krb_checksum(const struct crypto_krb_key *k, uint32_t usage, const struct slice *parts, size_t count,
			    uint8_t out[CRYPTO_KRB_SUM_MAX]);

/* RFC 3961 section 5.1. */
void crypto_krb_nfold(struct slice in, uint8_t *out, size_t out_len);
/*
 * The types' key derivation: DK(key, constant) of RFC 3961, KDF-HMAC-SHA2(key, constant, bits) of RFC 8009. len: bytes wanted,
 * at most 32 (48 with SHA-384).
 */
enum rc crypto_krb_derive(const struct crypto_krb_key *k, struct slice constant, uint8_t *out, size_t len);

#endif
