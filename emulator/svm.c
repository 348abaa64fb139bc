/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running vCPUs: the control block, moving a level's state between VMSA and control block, and the dispatch of
 * exits. Spec sections 1.7 and 8.3.
 *
 * The state rule: while a level does not run, its VMSA page holds the truth, all of it. level_save() and
 * level_load() are the only ways between the two.
 */
#include <string.h>

#include "emulator/l0.h"

static uint8_t *msrpm_host, *msrpm_all;	/* what is intercepted: nearly nothing; all but the guest's own */
static uint8_t *iopm_host, *iopm_all;
static bool has_xsave;
static uint64_t xsave_mask;

/* MSRs in the VMSA or without interest for the host: never an exit (spec 2.8). */
static const uint32_t direct_msrs[] = {
	MSR_EFER, MSR_PAT, MSR_TSC_AUX, 0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
	0xc0000100, 0xc0000101, 0xc0000102, 0x48, 0x49, 0x1d9,
};

/* The bit pair of an MSR in a permission map; UINT32_MAX: outside, such MSRs always exit. */
static uint32_t map_index(uint32_t msr)
{
	static const uint32_t base[] = { 0, 0xc0000000u, 0xc0010000u };
	uint32_t i;

	for (i = 0; i < ARRAY_LEN(base); i++)
		if (msr - base[i] < 0x2000)
			return (i * 0x2000 + msr - base[i]) * 2;
	return UINT32_MAX;
}

static void map_set(uint8_t *map, uint32_t msr, bool intercept)
{
	uint32_t bit = map_index(msr);

	if (bit == UINT32_MAX)
		return;
	if (intercept)
		map[bit / 8] |= (uint8_t)(3u << bit % 8);
	else
		map[bit / 8] &= (uint8_t)~(3u << bit % 8);
}

void svm_init(void)
{
	uint32_t i;

	msrpm_host = page_alloc(2);
	map_set(msrpm_host, MSR_GHCB, true);
	map_set(msrpm_host, MSR_SEV_STATUS, true);
	map_set(msrpm_host, MSR_VM_HSAVE_PA, true);
	msrpm_all = page_alloc(2);
	memset(msrpm_all, 0xff, 2 * PAGE_LEN);
	for (i = 0; i < ARRAY_LEN(direct_msrs); i++)
		map_set(msrpm_all, direct_msrs[i], false);
	iopm_host = page_alloc(3);
	iopm_host[DEBUG_EXIT_PORT / 8] = 0xf << DEBUG_EXIT_PORT % 8;
	iopm_all = page_alloc(3);
	memset(iopm_all, 0xff, 3 * PAGE_LEN);
	has_xsave = cpu_cpuid(1, 0).c & 1u << 26;
	xsave_mask = has_xsave ? cpu_cpuid(0xd, 0).a & 7 : 3;
}

void vcpu_init(struct vcpu *v)
{
	struct vmcb *s = page_alloc(1);
	unsigned i;

	v->vmcb = s;
	v->host = page_alloc(1);
	s->asid = 1;
	s->np_enable = 1;
	s->exceptions = 1u << 6;
	s->dr_read = s->dr_write = 1u << 7;
	s->intercept2 = INT2_VMRUN | INT2_VMMCALL | INT2_VMLOAD | INT2_VMSAVE | INT2_STGI | INT2_CLGI | INT2_SKINIT |
			INT2_WBINVD | INT2_MONITOR | INT2_MWAIT;
	for (i = 0; i < VMPLS; i++) {
		v->level[i].ghcb_msr = GHCB_MSR_SEV_INFO | (uint64_t)CBIT << 24 | 1ull << 32 | (uint64_t)GHCB_VERSION << 48;
		v->level[i].ghcb_gfn = NO_GFN;
		v->level[i].dr7 = 0x400;
	}
}

void inject(struct vcpu *v, unsigned type, unsigned vector, bool has_code, uint32_t code)
{
	v->vmcb->event = EVENT(type, vector) | (has_code ? EVENT_HAS_CODE : 0);
	v->vmcb->event_code = code;
}

/* Fields at the same offset in VMSA and save area. */
static const struct {
	uint16_t off, len;
} same[] = {
	{ 0x000, 0xa0 },	/* segments */
	{ offsetof(struct vmsa, cpl), 1 },
	{ offsetof(struct vmsa, efer), 8 },
	{ offsetof(struct vmsa, cr4), 0x38 },	/* CR4 CR3 CR0 DR7 DR6 RFLAGS RIP */
	{ offsetof(struct vmsa, rsp), 8 },
	{ offsetof(struct vmsa, rax), 0x50 },	/* RAX STAR .. SYSENTER_EIP CR2 */
	{ offsetof(struct vmsa, g_pat), 8 },
};

static void gregs_to_vmsa(struct vmsa *a, const struct gregs *g)
{
	a->rbx = g->rbx;
	a->rcx = g->rcx;
	a->rdx = g->rdx;
	a->rsi = g->rsi;
	a->rdi = g->rdi;
	a->rbp = g->rbp;
	memcpy(&a->r8, &g->r8, 8 * 8);
}

static void gregs_from_vmsa(struct gregs *g, const struct vmsa *a)
{
	g->rbx = a->rbx;
	g->rcx = a->rcx;
	g->rdx = a->rdx;
	g->rsi = a->rsi;
	g->rdi = a->rdi;
	g->rbp = a->rbp;
	memcpy(&g->r8, &a->r8, 8 * 8);
}

/* Offsets in the XSAVE area: APM volume 2, figure 11-9 (FXSAVE, 64-bit) and 11-11. */
enum {
	FX_FCW = 0, FX_FSW = 2, FX_FTW = 4, FX_FOP = 6, FX_RIP = 8, FX_DP = 16, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160,
	XS_HEADER = 512, XS_YMM = 576,
};

static void fpu_to_vmsa(struct vcpu *v, struct vmsa *a)
{
	uint8_t *x = v->fpu;
	unsigned i;

	a->xcr0 = has_xsave ? cpu_xgetbv() : 1;
	memset(x + XS_HEADER, 0, 64);
	memset(x + XS_YMM, 0, 256);
	if (has_xsave) {
		cpu_xsetbv(xsave_mask);
		__asm__ volatile("xsave64 (%0)" : : "r"(x), "a"((uint32_t)xsave_mask), "d"(0) : "memory");
		if (!(x[XS_HEADER] & 4))
			memset(x + XS_YMM, 0, 256);
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(x) : "memory");
	}
	memcpy(&a->x87_fcw, x + FX_FCW, 2);
	memcpy(&a->x87_fsw, x + FX_FSW, 2);
	memcpy(&a->x87_fop, x + FX_FOP, 2);
	memcpy(&a->x87_rip, x + FX_RIP, 8);
	memcpy(&a->x87_dp, x + FX_DP, 8);
	memcpy(&a->mxcsr, x + FX_MXCSR, 4);
	a->x87_ftw = 0;
	for (i = 0; i < 8; i++) {	/* FXSAVE has one bit a register: in use; the VMSA has the full tag word */
		if (!(x[FX_FTW] & 1u << i))
			a->x87_ftw |= (uint16_t)(3u << 2 * i);
		memcpy(a->x87_regs + 10 * i, x + FX_ST + 16 * i, 10);
	}
	memcpy(a->xmm, x + FX_XMM, 256);
	memcpy(a->ymm_high, x + XS_YMM, 256);
}

static void fpu_from_vmsa(struct vcpu *v, const struct vmsa *a)
{
	uint8_t *x = v->fpu;
	uint32_t mxcsr = a->mxcsr & 0xffff;
	unsigned i;

	memset(x, 0, sizeof(v->fpu));
	memcpy(x + FX_FCW, &a->x87_fcw, 2);
	memcpy(x + FX_FSW, &a->x87_fsw, 2);
	memcpy(x + FX_FOP, &a->x87_fop, 2);
	memcpy(x + FX_RIP, &a->x87_rip, 8);
	memcpy(x + FX_DP, &a->x87_dp, 8);
	memcpy(x + FX_MXCSR, &mxcsr, 4);
	for (i = 0; i < 8; i++) {
		if ((a->x87_ftw >> 2 * i & 3) != 3)
			x[FX_FTW] |= (uint8_t)(1u << i);
		memcpy(x + FX_ST + 16 * i, a->x87_regs + 10 * i, 10);
	}
	memcpy(x + FX_XMM, a->xmm, 256);
	memcpy(x + XS_YMM, a->ymm_high, 256);
	x[XS_HEADER] = (uint8_t)xsave_mask;
	if (has_xsave) {
		cpu_xsetbv(xsave_mask);
		__asm__ volatile("xrstor64 (%0)" : : "r"(x), "a"((uint32_t)xsave_mask), "d"(0) : "memory");
		cpu_xsetbv((a->xcr0 & xsave_mask) | 1);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(x) : "memory");
	}
}

static void debug_to_vmsa(struct vmsa *a)
{
	__asm__ volatile("mov %%db0, %0" : "=r"(a->dr[0]));
	__asm__ volatile("mov %%db1, %0" : "=r"(a->dr[1]));
	__asm__ volatile("mov %%db2, %0" : "=r"(a->dr[2]));
	__asm__ volatile("mov %%db3, %0" : "=r"(a->dr[3]));
}

static void debug_from_vmsa(const struct vmsa *a)
{
	__asm__ volatile("mov %0, %%db0" : : "r"(a->dr[0]));
	__asm__ volatile("mov %0, %%db1" : : "r"(a->dr[1]));
	__asm__ volatile("mov %0, %%db2" : : "r"(a->dr[2]));
	__asm__ volatile("mov %0, %%db3" : : "r"(a->dr[3]));
}

bool level_enterable(const struct level *l, unsigned vmpl)
{
	const struct rmp_entry *e;
	const struct vmsa *a;

	if (!l->vmsa)
		return false;
	e = rmp_entry(&rmp, l->vmsa);
	a = gmem_vmsa(l->vmsa);
	return e->assigned && e->validated && e->vmsa && !e->in_use && a->efer & VMSA_EFER_SVME &&
	       a->sev_features & SEV_FEATURE_SNP && a->vmpl == vmpl;
}

void level_save(struct vcpu *v, uint64_t exit_code, uint64_t info1, uint64_t info2)
{
	struct level *l = &v->level[v->vmpl];
	struct vmsa *a = gmem_vmsa(l->vmsa);
	uint8_t *save = (uint8_t *)v->vmcb + VMCB_SAVE;
	unsigned i;

	INVARIANT(v->loaded);
	for (i = 0; i < ARRAY_LEN(same); i++)
		memcpy((uint8_t *)a + same[i].off, save + same[i].off, same[i].len);
	gregs_to_vmsa(a, &v->g);
	fpu_to_vmsa(v, a);
	debug_to_vmsa(a);
	a->efer |= VMSA_EFER_SVME;
	a->tsc_aux = (uint32_t)cpu_rdmsr(MSR_TSC_AUX);
	a->g_pat = cpu_rdmsr(MSR_PAT);
	a->exit_code = exit_code;
	a->exit_info1 = info1;
	a->exit_info2 = info2;
	a->exit_int_info = v->vmcb->int_info | (uint64_t)v->vmcb->int_info_code << 32;
	a->event_inj = v->vmcb->event | (uint64_t)v->vmcb->event_code << 32;
	a->vintr_ctrl = (a->vintr_ctrl & ~(1ull << 10)) | (v->vmcb->int_state & 1) << 10;
	a->nrip = 0;
	rmp_vmsa_use(&rmp, l->vmsa, false);
	v->loaded = false;
}

void level_load(struct vcpu *v, unsigned vmpl)
{
	struct level *l = &v->level[vmpl];
	struct vmsa *a = gmem_vmsa(l->vmsa);
	struct vmcb *s = v->vmcb;
	bool watched = vmpl == 0 || opt.strict_io;
	unsigned i;

	INVARIANT(!v->loaded && level_enterable(l, vmpl));
	for (i = 0; i < ARRAY_LEN(same); i++)
		memcpy((uint8_t *)s + VMCB_SAVE + same[i].off, (uint8_t *)a + same[i].off, same[i].len);
	gregs_from_vmsa(&v->g, a);
	fpu_from_vmsa(v, a);
	debug_from_vmsa(a);
	cpu_wrmsr(MSR_TSC_AUX, a->tsc_aux);
	cpu_wrmsr(MSR_PAT, a->g_pat);
	s->event = (uint32_t)a->event_inj;
	s->event_code = (uint32_t)(a->event_inj >> 32);
	s->int_state = a->vintr_ctrl >> 10 & 1;
	s->ncr3 = npt_root(vmpl, a->cr0 & CR0_PG);
	s->msrpm = (uint64_t)(watched ? msrpm_all : msrpm_host);
	s->iopm = (uint64_t)(watched ? iopm_all : iopm_host);
	s->intercept1 = INT1_NMI | INT1_INIT | INT1_RDPMC | INT1_CPUID | INT1_INVD | INT1_INVLPGA | INT1_IOIO | INT1_MSR |
			INT1_SHUTDOWN | (vmpl == 0 ? INT1_HLT : 0);
	rmp_vmsa_use(&rmp, l->vmsa, true);
	v->vmpl = vmpl;
	v->loaded = true;
	l->start = false;
}

/* RDMSR and WRMSR: two of the guest's own are answered by the CPU, the rest is for its #VC handler. */
static void handle_msr(struct vcpu *v)
{
	struct level *l = &v->level[v->vmpl];
	struct vmcb *s = v->vmcb;
	uint32_t msr = (uint32_t)v->g.rcx;
	bool write = s->info1 & 1;
	uint64_t value = SEV_STATUS_SEV | SEV_STATUS_ES | SEV_STATUS_SNP;

	if (msr != MSR_GHCB && msr != MSR_SEV_STATUS) {
		vc_deliver(v, NAE_MSR);
		return;
	}
	if (write && msr == MSR_SEV_STATUS) {
		inject(v, EVENT_EXCEPTION, 13, true, 0);
		return;
	}
	if (write) {
		l->ghcb_msr = (uint32_t)s->rax | v->g.rdx << 32;
	} else {
		if (msr == MSR_GHCB)
			value = l->ghcb_msr;
		s->rax = (uint32_t)value;
		v->g.rdx = value >> 32;
	}
	s->rip += 2;
}

static void handle_vmmcall(struct vcpu *v)
{
	uint8_t b[4] = { 0 };
	unsigned n = gmem_fetch(v, b, 4);

	if (n < 3 || (b[0] != 0xf3 && b[0] != 0xf2)) {
		if (opt.counters && v->vmcb->rax == COUNTERS_MAGIC) {
			stats_print();
			v->vmcb->rip += 3;
			return;
		}
		vc_deliver(v, NAE_VMMCALL);
		return;
	}
	if (v->vmcb->cpl) {
		inject(v, EVENT_EXCEPTION, 6, false, 0);
		return;
	}
	v->vmcb->rip += 4;
	handle_vmgexit(v);
}

/* The code of the exit is the code of the exception (spec 1.3, 2.8). */
static void handle_nae(struct vcpu *v)
{
	vc_deliver(v, (uint32_t)v->vmcb->exit_code);
}

static void handle_no_svm(struct vcpu *v)
{
	inject(v, EVENT_EXCEPTION, 6, false, 0);
}

static void handle_nmi(struct vcpu *v)
{
	cpu_take_nmi();
	if (!__atomic_exchange_n(&v->kicked, false, __ATOMIC_SEQ_CST))
		inject(v, EVENT_NMI, 2, false, 0);
}

/* Only intercepted at VMPL0, whose interrupts are off: it has nothing to do. */
static void handle_hlt(struct vcpu *v)
{
	v->vmcb->rip += 1;
	level_save(v, EXIT_HLT, 0, 0);
}

static void handle_shutdown(struct vcpu *v)
{
	const struct vmcb *s = v->vmcb;

	l0_stop(STOP_SHUTDOWN, "shutdown vmpl=%u rip=%lx rsp=%lx cr3=%lx cr2=%lx event=%x code=%x cpu=%u", v->vmpl, s->rip,
		s->rsp, s->cr3, s->cr2, s->int_info, s->int_info_code, v->index);
}

static void handle_init(struct vcpu *v)
{
	l0_stop(STOP_VIOLATION, "init vmpl=%u cpu=%u", v->vmpl, v->index);
}

static void (*const handlers[EXIT_COUNT])(struct vcpu *v) = {
	[EXIT_DR7_READ] = handle_nae, [EXIT_DR7_WRITE] = handle_nae, [EXIT_UD] = handle_ud, [EXIT_NMI] = handle_nmi,
	[EXIT_INIT] = handle_init, [EXIT_RDPMC] = handle_nae, [EXIT_CPUID] = handle_nae, [EXIT_INVD] = handle_nae,
	[EXIT_HLT] = handle_hlt, [EXIT_INVLPGA] = handle_no_svm, [EXIT_IOIO] = handle_nae, [EXIT_MSR] = handle_msr,
	[EXIT_SHUTDOWN] = handle_shutdown, [EXIT_VMRUN] = handle_no_svm, [EXIT_VMMCALL] = handle_vmmcall,
	[EXIT_VMLOAD] = handle_no_svm, [EXIT_VMSAVE] = handle_no_svm, [EXIT_STGI] = handle_no_svm,
	[EXIT_CLGI] = handle_no_svm, [EXIT_SKINIT] = handle_no_svm, [EXIT_WBINVD] = handle_nae,
	[EXIT_MONITOR] = handle_nae, [EXIT_MWAIT] = handle_nae, [EXIT_NPF] = handle_npf,
};

/*
 * An event whose delivery was cut short goes in again. QEMU reports every such event as an exception, and a
 * software interrupt is simply executed again.
 */
static void redeliver(struct vcpu *v)
{
	uint32_t e = v->vmcb->int_info, vector = e & 0xff, type = EVENT_TYPE(e);

	v->vmcb->event = 0;
	if (!(e & EVENT_VALID) || type == EVENT_SOFT)
		return;
	if (type == EVENT_EXCEPTION && vector >= 32)
		type = EVENT_INTR;
	if (type == EVENT_EXCEPTION && vector == 2)
		type = EVENT_NMI;
	inject(v, type, vector, type == EVENT_EXCEPTION && e & EVENT_HAS_CODE, v->vmcb->int_info_code);
}

static void handle_exit(struct vcpu *v)
{
	const struct vmcb *s = v->vmcb;
	uint64_t code = s->exit_code;

	stat_exit(code);
	if ((uint32_t)code == EXIT_INVALID)
		l0_stop(STOP_VIOLATION, "state vmpl=%u rip=%lx cr0=%lx cr3=%lx cr4=%lx efer=%lx event=%x cpu=%u", v->vmpl,
			s->rip, s->cr0, s->cr3, s->cr4, s->efer, s->event, v->index);
	if (code >= EXIT_COUNT || !handlers[code])
		l0_stop(STOP_BUG, "exit code=%lx info=%lx,%lx vmpl=%u rip=%lx", code, s->info1, s->info2, v->vmpl, s->rip);
	redeliver(v);
	handlers[code](v);
}

/* The level to start now, VMPLS: none. A running one can only be replaced by itself. */
static unsigned next_start(const struct vcpu *v)
{
	unsigned i;

	if (v->loaded)
		return v->level[v->vmpl].start ? v->vmpl : VMPLS;
	for (i = 0; i < VMPLS && !v->level[i].start; i++)
		;
	return i;
}

/*
 * Enters what AP creation has asked for: when nothing runs here, and at once in place of the level of the same
 * number. Otherwise it waits for RUN_VMPL or a halt: the host never preempts a level for another.
 */
static void take_start(struct vcpu *v)
{
	unsigned next = next_start(v);

	__atomic_store_n(&v->start_wanted, false, __ATOMIC_RELEASE);
	if (next == VMPLS)
		return;
	if (v->loaded)	/* into the old VMSA, see ap_create() */
		level_save(v, EXIT_NMI, 0, 0);
	v->level[next].vmsa = v->level[next].next_vmsa;
	if (level_enterable(&v->level[next], next)) {
		level_load(v, next);
	} else {
		l0_print("L0: vCPU %u cannot enter its VMSA at VMPL%u\n", v->index, next);
		v->level[next].start = false;
	}
}

void vcpu_loop(struct vcpu *v)
{
	uint64_t now;

	for (;;) {
		if (!v->loaded || __atomic_load_n(&v->start_wanted, __ATOMIC_ACQUIRE)) {
			l0_lock();
			take_start(v);
			l0_unlock();
		}
		if (!v->loaded) {
			cpu_wait_nmi();
			__atomic_store_n(&v->kicked, false, __ATOMIC_SEQ_CST);
			continue;
		}
		v->vmcb->efer |= EFER_SVME;
		__atomic_store_n(&v->in_guest, true, __ATOMIC_SEQ_CST);
		v->entered = cpu_tsc();
		svm_run((uint64_t)v->vmcb, &v->g, (uint64_t)v->host);
		now = cpu_tsc();
		__atomic_store_n(&v->in_guest, false, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&v->exits, 1, __ATOMIC_SEQ_CST);
		l0_lock();
		stat_ticks(v->vmpl, now - v->entered, v->left ? v->entered - v->left : 0);
		v->left = now;
		handle_exit(v);
		l0_unlock();
	}
}
