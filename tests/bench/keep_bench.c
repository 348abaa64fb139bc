/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, again and again, on connections that stay open, each with one under way: for the little that it costs a
 * request, so that a server on another processor is what limits the rate, over TLS too. Used by tools/bench.
 *
 *   keep_bench PORT plain|tls CONNECTIONS SECONDS < REQUEST
 *
 * REQUEST is sent as it is. Every answer has to be a 200 as long as the first one, or it counts as refused. Prints
 * "requests N", "seconds S", "refused N" and "cpu_seconds S" (its own). No certificate is checked.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define ANSWER_MAX 65536

struct conn {
	int fd;
	SSL *ssl; /* NULL: plain */
	size_t got;
	bool good; /* what has come of the answer so far */
};

static struct conn conns[CONNECTIONS_MAX];
static char request[16384];
static size_t request_len, answer_len;
static unsigned long done, refused;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool dial(struct conn *c, unsigned port, SSL_CTX *ctx)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		return false;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (ctx) {
		c->ssl = SSL_new(ctx);
		if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
			return false;
	}
	return true;
}

/* A request is small and nothing else is under way: the socket takes it at once. */
static bool ask(struct conn *c)
{
	size_t n = 0;

	c->got = 0;
	if (c->ssl)
		return SSL_write_ex(c->ssl, request, request_len, &n) == 1 && n == request_len;
	return send(c->fd, request, request_len, MSG_NOSIGNAL) == (ssize_t)request_len;
}

/* What is there of it. 0: nothing for now; -1: the connection broke. */
static ssize_t take(struct conn *c, char *to, size_t room)
{
	size_t n = 0;
	ssize_t r;

	if (c->ssl) {
		if (SSL_read_ex(c->ssl, to, room, &n) == 1)
			return (ssize_t)n;
		return SSL_get_error(c->ssl, 0) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	r = recv(c->fd, to, room, MSG_DONTWAIT);
	return r > 0 ? r : -1;
}

/* The length of an answer, head and body; 0: it has none that can be told. */
static size_t length_of(const char *answer, size_t len)
{
	const char *body = memmem(answer, len, "\r\n\r\n", 4), *field = memmem(answer, len, "Content-Length: ", 16);

	if (!body || !field || field > body)
		return 0;
	return (size_t)(body + 4 - answer) + strtoul(field + 16, NULL, 10);
}

/* False: the connection broke. */
static bool on_answer(struct conn *c)
{
	static char answer[ANSWER_MAX];
	ssize_t n = take(c, answer, sizeof(answer) - 1);

	if (n <= 0)
		return n == 0;
	answer[n] = 0;
	if (c->got == 0)
		c->good = n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
	if (answer_len == 0)
		answer_len = length_of(answer, (size_t)n);
	c->got += (size_t)n;
	if (c->good && answer_len && c->got < answer_len)
		return true;
	if (c->good && c->got == answer_len)
		done++;
	else
		refused++;
	return ask(c);
}

static bool run(int ep, double until)
{
	struct epoll_event e[64];
	int n, i;

	while (now() < until) {
		n = epoll_wait(ep, e, 64, 100);
		for (i = 0; i < n; i++)
			if (!on_answer(e[i].data.ptr))
				return false;
	}
	return true;
}

static SSL_CTX *context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx) {
		SSL_CTX_set_read_ahead(ctx, 1);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	}
	return ctx;
}

int main(int argc, char **argv)
{
	unsigned count = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0, i;
	bool tls = argc == 5 && strcmp(argv[2], "tls") == 0, whole;
	SSL_CTX *ctx = tls ? context() : NULL;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	double began, cpu_before;

	if (argc != 5 || count < 1 || count > CONNECTIONS_MAX || (tls && !ctx) || ep < 0) {
		fprintf(stderr, "usage: keep_bench PORT plain|tls CONNECTIONS SECONDS < REQUEST\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	request_len = fread(request, 1, sizeof(request), stdin);
	for (i = 0; i < count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &conns[i] };

		if (!dial(&conns[i], (unsigned)strtoul(argv[1], NULL, 10), ctx) ||
		    fcntl(conns[i].fd, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e) != 0) {
			fprintf(stderr, "keep_bench: connection %u cannot be made\n", i);
			return 1;
		}
	}
	began = now();
	cpu_before = cpu();
	for (i = 0, whole = true; whole && i < count; i++)
		whole = ask(&conns[i]);
	whole = whole && run(ep, began + strtod(argv[4], NULL));
	printf("requests %lu\nseconds %.6f\nrefused %lu\ncpu_seconds %.6f\n", done, now() - began, refused, cpu() - cpu_before);
	if (!whole)
		fprintf(stderr, "keep_bench: a connection broke\n");
	return whole ? 0 : 1;
}
