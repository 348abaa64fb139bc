/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, escaping, form decoding, edit distance; see text.h. */
#include "proxy/text.h"

#include <limits.h>
#include <strings.h>

/* Lead byte -> length, smallest code point of that length (overlong forms are refused). */
static size_t lead(uint8_t b, uint32_t *bits, uint32_t *least)
{
	if (b < 0x80) {
		*bits = b;
		*least = 0;
		return 1;
	}
	if (b >= 0xc2 && b <= 0xdf) {
		*bits = b & 0x1f;
		*least = 0x80;
		return 2;
	}
	if ((b & 0xf0) == 0xe0) {
		*bits = b & 0x0f;
		*least = 0x800;
		return 3;
	}
	if (b >= 0xf0 && b <= 0xf4) {
		*bits = b & 0x07;
		*least = 0x10000;
		return 4;
	}
	return 0;
}

bool text_utf8(struct cursor *c, uint32_t *cp)
{
	uint32_t v, least;
	struct cursor t = *c;
	const uint8_t *p;
	size_t n, i;

	INVARIANT(c->left > 0);
	n = lead(*c->at, &v, &least);
	*cp = *c->at;
	c->at++;
	c->left--;
	if (n == 0 || !cur_take(&t, n, &p))
		return false;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return false;
	*cp = v;
	*c = t;
	return true;
}

#define REPLACEMENT "\xef\xbf\xbd"

void text_json(FILE *f, struct slice s)
{
	static const char names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	struct cursor c = cur_of(s.p, s.len);

	fputc('"', f);
	while (c.left) {
		const uint8_t *from = c.at;
		const char *e;
		uint32_t cp;

		if (!text_utf8(&c, &cp)) {
			fputs(REPLACEMENT, f);
			continue;
		}
		for (e = names; *e && (uint8_t)*e != cp; e += 2)
			;
		if (*e)
			fprintf(f, "\\%c", e[1]);
		else if (cp < 0x20 || cp == 0x7f)
			fprintf(f, "\\u%04x", (unsigned)cp);
		else
			fwrite(from, 1, (size_t)(c.at - from), f);
	}
	fputc('"', f);
}

void text_xml(FILE *f, struct slice s)
{
	struct cursor c = cur_of(s.p, s.len);

	while (c.left) {
		const uint8_t *from = c.at;
		uint32_t cp;

		if (!text_utf8(&c, &cp) || (cp < 0x20 && cp != '\n' && cp != '\t' && cp != '\r') ||
		    cp == 0xfffe || cp == 0xffff)
			fputs(REPLACEMENT, f);
		else if (cp == '&')
			fputs("&amp;", f);
		else if (cp == '<')
			fputs("&lt;", f);
		else if (cp == '>')
			fputs("&gt;", f);
		else if (cp == '"')
			fputs("&quot;", f);
		else if (cp == '\r') /* a reader would turn it into a newline */
			fputs("&#13;", f);
		else
			fwrite(from, 1, (size_t)(c.at - from), f);
	}
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One decoded byte; false at a malformed escape. The cursor must not be at its end. */
MUST_CHECK static bool form_byte(struct cursor *c, uint8_t *out)
{
	int hi, lo;

	if (!cur_u8(c, out))
		return false;
	if (*out == '+')
		*out = ' ';
	if (*out != '%')
		return true;
	if (c->left < 2)
		return false;
	hi = nibble(c->at[0]);
	lo = nibble(c->at[1]);
	if (hi < 0 || lo < 0)
		return false;
	*out = (uint8_t)(hi << 4 | lo);
	c->at += 2;
	c->left -= 2;
	return true;
}

bool text_form_decode(struct slice s, char *out, size_t max, size_t *len)
{
	struct cursor c = cur_of(s.p, s.len);
	size_t n = 0;

	while (c.left) {
		uint8_t b;

		if (n == max || !form_byte(&c, &b))
			return false;
		out[n++] = (char)b;
	}
	*len = n;
	return true;
}

bool text_query_find(struct slice query, const char *name, struct slice *value)
{
	struct cursor c = cur_of(query.p, query.len);

	while (c.left) {
		const uint8_t *end = memchr(c.at, '&', c.left);
		size_t n = end ? (size_t)(end - c.at) : c.left;
		const uint8_t *p, *eq;
		char got[64];
		size_t len;

		if (!cur_take(&c, n, &p))
			return false;
		if (end) {
			c.at++;
			c.left--;
		}
		eq = memchr(p, '=', n);
		if (!text_form_decode(slice_of(p, eq ? (size_t)(eq - p) : n), got, sizeof(got), &len) ||
		    !slice_is(slice_of(got, len), name))
			continue;
		*value = eq ? slice_of(eq + 1, n - (size_t)(eq + 1 - p)) : slice_of(p + n, 0);
		return true;
	}
	return false;
}

struct slice text_trim(struct slice s)
{
	while (s.len && s.p[0] <= ' ') {
		s.p++;
		s.len--;
	}
	while (s.len && s.p[s.len - 1] <= ' ')
		s.len--;
	return s;
}

bool text_is_nocase(struct slice s, const char *t)
{
	return s.len == strlen(t) && strncasecmp((const char *)s.p, t, s.len) == 0;
}

unsigned text_distance(struct slice a, struct slice b)
{
	unsigned row[257], diag, up;
	size_t i, j;

	if (a.len > 256 || b.len > 256)
		return UINT_MAX;
	for (j = 0; j <= b.len; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= a.len; i++) {
		diag = row[0];
		row[0] = (unsigned)i;
		for (j = 1; j <= b.len; j++) {
			up = row[j];
			diag += a.p[i - 1] != b.p[j - 1];
			if (up + 1 < diag)
				diag = up + 1;
			if (row[j - 1] + 1 < diag)
				diag = row[j - 1] + 1;
			row[j] = diag;
			diag = up;
		}
	}
	return row[b.len];
}
