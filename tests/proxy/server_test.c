/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server through real sockets on the loopback interface, mostly with clients that misbehave.
 * Nothing here measures time: short limits are waited for, however long that takes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/server.h"
#include "tests/test.h"

#define HOST "Host: kms\r\n"
#define BIG (30u << 20)

/* A handler that answers by path. */
struct held {
	struct server_conn *conn;
	struct held *next;
};

struct state {
	unsigned worker;
	struct held *batch;  /* replied to in turn() */
	struct held *parked; /* replied to when woken */
	unsigned batched;
};

static struct server *srv;
static struct server_config config;
static uint8_t *big;
static atomic_uint parked, closed, stops, released, largest_batch, seen_workers, hanging, unhung;

static void *on_start(void *ctx, unsigned worker)
{
	struct state *st = calloc(1, sizeof(*st));

	(void)ctx;
	st->worker = worker;
	return st;
}

static void hold(struct held **list, struct server_conn *c)
{
	struct held *h = calloc(1, sizeof(*h));

	h->conn = c;
	h->next = *list;
	*list = h;
}

static void echo(struct server_conn *c)
{
	const struct http_request *r = server_conn_request(c);
	char head[64];

	snprintf(head, sizeof(head), "X-Worker: %u\r\n", server_conn_worker(c));
	server_reply(c, &(struct reply){ .status = 200,
					 .content_type = "text/plain",
					 .headers = slice_str(head),
					 .body = r->body.len ? r->body : r->path });
}

static void let_go(struct held **list)
{
	struct held *h;

	while ((h = *list)) {
		*list = h->next;
		echo(h->conn);
		free(h);
	}
}

static void on_release(void *arg)
{
	(void)arg;
	released++;
}

static void on_request(void *w, struct server_conn *c, const struct http_request *r)
{
	struct state *st = w;
	struct reply reply = { .status = 200 };

	seen_workers |= 1u << st->worker;
	if (slice_is(r->path, "/later")) {
		hold(&st->batch, c);
		st->batched++;
		return;
	}
	if (slice_is(r->path, "/park")) {
		hold(&st->parked, c);
		parked++;
		return;
	}
	if (slice_is(r->path, "/hang")) {
		hanging++;
		while (!unhung)
			usleep(1000);
	}
	if (slice_is(r->path, "/big") || slice_is(r->path, "/lent")) {
		reply.body = slice_of(big, BIG);
		reply.release = r->path.p[1] == 'l' ? on_release : NULL;
	} else if (slice_is(r->path, "/close")) {
		reply.close = true;
	} else if (slice_is(r->path, "/split")) {
		reply = (struct reply){ .status = 403, .reason = "No\r\nX-Evil: 1\n\nmore" };
	} else if (slice_is(r->path, "/badheader")) {
		reply.headers = slice_str("A: b\r\n\r\nHTTP/1.1 200 OK\r\n");
	} else if (slice_is(r->path, "/nothing")) {
		reply.status = 204;
	} else {
		echo(c);
		return;
	}
	server_reply(c, &reply);
}

static void on_turn(void *w)
{
	struct state *st = w;

	if (st->batched > largest_batch)
		largest_batch = st->batched;
	st->batched = 0;
	let_go(&st->batch);
}

static void on_woken(void *w)
{
	struct state *st = w;

	let_go(&st->parked);
}

static void on_closed(void *w, struct server_conn *c)
{
	(void)w;
	(void)c;
	closed++;
}

static void on_stop(void *w)
{
	struct state *st = w;
	struct held *h;

	while ((h = st->parked)) {
		st->parked = h->next;
		free(h);
	}
	free(st);
	stops++;
}

static const struct server_ops ops = {
	.start = on_start,
	.request = on_request,
	.turn = on_turn,
	.woken = on_woken,
	.closed = on_closed,
	.stop = on_stop,
};

static const char *const local[] = { "127.0.0.1:0" };

static void serve(unsigned workers, struct server_limits limits)
{
	char why[128];

	if (!big)
		big = malloc(BIG);
	memset(big, 'b', BIG);
	parked = closed = stops = released = largest_batch = seen_workers = hanging = unhung = 0;
	config = (struct server_config){
		.listen = local, .listen_count = 1, .limits = limits, .workers = workers, .ops = &ops
	};
	EXPECT(server_create(&config, &srv, why, sizeof(why)) == RC_OK);
	EXPECT(server_run(srv) == RC_OK);
}

static void finish(void)
{
	unsigned workers = server_workers(srv);

	server_stop(srv, 5000);
	EXPECT_INT(stops, workers);
	EXPECT_INT(server_stats(srv).open, 0);
	server_free(srv);
	srv = NULL;
}

/* A client */

static int dial_small(int rcvbuf)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(server_port(srv, 0)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT(fd >= 0);
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	EXPECT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

static int dial(void)
{
	return dial_small(0);
}

static bool send_n(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	ssize_t k;

	while (n) {
		k = send(fd, at, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static bool send_text(int fd, const char *text)
{
	return send_n(fd, text, strlen(text));
}

struct answer {
	int status; /* 0: the connection ended instead */
	char head[4096];
	char body[1024]; /* the beginning */
	size_t len;      /* of the body as received */
};

static const char *field(const struct answer *a, const char *name)
{
	static char value[256];
	char line[64];
	const char *p;

	snprintf(line, sizeof(line), "\r\n%s: ", name);
	p = strstr(a->head, line);
	value[0] = '\0';
	if (p)
		sscanf(p + strlen(line), "%255[^\r]", value);
	return value;
}

/* Reads one answer, and not a byte more. */
static struct answer receive(int fd, bool bodyless)
{
	struct answer a = { 0 };
	static char chunk[65536];
	size_t n = 0, want;
	ssize_t k;

	while (n < 4 || memcmp(a.head + n - 4, "\r\n\r\n", 4) != 0) {
		if (n == sizeof(a.head) - 1 || recv(fd, a.head + n, 1, 0) != 1) {
			a.status = 0;
			return a;
		}
		n++;
	}
	if (sscanf(a.head, "HTTP/1.1 %d ", &a.status) != 1)
		return (struct answer){ 0 };
	want = bodyless ? 0 : strtoul(field(&a, "Content-Length"), NULL, 10);
	while (a.len < want) {
		k = recv(fd, chunk, want - a.len < sizeof(chunk) ? want - a.len : sizeof(chunk), 0);
		if (k <= 0)
			return (struct answer){ 0 };
		if (a.len < sizeof(a.body) - 1)
			memcpy(a.body + a.len, chunk,
			       (size_t)k < sizeof(a.body) - 1 - a.len ? (size_t)k :
									sizeof(a.body) - 1 - a.len);
		a.len += (size_t)k;
	}
	return a;
}

static struct answer ask(int fd, const char *text)
{
	EXPECT(send_text(fd, text));
	return receive(fd, strncmp(text, "HEAD", 4) == 0);
}

/* The other side has closed; whatever it still sends is thrown away. */
static bool ended(int fd)
{
	char sink[4096];
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), 0)) > 0)
		;
	close(fd);
	return n == 0 || errno == ECONNRESET;
}

static void alive(void)
{
	int fd = dial();
	struct answer a = ask(fd, "GET /alive HTTP/1.1\r\n" HOST "\r\n");

	EXPECT(a.status == 200 && strcmp(a.body, "/alive") == 0);
	close(fd);
}

static void wait_for(atomic_uint *v, unsigned at_least)
{
	while (*v < at_least)
		usleep(1000);
}

TEST(an_answer_carries_the_headers_of_hadoop_and_no_server_name)
{
	struct answer a;
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	a = ask(fd, "POST /kms HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
	EXPECT_INT(a.status, 200);
	EXPECT(strncmp(a.head, "HTTP/1.1 200 OK\r\n", 17) == 0);
	EXPECT_STR(a.body, "abc");
	EXPECT_STR(field(&a, "Content-Length"), "3");
	EXPECT_STR(field(&a, "Content-Type"), "text/plain");
	EXPECT_STR(field(&a, "Cache-Control"), "no-cache");
	EXPECT_STR(field(&a, "Pragma"), "no-cache");
	EXPECT_STR(field(&a, "X-Content-Type-Options"), "nosniff");
	EXPECT_STR(field(&a, "X-XSS-Protection"), "1; mode=block");
	EXPECT_STR(field(&a, "X-Worker"), "0");
	EXPECT_INT(strlen(field(&a, "Date")), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
	EXPECT_INT(strlen(field(&a, "Expires")), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
	EXPECT(!strstr(a.head, "Server:") && !strstr(a.head, "Connection:"));
	close(fd);
	finish();
}

TEST(head_gets_the_length_without_the_body)
{
	struct answer a;
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	a = ask(fd, "HEAD /12345 HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_INT(a.status, 200);
	EXPECT_STR(field(&a, "Content-Length"), "6");
	a = ask(fd, "HEAD /lent HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_STR(field(&a, "Content-Length"), "31457280");
	EXPECT_INT(released, 1);
	a = ask(fd, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
	EXPECT(a.status == 204 && !strstr(a.head, "Content-Length"));
	a = ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_STR(a.body, "/x");
	close(fd);
	finish();
}

TEST(connections_are_kept_or_closed_as_asked)
{
	struct answer a;
	int fd, i;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	for (i = 0; i < 100; i++)
		EXPECT_INT(ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n").status, 200);
	a = ask(fd, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	EXPECT_STR(field(&a, "Connection"), "keep-alive");
	a = ask(fd, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	EXPECT_STR(field(&a, "Connection"), "close");
	EXPECT(ended(fd));
	fd = dial();
	a = ask(fd, "GET /x HTTP/1.0\r\n\r\n");
	EXPECT_STR(field(&a, "Connection"), "close");
	EXPECT(ended(fd));
	fd = dial();
	a = ask(fd, "GET /close HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_STR(field(&a, "Connection"), "close");
	EXPECT(ended(fd));
	EXPECT_INT(server_stats(srv).accepted, 3);
	EXPECT_INT(server_stats(srv).requests, 104);
	finish();
}

static void pipeline(const char *path)
{
	OUTBUF o = { 0 };
	int fd = dial(), i;

	for (i = 0; i < 50; i++)
		outbuf_printf(&o, "POST %s HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nbody%03d", path, i);
	EXPECT(send_n(fd, o.p, o.len));
	for (i = 0; i < 50; i++) {
		struct answer a = receive(fd, false);
		char want[16];

		snprintf(want, sizeof(want), "body%03d", i);
		EXPECT_INT(a.status, 200);
		EXPECT_STR(a.body, want);
	}
	close(fd);
}

TEST(fifty_pipelined_requests_are_answered_in_order)
{
	serve(1, (struct server_limits){ 0 });
	pipeline("/now");
	pipeline("/later");
	EXPECT_INT(server_stats(srv).requests, 100);
	finish();
}

TEST(single_bytes_make_a_request_too)
{
	static const char text[] = "PUT /later HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
				   "5\r\nhello\r\n1;x\r\n!\r\n0\r\nT: u\r\n\r\n"
				   "POST /x HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nmore";
	int fd, one = 1;
	size_t i;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (i = 0; i < sizeof(text) - 1; i++)
		EXPECT(send_n(fd, text + i, 1));
	EXPECT_STR(receive(fd, false).body, "hello!");
	EXPECT_STR(receive(fd, false).body, "more");
	close(fd);
	finish();
}

TEST(a_client_that_stops_sending_may_still_listen)
{
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	EXPECT(send_text(fd, "GET /later HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"));
	EXPECT(shutdown(fd, SHUT_WR) == 0);
	EXPECT_STR(receive(fd, false).body, "/later");
	EXPECT_STR(receive(fd, false).body, "/x");
	EXPECT(ended(fd));
	finish();
}

TEST(who_expects_to_be_asked_for_the_body_is_asked)
{
	struct answer a;
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	a = ask(fd, "POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	EXPECT_INT(a.status, 100);
	a = ask(fd, "hi");
	EXPECT(a.status == 200 && strcmp(a.body, "hi") == 0);
	close(fd);
	finish();
}

static void is_error(int fd, int status)
{
	struct answer a = receive(fd, false);

	EXPECT_INT(a.status, status);
	EXPECT(strstr(a.body, "\"RemoteException\"") && strstr(a.body, "\"javaClassName\""));
	EXPECT_STR(field(&a, "Content-Type"), "application/json");
	EXPECT_STR(field(&a, "Connection"), "close");
	EXPECT(ended(fd));
}

TEST(malformed_requests_are_answered_and_the_connection_closed)
{
	static const struct {
		const char *text;
		int status;
	} t[] = {
		{ "garbage\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/3.0\r\n" HOST "\r\n", 505 },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999\r\n\r\n", 413 },
		{ "POST / HTTP/1.1\r\n" HOST "Expect: wonders\r\n\r\n", 417 },
		{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 },
		{ "\x16\x03\x01\x02\x03\x01\x01\xfc\x03\x03", 400 },
	};
	size_t i;
	int fd;

	serve(1, (struct server_limits){ .http.body_max = 1000000 });
	for (i = 0; i < ARRAY_LEN(t); i++) {
		fd = dial();
		EXPECT(send_text(fd, t[i].text));
		is_error(fd, t[i].status);
	}
	EXPECT_INT(server_stats(srv).errors, ARRAY_LEN(t));
	alive();
	finish();
}

TEST(a_request_behind_a_malformed_one_is_not_served)
{
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	EXPECT(send_text(fd, "GET /a HTTP/1.1\r\n" HOST "\r\nBAD\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"));
	EXPECT_INT(receive(fd, false).status, 200);
	is_error(fd, 400);
	EXPECT_INT(server_stats(srv).requests, 1);
	finish();
}

TEST(heads_and_bodies_too_large_are_refused)
{
	static char big_head[70000];
	OUTBUF o = { 0 };
	int fd, i;

	serve(1, (struct server_limits){ .http.body_max = 1 << 20 });
	memset(big_head, 'a', sizeof(big_head));
	fd = dial();
	EXPECT(send_text(fd, "GET /"));
	send_n(fd, big_head, sizeof(big_head));
	is_error(fd, 414);
	fd = dial();
	EXPECT(send_text(fd, "GET / HTTP/1.1\r\nA: "));
	send_n(fd, big_head, sizeof(big_head));
	is_error(fd, 431);
	for (i = 0; i < 4; i++) {
		outbuf_printf(&o, "%x\r\n", 300000);
		outbuf_put(&o, big, 300000);
		outbuf_str(&o, "\r\n");
	}
	fd = dial();
	EXPECT(send_text(fd, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
	send_n(fd, o.p, o.len);
	is_error(fd, 413);
	alive();
	finish();
}

TEST(large_bodies_arrive_whole)
{
	struct answer a;
	char head[128];
	int fd;

	serve(1, (struct server_limits){ .http.body_max = BIG });
	fd = dial();
	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\n" HOST "Content-Length: %u\r\n\r\n", 5000000);
	EXPECT(send_text(fd, head) && send_n(fd, big, 5000000));
	a = receive(fd, false);
	EXPECT(a.status == 200 && a.len == 5000000 && a.body[1000] == 'b');
	EXPECT_INT(ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n").status, 200);
	close(fd);
	finish();
}

TEST(large_requests_may_only_take_so_much_memory)
{
	char head[128];
	int fd;

	serve(1, (struct server_limits){ .http.body_max = BIG, .memory_max = 1 << 20 });
	fd = dial();
	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\n" HOST "Content-Length: %u\r\n\r\n", 5000000);
	EXPECT(send_text(fd, head));
	send_n(fd, big, 5000000);
	is_error(fd, 503);
	alive();
	finish();
}

TEST(slow_clients_run_out_of_time)
{
	int idle, head, body, late;

	serve(1, (struct server_limits){ .idle_ms = 60, .head_ms = 60, .body_ms = 60 });
	idle = dial();
	head = dial();
	EXPECT(send_text(head, "GET / HT"));
	body = dial();
	EXPECT(send_text(body, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabc"));
	late = dial();
	EXPECT_INT(ask(late, "GET /x HTTP/1.1\r\n" HOST "\r\n").status, 200);
	EXPECT(ended(idle));
	is_error(head, 408);
	is_error(body, 408);
	EXPECT(ended(late));
	EXPECT_INT(server_stats(srv).timeouts, 2);
	alive();
	finish();
}

TEST(dripping_bytes_do_not_buy_more_time)
{
	struct pollfd p;
	int fd;

	serve(1, (struct server_limits){ .head_ms = 100 });
	fd = dial();
	EXPECT(send_text(fd, "GET / HTTP/1.1\r\nA: "));
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (poll(&p, 1, 10) == 0)
		send_n(fd, "a", 1);
	is_error(fd, 408);
	finish();
}

TEST(big_answers_reach_a_slow_reader_and_block_nobody)
{
	static const char *const path[] = { "/big", "/lent" };
	char request[64];
	struct answer a;
	size_t i;
	int fd;

	serve(1, (struct server_limits){ 0 });
	for (i = 0; i < 2; i++) {
		fd = dial_small(4096);
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", path[i]);
		EXPECT(send_text(fd, request));
		EXPECT(send_text(fd, "GET /next HTTP/1.1\r\n" HOST "\r\n"));
		alive();
		a = receive(fd, false);
		EXPECT(a.status == 200 && a.len == BIG && a.body[0] == 'b');
		EXPECT_STR(receive(fd, false).body, "/next");
		close(fd);
	}
	wait_for(&released, 1);
	finish();
}

TEST(a_reader_that_stops_reading_is_dropped)
{
	int fd;

	serve(1, (struct server_limits){ .write_ms = 60 });
	fd = dial_small(4096);
	EXPECT(send_text(fd, "GET /lent HTTP/1.1\r\n" HOST "\r\n"));
	wait_for(&released, 1);
	wait_for(&closed, 1);
	EXPECT_INT(server_stats(srv).timeouts, 1);
	alive();
	close(fd);
	finish();
}

TEST(an_endless_pipeline_without_reading_is_held_back)
{
	static const char text[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
	OUTBUF o = { 0 };
	size_t i;
	ssize_t n;
	int fd;

	serve(1, (struct server_limits){ .write_ms = 100 });
	for (i = 0; i < 1000; i++)
		outbuf_str(&o, text);
	fd = dial_small(4096);
	EXPECT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	/* Sends until the server has given up on us; it must not have read on for ever. */
	do {
		n = send(fd, o.p, o.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			usleep(1000);
	} while (n > 0 || errno == EAGAIN);
	EXPECT(server_stats(srv).bytes_in < 64u << 20);
	alive();
	close(fd);
	finish();
}

TEST(garbage_does_not_stop_the_server)
{
	static const char *const good[] = {
		"POST /x HTTP/1.1\r\n",           HOST,   "Content-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n", "\r\n", "5\r\nhello\r\n0\r\n\r\n"
	};
	unsigned seed = 7, i, k, n;
	uint8_t junk[256];
	int fd;

	serve(2, (struct server_limits){ .linger_ms = 50 });
	for (i = 0; i < 300; i++) {
		fd = dial();
		for (k = 0; k < 6; k++) {
			if (rand_r(&seed) % 4 == 0) {
				for (n = 0; n < sizeof(junk); n++)
					junk[n] = (uint8_t)rand_r(&seed);
				send_n(fd, junk, (size_t)rand_r(&seed) % sizeof(junk));
			} else {
				send_text(fd, good[rand_r(&seed) % ARRAY_LEN(good)]);
			}
		}
		if (i % 3 == 0) {
			struct linger hard = { .l_onoff = 1 };

			setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		}
		close(fd);
	}
	alive();
	finish();
	EXPECT_INT(closed, 301);
}

TEST(a_thousand_idle_connections_do_not_disturb)
{
	static int fd[1000];
	struct rlimit l;
	size_t i;

	serve(2, (struct server_limits){ .connections = 2000 });
	getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < 2200) {
		finish();
		skip();
	}
	for (i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = dial();
	for (i = 0; i < 50; i++)
		alive();
	for (i = 0; i < ARRAY_LEN(fd); i += 100)
		EXPECT_INT(ask(fd[i], "GET /x HTTP/1.1\r\n" HOST "\r\n").status, 200);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	finish();
}

TEST(connections_are_spread_over_the_workers)
{
	int fd[16];
	unsigned on[4] = { 0 };
	size_t i;

	serve(4, (struct server_limits){ 0 });
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		struct answer a;

		fd[i] = dial();
		a = ask(fd[i], "GET /x HTTP/1.1\r\n" HOST "\r\n");
		EXPECT_INT(a.status, 200);
		on[strtoul(field(&a, "X-Worker"), NULL, 10) % 4]++;
	}
	for (i = 0; i < 4; i++)
		EXPECT_INT(on[i], 4);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	finish();
}

TEST(connections_above_the_limit_are_told_503)
{
	int fd[3];
	size_t i;

	serve(2, (struct server_limits){ .connections = 3 });
	for (i = 0; i < 3; i++) {
		fd[i] = dial();
		EXPECT_INT(ask(fd[i], "GET /x HTTP/1.1\r\n" HOST "\r\n").status, 200);
	}
	for (i = 0; i < 20; i++) {
		int over = dial();

		EXPECT(send_text(over, "GET /x HTTP/1.1\r\n" HOST "\r\n"));
		is_error(over, 503);
	}
	EXPECT_INT(server_stats(srv).refused, 20);
	close(fd[0]);
	wait_for(&closed, 1);
	while (server_stats(srv).open > 2)
		usleep(1000);
	alive();
	close(fd[1]);
	close(fd[2]);
	finish();
}

TEST(requests_of_one_turn_reach_the_handler_together)
{
	int fd[8];
	size_t i, round;

	serve(1, (struct server_limits){ 0 });
	for (i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = dial();
	/* Parked replies keep the worker's turn long enough for requests to gather, sooner or later. */
	for (round = 0; round < 1000 && largest_batch < 2; round++) {
		for (i = 0; i < ARRAY_LEN(fd); i++)
			EXPECT(send_text(fd[i], "GET /later HTTP/1.1\r\n" HOST "\r\n"));
		for (i = 0; i < ARRAY_LEN(fd); i++)
			EXPECT_STR(receive(fd[i], false).body, "/later");
	}
	EXPECT(largest_batch >= 2);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	finish();
}

TEST(completions_from_another_thread_are_replied_to)
{
	int fd[10];
	size_t i;

	serve(2, (struct server_limits){ 0 });
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = dial();
		EXPECT(send_text(fd[i], "GET /park HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"));
	}
	wait_for(&parked, 10);
	server_wake(srv, 0);
	server_wake(srv, 1);
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		EXPECT_STR(receive(fd[i], false).body, "/park");
		EXPECT_STR(receive(fd[i], false).body, "/x");
		close(fd[i]);
	}
	finish();
}

TEST(a_client_may_vanish_while_its_request_is_out)
{
	struct linger hard = { .l_onoff = 1 };
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	EXPECT(send_text(fd, "POST /park HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
	wait_for(&parked, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	alive();
	/* The one that asked is still counted: its request is with the handler. */
	wait_for(&closed, 1);
	EXPECT_INT(server_stats(srv).open, 1);
	server_wake(srv, 0);
	wait_for(&closed, 2);
	finish();
}

TEST(answers_cannot_be_split)
{
	struct answer a;
	int fd;

	serve(1, (struct server_limits){ 0 });
	fd = dial();
	a = ask(fd, "GET /split HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_INT(a.status, 403);
	EXPECT(strncmp(a.head, "HTTP/1.1 403 No  X-Evil: 1  more\r\n", 34) == 0);
	a = ask(fd, "GET /badheader HTTP/1.1\r\n" HOST "\r\n");
	EXPECT_INT(a.status, 500);
	EXPECT(ended(fd));
	finish();
}

struct stopper {
	pthread_t thread;
	unsigned deadline_ms;
};

static void *stop_thread(void *arg)
{
	struct stopper *s = arg;

	server_stop(srv, s->deadline_ms);
	return NULL;
}

TEST(stopping_lets_requests_under_way_finish)
{
	struct stopper s = { .deadline_ms = 60000 };
	struct answer a;
	int fd, idle;

	serve(1, (struct server_limits){ 0 });
	idle = dial();
	fd = dial();
	EXPECT(send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n"));
	wait_for(&parked, 1);
	EXPECT(pthread_create(&s.thread, NULL, stop_thread, &s) == 0);
	EXPECT(ended(idle));
	server_wake(srv, 0);
	a = receive(fd, false);
	EXPECT_STR(a.body, "/park");
	EXPECT_STR(field(&a, "Connection"), "close");
	EXPECT(ended(fd));
	pthread_join(s.thread, NULL);
	finish();
}

TEST(stopping_does_not_wait_longer_than_its_deadline)
{
	int fd, reader, partial;

	serve(2, (struct server_limits){ 0 });
	fd = dial();
	EXPECT(send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n"));
	reader = dial_small(4096);
	EXPECT(send_text(reader, "GET /lent HTTP/1.1\r\n" HOST "\r\n"));
	partial = dial();
	EXPECT(send_text(partial, "GET /x"));
	wait_for(&parked, 1);
	server_stop(srv, 50);
	EXPECT(ended(fd));
	EXPECT(ended(partial));
	EXPECT(ended(reader));
	EXPECT_INT(closed, 3);
	finish();
}

TEST(stopping_under_load_loses_nothing_of_ours)
{
	static const char text[] = "POST /later HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
	int fd[64];
	size_t i;

	serve(4, (struct server_limits){ 0 });
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = dial();
		EXPECT(send_text(fd[i], text));
	}
	server_stop(srv, 0);
	for (i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	finish();
}

TEST(bad_configurations_are_refused)
{
	static const char *const bad[] = {
		"",         "9600",      "host",    "::1:9600", "[::1:9600",       "[]:9600",    "[::1]",
		"1.2.3.4:", "1.2.3.4:x", "a:70000", "a:-1",     "127.0.0.1:99999", "1.2.3.4.5:1"
	};
	static const char *const ok_address[] = { "127.0.0.1:0" };
	char why[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		config = (struct server_config){
			.listen = &bad[i], .listen_count = 1, .ops = &ops, .workers = 1
		};
		why[0] = '\0';
		EXPECT(server_create(&config, &srv, why, sizeof(why)) == RC_BAD_INPUT);
		EXPECT(why[0]);
	}
	config = (struct server_config){ .ops = &ops, .workers = 1 };
	EXPECT(server_create(&config, &srv, why, sizeof(why)) == RC_BAD_INPUT);
	config = (struct server_config){
		.listen = ok_address, .listen_count = 1, .ops = &ops, .workers = 1, .headers = "X: y"
	};
	EXPECT(server_create(&config, &srv, why, sizeof(why)) == RC_BAD_INPUT);
	srv = NULL;
}

TEST(two_servers_cannot_have_one_address)
{
	struct server_config second;
	struct server *other;
	char address[32], why[128];
	const char *list[] = { address };

	serve(1, (struct server_limits){ 0 });
	snprintf(address, sizeof(address), "127.0.0.1:%u", server_port(srv, 0));
	second = (struct server_config){ .listen = list, .listen_count = 1, .ops = &ops, .workers = 1 };
	EXPECT(server_create(&second, &other, why, sizeof(why)) == RC_MACHINE);
	EXPECT(strstr(why, address));
	finish();
}

TEST(ipv6_is_served_where_there_is_any)
{
	static const char *const six[] = { "[::1]:0" };
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	char why[128];
	int fd;

	stops = 0;
	config = (struct server_config){ .listen = six,
					 .listen_count = 1,
					 .ops = &ops,
					 .workers = 1,
					 .headers = "X-Frame-Options: SAMEORIGIN\r\n" };
	if (server_create(&config, &srv, why, sizeof(why)) != RC_OK)
		skip(); /* no IPv6 here */
	EXPECT(server_run(srv) == RC_OK);
	a.sin6_port = htons(server_port(srv, 0));
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	EXPECT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	EXPECT(strstr(ask(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n").head, "X-Frame-Options: SAMEORIGIN\r\n"));
	close(fd);
	finish();
}

static atomic_uint ticks;

static void tell_peer(void *w, struct server_conn *c, const struct http_request *r)
{
	char text[80];
	void **user = server_conn_user(c);
	uint8_t *scratch = server_conn_scratch(c);

	(void)w;
	(void)r;
	EXPECT((uintptr_t)scratch % 16 == 0 && *user == (scratch[SERVER_SCRATCH - 1] ? scratch : NULL));
	snprintf(text, sizeof(text), "%s %u %u", server_conn_peer(c), server_conn_peer_port(c),
		 scratch[SERVER_SCRATCH - 1]++);
	*user = scratch;
	server_reply(c, &(struct reply){ .status = 299, .body = slice_str(text) });
}

static void own_error(void *w, unsigned status, const char *text, struct outbuf *body)
{
	EXPECT(w == &ticks && text[0]);
	outbuf_printf(body, "[%u]", status);
}

static void count_turn(void *w)
{
	EXPECT(w == &ticks);
	ticks++;
}

TEST(a_handler_knows_its_client_and_may_word_the_errors)
{
	static const struct server_ops other = { .request = tell_peer,
						 .error = own_error,
						 .turn = count_turn };
	struct sockaddr_in me;
	socklen_t len = sizeof(me);
	char why[128], want[64];
	struct answer a;
	int fd, i;

	ticks = 0;
	config = (struct server_config){ .listen = local,
					 .listen_count = 1,
					 .ops = &other,
					 .workers = 1,
					 .pin = true,
					 .tick_ms = 1,
					 .ctx = &ticks };
	EXPECT(server_create(&config, &srv, why, sizeof(why)) == RC_OK);
	EXPECT(server_run(srv) == RC_OK);
	fd = dial();
	EXPECT(getsockname(fd, (struct sockaddr *)&me, &len) == 0);
	for (i = 0; i < 3; i++) {
		a = ask(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
		snprintf(want, sizeof(want), "127.0.0.1 %u %d", ntohs(me.sin_port), i);
		EXPECT_STR(a.body, want);
		EXPECT(strncmp(a.head, "HTTP/1.1 299 Unknown\r\n", 22) == 0);
	}
	a = ask(fd, "GET / HTTP/7.1\r\n" HOST "\r\n");
	EXPECT(a.status == 505 && strcmp(a.body, "[505]") == 0);
	EXPECT(ended(fd));
	wait_for(&ticks, 20);
	server_free(srv);
	srv = NULL;
}

static void wait_alive(void)
{
	while (!server_alive(srv, NULL, NULL))
		usleep(1000);
}

static bool waits(void *ctx, unsigned worker)
{
	return worker == *(unsigned *)ctx;
}

TEST(a_worker_that_hangs_gives_no_sign_of_life_and_idle_ones_do)
{
	unsigned i, which, other;
	int fd;

	serve(3, (struct server_limits){ 0 });
	EXPECT(!server_alive(srv, NULL, NULL)); /* it only asks */
	for (i = 0; i < 3; i++)
		wait_alive();
	fd = dial();
	EXPECT(send_text(fd, "GET /hang HTTP/1.1\r\n" HOST "\r\n"));
	wait_for(&hanging, 1);
	for (which = 0; !server_alive(srv, waits, &which); which = (which + 1) % 3)	/* the one that is excused */
		usleep(1000);
	other = (which + 1) % 3;
	EXPECT(!server_alive(srv, NULL, NULL)); /* it only asks */
	/* The two others turn, many times; that one of them waits for something does not excuse the one that hangs. */
	for (i = 0; i < 300; i++) {
		EXPECT(!server_alive(srv, i & 1 ? waits : NULL, &other));
		server_wake(srv, i % 3);
		usleep(1000);
	}
	unhung = 1;
	wait_alive();
	EXPECT_INT(receive(fd, false).status, 200);
	close(fd);
	finish();
}
