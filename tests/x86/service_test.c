/* SPDX-License-Identifier: Apache-2.0 */
/* The key service's life at CPL3, and the platform service's requests. The program is a function of the test. */
#include <stdlib.h>

#include "tests/fake/x86.h"
#include "tests/test.h"

#define LANES 3u
#define FRAMES (2 * LANES * MON_AREA_PAGES)
#define TABLES 400u	/* room for the page tables of the lanes */

static const struct boot_msg boot = { .magic = BOOT_MAGIC, .version = BOOT_VERSION, .lanes = LANES };
static uint32_t frames[FRAMES];
static uint8_t file[FAKE_ELF_LEN];

void stop(enum mon_reason why, const char *text)
{
	(void)why;
	fail_msg("the monitor stops: %s", text);
	abort();
}

/*
 * A service of LANES threads. r15 is a thread's program counter: the first makes the others, each sleeps in the lane that
 * r14 says. r13 counts how often it was woken.
 */
static struct {
	bool fault, exit, same_lane, never;
	uint64_t woken[LANES];
	unsigned waits;		/* futex waits on something else before sleeping again */
} how;

static void futex(struct regs *r, uint64_t at, uint32_t value)
{
	r->rax = 202;
	r->rdi = at;
	r->rsi = 0;
	r->rdx = value;
}

static uint64_t service_user(struct regs *r)
{
	uint64_t clone[8] = { 0x3d0f00, 0, FAKE_DATA + 512, FAKE_DATA + 520, 0, USER_MMAP, 0x8000, FAKE_DATA };

	if (how.fault && r->r15)
		return 13;
	if (r->r15 == 0) {	/* the first thread makes the others; r14: how many so far */
		if (r->r14 + 1 < LANES) {
			memcpy(fake_memory + r->r12, clone, sizeof(clone));
			r->r14++;
			r->rax = 435;
			r->rdi = FAKE_DATA + 256;
			r->rsi = sizeof(clone);
			r->r15 = 1;
			return VECTOR_SYSCALL;
		}
		r->r14 = LANES - 1;
		r->r15 = 2;
	}
	if (r->r15 == 1) {	/* back from clone3: r14 is the child's lane + 1 */
		if (r->rax == 0) {
			r->r14--;
			r->r15 = 2;
		} else {
			r->r15 = 0;
			return service_user(r);
		}
	}
	if (how.exit && r->r15 > 2) {
		r->rax = 231;
		r->rdi = 0;
		return VECTOR_SYSCALL;
	}
	if (how.never || (r->r15 > 2 && how.waits)) {
		how.waits -= how.waits > 0;
		futex(r, FAKE_DATA, 0);
		r->rdx = *(uint32_t *)(fake_memory + r->r11);
		return VECTOR_SYSCALL;
	}
	if (r->r15 > 2)
		how.woken[r->r14]++;
	r->r15 = 3;
	futex(r, USER_REQ + (how.same_lane ? 0 : r->r14) * CALL_AREA_LEN, 0);
	return VECTOR_SYSCALL;
}

/* Finds where FAKE_DATA lies, since the program writes there without an address space of its own. */
static uint64_t data_gpa(void)
{
	unsigned i;

	for (i = 1; i <= FAKE_PAGES; i++)
		if (memcmp(fake_memory + i * 4096ull + 0x100, file + 0x2100, 16) == 0)
			return i * 4096ull + 0x100;
	return 0;
}

static uint64_t first_entry(struct regs *r)
{
	uint64_t at = data_gpa();

	EXPECT(at);
	r->r12 = at + 256;
	r->r11 = at;
	fake_user = service_user;
	return service_user(r);
}

static void prepare(void)
{
	static const struct launch_range range = { 3000 * PAGE, FAKE_ELF_LEN };
	uint32_t i;

	fake_x86_reset(2000);
	memset(&how, 0, sizeof(how));
	(void)fake_elf(file, sizeof(file));
	memcpy(fake_memory + range.gpa, file, sizeof(file));
	for (i = 0; i < FRAMES; i++)
		frames[i] = 3500;	/* one page stands for all; nothing is written there */
	service_file(&range);
	fake_user = first_entry;
}

static enum rc start(unsigned *calls)
{
	enum rc rc;

	*calls = 0;
	do {
		rc = plat_service_start(&boot, frames);
		++*calls;
	} while (rc == RC_BUSY && *calls < 100000);
	return rc;
}

static void destroy(void)
{
	while (plat_service_destroy() == RC_BUSY)
		;
	EXPECT_INT(fake_pages_out(), 0);
}

TEST(the_service_starts_in_pieces_and_sleeps_in_all_its_lanes)
{
	unsigned calls;

	prepare();
	EXPECT(start(&calls) == RC_OK && calls > FRAMES / 4096);
	EXPECT(plat_service_run(1) == RC_OK && plat_service_run(1) == RC_OK && plat_service_run(2) == RC_OK);
	EXPECT(how.woken[0] == 0 && how.woken[1] == 2 && how.woken[2] == 1);
	destroy();
	fake_user = first_entry;
	EXPECT(start(&calls) == RC_OK && plat_service_run(0) == RC_OK);	/* and again */
	destroy();
}

TEST(a_lane_without_a_thread_is_not_run)
{
	unsigned calls;

	prepare();
	EXPECT(plat_service_run(0) == RC_DENIED);
	EXPECT(start(&calls) == RC_OK);
	EXPECT(plat_service_run(LANES) == RC_DENIED && plat_service_run(~0u) == RC_DENIED);
	destroy();
	EXPECT(plat_service_run(0) == RC_DENIED);
}

/* T-245 */
TEST(a_service_that_faults_or_ends_is_dead_in_all_its_lanes_until_it_is_loaded_anew)
{
	unsigned calls, way;

	for (way = 0; way < 2; way++) {
		prepare();
		EXPECT(start(&calls) == RC_OK);
		how.fault = way == 0;
		how.exit = way == 1;
		EXPECT(plat_service_run(1) == RC_DENIED);
		how.fault = how.exit = false;
		EXPECT(plat_service_run(1) == RC_DENIED && plat_service_run(0) == RC_DENIED);
		EXPECT(plat_service_start(&boot, frames) == RC_DENIED);
		destroy();
		fake_user = first_entry;
		EXPECT(start(&calls) == RC_OK && plat_service_run(1) == RC_OK);
		destroy();
	}
}

TEST(a_service_whose_start_fails_is_never_run)
{
	unsigned calls;

	prepare();
	how.fault = true;
	EXPECT(start(&calls) == RC_DENIED && plat_service_run(0) == RC_DENIED);
	destroy();
	prepare();
	how.same_lane = true;	/* two threads in one lane */
	EXPECT(start(&calls) == RC_DENIED && plat_service_run(0) == RC_DENIED);
	destroy();
	prepare();
	how.never = true;
	EXPECT(start(&calls) == RC_DENIED && calls > 1000);	/* it was given time, in small pieces */
	destroy();
	prepare();
	fake_memory[3000 * PAGE] = 0;	/* not an ELF file */
	EXPECT(start(&calls) == RC_BAD_INPUT && plat_service_run(0) == RC_DENIED);
	destroy();
}

TEST(a_lane_that_waits_for_another_gives_the_guest_its_vcpu_back)
{
	unsigned calls, again = 0;
	enum rc rc;

	prepare();
	EXPECT(start(&calls) == RC_OK);
	how.waits = 10000;
	while ((rc = plat_service_run(0)) == RC_BUSY)
		again++;
	EXPECT(rc == RC_OK && again > 1 && how.woken[0] == 1);
	destroy();
}

/* The platform service: reads 8 bytes, answers with them; r15: its state. */
static unsigned answers, broken;

static uint64_t platform_user(struct regs *r)
{
	if (broken)
		return 14;
	if (r->rip != FAKE_TEXT + 0x200)	/* set back to the read that had nothing to read */
		r->r15--;
	r->rip = FAKE_TEXT + 0x200;
	r->rdi = r->r15 % (answers + 1) ? 1 : 0;
	r->rax = r->rdi;
	r->rsi = FAKE_DATA;
	r->rdx = 8;
	r->r15++;
	return VECTOR_SYSCALL;
}

TEST(the_platform_service_answers_whole_requests_or_is_given_up)
{
	static const struct launch_range range = { 3000 * PAGE, FAKE_ELF_LEN };
	uint8_t req[8] = "request", rsp[8] = { 0 };

	fake_x86_reset(2000);
	(void)fake_elf(file, sizeof(file));
	memcpy(fake_memory + range.gpa, file, sizeof(file));
	answers = 1;
	fake_user = platform_user;
	platform_load(&range);
	EXPECT(plat_platform(req, 8, rsp, 8) == RC_OK);
	EXPECT_MEM(rsp, req, 8);
	req[0] = 'R';
	EXPECT(plat_platform(req, 8, rsp, 8) == RC_OK && rsp[0] == 'R');
	broken = 1;
	EXPECT(plat_platform(req, 8, rsp, 8) == RC_MACHINE);
	broken = 0;
	EXPECT(plat_platform(req, 8, rsp, 8) == RC_MACHINE);	/* for ever */
	service_wipe();
	EXPECT_INT(fake_pages_out(), 0);
}
