/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One login by a Kerberos ticket: the client's half of `Negotiate` (RFC 4559), Kerberos within SPNEGO and nothing else.
 *
 * Trusts MIT's GSS library, which is opened at the first login and not before: a machine without it can do all the rest.
 * The library reads krb5.conf, the credential cache ($KRB5CCNAME) and the client's keytab ($KRB5_CLIENT_KTNAME) itself.
 * Never hands the ticket on, and never is content without the server's proof that it is who the ticket is for.
 */
#ifndef CLIENT_NEGOTIATE_H
#define CLIENT_NEGOTIATE_H

#include "client/buf.h"

#define NEGOTIATE_TOKEN_MAX 65536 /* bytes; a Kerberos ticket is at most about as large */

struct negotiate;

/*
 * For the server HTTP@host. `principal`: whose ticket, or NULL for that of the default cache.
 * NULL: why says what is missing and what to do. May wait for the KDC, as long as krb5.conf says.
 */
struct negotiate *negotiate_new(const char *host, const char *principal, char *why, size_t why_len);
void negotiate_free(struct negotiate *n); /* NULL is fine */

/*
 * Takes what the server answered, empty at the first call, and adds to `token` what is to be sent.
 * RC_BUSY: send it, the server has not proved itself yet. RC_OK: it has; if token has something, that is still to be sent.
 * RC_DENIED: why says what is wrong; no further step. May wait for the KDC.
 */
enum rc negotiate_step(struct negotiate *n, struct slice answer, struct buf *token, char *why, size_t why_len);

/* What to do about an error of Kerberos, ours or one that a server tells: a text, or "" when nothing is known about it. */
const char *negotiate_advice(const char *error);

#endif
