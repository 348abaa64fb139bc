/* SPDX-License-Identifier: Apache-2.0 */
/* See owner.h. */
#include "service/state.h"

bool owner_set(const struct owner *o)
{
	static const uint8_t none[sizeof(o->id)];

	return !ct_equal(o->id, none, sizeof(none));
}

static bool store_open(const struct svc *s)
{
	return s->store.state == STORE_LOADING || s->store.state == STORE_READY;
}

/* Zeros stand for any store, except where an owner is to be enrolled. */
static bool for_this_store(const struct svc *s, const struct signed_by *by)
{
	static const uint8_t any[sizeof(by->store_id)];

	if (ct_equal(by->store_id, any, sizeof(any)))
		return !(by->flags & SIGNED_ENROLL);
	return ct_equal(by->store_id, s->store.id, sizeof(by->store_id));
}

enum wire_err owner_judge(struct op *o, const struct signed_by *by)
{
	const struct owner *own = &o->s->txn.owner;
	bool same;

	if (!store_open(o->s))
		return E_OK;
	if (!by)
		return owner_set(own) ? E_OWNER_ONLY : E_OK;
	if (owner_set(own) && !ct_equal(by->by.id, own->id, sizeof(own->id)))
		return E_OWNER_OTHER;
	if (!for_this_store(o->s, by))
		return E_OWNER_STORE;
	if (!owner_set(own))
		return E_OK;
	/* One version is one text: a second text with an old number would be a choice for somebody else. */
	same = by->by.version == own->version;
	if (by->by.version < own->version || (same && !ct_equal(by->by.hash, own->hash, sizeof(own->hash))))
		return op_fail_num(o, E_OWNER_OLD, by->by.version, own->version + same);
	return E_OK;
}

void owner_take(struct svc *s, const struct signed_by *by)
{
	struct txn *t = &s->txn;

	s->config_by = by ? *by : (struct signed_by){ 0 };
	if (!by || !store_open(s) || !(owner_set(&t->owner) || (by->flags & SIGNED_ENROLL)))
		return;
	if (!owner_set(&t->owner))	/* whoever configured before is not to know a secret that still counts */
		signer_forget(&s->signer, false);
	pthread_mutex_lock(&t->lock);
	t->owner = by->by;
	pthread_mutex_unlock(&t->lock);
}

void owner_at_ready(struct op *o)
{
	struct svc *s = o->s;
	struct signed_by by = s->config_by;
	const struct signed_by *who = owner_set(&by.by) ? &by : NULL;

	if (owner_set(&s->txn.owner))
		signer_forget(&s->signer, false);
	if (!s->config)
		return;
	if (owner_judge(o, who) == E_OK) {
		owner_take(s, who);
		keytab_at_ready(o);
		return;
	}
	signer_forget(&s->signer, true);
	config_free(s->config);
	s->config = NULL;
	s->config_by = (struct signed_by){ 0 };
}

void svc_evidence(struct svc *s, struct call_evidence *out)
{
	struct call_evidence e = { 0 };

	pthread_rwlock_rdlock(&s->lock);
	if (s->store.state == STORE_READY) {
		memcpy(e.owner, s->store.head.owner.id, sizeof(e.owner));	/* as the store has it, not as somebody asked */
		memcpy(e.store_id, s->store.id, sizeof(e.store_id));
		chain_public(s, e.audit_key);
		memcpy(e.upload_key, s->upload_key, sizeof(e.upload_key));
	}
	if (s->config) {
		memcpy(e.config_hash, s->config_by.by.hash, sizeof(e.config_hash));
		e.config_version = s->config_by.by.version;
	}
	pthread_rwlock_unlock(&s->lock);
	*out = e;
}
