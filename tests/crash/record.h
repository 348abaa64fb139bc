/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records what reaches a store's file: the program that links record.c has its own pwrite(),
 * writev(), fdatasync() and so on, which LMDB's shared library then calls instead of the C
 * library's. From the record, power_cut() builds the file as it might be found after a power cut.
 */
#ifndef TESTS_CRASH_RECORD_H
#define TESTS_CRASH_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind { OP_WRITE, OP_CUT, OP_SYNC, OP_RENAME, OP_DIR_SYNC };

struct op {
	enum op_kind kind;
	bool synced;		/* a write through an O_DSYNC descriptor: durable when it returns */
	uint64_t off;		/* of a write; the new length of a cut */
	size_t len;
	uint8_t *data;
};

struct record {
	struct op op[512];
	size_t count;
	bool overflow;		/* more operations than fit, or one that is not understood */
};

extern struct record record;

/* Forgets what was recorded; from now on records operations on <dir>/store.mdb*, but the lock file. */
void record_start(const char *dir);
void record_stop(void);
/* The n-th operation from now on (1 is the next) kills the process before it happens; 0: never. */
void record_kill_at(const char *dir, unsigned n);

/* A file's content, in memory. */
struct image {
	uint8_t *p;
	size_t len, cap;
};

void image_free(struct image *im);
void image_copy(struct image *to, const struct image *from);

#define SECTOR 512u

/*
 * Sectors of the first `issued` recorded operations that are not certain to be on disk, when the
 * last of them had not returned yet (unless `returned`). Fills `durable` with what is certain.
 */
size_t power_cut_pending(const struct image *before, size_t issued, bool returned, struct image *durable);
/*
 * Adds to `im` (a copy of `durable`) those pending sectors i for which reached(arg, i) says so; with
 * `grown`, the file has its new length even where the bytes did not arrive.
 */
void power_cut(struct image *im, size_t issued, bool returned, bool grown, bool (*reached)(void *, size_t),
	       void *arg);

#endif
