/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key-management core: one object, called by any number of worker threads. It has no files, no
 * network, no environment; main.c gives it its lanes, tests call it directly.
 *
 * Everything that comes in is hostile: the caller of svc_call() may rewrite the request while it is
 * read, and may make any call in any order.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "wire/boot.h"
#include "wire/call.h"
#include "wire/msg.h"

struct svc;
struct svc_worker;

struct svc_options {
	uint32_t isolation;
	struct secret platform_key;
	crypto_entropy entropy;		/* source of seeds, with its tests (entropy.h) */
	void *entropy_ctx;
	bool memory_locked;
	uint64_t (*mono_us)(void);	/* microseconds; a clock that only moves forward */
};

/* NULL: no memory. The options are copied; the caller wipes its own. */
struct svc *svc_new(const struct svc_options *o);
/* Wipes every secret it holds. No worker may be in a call. */
void svc_free(struct svc *s);

/* One per thread; made and freed while nobody is in a call. Free workers before their service. */
struct svc_worker *svc_worker_new(struct svc *s);
void svc_worker_free(struct svc_worker *w);

/* What the service says of itself to those who attest it. */
void svc_evidence(struct svc *s, struct call_evidence *out);

/* Wall time as the other side tells it, ms; see clock.h for what a lie can do. Once per crossing. */
void svc_time(struct svc *s, uint64_t wall_ms);

/*
 * One call. req: the request's bytes, read once. rsp[0..room): where the answer goes, written only by
 * the service. Returns enum wire_err (also in the answer's head) and sets *len to the answer's length,
 * 0 when there is none (then the result says all).
 */
uint32_t svc_call(struct svc *s, struct svc_worker *w, uint32_t call, struct shared req, uint8_t *rsp, size_t room,
		  uint32_t *len);

/*
 * The same for several calls in one go: their answers are complete, and may be shown to the other side, after
 * svc_calls_end(), which gives the audit entries of all of them their numbers.
 */
uint32_t svc_call_more(struct svc *s, struct svc_worker *w, uint32_t call, struct shared req, uint8_t *rsp, size_t room,
		       uint32_t *len);
void svc_calls_end(struct svc_worker *w);

/* Wipes keys and secrets without taking locks: for a program that is about to stop. */
void svc_panic_wipe(struct svc *s);

#endif
