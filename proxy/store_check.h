/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the structure of an LMDB 0.9 file (data version 1, 64-bit little-endian) before LMDB walks
 * it, because LMDB believes every offset it reads: a damaged file would crash it, or, worse, a
 * damaged free list would make it write over live pages.
 *
 * After STORE_FINE: every page reachable from the chosen meta page lies inside the file, is what
 * its place in the tree says, is reachable once and is not listed as free; keys ascend; counts
 * agree. Reads each byte of the image as often as it likes: the caller holds a read transaction, so
 * these pages do not change, and runs it under store_guard_run().
 */
#ifndef PROXY_STORE_CHECK_H
#define PROXY_STORE_CHECK_H

#include "base/base.h"
#include "proxy/store.h"

#define STORE_META_LEN 152	/* bytes of a meta page that mean something */
#define STORE_RECORDS_DB "records"

struct store_tree {
	uint16_t flags, depth;
	uint64_t entries, root;
};

struct store_meta {
	uint64_t txn, last_page;
	uint32_t page_bytes;
	struct store_tree free, main;
};

struct store_check_report {
	const char *what;	/* what is wrong, no punctuation; NULL when nothing */
	uint64_t page;		/* where, 0 when it is not about a page */
};

/*
 * Both meta pages, from the beginning of the file (head, at least 2 pages or all there is) and the
 * file's length. out[0] is the newer. Their numbers must follow each other: otherwise damage could
 * pass for an older state.
 */
enum store_why store_check_metas(struct slice head, struct store_meta out[2], struct store_check_report *rep);

/* All pages of the state that m describes. */
enum store_why store_check_tree(struct slice file, const struct store_meta *m, struct store_check_stat *out,
				struct store_check_report *rep);

/*
 * The state before: is it really older? It is complete as long as nobody writes, but not needed any
 * more, so that damage in it is no error; only a commit number it cannot have is.
 */
enum store_why store_check_older(struct slice file, const struct store_meta *m, struct store_check_report *rep);

#endif
