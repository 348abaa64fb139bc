/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map table; see rmp.h. A 2M entry is its first page's entry with `huge` set; the other 511 hold
 * nothing of meaning until it is smashed.
 */
#include <string.h>

#include "emulator/rmp.h"

#define VMPL0_ALL 0x000fu
#define HUGE_MASK ((uint64_t)RMP_HUGE_PAGES - 1)

static struct rmp_entry *entry_of(const struct rmp *r, uint64_t pfn)
{
	struct rmp_entry *base = &r->entry[pfn & ~HUGE_MASK];

	return base->huge ? base : &r->entry[pfn];
}

const struct rmp_entry *rmp_entry(const struct rmp *r, uint64_t pfn)
{
	return entry_of(r, pfn);
}

bool rmp_assigned(const struct rmp *r, uint64_t pfn)
{
	return entry_of(r, pfn)->assigned;
}

/* Assigned, and mapped where the guest looks for it. */
static bool is_mine(const struct rmp_entry *e, uint64_t pfn, uint64_t gfn)
{
	uint64_t inside = e->huge ? pfn & HUGE_MASK : 0;

	return e->assigned && !e->immutable && e->gfn + inside == gfn;
}

static unsigned perms_of(const struct rmp_entry *e, unsigned vmpl)
{
	return e->perms >> 4 * vmpl & RMP_ALL;
}

unsigned rmp_rights(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl)
{
	const struct rmp_entry *e = entry_of(r, pfn);

	return is_mine(e, pfn, gfn) && e->validated ? perms_of(e, vmpl) : 0;
}

enum rmp_fault rmp_check(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, enum rmp_access access,
			 bool private)
{
	static const unsigned need[] = {
		[RMP_READ] = RMP_R, [RMP_WRITE] = RMP_W, [RMP_FETCH_USER] = RMP_XU, [RMP_FETCH_KERNEL] = RMP_XS,
	};
	const struct rmp_entry *e = entry_of(r, pfn);

	if (!private)
		return e->assigned ? RMP_HOST : RMP_FINE;
	if (!is_mine(e, pfn, gfn))
		return RMP_HOST;
	if (!e->validated)
		return RMP_NOT_VALIDATED;
	return perms_of(e, vmpl) & need[access] ? RMP_FINE : RMP_VMPL;
}

static bool in_range(const struct rmp *r, uint64_t pfn, bool huge)
{
	if (huge)
		return !(pfn & HUGE_MASK) && pfn < r->count;
	return pfn < r->count;
}

/* May the host touch this page's entry? */
static bool host_may(const struct rmp_entry *e)
{
	return !e->immutable && !e->in_use;
}

enum rc rmp_update(struct rmp *r, uint64_t pfn, uint64_t gfn, bool assign, bool huge)
{
	struct rmp_entry *e;
	uint64_t i;

	if (!in_range(r, pfn, huge) || gfn > UINT32_MAX || (huge && (gfn & HUGE_MASK)))
		return RC_BAD_INPUT;
	e = entry_of(r, pfn);
	if (!huge && e->huge)
		return RC_DENIED;
	for (i = 0; i < (huge && !e->huge ? RMP_HUGE_PAGES : 1); i++)
		if (!host_may(&e[i]))
			return RC_DENIED;
	memset(e, 0, (huge ? RMP_HUGE_PAGES : 1) * sizeof(*e));
	if (assign)
		*e = (struct rmp_entry){ .gfn = (uint32_t)gfn, .assigned = 1, .huge = huge, .perms = VMPL0_ALL };
	return RC_OK;
}

enum rc rmp_smash(struct rmp *r, uint64_t pfn)
{
	struct rmp_entry *base, whole;
	uint64_t i;

	if (!in_range(r, pfn, false))
		return RC_BAD_INPUT;
	base = &r->entry[pfn & ~HUGE_MASK];
	if (!base->huge || !host_may(base))
		return RC_DENIED;
	whole = *base;
	whole.huge = 0;
	for (i = 0; i < RMP_HUGE_PAGES; i++) {
		base[i] = whole;
		base[i].gfn += (uint32_t)i;
	}
	return RC_OK;
}

enum rc rmp_launch(struct rmp *r, uint64_t pfn, uint64_t gfn, bool vmsa)
{
	enum rc rc;

	if (in_range(r, pfn, false) && rmp_assigned(r, pfn))
		return RC_DENIED;
	rc = rmp_update(r, pfn, gfn, true, false);
	if (rc == RC_OK) {
		r->entry[pfn].validated = 1;
		r->entry[pfn].vmsa = vmsa;
	}
	return rc;
}

void rmp_vmsa_use(struct rmp *r, uint64_t pfn, bool in_use)
{
	entry_of(r, pfn)->in_use = in_use;
}

/* The checks that PVALIDATE and RMPADJUST share: address, ownership, size. RMP_FINE with *code != 0: refused. */
static enum rmp_fault target(const struct rmp *r, uint64_t pfn, uint64_t gfn, bool huge, uint32_t *code)
{
	const struct rmp_entry *e = entry_of(r, pfn);

	*code = SNP_OK;
	if (huge && ((pfn | gfn) & HUGE_MASK)) {
		*code = SNP_FAIL_INPUT;
		return RMP_FINE;
	}
	if (!is_mine(e, pfn, gfn))
		return RMP_HOST;
	if (huge && !e->huge)
		*code = SNP_FAIL_SIZEMISMATCH;
	if (!huge && e->huge)
		return RMP_SIZE;
	return RMP_FINE;
}

enum rmp_fault rmp_pvalidate(struct rmp *r, uint64_t pfn, uint64_t gfn, bool huge, bool validate, uint32_t *code,
			     bool *no_change)
{
	struct rmp_entry *e = entry_of(r, pfn);
	enum rmp_fault f = target(r, pfn, gfn, huge, code);

	*no_change = false;
	if (f != RMP_FINE || *code != SNP_OK)
		return f;
	if (e->in_use) {
		*code = SNP_FAIL_INUSE;
		return RMP_FINE;
	}
	*no_change = e->validated == validate;
	e->validated = validate;
	if (!validate)
		e->vmsa = 0;
	return RMP_FINE;
}

enum rmp_fault rmp_adjust(struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, bool huge, uint64_t attr,
			  uint32_t *code)
{
	struct rmp_entry *e = entry_of(r, pfn);
	unsigned to = attr & 0xff, perms = attr >> 8 & 0xff;
	bool vmsa = attr & RMPADJUST_VMSA;
	enum rmp_fault f;

	if (to >= RMP_VMPLS || (perms & ~RMP_ALL) || attr >> 17) {
		*code = SNP_FAIL_INPUT;
		return RMP_FINE;
	}
	if (to <= vmpl) {
		*code = SNP_FAIL_PERMISSION;
		return RMP_FINE;
	}
	f = target(r, pfn, gfn, huge, code);
	if (f != RMP_FINE || *code != SNP_OK)
		return f;
	if (!e->validated)
		return RMP_NOT_VALIDATED;
	if ((perms & ~perms_of(e, vmpl)) || (vmsa != e->vmsa && vmpl)) {
		*code = SNP_FAIL_PERMISSION;
		return RMP_FINE;
	}
	if (e->in_use) {
		*code = SNP_FAIL_INUSE;
		return RMP_FINE;
	}
	if (vmsa && huge) {
		*code = SNP_FAIL_INPUT;
		return RMP_FINE;
	}
	e->perms = (uint16_t)((e->perms & ~(RMP_ALL << 4 * to)) | perms << 4 * to);
	e->vmsa = vmsa;
	return RMP_FINE;
}

enum rmp_fault rmp_query(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, uint64_t *attr, bool *huge,
			 uint32_t *code)
{
	const struct rmp_entry *e = entry_of(r, pfn);
	unsigned to = *attr & 0xff;

	*code = SNP_OK;
	if (to >= RMP_VMPLS) {
		*code = SNP_FAIL_INPUT;
		return RMP_FINE;
	}
	if (to <= vmpl) {
		*code = SNP_FAIL_PERMISSION;
		return RMP_FINE;
	}
	if (!is_mine(e, pfn, gfn))
		return RMP_HOST;
	if (!e->validated)
		return RMP_NOT_VALIDATED;
	*attr = to | perms_of(e, to) << 8 | (e->vmsa ? RMPADJUST_VMSA : 0);
	*huge = e->huge;
	return RMP_FINE;
}
