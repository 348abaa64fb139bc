/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test guests' floor; see guest.h.
 */
#include "tests/guests/guest.h"

struct gate {
	uint16_t low, selector, flags, mid;
	uint32_t high, zero;
};

static struct gate idt[32];
struct expected expected;
struct ghcb *ghcb;
uint64_t nmis;
uint64_t ghcb_gpa;
static uint8_t ghcb_page[PAGE] __attribute__((aligned(4096)));
static unsigned failures;
extern uint8_t gates[], image_start[], image_end[];
void guest_trap(struct trap_frame *f);

void *memset(void *to, int c, size_t n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

uint64_t rdmsr(uint32_t msr)
{
	uint32_t a, d;

	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr) : "memory");
	return a | (uint64_t)d << 32;
}

void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

void vmgexit(void)
{
	__asm__ volatile("rep; vmmcall" : : : "memory");
}

uint64_t msr_protocol(uint64_t request)
{
	uint64_t old = rdmsr(MSR_GHCB), answer;

	wrmsr(MSR_GHCB, request);
	vmgexit();
	answer = rdmsr(MSR_GHCB);
	wrmsr(MSR_GHCB, old);
	return answer;
}

bool psc(uint64_t gpa, unsigned op)
{
	return msr_protocol(GHCB_MSR_PSC_REQ | gpa | (uint64_t)op << 52) == GHCB_MSR_PSC_RESP;
}

uint32_t pvalidate(uint64_t va, unsigned size, bool validate)
{
	uint64_t rax = va;
	bool carry;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
			 : "+a"(rax), "=@ccc"(carry)
			 : "c"(size), "d"((uint64_t)validate)
			 : "memory");
	return (uint32_t)rax | (carry ? PV_NO_CHANGE : 0);
}

uint32_t rmpadjust(uint64_t va, unsigned size, uint64_t attr)
{
	uint64_t rax = va;

	__asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xfe" : "+a"(rax) : "c"(size), "d"(attr) : "memory", "cc");
	return (uint32_t)rax;
}

uint32_t rmpquery(uint64_t va, uint64_t *attr, uint64_t *size)
{
	uint64_t rax = va;

	__asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xfd" : "+a"(rax), "+d"(*attr), "=c"(*size) : : "memory", "cc");
	return (uint32_t)rax;
}

void ghcb_clear(void)
{
	memset(ghcb->valid, 0, sizeof(ghcb->valid));
	ghcb->version = GHCB_VERSION;
	ghcb->usage = 0;
}

void ghcb_valid(size_t bit)
{
	ghcb->valid[bit / 8] |= (uint8_t)(1u << bit % 8);
}

bool ghcb_is_valid(size_t bit)
{
	return ghcb->valid[bit / 8] >> bit % 8 & 1;
}

uint32_t ghcb_call(uint64_t code, uint64_t info1, uint64_t info2, uint64_t *out)
{
	ghcb->exit_code = code;
	ghcb->info1 = info1;
	ghcb->info2 = info2;
	ghcb_valid(GHCB_BIT(exit_code));
	ghcb_valid(GHCB_BIT(info1));
	ghcb_valid(GHCB_BIT(info2));
	wrmsr(MSR_GHCB, ghcb_gpa);
	vmgexit();
	if (out)
		*out = ghcb->info2;
	return (uint32_t)ghcb->info1;
}

/* The serial port, by a string output through the shared buffer. */
void print(const char *s)
{
	size_t n = strlen(s);

	ghcb_clear();
	memcpy(ghcb->buffer, s, n);
	ghcb->scratch = ghcb_gpa + offsetof(struct ghcb, buffer);
	ghcb_valid(GHCB_BIT(scratch));
	(void)ghcb_call(NAE_IOIO, 0x3f8u << 16 | 1u << 4 | IOIO_STR | IOIO_REP, n, NULL);
}

void print_hex(uint64_t v)
{
	char s[19] = "0x";
	int i;

	for (i = 0; i < 16; i++)
		s[2 + i] = "0123456789abcdef"[v >> (60 - 4 * i) & 15];
	s[18] = 0;
	print(s);
}

void check(bool good, const char *sentence)
{
	failures += !good;
	print(good ? "ok " : "not ok ");
	print(sentence);
	print("\n");
}

void finish(void)
{
	print("guest done\n");
	for (;;)
		(void)msr_protocol(GHCB_MSR_TERMINATE_REQ | 1u << 12 | (uint64_t)(failures ? 1 : 0) << 16);
}

void guest_trap(struct trap_frame *f)
{
	if (f->vector == 2) {
		__atomic_add_fetch(&nmis, 1, __ATOMIC_SEQ_CST);
		return;
	}
	if (!expected.armed) {
		print("not ok a trap came that nobody expected: ");
		print_hex(f->vector);
		print(" code ");
		print_hex(f->code);
		print(" rip ");
		print_hex(f->rip);
		print("\n");
		finish();
	}
	expected.armed = false;
	expected.came = true;
	expected.vector = f->vector;
	expected.code = f->code;
	f->rip += expected.skip;
}

void guest_traps(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt };
	unsigned i;

	for (i = 0; i < 32; i++) {
		uint64_t at = (uint64_t)gates + 16 * i;

		idt[i] = (struct gate){ .low = (uint16_t)at, .selector = 8, .flags = 0x8e00, .mid = (uint16_t)(at >> 16),
					.high = (uint32_t)(at >> 32) };
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void guest_setup(void)
{
	guest_traps();
	ghcb_gpa = (uint64_t)ghcb_page;
	ghcb = shared_at(ghcb_gpa);
	(void)pvalidate(ghcb_gpa, 0, false);
	if (!psc(ghcb_gpa, PSC_SHARED))
		for (;;)
			(void)msr_protocol(GHCB_MSR_TERMINATE_REQ | 2u << 16);
	memset(ghcb, 0, PAGE);
	if (msr_protocol(GHCB_MSR_REGISTER_GPA_REQ | ghcb_gpa) != (GHCB_MSR_REGISTER_GPA_RESP | ghcb_gpa))
		for (;;)
			(void)msr_protocol(GHCB_MSR_TERMINATE_REQ | 3u << 16);
	ghcb_clear();
}

void expect_trap(unsigned len)
{
	expected = (struct expected){ .armed = true, .skip = len };
}

void vmsa_fill(struct vmsa *v, unsigned vmpl, const void *rip, const void *stack)
{
	struct vmsa_seg data = { 0x10, 0xc93, UINT32_MAX, 0 };
	uint64_t cr0, cr3, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	memset(v, 0, PAGE);
	v->es = v->ss = v->ds = v->fs = v->gs = data;
	v->cs = (struct vmsa_seg){ 0x08, 0xa9b, UINT32_MAX, 0 };
	v->ldtr = (struct vmsa_seg){ 0, 0x82, 0, 0 };
	v->tr = (struct vmsa_seg){ 0, 0x8b, 0, 0 };
	v->vmpl = (uint8_t)vmpl;
	v->efer = 0x1d00;
	v->cr0 = cr0;
	v->cr3 = cr3;
	v->cr4 = cr4;
	v->dr6 = 0xffff0ff0;
	v->dr7 = 0x400;
	v->rflags = 2;
	v->rip = (uint64_t)rip;
	v->rsp = (uint64_t)stack;
	v->g_pat = 0x0007040600070406ul;
	v->sev_features = SEV_FEATURE_SNP;
	v->xcr0 = 1;
	v->mxcsr = 0x1f80;
	v->x87_fcw = 0x37f;
	v->x87_ftw = 0x5555;
}

uint32_t ap_create(uint64_t info1, uint64_t gpa, bool with_rax)
{
	ghcb_clear();
	ghcb->rax = SEV_FEATURE_SNP;
	if (with_rax)
		ghcb_valid(GHCB_BIT(rax));
	return ghcb_call(NAE_AP_CREATION, info1, gpa, NULL);
}

bool grant_image(const struct vmsa *but)
{
	uint64_t at;
	bool good = true;

	for (at = (uint64_t)image_start; at < (uint64_t)image_end; at += PAGE)
		if (at != ghcb_gpa && at != (uint64_t)but)
			good = good && rmpadjust(at, 0, RMPADJUST_ATTR(1, RMP_ALL)) == SNP_OK;
	return good;
}

uint64_t run_vmpl(unsigned level)
{
	return msr_protocol(GHCB_MSR_RUN_VMPL_REQ | (uint64_t)level << 32);
}
