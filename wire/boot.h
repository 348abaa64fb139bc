/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service is given when it starts, and by whom: in the process isolation by the channel,
 * through inherited file descriptors; at VMPL0 by the monitor, which answers the same system calls.
 */
#ifndef WIRE_BOOT_H
#define WIRE_BOOT_H

#include "base/rc.h"

#define BOOT_FD 3	/* read once: struct boot_msg */
#define BOOT_FD_REQ 4	/* mapped read-only: `lanes` request areas */
#define BOOT_FD_RSP 5	/* mapped: `lanes` response areas */
#define BOOT_MAGIC 0x4d4b5356u
#define BOOT_VERSION 1u

enum boot_isolation {
	ISOLATION_PROCESS = 1,
	ISOLATION_VMPL0_EMULATED = 2,
	ISOLATION_VMPL0_SNP = 3,
};

struct boot_msg {
	uint32_t magic;
	uint32_t version;
	uint32_t isolation;	/* enum boot_isolation */
	uint32_t lanes;		/* one thread each; the last one is for control */
	uint64_t wall_ms;
	uint32_t pin;		/* 1: lane i runs on CPU i */
	uint32_t spin_us;	/* how long to look for work before sleeping */
	uint8_t platform_key[32];	/* opens the platform keyslot */
	uint8_t zero[64];
};
ABI_SIZE(struct boot_msg, 128);
ABI_AT(struct boot_msg, platform_key, 32);

/* "process", "vmpl0-emulated", "vmpl0-snp" */
const char *boot_isolation_name(uint32_t isolation);

#endif
