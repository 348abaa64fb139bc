/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of the audit chain's file: order, bounds, failing files, and where it goes on. No test waits for a time. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/chainlog.h"
#include "tests/test.h"

static char dir[] = "/tmp/chainlog-test-XXXXXX";
static char path[64];
static unsigned reports;

static unsigned syncs;
static int sync_fails;
static off_t synced_len[1024];	/* of the file, with each sync */

/* In place of the C library's, for the code under test too. */
int fdatasync(int fd)
{
	struct stat st;

	if (__atomic_load_n(&sync_fails, __ATOMIC_SEQ_CST)) {
		errno = EIO;
		return -1;
	}
	synced_len[__atomic_load_n(&syncs, __ATOMIC_SEQ_CST) % ARRAY_LEN(synced_len)] = fstat(fd, &st) == 0 ? st.st_size : -1;
	__atomic_fetch_add(&syncs, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void count_report(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
	reports++;
}

static struct chainlog_options options(bool refuse)
{
	if (!*path) {	/* not by the name: a random one may end as the template does */
		EXPECT(mkdtemp(dir) != NULL);
		snprintf(path, sizeof(path), "%s/chain", dir);
	}
	return (struct chainlog_options){ .path = path, .refuse = refuse, .report = count_report };
}

/* A frame as the core makes it, but for its hash; mac: it is the last of a batch. */
static size_t frame(uint8_t *to, uint64_t seq, bool mac, unsigned type, struct slice detail)
{
	struct slice none = slice_of("", 0);
	struct chain_entry e = { .seq = seq, .type = (uint8_t)type, .status = EVENT_OK, .user = slice_str("u"), .principal = none,
				 .real = none, .key = none, .peer = none, .detail = detail };
	struct sink s = sink_of(to, 4096);

	chain_frame_put(&s, &e);
	INVARIANT(sink_ok(&s));
	memset(to + s.need - 4 - CHAIN_MAC_LEN - CHAIN_HASH_LEN, (int)(seq & 0x7f), CHAIN_HASH_LEN);
	if (mac)
		memset(to + s.need - 4 - CHAIN_MAC_LEN, 0xaa, CHAIN_MAC_LEN);
	return s.need;
}

/* first..last as one batch. */
static enum rc add(struct chainlog *c, uint32_t generation, uint64_t first, uint64_t last, bool wait)
{
	static _Thread_local uint8_t b[1 << 16];
	uint64_t seq, upto;
	size_t n = 0;

	for (seq = first; seq <= last; seq++)
		n += frame(b + n, seq, seq == last, CHAIN_DECISION, slice_of("", 0));
	return chainlog_add(c, generation, slice_of(b, n), wait, &upto);
}

static void start(struct chainlog *c, uint64_t at, uint32_t generation)
{
	struct chain_resumed r = { .at = { .seq = at, .store_id = { 1 } } };

	chainlog_expect(c, generation);
	chainlog_start(c, &r);
}

/* The numbers in the file, which must be a whole one. */
static unsigned numbers(const char *file, uint64_t *out, unsigned max)
{
	uint8_t *b = malloc(1 << 22);
	struct chain_frame f;
	struct cursor in;
	unsigned n = 0;
	FILE *fp = fopen(file, "rb");
	size_t len = fp ? fread(b, 1, 1 << 22, fp) : 0;

	if (fp)
		fclose(fp);
	INVARIANT(len >= CHAIN_HEADER_LEN);
	in = cur_of(b + CHAIN_HEADER_LEN, len - CHAIN_HEADER_LEN);
	while (in.left && n < max) {
		INVARIANT(chain_frame_next(&in, &f) == RC_OK);
		out[n++] = f.seq;
	}
	free(b);
	return n;
}

static void in_order(const char *file, uint64_t first, uint64_t last)
{
	static uint64_t seen[8192];
	unsigned n = numbers(file, seen, ARRAY_LEN(seen)), i;

	EXPECT_INT(n, last - first + 1);
	for (i = 0; i < n; i++)
		EXPECT_INT(seen[i], first + i);
}

static struct chainlog *fresh(bool refuse)
{
	struct chainlog_options o = options(refuse);
	struct chainlog *c;
	char why[1024];

	unlink(path);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	EXPECT(*why == 0);
	start(c, 0, 1);
	return c;
}

#define THREADS 6
#define BATCHES 100
static struct chainlog *shared;
static uint64_t next_seq = 1;

/* Takes numbers as the core gives them, and brings them in an order of its own. */
static void *bring(void *arg)
{
	unsigned i, n = (unsigned)(uintptr_t)arg;

	for (i = 0; i < BATCHES; i++) {
		uint64_t many = 1 + (i + n) % 4, first = __atomic_fetch_add(&next_seq, many, __ATOMIC_SEQ_CST);

		if (i % 7 == n)
			sched_yield();
		INVARIANT(add(shared, 1, first, first + many - 1, true) == RC_OK);
		INVARIANT(chainlog_wait(shared, 1, first + many - 1) == RC_OK);
	}
	return NULL;
}

TEST(entries_of_many_workers_stand_in_the_file_in_order_before_they_are_waited_for)
{
	struct chainlog_state st;
	pthread_t t[THREADS];
	uintptr_t i;

	shared = fresh(true);
	next_seq = 1;
	for (i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&t[i], NULL, bring, (void *)i) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	chainlog_state(shared, &st);
	EXPECT_INT(st.written, next_seq - 1);
	EXPECT_INT(st.pending, 0);
	in_order(path, 1, next_seq - 1);
	chainlog_close(shared);
}

static uint32_t bringing;

static void *reopen(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&bringing, __ATOMIC_SEQ_CST))
		INVARIANT(chainlog_reopen(shared) == RC_OK);
	return NULL;
}

TEST(whoever_looks_for_a_new_file_stops_nobody)
{
	pthread_t t[2], other;
	uintptr_t i, n;

	for (n = 1; n <= 2; n++) {
		shared = fresh(true);
		next_seq = 1;
		bringing = 1;
		EXPECT(pthread_create(&other, NULL, reopen, NULL) == 0);
		for (i = 0; i < n; i++)
			EXPECT(pthread_create(&t[i], NULL, bring, (void *)i) == 0);
		for (i = 0; i < n; i++)
			pthread_join(t[i], NULL);
		__atomic_store_n(&bringing, 0, __ATOMIC_SEQ_CST);
		pthread_join(other, NULL);
		in_order(path, 1, next_seq - 1);
		chainlog_close(shared);
	}
}

TEST(an_entry_waits_for_the_one_before_it_and_one_that_never_comes_is_to_be_declared_lost)
{
	struct chainlog_options o = options(false);
	struct chainlog_state st;
	struct chain_loss loss = { .from = 3, .to = 6 };
	struct chain_tail tail;
	struct chainlog *c;
	uint8_t b[4096], d[128];
	struct sink s = sink_of(d, sizeof(d));
	uint64_t last, seen[16];
	char why[1024];
	bool given;

	o.patience_ms = 20;
	unlink(path);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	start(c, 0, 1);
	EXPECT_INT(add(c, 1, 1, 2, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 2), RC_OK);
	EXPECT(!chainlog_gap_due(c, &tail, &given));
	EXPECT_INT(add(c, 1, 4, 5, true), RC_OK);
	chainlog_state(c, &st);
	EXPECT_INT(st.written, 2);
	EXPECT_INT(chainlog_wait(c, 1, 5), RC_OK);	/* continue: it goes on without */
	chainlog_state(c, &st);
	EXPECT(st.dropping && !st.failing);
	EXPECT(chainlog_gap_due(c, &tail, &given) && given);
	EXPECT_INT(tail.seq, 2);
	EXPECT_INT(add(c, 1, 8, 8, false), RC_OK);	/* of a worker that was quicker than the declaration */
	chain_loss_put(&s, &loss);
	EXPECT_INT(chainlog_add(c, 1, slice_of(b, frame(b, 7, true, CHAIN_GAP, slice_of(d, s.need))), true, &last), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 8), RC_OK);
	EXPECT_INT(add(c, 1, 3, 3, false), RC_OK);	/* too late */
	EXPECT_INT(add(c, 1, 9, 9, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 9), RC_OK);
	EXPECT_INT(numbers(path, seen, 16), 5);
	EXPECT(seen[1] == 2 && seen[2] == 7 && seen[3] == 8 && seen[4] == 9);
	chainlog_close(c);
}

TEST(a_full_disk_refuses_or_goes_on_within_bounded_memory)
{
	struct chainlog_options o = options(true);
	struct chainlog_state st;
	struct chain_tail tail;
	struct chainlog *c;
	char why[1024];
	bool given;
	int way;

	for (way = 0; way < 2; way++) {
		uint64_t seq = 1;

		o.path = "/dev/full";
		o.refuse = way == 0;
		o.buffer_max = 100000;
		reports = 0;
		EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
		start(c, 0, 1);
		EXPECT(!chainlog_refuses(c));
		EXPECT_INT(add(c, 1, seq, seq, true), RC_OK);
		EXPECT_INT(chainlog_wait(c, 1, seq), way ? RC_OK : RC_DENIED);
		EXPECT_INT(chainlog_sync(c, seq), way ? RC_OK : RC_DENIED);
		EXPECT_INT(chainlog_refuses(c), way == 0);
		EXPECT_INT(chainlog_goes_on(c), way == 1);
		do {
			seq++;
			EXPECT_INT(add(c, 1, seq, seq, false), RC_OK);
			chainlog_state(c, &st);
			EXPECT(st.pending <= o.buffer_max);
		} while (!st.dropping && seq < 5000);
		EXPECT(st.dropping && st.failing && st.lost == 1);
		EXPECT(!chainlog_gap_due(c, &tail, &given));	/* there is no room for it yet */
		EXPECT_INT(reports, 2);
		chainlog_close(c);
	}
}

TEST(a_service_that_died_is_waited_for_by_nobody_and_its_successor_goes_on)
{
	struct chainlog *c = fresh(true);
	struct chain_tail tail;
	uint64_t seen;

	EXPECT_INT(add(c, 1, 1, 3, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 3), RC_OK);
	EXPECT_INT(add(c, 1, 6, 6, true), RC_OK);	/* 4 and 5 died with it */
	chainlog_died(c);
	EXPECT_INT(chainlog_wait(c, 1, 6), RC_MACHINE);
	EXPECT_INT(add(c, 1, 4, 4, true), RC_MACHINE);
	EXPECT(chainlog_tail(c, &tail, &seen));
	EXPECT_INT(tail.seq, 3);
	EXPECT_INT(seen, 6);
	chainlog_expect(c, 2);
	EXPECT_INT(add(c, 2, 8, 8, true), RC_OK);	/* a worker that is quicker than who brings START */
	chainlog_start(c, &(struct chain_resumed){ .at = { .seq = 6, .store_id = { 1 } }, .lost = 3 });
	EXPECT_INT(add(c, 2, 7, 7, false), RC_OK);
	EXPECT_INT(chainlog_wait(c, 2, 8), RC_OK);
	EXPECT_INT(add(c, 1, 9, 9, true), RC_MACHINE);
	chainlog_close(c);
}

static void append(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	INVARIANT(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

TEST(an_unfinished_end_is_cut_off_and_a_changed_file_is_left_alone)
{
	struct chainlog_options o = options(true);
	struct chainlog *c = fresh(true), *d;
	uint8_t b[4096] = { 0 };
	struct chain_tail tail;
	uint64_t seen;
	char why[1024];
	struct stat st;
	size_t n;

	EXPECT_INT(add(c, 1, 1, 5, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 5), RC_OK);
	EXPECT_INT(chainlog_open(&o, &d, why, sizeof(why)), RC_MACHINE);	/* another has it */
	chainlog_close(c);
	n = frame(b, 6, false, CHAIN_DECISION, slice_of("", 0));	/* whole, but the batch went on */
	append(b, n);
	append(b, 30);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	EXPECT(strstr(why, "cut off") != NULL);
	EXPECT(chainlog_tail(c, &tail, &seen));
	EXPECT_INT(tail.seq, 5);
	chainlog_close(c);
	in_order(path, 1, 5);
	append("nonsense that no crash writes, and enough of it", 47);
	stat(path, &st);
	n = (size_t)st.st_size;
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_BAD_INPUT);
	stat(path, &st);
	EXPECT_INT((size_t)st.st_size, n);
	unlink(path);
	EXPECT(mkfifo(path, 0600) == 0);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	EXPECT(!chainlog_tail(c, &tail, &seen));
	chainlog_close(c);
}

/* ---- what the store carries ---- */

#define PIECE_HEAD 24u	/* number and initial value, as docs/audit.md has it */

static size_t file_size(void)
{
	struct stat st;

	INVARIANT(stat(path, &st) == 0);
	return (size_t)st.st_size;
}

static void carry(struct chainlog *c, uint64_t last, enum rc rc, struct outbuf *piece)
{
	outbuf_reset(piece);
	EXPECT_INT(chainlog_carry(c, last, piece), rc);
}

static void bring_more(struct chainlog *c, uint64_t first, uint64_t last)
{
	EXPECT_INT(add(c, 1, first, last, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, last), RC_OK);
}

/* Entries 1 to 5 on the disk, 6 to 8 and 9 (two batches) not. Returns the length that is on the disk. */
static size_t nine_entries(struct outbuf *piece)
{
	struct chainlog *c = fresh(true);
	unsigned before;
	size_t synced;

	bring_more(c, 1, 5);
	before = syncs;
	carry(c, 5, RC_OK, piece);	/* nobody knows what is on the disk: so it is synced */
	EXPECT_INT(piece->len, 0);
	EXPECT_INT(syncs, before + 1);
	carry(c, 5, RC_OK, piece);
	EXPECT_INT(piece->len, 0);
	synced = file_size();
	bring_more(c, 6, 8);
	carry(c, 8, RC_OK, piece);
	EXPECT_INT(piece->len, PIECE_HEAD + file_size() - synced);
	bring_more(c, 9, 9);
	carry(c, 9, RC_OK, piece);
	EXPECT_INT(piece->len, PIECE_HEAD + file_size() - synced);
	EXPECT_INT(syncs, before + 1);
	chainlog_close(c);
	return synced;
}

/* Opens the file, of which there are len bytes of b, and restores it; the number of its last entry then. */
static uint64_t mended(const uint8_t *b, size_t len, struct slice from, bool *told)
{
	OUTBUF piece = { 0 };
	struct chainlog_options o = options(true);
	struct chain_tail tail;
	struct chainlog *c;
	char why[1024];
	uint64_t seen;

	unlink(path);
	INVARIANT(fclose(fopen(path, "w")) == 0);
	append(b, len);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	outbuf_add(&piece, from);
	chainlog_restore(c, &piece, why, sizeof(why));
	*told = *why != 0;
	if (!chainlog_tail(c, &tail, &seen))
		tail.seq = 0;
	chainlog_close(c);
	return tail.seq;
}

static uint8_t *read_all(size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *b;

	*len = file_size();
	b = malloc(*len);
	INVARIANT(f && fread(b, 1, *len, f) == *len);
	fclose(f);
	return b;
}

TEST(what_was_not_on_the_disk_comes_back_from_the_store_wherever_a_power_cut_ends_the_file)
{
	OUTBUF piece = { 0 };
	size_t synced = nine_entries(&piece), len, n;
	uint8_t *b = read_all(&len);
	bool told;

	for (n = synced; n <= len; n++) {
		EXPECT_INT(mended(b, n, outbuf_slice(&piece), &told), 9);
		EXPECT_INT(told, n < len);
		EXPECT_INT(file_size(), len);
		in_order(path, 1, 9);
	}
	free(b);
}

TEST(a_piece_that_does_not_go_on_where_the_file_ends_is_left_alone)
{
	OUTBUF piece = { 0 };
	size_t synced = nine_entries(&piece), len, n;
	uint8_t *b = read_all(&len), *p;
	bool told;

	EXPECT_INT(mended(b, synced - 1, outbuf_slice(&piece), &told), 0);	/* 1 to 5 are one batch */
	EXPECT(!told);
	EXPECT_INT(mended(b, CHAIN_HEADER_LEN, outbuf_slice(&piece), &told), 0);
	EXPECT(!told);
	EXPECT_INT(mended(b, 0, outbuf_slice(&piece), &told), 0);
	EXPECT(!told && file_size() == 0);
	for (n = 0; n < piece.len; n++) {	/* a part of it: whole batches of it */
		uint8_t *part = test_fence(piece.p, n);
		uint64_t last = mended(b, synced, slice_of(part, n), &told);

		test_fence_free(part, n);
		EXPECT(last == 5 || last == 8);
		EXPECT_INT(told, last == 8);
		in_order(path, 1, last);
	}
	p = malloc(piece.len);
	memcpy(p, piece.p, piece.len);
	for (n = 0; n < PIECE_HEAD + 4; n++) {	/* number, initial value, the first frame's length */
		p[n] ^= 1;
		EXPECT_INT(mended(b, synced, slice_of(p, piece.len), &told), 5);
		EXPECT(!told);
		p[n] ^= 1;
	}
	EXPECT(!memmem(p, piece.len, b + synced, 16));	/* nobody reads it without the file */
	b[synced - 4 - CHAIN_MAC_LEN] ^= 1;
	EXPECT_INT(mended(b, synced, slice_of(p, piece.len), &told), 5);
	EXPECT(!told);
	free(p);
	free(b);
}

TEST(after_a_sync_that_failed_nothing_counts_until_one_is_good_and_what_the_kernel_dropped_is_written_again)
{
	struct chainlog *c = fresh(true);
	uint8_t zeros[4096] = { 0 };
	struct chainlog_state st;
	OUTBUF piece = { 0 };
	size_t synced;
	int fd;

	bring_more(c, 1, 5);
	carry(c, 5, RC_OK, &piece);
	synced = file_size();
	bring_more(c, 6, 7);
	reports = 0;
	__atomic_store_n(&sync_fails, 1, __ATOMIC_SEQ_CST);
	EXPECT_INT(chainlog_sync(c, 7), RC_DENIED);
	bring_more(c, 8, 9);		/* it can be written: only changes are refused */
	carry(c, 9, RC_DENIED, &piece);
	EXPECT_INT(chainlog_sync(c, 9), RC_DENIED);
	chainlog_state(c, &st);
	EXPECT(st.failing && st.error == EIO && !chainlog_refuses(c));
	EXPECT_INT(reports, 1);
	fd = open(path, O_WRONLY);
	EXPECT(pwrite(fd, zeros, file_size() - synced, (off_t)synced) == (ssize_t)(file_size() - synced));
	close(fd);
	__atomic_store_n(&sync_fails, 0, __ATOMIC_SEQ_CST);
	carry(c, 9, RC_OK, &piece);
	chainlog_state(c, &st);
	EXPECT(!st.failing);
	EXPECT_INT(reports, 2);
	in_order(path, 1, 9);
	bring_more(c, 10, 10);
	carry(c, 10, RC_OK, &piece);
	EXPECT(piece.len > PIECE_HEAD);
	chainlog_close(c);
}

TEST(so_is_what_the_kernel_dropped_of_a_file_that_was_left_meanwhile)
{
	struct chainlog *c = fresh(true);
	uint8_t zeros[4096] = { 0 };
	OUTBUF piece = { 0 };
	size_t synced, len;
	char old[80];
	int fd;

	bring_more(c, 1, 5);
	carry(c, 5, RC_OK, &piece);
	synced = file_size();
	bring_more(c, 6, 7);
	len = file_size();
	__atomic_store_n(&sync_fails, 1, __ATOMIC_SEQ_CST);
	EXPECT_INT(chainlog_sync(c, 7), RC_DENIED);
	snprintf(old, sizeof(old), "%s.1", path);
	EXPECT(rename(path, old) == 0);
	EXPECT_INT(chainlog_reopen(c), RC_OK);
	bring_more(c, 8, 9);
	carry(c, 9, RC_DENIED, &piece);
	fd = open(old, O_WRONLY);
	EXPECT(pwrite(fd, zeros, len - synced, (off_t)synced) == (ssize_t)(len - synced));
	close(fd);
	__atomic_store_n(&sync_fails, 0, __ATOMIC_SEQ_CST);
	carry(c, 9, RC_OK, &piece);
	in_order(old, 1, 7);
	in_order(path, 8, 9);
	chainlog_close(c);
	unlink(old);
}

TEST(what_is_too_much_for_the_store_waits_for_the_disk_and_without_refuse_nothing_is_carried)
{
	struct chainlog *c = fresh(true);
	OUTBUF piece = { 0 };
	uint64_t seq = 1;
	unsigned before;

	bring_more(c, 1, 1);
	carry(c, 1, RC_OK, &piece);
	while (file_size() < 2 * CHAINLOG_CARRY_MAX) {
		bring_more(c, seq + 1, seq + 100);
		seq += 100;
	}
	before = syncs;
	carry(c, seq, RC_OK, &piece);
	EXPECT(piece.len == 0 && syncs == before + 1);
	chainlog_close(c);
	c = fresh(false);
	bring_more(c, 1, 1);
	carry(c, 1, RC_OK, &piece);
	bring_more(c, 2, 2);
	carry(c, 2, RC_OK, &piece);
	EXPECT(piece.len == 0 && syncs == before + 1);
	chainlog_close(c);
	EXPECT_INT(chainlog_carry(NULL, 7, &piece), RC_OK);
	EXPECT_INT(piece.len, 0);
}

/* Else a power cut can leave an empty file, though nothing was changed since, and that is what a removed one looks like. */
TEST(where_a_new_file_begins_gets_to_the_disk_without_anybody_waiting_for_it)
{
	struct chainlog *c;
	char old[80];
	unsigned i, before, rest;

	for (i = 0; i < 20; i++) {
		c = fresh(true);
		snprintf(old, sizeof(old), "%s.1", path);
		EXPECT_INT(add(c, 1, 1, 2, true), RC_OK);
		EXPECT_INT(chainlog_wait(c, 1, 2), RC_OK);
		before = __atomic_load_n(&syncs, __ATOMIC_SEQ_CST);
		EXPECT(rename(path, old) == 0);
		EXPECT_INT(chainlog_reopen(c), RC_OK);
		for (rest = 60000; __atomic_load_n(&syncs, __ATOMIC_SEQ_CST) < before + 2 && rest; rest--)
			usleep(1000);			/* the new one, then the old one */
		EXPECT(rest && synced_len[before % ARRAY_LEN(synced_len)] == CHAIN_HEADER_LEN);
		chainlog_close(c);
		unlink(path);
		unlink(old);
	}
}

TEST(a_new_file_begins_where_the_old_one_ends)
{
	struct chainlog_options o = options(true);
	struct chainlog *c = fresh(true);
	struct chain_tail tail;
	char old[80], why[1024];
	uint64_t seen;

	EXPECT_INT(chainlog_reopen(c), RC_OK);		/* it is still the same file */
	EXPECT_INT(add(c, 1, 1, 2, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 1, 2), RC_OK);
	snprintf(old, sizeof(old), "%s.1", path);
	EXPECT(rename(path, old) == 0);
	EXPECT_INT(chainlog_reopen(c), RC_OK);
	chainlog_close(c);
	EXPECT_INT(chainlog_open(&o, &c, why, sizeof(why)), RC_OK);
	EXPECT(chainlog_tail(c, &tail, &seen));		/* in the header alone */
	EXPECT_INT(tail.seq, 2);
	start(c, 2, 2);
	EXPECT_INT(add(c, 2, 3, 4, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 2, 4), RC_OK);
	EXPECT(rename(path, old) == 0);
	EXPECT(fclose(fopen(path, "w")) == 0 && truncate(path, 5) == 0);
	EXPECT_INT(chainlog_reopen(c), RC_MACHINE);	/* somebody else's */
	EXPECT_INT(add(c, 2, 5, 5, true), RC_OK);
	EXPECT_INT(chainlog_wait(c, 2, 5), RC_OK);
	in_order(old, 3, 5);
	chainlog_close(c);
	unlink(path);
	unlink(old);
	rmdir(dir);
}
