/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store costs: store_bench DIR [RECORDS]. DIR should be on the disk in question; it must
 * not exist and is left behind for a look (remove it afterwards). Prints a table; no test.
 *
 * First LMDB alone under several flags, then the store itself: durable commits of 1, 16 and 64
 * records of 300 bytes, loading RECORDS (default 1 000 000) at once, opening with the full check,
 * reading everything with one and two threads, single reads, commits into the large store.
 */
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/store.h"

#define RECORD 300

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t state = 88172645463325252ull;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static struct store_id random_id(void)
{
	uint64_t v[2] = { rnd(), rnd() };
	struct store_id id;

	memcpy(id.b, v, sizeof(id.b));
	return id;
}

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_commits(const char *name, double *us, unsigned n, unsigned records)
{
	double sum = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		sum += us[i];
	qsort(us, n, sizeof(*us), by_value);
	printf("%-34s %3u per commit: %7.0f us median, %7.0f us p99, %8.0f records/s\n", name, records, us[n / 2],
	       us[n * 99 / 100], records * n / (sum / 1e6));
	fflush(stdout);
}

#define COMMITS 400

/* ---- LMDB alone ---- */

static const struct {
	const char *name;
	unsigned flags;
} modes[] = {
	{ "LMDB default", 0 },
	{ "LMDB NOMEMINIT", MDB_NOMEMINIT },
	{ "LMDB WRITEMAP", MDB_WRITEMAP },
	{ "LMDB NOMETASYNC (may lose the last)", MDB_NOMETASYNC },
	{ "LMDB NOSYNC (may lose everything)", MDB_NOSYNC },
};

static void raw_commits(MDB_env *env, MDB_dbi dbi, const char *name, unsigned records)
{
	static double us[COMMITS];
	uint8_t value[RECORD] = { 1 };
	unsigned i, k;

	for (i = 0; i < COMMITS; i++) {
		double from = now();
		MDB_txn *txn;

		if (mdb_txn_begin(env, NULL, 0, &txn))
			die("begin");
		for (k = 0; k < records; k++) {
			struct store_id id = random_id();
			MDB_val key = { sizeof(id.b), id.b }, val = { sizeof(value), value };

			if (mdb_put(txn, dbi, &key, &val, 0))
				die("put");
		}
		if (mdb_txn_commit(txn))
			die("commit");
		us[i] = (now() - from) * 1e6;
	}
	print_commits(name, us, COMMITS, records);
}

static void raw(const char *dir, size_t m)
{
	static const unsigned records[] = { 1, 16, 64 };
	char path[4200];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	size_t i;

	snprintf(path, sizeof(path), "%s/raw%zu.mdb", dir, m);
	if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 1ull << 30) ||
	    mdb_env_open(env, path, MDB_NOSUBDIR | modes[m].flags, 0600) || mdb_txn_begin(env, NULL, 0, &txn) ||
	    mdb_dbi_open(txn, NULL, 0, &dbi) || mdb_txn_commit(txn))
		die("open");
	for (i = 0; i < ARRAY_LEN(records); i++)
		raw_commits(env, dbi, modes[m].name, records[i]);
	mdb_env_close(env);
}

/* ---- the store ---- */

static void check(enum rc rc, const struct store_error *e)
{
	if (rc != RC_OK)
		die(e->text);
}

static void put_some(struct store *s, unsigned n)
{
	uint8_t value[RECORD] = { 2 };
	struct store_error e;

	check(store_txn_begin(s, &e), &e);
	while (n--) {
		struct store_id id = random_id();

		check(store_txn_put(s, &id, slice_of(value, sizeof(value)), &e), &e);
	}
	check(store_txn_put_head(s, slice_of(value, 200), &e), &e);
	check(store_txn_commit(s, &e), &e);
}

static void commits(struct store *s, const char *name)
{
	static const unsigned records[] = { 1, 16, 64 };
	static double us[COMMITS];
	unsigned i, r;

	for (r = 0; r < ARRAY_LEN(records); r++) {
		for (i = 0; i < COMMITS; i++) {
			double from = now();

			put_some(s, records[r]);
			us[i] = (now() - from) * 1e6;
		}
		print_commits(name, us, COMMITS, records[r]);
	}
}

struct part {
	struct store *s;
	uint8_t first, last;
	uint64_t count;
};

static void *read_part(void *arg)
{
	struct part *p = arg;
	struct store_cursor *c;
	struct store_buf b = { 0 };
	struct store_error e;
	struct store_id id;

	check(store_cursor_open(p->s, p->first, p->last, NULL, &c, &e), &e);
	for (;;) {
		check(store_cursor_next(c, &id, &b, &e), &e);
		if (!b.found)
			break;
		p->count++;
	}
	store_cursor_close(c);
	store_buf_free(&b);
	return NULL;
}

static void read_all(struct store *s, unsigned threads)
{
	struct part part[8] = { 0 };
	pthread_t t[8];
	double from = now();
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < threads; i++) {
		part[i] = (struct part){ .s = s, .first = (uint8_t)(256 * i / threads),
					 .last = (uint8_t)(256 * (i + 1) / threads - 1) };
		if (pthread_create(&t[i], NULL, read_part, &part[i]))
			die("thread");
	}
	for (i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		n += part[i].count;
	}
	printf("read all, %u thread(s): %.0f ms, %.2f million records/s\n", threads, (now() - from) * 1e3,
	       (double)n / (now() - from) / 1e6);
}

static struct store *open_timed(const char *dir, bool create)
{
	struct store_options opt = { .create = create };
	struct store_error e;
	struct store *s;
	double from = now();

	check(store_open(dir, &opt, &s, &e), &e);
	printf("open: %.1f ms\n", (now() - from) * 1e3);
	return s;
}

static void whole_store(const char *dir, uint64_t count)
{
	struct store_buf b = { 0 };
	struct store_error e;
	struct store_stat st;
	struct store *s = open_timed(dir, true);
	uint64_t i, loaded_from;
	double from;

	commits(s, "store, small");
	loaded_from = state;
	from = now();
	for (i = 0; i < count; i += 10000)
		put_some(s, 10000);
	printf("load %llu records, 10000 per commit: %.1f s\n", (unsigned long long)count, now() - from);
	store_close(s);
	s = open_timed(dir, false);
	check(store_stat(s, &st, &e), &e);
	printf("%llu records, %.0f bytes each in the file\n", (unsigned long long)st.records,
	       (double)st.file_bytes / (double)st.records);
	read_all(s, 1);
	read_all(s, 2);
	from = now();
	state = loaded_from;	/* the same ids again, in the order they were put */
	for (i = 0; i < count / 5; i++) {
		struct store_id id = random_id();

		check(store_get(s, &id, &b, &e), &e);
		if (!b.found)
			die("a record is missing");
	}
	printf("single reads: %.0f per second\n", (double)i / (now() - from));
	commits(s, "store, large");
	store_buf_free(&b);
	store_close(s);
}

int main(int argc, char **argv)
{
	char path[4200];
	size_t m;

	if (argc < 2 || mkdir(argv[1], 0700) != 0)
		die("usage: store_bench NEW-DIRECTORY [RECORDS]");
	for (m = 0; m < ARRAY_LEN(modes); m++)
		raw(argv[1], m);
	snprintf(path, sizeof(path), "%s/store", argv[1]);
	whole_store(path, argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000);
	return 0;
}
