/* SPDX-License-Identifier: Apache-2.0 */
/* See chain_check.h. */
#include "client/chain_check.h"

enum rc chain_check_init(struct chain_check *c)
{
	memset(c, 0, sizeof(*c));
	if (crypto_start() != RC_OK)
		return RC_MACHINE;
	c->crypto = crypto_new();
	return c->crypto ? RC_OK : RC_MACHINE;
}

void chain_check_free(struct chain_check *c)
{
	crypto_free(c->crypto);
	c->crypto = NULL;
}

static enum chain_bad bad(struct chain_check *c, enum chain_bad b, uint64_t seq, const char *why)
{
	c->bad_seq = seq;
	c->why = why;
	return b;
}

static void sha(struct chain_check *c, struct slice a, struct slice b, uint8_t out[CHAIN_HASH_LEN])
{
	INVARIANT(crypto_sha256_two(c->crypto, a, b, out) == RC_OK);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, CHAIN_HASH_LEN) == 0;
}

/* Nothing before the first entry but the store's name. */
static bool is_genesis(struct chain_check *c, const struct chain_header *h)
{
	uint8_t first[CHAIN_HASH_LEN];

	sha(c, slice_str(CHAIN_GENESIS), slice_of(h->store_id, sizeof(h->store_id)), first);
	return same(first, h->hash);
}

enum chain_bad chain_check_header(struct chain_check *c, struct slice header)
{
	struct chain_header h;

	if (chain_header_get(header, &h) != RC_OK)
		return bad(c, CHAIN_NONE, 0, "the file does not begin as an audit chain");
	if (h.seq == 0 && !is_genesis(c, &h))
		return bad(c, CHAIN_EDITED, 1, "the file's first bytes are not those of a chain's beginning");
	if (c->begun && memcmp(c->store_id, h.store_id, sizeof(h.store_id)) != 0)
		return bad(c, CHAIN_OTHER_STORE, h.seq, "the file belongs to another store than the one before");
	if (c->begun && h.seq < c->seq)
		return bad(c, CHAIN_REORDERED, h.seq + 1,
			   "the file begins before the end of the one before: give each file once, in order");
	if (c->begun && h.seq == c->seq && !same(h.hash, c->hash))
		return bad(c, CHAIN_EDITED, h.seq, "the file does not go on from the end of the one before");
	c->jump = c->begun && h.seq > c->seq;
	c->jump_seq = c->seq;
	memcpy(c->jump_hash, c->hash, sizeof(c->hash));
	if (!c->begun)
		c->first = h.seq + 1;
	c->begun = true;
	c->seq = h.seq;
	memcpy(c->hash, h.hash, sizeof(c->hash));
	memcpy(c->store_id, h.store_id, sizeof(c->store_id));
	return CHAIN_GOOD;
}

/* START and GAP: what they declare. *l.from > l.to: nothing. */
MUST_CHECK static bool losses(const struct chain_entry *e, struct chain_loss *l, struct chain_start *st)
{
	*l = (struct chain_loss){ .from = 1 };
	if (e->type == CHAIN_GAP)
		return chain_loss_get(e->detail, l) == RC_OK && l->from <= l->to;
	if (e->type != CHAIN_START)
		return true;
	if (chain_start_get(e->detail, st) != RC_OK)
		return false;
	*l = st->loss;
	return true;
}

/*
 * Does the declaration cover exactly what is missing here? It may begin earlier, where the core was shown no file at
 * all; then it does not know what was before.
 */
static bool declared(const struct chain_check *c, const struct chain_loss *l, uint64_t seq)
{
	static const uint8_t unknown[CHAIN_HASH_LEN];
	uint64_t end = c->jump ? c->jump_seq : c->seq;
	const uint8_t *hash = c->jump ? c->jump_hash : c->hash;

	if (l->from > l->to || l->to != seq - 1 || l->from > end + 1)
		return false;
	if (l->from <= end || same(l->before, unknown))
		return l->from == 1;
	return same(l->before, hash);
}

static enum chain_bad check_store(struct chain_check *c, const uint8_t *store, const uint8_t *key, uint64_t seq)
{
	if (memcmp(store, c->store_id, sizeof(c->store_id)) != 0)
		return bad(c, CHAIN_OTHER_STORE, seq, "the entry belongs to another store");
	if ((c->has_key || c->knows_key) && !same(key, c->key))
		return bad(c, CHAIN_OTHER_KEY, seq, "the entry names another key for checkpoints");
	memcpy(c->key, key, sizeof(c->key));
	c->knows_key = true;
	return CHAIN_GOOD;
}

/* prev: of the entry before, as this checker knows it. */
static enum chain_bad checkpoint(struct chain_check *c, const struct chain_entry *e, const uint8_t prev[CHAIN_HASH_LEN])
{
	uint8_t text[CHAIN_SIGNED_LEN];
	struct sink s = sink_of(text, sizeof(text));
	struct chain_checkpoint m;
	enum chain_bad b;

	if (chain_checkpoint_get(e->detail, &m) != RC_OK)
		return bad(c, CHAIN_EDITED, e->seq, "the checkpoint has not a checkpoint's form");
	b = check_store(c, m.store_id, m.public, e->seq);
	if (b != CHAIN_GOOD)
		return b;
	chain_signed_put(&s, &m, e->time_ms);
	INVARIANT(sink_ok(&s));
	if (crypto_ed25519_verify(c->key, slice_of(text, s.need), m.signature) != RC_OK)
		return bad(c, CHAIN_FORGED, e->seq, "the checkpoint's signature does not fit");
	if (m.seq != e->seq - 1 || !same(m.hash, prev))
		return bad(c, CHAIN_FORGED, e->seq,
			   "the checkpoint signs other entries: one since the checkpoint before was changed, with the hashes "
			   "after it");
	c->checkpoints++;
	c->checked = m.seq;
	return CHAIN_GOOD;
}

static enum chain_bad place(struct chain_check *c, const struct chain_entry *e, bool lost)
{
	if (lost)
		return CHAIN_GOOD;
	if (c->jump)
		return bad(c, CHAIN_REMOVED, c->jump_seq + 1, "entries between this file and the one before are missing");
	if (e->seq > c->seq + 1)
		return bad(c, CHAIN_REMOVED, c->seq + 1, "entries are missing");
	if (e->seq <= c->seq)
		return bad(c, CHAIN_REORDERED, e->seq, "the entry stands behind one with a higher number, or twice");
	return CHAIN_GOOD;
}

enum chain_bad chain_check_frame(struct chain_check *c, const struct chain_frame *f)
{
	uint8_t hash[CHAIN_HASH_LEN];
	struct chain_start st;
	struct chain_loss l;
	struct chain_entry e;
	const uint8_t *prev = c->hash;
	enum chain_bad b;
	bool lost;

	if (chain_entry_get(f->entry, &e) != RC_OK || e.seq == 0 || !losses(&e, &l, &st))
		return bad(c, CHAIN_EDITED, c->seq + 1, "the entry has not an entry's form");
	lost = declared(c, &l, e.seq);
	if (lost)
		prev = l.prev;
	b = place(c, &e, lost);
	if (b != CHAIN_GOOD)
		return b;
	sha(c, slice_of(prev, CHAIN_HASH_LEN), f->entry, hash);
	if (!same(hash, f->hash))
		return bad(c, CHAIN_EDITED, e.seq, "the entry, or its hash, or what is before it was changed");
	if ((e.type == CHAIN_START && !same(l.prev, prev)) || (l.from <= l.to && !lost))
		return bad(c, CHAIN_EDITED, e.seq, "the entry declares losses that are not there");
	b = e.type == CHAIN_START ? check_store(c, st.store_id, st.public, e.seq) :
	    e.type == CHAIN_CHECKPOINT ? checkpoint(c, &e, prev) : CHAIN_GOOD;
	if (b != CHAIN_GOOD)
		return b;
	c->lost += lost ? l.to - l.from + 1 : 0;
	c->starts += e.type == CHAIN_START;
	c->jump = false;
	c->seq = e.seq;
	memcpy(c->hash, hash, sizeof(c->hash));
	c->last = e;
	c->entries++;
	if (c->has_head && e.seq == c->head_seq) {
		if (!same(hash, c->head_hash))
			return bad(c, CHAIN_EDITED, e.seq, "the entry is not the one that --head names");
		c->head_seen = true;
	}
	return CHAIN_GOOD;
}

enum chain_bad chain_check_end(struct chain_check *c)
{
	if (c->jump)
		return bad(c, CHAIN_REMOVED, c->jump_seq + 1, "entries between this file and the one before are missing");
	if (c->has_head && c->seq < c->head_seq)
		return bad(c, CHAIN_TRUNCATED, c->seq + 1, "the chain ends before the entry that --head names");
	return c->lost ? CHAIN_LOSSES : CHAIN_GOOD;
}

const char *chain_bad_name(enum chain_bad b)
{
	switch (b) {
	case CHAIN_GOOD:
		return "whole";
	case CHAIN_NONE:
		return "no chain";
	case CHAIN_EDITED:
		return "edited";
	case CHAIN_REMOVED:
		return "removed";
	case CHAIN_REORDERED:
		return "reordered";
	case CHAIN_TRUNCATED:
		return "truncated";
	case CHAIN_FORGED:
		return "forged checkpoint";
	case CHAIN_OTHER_KEY:
		return "other key";
	case CHAIN_OTHER_STORE:
		return "other store";
	case CHAIN_LOSSES:
		return "declared losses";
	}
	return "unknown";
}
