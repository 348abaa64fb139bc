/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity: the `hadoop.auth` cookie and simple authentication, decided in the core.
 *
 *   cookie := u=<user>&p=<principal>&t=simple-dt[&i=<ms>]&e=<ms>&s=<Base64 of HMAC-SHA-256>
 */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

#include <pthread.h>

#include "crypto/crypto.h"
#include "wire/msg.h"

struct signer {
	pthread_mutex_t lock;
	struct crypto_mac_key now, old;	/* id 0: none */
	bool fixed;			/* from the configuration: never rolled */
	uint64_t roll_at;		/* ms */
};

struct op;
struct config;
struct svc;
struct svc_worker;

void signer_init(struct signer *s);
/* Called after a new configuration: takes its secret, or makes a random one if there is none yet. */
enum rc signer_configure(struct svc_worker *w, struct signer *s, const struct config *c, uint64_t now);

/* Forgets the secret before the one in force; all: that as well. For secrets whose giver turns out to have had no right. */
void signer_forget(struct signer *s, bool all);

/*
 * Finds out who calls. E_OK sets o->user (a slice of the request) and puts a new cookie on the answer
 * where one is due. E_UNAUTHENTICATED sets the note, and the argument if the note has one.
 */
enum wire_err auth_check(struct op *o, const struct wire_cred *cred);

#endif
