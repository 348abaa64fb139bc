/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates as data: parsed by libcrypto, with the few facts that a chain checked by hand needs, and the
 * two kinds of signature in AMD's chains. No path validation here: the leaf certificates do not follow its
 * rules (serial number 0, none of the usual extensions), see verifier/chain.c.
 *
 * A parsed certificate is the canonical encoding of exactly the bytes given: nothing in front, nothing
 * behind. It belongs to the caller; slices point into it.
 */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H

#include "crypto/hash.h"

struct crypto_cert;

#define CRYPTO_CERT_MAX 16384	/* bytes of one certificate */
#define CRYPTO_NAME_MAX 64	/* bytes of a common name with its zero */
#define CRYPTO_OID_MAX 80	/* bytes of an object id in digits with its zero */

enum crypto_key_kind {
	CRYPTO_KEY_OTHER,
	CRYPTO_KEY_RSA4096,
	CRYPTO_KEY_P384,
};

struct crypto_cert_info {
	char subject[CRYPTO_NAME_MAX], issuer[CRYPTO_NAME_MAX];	/* common names, printable ASCII */
	int64_t not_before, not_after;				/* seconds since 1970, both inclusive */
	bool serial_zero;
	enum crypto_key_kind key;
	uint8_t key_sha384[CRYPTO_SHA384_LEN];			/* of SubjectPublicKeyInfo, DER */
};

/*
 * Reads a PEM bundle, or DER certificates one behind the other, into out[0..max). RC_BAD_INPUT: something
 * else is in it (for PEM: another kind of block; text between blocks is ignored), or a certificate is
 * malformed or names no printable subject and issuer. RC_NO_ROOM: more than max. On failure nothing is
 * left for the caller to free.
 */
enum rc crypto_certs_read(struct slice in, struct crypto_cert **out, size_t max, size_t *count);
void crypto_cert_free(struct crypto_cert *c);

const struct crypto_cert_info *crypto_cert_info(const struct crypto_cert *c);

/* The i-th extension. False: there are fewer. value points into the certificate. */
MUST_CHECK bool crypto_cert_extension(const struct crypto_cert *c, size_t i, char oid[CRYPTO_OID_MAX],
				      struct slice *value);

/* Whether the whole issuer name of c is the whole subject name of by. */
MUST_CHECK bool crypto_cert_names_issuer(const struct crypto_cert *c, const struct crypto_cert *by);

/*
 * Whether by's RSA-4096 key signed c with RSASSA-PSS, SHA-384, MGF1 with SHA-384, 48 bytes of salt. RC_DENIED:
 * not, or another key or algorithm.
 */
enum rc crypto_cert_signed_by(const struct crypto_cert *c, const struct crypto_cert *by);

/*
 * Whether c's P-384 key made the ECDSA signature (r, s), big-endian, over SHA-384 of the message. RC_DENIED:
 * not, or another kind of key.
 */
enum rc crypto_cert_p384_verify(const struct crypto_cert *c, struct slice message, const uint8_t r[48],
				const uint8_t s[48]);

#endif
