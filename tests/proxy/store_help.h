/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share: scratch directories, whole-file reads and writes, children. */
#ifndef TESTS_PROXY_STORE_HELP_H
#define TESTS_PROXY_STORE_HELP_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/store.h"
#include "tests/test.h"

struct scratch {
	char dir[256];   /* exists */
	char store[300]; /* where a store may go */
	char file[320];  /* its file */
};

static inline struct scratch scratch_new(void)
{
	const char *base = getenv("TMPDIR");
	struct scratch s;

	/* Memory if there is some: these tests sync thousands of times. */
	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(s.dir, sizeof(s.dir), "%s/store-test-XXXXXX", base);
	if (!mkdtemp(s.dir))
		abort();
	snprintf(s.store, sizeof(s.store), "%s/data", s.dir);
	snprintf(s.file, sizeof(s.file), "%s/store.mdb", s.store);
	return s;
}

static inline int scratch_rm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_rm(const struct scratch *s)
{
	nftw(s->dir, scratch_rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whole file into malloc()ed memory. */
static inline uint8_t *file_read(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *p;

	if (fd < 0 || fstat(fd, &st) != 0)
		abort();
	*len = (size_t)st.st_size;
	p = malloc(*len + 1);
	if (!p || pread(fd, p, *len, 0) != st.st_size)
		abort();
	close(fd);
	return p;
}

static inline void file_write(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || (len && write(fd, p, len) != (ssize_t)len))
		abort();
	close(fd);
}

/* Small, fast, repeatable. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545F4914F6CDD1Dull;
}

static inline struct store_id id_of(uint64_t n)
{
	struct store_id id;
	uint64_t a = (n + 1) * 0x9E3779B97F4A7C15ull, b = ~n;
	size_t i;

	a ^= a >> 29;
	for (i = 0; i < 8; i++) {
		id.b[i] = (uint8_t)(a >> (8 * i));
		id.b[8 + i] = (uint8_t)(b >> (8 * i));
	}
	return id;
}

/* Runs fn in a child; its exit code, or 1000 + signal. A hang is a signal (SIGALRM). */
static inline int in_child(int (*fn)(void *), void *arg)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed EXPECT must not go on in the parent's code */
		_exit(fn(arg));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define OPEN_NEW ((struct store_options){ .create = true })
#define OPEN_OLD ((struct store_options){ 0 })
#define OPEN_READ ((struct store_options){ .read_only = true })
#define OPEN_SNAPSHOT ((struct store_options){ .read_only = true, .snapshot = true })

static inline struct store *must_open(const char *dir, struct store_options opt)
{
	struct store *s = NULL;
	struct store_error e;

	if (store_open(dir, &opt, &s, &e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	return s;
}

#endif
