/* SPDX-License-Identifier: Apache-2.0 */
/* From HTTP requests to messages for the service: what is written can be read, what is wrong is noted. */
#include "tests/proxy/rest_help.h"
#include "tests/test.h"

#define JSON "Content-Type: application/json\r\n"

/* headers: lines with CR LF, or "". */
static struct rest *ask(const char *method, const char *target, const char *headers, const char *body)
{
	char text[65536];
	int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s", method, target,
			 headers, strlen(body), body);

	EXPECT(n > 0 && (size_t)n < sizeof(text));
	return rest_new((const uint8_t *)text, (size_t)n);
}

static void expect_call(struct rest *t, enum wire_call call)
{
	EXPECT(t->parsed == HTTP_DONE && t->slot && t->fits);
	EXPECT_INT(t->work.refusal.status, 0);
	EXPECT_INT(t->work.call, call);
	EXPECT(rest_read_back(t) == RC_OK);
}

static void expect_refusal(struct rest *t, unsigned status)
{
	EXPECT(t->parsed == HTTP_DONE && t->slot && t->fits);
	EXPECT_INT(t->work.refusal.status, status);
	EXPECT(rest_read_back(t) == RC_OK);
	rest_free(t);
}

static const struct {
	const char *method, *target, *body;
	enum wire_call call;
} good[] = {
	{ "OPTIONS", "/kms/v1/?user.name=a", "", CALL_AUTH },
	{ "GET", "/kms/v1/?op=GETDELEGATIONTOKEN&renewer=r&user.name=a", "", CALL_DT_GET },
	{ "PUT", "/kms/v1/?op=renewDelegationToken&token=YWJj&user.name=a", "", CALL_DT_RENEW },
	{ "PUT", "/kms/v1/?op=CANCELDELEGATIONTOKEN&token=YWJj", "", CALL_DT_CANCEL },
	{ "POST", "/kms/v1/keys?user.name=a", "{\"name\":\"k\"}", CALL_CREATE },
	{ "POST", "/svsm/v1/import?user.name=a",
	  "{\"name\":\"k\",\"versions\":[{\"versionName\":\"k@0\",\"material\":\"AAAA\"}]}", CALL_IMPORT },
	{ "POST", "/kms/v1/key/k?user.name=a", "{}", CALL_ROLL },
	{ "DELETE", "/kms/v1/key/k?user.name=a", "", CALL_DELETE },
	{ "POST", "/kms/v1/key/k/_invalidatecache?user.name=a", "", CALL_INVALIDATE },
	{ "GET", "/kms/v1/keys/names?user.name=a", "", CALL_NAMES },
	{ "GET", "/kms/v1/keys/metadata?user.name=a&key=x&key=y", "", CALL_METADATAS },
	{ "GET", "/kms/v1/key/k?user.name=a", "", CALL_METADATA },
	{ "GET", "/kms/v1/key/k/_currentversion?user.name=a", "", CALL_CURRENT },
	{ "GET", "/kms/v1/key/k/_versions?user.name=a", "", CALL_VERSIONS },
	{ "GET", "/kms/v1/keyversion/k@0?user.name=a", "", CALL_VERSION_GET },
	{ "GET", "/kms/v1/key/k/_eek?eek_op=generate&user.name=a", "", CALL_GENERATE },
	{ "POST", "/kms/v1/keyversion/k@0/_eek?eek_op=decrypt&user.name=a", "{\"name\":\"k\",\"iv\":\"AAAA\",\"material\":\"\"}",
	  CALL_DECRYPT },
	{ "POST", "/kms/v1/keyversion/k@0/_eek?eek_op=reencrypt&user.name=a",
	  "{\"name\":null,\"iv\":\"AAAA\",\"material\":\"AA\"}", CALL_REENCRYPT },
	{ "POST", "/kms/v1/key/k/_reencryptbatch?user.name=a",
	  "[{\"versionName\":\"k@0\",\"iv\":\"AA\",\"encryptedKeyVersion\":{\"versionName\":\"EEK\",\"material\":\"AA\"}}]",
	  CALL_REENCRYPT_BATCH },
};

TEST(every_kind_of_request_becomes_its_call)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		struct rest *t = ask(good[i].method, good[i].target, JSON, good[i].body);

		expect_call(t, good[i].call);
		rest_free(t);
	}
}

TEST(no_message_is_written_beyond_a_slot_however_small_it_is)
{
	size_t i, room;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		struct rest *t = ask(good[i].method, good[i].target, JSON, good[i].body);
		size_t need = t->need;

		for (room = 0; room < need; room++) {
			rest_encode(t, room);
			EXPECT(!t->fits);
		}
		rest_encode(t, need);
		EXPECT(t->fits && t->need == need && rest_read_back(t) == RC_OK);
		rest_free(t);
	}
}

TEST(every_cut_of_a_body_is_refused_and_harms_nothing)
{
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		const char *body = good[i].body;

		for (n = 0; n < strlen(body); n++) {
			char cut[512];

			snprintf(cut, sizeof(cut), "%.*s", (int)n, body);
			expect_refusal(ask(good[i].method, good[i].target, JSON, cut), 400);
		}
	}
}

TEST(bodies_of_the_wrong_shape_are_refused_with_their_status)
{
	static const struct {
		const char *target, *headers, *body;
		unsigned status;
	} bad[] = {
		{ "/kms/v1/keys", JSON, "[]", 400 },
		{ "/kms/v1/keys", JSON, "null", 400 },
		{ "/kms/v1/keys", JSON, "\"k\"", 400 },
		{ "/kms/v1/keys", JSON, "", 400 },
		{ "/kms/v1/keys", "", "{\"name\":\"k\"}", 415 },
		{ "/kms/v1/keys", "Content-Type: text/plain\r\n", "{\"name\":\"k\"}", 415 },
		{ "/kms/v1/keys", JSON, "{\"name\":1}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"length\":\"128\"}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"length\":1e300}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"length\":-1e300}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"length\":1.5}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"length\":2147483648}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"name\":\"k\"}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"attributes\":[]}", 400 },
		{ "/kms/v1/keys", JSON, "{\"name\":\"k\",\"attributes\":{\"a\":1}}", 400 },
		{ "/svsm/v1/import", JSON, "{\"name\":\"k\"}", 400 },
		{ "/svsm/v1/import", JSON, "{\"name\":\"k\",\"versions\":[]}", 400 },
		{ "/svsm/v1/import", JSON, "{\"name\":\"k\",\"versions\":[{\"versionName\":\"k@1\",\"material\":\"AA\"}]}", 400 },
		{ "/kms/v1/keyversion/k@0/_eek", JSON, "{\"iv\":\"AA\",\"material\":\"AA\"}", 400 },
		{ "/kms/v1/keyversion/k@0/_eek?eek_op=x", JSON, "{\"iv\":\"AA\",\"material\":\"AA\"}", 400 },
		{ "/kms/v1/keyversion/k@0/_eek?eek_op=decrypt", JSON, "{\"material\":\"AA\"}", 400 },
		{ "/kms/v1/keyversion/k@0/_eek?eek_op=decrypt", JSON, "{\"iv\":\"AA\"}", 400 },
		{ "/kms/v1/key/k/_reencryptbatch", JSON, "{}", 400 },
		{ "/kms/v1/key/k/_reencryptbatch", JSON, "null", 400 },
		{ "/kms/v1/key/k/_reencryptbatch", JSON, "[1]", 400 },
		{ "/kms/v1/key/k/_reencryptbatch", JSON, "[{}]", 400 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		expect_refusal(ask("POST", bad[i].target, bad[i].headers, bad[i].body), bad[i].status);
}

static struct wire_cred cred_of_auth(const struct rest *t)
{
	struct wire_name_req m;

	EXPECT(wire_name_req_get(cur_of(t->slot, t->need), &m) == RC_OK);
	return m.cred;
}

TEST(whom_a_request_acts_for_goes_to_the_core_in_every_spelling)
{
	static const struct {
		const char *query, *who;
	} asked[] = {
		{ "doAs=x", "x" }, { "DOAS=x&doAs=y", "x" }, { "d%6fas=a+b", "a b" }, { "doAs=", "" }, { "doAs", "" },
		{ "DOAS=%zz", "" }, { "doas=%zz&doAs=x", "" },
	};
	char target[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(asked); i++) {
		struct rest *t;
		struct wire_cred c;

		snprintf(target, sizeof(target), "/kms/v1/?user.name=a&%s", asked[i].query);
		t = ask("OPTIONS", target, "", "");
		c = cred_of_auth(t);
		EXPECT(c.has_user && c.has_do_as && slice_is(c.do_as, asked[i].who));
		rest_free(t);
	}
}

TEST(a_delegation_token_goes_to_the_core_and_no_name_beside_it)
{
	static const struct {
		const char *query, *headers, *token;
	} shown[] = {
		{ "delegation=YWJj", "", "abc" }, { "user.name=a&delegation=YW-_", "", "a\x6f\xbf" },
		{ "delegation=YWJj", "X-Hadoop-Delegation-Token: YWI\r\n", "ab" },
		{ "user.name=a", "X-Hadoop-Delegation-Token: \r\n", "" }, { "user.name=a&delegation=%zz", "", "" },
		{ "user.name=a&delegation", "", "" }, { "user.name=a", "X-Hadoop-Delegation-Token: ***\r\n", "" },
	};
	char target[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(shown); i++) {
		struct rest *t;
		struct wire_cred c;

		snprintf(target, sizeof(target), "/kms/v1/keys/names?%s", shown[i].query);
		t = ask("GET", target, shown[i].headers, "");
		c = cred_of_auth(t);
		EXPECT(!c.has_user && c.has_token && slice_is(c.token, shown[i].token));
		rest_free(t);
	}
}

TEST(operations_on_tokens_carry_their_arguments_and_no_token_as_a_credential)
{
	static const struct {
		const char *method, *query, *renewer, *token;
	} row[] = {
		{ "GET", "op=GETDELEGATIONTOKEN", NULL, "" },
		{ "GET", "op=GETDELEGATIONTOKEN&renewer=", "", "" },
		{ "GET", "op=GETDELEGATIONTOKEN&renewer=a+b%2Fc&renewer=d", "a b/c", "" },
		{ "PUT", "op=RENEWDELEGATIONTOKEN&token=YWJj", NULL, "abc" },
		{ "PUT", "op=RENEWDELEGATIONTOKEN&token=YWJj&token=YQ", NULL, "abc" },
		{ "PUT", "op=RENEWDELEGATIONTOKEN&token=%zz", NULL, "" },
		{ "PUT", "op=CANCELDELEGATIONTOKEN&token", NULL, "" },
		{ "PUT", "op=CANCELDELEGATIONTOKEN&token=YW-_", NULL, "a\x6f\xbf" },
	};
	char target[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(row); i++) {
		struct wire_dt_req m;
		struct rest *t;

		snprintf(target, sizeof(target), "/kms/v1/anything?delegation=YWJj&user.name=u&%s", row[i].query);
		t = ask(row[i].method, target, "X-Hadoop-Delegation-Token: YWJj\r\n", "");
		EXPECT_INT(t->work.refusal.status, 0);
		EXPECT(wire_dt_req_get(cur_of(t->slot, t->need), &m) == RC_OK);
		EXPECT(!m.cred.has_token && m.cred.has_user && slice_is(m.cred.user, "u"));
		EXPECT(m.has_renewer == (row[i].renewer != NULL));
		EXPECT(slice_is(m.renewer, row[i].renewer ? row[i].renewer : "") && slice_is(m.token, row[i].token));
		rest_free(t);
	}
}

TEST(operations_on_tokens_without_their_arguments_are_refused)
{
	static const char *const query[] = { "op=RENEWDELEGATIONTOKEN", "op=CANCELDELEGATIONTOKEN&Token=a" };
	static const char *const get[] = { "renewer=%zz", "service=%zz" };
	char target[4096], many[2000];
	size_t i;

	for (i = 0; i < ARRAY_LEN(query); i++) {
		snprintf(target, sizeof(target), "/kms/v1/?user.name=a&%s", query[i]);
		expect_refusal(ask("PUT", target, "", ""), 400);
	}
	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = 0;
	for (i = 0; i < ARRAY_LEN(get); i++) {
		snprintf(target, sizeof(target), "/kms/v1/?user.name=a&op=GETDELEGATIONTOKEN&%s", get[i]);
		expect_refusal(ask("GET", target, "", ""), 400);
		snprintf(target, sizeof(target), "/kms/v1/?user.name=a&op=GETDELEGATIONTOKEN&%.8s%s", get[i], many);
		expect_refusal(ask("GET", target, "", ""), 400);
	}
}

TEST(a_ticket_is_shown_in_the_first_call_only)
{
	static const struct {
		const char *value, *bytes;
	} shown[] = {
		{ "Negotiate YWJj", "abc" }, { "NegotiateYWJj", "abc" }, { "Negotiate", "" }, { "Negotiate  !!", "" },
	};
	char headers[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(shown); i++) {
		struct rest *t;
		struct wire_cred c;

		snprintf(headers, sizeof(headers), "Authorization: %s\r\nCookie: hadoop.auth=old\r\n", shown[i].value);
		t = ask("GET", "/kms/v1/keys/names?user.name=a&doAs=b", headers, "");
		EXPECT(encode_has_ticket(&t->request));
		c = cred_of_auth(t);
		EXPECT(!c.has_negotiate && c.has_user && c.has_do_as && slice_is(c.cookie, "old"));
		t->work.proof = PROOF_ASKED;
		rest_encode(t, CALL_PAGE);
		c = cred_of_auth(t);
		EXPECT_INT(t->work.call, CALL_AUTH);
		EXPECT(c.has_negotiate && slice_is(c.negotiate, shown[i].bytes) && slice_is(c.cookie, "old"));
		EXPECT(!c.has_user && !c.has_do_as && !c.has_token);
		t->work.proof = PROOF_GIVEN;
		outbuf_str(&t->work.proven_cookie, "new");
		rest_encode(t, CALL_PAGE);
		c = cred_of_auth(t);
		EXPECT_INT(t->work.call, CALL_NAMES);
		EXPECT(!c.has_negotiate && c.has_do_as && slice_is(c.cookie, "new"));
		rest_free(t);
	}
	{
		struct rest *t = ask("GET", "/kms/v1/keys/names", "Authorization: negotiate YWJj\r\n", "");

		EXPECT(!encode_has_ticket(&t->request));
		rest_free(t);
	}
}

TEST(credentials_are_the_first_cookie_and_the_first_user_name)
{
	struct rest *t = ask("OPTIONS", "/kms/v1/?user.name=a+b&user.name=c",
			     "Cookie: x=y; HADOOP.AUTH=\"one\"; hadoop.auth=two\r\n", "");
	struct wire_cred c = cred_of_auth(t);

	EXPECT(c.has_cookie && slice_is(c.cookie, "one"));
	EXPECT(c.has_user && slice_is(c.user, "a b"));
	rest_free(t);
}

TEST(a_user_name_that_cannot_be_read_is_none)
{
	static const char *const queries[] = { "user.name=%zz&user.name=b", "user.name=%&user.name=b", "delegation=x&user.name=b",
					       "user.name=b&delegation=%zz" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(queries); i++) {
		char target[128];
		struct rest *t;

		snprintf(target, sizeof(target), "/kms/v1/?%s", queries[i]);
		t = ask("OPTIONS", target, "", "");
		EXPECT(!cred_of_auth(t).has_user);
		rest_free(t);
	}
}

/* A guess: the core uses groups for the one it decides on only, and says so when that is somebody else. */
TEST(groups_go_with_the_name_that_they_were_looked_up_for)
{
	static const struct {
		const char *query, *headers, *whose;
	} row[] = {
		{ "user.name=b", "", "b" }, { "", "", "" }, { "user.name=b", "Cookie: hadoop.auth=u=root&s=x\r\n", "root" },
		{ "user.name=b", "Cookie: hadoop.auth=p=c&t=simple-dt&u=d&u=root&s=x\r\n", "root" },
		{ "user.name=b", "Cookie: hadoop.auth=garbage\r\n", "b" }, { "user.name=b&doAs=root", "", "root" },
		{ "user.name=b&doAs=a@X", "Cookie: hadoop.auth=u=root&s=x\r\n", "a@X" },
		{ "delegation=YWJj&user.name=b", "Cookie: hadoop.auth=u=root&s=x\r\n", "" }, { "delegation=YWJj&doAs=c", "", "" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(row); i++) {
		char target[128];
		struct rest *t;

		snprintf(target, sizeof(target), "/kms/v1/keys/names?%s", row[i].query);
		t = ask("GET", target, row[i].headers, "");
		EXPECT(cred_of_auth(t).group_user.len == 0 && cred_of_auth(t).groups == 0);	/* the setting is off */
		t->hot.groups_os = true;
		t->worker.groups = groups_new();
		rest_encode(t, CALL_PAGE);
		EXPECT(slice_is(cred_of_auth(t).group_user, row[i].whose));
		EXPECT(!cred_of_auth(t).groups == (strcmp(row[i].whose, "root") != 0));
		outbuf_str(&t->work.group_user, "root");	/* as the core said; it says so whatever the setting is here */
		t->hot.groups_os = i & 1;
		rest_encode(t, CALL_PAGE);
		EXPECT(slice_is(cred_of_auth(t).group_user, "root") && cred_of_auth(t).groups);
		outbuf_free(&t->work.group_user);
		groups_free(t->worker.groups);
		rest_free(t);
	}
}

TEST(a_bad_cookie_does_no_harm_to_the_name_beside_it)
{
	struct rest *t = ask("OPTIONS", "/kms/v1/?user.name=b", "Cookie: hadoop.auth=u=root&s=x\r\n", "");

	t->hot.groups_os = true;
	t->worker.groups = groups_new();
	rest_encode(t, CALL_PAGE);
	EXPECT(cred_of_auth(t).has_user && slice_is(cred_of_auth(t).user, "b"));
	groups_free(t->worker.groups);
	rest_free(t);
}

TEST(names_that_cannot_be_are_refused_before_they_reach_the_service)
{
	char target[4096] = "/kms/v1/key/";

	expect_refusal(ask("GET", "/kms/v1/key/a%00b", "", ""), 400);
	memset(target + 12, 'x', 1025);
	expect_refusal(ask("GET", target, "", ""), 400);
	memset(target + 12, 'x', 3000);
	expect_refusal(ask("DELETE", target, "", ""), 400);
	memcpy(target, "/kms/v1/keys/metadata?key=", 26);
	memset(target + 26, 'x', 1025);
	target[26 + 1025] = 0;
	expect_refusal(ask("GET", target, "", ""), 400);
	expect_refusal(ask("GET", "/kms/v1/keys/metadata?key=a&key=%zz", "", ""), 400);
}

TEST(invalid_utf8_in_a_path_becomes_the_replacement_character)
{
	struct rest *t = ask("GET", "/kms/v1/key/a%ff%c3%a9%c0", "", "");
	struct wire_name_req m;

	expect_call(t, CALL_METADATA);
	EXPECT(wire_name_req_get(cur_of(t->slot, t->need), &m) == RC_OK);
	EXPECT(slice_is(m.name, "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd"));
	rest_free(t);
}

TEST(the_number_of_keys_to_generate_is_an_integer_within_limits)
{
	static const struct {
		const char *n;
		unsigned status;
		uint32_t count;
	} rows[] = {
		{ "", 0, 1 },	      { "0", 0, 0 },	    { "-3", 0, 0 },	      { "150", 0, 150 },
		{ "10000", 0, 10000 }, { "10001", 400, 0 }, { "99999999999999999999", 400, 0 }, { "1x", 400, 0 },
		{ "x", 400, 0 },      { "%00", 400, 0 },    { "1%00", 400, 0 },	      { "%zz", 400, 0 },
		{ "%0a1", 400, 0 },   { "1.0", 400, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char target[128];
		struct wire_name_req m;
		struct rest *t;

		snprintf(target, sizeof(target), "/kms/v1/key/k/_eek?eek_op=generate&num_keys=%s", rows[i].n);
		t = ask("GET", target, "", "");
		EXPECT_INT(t->work.refusal.status, rows[i].status);
		EXPECT(wire_name_req_get(cur_of(t->slot, t->need), &m) == RC_OK);
		if (!rows[i].status)
			EXPECT_INT(m.count, rows[i].count);
		rest_free(t);
	}
}
