/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVALIDATE, RMPADJUST, RMPQUERY: a CPU without SNP raises #UD, which L0 intercepts and decodes. Spec 2.2 to 2.4.
 * Beside them INVLPGB and TLBSYNC, which differ by the missing prefix: the first notes a wish, the second grants it.
 * Every other #UD goes back to the guest.
 */
#include "emulator/l0.h"

#define PAGE_SIZE_2M 1u
#define PF_WRITE 2u

static void raise_ud(struct vcpu *v)
{
	inject(v, EVENT_EXCEPTION, 6, false, 0);
}

/* The result of an instruction: RAX, flags, next instruction. */
static void finish(struct vcpu *v, uint32_t code, bool carry)
{
	struct vmcb *s = v->vmcb;

	s->rax = code;
	s->rflags &= ~RFLAGS_STATUS;
	if (carry)
		s->rflags |= RFLAGS_CF;
	if (!code)
		s->rflags |= 1u << 6;	/* ZF */
	s->rip += 4;
}

/* RAX is a virtual address; false: the guest got a #PF for it. */
static bool operand(struct vcpu *v, struct gwalk *w)
{
	if (gmem_walk(v, v->vmcb->rax, w))
		return true;
	v->vmcb->cr2 = v->vmcb->rax;
	inject(v, EVENT_EXCEPTION, 14, true, PF_WRITE);
	return false;
}

/* What a fault of the instruction's own means; true: the instruction runs again or is over. */
static bool faulted(struct vcpu *v, enum rmp_fault f, const struct gwalk *w)
{
	switch (f) {
	case RMP_FINE:
		return false;
	case RMP_SIZE:	/* the host splits its 2M entry and lets the guest try again */
		rmp_split(v, w->gpa / PAGE_LEN);
		return true;
	case RMP_NOT_VALIDATED:
		vc_deliver(v, VC_NOT_VALIDATED);
		return true;
	default:
		l0_stop(STOP_VIOLATION, "insn vmpl=%u gpa=%lx why=%s rip=%lx cpu=%u", v->vmpl, w->gpa,
			f == RMP_VMPL ? "vmpl-permission" : "unassigned", v->vmcb->rip, v->index);
	}
}

/* The common input checks; true: go on with the page. */
static bool page_operand(struct vcpu *v, struct gwalk *w, bool *huge)
{
	uint32_t size = (uint32_t)v->g.rcx;

	if (!operand(v, w))
		return false;
	*huge = size == PAGE_SIZE_2M;
	if (size > PAGE_SIZE_2M || !w->private || !is_ram(w->gpa) || (*huge && v->vmcb->rax % HUGE_LEN)) {
		finish(v, SNP_FAIL_INPUT, false);
		return false;
	}
	w->gpa &= ~(PAGE_LEN - 1);
	if (*huge && !w->huge) {
		finish(v, SNP_FAIL_SIZEMISMATCH, false);
		return false;
	}
	return true;
}

static void do_pvalidate(struct vcpu *v)
{
	bool huge, no_change, validate = v->g.rdx & 1;
	struct gwalk w;
	uint32_t code;
	uint64_t gfn;

	stat_add(STAT_PVALIDATE);
	if (v->vmpl) {
		finish(v, SNP_FAIL_PERMISSION, false);
		return;
	}
	if (!page_operand(v, &w, &huge))
		return;
	gfn = w.gpa / PAGE_LEN;
	if (faulted(v, rmp_pvalidate(&rmp, host_pfn(gfn), gfn, huge, validate, &code, &no_change), &w))
		return;
	if (code == SNP_OK && !validate && npt_drop(gfn, huge ? RMP_HUGE_PAGES : 1))
		smp_kick_others(v);
	finish(v, code, code == SNP_OK && no_change);
}

static void do_rmpadjust(struct vcpu *v)
{
	unsigned to = v->g.rdx & (VMPLS - 1), before;
	struct gwalk w;
	uint32_t code;
	uint64_t gfn;
	bool huge;

	stat_add(STAT_RMPADJUST);
	if (!page_operand(v, &w, &huge))
		return;
	gfn = w.gpa / PAGE_LEN;
	before = rmp_rights(&rmp, host_pfn(gfn), gfn, to);
	if (faulted(v, rmp_adjust(&rmp, host_pfn(gfn), gfn, v->vmpl, huge, v->g.rdx, &code), &w))
		return;
	if (code == SNP_OK && before & ~rmp_rights(&rmp, host_pfn(gfn), gfn, to) &&
	    npt_drop_private(to, gfn, huge ? RMP_HUGE_PAGES : 1))
		smp_kick_others(v);
	finish(v, code, false);
}

static void do_rmpquery(struct vcpu *v)
{
	uint64_t attr = v->g.rdx, gfn;
	struct gwalk w;
	uint32_t code;
	bool huge;

	if (!operand(v, &w))
		return;
	if (!w.private || !is_ram(w.gpa)) {
		finish(v, SNP_FAIL_INPUT, false);
		return;
	}
	gfn = w.gpa / PAGE_LEN;
	if (faulted(v, rmp_query(&rmp, host_pfn(gfn), gfn, v->vmpl, &attr, &huge, &code), &w))
		return;
	if (code == SNP_OK) {
		v->g.rdx = attr;
		v->g.rcx = huge;
	}
	finish(v, code, false);
}

/* 0F 01 FE and 0F 01 FF without a prefix. False: neither. */
static bool broadcast_flush(struct vcpu *v, const uint8_t *b, unsigned n)
{
	if (n < 3 || b[0] != 0x0f || b[1] != 0x01 || (b[2] != 0xfe && b[2] != 0xff))
		return false;
	if (v->vmcb->cpl) {
		inject(v, EVENT_EXCEPTION, 13, true, 0);
		return true;
	}
	if (b[2] == 0xfe)
		v->flush_wanted = true;
	else if (v->flush_wanted)
		smp_kick_others(v);	/* this CPU's own went with the exit */
	if (b[2] == 0xff)
		v->flush_wanted = false;
	v->vmcb->rip += 3;
	return true;
}

void handle_ud(struct vcpu *v)
{
	static const struct {
		uint8_t prefix, last;
		void (*run)(struct vcpu *v);
	} insns[] = {
		{ 0xf2, 0xff, do_pvalidate },
		{ 0xf3, 0xfe, do_rmpadjust },
		{ 0xf3, 0xfd, do_rmpquery },
	};
	uint8_t b[4] = { 0 };
	unsigned i, n = gmem_fetch(v, b, 4);

	/* A guest cleared EFER.SVME: hardware would still know VMMCALL. It is set again before each VMRUN. */
	if (!(v->vmcb->efer & EFER_SVME))
		return;
	if (broadcast_flush(v, b, n))
		return;
	for (i = 0; i < ARRAY_LEN(insns) && n == 4 && b[1] == 0x0f && b[2] == 0x01; i++) {
		if (b[0] != insns[i].prefix || b[3] != insns[i].last)
			continue;
		if (v->vmcb->cpl)
			inject(v, EVENT_EXCEPTION, 13, true, 0);
		else
			insns[i].run(v);
		return;
	}
	raise_ud(v);
}
