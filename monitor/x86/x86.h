/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private header of monitor/x86/: what its files offer each other. Nothing outside this folder
 * includes it; the portable core knows plat.h only.
 */
#ifndef MONITOR_X86_X86_H
#define MONITOR_X86_X86_H

#include "base/rc.h"
#include "monitor/limits.h"
#include "monitor/monitor.h"
#include "monitor/x86/insn.h"
#include "monitor/x86/layout.h"
#include "snp/ghcb.h"
#include "snp/guestmsg.h"
#include "snp/launch.h"
#include "snp/vmsa.h"
#include "wire/launch.h"

#define PAGE 4096ull
#define HUGE (2ull << 20)

/* ---- cpu.c: vCPUs, descriptor tables, traps ---- */

struct regs {	/* of a thread at CPL3; of the monitor, when it faults */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
} __attribute__((aligned(16)));
ABI_SIZE(struct regs, REGS_LEN);
ABI_AT(struct regs, vector, REGS_VECTOR);

struct tss {
	uint32_t zero0;
	uint32_t rsp[6];	/* three pointers, not aligned */
	uint32_t zero1[2];
	uint32_t ist[14];
	uint32_t zero2[2];
	uint16_t zero3, iopb;
};
ABI_SIZE(struct tss, 104);

struct cpu {
	struct cpu *self;
	uint64_t kernel_rsp;
	uint64_t user_rsp;
	uint64_t regs_end;
	uint64_t fault_rsp;
	uint32_t id;		/* the APIC id too */
	bool started;
	uint8_t trapped;	/* how often it came to trap_kernel() */
	bool ending;		/* has been in plat_terminate() */
	struct process *inside;	/* whose threads this vCPU runs now */
	struct ghcb *ghcb;	/* its page in the shared view */
	uint64_t gdt[8];
	struct tss tss;
	uint8_t stack[CPU_STACK_LEN] __attribute__((aligned(16)));
	uint8_t fault_stack[8192] __attribute__((aligned(16)));
	struct regs nmi;	/* what is pushed by an NMI or a double fault, */
	struct regs trap;	/* and by others while no thread has run yet */
};
ABI_AT(struct cpu, kernel_rsp, CPU_KERNEL_RSP);
ABI_AT(struct cpu, user_rsp, CPU_USER_RSP);
ABI_AT(struct cpu, regs_end, CPU_REGS_END);
ABI_AT(struct cpu, fault_rsp, CPU_FAULT_RSP);

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)read_gs();
}

extern struct mon mon;
extern struct cpu *cpus[MON_CPUS];

/* Descriptor tables, control registers and system-call entry of the vCPU that calls. */
void cpu_load(struct cpu *c);
/* Into CPL3 until the next trap; returns its vector or VECTOR_SYSCALL. */
uint64_t user_run(struct regs *r);
/* Where the registers of a trap at CPL3 go. */
void cpu_user_stack(struct cpu *c, struct regs *r);

/* ---- ghcb.c: requests to the host ---- */

MUST_CHECK uint64_t ghcb_msr(uint64_t request);	/* by the MSR protocol */
void ghcb_start(struct cpu *c);			/* makes this vCPU's GHCB, registers it; stops the VM if refused */
/* The fields of a request; on return those of the answer. False: the host did not do it. */
struct ghcb_call {
	uint64_t code, info1, info2, rax, rbx;
	const void *scratch;	/* goes through the shared buffer, and back into `scratch_out` */
	void *scratch_out;
	size_t scratch_len;
};
MUST_CHECK bool ghcb_request(struct ghcb_call *call);
/* Page state of [gpa, gpa + len): private or shared; 2 MiB at a time where it fits. */
enum rc ghcb_page_state(uint64_t gpa, uint64_t len, unsigned op);
void console_write(const char *text, size_t len);
__attribute__((noreturn)) void ghcb_terminate(unsigned set, unsigned reason);

/* ---- console.c ---- */

void say(const char *text);	/* one line on the console, "monitor: " before it; never anything secret */
void say_number(const char *text, uint64_t v);
void console_break(void);	/* for the end: whoever holds the console loses it */
extern uintptr_t __stack_chk_guard;
/* The end: the text, then mon_panic(). */
__attribute__((noreturn)) void stop(enum mon_reason why, const char *text);

/* ---- memory.c: page tables of the monitor, its free pages ---- */

static inline void *direct(uint64_t gpa)
{
	return (void *)(DIRECT_VA + gpa);
}

static inline uint64_t direct_gpa(const void *p)
{
	return (uint64_t)p - DIRECT_VA;
}

static inline uint64_t image_gpa(const void *p)
{
	return (uint64_t)p - MON_VA + MON_PHYS;
}

#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_U (1ull << 2)
#define PTE_HUGE (1ull << 7)
#define PTE_C (1ull << MON_C_BIT)
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x0000007ffffff000ull	/* without the C-bit */

/* The final page tables, for the boot vCPU; writable nowhere where executable. */
void memory_map_self(void);
uint64_t memory_root(void);	/* for CR3 */
/* Copies the upper half's entries into a process's top table. */
void memory_share_kernel(uint64_t *top);
void memory_give(uint64_t from, uint64_t to);	/* validated, zeroed memory for the allocator */
/* Zeroed pages, one after the other; 0: not enough left. Only single pages can be given back, and are wiped then. */
MUST_CHECK uint64_t pages_alloc(unsigned count);
void page_free(uint64_t gpa);
uint64_t pages_left(void);
/* Pages for talking with the host (C = 0), never given back; NULL: none left. */
void *shared_alloc(unsigned count);
uint64_t shared_gpa(const void *p);

#endif
