/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher alone; tests/names compares it with Java by generated cases. */
#include <stdlib.h>

#include "service/regex.h"
#include "tests/test.h"

static struct regex *compile(const char *pattern)
{
	uint8_t *p = test_fence(pattern, strlen(pattern));
	struct regex *re = NULL;
	const char *why;
	enum rc rc = regex_compile(slice_of(p, strlen(pattern)), &re, &why);

	test_fence_free(p, strlen(pattern));
	if (rc == RC_OK)
		return re;
	EXPECT(rc == RC_BAD_INPUT && why && strlen(why) > 10);
	return NULL;
}

static bool matches(const char *pattern, const char *text)
{
	struct regex *re = compile(pattern);
	uint8_t *t = test_fence(text, strlen(text));
	struct regex_match m;
	enum rc rc;

	EXPECT(re != NULL);
	rc = regex_search(re, slice_of(t, strlen(text)), 0, true, &m);
	EXPECT(rc == RC_OK || rc == RC_DENIED);
	test_fence_free(t, strlen(text));
	regex_free(re);
	return rc == RC_OK;
}

TEST(what_matches_in_java_matches)
{
	static const struct {
		const char *pattern, *text;
		bool yes;
	} v[] = {
		{ "", "", true },
		{ "", "a", false },
		{ ".*@EXAMPLE\\.COM", "alice@EXAMPLE.COM", true },
		{ ".*@EXAMPLE\\.COM", "alice@EXAMPLEXCOM", false },
		{ ".*@EXAMPLE\\.COM", "alice@EXAMPLE.COM.EVIL", false },
		{ "[nd]n@.*", "nn@X", true },
		{ "[nd]n@.*", "an@X", false },
		{ "(a|ab)(c|bcd)(d*)", "abcd", true },
		{ "[a-c&]+", "ab&", true },
		{ "[^@]+", "ab@", false },
		{ "[a\\-z]+", "a-z", true },
		{ "[a-]+", "-a", true },
		{ "[\\w.]+", "a.b_9", true },
		{ "[^\\W]+", "ab-", false },
		{ "a{2,3}", "a", false },
		{ "a{2,3}", "aaa", true },
		{ "a{2,3}", "aaaa", false },
		{ "a{2}", "aa", true },
		{ "a{2,}", "aaaaaaaa", true },
		{ "a{0}b", "b", true },
		{ "(?i)Alice", "aLICE", true },
		{ "(?i)[^a]b", "AB", false },
		{ "Alice", "alice", false },
		{ "^a$", "a", true },
		{ "a^b", "ab", false },
		{ "\\$\\.\\\\", "$.\\", true },
		{ "x*?y", "xxxy", true },
		{ "(?:ab)+", "abab", true },
		{ "a|b|c|", "c", true },
		{ "]}", "]}", true },
		{ "(\xc3\xa9)+", "\xc3\xa9\xc3\xa9", true },
		{ "\xc3\xa9+", "\xc3\xa9\xc3\xa9", true },
		{ "\xc3\xa9?x", "x", true },
		{ "\\d+\\s\\w\\D\\S\\W", "12 aab-", true },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++)
		EXPECT(matches(v[i].pattern, v[i].text) == v[i].yes);
}

TEST(what_we_do_not_support_or_is_malformed_is_refused)
{
	static const char *const v[] = {
		"(", ")", "a)", "(a", "[", "[a", "[^", "[]", "[]a]", "[a[b]]", "[a&&b]", "[b-a]", "[a-\\d]", "[\xc3\xa9]",
		"*", "+a", "?", "{2}", "a**", "a*+", "a*{2}", "a???", "a{", "a{x}", "a{1", "a{2,1}", "a{256}",
		"a{99999999999}", "a{,2}",
		"\\", "\\1", "\\b", "\\A", "\\p{L}", "\\Q", "\\n", "(?=a)", "(?!a)", "(?<=a)", "(?<n>a)", "(?s)a", "a(?i)b", "(?",
		"(a*)*", "(a|)+", "(?:)*", "^*", "($)+", "(a?){2}",
		"((((((((((a))))))))))", "(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:(?:a)))))))))))))))))",
		"((a{200}){200}){200}", "a{255}b{255}c{255}",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++)
		EXPECT(compile(v[i]) == NULL);
}

TEST(too_many_classes_are_refused)
{
	char pattern[1024] = "";
	int i;

	for (i = 0; i < 64; i++)
		strcat(pattern, "[ab]");
	regex_free(compile(pattern));
	strcat(pattern, "[ab]");
	EXPECT(compile(pattern) == NULL);
}

static bool replaces(const char *pattern, const char *text, const char *to, bool all, const char *want)
{
	struct regex *re = compile(pattern);
	char out[256];
	size_t len;
	bool ok;

	EXPECT(re != NULL && regex_replacement_valid(re, slice_str(to)));
	EXPECT(regex_replace(re, slice_str(text), slice_str(to), all, out, sizeof(out), &len) == RC_OK);
	ok = slice_is(slice_of(out, len), want);
	/* With less room than that, it says so. */
	if (len)
		EXPECT(regex_replace(re, slice_str(text), slice_str(to), all, out, len - 1, &len) == RC_NO_ROOM);
	regex_free(re);
	return ok;
}

TEST(replacements_are_javas)
{
	EXPECT(replaces("@.*", "alice@X", "", false, "alice"));
	EXPECT(replaces("a", "banana", "o", false, "bonana"));
	EXPECT(replaces("a", "banana", "o", true, "bonono"));
	EXPECT(replaces(".*", "abc", "x", true, "xx"));	/* the empty one at the end counts too */
	EXPECT(replaces("", "abc", "-", true, "-a-b-c-"));
	EXPECT(replaces("x*", "axb", "-", true, "-a--b-"));
	EXPECT(replaces("(a)(b)?", "ac", "[$1$2$0]", false, "[aa]c"));
	EXPECT(replaces("(a)", "a", "$12", false, "a2"));	/* no group 12: group 1 and a 2 */
	EXPECT(replaces("a", "a", "\\$\\\\\\x", false, "$\\x"));
	EXPECT(replaces("nothing", "abc", "$0", true, "abc"));
	EXPECT(replaces("(a+)(b+)", "aabbab", "$2$1", true, "bbaaba"));
	EXPECT(replaces("(a+?)(a*)", "aaa", "$1|$2", false, "a|aa"));
	EXPECT(replaces("(a|ab)(c|bcd)(d*)", "abcd", "$1,$2,$3", false, "a,bcd,"));
}

TEST(bad_replacements_are_noticed)
{
	static const char *const v[] = { "$", "$x", "${n}", "$2", "$9", "\\", "a\\", "$1$" };
	struct regex *re = compile("(a)");
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++)
		EXPECT(!regex_replacement_valid(re, slice_str(v[i])));
	EXPECT(regex_groups(re) == 1);
	regex_free(re);
}

/* What takes a backtracking matcher longer than the age of the world. A test that hangs is how it would show. */
TEST(time_does_not_explode)
{
	static const char *const v[] = { "(?:a|a)*(?:a|a)*(?:a|a)*b", "(?:(?:a+)+)+b", "a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a{16}b",
					 "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)b" };
	char text[REGEX_TEXT_MAX];
	struct regex_match m;
	size_t i;

	memset(text, 'a', sizeof(text));
	for (i = 0; i < ARRAY_LEN(v); i++) {
		struct regex *re = compile(v[i]);

		EXPECT(re != NULL);
		EXPECT(regex_search(re, slice_of(text, sizeof(text)), 0, true, &m) == RC_DENIED);
		regex_free(re);
	}
}

TEST(a_text_that_is_too_long_is_refused)
{
	static char text[REGEX_TEXT_MAX + 1];
	struct regex *re = compile("a");
	struct regex_match m;

	EXPECT(regex_search(re, slice_of(text, sizeof(text)), 0, false, &m) == RC_NO_ROOM);
	EXPECT(regex_search(re, slice_of(text, 1), 2, false, &m) == RC_NO_ROOM);
	regex_free(re);
}
