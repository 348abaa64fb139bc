/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

TEST(taking_more_than_is_left_fails_and_moves_nothing)
{
	uint8_t *p = test_fence("abc", 3);
	struct cursor c = cur_of(p, 3);
	const uint8_t *out;
	uint32_t v;

	EXPECT(!cur_take(&c, 4, &out));
	EXPECT(!cur_take(&c, SIZE_MAX, &out));
	EXPECT(!cur_le32(&c, &v));
	EXPECT_INT(c.left, 3);
	EXPECT(cur_take(&c, 3, &out));
	EXPECT(cur_end(&c));
	test_fence_free(p, 3);
}

TEST(an_empty_cursor_is_not_null)
{
	struct cursor c = cur_of(NULL, 7);
	struct slice s;

	EXPECT(c.at != NULL);
	EXPECT(cur_end(&c));
	EXPECT(cur_sub(&c, 0, &s));
	EXPECT(s.p != NULL);
}

TEST(a_text_longer_than_its_limit_or_its_message_is_refused_without_moving)
{
	uint8_t m[] = { 3, 0, 'a', 'b', 'c' };
	struct cursor c = cur_of(m, sizeof(m)), t = cur_of(m, 4);
	struct slice s;

	EXPECT(!cur_str16(&c, 2, &s));
	EXPECT_INT(c.left, 5);
	EXPECT(!cur_str16(&t, 10, &s));
	EXPECT_INT(t.left, 4);
	EXPECT(cur_str16(&c, 3, &s));
	EXPECT(slice_is(s, "abc"));
}

TEST(a_full_sink_stays_full_and_says_how_much_it_needed)
{
	uint8_t b[4];
	struct sink s = sink_of(b, sizeof(b));

	sink_le32(&s, 1);
	EXPECT(sink_ok(&s));
	sink_u8(&s, 1);
	sink_put(&s, b, 0);
	EXPECT(!sink_ok(&s));
	EXPECT_INT(s.need, 5);
}

TEST(a_shared_copy_stops_at_its_end)
{
	uint8_t page[8] = "1234567", out[8] = "";
	struct shared s = shared_of(page, 8);

	EXPECT(shared_copy(&s, out, 5));
	EXPECT_MEM(out, "12345", 5);
	EXPECT(!shared_copy(&s, out, 4));
	EXPECT(shared_copy(&s, out, 3));
	EXPECT_MEM(out, "67", 3);
	EXPECT_INT(s.left, 0);
}

TEST(a_wiped_secret_is_zero_and_comparison_sees_each_byte)
{
	struct secret a, b;
	size_t i;

	memset(&a, 7, sizeof(a));
	for (i = 0; i < sizeof(a.b); i++) {
		memcpy(&b, &a, sizeof(a));
		EXPECT(ct_equal(a.b, b.b, 32));
		b.b[i] ^= 0x80;
		EXPECT(!ct_equal(a.b, b.b, 32));
	}
	secret_wipe(&a);
	for (i = 0; i < sizeof(a.b); i++)
		EXPECT_INT(a.b[i], 0);
}
