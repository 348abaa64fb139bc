/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's allocator under the filter. It once opened /proc/sys/vm/overcommit_memory when much was freed,
 * and killed the service in the middle of a large deletion.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/sandbox.h"
#include "tests/test.h"

#ifdef __has_feature
#define SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define BLOCKS 4000

static void *take_and_free(void *arg)
{
	static _Thread_local void *block[BLOCKS];
	size_t round, i;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < BLOCKS; i++) {
			block[i] = malloc(100 + i * 13 % 9000);
			if (!block[i])
				_exit(3);
		}
		for (i = 0; i < BLOCKS; i++)
			free(block[i]);
	}
	return arg;
}

static volatile bool go;

static void *wait_and_run(void *arg)
{
	while (!go)
		;
	return take_and_free(arg);
}

/* The exit code of a child that uses the heap from four threads behind the filter, or 128 + signal. */
static int child(bool prepared)
{
	pthread_t t[4];
	int status;
	pid_t pid = fork();
	size_t i;

	EXPECT(pid >= 0);
	if (pid == 0) {
		if (prepared)
			sandbox_heap();
		for (i = 0; i < 4; i++)
			if (pthread_create(&t[i], NULL, wait_and_run, NULL) != 0)
				_exit(4);
		usleep(200000);	/* every thread must be past its own start */
		if (sandbox_early() != RC_OK || sandbox_filter() != RC_OK)
			_exit(5);
		go = true;
		for (i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		_exit(0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(much_memory_taken_and_freed_by_many_threads_stays_within_the_filter)
{
	if (SANITIZED)
		skip();	/* another allocator */
	EXPECT_INT(child(true), 0);
}
