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
