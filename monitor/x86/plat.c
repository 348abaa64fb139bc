/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/plat.h on the machine itself: instructions, guest memory, the host's services, time. */
#include <string.h>

#include "monitor/x86/process.h"
#include "monitor/x86/x86.h"

unsigned plat_pvalidate(struct gpa page, bool huge, bool validate)
{
	bool same;
	uint32_t r = insn_pvalidate((uint64_t)direct(page.v), huge, validate, &same);

	return r == SNP_OK && same ? PLAT_NO_CHANGE : r;
}

unsigned plat_rmpadjust(struct gpa page, bool huge, uint64_t attr)
{
	return insn_rmpadjust((uint64_t)direct(page.v), huge, attr);
}

/* Writes only where there is something: memory that was never used stays unused by the machine below. */
void plat_zero(struct gpa at, size_t len)
{
	volatile uint64_t *p = direct(at.v), *end = p + len / 8;

	INVARIANT(len % 8 == 0);
	for (; p < end; p++)
		if (*p)
			*p = 0;
}

void plat_read(struct gpa at, void *to, size_t len)
{
	memcpy(to, direct(at.v), len);
}

void plat_write(struct gpa at, const void *from, size_t len)
{
	memcpy(direct(at.v), from, len);
}

void plat_flush(void)
{
	/* A translation that another CPU cached while the guest still had the right is as good as the right. */
	write_cr3(memory_root());
	flush_all_cpus();
}

enum rc plat_page_state(struct gpa first, uint64_t pages, bool to_private)
{
	return ghcb_page_state(first.v, pages * PAGE, to_private ? PSC_PRIVATE : PSC_SHARED);
}

uint64_t plat_guest_request(const uint8_t *req, uint8_t *rsp, uint8_t *certs, size_t certs_len)
{
	static uint8_t *page;	/* request, response, certificates */
	struct ghcb_call call = { .code = certs ? NAE_EXT_GUEST_REQUEST : NAE_GUEST_REQUEST };

	if (certs_len > MON_CERT_LEN)
		return SNP_FW_NOT_CALLED;
	if (!page)
		page = shared_alloc(2 + MON_CERT_LEN / PAGE);
	if (!page)
		return SNP_FW_NOT_CALLED;
	memcpy(page, req, PAGE);
	memset(page + PAGE, 0, PAGE + MON_CERT_LEN);
	call.info1 = shared_gpa(page);
	call.info2 = shared_gpa(page + PAGE);
	if (certs) {
		call.rax = shared_gpa(page + 2 * PAGE);
		call.rbx = certs_len / PAGE;
	}
	if (!ghcb_request(&call))
		return SNP_FW_NOT_CALLED;
	memcpy(rsp, page + PAGE, PAGE);
	if (certs)
		memcpy(certs, page + 2 * PAGE, certs_len);
	return call.info2;
}

#define CPUID_TSC 0x40000010u
#define TSC_KHZ_GUESS 2000000u
uint64_t clock_ns(void)
{
	static uint64_t first, latest;
	const struct snp_cpuid_entry *e = cpuid_find(CPUID_TSC, 0);
	uint64_t hz = (e && e->eax ? e->eax : TSC_KHZ_GUESS) * 1000ull, ticks, ns, seen;

	if (!first)
		first = rdtsc() - 1;
	ticks = rdtsc() - first;
	ns = ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
	seen = __atomic_load_n(&latest, __ATOMIC_RELAXED);
	while (ns > seen && !__atomic_compare_exchange_n(&latest, &seen, ns, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return ns > seen ? ns : seen;
}

uint64_t plat_now_ms(void)
{
	return clock_ns() / 1000000;
}

void plat_terminate(unsigned reason)
{
	struct cpu *c = this_cpu();

	if (!c->ending) {	/* not again, should wiping itself fail */
		c->ending = true;
		service_wipe();
	}
	say_number("ends: reason ", reason);
	ghcb_terminate(MON_REASON_SET, reason);
}
