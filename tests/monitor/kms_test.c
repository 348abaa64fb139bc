/* SPDX-License-Identifier: Apache-2.0 */
/* The key-management protocol: registration of pages, the service's life, lanes. */
#include "tests/fake/plat.h"
#include "tests/monitor/session.h"
#include "tests/test.h"

TEST(hello_says_who_is_there)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	EXPECT_INT(kms(m, 0, VMPL_HELLO, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	EXPECT(r.rcx == VMPL_MAGIC && r.rdx == ((uint64_t)VMPL_VERSION << 32 | MON_LANES));
	EXPECT(r.r8 == CALL_AREA_LEN && r.r9 == ISOLATION_VMPL0_EMULATED);
}

TEST(a_session_opens_runs_and_gives_everything_back)
{
	struct mon *m = fake_boot();
	struct mon_regs r;
	uint32_t i;

	session_fill(m, 2);
	EXPECT_INT(status(m), VMPL_STATE_STOPPED);
	EXPECT(!fake_guest_may(session_rsp(0), RMP_W) && fake_guest_may(session_rsp(0), RMP_R));
	EXPECT(fake_guest_may(SESSION_REQ, RMP_R | RMP_W));
	fake.start_pieces = 3;
	session_start(m);
	EXPECT_INT(status(m), VMPL_STATE_RUNNING);
	for (i = 0; i < 5; i++)
		EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ .lane = i % 2 }, &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, VMPL_DONE);
	EXPECT_INT(fake.runs, 5);
	session_until_done(m, VMPL_CLOSE);
	EXPECT_INT(status(m), VMPL_STATE_CLOSED);
	EXPECT(!fake.loaded);
	for (i = 0; i < session_pages(2); i++)
		EXPECT(fake_guest_may(SESSION_REQ + (uint64_t)i * MON_PAGE, RMP_ALL));
	session_fill(m, 2);	/* and again */
	session_start(m);
}

TEST(the_service_gets_the_sealing_root_and_its_lanes_in_order)
{
	struct mon *m = fake_boot();
	uint32_t i, pages = session_pages(3);

	session_fill(m, 3);
	session_start(m);
	EXPECT(fake.boot.magic == BOOT_MAGIC && fake.boot.version == BOOT_VERSION && fake.boot.lanes == 3);
	EXPECT_INT(fake.boot.isolation, ISOLATION_VMPL0_EMULATED);
	EXPECT_INT(fake.boot.wall_ms, 0);
	EXPECT_INT(fake.boot.platform_key[0], 0xa0 + (SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT));
	for (i = 0; i < pages; i++)
		EXPECT_INT(fake.frames[i], SESSION_REQ / MON_PAGE + i);
}

TEST(response_pages_are_zero_at_every_start)
{
	struct mon *m = fake_boot();
	struct call_rsp_ctl ctl;
	struct mon_regs r;
	uint64_t junk = ~0ull;

	fake_guest_write(session_rsp_of(0, 2), &junk, 8);
	session_fill(m, 2);
	session_start(m);
	fake_guest_read(session_rsp(0), &ctl, sizeof(ctl));
	EXPECT_INT(ctl.done, 0);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	fake_guest_read(session_rsp(0), &ctl, sizeof(ctl));
	EXPECT_INT(ctl.done, 1);
	session_until_done(m, VMPL_RESET);
	EXPECT_INT(status(m), VMPL_STATE_STOPPED);
	session_start(m);
	fake_guest_read(session_rsp(0), &ctl, sizeof(ctl));
	EXPECT_INT(ctl.done, 0);
	EXPECT_INT(fake.starts, 2);
}

TEST(pages_of_a_lane_cannot_be_given_away_or_registered_again)
{
	struct mon *m = fake_boot();
	uint64_t entries[2] = { SESSION_REQ, session_rsp_of(0, 2) };
	struct svsm_pvalidate_list list = { .entries = 1 };
	struct mon_regs r;
	size_t i;

	session_fill(m, 2);
	for (i = 0; i < 2; i++) {
		fake_guest_write(SESSION_LIST, &list, sizeof(list));
		fake_guest_write(SESSION_LIST + 8, &entries[i], 8);
		r = (struct mon_regs){ .rcx = SESSION_LIST };
		EXPECT_INT(fake_call(m, 0, 0, SVSM_PVALIDATE, &r), SVSM_CORE_IN_USE);
		r = (struct mon_regs){ .rcx = entries[i] };
		EXPECT_INT(fake_call(m, 0, 0, SVSM_REMAP_CA, &r), SVSM_CORE_IN_USE);
		r = (struct mon_regs){ .rcx = entries[i] + MON_PAGE, .rdx = 0x9000, .r8 = FAKE_APIC(1) };
		EXPECT_INT(fake_call(m, 0, 0, SVSM_CREATE_VCPU, &r), SVSM_CORE_IN_USE);
		r = (struct mon_regs){ .rcx = entries[i] };	/* nor be the place of a list: the guest may not write there */
		EXPECT_INT(fake_call(m, 0, 0, SVSM_PVALIDATE, &r), SVSM_INVALID_ADDRESS);
	}
	fake_check(m);
}

TEST(entries_are_refused_that_are_not_the_guests_to_give)
{
	static const struct {
		uint64_t entry;
		uint32_t rax;
	} bad[] = {
		{ VMPL_ENTRY(LAUNCH_MON_BASE, 1), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(LAUNCH_MON_BASE - MON_PAGE, 2), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(FAKE_BOOT_VMSA, 1), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(FAKE_CA, 1), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(FAKE_CA - MON_PAGE, 3), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(0xa0000ull, 1), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(0x9e000ull, 2), VMPL_ERR_OWNER },
		{ VMPL_ENTRY(MON_GPA_END, 1), SVSM_INVALID_ADDRESS },
		{ VMPL_ENTRY(MON_GPA_END - MON_PAGE, 2), SVSM_INVALID_ADDRESS },
		{ VMPL_ENTRY(1ull << 39, 1), SVSM_INVALID_ADDRESS },
		{ VMPL_ENTRY(1ull << 51, 1), SVSM_INVALID_ADDRESS },
		{ VMPL_ENTRY(0x000ffffffffff000ull, 1024), SVSM_INVALID_ADDRESS },
		{ VMPL_ENTRY(1ull << 52, 1), SVSM_INVALID_PARAMETER },
		{ VMPL_ENTRY(1ull << 63, 1), SVSM_INVALID_PARAMETER },
		{ VMPL_ENTRY(SESSION_REQ, 0), SVSM_INVALID_PARAMETER },
		{ VMPL_ENTRY(SESSION_REQ, 1025), SVSM_INVALID_PARAMETER },
		{ VMPL_ENTRY(SESSION_REQ, 4095), SVSM_INVALID_PARAMETER },
	};
	struct mon *m = fake_boot();
	struct mon_regs r;
	size_t i;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), SVSM_SUCCESS);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(add(m, &bad[i].entry, 1, &r), bad[i].rax);
		EXPECT_INT(r.rcx, 0);
		EXPECT_INT(m->kms.have, 0);
	}
	EXPECT_INT(add(m, &(uint64_t){ VMPL_ENTRY(SESSION_REQ, 4) }, 1, &r), SVSM_SUCCESS);
	EXPECT_INT(add(m, &(uint64_t){ VMPL_ENTRY(SESSION_REQ + 3 * MON_PAGE, 1) }, 1, &r), VMPL_ERR_OWNER);
}

TEST(an_entry_may_not_straddle_requests_and_responses_nor_go_beyond)
{
	struct mon *m = fake_boot();
	uint64_t at = SESSION_REQ, e;
	struct mon_regs r;
	uint32_t left;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), SVSM_SUCCESS);
	for (left = MON_AREA_PAGES; left > 100; left -= 100, at += 100 * MON_PAGE) {
		e = VMPL_ENTRY(at, 100);
		EXPECT_INT(add(m, &e, 1, &r), SVSM_SUCCESS);
	}
	e = VMPL_ENTRY(at, left + 1);
	EXPECT_INT(add(m, &e, 1, &r), SVSM_INVALID_PARAMETER);
	e = VMPL_ENTRY(at, left);
	EXPECT_INT(add(m, &e, 1, &r), SVSM_SUCCESS);
	EXPECT_INT(status(m), VMPL_STATE_FILLING);
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), VMPL_ERR_STATE);
	session_until_done(m, VMPL_CLOSE);	/* half filled: everything back */
	EXPECT(fake_guest_may(SESSION_REQ, RMP_ALL));
	fake_check(m);
}

TEST(a_long_list_is_cut_and_says_how_far_it_came)
{
	struct mon *m = fake_boot();
	uint64_t e[4];
	struct mon_regs r;
	unsigned i;

	for (i = 0; i < 4; i++)
		e[i] = VMPL_ENTRY(SESSION_REQ + i * 600ull * MON_PAGE, 600);
	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), SVSM_SUCCESS);
	EXPECT_INT(add(m, e, 4, &r), SVSM_SUCCESS);
	EXPECT(r.rcx == 2 && r.rdx == VMPL_AGAIN);
	EXPECT_INT(add(m, e + 2, 2, &r), SVSM_SUCCESS);
	EXPECT(r.rcx == 2 && r.rdx == VMPL_DONE);
}

TEST(a_bad_entry_stops_a_list_and_keeps_what_came_before)
{
	struct mon *m = fake_boot();
	uint64_t e[3] = { VMPL_ENTRY(SESSION_REQ, 1), VMPL_ENTRY(LAUNCH_MON_BASE, 1),
			  VMPL_ENTRY(SESSION_REQ + MON_PAGE, 1) };
	struct mon_regs r;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), SVSM_SUCCESS);
	EXPECT_INT(add(m, e, 3, &r), VMPL_ERR_OWNER);
	EXPECT_INT(r.rcx, 1);
	EXPECT_INT(m->kms.have, 1);
	fake_check(m);
}

TEST(lists_and_blocks_must_lie_in_one_page_of_the_guests)
{
	static const uint64_t bad[] = { LAUNCH_MON_BASE, 0xa0000, MON_GPA_END, 1ull << 39, ~0x3ffull, FAKE_BOOT_VMSA };
	static const struct vmpl_block lists[] = {
		{ .gpa = SESSION_LIST + 4, .count = 1 },   { .gpa = SESSION_LIST, .count = 0 },
		{ .gpa = SESSION_LIST, .count = 513 },	   { .gpa = SESSION_LIST, .count = UINT32_MAX },
		{ .gpa = SESSION_LIST + 8, .count = 512 },
	};
	struct mon *m = fake_boot();
	struct mon_regs r;
	size_t i;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), SVSM_SUCCESS);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(kms(m, 0, VMPL_ADD, (struct vmpl_block){ .gpa = bad[i], .count = 1 }, &r), SVSM_INVALID_ADDRESS);
		r = (struct mon_regs){ .rcx = bad[i], .rdx = ~0ull, .r8 = ~0ull };
		EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_HELLO, &r), SVSM_INVALID_ADDRESS);
	}
	for (i = 0; i < ARRAY_LEN(lists); i++)
		EXPECT_INT(kms(m, 0, VMPL_ADD, lists[i], &r), SVSM_INVALID_PARAMETER);
	r = (struct mon_regs){ .rcx = SESSION_LIST + MON_PAGE - 80, .rdx = ~0ull, .r8 = ~0ull };
	EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_HELLO, &r), SVSM_INVALID_PARAMETER);
	r.rcx = SESSION_LIST + 1;
	EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_HELLO, &r), SVSM_INVALID_PARAMETER);
}

TEST(a_block_of_another_make_is_refused)
{
	struct mon *m = fake_boot();
	struct vmpl_block b = { .magic = VMPL_MAGIC, .version = VMPL_VERSION };
	struct mon_regs r;
	unsigned i;

	for (i = 0; i < 9; i++) {
		b = (struct vmpl_block){ .magic = VMPL_MAGIC, .version = VMPL_VERSION };
		if (i == 0)
			b.magic ^= 1;
		else if (i == 1)
			b.version = 2;
		else
			b.zero[i - 2] = 1ull << (8 * i - 16);
		fake_guest_write(FAKE_CA + 8, &b, sizeof(b));
		r = (struct mon_regs){ .rcx = FAKE_CA + 8, .rdx = ~0ull, .r8 = ~0ull };
		EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_HELLO, &r), SVSM_INVALID_FORMAT);
	}
	for (i = 0; i < 3; i++) {	/* the unused registers */
		r = (struct mon_regs){ .rcx = FAKE_CA + 8, .rdx = ~0ull - (i == 0), .r8 = ~0ull - (i == 1), .r9 = i == 2 };
		EXPECT_INT(fake_call(m, 0, CALL_PROTOCOL, VMPL_HELLO, &r), SVSM_INVALID_PARAMETER);
	}
}

TEST(calls_out_of_order_are_refused)
{
	/* For each state that a test can stop in: what each call says. 0: allowed. */
	static const struct {
		enum vmpl_state state;
		uint32_t open, add, start, call, reset;
	} rows[] = {
		{ VMPL_STATE_CLOSED, 0, VMPL_ERR_STATE, VMPL_ERR_STATE, VMPL_ERR_STATE, VMPL_ERR_STATE },
		{ VMPL_STATE_FILLING, VMPL_ERR_STATE, 0, VMPL_ERR_STATE, VMPL_ERR_STATE, VMPL_ERR_STATE },
		{ VMPL_STATE_STOPPED, VMPL_ERR_STATE, VMPL_ERR_STATE, 0, VMPL_ERR_STATE, 0 },
		{ VMPL_STATE_STARTING, VMPL_ERR_STATE, VMPL_ERR_STATE, 0, VMPL_ERR_STATE, 0 },
		{ VMPL_STATE_RUNNING, VMPL_ERR_STATE, VMPL_ERR_STATE, VMPL_ERR_STATE, 0, 0 },
		{ VMPL_STATE_DEAD, VMPL_ERR_STATE, VMPL_ERR_STATE, VMPL_ERR_DEAD, VMPL_ERR_DEAD, 0 },
	};
	const uint64_t e = VMPL_ENTRY(session_rsp_of(0, 1), 1);
	struct mon_regs r;
	unsigned i, call;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (call = 0; call < 5; call++) {
			struct mon *m = fake_boot();
			uint32_t rax, want;

			session_in_state(m, rows[i].state);
			EXPECT_INT(status(m), rows[i].state);
			switch (call) {
			case 0: rax = kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r); want = rows[i].open; break;
			case 1: rax = add(m, &e, 1, &r); want = rows[i].add; break;
			case 2: rax = kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r); want = rows[i].start; break;
			case 3: rax = kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r); want = rows[i].call; break;
			default: rax = kms(m, 0, VMPL_RESET, (struct vmpl_block){ 0 }, &r); want = rows[i].reset;
			}
			EXPECT_INT(rax, want);
			session_until_done(m, VMPL_CLOSE);	/* from anywhere */
			EXPECT_INT(status(m), VMPL_STATE_CLOSED);
			fake_check(m);
		}
}

TEST(a_session_that_is_half_closed_can_only_be_closed)
{
	const uint64_t e = VMPL_ENTRY(SESSION_REQ, 1);
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	EXPECT_INT(kms(m, 0, VMPL_CLOSE, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, VMPL_AGAIN);
	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 }, &r), VMPL_ERR_STATE);
	EXPECT_INT(add(m, &e, 1, &r), VMPL_ERR_STATE);
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), VMPL_ERR_STATE);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), VMPL_ERR_STATE);
	EXPECT_INT(kms(m, 0, VMPL_RESET, (struct vmpl_block){ 0 }, &r), VMPL_ERR_STATE);
	EXPECT_INT(fake.starts, 0);
	session_until_done(m, VMPL_CLOSE);
}

TEST(more_lanes_than_there_is_room_for_are_refused)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = MON_LANES + 1 }, &r), VMPL_ERR_LIMIT);
	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = UINT32_MAX }, &r), VMPL_ERR_LIMIT);
	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 0 }, &r), SVSM_INVALID_PARAMETER);
	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = MON_LANES }, &r), SVSM_SUCCESS);
}

static struct mon *inside_mon;
static uint32_t inside_rax[6];

/* What another CPU hears while lane 0 runs. */
static void others_try(uint32_t lane)
{
	struct mon_regs r;

	if (lane != 0)
		return;
	inside_rax[0] = kms(inside_mon, 1, VMPL_CALL, (struct vmpl_block){ .lane = 0 }, &r);
	inside_rax[1] = kms(inside_mon, 1, VMPL_CALL, (struct vmpl_block){ .lane = 1 }, &r);
	inside_rax[2] = kms(inside_mon, 1, VMPL_RESET, (struct vmpl_block){ 0 }, &r);
	inside_rax[3] = kms(inside_mon, 1, VMPL_CLOSE, (struct vmpl_block){ 0 }, &r);
	inside_rax[4] = kms(inside_mon, 1, VMPL_START, (struct vmpl_block){ 0 }, &r);
	inside_rax[5] = kms(inside_mon, 1, VMPL_STATUS, (struct vmpl_block){ 0 }, &r);
}

TEST(a_lane_is_entered_by_one_cpu_only_and_holds_the_session_open)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_cpu(m, 1);
	session_fill(m, 2);
	session_start(m);
	inside_mon = m;
	fake.in_lane = others_try;
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ .lane = 2 }, &r), VMPL_ERR_LANE);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ .lane = UINT32_MAX }, &r), VMPL_ERR_LANE);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ .lane = 0 }, &r), SVSM_SUCCESS);
	EXPECT_INT(inside_rax[0], VMPL_ERR_LANE_BUSY);
	EXPECT_INT(inside_rax[1], SVSM_SUCCESS);
	EXPECT_INT(inside_rax[2], VMPL_ERR_LANE_BUSY);
	EXPECT_INT(inside_rax[3], VMPL_ERR_LANE_BUSY);
	EXPECT_INT(inside_rax[4], VMPL_ERR_STATE);
	EXPECT_INT(inside_rax[5], SVSM_SUCCESS);
	fake_check(m);
}

TEST(work_that_lasts_says_again)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	session_start(m);
	fake.run_result = RC_BUSY;
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, VMPL_AGAIN);
}

TEST(a_service_that_dies_is_wiped_at_once_and_comes_back_by_reset)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	session_start(m);
	fake.run_result = RC_MACHINE;
	fake.destroy_pieces = 3;
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), VMPL_ERR_DEAD);
	EXPECT(!fake.loaded);
	EXPECT_INT(status(m), VMPL_STATE_DEAD);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), VMPL_ERR_DEAD);
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), VMPL_ERR_DEAD);
	fake.run_result = RC_OK;
	session_until_done(m, VMPL_RESET);
	session_start(m);
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
}

static void dies_under_others(uint32_t lane)
{
	struct mon_regs r;

	if (lane != 0)
		return;
	fake.run_result = RC_MACHINE;	/* the other lane finds out first */
	inside_rax[0] = kms(inside_mon, 1, VMPL_CALL, (struct vmpl_block){ .lane = 1 }, &r);
	EXPECT(fake.loaded);		/* lane 0 is still inside */
	inside_rax[1] = kms(inside_mon, 1, VMPL_RESET, (struct vmpl_block){ 0 }, &r);
	EXPECT_INT(r.rdx, VMPL_AGAIN);
	fake.run_result = RC_OK;
}

TEST(a_dead_service_goes_when_its_last_lane_is_left)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_cpu(m, 1);
	session_fill(m, 2);
	session_start(m);
	inside_mon = m;
	fake.in_lane = dies_under_others;
	EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ .lane = 0 }, &r), VMPL_ERR_DEAD);
	EXPECT_INT(inside_rax[0], VMPL_ERR_DEAD);
	EXPECT_INT(inside_rax[1], SVSM_SUCCESS);
	EXPECT(!fake.loaded);
}

TEST(a_service_that_does_not_start_is_dead)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	fake.dies_at_start = true;
	do {
		(void)kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r);
	} while (r.rax == SVSM_SUCCESS && r.rdx == VMPL_AGAIN);
	EXPECT_INT(r.rax, VMPL_ERR_DEAD);
	EXPECT(!fake.loaded);
	EXPECT_INT(status(m), VMPL_STATE_DEAD);
}

TEST(without_a_sealing_root_the_service_does_not_start)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	m->have_root = false;
	secret_wipe(&m->root);
	fake.host_at = 0;
	fake.host[0] = HOST_BUSY;
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, VMPL_AGAIN);
	EXPECT_INT(fake.starts, 0);
	fake.host[1] = HOST_FW_ERROR;
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), SVSM_INVALID_REQUEST);
	EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), SVSM_INVALID_REQUEST);
	EXPECT_INT(fake.starts, 0);
}

TEST(a_refused_change_of_rights_leaves_no_response_page_half_registered)
{
	struct mon *m = fake_boot();
	struct mon_regs r;
	unsigned at;

	for (at = 1; at < 12; at += 5) {
		uint64_t e = VMPL_ENTRY(session_rsp_of(0, 1), 10);

		m = fake_boot();
		session_requests(m, 1);
		fake.refuse = FAKE_RMPADJUST;
		fake.refuse_code = SNP_FAIL_PERMISSION;
		fake.refuse_at = at;
		EXPECT_INT(add(m, &e, 1, &r), at <= 10 ? SVSM_INVALID_REQUEST : SVSM_SUCCESS);
		EXPECT(fake.refused == (at <= 10));
		fake_check(m);
		fake.refuse_at = 0;
		session_until_done(m, VMPL_CLOSE);
		EXPECT(fake_guest_may(VMPL_ENTRY_GPA(e), RMP_ALL));
	}
}

TEST(a_page_that_does_not_come_back_is_lost_and_told)
{
	struct mon *m = fake_boot();
	struct mon_regs r;

	session_fill(m, 1);
	fake.refuse = FAKE_RMPADJUST;
	fake.refuse_code = SNP_FAIL_PERMISSION;
	fake.refuse_at = 1;
	EXPECT_INT(kms(m, 0, VMPL_CLOSE, (struct vmpl_block){ 0 }, &r), SVSM_INVALID_REQUEST);
	session_until_done(m, VMPL_CLOSE);
	EXPECT_INT(status(m), VMPL_STATE_CLOSED);
	EXPECT(fake_guest_may(SESSION_REQ, RMP_ALL));
}
