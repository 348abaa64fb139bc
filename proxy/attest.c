/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of attestation questions. See attest.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/attest.h"
#include "wire/attest.h"

struct attest {
	struct tsm tsm;
	char *dir;
	pthread_mutex_t lock;
	pthread_cond_t more, ended;
	struct attest_job *first, **end;
	unsigned waiting;
	bool running, stop, gone;	/* a thread was started; it shall end; it has ended */
	bool left;			/* attest_stop() has returned: nobody's memory may be touched */
};

struct attest *attest_new(const struct tsm *t)
{
	struct attest *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (!a)
		return NULL;
	a->tsm = *t;
	a->dir = strdup(t->dir);
	if (!a->dir) {
		free(a);
		return NULL;
	}
	a->tsm.dir = a->dir;
	a->end = &a->first;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->more, NULL);
	pthread_cond_init(&a->ended, &attr);
	return a;
}

static void ask_kernel(struct attest *a, struct attest_job *j)
{
	j->answer = malloc(sizeof(*j->answer));
	if (!j->answer) {
		j->rc = RC_NO_ROOM;
		snprintf(j->why, sizeof(j->why), "no memory for a report");
		return;
	}
	j->rc = tsm_ask(&a->tsm, j->in, j->answer, j->why, sizeof(j->why));
	if (j->rc != RC_OK) {
		free(j->answer);
		j->answer = NULL;
	}
}

static struct attest_job *take(struct attest *a)
{
	struct attest_job *j = a->first;

	a->first = j->next;
	if (!a->first)
		a->end = &a->first;
	a->waiting--;
	return j;
}

static void *attest_thread(void *arg)
{
	struct attest *a = arg;
	struct attest_job *j;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		if (!a->first) {
			pthread_cond_wait(&a->more, &a->lock);
			continue;
		}
		j = take(a);
		pthread_mutex_unlock(&a->lock);
		ask_kernel(a, j);
		pthread_mutex_lock(&a->lock);
		/* Under the lock: attest_stop() must not leave while somebody else's memory is in use. */
		if (!a->left)
			j->done(j);
	}
	a->gone = true;
	pthread_cond_signal(&a->ended);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static bool start_thread(struct attest *a)
{
	pthread_attr_t attr;
	pthread_t t;

	if (a->running)
		return true;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	a->running = pthread_create(&t, &attr, attest_thread, a) == 0;
	pthread_attr_destroy(&attr);
	return a->running;
}

enum rc attest_ask(struct attest *a, struct attest_job *j)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&a->lock);
	if (a->stop || a->waiting == ATTEST_WAITING_MAX) {
		rc = RC_BUSY;
	} else if (!start_thread(a)) {
		rc = RC_MACHINE;
	} else {
		j->next = NULL;
		*a->end = j;
		a->end = &j->next;
		a->waiting++;
		pthread_cond_signal(&a->more);
	}
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static void give_up(struct attest_job *j)
{
	j->rc = RC_BUSY;
	snprintf(j->why, sizeof(j->why), "the server is stopping");
	j->done(j);
}

static bool wait_for_end(struct attest *a, unsigned wait_ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += wait_ms / 1000;
	t.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	while (a->running && !a->gone)
		if (pthread_cond_timedwait(&a->ended, &a->lock, &t) != 0)
			break;
	return !a->running || a->gone;
}

bool attest_stop(struct attest *a, unsigned wait_ms)
{
	bool ended;

	if (!a)
		return true;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	while (a->first)
		give_up(take(a));
	pthread_cond_signal(&a->more);
	ended = wait_for_end(a, wait_ms);
	a->left = true;
	pthread_mutex_unlock(&a->lock);
	if (!ended)
		return false;
	pthread_cond_destroy(&a->more);
	pthread_cond_destroy(&a->ended);
	pthread_mutex_destroy(&a->lock);
	free(a->dir);
	free(a);
	return true;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* query := "nonce=" (hex hex){1..64} */
enum rc attest_query(struct slice query, uint8_t in[TSM_INBLOB])
{
	static const char name[] = "nonce=";
	size_t skip = sizeof(name) - 1, digits, i;
	uint8_t nonce[ATTEST_NONCE_MAX];

	if (!slice_starts(query, name))
		return RC_BAD_INPUT;
	digits = query.len - skip;
	if (digits == 0 || digits % 2 || digits > 2 * sizeof(nonce))
		return RC_BAD_INPUT;
	for (i = 0; i < digits; i += 2) {
		int hi = nibble(query.p[skip + i]), lo = nibble(query.p[skip + i + 1]);

		if (hi < 0 || lo < 0)
			return RC_BAD_INPUT;
		nonce[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return tsm_inblob(slice_of(nonce, digits / 2), in);
}
