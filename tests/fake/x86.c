/* SPDX-License-Identifier: Apache-2.0 */
/* See x86.h. A page given back twice, or not wiped, ends the test. */
#include <elf.h>
#include <stdio.h>

#include "tests/fake/x86.h"

uint8_t fake_memory[(FAKE_PAGES + 1) * 4096ull] __attribute__((aligned(4096)));
uint64_t fake_cr2, fake_cr3, fake_fs;
uint64_t (*fake_user)(struct regs *r);
char fake_said[512];
bool fake_random_fails;

static uint8_t given[FAKE_PAGES + 1];
static unsigned left;
static struct cpu the_cpu;

void fake_x86_reset(unsigned pages)
{
	memset(given, 0, sizeof(given));
	memset(fake_memory, 0, sizeof(fake_memory));
	left = pages;
	fake_random_fails = false;
	fake_said[0] = 0;
}

unsigned fake_pages_out(void)
{
	unsigned i, n = 0;

	for (i = 1; i <= FAKE_PAGES; i++)
		n += given[i];
	return n;
}

uint64_t read_gs(void)
{
	return (uint64_t)&the_cpu;
}

uint64_t pages_alloc(unsigned count)
{
	unsigned i;

	INVARIANT(count == 1);
	for (i = 1; left && i <= FAKE_PAGES; i++) {
		if (given[i])
			continue;
		given[i] = 1;
		left--;
		for (unsigned k = 0; k < 4096; k++)
			INVARIANT(!fake_memory[i * 4096ull + k]);
		return i * 4096ull;
	}
	return 0;
}

void page_free(uint64_t gpa)
{
	INVARIANT(gpa && gpa % 4096 == 0 && gpa / 4096 <= FAKE_PAGES && given[gpa / 4096]);
	given[gpa / 4096] = 0;
	left++;
	memset(fake_memory + gpa, 0, 4096);
}

uint64_t pages_left(void)
{
	return left;
}

void memory_share_kernel(uint64_t *top)
{
	top[511] = ~0ull;	/* whoever walks into the monitor's half will fault */
}

uint64_t memory_root(void)
{
	return 0x1000;
}

void cpu_user_stack(struct cpu *c, struct regs *r)
{
	c->regs_end = (uint64_t)(r + 1);
}

uint64_t user_run(struct regs *r)
{
	return fake_user(r);
}

void say(const char *text)
{
	snprintf(fake_said, sizeof(fake_said), "%s", text);
}

void say_number(const char *text, uint64_t v)
{
	snprintf(fake_said, sizeof(fake_said), "%s%lx", text, (unsigned long)v);
}

uint32_t fake_cpuid_ebx7 = 1u << 18, fake_cpuid_ecx1 = 1u << 30;
bool (*fake_rdseed)(uint64_t *out);
bool (*fake_rdrand)(uint64_t *out);

static bool counted(uint64_t *out)
{
	static uint64_t n;

	*out = ++n * 0x9e3779b97f4a7c15;
	return !fake_random_fails;
}

bool insn_rdseed(uint64_t *out)
{
	return (fake_rdseed ? fake_rdseed : counted)(out);
}

bool insn_rdrand(uint64_t *out)
{
	return (fake_rdrand ? fake_rdrand : counted)(out);
}

uint64_t clock_ns(void)
{
	static uint64_t now;

	return now += 1500000000;
}

const struct snp_cpuid_entry *cpuid_find(uint32_t function, uint32_t sub)
{
	static struct snp_cpuid_entry e[] = { { .eax_in = 1, .eax = 1, .ebx = 2, .edx = 4 }, { .eax_in = 7, .edx = 4 } };

	e[0].ecx = fake_cpuid_ecx1;
	e[1].ebx = fake_cpuid_ebx7;
	return function == 1 && !sub ? &e[0] : function == 7 && !sub ? &e[1] : NULL;
}

size_t fake_elf(uint8_t *file, size_t max)
{
	static const Elf64_Phdr ph[] = {
		{ PT_LOAD, PF_R | PF_X, 0, FAKE_TEXT, 0, 0x1000, 0x1000, 4096 },
		{ PT_LOAD, PF_R, 0x1000, FAKE_TEXT + 0x1000, 0, 0x800, 0x800, 4096 },
		{ PT_LOAD, PF_R | PF_W, 0x2100, FAKE_DATA, 0, 0x1000, FAKE_BSS_END - FAKE_DATA, 4096 },
		{ PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16 },
	};
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
			 .e_machine = EM_X86_64, .e_version = 1, .e_entry = FAKE_TEXT + 0x200, .e_phoff = 64,
			 .e_ehsize = 64, .e_phentsize = sizeof(ph[0]), .e_phnum = ARRAY_LEN(ph) };
	size_t i;

	INVARIANT(max >= FAKE_ELF_LEN);
	for (i = 0; i < FAKE_ELF_LEN; i++)
		file[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(file, &h, sizeof(h));
	memcpy(file + 64, ph, sizeof(ph));
	return FAKE_ELF_LEN;
}
