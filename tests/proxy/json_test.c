/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies as JSON: what a second reader could understand otherwise is refused. */
#include <stdlib.h>

#include "proxy/json.h"
#include "tests/test.h"

static enum json_fault fault_of(const void *p, size_t len)
{
	uint8_t *m = test_fence(p, len);
	enum json_fault f;
	cJSON *j = json_parse(slice_of(m, len), &f);

	EXPECT((j != NULL) == (f == JSON_FINE));
	cJSON_Delete(j);
	test_fence_free(m, len);
	return f;
}

#define FAULT(text) fault_of(text, sizeof(text) - 1)

TEST(ordinary_values_are_accepted)
{
	static const char *const fine[] = { "{}",
					    "[]",
					    "null",
					    " {\"a\" : [1, -2.5e3, true, \"x\\u00e9\\ud83d\\udd11\"]}\r\n\t",
					    "0",
					    "-0",
					    "\"\"",
					    "{\"a\":{\"b\":{\"b\":1}}}",
					    "[\"caf\xc3\xa9\"]" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(fine); i++)
		EXPECT_INT(fault_of(fine[i], strlen(fine[i])), JSON_FINE);
}

TEST(nothing_and_only_blanks_are_empty)
{
	EXPECT_INT(FAULT(""), JSON_EMPTY);
	EXPECT_INT(FAULT(" \r\n\t"), JSON_EMPTY);
}

TEST(a_member_twice_is_refused_however_it_is_written)
{
	EXPECT_INT(FAULT("{\"a\":1,\"a\":1}"), JSON_TWICE);
	EXPECT_INT(FAULT("{\"a\":1,\"b\":2,\"\\u0061\":3}"), JSON_TWICE);
	EXPECT_INT(FAULT("[[{\"x\":{\"a\":1,\"a\":1}}]]"), JSON_TWICE);
	EXPECT_INT(FAULT("{\"a\":1,\"A\":1}"), JSON_FINE);
}

/* {"0":0,"1":0,...}, the last name as given. */
static char *many_members(unsigned n, unsigned last)
{
	char *text = malloc(n * 16 + 16), *to = text;
	unsigned i;

	EXPECT(text);
	for (i = 0; i < n; i++)
		to += snprintf(to, 16, "%c\"%u\":0", i ? ',' : '{', i + 1 < n ? i : last);
	snprintf(to, 2, "}");
	return text;
}

TEST(a_member_twice_is_found_among_thousands)
{
	char *good = many_members(20000, 19999), *bad = many_members(20000, 777);

	EXPECT_INT(fault_of(good, strlen(good)), JSON_FINE);
	EXPECT_INT(fault_of(bad, strlen(bad)), JSON_TWICE);
	free(good);
	free(bad);
}

TEST(nul_characters_are_refused_as_bytes_and_as_escapes)
{
	EXPECT_INT(FAULT("{\"a\":\"\0\"}"), JSON_NUL);
	EXPECT_INT(FAULT("{\"a\":\"\\u0000\"}"), JSON_NUL);
	EXPECT_INT(FAULT("{}\0"), JSON_NUL);
}

TEST(invalid_utf8_is_refused)
{
	EXPECT_INT(FAULT("[\"\xff\"]"), JSON_UTF8);
	EXPECT_INT(FAULT("[\"\xc0\xaf\"]"), JSON_UTF8);
	EXPECT_INT(FAULT("[\"\xed\xa0\x80\"]"), JSON_UTF8);
	EXPECT_INT(FAULT("[\"\xf4\x90\x80\x80\"]"), JSON_UTF8);
	EXPECT_INT(FAULT("[\"\xe2\x82\""), JSON_UTF8);
}

TEST(what_is_no_json_is_refused)
{
	static const char *const bad[] = { "{} {}", "{}x",        "{,}",      "[1,]",      "{\"a\"}",
					   "{a:1}", "{'a':1}",    "[01]",     "[+1]",      "[.5]",
					   "[1.]",  "[1e]",       "[1e+]",    "[-]",       "[0x1]",
					   "[NaN]", "[\"a\nb\"]", "[\"\t\"]", "[\"\\x\"]", "[\"\\ud800\"]",
					   "tru",   "//x\n{}",    "]",        "}" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		enum json_fault f = fault_of(bad[i], strlen(bad[i]));

		if (f != JSON_SYNTAX && f != JSON_CUT)
			fprintf(stderr, "%s: %d\n", bad[i], (int)f);
		EXPECT(f == JSON_SYNTAX || f == JSON_CUT);
	}
}

TEST(every_cut_of_a_value_is_refused)
{
	static const char text[] = "{\"name\":\"k\xc3\xa9\",\"n\":[1.5e3,-2,true,null,\"\\ud83d\\udd11\"],\"o\":{\"a\":\"b\"}}";
	size_t n;

	for (n = 0; n < sizeof(text) - 1; n++)
		EXPECT(fault_of(text, n) != JSON_FINE);
	EXPECT_INT(FAULT(text), JSON_FINE);
}

TEST(deep_nesting_is_refused_without_deep_recursion)
{
	size_t n = 200000;
	char *text = malloc(n);

	EXPECT(text);
	memset(text, '[', n);
	EXPECT(fault_of(text, n) != JSON_FINE);
	free(text);
}

TEST(more_values_than_memory_should_hold_are_refused)
{
	size_t n = 4u << 20, i;
	char *text = malloc(n);

	EXPECT(text);
	for (i = 0; i < n; i++)
		text[i] = "[],"[i % 3];
	text[0] = '[';
	text[1] = '1';
	EXPECT_INT(fault_of(text, n), JSON_MANY);
	free(text);
}

/* ---- the short way ---- */

static bool flat(const char *text, struct json_flat *out)
{
	return json_flat(slice_str(text), out);
}

static const char good[] = " {\n\t\"name\" : \"zone\",\"iv\":\"S9VLztV5-_\" ,\r\n\"material\":\"\"}\n";

TEST(the_usual_body_takes_the_short_way)
{
	struct json_flat j;
	struct slice v;

	EXPECT(flat(good, &j));
	EXPECT_INT(j.count, 3);
	EXPECT(json_flat_get(&j, "name", &v) && slice_is(v, "zone"));
	EXPECT(json_flat_get(&j, "iv", &v) && slice_is(v, "S9VLztV5-_"));
	EXPECT(json_flat_get(&j, "material", &v) && v.len == 0);
	EXPECT(!json_flat_get(&j, "Name", &v));
	EXPECT_INT(v.len, 0);
}

TEST(whatever_is_not_plain_is_left_to_the_long_way)
{
	static const char *const other[] = {
		"", " ", "{}", "{", "}", "[]", "null", "\"a\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":[\"b\"]}",
		"{\"a\":{\"b\":\"c\"}}", "{\"a\":\"b\",}", "{,\"a\":\"b\"}", "{\"a\" \"b\"}", "{\"a\":\"b\"} x",
		"{\"a\":\"b\"}{", "{\"a\":\"b\";\"c\":\"d\"}", "{a:\"b\"}", "{'a':'b'}", "{\"a\\u0041\":\"b\"}",
		"{\"a\":\"\\n\"}", "{\"a\":\"\\\\\"}", "{\"a\":\"\xc3\xa4\"}", "{\"\xff\":\"b\"}", "{\"a\":\"\x01\"}",
		"{\"a\":\"\x7f\"}", "{\"a\":\"b\nc\"}", "{\"a\":\"1\",\"a\":\"2\"}", "\xef\xbb\xbf{\"a\":\"b\"}",
		"{\"a\":\"b\"]", ("{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\","
		 "\"8\":\"\",\"9\":\"\"}"),
	};
	struct json_flat j;
	size_t i;

	for (i = 0; i < ARRAY_LEN(other); i++)
		EXPECT(!flat(other[i], &j));
	EXPECT(!json_flat(slice_of("{\"a\":\"\0\"}", 9), &j));
}

TEST(no_truncation_takes_the_short_way)
{
	size_t n, whole = strlen(good) - 1;	/* behind the brace there is only a blank */
	struct json_flat j;

	for (n = 0; n < whole; n++) {
		uint8_t *p = test_fence(good, n);

		EXPECT(!json_flat(slice_of(p, n), &j));
		test_fence_free(p, n);
	}
}

TEST(both_ways_read_the_same)
{
	struct json_flat j;
	enum json_fault fault;
	struct slice v;
	cJSON *tree = json_parse(slice_str(good), &fault);

	EXPECT(tree && fault == JSON_FINE && flat(good, &j));
	EXPECT(json_flat_get(&j, "iv", &v));
	EXPECT(slice_is(v, json_member(tree, "iv")->valuestring));
	cJSON_Delete(tree);
}

TEST(a_body_with_the_same_member_twice_is_refused)
{
	enum json_fault fault;

	EXPECT(!json_parse(slice_str("{\"a\":\"1\",\"a\":\"2\"}"), &fault));
	EXPECT_INT(fault, JSON_TWICE);
}
