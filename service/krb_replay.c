/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of replays: a hash table with chains over entries that are also in one queue by their coming. One that came
 * early with a time to come keeps those behind it, none longer than twice the skew. Links are indices + 1; 0 is none.
 */
#include <stdlib.h>

#include "service/krb_priv.h"

#define BUCKETS 65536u
#define SHARES 4096u
#define CHUNK 4096u
#define RETIRE_AT_ONCE 1024u	/* so that no call pays for all that ended while nobody came */

struct entry {
	uint8_t hash[16];
	uint32_t chain, younger;
	uint32_t share;
	uint32_t made;		/* the authenticator, in TICKs */
};
#define TICK(ms) ((uint32_t)((ms) >> 10))
struct krb_replay_chunk {
	struct entry entry[CHUNK];
};
_Static_assert(KRB_REPLAY_ENTRIES == CHUNK * ARRAY_LEN(((struct krb_replay *)0)->chunk), "chunks hold all entries");

static struct entry *entry_at(const struct krb_replay *r, uint32_t link)
{
	return &r->chunk[(link - 1) / CHUNK]->entry[(link - 1) % CHUNK];
}

enum rc krb_replay_init(struct krb_replay *r, struct crypto *c, struct crypto_random *random)
{
	enum rc rc;

	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	r->max = KRB_REPLAY_ENTRIES;
	r->bucket = calloc(BUCKETS, sizeof(*r->bucket));
	r->share = calloc(SHARES, sizeof(*r->share));
	rc = r->bucket && r->share ? crypto_random_get(c, random, r->salt.b, sizeof(r->salt.b)) : RC_NO_ROOM;
	if (rc != RC_OK)	/* or the next configuration would find it made */
		krb_replay_wipe(r);
	return rc;
}

void krb_replay_wipe(struct krb_replay *r)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(r->chunk); i++)
		free(r->chunk[i]);
	free(r->bucket);
	free(r->share);
	mem_wipe(r, sizeof(*r));
}

/* Salted by a second round: what is hashed is public, where it lands is not. */
static enum rc hash(const struct krb_replay *r, struct slice in, uint8_t out[CRYPTO_HASH_LEN])
{
	uint8_t both[CRYPTO_HASH_LEN + sizeof(r->salt.b)];
	enum rc rc = crypto_sha256(in.p, in.len, both);

	memcpy(both + CRYPTO_HASH_LEN, r->salt.b, sizeof(r->salt.b));
	if (rc == RC_OK)
		rc = crypto_sha256(both, sizeof(both), out);
	mem_wipe(both, sizeof(both));
	return rc;
}

static uint32_t *bucket_of(const struct krb_replay *r, const uint8_t *h)
{
	return &r->bucket[h[0] | h[1] << 8];
}

/* Lets go of what is out of the skew, even if the parts of a TICK that are not known are as large as can be. */
static void retire(struct krb_replay *r, uint64_t now_ms, uint64_t skew_ms)
{
	unsigned budget = RETIRE_AT_ONCE;

	while (r->oldest && budget-- && entry_at(r, r->oldest)->made + TICK(skew_ms) + 2 <= TICK(now_ms)) {
		uint32_t link = r->oldest, *from;
		struct entry *e = entry_at(r, link);

		for (from = bucket_of(r, e->hash); *from != link; from = &entry_at(r, *from)->chain)
			;
		*from = e->chain;
		if (r->since <= e->made)
			r->since = e->made + 1;
		r->oldest = e->younger;
		if (!r->oldest)
			r->newest = 0;
		r->share[e->share]--;
		e->younger = r->free;
		r->free = link;
		r->live--;
	}
}

/* An entry that nobody uses; 0: no memory. */
static uint32_t take(struct krb_replay *r)
{
	uint32_t link = r->free, c = r->made / CHUNK;

	if (link) {
		r->free = entry_at(r, link)->younger;
		return link;
	}
	if (!r->chunk[c])
		r->chunk[c] = calloc(1, sizeof(*r->chunk[c]));
	return r->chunk[c] ? ++r->made : 0;
}

static enum krb_result enter(struct krb_replay *r, const uint8_t *h, uint32_t share, uint32_t made)
{
	uint32_t *bucket = bucket_of(r, h), link;
	struct entry *e;

	for (link = *bucket; link; link = entry_at(r, link)->chain)
		if (memcmp(entry_at(r, link)->hash, h, sizeof(e->hash)) == 0)
			return KRB_REPLAY;
	if (made < r->since)
		return KRB_FORGOTTEN;
	if (r->live >= r->max || r->share[share] >= r->max / 4)
		return KRB_BUSY;
	link = take(r);
	if (!link)
		return KRB_MACHINE;
	e = entry_at(r, link);
	*e = (struct entry){ .chain = *bucket, .share = share, .made = made };
	memcpy(e->hash, h, sizeof(e->hash));
	*bucket = link;
	if (r->newest)
		entry_at(r, r->newest)->younger = link;
	else
		r->oldest = link;
	r->newest = link;
	r->share[share]++;
	r->live++;
	return KRB_OK;
}

enum krb_result krb_replay_enter(struct krb_replay *r, struct slice client, struct slice authenticator, uint64_t made_ms,
				 uint64_t now_ms, uint64_t skew_ms)
{
	uint8_t h[CRYPTO_HASH_LEN], who[CRYPTO_HASH_LEN];
	enum krb_result k;

	if (hash(r, authenticator, h) != RC_OK || hash(r, client, who) != RC_OK)
		return KRB_MACHINE;
	pthread_mutex_lock(&r->lock);
	retire(r, now_ms, skew_ms);
	k = enter(r, h, (uint32_t)(who[0] | who[1] << 8) % SHARES, TICK(made_ms));
	pthread_mutex_unlock(&r->lock);
	return k;
}
