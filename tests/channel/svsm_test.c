/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel through /dev/svsm, with tests/fake/svsm_dev.c as driver and monitor, and the real service behind
 * it. The driver itself is tested inside the VM (tests/driver).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/impl.h"
#include "tests/fake/svsm_dev.h"
#include "tests/test.h"
#include "wire/vmpl.h"

#define DEVICE "/dev/svsm"

static void device(uint32_t lanes)
{
	const char *env = getenv("SVSM_SERVICE");

	alarm(120);	/* a hang is a failure */
	fake_svsm_reset(env ? env : SVSM_SERVICE, lanes);
}

static enum rc open_it(uint32_t workers, struct channel **ch, struct channel_error *err)
{
	return channel_open_svsm_on(&fake_svsm, DEVICE, workers, ch, err);
}

static struct channel *start(uint32_t lanes, uint32_t workers)
{
	struct channel_error err;
	struct channel *ch = NULL;

	device(lanes);
	if (open_it(workers, &ch, &err) != RC_OK)
		fprintf(stderr, "%s\n", err.text);
	INVARIANT(ch != NULL);
	return ch;
}

static enum rc one(struct channel_lane *l, enum wire_call call, uint32_t *result, struct slice *answer)
{
	int slot = channel_slot_take(l, false);
	enum rc rc;

	INVARIANT(slot >= 0 && channel_submit(l, slot, call, 0));
	rc = channel_flush(l);
	if (rc == RC_OK)
		*result = channel_result(l, slot, answer);
	channel_slot_release(l, slot);
	return rc;
}

/* What the service says of its isolation; 0: it does not answer. */
static uint32_t hello(struct channel_lane *l)
{
	struct slice answer = { 0 };
	uint32_t result = 99, isolation = 0;
	struct wire_ans ans;

	if (one(l, CALL_HELLO, &result, &answer) != RC_OK)
		return 0;
	INVARIANT(result == E_OK && wire_ans_get(cur_of(answer.p, answer.len), &ans) == RC_OK &&
		  cur_le32(&ans.body, &isolation));
	return isolation;
}

static bool rings(const struct channel *ch)
{
	struct pollfd p = { .fd = channel_death_fd(ch), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

TEST(it_answers_and_names_the_isolation_that_the_monitor_names)
{
	struct channel *ch = start(3, 0);

	EXPECT_INT(hello(channel_lane(ch, 0)), ISOLATION_VMPL0_EMULATED);
	EXPECT_INT(channel_isolation(ch), ISOLATION_VMPL0_EMULATED);
	EXPECT_INT(channel_pid(ch), -1);
	EXPECT(!rings(ch));
	channel_close(ch);
}

TEST(the_lanes_are_as_many_as_the_device_has)
{
	struct channel *ch = start(5, 0);

	EXPECT_INT(channel_workers(ch), 4);
	EXPECT(hello(channel_lane(ch, 3)) && hello(channel_lane(ch, CHANNEL_CONTROL)));
	channel_close(ch);
	ch = start(5, 2);	/* fewer are wanted */
	EXPECT_INT(channel_workers(ch), 2);
	EXPECT(hello(channel_lane(ch, 1)) && hello(channel_lane(ch, CHANNEL_CONTROL)));
	channel_close(ch);
	ch = start(2, 64);	/* more are wanted than there are */
	EXPECT_INT(channel_workers(ch), 1);
	EXPECT(hello(channel_lane(ch, 0)) && hello(channel_lane(ch, CHANNEL_CONTROL)));
	channel_close(ch);
}

TEST(one_flush_of_many_calls_is_one_crossing)
{
	struct channel *ch = start(2, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	unsigned before = fake_svsm_seen().calls, i;
	uint64_t crossings, calls;
	struct slice answer;
	int slot[64];

	for (i = 0; i < ARRAY_LEN(slot); i++) {
		slot[i] = channel_slot_take(l, false);
		EXPECT(slot[i] >= 0 && channel_submit(l, slot[i], CALL_HELLO, 0));
	}
	EXPECT(channel_flush(l) == RC_OK);
	EXPECT_INT(fake_svsm_seen().calls - before, 1);
	for (i = 0; i < ARRAY_LEN(slot); i++)
		EXPECT_INT(channel_result(l, slot[i], &answer), E_OK);
	channel_counts(ch, &crossings, &calls);
	EXPECT_INT(crossings, 1);
	EXPECT_INT(calls, 64);
	EXPECT(channel_flush(l) == RC_OK);	/* of nothing */
	EXPECT_INT(fake_svsm_seen().calls - before, 1);
	channel_close(ch);
}

static bool inside(const uint8_t *p, size_t len, const uint8_t *area, size_t area_len)
{
	return p >= area && p + len <= area + area_len;
}

TEST(nothing_is_copied_request_and_answer_pages_are_the_drivers)
{
	struct channel *ch = start(3, 0);
	struct fake_svsm_seen seen = fake_svsm_seen();
	uint32_t numbers[] = { 0, 1, CHANNEL_CONTROL };
	struct slice answer;
	size_t i;
	int large;

	EXPECT_INT(seen.maps, 2);
	EXPECT_INT(seen.req_len, CALL_AREA_LEN * 3);
	EXPECT_INT(seen.rsp_len, CALL_AREA_LEN * 3);
	for (large = 0; large < 2; large++)
		for (i = 0; i < ARRAY_LEN(numbers); i++) {
			struct channel_lane *l = channel_lane(ch, numbers[i]);
			int slot = channel_slot_take(l, large);

			EXPECT(inside(channel_request(l, slot), channel_room(slot), seen.req, seen.req_len));
			EXPECT(channel_submit(l, slot, CALL_HELLO, 0) && channel_flush(l) == RC_OK);
			EXPECT_INT(channel_result(l, slot, &answer), E_OK);
			EXPECT(answer.len && inside(answer.p, answer.len, seen.rsp, seen.rsp_len));
			channel_slot_release(l, slot);
		}
	EXPECT_INT(fake_svsm_seen().maps, 2);
	channel_close(ch);
	EXPECT_INT(fake_svsm_seen().unmaps, 2);
}

TEST(a_second_opener_is_told_that_the_service_is_taken)
{
	struct channel *ch = start(2, 0), *second = NULL;
	struct channel_error err;

	EXPECT(open_it(0, &second, &err) == RC_MACHINE);
	EXPECT(second == NULL);
	EXPECT(strstr(err.text, "another program has it") != NULL);
	EXPECT(hello(channel_lane(ch, 0)));
	channel_close(ch);
	EXPECT(open_it(0, &second, &err) == RC_OK);
	channel_close(second);
}

TEST(each_error_of_opening_has_a_remedy_and_leaves_nothing_behind)
{
	static const struct {
		unsigned long request;
		int error;
		const char *says;
	} table[] = {
		{ 1, ENOENT, "modprobe svsm" },	     { 1, EACCES, "only root" },
		{ 1, EBUSY, "another program" },     { 1, ENODEV, "does not offer" },
		{ 1, ETIMEDOUT, "kernel's log" },    { SVSM_IOC_INFO, ENOTTY, "not the driver's device" },
		{ SVSM_IOC_INFO, EIO, "kernel's log" }, { 0, EBUSY, "request pages" },
		{ 0, ENOMEM, "request pages" },
	};
	struct channel_error err;
	struct channel *ch = NULL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		struct fake_svsm_seen seen;

		device(2);
		fake_svsm_refuse(table[i].request, table[i].error, 1);
		EXPECT(open_it(0, &ch, &err) == RC_MACHINE);
		EXPECT(strstr(err.text, table[i].says) != NULL && strstr(err.text, DEVICE) != NULL);
		seen = fake_svsm_seen();
		EXPECT_INT(seen.opens, seen.closes);
		EXPECT_INT(seen.maps, seen.unmaps);
	}
	EXPECT(channel_open_svsm("/nowhere/svsm", 0, &ch, &err) == RC_MACHINE);
	EXPECT(strstr(err.text, "/nowhere/svsm") != NULL);
	EXPECT(channel_open_svsm("/dev/null", 0, &ch, &err) == RC_MACHINE);
	EXPECT(strstr(err.text, "not the driver's device") != NULL);
	EXPECT(ch == NULL);
}

TEST(a_driver_of_another_kind_is_refused)
{
	struct channel_error err;
	struct channel *ch = NULL;
	struct svsm_info lie;
	unsigned i;

	for (i = 0; i < 8; i++) {
		device(2);
		lie = fake_svsm_honest();
		switch (i) {
		case 0: lie.version++; break;
		case 1: lie.area_len--; break;
		case 2: lie.area_len = 0; break;
		case 3: lie.lanes = 0; break;
		case 4: lie.lanes = 1; break;
		case 5: lie.lanes = CALL_LANES_MAX + 1; break;
		case 6: lie.isolation = ISOLATION_PROCESS; break;
		default: lie.isolation = 4; break;
		}
		fake_svsm_lie(&lie);
		EXPECT(open_it(0, &ch, &err) == RC_MACHINE);
		EXPECT(strstr(err.text, "another kind") != NULL);
	}
	/* More lanes than it has pages for: the mapping is what refuses. */
	device(2);
	lie = fake_svsm_honest();
	lie.lanes = 3;
	fake_svsm_lie(&lie);
	EXPECT(open_it(0, &ch, &err) == RC_MACHINE);
	EXPECT(strstr(err.text, "cannot be mapped") != NULL);
	EXPECT_INT(fake_svsm_seen().opens, fake_svsm_seen().closes);
}

TEST(an_interrupted_call_is_made_again)
{
	struct channel *ch = start(2, 0);

	fake_svsm_refuse(SVSM_IOC_CALL, EINTR, 100);
	EXPECT(hello(channel_lane(ch, 0)));
	EXPECT(!rings(ch));
	channel_close(ch);
}

TEST(a_switch_that_the_host_drops_is_asked_for_again_a_few_times)
{
	struct channel *ch = start(2, 0);

	fake_svsm_refuse(SVSM_IOC_CALL, EIO, 2);
	EXPECT(hello(channel_lane(ch, 0)));
	EXPECT(!rings(ch));
	fake_svsm_refuse(SVSM_IOC_CALL, EIO, 1000);
	EXPECT(!hello(channel_lane(ch, 0)));
	EXPECT(rings(ch));
	channel_close(ch);
}

TEST(a_call_that_says_it_is_done_and_is_not_counts_as_the_services_death)
{
	struct channel *ch = start(2, 0);

	fake_svsm_idle(1);
	EXPECT(!hello(channel_lane(ch, 0)));
	EXPECT(rings(ch));
	channel_close(ch);
}

TEST(a_lane_in_use_elsewhere_is_an_error_and_not_a_wait)
{
	struct channel *ch = start(2, 0);

	fake_svsm_refuse(SVSM_IOC_CALL, EBUSY, 1);
	EXPECT(!hello(channel_lane(ch, 0)));
	channel_close(ch);
}

TEST(the_services_death_rings_and_a_restart_brings_a_new_one_in_the_same_pages)
{
	struct channel *ch = start(3, 0);
	struct fake_svsm_seen seen = fake_svsm_seen();
	uint32_t generation = channel_generation(ch), result;
	struct channel_error err;
	struct slice answer;
	unsigned i;

	for (i = 0; i < 10; i++)
		EXPECT(hello(channel_lane(ch, 0)));
	fake_svsm_die();
	EXPECT(one(channel_lane(ch, 0), CALL_HELLO, &result, &answer) == RC_MACHINE);
	EXPECT(one(channel_lane(ch, 1), CALL_HELLO, &result, &answer) == RC_MACHINE);
	EXPECT(one(channel_lane(ch, 0), CALL_HELLO, &result, &answer) == RC_MACHINE);
	EXPECT(rings(ch));
	EXPECT(channel_restart(ch, &err) == RC_OK);
	EXPECT(!rings(ch));
	EXPECT_INT(channel_generation(ch), generation + 1);
	EXPECT(hello(channel_lane(ch, 0)) && hello(channel_lane(ch, 1)) && hello(channel_lane(ch, CHANNEL_CONTROL)));
	EXPECT_INT(fake_svsm_seen().resets, 1);
	EXPECT_INT(fake_svsm_seen().maps, 2);
	EXPECT(fake_svsm_seen().req == seen.req && fake_svsm_seen().rsp == seen.rsp);
	channel_close(ch);
}

TEST(what_was_submitted_before_a_restart_is_not_run_after_it)
{
	struct channel *ch = start(2, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	int slot = channel_slot_take(l, false);
	struct channel_error err;

	EXPECT(hello(l));
	EXPECT(channel_submit(l, slot, CALL_HELLO, 0));
	fake_svsm_die();
	EXPECT(!hello(channel_lane(ch, CHANNEL_CONTROL)));
	EXPECT(channel_restart(ch, &err) == RC_OK);
	EXPECT(channel_flush(l) == RC_MACHINE);
	channel_slot_release(l, slot);
	EXPECT(hello(l));
	channel_close(ch);
}

TEST(a_restart_that_fails_says_so_and_can_be_tried_again)
{
	struct channel *ch = start(2, 0);
	struct channel_error err;

	fake_svsm_die();
	EXPECT(!hello(channel_lane(ch, 0)));
	fake_svsm_refuse(SVSM_IOC_RESET, EINTR, 3);
	fake_svsm_refuse(SVSM_IOC_RESET, EIO, 1);
	EXPECT(channel_restart(ch, &err) == RC_MACHINE);
	EXPECT(strstr(err.text, "does not start again") != NULL);
	EXPECT(!hello(channel_lane(ch, 0)));
	EXPECT(channel_restart(ch, &err) == RC_OK);
	EXPECT(hello(channel_lane(ch, 0)));
	channel_close(ch);
}

TEST(a_killed_service_gets_no_more_calls_until_the_restart)
{
	struct channel *ch = start(2, 0);
	struct channel_error err;
	unsigned calls;

	EXPECT(hello(channel_lane(ch, 0)));
	calls = fake_svsm_seen().calls;
	channel_kill(ch);
	EXPECT(rings(ch));
	EXPECT(!hello(channel_lane(ch, 0)));
	EXPECT_INT(fake_svsm_seen().calls, calls);
	EXPECT(channel_restart(ch, &err) == RC_OK);
	EXPECT(hello(channel_lane(ch, 0)));
	channel_close(ch);
}

struct caller {
	pthread_t thread;
	struct channel_lane *lane;
	unsigned answered, failed;
};

static void *call_often(void *arg)
{
	struct caller *c = arg;
	unsigned i;

	for (i = 0; i < 200; i++)
		if (hello(c->lane))
			c->answered++;
		else
			c->failed++;
	return NULL;
}

TEST(lanes_are_independent_of_each_other)
{
	struct channel *ch = start(5, 0);
	struct caller c[4] = { 0 };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(c); i++) {
		c[i].lane = channel_lane(ch, i);
		INVARIANT(pthread_create(&c[i].thread, NULL, call_often, &c[i]) == 0);
	}
	for (i = 0; i < ARRAY_LEN(c); i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_INT(c[i].answered, 200);
		EXPECT_INT(c[i].failed, 0);
	}
	EXPECT(!rings(ch));
	channel_close(ch);
}

/* The fake obeys the same rules as the driver: what the channel never does is refused there as well. */
TEST(the_device_refuses_what_the_interface_forbids)
{
	struct channel *ch = start(2, 0);
	struct svsm_regs r = { .rax = (uint64_t)CALL_PROTOCOL << 32 | VMPL_CALL };
	int fd = fake_svsm.open(DEVICE, O_RDWR);

	EXPECT(fd < 0 && errno == EBUSY);
	channel_close(ch);
	device(2);
	fd = fake_svsm.open(DEVICE, O_RDWR);
	r.rcx = 2;
	EXPECT(fake_svsm.ioctl(fd, SVSM_IOC_CALL, &r) == -1 && errno == EINVAL);
	r = (struct svsm_regs){ .rax = 1ull << 32 };
	EXPECT(fake_svsm.ioctl(fd, SVSM_IOC_CALL, &r) == -1 && errno == EPERM);
	r = (struct svsm_regs){ .rax = (uint64_t)CALL_PROTOCOL << 32 | VMPL_CLOSE };
	EXPECT(fake_svsm.ioctl(fd, SVSM_IOC_CALL, &r) == -1 && errno == EPERM);
	EXPECT(fake_svsm.mmap(NULL, CALL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)CALL_AREA_LEN * 2) ==
		       MAP_FAILED && errno == EACCES);
	EXPECT(fake_svsm.mmap(NULL, CALL_PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL);
	fake_svsm.close(fd);
}
