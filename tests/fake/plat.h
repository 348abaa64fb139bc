/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine for the monitor's core that keeps the rules in arrays: RMP (assigned, validated, sizes, rights of each
 * VMPL, VMSA bit), private and shared memory, a secure processor with real sealing and sequence rules, and a key
 * service that watches how it is used. A test plays the hostile host, and can make any call refuse.
 *
 * What the hardware would answer with a fault stops the machine: see EXPECT_STOPS.
 */
#ifndef TESTS_FAKE_PLAT_H
#define TESTS_FAKE_PLAT_H

#include <setjmp.h>

#include "monitor/state.h"
#include "snp/report.h"
#include "snp/svsm.h"
#include "snp/vmsa.h"

#define FAKE_VMPL 1u
#define FAKE_CPUS 4u
#define FAKE_APIC(cpu) (2u * (cpu))
#define FAKE_KERNEL_PAGES 600u
#define FAKE_INITRD_PAGES 10u
#define FAKE_ACPI 0xe0000ull
#define FAKE_CA 0x7000ull		/* the boot CPU's */
#define FAKE_BOOT_VMSA (LAUNCH_MON_BASE + 0x301000)
#define FAKE_TOP 0x30000000ull		/* end of memory */

struct fake_rmp {
	uint8_t assigned, validated, huge, vmsa;
	uint8_t running;	/* a CPU runs on this VMSA */
	uint8_t perm[4];
};

/* What the host does with a guest request. */
enum fake_host {
	HOST_HONEST,
	HOST_BUSY,		/* does not pass it on, says so */
	HOST_BUSY_LIE,		/* passes it on, says busy */
	HOST_NOT_CALLED,	/* firmware error -1 */
	HOST_DROP,		/* does not pass it on, says it did */
	HOST_CORRUPT,		/* flips a bit of the answer */
	HOST_REPLAY,		/* the answer before the last */
	HOST_FW_ERROR,
	HOST_LEN,		/* wants more room for certificates, if there was any */
	HOST_KINDS
};

enum fake_op {
	FAKE_ANY,
	FAKE_PVALIDATE,
	FAKE_RMPADJUST,
	FAKE_PSC,
	FAKE_PLATFORM,
	FAKE_SERVICE_START,
};

struct fake {
	struct fake_rmp *rmp;
	uint8_t *priv, *shared;		/* memory as seen with and without the C-bit */
	bool small;			/* the host backs everything with 4 KiB pages */

	enum fake_op refuse;		/* the refuse_at-th call of this kind (1: the next) fails, with this code */
	unsigned refuse_at, refuse_code;
	bool refused;

	bool stale;			/* a right was taken away, and no flush came since */
	unsigned flushes;

	enum fake_host host[64];	/* script for guest requests; then honest */
	unsigned host_at, requests;
	bool reused;			/* a sequence number came with two different messages */
	uint64_t psp_seq;
	uint32_t psp_status;		/* in its answers */
	uint8_t psp_type_xor, psp_vmpck, psp_version_xor;	/* mistakes in its answers' headers */
	uint16_t psp_len_add;
	struct secret vmpck;
	uint8_t certs[MON_CERT_LEN];
	bool ext;			/* the last request had room for certificates */

	unsigned start_pieces, destroy_pieces;	/* how often start and destroy say RC_BUSY */
	bool dies_at_start;
	enum rc run_result;
	bool loaded;
	unsigned piece, starts, destroys, runs;
	uint32_t lanes;
	const uint32_t *frames;
	struct boot_msg boot;
	unsigned lane_inside[MON_LANES];
	/* What else happens: while a lane runs; while a message is on its way; when the monitor copies from here. */
	void (*in_lane)(uint32_t lane);
	void (*in_request)(void);
	void (*on_read)(uint64_t gpa);
	uint64_t now;
	bool dawdle;			/* several threads play: give way inside of what only one may do */
};
extern struct fake fake;

/* A machine as after launch, with nothing refused. Tiny (for the fuzzer): some megabytes of memory only. */
void fake_reset(void);
extern bool fake_tiny;
/* The launch information, secrets and memory map that fake_reset() laid out; a test may change them before it boots. */
extern struct launch_info fake_info;
extern struct snp_secrets fake_secrets;
extern struct igvm_memory_map_entry fake_map[LAUNCH_PARAM_MAP_MAX];
enum rc fake_init(struct mon *m);	/* mon_init with them */
/* fake_reset, then everything up to the guest's first call. Returns the (one) monitor. */
struct mon *fake_boot(void);

/* One call by a CPU's guest. Returns RAX. */
uint32_t fake_call(struct mon *m, unsigned cpu, uint32_t protocol, uint32_t call, struct mon_regs *r);
/* All invariants of monitor.h; aborts with a message when one is broken. */
void fake_check(struct mon *m);

/* The guest's own accesses, as the hardware allows them. */
MUST_CHECK bool fake_guest_may(uint64_t gpa, unsigned right);
void fake_guest_write(uint64_t gpa, const void *p, size_t len);
void fake_guest_read(uint64_t gpa, void *p, size_t len);

/* The host's powers. */
void fake_host_takes(uint64_t gpa);			/* page becomes the host's (shared) */
void fake_host_gives(uint64_t gpa, uint64_t contents);	/* assigns a page anew, with the memory that is behind `contents` */
void fake_host_smashes(uint64_t gpa);			/* splits a 2 MiB entry */

/* The machine's stop: the reason given to plat_terminate(). */
extern jmp_buf fake_stop;
extern bool fake_stop_armed;
#define EXPECT_STOPS(why, ...) \
	do { \
		int stopped_; \
		fake_stop_armed = true; \
		stopped_ = setjmp(fake_stop); \
		if (stopped_ == 0) { \
			__VA_ARGS__; \
			fake_stop_armed = false; \
		} \
		EXPECT_INT(stopped_, why); \
	} while (0)

#endif
