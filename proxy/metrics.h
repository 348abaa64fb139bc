/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, meters and latencies. Each worker thread has its own counters, which only it writes: counting is
 * a plain addition, no lock, no shared cache line. Readers sum over the workers, so what they see is a moment
 * old and each counter only grows.
 *
 * Shown in two ways: as Prometheus text (metrics_write) and as the beans of Hadoop's /jmx (jmx.h).
 * All times given to these functions are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include <stdio.h>

#include "base/base.h"
#include "proxy/kms_op.h"

/* Hadoop KMS's meters, in the order of metrics_meter_name(). */
enum metrics_meter {
	METER_ADMIN,
	METER_KEY,
	METER_GENERATE_EEK,
	METER_DECRYPT_EEK,
	METER_REENCRYPT_EEK,
	METER_REENCRYPT_EEK_BATCH,
	METER_UNAUTHORIZED, /* operation ACL denials: to be marked by the caller */
	METER_UNAUTHENTICATED,
	METER_INVALID,
	METER_COUNT,
};

enum metrics_result {
	RESULT_OK,              /* 2xx, 3xx */
	RESULT_UNAUTHENTICATED, /* 401 */
	RESULT_DENIED,          /* 403 */
	RESULT_INVALID,         /* other 4xx */
	RESULT_ERROR,           /* 5xx and anything else */
	RESULT_COUNT,
};

/*
 * Events beside the answers to requests: X(identifier, family, labels). Those of credentials are in the order of enum
 * metrics_credential.
 */
/* clang-format off */
#define METRICS_EVENTS(X) \
	X(EVENT_AUTH_NONE, "authentications", "credential=\"none\",result=\"ok\"") \
	X(EVENT_AUTH_USER_NAME, "authentications", "credential=\"user.name\",result=\"ok\"") \
	X(EVENT_AUTH_COOKIE, "authentications", "credential=\"cookie\",result=\"ok\"") \
	X(EVENT_AUTH_NEGOTIATE, "authentications", "credential=\"negotiate\",result=\"ok\"") \
	X(EVENT_AUTH_TOKEN, "authentications", "credential=\"token\",result=\"ok\"") \
	X(EVENT_NO_AUTH_NONE, "authentications", "credential=\"none\",result=\"refused\"") \
	X(EVENT_NO_AUTH_USER_NAME, "authentications", "credential=\"user.name\",result=\"refused\"") \
	X(EVENT_NO_AUTH_COOKIE, "authentications", "credential=\"cookie\",result=\"refused\"") \
	X(EVENT_NO_AUTH_NEGOTIATE, "authentications", "credential=\"negotiate\",result=\"refused\"") \
	X(EVENT_NO_AUTH_TOKEN, "authentications", "credential=\"token\",result=\"refused\"") \
	X(EVENT_DO_AS_REFUSED, "proxy_user_refusals", NULL)
/* clang-format on */
#define METRICS_EVENT_ID(id, family, labels) id,
enum metrics_event_id { METRICS_EVENTS(METRICS_EVENT_ID) METRICS_EVENT_COUNT };
#undef METRICS_EVENT_ID

/* What a request shows of who it is; of several the last one here. */
enum metrics_credential { CREDENTIAL_NONE, CREDENTIAL_USER_NAME, CREDENTIAL_COOKIE, CREDENTIAL_NEGOTIATE, CREDENTIAL_TOKEN };

struct metrics_rates {
	uint64_t count;
	double mean, m1, m5, m15; /* events per second; exponentially weighted as Dropwizard does */
};

/* A figure that somebody else knows. Texts are kept by reference and must be constant. */
struct metrics_gauge {
	const char *name; /* [a-z_]+, in base units: svsm_kms_keys, svsm_kms_store_bytes */
	const char *help;
	const char *labels;        /* "isolation=\"process\"", or NULL */
	bool counter;              /* only grows */
	double (*read)(void *ctx); /* from any thread; NULL: constant 1, for information in labels */
	void *ctx;
};

#define METRICS_GAUGES_MAX 64u

struct metrics;
struct metrics_worker;

/* RC_NO_ROOM when out of memory. The result belongs to the caller; NULL may be freed. */
enum rc metrics_create(unsigned workers, uint64_t now, struct metrics **out);
void metrics_free(struct metrics *m);

/* The counters of worker i, to be used by its thread only. */
struct metrics_worker *metrics_worker(struct metrics *m, unsigned i);

/*
 * One answered request: counts it by operation and result, its latency, and the meters that follow from the
 * two: that of the operation (generate: only when it succeeded; none of them after 401), unauthenticated,
 * invalid. known: somebody was known to ask; false also after a 403 for a bad token or a doAs that is not allowed,
 * which in Hadoop never get as far as the operation's meter.
 */
void metrics_request(struct metrics_worker *w, enum kms_op op, unsigned status, bool known, uint64_t latency_ns);

/* One more request that showed this, and was believed or not. */
void metrics_authentication(struct metrics_worker *w, enum metrics_credential c, bool believed);

/* One more of a kind; by the worker's thread. */
void metrics_event(struct metrics_worker *w, enum metrics_event_id e);

/* One more event of a meter. */
void metrics_mark(struct metrics_worker *w, enum metrics_meter meter);

/* Before the first reader. RC_NO_ROOM beyond METRICS_GAUGES_MAX. */
enum rc metrics_add_gauge(struct metrics *m, const struct metrics_gauge *g);
const struct metrics_gauge *metrics_gauge_next(const struct metrics *m, size_t *at);
double metrics_gauge_value(const struct metrics_gauge *g);

/* Moves the weighted rates on. To be called at least every five seconds, by one thread or several. */
void metrics_tick(struct metrics *m, uint64_t now);

/* "hadoop.kms.admin.calls.meter" and so on. */
const char *metrics_meter_name(enum metrics_meter meter);
void metrics_meter_read(struct metrics *m, enum metrics_meter meter, uint64_t now, struct metrics_rates *out);

uint64_t metrics_requests(const struct metrics *m, enum kms_op op, enum metrics_result result);

/* The mean latency of an operation's requests with that result, in milliseconds; 0 without requests. */
double metrics_mean_ms(const struct metrics *m, enum kms_op op, enum metrics_result result);

/*
 * The latency below which a share q of an operation's requests stayed, in microseconds, at most a quarter too
 * high; 0 without requests.
 */
uint64_t metrics_quantile_us(const struct metrics *m, enum kms_op op, double q);

/* Everything as Prometheus text, version 0.0.4 (content type "text/plain; version=0.0.4; charset=utf-8"). */
void metrics_write(struct metrics *m, uint64_t now, FILE *f);

/* What the kernel and the allocator say about this process; a figure that cannot be had is 0. */
struct metrics_process {
	uint64_t heap_used, heap_committed; /* malloc, bytes */
	uint64_t resident, virtual_size;    /* bytes */
	uint64_t cpu_ns;
	uint64_t start_ms, uptime_ms; /* since 1970; since start */
	uint64_t open_files, max_files;
	uint64_t threads, threads_running, threads_blocked, threads_waiting;
};
void metrics_process_read(struct metrics_process *p);

#endif
