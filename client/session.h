/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One keep-alive HTTP/1.1 connection to a key management server, with Hadoop's authentication: the first
 * request carries user.name, later ones the cookie that came back; after a 401 once more from the start.
 * Or each carries a delegation token, and neither of the two. A 401 that asks for Negotiate is answered by a login of its own
 * with a Kerberos ticket (negotiate.h), whose cookie the following requests carry, and only after the server has proved itself.
 *
 * With https the server has to show a certificate (secure.h). Still, the server and everything between are not
 * trusted: responses are parsed strictly, bounded in size,
 * and a request never takes longer than the timeout.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "client/http_response.h"
#include "client/kms_url.h"

struct session_options {
	struct kms_url url;
	const char *user;	/* borrowed; sent as user.name */
	const char *principal;	/* borrowed; whose ticket where the server wants one; NULL: that of the default cache */
	bool negotiate;		/* log in by ticket before anything else is sent, and never by name */
	const char *token;	/* copied; a delegation token, fit for a header, sent instead; or NULL */
	unsigned timeout_ms;	/* for one request, connecting included */
	size_t body_max;	/* of a response, bytes */
	/* Where url.tls */
	const char *ca;		/* borrowed; PEM file of authorities to trust, NULL: the system's */
	const char *client_cert; /* borrowed; PEM file with certificate and key to show, or NULL */
	bool insecure;		/* believe whoever answers */
};

struct session;

struct session_request {
	const char *method;
	const char *path;	/* encoded; begins with "/" and is below the server, not below /kms */
	const char *query;	/* encoded, without "?", or NULL */
	struct slice body;	/* JSON; sent when has_body */
	bool has_body;
	bool anonymous;		/* no user.name, cookie or token */
};

struct session_answer {
	unsigned status;
	char reason[128];
	char type[64];		/* Content-Type, cut */
	struct buf body;	/* max is set by session_call() */
};

/* NULL when out of memory. */
struct session *session_new(const struct session_options *o);
void session_free(struct session *s);

/*
 * Sends a request and reads the answer, whatever its status. RC_OK: *a is filled in. RC_MACHINE: no
 * connection, connection lost, or timeout. RC_BAD_INPUT: not an HTTP response we accept.
 * RC_NO_ROOM: larger than body_max. RC_DENIED: no login by ticket, or a server that does not prove itself.
 * After a failure session_why() tells the user what happened.
 * The body in *a is the caller's to free, after failures too; start with a zeroed struct.
 */
enum rc session_call(struct session *s, const struct session_request *r, struct session_answer *a);
const char *session_why(const struct session *s);

/* How far the server's clock is ahead of ours, in seconds, by its last Date; false when it sent none. */
MUST_CHECK bool session_skew(const struct session *s, int64_t *seconds);

/*
 * For the load generator: a fresh, connected, non-blocking socket or -1. With https its handshake is done, and *tls is
 * the caller's to free, before the session is; else *tls is NULL.
 */
struct secure;
int session_dial(struct session *s, struct secure **tls);
const char *session_cookie(const struct session *s); /* "" when none */
const struct session_options *session_of(const struct session *s);

/* Adds the bytes of a request as session_call() would send it with the cookie. */
void session_write_request(const struct session *s, const struct session_request *r, struct buf *to);

#endif
