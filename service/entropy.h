/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds for the random generator: the CPU's RDSEED (RDRAND where the CPU has no RDSEED), under the
 * health tests of NIST SP 800-90B section 4.4, mixed with the platform's getrandom(). Both must work:
 * when either fails, there is no seed, and generation stops.
 */
#ifndef SERVICE_ENTROPY_H
#define SERVICE_ENTROPY_H

#include <pthread.h>

#include "base/base.h"

/*
 * Assumed at least 4 bits a byte; false alarm 2^-40. The tests run over bytes and over whole samples of
 * 64 bits: a CPU that sticks at one value, or repeats a few, shows bytes that look well mixed.
 */
#define ENTROPY_REPEAT_MAX 11	/* 1 + 40 / 4 identical bytes in a row fail */
#define ENTROPY_WINDOW 509	/* odd: windows begin at every byte of a sample in turn */
#define ENTROPY_START 128	/* samples before the first use: two windows of each test */
#define ENTROPY_WINDOW_MAX 78	/* so many bytes like the window's first one fail */
#define ENTROPY_WORD_REPEAT_MAX 3	/* 1 + 40 / 32 identical samples in a row, rounded up */
#define ENTROPY_WORD_WINDOW 64
#define ENTROPY_WORD_WINDOW_MAX 2	/* 63 * 62 / 2 * 2^-64: so many like the window's first one fail */

struct entropy_test {
	uint64_t last, first;
	unsigned repeats, window, matches;
};

struct entropy {
	pthread_mutex_t lock;
	bool (*cpu)(uint64_t *out);		/* one sample of the CPU; false: none to be had */
	bool (*os)(void *out, size_t len);	/* the platform's generator */
	bool started;				/* start-up test passed */
	struct entropy_test byte, word;
};

/* The real sources. RC_MACHINE: this CPU has neither RDSEED nor RDRAND. */
enum rc entropy_init(struct entropy *e);
/* A crypto_entropy: ctx is a struct entropy. len at most 64. */
enum rc entropy_get(void *ctx, uint8_t *out, size_t len);

#endif
