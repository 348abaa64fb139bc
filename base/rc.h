/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes and the few macros every folder uses. Freestanding: no state, no I/O.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum [[nodiscard]] rc {
	RC_OK = 0,
	RC_BAD_INPUT,	/* malformed; the sender's fault, never ours */
	RC_DENIED,	/* well formed, but policy or state says no */
	RC_BUSY,	/* try again; nothing was changed */
	RC_MACHINE,	/* the machine, the kernel or the host refused */
	RC_NO_ROOM,	/* a stated limit is reached; nothing was changed */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Layout promises (guide section 6). */
#define ABI_SIZE(type, n) _Static_assert(sizeof(type) == (n), "size of " #type)
#define ABI_AT(type, member, off) \
	_Static_assert(offsetof(type, member) == (off), "offset of " #member " in " #type)

/*
 * What only a bug of ours can make false. Supplied by each program: the service wipes its keys and
 * stops; untrusted programs print and abort. Present in release builds.
 */
__attribute__((noreturn)) void invariant_failed(const char *what, const char *file, int line);
#define INVARIANT(x) \
	do { \
		if (!(x)) \
			invariant_failed(#x, __FILE__, __LINE__); \
	} while (0)

#endif
