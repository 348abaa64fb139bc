/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms-audit.chain: takes the core's audit entries from the workers, puts them in order, and writes them: one of the
 * workers for all, or, when the disk is slow or fails, a thread of its own. Format: wire/chain.h. Nothing here
 * decides whether an entry counts: the core links them, a verifier checks them.
 *
 * What always holds: entries stand in the file in the order of their numbers, without a hole that no entry
 * declares; an answer whose entry is not with the kernel is not given (chainlog_wait()), unless the setting says
 * to go on; memory is bounded. A disk that hangs keeps at most the one worker that is in the write() when it begins
 * to; the others refuse or go on.
 *
 * Every function but chainlog_open() takes NULL: then there is no file, and nothing to wait for.
 */
#ifndef PROXY_CHAINLOG_H
#define PROXY_CHAINLOG_H

#include "proxy/outbuf.h"
#include "wire/chain.h"

#define CHAINLOG_BUFFER_MAX (8u << 20)	/* bytes of entries not yet written */
#define CHAINLOG_CARRY_MAX (128u << 10)	/* bytes that a store's transaction may be asked to carry */
#define CHAINLOG_PIECE_MAX (24u + CHAINLOG_CARRY_MAX)
#define CHAINLOG_PATIENCE_MS 5000u	/* how long a write may take before it counts as failed */

struct chainlog_options {
	const char *path;	/* created with mode 0640, for one server at a time */
	bool refuse;		/* answer nothing that cannot be written; else go on, and have the gap declared */
	size_t buffer_max;	/* 0: CHAINLOG_BUFFER_MAX */
	uint32_t patience_ms;	/* 0: CHAINLOG_PATIENCE_MS */
	void (*report)(void *ctx, const char *text);	/* failure and recovery, once each; NULL: stderr */
	void *ctx;
};

struct chainlog_state {
	bool refuse, failing, dropping;	/* failing: it cannot be written, or does not get to the disk */
	int error;		/* its errno */
	uint64_t written;	/* number of the last entry in the file */
	uint64_t lost;		/* entries dropped here since the start */
	uint64_t pending;	/* bytes not yet in the file */
	uint64_t lost_at_start;	/* as the core said */
};

struct chainlog;

/*
 * Opens or makes the file, finds its last entry, and cuts off what a crash left of an unfinished one (`why` says
 * so then). RC_MACHINE: it cannot be opened, or another server has it; RC_BAD_INPUT: it is no audit chain, or
 * damaged. `why` says what to do.
 */
enum rc chainlog_open(const struct chainlog_options *o, struct chainlog **out, char *why, size_t room);
/* Writes what there is, waiting no longer than patience_ms, and frees. */
void chainlog_close(struct chainlog *c);

/* What RESUME is told: the last entry, false if there is none; and the highest number heard of. */
MUST_CHECK bool chainlog_tail(struct chainlog *c, struct chain_tail *out, uint64_t *seen);
/* Gives the file another name (returned, for a message) and begins a new one. */
enum rc chainlog_set_aside(struct chainlog *c, char *name, size_t room);
/*
 * The core is about to take the chain up. `generation` of the service: entries of an earlier one count no more; those
 * of this one may come from now on.
 */
void chainlog_expect(struct chainlog *c, uint32_t generation);
/* It has taken it up. Its START entry is to be added next. */
void chainlog_start(struct chainlog *c, const struct chain_resumed *r);
/* The service has died: nobody waits for what it cannot tell any more. */
void chainlog_died(struct chainlog *c);

/*
 * Entries of answers, each core's crossing as a whole; from any thread. *last: to wait for; will_wait: the caller
 * calls chainlog_wait() next. RC_MACHINE: of a service that is gone.
 */
enum rc chainlog_add(struct chainlog *c, uint32_t generation, struct slice frames, bool will_wait, uint64_t *last);
/*
 * Until the entry is with the kernel. RC_DENIED: it cannot be written, and the setting says to refuse; RC_MACHINE:
 * the service died, and entries before this one with it.
 */
enum rc chainlog_wait(struct chainlog *c, uint32_t generation, uint64_t last);
/* The same, and on the disk. RC_OK also when it is not and the setting says to go on. */
enum rc chainlog_sync(struct chainlog *c, uint64_t last);
/*
 * The same for a transaction of the store that is about to be written: what of the file is not yet on the disk is
 * appended to *piece, encrypted, to be put into that transaction. So one wait for the disk is enough for both. At most
 * CHAINLOG_PIECE_MAX bytes; nothing: the file is on the disk.
 */
enum rc chainlog_carry(struct chainlog *c, uint64_t last, struct outbuf *piece);
/*
 * After chainlog_open(), before anything is added: what a piece has and the file has lost in a power cut is written to
 * the file again, and `why` says so. A piece that does not go on where the file ends is left alone: the core will
 * say what is missing. It needs no trust: what it brings is judged as the file is. The piece's bytes are changed.
 */
void chainlog_restore(struct chainlog *c, struct outbuf *piece, char *why, size_t room);
/*
 * Its parser: what of `frames`, which come after entry seq, comes after `at`, the file's last entry, up to the last frame
 * with a MAC, which is *end then. Empty: they do not go on from there.
 */
struct slice chainlog_rest(struct slice frames, uint64_t seq, const struct chain_tail *at, struct chain_tail *end);
MUST_CHECK bool chainlog_goes_on(const struct chainlog *c);	/* the setting is to continue */
/* To be asked before a call is made. */
MUST_CHECK bool chainlog_refuses(struct chainlog *c);
/* Entries were dropped and there is room again: a GAP has to be declared. tail, given: what to tell the core. */
MUST_CHECK bool chainlog_gap_due(struct chainlog *c, struct chain_tail *tail, bool *given);

/* After logrotate moved the file: goes on in a new one. RC_MACHINE: it cannot be made, the old one stays in use. */
enum rc chainlog_reopen(struct chainlog *c);

void chainlog_state(struct chainlog *c, struct chainlog_state *out);

#endif
