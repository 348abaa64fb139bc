/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operating system's groups are the proxy's word, and of one name: for every kind of credential, and every name whose
 * groups may come with it, they count for nobody but the one whom the core has decided on, neither to permit nor to be left
 * out where a black list names them.
 */
#include "tests/fake/core.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

#define NOW_S (FAKE_WALL / 1000)
#define AES256 18
#define SIGNING "signing-secret"
#define KRB "hadoop.kms.authentication.kerberos."

struct bytes {
	uint8_t b[4096];
	size_t len;
};

static struct core c;
static struct fake_krb krb;
static struct bytes cookie, token, ticket, other;

static struct slice of(const struct bytes *b)
{
	return slice_of(b->b, b->len);
}

static void keep(struct bytes *to, struct slice s)
{
	EXPECT(s.len && s.len <= sizeof(to->b));
	memcpy(to->b, s.p, s.len);
	to->len = s.len;
}

/* As a server that shares the secret would write it. */
static struct slice foreign(struct bytes *to, const char *text)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct crypto *cr = crypto_new();
	struct crypto_mac_key k;
	struct slice part = slice_str(text);
	uint8_t mac[33] = { 0 };
	size_t i, o;

	crypto_mac_key_set(&k, SIGNING, strlen(SIGNING));
	EXPECT(crypto_mac(cr, 0, &k, &part, 1, mac) == RC_OK);
	crypto_free(cr);
	o = (size_t)snprintf((char *)to->b, sizeof(to->b), "%s&s=", text);
	for (i = 0; i < 33; i += 3) {
		uint32_t v = (uint32_t)mac[i] << 16 | (uint32_t)mac[i + 1] << 8 | mac[i + 2];

		to->b[o++] = set[v >> 18];
		to->b[o++] = set[v >> 12 & 63];
		to->b[o++] = set[v >> 6 & 63];
		to->b[o++] = set[v & 63];
	}
	to->b[o - 1] = '=';
	to->len = o;
	return of(to);
}

#define RULES \
	"hadoop.kms.proxyuser.px.users", "*", "hadoop.kms.proxyuser.px.hosts", "*", "hadoop.kms.proxyuser.pg.groups", "staff", \
		"hadoop.kms.proxyuser.pg.hosts", "*", "hadoop.kms.acl.GET_KEYS", " staff", "hadoop.kms.blacklist.GET_METADATA", \
		" banned", "key.acl.k.READ", " staff", "svsm.secret.signature", SIGNING

static void start(bool kerberos, const char *os, const char *mapping)
{
	uint8_t keytab[512] = { 5, 2 };
	size_t len = 2;

	fake_mono = 1000;
	core_start(&c, 0x11);
	fake_krb_init(&krb, AES256, NOW_S);
	krb.client = "ann";
	len += fake_krb_keytab_entry(keytab + 2, sizeof(keytab) - 2, "HTTP/kms.example.com", "EXAMPLE.COM", (uint8_t)krb.kvno,
				     (uint32_t)krb.kvno, AES256, krb.service.b, crypto_krb_key_len(AES256));
	if (kerberos) {
		const char *const list[] = { RULES, "hadoop.kms.authentication.type", "kerberos", KRB "principal",
					     "HTTP/kms.example.com", "svsm.kms.groups.os", os,
					     "hadoop.user.group.static.mapping.overrides", mapping };
		size_t i;

		wire_config_req_put(core_req(&c), ARRAY_LEN(list) / 2 + 1);
		for (i = 0; i < ARRAY_LEN(list); i += 2)
			wire_property_put(&c.out, slice_str(list[i]), slice_str(list[i + 1]));
		wire_property_put(&c.out, slice_str("svsm.secret.keytab"), slice_of(keytab, len));
		EXPECT_INT(core_send(&c, CALL_CONFIG), E_OK);
	} else {
		EXPECT_INT(core_config(&c, RULES, "svsm.kms.groups.os", os, "hadoop.user.group.static.mapping.overrides", mapping,
				       NULL), E_OK);
	}
	EXPECT_INT(core_store_create(&c), E_OK);
}

/* Asks the core who that is, and keeps the cookie. */
static void log_in(const struct wire_cred *cred, struct bytes *to)
{
	struct wire_name_req m = { .cred = *cred, .name = slice_of("", 0) };

	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_OK);	/* nobody's groups are needed for that */
	keep(to, c.ans.cookie);
}

static void log_in_as(const char *user, bool kerberos, struct bytes *to)
{
	struct wire_cred cred = { .has_user = true, .user = slice_str(user) };

	if (kerberos) {
		krb.client = user;
		krb.cusec++;
		ticket.len = fake_krb_token(&krb, ticket.b, sizeof(ticket.b));
		cred = (struct wire_cred){ .has_negotiate = true, .negotiate = of(&ticket), .user = slice_of("", 0) };
	}
	log_in(&cred, to);
}

/* A token of `user`, or of "ann" by `user`. */
static void fetch(const char *user, bool for_ann, bool kerberos, struct bytes *to)
{
	static uint8_t buf[WIRE_TOKEN_MAX];
	struct bytes own;
	struct slice t;

	log_in_as(user, kerberos, &own);
	core_as_cookie(&c, of(&own));
	c.has_do_as = for_ann;
	c.do_as = slice_str("ann");
	c.groups_user = for_ann ? "ann" : user;
	EXPECT_INT(core_dt_get(&c, NULL, buf, &t), E_OK);
	core_commit(&c);
	c.has_do_as = false;
	keep(to, t);
}

/* ---- every kind of credential, of which the core makes "ann" ---- */

static struct wire_cred by_name(bool k)
{
	(void)k;
	return (struct wire_cred){ .has_user = true, .user = slice_str("ann") };
}

static struct wire_cred by_cookie(bool k)
{
	log_in_as("ann", k, &cookie);
	return (struct wire_cred){ .has_cookie = true, .cookie = of(&cookie) };
}

static struct wire_cred by_cookie_beside_a_name(bool k)
{
	struct wire_cred r = by_cookie(k);

	r.has_user = true;
	r.user = slice_str("bob");
	return r;
}

static struct wire_cred by_name_beside_a_bad_cookie(bool k)
{
	struct wire_cred r = by_name(k);

	r.has_cookie = true;
	r.cookie = slice_str("u=bob&p=bob&t=simple-dt&e=9999999999999&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	return r;
}

static struct wire_cred by_foreign_cookie(bool k)
{
	static struct bytes text;

	return (struct wire_cred){ .has_cookie = true, .has_user = true, .user = slice_str("bob"),
				   .cookie = foreign(&text, k ? "p=bob@X&t=kerberos-dt&u=bob&e=9999999999999&u=ann" :
								"p=bob&t=simple-dt&u=bob&e=9999999999999&u=ann") };
}

static struct wire_cred by_token(bool k)
{
	fetch("ann", false, k, &token);
	return (struct wire_cred){ .has_token = true, .token = of(&token) };
}

static struct wire_cred by_token_of_who_acts(bool k)
{
	fetch("px", true, k, &token);
	return (struct wire_cred){ .has_token = true, .token = of(&token) };
}

static struct wire_cred by_token_beside_all(bool k)
{
	struct wire_cred r = by_token(k);

	r.has_do_as = r.has_user = r.has_cookie = true;
	r.do_as = r.user = slice_str("bob");
	r.cookie = slice_str("u=bob&s=x");
	return r;
}

static struct wire_cred by_cookie_beside_a_token(bool k)
{
	struct wire_cred r;

	fetch("bob", false, k, &token);
	r = by_cookie(k);
	r.has_token = true;
	r.token = of(&token);
	return r;
}

static struct wire_cred acted_for(bool k)
{
	log_in_as("px", k, &cookie);
	return (struct wire_cred){ .has_cookie = true, .cookie = of(&cookie), .has_do_as = true, .do_as = slice_str("ann") };
}

static struct wire_cred acted_for_beside_a_token(bool k)
{
	struct wire_cred r = acted_for(k);

	fetch("bob", false, k, &token);
	r.has_token = true;
	r.token = of(&token);
	return r;
}

static struct wire_cred acted_for_in_full(bool k)
{
	struct wire_cred r = acted_for(k);

	r.do_as = slice_str("ann/host.example@EXAMPLE.COM");
	return r;
}

enum where { BOTH, SIMPLE, KERBEROS };
static const struct {
	struct wire_cred (*make)(bool kerberos);
	enum where where;
} kinds[] = {
	{ by_name, SIMPLE }, { by_cookie, BOTH }, { by_cookie_beside_a_name, BOTH }, { by_name_beside_a_bad_cookie, SIMPLE },
	{ by_foreign_cookie, BOTH }, { by_token, BOTH }, { by_token_of_who_acts, BOTH }, { by_token_beside_all, BOTH },
	{ by_cookie_beside_a_token, BOTH }, { acted_for, BOTH }, { acted_for_beside_a_token, BOTH },
	{ acted_for_in_full, KERBEROS },
};
static const char *const named[] = { "ann", "", "bob", "px", "Ann", "an", "annn", "ann@EXAMPLE.COM", "~px", "ann ",
				     "ann/host.example@EXAMPLE.COM", "root" };
static const char *const lists[] = { NULL, "staff", "banned" };

static enum wire_err ask(struct wire_cred cred, enum wire_call call, const char *of_whom, const char *group)
{
	struct wire_name_req m = { .name = slice_str(call == CALL_NAMES ? "" : "none") };
	uint8_t text[64];
	struct sink s = sink_of(text, sizeof(text));

	cred.group_user = slice_str(of_whom);
	if (group && of_whom[0]) {
		sink_str16(&s, slice_str(group));
		cred.groups = 1;
	}
	cred.group = cur_of(text, s.need);
	m.cred = cred;
	wire_name_req_put(core_req(&c), &m);
	return core_send(&c, call);
}

static unsigned cells;

/* os: the setting; mapped: the configuration itself knows ann's groups, and that she has none. */
static void expect(const struct wire_cred *cred, const char *name, const char *group, bool os, bool mapped)
{
	bool his = strcmp(name, "ann") == 0, counts = os && !mapped && his && group;
	enum wire_err names = ask(*cred, CALL_NAMES, name, group);

	cells += 2;
	if (os && !mapped && !his) {
		EXPECT_INT(names, E_GROUPS);
		EXPECT(slice_is(c.ans.arg, "ann") && c.ans.chain.len == 0 && c.ans.body.left == 0 && c.ans.cookie.len == 0);
		EXPECT_INT(ask(*cred, CALL_METADATA, name, group), E_GROUPS);
		EXPECT(c.ans.head.events == 0 && c.ans.chain.len == 0);
		return;
	}
	EXPECT_INT(names, counts && strcmp(group, "staff") == 0 ? E_OK : E_OP_DENIED);
	EXPECT(slice_is(c.ans.user, "ann"));
	EXPECT_INT(ask(*cred, CALL_METADATA, name, group), counts && strcmp(group, "banned") == 0 ? E_OP_DENIED : E_OK);
	EXPECT(slice_is(c.ans.user, "ann"));
}

static void try_all(bool kerberos, bool os, bool mapped)
{
	size_t i, j, l;

	start(kerberos, os ? "true" : "false", mapped ? "ann=;x=y" : "x=y");
	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		struct wire_cred cred;

		if (kinds[i].where == (kerberos ? SIMPLE : KERBEROS))
			continue;
		cred = kinds[i].make(kerberos);
		for (j = 0; j < ARRAY_LEN(named); j++)
			for (l = 0; l < ARRAY_LEN(lists); l++)
				expect(&cred, named[j], lists[l], os, mapped);
	}
	core_stop(&c);
}

TEST(groups_of_another_name_never_count_whatever_shows_who_it_is)
{
	unsigned i;

	cells = 0;
	memset(&c, 0, sizeof(c));
	for (i = 0; i < 8; i++)
		try_all(i & 1, i & 2, i & 4);
	printf("%u questions\n", cells);
	EXPECT(cells > 5000);
}

/* pg may act for who is in staff: that is asked of the groups of the one acted for, not of pg's. */
TEST(whom_one_may_act_for_is_judged_by_that_ones_groups)
{
	struct wire_cred cred = { .has_user = true, .user = slice_str("pg"), .has_do_as = true, .do_as = slice_str("ann") };

	start(false, "true", "");
	EXPECT_INT(ask(cred, CALL_NAMES, "pg", "staff"), E_GROUPS);
	EXPECT(slice_is(c.ans.arg, "ann"));
	EXPECT_INT(ask(cred, CALL_AUTH, "pg", "staff"), E_GROUPS);
	EXPECT_INT(ask(cred, CALL_NAMES, "ann", "banned"), E_DO_AS_DENIED);
	EXPECT_INT(ask(cred, CALL_NAMES, "ann", NULL), E_DO_AS_DENIED);
	EXPECT_INT(ask(cred, CALL_NAMES, "ann", "staff"), E_OK);
	EXPECT(slice_is(c.ans.real, "pg"));
	core_stop(&c);
}

/* A stranger hears 401 before anybody asks for groups; a ticket is never shown twice for their sake. */
TEST(groups_are_asked_of_nobody_but_who_has_shown_who_he_is)
{
	struct wire_cred nobody = { .has_cookie = true, .cookie = slice_str("u=ann&s=x") };
	struct wire_name_req m = { .name = slice_of("", 0) };
	enum wire_call call;

	start(true, "true", "");
	for (call = CALL_ADMIN; call < CALL_COUNT; call++) {
		ask(nobody, call, "", NULL);
		EXPECT(c.err == E_UNAUTHENTICATED || c.err == E_BAD_MESSAGE);
	}
	log_in_as("ann", true, &other);
	m.cred = (struct wire_cred){ .has_cookie = true, .cookie = of(&other) };
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_ADMIN), E_GROUPS);
	core_stop(&c);
}
