/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the server's Kerberos keys come from, and where they stay. A configuration brings a keytab: as it is, or, from an
 * owner, sealed for this core alone. The core keeps it in the store as a secret of its own, under the owner's name; a later
 * configuration without one uses that. It is never readable again: not even a change to it can be told from outside.
 */
#ifndef SERVICE_KEYTAB_H
#define SERVICE_KEYTAB_H

#include "base/base.h"

struct op;
struct config;
struct signed_by;

/*
 * Gives a configuration for Kerberos its keys, where it has none and the store has them. by: who signed it, or NULL. E_OK
 * also while the store is not open yet; E_KEYTAB (argument: why) when there are none, or what there is cannot be used.
 * Caller holds the service's lock for writing.
 */
enum wire_err keytab_take(struct op *o, struct config *c, const struct signed_by *by);
/*
 * What an owner seals a keytab to (crypto_upload_seal() with this purpose): the key is derived from the store's data root,
 * so that the keytab is for all who have that store, and for nobody else.
 */
#define KEYTAB_PURPOSE "svsm-kms keytab"
/* The store has become ready, whatever the configuration: the public half of that key is known. */
enum rc keytab_upload_key(struct op *o);
/* The store has become ready. What cannot be used is left out: the state says so. */
void keytab_at_ready(struct op *o);
/* enum wire_keytab_state. Caller holds the lock. */
uint32_t keytab_state(const struct op *o);

#endif
