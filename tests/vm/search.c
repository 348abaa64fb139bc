/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search FILE [START-END...]: looks for known secrets in all memory that the guest can reach, at every byte.
 * Without ranges: all that /proc/iomem calls System RAM, hence kernel, page cache and every process. Runs as
 * root in the test VM, reads by /dev/probe.
 *
 * FILE: lines `label hexadecimal`, 16 to 64 bytes, every byte exclusive-ored with MASK, so that neither this
 * program nor the way the file came is found instead. Prints `found label at address` for each place, at most
 * 100, and `searched N bytes in M pages, F found, U unreadable`.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vm/module/probe.h"

#define MASK 0xa5
#define PAGE 4096u
#define CHUNK (64 * PAGE)
#define PATTERN_MAX 64u
#define PATTERNS 16384u
#define BUCKETS 65536u

struct pattern {
	char label[48];
	uint8_t b[PATTERN_MAX];
	size_t len;
	uint32_t next;	/* in its bucket, + 1 */
};

static struct pattern patterns[PATTERNS];
static uint32_t count, bucket[BUCKETS];
static uint64_t searched, pages, found, unreadable;
static uint8_t window[PAGE + CHUNK];

static uint32_t bucket_of(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return (v * 0x9e3779b1u) >> 16;
}

static bool add(char *line)
{
	struct pattern *p = &patterns[count];
	char *hex = strchr(line, ' ');

	if (count == PATTERNS || !hex || (size_t)(hex - line) >= sizeof(p->label))
		return false;
	memcpy(p->label, line, (size_t)(hex - line));
	for (hex++; p->len < PATTERN_MAX && sscanf(hex, "%2" SCNx8, &p->b[p->len]) == 1; hex += 2)
		p->len++;
	if (p->len < 16)
		return false;
	p->next = bucket[bucket_of(p->b)];
	bucket[bucket_of(p->b)] = ++count;
	return true;
}

static bool matches(const struct pattern *p, const uint8_t *at)
{
	for (size_t i = 0; i < p->len; i++)
		if ((at[i] ^ MASK) != p->b[i])
			return false;
	return true;
}

static void look(const uint8_t *at, uint64_t gpa, size_t left)
{
	uint32_t mask = MASK * 0x01010101u, v;

	memcpy(&v, at, 4);
	v ^= mask;
	for (uint32_t i = bucket[(v * 0x9e3779b1u) >> 16]; i; i = patterns[i - 1].next) {
		const struct pattern *p = &patterns[i - 1];

		if (p->len > left || !matches(p, at))
			continue;
		if (++found <= 100)
			printf("found %s at %#" PRIx64 "\n", p->label, gpa);
	}
}

static bool zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* The last bytes of a chunk are looked at again with the next one, for what lies across. */
static void scan(int fd, uint64_t from, uint64_t to)
{
	size_t kept = 0;

	while (from < to) {
		size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
		ssize_t n = pread(fd, window + PAGE, want, (off_t)from);
		const uint8_t *start = window + PAGE - kept;
		size_t len;

		if (n <= 0) {
			unreadable += PAGE;
			from += PAGE;
			kept = 0;
			continue;
		}
		searched += (uint64_t)n;
		pages += (uint64_t)n / PAGE;
		len = kept + (size_t)n;
		if (!zero(start, len))
			for (size_t i = 0; i + 16 <= len; i++)
				look(start + i, from - kept + i, len - i);
		from += (uint64_t)n;
		kept = len < PATTERN_MAX - 1 ? len : PATTERN_MAX - 1;
		memmove(window + PAGE - kept, start + len - kept, kept);
	}
}

static int all_ram(int fd)
{
	FILE *f = fopen("/proc/iomem", "r");
	char line[256];
	uint64_t from, to;

	if (!f)
		return 1;
	while (fgets(line, sizeof(line), f))
		if (line[0] != ' ' && strstr(line, ": System RAM") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && to > from)
			scan(fd, from, to + 1);
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = open(PROBE_DEVICE, O_RDONLY);
	FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
	char line[256];
	uint64_t from, to;

	if (fd < 0 || !f) {
		perror("search");
		return 2;
	}
	while (fgets(line, sizeof(line), f))
		if (!add(line)) {
			fprintf(stderr, "search: bad pattern\n");
			return 2;
		}
	fclose(f);
	if (argc == 2 && all_ram(fd))
		return 2;
	for (int i = 2; i < argc; i++)
		if (sscanf(argv[i], "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && to > from)
			scan(fd, from, to);
	printf("searched %" PRIu64 " bytes in %" PRIu64 " pages, %" PRIu64 " found, %" PRIu64 " unreadable\n", searched,
	       pages, found, unreadable);
	return searched ? 0 : 2;
}
