/* SPDX-License-Identifier: Apache-2.0 */
/* CREATE_VCPU, DELETE_VCPU, REMAP_CA, and who holds which VMSA. */
#include "tests/fake/plat.h"
#include "tests/test.h"

#define VMSA_1 0x5001000ull
#define VMSA_2 0x5002000ull
#define CA_1 0x5010000ull
#define CA_2 0x5011000ull

static struct vmsa good(void)
{
	return (struct vmsa){ .vmpl = FAKE_VMPL, .efer = VMSA_EFER_SVME, .sev_features = SEV_FEATURE_SNP };
}

static uint32_t create(struct mon *m, unsigned cpu, uint64_t vmsa, uint64_t caa, uint64_t apic)
{
	struct mon_regs r = { .rcx = vmsa, .rdx = caa, .r8 = apic };
	uint32_t rax = fake_call(m, cpu, SVSM_PROTO_CORE, SVSM_CREATE_VCPU, &r);

	fake_check(m);
	return rax;
}

static uint32_t create_good(struct mon *m, uint64_t vmsa, uint64_t caa, unsigned cpu)
{
	struct vmsa v = good();

	fake_guest_write(vmsa, &v, sizeof(v));
	return create(m, 0, vmsa, caa, FAKE_APIC(cpu));
}

static uint32_t with_rcx(struct mon *m, unsigned cpu, uint32_t call, uint64_t rcx)
{
	struct mon_regs r = { .rcx = rcx };
	uint32_t rax = fake_call(m, cpu, SVSM_PROTO_CORE, call, &r);

	fake_check(m);
	return rax;
}

#define DELETE(m, vmsa) with_rcx(m, 0, SVSM_DELETE_VCPU, vmsa)
#define REMAP(m, caa) with_rcx(m, 0, SVSM_REMAP_CA, caa)

TEST(a_vcpu_is_created_used_and_deleted)
{
	struct mon *m = fake_boot();
	struct gpa vmsa, caa;

	EXPECT(!mon_take(m, 1, &vmsa, &caa));
	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	EXPECT(fake.rmp[VMSA_1 / MON_PAGE].vmsa);
	EXPECT(fake_guest_may(VMSA_1, RMP_R) && !fake_guest_may(VMSA_1, RMP_W));
	EXPECT(fake_guest_may(CA_1, RMP_ALL));
	EXPECT(mon_take(m, 1, &vmsa, &caa));
	EXPECT(vmsa.v == VMSA_1 && caa.v == CA_1);
	mon_release(m, 1);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
	EXPECT(!fake.rmp[VMSA_1 / MON_PAGE].vmsa);
	EXPECT(fake_guest_may(VMSA_1, RMP_ALL));
	EXPECT(!mon_take(m, 1, &vmsa, &caa));
}

static unsigned looked;

/* Another CPU of the guest, at the moment when the monitor copies. */
static void nobody_can_write(uint64_t gpa)
{
	if (gpa != VMSA_1)
		return;
	EXPECT(!fake_guest_may(gpa, RMP_W) && !fake.stale);
	looked++;
}

TEST(the_guests_rights_are_gone_before_its_vmsa_is_looked_at)
{
	struct mon *m = fake_boot();

	fake.on_read = nobody_can_write;
	looked = 0;
	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	EXPECT_INT(looked, 1);
	EXPECT_INT(fake.rmp[VMSA_1 / MON_PAGE].perm[FAKE_VMPL], RMP_R);	/* the kernel reads sev_features there */
}

TEST(a_vmsa_of_another_level_or_without_the_right_features_is_refused)
{
	struct mon *m = fake_boot();
	unsigned i;

	for (i = 0; i < 10; i++) {
		struct vmsa v = good();

		switch (i) {
		case 0: v.vmpl = 0; break;
		case 1: v.vmpl = 2; break;
		case 2: v.vmpl = 0xff; break;
		case 3: v.efer = 0; break;
		case 4: v.efer = ~VMSA_EFER_SVME; break;
		case 5: v.sev_features = 0; break;
		case 6: v.sev_features = SEV_FEATURE_SNP | 2; break;
		case 7: v.sev_features = 1 | 1 << 5; break;
		case 8: v.sev_features = 1ull << 63 | 1; break;
		case 9: v.virtual_tom = 0x1000; break;
		}
		fake_guest_write(VMSA_1, &v, sizeof(v));
		EXPECT_INT(create(m, 0, VMSA_1, CA_1, FAKE_APIC(1)), SVSM_INVALID_PARAMETER);
		EXPECT(fake_guest_may(VMSA_1, RMP_ALL));	/* the guest's again, unchanged */
		EXPECT(!fake.rmp[VMSA_1 / MON_PAGE].vmsa);
	}
}

TEST(pages_for_a_vcpu_must_be_the_guests_and_distinct)
{
	static const struct {
		uint64_t vmsa, caa, apic;
		uint32_t rax;
	} bad[] = {
		{ VMSA_1, VMSA_1, 2, SVSM_INVALID_PARAMETER },
		{ VMSA_1 + 8, CA_1, 2, SVSM_INVALID_PARAMETER },
		{ VMSA_1, CA_1 + 1, 2, SVSM_INVALID_PARAMETER },
		{ VMSA_1, CA_1, 1, SVSM_INVALID_PARAMETER },			/* no such CPU */
		{ VMSA_1, CA_1, 2 | 1ull << 32, SVSM_INVALID_PARAMETER },
		{ VMSA_1, CA_1, ~0ull, SVSM_INVALID_PARAMETER },
		{ LAUNCH_MON_BASE + 0x1000, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ FAKE_BOOT_VMSA, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1, LAUNCH_MON_BASE + 0x1000, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1, FAKE_BOOT_VMSA, 2, SVSM_INVALID_ADDRESS },
		{ 0xa0000, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1, 0xa0000, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1 | 1ull << 39, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1, CA_1 | 1ull << 51, 2, SVSM_INVALID_ADDRESS },
		{ ~0xfffull, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ VMSA_1, MON_GPA_END, 2, SVSM_INVALID_ADDRESS },
		{ 0x5000000 & ~0x1fffffull, CA_1, 2, SVSM_INVALID_ADDRESS },	/* the erratum: first page of 2 MiB */
		{ 0, CA_1, 2, SVSM_INVALID_ADDRESS },
		{ FAKE_CA, CA_1, 2, SVSM_CORE_IN_USE },
		{ VMSA_1, FAKE_CA, 2, SVSM_CORE_IN_USE },			/* another CPU's */
	};
	struct mon *m = fake_boot();
	struct vmsa v = good();
	size_t i;

	fake_guest_write(VMSA_1, &v, sizeof(v));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(create(m, 0, bad[i].vmsa, bad[i].caa, bad[i].apic), bad[i].rax);
	EXPECT_INT(create(m, 0, VMSA_1, CA_1, FAKE_APIC(1)), SVSM_SUCCESS);
	EXPECT_INT(create(m, 0, VMSA_1, CA_2, FAKE_APIC(2)), SVSM_CORE_IN_USE);		/* a VMSA already */
	EXPECT_INT(create_good(m, VMSA_2, CA_1, 2), SVSM_CORE_IN_USE);
}

TEST(the_callers_own_cpu_and_one_that_is_in_a_call_are_not_replaced)
{
	struct mon *m = fake_boot();
	struct gpa vmsa, caa;

	EXPECT_INT(create_good(m, VMSA_1, CA_1, 0), SVSM_CORE_IN_USE);
	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	EXPECT(mon_take(m, 1, &vmsa, &caa));
	EXPECT_INT(create_good(m, VMSA_2, CA_2, 1), SVSM_CORE_IN_USE);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_CORE_IN_USE);
	mon_release(m, 1);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
}

TEST(a_cpu_gets_a_new_vmsa_before_its_old_one_is_given_up)
{
	struct mon *m = fake_boot();
	struct gpa vmsa, caa;

	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	EXPECT_INT(create_good(m, VMSA_2, CA_1, 1), SVSM_SUCCESS);	/* as the kernel does: same calling area */
	EXPECT(mon_take(m, 1, &vmsa, &caa));
	EXPECT(vmsa.v == VMSA_2 && caa.v == CA_1);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);			/* the old one is idle */
	mon_release(m, 1);
	EXPECT(mon_take(m, 1, &vmsa, &caa) && vmsa.v == VMSA_2);	/* and the new one stays */
	mon_release(m, 1);
	EXPECT_INT(create_good(m, VMSA_1, CA_2, 1), SVSM_SUCCESS);	/* another calling area */
	EXPECT(fake_guest_may(CA_1, RMP_ALL));
	EXPECT_INT(create_good(m, 0x5003000, CA_1, 2), SVSM_SUCCESS);
}

TEST(what_is_no_vmsa_cannot_be_deleted)
{
	static const struct {
		uint64_t at;
		uint32_t rax;
	} bad[] = {
		{ VMSA_1, SVSM_INVALID_ADDRESS }, { FAKE_CA, SVSM_INVALID_ADDRESS }, { FAKE_BOOT_VMSA, SVSM_INVALID_ADDRESS },
		{ LAUNCH_MON_BASE, SVSM_INVALID_ADDRESS }, { 0, SVSM_INVALID_ADDRESS }, { VMSA_1 + 1, SVSM_INVALID_PARAMETER },
		{ 1ull << 39, SVSM_INVALID_ADDRESS }, { ~0xfffull, SVSM_INVALID_ADDRESS },
	};
	struct mon *m = fake_boot();
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(DELETE(m, bad[i].at), bad[i].rax);
	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_INVALID_ADDRESS);
}

TEST(a_vmsa_that_a_cpu_runs_on_is_not_deleted)
{
	struct mon *m = fake_boot();
	struct vmsa v;

	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	fake.rmp[VMSA_1 / MON_PAGE].running = 1;
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_CORE_IN_USE);
	memcpy(&v, fake.priv + VMSA_1, sizeof(v));
	EXPECT(v.efer & VMSA_EFER_SVME);	/* may be entered again */
	EXPECT(fake.rmp[VMSA_1 / MON_PAGE].vmsa);
	fake.rmp[VMSA_1 / MON_PAGE].running = 0;
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
}

TEST(vmsa_and_calling_area_cannot_be_given_away)
{
	struct mon *m = fake_boot();
	struct svsm_pvalidate_list list = { .entries = 1 };
	uint64_t pages[2] = { VMSA_1, CA_1 };
	struct mon_regs r;
	size_t i;

	EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
	for (i = 0; i < 2; i++) {
		fake_guest_write(0x8000, &list, sizeof(list));
		fake_guest_write(0x8008, &pages[i], 8);
		r = (struct mon_regs){ .rcx = 0x8000 };
		EXPECT_INT(fake_call(m, 0, 0, SVSM_PVALIDATE, &r), SVSM_CORE_IN_USE);
	}
	fake_check(m);
}

TEST(each_refusal_of_the_hardware_leaves_the_vmsas_page_with_its_owner)
{
	static const unsigned codes[] = { SNP_FAIL_INPUT, SNP_FAIL_PERMISSION, SNP_FAIL_SIZEMISMATCH, PLAT_FAIL_IN_USE };
	unsigned c, at;

	for (c = 0; c < ARRAY_LEN(codes); c++)
		for (at = 1; at <= 2; at++) {
			struct mon *m = fake_boot();

			fake.refuse = FAKE_RMPADJUST;
			fake.refuse_code = codes[c];
			fake.refuse_at = at;
			EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_PROTOCOL_BASE + codes[c]);
			EXPECT(fake.refused && fake_guest_may(VMSA_1, RMP_ALL));
			EXPECT_INT(create_good(m, VMSA_1, CA_1, 1), SVSM_SUCCESS);
			fake.refuse_at = 1;
			EXPECT_INT(DELETE(m, VMSA_1), SVSM_PROTOCOL_BASE + codes[c]);
			EXPECT(fake.rmp[VMSA_1 / MON_PAGE].vmsa && !fake_guest_may(VMSA_1, RMP_W));
			EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
		}
}

TEST(the_calling_area_moves_and_is_cleared)
{
	struct mon *m = fake_boot();
	uint8_t page[MON_PAGE], zero[MON_PAGE] = { 0 };
	struct gpa vmsa, caa;

	memset(page, 0xff, sizeof(page));
	fake_guest_write(CA_1, page, sizeof(page));
	EXPECT_INT(REMAP(m, CA_1), SVSM_SUCCESS);
	fake_guest_read(CA_1, page, sizeof(page));
	EXPECT_MEM(page, zero, sizeof(page));
	EXPECT(mon_take(m, 0, &vmsa, &caa));
	mon_release(m, 0);
	EXPECT(caa.v == CA_1 && vmsa.v == FAKE_BOOT_VMSA);
	EXPECT_INT(REMAP(m, CA_1), SVSM_SUCCESS);	/* where it is */
	EXPECT_INT(REMAP(m, FAKE_CA), SVSM_SUCCESS);
}

TEST(a_calling_area_must_be_a_page_of_the_guests_own)
{
	static const struct {
		uint64_t at;
		uint32_t rax;
	} bad[] = {
		{ CA_1 + 8, SVSM_INVALID_PARAMETER }, { LAUNCH_MON_BASE, SVSM_INVALID_ADDRESS },
		{ FAKE_BOOT_VMSA, SVSM_INVALID_ADDRESS }, { 0xa0000, SVSM_INVALID_ADDRESS },
		{ MON_GPA_END, SVSM_INVALID_ADDRESS }, { CA_1 | 1ull << 39, SVSM_INVALID_ADDRESS },
		{ CA_1 | 1ull << 63, SVSM_INVALID_ADDRESS }, { ~0xfffull, SVSM_INVALID_ADDRESS },
		{ VMSA_1, SVSM_CORE_IN_USE }, { CA_2, SVSM_CORE_IN_USE },
	};
	struct mon *m = fake_boot();
	size_t i;

	EXPECT_INT(create_good(m, VMSA_1, CA_2, 1), SVSM_SUCCESS);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(REMAP(m, bad[i].at), bad[i].rax);
}

TEST(there_is_room_for_two_vmsas_of_each_cpu_and_not_for_more)
{
	struct mon *m = fake_boot();
	struct vmsa v = good();
	uint64_t at = 0x5001000;
	unsigned i;

	for (i = 0; i < MON_VMSAS; i++, at += MON_PAGE) {
		fake_guest_write(at, &v, sizeof(v));
		EXPECT_INT(create(m, 0, at, 0x7000000, FAKE_APIC(1)), SVSM_SUCCESS);
	}
	fake_guest_write(at, &v, sizeof(v));
	EXPECT_INT(create(m, 0, at, 0x7000000, FAKE_APIC(1)), SVSM_INVALID_REQUEST);
	EXPECT(fake_guest_may(at, RMP_ALL));
	EXPECT_INT(DELETE(m, VMSA_1), SVSM_SUCCESS);
	EXPECT_INT(create(m, 0, at, 0x7000000, FAKE_APIC(1)), SVSM_SUCCESS);
}

TEST(cpus_are_known_once)
{
	struct mon *m = fake_boot();

	EXPECT(mon_cpu(m, MON_CPUS, 200) == RC_NO_ROOM);
	EXPECT(mon_cpu(m, 1, 200) == RC_BAD_INPUT);
	EXPECT(mon_cpu(m, 10, FAKE_APIC(1)) == RC_BAD_INPUT);
	EXPECT(mon_cpu(m, 10, 200) == RC_OK);
	EXPECT(mon_boot_vcpu(m, 0, (struct gpa){ FAKE_BOOT_VMSA }, (struct gpa){ 0x9000 }) == RC_DENIED);
	EXPECT(mon_boot_vcpu(m, 11, (struct gpa){ FAKE_BOOT_VMSA }, (struct gpa){ 0x9000 }) == RC_DENIED);
	EXPECT(mon_boot_vcpu(m, 1, (struct gpa){ 0x9000 }, (struct gpa){ 0x9000 }) == RC_DENIED);
	EXPECT(mon_boot_vcpu(m, 1, (struct gpa){ FAKE_BOOT_VMSA }, (struct gpa){ LAUNCH_MON_BASE }) == RC_DENIED);
}
