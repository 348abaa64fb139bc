/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of attestation questions, in front of a kernel that answers when the test lets it. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "proxy/attest.h"
#include "tests/test.h"

/* A kernel that holds every report until told, and counts how many are asked at once. */
struct kernel {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool open;		/* reports may be read */
	int error;		/* instead of a report */
	unsigned asking, most, asked;
	unsigned generation;
	uint8_t in;
};

static struct kernel kernel = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static int k_make(void *ctx, const char *dir)
{
	struct kernel *k = ctx;

	(void)dir;
	pthread_mutex_lock(&k->lock);
	k->asking++;
	k->asked++;
	if (k->asking > k->most)
		k->most = k->asking;
	k->generation = 0;
	pthread_cond_broadcast(&k->cond);
	pthread_mutex_unlock(&k->lock);
	return 0;
}

static int k_remove(void *ctx, const char *dir)
{
	struct kernel *k = ctx;

	(void)dir;
	pthread_mutex_lock(&k->lock);
	k->asking--;
	pthread_mutex_unlock(&k->lock);
	return 0;
}

static int k_write(void *ctx, const char *file, struct slice value)
{
	struct kernel *k = ctx;

	if (strstr(file, "/inblob"))
		k->in = value.p[0];
	k->generation++;
	return 0;
}

static ssize_t k_read(void *ctx, const char *file, uint8_t *buf, size_t room)
{
	struct kernel *k = ctx;
	ssize_t n = 4;

	if (strstr(file, "/provider"))
		return snprintf((char *)buf, room, "sev_guest\n");
	if (strstr(file, "/generation"))
		return snprintf((char *)buf, room, "%u\n", k->generation);
	pthread_mutex_lock(&k->lock);
	while (!k->open)
		pthread_cond_wait(&k->cond, &k->lock);
	if (k->error)
		n = k->error;
	pthread_mutex_unlock(&k->lock);
	memset(buf, k->in, 4);
	return n;
}

static const struct tsm_ops ops = { k_make, k_remove, k_write, k_read };

struct asked {
	struct attest_job job;	/* first */
	unsigned times;
};

static void done(struct attest_job *j)
{
	pthread_mutex_lock(&kernel.lock);
	((struct asked *)j)->times++;
	pthread_cond_broadcast(&kernel.cond);
	pthread_mutex_unlock(&kernel.lock);
}

static struct attest *fresh(bool open)
{
	struct tsm t = { .dir = "/fake", .ops = &ops, .ctx = &kernel };
	struct attest *a = attest_new(&t);

	kernel.open = open;
	kernel.error = 0;
	kernel.asking = kernel.most = kernel.asked = 0;
	EXPECT(a);
	return a;
}

static void let_go(void)
{
	pthread_mutex_lock(&kernel.lock);
	kernel.open = true;
	pthread_cond_broadcast(&kernel.cond);
	pthread_mutex_unlock(&kernel.lock);
}

static void wait_until_asking(void)
{
	pthread_mutex_lock(&kernel.lock);
	while (!kernel.asking)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	pthread_mutex_unlock(&kernel.lock);
}

static void wait_done(struct asked *q)
{
	pthread_mutex_lock(&kernel.lock);
	while (!q->times)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	pthread_mutex_unlock(&kernel.lock);
}

static struct asked question(uint8_t in)
{
	struct asked q = { .job = { .done = done, .in = { in } } };

	return q;
}

TEST(each_question_gets_its_own_answer_once)
{
	struct attest *a = fresh(true);
	struct asked q[ATTEST_WAITING_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = question((uint8_t)(i + 1));
		EXPECT(attest_ask(a, &q[i].job) == RC_OK);
	}
	for (i = 0; i < ARRAY_LEN(q); i++) {
		wait_done(&q[i]);
		EXPECT(q[i].times == 1 && q[i].job.rc == RC_OK && q[i].job.answer->report[0] == i + 1);
		free(q[i].job.answer);
	}
	EXPECT_INT(kernel.most, 1);
	EXPECT(attest_stop(a, 10000));
}

/* T-213 */
TEST(questions_beyond_the_queue_are_refused_and_the_others_served)
{
	struct attest *a = fresh(false);
	struct asked q[ATTEST_WAITING_MAX + 2];
	size_t i, n = ARRAY_LEN(q) - 1;

	for (i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = question((uint8_t)(i + 1));
		EXPECT((attest_ask(a, &q[i].job) == RC_OK) == (i < n));
		if (i == 0)
			wait_until_asking();	/* it no longer waits; the queue has all its places */
	}
	EXPECT_INT(kernel.asked, 1);
	let_go();
	for (i = 0; i < n; i++) {
		wait_done(&q[i]);
		EXPECT(q[i].job.rc == RC_OK);
		free(q[i].job.answer);
	}
	EXPECT(q[n].times == 0 && kernel.most == 1);
	EXPECT(attest_stop(a, 10000));
}

TEST(what_the_kernel_refuses_is_told_and_no_answer_left)
{
	struct attest *a = fresh(true);
	struct asked q = question(1);

	kernel.error = -EBUSY;
	EXPECT(attest_ask(a, &q.job) == RC_OK);
	wait_done(&q);
	EXPECT(q.job.rc == RC_BUSY && !q.job.answer && strstr(q.job.why, "busy"));
	EXPECT(attest_stop(a, 10000));
}

TEST(stopping_gives_back_what_waits_and_does_not_wait_for_the_hardware)
{
	struct attest *a = fresh(false);
	struct asked *first = calloc(1, sizeof(*first)), second = question(2), late = question(3);

	EXPECT(first);
	*first = question(1);
	EXPECT(attest_ask(a, &first->job) == RC_OK);
	wait_until_asking();
	EXPECT(attest_ask(a, &second.job) == RC_OK);
	EXPECT(!attest_stop(a, 10));	/* the kernel keeps the first one */
	EXPECT(second.times == 1 && second.job.rc == RC_BUSY);
	EXPECT(attest_ask(a, &late.job) == RC_BUSY);
	let_go();
	EXPECT(attest_stop(a, 10000));	/* it has come back now, and told nobody */
	EXPECT(first->times == 0 && late.times == 0);
	free(first->job.answer);
	free(first);
}

TEST(a_queue_that_was_never_asked_stops)
{
	EXPECT(attest_stop(fresh(true), 10));
	EXPECT(attest_stop(NULL, 10));
}

TEST(only_a_nonce_of_1_to_64_bytes_is_a_question)
{
	static const char *const bad[] = {
		"", "nonce", "nonce=", "nonce=a", "nonce=abc", "nonce=0g", "nonce=%30%30", "Nonce=00", "nonce=00&nonce=01",
		"nonce=00&x=1", "x=1&nonce=00", "nonce=0x00", "nonce= 00", "nonce=00 ", "&nonce=00",
	};
	char longest[6 + 128 + 3] = "nonce=";
	uint8_t in[TSM_INBLOB];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t *cut = test_fence(bad[i], strlen(bad[i]));

		EXPECT(attest_query(slice_of(cut, strlen(bad[i])), in) == RC_BAD_INPUT);
		test_fence_free(cut, strlen(bad[i]));
	}
	memset(longest + 6, 'A', 130);
	EXPECT(attest_query(slice_of(longest, 6 + 128), in) == RC_OK);
	EXPECT(in[0] == 0xaa && in[63] == 0xaa);
	EXPECT(attest_query(slice_of(longest, 6 + 130), in) == RC_BAD_INPUT);
	EXPECT(attest_query(slice_str("nonce=0f"), in) == RC_OK);
}
