/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading memory that the other side may rewrite at any moment. Each byte is loaded at most once:
 * shared_copy() is the only way from a shared page into private memory, and moves on past what it
 * copied, so nothing can be read again by mistake.
 */
#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include <string.h>

#include "base/rc.h"

struct shared {
	const volatile uint8_t *at;
	size_t left;
};

static inline struct shared shared_of(const volatile void *p, size_t len)
{
	static const uint8_t nothing;

	return (struct shared){ .at = p ? p : &nothing, .left = p ? len : 0 };
}

/*
 * Copies n bytes to private memory. The copy is made by one string instruction, which reads each
 * byte exactly once; a plain memcpy() would leave the compiler free to load again from the page.
 */
MUST_CHECK static inline bool shared_copy(struct shared *s, void *out, size_t n)
{
	const volatile uint8_t *from = s->at;
	size_t count = n;

	if (n > s->left)
		return false;
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)	/* whose checks see no assembly */
	__asm__ volatile("rep movsb"
			 : "+D"(out), "+S"(from), "+c"(count)
			 :
			 : "memory");
#else
	for (uint8_t *to = out; count; count--)
		*to++ = *from++;
#endif
	s->at += n;
	s->left -= n;
	return true;
}

#endif
