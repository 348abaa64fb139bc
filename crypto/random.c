/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fast-key-erasure generator: each refill of the pool first replaces the key by bytes of its own
 * stream, and bytes are wiped as they are given out. What leaks later tells nothing about what was
 * given out before.
 */
#include "crypto/crypto.h"
#include "crypto/internal.h"

void crypto_random_init(struct crypto_random *r, crypto_entropy entropy, void *ctx)
{
	memset(r, 0, sizeof(*r));
	r->entropy = entropy;
	r->ctx = ctx;
	r->used = sizeof(r->pool);
}

void crypto_random_wipe(struct crypto_random *r)
{
	mem_wipe(r, sizeof(*r));
	r->used = sizeof(r->pool);
}

/* New key = SHA-256(old key || fresh entropy): never weaker than either. */
static enum rc reseed(struct crypto_random *r)
{
	struct {
		uint8_t old[32];
		uint8_t fresh[64];
	} mix;
	enum rc rc;

	memcpy(mix.old, r->key.b, sizeof(mix.old));
	rc = r->entropy(r->ctx, mix.fresh, sizeof(mix.fresh));
	if (rc == RC_OK)
		rc = crypto_sha256(&mix, sizeof(mix), r->key.b);
	mem_wipe(&mix, sizeof(mix));
	if (rc == RC_OK)
		r->pools = 1;
	return rc;
}

static enum rc refill(struct crypto *c, struct crypto_random *r)
{
	uint8_t next[sizeof(r->key.b) + sizeof(r->pool)];
	enum rc rc = RC_OK;

	if (r->pools == 0 || r->pools > CRYPTO_RANDOM_RESEED_POOLS)
		rc = reseed(r);
	if (rc == RC_OK)
		rc = crypto_chacha(c, &r->key, next, sizeof(next));
	if (rc == RC_OK) {
		memcpy(r->key.b, next, sizeof(r->key.b));
		memcpy(r->pool, next + sizeof(r->key.b), sizeof(r->pool));
		r->used = 0;
		r->pools++;
	}
	mem_wipe(next, sizeof(next));
	return rc;
}

enum rc crypto_random_get(struct crypto *c, struct crypto_random *r, void *out, size_t len)
{
	uint8_t *to = out;
	size_t done = 0, n;
	enum rc rc;

	while (done < len) {
		if (r->used == sizeof(r->pool)) {
			rc = refill(c, r);
			if (rc != RC_OK) {
				mem_wipe(out, len);
				return rc;
			}
		}
		n = sizeof(r->pool) - r->used;
		if (n > len - done)
			n = len - done;
		memcpy(to + done, r->pool + r->used, n);
		mem_wipe(r->pool + r->used, n);
		r->used += n;
		done += n;
	}
	return RC_OK;
}
