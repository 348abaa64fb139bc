/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of public data, by libcrypto. Apart from crypto.h, so that the untrusted side can name a hash
 * without being handed the other primitives.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/base.h"

#define CRYPTO_SHA384_LEN 48
#define CRYPTO_SHA512_LEN 64

/* The hash of the concatenation of parts. RC_MACHINE: libcrypto failed; out is not written. */
enum rc crypto_sha384(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA384_LEN]);
enum rc crypto_sha512(const struct slice *parts, size_t count, uint8_t out[CRYPTO_SHA512_LEN]);

#endif
