/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: slots, the submission ring, what a flush brings back. The same for every isolation; the crossing
 * itself is the backend's.
 *
 * One flush is one crossing: advance `tail`, cross, copy the completions. A lane never looks at the
 * counters of a service that has died: they are still in its pages when the next one starts at zero.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel/impl.h"

enum rc channel_fail(struct channel_error *err, const char *what, const char *remedy)
{
	snprintf(err->text, sizeof(err->text), "%s: %s; %s", what, strerror(errno), remedy);
	return RC_MACHINE;
}

/* Not the coarse clock: it is a tick late, and a key would be older than the request that made it. */
uint64_t channel_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

enum rc channel_lanes_make(struct channel *ch)
{
	uint32_t i;

	ch->lane = calloc(ch->lanes, sizeof(*ch->lane));
	if (!ch->lane)
		return RC_NO_ROOM;
	for (i = 0; i < ch->lanes; i++) {
		ch->lane[i].ch = ch;
		ch->lane[i].req = ch->req + CALL_AREA_LEN * i;
		ch->lane[i].rsp = ch->rsp + CALL_AREA_LEN * i;
	}
	return RC_OK;
}

void channel_started(struct channel *ch)
{
	__atomic_fetch_add(&ch->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ch->up, 1, __ATOMIC_SEQ_CST);
}

void channel_close(struct channel *ch)
{
	if (!ch)
		return;
	__atomic_store_n(&ch->up, 0, __ATOMIC_SEQ_CST);
	free(ch->lane);
	ch->ops->close(ch);
}

void channel_kill(struct channel *ch)
{
	ch->ops->kill(ch);
}

int channel_death_fd(const struct channel *ch)
{
	return ch->death_fd;
}

int channel_pid(const struct channel *ch)
{
	return ch->pid;
}

uint32_t channel_workers(const struct channel *ch)
{
	return ch->workers;
}

uint32_t channel_generation(const struct channel *ch)
{
	return __atomic_load_n(&ch->generation, __ATOMIC_ACQUIRE);
}

uint32_t channel_lane_generation(const struct channel_lane *l)
{
	return l->generation;
}

uint32_t channel_isolation(const struct channel *ch)
{
	return ch->isolation;
}

uint32_t channel_lane_isolation(const struct channel_lane *l)
{
	return l->ch->isolation;
}

/*
 * No lane may believe in an old counter when the new service starts at zero: a lane notices by the
 * generation, in channel_submit() and channel_flush(). While one is in a flush nothing is touched.
 */
enum rc channel_restart(struct channel *ch, struct channel_error *err)
{
	const struct timespec ms = { 0, 1000000 };
	uint32_t i;
	enum rc rc;

	__atomic_store_n(&ch->up, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < ch->lanes; i++)
		while (__atomic_load_n(&ch->lane[i].busy, __ATOMIC_SEQ_CST))
			nanosleep(&ms, NULL);
	for (i = 0; i < ch->lanes; i++) {
		/* Only what the service looks at first: a lane's thread may be writing an entry of the ring. */
		__atomic_store_n(&REQ_CTL(&ch->lane[i])->tail, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&REQ_CTL(&ch->lane[i])->waiting, 0, __ATOMIC_RELAXED);
	}
	rc = ch->ops->restart(ch, err);
	if (rc == RC_OK)
		channel_started(ch);
	return rc;
}

struct channel_lane *channel_lane(struct channel *ch, uint32_t number)
{
	if (number == CHANNEL_CONTROL)
		return &ch->lane[ch->lanes - 1];
	INVARIANT(number + 1 < ch->lanes);
	return &ch->lane[number];
}

int channel_slot_take(struct channel_lane *l, bool large)
{
	int i;

	if (large) {
		for (i = CALL_SMALL; i < (int)CALL_SLOTS; i++)
			if (!l->taken[i]) {
				l->taken[i] = 1;
				return i;
			}
		return -1;
	}
	/* Low numbers first: few pages stay warm. */
	for (i = l->next_small; i < (int)CALL_SMALL; i++)
		if (!l->taken[i]) {
			l->taken[i] = 1;
			l->next_small = i + 1;
			return i;
		}
	return -1;
}

void channel_slot_release(struct channel_lane *l, int slot)
{
	INVARIANT(slot >= 0 && slot < (int)CALL_SLOTS && l->taken[slot]);
	l->taken[slot] = 0;
	if (slot < l->next_small)
		l->next_small = slot;
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
	uint32_t at, generation = channel_generation(l->ch);

	if (l->tail == l->flushed && l->generation != generation) {
		l->generation = generation;
		l->tail = l->flushed = 0;
	}
	at = l->tail % CALL_RING;
	INVARIANT(slot >= 0 && slot < (int)CALL_SLOTS && l->taken[slot] && len <= channel_room(slot));
	if (l->tail - l->flushed >= CALL_RING)
		return false;
	REQ_CTL(l)->ring[at] =
		(struct call_sub){ .call = (uint16_t)call, .slot = (uint16_t)slot, .len = (uint32_t)len };
	l->ring_slot[at] = (uint16_t)slot;
	l->tail++;
	return true;
}

static enum rc flush(struct channel_lane *l)
{
	uint32_t i;

	/* A dead service's last counters and answers are still in its pages: never look there again. */
	if (!__atomic_load_n(&l->ch->up, __ATOMIC_SEQ_CST) || l->generation != channel_generation(l->ch) ||
	    l->generation == l->dead)
		return RC_MACHINE;
	REQ_CTL(l)->now_ms = channel_wall_ms();
	__atomic_store_n(&REQ_CTL(l)->tail, l->tail, __ATOMIC_RELEASE);
	if (!l->ch->ops->cross(l)) {
		l->dead = l->generation;
		return RC_MACHINE;
	}
	__atomic_store_n(&l->crossings, l->crossings + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->calls, l->calls + (l->tail - l->flushed), __ATOMIC_RELAXED);
	for (i = l->flushed; i != l->tail; i++)
		l->cpl[l->ring_slot[i % CALL_RING]] = RSP_CTL(l)->ring[i % CALL_RING];
	return RC_OK;
}

enum rc channel_flush(struct channel_lane *l)
{
	enum rc rc = RC_OK;

	if (l->tail == l->flushed)
		return RC_OK;
	__atomic_store_n(&l->busy, 1, __ATOMIC_SEQ_CST);
	rc = flush(l);
	l->flushed = l->tail;
	if (rc != RC_OK)
		l->generation = 0;	/* the counters start anew with the next service */
	__atomic_store_n(&l->busy, 0, __ATOMIC_SEQ_CST);
	return rc;
}

uint32_t channel_result(const struct channel_lane *l, int slot, struct slice *answer)
{
	const struct call_cpl *c = &l->cpl[slot];
	size_t len = c->len <= channel_room(slot) ? c->len : 0;

	*answer = slice_of(l->rsp + call_slot_off((unsigned)slot), len);
	return c->result;
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
