/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core makes of regular expressions and name rules, line by line, for tests/names/suite to compare with Java.
 * Fields are hex, "-" if empty:   R pattern text replacement   or   N hadoop|mit realm rules principal
 */
#include <stdio.h>
#include <stdlib.h>

#include "service/names.h"
#include "service/regex.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

static struct slice unhex(char *field)
{
	size_t i, n = strcmp(field, "-") == 0 ? 0 : strlen(field) / 2;

	for (i = 0; i < n; i++) {
		char two[3] = { field[2 * i], field[2 * i + 1], 0 };

		field[i] = (char)strtoul(two, NULL, 16);
	}
	return slice_of(field, n);
}

static void put(const char *p, size_t len)
{
	size_t i;

	printf(" ");
	if (!len)
		printf("-");
	for (i = 0; i < len; i++)
		printf("%02x", (unsigned char)p[i]);
}

static void regex(struct slice pattern, struct slice text, struct slice to)
{
	char out[8192];
	struct regex_match m;
	struct regex *re;
	const char *why;
	unsigned i;
	size_t len;
	int all;

	if (regex_compile(pattern, &re, &why) != RC_OK) {
		printf("refused %s\n", why);
		return;
	}
	printf("%d", regex_search(re, text, 0, true, &m) == RC_OK);
	if (regex_search(re, text, 0, false, &m) == RC_OK)
		for (i = 0; i <= regex_groups(re); i++)
			printf(" %d:%d", m.at[i] == REGEX_NONE ? -1 : m.at[i], m.end[i] == REGEX_NONE ? -1 : m.end[i]);
	for (all = 0; all < 2; all++) {
		if (!regex_replacement_valid(re, to))
			printf(" bad");
		else if (regex_replace(re, text, to, all, out, sizeof(out), &len) != RC_OK)
			printf(" long");
		else
			put(out, len);
	}
	printf("\n");
	regex_free(re);
}

static void names(bool mit, struct slice realm, struct slice rules, struct slice principal)
{
	struct name_rules *n;
	const char *why;
	char out[4096];
	size_t len;

	if (names_parse(rules, mit, realm, &n, &why) != RC_OK) {
		printf("refused %s\n", why);
		return;
	}
	if (names_map(n, principal, out, sizeof(out), &len) == RC_OK)
		put(out, len);
	else
		printf("denied");
	printf("\n");
	names_free(n);
}

int main(void)
{
	static char line[65536];
	char *f[5];
	size_t n;

	while (fgets(line, sizeof(line), stdin)) {
		char *save, *t = strtok_r(line, " \n", &save);

		for (n = 0; t && n < 5; t = strtok_r(NULL, " \n", &save))
			f[n++] = t;
		if (n == 4 && *f[0] == 'R')
			regex(unhex(f[1]), unhex(f[2]), unhex(f[3]));
		else if (n == 5 && *f[0] == 'N')
			names(*f[1] == 'm', unhex(f[2]), unhex(f[3]), unhex(f[4]));
		else
			return 2;
	}
	return 0;
}
