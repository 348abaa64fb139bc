/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation tokens: their form, and who may fetch, use, renew and cancel them. What is not one of the core's own, known to
 * it and still good, counts for nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "service/state.h"
#include "tests/fake/core.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

#define SECOND 1000ull
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define DT "hadoop.kms.authentication.delegation-token."
#define OPEN \
	"default.key.acl.MANAGEMENT", "*", "default.key.acl.GENERATE_EEK", "*", "default.key.acl.DECRYPT_EEK", "*", \
		"default.key.acl.READ", "*"
#define INVALID "org.apache.hadoop.security.token.SecretManager$InvalidToken: "
#define DENIED "org.apache.hadoop.security.AccessControlException: "

static uint8_t buf[4][WIRE_TOKEN_MAX];

/* A token of alice that bob may renew, durable; in buf[0]. */
static struct slice alices(struct core *c)
{
	struct slice t = { 0 };

	core_as(c, "alice");
	EXPECT_INT(core_dt_get(c, "bob", buf[0], &t), E_OK);
	core_commit(c);
	return t;
}

static struct wire_dtoken read_token(struct slice t)
{
	struct wire_dtoken d = { 0 };

	EXPECT(wire_dtoken_get(t, &d) == NULL);
	return d;
}

static bool says(struct core *c, const char *text)
{
	bool same = slice_is(c->ans.arg, text);

	if (!same)
		printf("said: %.*s\n", (int)c->ans.arg.len, (const char *)c->ans.arg.p);
	return same;
}

static enum wire_err use(struct core *c, struct slice t)
{
	core_as_token(c, t);
	return core_name(c, CALL_METADATA, "k");
}

/* The text that Hadoop has for an identifier. */
static const char *id_text(struct slice t)
{
	static char out[512];
	struct wire_dtoken_id id = read_token(t).id;

	snprintf(out, sizeof(out),
		 "(kms-dt owner=%.*s, renewer=%.*s, realUser=%.*s, issueDate=%lld, maxDate=%lld, sequenceNumber=%d, "
		 "masterKeyId=%d)",
		 (int)id.owner.len, (const char *)id.owner.p, (int)id.renewer.len, (const char *)id.renewer.p,
		 (int)id.real.len, (const char *)id.real.p, (long long)id.issued, (long long)id.most, id.sequence, id.key);
	return out;
}

static const char *with_id(const char *before, struct slice t, const char *after)
{
	static char out[1024];

	snprintf(out, sizeof(out), "%s%s%s", before, id_text(t), after);
	return out;
}

/* ---- form ---- */

/* Worked out with org.apache.hadoop.io.WritableUtils of Hadoop 3.4.1. */
TEST(numbers_have_hadoops_variable_length)
{
	static const struct {
		int64_t v;
		const char *hex;
	} row[] = {
		{ 0, "00" },		 { 127, "7f" },		 { -112, "90" },
		{ 128, "8f80" },	 { 255, "8fff" },	 { 256, "8e0100" },
		{ -113, "8770" },	 { -256, "87ff" },	 { -257, "860100" },
		{ 1700000000000, "8a018bcfe56800" },		 { INT32_MAX, "8c7fffffff" },
		{ INT64_MAX, "887fffffffffffffff" },		 { INT64_MIN, "807fffffffffffffff" },
	};
	uint8_t want[16], got[16];
	size_t i, n, cut;
	int64_t v;

	for (i = 0; i < ARRAY_LEN(row); i++) {
		struct sink s = sink_of(got, sizeof(got));
		struct cursor c;

		n = core_hex(row[i].hex, want, sizeof(want));
		wire_vlong_put(&s, row[i].v);
		EXPECT_INT(s.need, n);
		EXPECT_MEM(got, want, n);
		c = cur_of(want, n);
		EXPECT(wire_vlong_get(&c, &v) && cur_end(&c) && v == row[i].v);
		for (cut = 0; cut < n; cut++) {
			c = cur_of(want, cut);
			EXPECT(!wire_vlong_get(&c, &v) && c.left == cut);
		}
	}
}

TEST(a_number_that_could_be_shorter_is_refused)
{
	static const char *const hex[] = { "8f7f", "8f00", "8e00ff", "876f", "8700", "8600ff", "8800ffffffffffffff",
					   "88ffffffffffffffff", "80ffffffffffffffff" };
	uint8_t b[16];
	size_t i;
	int64_t v;

	for (i = 0; i < ARRAY_LEN(hex); i++) {
		struct cursor c = cur_of(b, core_hex(hex[i], b, sizeof(b)));

		EXPECT(!wire_vlong_get(&c, &v));
	}
}

/* Made with Hadoop 3.4.1: DelegationTokenIdentifier and Token.encodeToUrlString, password HmacSHA1 under 0102030405060708. */
#define KAT_ID "000468646673047961726e008a018bcfe568008a018bf3f1ec000102"
#define KAT_PASSWORD "f65a21563527f24b8822b8303c077fcafb90d29f"
#define KAT "1c" KAT_ID "14" KAT_PASSWORD "066b6d732d647400"

TEST(a_token_of_hadoop_is_read_and_written_byte_for_byte)
{
	uint8_t token[256], out[256], id[64], password[32];
	size_t n = core_hex(KAT, token, sizeof(token)), nid = core_hex(KAT_ID, id, sizeof(id));
	size_t npw = core_hex(KAT_PASSWORD, password, sizeof(password)), cut;
	struct sink s = sink_of(out, sizeof(out));
	struct wire_dtoken d, other;

	EXPECT(wire_dtoken_get(slice_of(token, n), &d) == NULL);
	EXPECT(slice_is(d.id.owner, "hdfs") && slice_is(d.id.renewer, "yarn") && d.id.real.len == 0);
	EXPECT(d.id.issued == 1700000000000 && d.id.most == 1700604800000 && d.id.sequence == 1 && d.id.key == 2);
	EXPECT(slice_eq(d.identifier, slice_of(id, nid)) && slice_eq(d.password, slice_of(password, npw)));
	wire_dtoken_put(&s, d.identifier, d.password);
	EXPECT_INT(s.need, n);
	EXPECT_MEM(out, token, n);
	s = sink_of(out, sizeof(out));
	wire_dtoken_id_put(&s, &d.id);
	EXPECT_INT(s.need, nid);
	EXPECT_MEM(out, id, nid);
	for (cut = 0; cut < n; cut++) {
		uint8_t *end = malloc(cut + 1), *at = end + 1;	/* ends where its memory ends */

		memcpy(at, token, cut);
		EXPECT(strcmp(wire_dtoken_get(slice_of(at, cut), &other), "java.io.EOFException") == 0);
		free(end);
	}
	token[n] = 0;
	EXPECT(wire_dtoken_get(slice_of(token, n + 1), &other) != NULL);
	EXPECT(wire_dtoken_id_get(slice_of(token, 0), &other.id) != NULL);
}

static const char *fault(const char *hex)
{
	uint8_t b[256];
	struct wire_dtoken d = { 0 };

	return wire_dtoken_get(slice_of(b, core_hex(hex, b, sizeof(b))), &d);
}

TEST(what_is_no_token_is_said_in_hadoops_words)
{
	/* version 1; a sequence number of five bytes; another kind; a negative and a huge length */
	EXPECT(fault("1c01"
		     "0468646673047961726e008a018bcfe568008a018bf3f1ec000102"
		     "0101"
		     "066b6d732d647400") == wire_dtoken_unknown_version);
	EXPECT(strcmp(fault("0d00" "00" "00" "00" "00" "00" "8b0100000000" "02" "0101" "066b6d732d647400"),
		      "java.io.IOException: value too long to fit in integer") == 0);
	EXPECT(strstr(fault("1c" KAT_ID "0101" "066b6d732d646600"), "kind") != NULL);
	EXPECT(strcmp(fault("ff" KAT_ID), "java.io.EOFException") == 0);
	EXPECT(strcmp(fault("80" KAT_ID), "java.io.IOException: value too long to fit in integer") == 0);
	EXPECT(strcmp(fault("8c7fffffff" KAT_ID), "java.io.EOFException") == 0);
	EXPECT(strcmp(fault(""), "java.io.EOFException") == 0);
	EXPECT(strstr(fault("8f1c" KAT_ID "0101" "066b6d732d647400"), "shortest") != NULL);
	EXPECT(strstr(fault("1d" KAT_ID "00" "0101" "066b6d732d647400"), "after") != NULL);
}

/* ---- fetch and use ---- */

TEST(a_token_says_who_fetched_it_and_counts_for_them)
{
	struct core c;
	struct wire_dtoken d;
	struct slice t;

	core_ready(&c);
	core_make(&c, "k", NULL);
	t = alices(&c);
	d = read_token(t);
	EXPECT(slice_is(d.id.owner, "alice") && slice_is(d.id.renewer, "bob") && d.id.real.len == 0);
	EXPECT_INT(d.id.issued, (int64_t)FAKE_WALL);
	EXPECT_INT(d.id.most, (int64_t)(FAKE_WALL + 7 * DAY));
	EXPECT_INT(d.id.key, (int32_t)(FAKE_WALL / DAY));
	EXPECT(d.password.len == 32 && d.service.len == 0 && d.id.sequence > 0);
	EXPECT_INT(use(&c, t), E_OK);
	EXPECT(slice_is(c.ans.user, "alice") && slice_is(c.ans.principal, "alice") && c.ans.real.len == 0);
	EXPECT_INT(c.ans.cookie.len, 0);	/* none is given for a token */
	core_stop(&c);
}

TEST(a_token_counts_only_when_it_is_durable)
{
	struct slice t = { 0 };
	struct core c;
	uint64_t epoch;

	core_ready(&c);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, NULL, buf[0], &t), E_OK);
	EXPECT(slice_is(read_token(t).id.renewer, "alice"));
	EXPECT_INT(use(&c, t), E_TOKEN);
	EXPECT(says(&c, INVALID "Token for real user: , can't be found in cache"));
	EXPECT_INT(core_head(&c, &c.staged.ticket, 1, &epoch), E_OK);
	EXPECT_INT(use(&c, t), E_TOKEN);
	EXPECT_INT(core_abort(&c, epoch, NULL, 0), E_OK);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_stop(&c);
}

TEST(no_byte_of_a_token_can_be_changed)
{
	struct slice t;
	struct core c;
	size_t i, n;
	unsigned bit;

	core_ready(&c);
	t = alices(&c);
	n = t.len - 1;	/* the last byte is the service's length, which is the client's to set */
	for (i = 0; i < n; i++)
		for (bit = 0; bit < 8; bit++) {
			memcpy(buf[1], t.p, t.len);
			buf[1][i] ^= (uint8_t)(1 << bit);
			EXPECT_INT(use(&c, slice_of(buf[1], t.len)), E_TOKEN);
			EXPECT_INT(c.ans.user.len, 0);
			core_as(&c, "bob");
			EXPECT_INT(core_dt_renew(&c, slice_of(buf[1], t.len), &(uint64_t){ 0 }), E_TOKEN_DENIED);
			core_as_cookie(&c, slice_of("", 0));
			(void)core_dt_cancel(&c, slice_of(buf[1], t.len));
			EXPECT(c.err == E_TOKEN || c.err == E_TOKEN_DENIED);
		}
	for (i = 0; i < t.len; i++)
		EXPECT_INT(use(&c, slice_of(t.p, i)), E_TOKEN);
	memcpy(buf[1], t.p, t.len);
	buf[1][n] = 3;	/* a service, as a client sets it */
	memcpy(buf[1] + t.len, "kms", 3);
	EXPECT_INT(use(&c, slice_of(buf[1], t.len + 3)), E_OK);
	EXPECT_INT(use(&c, t), E_OK);
	core_stop(&c);
}

TEST(a_password_of_the_wrong_length_never_fits)
{
	uint8_t out[WIRE_TOKEN_MAX];
	struct wire_dtoken d;
	struct core c;
	struct slice t;
	size_t n;

	core_ready(&c);
	t = alices(&c);
	d = read_token(t);
	for (n = 0; n <= 33; n++) {
		uint8_t pw[64] = { 0 };
		struct sink s = sink_of(out, sizeof(out));

		memcpy(pw, d.password.p, 32);
		wire_dtoken_put(&s, d.identifier, slice_of(pw, n));
		EXPECT_INT(use(&c, slice_of(out, s.need)), n == 32 ? E_OK : E_TOKEN);
		if (n != 32)
			EXPECT(says(&c, with_id(INVALID "token ", t, " is invalid, password doesn't match")));
	}
	core_stop(&c);
}

TEST(a_token_is_of_one_core_and_its_store)
{
	struct core c, d;
	struct slice t;

	core_ready(&c);
	core_ready(&d);
	t = alices(&c);
	EXPECT_INT(use(&d, t), E_TOKEN);
	EXPECT(says(&d, INVALID "Token for real user: , can't be found in cache"));
	core_as(&d, "bob");
	EXPECT_INT(core_dt_renew(&d, t, &(uint64_t){ 0 }), E_TOKEN_DENIED);
	EXPECT(says(&d, with_id(DENIED "bob is trying to renew a token ", t, " with wrong password")));
	memcpy(buf[1], t.p, t.len);
	buf[1][t.p[0]] ^= 1; /* the last byte of the identifier: the number of the master key */
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, slice_of(buf[1], t.len), &(uint64_t){ 0 }), E_TOKEN_DENIED);
	EXPECT(slice_starts(c.ans.arg, INVALID
			    "Unable to find master key for keyId=19674 from cache. Failed to renew an "
			    "unexpired token (kms-dt owner=alice"));
	core_stop(&d);
	core_stop(&c);
}

/* OPEN under Kerberos, with keys for the server that no ticket is ever made for. */
static enum wire_err under_kerberos(struct core *c)
{
	static const char *const list[] = { OPEN, "hadoop.kms.authentication.type", "kerberos",
					    "hadoop.kms.authentication.kerberos.principal", "HTTP/kms.example.com" };
	static const uint8_t key[32];
	uint8_t keytab[512] = { 5, 2 };
	size_t len = 2, i;

	len += fake_krb_keytab_entry(keytab + 2, sizeof(keytab) - 2, "HTTP/kms.example.com", "EXAMPLE.COM", 1, 1, 18, key,
				     sizeof(key));
	wire_config_req_put(core_req(c), ARRAY_LEN(list) / 2 + 1);
	for (i = 0; i < ARRAY_LEN(list); i += 2)
		wire_property_put(&c->out, slice_str(list[i]), slice_str(list[i + 1]));
	wire_property_put(&c->out, slice_str("svsm.secret.keytab"), slice_of(keytab, len));
	return core_send(c, CALL_CONFIG);
}

/* Type simple believes names: what anybody could fetch in any name is none where names are to be proven. */
TEST(a_token_of_type_simple_is_nobodys_under_kerberos)
{
	static const char *const simple[] = { OPEN, "hadoop.kms.authentication.type", "simple", NULL };
	struct slice t;
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_config_list(&c, simple), E_OK);
	t = alices(&c);
	EXPECT_INT(use(&c, t), E_OK);
	EXPECT_INT(under_kerberos(&c), E_OK);
	EXPECT_INT(use(&c, t), E_TOKEN);
	EXPECT(c.ans.user.len == 0 && c.ans.cookie.len == 0);
	EXPECT_INT(core_dt_cancel(&c, t), E_TOKEN);
	EXPECT_INT(core_config_list(&c, simple), E_OK);
	EXPECT_INT(use(&c, t), E_OK);		/* it was not harmed */
	core_stop(&c);
}

/* dtoken.h; jobs go on with what they fetched from a build that knew no other kind. */
TEST(a_tokens_password_under_kerberos_is_what_it_always_was)
{
	static const uint8_t nobody[32];
	struct crypto_mac_key master = { 0 };
	uint8_t key[32], password[32];
	struct wire_dtoken d;
	struct slice t;
	struct core c;
	uint32_t n;

	core_ready(&c);
	t = alices(&c);
	d = read_token(t);
	n = (uint32_t)d.id.key;
	EXPECT_INT(crypto_mac(c.w->crypto, MAC_TOKEN_ROOT, &c.svc->store.key_token,
			      (struct slice[]){ slice_str("master key"), slice_of(nobody, 32), slice_of(&n, 4) }, 3, key),
		   RC_OK);
	crypto_mac_key_set(&master, key, sizeof(key));
	EXPECT_INT(crypto_mac(c.w->crypto, MAC_TOKEN, &master, &d.identifier, 1, password), RC_OK);
	EXPECT_INT(d.password.len, sizeof(password));
	memcpy(buf[0] + (d.password.p - t.p), password, sizeof(password));
	EXPECT_INT(under_kerberos(&c), E_OK);
	EXPECT_INT(use(&c, t), E_OK);
	core_stop(&c);
}

TEST(a_token_is_not_what_one_asks_for_a_token_with)
{
	struct slice t, u = { 0 };
	struct core c;

	core_ready(&c);
	t = alices(&c);
	core_as_token(&c, t);
	EXPECT_INT(core_dt_get(&c, "bob", buf[1], &u), E_UNAUTHENTICATED);
	EXPECT_INT(core_dt_renew(&c, t, &(uint64_t){ 0 }), E_UNAUTHENTICATED);
	c.has_user = true;	/* beside a name, the name counts */
	c.user = slice_str("carol");
	EXPECT_INT(core_dt_get(&c, "bob", buf[1], &u), E_OK);
	EXPECT(slice_is(read_token(u).id.owner, "carol"));
	core_stop(&c);
}

TEST(a_good_cookie_counts_before_a_token_and_a_bad_token_before_a_name)
{
	char cookie[WIRE_COOKIE_MAX];
	struct slice t;
	struct core c;
	size_t n;

	core_ready(&c);
	core_make(&c, "k", NULL);
	t = alices(&c);
	core_as(&c, "carol");
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	n = c.ans.cookie.len;
	memcpy(cookie, c.ans.cookie.p, n);
	core_as_token(&c, t);
	c.has_cookie = true;
	c.cookie = slice_of(cookie, n);
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	EXPECT(slice_is(c.ans.user, "carol"));
	c.token = slice_str("none");
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	c.cookie.len--;
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_TOKEN);
	c.token = t;
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_OK);
	EXPECT(slice_is(c.ans.user, "alice"));
	c.has_cookie = false;
	c.has_user = true;
	c.user = slice_str("root");
	c.token = slice_str("");
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_TOKEN);
	EXPECT(says(&c, "java.io.EOFException"));
	core_stop(&c);
}

TEST(rights_are_the_owners)
{
	struct core c;
	struct slice t;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.acl.GET_METADATA", "carol", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	t = alices(&c);
	EXPECT_INT(use(&c, t), E_OP_DENIED);
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.acl.GET_METADATA", "alice", NULL), E_OK);
	EXPECT_INT(use(&c, t), E_OK);
	core_stop(&c);
}

TEST(a_renewer_is_a_short_name_and_a_name_at_all)
{
	static const struct {
		const char *given, *kept;	/* NULL: refused */
	} row[] = {
		{ "yarn", "yarn" }, { "yarn/host@REALM", "yarn" }, { "yarn@REALM", "yarn" },
		{ "a\nb", NULL },   { "a\x7f", NULL },		   { "", "" },
	};
	static char many[601];
	struct slice t = { 0 };
	struct core c;
	size_t i;

	core_ready(&c);
	core_as(&c, "alice");
	for (i = 0; i < ARRAY_LEN(row); i++) {
		EXPECT_INT(core_dt_get(&c, row[i].given, buf[0], &t), row[i].kept ? E_OK : E_TOKEN_DENIED);
		if (row[i].kept)
			EXPECT(slice_is(read_token(t).id.renewer, row[i].kept));
	}
	memset(many, 'x', 600);
	EXPECT_INT(core_dt_get(&c, many, buf[0], &t), E_TOKEN_DENIED);
	many[512] = 0;
	EXPECT_INT(core_dt_get(&c, many, buf[0], &t), E_OK);
	core_as(&c, many);
	EXPECT_INT(core_dt_get(&c, many, buf[0], &t), E_TOKEN_DENIED);	/* too long together */
	core_stop(&c);
}

TEST(who_acts_for_somebody_gets_a_token_in_that_name)
{
	struct slice t = { 0 };
	struct core c;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, "hadoop.kms.proxyuser.alice.users", "dave", "hadoop.kms.proxyuser.alice.hosts", "*",
			       "hadoop.kms.acl.GET_METADATA", "~alice", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	core_as(&c, "alice");
	c.has_do_as = true;
	c.do_as = slice_str("erin");
	EXPECT_INT(core_dt_get(&c, "bob", buf[0], &t), E_DO_AS_DENIED);
	c.do_as = slice_str("dave");
	EXPECT_INT(core_dt_get(&c, "bob", buf[0], &t), E_OK);
	core_commit(&c);
	EXPECT(slice_is(read_token(t).id.owner, "dave") && slice_is(read_token(t).id.real, "alice"));
	c.do_as = slice_str("erin");	/* beside a token it does not count */
	EXPECT_INT(use(&c, t), E_OK);
	EXPECT(slice_is(c.ans.user, "dave") && slice_is(c.ans.real, "alice"));
	c.has_do_as = false;
	EXPECT_INT(use(&c, t), E_OK);	/* by "~alice" */
	svc_time(c.svc, FAKE_WALL + DAY + 1);
	EXPECT_INT(use(&c, t), E_TOKEN);
	EXPECT(memmem(c.ans.arg.p, c.ans.arg.len, "Token alice has expired", 23));
	core_stop(&c);
}

/* ---- time ---- */

TEST(a_token_ends_when_it_is_not_renewed_and_renewal_has_an_end)
{
	struct slice t;
	struct core c;
	uint64_t until, i;

	core_ready(&c);
	t = alices(&c);
	svc_time(c.svc, FAKE_WALL + DAY);	/* to the millisecond */
	EXPECT_INT(use(&c, t), E_OK);
	svc_time(c.svc, FAKE_WALL + DAY + 1);
	EXPECT_INT(use(&c, t), E_TOKEN);
	EXPECT(says(&c, INVALID "Token  has expired, current time: 2023-11-15 22:13:20,001+0000 expected renewal time: "
				"2023-11-15 22:13:20,000+0000"));
	core_as(&c, "bob");
	for (i = 1; i < 7; i++) {	/* late, but in time */
		svc_time(c.svc, FAKE_WALL + i * DAY + 5);
		EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
		EXPECT_INT(until, i == 6 ? FAKE_WALL + 7 * DAY : FAKE_WALL + (i + 1) * DAY + 5);
		core_commit(&c);
		EXPECT_INT(use(&c, t), E_OK);
		core_as(&c, "bob");
	}
	svc_time(c.svc, FAKE_WALL + 7 * DAY);
	EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
	EXPECT_INT(until, FAKE_WALL + 7 * DAY);
	core_commit(&c);
	EXPECT_INT(use(&c, t), E_OK);
	svc_time(c.svc, FAKE_WALL + 7 * DAY + 1);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, t, &until), E_TOKEN_DENIED);
	EXPECT(says(&c, with_id(INVALID "bob tried to renew an expired token ", t,
				" max expiration date: 2023-11-21 22:13:20,000+0000 currentTime: 2023-11-21 "
				"22:13:20,001+0000")));
	core_stop(&c);
}

TEST(time_that_is_told_backwards_brings_no_token_back)
{
	struct slice t;
	struct core c;

	core_ready(&c);
	t = alices(&c);
	svc_time(c.svc, FAKE_WALL + 2 * DAY);
	svc_time(c.svc, FAKE_WALL);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_stop(&c);
}

TEST(dates_are_written_as_java_writes_them)
{
	/* date -u -d @SECONDS; leap days, ends of years */
	static const struct {
		uint64_t ms;
		const char *text;
	} row[] = {
		{ 1709164799999, "2024-02-28 23:59:59,999+0000" }, { 1709164800000, "2024-02-29 00:00:00,000+0000" },
		{ 1709251200000, "2024-03-01 00:00:00,000+0000" }, { 1735689599001, "2024-12-31 23:59:59,001+0000" },
		{ 1735689600000, "2025-01-01 00:00:00,000+0000" }, { 1740787200000, "2025-03-01 00:00:00,000+0000" },
		{ 4107542400000, "2100-03-01 00:00:00,000+0000" }, { 253402300799000, "9999-12-31 23:59:59,000+0000" },
	};
	struct slice t;
	struct core c;
	size_t i;
	char want[128];

	core_ready(&c);
	t = alices(&c);
	for (i = 0; i < ARRAY_LEN(row); i++) {
		svc_time(c.svc, row[i].ms);
		EXPECT_INT(use(&c, t), E_TOKEN);
		snprintf(want, sizeof(want), "current time: %s expected", row[i].text);
		EXPECT(memmem(c.ans.arg.p, c.ans.arg.len, want, strlen(want)));
	}
	core_stop(&c);
}

TEST(master_keys_roll_and_old_tokens_go_on)
{
	struct slice t, u = { 0 };
	struct core c;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, DT "update-interval.sec", "60", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	t = alices(&c);
	EXPECT_INT(read_token(t).id.key, FAKE_WALL / (60 * SECOND));
	svc_time(c.svc, FAKE_WALL + HOUR);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, "bob", buf[1], &u), E_OK);
	core_commit(&c);
	EXPECT_INT(read_token(u).id.key, read_token(t).id.key + 60);
	EXPECT(read_token(u).id.sequence > read_token(t).id.sequence);
	EXPECT_INT(use(&c, t), E_OK);
	EXPECT_INT(use(&c, u), E_OK);
	EXPECT_INT(use(&c, t), E_OK);
	EXPECT_INT(core_config(&c, OPEN, DT "update-interval.sec", "1", NULL), E_OK);
	EXPECT_INT(use(&c, t), E_OK);
	svc_time(c.svc, 253402300799000);	/* the number stays a positive int */
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, "bob", buf[2], &u), E_OK);
	EXPECT(read_token(u).id.key >= 0);
	core_stop(&c);
}

TEST(intervals_are_those_of_the_configuration)
{
	static const char *const bad[] = { "0", "-1", "x", "", "1000000001" };
	struct slice t;
	struct core c;
	uint64_t until;
	size_t i;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, DT "max-lifetime.sec", "100", DT "renew-interval.sec", "30", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	t = alices(&c);
	EXPECT_INT(read_token(t).id.most, FAKE_WALL + 100 * SECOND);
	core_as(&c, "bob");
	svc_time(c.svc, FAKE_WALL + 10 * SECOND);
	EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
	EXPECT_INT(until, FAKE_WALL + 40 * SECOND);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT_INT(core_config(&c, DT "max-lifetime.sec", bad[i], NULL), E_CONFIG);
		EXPECT_INT(core_config(&c, DT "renew-interval.sec", bad[i], NULL), E_CONFIG);
		EXPECT_INT(core_config(&c, DT "update-interval.sec", bad[i], NULL), E_CONFIG);
		EXPECT_INT(core_config(&c, "svsm.kms.delegation-token.max-per-user", bad[i], NULL), E_CONFIG);
	}
	core_stop(&c);
}

/* ---- renew ---- */

TEST(only_the_renewer_renews)
{
	struct slice t, u = { 0 };
	struct core c;
	uint64_t until;

	core_ready(&c);
	t = alices(&c);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_renew(&c, t, &until), E_TOKEN_DENIED);
	EXPECT(says(&c, with_id(DENIED "alice tries to renew a token ", t, " with non-matching renewer bob")));
	EXPECT_INT(core_dt_get(&c, "", buf[1], &u), E_OK);
	core_commit(&c);
	EXPECT_INT(core_dt_renew(&c, u, &until), E_TOKEN_DENIED);
	EXPECT(says(&c, with_id(DENIED "alice tried to renew a token ", u, " without a renewer")));
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, slice_str("none"), &until), E_TOKEN_DENIED);
	EXPECT(says(&c, "java.io.EOFException"));
	EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
	EXPECT_INT(core_dt_renew(&c, t, &until), E_BUSY);	/* until the first is durable */
	core_commit(&c);
	EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
	core_stop(&c);
}

TEST(a_renewal_that_is_given_up_changes_nothing)
{
	struct slice t;
	struct core c;
	uint64_t until, ticket;

	core_ready(&c);
	t = alices(&c);
	core_as(&c, "bob");
	svc_time(c.svc, FAKE_WALL + HOUR);
	EXPECT_INT(core_dt_renew(&c, t, &until), E_OK);
	ticket = c.staged.ticket;
	EXPECT_INT(core_abort(&c, 0, &ticket, 1), E_OK);
	svc_time(c.svc, FAKE_WALL + DAY + 1);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_stop(&c);
}

/* ---- cancel ---- */

static void as_cookie_of(struct core *c, const char *user)
{
	static char cookie[WIRE_COOKIE_MAX];

	core_as(c, user);
	EXPECT_INT(core_name(c, CALL_AUTH, ""), E_OK);
	memcpy(cookie, c->ans.cookie.p, c->ans.cookie.len);
	core_as_cookie(c, slice_of(cookie, c->ans.cookie.len));
}

TEST(owner_and_renewer_cancel_by_cookie_and_nobody_else_does)
{
	static const char *const may[] = { "alice", "bob" };
	struct slice t;
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(may); i++) {
		t = alices(&c);
		as_cookie_of(&c, "carol");
		EXPECT_INT(core_dt_cancel(&c, t), E_TOKEN_DENIED);
		EXPECT(says(&c, with_id(DENIED "carol is not authorized to cancel the token ", t, "")));
		as_cookie_of(&c, may[i]);
		EXPECT_INT(core_dt_cancel(&c, t), E_OK);
		EXPECT_INT(core_dt_cancel(&c, t), E_BUSY);
		core_commit(&c);
		EXPECT_INT(core_dt_cancel(&c, t), E_TOKEN_DENIED);
		EXPECT(says(&c, with_id(INVALID "Token not found ", t, "")));
		EXPECT_INT(use(&c, t), E_TOKEN);
		EXPECT(says(&c, INVALID "Token for real user: , can't be found in cache"));
		core_as(&c, "bob");
		EXPECT_INT(core_dt_renew(&c, t, &(uint64_t){ 0 }), E_TOKEN_DENIED);
		EXPECT(says(&c, with_id(INVALID "Renewal request for unknown token ", t, "")));
	}
	core_stop(&c);
}

TEST(without_a_cookie_whoever_holds_a_good_token_cancels_it)
{
	struct slice t, u = { 0 };
	struct core c;

	core_ready(&c);
	t = alices(&c);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, "bob", buf[2], &u), E_OK);
	core_commit(&c);
	memcpy(buf[1], t.p, t.len);
	buf[1][t.len - 10] ^= 1;	/* in the password */
	c.has_user = false;
	EXPECT_INT(core_dt_cancel(&c, slice_of(buf[1], t.len)), E_TOKEN);
	core_as(&c, "carol");	/* a name is not looked at */
	EXPECT_INT(core_dt_cancel(&c, t), E_OK);
	EXPECT(slice_is(c.ans.user, "alice"));
	core_commit(&c);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_as_cookie(&c, slice_str("u=carol"));
	svc_time(c.svc, FAKE_WALL + DAY + 1);
	EXPECT_INT(core_dt_cancel(&c, u), E_TOKEN);	/* its time is over: only a cookie cancels it */
	as_cookie_of(&c, "alice");
	EXPECT_INT(core_dt_cancel(&c, u), E_OK);
	core_stop(&c);
}

/* What was staged for an answer that then did not fit would block the token, and a place among the changes, for ever. */
TEST(a_long_cookie_that_does_not_count_leaves_no_cancelled_token_half_done)
{
	char cookie[WIRE_COOKIE_MAX + 1];
	struct wire_status st;
	struct slice t;
	struct core c;

	core_ready(&c);
	t = alices(&c);
	memset(cookie, 'x', WIRE_COOKIE_MAX);
	cookie[WIRE_COOKIE_MAX] = 0;
	core_as_cookie(&c, slice_str(cookie));
	c.room = CALL_PAGE;
	if (core_dt_cancel(&c, t) == E_TOO_BIG) {
		EXPECT_INT(core_status(&c, &st), E_OK);
		EXPECT_INT(st.pending, 0);
		c.room = CALL_LARGE_LEN;
		EXPECT_INT(core_dt_cancel(&c, t), E_OK);
	}
	EXPECT_INT(c.err, E_OK);
	EXPECT_INT(c.ans.arg.len, 0);
	core_commit(&c);
	EXPECT_INT(use(&c, t), E_TOKEN);
	core_stop(&c);
}

/* ---- number ---- */

TEST(a_user_has_so_many_tokens_and_no_more)
{
	struct slice t = { 0 }, first = { 0 };
	struct core c, d;
	size_t i;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, "svsm.kms.delegation-token.max-per-user", "3", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	first = alices(&c);
	alices(&c);
	first = slice_of(buf[0], first.len);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, NULL, buf[1], &t), E_OK);	/* staged ones count */
	EXPECT_INT(core_dt_get(&c, NULL, buf[2], &t), E_FULL);
	EXPECT_INT(c.ans.head.num[0], LIMIT_TOKENS);
	EXPECT_INT(c.ans.head.num[1], 3);
	for (i = 1; i < 10; i++)	/* the one that is staged, whatever its number */
		EXPECT_INT(core_abort(&c, 0, &(uint64_t){ i }, 1), E_OK);
	EXPECT_INT(core_dt_get(&c, NULL, buf[1], &t), E_OK);
	core_commit(&c);
	EXPECT_INT(core_dt_get(&c, NULL, buf[2], &t), E_FULL);
	core_as(&c, "bob");	/* others have their own */
	EXPECT_INT(core_dt_get(&c, NULL, buf[2], &t), E_OK);
	core_commit(&c);
	/* The same after a restart, and after a cancel there is room again. */
	core_start(&d, 0x11);
	EXPECT_INT(core_config(&d, OPEN, "svsm.kms.delegation-token.max-per-user", "3", NULL), E_OK);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	fake_store_copy(&d.store, &c.store);
	core_as(&d, "alice");
	EXPECT_INT(core_dt_get(&d, NULL, buf[2], &t), E_FULL);
	core_as_cookie(&d, slice_of("", 0));
	EXPECT_INT(core_dt_cancel(&d, first), E_OK);
	core_commit(&d);
	core_as(&d, "alice");
	EXPECT_INT(core_dt_get(&d, NULL, buf[2], &t), E_OK);
	core_commit(&d);
	EXPECT_INT(core_dt_get(&d, NULL, buf[2], &t), E_FULL);
	core_stop(&d);
	core_stop(&c);
}

TEST(tokens_are_bounded_by_the_memory_for_keys)
{
	struct slice t = { 0 };
	struct core c;
	unsigned n = 0;

	core_start(&c, 0x11);
	EXPECT_INT(core_config(&c, OPEN, "svsm.kms.core.memory.max", "2000", NULL), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	core_as(&c, "alice");
	while (n < 100 && core_dt_get(&c, NULL, buf[0], &t) == E_OK) {
		core_commit(&c);
		n++;
	}
	EXPECT(n > 3 && n < 20);
	EXPECT_INT(c.err, E_FULL);
	EXPECT_INT(c.ans.head.num[0], LIMIT_MEMORY);
	core_stop(&c);
}

/* ---- removal ---- */

static uint32_t expire(struct core *c, uint64_t from, uint64_t *next)
{
	uint64_t ticket[64], epoch;
	uint32_t count = 0, i;
	struct wire_staged st;

	sink_le64(core_req(c), from);
	EXPECT_INT(core_send(c, CALL_DT_EXPIRE), E_OK);
	EXPECT(cur_le64(&c->ans.body, next) && cur_le32(&c->ans.body, &count) && count <= ARRAY_LEN(ticket));
	for (i = 0; i < count; i++) {
		int at;

		EXPECT(wire_staged_next(&c->ans.body, &st) && st.remove);
		ticket[i] = st.ticket;
		at = fake_store_find(&c->store, st.id);
		EXPECT(at >= 0);
		fake_store_remove(&c->store, (size_t)at);
	}
	EXPECT(cur_end(&c->ans.body));
	EXPECT_INT(core_head(c, ticket, count, &epoch), E_OK);
	EXPECT_INT(core_commit_epoch(c, epoch), E_OK);
	return count;
}

TEST(tokens_whose_time_is_over_are_removed_and_no_others)
{
	struct slice t = { 0 }, kept;
	struct wire_status st;
	struct core c, d;
	uint64_t next, from = 0;
	unsigned i, gone = 0, calls = 0;

	core_ready(&c);
	core_make(&c, "k", NULL);
	kept = alices(&c);
	core_as(&c, "alice");
	for (i = 0; i < 150; i++) {
		EXPECT_INT(core_dt_get(&c, "bob", buf[1], &t), E_OK);
		core_commit(&c);
	}
	EXPECT_INT(expire(&c, 0, &next), 0);
	EXPECT_INT(next, 0);
	svc_time(c.svc, FAKE_WALL + HOUR);
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, kept, &(uint64_t){ 0 }), E_OK);
	core_commit(&c);
	svc_time(c.svc, FAKE_WALL + DAY + 1);
	/* One with a renewal under way is left alone. */
	EXPECT_INT(core_dt_renew(&c, t, &(uint64_t){ 0 }), E_OK);
	do {
		gone += expire(&c, from, &next);
		from = next;
	} while (next && ++calls < 10);
	EXPECT_INT(gone, 149);
	EXPECT_INT(calls, 2);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT(st.tokens == 2 && st.keys == 1);
	EXPECT_INT(use(&c, kept), E_OK);
	core_start(&d, 0x11);
	EXPECT_INT(core_config_list(&d, core_open_acls), E_OK);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(core_status(&d, &st), E_OK);
	EXPECT_INT(st.tokens, 2);
	core_stop(&d);
	sink_le64(core_req(&c), 0);
	sink_u8(&c.out, 0);
	EXPECT_INT(core_send(&c, CALL_DT_EXPIRE), E_BAD_MESSAGE);
	core_stop(&c);
}

/* ---- restart and the store ---- */

static enum wire_err reopen(struct core *d, struct fake_store *s, uint64_t wall)
{
	core_start(d, 0x11);
	svc_time(d->svc, wall);
	EXPECT_INT(core_config_list(d, core_open_acls), E_OK);
	return core_store_open(d, s);
}

TEST(tokens_survive_a_restart_and_cancelled_ones_do_not)
{
	struct slice t, u = { 0 };
	struct fake_store before;
	struct core c, d;
	uint64_t until;

	core_ready(&c);
	t = alices(&c);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, "bob", buf[1], &u), E_OK);
	core_commit(&c);
	fake_store_copy(&before, &c.store);
	core_as_cookie(&c, slice_of("", 0));
	EXPECT_INT(core_dt_cancel(&c, u), E_OK);	/* staged, then the core dies: not done, and not said to be */
	EXPECT_INT(reopen(&d, &before, FAKE_WALL), E_OK);
	EXPECT_INT(use(&d, u), E_OK);
	core_stop(&d);
	core_commit(&c);
	EXPECT_INT(reopen(&d, &c.store, FAKE_WALL), E_OK);
	EXPECT_INT(use(&d, u), E_TOKEN);
	EXPECT_INT(use(&d, t), E_OK);
	fake_store_copy(&d.store, &c.store);
	core_as(&d, "bob");
	EXPECT_INT(core_dt_renew(&d, t, &until), E_OK);
	core_commit(&d);
	core_as(&d, "alice");
	EXPECT_INT(core_dt_get(&d, "bob", buf[2], &u), E_OK);
	EXPECT(read_token(u).id.sequence > read_token(t).id.sequence);
	core_stop(&d);
	fake_store_free(&before);
	core_stop(&c);
}

TEST(a_renewal_survives_a_restart)
{
	struct slice t;
	struct core c, d;

	core_ready(&c);
	t = alices(&c);
	svc_time(c.svc, FAKE_WALL + HOUR);
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, t, &(uint64_t){ 0 }), E_OK);
	core_commit(&c);
	EXPECT_INT(reopen(&d, &c.store, FAKE_WALL + DAY + HOUR), E_OK);
	EXPECT_INT(use(&d, t), E_OK);
	svc_time(d.svc, FAKE_WALL + DAY + HOUR + 1);
	EXPECT_INT(use(&d, t), E_TOKEN);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_cancelled_or_older_token_record_that_is_put_back_is_found_out)
{
	struct fake_store old, s;
	struct slice t;
	struct core c, d;
	uint8_t id[WIRE_ID_LEN];
	int at;

	core_ready(&c);
	core_make(&c, "k", NULL);
	t = alices(&c);
	memcpy(id, c.staged.id, sizeof(id));
	fake_store_copy(&old, &c.store);
	at = fake_store_find(&old, id);
	EXPECT(at >= 0 && old.rec[at].p[1] == KIND_TOKEN);

	fake_store_copy(&s, &c.store);
	s.rec[at].p[1] = KIND_KEY;
	EXPECT_INT(reopen(&d, &s, FAKE_WALL), E_RECORD);
	core_stop(&d);
	fake_store_free(&s);

	svc_time(c.svc, FAKE_WALL + HOUR);
	core_as(&c, "bob");
	EXPECT_INT(core_dt_renew(&c, t, &(uint64_t){ 0 }), E_OK);
	core_commit(&c);
	fake_store_copy(&s, &c.store);
	fake_store_put(&s, id, slice_of(old.rec[at].p, old.rec[at].len));
	EXPECT_INT(reopen(&d, &s, FAKE_WALL), E_SET);
	EXPECT_INT(use(&d, t), E_NOT_READY);
	core_stop(&d);
	fake_store_free(&s);

	core_as_cookie(&c, slice_of("", 0));
	EXPECT_INT(core_dt_cancel(&c, t), E_OK);
	core_commit(&c);
	fake_store_copy(&s, &c.store);
	fake_store_put(&s, id, slice_of(old.rec[at].p, old.rec[at].len));
	EXPECT_INT(reopen(&d, &s, FAKE_WALL), E_COUNT);
	core_stop(&d);
	fake_store_remove(&s, (size_t)fake_store_find(&s, id));
	EXPECT_INT(reopen(&d, &s, FAKE_WALL), E_OK);
	core_stop(&d);
	fake_store_free(&s);
	fake_store_free(&old);
	core_stop(&c);
}

TEST(no_token_without_configuration_or_store)
{
	struct slice t = { 0 };
	struct core c;

	core_start(&c, 0x11);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_get(&c, NULL, buf[0], &t), E_NO_CONFIG);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	EXPECT_INT(core_dt_get(&c, NULL, buf[0], &t), E_NOT_READY);
	core_as_token(&c, slice_str("x"));
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_NOT_READY);
	core_stop(&c);
}
