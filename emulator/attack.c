/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile host; see attack.h. Attacks on pages are here, the others where their opportunity is.
 */
#include <string.h>

#include "emulator/attack.h"

static const char *const names[ATTACK_COUNT] = {
	[ATTACK_REMAP_PAGE] = "remap-page",
	[ATTACK_REPLACE_PAGE] = "replace-page",
	[ATTACK_SWAP_PAGES] = "swap-pages",
	[ATTACK_PSC_UNDER_GUEST] = "psc-under-guest",
	[ATTACK_PSC_FLIP] = "psc-flip",
	[ATTACK_IGNORE_END] = "ignore-end",
	[ATTACK_REPLAY_REQUEST] = "replay-request",
	[ATTACK_REPLAY_MESSAGE] = "replay-message",
	[ATTACK_CORRUPT_REQUEST] = "corrupt-request",
	[ATTACK_CORRUPT_MESSAGE] = "corrupt-message",
	[ATTACK_DROP_MESSAGE] = "drop-message",
	[ATTACK_BUSY] = "busy",
	[ATTACK_WRONG_CPUID] = "wrong-cpuid",
	[ATTACK_WRONG_CPUID_PAGE] = "wrong-cpuid-page",
	[ATTACK_WEAK_CPUID_PAGE] = "weak-cpuid-page",
	[ATTACK_STALE_GHCB] = "stale-ghcb",
	[ATTACK_WRONG_RESPONSE] = "wrong-response",
	[ATTACK_BAD_MEMORY_MAP] = "bad-memory-map",
	[ATTACK_BAD_VP_COUNT] = "bad-vp-count",
	[ATTACK_DROP_RUN_VMPL] = "drop-run-vmpl",
	[ATTACK_REPEAT_RUN_VMPL] = "repeat-run-vmpl",
	[ATTACK_FOREIGN_VMSA] = "foreign-vmsa",
};

#define DEFAULT_GPA 0x1000000ul

static enum attack chosen;
static uint64_t opportunities = 1, victim = DEFAULT_GPA;

/* Digits at *s in this base, as far as they go. */
static uint64_t number(const char **s, unsigned base)
{
	uint64_t v = 0;

	for (;; (*s)++) {
		unsigned c = (unsigned char)**s, digit;

		digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
		if (digit >= base)
			return v;
		v = v * base + digit;
	}
}

void attack_init(void)
{
	const char *s = opt.attack;
	size_t len = 0;
	int i;

	if (!s)
		return;
	while (s[len] && s[len] != ' ' && s[len] != ':' && s[len] != '@')
		len++;
	for (i = 1; i < ATTACK_COUNT; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], s, len))
			chosen = (enum attack)i;
	s += len;
	if (*s == ':') {
		s++;
		opportunities = number(&s, 10);
	}
	if (*s == '@') {
		s++;
		victim = number(&s, 16) & ~(PAGE_LEN - 1);
	}
	if (!chosen || (*s && *s != ' ') || !opportunities)
		l0_stop(STOP_BUG, "attack: unknown");
}

uint64_t attack_gpa(void)
{
	return victim;
}

bool attack_now(enum attack a)
{
	if (a != chosen || !opportunities || --opportunities)
		return false;
	l0_print("L0: attack: %s\n", names[a]);
	return true;
}

bool attack_ignores_end(const struct vcpu *v)
{
	static const struct vcpu *left;

	if (chosen != ATTACK_IGNORE_END || opportunities || v->vmpl)
		return false;
	if (!left) {
		l0_print("L0: attack: CPU %u wants to terminate, and is left there\n", v->index);
		left = v;
	}
	return left == v;
}

/* The host's own choice of machine pages for the guest's; everything else is where it says. */
static struct {
	uint64_t gfn, pfn;
} moved[2];
static unsigned moved_count;

uint64_t host_pfn(uint64_t gfn)
{
	unsigned i;

	for (i = 0; i < moved_count; i++)
		if (moved[i].gfn == gfn)
			return moved[i].pfn;
	return gfn;
}

static void move(uint64_t gfn, uint64_t pfn)
{
	moved[moved_count].gfn = gfn;
	moved[moved_count++].pfn = pfn;
}

void attack_page(const struct vcpu *v)
{
	uint64_t gfn = victim / PAGE_LEN;

	switch (chosen) {
	case ATTACK_REMAP_PAGE:
	case ATTACK_REPLACE_PAGE:
	case ATTACK_SWAP_PAGES:
	case ATTACK_PSC_UNDER_GUEST:
	case ATTACK_PSC_FLIP:
	case ATTACK_IGNORE_END:
		break;
	default:
		return;
	}
	if (!is_ram(victim) || !attack_now(chosen))
		return;
	if (chosen == ATTACK_REMAP_PAGE || chosen == ATTACK_REPLACE_PAGE)
		move(gfn, (uint64_t)page_alloc(1) / PAGE_LEN);
	if (chosen == ATTACK_REPLACE_PAGE && rmp_update(&rmp, host_pfn(gfn), gfn, true, false) != RC_OK)
		l0_stop(STOP_BUG, "attack: RMPUPDATE");
	if (chosen == ATTACK_SWAP_PAGES) {
		move(gfn, gfn + 1);
		move(gfn + 1, gfn);
	}
	if (chosen == ATTACK_PSC_UNDER_GUEST || chosen == ATTACK_PSC_FLIP || chosen == ATTACK_IGNORE_END) {
		bool done = page_state_change(v, victim, false, false) &&
			    (chosen == ATTACK_PSC_UNDER_GUEST || page_state_change(v, victim, false, true));

		if (!done)
			l0_print("L0: attack: the processor refuses\n");
	}
	if (npt_drop(gfn, 2))
		smp_kick_others(v);
}
