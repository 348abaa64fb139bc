/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted keys, as Hadoop's default crypto extension makes them: a data key encrypted in CTR mode
 * under a key version, the counter starting at the complement of the IV that the file will use. There
 * is no tag: whatever is given decrypts to something.
 */
#include "service/rights.h"
#include "service/state.h"

#define EEK_HEAD (4 + 1 + 16 + 2)	/* bytes of an encrypted key in an answer, before its material */

static void wrap_iv(const uint8_t iv[16], uint8_t out[16])
{
	size_t i;

	for (i = 0; i < 16; i++)
		out[i] = (uint8_t)~iv[i];
}

/* Loads a key version into a CTR context. */
static enum wire_err use_version(struct op *o, unsigned slot, const struct key *k, uint32_t number)
{
	struct slice m = key_material(k, number);
	enum rc rc = crypto_ctr_key(o->w->crypto, slot, o->cfg->suite, m.p, m.len);

	if (rc == RC_BAD_INPUT)
		return op_fail_num(o, E_CIPHER_KEY, k->bits, 0);
	return rc == RC_OK ? E_OK : E_INTERNAL;
}

static enum wire_err generate_one(struct op *o, const struct key *k)
{
	size_t len = k->bits / 8;
	uint8_t fresh[16 + WIRE_MATERIAL_MAX], wrap[16];
	struct wire_eek e = { .number = k->versions - 1, .material = slice_of(fresh + 16, len) };
	enum rc rc = crypto_random_get(o->w->crypto, &o->w->random, fresh, 16 + len);

	if (rc != RC_OK)
		return E_RANDOM;
	memcpy(e.iv, fresh, 16);
	wrap_iv(e.iv, wrap);
	if (crypto_ctr(o->w->crypto, 0, wrap, fresh + 16, len, fresh + 16) != RC_OK) {
		mem_wipe(fresh, sizeof(fresh));
		return E_INTERNAL;
	}
	wire_eek_put(&o->out, &e);
	return E_OK;
}

enum wire_err op_generate(struct op *o)
{
	struct wire_name_req m;
	const struct key *k;
	enum wire_err e;
	uint32_t i;

	if (wire_name_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	e = auth_check(o, &m.cred);
	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_GENERATE_EEK, OP_GENERATE_EEK, &m.name);
	if (e != E_OK)
		return e;
	if (m.count > WIRE_EEK_COUNT_MAX)
		return op_fail_num(o, E_LIMIT, WIRE_EEK_COUNT_MAX, 0);
	sink_le32(&o->out, m.count);
	k = keys_find(&o->s->keys, m.name);
	if (m.count) {
		e = rights_key(o, k, KEYOP_GENERATE_EEK);
		if (e == E_OK && !k)
			e = E_GENERATE_NO_KEY;
		if (e == E_OK)
			e = use_version(o, 0, k, k->versions - 1);
	}
	/* All are the same size: what will not fit is not begun. */
	if (e == E_OK && m.count && o->out.left < (size_t)m.count * (EEK_HEAD + k->bits / 8))
		return op_fail_num(o, E_TOO_BIG, (size_t)m.count * (EEK_HEAD + k->bits / 8) + CALL_PAGE, 0);
	for (i = 0; e == E_OK && i < m.count; i++)
		e = generate_one(o, k);
	if (e == E_OK && !sink_ok(&o->out))
		return E_INTERNAL;
	if (e == E_OK)
		op_event(o, EVENT_OK, OP_GENERATE_EEK, &m.name);
	return e;
}

/*
 * The key a version name belongs to; an error when there is no such version, or it is not of `name`. strict:
 * also with key authorization off, where Hadoop would re-encrypt under another key than the version's.
 */
static enum wire_err find_version(struct op *o, struct slice version_name, const struct slice *name, bool strict,
				  const struct key **k, uint32_t *number)
{
	struct slice base;

	if (!key_split_version(version_name, &base, number) || !(*k = keys_find(&o->s->keys, base)) ||
	    *number >= (*k)->versions) {
		op_arg(o, version_name);
		return o->cfg->key_authorization ? E_VERSION_NOT_FOUND : E_VERSION_NOT_FOUND_NOAUTH;
	}
	if ((strict || o->cfg->key_authorization) && (!name || !slice_eq(base, *name))) {
		op_arg(o, version_name);
		return E_VERSION_MISMATCH;
	}
	return E_OK;
}

/* The checks that decrypt and re-encrypt share. */
static enum wire_err begin_eek(struct op *o, enum wire_op what, enum acl_type acl, enum wire_keyop keyop,
			       struct wire_eek_req *m, const struct key **k, uint32_t *number)
{
	const struct slice *name;
	enum wire_err e;

	if (wire_eek_req_get(o->in, m) != RC_OK)
		return E_BAD_MESSAGE;
	e = auth_check(o, &m->cred);
	if (e != E_OK)
		return e;
	if (m->version_name.len == 0)
		return E_NAME_EMPTY;
	name = m->has_name ? &m->name : NULL;
	e = rights_op(o, acl, what, name);
	if (e == E_OK)
		e = find_version(o, m->version_name, name, what == OP_REENCRYPT_EEK, k, number);
	if (e == E_OK)
		e = rights_key(o, *k, keyop);
	if (e == E_OK && m->iv.len != 16)
		e = op_fail_num(o, E_IV_LENGTH, m->iv.len, 0);
	if (e == E_OK)
		e = use_version(o, 0, *k, *number);
	return e;
}

enum wire_err op_decrypt(struct op *o)
{
	struct wire_kv kv = { .present = true, .has_material = true };
	uint8_t plain[WIRE_EEK_MAX], wrap[16];
	struct wire_eek_req m;
	const struct key *k;
	uint32_t number;
	enum wire_err e = begin_eek(o, OP_DECRYPT_EEK, ACL_DECRYPT_EEK, KEYOP_DECRYPT_EEK, &m, &k, &number);

	if (e == E_OK)
		e = op_room(o, KV_LEN(key_name(k).len, m.material.len), m.has_name ? m.name : slice_of("", 0));
	if (e != E_OK)
		return e;
	wrap_iv(m.iv.p, wrap);
	if (crypto_ctr(o->w->crypto, 0, wrap, m.material.p, m.material.len, plain) != RC_OK)
		return E_INTERNAL;
	kv.name = key_name(k);
	kv.material = slice_of(plain, m.material.len);
	wire_kv_put(&o->out, &kv);
	mem_wipe(plain, m.material.len);
	op_event(o, EVENT_OK, OP_DECRYPT_EEK, m.has_name ? &m.name : NULL);
	return E_OK;
}

/* From the version in context 0 to the current one in context 1. */
static enum wire_err rewrap(struct op *o, const struct key *k, uint32_t number, struct slice iv,
			    struct slice material)
{
	struct wire_eek e = { .number = k->versions - 1, .unchanged = number == k->versions - 1 };
	uint8_t plain[WIRE_EEK_MAX], wrap[16];
	enum wire_err err = E_OK;

	memcpy(e.iv, iv.p, 16);
	e.material = material;
	if (!e.unchanged) {
		wrap_iv(e.iv, wrap);
		if (crypto_ctr(o->w->crypto, 0, wrap, material.p, material.len, plain) != RC_OK ||
		    crypto_ctr(o->w->crypto, 1, wrap, plain, material.len, plain) != RC_OK)
			err = E_INTERNAL;
		e.material = slice_of(plain, material.len);
	}
	if (err == E_OK)
		wire_eek_put(&o->out, &e);
	if (!e.unchanged)
		mem_wipe(plain, material.len);
	return err;
}

enum wire_err op_reencrypt(struct op *o)
{
	struct wire_eek_req m;
	const struct key *k;
	uint32_t number;
	enum wire_err e = begin_eek(o, OP_REENCRYPT_EEK, ACL_GENERATE_EEK, KEYOP_GENERATE_EEK, &m, &k, &number);

	if (e == E_OK)
		e = use_version(o, 1, k, k->versions - 1);
	if (e == E_OK)
		e = rewrap(o, k, number, m.iv, m.material);
	if (e == E_OK)
		sink_str16(&o->out, key_name(k));
	if (e == E_OK)
		op_event(o, EVENT_OK, OP_REENCRYPT_EEK, m.has_name ? &m.name : NULL);
	return e;
}

/* Every version is checked before rights are, as in Hadoop; the rest of an item only after them. */
static enum wire_err batch_check(struct op *o, const struct wire_batch_req *m, const struct key **k)
{
	struct cursor items = m->item;
	struct wire_item item;
	uint32_t number;
	enum wire_err e = E_OK;

	while (e == E_OK && wire_item_next(&items, &item)) {
		e = find_version(o, item.version_name, &m->name, true, k, &number);
		if (e == E_OK && !slice_eq(key_name(*k), m->name)) {
			op_arg(o, item.version_name);
			e = E_VERSION_MISMATCH;
		}
	}
	return e;
}

static enum wire_err batch_run(struct op *o, const struct wire_batch_req *m, const struct key *k)
{
	struct cursor items = m->item;
	uint32_t number, loaded = UINT32_MAX;
	struct wire_item item;
	struct slice base;
	enum wire_err e = use_version(o, 1, k, k->versions - 1);

	while (e == E_OK && sink_ok(&o->out) && wire_item_next(&items, &item)) {
		if (item.iv.len != 16)
			return op_fail_num(o, E_IV_LENGTH, item.iv.len, 0);
		if (!key_split_version(item.version_name, &base, &number))
			return E_INTERNAL;
		if (number != loaded)	/* the key schedule of a run of one version is made once */
			e = use_version(o, 0, k, number);
		loaded = number;
		if (e == E_OK)
			e = rewrap(o, k, number, item.iv, item.material);
	}
	return e;
}

enum wire_err op_reencrypt_batch(struct op *o)
{
	const struct key *k = NULL;
	struct wire_batch_req m;
	enum wire_err e;

	if (wire_batch_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	e = auth_check(o, &m.cred);
	if (e != E_OK)
		return e;
	if (m.name.len == 0)
		return E_NAME_EMPTY;
	e = rights_op(o, ACL_GENERATE_EEK, OP_REENCRYPT_EEK_BATCH, &m.name);
	if (e != E_OK)
		return e;
	sink_le32(&o->out, m.count);
	if (m.count) {
		e = batch_check(o, &m, &k);
		if (e == E_OK)
			e = rights_key(o, k, KEYOP_GENERATE_EEK);
		if (e == E_OK)
			e = batch_run(o, &m, k);
	}
	if (e == E_OK && !sink_ok(&o->out))
		return op_fail_num(o, E_TOO_BIG, CALL_PAGE + 1, 0);
	if (e == E_OK)
		op_event(o, EVENT_OK, OP_REENCRYPT_EEK_BATCH, &m.name);
	return e;
}
