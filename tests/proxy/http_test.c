/* SPDX-License-Identifier: Apache-2.0 */
/* Mostly refusals: whatever two programs could read differently must not get through. */
#include <stdlib.h>

#include "proxy/http.h"
#include "tests/test.h"

#define HOST "Host: kms:9600\r\n"
#define P11 " HTTP/1.1\r\n"

static const struct http_limits limits = { .head_max = HTTP_HEAD_MAX, .body_max = 1000 };
static struct http_request r;
static struct http_parser ps;
static size_t used;

/* The copy stays mapped until the next call, so that the slices in r can be looked at. */
static uint8_t *copy;
static size_t copy_len;

static enum http_result parse_n(const char *text, size_t n)
{
	size_t len = n;

	if (copy)
		test_fence_free(copy, copy_len);
	copy = test_fence(text, n);
	copy_len = n;
	ps = (struct http_parser){ 0 };
	used = 0;
	return http_parse(&ps, &limits, copy, &len, &r, &used);
}

static enum http_result parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static bool refused(const char *text, unsigned status)
{
	return parse(text) == HTTP_BAD && ps.status == status && ps.reason;
}

/* Byte by byte in one buffer, as a slow connection would bring it. */
static enum http_result drip(const char *text, size_t n)
{
	enum http_result res = HTTP_MORE;
	size_t len = 0, i;

	if (copy)
		test_fence_free(copy, copy_len);
	copy = test_fence(text, n);
	copy_len = n;
	memset(copy, 0, n);
	ps = (struct http_parser){ 0 };
	for (i = 0; i < n && res == HTTP_MORE; i++) {
		copy[len++] = (uint8_t)text[i];
		res = http_parse(&ps, &limits, copy, &len, &r, &used);
	}
	return res;
}

static const char post[] = "POST /kms/v1/keyversion/k1%400/_eek?eek_op=decrypt" P11 HOST
			   "Content-Type: application/json\r\nCookie: a=b\r\nX-Empty:\r\nCookie:\tc=d \t\r\n"
			   "Content-Length: 5\r\n\r\nhello";
static const char chunked[] = "PUT /c" P11 HOST "transfer-encoding: Chunked\r\n\r\n"
			      "5\r\nhello\r\n06;ext=\"1\"\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n";

TEST(a_request_is_taken_apart_without_copies)
{
	const struct http_header *h;

	EXPECT(parse(post) == HTTP_DONE);
	EXPECT_INT(used, sizeof(post) - 1);
	EXPECT_INT(r.method, HTTP_POST);
	EXPECT_INT(r.minor, 1);
	EXPECT(r.keep_alive && r.has_query);
	EXPECT(slice_is(r.path, "/kms/v1/keyversion/k1%400/_eek"));
	EXPECT(slice_is(r.query, "eek_op=decrypt"));
	EXPECT(slice_is(r.host, "kms:9600"));
	EXPECT(slice_is(r.body, "hello"));
	EXPECT_INT(r.header_count, 6);
	EXPECT(slice_is(http_header_value(&r, "content-type"), "application/json"));
	EXPECT(slice_is(http_header_value(&r, "x-empty"), ""));
	EXPECT(slice_is(http_header_value(&r, "absent"), ""));
	h = http_header_next(&r, "cookie", NULL);
	EXPECT(h && slice_is(h->value, "a=b"));
	h = http_header_next(&r, "cookie", h);
	EXPECT(h && slice_is(h->value, "c=d"));
	EXPECT(!http_header_next(&r, "cookie", h));
	EXPECT(r.body.p == copy + sizeof(post) - 6);
}

TEST(chunks_are_joined_and_trailers_dropped)
{
	EXPECT(parse(chunked) == HTTP_DONE);
	EXPECT_INT(used, sizeof(chunked) - 1);
	EXPECT(slice_is(r.body, "hello world"));
	EXPECT_INT(r.header_count, 2);
	EXPECT(parse("POST /" P11 HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET") == HTTP_DONE);
	EXPECT_INT(r.body.len, 0);
	EXPECT_INT(copy_len - used, 3);
}

TEST(a_request_in_single_bytes_is_the_same_request)
{
	EXPECT(drip(post, sizeof(post) - 1) == HTTP_DONE);
	EXPECT(used == sizeof(post) - 1 && slice_is(r.body, "hello") && r.header_count == 6);
	EXPECT(drip(chunked, sizeof(chunked) - 1) == HTTP_DONE);
	EXPECT(slice_is(r.body, "hello world") && slice_is(r.path, "/c"));
}

TEST(every_truncation_asks_for_more)
{
	size_t i;

	for (i = 0; i < sizeof(post) - 1; i++)
		EXPECT(parse_n(post, i) == HTTP_MORE);
	for (i = 0; i < sizeof(chunked) - 1; i++)
		EXPECT(parse_n(chunked, i) == HTTP_MORE);
}

TEST(no_length_and_no_encoding_is_an_empty_body_for_every_method)
{
	static const char *const method[] = { "POST", "PUT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH" };
	static const enum http_method is[] = { HTTP_POST, HTTP_PUT,     HTTP_DELETE, HTTP_GET,
					       HTTP_HEAD, HTTP_OPTIONS, HTTP_OTHER };
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(method); i++) {
		snprintf(text, sizeof(text), "%s /" P11 HOST "\r\nnext", method[i]);
		EXPECT(parse(text) == HTTP_DONE);
		EXPECT_INT(r.method, is[i]);
		EXPECT(slice_is(r.method_text, method[i]) && r.body.len == 0 && !r.has_query);
		EXPECT_INT(copy_len - used, 4);
	}
}

TEST(keep_alive_follows_version_and_connection)
{
	static const struct {
		const char *version, *connection;
		bool keep;
	} t[] = {
		{ "1", "", true },
		{ "1", "Connection: close\r\n", false },
		{ "1", "Connection: Upgrade, CLOSE\r\n", false },
		{ "1", "Connection: keep-alive\r\n", true },
		{ "1", "Connection: closed\r\n", true },
		{ "1", "Connection:\r\nConnection: ,close ,\r\n", false },
		{ "0", "", false },
		{ "0", "Connection: Keep-Alive\r\n", true },
		{ "0", "Connection: keep-alive\r\nConnection: close\r\n", false },
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.%s\r\n" HOST "%s\r\n", t[i].version,
			 t[i].connection);
		EXPECT(parse(text) == HTTP_DONE);
		EXPECT_INT(r.keep_alive, t[i].keep);
	}
}

TEST(absolute_targets_give_their_path)
{
	static const char *const t[][3] = {
		{ "http://kms:9600/kms/v1/?a=b", "/kms/v1/", "a=b" },
		{ "HTTPS://[::1]:9600/x", "/x", "" },
		{ "http://kms", "/", "" },
		{ "http://kms?a", "/", "a" },
		{ "/a//b?c?d", "/a//b", "c?d" },
		{ "//kms/x", "//kms/x", "" },
	};
	char text[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "GET %s" P11 HOST "\r\n", t[i][0]);
		EXPECT(parse(text) == HTTP_DONE);
		EXPECT(slice_is(r.target, t[i][0]) && slice_is(r.path, t[i][1]) &&
		       slice_is(r.query, t[i][2]));
	}
	EXPECT(parse("OPTIONS *" P11 HOST "\r\n") == HTTP_DONE);
	EXPECT(slice_is(r.path, "*"));
}

TEST(bad_targets_are_refused)
{
	static const char *const t[] = { "*",        "kms",          "http:/x", "http://", "http:///x",
					 "ftp://a/", "http://u@h/x", "/a#b",    "/a\tb",   "/a\x7f",
					 "",         "/a\x01",       "?x",      "/a b",    "http://a,b/" };
	char text[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "GET %s" P11 HOST "\r\n", t[i]);
		EXPECT(refused(text, 400));
	}
	EXPECT(refused("CONNECT kms:443" P11 HOST "\r\n", 501));
}

TEST(two_readings_of_the_length_are_refused)
{
	static const char *const t[] = {
		"Content-Length: 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Content-Length: 5, 5\r\n",
		"Content-Length: +5\r\n",
		"Content-Length: -5\r\n",
		"Content-Length: 5 5\r\n",
		"Content-Length: 0x5\r\n",
		"Content-Length: 5.0\r\n",
		"Content-Length:\r\n",
		"Content-Length: \"5\"\r\n",
		"Content-Length: 99999999999999999999x\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length : 5\r\n",
		"Content-Length\t: 5\r\n",
		" Content-Length: 5\r\n",
		"A: b\r\n Content-Length: 5\r\n",
		"A: b\r\n\tc\r\n",
		"A: b\nContent-Length: 5\r\n",
		"A: b\rContent-Length: 5\r\n",
		"A: b\r\r\n",
		"A: b\x0b\r\n",
		"A: b\x7f\r\n",
		": b\r\n",
		"A\r\n",
		"A b: c\r\n",
		"A\xc3\xa4: c\r\n",
		"A(: c\r\n",
		HOST,
		"Host: \r\n",
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "POST /" P11 HOST "%s\r\nhello", t[i]);
		EXPECT(refused(text, 400));
	}
	EXPECT(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400));
}

TEST(other_transfer_encodings_are_not_implemented)
{
	static const char *const t[] = { "gzip", "gzip, chunked", "chunked, gzip", "identity",
					 "",     "xchunked",      "chunked;q=1",   "\"chunked\"" };
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "POST /" P11 HOST "Transfer-Encoding: %s\r\n\r\n", t[i]);
		EXPECT(refused(text, 501));
	}
}

TEST(one_host_without_tricks_is_required)
{
	static const char *const t[] = { "a b", "a,b", "a/b", "u@h", "a\\b", "a?b", "a\xc3\xa4", "a#b" };
	char text[128];
	size_t i;

	EXPECT(refused("GET /" P11 "\r\n", 400));
	EXPECT(parse("GET / HTTP/1.0\r\n\r\n") == HTTP_DONE);
	EXPECT(parse("GET /" P11 "Host:\r\n\r\n") == HTTP_DONE);
	EXPECT(parse("GET /" P11 "hOST: [2001:db8::1%25eth0]:9600\r\n\r\n") == HTTP_DONE);
	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "GET /" P11 "Host: %s\r\n\r\n", t[i]);
		EXPECT(refused(text, 400));
	}
}

TEST(versions_other_than_1_0_and_1_1_are_refused)
{
	EXPECT(refused("GET / HTTP/2.0\r\n\r\n", 505));
	EXPECT(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400));
	EXPECT(refused("GET / HTTP/1.2\r\n\r\n", 505));
	EXPECT(refused("GET / HTTP/0.9\r\n\r\n", 505));
	EXPECT(refused("GET /\r\n\r\n", 400));
	EXPECT(refused("GET / \r\n\r\n", 400));
	EXPECT(refused("GET / http/1.1\r\n" HOST "\r\n", 400));
	EXPECT(refused("GET / HTTP/1.1 \r\n" HOST "\r\n", 400));
	EXPECT(refused("GET / HTTP/11\r\n" HOST "\r\n", 400));
	EXPECT(refused("GET / HTTP/1.10\r\n" HOST "\r\n", 400));
	EXPECT(refused("GET / XTTP", 400));
	EXPECT(refused("GET / HTTP/1.1\n" HOST "\r\n", 400));
	EXPECT(refused("GET  / HTTP/1.1\r\n" HOST "\r\n", 400));
	EXPECT(refused("GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400));
}

TEST(garbage_in_front_is_refused)
{
	static const char nul_target[] = "GET /\0 HTTP/1.1\r\n" HOST "\r\n";
	static const char nul_value[] = "GET / HTTP/1.1\r\n" HOST "A: \0b\r\n\r\n";

	EXPECT(parse_n("\x16\x03\x01\x02\x00\x01", 6) == HTTP_BAD);
	EXPECT(refused(" GET / HTTP/1.1\r\n", 400));
	EXPECT(refused("get / HTTP/1.1\r\n", 400));
	EXPECT(refused("G_T / HTTP/1.1\r\n", 400));
	EXPECT(refused("\nGET / HTTP/1.1\r\n", 400));
	EXPECT(refused("\r\n\r\nGET / HTTP/1.1\r\n", 400));
	EXPECT(refused("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 501));
	EXPECT(parse("\r\nGET /" P11 HOST "\r\n") == HTTP_DONE);
	EXPECT(parse_n(nul_target, sizeof(nul_target) - 1) == HTTP_BAD);
	EXPECT(parse_n(nul_value, sizeof(nul_value) - 1) == HTTP_BAD);
}

TEST(bad_chunks_are_refused)
{
	static const struct {
		const char *body;
		unsigned status;
	} t[] = {
		{ "g\r\n", 400 },
		{ "\r\n", 400 },
		{ "-1\r\n", 400 },
		{ "+1\r\n", 400 },
		{ "0x1\r\n", 400 },
		{ " 1\r\n", 400 },
		{ "1 \r\n", 400 },
		{ "1\n", 400 },
		{ "1\r\r\n", 400 },
		{ "1;a\rb\r\n", 400 },
		{ "1;a\nb\r\nx\r\n0\r\n\r\n", 400 },
		{ "1\r\nab\r\n", 400 },
		{ "1\r\na\n", 400 },
		{ "1\r\na\rb", 400 },
		{ "3e9\r\n", 413 },
		{ "ffffffffffffffff\r\n", 413 },
		{ "3e8;x\r\n", 0 },
		{ "10000000000000000\r\n", 400 },
		{ "00000000000000001\r\n", 400 },
		{ "1\r\na\r\nffffffffffffffff\r\n", 413 },
		{ "0\r\nContent-Length: 5\r\n\r\n", 400 },
		{ "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "0\r\n folded\r\n\r\n", 400 },
		{ "0\r\nA : b\r\n\r\n", 400 },
		{ "0\r\n\n", 400 },
		{ "0\r\nA: b\n\r\n", 400 },
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		snprintf(text, sizeof(text), "POST /" P11 HOST "Transfer-Encoding: chunked\r\n\r\n%s",
			 t[i].body);
		if (t[i].status)
			EXPECT(refused(text, t[i].status));
		else
			EXPECT(parse(text) == HTTP_MORE);
	}
}

TEST(endless_chunk_lines_and_trailers_are_refused)
{
	char text[16384];
	size_t n;

	n = (size_t)snprintf(text, sizeof(text), "POST /" P11 HOST "Transfer-Encoding: chunked\r\n\r\n1;");
	memset(text + n, 'x', 300);
	EXPECT(parse_n(text, n + 200) == HTTP_MORE);
	EXPECT(parse_n(text, n + 300) == HTTP_BAD && ps.status == 400);
	n = (size_t)snprintf(text, sizeof(text),
			     "POST /" P11 HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nA: ");
	memset(text + n, 'x', 9000);
	EXPECT(parse_n(text, n + 8000) == HTTP_MORE);
	EXPECT(parse_n(text, n + 9000) == HTTP_BAD && ps.status == 431);
	for (; n < sizeof(text) - 7; n += 7)
		memcpy(text + n, "x\r\nA: b", 7);
	EXPECT(parse_n(text, n) == HTTP_BAD && ps.status == 431);
}

TEST(sizes_are_limited)
{
	static char text[HTTP_HEAD_MAX + 1000];
	size_t n, i;

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	EXPECT(parse_n(text, HTTP_HEAD_MAX - 1) == HTTP_MORE);
	EXPECT(parse_n(text, HTTP_HEAD_MAX) == HTTP_BAD && ps.status == 414);
	n = (size_t)snprintf(text, sizeof(text), "GET /" P11 HOST "A: ");
	text[n] = 'a';
	EXPECT(parse_n(text, HTTP_HEAD_MAX - 1) == HTTP_MORE);
	EXPECT(parse_n(text, HTTP_HEAD_MAX + 1) == HTTP_BAD && ps.status == 431);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	EXPECT(parse_n(text, HTTP_HEAD_MAX) == HTTP_DONE);
	EXPECT_INT(used, HTTP_HEAD_MAX);
	memcpy(text + HTTP_HEAD_MAX - 4, "a\r\n\r\n", 5);
	EXPECT(parse_n(text, HTTP_HEAD_MAX + 1) == HTTP_BAD && ps.status == 431);

	n = (size_t)snprintf(text, sizeof(text), "GET /" P11 HOST);
	for (i = 1; i < HTTP_HEADERS_MAX; i++, n += 5)
		memcpy(text + n, "A:b\r\n", 5);
	memcpy(text + n, "\r\n", 2);
	EXPECT(parse_n(text, n + 2) == HTTP_DONE);
	EXPECT_INT(r.header_count, HTTP_HEADERS_MAX);
	memcpy(text + n, "A:b\r\n\r\n", 7);
	EXPECT(parse_n(text, n + 7) == HTTP_BAD && ps.status == 431);

	EXPECT(parse("POST /" P11 HOST "Content-Length: 1000\r\n\r\n") == HTTP_MORE);
	EXPECT(parse("POST /" P11 HOST "Content-Length: 0001000\r\n\r\n") == HTTP_MORE);
	EXPECT(refused("POST /" P11 HOST "Content-Length: 1001\r\n\r\n", 413));
	EXPECT(refused("POST /" P11 HOST "Content-Length: 18446744073709551616\r\n\r\n", 413));
	EXPECT(refused("POST /" P11 HOST "Content-Length: 184467440737095516160000000000\r\n\r\n", 413));
}

TEST(a_body_in_tiny_chunks_takes_no_more_room_than_its_bytes)
{
	static const char head[] = "POST /" P11 HOST "Transfer-Encoding: chunked\r\n\r\n";
	uint8_t buf[sizeof(head) + 1000 + 16];
	size_t len = sizeof(head) - 1, i;

	memcpy(buf, head, len);
	ps = (struct http_parser){ 0 };
	for (i = 0; i < 1000; i++) {
		EXPECT(len + 6 <= sizeof(buf));
		memcpy(buf + len, "1\r\na\r\n", 6);
		len += 6;
		EXPECT(http_parse(&ps, &limits, buf, &len, &r, &used) == HTTP_MORE);
		EXPECT(len < sizeof(head) + i + 2);
	}
	memcpy(buf + len, "0\r\n\r\n", 5);
	len += 5;
	EXPECT(http_parse(&ps, &limits, buf, &len, &r, &used) == HTTP_DONE);
	EXPECT(r.body.len == 1000 && r.body.p[999] == 'a' && used == len);
}

TEST(expectations_are_told_to_the_server)
{
	EXPECT(parse("POST /" P11 HOST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n") == HTTP_MORE);
	EXPECT(ps.expect && http_in_body(&ps) && http_total(&ps) == copy_len + 3);
	EXPECT(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n") == HTTP_MORE);
	EXPECT(!ps.expect);
	EXPECT(refused("POST /" P11 HOST "Expect: miracles\r\n\r\n", 417));
}

TEST(the_parser_is_ready_for_the_next_request)
{
	static const struct http_parser fresh;

	EXPECT(drip(chunked, sizeof(chunked) - 1) == HTTP_DONE);
	EXPECT_MEM(&ps, &fresh, sizeof(ps));
}
