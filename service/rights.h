/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: operation ACLs and key ACLs as Hadoop KMS evaluates them, with their audit events. */
#ifndef SERVICE_RIGHTS_H
#define SERVICE_RIGHTS_H

#include "service/state.h"

/* Is the caller in the list? */
MUST_CHECK bool rights_in(const struct op *o, const struct acl *a);

/* One evaluation without side effects. */
MUST_CHECK bool rights_op_allowed(const struct op *o, enum acl_type t);

/*
 * E_OK or E_OP_DENIED with its event and arguments. what: the operation named in message and audit;
 * key: NULL for operations without one.
 */
enum wire_err rights_op(struct op *o, enum acl_type t, enum wire_op what, const struct slice *key);

/* The rule for an existing key; E_OK when key authorization is off. */
enum wire_err rights_key(struct op *o, const struct key *k, enum wire_keyop t);

/*
 * The rule for creating: acl_name is the attribute key.acl.name or empty. *add_attr: the key is to
 * get that attribute with its own name.
 */
enum wire_err rights_create(struct op *o, struct slice name, struct slice acl_name, bool *add_attr);

/* The attribute key.acl.name, or the key's own name. */
struct slice rights_acl_name(const struct key *k);

/* Writes which rule decides for this user into text; returns the verdict. For `acl check`. */
MUST_CHECK bool rights_explain_key(const struct op *o, struct slice acl_name, enum wire_keyop t, char *text,
				   size_t room);

#endif
