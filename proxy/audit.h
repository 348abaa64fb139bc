/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kms-audit.log, in the format of Hadoop KMS, which parsers depend on:
 *
 *   2024-05-01 12:00:00,123 OK[op=DECRYPT_EEK, key=k, user=u, accessCount=7, interval=10010ms]
 *   2024-05-01 12:00:00,123 OK[op=CREATE_KEY, key=k, user=u] UserProvidedMaterial:false Description:null
 *   2024-05-01 12:00:00,123 UNAUTHORIZED[op=READ, key=k, user=u]
 *   2024-05-01 12:00:00,123 ERROR[user=u] Method:'POST' Exception:'...'
 *   2024-05-01 12:00:00,123 UNAUTHENTICATED RemoteHost:h Method:GET URL:u ErrorMsg:'...'
 *
 * Frequent operations (kms_op.h) are aggregated by user, key and operation: the first is written at
 * once, later ones are counted and written when the window ends.
 *
 * Trusts nothing in users, keys, URLs and messages. Deviations from Hadoop, all of which a parser
 * of good lines cannot see: control characters, line separators, text direction marks and invalid
 * UTF-8 are written as \uXXXX or \xXX, so one event is always one line; values of delegation=, token=
 * and other credentials in URLs are replaced by <redacted>; a field is cut at AUDIT_FIELD_MAX bytes.
 * (Two events can still read alike: the format separates fields by ", " and does not quote them.)
 *
 * This file is for people and their tools; it is not evidence: whoever may write it can change it.
 */
#ifndef PROXY_AUDIT_H
#define PROXY_AUDIT_H

#include "base/base.h"
#include "proxy/kms_op.h"

#define AUDIT_FIELD_MAX 4096u       /* bytes of one user, key, URL or message */
#define AUDIT_BUFFER_MAX (4u << 20) /* bytes of lines not yet written */

enum audit_status {
	AUDIT_OK,
	AUDIT_UNAUTHORIZED,
	AUDIT_UNAUTHENTICATED,
	AUDIT_ERROR,
};

struct audit_time {
	int64_t wall_ms; /* since 1970, for the line */
	int64_t mono_ms; /* any origin, never backwards, for windows and intervals */
};

struct audit_options {
	const char *path;    /* opened for appending, created with mode 0640 */
	uint32_t window_ms;  /* aggregation window, at least 10; 0 means 10000 */
	uint32_t groups_max; /* groups counted at a time; beyond it each event is a line; 0 means 65536 */
	void (*clock)(void *ctx, struct audit_time *now); /* NULL: the system's */
	void (*report)(void *ctx, const char *text);      /* failure and recovery, once each; NULL: stderr */
	void *ctx;
};

struct audit_state {
	bool failing;      /* the last attempt to write or reopen failed */
	int error;         /* its errno */
	uint64_t lines;    /* queued for the file */
	uint64_t failures; /* attempts that failed */
	uint64_t dropped;  /* lines lost because the buffer was full */
	uint64_t pending;  /* bytes not yet in the file */
	uint64_t groups;   /* groups being counted */
};

struct audit;

/*
 * Options are copied, the path too. The result belongs to the caller.
 * RC_BAD_INPUT: window too small; RC_MACHINE: the file cannot be opened (errno says why); RC_NO_ROOM: memory.
 */
enum rc audit_open(const struct audit_options *o, struct audit **out);

/* Writes what is pending, counts not yet reported included, and frees. NULL is fine. */
void audit_close(struct audit *a);

/*
 * One event of an operation; from any thread. An aggregated OK costs one lookup under a lock; all else
 * formats a line into memory. No I/O, except when AUDIT_BUFFER_MAX is reached. Empty texts leave out their
 * field; `extra` is not used with aggregated operations that have a user and a key.
 */
void audit_event(struct audit *a, enum audit_status status, enum kms_op op, struct slice user,
		 struct slice key, struct slice extra);

/* ERROR line; user may be empty; of message only the first line is used. */
void audit_error(struct audit *a, struct slice user, struct slice method, struct slice message);

/* UNAUTHENTICATED line; url is the request URL with its query. */
void audit_unauthenticated(struct audit *a, struct slice host, struct slice method, struct slice url,
			   struct slice reason);

/*
 * Writes what is pending, in order, by one write(); returns when every line queued before the call is in the
 * file. A load when nothing is pending: call it once per turn of an event loop, before the replies go out.
 * RC_MACHINE: not written (disk full, ...); the lines stay queued up to AUDIT_BUFFER_MAX and are tried again.
 */
enum rc audit_flush(struct audit *a);

/* Ends windows that are over and flushes. Call it every audit_tick_ms(), from one thread. */
void audit_tick(struct audit *a);
uint32_t audit_tick_ms(const struct audit *a);

/*
 * Opens the path again, after logrotate moved the file. What was queued before goes to the old file.
 * RC_MACHINE: it cannot be opened; the old file stays in use.
 */
enum rc audit_reopen(struct audit *a);

void audit_state(struct audit *a, struct audit_state *out);

#endif
