/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch of SVSM calls, and the core protocol (specification 6.3). What the guest passes is copied once,
 * under the page table's lock, into this CPU's own buffer; then the copy is checked.
 */
#include "monitor/state.h"
#include "snp/svsm.h"
#include "snp/vmsa.h"

static uint32_t pv_malformed(uint64_t entry)
{
	unsigned size = SVSM_PV_SIZE(entry);

	if (size > 1 || (entry & SVSM_PV_ZERO) || (size == 1 && !addr_aligned(SVSM_PV_GPA(entry), MON_PAGE * MON_HUGE_PAGES)))
		return SVSM_INVALID_PARAMETER;
	return SVSM_SUCCESS;
}

/*
 * Validated: our table says that the page was rescinded, so the hardware must say that it was not validated; else
 * (CF) the host has put a validated page behind the address. Zeroed before it is granted, because that page could
 * have been the monitor's. This holds for the ROM range below 1 MiB as well: no firmware lays shadows there.
 */
static uint32_t pv_validate(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	unsigned r = plat_pvalidate(addr_of_frame(frame), pages > 1, true);

	if (r == SNP_FAIL_SIZEMISMATCH)	/* nothing was changed; the guest comes again with small pages */
		return SVSM_CORE_SIZEMISMATCH;
	page_set(k, frame, pages, PAGE_LOST);
	if (r == SNP_OK) {
		plat_zero(addr_of_frame(frame), (size_t)pages * MON_PAGE);
		r = page_rights(k, frame, pages, RMP_ALL);
	}
	if (r == SNP_OK)
		page_set(k, frame, pages, PAGE_GUEST);
	return r == SNP_OK ? SVSM_SUCCESS : SVSM_PROTOCOL_BASE + r;
}

static uint32_t pv_rescind(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	bool huge = pages > 1;
	unsigned r = plat_rmpadjust(addr_of_frame(frame), huge, RMPADJUST_ATTR(k->m->guest_vmpl, 0));

	if (r == SNP_FAIL_SIZEMISMATCH)
		return SVSM_CORE_SIZEMISMATCH;
	page_set(k, frame, pages, PAGE_LOST);
	if (r == SNP_OK)
		r = plat_pvalidate(addr_of_frame(frame), huge, false);
	plat_flush();
	if (r == SNP_OK || r == PLAT_NO_CHANGE)	/* either way it is not validated now */
		page_set(k, frame, pages, PAGE_SHARED);
	return r == SNP_OK ? SVSM_SUCCESS : SVSM_PROTOCOL_BASE + r;
}

static uint32_t pv_entry(struct mon *m, uint64_t entry)
{
	bool validate = entry & SVSM_PV_VALIDATE, lenient = entry & SVSM_PV_IGNORE_CF;
	unsigned now = PAGE_IN(validate ? PAGE_GUEST : PAGE_SHARED), before = PAGE_IN(validate ? PAGE_SHARED : PAGE_GUEST);
	uint32_t frame, pages, rax = pv_malformed(entry);
	uint64_t len = (uint64_t)MON_PAGE * (SVSM_PV_SIZE(entry) ? MON_HUGE_PAGES : 1);

	if (rax != SVSM_SUCCESS)
		return rax;
	if (!addr_span(SVSM_PV_GPA(entry), len, &frame, &pages))
		return SVSM_INVALID_ADDRESS;
	MON_LOCK(k, m);
	if (page_all_in(&k, frame, pages, before))
		return validate ? pv_validate(&k, frame, pages) : pv_rescind(&k, frame, pages);
	/* Never validated twice: what is the guest's already stays untouched, as the instruction would leave it. */
	if (page_all_in(&k, frame, pages, now))
		return lenient ? SVSM_SUCCESS : SVSM_CORE_NO_CHANGE;
	if (page_all_in(&k, frame, pages, now | before))
		return SVSM_CORE_SIZEMISMATCH;
	return page_all_in(&k, frame, pages, now | before | PAGE_IN_USE) ? SVSM_CORE_IN_USE : SVSM_INVALID_ADDRESS;
}

/* The list may lie in a page that the list itself gives away: looked at anew before `next` is written. */
static uint32_t call_pvalidate(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	struct svsm_pvalidate_list *list = (struct svsm_pvalidate_list *)m->cpu[cpu].copy;
	const uint64_t *entry = (const uint64_t *)(list + 1);
	size_t room = MON_PAGE - r->rcx % MON_PAGE;
	uint32_t rax = SVSM_SUCCESS;
	enum rc rc;

	if (!addr_aligned(r->rcx, sizeof(*list)))	/* then there is room for the header in the page */
		return SVSM_INVALID_PARAMETER;
	{
		MON_LOCK(k, m);
		if (page_read(&k, r->rcx, list, room) != RC_OK)
			return SVSM_INVALID_ADDRESS;
	}
	if (list->next >= list->entries || list->entries > (room - sizeof(*list)) / sizeof(*entry))
		return SVSM_INVALID_PARAMETER;
	for (; list->next < list->entries; list->next++) {
		rax = pv_entry(m, entry[list->next]);
		if (rax != SVSM_SUCCESS)
			break;
	}
	MON_LOCK(k, m);
	rc = page_write(&k, r->rcx + offsetof(struct svsm_pvalidate_list, next), &list->next, sizeof(list->next));
	return rc == RC_OK ? rax : SVSM_INVALID_ADDRESS;
}

static uint32_t call_unsupported(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	(void)m;
	(void)cpu;
	(void)r;
	return SVSM_UNSUPPORTED_CALL;
}

static uint32_t call_query(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	(void)m;
	(void)cpu;
	r->rcx = mon_protocol_versions((uint32_t)(r->rcx >> 32), (uint32_t)r->rcx);
	return SVSM_SUCCESS;
}

/* There is no virtual top of memory: query says so, the rest is refused. */
static uint32_t call_vtom(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	(void)m;
	(void)cpu;
	if (!(r->rcx & 1))
		return SVSM_INVALID_REQUEST;
	r->rcx = 0;
	return SVSM_SUCCESS;
}

uint32_t core_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r)
{
	static uint32_t (*const calls[])(struct mon *, unsigned, struct mon_regs *) = {
		[SVSM_REMAP_CA] = vcpu_remap,
		[SVSM_PVALIDATE] = call_pvalidate,
		[SVSM_CREATE_VCPU] = vcpu_create,
		[SVSM_DELETE_VCPU] = vcpu_delete,
		[SVSM_DEPOSIT_MEM] = call_unsupported,
		[SVSM_WITHDRAW_MEM] = call_unsupported,
		[SVSM_QUERY_PROTOCOL] = call_query,
		[SVSM_CONFIGURE_VTOM] = call_vtom,
	};

	if (call >= ARRAY_LEN(calls))
		return SVSM_UNSUPPORTED_CALL;
	return calls[call](m, cpu, r);
}

static const struct {
	uint32_t number, version;	/* all speak one version */
	uint32_t (*call)(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r);
} protocols[] = {
	{ SVSM_PROTO_CORE, SVSM_CORE_VERSION, core_call },
	{ SVSM_PROTO_ATTEST, SVSM_ATTEST_VERSION, attest_call },
	{ CALL_PROTOCOL, CALL_VERSION, kms_call },
};

uint64_t mon_protocol_versions(uint32_t protocol, uint32_t version)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(protocols); i++)
		if (protocols[i].number == protocol && protocols[i].version == version)
			return (uint64_t)protocols[i].version << 32 | protocols[i].version;
	return 0;
}

void mon_call(struct mon *m, unsigned cpu, struct mon_regs *r)
{
	uint32_t rax = SVSM_UNSUPPORTED_PROTOCOL;
	size_t i;

	INVARIANT(cpu < MON_CPUS && m->cpu[cpu].taken);
	for (i = 0; i < ARRAY_LEN(protocols); i++)
		if (protocols[i].number == r->rax >> 32)
			rax = protocols[i].call(m, cpu, (uint32_t)r->rax, r);
	mem_wipe(m->cpu[cpu].copy, MON_PAGE);
	r->rax = rax;
}

/* `ended` first: wiped keys are zeros that the host knows, and no CPU may take them for keys. */
void mon_panic(struct mon *m, enum mon_reason reason)
{
	__atomic_store_n(&m->ended, true, __ATOMIC_SEQ_CST);
	m->have_root = false;
	m->msg.dead = true;
	secret_wipe(&m->root);
	mem_wipe(&m->msg.key, sizeof(m->msg.key));
	mem_wipe(&m->kms.boot, sizeof(m->kms.boot));
	plat_terminate(reason);
}
