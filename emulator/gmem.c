/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory. All of L0 reaches it through guest_page(), which knows what a guest may own; the RMP says
 * which view of a page exists. Guest page tables are hostile: walks are bounded and copy each entry once.
 */
#include "emulator/l0.h"

#define ADDR_MASK 0x000ffffffffff000ull
#define PTE_P (1ull << 0)
#define PTE_PS (1ull << 7)

bool is_ram(uint64_t gpa)
{
	return gpa < ram_end && !(gpa >= VGA_START && gpa < VGA_END) && !(gpa >= L0_BASE && gpa < L0_END);
}

/* The machine address of gpa, or NULL when the guest has no RAM there or the range crosses a page. */
static void *guest_page(uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa % PAGE_LEN;

	if (!is_ram(gpa) || len > PAGE_LEN - off)
		return NULL;
	return (void *)(host_pfn(gpa / PAGE_LEN) * PAGE_LEN + off);
}

void *gmem_shared(uint64_t gpa, uint64_t len)
{
	void *p = guest_page(gpa, len);
	uint64_t gfn = gpa / PAGE_LEN;

	if (!p || rmp_check(&rmp, host_pfn(gfn), gfn, 0, RMP_WRITE, false) != RMP_FINE)
		return NULL;
	return p;
}

void *gmem_private(unsigned vmpl, enum rmp_access access, uint64_t gpa, uint64_t len)
{
	void *p = guest_page(gpa, len);
	uint64_t gfn = gpa / PAGE_LEN;

	if (!p || rmp_check(&rmp, host_pfn(gfn), gfn, vmpl, access, true) != RMP_FINE)
		return NULL;
	return p;
}

/* A boot VMSA lies in L0's own memory, the others in the guest's; both are known by the RMP. */
struct vmsa *gmem_vmsa(uint64_t pfn)
{
	INVARIANT(pfn < rmp.count);
	return (struct vmsa *)(pfn * PAGE_LEN);
}

/* A page-table entry: always private, whatever the C-bit says. */
static bool read_pte(const struct vcpu *v, uint64_t table, uint64_t index, uint64_t *out)
{
	const volatile uint64_t *p = gmem_private(v->vmpl, RMP_READ, (table & ADDR_MASK & ~CBIT_MASK) + index * 8, 8);

	if (p)
		*out = *p;
	return p;
}

bool gmem_walk(const struct vcpu *v, uint64_t va, struct gwalk *out)
{
	const struct vmcb *s = v->vmcb;
	uint64_t e = s->cr3;
	int level;

	if (!(s->cr0 & CR0_PG)) {
		*out = (struct gwalk){ .gpa = va & UINT32_MAX, .private = true, .huge = true };
		return true;
	}
	if (!(s->efer & EFER_LMA) || (s->cr4 & CR4_LA57))
		return false;
	for (level = 3; level >= 0; level--) {
		uint64_t span = 1ull << (12 + 9 * level);

		if (!read_pte(v, e, va >> (12 + 9 * level) & 511, &e) || !(e & PTE_P))
			return false;
		if (level && (level == 3 || !(e & PTE_PS)))
			continue;
		out->gpa = (e & ADDR_MASK & ~CBIT_MASK & ~(span - 1)) | (va & (span - 1));
		out->private = e & CBIT_MASK;
		out->huge = level > 0;
		return true;
	}
	return false;
}

static void *at_va(const struct vcpu *v, uint64_t va, enum rmp_access access, uint64_t len)
{
	struct gwalk w;

	if (!gmem_walk(v, va, &w))
		return NULL;
	if (w.private || access >= RMP_FETCH_USER)
		return gmem_private(v->vmpl, access, w.gpa, len);
	return gmem_shared(w.gpa, len);
}

static uint64_t to_page_end(uint64_t va, uint64_t len)
{
	uint64_t room = PAGE_LEN - va % PAGE_LEN;

	return len < room ? len : room;
}

bool gmem_read_va(const struct vcpu *v, uint64_t va, void *out, uint64_t len)
{
	while (len) {
		uint64_t n = to_page_end(va, len);
		const void *p = at_va(v, va, RMP_READ, n);

		if (!p)
			return false;
		memcpy(out, p, n);
		out = (uint8_t *)out + n;
		va += n;
		len -= n;
	}
	return true;
}

bool gmem_write_va(const struct vcpu *v, uint64_t va, const void *in, uint64_t len)
{
	while (len) {
		uint64_t n = to_page_end(va, len);
		void *p = at_va(v, va, RMP_WRITE, n);

		if (!p)
			return false;
		memcpy(p, in, n);
		in = (const uint8_t *)in + n;
		va += n;
		len -= n;
	}
	return true;
}

unsigned gmem_fetch(const struct vcpu *v, uint8_t *out, unsigned len)
{
	const struct vmcb *s = v->vmcb;
	uint64_t va = s->rip + (s->efer & EFER_LMA && s->cs.attrib & 0x200 ? 0 : s->cs.base);
	unsigned done = 0;

	while (done < len) {
		uint64_t n = to_page_end(va + done, len - done);
		const void *p = at_va(v, va + done, s->cpl ? RMP_FETCH_USER : RMP_FETCH_KERNEL, n);

		if (!p)
			break;
		memcpy(out + done, p, n);
		done += (unsigned)n;
	}
	return done;
}
