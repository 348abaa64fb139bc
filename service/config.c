/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the property list. Names that the core does not decide by are ignored: the proxy sends what
 * the files hold. Lists follow Hadoop's AccessControlList: split at the first space into users and
 * groups, each a comma list of trimmed entries; "*" in either place is everyone.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>

#include "service/arena.h"
#include "service/config.h"
#include "service/krb.h"
#include "service/names.h"

#define AUTH "hadoop.kms.authentication."
#define KRB AUTH "kerberos."
#define LEAST_1 "must be a number of seconds, at least 1"

static const char *const acl_names[] = {
	[ACL_CREATE] = "CREATE", [ACL_DELETE] = "DELETE",
	[ACL_ROLLOVER] = "ROLLOVER", [ACL_GET] = "GET",
	[ACL_GET_KEYS] = "GET_KEYS", [ACL_GET_METADATA] = "GET_METADATA",
	[ACL_SET_KEY_MATERIAL] = "SET_KEY_MATERIAL", [ACL_GENERATE_EEK] = "GENERATE_EEK",
	[ACL_DECRYPT_EEK] = "DECRYPT_EEK",
};
_Static_assert(ARRAY_LEN(acl_names) == ACL_COUNT, "a name for each ACL");

const char *acl_type_name(enum acl_type t)
{
	return acl_names[t];
}

struct parse {
	struct config *c;
	const char *why;
	size_t keys_cap;
};

static int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	if (d)
		return d;
	return a.len < b.len ? -1 : a.len > b.len;
}

static int slice_sort(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/*
 * Heapsort. The C library's qsort() may ask the kernel how much memory there is, by a system call that
 * the sandbox does not allow.
 */
static void sort(void *base, size_t count, size_t size, int (*cmp)(const void *, const void *))
{
	uint8_t *a = base;
	size_t start = count / 2, end = count, root, child, i;

	while (end > 1) {
		if (start > 0) {
			start--;
		} else {
			end--;
			for (i = 0; i < size; i++) {
				uint8_t t = a[i];

				a[i] = a[end * size + i];
				a[end * size + i] = t;
			}
		}
		for (root = start; (child = 2 * root + 1) < end; root = child) {
			if (child + 1 < end && cmp(a + child * size, a + (child + 1) * size) < 0)
				child++;
			if (cmp(a + root * size, a + child * size) >= 0)
				break;
			for (i = 0; i < size; i++) {
				uint8_t t = a[root * size + i];

				a[root * size + i] = a[child * size + i];
				a[child * size + i] = t;
			}
		}
	}
}

MUST_CHECK static bool in_list(const struct slice *list, uint32_t n, struct slice what)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int d = slice_cmp(list[mid], what);

		if (d == 0)
			return true;
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static struct slice trim(struct slice s)
{
	while (s.len && s.p[0] <= ' ') {
		s.p++;
		s.len--;
	}
	while (s.len && s.p[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* Cuts *rest at the first c; what is before it is returned. */
static struct slice cut(struct slice *rest, char c, bool *found)
{
	const uint8_t *at = rest->len ? memchr(rest->p, c, rest->len) : NULL;
	struct slice head = *rest;

	*found = at != NULL;
	if (at) {
		head.len = (size_t)(at - rest->p);
		rest->p = at + 1;
		rest->len -= head.len + 1;
	} else {
		rest->p += rest->len;
		rest->len = 0;
	}
	return head;
}

static enum rc comma_list(struct parse *p, struct slice text, struct slice **out, uint32_t *count)
{
	size_t commas = 1, i;
	struct slice *list;
	uint32_t n = 0;
	bool more = true;

	for (i = 0; i < text.len; i++)
		commas += text.p[i] == ',';
	list = arena_take(p->c->arena, commas * sizeof(*list));
	if (!list)
		return RC_NO_ROOM;
	while (more) {
		struct slice one = trim(cut(&text, ',', &more));

		if (one.len)
			list[n++] = one;
	}
	sort(list, n, sizeof(*list), slice_sort);
	*out = list;
	*count = n;
	return RC_OK;
}

static enum rc acl_parse(struct parse *p, struct slice text, struct acl *a)
{
	struct slice users, groups = text;
	enum rc rc;
	bool found;

	memset(a, 0, sizeof(*a));
	a->set = true;
	users = cut(&groups, ' ', &found);
	if (slice_is(trim(text), "*") || slice_is(trim(users), "*") || slice_is(trim(groups), "*")) {
		a->all = true;
		return RC_OK;
	}
	rc = comma_list(p, users, &a->users, &a->nusers);
	if (rc == RC_OK)
		rc = comma_list(p, groups, &a->groups, &a->ngroups);
	return rc;
}

bool acl_permits(const struct acl *a, const struct caller *who)
{
	struct cursor os_groups = who->os_groups;
	struct slice g;
	uint32_t i;

	/* Nobody is a user with the mark's name: unlike in Hadoop it is not to be had by choosing a name. */
	if (a->all || (!slice_starts(who->user, "~") && in_list(a->users, a->nusers, who->user)) ||
	    (who->mark.len && in_list(a->users, a->nusers, who->mark)))
		return true;
	if (a->ngroups == 0)
		return false;
	if (who->mapped) {
		for (i = 0; i < who->mapped->count; i++)
			if (in_list(a->groups, a->ngroups, who->mapped->groups[i]))
				return true;
		return false;
	}
	while (wire_group_next(&os_groups, &g))
		if (in_list(a->groups, a->ngroups, g))
			return true;
	return false;
}

/* ---- values ---- */

MUST_CHECK static bool number(struct slice v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	v = trim(v);
	if (v.len == 0)
		return false;
	for (i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n) || n > max)
			return false;
	}
	*out = n;
	return true;
}

MUST_CHECK static bool boolean(struct slice v, bool *out)
{
	v = trim(v);
	if (!slice_is(v, "true") && !slice_is(v, "false"))
		return false;
	*out = slice_is(v, "true");
	return true;
}

static enum rc bad(struct parse *p, const char *why)
{
	p->why = why;
	return RC_BAD_INPUT;
}

#define WEB "org.apache.hadoop.security.token.delegation.web."

static enum rc v_type(struct parse *p, struct slice v)
{
	static const struct {
		const char *name;
		enum auth_type type;
	} types[] = {
		{ "simple", AUTH_SIMPLE },
		{ "kerberos", AUTH_KERBEROS },
		{ WEB "PseudoDelegationTokenAuthenticationHandler", AUTH_SIMPLE },
		{ WEB "KerberosDelegationTokenAuthenticationHandler", AUTH_KERBEROS },
		{ WEB "MultiSchemeDelegationTokenAuthenticationHandler", AUTH_MULTI },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(types); i++)
		if (slice_is(trim(v), types[i].name)) {
			p->c->auth = types[i].type;
			return RC_OK;
		}
	return bad(p, "must be simple, kerberos, or Hadoop's class for one of them or for several schemes");
}

static enum rc v_principals(struct parse *p, struct slice v)
{
	uint32_t i;
	enum rc rc = comma_list(p, v, &p->c->principals, &p->c->nprincipals);

	for (i = 0; rc == RC_OK && i < p->c->nprincipals; i++)
		if (!slice_is(p->c->principals[i], "*") && !slice_starts(p->c->principals[i], "HTTP/"))
			return bad(p, "must be names such as HTTP/host.example, or *");
	return rc;
}

static enum rc v_mechanism(struct parse *p, struct slice v)
{
	p->c->mit = slice_is(trim(v), "mit");
	return p->c->mit || slice_is(trim(v), "hadoop") ? RC_OK : bad(p, "must be hadoop or mit");
}

static enum rc v_admins(struct parse *p, struct slice v)
{
	return v.len ? acl_parse(p, v, &p->c->admins) : RC_OK;
}

static enum rc v_inactive(struct parse *p, struct slice v)
{
	uint64_t s;

	if (slice_is(trim(v), "-1")) {
		p->c->inactive_ms = 0;
		return RC_OK;
	}
	if (!number(v, 1000000000, &s))
		return bad(p, "must be a number of seconds, or -1");
	p->c->inactive_ms = s * 1000;
	return RC_OK;
}

static enum rc v_secret(struct parse *p, struct slice v)
{
	if (v.len == 0 || v.len > CRYPTO_MAC_KEY_MAX)
		return bad(p, "the signature secret must have 1 to 4096 bytes");
	p->c->has_secret = true;
	p->c->secret = v;
	return RC_OK;
}

static enum rc v_suite(struct parse *p, struct slice v)
{
	v = trim(v);
	if (slice_is(v, "AES/CTR/NoPadding"))
		p->c->suite = CRYPTO_AES;
	else if (slice_is(v, "SM4/CTR/NoPadding"))
		p->c->suite = CRYPTO_SM4;
	else
		return bad(p, "must be AES/CTR/NoPadding or SM4/CTR/NoPadding");
	return RC_OK;
}

static enum rc v_bits(struct parse *p, struct slice v)
{
	uint64_t n;

	if (!number(v, 256, &n) || n == 0)
		return bad(p, "must be a number of bits: 128, 192 or 256");
	p->c->default_bits = (uint32_t)n;
	return RC_OK;
}

static enum rc v_cipher(struct parse *p, struct slice v)
{
	v = trim(v);
	if (v.len == 0 || v.len > WIRE_CIPHER_MAX)
		return bad(p, "must be a cipher such as AES/CTR/NoPadding");
	p->c->default_cipher = v;
	return RC_OK;
}

/* Only looked at in configuration that an owner signed: which recovery key may open the store. */
static enum rc v_recovery(struct parse *p, struct slice v)
{
	size_t i;

	v = trim(v);
	if (v.len == 0)
		return RC_OK;
	if (v.len != 2 * sizeof(p->c->recovery))
		return bad(p, "must be a SHA-256 in 64 hexadecimal digits");
	for (i = 0; i < v.len; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *d = memchr(digits, v.p[i], 16);

		if (!d)
			return bad(p, "must be a SHA-256 in 64 hexadecimal digits, lower case");
		p->c->recovery[i / 2] = (uint8_t)(p->c->recovery[i / 2] << 4 | (d - digits));
	}
	p->c->has_recovery = true;
	return RC_OK;
}

static int user_find(const void *a, const void *b)
{
	return slice_cmp(((const struct user_groups *)a)->user, ((const struct user_groups *)b)->user);
}

/* Equal names stay in the order of the message, which is that of their addresses. */
static int in_order(struct slice a, struct slice b)
{
	int d = slice_cmp(a, b);

	return d ? d : (a.p > b.p) - (a.p < b.p);
}

static int user_sort(const void *a, const void *b)
{
	return in_order(((const struct user_groups *)a)->user, ((const struct user_groups *)b)->user);
}

/* Of a user named twice the last entry counts. */
static void merge_users(struct config *c)
{
	size_t i, n = 0;

	sort(c->users, c->nusers, sizeof(*c->users), user_sort);
	for (i = 0; i < c->nusers; i++) {
		if (n && slice_eq(c->users[n - 1].user, c->users[i].user))
			n--;
		c->users[n++] = c->users[i];
	}
	c->nusers = n;
}

/* "user=group,group;user2=;user3=group" */
static enum rc v_mapping(struct parse *p, struct slice v)
{
	size_t n = 1, i;
	bool more = true, eq;

	for (i = 0; i < v.len; i++)
		n += v.p[i] == ';';
	p->c->users = arena_take(p->c->arena, n * sizeof(*p->c->users));
	p->c->nusers = 0;
	if (!p->c->users)
		return RC_NO_ROOM;
	while (more) {
		struct slice groups = cut(&v, ';', &more), user = cut(&groups, '=', &eq);
		struct user_groups *u = &p->c->users[p->c->nusers];

		user = trim(user);
		if (user.len == 0 && !eq)
			continue;
		if (user.len == 0 || memchr(groups.len ? groups.p : (const uint8_t *)"", '=', groups.len))
			return bad(p, "must look like user=group,group;user2=group");
		u->user = user;
		if (comma_list(p, groups, &u->groups, &u->count) != RC_OK)
			return RC_NO_ROOM;
		p->c->nusers++;
	}
	merge_users(p->c);
	return RC_OK;
}

/* Values that are simply kept. */
#define AT(member) offsetof(struct config, member)
static const struct plain {
	const char *name;
	enum { V_BOOL, V_SECONDS, V_NUMBER, V_TEXT, V_BYTES } kind;
	size_t at;		/* in struct config: bool; uint64_t; struct slice */
	uint64_t min, max;
	const char *why;
} plain[] = {
	{ "hadoop.kms.authentication.simple.anonymous.allowed", V_BOOL, AT(anonymous), 0, 0, NULL },
	{ "hadoop.kms.key.authorization.enable", V_BOOL, AT(key_authorization), 0, 0, NULL },
	{ "svsm.kms.groups.os", V_BOOL, AT(groups_os), 0, 0, NULL },
	{ AUTH "token.validity", V_SECONDS, AT(validity_ms), 1, 1000000000, LEAST_1 },
	{ AUTH "delegation-token.update-interval.sec", V_SECONDS, AT(dt_update_ms), 1, 1000000000, LEAST_1 },
	{ AUTH "delegation-token.max-lifetime.sec", V_SECONDS, AT(dt_life_ms), 1, 1000000000, LEAST_1 },
	{ AUTH "delegation-token.renew-interval.sec", V_SECONDS, AT(dt_renew_ms), 1, 1000000000, LEAST_1 },
	{ "svsm.kms.kerberos.skew.sec", V_SECONDS, AT(skew_ms), 1, 86400, "must be a number of seconds, 1 to 86400" },
	{ "svsm.kms.delegation-token.max-per-user", V_NUMBER, AT(dt_per_user), 1, 1000000000,
	  "must be a number of tokens, at least 1" },
	{ "svsm.kms.core.memory.max", V_NUMBER, AT(memory_max), 0, UINT64_MAX, "must be a number of bytes" },
	{ KRB "name.rules", V_TEXT, AT(rules), 0, 0, NULL },
	{ "svsm.kms.kerberos.realm", V_TEXT, AT(realm), 0, 0, NULL },
	{ "svsm.secret.keytab", V_BYTES, AT(keytab), 0, 0, NULL },
	{ "svsm.sealed.keytab", V_BYTES, AT(sealed), 0, 0, NULL },
};

static enum rc set_plain(struct parse *p, const struct plain *r, struct slice v)
{
	void *at = (uint8_t *)p->c + r->at;
	uint64_t n;

	switch (r->kind) {
	case V_BOOL:
		return boolean(v, at) ? RC_OK : bad(p, "must be true or false");
	case V_TEXT:
	case V_BYTES:
		*(struct slice *)at = r->kind == V_TEXT ? trim(v) : v;
		return RC_OK;
	default:
		if (!number(v, r->max, &n) || n < r->min)
			return bad(p, r->why);
		*(uint64_t *)at = r->kind == V_SECONDS ? n * 1000 : n;
		return RC_OK;
	}
}

static const struct {
	const char *name;
	enum rc (*set)(struct parse *p, struct slice v);
} values[] = {
	{ "hadoop.kms.authentication.type", v_type },
	{ KRB "principal", v_principals },
	{ KRB "name.rules.mechanism", v_mechanism },
	{ "hadoop.kms.http.administrators", v_admins },
	{ "hadoop.kms.authentication.token.max-inactive-interval", v_inactive },
	{ "hadoop.security.crypto.cipher.suite", v_suite },
	{ "hadoop.security.key.default.bitlength", v_bits },
	{ "hadoop.security.key.default.cipher", v_cipher },
	{ "hadoop.user.group.static.mapping.overrides", v_mapping },
	{ "svsm.kms.recovery.public-key-sha256", v_recovery },
	{ "svsm.secret.signature", v_secret },
};

/* ---- lists by name ---- */

MUST_CHECK static bool strip(struct slice *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!slice_starts(*s, prefix))
		return false;
	s->p += n;
	s->len -= n;
	return true;
}

MUST_CHECK static bool keyop_of(struct slice name, unsigned *op)
{
	for (*op = 0; *op < KEYOP_COUNT; (*op)++)
		if (slice_is(name, wire_keyop_name(*op)))
			return true;
	return false;
}

static enum rc op_list(struct parse *p, struct acl *lists, struct slice type, struct slice v)
{
	unsigned t;

	for (t = 0; t < ACL_COUNT; t++)
		if (slice_is(type, acl_names[t]))
			return acl_parse(p, v, &lists[t]);
	return RC_OK;	/* an unknown type is ignored, as Hadoop does; the proxy warns */
}

static enum rc key_list(struct parse *p, struct slice rest, struct slice v)
{
	struct slice name = rest, type;
	struct config *c = p->c;
	unsigned op;
	size_t dot = rest.len;

	while (dot > 0 && rest.p[dot - 1] != '.')
		dot--;
	if (dot == 0)
		return RC_OK;
	type = slice_of(rest.p + dot, rest.len - dot);
	name.len = dot - 1;
	if (!keyop_of(type, &op))
		return RC_OK;
	if (c->nkeys == p->keys_cap) {
		size_t cap = p->keys_cap ? p->keys_cap * 2 : 16;
		struct key_acl *k = arena_take(c->arena, cap * sizeof(*k));

		if (!k)
			return RC_NO_ROOM;
		if (c->nkeys)
			memcpy(k, c->keys, c->nkeys * sizeof(*k));
		c->keys = k;
		p->keys_cap = cap;
	}
	memset(&c->keys[c->nkeys], 0, sizeof(c->keys[0]));
	c->keys[c->nkeys].name = name;
	return acl_parse(p, v, &c->keys[c->nkeys++].type[op]);
}

/* ---- proxy users ---- */

#define PROXY_USERS_MAX 1024u

/* "10.1.2.3", "fe80::1", "10.0.0.0/8", "2001:db8::/32", or the name of a host. */
static enum rc host_parse(struct parse *p, struct slice v, struct host_rule *h)
{
	const uint8_t *slash = memchr(v.p, '/', v.len);
	struct slice bits = slash ? slice_of(slash + 1, (size_t)(v.p + v.len - slash - 1)) : slice_of("", 0);
	size_t n = slash ? (size_t)(slash - v.p) : v.len;
	char text[INET6_ADDRSTRLEN] = "";
	uint64_t want = 128;
	bool v4;

	*h = (struct host_rule){ .bits = HOST_BY_NAME, .name = v };
	if (n < sizeof(text))
		memcpy(text, v.p, n);
	v4 = inet_pton(AF_INET, text, h->addr + 12) == 1;
	if (v4)
		memset(h->addr + 10, 0xff, 2);
	else if (inet_pton(AF_INET6, text, h->addr) != 1)
		return slash ? bad(p, "has a range that is none; write it like 10.0.0.0/8 or 2001:db8::/32") : RC_OK;
	if (slash && (!number(bits, v4 ? 32 : 128, &want)))
		return bad(p, "has a range with a bad number of bits; write it like 10.0.0.0/8 or 2001:db8::/32");
	h->bits = (uint8_t)(want + (slash && v4 ? 96 : 0));
	return RC_OK;
}

/* "*" means everywhere only when it stands alone. */
static enum rc hosts_parse(struct parse *p, struct slice v, struct proxy_user *u)
{
	struct slice *list;
	enum rc rc = comma_list(p, v, &list, &u->nhosts);
	uint32_t i;

	if (rc != RC_OK)
		return rc;
	u->any_host = u->nhosts == 1 && slice_is(list[0], "*");
	u->hosts = arena_take(p->c->arena, (u->nhosts + 1u) * sizeof(*u->hosts));
	if (!u->hosts)
		return RC_NO_ROOM;
	for (i = 0; rc == RC_OK && i < u->nhosts; i++)
		rc = host_parse(p, list[i], &u->hosts[i]);
	return rc;
}

static struct proxy_user *proxy_user_named(struct parse *p, struct slice name)
{
	struct config *c = p->c;
	size_t i;

	for (i = 0; i < c->nproxies; i++)
		if (slice_eq(c->proxies[i].name, name))
			return &c->proxies[i];
	if (!c->proxies)
		c->proxies = arena_take(c->arena, PROXY_USERS_MAX * sizeof(*c->proxies));
	if (!c->proxies || c->nproxies == PROXY_USERS_MAX)
		return NULL;
	c->proxies[c->nproxies] = (struct proxy_user){ .name = name };
	return &c->proxies[c->nproxies++];
}

/* rest: <user>.users, <user>.groups or <user>.hosts; others mean nothing. */
static enum rc proxy_user(struct parse *p, struct slice rest, struct slice v)
{
	static const char *const kinds[] = { "users", "groups", "hosts" };
	size_t dot = rest.len, kind;
	struct proxy_user *u;
	struct acl *a;

	while (dot > 0 && rest.p[dot - 1] != '.')
		dot--;
	for (kind = 0; kind < ARRAY_LEN(kinds); kind++)
		if (slice_is(slice_of(rest.p + dot, rest.len - dot), kinds[kind]))
			break;
	if (dot < 2 || kind == ARRAY_LEN(kinds))
		return RC_OK;
	u = proxy_user_named(p, slice_of(rest.p, dot - 1));
	if (!u)
		return bad(p, "is one proxy user too many: 1024 are possible");
	if (kind == 2)
		return hosts_parse(p, v, u);
	a = &u->whom;
	a->set = true;
	a->all |= slice_is(trim(v), "*");
	return kind ? comma_list(p, v, &a->groups, &a->ngroups) : comma_list(p, v, &a->users, &a->nusers);
}

const struct proxy_user *config_proxy_user(const struct config *c, struct slice user)
{
	size_t i;

	for (i = 0; i < c->nproxies; i++)
		if (c->proxies[i].whom.set && slice_eq(c->proxies[i].name, user))
			return &c->proxies[i];
	return NULL;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool proxy_user_from(const struct proxy_user *p, struct slice peer, struct cursor names)
{
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff };
	struct slice name;
	uint32_t i;

	if (p->any_host)
		return true;
	if (peer.len == 4 || peer.len == 16)
		memcpy(addr + sizeof(addr) - peer.len, peer.p, peer.len);
	for (i = 0; i < p->nhosts; i++) {
		const struct host_rule *h = &p->hosts[i];
		struct cursor c = names;

		if (h->bits != HOST_BY_NAME && peer.len && same_bits(h->addr, addr, h->bits))
			return true;
		while (h->bits == HOST_BY_NAME && wire_group_next(&c, &name))
			if (slice_eq(h->name, name))
				return true;
	}
	return false;
}

static enum rc property(struct parse *p, struct slice name, struct slice v)
{
	unsigned op;
	size_t i;

	for (i = 0; i < ARRAY_LEN(plain); i++)
		if (slice_is(name, plain[i].name))
			return set_plain(p, &plain[i], v);
	for (i = 0; i < ARRAY_LEN(values); i++)
		if (slice_is(name, values[i].name))
			return values[i].set(p, v);
	if (v.len == 0)
		return RC_OK;	/* an empty list counts as not set */
	if (strip(&name, "hadoop.kms.proxyuser."))
		return proxy_user(p, name, v);
	if (strip(&name, "hadoop.kms.acl."))
		return op_list(p, p->c->op, name, v);
	if (strip(&name, "hadoop.kms.blacklist."))
		return op_list(p, p->c->black, name, v);
	if (strip(&name, "key.acl."))
		return key_list(p, name, v);
	if (strip(&name, "default.key.acl.") && keyop_of(name, &op) && op != KEYOP_ALL)
		return acl_parse(p, v, &p->c->fallback[op]);
	if (strip(&name, "whitelist.key.acl.") && keyop_of(name, &op) && op != KEYOP_ALL)
		return acl_parse(p, v, &p->c->white[op]);
	return RC_OK;
}

static int key_acl_find(const void *a, const void *b)
{
	return slice_cmp(((const struct key_acl *)a)->name, ((const struct key_acl *)b)->name);
}

static int key_acl_sort(const void *a, const void *b)
{
	return in_order(((const struct key_acl *)a)->name, ((const struct key_acl *)b)->name);
}

/* One entry a property came in; entries of one name become one. */
static void merge_keys(struct config *c)
{
	size_t i, n = 0;
	unsigned op;

	sort(c->keys, c->nkeys, sizeof(*c->keys), key_acl_sort);
	for (i = 0; i < c->nkeys; i++) {
		if (n == 0 || !slice_eq(c->keys[n - 1].name, c->keys[i].name)) {
			c->keys[n++] = c->keys[i];
			continue;
		}
		for (op = 0; op < KEYOP_COUNT; op++)
			if (c->keys[i].type[op].set)
				c->keys[n - 1].type[op] = c->keys[i].type[op];
	}
	c->nkeys = n;
}

/* ---- Kerberos ---- */

enum rc config_keytab(struct config *c, struct slice file, const char **why)
{
	struct name_rules *names = NULL;
	struct krb_keys *keys;
	enum rc rc = krb_keytab_parse(file, &keys, why);
	uint32_t i;

	if (rc != RC_OK)
		return rc;
	for (i = 0; rc == RC_OK && i < c->nprincipals; i++)
		if (!krb_keytab_serves(keys, c->principals[i])) {
			*why = "the keytab has no key for a name in " KRB "principal; `klist -k` lists its names";
			rc = RC_BAD_INPUT;
		}
	/* The realm of the rule DEFAULT, where nobody says another. */
	if (rc == RC_OK && c->realm.len == 0)
		rc = names_parse(c->rules, c->mit, krb_keytab_realm(keys), &names, why);
	if (rc != RC_OK) {
		krb_keytab_free(keys);
		return rc;
	}
	if (names) {
		names_free(c->names);
		c->names = names;
	}
	c->server_keys = keys;
	return RC_OK;
}

/* What only makes sense together. */
static enum rc parse_kerberos(struct parse *p, struct slice *which)
{
	struct config *c = p->c;
	enum rc rc;

	if (c->auth == AUTH_SIMPLE)
		return RC_OK;
	if (c->nprincipals == 0) {
		*which = slice_str(KRB "principal");
		return bad(p, "must name the server, HTTP/host.example");
	}
	*which = slice_str(KRB "name.rules");
	rc = names_parse(c->rules, c->mit, c->realm, &c->names, &p->why);
	if (rc == RC_OK && c->keytab.len) {
		*which = slice_str(KRB "keytab");
		rc = config_keytab(c, c->keytab, &p->why);
	}
	return rc;
}

static enum rc parse_all(struct parse *p, const struct wire_config_req *m, struct slice *which)
{
	struct cursor in = m->property;
	struct slice name, value;
	unsigned t;
	uint32_t i;
	enum rc rc;

	/* The message is gone after the call: everything kept points into this copy. */
	in.at = arena_copy(p->c->arena, in.at, in.left);
	if (!in.at)
		return RC_NO_ROOM;
	for (i = 0; i < m->count && wire_property_next(&in, &name, &value); i++) {
		rc = property(p, name, value);
		if (rc != RC_OK) {
			*which = name;
			return rc;
		}
	}
	for (t = 0; t < ACL_COUNT; t++)
		if (!p->c->op[t].set)
			p->c->op[t].all = true;	/* Hadoop's default: everyone */
	merge_keys(p->c);
	return parse_kerberos(p, which);
}

enum rc config_parse(const struct wire_config_req *m, struct config **out, struct slice *which, const char **why)
{
	struct parse p = { .c = calloc(1, sizeof(struct config)) };
	enum rc rc;

	*which = slice_of("", 0);
	*why = "";
	if (!p.c)
		return RC_NO_ROOM;
	p.c->arena = arena_new();
	p.c->key_authorization = true;
	p.c->suite = CRYPTO_AES;
	p.c->default_bits = 128;
	p.c->default_cipher = slice_str("AES/CTR/NoPadding");
	p.c->validity_ms = 36000 * 1000ull;
	p.c->rules = p.c->realm = p.c->keytab = p.c->sealed = slice_of("", 0);
	p.c->skew_ms = 300 * 1000;
	p.c->dt_update_ms = p.c->dt_renew_ms = 86400 * 1000ull;
	p.c->dt_life_ms = 604800 * 1000ull;
	p.c->dt_per_user = 10000;
	rc = p.c->arena ? parse_all(&p, m, which) : RC_NO_ROOM;
	if (rc != RC_OK) {
		*why = p.why ? p.why : "";
		/* The name outlives the arena: find it again in the message. */
		if (which->len) {
			struct cursor in = m->property;
			struct slice name, value;

			while (wire_property_next(&in, &name, &value))
				if (slice_eq(name, *which)) {
					*which = name;
					break;
				}
		}
		config_free(p.c);
		return rc;
	}
	*out = p.c;
	return RC_OK;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	names_free(c->names);
	krb_keytab_free(c->server_keys);
	arena_free(c->arena);
	mem_wipe(c, sizeof(*c));
	free(c);
}

const struct user_groups *config_user(const struct config *c, struct slice user)
{
	struct user_groups want = { .user = user };

	if (c->nusers == 0)
		return NULL;
	return bsearch(&want, c->users, c->nusers, sizeof(*c->users), user_find);
}

const struct key_acl *config_key_acl(const struct config *c, struct slice name)
{
	struct key_acl want = { .name = name };

	if (c->nkeys == 0)
		return NULL;
	return bsearch(&want, c->keys, c->nkeys, sizeof(*c->keys), key_acl_find);
}

const char *config_cookie_type(const struct config *c)
{
	static const char *const types[] = {
		[AUTH_SIMPLE] = "simple-dt", [AUTH_KERBEROS] = "kerberos-dt", [AUTH_MULTI] = "kerberos",
	};

	return types[c->auth];
}
