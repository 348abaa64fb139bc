/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted text made fit for terminals; see text.h. */
#include "client/text.h"

#define DISTANCE_MAX 64

/* One well-formed UTF-8 character (RFC 3629); moves only on success. */
static bool take_char(struct cursor *c, uint32_t *out)
{
	static const struct {
		uint8_t mask, lead;
		uint8_t more;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0, 0 },
		{ 0xe0, 0xc0, 1, 0x80 },
		{ 0xf0, 0xe0, 2, 0x800 },
		{ 0xf8, 0xf0, 3, 0x10000 },
	};
	struct cursor t = *c;
	uint8_t b, next;
	uint32_t v;
	size_t i, k;

	if (!cur_u8(&t, &b))
		return false;
	for (i = 0; i < ARRAY_LEN(forms) && (b & forms[i].mask) != forms[i].lead; i++)
		;
	if (i == ARRAY_LEN(forms))
		return false;
	v = b & (uint8_t)~forms[i].mask;
	for (k = 0; k < forms[i].more; k++) {
		if (!cur_u8(&t, &next) || (next & 0xc0) != 0x80)
			return false;
		v = v << 6 | (next & 0x3f);
	}
	if (v < forms[i].least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return false;
	*out = v;
	*c = t;
	return true;
}

/* Characters that act on the display instead of being shown. */
static bool acts_on_display(uint32_t v)
{
	static const struct {
		uint32_t lo, hi;
	} ranges[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(ranges); i++) {
		if (v >= ranges[i].lo && v <= ranges[i].hi)
			return true;
	}
	return false;
}

static void clean(struct buf *to, struct slice s, bool json)
{
	struct cursor c = cur_of(s.p, s.len);

	while (!cur_end(&c) && buf_ok(to)) {
		const uint8_t *start = c.at;
		uint32_t v;
		uint8_t b;

		if (!take_char(&c, &v)) {
			if (!cur_u8(&c, &b))
				return;
			if (json)
				buf_str(to, "\\ufffd");
			else
				buf_fmt(to, "\\x%02x", b);
		} else if (acts_on_display(v)) {
			buf_fmt(to, v > 0xff || json ? "\\u%04x" : "\\x%02x", v);
		} else {
			buf_put(to, start, (size_t)(c.at - start));
		}
	}
}

void text_safe(struct buf *to, struct slice s)
{
	clean(to, s, false);
}

void text_safe_json(struct buf *to, struct slice s)
{
	clean(to, s, true);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_edits(const char *a, const char *b)
{
	unsigned d[DISTANCE_MAX + 1][DISTANCE_MAX + 1];
	size_t n = strnlen(a, DISTANCE_MAX), m = strnlen(b, DISTANCE_MAX), i, j;

	for (i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (i = 1; i <= n; i++) {
		for (j = 1; j <= m; j++) {
			unsigned v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			v = least(v, d[i - 1][j] + 1);
			v = least(v, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				v = least(v, d[i - 2][j - 2] + 1);
			d[i][j] = v;
		}
	}
	return d[n][m];
}
