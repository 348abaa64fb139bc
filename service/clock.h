/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. The core has no wall clock worth trusting: wall time is advice from outside. It may lie
 * forward, which costs availability (tokens expire early). Lying backward or standing still does not
 * help it: time never goes back, and moves on at least as fast as a clock that only counts.
 */
#ifndef SERVICE_CLOCK_H
#define SERVICE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

struct clock {
	pthread_mutex_t lock;
	uint64_t (*mono_us)(void);
	uint64_t floor_ms;	/* latest time ever told */
	uint64_t floor_mono;	/* what the counting clock showed then, us: in whole ms it would run ahead by one */
};

void clock_init(struct clock *c, uint64_t (*mono_us)(void));
/* Advice from outside, or a floor from a sealed head. */
void clock_told(struct clock *c, uint64_t wall_ms);
uint64_t clock_now(struct clock *c);

#endif
