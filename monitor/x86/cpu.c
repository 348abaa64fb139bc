/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs of the monitor: descriptor tables, control registers, traps.
 *
 * A trap at CPL0 is the end: the monitor itself executes nothing that is intercepted, so a #VC at CPL0 is
 * either a page that the host took away or an injected lie. Traps at CPL3 never come here: user_run() returns.
 */
#include <string.h>

#include "monitor/x86/x86.h"

struct cpu *cpus[MON_CPUS];

extern char trap_stubs[], syscall_entry[];
void segments_load(void);
void trap_kernel(struct regs *r);

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, zero;
};
ABI_SIZE(struct gate, 16);
static struct gate idt[32];

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

#define GATE_INTERRUPT 0x8e
#define RFLAGS_CLEARED_BY_SYSCALL 0x47700ull	/* TF, IF, DF, IOPL, NT, AC */

/*
 * All traps have a stack from the IST: 1 for NMI and double fault, 2, the registers of the thread that runs, for
 * the rest. So none is ever pushed where RSP points: at the first instructions of syscall_entry that is wherever the
 * program likes, and a host may inject an exception there.
 */
static void idt_fill(void)
{
	unsigned v;

	for (v = 0; v < ARRAY_LEN(idt); v++) {
		uint64_t at = (uint64_t)trap_stubs + v * 16;

		idt[v] = (struct gate){ .offset_low = (uint16_t)at, .selector = SEL_KCODE, .type = GATE_INTERRUPT,
					.ist = v == VECTOR_DF || v == VECTOR_NMI ? 1 : 2,
					.offset_mid = (uint16_t)(at >> 16), .offset_high = (uint32_t)(at >> 32) };
	}
}

static void gdt_fill(struct cpu *c)
{
	uint64_t tss = (uint64_t)&c->tss;

	c->gdt[SEL_KCODE / 8] = 0x00af9b000000ffff;
	c->gdt[SEL_KDATA / 8] = 0x00cf93000000ffff;
	c->gdt[SEL_UDATA / 8] = 0x00cff3000000ffff;
	c->gdt[SEL_UCODE / 8] = 0x00affb000000ffff;
	c->gdt[SEL_TSS / 8] = (sizeof(c->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	c->gdt[SEL_TSS / 8 + 1] = tss >> 32;
}

static void put_pointer(uint32_t *to, uint64_t v)
{
	to[0] = (uint32_t)v;
	to[1] = (uint32_t)(v >> 32);
}

#define CR0_VALUE 0x80010033ull		/* PG WP NE ET MP PE */
#define CR4_VALUE 0x00300620ull		/* SMAP SMEP OSXMMEXCPT OSFXSR PAE */
#define EFER_SCE 1ull
#define EFER_NXE (1ull << 11)

void cpu_load(struct cpu *c)
{
	struct table_pointer gdtr = { sizeof(c->gdt) - 1, (uint64_t)c->gdt };
	struct table_pointer idtr = { sizeof(idt) - 1, (uint64_t)idt };

	if (!idt[0].type)
		idt_fill();
	c->self = c;
	gdt_fill(c);
	c->tss.iopb = sizeof(c->tss);
	c->fault_rsp = (uint64_t)c->fault_stack + sizeof(c->fault_stack);
	put_pointer(c->tss.ist, (uint64_t)(&c->nmi + 1));
	cpu_user_stack(c, &c->trap);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	segments_load();
	__asm__ volatile("lidt %0; ltr %w1; lldt %w2" : : "m"(idtr), "r"(SEL_TSS), "r"(0));
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	__asm__ volatile("mov %0, %%cr0; mov %1, %%cr4; fninit" : : "r"(CR0_VALUE), "r"(CR4_VALUE));
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	wrmsr(MSR_STAR, (uint64_t)(SEL_KDATA | 3) << 48 | (uint64_t)SEL_KCODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_CLEARED_BY_SYSCALL);
}

void cpu_user_stack(struct cpu *c, struct regs *r)
{
	c->regs_end = (uint64_t)(r + 1);
	put_pointer(c->tss.ist + 2, c->regs_end);
}

/* Whatever this touches may fault in turn: the second time nothing is printed, the third nothing is wiped. */
void trap_kernel(struct regs *r)
{
	struct cpu *c = this_cpu();

	if (c->ending || c->trapped == 2)
		ghcb_terminate(MON_REASON_SET, MON_REASON_EXCEPTION);
	if (c->trapped++)
		mon_panic(&mon, MON_REASON_EXCEPTION);
	console_break();
	say_number("stopped: vector ", r->vector);
	say_number("  error ", r->error);
	say_number("  rip ", r->rip);
	say_number("  cr2 ", read_cr2());
	if (r->vector == VECTOR_VC && r->error == VC_NOT_VALIDATED)
		stop(MON_REASON_NOT_VALIDATED, "a page was taken away");
	stop(MON_REASON_EXCEPTION, "an exception in the monitor");
}
