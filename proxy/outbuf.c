/* SPDX-License-Identifier: Apache-2.0 */
/* Growable output; see outbuf.h. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/outbuf.h"

#define FIRST_ROOM 256

void outbuf_free(struct outbuf *o)
{
	free(o->p);
	*o = (struct outbuf){ .max = o->max };
}

static uint8_t *fail(struct outbuf *o)
{
	o->failed = true;
	return NULL;
}

uint8_t *outbuf_grow(struct outbuf *o, size_t n)
{
	size_t need, room;
	uint8_t *p;

	if (o->failed || __builtin_add_overflow(o->len, n, &need) || (o->max && need > o->max))
		return fail(o);
	if (need <= o->room && o->p)
		return o->p + o->len;
	if (__builtin_mul_overflow(o->room, 2, &room) || room < need)
		room = need;
	if (room < FIRST_ROOM)
		room = FIRST_ROOM;
	if (o->max && room > o->max)
		room = o->max;
	p = realloc(o->p, room);
	if (!p)
		return fail(o);
	o->p = p;
	o->room = room;
	return p + o->len;
}

void outbuf_u64(struct outbuf *o, uint64_t v)
{
	uint8_t text[20], *p = text + sizeof(text);

	do {
		*--p = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	outbuf_put(o, p, (size_t)(text + sizeof(text) - p));
}

void outbuf_i64(struct outbuf *o, int64_t v)
{
	if (v < 0)
		outbuf_put(o, "-", 1);
	outbuf_u64(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void outbuf_printf(struct outbuf *o, const char *format, ...)
{
	va_list args;
	uint8_t *to;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		fail(o);
		return;
	}
	to = outbuf_room(o, (size_t)n + 1);
	if (!to)
		return;
	va_start(args, format);
	vsnprintf((char *)to, (size_t)n + 1, format, args);
	va_end(args);
	outbuf_used(o, (size_t)n);
}

/*
 * The length of the UTF-8 sequence at p (2 to 4), or 0 with *skip set to the bytes that one U+FFFD
 * stands for: as many as could have begun a well-formed sequence, at least one.
 */
static size_t utf8_len(const uint8_t *p, size_t left, size_t *skip)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n, i;

	*skip = 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* overlong */
	if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	if (p[0] == 0xf0)
		low = 0x90; /* overlong */
	if (p[0] == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	for (i = 1; i < n; i++) {
		if (i >= left || p[i] < low || p[i] > high) {
			*skip = i;
			return 0;
		}
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

static void json_escape(struct outbuf *o, uint8_t c)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char letter[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
	char text[6] = { '\\', 'u', '0', '0' };

	if (letter[c]) {
		text[1] = letter[c];
		outbuf_put(o, text, 2);
		return;
	}
	text[4] = hex[c >> 4];
	text[5] = hex[c & 15];
	outbuf_put(o, text, 6);
}

void outbuf_json(struct outbuf *o, struct slice s)
{
	struct cursor in = cur_of(s.p, s.len);
	const uint8_t *p = in.at, *end = p + in.left, *run = p;
	size_t n, skip;

	outbuf_put(o, "\"", 1);
	while (p < end) {
		if (*p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
			p++;
			continue;
		}
		if (*p >= 0x80) {
			n = utf8_len(p, (size_t)(end - p), &skip);
			if (n) {
				p += n;
				continue;
			}
			outbuf_put(o, run, (size_t)(p - run));
			outbuf_put(o, "\xef\xbf\xbd", 3);
			p += skip;
		} else {
			outbuf_put(o, run, (size_t)(p - run));
			json_escape(o, *p);
			p++;
		}
		run = p;
	}
	outbuf_put(o, run, (size_t)(p - run));
	outbuf_put(o, "\"", 1);
}
