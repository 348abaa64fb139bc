/* SPDX-License-Identifier: Apache-2.0 */
/* Options by table; see args.h. The command line is the user's own, but unknown and odd words are refused. */
#include <stdio.h>

#include "client/args.h"
#include "client/text.h"

const struct opt *args_find(const struct opt *table, const char *name, size_t len)
{
	for (; table && table->kind != OPT_END; table++) {
		if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
			return table;
	}
	return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (; table && table->kind != OPT_END; table++) {
		if (table->letter && table->letter == letter)
			return table;
	}
	return NULL;
}

static const struct opt *find(const struct args *a, const char *name, size_t len)
{
	const struct opt *o = args_find(a->tables[0], name, len);

	return o ? o : args_find(a->tables[1], name, len);
}

static void unknown_option(struct args *a, const char *name, size_t len)
{
	const struct opt *best = NULL, *o;
	unsigned best_distance = 3, d;
	char word[32];
	size_t i;

	snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), name);
	for (i = 0; i < ARRAY_LEN(a->tables); i++) {
		for (o = a->tables[i]; o && o->kind != OPT_END; o++) {
			d = text_edits(word, o->name);
			if (d < best_distance) {
				best = o;
				best_distance = d;
			}
		}
	}
	if (best)
		snprintf(a->why, sizeof(a->why), "unknown option --%s; did you mean --%s?", word, best->name);
	else
		snprintf(a->why, sizeof(a->why), "unknown option --%s", word);
}

bool args_decimal(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	}
	if (n < min || n > max)
		return false;
	*out = n;
	return true;
}

static bool is_choice(const char *values, const char *word)
{
	size_t len = strlen(word), n;

	for (; *values; values += n + (values[n] == ' ')) {
		n = strcspn(values, " ");
		if (n == len && memcmp(values, word, n) == 0)
			return true;
	}
	return false;
}

static bool given_before(const struct args *a, const struct opt *o)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (a->given[i].opt == o)
			return true;
	}
	return false;
}

static enum rc keep(struct args *a, const struct opt *o, const char *value)
{
	uint64_t number = 0;

	if (!o->many && given_before(a, o)) {
		snprintf(a->why, sizeof(a->why), "--%s is given twice", o->name);
		return RC_BAD_INPUT;
	}
	if (a->count == ARGS_MAX) {
		snprintf(a->why, sizeof(a->why), "more than %d options", ARGS_MAX);
		return RC_BAD_INPUT;
	}
	if (o->kind == OPT_NUMBER && !args_decimal(value, o->min, o->max, &number)) {
		snprintf(a->why, sizeof(a->why), "--%s must be a number from %llu to %llu", o->name,
			 (unsigned long long)o->min, (unsigned long long)o->max);
		return RC_BAD_INPUT;
	}
	if (o->kind == OPT_CHOICE && !is_choice(o->values, value)) {
		snprintf(a->why, sizeof(a->why), "--%s must be one of: %s", o->name, o->values);
		return RC_BAD_INPUT;
	}
	a->given[a->count].opt = o;
	a->given[a->count].value = value;
	a->given[a->count].number = number;
	a->count++;
	return RC_OK;
}

/* Finds the option that a word names, and the value inside of it ("--name=value"), if any. */
static const struct opt *recognise(struct args *a, const char *word, const char **value)
{
	const struct opt *o;
	size_t len;

	*value = NULL;
	if (word[1] != '-') {
		o = find_letter(a->tables[0], word[1]);
		o = o ? o : find_letter(a->tables[1], word[1]);
		if (!o || word[2]) {
			snprintf(a->why, sizeof(a->why), "unknown option %.32s", word);
			return NULL;
		}
		return o;
	}
	len = strcspn(word + 2, "=");
	o = find(a, word + 2, len);
	if (!o) {
		unknown_option(a, word + 2, len);
		return NULL;
	}
	if (word[2 + len] == '=')
		*value = word + 2 + len + 1;
	return o;
}

static enum rc take_option(struct args *a, int argc, char *const *argv, int *at)
{
	const char *value;
	const struct opt *o = recognise(a, argv[*at], &value);

	if (!o)
		return RC_BAD_INPUT;
	++*at;
	if (o->kind == OPT_FLAG && value) {
		snprintf(a->why, sizeof(a->why), "--%s takes no value", o->name);
		return RC_BAD_INPUT;
	}
	if (o->kind != OPT_FLAG && !value) {
		if (*at >= argc) {
			snprintf(a->why, sizeof(a->why), "--%s needs a value: %s", o->name, o->arg);
			return RC_BAD_INPUT;
		}
		value = argv[(*at)++];
	}
	return keep(a, o, value);
}

enum rc args_parse(struct args *a, int argc, char *const *argv, int *at, bool stop_at_word)
{
	bool options = true;

	while (*at < argc) {
		const char *word = argv[*at];

		if (options && word[0] == '-' && word[1]) {
			if (strcmp(word, "--") == 0) {
				options = false;
				++*at;
				continue;
			}
			if (take_option(a, argc, argv, at) != RC_OK)
				return RC_BAD_INPUT;
			continue;
		}
		if (stop_at_word)
			return RC_OK;
		if (a->nwords == ARGS_WORDS_MAX) {
			snprintf(a->why, sizeof(a->why), "too many arguments");
			return RC_BAD_INPUT;
		}
		a->words[a->nwords++] = word;
		++*at;
	}
	return RC_OK;
}

static size_t last_given(const struct args *a, const char *name)
{
	const struct opt *o = find(a, name, strlen(name));
	size_t i;

	INVARIANT(o != NULL);
	for (i = a->count; i > 0; i--) {
		if (a->given[i - 1].opt == o)
			return i;
	}
	return 0;
}

bool args_has(const struct args *a, const char *name)
{
	return last_given(a, name) != 0;
}

const char *args_text(const struct args *a, const char *name, const char *fallback)
{
	size_t i = last_given(a, name);

	return i ? a->given[i - 1].value : fallback;
}

uint64_t args_number(const struct args *a, const char *name, uint64_t fallback)
{
	size_t i = last_given(a, name);

	return i ? a->given[i - 1].number : fallback;
}

const char *args_each(const struct args *a, const char *name, size_t *i)
{
	const struct opt *o = find(a, name, strlen(name));

	INVARIANT(o != NULL);
	while (*i < a->count) {
		size_t k = (*i)++;

		if (a->given[k].opt == o)
			return a->given[k].value;
	}
	return NULL;
}
