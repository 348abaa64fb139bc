/* SPDX-License-Identifier: Apache-2.0 */
#include "client/text.h"
#include "tests/test.h"

static const char *safe(struct buf *b, const char *in, bool json)
{
	buf_clear(b);
	if (json)
		text_safe_json(b, slice_str(in));
	else
		text_safe(b, slice_str(in));
	return buf_text(b);
}

TEST(ordinary_text_stays_as_it_is)
{
	BUF b = { .max = 1000 };

	EXPECT_STR(safe(&b, "key \"1\" \\ Schl\xc3\xbcssel \xe9\x8d\xb5 \xf0\x9f\x94\x91", false),
		   "key \"1\" \\ Schl\xc3\xbcssel \xe9\x8d\xb5 \xf0\x9f\x94\x91");
}

TEST(nothing_that_acts_on_a_terminal_gets_through)
{
	BUF b = { .max = 1000 };

	EXPECT_STR(safe(&b, "a\x1b[2Jb\nc\x7f", false), "a\\x1b[2Jb\\x0ac\\x7f");
	EXPECT_STR(safe(&b, "\xc2\x9b" "31m", false), "\\x9b31m");
	EXPECT_STR(safe(&b, "a\xe2\x80\xae" "b", false), "a\\u202eb");
	EXPECT_STR(safe(&b, "\xef\xbb\xbfx", false), "\\ufeffx");
}

TEST(invalid_utf8_is_shown_byte_by_byte)
{
	BUF b = { .max = 1000 };

	EXPECT_STR(safe(&b, "\xff\xc0\x80", false), "\\xff\\xc0\\x80");
	EXPECT_STR(safe(&b, "\xed\xa0\x80", false), "\\xed\\xa0\\x80");
	EXPECT_STR(safe(&b, "\xf4\x90\x80\x80", false), "\\xf4\\x90\\x80\\x80");
	EXPECT_STR(safe(&b, "\xe2\x82", false), "\\xe2\\x82");
}

TEST(json_stays_json)
{
	BUF b = { .max = 1000 };

	EXPECT_STR(safe(&b, "{\"a\":\"\xc2\x9b\xff\xe2\x80\xae\"}", true),
		   "{\"a\":\"\\u009b\\ufffd\\u202e\"}");
}

TEST(the_distance_counts_what_fingers_get_wrong)
{
	EXPECT_INT(text_edits("key list", "key list"), 0);
	EXPECT_INT(text_edits("kye list", "key list"), 1);
	EXPECT_INT(text_edits("key lst", "key list"), 1);
	EXPECT_INT(text_edits("", "abc"), 3);
	EXPECT_INT(text_edits("abc", "abd"), 1);
}

TEST(a_buffer_refuses_what_is_over_its_limit_and_stays_refused)
{
	BUF b = { .max = 4 };

	buf_str(&b, "abcd");
	EXPECT(buf_ok(&b));
	EXPECT_STR(buf_text(&b), "abcd");
	buf_str(&b, "e");
	EXPECT(!buf_ok(&b));
	EXPECT(buf_text(&b) == NULL);
	EXPECT(buf_room(&b, SIZE_MAX) == NULL);
	buf_clear(&b);
	buf_fmt(&b, "%d", 1234);
	EXPECT_STR(buf_text(&b), "1234");
	buf_fmt(&b, "%d", 1);
	EXPECT(!buf_ok(&b));
}
