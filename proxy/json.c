/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json.h"
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

static bool strict(struct slice s)
{
	bool text = false;
	size_t i;

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

/* Objects in requests are small; attributes may be many, which the body limit bounds. */
static bool twice(const cJSON *j, unsigned depth)
{
	const cJSON *a, *b;

	for (a = j->child; a; a = a->next) {
		if (cJSON_IsObject(j))
			for (b = j->child; b != a; b = b->next)
				if (strcmp(a->string, b->string) == 0)
					return true;
		if (depth && a->child && twice(a, depth - 1))
			return true;
	}
	return false;
}

/* Quadratic in the members of one object, so their number is bounded first. */
#define MEMBERS_MAX 2000

static bool too_many(const cJSON *j, unsigned depth)
{
	const cJSON *a;
	size_t n = 0;

	for (a = j->child; a; a = a->next) {
		if (cJSON_IsObject(j) && ++n > MEMBERS_MAX)
			return true;
		if (depth && a->child && too_many(a, depth - 1))
			return true;
	}
	return false;
}

cJSON *json_parse(struct slice body, enum json_fault *fault)
{
	const char *text = (const char *)body.p, *end;
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
	if (!strict(body))
		return NULL;
	j = cJSON_ParseWithLengthOpts(text, body.len, &end, false);
	if (!j) {
		if (end >= text + body.len - 1)
			*fault = JSON_CUT;
		return NULL;
	}
	if (!blank_only(end, text + body.len) || too_many(j, 1000)) {
		cJSON_Delete(j);
		return NULL;
	}
	if (twice(j, 1000)) {
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
