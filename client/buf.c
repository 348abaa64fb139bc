/* SPDX-License-Identifier: Apache-2.0 */
/* Growable buffers that are wiped; see buf.h. Trusts nothing: every size is checked against max. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/buf.h"

static bool grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 512;
	uint8_t *p;

	while (cap < need) {
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	}
	p = malloc(cap);
	if (!p)
		return false;
	/* Not realloc(): it would leave the old bytes behind on the heap. */
	if (b->p) {
		memcpy(p, b->p, b->len);
		mem_wipe(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	size_t need, with_zero;

	if (b->failed)
		return NULL;
	if (__builtin_add_overflow(b->len, n, &need) || need > b->max ||
	    __builtin_add_overflow(need, 1, &with_zero) || (with_zero > b->cap && !grow(b, with_zero))) {
		b->failed = true;
		return NULL;
	}
	return b->p + b->len;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_room(b, n);

	if (!to)
		return;
	if (n)
		memcpy(to, p, n);
	b->len += n;
}

void buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.p, s.len);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	uint8_t *to;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	to = buf_room(b, (size_t)n);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *buf_text(struct buf *b)
{
	if (!buf_room(b, 0))
		return NULL;
	b->p[b->len] = 0;
	return (char *)b->p;
}

void buf_clear(struct buf *b)
{
	if (b->p)
		mem_wipe(b->p, b->cap);
	b->len = 0;
	b->failed = false;
}

void buf_free(struct buf *b)
{
	buf_clear(b);
	free(b->p);
	b->p = NULL;
	b->cap = 0;
}

void scope_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void scope_free(char **p)
{
	free(*p);
}
