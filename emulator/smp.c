/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other CPUs: L0 starts them itself before there is a guest (INIT must never reach a CPU later: QEMU lets
 * it out of SVM), the one lock, and kicks by NMI.
 */
#include "emulator/l0.h"

#define LAPIC 0xfee00000ull
#define LAPIC_SPURIOUS 0xf0u
#define LAPIC_ICR_LOW 0x300u
#define LAPIC_ICR_HIGH 0x310u
#define ICR_BUSY (1u << 12)
#define ICR_NMI 0x4400u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define APIC_BASE_X2 (1ull << 10)
#define TRAMPOLINE 0x8000ull	/* boot.S */
#define STACK_PAGES 4u

struct vcpu vcpus[MAX_CPUS];
uint32_t vcpu_count = 1;
static uint32_t arrived = 1;
static bool released;
static bool locked;
extern uint8_t l0_trampoline[], l0_trampoline_end[], exception_gates[], nmi_gate[];
extern uint64_t l0_cpu_stack;
void l0_cpu_main(void);

struct gate {
	uint16_t low, selector, flags, mid;
	uint32_t high, zero;
};

static void idt_load(void)
{
	static struct gate idt[32];
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt };
	unsigned i;

	for (i = 0; i < 32; i++) {
		uint64_t at = (uint64_t)(i == 2 ? nmi_gate : exception_gates + 16 * i);

		idt[i] = (struct gate){ .low = (uint16_t)at, .selector = 8, .flags = 0x8e00, .mid = (uint16_t)(at >> 16),
					.high = (uint32_t)(at >> 32) };
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void cpu_setup(struct vcpu *v)
{
	uint64_t cr4;

	idt_load();
	v->apic_id = cpu_cpuid(1, 0).b >> 24;
	if (cpu_cpuid(1, 0).c & 1u << 26) {
		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
	}
	cpu_wrmsr(MSR_VM_HSAVE_PA, (uint64_t)page_alloc(1));
	vcpu_init(v);
}

/* Not fair, on purpose: where QEMU has fewer cores than vCPUs, a queue would wait for threads that do not run. */
void l0_lock(void)
{
	while (__atomic_exchange_n(&locked, true, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&locked, __ATOMIC_RELAXED))
			cpu_pause();
}

void l0_unlock(void)
{
	__atomic_store_n(&locked, false, __ATOMIC_RELEASE);
}

static volatile uint32_t *lapic(uint32_t reg)
{
	return (volatile uint32_t *)(LAPIC + reg);
}

/* The guest uses the same APIC, and may stand between its two writes: what it had in there stays. */
static void send_ipi(uint32_t apic_id, uint32_t icr)
{
	uint32_t high;

	if (cpu_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2) {
		cpu_wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | icr);
		return;
	}
	high = *lapic(LAPIC_ICR_HIGH);
	*lapic(LAPIC_ICR_HIGH) = apic_id << 24;
	*lapic(LAPIC_ICR_LOW) = icr;
	while (*lapic(LAPIC_ICR_LOW) & ICR_BUSY)
		cpu_pause();
	*lapic(LAPIC_ICR_HIGH) = high;
}

void smp_wake(struct vcpu *v)
{
	__atomic_store_n(&v->kicked, true, __ATOMIC_SEQ_CST);
	send_ipi(v->apic_id, ICR_NMI);
}

void smp_kick_others(const struct vcpu *self)
{
	uint64_t before[MAX_CPUS];
	bool waiting[MAX_CPUS] = { false };
	uint32_t i;

	for (i = 0; i < vcpu_count; i++) {
		struct vcpu *v = &vcpus[i];

		before[i] = __atomic_load_n(&v->exits, __ATOMIC_SEQ_CST);
		if (v == self || !__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST))
			continue;
		stat_add(STAT_KICK);
		waiting[i] = true;
		smp_wake(v);
	}
	for (i = 0; i < vcpu_count; i++)
		while (waiting[i] && __atomic_load_n(&vcpus[i].in_guest, __ATOMIC_SEQ_CST) &&
		       __atomic_load_n(&vcpus[i].exits, __ATOMIC_SEQ_CST) == before[i])
			cpu_pause();
}

static void wait_ms(uint64_t ms)
{
	uint64_t start = cpu_tsc();

	while (cpu_tsc() - start < ms * tsc_khz)
		cpu_pause();
}

void smp_start(void)
{
	uint32_t spurious = *lapic(LAPIC_SPURIOUS), max = cpu_cpuid(1, 0).b >> 16 & 0xff, i, k;

	memcpy((void *)TRAMPOLINE, l0_trampoline, (size_t)(l0_trampoline_end - l0_trampoline));
	*lapic(LAPIC_SPURIOUS) = 0x1ff;
	for (i = 1; i < MAX_CPUS && i < max; i++) {
		l0_cpu_stack = (uint64_t)page_alloc(STACK_PAGES) + STACK_PAGES * PAGE_LEN;
		send_ipi(i, ICR_INIT);
		wait_ms(2);
		send_ipi(i, ICR_STARTUP | (uint32_t)(TRAMPOLINE / PAGE_LEN));
		for (k = 0; k < 1000 && __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) == vcpu_count; k++)
			wait_ms(1);
		if (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) == vcpu_count)
			l0_stop(STOP_BUG, "cpu %u does not start", i);
		vcpu_count++;
	}
	*lapic(LAPIC_SPURIOUS) = spurious;
	memset((void *)TRAMPOLINE, 0, PAGE_LEN);
}

void smp_release(void)
{
	__atomic_store_n(&released, true, __ATOMIC_SEQ_CST);
}

/* The other CPUs come here from boot.S, one at a time. */
void l0_cpu_main(void)
{
	uint32_t i = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST);
	struct vcpu *v = &vcpus[i];

	v->index = i;
	cpu_setup(v);
	__atomic_store_n(&arrived, i + 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&released, __ATOMIC_SEQ_CST))
		cpu_pause();
	vcpu_loop(v);
}
