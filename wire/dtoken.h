/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of delegation tokens, which is Hadoop's (kms-dt):
 *
 *   token      := bytes(identifier) bytes(password) text(kind) text(service)
 *   identifier := version:u8 text(owner) text(renewer) text(real user) vlong(issued) vlong(most)
 * vint(sequence) vint(key) bytes, text := vint(length) bytes[length];  dates are ms since 1970 vint, vlong :=
 * Hadoop's variable-length integers, accepted in their shortest form only
 *
 * Nothing that a token says is to be believed before its password fits.
 */
#ifndef WIRE_DTOKEN_H
#define WIRE_DTOKEN_H

#include "base/base.h"

#define WIRE_DTOKEN_KIND "kms-dt"

/* vint and vlong; false: not there whole, or longer than need be. */
MUST_CHECK bool wire_vlong_get(struct cursor *c, int64_t *out);
void wire_vlong_put(struct sink *s, int64_t v);

struct wire_dtoken_id {
	struct slice owner, renewer, real; /* real: who acts for the owner; empty: nobody */
	int64_t issued, most;              /* ms; most: no renewal goes beyond */
	int32_t sequence, key;
};
struct wire_dtoken {
	struct slice identifier, password, service;
	struct wire_dtoken_id id;
};

/* Why bytes are no token: what Hadoop says of them, class first. NULL: they are one, and *out is written. */
extern const char wire_dtoken_unknown_version[]; /* then out's key is the version; nothing else is written */
const char *wire_dtoken_id_get(struct slice in, struct wire_dtoken_id *out);
void wire_dtoken_id_put(struct sink *s, const struct wire_dtoken_id *id);
const char *wire_dtoken_get(struct slice in, struct wire_dtoken *out);
/* With an empty service, as a server gives it out. */
void wire_dtoken_put(struct sink *s, struct slice identifier, struct slice password);

#endif
