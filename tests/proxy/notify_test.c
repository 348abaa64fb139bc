/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "proxy/notify.h"
#include "tests/test.h"

/* A manager: a datagram socket under a name of its own. */
struct manager {
	char dir[64], name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int fd;
};

static void manager_open(struct manager *m, bool abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len;

	snprintf(m->dir, sizeof(m->dir), "/tmp/notify-test-XXXXXX");
	EXPECT(mkdtemp(m->dir));
	snprintf(m->name, sizeof(m->name), "%s%s/socket", abstract ? "@" : "", m->dir);
	memcpy(a.sun_path, m->name, strlen(m->name));
	if (abstract)
		a.sun_path[0] = 0;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m->name));
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	EXPECT(m->fd >= 0 && bind(m->fd, (struct sockaddr *)&a, len) == 0);
}

static void manager_close(struct manager *m)
{
	close(m->fd);
	unlink(m->name);
	rmdir(m->dir);
}

static const char *heard(const struct manager *m)
{
	static char text[2048];
	ssize_t n = recv(m->fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void talks_to(bool abstract)
{
	struct manager m;
	struct notify n;

	manager_open(&m, abstract);
	EXPECT(notify_open(m.name, NULL, NULL, &n) == RC_OK);
	notify_ready(&n, "Serving");
	EXPECT_STR(heard(&m), "READY=1\nSTATUS=Serving\n");
	notify_reloading(&n, UINT64_C(12345678901234), "Reading");
	EXPECT_STR(heard(&m), "RELOADING=1\nMONOTONIC_USEC=12345678901234\nSTATUS=Reading\n");
	notify_status(&n, "Waiting");
	EXPECT_STR(heard(&m), "STATUS=Waiting\n");
	notify_stopping(&n, "Stopping");
	EXPECT_STR(heard(&m), "STOPPING=1\nSTATUS=Stopping\n");
	notify_close(&n);
	manager_close(&m);
}

TEST(a_manager_at_a_path_hears_every_state)
{
	talks_to(false);
}

TEST(a_manager_in_the_abstract_space_hears_every_state)
{
	talks_to(true);
}

TEST(without_a_manager_nothing_is_said_and_nothing_fails)
{
	struct notify n;

	EXPECT(notify_open(NULL, NULL, NULL, &n) == RC_OK);
	notify_ready(&n, "Serving");
	EXPECT(!notify_due(&n, UINT64_MAX));
	EXPECT(notify_send(&n, "READY=1\n") == RC_OK);
	notify_close(&n);
	EXPECT(notify_open("", "1000000", NULL, &n) == RC_OK && n.fd == -1);
}

TEST(sockets_that_cannot_be_reached_are_refused)
{
	static const char *const bad[] = { "relative/path", "vsock:2:1234", "/", "@", "x" };
	char far[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct notify n;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(notify_open(bad[i], NULL, NULL, &n) == RC_BAD_INPUT);
		EXPECT(n.fd == -1);
		notify_ready(&n, "still harmless");
	}
	memset(far, 'a', sizeof(far) - 1);
	far[0] = '/';
	far[sizeof(far) - 1] = 0;
	EXPECT(notify_open(far, NULL, NULL, &n) == RC_BAD_INPUT);
	far[sizeof(far) - 2] = 0;
	EXPECT(notify_open(far, NULL, NULL, &n) == RC_OK);
	notify_close(&n);
}

TEST(a_manager_that_is_gone_is_no_reason_to_stop)
{
	struct notify n;

	EXPECT(notify_open("/nowhere/notify", NULL, NULL, &n) == RC_OK);
	EXPECT(notify_send(&n, "READY=1\n") == RC_MACHINE);
	notify_ready(&n, "Serving");
	notify_alive(&n, 1);
	notify_close(&n);
}

TEST(a_status_stays_one_line_and_is_cut)
{
	char longer[3000];
	struct manager m;
	struct notify n;
	const char *text;

	manager_open(&m, true);
	EXPECT(notify_open(m.name, NULL, NULL, &n) == RC_OK);
	notify_status(&n, "one\nREADY=1\r\ttwo");
	EXPECT_STR(heard(&m), "STATUS=one READY=1  two\n");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	notify_status(&n, longer);
	text = heard(&m);
	EXPECT(strlen(text) == 1023 && text[1022] == '\n');
	notify_close(&n);
	manager_close(&m);
}

TEST(the_watchdog_gets_a_sign_of_life_in_half_of_its_interval)
{
	char pid[24];
	struct manager m;
	struct notify n;

	manager_open(&m, true);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EXPECT(notify_open(m.name, "30000000", pid, &n) == RC_OK);
	EXPECT_INT(n.watchdog_ms, 15000);
	EXPECT(notify_due(&n, 1000));
	notify_alive(&n, 1000);
	EXPECT_STR(heard(&m), "WATCHDOG=1\n");
	EXPECT(!notify_due(&n, 15999));
	EXPECT(notify_due(&n, 16000));
	notify_close(&n);
	EXPECT(!notify_due(&n, UINT64_MAX));
	manager_close(&m);
}

TEST(the_watchdog_of_another_process_is_not_ours)
{
	struct notify n;

	EXPECT(notify_open("@other", "30000000", "1", &n) == RC_OK);
	EXPECT(!notify_due(&n, UINT64_MAX));
	notify_close(&n);
	EXPECT(notify_open("@other", "30000000", NULL, &n) == RC_OK);
	EXPECT(notify_due(&n, 0));
	notify_close(&n);
}

TEST(intervals_that_are_no_numbers_are_refused)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1s", "0x10", "18446744073709551616",
					   "99999999999999999999999" };
	struct notify n;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(notify_open("@other", bad[i], NULL, &n) == RC_BAD_INPUT);
		EXPECT(n.fd == -1);
		EXPECT(notify_open("@other", "1000000", bad[i], &n) == RC_BAD_INPUT);
	}
	EXPECT(notify_open("@other", "18446744073709551615", NULL, &n) == RC_OK);
	notify_close(&n);
	EXPECT(notify_open("@other", "0", NULL, &n) == RC_OK && n.watchdog_ms == 0);
	notify_close(&n);
	EXPECT(notify_open("@other", "1", NULL, &n) == RC_OK && n.watchdog_ms == 1);
	notify_close(&n);
}
