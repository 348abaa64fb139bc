/* SPDX-License-Identifier: Apache-2.0 */
/* See seal.h for the formats. Everything opened here may have been written by an attacker. */
#include "service/seal.h"
#include "service/state.h"

#define FORMAT 1

void set_add(struct set_sum *a, const struct set_sum *b)
{
	unsigned __int128 t = 0;
	int i;

	for (i = 0; i < 4; i++) {
		t += (unsigned __int128)a->v[i] + b->v[i];
		a->v[i] = (uint64_t)t;
		t >>= 64;
	}
}

void set_sub(struct set_sum *a, const struct set_sum *b)
{
	uint64_t borrow = 0;
	int i;

	for (i = 0; i < 4; i++) {
		uint64_t x, y;
		bool b1 = __builtin_sub_overflow(a->v[i], b->v[i], &x);
		bool b2 = __builtin_sub_overflow(x, borrow, &y);

		a->v[i] = y;
		borrow = b1 || b2;
	}
}

enum rc seal_derive(struct svc_worker *w, struct store *st)
{
	static const char *const label[] = { "record", "record id", "set", "head", "delegation tokens" };
	struct crypto_mac_key *to[] = { &st->key_record, &st->key_id, &st->key_set, &st->key_head,
					 &st->key_token };
	struct crypto_mac_key root = { 0 };
	uint8_t k[32];
	enum rc rc = RC_OK;
	size_t i;

	crypto_mac_key_set(&root, st->root.b, sizeof(st->root.b));
	for (i = 0; rc == RC_OK && i < ARRAY_LEN(label); i++) {
		struct slice parts[] = { slice_str("svsm-kms data root: "), slice_str(label[i]), slice_of("\0", 1),
					 slice_of(st->id, sizeof(st->id)) };

		rc = crypto_mac(w->crypto, MAC_SIGN_OLD, &root, parts, ARRAY_LEN(parts), k);
		if (rc == RC_OK)
			crypto_mac_key_set(to[i], k, sizeof(k));
	}
	mem_wipe(k, sizeof(k));
	crypto_mac_key_wipe(&root);
	return rc;
}

enum rc seal_subkey(struct svc_worker *w, const struct store *st, const char *label, struct secret *out)
{
	struct slice parts[] = { slice_str(label), slice_of("\0", 1), slice_of(st->id, sizeof(st->id)) };
	struct crypto_mac_key root = { 0 };
	enum rc rc;

	crypto_mac_key_set(&root, st->root.b, sizeof(st->root.b));
	rc = crypto_mac(w->crypto, MAC_SIGN_OLD, &root, parts, ARRAY_LEN(parts), out->b);
	crypto_mac_key_wipe(&root);
	return rc;
}

void seal_wipe(struct store *st)
{
	mem_wipe(st, sizeof(*st));
}

enum rc seal_record_id(struct svc_worker *w, const struct store *st, struct slice name, uint64_t born,
		       uint8_t id[WIRE_ID_LEN])
{
	uint8_t h[CRYPTO_HASH_LEN];
	uint64_t first;
	enum rc rc = crypto_mac(w->crypto, MAC_ID, &st->key_id, &name, 1, h);

	if (rc != RC_OK)
		return rc;
	first = __builtin_bswap64((uint64_t)(h[0] >> 5) << 61 | (born & SEAL_BORN_MAX));
	memcpy(id, &first, sizeof(first));
	memcpy(id + sizeof(first), h + sizeof(first), WIRE_ID_LEN - sizeof(first));
	return RC_OK;
}

uint64_t seal_record_born(const uint8_t id[WIRE_ID_LEN])
{
	uint64_t first;

	memcpy(&first, id, sizeof(first));
	return __builtin_bswap64(first) & SEAL_BORN_MAX;
}

/* The key for one message: nobody else has this salt. */
static enum rc derive_once(struct svc_worker *w, unsigned slot, const struct crypto_mac_key *k, const uint8_t *salt,
			   struct secret *out)
{
	struct slice part = slice_of(salt, SEAL_SALT);

	return crypto_mac(w->crypto, slot, k, &part, 1, out->b);
}

struct record_aad {
	uint8_t store[16];
	uint8_t id[WIRE_ID_LEN];
	uint8_t start[12];	/* format kind zero version, as in the record */
};
ABI_SIZE(struct record_aad, 44);

enum rc seal_record(struct svc_worker *w, const struct store *st, uint8_t kind, const uint8_t id[WIRE_ID_LEN],
		    uint64_t version, const uint8_t *plain, size_t len, uint8_t *out, uint8_t tag[CRYPTO_TAG_LEN])
{
	struct sink s = sink_of(out, SEAL_RECORD_OVERHEAD + len);
	struct record_aad aad;
	uint8_t *salt, *t, *ct;
	SECRET k = { 0 };
	enum rc rc;

	sink_u8(&s, FORMAT);
	sink_u8(&s, kind);
	sink_le16(&s, 0);
	sink_le64(&s, version);
	salt = sink_room(&s, SEAL_SALT);
	t = sink_room(&s, CRYPTO_TAG_LEN);
	ct = sink_room(&s, len);
	INVARIANT(sink_ok(&s));
	memcpy(aad.store, st->id, 16);
	memcpy(aad.id, id, WIRE_ID_LEN);
	memcpy(aad.start, out, sizeof(aad.start));
	rc = crypto_random_get(w->crypto, &w->random, salt, SEAL_SALT);
	if (rc == RC_OK)
		rc = derive_once(w, MAC_RECORD, &st->key_record, salt, &k);
	if (rc == RC_OK)
		rc = crypto_seal(w->crypto, &k, slice_of(&aad, sizeof(aad)), plain, len, ct, t);
	if (rc == RC_OK)
		memcpy(tag, t, CRYPTO_TAG_LEN);
	return rc;
}

enum rc seal_record_open(struct svc_worker *w, const struct store *st, const uint8_t id[WIRE_ID_LEN],
			 struct slice record, uint8_t *plain, uint8_t *kind, uint64_t *version,
			 uint8_t tag[CRYPTO_TAG_LEN])
{
	struct cursor c = cur_of(record.p, record.len);
	struct record_aad aad;
	struct slice salt, ct;
	uint8_t format, what, t[CRYPTO_TAG_LEN];
	uint16_t zero;
	uint64_t v;
	SECRET k = { 0 };
	enum rc rc;

	if (!cur_u8(&c, &format) || !cur_u8(&c, &what) || !cur_le16(&c, &zero) || !cur_le64(&c, &v) ||
	    !cur_sub(&c, SEAL_SALT, &salt) || !cur_copy(&c, t, sizeof(t)) || !cur_sub(&c, c.left, &ct) ||
	    format != FORMAT || what == 0 || what >= KIND_COUNT || zero != 0)
		return RC_BAD_INPUT;
	memcpy(aad.store, st->id, 16);
	memcpy(aad.id, id, WIRE_ID_LEN);
	memcpy(aad.start, record.p, sizeof(aad.start));
	rc = derive_once(w, MAC_RECORD, &st->key_record, salt.p, &k);
	if (rc == RC_OK)
		rc = crypto_open(w->crypto, &k, slice_of(&aad, sizeof(aad)), ct.p, ct.len, plain, t);
	if (rc == RC_OK) {
		*kind = what;
		*version = v;
		memcpy(tag, t, sizeof(t));
	}
	return rc;
}

enum rc seal_element(struct svc_worker *w, const struct store *st, const uint8_t id[WIRE_ID_LEN], uint64_t version,
		     const uint8_t tag[CRYPTO_TAG_LEN], struct set_sum *out)
{
	uint8_t h[CRYPTO_HASH_LEN];
	struct slice parts[] = { slice_of(id, WIRE_ID_LEN), slice_of(&version, sizeof(version)),
				 slice_of(tag, CRYPTO_TAG_LEN) };
	enum rc rc = crypto_mac(w->crypto, MAC_SET, &st->key_set, parts, ARRAY_LEN(parts), h);

	if (rc == RC_OK)
		memcpy(out->v, h, sizeof(out->v));
	return rc;
}

struct head_aad {
	uint8_t store[16];
	uint8_t start[16];	/* format zero epoch, as in the head */
};
ABI_SIZE(struct head_aad, 32);

#define HEAD_FORMAT 2
#define HEAD_PLAIN (8 * 5 + 32 * 4)

enum rc seal_head(struct svc_worker *w, const struct store *st, const struct head *h, uint8_t out[SEAL_HEAD_LEN])
{
	uint8_t plain[HEAD_PLAIN];
	struct sink p = sink_of(plain, sizeof(plain)), s = sink_of(out, SEAL_HEAD_LEN);
	struct head_aad aad;
	uint8_t *salt, *tag, *ct;
	SECRET k = { 0 };
	enum rc rc;

	sink_le64(&p, h->count);
	sink_le64(&p, h->next_version);
	sink_le64(&p, h->time_ms);
	sink_put(&p, h->sum.v, sizeof(h->sum.v));
	sink_put(&p, h->owner.id, sizeof(h->owner.id));
	sink_le64(&p, h->owner.version);
	sink_put(&p, h->owner.hash, sizeof(h->owner.hash));
	sink_le64(&p, h->chain.seq);
	sink_put(&p, h->chain.hash, sizeof(h->chain.hash));
	sink_le64(&s, HEAD_FORMAT);
	sink_le64(&s, h->epoch);
	salt = sink_room(&s, SEAL_SALT);
	tag = sink_room(&s, CRYPTO_TAG_LEN);
	ct = sink_room(&s, HEAD_PLAIN);
	INVARIANT(sink_ok(&s) && sink_ok(&p));
	memcpy(aad.store, st->id, 16);
	memcpy(aad.start, out, 16);
	rc = crypto_random_get(w->crypto, &w->random, salt, SEAL_SALT);
	if (rc == RC_OK)
		rc = derive_once(w, MAC_HEAD, &st->key_head, salt, &k);
	if (rc == RC_OK)
		rc = crypto_seal(w->crypto, &k, slice_of(&aad, sizeof(aad)), plain, sizeof(plain), ct, tag);
	return rc;
}

enum rc seal_head_open(struct svc_worker *w, const struct store *st, struct slice in, struct head *out)
{
	struct cursor c = cur_of(in.p, in.len), p;
	uint8_t plain[HEAD_PLAIN], tag[CRYPTO_TAG_LEN];
	struct head h = { 0 };
	struct head_aad aad;
	struct slice salt, ct;
	uint64_t format;
	SECRET k = { 0 };
	enum rc rc;

	if (!cur_le64(&c, &format) || format != HEAD_FORMAT || !cur_le64(&c, &h.epoch) || !cur_sub(&c, SEAL_SALT, &salt) ||
	    !cur_copy(&c, tag, sizeof(tag)) || !cur_sub(&c, HEAD_PLAIN, &ct) || !cur_end(&c))
		return RC_BAD_INPUT;
	memcpy(aad.store, st->id, 16);
	memcpy(aad.start, in.p, 16);
	rc = derive_once(w, MAC_HEAD, &st->key_head, salt.p, &k);
	if (rc == RC_OK)
		rc = crypto_open(w->crypto, &k, slice_of(&aad, sizeof(aad)), ct.p, ct.len, plain, tag);
	if (rc != RC_OK)
		return rc;
	p = cur_of(plain, sizeof(plain));
	if (!cur_le64(&p, &h.count) || !cur_le64(&p, &h.next_version) || !cur_le64(&p, &h.time_ms) ||
	    !cur_copy(&p, h.sum.v, sizeof(h.sum.v)) || !cur_copy(&p, h.owner.id, sizeof(h.owner.id)) ||
	    !cur_le64(&p, &h.owner.version) || !cur_copy(&p, h.owner.hash, sizeof(h.owner.hash)) ||
	    !cur_le64(&p, &h.chain.seq) || !cur_copy(&p, h.chain.hash, sizeof(h.chain.hash)) || !cur_end(&p))
		return RC_BAD_INPUT;
	*out = h;
	return RC_OK;
}

static enum rc slot_key(struct svc_worker *w, const struct secret *platform, const uint8_t *salt, struct secret *out)
{
	struct slice parts[] = { slice_str("svsm-kms platform slot"), slice_of(salt, SEAL_SALT) };
	struct crypto_mac_key k = { 0 };
	enum rc rc;

	crypto_mac_key_set(&k, platform->b, sizeof(platform->b));
	rc = crypto_mac(w->crypto, MAC_SIGN_OLD, &k, parts, ARRAY_LEN(parts), out->b);
	crypto_mac_key_wipe(&k);
	return rc;
}

static void slot_start(struct sink *s, uint8_t type, const struct store *st)
{
	sink_u8(s, FORMAT);
	sink_u8(s, type);
	sink_le16(s, 0);
	sink_put(s, st->id, sizeof(st->id));
}

enum rc seal_slot_platform(struct svc_worker *w, const struct store *st, const struct secret *platform,
			   uint8_t out[SEAL_SLOT_PLATFORM_LEN])
{
	struct sink s = sink_of(out, SEAL_SLOT_PLATFORM_LEN);
	uint8_t *salt, *tag, *ct;
	SECRET k = { 0 };
	enum rc rc;

	slot_start(&s, SLOT_PLATFORM, st);
	salt = sink_room(&s, SEAL_SALT);
	tag = sink_room(&s, CRYPTO_TAG_LEN);
	ct = sink_room(&s, sizeof(st->root.b));
	INVARIANT(sink_ok(&s));
	rc = crypto_random_get(w->crypto, &w->random, salt, SEAL_SALT);
	if (rc == RC_OK)
		rc = slot_key(w, platform, salt, &k);
	if (rc == RC_OK)
		rc = crypto_seal(w->crypto, &k, slice_of(out, 20), st->root.b, sizeof(st->root.b), ct, tag);
	return rc;
}

enum rc seal_slot_platform_open(struct svc_worker *w, struct store *st, const struct secret *platform, struct slice in)
{
	struct cursor c = cur_of(in.p, in.len);
	uint8_t format, type, id[16], tag[CRYPTO_TAG_LEN];
	struct slice salt, ct;
	uint16_t zero;
	SECRET k = { 0 };
	SECRET root = { 0 };
	enum rc rc;

	if (!cur_u8(&c, &format) || format != FORMAT || !cur_u8(&c, &type) || type != SLOT_PLATFORM ||
	    !cur_le16(&c, &zero) || zero != 0 || !cur_copy(&c, id, sizeof(id)) || !cur_sub(&c, SEAL_SALT, &salt) ||
	    !cur_copy(&c, tag, sizeof(tag)) || !cur_sub(&c, sizeof(root.b), &ct) || !cur_end(&c))
		return RC_BAD_INPUT;
	rc = slot_key(w, platform, salt.p, &k);
	if (rc == RC_OK)
		rc = crypto_open(w->crypto, &k, slice_of(in.p, 20), ct.p, ct.len, root.b, tag);
	if (rc == RC_OK) {
		memcpy(st->id, id, sizeof(id));
		memcpy(st->root.b, root.b, sizeof(root.b));
	}
	return rc;
}

enum rc seal_slot_recovery(struct svc_worker *w, const struct store *st, struct slice public_der,
			   uint8_t out[SEAL_SLOT_RECOVERY_LEN])
{
	struct sink s = sink_of(out, SEAL_SLOT_RECOVERY_LEN);
	uint8_t *blob;

	slot_start(&s, SLOT_RECOVERY, st);
	blob = sink_room(&s, CRYPTO_WRAP_LEN);
	INVARIANT(sink_ok(&s));
	return crypto_wrap(w->crypto, public_der, slice_of(out, 20), &st->root, blob);
}
