/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests' hand inside the VM: runs shell scripts as root for whoever connects. It is part of the test
 * initramfs only, and plays the attacker the design assumes: the guest's administrator.
 *
 * One connection, one script: [u32 length of the script][u64 length of its input][script][input], numbers
 * little-endian. Answers are frames [u8 kind][u32 length][bytes]: the process id first, then output and
 * errors as they come, the exit code last. When the other side hangs up, the script's process group dies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT_PORT 99

enum { FRAME_EXIT = 0, FRAME_OUT = 1, FRAME_ERR = 2, FRAME_PID = 3 };

static bool read_all(int fd, void *buf, size_t len)
{
	uint8_t *at = buf;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *at = buf;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void frame(int fd, uint8_t kind, const void *data, uint32_t len)
{
	uint8_t head[5] = { kind };

	memcpy(head + 1, &len, 4);
	if (!write_all(fd, head, sizeof(head)) || !write_all(fd, data, len))
		_exit(1);
}

/* Passes the input on, then waits for the other side to hang up. */
static _Noreturn void feed(int sock, int in, uint64_t len, pid_t group)
{
	static uint8_t buf[65536];

	while (len) {
		ssize_t n = read(sock, buf, len < sizeof(buf) ? (size_t)len : sizeof(buf));

		if (n <= 0)
			break;
		len -= (size_t)n;
		if (in >= 0 && !write_all(in, buf, (size_t)n)) {
			close(in);
			in = -1;
		}
	}
	if (in >= 0)
		close(in);
	while (read(sock, buf, sizeof(buf)) > 0)
		;
	kill(-group, SIGKILL);
	_exit(0);
}

static bool pump(int sock, int fd, uint8_t kind)
{
	static uint8_t buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		frame(sock, kind, buf, (uint32_t)n);
	return n > 0;
}

/* Until the script has ended and nothing more is to be read; what it left running may hold the pipes. */
static int32_t follow(int sock, pid_t pid, int out, int err)
{
	int status = 0;
	struct pollfd p[] = {
		{ .fd = out, .events = POLLIN },
		{ .fd = err, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 3, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (p[i].revents && !pump(sock, p[i].fd, i ? FRAME_ERR : FRAME_OUT))
				p[i].fd = -1;
		if (p[2].revents && !p[0].revents && !p[1].revents)
			break;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static _Noreturn void serve(int sock)
{
	int in[2], out[2], err[2];
	uint32_t script_len;
	uint64_t input_len;
	char *script;
	pid_t pid, feeder;
	int32_t code;

	if (!read_all(sock, &script_len, 4) || !read_all(sock, &input_len, 8) || script_len > 1u << 24)
		_exit(1);
	script = calloc(1, (size_t)script_len + 1);
	if (!script || !read_all(sock, script, script_len) || pipe(in) || pipe(out) || pipe(err))
		_exit(1);
	pid = fork();
	if (pid == 0) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		signal(SIGPIPE, SIG_DFL);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	frame(sock, FRAME_PID, &pid, 4);
	feeder = fork();
	if (feeder == 0) {
		close(out[0]);
		close(err[0]);
		feed(sock, in[1], input_len, pid);
	}
	close(in[1]);
	code = follow(sock, pid, out[0], err[0]);
	frame(sock, FRAME_EXIT, &code, 4);
	kill(feeder, SIGKILL);
	waitpid(feeder, NULL, 0);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(AGENT_PORT) };
	int on = 1, door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(door, (struct sockaddr *)&at, sizeof(at)) || listen(door, 16)) {
		perror("agent");
		return 1;
	}
	printf("test agent: listening\n");
	fflush(stdout);
	for (;;) {
		int sock = accept(door, NULL, NULL);

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (sock < 0)
			continue;
		if (fork() == 0) {
			close(door);
			serve(sock);
		}
		close(sock);
	}
}
