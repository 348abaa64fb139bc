/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which page: one byte for each 4 KiB of guest-physical memory, changed under the lock only.
 *
 *   NONE     not memory that the monitor took into use         LAUNCH   loaded at launch, not yet the guest's
 *   MONITOR  the monitor's, its programs' and its VMSAs        GUEST    validated, all rights granted to the guest's level
 *   SHARED   rescinded by the guest: the host's                VMSA     a vCPU of the guest, which may read it only
 *   CA       a calling area: the guest's, but it cannot be given away while in use
 *   LANE_REQ request area of the service: the guest's, likewise
 *   LANE_RSP response area: the guest may only read
 *   LOST     a change failed half way, or the host played tricks: nobody uses it again
 */
#ifndef MONITOR_PAGE_H
#define MONITOR_PAGE_H

#include "monitor/addr.h"

enum page_state {
	PAGE_NONE,
	PAGE_MONITOR,
	PAGE_LAUNCH,
	PAGE_GUEST,
	PAGE_SHARED,
	PAGE_VMSA,
	PAGE_CA,
	PAGE_LANE_REQ,
	PAGE_LANE_RSP,
	PAGE_LOST,
	PAGE_STATES
};
#define PAGE_IN(state) (1u << (state))
#define PAGE_READABLE (PAGE_IN(PAGE_GUEST) | PAGE_IN(PAGE_CA))	/* where the guest may put what it asks, and get answers */
#define PAGE_IN_USE (PAGE_IN(PAGE_VMSA) | PAGE_IN(PAGE_CA) | PAGE_IN(PAGE_LANE_REQ) | PAGE_IN(PAGE_LANE_RSP))

struct mon;
/* Proof that the page table's lock is held. */
struct mon_locked {
	struct mon *m;
};
struct mon_locked mon_lock(struct mon *m);
void mon_unlock(struct mon_locked *k);
#define MON_LOCK(name, mon) __attribute__((cleanup(mon_unlock), unused)) struct mon_locked name = mon_lock(mon)

enum page_state page_state(const struct mon_locked *k, uint32_t frame);
/* Are all of these pages in one of the states (PAGE_IN(..) | ..)? */
MUST_CHECK bool page_all_in(const struct mon_locked *k, uint32_t frame, uint32_t pages, unsigned states);
void page_set(struct mon_locked *k, uint32_t frame, uint32_t pages, enum page_state to);

/*
 * One page that a guest names: aligned, and in one of `states`. Otherwise SVSM_INVALID_PARAMETER (not aligned),
 * SVSM_CORE_IN_USE (the guest's, but in use for something), SVSM_INVALID_ADDRESS (all else).
 */
MUST_CHECK uint32_t page_named(const struct mon_locked *k, uint64_t at, unsigned states, uint32_t *frame);

/* The guest's level gets these rights (RMP_*), others keep none. 2 MiB at once where possible. SNP_*. */
MUST_CHECK unsigned page_rights(struct mon_locked *k, uint32_t frame, uint32_t pages, unsigned rights);
/* PVALIDATE of any number of pages, likewise. Stops at the first failure. */
MUST_CHECK unsigned page_validate(uint32_t frame, uint32_t pages, bool validate);

/* Guest memory, readable and not the host's, for one call: RC_BAD_INPUT when any byte is in another state. */
enum rc page_read(const struct mon_locked *k, uint64_t at, void *to, size_t len);
enum rc page_write(const struct mon_locked *k, uint64_t at, const void *from, size_t len);

#endif
