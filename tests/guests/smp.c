/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two vCPUs at VMPL0: a restriction by one reaches the other at once, and a running VMSA is left alone. Spec
 * sections 1.6, 2.2, 8.2 (TLB discipline).
 */
#include "tests/guests/guest.h"

#define FREE 0x10000000ul

void guest_main(void);
void level1_main(void);
extern uint8_t level1_start[];
static uint8_t stack1[4096] __attribute__((aligned(16)));
static uint8_t vmsa_page[PAGE] __attribute__((aligned(4096)));
static uint64_t rounds;
static bool seen;

/* The second vCPU: reads the page for ever, until it raises 0x404. */
void level1_main(void)
{
	guest_traps();
	for (;;) {
		__atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
		__asm__ volatile(".byte 0x8a, 0x07" : : "D"(FREE) : "rax", "memory");
		if (__atomic_load_n(&expected.came, __ATOMIC_SEQ_CST))
			break;
	}
	__atomic_store_n(&seen, expected.vector == 29 && expected.code == VC_NOT_VALIDATED, __ATOMIC_SEQ_CST);
	for (;;)
		(void)msr_protocol(GHCB_MSR_AP_RESET_HOLD_REQ);
}

static void send_nmi(uint32_t apic_id)
{
	*(volatile uint32_t *)shared_at(0xfee00310ul) = apic_id << 24;
	*(volatile uint32_t *)shared_at(0xfee00300ul) = 0x4400;
}

void guest_main(void)
{
	struct vmsa *v = (void *)vmsa_page;
	uint64_t then;

	guest_setup();
	check(psc(FREE, PSC_PRIVATE) && pvalidate(FREE, 0, true) == SNP_OK, "a page for both vCPUs");
	vmsa_fill(v, 0, level1_start, stack1 + sizeof(stack1));
	check(rmpadjust((uint64_t)v, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) == SNP_OK, "VMPL0 makes a VMSA for a vCPU");
	check(ap_create(1ul << 32 | AP_CREATE, (uint64_t)v, true) == 0, "the host starts it");
	while (__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) < 1000)
		__builtin_ia32_pause();
	check(true, "it runs");
	send_nmi(1);
	while (!__atomic_load_n(&nmis, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	check(true, "an NMI of the guest's own reaches it");
	check(rmpadjust((uint64_t)v, 0, RMPADJUST_ATTR(1, 0)) == 3, "a VMSA that runs cannot be unmade");
	check(pvalidate((uint64_t)v, 0, false) == 3, "nor can its validation be taken back");
	check(!psc((uint64_t)v, PSC_SHARED), "nor can the host take it away");
	expect_trap(2);
	check(pvalidate(FREE, 0, false) == SNP_OK, "the first vCPU takes back the page's validation");
	then = __atomic_load_n(&rounds, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&expected.came, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	check(__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) <= then + 1, "the second one does not get through once more");
	while (!__atomic_load_n(&seen, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	check(true, "it got 0x404");
	check(__atomic_load_n(&nmis, __ATOMIC_SEQ_CST) == 1, "the host's own NMIs are not seen");
	finish();
}
