/* SPDX-License-Identifier: Apache-2.0 */
/* Name rules; tests/names compares them with Hadoop's own by generated cases. */
#include <stdlib.h>

#include "service/names.h"
#include "tests/test.h"

static struct name_rules *parse(const char *rules, bool mit)
{
	uint8_t *p = test_fence(rules, strlen(rules));
	struct name_rules *n = NULL;
	const char *why;
	enum rc rc = names_parse(slice_of(p, strlen(rules)), mit, slice_str("EXAMPLE.COM"), &n, &why);

	test_fence_free(p, strlen(rules));
	if (rc == RC_OK)
		return n;
	EXPECT(why && strlen(why) > 10);
	return NULL;
}

/* The short name, or NULL. */
static const char *map(const char *rules, bool mit, const char *principal)
{
	static char out[NAMES_PRINCIPAL_MAX + 1];
	struct name_rules *n = parse(rules, mit);
	uint8_t *p = test_fence(principal, strlen(principal));
	size_t len;
	enum rc rc;

	EXPECT(n != NULL);
	rc = names_map(n, slice_of(p, strlen(principal)), out, sizeof(out) - 1, &len);
	test_fence_free(p, strlen(principal));
	names_free(n);
	if (rc != RC_OK) {
		EXPECT(rc == RC_DENIED);
		return NULL;
	}
	out[len] = 0;
	return out;
}

static bool is(const char *got, const char *want)
{
	return got && want ? strcmp(got, want) == 0 : got == want;
}

TEST(default_maps_the_default_realm_and_nothing_else)
{
	static const char *const rules[] = { "", " \n", "DEFAULT", "  DEFAULT\n", "DEFAULT/L" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(rules); i++) {
		EXPECT(is(map(rules[i], false, "alice@EXAMPLE.COM"), "alice"));
		EXPECT(is(map(rules[i], false, "hdfs/h1.example.com@EXAMPLE.COM"), "hdfs"));
		EXPECT(is(map(rules[i], false, "Alice@EXAMPLE.COM"), "Alice"));
		EXPECT(is(map(rules[i], false, "alice@OTHER.COM"), NULL));
		EXPECT(is(map(rules[i], false, "alice@example.com"), NULL));
		EXPECT(is(map(rules[i], true, "alice@OTHER.COM"), "alice@OTHER.COM"));
	}
}

TEST(without_a_default_realm_default_maps_nobody)
{
	struct name_rules *n;
	const char *why;
	char out[64];
	size_t len;

	EXPECT(names_parse(slice_str("DEFAULT"), false, slice_of(NULL, 0), &n, &why) == RC_OK);
	EXPECT(names_map(n, slice_str("alice@EXAMPLE.COM"), out, sizeof(out), &len) == RC_DENIED);
	EXPECT(names_map(n, slice_str("alice@"), out, sizeof(out), &len) == RC_DENIED);
	names_free(n);
}

TEST(a_service_without_a_realm_has_null_for_one_as_in_hadoop)
{
	EXPECT(is(map("DEFAULT", true, "foo/localhost"), "foo/localhost"));
	EXPECT(is(map("RULE:[2:$1]", true, "foo/localhost"), "foo"));
	EXPECT(is(map("RULE:[2:$1]", false, "foo/localhost"), "foo"));
	EXPECT(is(map("RULE:[2:$1.$0]", false, "foo/localhost"), "foo.null"));
	{
		struct name_rules *n;
		const char *why;
		char out[64];
		size_t len;

		EXPECT(names_parse(slice_str("DEFAULT"), false, slice_str("null"), &n, &why) == RC_OK);
		EXPECT(names_map(n, slice_str("foo/localhost"), out, sizeof(out), &len) == RC_DENIED);
		EXPECT(names_map(n, slice_str("foo/localhost@null"), out, sizeof(out), &len) == RC_OK && len == 3);
		names_free(n);
	}
	EXPECT(is(map("DEFAULT", false, "foo/localhost"), NULL));
	EXPECT(is(map("DEFAULT", true, "foo/a/b"), NULL));
}

TEST(rules_are_tried_in_order)
{
	static const char rules[] = "RULE:[2:$1@$0]([nd]n@.*EXAMPLE\\.COM)s/.*/hdfs/\n"
				    "RULE:[2:$1@$0](rm@.*EXAMPLE\\.COM)s/.+/yarn/g\n"
				    "RULE:[1:$1@$0](.*@AD\\.EXAMPLE\\.COM)s/@.*///L\n"
				    "RULE:[2:$2](admin)s/^.*$/root/\n"
				    "DEFAULT";

	EXPECT(is(map(rules, false, "nn/h1@EXAMPLE.COM"), "hdfs"));
	EXPECT(is(map(rules, false, "rm/h1@EXAMPLE.COM"), "yarn"));
	EXPECT(is(map(rules, false, "BOB@AD.EXAMPLE.COM"), "bob"));
	EXPECT(is(map(rules, false, "bob/admin@EXAMPLE.COM"), "root"));
	EXPECT(is(map(rules, false, "bob/other@EXAMPLE.COM"), "bob"));
	EXPECT(is(map(rules, false, "bob@OTHER.COM"), NULL));
}

TEST(what_replace_all_does_twice_is_done_twice)
{
	/* Java replaces ".*" once for the text and once for the empty end of it. */
	EXPECT(is(map("RULE:[1:$1]s/.*/x/g", false, "alice@A"), "xx"));
	EXPECT(is(map("RULE:[1:$1]s/.*/x/", false, "alice@A"), "x"));
}

TEST(forms_of_rules_that_hadoop_takes)
{
	EXPECT(is(map("RULE:[1:$1]", false, "Alice@ANY"), "Alice"));
	EXPECT(is(map("RULE:[1:$1]/L", false, "Alice@ANY"), "alice"));
	EXPECT(is(map("RULE:[1:$1]L", false, "Alice@ANY"), "alice"));
	EXPECT(is(map("RULE:[1:$1]/", false, "Alice@ANY"), "Alice"));
	EXPECT(is(map("RULE:[1:$1](A.*)", false, "Alice@ANY"), "Alice"));
	EXPECT(is(map("RULE:[1:$1](B.*)", false, "Alice@ANY"), NULL));
	EXPECT(is(map("RULE:[2:$1.$2]RULE:[1:u_$1]DEFAULT", false, "a@B"), "u_a"));
	EXPECT(is(map("RULE:[2:$1.$2]RULE:[1:u_$1]DEFAULT", false, "a/c@B"), "a.c"));
	EXPECT(is(map("RULE:[1:$1$0$1]", false, "a@B"), "aBa"));
	EXPECT(is(map("RULE:[1:fixed]", false, "a@B"), "fixed"));
	EXPECT(is(map("RULE:[1:$1]s/(.)(.*)/$2$1/", false, "abc@B"), "bca"));
	EXPECT(is(map("RULE:[7:$7] RULE:[0:$0] DEFAULT", false, "a@EXAMPLE.COM"), "a"));
	EXPECT(is(map("RULE:[1:$1](al+ice)s/$/2/", false, "alice@B"), "alice2"));
}

TEST(a_result_that_is_no_user_is_refused_in_mode_hadoop)
{
	EXPECT(is(map("RULE:[1:$1@$0] DEFAULT", false, "alice@EXAMPLE.COM"), NULL));	/* and later rules do not help */
	EXPECT(is(map("RULE:[1:$1@$0]", true, "alice@EXAMPLE.COM"), "alice@EXAMPLE.COM"));
	EXPECT(is(map("RULE:[2:$1/$2]", false, "a/b@C"), NULL));
	EXPECT(is(map("RULE:[2:$1/$2]", true, "a/b@C"), "a/b"));
	EXPECT(is(map("RULE:[1:$1]s/.*//", false, "alice@A"), NULL));
	EXPECT(is(map("RULE:[1:$1]s/.*//", true, "alice@A"), NULL));
	EXPECT(is(map("RULE:[1:]", false, "alice@A"), NULL));
	EXPECT(is(map("RULE:[1:a\nb]", false, "alice@A"), NULL));
}

TEST(what_is_no_principal_is_refused)
{
	static const char *const v[] = { "", "@", "@A", "a@", "a@A@B", "a/@A", "/b@A", "a/b/c@A", "a@A/B", "a//b@A",
					 "a\n@A", "a\x7f@A", "a@A/", "/", "a/", "a@/A" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		EXPECT(is(map("RULE:[1:x] RULE:[2:y]", false, v[i]), NULL));
		EXPECT(is(map("DEFAULT", true, v[i]), NULL));
	}
	EXPECT(is(map("RULE:[1:x]", false, "alice"), "alice"));	/* short already */
}

TEST(lengths_are_bounded)
{
	struct name_rules *n = parse("RULE:[1:$1]", false), *big = parse("RULE:[1:$1$1$1$1$1$1$1$1$1]", false);
	char name[NAMES_PRINCIPAL_MAX + 1], out[NAMES_PRINCIPAL_MAX];
	size_t len;

	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 2] = '@';
	EXPECT(names_map(n, slice_of(name, sizeof(name)), out, sizeof(out), &len) == RC_DENIED);
	name[sizeof(name) - 3] = '@';
	name[sizeof(name) - 2] = 'X';
	EXPECT(names_map(n, slice_of(name, sizeof(name) - 1), out, sizeof(out), &len) == RC_OK);
	EXPECT(len == sizeof(name) - 3);
	EXPECT(names_map(n, slice_of(name, sizeof(name) - 1), out, len - 1, &len) == RC_NO_ROOM);
	EXPECT(names_map(big, slice_of(name, sizeof(name) - 1), out, sizeof(out), &len) == RC_NO_ROOM);
	names_free(n);
	names_free(big);
}

TEST(bad_rules_are_refused_when_they_are_configured)
{
	static const char *const v[] = {
		"default", "DEFAULT x", "RULE", "RULE:", "RULE:[", "RULE:[1", "RULE:[1:", "RULE:[1:$1", "RULE:[:$1]",
		"RULE:[x:$1]",
		"RULE:[99999999999:$1]", "RULE:[1:$2]", "RULE:[2:$3]", "RULE:[0:$1]", "RULE:[1:$]", "RULE:[1:$x]",
		"RULE:[1:$1](", "RULE:[1:$1](a", "RULE:[1:$1]((a))", "RULE:[1:$1](a*+)", "RULE:[1:$1](\\b)", "RULE:[1:$1]s/a",
		"RULE:[1:$1]s/a/b", "RULE:[1:$1]s/(/b/", "RULE:[1:$1]s/a/$1/", "RULE:[1:$1]s/a/\\/", "RULE:[1:$1]s/a/b/x",
		"RULE:[1:$1]s/a/b/gg", "RULE:[1:$1]//L", "DEFAULT,DEFAULT", "RULE:[1:$1]s/(a)/$2/",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++)
		EXPECT(parse(v[i], false) == NULL);
}

TEST(the_number_of_rules_is_bounded)
{
	char rules[257 * 8 + 1] = "";
	struct name_rules *n;
	const char *why;
	int i;

	for (i = 0; i < 256; i++)
		memcpy(rules + i * 8, "DEFAULT ", 8);
	names_free(parse(rules, false));
	memcpy(rules + 256 * 8, "DEFAULT ", 8);
	EXPECT(names_parse(slice_of(rules, sizeof(rules) - 1), false, slice_str("A"), &n, &why) == RC_NO_ROOM);
}
