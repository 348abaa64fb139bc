/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit chain in the core: an independent walker follows the entries of every answer, checks numbers, hashes
 * and signatures, and looks at what they say.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fake/core.h"
#include "tests/test.h"

/* What a reader of the chain knows. */
struct walk {
	uint64_t seq;
	uint8_t hash[32], key[32], store[16];
	struct chain_entry last;
	struct chain_tail tail;
	uint8_t copy[CHAIN_FRAME_MAX];	/* last's texts */
	unsigned entries, checkpoints;
};

static void hash_two(const void *a, size_t na, const void *b, size_t nb, uint8_t out[32])
{
	uint8_t *both = malloc(na + nb);

	memcpy(both, a, na);
	memcpy(both + na, b, nb);
	INVARIANT(crypto_sha256(both, na + nb, out) == RC_OK);
	free(both);
}

static void walk_start(struct walk *w, const struct wire_status *st)
{
	memset(w, 0, sizeof(*w));
	memcpy(w->key, st->audit_key, sizeof(w->key));
	memcpy(w->store, st->store_id, sizeof(w->store));
	hash_two(CHAIN_GENESIS, sizeof(CHAIN_GENESIS) - 1, w->store, 16, w->hash);
}

static void check_signature(struct walk *w)
{
	uint8_t text[CHAIN_SIGNED_LEN];
	struct sink s = sink_of(text, sizeof(text));
	struct chain_checkpoint m;

	INVARIANT(chain_checkpoint_get(w->last.detail, &m) == RC_OK);
	INVARIANT(m.seq == w->seq && memcmp(m.hash, w->hash, 32) == 0 && memcmp(m.public, w->key, 32) == 0);
	chain_signed_put(&s, &m, w->last.time_ms);
	INVARIANT(sink_ok(&s) && crypto_ed25519_verify(w->key, slice_of(text, s.need), m.signature) == RC_OK);
	text[sizeof(CHAIN_SIGNED) + 3] ^= 1;
	INVARIANT(crypto_ed25519_verify(w->key, slice_of(text, s.need), m.signature) == RC_DENIED);
	w->checkpoints++;
}

/* Follows the entries; the hash of each is computed here. */
static void walk_frames(struct walk *w, struct slice frames)
{
	struct cursor in = cur_of(frames.p, frames.len);
	struct chain_frame f;
	struct chain_start st;
	struct chain_loss l;
	uint8_t h[32];

	while (in.left) {
		INVARIANT(chain_frame_next(&in, &f) == RC_OK);
		memcpy(w->copy, f.entry.p, f.entry.len);
		INVARIANT(chain_entry_get(slice_of(w->copy, f.entry.len), &w->last) == RC_OK);
		if (w->last.type == CHAIN_START && chain_start_get(w->last.detail, &st) == RC_OK && st.loss.from <= st.loss.to) {
			INVARIANT(st.loss.from == w->seq + 1);
			w->seq = st.loss.to;
			memcpy(w->hash, st.loss.prev, 32);
		}
		if (w->last.type == CHAIN_GAP) {
			INVARIANT(chain_loss_get(w->last.detail, &l) == RC_OK && l.from == w->seq + 1 && l.to + 1 == f.seq);
			INVARIANT(memcmp(l.before, w->hash, 32) == 0);
			w->seq = l.to;
			memcpy(w->hash, l.prev, 32);
		}
		if (w->last.type == CHAIN_CHECKPOINT)
			check_signature(w);
		INVARIANT(f.seq == w->seq + 1);
		hash_two(w->hash, 32, f.entry.p, f.entry.len, h);
		INVARIANT(memcmp(h, f.hash, 32) == 0);
		w->seq = f.seq;
		memcpy(w->hash, h, 32);
		w->entries++;
	}
	w->tail.seq = w->seq;
	memcpy(w->tail.hash, w->hash, 32);
	if (frames.len)
		memcpy(w->tail.mac, f.mac, sizeof(f.mac));
}

/* The last answer's entries; how many. */
static unsigned walk_answer(struct walk *w, const struct core *c)
{
	unsigned before = w->entries;

	walk_frames(w, c->ans.chain);
	return w->entries - before;
}

static void ready(struct core *c, struct walk *w)
{
	struct wire_status st;
	struct slice start;
	uint8_t *copy;

	core_start(c, 0x11);
	EXPECT_INT(core_config_list(c, core_open_acls), E_OK);
	EXPECT_INT(c->ans.chain.len, 0);
	EXPECT_INT(core_store_create(c), E_OK);
	core_as(c, "root");
	start = c->ans.chain;
	copy = malloc(start.len);
	memcpy(copy, start.p, start.len);
	EXPECT_INT(core_status(c, &st), E_OK);
	walk_start(w, &st);
	walk_frames(w, slice_of(copy, start.len));
	EXPECT_INT(w->last.type, CHAIN_START);
	EXPECT_INT(w->seq, 1);
	free(copy);
}

static bool said(const struct walk *w, unsigned type, unsigned status, unsigned op, const char *user, const char *key)
{
	return w->last.type == type && w->last.status == status && w->last.op == op && slice_is(w->last.user, user) &&
	       slice_is(w->last.key, key);
}

static enum wire_err checkpoint(struct core *c, bool final)
{
	sink_u8(core_req(c), final);
	return core_send(c, CALL_AUDIT_CHECKPOINT);
}

static enum wire_err gap(struct core *c, const struct chain_tail *t)
{
	uint8_t b[CHAIN_TAIL_LEN];
	struct sink s = sink_of(b, sizeof(b));

	if (t)
		chain_tail_put(&s, t);
	wire_blob_req_put(core_req(c), slice_of(b, s.need));
	return core_send(c, CALL_AUDIT_GAP);
}

/* As a server does with it: HEAD, store, COMMIT. */
static void commit_empty(struct core *c, struct walk *w)
{
	uint64_t epoch;

	EXPECT_INT(core_head(c, NULL, 0, &epoch), E_OK);
	EXPECT_INT(walk_answer(w, c), 0);
	EXPECT_INT(core_commit_epoch(c, epoch), E_OK);
	EXPECT_INT(walk_answer(w, c), 0);
}

TEST(every_decision_makes_an_entry_that_says_what_was_decided)
{
	struct core c;
	struct walk w;
	uint64_t ticket, epoch;

	ready(&c, &w);
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, EVENT_OK, OP_CREATE_KEY, "root", "k"));
	ticket = c.staged.ticket;
	EXPECT(w.last.detail.len == 8 && memcmp(w.last.detail.p, &ticket, 8) == 0);
	EXPECT_INT(core_head(&c, &ticket, 1, &epoch), E_OK);
	EXPECT_INT(c.ans.head.num[0], w.seq);
	fake_store_put(&c.store, c.staged.id, c.staged.record);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_CONTROL, EVENT_OK, CHAIN_COMMIT, "", ""));
	EXPECT(w.last.detail.len == 16 && memcmp(w.last.detail.p, &epoch, 8) == 0 &&
	       memcmp(w.last.detail.p + 8, &ticket, 8) == 0);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, EVENT_OK, OP_GET_CURRENT_KEY, "root", "k"));
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, EVENT_OK, CHAIN_OP_AUTH, "root", ""));
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_EXISTS);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, CHAIN_FAILED, OP_CREATE_KEY, "root", ""));
	EXPECT_INT(w.last.result, E_EXISTS);
	EXPECT_INT(core_create(&c, "j", 128, NULL, NULL), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	ticket = c.staged.ticket;
	EXPECT_INT(core_abort(&c, 0, &ticket, 1), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_CONTROL, EVENT_OK, CHAIN_ABORT, "", ""));
	core_stop(&c);
}

TEST(refusals_and_bad_credentials_make_entries_and_a_bare_handshake_does_not)
{
	struct core c;
	struct walk w;

	ready(&c, &w);
	core_make(&c, "k", NULL);
	c.ans.chain = slice_of("", 0);
	core_stop(&c);
	ready(&c, &w);
	EXPECT_INT(core_config(&c, "hadoop.kms.acl.CREATE", "alice", "default.key.acl.READ", "bob", NULL), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_CONTROL, EVENT_OK, CHAIN_CONFIG, "", ""));
	core_as(&c, "eve");
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_OP_DENIED);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, EVENT_UNAUTHORIZED, OP_CREATE_KEY, "eve", "k"));
	EXPECT_INT(w.last.result, E_OP_DENIED);
	core_as_cookie(&c, slice_str("u=eve&p=eve&t=simple-dt&e=99999999999999&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_UNAUTHENTICATED);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT(said(&w, CHAIN_DECISION, CHAIN_UNAUTHENTICATED, OP_GET_CURRENT_KEY, "", ""));
	EXPECT(slice_is(w.last.detail, "cookie's signature"));
	c.has_cookie = c.has_user = false;
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_UNAUTHENTICATED);
	EXPECT_INT(walk_answer(&w, &c), 0);
	EXPECT_INT(core_bytes(&c, CALL_CURRENT, "x", 1), E_BAD_MESSAGE);
	EXPECT_INT(walk_answer(&w, &c), 0);
	core_stop(&c);
}

TEST(a_call_that_has_to_be_made_again_makes_its_entry_once)
{
	struct core c;
	struct walk w;

	ready(&c, &w);
	core_as(&c, "root");
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(core_roll(&c, "k", NULL), E_NO_METADATA);	/* not committed: not there */
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_BUSY);
	EXPECT_INT(walk_answer(&w, &c), 0);
	core_stop(&c);
	ready(&c, &w);
	core_make(&c, "k", NULL);
	c.room = CALL_PAGE;
	memset(&w, 0, sizeof(w));
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "k", 150, 0), E_TOO_BIG);
	EXPECT_INT(c.ans.chain.len, 0);
	c.room = CALL_LARGE_LEN;
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "k", 150, 0), E_OK);
	EXPECT(c.ans.chain.len > 0);
	core_stop(&c);
}

TEST(an_answer_that_is_just_too_small_for_its_entry_is_asked_for_again_and_never_half_given)
{
	struct core c;
	struct walk w;
	char name[1000];
	unsigned i, small = 0, fits = 0;

	ready(&c, &w);
	memset(name, 'n', sizeof(name));
	c.room = CALL_PAGE;
	for (i = 1; i < 999; i += 37) {
		enum wire_err e;

		name[i] = 0;
		e = core_create(&c, name, 128, NULL, NULL);
		EXPECT(e == E_OK || e == E_TOO_BIG);
		EXPECT_INT(walk_answer(&w, &c), e == E_OK);
		small += e == E_TOO_BIG;
		fits += e == E_OK;
		name[i] = 'n';
	}
	EXPECT(fits > 5 && small > 2);
	EXPECT_INT(checkpoint(&c, false), E_OK);	/* pages of names too: the trailer always has its room */
	EXPECT_INT(walk_answer(&w, &c), 1);
	core_stop(&c);
}

static void expect_unsaid(struct core *c, const uint8_t *secret, size_t n)
{
	EXPECT_INT(c->err, E_TOO_BIG);
	EXPECT_INT(c->ans.chain.len, 0);
	EXPECT(!memmem(c->rsp, CALL_PAGE, secret, n));
}

/* What stands in the page may be read, whatever is said of the answer afterwards. */
TEST(no_key_stands_in_an_answer_that_was_too_big_and_made_no_entry)
{
	static const uint8_t iv[16];
	static char user[401], name[1001], version[1004];
	char cookie[WIRE_COOKIE_MAX];
	uint8_t some[16], plain[16];
	struct cursor body;
	struct wire_kv kv;
	struct core c;
	struct walk w;
	unsigned i;

	ready(&c, &w);
	core_make(&c, "k", NULL);
	for (i = 0; i < 300; i++) {
		EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
		core_commit(&c);
		if (i == 30)	/* not where the refusal is written over it */
			memcpy(some, core_current(&c, "k").p, 16);
	}
	memset(c.rsp, 0, CALL_PAGE);
	c.room = CALL_PAGE;
	(void)!core_name(&c, CALL_VERSIONS, "k");
	expect_unsaid(&c, some, 16);

	c.room = CALL_LARGE_LEN;
	memset(user, 'u', sizeof(user) - 1);
	memset(name, 'n', sizeof(name) - 1);
	snprintf(version, sizeof(version), "%s@0", name);
	core_make(&c, name, NULL);
	core_as(&c, user);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	memcpy(cookie, c.ans.cookie.p, c.ans.cookie.len);
	core_as_cookie(&c, slice_of(cookie, c.ans.cookie.len));
	EXPECT_INT(core_eek(&c, CALL_DECRYPT, version, name, slice_of(iv, 16), slice_of(iv, 16)), E_OK);
	body = c.ans.body;
	EXPECT(wire_kv_next(&body, &kv) && kv.material.len == 16);
	memcpy(plain, kv.material.p, 16);
	memset(c.rsp, 0, CALL_PAGE);
	c.room = CALL_PAGE;
	(void)!core_eek(&c, CALL_DECRYPT, version, name, slice_of(iv, 16), slice_of(iv, 16));
	expect_unsaid(&c, plain, 16);
	c.room = CALL_LARGE_LEN;
	memcpy(some, core_current(&c, name).p, 16);
	c.room = CALL_PAGE;
	memset(c.rsp, 0, CALL_PAGE);
	(void)!core_name(&c, CALL_VERSION_GET, version);
	expect_unsaid(&c, some, 16);
	core_stop(&c);
}

TEST(nothing_is_done_for_a_user_before_the_chain_is_taken_up)
{
	struct core c, d;
	uint64_t epoch;

	core_ready(&c);
	core_make(&c, "k", NULL);
	core_start(&d, 0x11);
	EXPECT_INT(core_config_list(&d, core_open_acls), E_OK);
	core_as(&d, "root");
	EXPECT_INT(core_resume(&d, NULL), E_STATE);
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	EXPECT_INT(core_load(&d, &c.store, 0, c.store.count), E_OK);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "k"), E_NOT_READY);
	EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_NOT_READY);
	EXPECT_INT(core_head(&d, NULL, 0, &epoch), E_NOT_READY);
	EXPECT_INT(checkpoint(&d, false), E_NOT_READY);
	EXPECT_INT(gap(&d, NULL), E_NOT_READY);
	EXPECT_INT(core_resume(&d, NULL), E_OK);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "k"), E_OK);
	EXPECT_INT(core_resume(&d, NULL), E_STATE);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_checkpoint_is_signed_and_made_only_when_there_is_something_new)
{
	struct core c;
	struct walk w;
	uint8_t made;

	ready(&c, &w);
	EXPECT_INT(checkpoint(&c, false), E_OK);
	EXPECT(cur_u8(&c.ans.body, &made) && made == 1);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(w.checkpoints, 1);
	EXPECT_INT(checkpoint(&c, false), E_OK);
	EXPECT(cur_u8(&c.ans.body, &made) && made == 0);
	EXPECT_INT(walk_answer(&w, &c), 0);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(checkpoint(&c, true), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 2);
	EXPECT_INT(w.checkpoints, 2);
	sink_u8(core_req(&c), 2);
	EXPECT_INT(core_send(&c, CALL_AUDIT_CHECKPOINT), E_BAD_MESSAGE);
	core_stop(&c);
}

TEST(the_chain_goes_on_at_the_files_last_entry_and_only_at_one_of_its_own)
{
	struct core c, d;
	struct walk w, v;
	struct chain_tail bad;
	struct chain_resumed r;
	unsigned i;

	ready(&c, &w);
	commit_empty(&c, &w);		/* the head knows entry 1 */
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	core_start(&d, 0x11);
	core_as(&d, "root");
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
	for (i = 0; i < sizeof(bad.hash) + sizeof(bad.mac) + 1; i++) {
		bad = w.tail;
		if (i < sizeof(bad.hash))
			bad.hash[i] ^= 1;
		else if (i < sizeof(bad.hash) + sizeof(bad.mac))
			bad.mac[i - sizeof(bad.hash)] ^= 1;
		else
			bad.seq++;
		EXPECT_INT(core_resume(&d, &bad), E_AUDIT);
		EXPECT_INT(d.ans.head.num[0], CHAIN_FOREIGN);
	}
	v = w;
	EXPECT_INT(core_resume(&d, &w.tail), E_OK);
	EXPECT(chain_resumed_get(&d.ans.body, &r));
	EXPECT_INT(r.lost, 0);
	EXPECT_INT(r.at.seq, 2);
	EXPECT_INT(r.sealed, 1);
	EXPECT_INT(walk_answer(&v, &d), 1);
	EXPECT_INT(v.last.type, CHAIN_START);
	EXPECT_INT(v.seq, 3);
	core_stop(&d);
	core_stop(&c);
}

TEST(what_the_head_knows_and_the_file_has_not_is_declared_lost)
{
	struct core c, d;
	struct walk w, early, v;
	struct chain_resumed r;
	int way;

	ready(&c, &w);
	early = w;
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	commit_empty(&c, &w);
	for (way = 0; way < 2; way++) {	/* cut after the first; no file at all */
		core_start(&d, 0x11);
		EXPECT_INT(core_open_only(&d, &c.store), E_OK);
		core_req(&d);
		EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
		EXPECT_INT(core_resume(&d, way ? NULL : &early.tail), E_OK);
		EXPECT(chain_resumed_get(&d.ans.body, &r));
		EXPECT_INT(r.lost, way ? 3 : 2);
		EXPECT_INT(r.sealed, 3);
		v = early;
		if (way) {
			v.seq = 0;
			memset(v.hash, 0, 32);
		}
		EXPECT_INT(walk_answer(&v, &d), 1);
		EXPECT_INT(v.seq, 4);
		core_stop(&d);
	}
	core_stop(&c);
}

TEST(another_copy_of_the_chain_with_the_same_number_is_refused)
{
	struct core c, d, e;
	struct walk w, v;

	ready(&c, &w);
	commit_empty(&c, &w);
	core_start(&d, 0x11);
	core_as(&d, "mallory");
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
	v = w;
	EXPECT_INT(core_resume(&d, &w.tail), E_OK);	/* entry 2 of this one is another START */
	EXPECT_INT(walk_answer(&v, &d), 1);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);	/* entry 2 of that one */
	EXPECT_INT(walk_answer(&w, &c), 1);
	commit_empty(&c, &w);
	core_start(&e, 0x11);
	EXPECT_INT(core_open_only(&e, &c.store), E_OK);
	core_req(&e);
	EXPECT_INT(core_send(&e, CALL_STORE_READY), E_OK);
	EXPECT_INT(core_resume(&e, &v.tail), E_AUDIT);
	EXPECT_INT(e.ans.head.num[0], CHAIN_FORKED);
	EXPECT_INT(core_resume(&e, &w.tail), E_OK);
	core_stop(&e);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_gap_is_declared_from_the_last_entry_that_was_kept)
{
	struct core c;
	struct walk w;
	struct chain_tail bad;
	struct chain_loss l;
	unsigned i;

	ready(&c, &w);
	for (i = 0; i < 5; i++)
		EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);	/* never seen by the walker */
	bad = w.tail;
	bad.mac[3] ^= 4;
	EXPECT_INT(gap(&c, &bad), E_AUDIT);
	EXPECT_INT(walk_answer(&w, &c), 0);
	EXPECT_INT(gap(&c, &w.tail), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	EXPECT_INT(w.seq, 7);
	EXPECT(chain_loss_get(w.last.detail, &l) == RC_OK && l.from == 2 && l.to == 6);
	EXPECT_INT(gap(&c, &w.tail), E_STATE);	/* nothing is missing */
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	EXPECT_INT(walk_answer(&w, &c), 1);
	core_stop(&c);
}

TEST(keys_of_the_chain_are_the_stores_and_outlive_the_core)
{
	struct core c, d, e;
	struct wire_status st, again, other;

	core_ready(&c);
	EXPECT_INT(core_status(&c, &st), E_OK);
	core_start(&d, 0x11);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(core_status(&d, &again), E_OK);
	EXPECT(memcmp(st.audit_key, again.audit_key, 32) == 0);
	core_ready(&e);
	EXPECT_INT(core_status(&e, &other), E_OK);
	EXPECT(memcmp(st.audit_key, other.audit_key, 32) != 0);
	core_stop(&e);
	core_stop(&d);
	core_stop(&c);
}

#define THREADS 4
#define CALLS 200
struct asker {
	struct core c;
	pthread_t t;
	uint8_t *b;
	size_t len;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	unsigned i;

	for (i = 0; i < CALLS; i++) {
		INVARIANT(core_name(&a->c, i % 3 ? CALL_AUTH : CALL_CURRENT, "k") == E_OK);
		memcpy(a->b + a->len, a->c.ans.chain.p, a->c.ans.chain.len);
		a->len += a->c.ans.chain.len;
	}
	return NULL;
}

TEST(many_workers_make_one_chain_without_a_hole)
{
	static struct asker a[THREADS];
	struct slice frame[THREADS * CALLS + 8] = { 0 };
	struct chain_frame f;
	struct cursor in;
	struct core c;
	struct walk w;
	uint64_t first;
	unsigned i;

	ready(&c, &w);
	core_make(&c, "k", NULL);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	in = cur_of(c.ans.chain.p, c.ans.chain.len);
	EXPECT_INT(chain_frame_next(&in, &f), RC_OK);
	first = w.seq = f.seq;
	memcpy(w.hash, f.hash, 32);
	for (i = 0; i < THREADS; i++) {
		core_share(&a[i].c, &c);
		core_as(&a[i].c, "root");
		a[i].b = malloc(CALLS * 1024);
		a[i].len = 0;
		EXPECT(pthread_create(&a[i].t, NULL, ask, &a[i]) == 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(a[i].t, NULL);
	for (i = 0; i < THREADS; i++)
		for (in = cur_of(a[i].b, a[i].len); in.left;) {
			EXPECT_INT(chain_frame_next(&in, &f), RC_OK);
			EXPECT(f.seq > first && f.seq <= first + THREADS * CALLS && !frame[f.seq - first].p);
			frame[f.seq - first] = f.whole;
		}
	for (i = 1; i <= THREADS * CALLS; i++)
		walk_frames(&w, frame[i]);
	EXPECT_INT(w.seq, first + THREADS * CALLS);
	for (i = 0; i < THREADS; i++) {
		free(a[i].b);
		core_stop(&a[i].c);
	}
	core_stop(&c);
}

TEST(several_calls_in_one_go_are_linked_in_their_order_and_the_last_has_the_mac)
{
	static uint8_t rsp[6][CALL_PAGE];
	struct wire_name_req m = { .name = slice_str("") };
	struct chain_frame f;
	struct wire_ans ans;
	struct core c;
	struct walk w;
	struct cursor in;
	uint32_t len[6];
	unsigned i;

	ready(&c, &w);
	m.cred = core_cred(&c);
	wire_name_req_put(core_req(&c), &m);
	for (i = 0; i < 6; i++)
		EXPECT_INT(svc_call_more(c.svc, c.w, CALL_AUTH, shared_of(c.req, c.out.need), rsp[i], CALL_PAGE, &len[i]),
			   E_OK);
	svc_calls_end(c.w);
	for (i = 0; i < 6; i++) {
		static const uint8_t none[CHAIN_MAC_LEN];

		EXPECT_INT(wire_ans_get(cur_of(rsp[i], len[i]), &ans), RC_OK);
		in = cur_of(ans.chain.p, ans.chain.len);
		EXPECT_INT(chain_frame_next(&in, &f), RC_OK);
		EXPECT((memcmp(f.mac, none, sizeof(none)) != 0) == (i == 5));
		walk_frames(&w, ans.chain);
	}
	EXPECT_INT(w.seq, 7);
	core_stop(&c);
}
