/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The call: how the untrusted side (proxy, driver) reaches the service. Plain layouts, shared with the
 * driver; docs/protocol.md describes them.
 *
 * A lane is a pair of memory areas: the request area (written by the proxy, read by the service) and
 * the response area (written by the service, read by the proxy). Each begins with a control page;
 * slots follow. The proxy writes bodies into request slots, one entry each into the submission ring,
 * and then advances `tail`: one crossing carries any number of calls. The service answers entry i of
 * the submission ring in entry i of the completion ring, in order, and advances `done`.
 *
 * The service reads each byte of the request area at most once per call, since the other side may
 * rewrite it at any time; nothing it needs again is kept there.
 */
#ifndef WIRE_CALL_H
#define WIRE_CALL_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/* Custom SVSM protocol number under which the monitor offers these calls (configurable). */
#define CALL_PROTOCOL 0xC0534B4Du
#define CALL_VERSION 1u

#define CALL_PAGE 4096u
#define CALL_RING 128u		/* entries of a ring; a power of two */
#define CALL_SMALL 120u		/* slots 0..119: one page each way */
#define CALL_LARGE 4u		/* slots 120..123 */
#define CALL_SLOTS (CALL_SMALL + CALL_LARGE)
#define CALL_LARGE_LEN (4u << 20)
#define CALL_LANES_MAX 257u	/* one per CPU, and one for control */

#define CALL_AREA_LEN (CALL_PAGE + CALL_SMALL * CALL_PAGE + (size_t)CALL_LARGE * CALL_LARGE_LEN)

struct call_sub {		/* one submitted call: 16 bytes */
	uint16_t call;		/* enum wire_call */
	uint16_t slot;
	uint32_t len;		/* bytes of the request body in the slot */
	uint64_t zero;
};

struct call_cpl {		/* its completion: 16 bytes */
	uint32_t result;	/* enum wire_err */
	uint32_t len;		/* bytes of the answer in the slot */
	uint64_t zero;
};

struct call_req_ctl {		/* first page of the request area */
	uint32_t tail;		/* calls submitted since the start; futex the service sleeps on */
	uint32_t waiting;	/* the proxy sleeps on `done` */
	uint64_t now_ms;	/* wall time, ms since 1970: advice, see service/clock.h */
	uint8_t zero[2032];
	struct call_sub ring[CALL_RING];
};

/*
 * What the service says of itself for an attestation report: only the service can write the page, so a
 * monitor may put it into the manifest that the report is bound to.
 */
struct call_evidence {
	uint8_t owner[32];		/* SHA-256 of the owner's public key; zeros: no owner */
	uint8_t config_hash[32];	/* SHA-256 of the signed configuration in force; zeros: unsigned or none */
	uint64_t config_version;
	uint8_t store_id[16];		/* zeros: no store is open */
	uint64_t zero;
	uint8_t audit_key[32];		/* public: Ed25519, signs checkpoints of the audit chain; zeros without a store */
	uint8_t upload_key[32];		/* public: X25519, for secrets that are meant for this core alone */
};
#define CALL_EVIDENCE_LEN 160u
_Static_assert(sizeof(struct call_evidence) == CALL_EVIDENCE_LEN, "evidence");

struct call_rsp_ctl {		/* first page of the response area */
	uint32_t done;		/* calls answered since the start; futex the proxy sleeps on */
	uint32_t sleeping;	/* the service sleeps on `tail`; only the service writes this */
	struct call_evidence evidence;	/* in the control lane's page; after each crossing of it */
	uint8_t zero[2040 - CALL_EVIDENCE_LEN];
	struct call_cpl ring[CALL_RING];
};

_Static_assert(sizeof(struct call_sub) == 16 && sizeof(struct call_cpl) == 16, "ring entries");
_Static_assert(sizeof(struct call_req_ctl) == CALL_PAGE && sizeof(struct call_rsp_ctl) == CALL_PAGE, "control pages");

/* Where a slot begins in either area, and how long it is. slot < CALL_SLOTS. */
static inline size_t call_slot_off(unsigned slot)
{
	if (slot < CALL_SMALL)
		return CALL_PAGE + (size_t)slot * CALL_PAGE;
	return CALL_PAGE + (size_t)CALL_SMALL * CALL_PAGE + (size_t)(slot - CALL_SMALL) * CALL_LARGE_LEN;
}

static inline size_t call_slot_len(unsigned slot)
{
	return slot < CALL_SMALL ? CALL_PAGE : CALL_LARGE_LEN;
}

#endif
