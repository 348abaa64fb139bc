/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows an audit chain (wire/chain.h) through one file or several, entry by entry, and finds the first that is
 * not as the core made it. It remembers one number and one hash, so files may be of any size.
 *
 * Trusts nothing it reads. What it says is worth what it was given: without the core's public key anybody may have
 * made the whole chain, and without a place (`head`) from elsewhere the end may be missing.
 */
#ifndef CLIENT_CHAIN_CHECK_H
#define CLIENT_CHAIN_CHECK_H

#include "crypto/crypto.h"
#include "wire/chain.h"

/* Exit codes of `audit verify`: docs/audit.md promises them. */
enum chain_bad {
	CHAIN_GOOD = 0,
	CHAIN_NONE = 10,	/* no audit chain */
	CHAIN_EDITED = 11,
	CHAIN_REMOVED = 12,
	CHAIN_REORDERED = 13,	/* or doubled */
	CHAIN_TRUNCATED = 14,
	CHAIN_FORGED = 15,	/* a checkpoint */
	CHAIN_OTHER_KEY = 16,
	CHAIN_OTHER_STORE = 17,
	CHAIN_LOSSES = 18,	/* nothing is wrong, but entries are declared lost */
};

struct chain_check {
	struct crypto *crypto;
	/* given by the caller */
	bool has_key, has_head;
	uint8_t key[CHAIN_KEY_LEN];	/* of checkpoints; learned from the chain without has_key */
	uint64_t head_seq;
	uint8_t head_hash[CHAIN_HASH_LEN];
	/* where it is */
	bool begun, knows_key, jump;	/* jump: a file begins behind the end of the one before */
	uint64_t seq, jump_seq;
	uint8_t hash[CHAIN_HASH_LEN], jump_hash[CHAIN_HASH_LEN], store_id[16];
	struct chain_entry last;	/* texts are slices of the frame */
	/* what it found */
	uint64_t first, entries, checkpoints, checked, lost, starts;	/* checked: the last entry under a signature */
	bool head_seen;
	uint64_t bad_seq;		/* the first bad entry */
	const char *why;
};

/* RC_MACHINE: libcrypto does not start. has_key and the like are set afterwards. */
enum rc chain_check_init(struct chain_check *c);
void chain_check_free(struct chain_check *c);

/* The first CHAIN_HEADER_LEN bytes of a file. */
MUST_CHECK enum chain_bad chain_check_header(struct chain_check *c, struct slice header);
/* A frame. The caller read it with chain_frame_next(). */
MUST_CHECK enum chain_bad chain_check_frame(struct chain_check *c, const struct chain_frame *f);
/* After the last one. */
MUST_CHECK enum chain_bad chain_check_end(struct chain_check *c);

const char *chain_bad_name(enum chain_bad b);

#endif
