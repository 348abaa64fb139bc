// SPDX-License-Identifier: GPL-2.0
/*
 * The shared pages: lanes x (request area, response area), allocated once for the life of the
 * module.
 *
 * What always holds:
 * - a page belongs to one mapping at most, until the last part of that mapping is gone;
 * - response pages are never mapped for writing, and no mapping is executable, private or
 *   inherited;
 * - mappings are made of raw frame numbers: nothing can pin a page (direct I/O, ptrace,
 *   io_uring), so that with the last mapping, the last way to a page is gone too;
 * - pages go back to the kernel only after the monitor has given up its rights on them.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "svsm.h"

/*
 * A mapping, in pages of the device. Its parts (munmap of a piece, mprotect) hold a reference
 * each.
 */
struct mapping {
	struct list_head list;
	struct svsm_area *area;
	refcount_t parts;
	unsigned long first;
	unsigned long count;
};

static int add_chunk(struct list_head *chunks, unsigned long want, unsigned int *order)
{
	struct svsm_chunk *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return -ENOMEM;
	*order = min_t(unsigned int, *order, ilog2(want));
	for (;; (*order)--) {
		/*
		 * Large ones if there are any; the small ones that always suffice are worth an
		 * effort.
		 */
		gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;

		c->page = alloc_pages(*order > 4 ? gfp | __GFP_NORETRY : gfp, *order);
		if (c->page || !*order)
			break;
	}
	if (!c->page) {
		kfree(c);
		return -ENOMEM;
	}
	c->order = *order;
	list_add_tail(&c->list, chunks);
	return 0;
}

int svsm_area_alloc(struct svsm_area *a, unsigned long pages)
{
	unsigned int kind, order;
	unsigned long left;
	int err;

	BUILD_BUG_ON(CALL_PAGE != PAGE_SIZE);
	mutex_init(&a->lock);
	INIT_LIST_HEAD(&a->mappings);
	a->pages = pages;
	for (kind = 0; kind < SVSM_KINDS; kind++)
		INIT_LIST_HEAD(&a->chunks[kind]);
	for (kind = 0; kind < SVSM_KINDS; kind++) {
		order = min_t(unsigned int, MAX_PAGE_ORDER, ilog2(VMPL_CHUNK_PAGES));
		for (left = pages; left; left -= 1UL << order) {
			err = add_chunk(&a->chunks[kind], left, &order);
			if (err) {
				svsm_area_free(a);
				return err;
			}
			cond_resched();
		}
	}
	return 0;
}

void svsm_area_free(struct svsm_area *a)
{
	struct svsm_chunk *c, *next;
	unsigned int kind;

	for (kind = 0; kind < SVSM_KINDS; kind++)
		list_for_each_entry_safe(c, next, &a->chunks[kind], list) {
			__free_pages(c->page, c->order);
			kfree(c);
		}
}

/* The monitor takes as many as it can in the time that a call may last, and says how many. */
static int add_entries(u32 protocol, u64 *entries, unsigned int count)
{
	struct svsm_regs out;
	int err;

	while (count) {
		const struct vmpl_block block = { .gpa = virt_to_phys(entries), .count = count };

		err = svsm_call(protocol, VMPL_ADD, &block, &out);
		if (err)
			return err;
		if (!out.rcx || out.rcx > count || (out.rcx < count && out.rdx != VMPL_AGAIN))
			return -EIO;
		entries += out.rcx;
		count -= out.rcx;
		cond_resched();
	}
	return 0;
}

int svsm_area_register(struct svsm_area *a, u32 protocol)
{
	u64 *entries __free(kfree) = kzalloc(PAGE_SIZE, GFP_KERNEL);
	unsigned int kind, count = 0;
	struct svsm_chunk *c;
	int err;

	BUILD_BUG_ON(VMPL_ENTRIES * sizeof(*entries) > PAGE_SIZE);
	if (!entries)
		return -ENOMEM;
	for (kind = 0; kind < SVSM_KINDS; kind++)
		list_for_each_entry(c, &a->chunks[kind], list) {
			if (count == VMPL_ENTRIES) {
				err = add_entries(protocol, entries, count);
				if (err)
					return err;
				count = 0;
			}
			entries[count++] = VMPL_ENTRY(page_to_phys(c->page), 1UL << c->order);
		}
	return add_entries(protocol, entries, count);
}

void svsm_area_clear(struct svsm_area *a)
{
	struct svsm_chunk *c;

	list_for_each_entry(c, &a->chunks[SVSM_REQUESTS], list) {
		memset(page_address(c->page), 0, PAGE_SIZE << c->order);
		cond_resched();
	}
}

static void mapping_open(struct vm_area_struct *vma)
{
	struct mapping *m = vma->vm_private_data;

	refcount_inc(&m->parts);
}

static void mapping_close(struct vm_area_struct *vma)
{
	struct mapping *m = vma->vm_private_data;

	if (!refcount_dec_and_test(&m->parts))
		return;
	scoped_guard(mutex, &m->area->lock)
		list_del(&m->list);
	kfree(m);
}

static const struct vm_operations_struct mapping_ops = {
	.open = mapping_open,
	.close = mapping_close,
};

/* Puts the pages into the list of what is mapped, or refuses: one of them is in use. */
static int claim(struct svsm_area *a, struct mapping *m)
{
	const struct mapping *other;

	guard(mutex)(&a->lock);
	list_for_each_entry(other, &a->mappings, list)
		if (m->first < other->first + other->count && other->first < m->first + m->count)
			return -EBUSY;
	list_add(&m->list, &a->mappings);
	return 0;
}

/* Page tables for pages first.. of a kind, all at once: there are no faults later. */
static int fill(struct vm_area_struct *vma, const struct list_head *chunks, unsigned long first)
{
	unsigned long at = vma->vm_start, n, pfn;
	const struct svsm_chunk *c;
	int err;

	list_for_each_entry(c, chunks, list) {
		n = 1UL << c->order;
		if (first >= n) {
			first -= n;
			continue;
		}
		n = min(n - first, (vma->vm_end - at) >> PAGE_SHIFT);
		pfn = page_to_pfn(c->page) + first;
		err = remap_pfn_range(vma, at, pfn, n << PAGE_SHIFT, vma->vm_page_prot);
		if (err)
			return err;
		first = 0;
		at += n << PAGE_SHIFT;
		if (at == vma->vm_end)
			return 0;
		cond_resched();
	}
	return -EINVAL;
}

int svsm_area_mmap(struct svsm_area *a, struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_pgoff, count = vma_pages(vma);
	enum svsm_kind kind = first < a->pages ? SVSM_REQUESTS : SVSM_RESPONSES;
	unsigned long end = kind == SVSM_REQUESTS ? a->pages : 2 * a->pages;
	struct mapping *m;
	int err;

	if (!(vma->vm_flags & VM_SHARED) || first >= end || count > end - first)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	if (kind == SVSM_RESPONSES && (vma->vm_flags & VM_WRITE))
		return -EACCES;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	m->area = a;
	m->first = first;
	m->count = count;
	refcount_set(&m->parts, 1);
	err = claim(a, m);
	if (err) {
		kfree(m);
		return err;
	}

	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY,
		     kind == SVSM_RESPONSES ? VM_MAYEXEC | VM_MAYWRITE : VM_MAYEXEC);
	vma->vm_ops = &mapping_ops;
	vma->vm_private_data = m;
	err = fill(vma, &a->chunks[kind], kind == SVSM_RESPONSES ? first - a->pages : first);
	if (err) {
		/* The kernel does not call close for what never was a mapping. */
		zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
		vma->vm_ops = NULL;
		scoped_guard(mutex, &a->lock)
			list_del(&m->list);
		kfree(m);
	}
	return err;
}
