/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process isolation: memfd areas and futexes. The request area is read-only for the service, the
 * response area read-only for us, as the VMPL rights have it on hardware.
 *
 * A crossing: wake the service if it sleeps, sleep until `done` has caught up with `tail`. With both sides
 * pinned to one CPU that is two context switches for any number of calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel/impl.h"

struct process {
	struct channel ch;		/* death_fd is the pidfd */
	struct channel_options opt;	/* a restart needs them again */
	char *path;
	int req_fd, rsp_fd;
};

static struct process *process_of(struct channel *ch)
{
	return (struct process *)ch;	/* its first member */
}

/* In the child, after fork: only async-signal-safe calls. */
__attribute__((noreturn)) static void become_service(const char *path, int boot, int req, int rsp, pid_t parent)
{
	static char name[] = "svsm-kms-service";
	char *const argv[] = { name, NULL }, *const env[] = { NULL };
	int null, fd[3] = { boot, req, rsp }, i;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(71);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (i = 0; i < 3; i++) {	/* first out of the way of the target numbers */
		fd[i] = fcntl(fd[i], F_DUPFD, 16);
		if (fd[i] < 0)
			_exit(71);
	}
	for (i = 0; i < 3; i++)
		if (dup2(fd[i], BOOT_FD + i) < 0)
			_exit(71);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(71);
	syscall(SYS_close_range, BOOT_FD_RSP + 1, ~0u, 0);
	execve(path, argv, env);
	_exit(72);
}

static enum rc send_boot(const struct process *p, int fd)
{
	struct boot_msg b = {
		.magic = BOOT_MAGIC,
		.version = BOOT_VERSION,
		.isolation = ISOLATION_PROCESS,
		.lanes = p->ch.lanes,
		.wall_ms = channel_wall_ms(),
		.pin = p->opt.pin,
		.spin_us = p->opt.spin_us,
	};
	ssize_t n;

	memcpy(b.platform_key, p->opt.platform_key.b, sizeof(b.platform_key));
	n = write(fd, &b, sizeof(b));
	mem_wipe(b.platform_key, sizeof(b.platform_key));
	return n == (ssize_t)sizeof(b) ? RC_OK : RC_MACHINE;
}

static enum rc spawn(struct process *p, struct channel_error *err)
{
	pid_t parent = getpid();
	int boot[2];
	enum rc rc;

	if (access(p->path, X_OK) != 0)
		return channel_fail(err, p->path, "the service's program must stand beside svsm-kms; run `make build`");
	if (pipe2(boot, O_CLOEXEC) != 0)
		return channel_fail(err, "pipe", "raise the limit of open files (ulimit -n)");
	rc = send_boot(p, boot[1]);
	close(boot[1]);
	if (rc == RC_OK)
		p->ch.pid = (int)fork();
	if (rc != RC_OK || p->ch.pid < 0) {
		close(boot[0]);
		return channel_fail(err, "cannot start the service", "check the limit of processes (ulimit -u)");
	}
	if (p->ch.pid == 0)
		become_service(p->path, boot[0], p->req_fd, p->rsp_fd, parent);
	close(boot[0]);
	p->ch.death_fd = (int)syscall(SYS_pidfd_open, p->ch.pid, 0);
	if (p->ch.death_fd < 0) {
		kill(p->ch.pid, SIGKILL);
		return channel_fail(err, "pidfd_open", "Linux 5.3 or newer is needed");
	}
	fcntl(p->ch.death_fd, F_SETFD, FD_CLOEXEC);
	return RC_OK;
}

static int make_area(const char *name, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)len) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static enum rc make_areas(struct process *p, struct channel_error *err)
{
	size_t len = CALL_AREA_LEN * p->ch.lanes;
	void *at;

	p->req_fd = make_area("svsm-kms-requests", len);
	p->rsp_fd = make_area("svsm-kms-answers", len);
	if (p->req_fd < 0 || p->rsp_fd < 0)
		return channel_fail(err, "memfd_create", "shared memory for the service is needed");
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, p->req_fd, 0);
	p->ch.req = at == MAP_FAILED ? NULL : at;
	at = mmap(NULL, len, PROT_READ, MAP_SHARED, p->rsp_fd, 0);
	p->ch.rsp = at == MAP_FAILED ? NULL : at;
	if (!p->ch.req || !p->ch.rsp)
		return channel_fail(err, "mmap", "shared memory for the service is needed");
	madvise(p->ch.req, len, MADV_DONTDUMP);
	madvise((void *)(uintptr_t)p->ch.rsp, len, MADV_DONTDUMP);
	return channel_lanes_make(&p->ch);
}

static void reap(struct process *p)
{
	if (p->ch.pid > 0) {
		kill(p->ch.pid, SIGKILL);
		while (waitpid(p->ch.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	p->ch.pid = -1;
	if (p->ch.death_fd >= 0)
		close(p->ch.death_fd);
	p->ch.death_fd = -1;
}

static enum rc process_restart(struct channel *ch, struct channel_error *err)
{
	struct process *p = process_of(ch);
	uint32_t i;

	reap(p);
	/* The response area is ours to read only: an empty file is how its control pages become zero. */
	for (i = 0; i < ch->lanes; i++)
		if (fallocate(p->rsp_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(CALL_AREA_LEN * i), CALL_PAGE) != 0)
			return channel_fail(err, "fallocate", "restart svsm-kms");
	return spawn(p, err);
}

static void process_kill(struct channel *ch)
{
	if (ch->pid > 0)
		kill(ch->pid, SIGKILL);
}

static void process_close(struct channel *ch)
{
	struct process *p = process_of(ch);
	size_t len = CALL_AREA_LEN * ch->lanes;

	reap(p);
	if (ch->req)
		munmap(ch->req, len);
	if (ch->rsp)
		munmap((void *)(uintptr_t)ch->rsp, len);
	if (p->req_fd >= 0)
		close(p->req_fd);
	if (p->rsp_fd >= 0)
		close(p->rsp_fd);
	free(p->path);
	mem_wipe(p, sizeof(*p));
	free(p);
}

static void futex_wait(const uint32_t *word, uint32_t seen)
{
	const struct timespec limit = { 0, 100 * 1000000 };	/* then look whether the service lives */

	syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static bool spin_until_done(struct channel_lane *l)
{
	struct timespec t;
	uint64_t end, now;

	if (!process_of(l->ch)->opt.spin_us)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &t);
	end = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 + process_of(l->ch)->opt.spin_us;
	do {
		if (__atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE) == l->tail)
			return true;
		__builtin_ia32_pause();
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	} while (now < end);
	return false;
}

/* Sleeps until everything submitted is answered. False: the service died. */
static bool wait_done(struct channel_lane *l)
{
	uint32_t done;

	if (spin_until_done(l))
		return true;
	__atomic_store_n(&REQ_CTL(l)->waiting, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while ((done = __atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE)) != l->tail) {
		struct pollfd p = { .fd = l->ch->death_fd, .events = POLLIN };

		futex_wait(&RSP_CTL(l)->done, done);
		if (__atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE) != l->tail &&
		    (!__atomic_load_n(&l->ch->up, __ATOMIC_SEQ_CST) || poll(&p, 1, 0) != 0)) {
			if (__atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE) == l->tail)
				break;
			return false;
		}
	}
	__atomic_store_n(&REQ_CTL(l)->waiting, 0, __ATOMIC_RELAXED);
	return true;
}

static bool process_cross(struct channel_lane *l)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&RSP_CTL(l)->sleeping, __ATOMIC_RELAXED))
		syscall(SYS_futex, &REQ_CTL(l)->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	return wait_done(l);
}

static const struct channel_ops process_ops = {
	.cross = process_cross,
	.restart = process_restart,
	.kill = process_kill,
	.close = process_close,
};

enum rc channel_open_process(const struct channel_options *o, struct channel **out, struct channel_error *err)
{
	struct process *p = calloc(1, sizeof(*p));
	enum rc rc = RC_NO_ROOM;

	snprintf(err->text, sizeof(err->text), "no memory");
	if (!p)
		return RC_NO_ROOM;
	p->opt = *o;
	p->ch = (struct channel){ .ops = &process_ops, .lanes = o->workers + 1, .workers = o->workers,
				  .isolation = ISOLATION_PROCESS, .death_fd = -1, .pid = -1 };
	p->req_fd = p->rsp_fd = -1;
	p->path = strdup(o->service_path);
	if (p->path && p->ch.lanes <= CALL_LANES_MAX)
		rc = make_areas(p, err);
	if (rc == RC_OK)
		rc = spawn(p, err);
	if (rc != RC_OK) {
		channel_close(&p->ch);
		return rc;
	}
	channel_started(&p->ch);
	*out = &p->ch;
	return RC_OK;
}
