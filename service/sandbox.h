/* SPDX-License-Identifier: Apache-2.0 */
/* What the service gives up before it reads its first request. See service/README.md for the list. */
#ifndef SERVICE_SANDBOX_H
#define SERVICE_SANDBOX_H

#include "base/base.h"

/* No core dumps, no ptrace, no new privileges. Early, before any secret is read. */
enum rc sandbox_early(void);
/*
 * Keeps the C library's allocator from asking the kernel things by files: how many CPUs there are, when
 * it thinks of another arena, and how memory is overcommitted, when it gives one back. With one arena it
 * does neither. Before the first thread.
 */
void sandbox_heap(void);
/* Locks present and future memory; false where the limit (RLIMIT_MEMLOCK) does not allow it. */
MUST_CHECK bool sandbox_lock_memory(void);
/* The system-call filter, for every thread of the process. Last. */
enum rc sandbox_filter(void);
/* The allowed system calls, for the test that compares them with the README; ends with -1. */
extern const int sandbox_calls[];

#endif
