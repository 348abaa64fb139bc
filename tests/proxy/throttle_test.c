/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/throttle.h"
#include "tests/test.h"

static struct slice v4(uint8_t last)
{
	static uint8_t a[256][4];

	memcpy(a[last], (uint8_t[]){ 192, 0, 2, last }, 4);
	return slice_of(a[last], 4);
}

static void refuse(struct throttle *t, struct slice from, unsigned times, uint64_t ms)
{
	while (times--)
		throttle_refused(t, from, ms, NULL, 0);
}

TEST(a_minutes_worth_of_refusals_is_let_through_at_once_and_then_one_at_a_time)
{
	struct throttle *t = throttle_new();
	uint64_t ms = 1000000;
	unsigned i;

	throttle_set(t, 60);
	for (i = 0; i < 60; i++) {
		EXPECT_INT(throttle_wait(t, v4(1), ms), 0);
		refuse(t, v4(1), 1, ms);
	}
	EXPECT_INT(throttle_wait(t, v4(1), ms), 1);
	EXPECT_INT(throttle_wait(t, v4(1), ms + 999), 1);
	EXPECT_INT(throttle_wait(t, v4(1), ms + 1000), 0);
	refuse(t, v4(1), 1, ms + 1000);
	EXPECT_INT(throttle_wait(t, v4(1), ms + 1000), 1);
	EXPECT_INT(throttle_wait(t, v4(1), ms + 3000), 0);
	/* All of it is there again after a minute of quiet. */
	ms += 70000;
	refuse(t, v4(1), 59, ms);
	EXPECT_INT(throttle_wait(t, v4(1), ms), 0);
	refuse(t, v4(1), 1, ms);
	EXPECT_INT(throttle_wait(t, v4(1), ms), 1);
	throttle_free(t);
}

TEST(another_address_is_not_turned_away)
{
	static const uint8_t v6[3][16] = { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, [15] = 1 },
					   { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, [15] = 2 },
					   { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, [15] = 1 } };
	struct throttle *t = throttle_new();

	throttle_set(t, 10);
	refuse(t, v4(1), 10, 5000);
	EXPECT(throttle_wait(t, v4(1), 5000) > 0);
	EXPECT_INT(throttle_wait(t, v4(2), 5000), 0);
	EXPECT_INT(throttle_wait(t, slice_of("", 0), 5000), 0);
	refuse(t, slice_of(v6[0], 16), 10, 5000);
	EXPECT(throttle_wait(t, slice_of(v6[1], 16), 5000) > 0);	/* the same network */
	EXPECT_INT(throttle_wait(t, slice_of(v6[2], 16), 5000), 0);
	throttle_free(t);
}

TEST(a_credential_that_was_accepted_is_known_until_it_is_refused)
{
	struct throttle *t = throttle_new();
	uint64_t a, b;

	throttle_set(t, 10);
	a = throttle_print(t, slice_str("u=alice&s=1"));
	b = throttle_print(t, slice_str("u=alice&s=2"));
	EXPECT(a && b && a != b);
	EXPECT(a == throttle_print(t, slice_str("u=alice&s=1")));
	EXPECT_INT(throttle_print(t, slice_of("", 0)), 0);
	EXPECT(!throttle_knows(t, a) && !throttle_knows(t, 0));
	throttle_accepted(t, a);
	throttle_accepted(t, 0);
	EXPECT(throttle_knows(t, a) && !throttle_knows(t, b) && !throttle_knows(t, 0));
	throttle_refused(t, v4(1), 5, (uint64_t[]){ b, 0 }, 2);
	EXPECT(throttle_knows(t, a));
	throttle_refused(t, v4(1), 5, (uint64_t[]){ b, a }, 2);
	EXPECT(!throttle_knows(t, a));
	throttle_free(t);
}

TEST(a_token_that_is_shown_on_and_on_leaves_the_allowance_to_others)
{
	struct throttle *t = throttle_new();
	uint64_t a, b, ms;
	unsigned refused = 0;

	throttle_set(t, 640);
	a = throttle_print(t, slice_str("ended"));
	b = throttle_print(t, slice_str("another"));
	for (ms = 1000; ms < 301000; ms += 5) {		/* 12000 a minute, five minutes */
		EXPECT_INT(throttle_wait(t, v4(1), ms), 0);
		if (throttle_token_wait(t, a, ms))
			continue;
		throttle_refused(t, v4(1), ms, &a, 1);
		throttle_token_refused(t, a, ms);
		refused++;
	}
	EXPECT(refused >= 50 && refused <= 60);
	throttle_token_refused(t, a, ms);
	EXPECT(throttle_token_wait(t, a, ms) > 0);
	EXPECT_INT(throttle_token_wait(t, b, ms), 0);
	EXPECT_INT(throttle_token_wait(t, 0, ms), 0);
	EXPECT_INT(throttle_token_wait(t, a, ms + 7000), 0);
	throttle_set(t, 0);
	EXPECT_INT(throttle_token_wait(t, a, ms), 0);
	throttle_token_refused(t, a, ms);
	throttle_token_refused(NULL, a, ms);
	EXPECT_INT(throttle_token_wait(NULL, a, ms), 0);
	throttle_free(t);
}

TEST(a_flood_from_many_addresses_forgets_those_that_have_used_least)
{
	struct throttle *t = throttle_new();
	uint8_t a[4] = { 10, 0, 0, 0 };
	uint32_t i;

	throttle_set(t, 10);
	refuse(t, v4(1), 10, 1000);
	for (i = 0; i < 200000; i++) {
		a[1] = (uint8_t)(i >> 16);
		a[2] = (uint8_t)(i >> 8);
		a[3] = (uint8_t)i;
		throttle_refused(t, slice_of(a, 4), 1000, NULL, 0);
	}
	EXPECT(throttle_wait(t, v4(1), 1000) > 0);
	throttle_free(t);
}

TEST(refusals_of_calls_under_way_do_not_shut_an_address_out_for_long)
{
	struct throttle *t = throttle_new();

	throttle_set(t, 10);
	refuse(t, v4(1), 100000, 1000);
	EXPECT(throttle_wait(t, v4(1), 1000) <= 72);
	EXPECT_INT(throttle_wait(t, v4(1), 1000 + 73000), 0);
	throttle_free(t);
}

TEST(zero_is_no_limit_and_a_change_counts_at_once)
{
	struct throttle *t = throttle_new();

	throttle_set(t, 0);
	refuse(t, v4(1), 100000, 1000);
	EXPECT_INT(throttle_wait(t, v4(1), 1000), 0);
	EXPECT_INT(throttle_print(t, slice_str("x")), 0);
	throttle_set(t, 5);
	EXPECT_INT(throttle_wait(t, v4(1), 1000), 0);
	refuse(t, v4(1), 5, 1000);
	EXPECT(throttle_wait(t, v4(1), 1000) > 0);
	throttle_set(t, 0);
	EXPECT_INT(throttle_wait(t, v4(1), 1000), 0);
	throttle_free(t);
}

TEST(without_memory_for_it_nothing_is_turned_away)
{
	throttle_set(NULL, 1);
	refuse(NULL, v4(1), 10, 1000);
	EXPECT_INT(throttle_wait(NULL, v4(1), 1000), 0);
	throttle_accepted(NULL, 5);
	EXPECT(!throttle_knows(NULL, 5));
	EXPECT_INT(throttle_print(NULL, slice_str("x")), 0);
	throttle_free(NULL);
}
