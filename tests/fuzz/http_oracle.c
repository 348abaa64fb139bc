/* SPDX-License-Identifier: Apache-2.0 */
/* The http-parser library as a second opinion; a file of its own because both use the same names. */
#include <http_parser.h>

#include "tests/fuzz/http_oracle.h"

struct heard {
	struct slice target;
	uint8_t body[4096];
	size_t body_len;
	bool done;
};

static int on_url(http_parser *p, const char *at, size_t len)
{
	struct heard *h = p->data;

	h->target = slice_of(at, len);
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct heard *h = p->data;

	INVARIANT(len <= sizeof(h->body) - h->body_len);
	memcpy(h->body + h->body_len, at, len);
	h->body_len += len;
	return 0;
}

static int on_complete(http_parser *p)
{
	struct heard *h = p->data;

	INVARIANT(!h->done);
	h->done = true;
	return 0;
}

static struct slice url_part(struct slice target, const struct http_parser_url *u,
			     enum http_parser_url_fields f)
{
	if (!(u->field_set & 1 << f))
		return slice_of("", 0);
	return slice_of(target.p + u->field_data[f].off, u->field_data[f].len);
}

void http_oracle_check(const uint8_t *data, size_t used, const struct http_seen *r)
{
	static const http_parser_settings settings = { .on_url = on_url,
						       .on_body = on_body,
						       .on_message_complete = on_complete };
	static struct heard h;
	struct http_parser_url u;
	http_parser p;
	size_t n;

	h = (struct heard){ 0 };
	http_parser_init(&p, HTTP_REQUEST);
	p.data = &h;
	n = http_parser_execute(&p, &settings, (const char *)data, used);
	INVARIANT(HTTP_PARSER_ERRNO(&p) == HPE_OK && n == used && h.done);
	INVARIANT(slice_is(r->method, http_method_str(p.method)));
	INVARIANT(p.http_major == 1 && p.http_minor == r->minor);
	INVARIANT(slice_eq(r->target, h.target));
	INVARIANT(slice_eq(r->body, slice_of(h.body, h.body_len)));
	if (slice_is(r->target, "*"))
		return;
	http_parser_url_init(&u);
	if (http_parser_parse_url((const char *)h.target.p, h.target.len, 0, &u) != 0)
		return; /* it is stricter about the host of an absolute target, which we do not use */
	INVARIANT(slice_eq(r->path, url_part(h.target, &u, UF_PATH)) ||
		  (!(u.field_set & 1 << UF_PATH) && slice_is(r->path, "/")));
	INVARIANT(slice_eq(r->query, url_part(h.target, &u, UF_QUERY)));
}
