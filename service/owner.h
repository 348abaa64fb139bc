/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner: who may configure the core. Until a store has an owner, whoever started the service may.
 * Once it has one, only configuration that the owner signed is in force, never an older one than the store
 * has seen, and the store remembers both in its sealed head. There is no way back to no owner.
 *
 * Configuration may come before the store is open; then it is judged when the store is ready, and dropped
 * if it is not the owner's.
 */
#ifndef SERVICE_OWNER_H
#define SERVICE_OWNER_H

#include "service/seal.h"

/* Who signed the configuration in force. */
struct signed_by {
	struct owner by;	/* id zeros: nobody */
	uint32_t flags;
	uint8_t store_id[16];
};

struct svc;
struct op;

MUST_CHECK bool owner_set(const struct owner *o);

/* Callers hold the service's lock for writing. */
/* May configuration by `s` (NULL: unsigned) be in force here and now? */
enum wire_err owner_judge(struct op *o, const struct signed_by *s);
/* The configuration by `s` is in force: a new owner, or a newer version, goes into the next head. */
void owner_take(struct svc *svc, const struct signed_by *s);
/* The store has become ready: configuration that came before it stays or goes. */
void owner_at_ready(struct op *o);

#endif
