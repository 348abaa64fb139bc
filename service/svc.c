/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of calls, and what is the same for all of them: one private copy of the request, the lock,
 * the answer around the body.
 */
#include <stdlib.h>

#include "service/state.h"

struct call_row {
	op_handler fn;
	enum { LOCK_NONE, LOCK_READ, LOCK_WRITE } lock;
	bool needs_config, needs_store;
};

static const struct call_row calls[] = {
	[CALL_HELLO] = { op_hello, LOCK_NONE, false, false },
	[CALL_CONFIG] = { op_config, LOCK_NONE, false, false },
	[CALL_STATUS] = { op_status, LOCK_READ, false, false },
	[CALL_STORE_CREATE] = { op_store_create, LOCK_WRITE, false, false },
	[CALL_STORE_OPEN] = { op_store_open, LOCK_WRITE, false, false },
	[CALL_STORE_LOAD] = { op_store_load, LOCK_NONE, false, false },
	[CALL_STORE_READY] = { op_store_ready, LOCK_WRITE, false, false },
	[CALL_HEAD] = { op_head, LOCK_READ, false, true },
	[CALL_COMMIT] = { op_commit, LOCK_WRITE, false, true },
	[CALL_ABORT] = { op_abort, LOCK_READ, false, true },
	[CALL_SLOT_RECOVERY] = { op_slot_recovery, LOCK_READ, false, true },
	[CALL_RECOVER_BEGIN] = { op_recover_begin, LOCK_WRITE, false, false },
	[CALL_RECOVER_FINISH] = { op_recover_finish, LOCK_WRITE, false, false },
	[CALL_CONFIG_SIGNED] = { op_config_signed, LOCK_NONE, false, false },
	[CALL_DT_EXPIRE] = { op_dt_expire, LOCK_READ, true, true },
	[CALL_ACL_CHECK] = { op_acl_check, LOCK_READ, true, false },
	[CALL_AUDIT_RESUME] = { op_audit_resume, LOCK_WRITE, false, false },
	[CALL_AUDIT_CHECKPOINT] = { op_audit_checkpoint, LOCK_READ, false, true },
	[CALL_AUDIT_GAP] = { op_audit_gap, LOCK_READ, false, true },
	[CALL_AUTH] = { op_auth, LOCK_READ, true, false },
	[CALL_KEYTAB] = { op_keytab, LOCK_READ, true, true },
	[CALL_ADMIN] = { op_admin, LOCK_READ, true, false },
	[CALL_DT_GET] = { op_dt_get, LOCK_READ, true, true },
	[CALL_DT_RENEW] = { op_dt_renew, LOCK_READ, true, true },
	[CALL_DT_CANCEL] = { op_dt_cancel, LOCK_READ, true, true },
	[CALL_CREATE] = { op_create, LOCK_READ, true, true },
	[CALL_IMPORT] = { op_import, LOCK_READ, true, true },
	[CALL_DELETE] = { op_delete, LOCK_READ, true, true },
	[CALL_ROLL] = { op_roll, LOCK_READ, true, true },
	[CALL_INVALIDATE] = { op_invalidate, LOCK_READ, true, true },
	[CALL_NAMES] = { op_names, LOCK_READ, true, true },
	[CALL_METADATA] = { op_metadata, LOCK_READ, true, true },
	[CALL_METADATAS] = { op_metadatas, LOCK_READ, true, true },
	[CALL_CURRENT] = { op_current, LOCK_READ, true, true },
	[CALL_VERSION_GET] = { op_version_get, LOCK_READ, true, true },
	[CALL_VERSIONS] = { op_versions, LOCK_READ, true, true },
	[CALL_GENERATE] = { op_generate, LOCK_READ, true, true },
	[CALL_DECRYPT] = { op_decrypt, LOCK_READ, true, true },
	[CALL_REENCRYPT] = { op_reencrypt, LOCK_READ, true, true },
	[CALL_REENCRYPT_BATCH] = { op_reencrypt_batch, LOCK_READ, true, true },
};
_Static_assert(ARRAY_LEN(calls) == CALL_COUNT, "a row for each call");

struct svc *svc_new(const struct svc_options *opt)
{
	pthread_rwlockattr_t attr;
	struct svc *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->opt = *opt;
	/* A commit must not wait for ever behind a stream of readers. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->lock, &attr);
	txn_init(&s->txn);
	clock_init(&s->clock, opt->mono_us);
	signer_init(&s->signer);
	chain_init(&s->chain);
	keys_init(&s->keys, NULL);
	keys_init(&s->tokens, NULL);
	keys_init(&s->secrets, NULL);
	pthread_mutex_init(&s->dtokens.lock, NULL);
	dtoken_counts_init(&s->dtokens, NULL);
	return s;
}

void svc_free(struct svc *s)
{
	if (!s)
		return;
	txn_reset(&s->txn);
	keys_wipe(&s->keys);
	keys_wipe(&s->tokens);
	keys_wipe(&s->secrets);
	keys_wipe(&s->dtokens.owners);
	config_free(s->config);
	krb_replay_wipe(&s->replay);
	mem_wipe(s, sizeof(*s));
	free(s);
}

static void panic_wipe_table(struct keys *t)
{
	size_t i, j;

	for (i = 0; i < KEYS_SHARDS; i++)
		for (j = 0; t->shard[i].slot && j <= t->shard[i].mask; j++)
			if (t->shard[i].slot[j])
				mem_wipe(t->shard[i].slot[j]->data, t->shard[i].slot[j]->data_len);
}

void svc_panic_wipe(struct svc *s)
{
	struct change *c;
	size_t i;

	panic_wipe_table(&s->keys);
	panic_wipe_table(&s->secrets);
	for (i = 0; i < TXN_BUCKETS; i++)
		for (c = s->txn.bucket[i]; c; c = c->next)
			if (c->made)
				mem_wipe(c->made->data, c->made->data_len);
	for (i = 0; i < ARRAY_LEN(s->workers); i++)
		if (s->workers[i]) {
			mem_wipe(&s->workers[i]->random, sizeof(s->workers[i]->random));
			mem_wipe(&s->workers[i]->dt_key, sizeof(s->workers[i]->dt_key));
			mem_wipe(s->workers[i]->small, sizeof(s->workers[i]->small));
			if (s->workers[i]->big)
				mem_wipe(s->workers[i]->big, s->workers[i]->big_len);
		}
	if (s->config && s->config->keytab.len)
		mem_wipe((void *)(uintptr_t)s->config->keytab.p, s->config->keytab.len);
	if (s->config)
		krb_keytab_wipe(s->config->server_keys);
	if (s->config && s->config->has_secret)
		mem_wipe((void *)(uintptr_t)s->config->secret.p, s->config->secret.len);
	mem_wipe(&s->store, sizeof(s->store));
	mem_wipe(&s->signer.now, sizeof(s->signer.now));
	mem_wipe(&s->signer.old, sizeof(s->signer.old));
	chain_wipe(&s->chain);
	mem_wipe(&s->opt.platform_key, sizeof(s->opt.platform_key));
	mem_wipe(s->recover_key, sizeof(s->recover_key));
}

struct svc_worker *svc_worker_new(struct svc *s)
{
	struct svc_worker *w = calloc(1, sizeof(*w));
	size_t i;

	if (!w)
		return NULL;
	w->svc = s;
	w->crypto = crypto_new();
	w->chain = calloc(1, sizeof(*w->chain));
	if (!w->crypto || !w->chain) {
		crypto_free(w->crypto);
		free(w->chain);
		free(w);
		return NULL;
	}
	crypto_random_init(&w->random, s->opt.entropy, s->opt.entropy_ctx);
	for (i = 0; i < ARRAY_LEN(s->workers); i++)
		if (!s->workers[i]) {
			s->workers[i] = w;
			w->number = (uint16_t)i;
			break;
		}
	return w;
}

void svc_worker_free(struct svc_worker *w)
{
	size_t i;

	if (!w)
		return;
	for (i = 0; i < ARRAY_LEN(w->svc->workers); i++)
		if (w->svc->workers[i] == w)
			w->svc->workers[i] = NULL;
	crypto_random_wipe(&w->random);
	crypto_free(w->crypto);
	free(w->chain);
	mem_wipe(w, sizeof(*w));
	free(w);
}

void svc_time(struct svc *s, uint64_t wall_ms)
{
	clock_told(&s->clock, wall_ms);
}

void op_event(struct op *o, enum wire_event_status status, unsigned what, const struct slice *key)
{
	struct wire_event *e = &o->ans.event[o->ans.head.events];

	INVARIANT(o->ans.head.events < WIRE_EVENTS_MAX);
	o->ans.head.events++;
	*e = (struct wire_event){ .status = (uint8_t)status, .op = (uint8_t)what, .has_key = key != NULL };
	e->key = key ? *key : slice_of("", 0);
}

void op_arg(struct op *o, struct slice text)
{
	size_t n = text.len < sizeof(o->w->arg) ? text.len : sizeof(o->w->arg);

	if (n)
		memcpy(o->w->arg, text.p, n);
	o->ans.arg = slice_of(o->w->arg, n);
}

enum wire_err op_fail_num(struct op *o, enum wire_err e, uint64_t a, uint64_t b)
{
	o->ans.head.num[0] = a;
	o->ans.head.num[1] = b;
	return e;
}

enum wire_err op_room(struct op *o, size_t body, struct slice key)
{
	size_t n = body + 80 + o->ans.user.len + o->ans.principal.len + o->ans.real.len + o->ans.cookie.len + key.len +
		   chain_need(o, key);
	unsigned i;

	for (i = 0; i < o->ans.head.events; i++)	/* they may name an ACL longer than the key's name */
		n += o->ans.event[i].key.len + 16;
	return o->out.left < n ? op_fail_num(o, E_TOO_BIG, n + sizeof(struct wire_ans_head), 0) : E_OK;
}

/* The request is copied once; what the other side does to its page afterwards is nobody's business. */
static enum wire_err take_request(struct svc_worker *w, struct shared req, struct cursor *in)
{
	size_t n = req.left;
	uint8_t *to = w->small;

	if (n > sizeof(w->small)) {
		if (n > CALL_LARGE_LEN)
			return E_BAD_MESSAGE;
		w->big_len = n;
		to = w->big = malloc(n);
		if (!to)
			return E_NO_MEMORY;
	}
	if (!shared_copy(&req, to, n))
		return E_BAD_MESSAGE;
	*in = cur_of(to, n);
	return E_OK;
}

/* What a request may carry that is secret: tokens, key material. */
static void drop_request(struct svc_worker *w, size_t len)
{
	uint8_t *big = w->big;

	mem_wipe(big ? big : w->small, big ? w->big_len : len <= sizeof(w->small) ? len : 0);
	w->big = NULL;
	free(big);
}

static uint32_t finish(struct op *o, uint32_t call, enum wire_err e, uint8_t *rsp, size_t room, uint32_t *len);

/* The answer is written before the lock is released: parts of it may stand in a key. */
static uint32_t run(uint32_t call, struct op *o, uint8_t *rsp, size_t room, uint32_t *len)
{
	const struct call_row *row = &calls[call];
	struct svc *s = o->s;
	enum wire_err e;
	uint32_t result;

	if (row->lock == LOCK_READ)
		pthread_rwlock_rdlock(&s->lock);
	else if (row->lock == LOCK_WRITE)
		pthread_rwlock_wrlock(&s->lock);
	o->cfg = row->lock == LOCK_NONE ? NULL : s->config;
	if (row->needs_config && !o->cfg)
		e = E_NO_CONFIG;
	else if ((row->needs_store && (s->store.state != STORE_READY || !s->chain.open)) ||
		 (row->needs_config && s->store.state == STORE_READY && !s->chain.open))
		e = E_NOT_READY;	/* nothing is decided that the audit chain does not hear of */
	else
		e = row->fn(o);
	result = finish(o, call, e, rsp, room, len);
	if (call < CALL_AUTH)	/* what a control call brings about comes later in the chain than itself */
		chain_link(o->w);
	if (row->lock != LOCK_NONE)
		pthread_rwlock_unlock(&s->lock);
	return result;
}

static uint32_t finish(struct op *o, uint32_t call, enum wire_err e, uint8_t *rsp, size_t room, uint32_t *len)
{
	size_t n;

	if (e == E_OK && !sink_ok(&o->out)) {
		chain_decide(o, call, e);
		/* The body did not fit; its size is known now, the rest is bounded. */
		e = op_fail_num(o, E_TOO_BIG,
				o->out.need + o->ans.user.len + o->ans.principal.len + o->ans.real.len +
					o->ans.cookie.len + o->ans.chain.len + 4096,
				0);
	}
	if (e != E_OK) {
		o->out = sink_of(rsp, room);
		wire_ans_begin(&o->out);
	}
	if (e == E_TOO_BIG || e == E_BUSY || e == E_GROUPS) {
		o->ans.cookie = slice_of("", 0);	/* who is made known is in the audit chain */
		o->ans.head.events = 0;	/* the call will be made again; its events belong to that */
		chain_undo(o);
	} else {
		chain_decide(o, call, e);
	}
	o->ans.head.err = (uint16_t)e;
	n = wire_ans_end(&o->out, rsp, &o->ans);
	if (n == 0) {
		/* What is around the body did not fit: a refusal can carry two long names and two events. */
		INVARIANT(e != E_TOO_BIG);
		o->ans.arg = slice_of("", 0);
		return finish(o, call, op_fail_num(o, E_TOO_BIG, o->out.need, 0), rsp, room, len);
	}
	chain_placed(o, rsp + n - o->ans.chain.len);
	*len = (uint32_t)n;
	return e;
}

uint32_t svc_call_more(struct svc *s, struct svc_worker *w, uint32_t call, struct shared req, uint8_t *rsp, size_t room,
		       uint32_t *len)
{
	struct op o = { .s = s, .w = w, .call = call };
	uint32_t e;

	*len = 0;
	if (call >= CALL_COUNT || !calls[call].fn || room < CALL_PAGE)
		return E_BAD_MESSAGE;
	e = take_request(w, req, &o.in);
	if (e != E_OK) {
		drop_request(w, req.left);
		return e;
	}
	o.ans.user = o.ans.principal = o.ans.real = o.ans.cookie = o.ans.arg = o.ans.chain = o.user = o.mark = o.reply =
		o.peer = o.claimed = slice_of("", 0);
	chain_begin(&o, call);
	o.now = clock_now(&s->clock);
	o.out = sink_of(rsp, room);
	wire_ans_begin(&o.out);
	e = run(call, &o, rsp, room, len);
	drop_request(w, req.left);
	return e;
}

void svc_calls_end(struct svc_worker *w)
{
	chain_link(w);
}

uint32_t svc_call(struct svc *s, struct svc_worker *w, uint32_t call, struct shared req, uint8_t *rsp, size_t room,
		  uint32_t *len)
{
	uint32_t e = svc_call_more(s, w, call, req, rsp, room, len);

	svc_calls_end(w);
	return e;
}
