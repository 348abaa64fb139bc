/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what comes from a store. The first byte chooses: the bytes as they are, as a record, head or
 * slot; or sealed with a known root first, so that what lies behind the seal is reached.
 */
#include <stdlib.h>

#include "service/keys.h"
#include "service/seal.h"
#include "service/state.h"
#include "tests/fake/core.h"

static struct core c;
static struct store st;
static const uint8_t id[WIRE_ID_LEN] = "0123456789abcde";

static void decode(struct cursor in, uint8_t kind)
{
	struct key *k;
	uint8_t *again;
	struct sink s;

	if (key_decode(in, kind, &k) != RC_OK)
		return;
	again = malloc(key_encoded_len(k));
	INVARIANT(again && key_encoded_len(k) == in.left);
	s = sink_of(again, key_encoded_len(k));
	key_encode(&s, k);
	INVARIANT(sink_ok(&s) && s.left == 0 && memcmp(again, in.at, in.left) == 0);
	INVARIANT(k->versions == 0 || key_material(k, k->versions - 1).len == k->bits / 8);
	free(again);
	key_free(k);
}

static void sealed(const uint8_t *p, size_t len, uint8_t *room)
{
	uint8_t *rec = malloc(len + SEAL_RECORD_OVERHEAD), tag[CRYPTO_TAG_LEN], tag2[CRYPTO_TAG_LEN], kind = 0;
	uint64_t version = 0;

	INVARIANT(rec);
	INVARIANT(seal_record(c.w, &st, KIND_TOKEN, id, 7, p, len, rec, tag) == RC_OK);
	INVARIANT(seal_record_open(c.w, &st, id, slice_of(rec, len + SEAL_RECORD_OVERHEAD), room, &kind, &version,
				   tag2) == RC_OK);
	INVARIANT(version == 7 && kind == KIND_TOKEN && memcmp(tag, tag2, sizeof(tag)) == 0 &&
		  (len == 0 || memcmp(p, room, len) == 0));
	if (len) {	/* and one bit later it is no record any more */
		rec[p[0] % (len + SEAL_RECORD_OVERHEAD)] ^= (uint8_t)(1 << (p[0] & 7));
		INVARIANT(seal_record_open(c.w, &st, id, slice_of(rec, len + SEAL_RECORD_OVERHEAD), room, &kind,
					   &version, tag2) != RC_OK);
	}
	free(rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *room = malloc(size + 1), tag[CRYPTO_TAG_LEN], kind;
	struct secret platform = { { 1 } };
	struct store other = { 0 };
	uint64_t version;
	struct head h;

	INVARIANT(room);
	if (!c.svc) {
		core_start(&c, 1);
		memset(&st.root, 3, sizeof(st.root));
		INVARIANT(seal_derive(c.w, &st) == RC_OK);
	}
	if (size) {
		const uint8_t *p = data + 1;
		size_t len = size - 1;

		switch (data[0] % 5) {
		case 0:
			decode(cur_of(p, len), (uint8_t)(KIND_KEY + data[0] / 5 % 3));
			break;
		case 1:
			sealed(p, len, room);
			break;
		case 2:
			if (len >= SEAL_RECORD_OVERHEAD)
				INVARIANT(seal_record_open(c.w, &st, id, slice_of(p, len), room, &kind, &version,
							   tag) != RC_OK);
			break;
		case 3:
			INVARIANT(seal_head_open(c.w, &st, slice_of(p, len), &h) != RC_OK);
			break;
		case 4:
			INVARIANT(seal_slot_platform_open(c.w, &other, &platform, slice_of(p, len)) != RC_OK);
			break;
		}
	}
	free(room);
	return 0;
}
