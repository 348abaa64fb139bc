/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on keys: what is made, what is refused, and which of two refusals comes first. */
#include <stdlib.h>

#include "service/keys.h"
#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"
#define M24 M16 "1011121314151617"
#define M32 M24 "18191a1b1c1d1e1f"

/* A text of n times `ch`. */
static const char *many(char ch, size_t n)
{
	static char buf[20000];

	memset(buf, ch, n);
	buf[n] = 0;
	return buf;
}

TEST(generated_keys_have_the_length_asked_for)
{
	static const struct {
		uint32_t bits;
		const char *cipher;
		size_t len;
	} v[] = {
		{ 0, NULL, 16 },
		{ 128, NULL, 16 },
		{ 192, "AES/CTR/NoPadding", 24 },
		{ 256, "AES/CTR/NoPadding", 32 },
		{ 256, "aes", 32 },
		{ 128, "SM4/CTR/NoPadding", 16 },
		{ 128, "AES/nonsense", 16 },	/* only the algorithm counts */
	};
	char name[8] = "k0";
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		name[1] = (char)('0' + i);
		EXPECT_INT(core_create(&c, name, v[i].bits, v[i].cipher, NULL), E_OK);
		EXPECT_INT(c.staged.kv.number, 0);
		EXPECT(c.staged.kv.has_material);
		EXPECT_INT(c.staged.kv.material.len, v[i].len);
		core_commit(&c);
		EXPECT_INT(core_current(&c, name).len, v[i].len);
	}
	core_stop(&c);
}

TEST(generation_refuses_other_algorithms_and_sizes)
{
	static const struct {
		uint32_t bits;
		const char *cipher;
		enum wire_err e;
	} v[] = {
		{ 64, NULL, E_KEY_SIZE },
		{ 129, NULL, E_KEY_SIZE },
		{ 512, NULL, E_KEY_SIZE },
		{ UINT32_MAX, NULL, E_KEY_SIZE },
		{ 1, NULL, E_KEY_SIZE },
		{ 256, "SM4", E_KEY_SIZE },
		{ 192, "SM4/CTR/NoPadding", E_KEY_SIZE },
		{ 128, "DES", E_ALGORITHM },
		{ 128, "AESX/CTR", E_ALGORITHM },
		{ 128, "", E_ALGORITHM },
		{ 128, "/AES", E_ALGORITHM },
		{ 64, "DES", E_ALGORITHM },
	};
	struct wire_status st;
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(v); i++)
		EXPECT_INT(core_create(&c, "k", v[i].bits, v[i].cipher, NULL), v[i].e);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT_INT(st.pending, 0);
	core_stop(&c);
}

TEST(given_material_must_have_the_key_length)
{
	uint8_t expect[32];
	struct core c;
	struct slice m;

	core_ready(&c);
	EXPECT_INT(core_create(&c, "k", 128, NULL, M24), E_MATERIAL_LENGTH);
	EXPECT_INT(c.ans.head.num[0], 128);
	EXPECT_INT(c.ans.head.num[1], 192);
	EXPECT_INT(core_create(&c, "k", 256, NULL, M16), E_MATERIAL_LENGTH);
	EXPECT_INT(core_create(&c, "k", 0, NULL, M32), E_MATERIAL_LENGTH);	/* the default is 128 */
	EXPECT_INT(core_create(&c, "k", 128, NULL, ""), E_MATERIAL_LENGTH);
	EXPECT_INT(core_create(&c, "k", 4, NULL, ""), E_MATERIAL_LENGTH);
	EXPECT_INT(core_create(&c, "k", 264, NULL, M32 "20"), E_LIMIT);
	EXPECT_INT(core_create(&c, "k", 256, "DES", M32), E_OK);	/* nobody generates: no algorithm needed */
	core_commit(&c);
	m = core_current(&c, "k");
	core_hex(M32, expect, 32);
	EXPECT(slice_eq(m, slice_of(expect, 32)));
	core_stop(&c);
}

TEST(a_name_must_be_given)
{
	struct wire_create_req m = { .name_null = true };
	struct core c;
	size_t i;
	static const enum wire_call by_name[] = { CALL_DELETE, CALL_INVALIDATE, CALL_METADATA, CALL_CURRENT,
						  CALL_VERSION_GET, CALL_VERSIONS, CALL_GENERATE };

	core_ready(&c);
	m.cred = core_cred(&c);
	m.name = m.cipher = m.description = slice_str("");
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_CREATE), E_NAME_NULL);
	EXPECT_INT(core_create(&c, "", 0, NULL, NULL), E_NAME_EMPTY);
	EXPECT_INT(core_roll(&c, "", NULL), E_NAME_EMPTY);
	for (i = 0; i < ARRAY_LEN(by_name); i++)
		EXPECT_INT(core_name(&c, by_name[i], ""), E_NAME_EMPTY);
	core_stop(&c);
}

TEST(create_refuses_in_the_order_of_the_protocol)
{
	/* Each line lifts the refusal of the line before. */
	struct wire_create_req m = { .name_null = true, .upper = true, .length = 77, .has_cipher = true };
	struct core c;
	uint8_t enc[64];
	struct sink s = sink_of(enc, sizeof(enc));

	core_ready(&c);
	core_make(&c, "k", NULL);
	m.name = m.description = slice_str("");
	m.cipher = slice_str("DES");
	m.cred = core_cred(&c);
	EXPECT_INT(core_config(&c, "hadoop.kms.acl.CREATE", " ", "hadoop.kms.acl.SET_KEY_MATERIAL", " ", NULL), E_OK);
#define TRY(call, e) (wire_create_req_put(core_req(&c), &m), EXPECT_INT(core_send(&c, call), e))
	TRY(CALL_CREATE, E_NAME_NULL);
	m.name_null = false;
	TRY(CALL_CREATE, E_NAME_EMPTY);
	m.name = slice_str("k");
	TRY(CALL_CREATE, E_OP_DENIED);
	EXPECT_INT(c.ans.head.num[0], OP_CREATE_KEY);
	EXPECT(slice_is(c.ans.arg, "k"));
	EXPECT_INT(core_config(&c, "hadoop.kms.acl.SET_KEY_MATERIAL", " ", NULL), E_OK);
	TRY(CALL_CREATE, E_CREATE_DENIED);	/* nothing in force for keys */
	sink_str16(&s, slice_str("0123456789abcdef"));
	m.materials = 1;
	m.material = cur_of(enc, sizeof(enc) - s.left);
	TRY(CALL_CREATE, E_OP_DENIED);	/* material first needs SET_KEY_MATERIAL */
	m.materials = 0;
	m.material = cur_of(NULL, 0);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	TRY(CALL_CREATE, E_ALGORITHM);
	m.cipher = slice_str("AES");
	TRY(CALL_CREATE, E_KEY_SIZE);
	m.length = 192;
	TRY(CALL_CREATE, E_UPPERCASE);
	m.upper = false;
	TRY(CALL_CREATE, E_EXISTS);
	m.materials = 1;
	m.material = cur_of(enc, sizeof(enc) - s.left);
	TRY(CALL_CREATE, E_EXISTS);	/* before the length of the material is looked at */
	m.name = slice_str("k2");
	TRY(CALL_CREATE, E_MATERIAL_LENGTH);
	m.length = 128;
	TRY(CALL_CREATE, E_OK);
	m.materials = 2;
	TRY(CALL_CREATE, E_BAD_MESSAGE);
	m.materials = 1;
	m.created = 1;	/* IMPORT only */
	TRY(CALL_CREATE, E_BAD_MESSAGE);
#undef TRY
	core_stop(&c);
}

TEST(every_call_by_a_user_asks_who_it_is_first)
{
	struct core c;
	uint32_t call;

	core_ready(&c);
	c.has_user = false;
	for (call = CALL_AUTH; call <= CALL_REENCRYPT_BATCH; call++) {
		struct wire_cred cred = core_cred(&c);

		if (core_call_is_open(call) || call == CALL_DT_CANCEL)	/* who cancels is the token's to say, too */
			continue;
		/* The shortest valid request of each kind. */
		switch (call) {
		case CALL_CREATE:
		case CALL_IMPORT: {
			struct wire_create_req m = { .cred = cred };
			uint8_t one[2] = { 0 };

			if (call == CALL_IMPORT) {
				m.materials = 1;
				m.material = cur_of(one, 2);
			}
			wire_create_req_put(core_req(&c), &m);
			break;
		}
		case CALL_DT_GET:
		case CALL_DT_RENEW: {
			struct wire_dt_req m = { .cred = cred };

			wire_dt_req_put(core_req(&c), &m);
			break;
		}
		case CALL_ROLL: {
			struct wire_roll_req m = { .cred = cred };

			wire_roll_req_put(core_req(&c), &m);
			break;
		}
		case CALL_DECRYPT:
		case CALL_REENCRYPT: {
			struct wire_eek_req m = { .cred = cred };

			wire_eek_req_put(core_req(&c), &m);
			break;
		}
		case CALL_REENCRYPT_BATCH: {
			struct wire_batch_req m = { .cred = cred };

			wire_batch_req_put(core_req(&c), &m);
			break;
		}
		case CALL_METADATAS: {
			struct wire_names_req m = { .cred = cred };

			wire_names_req_put(core_req(&c), &m);
			break;
		}
		default: {
			struct wire_name_req m = { .cred = cred };

			wire_name_req_put(core_req(&c), &m);
		}
		}
		EXPECT_INT(core_send(&c, call), E_UNAUTHENTICATED);
		EXPECT_INT(c.ans.head.events, 0);
		EXPECT_INT(c.ans.user.len, 0);
	}
	core_stop(&c);
}

TEST(rolling_makes_a_new_version_and_keeps_the_old_ones)
{
	struct core c;
	struct wire_kv kv;
	uint32_t n = 0, i;

	core_ready(&c);
	EXPECT_INT(core_roll(&c, "k", NULL), E_NO_METADATA);
	EXPECT_INT(core_roll(&c, "k", M16), E_NO_KEY);
	core_make(&c, "k", M16);
	EXPECT_INT(core_roll(&c, "k", M24), E_MATERIAL_LENGTH);
	EXPECT_INT(core_roll(&c, "k", ""), E_MATERIAL_LENGTH);
	for (i = 1; i < 20; i++) {
		EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
		EXPECT_INT(c.staged.kv.number, i);
		EXPECT_INT(c.staged.kv.material.len, 16);
		core_commit(&c);
	}
	EXPECT_INT(core_name(&c, CALL_VERSIONS, "k"), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n));
	EXPECT_INT(n, 20);
	for (i = 0; i < n; i++) {
		EXPECT(wire_kv_next(&c.ans.body, &kv));
		EXPECT(kv.present && kv.has_material);
		EXPECT_INT(kv.number, i);
		EXPECT(slice_is(kv.name, "k"));
		if (i == 0) {
			uint8_t m[16];

			core_hex(M16, m, 16);
			EXPECT(slice_eq(kv.material, slice_of(m, 16)));
		}
	}
	EXPECT(cur_end(&c.ans.body));
	core_stop(&c);
}

TEST(a_key_cannot_have_more_versions_than_its_record_may_hold)
{
	uint8_t *enc = malloc(WIRE_VERSIONS_MAX * 4u * 8);
	struct sink s = sink_of(enc, WIRE_VERSIONS_MAX * 4u * 8);
	struct wire_create_req m = { .name = slice_str("k"), .length = 128, .created = 5, .cipher = slice_str("") };
	struct core c;
	uint32_t i, n = 0;

	core_ready(&c);
	m.cred = core_cred(&c);
	m.description = slice_str("");
	for (i = 0; i < WIRE_VERSIONS_MAX - 1; i++) {
		uint8_t one[16] = { (uint8_t)i, (uint8_t)(i >> 8) };

		sink_str16(&s, slice_of(one, 16));
	}
	m.materials = WIRE_VERSIONS_MAX - 1;
	m.material = cur_of(enc, s.need);
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_IMPORT), E_OK);
	EXPECT(wire_staged_next(&c.ans.body, &c.staged));
	core_commit(&c);
	EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
	core_commit(&c);
	EXPECT_INT(core_roll(&c, "k", NULL), E_FULL);
	EXPECT_INT(c.ans.head.num[0], LIMIT_VERSIONS);
	EXPECT_INT(core_name(&c, CALL_VERSIONS, "k"), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n));
	EXPECT_INT(n, WIRE_VERSIONS_MAX);
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@4095"), E_OK);
	EXPECT_INT(c.ans.head.events, 1);
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@4096"), E_OK);
	EXPECT_INT(c.ans.head.events, 0);	/* not found: not audited */
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	{
		struct wire_meta meta;

		EXPECT(wire_meta_next(&c.ans.body, &meta));
		EXPECT_INT(meta.created, 5);
		EXPECT_INT(meta.versions, WIRE_VERSIONS_MAX);
	}
	core_stop(&c);
	free(enc);
}

TEST(a_deleted_key_is_gone_with_all_versions_and_may_be_made_anew)
{
	struct core c;
	struct wire_kv kv;

	core_ready(&c);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_NO_KEY);
	core_make(&c, "k", M16);
	EXPECT_INT(core_roll(&c, "k", NULL), E_OK);
	core_commit(&c);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_OK);
	EXPECT(c.staged.remove);
	core_commit(&c);
	EXPECT_INT(c.store.count, 0);
	EXPECT(core_current(&c, "k").p == NULL);
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@0"), E_OK);
	EXPECT(wire_kv_next(&c.ans.body, &kv));
	EXPECT(!kv.present);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k"), E_NO_KEY);
	EXPECT_INT(core_name(&c, CALL_INVALIDATE, "k"), E_OK);	/* clients do this after a delete */
	core_make(&c, "k", M32);
	EXPECT_INT(core_current(&c, "k").len, 32);
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@1"), E_OK);
	EXPECT(wire_kv_next(&c.ans.body, &kv));
	EXPECT(!kv.present);
	core_stop(&c);
}

TEST(a_duplicate_is_refused_and_changes_nothing)
{
	uint8_t before[16];
	struct core c;

	core_ready(&c);
	core_make(&c, "k", M16);
	memcpy(before, core_current(&c, "k").p, 16);
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_EXISTS);
	EXPECT_INT(core_create(&c, "k", 128, NULL, "ffffffffffffffffffffffffffffffff"), E_EXISTS);
	EXPECT_MEM(core_current(&c, "k").p, before, 16);
	core_stop(&c);
}

TEST(material_is_withheld_from_who_may_not_get_it)
{
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "default.key.acl.MANAGEMENT", "*", "hadoop.kms.blacklist.GET", "maker", NULL), E_OK);
	core_as(&c, "maker");
	EXPECT_INT(core_create(&c, "k", 128, NULL, NULL), E_OK);
	EXPECT(c.staged.kv.present && !c.staged.kv.has_material && c.staged.kv.material.len == 0);
	EXPECT_INT(c.ans.head.events, 1);	/* silently: only the OK line */
	EXPECT_INT(c.ans.event[0].status, EVENT_OK);
	core_commit(&c);
	EXPECT_INT(core_roll(&c, "k", M16), E_OK);
	EXPECT(!c.staged.kv.has_material && c.staged.kv.material.len == 0);
	core_as(&c, "other");
	EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
	EXPECT_INT(core_roll(&c, "k", M16), E_OK);
	EXPECT(c.staged.kv.has_material);
	core_stop(&c);
}

TEST(version_names_are_taken_only_in_the_form_they_are_written)
{
	static const char *const bad[] = { "k", "@0", "k@", "k@00", "k@01", "k@+1", "k@-0", "k@ 0", "k@0 ", "k@1",
					   "k@4294967296", "k@18446744073709551616", "k@99999999999999999999999",
					   "k@0x0", "k@0@", "K@0", "k@0@0" };
	struct wire_kv kv;
	struct core c;
	size_t i;

	core_ready(&c);
	core_make(&c, "k", M16);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(core_name(&c, CALL_VERSION_GET, bad[i]), E_OK);
		EXPECT(wire_kv_next(&c.ans.body, &kv) && !kv.present);
		EXPECT_INT(c.ans.head.events, 0);
	}
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@0"), E_OK);
	EXPECT(wire_kv_next(&c.ans.body, &kv) && kv.present);
	EXPECT(slice_is(kv.name, "k"));
	/* The base name is everything before the last '@'. */
	core_make(&c, "k@0", M32);
	EXPECT_INT(core_name(&c, CALL_VERSION_GET, "k@0@0"), E_OK);
	EXPECT(wire_kv_next(&c.ans.body, &kv) && kv.present && kv.material.len == 32);
	core_stop(&c);
}

TEST(metadata_shows_what_was_given_and_the_acl_name)
{
	struct wire_create_req m = { .name = slice_str("k"), .length = 192, .has_cipher = true, .attrs = 2 };
	struct wire_meta meta;
	struct slice key, value;
	uint8_t enc[64];
	struct sink s = sink_of(enc, sizeof(enc));
	struct core c;

	core_ready(&c);
	m.cred = core_cred(&c);
	m.cipher = slice_str("AES/GCM");
	m.has_description = true;
	m.description = slice_str("what \xc3\xa9 is");
	sink_str16(&s, slice_str("a"));
	sink_str16(&s, slice_str(""));
	sink_str16(&s, slice_str("b"));
	sink_str16(&s, slice_str("2"));
	m.attr = cur_of(enc, s.need);
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_CREATE), E_OK);
	EXPECT(wire_staged_next(&c.ans.body, &c.staged));
	core_commit(&c);
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	EXPECT(wire_meta_next(&c.ans.body, &meta) && cur_end(&c.ans.body));
	EXPECT(meta.present && meta.has_description);
	EXPECT(slice_is(meta.cipher, "AES/GCM") && slice_is(meta.description, "what \xc3\xa9 is"));
	EXPECT_INT(meta.length, 192);
	EXPECT_INT(meta.versions, 1);
	EXPECT_INT(meta.created, FAKE_WALL);
	EXPECT_INT(meta.attrs, 3);
	EXPECT(wire_attr_next(&meta.attr, &key, &value) && slice_is(key, "a") && value.len == 0);
	EXPECT(wire_attr_next(&meta.attr, &key, &value) && slice_is(key, "b") && slice_is(value, "2"));
	EXPECT(wire_attr_next(&meta.attr, &key, &value) && slice_is(key, "key.acl.name") && slice_is(value, "k"));
	EXPECT(cur_end(&meta.attr));
	EXPECT_INT(core_name(&c, CALL_METADATA, "none"), E_OK);
	EXPECT(wire_meta_next(&c.ans.body, &meta) && !meta.present && cur_end(&c.ans.body));
	core_stop(&c);
}

TEST(an_empty_acl_name_is_refused_where_one_would_be_added)
{
	struct wire_meta meta;
	struct slice key, value;
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_create_attr(&c, "k", "key.acl.name", ""), E_ACL_NAME_TWICE);
	EXPECT_INT(core_create_attr(&c, "k2", "key.acl.name", "shared"), E_OK);
	core_commit(&c);
	EXPECT_INT(core_name(&c, CALL_METADATA, "k2"), E_OK);
	EXPECT(wire_meta_next(&c.ans.body, &meta));
	EXPECT_INT(meta.attrs, 1);
	EXPECT(wire_attr_next(&meta.attr, &key, &value) && slice_is(value, "shared"));
	core_stop(&c);
}

TEST(an_acl_name_too_long_for_an_audit_event_is_refused)
{
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_create_attr(&c, "k", "key.acl.name", many('a', WIRE_NAME_MAX)), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create_attr(&c, "k2", "key.acl.name", many('a', WIRE_NAME_MAX + 1)), E_LIMIT);
	EXPECT_INT(core_config(&c, "default.key.acl.READ", " ", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_KEY_DENIED);	/* and its answer is well formed */
	EXPECT_INT(core_create_attr(&c, "k3", "key.acl.name", many('a', 16000)), E_LIMIT);
	core_stop(&c);
}

TEST(metadata_of_many_keys_keeps_their_order_and_their_gaps)
{
	static const char *const ask[] = { "b", "none", "a", "b", "" };
	struct wire_names_req m = { .count = ARRAY_LEN(ask) };
	struct wire_meta meta;
	struct core c;
	uint32_t n = 0;
	size_t i;

	core_ready(&c);
	core_make(&c, "a", M16);
	core_make(&c, "b", M32);
	m.cred = core_cred(&c);
	wire_names_req_put(core_req(&c), &m);
	for (i = 0; i < ARRAY_LEN(ask); i++)
		sink_str16(&c.out, slice_str(ask[i]));
	EXPECT_INT(core_send(&c, CALL_METADATAS), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n));
	EXPECT_INT(n, ARRAY_LEN(ask));
	for (i = 0; i < ARRAY_LEN(ask); i++) {
		EXPECT(wire_meta_next(&c.ans.body, &meta));
		EXPECT_INT(meta.present, ask[i][0] == 'a' || ask[i][0] == 'b');
		if (meta.present)
			EXPECT(slice_is(meta.name, ask[i]));
	}
	EXPECT(cur_end(&c.ans.body));
	m.count = 0;
	wire_names_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_METADATAS), E_OK);
	EXPECT(cur_le32(&c.ans.body, &n) && n == 0 && cur_end(&c.ans.body));
	core_stop(&c);
}

#define NAMES 4000
static uint8_t seen[2 * NAMES];

/* Takes one page into seen[]; returns where to go on. */
static uint64_t names_page(struct core *c, uint64_t from, uint32_t *count)
{
	struct slice name;
	uint64_t next = 0;
	uint32_t i;

	*count = 0;
	EXPECT_INT(core_name_n(c, CALL_NAMES, "", 0, from), E_OK);
	EXPECT(cur_le64(&c->ans.body, &next) && cur_le32(&c->ans.body, count));
	for (i = 0; i < *count; i++) {
		char text[16] = "";

		EXPECT(wire_name_next(&c->ans.body, &name) && name.len < sizeof(text));
		memcpy(text, name.p, name.len);
		EXPECT(text[0] == 'n');
		seen[strtoul(text + 1, NULL, 10)]++;
	}
	EXPECT(cur_end(&c->ans.body));
	EXPECT(next == 0 || (next > from && *count));
	return next;
}

TEST(names_come_in_pages_each_once_even_while_keys_come_and_go)
{
	uint32_t i, count = 0, pages = 0;
	uint64_t next = 0;
	char name[16];
	struct core c;

	core_ready(&c);
	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		core_make(&c, name, M16);
	}
	core_make(&c, "n@1", M16);	/* never listed */
	memset(seen, 0, sizeof(seen));
	do {
		c.room = CALL_PAGE;
		next = names_page(&c, next, &count);
		c.room = CALL_LARGE_LEN;
		/* Between two pages: one deleted that was listed, one that is still to come, one new. */
		snprintf(name, sizeof(name), "n%u", pages);
		EXPECT_INT(core_name(&c, CALL_DELETE, name), E_OK);
		core_commit(&c);
		snprintf(name, sizeof(name), "n%u", NAMES - 1 - pages);
		EXPECT_INT(core_name(&c, CALL_DELETE, name), E_OK);
		core_commit(&c);
		snprintf(name, sizeof(name), "n%u", NAMES + pages);
		core_make(&c, name, M16);
		pages++;
	} while (next);
	EXPECT(pages > 4);
	for (i = 0; i < NAMES - pages; i++)
		EXPECT_INT(seen[i], 1);
	for (; i < 2 * NAMES; i++)
		EXPECT(seen[i] <= 1);
	EXPECT_INT(core_name_n(&c, CALL_NAMES, "", 0, UINT64_MAX), E_OK);
	EXPECT(cur_le64(&c.ans.body, &next) && next == 0 && cur_le32(&c.ans.body, &count) && count == 0);
	core_stop(&c);
}

TEST(an_import_keeps_all_versions_and_their_time)
{
	struct wire_create_req m = { .name = slice_str("k"), .length = 128, .materials = 3, .created = 12345 };
	uint8_t enc[64];
	struct sink s = sink_of(enc, sizeof(enc));
	struct core c;

	core_ready(&c);
	m.cred = core_cred(&c);
	m.cipher = m.description = slice_str("");
	sink_str16(&s, slice_str("0123456789abcdef"));
	sink_str16(&s, slice_str("1123456789abcdef"));
	sink_str16(&s, slice_str("2123456789abcdef"));
	m.material = cur_of(enc, s.need);
	EXPECT_INT(core_config(&c, "default.key.acl.MANAGEMENT", "*", "hadoop.kms.acl.SET_KEY_MATERIAL", "x", NULL), E_OK);
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_IMPORT), E_OP_DENIED);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_IMPORT), E_OK);
	EXPECT(wire_staged_next(&c.ans.body, &c.staged));
	EXPECT_INT(c.staged.kv.number, 2);
	core_commit(&c);
	EXPECT(slice_is(core_current(&c, "k"), "2123456789abcdef"));
	enc[2 + 16] = 15;	/* one of another length: nothing is taken */
	m.name = slice_str("k2");
	m.material = cur_of(enc, 18 + 17);
	m.materials = 2;
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_IMPORT), E_MATERIAL_LENGTH);
	m.materials = 0;
	m.material = cur_of(NULL, 0);
	wire_create_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_IMPORT), E_BAD_MESSAGE);
	core_stop(&c);
}

TEST(attributes_have_a_limit)
{
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_create_attr(&c, "k", "a", many('v', WIRE_ATTRS_MAX - 5 - 2 - 12 - 2 - 1 + 0)), E_OK);
	EXPECT_INT(core_create_attr(&c, "k2", "a", many('v', WIRE_ATTRS_MAX - 5)), E_LIMIT);	/* with key.acl.name */
	EXPECT_INT(core_create_attr(&c, "k3", "a", many('v', WIRE_ATTRS_MAX - 4)), E_BAD_MESSAGE);
	core_stop(&c);
}

/* ---- the table itself ---- */

static struct key *new_key(const char *name)
{
	uint8_t material[16] = { 0 };
	struct key_view v = { .kind = KIND_KEY, .versions = 1, .bits = 128, .name = slice_str(name),
			      .material = slice_of(material, 16), .cipher = slice_str(""),
			      .description = slice_str(""), .attr = slice_str("") };
	struct key *k;

	EXPECT(key_new(&v, &k) == RC_OK);
	return k;
}

TEST(the_table_agrees_with_a_plain_list_through_random_changes)
{
	enum { N = 600 };
	static struct key *model[N];
	uint32_t rnd = 1, i, live = 0;
	struct keys t;
	char name[16];

	keys_init(&t, (const uint64_t[]){ 7, 8 });
	memset(model, 0, sizeof(model));
	for (i = 0; i < 40000; i++) {
		uint32_t n;

		rnd = rnd * 1664525u + 1013904223u;
		n = rnd >> 16;
		n %= N;
		snprintf(name, sizeof(name), "key%u", n);
		EXPECT(keys_find(&t, slice_str(name)) == model[n]);
		if (!model[n]) {
			model[n] = new_key(name);
			EXPECT(keys_add(&t, model[n]) == RC_OK);
			live++;
		} else if (rnd & 0x8000) {
			keys_remove(&t, model[n]);
			model[n] = NULL;
			live--;
		} else {
			struct key *k = new_key(name);

			keys_replace(&t, model[n], k);
			model[n] = k;
		}
		EXPECT_INT(t.count, live);
		if (i % 4000 == 0) {
			size_t hint = SIZE_MAX;
			const struct key *k = keys_from(&t, 0, &hint);
			uint64_t last = 0;
			uint32_t found = 0;

			for (; k; k = keys_from(&t, k->seq + 1, &hint)) {
				EXPECT(k->seq > last);
				last = k->seq;
				found++;
			}
			EXPECT_INT(found, live);
		}
	}
	keys_wipe(&t);
	EXPECT_INT(t.count, 0);
	EXPECT_INT(t.bytes, 0);
}

/*
 * Whoever may create keys chooses names. Differences that pass through one step of a hash whatever the
 * seed would let him pile up all his keys in one place.
 */
TEST(names_that_collide_under_one_seed_do_not_collide_under_another)
{
	static const uint64_t first[] = { 1ull << 63, 1ull << 62, 1ull << 31, 0x8000000080000000ull };
	static const uint64_t second[] = { 1ull << 63 | 1ull << 31, 1ull << 62 | 1ull << 30, 1ull << 63, 1ull << 31 };
	uint64_t a[3] = { 0x6161616161616161u, 0x6262626262626262u, 0x6363636363636363u }, b[3];
	size_t i, j, seed, same;

	for (i = 0; i < ARRAY_LEN(first); i++)
		for (j = 0; j < ARRAY_LEN(second); j++) {
			memcpy(b, a, sizeof(b));
			b[0] ^= first[i];
			b[1] ^= second[j];
			for (seed = 0, same = 0; seed < 16; seed++) {
				struct keys t;

				keys_init(&t, (const uint64_t[]){ seed * 0x9e3779b97f4a7c15u, seed });
				same += keys_hash(&t, slice_of(a, 24)) == keys_hash(&t, slice_of(b, 24));
			}
			EXPECT_INT(same, 0);
		}
}

TEST(the_hash_of_names_is_siphash)
{
	/* SipHash-2-4: key 00..0f, inputs of 15, 8 and 0 bytes 00, 01, ..; the authors' paper and vectors. */
	uint8_t key[16], in[15];
	uint64_t seed[2];
	struct keys t;
	size_t i;

	for (i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	memcpy(in, key, sizeof(in));
	memcpy(seed, key, sizeof(seed));
	keys_init(&t, seed);
	EXPECT(keys_hash(&t, slice_of(in, 15)) == 0xa129ca6149be45e5u);
	EXPECT(keys_hash(&t, slice_of(in, 8)) == 0x93f5f5799a932462u);
	EXPECT(keys_hash(&t, slice_of(in, 0)) == 0x726fdb47dd0e0e31u);
}
