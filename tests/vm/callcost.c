/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callcost COUNT: what one empty call costs, by its parts. Has the emulator print its counters between COUNT calls of
 * each kind: none (the reading of the counters itself), one that the kernel answers, one that the monitor answers, and
 * one that goes through to the service, which finds nothing to do. Prints `kind NAME COUNT cycles N`, N time stamp
 * counts in all. In the test VM, with nobody else on /dev/svsm.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "tests/vm/module/probe.h"
#include "wire/uapi.h"
#include "wire/vmpl.h"

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

static bool nothing(void)
{
	return true;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool (*one)(void);
	} kinds[] = { { "nothing", nothing }, { "kernel", kernel_only }, { "monitor", monitor }, { "service", service } };
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;

	device = open(SVSM_DEVICE, O_RDWR);
	probe = open(PROBE_DEVICE, O_RDWR);
	if (device < 0 || probe < 0) {
		perror("callcost");
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
		printf("kind %s %" PRIu64 " cycles %" PRIu64 "\n", kinds[k].name, count, end - start);
	}
	return 0;
}
