/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of other kinds than keys: secrets of the core. They are sealed, loaded and protected like keys, and are in
 * no list of keys.
 */
#include <stdlib.h>

#include "service/state.h"
#include "tests/fake/core.h"
#include "tests/test.h"

static uint8_t big[SECRET_BYTES_MAX + 1];

/* As a call would do it: what is staged stands in c->staged. */
static enum wire_err stage(struct core *c, const char *name, struct slice bytes)
{
	struct op o = { .s = c->svc, .w = c->w, .now = FAKE_WALL };
	struct cursor body;
	enum wire_err e;

	o.cfg = c->svc->config;
	o.ans.user = o.ans.principal = o.ans.real = o.ans.cookie = o.ans.arg = o.ans.chain = slice_of("", 0);
	o.out = sink_of(c->rsp, c->room);
	e = secret_stage(&o, name, bytes);
	body = cur_of(c->rsp, c->room - o.out.left);
	memset(&c->staged, 0, sizeof(c->staged));
	if (e == E_OK && body.left)
		EXPECT(wire_staged_next(&body, &c->staged) && cur_end(&body));
	return e;
}

static void make(struct core *c)
{
	core_ready(c);
	core_make(c, "keytab", NULL);
	EXPECT_INT(stage(c, "keytab", slice_str("first")), E_OK);
	EXPECT(secret_get(c->svc, "keytab").p == NULL);	/* not before it is durable */
	core_commit(c);
	EXPECT(slice_is(secret_get(c->svc, "keytab"), "first"));
}

static enum wire_err reopen(struct core *d, struct fake_store *s)
{
	core_start(d, 0x11);
	EXPECT_INT(core_config_list(d, core_open_acls), E_OK);
	core_as(d, "root");
	return core_store_open(d, s);
}

TEST(a_secret_survives_a_restart_and_is_no_key)
{
	struct wire_status st;
	struct core c, d;
	size_t i;

	make(&c);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT(st.keys == 1 && st.tokens == 0);
	EXPECT_INT(core_name(&c, CALL_NAMES, ""), E_OK);
	EXPECT_INT(c.ans.body.left, 8 + 4 + 2 + 6);	/* the key of that name alone */
	for (i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	EXPECT_INT(stage(&c, "large", slice_of(big, SECRET_BYTES_MAX)), E_OK);
	core_commit(&c);
	EXPECT_INT(reopen(&d, &c.store), E_OK);
	EXPECT(slice_is(secret_get(d.svc, "keytab"), "first"));
	EXPECT(slice_eq(secret_get(d.svc, "large"), slice_of(big, SECRET_BYTES_MAX)));
	EXPECT(secret_get(d.svc, "absent").p == NULL);
	EXPECT_INT(core_status(&d, &st), E_OK);
	EXPECT_INT(st.keys, 1);
	EXPECT(core_current(&d, "keytab").p && !core_current(&d, "large").p);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_secret_is_replaced_and_removed)
{
	struct core c, d;

	make(&c);
	EXPECT_INT(stage(&c, "keytab", slice_str("first")), E_OK);
	EXPECT_INT(c.staged.ticket, 0);	/* nothing to do */
	EXPECT_INT(stage(&c, "keytab", slice_str("second")), E_OK);
	EXPECT_INT(stage(&c, "keytab", slice_str("third")), E_BUSY);
	EXPECT_INT(stage(&c, "keytab", slice_of(big, SECRET_BYTES_MAX + 1)), E_LIMIT);
	core_as(&c, "root");
	EXPECT_INT(core_abort(&c, 0, &c.svc->txn.next_ticket, 1), E_OK);	/* unknown: nothing happens */
	core_abort(&c, 0, (uint64_t[]){ c.svc->txn.next_ticket - 1 }, 1);
	EXPECT(slice_is(secret_get(c.svc, "keytab"), "first"));
	EXPECT_INT(stage(&c, "keytab", slice_str("second")), E_OK);
	core_commit(&c);
	EXPECT_INT(reopen(&d, &c.store), E_OK);
	EXPECT(slice_is(secret_get(d.svc, "keytab"), "second"));
	core_stop(&d);
	EXPECT_INT(stage(&c, "keytab", slice_of("", 0)), E_OK);
	core_commit(&c);
	EXPECT(secret_get(c.svc, "keytab").p == NULL);
	EXPECT_INT(stage(&c, "keytab", slice_of("", 0)), E_OK);
	EXPECT_INT(reopen(&d, &c.store), E_OK);
	EXPECT(secret_get(d.svc, "keytab").p == NULL);
	core_stop(&d);
	core_stop(&c);
}

static void refused(struct fake_store *s, enum wire_err why)
{
	struct core d;

	EXPECT_INT(reopen(&d, s), why);
	EXPECT(secret_get(d.svc, "keytab").p == NULL);
	core_stop(&d);
}

TEST(a_secret_removed_replayed_or_declared_another_kind_is_refused)
{
	struct fake_store old, s;
	struct core c;
	size_t at;
	uint8_t kind;

	make(&c);
	fake_store_copy(&old, &c.store);
	EXPECT_INT(stage(&c, "keytab", slice_str("second")), E_OK);
	core_commit(&c);
	at = (size_t)fake_store_find(&c.store, c.staged.id);
	EXPECT_INT(c.store.rec[at].p[1], KIND_SECRET);

	fake_store_copy(&s, &c.store);
	fake_store_remove(&s, at);
	refused(&s, E_COUNT);
	fake_store_free(&s);

	fake_store_copy(&s, &c.store);
	fake_store_put(&s, old.rec[at].id, slice_of(old.rec[at].p, old.rec[at].len));
	refused(&s, E_SET);
	for (kind = 0; kind < 8; kind++) {
		if (kind == KIND_SECRET)
			continue;
		s.rec[at].p[1] = kind;
		refused(&s, E_RECORD);
	}
	fake_store_free(&s);
	fake_store_free(&old);
	core_stop(&c);
}

TEST(the_records_of_a_kind_have_its_shape_and_no_other)
{
	static const struct {
		uint8_t kind;
		uint16_t bits;
		uint32_t versions;
		bool ok;
	} row[] = {
		{ KIND_KEY, 128, 1, true },	  { KIND_KEY, 0, 0, false },	  { KIND_KEY, 128, 0, false },
		{ KIND_TOKEN, 0, 0, true },	  { KIND_TOKEN, 8, 1, false },	  { KIND_TOKEN, 0, 1, false },
		{ KIND_SECRET, 8, 5000, true },	  { KIND_SECRET, 16, 1, false },  { KIND_SECRET, 8, 0, false },
		{ KIND_SECRET, 8, 65536, false }, { 0, 128, 1, false },		  { KIND_COUNT, 128, 1, false },
		{ KIND_KEY, 128, 4097, false },	  { KIND_KEY, 264, 1, false },	  { KIND_KEY, 127, 1, false },
	};
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(row); i++) {
		struct key_view v = { .kind = row[i].kind, .bits = row[i].bits, .versions = row[i].versions,
				      .name = slice_str("n") };
		struct key *k = NULL, *again = NULL;
		uint8_t *plain;
		struct sink s;

		len = (size_t)row[i].versions * (row[i].bits / 8);
		plain = malloc(len + 64);
		v.material = slice_of(memset(plain, 1, len + 64), len);
		EXPECT_INT(key_new(&v, &k), row[i].ok ? RC_OK : RC_BAD_INPUT);
		if (row[i].ok) {
			s = sink_of(plain, len + 64);
			key_encode(&s, k);
			EXPECT(key_decode(cur_of(plain, s.need), row[i].kind, &again) == RC_OK);
			EXPECT(again->kind == row[i].kind && again->versions == row[i].versions);
			key_free(again);
			for (uint8_t other = 0; other <= KIND_COUNT; other++)
				if (other != row[i].kind)
					EXPECT(key_decode(cur_of(plain, s.need), other, &again) == RC_BAD_INPUT);
		}
		key_free(k);
		free(plain);
	}
}

TEST(a_panic_wipes_secrets)
{
	struct core c;
	struct slice s;
	size_t i;

	make(&c);
	s = secret_get(c.svc, "keytab");
	svc_panic_wipe(c.svc);
	for (i = 0; i < s.len; i++)
		EXPECT_INT(s.p[i], 0);
	core_stop(&c);
}
