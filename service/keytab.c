/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See keytab.h. secret := owner[32] keytab; the owner's id is zeros for a store without one. What somebody else than the
 * owner brought before counts for nothing once there is an owner: he could make tickets in any name.
 */
#include <stdlib.h>

#include "service/keytab.h"
#include "service/state.h"

#define SECRET_NAME "keytab"
#define OWNER_LEN sizeof(((struct owner *)0)->id)

/* The keytab that the store keeps, if it is this owner's. */
static struct slice kept(const struct op *o, const uint8_t owner[OWNER_LEN])
{
	struct slice s = o->s->store.state == STORE_READY ? secret_get(o->s, SECRET_NAME) : slice_of("", 0);

	if (s.len <= OWNER_LEN || !ct_equal(s.p, owner, OWNER_LEN))
		return slice_of("", 0);
	return slice_of(s.p + OWNER_LEN, s.len - OWNER_LEN);
}

enum wire_err keytab_take(struct op *o, struct config *c, const struct signed_by *by)
{
	static const uint8_t nobody[OWNER_LEN];
	struct slice file;
	const char *why = "";
	enum rc rc;

	if (c->auth == AUTH_SIMPLE || c->server_keys)
		return E_OK;
	file = kept(o, by ? by->by.id : nobody);
	if (file.len == 0)
		return E_OK;
	rc = config_keytab(c, file, &why);
	if (rc == RC_BAD_INPUT)
		op_arg(o, slice_str(why));
	return rc == RC_OK ? E_OK : rc == RC_BAD_INPUT ? E_KEYTAB : E_NO_MEMORY;
}

void keytab_at_ready(struct op *o)
{
	struct svc *s = o->s;

	if (s->config && keytab_take(o, s->config, owner_set(&s->config_by.by) ? &s->config_by : NULL) != E_OK)
		o->ans.arg = slice_of("", 0);
}

uint32_t keytab_state(const struct op *o)
{
	const struct config *c = o->s->config;
	struct slice k;

	if (!c || c->auth == AUTH_SIMPLE)
		return KEYTAB_NONE;
	if (!c->server_keys)
		return KEYTAB_MISSING;
	k = kept(o, o->s->config_by.by.id);
	return c->keytab.len && !(k.len == c->keytab.len && ct_equal(k.p, c->keytab.p, k.len)) ? KEYTAB_GIVEN : KEYTAB_SEALED;
}

/* Body: staged, to be committed as a key's change is; nothing if the store has the keytab already. */
enum wire_err op_keytab(struct op *o)
{
	struct slice file = o->cfg->keytab;
	enum wire_err e;
	uint8_t *b;

	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	if (keytab_state(o) != KEYTAB_GIVEN)
		return E_OK;
	b = malloc(OWNER_LEN + file.len);
	if (!b)
		return E_NO_MEMORY;
	memcpy(b, o->s->config_by.by.id, OWNER_LEN);
	memcpy(b + OWNER_LEN, file.p, file.len);
	e = secret_stage(o, SECRET_NAME, slice_of(b, OWNER_LEN + file.len));
	mem_wipe(b, OWNER_LEN + file.len);
	free(b);
	return e;
}
