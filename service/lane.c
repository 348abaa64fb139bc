/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side may write anything into its area at any time: each field is loaded once, and checked
 * before use. The worst that nonsense gets is a nonsensical answer to itself.
 *
 * Sleeping: the service sets `sleeping`, looks again, then waits on `tail`; the proxy advances `tail`,
 * then looks at `sleeping`. Only the sleeper writes its flag, so no wake-up is lost.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "service/lane.h"

#define REQ_CTL(l) ((const volatile struct call_req_ctl *)(l)->req)
#define RSP_CTL(l) ((struct call_rsp_ctl *)(l)->rsp)

static void answer_one(struct lane *l)
{
	uint32_t at = l->done % CALL_RING, result = E_BAD_MESSAGE, len = 0;
	struct call_cpl *cpl = &RSP_CTL(l)->ring[at];
	struct shared entry = shared_of(&REQ_CTL(l)->ring[at], sizeof(struct call_sub));
	struct call_sub sub;

	if (shared_copy(&entry, &sub, sizeof(sub)) && sub.zero == 0 && sub.slot < CALL_SLOTS &&
	    sub.len <= call_slot_len(sub.slot)) {
		size_t off = call_slot_off(sub.slot);

		result = svc_call_more(l->svc, l->worker, sub.call, shared_of(l->req + off, sub.len), l->rsp + off,
				       call_slot_len(sub.slot), &len);
	}
	*cpl = (struct call_cpl){ .result = result, .len = len };
	l->done++;
}

unsigned lane_sweep(struct lane *l)
{
	uint32_t tail = __atomic_load_n(&REQ_CTL(l)->tail, __ATOMIC_ACQUIRE), n = tail - l->done, i;

	if (n > CALL_RING)	/* more than the ring holds: one round of it, and the rest is lost */
		n = CALL_RING;
	if (n == 0)
		return 0;
	svc_time(l->svc, REQ_CTL(l)->now_ms);
	for (i = 0; i < n; i++)
		answer_one(l);
	svc_calls_end(l->worker);
	l->done = tail;
	if (l->control)
		svc_evidence(l->svc, &RSP_CTL(l)->evidence);
	__atomic_store_n(&RSP_CTL(l)->done, l->done, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&REQ_CTL(l)->waiting, __ATOMIC_RELAXED))
		syscall(SYS_futex, &RSP_CTL(l)->done, FUTEX_WAKE, 1, NULL, NULL, 0);
	return n;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool spin_for_work(struct lane *l)
{
	uint64_t end;

	if (!l->spin_us)
		return false;
	end = now_us() + l->spin_us;
	while (now_us() < end) {
		if (__atomic_load_n(&REQ_CTL(l)->tail, __ATOMIC_ACQUIRE) != l->done)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

void lane_run(struct lane *l)
{
	for (;;) {
		if (lane_sweep(l) || spin_for_work(l))
			continue;
		__atomic_store_n(&RSP_CTL(l)->sleeping, 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&REQ_CTL(l)->tail, __ATOMIC_ACQUIRE) == l->done)
			syscall(SYS_futex, &REQ_CTL(l)->tail, FUTEX_WAIT, l->done, NULL, NULL, 0);
		__atomic_store_n(&RSP_CTL(l)->sleeping, 0, __ATOMIC_RELAXED);
	}
}
