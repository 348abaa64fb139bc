/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that hangs or fails, for tests, and a directory of users that hangs: preloaded into the server (LD_PRELOAD), it
 * stands before fdatasync(), fsync() and getpwnam_r(). The file named by SVSM_TEST_DISK says what they do while it exists: "hang"
 * (until it says otherwise), "eio" or "no space"; without it they are the C library's. "write hangs" and
 * "full" are for write() to the audit chain's file alone, "chain eio" for its fdatasync(),
 * "users hang" for getpwnam_r(). A good fdatasync() of that
 * file leaves its length in a file of the same name with ".synced" behind: what a power cut cannot take.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd);
int fsync(int fd);
ssize_t write(int fd, const void *p, size_t n);

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

static int is_chain(int fd)
{
	static const char name[] = "kms-audit.chain";
	char link[64], to[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, sizeof(to));
	return n >= (ssize_t)sizeof(name) && memcmp(to + n - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
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
	if (m == 'e' || m == 'n' || (m == 'c' && is_chain(fd))) {
		errno = m == 'n' ? ENOSPC : EIO;
		return -1;
	}
	return real.p ? real.fn(fd) : -1;
}

/* Whole or not at all: the process may be killed at any time. */
static void note_synced(long long len)
{
	const char *path = getenv("SVSM_TEST_DISK");
	char name[4096], temporary[4096];
	FILE *f;

	if (!path)
		return;
	snprintf(name, sizeof(name), "%.4000s.synced", path);
	snprintf(temporary, sizeof(temporary), "%.4000s.%p", path, (void *)&f); /* of this thread alone */
	f = fopen(temporary, "w");
	if (f && fprintf(f, "%lld\n", len) > 0 && fclose(f) == 0)
		rename(temporary, name);
}

int fdatasync(int fd)
{
	struct stat st;
	int chain = fstat(fd, &st) == 0 && is_chain(fd); /* the length before: what comes meanwhile is not certain */
	int rc = sync_as_told("fdatasync", fd);

	if (chain && rc == 0)
		note_synced((long long)st.st_size);
	return rc;
}

int fsync(int fd)
{
	return sync_as_told("fsync", fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
	const struct timespec moment = { 0, 10000000 };
	static union {
		void *p;
		ssize_t (*fn)(int, const void *, size_t);
	} real;

	if (!real.p)
		real.p = dlsym(RTLD_NEXT, "write");
	if (getenv("SVSM_TEST_DISK") && is_chain(fd)) {
		while (mood() == 'w')
			nanosleep(&moment, NULL);
		if (mood() == 'f') {
			errno = ENOSPC;
			return -1;
		}
	}
	return real.p ? real.fn(fd, p, n) : -1;
}

int getpwnam_r(const char *name, struct passwd *out, char *buf, size_t room, struct passwd **found)
{
	const struct timespec moment = { 0, 10000000 };
	union {
		void *p;
		int (*fn)(const char *, struct passwd *, char *, size_t, struct passwd **);
	} real = { .p = dlsym(RTLD_NEXT, "getpwnam_r") };

	while (mood() == 'u')
		nanosleep(&moment, NULL);
	return real.p ? real.fn(name, out, buf, room, found) : ENOSYS;
}
