/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: fixed-size key buffers that are wiped on every return, and comparison without a branch
 * on secret bytes.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <string.h>

#include "base/rc.h"

/* The store must happen even when the compiler sees no reader. */
static inline void mem_wipe(void *p, size_t n)
{
	if (n)
		memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

struct secret {
	uint8_t b[32];
};

static inline void secret_wipe(struct secret *s)
{
	mem_wipe(s, sizeof(*s));
}
#define SECRET __attribute__((cleanup(secret_wipe))) struct secret

/* Time depends on n only. */
MUST_CHECK static inline bool ct_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	size_t i;

	for (i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	__asm__ volatile("" : "+r"(diff));
	return diff == 0;
}

#endif
