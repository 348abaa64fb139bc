/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's side of the requests: every request of a turn is written into a slot, then one flush makes
 * all the calls, then the answers are sent. A request that needs a larger slot, or meets another change
 * to its key, is made again; a change waits for its commit.
 */
#include <stdlib.h>
#include <time.h>

#include "proxy/kms.h"

static struct work *work_take(struct kms_worker *w)
{
	struct work *k = w->free;

	if (k) {
		w->free = k->next;
		memset(k, 0, offsetof(struct work, name));
		k->description = NULL;
		k->outcome = 0;
		k->outcome_text = NULL;
	} else {
		k = calloc(1, sizeof(*k));
	}
	if (k) {
		k->w = w;
		k->slot = -1;
		clock_gettime(CLOCK_MONOTONIC, &k->began);
	}
	return k;
}

static void slot_drop(struct work *k)
{
	if (k->slot >= 0)
		channel_slot_release(k->w->lane, k->slot);
	k->slot = -1;
}

static void drop_parts(struct work *k)
{
	outbuf_free(&k->gathered);
	outbuf_free(&k->proven_cookie);
	outbuf_free(&k->proven_user);
	outbuf_free(&k->group_user);
	outbuf_free(&k->gss);
}

void work_finish(struct work *k)
{
	slot_drop(k);
	drop_parts(k);
	free(k->description);
	free(k->outcome_text);
	page_attest_drop(k);
	k->state = WORK_FREE;
	k->next = k->w->free;
	k->w->free = k;
}

static void wait_for_slot(struct work *k)
{
	struct kms_worker *w = k->w;

	k->state = WORK_WAITING;
	k->next = NULL;
	*w->waiting_end = k;
	w->waiting_end = &k->next;
}

/* True: answered. Its address, or its token, was refused too often, and what this shows was never accepted. */
static bool turned_away(struct work *k)
{
	struct throttle *t = k->w->k->throttle;
	uint64_t now = kms_coarse_ms();
	bool first = !k->judged;
	uint32_t seconds;

	k->judged = true;
	if (!first || !encode_may_be_refused(k) || throttle_knows(t, k->prints[0]) || throttle_knows(t, k->prints[1]))
		return false;
	seconds = k->prints[0] ? 0 : throttle_token_wait(t, k->prints[1], now);
	if (!seconds)
		seconds = throttle_wait(t, encode_peer(k), now);
	if (!seconds)
		return false;
	slot_drop(k);
	__atomic_fetch_add(&k->w->k->turned_away, 1, __ATOMIC_RELAXED);
	answer_turned_away(k, seconds);
	return true;
}

/*
 * Writes the call and queues it. False: it cannot be made now and waits for a slot. Bodies larger than
 * a small slot are noticed by the sink, and written again into a large one.
 */
static bool submit(struct work *k)
{
	struct kms_worker *w = k->w;
	struct sink s;

	if (chainlog_refuses(w->k->chain)) {
		answer_unlogged(k);
		return true;
	}
	for (;;) {
		k->slot = channel_slot_take(w->lane, k->large);
		if (k->slot < 0) {
			wait_for_slot(k);
			return false;
		}
		s = sink_of(channel_request(w->lane, k->slot), channel_room(k->slot));
		k->large = k->slot >= (int)CALL_SMALL;
		encode_request(k, &s);
		if (sink_ok(&s))
			break;
		slot_drop(k);
		if (k->large) {
			answer_refusal(k, NULL, 413, "java.lang.IllegalArgumentException",
				       "The request is larger than one call to the key service can be");
			return true;
		}
		k->large = true;
	}
	if (turned_away(k))
		return true;
	if (!channel_submit(w->lane, k->slot, k->call, s.need)) {
		slot_drop(k);
		wait_for_slot(k);
		return false;
	}
	/* Asked behind the submit: what is staged must be dropped or committed where it was staged. */
	k->generation = channel_lane_generation(w->lane);
	k->state = WORK_CALLED;
	k->next = NULL;
	*w->called_end = k;
	w->called_end = &k->next;
	return true;
}

/*
 * Another change to the key is on its way to the disk. It may have arrived meanwhile: the commit thread
 * counts its turns before it looks at has_busy, and we look at the count after setting it.
 */
static bool wait_for_commit(struct work *k, uint32_t turns)
{
	struct kms_worker *w = k->w;

	__atomic_store_n(&w->has_busy, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&w->k->commits.turns, __ATOMIC_SEQ_CST) != turns)
		return false;
	k->state = WORK_BUSY;
	k->next = NULL;
	*w->busy_end = k;	/* in the order of their coming: none waits for ever */
	w->busy_end = &k->next;
	return true;
}

static bool is_change(enum wire_call c)
{
	return c == CALL_CREATE || c == CALL_IMPORT || c == CALL_ROLL || c == CALL_DELETE ||
	       c == CALL_DT_GET || c == CALL_DT_RENEW || c == CALL_DT_CANCEL;
}

/*
 * One page of names; the next one is asked for, unless this was the last: true. Another service counts its
 * keys anew, so a list that it would finish is begun again.
 */
static bool names_page(struct work *k, const struct wire_ans *ans)
{
	bool more = false;

	if (k->gathered.len && k->names_generation != k->generation) {
		outbuf_reset(&k->gathered);
		k->from = 0;
		more = true;
	}
	k->names_generation = k->generation;
	if (!more && !answer_names_page(k, ans))
		return true;
	slot_drop(k);
	k->large = true;
	(void)submit(k);
	return false;
}

/* Is the first call needed that only asks who it is? For a ticket, unless something else counts more. */
static bool asks_first(const struct work *k)
{
	const struct hot_settings *h = kms_hot(k->w->k);

	if (k->route.ep == EP_DELEGATION && k->route.delegation == DELEGATION_CANCEL)
		return false; /* only a cookie says who cancels */
	if (k->route.ep != EP_DELEGATION && encode_has_token(k->r))
		return false;
	return h->negotiate && encode_has_ticket(k->r);
}

/* The first of two calls has said who it is: the other is made with what it gave. */
static void proven(struct work *k, const struct wire_ans *ans)
{
	struct cursor body = ans->body;
	struct slice gss;

	if (!cur_str16(&body, UINT16_MAX, &gss)) {
		answer_call(k, E_INTERNAL, ans);
		return;
	}
	outbuf_add(&k->gss, gss);
	outbuf_add(&k->proven_cookie, ans->cookie);
	outbuf_add(&k->proven_user, ans->user);
	if (!outbuf_ok(&k->gss) || !outbuf_ok(&k->proven_cookie) || !outbuf_ok(&k->proven_user)) {
		answer_call(k, E_NO_MEMORY, ans);
		return;
	}
	k->proof = PROOF_GIVEN;
	k->large = false;
	slot_drop(k);
	(void)submit(k);
}

#define GROUPS_ASKED_MAX 4	/* who it is can change: a cookie may end between two calls */

/* The core has decided who it is, and wants to know that one's groups. False: it has been told often enough. */
static bool again_with_groups(struct work *k, const struct wire_ans *ans)
{
	if (k->groups_asked++ == GROUPS_ASKED_MAX)
		return false;
	outbuf_reset(&k->group_user);
	outbuf_add(&k->group_user, ans->arg);
	if (!outbuf_ok(&k->group_user))
		return false;
	slot_drop(k);
	(void)submit(k);
	return true;
}

/* The answer to one call. Its entries of the audit chain are gathered. */
static void take_answer(struct work *k)
{
	struct kms_worker *w = k->w;
	struct slice bytes;

	k->ans = (struct wire_ans){ .user = slice_of("", 0), .cookie = slice_of("", 0), .arg = slice_of("", 0) };
	k->result = channel_result(w->lane, k->slot, &bytes);
	if (bytes.len && wire_ans_get(cur_of(bytes.p, bytes.len), &k->ans) != RC_OK)
		k->result = E_INTERNAL;
	outbuf_add(&w->entries, k->ans.chain);
}

/*
 * Before any answer of this crossing leaves, the entries of all of them are with the kernel. RC_DENIED and RC_MACHINE:
 * they are not, and answers that have one must not leave.
 */
static enum rc log_entries(struct kms_worker *w, struct work *list)
{
	uint32_t generation = list->generation;
	uint64_t last = 0;
	enum rc rc = RC_OK;

	outbuf_reset(&w->entries);
	for (; list; list = list->next)
		take_answer(list);
	if (!outbuf_ok(&w->entries))
		return RC_DENIED;
	if (w->entries.len)
		rc = chainlog_add(w->k->chain, generation, outbuf_slice(&w->entries), true, &last);
	return rc == RC_OK ? chainlog_wait(w->k->chain, generation, last) : rc;
}

/*
 * What became of one call. staged: the list for the commit thread grows here; that thread looks again whether the
 * entries are written, and gives the change up if not.
 */
static void complete(struct work *k, enum rc logged, uint32_t turns, struct work ***staged_end)
{
	struct wire_ans ans = k->ans;
	uint32_t err = k->result;

	if (err == E_TOO_BIG && !k->large) {
		slot_drop(k);
		k->large = true;
		(void)submit(k);
		return;
	}
	if (err == E_BUSY) {
		slot_drop(k);
		if (!wait_for_commit(k, turns))
			(void)submit(k);
		return;
	}
	if (err == E_GROUPS && again_with_groups(k, &ans))
		return;
	if (err == E_OK && k->proof == PROOF_ASKED) {
		proven(k, &ans);
		return;
	}
	if (err == E_OK && is_change(k->call) && !k->refusal.status) {
		struct cursor body = ans.body;

		if (!wire_staged_next(&body, &k->staged)) {
			answer_call(k, E_INTERNAL, &ans);
			return;
		}
		k->state = WORK_STAGED;
		k->next = NULL;
		**staged_end = k;
		*staged_end = &k->next;
		return;
	}
	if (logged != RC_OK && ans.chain.len) {
		if (logged == RC_MACHINE)
			answer_died(k);
		else
			answer_unlogged(k);
		return;
	}
	if (err == E_OK && k->call == CALL_NAMES && !k->refusal.status) {
		if (!names_page(k, &ans))
			return;
	}
	answer_call(k, err, &ans);
}

/* Everything submitted since the last flush. */
static struct work *take_called(struct kms_worker *w)
{
	struct work *list = w->called;

	w->called = NULL;
	w->called_end = &w->called;
	return list;
}

static void run_calls(struct kms_worker *w)
{
	struct work *list, *k, *staged = NULL, **staged_end = &staged;
	uint32_t turns = __atomic_load_n(&w->k->commits.turns, __ATOMIC_SEQ_CST);
	enum rc rc = channel_flush(w->lane), logged = RC_OK;

	list = take_called(w);
	if (rc == RC_OK && list)
		logged = log_entries(w, list);
	for (; (k = list);) {
		list = k->next;
		if (rc == RC_OK)
			complete(k, logged, turns, &staged_end);
		else
			answer_died(k);
	}
	if (staged)
		commit_add(w->k, staged);
}

static void retry_waiting(struct kms_worker *w)
{
	struct work *list = w->waiting, *k;

	w->waiting = NULL;
	w->waiting_end = &w->waiting;
	for (; (k = list);) {
		list = k->next;
		(void)submit(k);
	}
}

static void worker_turn(void *arg)
{
	struct kms_worker *w = arg;

	do {
		while (w->called)
			run_calls(w);
		if (w->waiting)
			retry_waiting(w);
	} while (w->called);
	(void)!audit_flush(w->k->audit); /* the lines are on their way before the answers are; failure is
					    counted there */
}

static void worker_request(void *arg, struct server_conn *c, const struct http_request *r)
{
	struct kms_worker *w = arg;
	struct work *k = work_take(w);

	if (!k) {
		server_reply(c, &(struct reply){ .status = 503, .headers = slice_of("", 0), .body = slice_of("", 0) });
		return;
	}
	k->c = c;
	k->r = r;
	route_find(w, r, &k->route);
	switch (k->route.ep) {
	case EP_HEALTH:
	case EP_ATTESTATION:
	case EP_METRICS:
	case EP_INDEX:
	case EP_OPENAPI:
	case EP_MISSING:
	case EP_BAD_PATH:
		page_open(k);
		return;
	default:
		break;
	}
	/* The name stands in the worker's memory, which the next request uses again. A longer one keeps its
	 * length only, and is refused for it. */
	if (k->route.ep == EP_DELEGATION && answer_delegation_method(k))
		return;
	k->proof = asks_first(k) ? PROOF_ASKED : PROOF_NONE;
	/*
	 * A ticket must not have to be shown again because its answer was too big: that would be a replay. The client's
	 * name stands in the token twice, so that of a token this short fits into a small answer with all that repeats it.
	 */
	k->large = k->proof == PROOF_ASKED && http_header_value(r, "authorization").len > 1600;
	if (page_for_everybody(k)) {
		page_answer(k, NULL);
		return;
	}
	encode_keep_name(k, k->route.name);
	k->route.name = slice_of(k->name, k->route.name.len < sizeof(k->name) ? k->name_len : k->route.name.len);
	(void)submit(k);
	/* Flush when the ring is full; otherwise at the end of the turn. */
	if (k->state == WORK_WAITING)
		worker_turn(w);
}

static void worker_woken(void *arg)
{
	struct kms_worker *w = arg;
	struct work *list, *busy, *k;

	pthread_mutex_lock(&w->done_lock);
	list = w->done;
	w->done = NULL;
	w->done_end = &w->done;
	pthread_mutex_unlock(&w->done_lock);
	for (; (k = list);) {
		list = k->next;
		if (k->outcome == WORK_DIED)
			answer_died(k);
		else if (k->outcome == WORK_ATTESTED)
			page_attested(k);
		else if (k->outcome == WORK_STORE)
			answer_store(k, k->outcome_text ? k->outcome_text : "The store refused the change");
		else
			answer_call(k, k->outcome, &k->ans);
	}
	__atomic_store_n(&w->has_busy, 0, __ATOMIC_SEQ_CST);
	busy = w->busy;
	w->busy = NULL;
	w->busy_end = &w->busy;
	for (; (k = busy);) {
		busy = k->next;
		(void)submit(k);
	}
	worker_turn(w);
}

static void *worker_start(void *ctx, unsigned number)
{
	struct kms *s = ctx;
	struct kms_worker *w = &s->worker[number];

	w->groups = groups_new();
	INVARIANT(w->groups);
	return w;
}

void workers_prepare(struct kms *s)
{
	unsigned i;

	for (i = 0; i < s->workers; i++) {
		struct kms_worker *w = &s->worker[i];

		w->k = s;
		w->number = i;
		w->lane = channel_lane(s->channel, i);
		w->called_end = &w->called;
		w->busy_end = &w->busy;
		w->waiting_end = &w->waiting;
		w->done_end = &w->done;
		pthread_mutex_init(&w->done_lock, NULL);
	}
}

static void free_list(struct work *k)
{
	struct work *next;

	for (; k; k = next) {
		next = k->next;
		drop_parts(k);
		if (k->state != WORK_FREE) {	/* the connection went before the answer came */
			free(k->description);
			free(k->outcome_text);
			page_attest_drop(k);
		}
		free(k);
	}
}

void worker_free(struct kms_worker *w)
{
	if (!w->k)
		return;		/* never started */
	free_list(w->free);
	free_list(w->called);
	free_list(w->busy);
	free_list(w->waiting);
	free_list(w->done);
	outbuf_free(&w->body);
	outbuf_free(&w->headers);
	outbuf_free(&w->scratch);
	outbuf_free(&w->negotiate);
	outbuf_free(&w->peer_names);
	outbuf_free(&w->entries);
	groups_free(w->groups);
	free(w->decoded);
	pthread_mutex_destroy(&w->done_lock);
}

const struct server_ops kms_ops = {
	.start = worker_start,
	.request = worker_request,
	.turn = worker_turn,
	.woken = worker_woken,
};
