/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x request parser; see http.h for what it promises.
 *
 * A head that arrives whole is read once. When it arrives in pieces, only the search for its end
 * (CR LF CR LF) goes on where it stopped, and the head is read when that was found. While the body is
 * on its way nothing points into the buffer; the head is read again when the body is complete.
 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "proxy/http.h"

#define METHOD_MAX 24
#define CHUNK_LINE_MAX 256 /* a chunk's size with its extensions */
#define TRAILER_MAX 8192

enum phase {
	PHASE_HEAD,   /* 0: a zeroed parser starts here */
	PHASE_LENGTH, /* body of known length; http_total() knows this number */
	PHASE_CHUNK_SIZE,
	PHASE_CHUNK_DATA,
	PHASE_CHUNK_END,
	PHASE_TRAILER,
};

enum {
	TOKEN = 1, /* header names */
	HOST = 2,  /* host names, addresses, ports; no user, no list */
};

static const uint8_t class[256] = {
	['!'] = TOKEN,
	['#' ... '$'] = TOKEN,
	['%'] = TOKEN | HOST,
	['&' ... '\''] = TOKEN,
	['*' ... '+'] = TOKEN,
	['-' ... '.'] = TOKEN | HOST,
	['0' ... '9'] = TOKEN | HOST,
	[':'] = HOST,
	['A' ... 'Z'] = TOKEN | HOST,
	['['] = HOST,
	[']'] = HOST,
	['^'] = TOKEN,
	['_'] = TOKEN | HOST,
	['`'] = TOKEN,
	['a' ... 'z'] = TOKEN | HOST,
	['|'] = TOKEN,
	['~'] = TOKEN | HOST,
};

struct scan {
	const uint8_t *p, *end;
};

/* What the framing headers said. */
struct framing {
	size_t length;
	bool has_length, chunked, has_host, expect, close, keep_alive;
};

static enum http_result bad(struct http_parser *ps, uint16_t status, const char *reason)
{
	ps->status = status;
	ps->reason = reason;
	return HTTP_BAD;
}

/* The first byte at or behind p that may not stand in a header's value: control bytes but for the tab. */
static inline const uint8_t *value_end(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i control =
			_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(v, del)));

		if (mask)
			return p + __builtin_ctz(mask);
	}
#endif
	while (p < end && ((*p >= 0x20 && *p != 0x7f) || *p == '\t'))
		p++;
	return p;
}

/* The same for a request target: spaces end it as well. */
static const uint8_t *target_end(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f);

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i stop = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, low), v), _mm_cmpeq_epi8(v, del));
		unsigned mask = (unsigned)_mm_movemask_epi8(stop);

		if (mask)
			return p + __builtin_ctz(mask);
	}
#endif
	while (p<end && * p> 0x20 && *p != 0x7f)
		p++;
	return p;
}

static bool host_ok(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!(class[s.p[i]] & HOST))
			return false;
	return true;
}

/* A line's CR LF at s->p. */
static enum http_result line_end(struct http_parser *ps, struct scan *s)
{
	if (s->p == s->end)
		return HTTP_MORE;
	if (*s->p != '\r')
		return bad(ps, 400, "Bad character in the request");
	if (s->end - s->p < 2)
		return HTTP_MORE;
	if (s->p[1] != '\n')
		return bad(ps, 400, "Bad line end in the request");
	s->p += 2;
	return HTTP_DONE;
}

static enum http_method method_of(struct slice s)
{
	switch (s.len) {
	case 3:
		return slice_is(s, "GET") ? HTTP_GET : slice_is(s, "PUT") ? HTTP_PUT : HTTP_OTHER;
	case 4:
		return slice_is(s, "POST") ? HTTP_POST : slice_is(s, "HEAD") ? HTTP_HEAD : HTTP_OTHER;
	case 6:
		return slice_is(s, "DELETE") ? HTTP_DELETE : HTTP_OTHER;
	case 7:
		return slice_is(s, "OPTIONS") ? HTTP_OPTIONS : HTTP_OTHER;
	default:
		return HTTP_OTHER;
	}
}

static enum http_result parse_method(struct http_parser *ps, struct scan *s, struct http_request *r)
{
	const uint8_t *start = s->p;

	while (s->p < s->end && *s->p >= 'A' && *s->p <= 'Z')
		s->p++;
	r->method_text = slice_of(start, (size_t)(s->p - start));
	if (r->method_text.len > METHOD_MAX)
		return bad(ps, 501, "Unknown method");
	if (s->p == s->end)
		return HTTP_MORE;
	if (*s->p != ' ' || s->p == start)
		return bad(ps, 400, "Bad method");
	s->p++;
	r->method = method_of(r->method_text);
	if (r->method == HTTP_OTHER && slice_is(r->method_text, "CONNECT"))
		return bad(ps, 501, "Unknown method");
	return HTTP_DONE;
}

/* absolute-form: the server is named again in front of the path; Host is what counts. */
static bool skip_authority(struct slice *path)
{
	static const char *const scheme[] = { "http://", "https://" };
	size_t i, n, at;

	for (i = 0; i < ARRAY_LEN(scheme); i++) {
		n = strlen(scheme[i]);
		if (path->len < n || !http_name_is(slice_of(path->p, n), scheme[i]))
			continue;
		for (at = n; at < path->len && path->p[at] != '/' && path->p[at] != '?'; at++)
			if (!(class[path->p[at]] & HOST))
				return false;
		if (at == n)
			return false;
		*path = slice_of(path->p + at, path->len - at);
		return true;
	}
	return false;
}

static bool split_target(struct http_request *r)
{
	struct slice rest = r->target;
	const uint8_t *mark;

	if (slice_is(rest, "*")) {
		r->path = rest;
		return r->method == HTTP_OPTIONS;
	}
	if (rest.len == 0 || memchr(rest.p, '#', rest.len))
		return false;
	if (rest.p[0] != '/' && !skip_authority(&rest))
		return false;
	mark = memchr(rest.p, '?', rest.len);
	r->path = slice_of(rest.p, mark ? (size_t)(mark - rest.p) : rest.len);
	if (mark) {
		r->has_query = true;
		r->query = slice_of(mark + 1, rest.len - r->path.len - 1);
	}
	if (r->path.len == 0)
		r->path = slice_of("/", 1);
	return true;
}

static enum http_result parse_version(struct http_parser *ps, struct scan *s, struct http_request *r)
{
	static const char name[] = "HTTP/";
	size_t left = (size_t)(s->end - s->p), n = left < 5 ? left : 5;

	if (memcmp(s->p, name, n) != 0)
		return bad(ps, 400, "Bad request line");
	if (left < 8)
		return HTTP_MORE;
	if (s->p[5] < '0' || s->p[5] > '9' || s->p[6] != '.' || s->p[7] < '0' || s->p[7] > '9')
		return bad(ps, 400, "Bad request line");
	if (s->p[5] != '1' || s->p[7] > '1')
		return bad(ps, 505, "HTTP Version Not Supported");
	r->minor = s->p[7] - '0';
	s->p += 8;
	return line_end(ps, s);
}

static enum http_result parse_request_line(struct http_parser *ps, struct scan *s, struct http_request *r)
{
	const uint8_t *start;
	enum http_result res;

	/* One empty line in front is forgiven: old clients send one behind a body. */
	if (s->p < s->end && *s->p == '\r') {
		res = line_end(ps, s);
		if (res != HTTP_DONE)
			return res;
	}
	res = parse_method(ps, s, r);
	if (res != HTTP_DONE)
		return res;
	start = s->p;
	s->p = target_end(s->p, s->end);
	r->target = slice_of(start, (size_t)(s->p - start));
	if (s->p == s->end)
		return HTTP_MORE;
	if (*s->p != ' ' || !split_target(r))
		return bad(ps, 400, "Bad request target");
	s->p++;
	return parse_version(ps, s, r);
}

static enum http_result on_length(struct http_parser *ps, struct framing *f, struct slice v)
{
	size_t i, n = 0;

	if (f->has_length)
		return bad(ps, 400, "Repeated Content-Length");
	if (v.len == 0)
		return bad(ps, 400, "Bad Content-Length");
	for (i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return bad(ps, 400, "Bad Content-Length");
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, v.p[i] - '0', &n))
			n = SIZE_MAX / 100; /* refused as too large; still only digits may follow */
	}
	f->has_length = true;
	f->length = n;
	return HTTP_DONE;
}

static enum http_result on_encoding(struct http_parser *ps, struct framing *f, struct slice v)
{
	if (f->chunked)
		return bad(ps, 400, "Repeated Transfer-Encoding");
	if (!http_name_is(v, "chunked"))
		return bad(ps, 501, "Unknown Transfer-Encoding");
	f->chunked = true;
	return HTTP_DONE;
}

/* Connection: a list of keywords; those unknown to us are no concern of ours. */
static void on_connection(struct framing *f, struct slice v)
{
	size_t at = 0, start, end;

	while (at < v.len) {
		for (start = at; at < v.len && v.p[at] != ','; at++)
			;
		for (end = at; end > start && (v.p[end - 1] == ' ' || v.p[end - 1] == '\t'); end--)
			;
		while (start < end && (v.p[start] == ' ' || v.p[start] == '\t'))
			start++;
		if (http_name_is(slice_of(v.p + start, end - start), "close"))
			f->close = true;
		if (http_name_is(slice_of(v.p + start, end - start), "keep-alive"))
			f->keep_alive = true;
		at++;
	}
}

/* The few headers that decide where the request ends and how it is answered. */
static enum http_result on_header(struct http_parser *ps, struct http_request *r, struct framing *f,
				  const struct http_header *h)
{
	switch (h->name.len) {
	case 4:
		if (!http_name_is(h->name, "host"))
			break;
		if (f->has_host || !host_ok(h->value))
			return bad(ps, 400, "Bad Host");
		f->has_host = true;
		r->host = h->value;
		break;
	case 6:
		if (!http_name_is(h->name, "expect"))
			break;
		if (!http_name_is(h->value, "100-continue"))
			return bad(ps, 417, "Expectation Failed");
		f->expect = true;
		break;
	case 10:
		if (http_name_is(h->name, "connection"))
			on_connection(f, h->value);
		break;
	case 14:
		if (http_name_is(h->name, "content-length"))
			return on_length(ps, f, h->value);
		break;
	case 17:
		if (http_name_is(h->name, "transfer-encoding"))
			return on_encoding(ps, f, h->value);
		break;
	}
	return HTTP_DONE;
}

/* field-line := token ':' value CRLF; the line's first byte exists and is no CR. */
static inline enum http_result parse_field(struct http_parser *ps, struct scan *s, struct http_header *h)
{
	const uint8_t *p = s->p, *end = s->end, *start = p;

	while (p < end && class[*p] & TOKEN)
		p++;
	if (p == end)
		return HTTP_MORE;
	if (*p != ':' || p == start)
		return bad(ps, 400, "Bad header name");
	h->name = slice_of(start, (size_t)(p - start));
	p++;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	start = p;
	s->p = p = value_end(p, end);
	while (p > start && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	h->value = slice_of(start, (size_t)(p - start));
	if (end - s->p >= 2 && s->p[0] == '\r' && s->p[1] == '\n') {
		s->p += 2;
		return HTTP_DONE;
	}
	return line_end(ps, s);
}

static enum http_result parse_headers(struct http_parser *ps, struct scan *s, struct http_request *r,
				      struct framing *f)
{
	enum http_result res;

	for (;;) {
		struct http_header *h = &r->header[r->header_count];

		if (s->p == s->end)
			return HTTP_MORE;
		if (*s->p == '\r')
			return line_end(ps, s);
		if (r->header_count == HTTP_HEADERS_MAX)
			return bad(ps, 431, "Too many headers");
		res = parse_field(ps, s, h);
		if (res != HTTP_DONE)
			return res;
		res = on_header(ps, r, f, h);
		if (res != HTTP_DONE)
			return res;
		r->header_count++;
	}
}

/* What the head says as a whole. */
static enum http_result judge_head(struct http_parser *ps, const struct http_limits *limits,
				   struct http_request *r, const struct framing *f)
{
	if (f->chunked && (f->has_length || r->minor == 0))
		return bad(ps, 400, "Transfer-Encoding not allowed here");
	if (!f->has_host && r->minor > 0)
		return bad(ps, 400, "No Host");
	if (f->has_length && f->length > limits->body_max)
		return bad(ps, 413, "Payload Too Large");
	r->keep_alive = !f->close && (r->minor > 0 || f->keep_alive);
	return HTTP_DONE;
}

/* Reads the head in buf[0..len) anew; *head_len is set on HTTP_DONE. */
static enum http_result parse_head(struct http_parser *ps, const struct http_limits *limits,
				   const uint8_t *buf, size_t len, struct http_request *r, struct framing *f,
				   size_t *head_len)
{
	struct scan s = { .p = buf, .end = buf + (len < limits->head_max ? len : limits->head_max) };
	enum http_result res;

	r->has_query = false;
	r->query = r->host = r->body = slice_of(buf, 0);
	r->header_count = 0;
	ps->in_headers = false;
	res = parse_request_line(ps, &s, r);
	if (res == HTTP_DONE) {
		ps->in_headers = true;
		res = parse_headers(ps, &s, r, f);
	}
	if (res == HTTP_DONE)
		res = judge_head(ps, limits, r, f);
	*head_len = (size_t)(s.p - buf);
	return res;
}

/* Looks for the empty line behind what was looked at before; true: it is there. */
static bool head_ended(struct http_parser *ps, const uint8_t *buf, size_t len)
{
	size_t at = ps->scanned > 3 ? ps->scanned - 3 : 0;
	const uint8_t *p = buf + at, *end = buf + len;

	ps->scanned = len;
	for (;;) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return false;
		p++;
		/* An LF too early is for the parser to refuse. */
		if (end - p >= 1 && *p == '\n')
			return true;
		if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
			return true;
	}
}

static enum http_result head_more(struct http_parser *ps, const struct http_limits *limits, size_t len)
{
	if (len >= limits->head_max)
		return ps->in_headers ? bad(ps, 431, "Request Header Fields Too Large") :
					bad(ps, 414, "URI Too Long");
	ps->scanned = len;
	return HTTP_MORE;
}

static enum http_result start_body(struct http_parser *ps, const struct framing *f, size_t head_len,
				   const struct http_request *r)
{
	ps->head_len = head_len;
	ps->expect = f->expect && r->minor > 0;
	if (f->chunked) {
		ps->phase = PHASE_CHUNK_SIZE;
		ps->at = head_len;
	} else {
		ps->phase = PHASE_LENGTH;
		ps->body_len = f->length;
	}
	return HTTP_DONE;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* chunk-size := 1*16HEX [";" anything printable] CRLF */
static enum http_result chunk_size(struct http_parser *ps, const struct http_limits *limits,
				   const uint8_t *buf, size_t len)
{
	size_t left = len - ps->at, size = 0, i;
	const uint8_t *line = buf + ps->at,
		      *lf = memchr(line, '\n', left < CHUNK_LINE_MAX ? left : CHUNK_LINE_MAX);

	if (!lf)
		return left < CHUNK_LINE_MAX ? HTTP_MORE : bad(ps, 400, "Bad chunk size");
	for (i = 0; i < 16 && hex_value(line[i]) >= 0; i++)
		size = size << 4 | (size_t)hex_value(line[i]);
	if (i == 0 || (line[i] != ';' && line[i] != '\r'))
		return bad(ps, 400, "Bad chunk size");
	if (value_end(line + i, lf) != lf - 1 || lf[-1] != '\r')
		return bad(ps, 400, "Bad chunk size");
	if (size > limits->body_max - ps->body_len)
		return bad(ps, 413, "Payload Too Large");
	ps->at = (size_t)(lf + 1 - buf);
	ps->chunk_left = size;
	ps->phase = size ? PHASE_CHUNK_DATA : PHASE_TRAILER;
	return HTTP_DONE;
}

/* Moves the chunk's bytes up to the body that is already there. */
static enum http_result chunk_data(struct http_parser *ps, uint8_t *buf, size_t len)
{
	size_t left = len - ps->at, n = left < ps->chunk_left ? left : ps->chunk_left;

	if (n)
		memmove(buf + ps->head_len + ps->body_len, buf + ps->at, n);
	ps->at += n;
	ps->body_len += n;
	ps->chunk_left -= n;
	if (ps->chunk_left)
		return HTTP_MORE;
	ps->phase = PHASE_CHUNK_END;
	return HTTP_DONE;
}

static enum http_result chunk_end(struct http_parser *ps, const uint8_t *buf, size_t len)
{
	struct scan s = { .p = buf + ps->at, .end = buf + len };
	enum http_result res = line_end(ps, &s);

	if (res == HTTP_DONE) {
		ps->at += 2;
		ps->phase = PHASE_CHUNK_SIZE;
	}
	return res;
}

/* Trailers are checked like headers and dropped; none may speak about framing. */
static enum http_result trailer(struct http_parser *ps, const uint8_t *buf, size_t len, bool *last)
{
	static const char *const forbidden[] = {
		"content-length", "transfer-encoding", "host", "connection", "expect", "trailer", "upgrade"
	};
	struct scan s = { .p = buf + ps->at, .end = buf + len };
	struct http_header h;
	enum http_result res;
	size_t i;

	if (s.p == s.end)
		return HTTP_MORE;
	*last = *s.p == '\r';
	res = *last ? line_end(ps, &s) : parse_field(ps, &s, &h);
	if (res == HTTP_MORE && len - ps->at > TRAILER_MAX - ps->trailer_len)
		return bad(ps, 431, "Trailers too large");
	if (res != HTTP_DONE)
		return res;
	for (i = 0; !*last && i < ARRAY_LEN(forbidden); i++)
		if (http_name_is(h.name, forbidden[i]))
			return bad(ps, 400, "Bad trailer");
	i = (size_t)(s.p - buf) - ps->at;
	if (i > TRAILER_MAX - ps->trailer_len)
		return bad(ps, 431, "Trailers too large");
	ps->trailer_len += i;
	ps->at += i;
	return HTTP_DONE;
}

static enum http_result parse_chunks(struct http_parser *ps, const struct http_limits *limits, uint8_t *buf,
				     size_t *len)
{
	enum http_result res = HTTP_DONE;
	bool last = false;
	size_t tail;

	while (res == HTTP_DONE && !last) {
		switch ((enum phase)ps->phase) {
		case PHASE_CHUNK_SIZE:
			res = chunk_size(ps, limits, buf, *len);
			break;
		case PHASE_CHUNK_DATA:
			res = chunk_data(ps, buf, *len);
			break;
		case PHASE_CHUNK_END:
			res = chunk_end(ps, buf, *len);
			break;
		default:
			res = trailer(ps, buf, *len, &last);
		}
	}
	if (res == HTTP_MORE) {
		/* Close the gap, so that a body in tiny chunks takes no more memory than any other. */
		tail = *len - ps->at;
		if (tail)
			memmove(buf + ps->head_len + ps->body_len, buf + ps->at, tail);
		ps->at = ps->head_len + ps->body_len;
		*len = ps->at + tail;
	}
	return res;
}

enum http_result http_parse(struct http_parser *ps, const struct http_limits *limits, uint8_t *buf,
			    size_t *len, struct http_request *request, size_t *consumed)
{
	struct framing f = { 0 };
	bool head_read = false;
	enum http_result res;
	size_t head_len = 0;

	if (ps->phase == PHASE_HEAD) {
		if (ps->scanned && *len < limits->head_max && !head_ended(ps, buf, *len))
			return HTTP_MORE;
		res = parse_head(ps, limits, buf, *len, request, &f, &head_len);
		if (res == HTTP_MORE)
			return head_more(ps, limits, *len);
		if (res == HTTP_DONE)
			res = start_body(ps, &f, head_len, request);
		if (res != HTTP_DONE)
			return res;
		head_read = true;
	}
	if (ps->phase == PHASE_LENGTH) {
		if (*len - ps->head_len < ps->body_len)
			return HTTP_MORE;
		*consumed = ps->head_len + ps->body_len;
	} else {
		res = parse_chunks(ps, limits, buf, len);
		if (res != HTTP_DONE)
			return res;
		*consumed = ps->at;
	}
	if (!head_read && parse_head(ps, limits, buf, ps->head_len, request, &f, &head_len) != HTTP_DONE)
		return bad(ps, 400, "Bad request"); /* the bytes changed under us */
	request->body = slice_of(buf + ps->head_len, ps->body_len);
	*ps = (struct http_parser){ 0 };
	return HTTP_DONE;
}
