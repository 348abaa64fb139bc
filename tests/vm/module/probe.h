/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * /dev/probe, in the test VM only: what the guest's kernel can do, for the tests' programs. Reading and
 * writing at an offset is memory at that guest-physical address, whoever it belongs to; mmap likewise.
 */
#ifndef TESTS_VM_MODULE_PROBE_H
#define TESTS_VM_MODULE_PROBE_H

#ifdef __KERNEL__
#include <linux/ioctl.h>
#include <linux/types.h>
typedef __u64 probe_u64;
typedef __u32 probe_u32;
typedef __u8 probe_u8;
#else
#include <stdint.h>
#include <sys/ioctl.h>
typedef uint64_t probe_u64;
typedef uint32_t probe_u32;
typedef uint8_t probe_u8;
#endif

#define PROBE_DEVICE "/dev/probe"
#define PROBE_BUFFER 2048u
#define PROBE_SHARED (1ll << 60)	/* in an offset: the view that the host shares */

/* A call to VMPL0 with these registers, on the CPU that asks; no register is changed on its way. */
struct probe_call {
	probe_u64 rax, rcx, rdx, r8, r9;
	probe_u64 flags;
	probe_u64 pending;	/* out: the call-pending byte afterwards; 0 = the call was taken */
	probe_u64 msr;		/* out: the GHCB MSR's answer */
	probe_u32 len;		/* of buffer, brought into the calling area's buffer */
	probe_u32 zero;
	probe_u8 buffer[PROBE_BUFFER];	/* in and out */
};

#define PROBE_RCX_BUFFER 1u	/* rcx = address of the calling area's buffer, plus what rcx says */
#define PROBE_RCX_CAA 2u	/* rcx = address of the calling area, plus what rcx says */
#define PROBE_NOT_PENDING 4u	/* do not announce the call */

/* A fresh private page of the guest's, for ever. */
struct probe_page {
	probe_u64 gpa;
	probe_u64 order;
};

#define PROBE_IOC_CALL _IOWR('P', 1, struct probe_call)
#define PROBE_IOC_PAGE _IOWR('P', 2, struct probe_page)
/* The calling area's address of this CPU. */
#define PROBE_IOC_CAA _IOR('P', 3, probe_u64)
/* RMPADJUST and PVALIDATE as the guest's kernel can execute them: rax, rcx, rdx in; rax and carry (in rcx) out. */
#define PROBE_IOC_RMPADJUST _IOWR('P', 4, struct probe_call)
#define PROBE_IOC_PVALIDATE _IOWR('P', 5, struct probe_call)
/* Where a page of a process is, also one that a driver mapped: pid and va in, gpa out. */
struct probe_where {
	probe_u64 pid, va, gpa;
};
#define PROBE_IOC_WHERE _IOWR('P', 7, struct probe_where)
/* The emulator prints its counters (option exit-counters), where this is one. */
#define PROBE_IOC_COUNTERS _IO('P', 6)
#define PROBE_COUNTERS_MAGIC 0x304c544e55435845ull

#endif
