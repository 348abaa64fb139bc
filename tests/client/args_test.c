/* SPDX-License-Identifier: Apache-2.0 */
#include "client/args.h"
#include "tests/test.h"

static const struct opt opts[] = {
	{ .name = "length", .kind = OPT_NUMBER, .arg = "N", .help = "", .min = 8, .max = 256 },
	{ .name = "cipher", .kind = OPT_CHOICE, .arg = "C", .help = "", .values = "one two" },
	{ .name = "attr", .kind = OPT_TEXT, .arg = "K=V", .help = "", .many = true },
	{ .name = "yes", .letter = 'y', .kind = OPT_FLAG, .help = "" },
	{ 0 },
};

static struct args a;

static enum rc parse(char *const *argv)
{
	int argc = 0, at = 0;

	while (argv[argc])
		argc++;
	memset(&a, 0, sizeof(a));
	a.tables[0] = opts;
	return args_parse(&a, argc, argv, &at, false);
}

#define PARSE(...) parse((char *const[]){ __VA_ARGS__, NULL })

TEST(options_and_words_may_be_mixed)
{
	size_t i = 0;

	EXPECT(PARSE("--length", "128", "name", "--attr=a=b", "-y", "--attr", "c=", "--", "--yes") == RC_OK);
	EXPECT_INT(args_number(&a, "length", 0), 128);
	EXPECT_INT(a.nwords, 2);
	EXPECT_STR(a.words[0], "name");
	EXPECT_STR(a.words[1], "--yes");
	EXPECT(args_has(&a, "yes"));
	EXPECT_STR(args_each(&a, "attr", &i), "a=b");
	EXPECT_STR(args_each(&a, "attr", &i), "c=");
	EXPECT(args_each(&a, "attr", &i) == NULL);
	EXPECT_STR(args_text(&a, "cipher", "none"), "none");
	EXPECT(PARSE("-") == RC_OK);
	EXPECT_STR(a.words[0], "-");
}

TEST(an_unknown_option_is_refused_with_a_suggestion)
{
	EXPECT(PARSE("--lenght", "1") == RC_BAD_INPUT);
	EXPECT(strstr(a.why, "did you mean --length?") != NULL);
	EXPECT(PARSE("--completely-different") == RC_BAD_INPUT);
	EXPECT(strstr(a.why, "did you mean") == NULL);
	EXPECT(PARSE("-x") == RC_BAD_INPUT);
	EXPECT(PARSE("-yx") == RC_BAD_INPUT);
	EXPECT(PARSE("--len", "8") == RC_BAD_INPUT);
}

TEST(values_are_checked_where_they_are_given)
{
	static char *const bad[][3] = {
		{ "--length", "7", NULL },
		{ "--length", "257", NULL },
		{ "--length", "", NULL },
		{ "--length", "-8", NULL },
		{ "--length", "0x10", NULL },
		{ "--length", " 8", NULL },
		{ "--length", "18446744073709551624", NULL },
		{ "--length", NULL, NULL },
		{ "--cipher", "on", NULL },
		{ "--cipher", "one two", NULL },
		{ "--cipher", "", NULL },
		{ "--yes=1", NULL, NULL },
		{ "--yes", "-y", NULL },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(parse(bad[i]) == RC_BAD_INPUT && a.why[0]);
	EXPECT(PARSE("--length", "8", "--length", "8") == RC_BAD_INPUT);
	EXPECT(PARSE("--cipher", "two") == RC_OK);
}

TEST(more_words_or_options_than_there_is_room_for_are_refused)
{
	char *many[ARGS_MAX + ARGS_WORDS_MAX + 3] = { 0 };
	char word[] = "w", attr[] = "--attr=x";
	size_t i;

	for (i = 0; i < ARGS_WORDS_MAX + 1; i++)
		many[i] = word;
	EXPECT(parse(many) == RC_BAD_INPUT);
	memset(many, 0, sizeof(many));
	for (i = 0; i < ARGS_MAX + 1; i++)
		many[i] = attr;
	EXPECT(parse(many) == RC_BAD_INPUT);
	many[ARGS_MAX] = NULL;
	EXPECT(parse(many) == RC_OK);
}
