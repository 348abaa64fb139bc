/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB store; see store.h for what holds and docs/decisions/store-lmdb.md for why.
 *
 * Layout: the main tree has the few small things (marker, head, keyslots, items) beside the root of
 * the tree of records, so that a commit rewrites one path of the records and, most often, one page
 * more. Every call into LMDB goes through guarded(): a file that breaks under us marks the store
 * broken, and a broken store does nothing any more, not even close its environment.
 */
#include "proxy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proxy/store_check.h"
#include "proxy/store_guard.h"

#define FILE_NAME "store.mdb"
#define NEW_NAME "store.mdb.new"	/* a store being made; never opened, removed by the next maker */
#define LOCK_NAME "writer.lock"
#define PROBE_NAME "store.probe"	/* see disk_is_full() */
#define MAX_READERS 254
#define MIN_LIMIT (1u << 20)
#define PROBE_BYTES (1u << 20)
/* A reader killed in the middle keeps pages from being used again until somebody looks. */
#define READER_CHECK_EVERY 256

#define KEY_FORMAT "format"
#define KEY_HEAD "head"
static const uint8_t magic[8] = { 'S', 'V', 'S', 'M', '-', 'K', 'M', 'S' };

struct store {
	char path[PATH_MAX];		/* of store.mdb, or of a copy */
	char dir[PATH_MAX];
	const char *name;		/* of the file in dir */
	int dirfd, lockfd;
	MDB_env *env;
	MDB_dbi main, records;
	bool read_only;
	bool copy;			/* nobody else opens it: no lock file */
	_Atomic bool broken;
	uint64_t limit;
	/* Set: all reading is done in this transaction, by the thread that has the lock. */
	MDB_txn *snap;
	struct store_meta snap_meta;
	pthread_mutex_t snap_lock;
	/* the one transaction */
	MDB_txn *txn;
	pthread_t txn_thread;
	bool txn_open;			/* begun and not yet committed or aborted; txn is NULL once it failed */
	uint64_t txn_bytes;		/* at most so many are being written, roughly */
	uint64_t txn_count;
	uint32_t page_bytes;
	bool stopped;			/* an I/O error: no more writing */
};

struct store_cursor {
	struct store *s;
	MDB_txn *txn;
	MDB_cursor *cur;
	struct store_id at;	/* the one handed out last; before that, where to start */
	bool started;
	bool behind;		/* start behind `at`, not with it */
	uint8_t last;
};

/* ---- errors ---- */

static const struct reason {
	const char *name;
	enum rc rc;
	int exit_code;	/* as in sysexits.h */
	bool fatal;
	const char *what;	/* when the place that fails has nothing better to say */
	const char *todo;
} reasons[STORE_WHY_COUNT] = {
	[STORE_FINE] = { "fine", RC_OK, 0, false, "", "" },
	[STORE_ABSENT] = { "absent", RC_DENIED, 66, true, "there is no store here",
		"Check the directory; a new, empty store is made only when asked for" },
	[STORE_EXISTS] = { "exists", RC_DENIED, 73, false, "there is a store here already",
		"Choose another directory; a store is never overwritten" },
	[STORE_IN_USE] = { "in-use", RC_BUSY, 75, true, "the store is in use",
		"Stop the other process, or use another directory" },
	[STORE_PERMISSIONS] = { "permissions", RC_DENIED, 78, true, "its owner or mode is not as it must be",
		"Run as its owner, and set the directory to mode 0700 and files to 0600 (chmod, chown)" },
	[STORE_NOT_A_STORE] = { "not-a-store", RC_BAD_INPUT, 65, true, "this is not a store of ours",
		"Check the path, or restore a backup" },
	[STORE_NEWER] = { "newer", RC_DENIED, 78, true, "the store was written by a later version",
		"Use that version or a later one; nothing was changed" },
	[STORE_TRUNCATED] = { "truncated", RC_BAD_INPUT, 65, true, "the file is shorter than its content",
		"Check the disk and how the file was copied, then restore a backup; keep this file" },
	[STORE_CORRUPT] = { "corrupt", RC_BAD_INPUT, 65, true, "the file is damaged",
		"Check the disk, then restore a backup; keep this file" },
	[STORE_DISK_FULL] = { "disk-full", RC_NO_ROOM, 73, false, "the disk is full, nothing was changed",
		"Free some space on its file system, or raise the quota, and try again" },
	[STORE_LIMIT] = { "limit", RC_NO_ROOM, 73, false, "a size limit is reached, nothing was changed",
		"Raise the store's size limit and start again, or delete what is not needed" },
	[STORE_READ_ONLY] = { "read-only", RC_DENIED, 77, false, "the store is open for reading only",
		"Open it for writing, on a file system that is mounted for writing" },
	[STORE_IO] = { "io", RC_MACHINE, 74, true, "the disk failed",
		"Stop, look at the kernel's log, mend the disk and start again: the start checks the whole store" },
	[STORE_MEMORY] = { "memory", RC_NO_ROOM, 71, false, "there is not enough memory or address space",
		"Raise the memory limit of the process, or lower the store's size limit" },
	[STORE_TARGET] = { "target", RC_MACHINE, 74, false, "the backup cannot be written",
		"The store itself is well; check the disk or the pipe that the backup goes to" },
	[STORE_BAD_CALL] = { "bad-call", RC_BAD_INPUT, 70, false, "the call is not possible",
		"This is a mistake in the program: please report it" },
};

static const struct {
	int code;
	enum store_why why;
} causes[] = {
	{ MDB_PAGE_NOTFOUND, STORE_CORRUPT }, { MDB_CORRUPTED, STORE_CORRUPT },
	{ MDB_CURSOR_FULL, STORE_CORRUPT }, { MDB_PAGE_FULL, STORE_CORRUPT },
	{ MDB_INCOMPATIBLE, STORE_CORRUPT }, { MDB_PANIC, STORE_IO },
	{ MDB_VERSION_MISMATCH, STORE_NEWER }, { MDB_INVALID, STORE_NOT_A_STORE },
	{ MDB_MAP_FULL, STORE_LIMIT }, { MDB_TXN_FULL, STORE_LIMIT },
	{ MDB_MAP_RESIZED, STORE_LIMIT }, { MDB_READERS_FULL, STORE_IN_USE },
	{ ENOSPC, STORE_DISK_FULL }, { EDQUOT, STORE_DISK_FULL }, { EFBIG, STORE_DISK_FULL },
	{ EACCES, STORE_PERMISSIONS }, { EPERM, STORE_PERMISSIONS }, { EROFS, STORE_READ_ONLY },
	{ ENOMEM, STORE_MEMORY }, { EMFILE, STORE_MEMORY }, { ENFILE, STORE_MEMORY },
	{ EAGAIN, STORE_IN_USE }, { MDB_BAD_TXN, STORE_BAD_CALL }, { MDB_BAD_VALSIZE, STORE_BAD_CALL },
	{ EINVAL, STORE_BAD_CALL },
};

const char *store_why_name(enum store_why why)
{
	return (unsigned)why < STORE_WHY_COUNT ? reasons[why].name : "unknown";
}

static enum store_why why_of(int code)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(causes); i++)
		if (causes[i].code == code)
			return causes[i].why;
	return STORE_IO;
}

/* `what` NULL: the reason's own words. `code`: errno, an LMDB code, or 0. */
static enum rc fail(struct store_error *err, const char *path, enum store_why why, const char *what, int code)
{
	const struct reason *r = &reasons[why];

	if (!err)
		return r->rc;
	err->why = why;
	err->sys = code > 0 ? code : 0;
	err->fatal = r->fatal;
	err->exit_code = r->exit_code;
	snprintf(err->text, sizeof(err->text), "%.512s: %s%s%s%s. %s.", path, what ? what : r->what,
		 code ? " (" : "", code ? mdb_strerror(code) : "", code ? ")" : "", r->todo);
	return r->rc;
}

static enum rc fail_code(struct store_error *err, const char *path, const char *what, int code)
{
	return fail(err, path, why_of(code), what, code);
}

static enum rc fine(struct store_error *err)
{
	if (err)
		*err = (struct store_error){ 0 };
	return RC_OK;
}

/* ---- guarded calls into LMDB ---- */

enum { BROKEN_TRUNCATED = -1, BROKEN_CORRUPT = -2 };

struct call {
	struct store *s;
	MDB_txn *txn;		/* in, or what begin made */
	MDB_cursor *cur;
	MDB_dbi dbi;
	MDB_val key, val;
	unsigned flags;		/* of begin or put; the operation for a cursor */
	struct store_buf *out;
	struct store_cursor *cursor;
	int rc;
};

static enum store_guard_hit run_guarded(struct store *s, void (*fn)(void *), struct call *c)
{
	enum store_guard_hit hit;

	if (!s->snap)
		return store_guard_run(fn, c);
	pthread_mutex_lock(&s->snap_lock);
	hit = store_guard_run(fn, c);
	pthread_mutex_unlock(&s->snap_lock);
	return hit;
}

static int guarded(struct store *s, void (*fn)(void *), struct call *c)
{
	if (s->broken)
		return BROKEN_CORRUPT;
	c->s = s;
	c->rc = 0;
	switch (run_guarded(s, fn, c)) {
	case STORE_GUARD_NONE:
		return c->rc;
	case STORE_GUARD_BUS:
		s->broken = true;
		return BROKEN_TRUNCATED;
	case STORE_GUARD_SEGV:
	case STORE_GUARD_ASSERT:
		break;
	}
	s->broken = true;
	return BROKEN_CORRUPT;
}

static enum rc fail_call(struct store *s, struct store_error *err, int code)
{
	if (code == BROKEN_TRUNCATED)
		return fail(err, s->path, STORE_TRUNCATED,
			    "the file was cut short, or the disk could not read it, while it was in use", 0);
	if (code == BROKEN_CORRUPT)
		return fail(err, s->path, STORE_CORRUPT, "the file was found damaged while it was in use", 0);
	return fail_code(err, s->path, NULL, code);
}

static int buf_set(struct store_buf *b, const void *p, size_t len)
{
	if (b->cap <= len) {
		size_t cap = len < 1024 ? 1024 : len + len / 2;
		uint8_t *q = realloc(b->p, cap);

		if (!q)
			return ENOMEM;
		b->p = q;
		b->cap = cap;
	}
	if (len)
		memcpy(b->p, p, len);
	b->p[len] = 0;
	b->len = len;
	b->found = true;
	return 0;
}

void store_buf_free(struct store_buf *b)
{
	free(b->p);
	*b = (struct store_buf){ 0 };
}

static void do_begin(void *arg)
{
	struct call *c = arg;

	c->rc = mdb_txn_begin(c->s->env, NULL, c->flags, &c->txn);
}

static void do_abort(void *arg)
{
	struct call *c = arg;

	mdb_txn_abort(c->txn);
}

/* For what only reads: the snapshot's transaction, which stays, or a new one. */
static int begin_read(struct call *c)
{
	c->txn = c->s->snap;
	return c->txn ? 0 : mdb_txn_begin(c->s->env, NULL, MDB_RDONLY, &c->txn);
}

static void end_read(struct call *c)
{
	if (c->txn != c->s->snap)
		mdb_txn_abort(c->txn);
}

static void do_commit(void *arg)
{
	struct call *c = arg;

	c->rc = mdb_txn_commit(c->txn);
}

static void do_put(void *arg)
{
	struct call *c = arg;

	c->rc = mdb_put(c->txn, c->dbi, &c->key, &c->val, 0);
}

static void do_del(void *arg)
{
	struct call *c = arg;

	c->rc = mdb_del(c->txn, c->dbi, &c->key, NULL);
	if (c->rc == MDB_NOTFOUND)
		c->rc = 0;
}

static void do_get(void *arg)
{
	struct call *c = arg;

	c->out->found = false;
	c->out->len = 0;
	c->rc = begin_read(c);
	if (c->rc)
		return;
	c->rc = mdb_get(c->txn, c->dbi, &c->key, &c->val);
	if (c->rc == MDB_NOTFOUND)
		c->rc = 0;
	else if (c->rc == 0)
		c->rc = buf_set(c->out, c->val.mv_data, c->val.mv_size);
	end_read(c);
}

static void do_cursor_open(void *arg)
{
	struct call *c = arg;

	c->rc = begin_read(c);
	if (c->rc)
		return;
	c->rc = mdb_cursor_open(c->txn, c->dbi, &c->cur);
	if (c->rc)
		end_read(c);
}

static void do_cursor_close(void *arg)
{
	struct call *c = arg;

	mdb_cursor_close(c->cur);
	end_read(c);
}

static MDB_val val_of(const void *p, size_t len)
{
	return (MDB_val){ .mv_size = len, .mv_data = (void *)(uintptr_t)p };
}

/* ---- names of things in the main tree ---- */

struct main_key {
	uint8_t b[1 + STORE_MAX_NAME];
	size_t len;
};

static struct main_key key_text(const char *text)
{
	struct main_key k = { .len = strlen(text) };

	memcpy(k.b, text, k.len);
	return k;
}

/* Two bytes: no clash with the names above, which are longer, or with items, which begin otherwise. */
static struct main_key key_slot(uint8_t slot)
{
	return (struct main_key){ .b = { 's', slot }, .len = 2 };
}

MUST_CHECK static bool key_item(struct slice name, struct main_key *k)
{
	size_t i;

	if (name.len == 0 || name.len > STORE_MAX_NAME)
		return false;
	k->b[0] = '/';
	for (i = 0; i < name.len; i++) {
		uint8_t c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
		k->b[1 + i] = c;
	}
	k->len = 1 + name.len;
	return true;
}

/* ---- reading ---- */

static enum rc get(struct store *s, MDB_dbi dbi, const void *key, size_t len, struct store_buf *out,
		   struct store_error *err)
{
	struct call c = { .dbi = dbi, .key = val_of(key, len), .out = out };
	int rc = guarded(s, do_get, &c);

	return rc ? fail_call(s, err, rc) : fine(err);
}

enum rc store_get(struct store *s, const struct store_id *id, struct store_buf *out, struct store_error *err)
{
	return get(s, s->records, id->b, sizeof(id->b), out, err);
}

enum rc store_head_get(struct store *s, struct store_buf *out, struct store_error *err)
{
	struct main_key k = key_text(KEY_HEAD);

	return get(s, s->main, k.b, k.len, out, err);
}

enum rc store_keyslot_get(struct store *s, uint8_t slot, struct store_buf *out, struct store_error *err)
{
	struct main_key k = key_slot(slot);

	return get(s, s->main, k.b, k.len, out, err);
}

enum rc store_item_get(struct store *s, struct slice name, struct store_buf *out, struct store_error *err)
{
	struct main_key k;

	if (!key_item(name, &k))
		return fail(err, s->path, STORE_BAD_CALL, "an item's name is not allowed", 0);
	return get(s, s->main, k.b, k.len, out, err);
}

enum rc store_keyslot_list(struct store *s, bool slots[256], struct store_error *err)
{
	struct store_buf b = { 0 };
	enum rc rc = RC_OK;
	int i;

	for (i = 0; i < 256 && rc == RC_OK; i++) {
		rc = store_keyslot_get(s, (uint8_t)i, &b, err);
		slots[i] = b.found;
	}
	store_buf_free(&b);
	return rc;
}

static void do_stat(void *arg)
{
	struct call *c = arg;
	struct store_stat *out = (struct store_stat *)c->val.mv_data;
	MDB_stat st;
	MDB_envinfo info;

	c->rc = begin_read(c);
	if (c->rc)
		return;
	c->rc = mdb_stat(c->txn, c->s->records, &st);
	if (c->rc == 0)
		c->rc = mdb_env_info(c->s->env, &info);
	if (c->rc == 0) {
		out->records = st.ms_entries;
		out->used_bytes = (info.me_last_pgno + 1) * st.ms_psize;
		out->limit_bytes = info.me_mapsize;
		out->txn = mdb_txn_id(c->txn);
	}
	end_read(c);
}

enum rc store_stat(struct store *s, struct store_stat *out, struct store_error *err)
{
	struct call c = { .val = val_of(out, sizeof(*out)) };
	struct statvfs vfs;
	struct stat st;
	int rc;

	*out = (struct store_stat){ 0 };
	rc = guarded(s, do_stat, &c);
	if (rc)
		return fail_call(s, err, rc);
	if (fstatat(s->dirfd, s->name, &st, 0) != 0 || fstatvfs(s->dirfd, &vfs) != 0)
		return fail_code(err, s->path, NULL, errno);
	out->file_bytes = (uint64_t)st.st_size;
	out->disk_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return fine(err);
}

enum rc store_cursor_open(struct store *s, uint8_t first, uint8_t last, const struct store_id *after,
			  struct store_cursor **out, struct store_error *err)
{
	struct call c = { .dbi = s->records };
	struct store_cursor *cur;
	int rc;

	*out = NULL;
	cur = calloc(1, sizeof(*cur));
	if (!cur)
		return fail(err, s->path, STORE_MEMORY, NULL, 0);
	rc = guarded(s, do_cursor_open, &c);
	if (rc) {
		free(cur);
		return fail_call(s, err, rc);
	}
	*cur = (struct store_cursor){ .s = s, .txn = c.txn, .cur = c.cur, .last = last };
	cur->at.b[0] = first;
	if (after && after->b[0] >= first) {
		cur->at = *after;
		cur->behind = true;
	}
	*out = cur;
	return fine(err);
}

/* The next record of the tree, whatever the cursor's range; its id goes to cursor->at. */
static int cursor_step(struct store_cursor *cur, MDB_val *val)
{
	MDB_val key = val_of(cur->at.b, STORE_ID_LEN);
	bool first = !cur->started;
	int rc, order;

	rc = mdb_cursor_get(cur->cur, &key, val, first ? MDB_SET_RANGE : MDB_NEXT);
	cur->started = true;
	if (rc == 0 && key.mv_size != STORE_ID_LEN)
		return MDB_CORRUPTED;
	if (rc)
		return rc;
	order = memcmp(key.mv_data, cur->at.b, STORE_ID_LEN);
	if (first && cur->behind && order == 0)
		return cursor_step(cur, val);
	/* A tree that turns in a circle would never end. */
	if (order < 0 || (order == 0 && !first))
		return MDB_CORRUPTED;
	memcpy(cur->at.b, key.mv_data, STORE_ID_LEN);
	return 0;
}

static void do_cursor_next(void *arg)
{
	struct call *c = arg;

	c->out->found = false;
	c->out->len = 0;
	c->rc = cursor_step(c->cursor, &c->val);
	if (c->rc == 0 && c->cursor->at.b[0] <= c->cursor->last)
		c->rc = buf_set(c->out, c->val.mv_data, c->val.mv_size);
	else if (c->rc == MDB_NOTFOUND)
		c->rc = 0;
}

enum rc store_cursor_next(struct store_cursor *cur, struct store_id *id, struct store_buf *out,
			  struct store_error *err)
{
	struct call c = { .cursor = cur, .out = out };
	int rc = guarded(cur->s, do_cursor_next, &c);

	if (rc) {
		out->found = false;
		return fail_call(cur->s, err, rc);
	}
	*id = cur->at;
	return fine(err);
}

void store_cursor_close(struct store_cursor *cur)
{
	struct call c;

	if (!cur)
		return;
	c = (struct call){ .txn = cur->txn, .cur = cur->cur };
	(void)guarded(cur->s, do_cursor_close, &c);
	free(cur);
}

enum rc store_iterate(struct store *s, const struct store_id *after, store_each_fn *each, void *arg,
		      struct store_error *err)
{
	struct store_cursor *cur;
	struct store_buf b = { 0 };
	struct store_id id;
	enum rc rc;

	rc = store_cursor_open(s, 0, 255, after, &cur, err);
	if (rc != RC_OK)
		return rc;
	do
		rc = store_cursor_next(cur, &id, &b, err);
	while (rc == RC_OK && b.found && each(arg, &id, slice_of(b.p, b.len)));
	store_cursor_close(cur);
	store_buf_free(&b);
	return rc;
}

/* ---- checking ---- */

struct check {
	int fd;
	struct store_meta meta;	/* the state to check, see check_pick() */
	struct store_meta older;
	bool alone;		/* nobody writes meanwhile: the older state can be looked at */
	struct store_check_stat stat;
	struct store_check_report rep;
	enum store_why why;
	int sys;
};

#define HEAD_BYTES (2u * 32768)	/* two pages of the largest size */

/* Finds the meta page of commit *txn, or of the last one when txn is NULL. */
static enum rc check_pick_in(struct check *k, uint8_t *head, uint8_t *again, const uint64_t *txn)
{
	struct store_meta m[2];
	ssize_t n = pread(k->fd, head, HEAD_BYTES, 0), n2 = pread(k->fd, again, HEAD_BYTES, 0);
	size_t i;

	if (n < 0 || n2 < 0) {
		k->why = STORE_IO;
		k->sys = errno;
		return RC_MACHINE;
	}
	k->why = store_check_metas(slice_of(head, (size_t)n), m, &k->rep);
	if (k->why != STORE_FINE)
		return n == n2 && memcmp(head, again, (size_t)n) == 0 ? RC_BAD_INPUT : RC_BUSY;
	for (i = 0; i < 2; i++) {
		size_t off = (m[i].txn & 1) * m[i].page_bytes;

		if (txn && m[i].txn != *txn)
			continue;
		if ((size_t)n2 < off + STORE_META_LEN || memcmp(head + off, again + off, STORE_META_LEN) != 0)
			return RC_BUSY;
		k->meta = m[i];
		k->older = m[1];
		return RC_OK;
	}
	return RC_BUSY;
}

/* RC_BUSY: a running writer got in between; again. Otherwise what is wrong is in k. */
static enum rc check_pick(struct check *k, const uint64_t *txn)
{
	uint8_t *head = malloc(2 * HEAD_BYTES);
	enum rc rc;

	k->why = STORE_MEMORY;
	if (!head)
		return RC_NO_ROOM;
	rc = check_pick_in(k, head, head + HEAD_BYTES, txn);
	free(head);
	return rc;
}

static void do_check_tree(void *arg)
{
	struct check *k = arg;
	struct stat st;
	uint8_t *p;

	k->why = STORE_MEMORY;
	p = fstat(k->fd, &st) == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, k->fd, 0) : MAP_FAILED;
	if (p == MAP_FAILED) {
		k->sys = errno;
		return;
	}
	k->why = store_check_tree(slice_of(p, (size_t)st.st_size), &k->meta, &k->stat, &k->rep);
	if (k->why == STORE_FINE && k->alone)
		k->why = store_check_older(slice_of(p, (size_t)st.st_size), &k->older, &k->rep);
	munmap(p, (size_t)st.st_size);
}

/* Names the file and the page. */
static enum rc fail_check(struct store_error *err, const char *path, const struct check *k)
{
	char what[160];

	if (!k->rep.what)
		return fail(err, path, k->why, NULL, k->sys);
	if (k->rep.page)
		snprintf(what, sizeof(what), "%s (page %llu)", k->rep.what, (unsigned long long)k->rep.page);
	else
		snprintf(what, sizeof(what), "%s", k->rep.what);
	return fail(err, path, k->why, what, k->sys);
}

/* The pages of the state that check_pick() found: nobody changes them, or a read transaction holds them. */
static enum rc check_tree(const char *path, struct check *k, struct store_error *err)
{
	switch (store_guard_run(do_check_tree, k)) {
	case STORE_GUARD_NONE:
		break;
	case STORE_GUARD_BUS:
		return fail(err, path, STORE_TRUNCATED,
			    "the file was cut short, or the disk could not read it, while it was checked", 0);
	case STORE_GUARD_SEGV:
	case STORE_GUARD_ASSERT:
		return fail(err, path, STORE_CORRUPT, NULL, 0);
	}
	return k->why == STORE_FINE ? fine(err) : fail_check(err, path, k);
}

static int open_file(const struct store *s, int more)
{
	return openat(s->dirfd, s->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | more);
}

/* Of the commit that the snapshot holds; its meta page may be gone, its pages are not. */
static enum rc check_snapshot(struct store *s, struct check *k, struct store_error *err)
{
	k->meta = s->snap_meta;
	return check_tree(s->path, k, err);
}

/* Of the last commit. *keep (may be NULL) becomes the transaction that holds it, when all is well. */
static enum rc check_last(struct store *s, struct check *k, MDB_txn **keep, struct store_error *err)
{
	struct call c = { .flags = MDB_RDONLY };
	enum rc rc = RC_BUSY;
	int tries, code;

	/* Two commits between begin and the look at the meta pages hide our state: take a newer one. */
	for (tries = 0; tries < 1000 && rc == RC_BUSY; tries++) {
		uint64_t txn;

		code = guarded(s, do_begin, &c);
		if (code)
			return fail_call(s, err, code);
		txn = mdb_txn_id(c.txn);
		rc = check_pick(k, &txn);
		if (rc == RC_OK)
			rc = check_tree(s->path, k, err);
		else if (rc != RC_BUSY)
			rc = fail_check(err, s->path, k);
		if (rc == RC_OK && keep)
			*keep = c.txn;
		else
			(void)guarded(s, do_abort, &c);
	}
	if (rc == RC_BUSY)
		return fail(err, s->path, STORE_IN_USE, "it changes too fast to be checked", 0);
	return rc;
}

static enum rc check_now(struct store *s, bool alone, MDB_txn **keep, struct store_check_stat *out,
			 struct store_error *err)
{
	struct check k = { .alone = alone };
	enum rc rc;

	k.fd = open_file(s, 0);
	if (k.fd < 0)
		return fail_code(err, s->path, NULL, errno);
	rc = s->snap ? check_snapshot(s, &k, err) : check_last(s, &k, keep, err);
	close(k.fd);
	if (rc == RC_OK && keep)
		s->snap_meta = k.meta;
	if (rc == RC_OK && out)
		*out = k.stat;
	return rc;
}

enum rc store_check(struct store *s, struct store_check_stat *out, struct store_error *err)
{
	return check_now(s, false, NULL, out, err);
}

/* ---- opening ---- */

static bool ours(const struct stat *st)
{
	uid_t me = geteuid();

	return st->st_uid == me || me == 0;
}

static bool private_to_us(const struct stat *st)
{
	return (st->st_mode & 077) == 0 && ours(st);
}

static enum rc make_dir(const char *dir, struct store_error *err)
{
	int fd, up;

	if (mkdir(dir, 0700) != 0)
		return errno == EEXIST ? RC_OK : fail_code(err, dir, "the directory cannot be made", errno);
	/* The new name must be on disk before anything is promised to be in it. */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	up = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up >= 0 && fsync(up) == 0) {
		close(up);
		close(fd);
		return RC_OK;
	}
	if (up >= 0)
		close(up);
	if (fd >= 0)
		close(fd);
	return fail_code(err, dir, "the directory cannot be made durable", errno);
}

static enum rc open_dir(const char *dir, bool create, int *out, struct store_error *err)
{
	struct stat st;
	enum rc rc;

	if (create) {
		rc = make_dir(dir, err);
		if (rc != RC_OK)
			return rc;
	}
	*out = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail(err, dir, STORE_ABSENT, "there is no such directory", 0);
	if (*out < 0 || fstat(*out, &st) != 0)
		return fail_code(err, dir, "the directory cannot be opened", errno);
	/* Others may see what there is (every file is 0600), but not put something else in its place. */
	if ((st.st_mode & 022) != 0 || !ours(&st))
		return fail(err, dir, STORE_PERMISSIONS, "others may write to the directory, or it is not ours", 0);
	return RC_OK;
}

/* The number in the lock file; only ever shown to somebody. */
static unsigned long lock_holder(int fd)
{
	char text[16] = { 0 };
	struct cursor c;
	unsigned long pid = 0;
	uint8_t ch;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	c = cur_of(text, n > 0 ? (size_t)n : 0);
	while (cur_u8(&c, &ch) && ch >= '0' && ch <= '9')
		pid = pid * 10 + ch - '0';
	return pid;
}

/*
 * flock() ends with the process, however it ends. The descriptor closes on exec; a child that does
 * not exec would keep the lock.
 */
static enum rc take_lock(struct store *s, struct store_error *err)
{
	char what[256];
	struct stat st;
	int n;

	s->lockfd = openat(s->dirfd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lockfd < 0 || fstat(s->lockfd, &st) != 0)
		return fail_code(err, s->dir, "the lock file " LOCK_NAME " cannot be opened", errno);
	if (flock(s->lockfd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return fail_code(err, s->dir, "the lock file " LOCK_NAME " cannot be locked", errno);
		snprintf(what, sizeof(what), "process %lu writes to this store and holds its lock file " LOCK_NAME,
			 lock_holder(s->lockfd));
		return fail(err, s->dir, STORE_IN_USE, what, 0);
	}
	n = snprintf(what, sizeof(what), "%ld\n", (long)getpid());
	if (ftruncate(s->lockfd, 0) != 0 || pwrite(s->lockfd, what, (size_t)n, 0) != n)
		return fail_code(err, s->dir, "the lock file " LOCK_NAME " cannot be written", errno ? errno : ENOSPC);
	return RC_OK;
}

static enum rc path_set(char out[PATH_MAX], const char *dir, const char *name, struct store_error *err)
{
	int n = snprintf(out, PATH_MAX, "%s%s%s", dir, name ? "/" : "", name ? name : "");

	if (n < 0 || n >= PATH_MAX)
		return fail(err, dir, STORE_BAD_CALL, "the path is too long", ENAMETOOLONG);
	return RC_OK;
}

/* An environment of its own, without lock file: nobody else knows the name. */
static int write_new(const char *path, uint64_t limit)
{
	uint8_t marker[sizeof(magic) + 4];
	struct sink sink = sink_of(marker, sizeof(marker));
	MDB_val key = val_of(KEY_FORMAT, strlen(KEY_FORMAT)), val = val_of(marker, sizeof(marker));
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;

	sink_put(&sink, magic, sizeof(magic));
	sink_le32(&sink, STORE_FORMAT);
	INVARIANT(sink_ok(&sink));
	rc = mdb_env_create(&env);
	if (rc)
		return rc;
	rc = mdb_env_set_mapsize(env, limit);
	if (!rc)
		rc = mdb_env_set_maxdbs(env, 1);
	if (!rc)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
	if (!rc)
		rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (!rc) {
		rc = mdb_dbi_open(txn, NULL, 0, &dbi);
		if (!rc)
			rc = mdb_put(txn, dbi, &key, &val, 0);
		if (!rc)
			rc = mdb_dbi_open(txn, STORE_RECORDS_DB, MDB_CREATE, &dbi);
		if (!rc)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return rc;
}

/* Gives a finished file its name; whatever stands under that name is durable. */
static int publish(int dirfd, int fd)
{
	if (fsync(fd) != 0 || renameat(dirfd, NEW_NAME, dirfd, FILE_NAME) != 0 || fsync(dirfd) != 0)
		return errno;
	return 0;
}

/* A short write is LMDB's EIO; a new file fails that way only when there is no room. */
static int full_if_io(int rc)
{
	return rc == EIO ? ENOSPC : rc;
}

static enum rc make_store(struct store *s, struct store_error *err)
{
	char path[PATH_MAX];
	enum rc done = path_set(path, s->dir, NEW_NAME, err);
	int rc, fd;

	if (done != RC_OK)
		return done;
	if (unlinkat(s->dirfd, NEW_NAME, 0) != 0 && errno != ENOENT)
		return fail_code(err, path, "an unfinished store is in the way", errno);
	rc = full_if_io(write_new(path, s->limit));
	if (!rc) {
		fd = openat(s->dirfd, NEW_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		rc = fd < 0 ? errno : publish(s->dirfd, fd);
		if (fd >= 0)
			close(fd);
	}
	if (!rc)
		return RC_OK;
	(void)unlinkat(s->dirfd, NEW_NAME, 0);
	return fail_code(err, path, "a new store cannot be written", rc);
}

/*
 * Before LMDB sees the file: it is a regular file of ours, and its meta pages make sense. (LMDB
 * would take an empty file for a new store.)
 */
static enum rc check_before(struct store *s, struct store_error *err)
{
	struct check k = { 0 };
	struct stat st;
	enum rc rc = RC_BUSY;
	int tries;

	k.fd = open_file(s, O_NONBLOCK);
	if (k.fd < 0 && errno == ENOENT)
		return fail(err, s->path, STORE_ABSENT, NULL, 0);
	if (k.fd < 0 || fstat(k.fd, &st) != 0) {
		rc = fail_code(err, s->path, "the file cannot be opened", errno);
	} else if (!S_ISREG(st.st_mode)) {
		rc = fail(err, s->path, STORE_NOT_A_STORE, "this is not a regular file", 0);
	} else if (!s->copy && !private_to_us(&st)) {
		rc = fail(err, s->path, STORE_PERMISSIONS, NULL, 0);
	} else {
		for (tries = 0; tries < 1000 && rc == RC_BUSY; tries++)
			rc = check_pick(&k, NULL);
		if (rc != RC_OK)
			rc = fail_check(err, s->path, &k);
	}
	if (k.fd >= 0)
		close(k.fd);
	return rc;
}

static void on_assert(MDB_env *env, const char *what)
{
	(void)env;
	store_guard_assert(what);
}

static void do_open(void *arg)
{
	struct call *c = arg;
	struct store *s = c->s;
	unsigned flags = (s->read_only ? MDB_RDONLY : 0) | (s->copy ? MDB_NOLOCK : 0);

	c->rc = mdb_env_open(s->env, s->path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
	if (c->rc == 0)
		c->rc = mdb_reader_check(s->env, &(int){ 0 });
}

/* Handles stay valid once the transaction that opened them has been committed; a snapshot's with it. */
static void do_open_trees(void *arg)
{
	struct call *c = arg;
	struct store *s = c->s;

	c->rc = begin_read(c);
	if (c->rc)
		return;
	c->rc = mdb_dbi_open(c->txn, NULL, 0, &s->main);
	if (c->rc == 0)
		c->rc = mdb_dbi_open(c->txn, STORE_RECORDS_DB, 0, &s->records);
	if (c->rc == 0 && !s->snap)
		c->rc = mdb_txn_commit(c->txn);
	else
		end_read(c);
}

static enum rc open_env(struct store *s, struct store_error *err)
{
	struct call c = { 0 };
	int rc = mdb_env_create(&s->env);

	if (!rc)
		rc = mdb_env_set_mapsize(s->env, s->limit);
	if (!rc)
		rc = mdb_env_set_maxdbs(s->env, 1);
	if (!rc)
		rc = mdb_env_set_maxreaders(s->env, MAX_READERS);
	if (!rc)
		rc = mdb_env_set_assert(s->env, on_assert);
	if (!rc)
		rc = guarded(s, do_open, &c);
	return rc ? fail_call(s, err, rc) : RC_OK;
}

static enum rc check_marker(struct store *s, struct store_error *err)
{
	struct store_buf b = { 0 };
	struct cursor c;
	const uint8_t *m;
	uint32_t version;
	enum rc rc = get(s, s->main, KEY_FORMAT, strlen(KEY_FORMAT), &b, err);

	c = cur_of(b.p, b.len);
	if (rc != RC_OK)
		;
	else if (!b.found || !cur_take(&c, sizeof(magic), &m) || memcmp(m, magic, sizeof(magic)) != 0 ||
		 !cur_le32(&c, &version))
		rc = fail(err, s->path, STORE_NOT_A_STORE, NULL, 0);
	else if (version > STORE_FORMAT)
		rc = fail(err, s->path, STORE_NEWER, NULL, 0);
	else if (version != STORE_FORMAT || !cur_end(&c))
		rc = fail(err, s->path, STORE_CORRUPT, "its format marker is damaged", 0);
	store_buf_free(&b);
	return rc;
}

/* The file named by dirfd and name, which need not exist yet when opt->create. */
static enum rc open_file_in(struct store *s, const struct store_options *opt, struct store_error *err)
{
	struct store_check_stat stat;
	struct call c = { 0 };
	MDB_txn *snap = NULL;
	enum rc rc = check_before(s, err);
	int code;

	if (rc == RC_OK)
		rc = open_env(s, err);
	if (rc == RC_OK)
		rc = check_now(s, !s->read_only, opt->snapshot ? &snap : NULL, &stat, err);
	if (rc != RC_OK)
		return rc;
	s->snap = snap;
	s->page_bytes = (uint32_t)stat.page_bytes;
	code = guarded(s, do_open_trees, &c);
	return code ? fail_call(s, err, code) : check_marker(s, err);
}

static enum rc open_in(struct store *s, const struct store_options *opt, struct store_error *err)
{
	enum rc rc = open_dir(s->dir, opt->create, &s->dirfd, err);

	if (rc == RC_OK && !s->read_only)
		rc = take_lock(s, err);
	if (rc == RC_OK && opt->create && faccessat(s->dirfd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		rc = make_store(s, err);
	return rc == RC_OK ? open_file_in(s, opt, err) : rc;
}

static struct store *store_new(const struct store_options *opt)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	store_guard_install();
	pthread_mutex_init(&s->snap_lock, NULL);
	s->dirfd = -1;
	s->lockfd = -1;
	s->read_only = opt->read_only;
	s->limit = opt->limit ? opt->limit : STORE_DEFAULT_LIMIT;
	return s;
}

/* What store_open() and store_open_copy() end with. */
static enum rc opened(struct store *s, enum rc rc, struct store **out, struct store_error *err)
{
	if (rc != RC_OK) {
		store_close(s);
		return rc;
	}
	*out = s;
	return fine(err);
}

enum rc store_open(const char *dir, const struct store_options *opt, struct store **out, struct store_error *err)
{
	struct store *s = store_new(opt);
	enum rc rc;

	*out = NULL;
	if (!s)
		return fail(err, dir, STORE_MEMORY, NULL, 0);
	if (opt->read_only && opt->create)
		rc = fail(err, dir, STORE_BAD_CALL, "a store cannot be made by a reader", 0);
	else if (opt->snapshot && !opt->read_only)
		rc = fail(err, dir, STORE_BAD_CALL, "a writer cannot work on a snapshot", 0);
	else if (s->limit < MIN_LIMIT || s->limit > 1ull << 46)
		rc = fail(err, dir, STORE_BAD_CALL, "the size limit is below 1 MiB or above 64 TiB", 0);
	else
		rc = path_set(s->dir, dir, NULL, err);
	s->limit &= ~4095ull;
	if (rc == RC_OK)
		rc = path_set(s->path, dir, FILE_NAME, err);
	s->name = FILE_NAME;
	if (rc == RC_OK)
		rc = open_in(s, opt, err);
	return opened(s, rc, out, err);
}

enum rc store_open_copy(const char *file, struct store **out, struct store_error *err)
{
	const struct store_options opt = { .read_only = true };
	struct store *s = store_new(&opt);
	const char *slash;
	enum rc rc;

	*out = NULL;
	if (!s)
		return fail(err, file, STORE_MEMORY, NULL, 0);
	s->copy = true;
	rc = path_set(s->path, file, NULL, err);
	slash = strrchr(s->path, '/');
	s->name = slash ? slash + 1 : s->path;
	if (rc == RC_OK) {	/* no longer than the path */
		memcpy(s->dir, slash ? s->path : "./", slash ? (size_t)(s->name - s->path) : 2);
		s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = s->dirfd < 0 ? fail_code(err, file, "its directory cannot be opened", errno) :
			open_file_in(s, &opt, err);
	}
	return opened(s, rc, out, err);
}

static void close_snapshot(struct store *s)
{
	struct call c = { .txn = s->snap };

	s->snap = NULL;
	if (c.txn)
		(void)guarded(s, do_abort, &c);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_txn_abort(s);
	close_snapshot(s);
	/* Broken: locks inside LMDB may be held for ever, so nobody is let in before this process ends. */
	if (s->broken)
		return;
	if (s->env)
		mdb_env_close(s->env);
	if (s->lockfd >= 0)
		close(s->lockfd);
	if (s->dirfd >= 0)
		close(s->dirfd);
	pthread_mutex_destroy(&s->snap_lock);
	free(s);
}

/* ---- writing ---- */

/* Gives back what a failed commit had appended. Readers look at pages up to the last one only. */
static void trim(struct store *s)
{
	MDB_envinfo info;
	struct stat st;
	off_t end;
	int fd;

	if (mdb_env_info(s->env, &info) != 0 || mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
		return;
	end = (off_t)((info.me_last_pgno + 1) * s->page_bytes);
	if (st.st_size > end && ftruncate(fd, end) != 0)
		return;		/* only space is lost */
}

/*
 * LMDB says EIO when the disk fills up in the middle of a write. Find out by writing as much at the
 * same offset of another file: this sees quotas and file-size limits too.
 */
static bool disk_is_full(struct store *s)
{
	static const uint8_t zeros[65536];
	uint64_t left = s->txn_bytes + PROBE_BYTES;
	struct stat st;
	bool full = false;
	off_t at;
	int fd;

	if (fstatat(s->dirfd, FILE_NAME, &st, 0) != 0)
		return false;
	fd = openat(s->dirfd, PROBE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_of(errno) == STORE_DISK_FULL;
	for (at = st.st_size; left && !full; at += sizeof(zeros)) {
		ssize_t n = pwrite(fd, zeros, sizeof(zeros), at);

		full = n < 0 ? why_of(errno) == STORE_DISK_FULL : n < (ssize_t)sizeof(zeros);
		if (n < 0)
			break;
		left -= left < sizeof(zeros) ? left : sizeof(zeros);
	}
	close(fd);
	(void)unlinkat(s->dirfd, PROBE_NAME, 0);
	return full;
}

/* The transaction is over and nothing of it is in the store, or nobody knows and we stop. */
static enum rc write_failed(struct store *s, int code, struct store_error *err)
{
	struct call c = { 0 };
	enum rc rc;
	int again;

	if (s->broken)
		return fail_call(s, err, code);
	trim(s);
	/* After a failed write of the meta page LMDB begins nothing any more. */
	again = guarded(s, do_begin, &c);
	if (again == 0)
		(void)guarded(s, do_abort, &c);
	if (again == MDB_PANIC) {
		s->stopped = true;
		return fail(err, s->path, STORE_IO, "the last commit may or may not be on disk", code);
	}
	if (code == EIO && disk_is_full(s))
		code = ENOSPC;
	rc = fail_call(s, err, code);
	if (why_of(code) == STORE_IO)
		s->stopped = true;
	return rc;
}

static enum rc not_now(struct store *s, struct store_error *err)
{
	if (s->read_only)
		return fail(err, s->path, STORE_READ_ONLY, NULL, 0);
	if (s->stopped)
		return fail(err, s->path, STORE_IO, "an earlier write failed", 0);
	return RC_OK;
}

static void do_begin_write(void *arg)
{
	struct call *c = arg;

	if (++c->s->txn_count % READER_CHECK_EVERY == 0)
		(void)mdb_reader_check(c->s->env, &(int){ 0 });
	c->rc = mdb_txn_begin(c->s->env, NULL, 0, &c->txn);
}

enum rc store_txn_begin(struct store *s, struct store_error *err)
{
	struct call c = { 0 };
	enum rc rc = not_now(s, err);
	int code;

	if (rc != RC_OK)
		return rc;
	if (s->txn_open)
		return fail(err, s->path, STORE_BAD_CALL, "a transaction is open already", 0);
	code = guarded(s, do_begin_write, &c);
	if (code == MDB_PANIC)
		return write_failed(s, code, err);
	if (code)
		return fail_call(s, err, code);
	s->txn = c.txn;
	s->txn_thread = pthread_self();
	s->txn_open = true;
	s->txn_bytes = 0;
	return fine(err);
}

/* What was done so far is dropped at once; the caller learns it from every call until its abort. */
static void txn_drop(struct store *s)
{
	struct call c = { .txn = s->txn };

	INVARIANT(pthread_equal(s->txn_thread, pthread_self()));
	if (s->txn)
		(void)guarded(s, do_abort, &c);
	s->txn = NULL;
}

static enum rc txn_change(struct store *s, void (*fn)(void *), struct call *c, struct store_error *err)
{
	int code;

	if (!s->txn)
		return fail(err, s->path, STORE_BAD_CALL, s->txn_open ? "the transaction has failed already" :
			    "no transaction is open", 0);
	INVARIANT(pthread_equal(s->txn_thread, pthread_self()));
	c->txn = s->txn;
	s->txn_bytes += c->val.mv_size + 8ull * s->page_bytes;
	code = guarded(s, fn, c);
	if (code == 0)
		return fine(err);
	txn_drop(s);
	return write_failed(s, code, err);
}

static enum rc txn_put(struct store *s, MDB_dbi dbi, struct slice key, struct slice value, size_t max,
		       struct store_error *err)
{
	struct call c = { .dbi = dbi, .key = val_of(key.p, key.len), .val = val_of(value.p, value.len) };

	if (value.len > max) {
		if (s->txn_open)
			txn_drop(s);
		return fail(err, s->path, STORE_LIMIT, "a value is longer than such a value may be", 0);
	}
	return txn_change(s, do_put, &c, err);
}

static enum rc txn_del(struct store *s, MDB_dbi dbi, struct slice key, struct store_error *err)
{
	struct call c = { .dbi = dbi, .key = val_of(key.p, key.len) };

	return txn_change(s, do_del, &c, err);
}

enum rc store_txn_put(struct store *s, const struct store_id *id, struct slice value, struct store_error *err)
{
	return txn_put(s, s->records, slice_of(id->b, sizeof(id->b)), value, STORE_MAX_RECORD, err);
}

enum rc store_txn_del(struct store *s, const struct store_id *id, struct store_error *err)
{
	return txn_del(s, s->records, slice_of(id->b, sizeof(id->b)), err);
}

enum rc store_txn_put_head(struct store *s, struct slice value, struct store_error *err)
{
	struct main_key k = key_text(KEY_HEAD);

	return txn_put(s, s->main, slice_of(k.b, k.len), value, STORE_MAX_RECORD, err);
}

enum rc store_txn_put_keyslot(struct store *s, uint8_t slot, struct slice value, struct store_error *err)
{
	struct main_key k = key_slot(slot);

	return txn_put(s, s->main, slice_of(k.b, k.len), value, STORE_MAX_SLOT, err);
}

enum rc store_txn_del_keyslot(struct store *s, uint8_t slot, struct store_error *err)
{
	struct main_key k = key_slot(slot);

	return txn_del(s, s->main, slice_of(k.b, k.len), err);
}

static enum rc bad_item(struct store *s, struct store_error *err)
{
	if (s->txn_open)
		txn_drop(s);
	return fail(err, s->path, STORE_BAD_CALL, "an item's name is not allowed", 0);
}

enum rc store_txn_put_item(struct store *s, struct slice name, struct slice value, struct store_error *err)
{
	struct main_key k;

	if (!key_item(name, &k))
		return bad_item(s, err);
	return txn_put(s, s->main, slice_of(k.b, k.len), value, STORE_MAX_ITEM, err);
}

enum rc store_txn_del_item(struct store *s, struct slice name, struct store_error *err)
{
	struct main_key k;

	if (!key_item(name, &k))
		return bad_item(s, err);
	return txn_del(s, s->main, slice_of(k.b, k.len), err);
}

enum rc store_txn_commit(struct store *s, struct store_error *err)
{
	struct call c = { .txn = s->txn };
	int code;

	if (!s->txn) {
		bool failed = s->txn_open;

		s->txn_open = false;
		return fail(err, s->path, STORE_BAD_CALL, failed ? "the transaction has failed already" :
			    "no transaction is open", 0);
	}
	INVARIANT(pthread_equal(s->txn_thread, pthread_self()));
	s->txn = NULL;
	s->txn_open = false;
	code = guarded(s, do_commit, &c);
	return code ? write_failed(s, code, err) : fine(err);
}

void store_txn_abort(struct store *s)
{
	if (s->txn)
		txn_drop(s);
	s->txn_open = false;
}

enum rc store_keyslot_put(struct store *s, uint8_t slot, struct slice value, struct store_error *err)
{
	enum rc rc = store_txn_begin(s, err);

	if (rc != RC_OK)
		return rc;
	rc = store_txn_put_keyslot(s, slot, value, err);
	if (rc != RC_OK) {
		store_txn_abort(s);
		return rc;
	}
	return store_txn_commit(s, err);
}

/* ---- backup ---- */

static void do_copy(void *arg)
{
	struct call *c = arg;

	c->rc = mdb_env_copyfd2(c->s->env, *(int *)c->val.mv_data, c->flags);
}

static int copy(struct store *s, int fd, unsigned flags)
{
	struct call c = { .flags = flags, .val = val_of(&fd, sizeof(fd)) };

	return guarded(s, do_copy, &c);
}

enum rc store_backup_fd(struct store *s, int fd, struct store_error *err)
{
	int code;

	if (s->snap)
		return fail(err, s->path, STORE_BAD_CALL, "a snapshot cannot be copied", 0);
	code = copy(s, fd, MDB_CP_COMPACT);
	if (!code)
		return fine(err);
	if (s->broken || code == MDB_INCOMPATIBLE)
		return fail_call(s, err, code);
	code = full_if_io(code);
	return fail(err, s->path, why_of(code) == STORE_DISK_FULL ? STORE_DISK_FULL : STORE_TARGET,
		    "the backup cannot be written", code);
}

static enum rc backup_in(struct store *s, int dirfd, const char *dir, struct store_error *err)
{
	struct check k = { 0 };
	enum rc rc;
	int code;

	if (faccessat(dirfd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return fail(err, dir, STORE_EXISTS, NULL, 0);
	(void)unlinkat(dirfd, NEW_NAME, 0);
	k.fd = openat(dirfd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k.fd < 0)
		return fail_code(err, dir, "the backup cannot be written", errno);
	rc = store_backup_fd(s, k.fd, err);
	if (rc == RC_OK && check_pick(&k, NULL) != RC_OK)
		rc = fail_check(err, dir, &k);
	if (rc == RC_OK)
		rc = check_tree(dir, &k, err);
	if (rc == RC_OK) {
		code = publish(dirfd, k.fd);
		if (code)
			rc = fail_code(err, dir, "the backup cannot be made durable", code);
	}
	if (rc != RC_OK)
		(void)unlinkat(dirfd, NEW_NAME, 0);
	close(k.fd);
	return rc;
}

enum rc store_backup_dir(struct store *s, const char *dir, struct store_error *err)
{
	int dirfd = -1;
	enum rc rc = open_dir(dir, true, &dirfd, err);

	if (rc == RC_OK)
		rc = backup_in(s, dirfd, dir, err);
	if (dirfd >= 0)
		close(dirfd);
	if (err && rc != RC_OK && !s->broken)
		err->fatal = false;	/* it is about the copy */
	return rc;
}
