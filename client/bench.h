/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A closed-loop HTTP load generator: each connection has one request outstanding. One thread, one
 * epoll set, memory fixed by the number of connections. Responses are parsed as strictly as anywhere.
 */
#ifndef CLIENT_BENCH_H
#define CLIENT_BENCH_H

#include "client/session.h"

#define BENCH_CONNECTIONS_MAX 1024
#define BENCH_BUCKETS 1920	/* 32 for each power of two of nanoseconds: 3 % wide */

struct bench_load {
	struct session *session;	/* where to connect; not used for the requests themselves */
	void (*make)(void *ctx, uint64_t n, struct buf *to);	/* writes request number n */
	void *ctx;
	uint64_t first;			/* number of the first request */
	uint64_t count;			/* how many at most */
	unsigned connections;		/* 1..BENCH_CONNECTIONS_MAX */
	unsigned ms;			/* no new request after so many; 0: until count */
	unsigned want;			/* status of success */
};

struct bench_result {
	uint64_t sent;		/* requests begun */
	uint64_t good;		/* answered with the status wanted */
	uint64_t errors;	/* any other end */
	uint64_t ns;		/* how long it took */
	uint32_t bucket[BENCH_BUCKETS];	/* of the good ones, by latency */
};

/*
 * RC_MACHINE: no connection could be made, or hardly any request succeeds; r holds what was counted.
 * Stops early, with RC_OK, when *stop becomes non-zero.
 */
enum rc bench_run(const struct bench_load *load, const volatile int *stop, struct bench_result *r);

/* The latency in ns that `percent` of the good requests did not exceed (upper end of its bucket). */
uint64_t bench_percentile(const struct bench_result *r, unsigned percent);

/* Exposed for tests: which bucket, and the largest value in it. */
unsigned bench_bucket(uint64_t ns);
uint64_t bench_bucket_top(unsigned bucket);

#endif
