/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key-management protocol (wire/vmpl.h): registers the driver's pages, starts the service in them, and lets one
 * lane at a time run on the CPU that calls. One session for the whole guest: whoever is root there can stop the
 * service, and cannot do more than that.
 *
 * Always: from its registration to CLOSE a response page is writable by VMPL0 only, and the guest can neither
 * give away nor register again any page of a lane. All calls but CALL hold the session's lock and do a bounded piece.
 */
#include "monitor/state.h"
#include "snp/svsm.h"
#include "snp/vmsa.h"

static uint32_t total_frames(const struct mon_kms *s)
{
	return 2 * s->lanes * MON_AREA_PAGES;
}

/* More to do, or done; as RAX and RDX. */
static uint32_t again(struct mon_regs *r, bool more)
{
	r->rdx = more ? VMPL_AGAIN : VMPL_DONE;
	return SVSM_SUCCESS;
}

static uint32_t call_hello(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	(void)cpu;
	(void)b;
	r->rcx = VMPL_MAGIC;
	r->rdx = (uint64_t)VMPL_VERSION << 32 | MON_LANES;
	r->r8 = CALL_AREA_LEN;
	r->r9 = m->isolation;
	return SVSM_SUCCESS;
}

static uint32_t call_open(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	(void)cpu;
	(void)r;
	if (b->lanes == 0)
		return SVSM_INVALID_PARAMETER;
	if (b->lanes > MON_LANES)
		return VMPL_ERR_LIMIT;
	if (m->kms.state != VMPL_STATE_CLOSED || m->kms.closing)
		return VMPL_ERR_STATE;
	m->kms.lanes = b->lanes;
	m->kms.have = 0;
	m->kms.state = VMPL_STATE_FILLING;
	return SVSM_SUCCESS;
}

/* Back to the guest, as it was. A page that the hardware does not give back is lost to everybody. */
static bool give_back(struct mon_locked *k, uint32_t frame, uint32_t pages)
{
	bool ok = page_rights(k, frame, pages, RMP_ALL) == SNP_OK;

	page_set(k, frame, pages, ok ? PAGE_GUEST : PAGE_LOST);
	return ok;
}

static uint32_t add_entry(struct mon *m, uint64_t entry)
{
	struct mon_kms *s = &m->kms;
	uint32_t frame, pages = VMPL_ENTRY_PAGES(entry), i, left, half = total_frames(s) / 2;
	bool response = s->have >= half;

	left = response ? total_frames(s) - s->have : half - s->have;
	if (entry >> 52 || pages == 0 || pages > VMPL_CHUNK_PAGES || pages > left)
		return SVSM_INVALID_PARAMETER;
	if (!addr_span(VMPL_ENTRY_GPA(entry), (uint64_t)pages * MON_PAGE, &frame, &i))
		return SVSM_INVALID_ADDRESS;
	MON_LOCK(k, m);
	if (!page_all_in(&k, frame, pages, PAGE_IN(PAGE_GUEST)))
		return VMPL_ERR_OWNER;
	if (response && page_rights(&k, frame, pages, RMP_R) != SNP_OK) {
		(void)give_back(&k, frame, pages);
		return SVSM_INVALID_REQUEST;
	}
	page_set(&k, frame, pages, response ? PAGE_LANE_RSP : PAGE_LANE_REQ);
	for (i = 0; i < pages; i++)
		s->frame[s->have++] = frame + i;
	return SVSM_SUCCESS;
}

/* RCX says how many entries were taken, whatever the result. */
static uint32_t call_add(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	const uint64_t *entry = (const uint64_t *)m->cpu[cpu].copy;
	uint32_t count = b->count, rax = SVSM_SUCCESS, before = m->kms.have, i;
	uint64_t at = b->gpa;

	if (m->kms.state != VMPL_STATE_FILLING)
		return VMPL_ERR_STATE;
	if (count == 0 || !addr_aligned(at, sizeof(*entry)) || count > (MON_PAGE - at % MON_PAGE) / sizeof(*entry))
		return SVSM_INVALID_PARAMETER;
	{
		MON_LOCK(k, m);
		if (page_read(&k, at, m->cpu[cpu].copy, count * sizeof(*entry)) != RC_OK)
			return SVSM_INVALID_ADDRESS;
	}
	for (i = 0; i < count && rax == SVSM_SUCCESS && m->kms.have - before < MON_STEP_PAGES; i++)
		rax = add_entry(m, entry[i]);
	plat_flush();	/* what other CPUs remember of their right to write */
	r->rcx = rax == SVSM_SUCCESS ? i : i - 1;
	if (m->kms.have == total_frames(&m->kms))
		m->kms.state = VMPL_STATE_STOPPED;
	return rax == SVSM_SUCCESS ? again(r, i < count) : rax;
}

/* A piece of the service's end. False: more to do. */
static bool stop_piece(struct mon_kms *s)
{
	if (s->loaded && plat_service_destroy() == RC_BUSY)
		return false;
	s->loaded = false;
	mem_wipe(&s->boot, sizeof(s->boot));
	return true;
}

/* The service is dead. Its memory goes when the last lane has left it, at the latest with RESET. */
static void note_death(struct mon_kms *s)
{
	s->state = VMPL_STATE_DEAD;
	while (s->inside == 0 && !stop_piece(s))
		;
}

/*
 * Every start finds response areas of zeros, as in memory that was never used: the last service's answers are not
 * the next one's, nor for its caller's eyes.
 */
static bool clear_piece(struct mon_kms *s)
{
	uint32_t half = total_frames(s) / 2, end = s->cleared + MON_STEP_PAGES;

	for (; s->cleared < half && s->cleared < end; s->cleared++)
		plat_zero(addr_of_frame(s->frame[half + s->cleared]), MON_PAGE);
	return s->cleared == half;
}

static uint32_t begin_start(struct mon *m, struct mon_regs *r, bool *ready)
{
	struct mon_kms *s = &m->kms;
	enum rc rc;

	*ready = false;
	if (!m->have_root) {
		rc = mon_root(m);
		if (rc != RC_OK)
			return rc == RC_BUSY ? again(r, true) : SVSM_INVALID_REQUEST;
	}
	if (!clear_piece(s))
		return again(r, true);
	s->boot = (struct boot_msg){ .magic = BOOT_MAGIC, .version = BOOT_VERSION, .isolation = m->isolation,
				     .lanes = s->lanes };
	memcpy(s->boot.platform_key, m->root.b, sizeof(s->boot.platform_key));
	s->starts++;
	s->loaded = true;
	s->state = VMPL_STATE_STARTING;
	*ready = true;
	return SVSM_SUCCESS;
}

static uint32_t call_start(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	struct mon_kms *s = &m->kms;
	uint32_t rax;
	bool ready;
	enum rc rc;

	(void)cpu;
	(void)b;
	if (s->state == VMPL_STATE_DEAD)
		return VMPL_ERR_DEAD;
	if (s->closing || (s->state != VMPL_STATE_STOPPED && s->state != VMPL_STATE_STARTING))
		return VMPL_ERR_STATE;
	if (s->state == VMPL_STATE_STOPPED) {
		rax = begin_start(m, r, &ready);
		if (!ready)
			return rax;
	}
	rc = plat_service_start(&s->boot, s->frame);
	if (rc == RC_BUSY)
		return again(r, true);
	if (rc != RC_OK) {
		note_death(s);
		return VMPL_ERR_DEAD;
	}
	s->state = VMPL_STATE_RUNNING;
	return again(r, false);
}

/* Before pages or service go: nobody may be inside. A dead service's lanes come out by themselves. */
static uint32_t end_piece(struct mon_kms *s, struct mon_regs *r, bool *done)
{
	*done = false;
	if (s->inside)
		return s->state == VMPL_STATE_DEAD ? again(r, true) : VMPL_ERR_LANE_BUSY;
	if (s->state == VMPL_STATE_STARTING || s->state == VMPL_STATE_RUNNING)
		s->state = VMPL_STATE_DEAD;
	if (!stop_piece(s))
		return again(r, true);
	s->cleared = 0;
	*done = true;
	return SVSM_SUCCESS;
}

static uint32_t call_reset(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	struct mon_kms *s = &m->kms;
	uint32_t rax;
	bool done;

	(void)cpu;
	(void)b;
	if (s->closing || s->state == VMPL_STATE_CLOSED || s->state == VMPL_STATE_FILLING)
		return VMPL_ERR_STATE;
	rax = end_piece(s, r, &done);
	if (!done)
		return rax;
	s->state = VMPL_STATE_STOPPED;
	return again(r, false);
}

/*
 * Frames are given back from the last to the first; neighbours together, as they came, and cut where a 2 MiB page
 * begins, so that it is one instruction's work. Of a request page the guest has all rights already.
 */
static bool close_piece(struct mon *m)
{
	struct mon_kms *s = &m->kms;
	uint32_t budget = MON_STEP_PAGES, half = total_frames(s) / 2, first, n;
	bool ok = true;

	MON_LOCK(k, m);
	for (; s->have && budget; s->have -= n, budget -= n) {
		first = s->frame[s->have - 1];
		for (n = 1; n < budget && n != s->have - half && n < s->have && s->frame[s->have - 1 - n] == first - 1; n++) {
			if (n >= MON_HUGE_PAGES && first % MON_HUGE_PAGES == 0)
				break;
			first--;
		}
		if (s->have > half)
			ok = give_back(&k, first, n) && ok;
		else
			page_set(&k, first, n, PAGE_GUEST);
	}
	return ok;
}

static uint32_t call_close(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	struct mon_kms *s = &m->kms;
	uint32_t rax;
	bool done;

	(void)cpu;
	(void)b;
	if (s->state == VMPL_STATE_CLOSED)
		return again(r, false);
	if (!s->closing) {
		rax = end_piece(s, r, &done);
		if (!done)
			return rax;
		s->closing = true;
		s->state = VMPL_STATE_STOPPED;
	}
	if (!close_piece(m))
		return SVSM_INVALID_REQUEST;
	if (s->have)
		return again(r, true);
	s->closing = false;
	s->lanes = 0;
	s->state = VMPL_STATE_CLOSED;
	return again(r, false);
}

static uint32_t call_status(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	(void)cpu;
	(void)b;
	r->rcx = m->kms.state;
	r->rdx = m->kms.starts;
	r->r8 = m->kms.lanes;
	return SVSM_SUCCESS;
}

static uint32_t enter_lane(struct mon_kms *s, uint32_t lane)
{
	SPIN_HELD(&s->lock);

	if (s->state == VMPL_STATE_DEAD)
		return VMPL_ERR_DEAD;
	if (s->state != VMPL_STATE_RUNNING)
		return VMPL_ERR_STATE;
	if (lane >= s->lanes)
		return VMPL_ERR_LANE;
	if (s->busy[lane])
		return VMPL_ERR_LANE_BUSY;
	s->busy[lane] = true;
	s->inside++;
	return SVSM_SUCCESS;
}

static uint32_t leave_lane(struct mon_kms *s, uint32_t lane, enum rc rc, struct mon_regs *r)
{
	SPIN_HELD(&s->lock);

	s->busy[lane] = false;
	s->inside--;
	if (s->state == VMPL_STATE_DEAD || (rc != RC_OK && rc != RC_BUSY)) {
		note_death(s);
		return VMPL_ERR_DEAD;
	}
	return again(r, rc == RC_BUSY);
}

/* The one call that many CPUs make at the same time: the session's lock is not held while the lane runs. */
static uint32_t call_lane(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r)
{
	struct mon_kms *s = &m->kms;
	uint32_t lane = b->lane, rax = enter_lane(s, lane);

	(void)cpu;
	if (rax != SVSM_SUCCESS)
		return rax;
	return leave_lane(s, lane, plat_service_run(lane), r);
}

static const struct {
	uint32_t (*call)(struct mon *m, unsigned cpu, const struct vmpl_block *b, struct mon_regs *r);
	bool alone;	/* holds the session's lock */
} calls[] = {
	[VMPL_HELLO] = { call_hello, true },
	[VMPL_OPEN] = { call_open, true },
	[VMPL_ADD] = { call_add, true },
	[VMPL_START] = { call_start, true },
	[VMPL_CLOSE] = { call_close, true },
	[VMPL_CALL] = { call_lane, false },
	[VMPL_RESET] = { call_reset, true },
	[VMPL_STATUS] = { call_status, true },
};
_Static_assert(ARRAY_LEN(calls) == VMPL_CALLS, "a handler for each call");

static uint32_t read_block(struct mon *m, uint64_t at, struct vmpl_block *b)
{
	size_t i;

	if (!addr_aligned(at, sizeof(uint64_t)) || at % MON_PAGE > MON_PAGE - sizeof(*b))
		return SVSM_INVALID_PARAMETER;
	{
		MON_LOCK(k, m);
		if (page_read(&k, at, b, sizeof(*b)) != RC_OK)
			return SVSM_INVALID_ADDRESS;
	}
	if (b->magic != VMPL_MAGIC || b->version != VMPL_VERSION)
		return SVSM_INVALID_FORMAT;
	for (i = 0; i < ARRAY_LEN(b->zero); i++)
		if (b->zero[i])
			return SVSM_INVALID_FORMAT;
	return SVSM_SUCCESS;
}

uint32_t kms_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r)
{
	struct vmpl_block b;
	uint32_t rax;

	if (call >= VMPL_CALLS)
		return SVSM_UNSUPPORTED_CALL;
	if (r->rdx != ~0ull || r->r8 != ~0ull || r->r9 != 0)	/* the kernel's call path sends these */
		return SVSM_INVALID_PARAMETER;
	rax = read_block(m, r->rcx, &b);
	if (rax != SVSM_SUCCESS)
		return rax;
	r->rcx = r->rdx = r->r8 = r->r9 = 0;
	if (!calls[call].alone)
		return calls[call].call(m, cpu, &b, r);
	SPIN_HELD(&m->kms.lock);
	return calls[call].call(m, cpu, &b, r);
}
