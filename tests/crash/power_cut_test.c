/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut at any moment of a commit: whatever part of its writes reached the disk, sector by
 * sector and in any order between two syncs, the store shows the state before or the state after,
 * and the state after once the commit had returned. Likewise for making a new store.
 */
#include <signal.h>

#include "tests/crash/record.h"
#include "tests/proxy/store_help.h"

#define ALL_SUBSETS 9		/* try every subset of so many sectors ... */
#define SOME_SUBSETS 40		/* ... and so many random ones of more */

/* ---- a state as one number ---- */

static void mix(uint64_t *h, const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		*h = (*h ^ b[i]) * 0x100000001b3ull;
	*h = (*h ^ len) * 0x100000001b3ull;
}

static bool mix_record(void *arg, const struct store_id *id, struct slice value)
{
	mix(arg, id->b, sizeof(id->b));
	mix(arg, value.p, value.len);
	return true;
}

static uint64_t digest(struct store *s)
{
	struct store_buf b = { 0 };
	uint64_t h = 0xcbf29ce484222325ull;
	int slot;

	EXPECT(store_iterate(s, NULL, mix_record, &h, NULL) == RC_OK);
	EXPECT(store_head_get(s, &b, NULL) == RC_OK);
	mix(&h, b.p, b.len);
	for (slot = 0; slot < 4; slot++) {
		EXPECT(store_keyslot_get(s, (uint8_t)slot, &b, NULL) == RC_OK);
		mix(&h, b.p, b.len);
	}
	store_buf_free(&b);
	return h;
}

/* ---- commits worth looking at ---- */

static void put(struct store *s, uint64_t n, size_t len, uint64_t round)
{
	struct store_id id = id_of(n);
	uint8_t *v = malloc(len + 1);

	memset(v, (int)(n + round), len);
	EXPECT(store_txn_put(s, &id, slice_of(v, len), NULL) == RC_OK);
	free(v);
}

static void del(struct store *s, uint64_t n)
{
	struct store_id id = id_of(n);

	EXPECT(store_txn_del(s, &id, NULL) == RC_OK);
}

static void put_head(struct store *s, uint64_t round)
{
	EXPECT(store_txn_put_head(s, slice_of(&round, sizeof(round)), NULL) == RC_OK);
}

static void nothing(struct store *s, uint64_t round)
{
	(void)s;
	(void)round;
}

static void one_record(struct store *s, uint64_t round)
{
	put(s, round, 300, round);
	put_head(s, round);
}

static void sixteen_records(struct store *s, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < 16; i++)
		put(s, 100000 + 16 * round + i, 300, round);
	put_head(s, round);
}

static void thousand_records(struct store *s, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < 1000; i++)
		put(s, i, 300, round);
}

static void change_and_delete(struct store *s, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < 8; i++) {
		put(s, (round * 37 + i * 11) % 1000, i % 2 ? 300 : 40, round + 1);
		del(s, (round * 53 + i * 17) % 1000);
	}
	EXPECT(store_txn_put_keyslot(s, (uint8_t)(round % 4), slice_of(&round, 8), NULL) == RC_OK);
	put_head(s, round);
}

static void long_values(struct store *s, uint64_t round)
{
	put(s, 5000 + round % 3, 100000, round);
	put(s, 6000, 9000 + 5000 * round, round);
	put_head(s, round);
}

static void delete_everything(struct store *s, uint64_t round)
{
	uint64_t i;

	for (i = 0; i < 1000; i++)
		del(s, i);
	put_head(s, round);
}

typedef void change_fn(struct store *s, uint64_t round);

static void commit(struct store *s, change_fn *change, uint64_t round)
{
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	change(s, round);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
}

/* ---- the cut ---- */

struct subset {
	uint64_t mask, seed;
	unsigned percent;	/* of sectors that arrive, when not by mask */
	bool by_mask;
	size_t only;		/* SIZE_MAX: not used; else every sector but this one */
};

static bool reached(void *arg, size_t i)
{
	struct subset *s = arg;

	if (s->by_mask)
		return s->mask >> i & 1;
	if (s->only != SIZE_MAX)
		return i != s->only;
	return rnd(&s->seed) % 100 < s->percent;
}

struct cut {
	struct scratch t;	/* where images are opened */
	struct image before, durable, im;
	uint64_t old, new;
	unsigned long images, olds, news, refusals;
	bool may_refuse;
	bool count_only;	/* wrong images are counted in `refusals`, not failed */
};

static void look(struct cut *c, bool must_be_new)
{
	struct store_options opt = { .read_only = c->images % 2 };
	struct store_error e;
	struct store *s;
	char lock[400];
	uint64_t got;

	snprintf(lock, sizeof(lock), "%s-lock", c->t.file);
	unlink(lock);
	file_write(c->t.file, c->im.p, c->im.len);
	c->images++;
	if (store_open(c->t.store, &opt, &s, &e) != RC_OK && (c->count_only || (c->may_refuse && e.why == STORE_CORRUPT))) {
		c->refusals++;
		return;
	}
	if (!s)
		fail_msg("image %lu: %s", c->images, e.text);
	got = digest(s);
	if (got == c->new)
		c->news++;
	else if (got == c->old && !must_be_new)
		c->olds++;
	else if (c->count_only)
		c->refusals++;
	else
		fail_msg("image %lu shows %s", c->images, got == c->old ? "a commit undone" : "half a commit");
	if (c->images % 32 == 1 && !c->count_only) {	/* and life goes on */
		commit(s, one_record, 12345);
		EXPECT(store_check(s, NULL, NULL) == RC_OK);
	}
	store_close(s);
}

static void try_subset(struct cut *c, size_t issued, bool returned, struct subset sub)
{
	image_copy(&c->im, &c->durable);
	power_cut(&c->im, issued, returned, c->images % 3 == 0, reached, &sub);
	look(c, returned && issued == record.count);
}

static void cut_at(struct cut *c, size_t issued, bool returned, uint64_t seed)
{
	size_t n = power_cut_pending(&c->before, issued, returned, &c->durable), i;
	struct subset s = { .only = SIZE_MAX };

	if (n <= ALL_SUBSETS) {
		s.by_mask = true;
		for (s.mask = 0; s.mask < 1ull << n; s.mask++)
			try_subset(c, issued, returned, s);
		return;
	}
	for (i = 0; i < SOME_SUBSETS; i++) {
		s.seed = seed + 1 + i * 7919;
		s.percent = i < 2 ? (unsigned)i * 100 : (unsigned)(rnd(&seed) % 101);
		s.only = i % 4 == 3 ? rnd(&seed) % n : SIZE_MAX;
		try_subset(c, issued, returned, s);
	}
}

static const struct {
	const char *name;
	change_fn *prepare, *change;
	unsigned warm_up, rounds;
} cases[] = {
	{ "first record", nothing, one_record, 0, 2 },
	{ "one record", thousand_records, one_record, 3, 2 },
	{ "sixteen records", thousand_records, sixteen_records, 3, 2 },
	{ "changes and deletions", thousand_records, change_and_delete, 12, 4 },
	{ "long values", thousand_records, long_values, 2, 3 },
	{ "everything deleted", thousand_records, delete_everything, 0, 1 },
};

static void cut_commit(struct cut *c, const struct scratch *t, struct store *s, change_fn *change, uint64_t round)
{
	size_t k;

	c->before.p = file_read(t->file, &c->before.len);
	c->before.cap = c->before.len;
	c->old = digest(s);
	record_start(t->store);
	commit(s, change, round);
	record_stop();
	c->new = digest(s);
	/* Data, sync, and one synchronous write of the meta page: otherwise the shim saw nothing. */
	EXPECT(!record.overflow && record.count >= 3 && c->old != c->new);
	for (k = 0; k <= record.count; k++)
		cut_at(c, k, false, round * 1000 + k);
	cut_at(c, record.count, true, round);
	image_free(&c->before);
}

TEST(a_power_cut_shows_the_state_before_or_after_a_commit)
{
	struct cut c = { .t = scratch_new() };
	size_t i;
	unsigned r;

	EXPECT(mkdir(c.t.store, 0700) == 0);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct scratch t = scratch_new();
		struct store *s = must_open(t.store, OPEN_NEW);
		unsigned long images = c.images, olds = c.olds;

		if (cases[i].prepare != nothing)
			commit(s, cases[i].prepare, 0);
		for (r = 0; r < cases[i].warm_up; r++)
			commit(s, cases[i].change, r);
		for (r = 0; r < cases[i].rounds; r++)
			cut_commit(&c, &t, s, cases[i].change, cases[i].warm_up + r);
		print_message("%s: %lu images, %lu as before, %lu as after\n", cases[i].name, c.images - images,
			      c.olds - olds, c.images - images - (c.olds - olds));
		store_close(s);
		scratch_rm(&t);
	}
	EXPECT(c.olds > 100 && c.news > 10);
	image_free(&c.durable);
	image_free(&c.im);
	scratch_rm(&c.t);
}

/* The control: without the sync between data and meta page, the same search finds broken stores. */
TEST(a_commit_that_does_not_sync_is_caught)
{
	struct cut c = { .t = scratch_new(), .count_only = true };
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	size_t i;

	EXPECT(mkdir(c.t.store, 0700) == 0);
	commit(s, thousand_records, 0);
	c.before.p = file_read(t.file, &c.before.len);
	c.before.cap = c.before.len;
	c.old = digest(s);
	record_start(t.store);
	commit(s, change_and_delete, 1);
	record_stop();
	c.new = digest(s);
	for (i = 0; i < record.count; i++) {
		if (record.op[i].kind == OP_SYNC)
			record.op[i].kind = OP_DIR_SYNC;	/* stands for "does nothing to the file" */
		record.op[i].synced = false;
	}
	cut_at(&c, record.count, true, 1);
	EXPECT(c.refusals > 5);
	image_free(&c.before);
	image_free(&c.durable);
	image_free(&c.im);
	store_close(s);
	scratch_rm(&t);
	scratch_rm(&c.t);
}

/*
 * What matters of a meta page is within one sector, which disks write wholly or not at all. Should one
 * tear it all the same, between any two words: still never a mixture. It may be refused, because the
 * new state with the old number is also what one flipped bit makes of an acknowledged commit, and
 * that must not be lost in silence.
 */
TEST(a_torn_meta_page_is_the_old_state_or_the_new_one_or_refused)
{
	struct cut c = { .t = scratch_new() };
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	const struct op *meta;
	unsigned r;
	size_t n;

	EXPECT(mkdir(c.t.store, 0700) == 0);
	for (r = 0; r < 260; r++) {	/* past a carry in the commit number */
		c.before.p = file_read(t.file, &c.before.len);
		c.before.cap = c.before.len;
		c.old = digest(s);
		record_start(t.store);
		commit(s, one_record, r % 7);
		record_stop();
		c.new = digest(s);
		meta = &record.op[record.count - 1];
		EXPECT(!record.overflow && meta->kind == OP_WRITE && meta->synced && meta->len < SECTOR);
		EXPECT(meta->off / SECTOR == (meta->off + meta->len - 1) / SECTOR);
		for (n = 0; n <= meta->len && (r < 4 || r > 250); n += 8) {
			struct subset none = { .by_mask = true };

			(void)power_cut_pending(&c.before, record.count, false, &c.durable);
			image_copy(&c.im, &c.durable);
			power_cut(&c.im, record.count, false, false, reached, &none);
			memcpy(c.im.p + meta->off, meta->data, n);
			c.may_refuse = n > 0 && n < meta->len;
			look(&c, n == meta->len);
		}
		image_free(&c.before);
	}
	EXPECT(c.olds > 100 && c.news > 10 && c.refusals < c.olds);
	image_free(&c.durable);
	image_free(&c.im);
	store_close(s);
	scratch_rm(&t);
	scratch_rm(&c.t);
}

/* ---- a new store ---- */

TEST(a_new_store_gets_its_name_only_when_it_is_whole_and_durable)
{
	struct scratch t = scratch_new();
	size_t i, rename_at = 0, last_write = 0, sync_before = 0, dir_sync_after = 0;

	EXPECT(mkdir(t.store, 0700) == 0);
	record_start(t.store);
	store_close(must_open(t.store, OPEN_NEW));
	record_stop();
	EXPECT(!record.overflow);
	for (i = 0; i < record.count; i++) {
		switch (record.op[i].kind) {
		case OP_RENAME:
			EXPECT(rename_at == 0);
			rename_at = i;
			break;
		case OP_WRITE:
		case OP_CUT:
			last_write = i;
			break;
		case OP_SYNC:
			if (!rename_at)
				sync_before = i;
			break;
		case OP_DIR_SYNC:
			dir_sync_after = i;
			break;
		}
	}
	EXPECT(last_write > 0 && sync_before > last_write && rename_at > sync_before && dir_sync_after > rename_at);
	scratch_rm(&t);
}

struct killed {
	const char *dir;
	unsigned at;
	change_fn *change;
};

static int killed_at(void *arg)
{
	const struct killed *k = arg;
	struct store *s;

	if (!k->change) {
		record_kill_at(k->dir, k->at);
		s = must_open(k->dir, OPEN_NEW);
	} else {
		s = must_open(k->dir, OPEN_OLD);
		record_kill_at(k->dir, k->at);
		commit(s, k->change, k->at);
	}
	store_close(s);
	return 0;
}

TEST(killed_at_any_write_while_it_makes_a_store_it_makes_it_the_next_time)
{
	struct killed k;
	int rc;

	for (k.at = 1, rc = -1; rc != 0; k.at++) {
		struct scratch t = scratch_new();
		struct store *s;

		k.dir = t.store;
		k.change = NULL;
		EXPECT(mkdir(t.store, 0700) == 0);
		rc = in_child(killed_at, &k);
		EXPECT(rc == 0 || rc == 1000 + SIGKILL);
		s = must_open(t.store, OPEN_NEW);
		commit(s, one_record, 1);
		store_close(s);
		scratch_rm(&t);
	}
	EXPECT(k.at > 6);
}

TEST(killed_at_any_write_of_a_commit_it_shows_the_state_before_or_after)
{
	struct scratch t = scratch_new();
	struct killed k = { .dir = t.store, .change = change_and_delete };
	struct store *s = must_open(t.store, OPEN_NEW);
	uint64_t before, after;
	unsigned survived = 0;
	int rc;

	commit(s, thousand_records, 0);
	for (k.at = 1; survived < 3; k.at++) {
		before = digest(s);
		store_close(s);
		rc = in_child(killed_at, &k);
		s = must_open(t.store, OPEN_OLD);
		after = digest(s);
		EXPECT(rc == 0 ? after != before : rc == 1000 + SIGKILL && after == before);
		survived += rc == 0;
	}
	EXPECT(k.at > 5);
	store_close(s);
	scratch_rm(&t);
}
