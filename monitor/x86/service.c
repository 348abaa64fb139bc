/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two programs: the platform service, which answers one request at a time, and the key service, whose
 * threads serve one lane each.
 *
 * Starting the key service is cut into pieces: load, map the lanes, then let each thread run in turn until all of
 * them sleep in their lanes. From then on a lane's thread runs when its lane is called.
 */
#include <string.h>

#include "monitor/x86/process.h"

#define PIECE 4096u		/* pages mapped or freed in one go */
#define TURNS 64u		/* of threads, in one go */
#define TURNS_MAX 1000000u	/* then it will never sleep */
#define SPINS 256u		/* waits for another lane before the guest is asked to call again */

static struct process platform, service;
static struct thread platform_thread[1], service_thread[MON_LANES];
static struct slice service_elf;

static struct {
	uint32_t mapped;	/* lane pages so far */
	uint32_t turns;
	uint32_t next;		/* thread */
	struct thread *lane[MON_LANES];
} starting;

static struct slice file_of(const struct launch_range *r)
{
	return slice_of(direct(r->gpa), r->len);
}

void platform_load(const struct launch_range *file)
{
	if (process_new(&platform, platform_thread, 1) != RC_OK || process_load(&platform, file_of(file)) != RC_OK ||
	    process_run(&platform, &platform_thread[0]) != RAN_ASLEEP)
		stop(MON_REASON_PLATFORM, "the platform service does not start");
}

enum rc plat_platform(const void *req, size_t req_len, void *rsp, size_t rsp_len)
{
	struct pipe *p = &platform.pipe;
	enum ran ran;

	if (platform.dead)
		return RC_MACHINE;
	*p = (struct pipe){ req, req_len, rsp, 0, rsp_len };
	do {
		ran = process_run(&platform, &platform_thread[0]);
	} while (ran == RAN_YIELD);
	if (ran != RAN_ASLEEP || p->in_len || p->out_len != rsp_len) {
		platform.dead = true;
		return RC_MACHINE;
	}
	return RC_OK;
}

void service_file(const struct launch_range *file)
{
	service_elf = file_of(file);
}

static enum rc load(const struct boot_msg *boot)
{
	enum rc rc = process_new(&service, service_thread, MON_LANES);

	if (rc != RC_OK)
		return rc;
	memset(&starting, 0, sizeof(starting));
	service.boot = boot;
	rc = process_load(&service, service_elf);
	if (rc != RC_OK)
		service.dead = true;
	return rc == RC_OK ? RC_BUSY : rc;
}

static enum rc map_lanes(const uint32_t *frames, uint32_t half)
{
	uint32_t end = starting.mapped + PIECE;

	for (; starting.mapped < 2 * half && starting.mapped < end; starting.mapped++) {
		uint32_t i = starting.mapped;
		uint64_t va = i < half ? USER_REQ + i * PAGE : USER_RSP + (i - half) * PAGE;

		if (process_map(&service, va, frames[i] * PAGE, i >= half) != RC_OK)
			return RC_NO_ROOM;
	}
	return RC_BUSY;
}

/* One turn of one thread. False: the service is dead. */
static bool turn(struct thread *t)
{
	if (!t->tid || t->asleep)
		return true;
	if (process_run(&service, t) == RAN_DEAD)
		return false;
	if (t->asleep) {
		if (t->lane >= MON_LANES || starting.lane[t->lane])
			return false;	/* two threads in one lane */
		starting.lane[t->lane] = t;
	}
	return true;
}

static bool all_asleep(uint32_t lanes)
{
	uint32_t i;

	for (i = 0; i < lanes; i++)
		if (!starting.lane[i])
			return false;
	return true;
}

enum rc plat_service_start(const struct boot_msg *boot, const uint32_t *frames)
{
	uint32_t half = boot->lanes * MON_AREA_PAGES, i;

	if (!service.top)
		return load(boot);
	if (service.dead)
		return RC_DENIED;
	if (starting.mapped < 2 * half)
		return map_lanes(frames, half);
	for (i = 0; i < TURNS && !all_asleep(boot->lanes); i++) {
		if (starting.turns++ == TURNS_MAX || !turn(&service_thread[starting.next])) {
			service.dead = true;
			return RC_DENIED;
		}
		starting.next = (starting.next + 1) % service.threads;
	}
	return all_asleep(boot->lanes) ? RC_OK : RC_BUSY;
}

enum rc plat_service_run(uint32_t lane)
{
	struct thread *t = lane < MON_LANES ? starting.lane[lane] : NULL;
	enum ran ran;
	unsigned i;

	if (!t || service.dead)
		return RC_DENIED;
	t->asleep = false;
	for (i = 0; i < SPINS; i++) {
		ran = process_run(&service, t);
		if (ran == RAN_ASLEEP)
			return t->lane == lane ? RC_OK : RC_DENIED;
		if (ran != RAN_YIELD)
			return RC_DENIED;
		__asm__ volatile("pause");
	}
	return RC_BUSY;
}

enum rc plat_service_destroy(void)
{
	memset(&starting, 0, sizeof(starting));
	return process_free(&service, PIECE);
}

void service_wipe(void)
{
	service.dead = true;
	while (process_free(&service, ~0u) == RC_BUSY)
		;
	while (process_free(&platform, ~0u) == RC_BUSY)
		;
}
