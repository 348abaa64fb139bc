/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator; see bench.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/bench.h"
#include "client/secure.h"

#define SUB_BITS 5			/* buckets for each power of two: 2^5 */
#define READ_SIZE 16384
#define ERRORS_IN_A_ROW_MAX 100		/* then the server is taken for broken */
#define BODY_MAX (8u << 20)

struct conn {
	int fd;
	struct secure *tls;	/* NULL: plain text */
	bool busy;
	struct buf out;
	size_t sent;
	struct buf in;
	bool in_body;
	bool keep_alive;
	unsigned status;
	struct http_body body;
	struct buf content;
	uint64_t begun;		/* ns */
};

struct run {
	const struct bench_load *load;
	const volatile int *stop;
	struct bench_result *r;
	struct conn *conns;
	int epoll;
	unsigned busy;
	unsigned in_a_row;	/* errors since the last success */
	uint64_t start, end;	/* ns; end 0: none */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

unsigned bench_bucket(uint64_t ns)
{
	unsigned top, b;

	if (ns < 1u << SUB_BITS)
		return (unsigned)ns;
	top = 63 - (unsigned)__builtin_clzll(ns);
	b = ((top - SUB_BITS + 1) << SUB_BITS) + (unsigned)(ns >> (top - SUB_BITS) & ((1u << SUB_BITS) - 1));
	return b < BENCH_BUCKETS ? b : BENCH_BUCKETS - 1;
}

uint64_t bench_bucket_top(unsigned bucket)
{
	unsigned group = bucket >> SUB_BITS;
	uint64_t low = bucket & ((1u << SUB_BITS) - 1);

	if (group == 0)
		return low;
	return ((low + (1u << SUB_BITS) + 1) << (group - 1)) - 1;
}

uint64_t bench_percentile(const struct bench_result *r, unsigned percent)
{
	/* Rounded up: the 99th of one request is that request. */
	uint64_t wanted = (r->good * percent + 99) / 100, seen = 0;
	unsigned i;

	for (i = 0; i < BENCH_BUCKETS; i++) {
		seen += r->bucket[i];
		if (seen && seen >= wanted)
			return bench_bucket_top(i);
	}
	return 0;
}

static void close_conn(struct conn *c)
{
	if (c->tls)
		secure_end(c->tls);
	secure_free(c->tls);
	c->tls = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static bool open_conn(struct run *b, struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	close_conn(c);
	c->fd = session_dial(b->load->session, &c->tls);
	return c->fd >= 0 && epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &e) == 0;
}

static bool more_wanted(const struct run *b)
{
	return !*b->stop && b->r->sent < b->load->count && (!b->end || now_ns() < b->end) &&
	       b->in_a_row < ERRORS_IN_A_ROW_MAX;
}

/* Ends the outstanding request. */
static void finish(struct run *b, struct conn *c, bool good)
{
	uint64_t took = now_ns() - c->begun;

	c->busy = false;
	b->busy--;
	if (good) {
		b->r->good++;
		b->r->bucket[bench_bucket(took)]++;
		b->in_a_row = 0;
	} else {
		b->r->errors++;
		b->in_a_row++;
	}
}

/* Sends what is left of the request; waits for the socket when it takes no more. */
static bool push(struct run *b, struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	bool waited = c->sent != 0;

	while (c->sent < c->out.len) {
		const uint8_t *from = c->out.p + c->sent;
		size_t left = c->out.len - c->sent;
		ssize_t n = c->tls ? secure_send(c->tls, from, left) : send(c->fd, from, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			e.events = EPOLLIN | EPOLLOUT;
			return epoll_ctl(b->epoll, EPOLL_CTL_MOD, c->fd, &e) == 0;
		}
		if (n <= 0)
			return false;
		c->sent += (size_t)n;
	}
	return !waited || epoll_ctl(b->epoll, EPOLL_CTL_MOD, c->fd, &e) == 0;
}

/* Gives the connection its next request, if there is one. */
static void next(struct run *b, struct conn *c)
{
	while (more_wanted(b)) {
		uint64_t n = b->load->first + b->r->sent++;

		c->busy = true;
		b->busy++;
		c->begun = now_ns();
		c->in_body = false;
		c->sent = 0;
		c->out.len = 0;
		c->in.len = 0;
		c->content.len = 0;
		b->load->make(b->load->ctx, n, &c->out);
		if (c->fd < 0 && !open_conn(b, c)) {
			finish(b, c, false);
			close_conn(c);
			continue;
		}
		if (buf_ok(&c->out) && push(b, c))
			return;
		finish(b, c, false);
		close_conn(c);
	}
}

/* RC_OK: the answer is complete. RC_BUSY: not yet. Else it is broken. */
static enum rc digest(struct conn *c)
{
	struct cursor in = cur_of(c->in.p, c->in.len);
	struct http_head h;
	size_t used;
	enum rc rc;

	if (!c->in_body) {
		rc = http_head_parse(in, false, &h, &used);
		if (rc != RC_OK)
			return rc;
		c->status = h.status;
		c->keep_alive = h.keep_alive;
		http_body_start(&c->body, &h);
		c->in_body = true;
		in.at += used;
		in.left -= used;
	}
	rc = http_body_feed(&c->body, &in, &c->content);
	c->in.len = 0;
	/* Bytes behind the answer to the only request: the server has lost count. */
	if (rc == RC_OK && in.left)
		return RC_BAD_INPUT;
	return rc;
}

static void readable(struct run *b, struct conn *c)
{
	enum rc rc;

	/* TLS may hold what the socket does not show any more: it is read until it has nothing. */
	do {
		uint8_t *to = buf_room(&c->in, READ_SIZE);
		ssize_t n = !to ? -1 : c->tls ? secure_recv(c->tls, to, READ_SIZE) : recv(c->fd, to, READ_SIZE, 0);

		if (n < 0 && to && (errno == EAGAIN || errno == EINTR))
			return;
		rc = RC_BAD_INPUT;
		if (n > 0 && c->busy) {
			c->in.len += (size_t)n;
			rc = digest(c);
		}
	} while (rc == RC_BUSY && c->tls);
	if (rc == RC_BUSY)
		return;
	if (c->busy)
		finish(b, c, rc == RC_OK && c->status == b->load->want);
	if (rc != RC_OK || !c->keep_alive)
		close_conn(c);
	next(b, c);
}

static void turn(struct run *b)
{
	struct epoll_event ready[64];
	int n = epoll_wait(b->epoll, ready, ARRAY_LEN(ready), 200), i;

	for (i = 0; i < n; i++) {
		struct conn *c = ready[i].data.ptr;

		if (c->fd < 0)
			continue;
		if ((ready[i].events & EPOLLOUT) && c->busy && !push(b, c)) {
			finish(b, c, false);
			close_conn(c);
			next(b, c);
		} else if (ready[i].events & ~(uint32_t)EPOLLOUT) {
			readable(b, c);
		}
	}
}

/* Requests that a dead server never answers end here, as errors. */
static void give_up(struct run *b)
{
	unsigned i;

	for (i = 0; i < b->load->connections; i++) {
		if (b->conns[i].busy)
			finish(b, &b->conns[i], false);
	}
}

static void loop(struct run *b)
{
	uint64_t patience = (uint64_t)session_of(b->load->session)->timeout_ms * 1000000;
	uint64_t last = now_ns(), ended = 0;
	unsigned i;

	for (i = 0; i < b->load->connections; i++)
		next(b, &b->conns[i]);
	while (b->busy) {
		ended = b->r->good + b->r->errors;
		turn(b);
		if (b->r->good + b->r->errors != ended)
			last = now_ns();
		else if (now_ns() - last > patience)
			give_up(b);
	}
}

enum rc bench_run(const struct bench_load *load, const volatile int *stop, struct bench_result *r)
{
	struct run b = { .load = load, .stop = stop, .r = r, .epoll = -1 };
	unsigned i;

	INVARIANT(load->connections >= 1 && load->connections <= BENCH_CONNECTIONS_MAX);
	memset(r, 0, sizeof(*r));
	b.conns = calloc(load->connections, sizeof(*b.conns));
	b.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!b.conns || b.epoll < 0) {
		free(b.conns);
		return RC_MACHINE;
	}
	for (i = 0; i < load->connections; i++) {
		b.conns[i].fd = -1;
		b.conns[i].out.max = 1 << 20;
		b.conns[i].in.max = HTTP_HEAD_MAX + 2 * READ_SIZE;
		b.conns[i].content.max = BODY_MAX;
	}
	for (i = 0; i < load->connections; i++)
		(void)open_conn(&b, &b.conns[i]);	/* outside of the measured time; next() tries again */
	b.start = now_ns();
	b.end = load->ms ? b.start + (uint64_t)load->ms * 1000000 : 0;
	loop(&b);
	r->ns = now_ns() - b.start;
	for (i = 0; i < load->connections; i++) {
		close_conn(&b.conns[i]);
		buf_free(&b.conns[i].out);
		buf_free(&b.conns[i].in);
		buf_free(&b.conns[i].content);
	}
	close(b.epoll);
	free(b.conns);
	return r->good ? RC_OK : RC_MACHINE;
}
