/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking memory into use at start. The launch information is measured and thereby trusted; the memory map is the
 * host's word: it may leave memory out or invent some (then PVALIDATE or the first access fails), but what
 * contradicts itself is refused before anything is touched.
 *
 * Each page is validated exactly once: launch pages by the firmware, all others here. CF ("was validated already")
 * is an attack. Pages are zeroed before the guest may see them: the host may have put memory of the monitor's there.
 */
#include "monitor/state.h"
#include "snp/vmsa.h"

static bool range_frames(const struct launch_range *r, uint32_t *frame, uint32_t *pages)
{
	return addr_aligned(r->gpa, MON_PAGE) && addr_span(r->gpa, r->len, frame, pages);
}

static bool in_monitor(const struct launch_range *r, uint64_t end)
{
	uint32_t frame, pages;

	return range_frames(r, &frame, &pages) && r->gpa >= LAUNCH_MON_BASE && r->gpa + r->len <= end;
}

/* Kernel or initramfs: in the guest's memory, apart from all else. */
static bool mark_launch(struct mon_locked *k, const struct launch_range *r)
{
	uint32_t frame, pages;

	if (r->len == 0)
		return r->gpa == 0;
	if (!range_frames(r, &frame, &pages) || !page_all_in(k, frame, pages, PAGE_IN(PAGE_NONE)))
		return false;
	page_set(k, frame, pages, PAGE_LAUNCH);
	return true;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && *p == 0) {
		p++;
		len--;
	}
	return len == 0;
}

enum rc mon_init(struct mon *m, const struct mon_options *o)
{
	const struct launch_info *i = o->info;
	const struct launch_range *own[] = { &i->monitor, &i->service, &i->platform, &i->setup, &i->cmdline };
	size_t n;

	if (i->magic != LAUNCH_MAGIC || i->version != LAUNCH_VERSION || i->guest_vmpl < 1 || i->guest_vmpl > 3 ||
	    !all_zero(i->zero, sizeof(i->zero)) || i->memory_end < LAUNCH_MON_BASE ||
	    i->memory_end > LAUNCH_MON_BASE + LAUNCH_MON_LEN || !addr_aligned(i->memory_end, MON_PAGE))
		return RC_BAD_INPUT;
	for (n = 0; n < ARRAY_LEN(own); n++)
		if (own[n]->len != 0 && !in_monitor(own[n], i->memory_end))
			return RC_BAD_INPUT;
	m->info = i;
	m->guest_vmpl = (uint8_t)i->guest_vmpl;
	m->isolation = o->isolation;
	m->guest_features = o->guest_features;
	memcpy(m->msg.key.b, o->secrets->vmpck[0], sizeof(m->msg.key.b));
	m->msg.seq = o->secrets->msg_seqno[0];

	MON_LOCK(k, m);
	page_set(&k, (uint32_t)(LAUNCH_MON_BASE / MON_PAGE), (uint32_t)(LAUNCH_MON_LEN / MON_PAGE), PAGE_MONITOR);
	return mark_launch(&k, &i->kernel) && mark_launch(&k, &i->initrd) ? RC_OK : RC_BAD_INPUT;
}

/* Makes pages that nobody has used private, ours, and zero. */
static enum rc claim(uint32_t frame, uint32_t pages)
{
	enum rc rc = plat_page_state(addr_of_frame(frame), pages, true);

	if (rc != RC_OK)
		return rc;
	if (page_validate(frame, pages, true) != SNP_OK)	/* CF too */
		return RC_MACHINE;
	plat_zero(addr_of_frame(frame), (size_t)pages * MON_PAGE);
	return RC_OK;
}

static enum rc grant(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	if (page_rights(k, frame, pages, RMP_ALL) != SNP_OK)
		return RC_MACHINE;
	page_set(k, frame, pages, PAGE_GUEST);
	return RC_OK;
}

/* The part of an entry that the table covers. False: none. */
static bool map_entry(const struct igvm_memory_map_entry *e, uint32_t *frame, uint32_t *pages)
{
	if (e->first_page >= MON_FRAMES)
		return false;
	*frame = (uint32_t)e->first_page;
	*pages = (uint32_t)(e->pages < MON_FRAMES - *frame ? e->pages : MON_FRAMES - *frame);
	return true;
}

/* Ascending, without overlap or wrap; reserved ranges apart from what was launched. Counts the entries. */
static enum rc check_map(struct mon_locked *k, const struct igvm_memory_map_entry *map, size_t max, size_t *count)
{
	uint64_t end = 0;
	uint32_t frame, pages;
	size_t i;

	if (max > LAUNCH_PARAM_MAP_MAX)
		return RC_BAD_INPUT;
	for (i = 0; i < max && map[i].pages; i++) {
		if (map[i].first_page < end || __builtin_add_overflow(map[i].first_page, map[i].pages, &end) ||
		    end > 1ull << 52)
			return RC_BAD_INPUT;
		if (map[i].type == IGVM_MEM_RESERVED && map_entry(&map[i], &frame, &pages) &&
		    !page_all_in(k, frame, pages, PAGE_IN(PAGE_NONE)))
			return RC_BAD_INPUT;
	}
	*count = i;
	return RC_OK;
}

static void note_ram(struct mon *m, uint32_t frame, uint32_t pages, bool acpi)
{
	struct mon_ram *last = m->rams ? &m->ram[m->rams - 1] : NULL;

	if (last && last->acpi == acpi && addr_frame(last->first) + last->pages == frame) {
		last->pages += pages;
		return;
	}
	INVARIANT(m->rams < MON_RAM_MAX);	/* an entry each, and one more for the monitor's range */
	m->ram[m->rams++] = (struct mon_ram){ addr_of_frame(frame), pages, acpi };
}

/* How many pages from `frame` are in the same state. */
static uint32_t run_of(const struct mon_locked *k, uint32_t frame, uint32_t most)
{
	uint32_t n = 1;

	while (n < most && k->m->page[frame + n] == k->m->page[frame])
		n++;
	return n;
}

static enum rc take_ram(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	uint32_t n;
	enum rc rc;

	for (; pages; frame += n, pages -= n) {
		n = run_of(k, frame, pages);
		if (page_state(k, frame) == PAGE_MONITOR)
			continue;
		rc = page_state(k, frame) == PAGE_NONE ? claim(frame, n) : RC_OK;
		if (rc == RC_OK)
			rc = grant(k, frame, n);
		if (rc != RC_OK)
			return rc;
		note_ram(k->m, frame, n, false);
	}
	return RC_OK;
}

/* The host's ACPI tables, if that is what the range holds: from now on nobody can change them under the guest. */
static enum rc take_acpi(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	static const char rsdp[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };
	uint8_t *copy = k->m->msg.rsp;	/* not in use yet */
	uint32_t i;
	enum rc rc;

	plat_read_shared(addr_of_frame(frame), copy, sizeof(rsdp));
	if (memcmp(copy, rsdp, sizeof(rsdp)) != 0 || k->m->rsdp)
		return RC_OK;
	for (i = frame; i < frame + pages; i++) {
		plat_read_shared(addr_of_frame(i), copy, MON_PAGE);
		rc = claim(i, 1);
		if (rc != RC_OK)
			return rc;
		plat_write(addr_of_frame(i), copy, MON_PAGE);
	}
	k->m->rsdp = addr_of_frame(frame).v;
	note_ram(k->m, frame, pages, true);
	return grant(k, frame, pages);
}

/* Did the host leave out memory that the guest was loaded into? */
static bool in_ram(const struct mon_locked *k, const struct launch_range *r)
{
	uint32_t frame, pages;

	return r->len == 0 || (range_frames(r, &frame, &pages) && page_all_in(k, frame, pages, PAGE_IN(PAGE_GUEST)));
}

enum rc mon_memory(struct mon *m, const struct igvm_memory_map_entry *map, size_t count)
{
	uint64_t end = LAUNCH_MON_BASE + LAUNCH_MON_LEN;
	uint32_t frame, pages;
	size_t i, entries;
	enum rc rc;

	MON_LOCK(k, m);
	rc = check_map(&k, map, count, &entries);
	if (rc == RC_OK && addr_span(m->info->memory_end, end - m->info->memory_end, &frame, &pages))
		rc = claim(frame, pages);
	for (i = 0; rc == RC_OK && i < entries; i++) {
		if (!map_entry(&map[i], &frame, &pages))
			continue;
		if (map[i].type == IGVM_MEM_RAM)
			rc = take_ram(&k, frame, pages);
		else if (map[i].type == IGVM_MEM_RESERVED)
			rc = take_acpi(&k, frame, pages);
	}
	if (rc == RC_OK && !(in_ram(&k, &m->info->kernel) && in_ram(&k, &m->info->initrd)))
		rc = RC_BAD_INPUT;
	plat_flush();
	return rc;
}

size_t mon_ram(const struct mon *m, struct mon_ram *out, size_t max)
{
	size_t n = m->rams < max ? m->rams : max;

	memcpy(out, m->ram, n * sizeof(*out));
	return n;
}

uint64_t mon_rsdp(const struct mon *m)
{
	return m->rsdp;
}
