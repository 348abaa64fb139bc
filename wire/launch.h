/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the image builder tells the monitor: a measured page, and where the builder puts things. The
 * monitor is entered in long mode with RDI = the address of this page, RIP = its ELF entry (a virtual
 * address), CR3 = the physical address of its symbol `boot_pml4`, and all other registers zero.
 */
#ifndef WIRE_LAUNCH_H
#define WIRE_LAUNCH_H

#include "base/rc.h"

#define LAUNCH_MAGIC 0x484c4d4b4d535653ull	/* "SVSMKMLH" */
#define LAUNCH_VERSION 1u

#define LAUNCH_MON_BASE 0x28000000ull	/* the monitor's own memory; nobody else's */
#define LAUNCH_MON_LEN 0x08000000ull
#define LAUNCH_INFO (LAUNCH_MON_BASE + 0x0000)
#define LAUNCH_SECRETS (LAUNCH_MON_BASE + 0x1000)
#define LAUNCH_CPUID (LAUNCH_MON_BASE + 0x2000)
#define LAUNCH_PARAMS (LAUNCH_MON_BASE + 0x3000)
#define LAUNCH_IMAGE (LAUNCH_MON_BASE + 0x100000)	/* the monitor's ELF is linked here */
#define LAUNCH_KERNEL 0x01000000ull
#define LAUNCH_INITRD 0x20000000ull
#define LAUNCH_INITRD_END LAUNCH_MON_BASE
#define LAUNCH_CMDLINE_MAX 2047u

/* Unmeasured parameter page, filled by the host: distrust it. */
#define LAUNCH_PARAM_VP_COUNT 0u	/* u32 */
#define LAUNCH_PARAM_MEMORY_MAP 64u	/* struct igvm_memory_map_entry, until one with pages = 0 */
#define LAUNCH_PARAM_MAP_MAX ((4096u - LAUNCH_PARAM_MEMORY_MAP) / 24u)

struct launch_range {	/* launch pages: page-aligned address, length in bytes (the last page is filled with zeros) */
	uint64_t gpa;
	uint64_t len;
};

struct launch_info {
	uint64_t magic;
	uint32_t version;
	uint32_t guest_vmpl;		/* 1..3 */
	struct launch_range monitor;	/* the image as loaded: validated at launch */
	struct launch_range service;	/* the key service's ELF file, inside the monitor's memory */
	struct launch_range platform;	/* the platform service's ELF file, likewise */
	struct launch_range setup;	/* the kernel file's first bytes: boot sector and setup header */
	struct launch_range kernel;	/* its protected-mode part, at LAUNCH_KERNEL */
	struct launch_range initrd;	/* at LAUNCH_INITRD */
	struct launch_range cmdline;	/* no zero byte at its end */
	uint64_t memory_end;		/* the monitor's first byte that is not launch pages: free from here */
	uint8_t zero[4096 - 136];
};
ABI_SIZE(struct launch_info, 4096);
ABI_AT(struct launch_info, monitor, 16);
ABI_AT(struct launch_info, memory_end, 128);

#endif
