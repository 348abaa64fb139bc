/* SPDX-License-Identifier: Apache-2.0 */
/*
 * #VC, vector 29 with an error code, delivered by hand: QEMU's event injection pushes no error code for this
 * vector. As the CPU would: the gate from the guest's IDT, the stack from IST, the inner level or the present
 * one, six words pushed. Spec 2.8, notes section 4.
 */
#include "emulator/l0.h"

#define VC_VECTOR 29u
#define GATE_P (1u << 15)
#define GATE_TRAP 1u		/* type bit: a trap gate leaves IF alone */
#define TSS_RSP 4u
#define TSS_IST 0x24u

struct gate {
	uint16_t offset_low, selector;
	uint16_t flags;		/* [2:0] IST, [11:8] type, 15 present */
	uint16_t offset_mid;
	uint32_t offset_high, zero;
};
ABI_SIZE(struct gate, 16);

struct frame {
	uint64_t code, rip, cs, rflags, rsp, ss;
};

__attribute__((noreturn)) static void undeliverable(const struct vcpu *v, uint32_t code, const char *why)
{
	l0_stop(STOP_SHUTDOWN, "vc vmpl=%u code=%x why=%s rip=%lx cpl=%u cpu=%u", v->vmpl, code, why, v->vmcb->rip, v->vmcb->cpl,
		v->index);
}

/* The stack for a handler at level `cpl`: false when it cannot be read from the TSS. */
static bool stack_of(const struct vcpu *v, unsigned ist, unsigned cpl, uint64_t *rsp)
{
	const struct vmcb *s = v->vmcb;
	uint64_t off = ist ? TSS_IST + 8 * (ist - 1) : TSS_RSP + 8 * cpl;

	if (!ist && cpl == s->cpl) {
		*rsp = s->rsp;
		return true;
	}
	return off + 7 <= s->tr.limit && gmem_read_va(v, s->tr.base + off, rsp, 8);
}

static void enter(struct vcpu *v, const struct gate *g, uint64_t descriptor, unsigned cpl, uint64_t rsp)
{
	struct vmcb *s = v->vmcb;

	s->rip = g->offset_low | (uint64_t)g->offset_mid << 16 | (uint64_t)g->offset_high << 32;
	s->rsp = rsp;
	if (!(g->flags >> 8 & GATE_TRAP))
		s->rflags &= ~RFLAGS_IF;
	s->rflags &= ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM);
	s->cs.selector = (uint16_t)((g->selector & ~3u) | cpl);
	s->cs.attrib = (uint16_t)((descriptor >> 40 & 0xff) | (descriptor >> 44 & 0xf00));
	s->cs.limit = UINT32_MAX;
	s->cs.base = 0;
	if (cpl < s->cpl) {	/* SS becomes the null selector of the new level */
		s->ss.selector = (uint16_t)cpl;
		s->ss.attrib = (uint16_t)(cpl << 5);
	}
	s->cpl = (uint8_t)cpl;
	s->int_state = 0;
}

void vc_deliver(struct vcpu *v, uint32_t code)
{
	struct vmcb *s = v->vmcb;
	uint64_t descriptor, rsp;
	struct frame f;
	struct gate g;
	unsigned cpl;

	stat_add(STAT_VC);
	if (!(s->efer & EFER_LMA))
		undeliverable(v, code, "not-long-mode");
	if (VC_VECTOR * 16 + 15 > s->idtr.limit || !gmem_read_va(v, s->idtr.base + VC_VECTOR * 16, &g, sizeof(g)) ||
	    !(g.flags & GATE_P) || (g.flags >> 8 & 0xe) != 0xe)
		undeliverable(v, code, "idt");
	if ((g.selector & ~7u) + 7 > s->gdtr.limit || !gmem_read_va(v, s->gdtr.base + (g.selector & ~7u), &descriptor, 8) ||
	    !(descriptor >> 47 & 1) || !(descriptor >> 53 & 1))
		undeliverable(v, code, "gdt");
	cpl = descriptor >> 45 & 3;
	if (cpl > s->cpl || !stack_of(v, g.flags & 7, cpl, &rsp))
		undeliverable(v, code, "tss");
	f = (struct frame){ .code = code, .rip = s->rip, .cs = s->cs.selector, .rflags = s->rflags | RFLAGS_RF,
			    .rsp = s->rsp, .ss = s->ss.selector };
	rsp = (rsp & ~15ull) - sizeof(f);
	if (!gmem_write_va(v, rsp, &f, sizeof(f)))
		undeliverable(v, code, "stack");
	enter(v, &g, descriptor, cpl, rsp);
}
