/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes on their way to the store. A change is staged (decided, generated, sealed, visible to nobody),
 * then a head is sealed over a group of them, and when the store has made the group durable it is
 * committed and becomes visible; or it is aborted and nothing ever happened. One change a key at a
 * time: a second one is E_BUSY until the first is committed.
 */
#ifndef SERVICE_TXN_H
#define SERVICE_TXN_H

#include <pthread.h>

#include "service/keys.h"
#include "service/seal.h"

#define TXN_PENDING_MAX 4096
#define TXN_BUCKETS 1024

struct change {
	struct change *next;		/* in its bucket, by name hash */
	struct change *ticket_next;	/* in its bucket, by ticket */
	uint64_t hash;
	uint64_t ticket;
	uint8_t kind;		/* enum key_kind */
	bool creates, in_head;
	bool sealed;		/* complete: its ticket may be named */
	struct key *made;	/* NULL: the key is removed */
	struct slice name;	/* of `made`, or of own_name */
	struct set_sum minus, plus;
	uint8_t *own_name;
};

struct txn {
	pthread_mutex_t lock;
	struct change *bucket[TXN_BUCKETS], *by_ticket[TXN_BUCKETS];
	uint32_t pending;
	uint64_t next_ticket, next_version, last_epoch, bytes;
	uint64_t room_until;	/* bytes of keys up to which there is spare room, as far as was looked */
	bool prepared;
	struct head head;	/* the one sealed last, when prepared */
	struct owner owner;	/* for the next head */
};

struct svc;
struct svc_worker;
struct op;

void txn_init(struct txn *t);
/* Drops every staged change. */
void txn_reset(struct txn *t);

/*
 * Stages: old is the key as it is now or NULL, made what it is to be or NULL. On E_OK the change owns
 * `made`, and the record stands in the answer; otherwise made is freed. kv: what the answer shows.
 */
enum wire_err txn_stage(struct op *o, const struct key *old, struct key *made, const struct wire_kv *kv);

/*
 * Secrets of the core that are kept in the store: sealed, never readable from outside. The name is a string
 * constant; bytes: 1..SECRET_BYTES_MAX. Staging puts a `staged` into the answer, to be committed like a key's;
 * the store has to be ready, and the caller holds the service's lock (for reading is enough). No bytes: the
 * secret is removed. E_OK with nothing written: it is as it is to be already.
 */
enum wire_err secret_stage(struct op *o, const char *name, struct slice bytes);
/* The bytes, which stay the table's as long as the lock is held; {NULL, 0}: there is none. */
struct slice secret_get(const struct svc *s, const char *name);

#endif
