/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is given back holds no secrets. free() is wrapped at link time for the core's own objects:
 * each block is searched for secrets the test knows before it goes.
 */
#include <malloc.h>
#include <stdlib.h>

#include "service/seal.h"
#include "service/state.h"
#include "tests/fake/core.h"
#include "tests/test.h"

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

#define M1 "c0ffee01c0ffee02c0ffee03c0ffee04"
#define M2 "deadbe01deadbe02deadbe03deadbe04deadbe05deadbe06deadbe07deadbe08"
#define SIGNING "a signing secret of some length"
#define PLATFORM 0x5c

static _Atomic bool watching;	/* free() is known to the compiler: it would drop the stores around it */
static unsigned found, freed;
static struct {
	uint8_t b[32];
	size_t len;
} secret[8];
static size_t secrets;

static void add_secret(const void *p, size_t len)
{
	size_t i;

	secret[secrets].len = len;
	for (i = 0; i < len; i++)	/* not as such, or it would be found here */
		secret[secrets].b[i] = (uint8_t)(((const uint8_t *)p)[i] ^ 0xa5);
	secrets++;
}

static bool holds(const uint8_t *at, size_t i)
{
	size_t j;

	for (j = 0; j < secret[i].len; j++)
		if (at[j] != (secret[i].b[j] ^ 0xa5))
			return false;
	return true;
}

static void search(const void *p)
{
	size_t n = malloc_usable_size((void *)(uintptr_t)p), at, i;

	freed++;
	for (i = 0; i < secrets; i++)
		for (at = 0; at + secret[i].len <= n; at++)
			found += holds((const uint8_t *)p + at, i);
}

void __wrap_free(void *p)
{
	if (watching && p)
		search(p);
	__real_free(p);
}

void *__wrap_realloc(void *p, size_t n)
{
	if (watching && p)
		search(p);
	return __real_realloc(p, n);
}

static void drop(struct core *c)
{
	svc_worker_free(c->w);
	svc_free(c->svc);
	watching = false;	/* the harness's own buffers hold answers */
	c->w = NULL;
	c->owns = false;
	core_stop(c);
}

static void start_watching(struct core *c, bool config)
{
	uint8_t raw[32];

	secrets = 0;
	add_secret(raw, core_hex(M1, raw, 32));
	add_secret(raw, core_hex(M2, raw, 32));
	add_secret(SIGNING, strlen(SIGNING));
	memset(raw, PLATFORM, 32);
	add_secret(raw, 32);
	found = freed = 0;
	core_start(c, PLATFORM);
	if (config)
		EXPECT_INT(core_config(c, "default.key.acl.MANAGEMENT", "*", "default.key.acl.READ", "*",
				       "default.key.acl.GENERATE_EEK", "*", "default.key.acl.DECRYPT_EEK", "*",
				       "svsm.secret.signature", SIGNING, NULL), E_OK);
	core_as(c, "ann");
}

TEST(the_search_finds_what_is_not_wiped)
{
	uint8_t *p = malloc(100);

	secrets = 0;
	found = 0;
	add_secret(SIGNING, 16);
	memset(p, 0, 100);
	memcpy(p + 33, SIGNING, 16);
	__asm__ volatile("" : : "r"(p) : "memory");
	watching = true;
	free(p);
	watching = false;
	EXPECT_INT(found, 1);
}

TEST(no_block_is_given_back_with_a_secret_in_it)
{
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX];
	size_t npriv = sizeof(priv), npub = sizeof(pub);
	struct crypto *cr;
	struct fake_store kept;
	struct slice slot = { 0 };
	struct core c, d;
	SECRET root = { 0 };

	start_watching(&c, true);
	EXPECT_INT(core_store_create(&c), E_OK);
	cr = crypto_new();
	/* The data root, by way of a recovery slot: it must not be left anywhere either. */
	EXPECT(crypto_wrap_keypair(priv, &npriv, pub, &npub) == RC_OK);
	wire_blob_req_put(core_req(&c), slice_of(pub, npub));
	EXPECT_INT(core_send(&c, CALL_SLOT_RECOVERY), E_OK);
	EXPECT(cur_str16(&c.ans.body, 512, &slot));
	EXPECT(crypto_unwrap(cr, slice_of(priv, npriv), slice_of(slot.p, 20), slot.p + 20, &root) == RC_OK);
	add_secret(root.b, 32);
	crypto_free(cr);
	watching = true;
	EXPECT_INT(core_create(&c, "a", 128, NULL, M1), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create(&c, "b", 256, NULL, M2), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create(&c, "b", 256, NULL, M2), E_EXISTS);
	EXPECT_INT(core_create(&c, "x", 128, NULL, M2), E_MATERIAL_LENGTH);
	EXPECT_INT(core_create(&c, "c", 256, NULL, M2), E_OK);
	EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	EXPECT_INT(core_roll(&c, "a", M1), E_OK);
	core_commit(&c);
	EXPECT_INT(core_roll(&c, "b", M2), E_OK);
	EXPECT_INT(core_roll(&c, "b", M2), E_BUSY);
	c.room = CALL_PAGE;
	{
		char text[4000];
		struct wire_create_req m = { .name = slice_str("big"), .has_description = true, .materials = 1,
					     .length = 128 };
		uint8_t enc[18] = { 16 };

		memset(text, 'x', sizeof(text));
		core_hex(M1, enc + 2, 16);
		m.cred = core_cred(&c);
		m.cipher = slice_str("");
		m.description = slice_of(text, sizeof(text));
		m.material = cur_of(enc, 18);
		wire_create_req_put(core_req(&c), &m);
		EXPECT_INT(core_send(&c, CALL_CREATE), E_TOO_BIG);
	}
	c.room = CALL_LARGE_LEN;
	fake_store_copy(&kept, &c.store);
	EXPECT_INT(core_config(&c, "svsm.secret.signature", "another", NULL), E_OK);
	EXPECT(freed > 20);
	drop(&c);	/* with "b" still staged */
	EXPECT_INT(found, 0);

	/* Loading, and a load that fails with keys already in place. */
	start_watching(&d, true);
	add_secret(root.b, 32);
	watching = true;
	EXPECT_INT(core_store_open(&d, &kept), E_OK);
	EXPECT_INT(core_name(&d, CALL_DELETE, "a"), E_OK);
	EXPECT_INT(core_abort(&d, 0, &d.staged.ticket, 1), E_OK);
	drop(&d);
	start_watching(&d, false);
	add_secret(root.b, 32);
	watching = true;
	EXPECT_INT(core_open_only(&d, &kept), E_OK);
	EXPECT_INT(core_load(&d, &kept, 0, 1), E_OK);
	kept.rec[1].p[60] ^= 1;
	EXPECT_INT(core_load(&d, &kept, 0, kept.count), E_RECORD);
	drop(&d);
	EXPECT_INT(found, 0);
	fake_store_free(&kept);
}

TEST(a_panic_wipes_keys_staged_ones_and_the_secrets)
{
	static const struct secret zero;
	const struct change *staged = NULL;
	const struct key *k;
	struct core c;
	size_t i, j;

	start_watching(&c, true);
	EXPECT_INT(core_store_create(&c), E_OK);
	EXPECT_INT(core_create(&c, "a", 128, NULL, M1), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create(&c, "b", 256, NULL, M2), E_OK);
	k = keys_find(&c.svc->keys, slice_str("a"));
	for (i = 0; i < TXN_BUCKETS; i++)
		if (c.svc->txn.bucket[i])
			staged = c.svc->txn.bucket[i];
	EXPECT(k && staged);
	svc_panic_wipe(c.svc);
	for (j = 0; j < k->data_len; j++)
		EXPECT_INT(k->data[j], 0);
	for (j = 0; j < staged->made->data_len; j++)
		EXPECT_INT(staged->made->data[j], 0);
	for (j = 0; j < c.svc->config->secret.len; j++)
		EXPECT_INT(c.svc->config->secret.p[j], 0);
	EXPECT_MEM(&c.svc->store.root, &zero, sizeof(zero));
	EXPECT_MEM(&c.svc->opt.platform_key, &zero, sizeof(zero));
	EXPECT_MEM(c.svc->signer.now.b, &zero, sizeof(zero));
	EXPECT_MEM(c.w->random.key.b, &zero, sizeof(zero));
	drop(&c);
}
