/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's life: start on the boot vCPU, the other vCPUs, then on each: run the guest, answer its call.
 *
 * It trusts its launch pages. What the host says (parameter page, GHCB) is checked here or in the core.
 */
#include <string.h>

#include "monitor/state.h"
#include "monitor/x86/linux.h"
#include "monitor/x86/process.h"
#include "monitor/x86/x86.h"
#include "snp/svsm.h"

struct mon mon;
static struct cpu boot_cpu;
static struct launch_info info;

__attribute__((noreturn)) void monitor_main(uint64_t info_gpa);
__attribute__((noreturn)) void monitor_ap_main(struct cpu *c);
extern char ap_entry[];

#define CPUID_SEV 0x8000001fu
#define CPUID_EMULATOR 0x40000100u

const struct snp_cpuid_entry *cpuid_find(uint32_t function, uint32_t sub)
{
	const struct snp_cpuid_page *p = direct(LAUNCH_CPUID);
	uint32_t i;

	for (i = 0; i < p->count && i < ARRAY_LEN(p->e); i++)
		if (p->e[i].eax_in == function && p->e[i].ecx_in == sub)
			return &p->e[i];
	return NULL;
}

/*
 * What a host can hide in the page that the secure processor checks, and what would be lost: then we do not run
 * without, but not at all.
 */
static void check_cpu(void)
{
	static const struct {
		uint32_t function, ebx, ecx;
		const char *lost;
	} needed[] = {
		{ 0x80000008, 1u << 3, 0, "no INVLPGB: other vCPUs would keep rights that were taken away" },
		{ 1, 0, 1u << 25 | 1u << 9 | 1u << 1, "no AES, SSSE3 or PCLMULQDQ: tables in their place betray keys by timing" },
	};
	const struct snp_cpuid_entry *e;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(needed); i++) {
		e = cpuid_find(needed[i].function, 0);
		if (!e || (e->ebx & needed[i].ebx) != needed[i].ebx || (e->ecx & needed[i].ecx) != needed[i].ecx)
			stop(MON_REASON_CPU, needed[i].lost);
	}
}

static void check_launch(uint64_t info_gpa)
{
	const struct snp_cpuid_entry *sev;

	if (info_gpa != LAUNCH_INFO)
		stop(MON_REASON_LAUNCH, "launch information is not where it must be");
	memcpy(&info, direct(LAUNCH_INFO), sizeof(info));
	if (info.magic != LAUNCH_MAGIC || info.version != LAUNCH_VERSION)
		stop(MON_REASON_LAUNCH, "launch information of another kind");
	sev = cpuid_find(CPUID_SEV, 0);
	if (!sev || (sev->ebx & 63) != MON_C_BIT)
		stop(MON_REASON_LAUNCH, "the C-bit is not where the image expects it");
	check_cpu();
}

static void check_host(void)
{
	const uint64_t need = GHCB_HV_SNP | GHCB_HV_AP_CREATION | GHCB_HV_MULTI_VMPL;
	uint64_t v = ghcb_msr(GHCB_MSR_SEV_INFO_REQ);

	if ((v & GHCB_INFO_MASK) != GHCB_MSR_SEV_INFO || v >> 48 < GHCB_VERSION || (v >> 32 & 0xffff) > GHCB_VERSION)
		ghcb_terminate(0, 1);
	v = ghcb_msr(GHCB_MSR_FEATURES_REQ);
	if ((v & GHCB_INFO_MASK) != GHCB_MSR_FEATURES_RESP || (v >> 12 & need) != need)
		ghcb_terminate(0, 2);
}

static uint32_t isolation(void)
{
	const struct snp_cpuid_entry *e = cpuid_find(CPUID_EMULATOR, 0);

	if (e && e->ebx == 0x4d535653 /* SVSM */ && e->ecx == 0x4c554d45 /* EMUL */ && e->edx == 0x524f5441 /* ATOR */)
		return ISOLATION_VMPL0_EMULATED;
	return ISOLATION_VMPL0_SNP;
}

static void take_memory(void)
{
	static struct igvm_memory_map_entry map[LAUNCH_PARAM_MAP_MAX];
	struct mon_options o = { .info = &info, .secrets = direct(LAUNCH_SECRETS), .guest_features = SEV_FEATURE_SNP,
				 .isolation = isolation() };

	if (mon_init(&mon, &o) != RC_OK)
		stop(MON_REASON_LAUNCH, "launch information contradicts itself");
	memcpy(map, direct(LAUNCH_PARAMS + LAUNCH_PARAM_MEMORY_MAP), sizeof(map));
	switch (mon_memory(&mon, map, ARRAY_LEN(map))) {
	case RC_OK:
		break;
	case RC_BAD_INPUT:
		stop(MON_REASON_MEMORY_MAP, "the host's memory map is refused");
	default:
		stop(MON_REASON_MEMORY, "the host or the processor refuses memory");
	}
	memory_give(info.memory_end, LAUNCH_MON_BASE + LAUNCH_MON_LEN);
}

/* Tells the host which VMSA a vCPU runs at a level; whether and when it is entered is another matter. */
static void name_vmsa(unsigned id, unsigned vmpl, const struct vmsa *v, unsigned op)
{
	struct ghcb_call call = { .code = NAE_AP_CREATION, .rax = SEV_FEATURE_SNP,
				  .info1 = (uint64_t)id << 32 | vmpl << 16 | op, .info2 = direct_gpa(v) };

	if (!ghcb_request(&call))
		stop(MON_REASON_CPU, "the host refuses a VMSA");
}

#define START_TICKS (1ull << 34)
static void start_other(unsigned id)
{
	uint64_t gpa = pages_alloc((sizeof(struct cpu) + PAGE - 1) / PAGE), since = rdtsc();
	struct vmsa *v = vmsa_alloc();
	struct cpu *c = direct(gpa);

	if (!gpa)
		stop(MON_REASON_MEMORY, "no memory for a vCPU");
	c->id = id;
	vmsa_long_mode(v);
	v->cr3 = memory_root();
	v->rip = (uint64_t)ap_entry;
	v->rsp = (uint64_t)c->stack + sizeof(c->stack);
	v->rdi = (uint64_t)c;
	vmsa_make(v);
	cpus[id] = c;
	if (mon_cpu(&mon, id, id) != RC_OK)
		stop(MON_REASON_CPU, "too many vCPUs");
	name_vmsa(id, 0, v, AP_CREATE);
	while (!__atomic_load_n(&c->started, __ATOMIC_ACQUIRE))
		if (rdtsc() - since > START_TICKS)
			stop(MON_REASON_CPU, "a vCPU does not start");
}

static void start_others(void)
{
	uint32_t count, i;

	memcpy(&count, direct(LAUNCH_PARAMS + LAUNCH_PARAM_VP_COUNT), sizeof(count));
	if (!count || count > MON_CPUS)
		stop(MON_REASON_CPU, "the host's number of vCPUs");
	if (mon_cpu(&mon, 0, 0) != RC_OK)
		stop(MON_REASON_CPU, "no vCPU");
	for (i = 1; i < count; i++)
		start_other(i);
}

/*
 * One call, if there is one: the guest stopped by VMGEXIT, and its calling area says so. EFER.SVME is off while
 * the VMSA is looked at: an entry by the host would fail.
 */
static void serve_call(struct cpu *c, struct vmsa *v, struct svsm_ca *ca)
{
	struct mon_regs r;

	if (v->exit_code != VC_VMGEXIT || __atomic_exchange_n(&ca->call_pending, 0, __ATOMIC_SEQ_CST) != 1)
		return;
	r = (struct mon_regs){ v->rax, v->rcx, v->rdx, v->r8, v->r9 };
	mon_call(&mon, c->id, &r);
	v->rax = r.rax;
	v->rcx = r.rcx;
	v->rdx = r.rdx;
	v->r8 = r.r8;
	v->r9 = r.r9;
}

__attribute__((noreturn)) static void serve(struct cpu *c)
{
	struct gpa vmsa, caa;

	for (;;) {
		struct ghcb_call run = { .code = NAE_RUN_VMPL, .info1 = info.guest_vmpl };

		if (!mon_take(&mon, c->id, &vmsa, &caa)) {	/* no guest here yet */
			run = (struct ghcb_call){ .code = NAE_AP_RESET_HOLD };
			(void)!ghcb_request(&run);
			continue;
		}
		struct vmsa *v = direct(vmsa.v);

		v->efer &= ~VMSA_EFER_SVME;
		serve_call(c, v, direct(caa.v));
		v->efer |= VMSA_EFER_SVME;
		mon_release(&mon, c->id);
		(void)!ghcb_request(&run);	/* refused: look again, there is nothing else to do */
	}
}

void monitor_ap_main(struct cpu *c)
{
	cpu_load(c);
	ghcb_start(c);
	__atomic_store_n(&c->started, true, __ATOMIC_RELEASE);
	serve(c);
}

void monitor_main(uint64_t info_gpa)
{
	struct gpa caa;
	struct vmsa *v;
	uintptr_t guard;

	cpus[0] = &boot_cpu;
	cpu_load(&boot_cpu);
	memory_map_self();
	check_host();
	ghcb_start(&boot_cpu);
	check_launch(info_gpa);
	say("starts at VMPL0");
	if (!clock_ns() || random_fill(&guard, sizeof(guard)) != RC_OK)
		stop(MON_REASON_ENTROPY, "no sound source of randomness");
	__stack_chk_guard = guard;	/* here, since nothing returns from this function */
	take_memory();
	platform_load(&info.platform);
	if (mon_keys(&mon) != RC_OK)
		stop(MON_REASON_PLATFORM, "the platform service does not answer");
	service_file(&info.service);
	start_others();
	linux_load(&info);
	mem_wipe(direct(LAUNCH_SECRETS), PAGE);	/* the guest has its copy, the core our key */
	v = linux_vmsa(&info, &caa);
	if (mon_boot_vcpu(&mon, 0, (struct gpa){ direct_gpa(v) }, caa) != RC_OK)
		stop(MON_REASON_CPU, "the boot vCPU's guest context is refused");
	name_vmsa(0, info.guest_vmpl, v, AP_CREATE_ON_INIT);
	say("starts the kernel");
	serve(&boot_cpu);
}
