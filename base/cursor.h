/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursor: the one way to read untrusted bytes, and sink: the one way to write a message.
 *
 * A cursor runs over PRIVATE memory: bytes of a shared page are copied out once (shared.h) before a
 * cursor sees them. All integers are little-endian. No function moves the cursor when it fails.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <string.h>

#include "base/rc.h"

struct cursor {
	const uint8_t *at;	/* never NULL, even when left == 0 */
	size_t left;
};

/* A piece of somebody else's memory; not terminated, may contain any byte. */
struct slice {
	const uint8_t *p;	/* never NULL when produced by a cursor */
	size_t len;
};

static inline struct cursor cur_of(const void *p, size_t len)
{
	static const uint8_t nothing;

	return (struct cursor){ .at = p ? p : &nothing, .left = p ? len : 0 };
}

static inline struct slice slice_of(const void *p, size_t len)
{
	return (struct slice){ .p = p, .len = len };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ .p = (const uint8_t *)s, .len = strlen(s) };
}

/* Not constant-time: for public data only; secrets use ct_equal(). */
MUST_CHECK static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

MUST_CHECK static inline bool slice_is(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

MUST_CHECK static inline bool slice_starts(struct slice a, const char *s)
{
	size_t n = strlen(s);

	return a.len >= n && (n == 0 || memcmp(a.p, s, n) == 0);
}

/* The one place where a cursor moves. */
MUST_CHECK static inline bool cur_take(struct cursor *c, size_t n, const uint8_t **out)
{
	if (n > c->left)	/* compare with what is left; never add first */
		return false;
	*out = c->at;
	c->at += n;
	c->left -= n;
	return true;
}

MUST_CHECK static inline bool cur_u8(struct cursor *c, uint8_t *out)
{
	const uint8_t *p;

	if (!cur_take(c, 1, &p))
		return false;
	*out = p[0];
	return true;
}

MUST_CHECK static inline bool cur_le16(struct cursor *c, uint16_t *out)
{
	const uint8_t *p;

	if (!cur_take(c, 2, &p))
		return false;
	*out = (uint16_t)(p[0] | p[1] << 8);
	return true;
}

MUST_CHECK static inline bool cur_le32(struct cursor *c, uint32_t *out)
{
	const uint8_t *p;

	if (!cur_take(c, 4, &p))
		return false;
	memcpy(out, p, 4);
	return true;
}

MUST_CHECK static inline bool cur_le64(struct cursor *c, uint64_t *out)
{
	const uint8_t *p;

	if (!cur_take(c, 8, &p))
		return false;
	memcpy(out, p, 8);
	return true;
}

MUST_CHECK static inline bool cur_copy(struct cursor *c, void *out, size_t n)
{
	const uint8_t *p;

	if (!cur_take(c, n, &p))
		return false;
	if (n)
		memcpy(out, p, n);
	return true;
}

MUST_CHECK static inline bool cur_sub(struct cursor *c, size_t n, struct slice *out)
{
	const uint8_t *p;

	if (!cur_take(c, n, &p))
		return false;
	*out = slice_of(p, n);
	return true;
}

/* str16 := len:u16 bytes[len], with len at most max */
MUST_CHECK static inline bool cur_str16(struct cursor *c, size_t max, struct slice *out)
{
	struct cursor t = *c;
	uint16_t len;

	if (!cur_le16(&t, &len) || len > max || !cur_sub(&t, len, out))
		return false;
	*c = t;
	return true;
}

MUST_CHECK static inline bool cur_end(const struct cursor *c)
{
	return c->left == 0;
}

/*
 * Sink: writes into a fixed buffer and remembers overflow, so that a writer checks once at the end
 * with sink_ok(). `need` counts what would have been written: a caller that ran out of room knows
 * how much to offer next time.
 */
struct sink {
	uint8_t *at;
	size_t left;
	size_t need;	/* bytes asked for so far, written or not */
};

static inline struct sink sink_of(void *p, size_t len)
{
	static uint8_t nothing;

	return (struct sink){ .at = p ? p : &nothing, .left = p ? len : 0, .need = 0 };
}

MUST_CHECK static inline bool sink_ok(const struct sink *s)
{
	return s->left != SIZE_MAX;
}

/* Room for n bytes, or NULL; once full, a sink stays full. */
MUST_CHECK static inline uint8_t *sink_room(struct sink *s, size_t n)
{
	uint8_t *p = s->at;

	if (__builtin_add_overflow(s->need, n, &s->need))
		s->need = SIZE_MAX;
	if (s->left == SIZE_MAX || n > s->left) {
		s->left = SIZE_MAX;
		return NULL;
	}
	s->at += n;
	s->left -= n;
	return p;
}

static inline void sink_put(struct sink *s, const void *p, size_t n)
{
	uint8_t *to = sink_room(s, n);

	if (to && n)
		memcpy(to, p, n);
}

static inline void sink_u8(struct sink *s, uint8_t v)
{
	sink_put(s, &v, 1);
}

static inline void sink_le16(struct sink *s, uint16_t v)
{
	sink_put(s, &v, 2);
}

static inline void sink_le32(struct sink *s, uint32_t v)
{
	sink_put(s, &v, 4);
}

static inline void sink_le64(struct sink *s, uint64_t v)
{
	sink_put(s, &v, 8);
}

/* Fails the sink when the text is longer than a str16 can say. */
static inline void sink_str16(struct sink *s, struct slice v)
{
	if (v.len > UINT16_MAX) {	/* no larger buffer will help */
		s->left = SIZE_MAX;
		s->need = SIZE_MAX;
		return;
	}
	sink_le16(s, (uint16_t)v.len);
	sink_put(s, v.p, v.len);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the loads above assume little-endian");

#endif
