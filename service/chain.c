/* SPDX-License-Identifier: Apache-2.0 */
/* See chain.h. */
#include "service/state.h"

void chain_init(struct chain *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
}

void chain_wipe(struct chain *c)
{
	mem_wipe(&c->sign, sizeof(c->sign));
	crypto_mac_key_wipe(&c->tail);
	memset(c->public, 0, sizeof(c->public));
	c->open = false;
}

/* Number 0: what the first entry is linked to. */
static void genesis(struct op *o, struct chain_at *at)
{
	INVARIANT(crypto_sha256_two(o->w->crypto, slice_str(CHAIN_GENESIS), slice_of(o->s->store.id, 16), at->hash) ==
		  RC_OK);
}

enum rc chain_ready(struct op *o)
{
	struct chain *c = &o->s->chain;
	SECRET tail = { 0 };
	enum rc rc;

	rc = seal_subkey(o->w, &o->s->store, "svsm-kms audit signing", &c->sign);
	if (rc == RC_OK)
		rc = seal_subkey(o->w, &o->s->store, "svsm-kms audit tail", &tail);
	if (rc == RC_OK)
		rc = crypto_ed25519_public(&c->sign, c->public);
	crypto_mac_key_set(&c->tail, tail.b, sizeof(tail.b));
	if (o->s->store.head.chain.seq == 0)
		genesis(o, &o->s->store.head.chain);
	c->at = c->base = o->s->store.head.chain;
	c->open = false;
	return rc;
}

void chain_public(const struct svc *s, uint8_t out[CHAIN_KEY_LEN])
{
	memcpy(out, s->chain.public, CHAIN_KEY_LEN);
}

struct chain_at chain_position(struct svc *s)
{
	struct chain_at at;

	pthread_mutex_lock(&s->chain.lock);
	at = s->chain.at;
	pthread_mutex_unlock(&s->chain.lock);
	return at;
}

/* ---- linking ---- */

static void tail_mac(struct svc_worker *w, uint64_t seq, const uint8_t hash[CHAIN_HASH_LEN], uint8_t mac[CHAIN_MAC_LEN])
{
	struct slice parts[] = { slice_of(&seq, sizeof(seq)), slice_of(hash, CHAIN_HASH_LEN) };
	uint8_t full[CRYPTO_HASH_LEN];

	INVARIANT(crypto_mac(w->crypto, MAC_CHAIN, &w->svc->chain.tail, parts, ARRAY_LEN(parts), full) == RC_OK);
	memcpy(mac, full, CHAIN_MAC_LEN);
}

static uint32_t frame_len(const uint8_t *f)
{
	uint32_t len;

	memcpy(&len, f, sizeof(len));
	return len;
}

/* Gives the frame the next number and its hash. Caller holds the chain's lock. */
static void link_frame(struct svc_worker *w, uint8_t *f)
{
	struct chain *c = &w->svc->chain;
	uint32_t len = frame_len(f);

	c->at.seq++;
	memcpy(f + 4, &c->at.seq, sizeof(c->at.seq));
	INVARIANT(crypto_sha256_two(w->crypto, slice_of(c->at.hash, CHAIN_HASH_LEN), slice_of(f + 4, len), c->at.hash) ==
		  RC_OK);
	memcpy(f + 4 + len, c->at.hash, CHAIN_HASH_LEN);
}

void chain_link(struct svc_worker *w)
{
	struct chain_out *out = w->chain;
	uint8_t *last = out->b;
	uint64_t seq;
	size_t i;

	if (out->len == 0)
		return;
	pthread_mutex_lock(&w->svc->chain.lock);
	for (i = out->linked; i < out->len; i += frame_len(out->b + i) + CHAIN_FRAME_EXTRA)
		link_frame(w, out->b + i);
	pthread_mutex_unlock(&w->svc->chain.lock);
	/* The other side gets them together, so it is enough that a file can end with the last one. */
	for (i = 0; i < out->len; i += frame_len(out->b + i) + CHAIN_FRAME_EXTRA)
		last = out->b + i;
	memcpy(&seq, last + 4, sizeof(seq));
	last += 4 + frame_len(last);
	tail_mac(w, seq, last, last + CHAIN_HASH_LEN);
	for (i = 0; i < out->places; i++)
		memcpy(out->place[i].to, out->b + out->place[i].off, out->place[i].len);
	out->len = out->linked = out->places = 0;
}

/* ---- the entries of one call ---- */

void chain_begin(struct op *o, uint32_t call)
{
	struct chain_out *out = o->w->chain;

	if (call < CALL_AUTH || CHAIN_BUF - out->len < CHAIN_CALL_MAX || out->places == CALL_RING)
		chain_link(o->w);
	o->chain_from = out->len;
}

void chain_undo(struct op *o)
{
	o->w->chain->len = o->chain_from;
	o->ans.chain = slice_of("", 0);
}

void chain_placed(struct op *o, uint8_t *to)
{
	struct chain_out *out = o->w->chain;

	if (o->ans.chain.len == 0)
		return;
	out->place[out->places].to = to;
	out->place[out->places].off = (uint32_t)o->chain_from;
	out->place[out->places++].len = (uint32_t)o->ans.chain.len;
}

/* Returns the frame's place. */
static uint8_t *put(struct op *o, struct chain_entry *e)
{
	struct chain_out *out = o->w->chain;
	uint8_t *at = out->b + out->len;
	struct sink s = sink_of(at, CHAIN_BUF - out->len);

	e->time_ms = o->now;
	e->lane = o->w->number;
	chain_frame_put(&s, e);
	INVARIANT(sink_ok(&s));
	out->len += s.need;
	o->ans.chain = slice_of(out->b + o->chain_from, out->len - o->chain_from);
	return at;
}

#define NONE slice_of("", 0)

void chain_see(struct op *o, const struct wire_cred *cred)
{
	o->peer = cred->peer;
	o->shown = cred->has_cookie || cred->has_token || cred->has_negotiate ||
		   (cred->has_user && o->cfg->auth == AUTH_SIMPLE);	/* elsewhere a name shows nothing */
	o->claimed = cred->has_user ? cred->user : NONE;
}

void chain_control(struct op *o, enum chain_control what, enum wire_err result, struct slice detail)
{
	struct chain_entry e = { .type = CHAIN_CONTROL, .op = (uint8_t)what, .result = (uint8_t)result, .user = NONE,
				 .principal = NONE, .real = NONE, .key = NONE, .peer = NONE, .detail = detail };

	e.status = result == E_OK ? EVENT_OK : CHAIN_FAILED;
	if (o->s->chain.open)
		put(o, &e);
}

/* What a call asks for, where no event says it. */
static const uint8_t asked[CALL_COUNT] = {
	[CALL_AUTH] = CHAIN_OP_AUTH,
	[CALL_ADMIN] = CHAIN_OP_ADMIN,
	[CALL_DT_GET] = CHAIN_OP_DT_GET,
	[CALL_DT_RENEW] = CHAIN_OP_DT_RENEW,
	[CALL_DT_CANCEL] = CHAIN_OP_DT_CANCEL,
	[CALL_CREATE] = OP_CREATE_KEY,
	[CALL_IMPORT] = OP_CREATE_KEY,
	[CALL_DELETE] = OP_DELETE_KEY,
	[CALL_ROLL] = OP_ROLL_NEW_VERSION,
	[CALL_INVALIDATE] = OP_INVALIDATE_CACHE,
	[CALL_NAMES] = OP_GET_KEYS,
	[CALL_METADATA] = OP_GET_METADATA,
	[CALL_METADATAS] = OP_GET_KEYS_METADATA,
	[CALL_CURRENT] = OP_GET_CURRENT_KEY,
	[CALL_VERSION_GET] = OP_GET_KEY_VERSION,
	[CALL_VERSIONS] = OP_GET_KEY_VERSIONS,
	[CALL_GENERATE] = OP_GENERATE_EEK,
	[CALL_DECRYPT] = OP_DECRYPT_EEK,
	[CALL_REENCRYPT] = OP_REENCRYPT_EEK,
	[CALL_REENCRYPT_BATCH] = OP_REENCRYPT_EEK_BATCH,
};

static struct slice note_text(uint8_t note)
{
	static const char *const text[] = { "", "empty cookie", "unsigned cookie", "cookie's signature", "cookie's form",
					    "cookie incomplete", "cookie's type", "cookie expired", "user name" };

	return slice_str(note < ARRAY_LEN(text) ? text[note] : "");
}

/* What nobody decided: the message was none, or came too early. */
static bool is_no_decision(const struct op *o, enum wire_err e)
{
	return e == E_BAD_MESSAGE || e == E_NO_CONFIG || e == E_NOT_READY || e == E_STATE ||
	       (e == E_UNAUTHENTICATED && !o->shown);
}

void chain_decide(struct op *o, uint32_t call, enum wire_err err)
{
	const struct wire_ans *a = &o->ans;
	struct chain_entry e = { .type = CHAIN_DECISION, .result = (uint8_t)err, .user = a->user,
				 .principal = a->principal, .real = a->real, .key = NONE, .peer = o->peer, .detail = NONE };
	size_t i;

	if (call < CALL_AUTH || !o->s->chain.open || is_no_decision(o, err))
		return;
	for (i = 0; i < a->head.events; i++) {
		e.status = a->event[i].status;
		e.op = a->event[i].op;
		e.key = a->event[i].has_key ? a->event[i].key : NONE;
		e.detail = e.status == EVENT_OK && o->ticket ? slice_of(&o->ticket, sizeof(o->ticket)) : NONE;
		put(o, &e);
	}
	if (a->head.events && err == E_OK && a->event[i - 1].status == EVENT_OK)
		return;
	if (a->head.events && err != E_OK && a->event[i - 1].status != EVENT_OK)
		return;
	e.op = asked[call];
	e.key = NONE;
	e.status = err == E_OK ? EVENT_OK : CHAIN_FAILED;
	e.detail = err == E_OK ? NONE : a->arg;
	if (err == E_UNAUTHENTICATED || err == E_NEGOTIATE || err == E_TOKEN) {
		e.status = CHAIN_UNAUTHENTICATED;
		e.user = o->claimed;
		e.detail = err == E_UNAUTHENTICATED ? note_text(a->head.note) : a->arg;
	}
	put(o, &e);
}

size_t chain_need(const struct op *o, struct slice key)
{
	size_t one = CHAIN_FRAME_EXTRA + CHAIN_ENTRY_MIN + o->ans.user.len + o->ans.principal.len + o->ans.real.len +
		     o->peer.len + sizeof(o->ticket);
	size_t n = 2 * one + key.len;
	unsigned i;

	for (i = 0; i < o->ans.head.events; i++)
		n += one + o->ans.event[i].key.len;
	return n;
}

/* ---- calls ---- */

/*
 * One entry of the chain itself, linked at once; make() writes its detail. RC_MACHINE: it cannot, and there is no
 * entry. Caller holds the chain's lock, and nothing of this worker waits to be linked: chain_begin() saw to that.
 */
static enum rc put_linked(struct op *o, enum chain_type type, struct slice (*make)(struct op *o, uint8_t *room))
{
	struct chain_entry e = { .type = (uint8_t)type, .status = EVENT_OK, .user = NONE, .principal = NONE, .real = NONE,
				 .key = NONE, .peer = NONE, .detail = NONE };
	uint8_t room[512];

	INVARIANT(o->w->chain->linked == o->w->chain->len);
	if (make)
		e.detail = make(o, room);
	if (!e.detail.p)
		return RC_MACHINE;
	link_frame(o->w, put(o, &e));
	o->w->chain->linked = o->w->chain->len;
	return RC_OK;
}

static struct slice make_start(struct op *o, uint8_t *room)
{
	struct svc *s = o->s;
	struct chain_start m = { .isolation = s->opt.isolation, .epoch = s->store.head.epoch,
				 .config_version = s->config_by.by.version };
	struct sink t = sink_of(room, 512);

	m.loss = o->loss;
	memcpy(m.loss.prev, s->chain.at.hash, sizeof(m.loss.prev));
	memcpy(m.store_id, s->store.id, sizeof(m.store_id));
	chain_public(s, m.public);
	memcpy(m.owner, s->txn.owner.id, sizeof(m.owner));
	memcpy(m.config_hash, s->config_hash, sizeof(m.config_hash));
	chain_start_put(&t, &m);
	return slice_of(room, t.need);
}

static struct slice make_gap(struct op *o, uint8_t *room)
{
	struct sink t = sink_of(room, 512);

	o->loss.to = o->s->chain.at.seq;
	memcpy(o->loss.prev, o->s->chain.at.hash, sizeof(o->loss.prev));
	chain_loss_put(&t, &o->loss);
	return slice_of(room, t.need);
}

/* The signature is made with the lock held: it is of the entry right before. */
static struct slice make_checkpoint(struct op *o, uint8_t *room)
{
	struct svc *s = o->s;
	struct chain_checkpoint m = { .seq = s->chain.at.seq, .epoch = s->store.head.epoch };
	uint8_t text[CHAIN_SIGNED_LEN];
	struct sink t = sink_of(text, sizeof(text)), out = sink_of(room, 512);

	memcpy(m.store_id, s->store.id, sizeof(m.store_id));
	memcpy(m.hash, s->chain.at.hash, sizeof(m.hash));
	chain_public(s, m.public);
	chain_signed_put(&t, &m, o->now);
	INVARIANT(sink_ok(&t));
	if (crypto_ed25519_sign(&s->chain.sign, slice_of(text, sizeof(text)), m.signature) != RC_OK)
		return slice_of(NULL, 0);
	chain_checkpoint_put(&out, &m);
	return slice_of(room, out.need);
}

/* The place that the request names, which must be ours; *given false: none is named. What follows is left in o->in. */
static enum wire_err take_tail(struct op *o, struct chain_at *out, bool *given)
{
	uint8_t mac[CHAIN_MAC_LEN];
	struct chain_tail t;
	struct slice blob;

	if (!cur_str16(&o->in, CHAIN_TAIL_LEN, &blob))
		return E_BAD_MESSAGE;
	*given = blob.len != 0;
	if (!*given)
		return E_OK;
	if (chain_tail_get(blob, &t) != RC_OK)
		return E_BAD_MESSAGE;
	tail_mac(o->w, t.seq, t.hash, mac);
	if (!ct_equal(mac, t.mac, sizeof(mac)))
		return op_fail_num(o, E_AUDIT, CHAIN_FOREIGN, 0);
	out->seq = t.seq;
	memcpy(out->hash, t.hash, sizeof(out->hash));
	return E_OK;
}

/*
 * Takes the chain up at the last entry of the file, or where the store's head saw it last, whichever is later:
 * what the head, or the other side, knows of and the file has not is lost, and the START entry says so.
 */
enum wire_err op_audit_resume(struct op *o)
{
	struct chain *c = &o->s->chain;
	const struct chain_at *sealed = &o->s->store.head.chain;
	struct chain_resumed r = { .sealed = sealed->seq };
	struct chain_at file = { 0 };
	uint64_t seen;
	enum wire_err e;
	bool given;
	enum rc rc;

	if (o->s->store.state != STORE_READY || c->open)
		return E_STATE;
	e = take_tail(o, &file, &given);
	if (e != E_OK)
		return e;
	if (!cur_le64(&o->in, &seen) || !cur_end(&o->in) || seen > UINT64_MAX / 2)
		return E_BAD_MESSAGE;
	if (given && file.seq == sealed->seq && !ct_equal(file.hash, sealed->hash, sizeof(file.hash)))
		return op_fail_num(o, E_AUDIT, CHAIN_FORKED, file.seq);
	c->at = given && file.seq > sealed->seq ? file : *sealed;
	if (seen > c->at.seq)
		c->at.seq = seen;
	c->base = c->at;
	o->loss = (struct chain_loss){ .from = file.seq + 1, .to = c->at.seq };
	memcpy(o->loss.before, file.hash, sizeof(file.hash));
	r.lost = c->at.seq > file.seq ? c->at.seq - file.seq : 0;
	r.at.seq = c->at.seq;
	memcpy(r.at.hash, c->at.hash, sizeof(r.at.hash));
	memcpy(r.at.store_id, o->s->store.id, sizeof(r.at.store_id));
	c->open = true;
	c->checked = 0;
	pthread_mutex_lock(&c->lock);
	rc = put_linked(o, CHAIN_START, make_start);
	pthread_mutex_unlock(&c->lock);
	INVARIANT(rc == RC_OK);
	chain_resumed_put(&o->out, &r);
	return E_OK;
}

/* Request: final:u8. Body: made:u8, and a signed checkpoint in the chain, if there was anything new. */
enum wire_err op_audit_checkpoint(struct op *o)
{
	struct chain *c = &o->s->chain;
	uint8_t final;
	enum rc rc = RC_OK;
	bool made;

	if (!cur_u8(&o->in, &final) || final > 1 || !cur_end(&o->in))
		return E_BAD_MESSAGE;
	pthread_mutex_lock(&c->lock);
	made = final || c->at.seq != c->checked;
	if (final)
		rc = put_linked(o, CHAIN_STOP, NULL);
	if (made && rc == RC_OK)
		rc = put_linked(o, CHAIN_CHECKPOINT, make_checkpoint);
	if (made && rc == RC_OK)
		c->checked = c->at.seq;
	pthread_mutex_unlock(&c->lock);
	sink_u8(&o->out, made);
	return rc == RC_OK ? E_OK : E_NO_MEMORY;
}

/* Request: the last entry that is in the file, or nothing if there is none since RESUME. Everything after is given up. */
enum wire_err op_audit_gap(struct op *o)
{
	struct chain *c = &o->s->chain;
	struct chain_at last;
	enum wire_err e;
	bool given;

	e = take_tail(o, &last, &given);
	if (e == E_OK && !cur_end(&o->in))
		e = E_BAD_MESSAGE;
	if (e != E_OK)
		return e;
	if (!given)
		last = c->base;
	pthread_mutex_lock(&c->lock);
	if (last.seq >= c->at.seq) {
		e = E_STATE;
	} else {
		o->loss.from = last.seq + 1;
		memcpy(o->loss.before, last.hash, sizeof(last.hash));
		if (put_linked(o, CHAIN_GAP, make_gap) != RC_OK)
			e = E_INTERNAL;
	}
	pthread_mutex_unlock(&c->lock);
	return e;
}
