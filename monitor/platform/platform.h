/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform service: the cryptography that the monitor itself needs, in a program of its own at CPL3, so
 * that CPL0 holds no cipher. It reads one request from fd 0, writes one answer to fd 1, for ever; blocking in
 * the read is being idle. Requests and answers are always whole structs.
 *
 * Its only caller is the monitor, which it trusts; what is inside a message that it opens came through the host.
 * It keeps no key from one request to the next and wipes what it was given.
 */
#ifndef MONITOR_PLATFORM_PLATFORM_H
#define MONITOR_PLATFORM_PLATFORM_H

#include "base/base.h"

enum platform_op {
	/*
	 * Seals a guest message (snp/guestmsg.h, 56860): data is the page with its header complete but for the tag
	 * and the payload in the clear; the answer's data is the page as it goes to the secure processor. The nonce
	 * is the header's sequence number: never seal two messages with one number under one key.
	 */
	PLATFORM_SEAL = 1,
	/*
	 * Opens one: data is the page as it came. PLATFORM_DENIED: the tag does not fit. The header in the answer is
	 * authentic then (but for `seqno`, which is so by having been the nonce), and still to be judged: type, number, VMPCK.
	 */
	PLATFORM_OPEN = 2,
	/*
	 * Hashes data[0..len). With PLATFORM_FIRST a new hash begins, with PLATFORM_LAST it ends: the answer's data starts
	 * with 48 or 64 bytes. Both at once for what fits into one request.
	 */
	PLATFORM_SHA384 = 3,
	PLATFORM_SHA512 = 4,
};

#define PLATFORM_FIRST (1u << 0)
#define PLATFORM_LAST (1u << 1)

#define PLATFORM_PAGE 4096u
#define PLATFORM_DATA_MAX 16384u

struct platform_req {
	uint32_t op;		/* enum platform_op */
	uint32_t flags;		/* hashes only */
	uint32_t len;		/* of data: PLATFORM_PAGE for messages, at most PLATFORM_DATA_MAX for hashes */
	uint32_t zero0;
	uint8_t key[32];	/* messages only: the VMPCK */
	uint8_t zero1[16];
	uint8_t data[PLATFORM_DATA_MAX];	/* behind len: not looked at */
};
ABI_SIZE(struct platform_req, 64 + PLATFORM_DATA_MAX);
ABI_AT(struct platform_req, key, 16);
ABI_AT(struct platform_req, data, 64);

enum platform_status {
	PLATFORM_OK = 0,
	PLATFORM_BAD = 1,	/* malformed request, or malformed header of a message */
	PLATFORM_DENIED = 2,	/* the tag does not fit */
	PLATFORM_FAILED = 3,	/* libcrypto failed */
};

struct platform_rsp {
	uint32_t status;	/* enum platform_status; if it is not PLATFORM_OK, data is zeros */
	uint32_t op;		/* of the request */
	uint8_t zero[8];
	uint8_t data[PLATFORM_PAGE];
};
ABI_SIZE(struct platform_rsp, 16 + PLATFORM_PAGE);
ABI_AT(struct platform_rsp, data, 16);

#endif
