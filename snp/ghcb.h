/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GHCB: how a guest asks its hypervisor for a service. AMD publication 56421 (GHCB standardization),
 * sections on the MSR protocol, the page layout and the NAE events. All fields are little-endian.
 */
#ifndef SNP_GHCB_H
#define SNP_GHCB_H

#include "base/rc.h"

#define MSR_GHCB 0xC0010130u
#define MSR_SEV_STATUS 0xC0010131u
#define MSR_SVSM_CAA 0xC001F000u	/* not hardware: answered by the guest's own #VC handler */

#define SEV_STATUS_SEV (1u << 0)
#define SEV_STATUS_ES (1u << 1)
#define SEV_STATUS_SNP (1u << 2)

/* MSR protocol: bits 11:0 of the MSR. 0 means: the rest is the address of a GHCB page. */
#define GHCB_INFO_MASK 0xfffull
enum ghcb_msr {
	GHCB_MSR_PAGE = 0x000,
	GHCB_MSR_SEV_INFO = 0x001,		/* answer: [63:48] max, [47:32] min version, [31:24] C-bit */
	GHCB_MSR_SEV_INFO_REQ = 0x002,
	GHCB_MSR_CPUID_REQ = 0x004,		/* [63:32] function, [31:30] register */
	GHCB_MSR_CPUID_RESP = 0x005,		/* [63:32] value, [31:30] register */
	GHCB_MSR_AP_RESET_HOLD_REQ = 0x006,
	GHCB_MSR_AP_RESET_HOLD_RESP = 0x007,
	GHCB_MSR_PREFERRED_GPA_REQ = 0x010,
	GHCB_MSR_PREFERRED_GPA_RESP = 0x011,	/* [63:12] frame; all ones: no preference */
	GHCB_MSR_REGISTER_GPA_REQ = 0x012,	/* [63:12] frame */
	GHCB_MSR_REGISTER_GPA_RESP = 0x013,	/* the same frame, or all ones: refused */
	GHCB_MSR_PSC_REQ = 0x014,		/* [55:52] operation, [51:12] frame */
	GHCB_MSR_PSC_RESP = 0x015,		/* [63:32] error, 0: done */
	GHCB_MSR_RUN_VMPL_REQ = 0x016,		/* [39:32] level */
	GHCB_MSR_RUN_VMPL_RESP = 0x017,		/* [63:32] error, 0: done */
	GHCB_MSR_FEATURES_REQ = 0x080,
	GHCB_MSR_FEATURES_RESP = 0x081,		/* [63:12] bitmap */
	GHCB_MSR_TERMINATE_REQ = 0x100,		/* [15:12] reason set, [23:16] reason */
};

#define GHCB_VERSION 2u

/* Hypervisor features, both protocols. */
#define GHCB_HV_SNP (1u << 0)
#define GHCB_HV_AP_CREATION (1u << 1)
#define GHCB_HV_MULTI_VMPL (1u << 5)

/* Page-state change: operations, and the descriptor in the shared buffer. */
#define PSC_PRIVATE 1u
#define PSC_SHARED 2u
#define PSC_PSMASH 3u
#define PSC_UNSMASH 4u
#define PSC_MAX_ENTRIES 253u

struct ghcb_psc_hdr {
	uint16_t cur_entry;
	uint16_t end_entry;	/* index of the last entry */
	uint32_t zero;
};
ABI_SIZE(struct ghcb_psc_hdr, 8);
/* An entry: [11:0] progress in 4K pages, [51:12] frame, [55:52] operation, [56] 2M, [63:57] zero. */
#define PSC_ENTRY_CUR(e) ((uint32_t)((e) & 0xfff))
#define PSC_ENTRY_GPA(e) ((e) & 0x000ffffffffff000ull)
#define PSC_ENTRY_OP(e) ((uint32_t)((e) >> 52 & 0xf))
#define PSC_ENTRY_2M (1ull << 56)
#define PSC_ENTRY(gpa, op, huge) ((gpa) | (uint64_t)(op) << 52 | ((huge) ? PSC_ENTRY_2M : 0))
#define PSC_ERR_GENERIC (0x100ull << 32)
#define PSC_ERR_HEADER ((1ull << 32) | 1)
#define PSC_ERR_ENTRY ((1ull << 32) | 2)

/* NAE event codes; those below 2^31 equal the SVM exit code and the #VC error code. */
enum ghcb_nae {
	NAE_DR7_READ = 0x27,
	NAE_DR7_WRITE = 0x37,
	NAE_RDTSC = 0x6e,
	NAE_RDPMC = 0x6f,
	NAE_CPUID = 0x72,
	NAE_INVD = 0x76,
	NAE_IOIO = 0x7b,
	NAE_MSR = 0x7c,
	NAE_VMMCALL = 0x81,
	NAE_RDTSCP = 0x87,
	NAE_WBINVD = 0x89,
	NAE_MONITOR = 0x8a,
	NAE_MWAIT = 0x8b,
	VC_NPF = 0x400,			/* #VC only: the handler turns it into NAE_MMIO_* */
	VC_VMGEXIT = 0x403,		/* as guest_exit_code in a VMSA */
	VC_NOT_VALIDATED = 0x404,	/* #VC only: access to a page that is assigned but not validated */
};
#define NAE_MMIO_READ 0x80000001ull
#define NAE_MMIO_WRITE 0x80000002ull
#define NAE_NMI_COMPLETE 0x80000003ull
#define NAE_AP_RESET_HOLD 0x80000004ull
#define NAE_AP_JUMP_TABLE 0x80000005ull
#define NAE_PSC 0x80000010ull
#define NAE_GUEST_REQUEST 0x80000011ull
#define NAE_EXT_GUEST_REQUEST 0x80000012ull
#define NAE_AP_CREATION 0x80000013ull
#define NAE_HV_DOORBELL 0x80000014ull
#define NAE_APIC_IDS 0x80000017ull
#define NAE_RUN_VMPL 0x80000018ull
#define NAE_HV_FEATURES 0x8000fffdull
#define NAE_TERMINATE 0x8000fffeull
#define NAE_UNSUPPORTED 0x8000ffffull

/* AP creation: info1 = [63:32] APIC id, [19:16] VMPL, [15:0] operation; info2 = VMSA; rax = SEV_FEATURES. */
#define AP_CREATE_ON_INIT 0u
#define AP_CREATE 1u
#define AP_DESTROY 2u

/* IOIO info1. */
#define IOIO_IN (1u << 0)
#define IOIO_STR (1u << 2)
#define IOIO_REP (1u << 3)
#define IOIO_SIZE(info) ((unsigned)((info) >> 4 & 7))	/* 1, 2 or 4 */
#define IOIO_ADDR64 (1u << 9)
#define IOIO_PORT(info) ((uint16_t)((info) >> 16))

/* Results: info1 low half; then info2. */
#define GHCB_OK 0u
#define GHCB_EXCEPTION 1u
#define GHCB_MALFORMED 2u
#define GHCB_ERR_NOT_REGISTERED 1u
#define GHCB_ERR_USAGE 2u
#define GHCB_ERR_SCRATCH 3u
#define GHCB_ERR_MISSING_INPUT 4u
#define GHCB_ERR_INVALID_INPUT 5u
#define GHCB_ERR_INVALID_EVENT 6u

/* Guest request: info2 = [63:32] VMM error, [31:0] firmware error. */
#define GUEST_REQ_VMM_LEN 1u	/* certificate buffer too small: rbx says how many pages */
#define GUEST_REQ_VMM_BUSY 2u

struct ghcb {
	uint8_t zero0[0xcb];
	uint8_t cpl;
	uint8_t zero1[0x74];
	uint64_t xss;
	uint8_t zero2[0x18];
	uint64_t dr7;
	uint8_t zero3[0x10];
	uint64_t rip;
	uint8_t zero4[0x58];
	uint64_t rsp;
	uint8_t zero5[0x18];
	uint64_t rax;
	uint8_t zero6[0x108];
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint8_t zero7[8];
	uint64_t rbp;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t zero8[0x10];
	uint64_t exit_code;
	uint64_t info1;
	uint64_t info2;
	uint64_t scratch;
	uint8_t zero9[0x38];
	uint64_t xcr0;
	uint8_t valid[16];		/* bit n covers the quadword at offset 8n */
	uint64_t x87_state_gpa;
	uint8_t zero10[0x3f8];
	uint8_t buffer[0x7f0];
	uint8_t zero11[10];
	uint16_t version;
	uint32_t usage;			/* 0: this layout */
};
ABI_SIZE(struct ghcb, 4096);
ABI_AT(struct ghcb, cpl, 0xcb);
ABI_AT(struct ghcb, xss, 0x140);
ABI_AT(struct ghcb, dr7, 0x160);
ABI_AT(struct ghcb, rip, 0x178);
ABI_AT(struct ghcb, rsp, 0x1d8);
ABI_AT(struct ghcb, rax, 0x1f8);
ABI_AT(struct ghcb, rcx, 0x308);
ABI_AT(struct ghcb, rbp, 0x328);
ABI_AT(struct ghcb, r15, 0x378);
ABI_AT(struct ghcb, exit_code, 0x390);
ABI_AT(struct ghcb, scratch, 0x3a8);
ABI_AT(struct ghcb, xcr0, 0x3e8);
ABI_AT(struct ghcb, valid, 0x3f0);
ABI_AT(struct ghcb, x87_state_gpa, 0x400);
ABI_AT(struct ghcb, buffer, 0x800);
ABI_AT(struct ghcb, version, 0xffa);
ABI_AT(struct ghcb, usage, 0xffc);

/* The bit of `valid` that belongs to a field. */
#define GHCB_BIT(field) (offsetof(struct ghcb, field) / 8)

#endif
