/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that hangs or fails, for tests: preloaded into the server (LD_PRELOAD), it stands before
 * fdatasync() and fsync(). The file named by SVSM_TEST_DISK says what they do while it exists: "hang"
 * (until it says otherwise), "eio" or "no space"; without it they are the C library's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);

/* First letter of what the file says; 0: nothing. */
static char mood(void)
{
	const char *path = getenv("SVSM_TEST_DISK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char c = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

static int sync_as_told(const char *name, int fd)
{
	const struct timespec moment = { 0, 10000000 };
	union {
		void *p;
		int (*fn)(int);
	} real = { .p = dlsym(RTLD_NEXT, name) };
	char m;

	while ((m = mood()) == 'h')
		nanosleep(&moment, NULL);
	if (m) {
		errno = m == 'n' ? ENOSPC : EIO;
		return -1;
	}
	return real.p ? real.fn(fd) : -1;
}

int fdatasync(int fd)
{
	return sync_as_told("fdatasync", fd);
}

int fsync(int fd)
{
	return sync_as_told("fsync", fd);
}
