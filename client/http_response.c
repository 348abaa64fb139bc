/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP responses from a server we do not trust; see http_response.h. Nothing is read past its end. */
#include "client/http_response.h"

#define CHUNK_DIGITS_MAX 8

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool http_same_word(struct slice a, const char *word)
{
	size_t i;

	if (a.len != strlen(word))
		return false;
	for (i = 0; i < a.len; i++) {
		if (lower(a.p[i]) != lower((uint8_t)word[i]))
			return false;
	}
	return true;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* tchar of RFC 9110 section 5.6.2 */
static bool is_token(uint8_t c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* line := text* CR LF. RC_BUSY when the input ends first. */
static enum rc take_line(struct cursor *in, struct slice *line)
{
	struct cursor t = *in;
	const uint8_t *start = t.at;
	uint8_t c, lf;

	while (cur_u8(&t, &c)) {
		if (is_text(c))
			continue;
		if (c != '\r')
			return RC_BAD_INPUT;
		if (!cur_u8(&t, &lf))
			return RC_BUSY;
		if (lf != '\n')
			return RC_BAD_INPUT;
		*line = slice_of(start, (size_t)(t.at - start) - 2);
		*in = t;
		return RC_OK;
	}
	return RC_BUSY;
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* status-line := "HTTP/1.1 " 3DIGIT [SP reason] */
static bool parse_status(struct slice line, struct http_head *h)
{
	struct cursor c = cur_of(line.p, line.len);
	struct slice version, code;
	uint8_t space;

	if (!cur_sub(&c, 9, &version) || !slice_is(version, "HTTP/1.1 ") || !cur_sub(&c, 3, &code))
		return false;
	if (!is_digit(code.p[0]) || !is_digit(code.p[1]) || !is_digit(code.p[2]))
		return false;
	h->status = (unsigned)(code.p[0] - '0') * 100 + (unsigned)(code.p[1] - '0') * 10 +
		    (unsigned)(code.p[2] - '0');
	if (h->status < 200 || h->status > 599)
		return false;
	if (!cur_end(&c) && (!cur_u8(&c, &space) || space != ' '))
		return false;
	h->reason = slice_of(c.at, c.left);
	return true;
}

static bool parse_header(struct slice line, struct http_header *out)
{
	size_t i;

	for (i = 0; i < line.len && is_token(line.p[i]); i++)
		;
	if (i == 0 || i == line.len || line.p[i] != ':')
		return false;
	out->name = slice_of(line.p, i);
	out->value = trim(slice_of(line.p + i + 1, line.len - i - 1));
	return true;
}

static bool parse_length(struct slice v, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	if (v.len == 0 || v.len > 19)
		return false;
	for (i = 0; i < v.len; i++) {
		if (!is_digit(v.p[i]))
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = n;
	return true;
}

/* How long the body is. One answer or a refusal: guessing here is how responses get mixed up. */
static bool decide_framing(struct http_head *h, bool to_head)
{
	unsigned lengths = 0, codings = 0, connections = 0;
	size_t i;

	h->keep_alive = true;
	for (i = 0; i < h->count; i++) {
		const struct http_header *f = &h->headers[i];

		if (http_same_word(f->name, "content-length")) {
			lengths++;
			if (!parse_length(f->value, &h->length))
				return false;
		} else if (http_same_word(f->name, "transfer-encoding")) {
			codings++;
			if (!http_same_word(f->value, "chunked"))
				return false;
		} else if (http_same_word(f->name, "connection")) {
			connections++;
			if (!http_same_word(f->value, "keep-alive"))
				h->keep_alive = false;
		}
	}
	if (lengths + codings > 1 || connections > 1)
		return false;
	if (to_head || h->status == 204 || h->status == 304)
		h->framing = HTTP_NO_BODY;
	else if (lengths == 1)
		h->framing = HTTP_LENGTH;
	else if (codings == 1)
		h->framing = HTTP_CHUNKED;
	else
		return false;
	return true;
}

static enum rc parse_head(struct cursor in, bool to_head, struct http_head *h, size_t *left)
{
	struct slice line;
	enum rc rc = take_line(&in, &line);

	if (rc != RC_OK)
		return rc;
	if (!parse_status(line, h))
		return RC_BAD_INPUT;
	for (;;) {
		rc = take_line(&in, &line);
		if (rc != RC_OK)
			return rc;
		if (line.len == 0)
			break;
		if (h->count == HTTP_HEADERS_MAX)
			return RC_NO_ROOM;
		if (!parse_header(line, &h->headers[h->count]))
			return RC_BAD_INPUT;
		h->count++;
	}
	*left = in.left;
	return decide_framing(h, to_head) ? RC_OK : RC_BAD_INPUT;
}

enum rc http_head_parse(struct cursor in, bool to_head, struct http_head *out, size_t *used)
{
	bool cut = in.left > HTTP_HEAD_MAX;
	size_t len, left;
	enum rc rc;

	if (cut)
		in.left = HTTP_HEAD_MAX;
	len = in.left;
	out->count = 0;
	out->length = 0;
	rc = parse_head(in, to_head, out, &left);
	if (rc == RC_BUSY && cut)
		return RC_NO_ROOM;
	if (rc == RC_OK)
		*used = len - left;
	return rc;
}

const struct http_header *http_head_find(const struct http_head *h, const char *name)
{
	size_t i;

	for (i = 0; i < h->count; i++) {
		if (http_same_word(h->headers[i].name, name))
			return &h->headers[i];
	}
	return NULL;
}

bool http_negotiate(const struct http_head *h, struct slice *token)
{
	size_t i, n;

	for (i = 0; i < h->count; i++) {
		struct slice v = h->headers[i].value;

		for (n = 0; n < v.len && is_token(v.p[n]); n++)
			;
		if (!http_same_word(h->headers[i].name, "www-authenticate") || !http_same_word(slice_of(v.p, n), "negotiate"))
			continue;
		v = trim(slice_of(v.p + n, v.len - n));
		for (n = 0; n < v.len && v.p[n] != ' ' && v.p[n] != ','; n++)
			;
		*token = slice_of(v.p, n);
		return true;
	}
	return false;
}

/*
 * chunked := chunk* "0" CRLF CRLF
 * chunk   := 1*8HEXDIG CRLF data CRLF
 */
enum chunk_state {
	CHUNK_SIZE,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_END_CR,
	CHUNK_END_LF,
	BODY_DONE,
};

void http_body_start(struct http_body *b, const struct http_head *h)
{
	*b = (struct http_body){ .framing = h->framing, .left = h->length, .state = CHUNK_SIZE };
	if (h->framing == HTTP_NO_BODY)
		b->state = BODY_DONE;
	else if (h->framing == HTTP_LENGTH)
		b->state = h->length ? CHUNK_DATA : BODY_DONE;
}

static bool chunk_digit(struct http_body *b, uint8_t c)
{
	uint8_t v;

	c = lower(c);
	if (is_digit(c))
		v = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		v = (uint8_t)(c - 'a' + 10);
	else
		return false;
	if (b->digits == CHUNK_DIGITS_MAX)
		return false;
	b->digits++;
	b->left = b->left << 4 | v;
	return true;
}

/* One byte of the chunk syntax; false when it is not the byte that must come here. */
static bool chunk_syntax(struct http_body *b, uint8_t c)
{
	switch (b->state) {
	case CHUNK_SIZE:
		if (c != '\r' || b->digits == 0)
			return chunk_digit(b, c);
		b->state = CHUNK_SIZE_LF;
		return true;
	case CHUNK_SIZE_LF:
		b->state = b->left ? CHUNK_DATA : CHUNK_END_CR;
		return c == '\n';
	case CHUNK_DATA_CR:
		b->state = CHUNK_DATA_LF;
		return c == '\r';
	case CHUNK_DATA_LF:
		b->state = CHUNK_SIZE;
		b->digits = 0;
		b->left = 0;
		return c == '\n';
	case CHUNK_END_CR:
		b->state = CHUNK_END_LF;
		return c == '\r';
	case CHUNK_END_LF:
		b->state = BODY_DONE;
		return c == '\n';
	}
	return false;
}

static enum rc feed_data(struct http_body *b, struct cursor *in, struct buf *out)
{
	size_t n = b->left < in->left ? (size_t)b->left : in->left;
	struct slice data;

	/* A length that cannot fit is refused before any of it is stored. */
	if (b->left > out->max || out->len > out->max - b->left)
		return RC_NO_ROOM;
	if (!cur_sub(in, n, &data))
		return RC_BAD_INPUT;
	buf_slice(out, data);
	if (!buf_ok(out))
		return RC_NO_ROOM;
	b->left -= n;
	if (b->left == 0)
		b->state = b->framing == HTTP_LENGTH ? BODY_DONE : CHUNK_DATA_CR;
	return RC_OK;
}

enum rc http_body_feed(struct http_body *b, struct cursor *in, struct buf *out)
{
	uint8_t c;
	enum rc rc;

	while (b->state != BODY_DONE) {
		if (b->state == CHUNK_DATA) {
			rc = feed_data(b, in, out);
			if (rc != RC_OK)
				return rc;
			if (b->state == CHUNK_DATA)
				return RC_BUSY;
			continue;
		}
		if (!cur_u8(in, &c))
			return RC_BUSY;
		if (!chunk_syntax(b, c))
			return RC_BAD_INPUT;
	}
	return RC_OK;
}
