/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts in the rules of proxy users, looked up beside the requests; see kms.h. Trusts the resolver of this
 * machine, and the core knows that it does. A name that cannot be looked up is nobody's, until it can be.
 */
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <arpa/inet.h>

#include "proxy/kms.h"
#include "proxy/text.h"

#define NAMES_MAX 4096u		/* of the configuration; what is beyond is not looked up */
#define ADDRS_MAX 16u		/* of one host */
#define EVERY_S 60
#define FIRST_S 2		/* how long a start waits for the names */

struct host {
	char name[WIRE_GROUP_MAX + 1];
	unsigned count;
	uint8_t addr[ADDRS_MAX][16];	/* IPv4 as ::ffff:a.b.c.d */
};

struct peers {
	pthread_mutex_t lock;	/* of all that follows */
	pthread_cond_t changed;
	struct host *host;
	size_t count;
	unsigned asked, looked;	/* number of the list to look up, and of the one that was */
	bool stop, running;
	pthread_t thread;
};

struct peers *peers_new(void)
{
	struct peers *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	return p;
}

static void map(const struct sockaddr *a, struct host *h)
{
	uint8_t *to = h->addr[h->count];

	if (a->sa_family == AF_INET) {
		memset(to, 0, 10);
		memset(to + 10, 0xff, 2);
		memcpy(to + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	} else if (a->sa_family == AF_INET6) {
		memcpy(to, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
	} else {
		return;
	}
	h->count++;
}

static void look_up(struct host *h)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *list, *i;

	h->count = 0;
	if (getaddrinfo(h->name, NULL, &hint, &list) != 0)
		return;
	for (i = list; i && h->count < ADDRS_MAX; i = i->ai_next)
		map(i->ai_addr, h);
	freeaddrinfo(list);
}

static struct timespec in_seconds(time_t s)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += s;
	return t;
}

/* Looks up a copy, without the lock: it may take long. */
static void look_up_all(struct peers *p)
{
	unsigned asked = p->asked;
	size_t count = p->count, i;
	struct host *copy = reallocarray(NULL, count ? count : 1, sizeof(*copy));

	if (copy) {
		if (count)
			memcpy(copy, p->host, count * sizeof(*copy));
		pthread_mutex_unlock(&p->lock);
		for (i = 0; i < count; i++)
			look_up(&copy[i]);
		pthread_mutex_lock(&p->lock);
		if (p->asked == asked) {
			free(p->host);
			p->host = copy;
			copy = NULL;
		}
	}
	free(copy);
	p->looked = asked;
	pthread_cond_broadcast(&p->changed);
}

static void *peers_thread(void *arg)
{
	struct peers *p = arg;
	struct timespec until;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		look_up_all(p);
		until = in_seconds(EVERY_S);
		while (!p->stop && p->asked == p->looked &&
		       pthread_cond_timedwait(&p->changed, &p->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* An address or a range needs no look-up. */
static bool is_name(struct slice v)
{
	char text[WIRE_GROUP_MAX + 1];
	uint8_t addr[16];

	if (v.len == 0 || v.len > WIRE_GROUP_MAX || memchr(v.p, '/', v.len) || memchr(v.p, 0, v.len) || slice_is(v, "*"))
		return false;
	memcpy(text, v.p, v.len);
	text[v.len] = 0;
	return inet_pton(AF_INET, text, addr) != 1 && inet_pton(AF_INET6, text, addr) != 1;
}

static void add_names(struct slice list, struct host *to, size_t *count)
{
	while (list.len && *count < NAMES_MAX) {
		const uint8_t *comma = memchr(list.p, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.p) : list.len, i;
		struct slice one = text_trim(slice_of(list.p, n));

		n += comma != NULL;
		list = slice_of(list.p + n, list.len - n);
		for (i = 0; i < *count && !slice_is(one, to[i].name); i++)
			;
		if (i < *count || !is_name(one))
			continue;
		memset(&to[i], 0, sizeof(to[i]));
		memcpy(to[i].name, one.p, one.len);
		(*count)++;
	}
}

static size_t names_in(const struct wire_config_req *config, struct host *to)
{
	static const char prefix[] = "hadoop.kms.proxyuser.", end[] = ".hosts";
	struct cursor c = config->property;
	struct slice name, value;
	size_t count = 0;

	while (wire_property_next(&c, &name, &value))
		if (name.len > sizeof(prefix) + sizeof(end) && slice_starts(name, prefix) &&
		    memcmp(name.p + name.len - (sizeof(end) - 1), end, sizeof(end) - 1) == 0)
			add_names(value, to, &count);
	return count;
}

static void start_thread(struct peers *p)
{
	sigset_t all, old;

	if (p->running || p->count == 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p->running = pthread_create(&p->thread, NULL, peers_thread, p) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void peers_learn(struct peers *p, const struct wire_config_req *config)
{
	struct host *made = p ? reallocarray(NULL, NAMES_MAX, sizeof(*made)) : NULL, *fit;
	struct timespec until = in_seconds(FIRST_S);
	size_t count;

	if (!made)
		return;
	count = names_in(config, made);
	fit = reallocarray(made, count ? count : 1, sizeof(*made));
	made = fit ? fit : made;
	pthread_mutex_lock(&p->lock);
	free(p->host);
	p->host = made;
	p->count = count;
	p->asked++;
	start_thread(p);
	pthread_cond_broadcast(&p->changed);
	while (p->running && p->count && p->looked != p->asked &&
	       pthread_cond_timedwait(&p->changed, &p->lock, &until) == 0)
		;
	pthread_mutex_unlock(&p->lock);
}

uint16_t peers_of(struct peers *p, struct slice addr, struct outbuf *names)
{
	uint8_t want[16] = { [10] = 0xff, [11] = 0xff };
	uint16_t count = 0, len;
	size_t i;
	unsigned j;

	if (addr.len != 4 && addr.len != 16)
		return 0;
	memcpy(want + 16 - addr.len, addr.p, addr.len);
	pthread_mutex_lock(&p->lock);
	for (i = 0; i < p->count && count < WIRE_PEER_NAMES_MAX; i++)
		for (j = 0; j < p->host[i].count; j++) {
			if (memcmp(p->host[i].addr[j], want, sizeof(want)) != 0)
				continue;
			len = (uint16_t)strlen(p->host[i].name);
			outbuf_put(names, &len, sizeof(len));
			outbuf_put(names, p->host[i].name, len);
			count++;
			break;
		}
	pthread_mutex_unlock(&p->lock);
	return outbuf_ok(names) ? count : 0;
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (p->running)
		pthread_join(p->thread, NULL);
	free(p->host);
	free(p);
}
