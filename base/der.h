/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DER, as much as Kerberos and SPNEGO need: reading by cursors, strictly (definite lengths in their shortest form, no
 * long tags), and writing from the back, so that a length is known when it is written. No recursion: each caller
 * goes down the levels that its format has.
 */
#ifndef BASE_DER_H
#define BASE_DER_H

#include "base/cursor.h"

#define DER_INT 0x02
#define DER_BITS 0x03
#define DER_OCTETS 0x04
#define DER_OID 0x06
#define DER_ENUM 0x0a
#define DER_TIME 0x18
#define DER_STRING 0x1b
#define DER_SEQ 0x30
#define DER_APP(n) (0x60 + (n))
#define DER_CTX(n) (0xa0 + (n))

/* One element of that tag; its content in *in. */
MUST_CHECK static inline bool der_take(struct cursor *c, uint8_t tag, struct cursor *in)
{
	struct cursor t = *c;
	const uint8_t *p;
	uint8_t got, b, n;
	size_t len;

	if (!cur_u8(&t, &got) || got != tag || !cur_u8(&t, &b))
		return false;
	len = b;
	if (b >= 0x80) {
		n = b & 0x7f;
		if (n == 0 || n > 3)	/* indefinite; or more than any message may have */
			return false;
		for (len = 0; n; n--) {
			if (!cur_u8(&t, &b) || (len == 0 && b == 0))
				return false;
			len = len << 8 | b;
		}
		if (len < 0x80)
			return false;
		if (len < 0x100 && c->at[1] != 0x81)
			return false;
	}
	if (!cur_take(&t, len, &p))
		return false;
	*in = cur_of(p, len);
	*c = t;
	return true;
}

MUST_CHECK static inline bool der_is(const struct cursor *c, uint8_t tag)
{
	return c->left && c->at[0] == tag;
}

/* The element inside a context tag: [n] EXPLICIT; nothing else may be in it. */
MUST_CHECK static inline bool der_field(struct cursor *c, unsigned n, uint8_t tag, struct cursor *in)
{
	struct cursor t = *c, outer;

	if (!der_take(&t, (uint8_t)DER_CTX(n), &outer) || !der_take(&outer, tag, in) || !cur_end(&outer))
		return false;
	*c = t;
	return true;
}

/* The same if it is there; *in is empty if not. */
MUST_CHECK static inline bool der_maybe(struct cursor *c, unsigned n, uint8_t tag, struct cursor *in)
{
	*in = cur_of(NULL, 0);
	return !der_is(c, (uint8_t)DER_CTX(n)) || der_field(c, n, tag, in);
}

/* An integer of up to 40 bits, in its shortest form: what 32 bits with or without sign need. */
MUST_CHECK static inline bool der_number(struct cursor in, int64_t *out)
{
	int64_t v;

	if (in.left == 0 || in.left > 5)
		return false;
	if (in.left > 1 && ((in.at[0] == 0 && in.at[1] < 0x80) || (in.at[0] == 0xff && in.at[1] >= 0x80)))
		return false;
	v = in.at[0] & 0x80 ? -1 : 0;
	for (; in.left; in.at++, in.left--)
		v = (int64_t)((uint64_t)v << 8 | in.at[0]);
	*out = v;
	return true;
}

MUST_CHECK static inline bool der_int(struct cursor *c, unsigned n, int64_t *out)
{
	struct cursor in;

	return der_field(c, n, DER_INT, &in) && der_number(in, out);
}

static inline struct slice der_slice(struct cursor in)
{
	return slice_of(in.at, in.left);
}

/* A buffer that is filled from its end. Once full it stays full. */
struct back {
	uint8_t *start, *at, *end;
	bool full;
};

static inline struct back back_of(uint8_t *p, size_t len)
{
	return (struct back){ .start = p, .at = p + len, .end = p + len };
}

static inline void back_put(struct back *b, const void *p, size_t n)
{
	if (b->full || n > (size_t)(b->at - b->start)) {
		b->full = true;
		return;
	}
	b->at -= n;
	if (n)
		memcpy(b->at, p, n);
}

/* Tag and length in front of all that was written since `mark` (a former b->at). */
static inline void back_wrap(struct back *b, unsigned tag, const uint8_t *mark)
{
	size_t len = (size_t)(mark - b->at);
	const uint8_t head[4] = { (uint8_t)tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len };
	const uint8_t byte[3] = { (uint8_t)tag, 0x81, (uint8_t)len };

	if (len >= 0x10000)
		b->full = true;
	else if (len >= 0x100)
		back_put(b, head, 4);
	else if (len >= 0x80)
		back_put(b, byte, 3);
	else
		back_put(b, (const uint8_t[]){ (uint8_t)tag, (uint8_t)len }, 2);
}

static inline void back_element(struct back *b, unsigned tag, const void *p, size_t n)
{
	const uint8_t *mark = b->at;

	back_put(b, p, n);
	back_wrap(b, tag, mark);
}

/* [n] INTEGER */
static inline void back_int(struct back *b, unsigned n, uint32_t v)
{
	const uint8_t *mark = b->at;
	const uint8_t be[5] = { 0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	size_t skip = 0;

	while (skip < 4 && be[skip] == 0 && be[skip + 1] < 0x80)
		skip++;
	back_element(b, DER_INT, be + skip, 5 - skip);
	back_wrap(b, DER_CTX(n), mark);
}

#endif
