/* SPDX-License-Identifier: Apache-2.0 */
/* See store_guard.h. The jump buffer is per thread: threads fail each for itself. */
#include "proxy/store_guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local struct {
	volatile sig_atomic_t active;
	sigjmp_buf back;
} guard;

static struct sigaction old_bus, old_segv;

/* Not ours: as if we had never been here. */
static void pass_on(int sig, siginfo_t *info, void *ctx)
{
	const struct sigaction *old = sig == SIGBUS ? &old_bus : &old_segv;

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, ctx);
		return;
	}
	if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
		return;
	}
	signal(sig, SIG_DFL);
	if (info->si_code <= 0)		/* sent by somebody: returning would not raise it again */
		raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
	/* si_code <= 0 is kill(2) and the like: no access of ours failed. */
	if (!guard.active || info->si_code <= 0) {
		pass_on(sig, info, ctx);
		return;
	}
	guard.active = 0;
	siglongjmp(guard.back, sig == SIGBUS ? STORE_GUARD_BUS : STORE_GUARD_SEGV);
}

static void install(int sig, struct sigaction *old)
{
	struct sigaction sa = { 0 }, now;

	sa.sa_sigaction = on_fault;
	/* SA_NODEFER: the handler is left by a jump, which does not restore the mask. */
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, NULL, &now) != 0)
		abort();
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault)
		return;
	*old = now;
	if (sigaction(sig, &sa, NULL) != 0)
		abort();
}

void store_guard_install(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	install(SIGBUS, &old_bus);
	install(SIGSEGV, &old_segv);
	signal(SIGXFSZ, SIG_IGN);	/* a file-size limit is an error to report, no reason to die */
	pthread_mutex_unlock(&lock);
}

enum store_guard_hit store_guard_run(void (*fn)(void *), void *arg)
{
	int hit;

	INVARIANT(!guard.active);
	hit = sigsetjmp(guard.back, 0);
	if (hit)
		return (enum store_guard_hit)hit;
	guard.active = 1;
	fn(arg);
	guard.active = 0;
	return STORE_GUARD_NONE;
}

void store_guard_assert(const char *what)
{
	if (guard.active) {
		guard.active = 0;
		siglongjmp(guard.back, STORE_GUARD_ASSERT);
	}
	fprintf(stderr, "store: %s\n", what);
	abort();
}
