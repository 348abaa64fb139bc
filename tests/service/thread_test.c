/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers at once: reads see a key before or after a change, never in between. Also for -DTSAN=ON. */
#include <pthread.h>

#include "tests/fake/core.h"
#include "tests/test.h"

#define READERS 3
#define KEYS 8
#define CHANGES 600

static volatile _Atomic bool stop;
static struct core reader[READERS];
static struct fake_store *loading;

/* Version n of every key is sixteen times n: what is read must agree with its number. */
static void material_of(unsigned n, char hex[33])
{
	int i;

	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", n & 0xff);
}

static void check_kv(const struct wire_kv *kv)
{
	size_t i;

	for (i = 0; i < kv->material.len; i++)
		INVARIANT(kv->material.p[i] == (uint8_t)kv->number);
}

static void *read_all(void *arg)
{
	struct core *c = arg;
	static const uint8_t zero[16];
	unsigned n = 0;

	while (!stop) {
		char name[8];
		struct wire_kv kv;
		uint32_t count, i, last = 0;
		uint64_t next;

		snprintf(name, sizeof(name), "k%u", n++ % KEYS);
		INVARIANT(core_name(c, CALL_CURRENT, name) == E_OK && wire_kv_next(&c->ans.body, &kv));
		if (kv.present)
			check_kv(&kv);
		INVARIANT(core_name(c, CALL_VERSIONS, name) == E_OK && cur_le32(&c->ans.body, &count));
		for (i = 0; i < count; i++) {
			INVARIANT(wire_kv_next(&c->ans.body, &kv) && kv.present && kv.number == i);
			check_kv(&kv);
			last = i;
		}
		(void)last;
		INVARIANT(core_name(c, CALL_NAMES, "") == E_OK);
		INVARIANT(cur_le64(&c->ans.body, &next) && cur_le32(&c->ans.body, &count) && count <= KEYS);
		if (core_name_n(c, CALL_GENERATE, name, 5, 0) != E_OK)
			INVARIANT(c->err == E_GENERATE_NO_KEY);
		{
			char version[16];

			snprintf(version, sizeof(version), "%s@0", name);
			if (core_eek(c, CALL_DECRYPT, version, name, slice_of(zero, 16), slice_of(zero, 16)) != E_OK)
				INVARIANT(c->err == E_VERSION_NOT_FOUND);
		}
		if (n % 16 == 0) {
			struct wire_status st;

			INVARIANT(core_status(c, &st) == E_OK && st.keys <= KEYS);
		}
	}
	return NULL;
}

TEST(readers_see_whole_changes)
{
	unsigned version[KEYS] = { 0 }, i;
	bool there[KEYS] = { false };
	pthread_t t[READERS];
	struct core c;
	uint32_t rnd = 1;

	core_ready(&c);
	stop = false;
	for (i = 0; i < READERS; i++) {
		core_share(&reader[i], &c);
		core_as(&reader[i], "root");
		EXPECT(pthread_create(&t[i], NULL, read_all, &reader[i]) == 0);
	}
	for (i = 0; i < CHANGES; i++) {
		char name[8], hex[33];
		unsigned k;

		rnd = rnd * 1664525u + 1013904223u;
		k = (rnd >> 16) % KEYS;
		snprintf(name, sizeof(name), "k%u", k);
		if (!there[k]) {
			material_of(0, hex);
			core_make(&c, name, hex);
			there[k] = true;
			version[k] = 0;
		} else if (rnd % 5 == 0) {
			INVARIANT(core_name(&c, CALL_DELETE, name) == E_OK);
			core_commit(&c);
			there[k] = false;
		} else {
			material_of(++version[k], hex);
			INVARIANT(core_roll(&c, name, hex) == E_OK);
			core_commit(&c);
		}
		if (i % 50 == 0)
			INVARIANT(core_config_list(&c, core_open_acls) == E_OK);
		svc_time(c.svc, FAKE_WALL + i * 1000);
	}
	stop = true;
	for (i = 0; i < READERS; i++) {
		pthread_join(t[i], NULL);
		core_stop(&reader[i]);
	}
	core_stop(&c);
}

/* Each thread loads every fourth record; which ends first does not matter. */
static void *load_some(void *arg)
{
	struct core *c = arg;
	size_t i, from = (size_t)(c - reader);

	for (i = from; i < loading->count; i += READERS)
		INVARIANT(core_load(c, loading, i, 1) == E_OK);
	return NULL;
}

TEST(records_are_loaded_by_several_workers_at_once)
{
	struct core c, d;
	struct wire_status st;
	pthread_t t[READERS];
	char name[16];
	unsigned i;

	core_ready(&c);
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		core_make(&c, name, NULL);
	}
	loading = &c.store;
	core_start(&d, 0x11);
	EXPECT_INT(core_config_list(&d, core_open_acls), E_OK);
	core_as(&d, "root");
	EXPECT_INT(core_open_only(&d, &c.store), E_OK);
	for (i = 0; i < READERS; i++) {
		core_share(&reader[i], &d);
		EXPECT(pthread_create(&t[i], NULL, load_some, &reader[i]) == 0);
	}
	for (i = 0; i < READERS; i++) {
		pthread_join(t[i], NULL);
		core_stop(&reader[i]);
	}
	core_req(&d);
	EXPECT_INT(core_send(&d, CALL_STORE_READY), E_OK);
	EXPECT_INT(core_resume(&d, NULL), E_OK);
	EXPECT_INT(core_status(&d, &st), E_OK);
	EXPECT_INT(st.keys, 500);
	EXPECT_INT(core_current(&d, "n499").len, 16);
	core_stop(&d);
	core_stop(&c);
}

static void *make_some(void *arg)
{
	struct core *c = arg;
	char name[16];
	unsigned i, made = 0;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		if (core_create(c, name, 0, NULL, NULL) == E_OK) {
			uint64_t ticket = c->staged.ticket, epoch;

			/* One group at a time: another's head may be under way. */
			while (core_head(c, &ticket, 1, &epoch) != E_OK)
				INVARIANT(c->err == E_STATE);
			INVARIANT(core_commit_epoch(c, epoch) == E_OK);
			made++;
		} else {
			INVARIANT(c->err == E_BUSY || c->err == E_EXISTS);
		}
	}
	return (void *)(uintptr_t)made;
}

TEST(a_key_wanted_by_all_is_made_once)
{
	struct wire_status st;
	pthread_t t[READERS];
	struct core c;
	size_t made = 0;
	unsigned i;

	core_ready(&c);
	for (i = 0; i < READERS; i++) {
		core_share(&reader[i], &c);
		core_as(&reader[i], "root");
		EXPECT(pthread_create(&t[i], NULL, make_some, &reader[i]) == 0);
	}
	for (i = 0; i < READERS; i++) {
		void *n;

		pthread_join(t[i], &n);
		made += (size_t)(uintptr_t)n;
		core_stop(&reader[i]);
	}
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.keys, made);
	EXPECT_INT(made, 300);
	EXPECT_INT(st.epoch, 301);
	EXPECT_INT(st.pending, 0);
	core_stop(&c);
}

/* ---- delegation tokens ---- */

#define TOKEN_TURNS 100
#define TOKENS_HELD 5

static void commit_one(struct core *c)
{
	uint64_t ticket = c->staged.ticket, epoch;

	while (core_head(c, &ticket, 1, &epoch) != E_OK)
		INVARIANT(c->err == E_STATE);
	INVARIANT(core_commit_epoch(c, epoch) == E_OK);
}

/* Fetches, uses, renews, gives up and cancels; all for one user, whose number of tokens is bounded. Keeps the last. */
static void *token_life(void *arg)
{
	uint8_t held[WIRE_TOKEN_MAX];
	struct slice token = { 0 };
	struct core *c = arg;
	uint64_t until;
	unsigned i;

	for (i = 0; i < TOKEN_TURNS; i++) {
		core_as(c, "root");
		if (core_dt_get(c, NULL, held, &token) != E_OK) {
			INVARIANT(c->err == E_FULL);
			i--;
			continue;
		}
		if (i % 7 == 3) {
			INVARIANT(core_abort(c, 0, &c->staged.ticket, 1) == E_OK);
			continue;
		}
		commit_one(c);
		core_as_token(c, token);
		INVARIANT(core_name(c, CALL_NAMES, "") == E_OK && slice_is(c->ans.user, "root"));
		core_as(c, "root");
		INVARIANT(core_dt_renew(c, token, &until) == E_OK);
		commit_one(c);
		if (i == TOKEN_TURNS - 1)
			break;
		INVARIANT(core_dt_cancel(c, token) == E_OK);
		commit_one(c);
		core_as_token(c, token);
		INVARIANT(core_name(c, CALL_NAMES, "") == E_TOKEN);
	}
	return NULL;
}

TEST(tokens_of_one_user_are_counted_right_by_all_at_once)
{
	uint8_t held[WIRE_TOKEN_MAX];
	struct slice token = { 0 };
	struct wire_status st;
	pthread_t t[READERS];
	struct core c;
	unsigned i;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "svsm.kms.delegation-token.max-per-user", "5", NULL), E_OK);
	for (i = 0; i < READERS; i++) {
		core_share(&reader[i], &c);
		EXPECT(pthread_create(&t[i], NULL, token_life, &reader[i]) == 0);
	}
	for (i = 0; i < READERS; i++) {
		pthread_join(t[i], NULL);
		core_stop(&reader[i]);
	}
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.tokens, READERS);
	EXPECT_INT(st.pending, 0);
	core_as(&c, "root");
	for (i = READERS; i < TOKENS_HELD; i++)
		EXPECT_INT(core_dt_get(&c, NULL, held, &token), E_OK);
	EXPECT_INT(core_dt_get(&c, NULL, held, &token), E_FULL);
	core_stop(&c);
}
