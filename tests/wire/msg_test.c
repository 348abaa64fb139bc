/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each message: what is written is read, and nothing that is shorter, longer or beyond a limit. With
 * SVSM_SEEDS=<folder> in the environment the samples are written there, as seeds of the fuzz targets.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fake/roundtrip.h"
#include "tests/test.h"

static uint8_t scratch[70000];

static struct wire_cred cred(int variant)
{
	static uint8_t groups[64], names[64];
	struct sink s = sink_of(groups, sizeof(groups)), t = sink_of(names, sizeof(names));
	struct wire_cred c = { 0 };

	c.cookie = c.user = slice_of("", 0);
	if (variant & 1) {
		c.has_cookie = true;
		c.cookie = slice_str("u=a&p=a&t=simple-dt&e=1&s=x");
	}
	if (variant & 2) {
		c.has_user = true;
		c.user = slice_str("ann");
		sink_str16(&s, slice_str("staff"));
		sink_str16(&s, slice_str(""));
		c.groups = 2;
		c.group_user = slice_str(variant == 3 ? "bob" : "ann");
	}
	if (variant == 3) {
		c.has_token = c.has_negotiate = c.has_do_as = c.tls = true;
		c.token = slice_str("token");
		c.negotiate = slice_str("spnego");
		c.do_as = slice_str("bob");
		c.peer = slice_str("\x7f\x01\x01\x01");
		sink_str16(&t, slice_str("gateway"));
		c.names = 1;
	} else if (variant == 2) {
		c.peer = slice_str("0123456789abcdef");
	}
	c.name = cur_of(names, t.need);
	c.group = cur_of(groups, s.need);
	return c;
}

static void w_name_req(struct sink *s, int v)
{
	struct wire_name_req m = { .cred = cred(v), .name = slice_str(v ? "key" : ""), .count = v ? 7 : 0,
				   .from = v ? 1ull << 40 : 0 };

	wire_name_req_put(s, &m);
}

static void w_dt_req(struct sink *s, int v)
{
	struct wire_dt_req m = { .cred = cred(v),
				 .has_renewer = v & 1,
				 .renewer = slice_str(v & 1 ? "yarn" : ""),
				 .token = slice_str(v & 2 ? "token" : "") };

	wire_dt_req_put(s, &m);
}

static void w_create_req(struct sink *s, int v)
{
	uint8_t attr[64], material[64];
	struct sink a = sink_of(attr, sizeof(attr)), b = sink_of(material, sizeof(material));
	struct wire_create_req m = { .cred = cred(v), .name_null = v == 1, .upper = v == 2, .has_cipher = v == 3,
				     .has_description = v & 1, .length = 128, .created = v ? 99 : 0 };

	m.name = slice_str(v ? "key" : "");
	m.cipher = slice_str(v ? "AES/CTR/NoPadding" : "");
	m.description = slice_str(v & 1 ? "text" : "");
	if (v) {
		sink_str16(&a, slice_str("key.acl.name"));
		sink_str16(&a, slice_str("shared"));
		sink_str16(&b, slice_str("0123456789abcdef"));
		sink_str16(&b, slice_str(""));
		m.attrs = 1;
		m.materials = 2;
	}
	m.attr = cur_of(attr, a.need);
	m.material = cur_of(material, b.need);
	wire_create_req_put(s, &m);
}

static void w_roll_req(struct sink *s, int v)
{
	struct wire_roll_req m = { .cred = cred(v), .has_material = v & 1, .name = slice_str("key"),
				   .material = slice_str(v & 1 ? "0123456789abcdef" : "") };

	wire_roll_req_put(s, &m);
}

static void w_eek_req(struct sink *s, int v)
{
	struct wire_eek_req m = { .cred = cred(v), .has_name = v & 1, .name = slice_str(v & 1 ? "key" : ""),
				  .version_name = slice_str("key@0"), .iv = slice_str("0123456789abcdef"),
				  .material = slice_str(v ? "ciphertext" : "") };

	wire_eek_req_put(s, &m);
}

static void w_batch_req(struct sink *s, int v)
{
	struct wire_batch_req m = { .cred = cred(v), .name = slice_str("key"), .count = (uint32_t)v };
	struct wire_item item = { .version_name = slice_str("key@0"), .iv = slice_str("0123456789abcdef"),
				  .material = slice_str("ct") };
	int i;

	wire_batch_req_put(s, &m);
	for (i = 0; i < v; i++)
		wire_item_put(s, &item);
}

static void w_names_req(struct sink *s, int v)
{
	struct wire_names_req m = { .cred = cred(v), .count = (uint32_t)v };
	int i;

	wire_names_req_put(s, &m);
	for (i = 0; i < v; i++)
		sink_str16(s, slice_str(i ? "name" : ""));
}

static void w_ans(struct sink *s, int v)
{
	struct wire_ans m = { .head = { .err = (uint16_t)(v ? E_KEY_DENIED : E_OK), .note = (uint8_t)v,
					.events = (uint8_t)v, .num = { 1, ~0ull } } };
	uint8_t *start = s->at;
	int i;

	m.user = slice_str(v ? "ann" : "");
	m.principal = slice_str(v ? "ann@EXAMPLE.COM" : "");
	m.real = slice_str(v & 2 ? "oozie" : "");
	m.chain = slice_str(v & 1 ? "entries" : "");
	m.cookie = slice_str(v & 1 ? "cookie" : "");
	m.arg = slice_str(v & 2 ? "argument" : "");
	for (i = 0; i < v; i++)
		m.event[i] = (struct wire_event){ .status = (uint8_t)(1 + i), .op = (uint8_t)i, .has_key = i,
						  .key = slice_str(i ? "key" : "") };
	wire_ans_begin(s);
	sink_put(s, "body", (size_t)v);
	EXPECT(wire_ans_end(s, start, &m) == s->need);
}

static void w_kv(struct sink *s, int v)
{
	struct wire_kv m = { .present = v, .has_material = v & 1, .number = 5, .name = slice_str("key"),
			     .material = slice_str(v & 1 ? "0123456789abcdef" : "") };

	wire_kv_put(s, &m);
	if (v == 3)
		wire_kv_put(s, &m);
}

static void w_meta(struct sink *s, int v)
{
	uint8_t attr[64];
	struct sink a = sink_of(attr, sizeof(attr));
	struct wire_meta m = { .present = v, .has_description = v & 1, .length = 256, .versions = 3, .created = 77,
			       .name = slice_str("key"), .cipher = slice_str("AES"), .description = slice_str("") };

	if (v & 2) {
		sink_str16(&a, slice_str("a"));
		sink_str16(&a, slice_str("b"));
		m.attrs = 1;
	}
	m.attr = cur_of(attr, a.need);
	wire_meta_put(s, &m);
}

static void w_eek(struct sink *s, int v)
{
	struct wire_eek m = { .number = 3, .unchanged = v & 1, .iv = "0123456789abcde", .material = slice_str("ct") };
	int i;

	for (i = 0; i <= v; i++)
		wire_eek_put(s, &m);
}

static void w_staged(struct sink *s, int v)
{
	struct wire_staged m = { .ticket = 9, .remove = v & 1, .id = "0123456789abcde",
				 .record = slice_str(v & 1 ? "" : "sealed record") };

	m.kv = (struct wire_kv){ .present = v & 2, .has_material = v & 2, .name = slice_str("key"),
				 .material = slice_str(v & 2 ? "m" : "") };
	wire_staged_put(s, &m);
}

static void w_config_req(struct sink *s, int v)
{
	static const char *const p[][2] = { { "hadoop.kms.acl.GET", "ann staff" }, { "key.acl.k.READ", "*" },
					    { "hadoop.user.group.static.mapping.overrides", "ann=staff,x;bob=" } };
	int i;

	wire_config_req_put(s, (uint32_t)v);
	for (i = 0; i < v; i++)
		wire_property_put(s, slice_str(p[i][0]), slice_str(p[i][1]));
}

static void w_open_req(struct sink *s, int v)
{
	struct wire_open_req m = { .floor = 3, .count = 4, .head = slice_str("sealed head"), .slots = (uint8_t)v };
	int i;

	wire_open_req_put(s, &m);
	for (i = 0; i < v; i++)
		wire_slot_put(s, (uint8_t)i, slice_str(i ? "slot" : ""));
}

static void w_load_req(struct sink *s, int v)
{
	int i;

	wire_load_req_put(s, (uint32_t)v);
	for (i = 0; i < v; i++)
		wire_record_put(s, (const uint8_t *)"0123456789abcdef", slice_str(i ? "record" : ""));
}

static void w_tickets_req(struct sink *s, int v)
{
	struct wire_tickets_req m = { .epoch = 12, .count = (uint32_t)v };
	int i;

	wire_tickets_req_put(s, &m);
	for (i = 0; i < v; i++)
		sink_le64(s, (uint64_t)i << 33);
}

static void w_blob_req(struct sink *s, int v)
{
	wire_blob_req_put(s, slice_str(v ? "a public key" : ""));
}

static void w_acl_req(struct sink *s, int v)
{
	struct wire_acl_req m = { .cred = cred(v), .op = (uint8_t)(OP_GET_METADATA + v), .key = slice_str("key") };

	wire_acl_req_put(s, &m);
}

static const struct row {
	const char *name;
	void (*write)(struct sink *s, int variant);	/* 0..3 */
	bool (*again)(struct cursor in, struct sink *out);
	bool rows;	/* read one after the other: a truncation may end between two */
} rows[] = {
#define R(m, many) { #m, w_##m, rt_##m, many }
	R(name_req, false),  R(create_req, false), R(roll_req, false),    R(eek_req, false),
	R(batch_req, false), R(names_req, false),  R(ans, false),         R(kv, true),
	R(meta, true),       R(eek, true),         R(staged, true),       R(config_req, false),
	R(open_req, false),  R(load_req, false),   R(tickets_req, false), R(blob_req, false),
	R(acl_req, false),   R(dt_req, false),
#undef R
};

static size_t sample(const struct row *r, int variant, uint8_t *to, size_t room)
{
	struct sink s = sink_of(to, room);

	r->write(&s, variant);
	EXPECT(sink_ok(&s));
	return s.need;
}

TEST(what_is_written_is_read_and_written_the_same)
{
	uint8_t msg[1024], again[1024];
	size_t i, n;
	int v;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (v = 0; v < 4; v++) {
			struct sink out = sink_of(again, sizeof(again));
			uint8_t *fenced;

			n = sample(&rows[i], v, msg, sizeof(msg));
			fenced = test_fence(msg, n);
			EXPECT(rows[i].again(cur_of(fenced, n), &out));
			EXPECT(sink_ok(&out) && out.need == n);
			EXPECT_MEM(again, msg, n);
			test_fence_free(fenced, n);
		}
}

TEST(every_truncation_is_refused_without_reading_beyond_it)
{
	uint8_t msg[1024], again[1024];
	size_t i, n, len;
	int v;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (v = 0; v < 4; v++) {
			n = sample(&rows[i], v, msg, sizeof(msg));
			for (len = 0; len < n; len++) {
				struct sink out = sink_of(again, sizeof(again));
				uint8_t *fenced = test_fence(msg, len);
				bool ok = rows[i].again(cur_of(fenced, len), &out);

				if (rows[i].rows)
					EXPECT(!ok || (out.need == len && memcmp(again, msg, len) == 0));
				else
					EXPECT(!ok);
				test_fence_free(fenced, len);
			}
		}
}

TEST(a_byte_too_many_is_refused)
{
	uint8_t msg[1024], again[2048];
	unsigned extra;
	size_t i, n;
	int v;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (v = 0; v < 4; v++)
			for (extra = 0; extra < 256; extra++) {
				struct sink out = sink_of(again, sizeof(again));
				bool ok;

				n = sample(&rows[i], v, msg, sizeof(msg));
				msg[n] = (uint8_t)extra;
				ok = rows[i].again(cur_of(msg, n + 1), &out);
				/* A row may go on with "not there" and nothing else. */
				EXPECT(!ok || (rows[i].rows && extra == 0 && rows[i].write != w_eek &&
					       rows[i].write != w_staged));
			}
}

TEST(every_bent_byte_is_refused_or_means_itself)
{
	uint8_t msg[1024], bent[1024], again[2048];
	size_t i, n, at;
	int v, bit;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		for (v = 0; v < 4; v++) {
			n = sample(&rows[i], v, msg, sizeof(msg));
			for (at = 0; at < n; at++)
				for (bit = 0; bit < 8; bit++) {
					struct sink out = sink_of(again, sizeof(again));

					memcpy(bent, msg, n);
					bent[at] ^= (uint8_t)(1 << bit);
					if (rows[i].again(cur_of(bent, n), &out)) {
						EXPECT(sink_ok(&out) && out.need == n);
						EXPECT_MEM(again, bent, n);
					}
				}
		}
}

/* A message with one text of n bytes; true if it is read. */
enum which {
	NAME,
	CREATE_NAME,
	CIPHER,
	DESCRIPTION,
	ATTRS,
	MATERIAL,
	ROLL_NAME,
	ROLL_MATERIAL,
	TOKEN,
	NEGOTIATE,
	DO_AS,
	PEER_NAME,
	EEK_VERSION,
	EEK_NAME,
	EEK_IV,
	EEK_MATERIAL,
	BATCH_NAME,
	NAMES_NAME,
	COOKIE,
	USER,
	GROUP_USER,
	GROUP,
	ACL_KEY,
	KV_NAME,
	META_NAME,
	WHICH_COUNT
};

/* e: room for one name or group */
static void cred_with(struct wire_cred *c, enum which w, struct slice text, struct sink *e)
{
	bool there;
	const struct {
		enum which w;
		bool *there;
		struct slice *text;
	} part[] = { { COOKIE, &c->has_cookie, &c->cookie },
		     { USER, &c->has_user, &c->user },
		     { TOKEN, &c->has_token, &c->token },
		     { NEGOTIATE, &c->has_negotiate, &c->negotiate },
		     { DO_AS, &c->has_do_as, &c->do_as },
		     { GROUP_USER, &there, &c->group_user } };
	struct cursor one = cur_of(e->at, 2 + text.len);
	size_t i;

	for (i = 0; i < ARRAY_LEN(part); i++)
		if (part[i].w == w) {
			*part[i].there = true;
			*part[i].text = text;
			return;
		}
	sink_str16(e, text);
	if (w == GROUP) {
		c->group_user = slice_str("x");
		c->groups = 1;
		c->group = one;
	} else {
		c->names = 1;
		c->name = one;
	}
}

/* What put_*() below have at hand: the text, none, and room for a part that is encoded before. */
struct with {
	struct slice text, none;
	struct sink part;
};

static void put_name_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_name_req m = { .cred = cred(0), .name = w == NAME ? t->text : t->none };

	if (w != NAME)
		cred_with(&m.cred, w, t->text, &t->part);
	wire_name_req_put(s, &m);
}

static void put_create_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_create_req m = { .cred = cred(0), .name = w == CREATE_NAME ? t->text : t->none,
				     .cipher = w == CIPHER ? t->text : t->none,
				     .description = w == DESCRIPTION ? t->text : t->none,
				     .attr = cur_of("", 0), .material = cur_of("", 0) };
	const uint8_t *at = t->part.at;

	if (w == ATTRS) {
		sink_str16(&t->part, t->none);
		sink_str16(&t->part, slice_of(t->text.p, t->text.len - 4));	/* the text's length: all of them, encoded */
		m.attrs = 1;
		m.attr = cur_of(at, t->part.need);
	}
	if (w == MATERIAL) {
		sink_str16(&t->part, t->text);
		m.materials = 1;
		m.material = cur_of(at, t->part.need);
	}
	wire_create_req_put(s, &m);
}

static void put_roll_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_roll_req m = { .cred = cred(0), .name = w == ROLL_NAME ? t->text : t->none,
				   .material = w == ROLL_MATERIAL ? t->text : t->none };

	wire_roll_req_put(s, &m);
}

static void put_eek_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_eek_req m = { .cred = cred(0), .version_name = w == EEK_VERSION ? t->text : t->none,
				  .name = w == EEK_NAME ? t->text : t->none, .iv = w == EEK_IV ? t->text : t->none,
				  .material = w == EEK_MATERIAL ? t->text : t->none };

	wire_eek_req_put(s, &m);
}

static void put_batch_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_batch_req m = { .cred = cred(0), .name = w == BATCH_NAME ? t->text : t->none };

	wire_batch_req_put(s, &m);
}

static void put_names_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_names_req m = { .cred = cred(0), .count = 1 };

	wire_names_req_put(s, &m);
	sink_str16(s, w == NAMES_NAME ? t->text : t->none);
}

static void put_acl_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_acl_req m = { .cred = cred(0), .op = 1, .key = w == ACL_KEY ? t->text : t->none };

	wire_acl_req_put(s, &m);
}

static void put_kv_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_kv m = { .present = true, .name = w == KV_NAME ? t->text : t->none, .material = t->none };

	wire_kv_put(s, &m);
}

static void put_meta_with(struct sink *s, enum which w, struct with *t)
{
	struct wire_meta m = { .present = true, .name = w == META_NAME ? t->text : t->none, .cipher = t->none,
			       .description = t->none, .attr = cur_of("", 0) };

	wire_meta_put(s, &m);
}

/* Which message has which text. */
static const struct {
	void (*put)(struct sink *s, enum which w, struct with *t);
	unsigned row;
} with[] = {
	[NAME] = { put_name_with, 0 },		[COOKIE] = { put_name_with, 0 },
	[USER] = { put_name_with, 0 },		[TOKEN] = { put_name_with, 0 },
	[NEGOTIATE] = { put_name_with, 0 },	[DO_AS] = { put_name_with, 0 },
	[PEER_NAME] = { put_name_with, 0 },	[GROUP_USER] = { put_name_with, 0 },
	[GROUP] = { put_name_with, 0 },		[CREATE_NAME] = { put_create_with, 1 },
	[CIPHER] = { put_create_with, 1 },	[DESCRIPTION] = { put_create_with, 1 },
	[ATTRS] = { put_create_with, 1 },	[MATERIAL] = { put_create_with, 1 },
	[ROLL_NAME] = { put_roll_with, 2 },	[ROLL_MATERIAL] = { put_roll_with, 2 },
	[EEK_VERSION] = { put_eek_with, 3 },	[EEK_NAME] = { put_eek_with, 3 },
	[EEK_IV] = { put_eek_with, 3 },		[EEK_MATERIAL] = { put_eek_with, 3 },
	[BATCH_NAME] = { put_batch_with, 4 },	[NAMES_NAME] = { put_names_with, 5 },
	[KV_NAME] = { put_kv_with, 7 },		[META_NAME] = { put_meta_with, 8 },
	[ACL_KEY] = { put_acl_with, 16 },
};
_Static_assert(ARRAY_LEN(with) == WHICH_COUNT, "a message for each text");

static bool read_with(enum which w, size_t n)
{
	static uint8_t big[70000], enc[70000], again[70000];
	struct sink s = sink_of(scratch, sizeof(scratch)), out;
	struct with t = { slice_of(big, n), slice_str(""), sink_of(enc, sizeof(enc)) };
	size_t i;

	memset(big, 'x', n);
	with[w].put(&s, w, &t);
	if (!sink_ok(&s))
		return false;
	for (i = 0; i < 2; i++) {	/* twice, at both ends of the page */
		out = sink_of(again, sizeof(again));
		if (!rows[with[w].row].again(cur_of(scratch, s.need), &out))
			return false;
	}
	return true;
}

TEST(every_text_has_its_limit_and_not_a_byte_more)
{
	static const struct {
		enum which which;
		size_t max;
	} v[] = {
		{ NAME, WIRE_VERSION_NAME_MAX },
		{ CREATE_NAME, WIRE_NAME_MAX },
		{ CIPHER, WIRE_CIPHER_MAX },
		{ DESCRIPTION, WIRE_DESCRIPTION_MAX },
		{ ATTRS, WIRE_ATTRS_MAX },
		{ MATERIAL, WIRE_EEK_MAX },
		{ ROLL_NAME, WIRE_NAME_MAX },
		{ ROLL_MATERIAL, WIRE_EEK_MAX },
		{ EEK_VERSION, WIRE_VERSION_NAME_MAX },
		{ EEK_NAME, WIRE_NAME_MAX },
		{ EEK_IV, WIRE_EEK_MAX },
		{ EEK_MATERIAL, WIRE_EEK_MAX },
		{ BATCH_NAME, WIRE_NAME_MAX },
		{ NAMES_NAME, WIRE_NAME_MAX },
		{ COOKIE, WIRE_COOKIE_MAX },
		{ USER, WIRE_USER_MAX },
		{ GROUP_USER, WIRE_USER_MAX },
		{ GROUP, WIRE_GROUP_MAX },
		{ ACL_KEY, WIRE_NAME_MAX },
		{ TOKEN, WIRE_TOKEN_MAX },
		{ NEGOTIATE, WIRE_NEGOTIATE_MAX },
		{ DO_AS, WIRE_USER_MAX },
		{ PEER_NAME, WIRE_GROUP_MAX },
		{ KV_NAME, WIRE_NAME_MAX },
		{ META_NAME, WIRE_NAME_MAX },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		EXPECT(read_with(v[i].which, v[i].max));
		EXPECT(!read_with(v[i].which, v[i].max + 1));
		EXPECT(!read_with(v[i].which, 65535));
		EXPECT(!read_with(v[i].which, 65540));	/* the writer refuses what a length cannot say */
	}
}

/* A message with a count that promises more than follows, or than is allowed. */
TEST(counts_are_limited_and_must_be_kept)
{
	static const uint32_t bad[] = { 1, 2, 255, 256, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff };
	uint8_t msg[64], again[256];
	struct sink out;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct wire_batch_req b = { .cred = cred(0), .name = slice_str(""), .count = bad[i] };
		struct wire_names_req n = { .cred = cred(0), .count = bad[i] };
		struct wire_tickets_req t = { .count = bad[i] };
		struct sink s = sink_of(msg, sizeof(msg));

#define REFUSED(m) \
	do { \
		out = sink_of(again, sizeof(again)); \
		EXPECT(sink_ok(&s)); \
		EXPECT(!rt_##m(cur_of(msg, s.need), &out)); \
		s = sink_of(msg, sizeof(msg)); \
	} while (0)
		wire_batch_req_put(&s, &b);
		REFUSED(batch_req);
		wire_names_req_put(&s, &n);
		REFUSED(names_req);
		wire_tickets_req_put(&s, &t);
		REFUSED(tickets_req);
		wire_config_req_put(&s, bad[i]);
		REFUSED(config_req);
		wire_load_req_put(&s, bad[i]);
		REFUSED(load_req);
		wire_tickets_req_put(&s, &t);
		sink_le64(&s, 1);
		sink_u8(&s, 1);
		REFUSED(tickets_req);	/* 8 * count, exactly; also where 8 * count would wrap */
	}
}

TEST(more_parts_than_allowed_are_refused_even_when_they_are_there)
{
	size_t room = 16 + 8u * (WIRE_EEK_COUNT_MAX + 1), extra;
	uint8_t *msg = malloc(room), *again = malloc(room);
	struct sink s, out;
	uint32_t i;

	EXPECT(msg && again);
	for (extra = 0; extra < 2; extra++) {
		struct wire_batch_req b = { .cred = cred(0), .name = slice_str(""),
					    .count = WIRE_EEK_COUNT_MAX + (uint32_t)extra };
		struct wire_item item = { .version_name = slice_str(""), .iv = slice_str(""), .material = slice_str("") };
		struct wire_name_req n = { .cred = { .groups = (uint16_t)(WIRE_GROUPS_MAX + extra),
						     .group_user = slice_str("x") },
					   .name = slice_str("") };

		s = sink_of(msg, room);
		wire_batch_req_put(&s, &b);
		for (i = 0; i < b.count; i++)
			wire_item_put(&s, &item);
		EXPECT(sink_ok(&s));
		out = sink_of(again, room);
		EXPECT(rt_batch_req(cur_of(msg, s.need), &out) == !extra);
		memset(msg, 0, 2 * (WIRE_GROUPS_MAX + 1));
		n.cred.group = cur_of(msg, 2 * n.cred.groups);
		n.cred.cookie = n.cred.user = slice_str("");
		s = sink_of(again, room);
		wire_name_req_put(&s, &n);
		out = sink_of(msg, room);
		EXPECT(rt_name_req(cur_of(again, s.need), &out) == !extra);
	}
	free(msg);
	free(again);
}

TEST(groups_are_of_somebody)
{
	struct wire_name_req m = { .cred = cred(2), .name = slice_str("k") }, got;
	struct sink s = sink_of(scratch, sizeof(scratch));

	wire_name_req_put(&s, &m);
	EXPECT(wire_name_req_get(cur_of(scratch, s.need), &got) == RC_OK);
	EXPECT(slice_is(got.cred.group_user, "ann") && got.cred.groups == 2);
	m.cred.group_user.len = 0;	/* the writer leaves the name out */
	s = sink_of(scratch, sizeof(scratch));
	wire_name_req_put(&s, &m);
	EXPECT(sink_ok(&s) && wire_name_req_get(cur_of(scratch, s.need), &got) != RC_OK);
	m.cred.groups = 0;
	m.cred.group = cur_of("", 0);
	s = sink_of(scratch, sizeof(scratch));
	wire_name_req_put(&s, &m);
	EXPECT(wire_name_req_get(cur_of(scratch, s.need), &got) == RC_OK && got.cred.group_user.len == 0);
	/* A name that is said to be there, and is empty. */
	memmove(scratch + 8, scratch + 6, s.need - 6);
	memset(scratch + 6, 0, 2);
	scratch[0] |= 64;
	EXPECT(wire_name_req_get(cur_of(scratch, s.need + 2), &got) != RC_OK);
}

TEST(an_answer_does_not_claim_what_it_does_not_hold)
{
	uint8_t msg[512], again[512];
	struct wire_ans_head h;
	struct sink out;
	struct wire_ans m;
	size_t n;

	n = sample(&rows[6], 3, msg, sizeof(msg));
	memcpy(&h, msg, sizeof(h));
#define WITH(field, value) \
	do { \
		struct wire_ans_head t = h; \
		t.field = value; \
		memcpy(msg, &t, sizeof(t)); \
		EXPECT(wire_ans_get(cur_of(msg, n), &m) != RC_OK); \
		memcpy(msg, &h, sizeof(h)); \
	} while (0)
	WITH(err, E_COUNT_);
	WITH(err, 0xffff);
	WITH(zero, 1);
	WITH(events, WIRE_EVENTS_MAX + 1);
	WITH(events, 2);
	WITH(events, 4);
	WITH(body_len, h.body_len + 1);
	WITH(body_len, UINT32_MAX);
	WITH(trailer_len, h.trailer_len - 1);
	WITH(trailer_len, UINT32_MAX);
	out = sink_of(again, sizeof(again));
	EXPECT(rt_ans(cur_of(msg, n), &out));
	/* A writer without room says so and leaves the head unwritten. */
	for (n = 0; n < 60; n++) {
		struct wire_ans a = { 0 };

		memset(again, 0xee, sizeof(again));
		out = sink_of(again, n);
		a.user = a.cookie = a.arg = slice_str("0123456789");
		wire_ans_begin(&out);
		EXPECT_INT(wire_ans_end(&out, again, &a), 0);
		EXPECT_INT(again[n], 0xee);
	}
}

TEST(names_of_operations_exist_for_every_number)
{
	unsigned i;

	for (i = 0; i < 300; i++)
		EXPECT(wire_op_name(i) != NULL && wire_keyop_name(i) != NULL);
	EXPECT_STR(wire_op_name(OP_GENERATE_EEK), "GENERATE_EEK");
	EXPECT_STR(wire_keyop_name(KEYOP_ALL), "ALL");
}

TEST(samples_become_seeds_when_asked)
{
	const char *dir = getenv("SVSM_SEEDS");
	uint8_t msg[1024];
	char path[512];
	size_t i;
	int v;

	for (i = 0; dir && i < ARRAY_LEN(rows); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, rows[i].name);
		mkdir(path, 0777);
		for (v = 0; v < 4; v++) {
			size_t n = sample(&rows[i], v, msg, sizeof(msg));
			FILE *f;

			snprintf(path, sizeof(path), "%s/%s/sample-%d", dir, rows[i].name, v);
			f = fopen(path, "wb");
			EXPECT(f != NULL);
			EXPECT(fwrite(msg, 1, n, f) == n);
			fclose(f);
		}
	}
}
