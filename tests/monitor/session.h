/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver does: the key-management calls as a test writes them. */
#ifndef TESTS_MONITOR_SESSION_H
#define TESTS_MONITOR_SESSION_H

#include "tests/fake/plat.h"
#include "tests/test.h"

#define SESSION_REQ 0x2000000ull	/* request areas, then at once the response areas */
#define SESSION_LIST 0x9000ull

/* Each CPU's block lies in its calling area, as the kernel puts it there. */
static inline uint64_t session_block(const struct mon *m, unsigned cpu)
{
	return (uint64_t)m->cpu[cpu].caa * MON_PAGE + SVSM_CA_BUFFER;
}

static inline uint32_t kms(struct mon *m, unsigned cpu, uint32_t call, struct vmpl_block b, struct mon_regs *r)
{
	b.magic = VMPL_MAGIC;
	b.version = VMPL_VERSION;
	fake_guest_write(session_block(m, cpu), &b, sizeof(b));
	*r = (struct mon_regs){ .rcx = session_block(m, cpu), .rdx = ~0ull, .r8 = ~0ull };
	return fake_call(m, cpu, CALL_PROTOCOL, call, r);
}

static inline uint32_t add(struct mon *m, const uint64_t *entries, uint32_t count, struct mon_regs *r)
{
	fake_guest_write(SESSION_LIST, entries, count * sizeof(*entries));
	return kms(m, 0, VMPL_ADD, (struct vmpl_block){ .gpa = SESSION_LIST, .count = count }, r);
}

static inline enum vmpl_state status(struct mon *m)
{
	struct mon_regs r;

	EXPECT_INT(kms(m, 0, VMPL_STATUS, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
	return (enum vmpl_state)r.rcx;
}

static inline uint32_t session_pages(uint32_t lanes)
{
	return 2 * lanes * MON_AREA_PAGES;
}

static inline uint64_t session_rsp_of(uint32_t lane, uint32_t lanes)
{
	return SESSION_REQ + (uint64_t)(lanes + lane) * CALL_AREA_LEN;
}

/* Of the session that is open: known to the fake once the service was loaded; to the monitor before. */
#define session_rsp(lane) session_rsp_of(lane, m->kms.lanes)

static inline void session_until_done(struct mon *m, uint32_t call)
{
	struct mon_regs r;
	unsigned n = 0;

	do {
		EXPECT_INT(kms(m, 0, call, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
		EXPECT(n++ < 10000);
	} while (r.rdx == VMPL_AGAIN);
	EXPECT_INT(r.rdx, VMPL_DONE);
	fake_check(m);
}

/* Registers pages [from, to) of the session, in entries of at most 1024. */
static inline void session_add(struct mon *m, uint32_t from, uint32_t to)
{
	while (from < to) {
		uint32_t n = to - from < VMPL_CHUNK_PAGES ? to - from : VMPL_CHUNK_PAGES;
		uint64_t e = VMPL_ENTRY(SESSION_REQ + (uint64_t)from * MON_PAGE, n);
		struct mon_regs r;

		EXPECT_INT(add(m, &e, 1, &r), SVSM_SUCCESS);
		EXPECT(r.rcx == 1 && r.rdx == VMPL_DONE);
		from += n;
	}
}

static inline void session_requests(struct mon *m, uint32_t lanes)
{
	struct mon_regs r;

	EXPECT_INT(kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = lanes }, &r), SVSM_SUCCESS);
	session_add(m, 0, session_pages(lanes) / 2);
}

static inline void session_fill(struct mon *m, uint32_t lanes)
{
	session_requests(m, lanes);
	session_add(m, session_pages(lanes) / 2, session_pages(lanes));
	fake_check(m);
}

static inline void session_start(struct mon *m)
{
	session_until_done(m, VMPL_START);
}

/* Gives a CPU a guest. */
static inline void session_cpu(struct mon *m, unsigned cpu)
{
	struct vmsa v = { .vmpl = FAKE_VMPL, .efer = VMSA_EFER_SVME, .sev_features = SEV_FEATURE_SNP };
	uint64_t at = 0x1f01000ull + cpu * 0x2000ull;
	struct mon_regs r = { .rcx = at, .rdx = at + MON_PAGE, .r8 = FAKE_APIC(cpu) };

	fake_guest_write(at, &v, sizeof(v));
	EXPECT_INT(fake_call(m, 0, SVSM_PROTO_CORE, SVSM_CREATE_VCPU, &r), SVSM_SUCCESS);
}

static inline void session_in_state(struct mon *m, enum vmpl_state state)
{
	struct mon_regs r;

	if (state == VMPL_STATE_CLOSED)
		return;
	session_requests(m, 1);
	if (state == VMPL_STATE_FILLING)
		return;
	session_add(m, session_pages(1) / 2, session_pages(1));
	if (state == VMPL_STATE_STOPPED)
		return;
	if (state == VMPL_STATE_STARTING) {
		fake.start_pieces = 10;
		do {
			EXPECT_INT(kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r), SVSM_SUCCESS);
		} while (status(m) != VMPL_STATE_STARTING);
		return;
	}
	session_start(m);
	if (state == VMPL_STATE_DEAD) {
		fake.run_result = RC_MACHINE;
		EXPECT_INT(kms(m, 0, VMPL_CALL, (struct vmpl_block){ 0 }, &r), VMPL_ERR_DEAD);
	}
}

#endif
