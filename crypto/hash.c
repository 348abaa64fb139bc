/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of public data. See hash.h. */
#include <openssl/evp.h>

#include "crypto/hash.h"

static enum rc digest(const EVP_MD *md, const struct slice *parts, size_t count, uint8_t *out, unsigned len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1;
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	size_t i;

	for (i = 0; ok && i < count; i++)
		ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, sum, &n) == 1 && n == len;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return RC_MACHINE;
	memcpy(out, sum, len);
	return RC_OK;
}

enum rc crypto_sha384(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA384_LEN])
{
	return digest(EVP_sha384(), parts, count, out, CRYPTO_SHA384_LEN);
}

enum rc crypto_sha512(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA512_LEN])
{
	return digest(EVP_sha512(), parts, count, out, CRYPTO_SHA512_LEN);
}
