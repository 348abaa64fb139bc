/* SPDX-License-Identifier: Apache-2.0 */
/* When the source of randomness fails, nothing is made; and the health tests notice that it fails. */
#include "service/entropy.h"
#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"

static uint32_t pending(struct core *c)
{
	struct wire_status st = { .pending = UINT32_MAX };

	EXPECT_INT(core_status(c, &st), E_OK);
	return st.pending;
}

TEST(a_source_broken_from_the_start_lets_nothing_begin)
{
	struct core c;

	fake_entropy_broken = true;
	core_start(&c, 1);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_RANDOM);	/* no secret to sign with */
	core_as(&c, "ann");
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_NO_CONFIG);
	EXPECT_INT(core_store_create(&c), E_RANDOM);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_NO_CONFIG);
	fake_entropy_broken = false;
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	core_make(&c, "k", NULL);
	core_stop(&c);
}

TEST(a_source_that_breaks_later_stops_what_makes_things_and_nothing_else)
{
	struct wire_status st;
	uint8_t iv[16] = { 0 };
	uint64_t made = 0, epoch = 0, ticket;
	struct core c;

	core_ready(&c);
	core_make(&c, "k", M16);
	core_make(&c, "k2", M16);
	EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
	ticket = c.staged.ticket;
	fake_entropy_broken = true;
	/* What was seeded may still be given out; a mebibyte later it must be over. */
	while (core_name_n(&c, CALL_GENERATE, "k", 100, 0) == E_OK)
		EXPECT(++made * 3200 < (CRYPTO_RANDOM_RESEED_POOLS + 1) * CRYPTO_RANDOM_POOL + 3200);
	EXPECT_INT(c.err, E_RANDOM);
	EXPECT_INT(c.ans.head.events, 0);
	EXPECT_INT(core_name_n(&c, CALL_GENERATE, "k", 200, 0), E_RANDOM);
	while (core_name(&c, CALL_GENERATE, "k") == E_OK)	/* the last bytes of the pool */
		;
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.random_ok, 0);
	EXPECT_INT(core_create(&c, "new", 0, NULL, NULL), E_RANDOM);
	EXPECT_INT(core_create(&c, "new", 128, NULL, M16), E_RANDOM);	/* its record needs a salt */
	EXPECT_INT(core_roll(&c, "k2", M16), E_RANDOM);
	EXPECT_INT(core_head(&c, &ticket, 1, &epoch), E_RANDOM);
	EXPECT_INT(pending(&c), 1);
	/* Reading and decrypting need no randomness. */
	EXPECT_INT(core_current(&c, "k").len, 16);
	EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", "k", slice_of(iv, 16), slice_of(iv, 16)), E_OK);
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	fake_entropy_broken = false;
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_OK);
	EXPECT_INT(core_head(&c, &ticket, 1, &epoch), E_OK);	/* the failed one left it as it was */
	EXPECT_INT(core_commit_epoch(&c, epoch), E_OK);
	core_make(&c, "new", NULL);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.random_ok, 1);
	core_stop(&c);
}

TEST(without_randomness_a_due_roll_of_the_signing_secret_refuses_everyone)
{
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "hadoop.kms.authentication.token.validity", "10", "default.key.acl.MANAGEMENT", "*",
			       "default.key.acl.GENERATE_EEK", "*", NULL), E_OK);
	core_make(&c, "k", M16);
	fake_entropy_broken = true;
	while (core_name(&c, CALL_GENERATE, "k") == E_OK)
		;
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	fake_mono += 36001 * 1000;
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_RANDOM);
	EXPECT_INT(c.ans.cookie.len, 0);
	fake_entropy_broken = false;
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	core_stop(&c);
}

TEST(each_worker_has_a_stream_of_its_own)
{
	uint8_t a[16];
	struct core c, d;
	struct wire_eek e;
	uint32_t n;

	core_ready(&c);
	core_make(&c, "k", M16);
	core_share(&d, &c);
	core_as(&d, "root");
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n) && wire_eek_next(&c.ans.body, &e));
	memcpy(a, e.iv, 16);
	EXPECT_INT(core_name(&d, CALL_GENERATE, "k"), E_OK);
	EXPECT(cur_le32(&d.ans.body, &n) && wire_eek_next(&d.ans.body, &e));
	EXPECT(memcmp(a, e.iv, 16) != 0);
	core_stop(&d);
	core_stop(&c);
}

/* ---- the health tests ---- */

static uint64_t state;
static unsigned calls;
static bool os_works, cpu_works;

static uint64_t good_word(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool os_fake(void *out, size_t len)
{
	memset(out, 0x5a, len);
	return os_works;
}

static bool cpu_good(uint64_t *out)
{
	calls++;
	*out = good_word();
	return cpu_works;
}

static bool cpu_zero(uint64_t *out)
{
	*out = 0;
	return true;
}

static bool cpu_ones(uint64_t *out)
{
	*out = UINT64_MAX;	/* as broken RDRAND has returned */
	return true;
}

static bool cpu_stuck(uint64_t *out)
{
	*out = 0x0123456789abcdefu;	/* eight bytes, all different */
	return true;
}

static bool cpu_alternates(uint64_t *out)
{
	*out = calls++ & 1 ? 0x0123456789abcdefu : 0x1032547698badcfeu;
	return true;
}

static bool cpu_cycles(uint64_t *out)
{
	*out = (calls++ % 16 + 1) * 0x9e3779b97f4a7c15u;
	return true;
}

static bool cpu_counts(uint64_t *out)
{
	*out = calls++;
	return true;
}

static bool cpu_biased(uint64_t *out)
{
	int i;

	*out = good_word();
	for (i = 0; i < 8; i++)		/* every fourth byte or so is the same */
		if (good_word() % 4 == 0)
			*out = (*out & ~(0xffull << 8 * i)) | 0x42ull << 8 * i;
	return true;
}

static bool cpu_quarters(uint64_t *out)
{
	*out = good_word() & 0x0303030303030303u;	/* two bits a byte; four are assumed */
	return true;
}

static bool cpu_late_stuck(uint64_t *out)
{
	*out = calls++ < 1000 ? good_word() : 0x0123456789abcdefu;
	return true;
}

static void entropy_fake(struct entropy *e, bool (*cpu)(uint64_t *))
{
	memset(e, 0, sizeof(*e));
	pthread_mutex_init(&e->lock, NULL);
	e->cpu = cpu;
	e->os = os_fake;
	os_works = cpu_works = true;
	calls = 0;
	state = 1;
}

TEST(the_real_sources_pass_and_differ)
{
	uint8_t a[64], b[64];
	struct entropy e;

	EXPECT(entropy_init(&e) == RC_OK);
	EXPECT(entropy_get(&e, a, 64) == RC_OK);
	EXPECT(entropy_get(&e, b, 64) == RC_OK);
	EXPECT(memcmp(a, b, 64) != 0);
}

TEST(good_samples_pass_for_long_and_are_mixed_with_the_platforms)
{
	uint8_t out[64];
	uint64_t v;
	struct entropy e;
	int i;

	entropy_fake(&e, cpu_good);
	for (i = 0; i < 20000; i++)
		EXPECT(entropy_get(&e, out, 64) == RC_OK);
	state = 99;
	v = good_word();
	state = 99;
	EXPECT(entropy_get(&e, out, 8) == RC_OK);
	for (i = 0; i < 8; i++)
		EXPECT_INT(out[i], (uint8_t)(v >> 8 * i) ^ 0x5a);
}

TEST(broken_sources_are_noticed_before_a_byte_is_given_out)
{
	static bool (*const broken[])(uint64_t *) = { cpu_zero, cpu_ones, cpu_stuck, cpu_alternates, cpu_cycles,
						      cpu_counts, cpu_quarters };
	uint8_t out[32], zero[32] = { 0 };
	struct entropy e;
	size_t i, again;

	for (i = 0; i < ARRAY_LEN(broken); i++) {
		entropy_fake(&e, broken[i]);
		for (again = 0; again < 50; again++) {
			memset(out, 0xee, sizeof(out));
			EXPECT(entropy_get(&e, out, sizeof(out)) == RC_MACHINE);
			EXPECT_MEM(out, zero, sizeof(out));
		}
	}
}

TEST(a_biased_source_is_noticed_after_a_few_windows)
{
	uint8_t out[64];
	struct entropy e;
	unsigned given = 0;

	entropy_fake(&e, cpu_biased);
	while (entropy_get(&e, out, 64) == RC_OK)
		EXPECT(++given < 200);
}

TEST(a_source_that_sticks_later_is_noticed_soon_and_must_start_anew)
{
	uint8_t out[8];
	struct entropy e;
	unsigned good = 0, i, before;

	entropy_fake(&e, cpu_late_stuck);
	while (entropy_get(&e, out, 8) == RC_OK)
		good++;
	EXPECT(good >= 1000 - 128 && good < 1000 - 128 + 8);
	for (i = 0; i < 10; i++)
		EXPECT(entropy_get(&e, out, 8) == RC_MACHINE);
	e.cpu = cpu_good;
	calls = 0;
	EXPECT(entropy_get(&e, out, 8) == RC_OK);
	EXPECT(calls >= 128);	/* the whole start-up test, not only the next sample */
	before = calls;
	EXPECT(entropy_get(&e, out, 8) == RC_OK);
	EXPECT_INT(calls, before + 1);
}

TEST(either_source_missing_is_a_failure)
{
	uint8_t out[64], zero[64] = { 0 };
	struct entropy e;

	entropy_fake(&e, cpu_good);
	os_works = false;
	memset(out, 1, 64);
	EXPECT(entropy_get(&e, out, 64) == RC_MACHINE);
	EXPECT_MEM(out, zero, 64);
	os_works = true;
	cpu_works = false;
	memset(out, 1, 64);
	EXPECT(entropy_get(&e, out, 64) == RC_MACHINE);
	EXPECT_MEM(out, zero, 64);
	cpu_works = true;
	EXPECT(entropy_get(&e, out, 64) == RC_OK);
}
