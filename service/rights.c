/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key ACLs, the rule in short: a key whose ACL name has any entry of its own is judged by that entry
 * (a missing type denies), otherwise by the defaults; the white list can only add. For each of the
 * wanted type and ALL; nothing configured at all means no.
 */
#include <stdio.h>

#include "service/rights.h"

bool rights_in(const struct op *o, const struct acl *a)
{
	return acl_permits(a, &(struct caller){ o->user, o->mark, o->static_groups, o->os_groups });
}

static bool permits(const struct op *o, const struct acl *a)
{
	return a->set && rights_in(o, a);
}

bool rights_op_allowed(const struct op *o, enum acl_type t)
{
	const struct acl *a = &o->cfg->op[t];

	return rights_in(o, a) && !permits(o, &o->cfg->black[t]);
}

enum wire_err rights_op(struct op *o, enum acl_type t, enum wire_op what, const struct slice *key)
{
	if (rights_op_allowed(o, t))
		return E_OK;
	op_event(o, EVENT_UNAUTHORIZED, what, key);
	if (key)
		op_arg(o, *key);
	return op_fail_num(o, E_OP_DENIED, what, key != NULL);
}

static bool acl_present(const struct op *o, struct slice acl_name, enum wire_keyop t)
{
	return config_key_acl(o->cfg, acl_name) || o->cfg->fallback[t].set || o->cfg->white[t].set;
}

static bool key_allowed(const struct op *o, struct slice acl_name, enum wire_keyop t)
{
	const struct key_acl *own = config_key_acl(o->cfg, acl_name);

	return permits(o, own ? &own->type[t] : &o->cfg->fallback[t]) || permits(o, &o->cfg->white[t]);
}

/*
 * (t or ALL), with an event for each evaluation that says no. One call may ask about any number of keys,
 * and a grant through ALL leaves an event too, as in Hadoop: when only the places for a refusal (two) and
 * for the outcome (one) are left, such an event is dropped. A refusal never is.
 */
static bool key_allowed_audited(struct op *o, struct slice acl_name, enum wire_keyop t)
{
	if (key_allowed(o, acl_name, t))
		return true;
	op_event(o, EVENT_UNAUTHORIZED_KEY, t, &acl_name);
	if (!key_allowed(o, acl_name, KEYOP_ALL)) {
		op_event(o, EVENT_UNAUTHORIZED_KEY, KEYOP_ALL, &acl_name);
		return false;
	}
	if (o->ans.head.events > WIRE_EVENTS_MAX - 3)
		o->ans.head.events--;
	return true;
}

struct slice rights_acl_name(const struct key *k)
{
	struct cursor attrs = key_attrs(k);
	struct slice name, value;

	while (wire_attr_next(&attrs, &name, &value))
		if (slice_is(name, "key.acl.name") && value.len)
			return value;
	return key_name(k);
}

enum wire_err rights_key(struct op *o, const struct key *k, enum wire_keyop t)
{
	struct slice acl_name;

	if (!o->cfg->key_authorization || !k)
		return E_OK;
	acl_name = rights_acl_name(k);
	if (acl_present(o, acl_name, t) && key_allowed_audited(o, acl_name, t))
		return E_OK;
	op_arg(o, acl_name);
	return op_fail_num(o, E_KEY_DENIED, t, 0);
}

enum wire_err rights_create(struct op *o, struct slice name, struct slice acl_name, bool *add_attr)
{
	struct slice by = acl_name.len ? acl_name : name;

	*add_attr = false;
	if (!o->cfg->key_authorization)
		return E_OK;
	if (!acl_present(o, by, KEYOP_MANAGEMENT))
		return E_CREATE_DENIED;
	*add_attr = acl_name.len == 0;
	return key_allowed_audited(o, by, KEYOP_MANAGEMENT) ? E_OK : E_CREATE_DENIED;
}

bool rights_explain_key(const struct op *o, struct slice acl_name, enum wire_keyop t, char *text, size_t room)
{
	const struct key_acl *own = config_key_acl(o->cfg, acl_name);
	enum wire_keyop try[] = { t, KEYOP_ALL };
	size_t i;

	if (!o->cfg->key_authorization) {
		snprintf(text, room, "hadoop.kms.key.authorization.enable is false: key ACLs are not consulted");
		return true;
	}
	if (!acl_present(o, acl_name, t)) {
		snprintf(text, room, "no key.acl.%.*s.*, default.key.acl.%s or whitelist.key.acl.%s: denied",
			 (int)acl_name.len, (const char *)acl_name.p, wire_keyop_name(t), wire_keyop_name(t));
		return false;
	}
	for (i = 0; i < ARRAY_LEN(try); i++) {
		const char *type = wire_keyop_name(try[i]);

		if (own && permits(o, &own->type[try[i]])) {
			snprintf(text, room, "key.acl.%.*s.%s permits", (int)acl_name.len, (const char *)acl_name.p,
				 type);
			return true;
		}
		if (!own && permits(o, &o->cfg->fallback[try[i]])) {
			snprintf(text, room, "default.key.acl.%s permits", type);
			return true;
		}
		if (permits(o, &o->cfg->white[try[i]])) {
			snprintf(text, room, "whitelist.key.acl.%s permits", type);
			return true;
		}
	}
	if (own)
		snprintf(text, room, "key.acl.%.*s.%s and .ALL do not permit (defaults are not consulted for this key)",
			 (int)acl_name.len, (const char *)acl_name.p, wire_keyop_name(t));
	else
		snprintf(text, room, "default.key.acl.%s and whitelist.key.acl.%s do not permit", wire_keyop_name(t),
			 wire_keyop_name(t));
	return false;
}
