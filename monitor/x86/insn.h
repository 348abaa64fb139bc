/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that C cannot say. AMD APM volume 3: PVALIDATE, RMPADJUST, VMGEXIT.
 */
#ifndef MONITOR_X86_INSN_H
#define MONITOR_X86_INSN_H

#include "base/rc.h"

#define MSR_EFER 0xC0000080u
#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_SFMASK 0xC0000084u
#define MSR_FS_BASE 0xC0000100u
#define MSR_GS_BASE 0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* False: no number now. */
MUST_CHECK static inline bool insn_rdseed(uint64_t *out)
{
	bool ok;

	__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

MUST_CHECK static inline bool insn_rdrand(uint64_t *out)
{
	bool ok;

	__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static inline void vmgexit(void)
{
	__asm__ volatile("rep; vmmcall" : : : "memory");
}

/* One page, 4 KiB or 2 MiB (huge). RAX: see snp/vmsa.h; *same: the page was in that state already. */
static inline uint32_t insn_pvalidate(uint64_t va, bool huge, bool validate, bool *same)
{
	uint64_t rax = va;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
			 : "+a"(rax), "=@ccc"(*same)
			 : "c"((uint64_t)huge), "d"((uint64_t)validate)
			 : "memory");
	return (uint32_t)rax;
}

static inline uint32_t insn_rmpadjust(uint64_t va, bool huge, uint64_t attributes)
{
	uint64_t rax = va;

	__asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xfe"
			 : "+a"(rax)
			 : "c"((uint64_t)huge), "d"(attributes)
			 : "memory", "cc");
	return (uint32_t)rax;
}

/* The first word of what GS points to. */
static inline uint64_t read_gs(void)
{
	uint64_t v;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(v));
	return v;
}

static inline void invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uint64_t read_cr2(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

/* INVLPGB of everything that belongs to this guest, global entries too, and TLBSYNC (APM volume 3). */
static inline void flush_all_cpus(void)
{
	uint64_t asid_and_global = 1u << 2 | 1u << 3;

	__asm__ volatile(".byte 0x0f, 0x01, 0xfe" : : "a"(asid_and_global), "c"(0), "d"(0) : "memory");
	__asm__ volatile(".byte 0x0f, 0x01, 0xff" : : : "memory");
}

static inline void write_cr3(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

static inline void spin_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
