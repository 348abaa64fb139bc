/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels on one vCPU: what VMPL0 can do to VMPL1, and what VMPL1 cannot do. Spec sections 1.6, 1.7, 2.3, 3, 8.3.
 */
#include "tests/guests/guest.h"

#define FREE 0x10000000ul
#define PATTERN 0x0123456789abcdeful

void guest_main(void);
void level1_main(void);
extern uint8_t level1_start[];
static uint8_t stack1[16384] __attribute__((aligned(16)));
static uint8_t vmsa_pages[PAGE] __attribute__((aligned(4096)));
static struct vmsa *vmsa;
static uint64_t xmm_seen;

/* A call to VMPL0 with one number each way. */
static uint64_t call(uint64_t rax)
{
	uint64_t rcx = PATTERN;

	wrmsr(MSR_GHCB, GHCB_MSR_RUN_VMPL_REQ);
	__asm__ volatile("rep; vmmcall" : "+a"(rax), "+c"(rcx) : : "memory");
	check(rdmsr(MSR_GHCB) == RUN_DONE, "the caller's own GHCB MSR says that VMPL0 was run");
	wrmsr(MSR_GHCB, ghcb_gpa);
	return rax;
}

/* ---- VMPL1 ---- */

void level1_main(void)
{
	uint64_t xmm = PATTERN, out;
	uint32_t a = 0, c = 0;

	bool own = rdmsr(MSR_GHCB) == 0x0002000127000001ul, ok;

	guest_traps();
	ok = msr_protocol(GHCB_MSR_REGISTER_GPA_REQ | ghcb_gpa) == (GHCB_MSR_REGISTER_GPA_RESP | ghcb_gpa);
	check(ok, "a level registers its own GHCB");
	check(own, "a level begins with a GHCB MSR of its own");
	expect_trap(2);
	__asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "rbx", "rdx", "memory");
	check(expected.came && expected.vector == 29 && expected.code == NAE_CPUID, "CPUID raises #VC at VMPL1");
	check(pvalidate(FREE, 0, true) == SNP_FAIL_PERMISSION, "VMPL1 cannot validate");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(0, 0)) == SNP_FAIL_PERMISSION, "VMPL1 cannot change VMPL0's rights");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(1, RMP_ALL)) == SNP_FAIL_PERMISSION, "VMPL1 cannot change its own rights");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(2, RMP_R | RMP_W)) == SNP_FAIL_PERMISSION,
	      "VMPL1 cannot give a right that it does not have");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(2, RMP_R)) == SNP_OK, "VMPL1 can give what it has");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(2, 0) | RMPADJUST_VMSA) == SNP_FAIL_PERMISSION, "VMPL1 cannot make a VMSA");
	check(*(volatile uint64_t *)FREE == PATTERN, "VMPL1 reads what VMPL0 has let it read");
	ghcb_clear();
	ghcb->rax = SEV_FEATURE_SNP;
	ghcb_valid(GHCB_BIT(rax));
	check(ghcb_call(NAE_AP_CREATION, AP_CREATE, (uint64_t)vmsa_pages, &out) == GHCB_MALFORMED,
	      "VMPL1 cannot name a vCPU of VMPL0");
	__asm__ volatile("movq %0, %%xmm5" : : "r"(xmm));
	check(call(1) == 2, "VMPL0 answers in the VMSA's registers");
	__asm__ volatile("movq %%xmm5, %0" : "=r"(xmm));
	xmm_seen = xmm;
	ghcb_clear();
	check(ghcb_call(NAE_RUN_VMPL, 0, 0, NULL) == 0, "VMPL0 can be run by a GHCB page as well");
	ghcb_clear();
	check(ghcb_call(NAE_RUN_VMPL, 4, 0, &out) == GHCB_MALFORMED && out == GHCB_ERR_INVALID_INPUT, "there is no VMPL4");
	for (;;)
		(void)call(9);
}

/* ---- VMPL0 ---- */

#define VMPL1 (1ul << 16)

static void test_creation(void)
{
	uint64_t gpa = (uint64_t)vmsa;

	check(ap_create(VMPL1 | AP_CREATE, gpa, false) == GHCB_MALFORMED, "AP creation needs the features");
	check(ap_create(VMPL1 | AP_CREATE, gpa + 8, true) == GHCB_MALFORMED, "a VMSA is a whole page");
	check(ap_create(VMPL1 | AP_CREATE, FREE, true) == GHCB_MALFORMED, "a VMSA does not begin a 2M region");
	check(ap_create(VMPL1 | AP_CREATE, 0x30001000, true) == GHCB_MALFORMED, "a VMSA lies in the guest's memory");
	check(ap_create(4ul << 16 | AP_CREATE, gpa, true) == GHCB_MALFORMED, "no vCPU of VMPL4 can be made");
	check(ap_create(VMPL1 | 3, gpa, true) == GHCB_MALFORMED, "an unknown AP operation is refused");
	check(ap_create(77ul << 32 | VMPL1 | AP_CREATE, gpa, true) == GHCB_MALFORMED, "an unknown APIC id is refused");
	check(ap_create(AP_CREATE, gpa, true) == GHCB_MALFORMED, "a vCPU does not replace itself");
	check(ap_create(VMPL1 | AP_CREATE, gpa, true) == 0, "VMPL0 names its VMPL1");
}

static void test_entry(void)
{
	uint64_t va = (uint64_t)vmsa;

	check(run_vmpl(1) == RUN_REFUSED, "a page that is no VMSA cannot be entered");
	check(rmpadjust(va, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) == SNP_OK, "VMPL0 makes a VMSA");
	vmsa->efer &= ~VMSA_EFER_SVME;
	check(run_vmpl(1) == RUN_REFUSED, "a VMSA without EFER.SVME cannot be entered");
	vmsa->efer |= VMSA_EFER_SVME;
	vmsa->vmpl = 2;
	check(run_vmpl(1) == RUN_REFUSED, "a VMSA of another level cannot be entered");
	vmsa->vmpl = 1;
	vmsa->sev_features = 0;
	check(run_vmpl(1) == RUN_REFUSED, "a VMSA without SNP cannot be entered");
	vmsa->sev_features = SEV_FEATURE_SNP;
	check(run_vmpl(2) == RUN_REFUSED && run_vmpl(7) == RUN_REFUSED, "levels that do not exist cannot be entered");
	check(run_vmpl(0) == RUN_DONE, "the running level can be run");
}

static void test_call(void)
{
	uint64_t xmm = 0;
	unsigned rest = 8;

	__asm__ volatile("movq %0, %%xmm5" : : "r"(xmm));
	check(run_vmpl(1) == RUN_DONE, "VMPL1 can be entered");
	check(vmsa->exit_code == VC_VMGEXIT, "the VMSA says why VMPL1 stopped");
	check(vmsa->rax == 1 && vmsa->rcx == PATTERN, "the VMSA has the caller's registers");
	check(*(uint32_t *)(vmsa->rip - 4) == 0xd9010ff3, "its RIP is behind the VMGEXIT");
	check(*(uint64_t *)&vmsa->xmm[5 * 16] == PATTERN, "the VMSA has the caller's vector registers");
	__asm__ volatile("movq %%xmm5, %0" : "=r"(xmm));
	check(xmm == 0, "VMPL0's vector registers are its own");
	vmsa->rax = 2;
	check(run_vmpl(1) == RUN_DONE, "VMPL1 goes on");
	check(vmsa->exit_code == VC_VMGEXIT && vmsa->rax != 1, "it asked again, by its GHCB page");
	while (rest-- && vmsa->rax != 9)
		(void)run_vmpl(1);
	check(vmsa->rax == 9, "VMPL1 has come to its end");
	check(xmm_seen == PATTERN, "VMPL1's vector registers survive the call");
	check(rmpadjust((uint64_t)vmsa, 0, RMPADJUST_ATTR(1, 0)) == SNP_OK && run_vmpl(1) == RUN_REFUSED,
	      "a VMSA that is one no more cannot be entered");
}

void guest_main(void)
{
	guest_setup();
	check(psc(FREE, PSC_PRIVATE) && pvalidate(FREE, 0, true) == SNP_OK, "a page for both");
	*(volatile uint64_t *)FREE = PATTERN;
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(1, RMP_R)) == SNP_OK, "VMPL1 may read it");
	vmsa = (void *)vmsa_pages;
	vmsa_fill(vmsa, 1, level1_start, stack1 + sizeof(stack1));
	test_creation();
	test_entry();
	check(grant_image(vmsa), "VMPL0 gives VMPL1 its pages");
	test_call();
	finish();
}
