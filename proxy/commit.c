/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread makes changes durable, in groups: everything staged while the last group was being written
 * is the next group. For a group: the service seals a new head over it, records and head go into the
 * store in one transaction, and when that is durable the service makes the changes visible. Only then do
 * the clients hear of them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/kms.h"

#define GROUP_MAX 2048

void commit_add(struct kms *s, struct work *list)
{
	struct commit_queue *q = &s->commits;

	pthread_mutex_lock(&q->lock);
	*q->end = list;
	for (; *q->end; q->queued++)
		q->end = &(*q->end)->next;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->more);
}

void work_give_back(struct work *k, uint32_t outcome, const char *text)
{
	struct kms_worker *w = k->w;

	k->outcome = outcome;
	k->outcome_text = text ? strdup(text) : NULL;
	k->next = NULL;
	pthread_mutex_lock(&w->done_lock);
	*w->done_end = k;
	w->done_end = &k->next;
	pthread_mutex_unlock(&w->done_lock);
}

static bool has_done(struct kms_worker *w)
{
	bool done;

	pthread_mutex_lock(&w->done_lock);
	done = w->done != NULL;
	pthread_mutex_unlock(&w->done_lock);
	return done;
}

static void finish_group(struct kms *s, struct work *list, uint32_t outcome, const char *text)
{
	struct work *next;
	unsigned i;

	for (; list; list = next) {
		next = list->next;
		work_give_back(list, outcome, text);
	}
	__atomic_fetch_add(&s->commits.turns, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < s->workers; i++)
		if (has_done(&s->worker[i]) || __atomic_load_n(&s->worker[i].has_busy, __ATOMIC_SEQ_CST))
			server_wake(s->server, i);
}

/* Changes staged in a service that has died since are gone with it. */
static struct work *drop_stale(struct kms *s, struct work *list)
{
	uint32_t generation = channel_generation(s->channel);
	struct work *keep = NULL, **end = &keep, *next;

	for (; list; list = next) {
		next = list->next;
		if (list->generation == generation) {
			list->next = NULL;
			*end = list;
			end = &list->next;
		} else {
			work_give_back(list, WORK_DIED, NULL);
		}
	}
	return keep;
}

static enum rc call_tickets(struct kms *s, enum wire_call call, uint64_t epoch, const struct work *list, int *slot,
			    uint32_t *err, struct wire_ans *ans)
{
	struct wire_tickets_req m = { .epoch = epoch };
	size_t room = 12 + 8 * GROUP_MAX;
	uint8_t *body = malloc(room);
	struct sink t = sink_of(body, room);
	const struct work *k;
	enum rc rc = RC_NO_ROOM;

	for (k = list; k; k = k->next)
		m.count++;
	if (body) {
		wire_tickets_req_put(&t, &m);
		for (k = list; k; k = k->next)
			sink_le64(&t, k->staged.ticket);
		INVARIANT(sink_ok(&t));
		rc = core_call(channel_lane(s->channel, CHANNEL_CONTROL), call, slice_of(body, t.need), slot, err, ans);
	}
	free(body);
	return rc;
}

/* False: the service lives and did not do it. */
static bool call_simple(struct kms *s, enum wire_call call, uint64_t epoch, const struct work *list)
{
	struct wire_ans ans;
	uint32_t err;
	int slot;
	enum rc rc = call_tickets(s, call, epoch, list, &slot, &err, &ans);

	if (rc == RC_OK)
		channel_slot_release(channel_lane(s->channel, CHANNEL_CONTROL), slot);
	return rc == RC_MACHINE || (rc == RC_OK && err == E_OK);
}

/*
 * A service that does not take in what is durable, or does not let go of what is not, must not go on: its
 * next start reads the truth from the store. Caller holds the control lock, so there is no other one yet.
 */
static void call_or_kill(struct kms *s, enum wire_call call, uint64_t epoch, const struct work *list)
{
	if (call_simple(s, call, epoch, list))
		return;
	fprintf(stderr, "svsm-kms: the key service has no memory to take in a change; starting it again\n");
	channel_kill(s->channel);
}

/* ---- entries of the audit chain that the store carries ---- */

/*
 * carry := len:u32 piece[len], cut into items; the piece is what chainlog_carry() gives. Each item has one page of the
 * store for itself, because a run of free pages is not always there.
 */
static struct slice carry_name(unsigned i, char *room)
{
	snprintf(room, 24, "chain.%02u", i);
	return slice_str(room);
}

/*
 * Into the open transaction, in place of what the last one had. As long as the chain's file is not synced a piece begins
 * with the one before it, so that most items stay as they are.
 */
static enum rc put_carry(struct kms *s, struct slice piece, struct store_error *err)
{
	uint32_t len = (uint32_t)piece.len;
	uint8_t b[CARRY_CHUNK];
	size_t at = sizeof(len);
	char name[24];
	enum rc rc = RC_OK;
	unsigned i, n;

	INVARIANT(len <= CHAINLOG_PIECE_MAX);
	memcpy(b, &len, sizeof(len));
	for (i = 0; rc == RC_OK && piece.len; i++, at = 0) {
		size_t part = piece.len < sizeof(b) - at ? piece.len : sizeof(b) - at;

		memcpy(b + at, piece.p, part);
		memset(b + at + part, 0, sizeof(b) - at - part);
		piece = slice_of(piece.p + part, piece.len - part);
		if (s->carried_known && i < s->carried && memcmp(s->carry[i], b, sizeof(b)) == 0)
			continue;
		memcpy(s->carry[i], b, sizeof(b));
		rc = store_txn_put_item(s->store, carry_name(i, name), slice_of(b, sizeof(b)), err);
	}
	for (n = i; rc == RC_OK && i < (s->carried_known ? s->carried : CARRY_CHUNKS); i++)
		rc = store_txn_del_item(s->store, carry_name(i, name), err);
	s->carried_known = rc == RC_OK;
	s->carried = n;
	return rc;
}

bool commit_carried(struct store *store, struct outbuf *piece)
{
	struct store_buf b = { 0 };
	uint32_t len = 0;
	char name[24];
	unsigned i;

	for (i = 0; i < CARRY_CHUNKS && (i == 0 || piece->len < len); i++) {
		struct cursor in;

		if (store_item_get(store, carry_name(i, name), &b, NULL) != RC_OK || !b.found)
			break;
		in = cur_of(b.p, b.len);
		if (i == 0 && !cur_le32(&in, &len))
			break;
		outbuf_put(piece, in.at, in.left < len - piece->len ? in.left : len - piece->len);
	}
	store_buf_free(&b);
	return len != 0 && outbuf_ok(piece) && piece->len == len;
}

static enum rc write_group(struct kms *s, const struct work *list, struct slice head, struct slice carry,
			   struct store_error *err)
{
	enum rc rc = store_txn_begin(s->store, err);

	for (; rc == RC_OK && list; list = list->next) {
		struct store_id id;

		memcpy(id.b, list->staged.id, sizeof(id.b));
		if (list->staged.remove)
			rc = store_txn_del(s->store, &id, err);
		else
			rc = store_txn_put(s->store, &id, list->staged.record, err);
	}
	if (rc == RC_OK)
		rc = store_txn_put_head(s->store, head, err);
	if (rc == RC_OK)
		rc = put_carry(s, carry, err);
	if (rc == RC_OK)
		rc = store_txn_commit(s->store, err);
	else
		store_txn_abort(s->store);
	s->carried_known &= rc == RC_OK;
	return rc;
}

static void stop_server(struct kms *s, const char *why)
{
	snprintf(s->fatal, sizeof(s->fatal), "%s", why);
	__atomic_store_n(&s->must_stop, 1, __ATOMIC_SEQ_CST);
}

/* The group with its head sealed. Returns what the clients are told. */
static uint32_t store_group(struct kms *s, struct work *list, const struct wire_ans *head_ans, char *text, size_t room)
{
	struct cursor body = head_ans->body;
	struct store_error serr;
	OUTBUF carry = { 0 };
	struct slice head;
	uint64_t epoch;
	struct work *k;
	bool logged;
	enum rc rc;

	if (!cur_le64(&body, &epoch) || !cur_str16(&body, UINT16_MAX, &head))
		return E_INTERNAL;
	/*
	 * What the head vouches for must be there when it is, the staging of these changes too: a group takes along what is not
	 * yet on the disk; a head alone, which is rare, waits until all is.
	 */
	__atomic_store_n(&s->at_disk, 1, __ATOMIC_RELEASE);
	rc = list ? chainlog_carry(s->chain, head_ans->head.num[0], &carry) : chainlog_sync(s->chain, head_ans->head.num[0]);
	logged = rc == RC_OK;
	if (logged)
		rc = write_group(s, list, head, outbuf_slice(&carry), &serr);
	__atomic_store_n(&s->at_disk, 0, __ATOMIC_RELEASE);
	if (!logged) {
		call_or_kill(s, CALL_ABORT, epoch, NULL);
		return E_AUDIT;
	}
	if (rc != RC_OK) {
		snprintf(text, room, "%s", serr.text);
		call_or_kill(s, CALL_ABORT, epoch, NULL);
		if (serr.fatal)
			stop_server(s, serr.text);
		return WORK_STORE;
	}
	/* Durable from here: whatever happens to the service, the change is made. */
	call_or_kill(s, CALL_COMMIT, epoch, NULL);
	__atomic_fetch_add(&s->groups, 1, __ATOMIC_RELAXED);
	for (k = list; k; k = k->next)
		__atomic_fetch_add(&s->committed, 1, __ATOMIC_RELAXED);
	return E_OK;
}

enum rc commit_head(struct kms *s, struct core_error *err)
{
	struct channel_lane *control = channel_lane(s->channel, CHANNEL_CONTROL);
	char text[1024] = "";
	struct wire_ans ans;
	uint32_t e, outcome;
	int slot;

	if (call_tickets(s, CALL_HEAD, 0, NULL, &slot, &e, &ans) != RC_OK)
		return RC_OK;	/* it died; its next start comes here again */
	outcome = e == E_OK ? store_group(s, NULL, &ans, text, sizeof(text)) : e;
	channel_slot_release(control, slot);
	if (outcome == E_OK)
		return RC_OK;
	snprintf(err->text, sizeof(err->text), "the store's head cannot be renewed: %s",
		 text[0] ? text : outcome == E_AUDIT ? "the audit chain cannot be written" : "refused");
	err->exit_code = 74;
	return RC_MACHINE;
}

static void free_works(struct work *list)
{
	struct work *next;

	for (; list; list = next) {
		next = list->next;
		free(list);
	}
}

/* The changes in an answer, as a group. False: no memory, or not what an answer is. */
static bool take_staged(struct cursor body, struct work **list)
{
	struct work **end = list;

	*list = NULL;
	while (body.left) {
		struct work *k = calloc(1, sizeof(*k));

		if (!k || !wire_staged_next(&body, &k->staged)) {
			free(k);
			free_works(*list);
			return false;
		}
		*end = k;
		end = &k->next;
	}
	return true;
}

/* What the core has staged of its own accord becomes durable. text: of the store's error. */
static uint32_t keep_staged(struct kms *s, struct cursor body, char *text, size_t room)
{
	struct channel_lane *control = channel_lane(s->channel, CHANNEL_CONTROL);
	uint32_t e = E_NO_MEMORY, outcome = WORK_DIED;
	struct work *list;
	struct wire_ans ans;
	int slot;

	if (!take_staged(body, &list) || !list)
		return body.left ? e : E_OK;
	if (call_tickets(s, CALL_HEAD, 0, list, &slot, &e, &ans) == RC_OK) {
		outcome = e == E_OK ? store_group(s, list, &ans, text, room) : e;
		if (e != E_OK)
			call_or_kill(s, CALL_ABORT, 0, list);
		channel_slot_release(control, slot);
	}
	free_works(list);
	return outcome;
}

enum rc commit_call(struct kms *s, enum wire_call call, struct slice request, const char *what, struct core_error *err)
{
	struct channel_lane *control = channel_lane(s->channel, CHANNEL_CONTROL);
	char text[1024] = "";
	struct wire_ans ans;
	uint32_t outcome;
	int slot;

	if (core_call(control, call, request, &slot, &outcome, &ans) != RC_OK)
		return RC_OK;	/* it died; its next start comes here again */
	if (outcome == E_OK)
		outcome = keep_staged(s, ans.body, text, sizeof(text));
	else
		core_error_text(channel_lane_isolation(control), outcome, &ans, text, sizeof(text));
	channel_slot_release(control, slot);
	if (outcome == E_OK || outcome == WORK_DIED)
		return RC_OK;
	snprintf(err->text, sizeof(err->text), "%s: %.900s", what, text[0] ? text : "refused");
	err->exit_code = 74;
	return RC_MACHINE;
}

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What the next group can expect. Before anybody is answered: whoever comes again must not count twice. */
static void group_done(struct commit_queue *q, unsigned count, uint64_t took_ns)
{
	pthread_mutex_lock(&q->lock);
	q->took_ns = took_ns;
	q->writers = count + q->queued < GROUP_MAX ? count + q->queued : GROUP_MAX;
	pthread_mutex_unlock(&q->lock);
}

/* Makes a list of staged changes durable. Caller holds the control lock. Returns what the clients are told.
 */
static uint32_t commit_list(struct kms *s, struct work *list, char *text, size_t room)
{
	uint32_t err, outcome = WORK_DIED;
	struct wire_ans ans;
	int slot;

	if (call_tickets(s, CALL_HEAD, 0, list, &slot, &err, &ans) != RC_OK)
		return outcome;
	outcome = err;
	if (err == E_OK)
		outcome = store_group(s, list, &ans, text, room);
	else
		call_or_kill(s, CALL_ABORT, 0, list);
	channel_slot_release(channel_lane(s->channel, CHANNEL_CONTROL), slot);
	return outcome;
}

static void run_group(struct kms *s, struct work *list, unsigned count)
{
	char text[1024] = "";
	uint32_t outcome = WORK_DIED;
	uint64_t began = mono_ns();

	pthread_mutex_lock(&s->control);
	list = drop_stale(s, list);
	if (list && chainlog_refuses(s->chain)) {
		call_or_kill(s, CALL_ABORT, 0, list);
		outcome = E_AUDIT;
	} else if (list) {
		outcome = commit_list(s, list, text, sizeof(text));
	}
	pthread_mutex_unlock(&s->control);
	group_done(&s->commits, count, mono_ns() - began);
	finish_group(s, list, outcome, text[0] ? text : NULL);
}

/* ---- delegation tokens whose time is over ---- */

/* The removals that the service staged, as a list in `work`. False: its answer is not what it should be. */
static bool expired_list(struct cursor body, struct work *work, uint32_t room, uint32_t *count,
			 uint64_t *next)
{
	uint32_t i;

	if (!cur_le64(&body, next) || !cur_le32(&body, count) || *count > room)
		return false;
	for (i = 0; i < *count; i++) {
		if (!wire_staged_next(&body, &work[i].staged) || !work[i].staged.remove)
			return false;
		work[i].next = i + 1 < *count ? &work[i + 1] : NULL;
	}
	return cur_end(&body);
}

/* Some of them, from *from on. False: that is all for now. Caller holds the control lock. */
static bool remove_some(struct kms *s, uint64_t *from)
{
	enum { MOST = 64 };
	struct channel_lane *control = channel_lane(s->channel, CHANNEL_CONTROL);
	struct work *work = calloc(MOST, sizeof(*work));
	uint32_t err, count = 0;
	char text[1024] = "";
	struct wire_ans ans;
	bool good = false;
	int slot;

	if (work &&
	    core_call(control, CALL_DT_EXPIRE, slice_of(from, sizeof(*from)), &slot, &err, &ans) == RC_OK) {
		good = err == E_OK && expired_list(ans.body, work, MOST, &count, from);
		channel_slot_release(control, slot);
	}
	if (good && count)
		good = commit_list(s, work, text, sizeof(text)) == E_OK;
	if (text[0])
		fprintf(stderr, "svsm-kms: expired delegation tokens stay in the store for now: %s\n", text);
	free(work);
	return good && *from != 0;
}

static void remove_expired(struct kms *s)
{
	uint64_t from = 0;
	bool more = true;

	while (more) { /* in small pieces: others want to commit */
		pthread_mutex_lock(&s->control);
		more = remove_some(s, &from);
		pthread_mutex_unlock(&s->control);
	}
}

/*
 * Those who were answered with the last group are about to come again. Taking at once what is there would
 * leave them for the next group, and so for ever: two groups of half the size. So they get half the time
 * that the last group took. A lone writer waits for nobody. Caller holds the lock.
 */
static void wait_for_others(struct commit_queue *q)
{
	uint64_t end = mono_ns() + q->took_ns / 2;
	struct timespec t = { .tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000) };

	while (q->queued < q->writers && !q->stop)
		if (pthread_cond_timedwait(&q->more, &q->lock, &t) != 0)
			break;
}

/* The next group: all there is, up to a limit. NULL: stop, or nothing to do until then. *count: how many. */
static struct work *take_group(struct commit_queue *q, uint64_t until, unsigned *count, bool *stop)
{
	struct timespec t = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };
	struct work *list, *k;
	unsigned n = 1;

	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->stop && !q->checkpoint)
		if (pthread_cond_timedwait(&q->more, &q->lock, &t) != 0)
			break;
	*stop = q->stop;
	if (q->first)
		wait_for_others(q);
	list = q->first;
	for (k = list; k && k->next && n < GROUP_MAX; k = k->next)
		n++;
	q->first = k ? k->next : NULL;
	if (!q->first)
		q->end = &q->first;
	if (k) {
		k->next = NULL;
		q->queued -= n;
	}
	pthread_mutex_unlock(&q->lock);
	*count = n;
	return list;
}

/* The core's checkpoint, then a head that knows of it. Caller holds the control lock. */
static void make_checkpoint(struct kms *s, bool final)
{
	struct channel_lane *control = channel_lane(s->channel, CHANNEL_CONTROL);
	uint8_t request = final, made = 0;
	struct core_error err;
	struct wire_ans ans;
	uint32_t e;
	int slot;

	if (core_call(control, CALL_AUDIT_CHECKPOINT, slice_of(&request, 1), &slot, &e, &ans) != RC_OK)
		return;		/* it died: the next one is for its successor */
	if (e == E_OK && !cur_u8(&ans.body, &made))
		made = 0;
	channel_slot_release(control, slot);
	if (made && commit_head(s, &err) != RC_OK)
		fprintf(stderr, "svsm-kms: a checkpoint of the audit chain is not in the store: %s\n", err.text);
}

static bool take_checkpoint(struct commit_queue *q)
{
	bool due;

	pthread_mutex_lock(&q->lock);
	due = q->checkpoint;
	q->checkpoint = false;
	pthread_mutex_unlock(&q->lock);
	return due;
}

void commit_checkpoint(struct kms *s)
{
	pthread_mutex_lock(&s->commits.lock);
	s->commits.checkpoint = true;
	pthread_cond_signal(&s->commits.more);
	pthread_mutex_unlock(&s->commits.lock);
}

void commit_last_checkpoint(struct kms *s)
{
	pthread_mutex_lock(&s->control);
	make_checkpoint(s, true);
	pthread_mutex_unlock(&s->control);
}

static void *commit_thread(void *arg)
{
	const uint64_t second = 1000000000, look = 60 * second; /* the interval may be another by then */
	struct kms *s = arg;
	struct work *list;
	uint64_t scanned = mono_ns(), now = scanned, due;
	bool stop = false;
	unsigned count;

	for (;;) {
		due = scanned + kms_hot(s)->dt_scan_s * second;
		list = take_group(&s->commits, due < now + look ? due : now + look, &count, &stop);
		if (list)
			run_group(s, list, count);
		else if (stop)
			return NULL;
		if (take_checkpoint(&s->commits) && !chainlog_refuses(s->chain)) {
			pthread_mutex_lock(&s->control);
			make_checkpoint(s, false);
			pthread_mutex_unlock(&s->control);
		}
		now = mono_ns();
		if (now >= due) {
			remove_expired(s);
			scanned = now = mono_ns();
		}
	}
}

enum rc commit_start(struct kms *s)
{
	struct commit_queue *q = &s->commits;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, &attr);
	q->end = &q->first;
	return pthread_create(&q->thread, NULL, commit_thread, s) == 0 ? RC_OK : RC_MACHINE;
}

void commit_stop(struct kms *s)
{
	pthread_mutex_lock(&s->commits.lock);
	s->commits.stop = true;
	pthread_cond_signal(&s->commits.more);
	pthread_mutex_unlock(&s->commits.lock);
	pthread_join(s->commits.thread, NULL);
}
