/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For LD_PRELOAD: a program that opens FAKE_SVSM_DEVICE gets the device of svsm_dev.c, with FAKE_SVSM_SERVICE
 * behind it, FAKE_SVSM_LANES lanes and FAKE_SVSM_ROOT as its sealing root; everything else goes to the system.
 * So the whole server runs in its VMPL0 mode without a VM. SIGUSR2 ends the service, as a fault would.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fake/svsm_dev.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static int device = -1;
static _Thread_local bool inside;	/* the device's own calls are the system's */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void on_signal(int n)
{
	(void)n;
	fake_svsm_die();
}

static bool is_device(const char *path)
{
	const char *name = getenv("FAKE_SVSM_DEVICE");

	return !inside && name && strcmp(path, name) == 0;
}

static int open_device(const char *path, int flags)
{
	const char *lanes = getenv("FAKE_SVSM_LANES");
	static bool known;
	int fd;

	inside = true;
	if (!known)
		fake_svsm_reset(getenv("FAKE_SVSM_SERVICE"), lanes ? (uint32_t)strtoul(lanes, NULL, 10) : 3);
	if (!known && getenv("FAKE_SVSM_ROOT"))
		fake_svsm_root((uint8_t)strtoul(getenv("FAKE_SVSM_ROOT"), NULL, 10));
	known = true;
	signal(SIGUSR2, on_signal);
	fd = fake_svsm.open(path, flags);
	inside = false;
	if (fd >= 0)
		device = fd;
	return fd;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return is_device(path) ? open_device(path, flags) : REAL(open)(path, flags, mode);
}

/* What a fortified program calls where it gives no mode. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return is_device(path) ? open_device(path, flags) : REAL(open)(path, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int res;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (inside || fd != device)
		return REAL(ioctl)(fd, request, arg);
	inside = true;
	res = fake_svsm.ioctl(fd, request, arg);
	inside = false;
	return res;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p;

	if (inside || fd < 0 || fd != device)
		return REAL(mmap)(addr, len, prot, flags, fd, off);
	inside = true;
	p = fake_svsm.mmap(addr, len, prot, flags, fd, off);
	inside = false;
	return p;
}

int munmap(void *addr, size_t len)
{
	struct fake_svsm_seen seen;
	int res;

	if (inside || device < 0)
		return REAL(munmap)(addr, len);
	inside = true;
	seen = fake_svsm_seen();
	res = addr == seen.req || addr == seen.rsp ? fake_svsm.munmap(addr, len) : REAL(munmap)(addr, len);
	inside = false;
	return res;
}

int close(int fd)
{
	int res;

	if (inside || fd < 0 || fd != device)
		return REAL(close)(fd);
	inside = true;
	res = fake_svsm.close(fd);
	inside = false;
	device = -1;
	return res;
}
