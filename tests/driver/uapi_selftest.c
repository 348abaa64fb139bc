/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as root inside the VM, with svsm.ko loaded and nobody else on the device: the rules of wire/uapi.h from the
 * point of view of a program that keeps none of them. Prints a line for each test; static, needs no library there.
 *
 * uapi_selftest [--module FILE]    FILE: svsm.ko, then unloading and loading is tested as well
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/uapi.h"
#include "wire/vmpl.h"

#define PAGE ((size_t)CALL_PAGE)
#define RW (PROT_READ | PROT_WRITE)
#define CALL_HELLO_NUMBER 1	/* enum wire_call: any that needs no body */

static struct svsm_info info;
static size_t half;	/* bytes of all request areas */
static const char *module;

static int open_device(void)
{
	return open(SVSM_DEVICE, O_RDWR | O_CLOEXEC);
}

static void *map_at(int fd, size_t off, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)off);
}

/* ---- faults ---- */

static sigjmp_buf faulted;

static void on_fault(int n)
{
	siglongjmp(faulted, n);
}

static bool can_write(volatile uint8_t *p)
{
	bool ok = false;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	if (sigsetjmp(faulted, 1) == 0) {
		*p = *p;
		ok = true;
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return ok;
}

static bool can_read(const volatile uint8_t *p)
{
	bool ok = false;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	if (sigsetjmp(faulted, 1) == 0) {
		(void)*p;
		ok = true;
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return ok;
}

static bool fails_with(long res, int error)
{
	if (res == -1 && errno == error)
		return true;
	printf("# result %ld, errno %d (%s), wanted %d\n", res, errno, strerror(errno), error);
	return false;
}

#define REFUSED(call, error) fails_with((long)(call), error)

/* ---- opening ---- */

static bool one_direction_is_not_enough(void)
{
	return REFUSED(open(SVSM_DEVICE, O_RDONLY), EACCES) && REFUSED(open(SVSM_DEVICE, O_WRONLY), EACCES);
}

static bool there_is_one_opener_at_a_time(void)
{
	int fd = open_device();
	bool ok = fd >= 0 && REFUSED(open_device(), EBUSY);

	close(fd);
	fd = open_device();
	ok = ok && fd >= 0;
	close(fd);
	return ok;
}

static bool a_mapping_keeps_the_device_after_its_descriptor_is_closed(void)
{
	int fd = open_device();
	uint8_t *p = map_at(fd, 0, PAGE, RW);
	bool ok = p != MAP_FAILED;

	close(fd);
	ok = ok && REFUSED(open_device(), EBUSY);
	munmap(p, PAGE);
	fd = open_device();
	ok = ok && fd >= 0;
	close(fd);
	return ok;
}

static bool what_it_says_of_itself_is_sound(void)
{
	int fd = open_device();
	struct svsm_info i = { 0 };
	bool ok = ioctl(fd, SVSM_IOC_INFO, &i) == 0 && i.version == SVSM_UAPI_VERSION &&
		  i.protocol == CALL_PROTOCOL && i.lanes >= 2 && i.lanes <= CALL_LANES_MAX &&
		  (i.isolation == 2 || i.isolation == 3) && i.area_len == CALL_AREA_LEN && i.vmpl >= 1 && i.vmpl <= 3 &&
		  i.generation >= 1 && !i.zero[0] && !i.zero[1] && !i.zero[2];

	close(fd);
	return ok;
}

/* ---- mapping ---- */

static bool maps_outside_the_areas_are_refused(void)
{
	static const size_t huge = (size_t)1 << 46;
	int fd = open_device();
	bool ok = REFUSED(map_at(fd, 2 * half, PAGE, PROT_READ), EINVAL) &&
		  REFUSED(map_at(fd, 2 * half - PAGE, 2 * PAGE, PROT_READ), EINVAL) &&
		  REFUSED(map_at(fd, half - PAGE, 2 * PAGE, PROT_READ), EINVAL) &&	/* straddles the kinds */
		  REFUSED(map_at(fd, 0, 2 * half, PROT_READ), EINVAL) &&
		  REFUSED(map_at(fd, 0, half + PAGE, RW), EINVAL) && REFUSED(map_at(fd, huge, PAGE, PROT_READ), EINVAL) &&
		  REFUSED(map_at(fd, (size_t)INT64_MAX & ~(PAGE - 1), PAGE, PROT_READ), EINVAL);

	close(fd);
	return ok;
}

static bool private_and_executable_maps_are_refused(void)
{
	int fd = open_device();
	uint8_t *p;
	bool ok = REFUSED(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL) &&
		  REFUSED(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, (off_t)half), EINVAL) &&
		  REFUSED(map_at(fd, 0, PAGE, PROT_READ | PROT_EXEC), EACCES);

	p = map_at(fd, 0, PAGE, RW);
	ok = ok && p != MAP_FAILED && REFUSED(mprotect(p, PAGE, PROT_READ | PROT_EXEC), EACCES);
	munmap(p, PAGE);
	close(fd);
	return ok;
}

static bool response_pages_cannot_be_written(void)
{
	int fd = open_device();
	uint8_t *p;
	bool ok = REFUSED(map_at(fd, half, PAGE, RW), EACCES) && REFUSED(map_at(fd, half, PAGE, PROT_WRITE), EACCES);

	p = map_at(fd, half, half, PROT_READ);
	ok = ok && p != MAP_FAILED && can_read(p) && can_read(p + half - 1) &&
	     REFUSED(mprotect(p, PAGE, RW), EACCES) && !can_write(p) && !can_write(p + half - PAGE);
	munmap(p, half);
	close(fd);
	return ok;
}

static bool a_page_is_in_one_mapping_only(void)
{
	int fd = open_device();
	uint8_t *p = map_at(fd, 0, 8 * PAGE, RW), *q;
	bool ok = p != MAP_FAILED && REFUSED(map_at(fd, 0, PAGE, RW), EBUSY) &&
		  REFUSED(map_at(fd, 7 * PAGE, 2 * PAGE, RW), EBUSY) && REFUSED(map_at(fd, 0, half, RW), EBUSY);

	q = map_at(fd, 8 * PAGE, PAGE, RW);	/* its neighbour is free */
	ok = ok && q != MAP_FAILED;
	munmap(q, PAGE);
	/* In pieces: the claim lasts until the last one is gone. */
	munmap(p + 3 * PAGE, PAGE);
	ok = ok && REFUSED(map_at(fd, 3 * PAGE, PAGE, RW), EBUSY);
	munmap(p, 3 * PAGE);
	ok = ok && REFUSED(map_at(fd, 0, PAGE, RW), EBUSY);
	munmap(p + 4 * PAGE, 4 * PAGE);
	q = map_at(fd, 0, 8 * PAGE, RW);
	ok = ok && q != MAP_FAILED && can_write(q + 3 * PAGE);
	munmap(q, 8 * PAGE);
	close(fd);
	return ok;
}

static bool a_mapping_can_move_but_neither_grow_nor_double(void)
{
	int fd = open_device();
	uint8_t *p = map_at(fd, 0, 4 * PAGE, RW), *q, *place;
	bool ok = p != MAP_FAILED && REFUSED(mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT) &&
		  mremap(p, 0, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED &&
		  mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED;

	place = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[PAGE] = 0x77;
	q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ok = ok && q == place && q[PAGE] == 0x77 && !can_read(p) && REFUSED(map_at(fd, 0, PAGE, RW), EBUSY);
	munmap(q, 4 * PAGE);
	q = map_at(fd, 0, 4 * PAGE, RW);
	ok = ok && q != MAP_FAILED;
	munmap(q, 4 * PAGE);
	close(fd);
	return ok;
}

static bool a_child_does_not_inherit_the_pages(void)
{
	int fd = open_device(), status = -1;
	uint8_t *p = map_at(fd, 0, PAGE, RW);
	bool ok = p != MAP_FAILED && REFUSED(madvise(p, PAGE, MADV_DOFORK), EINVAL);
	pid_t child = fork();

	if (child == 0)
		_exit(can_read(p) ? 1 : 0);
	waitpid(child, &status, 0);
	ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	munmap(p, PAGE);
	close(fd);
	return ok;
}

/* Whoever could pin a page would keep it after the mapping is gone. */
static bool no_page_can_be_pinned_or_read_by_others(void)
{
	int fd = open_device(), mem = open("/proc/self/mem", O_RDWR), pipes[2];
	uint8_t *p = map_at(fd, 0, PAGE, RW), byte;
	struct iovec here = { &byte, 1 }, there = { p, 1 }, whole = { p, PAGE };
	bool ok = p != MAP_FAILED && mem >= 0 && pipe(pipes) == 0 &&
		  REFUSED(vmsplice(pipes[1], &whole, 1, 0), EFAULT) &&
		  REFUSED(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT) &&
		  REFUSED(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT) &&
		  REFUSED(pread(mem, &byte, 1, (off_t)(uintptr_t)p), EIO) &&
		  REFUSED(pwrite(mem, &byte, 1, (off_t)(uintptr_t)p), EIO);

	close(pipes[0]);
	close(pipes[1]);
	close(mem);
	munmap(p, PAGE);
	close(fd);
	return ok;
}

/* ---- calls ---- */

static struct svsm_regs regs_of(uint32_t protocol, uint32_t call)
{
	return (struct svsm_regs){ .rax = (uint64_t)protocol << 32 | call };
}

static bool call_refused(int fd, struct svsm_regs r, int error)
{
	return REFUSED(ioctl(fd, SVSM_IOC_CALL, &r), error);
}

static bool other_protocols_are_refused(void)
{
	static const uint32_t table[] = { 0, 1, 2, 3, CALL_PROTOCOL - 1, CALL_PROTOCOL + 1, UINT32_MAX };
	int fd = open_device();
	bool ok = true;
	uint32_t call;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		for (call = 0; call < 10; call++)
			ok = ok && call_refused(fd, regs_of(table[i], call), EPERM);
	close(fd);
	return ok;
}

static bool calls_that_are_the_drivers_are_refused(void)
{
	static const uint32_t table[] = { VMPL_OPEN, VMPL_ADD, VMPL_START, VMPL_CLOSE, VMPL_RESET };
	int fd = open_device();
	bool ok = true;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		ok = ok && call_refused(fd, regs_of(CALL_PROTOCOL, table[i]), EPERM);
	close(fd);
	return ok;
}

static bool malformed_registers_are_refused(void)
{
	int fd = open_device();
	struct svsm_regs r;
	bool ok = true;
	unsigned bit;

	for (bit = 3; bit < 32; bit++)
		ok = ok && call_refused(fd, regs_of(CALL_PROTOCOL, 1u << bit), EINVAL);
	for (bit = 0; bit < 64; bit++) {
		r = regs_of(CALL_PROTOCOL, VMPL_CALL);
		r.rdx = 1ull << bit;
		ok = ok && call_refused(fd, r, EINVAL);
		r.rdx = 0;
		r.r8 = 1ull << bit;
		ok = ok && call_refused(fd, r, EINVAL);
		r.r8 = 0;
		r.r9 = 1ull << bit;
		ok = ok && call_refused(fd, r, EINVAL);
		r.r9 = 0;
		r.rcx = info.lanes + (bit ? 1ull << (bit - 1) : 0);
		ok = ok && call_refused(fd, r, EINVAL);
		r = regs_of(CALL_PROTOCOL, VMPL_HELLO);
		r.rcx = 1ull << bit;
		ok = ok && call_refused(fd, r, EINVAL);
	}
	close(fd);
	return ok;
}

static bool bad_pointers_and_unknown_requests_are_refused(void)
{
	int fd = open_device();
	bool ok = REFUSED(ioctl(fd, SVSM_IOC_CALL, NULL), EFAULT) && REFUSED(ioctl(fd, SVSM_IOC_INFO, (void *)8), EFAULT) &&
		  REFUSED(ioctl(fd, SVSM_IOC_INFO, (void *)-64l), EFAULT) &&
		  REFUSED(ioctl(fd, SVSM_IOC_CALL, (void *)-1l), EFAULT) &&
		  REFUSED(ioctl(fd, SVSM_IOC_RESET, (void *)1), EINVAL) &&
		  REFUSED(ioctl(fd, _IO('K', 0x63), NULL), ENOTTY) &&
		  REFUSED(ioctl(fd, _IOR('K', 0x60, char[65]), &info), ENOTTY) && REFUSED(read(fd, &ok, 1), EINVAL) &&
		  REFUSED(write(fd, &ok, 1), EINVAL);

	close(fd);
	return ok;
}

static bool the_monitor_answers_and_no_address_leaks(void)
{
	int fd = open_device();
	struct svsm_regs r = regs_of(CALL_PROTOCOL, VMPL_HELLO);
	bool ok = ioctl(fd, SVSM_IOC_CALL, &r) == 0 && r.rax == 0 && r.rcx == VMPL_MAGIC &&
		  r.rdx >> 32 == VMPL_VERSION && r.r8 == CALL_AREA_LEN && r.r9 == info.isolation;

	r = regs_of(CALL_PROTOCOL, VMPL_STATUS);
	ok = ok && ioctl(fd, SVSM_IOC_CALL, &r) == 0 && r.rcx == VMPL_STATE_RUNNING && r.r8 == info.lanes;
	r = regs_of(CALL_PROTOCOL, VMPL_CALL);
	ok = ok && ioctl(fd, SVSM_IOC_CALL, &r) == 0 && r.rcx == 0;
	close(fd);
	return ok;
}

/* ---- the service behind it ---- */

struct lane {
	int fd;
	uint32_t number, tail, refused, interrupted, failed;
	uint8_t *req;
	const uint8_t *rsp;
	pthread_t thread;
	unsigned rounds;
	bool wander;
};

static bool lane_open(struct lane *l, int fd, uint32_t number)
{
	*l = (struct lane){ .fd = fd, .number = number };
	l->req = map_at(fd, CALL_AREA_LEN * number, CALL_AREA_LEN, RW);
	l->rsp = map_at(fd, half + CALL_AREA_LEN * number, CALL_AREA_LEN, PROT_READ);
	return l->req != MAP_FAILED && l->rsp != MAP_FAILED;
}

static void lane_close(struct lane *l)
{
	munmap(l->req, CALL_AREA_LEN);
	munmap((void *)(uintptr_t)l->rsp, CALL_AREA_LEN);
}

static uint32_t done(const struct lane *l)
{
	return __atomic_load_n(&((const struct call_rsp_ctl *)l->rsp)->done, __ATOMIC_ACQUIRE);
}

static int cross(const struct lane *l)
{
	struct svsm_regs r = regs_of(CALL_PROTOCOL, VMPL_CALL);

	r.rcx = l->number;
	return ioctl(l->fd, SVSM_IOC_CALL, &r);
}

/* One call of the service that needs no body. True: it was answered, in the slot asked for. */
static bool talk(struct lane *l)
{
	struct call_req_ctl *ctl = (struct call_req_ctl *)l->req;
	const struct call_rsp_ctl *answers = (const struct call_rsp_ctl *)l->rsp;
	uint32_t at = l->tail % CALL_RING;

	ctl->ring[at] = (struct call_sub){ .call = CALL_HELLO_NUMBER, .slot = (uint16_t)(l->tail % CALL_SMALL) };
	__atomic_store_n(&ctl->tail, ++l->tail, __ATOMIC_RELEASE);
	while (cross(l) != 0) {
		if (errno == EINTR) {
			l->interrupted++;
			continue;
		}
		printf("# lane %u: %s\n", l->number, strerror(errno));
		return false;
	}
	return done(l) == l->tail && answers->ring[at].len <= CALL_PAGE;
}

static bool the_service_answers_in_every_lane(void)
{
	int fd = open_device();
	bool ok = true;
	struct lane l;
	uint32_t i, n;

	for (i = 0; i < info.lanes; i++) {
		ok = ok && lane_open(&l, fd, i);
		for (n = 0; ok && n < 300; n++)	/* more than the ring holds */
			ok = talk(&l);
		lane_close(&l);
	}
	close(fd);
	return ok;
}

static bool crossings_are_counted(void)
{
	struct svsm_info before, after;
	int fd = open_device();
	struct lane l;
	bool ok = lane_open(&l, fd, 0) && ioctl(fd, SVSM_IOC_INFO, &before) == 0;
	unsigned i;

	for (i = 0; i < 10; i++)
		ok = ok && talk(&l);
	ok = ok && ioctl(fd, SVSM_IOC_INFO, &after) == 0 && after.crossings == before.crossings + 10;
	lane_close(&l);
	close(fd);
	return ok;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		if (v)
			return false;
	}
	return true;
}

/* As before the first call: the service has written no more than that it sleeps. */
static bool is_fresh(const uint8_t *rsp)
{
	const struct call_rsp_ctl *ctl = (const struct call_rsp_ctl *)rsp;

	return ctl->done == 0 && ctl->sleeping <= 1 && is_zero(rsp + 8, CALL_AREA_LEN - 8);
}

static bool a_reset_brings_a_new_service_in_the_same_pages(void)
{
	struct svsm_info before, after;
	int fd = open_device();
	struct lane l;
	bool ok = lane_open(&l, fd, 0) && talk(&l) && talk(&l) && done(&l) == 2 &&
		  ioctl(fd, SVSM_IOC_INFO, &before) == 0;

	l.tail = 0;
	__atomic_store_n(&((struct call_req_ctl *)l.req)->tail, 0, __ATOMIC_RELEASE);
	ok = ok && ioctl(fd, SVSM_IOC_RESET, NULL) == 0 && is_fresh(l.rsp) && talk(&l) &&
	     ioctl(fd, SVSM_IOC_INFO, &after) == 0 && after.generation == before.generation + 1;
	lane_close(&l);
	close(fd);
	return ok;
}

static bool the_next_opener_finds_nothing_of_the_last_one(void)
{
	struct svsm_info before, after;
	int fd = open_device();
	struct lane l;
	bool ok = lane_open(&l, fd, 0) && ioctl(fd, SVSM_IOC_INFO, &before) == 0;

	memset(l.req + PAGE, 0xa5, CALL_AREA_LEN - PAGE);
	ok = ok && talk(&l) && !is_fresh(l.rsp);
	lane_close(&l);
	close(fd);
	fd = open_device();
	ok = ok && lane_open(&l, fd, 0) && is_zero(l.req, CALL_AREA_LEN) && is_fresh(l.rsp) &&
	     ioctl(fd, SVSM_IOC_INFO, &after) == 0 && after.generation > before.generation && talk(&l);
	lane_close(&l);
	close(fd);
	return ok;
}

static void *talk_often(void *arg)
{
	struct lane *l = arg;
	cpu_set_t set;
	unsigned i;

	for (i = 0; i < l->rounds; i++) {
		if (l->wander && i % 16 == 0) {
			CPU_ZERO(&set);
			CPU_SET((i / 16 + l->number) % (unsigned)get_nprocs(), &set);
			sched_setaffinity(0, sizeof(set), &set);
		}
		if (!talk(l))
			l->failed++;
	}
	return NULL;
}

static bool lanes_run_at_once_on_cpus_that_change(void)
{
	struct lane l[CALL_LANES_MAX];
	int fd = open_device();
	bool ok = fd >= 0;
	uint32_t i;

	for (i = 0; i < info.lanes; i++) {
		ok = ok && lane_open(&l[i], fd, i);
		l[i].rounds = 400;
		l[i].wander = true;
	}
	for (i = 0; ok && i < info.lanes; i++)
		ok = pthread_create(&l[i].thread, NULL, talk_often, &l[i]) == 0;
	for (i = 0; ok && i < info.lanes; i++) {
		pthread_join(l[i].thread, NULL);
		ok = l[i].failed == 0;
	}
	for (i = 0; i < info.lanes; i++)
		lane_close(&l[i]);
	close(fd);
	return ok;
}

static void *cross_often(void *arg)
{
	struct lane *l = arg;
	unsigned i;

	for (i = 0; i < l->rounds; i++)
		if (cross(l) != 0) {
			if (errno == EBUSY)
				__atomic_fetch_add(&l->refused, 1, __ATOMIC_RELAXED);
			else if (errno != EINTR)
				__atomic_fetch_add(&l->failed, 1, __ATOMIC_RELAXED);
		}
	return NULL;
}

/* Their own fault, and nobody else's: EBUSY or an answer, and the lane goes on. */
static bool two_threads_in_one_lane_harm_only_themselves(void)
{
	pthread_t thread[4];
	int fd = open_device();
	bool ok;
	struct lane l;
	unsigned i;

	ok = lane_open(&l, fd, 0);
	l.rounds = 300;
	for (i = 0; i < 4; i++)
		ok = pthread_create(&thread[i], NULL, cross_often, &l) == 0 && ok;
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ok = ok && l.failed == 0 && talk(&l);
	printf("# %u of 1200 calls found the lane busy\n", l.refused);
	lane_close(&l);
	close(fd);
	return ok;
}

static void on_alarm(int n)
{
	(void)n;
}

static bool signals_do_no_harm(void)
{
	const struct sigaction sa = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	int fd = open_device();
	unsigned i;
	struct lane l;
	bool ok = lane_open(&l, fd, 0);

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 0; ok && i < 1000; i++)
		ok = talk(&l);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("# %u calls were interrupted\n", l.interrupted);
	lane_close(&l);
	close(fd);
	return ok;
}

/* The kernel interrupts all CPUs with NMIs to print where they are. */
static bool nmis_do_no_harm(void)
{
	int fd = open_device(), sysrq = open("/proc/sysrq-trigger", O_WRONLY), printk = open("/proc/sys/kernel/printk", O_WRONLY);
	struct lane l;
	bool ok = lane_open(&l, fd, 0) && sysrq >= 0;
	unsigned i;

	l.rounds = 1000;
	l.wander = true;
	(void)!write(printk, "1", 1);
	ok = ok && pthread_create(&l.thread, NULL, talk_often, &l) == 0;
	for (i = 0; ok && i < 3; i++) {
		ok = write(sysrq, "l", 1) == 1;
		usleep(20000);
	}
	if (ok)
		pthread_join(l.thread, NULL);
	ok = ok && l.failed == 0;
	lane_close(&l);
	close(sysrq);
	close(printk);
	close(fd);
	return ok;
}

/* ---- the module ---- */

static bool the_module_stays_while_it_is_in_use(void)
{
	int fd = open_device();
	uint8_t *p = map_at(fd, 0, PAGE, RW);
	bool ok = p != MAP_FAILED && syscall(SYS_delete_module, "svsm", O_NONBLOCK) == -1 &&
		  (errno == EBUSY || errno == EWOULDBLOCK);

	close(fd);
	ok = ok && syscall(SYS_delete_module, "svsm", O_NONBLOCK) == -1;	/* the mapping is enough */
	munmap(p, PAGE);
	fd = open_device();
	ok = ok && fd >= 0;
	close(fd);
	return ok;
}

/* A response page that had not been given back would stop the machine when somebody else writes there. */
static bool unloading_gives_every_page_back(void)
{
	int file = open(module, O_RDONLY), fd;
	struct sysinfo s;
	size_t len;
	uint8_t *p;
	bool ok = syscall(SYS_delete_module, "svsm", O_NONBLOCK) == 0 && REFUSED(open_device(), ENOENT);

	sysinfo(&s);
	len = (size_t)s.freeram * s.mem_unit / 8 * 7;
	p = mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ok = ok && p != MAP_FAILED;	/* the kernel has written zeros to all of it */
	munmap(p, len);
	ok = ok && syscall(SYS_finit_module, file, "", 0) == 0;
	fd = open_device();
	ok = ok && fd >= 0;
	close(fd);
	close(file);
	return ok;
}

#define TEST(name) { #name, name, false }
static const struct {
	const char *name;
	bool (*run)(void);
	bool needs_module;
} tests[] = {
	TEST(one_direction_is_not_enough),
	TEST(there_is_one_opener_at_a_time),
	TEST(a_mapping_keeps_the_device_after_its_descriptor_is_closed),
	TEST(what_it_says_of_itself_is_sound),
	TEST(maps_outside_the_areas_are_refused),
	TEST(private_and_executable_maps_are_refused),
	TEST(response_pages_cannot_be_written),
	TEST(a_page_is_in_one_mapping_only),
	TEST(a_mapping_can_move_but_neither_grow_nor_double),
	TEST(a_child_does_not_inherit_the_pages),
	TEST(no_page_can_be_pinned_or_read_by_others),
	TEST(other_protocols_are_refused),
	TEST(calls_that_are_the_drivers_are_refused),
	TEST(malformed_registers_are_refused),
	TEST(bad_pointers_and_unknown_requests_are_refused),
	TEST(the_monitor_answers_and_no_address_leaks),
	TEST(the_service_answers_in_every_lane),
	TEST(crossings_are_counted),
	TEST(a_reset_brings_a_new_service_in_the_same_pages),
	TEST(the_next_opener_finds_nothing_of_the_last_one),
	TEST(lanes_run_at_once_on_cpus_that_change),
	TEST(two_threads_in_one_lane_harm_only_themselves),
	TEST(signals_do_no_harm),
	TEST(nmis_do_no_harm),
	TEST(the_module_stays_while_it_is_in_use),
	{ "unloading_gives_every_page_back", unloading_gives_every_page_back, true },
};

int main(int argc, char **argv)
{
	unsigned i, passed = 0, failed = 0, skipped = 0;
	int fd = open_device();

	if (argc == 3 && strcmp(argv[1], "--module") == 0)
		module = argv[2];
	if (fd < 0 || ioctl(fd, SVSM_IOC_INFO, &info) != 0) {
		printf("%s: %s\n", SVSM_DEVICE, strerror(errno));
		return 77;
	}
	close(fd);
	half = CALL_AREA_LEN * info.lanes;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		bool skip = tests[i].needs_module && !module, ok = skip || tests[i].run();

		*(skip ? &skipped : ok ? &passed : &failed) += 1;
		printf("%s %s\n", skip ? "skipped" : ok ? "ok     " : "FAILED ", tests[i].name);
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0;
}
