/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See svsm_dev.h. What always holds, as in the driver: one opener; a page in one mapping at most; response
 * pages not writable; one call at a time in a lane; a new service for each opener; EPIPE once it is dead.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/svsm_dev.h"
#include "wire/boot.h"
#include "wire/vmpl.h"

#define REFUSALS 5

static struct {
	pthread_mutex_t lock;
	const char *service;
	uint32_t lanes, generation;
	int opened, area[2], pid, pid_fd;	/* opened: the opener's descriptor, or -1 */
	uint8_t *view[2];			/* the device's own mapping of both kinds */
	bool mapped[2], busy[CALL_LANES_MAX];
	struct svsm_info lie;
	bool lies;
	struct {
		unsigned long request;
		int error;
		unsigned times;
	} refuse[REFUSALS];
	unsigned idle;
	uint8_t root;
	uint64_t crossings;
	struct fake_svsm_seen seen;
} dev = { .lock = PTHREAD_MUTEX_INITIALIZER, .opened = -1, .pid = -1, .pid_fd = -1, .area = { -1, -1 } };

static size_t half(void)
{
	return CALL_AREA_LEN * dev.lanes;
}

static void stop_service(void)
{
	if (dev.pid > 0) {
		kill(dev.pid, SIGKILL);
		waitpid(dev.pid, NULL, 0);
		close(dev.pid_fd);
	}
	dev.pid = dev.pid_fd = -1;
}

__attribute__((noreturn)) static void become_service(int boot)
{
	static char name[] = "svsm-kms-service";
	char *const argv[] = { name, NULL }, *const env[] = { NULL };
	int fd[3] = { boot, dev.area[0], dev.area[1] }, i;

	for (i = 0; i < 3; i++)
		fd[i] = fcntl(fd[i], F_DUPFD, 64);
	for (i = 0; i < 3; i++)
		if (dup2(fd[i], BOOT_FD + i) < 0)
			_exit(71);
	syscall(SYS_close_range, BOOT_FD_RSP + 1, ~0u, 0);
	execve(dev.service, argv, env);
	_exit(72);
}

/* As the monitor does: all response areas are zero when a service begins. */
static void start_service(void)
{
	struct boot_msg b = { .magic = BOOT_MAGIC, .version = BOOT_VERSION, .isolation = ISOLATION_VMPL0_EMULATED,
			      .lanes = dev.lanes };
	int boot[2];
	uint32_t i;

	for (i = 0; i < dev.lanes; i++)
		memset(dev.view[1] + CALL_AREA_LEN * i, 0, CALL_PAGE);
	memset(b.platform_key, dev.root, sizeof(b.platform_key));
	INVARIANT(pipe2(boot, O_CLOEXEC) == 0 && write(boot[1], &b, sizeof(b)) == sizeof(b));
	close(boot[1]);
	dev.pid = (int)fork();
	INVARIANT(dev.pid >= 0);
	if (dev.pid == 0)
		become_service(boot[0]);
	close(boot[0]);
	dev.pid_fd = (int)syscall(SYS_pidfd_open, dev.pid, 0);
	INVARIANT(dev.pid_fd >= 0);
	dev.generation++;
	dev.seen.starts++;
}

static bool refused(unsigned long request)
{
	unsigned i;

	for (i = 0; i < REFUSALS; i++)
		if (dev.refuse[i].request == request && dev.refuse[i].times) {
			dev.refuse[i].times--;
			errno = dev.refuse[i].error;
			return true;
		}
	return false;
}

static int fake_open(const char *path, int flags)
{
	int res = -1, k;

	(void)path;
	pthread_mutex_lock(&dev.lock);
	if (refused(1)) {
	} else if ((flags & O_ACCMODE) != O_RDWR) {
		errno = EACCES;
	} else if (dev.opened >= 0) {
		errno = EBUSY;
	} else {
		for (k = 0; k < 2; k++) {
			dev.area[k] = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
			INVARIANT(dev.area[k] >= 0 && ftruncate(dev.area[k], (off_t)half()) == 0);
			INVARIANT(fcntl(dev.area[k], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
			dev.view[k] = mmap(NULL, half(), PROT_READ | PROT_WRITE, MAP_SHARED, dev.area[k], 0);
			INVARIANT(dev.view[k] != MAP_FAILED);
		}
		start_service();
		res = dev.opened = open("/dev/null", O_RDWR | O_CLOEXEC);
		dev.seen.opens++;
	}
	pthread_mutex_unlock(&dev.lock);
	return res;
}

static int fake_close(int fd)
{
	int k;

	pthread_mutex_lock(&dev.lock);
	INVARIANT(fd == dev.opened && !dev.mapped[0] && !dev.mapped[1]);
	stop_service();
	for (k = 0; k < 2; k++) {
		munmap(dev.view[k], half());
		close(dev.area[k]);
		dev.area[k] = -1;
	}
	close(fd);
	dev.opened = -1;
	dev.seen.closes++;
	pthread_mutex_unlock(&dev.lock);
	return 0;
}

static void *fake_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	int k = (size_t)off >= half();
	size_t at = (size_t)off - (k ? half() : 0);
	void *p = MAP_FAILED;

	pthread_mutex_lock(&dev.lock);
	INVARIANT(fd == dev.opened);
	if (refused(0)) {
	} else if (!(flags & MAP_SHARED) || off % CALL_PAGE || !len || at >= half() || len > half() - at) {
		errno = EINVAL;
	} else if ((prot & PROT_EXEC) || (k && (prot & PROT_WRITE))) {
		errno = EACCES;
	} else if (dev.mapped[k]) {
		errno = EBUSY;
	} else {
		p = mmap(addr, len, prot, flags, dev.area[k], (off_t)at);
		dev.mapped[k] = p != MAP_FAILED;
		dev.seen.maps++;
		*(k ? &dev.seen.rsp : &dev.seen.req) = p;
		*(k ? &dev.seen.rsp_len : &dev.seen.req_len) = len;
	}
	pthread_mutex_unlock(&dev.lock);
	return p;
}

static int fake_munmap(void *addr, size_t len)
{
	int k = addr == dev.seen.rsp;

	INVARIANT(k || addr == dev.seen.req);
	pthread_mutex_lock(&dev.lock);
	dev.mapped[k] = false;
	*(k ? &dev.seen.rsp : &dev.seen.req) = NULL;
	dev.seen.unmaps++;
	pthread_mutex_unlock(&dev.lock);
	return munmap(addr, len);
}

static bool service_died(void)
{
	struct pollfd p = { .fd = dev.pid_fd, .events = POLLIN };

	return dev.pid < 0 || poll(&p, 1, 0) != 0;
}

/* The service runs until it sleeps with nothing left to do. False: it died. */
static bool run_lane(uint32_t lane)
{
	const struct call_req_ctl *req = (const void *)(dev.view[0] + CALL_AREA_LEN * lane);
	const struct call_rsp_ctl *rsp = (const void *)(dev.view[1] + CALL_AREA_LEN * lane);
	const struct timespec bit = { 0, 20000 };

	syscall(SYS_futex, &req->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (__atomic_load_n(&rsp->done, __ATOMIC_ACQUIRE) != __atomic_load_n(&req->tail, __ATOMIC_ACQUIRE)) {
		if (service_died())
			return false;
		nanosleep(&bit, NULL);
		syscall(SYS_futex, &req->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	return true;
}

/* Caller holds the lock, which is given up while the service runs. */
static int call(struct svsm_regs *r)
{
	bool alive;

	if (r->rax >> 32 != CALL_PROTOCOL)
		return EPERM;
	if ((uint32_t)r->rax >= VMPL_CALLS || r->rdx || r->r8 || r->r9)
		return EINVAL;
	if ((uint32_t)r->rax != VMPL_CALL)
		return EPERM;
	if (r->rcx >= dev.lanes)
		return EINVAL;
	if (dev.busy[r->rcx])
		return EBUSY;
	dev.seen.calls++;
	dev.crossings++;
	if (dev.idle) {
		dev.idle--;
		return 0;
	}
	if (service_died())
		return EPIPE;
	dev.busy[r->rcx] = true;
	pthread_mutex_unlock(&dev.lock);
	alive = run_lane((uint32_t)r->rcx);
	pthread_mutex_lock(&dev.lock);
	dev.busy[r->rcx] = false;
	return alive ? 0 : EPIPE;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	int error = 0;

	pthread_mutex_lock(&dev.lock);
	INVARIANT(fd == dev.opened);
	if (refused(request)) {
		error = errno;
	} else if (request == SVSM_IOC_INFO) {
		*(struct svsm_info *)arg = dev.lies ? dev.lie : fake_svsm_honest();
	} else if (request == SVSM_IOC_CALL) {
		error = call(arg);
	} else if (request == SVSM_IOC_RESET) {
		stop_service();
		start_service();
		dev.seen.resets++;
	} else {
		error = ENOTTY;
	}
	pthread_mutex_unlock(&dev.lock);
	errno = error;
	return error ? -1 : 0;
}

const struct svsm_sys fake_svsm = { fake_open, fake_close, fake_ioctl, fake_mmap, fake_munmap };

void fake_svsm_reset(const char *service, uint32_t lanes)
{
	INVARIANT(dev.opened < 0 && lanes <= CALL_LANES_MAX);
	dev.service = service;
	dev.lanes = lanes;
	dev.generation = 0;
	dev.lies = false;
	dev.idle = 0;
	dev.root = 9;
	memset(dev.refuse, 0, sizeof(dev.refuse));
	memset(&dev.seen, 0, sizeof(dev.seen));
}

struct svsm_info fake_svsm_honest(void)
{
	return (struct svsm_info){ .version = SVSM_UAPI_VERSION, .protocol = CALL_PROTOCOL, .lanes = dev.lanes,
				   .isolation = ISOLATION_VMPL0_EMULATED, .area_len = CALL_AREA_LEN, .vmpl = 1,
				   .generation = dev.generation, .crossings = dev.crossings };
}

void fake_svsm_lie(const struct svsm_info *info)
{
	dev.lie = *info;
	dev.lies = true;
}

void fake_svsm_refuse(unsigned long request, int error, unsigned times)
{
	unsigned i;

	for (i = 0; i < REFUSALS && dev.refuse[i].times; i++)
		;
	INVARIANT(i < REFUSALS);
	dev.refuse[i].request = request;
	dev.refuse[i].error = error;
	dev.refuse[i].times = times;
}

void fake_svsm_root(uint8_t root)
{
	dev.root = root;
}

void fake_svsm_idle(unsigned times)
{
	dev.idle = times;
}

void fake_svsm_die(void)
{
	struct pollfd p = { .fd = dev.pid_fd, .events = POLLIN };

	kill(dev.pid, SIGKILL);
	(void)!poll(&p, 1, -1);
}

struct fake_svsm_seen fake_svsm_seen(void)
{
	struct fake_svsm_seen s;

	pthread_mutex_lock(&dev.lock);
	s = dev.seen;
	pthread_mutex_unlock(&dev.lock);
	return s;
}
