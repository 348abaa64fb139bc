/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of page state at VMPL0, one by one: spec sections 1.1, 1.2, 2.1 to 2.4. Test pages lie in guest RAM
 * that nobody has been given at launch.
 */
#include "tests/guests/guest.h"

#define FREE 0x10000000ul	/* 2M aligned */
#define FREE2 0x10200000ul
#define FREE3 0x10400000ul
#define LAUNCHED 0x28000000ul

void guest_main(void);
void level1_main(void);
static uint8_t page[PAGE] __attribute__((aligned(4096)));

void level1_main(void)
{
}

static bool vc_came(uint64_t code)
{
	return expected.came && expected.vector == 29 && expected.code == code;
}

/* mov al, [va] in two bytes: 8a 07 */
static void touch(uint64_t va)
{
	__asm__ volatile(".byte 0x8a, 0x07" : : "D"(va) : "rax", "memory");
}

static void test_exceptions(void)
{
	uint32_t a = 0, c = 0;

	check(rdmsr(MSR_SEV_STATUS) == 7, "SEV status says SEV, ES and SNP");
	expect_trap(2);
	__asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "rbx", "rdx", "memory");
	check(vc_came(NAE_CPUID), "CPUID raises a VMM communication exception with its code");
	expect_trap(2);
	__asm__ volatile("rdmsr" : : "c"(0x1b) : "rax", "rdx", "memory");
	check(vc_came(NAE_MSR), "an MSR of the host's raises it");
	expect_trap(2);
	__asm__ volatile("wrmsr" : : "c"(MSR_SVSM_CAA), "a"(0), "d"(0) : "memory");
	check(vc_came(NAE_MSR), "an MSR that hardware does not have raises it");
	expect_trap(1);
	__asm__ volatile("inb %%dx, %%al" : : "d"(0x60) : "rax", "memory");
	check(vc_came(NAE_IOIO), "port input raises it");
	expect_trap(3);
	__asm__ volatile("vmmcall" : : "a"(0) : "memory");
	check(vc_came(NAE_VMMCALL), "VMMCALL raises it");
	expect_trap(2);
	__asm__ volatile("wbinvd" : : : "memory");
	check(vc_came(NAE_WBINVD), "WBINVD raises it");
	expect_trap(3);
	__asm__ volatile("mov %%db7, %%rax" : : : "rax", "memory");
	check(vc_came(NAE_DR7_READ), "reading DR7 raises it");
	expect_trap(2);
	__asm__ volatile("ud2" : : : "memory");
	check(expected.came && expected.vector == 6, "any other undefined instruction stays undefined");
	expect_trap(2);
	wrmsr(MSR_SEV_STATUS, 0);
	check(expected.came && expected.vector == 13, "SEV status cannot be written");
	expect_trap(2);
	touch(0x8000000000000000ul);
	check(expected.came && expected.vector == 13, "a non-canonical address is a general protection fault");
}

static void test_validation(void)
{
	uint64_t attr, size;

	check(psc(FREE, PSC_PRIVATE), "a page becomes private");
	expect_trap(2);
	touch(FREE);
	check(vc_came(VC_NOT_VALIDATED), "a page that is not validated raises 0x404");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(0, 0)) == SNP_FAIL_PERMISSION, "no level adjusts itself");
	expect_trap(4);
	(void)rmpadjust(FREE, 0, RMPADJUST_ATTR(1, RMP_R));
	check(vc_came(VC_NOT_VALIDATED), "rights on a page that is not validated cannot be given");
	check(pvalidate(FREE, 0, true) == SNP_OK, "a private page can be validated");
	touch(FREE);
	check(pvalidate(FREE, 0, true) == PV_NO_CHANGE, "validating twice says that nothing changed");
	check(pvalidate(FREE, 0, false) == SNP_OK, "validation can be taken back");
	check(pvalidate(FREE, 0, false) == PV_NO_CHANGE, "taking it back twice says that nothing changed");
	check(pvalidate(FREE, 0, true) == SNP_OK && pvalidate(FREE, 2, true) == SNP_FAIL_INPUT, "page size 2 is no size");
	check(pvalidate(FREE + PAGE, 1, true) == SNP_FAIL_INPUT, "a 2M page must be aligned");
	check(pvalidate(FREE, 1, true) == SNP_FAIL_SIZEMISMATCH, "a 4K page is no 2M page");
	check(rmpadjust(FREE, 1, RMPADJUST_ATTR(1, RMP_R)) == SNP_FAIL_SIZEMISMATCH, "rights of a 4K page go by 4K");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(4, RMP_R)) == SNP_FAIL_INPUT, "there is no VMPL4");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(1, 0x20)) == SNP_FAIL_INPUT, "unknown rights are refused");
	check(rmpadjust(FREE, 0, RMPADJUST_ATTR(2, RMP_R | RMP_XU)) == SNP_OK, "VMPL0 gives rights");
	attr = 2;
	check(rmpquery(FREE, &attr, &size) == SNP_OK && attr == RMPADJUST_ATTR(2, RMP_R | RMP_XU) && size == 0,
	      "the given rights can be asked for");
	attr = 3;
	check(rmpquery(FREE, &attr, &size) == SNP_OK && attr == 3, "no other level got them");
	check(pvalidate(LAUNCHED, 0, true) == PV_NO_CHANGE, "a launch page is validated already");
}

/* What was in a page does not survive its change of hands. */
static void test_contents(void)
{
	volatile uint64_t *private = (void *)FREE, *shared = shared_at(FREE);
	uint64_t attr = 2, size;

	*private = 0x1122334455667788;
	check(pvalidate(FREE, 0, false) == SNP_OK && psc(FREE, PSC_SHARED), "a page becomes shared");
	check(*shared != 0x1122334455667788, "the host cannot read what was private");
	*shared = 5;
	check(*shared == 5, "a shared page can be written");
	check(psc(FREE, PSC_PRIVATE) && pvalidate(FREE, 0, true) == SNP_OK, "it becomes private again");
	check(*private != 5, "a private page does not begin with what the host wrote");
	check(rmpquery(FREE, &attr, &size) == SNP_OK && attr == 2, "rights do not survive a change of hands");
}

/* One descriptor with these entries; returns info2. */
static uint64_t psc_batch(const uint64_t *entries, unsigned count)
{
	struct ghcb_psc_hdr h = { .end_entry = (uint16_t)(count - 1) };
	uint64_t out;

	ghcb_clear();
	memcpy(ghcb->buffer, &h, sizeof(h));
	memcpy(ghcb->buffer + sizeof(h), entries, count * 8);
	ghcb->scratch = ghcb_gpa + offsetof(struct ghcb, buffer);
	ghcb_valid(GHCB_BIT(scratch));
	return ghcb_call(NAE_PSC, 0, 0, &out) ? UINT64_MAX : out;
}

/* A host that never makes 2M entries: what was asked for as 2M is 512 pages. */
static void test_small(void)
{
	uint64_t at;
	bool good = true;

	for (at = FREE2; at < FREE2 + 512 * PAGE; at += PAGE)
		good = good && pvalidate(at, 0, true) == SNP_OK;
	check(good, "without 2M entries each 4K page can be validated");
	touch(FREE2 + 511 * PAGE);
	check(rmpadjust(FREE2, 1, RMPADJUST_ATTR(1, RMP_R)) == SNP_FAIL_SIZEMISMATCH, "and has rights of its own");
}

static void test_huge(void)
{
	uint64_t e[3] = { PSC_ENTRY(FREE2, PSC_PRIVATE, true), PSC_ENTRY(FREE3, PSC_PRIVATE, true),
			  PSC_ENTRY(FREE + 16 * PAGE, PSC_PRIVATE, false) };
	uint64_t attr = 1, size;

	check(psc_batch(e, 3) == 0, "a batch of 2M and 4K entries is done");
	if (pvalidate(FREE2, 1, true) == SNP_FAIL_SIZEMISMATCH) {
		test_small();
		return;
	}
	check(pvalidate(FREE2, 1, false) == SNP_OK && pvalidate(FREE2, 1, true) == SNP_OK,
	      "a 2M page can be validated as a whole");
	check(pvalidate(FREE2, 1, true) == PV_NO_CHANGE, "and says when it was already");
	touch(FREE2 + 511 * PAGE);
	check(rmpadjust(FREE2, 1, RMPADJUST_ATTR(1, RMP_ALL)) == SNP_OK, "it gets its rights as a whole");
	check(rmpquery(FREE2 + PAGE, &attr, &size) == SNP_OK && size == 1 && attr == RMPADJUST_ATTR(1, RMP_ALL),
	      "each part of it has them");
	check(pvalidate(FREE2 + 7 * PAGE, 0, false) == SNP_OK, "one 4K part can be taken back: the host splits the page");
	check(pvalidate(FREE2, 1, true) == SNP_FAIL_SIZEMISMATCH, "it is no 2M page any more");
	expect_trap(2);
	touch(FREE2 + 7 * PAGE);
	check(vc_came(VC_NOT_VALIDATED), "that part raises 0x404");
	touch(FREE2 + 8 * PAGE);
	e[0] = PSC_ENTRY(FREE3 + PAGE, PSC_PRIVATE, true);
	check(psc_batch(e, 1) == PSC_ERR_ENTRY, "a 2M entry that is not aligned is refused");
	e[0] = PSC_ENTRY(FREE3, 7, true);
	check(psc_batch(e, 1) == PSC_ERR_ENTRY, "an unknown page operation is refused");
	e[0] = PSC_ENTRY(0x30000000ul, PSC_PRIVATE, false);
	check(psc_batch(e, 1) == PSC_ERR_ENTRY, "memory that is not the guest's cannot become private");
}

static void test_ghcb(void)
{
	uint64_t out;

	check(msr_protocol(GHCB_MSR_SEV_INFO_REQ) == 0x0002000127000001ul, "the host names protocol versions and C-bit");
	check(msr_protocol(GHCB_MSR_FEATURES_REQ) == (GHCB_MSR_FEATURES_RESP | 0x23ul << 12), "it names its features");
	check(msr_protocol(GHCB_MSR_CPUID_REQ | 0x8000001ful << 32) >> 32 == 0x3a, "CPUID by MSR says SNP and VMPL");
	check(msr_protocol(0x777) == 0x777, "an unknown request stays unanswered");
	check(msr_protocol(GHCB_MSR_RUN_VMPL_REQ | 1ul << 32) == (GHCB_MSR_RUN_VMPL_RESP | 1ul << 32),
	      "a level without a vCPU cannot be run");
	check(msr_protocol(GHCB_MSR_REGISTER_GPA_REQ | (uint64_t)page) >> 12 == UINT64_MAX >> 12,
	      "a private page cannot be registered as GHCB");
	ghcb_clear();
	check(ghcb_call(NAE_HV_FEATURES, 0, 0, &out) == 0 && out == 0x23, "features come by page as well");
	ghcb_clear();
	check(ghcb_call(0x7000, 0, 0, &out) == GHCB_MALFORMED && out == GHCB_ERR_INVALID_EVENT, "an unknown event is refused");
	ghcb_clear();
	check(ghcb_call(NAE_CPUID, 0, 0, &out) == GHCB_MALFORMED && out == GHCB_ERR_MISSING_INPUT,
	      "a request without its inputs is refused");
	ghcb_clear();
	ghcb->usage = 1;
	check(ghcb_call(NAE_HV_FEATURES, 0, 0, &out) == GHCB_MALFORMED && out == GHCB_ERR_USAGE, "an unknown usage is refused");
	ghcb_clear();
	ghcb->scratch = ghcb_gpa;
	ghcb_valid(GHCB_BIT(scratch));
	check(ghcb_call(NAE_PSC, 0, 0, &out) == GHCB_MALFORMED && out == GHCB_ERR_SCRATCH,
	      "a scratch area outside of the buffer is refused");
	ghcb_clear();
	ghcb->rcx = MSR_SVSM_CAA;
	ghcb_valid(GHCB_BIT(rcx));
	check(ghcb_call(NAE_MSR, 0, 0, &out) == GHCB_EXCEPTION && (out & 0xff) == 13, "an MSR nobody has is a protection fault");
	ghcb_clear();
	ghcb->rax = 0x40000100;
	ghcb->rcx = 0;
	ghcb_valid(GHCB_BIT(rax));
	ghcb_valid(GHCB_BIT(rcx));
	check(ghcb_call(NAE_CPUID, 0, 0, &out) == 0 && ghcb_is_valid(GHCB_BIT(rbx)) && ghcb->rbx == 0x4d535653,
	      "the emulator says that it is one");
}

void guest_main(void)
{
	guest_setup();
	test_ghcb();
	test_exceptions();
	test_validation();
	test_contents();
	test_huge();
	finish();
}
