/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map table: who owns each 4 KiB page of the machine, and what each VMPL may do with it. AMD
 * APM volume 2, 15.36 (SEV-SNP); spec sections 2.1 to 2.4. Pure C: no hardware, no locks; the caller
 * serialises, and makes CPUs forget what they have cached after each restriction.
 *
 * Always holds: `validated` is set by rmp_pvalidate() and by launch only; each change by the host
 * (rmp_update) clears it; a page that is not assigned is neither validated nor a VMSA.
 */
#ifndef EMULATOR_RMP_H
#define EMULATOR_RMP_H

#include "base/rc.h"
#include "snp/vmsa.h"

#define RMP_VMPLS 4u
#define RMP_HUGE_PAGES 512u

struct rmp_entry {
	uint32_t gfn;		/* where the guest has it (page number) */
	uint8_t assigned : 1, huge : 1, validated : 1, vmsa : 1, immutable : 1, in_use : 1, pad : 2;
	uint8_t zero;
	uint16_t perms;		/* four bits a VMPL: RMP_R, RMP_W, RMP_XU, RMP_XS */
};
ABI_SIZE(struct rmp_entry, 8);

/* entry[count] belongs to the caller, one per page of the machine; count is a multiple of 512. */
struct rmp {
	struct rmp_entry *entry;
	uint64_t count;
};

/* Codes beyond SNP_OK.. (snp/vmsa.h). */
#define SNP_FAIL_INUSE 3u	/* a VMSA that a CPU runs */

/* What an access or an instruction meets. */
enum rmp_fault {
	RMP_FINE,
	RMP_HOST,		/* #NPF, RMP bit: not assigned, or mapped elsewhere, or (C = 0) assigned */
	RMP_NOT_VALIDATED,	/* #VC with error code 0x404 */
	RMP_VMPL,		/* #NPF, VMPL bit: permission */
	RMP_SIZE,		/* #NPF, SIZEM bit: 4K request on a 2M entry; the host splits and retries */
};

enum rmp_access { RMP_READ, RMP_WRITE, RMP_FETCH_USER, RMP_FETCH_KERNEL };

/* The rights of a VMPL (0..3) on a page: RMP_R.. or 0 where it is not assigned or validated. pfn < count. */
unsigned rmp_rights(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl);
/* An access with C = 1 (private) or C = 0 to gfn, which the host has put at pfn. */
enum rmp_fault rmp_check(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, enum rmp_access access,
			 bool private);
bool rmp_assigned(const struct rmp *r, uint64_t pfn);
/* The page's entry as it counts: inside a 2M entry, that one's. */
const struct rmp_entry *rmp_entry(const struct rmp *r, uint64_t pfn);

/*
 * The host's RMPUPDATE: assign pages to the guest (validated, vmsa clear; VMPL0 all rights, others none), or
 * take them back. RC_BAD_INPUT: out of range or not aligned. RC_DENIED: firmware owns it, a CPU runs
 * this VMSA, or a 4K update inside a 2M entry (rmp_smash first).
 */
enum rc rmp_update(struct rmp *r, uint64_t pfn, uint64_t gfn, bool assign, bool huge);
/* The host's PSMASH: a 2M entry becomes 512 4K entries of the same state. RC_DENIED: it is none. */
enum rc rmp_smash(struct rmp *r, uint64_t pfn);
/* Launch: the firmware assigns and validates in one. */
enum rc rmp_launch(struct rmp *r, uint64_t pfn, uint64_t gfn, bool vmsa);
/* A CPU begins (true) or ends to run this VMSA. */
void rmp_vmsa_use(struct rmp *r, uint64_t pfn, bool in_use);

/*
 * PVALIDATE at VMPL0, CPL 0 (the caller has checked): *code gets EAX, *no_change CF; both only when the
 * result is RMP_FINE.
 */
enum rmp_fault rmp_pvalidate(struct rmp *r, uint64_t pfn, uint64_t gfn, bool huge, bool validate, uint32_t *code,
			     bool *no_change);
/* RMPADJUST by `vmpl` at CPL 0 with RDX = attr: *code gets EAX when the result is RMP_FINE. */
enum rmp_fault rmp_adjust(struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, bool huge, uint64_t attr,
			  uint32_t *code);
/* RMPQUERY: *attr: in [7:0] the VMPL asked about; out that, [15:8] its rights, [16] VMSA; *huge the entry's size. */
enum rmp_fault rmp_query(const struct rmp *r, uint64_t pfn, uint64_t gfn, unsigned vmpl, uint64_t *attr, bool *huge,
			 uint32_t *code);

#endif
