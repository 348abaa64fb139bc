/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses that hardware never lets through: each ends the run, so each is an image of its own, built with CASE. L0
 * names what stopped it; tests/guests/suite knows which words each case must bring. Spec sections 2.1, 8.2.
 */
#include "tests/guests/guest.h"

#define FREE 0x10000000ul
#define LAPIC 0xfee00000ul

enum {
	READ_VMPL0, WRITE_READ_ONLY, EXECUTE_DATA, READ_SHARED_AS_PRIVATE, READ_PRIVATE_AS_SHARED, READ_DEVICE_AS_PRIVATE,
	READ_VMSA, READ_AFTER_REVOKE, READ_HOST, NO_IDT,
};

void guest_main(void);
void level1_main(void);
extern uint8_t level1_start[];
static uint8_t stack1[4096] __attribute__((aligned(16)));
static uint8_t vmsa_page[PAGE] __attribute__((aligned(4096)));

static uint64_t read(uint64_t va)
{
	return *(volatile uint64_t *)va;
}

void level1_main(void)
{
	guest_traps();
	(void)msr_protocol(GHCB_MSR_REGISTER_GPA_REQ | ghcb_gpa);
	switch (CASE) {
	case READ_VMPL0:
		(void)read(FREE);
		break;
	case WRITE_READ_ONLY:
		(void)read(FREE);
		print("ok reading is allowed\n");
		*(volatile uint64_t *)FREE = 1;
		break;
	case EXECUTE_DATA:
		(void)read(FREE);
		print("ok reading is allowed\n");
		((void (*)(void))FREE)();
		break;
	case READ_VMSA:
		(void)read((uint64_t)vmsa_page);
		break;
	case READ_AFTER_REVOKE:
		(void)read(FREE);
		(void)msr_protocol(GHCB_MSR_RUN_VMPL_REQ);
		(void)read(FREE);
		break;
	}
	print("not ok the access went through\n");
	finish();
}

static void run_level1(unsigned rights)
{
	struct vmsa *v = (void *)vmsa_page;

	(void)psc(FREE, PSC_PRIVATE);
	(void)pvalidate(FREE, 0, true);
	memset((void *)FREE, 0xc3, 16);	/* RET */
	(void)rmpadjust(FREE, 0, RMPADJUST_ATTR(1, rights));
	vmsa_fill(v, 1, level1_start, stack1 + sizeof(stack1));
	(void)grant_image(v);
	(void)rmpadjust((uint64_t)v, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA);
	(void)ap_create(1ul << 16 | AP_CREATE, (uint64_t)v, true);
	(void)run_vmpl(1);
	(void)rmpadjust(FREE, 0, RMPADJUST_ATTR(1, 0));
	(void)run_vmpl(1);
}

void guest_main(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = { 32 * 16 - 1, 0x7f0000000000ul };

	guest_setup();
	switch (CASE) {
	case READ_VMPL0:
	case READ_VMSA:
		run_level1(0);
		break;
	case WRITE_READ_ONLY:
	case EXECUTE_DATA:
		run_level1(CASE == EXECUTE_DATA ? RMP_R | RMP_W : RMP_R | RMP_XU | RMP_XS);
		break;
	case READ_AFTER_REVOKE:
		run_level1(RMP_R);
		break;
	case READ_SHARED_AS_PRIVATE:
		(void)read(FREE);
		break;
	case READ_PRIVATE_AS_SHARED:
		(void)psc(FREE, PSC_PRIVATE);
		(void)pvalidate(FREE, 0, true);
		(void)read(FREE);
		(void)read((uint64_t)shared_at(FREE));
		break;
	case READ_DEVICE_AS_PRIVATE:
		(void)read(LAPIC);
		break;
	case NO_IDT:
		__asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
		break;
	case READ_HOST:
		(void)read((uint64_t)shared_at(0x30000000ul));
		break;
	}
	print("not ok the access went through\n");
	finish();
}
