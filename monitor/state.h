/* SPDX-License-Identifier: Apache-2.0 */
/* All that the monitor knows, in one object that starts as zeros. Private to the core but for its size. */
#ifndef MONITOR_STATE_H
#define MONITOR_STATE_H

#include "monitor/limits.h"
#include "monitor/lock.h"
#include "monitor/monitor.h"
#include "monitor/page.h"
#include "monitor/platform/platform.h"
#include "snp/guestmsg.h"
#include "wire/vmpl.h"

#define MON_RAM_MAX (LAUNCH_PARAM_MAP_MAX + 2)	/* the monitor's own range splits one entry */

struct mon_vmsa {	/* a VMSA that the guest registered */
	uint32_t frame;	/* 0: free slot (page 0 is never one) */
	uint32_t cpu;
};

struct mon_vcpu {
	bool here;		/* such a CPU runs */
	bool taken;		/* between mon_take and mon_release */
	bool ready;		/* vmsa and caa are valid */
	uint32_t apic_id;
	uint32_t vmsa;		/* frames */
	uint32_t caa;
	_Alignas(8) uint8_t copy[MON_PAGE];	/* of what the guest passed; used by this CPU's call only */
};

/* Messages to the secure processor, guestmsg.c. */
struct mon_msg {
	struct mon_spin lock;
	struct secret key;		/* VMPCK0 */
	uint64_t seq;			/* used so far */
	bool dead;			/* the key is given up for ever */
	bool open;			/* req holds a message with number seq + 1 whose fate is unknown */
	uint8_t rsp_type;		/* what answers it */
	uint16_t rsp_len;
	_Alignas(8) uint8_t req[MON_PAGE];
	_Alignas(8) uint8_t rsp[MON_PAGE];
	uint8_t certs[MON_CERT_LEN];
	struct platform_req ask;	/* to the platform service */
	struct platform_rsp answer;
};

/* The key-management session, kms.c. */
struct mon_kms {
	struct mon_spin lock;
	enum vmpl_state state;
	bool closing;			/* pages are being given back */
	bool loaded;			/* the service has memory: destroy it before anything else */
	uint32_t lanes;
	uint32_t have;			/* frames known; when closing: not yet given back */
	uint32_t cleared;		/* response pages zeroed for the next start */
	uint32_t inside;		/* lanes in a call */
	uint64_t starts;
	bool busy[MON_LANES];
	struct boot_msg boot;
	uint32_t frame[MON_LANE_FRAMES];	/* request areas, then response areas */
};

struct mon {
	bool ended;			/* by mon_panic(), never undone; atomic */
	struct mon_spin lock;		/* page, cpu (but copy), vmsa */
	uint8_t guest_vmpl;
	uint32_t isolation;
	uint64_t guest_features;
	const struct launch_info *info;
	struct mon_vcpu cpu[MON_CPUS];
	struct mon_vmsa vmsa[MON_VMSAS];
	struct mon_msg msg;
	struct mon_kms kms;
	bool have_root;			/* under kms.lock, or on the boot CPU */
	struct secret root;		/* the sealing root */
	uint8_t service_hash[48];
	uint8_t platform_hash[48];
	size_t rams;
	struct mon_ram ram[MON_RAM_MAX];
	uint64_t rsdp;
	uint8_t page[MON_FRAMES];	/* enum page_state */
};

/* A call's handler returns RAX; it may change rcx, rdx, r8, r9. */
uint32_t core_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r);
uint32_t attest_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r);
uint32_t kms_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r);
/* RCX of QUERY_PROTOCOL: max << 32 | min version, 0 for a protocol or version that is not spoken. */
uint64_t mon_protocol_versions(uint32_t protocol, uint32_t version);

/* Asks for the sealing root. RC_BUSY: the host asks to wait; else it will never come. Caller: kms.lock, or boot. */
enum rc mon_root(struct mon *m);

/*
 * guestmsg.c; the caller holds msg.lock. A hash goes over msg.ask.data[0..len); the last piece leaves it in msg.answer.data.
 * RC_MACHINE: the platform service has failed.
 */
enum rc msg_hash(struct mon *m, enum platform_op op, unsigned flags, size_t len);
/*
 * One message to the secure processor under VMPCK0, and the payload of its answer: exactly rsp_len bytes of the next
 * type. certs: also fetch the host's certificates into msg.certs (zeros: it gave none). RC_BUSY: the host asks to wait
 * (or says that it did not pass the message on); RC_DENIED: the key was given up, now or before; RC_MACHINE as above.
 */
enum rc msg_exchange(struct mon *m, enum snp_msg_type type, const void *req, size_t req_len, void *rsp, size_t rsp_len,
		     bool certs);

/* vcpu.c */
uint32_t vcpu_create(struct mon *m, unsigned cpu, struct mon_regs *r);
uint32_t vcpu_delete(struct mon *m, unsigned cpu, struct mon_regs *r);
uint32_t vcpu_remap(struct mon *m, unsigned cpu, struct mon_regs *r);

#endif
