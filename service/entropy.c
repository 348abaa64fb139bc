/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <errno.h>
#include <sys/random.h>

#include "service/entropy.h"

#define TRIES 1000	/* RDSEED may be drained by other CPUs for a while */

static bool cpu_rdseed(uint64_t *out)
{
	unsigned char ok;
	int i;

	for (i = 0; i < TRIES; i++) {
		__asm__ volatile("rdseed %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
		if (ok)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

static bool cpu_rdrand(uint64_t *out)
{
	unsigned char ok;
	int i;

	for (i = 0; i < TRIES; i++) {
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
		if (ok)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

static bool os_random(void *out, size_t len)
{
	uint8_t *to = out;

	while (len) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

enum rc entropy_init(struct entropy *e)
{
	unsigned a, b, c, d;

	memset(e, 0, sizeof(*e));
	pthread_mutex_init(&e->lock, NULL);
	e->os = os_random;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_RDSEED))
		e->cpu = cpu_rdseed;
	else if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND))
		e->cpu = cpu_rdrand;
	else
		return RC_MACHINE;
	return RC_OK;
}

/* Repetition count and adaptive proportion. */
MUST_CHECK static bool healthy(struct entropy_test *t, uint64_t v, unsigned repeat_max, unsigned window,
			       unsigned window_max)
{
	if (v == t->last && t->repeats) {
		if (++t->repeats >= repeat_max)
			return false;
	} else {
		t->last = v;
		t->repeats = 1;
	}
	if (t->window == 0) {
		t->first = v;
		t->matches = 0;
	} else if (v == t->first && ++t->matches >= window_max) {
		return false;
	}
	t->window = (t->window + 1) % window;
	return true;
}

/* Tested samples; a failure makes the source pass its start-up test again before it is used. */
static enum rc sample(struct entropy *e, uint64_t *out)
{
	unsigned i;

	if (!e->cpu(out))
		goto broken;
	if (!healthy(&e->word, *out, ENTROPY_WORD_REPEAT_MAX, ENTROPY_WORD_WINDOW, ENTROPY_WORD_WINDOW_MAX))
		goto broken;
	for (i = 0; i < 8; i++)
		if (!healthy(&e->byte, (uint8_t)(*out >> 8 * i), ENTROPY_REPEAT_MAX, ENTROPY_WINDOW,
			     ENTROPY_WINDOW_MAX))
			goto broken;
	return RC_OK;
broken:
	e->started = false;
	mem_wipe(&e->byte, sizeof(e->byte));
	mem_wipe(&e->word, sizeof(e->word));
	mem_wipe(out, sizeof(*out));
	return RC_MACHINE;
}

/* Two whole windows before the first use. */
static enum rc start(struct entropy *e)
{
	uint64_t v;
	enum rc rc = RC_OK;
	unsigned i;

	for (i = 0; rc == RC_OK && i < ENTROPY_START; i++)
		rc = sample(e, &v);
	e->started = rc == RC_OK;
	mem_wipe(&v, sizeof(v));
	return rc;
}

enum rc entropy_get(void *ctx, uint8_t *out, size_t len)
{
	struct entropy *e = ctx;
	uint8_t os[64];
	uint64_t v;
	enum rc rc = RC_OK;
	size_t i;

	INVARIANT(len <= sizeof(os));
	pthread_mutex_lock(&e->lock);
	if (!e->started)
		rc = start(e);
	for (i = 0; rc == RC_OK && i < len; i++) {
		if (i % 8 == 0)
			rc = sample(e, &v);
		out[i] = (uint8_t)(v >> 8 * (i % 8));
	}
	pthread_mutex_unlock(&e->lock);
	if (rc == RC_OK && !e->os(os, len))
		rc = RC_MACHINE;
	if (rc == RC_OK)
		for (i = 0; i < len; i++)
			out[i] ^= os[i];	/* independent sources: as good as the better one */
	else
		mem_wipe(out, len);
	mem_wipe(os, sizeof(os));
	mem_wipe(&v, sizeof(v));
	return rc;
}
