/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of the monitor's tables. There is no allocation: what does not fit is refused. */
#ifndef MONITOR_LIMITS_H
#define MONITOR_LIMITS_H

#include "wire/call.h"

#define MON_PAGE 4096u
#define MON_HUGE_PAGES 512u
#define MON_GPA_END 0x300000000ull	/* 8 GiB of memory and the holes below 4 GiB; memory above it is not used */
#define MON_FRAMES (MON_GPA_END / MON_PAGE)
#define MON_CPUS 64u
#define MON_VMSAS (2 * MON_CPUS)	/* the kernel makes a CPU's next VMSA before it gives up the last */
#define MON_LANES (MON_CPUS + 1)
#define MON_AREA_PAGES ((uint32_t)(CALL_AREA_LEN / MON_PAGE))
#define MON_LANE_FRAMES (2u * MON_LANES * MON_AREA_PAGES)
#define MON_STEP_PAGES 1024u		/* what one call of the key-management protocol does at most */
#define MON_CERT_LEN 0x4000u		/* most certificates that are fetched from the host */

#endif
