/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables and page state. A guest-physical address with the C-bit (39) is exactly entry 1 of a
 * nested root, without it entry 0; so there is one table for the shared view and one private view per
 * VMPL, and two roots per VMPL: with paging {shared, private}, without it {private, -}.
 *
 * The tables are a cache of the RMP and of the host's choice of pages: entries appear on a fault (a whole
 * 2 MiB region at a time), and are removed, with a kick of the other CPUs, before anything shrinks.
 */
#include "emulator/l0.h"

#define NPT_P (1ull << 0)
#define NPT_W (1ull << 1)
#define NPT_U (1ull << 2)	/* without it every access faults */
#define NPT_PS (1ull << 7)
#define NPT_NX (1ull << 63)
#define NPT_ADDR 0x000ffffffffff000ull
#define NPT_ALL (NPT_P | NPT_W | NPT_U)
#define VIEWS (VMPLS + 1)
#define SHARED_VIEW VMPLS

static struct rmp_entry entries[RAM_MAX / PAGE_LEN];
struct rmp rmp = { .entry = entries };
static uint64_t *views[VIEWS];		/* each a table of 512 x 1 GiB */
static uint64_t *roots[VMPLS][2];	/* [paging] */

void npt_init(void)
{
	unsigned i;

	rmp.count = ram_end / PAGE_LEN;
	for (i = 0; i < VIEWS; i++)
		views[i] = page_alloc(1);
	for (i = 0; i < VMPLS; i++) {
		roots[i][0] = page_alloc(1);
		roots[i][1] = page_alloc(1);
		roots[i][0][0] = (uint64_t)views[i] | NPT_ALL;
		roots[i][1][0] = (uint64_t)views[SHARED_VIEW] | NPT_ALL;
		roots[i][1][1] = (uint64_t)views[i] | NPT_ALL;
	}
}

uint64_t npt_root(unsigned vmpl, bool paging)
{
	return (uint64_t)roots[vmpl][paging];
}

/* The 2 MiB entry for gpa (below 512 GiB); NULL when there is no table and none is wanted. */
static uint64_t *region(unsigned view, uint64_t gpa, bool make)
{
	uint64_t *e = &views[view][gpa >> 30 & 511];

	if (!(*e & NPT_P)) {
		if (!make)
			return NULL;
		*e = (uint64_t)page_alloc(1) | NPT_ALL;
	}
	return (uint64_t *)(*e & NPT_ADDR) + (gpa >> 21 & 511);
}

/* What one view holds for a page: 0 when it faults there. */
static uint64_t leaf(unsigned view, uint64_t gfn)
{
	uint64_t gpa = gfn * PAGE_LEN, pfn;
	unsigned rights;

	if (gpa >= L0_BASE && gpa < L0_END)
		return 0;
	if (!is_ram(gpa))	/* a device: in the shared view, and only when the guest may touch it directly */
		return view == SHARED_VIEW && !opt.strict_io ? gpa | NPT_ALL : 0;
	pfn = host_pfn(gfn);
	if (view == SHARED_VIEW)
		return rmp_check(&rmp, pfn, gfn, 0, RMP_WRITE, false) == RMP_FINE ? pfn * PAGE_LEN | NPT_ALL : 0;
	rights = rmp_rights(&rmp, pfn, gfn, view);
	if (!(rights & RMP_R))
		return 0;
	return pfn * PAGE_LEN | NPT_P | NPT_U | (rights & RMP_W ? NPT_W : 0) | (rights & (RMP_XU | RMP_XS) ? 0 : NPT_NX);
}

/* A region whose pages all have the same rights and lie in a row becomes one entry. */
static void fill_region(unsigned view, uint64_t gpa, uint64_t *e)
{
	uint64_t *table = page_alloc(1);
	uint64_t gfn = gpa / PAGE_LEN & ~511ull, i;
	bool uniform = true;

	for (i = 0; i < 512; i++) {
		table[i] = leaf(view, gfn + i);
		uniform = uniform && table[i] == (table[0] ? table[0] + i * PAGE_LEN : 0);
	}
	if (uniform && table[0] && !(table[0] & NPT_ADDR & (HUGE_LEN - 1))) {
		*e = table[0] | NPT_PS;
		page_free(table);
	} else {
		*e = (uint64_t)table | NPT_ALL;
	}
}

static void npt_fill(unsigned vmpl, bool private, uint64_t gpa)
{
	unsigned view = private ? vmpl : SHARED_VIEW;
	uint64_t *e = region(view, gpa, true);

	stat_add(STAT_FILL);
	if (!(*e & NPT_P) || *e & NPT_PS) {
		if (*e & NPT_P)
			*e = 0;
		fill_region(view, gpa, e);
	} else {
		((uint64_t *)(*e & NPT_ADDR))[gpa / PAGE_LEN & 511] = leaf(view, gpa / PAGE_LEN);
	}
}

static bool drop_page(unsigned view, uint64_t gfn)
{
	uint64_t *e = region(view, gfn * PAGE_LEN, false), *t;

	if (!e || !(*e & NPT_P))
		return false;
	if (*e & NPT_PS) {
		*e = 0;
		return true;
	}
	t = (uint64_t *)(*e & NPT_ADDR) + (gfn & 511);
	if (!(*t & NPT_P))
		return false;
	*t = 0;
	return true;
}

bool npt_drop_private(unsigned vmpl, uint64_t gfn, uint64_t count)
{
	bool any = false;
	uint64_t i;

	for (i = 0; i < count; i++)
		any |= drop_page(vmpl, gfn + i);
	return any;
}

bool npt_drop(uint64_t gfn, uint64_t count)
{
	bool any = false;
	unsigned view;

	for (view = 0; view < VIEWS; view++)
		any |= npt_drop_private(view, gfn, count);	/* view VMPLS is the shared one */
	return any;
}

/*
 * Memory that changes hands: its key changes, so what was there cannot be read afterwards. (Hardware leaves
 * ciphertext; the emulator has no encryption, so it writes something that nobody can take for the contents.)
 */
static void scramble(uint64_t gfn, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		memset((void *)(host_pfn(gfn + i) * PAGE_LEN), 0xc7, PAGE_LEN);
}

void rmp_split(const struct vcpu *v, uint64_t gfn)
{
	if (rmp_smash(&rmp, host_pfn(gfn)) != RC_OK)	/* translations and rights stay as they were */
		l0_stop(STOP_BUG, "no 2M entry to split at %lx (vmpl %u)", gfn * PAGE_LEN, v->vmpl);
}

static bool change_page(const struct vcpu *v, uint64_t gfn, bool private)
{
	uint64_t pfn = host_pfn(gfn);

	if (rmp_assigned(&rmp, pfn) == private)
		return true;
	if (rmp_entry(&rmp, pfn)->huge)
		rmp_split(v, gfn);
	if (rmp_update(&rmp, pfn, gfn, private, false) != RC_OK)
		return false;
	if (npt_drop(gfn, 1))
		smp_kick_others(v);
	scramble(gfn, 1);
	return true;
}

/* A region that belongs to nobody, or is one 2M entry: it can change as a whole. */
static bool is_whole(uint64_t gfn, bool private)
{
	uint64_t i;

	if (!private)
		return rmp_entry(&rmp, host_pfn(gfn))->huge;
	for (i = 0; i < 512; i++)
		if (host_pfn(gfn + i) != host_pfn(gfn) + i || rmp_assigned(&rmp, host_pfn(gfn + i)))
			return false;
	return true;
}

bool page_state_change(const struct vcpu *v, uint64_t gpa, bool huge, bool private)
{
	uint64_t gfn = gpa / PAGE_LEN, i;

	stat_add(STAT_PSC);
	if (!huge)
		return is_ram(gpa) && change_page(v, gfn, private);
	if (gpa % HUGE_LEN)
		return false;
	for (i = 0; i < 512; i++)
		if (!is_ram(gpa + i * PAGE_LEN))
			return false;
	if (!opt.small_pages && is_whole(gfn, private)) {
		if (rmp_update(&rmp, host_pfn(gfn), gfn, private, true) != RC_OK)
			return false;
		if (npt_drop(gfn, 512))
			smp_kick_others(v);
		if (!private)
			scramble(gfn, 512);
		return true;
	}
	for (i = 0; i < 512; i++)
		if (!change_page(v, gfn + i, private))
			return false;
	return true;
}

__attribute__((noreturn)) static void violation(const struct vcpu *v, uint64_t gpa, const char *why)
{
	const struct vmcb *s = v->vmcb;

	l0_stop(STOP_VIOLATION, "npf vmpl=%u gpa=%lx c=%u access=%c%s why=%s rip=%lx cr3=%lx cpu=%u", v->vmpl,
		gpa & ~CBIT_MASK, gpa & CBIT_MASK ? 1u : 0u,
		s->info1 & NPF_FETCH ? 'x' : s->info1 & NPF_WRITE ? 'w' : 'r', s->info1 & NPF_WALK ? "-walk" : "", why,
		s->rip, s->cr3, v->index);
}

/* The page is fine, its entry was only missing. When that is so exit after exit, L0 is wrong: never spin for ever. */
static void fill(struct vcpu *v, bool private, uint64_t gpa)
{
	if (v->fault_gpa == v->vmcb->info2 && v->exits == v->fault_exit + 1)
		v->fault_count++;
	else
		v->fault_count = 0;
	if (v->fault_count > 1000)
		l0_stop(STOP_BUG, "nested fault repeats gpa=%lx info=%lx rip=%lx", v->vmcb->info2, v->vmcb->info1, v->vmcb->rip);
	v->fault_gpa = v->vmcb->info2;
	v->fault_exit = v->exits;
	npt_fill(v->vmpl, private, gpa);
}

static void private_fault(struct vcpu *v, uint64_t gpa, uint64_t full)
{
	uint64_t gfn = gpa / PAGE_LEN, info = v->vmcb->info1;
	enum rmp_access access = info & NPF_FETCH ? v->vmcb->cpl ? RMP_FETCH_USER : RMP_FETCH_KERNEL :
			info & NPF_WRITE ? RMP_WRITE : RMP_READ;

	if (!is_ram(gpa))
		violation(v, full, "private-device");
	switch (rmp_check(&rmp, host_pfn(gfn), gfn, v->vmpl, access, true)) {
	case RMP_FINE:
		fill(v, true, gpa);
		return;
	case RMP_NOT_VALIDATED:
		vc_deliver(v, VC_NOT_VALIDATED);
		return;
	case RMP_VMPL:
		violation(v, full, "vmpl-permission");
	default:
		violation(v, full, rmp_assigned(&rmp, host_pfn(gfn)) ? "remapped" : "unassigned");
	}
}

static void shared_fault(struct vcpu *v, uint64_t gpa)
{
	uint64_t gfn = gpa / PAGE_LEN;

	if (!is_ram(gpa)) {
		if (opt.strict_io)
			vc_deliver(v, VC_NPF);
		else
			fill(v, false, gpa);
		return;
	}
	if (rmp_check(&rmp, host_pfn(gfn), gfn, v->vmpl, RMP_WRITE, false) == RMP_FINE) {
		fill(v, false, gpa);
		return;
	}
	/* Hardware walks page tables as private whatever CR3 says: say so for it. */
	if (v->vmcb->info1 & NPF_WALK && (v->vmcb->cr3 & NPT_ADDR & ~CBIT_MASK) == (gpa & ~(PAGE_LEN - 1)) &&
	    !(v->vmcb->cr3 & CBIT_MASK)) {
		stat_add(STAT_CR3_FIX);
		v->vmcb->cr3 |= CBIT_MASK;
		return;
	}
	violation(v, gpa, v->vmcb->info1 & NPF_WALK ? "walk-without-c" : "shared-view");
}

void handle_npf(struct vcpu *v)
{
	struct vmcb *s = v->vmcb;
	uint64_t full = s->info2, gpa = full & ~CBIT_MASK;
	bool paging = s->cr0 & CR0_PG;

	if (s->ncr3 != npt_root(v->vmpl, paging)) {	/* CR0.PG has changed */
		s->ncr3 = npt_root(v->vmpl, paging);
		return;
	}
	if (gpa >= 1ull << CBIT)
		violation(v, full, "no-such-address");
	if (gpa >= L0_BASE && gpa < L0_END)
		violation(v, full, "no-memory");
	if (!paging || full & CBIT_MASK)
		private_fault(v, gpa, full);
	else
		shared_fault(v, gpa);
}
