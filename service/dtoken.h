/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delegation tokens: credentials that a user fetches once and jobs then use; their form is in wire/dtoken.h.
 *
 *   password     := HMAC-SHA-256(master key, identifier)
 *   master key n := HMAC-SHA-256(token root, "master key" owner[32] n:u32 simple:u32)
 *
 * owner: of the store, zeros if it has none; simple: 1 under type simple, which believes names, else 0; n = issue date / update
 * interval: keys roll by themselves and are stored nowhere.
 *
 * A token counts if its password fits and the table of tokens has it: every one of them is a sealed record,
 * so a cancelled one stays cancelled whatever is done to the store. Nothing that a token says is believed
 * before that.
 */
#ifndef SERVICE_DTOKEN_H
#define SERVICE_DTOKEN_H

#include <pthread.h>

#include "service/keys.h"
#include "wire/dtoken.h"

#define DTOKEN_PASSWORD_LEN 32
#define DTOKEN_ID_MAX WIRE_NAME_MAX

/* How many tokens each owner has, staged ones included. */
struct dtoken_counts {
	pthread_mutex_t lock;
	struct keys owners;	/* name: the owner; created: how many */
	uint32_t sequence;	/* the last one given; under the lock */
};
void dtoken_counts_init(struct dtoken_counts *t, const uint64_t seed[2]);
/* One more token of this owner. RC_BAD_INPUT: no identifier; RC_DENIED: they have `limit` already (0: any number). */
struct svc;
enum rc dtoken_counted(struct svc *s, struct slice identifier, uint64_t limit);
void dtoken_uncounted(struct svc *s, struct slice identifier);

struct op;
/*
 * Who shows a delegation token: its owner, and who acts for them (empty: nobody); slices of the token. E_TOKEN: it does
 * not count; the answer's argument says why.
 */
enum wire_err dtoken_identify(struct op *o, struct slice token, struct slice *owner, struct slice *real);

#endif
