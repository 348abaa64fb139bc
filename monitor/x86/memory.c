/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's own page tables, its free pages, and the pages that it shares with the host.
 *
 * All private views carry the C-bit. The direct map leaves the image out, so that nothing is writable that can
 * be executed, and nothing but the image is ever executable at CPL0. The upper half never changes
 * after start, but for entries of the shared window.
 */
#include <string.h>

#include "monitor/x86/x86.h"

extern char image_start[], text_start[], text_end[], rodata_end[], image_end[];

#define TABLE 512
#define IMAGE_TABLES (MON_IMAGE_MAX / HUGE)
#define INDEX(va, level) ((va) >> (12 + 9 * (level)) & 511)

static uint64_t top[TABLE] __attribute__((aligned(4096)));
static uint64_t direct_top[TABLE] __attribute__((aligned(4096)));
static uint64_t direct_huge[DIRECT_GIB][TABLE] __attribute__((aligned(4096)));
static uint64_t direct_hole[IMAGE_TABLES][TABLE] __attribute__((aligned(4096)));
static uint64_t image_top[TABLE] __attribute__((aligned(4096)));
static uint64_t image_mid[TABLE] __attribute__((aligned(4096)));
static uint64_t image_low[IMAGE_TABLES][TABLE] __attribute__((aligned(4096)));
static uint64_t shared_top[TABLE] __attribute__((aligned(4096)));
static uint64_t shared_mid[TABLE] __attribute__((aligned(4096)));
static uint64_t shared_low[TABLE] __attribute__((aligned(4096)));

#define SHARED_PAGES (MON_CPUS + 2 + MON_CERT_LEN / 4096)	/* GHCBs, a guest message both ways, certificates */
#define PEEK 511		/* the entry of shared_low to look at a page of the host through */
static uint8_t shared_pages[SHARED_PAGES][PAGE] __attribute__((aligned(4096)));
static unsigned shared_used;
static uint32_t shared_lock;

static uint32_t free_lock;
static uint64_t free_first;	/* of a list through the pages themselves */
static uint64_t fresh, fresh_end;	/* never handed out */
static uint64_t free_count;

_Static_assert(MON_GPA_END == (uint64_t)DIRECT_GIB << 30, "the direct map covers what the core may ask for");
_Static_assert(SHARED_PAGES < PEEK, "the shared window has one table");

static uint64_t table(const void *t)
{
	return image_gpa(t) | PTE_C | PTE_P | PTE_W;
}

static bool is_shared_page(uint64_t va)
{
	return va >= (uint64_t)shared_pages && va < (uint64_t)shared_pages + sizeof(shared_pages);
}

/* The rights of a page of the image. */
static uint64_t image_rights(uint64_t va)
{
	if (va < (uint64_t)image_start || va >= (uint64_t)image_end || is_shared_page(va))
		return 0;
	if (va >= (uint64_t)text_start && va < (uint64_t)text_end)
		return PTE_P;
	if (va >= (uint64_t)text_end && va < (uint64_t)rodata_end)
		return PTE_P | PTE_NX;
	return PTE_P | PTE_W | PTE_NX;
}

static void map_image(void)
{
	uint64_t va = MON_VA;
	unsigned i;

	for (i = 0; i < IMAGE_TABLES * TABLE; i++, va += PAGE) {
		uint64_t gpa = MON_PHYS + i * PAGE, rights = image_rights(va);
		bool ours = va >= (uint64_t)image_start && va < (uint64_t)image_end;

		image_low[i / TABLE][i % TABLE] = rights ? gpa | PTE_C | rights : 0;
		direct_hole[i / TABLE][i % TABLE] = ours ? 0 : gpa | PTE_C | PTE_P | PTE_W | PTE_NX;
	}
	for (i = 0; i < IMAGE_TABLES; i++)
		image_mid[INDEX(MON_VA, 1) + i] = table(image_low[i]);
	image_top[INDEX(MON_VA, 2)] = table(image_mid);
	top[INDEX(MON_VA, 3)] = table(image_top);
}

static void map_direct(void)
{
	unsigned i;

	for (i = 0; i < DIRECT_GIB * TABLE; i++)
		direct_huge[i / TABLE][i % TABLE] = i * HUGE | PTE_C | PTE_P | PTE_W | PTE_NX | PTE_HUGE;
	for (i = 0; i < IMAGE_TABLES; i++)
		direct_huge[MON_PHYS >> 30][INDEX(MON_PHYS, 1) + i] = table(direct_hole[i]);
	for (i = 0; i < DIRECT_GIB; i++)
		direct_top[i] = table(direct_huge[i]);
	top[INDEX(DIRECT_VA, 3)] = table(direct_top);
}

void memory_map_self(void)
{
	map_image();
	map_direct();
	shared_mid[0] = table(shared_low);
	shared_top[0] = table(shared_mid);
	top[INDEX(SHARED_VA, 3)] = table(shared_top);
	write_cr3(memory_root());
}

uint64_t memory_root(void)
{
	return image_gpa(top) | PTE_C;
}

void memory_share_kernel(uint64_t *to)
{
	memcpy(to + TABLE / 2, top + TABLE / 2, sizeof(top) / 2);
}

void memory_give(uint64_t from, uint64_t to)
{
	fresh = from;
	fresh_end = to;
	free_count = (to - from) / PAGE;
}

uint64_t pages_alloc(unsigned count)
{
	uint64_t gpa = 0;

	spin_lock(&free_lock);
	if (count == 1 && free_first) {
		gpa = free_first;
		free_first = *(uint64_t *)direct(gpa);
		*(uint64_t *)direct(gpa) = 0;
	} else if (count && (fresh_end - fresh) / PAGE >= count) {
		gpa = fresh;
		fresh += count * PAGE;
	}
	if (gpa)
		free_count -= count;
	spin_unlock(&free_lock);
	return gpa;
}

void page_free(uint64_t gpa)
{
	mem_wipe(direct(gpa), PAGE);
	spin_lock(&free_lock);
	*(uint64_t *)direct(gpa) = free_first;
	free_first = gpa;
	free_count++;
	spin_unlock(&free_lock);
}

uint64_t pages_left(void)
{
	return free_count;
}

void pages_break(void)
{
	free_lock = 0;
}

/* A launch page becomes shared: rescinded first, so that nothing reaches it with C = 1 any more. */
static bool share_page(unsigned i)
{
	uint64_t gpa = image_gpa(shared_pages[i]);
	bool same;

	image_low[(gpa - MON_PHYS) / HUGE][INDEX(gpa, 0)] = gpa | PTE_C | PTE_P | PTE_NX | PTE_W;
	if (insn_pvalidate((uint64_t)shared_pages[i], false, false, &same) != SNP_OK || same)
		return false;
	image_low[(gpa - MON_PHYS) / HUGE][INDEX(gpa, 0)] = 0;
	invlpg((uint64_t)shared_pages[i]);
	if (ghcb_page_state(gpa, PAGE, PSC_SHARED) != RC_OK)
		return false;
	shared_low[i] = gpa | PTE_P | PTE_W | PTE_NX;
	memset((void *)(SHARED_VA + i * PAGE), 0, PAGE);
	return true;
}

void *shared_alloc(unsigned count)
{
	void *p = NULL;
	unsigned i;

	spin_lock(&shared_lock);
	if (count <= SHARED_PAGES - shared_used) {
		p = (void *)(SHARED_VA + shared_used * PAGE);
		for (i = 0; i < count; i++)
			if (!share_page(shared_used + i))
				p = NULL;
		shared_used += count;
	}
	spin_unlock(&shared_lock);
	return p;
}

uint64_t shared_gpa(const void *p)
{
	return image_gpa(shared_pages) + ((uint64_t)p - SHARED_VA);
}

void plat_read_shared(struct gpa at, void *to, size_t len)
{
	static uint32_t lock;
	uint8_t *out = to;

	spin_lock(&lock);
	while (len) {
		size_t off = at.v % PAGE, n = len < PAGE - off ? len : PAGE - off;

		shared_low[PEEK] = (at.v - off) | PTE_P | PTE_NX;
		invlpg(SHARED_VA + PEEK * PAGE);
		memcpy(out, (const void *)(SHARED_VA + PEEK * PAGE + off), n);
		at.v += n;
		out += n;
		len -= n;
	}
	shared_low[PEEK] = 0;
	invlpg(SHARED_VA + PEEK * PAGE);
	spin_unlock(&lock);
}
