/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a limit, for requests and responses. Both may hold key material, so
 * every byte that leaves the buffer's memory (growing, freeing) is wiped first.
 *
 * Failure is sticky: after one write that did not fit, buf_ok() is false and nothing more is added,
 * so that a writer checks once, at the end.
 */
#ifndef CLIENT_BUF_H
#define CLIENT_BUF_H

#include "base/base.h"

struct buf {
	uint8_t *p;	/* owned; NULL until something is added */
	size_t len;	/* bytes used */
	size_t cap;	/* bytes allocated */
	size_t max;	/* len never exceeds this; set by the owner before first use */
	bool failed;
};

#define BUF __attribute__((cleanup(buf_free))) struct buf

/* All of these add at the end; text is added without its terminator. */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_slice(struct buf *b, struct slice s);
__attribute__((format(printf, 2, 3))) void buf_fmt(struct buf *b, const char *fmt, ...);

/* Room for n more bytes at p + len, to be claimed by adding to len; NULL (and failed) when over max. */
uint8_t *buf_room(struct buf *b, size_t n);

MUST_CHECK static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* The content with a terminating zero that is not part of len; NULL when failed. Owned by the buffer. */
char *buf_text(struct buf *b);

/* Forgets the content (wiped) and a failure, keeps the memory. */
void buf_clear(struct buf *b);
/* Wipes and frees; the buffer may be used again. */
void buf_free(struct buf *b);

void scope_close(int *fd);
void scope_free(char **p);
#define CLOSE __attribute__((cleanup(scope_close)))
#define FREE __attribute__((cleanup(scope_free)))

#endif
