/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's insides, shared by server.c (set-up), server_worker.c (the loop), server_conn.c (one
 * connection) and server_reply.c (how an answer looks). Nobody else includes this.
 *
 * Always holds: what hangs on a worker is touched by its thread only, except `wake`, `inbox` and the
 * counters. Connections are freed at the end of a turn, never inside one, so a pointer taken from
 * epoll or a queue stays good for the whole turn.
 */
#ifndef PROXY_SERVER_IMPL_H
#define PROXY_SERVER_IMPL_H

#include <pthread.h>

#include "proxy/server.h"
#include "proxy/tls.h"

#define POOL_BUF 8192           /* buffers that most requests and replies fit into */
#define POOL_KEEP 64            /* kept by an idle worker */
#define TURN_BYTES (256 * 1024) /* read from one connection in one turn */
#define OUT_HIGH (64 * 1024)    /* with that much to write, no further request is parsed */
#define WRITE_STEP (64 * 1024)  /* progress that earns a slow reader more time */
#define LISTEN_MAX 16
#define EVENTS 256
#define LINGER_CONNS 256 /* connections being refused at a time, for each worker */
#define FIXED_HEADERS 2048
#define TLS_THRIFTY 512 /* further connections save memory rather than time */
#define HANDSHAKE_STEPS 16 /* TLS handshakes a worker takes a step of in one turn: each may cost a signature */

enum wake {
	WAKE_USER = 1,
	WAKE_INBOX = 2,
	WAKE_STOP = 4,
	WAKE_TURN = 8, /* nothing but a turn, as a sign of life */
};

/* Each kind has one duration, so each list is in order of its deadlines. */
enum timer {
	TIMER_IDLE,
	TIMER_HEAD,
	TIMER_BODY,
	TIMER_WRITE,
	TIMER_LINGER,
	TIMER_HANDSHAKE,
	TIMER_COUNT,
	TIMER_NONE = TIMER_COUNT,
};

enum state {
	CONN_READING,   /* collecting a request */
	CONN_HANDSHAKE, /* before that: TLS is being agreed on */
	CONN_WAITING,   /* a request is with the handler */
	CONN_CLOSING,   /* close when all is written */
	CONN_LINGERING, /* all is written, reading what we refused so that the answer is not lost */
	CONN_ABANDONED, /* the socket is closed, the handler still has the request */
	CONN_DEAD,      /* waits for the end of the turn */
};

struct link {
	struct link *next, *prev;
};

struct queue {
	struct server_conn *head, *tail;
};

struct inbuf {
	uint8_t *p; /* NULL: none held */
	size_t room;
	size_t start, end; /* bytes not yet answered */
};

/* Body that is sent from the handler's memory, behind what is in `out`. */
struct lent {
	struct slice left;
	void (*release)(void *arg);
	void *arg;
};

struct server_conn {
	struct link timer_link, all_link;
	struct server_conn *next_run, *next_dirty, *next_dead; /* one pointer for each queue it may be in */
	struct worker *worker;
	struct http_request *request; /* set while WAITING or ABANDONED */
	struct inbuf in;
	struct outbuf out;
	size_t out_sent;
	struct lent lent;
	struct http_parser parser;
	size_t consumed; /* length of the request under way, in `in` */
	uint64_t deadline;
	size_t written; /* since the write timer was set */
	size_t turn_bytes;
	uint32_t turn; /* the turn that turn_bytes counts for */
	int fd;
	uint8_t state, timer;
	bool readable : 1;          /* a read may find something */
	bool hung_up : 1;           /* the peer has sent its last byte; it may still listen */
	bool blocked : 1;           /* the socket takes no more until epoll says so */
	bool fresh : 1;             /* bytes in `in` that the parser has not seen */
	bool running : 1;           /* conn_run() is on the stack */
	bool queued : 1, dirty : 1; /* member of the queues below */
	bool keep_alive : 1, head_only : 1, old : 1; /* of the request under way; old: HTTP/1.0 */
	bool over_limit : 1;                         /* only here to be told 503 */
	uint16_t peer_port;
	char peer[46];
	struct tls_conn *tls; /* NULL: plain text */
	void *user;
	_Alignas(16) uint8_t scratch[SERVER_SCRATCH];
};

struct counters {
	uint64_t accepted, refused, requests, errors, timeouts, bytes_in, bytes_out;
	uint64_t handshakes, resumed, handshakes_failed;
};

/* One writer each; readers take what they see. */
#define COUNT(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)

struct pool_buf {
	struct pool_buf *next;
};

struct worker {
	struct server *server;
	const struct server_ops *ops;
	void *state; /* what start() returned */
	unsigned index;
	pthread_t thread;
	bool started;
	int epfd, wakefd;
	uint32_t turn;    /* read by anybody */
	unsigned handshake_steps; /* in this turn */
	uint64_t now; /* ms, monotonic, of this turn */
	uint64_t tick_at, listen_again, stop_at;
	bool listening, stopping;
	bool sweep; /* idle connections are to be closed */
	struct queue run, later, dirty, dead;
	struct link timer[TIMER_COUNT];
	struct link all;
	size_t conns, lingering; /* of this worker, dead ones included */
	unsigned shaking; /* of these, TLS handshakes under way */
	struct http_request *spare;
	size_t spares;
	struct pool_buf *pool;
	size_t pooled;
	size_t large; /* bytes of input buffers above POOL_BUF */
	time_t date_second;
	size_t fixed_len;
	struct counters counters;
	struct outbuf body; /* error bodies */

	_Alignas(64) unsigned wake; /* enum wake, set by anybody */
	unsigned load;              /* connections given to this worker, changed by anybody */
	uint32_t seen;              /* server_alive()'s: the turn in which it asked */
	pthread_mutex_t inbox_lock;
	struct server_conn *inbox; /* handed over by other workers, linked by next_run */

	char fixed[FIXED_HEADERS]; /* the headers of every reply; the date changes */
};

struct listener {
	int fd;
	size_t index; /* in the configuration */
};

struct server {
	const struct server_config *config;
	struct server_limits limits;
	struct listener listener[LISTEN_MAX];
	size_t listeners;
	unsigned workers, started;
	unsigned open; /* connections, changed by anybody */
	unsigned shaking_max; /* TLS handshakes under way at one worker */
	unsigned linger_max; /* LINGER_CONNS, or what the limit of descriptors leaves */
	unsigned stop_ms;
	bool asked; /* server_alive() has asked for a turn */
	struct worker *worker;
};

/* server_worker.c */
void *server_worker_main(void *arg);
bool server_worker_init(struct worker *w, struct server *s, unsigned index);
void server_worker_drop(struct worker *w); /* once no worker runs any more */
void server_worker_fini(struct worker *w);
void server_worker_wake(struct worker *w, enum wake why);
void queue_run(struct worker *w, struct server_conn *c);
void queue_later(struct worker *w, struct server_conn *c);
void queue_dirty(struct worker *w, struct server_conn *c);
void timer_set(struct worker *w, struct server_conn *c, enum timer kind);
void timer_clear(struct server_conn *c);
void *pool_take(struct worker *w);
void pool_give(struct worker *w, void *p, size_t room);

/* server_conn.c */
struct server_conn *conn_new(int fd, const void *address);
void conn_run(struct worker *w, struct server_conn *c);
void conn_flush(struct worker *w, struct server_conn *c);
void conn_kill(struct worker *w, struct server_conn *c);
void conn_error(struct worker *w, struct server_conn *c, unsigned status, const char *text);
void conn_release(struct worker *w, struct server_conn *c);

/* server_reply.c */
void reply_date(struct worker *w);
bool reply_headers_ok(struct slice lines);
/* Appends the answer to c->out; false: no memory, nothing was appended. */
MUST_CHECK bool reply_write(struct worker *w, struct server_conn *c, const struct reply *r, bool close);

static inline void link_init(struct link *l)
{
	l->next = l->prev = l;
}

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

static inline void link_append(struct link *list, struct link *l)
{
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

#define LINK_OF(l, member) ((struct server_conn *)(void *)((char *)(l)-offsetof(struct server_conn, member)))

#endif
