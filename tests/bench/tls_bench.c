/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS connections as fast as a server takes them: each connects, shakes hands, sends one small request, reads the
 * answer's first bytes and closes. Used by tools/bench against this server and nginx.
 *
 *   tls_bench PORT 1.2|1.3 full|resumed THREADS SECONDS PATH
 *
 * Prints "connections N", "resumed N", "seconds S" and "failed N". Blocking sockets, one connection a thread at a time.
 * No certificate is checked: that would be the client's time.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64

static struct sockaddr_in server = { .sin_family = AF_INET };
static char request[512];
static SSL_CTX *ctx;
static bool resume;
static double until;

struct thread {
	pthread_t id;
	SSL_SESSION *session;
	unsigned long done, resumed, failed;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct linger at_once = { .l_onoff = 1 };

	if (fd >= 0 && connect(fd, (struct sockaddr *)&server, sizeof(server)) != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* No TIME_WAIT: a run makes more connections than there are ports. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return fd;
}

static bool talk(struct thread *t, SSL *ssl)
{
	char answer[16384];

	if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, (int)strlen(request)) <= 0 ||
	    SSL_read(ssl, answer, sizeof(answer)) <= 0)
		return false;
	t->done++;
	t->resumed += SSL_session_reused(ssl) == 1;
	if (resume && !t->session)
		t->session = SSL_get1_session(ssl);
	return true;
}

static void one(struct thread *t)
{
	int fd = dial();
	SSL *ssl = fd >= 0 ? SSL_new(ctx) : NULL;
	bool ok = ssl && SSL_set_fd(ssl, fd) == 1 && (!t->session || SSL_set_session(ssl, t->session) == 1) &&
		  talk(t, ssl);

	t->failed += !ok;
	if (ssl && ok)
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);	/* the session stays good */
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	while (now() < until)
		one(t);
	SSL_SESSION_free(t->session);
	return NULL;
}

static bool arguments(int argc, char **argv)
{
	int version;

	if (argc != 7)
		return false;
	server.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	version = strcmp(argv[2], "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
	resume = strcmp(argv[3], "resumed") == 0;
	snprintf(request, sizeof(request), "GET %.200s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[6]);
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, version) != 1 || SSL_CTX_set_max_proto_version(ctx, version) != 1)
		return false;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return true;
}

int main(int argc, char **argv)
{
	static struct thread threads[THREADS_MAX];
	unsigned long done = 0, resumed = 0, failed = 0;
	unsigned n, i;
	double began;

	if (!arguments(argc, argv)) {
		fprintf(stderr, "usage: tls_bench PORT 1.2|1.3 full|resumed THREADS SECONDS PATH\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	n = (unsigned)strtoul(argv[4], NULL, 10);
	n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
	began = now();
	until = began + strtod(argv[5], NULL);
	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i].id, NULL, run, &threads[i]) != 0)
			return 1;
	for (i = 0; i < n; i++) {
		pthread_join(threads[i].id, NULL);
		done += threads[i].done;
		resumed += threads[i].resumed;
		failed += threads[i].failed;
	}
	printf("connections %lu\nresumed %lu\nfailed %lu\nseconds %.6f\n", done, resumed, failed, now() - began);
	SSL_CTX_free(ctx);
	return 0;
}
