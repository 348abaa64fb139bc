/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "proxy/json.h"
#include "tests/test.h"

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
