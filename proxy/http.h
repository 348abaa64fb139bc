/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x request parser: strict, incremental, without copies.
 *
 * Trusts nothing. The danger is that somebody in front of us (a load balancer, a filter) and we see
 * different requests in the same bytes, so whatever leaves room for two readings is refused, and
 * after a refusal the connection must be closed. Lines end in CR LF only; one Content-Length of
 * digits or one "Transfer-Encoding: chunked", never both; no folded lines, no white space around
 * names, no control bytes; one Host. A request with neither length nor encoding has an empty body,
 * whatever its method.
 *
 * Always holds: nothing outside buf[0..len) is read or written; the work for a request is linear in
 * its size however it is cut into pieces.
 */
#ifndef PROXY_HTTP_H
#define PROXY_HTTP_H

#include "base/base.h"

#define HTTP_HEADERS_MAX 100
#define HTTP_HEAD_MAX 65536 /* the usual head_max, bytes */

enum http_method {
	HTTP_OTHER, /* a well-formed method we have no use for; see method_text */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
};

struct http_header {
	struct slice name;  /* as sent; compare with http_name_is() */
	struct slice value; /* without white space around it; may be empty; bytes >= 0x80 possible */
};

/* All slices point into the buffer that was parsed, or to constants. Nothing is decoded. */
struct http_request {
	enum http_method method;
	uint8_t minor;   /* HTTP/1.<minor>: 0 or 1 */
	bool keep_alive; /* the client lets us keep the connection */
	bool has_query;  /* there was a '?', even with nothing behind it */
	struct slice method_text;
	struct slice target; /* as sent: origin form, absolute form, or "*" */
	struct slice path;   /* begins with '/', or is "*" */
	struct slice query;  /* without the '?' */
	struct slice host;   /* may be empty */
	struct slice body;   /* chunks already joined */
	size_t header_count;
	struct http_header header[HTTP_HEADERS_MAX]; /* only header_count are set */
};

struct http_limits {
	size_t head_max; /* bytes of request line and headers together: 414 or 431 */
	size_t body_max; /* bytes of the decoded body: 413 */
};

enum http_result {
	HTTP_MORE, /* well-formed so far; come again with more bytes */
	HTTP_DONE, /* *request and *consumed are set */
	HTTP_BAD,  /* answer with parser->status and parser->reason, then close */
};

/* Where a request was left off. All zero: at the start of a request. Private but for what is said. */
struct http_parser {
	uint8_t phase;
	bool in_headers;
	bool expect;        /* after HTTP_MORE: the client waits for "100 Continue"; reader clears it */
	uint16_t status;    /* after HTTP_BAD: 400 .. 505 */
	const char *reason; /* after HTTP_BAD: a constant text, why */
	size_t scanned;     /* bytes known to hold no end of the head */
	size_t head_len;
	size_t body_len; /* Content-Length, or bytes decoded so far */
	size_t at;       /* chunked: offset of the next encoded byte */
	size_t chunk_left;
	size_t trailer_len;
};

/* The head is complete and the body is not: for choosing a time limit. */
static inline bool http_in_body(const struct http_parser *ps)
{
	return ps->phase != 0;
}

/* How many bytes the whole request has, or 0 while unknown; at most head_max + body_max. */
static inline size_t http_total(const struct http_parser *ps)
{
	return ps->phase == 1 ? ps->head_len + ps->body_len : 0;
}

/*
 * Parses the request that begins at buf[0]; *len bytes are there. Call again with the same bytes and
 * more behind them after HTTP_MORE; the buffer may move meanwhile. Chunks are joined in place, so buf
 * is written to, and *len may shrink when HTTP_MORE is returned.
 * On HTTP_DONE *consumed is the length of the request (a pipelined one may follow) and *ps is zeroed
 * for the next. `request` may have been written to whatever the result.
 */
enum http_result http_parse(struct http_parser *ps, const struct http_limits *limits, uint8_t *buf,
			    size_t *len, struct http_request *request, size_t *consumed);

/* Compares a header's name, or a keyword in a value, with one in lower case, ignoring case. */
MUST_CHECK static inline bool http_name_is(struct slice name, const char *lower)
{
	size_t i;

	if (name.len != strlen(lower))
		return false;
	for (i = 0; i < name.len; i++) {
		uint8_t c = name.p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c != (uint8_t)lower[i])
			return false;
	}
	return true;
}

/* The first header of that name (lower case) behind `after` (NULL: from the start), or NULL. */
MUST_CHECK static inline const struct http_header *
http_header_next(const struct http_request *r, const char *lower, const struct http_header *after)
{
	const struct http_header *h = after ? after + 1 : r->header;

	for (; h < r->header + r->header_count; h++)
		if (http_name_is(h->name, lower))
			return h;
	return NULL;
}

/* The value of the first header of that name; empty when there is none. */
static inline struct slice http_header_value(const struct http_request *r, const char *lower)
{
	const struct http_header *h = http_header_next(r, lower, NULL);

	return h ? h->value : slice_of("", 0);
}

#endif
