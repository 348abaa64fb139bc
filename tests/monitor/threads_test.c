/* SPDX-License-Identifier: Apache-2.0 */
/* Several CPUs call at once: the locks hold. Run under ThreadSanitizer as well. */
#include <pthread.h>
#include <sched.h>

#include "tests/fake/plat.h"
#include "tests/monitor/session.h"
#include "tests/test.h"

#define ROUNDS 800u
#define SHARED 0x7001000ull	/* eight pages that all fight for */

static struct mon *m;
static unsigned unexpected, moved, made, told;

static void wanted(bool ok)
{
	if (!ok)
		__atomic_add_fetch(&unexpected, 1, __ATOMIC_RELAXED);
}

static void count(unsigned *what, uint32_t rax)
{
	if (rax == SVSM_SUCCESS)
		__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* One call, when this CPU has a guest at the moment. */
static uint32_t call(unsigned cpu, uint32_t protocol, uint32_t number, struct mon_regs *r)
{
	struct gpa vmsa, caa;

	r->rax = (uint64_t)protocol << 32 | number;
	if (!mon_take(m, cpu, &vmsa, &caa))
		return SVSM_BUSY;
	mon_call(m, cpu, r);
	mon_release(m, cpu);
	return (uint32_t)r->rax;
}

static void pages(unsigned cpu, unsigned i)
{
	uint64_t list = 0x1e00000ull + cpu * MON_PAGE;
	struct svsm_pvalidate_list l = { .entries = 1 };
	uint64_t entry = (SHARED + (i / 2 * 7 + cpu) % 8 * MON_PAGE) | (i & 1 ? SVSM_PV_VALIDATE : 0);
	struct mon_regs r = { .rcx = list };
	uint32_t rax;

	memcpy(fake.priv + list, &l, sizeof(l));
	memcpy(fake.priv + list + sizeof(l), &entry, sizeof(entry));
	rax = call(cpu, 0, SVSM_PVALIDATE, &r);
	wanted(rax == SVSM_SUCCESS || rax == SVSM_CORE_NO_CHANGE || rax == SVSM_BUSY);
	count(&moved, rax);
}

/* CPU 0 makes and unmakes the VMSA of CPU 3; the others try too, with pages that are not VMSAs. */
static void vcpus(unsigned cpu, unsigned i)
{
	uint64_t vmsa = 0x1d01000ull + (i % 2) * MON_PAGE;
	struct mon_regs r = { .rcx = vmsa, .rdx = 0x1d10000, .r8 = FAKE_APIC(3) };
	struct vmsa v = { .vmpl = FAKE_VMPL, .efer = VMSA_EFER_SVME, .sev_features = 1 };
	uint32_t rax;

	if (cpu == 0) {
		r = (struct mon_regs){ .rcx = vmsa };
		rax = call(cpu, 0, SVSM_DELETE_VCPU, &r);
		wanted(rax == SVSM_SUCCESS || rax == SVSM_INVALID_ADDRESS || rax == SVSM_CORE_IN_USE);
		if (rax == SVSM_CORE_IN_USE)
			return;
		memcpy(fake.priv + vmsa, &v, sizeof(v));
		r = (struct mon_regs){ .rcx = vmsa, .rdx = 0x1d10000, .r8 = FAKE_APIC(3) };
		rax = call(cpu, 0, SVSM_CREATE_VCPU, &r);
		wanted(rax == SVSM_SUCCESS || rax == SVSM_CORE_IN_USE);
		count(&made, rax);
	} else {
		r.rcx = SHARED + i % 8 * MON_PAGE;
		rax = call(cpu, 0, SVSM_CREATE_VCPU, &r);
		wanted(rax != SVSM_SUCCESS);
		r = (struct mon_regs){ .rcx = 0x1c00000ull + cpu * 0x2000 + (i & 1) * MON_PAGE };
		rax = call(cpu, 0, SVSM_REMAP_CA, &r);
		wanted(rax == SVSM_SUCCESS || rax == SVSM_BUSY);
	}
}

static void service(unsigned cpu, unsigned i)
{
	uint64_t at = 0x1e10000ull + cpu * MON_PAGE;
	struct vmpl_block b = { .magic = VMPL_MAGIC, .version = VMPL_VERSION, .lane = i % 2 };
	uint32_t number = cpu == 0 || i % 50 > 25 ? VMPL_CALL : i % 50 < 8 ? VMPL_RESET : VMPL_START;
	struct mon_regs r = { .rcx = at, .rdx = ~0ull, .r8 = ~0ull };
	uint32_t rax;

	memcpy(fake.priv + at, &b, sizeof(b));
	rax = call(cpu, CALL_PROTOCOL, number, &r);
	wanted(rax == SVSM_SUCCESS || rax == VMPL_ERR_LANE_BUSY || rax == VMPL_ERR_STATE || rax == VMPL_ERR_DEAD ||
	       rax == SVSM_BUSY);
}

/* Two CPUs at least ask for reports at the same time. */
static void attest(unsigned cpu)
{
	uint64_t at = 0x1a00000ull + cpu * 0x10000;
	struct svsm_attest_req q = { .report = { at + 0x1000, 4096, 0 }, .nonce = { at + 0x100, 64, 0 },
				     .manifest = { at + 0x2000, 4096, 0 } };
	struct mon_regs r = { .rcx = at };
	uint32_t rax;

	memcpy(fake.priv + at, &q, sizeof(q));
	rax = call(cpu, SVSM_PROTO_ATTEST, SVSM_ATTEST_SERVICES, &r);
	wanted(rax == SVSM_SUCCESS || rax == SVSM_BUSY);
	count(&told, rax);
}

static void *one_cpu(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg, i;

	for (i = 0; i < ROUNDS; i++) {
		pages(cpu, i);
		vcpus(cpu, i);
		service(cpu, i);
		if (i % 16 == 0)
			attest(cpu);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void linger(uint32_t lane)
{
	(void)lane;
	sched_yield();
}

TEST(four_cpus_that_fight_for_pages_vcpus_and_lanes_keep_every_invariant)
{
	pthread_t t[FAKE_CPUS];
	uintptr_t i;

	m = fake_boot();
	for (i = 1; i < FAKE_CPUS; i++)
		session_cpu(m, (unsigned)i);
	session_fill(m, 2);
	session_start(m);
	fake.in_lane = linger;
	fake.dawdle = true;
	fake.destroy_pieces = 2;
	for (i = 0; i < FAKE_CPUS; i++)
		EXPECT(pthread_create(&t[i], NULL, one_cpu, (void *)i) == 0);
	for (i = 0; i < FAKE_CPUS; i++)
		pthread_join(t[i], NULL);
	EXPECT_INT(unexpected, 0);
	EXPECT(moved > ROUNDS && made > 10 && told > 10);	/* it was a fight, not a queue of refusals */
	EXPECT(fake.runs > 10 && fake.starts > 1);
	fake.stale = false;
	fake_check(m);
}
