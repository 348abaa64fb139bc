/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The untrusted store: one directory that keeps sealed bytes and never looks inside them.
 *
 * What is in it: a format marker, keyslots (number -> bytes), the head, records (16-byte id ->
 * bytes) and small named items. One process writes (a lock file says which); others may read beside
 * it. A transaction is all or nothing, and durable when store_txn_commit() returns RC_OK.
 *
 * Trusts: nothing that it reads. The file's structure is checked before LMDB walks it, and what
 * breaks later (a page gone bad, a file cut short under us) comes back as an error, not as a signal.
 * Whether the *content* is genuine is for the service to say: everything here is sealed.
 *
 * Threads: reads and cursors from any thread; transactions from one thread at a time, each finished
 * by the thread that began it. A process opens a directory once. A child made by fork() must exec.
 */
#ifndef PROXY_STORE_H
#define PROXY_STORE_H

#include "base/base.h"

#define STORE_FORMAT 1			/* what the marker says today */
#define STORE_ID_LEN 16
#define STORE_MAX_RECORD (4u << 20)	/* bytes in one record, and in the head */
#define STORE_MAX_SLOT (64u << 10)	/* bytes in one keyslot */
#define STORE_MAX_ITEM (64u << 10)	/* bytes in one named item */
#define STORE_MAX_NAME 64		/* bytes of an item's name: [a-z0-9._-] */
#define STORE_DEFAULT_LIMIT (16ull << 30)

/* Why something failed. Each has its sentence, its remedy and its exit code in one table. */
enum store_why {
	STORE_FINE = 0,
	STORE_ABSENT,		/* no store in that directory */
	STORE_EXISTS,		/* the backup's target holds a store already */
	STORE_IN_USE,		/* another process writes to it; or too many readers */
	STORE_PERMISSIONS,	/* others could read or write it, or we cannot */
	STORE_NOT_A_STORE,	/* the file is something else */
	STORE_NEWER,		/* written by a later version of this program */
	STORE_TRUNCATED,	/* the file ends before its content does */
	STORE_CORRUPT,		/* the file's structure is damaged */
	STORE_DISK_FULL,	/* nothing was changed; usable again once there is room */
	STORE_LIMIT,		/* a stated limit (map size, record size); nothing was changed */
	STORE_READ_ONLY,	/* opened for reading, or on a read-only file system */
	STORE_IO,		/* the disk failed: what is on it is not known any more */
	STORE_MEMORY,		/* no memory or address space */
	STORE_TARGET,		/* a backup's target failed; the store is well */
	STORE_BAD_CALL,		/* the caller's mistake: bad name, bad size, no transaction */
	STORE_WHY_COUNT
};

struct store_error {
	enum store_why why;
	int sys;		/* errno behind it, or 0 */
	bool fatal;		/* stop: this process must not use the store any further */
	int exit_code;		/* what a program that stops because of it should exit with */
	char text[1024];	/* what happened, to which file, what to do; one line, no newline */
};

struct store_options {
	bool create;		/* make directory and store when absent */
	bool read_only;		/* take no writer lock; works beside a running writer */
	/*
	 * With read_only: everything is read from one commit, the last one at the time of opening, until the
	 * store is closed, however much is committed meanwhile. Close it soon: no page that is freed
	 * meanwhile is used again, so the file grows with every commit until then. One read at a time:
	 * threads wait for one another.
	 */
	bool snapshot;
	uint64_t limit;		/* bytes the file may grow to; 0: STORE_DEFAULT_LIMIT */
};

struct store_id {
	uint8_t b[STORE_ID_LEN];
};

/*
 * Bytes read out of the store: a private copy, ended by a zero byte that len does not count. Start
 * from { 0 }, use again as often as you like, free once. `found` is false when there is no such entry.
 */
struct store_buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	bool found;
};

void store_buf_free(struct store_buf *b);

struct store_stat {
	uint64_t records;
	uint64_t file_bytes;	/* size of store.mdb */
	uint64_t used_bytes;	/* pages reachable or listed free, that is, all the file ever needed */
	uint64_t limit_bytes;
	uint64_t disk_free_bytes;	/* for unprivileged users, on the store's file system */
	uint64_t txn;		/* number of the last commit */
};

/* What a structural check saw. */
struct store_check_stat {
	uint64_t txn, records, used_pages, free_pages, page_bytes;
};

struct store;
struct store_cursor;

/*
 * Opens the store in `dir`. On failure *out is NULL. err may be NULL in every call below.
 * Takes the writer lock (unless read_only), checks owner and modes, checks the whole structure.
 */
enum rc store_open(const char *dir, const struct store_options *opt, struct store **out,
		   struct store_error *err);
/*
 * Opens a single file, for reading: a copy made by store_backup_fd(), under any name, that nobody
 * writes to. It is checked like a store, but may have any owner and mode, and nothing is put beside it.
 */
enum rc store_open_copy(const char *file, struct store **out, struct store_error *err);
/* An open transaction is aborted. Close every cursor first. NULL is fine. */
void store_close(struct store *s);

/* Absent entries are RC_OK with out->found == false. */
enum rc store_get(struct store *s, const struct store_id *id, struct store_buf *out,
		  struct store_error *err);
enum rc store_head_get(struct store *s, struct store_buf *out, struct store_error *err);
enum rc store_keyslot_get(struct store *s, uint8_t slot, struct store_buf *out, struct store_error *err);
enum rc store_item_get(struct store *s, struct slice name, struct store_buf *out, struct store_error *err);
/* slots[i] is true when keyslot i is there. */
enum rc store_keyslot_list(struct store *s, bool slots[256], struct store_error *err);
/* Of a snapshot: its records and its commit, but the file as it is now. */
enum rc store_stat(struct store *s, struct store_stat *out, struct store_error *err);
/* Reads every page of the last commit (of a snapshot: of its commit) again; the writer may go on meanwhile. */
enum rc store_check(struct store *s, struct store_check_stat *out, struct store_error *err);

/*
 * A cursor walks, in ascending order, the records of one commit whose id's first byte lies in
 * first..last: several threads load a store by taking a part of 0..255 each. `after` (may be NULL):
 * start behind this id. What commits later is not seen. Close it soon: pages it may still need are
 * not used again meanwhile, and the file grows.
 */
enum rc store_cursor_open(struct store *s, uint8_t first, uint8_t last, const struct store_id *after,
			  struct store_cursor **out, struct store_error *err);
/* out->found == false: no more. */
enum rc store_cursor_next(struct store_cursor *c, struct store_id *id, struct store_buf *out,
			  struct store_error *err);
void store_cursor_close(struct store_cursor *c);

/* Calls `each` for every record after `after` (NULL: all) until it returns false. */
typedef bool store_each_fn(void *arg, const struct store_id *id, struct slice value);
enum rc store_iterate(struct store *s, const struct store_id *after, store_each_fn *each, void *arg,
		      struct store_error *err);

/*
 * Transactions. At most one is open: a second begin is refused. After any failed put or del the
 * transaction can only be aborted; commit refuses and aborts. After a failed commit nothing has
 * changed and the transaction is over, unless err->fatal: then the outcome is unknown until the
 * store is opened again, and the process must stop. abort without a transaction does nothing.
 */
enum rc store_txn_begin(struct store *s, struct store_error *err);
enum rc store_txn_put(struct store *s, const struct store_id *id, struct slice value, struct store_error *err);
/* Deleting what is not there is RC_OK. */
enum rc store_txn_del(struct store *s, const struct store_id *id, struct store_error *err);
enum rc store_txn_put_head(struct store *s, struct slice value, struct store_error *err);
enum rc store_txn_put_keyslot(struct store *s, uint8_t slot, struct slice value, struct store_error *err);
enum rc store_txn_del_keyslot(struct store *s, uint8_t slot, struct store_error *err);
enum rc store_txn_put_item(struct store *s, struct slice name, struct slice value, struct store_error *err);
enum rc store_txn_del_item(struct store *s, struct slice name, struct store_error *err);
enum rc store_txn_commit(struct store *s, struct store_error *err);
void store_txn_abort(struct store *s);

/* begin, put, commit. */
enum rc store_keyslot_put(struct store *s, uint8_t slot, struct slice value, struct store_error *err);

/*
 * A compact copy of the last commit, while the store goes on. To a descriptor (a pipe will do), or
 * as a new store in `dir`, which is created and must not hold one: that copy is checked and synced
 * before it gets its name. Not of a snapshot (STORE_BAD_CALL): the copy would be of a later commit.
 */
enum rc store_backup_fd(struct store *s, int fd, struct store_error *err);
enum rc store_backup_dir(struct store *s, const char *dir, struct store_error *err);

/* Short name of a reason, for logs and metrics: "disk-full". */
const char *store_why_name(enum store_why why);

#endif
