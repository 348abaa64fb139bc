/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing: what leaves the core for storage, and what is accepted back.
 *
 *   record := format:u8 kind:u8 zero:u16 version:u64 salt[24] tag[16] ct
 *             kind: enum key_kind (keys.h);
 *             AES-256-GCM; key = HMAC(record key, salt); associated data = store id, record id,
 *             format, kind, version. A key is derived for one record and never used again.
 *   head   := format:u8 zero[7] epoch:u64 salt[24] tag[16] ct;  plaintext:
 *             count:u64 next_version:u64 time_ms:u64 sum[32] owner[32] config_version:u64 config_hash[32]
 *             chain_seq:u64 chain_hash[32]: the audit chain's last entry
 *   slot   := format:u8 type:u8 zero:u16 store_id[16] body
 *             platform: salt[24] tag[16] ct[32];  recovery: crypto_wrap() blob
 *
 * The sum is a multiset hash over (id, version, tag) of all records: the sum mod 2^256 of
 * HMAC(set key, id || version || tag). A record that is missing, replaced, doubled or brought back
 * changes it.
 */
#ifndef SERVICE_SEAL_H
#define SERVICE_SEAL_H

#include "crypto/crypto.h"
#include "wire/msg.h"

#define SEAL_SALT 24
#define SEAL_RECORD_OVERHEAD (1 + 1 + 2 + 8 + SEAL_SALT + CRYPTO_TAG_LEN)
#define SEAL_HEAD_LEN (8 + 8 + SEAL_SALT + CRYPTO_TAG_LEN + 8 * 5 + 32 * 4)
#define SEAL_SLOT_PLATFORM_LEN (4 + 16 + SEAL_SALT + CRYPTO_TAG_LEN + 32)
#define SEAL_SLOT_RECOVERY_LEN (4 + 16 + CRYPTO_WRAP_LEN)

enum { SLOT_PLATFORM = 1, SLOT_RECOVERY = 2 };

struct set_sum {
	uint64_t v[4];		/* least significant first */
};
void set_add(struct set_sum *a, const struct set_sum *b);
void set_sub(struct set_sum *a, const struct set_sum *b);

/* Who may configure this store, and the last of their configurations that it has seen; see owner.h. */
struct owner {
	uint8_t id[32];		/* SHA-256 of the public key; zeros: no owner */
	uint64_t version;
	uint8_t hash[32];	/* of the signed text of that version */
};

/* A place in the audit chain: an entry's number and hash; 0 is before the first. */
struct chain_at {
	uint64_t seq;
	uint8_t hash[32];
};

struct head {
	uint64_t epoch, count, next_version, time_ms;
	struct set_sum sum;
	struct owner owner;
	struct chain_at chain;
};

struct store {
	enum wire_store_state state;
	uint8_t id[16];
	struct secret root;
	struct crypto_mac_key key_record, key_id, key_set, key_head, key_token;
	struct head head;		/* as committed */
	/* while loading */
	struct set_sum load_sum;
	uint64_t load_count;
};

/* Purposes of the HMAC contexts (crypto_mac slots). */
enum {
	MAC_RECORD, MAC_ID, MAC_SET, MAC_HEAD, MAC_SIGN, MAC_SIGN_OLD, MAC_TOKEN_ROOT, MAC_TOKEN, MAC_CHAIN,
};

struct svc_worker;

/* Derives the store's keys from st->root and st->id. */
enum rc seal_derive(struct svc_worker *w, struct store *st);
/* A key of the core for one purpose, from the data root: never stored. */
enum rc seal_subkey(struct svc_worker *w, const struct store *st, const char *label, struct secret *out);
void seal_wipe(struct store *st);

/*
 * A record's id: the number of the change that created the key, big-endian, with three bits of HMAC(id key,
 * name) on top, then eight bytes of that HMAC. The store sorts by id: new records stand together in eight
 * places, so that a commit of many touches few pages; and several threads can share the loading of them.
 */
#define SEAL_BORN_MAX ((1ull << 61) - 1)
enum rc seal_record_id(struct svc_worker *w, const struct store *st, struct slice name, uint64_t born,
		       uint8_t id[WIRE_ID_LEN]);
uint64_t seal_record_born(const uint8_t id[WIRE_ID_LEN]);
/*
 * out: len + SEAL_RECORD_OVERHEAD bytes of private memory, read back while sealing; tag: also returned, it goes
 * into the element.
 */
enum rc seal_record(struct svc_worker *w, const struct store *st, uint8_t kind, const uint8_t id[WIRE_ID_LEN],
		    uint64_t version, const uint8_t *plain, size_t len, uint8_t *out, uint8_t tag[CRYPTO_TAG_LEN]);
/* plain: record.len - SEAL_RECORD_OVERHEAD bytes. RC_BAD_INPUT: not a record; RC_DENIED: does not open. */
enum rc seal_record_open(struct svc_worker *w, const struct store *st, const uint8_t id[WIRE_ID_LEN],
			 struct slice record, uint8_t *plain, uint8_t *kind, uint64_t *version,
			 uint8_t tag[CRYPTO_TAG_LEN]);
enum rc seal_element(struct svc_worker *w, const struct store *st, const uint8_t id[WIRE_ID_LEN], uint64_t version,
		     const uint8_t tag[CRYPTO_TAG_LEN], struct set_sum *out);

enum rc seal_head(struct svc_worker *w, const struct store *st, const struct head *h, uint8_t out[SEAL_HEAD_LEN]);
enum rc seal_head_open(struct svc_worker *w, const struct store *st, struct slice in, struct head *h);

enum rc seal_slot_platform(struct svc_worker *w, const struct store *st, const struct secret *platform,
			   uint8_t out[SEAL_SLOT_PLATFORM_LEN]);
/* Sets st->id and st->root. RC_BAD_INPUT: not a platform slot; RC_DENIED: another platform key. */
enum rc seal_slot_platform_open(struct svc_worker *w, struct store *st, const struct secret *platform,
				struct slice in);
enum rc seal_slot_recovery(struct svc_worker *w, const struct store *st, struct slice public_der,
			   uint8_t out[SEAL_SLOT_RECOVERY_LEN]);

#endif
