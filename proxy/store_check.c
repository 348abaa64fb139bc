/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See store_check.h. The file's format, as far as a store of ours uses it (no duplicates, no fixed
 * map), all integers little-endian:
 *
 *   page   := number:u64 pad:u16 kind:u16 (lower:u16 upper:u16 | count:u32) ...
 *   meta   := page magic:u32 version:u32 address:u64 mapsize:u64 free:tree main:tree last_page:u64 txn:u64
 *   tree   := pad:u32 flags:u16 depth:u16 branches:u64 leaves:u64 overflows:u64 entries:u64 root:u64
 *   branch, leaf := page node_offset:u16[(lower - 16) / 2] ... nodes from upper to the end
 *   node   := lo:u16 hi:u16 flags:u16 key_len:u16 key data, rounded up to even
 *
 * In a leaf lo|hi is the length of the data, which stands in pages of its own when the node is
 * marked BIG; in a branch lo|hi|flags is the number of the page below.
 */
#include "proxy/store_check.h"

#include <stdlib.h>

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1
#define PAGE_HEADER 16
#define NODE_HEADER 8
#define MIN_PAGE 512u
#define MAX_PAGE 32768u
#define MAX_DEPTH 32
#define MAX_KEY 511
#define NO_PAGE UINT64_MAX
#define OUT_OF_ORDER "the numbers of the last two commits do not follow each other"
/* Pages at the end that were freed in the commit that made them are never written. */
#define MAX_UNWRITTEN (1u << 20)

enum { KIND_BRANCH = 1, KIND_LEAF = 2, KIND_OVERFLOW = 4, KIND_META = 8 };
enum { NODE_BIG = 1, NODE_TREE = 2 };
enum { TREE_INTEGER_KEYS = 8, TREE_KEY_FLAGS = 0x7f, TREE_LEN = 48 };

struct walk;

/* One tree: what is special about its keys and values. */
struct kind {
	bool integer_keys;
	uint16_t min_branch;	/* children of a branch page */
	uint16_t node_flags;	/* allowed in leaves */
	bool (*value)(struct walk *w, struct slice key, struct slice data, uint16_t flags);
};

struct walk {
	struct slice file;
	uint32_t page_bytes;
	uint64_t page_count;	/* last page + 1 */
	uint64_t txn;
	uint8_t *seen;		/* a bit for each page */
	uint64_t used, free;
	struct store_tree records;
	bool have_records;
	uint64_t last_free;	/* highest commit in the free list */
	/* the tree being walked */
	const struct kind *kind;
	uint64_t entries;
	unsigned depth;
	uint8_t taken[MAX_PAGE / 2];	/* of one page, a byte for every two */
	/* what went wrong */
	enum store_why why;
	struct store_check_report rep;
};

/* lo <= key < hi; p == NULL: no bound */
struct bounds {
	struct slice lo, hi;
};

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static bool bad(struct walk *w, enum store_why why, uint64_t page, const char *what)
{
	if (w->why == STORE_FINE) {
		w->why = why;
		w->rep = (struct store_check_report){ .what = what, .page = page };
	}
	return false;
}

static bool corrupt(struct walk *w, uint64_t page, const char *what)
{
	return bad(w, STORE_CORRUPT, page, what);
}

static struct store_tree tree_at(const uint8_t *p)
{
	return (struct store_tree){
		.flags = le16(p + 4),
		.depth = le16(p + 6),
		.entries = le64(p + 32),
		.root = le64(p + 40),
	};
}

/* Marks pages page..page+n-1; each may be marked once. */
static bool claim(struct walk *w, uint64_t page, uint64_t n)
{
	uint64_t end, i;

	if (page < 2 || __builtin_add_overflow(page, n, &end) || end > w->page_count)
		return corrupt(w, page, "a page number lies outside the file");
	for (i = page; i < end; i++) {
		uint8_t bit = (uint8_t)(1u << (i & 7));

		if (w->seen[i >> 3] & bit)
			return corrupt(w, i, "a page is used twice");
		w->seen[i >> 3] |= bit;
	}
	return true;
}

/* The same, and the pages must really be there. */
static bool claim_used(struct walk *w, uint64_t page, uint64_t n)
{
	if (!claim(w, page, n))
		return false;
	if (page + n > w->file.len / w->page_bytes)
		return bad(w, STORE_TRUNCATED, page, "a page in use lies behind the end of the file");
	w->used += n;
	return true;
}

static const uint8_t *page_at(const struct walk *w, uint64_t page)
{
	return w->file.p + page * w->page_bytes;
}

static int key_cmp(const struct kind *k, struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c;

	if (k->integer_keys) {
		uint64_t x = le64(a.p), y = le64(b.p);

		return x < y ? -1 : x > y;
	}
	c = memcmp(a.p, b.p, n);
	return c ? c : (a.len < b.len ? -1 : a.len > b.len);
}

static bool key_fits(struct walk *w, uint64_t page, struct slice key, struct slice prev, struct bounds in)
{
	if (key.len == 0 || key.len > MAX_KEY || (w->kind->integer_keys && key.len != 8))
		return corrupt(w, page, "a key has an impossible length");
	if (prev.p && key_cmp(w->kind, prev, key) >= 0)
		return corrupt(w, page, "keys are out of order");
	if ((in.lo.p && key_cmp(w->kind, key, in.lo) < 0) || (in.hi.p && key_cmp(w->kind, key, in.hi) >= 0))
		return corrupt(w, page, "a key is in the wrong page");
	return true;
}

/* Nodes fill the page from `upper` to its end, without gap or overlap. */
static bool nodes_fit(struct walk *w, uint64_t no, uint16_t kind, uint16_t *count)
{
	const uint8_t *p = page_at(w, no);
	uint32_t lower = le16(p + 12), upper = le16(p + 14), i, sum = 0;

	memset(w->taken, 0, w->page_bytes / 2);
	if (lower < PAGE_HEADER || lower % 2 || upper % 2 || lower > upper || upper > w->page_bytes)
		return corrupt(w, no, "a page's bounds are impossible");
	*count = (uint16_t)((lower - PAGE_HEADER) / 2);
	for (i = 0; i < *count; i++) {
		uint32_t off = le16(p + PAGE_HEADER + 2 * i), len = NODE_HEADER, data;

		if (off < upper || off % 2 || off > w->page_bytes - NODE_HEADER)
			return corrupt(w, no, "an entry lies outside its page");
		len += le16(p + off + 6);
		if (kind == KIND_LEAF) {
			data = (uint32_t)le16(p + off) | (uint32_t)le16(p + off + 2) << 16;
			if (le16(p + off + 4) & NODE_BIG)
				data = 8;
			if (data > w->page_bytes)
				return corrupt(w, no, "an entry is longer than its page");
			len += data;
		}
		len += len & 1;
		if (len > w->page_bytes - off)
			return corrupt(w, no, "an entry is longer than its page");
		if (memchr(w->taken + off / 2, 1, len / 2))
			return corrupt(w, no, "entries overlap");
		memset(w->taken + off / 2, 1, len / 2);
		sum += len;
	}
	if (sum != w->page_bytes - upper)
		return corrupt(w, no, "a page has gaps between its entries");
	return true;
}

/* Where a leaf node's data is; big data has pages of its own. */
static bool leaf_data(struct walk *w, uint64_t no, const uint8_t *node, struct slice *data)
{
	uint32_t len = (uint32_t)le16(node) | (uint32_t)le16(node + 2) << 16;
	uint32_t room = (((w->page_bytes - PAGE_HEADER) / 2) & ~1u) - 2;
	uint16_t flags = le16(node + 4), key_len = le16(node + 6);
	uint64_t at, count, need = ((uint64_t)len + PAGE_HEADER - 1) / w->page_bytes + 1;
	const uint8_t *p;

	*data = slice_of(node + NODE_HEADER + key_len, len);
	if (flags & ~(w->kind->node_flags | NODE_BIG))
		return corrupt(w, no, "an entry is of an unknown kind");
	if (!(flags & NODE_BIG)) {
		if (NODE_HEADER + key_len + len > room)
			return corrupt(w, no, "an entry is longer than an entry can be");
		return true;
	}
	at = le64(data->p);
	if (!claim_used(w, at, 1))
		return false;
	p = page_at(w, at);
	count = le32(p + 12);
	if (le64(p) != at || le16(p + 10) != KIND_OVERFLOW || count < need)
		return corrupt(w, at, "a long entry's page is something else");
	if (count > 1 && !claim_used(w, at + 1, count - 1))
		return false;
	*data = slice_of(p + PAGE_HEADER, len);
	return true;
}

static bool walk_leaf(struct walk *w, uint64_t no, uint16_t count, struct bounds in)
{
	const uint8_t *p = page_at(w, no);
	struct slice prev = { 0 }, key, data;
	uint16_t i;

	if (count == 0)
		return corrupt(w, no, "a page is empty");
	for (i = 0; i < count; i++) {
		const uint8_t *node = p + le16(p + PAGE_HEADER + 2 * i);

		key = slice_of(node + NODE_HEADER, le16(node + 6));
		if (!key_fits(w, no, key, prev, in) || !leaf_data(w, no, node, &data) ||
		    !w->kind->value(w, key, data, le16(node + 4)))
			return corrupt(w, no, "an entry is not what its key says");
		prev = key;
		w->entries++;
	}
	return true;
}

static bool walk_page(struct walk *w, uint64_t no, unsigned level, struct bounds in);

static bool walk_branch(struct walk *w, uint64_t no, uint16_t count, unsigned level, struct bounds in)
{
	const uint8_t *p = page_at(w, no);
	struct slice prev = { 0 };
	uint16_t i;

	if (count < w->kind->min_branch)
		return corrupt(w, no, "a branch has too few children");
	for (i = 0; i < count; i++) {
		const uint8_t *node = p + le16(p + PAGE_HEADER + 2 * i);
		uint64_t below = (uint64_t)le16(node) | (uint64_t)le16(node + 2) << 16 |
				 (uint64_t)le16(node + 4) << 32;
		struct bounds part = { .lo = i ? slice_of(node + NODE_HEADER, le16(node + 6)) : in.lo, .hi = in.hi };

		/* The first key stands for "everything before the second" and is not looked at. */
		if (i && !key_fits(w, no, part.lo, prev, in))
			return false;
		if (i)
			prev = part.lo;
		if (i + 1 < count) {
			const uint8_t *next = p + le16(p + PAGE_HEADER + 2 * (i + 1));

			part.hi = slice_of(next + NODE_HEADER, le16(next + 6));
			if (!key_fits(w, no, part.hi, prev, in))
				return false;
		}
		if (!walk_page(w, below, level + 1, part))
			return false;
	}
	return true;
}

static bool walk_page(struct walk *w, uint64_t no, unsigned level, struct bounds in)
{
	uint16_t kind = level < w->depth ? KIND_BRANCH : KIND_LEAF, count;
	const uint8_t *p;

	if (!claim_used(w, no, 1))
		return false;
	p = page_at(w, no);
	if (le64(p) != no)
		return corrupt(w, no, "a page carries another page's number");
	if (le16(p + 10) != kind)
		return corrupt(w, no, "a page is of the wrong kind");
	if (!nodes_fit(w, no, kind, &count))
		return false;
	if (kind == KIND_LEAF)
		return walk_leaf(w, no, count, in);
	return walk_branch(w, no, count, level, in);
}

static bool walk_tree(struct walk *w, const struct store_tree *t, const struct kind *kind)
{
	w->kind = kind;
	w->entries = 0;
	w->depth = t->depth;
	if ((t->flags & TREE_KEY_FLAGS) != (kind->integer_keys ? TREE_INTEGER_KEYS : 0))
		return corrupt(w, 0, "a tree is of the wrong kind");
	if (t->root == NO_PAGE)
		return t->entries == 0 && t->depth == 0 ? true :
			corrupt(w, 0, "an empty tree claims to have entries");
	if (t->depth == 0 || t->depth > MAX_DEPTH)
		return corrupt(w, 0, "a tree has an impossible depth");
	if (!walk_page(w, t->root, 1, (struct bounds){ 0 }))
		return false;
	if (w->entries != t->entries)
		return corrupt(w, t->root, "a tree does not have as many entries as it says");
	return true;
}

/* key := txn:u64; data := count:u64 page:u64[count], highest first */
static bool free_value(struct walk *w, struct slice key, struct slice data, uint16_t flags)
{
	uint64_t count, prev = NO_PAGE, i, page;

	(void)flags;
	w->last_free = le64(key.p);
	if (w->last_free == 0 || w->last_free > w->txn || data.len < 8)
		return corrupt(w, 0, "an entry of the free list is impossible");
	count = le64(data.p);
	if (count > data.len / 8 - 1)
		return corrupt(w, 0, "an entry of the free list is longer than its data");
	for (i = 1; i <= count; i++) {
		page = le64(data.p + 8 * i);
		if (page >= prev)
			return corrupt(w, page, "the free list is out of order");
		if (!claim(w, page, 1))
			return false;
		prev = page;
	}
	w->free += count;
	return true;
}

static bool main_value(struct walk *w, struct slice key, struct slice data, uint16_t flags)
{
	bool tree = flags & NODE_TREE;

	if (tree != slice_is(key, STORE_RECORDS_DB))
		return false;
	if (!tree)
		return true;
	if (data.len != TREE_LEN || (flags & NODE_BIG) || le32(data.p) != 0)
		return false;
	w->records = tree_at(data.p);
	w->have_records = true;
	return true;
}

static bool record_value(struct walk *w, struct slice key, struct slice data, uint16_t flags)
{
	(void)flags;
	(void)w;
	return key.len == STORE_ID_LEN && data.len <= STORE_MAX_RECORD;
}

static const struct kind free_kind = { true, 1, 0, free_value };
static const struct kind main_kind = { false, 2, NODE_TREE, main_value };
static const struct kind record_kind = { false, 2, 0, record_value };

/*
 * A commit replaces at least the root of the main tree, so it lists a page as free under its own
 * number. Only the first commit of a file replaces nothing. This ties the number to the state: a
 * flipped bit could make two neighbours change places.
 */
static bool number_is_true(struct walk *w)
{
	if (w->txn >= 2 && w->last_free != w->txn)
		return corrupt(w, 0, OUT_OF_ORDER);
	return true;
}

/*
 * Pages behind the end of the file were freed in the commit that made them, so the free list has
 * them. Others mean that the number of the last page is wrong.
 */
static bool tail_is_free(struct walk *w)
{
	uint64_t i;

	for (i = w->file.len / w->page_bytes; i < w->page_count; i++)
		if (!(w->seen[i >> 3] & 1u << (i & 7)))
			return bad(w, STORE_TRUNCATED, i, "the file ends before its last page");
	return true;
}

enum store_why store_check_tree(struct slice file, const struct store_meta *m, struct store_check_stat *out,
				struct store_check_report *rep)
{
	struct walk w = { .file = file, .page_bytes = m->page_bytes, .page_count = m->last_page + 1,
			  .txn = m->txn };

	*rep = (struct store_check_report){ 0 };
	if (m->last_page > file.len / m->page_bytes + MAX_UNWRITTEN) {
		/* Not proof of a cut, but the tree below would only say the same page by page. */
		rep->what = "the file is much shorter than its first page says";
		return STORE_TRUNCATED;
	}
	w.seen = calloc(1, w.page_count / 8 + 1);
	if (!w.seen)
		return STORE_MEMORY;
	if (walk_tree(&w, &m->main, &main_kind) && !w.have_records)
		(void)bad(&w, STORE_NOT_A_STORE, 0, "it has no tree of records");
	if (w.why == STORE_FINE && walk_tree(&w, &w.records, &record_kind)) {
		*out = (struct store_check_stat){ .txn = m->txn, .records = w.entries,
						  .page_bytes = m->page_bytes };
		if (walk_tree(&w, &m->free, &free_kind) && number_is_true(&w))
			(void)tail_is_free(&w);
	}
	free(w.seen);
	if (w.why != STORE_FINE) {
		*rep = w.rep;
		return w.why;
	}
	out->used_pages = w.used;
	out->free_pages = w.free;
	return STORE_FINE;
}

enum store_why store_check_older(struct slice file, const struct store_meta *m, struct store_check_report *rep)
{
	struct walk w = { .file = file, .page_bytes = m->page_bytes, .page_count = m->last_page + 1,
			  .txn = UINT64_MAX };

	*rep = (struct store_check_report){ 0 };
	if (m->last_page > file.len / m->page_bytes + MAX_UNWRITTEN)
		return STORE_FINE;
	w.seen = calloc(1, w.page_count / 8 + 1);
	if (!w.seen)
		return STORE_MEMORY;
	(void)walk_tree(&w, &m->free, &free_kind);
	free(w.seen);
	if (w.why != STORE_FINE || w.last_free <= m->txn)
		return STORE_FINE;
	rep->what = OUT_OF_ORDER;
	return STORE_CORRUPT;
}

static enum store_why meta_at(struct slice head, uint64_t off, struct store_meta *m, const char **what)
{
	const uint8_t *p;

	if (off > head.len || head.len - off < STORE_META_LEN) {
		*what = "the file ends within its first pages";
		return STORE_TRUNCATED;
	}
	p = head.p + off;
	if (le16(p + 10) != KIND_META || le32(p + 16) != META_MAGIC) {
		*what = off ? "the second page is damaged" : "the first page is damaged";
		return off ? STORE_CORRUPT : STORE_NOT_A_STORE;
	}
	if (le32(p + 20) != META_VERSION) {
		*what = "it is in another LMDB format";
		return STORE_NEWER;
	}
	*m = (struct store_meta){
		.page_bytes = le32(p + 40),
		.free = tree_at(p + 40),
		.main = tree_at(p + 88),
		.last_page = le64(p + 136),
		.txn = le64(p + 144),
	};
	if (le64(p) != (off != 0) || le64(p + 24) != 0 || le32(p + 88) != 0) {
		*what = off ? "the second page is damaged" : "the first page is damaged";
		return STORE_CORRUPT;
	}
	return STORE_FINE;
}

/* A number that no file of ours can reach is damage, and would overflow what is computed from it. */
static bool meta_sane(const struct store_meta *m, uint32_t page_bytes)
{
	return m->page_bytes == page_bytes && page_bytes >= MIN_PAGE && page_bytes <= MAX_PAGE &&
	       (page_bytes & (page_bytes - 1)) == 0 && m->last_page >= 1 && m->last_page < (1ull << 40) &&
	       m->txn < (1ull << 62);
}

enum store_why store_check_metas(struct slice head, struct store_meta out[2], struct store_check_report *rep)
{
	struct store_meta m[2];
	enum store_why why;
	int newer;

	*rep = (struct store_check_report){ 0 };
	if (head.len == 0) {
		rep->what = "the file is empty";
		return STORE_TRUNCATED;
	}
	why = meta_at(head, 0, &m[0], &rep->what);
	if (why != STORE_FINE)
		return why;
	rep->what = "the first page is damaged";
	if (!meta_sane(&m[0], m[0].page_bytes))
		return STORE_CORRUPT;
	why = meta_at(head, m[0].page_bytes, &m[1], &rep->what);
	if (why != STORE_FINE)
		return why;
	rep->what = "the second page is damaged";
	if (!meta_sane(&m[1], m[0].page_bytes))
		return STORE_CORRUPT;
	newer = m[1].txn > m[0].txn;
	rep->what = OUT_OF_ORDER;
	if (m[newer].txn != 0 && (m[newer].txn != m[!newer].txn + 1 || (m[newer].txn & 1) != (uint64_t)newer))
		return STORE_CORRUPT;
	rep->what = NULL;
	out[0] = m[newer];
	out[1] = m[!newer];
	return STORE_FINE;
}
