/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side at its worst: it rewrites pages while they are used, and makes any call with any bytes
 * in any order. The harness checks that every answer is well formed; the sanitizers check the rest.
 */
#include <pthread.h>
#include <stdlib.h>

#include "service/seal.h"
#include "crypto/crypto.h"
#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"
#define M16B "f0e1d2c3b4a5968778695a4b3c2d1e0f"

static _Atomic bool stop;

/* ---- request pages ---- */

static uint8_t page[CALL_PAGE];
static uint8_t variant[2][CALL_PAGE];
static size_t page_len;
static uint64_t rewrites;

static void *rewrite_request(void *arg)
{
	unsigned v = 0;
	size_t i;

	(void)arg;
	while (!stop) {
		v ^= 1;
		/* By whole pieces and byte by byte, from both ends: torn in every way. */
		if (rewrites & 2)
			memcpy(page, variant[v], page_len);
		else
			for (i = 0; i < page_len; i++)
				((volatile uint8_t *)page)[rewrites & 4 ? i : page_len - 1 - i] =
					variant[v][rewrites & 4 ? i : page_len - 1 - i];
		rewrites++;
	}
	return NULL;
}

static size_t write_decrypt(struct core *c, uint8_t *to, const char *user, const char *version, const char *name)
{
	static const uint8_t zero[16];
	struct wire_eek_req m;

	core_as(c, user);
	m = (struct wire_eek_req){ .cred = core_cred(c), .has_name = true, .name = slice_str(name),
				   .version_name = slice_str(version), .iv = slice_of(zero, 16),
				   .material = slice_of(zero, 16) };
	wire_eek_req_put(core_req(c), &m);
	memcpy(to, c->req, c->out.need);
	return c->out.need;
}

TEST(a_request_that_changes_while_it_is_read_is_one_request)
{
	uint8_t plain[2][16];
	struct wire_kv kv;
	unsigned i, ok[2] = { 0 }, refused = 0;
	struct core c;
	pthread_t t;

	core_ready(&c);
	core_make(&c, "ka", M16);
	core_make(&c, "kb", M16B);
	EXPECT_INT(core_config(&c, "key.acl.ka.DECRYPT_EEK", "ann", "key.acl.kb.DECRYPT_EEK", "bob", NULL), E_OK);
	page_len = write_decrypt(&c, variant[0], "ann", "ka@0", "ka");
	EXPECT(write_decrypt(&c, variant[1], "bob", "kb@0", "kb") == page_len);
	for (i = 0; i < 2; i++) {
		EXPECT_INT(core_bytes(&c, CALL_DECRYPT, variant[i], page_len), E_OK);
		EXPECT(wire_kv_next(&c.ans.body, &kv));
		memcpy(plain[i], kv.material.p, 16);
	}
	memcpy(page, variant[0], page_len);
	stop = false;
	rewrites = 0;
	EXPECT(pthread_create(&t, NULL, rewrite_request, NULL) == 0);
	for (i = 0; i < 500000; i++) {
		if (core_bytes(&c, CALL_DECRYPT, page, page_len) == E_OK) {
			bool b = slice_is(c.ans.user, "bob");

			/* Whoever it was: the key is his, and so is what comes out. */
			EXPECT(b || slice_is(c.ans.user, "ann"));
			EXPECT(wire_kv_next(&c.ans.body, &kv));
			EXPECT(slice_is(kv.name, b ? "kb" : "ka"));
			EXPECT_MEM(kv.material.p, plain[b], 16);
			EXPECT(slice_is(c.ans.event[0].key, b ? "kb" : "ka"));
			ok[b]++;
		} else {
			refused++;
		}
	}
	stop = true;
	pthread_join(t, NULL);
	EXPECT(ok[0] + ok[1] + refused == 500000);
	core_stop(&c);
}

/* ---- answer pages ---- */

static uint8_t *answer;
static size_t salt_at;

static void *rewrite_answer(void *arg)
{
	(void)arg;
	while (!stop)
		memset(answer + salt_at, 0x77, SEAL_SALT);
	return NULL;
}

static int sixteen(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

TEST(an_answer_that_is_rewritten_meanwhile_does_not_choose_the_seal)
{
	/*
	 * Two records under one salt would be encrypted under one key: their beginnings, which are equal in
	 * the clear, would be equal.
	 */
	enum { N = 20000 };
	static uint8_t start[N][16];
	struct core c;
	pthread_t t;
	size_t i;

	core_ready(&c);
	answer = c.rsp;
	salt_at = sizeof(struct wire_ans_head) + 8 + 1 + 16 + 4 + 12;
	stop = false;
	EXPECT(pthread_create(&t, NULL, rewrite_answer, NULL) == 0);
	for (i = 0; i < N; i++) {
		EXPECT_INT(core_create(&c, "k", 0, NULL, M16), E_OK);
		memcpy(start[i], c.staged.record.p + SEAL_RECORD_OVERHEAD, 16);
		EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	}
	stop = true;
	pthread_join(t, NULL);
	qsort(start, N, 16, sixteen);
	for (i = 1; i < N; i++)
		EXPECT(memcmp(start[i - 1], start[i], 16) != 0);
	core_stop(&c);
}

/* ---- any call, any bytes, any order ---- */

#define POOL 400
static struct {
	uint32_t call;
	size_t len;
	uint8_t *p;
} pool[POOL];
static size_t pooled;

static void tap(uint32_t call, const void *p, size_t len)
{
	if (pooled == POOL || len > 8192)
		return;
	pool[pooled].call = call;
	pool[pooled].len = len;
	pool[pooled].p = malloc(len + 1);
	memcpy(pool[pooled++].p, p, len);
}

static size_t mutate(uint8_t *p, size_t len, size_t room)
{
	static const uint64_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff, ~0ull };
	uint32_t n = test_random(4);
	size_t at, w;

	while (n-- && len) {
		at = test_random((uint32_t)len);
		switch (test_random(6)) {
		case 0:
			p[at] ^= (uint8_t)(1 << test_random(8));
			break;
		case 1:
			p[at] = (uint8_t)test_random(256);
			break;
		case 2:
			w = 1u << test_random(4);
			memcpy(p + at, &odd[test_random(ARRAY_LEN(odd))], w < len - at ? w : len - at);
			break;
		case 3:
			len = at;
			break;
		case 4:
			w = test_random(64);
			if (len + w <= room) {
				memmove(p + at + w, p + at, len - at);
				len += w;
			}
			break;
		case 5:
			w = test_random((uint32_t)(len - at)) + 1;
			memmove(p + at, p + at + w, len - at - w);
			len -= w;
			break;
		}
	}
	return len;
}

/* Signed, but by nobody who asks to be the owner: the store stays as it is. */
static void signed_config(struct core *c)
{
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX], text[2048], sig[CRYPTO_SIGNATURE_MAX];
	struct wire_signed_req m = { .version = 1 };
	size_t npriv = sizeof(priv), npub = sizeof(pub), nsig = sizeof(sig);
	struct sink t = sink_of(text, sizeof(text));

	EXPECT(crypto_wrap_keypair(priv, &npriv, pub, &npub) == RC_OK);
	m.public_der = slice_of(pub, npub);
	wire_signed_text_put(&t, &m);
	wire_config_req_put(&t, 1);
	wire_property_put(&t, slice_str("default.key.acl.READ"), slice_str("*"));
	EXPECT(sink_ok(&t) && crypto_sign(slice_of(priv, npriv), slice_of(text, t.need), sig, &nsig) == RC_OK);
	core_req(c);
	sink_str16(&c->out, slice_of(sig, nsig));
	sink_put(&c->out, text, t.need);
	EXPECT_INT(core_send(c, CALL_CONFIG_SIGNED), E_OK);
}

/* Keys are made, changed and removed; calls by name ask for them. */
static void calls_on_keys(struct core *c)
{
	static const uint8_t zero[16];
	struct slice none = slice_of(zero, 16);
	enum wire_call call;

	core_make(c, "k", M16);
	core_make(c, "k2", NULL);
	EXPECT_INT(core_create_attr(c, "k3", "key.acl.name", "k"), E_OK);
	core_commit(c);
	EXPECT_INT(core_roll(c, "k", M16B), E_OK);
	core_commit(c);
	EXPECT_INT(core_name(c, CALL_DELETE, "k2"), E_OK);
	core_commit(c);
	for (call = CALL_AUTH; call <= CALL_GENERATE; call++)
		if (call != CALL_CREATE && call != CALL_IMPORT && call != CALL_ROLL &&
		    call != CALL_METADATAS && call != CALL_DELETE && call != CALL_DT_GET && call != CALL_DT_RENEW &&
		    call != CALL_DT_CANCEL && !core_call_is_open(call))
			EXPECT_INT(core_name(c, call, call == CALL_VERSION_GET ? "k@0" : "k"),
				   call == CALL_ADMIN ? E_ADMIN_DENIED : E_OK);
	EXPECT_INT(core_eek(c, CALL_DECRYPT, "k@0", "k", none, none), E_OK);
	EXPECT_INT(core_eek(c, CALL_REENCRYPT, "k@0", "k", none, none), E_OK);
}

/* Those that carry lists, and those that are asked from within. */
static void calls_with_lists(struct core *c)
{
	static const uint8_t zero[16], one[18] = { 16 };
	struct wire_batch_req b = { .cred = core_cred(c), .name = slice_str("k"), .count = 2 };
	struct wire_names_req n = { .cred = b.cred, .count = 1 };
	struct wire_item item = { .version_name = slice_str("k@0"), .iv = slice_of(zero, 16),
				  .material = slice_of(zero, 16) };
	struct wire_acl_req a = { .cred = b.cred, .op = OP_DECRYPT_EEK, .key = slice_str("k") };
	struct wire_create_req imp = { .cred = b.cred, .name = slice_str("imp"), .length = 128, .materials = 1,
				       .cipher = slice_str(""), .description = slice_str(""), .material = cur_of(one, 18) };

	wire_batch_req_put(core_req(c), &b);
	wire_item_put(&c->out, &item);
	wire_item_put(&c->out, &item);
	EXPECT_INT(core_send(c, CALL_REENCRYPT_BATCH), E_OK);
	wire_names_req_put(core_req(c), &n);
	sink_str16(&c->out, slice_str("k"));
	EXPECT_INT(core_send(c, CALL_METADATAS), E_OK);
	wire_acl_req_put(core_req(c), &a);
	EXPECT_INT(core_send(c, CALL_ACL_CHECK), E_OK);
	wire_create_req_put(core_req(c), &imp);
	EXPECT_INT(core_send(c, CALL_IMPORT), E_OK);
	EXPECT_INT(core_abort(c, 0, (const uint64_t[]){ 6, 7 }, 2), E_OK);
}

static void calls_on_tokens(struct core *c)
{
	static uint8_t tokens[2][WIRE_TOKEN_MAX];
	struct slice token, other;
	uint64_t until;

	EXPECT_INT(core_dt_get(c, "root", tokens[0], &token), E_OK);
	core_commit(c);
	EXPECT_INT(core_dt_renew(c, token, &until), E_OK);
	core_commit(c);
	core_as_token(c, token);
	EXPECT_INT(core_name(c, CALL_METADATA, "k"), E_OK);
	core_as(c, "root");
	EXPECT_INT(core_dt_get(c, NULL, tokens[1], &other), E_OK);
	core_commit(c);
	EXPECT_INT(core_dt_cancel(c, other), E_OK);
	core_commit(c);
	sink_le64(core_req(c), 0);
	EXPECT_INT(core_send(c, CALL_DT_EXPIRE), E_OK);
}

/* One of everything, over a store that is alive. */
static void fill_pool(struct fake_store *kept)
{
	struct core c, d;
	struct wire_status st;
	uint64_t epoch = 0;

	fake_tap = tap;
	core_ready(&c);
	calls_on_keys(&c);
	calls_with_lists(&c);
	EXPECT_INT(core_head(&c, NULL, 0, &epoch), E_OK);
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	EXPECT_INT(core_status(&c, &st), E_OK);
	calls_on_tokens(&c);
	fake_store_copy(kept, &c.store);
	core_start(&d, 0x11);
	EXPECT_INT(core_store_open(&d, kept), E_OK);
	core_stop(&d);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_HELLO), E_OK);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_RECOVER_BEGIN), E_STATE);
	signed_config(&c);
	wire_blob_req_put(core_req(&c), slice_of("", 0));
	EXPECT_INT(core_send(&c, CALL_AUDIT_GAP), E_OK);
	sink_u8(core_req(&c), 0);
	EXPECT_INT(core_send(&c, CALL_AUDIT_CHECKPOINT), E_OK);
	core_stop(&c);
	fake_tap = NULL;
}

TEST(any_calls_in_any_order_get_well_formed_answers)
{
	static uint8_t msg[16384];
	unsigned seen[CALL_COUNT][2] = { 0 };
	struct fake_store kept;
	struct core c;
	uint32_t i, j, round;

	fill_pool(&kept);
	EXPECT(pooled > 30);
	for (round = 0; round < 60; round++) {
		core_start(&c, 0x11);
		if (round % 3 == 1)
			EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
		if (round % 3 == 2) {
			EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
			EXPECT_INT(core_store_open(&c, &kept), E_OK);
		}
		for (i = 0; i < 4000; i++) {
			uint32_t k = test_random((uint32_t)pooled), call = pool[k].call;
			size_t len = pool[k].len;

			c.room = test_random(4) ? CALL_PAGE : CALL_LARGE_LEN;
			if (test_random(50) == 0) {
				len = test_random(300);
				for (j = 0; j < len; j++)
					msg[j] = (uint8_t)test_random(256);
				call = test_random(CALL_COUNT + 3);
			} else {
				memcpy(msg, pool[k].p, len);
				if (test_random(3))
					len = mutate(msg, len, sizeof(msg));
				if (test_random(20) == 0)
					call = test_random(CALL_COUNT + 3);
				/* Commits that fit: the epoch is in the status, tickets are low. */
				if ((call == CALL_COMMIT || call == CALL_HEAD || call == CALL_ABORT) && len >= 8 &&
				    test_random(2)) {
					uint64_t epoch = 1 + test_random(40);

					memcpy(msg, &epoch, 8);
					if (len >= 20) {
						uint64_t ticket = 1 + test_random(400);

						memcpy(msg + 12, &ticket, 8);
					}
				}
			}
			if ((call == CALL_CONFIG || call == CALL_CONFIG_SIGNED) && test_random(4))
				continue;
			core_bytes(&c, call, msg, len) == E_OK ? (void)0 : (void)0;
			if (call < CALL_COUNT)
				seen[call][c.err == E_OK]++;
			if (test_random(64) == 0)
				svc_time(c.svc, (uint64_t)test_random(UINT32_MAX) << test_random(32));
			if (test_random(64) == 0)
				fake_mono += test_random(100000);
			if (test_random(500) == 0)
				fake_entropy_broken = !fake_entropy_broken;
		}
		fake_entropy_broken = false;
		core_stop(&c);
	}
	for (i = 1; i < CALL_COUNT; i++) {
		if (core_call_is_open(i))
			continue;
		EXPECT(seen[i][0] > 0);	/* refused at times, */
		/* granted at others, but these need a key, or a token whose time, which jumps here, is not over */
		if (i != CALL_RECOVER_FINISH && i != CALL_SLOT_RECOVERY && i != CALL_DT_RENEW && i != CALL_DT_CANCEL &&
		    i != CALL_ADMIN)
			EXPECT(seen[i][1] > 0);
	}
	fake_store_free(&kept);
	while (pooled)
		free(pool[--pooled].p);
}

/* Each request of a life, in order, as call_fuzz.c reads them. */
static FILE *seed;
static void tap_seed(uint32_t call, const void *p, size_t len)
{
	uint8_t head[3] = { (uint8_t)call, (uint8_t)len, (uint8_t)(len >> 8) };

	EXPECT(len <= UINT16_MAX);
	EXPECT(fwrite(head, 1, 3, seed) == 3 && fwrite(p, 1, len, seed) == len);
}

TEST(a_life_becomes_a_seed_when_asked)
{
	static const uint8_t zero[16];
	static uint8_t held[WIRE_TOKEN_MAX];
	const char *dir = getenv("SVSM_SEEDS");
	struct slice token;
	char path[512];
	uint64_t epoch;
	struct core c;
	unsigned i;

	for (i = 0; dir && i < 3; i++) {
		snprintf(path, sizeof(path), "%s/call/life-%u", dir, i);
		seed = fopen(path, "wb");
		EXPECT(seed != NULL);
		fputc((int)i, seed);
		fake_entropy_state = 1;	/* so that sealed bytes are those that the target will make */
		core_start(&c, 0x11);
		fake_tap = i == 0 ? tap_seed : NULL;
		EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
		fake_tap = i <= 1 ? tap_seed : NULL;
		EXPECT_INT(core_store_create(&c), E_OK);
		fake_tap = tap_seed;
		core_as(&c, "root");
		core_make(&c, "k", M16);
		EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
		core_commit(&c);
		if (i == 0) {
			EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_OK);
			EXPECT_INT(core_head(&c, &c.staged.ticket, 1, &epoch), E_OK);
			EXPECT_INT(core_abort(&c, epoch, NULL, 0), E_OK);
		}
		EXPECT_INT(core_name(&c, CALL_VERSIONS, "k"), E_OK);
		EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_OK);
		EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", "k", slice_of(zero, 16), slice_of(zero, 16)), E_OK);
		EXPECT_INT(core_name(&c, CALL_NAMES, ""), E_OK);
		EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
		EXPECT_INT(core_dt_get(&c, NULL, held, &token), E_OK);
		core_commit(&c);
		EXPECT_INT(core_dt_renew(&c, token, &epoch), E_OK);
		core_commit(&c);
		core_as_token(&c, token);
		EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OK);
		EXPECT_INT(core_dt_cancel(&c, token), E_OK);
		core_commit(&c);
		fake_tap = NULL;
		fclose(seed);
		core_stop(&c);
	}
}

TEST(what_is_no_call_gets_no_answer)
{
	uint8_t small[CALL_PAGE];
	struct core c;
	uint32_t len = 77;

	core_ready(&c);
	EXPECT_INT(core_bytes(&c, 0, "", 0), E_BAD_MESSAGE);
	EXPECT_INT(core_bytes(&c, CALL_COUNT, "", 0), E_BAD_MESSAGE);
	EXPECT_INT(core_bytes(&c, UINT32_MAX, "", 0), E_BAD_MESSAGE);
	EXPECT_INT(core_bytes(&c, CALL_HELLO, c.req, CALL_LARGE_LEN + 1), E_BAD_MESSAGE);
	EXPECT_INT(svc_call(c.svc, c.w, CALL_HELLO, shared_of("", 0), small, sizeof(small) - 1, &len), E_BAD_MESSAGE);
	EXPECT_INT(len, 0);
	EXPECT_INT(core_bytes(&c, CALL_HELLO, c.req, CALL_LARGE_LEN), E_BAD_MESSAGE);	/* it has no body */
	core_stop(&c);
}
