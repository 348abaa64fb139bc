/* SPDX-License-Identifier: Apache-2.0 */
/* Changes on their way to the store: staged, in a head, committed or aborted; one a key at a time. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"

static const char *many(char ch, size_t n)
{
	static char buf[20000];

	memset(buf, ch, n);
	buf[n] = 0;
	return buf;
}

static uint32_t pending(struct core *c)
{
	struct wire_status st = { .pending = UINT32_MAX };

	EXPECT_INT(core_status(c, &st), E_OK);
	return st.pending;
}

TEST(nothing_is_visible_before_the_commit)
{
	struct core c;
	uint64_t epoch = 0, ticket;

	core_ready(&c);
	EXPECT_INT(core_create(&c, "k", 0, NULL, M16), E_OK);
	ticket = c.staged.ticket;
	fake_store_put(&c.store, c.staged.id, c.staged.record);
	EXPECT(core_current(&c, "k").p == NULL);
	EXPECT_INT(core_head(&c, &ticket, 1, &epoch), E_OK);
	EXPECT(core_current(&c, "k").p == NULL);
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_GENERATE_NO_KEY);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT_INT(core_current(&c, "k").len, 16);
	core_stop(&c);
}

TEST(a_second_change_of_a_key_waits_for_the_first)
{
	struct core c;
	uint64_t epoch = 0, ticket;

	core_ready(&c);
	EXPECT_INT(core_create(&c, "k", 0, NULL, NULL), E_OK);
	ticket = c.staged.ticket;
	EXPECT_INT(core_create(&c, "k", 0, NULL, NULL), E_BUSY);
	EXPECT_INT(c.ans.head.events, 0);	/* the call will come again, and its events with it */
	EXPECT_INT(core_create(&c, "k2", 0, NULL, NULL), E_OK);
	EXPECT_INT(core_abort(&c, 0, &ticket, 1), E_OK);
	core_make(&c, "k", NULL);
	EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
	ticket = c.staged.ticket;
	fake_store_put(&c.store, c.staged.id, c.staged.record);
	EXPECT_INT(core_roll(&c, "k", NULL), E_BUSY);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_BUSY);
	EXPECT_INT(core_head(&c, &ticket, 1, &epoch), E_OK);
	EXPECT_INT(core_roll(&c, "k", NULL), E_BUSY);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_OK);
	EXPECT_INT(core_roll(&c, "k", NULL), E_BUSY);
	EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
	core_stop(&c);
}

TEST(an_abort_leaves_everything_as_before)
{
	struct wire_status st;
	struct fake_store before;
	uint8_t material[16];
	uint64_t epoch = 0, again = 0, ticket[3];
	struct core c;

	core_ready(&c);
	core_make(&c, "a", M16);
	core_make(&c, "b", M16);
	fake_store_copy(&before, &c.store);
	EXPECT_INT(core_roll(&c, "a", NULL), E_OK);
	ticket[0] = c.staged.ticket;
	EXPECT_INT(core_name(&c, CALL_DELETE, "b"), E_OK);
	ticket[1] = c.staged.ticket;
	EXPECT_INT(core_create(&c, "c", 0, NULL, NULL), E_OK);
	ticket[2] = c.staged.ticket;
	EXPECT_INT(core_head(&c, ticket, 2, &epoch), E_OK);
	EXPECT_INT(core_abort(&c, 0, ticket, 2), E_OK);	/* not without the epoch: they are in a head */
	EXPECT_INT(pending(&c), 3);
	EXPECT_INT(core_abort(&c, epoch, &ticket[2], 1), E_OK);
	EXPECT_INT(pending(&c), 0);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_STATE);
	core_hex(M16, material, 16);
	EXPECT(slice_eq(core_current(&c, "a"), slice_of(material, 16)));
	EXPECT(slice_eq(core_current(&c, "b"), slice_of(material, 16)));
	EXPECT(core_current(&c, "c").p == NULL);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.keys, 2);
	EXPECT_INT(st.epoch, 3);
	/* The head that was given up opens a store with its group: no other may have its number. */
	EXPECT_INT(core_head(&c, NULL, 0, &again), E_OK);
	EXPECT_INT(again, epoch + 1);
	EXPECT_INT(core_commit_epoch(&c, again), E_OK);
	core_make(&c, "c", NULL);	/* and life goes on, with a store that opens */
	core_stop(&c);
	core_start(&c, 0x11);
	EXPECT_INT(core_store_open(&c, &before), E_OK);
	core_stop(&c);
	fake_store_free(&before);
}

TEST(heads_and_commits_out_of_turn_are_refused)
{
	uint64_t epoch = 0, other = 0, two[2], none = 77;
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_commit_epoch(&c, 1), E_STATE);
	EXPECT_INT(core_commit_epoch(&c, 2), E_STATE);
	EXPECT_INT(core_head(&c, &none, 1, &epoch), E_STATE);
	EXPECT_INT(core_create(&c, "k", 0, NULL, NULL), E_OK);
	fake_store_put(&c.store, c.staged.id, c.staged.record);
	two[0] = two[1] = c.staged.ticket;
	EXPECT_INT(core_head(&c, two, 2, &epoch), E_STATE);	/* named twice */
	two[1] = 99;
	EXPECT_INT(core_head(&c, two, 2, &epoch), E_STATE);	/* one unknown: none is taken */
	EXPECT_INT(core_head(&c, two, 1, &epoch), E_OK);
	EXPECT_INT(epoch, 2);
	EXPECT_INT(core_head(&c, two, 1, &other), E_STATE);	/* one at a time */
	EXPECT_INT(core_head(&c, NULL, 0, &other), E_STATE);
	EXPECT_INT(core_commit_epoch(&c, epoch + 1), E_STATE);
	EXPECT_INT(core_commit_epoch(&c, epoch - 1), E_STATE);
	EXPECT_INT(core_abort(&c, epoch + 1, NULL, 0), E_OK);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_STATE);
	EXPECT_INT(core_head(&c, two, 1, &epoch), E_STATE);	/* committed tickets are gone */
	EXPECT_INT(core_head(&c, NULL, 0, &epoch), E_OK);	/* a head over nothing is fine */
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	{
		struct wire_tickets_req m = { .epoch = epoch, .count = 1 };

		wire_tickets_req_put(core_req(&c), &m);
		sink_le64(&c.out, 1);
		EXPECT_INT(core_send(&c, CALL_COMMIT), E_BAD_MESSAGE);
	}
	core_stop(&c);
}

TEST(one_head_carries_many_changes_and_what_is_staged_meanwhile_waits)
{
	uint64_t ticket[100], late, epoch = 0;
	struct fake_store keep;
	char name[8];
	struct core c;
	uint32_t i;

	core_ready(&c);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		EXPECT_INT(core_create(&c, name, 0, NULL, NULL), E_OK);
		ticket[i] = c.staged.ticket;
		fake_store_put(&c.store, c.staged.id, c.staged.record);
	}
	EXPECT_INT(core_head(&c, ticket, 100, &epoch), E_OK);
	fake_store_copy(&keep, &c.store);
	EXPECT_INT(core_create(&c, "late", 0, NULL, NULL), E_OK);
	late = c.staged.ticket;
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT(core_current(&c, "late").p == NULL);
	EXPECT_INT(core_current(&c, "k99").len, 16);
	EXPECT_INT(pending(&c), 1);
	core_stop(&c);
	core_start(&c, 0x11);
	EXPECT_INT(core_store_open(&c, &keep), E_OK);
	(void)late;
	core_stop(&c);
	fake_store_free(&keep);
}

TEST(an_answer_too_big_for_its_slot_leaves_nothing_staged)
{
	/* Every room from one page on, in small steps: either staged with its answer, or not staged. */
	static const char *const acls[] = { "key.acl.shared.ALL", "*", "default.key.acl.MANAGEMENT", "*", NULL };
	const char *user = strdup(many('u', 500));
	struct core c;
	size_t extra;
	enum wire_err e;

	core_ready(&c);
	EXPECT_INT(core_config_list(&c, acls), E_OK);
	core_as(&c, user);
	for (extra = 0; extra < 1600; extra++) {
		/* The description fills the page up to where the trailer will or will not fit. */
		struct wire_create_req m = { .name = slice_str("k"), .has_description = true, .attrs = 1 };
		uint8_t enc[64];
		struct sink s = sink_of(enc, sizeof(enc));

		sink_str16(&s, slice_str("key.acl.name"));
		sink_str16(&s, slice_str("shared"));
		m.attr = cur_of(enc, s.need);
		m.cred = core_cred(&c);
		m.cipher = slice_str("");
		m.description = slice_str(many('d', 1600 + extra));
		wire_create_req_put(core_req(&c), &m);
		c.room = CALL_PAGE;
		e = core_send(&c, CALL_CREATE);
		c.room = CALL_LARGE_LEN;
		if (e == E_OK) {
			EXPECT(wire_staged_next(&c.ans.body, &c.staged));
			EXPECT_INT(c.ans.head.events, 2);	/* MANAGEMENT refused, ALL permits; OK */
			EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
		} else {
			EXPECT_INT(e, E_TOO_BIG);
			EXPECT(c.ans.head.num[0] > CALL_PAGE);
			EXPECT_INT(c.ans.head.events, 0);
		}
		EXPECT_INT(pending(&c), 0);
	}
	free((void *)(uintptr_t)user);
	core_stop(&c);
}

TEST(long_names_of_keys_and_acls_leave_room_for_their_events)
{
	/* The ACL name appears in an event but nowhere else in the answer. */
	char prop[1100], acl[1025], name[2] = "a";
	struct core c;
	size_t n;

	core_ready(&c);
	for (n = 0; n <= 1024; n += 8) {
		enum wire_err e;

		memset(acl, 'x', n);
		acl[n] = 0;
		snprintf(prop, sizeof(prop), "key.acl.%s.ALL", n ? acl : name);
		EXPECT_INT(core_config(&c, prop, "*", NULL), E_OK);
		core_as(&c, many('u', 512));
		{
			struct wire_create_req m = { .name = slice_str(name), .has_description = true, .attrs = 1 };
			uint8_t enc[1100];
			struct sink s = sink_of(enc, sizeof(enc));
			char text[1024];

			memset(text, 'd', sizeof(text));
			sink_str16(&s, slice_str("key.acl.name"));
			sink_str16(&s, slice_str(n ? acl : name));
			m.attr = cur_of(enc, s.need);
			m.cred = core_cred(&c);
			m.cipher = slice_str("");
			m.description = slice_of(text, 900);
			wire_create_req_put(core_req(&c), &m);
			c.room = CALL_PAGE;
			e = core_send(&c, CALL_CREATE);
			c.room = CALL_LARGE_LEN;
		}
		if (e == E_OK) {
			EXPECT(wire_staged_next(&c.ans.body, &c.staged));
			EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
		} else {
			EXPECT_INT(e, E_TOO_BIG);
			EXPECT(c.ans.head.num[0] > CALL_PAGE);
		}
		EXPECT_INT(pending(&c), 0);
	}
	core_stop(&c);
}

TEST(a_refusal_that_does_not_fit_a_page_says_how_much_it_needs)
{
	struct core c;
	char user[513], acl[1025];

	core_ready(&c);
	memset(user, 'u', 512);
	user[512] = 0;
	memset(acl, 'a', 1024);
	acl[1024] = 0;
	EXPECT_INT(core_create_attr(&c, "k", "key.acl.name", acl), E_OK);
	core_commit(&c);
	EXPECT_INT(core_config(&c, "default.key.acl.READ", "nobody", NULL), E_OK);
	core_as(&c, user);
	c.room = CALL_PAGE;
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_TOO_BIG);
	EXPECT(c.len > 0);
	EXPECT(c.ans.head.num[0] > CALL_PAGE);
	c.room = CALL_LARGE_LEN;
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_KEY_DENIED);
	EXPECT_INT(c.ans.head.events, 2);
	EXPECT(c.len <= CALL_LARGE_LEN && slice_is(c.ans.arg, acl));
	core_stop(&c);
}

TEST(every_answer_that_was_too_big_fits_the_room_it_asked_for)
{
	uint8_t iv[16] = { 0 };
	struct core c;
	char name[8];
	uint32_t i;
	uint64_t need;

	core_ready(&c);
	for (i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		EXPECT_INT(core_create_attr(&c, name, "attr", many('v', 200)), E_OK);
		core_commit(&c);
	}
	for (i = 0; i < 200; i++) {
		EXPECT_INT(core_roll(&c, "k0", NULL), E_OK);
		core_commit(&c);
	}
	for (i = 0; i < 5; i++) {
		struct wire_batch_req b = { .cred = core_cred(&c), .name = slice_str("k0"), .count = 300 };
		struct wire_names_req n = { .cred = core_cred(&c), .count = 64 };
		struct wire_item item = { .version_name = slice_str("k0@0"), .iv = slice_of(iv, 16),
					  .material = slice_of(iv, 16) };
		enum wire_call call = (enum wire_call[]){ CALL_VERSIONS, CALL_GENERATE, CALL_REENCRYPT_BATCH,
							  CALL_METADATAS, CALL_NAMES }[i];
		struct wire_name_req m = { .cred = core_cred(&c), .name = slice_str("k0"), .count = 300 };
		uint32_t j;

		core_req(&c);
		if (call == CALL_REENCRYPT_BATCH) {
			wire_batch_req_put(&c.out, &b);
			for (j = 0; j < 300; j++)
				wire_item_put(&c.out, &item);
		} else if (call == CALL_METADATAS) {
			wire_names_req_put(&c.out, &n);
			for (j = 0; j < 64; j++) {
				snprintf(name, sizeof(name), "k%u", j);
				sink_str16(&c.out, slice_str(name));
			}
		} else {
			wire_name_req_put(&c.out, &m);
		}
		c.room = CALL_PAGE;
		core_send(&c, call) == E_OK ? (void)0 : (void)0;
		if (call == CALL_NAMES) {
			EXPECT_INT(c.err, E_OK);
			c.room = CALL_LARGE_LEN;
			continue;
		}
		EXPECT_INT(c.err, E_TOO_BIG);
		EXPECT_INT(c.ans.head.events, 0);
		need = c.ans.head.num[0];
		EXPECT(need > CALL_PAGE && need <= CALL_LARGE_LEN);
		if (call != CALL_REENCRYPT_BATCH)	/* that one only says: a large one */
			c.room = need;
		else
			c.room = CALL_LARGE_LEN;
		EXPECT_INT(core_send(&c, call), E_OK);
		c.room = CALL_LARGE_LEN;
	}
	core_stop(&c);
}

TEST(memory_has_a_limit_that_counts_staged_changes)
{
	struct core c;
	char name[16];
	uint32_t made = 0, i;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "default.key.acl.MANAGEMENT", "*", "svsm.kms.core.memory.max", "10000", NULL), E_OK);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		if (core_create(&c, name, 0, NULL, NULL) != E_OK)
			break;
		made++;
	}
	EXPECT_INT(c.err, E_FULL);
	EXPECT_INT(c.ans.head.num[0], LIMIT_MEMORY);
	EXPECT_INT(c.ans.head.num[1], 10000);
	EXPECT(made > 20 && made < 100);
	EXPECT_INT(pending(&c), made);
	EXPECT_INT(core_abort(&c, 0, (const uint64_t[]){ 1, 2, 3 }, 3), E_OK);
	EXPECT_INT(core_create(&c, "again", 0, NULL, NULL), E_OK);
	core_stop(&c);
}

TEST(pending_changes_have_a_limit)
{
	struct core c;
	char name[16];
	uint32_t i;

	core_ready(&c);
	for (i = 0; i < 4096; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		EXPECT_INT(core_create(&c, name, 0, NULL, NULL), E_OK);
	}
	EXPECT_INT(core_create(&c, "more", 0, NULL, NULL), E_FULL);
	EXPECT_INT(c.ans.head.num[0], LIMIT_PENDING);
	EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	EXPECT_INT(core_create(&c, "more", 0, NULL, NULL), E_OK);
	core_stop(&c);
}

/* ---- what a hostile proxy does with tickets it has not been given ---- */

#define RACE 3000
static struct core racer;
static _Atomic bool stop_guessing;

static void *guess_tickets(void *arg)
{
	uint64_t ticket[512], i, epoch = 0, at = 1;

	(void)arg;
	while (!stop_guessing) {
		for (i = 0; i < 512; i++)
			ticket[i] = at + i;
		if (core_head(&racer, &at, 1, &epoch) == E_OK)
			INVARIANT(core_abort(&racer, epoch, NULL, 0) == E_OK);
		INVARIANT(core_abort(&racer, 0, ticket, 512) == E_OK);
		at += at < 8 * RACE ? 3 : 0;
		if (at >= 8 * RACE)
			at = 1;
	}
	return NULL;
}

TEST(a_ticket_that_is_guessed_before_it_is_given_reaches_nothing)
{
	pthread_t t;
	struct core c;
	uint32_t i;

	core_ready(&c);
	core_share(&racer, &c);
	stop_guessing = false;
	EXPECT(pthread_create(&t, NULL, guess_tickets, NULL) == 0);
	for (i = 0; i < RACE; i++) {
		struct wire_create_req m = { .name = slice_str("k"), .has_description = true };

		m.cred = core_cred(&c);
		m.cipher = slice_str("");
		m.description = slice_str(many('d', 4000));	/* takes a while to seal */
		wire_create_req_put(core_req(&c), &m);
		if (core_send(&c, CALL_CREATE) == E_OK) {
			EXPECT(wire_staged_next(&c.ans.body, &c.staged));
			EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
		} else {
			EXPECT_INT(c.err, E_BUSY);	/* in the guesser's head for a moment */
		}
	}
	stop_guessing = true;
	pthread_join(t, NULL);
	core_stop(&racer);
	core_stop(&c);
}
