/* SPDX-License-Identifier: Apache-2.0 */
/* See json.h. Everything is checked on the bytes before cJSON sees them, or on its tree before anybody uses it. */
#include "proxy/json.h"

#include <stdlib.h>

#include "proxy/text.h"

static bool utf8_valid(struct slice s)
{
	struct cursor c = cur_of(s.p, s.len);
	size_t i = 0;
	uint32_t cp;

	while (i < s.len && s.p[i] < 0x80)	/* the usual case */
		i++;
	if (i == s.len)
		return true;
	while (c.left)
		if (!text_utf8(&c, &cp))
			return false;
	return true;
}

/* The escape, or the byte itself. */
static bool has_nul(struct slice s)
{
	static const char escape[] = "\\u0000";

	return memchr(s.p, 0, s.len) || memmem(s.p, s.len, escape, sizeof(escape) - 1);
}

/*
 * A value takes far more memory as a tree than as text, so their number is bounded before there is a tree. A
 * batch of encrypted keys, the largest request, has seven a key.
 */
#define JSON_VALUES_MAX (1u << 18)

/*
 * What cJSON lets pass: control characters inside texts, numbers such as 01, +1, .5 or 1.0e. One walk over
 * the bytes, outside and inside of texts.
 */
static bool number_ok(struct slice s)
{
	size_t i = 0, digits;

	if (i < s.len && s.p[i] == '-')
		i++;
	for (digits = i; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		;
	if (i == digits || (i - digits > 1 && s.p[digits] == '0'))
		return false;
	if (i < s.len && s.p[i] == '.') {
		for (digits = ++i; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			;
		if (i == digits)
			return false;
	}
	if (i < s.len && (s.p[i] | 0x20) == 'e') {
		i++;
		if (i < s.len && (s.p[i] == '+' || s.p[i] == '-'))
			i++;
		for (digits = i; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			;
		if (i == digits)
			return false;
	}
	return i == s.len;
}

static bool strict(struct slice s, size_t *values)
{
	bool text = false;
	size_t i;

	*values = 1;

	for (i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (text) {
			if (c < ' ')
				return false;
			if (c == '\\')
				i++;
			else if (c == '"')
				text = false;
		} else if (c == '"') {
			text = true;
		} else if (c == ',' || c == '[' || c == '{') {
			++*values;
		} else if (c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9')) {
			size_t from = i;

			while (i + 1 < s.len && memchr("+-.0123456789eE", s.p[i + 1], 15))
				i++;
			if (!number_ok(slice_of(s.p + from, i + 1 - from)))
				return false;
		}
	}
	return true;
}

static bool blank_only(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p == end;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Does the object have a name twice? Sorted where there are many: the time must not be their square. */
static bool object_twice(const cJSON *j)
{
	const char *few[16], **name = few;
	size_t n = (size_t)cJSON_GetArraySize(j), i = 0;
	const cJSON *a;
	bool same = false;

	if (n > ARRAY_LEN(few) && !(name = calloc(n, sizeof(*name))))
		return true;
	for (a = j->child; a; a = a->next)
		name[i++] = a->string;
	qsort(name, n, sizeof(*name), by_name);
	for (i = 1; i < n && !same; i++)
		same = strcmp(name[i - 1], name[i]) == 0;
	if (name != few)
		free(name);
	return same;
}

/* As deep as cJSON lets it be. */
static bool twice(const cJSON *j)
{
	const cJSON *a;

	if (cJSON_IsObject(j) && object_twice(j))
		return true;
	for (a = j->child; a; a = a->next)
		if (a->child && twice(a))
			return true;
	return false;
}

cJSON *json_parse(struct slice body, enum json_fault *fault)
{
	const char *text = (const char *)body.p, *end;
	size_t values;
	cJSON *j;

	*fault = JSON_EMPTY;
	if (blank_only(text, text + body.len))
		return NULL;
	*fault = JSON_NUL;
	if (has_nul(body))
		return NULL;
	*fault = JSON_UTF8;
	if (!utf8_valid(body))
		return NULL;
	*fault = JSON_SYNTAX;
	if (!strict(body, &values))
		return NULL;
	*fault = JSON_MANY;
	if (values > JSON_VALUES_MAX)
		return NULL;
	*fault = JSON_SYNTAX;
	j = cJSON_ParseWithLengthOpts(text, body.len, &end, false);
	if (!j) {
		if (end >= text + body.len - 1)
			*fault = JSON_CUT;
		return NULL;
	}
	if (!blank_only(end, text + body.len)) {
		cJSON_Delete(j);
		return NULL;
	}
	if (twice(j)) {
		*fault = JSON_TWICE;
		cJSON_Delete(j);
		return NULL;
	}
	*fault = JSON_FINE;
	return j;
}

const char *json_fault_text(enum json_fault f)
{
	static const char *const text[] = {
		[JSON_FINE] = "",
		[JSON_EMPTY] = "No content to map due to end-of-input",
		[JSON_CUT] = "The request's JSON ends too early",
		[JSON_SYNTAX] = "The request's body is not one JSON value",
		[JSON_MANY] = "The request's JSON has too many values",
		[JSON_TWICE] = "The request's JSON has the same member twice",
		[JSON_NUL] = "NUL characters are not accepted in the request's JSON",
		[JSON_UTF8] = "The request's body is not valid UTF-8",
	};

	return text[f];
}

const cJSON *json_member(const cJSON *object, const char *name)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);

	return m && !cJSON_IsNull(m) ? m : NULL;
}

/* ---- the short way ---- */

static uint8_t after_blanks(struct cursor *c)
{
	while (c->left && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) {
		c->at++;
		c->left--;
	}
	return c->left ? *c->at : 0;
}

MUST_CHECK static bool take_mark(struct cursor *c, uint8_t mark)
{
	uint8_t got;

	return after_blanks(c) == mark && cur_u8(c, &got);
}

MUST_CHECK static bool take_plain(struct cursor *c, struct slice *out)
{
	size_t n = 0;
	uint8_t quote;

	if (!take_mark(c, '"'))
		return false;
	while (n < c->left && c->at[n] >= ' ' && c->at[n] < 0x7f && c->at[n] != '"' && c->at[n] != '\\')
		n++;
	return cur_sub(c, n, out) && cur_u8(c, &quote) && quote == '"';
}

bool json_flat(struct slice body, struct json_flat *out)
{
	struct cursor c = cur_of(body.p, body.len);
	struct slice known;
	uint8_t mark = ',';

	out->count = 0;
	if (!take_mark(&c, '{'))
		return false;
	while (mark == ',') {
		size_t n = out->count, i;

		if (n == JSON_FLAT_MAX || !take_plain(&c, &out->member[n].name) || !take_mark(&c, ':') ||
		    !take_plain(&c, &out->member[n].value))
			return false;
		known = out->member[n].name;
		for (i = 0; i < n; i++)
			if (slice_eq(out->member[i].name, known))
				return false;
		out->count++;
		(void)after_blanks(&c);
		if (!cur_u8(&c, &mark))
			return false;
	}
	(void)after_blanks(&c);
	return mark == '}' && cur_end(&c);
}

bool json_flat_get(const struct json_flat *j, const char *name, struct slice *out)
{
	size_t i;

	for (i = 0; i < j->count; i++)
		if (slice_is(j->member[i].name, name)) {
			*out = j->member[i].value;
			return true;
		}
	*out = slice_of("", 0);
	return false;
}
