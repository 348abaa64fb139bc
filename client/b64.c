/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 without tables and without branches on the characters' values; see b64.h. */
#include "client/b64.h"

/* All ones when lo <= c <= hi, else zero; c, lo, hi are at most 255. */
static uint32_t in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
	uint32_t outside = ((c - lo) | (hi - c)) >> 31;	/* a borrow sets the top bit */

	return outside - 1;
}

static uint8_t digit_of(uint32_t v)
{
	uint32_t c = 0;

	c |= in_range(v, 0, 25) & (v + 'A');
	c |= in_range(v, 26, 51) & (v - 26 + 'a');
	c |= in_range(v, 52, 61) & (v - 52 + '0');
	c |= in_range(v, 62, 62) & '-';
	c |= in_range(v, 63, 63) & '_';
	return (uint8_t)c;
}

/* 0..63, or 255 for a character outside both alphabets. */
static uint32_t value_of(uint32_t c)
{
	uint32_t v = 0, known = 0;
	const struct {
		uint32_t lo, hi, base;
	} runs[] = {
		{ 'A', 'Z', 0 }, { 'a', 'z', 26 }, { '0', '9', 52 }, { '+', '+', 62 },
		{ '-', '-', 62 }, { '/', '/', 63 }, { '_', '_', 63 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(runs); i++) {
		uint32_t mask = in_range(c, runs[i].lo, runs[i].hi);

		v |= mask & (c - runs[i].lo + runs[i].base);
		known |= mask;
	}
	return (v & known) | (~known & 255);
}

void b64_write(struct buf *to, struct slice s)
{
	uint32_t bits = 0, have = 0;
	uint8_t c;
	size_t i;

	for (i = 0; i < s.len; i++) {
		bits = bits << 8 | s.p[i];
		for (have += 8; have >= 6; have -= 6) {
			c = digit_of(bits >> (have - 6) & 63);
			buf_put(to, &c, 1);
		}
	}
	if (have) {
		c = digit_of(bits << (6 - have) & 63);
		buf_put(to, &c, 1);
	}
	mem_wipe(&bits, sizeof(bits));
}

void b64_write_padded(struct buf *to, struct slice s)
{
	size_t i, start = to->len;

	b64_write(to, s);
	if (!buf_ok(to))
		return;
	for (i = start; i < to->len; i++)
		to->p[i] = to->p[i] == '-' ? '+' : to->p[i] == '_' ? '/' : to->p[i];
	for (i = s.len % 3; i % 3; i++)
		buf_str(to, "=");
}

/* "=" or "==" is allowed exactly where it completes a group of four. */
static bool strip_padding(struct slice *s)
{
	size_t n = 0;

	while (n < 2 && n < s->len && s->p[s->len - 1 - n] == '=')
		n++;
	if (n && s->len % 4 != 0)
		return false;
	s->len -= n;
	return s->len % 4 != 1;
}

enum rc b64_read(struct slice s, uint8_t *out, size_t max, size_t *len)
{
	uint32_t bits = 0, have = 0, bad = 0;
	size_t i, n = 0;

	if (!strip_padding(&s))
		return RC_BAD_INPUT;
	if (s.len / 4 * 3 + s.len % 4 * 3 / 4 > max)
		return RC_NO_ROOM;
	for (i = 0; i < s.len; i++) {
		uint32_t v = value_of(s.p[i]);

		bad |= v & 128;
		bits = bits << 6 | (v & 63);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	bad |= bits & ((1u << have) - 1);
	mem_wipe(&bits, sizeof(bits));
	if (bad) {
		mem_wipe(out, n);
		return RC_BAD_INPUT;
	}
	*len = n;
	return RC_OK;
}

static uint32_t nibble_of(uint32_t c)
{
	uint32_t d = in_range(c, '0', '9'), l = in_range(c, 'a', 'f'), u = in_range(c, 'A', 'F');

	return (d & (c - '0')) | (l & (c - 'a' + 10)) | (u & (c - 'A' + 10)) | (~(d | l | u) & 128);
}

enum rc hex_read(struct slice s, uint8_t *out, size_t max, size_t *len)
{
	uint32_t bad = 0;
	size_t i;

	if (s.len % 2 != 0)
		return RC_BAD_INPUT;
	if (s.len / 2 > max)
		return RC_NO_ROOM;
	for (i = 0; i < s.len / 2; i++) {
		uint32_t hi = nibble_of(s.p[2 * i]), lo = nibble_of(s.p[2 * i + 1]);

		bad |= (hi | lo) & 128;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	if (bad) {
		mem_wipe(out, s.len / 2);
		return RC_BAD_INPUT;
	}
	*len = s.len / 2;
	return RC_OK;
}
