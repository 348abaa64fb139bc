/* SPDX-License-Identifier: Apache-2.0 */
/* Private to crypto/. */
#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include "base/base.h"

struct crypto;

/* The first len bytes of the ChaCha20 key stream for this key. */
enum rc crypto_chacha(struct crypto *c, const struct secret *key, uint8_t *out, size_t len);

#endif
