/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See throttle.h. An address' allowance is one moment, `full`: when all of it will be there again. Each refusal puts that off by
 * an equal share of a minute; it is used up when the next would put it off beyond a minute from now.
 */
#include "proxy/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proxy/sip.h"

#define MINUTE_US 60000000u

struct allowance {
	uint8_t address[16];
	uint64_t full; /* us; in the past: nothing of it is used */
};

struct throttle {
	uint64_t seed[2];
	uint32_t per_minute;  /* atomic */
	uint64_t strict_until; /* atomic, us: nobody's allowance is used up from then on */
	pthread_mutex_t lock; /* of the tokens and sets */
	uint64_t token_strict_until; /* as strict_until, of tokens */
	struct {
		uint64_t print, full;
	} token[THROTTLE_TOKENS]; /* each in the place that its print gives */
	struct allowance set[THROTTLE_SETS][THROTTLE_WAYS];
	uint64_t known[THROTTLE_KNOWN]; /* atomic; prints, each in the place that it gives */
};

struct throttle *throttle_new(void)
{
	struct throttle *t = calloc(1, sizeof(*t));

	if (t && getrandom(t->seed, sizeof(t->seed), 0) != sizeof(t->seed)) {
		free(t);
		return NULL;
	}
	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void throttle_free(struct throttle *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	mem_wipe(t->seed, sizeof(t->seed));
	free(t);
}

void throttle_set(struct throttle *t, uint32_t per_minute)
{
	if (t)
		__atomic_store_n(&t->per_minute, per_minute, __ATOMIC_RELAXED);
}

static uint64_t hash(const struct throttle *t, uint64_t what, struct slice s)
{
	uint64_t v[4];

	sip_begin(v, t->seed, what);
	sip_text(v, s);
	return sip_end(v);
}

/* ---- what was accepted ---- */

uint64_t throttle_print(const struct throttle *t, struct slice credential)
{
	uint64_t h;

	if (!t || !credential.len || !__atomic_load_n(&t->per_minute, __ATOMIC_RELAXED))
		return 0;
	h = hash(t, 1, credential);
	return h ? h : 1;
}

void throttle_accepted(struct throttle *t, uint64_t print)
{
	uint64_t *at = t && print ? &t->known[print % THROTTLE_KNOWN] : NULL;

	/* Almost always it is there: no line of the cache has to change its owner. */
	if (at && __atomic_load_n(at, __ATOMIC_RELAXED) != print)
		__atomic_store_n(at, print, __ATOMIC_RELAXED);
}

bool throttle_knows(const struct throttle *t, uint64_t print)
{
	return t && print && __atomic_load_n(&t->known[print % THROTTLE_KNOWN], __ATOMIC_RELAXED) == print;
}

/* ---- what was refused ---- */

/* IPv4 is written as IPv6 does; of IPv6 the half that a provider gives out. */
static void normal(struct slice address, uint8_t out[16])
{
	memset(out, 0, 16);
	if (address.len == 4) {
		out[10] = out[11] = 0xff;
		memcpy(out + 12, address.p, 4);
	} else if (address.len == 16) {
		memcpy(out, address.p, 8);
	}
}

/* The address' allowance; where it has none, make: the place of the one least used. Caller holds the lock. */
static struct allowance *find(struct throttle *t, struct slice address, bool make)
{
	uint8_t a[16];
	struct allowance *set, *least;
	size_t i;

	normal(address, a);
	set = least = t->set[hash(t, 2, slice_of(a, sizeof(a))) % THROTTLE_SETS];
	for (i = 0; i < THROTTLE_WAYS; i++) {
		if (set[i].full && memcmp(set[i].address, a, sizeof(a)) == 0)
			return &set[i];
		if (set[i].full < least->full)
			least = &set[i];
	}
	if (!make)
		return NULL;
	*least = (struct allowance){ 0 };
	memcpy(least->address, a, sizeof(a));
	return least;
}

/* How long from now until one more refusal is allowed; us. */
static uint64_t lacking(uint64_t full, uint64_t now, uint32_t per_minute)
{
	uint64_t next = full + MINUTE_US / per_minute, until = now + MINUTE_US;

	return next > until ? next - until : 0;
}

/* One refusal more. strict: of those of its kind. Caller holds the lock. */
static void use_up(uint64_t *full, uint64_t now, uint32_t per_minute, uint64_t *strict)
{
	uint64_t ends;

	if (*full < now)
		*full = now;
	/* Calls that were under way when it was used up do not count on for ever. */
	if (*full < now + 2 * (uint64_t)MINUTE_US)
		*full += MINUTE_US / per_minute;
	ends = lacking(*full, now, per_minute);
	if (ends && now + ends > __atomic_load_n(strict, __ATOMIC_RELAXED))
		__atomic_store_n(strict, now + ends, __ATOMIC_RELAXED);
}

static uint32_t seconds(uint64_t us)
{
	return (uint32_t)((us + 999999) / 1000000);
}

void throttle_refused(struct throttle *t, struct slice address, uint64_t now_ms, const uint64_t *prints, size_t count)
{
	uint32_t n;
	size_t i;

	if (!t)
		return;
	n = __atomic_load_n(&t->per_minute, __ATOMIC_RELAXED);
	for (i = 0; i < count; i++)
		if (throttle_knows(t, prints[i]))
			__atomic_store_n(&t->known[prints[i] % THROTTLE_KNOWN], 0, __ATOMIC_RELAXED);
	if (!n)
		return;
	pthread_mutex_lock(&t->lock);
	use_up(&find(t, address, true)->full, now_ms * 1000, n, &t->strict_until);
	pthread_mutex_unlock(&t->lock);
}

static uint32_t token_part(uint32_t per_minute)
{
	return per_minute > THROTTLE_TOKEN_PART ? per_minute / THROTTLE_TOKEN_PART : 1;
}

void throttle_token_refused(struct throttle *t, uint64_t print, uint64_t now_ms)
{
	uint32_t n = t ? __atomic_load_n(&t->per_minute, __ATOMIC_RELAXED) : 0;
	size_t at = print % THROTTLE_TOKENS;

	if (!n || !print)
		return;
	pthread_mutex_lock(&t->lock);
	if (t->token[at].print != print)
		t->token[at].full = 0;
	t->token[at].print = print;
	use_up(&t->token[at].full, now_ms * 1000, token_part(n), &t->token_strict_until);
	pthread_mutex_unlock(&t->lock);
}

uint32_t throttle_token_wait(struct throttle *t, uint64_t print, uint64_t now_ms)
{
	uint64_t now = now_ms * 1000, us = 0;
	size_t at = print % THROTTLE_TOKENS;
	uint32_t n;

	if (!t || !print || __atomic_load_n(&t->token_strict_until, __ATOMIC_RELAXED) <= now)
		return 0;
	n = __atomic_load_n(&t->per_minute, __ATOMIC_RELAXED);
	if (!n)
		return 0;
	pthread_mutex_lock(&t->lock);
	if (t->token[at].print == print)
		us = lacking(t->token[at].full, now, token_part(n));
	pthread_mutex_unlock(&t->lock);
	return seconds(us);
}

uint32_t throttle_wait(struct throttle *t, struct slice address, uint64_t now_ms)
{
	uint64_t now = now_ms * 1000, us;
	struct allowance *a;
	uint32_t n;

	if (!t || __atomic_load_n(&t->strict_until, __ATOMIC_RELAXED) <= now)
		return 0;
	n = __atomic_load_n(&t->per_minute, __ATOMIC_RELAXED);
	if (!n)
		return 0;
	pthread_mutex_lock(&t->lock);
	a = find(t, address, false);
	us = a ? lacking(a->full, now, n) : 0;
	pthread_mutex_unlock(&t->lock);
	return seconds(us);
}
