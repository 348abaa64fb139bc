/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection; see session.h. One deadline for each request: nothing here waits longer, except that
 * looking up a host's name has the resolver's own limits.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/b64.h"
#include "client/negotiate.h"
#include "client/secure.h"
#include "client/session.h"

#define COOKIE_MAX 4096
#define READ_SIZE 65536
#define LOGIN_ROUNDS 4	/* a login by Kerberos takes one */

struct session {
	struct session_options o;
	char *token;	/* owned; o.token */
	int fd;				/* -1 when not connected */
	struct secure *tls;		/* NULL before the first connection, and with http */
	unsigned host;			/* which of url.host answered last */
	int64_t deadline;		/* ms on the monotonic clock */
	char cookie[COOKIE_MAX];	/* as the server wrote it; "" when none */
	struct buf in;			/* bytes read and not yet used */
	struct buf send;		/* what a login sends behind Negotiate, Base64; else empty */
	bool asked;			/* the last answer has a challenge Negotiate */
	struct buf asked_with;		/* and this behind it, Base64 */
	bool dated;			/* skew is known */
	int64_t skew;			/* seconds; server minus us */
	char why[512];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct session *session_new(const struct session_options *o)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->o = *o;
	if (o->token)
		s->o.token = s->token = strdup(o->token);
	if (o->token && !s->token) {
		free(s);
		return NULL;
	}
	s->fd = -1;
	s->in.max = HTTP_HEAD_MAX + 2 * READ_SIZE;
	s->send.max = s->asked_with.max = 2 * NEGOTIATE_TOKEN_MAX;
	return s;
}

static void hang_up(struct session *s)
{
	if (s->tls)
		secure_end(s->tls);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	buf_clear(&s->in);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	hang_up(s);
	secure_free(s->tls);
	buf_free(&s->in);
	buf_free(&s->send);
	buf_free(&s->asked_with);
	mem_wipe(s->cookie, sizeof(s->cookie));
	if (s->token)
		mem_wipe(s->token, strlen(s->token));
	free(s->token);
	free(s);
}

const char *session_why(const struct session *s)
{
	return s->why;
}

bool session_skew(const struct session *s, int64_t *seconds)
{
	*seconds = s->skew;
	return s->dated;
}

const char *session_cookie(const struct session *s)
{
	return s->cookie;
}

const struct session_options *session_of(const struct session *s)
{
	return &s->o;
}

__attribute__((format(printf, 3, 4))) static enum rc fail(struct session *s, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	hang_up(s);
	return rc;
}

/* Waits until the socket is ready or the request's time is over. */
static enum rc wait_for(struct session *s, short events)
{
	for (;;) {
		struct pollfd p = { .fd = s->fd, .events = events };
		int64_t left = s->deadline - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return RC_OK;
		if (n < 0 && errno != EINTR)
			return fail(s, RC_MACHINE, "poll: %s", strerror(errno));
		if (n == 0)
			return fail(s, RC_MACHINE, "no answer from %s:%u within %u s", s->o.url.host[s->host],
				    s->o.url.port, s->o.timeout_ms / 1000);
	}
}

static enum rc connect_to(struct session *s, const struct addrinfo *a)
{
	int one = 1, err = 0;
	socklen_t len = sizeof(err);
	enum rc rc;

	s->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (s->fd < 0)
		return fail(s, RC_MACHINE, "socket: %s", strerror(errno));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
		err = errno;
	if (!err) {
		rc = wait_for(s, POLLOUT);
		if (rc != RC_OK)
			return rc;
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
			err = errno;
	}
	if (err)
		return fail(s, RC_MACHINE, "cannot connect to %s:%u: %s", s->o.url.host[s->host],
			    s->o.url.port, strerror(err));
	return RC_OK;
}

/* RC_DENIED: it answers, but is not who it should be; another of its addresses would not be tried. */
static enum rc shake_hands(struct session *s)
{
	const char *host = s->o.url.host[s->host];
	char why[300];
	enum rc rc;

	if (!s->o.url.tls)
		return RC_OK;
	if (!s->tls)
		s->tls = secure_new(s->o.ca, s->o.client_cert, s->o.insecure, why, sizeof(why));
	rc = s->tls ? secure_begin(s->tls, s->fd, host, why, sizeof(why)) : RC_MACHINE;
	while (rc == RC_OK) {
		rc = secure_handshake(s->tls, why, sizeof(why));
		if (rc == RC_OK)
			return RC_OK;
		if (rc == RC_BUSY) {
			rc = wait_for(s, secure_events(s->tls));
			if (rc != RC_OK)
				return rc;
		}
	}
	return fail(s, RC_MACHINE, "%s:%u: %s", host, s->o.url.port, why);
}

static enum rc connect_host(struct session *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL, *a;
	enum rc rc = RC_MACHINE;
	char port[8];
	int err;

	snprintf(port, sizeof(port), "%u", s->o.url.port);
	err = getaddrinfo(s->o.url.host[s->host], port, &hints, &list);
	if (err)
		return fail(s, RC_MACHINE, "cannot find host %s: %s", s->o.url.host[s->host],
			    gai_strerror(err));
	for (a = list; a; a = a->ai_next) {
		rc = connect_to(s, a);
		if (rc == RC_OK)
			rc = shake_hands(s);
		if (rc == RC_OK)
			break;
	}
	freeaddrinfo(list);
	return rc;
}

/* Tries each host once, beginning with the one that worked last. */
static enum rc connect_any(struct session *s)
{
	enum rc rc = RC_MACHINE;
	unsigned i;

	for (i = 0; i < s->o.url.hosts; i++) {
		rc = connect_host(s);
		if (rc == RC_OK)
			return rc;
		s->host = (s->host + 1) % s->o.url.hosts;
	}
	return rc;
}

int session_dial(struct session *s, struct secure **tls)
{
	struct secure *own = s->tls;
	enum rc rc;
	int fd;

	*tls = NULL;
	hang_up(s);
	s->deadline = now_ms() + s->o.timeout_ms;
	if (s->o.url.tls) {
		if (!own)	/* it is the one that the others are made like */
			own = secure_new(s->o.ca, s->o.client_cert, s->o.insecure, s->why, sizeof(s->why));
		s->tls = own ? secure_like(own) : NULL;
		if (!s->tls) {
			s->tls = own;
			return -1;
		}
	}
	rc = connect_any(s);
	fd = s->fd;
	if (rc == RC_OK) {
		*tls = s->tls;
		s->fd = -1;
	} else if (own) {
		secure_free(s->tls);
	}
	s->tls = own;
	return rc == RC_OK ? fd : -1;
}

/*
 * A server closes idle connections: nothing may be readable on one that waits for our request. Under TLS there may be
 * tickets; reading them shows whether there is more.
 */
static bool still_open(const struct session *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	uint8_t byte;

	if (s->fd >= 0 && s->o.url.tls)
		return secure_recv(s->tls, &byte, 1) < 0 && errno == EAGAIN;
	return s->fd >= 0 && poll(&p, 1, 0) == 0;
}

static void write_target(const struct session *s, const struct session_request *r, struct buf *to)
{
	bool name_user = !r->anonymous && !s->token && !s->cookie[0] && !s->o.negotiate;

	buf_str(to, r->path);
	if (r->query)
		buf_fmt(to, "?%s", r->query);
	if (name_user) {
		buf_str(to, r->query ? "&user.name=" : "?user.name=");
		kms_url_encode(to, slice_str(s->o.user));
	}
}

void session_write_request(const struct session *s, const struct session_request *r, struct buf *to)
{
	const char *host = s->o.url.host[s->host];

	buf_fmt(to, "%s ", r->method);
	write_target(s, r, to);
	buf_fmt(to, strchr(host, ':') ? " HTTP/1.1\r\nHost: [%s]:%u\r\n" : " HTTP/1.1\r\nHost: %s:%u\r\n",
		host, s->o.url.port);
	buf_str(to, "User-Agent: svsm-kms/" SVSM_VERSION "\r\nAccept: application/json, */*\r\n");
	if (!r->anonymous && s->token)
		buf_fmt(to, "X-Hadoop-Delegation-Token: %s\r\n", s->token);
	else if (s->send.len)
		buf_fmt(to, "Authorization: Negotiate %.*s\r\n", (int)s->send.len, (const char *)s->send.p);
	else if (!r->anonymous && s->cookie[0])
		buf_fmt(to, "Cookie: hadoop.auth=%s\r\n", s->cookie);
	if (r->has_body)
		buf_fmt(to, "Content-Type: application/json\r\nContent-Length: %zu\r\n", r->body.len);
	else if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
		buf_str(to, "Content-Length: 0\r\n");
	buf_str(to, "\r\n");
	if (r->has_body)
		buf_slice(to, r->body);
}

static enum rc send_all(struct session *s, const struct buf *out)
{
	size_t at = 0;

	while (at < out->len) {
		ssize_t n = s->o.url.tls ? secure_send(s->tls, out->p + at, out->len - at) :
					   send(s->fd, out->p + at, out->len - at, MSG_NOSIGNAL);

		if (n > 0) {
			at += (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			enum rc rc = wait_for(s, s->o.url.tls ? secure_events(s->tls) : POLLOUT);

			if (rc != RC_OK)
				return rc;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else {
			/* It may have answered already and closed, as for a body that is too large. */
			return RC_OK;
		}
	}
	return RC_OK;
}

/* Adds what the socket has to s->in. RC_DENIED: the server closed the connection. */
static enum rc read_more(struct session *s)
{
	uint8_t *to = buf_room(&s->in, READ_SIZE);
	ssize_t n;
	enum rc rc;

	if (!to)
		return fail(s, RC_NO_ROOM, "the head of the response is too large");
	for (;;) {
		/* TLS may hold what the socket does not show any more: first read, then wait. */
		n = s->o.url.tls ? secure_recv(s->tls, to, READ_SIZE) : recv(s->fd, to, READ_SIZE, 0);
		if (n > 0) {
			s->in.len += (size_t)n;
			return RC_OK;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			rc = wait_for(s, s->o.url.tls ? secure_events(s->tls) : POLLIN);
			if (rc != RC_OK)
				return rc;
			continue;
		}
		(void)fail(s, RC_DENIED, "%s:%u closed the connection before it had answered%s%s",
			   s->o.url.host[s->host], s->o.url.port, n < 0 ? ": " : "",
			   n < 0 ? strerror(errno) : "");
		return RC_DENIED;
	}
}

static void copy_slice(char *to, size_t size, const struct slice *from)
{
	size_t n = from && from->len < size - 1 ? from->len : from ? size - 1 : 0;

	if (n)
		memcpy(to, from->p, n);
	to[n] = 0;
}

static void keep_date(struct session *s, const struct http_head *h)
{
	const struct http_header *f = http_head_find(h, "date");
	struct tm tm = { 0 };
	const char *end;
	char text[64];

	if (!f)
		return;
	copy_slice(text, sizeof(text), &f->value);
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return;
	s->skew = (int64_t)timegm(&tm) - (int64_t)time(NULL);
	s->dated = true;
}

/* Set-Cookie: hadoop.auth=VALUE; ... An empty value, as sent with a 401, takes the cookie away. */
static void keep_cookie(struct session *s, const struct http_head *h)
{
	static const char name[] = "hadoop.auth=";
	size_t i, n;

	for (i = 0; i < h->count; i++) {
		struct slice v = h->headers[i].value;

		if (!http_same_word(h->headers[i].name, "set-cookie") || !slice_starts(v, name))
			continue;
		v.p += sizeof(name) - 1;
		v.len -= sizeof(name) - 1;
		for (n = 0; n < v.len && v.p[n] != ';'; n++)
			;
		v.len = n < COOKIE_MAX ? n : 0;
		if (v.len == 2 && v.p[0] == '"' && v.p[1] == '"')
			v.len = 0;
		copy_slice(s->cookie, sizeof(s->cookie), &v);
	}
}

static void keep_challenge(struct session *s, const struct http_head *h)
{
	struct slice token;

	buf_clear(&s->asked_with);
	s->asked = http_negotiate(h, &token);
	if (s->asked)
		buf_slice(&s->asked_with, token);
}

/* Drops the first n bytes of what was read. */
static void consumed(struct session *s, size_t n)
{
	memmove(s->in.p, s->in.p + n, s->in.len - n);
	s->in.len -= n;
	mem_wipe(s->in.p + s->in.len, n);
}

static enum rc read_body(struct session *s, const struct http_head *h, struct session_answer *a)
{
	struct http_body b;
	enum rc rc;

	http_body_start(&b, h);
	for (;;) {
		struct cursor c = cur_of(s->in.p, s->in.len);

		rc = http_body_feed(&b, &c, &a->body);
		consumed(s, s->in.len - c.left);
		if (rc == RC_NO_ROOM)
			return fail(s, rc, "the response is larger than %zu bytes", a->body.max);
		if (rc == RC_BAD_INPUT)
			return fail(s, rc, "the response is not valid HTTP: malformed chunk");
		if (rc == RC_OK)
			return RC_OK;
		rc = read_more(s);
		if (rc != RC_OK)
			return rc == RC_DENIED ? RC_MACHINE : rc;
	}
}

/* RC_DENIED: closed before the first byte of an answer. */
static enum rc read_answer(struct session *s, const struct session_request *r, struct session_answer *a)
{
	struct http_head h;
	size_t used;
	bool keep;
	enum rc rc;

	for (;;) {
		rc = http_head_parse(cur_of(s->in.p, s->in.len), strcmp(r->method, "HEAD") == 0, &h, &used);
		if (rc != RC_BUSY)
			break;
		keep = s->in.len != 0;
		rc = read_more(s);
		if (rc != RC_OK)
			return rc == RC_DENIED && keep ? RC_MACHINE : rc;
	}
	if (rc == RC_NO_ROOM)
		return fail(s, rc, "the head of the response is too large");
	if (rc != RC_OK)
		return fail(s, rc, "%s:%u does not answer as an HTTP/1.1 server", s->o.url.host[s->host],
			    s->o.url.port);
	a->status = h.status;
	copy_slice(a->reason, sizeof(a->reason), &h.reason);
	copy_slice(a->type, sizeof(a->type),
		   http_head_find(&h, "content-type") ? &http_head_find(&h, "content-type")->value : NULL);
	keep_date(s, &h);
	keep_challenge(s, &h);
	if (!r->anonymous)
		keep_cookie(s, &h);
	keep = h.keep_alive;
	consumed(s, used);	/* the slices of h are gone from here on; read_body() uses its numbers only */
	rc = read_body(s, &h, a);
	if (rc == RC_OK && (!keep || s->in.len))
		hang_up(s);
	return rc;
}

static bool harmless_twice(const struct session_request *r)
{
	return strcmp(r->method, "GET") == 0 || strcmp(r->method, "OPTIONS") == 0 ||
	       strcmp(r->method, "HEAD") == 0;
}

static enum rc exchange(struct session *s, const struct session_request *r, struct session_answer *a)
{
	BUF out = { .max = SIZE_MAX / 2 };
	bool reused = still_open(s);
	enum rc rc;

	buf_free(&a->body);
	a->body.max = s->o.body_max;
	for (;;) {
		if (!reused) {
			hang_up(s);
			rc = connect_any(s);
			if (rc != RC_OK)
				return rc;
		}
		buf_clear(&out);
		session_write_request(s, r, &out);
		if (!buf_ok(&out))
			return fail(s, RC_NO_ROOM, "out of memory");
		rc = send_all(s, &out);
		if (rc == RC_OK)
			rc = read_answer(s, r, a);
		if (rc != RC_DENIED)
			return rc;
		/* An idle connection that closed under our request: once more, when that changes nothing. */
		if (!reused || !harmless_twice(r))
			return RC_MACHINE;
		reused = false;
	}
}

/* What Hadoop's own client takes as "log in again". */
static bool wants_login(const struct session_answer *a)
{
	return a->status == 401 ||
	       (a->status == 403 && (strstr(a->reason, "Invalid signature") ||
				     strcmp(a->reason, "Anonymous requests are disallowed") == 0));
}

/* An answer to the login that is neither a cookie nor a challenge. */
static enum rc login_refused(struct session *s, const struct session_answer *a)
{
	const char *advice = negotiate_advice(a->reason);

	if (a->status == 401)
		return fail(s, RC_DENIED, s->asked ? "the server asks for a Kerberos ticket again after it was shown one" :
						     "the server knows no login by Kerberos");
	return fail(s, RC_DENIED, "the server refuses the login by Kerberos: %u%s%s%s%s", a->status, a->reason[0] ? " " : "",
		    a->reason, advice[0] ? "; " : "", advice);
}

/* What the server sent behind Negotiate goes to the library. RC_BUSY: s->send has another token for it. */
static enum rc login_step(struct session *s, struct negotiate *n)
{
	BUF in = { .max = NEGOTIATE_TOKEN_MAX }, out = { .max = NEGOTIATE_TOKEN_MAX };
	char why[sizeof(s->why)];
	uint8_t *raw = buf_room(&in, NEGOTIATE_TOKEN_MAX);
	enum rc rc;

	buf_clear(&s->send);
	if (!raw || !buf_ok(&s->asked_with) ||
	    b64_read(slice_of(s->asked_with.p, s->asked_with.len), raw, NEGOTIATE_TOKEN_MAX, &in.len) != RC_OK)
		return fail(s, RC_DENIED, "what the server sent behind Negotiate is not Base64, or too long");
	rc = negotiate_step(n, slice_of(in.p, in.len), &out, why, sizeof(why));
	s->deadline = now_ms() + s->o.timeout_ms; /* the KDC's time is not the server's */
	if (rc == RC_OK || rc == RC_BUSY)
		b64_write_padded(&s->send, slice_of(out.p, out.len));
	return rc == RC_DENIED ? fail(s, rc, "%s:%u: %s", s->o.url.host[s->host], s->o.url.port, why) : rc;
}

/* One login with the host that is connected. RC_BUSY: meanwhile another host answers, to which the ticket means nothing. */
static enum rc login_at(struct session *s, struct negotiate *n)
{
	struct kms_url *url = &s->o.url;
	struct session_answer a = { 0 };
	BUF path = { .max = KMS_PATH_MAX + 16 };
	struct session_request r = { .method = "OPTIONS" };
	unsigned host = s->host, round;
	enum rc rc;

	buf_fmt(&path, "%s/v1/", url->path);
	r.path = buf_text(&path);
	buf_clear(&s->asked_with);
	rc = login_step(s, n);
	for (round = 0; s->send.len && round < LOGIN_ROUNDS && rc != RC_DENIED; round++) {
		enum rc sent = exchange(s, &r, &a);

		buf_free(&a.body);
		if (sent != RC_OK)
			return sent;
		if (s->host != host)
			return RC_BUSY;
		if (a.status != 401 && a.status / 100 != 2)
			return login_refused(s, &a);
		if (s->asked_with.len)
			rc = login_step(s, n);
		else if (a.status == 401)
			return login_refused(s, &a);
		else
			buf_clear(&s->send);
	}
	if (rc == RC_DENIED)
		return rc;
	if (rc == RC_BUSY || s->send.len)
		return fail(s, RC_DENIED, "%s:%u does not prove that it is who the ticket is for; nothing more is sent to it",
			    url->host[host], url->port);
	if (!s->cookie[0])
		return fail(s, RC_DENIED, "%s:%u took the Kerberos ticket, but gave no hadoop.auth cookie for it",
			    url->host[host], url->port);
	return RC_OK;
}

/* A cookie is kept only of a server that has proved itself; after this nothing is sent in just a name any more. */
static enum rc log_in(struct session *s)
{
	char why[sizeof(s->why)];
	enum rc rc = RC_BUSY;
	struct negotiate *n;
	unsigned i;

	s->o.negotiate = true;
	for (i = 0; i < s->o.url.hosts && rc == RC_BUSY; i++) {
		mem_wipe(s->cookie, sizeof(s->cookie));
		if (!still_open(s)) {
			hang_up(s);
			rc = connect_any(s);
			if (rc != RC_OK)
				return rc;
		}
		n = negotiate_new(s->o.url.host[s->host], s->o.principal, why, sizeof(why));
		if (!n)
			return fail(s, RC_DENIED, "%s:%u: %s", s->o.url.host[s->host], s->o.url.port, why);
		rc = login_at(s, n);
		negotiate_free(n);
		buf_clear(&s->send);
	}
	if (rc == RC_BUSY)
		rc = fail(s, RC_MACHINE, "the servers come and go while a login is made");
	if (rc != RC_OK)
		mem_wipe(s->cookie, sizeof(s->cookie));
	return rc;
}

enum rc session_call(struct session *s, const struct session_request *r, struct session_answer *a)
{
	bool had_cookie = s->cookie[0] != 0, by_ticket = s->o.negotiate && !r->anonymous && !s->token;
	enum rc rc = RC_OK;

	s->deadline = now_ms() + s->o.timeout_ms;
	if (by_ticket && !had_cookie)
		rc = log_in(s);
	if (rc == RC_OK)
		rc = exchange(s, r, a);
	if (rc != RC_OK || !wants_login(a) || r->anonymous || s->token || (by_ticket && !had_cookie))
		return rc;
	mem_wipe(s->cookie, sizeof(s->cookie));
	if (by_ticket || (a->status == 401 && s->asked))
		rc = log_in(s);
	else if (!had_cookie)
		return rc;
	return rc == RC_OK ? exchange(s, r, a) : rc;
}
