/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's portable core: who owns which page, and what the guest may ask for. It runs at VMPL0 on
 * plat.h and is entered by monitor/x86/ (or by a test). It trusts the launch pages and the secure processor;
 * host and guest are hostile.
 *
 * Always: a page has one owner (page.h); no page of the monitor, no VMSA and no response page is ever writable
 * below VMPL0; a page is validated only when it was rescinded or never seen before, and zeroed before it is granted.
 *
 * Order at start, on the boot CPU: mon_init, mon_memory (then all of the monitor's memory may be used),
 * platform service started by x86, mon_keys, mon_cpu for each CPU, mon_boot_vcpu; then each CPU loops:
 * run the guest; mon_take; if the VMSA says VMGEXIT and the calling area's call_pending exchanged with 0 was 1:
 * mon_call with the VMSA's registers, write them back; mon_release.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "monitor/plat.h"
#include "snp/igvm.h"
#include "snp/launch.h"
#include "wire/launch.h"

struct mon;	/* monitor/state.h; some 6 MiB, zeroed: `static struct mon m;` in whoever enters the core */

/* Reasons of a termination by GHCB request, in reason set MON_REASON_SET. */
#define MON_REASON_SET 0xau
enum mon_reason {
	MON_REASON_INVARIANT = 1,	/* a bug of ours */
	MON_REASON_LAUNCH = 2,		/* malformed launch information */
	MON_REASON_MEMORY_MAP = 3,	/* the host's memory map contradicts itself or the launch information */
	MON_REASON_MEMORY = 4,		/* the host or the hardware refused a page that the monitor needs */
	MON_REASON_NOT_VALIDATED = 5,	/* #VC 0x404: the host took away a page that was ours or the guest's */
	MON_REASON_EXCEPTION = 6,	/* any other exception in the monitor */
	MON_REASON_GHCB = 7,		/* the host broke the GHCB protocol */
	MON_REASON_GUEST = 8,		/* the guest cannot go on */
	MON_REASON_ENTROPY = 9,		/* no sound source of random numbers */
	MON_REASON_PLATFORM = 10,	/* the platform service does not start or has died */
	MON_REASON_CPU = 11,		/* a CPU could not be started, or lacks what is needed */
	MON_REASON_ENDED = 12,		/* another CPU has stopped, and the host let this one run on */
};

struct mon_options {
	const struct launch_info *info;		/* checked here; stays valid */
	const struct snp_secrets *secrets;	/* VMPCK0 and its sequence number are copied */
	uint64_t guest_features;		/* SEV_FEATURES that the guest's VMSAs must carry */
	uint32_t isolation;			/* enum boot_isolation */
};

/* RC_BAD_INPUT: malformed launch information. Changes nothing but *m, which must be zero. */
enum rc mon_init(struct mon *m, const struct mon_options *o);

/*
 * Takes all memory into use, on the boot CPU before any other runs: checks the host's memory map (`map`: a private
 * copy, ends at an all-zero entry or after `count`), makes the rest of the monitor's memory private, validates and
 * zeroes it; the same for the guest's memory, and grants it; grants the kernel's launch pages; copies ACPI pages
 * (IGVM_MEM_RESERVED entries that begin with an RSDP, and the other reserved ones behind them) into private memory.
 * RC_BAD_INPUT: bad map; RC_MACHINE: the host or the hardware refused.
 */
enum rc mon_memory(struct mon *m, const struct igvm_memory_map_entry *map, size_t count);

/* The memory map for the guest, after mon_memory: ascending, pages; acpi: for e820 type 3. Returns entries in out. */
struct mon_ram {
	struct gpa first;
	uint64_t pages;
	bool acpi;
};
MUST_CHECK size_t mon_ram(const struct mon *m, struct mon_ram *out, size_t max);
/* Where the RSDP was found; 0: the host gave none. */
MUST_CHECK uint64_t mon_rsdp(const struct mon *m);

/*
 * Hashes of the services' files, and the sealing root from the secure processor. RC_MACHINE: the platform service does
 * not work: give up. The sealing root alone may be missing after RC_OK (host says busy): START asks again.
 */
enum rc mon_keys(struct mon *m);

/* A CPU on which the monitor runs, before the guest's first entry. cpu: 0 .. MON_CPUS-1. RC_NO_ROOM, RC_BAD_INPUT. */
enum rc mon_cpu(struct mon *m, unsigned cpu, uint32_t apic_id);

/*
 * The boot CPU's guest context: vmsa is a page of the monitor's memory (VMSA bit set by x86), caa a page of the guest's.
 * RC_DENIED: not such pages.
 */
enum rc mon_boot_vcpu(struct mon *m, unsigned cpu, struct gpa vmsa, struct gpa caa);

/*
 * Gives this CPU's current VMSA and calling area to its caller until mon_release: nobody deletes or replaces them
 * meanwhile. False: the guest has made none for this CPU (yet): nothing to release.
 */
MUST_CHECK bool mon_take(struct mon *m, unsigned cpu, struct gpa *vmsa, struct gpa *caa);
void mon_release(struct mon *m, unsigned cpu);

struct mon_regs {
	uint64_t rax, rcx, rdx, r8, r9;
};
/* One SVSM call of this CPU's guest, between mon_take and mon_release. Registers in and out; always resume after it. */
void mon_call(struct mon *m, unsigned cpu, struct mon_regs *r);

/*
 * Wipes all keys of the core, then plat_terminate(). x86 provides invariant_failed() on top of it. That one CPU has
 * come here ends the monitor: whether or not the host honours the request to terminate, mon_take and mon_release come
 * here too, on every CPU.
 */
__attribute__((noreturn)) void mon_panic(struct mon *m, enum mon_reason reason);

#endif
