/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit chain: every decision of the core becomes an entry with a number, linked to the one before by a hash;
 * checkpoints are signed. wire/chain.h has the format, docs/audit.md what it shows and what it does not.
 *
 * Entries go out with the answer that they are about. A worker collects those of the calls it answers in one go
 * and links them in one go, before the other side is told that the answers are there (svc_calls_end()): so
 * workers rarely wait for each other, and hardly any number is given whose entry is not at once with the proxy.
 *
 * What always holds: no call on behalf of a user is answered from an open store before the chain was taken up; a
 * number is given once by a running core; nothing is read back from where answers are put.
 *
 * Trusts nothing it is told: the last entry of a file counts when its MAC is ours.
 */
#ifndef SERVICE_CHAIN_H
#define SERVICE_CHAIN_H

#include <pthread.h>

#include "crypto/crypto.h"
#include "service/seal.h"
#include "wire/call.h"
#include "wire/chain.h"

struct chain {
	pthread_mutex_t lock;	/* of at and checked; inside every other lock */
	bool open;		/* taken up; changes under the service's lock for writing */
	struct chain_at at;	/* the last entry */
	struct chain_at base;	/* where it was taken up */
	uint64_t checked;	/* the last checkpoint's number */
	struct secret sign;	/* Ed25519 */
	uint8_t public[CHAIN_KEY_LEN];
	struct crypto_mac_key tail;
};

/* A worker's entries; links and answers' places for those not yet given away. */
#define CHAIN_BUF 65536
#define CHAIN_CALL_MAX (CHAIN_FRAME_MAX + 1024)	/* what one call can make */
struct chain_out {
	size_t len, linked;	/* bytes of b; of them already linked */
	unsigned places;
	struct {
		uint8_t *to;
		uint32_t off, len;
	} place[CALL_RING];
	uint8_t b[CHAIN_BUF];
};

struct svc;
struct svc_worker;
struct op;
struct wire_cred;

void chain_init(struct chain *c);
void chain_wipe(struct chain *c);
/* The store is ready: derives the keys. The chain waits for RESUME. */
enum rc chain_ready(struct op *o);
/* The core's signing key for checkpoints, public half; zeros before a store is ready. Any lock or none. */
void chain_public(const struct svc *s, uint8_t out[CHAIN_KEY_LEN]);

/* Remembers what a request shows of its caller, for the entry. cred's slices live as long as the call. */
void chain_see(struct op *o, const struct wire_cred *cred);
/* An entry about a control call. Does nothing before the chain is open. detail: at most 64 KiB minus 4096. */
void chain_control(struct op *o, enum chain_control what, enum wire_err result, struct slice detail);
/*
 * For svc.c, around each call: room for its entries; the entries of its outcome, and o->ans.chain; taking them
 * back, as the call will be made again; and where in the answer they have gone.
 */
void chain_begin(struct op *o, uint32_t call);
void chain_decide(struct op *o, uint32_t call, enum wire_err e);
void chain_undo(struct op *o);
void chain_placed(struct op *o, uint8_t *to);
/* Links what was collected. */
void chain_link(struct svc_worker *w);
/* Bytes that chain_decide() can come to for a change to this key. */
size_t chain_need(const struct op *o, struct slice key);
/* The last entry, for a head. */
struct chain_at chain_position(struct svc *s);

enum wire_err op_audit_resume(struct op *o);
enum wire_err op_audit_checkpoint(struct op *o);
enum wire_err op_audit_gap(struct op *o);

#endif
