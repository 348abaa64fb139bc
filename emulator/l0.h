/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L0: what its files share. One lock (smp.c) covers everything but a vCPU's own struct vcpu while no other
 * CPU acts on it; every VM exit is handled under it, so handlers see no concurrency but the guest's own.
 *
 * L0 plays two parts and keeps them apart. As the CPU it may see guest registers, tables and the RMP; as the
 * host (ghcb.c, io.c, loader.c, attack.c) it sees GHCB pages, shared memory and exit codes only.
 */
#ifndef EMULATOR_L0_H
#define EMULATOR_L0_H

#include "base/base.h"
#include "emulator/cpu.h"
#include "emulator/rmp.h"
#include "emulator/vmcb.h"
#include "snp/ghcb.h"

#define L0_BASE 0x30000000ul
#define L0_END 0x34000000ul
#define VGA_START 0xa0000ul	/* the one hole in RAM */
#define VGA_END 0xc0000ul
#define RAM_MAX (2ul << 30)
#define PAGE_LEN 4096ul
#define HUGE_LEN (2ul << 20)
#define CBIT 39u
#define CBIT_MASK (1ul << CBIT)
#define VMPLS RMP_VMPLS
#define MAX_CPUS 8u
#define FIRMWARE_GFN UINT32_MAX	/* where a boot VMSA is "mapped": not guest memory */

/* How L0 ends: QEMU's exit status is 2 * code + 1. */
enum stop_code {
	STOP_TERMINATED = 0x10,	/* the guest asked for it through the GHCB */
	STOP_VIOLATION = 0x11,	/* an access that hardware would leave stuck */
	STOP_IMAGE = 0x12,	/* malformed launch image */
	STOP_BUG = 0x13,	/* L0's own */
	STOP_SHUTDOWN = 0x14,	/* triple fault, or an exception that could not be delivered */
};

/* L0's options, from its command line. */
struct options {
	bool strict_io;		/* io=strict: all port I/O, MMIO and MSRs of the guest through #VC */
	bool small_pages;	/* rmp2m=strict: the host never makes a 2M RMP entry */
	bool verbose;
	bool counters;		/* exit-counters: VMMCALL with RAX = COUNTERS_MAGIC prints them */
	const char *attack;	/* attack=NAME[:n]; not terminated at the name's end */
};
extern struct options opt;
#define DEBUG_EXIT_PORT 0xf4u	/* L0's way to end QEMU; not the guest's */
#define COUNTERS_MAGIC 0x304c544e55435845ull

/* One VMPL of a vCPU while it does not run. */
struct level {
	uint64_t vmsa;		/* machine page number of its VMSA; 0: none */
	uint64_t next_vmsa;	/* by AP creation: takes the place of vmsa when the level is started */
	bool start;		/* made runnable by AP creation, not yet entered */
	uint64_t ghcb_msr;
	uint64_t ghcb_gfn;	/* registered; NO_GFN: none */
	uint64_t dr7;		/* as the guest told the host */
};
#define NO_GFN UINT64_MAX

struct vcpu {
	struct vmcb *vmcb;
	struct vmcb *host;	/* L0's own FS.. state between VMRUNs */
	struct gregs g;
	uint32_t index, apic_id;
	uint32_t vmpl;		/* which level is in the VMCB */
	bool loaded;		/* one is */
	bool flush_wanted;	/* INVLPGB without its TLBSYNC yet */
	bool start_wanted;	/* atomic: a level has been made runnable meanwhile */
	struct level level[VMPLS];
	bool in_guest;		/* atomic */
	bool kicked;		/* atomic: the next NMI is ours */
	uint64_t exits;		/* atomic: how often it left the guest */
	uint64_t fault_gpa, fault_exit;	/* the last missing nested entry, and how often it came exit after exit */
	uint64_t entered, left;	/* time stamps of the last entry, the last exit */
	uint32_t fault_count;
	uint8_t fpu[1088] __attribute__((aligned(64)));	/* XSAVE area of whoever is switched */
};
extern struct vcpu vcpus[MAX_CPUS];
extern uint32_t vcpu_count;
extern uint64_t ram_end;	/* bytes of RAM, all below 4 GiB */
extern uint64_t tsc_khz;

/* lib.c */
__attribute__((format(printf, 1, 2))) void l0_print(const char *fmt, ...);
__attribute__((format(printf, 2, 3), noreturn)) void l0_stop(enum stop_code code, const char *fmt, ...);
/* Pages of zeros from L0's own memory; never NULL (L0 stops instead). page_free() takes single pages. */
void *page_alloc(uint64_t count);
void page_free(void *page);

/* smp.c */
void smp_start(void);		/* starts and parks the other CPUs, numbers all */
void smp_release(void);		/* they may run guest code now */
void l0_lock(void);
void l0_unlock(void);
/* The guest's memory rights shrank: when this returns no other CPU uses an old translation. Lock held. */
void smp_kick_others(const struct vcpu *self);
void smp_wake(struct vcpu *v);	/* ends cpu_wait_nmi() or guest mode there, and comes back at once */
void cpu_setup(struct vcpu *v);	/* this CPU: SVM host state, IDT */
void cpu_take_nmi(void);
void cpu_wait_nmi(void);

/* npt.c: nested tables, a cache of the RMP. GPA = machine address, unless an attack moved it. */
void npt_init(void);
uint64_t npt_root(unsigned vmpl, bool paging);
/* Forgets count pages from gfn in every view, or in one VMPL's private one; true: there was something to forget. */
bool npt_drop(uint64_t gfn, uint64_t count);
bool npt_drop_private(unsigned vmpl, uint64_t gfn, uint64_t count);
extern struct rmp rmp;
/* The host's choice of machine page for a guest page. */
uint64_t host_pfn(uint64_t gfn);
bool is_ram(uint64_t gpa);	/* RAM that a guest may have */
void handle_npf(struct vcpu *v);
/* Host's page-state change of one 4K page or 2M region; true: done. Kicks and forgets as needed. */
MUST_CHECK bool page_state_change(const struct vcpu *v, uint64_t gpa, bool huge, bool private);
void rmp_split(const struct vcpu *v, uint64_t gfn);

/* gmem.c: the only way into guest memory. NULL: not RAM of the guest, crosses a page, or not allowed. */
void *gmem_shared(uint64_t gpa, uint64_t len);
void *gmem_private(unsigned vmpl, enum rmp_access access, uint64_t gpa, uint64_t len);
struct vmsa *gmem_vmsa(uint64_t pfn);
struct gwalk {
	uint64_t gpa;		/* without the C-bit */
	bool private;
	bool huge;		/* mapped by a 2M or 1G leaf */
};
/* Guest virtual to physical, as the MMU would (no permission bits but present). */
MUST_CHECK bool gmem_walk(const struct vcpu *v, uint64_t va, struct gwalk *out);
/* Data accesses at the guest's virtual addresses, with the VMPL's rights; they may cross pages. */
MUST_CHECK bool gmem_read_va(const struct vcpu *v, uint64_t va, void *out, uint64_t len);
MUST_CHECK bool gmem_write_va(const struct vcpu *v, uint64_t va, const void *in, uint64_t len);
/* Instruction bytes at RIP; returns how many could be read. */
unsigned gmem_fetch(const struct vcpu *v, uint8_t *out, unsigned len);

/* svm.c */
void svm_init(void);
void vcpu_init(struct vcpu *v);
__attribute__((noreturn)) void vcpu_loop(struct vcpu *v);
/* Is this page a VMSA that may be entered at this level? */
MUST_CHECK bool level_enterable(const struct level *l, unsigned vmpl);
/* The running level's state goes to its VMSA with this exit; another's comes in. Lock held. */
void level_save(struct vcpu *v, uint64_t exit_code, uint64_t info1, uint64_t info2);
void level_load(struct vcpu *v, unsigned vmpl);
void inject(struct vcpu *v, unsigned type, unsigned vector, bool has_code, uint32_t code);
void svm_run(uint64_t vmcb, struct gregs *g, uint64_t host_block);

/* vc.c: #VC with an error code; stops L0 when the guest cannot take it. */
void vc_deliver(struct vcpu *v, uint32_t code);

/* snpinsn.c: an intercepted #UD. */
void handle_ud(struct vcpu *v);

/* ghcb.c */
void handle_vmgexit(struct vcpu *v);

/* io.c: what the host does for the guest on devices. */
MUST_CHECK bool host_msr(uint32_t msr, bool write, uint64_t *value);
uint32_t host_in(uint16_t port, unsigned len);
void host_out(uint16_t port, unsigned len, uint32_t value);
MUST_CHECK bool host_mmio(uint64_t gpa, unsigned len, bool write, uint64_t *value);

/* cpuid.c */
struct cpuid_regs guest_cpuid(uint32_t leaf, uint32_t sub);
struct snp_cpuid_page;
void cpuid_page_fill(struct snp_cpuid_page *page);

/* loader.c */
struct module {
	const uint8_t *at;
	uint64_t len;
};
/* Loads the launch image; the boot vCPU's VMPL0 is ready to be entered afterwards. */
void launch(struct module image);
/* The host's memory map, for the guest; set up by main.c. */
struct host_range {
	uint64_t start, end;
	bool reserved;
};
extern struct host_range host_map[32];
extern unsigned host_map_count;

/* stats.c */
enum stat {
	STAT_VC, STAT_PVALIDATE, STAT_RMPADJUST, STAT_PSC, STAT_RUN_VMPL, STAT_GHCB, STAT_KICK, STAT_FILL, STAT_CR3_FIX,
	STAT_COUNT,
};
void stat_exit(uint64_t code);
void stat_add(enum stat s);
void stat_ticks(unsigned vmpl, uint64_t guest, uint64_t host);	/* time stamps in a level, and in L0 since the exit before */
void stats_print(void);

#endif
