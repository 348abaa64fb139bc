/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaches the service. Untrusted: it only moves bytes between the proxy and the shared pages.
 *
 * A lane belongs to one thread. It fills request slots, submits them, and flushes: one crossing carries
 * everything submitted, and returns when all of it is answered. Answers stay in their slots, readable
 * but not writable here, until the slot is released.
 */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include "base/base.h"
#include "wire/boot.h"
#include "wire/call.h"
#include "wire/msg.h"

struct channel;
struct channel_lane;

struct channel_options {
	const char *service_path;	/* the service's ELF file */
	uint32_t workers;		/* lanes beside the control lane */
	bool pin;			/* pair lane i with CPU i */
	uint32_t spin_us;		/* both sides look so long before they sleep; 0: never */
	struct secret platform_key;
};

struct channel_error {
	char text[512];		/* what happened, and what to do */
};

/*
 * The process isolation: starts the service in its sandbox. Call from the thread that lives longest:
 * the service dies with it. The channel keeps a copy of the options, key included, for a restart.
 */
enum rc channel_open_process(const struct channel_options *o, struct channel **ch, struct channel_error *err);
/*
 * VMPL0: the service behind a driver's device file (SVSM_DEVICE), which one program at a time may open. It is a new
 * one. workers: at most so many lanes beside the control lane, 0: as many as the device has.
 */
enum rc channel_open_svsm(const char *device, uint32_t workers, struct channel **ch, struct channel_error *err);
/* Stops the service and frees everything. No thread may be in a flush. */
void channel_close(struct channel *ch);

/* Becomes readable when the service has died; then channel_restart(). */
int channel_death_fd(const struct channel *ch);
/* Ends the service at once; its death is then seen as any other. From any thread. */
void channel_kill(struct channel *ch);
/* Lanes beside the control lane. */
uint32_t channel_workers(const struct channel *ch);
/* The service's process id, for messages and tests; -1: it is no process of this machine's. */
int channel_pid(const struct channel *ch);
/* After the service's death: waits until no lane is in a flush, starts a new one. Same thread as open. */
enum rc channel_restart(struct channel *ch, struct channel_error *err);
/* Counts starts of the service: what was staged under one number is gone under the next. */
uint32_t channel_generation(const struct channel *ch);
/* Of the service that the calls submitted since the last flush are for; it runs them or nobody does. */
uint32_t channel_lane_generation(const struct channel_lane *l);
/* enum boot_isolation: as the channel was opened; at VMPL0 as the monitor says. */
uint32_t channel_isolation(const struct channel *ch);
uint32_t channel_lane_isolation(const struct channel_lane *l);

/* number < workers, or CHANNEL_CONTROL. */
#define CHANNEL_CONTROL UINT32_MAX
struct channel_lane *channel_lane(struct channel *ch, uint32_t number);

/* A free slot, or -1. Large slots carry CALL_LARGE_LEN bytes each way, small ones CALL_PAGE. */
int channel_slot_take(struct channel_lane *l, bool large);
void channel_slot_release(struct channel_lane *l, int slot);
uint8_t *channel_request(struct channel_lane *l, int slot);	/* write the body here */
size_t channel_room(int slot);

/* Queues the slot's request of len bytes. At most CALL_RING calls between flushes: false when full. */
MUST_CHECK bool channel_submit(struct channel_lane *l, int slot, enum wire_call call, size_t len);
/*
 * Runs everything submitted. RC_OK: each submitted slot has its answer. RC_MACHINE: the service died or
 * is not there; none of the submitted calls has an answer (they may or may not have run).
 */
enum rc channel_flush(struct channel_lane *l);
/* After a flush: the call's result (enum wire_err) and its answer's bytes. */
uint32_t channel_result(const struct channel_lane *l, int slot, struct slice *answer);

/* Crossings and calls so far, for metrics. */
void channel_counts(const struct channel *ch, uint64_t *crossings, uint64_t *calls);

#endif
