/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's notification protocol; see notify.h. */
#include "proxy/notify.h"

#include <stdio.h>
#include <unistd.h>

/* Decimal digits and nothing else, not more than UINT64_MAX. */
MUST_CHECK static bool number(const char *text, uint64_t *out)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return false;
	*out = v;
	return true;
}

/* The watchdog is ours unless it names another process. Half of its interval leaves room for one late sign. */
MUST_CHECK static bool watchdog(const char *usec, const char *pid, uint64_t *ms)
{
	uint64_t us, who;

	*ms = 0;
	if (!usec)
		return true;
	if (!number(usec, &us) || (pid && !number(pid, &who)))
		return false;
	if (!pid || who == (uint64_t)getpid())
		*ms = us && us < 2000 ? 1 : us / 2000;
	return true;
}

MUST_CHECK static bool address(const char *socket, struct notify *n)
{
	size_t len = strlen(socket);

	if ((*socket != '/' && *socket != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return false;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, socket, len);
	if (*socket == '@')
		n->to.sun_path[0] = 0;
	/* In the abstract space every byte counts: no NUL behind the name. */
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*socket == '/'));
	return true;
}

enum rc notify_open(const char *socket_name, const char *watchdog_usec, const char *watchdog_pid, struct notify *n)
{
	const struct timeval patience = { NOTIFY_SEND_MS / 1000, NOTIFY_SEND_MS % 1000 * 1000 };
	uint64_t watchdog_ms;

	*n = (struct notify){ .fd = -1 };
	if (!socket_name || !*socket_name)
		return RC_OK;
	if (!watchdog(watchdog_usec, watchdog_pid, &watchdog_ms) || !address(socket_name, n))
		return RC_BAD_INPUT;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0 || setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
		notify_close(n);
		return RC_MACHINE;
	}
	n->watchdog_ms = watchdog_ms;
	return RC_OK;
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
	n->watchdog_ms = 0;
}

enum rc notify_send(const struct notify *n, const char *text)
{
	size_t len = strlen(text);

	if (n->fd < 0)
		return RC_OK;
	if (sendto(n->fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_len) != (ssize_t)len)
		return RC_MACHINE;
	return RC_OK;
}

/* What a manager does not get it asks for again, or gives up on us: no error of ours. */
static void tell(const struct notify *n, const char *state, const char *status)
{
	char text[1024];
	size_t at;
	int len = snprintf(text, sizeof(text), "%sSTATUS=", state);

	if (n->fd < 0)
		return;
	INVARIANT(len > 0 && (size_t)len < sizeof(text) - 2);
	for (at = (size_t)len; *status && at < sizeof(text) - 2; status++)
		text[at++] = (unsigned char)*status < ' ' ? ' ' : *status;
	text[at++] = '\n';
	text[at] = 0;
	(void)!notify_send(n, text);
}

void notify_ready(const struct notify *n, const char *status)
{
	tell(n, "READY=1\n", status);
}

void notify_status(const struct notify *n, const char *status)
{
	tell(n, "", status);
}

void notify_reloading(const struct notify *n, uint64_t mono_us, const char *status)
{
	char state[80];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu\n", (unsigned long long)mono_us);
	tell(n, state, status);
}

void notify_stopping(const struct notify *n, const char *status)
{
	tell(n, "STOPPING=1\n", status);
}

bool notify_due(const struct notify *n, uint64_t now_ms)
{
	return n->fd >= 0 && n->watchdog_ms && now_ms >= n->next_ms;
}

void notify_alive(struct notify *n, uint64_t now_ms)
{
	(void)!notify_send(n, "WATCHDOG=1\n");
	n->next_ms = now_ms + n->watchdog_ms;
}
