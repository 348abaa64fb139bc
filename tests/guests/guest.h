/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the small test guests share: the instructions, GHCB requests, and the lines that tests/guests/suite counts.
 */
#ifndef TESTS_GUESTS_GUEST_H
#define TESTS_GUESTS_GUEST_H

#include "base/base.h"
#include "snp/ghcb.h"
#include "snp/launch.h"
#include "snp/vmsa.h"

#define PAGE 4096ul
#define CBIT (1ul << 39)
#define SHARED_WINDOW (512ul << 30)
#define shared_at(gpa) ((void *)(SHARED_WINDOW + (uint64_t)(gpa)))

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, code, rip, cs, rflags, rsp, ss;
};

/* The last trap that a test expected: guest_expect() arms, and skips `len` bytes when it comes. */
struct expected {
	bool armed, came;
	uint64_t vector, code;
	unsigned skip;
};
extern struct expected expected;

extern struct ghcb *ghcb;	/* in the shared window, registered */
extern uint64_t ghcb_gpa;
extern uint64_t nmis;		/* how many came, on any vCPU */

void guest_setup(void);
void guest_traps(void);
void print(const char *s);
void print_hex(uint64_t v);
/* Prints `ok sentence` or `not ok sentence`. */
void check(bool good, const char *sentence);
__attribute__((noreturn)) void finish(void);

uint64_t msr_protocol(uint64_t request);
void vmgexit(void);
/* One request in the GHCB page, other fields set before; returns info1's low half, *info2 when not NULL. */
uint32_t ghcb_call(uint64_t code, uint64_t info1, uint64_t info2, uint64_t *out);
void ghcb_valid(size_t bit);
bool ghcb_is_valid(size_t bit);
void ghcb_clear(void);
/* EAX; carry set in bit 31 when no change. */
uint32_t pvalidate(uint64_t va, unsigned size, bool validate);
#define PV_NO_CHANGE (1u << 31)
uint32_t rmpadjust(uint64_t va, unsigned size, uint64_t attr);
uint32_t rmpquery(uint64_t va, uint64_t *attr, uint64_t *size);
/* Page-state change by MSR; true: done. */
bool psc(uint64_t gpa, unsigned op);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t v);

/* Arms the next trap; the instruction that causes it has `len` bytes. */
void expect_trap(unsigned len);

/* A VMSA for long mode with the caller's tables. */
void vmsa_fill(struct vmsa *v, unsigned vmpl, const void *rip, const void *stack);
/* AP creation with rax = SEV_FEATURES if with_rax; returns info1. */
uint32_t ap_create(uint64_t info1, uint64_t gpa, bool with_rax);
/* Gives VMPL1 all rights to the image's pages but GHCB and this VMSA. */
bool grant_image(const struct vmsa *but);
uint64_t run_vmpl(unsigned level);
#define RUN_DONE GHCB_MSR_RUN_VMPL_RESP
#define RUN_REFUSED (GHCB_MSR_RUN_VMPL_RESP | 1ul << 32)

#endif
