/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions that the programs' side of monitor/x86/ (process.c, syscall.c, service.c) executes, without
 * their effects. Found before the real ones by the order of include directories.
 */
#ifndef TESTS_FAKE_X86_INSN_H
#define TESTS_FAKE_X86_INSN_H

#include "base/rc.h"

#define MSR_FS_BASE 0xC0000100u

extern uint8_t fake_memory[];
extern uint64_t fake_cr2, fake_cr3, fake_fs;
uint64_t read_gs(void);

bool insn_rdseed(uint64_t *out);
bool insn_rdrand(uint64_t *out);

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	if (msr == MSR_FS_BASE)
		fake_fs = v;
}

static inline void invlpg(uint64_t va)
{
	(void)va;
}

static inline uint64_t read_cr2(void)
{
	return fake_cr2;
}

static inline void write_cr3(uint64_t v)
{
	fake_cr3 = v;
}

static inline void spin_lock(uint32_t *lock)
{
	INVARIANT(!*lock);	/* one thread here: it would wait for ever */
	*lock = 1;
}

static inline void spin_unlock(uint32_t *lock)
{
	INVARIANT(*lock);
	*lock = 0;
}

#endif
