/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a response read in one piece and the same response read in two pieces must come to
 * the same verdict and the same body. The first byte of the input says where to cut.
 */
#include "client/http_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 4096

static enum rc read_whole(struct cursor in, struct buf *body, unsigned *status)
{
	struct http_head head;
	struct http_body b;
	struct slice token;
	size_t used;
	enum rc rc = http_head_parse(in, false, &head, &used);

	if (rc != RC_OK)
		return rc;
	INVARIANT(used <= in.left && head.count <= HTTP_HEADERS_MAX);
	if (http_negotiate(&head, &token) && token.len)
		INVARIANT(token.p > in.at && token.p + token.len < in.at + used && !memchr(token.p, ' ', token.len));
	in.at += used;
	in.left -= used;
	*status = head.status;
	http_body_start(&b, &head);
	return http_body_feed(&b, &in, body);
}

static enum rc read_cut(struct cursor in, size_t cut, struct buf *body, unsigned *status)
{
	struct cursor first = { .at = in.at, .left = cut };
	struct http_head head;
	struct http_body b;
	size_t used;
	enum rc rc = http_head_parse(first, false, &head, &used);

	if (rc == RC_BUSY)
		return read_whole(in, body, status);
	if (rc != RC_OK)
		return rc;
	*status = head.status;
	first.at += used;
	first.left -= used;
	http_body_start(&b, &head);
	rc = http_body_feed(&b, &first, body);
	if (rc != RC_BUSY)
		return rc;
	INVARIANT(first.left == 0);
	in.at += cut;
	in.left -= cut;
	return http_body_feed(&b, &in, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BUF one = { .max = BODY_MAX };
	BUF two = { .max = BODY_MAX };
	unsigned s1 = 0, s2 = 0;
	enum rc r1, r2;
	size_t cut;

	if (size < 1)
		return 0;
	cut = (size - 1) * data[0] / 256;
	r1 = read_whole(cur_of(data + 1, size - 1), &one, &s1);
	r2 = read_cut(cur_of(data + 1, size - 1), cut, &two, &s2);
	INVARIANT(r1 == r2 && s1 == s2);
	if (r1 == RC_OK)
		INVARIANT(one.len == two.len && (one.len == 0 || memcmp(one.p, two.p, one.len) == 0));
	return 0;
}
