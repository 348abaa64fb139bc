/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole server in one process: the proxy as it is, with a channel that calls svc_call() directly
 * instead of crossing into a sandboxed service. For counting instructions and finding where they go
 * (valgrind --tool=callgrind build/path_bench --data DIR --listen ...): what cannot be seen across two
 * processes can be seen here. There is no isolation: it is for measurements only.
 *
 * Takes the arguments of `svsm-kms serve`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "channel/channel.h"
#include "service/entropy.h"
#include "service/service.h"

int serve_main(int argc, char **argv);

struct channel_lane {
	struct channel *ch;
	struct svc_worker *w;
	uint8_t *req, *rsp;		/* CALL_AREA_LEN bytes each, never touched before they are used */
	uint8_t taken[CALL_SLOTS];
	struct call_cpl cpl[CALL_SLOTS];
	struct call_sub ring[CALL_RING];
	unsigned queued;
	uint64_t crossings, calls;
};

struct channel {
	struct svc *svc;
	struct entropy entropy;
	uint32_t lanes;
	struct channel_lane *lane;
};

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

static uint64_t us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t mono_us(void)
{
	return us(CLOCK_MONOTONIC);
}

enum rc channel_open_process(const struct channel_options *o, struct channel **out, struct channel_error *err)
{
	struct svc_options opt = { .isolation = ISOLATION_PROCESS, .entropy = entropy_get, .mono_us = mono_us };
	struct channel *ch = calloc(1, sizeof(*ch));
	uint32_t i;

	snprintf(err->text, sizeof(err->text), "the core does not start");
	if (!ch || crypto_start() != RC_OK || entropy_init(&ch->entropy) != RC_OK)
		return RC_MACHINE;
	opt.entropy_ctx = &ch->entropy;
	memcpy(opt.platform_key.b, o->platform_key.b, sizeof(opt.platform_key.b));
	ch->svc = svc_new(&opt);
	secret_wipe(&opt.platform_key);
	ch->lanes = o->workers + 1;
	ch->lane = calloc(ch->lanes, sizeof(*ch->lane));
	for (i = 0; ch->svc && ch->lane && i < ch->lanes; i++) {
		struct channel_lane *l = &ch->lane[i];

		*l = (struct channel_lane){ .ch = ch, .w = svc_worker_new(ch->svc), .req = malloc(CALL_AREA_LEN),
					    .rsp = malloc(CALL_AREA_LEN) };
		if (!l->w || !l->req || !l->rsp)
			return RC_NO_ROOM;
	}
	if (!ch->svc || !ch->lane)
		return RC_NO_ROOM;
	*out = ch;
	return RC_OK;
}

void channel_close(struct channel *ch)
{
	uint32_t i;

	for (i = 0; ch && i < ch->lanes; i++) {
		svc_worker_free(ch->lane[i].w);
		free(ch->lane[i].req);
		free(ch->lane[i].rsp);
	}
	if (ch) {
		svc_free(ch->svc);
		free(ch->lane);
	}
	free(ch);
}

int channel_death_fd(const struct channel *ch)
{
	(void)ch;
	return -1;	/* poll() passes over it: this service cannot die alone */
}

int channel_pid(const struct channel *ch)
{
	(void)ch;
	return -1;
}

enum rc channel_restart(struct channel *ch, struct channel_error *err)
{
	(void)ch;
	(void)err;
	return RC_MACHINE;
}

uint32_t channel_generation(const struct channel *ch)
{
	(void)ch;
	return 1;
}

uint32_t channel_lane_generation(const struct channel_lane *l)
{
	(void)l;
	return 1;
}

uint32_t channel_isolation(const struct channel *ch)
{
	(void)ch;
	return ISOLATION_PROCESS;
}

uint32_t channel_lane_isolation(const struct channel_lane *l)
{
	(void)l;
	return ISOLATION_PROCESS;
}

uint32_t channel_workers(const struct channel *ch)
{
	return ch->lanes - 1;
}

void channel_kill(struct channel *ch)
{
	(void)ch;
}

enum rc channel_open_svsm(const char *device, uint32_t workers, struct channel **ch, struct channel_error *err)
{
	(void)device;
	(void)workers;
	(void)ch;
	snprintf(err->text, sizeof(err->text), "not in this program");
	return RC_MACHINE;
}

struct channel_lane *channel_lane(struct channel *ch, uint32_t number)
{
	return &ch->lane[number == CHANNEL_CONTROL ? ch->lanes - 1 : number];
}

int channel_slot_take(struct channel_lane *l, bool large)
{
	int i;

	for (i = large ? (int)CALL_SMALL : 0; i < (large ? (int)CALL_SLOTS : (int)CALL_SMALL); i++)
		if (!l->taken[i]) {
			l->taken[i] = 1;
			return i;
		}
	return -1;
}

void channel_slot_release(struct channel_lane *l, int slot)
{
	l->taken[slot] = 0;
}

uint8_t *channel_request(struct channel_lane *l, int slot)
{
	return l->req + call_slot_off((unsigned)slot);
}

size_t channel_room(int slot)
{
	return call_slot_len((unsigned)slot);
}

bool channel_submit(struct channel_lane *l, int slot, enum wire_call call, size_t len)
{
	if (l->queued == CALL_RING)
		return false;
	l->ring[l->queued++] = (struct call_sub){ .call = (uint16_t)call, .slot = (uint16_t)slot,
						  .len = (uint32_t)len };
	return true;
}

enum rc channel_flush(struct channel_lane *l)
{
	unsigned i;

	if (!l->queued)
		return RC_OK;
	svc_time(l->ch->svc, us(CLOCK_REALTIME) / 1000);
	for (i = 0; i < l->queued; i++) {
		const struct call_sub *s = &l->ring[i];
		size_t off = call_slot_off(s->slot);

		l->cpl[s->slot].result = svc_call(l->ch->svc, l->w, s->call, shared_of(l->req + off, s->len),
						  l->rsp + off, call_slot_len(s->slot), &l->cpl[s->slot].len);
	}
	l->crossings++;
	l->calls += l->queued;
	l->queued = 0;
	return RC_OK;
}

uint32_t channel_result(const struct channel_lane *l, int slot, struct slice *answer)
{
	*answer = slice_of(l->rsp + call_slot_off((unsigned)slot), l->cpl[slot].len);
	return l->cpl[slot].result;
}

void channel_counts(const struct channel *ch, uint64_t *crossings, uint64_t *calls)
{
	uint32_t i;

	*crossings = *calls = 0;
	for (i = 0; i < ch->lanes; i++) {
		*crossings += __atomic_load_n(&ch->lane[i].crossings, __ATOMIC_RELAXED);
		*calls += __atomic_load_n(&ch->lane[i].calls, __ATOMIC_RELAXED);
	}
}

int main(int argc, char **argv)
{
	return serve_main(argc, argv);
}
