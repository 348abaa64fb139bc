/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key stores and trust stores: from a file of an operator (PEM, PKCS#12 or Java's JKS) to a certificate with its
 * chain and private key, or to the certificates that are trusted.
 *
 * The format is seen from the content, as Java does between JKS and PKCS#12; what the configuration calls it
 * matters only where the file is something else altogether. Trusts the file to be the operator's, not to be
 * well formed: its size is bounded, JKS is parsed in jks.c, the other formats by OpenSSL.
 */
#ifndef PROXY_KEYSTORE_H
#define PROXY_KEYSTORE_H

#include <openssl/x509.h>

#include "base/base.h"

#define KEYSTORE_FILE_MAX (4u << 20) /* bytes */
#define KEYSTORE_CERTS_MAX 4096      /* in one trust store */

/* Where to look. All texts are the caller's. NULL and "" mean: not given. */
struct keystore_source {
	const char *file;
	const char *key_file;	  /* PEM: the private key, when it is not in `file` */
	const char *type;	  /* as configured: jks, pkcs12, pem in any case; for messages */
	const char *password;	  /* NULL: Java checks no integrity then, neither do we */
	const char *key_password; /* NULL: the same as password */
	const char *setting;	  /* what names the file, for messages: "ssl.server.keystore.location" */
};

struct keystore {
	EVP_PKEY *key;	       /* NULL in a trust store */
	X509 *cert;
	STACK_OF(X509) *chain; /* further ones, leaf's issuer first; or all that is trusted. Never NULL after RC_OK */
	char warning[256];     /* for the operator, or "" */
};

struct keystore_error {
	char text[1024]; /* what is wrong with which file and what to do */
};

/*
 * The server's own certificate and key. A store with several keys: the first one that opens counts, and a warning
 * says so. RC_BAD_INPUT: malformed, no key in it, or key and certificate do not belong together; RC_DENIED:
 * wrong password; RC_MACHINE: the file cannot be read. *out is released with keystore_release(), on success only.
 */
enum rc keystore_identity(const struct keystore_source *from, struct keystore *out, struct keystore_error *err);

/* What is trusted: in JKS and PKCS#12 the certificates without a key, in PEM all. At least one, else RC_BAD_INPUT. */
enum rc keystore_trust(const struct keystore_source *from, struct keystore *out, struct keystore_error *err);

void keystore_release(struct keystore *k);

/* The newest error of this thread in OpenSSL's words; never NULL. Empties its queue. */
const char *keystore_openssl_says(void);

#endif
