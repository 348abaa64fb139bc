/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spin locks, taken in this order: the key-management session's, the messages', the page table's (struct mon_locked,
 * which the functions that need it take as proof). Nothing long runs under the last one.
 */
#ifndef MONITOR_LOCK_H
#define MONITOR_LOCK_H

#include "base/rc.h"

struct mon_spin {
	uint32_t taken;
};

static inline struct mon_spin *spin_take(struct mon_spin *s)
{
	while (__atomic_exchange_n(&s->taken, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&s->taken, __ATOMIC_RELAXED))
			__asm__ volatile("pause");
	return s;
}

static inline void spin_drop(struct mon_spin **s)
{
	__atomic_store_n(&(*s)->taken, 0, __ATOMIC_RELEASE);
}

/* Held until the end of the scope. */
#define SPIN_HELD(spin) __attribute__((cleanup(spin_drop), unused)) struct mon_spin *spin_held_ = spin_take(spin)

#endif
