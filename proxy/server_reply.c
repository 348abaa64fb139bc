/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an answer looks on the wire. Whatever the handler passes in, what goes out is one well-formed
 * answer: reasons lose their control characters, and header lines that are none are refused.
 */
#include <stdio.h>
#include <time.h>

#include "proxy/server_impl.h"

#define LINE(s) s "\r\n"

static const struct status {
	unsigned status;
	const char *reason, *java; /* class of the exception an error is told as */
} statuses[] = {
	{ 200, "OK", NULL },
	{ 201, "Created", NULL },
	{ 204, "No Content", NULL },
	{ 304, "Not Modified", NULL },
	{ 400, "Bad Request", "java.lang.IllegalArgumentException" },
	{ 401, "Unauthorized", NULL },
	{ 403, "Forbidden", "org.apache.hadoop.security.authorize.AuthorizationException" },
	{ 404, "Not Found", NULL },
	{ 405, "Method Not Allowed", NULL },
	{ 408, "Request Timeout", NULL },
	{ 413, "Payload Too Large", NULL },
	{ 414, "URI Too Long", NULL },
	{ 415, "Unsupported Media Type", NULL },
	{ 417, "Expectation Failed", NULL },
	{ 429, "Too Many Requests", NULL },
	{ 431, "Request Header Fields Too Large", NULL },
	{ 500, "Internal Server Error", NULL },
	{ 501, "Not Implemented", NULL },
	{ 502, "Bad Gateway", NULL },
	{ 503, "Service Unavailable", NULL },
	{ 504, "Gateway Timeout", NULL },
	{ 505, "HTTP Version Not Supported", NULL },
};

static const struct status *find_status(unsigned status)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].status == status)
			return &statuses[i];
	return NULL;
}

const char *server_reason(unsigned status)
{
	const struct status *s = find_status(status);

	return s ? s->reason : "Unknown";
}

void server_error_body(unsigned status, const char *text, struct outbuf *body)
{
	const struct status *s = find_status(status);
	const char *java = s && s->java ? s->java : "java.io.IOException";

	outbuf_str(body, "{\n  \"RemoteException\" : {\n    \"message\" : ");
	outbuf_json(body, slice_str(text));
	outbuf_printf(body, ",\n    \"exception\" : \"%s\",\n    \"javaClassName\" : \"%s\"\n  }\n}",
		      strrchr(java, '.') + 1, java);
}

/* Renewed once a second: 250 bytes that every answer carries. */
void reply_date(struct worker *w)
{
	static const char day[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char month[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	const char *more = w->server->config->headers;
	struct timespec now;
	struct tm t;
	char date[64];
	int n;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec == w->date_second)
		return;
	if (!gmtime_r(&now.tv_sec, &t))
		return;
	snprintf(date, sizeof(date), "%s, %02d %s %d %02d:%02d:%02d GMT", day[t.tm_wday], t.tm_mday,
		 month[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
	n = snprintf(w->fixed, sizeof(w->fixed),
		     LINE("Date: %s") LINE("Cache-Control: no-cache") LINE("Expires: %s")
			     LINE("Pragma: no-cache") LINE("X-Content-Type-Options: nosniff")
				     LINE("X-XSS-Protection: 1; mode=block") "%s",
		     date, date, more ? more : "");
	INVARIANT(n > 0 && (size_t)n < sizeof(w->fixed)); /* server_create() measured `more` */
	w->fixed_len = (size_t)n;
	w->date_second = now.tv_sec;
}

/* Whole lines "name: value CR LF", no empty one: nothing in them can end the head early. */
bool reply_headers_ok(struct slice lines)
{
	struct cursor all = cur_of(lines.p, lines.len);
	const uint8_t *p = all.at, *end = p + all.left, *eol;

	while (p < end) {
		eol = memchr(p, '\r', (size_t)(end - p));
		if (!eol || end - eol < 2 || eol[1] != '\n')
			return false;
		if (eol == p || *p == ':' || *p == ' ' || *p == '\t' || !memchr(p, ':', (size_t)(eol - p)))
			return false;
		for (; p < eol; p++)
			if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
				return false;
		p = eol + 2;
	}
	return true;
}

static uint8_t *put(uint8_t *to, const void *p, size_t n)
{
	memcpy(to, p, n);
	return to + n;
}
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static uint8_t *put_number(uint8_t *to, size_t v)
{
	uint8_t digit[20], *p = digit + sizeof(digit);

	do {
		*--p = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	return put(to, p, (size_t)(digit + sizeof(digit) - p));
}

/* One line of text: an error message may have come from anywhere. */
static uint8_t *put_text(uint8_t *to, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = (uint8_t)s[i] < 0x20 || s[i] == 0x7f ? ' ' : (uint8_t)s[i];
	return to + n;
}

bool reply_write(struct worker *w, struct server_conn *c, const struct reply *r, bool close)
{
	const char *reason = r->reason ? r->reason : server_reason(r->status);
	const char *type = r->content_type ? r->content_type : "";
	size_t reason_len = strlen(reason), type_len = strlen(type);
	bool bodyless = r->status == 204 || r->status == 304;
	size_t copied = bodyless || c->head_only || r->release ? 0 : r->body.len;
	size_t need = 256 + w->fixed_len, at;
	uint8_t *start, *p;

	if (__builtin_add_overflow(need, copied, &need) ||
	    __builtin_add_overflow(need, r->headers.len, &need) ||
	    __builtin_add_overflow(need, reason_len + type_len, &need))
		return false;
	if (!c->out.p) {
		c->out.p = pool_take(w);
		c->out.room = c->out.p ? POOL_BUF : 0;
	}
	start = p = outbuf_room(&c->out, need);
	if (!start) {
		outbuf_reset(&c->out);
		return false;
	}
	p = PUT(p, "HTTP/1.1 ");
	p = put_number(p, r->status);
	*p++ = ' ';
	p = put_text(p, reason, reason_len);
	p = PUT(p, "\r\n");
	p = put(p, w->fixed, w->fixed_len);
	if (type_len) {
		p = PUT(p, "Content-Type: ");
		p = put_text(p, type, type_len);
		p = PUT(p, "\r\n");
	}
	if (r->headers.len)
		p = put(p, r->headers.p, r->headers.len);
	if (close)
		p = PUT(p, "Connection: close\r\n");
	else if (c->old)
		p = PUT(p, "Connection: keep-alive\r\n");
	if (!bodyless) {
		p = PUT(p, "Content-Length: ");
		p = put_number(p, r->body.len);
		p = PUT(p, "\r\n");
	}
	p = PUT(p, "\r\n");
	if (copied)
		p = put(p, r->body.p, copied);
	at = (size_t)(p - start);
	outbuf_used(&c->out, at);
	if (r->release && !bodyless && !c->head_only && r->body.len)
		c->lent = (struct lent){ .left = r->body, .release = r->release, .arg = r->arg };
	return true;
}
