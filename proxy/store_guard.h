/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs code that reads a mapped file, and turns the signal a bad file causes (SIGBUS behind its
 * end, SIGSEGV from a wild offset) or a failed LMDB assertion into a return value.
 *
 * What was interrupted is left as it was: locks it held stay held, memory stays allocated. The
 * caller must not touch the same LMDB environment again.
 */
#ifndef PROXY_STORE_GUARD_H
#define PROXY_STORE_GUARD_H

#include "base/base.h"

enum store_guard_hit {
	STORE_GUARD_NONE = 0,
	STORE_GUARD_BUS,	/* behind the end of the file, or the disk could not read the page */
	STORE_GUARD_SEGV,	/* an offset in the file led out of the map */
	STORE_GUARD_ASSERT,	/* LMDB noticed something impossible */
};

/*
 * Installs the handlers, unless they are there, and ignores SIGXFSZ. Signals outside
 * store_guard_run() go on to whoever handled them before.
 */
void store_guard_install(void);

/* Calls fn(arg). Not to be nested. fn owns nothing that a jump out of it would lose for good. */
MUST_CHECK enum store_guard_hit store_guard_run(void (*fn)(void *), void *arg);

/* For mdb_env_set_assert(): leaves the guarded function, or aborts when there is none. */
void store_guard_assert(const char *what);

#endif
