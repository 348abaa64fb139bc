/* SPDX-License-Identifier: Apache-2.0 */
/* The page-state rules of spec sections 2.1 to 2.4, without hardware. */
#include "emulator/rmp.h"
#include "tests/test.h"

static struct rmp_entry entries[2048];
static struct rmp rmp;

static void setup(void)
{
	memset(entries, 0, sizeof(entries));
	rmp = (struct rmp){ .entry = entries, .count = 2048 };
}

static uint32_t validate(uint64_t pfn, bool huge, bool yes, bool *no_change)
{
	uint32_t code = 99;

	EXPECT(rmp_pvalidate(&rmp, pfn, pfn, huge, yes, &code, no_change) == RMP_FINE);
	return code;
}

static uint32_t adjust(uint64_t pfn, unsigned by, uint64_t attr)
{
	uint32_t code = 99;

	EXPECT(rmp_adjust(&rmp, pfn, pfn, by, false, attr, &code) == RMP_FINE);
	return code;
}

/* Page 5: assigned and validated. */
static void own_page(void)
{
	bool no_change;

	setup();
	EXPECT(rmp_update(&rmp, 5, 5, true, false) == RC_OK);
	EXPECT(validate(5, false, true, &no_change) == SNP_OK && !no_change);
}

TEST(a_page_of_nobody_is_shared_and_not_private)
{
	setup();
	EXPECT(rmp_check(&rmp, 5, 5, 0, RMP_READ, false) == RMP_FINE);
	EXPECT(rmp_check(&rmp, 5, 5, 0, RMP_READ, true) == RMP_HOST);
	EXPECT(rmp_rights(&rmp, 5, 5, 0) == 0);
}

TEST(an_assigned_page_is_not_shared_and_wants_validation)
{
	setup();
	EXPECT(rmp_update(&rmp, 5, 5, true, false) == RC_OK);
	EXPECT(rmp_check(&rmp, 5, 5, 0, RMP_READ, false) == RMP_HOST);
	EXPECT(rmp_check(&rmp, 5, 5, 0, RMP_READ, true) == RMP_NOT_VALIDATED);
	EXPECT(rmp_rights(&rmp, 5, 5, 0) == 0);
}

TEST(validation_gives_vmpl0_everything_and_the_others_nothing)
{
	unsigned vmpl;

	own_page();
	EXPECT(rmp_rights(&rmp, 5, 5, 0) == RMP_ALL);
	for (vmpl = 1; vmpl < RMP_VMPLS; vmpl++) {
		EXPECT(rmp_rights(&rmp, 5, 5, vmpl) == 0);
		EXPECT(rmp_check(&rmp, 5, 5, vmpl, RMP_READ, true) == RMP_VMPL);
	}
}

TEST(a_page_is_the_guests_only_where_the_guest_has_it)
{
	own_page();
	EXPECT(rmp_check(&rmp, 5, 6, 0, RMP_READ, true) == RMP_HOST);
	EXPECT(rmp_rights(&rmp, 5, 6, 0) == 0);
}

TEST(validation_cannot_be_asked_for_a_page_of_nobody)
{
	bool no_change;
	uint32_t code;

	setup();
	EXPECT(rmp_pvalidate(&rmp, 5, 5, false, true, &code, &no_change) == RMP_HOST);
	EXPECT(rmp_pvalidate(&rmp, 5, 6, false, true, &code, &no_change) == RMP_HOST);
}

TEST(validating_twice_says_no_change)
{
	bool no_change;

	own_page();
	EXPECT(validate(5, false, true, &no_change) == SNP_OK && no_change);
	EXPECT(validate(5, false, false, &no_change) == SNP_OK && !no_change);
	EXPECT(validate(5, false, false, &no_change) == SNP_OK && no_change);
}

TEST(every_change_by_the_host_takes_validation_and_rights_away)
{
	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_ALL)) == SNP_OK);
	EXPECT(rmp_update(&rmp, 5, 5, true, false) == RC_OK);
	EXPECT(rmp_check(&rmp, 5, 5, 0, RMP_READ, true) == RMP_NOT_VALIDATED);
	EXPECT(entries[5].perms == RMP_ALL);
	EXPECT(rmp_update(&rmp, 5, 5, false, false) == RC_OK);
	EXPECT(!rmp_assigned(&rmp, 5));
}

TEST(rights_survive_when_validation_is_taken_back)
{
	bool no_change;

	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_R)) == SNP_OK);
	EXPECT(validate(5, false, false, &no_change) == SNP_OK);
	EXPECT(rmp_rights(&rmp, 5, 5, 1) == 0);
	EXPECT(validate(5, false, true, &no_change) == SNP_OK);
	EXPECT(rmp_rights(&rmp, 5, 5, 1) == RMP_R);
}

TEST(each_right_is_needed_for_its_access)
{
	static const unsigned rights[] = { RMP_R, RMP_W, RMP_XU, RMP_XS };
	static const enum rmp_access access[] = { RMP_READ, RMP_WRITE, RMP_FETCH_USER, RMP_FETCH_KERNEL };
	unsigned i, k;

	own_page();
	for (i = 0; i < 4; i++) {
		EXPECT(adjust(5, 0, RMPADJUST_ATTR(2, rights[i])) == SNP_OK);
		for (k = 0; k < 4; k++)
			EXPECT(rmp_check(&rmp, 5, 5, 2, access[k], true) == (i == k ? RMP_FINE : RMP_VMPL));
	}
}

TEST(nobody_adjusts_its_own_level_or_one_above)
{
	unsigned by, to;

	own_page();
	for (by = 0; by < RMP_VMPLS; by++)
		for (to = 0; to <= by; to++)
			EXPECT(adjust(5, by, RMPADJUST_ATTR(to, 0)) == SNP_FAIL_PERMISSION);
}

TEST(nobody_gives_what_it_does_not_have)
{
	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_R | RMP_W)) == SNP_OK);
	EXPECT(adjust(5, 1, RMPADJUST_ATTR(2, RMP_R | RMP_XU)) == SNP_FAIL_PERMISSION);
	EXPECT(rmp_rights(&rmp, 5, 5, 2) == 0);
	EXPECT(adjust(5, 1, RMPADJUST_ATTR(2, RMP_W)) == SNP_OK);
	EXPECT(rmp_rights(&rmp, 5, 5, 2) == RMP_W);
}

TEST(malformed_adjustments_are_refused)
{
	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(4, RMP_R)) == SNP_FAIL_INPUT);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0x10)) == SNP_FAIL_INPUT);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_R) | 1ull << 17) == SNP_FAIL_INPUT);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_R) | 1ull << 63) == SNP_FAIL_INPUT);
	EXPECT(rmp_rights(&rmp, 5, 5, 1) == 0);
}

TEST(a_page_that_is_not_validated_cannot_be_adjusted)
{
	uint32_t code;

	setup();
	EXPECT(rmp_update(&rmp, 5, 5, true, false) == RC_OK);
	EXPECT(rmp_adjust(&rmp, 5, 5, 0, false, RMPADJUST_ATTR(1, RMP_R), &code) == RMP_NOT_VALIDATED);
	EXPECT(rmp_adjust(&rmp, 6, 6, 0, false, RMPADJUST_ATTR(1, RMP_R), &code) == RMP_HOST);
}

TEST(only_vmpl0_makes_and_unmakes_a_vmsa)
{
	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, RMP_ALL)) == SNP_OK);
	EXPECT(adjust(5, 1, RMPADJUST_ATTR(2, 0) | RMPADJUST_VMSA) == SNP_FAIL_PERMISSION);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) == SNP_OK);
	EXPECT(rmp_entry(&rmp, 5)->vmsa);
	EXPECT(adjust(5, 1, RMPADJUST_ATTR(2, 0)) == SNP_FAIL_PERMISSION);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0)) == SNP_OK);
	EXPECT(!rmp_entry(&rmp, 5)->vmsa);
}

TEST(a_vmsa_that_runs_is_left_alone)
{
	bool no_change;

	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) == SNP_OK);
	rmp_vmsa_use(&rmp, 5, true);
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0)) == SNP_FAIL_INUSE);
	EXPECT(validate(5, false, false, &no_change) == SNP_FAIL_INUSE);
	EXPECT(rmp_update(&rmp, 5, 5, false, false) == RC_DENIED);
	EXPECT(rmp_update(&rmp, 0, 0, true, true) == RC_DENIED);
	EXPECT(rmp_entry(&rmp, 5)->vmsa && rmp_entry(&rmp, 5)->validated);
	rmp_vmsa_use(&rmp, 5, false);
	EXPECT(rmp_update(&rmp, 5, 5, false, false) == RC_OK);
}

TEST(taking_back_validation_unmakes_a_vmsa)
{
	bool no_change;

	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) == SNP_OK);
	EXPECT(validate(5, false, false, &no_change) == SNP_OK);
	EXPECT(validate(5, false, true, &no_change) == SNP_OK);
	EXPECT(!rmp_entry(&rmp, 5)->vmsa);
}

TEST(a_2m_entry_is_one_and_counts_for_all_its_pages)
{
	bool no_change;

	setup();
	EXPECT(rmp_update(&rmp, 512, 512, true, true) == RC_OK);
	EXPECT(validate(512, true, true, &no_change) == SNP_OK && !no_change);
	EXPECT(rmp_rights(&rmp, 512 + 511, 512 + 511, 0) == RMP_ALL);
	EXPECT(rmp_rights(&rmp, 512 + 511, 512 + 510, 0) == 0);
	EXPECT(rmp_rights(&rmp, 1024, 1024, 0) == 0);
}

TEST(sizes_must_match)
{
	bool no_change;
	uint32_t code;

	own_page();
	EXPECT(rmp_update(&rmp, 512, 512, true, true) == RC_OK);
	EXPECT(rmp_pvalidate(&rmp, 513, 513, false, true, &code, &no_change) == RMP_SIZE);
	EXPECT(rmp_update(&rmp, 1024, 1024, true, false) == RC_OK);
	EXPECT(validate(1024, true, true, &no_change) == SNP_FAIL_SIZEMISMATCH);
	EXPECT(validate(1025, true, true, &no_change) == SNP_FAIL_INPUT);
	EXPECT(rmp_adjust(&rmp, 1024, 1024, 0, true, RMPADJUST_ATTR(1, RMP_R), &code) == RMP_FINE);
	EXPECT(code == SNP_FAIL_SIZEMISMATCH);
}

TEST(a_2m_entry_that_is_split_keeps_its_state)
{
	bool no_change;
	uint64_t i;

	setup();
	EXPECT(rmp_update(&rmp, 512, 512, true, true) == RC_OK);
	EXPECT(validate(512, true, true, &no_change) == SNP_OK);
	EXPECT(rmp_update(&rmp, 600, 600, false, false) == RC_DENIED);
	EXPECT(rmp_smash(&rmp, 600) == RC_OK);
	EXPECT(rmp_smash(&rmp, 600) == RC_DENIED);
	for (i = 512; i < 1024; i++)
		EXPECT(rmp_rights(&rmp, i, i, 0) == RMP_ALL && !rmp_entry(&rmp, i)->huge);
	EXPECT(rmp_update(&rmp, 600, 600, false, false) == RC_OK);
	EXPECT(!rmp_assigned(&rmp, 600) && rmp_assigned(&rmp, 601));
}

TEST(the_host_stays_inside_the_machine)
{
	setup();
	EXPECT(rmp_update(&rmp, 2048, 5, true, false) == RC_BAD_INPUT);
	EXPECT(rmp_update(&rmp, 513, 513, true, true) == RC_BAD_INPUT);
	EXPECT(rmp_update(&rmp, 512, 513, true, true) == RC_BAD_INPUT);
	EXPECT(rmp_update(&rmp, 5, 1ull << 32, true, false) == RC_BAD_INPUT);
	EXPECT(rmp_smash(&rmp, 2048) == RC_BAD_INPUT);
}

TEST(a_launch_page_comes_once)
{
	setup();
	EXPECT(rmp_launch(&rmp, 5, 5, false) == RC_OK);
	EXPECT(rmp_rights(&rmp, 5, 5, 0) == RMP_ALL);
	EXPECT(rmp_launch(&rmp, 5, 5, false) == RC_DENIED);
	EXPECT(rmp_launch(&rmp, 4096, 5, false) == RC_BAD_INPUT);
	EXPECT(rmp_launch(&rmp, 6, 6, true) == RC_OK);
	EXPECT(rmp_entry(&rmp, 6)->vmsa);
}

TEST(a_query_shows_the_levels_below_only)
{
	uint64_t attr = 2;
	uint32_t code;
	bool huge;

	own_page();
	EXPECT(adjust(5, 0, RMPADJUST_ATTR(2, RMP_W)) == SNP_OK);
	EXPECT(rmp_query(&rmp, 5, 5, 1, &attr, &huge, &code) == RMP_FINE && code == SNP_OK);
	EXPECT(attr == RMPADJUST_ATTR(2, RMP_W) && !huge);
	attr = 1;
	EXPECT(rmp_query(&rmp, 5, 5, 1, &attr, &huge, &code) == RMP_FINE && code == SNP_FAIL_PERMISSION);
	attr = 9;
	EXPECT(rmp_query(&rmp, 5, 5, 1, &attr, &huge, &code) == RMP_FINE && code == SNP_FAIL_INPUT);
	attr = 2;
	EXPECT(rmp_query(&rmp, 6, 6, 1, &attr, &huge, &code) == RMP_HOST);
}
