/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkimage: builds the launch image from files and prints its launch digest. A build tool: its user is
 * trusted, its files are checked by the library.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "mkimage: %s: %s\n", what, why);
	exit(1);
}

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "mkimage: %s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

/* The whole file, for the rest of the program's life. */
static struct slice read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *p;

	if (!f || fstat(fileno(f), &st) != 0)
		fail(path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)IMAGE_FILE_MAX)
		fail(path, "not a regular file, empty, or too large");
	p = malloc((size_t)st.st_size);
	if (!p || fread(p, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		fail(path, "cannot read all of it");
	fclose(f);
	return slice_of(p, (size_t)st.st_size);
}

static void write_all(const char *path, const uint8_t *p, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(p, 1, len, f) != len || fclose(f) != 0) {
		int error = errno;

		unlink(path);
		fail(path, strerror(error));
	}
}

static uint64_t number(const char *name, const char *text)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || text[0] == '-')
		fail(name, "not a number");
	return v;
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: mkimage --monitor ELF --out FILE [--service ELF] [--platform ELF] [--kernel BZIMAGE]\n"
			"       [--initrd FILE] [--cmdline TEXT] [--policy N] [--guest-vmpl N]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct image_parts parts = { .policy = SNP_POLICY_DEFAULT, .guest_vmpl = 1 };
	const struct option options[] = {
		{ "monitor", required_argument, NULL, 0 },  { "service", required_argument, NULL, 0 },
		{ "platform", required_argument, NULL, 0 }, { "kernel", required_argument, NULL, 0 },
		{ "initrd", required_argument, NULL, 0 },   { "cmdline", required_argument, NULL, 'c' },
		{ "policy", required_argument, NULL, 'p' }, { "guest-vmpl", required_argument, NULL, 'g' },
		{ "out", required_argument, NULL, 'o' },    { 0 },
	};
	struct slice *const files[] = { &parts.monitor, &parts.service, &parts.platform, &parts.kernel, &parts.initrd };
	uint8_t digest[SNP_DIGEST_LEN], *file;
	const char *out = NULL, *why;
	struct image img;
	int which = 0, c;
	size_t len, i;

	while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == 0)
			*files[which] = read_file(optarg);
		else if (c == 'c')
			parts.cmdline = slice_str(optarg);
		else if (c == 'p')
			parts.policy = number("--policy", optarg);
		else if (c == 'g')
			parts.guest_vmpl = (uint32_t)number("--guest-vmpl", optarg);
		else if (c == 'o')
			out = optarg;
		else
			usage();
	}
	if (optind != argc || !out || !parts.monitor.len)
		usage();
	if (image_build(&parts, &file, &len, &why) != RC_OK)
		fail(out, why);
	/* Read back what was made, by the reader that everyone else uses. */
	if (image_open(slice_of(file, len), &img, &why) != RC_OK)
		fail(out, why);
	if (image_measure(&img, digest) != RC_OK)
		fail(out, "libcrypto fails");
	write_all(out, file, len);
	for (i = 0; i < sizeof(digest); i++)
		printf("%02x", digest[i]);
	printf("\n");
	free(file);
	return 0;
}
