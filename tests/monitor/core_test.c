/* SPDX-License-Identifier: Apache-2.0 */
/* The core protocol's PVALIDATE, QUERY_PROTOCOL and what is not supported; dispatch. */
#include "tests/fake/plat.h"
#include "tests/test.h"

#define LIST 0x8000ull
#define PAGE_A 0x5001000ull
#define HUGE_A 0x6000000ull
#define HUGE 1u
#define VALIDATE SVSM_PV_VALIDATE
#define IGNORE SVSM_PV_IGNORE_CF

static uint16_t next;

/* One list of `count` entries at `at`; `next` afterwards is in `next`. */
static uint32_t pvalidate_at(struct mon *m, uint64_t at, const uint64_t *entries, uint16_t count, uint16_t first)
{
	struct svsm_pvalidate_list list = { .entries = count, .next = first, .zero = 0xdead };
	struct mon_regs r = { .rcx = at };
	uint32_t rax;

	fake_guest_write(at, &list, sizeof(list));
	if (count <= 510 - at % MON_PAGE / 8)
		fake_guest_write(at + sizeof(list), entries, count * sizeof(*entries));
	rax = fake_call(m, 0, SVSM_PROTO_CORE, SVSM_PVALIDATE, &r);
	memcpy(&list, fake.priv + at, sizeof(list));
	next = list.next;
	fake_check(m);
	return rax;
}

static uint32_t pvalidate(struct mon *m, uint64_t entry)
{
	return pvalidate_at(m, LIST, &entry, 1, 0);
}

TEST(a_rescinded_page_is_out_of_the_guests_reach_and_comes_back_zeroed)
{
	struct mon *m = fake_boot();
	uint8_t page[MON_PAGE], zero[MON_PAGE] = { 0 };

	memset(page, 0x77, sizeof(page));
	fake_guest_write(PAGE_A, page, sizeof(page));
	EXPECT_INT(pvalidate(m, PAGE_A), SVSM_SUCCESS);
	EXPECT_INT(next, 1);
	EXPECT(!fake.rmp[PAGE_A / MON_PAGE].validated);
	EXPECT(!fake_guest_may(PAGE_A, RMP_R));
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE), SVSM_SUCCESS);
	EXPECT(fake_guest_may(PAGE_A, RMP_ALL));
	fake_guest_read(PAGE_A, page, sizeof(page));
	EXPECT_MEM(page, zero, sizeof(page));
}

TEST(large_pages_go_and_come_in_one_piece)
{
	struct mon *m = fake_boot();

	EXPECT_INT(pvalidate(m, HUGE_A | HUGE), SVSM_SUCCESS);
	EXPECT(!fake_guest_may(HUGE_A + 511 * MON_PAGE, RMP_R));
	EXPECT(fake.rmp[HUGE_A / MON_PAGE].huge);
	EXPECT_INT(pvalidate(m, HUGE_A | HUGE | VALIDATE), SVSM_SUCCESS);
	EXPECT(fake_guest_may(HUGE_A + 511 * MON_PAGE, RMP_ALL));
}

TEST(the_monitors_memory_that_the_host_puts_behind_a_page_is_not_shown_to_the_guest)
{
	struct mon *m = fake_boot();
	uint8_t page[MON_PAGE], zero[MON_PAGE] = { 0 };

	EXPECT_INT(pvalidate(m, PAGE_A), SVSM_SUCCESS);
	fake_host_gives(PAGE_A, LAUNCH_SECRETS);
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE), SVSM_SUCCESS);
	fake_guest_read(PAGE_A, page, sizeof(page));
	EXPECT_MEM(page, zero, sizeof(page));
}

TEST(a_page_is_never_validated_twice)
{
	struct mon *m = fake_boot();
	uint8_t byte = 0x5a;

	fake_guest_write(PAGE_A, &byte, 1);
	fake_host_gives(PAGE_A, 0x5005000);	/* other memory, not yet validated */
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE), SVSM_CORE_NO_CHANGE);
	EXPECT_INT(next, 0);
	EXPECT(!fake.rmp[PAGE_A / MON_PAGE].validated);
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE | IGNORE), SVSM_SUCCESS);
	EXPECT(!fake.rmp[PAGE_A / MON_PAGE].validated);
}

TEST(no_change_is_told_unless_the_guest_does_not_care)
{
	struct mon *m = fake_boot();

	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE), SVSM_CORE_NO_CHANGE);
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE | IGNORE), SVSM_SUCCESS);
	EXPECT_INT(next, 1);
	EXPECT_INT(pvalidate(m, PAGE_A), SVSM_SUCCESS);
	EXPECT_INT(pvalidate(m, PAGE_A), SVSM_CORE_NO_CHANGE);
	EXPECT_INT(pvalidate(m, PAGE_A | IGNORE), SVSM_SUCCESS);
	EXPECT_INT(pvalidate(m, HUGE_A | HUGE | VALIDATE), SVSM_CORE_NO_CHANGE);
}

TEST(a_page_that_the_hardware_calls_validated_after_it_was_rescinded_is_lost)
{
	struct mon *m = fake_boot();

	EXPECT_INT(pvalidate(m, PAGE_A), SVSM_SUCCESS);
	fake.rmp[PAGE_A / MON_PAGE].validated = 1;	/* the host found a way: another page's entry */
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE | IGNORE), SVSM_CORE_NO_CHANGE);
	EXPECT(!fake_guest_may(PAGE_A, RMP_R));
	EXPECT_INT(pvalidate(m, PAGE_A | VALIDATE | IGNORE), SVSM_INVALID_ADDRESS);
}

TEST(sizes_that_do_not_fit_change_nothing)
{
	struct mon *m = fake_boot();

	fake_host_smashes(HUGE_A);
	EXPECT_INT(pvalidate(m, HUGE_A | HUGE), SVSM_CORE_SIZEMISMATCH);
	EXPECT(fake_guest_may(HUGE_A, RMP_ALL));
	EXPECT_INT(pvalidate(m, HUGE_A + MON_PAGE), SVSM_SUCCESS);
	EXPECT_INT(pvalidate(m, HUGE_A | HUGE), SVSM_CORE_SIZEMISMATCH);	/* one page is the host's already */
	EXPECT_INT(pvalidate(m, HUGE_A | HUGE | VALIDATE), SVSM_CORE_SIZEMISMATCH);
	EXPECT(fake_guest_may(HUGE_A, RMP_ALL));
	EXPECT_INT(pvalidate(m, (HUGE_A + MON_PAGE) | VALIDATE), SVSM_SUCCESS);
}

TEST(only_the_guests_own_memory_can_be_named)
{
	static const struct {
		uint64_t entry;
		uint32_t rax;
	} bad[] = {
		{ LAUNCH_MON_BASE, SVSM_INVALID_ADDRESS },
		{ LAUNCH_MON_BASE | VALIDATE, SVSM_INVALID_ADDRESS },
		{ LAUNCH_MON_BASE | VALIDATE | IGNORE, SVSM_INVALID_ADDRESS },
		{ LAUNCH_MON_BASE | HUGE, SVSM_INVALID_ADDRESS },
		{ FAKE_BOOT_VMSA, SVSM_INVALID_ADDRESS },
		{ 0xa0000 | VALIDATE, SVSM_INVALID_ADDRESS },			/* no memory */
		{ 0xc0000 | VALIDATE, SVSM_INVALID_ADDRESS },			/* nor ROM shadows */
		{ MON_GPA_END, SVSM_INVALID_ADDRESS },
		{ MON_GPA_END - MON_PAGE, SVSM_INVALID_ADDRESS },
		{ PAGE_A | 1ull << 39, SVSM_INVALID_ADDRESS },			/* the C-bit */
		{ PAGE_A | 1ull << 51, SVSM_INVALID_ADDRESS },
		{ PAGE_A | 1ull << 63, SVSM_INVALID_ADDRESS },
		{ ~0xfffull, SVSM_INVALID_ADDRESS },
		{ ~0x1fffffull | HUGE, SVSM_INVALID_ADDRESS },
		{ FAKE_CA, SVSM_CORE_IN_USE },
		{ HUGE, SVSM_INVALID_ADDRESS },					/* a hole inside */
		{ PAGE_A | 2, SVSM_INVALID_PARAMETER },
		{ PAGE_A | 3, SVSM_INVALID_PARAMETER },
		{ PAGE_A | 0x10, SVSM_INVALID_PARAMETER },
		{ PAGE_A | 0x800, SVSM_INVALID_PARAMETER },
		{ PAGE_A | HUGE, SVSM_INVALID_PARAMETER },
	};
	struct mon *m = fake_boot();
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(pvalidate(m, bad[i].entry), bad[i].rax);
		EXPECT_INT(next, 0);
	}
}

TEST(a_list_is_done_in_order_and_next_names_the_entry_that_failed)
{
	uint64_t e[4] = { 0x5000000, 0x5001000, LAUNCH_MON_BASE, 0x5003000 };
	struct mon *m = fake_boot();

	EXPECT_INT(pvalidate_at(m, LIST, e, 4, 0), SVSM_INVALID_ADDRESS);
	EXPECT_INT(next, 2);
	EXPECT(!fake_guest_may(0x5001000, RMP_R));
	EXPECT(fake_guest_may(0x5003000, RMP_R));
	EXPECT_INT(pvalidate_at(m, LIST, e, 4, 3), SVSM_SUCCESS);	/* the guest goes on behind it */
	EXPECT_INT(next, 4);
	EXPECT(!fake_guest_may(0x5003000, RMP_R));
}

TEST(lists_that_do_not_fit_are_refused)
{
	uint64_t e[512] = { 0 };
	struct mon *m = fake_boot();
	struct mon_regs r;
	size_t i;

	for (i = 0; i < 512; i++)
		e[i] = 0x5000000 + i * MON_PAGE;
	EXPECT_INT(pvalidate_at(m, LIST, e, 0, 0), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST, e, 1, 1), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST, e, 1, 0xffff), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST, e, 512, 0), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST, e, 0xffff, 0), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST + 8, e, 511, 0), SVSM_INVALID_PARAMETER);
	EXPECT_INT(pvalidate_at(m, LIST + MON_PAGE - 8, e, 1, 0), SVSM_INVALID_PARAMETER);
	EXPECT(fake_guest_may(0x5000000, RMP_R));
	EXPECT_INT(pvalidate_at(m, FAKE_CA + 8, e, 509, 0), SVSM_SUCCESS);	/* in the calling area */
	EXPECT_INT(pvalidate_at(m, LIST, e + 509, 3, 0), SVSM_SUCCESS);
	r = (struct mon_regs){ .rcx = LIST + 4 };
	EXPECT_INT(fake_call(m, 0, 0, SVSM_PVALIDATE, &r), SVSM_INVALID_PARAMETER);
}

TEST(a_list_outside_of_the_guests_memory_is_not_read)
{
	static const uint64_t bad[] = { LAUNCH_MON_BASE, LAUNCH_SECRETS, FAKE_BOOT_VMSA, 0xa0000, MON_GPA_END, 1ull << 39,
					LIST | 1ull << 39, LIST | 1ull << 51, ~0xfffull, ~7ull - 8 };
	struct mon *m = fake_boot();
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct mon_regs r = { .rcx = bad[i] };

		EXPECT_INT(fake_call(m, 0, 0, SVSM_PVALIDATE, &r), SVSM_INVALID_ADDRESS);
	}
}

TEST(a_list_that_gives_its_own_page_away_is_not_written_to)
{
	uint64_t e[2] = { LIST, 0x5000000 };
	struct mon *m = fake_boot();

	EXPECT_INT(pvalidate_at(m, LIST, e, 2, 0), SVSM_INVALID_ADDRESS);
	EXPECT_INT(next, 0);
	EXPECT(!fake_guest_may(LIST, RMP_R));
	EXPECT(!fake_guest_may(0x5000000, RMP_R));
}

TEST(each_refusal_of_the_hardware_is_told_and_leaves_no_page_half_done)
{
	static const unsigned codes[] = { SNP_FAIL_INPUT, SNP_FAIL_PERMISSION, SNP_FAIL_SIZEMISMATCH };
	static const uint64_t entries[] = { PAGE_A, HUGE_A | HUGE };
	unsigned c, e, op;

	for (c = 0; c < ARRAY_LEN(codes); c++)
		for (e = 0; e < ARRAY_LEN(entries); e++)
			for (op = 0; op < 4; op++) {
				struct mon *m = fake_boot();
				uint64_t what = entries[e];

				if (op & 2) {
					EXPECT_INT(pvalidate(m, what), SVSM_SUCCESS);
					what |= VALIDATE;
				}
				fake.refuse = op & 1 ? FAKE_RMPADJUST : FAKE_PVALIDATE;
				fake.refuse_at = 1;
				fake.refuse_code = codes[c];
				if (op == 3 && e == 1 && codes[c] == SNP_FAIL_SIZEMISMATCH) {
					EXPECT_INT(pvalidate(m, what), SVSM_SUCCESS);	/* granted in small pages */
					continue;
				}
				EXPECT_INT(pvalidate(m, what), SVSM_PROTOCOL_BASE + codes[c]);
				EXPECT(fake.refused);
				EXPECT_INT(next, 0);
			}
}

TEST(other_protocols_and_calls_are_refused_as_specified)
{
	struct mon *m = fake_boot();
	struct mon_regs r = { 1, 2, 3, 4, 5 };

	EXPECT_INT(fake_call(m, 0, 2, 0, &r), SVSM_UNSUPPORTED_PROTOCOL);
	EXPECT(r.rcx == 2 && r.rdx == 3 && r.r8 == 4 && r.r9 == 5);
	EXPECT_INT(fake_call(m, 0, 3, 0, &r), SVSM_UNSUPPORTED_PROTOCOL);
	EXPECT_INT(fake_call(m, 0, UINT32_MAX, 0, &r), SVSM_UNSUPPORTED_PROTOCOL);
	EXPECT_INT(fake_call(m, 0, 0, SVSM_DEPOSIT_MEM, &r), SVSM_UNSUPPORTED_CALL);
	EXPECT_INT(fake_call(m, 0, 0, SVSM_WITHDRAW_MEM, &r), SVSM_UNSUPPORTED_CALL);
	EXPECT_INT(fake_call(m, 0, 0, 8, &r), SVSM_UNSUPPORTED_CALL);
	EXPECT_INT(fake_call(m, 0, 0, UINT32_MAX, &r), SVSM_UNSUPPORTED_CALL);
	EXPECT_INT(fake_call(m, 0, 1, 2, &r), SVSM_UNSUPPORTED_CALL);
	EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_CALLS, &r), SVSM_UNSUPPORTED_CALL);
}

static uint64_t query(struct mon *m, uint32_t protocol, uint32_t version)
{
	struct mon_regs r = { .rcx = (uint64_t)protocol << 32 | version };

	EXPECT_INT(fake_call(m, 0, 0, SVSM_QUERY_PROTOCOL, &r), SVSM_SUCCESS);
	return r.rcx;
}

TEST(protocols_are_told_with_their_versions)
{
	struct mon *m = fake_boot();

	EXPECT(query(m, 0, 1) == (1ull << 32 | 1));
	EXPECT(query(m, 1, 1) == (1ull << 32 | 1));
	EXPECT(query(m, CALL_PROTOCOL, 1) == (1ull << 32 | 1));
	EXPECT(query(m, 0, 0) == 0);
	EXPECT(query(m, 0, 2) == 0);
	EXPECT(query(m, 2, 1) == 0);
	EXPECT(query(m, CALL_PROTOCOL, UINT32_MAX) == 0);
}

TEST(there_is_no_virtual_top_of_memory)
{
	struct mon *m = fake_boot();
	struct mon_regs r = { .rcx = 1 };

	EXPECT_INT(fake_call(m, 0, 0, SVSM_CONFIGURE_VTOM, &r), SVSM_SUCCESS);
	EXPECT_INT(r.rcx, 0);
	r.rcx = 0x40000000;
	EXPECT_INT(fake_call(m, 0, 0, SVSM_CONFIGURE_VTOM, &r), SVSM_INVALID_REQUEST);
}
