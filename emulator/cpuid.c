/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as the guest shall see it: what QEMU executes, without what would not work in an SNP guest on it, with
 * SEV-SNP, and with leaves that name the emulator. Notes section 5, spec sections 2.7, 4.4, 8.6.
 */
#include "emulator/attack.h"
#include "snp/launch.h"

#define MAX_STD 0xbu
#define MAX_EXT 0x8000001fu
#define MAX_HV_NAMED 0x40000010u
#define HV_EMULATOR 0x40000100u

struct mask {
	uint32_t leaf, a, b, c, d;	/* bits to clear */
};
static const struct mask hidden[] = {
	/* MONITOR VMX PCID FMA x2.. XSAVE OSXSAVE AVX F16C; no XSAVEC or XSAVES in QEMU, which Linux insists on */
	{ 1, 0, 0, 1u << 3 | 1u << 5 | 1u << 12 | 1u << 17 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29, 0 },
	/* AVX2 INVPCID, AVX512; UMIP stays; PKU OSPKE, VAES VPCLMUL, LA57, shadow stacks */
	{ 7, UINT32_MAX, 1u << 5 | 1u << 10 | 1u << 16 | 1u << 17 | 1u << 21 | 0xdc000000u,
	  1u << 3 | 1u << 4 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 16, 1u << 2 | 1u << 3 | 1u << 20 },
	{ 0x80000001, 0, 0, 1u << 2 | 1u << 16, 0 },	/* SVM, FMA4 */
};

/* Leaves of the hypervisor range; KVM's name makes Linux keep x2APIC. */
static struct cpuid_regs hypervisor_leaf(uint32_t leaf)
{
	switch (leaf) {
	case 0x40000000:
		return (struct cpuid_regs){ MAX_HV_NAMED, 0x4b4d564b, 0x564b4d56, 0x4d };
	case 0x40000010:
		return (struct cpuid_regs){ (uint32_t)tsc_khz, 0, 0, 0 };
	case HV_EMULATOR:
		return (struct cpuid_regs){ HV_EMULATOR, 0x4d535653, 0x4c554d45, 0x524f5441 };	/* "SVSM" "EMUL" "ATOR" */
	default:
		return (struct cpuid_regs){ 0 };
	}
}

struct cpuid_regs guest_cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs r;
	size_t i;

	if (leaf >> 16 == 0x4000)
		return hypervisor_leaf(leaf);
	if ((leaf > MAX_STD && leaf < 0x80000000) || leaf > MAX_EXT || leaf == 0x8000000a)
		return (struct cpuid_regs){ 0 };
	r = cpu_cpuid(leaf, sub);
	for (i = 0; i < ARRAY_LEN(hidden); i++) {
		if (hidden[i].leaf != leaf)
			continue;
		r.a &= ~hidden[i].a;
		r.b &= ~hidden[i].b;
		r.c &= ~hidden[i].c;
		r.d &= ~hidden[i].d;
	}
	if (leaf == 0)
		r.a = MAX_STD;
	if (leaf == 1)
		r.c |= 1u << 31;
	if (leaf == 0x80000000)
		r.a = MAX_EXT;
	if (leaf == 0x80000008) {	/* INVLPGB and TLBSYNC, eight pages at a time */
		r.b |= 1u << 3;
		r.d = (r.d & ~0xffffu) | 7;
	}
	if (leaf == MAX_EXT)	/* SEV, SEV-ES, SEV-SNP, VMPL; four of them; nothing to flush */
		r = (struct cpuid_regs){ 0x3a, CBIT | 1u << 6 | VMPLS << 12 | 1u << 31, 100, 0 };
	return r;
}

void cpuid_page_fill(struct snp_cpuid_page *page)
{
	static const uint32_t leaves[][2] = {
		{ 0, 0 }, { 1, 0 }, { 2, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 0xb, 0 }, { 0xb, 1 },
		{ 0x40000000, 0 }, { 0x40000010, 0 }, { HV_EMULATOR, 0 },
		{ 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000002, 0 }, { 0x80000003, 0 }, { 0x80000004, 0 },
		{ 0x80000005, 0 }, { 0x80000006, 0 }, { 0x80000007, 0 }, { 0x80000008, 0 }, { 0x80000019, 0 },
		{ 0x8000001a, 0 }, { 0x8000001d, 0 }, { 0x8000001d, 1 }, { 0x8000001d, 2 }, { 0x8000001d, 3 },
		{ 0x8000001e, 0 }, { MAX_EXT, 0 },
	};
	bool no_flush = attack_now(ATTACK_WEAK_CPUID_PAGE), no_aes = attack_now(ATTACK_WEAK_CPUID_PAGE);
	uint32_t i;

	memset(page, 0, sizeof(*page));
	page->count = ARRAY_LEN(leaves);
	for (i = 0; i < ARRAY_LEN(leaves); i++) {
		struct cpuid_regs r = guest_cpuid(leaves[i][0], leaves[i][1]);

		if (no_flush && leaves[i][0] == 0x80000008)
			r.b &= ~(1u << 3);
		if (no_aes && leaves[i][0] == 1)
			r.c &= ~(1u << 25);
		page->e[i] = (struct snp_cpuid_entry){ .eax_in = leaves[i][0], .ecx_in = leaves[i][1], .eax = r.a,
						       .ebx = r.b, .ecx = r.c, .edx = r.d };
	}
	if (attack_now(ATTACK_WRONG_CPUID_PAGE)) {	/* no random numbers, and a C-bit elsewhere */
		page->e[1].ecx &= ~(1u << 30);
		page->e[ARRAY_LEN(leaves) - 1].ebx += 1;
	}
}
