/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and their table: 64 shards of open addressing with linear probing, so that growing one shard
 * is a short pause even with millions of keys, and a list in order of creation for listing names.
 */
#include <stdlib.h>

#include "service/keys.h"

struct slice key_material(const struct key *k, uint32_t version)
{
	size_t len = k->bits / 8;

	INVARIANT(version < k->versions);
	return slice_of(k->data + k->data_len - (size_t)(k->versions - version) * len, len);
}

static const struct {
	uint32_t bits_max, least, most;	/* of one version; versions */
} shapes[KIND_COUNT] = {
	[KIND_KEY] = { WIRE_MATERIAL_MAX * 8, 1, WIRE_VERSIONS_MAX },
	[KIND_TOKEN] = { 0, 0, 0 },
	[KIND_SECRET] = { 8, 1, SECRET_BYTES_MAX },
};

MUST_CHECK static bool shape_ok(uint8_t kind, uint16_t bits, uint32_t versions)
{
	return kind > 0 && kind < KIND_COUNT && bits % 8 == 0 && bits <= shapes[kind].bits_max &&
	       (bits == 0) == (shapes[kind].bits_max == 0) && versions >= shapes[kind].least &&
	       versions <= shapes[kind].most;
}

enum rc key_new(const struct key_view *v, struct key **out)
{
	size_t material = (size_t)v->versions * (v->bits / 8);
	struct key *k;
	uint8_t *p;

	if (!shape_ok(v->kind, v->bits, v->versions) || v->material.len != material || v->name.len == 0 ||
	    v->name.len > WIRE_NAME_MAX || v->cipher.len > WIRE_CIPHER_MAX ||
	    v->description.len > WIRE_DESCRIPTION_MAX || v->attr.len > WIRE_ATTRS_MAX)
		return RC_BAD_INPUT;
	k = calloc(1, sizeof(*k) + v->name.len + v->cipher.len + v->description.len + v->attr.len + material);
	if (!k)
		return RC_NO_ROOM;
	k->created = v->created;
	k->versions = v->versions;
	k->bits = v->bits;
	k->attrs = v->attrs;
	k->has_description = v->has_description;
	k->kind = v->kind;
	k->name_len = (uint16_t)v->name.len;
	k->cipher_len = (uint16_t)v->cipher.len;
	k->description_len = (uint16_t)v->description.len;
	k->attrs_len = (uint16_t)v->attr.len;
	k->data_len = (uint32_t)(v->name.len + v->cipher.len + v->description.len + v->attr.len + material);
	p = k->data;
	memcpy(p, v->name.p, v->name.len);
	p += v->name.len;
	if (v->cipher.len)
		memcpy(p, v->cipher.p, v->cipher.len);
	p += v->cipher.len;
	if (v->description.len)
		memcpy(p, v->description.p, v->description.len);
	p += v->description.len;
	if (v->attr.len)
		memcpy(p, v->attr.p, v->attr.len);
	p += v->attr.len;
	if (material)
		memcpy(p, v->material.p, material);
	*out = k;
	return RC_OK;
}

struct key_view key_view(const struct key *k)
{
	size_t material = (size_t)k->versions * (k->bits / 8);
	struct cursor attrs = key_attrs(k);

	return (struct key_view){
		.created = k->created,
		.versions = k->versions,
		.bits = k->bits,
		.attrs = k->attrs,
		.has_description = k->has_description,
		.kind = k->kind,
		.name = key_name(k),
		.cipher = key_cipher(k),
		.description = key_description(k),
		.attr = slice_of(attrs.at, attrs.left),
		.material = slice_of(k->data + k->data_len - material, material),
	};
}

void key_free(struct key *k)
{
	if (!k)
		return;
	mem_wipe(k, key_size(k));
	free(k);
}

size_t key_encoded_len(const struct key *k)
{
	return 1 + 2 + 4 + 8 + 2 + 4 * 2 + (size_t)k->data_len;
}

void key_encode(struct sink *s, const struct key *k)
{
	struct key_view v = key_view(k);

	sink_u8(s, v.has_description);
	sink_le16(s, v.bits);
	sink_le32(s, v.versions);
	sink_le64(s, v.created);
	sink_le16(s, v.attrs);
	sink_str16(s, v.name);
	sink_str16(s, v.cipher);
	sink_str16(s, v.description);
	sink_str16(s, v.attr);
	sink_put(s, v.material.p, v.material.len);
}

MUST_CHECK static bool attrs_fit(struct slice attr, uint16_t count)
{
	struct cursor c = cur_of(attr.p, attr.len);
	struct slice k, v;

	for (; count; count--)
		if (!wire_attr_next(&c, &k, &v))
			return false;
	return cur_end(&c);
}

enum rc key_decode(struct cursor in, uint8_t kind, struct key **k)
{
	struct key_view v = { .kind = kind };
	uint8_t flags;

	if (!cur_u8(&in, &flags) || flags > 1 || !cur_le16(&in, &v.bits) || !cur_le32(&in, &v.versions) ||
	    !shape_ok(kind, v.bits, v.versions) || !cur_le64(&in, &v.created) || !cur_le16(&in, &v.attrs) ||
	    !cur_str16(&in, WIRE_NAME_MAX, &v.name) || !cur_str16(&in, WIRE_CIPHER_MAX, &v.cipher) ||
	    !cur_str16(&in, WIRE_DESCRIPTION_MAX, &v.description) || !cur_str16(&in, WIRE_ATTRS_MAX, &v.attr) ||
	    !cur_sub(&in, (size_t)v.versions * (v.bits / 8), &v.material) || !cur_end(&in) ||
	    !attrs_fit(v.attr, v.attrs))
		return RC_BAD_INPUT;
	v.has_description = flags;
	return key_new(&v, k);
}

/* ---- table ---- */

void keys_init(struct keys *t, const uint64_t seed[2])
{
	uint64_t keep[2] = { seed ? seed[0] : 0, seed ? seed[1] : 0 };	/* seed may be the table's own */

	memset(t, 0, sizeof(*t));
	memcpy(t->seed, keep, sizeof(t->seed));
	t->next_seq = 1;
}

void keys_wipe(struct keys *t)
{
	size_t i, j;

	for (i = 0; i < KEYS_SHARDS; i++) {
		for (j = 0; t->shard[i].slot && j <= t->shard[i].mask; j++)
			key_free(t->shard[i].slot[j]);
		free(t->shard[i].slot);
	}
	free(t->order);
	keys_init(t, t->seed);
}

static inline uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
	for (; rounds; rounds--) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012). It has to be keyed all the way through: names are chosen by
 * whoever may create keys, and with a plain mixing hash two names can collide under every seed, so that
 * all of somebody's keys pile up in one place of the table.
 */
uint64_t keys_hash(const struct keys *t, struct slice name)
{
	uint64_t v[4] = { t->seed[0] ^ 0x736f6d6570736575u, t->seed[1] ^ 0x646f72616e646f6du,
			  t->seed[0] ^ 0x6c7967656e657261u, t->seed[1] ^ 0x7465646279746573u };
	uint64_t w;
	size_t i = 0;

	for (; i + 8 <= name.len; i += 8) {
		memcpy(&w, name.p + i, 8);
		v[3] ^= w;
		sip_rounds(v, 2);
		v[0] ^= w;
	}
	w = 0;
	if (i < name.len)
		memcpy(&w, name.p + i, name.len - i);
	w |= (uint64_t)name.len << 56;
	v[3] ^= w;
	sip_rounds(v, 2);
	v[0] ^= w;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct keys_shard *shard_of(const struct keys *t, uint64_t hash)
{
	return (struct keys_shard *)(uintptr_t)&t->shard[keys_shard(hash)];
}

struct key *keys_find(const struct keys *t, struct slice name)
{
	uint64_t hash = keys_hash(t, name);
	const struct keys_shard *s = shard_of(t, hash);
	size_t i;

	if (!s->slot)
		return NULL;
	for (i = hash & s->mask; s->slot[i]; i = (i + 1) & s->mask)
		if (s->slot[i]->hash == hash && slice_eq(key_name(s->slot[i]), name))
			return s->slot[i];
	return NULL;
}

static void place(struct key **slot, size_t mask, struct key *k)
{
	size_t i = k->hash & mask;

	while (slot[i])
		i = (i + 1) & mask;
	slot[i] = k;
}

/* At most three quarters full, so that a probe always ends. */
static enum rc shard_room(struct keys_shard *s, size_t want)
{
	size_t size = s->slot ? s->mask + 1 : 0, bigger = size ? size : 16, i;
	struct key **slot;

	if (want * 4 <= size * 3)
		return RC_OK;
	while (want * 4 > bigger * 3)
		bigger *= 2;
	slot = calloc(bigger, sizeof(struct key *));
	if (!slot)
		return RC_NO_ROOM;
	for (i = 0; i < size; i++)
		if (s->slot[i])
			place(slot, bigger - 1, s->slot[i]);
	free(s->slot);
	s->slot = slot;
	s->mask = bigger - 1;
	return RC_OK;
}

static enum rc order_room(struct keys *t, size_t want)
{
	size_t cap = t->order_cap ? t->order_cap : 64;
	struct keys_order *o;

	if (want <= t->order_cap)
		return RC_OK;
	while (cap < want)
		cap *= 2;
	o = realloc(t->order, cap * sizeof(*o));
	if (!o)
		return RC_NO_ROOM;
	t->order = o;
	t->order_cap = cap;
	return RC_OK;
}

enum rc keys_reserve(struct keys *t, uint64_t count)
{
	size_t i, each = (size_t)(count / KEYS_SHARDS + count / KEYS_SHARDS / 8 + 16);

	for (i = 0; i < KEYS_SHARDS; i++)
		if (shard_room(&t->shard[i], each) != RC_OK)
			return RC_NO_ROOM;
	return order_room(t, (size_t)count);
}

enum rc keys_reserve_more(struct keys *t, const uint32_t more[KEYS_SHARDS])
{
	size_t i, total = 0;

	for (i = 0; i < KEYS_SHARDS; i++) {
		if (shard_room(&t->shard[i], t->shard[i].used + more[i]) != RC_OK)
			return RC_NO_ROOM;
		total += more[i];
	}
	return order_room(t, t->order_len + total);
}

enum rc keys_add(struct keys *t, struct key *k)
{
	struct keys_shard *s;

	k->hash = keys_hash(t, key_name(k));
	s = shard_of(t, k->hash);
	if (shard_room(s, s->used + 1) != RC_OK || order_room(t, t->order_len + 1) != RC_OK)
		return RC_NO_ROOM;
	place(s->slot, s->mask, k);
	s->used++;
	k->seq = t->next_seq++;
	t->order[t->order_len++] = (struct keys_order){ .seq = k->seq, .key = k };
	t->count++;
	t->bytes += key_size(k);
	return RC_OK;
}

static size_t order_find(const struct keys *t, uint64_t seq)
{
	size_t lo = 0, hi = t->order_len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->order[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t slot_find(const struct keys_shard *s, const struct key *k)
{
	size_t i = k->hash & s->mask;

	while (s->slot[i] != k) {
		INVARIANT(s->slot[i]);
		i = (i + 1) & s->mask;
	}
	return i;
}

void keys_replace(struct keys *t, struct key *old, struct key *new_key)
{
	struct keys_shard *s = shard_of(t, old->hash);

	new_key->hash = old->hash;
	new_key->seq = old->seq;
	s->slot[slot_find(s, old)] = new_key;
	t->order[order_find(t, old->seq)].key = new_key;
	t->bytes += key_size(new_key) - key_size(old);
	key_free(old);
}

static void order_compact(struct keys *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->order_len; i++)
		if (t->order[i].key)
			t->order[n++] = t->order[i];
	t->order_len = n;
	t->order_holes = 0;
}

void keys_remove(struct keys *t, struct key *k)
{
	struct keys_shard *s = shard_of(t, k->hash);
	size_t hole = slot_find(s, k), i;

	/* Close the gap: move back every later key of the run that may stand there. */
	for (i = (hole + 1) & s->mask; s->slot[i]; i = (i + 1) & s->mask) {
		size_t home = s->slot[i]->hash & s->mask;

		if (((i - home) & s->mask) >= ((i - hole) & s->mask)) {
			s->slot[hole] = s->slot[i];
			hole = i;
		}
	}
	s->slot[hole] = NULL;
	s->used--;
	t->order[order_find(t, k->seq)].key = NULL;
	t->count--;
	t->bytes -= key_size(k);
	if (++t->order_holes > 64 && t->order_holes > t->order_len / 2)
		order_compact(t);
	key_free(k);
}

const struct key *keys_from(const struct keys *t, uint64_t from, size_t *hint)
{
	size_t i = *hint;

	if (i >= t->order_len || t->order[i].seq != from)
		i = order_find(t, from);
	while (i < t->order_len && !t->order[i].key)
		i++;
	*hint = i + 1;
	return i < t->order_len ? t->order[i].key : NULL;
}

bool key_split_version(struct slice v, struct slice *name, uint32_t *number)
{
	size_t at = v.len, i;
	uint64_t n = 0;

	while (at > 0 && v.p[at - 1] != '@')
		at--;
	if (at == 0 || at == v.len || v.len - at > 9 || (v.p[at] == '0' && v.len - at > 1))
		return false;
	for (i = at; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*name = slice_of(v.p, at - 1);
	*number = (uint32_t)n;
	return true;
}
