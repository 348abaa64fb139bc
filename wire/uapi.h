/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * /dev/svsm: what the driver offers to user space. One opener at a time.
 *
 * mmap: offset 0 is the first lane's request area; all request areas, then, at info.lanes *
 * info.area_len, all response areas, which can only be mapped for reading. Any page-aligned part.
 */
#ifndef WIRE_UAPI_H
#define WIRE_UAPI_H

#include "wire/call.h"
#ifdef __KERNEL__
#include <linux/ioctl.h>
#else
#include <sys/ioctl.h>
#endif

#define SVSM_DEVICE "/dev/svsm"
#define SVSM_UAPI_VERSION 1u

struct svsm_info {
	uint32_t version;	/* SVSM_UAPI_VERSION */
	uint32_t protocol;	/* the key-management protocol's number */
	uint32_t lanes;		/* the last one is for control */
	uint32_t isolation;	/* enum boot_isolation, as the monitor says */
	uint64_t area_len;	/* of one area: CALL_AREA_LEN */
	uint32_t vmpl;		/* the kernel's own level */
	uint32_t generation;	/* counts starts of the service */
	uint64_t crossings;	/* since the module was loaded */
	uint64_t zero[3];
};
_Static_assert(sizeof(struct svsm_info) == 64, "svsm_info");

/*
 * The call's five registers, in and out. In: rax = protocol << 32 | call, rcx = the call's operand (VMPL_CALL:
 * the lane), the rest zero. Out: as the SVSM answered. The protocol must be on the driver's list.
 */
struct svsm_regs {
	uint64_t rax, rcx, rdx, r8, r9;
};
_Static_assert(sizeof(struct svsm_regs) == 40, "svsm_regs");

/*
 * A call that is cut into slices is continued by the driver; EINTR if a signal came in between: call again.
 * Errors: EINVAL malformed (reserved fields, unknown call); EPERM a protocol or call that is not allowed;
 * ENODEV no SVSM, or it does not know the protocol; EBUSY the lane is in a call; EPIPE the service has
 * died: SVSM_IOC_RESET; EFAULT bad pointer; EIO the monitor refused (registers say why); ENOTTY no such ioctl.
 */
#define SVSM_IOC_INFO _IOR('K', 0x60, struct svsm_info)
#define SVSM_IOC_CALL _IOWR('K', 0x61, struct svsm_regs)
#define SVSM_IOC_RESET _IO('K', 0x62)	/* a new service in the same pages; returns when it answers */

#endif
