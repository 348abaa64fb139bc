/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's start, and VMSAs. Boot vCPU only. */
#ifndef MONITOR_X86_LINUX_H
#define MONITOR_X86_LINUX_H

#include "monitor/x86/x86.h"

/* Puts all that the kernel finds in memory into the guest's pages. Stops the VM when there is no memory there. */
void linux_load(const struct launch_info *info);
/* The boot vCPU's guest VMSA, ready to run, in a page of the monitor; *caa: its calling area. */
struct vmsa *linux_vmsa(const struct launch_info *info, struct gpa *caa);

/* A page for a VMSA, not where the erratum forbids it; stops the VM when there is none. */
struct vmsa *vmsa_alloc(void);
/* Values of a start in long mode (specification 3.2); VMPL 0. */
void vmsa_long_mode(struct vmsa *v);
/* Sets the VMSA bit of the page. */
void vmsa_make(struct vmsa *v);

#endif
