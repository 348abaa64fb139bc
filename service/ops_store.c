/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control calls: configuration, opening and making a store, recovery, status. They come from whoever
 * started the service, and are as hostile as any other.
 */
#include <stdlib.h>

#include "service/rights.h"
#include "service/state.h"

#define SECRETS "svsm.secret."	/* how the names of properties begin that are secrets in the clear */

/* Body: isolation:u32 version:str16 */
enum wire_err op_hello(struct op *o)
{
	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	sink_le32(&o->out, o->s->opt.isolation);
	sink_str16(&o->out, slice_str(SVSM_VERSION));
	return E_OK;
}

/* Of an unsigned configuration, for the audit chain: every property but the secrets, as they came. */
static enum rc config_digest(struct op *o, const struct wire_config_req *m, uint8_t out[CRYPTO_HASH_LEN])
{
	struct cursor in = m->property;
	struct slice name, value;
	enum rc rc = RC_OK;

	memset(out, 0, CRYPTO_HASH_LEN);
	while (rc == RC_OK && wire_property_next(&in, &name, &value)) {
		uint64_t lens[2] = { name.len, value.len };
		struct slice parts[] = { slice_of(lens, sizeof(lens)), name, value };
		size_t i;

		if (slice_starts(name, SECRETS))
			continue;
		for (i = 0; rc == RC_OK && i < ARRAY_LEN(parts); i++)
			rc = crypto_sha256_two(o->w->crypto, slice_of(out, CRYPTO_HASH_LEN), parts[i], out);
	}
	return rc;
}

/* What was asked to be in force, and whether it is. Caller holds the lock. */
static void note_config(struct op *o, enum wire_err e, uint64_t version, const uint8_t hash[CRYPTO_HASH_LEN])
{
	uint8_t detail[8 + CRYPTO_HASH_LEN + 32];
	struct sink s = sink_of(detail, sizeof(detail));

	sink_le64(&s, version);
	sink_put(&s, hash, CRYPTO_HASH_LEN);
	sink_put(&s, o->s->txn.owner.id, sizeof(o->s->txn.owner.id));
	chain_control(o, CHAIN_CONFIG, e, slice_of(detail, sizeof(detail)));
}

/* A bundle is a file that others read: its signature keeps no secret. RC_BAD_INPUT as config_parse() does. */
static enum rc bundle_check(struct cursor in, struct slice *bad, const char **why)
{
	struct slice value;

	*why = "a secret in the clear has no place in a bundle, which others can read: sign again with `svsm-kms owner "
	       "sign`, which seals the keytab (--keytab FILE --core-key HEX) and leaves other secrets out, and change those "
	       "that were in it";
	while (wire_property_next(&in, bad, &value))
		if (slice_starts(*bad, SECRETS))
			return RC_BAD_INPUT;
	return RC_OK;
}

/* Parses, judges, puts in force. by: who signed it, or NULL. */
static enum wire_err configure(struct op *o, const struct wire_config_req *m, const struct signed_by *by)
{
	struct svc *s = o->s;
	struct config *made = NULL, *old;
	uint8_t hash[CRYPTO_HASH_LEN];
	struct slice bad;
	const char *why;
	enum wire_err e;
	enum rc rc;

	rc = by ? bundle_check(m->property, &bad, &why) : RC_OK;
	if (rc == RC_OK)
		rc = config_parse(m, &made, &bad, &why);
	if (rc == RC_BAD_INPUT) {
		char text[512];
		struct sink t = sink_of(text, sizeof(text));

		sink_put(&t, bad.p, bad.len < 300 ? bad.len : 300);
		sink_put(&t, ": ", 2);
		sink_put(&t, why, strlen(why));
		op_arg(o, slice_of(text, sizeof(text) - t.left));
		return E_CONFIG;
	}
	if (rc != RC_OK)
		return E_NO_MEMORY;
	old = made;
	if (by)
		memcpy(hash, by->by.hash, sizeof(hash));
	else if (config_digest(o, m, hash) != RC_OK)
		memset(hash, 0, sizeof(hash));
	pthread_rwlock_wrlock(&s->lock);
	e = owner_judge(o, by);
	if (e == E_OK)
		e = keytab_take(o, made, by);
	/*
	 * Authenticators from before the start are taken: a client whose clock is behind would be refused for minutes. Who
	 * carried one for the service that ended had the cookie for it already.
	 */
	if (e == E_OK && made->auth != AUTH_SIMPLE && !s->replay.bucket &&
	    krb_replay_init(&s->replay, o->w->crypto, &o->w->random) != RC_OK)
		e = E_NO_MEMORY;
	if (e == E_OK && signer_configure(o->w, &s->signer, made, o->now) != RC_OK)
		e = E_RANDOM;
	if (e == E_OK) {
		old = s->config;
		s->config = made;
		owner_take(s, by);
		memcpy(s->config_hash, hash, sizeof(hash));
	}
	note_config(o, e, by ? by->by.version : 0, hash);
	pthread_rwlock_unlock(&s->lock);
	config_free(old);
	return e;
}

enum wire_err op_config(struct op *o)
{
	struct wire_config_req m;

	if (wire_config_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	return configure(o, &m, NULL);
}

enum wire_err op_config_signed(struct op *o)
{
	struct wire_signed_req m;
	struct signed_by by = { 0 };
	enum rc rc;

	if (wire_signed_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	rc = crypto_verify(m.public_der, m.text, m.signature);
	if (rc != RC_OK)
		return rc == RC_MACHINE ? E_NO_MEMORY : E_OWNER_SIGNATURE;
	by.by.version = m.version;
	by.flags = m.flags;
	memcpy(by.store_id, m.store_id, sizeof(by.store_id));
	if (crypto_sha256(m.public_der.p, m.public_der.len, by.by.id) != RC_OK ||
	    crypto_sha256(m.text.p, m.text.len, by.by.hash) != RC_OK)
		return E_INTERNAL;
	return configure(o, &m.config, &by);
}

enum wire_err op_status(struct op *o)
{
	struct svc *s = o->s;
	uint8_t probe;
	struct wire_status st = {
		.isolation = s->opt.isolation,
		.store = s->store.state,
		.keys = s->keys.count,
		.epoch = s->store.head.epoch,
		.memory = svc_memory(s),
		.tokens = s->tokens.count,
		.memory_limit = s->config ? s->config->memory_max : 0,
		.memory_locked = s->opt.memory_locked,
		.config = !s->config ? CONFIG_NONE : owner_set(&s->config_by.by) ? CONFIG_SIGNED : CONFIG_UNSIGNED,
		.config_version = s->config_by.by.version,
	};

	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	pthread_mutex_lock(&s->txn.lock);
	st.pending = s->txn.pending;
	memcpy(st.owner, s->txn.owner.id, sizeof(st.owner));
	st.owner_unsealed = s->store.state == STORE_READY &&
			    memcmp(&s->txn.owner, &s->store.head.owner, sizeof(s->txn.owner)) != 0;
	pthread_mutex_unlock(&s->txn.lock);
	st.keytab = keytab_state(o);
	st.random_ok = crypto_random_get(o->w->crypto, &o->w->random, &probe, 1) == RC_OK;
	memcpy(st.store_id, s->store.id, sizeof(st.store_id));
	if (s->store.state == STORE_READY) {
		struct chain_at at = chain_position(s);

		st.chain_seq = at.seq;
		memcpy(st.chain_hash, at.hash, sizeof(st.chain_hash));
		chain_public(s, st.audit_key);
		memcpy(st.upload_key, s->upload_key, sizeof(st.upload_key));
	}
	sink_put(&o->out, &st, sizeof(st));
	return E_OK;
}

static enum wire_err start_keys(struct op *o)
{
	uint64_t seed[2];
	uint8_t kind;

	if (crypto_random_get(o->w->crypto, &o->w->random, seed, sizeof(seed)) != RC_OK)
		return E_RANDOM;
	for (kind = KIND_KEY; kind < KIND_COUNT; kind++) {
		keys_wipe(svc_table(o->s, kind));
		keys_init(svc_table(o->s, kind), seed);
	}
	dtoken_counts_init(&o->s->dtokens, seed);
	txn_reset(&o->s->txn);
	return E_OK;
}

/* Body: slot:str16 head:str16. A new, empty store; ready at once. */
enum wire_err op_store_create(struct op *o)
{
	struct svc *s = o->s;
	struct store *st = &s->store;
	uint8_t slot[SEAL_SLOT_PLATFORM_LEN], head[SEAL_HEAD_LEN];
	enum wire_err e;
	enum rc rc;

	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	if (st->state != STORE_NONE)
		return E_STATE;
	e = start_keys(o);
	if (e != E_OK)
		return e;
	rc = crypto_random_get(o->w->crypto, &o->w->random, st->id, sizeof(st->id));
	if (rc == RC_OK)
		rc = crypto_random_get(o->w->crypto, &o->w->random, st->root.b, sizeof(st->root.b));
	if (rc == RC_OK)
		rc = seal_derive(o->w, st);
	st->head = (struct head){ .epoch = 1, .next_version = 1, .time_ms = o->now };
	s->txn.next_version = 1;
	s->txn.last_epoch = 1;
	if (rc == RC_OK)
		rc = seal_slot_platform(o->w, st, &s->opt.platform_key, slot);
	if (rc == RC_OK)
		rc = seal_head(o->w, st, &st->head, head);
	if (rc != RC_OK) {
		seal_wipe(st);
		return E_RANDOM;
	}
	if (chain_ready(o) != RC_OK || keytab_upload_key(o) != RC_OK) {
		seal_wipe(st);
		return E_INTERNAL;
	}
	st->state = STORE_READY;
	owner_at_ready(o);
	sink_str16(&o->out, slice_of(slot, sizeof(slot)));
	sink_str16(&o->out, slice_of(head, sizeof(head)));
	return E_OK;
}

/* With the data root in place: check the head and make ready for the records. */
static enum wire_err open_head(struct op *o, const struct wire_open_req *m)
{
	struct store *st = &o->s->store;
	enum wire_err e;

	if (seal_derive(o->w, st) != RC_OK)
		return E_INTERNAL;
	if (seal_head_open(o->w, st, m->head, &st->head) != RC_OK)
		return E_HEAD;
	if (st->head.epoch < m->floor)
		return op_fail_num(o, E_EPOCH_FLOOR, st->head.epoch, m->floor);
	if (st->head.count != m->count)
		return op_fail_num(o, E_COUNT, m->count, st->head.count);
	e = start_keys(o);
	if (e != E_OK)
		return e;
	if (st->head.count > UINT32_MAX || keys_reserve(&o->s->keys, st->head.count) != RC_OK)
		return E_NO_MEMORY;
	o->s->txn.next_version = st->head.next_version;
	o->s->txn.last_epoch = st->head.epoch;
	o->s->txn.owner = st->head.owner;
	clock_told(&o->s->clock, st->head.time_ms);
	st->load_count = 0;
	memset(&st->load_sum, 0, sizeof(st->load_sum));
	return E_OK;
}

enum wire_err op_store_open(struct op *o)
{
	struct svc *s = o->s;
	struct wire_open_req m;
	struct slice blob;
	enum wire_err e = E_SLOT_FORMAT;
	uint8_t number;

	if (wire_open_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	if (s->store.state == STORE_LOADING || s->store.state == STORE_READY)
		return E_STATE;
	while (wire_slot_next(&m.slot, &number, &blob)) {
		enum rc rc = seal_slot_platform_open(o->w, &s->store, &s->opt.platform_key, blob);

		if (rc == RC_OK) {
			e = E_OK;
			break;
		}
		if (rc == RC_DENIED)
			e = E_SLOT_KEY;
	}
	if (e == E_OK)
		e = open_head(o, &m);
	if (e == E_OK)
		s->store.state = STORE_LOADING;
	else
		seal_wipe(&s->store);
	return e;
}

static void refuse_store(struct svc *s)
{
	uint8_t kind;

	for (kind = KIND_KEY; kind < KIND_COUNT; kind++)
		keys_wipe(svc_table(s, kind));
	dtoken_counts_init(&s->dtokens, NULL);
	seal_wipe(&s->store);
	s->store.state = STORE_REFUSED;
}

/* Opens one record; on E_OK *out is the key, with its element added to sum. */
static enum wire_err open_record(struct op *o, const uint8_t *id, struct slice rec, uint8_t *plain, struct key **out,
				 struct set_sum *sum)
{
	const struct store *st = &o->s->store;
	uint8_t tag[CRYPTO_TAG_LEN], own[WIRE_ID_LEN], kind;
	size_t len = rec.len - SEAL_RECORD_OVERHEAD;
	struct set_sum element;
	uint64_t version;
	enum rc rc;

	if (rec.len < SEAL_RECORD_OVERHEAD || seal_record_open(o->w, st, id, rec, plain, &kind, &version, tag) != RC_OK)
		return E_RECORD;
	if (version >= st->head.next_version)
		return E_RECORD_AHEAD;
	rc = key_decode(cur_of(plain, len), kind, out);
	if (rc != RC_OK)
		return rc == RC_NO_ROOM ? E_NO_MEMORY : E_RECORD;
	(*out)->rec_born = seal_record_born(id);
	if ((*out)->rec_born > version ||
	    seal_record_id(o->w, st, key_name(*out), (*out)->rec_born, own) != RC_OK ||
	    !ct_equal(own, id, sizeof(own)) || seal_element(o->w, st, id, version, tag, &element) != RC_OK) {
		key_free(*out);
		return E_RECORD;
	}
	(*out)->rec_version = version;
	memcpy((*out)->rec_tag, tag, sizeof(tag));
	set_add(sum, &element);
	return E_OK;
}

static enum wire_err name_record(struct op *o, const uint8_t *id, enum wire_err e)
{
	static const char hex[] = "0123456789abcdef";
	char text[2 * WIRE_ID_LEN];
	size_t i;

	for (i = 0; i < WIRE_ID_LEN; i++) {
		text[2 * i] = hex[id[i] >> 4];
		text[2 * i + 1] = hex[id[i] & 15];
	}
	op_arg(o, slice_of(text, sizeof(text)));
	return e;
}

struct load {
	struct key **made;
	uint32_t count;
	struct set_sum sum;
	uint8_t *plain;
};

static enum wire_err load_open(struct op *o, struct wire_load_req *m, struct load *l)
{
	const uint8_t *id;
	struct slice rec;
	enum wire_err e;

	while (wire_record_next(&m->record, &id, &rec)) {
		e = open_record(o, id, rec, l->plain, &l->made[l->count], &l->sum);
		if (e != E_OK)
			return name_record(o, id, e);
		l->count++;
	}
	return E_OK;
}

static enum wire_err take_record(struct svc *s, struct key *k)
{
	enum rc rc = k->kind == KIND_TOKEN ? dtoken_counted(s, key_name(k), 0) : RC_OK;

	if (rc == RC_OK)
		rc = keys_add(svc_table(s, k->kind), k);
	return rc == RC_OK ? E_OK : rc == RC_BAD_INPUT ? E_RECORD : E_NO_MEMORY;
}

static enum wire_err load_add(struct op *o, struct load *l)
{
	struct svc *s = o->s;
	enum wire_err e = s->store.state == STORE_LOADING ? E_OK : E_STATE;

	for (; e == E_OK && l->count; l->count--) {
		struct key *k = l->made[l->count - 1];

		if (keys_find(svc_table(s, k->kind), key_name(k)))
			e = E_RECORD_TWICE;
		else
			e = take_record(s, k);
		if (e == E_RECORD_TWICE || e == E_RECORD) {
			uint8_t id[WIRE_ID_LEN] = { 0 };

			if (seal_record_id(o->w, &s->store, key_name(k), k->rec_born, id) == RC_OK)
				e = name_record(o, id, e);
		}
		if (e != E_OK)
			break;
		s->store.load_count++;
	}
	if (e == E_OK)
		set_add(&s->store.load_sum, &l->sum);
	return e;
}

/*
 * Several threads load at once: opening runs under the lock for reading (the store must not change),
 * only putting the keys in place excludes others. Any damage refuses the whole store.
 */
enum wire_err op_store_load(struct op *o)
{
	struct svc *s = o->s;
	struct wire_load_req m;
	struct load l = { 0 };
	enum wire_err e;

	if (wire_load_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	l.made = calloc(m.count ? m.count : 1, sizeof(struct key *));
	l.plain = malloc(o->in.left + 1);
	if (!l.made || !l.plain) {
		free(l.made);
		free(l.plain);
		return E_NO_MEMORY;
	}
	pthread_rwlock_rdlock(&s->lock);
	e = s->store.state == STORE_LOADING ? load_open(o, &m, &l) : E_STATE;
	pthread_rwlock_unlock(&s->lock);
	pthread_rwlock_wrlock(&s->lock);
	if (e == E_OK)
		e = load_add(o, &l);
	if (e != E_OK && e != E_STATE)
		refuse_store(s);
	pthread_rwlock_unlock(&s->lock);
	while (l.count)
		key_free(l.made[--l.count]);
	free(l.made);
	mem_wipe(l.plain, o->in.left);
	free(l.plain);
	return e;
}

enum wire_err op_store_ready(struct op *o)
{
	struct svc *s = o->s;
	struct store *st = &s->store;
	uint64_t loaded = st->load_count, expected = st->head.count;
	bool same;

	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	if (st->state != STORE_LOADING)
		return E_STATE;
	if (loaded != expected) {
		refuse_store(s);
		return op_fail_num(o, E_COUNT, loaded, expected);
	}
	same = ct_equal(st->load_sum.v, st->head.sum.v, sizeof(st->head.sum.v));
	if (!same) {
		refuse_store(s);
		return E_SET;
	}
	if (chain_ready(o) != RC_OK || keytab_upload_key(o) != RC_OK) {
		refuse_store(s);
		return E_INTERNAL;
	}
	st->state = STORE_READY;
	owner_at_ready(o);
	return E_OK;
}

/* ---- recovery ---- */

/* Whoever holds the recovery key can open the store: with an owner, only the key that the owner named. */
static bool recovery_key_allowed(struct op *o, struct slice der)
{
	uint8_t hash[CRYPTO_HASH_LEN];

	if (!owner_set(&o->s->txn.owner))
		return true;
	return o->cfg && o->cfg->has_recovery && crypto_sha256(der.p, der.len, hash) == RC_OK &&
	       ct_equal(hash, o->cfg->recovery, sizeof(hash));
}

/* Body: slot:str16, to be stored beside the platform's. */
enum wire_err op_slot_recovery(struct op *o)
{
	uint8_t slot[SEAL_SLOT_RECOVERY_LEN], hash[CRYPTO_HASH_LEN];
	struct slice der;

	if (wire_blob_req_get(o->in, &der) != RC_OK)
		return E_BAD_MESSAGE;
	if (!recovery_key_allowed(o, der))
		return E_OWNER_ONLY;
	if (seal_slot_recovery(o->w, &o->s->store, der, slot) != RC_OK)
		return E_RECOVERY_KEY;
	if (crypto_sha256(der.p, der.len, hash) != RC_OK)
		return E_INTERNAL;
	chain_control(o, CHAIN_RECOVERY_SLOT, E_OK, slice_of(hash, sizeof(hash)));
	sink_str16(&o->out, slice_of(slot, sizeof(slot)));
	return E_OK;
}

/*
 * Recovery: the owner unwraps the data root with the recovery key outside, and wraps it again for a
 * key that exists only here and only now. The root never passes in the clear.
 * Body: public:str16
 */
enum wire_err op_recover_begin(struct op *o)
{
	struct svc *s = o->s;
	uint8_t pub[CRYPTO_DER_MAX];
	size_t npub = sizeof(pub);

	if (!cur_end(&o->in))
		return E_BAD_MESSAGE;
	if (s->store.state != STORE_NONE && s->store.state != STORE_REFUSED)
		return E_STATE;
	s->recover_len = sizeof(s->recover_key);
	if (crypto_wrap_keypair(s->recover_key, &s->recover_len, pub, &npub) != RC_OK) {
		s->recover_len = 0;
		return E_INTERNAL;
	}
	sink_str16(&o->out, slice_of(pub, npub));
	return E_OK;
}

/* Request: blob = store_id[16] wrapped root. Body: slot:str16, a platform slot for this machine. */
enum wire_err op_recover_finish(struct op *o)
{
	struct svc *s = o->s;
	struct store st = { 0 };
	uint8_t slot[SEAL_SLOT_PLATFORM_LEN];
	struct slice blob;
	enum wire_err e = E_OK;

	if (wire_blob_req_get(o->in, &blob) != RC_OK || blob.len != 16 + CRYPTO_WRAP_LEN)
		return E_BAD_MESSAGE;
	if (s->recover_len == 0)
		return E_STATE;
	memcpy(st.id, blob.p, 16);
	if (crypto_unwrap(o->w->crypto, slice_of(s->recover_key, s->recover_len), slice_str("svsm-kms recovery root"),
			  blob.p + 16, &st.root) != RC_OK)
		e = E_RECOVERY_KEY;
	else if (seal_slot_platform(o->w, &st, &s->opt.platform_key, slot) != RC_OK)
		e = E_RANDOM;
	seal_wipe(&st);
	mem_wipe(s->recover_key, sizeof(s->recover_key));
	s->recover_len = 0;
	if (e == E_OK)
		sink_str16(&o->out, slice_of(slot, sizeof(slot)));
	return e;
}

/* ---- explaining ---- */

/* What each operation needs: operation ACLs, and a key right or KEYOP_COUNT. */
static const struct {
	enum acl_type acl;
	enum wire_keyop key;
} needs[] = {
	[OP_CREATE_KEY] = { ACL_CREATE, KEYOP_MANAGEMENT },
	[OP_DELETE_KEY] = { ACL_DELETE, KEYOP_MANAGEMENT },
	[OP_ROLL_NEW_VERSION] = { ACL_ROLLOVER, KEYOP_MANAGEMENT },
	[OP_INVALIDATE_CACHE] = { ACL_ROLLOVER, KEYOP_MANAGEMENT },
	[OP_GET_KEYS] = { ACL_GET_KEYS, KEYOP_COUNT },
	[OP_GET_KEYS_METADATA] = { ACL_GET_METADATA, KEYOP_READ },
	[OP_GET_METADATA] = { ACL_GET_METADATA, KEYOP_READ },
	[OP_GET_CURRENT_KEY] = { ACL_GET, KEYOP_READ },
	[OP_GET_KEY_VERSION] = { ACL_GET, KEYOP_READ },
	[OP_GET_KEY_VERSIONS] = { ACL_GET, KEYOP_READ },
	[OP_GENERATE_EEK] = { ACL_GENERATE_EEK, KEYOP_GENERATE_EEK },
	[OP_DECRYPT_EEK] = { ACL_DECRYPT_EEK, KEYOP_DECRYPT_EEK },
	[OP_REENCRYPT_EEK] = { ACL_GENERATE_EEK, KEYOP_GENERATE_EEK },
	[OP_REENCRYPT_EEK_BATCH] = { ACL_GENERATE_EEK, KEYOP_GENERATE_EEK },
};
_Static_assert(ARRAY_LEN(needs) == OP_COUNT, "a row for each operation");

/* Body: allowed:u8 rule:str16. Decides with the same code as a request, and says by which rule. */
enum wire_err op_acl_check(struct op *o)
{
	char rule[WIRE_NAME_MAX + 256] = "";
	struct wire_acl_req m;
	const struct key *k;
	enum acl_type t;
	enum wire_err e;
	bool ok;

	if (wire_acl_req_get(o->in, &m) != RC_OK || m.op == OP_NONE || !m.cred.has_user)
		return E_BAD_MESSAGE;
	o->user = m.cred.user;
	e = auth_groups(o, &m.cred);
	if (e != E_OK)
		return e;
	t = needs[m.op].acl;
	ok = rights_op_allowed(o, t);
	if (!ok && m.op == OP_INVALIDATE_CACHE)
		ok = rights_op_allowed(o, ACL_DELETE);
	if (!ok) {
		struct sink s = sink_of(rule, sizeof(rule));
		const char *p = rights_in(o, &o->cfg->op[t]) ?
					"hadoop.kms.blacklist." : "hadoop.kms.acl.";

		sink_put(&s, p, strlen(p));
		sink_put(&s, acl_type_name(t), strlen(acl_type_name(t)));
		sink_put(&s, " refuses", 9);
	} else if (needs[m.op].key != KEYOP_COUNT) {
		k = keys_find(&o->s->keys, m.key);
		ok = rights_explain_key(o, k ? rights_acl_name(k) : m.key, needs[m.op].key, rule, sizeof(rule));
	} else {
		struct sink s = sink_of(rule, sizeof(rule));

		sink_put(&s, "hadoop.kms.acl.", 15);
		sink_put(&s, acl_type_name(t), strlen(acl_type_name(t)));
		sink_put(&s, " permits", 9);
	}
	sink_u8(&o->out, ok);
	sink_str16(&o->out, slice_str(rule));
	return E_OK;
}
