/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: what goes in comes out, what fails changes nothing, and no file, however damaged,
 * crashes the program that opens it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "proxy/store_check.h"
#include "proxy/store_guard.h"
#include "tests/proxy/store_help.h"

static void put_n(struct store *s, uint64_t n, const void *p, size_t len)
{
	struct store_id id = id_of(n);

	EXPECT(store_txn_put(s, &id, slice_of(p, len), NULL) == RC_OK);
}

static void fill(struct store *s, uint64_t from, uint64_t to, size_t len)
{
	uint8_t *v = calloc(1, len + 1);
	uint64_t i;

	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	for (i = from; i < to; i++) {
		memset(v, (int)i, len);
		put_n(s, i, v, len);
	}
	EXPECT(store_txn_put_head(s, slice_of(&to, sizeof(to)), NULL) == RC_OK);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
	free(v);
}

static uint64_t head_of(struct store *s)
{
	struct store_buf b = { 0 };
	uint64_t v = 0;

	EXPECT(store_head_get(s, &b, NULL) == RC_OK);
	if (b.found && b.len == sizeof(v))
		memcpy(&v, b.p, sizeof(v));
	store_buf_free(&b);
	return v;
}

static bool has(struct store *s, uint64_t n, const void *p, size_t len)
{
	struct store_buf b = { 0 };
	struct store_id id = id_of(n);
	bool same;

	EXPECT(store_get(s, &id, &b, NULL) == RC_OK);
	same = b.found && b.len == len && (len == 0 || memcmp(b.p, p, len) == 0);
	store_buf_free(&b);
	return same;
}

static bool count_one(void *arg, const struct store_id *id, struct slice value)
{
	(void)id;
	(void)value;
	++*(uint64_t *)arg;
	return true;
}

static uint64_t count_all(struct store *s)
{
	uint64_t n = 0;

	EXPECT(store_iterate(s, NULL, count_one, &n, NULL) == RC_OK);
	return n;
}

/* Opens and expects to be refused for this reason, in a message that names the place. */
static void refused(const char *dir, struct store_options opt, enum store_why why)
{
	struct store *s = (struct store *)1;
	struct store_error e = { 0 };

	EXPECT(store_open(dir, &opt, &s, &e) != RC_OK);
	EXPECT(s == NULL);
	if (e.why != why)
		fprintf(stderr, "wanted %s: %s\n", store_why_name(why), e.text);
	EXPECT_INT(e.why, why);
	EXPECT(strncmp(e.text, dir, strlen(dir)) == 0);
	EXPECT(e.exit_code != 0 && e.text[strlen(e.text) - 1] == '.');
}

/* ---- what goes in comes out ---- */

TEST(records_come_back_after_reopening)
{
	static const size_t lens[] = { 0, 1, 300, 2000, 2030, 2040, 4080, 4096, 70000, STORE_MAX_RECORD };
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	uint8_t *v = malloc(STORE_MAX_RECORD);
	size_t i;

	for (i = 0; i < STORE_MAX_RECORD; i++)
		v[i] = (uint8_t)(i * 31 >> 3);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	for (i = 0; i < ARRAY_LEN(lens); i++)
		put_n(s, i, v, lens[i]);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
	store_close(s);

	s = must_open(t.store, OPEN_OLD);
	for (i = 0; i < ARRAY_LEN(lens); i++)
		EXPECT(has(s, i, v, lens[i]));
	EXPECT(count_all(s) == ARRAY_LEN(lens));
	store_close(s);
	free(v);
	scratch_rm(&t);
}

TEST(small_things_come_back_and_do_not_meet)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_buf b = { 0 };
	bool slots[256];
	int i, n = 0;

	EXPECT(store_keyslot_put(s, 0, slice_str("platform"), NULL) == RC_OK);
	EXPECT(store_keyslot_put(s, 255, slice_str("recovery"), NULL) == RC_OK);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	EXPECT(store_txn_put_head(s, slice_str("the head"), NULL) == RC_OK);
	EXPECT(store_txn_put_item(s, slice_str("head"), slice_str("an item"), NULL) == RC_OK);
	EXPECT(store_txn_put_item(s, slice_str("records"), slice_str("another"), NULL) == RC_OK);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
	store_close(s);

	s = must_open(t.store, OPEN_READ);
	EXPECT(store_keyslot_get(s, 255, &b, NULL) == RC_OK && b.found);
	EXPECT_STR((char *)b.p, "recovery");
	EXPECT(store_keyslot_get(s, 7, &b, NULL) == RC_OK && !b.found);
	EXPECT(store_head_get(s, &b, NULL) == RC_OK && b.found);
	EXPECT_STR((char *)b.p, "the head");
	EXPECT(store_item_get(s, slice_str("head"), &b, NULL) == RC_OK && b.found);
	EXPECT_STR((char *)b.p, "an item");
	EXPECT(store_keyslot_list(s, slots, NULL) == RC_OK);
	for (i = 0; i < 256; i++)
		n += slots[i];
	EXPECT(n == 2 && slots[0] && slots[255]);
	EXPECT(count_all(s) == 0);
	store_buf_free(&b);
	store_close(s);
	scratch_rm(&t);
}

TEST(deleting_is_final_and_deleting_nothing_is_fine)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_id id = id_of(1);

	fill(s, 0, 3, 300);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	EXPECT(store_txn_del(s, &id, NULL) == RC_OK);
	EXPECT(store_txn_del(s, &id, NULL) == RC_OK);
	EXPECT(store_txn_del_keyslot(s, 9, NULL) == RC_OK);
	EXPECT(store_txn_del_item(s, slice_str("none"), NULL) == RC_OK);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
	EXPECT(count_all(s) == 2);
	store_close(s);
	scratch_rm(&t);
}

TEST(what_is_aborted_or_never_committed_is_not_there)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);

	fill(s, 0, 10, 300);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	put_n(s, 50, "x", 1);
	EXPECT(!has(s, 50, "x", 1)); /* readers see commits only */
	store_txn_abort(s);
	store_txn_abort(s);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	put_n(s, 51, "x", 1);
	store_close(s);
	s = must_open(t.store, OPEN_OLD);
	EXPECT(count_all(s) == 10 && head_of(s) == 10);
	store_close(s);
	scratch_rm(&t);
}

TEST(impossible_calls_are_refused_and_spoil_only_their_transaction)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_error e;
	struct store_id id = id_of(0);
	static uint8_t big[STORE_MAX_RECORD + 1];
	static const char *const names[] = {
		"",
		"UPPER",
		"a/b",
		"..\n",
		"x y",
		"a\x80",
		"a2345678901234567890123456789012345678901234567890123456789012345"};
	size_t i;

	EXPECT(store_txn_put(s, &id, slice_str("x"), &e) == RC_BAD_INPUT && e.why == STORE_BAD_CALL);
	EXPECT(store_txn_commit(s, &e) == RC_BAD_INPUT);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		EXPECT(store_txn_begin(s, &e) == RC_OK);
		EXPECT(store_txn_put(s, &id, slice_str("x"), &e) == RC_OK);
		EXPECT(store_txn_put_item(s, slice_str(names[i]), slice_str("v"), &e) == RC_BAD_INPUT);
		EXPECT(store_txn_put(s, &id, slice_str("x"), &e) == RC_BAD_INPUT);
		EXPECT(store_txn_commit(s, &e) == RC_BAD_INPUT && !e.fatal);
	}
	EXPECT(store_txn_begin(s, &e) == RC_OK);
	EXPECT(store_txn_begin(s, &e) == RC_BAD_INPUT);
	EXPECT(store_txn_put(s, &id, slice_of(big, sizeof(big)), &e) == RC_NO_ROOM && e.why == STORE_LIMIT);
	store_txn_abort(s);
	EXPECT(count_all(s) == 0);
	fill(s, 0, 1, 300);
	EXPECT(count_all(s) == 1);
	store_close(s);
	scratch_rm(&t);
}

/* ---- cursors ---- */

struct shard {
	struct store *s;
	uint8_t first, last;
	uint64_t count;
	bool good;
};

static void *load_shard(void *arg)
{
	struct shard *sh = arg;
	struct store_cursor *c;
	struct store_buf b = { 0 };
	struct store_id id, prev = { 0 };

	if (store_cursor_open(sh->s, sh->first, sh->last, NULL, &c, NULL) != RC_OK)
		return NULL;
	sh->good = true;
	while (store_cursor_next(c, &id, &b, NULL) == RC_OK && b.found) {
		sh->good &= id.b[0] >= sh->first && id.b[0] <= sh->last;
		sh->good &= sh->count == 0 || memcmp(prev.b, id.b, sizeof(id.b)) < 0;
		prev = id;
		sh->count++;
	}
	store_cursor_close(c);
	store_buf_free(&b);
	return NULL;
}

static void load_in_threads(struct store *s, uint64_t want)
{
	struct shard sh[4] = { {.s = s, .last = 63},
			      { .s = s, .first = 64, .last = 127 },
			      { .s = s, .first = 128, .last = 128 },
			      { .s = s, .first = 129, .last = 255 } };
	pthread_t th[4];
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < 4; i++)
		EXPECT(pthread_create(&th[i], NULL, load_shard, &sh[i]) == 0);
	for (i = 0; i < 4; i++) {
		pthread_join(th[i], NULL);
		EXPECT(sh[i].good);
		sum += sh[i].count;
	}
	EXPECT(sum == want);
}

TEST(several_threads_load_all_records_between_them)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);

	fill(s, 0, 5000, 300);
	load_in_threads(s, 5000);
	store_close(s);
	scratch_rm(&t);
}

struct page_state {
	struct store_id last;
	unsigned left, count;
};

static bool page_of(void *arg, const struct store_id *id, struct slice value)
{
	struct page_state *p = arg;

	(void)value;
	p->last = *id;
	p->count++;
	return --p->left;
}

TEST(iteration_goes_on_behind_a_given_id_even_a_deleted_one)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct page_state p = { .left = 10 };
	struct store_id id, end;
	uint64_t n = 0;

	fill(s, 0, 25, 300);
	EXPECT(store_iterate(s, NULL, page_of, &p, NULL) == RC_OK && p.count == 10);
	id = p.last;
	EXPECT(store_txn_begin(s, NULL) == RC_OK && store_txn_del(s, &id, NULL) == RC_OK);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
	p.left = 10;
	EXPECT(store_iterate(s, &id, page_of, &p, NULL) == RC_OK && p.count == 20);
	id = p.last;
	EXPECT(store_iterate(s, &id, count_one, &n, NULL) == RC_OK && n == 5);
	memset(end.b, 0xff, sizeof(end.b));
	n = 0;
	EXPECT(store_iterate(s, &end, count_one, &n, NULL) == RC_OK && n == 0);
	store_close(s);
	scratch_rm(&t);
}

TEST(a_cursor_sees_one_commit_while_others_follow)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_cursor *c;
	struct store_buf b = { 0 };
	struct store_id id;
	uint64_t n = 0, i;

	fill(s, 0, 500, 300);
	EXPECT(store_cursor_open(s, 0, 255, NULL, &c, NULL) == RC_OK);
	while (store_cursor_next(c, &id, &b, NULL) == RC_OK && b.found) {
		EXPECT(b.len == 300 && b.p[0] == b.p[299]);
		if (n++ % 10)
			continue;
		EXPECT(store_txn_begin(s, NULL) == RC_OK);
		for (i = 0; i < 5; i++)
			put_n(s, (n * 7 + i) % 500, "changed", 7);
		EXPECT(store_txn_del(s, &(struct store_id[]){ id_of(n) }[0], NULL) == RC_OK);
		put_n(s, 1000 + n, "new", 3);
		EXPECT(store_txn_commit(s, NULL) == RC_OK);
	}
	EXPECT(n == 500);
	store_cursor_close(c);
	EXPECT(store_check(s, NULL, NULL) == RC_OK);
	store_buf_free(&b);
	store_close(s);
	scratch_rm(&t);
}

/* ---- who may open it ---- */

TEST(nothing_is_made_unless_asked)
{
	struct scratch t = scratch_new();

	refused(t.store, OPEN_OLD, STORE_ABSENT);
	refused(t.store, OPEN_READ, STORE_ABSENT);
	EXPECT(access(t.store, F_OK) != 0);
	refused(t.store, (struct store_options){ .create = true, .read_only = true }, STORE_BAD_CALL);
	refused(t.store, (struct store_options){ .create = true, .limit = 4096 }, STORE_BAD_CALL);
	EXPECT(mkdir(t.store, 0700) == 0);
	refused(t.store, OPEN_OLD, STORE_ABSENT);
	scratch_rm(&t);
}

TEST(files_and_directory_are_private)
{
	struct scratch t = scratch_new();
	mode_t old = umask(0);
	struct store *s = must_open(t.store, OPEN_NEW);
	struct stat st;
	char path[400];

	umask(old);
	EXPECT(stat(t.store, &st) == 0 && (st.st_mode & 0777) == 0700);
	EXPECT(stat(t.file, &st) == 0 && (st.st_mode & 0777) == 0600);
	snprintf(path, sizeof(path), "%s-lock", t.file);
	EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	store_close(s);

	EXPECT(chmod(t.store, 0770) == 0);
	refused(t.store, OPEN_OLD, STORE_PERMISSIONS);
	EXPECT(chmod(t.store, 0700) == 0 && chmod(t.file, 0640) == 0);
	refused(t.store, OPEN_OLD, STORE_PERMISSIONS);
	refused(t.store, OPEN_READ, STORE_PERMISSIONS);
	scratch_rm(&t);
}

TEST(a_second_writer_is_refused_by_name)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW), *two;
	struct store_options opt = OPEN_OLD;
	struct store_error e;
	char pid[32];

	snprintf(pid, sizeof(pid), "process %ld ", (long)getpid());
	EXPECT(store_open(t.store, &opt, &two, &e) == RC_BUSY);
	EXPECT(e.why == STORE_IN_USE && strstr(e.text, pid) && strstr(e.text, "writer.lock"));
	store_close(s);
	store_close(must_open(t.store, OPEN_OLD));
	scratch_rm(&t);
}

static int hold_and_die(void *arg)
{
	struct store *s = must_open(arg, OPEN_NEW);

	fill(s, 0, 10, 300);
	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	put_n(s, 77, "x", 1);
	kill(getpid(), SIGKILL);
	return 0;
}

TEST(a_killed_writer_leaves_no_lock_and_nothing_half_done)
{
	struct scratch t = scratch_new();
	struct store *s;
	int i;

	for (i = 0; i < 3; i++)
		EXPECT_INT(in_child(hold_and_die, t.store), 1000 + SIGKILL);
	s = must_open(t.store, OPEN_OLD);
	EXPECT(count_all(s) == 10);
	fill(s, 10, 20, 300);
	store_close(s);
	scratch_rm(&t);
}

static int read_beside(void *arg)
{
	struct store *s = must_open(arg, OPEN_READ);
	struct store_error e;
	uint64_t n;
	int i;

	for (i = 0; i < 200; i++) {
		n = 0;
		if (store_iterate(s, NULL, count_one, &n, &e) != RC_OK || n % 10 || n < 1000)
			return 1;
		if (i % 10 == 0 && store_check(s, NULL, &e) != RC_OK) {
			fprintf(stderr, "%s\n", e.text);
			return 2;
		}
	}
	if (store_txn_begin(s, &e) != RC_DENIED || e.why != STORE_READ_ONLY)
		return 3;
	store_close(s);
	return 0;
}

TEST(a_reader_beside_a_running_writer_sees_whole_commits)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	pid_t pid;
	int status, i = 0;

	fill(s, 0, 1000, 300);
	pid = fork();
	if (pid == 0)
		_exit(read_beside(t.store));
	do {
		uint64_t from = 1000 + 10 * (uint64_t)(i++ % 50);
		uint64_t k;

		fill(s, from, from + 10, 300);
		if (i % 50 == 0) {
			EXPECT(store_txn_begin(s, NULL) == RC_OK);
			for (k = 1000; k < 1500; k++)
				EXPECT(store_txn_del(s, &(struct store_id[]){ id_of(k) }[0], NULL) == RC_OK);
			EXPECT(store_txn_commit(s, NULL) == RC_OK);
		}
	} while (waitpid(pid, &status, WNOHANG) == 0);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	store_close(s);
	scratch_rm(&t);
}

/* ---- snapshots ---- */

/* A writer in a process of its own that commits when told, and only then. */
struct writer {
	pid_t pid;
	int fd;
};

/* The n-th commit: every record that is there is written again, one comes, one goes, head and slots follow. */
static void writer_commit(struct store *s, uint64_t n)
{
	static const uint8_t v[300];
	struct store_id gone = id_of(n);
	uint64_t i;

	EXPECT(store_txn_begin(s, NULL) == RC_OK);
	for (i = n + 1; i <= n + 100; i++)
		put_n(s, i, v, (size_t)(n % 300));
	EXPECT(store_txn_del(s, &gone, NULL) == RC_OK);
	EXPECT(store_txn_put_head(s, slice_of(&n, sizeof(n)), NULL) == RC_OK);
	EXPECT(store_txn_put_item(s, slice_str("item"), slice_of(&n, sizeof(n)), NULL) == RC_OK);
	EXPECT(store_txn_put_keyslot(s, (uint8_t)(n % 256), slice_str("slot"), NULL) == RC_OK);
	EXPECT(store_txn_del_keyslot(s, (uint8_t)((n - 1) % 256), NULL) == RC_OK);
	EXPECT(store_txn_commit(s, NULL) == RC_OK);
}

static struct writer writer_start(const char *dir)
{
	struct writer w;
	int pair[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	w.fd = pair[0];
	fflush(NULL);
	w.pid = fork();
	if (w.pid == 0) {
		struct store *s;
		uint64_t n;

		setenv("CMOCKA_TEST_ABORT", "1", 1);
		close(pair[0]);
		s = must_open(dir, OPEN_NEW);
		for (n = 1;; n++) {
			writer_commit(s, n);
			if (write(pair[1], "", 1) != 1 || read(pair[1], &(char){ 0 }, 1) != 1)
				_exit(0);
		}
	}
	EXPECT(w.pid > 0);
	close(pair[1]);
	EXPECT(read(w.fd, &(char){ 0 }, 1) == 1);
	return w;
}

static void let_commit(const struct writer *w)
{
	int i;

	for (i = 0; i < 3; i++)	/* both meta pages, and pages that were free */
		if (write(w->fd, "", 1) != 1 || read(w->fd, &(char){ 0 }, 1) != 1)
			abort();
}

static void writer_end(const struct writer *w)
{
	int status;

	close(w->fd);
	EXPECT(waitpid(w->pid, &status, 0) == w->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void is_number(const struct store_buf *b, uint64_t n)
{
	EXPECT(b->found && b->len == sizeof(n) && memcmp(b->p, &n, sizeof(n)) == 0);
}

/* All that can be read, with commits before each read: it is as commit n left it. */
static void is_at(struct store *s, const struct writer *w, uint64_t n)
{
	struct store_cursor *c;
	struct store_check_stat check;
	struct store_buf b = { 0 };
	struct store_stat stat;
	struct store_id id = id_of(n), at;
	uint64_t count = 0;
	bool slots[256];
	unsigned i;

	let_commit(w);
	EXPECT(store_stat(s, &stat, NULL) == RC_OK && stat.records == 100);
	let_commit(w);
	EXPECT(head_of(s) == n);
	let_commit(w);
	EXPECT(store_item_get(s, slice_str("item"), &b, NULL) == RC_OK);
	is_number(&b, n);
	let_commit(w);
	EXPECT(store_keyslot_list(s, slots, NULL) == RC_OK);
	for (i = 0; i < 256; i++)
		EXPECT(slots[i] == (i == n % 256));
	let_commit(w);
	EXPECT(store_get(s, &id, &b, NULL) == RC_OK && !b.found);
	id = id_of(n + 1);
	EXPECT(store_get(s, &id, &b, NULL) == RC_OK && b.found && b.len == n % 300);
	EXPECT(store_cursor_open(s, 0, 255, NULL, &c, NULL) == RC_OK);
	do {
		if (count % 16 == 0)
			let_commit(w);
		EXPECT(store_cursor_next(c, &at, &b, NULL) == RC_OK);
		count += b.found;
		EXPECT(!b.found || b.len == n % 300);
	} while (b.found);
	store_cursor_close(c);
	EXPECT(count == 100);
	let_commit(w);
	EXPECT(store_check(s, &check, NULL) == RC_OK);
	EXPECT(check.records == 100 && check.txn == stat.txn);
	store_buf_free(&b);
}

TEST(a_snapshot_stays_as_it_is_whatever_is_committed_between_any_two_reads)
{
	struct scratch t = scratch_new();
	struct writer w = writer_start(t.store);
	struct store *s;
	uint64_t n, last = 0;
	int round;

	for (round = 0; round < 3; round++) {
		let_commit(&w);
		s = must_open(t.store, OPEN_SNAPSHOT);
		n = head_of(s);
		EXPECT(n > last);
		is_at(s, &w, n);
		is_at(s, &w, n);
		store_close(s);
		last = n;
	}
	writer_end(&w);
	store_close(must_open(t.store, OPEN_OLD));
	scratch_rm(&t);
}

TEST(several_threads_load_one_snapshot_between_them)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);

	fill(s, 0, 5000, 300);
	store_close(s);
	s = must_open(t.store, OPEN_SNAPSHOT);
	load_in_threads(s, 5000);
	EXPECT(count_all(s) == 5000);
	store_close(s);
	scratch_rm(&t);
}

TEST(a_snapshot_is_for_reading_only_and_is_not_copied)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_error e;
	char dir[300];
	int fd;

	fill(s, 0, 10, 300);
	store_close(s);
	refused(t.store, (struct store_options){ .snapshot = true }, STORE_BAD_CALL);
	s = must_open(t.store, OPEN_SNAPSHOT);
	EXPECT(store_txn_begin(s, &e) == RC_DENIED && e.why == STORE_READ_ONLY);
	snprintf(dir, sizeof(dir), "%s/copy", t.dir);
	EXPECT(store_backup_dir(s, dir, &e) == RC_BAD_INPUT && e.why == STORE_BAD_CALL && !e.fatal);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	EXPECT(store_backup_fd(s, fd, &e) == RC_BAD_INPUT && e.why == STORE_BAD_CALL && !e.fatal);
	close(fd);
	EXPECT(count_all(s) == 10);
	store_close(s);
	scratch_rm(&t);
}

/* In a process of its own: a broken store keeps what it has. */
static int cut_under_snapshot(void *arg)
{
	struct scratch *t = arg;
	struct store *s = must_open(t->store, OPEN_SNAPSHOT);
	struct store_error e;
	uint64_t n = 0;

	if (truncate(t->file, 4 * 4096) != 0 || store_check(s, NULL, &e) == RC_OK || e.why != STORE_TRUNCATED)
		return 1;
	if (store_iterate(s, NULL, count_one, &n, &e) == RC_OK || !e.fatal)
		return 2;
	/* The lock was given back: nobody waits for ever. */
	if (store_iterate(s, NULL, count_one, &n, &e) == RC_OK || !e.fatal)
		return 3;
	store_close(s);
	return 0;
}

TEST(a_snapshot_of_a_file_cut_short_is_an_error_not_a_signal)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);

	fill(s, 0, 5000, 300);
	store_close(s);
	EXPECT_INT(in_child(cut_under_snapshot, &t), 0);
	scratch_rm(&t);
}

/* ---- running out of room ---- */

/* Fills until refused; every refused transaction must have changed nothing. Returns commits made. */
static uint64_t fill_up(struct store *s, size_t len, enum store_why want)
{
	uint8_t *v = calloc(1, len);
	struct store_error e = { 0 };
	struct store_id id;
	uint64_t n = head_of(s), made = 0, next;

	while (made < 100000) {
		enum rc rc;

		id = id_of(n);
		next = n + 1;
		EXPECT(store_txn_begin(s, &e) == RC_OK);
		rc = store_txn_put(s, &id, slice_of(v, len), &e);
		if (rc == RC_OK)
			rc = store_txn_put_head(s, slice_of(&next, sizeof(next)), &e);
		if (rc == RC_OK)
			rc = store_txn_commit(s, &e);
		else
			store_txn_abort(s);
		if (rc != RC_OK)
			break;
		n = next;
		made++;
	}
	if (e.why != want)
		fprintf(stderr, "wanted %s: %s\n", store_why_name(want), e.text);
	EXPECT_INT(e.why, want);
	EXPECT(!e.fatal);
	EXPECT(head_of(s) == n && count_all(s) == n);
	EXPECT(store_check(s, NULL, NULL) == RC_OK);
	free(v);
	return made;
}

/* On a small file system: full, still readable, still whole, and usable again with some space. */
static int full_disk(void *arg)
{
	const char *dir = arg;
	static const size_t lens[] = { 300, 3000, 30000, 300000 };
	char hog[420], sub[400];
	struct store *s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(lens); i++) {
		static uint8_t junk[200000];
		uint64_t n;

		snprintf(hog, sizeof(hog), "%s/hog", dir);
		snprintf(sub, sizeof(sub), "%s/store%zu", dir, i);
		file_write(hog, junk, sizeof(junk));
		s = must_open(sub, OPEN_NEW);
		n = fill_up(s, lens[i], STORE_DISK_FULL);
		EXPECT(fill_up(s, lens[i], STORE_DISK_FULL) == 0);
		EXPECT(unlink(hog) == 0);
		if (lens[i] < sizeof(junk) / 4)
			EXPECT(fill_up(s, lens[i], STORE_DISK_FULL) > 0);
		n = head_of(s);
		store_close(s);
		s = must_open(sub, OPEN_OLD);
		EXPECT(count_all(s) == n);
		store_close(s);
		snprintf(hog, sizeof(hog), "%s/store.mdb", sub);
		EXPECT(unlink(hog) == 0);
	}
	return 0;
}

static int full_tmpfs(void *arg)
{
	struct scratch *t = arg;
	struct store_options opt = OPEN_NEW;
	struct store *s;
	struct store_error e;
	char sub[300];

	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return 77;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("store-test", t->dir, "tmpfs", 0, "size=1m") != 0)
		return 77;
	if (full_disk(t->dir) != 0)
		return 1;
	/* No room even for a new store: it says so, and leaves nothing behind. */
	if (mount("store-test", t->dir, "tmpfs", MS_REMOUNT, "size=96k") != 0)
		return 0;
	snprintf(sub, sizeof(sub), "%s/hog", t->dir);
	file_write(sub, (uint8_t[65536]){ 0 }, 65536);
	snprintf(sub, sizeof(sub), "%s/other", t->dir);
	if (store_open(sub, &opt, &s, &e) != RC_NO_ROOM || e.why != STORE_DISK_FULL)
		return 2;
	return 0;
}

TEST(a_full_disk_changes_nothing_and_the_store_goes_on_when_there_is_room)
{
	struct scratch t = scratch_new();
	int rc = in_child(full_tmpfs, &t);

	scratch_rm(&t);
	if (rc == 77) {
		print_message("skipped: no right to mount a small file system\n");
		skip();
	}
	EXPECT_INT(rc, 0);
}

static int full_rlimit(void *arg)
{
	struct rlimit lim = { .rlim_cur = 900 * 1024, .rlim_max = RLIM_INFINITY };
	struct store *s = must_open(arg, OPEN_NEW);
	uint64_t n;

	if (setrlimit(RLIMIT_FSIZE, &lim) != 0)
		return 77;
	n = fill_up(s, 30000, STORE_DISK_FULL);
	EXPECT(fill_up(s, 30000, STORE_DISK_FULL) == 0);
	lim.rlim_cur = 2 << 20;
	EXPECT(setrlimit(RLIMIT_FSIZE, &lim) == 0);
	EXPECT(n > 5 && fill_up(s, 30000, STORE_DISK_FULL) > 5);
	store_close(s);
	return 0;
}

TEST(a_file_size_limit_is_a_full_disk_too)
{
	struct scratch t = scratch_new();

	EXPECT_INT(in_child(full_rlimit, t.store), 0);
	scratch_rm(&t);
}

TEST(the_size_limit_is_an_error_and_can_be_raised)
{
	struct scratch t = scratch_new();
	struct store_options opt = { .create = true, .limit = 2 << 20 };
	struct store *s = must_open(t.store, opt);
	uint64_t n = fill_up(s, 3000, STORE_LIMIT);
	struct store_stat st;

	EXPECT(n > 100);
	EXPECT(store_stat(s, &st, NULL) == RC_OK && st.limit_bytes == 2 << 20 && st.file_bytes <= 2 << 20);
	store_close(s);
	opt.limit = 4 << 20;
	s = must_open(t.store, opt);
	EXPECT(fill_up(s, 3000, STORE_LIMIT) > 100);
	store_close(s);
	scratch_rm(&t);
}

TEST(space_is_used_again)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_stat a, b;
	struct store_check_stat chk;
	uint64_t seed = 5;
	int i;

	fill(s, 0, 2000, 300);
	for (i = 0; i < 50; i++)
		fill(s, rnd(&seed) % 1900, 2000, 300);
	EXPECT(store_stat(s, &a, NULL) == RC_OK && a.records == 2000);
	for (i = 0; i < 200; i++)
		fill(s, 1900 + rnd(&seed) % 100, 2000, 300);
	EXPECT(store_stat(s, &b, NULL) == RC_OK);
	EXPECT(b.file_bytes <= a.file_bytes + (1 << 20) && b.txn == a.txn + 200);
	/* Every page is in a tree or in the free list: nothing leaks. */
	EXPECT(store_check(s, &chk, NULL) == RC_OK && chk.records == 2000);
	EXPECT((chk.used_pages + chk.free_pages + 2) * chk.page_bytes == b.used_bytes);
	store_close(s);
	scratch_rm(&t);
}

/* ---- backup ---- */

TEST(a_backup_is_a_store_and_never_overwrites_one)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW), *copy;
	struct store_error e;
	struct stat a, b;
	char dir[300], file[320];

	fill(s, 0, 3000, 300);
	fill(s, 3000, 3010, 100000);
	fill(s, 0, 2500, 10);
	EXPECT(store_keyslot_put(s, 3, slice_str("slot"), NULL) == RC_OK);
	snprintf(dir, sizeof(dir), "%s/copy", t.dir);
	snprintf(file, sizeof(file), "%s/store.mdb", dir);
	if (store_backup_dir(s, dir, &e) != RC_OK)
		fail_msg("%s", e.text);
	EXPECT(store_backup_dir(s, dir, &e) == RC_DENIED && e.why == STORE_EXISTS && !e.fatal);
	EXPECT(store_backup_dir(s, t.store, &e) == RC_DENIED && e.why == STORE_EXISTS);
	EXPECT(stat(t.file, &a) == 0 && stat(file, &b) == 0 && b.st_size < a.st_size);
	fill(s, 5000, 5001, 1);
	store_close(s);

	copy = must_open(dir, OPEN_OLD);
	EXPECT(count_all(copy) == 3010 && head_of(copy) == 2500);
	fill(copy, 4000, 4100, 300);
	EXPECT(store_check(copy, NULL, NULL) == RC_OK);
	store_close(copy);
	scratch_rm(&t);
}

/* Copies the store's last commit to `file`. */
static void copy_to(struct store *s, const char *file, mode_t mode)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	EXPECT(fd >= 0 && store_backup_fd(s, fd, NULL) == RC_OK && fchmod(fd, mode) == 0);
	close(fd);
}

static void copy_refused(const char *file, enum store_why why)
{
	struct store *s = (struct store *)1;
	struct store_error e = { 0 };

	EXPECT(store_open_copy(file, &s, &e) != RC_OK && s == NULL);
	if (e.why != why)
		fprintf(stderr, "wanted %s: %s\n", store_why_name(why), e.text);
	EXPECT_INT(e.why, why);
	EXPECT(strncmp(e.text, file, strlen(file)) == 0);
}

TEST(a_copy_opens_under_any_name_beside_its_store_and_leaves_nothing_behind)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW), *copy;
	struct store_error e;
	struct store_stat stat;
	char file[320], lock[336];
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	fill(s, 0, 100, 300);
	snprintf(file, sizeof(file), "%s/any name", t.dir);
	snprintf(lock, sizeof(lock), "%s-lock", file);
	copy_to(s, file, 0644);
	fill(s, 100, 200, 300);
	EXPECT(chmod(t.dir, 01777) == 0);
	EXPECT(store_open_copy(file, &copy, &e) == RC_OK);
	EXPECT(count_all(copy) == 100 && head_of(copy) == 100);
	EXPECT(store_stat(copy, &stat, NULL) == RC_OK && stat.records == 100 && stat.file_bytes > 0);
	EXPECT(store_check(copy, NULL, NULL) == RC_OK);
	EXPECT(store_txn_begin(copy, &e) == RC_DENIED && e.why == STORE_READ_ONLY);
	store_close(copy);
	EXPECT(access(lock, F_OK) != 0);
	EXPECT(chdir(t.dir) == 0);
	EXPECT(store_open_copy("any name", &copy, &e) == RC_OK);
	EXPECT(count_all(copy) == 100);
	store_close(copy);
	EXPECT(fchdir(back) == 0);
	close(back);
	store_close(s);
	scratch_rm(&t);
}

TEST(a_damaged_copy_is_refused)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	char file[320], other[320];
	uint8_t *good;
	size_t len;

	fill(s, 0, 1000, 300);
	snprintf(file, sizeof(file), "%s/copy", t.dir);
	snprintf(other, sizeof(other), "%s/other", t.dir);
	copy_refused(file, STORE_ABSENT);
	copy_to(s, file, 0600);
	store_close(s);
	good = file_read(file, &len);
	file_write(file, good, len / 2);
	copy_refused(file, STORE_TRUNCATED);
	file_write(file, good, 0);
	copy_refused(file, STORE_TRUNCATED);
	good[5 * 4096] ^= 1;	/* a page's number */
	file_write(file, good, len);
	copy_refused(file, STORE_CORRUPT);
	memset(good, 'x', len);
	file_write(file, good, len);
	copy_refused(file, STORE_NOT_A_STORE);
	EXPECT(mkdir(other, 0700) == 0);
	copy_refused(other, STORE_NOT_A_STORE);
	free(good);
	scratch_rm(&t);
}

TEST(a_backup_that_cannot_be_written_leaves_the_store_well)
{
	struct scratch t = scratch_new();
	struct store *s = must_open(t.store, OPEN_NEW);
	struct store_error e;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), p[2];

	fill(s, 0, 1000, 300);
	EXPECT(store_backup_fd(s, full, &e) == RC_NO_ROOM && !e.fatal);
	close(full);
	EXPECT(pipe(p) == 0);
	close(p[0]);
	EXPECT(store_backup_fd(s, p[1], &e) == RC_MACHINE && e.why == STORE_TARGET && !e.fatal);
	close(p[1]);
	fill(s, 1000, 1001, 300);
	EXPECT(count_all(s) == 1001);
	store_close(s);
	scratch_rm(&t);
}

/* ---- damaged files ---- */

/* A store with all kinds of pages: branches, long values, a free list of more than one entry. */
enum { GOOD_RECORDS = 304 };

static uint8_t *good_file(const struct scratch *t, size_t *len)
{
	struct store *s = must_open(t->store, OPEN_NEW);
	int i;

	fill(s, 0, 300, 300);
	fill(s, 300, 304, 9000);
	fill(s, 0, 150, 20);
	for (i = 0; i < 5; i++)
		fill(s, (uint64_t)i * 20, (uint64_t)i * 20 + 10, 250);
	EXPECT(store_keyslot_put(s, 0, slice_str("slot"), NULL) == RC_OK);
	store_close(s);
	return file_read(t->file, len);
}

enum { USED_FINE = 0, USED_REFUSED = 3, USED_GUARD = 4, USED_ODD = 5 };

/* Everything one can do to a store. Only the opening check may find damage. */
static int use_store(void *arg)
{
	struct store_options opt = OPEN_OLD;
	struct store_error e = { 0 };
	struct store *s;
	struct store_id id;
	uint64_t n = 0, i;

	if (store_open(arg, &opt, &s, &e) != RC_OK)
		return e.why == STORE_FINE || e.text[0] == 0 ? USED_ODD : USED_REFUSED;
	if (store_iterate(s, NULL, count_one, &n, &e) != RC_OK)
		return USED_GUARD;
	if (n != GOOD_RECORDS)
		return USED_ODD;
	for (i = 0; i < 40; i++) {
		uint8_t v[300] = { 0 };

		id = id_of(i * 7);
		if (store_txn_begin(s, &e) != RC_OK ||
		    store_txn_put(s, &id, slice_of(v, sizeof(v)), &e) != RC_OK)
			return USED_GUARD;
		id = id_of(i * 3);
		if (store_txn_del(s, &id, &e) != RC_OK ||
		    store_txn_put_head(s, slice_of(v, i), &e) != RC_OK || store_txn_commit(s, &e) != RC_OK)
			return USED_GUARD;
	}
	if (store_check(s, NULL, &e) != RC_OK)
		return USED_GUARD;
	store_close(s);
	return USED_FINE;
}

/* Returns whether it was refused; anything but "refused" or "all went well" is a failed test. */
static bool try_file(const struct scratch *t, const uint8_t *p, size_t len, const char *what, size_t where)
{
	char lock[400];
	int rc;

	snprintf(lock, sizeof(lock), "%s-lock", t->file);
	unlink(lock);
	file_write(t->file, p, len);
	rc = in_child(use_store, (void *)(uintptr_t)t->store);
	if (rc != USED_FINE && rc != USED_REFUSED)
		fail_msg("%s at %zu: child ended with %d", what, where, rc);
	return rc == USED_REFUSED;
}

TEST(a_file_cut_short_is_refused)
{
	struct scratch t = scratch_new();
	size_t len, cut, refusals = 0;
	uint8_t *p = good_file(&t, &len);

	for (cut = 0; cut < len; cut += cut < 9000 ? 487 : 2048)
		refusals +=
			try_file(&t, p, cut, "cut", cut); /* or all records are there: only free pages went */
	EXPECT(refusals > 20);
	file_write(t.file, p, 0);
	refused(t.store, OPEN_NEW, STORE_TRUNCATED);
	file_write(t.file, p, 8192);
	refused(t.store, OPEN_OLD, STORE_TRUNCATED);
	free(p);
	scratch_rm(&t);
}

TEST(zeroed_and_swapped_pages_never_crash)
{
	struct scratch t = scratch_new();
	size_t len, i, refusals = 0, pages;
	uint8_t *p = good_file(&t, &len), *q = malloc(len), keep[4096];

	pages = len / 4096;
	for (i = 0; i < pages; i++) {
		memcpy(q, p, len);
		memset(q + i * 4096, 0, 4096);
		refusals += try_file(&t, q, len, "zeroed page", i);
		memcpy(q, p, len);
		memcpy(keep, q + i * 4096, 4096);
		memcpy(q + i * 4096, q + (i + 1) % pages * 4096, 4096);
		memcpy(q + (i + 1) % pages * 4096, keep, 4096);
		refusals += try_file(&t, q, len, "swapped page", i);
	}
	EXPECT(refusals > pages / 2);
	free(p);
	free(q);
	scratch_rm(&t);
}

TEST(flipped_bits_never_crash)
{
	struct scratch t = scratch_new();
	size_t len, i, k, at, refusals = 0;
	uint8_t *p = good_file(&t, &len), *q = malloc(len);
	uint64_t seed = 0x5eed;

	for (i = 0; i < 600; i++) {
		memcpy(q, p, len);
		/* Mostly where structure is: the first bytes of pages, one to four bits. */
		for (k = 0; k <= i % 4; k++) {
			at = i % 3 ? rnd(&seed) % (len / 4096) * 4096 + rnd(&seed) % 160 : rnd(&seed) % len;
			q[at] ^= (uint8_t)(1u << rnd(&seed) % 8);
		}
		refusals += try_file(&t, q, len, "bits", i);
	}
	EXPECT(refusals > 50);
	free(p);
	free(q);
	scratch_rm(&t);
}

/* A flipped bit in the commit number must not bring back the state before. */
TEST(a_flipped_bit_in_a_commit_number_is_noticed)
{
	struct scratch t = scratch_new();
	size_t len, page, bit;
	uint8_t *p = good_file(&t, &len);

	for (page = 0; page < 2; page++) {
		for (bit = 0; bit < 64; bit++) {
			size_t at = page * 4096 + 144 + bit / 8;

			p[at] ^= (uint8_t)(1u << bit % 8);
			file_write(t.file, p, len);
			refused(t.store, OPEN_OLD, STORE_CORRUPT);
			p[at] ^= (uint8_t)(1u << bit % 8);
		}
	}
	free(p);
	scratch_rm(&t);
}

TEST(other_files_are_not_stores)
{
	struct scratch t = scratch_new();
	uint8_t junk[20000];
	size_t len, i;
	uint8_t *p = good_file(&t, &len);

	for (i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)(i * 7);
	file_write(t.file, junk, sizeof(junk));
	refused(t.store, OPEN_NEW, STORE_NOT_A_STORE);
	memset(junk, 0, sizeof(junk));
	file_write(t.file, junk, sizeof(junk));
	refused(t.store, OPEN_NEW, STORE_NOT_A_STORE);
	p[20]++; /* LMDB's own version */
	file_write(t.file, p, len);
	refused(t.store, OPEN_OLD, STORE_NEWER);
	p[20]--;
	for (i = 0; i + 8 < len; i++) /* the marker's version, wherever it stands */
		if (memcmp(p + i, "SVSM-KMS", 8) == 0)
			p[i + 8]++;
	file_write(t.file, p, len);
	refused(t.store, OPEN_OLD, STORE_NEWER);
	for (i = 0; i + 8 < len; i++)
		if (memcmp(p + i, "SVSM-KMS", 8) == 0)
			p[i]++;
	file_write(t.file, p, len);
	refused(t.store, OPEN_OLD, STORE_NOT_A_STORE);
	EXPECT(unlink(t.file) == 0 && mkfifo(t.file, 0600) == 0);
	refused(t.store, OPEN_OLD, STORE_NOT_A_STORE);
	EXPECT(unlink(t.file) == 0 && symlink("/etc/passwd", t.file) == 0);
	refused(t.store, OPEN_READ, STORE_IO);
	free(p);
	scratch_rm(&t);
}

TEST(an_unfinished_new_store_is_replaced)
{
	struct scratch t = scratch_new();
	char path[400];

	EXPECT(mkdir(t.store, 0700) == 0);
	snprintf(path, sizeof(path), "%s.new", t.file);
	file_write(path, "half", 4);
	store_close(must_open(t.store, OPEN_NEW));
	EXPECT(access(path, F_OK) != 0);
	scratch_rm(&t);
}

/* The file is cut under an open store: SIGBUS inside LMDB, an error outside. */
static int cut_while_open(void *arg)
{
	const struct scratch *t = arg;
	struct store *s = must_open(t->store, OPEN_OLD);
	struct store_error e = { 0 };
	struct store_id id = id_of(1);
	uint64_t n = 0;

	if (truncate(t->file, 8192) != 0)
		return 1;
	if (store_iterate(s, NULL, count_one, &n, &e) == RC_OK)
		return 2;
	if (e.why != STORE_TRUNCATED || !e.fatal || !strstr(e.text, "restore a backup"))
		return 3;
	/* And nothing more is tried on it. */
	if (store_txn_begin(s, &e) == RC_OK || !e.fatal ||
	    store_get(s, &id, &(struct store_buf){ 0 }, &e) == RC_OK)
		return 4;
	store_close(s);
	return 0;
}

static int cut_before_commit(void *arg)
{
	const struct scratch *t = arg;
	struct store *s = must_open(t->store, OPEN_OLD);
	struct store_error e = { 0 };
	struct store_id id = id_of(1);

	if (store_txn_begin(s, &e) != RC_OK || truncate(t->file, 8192) != 0)
		return 1;
	if (store_txn_put(s, &id, slice_str("x"), &e) == RC_OK || !e.fatal || e.why != STORE_TRUNCATED)
		return 2;
	if (store_txn_commit(s, &e) == RC_OK)
		return 3;
	store_close(s);
	return 0;
}

TEST(a_file_cut_short_under_an_open_store_is_an_error_not_a_signal)
{
	struct scratch t = scratch_new();
	size_t len;

	free(good_file(&t, &len));
	EXPECT_INT(in_child(cut_while_open, &t), 0);
	scratch_rm(&t);
	t = scratch_new();
	free(good_file(&t, &len));
	EXPECT_INT(in_child(cut_before_commit, &t), 0);
	scratch_rm(&t);
}

static void wild(void *arg)
{
	*(volatile uint8_t *)arg = 1;
}

static int wild_outside(void *arg)
{
	store_guard_install();
	wild(arg);
	return 0;
}

TEST(the_guard_catches_its_own_faults_only)
{
	int rc;

	store_guard_install();
	EXPECT(store_guard_run(wild, (void *)16) == STORE_GUARD_SEGV);
	EXPECT(store_guard_run(wild, (void *)16) == STORE_GUARD_SEGV);
	EXPECT(store_guard_run(wild, &rc) == STORE_GUARD_NONE);
	rc = in_child(wild_outside, (void *)16);
	EXPECT(rc != 0);
}

/* ---- the checker alone, on a file that ends at an unmapped page ---- */

TEST(the_checker_reads_no_byte_behind_the_file)
{
	struct scratch t = scratch_new();
	size_t len, cut;
	uint8_t *p = good_file(&t, &len);
	struct store_check_report rep;
	struct store_check_stat st;
	struct store_meta m[2];

	EXPECT(store_check_metas(slice_of(p, len), m, &rep) == STORE_FINE);
	for (cut = 0; cut <= len; cut += cut < 4400 ? 1 : 512) {
		uint8_t *q = test_fence(p, cut);
		enum store_why why = store_check_metas(slice_of(q, cut), m, &rep);

		if (why == STORE_FINE)
			why = store_check_tree(slice_of(q, cut), &m[0], &st, &rep);
		EXPECT(why != STORE_FINE || (cut > len / 2 && st.records == GOOD_RECORDS));
		EXPECT(why == STORE_FINE || rep.what);
		test_fence_free(q, cut);
	}
	free(p);
	scratch_rm(&t);
}
