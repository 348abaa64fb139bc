/* SPDX-License-Identifier: Apache-2.0 */
/* The page table of owners. See page.h for the states and who may change them. */
#include "monitor/state.h"
#include "snp/svsm.h"
#include "snp/vmsa.h"

struct mon_locked mon_lock(struct mon *m)
{
	(void)spin_take(&m->lock);
	return (struct mon_locked){ m };
}

void mon_unlock(struct mon_locked *k)
{
	struct mon_spin *s = &k->m->lock;

	spin_drop(&s);
}

enum page_state page_state(const struct mon_locked *k, uint32_t frame)
{
	INVARIANT(frame < MON_FRAMES);
	return k->m->page[frame];
}

bool page_all_in(const struct mon_locked *k, uint32_t frame, uint32_t pages, unsigned states)
{
	uint32_t i;

	INVARIANT(pages <= MON_FRAMES && frame <= MON_FRAMES - pages);
	for (i = 0; i < pages; i++)
		if (!(PAGE_IN(k->m->page[frame + i]) & states))
			return false;
	return true;
}

void page_set(struct mon_locked *k, uint32_t frame, uint32_t pages, enum page_state to)
{
	INVARIANT(pages <= MON_FRAMES && frame <= MON_FRAMES - pages);
	memset(k->m->page + frame, to, pages);
}

uint32_t page_named(const struct mon_locked *k, uint64_t at, unsigned states, uint32_t *frame)
{
	uint32_t f, pages;
	unsigned in;

	if (!addr_aligned(at, MON_PAGE))
		return SVSM_INVALID_PARAMETER;
	if (!addr_span(at, MON_PAGE, &f, &pages))
		return SVSM_INVALID_ADDRESS;
	in = PAGE_IN(page_state(k, f));
	if (!(in & states))
		return in & PAGE_IN_USE ? SVSM_CORE_IN_USE : SVSM_INVALID_ADDRESS;
	*frame = f;
	return SVSM_SUCCESS;
}

/* Does one page of 2 MiB, or so many of 4 KiB, at a time; which one is the RMP entry's size, known to the hardware. */
static unsigned each(uint32_t frame, uint32_t pages, unsigned (*one)(struct gpa, bool, uint64_t), uint64_t arg)
{
	uint32_t i = 0, small = 0;	/* up to here: 4 KiB */
	unsigned r;

	while (i < pages) {
		bool huge = i >= small && (frame + i) % MON_HUGE_PAGES == 0 && pages - i >= MON_HUGE_PAGES;

		r = one(addr_of_frame(frame + i), huge, arg);
		if (r == SNP_FAIL_SIZEMISMATCH && huge) {
			small = i + MON_HUGE_PAGES;
			continue;
		}
		if (r != SNP_OK)
			return r;
		i += huge ? MON_HUGE_PAGES : 1;
	}
	return SNP_OK;
}

static unsigned validate_one(struct gpa at, bool huge, uint64_t validate)
{
	return plat_pvalidate(at, huge, validate);
}

unsigned page_rights(struct mon_locked *k, uint32_t frame, uint32_t pages, unsigned rights)
{
	return each(frame, pages, plat_rmpadjust, RMPADJUST_ATTR(k->m->guest_vmpl, rights));
}

unsigned page_validate(uint32_t frame, uint32_t pages, bool validate)
{
	return each(frame, pages, validate_one, validate);
}

static bool may_touch(const struct mon_locked *k, uint64_t at, size_t len)
{
	uint32_t frame, pages;

	return addr_span(at, len, &frame, &pages) && page_all_in(k, frame, pages, PAGE_READABLE);
}

enum rc page_read(const struct mon_locked *k, uint64_t at, void *to, size_t len)
{
	if (!may_touch(k, at, len))
		return RC_BAD_INPUT;
	plat_read((struct gpa){ at }, to, len);
	return RC_OK;
}

enum rc page_write(const struct mon_locked *k, uint64_t at, const void *from, size_t len)
{
	if (!may_touch(k, at, len))
		return RC_BAD_INPUT;
	plat_write((struct gpa){ at }, from, len);
	return RC_OK;
}
