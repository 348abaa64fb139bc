/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation reports for clients: a queue in front of configfs-tsm. The hardware gives one report at a time
 * and a host may make it wait a minute, so a thread of its own asks, started with the first question, and
 * few may wait. Anybody may ask: a report is no secret, and who could not ask could not trust the server.
 *
 * Nothing here is trusted: what a report is worth, the asker's verifier says.
 */
#ifndef PROXY_ATTEST_H
#define PROXY_ATTEST_H

#include "channel/tsm.h"

#define ATTEST_WAITING_MAX 16	/* questions waiting behind the one being asked */

struct attest;

/* A question: the asker's memory until done() is called, once, in the queue's thread or in attest_stop(). */
struct attest_job {
	struct attest_job *next;	/* the queue's */
	uint8_t in[TSM_INBLOB];
	void (*done)(struct attest_job *j);
	enum rc rc;			/* RC_OK: *answer holds the report; else why says what is wrong */
	char why[256];
	struct tsm_answer *answer;	/* malloc; the asker's from done() on */
};

/* Copies t and its directory's name; the operations and their context must outlive it. NULL: no memory. */
struct attest *attest_new(const struct tsm *t);

/* RC_OK: done() will be called. RC_BUSY: too many wait. RC_MACHINE: no thread. */
enum rc attest_ask(struct attest *a, struct attest_job *j);

/*
 * No more questions; those waiting are done with RC_BUSY. The one being asked gets wait_ms; a kernel that
 * takes longer keeps the job and the queue: the program is about to end, or calls again. NULL is fine. True:
 * all is released.
 */
bool attest_stop(struct attest *a, unsigned wait_ms);

/*
 * From a query string: nonce=HEX, 1 to 64 bytes, given once, and nothing else. Writes the bytes to ask with.
 * RC_BAD_INPUT: it is not that.
 */
enum rc attest_query(struct slice query, uint8_t in[TSM_INBLOB]);

#endif
