// SPDX-License-Identifier: GPL-2.0
/*
 * One call to the monitor at VMPL0.
 *
 * The only call path that the kernel exports is the one for attestation requests,
 * snp_issue_svsm_attest_req(). It takes any protocol and call number, copies 88 bytes into the
 * calling area of the CPU it runs on, and gives five registers back, with interrupts off from the
 * copy to the answer and with the kernel's own handling of the GHCB (NMIs and nested #VC
 * included). So a call can neither be torn by an interrupt nor by a migration, and the GHCB MSR
 * is never touched here. See docs/decisions/driver-call-path.md for the alternative.
 *
 * An answer is believed only so far: what is no result of the protocol is -EIO.
 */
#include <linux/cc_platform.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/sev.h>

#include "svsm.h"

/* A service needs milliseconds to start, on an emulator some hundred. */
#define SLICES_LIMIT (60 * HZ)

static_assert(sizeof(struct svsm_attest_call) == VMPL_BLOCK_LEN);

static const struct {
	u32 result;
	int err;
} results[] = {
	{ SVSM_ERR_UNSUPPORTED_PROTOCOL, -ENODEV },
	{ SVSM_ERR_UNSUPPORTED_CALL, -EIO },
	{ SVSM_ERR_INVALID_ADDRESS, -EIO },
	{ SVSM_ERR_INVALID_FORMAT, -EIO },
	{ SVSM_ERR_INVALID_PARAMETER, -EIO },
	{ SVSM_ERR_INVALID_REQUEST, -EIO },
	{ VMPL_ERR_STATE, -EIO },
	{ VMPL_ERR_OWNER, -EIO },
	{ VMPL_ERR_LANE, -EIO },
	{ VMPL_ERR_LANE_BUSY, -EBUSY },
	{ VMPL_ERR_DEAD, -EPIPE },
	{ VMPL_ERR_LIMIT, -ENOSPC },
};

static int error_of(u64 result)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(results); i++)
		if (results[i].result == result)
			return results[i].err;
	return -EIO;
}

int svsm_call_possible(void)
{
	return cc_platform_has(CC_ATTR_GUEST_SEV_SNP) && snp_vmpl ? 0 : -ENODEV;
}

int svsm_call(u32 protocol, u32 call, const struct vmpl_block *block, struct svsm_regs *out)
{
	struct svsm_attest_call copy;
	struct svsm_call regs = { .r9 = 0, .rax_out = U64_MAX };
	struct vmpl_block b = *block;
	int err;

	b.magic = VMPL_MAGIC;
	b.version = VMPL_VERSION;
	memcpy(&copy, &b, sizeof(copy));
	err = snp_issue_svsm_attest_req((u64)protocol << 32 | call, &regs, &copy);
	out->rax = regs.rax_out;
	/* Unchanged: the address of the calling area, which is nobody's business. */
	out->rcx = regs.rcx_out == regs.rcx ? 0 : regs.rcx_out;
	out->rdx = regs.rdx_out;
	out->r8 = regs.r8_out;
	out->r9 = regs.r9_out;
	if (!err && regs.rax_out == SVSM_SUCCESS)
		return 0;
	/* The kernel says -EINVAL both for a refusal and for a call that did not come through. */
	return error_of(regs.rax_out);
}

int svsm_call_all(u32 protocol, u32 call, bool killable)
{
	unsigned long end = jiffies + SLICES_LIMIT;
	const struct vmpl_block block = {};
	struct svsm_regs out;
	int err;

	for (;;) {
		err = svsm_call(protocol, call, &block, &out);
		if (err || out.rdx == VMPL_DONE)
			return err;
		if (out.rdx != VMPL_AGAIN)
			return -EIO;
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		cond_resched();
	}
}
