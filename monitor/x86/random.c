/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness from the processor: RDSEED, else RDRAND, as the CPUID page says. Neither is intercepted. Health test: a
 * 64-bit sample that repeats the one before (NIST SP 800-90B, 4.4.1, with a cutoff of two) ends the
 * source for good; there is no other to fall back to.
 */
#include <string.h>

#include "monitor/x86/process.h"

#define TRIES 1000

static uint32_t lock;
static uint64_t last;
static bool bad;

static bool sample(bool seed, uint64_t *out)
{
	unsigned i;

	for (i = 0; i < TRIES; i++)
		if (seed ? insn_rdseed(out) : insn_rdrand(out))
			return true;
	return false;
}

enum rc random_fill(void *to, size_t len)
{
	const struct snp_cpuid_entry *e7 = cpuid_find(7, 0), *e1 = cpuid_find(1, 0);
	bool seed = e7 && e7->ebx >> 18 & 1, rand = e1 && e1->ecx >> 30 & 1;
	uint8_t *out = to;
	uint64_t v = 0;

	spin_lock(&lock);
	while (len && !bad) {
		size_t n = len < sizeof(v) ? len : sizeof(v);

		bad = !(seed || rand) || !sample(seed, &v) || v == last;
		last = v;
		memcpy(out, &v, n);
		out += n;
		len -= n;
	}
	spin_unlock(&lock);
	mem_wipe(&v, sizeof(v));
	return bad ? RC_MACHINE : RC_OK;
}
