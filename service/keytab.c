/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See keytab.h. secret := owner[32] keytab; the owner's id is zeros for a store without one. What somebody else than the
 * owner brought before counts for nothing once there is an owner: he could make tickets in any name.
 */
#include <stdlib.h>

#include "service/arena.h"
#include "service/keytab.h"
#include "service/state.h"

#define SECRET_NAME "keytab"
#define OWNER_LEN sizeof(((struct owner *)0)->id)

/* The keytab that the store keeps, if it is this owner's. */
static struct slice kept(const struct op *o, const uint8_t owner[OWNER_LEN])
{
	struct slice s = secret_get(o->s, SECRET_NAME);

	if (s.len <= OWNER_LEN || !ct_equal(s.p, owner, OWNER_LEN))
		return slice_of("", 0);
	return slice_of(s.p + OWNER_LEN, s.len - OWNER_LEN);
}

static enum rc upload_key(struct op *o, struct secret *out)
{
	return seal_subkey(o->w, &o->s->store, "svsm-kms upload", out);
}

enum rc keytab_upload_key(struct op *o)
{
	SECRET k = { 0 };
	enum rc rc = upload_key(o, &k);

	return rc == RC_OK ? crypto_upload_public(&k, o->s->upload_key) : rc;
}

/* What an owner sealed for this core becomes what the configuration brings. */
static enum rc unseal(struct op *o, struct config *c)
{
	size_t len = c->sealed.len - CRYPTO_UPLOAD_OVERHEAD;
	SECRET k = { 0 };
	uint8_t *to;
	enum rc rc;

	if (c->sealed.len <= CRYPTO_UPLOAD_OVERHEAD)
		return RC_BAD_INPUT;
	to = arena_take(c->arena, len);
	if (!to)
		return RC_NO_ROOM;
	rc = upload_key(o, &k);
	if (rc == RC_OK)
		rc = crypto_upload_open(o->w->crypto, &k, slice_str(KEYTAB_PURPOSE), c->sealed, to);
	if (rc == RC_OK)
		c->keytab = slice_of(to, len);
	return rc == RC_DENIED ? RC_BAD_INPUT : rc;
}

enum wire_err keytab_take(struct op *o, struct config *c, const struct signed_by *by)
{
	static const uint8_t nobody[OWNER_LEN];
	struct slice file;
	const char *why = "svsm.sealed.keytab is not sealed to the upload key of this core's store";
	enum rc rc = RC_OK;

	if (c->auth == AUTH_SIMPLE || c->server_keys || o->s->store.state != STORE_READY)
		return E_OK;
	if (c->sealed.len)
		rc = unseal(o, c);
	file = c->keytab.len ? c->keytab : kept(o, by ? by->by.id : nobody);
	if (rc == RC_OK && file.len == 0) {	/* in force it would let nobody in */
		why = by ? "the bundle brings no keytab, and the store has none of this owner's" :
			   "there is no keytab, and the store has none";
		rc = RC_BAD_INPUT;
	}
	if (rc == RC_OK)
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
	chain_control(o, CHAIN_KEYTAB, e, slice_of("", 0));
	return e;
}
