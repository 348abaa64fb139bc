/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls with any registers in any order, from a guest that knows which numbers hurt, on hardware that refuses now and
 * then and under a host that does what it likes: the invariants (fake_check) hold, and CLOSE gives everything back.
 */
#include "tests/fake/plat.h"
#include "tests/monitor/session.h"
#include "tests/test.h"

#define STEPS 6000u
#define POOL 0x5000000ull	/* few pages, so that uses collide */

static uint64_t seed;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(any() % n);
}

static uint64_t some_page(void)
{
	static const uint64_t special[] = { 0, FAKE_CA, FAKE_BOOT_VMSA, LAUNCH_MON_BASE, LAUNCH_SECRETS, LAUNCH_KERNEL, 0x9f000,
					    0xa0000, MON_GPA_END, MON_GPA_END - MON_PAGE, 1ull << 39, 1ull << 51, ~0xfffull,
					    FAKE_ACPI, SESSION_REQ, 0x6000000, FAKE_TOP };

	switch (below(8)) {
	case 0:
		return special[below(ARRAY_LEN(special))];
	case 1:
		return SESSION_REQ + (uint64_t)below(session_pages(2)) * MON_PAGE;
	case 2:
		return any();
	default:
		return POOL + (uint64_t)below(24) * MON_PAGE;
	}
}

static bool writable(uint64_t at, size_t len)
{
	return at < MON_GPA_END - len && fake_guest_may(at, RMP_W) && fake_guest_may(at + len - 1, RMP_W);
}

/* Something that a call may take for what it wants. */
static void scribble(uint64_t at)
{
	struct vmsa v = { .vmpl = below(4) ? FAKE_VMPL : (uint8_t)below(4), .efer = VMSA_EFER_SVME, .sev_features = 1 };
	struct vmpl_block b = { .magic = VMPL_MAGIC, .version = VMPL_VERSION, .lane = below(3), .lanes = below(4),
				.count = below(4), .gpa = some_page() };
	struct svsm_attest_req q = { { some_page(), 4096, 0 }, { some_page(), 64, 0 }, { some_page(), below(8192), 0 },
				     { some_page(), below(3) * 4096, 0 }, { 0 }, 0, 0 };
	struct svsm_pvalidate_list list = { .entries = (uint16_t)below(6) };
	uint64_t entry[5];
	unsigned i;

	if (!writable(at, MON_PAGE))
		return;
	for (i = 0; i < 5; i++)
		entry[i] = some_page() | below(16) | (below(50) == 0 ? any() : 0);
	switch (below(5)) {
	case 0: fake_guest_write(at, &v, sizeof(v)); break;
	case 1: fake_guest_write(at, &b, sizeof(b)); break;
	case 2: fake_guest_write(at, &q, sizeof(q)); break;
	case 3:
		fake_guest_write(at, &list, sizeof(list));
		fake_guest_write(at + 8, entry, sizeof(entry));
		break;
	default:
		for (i = 0; i < 5; i++)
			entry[i] = VMPL_ENTRY(some_page() & ~0xfffull, 1 + below(3));
		fake_guest_write(at, entry, sizeof(entry));
	}
}

static void any_call(struct mon *m)
{
	static const uint32_t protocols[] = { SVSM_PROTO_CORE, SVSM_PROTO_CORE, SVSM_PROTO_CORE, SVSM_PROTO_ATTEST,
					      CALL_PROTOCOL, 7 };
	uint32_t protocol = protocols[below(ARRAY_LEN(protocols))];
	struct mon_regs r = { .rcx = some_page(), .rdx = some_page(), .r8 = below(9), .r9 = 0 };
	unsigned cpu = below(FAKE_CPUS);

	if (!m->cpu[cpu].ready)
		cpu = 0;
	scribble(r.rcx & ~0xfffull);
	scribble(r.rdx & ~0xfffull);
	if (protocol == CALL_PROTOCOL || below(20) == 0)
		r.rdx = r.r8 = ~0ull;
	if (cpu != 0 && r.r8 == FAKE_APIC(0))	/* CPU 0 stays, to do the rest */
		r.r8 = FAKE_APIC(1);
	(void)fake_call(m, cpu, protocol, below(9), &r);
}

/* The next pages that are still the guest's, as a driver's allocator would know: at most `most`. */
static uint64_t free_entry(struct mon *m, uint32_t most)
{
	uint32_t first = (uint32_t)(SESSION_REQ / MON_PAGE), n;

	while (m->page[first] != PAGE_GUEST)
		first++;
	for (n = 1; n < most && n < VMPL_CHUNK_PAGES && m->page[first + n] == PAGE_GUEST; n++)
		;
	return VMPL_ENTRY((uint64_t)first * MON_PAGE, n);
}

/* The driver's next step, so that all states of a session are reached. */
static void next_step(struct mon *m)
{
	uint32_t lanes = m->kms.lanes, have = m->kms.have, half = session_pages(lanes) / 2, most;
	struct mon_regs r;
	uint64_t e;

	switch (m->kms.closing ? VMPL_STATE_DEAD : m->kms.state) {
	case VMPL_STATE_CLOSED:
		(void)kms(m, 0, VMPL_OPEN, (struct vmpl_block){ .lanes = 1 + below(2) }, &r);
		break;
	case VMPL_STATE_FILLING:
		if (!writable(SESSION_LIST, 8))
			break;
		most = (have < half ? half : 2 * half) - have;
		e = free_entry(m, most);
		(void)add(m, &e, 1, &r);
		break;
	case VMPL_STATE_STOPPED:
	case VMPL_STATE_STARTING:
		(void)kms(m, 0, VMPL_START, (struct vmpl_block){ 0 }, &r);
		break;
	case VMPL_STATE_RUNNING:
		(void)kms(m, 0, below(10) ? VMPL_CALL : VMPL_CLOSE, (struct vmpl_block){ .lane = below(2) }, &r);
		break;
	default:
		(void)kms(m, 0, m->kms.closing || below(2) ? VMPL_CLOSE : VMPL_RESET, (struct vmpl_block){ 0 }, &r);
	}
}

static void hostile_turn(void)
{
	static const unsigned codes[] = { SNP_FAIL_INPUT, SNP_FAIL_PERMISSION, SNP_FAIL_SIZEMISMATCH, PLAT_NO_CHANGE };
	uint64_t at;

	fake.host_at = 0;
	memset(fake.host, 0, sizeof(fake.host));
	fake.host[0] = (enum fake_host)below(below(40) ? HOST_NOT_CALLED + 1 : HOST_KINDS);
	if (fake.host[0] == HOST_BUSY_LIE)
		fake.host[0] = HOST_BUSY;
	fake.run_result = below(30) ? RC_OK : below(2) ? RC_BUSY : RC_MACHINE;
	fake.start_pieces = below(3);
	fake.destroy_pieces = below(3);
	at = POOL + (uint64_t)below(24) * MON_PAGE;
	if (below(10) == 0)
		fake_host_smashes(at);
	if (below(12) == 0) {
		fake.refuse = below(2) ? FAKE_PVALIDATE : FAKE_RMPADJUST;
		fake.refuse_at = 1 + below(20);
		fake.refuse_code = codes[below(3 + (fake.refuse == FAKE_PVALIDATE))];
	}
	if (!fake.rmp[at / MON_PAGE].validated && below(4) == 0)	/* where the guest shares, the host may do as it likes */
		fake_host_gives(at, LAUNCH_SECRETS);
}

static void everything_comes_back(struct mon *m)
{
	struct mon_regs r;
	uint32_t i;

	fake.refuse_at = 0;
	fake.run_result = RC_OK;
	do {
		(void)kms(m, 0, VMPL_CLOSE, (struct vmpl_block){ 0 }, &r);
	} while (r.rax != SVSM_SUCCESS || r.rdx == VMPL_AGAIN);
	for (i = 0; i < MON_VMSAS; i++)
		if (m->vmsa[i].frame) {
			r = (struct mon_regs){ .rcx = (uint64_t)m->vmsa[i].frame * MON_PAGE };
			EXPECT_INT(fake_call(m, 0, 0, SVSM_DELETE_VCPU, &r), SVSM_SUCCESS);
		}
	fake_check(m);
	for (i = 0; i < FAKE_TOP / MON_PAGE; i++)
		EXPECT(m->page[i] != PAGE_LANE_REQ && m->page[i] != PAGE_LANE_RSP && m->page[i] != PAGE_VMSA);
	EXPECT(!fake.loaded);
}

/* No byte of the monitor's secrets is anywhere that the guest can read. */
static void nothing_leaked(struct mon *m)
{
	uint8_t page[MON_PAGE];
	uint64_t at;

	for (at = POOL; at < POOL + 24 * MON_PAGE; at += MON_PAGE) {
		if (!fake_guest_may(at, RMP_R))
			continue;
		fake_guest_read(at, page, sizeof(page));
		EXPECT(!memmem(page, sizeof(page), fake.priv + LAUNCH_SECRETS, 64));
		EXPECT(!m->have_root || !memmem(page, sizeof(page), m->root.b, 32));
	}
}

static void play(uint64_t with)
{
	struct mon *m = fake_boot();
	unsigned i;

	seed = with;
	for (i = 0; i < STEPS; i++) {
		if (below(4) == 0)
			hostile_turn();
		if (below(3) == 0)
			next_step(m);
		else
			any_call(m);
		if (i % 16 == 0)
			fake_check(m);
	}
	nothing_leaked(m);
	everything_comes_back(m);
	EXPECT(fake.starts > 3 && fake.runs > 10);	/* the states were reached */
}

TEST(any_calls_with_any_registers_keep_every_invariant)
{
	static const uint64_t seeds[] = { 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb };
	size_t i;

	for (i = 0; i < ARRAY_LEN(seeds); i++)
		play(seeds[i]);
}
