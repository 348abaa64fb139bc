/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte buffer that grows: answers are written here piece by piece.
 *
 * A zeroed struct is an empty buffer. Running out of memory (or over `max`) is remembered, later
 * writes do nothing, and the caller asks once at the end with outbuf_ok(): what is in a failed buffer
 * must not be sent. Bytes come from malloc and belong to the buffer.
 */
#ifndef PROXY_OUTBUF_H
#define PROXY_OUTBUF_H

#include <stdarg.h>

#include "base/base.h"

struct outbuf {
	uint8_t *p;  /* NULL until the first byte */
	size_t len;  /* bytes written */
	size_t room; /* bytes allocated */
	size_t max;  /* never hold more bytes than this; 0: no limit */
	bool failed;
};

void outbuf_free(struct outbuf *o);
#define OUTBUF __attribute__((cleanup(outbuf_free))) struct outbuf

/* Forgets the content and the failure, keeps the memory. */
static inline void outbuf_reset(struct outbuf *o)
{
	o->len = 0;
	o->failed = false;
}

MUST_CHECK static inline bool outbuf_ok(const struct outbuf *o)
{
	return !o->failed;
}

static inline struct slice outbuf_slice(const struct outbuf *o)
{
	return slice_of(o->p, o->len);
}

/* Slow half of outbuf_room(). */
MUST_CHECK uint8_t *outbuf_grow(struct outbuf *o, size_t n);

/*
 * n bytes to write to, valid until the next call, or NULL (the buffer has then failed). They count
 * only once outbuf_used() says how many were used.
 */
MUST_CHECK static inline uint8_t *outbuf_room(struct outbuf *o, size_t n)
{
	if (!o->failed && n <= o->room - o->len && o->p)
		return o->p + o->len;
	return outbuf_grow(o, n);
}

static inline void outbuf_used(struct outbuf *o, size_t n)
{
	INVARIANT(n <= o->room - o->len);
	o->len += n;
}

static inline void outbuf_put(struct outbuf *o, const void *p, size_t n)
{
	uint8_t *to = outbuf_room(o, n);

	if (to && n) {
		memcpy(to, p, n);
		o->len += n;
	}
}

static inline void outbuf_add(struct outbuf *o, struct slice s)
{
	outbuf_put(o, s.p, s.len);
}

/* For our own text; the length of a literal is known to the compiler. */
static inline void outbuf_str(struct outbuf *o, const char *s)
{
	outbuf_put(o, s, strlen(s));
}

void outbuf_u64(struct outbuf *o, uint64_t v);
void outbuf_i64(struct outbuf *o, int64_t v);
__attribute__((format(printf, 2, 3))) void outbuf_printf(struct outbuf *o, const char *format, ...);

/*
 * s as a JSON string, quotes included. Quote, backslash and control characters are escaped; each
 * longest piece of what is not UTF-8 (surrogates and overlong forms included) becomes U+FFFD. Other
 * text is copied as it is, so the answer is always valid UTF-8 and valid JSON.
 */
void outbuf_json(struct outbuf *o, struct slice s);

#endif
