/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service as a process, through the channel: what it is given, what it gives up, what happens when it
 * dies, and that a hostile lane harms only itself. SVSM_SERVICE in the environment names another binary;
 * SVSM_LONG=1 makes the long runs long.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel/channel.h"
#include "crypto/crypto.h"
#include "tests/test.h"

/* Builds with a sanitizer have no filter (service/sandbox.c), and threads of the sanitizer's own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FILTERED 0
#endif
#endif
#ifndef FILTERED
#define FILTERED 1
#endif

static bool is_long(void)
{
	return getenv("SVSM_LONG") != NULL;
}

/* This and the next three are used in children too: they abort where a test would only fail. */
static struct channel *start(uint32_t workers, bool pin, uint32_t spin_us)
{
	const char *env = getenv("SVSM_SERVICE");
	struct channel_options o = { .service_path = env ? env : SVSM_SERVICE, .workers = workers, .pin = pin,
				     .spin_us = spin_us };
	struct channel_error err;
	struct channel *ch = NULL;

	alarm(is_long() ? 900 : 120);	/* a hang is a failure */
	memset(o.platform_key.b, 7, sizeof(o.platform_key.b));
	if (channel_open_process(&o, &ch, &err) != RC_OK)
		fprintf(stderr, "%s\n", err.text);
	INVARIANT(ch != NULL);
	return ch;
}

/* One call, one crossing. The answer points into the slot, which is released: use it at once. */
static enum rc one(struct channel_lane *l, enum wire_call call, const void *body, size_t len, uint32_t *result,
		   struct slice *answer)
{
	int slot = channel_slot_take(l, len > CALL_PAGE);
	enum rc rc;

	INVARIANT(slot >= 0);
	if (len)
		memcpy(channel_request(l, slot), body, len);
	INVARIANT(channel_submit(l, slot, call, len));
	rc = channel_flush(l);
	if (rc == RC_OK)
		*result = channel_result(l, slot, answer);
	channel_slot_release(l, slot);
	return rc;
}

static enum rc hello(struct channel_lane *l)
{
	struct slice answer = { 0 };
	struct wire_ans ans;
	uint32_t result = 0, isolation = 0;
	enum rc rc = one(l, CALL_HELLO, NULL, 0, &result, &answer);

	if (rc != RC_OK)
		return rc;
	EXPECT_INT(result, E_OK);
	EXPECT(wire_ans_get(cur_of(answer.p, answer.len), &ans) == RC_OK);
	EXPECT(cur_le32(&ans.body, &isolation));
	EXPECT_INT(isolation, ISOLATION_PROCESS);
	return RC_OK;
}

static void status(struct channel_lane *l, struct wire_status *st)
{
	struct slice answer = { 0 };
	struct wire_ans ans;
	uint32_t result = 0;

	EXPECT(one(l, CALL_STATUS, NULL, 0, &result, &answer) == RC_OK);
	EXPECT_INT(result, E_OK);
	EXPECT(wire_ans_get(cur_of(answer.p, answer.len), &ans) == RC_OK);
	EXPECT(cur_copy(&ans.body, st, sizeof(*st)));
}

/* An open configuration and an empty store. */
static void make_ready(struct channel_lane *l)
{
	static const char *const acls[] = { "default.key.acl.MANAGEMENT", "default.key.acl.READ",
					    "default.key.acl.GENERATE_EEK", "default.key.acl.DECRYPT_EEK" };
	uint8_t body[1024];
	struct sink s = sink_of(body, sizeof(body));
	struct slice answer;
	uint32_t result = 99;
	size_t i;

	wire_config_req_put(&s, ARRAY_LEN(acls));
	for (i = 0; i < ARRAY_LEN(acls); i++)
		wire_property_put(&s, slice_str(acls[i]), slice_str("*"));
	INVARIANT(one(l, CALL_CONFIG, body, s.need, &result, &answer) == RC_OK && result == E_OK);
	INVARIANT(one(l, CALL_STORE_CREATE, NULL, 0, &result, &answer) == RC_OK && result == E_OK);
	memset(body, 0, 10);	/* no last entry of a file, nothing known */
	INVARIANT(one(l, CALL_AUDIT_RESUME, body, 10, &result, &answer) == RC_OK && result == E_OK);
}

static size_t name_request(uint8_t *to, const char *user, const char *name, uint32_t count)
{
	struct wire_name_req m = { .cred = { .has_user = true, .user = slice_str(user), .group = cur_of("", 0) },
				   .name = slice_str(name), .count = count };
	struct sink s = sink_of(to, CALL_PAGE);

	wire_name_req_put(&s, &m);
	return s.need;
}

static size_t create_request(uint8_t *to, const char *name)
{
	struct wire_create_req m = { .cred = { .has_user = true, .user = slice_str("ann"), .group = cur_of("", 0) },
				     .name = slice_str(name), .cipher = slice_str(""), .description = slice_str(""),
				     .attr = cur_of("", 0), .material = cur_of("", 0) };
	struct sink s = sink_of(to, CALL_PAGE);

	wire_create_req_put(&s, &m);
	return s.need;
}

/* A line of /proc/.../status, without its name; "" if there is none. */
static void proc_line(const char *file, const char *name, char out[128])
{
	char line[256];
	FILE *f = fopen(file, "r");

	out[0] = 0;
	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			snprintf(out, 128, "%s", line + strlen(name));
	fclose(f);
}

TEST(several_calls_cross_at_once_and_are_answered_in_their_slots)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	uint64_t crossings, calls;
	struct slice answer;
	int slot[100], i;

	make_ready(channel_lane(ch, CHANNEL_CONTROL));
	channel_counts(ch, &crossings, &calls);
	EXPECT_INT(crossings, 3);
	for (i = 0; i < 100; i++) {
		char user[16];
		size_t len;

		snprintf(user, sizeof(user), "user%d", i);
		slot[i] = channel_slot_take(l, false);
		EXPECT(slot[i] >= 0);
		len = name_request(channel_request(l, slot[i]), user, "", 0);
		EXPECT(channel_submit(l, slot[i], CALL_AUTH, len));
	}
	EXPECT(channel_flush(l) == RC_OK);
	for (i = 0; i < 100; i++) {
		struct wire_ans ans;
		char user[16];

		snprintf(user, sizeof(user), "user%d", i);
		EXPECT_INT(channel_result(l, slot[i], &answer), E_OK);
		EXPECT(wire_ans_get(cur_of(answer.p, answer.len), &ans) == RC_OK);
		EXPECT(slice_is(ans.user, user));
		channel_slot_release(l, slot[i]);
	}
	channel_counts(ch, &crossings, &calls);
	EXPECT_INT(crossings, 4);
	EXPECT_INT(calls, 103);
	EXPECT(channel_flush(l) == RC_OK);	/* nothing to do */
	channel_close(ch);
}

TEST(a_ring_and_the_slots_can_be_full)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	int i, slot = -1, large[CALL_LARGE];

	for (i = 0; i < (int)CALL_SMALL; i++)
		EXPECT_INT(channel_slot_take(l, false), i);
	EXPECT_INT(channel_slot_take(l, false), -1);
	channel_slot_release(l, 50);
	channel_slot_release(l, 3);
	EXPECT_INT(channel_slot_take(l, false), 3);
	EXPECT_INT(channel_slot_take(l, false), 50);
	EXPECT_INT(channel_slot_take(l, false), -1);
	for (i = 0; i < (int)CALL_LARGE; i++) {
		large[i] = channel_slot_take(l, true);
		EXPECT(large[i] >= (int)CALL_SMALL && channel_room(large[i]) == CALL_LARGE_LEN);
	}
	EXPECT_INT(channel_slot_take(l, true), -1);
	slot = 0;
	for (i = 0; i < (int)CALL_RING; i++)	/* the same slot as often as there are places */
		EXPECT(channel_submit(l, slot, CALL_HELLO, 0));
	EXPECT(!channel_submit(l, slot, CALL_HELLO, 0));
	EXPECT(channel_flush(l) == RC_OK);
	EXPECT(channel_submit(l, slot, CALL_HELLO, 0));
	EXPECT(channel_flush(l) == RC_OK);
	channel_close(ch);
}

TEST(large_slots_carry_large_requests_and_answers)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, CHANNEL_CONTROL);
	struct slice answer;
	struct wire_ans ans;
	size_t len;
	int slot;

	make_ready(l);
	slot = channel_slot_take(l, true);
	{
		struct sink s = sink_of(channel_request(l, slot), CALL_LARGE_LEN);
		struct wire_names_req m = { .cred = { .has_user = true, .user = slice_str("ann"), .group = cur_of("", 0) },
					    .count = 1000000 };
		uint32_t i;

		wire_names_req_put(&s, &m);
		for (i = 0; i < m.count; i++)
			sink_str16(&s, slice_str("k"));
		EXPECT(sink_ok(&s));
		len = s.need;
	}
	EXPECT(channel_submit(l, slot, CALL_METADATAS, len));
	EXPECT(channel_flush(l) == RC_OK);
	EXPECT_INT(channel_result(l, slot, &answer), E_OK);
	EXPECT(answer.len > 1000000);
	EXPECT(wire_ans_get(cur_of(answer.p, answer.len), &ans) == RC_OK);
	EXPECT_INT(ans.body.left, 4 + 1000000);
	channel_close(ch);
}

TEST(after_the_services_death_no_old_answer_is_taken_for_a_new_one)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	struct channel_error err;
	uint32_t generation = channel_generation(ch), round, before, i;

	for (round = 0; round < 5; round++) {
		struct pollfd p = { .events = POLLIN };
		int slot = channel_slot_take(l, false);
		uint32_t j;

		for (before = 0; before < round; before++)
			EXPECT(hello(l) == RC_OK);
		p.fd = channel_death_fd(ch);
		EXPECT_INT(poll(&p, 1, 0), 0);
		kill(channel_pid(ch), SIGKILL);
		EXPECT_INT(poll(&p, 1, -1), 1);
		for (i = 1; i < 7; i++) {	/* however often, and however many calls: there is nobody */
			for (j = 0; j < i; j++)
				EXPECT(channel_submit(l, slot, CALL_HELLO, 0));
			EXPECT(channel_flush(l) == RC_MACHINE);
			EXPECT(hello(l) == RC_MACHINE);
		}
		channel_slot_release(l, slot);
		EXPECT(channel_restart(ch, &err) == RC_OK);
		EXPECT(channel_generation(ch) == ++generation);
		EXPECT(hello(channel_lane(ch, CHANNEL_CONTROL)) == RC_OK);
	}
	EXPECT(hello(l) == RC_OK);
	channel_close(ch);
}

TEST(what_was_submitted_before_a_restart_is_not_run_after_it)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	struct channel_error err;
	int slot = channel_slot_take(l, false);

	EXPECT(hello(l) == RC_OK);
	EXPECT(channel_submit(l, slot, CALL_HELLO, 0));
	kill(channel_pid(ch), SIGKILL);
	EXPECT(channel_restart(ch, &err) == RC_OK);
	EXPECT(channel_flush(l) == RC_MACHINE);
	EXPECT(hello(l) == RC_OK);
	channel_close(ch);
}

static struct channel *killed;
static void *kill_soon(void *arg)
{
	const struct timespec t = { 0, 3000000 };

	(void)arg;
	nanosleep(&t, NULL);
	kill(channel_pid(killed), SIGKILL);
	return NULL;
}

TEST(a_flush_ends_when_the_service_dies_in_it)
{
	struct channel *ch = start(2, false, 0);
	struct channel_lane *l = channel_lane(ch, 0);
	struct channel_error err;
	pthread_t t;
	int round;

	killed = ch;
	for (round = 0; round < 10; round++) {
		EXPECT(pthread_create(&t, NULL, kill_soon, NULL) == 0);
		while (hello(l) == RC_OK)
			;
		pthread_join(t, NULL);
		EXPECT(hello(l) == RC_MACHINE);
		EXPECT(channel_restart(ch, &err) == RC_OK);
		EXPECT(hello(l) == RC_OK);
	}
	channel_close(ch);
}

TEST(a_program_that_is_not_there_is_an_error_with_a_remedy)
{
	struct channel_options o = { .service_path = "/nonexistent/svsm-kms-service", .workers = 1 };
	struct channel_error err;
	struct channel *ch;

	EXPECT(channel_open_process(&o, &ch, &err) == RC_MACHINE);
	EXPECT(strstr(err.text, "/nonexistent/svsm-kms-service") != NULL);
}

TEST(run_by_hand_the_service_explains_itself_and_stops)
{
	const char *env = getenv("SVSM_SERVICE");
	char out[256] = "";
	int fd[2], status_ = 0;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	EXPECT(pipe(fd) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 2);
		syscall(SYS_close_range, 3, ~0u, 0);
		execl(env ? env : SVSM_SERVICE, "svsm-kms-service", NULL);
		_exit(1);
	}
	close(fd[1]);
	while (len < sizeof(out) - 1 && (n = read(fd[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd[0]);
	EXPECT(waitpid(pid, &status_, 0) == pid);
	EXPECT(strstr(out, "svsm-kms serve") != NULL);
	EXPECT(WIFEXITED(status_) && WEXITSTATUS(status_) == 70);
}

/* ---- what it has, and what it has given up ---- */

TEST(the_shared_memory_is_sealed_and_each_side_writes_only_its_own)
{
	static const char *const names[] = { "memfd:svsm-kms-requests", "memfd:svsm-kms-answers" };
	struct channel *ch = start(1, false, 0);
	unsigned sealed = 0, own[2] = { 0 }, its[2] = { 0 }, who, i;
	char path[300], to[300], line[512];
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");

	EXPECT(hello(channel_lane(ch, 0)) == RC_OK);
	EXPECT(d != NULL);
	while ((e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		if (!strstr(to, "memfd:svsm-kms"))
			continue;
		EXPECT((fcntl(atoi(e->d_name), F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) ==
		       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
		EXPECT(ftruncate(atoi(e->d_name), 4096) != 0);
		EXPECT(fcntl(atoi(e->d_name), F_GETFD) & FD_CLOEXEC);
		sealed++;
	}
	closedir(d);
	EXPECT_INT(sealed, 2);
	for (who = 0; who < 2; who++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/maps", who ? channel_pid(ch) : getpid());
		f = fopen(path, "r");
		EXPECT(f != NULL);
		while (fgets(line, sizeof(line), f))
			for (i = 0; i < 2; i++)
				if (strstr(line, names[i])) {
					/* requests: ours rw, its r; answers the other way round. */
					EXPECT(strstr(line, who == i ? " rw-s " : " r--s ") != NULL);
					(who ? its : own)[i]++;
				}
		fclose(f);
	}
	EXPECT(own[0] == 1 && own[1] == 1 && its[0] == 1 && its[1] == 1);
	channel_close(ch);
}

TEST(the_process_is_locked_in_with_every_thread)
{
	struct channel *ch = start(3, false, 0);
	char path[300], file[600], v[128];
	unsigned threads = 0, fds = 0;
	struct wire_status st = { 0 };
	struct dirent *e;
	DIR *d;

	/* After an answer from each lane the filter is in place: it is set before the last one serves. */
	EXPECT(hello(channel_lane(ch, CHANNEL_CONTROL)) == RC_OK);
	status(channel_lane(ch, CHANNEL_CONTROL), &st);
	snprintf(path, sizeof(path), "/proc/%d/task", channel_pid(ch));
	d = opendir(path);
	EXPECT(d != NULL);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s/status", path, e->d_name);
		proc_line(file, "Seccomp:", v);
		EXPECT_INT(atoi(v), FILTERED ? 2 : 0);
		proc_line(file, "NoNewPrivs:", v);
		EXPECT_INT(atoi(v), 1);
		threads++;
	}
	closedir(d);
	EXPECT(threads >= 4);
	if (FILTERED)
		EXPECT_INT(threads, 4);
	snprintf(file, sizeof(file), "/proc/%d/status", channel_pid(ch));
	proc_line(file, "VmLck:", v);
	EXPECT_INT(atol(v) > 0, st.memory_locked);
	snprintf(file, sizeof(file), "/proc/%d/limits", channel_pid(ch));
	proc_line(file, "Max core file size", v);
	EXPECT(strtol(v, NULL, 10) == 0 && strchr(v, '0'));
	snprintf(path, sizeof(path), "/proc/%d/fd", channel_pid(ch));
	d = opendir(path);
	if (d) {	/* only root may look: the process is not dumpable */
		while ((e = readdir(d)))
			if (e->d_name[0] != '.') {
				EXPECT(atoi(e->d_name) <= 2);
				fds++;
			}
		closedir(d);
		EXPECT_INT(fds, 3);
	}
	channel_close(ch);
}

TEST(the_service_dies_with_who_started_it)
{
	int fd[2], pid = 0, pidfd;
	struct pollfd p = { .events = POLLIN };
	pid_t parent;

	alarm(120);
	EXPECT(pipe(fd) == 0);
	parent = fork();
	if (parent == 0) {
		struct channel *ch = start(1, false, 0);

		pid = channel_pid(ch);
		if (hello(channel_lane(ch, 0)) != RC_OK || write(fd[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	close(fd[1]);
	EXPECT(read(fd[0], &pid, sizeof(pid)) == sizeof(pid));
	close(fd[0]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	EXPECT(pidfd >= 0);
	kill(parent, SIGKILL);
	p.fd = pidfd;
	EXPECT_INT(poll(&p, 1, -1), 1);
	close(pidfd);
	EXPECT(waitpid(parent, NULL, 0) == parent);
}

TEST(a_small_limit_of_locked_memory_does_not_keep_it_from_starting)
{
	static const rlim_t limits[] = { 0, 65536, 4 << 20, 8 << 20, 16 << 20, 64 << 20, 1 << 30 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(limits); i++) {
		int status_ = 0;
		pid_t pid = fork();

		EXPECT(pid >= 0);
		if (pid == 0) {
			struct rlimit r = { limits[i], limits[i] };
			struct channel *ch;
			uint8_t body[CALL_PAGE];
			struct slice answer;
			uint32_t result = 99;
			unsigned k;

			if (setrlimit(RLIMIT_MEMLOCK, &r) != 0)
				_exit(0);	/* higher than this machine lets us have */
			if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
				_exit(3);
			ch = start(3, false, 0);
			make_ready(channel_lane(ch, CHANNEL_CONTROL));
			for (k = 0; k < 3; k++) {	/* memory for each lane, and keys */
				char name[2] = { (char)('a' + k), 0 };

				if (one(channel_lane(ch, k), CALL_CREATE, body, create_request(body, name), &result,
					&answer) != RC_OK || result != E_OK)
					_exit(4);
			}
			channel_close(ch);
			_exit(0);
		}
		EXPECT(waitpid(pid, &status_, 0) == pid);
		if (status_)
			fprintf(stderr, "limit %lu: status %x\n", (unsigned long)limits[i], (unsigned)status_);
		EXPECT_INT(status_, 0);
	}
}

TEST(many_workers_may_all_allocate)
{
	/* More threads than the C library has arenas for without asking the system for its CPUs. */
	enum { N = 24 };
	struct channel *ch = start(N, false, 0);
	uint8_t body[CALL_PAGE], *big = calloc(1, 100000);
	struct slice answer;
	uint32_t result, i;

	make_ready(channel_lane(ch, CHANNEL_CONTROL));
	for (i = 0; i < N; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%u", i);
		result = 99;
		EXPECT(one(channel_lane(ch, i), CALL_CREATE, body, create_request(body, name), &result, &answer) == RC_OK);
		EXPECT_INT(result, E_OK);
		EXPECT(one(channel_lane(ch, i), CALL_STORE_LOAD, big, 100000, &result, &answer) == RC_OK);
		EXPECT_INT(result, E_BAD_MESSAGE);
	}
	free(big);
	channel_close(ch);
}

TEST(libcrypto_finds_its_randomness_inside_the_sandbox)
{
	struct channel *ch = start(1, false, 0);
	struct channel_lane *l = channel_lane(ch, CHANNEL_CONTROL);
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX], body[CRYPTO_DER_MAX + 2];
	size_t npriv = sizeof(priv), npub = sizeof(pub);
	struct sink s = sink_of(body, sizeof(body));
	struct slice answer;
	uint32_t result = 99;
	unsigned i;

	EXPECT(crypto_start() == RC_OK);
	EXPECT(crypto_wrap_keypair(priv, &npriv, pub, &npub) == RC_OK);
	wire_blob_req_put(&s, slice_of(pub, npub));
	for (i = 0; i < 50; i++) {
		EXPECT(one(l, CALL_RECOVER_BEGIN, NULL, 0, &result, &answer) == RC_OK);
		EXPECT_INT(result, E_OK);
	}
	make_ready(l);
	for (i = 0; i < (is_long() ? 70000u : 300u); i++) {	/* it reseeds after 2^16 uses */
		EXPECT(one(l, CALL_SLOT_RECOVERY, body, s.need, &result, &answer) == RC_OK);
		EXPECT_INT(result, E_OK);
	}
	/* On a lane's thread too, which has a generator of its own in libcrypto. */
	EXPECT(one(channel_lane(ch, 0), CALL_SLOT_RECOVERY, body, s.need, &result, &answer) == RC_OK);
	EXPECT_INT(result, E_OK);
	channel_close(ch);
}

/* ---- hostile lanes ---- */

TEST(garbage_in_one_lane_leaves_the_others_alone)
{
	struct channel *ch = start(2, false, 0);
	struct channel_lane *l = channel_lane(ch, 0), *other = channel_lane(ch, 1);
	struct call_req_ctl *ctl = (struct call_req_ctl *)(channel_request(l, 0) - call_slot_off(0));
	unsigned i, j;
	int pid = channel_pid(ch);

	make_ready(channel_lane(ch, CHANNEL_CONTROL));
	for (i = 0; i < 3000; i++) {
		for (j = 0; j < CALL_RING; j++) {
			struct call_sub *sub = &ctl->ring[j];

			sub->call = (uint16_t)test_random(test_random(2) ? CALL_COUNT : 65536);
			sub->slot = (uint16_t)test_random(test_random(2) ? CALL_SLOTS : 65536);
			sub->len = test_random(2) ? test_random(200) : test_random(UINT32_MAX);
			sub->zero = test_random(8) ? 0 : test_random(UINT32_MAX);
		}
		for (j = 0; j < CALL_PAGE; j++)
			channel_request(l, (int)test_random(CALL_SMALL))[j] = (uint8_t)test_random(256);
		ctl->now_ms = test_random(2) ? test_random(UINT32_MAX) : 0;
		ctl->waiting = test_random(3);
		/* The tail jumps forward, backward and by more than the ring. */
		__atomic_store_n(&ctl->tail, test_random(4) ? ctl->tail + test_random(CALL_RING) : test_random(UINT32_MAX),
				 __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &ctl->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
		if (i % 10 == 0)
			EXPECT(hello(other) == RC_OK);
	}
	EXPECT(hello(other) == RC_OK);
	EXPECT_INT(channel_pid(ch), pid);
	EXPECT_INT(kill(pid, 0), 0);
	channel_close(ch);
}

/* ---- wake-ups ---- */

struct flusher {
	struct channel_lane *l;
	uint32_t count, seed;
	bool ok;
};

static void *flush_often(void *arg)
{
	struct flusher *f = arg;
	uint32_t r = f->seed, i, pause_;
	int slot = channel_slot_take(f->l, false);

	for (i = 0; i < f->count; i++) {
		if (!channel_submit(f->l, slot, CALL_HELLO, 0) || channel_flush(f->l) != RC_OK)
			return NULL;
		r = r * 1664525u + 1013904223u;
		/* About as long as it takes the other side to fall asleep, or not at all. */
		for (pause_ = r & 0x1000 ? r >> 20 : 0; pause_; pause_--)
			__asm__ volatile("pause");
	}
	f->ok = true;
	return NULL;
}

static void flush_run(uint32_t lanes, bool pin, uint32_t spin_us, uint32_t count)
{
	struct channel *ch = start(lanes, pin, spin_us);
	struct flusher f[4];
	pthread_t t[4];
	uint32_t i;

	for (i = 0; i < lanes; i++) {
		f[i] = (struct flusher){ .l = channel_lane(ch, i), .count = count, .seed = i + 1 };
		EXPECT(pthread_create(&t[i], NULL, flush_often, &f[i]) == 0);
		if (pin) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(i, &set);
			pthread_setaffinity_np(t[i], sizeof(set), &set);
		}
	}
	for (i = 0; i < lanes; i++) {
		pthread_join(t[i], NULL);
		EXPECT(f[i].ok);
	}
	channel_close(ch);
}

TEST(no_wake_up_is_lost)
{
	uint32_t n = is_long() ? 20 : 1;	/* long: 1 200 000 flushes */

	flush_run(1, false, 0, 10000 * n);
	flush_run(1, true, 0, 10000 * n);
	flush_run(2, false, 0, 5000 * n);
	flush_run(1, false, 5, 20000 * n);
	flush_run(2, true, 20, 5000 * n);
}
