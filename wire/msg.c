/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and writers of the messages, pairwise. A reader checks the whole message, repeated parts
 * included, before it returns: the iterators that walk those parts later cannot fail halfway.
 */
#include "wire/boot.h"
#include "wire/msg.h"

const char *boot_isolation_name(uint32_t isolation)
{
	switch (isolation) {
	case ISOLATION_PROCESS:
		return "process";
	case ISOLATION_VMPL0_EMULATED:
		return "vmpl0-emulated";
	case ISOLATION_VMPL0_SNP:
		return "vmpl0-snp";
	}
	return "unknown";
}

static const char *const op_names[] = {
	[OP_NONE] = "NONE",
	[OP_CREATE_KEY] = "CREATE_KEY",
	[OP_DELETE_KEY] = "DELETE_KEY",
	[OP_ROLL_NEW_VERSION] = "ROLL_NEW_VERSION",
	[OP_INVALIDATE_CACHE] = "INVALIDATE_CACHE",
	[OP_GET_KEYS] = "GET_KEYS",
	[OP_GET_KEYS_METADATA] = "GET_KEYS_METADATA",
	[OP_GET_METADATA] = "GET_METADATA",
	[OP_GET_CURRENT_KEY] = "GET_CURRENT_KEY",
	[OP_GET_KEY_VERSION] = "GET_KEY_VERSION",
	[OP_GET_KEY_VERSIONS] = "GET_KEY_VERSIONS",
	[OP_GENERATE_EEK] = "GENERATE_EEK",
	[OP_DECRYPT_EEK] = "DECRYPT_EEK",
	[OP_REENCRYPT_EEK] = "REENCRYPT_EEK",
	[OP_REENCRYPT_EEK_BATCH] = "REENCRYPT_EEK_BATCH",
};
_Static_assert(ARRAY_LEN(op_names) == OP_COUNT, "a name for each operation");

static const char *const keyop_names[] = {
	[KEYOP_MANAGEMENT] = "MANAGEMENT", [KEYOP_GENERATE_EEK] = "GENERATE_EEK",
	[KEYOP_DECRYPT_EEK] = "DECRYPT_EEK", [KEYOP_READ] = "READ",
	[KEYOP_ALL] = "ALL",
};
_Static_assert(ARRAY_LEN(keyop_names) == KEYOP_COUNT, "a name for each key operation");

const char *wire_op_name(unsigned op)
{
	return op < OP_COUNT ? op_names[op] : "NONE";
}

const char *wire_keyop_name(unsigned op)
{
	return op < KEYOP_COUNT ? keyop_names[op] : "NONE";
}

/* Flags are a set of known bits; an unknown one is an error. */
MUST_CHECK static bool get_flags(struct cursor *c, uint8_t known, uint8_t *out)
{
	return cur_u8(c, out) && (*out & ~known) == 0;
}

MUST_CHECK static bool get_bool(struct cursor *c, bool *out)
{
	uint8_t v;

	if (!get_flags(c, 1, &v))
		return false;
	*out = v;
	return true;
}

bool wire_str32_get(struct cursor *c, size_t max, struct slice *out)
{
	struct cursor t = *c;
	uint32_t len;

	if (!cur_le32(&t, &len) || len > max || !cur_sub(&t, len, out))
		return false;
	*c = t;
	return true;
}

void wire_str32_put(struct sink *s, struct slice v)
{
	if (v.len > UINT32_MAX) {
		s->left = SIZE_MAX;
		return;
	}
	sink_le32(s, (uint32_t)v.len);
	sink_put(s, v.p, v.len);
}

/* Walks n texts of at most max bytes and returns the region they fill. */
MUST_CHECK static bool get_texts(struct cursor *c, uint64_t n, size_t max, struct cursor *region)
{
	struct cursor start = *c;
	struct slice one;

	for (; n; n--)
		if (!cur_str16(c, max, &one))
			return false;
	*region = (struct cursor){ .at = start.at, .left = start.left - c->left };
	return true;
}

/* ---- credential ---- */

enum {
	CRED_COOKIE = 1,
	CRED_USER = 2,
	CRED_TOKEN = 4,
	CRED_NEGOTIATE = 8,
	CRED_DO_AS = 16,
	CRED_TLS = 32,
	CRED_GROUPS = 64,
	CRED_ALL = 127
};

/* A text that is there if its flag is set. */
MUST_CHECK static bool get_if(struct cursor *c, bool there, size_t max, struct slice *out)
{
	*out = slice_of(c->at, 0);
	return !there || cur_str16(c, max, out);
}

MUST_CHECK static bool cred_get(struct cursor *c, struct wire_cred *out)
{
	uint8_t flags;

	if (!get_flags(c, CRED_ALL, &flags))
		return false;
	out->has_cookie = flags & CRED_COOKIE;
	out->has_user = flags & CRED_USER;
	out->has_token = flags & CRED_TOKEN;
	out->has_negotiate = flags & CRED_NEGOTIATE;
	out->has_do_as = flags & CRED_DO_AS;
	out->tls = flags & CRED_TLS;
	return get_if(c, out->has_cookie, WIRE_COOKIE_MAX, &out->cookie) &&
	       get_if(c, out->has_user, WIRE_USER_MAX, &out->user) &&
	       get_if(c, out->has_token, WIRE_TOKEN_MAX, &out->token) &&
	       get_if(c, out->has_negotiate, WIRE_NEGOTIATE_MAX, &out->negotiate) &&
	       get_if(c, out->has_do_as, WIRE_USER_MAX, &out->do_as) &&
	       get_if(c, flags & CRED_GROUPS, WIRE_USER_MAX, &out->group_user) &&
	       (out->group_user.len != 0) == !!(flags & CRED_GROUPS) && cur_str16(c, 16, &out->peer) &&
	       (out->peer.len == 0 || out->peer.len == 4 || out->peer.len == 16) &&
	       cur_le16(c, &out->names) && out->names <= WIRE_PEER_NAMES_MAX &&
	       get_texts(c, out->names, WIRE_GROUP_MAX, &out->name) && cur_le16(c, &out->groups) &&
	       out->groups <= (out->group_user.len ? WIRE_GROUPS_MAX : 0) &&
	       get_texts(c, out->groups, WIRE_GROUP_MAX, &out->group);
}

void wire_cred_put(struct sink *s, const struct wire_cred *c)
{
	const struct {
		bool there;
		uint8_t flag;
		const struct slice *text;
	} part[] = { { c->has_cookie, CRED_COOKIE, &c->cookie },
		     { c->has_user, CRED_USER, &c->user },
		     { c->has_token, CRED_TOKEN, &c->token },
		     { c->has_negotiate, CRED_NEGOTIATE, &c->negotiate },
		     { c->has_do_as, CRED_DO_AS, &c->do_as },
		     { c->group_user.len != 0, CRED_GROUPS, &c->group_user } };
	uint8_t flags = c->tls ? CRED_TLS : 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(part); i++)
		flags |= part[i].there ? part[i].flag : 0;
	sink_u8(s, flags);
	for (i = 0; i < ARRAY_LEN(part); i++)
		if (part[i].there)
			sink_str16(s, *part[i].text);
	sink_str16(s, c->peer);
	sink_le16(s, c->names);
	sink_put(s, c->name.at, c->name.left);
	sink_le16(s, c->groups);
	sink_put(s, c->group.at, c->group.left);
}

bool wire_group_next(struct cursor *c, struct slice *out)
{
	return cur_str16(c, WIRE_GROUP_MAX, out);
}

/* ---- requests ---- */

enum rc wire_name_req_get(struct cursor in, struct wire_name_req *out)
{
	struct wire_name_req r = { 0 };
	uint8_t flags;

	if (!cred_get(&in, &r.cred) || !get_flags(&in, 0, &flags) ||
	    !cur_str16(&in, WIRE_VERSION_NAME_MAX, &r.name) || !cur_le32(&in, &r.count) || !cur_le64(&in, &r.from) ||
	    !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_name_req_put(struct sink *s, const struct wire_name_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, 0);
	sink_str16(s, m->name);
	sink_le32(s, m->count);
	sink_le64(s, m->from);
}

enum rc wire_dt_req_get(struct cursor in, struct wire_dt_req *out)
{
	struct wire_dt_req r = { 0 };

	if (!cred_get(&in, &r.cred) || !get_bool(&in, &r.has_renewer) ||
	    !cur_str16(&in, WIRE_PRINCIPAL_MAX, &r.renewer) || !cur_str16(&in, WIRE_TOKEN_MAX, &r.token) ||
	    !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_dt_req_put(struct sink *s, const struct wire_dt_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, m->has_renewer);
	sink_str16(s, m->renewer);
	sink_str16(s, m->token);
}

enum { CREATE_NULL = 1, CREATE_UPPER = 2, CREATE_CIPHER = 4, CREATE_DESCRIPTION = 8 };

enum rc wire_create_req_get(struct cursor in, struct wire_create_req *out)
{
	struct wire_create_req r = { 0 };
	uint8_t flags;

	if (!cred_get(&in, &r.cred) ||
	    !get_flags(&in, CREATE_NULL | CREATE_UPPER | CREATE_CIPHER | CREATE_DESCRIPTION, &flags) ||
	    !cur_le32(&in, &r.length) || !cur_le64(&in, &r.created) || !cur_str16(&in, WIRE_NAME_MAX, &r.name) ||
	    !cur_str16(&in, WIRE_CIPHER_MAX, &r.cipher) || !cur_str16(&in, WIRE_DESCRIPTION_MAX, &r.description) ||
	    !cur_le16(&in, &r.attrs) || !get_texts(&in, 2 * (uint64_t)r.attrs, WIRE_ATTRS_MAX, &r.attr) ||
	    r.attr.left > WIRE_ATTRS_MAX || !cur_le16(&in, &r.materials) || r.materials > WIRE_VERSIONS_MAX ||
	    !get_texts(&in, r.materials, WIRE_EEK_MAX, &r.material) || !cur_end(&in))
		return RC_BAD_INPUT;
	r.name_null = flags & CREATE_NULL;
	r.upper = flags & CREATE_UPPER;
	r.has_cipher = flags & CREATE_CIPHER;
	r.has_description = flags & CREATE_DESCRIPTION;
	*out = r;
	return RC_OK;
}

void wire_create_req_put(struct sink *s, const struct wire_create_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, (uint8_t)((m->name_null ? CREATE_NULL : 0) | (m->upper ? CREATE_UPPER : 0) |
			     (m->has_cipher ? CREATE_CIPHER : 0) | (m->has_description ? CREATE_DESCRIPTION : 0)));
	sink_le32(s, m->length);
	sink_le64(s, m->created);
	sink_str16(s, m->name);
	sink_str16(s, m->cipher);
	sink_str16(s, m->description);
	sink_le16(s, m->attrs);
	sink_put(s, m->attr.at, m->attr.left);
	sink_le16(s, m->materials);
	sink_put(s, m->material.at, m->material.left);
}

bool wire_attr_next(struct cursor *c, struct slice *key, struct slice *value)
{
	return cur_str16(c, WIRE_ATTRS_MAX, key) && cur_str16(c, WIRE_ATTRS_MAX, value);
}

bool wire_material_next(struct cursor *c, struct slice *out)
{
	return cur_str16(c, WIRE_EEK_MAX, out);
}

enum rc wire_roll_req_get(struct cursor in, struct wire_roll_req *out)
{
	struct wire_roll_req r = { 0 };

	if (!cred_get(&in, &r.cred) || !get_bool(&in, &r.has_material) || !cur_str16(&in, WIRE_NAME_MAX, &r.name) ||
	    !cur_str16(&in, WIRE_EEK_MAX, &r.material) || !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_roll_req_put(struct sink *s, const struct wire_roll_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, m->has_material);
	sink_str16(s, m->name);
	sink_str16(s, m->material);
}

enum rc wire_eek_req_get(struct cursor in, struct wire_eek_req *out)
{
	struct wire_eek_req r = { 0 };

	if (!cred_get(&in, &r.cred) || !get_bool(&in, &r.has_name) ||
	    !cur_str16(&in, WIRE_VERSION_NAME_MAX, &r.version_name) || !cur_str16(&in, WIRE_NAME_MAX, &r.name) ||
	    !cur_str16(&in, WIRE_EEK_MAX, &r.iv) || !cur_str16(&in, WIRE_EEK_MAX, &r.material) || !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_eek_req_head_put(struct sink *s, const struct wire_eek_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, m->has_name);
	sink_str16(s, m->version_name);
	sink_str16(s, m->name);
}

uint8_t *wire_hole_begin(struct sink *s)
{
	sink_le16(s, 0);
	return sink_ok(s) ? s->at : NULL;
}

void wire_hole_end(struct sink *s, size_t used)
{
	uint8_t *text = sink_room(s, used);
	uint16_t len = (uint16_t)used;

	if (used > UINT16_MAX)
		s->left = SIZE_MAX;
	else if (text)
		memcpy(text - sizeof(len), &len, sizeof(len));
}

void wire_eek_req_put(struct sink *s, const struct wire_eek_req *m)
{
	wire_eek_req_head_put(s, m);
	sink_str16(s, m->iv);
	sink_str16(s, m->material);
}

bool wire_item_next(struct cursor *c, struct wire_item *out)
{
	return cur_str16(c, WIRE_VERSION_NAME_MAX, &out->version_name) && cur_str16(c, WIRE_EEK_MAX, &out->iv) &&
	       cur_str16(c, WIRE_EEK_MAX, &out->material);
}

void wire_item_put(struct sink *s, const struct wire_item *m)
{
	sink_str16(s, m->version_name);
	sink_str16(s, m->iv);
	sink_str16(s, m->material);
}

enum rc wire_batch_req_get(struct cursor in, struct wire_batch_req *out)
{
	struct wire_batch_req r = { 0 };
	struct wire_item item;
	struct cursor walk;
	uint32_t i;

	if (!cred_get(&in, &r.cred) || !cur_str16(&in, WIRE_NAME_MAX, &r.name) || !cur_le32(&in, &r.count) ||
	    r.count > WIRE_EEK_COUNT_MAX)
		return RC_BAD_INPUT;
	r.item = walk = in;
	for (i = 0; i < r.count; i++)
		if (!wire_item_next(&walk, &item))
			return RC_BAD_INPUT;
	if (!cur_end(&walk))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_batch_req_put(struct sink *s, const struct wire_batch_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_str16(s, m->name);
	sink_le32(s, m->count);
}

enum rc wire_names_req_get(struct cursor in, struct wire_names_req *out)
{
	struct wire_names_req r = { 0 };

	if (!cred_get(&in, &r.cred) || !cur_le32(&in, &r.count) ||
	    !get_texts(&in, r.count, WIRE_NAME_MAX, &r.name) || !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_names_req_put(struct sink *s, const struct wire_names_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_le32(s, m->count);
}

bool wire_name_next(struct cursor *c, struct slice *out)
{
	return cur_str16(c, WIRE_NAME_MAX, out);
}

/* ---- answers ---- */

enum rc wire_ans_get(struct cursor in, struct wire_ans *out)
{
	struct wire_ans r = { 0 };
	struct cursor trailer;
	struct slice body, rest;
	unsigned i;

	if (!cur_copy(&in, &r.head, sizeof(r.head)) || r.head.err >= E_COUNT_ || r.head.zero != 0 ||
	    r.head.events > WIRE_EVENTS_MAX || !cur_sub(&in, r.head.body_len, &body) ||
	    !cur_sub(&in, r.head.trailer_len, &rest) || !cur_end(&in))
		return RC_BAD_INPUT;
	r.body = cur_of(body.p, body.len);
	trailer = cur_of(rest.p, rest.len);
	if (!cur_str16(&trailer, WIRE_USER_MAX, &r.user) ||
	    !cur_str16(&trailer, WIRE_PRINCIPAL_MAX, &r.principal) ||
	    !cur_str16(&trailer, WIRE_USER_MAX, &r.real) ||
	    !cur_str16(&trailer, WIRE_COOKIE_MAX, &r.cookie) || !cur_str16(&trailer, UINT16_MAX, &r.arg))
		return RC_BAD_INPUT;
	for (i = 0; i < r.head.events; i++) {
		struct wire_event *e = &r.event[i];

		if (!cur_u8(&trailer, &e->status) || e->status < EVENT_OK || e->status > EVENT_UNAUTHORIZED_KEY ||
		    !cur_u8(&trailer, &e->op) ||
		    e->op >= (e->status == EVENT_UNAUTHORIZED_KEY ? (int)KEYOP_COUNT : (int)OP_COUNT) ||
		    !get_bool(&trailer, &e->has_key) || !cur_str16(&trailer, WIRE_VERSION_NAME_MAX, &e->key))
			return RC_BAD_INPUT;
	}
	if (!cur_str16(&trailer, WIRE_CHAIN_MAX, &r.chain) || !cur_end(&trailer))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_ans_begin(struct sink *s)
{
	static const struct wire_ans_head none;

	sink_put(s, &none, sizeof(none));
}

size_t wire_ans_end(struct sink *s, uint8_t *start, const struct wire_ans *m)
{
	struct wire_ans_head h = m->head;
	size_t before = s->need;
	unsigned i;

	if (before < sizeof(h) || before - sizeof(h) > UINT32_MAX)
		return 0;
	h.body_len = (uint32_t)(before - sizeof(h));
	sink_str16(s, m->user);
	sink_str16(s, m->principal);
	sink_str16(s, m->real);
	sink_str16(s, m->cookie);
	sink_str16(s, m->arg);
	for (i = 0; i < h.events; i++) {
		sink_u8(s, m->event[i].status);
		sink_u8(s, m->event[i].op);
		sink_u8(s, m->event[i].has_key);
		sink_str16(s, m->event[i].key);
	}
	sink_str16(s, m->chain);
	if (!sink_ok(s))
		return 0;
	h.trailer_len = (uint32_t)(s->need - before);
	h.zero = 0;
	memcpy(start, &h, sizeof(h));
	return s->need;
}

bool wire_kv_next(struct cursor *c, struct wire_kv *out)
{
	struct wire_kv r = { 0 };

	if (!get_bool(c, &r.present))
		return false;
	if (r.present && (!cur_le32(c, &r.number) || !get_bool(c, &r.has_material) ||
			  !cur_str16(c, WIRE_NAME_MAX, &r.name) || !cur_str16(c, WIRE_EEK_MAX, &r.material) ||
			  (!r.has_material && r.material.len)))	/* withheld means not there */
		return false;
	*out = r;
	return true;
}

void wire_kv_put(struct sink *s, const struct wire_kv *m)
{
	sink_u8(s, m->present);
	if (!m->present)
		return;
	sink_le32(s, m->number);
	sink_u8(s, m->has_material);
	sink_str16(s, m->name);
	sink_str16(s, m->has_material ? m->material : slice_of("", 0));
}

bool wire_meta_next(struct cursor *c, struct wire_meta *out)
{
	struct wire_meta r = { 0 };

	if (!get_bool(c, &r.present))
		return false;
	if (r.present &&
	    (!get_bool(c, &r.has_description) || !cur_le32(c, &r.length) || !cur_le64(c, &r.created) ||
	     !cur_le32(c, &r.versions) || !cur_str16(c, WIRE_NAME_MAX, &r.name) ||
	     !cur_str16(c, WIRE_CIPHER_MAX, &r.cipher) || !cur_str16(c, WIRE_DESCRIPTION_MAX, &r.description) ||
	     !cur_le16(c, &r.attrs) || !get_texts(c, 2 * (uint64_t)r.attrs, WIRE_ATTRS_MAX, &r.attr)))
		return false;
	*out = r;
	return true;
}

void wire_meta_put(struct sink *s, const struct wire_meta *m)
{
	sink_u8(s, m->present);
	if (!m->present)
		return;
	sink_u8(s, m->has_description);
	sink_le32(s, m->length);
	sink_le64(s, m->created);
	sink_le32(s, m->versions);
	sink_str16(s, m->name);
	sink_str16(s, m->cipher);
	sink_str16(s, m->description);
	sink_le16(s, m->attrs);
	sink_put(s, m->attr.at, m->attr.left);
}

bool wire_eek_next(struct cursor *c, struct wire_eek *out)
{
	return cur_le32(c, &out->number) && get_bool(c, &out->unchanged) && cur_copy(c, out->iv, 16) &&
	       cur_str16(c, WIRE_EEK_MAX, &out->material);
}

void wire_eek_put(struct sink *s, const struct wire_eek *m)
{
	sink_le32(s, m->number);
	sink_u8(s, m->unchanged);
	sink_put(s, m->iv, 16);
	sink_str16(s, m->material);
}

bool wire_staged_next(struct cursor *c, struct wire_staged *out)
{
	struct wire_staged r = { 0 };

	if (!cur_le64(c, &r.ticket) || !get_bool(c, &r.remove) || !cur_copy(c, r.id, sizeof(r.id)) ||
	    !wire_str32_get(c, UINT32_MAX, &r.record) || !wire_kv_next(c, &r.kv))
		return false;
	*out = r;
	return true;
}

void wire_staged_put(struct sink *s, const struct wire_staged *m)
{
	sink_le64(s, m->ticket);
	sink_u8(s, m->remove);
	sink_put(s, m->id, sizeof(m->id));
	wire_str32_put(s, m->record);
	wire_kv_put(s, &m->kv);
}

/* ---- control ---- */

bool wire_property_next(struct cursor *c, struct slice *name, struct slice *value)
{
	return cur_str16(c, WIRE_ATTRS_MAX, name) && wire_str32_get(c, WIRE_VALUE_MAX, value);
}

void wire_property_put(struct sink *s, struct slice name, struct slice value)
{
	sink_str16(s, name);
	wire_str32_put(s, value);
}

enum rc wire_config_req_get(struct cursor in, struct wire_config_req *out)
{
	struct wire_config_req r = { 0 };
	struct slice name, value;
	struct cursor walk;
	uint32_t i;

	if (!cur_le32(&in, &r.count))
		return RC_BAD_INPUT;
	r.property = walk = in;
	for (i = 0; i < r.count; i++)
		if (!wire_property_next(&walk, &name, &value))
			return RC_BAD_INPUT;
	if (!cur_end(&walk))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_config_req_put(struct sink *s, uint32_t count)
{
	sink_le32(s, count);
}

enum rc wire_signed_req_get(struct cursor in, struct wire_signed_req *out)
{
	struct wire_signed_req r = { 0 };
	struct slice magic;

	if (!cur_str16(&in, SIGNED_SIGNATURE_MAX, &r.signature))
		return RC_BAD_INPUT;
	r.text = slice_of(in.at, in.left);
	if (!cur_sub(&in, 8, &magic) || !slice_eq(magic, slice_str(SIGNED_MAGIC)) || !cur_le64(&in, &r.version) ||
	    !cur_le32(&in, &r.flags) || (r.flags & ~SIGNED_ENROLL) || !cur_copy(&in, r.store_id, sizeof(r.store_id)) ||
	    !cur_str16(&in, SIGNED_PUBLIC_MAX, &r.public_der) || wire_config_req_get(in, &r.config) != RC_OK)
		return RC_BAD_INPUT;
	if (r.version == 0)
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_signed_text_put(struct sink *s, const struct wire_signed_req *m)
{
	sink_put(s, SIGNED_MAGIC, 8);
	sink_le64(s, m->version);
	sink_le32(s, m->flags);
	sink_put(s, m->store_id, sizeof(m->store_id));
	sink_str16(s, m->public_der);
}

bool wire_slot_next(struct cursor *c, uint8_t *number, struct slice *blob)
{
	return cur_u8(c, number) && cur_str16(c, UINT16_MAX, blob);
}

void wire_slot_put(struct sink *s, uint8_t number, struct slice blob)
{
	sink_u8(s, number);
	sink_str16(s, blob);
}

enum rc wire_open_req_get(struct cursor in, struct wire_open_req *out)
{
	struct wire_open_req r = { 0 };
	struct cursor walk;
	struct slice blob;
	uint8_t i, number;

	if (!cur_le64(&in, &r.floor) || !cur_le64(&in, &r.count) || !cur_str16(&in, UINT16_MAX, &r.head) ||
	    !cur_u8(&in, &r.slots))
		return RC_BAD_INPUT;
	r.slot = walk = in;
	for (i = 0; i < r.slots; i++)
		if (!wire_slot_next(&walk, &number, &blob))
			return RC_BAD_INPUT;
	if (!cur_end(&walk))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_open_req_put(struct sink *s, const struct wire_open_req *m)
{
	sink_le64(s, m->floor);
	sink_le64(s, m->count);
	sink_str16(s, m->head);
	sink_u8(s, m->slots);
}

bool wire_record_next(struct cursor *c, const uint8_t **id, struct slice *record)
{
	return cur_take(c, WIRE_ID_LEN, id) && wire_str32_get(c, UINT32_MAX, record);
}

void wire_record_put(struct sink *s, const uint8_t id[WIRE_ID_LEN], struct slice record)
{
	sink_put(s, id, WIRE_ID_LEN);
	wire_str32_put(s, record);
}

enum rc wire_load_req_get(struct cursor in, struct wire_load_req *out)
{
	struct wire_load_req r = { 0 };
	const uint8_t *id;
	struct cursor walk;
	struct slice rec;
	uint32_t i;

	if (!cur_le32(&in, &r.count))
		return RC_BAD_INPUT;
	r.record = walk = in;
	for (i = 0; i < r.count; i++)
		if (!wire_record_next(&walk, &id, &rec))
			return RC_BAD_INPUT;
	if (!cur_end(&walk))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_load_req_put(struct sink *s, uint32_t count)
{
	sink_le32(s, count);
}

enum rc wire_tickets_req_get(struct cursor in, struct wire_tickets_req *out)
{
	struct wire_tickets_req r = { 0 };

	if (!cur_le64(&in, &r.epoch) || !cur_le32(&in, &r.count) || in.left != 8 * (size_t)r.count)
		return RC_BAD_INPUT;
	r.ticket = in;
	*out = r;
	return RC_OK;
}

void wire_tickets_req_put(struct sink *s, const struct wire_tickets_req *m)
{
	sink_le64(s, m->epoch);
	sink_le32(s, m->count);
}

enum rc wire_blob_req_get(struct cursor in, struct slice *out)
{
	struct slice r;

	if (!cur_str16(&in, UINT16_MAX, &r) || !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_blob_req_put(struct sink *s, struct slice blob)
{
	sink_str16(s, blob);
}

enum rc wire_acl_req_get(struct cursor in, struct wire_acl_req *out)
{
	struct wire_acl_req r = { 0 };

	if (!cred_get(&in, &r.cred) || !cur_u8(&in, &r.op) || r.op >= OP_COUNT ||
	    !cur_str16(&in, WIRE_NAME_MAX, &r.key) || !cur_end(&in))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

void wire_acl_req_put(struct sink *s, const struct wire_acl_req *m)
{
	wire_cred_put(s, &m->cred);
	sink_u8(s, m->op);
	sink_str16(s, m->key);
}
