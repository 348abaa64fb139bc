/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for the HTTP server, on OpenSSL: one context that all workers share, and one object for each connection,
 * which looks to server_conn.c like a socket.
 *
 * What always holds: TLS 1.2 and 1.3 only, ephemeral keys and authenticated encryption only, no renegotiation, no
 * compression, no early data. A context is never changed: new files make a new one, connections keep the one they
 * began with, and when the new one cannot be made the old one stays. Nothing here blocks: whatever waits for the
 * network returns EAGAIN. The network and the clients are not trusted; the files are the operator's.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include "proxy/keystore.h"

struct conf;
struct settings;

enum tls_client_auth { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

/* All texts are the caller's, and only looked at during the call. */
struct tls_options {
	struct keystore_source identity;
	struct keystore_source trust; /* file NULL: none, then client_auth is TLS_CLIENT_NONE */
	enum tls_client_auth client_auth;
	bool tls12, tls13;	      /* at least one */
	const char *exclude;	      /* cipher suites: Java (IANA) names, regular expressions of such; comma separated */
	unsigned security_level;      /* OpenSSL's: 2 wants keys of 112 bits and SHA-2; 0 is taken as 2 */
};

struct tls;
struct tls_conn;

/* ---- the shared context; tls_create() to tls_free() in the main thread ---- */

/* Errors as in keystore.h, and RC_BAD_INPUT for options that leave nothing to offer. *warning may be "". */
enum rc tls_create(const struct tls_options *o, struct tls **out, char warning[256], struct keystore_error *err);

/* Reads all files again. On any error the context in force stays. */
enum rc tls_reload(struct tls *t, const struct tls_options *o, char warning[256], struct keystore_error *err);

/* Whether a file that the last tls_create() or tls_reload() looked at is another one now; a few stat(). */
MUST_CHECK bool tls_changed(const struct tls *t);

/* After all its connections. NULL is fine. */
void tls_free(struct tls *t);

/* ---- one connection, in its worker's thread ---- */

/*
 * Takes no ownership of fd. thrifty: holds its buffers (34 KiB) only while they are in use, which costs a tenth of the
 * time of a small request. NULL: out of memory.
 */
struct tls_conn *tls_conn_new(struct tls *t, int fd, bool thrifty);
void tls_conn_free(struct tls_conn *c);

/* The socket has been reported readable; hung_up: and the peer will send no more. */
void tls_conn_ready(struct tls_conn *c, bool hung_up);

enum tls_step {
	TLS_DONE,	/* the handshake is complete */
	TLS_AGAIN,	/* wait for the socket, in either direction */
	TLS_FAILED,	/* refused; the peer has been sent an alert where that was possible */
	TLS_PLAIN_HTTP, /* the peer speaks HTTP without TLS */
};
enum tls_step tls_conn_handshake(struct tls_conn *c);

/*
 * As recv(2) and sendmsg(2) on a non-blocking socket: -1 with errno, EAGAIN among them; 0 from recv is the end.
 * A send shorter than asked has filled the socket.
 */
ssize_t tls_conn_recv(struct tls_conn *c, void *to, size_t room);
ssize_t tls_conn_send(struct tls_conn *c, const struct iovec *v, size_t count);

/* Whether another tls_conn_recv() may find something before the socket is reported readable again. */
MUST_CHECK bool tls_conn_more(const struct tls_conn *c);
/* Whether the last tls_conn_recv() stopped because the socket takes no more; try again when it does. */
MUST_CHECK bool tls_conn_recv_wants_write(const struct tls_conn *c);

/* Says close_notify if the connection is in a state to. Once; the socket stays open. */
void tls_conn_close(struct tls_conn *c);

/* The verified client certificate's subject (RFC 2253), NULL when there is none. Valid until tls_conn_free(). */
const char *tls_conn_client(const struct tls_conn *c);
/* Whether the handshake took up an earlier session. */
MUST_CHECK bool tls_conn_resumed(const struct tls_conn *c);

/* ---- settings (tls_conf.c) ---- */

/* Room for what tls_options_of() has to make up. */
struct tls_paths {
	char identity[4096], key[4096], trust[4096];
};

/* What ssl-server.xml and kms-site.xml ask for. Texts belong to s and paths. RC_BAD_INPUT: something is missing. */
enum rc tls_options_of(const struct settings *s, const struct conf *c, struct tls_options *out, struct tls_paths *paths,
		       struct keystore_error *err);

#endif
