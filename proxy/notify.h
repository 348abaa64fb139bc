/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager is told about this process: systemd's protocol (sd_notify(3)), spoken by a few lines
 * of our own. One datagram a message, lines of NAME=VALUE, to the socket that $NOTIFY_SOCKET names: a path, or
 * a name in the abstract space, which begins with '@'.
 *
 * Trusts the environment it was started with. Always holds: without a manager every call does nothing; no
 * message holds a secret; a manager that does not read delays us NOTIFY_SEND_MS at most.
 */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

#define NOTIFY_SEND_MS 2000

struct notify {
	int fd;		      /* -1: nobody is to be told */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_ms; /* how often a sign of life is due; 0: never */
	uint64_t next_ms;     /* when the next one is, CLOCK_MONOTONIC */
};

/*
 * socket, watchdog_usec, watchdog_pid: the values of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, NULL where
 * they are not set. RC_BAD_INPUT: a socket that this cannot reach (neither path nor '@', or too long), or an
 * interval that is no number; RC_MACHINE: no socket. *n is usable in every case, and says nothing on failure.
 */
enum rc notify_open(const char *socket, const char *watchdog_usec, const char *watchdog_pid, struct notify *n);
void notify_close(struct notify *n);

/* text is "NAME=VALUE\n..."; RC_MACHINE: it did not arrive. */
enum rc notify_send(const struct notify *n, const char *text);

/* Control characters in the status become spaces: it is one line. */
void notify_ready(const struct notify *n, const char *status);
void notify_status(const struct notify *n, const char *status);
/* mono_us: CLOCK_MONOTONIC at the beginning of the reload, in microseconds. notify_ready() ends it. */
void notify_reloading(const struct notify *n, uint64_t mono_us, const char *status);
void notify_stopping(const struct notify *n, const char *status);

/* Is a sign of life due? The caller sends it with notify_alive() once it knows that it lives. */
MUST_CHECK bool notify_due(const struct notify *n, uint64_t now_ms);
void notify_alive(struct notify *n, uint64_t now_ms);

#endif
