/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files and folders of files, without a fuzzer: every build replays the
 * corpora. Each input is placed so that it ends at an unmapped page.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long ran;

static void run_file(const char *path)
{
	size_t len, pages;
	uint8_t *m;
	FILE *f = fopen(path, "rb");
	struct stat st;

	if (!f || fstat(fileno(f), &st) != 0) {
		perror(path);
		exit(1);
	}
	len = (size_t)st.st_size;
	pages = len / 4096 + 1;
	m = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED || mprotect(m + pages * 4096, 4096, PROT_NONE) != 0)
		abort();
	if (fread(m + pages * 4096 - len, 1, len, f) != len)
		abort();
	fclose(f);
	LLVMFuzzerTestOneInput(m + pages * 4096 - len, len);
	munmap(m, (pages + 1) * 4096);
	ran++;
}

static void run_path(const char *path)
{
	struct stat st;
	struct dirent *e;
	DIR *d;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	d = opendir(path);
	if (!d)
		exit(1);
	while ((e = readdir(d))) {
		char sub[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		run_path(sub);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%lu inputs replayed\n", ran);
	if (ran == 0) {
		fprintf(stderr, "no inputs: a corpus must not be empty\n");
		return 1;
	}
	return 0;
}
