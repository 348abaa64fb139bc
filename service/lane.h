/* SPDX-License-Identifier: Apache-2.0 */
/* One lane: takes submitted calls from a request area, answers in a response area. */
#ifndef SERVICE_LANE_H
#define SERVICE_LANE_H

#include "service/service.h"

struct lane {
	struct svc *svc;
	struct svc_worker *worker;
	const volatile uint8_t *req;	/* CALL_AREA_LEN bytes, rewritten by the other side at will */
	uint8_t *rsp;			/* CALL_AREA_LEN bytes, written by us only */
	uint32_t done;			/* calls answered; the truth, of which rsp holds a copy */
	uint32_t spin_us;
	bool control;			/* shows the evidence */
};

/* Answers everything submitted so far. Returns how many calls that was. */
unsigned lane_sweep(struct lane *l);
/* Sweeps and sleeps, for ever. */
__attribute__((noreturn)) void lane_run(struct lane *l);

#endif
