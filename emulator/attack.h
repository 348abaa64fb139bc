/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile host: one named attack, chosen by attack=NAME[:n][@gpa] on L0's command line. It strikes at its n-th
 * opportunity (default 1), once, and says so on the console: `L0: attack: NAME ...`. Each stays within what a
 * real host can do: its own page tables, RMPUPDATE, and whatever passes through its hands.
 */
#ifndef EMULATOR_ATTACK_H
#define EMULATOR_ATTACK_H

#include "emulator/l0.h"

enum attack {
	ATTACK_NONE,
	/* Struck at a VMGEXIT of VMPL0, on the page at @gpa (default: the kernel's first). */
	ATTACK_REMAP_PAGE,		/* another machine page behind it, not the guest's */
	ATTACK_REPLACE_PAGE,		/* another machine page behind it, assigned by RMPUPDATE */
	ATTACK_SWAP_PAGES,		/* that page and the next change places */
	ATTACK_PSC_UNDER_GUEST,		/* it becomes shared */
	ATTACK_PSC_FLIP,		/* it becomes shared and private again */
	ATTACK_IGNORE_END,		/* the same, and who stops over it is left there while the others go on */
	/* Messages to the secure processor. */
	ATTACK_REPLAY_REQUEST,		/* the firmware gets the previous request */
	ATTACK_REPLAY_MESSAGE,		/* the guest gets the previous response */
	ATTACK_CORRUPT_REQUEST,		/* one bit, in the request */
	ATTACK_CORRUPT_MESSAGE,		/* one bit, in the response */
	ATTACK_DROP_MESSAGE,		/* success is claimed, nothing done */
	ATTACK_BUSY,			/* "busy": try again */
	/* Answers. */
	ATTACK_WRONG_CPUID,		/* CPUID through the GHCB lies */
	ATTACK_WRONG_CPUID_PAGE,	/* the CPUID page at launch does */
	ATTACK_WEAK_CPUID_PAGE,		/* it hides INVLPGB (:2: AES), as the firmware would let it */
	ATTACK_STALE_GHCB,		/* a request in the GHCB page is left as it is */
	ATTACK_WRONG_RESPONSE,		/* an MSR request gets another code */
	ATTACK_BAD_MEMORY_MAP,		/* the memory map has two ranges that overlap */
	ATTACK_BAD_VP_COUNT,		/* more vCPUs than there can be */
	/* Levels. */
	ATTACK_DROP_RUN_VMPL,		/* a call to VMPL0 is claimed to be done */
	ATTACK_REPEAT_RUN_VMPL,		/* VMPL0 is entered again instead of the guest */
	ATTACK_FOREIGN_VMSA,		/* the page at @gpa is entered as VMSA */
	ATTACK_COUNT,
};

/* Reads opt.attack; stops L0 when the name is unknown. */
void attack_init(void);
/* An opportunity: true when the attack is to strike now. Lock held. */
MUST_CHECK bool attack_now(enum attack a);
/* The attacked page. */
uint64_t attack_gpa(void);
/* Is a request to terminate by VMPL0 on this CPU to be passed over? Lock held. */
MUST_CHECK bool attack_ignores_end(const struct vcpu *v);
/* Every VMGEXIT of VMPL0, whose number does not depend on io=: the attacks on a page. */
void attack_page(const struct vcpu *v);

#endif
