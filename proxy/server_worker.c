/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of one worker: see server.h for what a turn is.
 *
 * Every worker watches the listening sockets; whoever accepts gives the connection to the worker that
 * has the fewest. Timers are lists in order of their deadlines: setting one moves a pointer, and only
 * the heads are looked at. The clock is read once a turn, from memory the kernel shares.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/server_impl.h"

#define ACCEPT_BATCH 64     /* in one turn, for one address */
#define ACCEPT_PAUSE_MS 100 /* when the process or the machine has no descriptors left */

/* Queues */

static void push(struct queue *q, struct server_conn *c)
{
	c->queued = true;
	c->next_run = NULL;
	if (q->tail)
		q->tail->next_run = c;
	else
		q->head = c;
	q->tail = c;
}

/* In this turn. */
void queue_run(struct worker *w, struct server_conn *c)
{
	if (!c->queued)
		push(&w->run, c);
}

/* In the next turn, which then does not wait. */
void queue_later(struct worker *w, struct server_conn *c)
{
	if (!c->queued)
		push(&w->later, c);
}

void queue_dirty(struct worker *w, struct server_conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = w->dirty.head;
	w->dirty.head = c;
}

static struct server_conn *pop(struct queue *q)
{
	struct server_conn *c = q->head;

	q->head = c->next_run;
	if (!q->head)
		q->tail = NULL;
	c->queued = false;
	return c;
}

/* Buffers */

void *pool_take(struct worker *w)
{
	struct pool_buf *b = w->pool;

	if (!b)
		return malloc(POOL_BUF);
	w->pool = b->next;
	w->pooled--;
	return b;
}

void pool_give(struct worker *w, void *p, size_t room)
{
	struct pool_buf *b = p;

	if (room != POOL_BUF || w->pooled >= POOL_KEEP) {
		free(p);
		return;
	}
	b->next = w->pool;
	w->pool = b;
	w->pooled++;
}

/* Timers */

static unsigned timer_ms(const struct server_limits *l, enum timer kind)
{
	switch (kind) {
	case TIMER_IDLE:
		return l->idle_ms;
	case TIMER_HEAD:
		return l->head_ms;
	case TIMER_BODY:
		return l->body_ms;
	case TIMER_WRITE:
		return l->write_ms;
	case TIMER_HANDSHAKE:
		return l->handshake_ms;
	default:
		return l->linger_ms;
	}
}

void timer_set(struct worker *w, struct server_conn *c, enum timer kind)
{
	timer_clear(c);
	c->timer = (uint8_t)kind;
	c->deadline = w->now + timer_ms(&w->server->limits, kind);
	link_append(&w->timer[kind], &c->timer_link);
}

void timer_clear(struct server_conn *c)
{
	if (c->timer == TIMER_NONE)
		return;
	link_remove(&c->timer_link);
	c->timer = TIMER_NONE;
}

static void expire(struct worker *w, struct server_conn *c)
{
	enum timer kind = c->timer;

	if (kind == TIMER_HEAD || kind == TIMER_BODY) {
		COUNT(w->counters.timeouts, 1);
		conn_error(w, c, 408, "The request did not arrive in time");
		return;
	}
	if (kind == TIMER_WRITE || kind == TIMER_HANDSHAKE)
		COUNT(w->counters.timeouts, 1);
	conn_kill(w, c);
}

static void expire_all(struct worker *w)
{
	size_t i;

	for (i = 0; i < TIMER_COUNT; i++) {
		while (w->timer[i].next != &w->timer[i]) {
			struct server_conn *c = LINK_OF(w->timer[i].next, timer_link);

			if (c->deadline > w->now)
				break;
			expire(w, c);
		}
	}
}

static void earlier(uint64_t *least, uint64_t at)
{
	if (at && at < *least)
		*least = at;
}

/* How long epoll may sleep, in ms; -1: for ever. */
static int patience(const struct worker *w)
{
	uint64_t least = UINT64_MAX;
	size_t i;

	if (w->later.head)
		return 0;
	for (i = 0; i < TIMER_COUNT; i++)
		if (w->timer[i].next != &w->timer[i])
			earlier(&least, LINK_OF(w->timer[i].next, timer_link)->deadline);
	earlier(&least, w->tick_at);
	earlier(&least, w->listen_again);
	earlier(&least, w->stop_at);
	if (least == UINT64_MAX)
		return -1;
	if (least <= w->now)
		return 0;
	return least - w->now > 3600000 ? 3600000 : (int)(least - w->now);
}

/* Connections */

static void listen_switch(struct worker *w, bool on)
{
	struct server *s = w->server;
	size_t i;

	if (w->listening == on)
		return;
	for (i = 0; i < s->listeners; i++) {
		struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &s->listener[i] };

		if (epoll_ctl(w->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listener[i].fd, &e) != 0 && on)
			w->listen_again = w->now + ACCEPT_PAUSE_MS;
	}
	w->listening = on;
}

static void tell_closed(struct worker *w, struct server_conn *c)
{
	if (w->ops->closed && !c->over_limit)
		w->ops->closed(w->state, c);
}

static void conn_free(struct worker *w, struct server_conn *c)
{
	conn_release(w, c);
	link_remove(&c->all_link);
	w->conns--;
	if (!c->over_limit) {
		__atomic_fetch_sub(&w->load, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&w->server->open, 1, __ATOMIC_RELAXED);
	}
	tls_conn_free(c->tls);
	free(c);
}

/*
 * Each worker has places of its own for handshakes, so that it can always make room: for a new one the oldest is given up, which
 * is the likeliest never to end; who needs one answers within a round trip. False: no memory.
 */
MUST_CHECK static bool begin_handshake(struct worker *w, struct server_conn *c)
{
	struct server *s = w->server;

	if (w->shaking >= s->shaking_max)
		conn_kill(w, LINK_OF(w->timer[TIMER_HANDSHAKE].next, timer_link));
	c->tls = tls_conn_new(s->config->tls, c->fd, __atomic_load_n(&s->open, __ATOMIC_RELAXED) > TLS_THRIFTY);
	if (!c->tls)
		return false;
	c->state = CONN_HANDSHAKE;
	w->shaking++;
	timer_set(w, c, TIMER_HANDSHAKE);
	return true;
}

/* The connection belongs to this worker from now on. */
static void adopt(struct worker *w, struct server_conn *c)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };

	c->worker = w;
	link_append(&w->all, &c->all_link);
	w->conns++;
	if (c->over_limit) {
		w->lingering++;
		COUNT(w->counters.refused, 1);
	}
	if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, c->fd, &e) != 0 || w->stopping)
		conn_kill(w, c);
	else if (c->over_limit)
		conn_error(w, c, 503, "Too many connections");
	else if (!w->server->config->tls)
		timer_set(w, c, TIMER_IDLE);
	else if (!begin_handshake(w, c))
		conn_kill(w, c);
}

static void hand_over(struct worker *to, struct server_conn *c)
{
	pthread_mutex_lock(&to->inbox_lock);
	c->next_run = to->inbox;
	to->inbox = c;
	pthread_mutex_unlock(&to->inbox_lock);
	server_worker_wake(to, WAKE_INBOX);
}

static void take_inbox(struct worker *w)
{
	struct server_conn *c, *next;

	pthread_mutex_lock(&w->inbox_lock);
	c = w->inbox;
	w->inbox = NULL;
	pthread_mutex_unlock(&w->inbox_lock);
	for (; c; c = next) {
		next = c->next_run;
		adopt(w, c);
	}
}

/* Itself where that is as good: handing over costs a wake-up. */
static struct worker *least_loaded(struct worker *self)
{
	struct server *s = self->server;
	struct worker *best = self;
	unsigned started = __atomic_load_n(&s->started, __ATOMIC_ACQUIRE);
	unsigned i, load, least = __atomic_load_n(&self->load, __ATOMIC_RELAXED);

	for (i = 0; i < started; i++) {
		load = __atomic_load_n(&s->worker[i].load, __ATOMIC_RELAXED);
		if (load < least) {
			least = load;
			best = &s->worker[i];
		}
	}
	return best;
}

static void turn_away(struct worker *w, struct server_conn *c)
{
	COUNT(w->counters.refused, 1);
	close(c->fd);
	free(c);
}

static void place(struct worker *w, int fd, const struct sockaddr_storage *from)
{
	struct server *s = w->server;
	struct server_conn *c = conn_new(fd, from);
	struct worker *to;

	COUNT(w->counters.accepted, 1);
	if (!c) {
		close(fd);
		return;
	}
	if (__atomic_add_fetch(&s->open, 1, __ATOMIC_RELAXED) > s->limits.connections) {
		__atomic_fetch_sub(&s->open, 1, __ATOMIC_RELAXED);
		c->over_limit = true;
		/* Under TLS nothing can be said without the handshake that is to be spared. */
		if (w->lingering < s->linger_max && !s->config->tls)
			adopt(w, c);
		else
			turn_away(w, c);
		return;
	}
	to = least_loaded(w);
	__atomic_fetch_add(&to->load, 1, __ATOMIC_RELAXED);
	if (to == w)
		adopt(w, c);
	else
		hand_over(to, c);
}

static void accept_some(struct worker *w, const struct listener *l)
{
	struct sockaddr_storage from;
	socklen_t len;
	size_t i;
	int fd;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		len = sizeof(from);
		memset(&from, 0, sizeof(from));
		fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			place(w, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			listen_switch(w, false);
			w->listen_again = w->now + ACCEPT_PAUSE_MS;
			return;
		}
		if (errno == EAGAIN)
			return;
		/* Anything else concerns the connection that was not to be. */
	}
}

/* Turns */

/* Under TLS either direction may have to wait for the other one. */
static void tls_event(struct worker *w, struct server_conn *c, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP))
		tls_conn_ready(c->tls, c->hung_up);
	if (!(events & EPOLLOUT))
		return;
	if (c->state == CONN_HANDSHAKE)
		queue_run(w, c);
	else if (tls_conn_recv_wants_write(c->tls))
		c->readable = true;
}

static void conn_event(struct worker *w, struct server_conn *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_kill(w, c);
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP))
		c->readable = true;
	if (events & EPOLLRDHUP)
		c->hung_up = true;
	if (events & EPOLLOUT && c->blocked) {
		c->blocked = false;
		queue_dirty(w, c);
	}
	if (c->tls)
		tls_event(w, c, events);
	if (c->readable && c->state != CONN_WAITING)
		queue_run(w, c);
}

/* What came in with this turn was still served; who has nothing under way is closed now. */
static void stop_idle(struct worker *w)
{
	struct link *l;

	w->sweep = false;
	for (l = w->all.next; l != &w->all; l = l->next) {
		struct server_conn *c = LINK_OF(l, all_link);

		if (c->state == CONN_HANDSHAKE) {
			conn_kill(w, c);
			continue;
		}
		if (c->state != CONN_READING || c->in.start != c->in.end)
			continue;
		if (c->out.len)
			c->state = CONN_CLOSING;
		else
			conn_kill(w, c);
	}
}

static void begin_stop(struct worker *w)
{
	if (w->stopping)
		return;
	w->stopping = w->sweep = true;
	w->stop_at = w->now + w->server->stop_ms;
	w->listen_again = 0;
	listen_switch(w, false);
}

static void wake_event(struct worker *w)
{
	unsigned why = __atomic_exchange_n(&w->wake, 0, __ATOMIC_ACQ_REL);

	if (why & WAKE_INBOX)
		take_inbox(w);
	if (why & WAKE_STOP)
		begin_stop(w);
	if (why & WAKE_USER && w->ops->woken)
		w->ops->woken(w->state);
}

static void read_clock(struct worker *w)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	w->now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	reply_date(w);
	__atomic_store_n(&w->turn, w->turn + 1, __ATOMIC_RELEASE);
	w->handshake_steps = 0;
	if (w->server->config->tick_ms && w->now >= w->tick_at)
		w->tick_at = w->now + w->server->config->tick_ms;
	if (w->listen_again && w->now >= w->listen_again && !w->stopping) {
		w->listen_again = 0;
		w->listening = false;
		listen_switch(w, true);
	}
}

static void run_all(struct worker *w)
{
	do {
		while (w->run.head)
			conn_run(w, pop(&w->run));
		if (w->ops->turn)
			w->ops->turn(w->state);
	} while (w->run.head);
}

static void flush_all(struct worker *w)
{
	struct server_conn *c;

	while ((c = w->dirty.head)) {
		w->dirty.head = c->next_dirty;
		c->dirty = false;
		conn_flush(w, c);
	}
}

/* Those still in a queue are left for the next turn. */
static void free_dead(struct worker *w)
{
	struct server_conn *c = w->dead.head, *next;

	w->dead.head = NULL;
	for (; c; c = next) {
		next = c->next_dead;
		if (!c->queued) {
			tell_closed(w, c);
			conn_free(w, c);
			continue;
		}
		c->next_dead = w->dead.head;
		w->dead.head = c;
	}
}

static void turn(struct worker *w)
{
	struct epoll_event e[EVENTS];
	int i, n = epoll_wait(w->epfd, e, EVENTS, patience(w));
	struct server *s = w->server;

	read_clock(w);
	INVARIANT(!w->run.head && !w->dirty.head);
	w->run = w->later;
	w->later = (struct queue){ 0 };
	for (i = 0; i < n; i++) {
		struct listener *l = e[i].data.ptr;

		if (e[i].data.ptr == &w->wakefd)
			wake_event(w);
		else if (l >= s->listener && l < s->listener + s->listeners)
			accept_some(w, l);
		else
			conn_event(w, e[i].data.ptr, e[i].events);
	}
	run_all(w);
	if (w->sweep)
		stop_idle(w);
	expire_all(w);
	flush_all(w);
	free_dead(w);
}

static void close_all(struct worker *w)
{
	struct link *l;
	struct server_conn *c;

	take_inbox(w);
	for (l = w->all.next; l != &w->all; l = l->next) {
		conn_kill(w, LINK_OF(l, all_link));
		tell_closed(w, LINK_OF(l, all_link));
	}
	if (w->ops->stop)
		w->ops->stop(w->state);
	while (w->all.next != &w->all) {
		c = LINK_OF(w->all.next, all_link);
		c->queued = false;
		conn_free(w, c);
	}
	w->run = w->later = w->dirty = w->dead = (struct queue){ 0 };
}

void *server_worker_main(void *arg)
{
	struct worker *w = arg;

	w->state = w->server->config->ctx;
	if (w->ops->start)
		w->state = w->ops->start(w->server->config->ctx, w->index);
	read_clock(w);
	listen_switch(w, true);
	while (!w->stopping || (w->conns && w->now < w->stop_at))
		turn(w);
	close_all(w);
	return NULL;
}

/* Set-up, in the creating thread. */

void server_worker_wake(struct worker *w, enum wake why)
{
	uint64_t one = 1;

	/* Whoever sets the first bit rings; the worker takes all bits at once. */
	if (__atomic_fetch_or(&w->wake, why, __ATOMIC_ACQ_REL) == 0 &&
	    write(w->wakefd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it has been ringing for a while */
}

bool server_worker_init(struct worker *w, struct server *s, unsigned index)
{
	/* Edge-triggered, so the bell need not be read. */
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.ptr = &w->wakefd };
	size_t i;

	w->server = s;
	w->ops = s->config->ops;
	w->index = index;
	link_init(&w->all);
	for (i = 0; i < TIMER_COUNT; i++)
		link_init(&w->timer[i]);
	pthread_mutex_init(&w->inbox_lock, NULL);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return w->epfd >= 0 && w->wakefd >= 0 && epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wakefd, &e) == 0;
}

/* Workers that ended later than this one may have handed something over in between. */
void server_worker_drop(struct worker *w)
{
	struct server_conn *c, *next;

	for (c = w->inbox; c; c = next) {
		next = c->next_run;
		close(c->fd);
		tls_conn_free(c->tls);
		free(c);
		__atomic_fetch_sub(&w->server->open, 1, __ATOMIC_RELAXED);
	}
	w->inbox = NULL;
}

void server_worker_fini(struct worker *w)
{
	struct pool_buf *b;

	while ((b = w->pool)) {
		w->pool = b->next;
		free(b);
	}
	free(w->spare);
	outbuf_free(&w->body);
	pthread_mutex_destroy(&w->inbox_lock);
	if (w->epfd >= 0)
		close(w->epfd);
	if (w->wakefd >= 0)
		close(w->wakefd);
}
