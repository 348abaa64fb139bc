/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys. A key is one packed, immutable object: rolling a key makes a new object that
 * replaces the old one when the change is committed. The caller holds the service's lock.
 *
 * What else the store keeps has the same form, in tables of its own:
 *   token   a delegation token: name = its identifier, created = until when it counts; no material
 *   secret  a named secret of the core: its bytes are the material, one "version" of 8 bits each
 */
#ifndef SERVICE_KEYS_H
#define SERVICE_KEYS_H

#include "base/base.h"
#include "wire/msg.h"

/* The number stands, authenticated, in the sealed record. */
enum key_kind { KIND_KEY = 1, KIND_TOKEN, KIND_SECRET, KIND_COUNT };
#define SECRET_BYTES_MAX 65535u

struct key {
	uint64_t hash;		/* of the name, seeded */
	uint64_t seq;		/* order of creation in this table */
	uint64_t created;	/* ms since 1970 */
	uint64_t rec_version;	/* of its sealed record */
	uint64_t rec_born;	/* the change that created it; part of the record's id */
	uint8_t rec_tag[16];	/* with version and id: the record's element of the store's set hash */
	uint32_t data_len;	/* bytes of data[] */
	uint32_t versions;
	uint16_t bits;		/* material length in bits; every version has the same */
	uint16_t name_len, cipher_len, description_len;
	uint16_t attrs, attrs_len;
	bool has_description;
	uint8_t kind;		/* enum key_kind */
	uint8_t data[];		/* name cipher description attrs material[versions] */
};

struct key_view {		/* what a key is made of; slices belong to the caller */
	uint64_t created;
	uint32_t versions;
	uint16_t bits, attrs;
	bool has_description;
	uint8_t kind;		/* enum key_kind */
	struct slice name, cipher, description, attr, material;	/* material: versions * bits / 8 bytes */
};

static inline struct slice key_name(const struct key *k)
{
	return slice_of(k->data, k->name_len);
}
static inline struct slice key_cipher(const struct key *k)
{
	return slice_of(k->data + k->name_len, k->cipher_len);
}
static inline struct slice key_description(const struct key *k)
{
	return slice_of(k->data + k->name_len + k->cipher_len, k->description_len);
}
static inline struct cursor key_attrs(const struct key *k)
{
	return cur_of(k->data + k->name_len + k->cipher_len + k->description_len, k->attrs_len);
}
/* version < k->versions */
struct slice key_material(const struct key *k, uint32_t version);

/* A new object; *k is the caller's until it is put into a table. RC_BAD_INPUT: sizes do not agree. */
enum rc key_new(const struct key_view *v, struct key **k);
struct key_view key_view(const struct key *k);
/* Wipes. NULL is fine. */
void key_free(struct key *k);
static inline size_t key_size(const struct key *k)
{
	return sizeof(*k) + k->data_len;
}

/*
 * The plaintext of a key's record:
 *   flags:u8 bits:u16 versions:u32 created:u64 attrs:u16 name:str16 cipher:str16 description:str16
 *   attr:str16 material[versions * bits / 8]
 */
size_t key_encoded_len(const struct key *k);
void key_encode(struct sink *s, const struct key *k);
enum rc key_decode(struct cursor in, uint8_t kind, struct key **k);

#define KEYS_SHARDS 64
struct keys {
	uint64_t seed[2], next_seq;
	uint64_t count, bytes;
	struct keys_shard {
		struct key **slot;
		size_t mask, used;	/* mask + 1 slots; 0 slots when slot is NULL */
	} shard[KEYS_SHARDS];
	struct keys_order {
		uint64_t seq;
		struct key *key;	/* NULL: removed since */
	} *order;
	size_t order_len, order_cap, order_holes;
};

/* seed: secret and random, so that nobody can tell which names collide; NULL: zero, for an empty table. */
void keys_init(struct keys *t, const uint64_t seed[2]);
void keys_wipe(struct keys *t);
/* Makes room for so many keys in all. */
enum rc keys_reserve(struct keys *t, uint64_t count);
uint64_t keys_hash(const struct keys *t, struct slice name);
struct key *keys_find(const struct keys *t, struct slice name);
/* Makes room for more[i] further keys in shard i: after RC_OK, adding them cannot fail. */
enum rc keys_reserve_more(struct keys *t, const uint32_t more[KEYS_SHARDS]);
static inline unsigned keys_shard(uint64_t hash)
{
	return (unsigned)(hash >> 58);
}
/* The table owns k from here. The name must not be there yet. RC_NO_ROOM: no memory; k stays the caller's. */
enum rc keys_add(struct keys *t, struct key *k);
/* Replaces old (which is freed) by new, of the same name. */
void keys_replace(struct keys *t, struct key *old, struct key *new_key);
/* Removes and frees. */
void keys_remove(struct keys *t, struct key *k);
/* The first key in order of creation with seq >= from, or NULL. */
const struct key *keys_from(const struct keys *t, uint64_t from, size_t *hint);

/* Splits "name@7" at its last '@'; false unless the number is in the form the service writes. */
MUST_CHECK bool key_split_version(struct slice version_name, struct slice *name, uint32_t *number);

#endif
