/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delegation tokens: credentials that a user fetches once and jobs then use. The form is Hadoop's (kms-dt):
 *
 *   token      := bytes(identifier) bytes(password) text(kind) text(service)
 *   identifier := version:u8 text(owner) text(renewer) text(real user) vlong(issued) vlong(most) vint(sequence) vint(key)
 *   bytes, text := vint(length) bytes[length];  dates are ms since 1970
 *   vint, vlong := Hadoop's variable-length integers, accepted in their shortest form only
 *   password   := HMAC-SHA-256(master key, identifier);  master key n := HMAC-SHA-256(token root, "master key" n:u32),
 *                 n = issue date / update interval: keys roll by themselves and are stored nowhere
 *
 * A token counts if its password fits and the table of tokens has it: every one of them is a sealed record, so a
 * cancelled one stays cancelled whatever is done to the store. Nothing that a token says is believed before that.
 */
#ifndef SERVICE_DTOKEN_H
#define SERVICE_DTOKEN_H

#include <pthread.h>

#include "service/keys.h"

#define DTOKEN_KIND "kms-dt"
#define DTOKEN_PASSWORD_LEN 32
#define DTOKEN_ID_MAX WIRE_NAME_MAX

/* vint and vlong; false: not there whole, or longer than need be. */
MUST_CHECK bool dtoken_vlong_get(struct cursor *c, int64_t *out);
void dtoken_vlong_put(struct sink *s, int64_t v);

struct dtoken_id {
	struct slice owner, renewer, real;	/* real: who acts for the owner; empty: nobody */
	int64_t issued, most;			/* ms; most: no renewal goes beyond */
	int32_t sequence, key;
};
struct dtoken {
	struct slice identifier, password, service;
	struct dtoken_id id;
};

/* Why bytes are no token: what Hadoop says of them, class first. NULL: they are one, and *out is written. */
extern const char dtoken_unknown_version[];	/* then out's key is the version; nothing else is written */
const char *dtoken_id_get(struct slice in, struct dtoken_id *out);
void dtoken_id_put(struct sink *s, const struct dtoken_id *id);
const char *dtoken_get(struct slice in, struct dtoken *out);
/* With an empty service, as a server gives it out. */
void dtoken_put(struct sink *s, struct slice identifier, struct slice password);

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
