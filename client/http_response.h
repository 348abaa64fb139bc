/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict parser of HTTP/1.1 responses. The server is not trusted: a response that two readers
 * could understand differently is refused, never repaired.
 *
 * Refused on purpose: HTTP/1.0 and 1xx, line folding, bare CR or LF, control characters, two lengths
 * or a length beside chunks, codings other than plain chunked, chunk extensions, trailers, and a
 * body whose end is only the end of the connection (a cut could not be told from the whole).
 */
#ifndef CLIENT_HTTP_RESPONSE_H
#define CLIENT_HTTP_RESPONSE_H

#include "client/buf.h"

#define HTTP_HEAD_MAX 65536	/* bytes, status line to empty line */
#define HTTP_HEADERS_MAX 64

enum http_framing {
	HTTP_NO_BODY,
	HTTP_LENGTH,
	HTTP_CHUNKED,
};

struct http_header {
	struct slice name;
	struct slice value;	/* without the white space around it */
};

struct http_head {
	unsigned status;	/* 200..599 */
	struct slice reason;	/* may be empty */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t count;
	bool keep_alive;
	enum http_framing framing;
	uint64_t length;	/* of the body in bytes; HTTP_LENGTH only */
};

/*
 * Parses the head of a response at the start of `in`. The slices point into `in`. `to_head` tells
 * that the request was HEAD, whose answer has no body whatever it says.
 * RC_OK: *out and *used (bytes of the head) are set. RC_BUSY: more bytes are needed. RC_BAD_INPUT:
 * not a response we accept. RC_NO_ROOM: longer than HTTP_HEAD_MAX, or too many headers.
 */
enum rc http_head_parse(struct cursor in, bool to_head, struct http_head *out, size_t *used);

/* The first header of that name (ASCII case ignored), or NULL. */
const struct http_header *http_head_find(const struct http_head *h, const char *name);

/*
 * Does the answer ask for, or go on with, `Negotiate` (RFC 4559)? *token is what stands behind it, Base64, empty if
 * nothing does. A challenge is looked for at the start of each WWW-Authenticate, the only place where servers put it.
 */
MUST_CHECK bool http_negotiate(const struct http_head *h, struct slice *token);

MUST_CHECK bool http_same_word(struct slice a, const char *word);	/* ASCII case ignored */

struct http_body {
	enum http_framing framing;
	unsigned state;
	unsigned digits;
	uint64_t left;
};

void http_body_start(struct http_body *b, const struct http_head *h);

/*
 * Takes from *in what belongs to the body and adds the decoded bytes to *out, whose max is the limit.
 * RC_OK: complete, *in stands behind the body. RC_BUSY: all of *in taken, more needed. RC_BAD_INPUT:
 * malformed. RC_NO_ROOM: larger than out->max. After an error the connection is of no more use.
 */
enum rc http_body_feed(struct http_body *b, struct cursor *in, struct buf *out);

#endif
