/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process isolation: memfd areas and futexes. The request area is read-only for the service, the
 * response area read-only for us, as the VMPL rights have it on hardware.
 *
 * One flush is one crossing: advance `tail`, wake the service if it sleeps, sleep until `done` has
 * caught up. With both sides pinned to one CPU that is two context switches for any number of calls.
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

#include "channel/channel.h"

struct channel_lane {
	struct channel *ch;
	uint8_t *req;			/* CALL_AREA_LEN bytes */
	const uint8_t *rsp;		/* CALL_AREA_LEN bytes, read-only */
	uint32_t tail;			/* calls submitted */
	uint32_t flushed;		/* calls answered or given up */
	uint32_t generation;		/* of the service these counters belong to */
	uint32_t dead;			/* the generation that a flush found dead */
	uint32_t busy;			/* atomic: a flush is under way */
	uint16_t ring_slot[CALL_RING];	/* which slot each ring entry carries */
	struct call_cpl cpl[CALL_SLOTS];
	uint64_t crossings, calls;
	uint8_t taken[CALL_SLOTS];
	int next_small;
};

struct channel {
	struct channel_options opt;
	char *path;
	uint32_t lanes, generation, up;	/* up: atomic */
	int req_fd, rsp_fd, pid_fd, pid;
	uint8_t *req;
	const uint8_t *rsp;
	struct channel_lane *lane;
};

#define REQ_CTL(l) ((struct call_req_ctl *)(l)->req)
#define RSP_CTL(l) ((const struct call_rsp_ctl *)(l)->rsp)

static enum rc fail(struct channel_error *err, const char *what, const char *remedy)
{
	snprintf(err->text, sizeof(err->text), "%s: %s; %s", what, strerror(errno), remedy);
	return RC_MACHINE;
}

static uint64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
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

static enum rc send_boot(struct channel *ch, int fd)
{
	struct boot_msg b = {
		.magic = BOOT_MAGIC,
		.version = BOOT_VERSION,
		.isolation = ISOLATION_PROCESS,
		.lanes = ch->lanes,
		.wall_ms = wall_ms(),
		.pin = ch->opt.pin,
		.spin_us = ch->opt.spin_us,
	};
	ssize_t n;

	memcpy(b.platform_key, ch->opt.platform_key.b, sizeof(b.platform_key));
	n = write(fd, &b, sizeof(b));
	mem_wipe(b.platform_key, sizeof(b.platform_key));
	return n == (ssize_t)sizeof(b) ? RC_OK : RC_MACHINE;
}

static enum rc spawn(struct channel *ch, struct channel_error *err)
{
	pid_t parent = getpid();
	int boot[2];
	enum rc rc;

	if (access(ch->path, X_OK) != 0)
		return fail(err, ch->path, "the service's program must stand beside svsm-kms; run `make build`");
	if (pipe2(boot, O_CLOEXEC) != 0)
		return fail(err, "pipe", "raise the limit of open files (ulimit -n)");
	rc = send_boot(ch, boot[1]);
	close(boot[1]);
	if (rc == RC_OK)
		ch->pid = (int)fork();
	if (rc != RC_OK || ch->pid < 0) {
		close(boot[0]);
		return fail(err, "cannot start the service", "check the limit of processes (ulimit -u)");
	}
	if (ch->pid == 0)
		become_service(ch->path, boot[0], ch->req_fd, ch->rsp_fd, parent);
	close(boot[0]);
	ch->pid_fd = (int)syscall(SYS_pidfd_open, ch->pid, 0);
	if (ch->pid_fd < 0) {
		kill(ch->pid, SIGKILL);
		return fail(err, "pidfd_open", "Linux 5.3 or newer is needed");
	}
	fcntl(ch->pid_fd, F_SETFD, FD_CLOEXEC);
	__atomic_fetch_add(&ch->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ch->up, 1, __ATOMIC_SEQ_CST);
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

static enum rc make_areas(struct channel *ch, struct channel_error *err)
{
	size_t len = CALL_AREA_LEN * ch->lanes;
	uint32_t i;
	void *p;

	ch->req_fd = make_area("svsm-kms-requests", len);
	ch->rsp_fd = make_area("svsm-kms-answers", len);
	if (ch->req_fd < 0 || ch->rsp_fd < 0)
		return fail(err, "memfd_create", "shared memory for the service is needed");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, ch->req_fd, 0);
	ch->req = p == MAP_FAILED ? NULL : p;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, ch->rsp_fd, 0);
	ch->rsp = p == MAP_FAILED ? NULL : p;
	if (!ch->req || !ch->rsp)
		return fail(err, "mmap", "shared memory for the service is needed");
	madvise(ch->req, len, MADV_DONTDUMP);
	madvise((void *)(uintptr_t)ch->rsp, len, MADV_DONTDUMP);
	for (i = 0; i < ch->lanes; i++) {
		ch->lane[i].ch = ch;
		ch->lane[i].req = ch->req + CALL_AREA_LEN * i;
		ch->lane[i].rsp = ch->rsp + CALL_AREA_LEN * i;
	}
	return RC_OK;
}

enum rc channel_open_process(const struct channel_options *o, struct channel **out, struct channel_error *err)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	enum rc rc = RC_NO_ROOM;

	snprintf(err->text, sizeof(err->text), "no memory");
	if (!ch)
		return RC_NO_ROOM;
	ch->opt = *o;
	ch->lanes = o->workers + 1;
	ch->req_fd = ch->rsp_fd = ch->pid_fd = ch->pid = -1;
	ch->path = strdup(o->service_path);
	ch->lane = calloc(ch->lanes, sizeof(*ch->lane));
	if (ch->path && ch->lane && ch->lanes <= CALL_LANES_MAX)
		rc = make_areas(ch, err);
	if (rc == RC_OK)
		rc = spawn(ch, err);
	if (rc != RC_OK) {
		channel_close(ch);
		return rc;
	}
	*out = ch;
	return RC_OK;
}

static void reap(struct channel *ch)
{
	if (ch->pid > 0) {
		kill(ch->pid, SIGKILL);
		while (waitpid(ch->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	ch->pid = -1;
	if (ch->pid_fd >= 0)
		close(ch->pid_fd);
	ch->pid_fd = -1;
}

void channel_close(struct channel *ch)
{
	size_t len;

	if (!ch)
		return;
	len = CALL_AREA_LEN * ch->lanes;
	__atomic_store_n(&ch->up, 0, __ATOMIC_SEQ_CST);
	reap(ch);
	if (ch->req)
		munmap(ch->req, len);
	if (ch->rsp)
		munmap((void *)(uintptr_t)ch->rsp, len);
	if (ch->req_fd >= 0)
		close(ch->req_fd);
	if (ch->rsp_fd >= 0)
		close(ch->rsp_fd);
	free(ch->lane);
	free(ch->path);
	mem_wipe(ch, sizeof(*ch));
	free(ch);
}

int channel_death_fd(const struct channel *ch)
{
	return ch->pid_fd;
}

int channel_pid(const struct channel *ch)
{
	return ch->pid;
}

uint32_t channel_generation(const struct channel *ch)
{
	return __atomic_load_n(&ch->generation, __ATOMIC_ACQUIRE);
}

uint32_t channel_lane_generation(const struct channel_lane *l)
{
	return l->generation;
}

uint32_t channel_isolation(const struct channel *ch)
{
	(void)ch;
	return ISOLATION_PROCESS;
}

/*
 * No lane may believe in an old counter when the new service starts at zero: a lane notices by the
 * generation, in channel_submit() and channel_flush(). While one is in a flush nothing is touched.
 */
enum rc channel_restart(struct channel *ch, struct channel_error *err)
{
	const struct timespec ms = { 0, 1000000 };
	uint32_t i;

	__atomic_store_n(&ch->up, 0, __ATOMIC_SEQ_CST);
	for (i = 0; i < ch->lanes; i++)
		while (__atomic_load_n(&ch->lane[i].busy, __ATOMIC_SEQ_CST))
			nanosleep(&ms, NULL);
	reap(ch);
	/* The response area is ours to read only: an empty file is how its control pages become zero. */
	for (i = 0; i < ch->lanes; i++) {
		off_t at = (off_t)(CALL_AREA_LEN * i);

		/* Only what the service looks at first: a lane's thread may be writing an entry of the ring. */
		__atomic_store_n(&REQ_CTL(&ch->lane[i])->tail, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&REQ_CTL(&ch->lane[i])->waiting, 0, __ATOMIC_RELAXED);
		if (fallocate(ch->rsp_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, CALL_PAGE) != 0)
			return fail(err, "fallocate", "restart svsm-kms");
	}
	return spawn(ch, err);
}

struct channel_lane *channel_lane(struct channel *ch, uint32_t number)
{
	if (number == CHANNEL_CONTROL)
		return &ch->lane[ch->lanes - 1];
	INVARIANT(number + 1 < ch->lanes);
	return &ch->lane[number];
}

int channel_slot_take(struct channel_lane *l, bool large)
{
	int i;

	if (large) {
		for (i = CALL_SMALL; i < (int)CALL_SLOTS; i++)
			if (!l->taken[i]) {
				l->taken[i] = 1;
				return i;
			}
		return -1;
	}
	/* Low numbers first: few pages stay warm. */
	for (i = l->next_small; i < (int)CALL_SMALL; i++)
		if (!l->taken[i]) {
			l->taken[i] = 1;
			l->next_small = i + 1;
			return i;
		}
	return -1;
}

void channel_slot_release(struct channel_lane *l, int slot)
{
	INVARIANT(slot >= 0 && slot < (int)CALL_SLOTS && l->taken[slot]);
	l->taken[slot] = 0;
	if (slot < l->next_small)
		l->next_small = slot;
}

uint8_t *channel_request(struct channel_lane *l, int slot)
{
	return l->req + call_slot_off((unsigned)slot);
}

size_t channel_room(int slot)
{
	return call_slot_len((unsigned)slot);
}

bool channel_submit(struct channel_lane *l, int slot, enum wire_call call, size_t len)
{
	uint32_t at, generation = channel_generation(l->ch);

	if (l->tail == l->flushed && l->generation != generation) {
		l->generation = generation;
		l->tail = l->flushed = 0;
	}
	at = l->tail % CALL_RING;
	INVARIANT(slot >= 0 && slot < (int)CALL_SLOTS && l->taken[slot] && len <= channel_room(slot));
	if (l->tail - l->flushed >= CALL_RING)
		return false;
	REQ_CTL(l)->ring[at] =
		(struct call_sub){ .call = (uint16_t)call, .slot = (uint16_t)slot, .len = (uint32_t)len };
	l->ring_slot[at] = (uint16_t)slot;
	l->tail++;
	return true;
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

	if (!l->ch->opt.spin_us)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &t);
	end = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 + l->ch->opt.spin_us;
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
		struct pollfd p = { .fd = l->ch->pid_fd, .events = POLLIN };

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

static enum rc flush(struct channel_lane *l)
{
	uint32_t i;

	/* A dead service's last counters and answers are still in its pages: never look there again. */
	if (!__atomic_load_n(&l->ch->up, __ATOMIC_SEQ_CST) || l->generation != channel_generation(l->ch) ||
	    l->generation == l->dead)
		return RC_MACHINE;
	REQ_CTL(l)->now_ms = wall_ms();
	__atomic_store_n(&REQ_CTL(l)->tail, l->tail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&RSP_CTL(l)->sleeping, __ATOMIC_RELAXED))
		syscall(SYS_futex, &REQ_CTL(l)->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	if (!wait_done(l)) {
		l->dead = l->generation;
		return RC_MACHINE;
	}
	__atomic_store_n(&l->crossings, l->crossings + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->calls, l->calls + (l->tail - l->flushed), __ATOMIC_RELAXED);
	for (i = l->flushed; i != l->tail; i++)
		l->cpl[l->ring_slot[i % CALL_RING]] = RSP_CTL(l)->ring[i % CALL_RING];
	return RC_OK;
}

enum rc channel_flush(struct channel_lane *l)
{
	enum rc rc = RC_OK;

	if (l->tail == l->flushed)
		return RC_OK;
	__atomic_store_n(&l->busy, 1, __ATOMIC_SEQ_CST);
	rc = flush(l);
	l->flushed = l->tail;
	if (rc != RC_OK)
		l->generation = 0;	/* the counters start anew with the next service */
	__atomic_store_n(&l->busy, 0, __ATOMIC_SEQ_CST);
	return rc;
}

uint32_t channel_result(const struct channel_lane *l, int slot, struct slice *answer)
{
	const struct call_cpl *c = &l->cpl[slot];
	size_t len = c->len <= channel_room(slot) ? c->len : 0;

	*answer = slice_of(l->rsp + call_slot_off((unsigned)slot), len);
	return c->result;
}

void channel_counts(const struct channel *ch, uint64_t *crossings, uint64_t *calls)
{
	uint32_t i;

	*crossings = *calls = 0;
	for (i = 0; i < ch->lanes; i++) {
		*crossings += __atomic_load_n(&ch->lane[i].crossings, __ATOMIC_RELAXED);
		*calls += __atomic_load_n(&ch->lane[i].calls, __ATOMIC_RELAXED);
	}
}
