/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed, and wiped, all at once. */
#ifndef SERVICE_ARENA_H
#define SERVICE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);	/* wipes; NULL is fine */
/* Zeroed, aligned for any type. NULL: no memory. Never NULL for n == 0 otherwise. */
void *arena_take(struct arena *a, size_t n);
void *arena_copy(struct arena *a, const void *p, size_t n);

#endif
