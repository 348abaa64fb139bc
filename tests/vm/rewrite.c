/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite PID COUNT SECONDS [answers|where|where-answers]: rewrites the request pages of a running server while the core reads
 * them, by the pages' physical addresses: what root of the VM can do with no help from the proxy. At least COUNT
 * times, and SECONDS long.
 *
 * Written are request bodies of the small slots and ring entries; not `tail`, which only decides how much there is to
 * do (a wrong one keeps the core busy with old entries for long). Values: random, extreme lengths, a moment later the
 * old bytes again, so that the core sees one value here and another there if it looks twice.
 *
 * answers: writes to the first answer page instead, once. where, where-answers: only says which pages
 * these are.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/module/probe.h"
#include "wire/call.h"

#define SLOTS 16u	/* of each lane: those a few connections use */
#define LANES 8u

static volatile uint64_t *page[LANES * (SLOTS + 1)];
static bool control[LANES * (SLOTS + 1)];
static unsigned pages;
static bool only_say;

/* The physical address behind an address of the process; 0 where there is none yet. */
static uint64_t physical(int probe, const char *pid, uint64_t va)
{
	struct probe_where w = { .pid = strtoull(pid, NULL, 10), .va = va };

	return ioctl(probe, PROBE_IOC_WHERE, &w) == 0 ? w.gpa : 0;
}

static void take(int probe, uint64_t pa, bool is_control)
{
	void *at;

	if (!pa || pages == sizeof(page) / sizeof(page[0]))
		return;
	if (only_say) {
		printf("page %" PRIx64 "\n", pa);
		return;
	}
	at = mmap(NULL, CALL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, probe, (off_t)pa);
	if (at == MAP_FAILED)
		return;
	control[pages] = is_control;
	page[pages++] = at;
}

/* The mapping of the request areas: /dev/svsm from its start, or the process isolation's memfd. Or of the answers. */
static uint64_t areas_of(const char *pid, bool answers, uint64_t *len)
{
	char path[64], line[512], rights[5];
	uint64_t from, to;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, rights) != 3)
			continue;
		if (strcmp(rights, answers ? "r--s" : "rw-s") != 0)
			continue;
		if (!strstr(line, "/dev/svsm") && !strstr(line, "memfd:svsm-kms-"))
			continue;
		*len = to - from;
		fclose(f);
		return from;
	}
	if (f)
		fclose(f);
	return 0;
}

static uint64_t random_of(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static void rewrite(unsigned which, uint64_t *state)
{
	static const uint64_t extremes[] = { 0, ~0ull, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 4096, 4097, 0xffffffff00000000 };
	volatile uint64_t *p = page[which];
	uint64_t r = random_of(state), old;
	/* Bodies are short: mostly their first bytes. The ring is the control page's second half. */
	unsigned at = control[which] ? 256 + (unsigned)(r % 256) : (unsigned)(r % (r & 0x10000 ? 16 : 512));

	old = p[at];
	p[at] = r & 0x20000 ? extremes[(r >> 20) % (sizeof(extremes) / 8)] : old ^ 1ull << (r >> 20 & 63);
	if (r & 0x40000)
		p[at] = old;
}

int main(int argc, char **argv)
{
	uint64_t base, len, done = 0, wanted = argc > 3 ? strtoull(argv[2], NULL, 10) : 0, state = 88172645463325252ull;
	int probe = open(PROBE_DEVICE, O_RDWR);
	time_t end = time(NULL) + (argc > 3 ? atoi(argv[3]) : 0);

	if (argc < 4 || probe < 0)
		return 2;
	base = areas_of(argv[1], argc > 4 && strstr(argv[4], "answers") != NULL, &len);
	only_say = argc > 4 && strncmp(argv[4], "where", 5) == 0;
	if (!base) {
		fprintf(stderr, "rewrite: no request pages\n");
		return 2;
	}
	for (uint64_t lane = 0; lane < LANES && (lane + 1) * CALL_AREA_LEN <= len; lane++) {
		take(probe, physical(probe, argv[1], base + lane * CALL_AREA_LEN), true);
		for (unsigned slot = 0; slot < SLOTS; slot++)
			take(probe, physical(probe, argv[1], base + lane * CALL_AREA_LEN + call_slot_off(slot)), false);
	}
	if (only_say)
		return 0;
	if (!pages) {
		fprintf(stderr, "rewrite: no page is there\n");
		return 2;
	}
	if (argc > 4) {
		printf("writing\n");
		fflush(stdout);
		*(volatile uint32_t *)page[0] += 0x40000000;
		return 0;
	}
	while (done < wanted || time(NULL) < end)
		for (unsigned i = 0; i < 1000; i++, done++)
			rewrite((unsigned)(random_of(&state) % pages), &state);
	printf("rewrote %" PRIu64 " times in %u pages\n", done, pages);
	return 0;
}
