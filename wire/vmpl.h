/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The key-management protocol between the driver and the monitor: SVSM calls under CALL_PROTOCOL
 * (wire/call.h). The driver reaches the monitor through the kernel's own SVSM call path, so RCX is the
 * address of a block of VMPL_BLOCK_LEN bytes in the calling area, RDX and R8 are all ones, R9 is zero.
 * The monitor copies the block once and checks the copy.
 *
 * Life: HELLO, OPEN, ADD (until all pages are known), START (until it says VMPL_DONE), CALL.., CLOSE.
 * The pages stay registered until CLOSE; RESET loads the service anew into the same pages (then START
 * again). No call lasts: what is long is cut, and says VMPL_AGAIN in RDX with RAX = 0.
 */
#ifndef WIRE_VMPL_H
#define WIRE_VMPL_H

#include "wire/call.h"

enum vmpl_call {
	VMPL_HELLO = 0,		/* out: RCX = VMPL_MAGIC, RDX = version << 32 | most lanes, R8 = CALL_AREA_LEN, R9 = isolation */
	VMPL_OPEN = 1,		/* block.lanes */
	VMPL_ADD = 2,		/* block.gpa: block.count entries (1..512, in one page); out: RCX, see VMPL_ENTRY */
	VMPL_START = 3,		/* out: RDX = VMPL_AGAIN or VMPL_DONE */
	VMPL_CLOSE = 4,		/* out: RDX = VMPL_AGAIN or VMPL_DONE */
	VMPL_CALL = 5,		/* block.lane; out: RDX = VMPL_DONE, or VMPL_AGAIN: there is more to do in it, call again */
	VMPL_RESET = 6,		/* out: RDX = VMPL_AGAIN or VMPL_DONE; the service is gone after it, START it again */
	VMPL_STATUS = 7,	/* out: RCX = enum vmpl_state, RDX = starts of the service so far, R8 = lanes */
	VMPL_CALLS
};

#define VMPL_MAGIC 0x31534d4b4d535653ull	/* "SVSMKMS1" */
#define VMPL_VERSION 1u
#define VMPL_DONE 0u
#define VMPL_AGAIN 1u

struct vmpl_block {
	uint64_t magic;		/* VMPL_MAGIC */
	uint32_t version;	/* VMPL_VERSION */
	uint32_t lane;
	uint32_t lanes;
	uint32_t count;
	uint64_t gpa;
	uint64_t zero[7];	/* must be zero */
};
#define VMPL_BLOCK_LEN 88u
_Static_assert(sizeof(struct vmpl_block) == VMPL_BLOCK_LEN, "the calling area's block");

/*
 * An entry of VMPL_ADD's list: [51:12] first frame, [11:0] number of 4 KiB pages (1..1024). In order: the
 * request areas of all lanes, then the response areas. An entry may not straddle the two kinds. RCX says how many
 * entries were taken, whatever the result; RDX = VMPL_AGAIN with RAX = 0: add the rest by another call.
 */
#define VMPL_ENTRY(gpa, pages) ((gpa) | (pages))
#define VMPL_ENTRY_GPA(e) ((e) & 0x000ffffffffff000ull)
#define VMPL_ENTRY_PAGES(e) ((uint32_t)((e) & 0xfff))
#define VMPL_ENTRIES 512u
#define VMPL_CHUNK_PAGES 1024u

/* Results in RAX, beside the SVSM's own (snp/svsm.h). */
#define VMPL_ERR_STATE 0x80001001u	/* not in this order */
#define VMPL_ERR_OWNER 0x80001002u	/* a page that is not the guest's to give, or is given already */
#define VMPL_ERR_LANE 0x80001003u	/* no such lane */
#define VMPL_ERR_LANE_BUSY 0x80001004u	/* another vCPU is in this lane: the caller's mistake, do not repeat */
#define VMPL_ERR_DEAD 0x80001005u	/* the service has died: RESET, then START */
#define VMPL_ERR_LIMIT 0x80001006u	/* more lanes or pages than the monitor has room for */

enum vmpl_state {
	VMPL_STATE_CLOSED = 0,
	VMPL_STATE_FILLING = 1,		/* OPEN done, pages missing */
	VMPL_STATE_STOPPED = 2,		/* pages known, service not loaded */
	VMPL_STATE_STARTING = 3,
	VMPL_STATE_RUNNING = 4,
	VMPL_STATE_DEAD = 5,
};

#endif
