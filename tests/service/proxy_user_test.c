/* SPDX-License-Identifier: Apache-2.0 */
/* Who may act for whom, and from where: decided in the core, by rules of its configuration. */
#include <arpa/inet.h>

#include "tests/fake/core.h"
#include "tests/test.h"

static uint8_t addr[16];

static void from(struct core *c, const char *peer)
{
	if (!peer)
		c->peer = slice_of(addr, 0);
	else if (inet_pton(AF_INET, peer, addr) == 1)
		c->peer = slice_of(addr, 4);
	else
		c->peer = slice_of(addr, inet_pton(AF_INET6, peer, addr) == 1 ? 16 : 0);
}

/* The outcome of a question by `real` for `who` from that address. */
static enum wire_err act(struct core *c, const char *real, const char *who, const char *peer)
{
	core_as(c, real);
	c->has_do_as = who != NULL;
	c->do_as = slice_str(who ? who : "");
	from(c, peer);
	return core_name(c, CALL_AUTH, "");
}

static void ready(struct core *c, const char *const *list)
{
	core_ready(c);
	EXPECT_INT(core_config_list(c, list), E_OK);
}

static void expect_denied(struct core *c, enum wire_do_as why, const char *real, const char *who)
{
	EXPECT_INT(c->err, E_DO_AS_DENIED);
	EXPECT_INT(c->ans.head.num[0], why);
	EXPECT(slice_is(c->ans.arg, who) && slice_is(c->ans.principal, real) && slice_is(c->ans.user, real));
	EXPECT(c->ans.real.len == 0 && c->ans.head.events == 0);
}

#define RULE(u, k) "hadoop.kms.proxyuser." u "." k

TEST(nobody_acts_for_anybody_without_a_rule)
{
	static const char *const names[] = { "b", "a", "", "a b", "root" };
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		act(&c, "a", names[i], "127.0.0.1");
		expect_denied(&c, DO_AS_USER, "a", names[i]);
	}
	core_stop(&c);
}

TEST(users_groups_and_hosts_must_fit)
{
	static const char *const rules[] = {
		RULE("p", "users"), "b, c", RULE("p", "groups"), "staff", RULE("p", "hosts"), "10.0.0.0/8,::1",
		RULE("nohosts", "users"), "*", RULE("nousers", "hosts"), "*", RULE("any", "groups"), " * ",
		RULE("any", "hosts"), " * ", RULE("mixed", "users"), "*", RULE("mixed", "hosts"), "*,1.2.3.4",
		RULE("a.b", "users"), "x", RULE("a.b", "hosts"), "*", RULE("", "users"), "*", RULE("", "hosts"), "*",
		"hadoop.kms.proxyuser.users", "*", "hadoop.proxyuser.other.users", "*", "hadoop.proxyuser.other.hosts", "*",
		"hadoop.user.group.static.mapping.overrides", "d=staff;e=other", NULL,
	};
	static const struct {
		const char *real, *who, *peer;
		int want;	/* -1: allowed */
	} asked[] = {
		{ "p", "b", "10.1.2.3", -1 }, { "p", "c", "10.255.255.255", -1 }, { "p", "d", "10.1.2.3", -1 },
		{ "p", "b", "::1", -1 }, { "p", "b", "::ffff:10.1.2.3", -1 }, { "p", "e", "10.1.2.3", DO_AS_USER },
		{ "p", "p", "10.1.2.3", DO_AS_USER }, { "p", "B", "10.1.2.3", DO_AS_USER }, { "p", "b", "11.0.0.0", DO_AS_HOST },
		{ "p", "b", "9.255.255.255", DO_AS_HOST }, { "p", "b", "::2", DO_AS_HOST }, { "p", "b", NULL, DO_AS_HOST },
		{ "p", "b", "::10.1.2.3", DO_AS_HOST }, { "p", "staff", "10.1.2.3", DO_AS_USER },
		{ "nohosts", "b", "127.0.0.1", DO_AS_HOST }, { "nousers", "b", "127.0.0.1", DO_AS_USER },
		{ "any", "b", "127.0.0.1", -1 }, { "any", "any", NULL, -1 }, { "mixed", "b", "1.2.3.4", -1 },
		{ "mixed", "b", "1.2.3.5", DO_AS_HOST }, { "a.b", "x", NULL, -1 }, { "a", "x", NULL, DO_AS_USER },
		{ "other", "x", NULL, DO_AS_USER }, { "b", "b", "10.1.2.3", DO_AS_USER },
		{ "any", "", "127.0.0.1", DO_AS_USER }, { "any", "a&b", "127.0.0.1", DO_AS_USER },
		{ "any", "a\nb", "127.0.0.1", DO_AS_USER }, { "any", "a\"", "127.0.0.1", DO_AS_USER },
	};
	struct core c;
	size_t i;

	ready(&c, rules);
	for (i = 0; i < ARRAY_LEN(asked); i++) {
		enum wire_err e = act(&c, asked[i].real, asked[i].who, asked[i].peer);

		if (asked[i].want >= 0) {
			expect_denied(&c, (enum wire_do_as)asked[i].want, asked[i].real, asked[i].who);
			continue;
		}
		EXPECT_INT(e, E_OK);
		EXPECT(slice_is(c.ans.user, asked[i].who) && slice_is(c.ans.principal, asked[i].who));
		EXPECT(slice_is(c.ans.real, asked[i].real));
		/* The cookie is the caller's own. */
		EXPECT(c.ans.cookie.len > 3 && slice_starts(c.ans.cookie, "u=") &&
		       memcmp(c.ans.cookie.p + 2, asked[i].real, strlen(asked[i].real)) == 0);
	}
	core_stop(&c);
}

TEST(a_host_by_name_is_who_is_said_to_be_it)
{
	static const char *const rules[] = { RULE("p", "users"), "*", RULE("p", "hosts"), "gate.example,10.0.0.1", NULL };
	struct core c;

	ready(&c, rules);
	EXPECT_INT(act(&c, "p", "b", "10.9.9.9"), E_DO_AS_DENIED);
	c.peer_name = "gate.example";
	EXPECT_INT(act(&c, "p", "b", "10.9.9.9"), E_OK);
	c.peer_name = "Gate.example";
	EXPECT_INT(act(&c, "p", "b", "10.9.9.9"), E_DO_AS_DENIED);
	c.peer_name = "10.0.0.1";	/* not a name: the address counts */
	EXPECT_INT(act(&c, "p", "b", "10.9.9.9"), E_DO_AS_DENIED);
	c.peer_name = "*";
	EXPECT_INT(act(&c, "p", "b", "10.9.9.9"), E_DO_AS_DENIED);
	core_stop(&c);
}

TEST(ranges_count_their_bits)
{
	static const struct {
		const char *range, *in, *out;
	} r[] = {
		{ "10.1.2.3/32", "10.1.2.3", "10.1.2.2" }, { "10.1.2.0/23", "10.1.3.255", "10.1.4.0" },
		{ "10.1.2.3/31", "10.1.2.2", "10.1.2.4" }, { "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::" },
		{ "2001:db8::1/128", "2001:db8::1", "2001:db8::" }, { "0.0.0.0/0", "255.1.2.3", "2001:db8::1" },
		{ "::/0", "1.2.3.4", NULL }, { "192.168.0.0/17", "192.168.127.1", "192.168.128.1" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(r); i++) {
		const char *const rules[] = { RULE("p", "users"), "*", RULE("p", "hosts"), r[i].range, NULL };
		struct core c;

		ready(&c, rules);
		EXPECT_INT(act(&c, "p", "b", r[i].in), E_OK);
		EXPECT_INT(act(&c, "p", "b", r[i].out), E_DO_AS_DENIED);
		core_stop(&c);
	}
}

TEST(a_range_that_is_none_is_refused_with_its_name)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "x/8", "::/129", "10.0.0.0/-1", "1.2.3.4/8/8",
					   "10.0.0.0/255.0.0.0", "/", "a,10.0.0.0/8x" };
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const rules[] = { RULE("p", "hosts"), bad[i], NULL };

		EXPECT_INT(core_config_list(&c, rules), E_CONFIG);
		EXPECT(slice_starts(c.ans.arg, RULE("p", "hosts") ": "));
	}
	core_stop(&c);
}

TEST(a_thousand_proxy_users_are_possible_and_no_more)
{
	static char name[1025][64];
	static const char *list[2 * 1025 + 1];
	struct core c;
	size_t i;

	core_ready(&c);
	for (i = 0; i < 1025; i++) {
		snprintf(name[i], sizeof(name[i]), RULE("p%zu", "users"), i);
		list[2 * i] = name[i];
		list[2 * i + 1] = "*";
	}
	EXPECT_INT(core_config_list(&c, list), E_CONFIG);
	list[2 * 1024] = NULL;
	EXPECT_INT(core_config_list(&c, list), E_OK);
	core_stop(&c);
}

TEST(rights_are_those_of_the_one_acted_for)
{
	static const char *const rules[] = {
		RULE("p", "users"), "*", RULE("p", "hosts"), "*", "hadoop.kms.acl.GET_KEYS", "b", "hadoop.kms.acl.GET",
		"~p", "hadoop.kms.blacklist.GET_METADATA", "~p", "hadoop.user.group.static.mapping.overrides",
		"p=admins", "hadoop.kms.acl.DELETE", " admins", NULL,
	};
	struct core c;

	ready(&c, rules);
	act(&c, "p", "b", NULL);
	EXPECT_INT(core_name(&c, CALL_NAMES, ""), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "none"), E_OK);
	EXPECT_INT(core_name(&c, CALL_METADATA, "none"), E_OP_DENIED);
	EXPECT(slice_is(c.ans.user, "b") && slice_is(c.ans.real, "p"));
	EXPECT_INT(core_name(&c, CALL_DELETE, "none"), E_OP_DENIED);	/* his groups are not lent */
	act(&c, "p", "x", NULL);
	EXPECT_INT(core_name(&c, CALL_NAMES, ""), E_OP_DENIED);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "none"), E_OK);
	act(&c, "p", NULL, NULL);
	EXPECT_INT(core_name(&c, CALL_NAMES, ""), E_OP_DENIED);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "none"), E_OP_DENIED);	/* nobody acts here */
	EXPECT_INT(core_name(&c, CALL_METADATA, "none"), E_OK);
	EXPECT_INT(core_name(&c, CALL_DELETE, "none"), E_NO_KEY);
	act(&c, "~p", NULL, NULL);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "none"), E_OP_DENIED);	/* the mark is no name */
	core_stop(&c);
}

TEST(the_operating_systems_groups_are_those_of_the_one_acted_for)
{
	static const char *const rules[] = { RULE("p", "groups"), "staff", RULE("p", "hosts"), "*", "svsm.kms.groups.os", "true",
					     NULL };
	static const char *const off[] = { RULE("p", "groups"), "staff", RULE("p", "hosts"), "*", NULL };
	struct core c;

	ready(&c, rules);
	EXPECT_INT(act(&c, "p", "b", NULL), E_DO_AS_DENIED);
	core_groups(&c, "staff", NULL);
	EXPECT_INT(act(&c, "p", "b", NULL), E_OK);
	EXPECT_INT(core_config_list(&c, off), E_OK);
	EXPECT_INT(act(&c, "p", "b", NULL), E_DO_AS_DENIED);
	core_stop(&c);
}

TEST(administrators_are_a_list_of_the_core)
{
	static const char *const rules[] = { RULE("p", "users"), "*", RULE("p", "hosts"), "*", "hadoop.kms.http.administrators",
					     "root ops", "hadoop.user.group.static.mapping.overrides", "o=ops", NULL };
	struct core c;

	core_ready(&c);
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_ADMIN_DENIED);	/* not set: nobody */
	EXPECT_INT(core_config_list(&c, rules), E_OK);
	core_as(&c, "root");
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_OK);
	core_as(&c, "o");
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_OK);
	core_as(&c, "x");
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_ADMIN_DENIED);
	EXPECT_INT(act(&c, "root", NULL, NULL), E_OK);
	act(&c, "p", "root", NULL);
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_OK);
	core_as_cookie(&c, slice_str("u=root&p=root&t=simple-dt&e=9999999999999&s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
	c.has_do_as = false;
	EXPECT_INT(core_name(&c, CALL_ADMIN, ""), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.num[0], SCHEME_PSEUDO);
	core_stop(&c);
}
