/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three properties of the request parser on any bytes: it stays inside its buffer; it sees the same
 * request however the bytes are cut into pieces; and where the http-parser library is installed, what
 * we accept it accepts too, as the same request. (It may accept more: we are the strict one.)
 */
#include <stdlib.h>

#include "proxy/http.h"

#ifdef HAVE_HTTP_PARSER
#include "tests/fuzz/http_oracle.h"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = { .head_max = 4096, .body_max = 2048 };

static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *p = malloc(size ? size : 1);

	if (!p)
		abort();
	if (size)
		memcpy(p, data, size);
	return p;
}

static bool same_request(const struct http_request *a, const struct http_request *b)
{
	size_t i;

	for (i = 0; i < a->header_count && i < b->header_count; i++)
		if (!slice_eq(a->header[i].name, b->header[i].name) ||
		    !slice_eq(a->header[i].value, b->header[i].value))
			return false;
	return a->method == b->method && a->minor == b->minor && a->keep_alive == b->keep_alive &&
	       a->has_query == b->has_query && a->header_count == b->header_count &&
	       slice_eq(a->method_text, b->method_text) && slice_eq(a->target, b->target) &&
	       slice_eq(a->path, b->path) && slice_eq(a->query, b->query) && slice_eq(a->host, b->host) &&
	       slice_eq(a->body, b->body);
}

/* Feeds the bytes in pieces; the buffer is exactly as large as what is in it and moves each time. */
static void in_pieces(const uint8_t *data, size_t size, size_t step, const struct http_request *want,
		      size_t used)
{
	struct http_parser ps = { 0 };
	static struct http_request r;
	size_t fed = 0, len = 0, consumed = 0, n;
	enum http_result res = HTTP_MORE;
	uint8_t *buf = copy_of(data, 0);

	while (res == HTTP_MORE && fed < size) {
		n = size - fed < step ? size - fed : step;
		uint8_t *next = malloc(len + n);

		if (!next)
			abort();
		memcpy(next, buf, len);
		memcpy(next + len, data + fed, n);
		free(buf);
		buf = next;
		fed += n;
		len += n;
		res = http_parse(&ps, &limits, buf, &len, &r, &consumed);
		INVARIANT(res != HTTP_MORE || len <= limits.head_max + limits.body_max + 8192 + 256 + step);
	}
	if (want) {
		INVARIANT(res == HTTP_DONE && consumed <= len && fed - (len - consumed) == used);
		INVARIANT(same_request(want, &r));
	} else {
		INVARIANT(res != HTTP_DONE);
		INVARIANT(res != HTTP_BAD || (ps.status >= 400 && ps.reason));
	}
	free(buf);
}

#ifdef HAVE_HTTP_PARSER
/*
 * Requests the library cannot judge: it knows only some methods, and takes every name that merely
 * begins with Transfer-Encoding for that header.
 */
static bool oracle_can_judge(const struct http_request *r)
{
	static const char name[] = "transfer-encoding";
	size_t i, n = strlen(name);

	for (i = 0; i < r->header_count; i++) {
		struct slice s = r->header[i].name;

		if (s.len > n && http_name_is(slice_of(s.p, n), name))
			return false;
	}
	return r->method != HTTP_OTHER;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser ps = { 0 };
	static struct http_request r;
	uint8_t *buf = copy_of(data, size);
	size_t len = size, used = 0, step;
	enum http_result res = http_parse(&ps, &limits, buf, &len, &r, &used);

	INVARIANT(res != HTTP_DONE || (used <= size && used > 0));
	INVARIANT(res != HTTP_BAD || (ps.status >= 400 && ps.status <= 505 && ps.reason));
	for (step = 1; step < 64; step = step * 3 + 1)
		in_pieces(data, size, step, res == HTTP_DONE ? &r : NULL, used);
#ifdef HAVE_HTTP_PARSER
	if (res == HTTP_DONE && oracle_can_judge(&r))
		http_oracle_check(
			data, used,
			&(struct http_seen){ r.minor, r.method_text, r.target, r.path, r.query, r.body });
#endif
	free(buf);
	return 0;
}
