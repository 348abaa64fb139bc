/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are in the monitor's address space, and the numbers that assembly shares with C.
 *
 * Lower half: the process that this vCPU runs, if any. Upper half, supervisor only, the same on all vCPUs:
 *   DIRECT_VA + gpa   private (C = 1) view of all guest-physical memory; no execution; the image is left out
 *   SHARED_VA         shared (C = 0) pages for talking with the host, and one to look through
 *   MON_VA ..         the image: text read-only and executable, the rest as its kind demands
 */
#ifndef MONITOR_X86_LAYOUT_H
#define MONITOR_X86_LAYOUT_H

#define MON_C_BIT 39		/* checked against the CPUID page before anything depends on it */
#define MON_PHYS 0x28000000	/* = LAUNCH_MON_BASE */
#define MON_VA 0xffffffff80000000
#define MON_IMAGE_MAX 0x01000000	/* of the mapping that the image lies in */
#define DIRECT_VA 0xffff800000000000
#define DIRECT_GIB 12		/* guest-physical memory that the monitor can address: MON_GPA_END */
#define SHARED_VA 0xffff900000000000
#define USER_END 0x0000800000000000

#define SEL_KCODE 0x08
#define SEL_KDATA 0x10
#define SEL_UDATA 0x1b
#define SEL_UCODE 0x23
#define SEL_TSS 0x28

#define CPU_STACK_LEN 16384

/* struct cpu, addressed through GS. */
#define CPU_SELF 0
#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP 16
#define CPU_REGS_END 24		/* behind the struct regs of the thread that runs */
#define CPU_FAULT_RSP 32	/* where a trap at CPL0 is told of */
#define GS_BASE_MSR 0xc0000101

/* struct regs: general registers, then what the processor pushes. */
#define REGS_LEN 176
#define REGS_VECTOR 120

#define VECTOR_NMI 2
#define VECTOR_DF 8
#define VECTOR_PF 14
#define VECTOR_VC 29
#define VECTOR_SYSCALL 256	/* not a vector: SYSCALL came */

#endif
