/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine for monitor/x86/'s programs: pages that know who has them, and a processor at CPL3 that is a
 * function of the test.
 */
#ifndef TESTS_FAKE_X86_H
#define TESTS_FAKE_X86_H

#include "monitor/x86/process.h"

#define FAKE_PAGES 4096u

void fake_x86_reset(unsigned pages);	/* so many free pages */
unsigned fake_pages_out(void);		/* handed out, not given back */
extern bool fake_random_fails;
extern uint32_t fake_cpuid_ebx7, fake_cpuid_ecx1;	/* what the CPUID page says of RDSEED and RDRAND */
extern bool (*fake_rdseed)(uint64_t *out);		/* NULL: good numbers, unless fake_random_fails */
extern bool (*fake_rdrand)(uint64_t *out);

/* What happens at CPL3: changes the registers, returns the vector that ends it. */
extern uint64_t (*fake_user)(struct regs *r);
/* The last line that was printed. */
extern char fake_said[512];

/* A static ELF file with a text, a read-only and a data segment; returns its length. */
size_t fake_elf(uint8_t *out, size_t max);
#define FAKE_ELF_LEN 0x3100u
#define FAKE_TEXT 0x400000u
#define FAKE_DATA 0x402100u
#define FAKE_BSS_END 0x404800u

#endif
