/* SPDX-License-Identifier: Apache-2.0 */
#include "service/clock.h"

/* 9999-12-31: later times are nonsense and would overflow sums of expiry times. */
#define LATEST_MS 253402300799000ull

void clock_init(struct clock *c, uint64_t (*mono_us)(void))
{
	pthread_mutex_init(&c->lock, NULL);
	c->mono_us = mono_us;
	c->floor_ms = 0;
	c->floor_mono = mono_us();
}

static uint64_t counted(const struct clock *c, uint64_t mono)
{
	return c->floor_ms + (mono > c->floor_mono ? (mono - c->floor_mono) / 1000 : 0);
}

void clock_told(struct clock *c, uint64_t wall_ms)
{
	uint64_t mono = c->mono_us(), now;

	if (wall_ms > LATEST_MS)
		wall_ms = LATEST_MS;
	pthread_mutex_lock(&c->lock);
	now = counted(c, mono);
	if (wall_ms > now) {
		c->floor_ms = wall_ms;
		c->floor_mono = mono;
	}
	pthread_mutex_unlock(&c->lock);
}

uint64_t clock_now(struct clock *c)
{
	uint64_t now;

	pthread_mutex_lock(&c->lock);
	now = counted(c, c->mono_us());
	pthread_mutex_unlock(&c->lock);
	return now;
}
