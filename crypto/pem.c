/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys out of PEM, for the command line. In a file of its own, so that the service does not link it. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/crypto.h"

/* Asked for a password: there is none, and nobody is to be prompted. */
static int no_password(char *buf, int size, int rw, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rw;
	(void)ctx;
	return -1;
}

enum rc crypto_pem_private(struct slice pem, uint8_t *der, size_t *len)
{
	BIO *in = pem.len && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.len) : NULL;
	EVP_PKEY *k = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	int n = k ? i2d_PrivateKey(k, NULL) : 0;
	enum rc rc = RC_BAD_INPUT;

	if (n > 0 && (size_t)n <= *len && EVP_PKEY_is_a(k, "EC") == 1 && i2d_PrivateKey(k, &der) == n) {
		*len = (size_t)n;
		rc = RC_OK;
	}
	EVP_PKEY_free(k);
	BIO_free(in);
	return rc;
}
