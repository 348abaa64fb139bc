/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any method, path and query: the route is one there is, a decoded name is no longer than what it was
 * decoded from, and a query's parameters are found the same way alone and in a walk.
 */
#include <stdlib.h>

#include "proxy/kms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *copy_of(const uint8_t *p, size_t n)
{
	uint8_t *q = malloc(n ? n : 1);

	if (!q)
		abort();
	if (n)
		memcpy(q, p, n);
	return q;
}

static void check_query(struct slice query, const char *name, bool ignore_case, size_t room)
{
	uint8_t *a = copy_of(NULL, 0), *b = malloc(room ? room : 1);
	struct slice first = slice_of("", 0), walked = slice_of("", 0);
	size_t at = 0;
	bool got, there;

	free(a);
	a = malloc(room ? room : 1);
	if (!a || !b)
		abort();
	got = query_get(query, name, ignore_case, a, room, &first);
	there = query_next(query, &at, name, ignore_case, b, room, &walked);
	INVARIANT(got == there);
	if (got) {
		INVARIANT((first.p == NULL) == (walked.p == NULL) && first.len == walked.len && first.len <= room);
		INVARIANT(!first.len || memcmp(first.p, walked.p, first.len) == 0);
	}
	while (query_next(query, &at, name, ignore_case, b, room, &walked))
		INVARIANT(at <= query.len + 1);
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kms_worker w = { 0 };
	struct http_request r = { .path = slice_of("/", 1), .query = slice_of("", 0) };
	const uint8_t *mark;
	uint8_t *path, *query;
	struct route route;
	size_t n;

	if (size < 1)
		return 0;
	r.method = (enum http_method)(data[0] % (HTTP_OPTIONS + 1));
	mark = memchr(data + 1, '?', size - 1);
	n = mark ? (size_t)(mark - data - 1) : size - 1;
	if (n == 0 || data[1] != '/')
		return 0;	/* the parser sees to that */
	path = copy_of(data + 1, n);
	query = copy_of(mark ? mark + 1 : NULL, mark ? size - n - 2 : 0);
	r.path = slice_of(path, n);
	r.query = slice_of(query, mark ? size - n - 2 : 0);
	r.has_query = mark != NULL;
	route_find(&w, &r, &route);
	INVARIANT(route.ep > EP_NONE && route.ep < EP_COUNT);
	INVARIANT(route.name.len <= n);
	INVARIANT(route.ep != EP_BAD_METHOD || route.allow);
	check_query(r.query, "user.name", false, 16);
	check_query(r.query, "doas", true, 3);
	check_query(r.query, "key", false, 1025);
	check_query(r.query, "op", false, 0);
	outbuf_free(&w.scratch);
	free(w.decoded);
	free(path);
	free(query);
	return 0;
}
