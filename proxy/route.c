/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths to endpoints, as Hadoop KMS matches them: a key's name is anything, slashes included, and the
 * sub-resource is recognised only as the last element. Matching looks at the raw path; the name is
 * decoded afterwards, so an encoded slash never separates.
 */
#include <stdlib.h>

#include "proxy/kms.h"
#include "proxy/text.h"

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_decode(struct slice in, bool plus, uint8_t *out, size_t room, size_t *len)
{
	size_t i, n = 0;

	for (i = 0; i < in.len; i++) {
		uint8_t c = in.p[i];

		if (c == '%') {
			int hi, lo;

			if (in.len - i < 3 || (hi = hex(in.p[i + 1])) < 0 || (lo = hex(in.p[i + 2])) < 0)
				return false;
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (n == room)
			return false;
		out[n++] = c;
	}
	*len = n;
	return true;
}

static bool name_matches(struct slice name, const char *want, bool ignore_case)
{
	return ignore_case ? http_name_is(name, want) : slice_is(name, want);
}

bool query_next(struct slice q, size_t *at, const char *name, bool ignore_case, uint8_t *buf, size_t room,
		struct slice *out)
{
	while (*at < q.len) {
		const uint8_t *start = q.p + *at, *amp = memchr(start, '&', q.len - *at);
		size_t n = amp ? (size_t)(amp - start) : q.len - *at, len;
		const uint8_t *eq = n ? memchr(start, '=', n) : NULL;
		uint8_t key[64];

		*at += n + 1;
		if (!percent_decode(slice_of(start, eq ? (size_t)(eq - start) : n), true, key, sizeof(key), &len) ||
		    !name_matches(slice_of(key, len), name, ignore_case))
			continue;
		if (!eq) {
			*out = slice_of(buf, 0);
			return true;
		}
		/* One that cannot be read is still the first: what follows must not take its place. */
		if (percent_decode(slice_of(eq + 1, (size_t)(start + n - eq - 1)), true, buf, room, &len))
			*out = slice_of(buf, len);
		else
			*out = slice_of(NULL, 0);
		return true;
	}
	return false;
}

bool query_get(struct slice q, const char *name, bool ignore_case, uint8_t *buf, size_t room, struct slice *out)
{
	size_t at = 0;

	return query_next(q, &at, name, ignore_case, buf, room, out);
}

/* Drops ";x=y" of every segment. Rare: done in place only when there is a ';'. */
static struct slice drop_matrix(struct kms_worker *w, struct slice path)
{
	size_t i, n = 0;
	bool in = false;

	if (!memchr(path.p, ';', path.len))
		return path;
	outbuf_reset(&w->scratch);
	uint8_t *to = outbuf_room(&w->scratch, path.len);

	if (!to)
		return path;
	for (i = 0; i < path.len; i++) {
		if (path.p[i] == '/')
			in = false;
		else if (path.p[i] == ';')
			in = true;
		if (!in)
			to[n++] = path.p[i];
	}
	return slice_of(to, n);
}

static bool strip_prefix(struct slice *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!slice_starts(*s, prefix))
		return false;
	s->p += n;
	s->len -= n;
	return true;
}

static bool strip_suffix(struct slice *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s->len < n || memcmp(s->p + s->len - n, suffix, n) != 0)
		return false;
	s->len -= n;
	return true;
}

enum { GET = 1 << HTTP_GET | 1 << HTTP_HEAD, POST = 1 << HTTP_POST, DELETE = 1 << HTTP_DELETE };

struct method_row {
	unsigned methods;
	enum endpoint ep;
};

static void pick(struct route *out, enum http_method m, const struct method_row *rows, size_t count,
		 const char *allow)
{
	size_t i;

	out->ep = EP_BAD_METHOD;
	out->allow = allow;
	if (m == HTTP_OPTIONS)
		out->ep = EP_OPTIONS;
	for (i = 0; i < count; i++)
		if (rows[i].methods >> m & 1)
			out->ep = rows[i].ep;
}
#define PICK(out, m, allow, ...) \
	do { \
		static const struct method_row rows_[] = { __VA_ARGS__ }; \
		pick(out, m, rows_, ARRAY_LEN(rows_), allow); \
	} while (0)

/* What follows "/key/": a name, and perhaps a sub-resource with or without one trailing slash. */
static void route_key(struct route *out, enum http_method m, struct slice *rest)
{
	static const struct {
		const char *suffix;
		struct method_row row;
		const char *allow;
	} sub[] = {
		{ "/_metadata", { GET, EP_METADATA }, "OPTIONS,HEAD,GET" },
		{ "/_currentversion", { GET, EP_CURRENT }, "OPTIONS,HEAD,GET" },
		{ "/_versions", { GET, EP_VERSIONS }, "OPTIONS,HEAD,GET" },
		{ "/_eek", { GET, EP_GENERATE }, "OPTIONS,HEAD,GET" },
		{ "/_invalidatecache", { POST, EP_INVALIDATE }, "OPTIONS,POST" },
		{ "/_reencryptbatch", { POST, EP_BATCH }, "OPTIONS,POST" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(sub); i++) {
		struct slice t = *rest;

		if (t.len && t.p[t.len - 1] == '/')
			t.len--;
		if (!strip_suffix(&t, sub[i].suffix))
			continue;
		pick(out, m, &sub[i].row, 1, sub[i].allow);
		*rest = t;
		return;
	}
	PICK(out, m, "OPTIONS,HEAD,GET,POST,DELETE", { GET, EP_METADATA }, { POST, EP_ROLL }, { DELETE, EP_DELETE });
}

static bool is_path(struct slice p, const char *want)
{
	return slice_is(p, want) || (p.len && p.p[p.len - 1] == '/' && slice_is(slice_of(p.p, p.len - 1), want));
}

/* What follows "/kms/v1". */
static void route_v1(struct route *out, enum http_method m, struct slice *p, bool *named)
{
	*named = false;
	if (strip_prefix(p, "/key/")) {
		*named = true;
		route_key(out, m, p);
	} else if (strip_prefix(p, "/keyversion/")) {
		struct slice t = *p;

		*named = true;
		if (t.len && t.p[t.len - 1] == '/')
			t.len--;
		if (strip_suffix(&t, "/_eek")) {
			*p = t;
			PICK(out, m, "OPTIONS,POST", { POST, EP_DECRYPT });
		} else {
			PICK(out, m, "OPTIONS,HEAD,GET", { GET, EP_VERSION });
		}
	} else if (is_path(*p, "/keys/names")) {
		PICK(out, m, "OPTIONS,HEAD,GET", { GET, EP_NAMES });
	} else if (is_path(*p, "/keys/metadata")) {
		PICK(out, m, "OPTIONS,HEAD,GET", { GET, EP_METADATAS });
	} else if (is_path(*p, "/keys")) {
		PICK(out, m, "OPTIONS,POST", { POST, EP_CREATE });
	} else if (p->len == 0 || slice_is(*p, "/")) {
		PICK(out, m, "OPTIONS", { 0, EP_NONE });
	} else {
		out->ep = EP_NOT_FOUND;
	}
}

static const struct {
	const char *path;
	enum endpoint ep;
	bool under_kms;		/* also as /kms<path> */
} pages[] = {
	{ "/attestation", EP_ATTESTATION, true },
	{ "/health", EP_HEALTH, true },	   { "/metrics", EP_METRICS, false }, { "/prom", EP_PROM, false },
	{ "/jmx", EP_JMX, true },	   { "/conf", EP_CONF, true },	      { "/stacks", EP_STACKS, true },
	{ "/", EP_INDEX, false },	   { "/static/index.html", EP_INDEX, false },
	{ "/index.html", EP_INDEX, false }, { "/openapi.json", EP_OPENAPI, false },
};

static bool route_page(struct route *out, enum http_method m, struct slice p)
{
	struct slice under = p;
	size_t i;
	bool kms = strip_prefix(&under, "/kms");

	for (i = 0; i < ARRAY_LEN(pages); i++)
		if (slice_is(p, pages[i].path) || (kms && pages[i].under_kms && slice_is(under, pages[i].path))) {
			out->ep = m == HTTP_GET || m == HTTP_HEAD ? pages[i].ep :
				  m == HTTP_OPTIONS ? EP_OPTIONS : EP_PAGE_METHOD;
			out->allow = "GET,HEAD,OPTIONS";
			return true;
		}
	return false;
}

static const struct {
	const char *name, *method;
} delegations[] = {
	[DELEGATION_GET] = { "GETDELEGATIONTOKEN", "GET" },
	[DELEGATION_RENEW] = { "RENEWDELEGATIONTOKEN", "PUT" },
	[DELEGATION_CANCEL] = { "CANCELDELEGATIONTOKEN", "PUT" },
};

const char *delegation_name(enum delegation d)
{
	return delegations[d].name;
}

const char *delegation_method(enum delegation d)
{
	return delegations[d].method;
}

/* The operations of the authentication filter: on any path that it guards, whatever is there. */
static bool is_delegation(const struct http_request *r, struct route *out)
{
	uint8_t buf[64];
	struct slice op;
	size_t i;

	if (r->method == HTTP_OPTIONS || !r->query.len ||
	    !query_get(r->query, "op", false, buf, sizeof(buf), &op))
		return false;
	for (i = 0; op.p && i < ARRAY_LEN(delegations); i++)
		if (text_is_nocase(op, delegations[i].name)) {
			out->ep = EP_DELEGATION;
			out->delegation = (enum delegation)i;
			return true;
		}
	return false;
}

/* Characters that the reference's container does not take in a path, and "%u". */
static bool raw_ok(struct slice raw)
{
	size_t i;

	for (i = 0; i < raw.len; i++)
		if (memchr("{}\"`", raw.p[i], 4) || (raw.p[i] == '%' && i + 1 < raw.len && raw.p[i + 1] == 'u'))
			return false;
	return true;
}

static void decode_name(struct kms_worker *w, struct slice raw, struct route *out)
{
	size_t len;

	if (!raw_ok(raw)) {
		out->ep = EP_BAD_NAME;
		return;
	}
	if (raw.len > w->decoded_room) {
		uint8_t *bigger = realloc(w->decoded, raw.len);

		if (!bigger) {
			out->ep = EP_NOT_FOUND;
			return;
		}
		w->decoded = bigger;
		w->decoded_room = raw.len;
	}
	if (!percent_decode(raw, false, w->decoded, w->decoded_room, &len)) {
		out->ep = EP_BAD_PATH;
		return;
	}
	out->name = slice_of(w->decoded, len);
}

/* Also where the name of the servlet is percent-encoded. */
static bool under_kms(struct slice p)
{
	uint8_t buf[16];
	size_t n = p.len < sizeof(buf) ? p.len : sizeof(buf), len;

	while (n > 5) {
		if (percent_decode(slice_of(p.p, n), false, buf, sizeof(buf), &len))
			return len >= 5 && memcmp(buf, "/kms/", 5) == 0;
		n--;
	}
	return n == 5 && memcmp(p.p, "/kms/", 5) == 0;
}

static void find(struct kms_worker *w, const struct http_request *r, struct route *out)
{
	struct slice p = drop_matrix(w, r->path);
	bool named = false;

	*out = (struct route){ .ep = EP_OUTSIDE, .name = slice_of("", 0) };
	if (strip_prefix(&p, "/kms/v1") && (p.len == 0 || p.p[0] == '/')) {
		route_v1(out, r->method, &p, &named);
		if (named && out->ep != EP_OPTIONS && out->ep != EP_BAD_METHOD)
			decode_name(w, p, out);
		return;
	}
	p = drop_matrix(w, r->path);
	if (slice_is(p, "/svsm/v1/import")) {
		PICK(out, r->method, "OPTIONS,POST", { POST, EP_IMPORT });
		return;
	}
	if (route_page(out, r->method, p))
		return;
	if (slice_is(p, "/kms") || under_kms(p))
		out->ep = EP_NOT_FOUND;
	else if (slice_starts(p, "/static/"))
		out->ep = EP_MISSING;
}

void route_find(struct kms_worker *w, const struct http_request *r, struct route *out)
{
	find(w, r, out);
	switch (out->ep) {
	case EP_HEALTH:
	case EP_ATTESTATION:
	case EP_METRICS:
	case EP_INDEX:
	case EP_MISSING:
	case EP_BAD_PATH:
		return; /* for everybody: no filter there */
	default:
		(void)!is_delegation(r, out);
	}
}
