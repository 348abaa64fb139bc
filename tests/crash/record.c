/* SPDX-License-Identifier: Apache-2.0 */
/* See record.h. */
#undef _FORTIFY_SOURCE	/* its inline versions would get in the way of our own definitions */
#include "tests/crash/record.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct record record;
static char watched[PATH_MAX];
static bool recording;
static unsigned kill_at;

void record_start(const char *dir)
{
	size_t i;

	for (i = 0; i < record.count; i++)
		free(record.op[i].data);
	record = (struct record){ 0 };
	if (!realpath(dir, watched))
		snprintf(watched, sizeof(watched), "%s", dir);
	recording = true;
}

void record_stop(void)
{
	recording = false;
}

void record_kill_at(const char *dir, unsigned n)
{
	record_start(dir);
	kill_at = n;
}

/* Whether the descriptor is the watched directory, or a file of the store in it. */
static bool is_watched(int fd, bool *is_dir)
{
	char link[64], path[PATH_MAX];
	ssize_t n;
	size_t len = strlen(watched);

	if (!recording)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = 0;
	*is_dir = (size_t)n == len && memcmp(path, watched, len) == 0;
	if (*is_dir)
		return true;
	return (size_t)n > len && memcmp(path, watched, len) == 0 && !strncmp(path + len, "/store.mdb", 10) &&
	       !strstr(path + len, "-lock");
}

static struct op *add(enum op_kind kind, uint64_t off, size_t len)
{
	struct op *op;

	if (kill_at && --kill_at == 0)
		raise(SIGKILL);
	if (record.count == sizeof(record.op) / sizeof(record.op[0])) {
		record.overflow = true;
		record.count = 0;
	}
	op = &record.op[record.count++];
	*op = (struct op){ .kind = kind, .off = off, .len = len };
	if (kind == OP_WRITE) {
		op->data = malloc(len + 1);
		if (!op->data)
			abort();
	}
	return op;
}

static void *next(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (!p)
		abort();
	return p;
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t off)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = (ssize_t(*)(int, const void *, size_t, off_t))next("pwrite");
	bool dir;

	if (is_watched(fd, &dir)) {
		struct op *op = add(OP_WRITE, (uint64_t)off, len);

		memcpy(op->data, p, len);
		op->synced = fcntl(fd, F_GETFL) & O_DSYNC;
	}
	return real(fd, p, len, off);
}

/* Kept together with the lseek() before it. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t (*real)(int, const struct iovec *, int) = (ssize_t(*)(int, const struct iovec *, int))next("writev");
	bool dir;

	if (is_watched(fd, &dir)) {
		size_t len = 0;
		struct op *op;
		int i;

		for (i = 0; i < count; i++)
			len += iov[i].iov_len;
		op = add(OP_WRITE, (uint64_t)lseek(fd, 0, SEEK_CUR), len);
		for (i = 0, len = 0; i < count; len += iov[i++].iov_len)
			memcpy(op->data + len, iov[i].iov_base, iov[i].iov_len);
		op->synced = fcntl(fd, F_GETFL) & O_DSYNC;
	}
	return real(fd, iov, count);
}

static int sync_op(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int))next(name);
	bool dir;

	if (is_watched(fd, &dir))
		add(dir ? OP_DIR_SYNC : OP_SYNC, 0, 0);
	return real(fd);
}

int fdatasync(int fd)
{
	return sync_op("fdatasync", fd);
}

int fsync(int fd)
{
	return sync_op("fsync", fd);
}

int ftruncate(int fd, off_t len)
{
	int (*real)(int, off_t) = (int (*)(int, off_t))next("ftruncate");
	bool dir;

	if (is_watched(fd, &dir))
		add(OP_CUT, (uint64_t)len, 0);
	return real(fd, len);
}

int renameat(int fd, const char *from, int fd2, const char *to)
{
	int (*real)(int, const char *, int, const char *) =
		(int (*)(int, const char *, int, const char *))next("renameat");
	bool dir;

	if (is_watched(fd, &dir))
		add(OP_RENAME, 0, 0);
	return real(fd, from, fd2, to);
}

/* Ways to write that the model does not know: the test must notice. */
int msync(void *p, size_t len, int flags)
{
	int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))next("msync");

	record.overflow |= recording;
	return real(p, len, flags);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t) =
		(ssize_t(*)(int, const struct iovec *, int, off_t))next("pwritev");
	bool dir;

	record.overflow |= is_watched(fd, &dir);
	return real(fd, iov, count, off);
}

/* ---- after the cut ---- */

static void image_write(struct image *im, uint64_t off, const uint8_t *p, size_t len)
{
	size_t end = off + len;

	if (end > im->cap) {
		im->cap = end + end / 2;
		im->p = realloc(im->p, im->cap);
		if (!im->p)
			abort();
	}
	if (end > im->len) {
		memset(im->p + im->len, 0, end - im->len);
		im->len = end;
	}
	if (p)
		memcpy(im->p + off, p, len);
}

void image_free(struct image *im)
{
	free(im->p);
	*im = (struct image){ 0 };
}

void image_copy(struct image *to, const struct image *from)
{
	to->len = 0;
	image_write(to, 0, from->p, from->len);
}

/* A write is certain when a sync followed it and returned, or it was a synchronous one and returned. */
static bool certain(size_t i, size_t issued, bool returned)
{
	size_t done = issued - (issued && !returned), k;

	if (record.op[i].synced && i < done)
		return true;
	for (k = i + 1; k < done; k++)
		if (record.op[k].kind == OP_SYNC)
			return true;
	return false;
}

static size_t sectors(const struct op *op)
{
	return (op->off + op->len + SECTOR - 1) / SECTOR - op->off / SECTOR;
}

size_t power_cut_pending(const struct image *before, size_t issued, bool returned, struct image *durable)
{
	size_t i, pending = 0;

	image_copy(durable, before);
	for (i = 0; i < issued; i++) {
		const struct op *op = &record.op[i];

		if (op->kind == OP_WRITE && certain(i, issued, returned))
			image_write(durable, op->off, op->data, op->len);
		else if (op->kind == OP_WRITE)
			pending += sectors(op);
		else if (op->kind == OP_CUT)
			abort();	/* no commit of ours does */
	}
	return pending;
}

void power_cut(struct image *im, size_t issued, bool returned, bool grown, bool (*reached)(void *, size_t),
	       void *arg)
{
	size_t i, n = 0;

	for (i = 0; i < issued; i++) {
		const struct op *op = &record.op[i];
		uint64_t at, end = op->off + op->len, stop;

		if (op->kind != OP_WRITE || certain(i, issued, returned))
			continue;
		for (at = op->off; at < end; at = stop) {
			stop = (at / SECTOR + 1) * SECTOR;
			if (stop > end)
				stop = end;
			if (reached(arg, n++))
				image_write(im, at, op->data + (at - op->off), stop - at);
		}
		if (grown && end > im->len)
			image_write(im, end, NULL, 0);
	}
}
