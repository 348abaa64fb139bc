/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call costs, counted from inside the test VM; `make bench-vm` reads what it prints.
 *
 *   callcost calls COUNT  COUNT empty calls of each kind, with nobody else on /dev/svsm: none (what counting costs), one
 *                         that the driver answers, a switch to VMPL0 with no call announced, one that the monitor answers,
 *                         one that goes to the service, which finds nothing to do. Around each the emulator prints its
 *                         counters. `kind NAME COUNT ticks N`: N time stamp counts in all.
 *   callcost read PID     the emulator's counters, and `crossings N`, the driver's counter, by the device of process PID
 *   callcost pages PID    `map VA GPA LEN` for each run of pages behind that process's mappings of the device
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tests/vm/module/probe.h"
#include "wire/uapi.h"
#include "wire/vmpl.h"

#define PAGE 4096u

static int device, probe;

static bool kernel_only(void)
{
	struct svsm_info info;

	return ioctl(device, SVSM_IOC_INFO, &info) == 0;
}

static bool call(uint32_t number)
{
	struct svsm_regs r = { .rax = (uint64_t)CALL_PROTOCOL << 32 | number };

	return ioctl(device, SVSM_IOC_CALL, &r) == 0;
}

static bool monitor(void)
{
	return call(VMPL_STATUS);
}

static bool service(void)
{
	return call(VMPL_CALL);
}

static bool only_switch(void)
{
	static struct probe_call c = { .flags = PROBE_NOT_PENDING };

	return ioctl(probe, PROBE_IOC_CALL, &c) == 0;
}

static bool nothing(void)
{
	return true;
}

static int calls(uint64_t count)
{
	static const struct {
		const char *name;
		bool (*one)(void);
	} kinds[] = { { "nothing", nothing }, { "driver", kernel_only }, { "switch", only_switch }, { "monitor", monitor },
		      { "service", service } };

	device = open(SVSM_DEVICE, O_RDWR);
	if (device < 0) {
		perror(SVSM_DEVICE);
		return 2;
	}
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint64_t start, end;

		if (!kinds[k].one()) {	/* once before: the first may be special */
			perror(kinds[k].name);
			return 1;
		}
		ioctl(probe, PROBE_IOC_COUNTERS);
		start = __rdtsc();
		for (uint64_t i = 0; i < count; i++)
			if (!kinds[k].one())
				return 1;
		end = __rdtsc();
		ioctl(probe, PROBE_IOC_COUNTERS);
		printf("kind %s %" PRIu64 " ticks %" PRIu64 "\n", kinds[k].name, count, end - start);
	}
	return 0;
}

/* The number of the descriptor by which a process has the device open; negative: it has not. */
static int device_of(long pid)
{
	char dir[64], path[384], to[sizeof(SVSM_DEVICE)];
	struct dirent *e;
	int fd = -1;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%ld/fd", pid);
	d = opendir(dir);
	while (d && fd < 0 && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		ssize_t n = readlink(path, to, sizeof(to));

		if (n == sizeof(to) - 1 && memcmp(to, SVSM_DEVICE, sizeof(to) - 1) == 0)
			fd = (int)strtol(e->d_name, NULL, 10);
	}
	if (d)
		closedir(d);
	return fd;
}

static int read_counters(long pid)
{
	struct svsm_info info;
	int fd = device_of(pid), of = (int)syscall(SYS_pidfd_open, pid, 0);

	device = fd < 0 || of < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, of, fd, 0);
	if (fd >= 0 && (device < 0 || ioctl(device, SVSM_IOC_INFO, &info) != 0)) {
		perror("callcost");
		return 1;
	}
	ioctl(probe, PROBE_IOC_COUNTERS);
	printf("crossings %" PRIu64 "\n", fd < 0 ? 0 : info.crossings);
	return 0;
}

static int each_run(long pid, uint64_t start, uint64_t end)
{
	uint64_t va = 0, gpa = 0, len = 0;

	for (; start < end; start += PAGE) {
		struct probe_where w = { .pid = (uint64_t)pid, .va = start };

		if (ioctl(probe, PROBE_IOC_WHERE, &w) != 0) {
			perror("callcost");
			return 1;
		}
		if (len && w.gpa == gpa + len) {
			len += PAGE;
			continue;
		}
		if (len)
			printf("map %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", va, gpa, len);
		va = start;
		gpa = w.gpa;
		len = PAGE;
	}
	printf("map %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", va, gpa, len);
	return 0;
}

static int pages(long pid)
{
	char path[64], line[512];
	uint64_t start, end;
	int res = 1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, SVSM_DEVICE) || sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			continue;
		res = each_run(pid, start, end);
		if (res)
			break;
	}
	if (f)
		fclose(f);
	return res;
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	long number = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

	probe = open(PROBE_DEVICE, O_RDWR);
	if (probe < 0) {
		perror(PROBE_DEVICE);
		return 2;
	}
	if (strcmp(what, "calls") == 0)
		return calls((uint64_t)number);
	if (strcmp(what, "read") == 0)
		return read_counters(number);
	if (strcmp(what, "pages") == 0)
		return pages(number);
	fprintf(stderr, "callcost calls COUNT | read PID | pages PID\n");
	return 2;
}
