/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the server up, starting and stopping it; see server.h. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/server_impl.h"

#define WORKERS_MAX 1024

static enum rc say(char *why, size_t why_len, enum rc rc, const char *what, const char *detail)
{
	snprintf(why, why_len, "%s: %s", what, detail);
	return rc;
}

static void set_default(unsigned *v, unsigned otherwise)
{
	if (*v == 0)
		*v = otherwise;
}

static struct server_limits limits_of(struct server_limits l)
{
	if (l.http.head_max == 0)
		l.http.head_max = HTTP_HEAD_MAX;
	if (l.http.body_max == 0)
		l.http.body_max = 16 << 20;
	if (l.memory_max == 0)
		l.memory_max = 512 << 20;
	set_default(&l.connections, 10000);
	set_default(&l.head_ms, 20000);
	set_default(&l.body_ms, 60000);
	set_default(&l.idle_ms, 60000);
	set_default(&l.write_ms, 30000);
	set_default(&l.handshake_ms, 10000);
	set_default(&l.handshakes, 2000);
	set_default(&l.linger_ms, 2000);
	set_default(&l.backlog, 500);
	return l;
}

/* HOST:PORT, HOST in brackets when it has colons itself. */
static bool split_address(const char *text, char *host, size_t host_room, const char **port)
{
	const char *colon = strrchr(text, ':'), *start = text;
	size_t len;

	if (!colon || strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1] || strlen(colon) > 6)
		return false;
	len = (size_t)(colon - text);
	if (len && text[0] == '[') {
		if (len < 3 || text[len - 1] != ']')
			return false;
		start++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return false;
	}
	if (len >= host_room)
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	if (len == 0 || strcmp(host, "*") == 0)
		snprintf(host, host_room, "0.0.0.0");
	*port = colon + 1;
	return strtoul(*port, NULL, 10) <= 65535;
}

/* Options set here are inherited by every accepted connection, at no cost. */
static int listen_on(const struct addrinfo *a, unsigned backlog)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol), on = 1,
	    e;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, (int)backlog) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* All addresses that the name stands for. */
static enum rc add_listeners(struct server *s, size_t index, char *why, size_t why_len)
{
	const char *text = s->config->listen[index], *port;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*list, *a;
	char host[256];
	int e;

	if (!split_address(text, host, sizeof(host), &port))
		return say(why, why_len, RC_BAD_INPUT, text, "not HOST:PORT");
	e = getaddrinfo(host, port, &hints, &list);
	if (e != 0)
		return say(why, why_len, RC_BAD_INPUT, text, gai_strerror(e));
	for (a = list; a; a = a->ai_next) {
		int fd = s->listeners < LISTEN_MAX ? listen_on(a, s->limits.backlog) : -1;

		if (fd < 0)
			break;
		s->listener[s->listeners++] = (struct listener){ .fd = fd, .index = index };
	}
	e = errno;
	freeaddrinfo(list);
	if (!a)
		return RC_OK;
	return say(why, why_len, RC_MACHINE, text,
		   s->listeners < LISTEN_MAX ? strerror(e) : "too many addresses");
}

static unsigned cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

/*
 * Each connection is a descriptor; the soft limit of most systems is 1024. Where it cannot be raised enough
 * there may be fewer connections: the rest of the program needs descriptors in the worst of times.
 */
static void raise_descriptors(struct server *s, unsigned workers)
{
	rlim_t rest = 64 + 4 * (rlim_t)workers;		/* sockets and bells of our own, store, log, core */
	rlim_t need = s->limits.connections + (rlim_t)LINGER_CONNS * workers + rest, room;
	struct rlimit l;

	s->linger_max = LINGER_CONNS;
	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= need)
		return;
	l.rlim_cur = l.rlim_max < need ? l.rlim_max : need;
	if ((setrlimit(RLIMIT_NOFILE, &l) != 0 && getrlimit(RLIMIT_NOFILE, &l) != 0) || l.rlim_cur >= need)
		return;
	/* Half of what is left for clients, a quarter for those that are being refused. */
	room = l.rlim_cur > rest + 32 ? l.rlim_cur - rest : 32;
	if (s->limits.connections > room / 2)
		s->limits.connections = (unsigned)(room / 2);
	if (s->linger_max > room / 4 / workers)
		s->linger_max = (unsigned)(room / 4 / workers);
}

static enum rc create_workers(struct server *s, char *why, size_t why_len)
{
	unsigned n = s->config->workers ? s->config->workers : cpu_count(), i;

	if (n > WORKERS_MAX)
		n = WORKERS_MAX;
	s->worker = aligned_alloc(64, n * sizeof(*s->worker));
	if (!s->worker)
		return say(why, why_len, RC_MACHINE, "workers", "no memory");
	memset(s->worker, 0, n * sizeof(*s->worker));
	for (i = 0; i < n; i++) {
		s->workers = i + 1;
		if (!server_worker_init(&s->worker[i], s, i))
			return say(why, why_len, RC_MACHINE, "workers", strerror(errno));
	}
	return RC_OK;
}

/* Unfinished ones must leave places for connections that are in use. */
static void limit_handshakes(struct server *s)
{
	unsigned most = s->limits.connections / 2;

	if (most > s->limits.handshakes)
		most = s->limits.handshakes;
	s->shaking_max = most > s->workers ? most / s->workers : 1;
}

enum rc server_create(const struct server_config *config, struct server **out, char *why, size_t why_len)
{
	const char *headers = config->headers ? config->headers : "";
	struct server *s;
	enum rc rc;
	size_t i;

	if (!reply_headers_ok(slice_str(headers)) || strlen(headers) > FIXED_HEADERS - 512)
		return say(why, why_len, RC_BAD_INPUT, "headers", "not \"Name: value\" lines, or too long");
	if (config->listen_count == 0)
		return say(why, why_len, RC_BAD_INPUT, "listen", "no address");
	s = calloc(1, sizeof(*s));
	if (!s)
		return say(why, why_len, RC_MACHINE, "server", "no memory");
	s->config = config;
	s->limits = limits_of(config->limits);
	raise_descriptors(s, config->workers ? config->workers : cpu_count());
	rc = create_workers(s, why, why_len);
	limit_handshakes(s);
	for (i = 0; rc == RC_OK && i < config->listen_count; i++)
		rc = add_listeners(s, i, why, why_len);
	if (rc != RC_OK) {
		server_free(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

static void pin_to(pthread_t thread, unsigned n)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all) != 0 || CPU_COUNT(&all) == 0)
		return;
	n %= (unsigned)CPU_COUNT(&all);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || n--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(thread, sizeof(one), &one);
		return;
	}
}

enum rc server_run(struct server *s)
{
	sigset_t all, before;
	unsigned i;

	/* Signals are the main thread's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (i = 0; i < s->workers; i++) {
		if (pthread_create(&s->worker[i].thread, NULL, server_worker_main, &s->worker[i]) != 0)
			break;
		s->worker[i].started = true;
		pthread_setname_np(s->worker[i].thread, "http");
		__atomic_store_n(&s->started, i + 1, __ATOMIC_RELEASE);
		if (s->config->pin)
			pin_to(s->worker[i].thread, i);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (i < s->workers) {
		server_stop(s, 0);
		return RC_MACHINE;
	}
	return RC_OK;
}

void server_stop(struct server *s, unsigned deadline_ms)
{
	unsigned i;

	s->stop_ms = deadline_ms;
	for (i = 0; i < s->workers; i++)
		if (s->worker[i].started)
			server_worker_wake(&s->worker[i], WAKE_STOP);
	for (i = 0; i < s->workers; i++) {
		if (s->worker[i].started)
			pthread_join(s->worker[i].thread, NULL);
		s->worker[i].started = false;
	}
	for (i = 0; i < s->workers; i++)
		server_worker_drop(&s->worker[i]);
	/* Only now: clients that still came are not refused by a socket that nobody listens to. */
	for (i = 0; i < s->listeners; i++)
		close(s->listener[i].fd);
	s->listeners = 0;
}

void server_free(struct server *s)
{
	unsigned i;

	if (!s)
		return;
	server_stop(s, 0);
	for (i = 0; i < s->workers; i++)
		server_worker_fini(&s->worker[i]);
	free(s->worker);
	free(s);
}

uint16_t server_port(const struct server *s, size_t n)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);
	size_t i;

	for (i = 0; i < s->listeners; i++) {
		if (s->listener[i].index != n ||
		    getsockname(s->listener[i].fd, (struct sockaddr *)&a, &len) != 0)
			continue;
		return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port :
						       ((struct sockaddr_in *)&a)->sin_port);
	}
	return 0;
}

unsigned server_workers(const struct server *s)
{
	return s->workers;
}

void server_wake(struct server *s, unsigned worker)
{
	INVARIANT(worker < s->workers);
	server_worker_wake(&s->worker[worker], WAKE_USER);
}

bool server_alive(struct server *s, bool (*waits)(void *ctx, unsigned worker), void *ctx)
{
	bool all = true;
	unsigned i;

	for (i = 0; i < s->workers; i++) {
		uint32_t turn = __atomic_load_n(&s->worker[i].turn, __ATOMIC_ACQUIRE);

		if (!s->asked) {
			s->worker[i].seen = turn;
			server_worker_wake(&s->worker[i], WAKE_TURN);
		} else if (s->worker[i].seen == turn && !(waits && waits(ctx, i))) {
			all = false;
		}
	}
	if (!s->asked) {
		s->asked = true;
		return false;
	}
	s->asked = !all;
	return all;
}

struct server_stats server_stats(const struct server *s)
{
	struct server_stats t = { .open = __atomic_load_n(&s->open, __ATOMIC_RELAXED) };
	unsigned i;

	for (i = 0; i < s->workers; i++) {
		const struct counters *c = &s->worker[i].counters;

		t.accepted += __atomic_load_n(&c->accepted, __ATOMIC_RELAXED);
		t.refused += __atomic_load_n(&c->refused, __ATOMIC_RELAXED);
		t.requests += __atomic_load_n(&c->requests, __ATOMIC_RELAXED);
		t.errors += __atomic_load_n(&c->errors, __ATOMIC_RELAXED);
		t.timeouts += __atomic_load_n(&c->timeouts, __ATOMIC_RELAXED);
		t.bytes_in += __atomic_load_n(&c->bytes_in, __ATOMIC_RELAXED);
		t.bytes_out += __atomic_load_n(&c->bytes_out, __ATOMIC_RELAXED);
		t.handshakes += __atomic_load_n(&c->handshakes, __ATOMIC_RELAXED);
		t.resumed += __atomic_load_n(&c->resumed, __ATOMIC_RELAXED);
		t.handshakes_failed += __atomic_load_n(&c->handshakes_failed, __ATOMIC_RELAXED);
	}
	return t;
}
