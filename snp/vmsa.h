/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM save area: a vCPU's state while its VMPL does not run. AMD APM volume 2, table B-4 (VMSA
 * layout, SEV-ES). A page; 0x670 bytes of it are defined here.
 */
#ifndef SNP_VMSA_H
#define SNP_VMSA_H

#include "base/rc.h"

struct vmsa_seg {
	uint16_t selector;
	uint16_t attrib;	/* descriptor byte 5 in [7:0], upper nibble of byte 6 in [11:8] */
	uint32_t limit;
	uint64_t base;
};
ABI_SIZE(struct vmsa_seg, 16);

struct vmsa {
	struct vmsa_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint64_t pl_ssp[4];
	uint64_t u_cet;
	uint8_t zero0[2];
	uint8_t vmpl;
	uint8_t cpl;
	uint8_t zero1[4];
	uint64_t efer;
	uint8_t zero2[0x68];
	uint64_t xss;
	uint64_t cr4, cr3, cr0;
	uint64_t dr7, dr6;
	uint64_t rflags, rip;
	uint64_t dr[4];
	uint64_t dr_mask[4];
	uint8_t zero3[0x18];
	uint64_t rsp;
	uint64_t s_cet, ssp, isst_addr;
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask;
	uint64_t kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t zero4[0x20];
	uint64_t g_pat;
	uint64_t dbgctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t zero5[0x48];
	uint64_t spec_ctrl;
	uint32_t pkru;
	uint32_t tsc_aux;
	uint64_t guest_tsc_scale, guest_tsc_offset;
	uint64_t reg_prot_nonce;
	uint64_t rcx, rdx, rbx;
	uint64_t zero6;
	uint64_t rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint8_t zero7[0x10];
	uint64_t exit_info1, exit_info2, exit_int_info, nrip;
	uint64_t sev_features;
	uint64_t vintr_ctrl;
	uint64_t exit_code;
	uint64_t virtual_tom;
	uint64_t tlb_id, pcpu_id;
	uint64_t event_inj;
	uint64_t xcr0;
	uint8_t zero8[0x10];
	uint64_t x87_dp;
	uint32_t mxcsr;
	uint16_t x87_ftw, x87_fsw, x87_fcw, x87_fop, x87_ds, x87_cs;
	uint64_t x87_rip;
	uint8_t x87_regs[80];
	uint8_t xmm[256];
	uint8_t ymm_high[256];
	uint8_t zero9[0x990];
};
ABI_SIZE(struct vmsa, 4096);
ABI_AT(struct vmsa, tr, 0x90);
ABI_AT(struct vmsa, vmpl, 0xca);
ABI_AT(struct vmsa, cpl, 0xcb);
ABI_AT(struct vmsa, efer, 0xd0);
ABI_AT(struct vmsa, xss, 0x140);
ABI_AT(struct vmsa, cr4, 0x148);
ABI_AT(struct vmsa, cr0, 0x158);
ABI_AT(struct vmsa, rip, 0x178);
ABI_AT(struct vmsa, dr, 0x180);
ABI_AT(struct vmsa, rsp, 0x1d8);
ABI_AT(struct vmsa, rax, 0x1f8);
ABI_AT(struct vmsa, kernel_gs_base, 0x220);
ABI_AT(struct vmsa, cr2, 0x240);
ABI_AT(struct vmsa, g_pat, 0x268);
ABI_AT(struct vmsa, spec_ctrl, 0x2e0);
ABI_AT(struct vmsa, guest_tsc_scale, 0x2f0);
ABI_AT(struct vmsa, rcx, 0x308);
ABI_AT(struct vmsa, rbp, 0x328);
ABI_AT(struct vmsa, r15, 0x378);
ABI_AT(struct vmsa, exit_info1, 0x390);
ABI_AT(struct vmsa, sev_features, 0x3b0);
ABI_AT(struct vmsa, exit_code, 0x3c0);
ABI_AT(struct vmsa, event_inj, 0x3e0);
ABI_AT(struct vmsa, xcr0, 0x3e8);
ABI_AT(struct vmsa, x87_dp, 0x400);
ABI_AT(struct vmsa, mxcsr, 0x408);
ABI_AT(struct vmsa, x87_rip, 0x418);
ABI_AT(struct vmsa, x87_regs, 0x420);
ABI_AT(struct vmsa, xmm, 0x470);
ABI_AT(struct vmsa, ymm_high, 0x570);

#define VMSA_EFER_SVME (1ull << 12)	/* must be set, or the vCPU cannot be entered */
#define SEV_FEATURE_SNP (1ull << 0)

/* PVALIDATE, RMPADJUST: results in EAX; CF of PVALIDATE: the page was in that state already. */
#define SNP_OK 0u
#define SNP_FAIL_INPUT 1u
#define SNP_FAIL_PERMISSION 2u
#define SNP_FAIL_SIZEMISMATCH 6u

/* RMPADJUST's RDX: [7:0] target VMPL, [15:8] permissions, [16] VMSA. */
#define RMP_R 1u
#define RMP_W 2u
#define RMP_XU 4u
#define RMP_XS 8u
#define RMP_ALL (RMP_R | RMP_W | RMP_XU | RMP_XS)
#define RMPADJUST_VMSA (1ull << 16)
#define RMPADJUST_ATTR(vmpl, perm) ((uint64_t)(vmpl) | (uint64_t)(perm) << 8)

#endif
