/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operation ACLs and key ACLs against a model of the rules, written from the specification and not from
 * the code: thousands of configurations, the verdict and the audit events of each.
 */
#include <stdlib.h>

#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"

/*
 * ann is in group ga by the static mapping; bob is in the mapping without groups; the proxy says that all
 * three are in gc, which counts only for cid, who is not in the mapping, and only if it is let count.
 */
enum { ANN = 1, BOB = 2, CID = 4, ALL_OF_THEM = 7, UNSET = 16, OS = 32 /* cid: if operating-system groups count */ };
static const char *const users[] = { "ann", "bob", "cid" };
#define MAPPING "hadoop.user.group.static.mapping.overrides", "ann=ga,gx;bob=;dora=gc"

static const struct list {
	const char *text;
	unsigned who;
} lists[] = {
	{ "", UNSET },
	{ " ", 0 },
	{ "*", ALL_OF_THEM },
	{ "ann", ANN },
	{ "bob,cid", BOB | CID },
	{ " ga", ANN },
	{ " gc", OS },
	{ "bob ga , gc", BOB | ANN | OS },
	{ " ann,bob", 0 },		/* groups of that name */
	{ ",, ann ,", 0 },		/* the first space ends the users: none; groups "ann" */
	{ ",ann,,", ANN },
	{ "nobody *", ALL_OF_THEM },
	{ "* nothing", ALL_OF_THEM },
	{ " * ", ALL_OF_THEM },
	{ "*,ann", ANN },		/* a star is everyone only where it stands alone */
	{ "an", 0 },
	{ "anna", 0 },
	{ "Ann", 0 },
	{ "ann\tbob ga", ANN },		/* one user of that odd name; the group counts */
	{ "\tann\t", ANN },
	{ "cid ga", CID | ANN },
	{ "~ann", 0 },
};

static bool permits(const struct list *l, unsigned user, bool os)
{
	return (l->who & user) || ((l->who & OS) && user == CID && os);
}

static uint32_t rnd = 12345;
static const struct list *pick(void)
{
	rnd = rnd * 1664525u + 1013904223u;
	return &lists[(rnd >> 16) % ARRAY_LEN(lists)];
}
/* Half of the time: not set. */
static const struct list *maybe(void)
{
	const struct list *l = pick();

	return rnd & 0x8000 ? l : &lists[0];
}

static bool is_event(const struct core *c, unsigned i, enum wire_event_status status, unsigned op, const char *key)
{
	const struct wire_event *e = &c->ans.event[i];

	return i < c->ans.head.events && e->status == status && e->op == op && e->has_key == (key != NULL) &&
	       slice_is(e->key, key ? key : "");
}

/* Would this user be allowed? As ACL_CHECK says. */
static bool check_says(struct core *c, enum wire_op op, const char *key)
{
	struct wire_acl_req m = { .cred = core_cred(c), .op = (uint8_t)op, .key = slice_str(key) };
	struct slice rule;
	uint8_t ok = 2;

	wire_acl_req_put(core_req(c), &m);
	EXPECT_INT(core_send(c, CALL_ACL_CHECK), E_OK);
	EXPECT(cur_u8(&c->ans.body, &ok) && ok <= 1);
	EXPECT(cur_str16(&c->ans.body, 2048, &rule) && rule.len > 0 && cur_end(&c->ans.body));
	EXPECT_INT(c->ans.head.events, 0);
	return ok;
}

static const struct {
	enum wire_keyop keyop;
	const char *name;
	enum wire_op op;
	enum wire_call call;
} keyops[] = {
	{ KEYOP_MANAGEMENT, "MANAGEMENT", OP_INVALIDATE_CACHE, CALL_INVALIDATE },
	{ KEYOP_GENERATE_EEK, "GENERATE_EEK", OP_GENERATE_EEK, CALL_GENERATE },
	{ KEYOP_DECRYPT_EEK, "DECRYPT_EEK", OP_DECRYPT_EEK, CALL_DECRYPT },
	{ KEYOP_READ, "READ", OP_GET_CURRENT_KEY, CALL_CURRENT },
};

static enum wire_err key_call(struct core *c, enum wire_call call, const char *key)
{
	static const uint8_t zero[16];
	char version[64];

	if (call != CALL_DECRYPT)
		return core_name(c, call, key);
	snprintf(version, sizeof(version), "%s@0", key);
	return core_eek(c, call, version, key, slice_of(zero, 16), slice_of(zero, 16));
}

TEST(key_rights_agree_with_the_model)
{
	struct core c;
	unsigned cell, u, n, granted = 0, refused = 0;

	core_ready(&c);
	core_make(&c, "k", M16);
	core_groups(&c, "gc", "gd");
	for (cell = 0; cell < 4000; cell++) {
		const struct list *own = maybe(), *own_all = maybe(), *own_other = maybe(), *def = maybe(),
				  *white = maybe();
		bool os = cell & 1, any_own;
		unsigned k = cell / 2 % ARRAY_LEN(keyops);
		char p_own[64], p_other[64], p_def[64], p_white[64];

		snprintf(p_own, sizeof(p_own), "key.acl.k.%s", keyops[k].name);
		snprintf(p_other, sizeof(p_other), "key.acl.k.%s", keyops[(k + 1) % 4].name);
		snprintf(p_def, sizeof(p_def), "default.key.acl.%s", keyops[k].name);
		snprintf(p_white, sizeof(p_white), "whitelist.key.acl.%s", keyops[k].name);
		EXPECT_INT(core_config(&c, MAPPING, "svsm.kms.groups.os", os ? "true" : "false", p_own, own->text,
				       "key.acl.k.ALL", own_all->text, p_other, own_other->text, p_def, def->text,
				       p_white, white->text, "default.key.acl.ALL", "*", "whitelist.key.acl.ALL", "*",
				       "key.acl.kk.READ", "*", "key.acl.k.READX", "*", "key.acl.K.READ", "*", NULL),
			   E_OK);
		any_own = own->who != UNSET || own_all->who != UNSET || own_other->who != UNSET;
		for (u = 0; u < 3; u++) {
			const struct list *by_type = any_own ? own : def;
			bool present = any_own || def->who != UNSET || white->who != UNSET;
			bool typed = permits(by_type, 1u << u, os) || permits(white, 1u << u, os);
			bool all = any_own && permits(own_all, 1u << u, os);
			bool ok = present && (typed || all);
			enum wire_err e;

			core_as(&c, users[u]);
			e = key_call(&c, keyops[k].call, "k");
			EXPECT_INT(e, ok ? E_OK : E_KEY_DENIED);
			n = 0;
			if (present && !typed)
				EXPECT(is_event(&c, n++, EVENT_UNAUTHORIZED_KEY, keyops[k].keyop, "k"));
			if (present && !typed && !all)
				EXPECT(is_event(&c, n++, EVENT_UNAUTHORIZED_KEY, KEYOP_ALL, "k"));
			if (ok)
				EXPECT(is_event(&c, n++, EVENT_OK, keyops[k].op, "k"));
			EXPECT_INT(c.ans.head.events, n);
			if (!ok) {
				EXPECT_INT(c.ans.head.num[0], keyops[k].keyop);
				EXPECT(slice_is(c.ans.arg, "k"));
			}
			EXPECT(slice_is(c.ans.user, users[u]));
			EXPECT_INT(check_says(&c, keyops[k].op, "k"), ok);
			granted += ok;
			refused += !ok;
		}
	}
	EXPECT(granted > 2000 && refused > 2000);
	core_stop(&c);
}

static const struct {
	const char *name;
	enum wire_op op;
	enum wire_call call;
} op_acls[] = {
	{ "CREATE", OP_CREATE_KEY, CALL_CREATE },
	{ "DELETE", OP_DELETE_KEY, CALL_DELETE },
	{ "ROLLOVER", OP_ROLL_NEW_VERSION, CALL_ROLL },
	{ "GET", OP_GET_CURRENT_KEY, CALL_CURRENT },
	{ "GET_KEYS", OP_GET_KEYS, CALL_NAMES },
	{ "GET_METADATA", OP_GET_METADATA, CALL_METADATA },
	{ "GENERATE_EEK", OP_GENERATE_EEK, CALL_GENERATE },
	{ "DECRYPT_EEK", OP_DECRYPT_EEK, CALL_DECRYPT },
};

static enum wire_err op_call(struct core *c, enum wire_call call)
{
	if (call == CALL_CREATE)
		return core_create(c, "new", 0, NULL, NULL);
	if (call == CALL_ROLL)
		return core_roll(c, "k", NULL);
	return key_call(c, call, "k");
}

TEST(operation_rights_agree_with_the_model)
{
	struct core c;
	unsigned cell, u, granted = 0, refused = 0;

	core_ready(&c);
	core_make(&c, "k", M16);
	core_groups(&c, "gc", "gd");
	for (cell = 0; cell < 3000; cell++) {
		const struct list *in = pick(), *black = maybe();
		bool os = cell & 1;
		unsigned k = cell / 2 % ARRAY_LEN(op_acls);
		char p_in[64], p_black[64];

		snprintf(p_in, sizeof(p_in), "hadoop.kms.acl.%s", op_acls[k].name);
		snprintf(p_black, sizeof(p_black), "hadoop.kms.blacklist.%s", op_acls[k].name);
		EXPECT_INT(core_config(&c, MAPPING, "svsm.kms.groups.os", os ? "true" : "false",
				       "hadoop.kms.key.authorization.enable", "false", p_in, in->text, p_black,
				       black->text, NULL),
			   E_OK);
		for (u = 0; u < 3; u++) {
			/* Not set, or set to nothing: everyone for the list, nobody for the black list. */
			bool ok = (in->who == UNSET || permits(in, 1u << u, os)) && !permits(black, 1u << u, os);
			const char *key = op_acls[k].call == CALL_NAMES ? NULL :
					  op_acls[k].call == CALL_CREATE ? "new" : "k";

			core_as(&c, users[u]);
			EXPECT_INT(op_call(&c, op_acls[k].call), ok ? E_OK : E_OP_DENIED);
			EXPECT_INT(c.ans.head.events, 1);
			EXPECT(is_event(&c, 0, ok ? EVENT_OK : EVENT_UNAUTHORIZED, op_acls[k].op, key));
			if (!ok) {
				EXPECT_INT(c.ans.head.num[0], op_acls[k].op);
				EXPECT_INT(c.ans.head.num[1], key != NULL);
				EXPECT(slice_is(c.ans.arg, key ? key : ""));
			} else if (op_acls[k].call == CALL_CREATE || op_acls[k].call == CALL_DELETE ||
				   op_acls[k].call == CALL_ROLL) {
				EXPECT_INT(core_abort(&c, 0, &c.staged.ticket, 1), E_OK);
			}
			EXPECT_INT(check_says(&c, op_acls[k].op, "k"), ok);
			granted += ok;
			refused += !ok;
		}
	}
	EXPECT(granted > 1000 && refused > 1000);
	core_stop(&c);
}

TEST(each_operation_asks_its_own_right)
{
	static const uint8_t zero[16];
	struct core c;

	core_ready(&c);
	core_make(&c, "k", M16);
#define OPEN "default.key.acl.MANAGEMENT", "*", "default.key.acl.GENERATE_EEK", "*", "default.key.acl.READ", "*", \
	     "default.key.acl.DECRYPT_EEK", "*"
#define REFUSED(acl, call, op, key) \
	do { \
		EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist." acl, "*", NULL), E_OK); \
		EXPECT_INT(call, E_OP_DENIED); \
		EXPECT_INT(c.ans.head.events, 1); \
		EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED, op, key)); \
	} while (0)
	REFUSED("SET_KEY_MATERIAL", core_create(&c, "n", 128, NULL, M16), OP_CREATE_KEY, "n");
	REFUSED("SET_KEY_MATERIAL", core_roll(&c, "k", M16), OP_ROLL_NEW_VERSION, "k");
	REFUSED("GET", core_name(&c, CALL_VERSION_GET, "k@0"), OP_GET_KEY_VERSION, NULL);
	REFUSED("GET", core_name(&c, CALL_VERSIONS, "k"), OP_GET_KEY_VERSIONS, "k");
	REFUSED("GENERATE_EEK", core_eek(&c, CALL_REENCRYPT, "k@0", "k", slice_of(zero, 16), slice_of(zero, 16)),
		OP_REENCRYPT_EEK, "k");
	{
		struct wire_batch_req b = { .cred = core_cred(&c), .name = slice_str("k") };
		struct wire_names_req n = { .cred = core_cred(&c) };

		wire_batch_req_put(core_req(&c), &b);
		EXPECT_INT(core_send(&c, CALL_REENCRYPT_BATCH), E_OP_DENIED);
		EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED, OP_REENCRYPT_EEK_BATCH, "k"));
		EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.GET_METADATA", "*", NULL), E_OK);
		wire_names_req_put(core_req(&c), &n);
		EXPECT_INT(core_send(&c, CALL_METADATAS), E_OP_DENIED);
		EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED, OP_GET_KEYS_METADATA, NULL));
	}
	/* The message of a decryption without a key name names none. */
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.DECRYPT_EEK", "*", NULL), E_OK);
	EXPECT_INT(core_eek(&c, CALL_DECRYPT, "k@0", NULL, slice_of(zero, 16), slice_of(zero, 16)), E_OP_DENIED);
	EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED, OP_DECRYPT_EEK, NULL));
	EXPECT_INT(c.ans.head.num[1], 0);
	/* Invalidating is allowed by either of two. */
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.ROLLOVER", "*", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_INVALIDATE, "k"), E_OK);
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.DELETE", "*", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_INVALIDATE, "k"), E_OK);
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.DELETE", "*", "hadoop.kms.blacklist.ROLLOVER", "*", NULL),
		   E_OK);
	EXPECT_INT(core_name(&c, CALL_INVALIDATE, "k"), E_OP_DENIED);
	EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED, OP_INVALIDATE_CACHE, "k"));
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.blacklist.SET_KEY_MATERIAL", "*", NULL), E_OK);
	EXPECT_INT(core_create(&c, "n", 128, NULL, NULL), E_OK);	/* not needed to have one generated */
	core_stop(&c);
}

TEST(a_missing_key_is_nobodys_to_refuse)
{
	struct core c;
	struct wire_kv kv;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "default.key.acl.READ", " ", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "none"), E_OK);
	EXPECT(wire_kv_next(&c.ans.body, &kv) && !kv.present);
	EXPECT_INT(core_name(&c, CALL_DELETE, "none"), E_NO_KEY);
	EXPECT_INT(core_roll(&c, "none", NULL), E_NO_METADATA);
	EXPECT_INT(core_name(&c, CALL_INVALIDATE, "none"), E_OK);
	core_stop(&c);
}

TEST(creating_is_judged_by_the_acl_name_the_key_will_have)
{
	struct core c;

	core_ready(&c);
	core_as(&c, "ann");
	EXPECT_INT(core_config(&c, "key.acl.shared.MANAGEMENT", "ann", "key.acl.other.MANAGEMENT", "bob",
			       "key.acl.own.MANAGEMENT", "ann", NULL), E_OK);
	EXPECT_INT(core_create(&c, "unlisted", 0, NULL, NULL), E_CREATE_DENIED);
	EXPECT_INT(c.ans.head.events, 0);
	EXPECT_INT(core_create(&c, "other", 0, NULL, NULL), E_CREATE_DENIED);
	EXPECT_INT(c.ans.head.events, 2);
	EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED_KEY, KEYOP_MANAGEMENT, "other"));
	EXPECT(is_event(&c, 1, EVENT_UNAUTHORIZED_KEY, KEYOP_ALL, "other"));
	EXPECT_INT(core_create_attr(&c, "own", "key.acl.name", "other"), E_CREATE_DENIED);
	EXPECT_INT(core_create_attr(&c, "other", "key.acl.name", "shared"), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create(&c, "own", 0, NULL, NULL), E_OK);
	core_commit(&c);
	EXPECT_INT(core_create_attr(&c, "k3", "key.acl.name", "shared"), E_OK);
	core_commit(&c);
	/* From now on the attribute decides, not the name. */
	core_as(&c, "bob");
	EXPECT_INT(core_name(&c, CALL_DELETE, "other"), E_KEY_DENIED);
	EXPECT(slice_is(c.ans.arg, "shared"));
	EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED_KEY, KEYOP_MANAGEMENT, "shared"));
	core_as(&c, "ann");
	EXPECT_INT(core_name(&c, CALL_DELETE, "other"), E_OK);
	EXPECT_INT(core_name(&c, CALL_DELETE, "k3"), E_OK);
	core_stop(&c);
}

TEST(without_key_authorization_only_operation_rights_count)
{
	struct core c;
	struct wire_meta meta;

	core_ready(&c);
	EXPECT_INT(core_config(&c, "hadoop.kms.key.authorization.enable", "false", "default.key.acl.READ", " ", NULL),
		   E_OK);
	core_make(&c, "k", M16);
	EXPECT_INT(core_current(&c, "k").len, 16);
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	EXPECT(wire_meta_next(&c.ans.body, &meta));
	EXPECT_INT(meta.attrs, 0);	/* and no attribute is added */
	EXPECT_INT(core_name(&c, CALL_GENERATE, "k"), E_OK);
	core_stop(&c);
}

TEST(metadata_of_many_keys_granted_by_all_does_not_run_out_of_events)
{
	/* Each grant through ALL leaves an event for the type itself: there must be no end to stumble over. */
	enum { N = 40 };
	struct wire_names_req m = { .count = N };
	char name[16], prop[N][32];
	const char *list[2 * N + 1];
	struct core c;
	uint32_t i;

	core_ready(&c);
	for (i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		core_make(&c, name, M16);
		snprintf(prop[i], sizeof(prop[i]), "key.acl.k%u.ALL", i);
		list[2 * i] = prop[i];
		list[2 * i + 1] = i == N - 1 ? "nobody" : "*";
	}
	list[2 * N] = NULL;
	EXPECT_INT(core_config_list(&c, list), E_OK);
	for (m.count = 1; m.count < N; m.count++) {
		m.cred = core_cred(&c);
		wire_names_req_put(core_req(&c), &m);
		for (i = 0; i < m.count; i++) {
			snprintf(name, sizeof(name), "k%u", i);
			sink_str16(&c.out, slice_str(name));
		}
		EXPECT_INT(core_send(&c, CALL_METADATAS), E_OK);
		EXPECT(is_event(&c, 0, EVENT_UNAUTHORIZED_KEY, KEYOP_READ, "k0"));
		EXPECT(is_event(&c, c.ans.head.events - 1u, EVENT_OK, OP_GET_KEYS_METADATA, NULL));
		/* The refusal of the last one is on record, whatever came before. */
		m.count++;
		wire_names_req_put(core_req(&c), &m);
		for (i = 0; i + 1 < m.count; i++) {
			snprintf(name, sizeof(name), "k%u", i);
			sink_str16(&c.out, slice_str(name));
		}
		sink_str16(&c.out, slice_str("k39"));
		m.count--;
		EXPECT_INT(core_send(&c, CALL_METADATAS), E_KEY_DENIED);
		EXPECT(is_event(&c, c.ans.head.events - 2u, EVENT_UNAUTHORIZED_KEY, KEYOP_READ, "k39"));
		EXPECT(is_event(&c, c.ans.head.events - 1u, EVENT_UNAUTHORIZED_KEY, KEYOP_ALL, "k39"));
	}
	core_stop(&c);
}

TEST(the_last_of_two_properties_of_one_name_counts)
{
	struct core c;
	unsigned i;

	core_ready(&c);
	core_make(&c, "k", M16);
	core_as(&c, "ann");
	for (i = 0; i < 20; i++) {
		/* Neighbours in number and order that change how a sort moves them. */
		const char *list[128];
		char name[64][32];
		unsigned n = 0, j;

		for (j = 0; j < i; j++) {
			snprintf(name[j], sizeof(name[j]), "key.acl.x%u.READ", (j * 7) % 5);
			list[n++] = name[j];
			list[n++] = "*";
			if (j == i / 2) {
				list[n++] = "key.acl.k.READ";
				list[n++] = "ann";
			}
		}
		list[n++] = "key.acl.k.READ";
		list[n++] = "bob";
		list[n++] = "hadoop.kms.acl.GET";
		list[n++] = "bob";
		list[n++] = "hadoop.kms.acl.GET";
		list[n++] = "ann";
		list[n] = NULL;
		EXPECT_INT(core_config_list(&c, list), E_OK);
		EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_KEY_DENIED);
	}
	for (i = 0; i < 20; i++) {
		char map[512] = "ann=ga;";
		unsigned j;

		for (j = 0; j < i; j++)
			snprintf(map + strlen(map), sizeof(map) - strlen(map), "%c%u=gx;", j % 3 ? 'a' : 'u', (j * 7) % 5);
		snprintf(map + strlen(map), sizeof(map) - strlen(map), "ann=gb");
		EXPECT_INT(core_config(&c, "default.key.acl.READ", "*", "hadoop.kms.acl.GET", " ga",
				       "hadoop.user.group.static.mapping.overrides", map, NULL), E_OK);
		EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OP_DENIED);
		EXPECT_INT(core_config(&c, "default.key.acl.READ", "*", "hadoop.kms.acl.GET", " gb",
				       "hadoop.user.group.static.mapping.overrides", map, NULL), E_OK);
		EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OK);
	}
	core_stop(&c);
}

TEST(the_name_of_a_key_acl_may_contain_dots)
{
	struct core c;

	core_ready(&c);
	core_make(&c, "a.b.READ", M16);
	core_make(&c, "a", M16);
	core_as(&c, "ann");
	EXPECT_INT(core_config(&c, "key.acl.a.b.READ.READ", "ann", "key.acl.a.READ", "bob", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a.b.READ"), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_KEY_DENIED);
	core_stop(&c);
}

TEST(a_configuration_with_a_bad_value_changes_nothing)
{
	static const char *const bad[][2] = {
		{ "hadoop.kms.authentication.type", "ldap" },
		{ "hadoop.kms.authentication.type", "Simple" },
		{ "hadoop.kms.authentication.kerberos.principal", "host/a" },
		{ "hadoop.kms.authentication.kerberos.name.rules.mechanism", "MIT" },
		{ "svsm.kms.kerberos.skew.sec", "0" },
		{ "svsm.kms.kerberos.skew.sec", "86401" },
		{ "hadoop.kms.authentication.token.validity", "0" },
		{ "hadoop.kms.authentication.token.validity", "-1" },
		{ "hadoop.kms.authentication.token.validity", "1s" },
		{ "hadoop.kms.authentication.token.validity", "" },
		{ "hadoop.kms.authentication.token.validity", "99999999999999999999999999" },
		{ "hadoop.kms.authentication.token.max-inactive-interval", "-2" },
		{ "hadoop.kms.key.authorization.enable", "yes" },
		{ "hadoop.kms.key.authorization.enable", "TRUE" },
		{ "hadoop.kms.key.authorization.enable", "" },
		{ "hadoop.security.crypto.cipher.suite", "AES/GCM/NoPadding" },
		{ "hadoop.security.key.default.bitlength", "512" },
		{ "hadoop.security.key.default.bitlength", "0" },
		{ "hadoop.security.key.default.cipher", " " },
		{ "hadoop.user.group.static.mapping.overrides", "a=b=c" },
		{ "hadoop.user.group.static.mapping.overrides", "=g" },
		{ "svsm.kms.groups.os", "1" },
		{ "svsm.kms.core.memory.max", "18446744073709551616" },
		{ "svsm.secret.signature", "" },
	};
	struct core c;
	size_t i;

	core_ready(&c);
	core_make(&c, "k", M16);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(core_config(&c, "hadoop.kms.acl.GET", " ", bad[i][0], bad[i][1], NULL), E_CONFIG);
		EXPECT(slice_starts(c.ans.arg, bad[i][0]));
		EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OK);
	}
	EXPECT_INT(core_config(&c, "", "", "hadoop.kms.acl", "x", "hadoop.kms.acl.", "", "key.acl.", "*", "key.acl..READ", "*",
			       "no.such.name", "x", "hadoop.kms.acl.NOPE", " ", "default.key.acl.READ", "*", NULL), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_OK);
	core_stop(&c);
}
