/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server: sockets in, requests to a handler, replies out.
 *
 * Trusts nothing that comes from the network; limits say how much of everything a client may take.
 * Always holds: one request of a connection is with the handler at a time; a worker's connections are
 * touched by that worker's thread only; a request costs one read and one write in the usual case.
 *
 * One turn of a worker: wait; read every ready socket and pass each complete request to request();
 * then turn(), where the handler makes the calls it has gathered and replies; pipelined requests of
 * connections that got their reply are passed on, turn() again, until nothing is new; then all output
 * is written, one write a connection.
 */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

#include "base/base.h"
#include "proxy/http.h"
#include "proxy/outbuf.h"

struct server;
struct server_conn;
struct tls;

/*
 * The handler. All but request() may be NULL. All are called in the worker's own thread, with what
 * start() returned (ctx when there is no start()).
 */
struct server_ops {
	void *(*start)(void *ctx, unsigned worker);
	/*
	 * Reply now or later, in this worker's thread, exactly once, with server_reply(). The request and
	 * its slices stay valid until then, even when the client goes away.
	 */
	void (*request)(void *w, struct server_conn *c, const struct http_request *r);
	/* At least once a turn, and after each round of requests: make the gathered calls, reply. */
	void (*turn)(void *w);
	/* Somebody called server_wake() for this worker: reply to what was completed elsewhere. */
	void (*woken)(void *w);
	/* The connection is gone; last chance to free what its user pointer holds. */
	void (*closed)(void *w, struct server_conn *c);
	/* The last call. Requests not replied to by now have lost their connection: drop them. */
	void (*stop)(void *w);
	/*
	 * The JSON body for an error the server itself answers (400, 408, 413, 414, 417, 431, 501, 503,
	 * 505), written to `body`. NULL: server_error_body().
	 */
	void (*error)(void *w, unsigned status, const char *text, struct outbuf *body);
};

/* Zero means the default in brackets. */
struct server_limits {
	struct http_limits http; /* [64 KiB], [16 MiB] */
	unsigned connections;    /* of all workers; 503 to those above [10000] */
	unsigned head_ms;        /* from a request's first byte to its last header [20 s] */
	unsigned body_ms;        /* from there to the end of its body [60 s] */
	unsigned idle_ms;        /* between requests [60 s] */
	unsigned write_ms;       /* to take the next 64 KiB of a reply [30 s] */
	unsigned handshake_ms;   /* a TLS handshake, from the connection on [10 s] */
	unsigned handshakes;     /* TLS handshakes under way, shared out to the workers; above it the oldest is closed [2000] */
	unsigned linger_ms;      /* reading on after an early refusal, so that it is seen [2 s] */
	unsigned backlog;        /* connections not accepted yet, for each address [500] */
	size_t memory_max;       /* bytes all large requests together may occupy; 503 [512 MiB] */
};

struct server_config {
	const char *const *listen; /* "HOST:PORT"; "[::1]:9600"; ":9600" and "*:9600" are 0.0.0.0 */
	size_t listen_count;
	struct server_limits limits;
	unsigned workers;    /* 0: one for each CPU this process may use */
	bool pin;            /* bind worker n to the nth of those CPUs */
	unsigned tick_ms;    /* call turn() at least that often; 0: only when something happens */
	const char *headers; /* "Name: value\r\n" lines for every reply, or NULL */
	struct tls *tls;     /* all connections speak TLS; NULL: none does */
	const struct server_ops *ops;
	void *ctx;
};

/*
 * Binds and listens, so that whoever connects from now on waits instead of being refused. *config and
 * its strings must outlive the server. RC_BAD_INPUT: an address or the headers are malformed;
 * RC_MACHINE: the machine refused; `why` then says what, for a person.
 */
enum rc server_create(const struct server_config *config, struct server **out, char *why, size_t why_len);

/* Starts the workers and returns. RC_MACHINE: no thread; only server_free() is left to call. */
enum rc server_run(struct server *s);

/*
 * Stops accepting, closes idle connections, lets requests that are under way finish (they are told
 * "Connection: close"), and cuts what is left after deadline_ms. Returns when the workers have ended.
 */
void server_stop(struct server *s, unsigned deadline_ms);

/* Stops at once if running, then releases everything. NULL is fine. */
void server_free(struct server *s);

/* The port really bound for the nth address of the configuration; 0: there is none. */
uint16_t server_port(const struct server *s, size_t n);

unsigned server_workers(const struct server *s);

/* From any thread: woken() will be called in that worker. Calls in quick succession become one. */
void server_wake(struct server *s, unsigned worker);

/*
 * Has every worker begun a turn since it was asked to? Asks those that are needed, and is to be called again until it
 * is true; then the next question begins. One thread only. False for ever: a worker hangs. A worker of which waits() says,
 * meanwhile and whenever it likes, that it waits for something outside does not have to have begun one. waits may be NULL.
 */
MUST_CHECK bool server_alive(struct server *s, bool (*waits)(void *ctx, unsigned worker), void *ctx);

struct server_stats {
	uint64_t accepted; /* connections, those refused included */
	uint64_t refused;  /* answered 503 because of a limit */
	uint64_t open;     /* now */
	uint64_t requests;
	uint64_t errors;   /* malformed or over a limit */
	uint64_t timeouts; /* idle ones not counted */
	uint64_t bytes_in;	/* of HTTP: without what TLS adds */
	uint64_t bytes_out;
	uint64_t handshakes;	/* TLS, completed; those resumed included */
	uint64_t resumed;
	uint64_t handshakes_failed; /* TLS, refused, given up or timed out */
};

/* From any thread; the figures are of slightly different moments. */
struct server_stats server_stats(const struct server *s);

struct reply {
	unsigned status;          /* 200 .. 599 */
	const char *reason;       /* NULL: the usual one. Control characters become spaces */
	const char *content_type; /* NULL: none */
	struct slice headers;     /* further "Name: value\r\n" lines, or empty */
	struct slice body;
	bool close; /* close the connection behind it */
	/*
	 * NULL: the body is copied and the caller's memory is free again when server_reply() returns.
	 * Otherwise the body is sent from where it is and release(arg) is called in this thread when it
	 * is no longer needed, which may be before server_reply() returns.
	 */
	void (*release)(void *arg);
	void *arg;
};

/*
 * Answers the request that `c` waits for. Only in the thread of its worker. Every answer carries
 * Content-Length, the headers that Hadoop sends against caching and sniffing, and the configured
 * ones; a HEAD request gets the body's length without the body. Malformed `headers` turn the answer
 * into a 500: they would be a bug, and could be somebody else's answer.
 */
void server_reply(struct server_conn *c, const struct reply *r);

/* {"RemoteException": ...} in the shape Hadoop clients read. `text` is the message. */
void server_error_body(unsigned status, const char *text, struct outbuf *body);

/* The usual reason phrase; never NULL. */
const char *server_reason(unsigned status);

/* The client's address in numbers, without port; IPv4 also where it came over an IPv6 socket. */
const char *server_conn_peer(const struct server_conn *c);
uint16_t server_conn_peer_port(const struct server_conn *c);
unsigned server_conn_worker(const struct server_conn *c);

/* Whether the client speaks TLS, also when the connection is already gone. */
MUST_CHECK bool server_conn_tls(const struct server_conn *c);
/* The subject of the client's verified certificate (RFC 2253), NULL when there is none. Valid as long as c. */
const char *server_conn_client(const struct server_conn *c);

/* The request under way, NULL when there is none. */
const struct http_request *server_conn_request(const struct server_conn *c);

/* For the handler: a pointer, and 64 bytes aligned to 16. Both are zero for a new connection. */
void **server_conn_user(struct server_conn *c);
void *server_conn_scratch(struct server_conn *c);
#define SERVER_SCRATCH 64

#endif
