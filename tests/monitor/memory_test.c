/* SPDX-License-Identifier: Apache-2.0 */
/* Taking memory into use at start, from a host that draws the map. */
#include "tests/fake/plat.h"
#include "tests/test.h"

static struct mon m;

/* A machine whose map the test has not changed yet. */
static void fresh_machine(void)
{
	memset(&m, 0, sizeof(m));
	fake_reset();
}

static enum rc boot_memory(void)
{
	enum rc rc = fake_init(&m);

	return rc == RC_OK ? mon_memory(&m, fake_map, ARRAY_LEN(fake_map)) : rc;
}

TEST(all_memory_is_validated_zeroed_and_granted)
{
	uint8_t page[MON_PAGE], zero[MON_PAGE] = { 0 };

	fresh_machine();
	memset(fake.priv + 0x5000000, 0x55, MON_PAGE);	/* what was there before it was ours */
	EXPECT(boot_memory() == RC_OK);
	EXPECT(fake_guest_may(0, RMP_ALL));
	EXPECT(fake_guest_may(0x5000000, RMP_ALL));
	EXPECT(fake_guest_may(FAKE_TOP - 1 - LAUNCH_MON_LEN, RMP_ALL));
	fake_guest_read(0x5000000, page, sizeof(page));
	EXPECT_MEM(page, zero, sizeof(page));
	EXPECT(!fake_guest_may(0x9f000, RMP_R));	/* a hole */
	fake_check(&m);
}

TEST(launch_pages_are_granted_as_they_are_and_never_validated_again)
{
	uint8_t byte;

	fresh_machine();
	EXPECT(boot_memory() == RC_OK);
	fake_guest_read(LAUNCH_KERNEL, &byte, 1);
	EXPECT_INT(byte, 0x40);
	EXPECT(fake_guest_may(LAUNCH_KERNEL + (FAKE_KERNEL_PAGES - 1) * MON_PAGE, RMP_ALL));
	EXPECT(fake_guest_may(LAUNCH_INITRD, RMP_ALL));
}

TEST(the_guest_gets_no_right_to_any_page_of_the_monitor)
{
	uint64_t at;

	fresh_machine();
	EXPECT(boot_memory() == RC_OK);
	for (at = LAUNCH_MON_BASE; at < LAUNCH_MON_BASE + LAUNCH_MON_LEN; at += MON_PAGE)
		EXPECT(!fake_guest_may(at, RMP_R) && !fake_guest_may(at, RMP_W));
	EXPECT(fake.rmp[(LAUNCH_MON_BASE + LAUNCH_MON_LEN) / MON_PAGE - 1].validated);
}

TEST(a_host_of_small_pages_is_served_too)
{
	fresh_machine();
	fake.small = true;
	EXPECT(boot_memory() == RC_OK);
	EXPECT(fake_guest_may(0x5000000, RMP_ALL));
	fake_check(&m);
}

TEST(acpi_tables_are_copied_into_private_memory)
{
	struct mon_ram ram[MON_RAM_MAX];
	char text[8];

	fresh_machine();
	EXPECT(boot_memory() == RC_OK);
	EXPECT_INT(mon_rsdp(&m), FAKE_ACPI);
	fake_guest_read(FAKE_ACPI + 2 * MON_PAGE, text, 4);
	EXPECT_MEM(text, "DSDT", 4);
	EXPECT_INT(mon_ram(&m, ram, MON_RAM_MAX), 3);
	EXPECT(ram[0].first.v == 0 && ram[0].pages == 0x9f && !ram[0].acpi);
	EXPECT(ram[1].first.v == FAKE_ACPI && ram[1].pages == 3 && ram[1].acpi);
	EXPECT(ram[2].first.v == 0x100000 && ram[2].first.v + ram[2].pages * MON_PAGE == LAUNCH_MON_BASE && !ram[2].acpi);
}

TEST(reserved_memory_without_tables_is_left_alone)
{
	fresh_machine();
	memset(fake.shared + FAKE_ACPI, 0, 8);
	EXPECT(boot_memory() == RC_OK);
	EXPECT_INT(mon_rsdp(&m), 0);
	EXPECT(!fake_guest_may(FAKE_ACPI, RMP_R));
	EXPECT(!fake.rmp[FAKE_ACPI / MON_PAGE].assigned);
}

TEST(the_map_reaches_around_the_monitor)
{
	struct mon_ram ram[MON_RAM_MAX];

	fresh_machine();
	fake_map[2].pages = 0x38000 - 0x100;
	EXPECT(boot_memory() == RC_OK);
	EXPECT_INT(mon_ram(&m, ram, MON_RAM_MAX), 4);
	EXPECT(ram[3].first.v == LAUNCH_MON_BASE + LAUNCH_MON_LEN && ram[3].pages == 0x8000);
	EXPECT_INT(mon_ram(&m, ram, 1), 1);
}

TEST(a_page_that_is_validated_already_is_an_attack)
{
	fresh_machine();
	/* The host left a validated page where memory was to be made private; model: PVALIDATE says CF. */
	fake.refuse = FAKE_PVALIDATE;
	fake.refuse_at = 30;
	fake.refuse_code = PLAT_NO_CHANGE;
	EXPECT(boot_memory() == RC_MACHINE);
}

TEST(each_refusal_of_the_machine_at_start_is_reported)
{
	static const struct {
		enum fake_op op;
		unsigned code;
	} kinds[] = { { FAKE_PVALIDATE, SNP_FAIL_INPUT }, { FAKE_RMPADJUST, SNP_FAIL_PERMISSION }, { FAKE_PSC, 0 } };
	unsigned i, at, step;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		for (at = 1, step = 1;; at += step, step += step / 2 + 1) {
			fresh_machine();
			fake.refuse = kinds[i].op;
			fake.refuse_code = kinds[i].code;
			fake.refuse_at = at;
			enum rc rc = boot_memory();

			if (!fake.refused) {
				EXPECT(rc == RC_OK);
				break;
			}
			EXPECT(rc == RC_MACHINE);
		}
		EXPECT(at > 3);
	}
}

static enum rc with_map(unsigned at, uint64_t first, uint64_t pages, uint16_t type)
{
	fresh_machine();
	fake_map[at] = (struct igvm_memory_map_entry){ .first_page = first, .pages = pages, .type = type };
	return boot_memory();
}

TEST(a_map_that_contradicts_itself_is_refused_before_anything_is_touched)
{
	static const struct {
		unsigned at;
		uint64_t first, pages;
		uint16_t type;
	} bad[] = {
		{ 1, 0x9e, 4, IGVM_MEM_RAM },			/* overlap */
		{ 1, 0, 1, IGVM_MEM_RAM },			/* not ascending */
		{ 2, 0x100, UINT64_MAX, IGVM_MEM_RAM },		/* wraps */
		{ 3, UINT64_MAX, 1, IGVM_MEM_RAM },
		{ 3, 0x40000, 1ull << 52, IGVM_MEM_RAM },
		{ 2, 0x1000, 1, IGVM_MEM_RESERVED },		/* the kernel's page as host memory */
		{ 2, 0x28000, 4, IGVM_MEM_RESERVED },		/* the monitor's */
	};
	unsigned i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(with_map(bad[i].at, bad[i].first, bad[i].pages, bad[i].type) == RC_BAD_INPUT);
		EXPECT(!fake.rmp[0].assigned);
		EXPECT(!fake.rmp[LAUNCH_MON_BASE / MON_PAGE + 0x4000].assigned);
	}
}

TEST(a_map_without_the_kernels_memory_is_refused)
{
	EXPECT(with_map(2, 0x2000, 0x1000, IGVM_MEM_RAM) == RC_BAD_INPUT);
	fresh_machine();
	memset(fake_map, 0, sizeof(fake_map));
	EXPECT(boot_memory() == RC_BAD_INPUT);
}

TEST(memory_beyond_the_table_is_not_used)
{
	struct mon_ram ram[MON_RAM_MAX];

	EXPECT(with_map(3, MON_FRAMES - 2, 100, IGVM_MEM_RAM) == RC_OK);
	EXPECT_INT(mon_ram(&m, ram, MON_RAM_MAX), 4);
	EXPECT_INT(ram[3].pages, 2);
	EXPECT(with_map(3, MON_FRAMES, 100, IGVM_MEM_RAM) == RC_OK);
	EXPECT_INT(mon_ram(&m, ram, MON_RAM_MAX), 3);
}

TEST(a_full_map_has_room_and_a_longer_one_is_refused)
{
	static struct igvm_memory_map_entry map[LAUNCH_PARAM_MAP_MAX + 1];
	unsigned i;

	fresh_machine();
	for (i = 0; i < ARRAY_LEN(map); i++)
		map[i] = (struct igvm_memory_map_entry){ .first_page = 2 * i, .pages = 1 };
	map[LAUNCH_PARAM_MAP_MAX - 1] = (struct igvm_memory_map_entry){ .first_page = 0x1000, .pages = 0x37000 };
	EXPECT(fake_init(&m) == RC_OK);
	EXPECT(mon_memory(&m, map, ARRAY_LEN(map)) == RC_BAD_INPUT);
	EXPECT(mon_memory(&m, map, LAUNCH_PARAM_MAP_MAX) == RC_OK);
	EXPECT_INT(m.rams, LAUNCH_PARAM_MAP_MAX + 1);
}

TEST(malformed_launch_information_is_refused)
{
	unsigned i;

	for (i = 0;; i++) {
		fresh_machine();
		switch (i) {
		case 0: fake_info.magic++; break;
		case 1: fake_info.version = 2; break;
		case 2: fake_info.guest_vmpl = 0; break;
		case 3: fake_info.guest_vmpl = 4; break;
		case 4: fake_info.zero[4096 - 137] = 1; break;
		case 5: fake_info.memory_end = LAUNCH_MON_BASE - MON_PAGE; break;
		case 6: fake_info.memory_end = LAUNCH_MON_BASE + LAUNCH_MON_LEN + MON_PAGE; break;
		case 7: fake_info.memory_end++; break;
		case 8: fake_info.kernel.gpa = LAUNCH_MON_BASE; break;
		case 9: fake_info.kernel.gpa++; break;
		case 10: fake_info.kernel.len = UINT64_MAX; break;
		case 11: fake_info.kernel.gpa = 1ull << 51; break;
		case 12: fake_info.initrd = fake_info.kernel; break;
		case 13: fake_info.service.gpa = 0x1000; break;
		case 14: fake_info.service.len = LAUNCH_MON_LEN; break;
		case 15: fake_info.platform.len = UINT64_MAX; break;
		case 16: fake_info.initrd.len = 0; break;	/* none, but an address */
		default:
			EXPECT(fake_init(&m) == RC_OK);
			return;
		}
		EXPECT(fake_init(&m) == RC_BAD_INPUT);
	}
}

TEST(a_page_that_the_host_takes_away_during_start_stops_the_machine)
{
	struct mon *b = fake_boot();

	fake_host_takes(0x6000000);
	EXPECT_STOPS(MON_REASON_NOT_VALIDATED, plat_zero((struct gpa){ 0x6000000 }, MON_PAGE));
	EXPECT(b->root.b[0] == 0 && b->msg.key.b[1] == 0);	/* keys are gone */
}
