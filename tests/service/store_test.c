/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as an attacker finds it: everything in it is his to change, and whatever he does must be
 * refused for its own reason, with no key readable. Recovery, by the key that lies in a safe.
 */
#include <stdlib.h>

#include "service/seal.h"
#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"
#define M16B "ffffffffffffffffffffffffffffffff"

/* A store of four keys ("a" rolled, "gone" deleted), as the last core left it. */
static void make_store(struct core *c)
{
	core_ready(c);
	core_make(c, "a", M16);
	core_make(c, "gone", M16);
	core_make(c, "b", "aa" "0102030405060708090a0b0c0d0e0f");
	EXPECT_INT(core_roll(c, "a", M16B), E_OK);
	core_commit(c);
	EXPECT_INT(core_name(c, CALL_DELETE, "gone"), E_OK);
	core_commit(c);
	EXPECT_INT(core_create_attr(c, "c", "key.acl.name", "shared"), E_OK);
	core_commit(c);
	core_make(c, "d", NULL);
}

/* Opens it in a new core; nothing may be readable unless that succeeds. */
static enum wire_err reopen_as(struct fake_store *s, uint8_t platform, struct core *c)
{
	struct wire_status st = { .keys = 99 };
	enum wire_err e;

	core_start(c, platform);
	EXPECT_INT(core_config_list(c, core_open_acls), E_OK);
	core_as(c, "root");
	e = core_store_open(c, s);
	if (e != E_OK) {
		struct wire_ans ans = c->ans;
		uint8_t arg[64];
		size_t n = ans.arg.len < 64 ? ans.arg.len : 64;

		if (n)
			memcpy(arg, ans.arg.p, n);
		EXPECT_INT(core_name(c, CALL_CURRENT, "a"), E_NOT_READY);
		EXPECT_INT(core_name(c, CALL_NAMES, ""), E_NOT_READY);
		EXPECT_INT(core_create(c, "new", 0, NULL, NULL), E_NOT_READY);
		EXPECT_INT(core_status(c, &st), E_OK);
		EXPECT(st.store != STORE_READY);
		EXPECT(st.store == STORE_LOADING || st.keys == 0);
		c->ans = ans;
		memcpy(c->req, arg, n);
		c->ans.arg = slice_of(c->req, n);
		c->err = e;
	}
	return e;
}

static enum wire_err reopen(struct fake_store *s)
{
	struct core c;
	enum wire_err e = reopen_as(s, 0x11, &c);

	core_stop(&c);
	return e;
}

TEST(a_store_opens_again_with_the_same_keys)
{
	struct wire_meta before, after;
	uint8_t keep[4096];
	struct core c, d;
	struct wire_status st;
	size_t n;
	uint32_t i;

	make_store(&c);
	EXPECT_INT(core_name(&c, CALL_METADATA, "a"), E_OK);
	n = c.ans.body.left;
	memcpy(keep, c.ans.body.at, n);
	c.ans.body = cur_of(keep, n);
	EXPECT(wire_meta_next(&c.ans.body, &before));
	EXPECT_INT(reopen_as(&c.store, 0x11, &d), E_OK);
	EXPECT_INT(core_status(&d, &st), E_OK);
	EXPECT_INT(st.keys, 4);
	EXPECT_INT(st.epoch, 8);
	EXPECT_INT(core_name(&d, CALL_METADATA, "a"), E_OK);
	EXPECT(wire_meta_next(&d.ans.body, &after));
	EXPECT(after.created == before.created && after.versions == 2 && slice_eq(after.cipher, before.cipher));
	for (i = 0; i < 16; i++)
		EXPECT_INT(core_current(&d, "a").p[i], 0xff);
	EXPECT(core_current(&d, "gone").p == NULL);
	/* And it goes on from there: changes of the new core load into a third. */
	fake_store_copy(&d.store, &c.store);
	core_make(&d, "e", NULL);
	EXPECT_INT(core_roll(&d, "a", NULL), E_OK);
	core_commit(&d);
	EXPECT_INT(reopen(&d.store), E_OK);
	core_stop(&d);
	core_stop(&c);
}

TEST(records_may_come_in_any_order_and_any_pieces)
{
	struct core c, d;
	size_t i;

	make_store(&c);
	core_start(&d, 0x11);
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	for (i = c.store.count; i; i--) {
		EXPECT_INT(core_load(&d, &c.store, i - 1, 1), E_OK);
		EXPECT_INT(core_load(&d, &c.store, 0, 0), E_OK);
	}
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
	core_stop(&d);
	core_stop(&c);
}

TEST(every_bent_byte_of_the_head_is_refused)
{
	struct core c;
	size_t i;

	make_store(&c);
	for (i = 0; i < c.store.head_len; i++) {
		c.store.head[i] ^= (uint8_t)(1 << i % 8);
		EXPECT_INT(reopen(&c.store), E_HEAD);
		c.store.head[i] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < c.store.head_len; i++) {
		struct fake_store s = c.store;

		s.head_len = i;
		EXPECT_INT(reopen(&s), E_HEAD);
	}
	c.store.head_len++;
	EXPECT_INT(reopen(&c.store), E_HEAD);
	c.store.head_len--;
	EXPECT_INT(reopen(&c.store), E_OK);
	core_stop(&c);
}

TEST(every_bent_byte_of_the_slot_is_refused)
{
	struct core c;
	size_t i;

	make_store(&c);
	for (i = 0; i < c.store.slot[0].len; i++) {
		c.store.slot[0].b[i] ^= 0x10;
		EXPECT_INT(reopen(&c.store), i < 4 ? E_SLOT_FORMAT : E_SLOT_KEY);
		c.store.slot[0].b[i] ^= 0x10;
	}
	for (i = 0; i < c.store.slot[0].len; i++) {
		struct fake_store s = c.store;

		s.slot[0].len = i;
		EXPECT_INT(reopen(&s), E_SLOT_FORMAT);
	}
	{
		struct fake_store s = c.store;

		s.slots = 0;
		EXPECT_INT(reopen(&s), E_SLOT_FORMAT);
		s.slots = 2;	/* a broken one before the good one does no harm */
		s.slot[1] = s.slot[0];
		s.slot[0].b[30] ^= 1;
		EXPECT_INT(reopen(&s), E_OK);
	}
	core_stop(&c);
}

TEST(another_platform_key_opens_nothing)
{
	struct core c, d;

	make_store(&c);
	EXPECT_INT(reopen_as(&c.store, 0x12, &d), E_SLOT_KEY);
	core_stop(&d);
	core_stop(&c);
}

TEST(every_bent_byte_of_a_record_is_refused_by_its_id)
{
	struct core c, d;
	char id[33];
	size_t i, r, j;

	make_store(&c);
	for (r = 0; r < c.store.count; r++)
		for (i = 0; i < c.store.rec[r].len + WIRE_ID_LEN; i++) {
			uint8_t *b = i < WIRE_ID_LEN ? &c.store.rec[r].id[i] : &c.store.rec[r].p[i - WIRE_ID_LEN];

			*b ^= 0x80;
			EXPECT_INT(reopen_as(&c.store, 0x11, &d), E_RECORD);
			for (j = 0; j < 16; j++)
				snprintf(id + 2 * j, 3, "%02x", c.store.rec[r].id[j]);
			EXPECT(slice_is(d.ans.arg, id));
			core_stop(&d);
			*b ^= 0x80;
		}
	for (i = 0; i < c.store.rec[0].len; i++) {
		size_t len = c.store.rec[0].len;

		c.store.rec[0].len = i;
		EXPECT_INT(reopen(&c.store), E_RECORD);
		c.store.rec[0].len = len;
	}
	EXPECT_INT(reopen(&c.store), E_OK);
	core_stop(&c);
}

TEST(records_that_are_missing_doubled_or_exchanged_are_refused)
{
	struct fake_store s;
	struct core c, d;
	uint8_t id[16];
	size_t i;

	make_store(&c);
	for (i = 0; i < c.store.count; i++) {
		fake_store_copy(&s, &c.store);
		fake_store_remove(&s, i);
		EXPECT_INT(reopen(&s), E_COUNT);	/* already at opening: the counts differ */
		fake_store_free(&s);
	}
	/* The right number, one of them twice. */
	fake_store_copy(&s, &c.store);
	memcpy(s.rec[0].id, s.rec[1].id, 16);
	free(s.rec[0].p);
	s.rec[0].p = malloc(s.rec[1].len);
	s.rec[0].len = s.rec[1].len;
	memcpy(s.rec[0].p, s.rec[1].p, s.rec[1].len);
	EXPECT_INT(reopen(&s), E_RECORD_TWICE);
	fake_store_free(&s);
	/* Said to be complete, but one is held back. */
	core_start(&d, 0x11);
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	EXPECT_INT(core_load(&d, &c.store, 0, c.store.count - 1), E_OK);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_COUNT);
	EXPECT_INT(d.ans.head.num[0], 3);
	EXPECT_INT(d.ans.head.num[1], 4);
	core_stop(&d);
	/* Two records under each other's id. */
	fake_store_copy(&s, &c.store);
	memcpy(id, s.rec[0].id, 16);
	memcpy(s.rec[0].id, s.rec[1].id, 16);
	memcpy(s.rec[1].id, id, 16);
	EXPECT_INT(reopen(&s), E_RECORD);
	fake_store_free(&s);
	core_stop(&c);
}

/* The store after each of a row of changes. */
#define STEPS 6
static struct fake_store history[STEPS];
static struct core historian;

static void make_history(void)
{
	struct core *c = &historian;
	size_t i = 0;

	core_ready(c);
	core_make(c, "a", M16);
	fake_store_copy(&history[i++], &c->store);	/* 0: a v0 */
	core_make(c, "b", M16);
	fake_store_copy(&history[i++], &c->store);	/* 1: a v0, b */
	EXPECT_INT(core_roll(c, "a", M16B), E_OK);
	core_commit(c);
	fake_store_copy(&history[i++], &c->store);	/* 2: a v1, b */
	EXPECT_INT(core_name(c, CALL_DELETE, "b"), E_OK);
	core_commit(c);
	fake_store_copy(&history[i++], &c->store);	/* 3: a v1 */
	core_make(c, "b", M16B);
	fake_store_copy(&history[i++], &c->store);	/* 4: a v1, b anew */
	EXPECT_INT(core_roll(c, "a", M16B), E_OK);
	core_commit(c);
	fake_store_copy(&history[i++], &c->store);	/* 5: a v2, b anew */
}

static void drop_history(void)
{
	size_t i;

	for (i = 0; i < STEPS; i++)
		fake_store_free(&history[i]);
	core_stop(&historian);
}

/* Head of one moment, records of another. */
static enum wire_err mixed(size_t head, size_t records)
{
	struct fake_store s;
	enum wire_err e;

	fake_store_copy(&s, &history[records]);
	memcpy(s.head, history[head].head, sizeof(s.head));
	s.head_len = history[head].head_len;
	e = reopen(&s);
	fake_store_free(&s);
	return e;
}

TEST(heads_and_records_of_different_moments_do_not_go_together)
{
	size_t h, r;

	make_history();
	for (h = 0; h < STEPS; h++)
		for (r = 0; r < STEPS; r++) {
			enum wire_err e = mixed(h, r);

			if (h == r)
				EXPECT_INT(e, E_OK);	/* the whole store of an earlier time: only a floor tells */
			else if (history[h].count != history[r].count)
				EXPECT_INT(e, E_COUNT);
			else if (h > r)
				EXPECT_INT(e, E_SET);
			else
				EXPECT_INT(e, E_RECORD_AHEAD);
		}
	drop_history();
}

TEST(one_old_record_among_new_ones_is_refused)
{
	struct fake_store s;
	size_t now, then, i;

	make_history();
	for (now = 1; now < STEPS; now++)
		for (then = 0; then < now; then++)
			for (i = 0; i < history[now].count; i++) {
				int at = fake_store_find(&history[then], history[now].rec[i].id);

				if (at < 0 || (history[then].rec[at].len == history[now].rec[i].len &&
					       memcmp(history[then].rec[at].p, history[now].rec[i].p,
						      history[now].rec[i].len) == 0))
					continue;
				fake_store_copy(&s, &history[now]);
				fake_store_put(&s, history[then].rec[at].id,
					       slice_of(history[then].rec[at].p, history[then].rec[at].len));
				EXPECT_INT(reopen(&s), E_SET);
				fake_store_free(&s);
			}
	/* A deleted key brought back: beside the others, and in the place of another. */
	fake_store_copy(&s, &history[3]);
	i = history[1].count - 1;
	fake_store_put(&s, history[1].rec[i].id, slice_of(history[1].rec[i].p, history[1].rec[i].len));
	EXPECT_INT(reopen(&s), E_COUNT);
	fake_store_remove(&s, 0);
	EXPECT_INT(reopen(&s), E_SET);
	fake_store_free(&s);
	drop_history();
}

TEST(a_noted_epoch_refuses_the_whole_store_of_an_earlier_time)
{
	struct fake_store s;
	struct core c;
	size_t i;

	make_history();
	for (i = 0; i < STEPS; i++) {
		fake_store_copy(&s, &history[i]);
		s.floor = i + 2;
		EXPECT_INT(reopen(&s), E_OK);
		s.floor = i + 3;
		EXPECT_INT(reopen_as(&s, 0x11, &c), E_EPOCH_FLOOR);
		EXPECT_INT(c.ans.head.num[0], i + 2);
		EXPECT_INT(c.ans.head.num[1], i + 3);
		core_stop(&c);
		s.floor = UINT64_MAX;
		EXPECT_INT(reopen(&s), E_EPOCH_FLOOR);
		fake_store_free(&s);
	}
	drop_history();
}

TEST(records_heads_and_slots_of_another_store_are_refused)
{
	struct fake_store s;
	struct core c, d;

	make_store(&c);
	make_store(&d);		/* the same names, the same platform key */
	fake_store_copy(&s, &c.store);
	free(s.rec[0].p);
	s.rec[0] = d.store.rec[0];
	EXPECT_INT(reopen(&s), E_RECORD);
	memcpy(s.rec[0].id, c.store.rec[0].id, 16);	/* even under the id it has here */
	EXPECT_INT(reopen(&s), E_RECORD);
	s.rec[0].p = NULL;
	fake_store_free(&s);
	fake_store_copy(&s, &c.store);
	memcpy(s.head, d.store.head, sizeof(s.head));
	EXPECT_INT(reopen(&s), E_HEAD);
	fake_store_free(&s);
	fake_store_copy(&s, &c.store);
	s.slot[0] = d.store.slot[0];
	EXPECT_INT(reopen(&s), E_HEAD);
	fake_store_free(&s);
	core_stop(&c);
	core_stop(&d);
}

TEST(an_aborted_or_uncommitted_record_cannot_be_slipped_in)
{
	struct fake_store s;
	struct core c;

	core_ready(&c);
	core_make(&c, "a", M16);
	core_make(&c, "b", M16);
	EXPECT_INT(core_roll(&c, "a", M16B), E_OK);
	fake_store_copy(&s, &c.store);
	fake_store_put(&s, c.staged.id, c.staged.record);
	EXPECT_INT(reopen(&s), E_RECORD_AHEAD);
	fake_store_free(&s);
	EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	EXPECT_INT(core_roll(&c, "a", M16B), E_OK);
	fake_store_copy(&s, &c.store);
	fake_store_put(&s, c.staged.id, c.staged.record);
	core_commit(&c);	/* the second attempt counts; the first was of a lower version */
	EXPECT_INT(reopen(&c.store), E_OK);
	fake_store_free(&s);
	core_stop(&c);
}

TEST(calls_that_do_not_fit_the_state_of_the_store_are_refused)
{
	struct core c, d;

	make_store(&c);
	EXPECT_INT(core_open_only(&c, &c.store), E_STATE);
	EXPECT_INT(core_store_create(&c), E_STATE);
	EXPECT_INT(core_load(&c, &c.store, 0, 1), E_STATE);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_STORE_READY), E_STATE);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_RECOVER_BEGIN), E_STATE);
	EXPECT_INT(core_current(&c, "a").len, 16);	/* none of that did any harm */
	core_start(&d, 0x11);
	EXPECT_INT(core_load(&d, &c.store, 0, 1), E_STATE);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_STATE);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_SLOT_RECOVERY), E_NOT_READY);
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	EXPECT_INT(core_open_only(&d, &c.store), E_STATE);
	EXPECT_INT(core_store_create(&d), E_STATE);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_COUNT);	/* refused from here on */
	EXPECT_INT(core_load(&d, &c.store, 0, 1), E_STATE);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);	/* but it may be opened anew */
	core_stop(&d);
	/* Something behind the end of a request. */
	core_start(&d, 0x11);
	EXPECT_INT(core_bytes(&d, CALL_STORE_CREATE, "x", 1), E_BAD_MESSAGE);
	EXPECT_INT(core_bytes(&d, CALL_STORE_READY, "x", 1), E_BAD_MESSAGE);
	EXPECT_INT(core_bytes(&d, CALL_RECOVER_BEGIN, "x", 1), E_BAD_MESSAGE);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_failed_opening_leaves_no_root_behind)
{
	struct core c, d;
	struct fake_store s;

	make_store(&c);
	fake_store_copy(&s, &c.store);
	s.head[40] ^= 1;
	core_start(&d, 0x11);
	EXPECT_INT(core_open_only(&d, &s), E_HEAD);
	EXPECT_INT(core_load(&d, &c.store, 0, c.store.count), E_STATE);
	s.rec[0].p[20] ^= 1;
	s.head[40] ^= 1;
	EXPECT_INT(core_store_open(&d, &s), E_RECORD);
	EXPECT_INT(core_load(&d, &c.store, 0, c.store.count), E_STATE);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	core_stop(&d);
	fake_store_free(&s);
	core_stop(&c);
}

TEST(time_does_not_go_back_over_a_restart)
{
	struct core c, d;
	char cookie[512];
	size_t n;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, "svsm.secret.signature", "s", "hadoop.kms.authentication.token.validity", "10", NULL),
		   E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	core_as(&c, "ann");
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	n = c.ans.cookie.len;
	memcpy(cookie, c.ans.cookie.p, n);
	fake_mono += 20000;
	{
		uint64_t epoch = 0;

		EXPECT_INT(core_head(&c, NULL, 0, &epoch), E_OK);	/* carries the time */
		EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	}
	core_start(&d, 0x11);	/* told FAKE_WALL again */
	EXPECT_INT(core_config(&d, "svsm.secret.signature", "s", "hadoop.kms.authentication.token.validity", "10", NULL),
		   E_OK);
	core_as_cookie(&d, slice_of(cookie, n));
	EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_OK);	/* before the store is open it cannot know */
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_UNAUTHENTICATED);
	EXPECT_INT(d.ans.head.note, NOTE_EXPIRED);
	core_stop(&d);
	core_stop(&c);
}

/* ---- recovery ---- */

static enum wire_err blob_call(struct core *c, enum wire_call call, const void *p, size_t len, struct slice *out)
{
	wire_blob_req_put(core_req(c), slice_of(p, len));
	if (core_send(c, call) == E_OK)
		EXPECT(cur_str16(&c->ans.body, 2048, out) && cur_end(&c->ans.body));
	return c->err;
}

TEST(the_recovery_key_brings_a_store_to_another_machine)
{
	static const char info[] = "svsm-kms recovery root";
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX], blob[16 + CRYPTO_WRAP_LEN], slot[512];
	size_t npriv = sizeof(priv), npub = sizeof(pub), nslot;
	struct crypto *cr;
	struct slice out = { 0 };
	struct core c, d;
	struct wire_status st;
	SECRET root = { 0 };

	make_store(&c);
	cr = crypto_new();
	EXPECT(crypto_wrap_keypair(priv, &npriv, pub, &npub) == RC_OK);
	/* What is no P-384 public key gets nothing. */
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, "", 0, &out), E_RECOVERY_KEY);
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, priv, npriv, &out), E_RECOVERY_KEY);
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, pub, npub - 1, &out), E_RECOVERY_KEY);
	pub[npub] = 0;
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, pub, npub + 1, &out), E_RECOVERY_KEY);
	pub[npub - 1] ^= 1;	/* not on the curve */
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, pub, npub, &out), E_RECOVERY_KEY);
	pub[npub - 1] ^= 1;
	EXPECT_INT(blob_call(&c, CALL_SLOT_RECOVERY, pub, npub, &out), E_OK);
	EXPECT_INT(out.len, SEAL_SLOT_RECOVERY_LEN);
	nslot = out.len;
	memcpy(slot, out.p, nslot);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_MEM(slot + 4, st.store_id, 16);
	/* The slot is bound to its store and kind. */
	slot[5] ^= 1;
	EXPECT(crypto_unwrap(cr, slice_of(priv, npriv), slice_of(slot, 20), slot + 20, &root) == RC_DENIED);
	slot[5] ^= 1;
	EXPECT(crypto_unwrap(cr, slice_of(priv, npriv), slice_of(slot, 20), slot + 20, &root) == RC_OK);

	/* On another machine: the platform's key does not fit, the recovery slot is none of its own. */
	c.store.slots = 2;
	memcpy(c.store.slot[1].b, slot, nslot);
	c.store.slot[1].len = nslot;
	EXPECT_INT(reopen_as(&c.store, 0x22, &d), E_SLOT_KEY);
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_STATE);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_RECOVER_BEGIN), E_OK);
	EXPECT(cur_str16(&d.ans.body, CRYPTO_DER_MAX, &out) && cur_end(&d.ans.body));
	memcpy(blob, slot + 4, 16);
	EXPECT(crypto_wrap(cr, out, slice_str(info), &root, blob + 16) == RC_OK);
	blob[40] ^= 1;
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_RECOVERY_KEY);
	blob[40] ^= 1;
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_STATE);	/* one attempt a key */
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_RECOVER_BEGIN), E_OK);
	EXPECT(cur_str16(&d.ans.body, CRYPTO_DER_MAX, &out));
	EXPECT(crypto_wrap(cr, out, slice_str("another purpose"), &root, blob + 16) == RC_OK);
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_RECOVERY_KEY);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_RECOVER_BEGIN), E_OK);
	EXPECT(cur_str16(&d.ans.body, CRYPTO_DER_MAX, &out));
	EXPECT(crypto_wrap(cr, out, slice_str(info), &root, blob + 16) == RC_OK);
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob) - 1, &out), E_BAD_MESSAGE);
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_OK);
	EXPECT_INT(out.len, SEAL_SLOT_PLATFORM_LEN);
	memcpy(c.store.slot[2].b, out.p, out.len);
	c.store.slot[2].len = out.len;
	c.store.slots = 3;
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(core_current(&d, "a").len, 16);
	core_stop(&d);
	EXPECT_INT(reopen(&c.store), E_OK);	/* and on the first machine still */
	EXPECT_INT(reopen_as(&c.store, 0x22, &d), E_OK);
	core_stop(&d);
	EXPECT_INT(reopen_as(&c.store, 0x33, &d), E_SLOT_KEY);
	core_stop(&d);
	/* A slot for the right machine made from a wrong root opens as a slot, and then nothing. */
	core_start(&d, 0x44);
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_RECOVER_BEGIN), E_OK);
	EXPECT(cur_str16(&d.ans.body, CRYPTO_DER_MAX, &out));
	root.b[7] ^= 1;
	EXPECT(crypto_wrap(cr, out, slice_str(info), &root, blob + 16) == RC_OK);
	EXPECT_INT(blob_call(&d, CALL_RECOVER_FINISH, blob, sizeof(blob), &out), E_OK);
	memcpy(c.store.slot[0].b, out.p, out.len);
	c.store.slots = 1;
	EXPECT_INT(core_store_open(&d, &c.store), E_HEAD);
	core_stop(&d);
	crypto_free(cr);
	core_stop(&c);
}
