/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's vCPUs: which VMSA and which calling area belong to which CPU. A CPU between mon_take and mon_release
 * is in the monitor on behalf of its VMSA: that VMSA is neither deleted nor replaced. Whether a VMSA runs at this
 * moment on another CPU is known to the hardware alone (RMPADJUST refuses: in use).
 *
 * A VMSA's contents are checked after all rights of the guest to the page are gone, and stay as they are until it runs.
 */
#include "monitor/state.h"
#include "snp/svsm.h"
#include "snp/vmsa.h"

enum rc mon_cpu(struct mon *m, unsigned cpu, uint32_t apic_id)
{
	unsigned i;

	if (cpu >= MON_CPUS)
		return RC_NO_ROOM;
	MON_LOCK(k, m);
	for (i = 0; i < MON_CPUS; i++)
		if (m->cpu[i].here && (i == cpu || m->cpu[i].apic_id == apic_id))
			return RC_BAD_INPUT;
	m->cpu[cpu].here = true;
	m->cpu[cpu].apic_id = apic_id;
	return RC_OK;
}

enum rc mon_boot_vcpu(struct mon *m, unsigned cpu, struct gpa vmsa, struct gpa caa)
{
	uint32_t v, c;

	MON_LOCK(k, m);
	if (cpu >= MON_CPUS || !m->cpu[cpu].here || m->cpu[cpu].ready ||
	    page_named(&k, vmsa.v, PAGE_IN(PAGE_MONITOR), &v) != SVSM_SUCCESS ||
	    page_named(&k, caa.v, PAGE_IN(PAGE_GUEST), &c) != SVSM_SUCCESS)
		return RC_DENIED;
	page_set(&k, c, 1, PAGE_CA);
	m->cpu[cpu].vmsa = v;
	m->cpu[cpu].caa = c;
	m->cpu[cpu].ready = true;
	return RC_OK;
}

/* A host that does not terminate us after another CPU's panic gets no further with this one. */
static void end_with_the_others(struct mon *m)
{
	if (__atomic_load_n(&m->ended, __ATOMIC_SEQ_CST))
		mon_panic(m, MON_REASON_ENDED);
}

bool mon_take(struct mon *m, unsigned cpu, struct gpa *vmsa, struct gpa *caa)
{
	struct mon_vcpu *c = &m->cpu[cpu];

	INVARIANT(cpu < MON_CPUS);
	end_with_the_others(m);
	MON_LOCK(k, m);
	INVARIANT(c->here && !c->taken);
	if (!c->ready)
		return false;
	c->taken = true;
	*vmsa = addr_of_frame(c->vmsa);
	*caa = addr_of_frame(c->caa);
	return true;
}

void mon_release(struct mon *m, unsigned cpu)
{
	end_with_the_others(m);
	MON_LOCK(k, m);
	INVARIANT(m->cpu[cpu].taken);
	m->cpu[cpu].taken = false;
}

static struct mon_vcpu *by_apic_id(struct mon_locked *k, uint32_t apic_id)
{
	unsigned i;

	for (i = 0; i < MON_CPUS; i++)
		if (k->m->cpu[i].here && k->m->cpu[i].apic_id == apic_id)
			return &k->m->cpu[i];
	return NULL;
}

static struct mon_vmsa *slot_of(struct mon_locked *k, uint32_t frame)
{
	unsigned i;

	for (i = 0; i < MON_VMSAS; i++)
		if (k->m->vmsa[i].frame == frame)
			return &k->m->vmsa[i];
	return NULL;
}

static void use_caa(struct mon_locked *k, struct mon_vcpu *c, uint32_t caa)
{
	if (c->ready && c->caa != caa)
		page_set(k, c->caa, 1, PAGE_GUEST);
	page_set(k, caa, 1, PAGE_CA);
	c->caa = caa;
}

/* A calling area for this CPU: a page of the guest's, or the one it has. */
static uint32_t named_caa(const struct mon_locked *k, const struct mon_vcpu *c, uint64_t at, uint32_t *frame)
{
	if (c->ready && at == addr_of_frame(c->caa).v) {
		*frame = c->caa;
		return SVSM_SUCCESS;
	}
	return page_named(k, at, PAGE_IN(PAGE_GUEST), frame);
}

/* Specification 3.3. The level must be the guest's own, or it would run at ours. */
static bool acceptable(const struct mon *m, const struct vmsa *v)
{
	return v->vmpl == m->guest_vmpl && (v->efer & VMSA_EFER_SVME) && v->sev_features == m->guest_features &&
	       v->virtual_tom == 0;
}

/* Takes the guest's rights away, checks what is in the page, makes it a VMSA. On failure the page is the guest's again. */
static uint32_t seize(struct mon_locked *k, uint32_t frame, uint8_t *copy)
{
	struct gpa at = addr_of_frame(frame);
	unsigned r = page_rights(k, frame, 1, 0);
	bool good = false;

	if (r == SNP_OK) {
		plat_flush();
		plat_read(at, copy, sizeof(struct vmsa));
		good = acceptable(k->m, (const struct vmsa *)copy);
		if (good)	/* readable: Linux looks at sev_features in it before it asks the host to run it */
			r = plat_rmpadjust(at, false, RMPADJUST_ATTR(k->m->guest_vmpl, RMP_R) | RMPADJUST_VMSA);
	}
	if (good && r == SNP_OK)
		return SVSM_SUCCESS;
	if (page_rights(k, frame, 1, RMP_ALL) != SNP_OK)
		page_set(k, frame, 1, PAGE_LOST);
	return r == SNP_OK ? SVSM_INVALID_PARAMETER : SVSM_PROTOCOL_BASE + r;
}

uint32_t vcpu_create(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	uint32_t vmsa, caa, rax;
	struct mon_vmsa *slot;
	struct mon_vcpu *c;

	if (r->r8 > UINT32_MAX)
		return SVSM_INVALID_PARAMETER;
	MON_LOCK(k, m);
	c = by_apic_id(&k, (uint32_t)r->r8);
	if (!c || r->rcx == r->rdx)
		return SVSM_INVALID_PARAMETER;
	rax = page_named(&k, r->rcx, PAGE_IN(PAGE_GUEST), &vmsa);
	if (rax == SVSM_SUCCESS)
		rax = named_caa(&k, c, r->rdx, &caa);
	if (rax != SVSM_SUCCESS)
		return rax;
	/* Page 0 would mark a free slot; the first page of 2 MiB is not safe as a VMSA (specification 1.6). */
	if (vmsa % MON_HUGE_PAGES == 0)
		return SVSM_INVALID_ADDRESS;
	if (c->taken)	/* the caller itself, or a CPU that is in a call */
		return SVSM_CORE_IN_USE;
	slot = slot_of(&k, 0);
	if (!slot)
		return SVSM_INVALID_REQUEST;
	rax = seize(&k, vmsa, m->cpu[cpu].copy);
	if (rax != SVSM_SUCCESS)
		return rax;
	page_set(&k, vmsa, 1, PAGE_VMSA);
	*slot = (struct mon_vmsa){ .frame = vmsa, .cpu = (uint32_t)(c - m->cpu) };
	use_caa(&k, c, caa);
	c->vmsa = vmsa;
	c->ready = true;
	return SVSM_SUCCESS;
}

/* EFER.SVME = 0 keeps everybody from entering it while its fate is decided (specification 3.3). */
static uint64_t bar_entry(uint32_t frame)
{
	struct gpa efer = { addr_of_frame(frame).v + offsetof(struct vmsa, efer) };
	uint64_t old, barred;

	plat_read(efer, &old, sizeof(old));
	barred = old & ~VMSA_EFER_SVME;
	plat_write(efer, &barred, sizeof(barred));
	return old;
}

uint32_t vcpu_delete(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	struct mon_vmsa *slot;
	struct mon_vcpu *c;
	uint32_t frame, rax;
	uint64_t efer;
	unsigned result;

	(void)cpu;
	MON_LOCK(k, m);
	rax = page_named(&k, r->rcx, PAGE_IN(PAGE_VMSA), &frame);
	if (rax != SVSM_SUCCESS)
		return rax == SVSM_CORE_IN_USE ? SVSM_INVALID_ADDRESS : rax;
	slot = slot_of(&k, frame);
	INVARIANT(slot);	/* a page is in this state exactly while it is registered */
	c = &m->cpu[slot->cpu];
	if (c->taken && c->vmsa == frame)
		return SVSM_CORE_IN_USE;
	efer = bar_entry(frame);
	result = page_rights(&k, frame, 1, RMP_ALL);	/* without the VMSA bit */
	plat_write((struct gpa){ addr_of_frame(frame).v + offsetof(struct vmsa, efer) }, &efer, sizeof(efer));
	if (result != SNP_OK)
		return SVSM_PROTOCOL_BASE + result;
	plat_flush();
	page_set(&k, frame, 1, PAGE_GUEST);
	if (c->ready && c->vmsa == frame) {
		page_set(&k, c->caa, 1, PAGE_GUEST);
		c->ready = false;
	}
	*slot = (struct mon_vmsa){ 0 };
	return SVSM_SUCCESS;
}

uint32_t vcpu_remap(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	struct mon_vcpu *c = &m->cpu[cpu];
	uint32_t caa, rax;

	MON_LOCK(k, m);
	rax = named_caa(&k, c, r->rcx, &caa);
	if (rax != SVSM_SUCCESS)
		return rax;
	use_caa(&k, c, caa);
	plat_zero(addr_of_frame(caa), MON_PAGE);
	return SVSM_SUCCESS;
}
