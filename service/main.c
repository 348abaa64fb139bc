/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trusted program. It is started with three descriptors (wire/boot.h), takes what it needs from
 * them, closes them, locks itself in and serves its lanes until it is killed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/entropy.h"
#include "service/lane.h"
#include "service/sandbox.h"
#include "service/service.h"

#define STACK (256 * 1024)

static struct svc *the_service;

static void say(const char *text)
{
	ssize_t n = write(2, text, strlen(text));

	(void)n;	/* nobody is left to tell */
}

__attribute__((noreturn)) static void stop(const char *why)
{
	if (the_service)
		svc_panic_wipe(the_service);
	say("svsm-kms-service: ");
	say(why);
	say("\n");
	_exit(70);
}

void invariant_failed(const char *what, const char *file, int line)
{
	char text[256];

	snprintf(text, sizeof(text), "%s:%d: invariant broken: %s", file, line, what);
	stop(text);
}

/* A fault of ours: wipe, then die of it. */
static void on_fault(int sig)
{
	if (the_service)
		svc_panic_wipe(the_service);
	say("svsm-kms-service: stopped by a fault; keys wiped\n");
	_exit(128 + sig);
}

static uint64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void read_boot(struct boot_msg *b)
{
	uint8_t *to = (uint8_t *)b;
	size_t have = 0;
	ssize_t n;

	while (have < sizeof(*b) && (n = read(BOOT_FD, to + have, sizeof(*b) - have)) > 0)
		have += (size_t)n;
	close(BOOT_FD);
	if (have != sizeof(*b) || b->magic != BOOT_MAGIC || b->version != BOOT_VERSION || b->lanes < 1 ||
	    b->lanes > CALL_LANES_MAX)
		stop("not started by its channel: this program is not run by hand, see `svsm-kms serve`");
}

static void *map_areas(int fd, int prot, uint32_t lanes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	/* Memory that the other side could shrink would be a fault of ours at its will. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) != 0 ||
	    (uint64_t)st.st_size != (uint64_t)CALL_AREA_LEN * lanes)
		stop("the lanes' memory is not sealed, or not of the right size");
	p = mmap(NULL, CALL_AREA_LEN * lanes, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		stop("cannot map the lanes");
	close(fd);
	return p;
}

/* Passed by every thread twice: when all have started, and when all are locked in. */
static pthread_barrier_t all_here;

static void *lane_thread(void *arg)
{
	pthread_barrier_wait(&all_here);
	pthread_barrier_wait(&all_here);
	lane_run(arg);
}

static void pin_thread(pthread_t t, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % CPU_SETSIZE, &set);
	pthread_setaffinity_np(t, sizeof(set), &set);	/* a CPU we may not use: run where we may */
}

static void start_lanes(struct lane *lanes, const struct boot_msg *b)
{
	pthread_attr_t attr;
	pthread_t t;
	uint32_t i;

	pthread_barrier_init(&all_here, NULL, b->lanes);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (i = 0; i + 1 < b->lanes; i++) {
		if (pthread_create(&t, &attr, lane_thread, &lanes[i]) != 0)
			stop("cannot start a thread for each lane");
		if (b->pin)
			pin_thread(t, i);
	}
	/* A thread makes system calls of its own before its first line; the filter must not catch it there. */
	pthread_barrier_wait(&all_here);
}

int main(void)
{
	static struct entropy entropy;
	struct svc_options opt = { .entropy = entropy_get, .entropy_ctx = &entropy, .mono_us = mono_us };
	struct boot_msg b;
	struct lane *lanes;
	uint8_t *req, *rsp;
	uint32_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);	/* keys do not outlive who serves them */
	sandbox_heap();
	if (sandbox_early() != RC_OK)
		stop("cannot give up core dumps and privileges");
	/* Ctrl-C and its kin reach the whole process group; when to stop is for the one who started us to say. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	signal(SIGILL, on_fault);
	signal(SIGFPE, on_fault);
	read_boot(&b);
	req = map_areas(BOOT_FD_REQ, PROT_READ, b.lanes);
	rsp = map_areas(BOOT_FD_RSP, PROT_READ | PROT_WRITE, b.lanes);
	/* Behind the lanes: a limit that is too low for them must cost the lock, not the start. */
	opt.memory_locked = sandbox_lock_memory();
	if (crypto_start() != RC_OK)
		stop("libcrypto does not start");
	if (entropy_init(&entropy) != RC_OK)
		stop("this CPU has neither RDSEED nor RDRAND: no safe source of keys");
	opt.isolation = b.isolation;
	memcpy(opt.platform_key.b, b.platform_key, sizeof(b.platform_key));
	the_service = svc_new(&opt);
	lanes = calloc(b.lanes, sizeof(*lanes));
	secret_wipe(&opt.platform_key);
	mem_wipe(b.platform_key, sizeof(b.platform_key));
	if (!the_service || !lanes)
		stop("no memory");
	svc_time(the_service, b.wall_ms);
	for (i = 0; i < b.lanes; i++) {
		lanes[i] = (struct lane){ .svc = the_service, .req = req + CALL_AREA_LEN * i,
					  .rsp = rsp + CALL_AREA_LEN * i, .spin_us = b.spin_us,
					  .control = i + 1 == b.lanes,
					  .worker = svc_worker_new(the_service) };
		if (!lanes[i].worker)
			stop("no memory");
	}
	start_lanes(lanes, &b);
	if (sandbox_filter() != RC_OK)
		stop("the kernel refuses the system-call filter");
	pthread_barrier_wait(&all_here);	/* no request is read before */
	lane_run(&lanes[b.lanes - 1]);
}
