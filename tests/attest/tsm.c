/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that offers attestation reports, for tests: preloaded (LD_PRELOAD) into client or server, it plays
 * configfs-tsm under an SVSM in the directory that SVSM_TEST_TSM names. A directory made there fills itself; a
 * question written to its inblob is answered with a report by a test chain (tests/verifier/forge.h), and
 * the chain's root is left beside the directories as `root`. While the file that
 * SVSM_TEST_TSM_HOLD names exists, no report is ready.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "tests/verifier/forge.h"

int mkdir(const char *path, mode_t mode);
int rmdir(const char *path);
ssize_t write(int fd, const void *p, size_t n);

static const char *const files[] = { "provider", "generation",	"service_provider", "inblob",
				     "outblob",	 "auxblob",	"manifestblob" };

#define REAL(name, type) \
	union { \
		void *p; \
		type; \
	} real = { .p = dlsym(RTLD_NEXT, name) }

static ssize_t real_write(int fd, const void *p, size_t n)
{
	REAL("write", ssize_t(*fn)(int, const void *, size_t));

	return real.fn(fd, p, n);
}

/* Whether path lies in a report's directory. */
static bool is_ours(const char *path)
{
	const char *root = getenv("SVSM_TEST_TSM");
	size_t n = root ? strlen(root) : 0;

	return n && strncmp(path, root, n) == 0 && path[n] == '/';
}

static void put(const char *dir, const char *file, const void *p, size_t n)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || real_write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
}

int mkdir(const char *path, mode_t mode)
{
	REAL("mkdir", int (*fn)(const char *, mode_t));
	int rc = real.fn(path, mode);
	size_t i;

	if (rc != 0 || !is_ours(path))
		return rc;
	for (i = 0; i < ARRAY_LEN(files); i++)
		put(path, files[i], "", 0);
	put(path, "provider", "sev_guest\n", 10);
	put(path, "generation", "0\n", 2);
	return 0;
}

int rmdir(const char *path)
{
	REAL("rmdir", int (*fn)(const char *));
	char file[PATH_MAX];
	size_t i;

	for (i = 0; is_ours(path) && i < ARRAY_LEN(files); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		unlink(file);
	}
	return real.fn(path);
}

static void answer(const char *dir, const uint8_t in[64])
{
	static uint8_t table[4 * FORGE_DER], manifest[512];
	const char *hold = getenv("SVSM_TEST_TSM_HOLD");
	struct forge_how how;
	static struct forge f;
	struct slice parts[2];

	forge_how_is(&how, PRODUCT_MILAN, false);
	parts[0] = slice_of(in, 64);
	parts[1] = slice_of(manifest, forge_manifest(manifest, sizeof(manifest)));
	if (crypto_sha512(parts, 2, how.report.report_data) != RC_OK)
		abort();
	forge(&how, &f);
	while (hold && access(hold, F_OK) == 0)
		usleep(10000);
	put(dir, "outblob", &f.report, sizeof(f.report));
	put(dir, "auxblob", table, forge_cert_table(&f, false, table, sizeof(table)));
	put(dir, "manifestblob", manifest, parts[1].len);
	put(dir, "generation", "2\n", 2);
	put(getenv("SVSM_TEST_TSM"), "root", f.ark, f.ark_len);
}

ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t done = real_write(fd, p, n);
	char link[64], path[PATH_MAX];
	ssize_t len;
	char *name;

	if (done != (ssize_t)n || !getenv("SVSM_TEST_TSM"))
		return done;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return done;
	path[len] = 0;
	name = strrchr(path, '/');
	if (!name || !is_ours(path))
		return done;
	*name++ = 0;
	if (strcmp(name, "service_provider") == 0 && n == 4 && memcmp(p, "svsm", 4) == 0)
		put(path, "generation", "1\n", 2);
	else if (strcmp(name, "inblob") == 0 && n == 64)
		answer(path, p);
	return done;
}
