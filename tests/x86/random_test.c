/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor's random numbers and their health test. A bad source is bad for good: tests run in the order of
 * their names' lines here, and those that break it fork.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fake/x86.h"
#include "tests/test.h"

static uint64_t numbers;

static bool good(uint64_t *out)
{
	*out = ++numbers << 32;
	return true;
}

static bool never(uint64_t *out)
{
	*out = 0;
	return false;
}

static bool sometimes(uint64_t *out)
{
	static unsigned n;

	*out = ++numbers;
	return ++n % 900 == 0;
}

/* What a broken RDRAND of some processors says after sleep. */
static bool ones(uint64_t *out)
{
	*out = ~0ull;
	return true;
}

static bool stuck_later(uint64_t *out)
{
	static unsigned n;

	*out = ++n < 20 ? n : 20;
	return true;
}

/* In a process of its own: does this source fail, and stay so when it is good again? */
static bool fails_for_good(bool (*seed)(uint64_t *), bool (*rand)(uint64_t *), unsigned words)
{
	uint64_t v[64];
	int status;
	pid_t child = fork();

	if (!child) {
		fake_rdseed = seed;
		fake_rdrand = rand;
		if (random_fill(v, words * 8) == RC_OK)
			_exit(1);
		fake_rdseed = fake_rdrand = good;
		_exit(random_fill(v, 8) == RC_OK ? 2 : 0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* T-244 */
TEST(a_source_that_repeats_itself_is_never_used_again)
{
	EXPECT(fails_for_good(ones, ones, 2));
	EXPECT(fails_for_good(stuck_later, good, 30));
}

TEST(a_source_that_gives_nothing_is_never_used_again)
{
	EXPECT(fails_for_good(never, good, 1));	/* RDSEED is there, so RDRAND is no way round it */
}

TEST(without_rdseed_and_rdrand_there_is_no_randomness)
{
	fake_cpuid_ebx7 = fake_cpuid_ecx1 = 0;
	EXPECT(fails_for_good(good, good, 1));
	fake_cpuid_ebx7 = 1u << 18;
	fake_cpuid_ecx1 = 1u << 30;
}

TEST(a_source_that_is_slow_is_waited_for)
{
	uint64_t a[3] = { 0 };

	fake_rdseed = sometimes;
	EXPECT(random_fill(a, 20) == RC_OK);
	EXPECT(a[0] && a[1] && a[0] != a[1] && a[2] >> 32 == 0);	/* not a byte too many */
	fake_rdseed = good;
	EXPECT(random_fill(a, 0) == RC_OK);
}

TEST(without_randomness_no_program_starts)
{
	static uint8_t file[FAKE_ELF_LEN];
	static struct thread t[1];
	static struct process p;
	int status;
	pid_t child = fork();

	if (!child) {
		fake_x86_reset(2000);
		fake_rdseed = never;
		_exit(process_new(&p, t, 1) == RC_OK &&
		      process_load(&p, slice_of(file, fake_elf(file, sizeof(file)))) == RC_MACHINE ? 0 : 1);
	}
	EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}
