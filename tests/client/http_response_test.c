/* SPDX-License-Identifier: Apache-2.0 */
/* The response parser: what it must refuse, and that no cut of a good response is taken for a whole. */
#include "client/http_response.h"
#include "tests/test.h"

#include <stdio.h>

#define BODY_MAX 4096

static enum rc read_all(const void *p, size_t len, struct buf *body, struct http_head *h)
{
	struct cursor in = cur_of(p, len);
	struct http_body b;
	size_t used;
	enum rc rc = http_head_parse(in, false, h, &used);

	if (rc != RC_OK)
		return rc;
	in.at += used;
	in.left -= used;
	http_body_start(&b, h);
	rc = http_body_feed(&b, &in, body);
	return rc == RC_OK && in.left ? RC_BAD_INPUT : rc;
}

static enum rc verdict(const char *text)
{
	uint8_t *p = test_fence(text, strlen(text));
	BUF body = { .max = BODY_MAX };
	struct http_head h;
	enum rc rc = read_all(p, strlen(text), &body, &h);

	test_fence_free(p, strlen(text));
	return rc;
}

static const char good_length[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{ }\n";
static const char good_chunks[] = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX: \r\n\r\n"
				  "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n";

TEST(a_body_with_a_length_and_one_in_chunks_are_read)
{
	BUF body = { .max = BODY_MAX };
	struct http_head h;

	EXPECT(read_all(good_length, sizeof(good_length) - 1, &body, &h) == RC_OK);
	EXPECT_INT(h.status, 200);
	EXPECT(slice_is(h.reason, "OK"));
	EXPECT(h.keep_alive);
	EXPECT_STR(buf_text(&body), "{ }\n");
	EXPECT(slice_is(http_head_find(&h, "content-TYPE")->value, "application/json"));
	EXPECT(http_head_find(&h, "content") == NULL);
	buf_clear(&body);
	EXPECT(read_all(good_chunks, sizeof(good_chunks) - 1, &body, &h) == RC_OK);
	EXPECT_STR(buf_text(&body), "abc0123456789");
}

TEST(every_truncation_of_a_good_response_asks_for_more)
{
	static const char *const good[] = { good_length, good_chunks };
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		for (n = 0; n < strlen(good[i]); n++) {
			uint8_t *p = test_fence(good[i], n);
			BUF body = { .max = BODY_MAX };
			struct http_head h;

			EXPECT(read_all(p, n, &body, &h) == RC_BUSY);
			test_fence_free(p, n);
		}
	}
}

TEST(a_response_fed_byte_by_byte_is_the_same)
{
	size_t len = sizeof(good_chunks) - 1, used, i;
	BUF body = { .max = BODY_MAX };
	struct http_head h;
	struct http_body b;

	EXPECT(http_head_parse(cur_of(good_chunks, len), false, &h, &used) == RC_OK);
	http_body_start(&b, &h);
	for (i = used; i < len; i++) {
		struct cursor one = cur_of(good_chunks + i, 1);

		EXPECT(http_body_feed(&b, &one, &body) == (i + 1 == len ? RC_OK : RC_BUSY));
	}
	EXPECT_STR(buf_text(&body), "abc0123456789");
}

TEST(what_two_readers_could_read_differently_is_refused)
{
	static const char *const bad[] = {
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n1",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n1",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
		"HTTP/1.1 200 O\x01K\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n",
		"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(verdict(bad[i]) == RC_BAD_INPUT);
}

TEST(malformed_chunks_are_refused)
{
	static const char *const bad[] = {
		"\r\n",
		"g\r\n",
		"-1\r\n",
		"0x1\r\na\r\n0\r\n\r\n",
		" 1\r\na\r\n0\r\n\r\n",
		"1 \r\na\r\n0\r\n\r\n",
		"1;x=y\r\na\r\n0\r\n\r\n",
		"1\na\r\n0\r\n\r\n",
		"1\r\nab\r\n0\r\n\r\n",
		"1\r\na0\r\n\r\n",
		"0\r\nX: y\r\n\r\n",
		"000000001\r\n",
		"0\r\n\r\nmore",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		char text[256];

		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s",
			 bad[i]);
		EXPECT(verdict(text) == RC_BAD_INPUT);
	}
}

TEST(a_body_over_the_limit_is_refused_before_it_is_stored)
{
	EXPECT(verdict("HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n") == RC_NO_ROOM);
	EXPECT(verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n") == RC_NO_ROOM);
	EXPECT(verdict("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1000\r\n") ==
	       RC_NO_ROOM);
	EXPECT(verdict("HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n") == RC_BUSY);
}

TEST(a_head_without_end_is_refused_at_the_limit)
{
	static char big[HTTP_HEAD_MAX + 100];
	struct http_head h;
	size_t used;

	memset(big, 'a', sizeof(big));
	memcpy(big, "HTTP/1.1 200 ", 13);
	EXPECT(http_head_parse(cur_of(big, HTTP_HEAD_MAX), false, &h, &used) == RC_BUSY);
	EXPECT(http_head_parse(cur_of(big, HTTP_HEAD_MAX + 1), false, &h, &used) == RC_NO_ROOM);
}

TEST(too_many_headers_are_refused)
{
	BUF b = { .max = 65536 };
	struct http_head h;
	size_t used;
	int i;

	buf_str(&b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (i = 1; i < HTTP_HEADERS_MAX; i++)
		buf_str(&b, "a: b\r\n");
	buf_str(&b, "\r\n");
	EXPECT(http_head_parse(cur_of(b.p, b.len), false, &h, &used) == RC_OK);
	b.len -= 2;
	buf_str(&b, "a: b\r\n\r\n");
	EXPECT(http_head_parse(cur_of(b.p, b.len), false, &h, &used) == RC_NO_ROOM);
}

TEST(answers_that_have_no_body_need_no_length)
{
	static const char none[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
	struct http_head h;
	size_t used;

	EXPECT(http_head_parse(cur_of(none, sizeof(none) - 1), false, &h, &used) == RC_OK);
	EXPECT(h.framing == HTTP_NO_BODY && !h.keep_alive);
	EXPECT(http_head_parse(cur_of(head, sizeof(head) - 1), true, &h, &used) == RC_OK);
	EXPECT(h.framing == HTTP_NO_BODY);
}

static const char *challenge(const char *headers)
{
	static char text[1024];
	static char found[128];
	struct http_head h;
	struct slice token;
	size_t used;

	snprintf(text, sizeof(text), "HTTP/1.1 401 Unauthorized\r\n%sContent-Length: 0\r\n\r\n", headers);
	EXPECT(http_head_parse(cur_of(text, strlen(text)), false, &h, &used) == RC_OK);
	if (!http_negotiate(&h, &token))
		return "no";
	EXPECT(token.len < sizeof(found) - 3);
	snprintf(found, sizeof(found), "[%.*s]", (int)token.len, (const char *)token.p);
	return found;
}

TEST(negotiate_is_found_with_and_without_a_token_and_beside_other_schemes)
{
	EXPECT_STR(challenge("WWW-Authenticate: Negotiate\r\n"), "[]");
	EXPECT_STR(challenge("www-authenticate: NEGOTIATE\r\n"), "[]");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiate YWJj+/==\r\n"), "[YWJj+/==]");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiate   YWJj  \r\n"), "[YWJj]");
	EXPECT_STR(challenge("WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Negotiate\r\n"), "[]");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiate, Basic realm=\"x\"\r\n"), "[]");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiate YWJj, Basic\r\n"), "[YWJj]");
}

TEST(what_only_looks_like_negotiate_is_not)
{
	EXPECT_STR(challenge(""), "no");
	EXPECT_STR(challenge("WWW-Authenticate:\r\n"), "no");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiated\r\n"), "no");
	EXPECT_STR(challenge("WWW-Authenticate: Negotiat\r\n"), "no");
	EXPECT_STR(challenge("WWW-Authenticate: Basic Negotiate\r\n"), "no");
	EXPECT_STR(challenge("X-WWW-Authenticate: Negotiate\r\n"), "no");
	EXPECT_STR(challenge("Proxy-Authenticate: Negotiate\r\n"), "no");
}
