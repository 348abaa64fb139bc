/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: read, parse, hand over, write.
 *
 * Sockets are watched edge-triggered, once, for everything; `readable` and `blocked` remember what the
 * last edge and the last system call said. A read that came back short has emptied the socket, a
 * write that came back short has filled it, so neither is tried again before epoll reports. All
 * network input and output passes through conn_recv() and conn_send(); with TLS, tls.c is below them and knows by itself
 * whether the socket may hold more.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/server_impl.h"

static ssize_t conn_recv(struct server_conn *c, void *to, size_t room)
{
	ssize_t n;

	if (c->tls)
		return tls_conn_recv(c->tls, to, room);
	do
		n = recv(c->fd, to, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t conn_send(struct server_conn *c, struct iovec *v, size_t count)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = count };
	ssize_t n;

	if (c->tls)
		return tls_conn_send(c->tls, v, count);
	do
		n = count == 1 ? send(c->fd, v->iov_base, v->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL) :
				 sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

static void set_peer(struct server_conn *c, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;

	if (from->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, c->peer, sizeof(c->peer));
		c->peer_port = ntohs(v4->sin_port);
	} else if (from->ss_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, c->peer, sizeof(c->peer));
		else
			inet_ntop(AF_INET6, &v6->sin6_addr, c->peer, sizeof(c->peer));
		c->peer_port = ntohs(v6->sin6_port);
	}
}

struct server_conn *conn_new(int fd, const void *address)
{
	struct server_conn *c = aligned_alloc(_Alignof(struct server_conn), sizeof(*c));

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->timer = TIMER_NONE;
	link_init(&c->timer_link);
	link_init(&c->all_link);
	set_peer(c, address);
	return c;
}

/* Input buffers. What large requests take beyond POOL_BUF is counted and limited. */

static void in_release(struct worker *w, struct server_conn *c)
{
	if (c->in.room > POOL_BUF)
		w->large -= c->in.room - POOL_BUF;
	if (c->in.p)
		pool_give(w, c->in.p, c->in.room);
	c->in = (struct inbuf){ 0 };
	c->fresh = false;
}

static void in_compact(struct inbuf *in)
{
	if (in->start && in->end > in->start)
		memmove(in->p, in->p + in->start, in->end - in->start);
	in->end -= in->start;
	in->start = 0;
}

static bool in_grow(struct worker *w, struct inbuf *in)
{
	const struct server_limits *limits = &w->server->limits;
	size_t room = in->room * 2, extra = room - in->room;
	uint8_t *p;

	if (extra > limits->memory_max / w->server->workers - w->large)
		return false;
	p = realloc(in->p, room);
	if (!p)
		return false;
	w->large += extra;
	in->p = p;
	in->room = room;
	return true;
}

/* Room for the next read; false: no memory, or more than large requests may have. */
static bool in_room(struct worker *w, struct inbuf *in)
{
	if (!in->p) {
		in->p = pool_take(w);
		in->room = in->p ? POOL_BUF : 0;
		in->start = in->end = 0;
		return in->p;
	}
	if (in->start == in->end)
		in->start = in->end = 0;
	if (in->start && in->room - in->end < in->room / 4)
		in_compact(in);
	return in->end < in->room || in_grow(w, in);
}

static void lent_release(struct server_conn *c)
{
	struct lent l = c->lent;

	c->lent = (struct lent){ 0 };
	if (l.release)
		l.release(l.arg);
}

static void out_release(struct worker *w, struct server_conn *c)
{
	if (c->out.p)
		pool_give(w, c->out.p, c->out.room);
	c->out = (struct outbuf){ 0 };
	c->out_sent = 0;
	lent_release(c);
}

static size_t out_pending(const struct server_conn *c)
{
	return c->out.len - c->out_sent + c->lent.left.len;
}

static bool out_full(const struct server_conn *c)
{
	return c->blocked || c->lent.left.len || c->out.len - c->out_sent > OUT_HIGH;
}

/* Gives back what the connection holds; its handler has no request of it any more. */
void conn_release(struct worker *w, struct server_conn *c)
{
	in_release(w, c);
	out_release(w, c);
	if (c->request) {
		free(c->request);
		c->request = NULL;
	}
}

static void bury(struct worker *w, struct server_conn *c)
{
	c->state = CONN_DEAD;
	c->next_dead = w->dead.head;
	w->dead.head = c;
}

/* However it ended, it is not under way any more. */
static void handshake_over(struct worker *w, struct server_conn *c, bool done)
{
	COUNT(w->counters.handshakes, done);
	COUNT(w->counters.resumed, done && tls_conn_resumed(c->tls));
	COUNT(w->counters.handshakes_failed, !done);
	c->state = CONN_READING;
	timer_clear(c);
	w->shaking--;
}

void conn_kill(struct worker *w, struct server_conn *c)
{
	if (c->fd < 0)
		return;
	if (c->state == CONN_HANDSHAKE)
		handshake_over(w, c, false);
	if (c->tls)
		tls_conn_close(c->tls);
	close(c->fd);
	c->fd = -1;
	timer_clear(c);
	if (c->state == CONN_LINGERING || c->over_limit)
		w->lingering--;
	out_release(w, c);
	if (c->state == CONN_WAITING) {
		c->state = CONN_ABANDONED;
		return;
	}
	bury(w, c);
}

/* What we answered to may still be arriving; closing now could destroy the answer on its way. */
static void linger(struct worker *w, struct server_conn *c)
{
	if (!c->over_limit && w->lingering >= w->server->linger_max) {
		conn_kill(w, c);
		return;
	}
	if (!c->over_limit)
		w->lingering++;
	c->state = CONN_LINGERING;
	if (c->tls)
		tls_conn_close(c->tls);
	shutdown(c->fd, SHUT_WR);
	in_release(w, c);
	timer_set(w, c, TIMER_LINGER);
	if (c->readable)
		queue_later(w, c);
}

static void drain(struct worker *w, struct server_conn *c)
{
	uint8_t sink[16384];
	ssize_t n = recv(c->fd, sink, sizeof(sink), MSG_DONTWAIT);	/* below TLS, too: nobody looks at it */

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		conn_kill(w, c);
		return;
	}
	if (n > 0)
		COUNT(w->counters.bytes_in, (uint64_t)n);
	if (n == (ssize_t)sizeof(sink) || (n > 0 && c->hung_up))
		queue_later(w, c);
	else
		c->readable = false;
}

/* Output */

static void sent(struct worker *w, struct server_conn *c, size_t n)
{
	size_t head = c->out.len - c->out_sent;

	COUNT(w->counters.bytes_out, n);
	c->written += n;
	if (n < head) {
		c->out_sent += n;
		return;
	}
	c->out_sent = c->out.len;
	if (n > head)
		c->lent.left = slice_of(c->lent.left.p + (n - head), c->lent.left.len - (n - head));
}

static void all_sent(struct worker *w, struct server_conn *c)
{
	out_release(w, c);
	c->blocked = false;
	if (c->timer == TIMER_WRITE)
		timer_clear(c);
	if (c->state == CONN_CLOSING) {
		if ((c->readable && !c->hung_up) || c->in.p || c->over_limit)
			linger(w, c);
		else
			conn_kill(w, c);
		return;
	}
	if (c->state != CONN_READING)
		return;
	if (c->timer == TIMER_NONE)
		timer_set(w, c,
			  http_in_body(&c->parser) ? TIMER_BODY :
			  c->in.end > c->in.start  ? TIMER_HEAD :
						     TIMER_IDLE);
	if (c->fresh || c->readable)
		queue_later(w, c);
}

void conn_flush(struct worker *w, struct server_conn *c)
{
	if (c->fd < 0 || c->state == CONN_LINGERING)
		return;
	while (out_pending(c) && !c->blocked) {
		size_t head = c->out.len - c->out_sent, asked = out_pending(c);
		struct iovec v[2] = {
			{ .iov_base = c->out.p + c->out_sent, .iov_len = head },
			{ .iov_base = (void *)(uintptr_t)c->lent.left.p, .iov_len = c->lent.left.len },
		};
		ssize_t n = conn_send(c, head ? v : v + 1, head && c->lent.left.len ? 2 : 1);

		if (n < 0 && errno != EAGAIN) {
			conn_kill(w, c);
			return;
		}
		if (n > 0)
			sent(w, c, (size_t)n);
		c->blocked = n < 0 || (size_t)n < asked;
	}
	if (!c->blocked) {
		all_sent(w, c);
		return;
	}
	/* More time only for progress, so that a reply cannot be drawn out byte by byte. */
	if (c->timer != TIMER_WRITE || c->written >= WRITE_STEP) {
		c->written = 0;
		timer_set(w, c, TIMER_WRITE);
	}
}

/* Input */

void conn_error(struct worker *w, struct server_conn *c, unsigned status, const char *text)
{
	struct reply r = { .status = status, .content_type = "application/json", .close = true };

	COUNT(w->counters.errors, 1);
	c->head_only = c->old = false;
	outbuf_reset(&w->body);
	if (w->ops->error)
		w->ops->error(w->state, status, text, &w->body);
	else
		server_error_body(status, text, &w->body);
	if (outbuf_ok(&w->body))
		r.body = outbuf_slice(&w->body);
	timer_clear(c);
	if (!reply_write(w, c, &r, true)) {
		conn_kill(w, c);
		return;
	}
	c->state = CONN_CLOSING;
	c->fresh = false;
	queue_dirty(w, c);
}

static struct http_request *request_take(struct worker *w)
{
	if (!w->spare)
		w->spare = malloc(sizeof(*w->spare));
	return w->spare;
}

static void request_give(struct worker *w, struct server_conn *c)
{
	if (w->spare)
		free(c->request);
	else
		w->spare = c->request;
	c->request = NULL;
}

static void say_continue(struct worker *w, struct server_conn *c)
{
	c->parser.expect = false;
	outbuf_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	if (!outbuf_ok(&c->out))
		conn_kill(w, c);
	else
		queue_dirty(w, c);
}

static void conn_parse(struct worker *w, struct server_conn *c)
{
	struct http_request *r = request_take(w);
	size_t len = c->in.end - c->in.start;

	c->fresh = false;
	if (!r) {
		conn_kill(w, c);
		return;
	}
	switch (http_parse(&c->parser, &w->server->limits.http, c->in.p + c->in.start, &len, r,
			   &c->consumed)) {
	case HTTP_BAD:
		conn_error(w, c, c->parser.status, c->parser.reason);
		return;
	case HTTP_MORE:
		c->in.end = c->in.start + len;
		if (c->parser.expect)
			say_continue(w, c);
		if (c->state == CONN_READING && http_in_body(&c->parser) && c->timer != TIMER_BODY)
			timer_set(w, c, TIMER_BODY);
		else if (c->state == CONN_READING && !http_in_body(&c->parser) && c->timer != TIMER_HEAD)
			timer_set(w, c, TIMER_HEAD);
		return;
	case HTTP_DONE:
		break;
	}
	c->in.end = c->in.start + len;
	c->request = r;
	w->spare = NULL;
	c->state = CONN_WAITING;
	c->keep_alive = r->keep_alive;
	c->head_only = r->method == HTTP_HEAD;
	c->old = r->minor == 0;
	timer_clear(c);
	COUNT(w->counters.requests, 1);
	w->ops->request(w->state, c, r);
}

/* The peer will send no more: nothing of ours can come of what it left unfinished. */
static void peer_done(struct worker *w, struct server_conn *c)
{
	in_release(w, c);
	c->readable = false;
	if (out_pending(c))
		c->state = CONN_CLOSING;
	else
		conn_kill(w, c);
}

/* True: there are new bytes to parse. */
static bool conn_read(struct worker *w, struct server_conn *c)
{
	size_t room;
	ssize_t n;

	if (!in_room(w, &c->in)) {
		COUNT(w->counters.refused, 1);
		conn_error(w, c, 503, "Too much memory in use by requests");
		return false;
	}
	room = c->in.room - c->in.end;
	n = conn_recv(c, c->in.p + c->in.end, room);
	if (n < 0 && errno == EAGAIN)
		c->readable = false;
	else if (n < 0)
		conn_kill(w, c);
	else if (n == 0)
		peer_done(w, c);
	if (n <= 0) {
		if (c->in.start == c->in.end)
			in_release(w, c);
		return false;
	}
	if (c->tls)
		c->readable = tls_conn_more(c->tls);
	else if ((size_t)n < room && !c->hung_up)
		c->readable = false;
	c->in.end += (size_t)n;
	c->turn_bytes += (size_t)n;
	c->fresh = true;
	COUNT(w->counters.bytes_in, (uint64_t)n);
	return true;
}

/* A step of the handshake; true: it is complete and requests can be read. */
static bool conn_handshake(struct worker *w, struct server_conn *c)
{
	if (w->handshake_steps++ >= HANDSHAKE_STEPS) {	/* those who have one behind them are served first */
		queue_later(w, c);
		return false;
	}
	switch (tls_conn_handshake(c->tls)) {
	case TLS_AGAIN:
		c->readable = false;
		if (c->hung_up)
			conn_kill(w, c);
		return false;
	case TLS_DONE:
		handshake_over(w, c, true);
		c->readable = tls_conn_more(c->tls);
		timer_set(w, c, TIMER_IDLE);
		return true;
	case TLS_PLAIN_HTTP:
		handshake_over(w, c, false);
		tls_conn_free(c->tls);
		c->tls = NULL;
		conn_error(w, c, 400, "This port speaks HTTPS: write https:// instead of http:// in the address");
		return false;
	case TLS_FAILED:
		break;
	}
	handshake_over(w, c, false);
	linger(w, c);	/* what the peer has already sent must not cost it our alert */
	return false;
}

/* Does what can be done now: parse what is there, read when that is used up. */
void conn_run(struct worker *w, struct server_conn *c)
{
	if (c->turn != w->turn) {
		c->turn = w->turn;
		c->turn_bytes = 0;
	}
	if (c->state == CONN_LINGERING) {
		drain(w, c);
		return;
	}
	if (c->state == CONN_HANDSHAKE && !conn_handshake(w, c))
		return;
	c->running = true;
	while (c->state == CONN_READING && !out_full(c)) {
		if (c->fresh) {
			conn_parse(w, c);
		} else if (c->readable && c->turn_bytes < TURN_BYTES) {
			if (!conn_read(w, c))
				break;
		} else {
			break;
		}
	}
	c->running = false;
	/* The turn's share is used up, others come first. Full output is taken up again by all_sent(). */
	if (c->state == CONN_READING && !out_full(c) && c->readable)
		queue_later(w, c);
}

static void finish_request(struct worker *w, struct server_conn *c)
{
	request_give(w, c);
	c->in.start += c->consumed;
	c->consumed = 0;
	if (c->in.start == c->in.end)
		in_release(w, c);
	else
		c->fresh = true;
}

void server_reply(struct server_conn *c, const struct reply *r)
{
	struct worker *w = c->worker;
	struct reply other = { .status = 500, .close = true };
	bool close;

	INVARIANT(c->request);
	if (c->state == CONN_ABANDONED) {
		request_give(w, c);
		in_release(w, c);
		if (r->release)
			r->release(r->arg);
		bury(w, c);
		return;
	}
	INVARIANT(c->state == CONN_WAITING && !c->lent.release);
	if (!reply_headers_ok(r->headers)) {
		if (r->release)
			r->release(r->arg);
		r = &other;
	}
	close = r->close || !c->keep_alive || w->stopping;
	if (!reply_write(w, c, r, close)) {
		if (r->release)
			r->release(r->arg);
		finish_request(w, c);
		c->state = CONN_READING;
		conn_kill(w, c);
		return;
	}
	if (r->release && !c->lent.release)
		r->release(r->arg); /* nothing of the body is sent */
	finish_request(w, c);
	c->state = close ? CONN_CLOSING : CONN_READING;
	if (!c->running && !close && (c->fresh || c->readable))
		queue_run(w, c);
	queue_dirty(w, c);
}

const char *server_conn_peer(const struct server_conn *c)
{
	return c->peer;
}

uint16_t server_conn_peer_port(const struct server_conn *c)
{
	return c->peer_port;
}

unsigned server_conn_worker(const struct server_conn *c)
{
	return c->worker->index;
}

bool server_conn_tls(const struct server_conn *c)
{
	return c->tls;
}

const char *server_conn_client(const struct server_conn *c)
{
	return c->tls ? tls_conn_client(c->tls) : NULL;
}

const struct http_request *server_conn_request(const struct server_conn *c)
{
	return c->request;
}

void **server_conn_user(struct server_conn *c)
{
	return &c->user;
}

void *server_conn_scratch(struct server_conn *c)
{
	return c->scratch;
}
