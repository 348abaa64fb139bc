/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for one connection to a key management server: 1.2 or 1.3, the server's certificate checked against the
 * system's authorities or a file, and against the host name that was asked for.
 *
 * Trusts the authorities that it is given; without checking (insecure) it trusts whoever answers. Never blocks:
 * the caller waits for the socket.
 */
#ifndef CLIENT_SECURE_H
#define CLIENT_SECURE_H

#include <sys/types.h>

#include "base/base.h"

struct secure;

/*
 * ca: PEM file of the authorities to trust in place of the system's, or NULL. own: PEM file with a certificate and its
 * key, for a server that asks for one, or NULL. NULL: why says what is wrong.
 */
struct secure *secure_new(const char *ca, const char *own, bool insecure, char *why, size_t why_len);
/* One more connection with the same authorities and certificate as `of`, which has to live longer. NULL: no memory. */
struct secure *secure_like(const struct secure *of);
void secure_free(struct secure *s); /* NULL is fine */

/* Before the handshake over a connected, non-blocking socket, which stays the caller's. Ends an earlier one. */
enum rc secure_begin(struct secure *s, int fd, const char *host, char *why, size_t why_len);
/* Says goodbye as far as the socket takes it at once. */
void secure_end(struct secure *s);

/* RC_BUSY: wait for secure_events(), then again. RC_DENIED: the server's certificate is refused, or it refuses us. */
enum rc secure_handshake(struct secure *s, char *why, size_t why_len);

/* As send(2) and recv(2): -1 with errno, EAGAIN among them; then secure_events() is what poll() is to wait for. */
ssize_t secure_send(struct secure *s, const void *p, size_t len);
ssize_t secure_recv(struct secure *s, void *to, size_t room);
short secure_events(const struct secure *s);

#endif
