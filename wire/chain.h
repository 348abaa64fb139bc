/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit chain's file: what the core writes, the proxy carries and stores, and anybody verifies later.
 * docs/audit.md says the same in prose.
 *
 *   file   := header frame*
 *   header := "SVSMAUD1" store_id[16] seq:u64 hash[32] mac[16]    of the entry before the file's first
 *   frame  := len:u32 entry[len] hash[32] mac[16] len:u32    the length again, so that the last one is found
 *   entry  := seq:u64 time_ms:u64 type:u8 status:u8 op:u8 result:u8 lane:u16
 *             user:str16 principal:str16 real:str16 key:str16 peer:str16 detail:str16
 *   hash   := SHA-256(hash of the entry before || entry); before the first: SHA-256(CHAIN_GENESIS || store_id)
 *   mac    := HMAC(a key of the core, seq || hash), its first 16 bytes, in the last of the entries that the core
 *             linked in one go, else zeros: only for the core, which takes the chain up again at the last such
 *             entry of a file. Nobody else can check it, and nothing that it covers is not in the hash.
 *
 * The numbers below, those of enum wire_op and wire_keyop, and those of enum wire_err stand in files: new
 * ones go to the end. Readers take a cursor over a private copy and write *out only on success.
 */
#ifndef WIRE_CHAIN_H
#define WIRE_CHAIN_H

#include "wire/msg.h"

#define CHAIN_MAGIC "SVSMAUD1"
#define CHAIN_GENESIS "svsm-kms audit chain"
#define CHAIN_SIGNED "svsm-kms audit checkpoint"
#define CHAIN_HASH_LEN 32u
#define CHAIN_MAC_LEN 16u
#define CHAIN_KEY_LEN 32u
#define CHAIN_SIG_LEN 64u
#define CHAIN_HEADER_LEN 80u
#define CHAIN_FRAME_EXTRA (4u + CHAIN_HASH_LEN + CHAIN_MAC_LEN + 4u)
#define CHAIN_ENTRY_MIN 34u
#define CHAIN_ENTRY_MAX 40000u
#define CHAIN_FRAME_MAX (CHAIN_ENTRY_MAX + CHAIN_FRAME_EXTRA)
#define CHAIN_TAIL_LEN (8u + CHAIN_HASH_LEN + CHAIN_MAC_LEN)

enum chain_type {
	CHAIN_START = 1,  /* the core begins or goes on; detail: struct chain_start */
	CHAIN_DECISION,   /* somebody asked for something */
	CHAIN_CONTROL,    /* op: enum chain_control */
	CHAIN_CHECKPOINT, /* detail: struct chain_checkpoint */
	CHAIN_GAP,        /* detail: struct chain_loss */
	CHAIN_STOP,
	CHAIN_TYPES,
};

/* Of a DECISION: enum wire_event_status (then op is a wire_op, or a wire_keyop for EVENT_UNAUTHORIZED_KEY), or: */
enum chain_status { CHAIN_UNAUTHENTICATED = 4, CHAIN_FAILED = 5 };

/* What may stand in op beside enum wire_op. */
enum chain_op { CHAIN_OP_AUTH = 100, CHAIN_OP_ADMIN, CHAIN_OP_DT_GET, CHAIN_OP_DT_RENEW, CHAIN_OP_DT_CANCEL, CHAIN_OP_END };

/* A CONTROL entry's op; its detail. */
enum chain_control {
	CHAIN_CONFIG = 1, /* version:u64 hash[32] owner[32] of the configuration */
	CHAIN_COMMIT, /* epoch:u64 ticket:u64...: staged changes that are durable, and visible from here */
	CHAIN_ABORT,  /* epoch:u64 (or 0) ticket:u64...: staged changes that never will be */
	CHAIN_RECOVERY_SLOT, /* hash[32] of the public key that the data root was sealed for */
	CHAIN_KEYTAB,        /* nothing: the server's Kerberos keys are staged, to be kept */
	CHAIN_CONTROLS,
};

struct chain_entry {
	uint64_t seq, time_ms;
	uint8_t type, status, op, result;
	uint16_t lane;
	struct slice user, principal, real, key, peer, detail;
};
enum rc chain_entry_get(struct slice in, struct chain_entry *out);
void chain_entry_put(struct sink *s, const struct chain_entry *e);

struct chain_frame {
	struct slice whole, entry;
	uint64_t seq;
	uint8_t type;
	uint8_t hash[CHAIN_HASH_LEN], mac[CHAIN_MAC_LEN];
};
/* The next frame. RC_BUSY: it is not all there; RC_BAD_INPUT: it is none. The cursor moves only on RC_OK. */
enum rc chain_frame_next(struct cursor *c, struct chain_frame *out);
/* A frame whose seq, hash and mac are filled in later. */
void chain_frame_put(struct sink *s, const struct chain_entry *e);

struct chain_header {
	uint8_t store_id[16];
	uint64_t seq;
	uint8_t hash[CHAIN_HASH_LEN], mac[CHAIN_MAC_LEN]; /* mac: zeros where it is not known */
};
enum rc chain_header_get(struct slice in, struct chain_header *out);
void chain_header_put(struct sink *s, const struct chain_header *h);

/* loss := from:u64 to:u64 before[32] prev[32]: hashes of entries from-1 and to; from > to: nothing is lost */
struct chain_loss {
	uint64_t from, to;
	uint8_t before[CHAIN_HASH_LEN], prev[CHAIN_HASH_LEN];
};
enum rc chain_loss_get(struct slice in, struct chain_loss *out);
void chain_loss_put(struct sink *s, const struct chain_loss *l);

/* start := loss store_id[16] public[32] isolation:u32 epoch:u64 owner[32] config_version:u64 config_hash[32] */
struct chain_start {
	struct chain_loss loss; /* prev is always that of the entry before this one */
	uint8_t store_id[16], public[CHAIN_KEY_LEN];
	uint32_t isolation;
	uint64_t epoch;
	uint8_t owner[32];
	uint64_t config_version;
	uint8_t config_hash[32];
};
enum rc chain_start_get(struct slice in, struct chain_start *out);
void chain_start_put(struct sink *s, const struct chain_start *m);

/*
 * checkpoint := store_id[16] seq:u64 hash[32] epoch:u64 public[32] signature[64]
 * seq and hash are of the entry before; Ed25519 over CHAIN_SIGNED store_id seq hash epoch time_ms:u64.
 */
struct chain_checkpoint {
	uint8_t store_id[16];
	uint64_t seq;
	uint8_t hash[CHAIN_HASH_LEN];
	uint64_t epoch;
	uint8_t public[CHAIN_KEY_LEN], signature[CHAIN_SIG_LEN];
};
enum rc chain_checkpoint_get(struct slice in, struct chain_checkpoint *out);
void chain_checkpoint_put(struct sink *s, const struct chain_checkpoint *m);
#define CHAIN_SIGNED_LEN (sizeof(CHAIN_SIGNED) - 1 + 16 + 8 + CHAIN_HASH_LEN + 8 + 8)
void chain_signed_put(struct sink *s, const struct chain_checkpoint *m, uint64_t time_ms);

/* For people and JSON; never NULL. */
const char *chain_type_name(unsigned type);
const char *chain_status_name(unsigned status);
const char *chain_control_name(unsigned op);
const char *chain_op_name(const struct chain_entry *e);

/*
 * The last entry of a file, as CALL_AUDIT_RESUME and CALL_AUDIT_GAP take it: blob_req with seq:u64 hash[32] mac[16], or
 * nothing if there is none. RESUME: then seen:u64, the highest number the other side knows of, which it may not have.
 */
struct chain_tail {
	uint64_t seq;
	uint8_t hash[CHAIN_HASH_LEN], mac[CHAIN_MAC_LEN];
};
enum rc chain_tail_get(struct slice in, struct chain_tail *out);
void chain_tail_put(struct sink *s, const struct chain_tail *t);

/* Body of a successful RESUME: where the chain goes on, and how many entries before that are lost. */
struct chain_resumed {
	struct chain_header at;
	uint64_t lost, sealed; /* sealed: the last entry that the store's head knows */
};
MUST_CHECK bool chain_resumed_get(struct cursor *c, struct chain_resumed *out);
void chain_resumed_put(struct sink *s, const struct chain_resumed *r);
/* Why E_AUDIT: num[0]. */
enum chain_refusal { CHAIN_FOREIGN = 1, CHAIN_FORKED = 2 };

#endif
