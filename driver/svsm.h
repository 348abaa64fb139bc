/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/svsm: the driver's parts to each other.
 *
 * The driver moves pages and copies registers; it decides nothing about keys and sees none, for
 * what secrets there are in the pages is between the proxy and the service at VMPL0. It trusts
 * the kernel it runs in, and nothing that comes from user space or from the monitor's answers.
 */
#ifndef SVSM_H
#define SVSM_H

#include <linux/cache.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>

#include "wire/uapi.h"
#include "wire/vmpl.h"

struct vm_area_struct;

enum svsm_kind {
	SVSM_REQUESTS,	/* written by user space, read by the service */
	SVSM_RESPONSES,	/* written by the service only: a write from here would fault for ever */
	SVSM_KINDS
};

struct svsm_chunk {		/* contiguous pages, given to the monitor as one entry */
	struct list_head list;
	struct page *page;
	unsigned int order;
};

struct svsm_area {
	struct list_head chunks[SVSM_KINDS];	/* in the order of the areas */
	unsigned long pages;			/* of either kind */
	struct mutex lock;			/* protects the list of mappings */
	struct list_head mappings;
};

struct svsm_lane {
	unsigned long busy;	/* bit 0: a call is under way */
	u64 crossings;		/* written by the call that holds the bit */
} ____cacheline_aligned_in_smp;

enum svsm_state {
	SVSM_CLOSED,	/* the monitor knows nothing of us */
	SVSM_STOPPED,	/* it knows the pages; there is no service */
	SVSM_BROKEN,	/* a start or a stop has failed half-way: stop before anything else */
	SVSM_FRESH,	/* a service that nobody has talked to */
	SVSM_USED,
};

struct svsm {
	u32 protocol;
	u32 lanes;
	u32 isolation;
	u32 generation;
	enum svsm_state state;
	/* Read: calls. Write: whatever stops or starts the service. */
	struct rw_semaphore life;
	unsigned long opened;	/* bit 0 */
	struct svsm_area area;
	struct svsm_lane *lane;
};

/* call.c: the way to the monitor. */

/* Is this kernel an SNP guest below VMPL0? 0 or -ENODEV. */
int svsm_call_possible(void);
/*
 * One call. `block` is copied; magic and version are filled in. `out` gets the registers of the
 * answer whatever it is. 0, or the error that the answer stands for (wire/uapi.h); -EIO also if
 * the call did not come through. Any context; interrupts are off while it lasts.
 */
int svsm_call(u32 protocol, u32 call, const struct vmpl_block *block, struct svsm_regs *out);
/*
 * Repeats a call that is done in slices, sleeping between them. -EINTR: a fatal signal, if
 * killable (what gives something back must not be cut short); -ETIMEDOUT.
 */
int svsm_call_all(u32 protocol, u32 call, bool killable);

/* area.c: the shared pages. */

int svsm_area_alloc(struct svsm_area *a, unsigned long pages);
void svsm_area_free(struct svsm_area *a);
/* Tells the monitor all pages. */
int svsm_area_register(struct svsm_area *a, u32 protocol);
/* Zeroes the request areas, which nobody may have mapped. */
void svsm_area_clear(struct svsm_area *a);
int svsm_area_mmap(struct svsm_area *a, struct vm_area_struct *vma);

#endif
