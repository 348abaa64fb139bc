/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM control block, without encrypted state. AMD APM volume 2, tables B-1 (control area) and B-2 (save
 * area). The save area's offsets are those of struct vmsa (snp/vmsa.h) for all that both have.
 */
#ifndef EMULATOR_VMCB_H
#define EMULATOR_VMCB_H

#include "snp/vmsa.h"

/* Intercepts, first word (0x0c) and second word (0x10). */
#define INT1_NMI (1u << 1)
#define INT1_INIT (1u << 3)
#define INT1_RDPMC (1u << 15)
#define INT1_CPUID (1u << 18)
#define INT1_INVD (1u << 22)
#define INT1_HLT (1u << 24)
#define INT1_INVLPGA (1u << 26)
#define INT1_IOIO (1u << 27)
#define INT1_MSR (1u << 28)
#define INT1_SHUTDOWN (1u << 31)
#define INT2_VMRUN (1u << 0)
#define INT2_VMMCALL (1u << 1)
#define INT2_VMLOAD (1u << 2)
#define INT2_VMSAVE (1u << 3)
#define INT2_STGI (1u << 4)
#define INT2_CLGI (1u << 5)
#define INT2_SKINIT (1u << 6)
#define INT2_WBINVD (1u << 9)
#define INT2_MONITOR (1u << 10)
#define INT2_MWAIT (1u << 11)

enum svm_exit {
	EXIT_DR7_READ = 0x27,
	EXIT_DR7_WRITE = 0x37,
	EXIT_UD = 0x46,
	EXIT_NMI = 0x61,
	EXIT_INIT = 0x63,
	EXIT_RDPMC = 0x6f,
	EXIT_CPUID = 0x72,
	EXIT_INVD = 0x76,
	EXIT_HLT = 0x78,
	EXIT_INVLPGA = 0x7a,
	EXIT_IOIO = 0x7b,
	EXIT_MSR = 0x7c,
	EXIT_SHUTDOWN = 0x7f,
	EXIT_VMRUN = 0x80,
	EXIT_VMMCALL = 0x81,
	EXIT_VMLOAD = 0x82,
	EXIT_VMSAVE = 0x83,
	EXIT_STGI = 0x84,
	EXIT_CLGI = 0x85,
	EXIT_SKINIT = 0x86,
	EXIT_WBINVD = 0x89,
	EXIT_MONITOR = 0x8a,
	EXIT_MWAIT = 0x8b,
	EXIT_NPF = 0x400,
	EXIT_COUNT,
};
#define EXIT_INVALID 0xffffffffu

#define EVENT_VALID (1u << 31)
#define EVENT_HAS_CODE (1u << 11)
#define EVENT_TYPE(e) ((e) >> 8 & 7)
#define EVENT_INTR 0u
#define EVENT_NMI 2u
#define EVENT_EXCEPTION 3u
#define EVENT_SOFT 4u
#define EVENT(type, vector) ((type) << 8 | (vector) | EVENT_VALID)

/* #NPF: exit_info1. */
#define NPF_PRESENT (1ull << 0)
#define NPF_WRITE (1ull << 1)
#define NPF_FETCH (1ull << 4)
#define NPF_WALK (1ull << 33)

struct vmcb {
	uint16_t cr_read, cr_write, dr_read, dr_write;
	uint32_t exceptions;
	uint32_t intercept1, intercept2;
	uint8_t zero0[0x2c];
	uint64_t iopm, msrpm;
	uint64_t tsc_offset;
	uint32_t asid;
	uint32_t tlb_control;
	uint64_t vintr;
	uint64_t int_state;	/* bit 0: interrupt shadow */
	uint64_t exit_code, info1, info2;
	uint32_t int_info, int_info_code;
	uint64_t np_enable;
	uint8_t zero1[0x10];
	uint32_t event, event_code;
	uint64_t ncr3;
	uint8_t zero2[0x10];
	uint64_t nrip;
	uint8_t zero3[0x400 - 0xd0];
	/* save area */
	struct vmsa_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t zero4[0x2b];
	uint8_t cpl;
	uint8_t zero5[4];
	uint64_t efer;
	uint8_t zero6[0x70];
	uint64_t cr4, cr3, cr0;
	uint64_t dr7, dr6;
	uint64_t rflags, rip;
	uint8_t zero7[0x58];
	uint64_t rsp;
	uint8_t zero8[0x18];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t zero9[0x20];
	uint64_t g_pat;
	uint64_t dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t zero10[0xc00 - 0x298];
};
#define VMCB_SAVE 0x400u
ABI_SIZE(struct vmcb, 4096);
ABI_AT(struct vmcb, iopm, 0x40);
ABI_AT(struct vmcb, asid, 0x58);
ABI_AT(struct vmcb, exit_code, 0x70);
ABI_AT(struct vmcb, int_info, 0x88);
ABI_AT(struct vmcb, np_enable, 0x90);
ABI_AT(struct vmcb, event, 0xa8);
ABI_AT(struct vmcb, ncr3, 0xb0);
ABI_AT(struct vmcb, nrip, 0xc8);
ABI_AT(struct vmcb, es, VMCB_SAVE);
ABI_AT(struct vmcb, cpl, VMCB_SAVE + offsetof(struct vmsa, cpl));
ABI_AT(struct vmcb, efer, VMCB_SAVE + offsetof(struct vmsa, efer));
ABI_AT(struct vmcb, cr4, VMCB_SAVE + offsetof(struct vmsa, cr4));
ABI_AT(struct vmcb, rip, VMCB_SAVE + offsetof(struct vmsa, rip));
ABI_AT(struct vmcb, rsp, VMCB_SAVE + offsetof(struct vmsa, rsp));
ABI_AT(struct vmcb, rax, VMCB_SAVE + offsetof(struct vmsa, rax));
ABI_AT(struct vmcb, cr2, VMCB_SAVE + offsetof(struct vmsa, cr2));
ABI_AT(struct vmcb, g_pat, VMCB_SAVE + offsetof(struct vmsa, g_pat));

/* What VMRUN does not switch; the order is known to svm_run(). */
struct gregs {
	uint64_t rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
};
ABI_SIZE(struct gregs, 112);

#endif
