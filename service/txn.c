/* SPDX-License-Identifier: Apache-2.0 */
/* See txn.h. Staging runs under the service's lock for reading; COMMIT holds it for writing. */
#include <malloc.h>
#include <stdlib.h>

#include "service/state.h"

#define SPARE (8u << 20)	   /* bytes */
#define SPARE_LANE (512u << 10)	   /* more for each worker: records to be loaded, and what is in them */

void txn_init(struct txn *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	t->next_ticket = 1;
}

static void change_free(struct change *c)
{
	key_free(c->made);
	free(c->own_name);
	mem_wipe(c, sizeof(*c));
	free(c);
}

void txn_reset(struct txn *t)
{
	struct change *c, *next;
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++) {
		for (c = t->bucket[i]; c; c = next) {
			next = c->next;
			change_free(c);
		}
		t->bucket[i] = t->by_ticket[i] = NULL;
	}
	t->pending = 0;
	t->bytes = 0;
	t->prepared = false;
	memset(&t->owner, 0, sizeof(t->owner));
}

/*
 * Keys stop growing while there is room for all else: what is there goes on being used, logins and configuration among
 * it, and a store that was filled opens again, with records in the hands of each worker. Looked at now and then, further
 * ahead if possible. Half of the spare room may be in pieces, such as deleted keys leave. Caller holds t->lock.
 */
static bool room_for(const struct op *o, struct txn *t, uint64_t bytes)
{
	struct mallinfo2 m;
	size_t spare = SPARE, step, pieces, i;
	bool there = false;
	void *p;

	if (bytes <= t->room_until)
		return true;
	m = mallinfo2();
	pieces = m.fordblks - m.keepcost;
	spare -= pieces < SPARE / 2 ? pieces : SPARE / 2;
	for (i = 0; i < ARRAY_LEN(o->s->workers); i++)
		spare += o->s->workers[i] ? SPARE_LANE : 0;
	for (step = SPARE; !there && step >= SPARE / 64; step /= 8) {
		p = malloc(spare + step);
		there = p;
		free(p);
		if (there)
			t->room_until = bytes + step / 2;
	}
	return there;
}

/* Reserves the key's name for this change, and a version for its record. */
static enum wire_err reserve(struct op *o, struct change *c, uint64_t *version)
{
	struct txn *t = &o->s->txn;
	struct change **b = &t->bucket[c->hash % TXN_BUCKETS], *other;
	enum wire_err e = E_OK;

	pthread_mutex_lock(&t->lock);
	for (other = *b; other; other = other->next)
		if (other->hash == c->hash && other->kind == c->kind && slice_eq(other->name, c->name))
			e = E_BUSY;
	if (e == E_OK && t->pending >= TXN_PENDING_MAX)
		e = op_fail_num(o, E_FULL, LIMIT_PENDING, 0);
	if (e == E_OK && c->made && o->cfg && o->cfg->memory_max &&
	    svc_memory(o->s) + t->bytes + key_size(c->made) > o->cfg->memory_max)
		e = op_fail_num(o, E_FULL, LIMIT_MEMORY, o->cfg->memory_max);
	if (e == E_OK && c->made && !room_for(o, t, svc_memory(o->s) + t->bytes + key_size(c->made)))
		e = E_NO_MEMORY;
	if (e == E_OK) {
		c->next = *b;
		*b = c;
		c->ticket = t->next_ticket++;
		c->ticket_next = t->by_ticket[c->ticket % TXN_BUCKETS];
		t->by_ticket[c->ticket % TXN_BUCKETS] = c;
		*version = t->next_version++;
		t->pending++;
		t->bytes += c->made ? key_size(c->made) : 0;
	}
	pthread_mutex_unlock(&t->lock);
	return e;
}

/* Unlinks without freeing. Caller holds t->lock. */
static void unlink_change(struct txn *t, struct change *c)
{
	struct change **at = &t->bucket[c->hash % TXN_BUCKETS];

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	at = &t->by_ticket[c->ticket % TXN_BUCKETS];
	while (*at != c)
		at = &(*at)->ticket_next;
	*at = c->ticket_next;
	t->pending--;
	t->bytes -= c->made ? key_size(c->made) : 0;
}

/*
 * Seals the new record, and only then copies it into the answer: sealing reads back what it wrote (salt,
 * ciphertext), and an answer's page may be somebody's to write. A salt put there twice would be one key
 * for two records.
 */
static enum wire_err seal_into(struct op *o, struct change *c, const uint8_t id[WIRE_ID_LEN], uint64_t version,
			       uint8_t *rec)
{
	struct store *st = &o->s->store;
	size_t len = key_encoded_len(c->made), sealed_len = len + SEAL_RECORD_OVERHEAD;
	uint8_t *sealed = malloc(sealed_len), *plain = malloc(len);
	struct sink p;
	enum rc rc;

	if (!plain || !sealed) {
		free(plain);
		free(sealed);
		return E_NO_MEMORY;
	}
	p = sink_of(plain, len);
	key_encode(&p, c->made);
	INVARIANT(sink_ok(&p) && p.left == 0);
	rc = seal_record(o->w, st, c->kind, id, version, plain, len, sealed, c->made->rec_tag);
	mem_wipe(plain, len);
	free(plain);
	if (rc == RC_OK)
		memcpy(rec, sealed, sealed_len);
	free(sealed);
	if (rc == RC_OK)
		rc = seal_element(o->w, st, id, version, c->made->rec_tag, &c->plus);
	if (rc != RC_OK)
		return E_RANDOM;
	c->made->rec_version = version;
	return E_OK;
}

/* The answer: staged := ticket remove id record kv, with room for the record left open. */
static enum wire_err put_staged(struct op *o, struct change *c, const struct key *old, uint64_t version,
				const struct wire_kv *kv)
{
	size_t len = c->made ? key_encoded_len(c->made) + SEAL_RECORD_OVERHEAD : 0;
	uint8_t id[WIRE_ID_LEN], *rec;
	enum wire_err e = E_OK;

	if (seal_record_id(o->w, &o->s->store, c->name, old ? old->rec_born : version, id) != RC_OK)
		return E_INTERNAL;
	if (c->made)
		c->made->rec_born = seal_record_born(id);
	if (old && seal_element(o->w, &o->s->store, id, old->rec_version, old->rec_tag, &c->minus) != RC_OK)
		return E_INTERNAL;
	sink_le64(&o->out, c->ticket);
	sink_u8(&o->out, c->made == NULL);
	sink_put(&o->out, id, sizeof(id));
	sink_le32(&o->out, (uint32_t)len);
	rec = sink_room(&o->out, len);
	if (rec && c->made)
		e = seal_into(o, c, id, version, rec);
	wire_kv_put(&o->out, kv);
	return e;
}

enum wire_err txn_stage(struct op *o, const struct key *old, struct key *made, const struct wire_kv *kv)
{
	struct change *c;
	uint64_t version = 0;
	enum wire_err e;

	/* Before anything is reserved. */
	e = op_room(o, (made ? key_encoded_len(made) + SEAL_RECORD_OVERHEAD : 0) + kv->name.len + kv->material.len,
		    key_name(made ? made : old));
	if (e != E_OK) {
		key_free(made);
		return e;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		key_free(made);
		return E_NO_MEMORY;
	}
	c->made = made;
	c->creates = !old;
	c->kind = made ? made->kind : old->kind;
	if (made) {
		c->name = key_name(made);
	} else {
		struct slice name = key_name(old);

		c->own_name = malloc(name.len);
		if (!c->own_name) {
			change_free(c);
			return E_NO_MEMORY;
		}
		memcpy(c->own_name, name.p, name.len);
		c->name = slice_of(c->own_name, name.len);
	}
	c->hash = keys_hash(svc_table(o->s, c->kind), c->name);
	e = reserve(o, c, &version);
	if (e != E_OK) {
		change_free(c);
		return e;
	}
	e = put_staged(o, c, old, version, kv);
	if (e == E_OK && !sink_ok(&o->out))
		e = E_TOO_BIG;
	pthread_mutex_lock(&o->s->txn.lock);
	if (e == E_OK)
		c->sealed = true;	/* from here on it is others' to commit or to abort */
	if (e == E_OK)
		o->ticket = c->ticket;
	else
		unlink_change(&o->s->txn, c);
	pthread_mutex_unlock(&o->s->txn.lock);
	if (e != E_OK)
		change_free(c);
	return e;
}

struct slice secret_get(const struct svc *s, const char *name)
{
	const struct key *k = keys_find(&s->secrets, slice_str(name));

	return k ? key_view(k).material : slice_of(NULL, 0);
}

enum wire_err secret_stage(struct op *o, const char *name, struct slice bytes)
{
	const struct wire_kv none = { 0 };
	struct key *made = NULL, *old = keys_find(&o->s->secrets, slice_str(name));
	struct slice now = secret_get(o->s, name);
	struct key_view v = { .kind = KIND_SECRET, .created = o->now, .bits = 8, .versions = (uint32_t)bytes.len,
			      .name = slice_str(name), .material = bytes };

	if (bytes.len == now.len && (bytes.len == 0 || ct_equal(bytes.p, now.p, now.len)))
		return E_OK;
	if (bytes.len > SECRET_BYTES_MAX)
		return op_fail_num(o, E_LIMIT, SECRET_BYTES_MAX, 0);
	if (bytes.len && key_new(&v, &made) != RC_OK)
		return E_NO_MEMORY;
	return txn_stage(o, old, made, &none);
}

/*
 * Tickets count up, so the other side can name one before it was given: a change that is still being
 * sealed does not exist for HEAD and ABORT. Caller holds t->lock.
 */
static struct change *find_ticket(struct txn *t, uint64_t ticket)
{
	struct change *c = t->by_ticket[ticket % TXN_BUCKETS];

	while (c && c->ticket != ticket)
		c = c->ticket_next;
	return c && c->sealed ? c : NULL;
}

/* Marks the listed changes as part of the next head and sums them up. Caller holds t->lock. */
static enum wire_err prepare(struct txn *t, struct cursor tickets, struct head *h)
{
	struct change *c;
	uint64_t ticket;

	while (cur_le64(&tickets, &ticket)) {
		c = find_ticket(t, ticket);
		if (!c || c->in_head)	/* unknown, or named twice */
			return E_STATE;
		c->in_head = true;
		set_sub(&h->sum, &c->minus);
		set_add(&h->sum, &c->plus);
		if (c->creates)
			h->count++;
		if (!c->made)
			h->count--;
	}
	return E_OK;
}

static void unprepare(struct txn *t)
{
	struct change *c;
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++)
		for (c = t->bucket[i]; c; c = c->next)
			c->in_head = false;
	t->prepared = false;
}

/* Body of a successful HEAD: epoch:u64 head:str16. num[0]: the last entry of the audit chain that it vouches for. */
enum wire_err op_head(struct op *o)
{
	struct store *st = &o->s->store;
	struct txn *t = &o->s->txn;
	uint8_t sealed[SEAL_HEAD_LEN];
	struct wire_tickets_req m;
	uint64_t epoch = 0;
	enum wire_err e;

	if (wire_tickets_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	if (st->state != STORE_READY)
		return E_STATE;
	pthread_mutex_lock(&t->lock);
	if (t->prepared) {
		e = E_STATE;
	} else {
		t->head = st->head;
		e = prepare(t, m.ticket, &t->head);
		/* Never the number of a head that was sealed and then given up: it opens a store all the same. */
		t->head.epoch = t->last_epoch + 1;
		t->head.next_version = t->next_version;
		t->head.time_ms = o->now;
		t->head.owner = t->owner;
		t->head.chain = chain_position(o->s);
		if (e == E_OK && seal_head(o->w, st, &t->head, sealed) != RC_OK)
			e = E_RANDOM;
		epoch = t->head.epoch;
		if (e == E_OK) {
			o->ans.head.num[0] = t->head.chain.seq;
			t->prepared = true;
			t->last_epoch = epoch;
		} else {
			unprepare(t);
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (e == E_OK) {
		sink_le64(&o->out, epoch);
		sink_str16(&o->out, slice_of(sealed, sizeof(sealed)));
	}
	return e;
}

/* Takes every change in the head out of the table of pending ones. Caller holds t->lock. */
static struct change *take_prepared(struct txn *t)
{
	struct change *list = NULL, *c, *next;
	size_t i;

	for (i = 0; i < TXN_BUCKETS; i++)
		for (c = t->bucket[i]; c; c = next) {
			next = c->next;
			if (!c->in_head)
				continue;
			unlink_change(t, c);
			c->next = list;
			list = c;
		}
	t->prepared = false;
	return list;
}

static void apply(struct svc *s, struct change *c)
{
	struct keys *t = svc_table(s, c->kind);
	struct key *old = c->creates ? NULL : keys_find(t, c->name);

	INVARIANT(c->creates || old);
	if (!c->made && c->kind == KIND_TOKEN)
		dtoken_uncounted(s, c->name);
	if (!c->made)
		keys_remove(t, old);
	else if (old)
		keys_replace(t, old, c->made);
	else
		INVARIANT(keys_add(t, c->made) == RC_OK);
	c->made = NULL;
}

/*
 * For the audit chain's entry about tickets: memory for all that are pending, and room for it in the answer; before
 * anything is changed. Caller holds t->lock.
 */
static enum wire_err tickets_room(struct op *o, uint64_t **out)
{
	size_t n = o->s->txn.pending + 1u, need = 8 * n + CHAIN_FRAME_EXTRA + CHAIN_ENTRY_MIN + 64;

	if (o->out.left < need)
		return op_fail_num(o, E_TOO_BIG, need + sizeof(struct wire_ans_head), 0);
	*out = malloc(8 * n);
	return *out ? E_OK : E_NO_MEMORY;
}

/* Frees room. */
static void note_tickets(struct op *o, enum chain_control what, uint64_t epoch, const struct change *list, uint64_t *room)
{
	size_t n = 0;

	room[n++] = epoch;
	for (; list; list = list->next)
		room[n++] = list->ticket;
	if (n > 1)
		chain_control(o, what, E_OK, slice_of(room, 8 * n));
	free(room);
}

/* Caller holds the service's lock for writing: what becomes visible does so all at once. */
enum wire_err op_commit(struct op *o)
{
	struct svc *s = o->s;
	struct change *list, *c, *next;
	struct wire_tickets_req m;
	uint32_t creates[KIND_COUNT][KEYS_SHARDS] = { 0 };
	uint64_t *noted;
	enum wire_err e;
	uint8_t kind;
	size_t i;

	if (wire_tickets_req_get(o->in, &m) != RC_OK || m.count != 0)
		return E_BAD_MESSAGE;
	pthread_mutex_lock(&s->txn.lock);
	e = s->txn.prepared && m.epoch == s->txn.head.epoch ? tickets_room(o, &noted) : E_STATE;
	if (e != E_OK) {
		pthread_mutex_unlock(&s->txn.lock);
		return e;
	}
	/* All memory first: after this point nothing can fail. */
	for (i = 0; i < TXN_BUCKETS; i++)
		for (c = s->txn.bucket[i]; c; c = c->next)
			creates[c->kind][keys_shard(c->hash)] += c->in_head && c->creates;
	for (kind = KIND_KEY; kind < KIND_COUNT; kind++)
		if (keys_reserve_more(svc_table(s, kind), creates[kind]) != RC_OK) {
			pthread_mutex_unlock(&s->txn.lock);
			free(noted);
			return E_NO_MEMORY;
		}
	list = take_prepared(&s->txn);
	s->store.head = s->txn.head;
	pthread_mutex_unlock(&s->txn.lock);
	note_tickets(o, CHAIN_COMMIT, m.epoch, list, noted);
	for (c = list; c; c = next) {
		next = c->next;
		apply(s, c);
		change_free(c);
	}
	return E_OK;
}

/* Drops the prepared group if its epoch is given, and every listed change. Unknown tickets are skipped. */
enum wire_err op_abort(struct op *o)
{
	struct txn *t = &o->s->txn;
	struct change *list = NULL, *c, *next;
	struct wire_tickets_req m;
	uint64_t ticket, *noted;
	enum wire_err e;

	if (wire_tickets_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	pthread_mutex_lock(&t->lock);
	e = tickets_room(o, &noted);
	if (e != E_OK) {
		pthread_mutex_unlock(&t->lock);
		return e;
	}
	if (t->prepared && m.epoch == t->head.epoch)
		list = take_prepared(t);
	while (cur_le64(&m.ticket, &ticket)) {
		c = find_ticket(t, ticket);
		if (!c || c->in_head)
			continue;
		unlink_change(t, c);
		c->next = list;
		list = c;
	}
	pthread_mutex_unlock(&t->lock);
	note_tickets(o, CHAIN_ABORT, m.epoch, list, noted);
	for (c = list; c; c = next) {
		next = c->next;
		if (c->creates && c->kind == KIND_TOKEN)
			dtoken_uncounted(o->s, c->name);
		change_free(c);
	}
	return E_OK;
}
