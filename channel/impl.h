/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel's parts to each other: lane.c keeps slots, rings and counters; a backend (process.c,
 * svsm.c) owns the shared memory and does the crossing.
 */
#ifndef CHANNEL_IMPL_H
#define CHANNEL_IMPL_H

#include "channel/channel.h"

struct channel_ops {
	/*
	 * Has the service answer everything up to l->tail, which is stored in the request area already.
	 * False: the service died.
	 */
	bool (*cross)(struct channel_lane *l);
	/* A new service, with all counters in shared memory at zero. No lane is in a flush. */
	enum rc (*restart)(struct channel *ch, struct channel_error *err);
	void (*kill)(struct channel *ch);
	void (*close)(struct channel *ch);	/* frees ch as well */
};

struct channel_lane {
	struct channel *ch;
	uint8_t *req;			/* CALL_AREA_LEN bytes */
	const uint8_t *rsp;		/* CALL_AREA_LEN bytes, read-only */
	uint32_t tail;			/* calls submitted */
	uint32_t flushed;		/* calls answered or given up */
	uint32_t generation;		/* of the service these counters belong to */
	uint32_t dead;			/* the generation that a flush found dead */
	uint32_t busy;			/* atomic: a flush is under way */
	uint16_t ring_slot[CALL_RING];	/* which slot each ring entry carries */
	struct call_cpl cpl[CALL_SLOTS];
	uint64_t crossings, calls;
	uint8_t taken[CALL_SLOTS];
	int next_small;
};

/* The first member of each backend's own structure. */
struct channel {
	const struct channel_ops *ops;
	uint32_t lanes;
	uint32_t workers;	/* < lanes */
	uint32_t isolation;	/* enum boot_isolation */
	uint32_t generation, up;	/* atomic */
	int death_fd, pid;	/* -1: none */
	uint8_t *req;		/* lanes * CALL_AREA_LEN bytes */
	const uint8_t *rsp;
	struct channel_lane *lane;
};

#define REQ_CTL(l) ((struct call_req_ctl *)(l)->req)
#define RSP_CTL(l) ((const struct call_rsp_ctl *)(l)->rsp)

/* Wall time, ms since 1970. */
uint64_t channel_wall_ms(void);

/* Allocates lanes; the areas must be mapped. RC_NO_ROOM. */
enum rc channel_lanes_make(struct channel *ch);
/* The service has (been) started: flushes work, and what was submitted before is void. */
void channel_started(struct channel *ch);
enum rc channel_fail(struct channel_error *err, const char *what, const char *remedy);	/* says errno; RC_MACHINE */

/* What svsm.c asks of the operating system; tests stand in for it. Results and errno as the system's. */
struct svsm_sys {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd, off_t off);
	int (*munmap)(void *addr, size_t len);
};
enum rc channel_open_svsm_on(const struct svsm_sys *sys, const char *device, uint32_t workers, struct channel **ch,
			     struct channel_error *err);

#endif
