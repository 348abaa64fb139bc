/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on keys: create, import, delete, roll, look up. The order of the checks in each is part of the
 * protocol (Hadoop KMS): a client may tell from the answer which one failed first.
 */
#include <stdlib.h>
#include <strings.h>

#include "service/rights.h"
#include "service/state.h"

/* The start of every call by name. */
static enum wire_err begin_name(struct op *o, struct wire_name_req *m)
{
	if (wire_name_req_get(o->in, m) != RC_OK)
		return E_BAD_MESSAGE;
	return auth_check(o, &m->cred);
}

static enum wire_err done(struct op *o, enum wire_op what, const struct slice *key)
{
	op_event(o, EVENT_OK, what, key);
	return E_OK;
}

/* Body: negotiate:str16, the acceptor's token; empty where there was no ticket. */
enum wire_err op_auth(struct op *o)
{
	struct wire_name_req m;
	enum wire_err e = begin_name(o, &m);

	sink_str16(&o->out, o->reply);
	return e;
}

/* The administrators are those of the pages about the server; nothing that the core does asks for one. */
enum wire_err op_admin(struct op *o)
{
	enum wire_err e = op_auth(o);

	if (e == E_OK && !(o->cfg->admins.set && rights_in(o, &o->cfg->admins)))
		e = E_ADMIN_DENIED;
	return e;
}

/* ---- making keys ---- */

/* The part of "AES/CTR/NoPadding" that names the algorithm. */
MUST_CHECK static bool algorithm_of(struct slice cipher, enum crypto_cipher *out)
{
	size_t n = 0;

	while (n < cipher.len && cipher.p[n] != '/')
		n++;
	if (n != 3)
		return false;
	if (strncasecmp((const char *)cipher.p, "AES", 3) == 0)
		*out = CRYPTO_AES;
	else if (strncasecmp((const char *)cipher.p, "SM4", 3) == 0)
		*out = CRYPTO_SM4;
	else
		return false;
	return true;
}

static enum wire_err generate_material(struct op *o, struct slice cipher, uint32_t bits, uint8_t *out)
{
	enum crypto_cipher alg;

	if (!algorithm_of(cipher, &alg))
		return E_ALGORITHM;
	if (bits != 128 && (alg == CRYPTO_SM4 || (bits != 192 && bits != 256)))
		return E_KEY_SIZE;
	return crypto_random_get(o->w->crypto, &o->w->random, out, bits / 8) == RC_OK ? E_OK : E_RANDOM;
}

static struct slice find_attr(struct cursor attrs, const char *name)
{
	struct slice k, v;

	while (wire_attr_next(&attrs, &k, &v))	/* the first that is not empty, as rights_acl_name() takes it */
		if (slice_is(k, name) && v.len)
			return v;
	return slice_of("", 0);
}

static bool has_attr(struct cursor attrs, const char *name)
{
	struct slice k, v;

	while (wire_attr_next(&attrs, &k, &v))
		if (slice_is(k, name))
			return true;
	return false;
}

/* The attributes of the request, and key.acl.name if it is to be added. buf holds them. */
MUST_CHECK static bool attrs_build(const struct wire_create_req *m, bool add, uint8_t *buf, size_t room,
				   struct key_view *v)
{
	struct cursor in = m->attr;
	struct sink s = sink_of(buf, room);
	struct slice k, val;

	v->attrs = 0;
	while (wire_attr_next(&in, &k, &val)) {
		sink_str16(&s, k);
		sink_str16(&s, val);
		v->attrs++;
	}
	if (add) {
		sink_str16(&s, slice_str("key.acl.name"));
		sink_str16(&s, m->name);
		v->attrs++;
	}
	v->attr = slice_of(buf, room - (sink_ok(&s) ? s.left : 0));
	return sink_ok(&s) && v->attr.len <= WIRE_ATTRS_MAX;
}

/* One material of CREATE, or all of IMPORT, into buf; every one must have the key's length. */
static enum wire_err collect_material(struct op *o, const struct wire_create_req *m, struct key_view *v,
				      uint32_t bits, uint8_t *buf)
{
	struct cursor in = m->material;
	struct slice one;
	size_t n = 0;

	while (wire_material_next(&in, &one)) {
		if (one.len * 8 != bits)
			return op_fail_num(o, E_MATERIAL_LENGTH, bits, one.len * 8);
		if (one.len == 0 || one.len > WIRE_MATERIAL_MAX)
			return op_fail_num(o, E_LIMIT, WIRE_MATERIAL_MAX, 0);
		memcpy(buf + n, one.p, one.len);
		n += one.len;
	}
	v->versions = m->materials;
	v->material = slice_of(buf, n);
	return E_OK;
}

/* Rights for a new key, in the protocol's order. */
static enum wire_err may_create(struct op *o, const struct wire_create_req *m, bool *add_attr)
{
	struct slice acl_name = find_attr(m->attr, "key.acl.name");
	enum wire_err e;

	*add_attr = false;
	if (m->name_null)
		return E_NAME_NULL;
	if (m->name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_CREATE, OP_CREATE_KEY, &m->name);
	if (e == E_OK && m->materials)
		e = rights_op(o, ACL_SET_KEY_MATERIAL, OP_CREATE_KEY, &m->name);
	if (e == E_OK && acl_name.len > WIRE_NAME_MAX)	/* it is named in audit events and refusals */
		e = op_fail_num(o, E_LIMIT, WIRE_NAME_MAX, 0);
	if (e == E_OK)
		e = rights_create(o, m->name, acl_name, add_attr);
	/* Hadoop trips over an empty attribute that it is about to add; say so, as it does. */
	if (*add_attr && has_attr(m->attr, "key.acl.name"))
		e = E_ACL_NAME_TWICE;
	return e;
}

static enum wire_err stage_new(struct op *o, const struct key_view *v)
{
	struct key *k;
	struct wire_kv kv = { .present = true };
	enum rc rc = key_new(v, &k);

	if (rc != RC_OK)
		return rc == RC_NO_ROOM ? E_NO_MEMORY : E_BAD_MESSAGE;
	kv.name = v->name;
	kv.number = v->versions - 1;
	kv.has_material = rights_op_allowed(o, ACL_GET);
	kv.material = slice_of(v->material.p + v->material.len - v->bits / 8, v->bits / 8);
	return txn_stage(o, NULL, k, &kv);
}

/* scratch: room for every material, then for the attributes. */
static enum wire_err make_key(struct op *o, const struct wire_create_req *m, bool add_attr, uint8_t *scratch)
{
	uint8_t *attrs = scratch + (size_t)WIRE_MATERIAL_MAX * (m->materials + 1u);
	uint32_t bits = m->length ? m->length : o->cfg->default_bits;
	struct key_view v = {
		.kind = KIND_KEY,
		.created = m->created ? m->created : o->now,
		.name = m->name,
		.cipher = m->has_cipher ? m->cipher : o->cfg->default_cipher,
		.description = m->description,
		.has_description = m->has_description,
		.versions = 1,
		.material = slice_of(scratch, 0),
	};
	enum wire_err e;

	if (m->materials == 0) {
		e = generate_material(o, v.cipher, bits, scratch);
		v.material.len = bits / 8;
		if (e != E_OK)
			return e;
	}
	if (m->upper)
		return E_UPPERCASE;
	if (keys_find(&o->s->keys, m->name))
		return E_EXISTS;
	if (m->materials) {
		e = collect_material(o, m, &v, bits, scratch);
		if (e != E_OK)
			return e;
	}
	v.bits = (uint16_t)bits;
	if (!attrs_build(m, add_attr, attrs, WIRE_ATTRS_MAX + WIRE_NAME_MAX + 64, &v))
		return op_fail_num(o, E_LIMIT, WIRE_ATTRS_MAX, 0);
	return stage_new(o, &v);
}

static enum wire_err create(struct op *o, bool import)
{
	struct wire_create_req m;
	size_t len;
	uint8_t *scratch;
	enum wire_err e;
	bool add_attr;

	if (wire_create_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	if (import ? m.materials == 0 : (m.materials > 1 || m.created))
		return E_BAD_MESSAGE;
	e = auth_check(o, &m.cred);
	if (e == E_OK)
		e = may_create(o, &m, &add_attr);
	if (e != E_OK)
		return e;
	len = (size_t)WIRE_MATERIAL_MAX * (m.materials + 1u) + WIRE_ATTRS_MAX + WIRE_NAME_MAX + 64;
	scratch = calloc(1, len);
	if (!scratch)
		return E_NO_MEMORY;
	e = make_key(o, &m, add_attr, scratch);
	mem_wipe(scratch, len);
	free(scratch);
	return e == E_OK ? done(o, OP_CREATE_KEY, &m.name) : e;
}

enum wire_err op_create(struct op *o)
{
	return create(o, false);
}

enum wire_err op_import(struct op *o)
{
	return create(o, true);
}

enum wire_err op_delete(struct op *o)
{
	const struct wire_kv none = { 0 };
	struct wire_name_req m;
	struct key *k;
	enum wire_err e = begin_name(o, &m);

	if (e == E_OK)
		e = rights_op(o, ACL_DELETE, OP_DELETE_KEY, &m.name);
	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	k = keys_find(&o->s->keys, m.name);
	e = rights_key(o, k, KEYOP_MANAGEMENT);
	if (e == E_OK && !k)
		e = E_NO_KEY;
	if (e == E_OK)
		e = txn_stage(o, k, NULL, &none);
	return e == E_OK ? done(o, OP_DELETE_KEY, &m.name) : e;
}

/* The key as it will be: one version more. */
static enum wire_err stage_rolled(struct op *o, const struct key *old, struct slice material)
{
	struct key_view v = key_view(old);
	struct wire_kv kv = { .present = true, .name = v.name, .number = v.versions };
	size_t len = v.material.len + material.len;
	uint8_t *all;
	struct key *made;
	enum rc rc;

	if (v.versions >= WIRE_VERSIONS_MAX)
		return op_fail_num(o, E_FULL, LIMIT_VERSIONS, WIRE_VERSIONS_MAX);
	all = malloc(len);
	if (!all)
		return E_NO_MEMORY;
	memcpy(all, v.material.p, v.material.len);
	memcpy(all + v.material.len, material.p, material.len);
	v.material = slice_of(all, len);
	v.versions++;
	rc = key_new(&v, &made);
	mem_wipe(all, len);
	free(all);
	if (rc != RC_OK)
		return E_NO_MEMORY;
	kv.has_material = rights_op_allowed(o, ACL_GET);
	kv.material = key_material(made, made->versions - 1);
	return txn_stage(o, old, made, &kv);
}

static enum wire_err roll(struct op *o, const struct wire_roll_req *m, const struct key *k)
{
	uint8_t fresh[WIRE_MATERIAL_MAX];
	struct slice material = m->material;
	enum wire_err e;

	if (!k)
		return m->has_material ? E_NO_KEY : E_NO_METADATA;
	if (m->has_material && material.len * 8 != k->bits)
		return op_fail_num(o, E_MATERIAL_LENGTH, k->bits, material.len * 8);
	if (!m->has_material) {
		e = generate_material(o, key_cipher(k), k->bits, fresh);
		if (e != E_OK)
			return e;
		material = slice_of(fresh, k->bits / 8);
	}
	e = stage_rolled(o, k, material);
	mem_wipe(fresh, sizeof(fresh));
	return e;
}

enum wire_err op_roll(struct op *o)
{
	struct wire_roll_req m;
	struct key *k;
	enum wire_err e;

	if (wire_roll_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	e = auth_check(o, &m.cred);
	if (e == E_OK)
		e = rights_op(o, ACL_ROLLOVER, OP_ROLL_NEW_VERSION, &m.name);
	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	if (m.has_material)
		e = rights_op(o, ACL_SET_KEY_MATERIAL, OP_ROLL_NEW_VERSION, &m.name);
	if (e != E_OK)
		return e;
	k = keys_find(&o->s->keys, m.name);
	e = rights_key(o, k, KEYOP_MANAGEMENT);
	if (e == E_OK)
		e = roll(o, &m, k);
	return e == E_OK ? done(o, OP_ROLL_NEW_VERSION, &m.name) : e;
}

/* Nothing is cached here, so there is nothing to forget: the rights decide the answer. */
enum wire_err op_invalidate(struct op *o)
{
	struct wire_name_req m;
	enum wire_err e = begin_name(o, &m);

	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	if (!rights_op_allowed(o, ACL_DELETE))
		e = rights_op(o, ACL_ROLLOVER, OP_INVALIDATE_CACHE, &m.name);
	if (e == E_OK)
		e = rights_key(o, keys_find(&o->s->keys, m.name), KEYOP_MANAGEMENT);
	return e == E_OK ? done(o, OP_INVALIDATE_CACHE, &m.name) : e;
}

/* ---- looking up ---- */

/*
 * Names with an '@' are not listed: Hadoop's stores do not either, since they take it for a version.
 * from: the sequence number to go on from; the answer says the next one.
 */
enum wire_err op_names(struct op *o)
{
	size_t hint = SIZE_MAX, keep;
	uint8_t *next_at, *count_at;
	struct wire_name_req m;
	const struct key *k;
	uint64_t next = 0;
	uint32_t count = 0;
	enum wire_err e = begin_name(o, &m);

	if (e == E_OK)
		e = rights_op(o, ACL_GET_KEYS, OP_GET_KEYS, NULL);
	if (e != E_OK)
		return e;
	next_at = sink_room(&o->out, 8);
	count_at = sink_room(&o->out, 4);
	INVARIANT(next_at && count_at);
	keep = o->ans.user.len + o->ans.principal.len + o->ans.real.len + o->ans.cookie.len + 64 +
	       chain_need(o, slice_of("", 0));	/* for the trailer */
	for (k = keys_from(&o->s->keys, m.from, &hint); k; k = keys_from(&o->s->keys, k->seq + 1, &hint)) {
		struct slice name = key_name(k);

		if (memchr(name.p, '@', name.len))
			continue;
		if (o->out.left < name.len + 2 + keep) {
			next = k->seq;
			break;
		}
		sink_str16(&o->out, name);
		count++;
	}
	memcpy(next_at, &next, 8);
	memcpy(count_at, &count, 4);
	return done(o, OP_GET_KEYS, NULL);
}

static void put_meta(struct op *o, const struct key *k)
{
	struct wire_meta meta = { 0 };

	if (k) {
		meta.present = true;
		meta.has_description = k->has_description;
		meta.length = k->bits;
		meta.versions = k->versions;
		meta.created = k->created;
		meta.name = key_name(k);
		meta.cipher = key_cipher(k);
		meta.description = key_description(k);
		meta.attrs = k->attrs;
		meta.attr = key_attrs(k);
	}
	wire_meta_put(&o->out, &meta);
}

enum wire_err op_metadata(struct op *o)
{
	struct wire_name_req m;
	struct key *k;
	enum wire_err e = begin_name(o, &m);

	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_GET_METADATA, OP_GET_METADATA, &m.name);
	if (e != E_OK)
		return e;
	k = keys_find(&o->s->keys, m.name);
	e = rights_key(o, k, KEYOP_READ);
	if (e != E_OK)
		return e;
	put_meta(o, k);
	return done(o, OP_GET_METADATA, &m.name);
}

enum wire_err op_metadatas(struct op *o)
{
	struct wire_names_req m;
	struct slice name;
	enum wire_err e;

	if (wire_names_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	e = auth_check(o, &m.cred);
	if (e == E_OK)
		e = rights_op(o, ACL_GET_METADATA, OP_GET_KEYS_METADATA, NULL);
	if (e != E_OK)
		return e;
	sink_le32(&o->out, m.count);
	while (wire_name_next(&m.name, &name)) {
		const struct key *k = keys_find(&o->s->keys, name);

		e = rights_key(o, k, KEYOP_READ);
		if (e != E_OK)
			return e;
		put_meta(o, k);
	}
	return done(o, OP_GET_KEYS_METADATA, NULL);
}

static void put_version(struct op *o, const struct key *k, uint32_t number)
{
	struct wire_kv kv = { 0 };

	if (k) {
		kv.present = kv.has_material = true;
		kv.number = number;
		kv.name = key_name(k);
		kv.material = key_material(k, number);
	}
	wire_kv_put(&o->out, &kv);
}

MUST_CHECK static enum wire_err versions_room(struct op *o, const struct key *k, uint32_t count)
{
	struct slice name = k ? key_name(k) : slice_of("", 0);

	return k ? op_room(o, 4 + count * (size_t)KV_LEN(name.len, k->bits / 8), name) : E_OK;
}

/* Rights to read the versions of one key; *k is NULL when there is none. */
static enum wire_err begin_read(struct op *o, enum wire_op what, struct wire_name_req *m, const struct key **k)
{
	enum wire_err e = begin_name(o, m);

	if (e != E_OK)
		return e;
	if (m->name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_GET, what, &m->name);
	if (e != E_OK)
		return e;
	*k = keys_find(&o->s->keys, m->name);
	e = rights_key(o, *k, KEYOP_READ);
	return e == E_OK ? versions_room(o, *k, what == OP_GET_KEY_VERSIONS && *k ? (*k)->versions : 1) : e;
}

enum wire_err op_current(struct op *o)
{
	struct wire_name_req m;
	const struct key *k;
	enum wire_err e = begin_read(o, OP_GET_CURRENT_KEY, &m, &k);

	if (e != E_OK)
		return e;
	put_version(o, k, k ? k->versions - 1 : 0);
	return done(o, OP_GET_CURRENT_KEY, &m.name);
}

enum wire_err op_versions(struct op *o)
{
	struct wire_name_req m;
	const struct key *k;
	uint32_t i;
	enum wire_err e = begin_read(o, OP_GET_KEY_VERSIONS, &m, &k);

	if (e != E_OK)
		return e;
	sink_le32(&o->out, k ? k->versions : 0);
	for (i = 0; k && i < k->versions; i++)
		put_version(o, k, i);
	return done(o, OP_GET_KEY_VERSIONS, &m.name);
}

enum wire_err op_version_get(struct op *o)
{
	struct wire_name_req m;
	const struct key *k = NULL;
	struct slice name;
	uint32_t number;
	enum wire_err e = begin_name(o, &m);

	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_GET, OP_GET_KEY_VERSION, NULL);
	if (e != E_OK)
		return e;
	if (key_split_version(m.name, &name, &number))
		k = keys_find(&o->s->keys, name);
	if (!k || number >= k->versions) {
		put_version(o, NULL, 0);
		return E_OK;	/* not found: not audited */
	}
	e = rights_key(o, k, KEYOP_READ);
	if (e == E_OK)
		e = versions_room(o, k, 1);
	if (e != E_OK)
		return e;
	put_version(o, k, number);
	return done(o, OP_GET_KEY_VERSION, &name);
}
