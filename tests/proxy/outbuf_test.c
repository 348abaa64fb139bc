/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "proxy/outbuf.h"
#include "tests/test.h"

static void json_is(const char *text, size_t len, const char *want)
{
	uint8_t *in = test_fence(text, len);
	OUTBUF o = { 0 };

	outbuf_json(&o, slice_of(in, len));
	EXPECT(outbuf_ok(&o));
	EXPECT(slice_is(outbuf_slice(&o), want));
	test_fence_free(in, len);
}
#define JSON_IS(text, want) json_is(text, sizeof(text) - 1, want)

TEST(a_zeroed_buffer_is_empty_and_can_be_written_to)
{
	OUTBUF o = { 0 };

	EXPECT(outbuf_ok(&o) && o.len == 0);
	outbuf_put(&o, NULL, 0);
	outbuf_str(&o, "a");
	outbuf_add(&o, slice_str("bc"));
	outbuf_u64(&o, 0);
	outbuf_u64(&o, UINT64_MAX);
	outbuf_i64(&o, -7);
	outbuf_i64(&o, INT64_MIN);
	outbuf_printf(&o, "%s%%%d", "x", 5);
	EXPECT(slice_is(outbuf_slice(&o), "abc018446744073709551615-7-9223372036854775808x%5"));
	outbuf_reset(&o);
	EXPECT(o.len == 0 && o.room > 0);
}

TEST(it_grows_without_losing_bytes)
{
	OUTBUF o = { 0 };
	size_t i;

	for (i = 0; i < 100000; i++)
		outbuf_u64(&o, i % 10);
	EXPECT(outbuf_ok(&o) && o.len == 100000);
	for (i = 0; i < o.len; i++)
		EXPECT(o.p[i] == '0' + i % 10);
}

TEST(a_limit_is_kept_and_a_failure_is_remembered)
{
	OUTBUF o = { .max = 10 };

	outbuf_str(&o, "0123456789");
	EXPECT(outbuf_ok(&o));
	outbuf_str(&o, "x");
	EXPECT(!outbuf_ok(&o));
	outbuf_str(&o, "");
	EXPECT(!outbuf_ok(&o) && o.len == 10);
	EXPECT(outbuf_room(&o, 1) == NULL);
	outbuf_reset(&o);
	outbuf_json(&o, slice_str("12345678"));
	EXPECT(outbuf_ok(&o));
	outbuf_reset(&o);
	outbuf_json(&o, slice_str("123456789"));
	EXPECT(!outbuf_ok(&o));
}

TEST(a_size_that_overflows_is_refused)
{
	OUTBUF o = { 0 };

	outbuf_str(&o, "x");
	EXPECT(outbuf_room(&o, SIZE_MAX) == NULL);
	EXPECT(!outbuf_ok(&o));
}

TEST(json_escapes_what_must_not_stand_in_a_string)
{
	JSON_IS("", "\"\"");
	JSON_IS("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	JSON_IS("\b\t\n\f\r\x01\x1f\x7f", "\"\\b\\t\\n\\f\\r\\u0001\\u001F\x7f\"");
	JSON_IS("a\0b", "\"a\\u0000b\"");
	JSON_IS("schl\xc3\xbcssel \xe2\x82\xac \xf0\x9f\x94\x91",
		"\"schl\xc3\xbcssel \xe2\x82\xac \xf0\x9f\x94\x91\"");
}

TEST(json_replaces_what_is_not_utf8)
{
#define BAD "\xef\xbf\xbd"
	JSON_IS("a\xff"
		"b",
		"\"a" BAD "b\"");
	JSON_IS("\x80", "\"" BAD "\"");
	JSON_IS("\xc0\x80", "\"" BAD BAD "\"");
	JSON_IS("\xe0\x80\x80", "\"" BAD BAD BAD "\"");
	JSON_IS("\xed\xa0\x80", "\"" BAD BAD BAD "\"");
	JSON_IS("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	JSON_IS("\xf5", "\"" BAD "\"");
	JSON_IS("\xe2\x82", "\"" BAD "\"");
	JSON_IS("\xe2\x82\"", "\"" BAD "\\\"\"");
	JSON_IS("\xf0\x9f\x94\x41", "\"" BAD "A\"");
	JSON_IS("\xc3", "\"" BAD "\"");
}
