/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `hadoop.auth` cookie: what shows later that somebody has shown once who he is. Made and checked in the core.
 *
 *   cookie := u=<user>&p=<principal>&t=<type>[&i=<ms>]&e=<ms>&s=<Base64 of HMAC-SHA-256>
 *
 * The type says how its owner proved himself; one of a type that the configuration does not accept counts for nothing.
 */
#ifndef SERVICE_COOKIE_H
#define SERVICE_COOKIE_H

#include <pthread.h>

#include "crypto/crypto.h"
#include "wire/msg.h"

struct signer {
	pthread_mutex_t lock;
	struct crypto_mac_key now, old;	/* id 0: none */
	bool fixed;			/* from the configuration: never rolled */
	uint64_t roll_at;		/* ms; of a fixed one: when `old` is forgotten */
};

struct op;
struct config;
struct svc;
struct svc_worker;

void signer_init(struct signer *s);
/* Called after a new configuration: takes its secret, or makes a random one if there is none yet. */
enum rc signer_configure(struct svc_worker *w, struct signer *s, const struct config *c, uint64_t now);
/*
 * Forgets the secret before the one in force, and that as well if it is a random one; all: in any case. For what was configured
 * by somebody who turns out to have had no right.
 */
void signer_forget(struct signer *s, bool all);
/* The secrets in force, rolled when due; copied out, so that no lock is held while hashing. signer_drop() wipes them. */
enum rc signer_get(struct svc_worker *w, struct signer *s, uint64_t validity_ms, uint64_t now,
		   struct crypto_mac_key *cur, struct crypto_mac_key *old);
void signer_drop(struct crypto_mac_key *k);

#define COOKIE_NEVER UINT64_MAX	/* e=-1: does not expire */
struct cookie {
	struct slice user, principal, type;
	uint64_t expires, inactive;	/* ms since 1970 */
	bool has_inactive;
};
/* NOTE_NONE: *t is what the cookie says; its slices point into it. */
enum wire_note cookie_check(struct op *o, struct slice cookie, const struct crypto_mac_key *cur,
			    const struct crypto_mac_key *old, struct cookie *t);
/* Puts a cookie on the answer. expires: of the token to write; idle: its inactivity deadline or 0. */
enum wire_err cookie_issue(struct op *o, const struct crypto_mac_key *k, struct slice user, struct slice principal,
			   uint64_t expires, uint64_t idle);

/* What may stand in a cookie and in an audit line. */
MUST_CHECK bool user_valid(struct slice u);

#endif
