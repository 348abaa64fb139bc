// SPDX-License-Identifier: GPL-2.0
/*
 * Calls from inside the kernel, for tests in the VM: what user space cannot send is sent here.
 * Runs when it is loaded, prints a line for each test (KTAP), and stays loaded only if all went
 * well. Load it twice: before svsm.ko it plays a hostile driver that registers pages which are
 * not its own; beside it, it disturbs.
 *
 * It goes to the kernel's call path directly, so that nothing of the driver mends what it sends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include <asm/sev.h>

#include "wire/vmpl.h"

#define C_BIT BIT_ULL(39)
#define TICK_NS (500 * NSEC_PER_USEC)

static uint protocol = CALL_PROTOCOL;
module_param(protocol, uint, 0444);
MODULE_PARM_DESC(protocol, "number of the key-management protocol");

static ulong monitor = 0x28000000;
module_param(monitor, ulong, 0444);
MODULE_PARM_DESC(monitor, "an address of the monitor's own memory");

static uint rounds = 500;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "calls of each CPU in the tests under load");

static const struct vmpl_block good = { .magic = VMPL_MAGIC, .version = VMPL_VERSION };

/* RAX of the answer, U64_MAX if there was none. */
static u64 ask(u32 proto, u32 call, const struct vmpl_block *block, struct svsm_call *regs)
{
	struct svsm_attest_call copy;

	static_assert(sizeof(copy) == sizeof(*block));
	memcpy(&copy, block, sizeof(copy));
	memset(regs, 0, sizeof(*regs));
	regs->rax_out = U64_MAX;
	if (snp_issue_svsm_attest_req((u64)proto << 32 | call, regs, &copy) &&
	    regs->rax_out == ((u64)proto << 32 | call))
		return U64_MAX;
	return regs->rax_out;
}

static u64 ask_kms(u32 call, const struct vmpl_block *block)
{
	struct svsm_call regs;

	return ask(protocol, call, block, &regs);
}

static bool hello(void)
{
	struct svsm_call regs;

	return ask(protocol, VMPL_HELLO, &good, &regs) == SVSM_SUCCESS &&
	       regs.rcx_out == VMPL_MAGIC && regs.rdx_out >> 32 == VMPL_VERSION &&
	       regs.r8_out == CALL_AREA_LEN;
}

static u32 state(u32 *lanes)
{
	struct svsm_call regs;

	if (ask(protocol, VMPL_STATUS, &good, &regs) != SVSM_SUCCESS)
		return U32_MAX;
	if (lanes)
		*lanes = regs.r8_out;
	return regs.rcx_out;
}

static bool is_refusal(u64 rax)
{
	return rax >= SVSM_ERR_UNSUPPORTED_PROTOCOL && rax <= U32_MAX && rax != SVSM_ERR_BUSY;
}

static bool unknown_protocols_are_refused(void)
{
	static const u32 table[] = { 2, 3, CALL_PROTOCOL + 1, CALL_PROTOCOL - 1, U32_MAX };
	struct svsm_call regs;
	int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i] != protocol &&
		    ask(table[i], 0, &good, &regs) != SVSM_ERR_UNSUPPORTED_PROTOCOL)
			return false;
	return hello();
}

static bool unknown_calls_are_refused(void)
{
	static const u32 table[] = { VMPL_CALLS, VMPL_CALLS + 1, 0x100, S32_MAX, U32_MAX };
	int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (ask_kms(table[i], &good) != SVSM_ERR_UNSUPPORTED_CALL)
			return false;
	return hello();
}

/* Each call, with one bit of the block's fixed parts wrong. */
static bool bent_blocks_are_refused(void)
{
	static const size_t fixed[][2] = {
		{ offsetof(struct vmpl_block, magic), sizeof(good.magic) },
		{ offsetof(struct vmpl_block, version), sizeof(good.version) },
		{ offsetof(struct vmpl_block, zero), sizeof(good.zero) },
	};
	u32 call, before = state(NULL);
	size_t part, bit;

	for (call = 0; call < VMPL_CALLS; call++)
		for (part = 0; part < ARRAY_SIZE(fixed); part++)
			for (bit = 0; bit < fixed[part][1] * 8; bit += 5) {
				struct vmpl_block b = good;

				((u8 *)&b)[fixed[part][0] + bit / 8] ^= 1 << bit % 8;
				if (!is_refusal(ask_kms(call, &b)))
					return false;
			}
	return hello() && state(NULL) == before;
}

static bool wrong_lanes_are_refused(void)
{
	struct vmpl_block b = good;
	u32 lanes = 0, i;

	if (state(&lanes) == U32_MAX)
		return false;
	for (i = 0; i < 32; i++) {
		b.lane = lanes + (i ? 1U << (i - 1) : 0);
		if (b.lane >= lanes && !is_refusal(ask_kms(VMPL_CALL, &b)))
			return false;
	}
	return true;
}

/* OPEN, ADD and START have their time; with pages registered, OPEN and ADD have had it. */
static bool calls_out_of_order_are_refused(void)
{
	struct vmpl_block b = good;
	u32 before = state(NULL);

	b.lanes = 2;
	b.count = 1;
	switch (before) {
	case VMPL_STATE_CLOSED:
		return is_refusal(ask_kms(VMPL_ADD, &b)) && is_refusal(ask_kms(VMPL_START, &b)) &&
		       is_refusal(ask_kms(VMPL_CALL, &b)) && state(NULL) == before;
	case VMPL_STATE_STOPPED:
		return is_refusal(ask_kms(VMPL_CALL, &b)) && is_refusal(ask_kms(VMPL_OPEN, &b)) &&
		       is_refusal(ask_kms(VMPL_ADD, &b)) && state(NULL) == before;
	case VMPL_STATE_RUNNING:
		return is_refusal(ask_kms(VMPL_OPEN, &b)) && is_refusal(ask_kms(VMPL_ADD, &b)) &&
		       is_refusal(ask_kms(VMPL_START, &b)) && state(NULL) == before;
	default:
		return false;
	}
}

/* ---- pages that are not ours to give: only while no driver has registered any ---- */

static bool add_refused(u64 *list, u64 entry)
{
	struct vmpl_block b = good;

	list[0] = entry;
	b.gpa = virt_to_phys(list);
	b.count = 1;
	return is_refusal(ask_kms(VMPL_ADD, &b));
}

static bool bad_lists_are_refused(u64 *list)
{
	const u64 at = virt_to_phys(list);
	const struct {
		u64 gpa;
		u32 count;
	} table[] = {
		{ at, 0 }, { at, VMPL_ENTRIES + 1 }, { at, U32_MAX }, { at + 1, 1 },
		{ at + PAGE_SIZE - 8, 2 }, { at | C_BIT, 1 }, { at | BIT_ULL(51), 1 },
		{ at | BIT_ULL(63), 1 }, { monitor, 1 }, { monitor - 8, 2 }, { 0xfee00000, 1 },
		{ BIT_ULL(38), 1 }, { U64_MAX, 1 }, { U64_MAX - 7, 1 }, { 0 - PAGE_SIZE, 1 },
	};
	struct vmpl_block b = good;
	int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		b.gpa = table[i].gpa;
		b.count = table[i].count;
		if (!is_refusal(ask_kms(VMPL_ADD, &b)))
			return false;
	}
	return true;
}

static bool bad_entries_are_refused(u64 *list, u64 page)
{
	const u64 table[] = {
		VMPL_ENTRY(page, 0), VMPL_ENTRY(page, 1025), VMPL_ENTRY(page, 4095),
		VMPL_ENTRY(page | C_BIT, 1), VMPL_ENTRY(page | BIT_ULL(51), 1),
		VMPL_ENTRY(page | BIT_ULL(52), 1), VMPL_ENTRY(page | BIT_ULL(63), 1),
		VMPL_ENTRY(monitor, 1), VMPL_ENTRY(monitor - PAGE_SIZE, 2),
		VMPL_ENTRY(monitor - 512 * PAGE_SIZE, 1024), VMPL_ENTRY(0xfee00000ull, 1),
		VMPL_ENTRY(0xffc00000ull, 1024), VMPL_ENTRY(BIT_ULL(38), 1),
		VMPL_ENTRY(0xffffffffff000ull, 1), VMPL_ENTRY(0xffffffffff000ull, 2), U64_MAX,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (!add_refused(list, table[i]))
			return false;
	return true;
}

/* What the monitor took in is given back when the session is closed: the pages can be written. */
static bool close_gives_back(u64 *page)
{
	struct svsm_call regs;
	u64 rax;
	int i;

	for (i = 0; i < 1000; i++) {
		rax = ask(protocol, VMPL_CLOSE, &good, &regs);
		if (rax != SVSM_SUCCESS || regs.rdx_out == VMPL_DONE)
			break;
	}
	memset(page, 0x5a, PAGE_SIZE);
	return rax == SVSM_SUCCESS && state(NULL) == VMPL_STATE_CLOSED;
}

static bool foreign_pages_are_refused(void)
{
	u64 *list = (u64 *)get_zeroed_page(GFP_KERNEL), *page = (u64 *)get_zeroed_page(GFP_KERNEL);
	struct vmpl_block b = good;
	bool ok = false;

	if (list && page) {
		b.lanes = U32_MAX;
		ok = is_refusal(ask_kms(VMPL_OPEN, &b));
		b.lanes = 0;
		ok = is_refusal(ask_kms(VMPL_OPEN, &b)) && ok;
		b.lanes = 2;
		ok = ask_kms(VMPL_OPEN, &b) == SVSM_SUCCESS && ok;
		ok = bad_lists_are_refused(list) && ok;
		ok = bad_entries_are_refused(list, virt_to_phys(page)) && ok;
		list[0] = VMPL_ENTRY(virt_to_phys(page), 1);
		b.gpa = virt_to_phys(list);
		b.count = 1;
		ok = ask_kms(VMPL_ADD, &b) == SVSM_SUCCESS && ok;
		ok = add_refused(list, VMPL_ENTRY(virt_to_phys(page), 1)) && ok;	/* twice */
		ok = is_refusal(ask_kms(VMPL_START, &b)) && ok;	/* pages are missing */
		ok = close_gives_back(page) && ok;
	}
	if (state(NULL) != VMPL_STATE_CLOSED)
		return false;	/* the page is not the kernel's to use */
	free_page((unsigned long)page);
	free_page((unsigned long)list);
	return ok;
}

/* ---- interrupts, CPUs ---- */

static void hello_here(void *arg)
{
	*(bool *)arg = hello();
}

static bool every_cpu_gets_its_answer_in_an_interrupt(void)
{
	unsigned int cpu;
	bool ok;

	for_each_online_cpu(cpu) {
		ok = false;
		if (smp_call_function_single(cpu, hello_here, &ok, 1) || !ok)
			return false;
	}
	return true;
}

static atomic_t ticks, wrong_ticks;

static enum hrtimer_restart tick(struct hrtimer *t)
{
	if (!hello())
		atomic_inc(&wrong_ticks);
	atomic_inc(&ticks);
	hrtimer_forward_now(t, ns_to_ktime(TICK_NS));
	return HRTIMER_RESTART;
}

/* A timer that calls, too, as often as it can, while this thread does nothing else. */
static bool interrupts_between_calls_do_no_harm(void)
{
	struct hrtimer t;
	bool ok = true;
	uint i;

	atomic_set(&ticks, 0);
	atomic_set(&wrong_ticks, 0);
	hrtimer_init(&t, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	t.function = tick;
	hrtimer_start(&t, ns_to_ktime(TICK_NS), HRTIMER_MODE_REL_HARD);
	for (i = 0; ok && (i < rounds || atomic_read(&ticks) < 20); i++) {
		ok = hello();
		cond_resched();
	}
	hrtimer_cancel(&t);
	return ok && !atomic_read(&wrong_ticks);
}

static bool the_ghcb_msr_is_as_before(void)
{
	u64 before, after;
	bool ok;

	preempt_disable();
	ok = hello();
	rdmsrl(MSR_AMD64_SEV_ES_GHCB, before);
	ok = hello() && ok;
	rdmsrl(MSR_AMD64_SEV_ES_GHCB, after);
	preempt_enable();
	return ok && before == after && !(before & ~PAGE_MASK);
}

struct caller {
	struct completion done;
	bool ok;
};

static int call_and_wander(void *arg)
{
	struct caller *c = arg;
	uint i;

	c->ok = true;
	for (i = 0; i < rounds && c->ok; i++) {
		c->ok = hello();
		if (i % 8 == 0)
			set_cpus_allowed_ptr(current, cpumask_of(i / 8 % num_online_cpus()));
		cond_resched();
	}
	complete(&c->done);
	return 0;
}

/* One thread more than CPUs, so that some are always moved in the middle of something. */
static bool callers_that_change_cpus_get_their_answers(void)
{
	unsigned int count = num_online_cpus() + 1, i;
	struct caller *c = kcalloc(count, sizeof(*c), GFP_KERNEL);
	struct task_struct *t;
	bool ok = c;

	for (i = 0; c && i < count; i++) {
		init_completion(&c[i].done);
		t = kthread_run(call_and_wander, &c[i], "svsm-selftest");
		if (IS_ERR(t))
			complete(&c[i].done);
	}
	for (i = 0; c && i < count; i++) {
		wait_for_completion(&c[i].done);
		ok = ok && c[i].ok;
	}
	kfree(c);
	return ok;
}

#define TEST(name) { #name, name, false }
static const struct {
	const char *name;
	bool (*run)(void);
	bool alone;	/* only while no driver has pages registered */
} tests[] = {
	TEST(hello),
	TEST(unknown_protocols_are_refused),
	TEST(unknown_calls_are_refused),
	TEST(bent_blocks_are_refused),
	TEST(wrong_lanes_are_refused),
	TEST(calls_out_of_order_are_refused),
	{ "foreign_pages_are_refused", foreign_pages_are_refused, true },
	TEST(every_cpu_gets_its_answer_in_an_interrupt),
	TEST(interrupts_between_calls_do_no_harm),
	TEST(the_ghcb_msr_is_as_before),
	TEST(callers_that_change_cpus_get_their_answers),
};

static int __init selftest_init(void)
{
	unsigned int i, failed = 0;
	const char *skip;
	bool ok;

	if (!cc_platform_has(CC_ATTR_GUEST_SEV_SNP) || !snp_vmpl)
		return -ENODEV;
	pr_info("TAP version 13\n");
	pr_info("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		skip = tests[i].alone && state(NULL) != VMPL_STATE_CLOSED ?
			" # SKIP the driver is loaded" : "";
		ok = *skip || tests[i].run();
		failed += !ok;
		pr_info("%s %u %s%s\n", ok ? "ok" : "not ok", i + 1, tests[i].name, skip);
	}
	return failed ? -EIO : 0;
}

static void __exit selftest_exit(void)
{
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_DESCRIPTION("Tests of the calls to VMPL0");
MODULE_LICENSE("GPL");
