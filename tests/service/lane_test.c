/* SPDX-License-Identifier: Apache-2.0 */
/* A lane whose other side writes nonsense into its ring. */
#include <stdlib.h>

#include "service/lane.h"
#include "tests/fake/core.h"
#include "tests/test.h"

static void lane_of(struct lane *l, struct core *c)
{
	*l = (struct lane){ .svc = c->svc, .worker = c->w, .req = calloc(1, CALL_AREA_LEN), .rsp = calloc(1, CALL_AREA_LEN) };
	EXPECT(l->req && l->rsp);
}

static void lane_free(struct lane *l)
{
	free((void *)(uintptr_t)l->req);
	free(l->rsp);
}

/* T-46: whatever the number says, the work is bounded, and the lane goes on with what comes after it. */
TEST(a_tail_that_runs_ahead_of_the_ring_costs_one_round_and_no_more)
{
	static const uint32_t ahead[] = { CALL_RING + 1, 1u << 30, 0x80000000u, UINT32_MAX };
	struct call_req_ctl *req;
	struct call_rsp_ctl *rsp;
	struct core c;
	struct lane l;
	size_t i;

	core_ready(&c);
	lane_of(&l, &c);
	req = (struct call_req_ctl *)(uintptr_t)l.req;
	rsp = (struct call_rsp_ctl *)l.rsp;
	for (i = 0; i < ARRAY_LEN(ahead); i++) {
		req->tail += ahead[i];
		EXPECT_INT(lane_sweep(&l), CALL_RING);
		EXPECT_INT(lane_sweep(&l), 0);
		EXPECT_INT(rsp->done, req->tail);
		/* An honest call after it is answered. */
		req->ring[req->tail % CALL_RING] = (struct call_sub){ .call = CALL_HELLO };
		req->tail++;
		EXPECT_INT(lane_sweep(&l), 1);
		EXPECT_INT(rsp->ring[(req->tail - 1) % CALL_RING].result, E_OK);
	}
	lane_free(&l);
	core_stop(&c);
}

TEST(only_the_control_lane_shows_the_evidence)
{
	struct call_req_ctl *req;
	struct call_rsp_ctl *rsp;
	struct wire_status st;
	struct core c;
	struct lane l;

	core_ready(&c);
	EXPECT_INT(core_status(&c, &st), E_OK);
	lane_of(&l, &c);
	req = (struct call_req_ctl *)(uintptr_t)l.req;
	rsp = (struct call_rsp_ctl *)l.rsp;
	req->ring[0] = req->ring[1] = (struct call_sub){ .call = CALL_HELLO };
	req->tail = 1;
	EXPECT_INT(lane_sweep(&l), 1);
	EXPECT(memcmp(rsp->evidence.store_id, st.store_id, 16) != 0);
	l.control = true;
	req->tail = 2;
	EXPECT_INT(lane_sweep(&l), 1);
	EXPECT_MEM(rsp->evidence.store_id, st.store_id, 16);
	lane_free(&l);
	core_stop(&c);
}
