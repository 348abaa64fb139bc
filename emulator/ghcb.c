/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMGEXIT, the host's side: the MSR protocol and the requests in a GHCB page. Spec sections 1.1 to 1.7.
 *
 * As a real host: of the guest it sees the GHCB MSR and the shared GHCB page, each field of which is read once,
 * and which levels can be entered; never a register in a VMSA.
 */
#include "emulator/attack.h"
#include "emulator/secure.h"
#include "snp/guestmsg.h"

#define HV_FEATURES (GHCB_HV_SNP | GHCB_HV_AP_CREATION | GHCB_HV_MULTI_VMPL)
#define MSR_ERROR 1ull
#define MSR_FRAME(value) ((value) >> 12)
#define REFUSED_FRAME (UINT64_MAX << 12)

/* A request: private copies of what the guest marked valid, and the page to answer in. */
struct ghcb_call {
	struct vcpu *v;
	struct ghcb *page;
	uint8_t valid[16];
	uint64_t code, info1, info2, scratch, rax, rbx, rcx, rdx;
	uint64_t out1, out2;	/* info1 and info2 to answer */
};

static bool is_valid(const struct ghcb_call *c, size_t bit)
{
	return c->valid[bit / 8] >> bit % 8 & 1;
}

static void put_valid(struct ghcb *g, size_t bit)
{
	volatile uint8_t *b = &g->valid[bit / 8];

	*b = (uint8_t)(*b | 1u << bit % 8);
}

#define PUT(c, field, value) \
	do { \
		*(volatile uint64_t *)&(c)->page->field = (value); \
		put_valid((c)->page, GHCB_BIT(field)); \
	} while (0)

static void malformed(struct ghcb_call *c, unsigned why)
{
	c->out1 = GHCB_MALFORMED;
	c->out2 = why;
}

/* The guest shall get this exception. */
static void throw(struct ghcb_call *c, unsigned vector, bool has_code)
{
	c->out1 = GHCB_EXCEPTION;
	c->out2 = EVENT(EVENT_EXCEPTION, vector) | (has_code ? EVENT_HAS_CODE : 0);
}

/* The scratch area: inside the GHCB's own shared buffer. NULL: refused. */
static uint8_t *scratch_area(struct ghcb_call *c, uint64_t len)
{
	uint64_t start = c->v->level[c->v->vmpl].ghcb_msr + offsetof(struct ghcb, buffer);
	uint64_t off = c->scratch - start;

	if (c->scratch < start || off > sizeof(c->page->buffer) || len > sizeof(c->page->buffer) - off) {
		malformed(c, GHCB_ERR_SCRATCH);
		return NULL;
	}
	return c->page->buffer + off;
}

/*
 * Makes `to` the running level. The caller's answer must be in place: it will see it when it runs again.
 * False: there is no such level to enter, nothing has changed.
 */
static bool run_vmpl(struct vcpu *v, uint64_t to)
{
	struct level *l = &v->level[to & (VMPLS - 1)];
	uint64_t own;

	stat_add(STAT_RUN_VMPL);
	if (to >= VMPLS)
		return false;
	if (to == v->vmpl || attack_now(to ? ATTACK_REPEAT_RUN_VMPL : ATTACK_DROP_RUN_VMPL))
		return true;
	if (l->start)
		l->vmsa = l->next_vmsa;
	own = l->vmsa;
	if (to && attack_now(ATTACK_FOREIGN_VMSA))
		l->vmsa = host_pfn(attack_gpa() / PAGE_LEN);
	if (!level_enterable(l, (unsigned)to)) {
		if (opt.verbose)
			l0_print("L0: vCPU %u: VMPL%lu cannot run: %s\n", v->index, to,
				 l->vmsa ? "its VMSA is not fit" : "AP creation has named no VMSA");
		l->vmsa = own;
		return false;
	}
	level_save(v, VC_VMGEXIT, 0, 0);
	level_load(v, (unsigned)to);
	return true;
}

/* Sleeps until somebody starts or runs this level again; the answer says "woken". */
static void hold(struct vcpu *v)
{
	level_save(v, VC_VMGEXIT, 0, 0);
}

__attribute__((noreturn)) static void terminated(const struct vcpu *v, uint64_t set, uint64_t reason)
{
	l0_stop(STOP_TERMINATED, "terminate vmpl=%u set=%lu reason=%lu cpu=%u", v->vmpl, set, reason, v->index);
}

/* ---- requests in a GHCB page ---- */

static void nae_cpuid(struct ghcb_call *c)
{
	struct cpuid_regs r = guest_cpuid((uint32_t)c->rax, (uint32_t)c->rcx);

	if (attack_now(ATTACK_WRONG_CPUID))
		r = (struct cpuid_regs){ ~r.a, ~r.b, ~r.c, ~r.d };
	PUT(c, rax, r.a);
	PUT(c, rbx, r.b);
	PUT(c, rcx, r.c);
	PUT(c, rdx, r.d);
}

static void nae_msr(struct ghcb_call *c)
{
	uint64_t value = (uint32_t)c->rax | c->rdx << 32;

	if (c->info1 > 1) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	if (c->info1 && !(is_valid(c, GHCB_BIT(rax)) && is_valid(c, GHCB_BIT(rdx)))) {
		malformed(c, GHCB_ERR_MISSING_INPUT);
		return;
	}
	if (!host_msr((uint32_t)c->rcx, c->info1, &value)) {
		throw(c, 13, true);
		return;
	}
	if (!c->info1) {
		PUT(c, rax, (uint32_t)value);
		PUT(c, rdx, value >> 32);
	}
}

static void nae_ioio(struct ghcb_call *c)
{
	unsigned len = IOIO_SIZE(c->info1);
	uint16_t port = IOIO_PORT(c->info1);
	uint64_t count = c->info1 & IOIO_STR ? c->info2 : 1, i;
	volatile uint8_t *at;

	if ((len != 1 && len != 2 && len != 4) || count > sizeof(c->page->buffer)) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	if (!(c->info1 & IOIO_STR)) {
		if (c->info1 & IOIO_IN)
			PUT(c, rax, host_in(port, len));
		else if (is_valid(c, GHCB_BIT(rax)))
			host_out(port, len, (uint32_t)c->rax);
		else
			malformed(c, GHCB_ERR_MISSING_INPUT);
		return;
	}
	at = scratch_area(c, count * len);
	for (i = 0; at && i < count; i++, at += len) {
		uint32_t value = 0;

		if (c->info1 & IOIO_IN) {
			value = host_in(port, len);
			memcpy((void *)at, &value, len);
		} else {
			memcpy(&value, (const void *)at, len);
			host_out(port, len, value);
		}
	}
}

static void nae_mmio(struct ghcb_call *c)
{
	bool write = c->code == NAE_MMIO_WRITE;
	uint64_t len = c->info2, value = 0;
	uint8_t *buffer;

	if (len != 1 && len != 2 && len != 4 && len != 8) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	buffer = scratch_area(c, len);
	if (!buffer)
		return;
	if (write)
		memcpy(&value, buffer, len);
	if (!host_mmio(c->info1, (unsigned)len, write, &value)) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	if (!write)
		memcpy(buffer, &value, len);
}

/* The host keeps the value for the guest and does not put it in force: without debug swap it cannot. */
static void nae_dr7(struct ghcb_call *c)
{
	struct level *l = &c->v->level[c->v->vmpl];

	if (c->code == NAE_DR7_WRITE)
		l->dr7 = c->rax;
	else
		PUT(c, rax, l->dr7);
}

static void nae_nothing(struct ghcb_call *c)
{
	(void)c;
}

static void nae_vmmcall(struct ghcb_call *c)
{
	PUT(c, rax, UINT64_MAX);	/* no such hypercall */
}

static void nae_reset_hold(struct ghcb_call *c)
{
	c->out2 = 1;
}

/* The entry is done as a whole, or not at all. */
static bool psc_entry(struct ghcb_call *c, uint64_t e)
{
	uint32_t op = PSC_ENTRY_OP(e);

	if (op == PSC_PSMASH || op == PSC_UNSMASH)	/* hints; the host splits when it must, and never joins */
		return true;
	if ((op != PSC_PRIVATE && op != PSC_SHARED) || e >> 57)
		return false;
	return page_state_change(c->v, PSC_ENTRY_GPA(e), e & PSC_ENTRY_2M, op == PSC_PRIVATE);
}

static void nae_psc(struct ghcb_call *c)
{
	volatile struct ghcb_psc_hdr *h = (void *)scratch_area(c, sizeof(*h));
	volatile uint64_t *entries;
	unsigned cur, end;

	if (!h)
		return;
	cur = h->cur_entry;
	end = h->end_entry;
	if (end >= PSC_MAX_ENTRIES || cur > end || !scratch_area(c, sizeof(*h) + (end + 1ull) * 8)) {
		c->out1 = 0;
		c->out2 = PSC_ERR_HEADER;
		return;
	}
	entries = (void *)(h + 1);
	for (; cur <= end; cur++) {
		uint64_t e = entries[cur];

		if (!psc_entry(c, e)) {
			h->cur_entry = (uint16_t)cur;
			c->out2 = PSC_ERR_ENTRY;
			return;
		}
		entries[cur] = (e & ~0xfffull) | (e & PSC_ENTRY_2M ? 512 : 1);
	}
	h->cur_entry = (uint16_t)cur;
}

static struct vcpu *vcpu_by_apic(uint64_t id)
{
	uint32_t i;

	for (i = 0; i < vcpu_count; i++)
		if (vcpus[i].apic_id == id)
			return &vcpus[i];
	return NULL;
}

/* What AP creation refuses (spec 1.6): the page's state is for the entry to check. */
static bool ap_request_ok(const struct ghcb_call *c, const struct vcpu *to, uint64_t vmpl, uint64_t op)
{
	if (!to || vmpl >= VMPLS || op > AP_DESTROY || c->info1 & 0xfff00000)
		return false;
	if (vmpl < c->v->vmpl)	/* only VMPL0 makes vCPUs of VMPL0, and so on */
		return false;
	if (op == AP_DESTROY)
		return true;
	return !(c->info2 % PAGE_LEN) && c->info2 % HUGE_LEN && is_ram(c->info2) && c->rax & SEV_FEATURE_SNP;
}

static void nae_ap_creation(struct ghcb_call *c)
{
	uint64_t op = c->info1 & 0xffff, vmpl = c->info1 >> 16 & 0xf;
	struct vcpu *to = vcpu_by_apic(c->info1 >> 32);
	struct level *l;

	if (op != AP_DESTROY && !is_valid(c, GHCB_BIT(rax))) {
		malformed(c, GHCB_ERR_MISSING_INPUT);
		return;
	}
	if (!ap_request_ok(c, to, vmpl, op) || (to == c->v && vmpl == c->v->vmpl)) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	l = &to->level[vmpl];
	l->next_vmsa = op == AP_DESTROY ? 0 : host_pfn(c->info2 / PAGE_LEN);
	l->start = op != AP_CREATE_ON_INIT;
	__atomic_store_n(&to->start_wanted, l->start, __ATOMIC_RELEASE);
	if (op == AP_CREATE_ON_INIT)	/* nobody sends INIT here: it can be run by RUN_VMPL */
		l->vmsa = l->next_vmsa;
	if (to != c->v)
		smp_wake(to);
}

/*
 * A message to the secure processor. Both pages are the guest's shared memory; the request is copied before the
 * firmware sees it, since another vCPU may rewrite the page.
 */
static void nae_guest_request(struct ghcb_call *c)
{
	static uint8_t request[PAGE_LEN], before[PAGE_LEN], response[PAGE_LEN], response_before[PAGE_LEN];
	uint8_t *from = gmem_shared(c->info1, PAGE_LEN), *to = gmem_shared(c->info2, PAGE_LEN);

	if (!from || !to || from == to) {
		malformed(c, GHCB_ERR_INVALID_INPUT);
		return;
	}
	memcpy(before, request, PAGE_LEN);
	memcpy(response_before, response, PAGE_LEN);
	memcpy(request, from, PAGE_LEN);
	if (attack_now(ATTACK_BUSY)) {
		c->out2 = (uint64_t)GUEST_REQ_VMM_BUSY << 32;
		return;
	}
	if (attack_now(ATTACK_DROP_MESSAGE))
		return;
	if (attack_now(ATTACK_CORRUPT_REQUEST))
		request[sizeof(struct snp_msg_hdr)] ^= 1;
	c->out2 = secure_request(attack_now(ATTACK_REPLAY_REQUEST) ? before : request, response);
	if (c->out2)
		return;
	if (attack_now(ATTACK_CORRUPT_MESSAGE))
		response[sizeof(struct snp_msg_hdr)] ^= 1;
	memcpy(to, attack_now(ATTACK_REPLAY_MESSAGE) ? response_before : response, PAGE_LEN);
}

/* The same, with certificates for the guest's convenience; too little room is said before the firmware is called. */
static void nae_ext_guest_request(struct ghcb_call *c)
{
	uint64_t len, i;
	const uint8_t *certs = secure_certs(&len);

	if (c->rbx < len / PAGE_LEN) {
		PUT(c, rbx, len / PAGE_LEN);
		c->out2 = (uint64_t)GUEST_REQ_VMM_LEN << 32;
		return;
	}
	for (i = 0; i < len; i += PAGE_LEN) {
		uint8_t *to = gmem_shared(c->rax + i, PAGE_LEN);

		if (!to) {
			malformed(c, GHCB_ERR_INVALID_INPUT);
			return;
		}
		memcpy(to, certs + i, PAGE_LEN);
	}
	nae_guest_request(c);
}

static void nae_run_vmpl(struct ghcb_call *c)
{
	if (c->info1 >= VMPLS)
		malformed(c, GHCB_ERR_INVALID_INPUT);
}

static void nae_features(struct ghcb_call *c)
{
	c->out2 = HV_FEATURES;
}

static void nae_terminate(struct ghcb_call *c)
{
	terminated(c->v, c->info1 & 0xf, c->info1 >> 4 & 0xff);
}

static void nae_unsupported(struct ghcb_call *c)
{
	l0_stop(STOP_TERMINATED, "unsupported-event vmpl=%u code=%lx cpu=%u", c->v->vmpl, c->info1, c->v->index);
}

#define NEED(field) (1u << (field))
enum { IN_RAX = 0, IN_RCX = 1, IN_RDX = 2, IN_SCRATCH = 3, IN_RBX = 4 };

static const struct nae {
	uint64_t code;
	unsigned needs;
	void (*run)(struct ghcb_call *c);
} naes[] = {
	{ NAE_DR7_READ, 0, nae_dr7 },
	{ NAE_DR7_WRITE, NEED(IN_RAX), nae_dr7 },
	{ NAE_CPUID, NEED(IN_RAX) | NEED(IN_RCX), nae_cpuid },
	{ NAE_IOIO, 0, nae_ioio },
	{ NAE_MSR, NEED(IN_RCX), nae_msr },
	{ NAE_VMMCALL, NEED(IN_RAX), nae_vmmcall },
	{ NAE_WBINVD, 0, nae_nothing },
	{ NAE_MMIO_READ, NEED(IN_SCRATCH), nae_mmio },
	{ NAE_MMIO_WRITE, NEED(IN_SCRATCH), nae_mmio },
	{ NAE_NMI_COMPLETE, 0, nae_nothing },
	{ NAE_AP_RESET_HOLD, 0, nae_reset_hold },
	{ NAE_PSC, NEED(IN_SCRATCH), nae_psc },
	{ NAE_GUEST_REQUEST, 0, nae_guest_request },
	{ NAE_EXT_GUEST_REQUEST, NEED(IN_RAX) | NEED(IN_RBX), nae_ext_guest_request },
	{ NAE_AP_CREATION, 0, nae_ap_creation },
	{ NAE_RUN_VMPL, 0, nae_run_vmpl },
	{ NAE_HV_FEATURES, 0, nae_features },
	{ NAE_TERMINATE, 0, nae_terminate },
	{ NAE_UNSUPPORTED, 0, nae_unsupported },
};

/* Each field once, the valid bits before and cleared after: what comes back is the host's alone. */
static void ghcb_read(struct ghcb_call *c)
{
	const volatile struct ghcb *g = c->page;
	struct shared bits = shared_of(g->valid, sizeof(c->valid));

	if (!shared_copy(&bits, c->valid, sizeof(c->valid)))
		return;
	c->code = g->exit_code;
	c->info1 = g->info1;
	c->info2 = g->info2;
	c->scratch = g->scratch;
	c->rax = g->rax;
	c->rbx = g->rbx;
	c->rcx = g->rcx;
	c->rdx = g->rdx;
	memset(c->page->valid, 0, sizeof(c->page->valid));
}

static bool has_inputs(const struct ghcb_call *c, unsigned needs)
{
	static const size_t bits[] = {
		[IN_RAX] = GHCB_BIT(rax), [IN_RCX] = GHCB_BIT(rcx), [IN_RDX] = GHCB_BIT(rdx),
		[IN_SCRATCH] = GHCB_BIT(scratch), [IN_RBX] = GHCB_BIT(rbx),
	};
	unsigned i;

	for (i = 0; i < ARRAY_LEN(bits); i++)
		if (needs >> i & 1 && !is_valid(c, bits[i]))
			return false;
	return true;
}

static const struct nae *nae_find(struct ghcb_call *c, uint32_t usage)
{
	size_t i;

	if (usage) {
		malformed(c, GHCB_ERR_USAGE);
		return NULL;
	}
	if (!is_valid(c, GHCB_BIT(exit_code)) || !is_valid(c, GHCB_BIT(info1)) || !is_valid(c, GHCB_BIT(info2))) {
		malformed(c, GHCB_ERR_MISSING_INPUT);
		return NULL;
	}
	for (i = 0; i < ARRAY_LEN(naes); i++) {
		if (naes[i].code != c->code)
			continue;
		if (has_inputs(c, naes[i].needs))
			return &naes[i];
		malformed(c, GHCB_ERR_MISSING_INPUT);
		return NULL;
	}
	malformed(c, GHCB_ERR_INVALID_EVENT);
	return NULL;
}

static void ghcb_request(struct vcpu *v)
{
	struct level *l = &v->level[v->vmpl];
	struct ghcb_call c = { .v = v, .page = gmem_shared(l->ghcb_msr, PAGE_LEN) };
	const struct nae *n = NULL;

	stat_add(STAT_GHCB);
	if (attack_now(ATTACK_STALE_GHCB))
		return;
	if (!c.page)	/* nowhere to answer: the guest goes on, and finds nothing done */
		return;
	ghcb_read(&c);
	if (l->ghcb_gfn != l->ghcb_msr / PAGE_LEN)
		malformed(&c, GHCB_ERR_NOT_REGISTERED);
	else
		n = nae_find(&c, *(volatile uint32_t *)&c.page->usage);
	if (n)
		n->run(&c);
	PUT(&c, info1, c.out1);
	PUT(&c, info2, c.out2);
	if (!n || c.out1)
		return;
	if (n->code == NAE_RUN_VMPL && !run_vmpl(v, c.info1)) {
		PUT(&c, info1, GHCB_MALFORMED);
		PUT(&c, info2, GHCB_ERR_INVALID_INPUT);
	}
	if (n->code == NAE_AP_RESET_HOLD)
		hold(v);
}

/* ---- the MSR protocol: the answer for a request, by its code ---- */

static uint64_t msr_info(struct vcpu *v, uint64_t req)
{
	(void)v;
	(void)req;
	return GHCB_MSR_SEV_INFO | (uint64_t)CBIT << 24 | 1ull << 32 | (uint64_t)GHCB_VERSION << 48;
}

static uint64_t msr_cpuid(struct vcpu *v, uint64_t req)
{
	struct cpuid_regs r = guest_cpuid((uint32_t)(req >> 32), 0);
	const uint32_t regs[] = { r.a, r.b, r.c, r.d };

	(void)v;
	if (attack_now(ATTACK_WRONG_CPUID))
		req ^= 0xffffffff00000000ull;	/* of another function */
	return GHCB_MSR_CPUID_RESP | (req & 0xc0000000) | (uint64_t)regs[req >> 30 & 3] << 32;
}

static uint64_t msr_preferred(struct vcpu *v, uint64_t req)
{
	(void)v;
	(void)req;
	return GHCB_MSR_PREFERRED_GPA_RESP | REFUSED_FRAME;
}

static uint64_t msr_register(struct vcpu *v, uint64_t req)
{
	if (!gmem_shared(req & ~GHCB_INFO_MASK, PAGE_LEN))
		return GHCB_MSR_REGISTER_GPA_RESP | REFUSED_FRAME;
	v->level[v->vmpl].ghcb_gfn = MSR_FRAME(req);
	return GHCB_MSR_REGISTER_GPA_RESP | (req & ~GHCB_INFO_MASK);
}

static uint64_t msr_psc(struct vcpu *v, uint64_t req)
{
	uint32_t op = PSC_ENTRY_OP(req);
	bool ok = (op == PSC_PRIVATE || op == PSC_SHARED) && !(req >> 56) &&
		  page_state_change(v, PSC_ENTRY_GPA(req), false, op == PSC_PRIVATE);

	return GHCB_MSR_PSC_RESP | (ok ? 0 : MSR_ERROR << 32);
}

static uint64_t msr_features(struct vcpu *v, uint64_t req)
{
	(void)v;
	(void)req;
	return GHCB_MSR_FEATURES_RESP | (uint64_t)HV_FEATURES << 12;
}

static uint64_t msr_terminate(struct vcpu *v, uint64_t req)
{
	if (attack_ignores_end(v)) {
		hold(v);
		return req;
	}
	terminated(v, req >> 12 & 0xf, req >> 16 & 0xff);
}

static const struct {
	uint32_t code;
	uint64_t (*answer)(struct vcpu *v, uint64_t req);
} msr_requests[] = {
	{ GHCB_MSR_SEV_INFO_REQ, msr_info },
	{ GHCB_MSR_CPUID_REQ, msr_cpuid },
	{ GHCB_MSR_PREFERRED_GPA_REQ, msr_preferred },
	{ GHCB_MSR_REGISTER_GPA_REQ, msr_register },
	{ GHCB_MSR_PSC_REQ, msr_psc },
	{ GHCB_MSR_FEATURES_REQ, msr_features },
	{ GHCB_MSR_TERMINATE_REQ, msr_terminate },
};

void handle_vmgexit(struct vcpu *v)
{
	struct level *l = &v->level[v->vmpl];
	uint64_t req = l->ghcb_msr;
	size_t i;

	if (v->vmpl == 0)
		attack_page(v);
	switch (req & GHCB_INFO_MASK) {
	case GHCB_MSR_PAGE:
		ghcb_request(v);
		return;
	case GHCB_MSR_RUN_VMPL_REQ:	/* the answer first: afterwards the caller's level does not run */
		l->ghcb_msr = GHCB_MSR_RUN_VMPL_RESP;
		if (!run_vmpl(v, req >> 32 & 0xff))
			l->ghcb_msr |= MSR_ERROR << 32;
		return;
	case GHCB_MSR_AP_RESET_HOLD_REQ:
		l->ghcb_msr = GHCB_MSR_AP_RESET_HOLD_RESP | 1ull << 12;
		hold(v);
		return;
	}
	for (i = 0; i < ARRAY_LEN(msr_requests); i++)
		if (msr_requests[i].code == (req & GHCB_INFO_MASK))
			l->ghcb_msr = msr_requests[i].answer(v, req) ^ (attack_now(ATTACK_WRONG_RESPONSE) ? 0x40 : 0);
	/* Unknown: the MSR stays as it is, and the guest sees that nobody answered. */
}
