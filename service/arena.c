/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/base.h"
#include "service/arena.h"

#define CHUNK 16384

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) uint8_t b[];
};

struct arena {
	struct chunk *top;
};

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
	struct chunk *c, *next;

	if (!a)
		return;
	for (c = a->top; c; c = next) {
		next = c->next;
		mem_wipe(c->b, c->size);
		free(c);
	}
	free(a);
}

void *arena_take(struct arena *a, size_t n)
{
	struct chunk *c = a->top;
	size_t want;
	void *p;

	if (n == 0)
		n = 1;
	if (__builtin_add_overflow(n, 15, &want) || want > SIZE_MAX - sizeof(*c))
		return NULL;
	want &= ~(size_t)15;
	if (!c || c->size - c->used < want) {
		size_t size = want > CHUNK ? want : CHUNK;

		c = calloc(1, sizeof(*c) + size);
		if (!c)
			return NULL;
		c->size = size;
		c->next = a->top;
		a->top = c;
	}
	p = c->b + c->used;
	c->used += want;
	return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
	void *to = arena_take(a, n);

	if (to && n)
		memcpy(to, p, n);
	return to;
}
