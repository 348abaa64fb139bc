/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the host. AMD publication 56421: MSR protocol, GHCB page, NAE events.
 *
 * The host reads and writes the GHCB at any time: what it answers is loaded once, and is advice. Nothing
 * that is kept from the host goes in. The page is never private: it lies in memory that the
 * monitor never validates.
 */
#include <string.h>

#include "monitor/x86/x86.h"

uint64_t ghcb_msr(uint64_t request)
{
	wrmsr(MSR_GHCB, request);
	vmgexit();
	return rdmsr(MSR_GHCB);
}

void ghcb_terminate(unsigned set, unsigned reason)
{
	for (;;) {
		wrmsr(MSR_GHCB, GHCB_MSR_TERMINATE_REQ | (uint64_t)set << 12 | (uint64_t)reason << 16);
		vmgexit();
	}
}

void ghcb_start(struct cpu *c)
{
	void *page = shared_alloc(1);
	uint64_t gpa;

	if (!page)
		stop(MON_REASON_MEMORY, "no page for a GHCB");
	gpa = shared_gpa(page);
	if (ghcb_msr(GHCB_MSR_REGISTER_GPA_REQ | gpa) != (GHCB_MSR_REGISTER_GPA_RESP | gpa))
		stop(MON_REASON_GHCB, "the host refuses the GHCB");
	wrmsr(MSR_GHCB, gpa);
	c->ghcb = page;
}

static void put(struct ghcb *g, size_t off, uint64_t v)
{
	size_t bit = off / 8;

	*(volatile uint64_t *)((uint8_t *)g + off) = v;
	g->valid[bit / 8] |= (uint8_t)(1u << bit % 8);
}

#define PUT(g, field, v) put(g, offsetof(struct ghcb, field), v)
#define GET(g, field) (*(const volatile uint64_t *)&(g)->field)

bool ghcb_request(struct ghcb_call *call)
{
	struct ghcb *g = this_cpu()->ghcb;
	uint64_t info1;

	if (!g || call->scratch_len > sizeof(g->buffer))
		return false;
	memset(g->valid, 0, sizeof(g->valid));
	PUT(g, exit_code, call->code);
	PUT(g, info1, call->info1);
	PUT(g, info2, call->info2);
	PUT(g, rax, call->rax);
	PUT(g, rbx, call->rbx);
	if (call->scratch_len) {
		memcpy(g->buffer, call->scratch, call->scratch_len);
		PUT(g, scratch, shared_gpa(g) + offsetof(struct ghcb, buffer));
	}
	g->version = GHCB_VERSION;
	g->usage = 0;
	vmgexit();
	info1 = GET(g, info1);
	call->info2 = GET(g, info2);
	call->rbx = GET(g, rbx);
	if (call->scratch_out)
		memcpy(call->scratch_out, g->buffer, call->scratch_len);
	return (uint32_t)info1 == GHCB_OK;
}

struct psc {
	struct ghcb_psc_hdr hdr;
	uint64_t entry[PSC_MAX_ENTRIES];
};

/* Repeats until the host says that it has done all entries; it must advance each time. */
static enum rc psc_send(struct psc *p, unsigned count)
{
	size_t len = sizeof(p->hdr) + count * sizeof(p->entry[0]);
	unsigned done = 0;

	p->hdr = (struct ghcb_psc_hdr){ .end_entry = (uint16_t)(count - 1) };
	while (done < count) {
		struct ghcb_call call = { .code = NAE_PSC, .scratch = p, .scratch_out = p, .scratch_len = len };

		if (!ghcb_request(&call) || call.info2 || p->hdr.cur_entry <= done)
			return RC_MACHINE;
		done = p->hdr.cur_entry;
	}
	return RC_OK;
}

static enum rc psc_by_msr(uint64_t gpa, unsigned op)
{
	uint64_t r = ghcb_msr(GHCB_MSR_PSC_REQ | gpa | (uint64_t)op << 52);

	return (r & GHCB_INFO_MASK) == GHCB_MSR_PSC_RESP && r >> 32 == 0 ? RC_OK : RC_MACHINE;
}

enum rc ghcb_page_state(uint64_t gpa, uint64_t len, unsigned op)
{
	struct psc p;
	unsigned n = 0;
	enum rc rc = RC_OK;

	while (len && rc == RC_OK) {
		bool huge = gpa % HUGE == 0 && len >= HUGE;
		uint64_t step = huge ? HUGE : PAGE;

		if (!this_cpu()->ghcb) {
			step = PAGE;
			rc = psc_by_msr(gpa, op);
		} else {
			p.entry[n++] = PSC_ENTRY(gpa, op, huge);
		}
		gpa += step;
		len -= step;
		if (n && (n == PSC_MAX_ENTRIES || !len)) {
			rc = psc_send(&p, n);
			n = 0;
		}
	}
	return rc;
}

#define COM1 0x3f8u
/* One string output: what several CPUs say, and what the host says in between, stays line by line. */
void console_write(const char *text, size_t len)
{
	struct ghcb_call call = { .code = NAE_IOIO, .info1 = COM1 << 16 | IOIO_ADDR64 | 1u << 4 | IOIO_STR | IOIO_REP,
				  .info2 = len, .scratch = text, .scratch_len = len };

	if (!ghcb_request(&call))
		return;		/* the host's console: its loss */
}
