/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line options, described by tables. The tables also make help, man page and completion
 * (help.c), so nothing can be accepted that is not documented.
 */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include "client/buf.h"

enum opt_kind {
	OPT_END = 0,	/* the last row of a table */
	OPT_FLAG,
	OPT_TEXT,
	OPT_NUMBER,	/* decimal, min..max */
	OPT_CHOICE,	/* one of `values`, separated by spaces */
	OPT_FILE,
	OPT_DIR,
};

struct opt {
	const char *name;	/* without the dashes */
	char letter;		/* short form, or 0 */
	enum opt_kind kind;
	const char *arg;	/* name of the value in help; NULL for a flag */
	const char *help;	/* one line */
	const char *values;	/* OPT_CHOICE only */
	uint64_t min, max;	/* OPT_NUMBER only */
	bool many;		/* may be given more than once */
};

#define ARGS_MAX 64		/* options given */
#define ARGS_WORDS_MAX 256	/* other words given */

struct args {
	const struct opt *tables[2];	/* where names are looked up; the second may be NULL */
	struct {
		const struct opt *opt;
		const char *value;	/* points into argv; NULL for a flag */
		uint64_t number;
	} given[ARGS_MAX];
	size_t count;
	const char *words[ARGS_WORDS_MAX];	/* point into argv */
	size_t nwords;
	char why[256];		/* after a failure: what is wrong, for the user */
};

/*
 * Reads argv[*at..argc). With stop_at_word it stops before the first word that is no option and
 * leaves *at there. RC_BAD_INPUT: args->why says what is wrong.
 */
enum rc args_parse(struct args *a, int argc, char *const *argv, int *at, bool stop_at_word);

/* Last value given, or the fallback. The name must be in one of the tables: asking else is our bug. */
bool args_has(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name, const char *fallback);
uint64_t args_number(const struct args *a, const char *name, uint64_t fallback);

/* The values of an option that may be repeated: starts with *i = 0, NULL at the end. */
const char *args_each(const struct args *a, const char *name, size_t *i);

/* Decimal digits only. False when there are others, none, or the value is outside min..max. */
MUST_CHECK bool args_decimal(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* The option of that name in a table, or NULL. */
const struct opt *args_find(const struct opt *table, const char *name, size_t len);

#endif
