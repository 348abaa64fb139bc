/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in its own SVM context; see program.h. Its memory is one piece at guest-physical = virtual 0: tables and
 * the system-call stub in the first 2 MiB (supervisor), then the program, its heap, mappings and stack. The
 * stub behind LSTAR is VMMCALL, SYSRET: L0 answers between the two.
 */
#include <string.h>

#include "emulator/program.h"

#define MEM_LEN (32ul << 20)
#define USER_START HUGE_LEN
#define STACK_LEN (512ul << 10)
#define MAP_END (MEM_LEN - STACK_LEN)
#define PT_ROOT 0x1000ul
#define PT_MID 0x2000ul
#define PT_LOW 0x3000ul
#define STUB 0x10000ul
#define PTE_USER 7ul
#define PTE_KERNEL 3ul
#define PTE_HUGE 0x80ul

#define ENOENT 2
#define EBADF 9
#define ENOMEM 12
#define EFAULT 14
#define EINVAL 22
#define ENOTTY 25
#define ENOSYS 38
#define ERR(e) ((uint64_t)-(int64_t)(e))

static struct {
	uint8_t *mem;
	struct vmcb *vmcb, *host;
	struct gregs g;
	uint64_t heap_start, brk, map;	/* the heap grows up, mappings down */
	uint64_t entry, phdr, phnum;
	struct slice in[2];		/* the request, as it is read */
	uint8_t *out;
	uint64_t out_len, out_max;
	bool waits;
	uint8_t fpu[512] __attribute__((aligned(16)));
	uint8_t guest_fpu[512] __attribute__((aligned(16)));
} prog;

__attribute__((noreturn)) static void dead(const char *why, uint64_t what)
{
	l0_stop(STOP_BUG, "secure processor: %s %lx rip=%lx", why, what, prog.vmcb ? prog.vmcb->rip : 0);
}

/* The program's bytes at va; NULL when they are not all its own. */
static uint8_t *user(uint64_t va, uint64_t len)
{
	if (va < USER_START || va > MEM_LEN || len > MEM_LEN - va)
		return NULL;
	return prog.mem + va;
}

/* ---- loading ---- */

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment {
	uint32_t type, flags;
	uint64_t off, vaddr, paddr, filesz, memsz, align;
};
ABI_SIZE(struct elf_header, 64);
ABI_SIZE(struct elf_segment, 56);
#define ELF_EXEC 2u
#define ELF_X86_64 62u
#define ELF_LOAD 1u

static void load_segment(struct slice file, const struct elf_segment *s, uint64_t phoff)
{
	struct cursor c = cur_of(file.p, file.len);
	struct slice before, data;
	uint8_t *to = user(s->vaddr, s->memsz);

	if (!to || s->filesz > s->memsz || s->vaddr + s->memsz > MAP_END || !cur_sub(&c, s->off, &before) ||
	    !cur_sub(&c, s->filesz, &data))
		dead("bad segment", s->vaddr);
	memcpy(to, data.p, data.len);
	if (phoff >= s->off && phoff - s->off < s->filesz)
		prog.phdr = s->vaddr + phoff - s->off;
	if (s->vaddr + s->memsz > prog.heap_start)
		prog.heap_start = s->vaddr + s->memsz;
}

static void load(struct slice file)
{
	struct cursor c = cur_of(file.p, file.len), table = c;
	struct elf_segment s;
	struct elf_header h;
	struct slice before;
	unsigned i;

	if (!cur_copy(&c, &h, sizeof(h)) || memcmp(h.ident, "\177ELF\2\1", 6) || h.type != ELF_EXEC ||
	    h.machine != ELF_X86_64 || h.phentsize != sizeof(s) || !cur_sub(&table, h.phoff, &before))
		dead("not a static program", 0);
	for (i = 0; i < h.phnum; i++) {
		if (!cur_copy(&table, &s, sizeof(s)))
			dead("program headers", i);
		if (s.type == ELF_LOAD)
			load_segment(file, &s, h.phoff);
	}
	prog.entry = h.entry;
	prog.phnum = h.phnum;
	prog.heap_start = (prog.heap_start + PAGE_LEN - 1) & ~(PAGE_LEN - 1);
	prog.brk = prog.heap_start;
	prog.map = MAP_END;
}

/* Its tables, in its own first pages: all it has, 2 MiB at a time, the first of them not for CPL3. */
static void make_tables(void)
{
	uint64_t *root = (void *)(prog.mem + PT_ROOT), *mid = (void *)(prog.mem + PT_MID), *low = (void *)(prog.mem + PT_LOW);
	uint64_t *npt = page_alloc(1), *npt_mid = page_alloc(1), *npt_low = page_alloc(1), i;

	root[0] = PT_MID | PTE_USER;
	mid[0] = PT_LOW | PTE_USER;
	npt[0] = (uint64_t)npt_mid | PTE_USER;
	npt_mid[0] = (uint64_t)npt_low | PTE_USER;
	for (i = 0; i < MEM_LEN / HUGE_LEN; i++) {
		low[i] = i * HUGE_LEN | (i ? PTE_USER : PTE_KERNEL) | PTE_HUGE;
		npt_low[i] = ((uint64_t)prog.mem + i * HUGE_LEN) | PTE_USER | PTE_HUGE;
	}
	memcpy(prog.mem + STUB, "\x0f\x01\xd9\x48\x0f\x07", 6);
	prog.vmcb->ncr3 = (uint64_t)npt;
}

/* What a program finds on its stack: no arguments but a name, no environment, the auxiliary vector. */
static uint64_t make_stack(void)
{
	uint64_t top = MEM_LEN - 64, random[2];
	uint64_t words[] = {
		1, top, 0, 0,
		3, prog.phdr, 4, sizeof(struct elf_segment), 5, prog.phnum,	/* PHDR PHENT PHNUM */
		6, PAGE_LEN, 9, prog.entry, 7, 0, 8, 0,				/* PAGESZ ENTRY BASE FLAGS */
		11, 0, 12, 0, 13, 0, 14, 0, 23, 0, 17, 100,			/* ids SECURE CLKTCK */
		16, cpu_cpuid(1, 0).d, 25, top + 16, 0, 0,			/* HWCAP RANDOM */
	};
	uint64_t at = (top - sizeof(words)) & ~15ul;

	if (!cpu_random(&random[0]) || !cpu_random(&random[1]))
		dead("no random numbers", 0);
	memcpy(prog.mem + top, "psp", 4);
	memcpy(prog.mem + top + 16, random, 16);
	memcpy(prog.mem + at, words, sizeof(words));
	return at;
}

static void make_vmcb(void)
{
	struct vmcb *s = prog.vmcb;

	s->asid = 1;
	s->np_enable = 1;
	s->exceptions = UINT32_MAX;
	s->intercept1 = INT1_NMI | INT1_INIT | INT1_HLT | INT1_SHUTDOWN | INT1_IOIO | INT1_MSR;
	s->intercept2 = INT2_VMRUN | INT2_VMMCALL | INT2_VMLOAD | INT2_VMSAVE | INT2_STGI | INT2_CLGI | INT2_SKINIT;
	s->iopm = (uint64_t)memset(page_alloc(3), 0xff, 3 * PAGE_LEN);
	s->msrpm = (uint64_t)memset(page_alloc(2), 0xff, 2 * PAGE_LEN);
	s->cs = (struct vmsa_seg){ 0x2b, 0xafb, UINT32_MAX, 0 };
	s->ss = (struct vmsa_seg){ 0x23, 0xcf3, UINT32_MAX, 0 };
	s->ds = s->es = s->fs = s->gs = s->ss;
	s->tr = (struct vmsa_seg){ 0, 0x8b, 0x67, 0 };
	s->ldtr = (struct vmsa_seg){ 0, 0x82, 0, 0 };
	s->cpl = 3;
	s->efer = 0x1d01;
	s->cr0 = 0x80010033;
	s->cr3 = PT_ROOT;
	s->cr4 = 0x620;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->rflags = 2;
	s->g_pat = 0x0007040600070406;
	s->star = 0x18ull << 48 | 0x8ull << 32;
	s->lstar = STUB;
	s->sfmask = RFLAGS_IF | RFLAGS_TF;
	s->rip = prog.entry;
	s->rsp = make_stack();
	prog.fpu[0] = 0x7f;	/* FCW 0x37f, MXCSR 0x1f80: as after FNINIT */
	prog.fpu[1] = 0x03;
	prog.fpu[24] = 0x80;
	prog.fpu[25] = 0x1f;
}

/* ---- system calls ---- */

struct args {
	uint64_t a, b, c, d, e, f;
};

static uint64_t sys_read(const struct args *p)
{
	uint64_t n = 0;
	unsigned i;

	if (p->a)
		return ERR(EBADF);
	if (!user(p->b, p->c))
		return ERR(EFAULT);
	for (i = 0; i < ARRAY_LEN(prog.in); i++) {
		uint64_t part = prog.in[i].len < p->c - n ? prog.in[i].len : p->c - n;

		if (part)
			memcpy(prog.mem + p->b + n, prog.in[i].p, part);
		prog.in[i].p += part;
		prog.in[i].len -= part;
		n += part;
	}
	prog.waits = !n && p->c;
	return n;
}

static uint64_t sys_write(const struct args *p)
{
	if (!user(p->b, p->c))
		return ERR(EFAULT);
	if (p->a == 2) {
		l0_print("secure processor: %.*s\n", (unsigned)p->c, (const char *)prog.mem + p->b);
		return p->c;
	}
	if (p->a != 1)
		return ERR(EBADF);
	if (p->c > prog.out_max - prog.out_len)
		dead("answer too long", p->c);
	memcpy(prog.out + prog.out_len, prog.mem + p->b, p->c);
	prog.out_len += p->c;
	return p->c;
}

static uint64_t sys_brk(const struct args *p)
{
	if (p->a >= prog.heap_start && p->a <= prog.map)
		prog.brk = p->a;
	return prog.brk;
}

/* Anonymous private memory only, taken from the top downwards; the pages are zeros since nothing is given twice. */
static uint64_t sys_mmap(const struct args *p)
{
	uint64_t len = (p->b + PAGE_LEN - 1) & ~(PAGE_LEN - 1);

	if (!p->b || len < p->b || !(p->d & 0x20) || p->d & 0x10)
		return ERR(EINVAL);
	if (len > prog.map - prog.brk)
		return ERR(ENOMEM);
	prog.map -= len;
	return prog.map;
}

static uint64_t sys_arch_prctl(const struct args *p)
{
	if (p->a != 0x1002)	/* ARCH_SET_FS */
		return ERR(EINVAL);
	prog.vmcb->fs.base = p->b;
	return 0;
}

static uint64_t sys_getrandom(const struct args *p)
{
	uint64_t i, r;

	if (!user(p->a, p->b))
		return ERR(EFAULT);
	for (i = 0; i < p->b; i += 8) {
		if (!cpu_random(&r))
			dead("no random numbers", 0);
		memcpy(prog.mem + p->a + i, &r, p->b - i < 8 ? p->b - i : 8);
	}
	return p->b;
}

static uint64_t sys_clock_gettime(const struct args *p)
{
	uint64_t us = cpu_tsc() / (tsc_khz / 1000), t[2] = { us / 1000000, us % 1000000 * 1000 };

	if (!user(p->b, sizeof(t)))
		return ERR(EFAULT);
	memcpy(prog.mem + p->b, t, sizeof(t));
	return 0;
}

static uint64_t sys_exit(const struct args *p)
{
	dead("the program ended", p->a);
}

/* Number, what answers it, or (without a function) the answer. */
static const struct {
	uint32_t number;
	uint64_t (*run)(const struct args *p);
	uint64_t answer;
} calls[] = {
	{ 0, sys_read, 0 }, { 1, sys_write, 0 }, { 3, NULL, ERR(EBADF) }, { 5, NULL, ERR(EBADF) },	/* close fstat */
	{ 9, sys_mmap, 0 }, { 10, NULL, 0 }, { 11, NULL, 0 }, { 12, sys_brk, 0 },	/* mprotect munmap */
	{ 13, NULL, 0 }, { 14, NULL, 0 }, { 16, NULL, ERR(ENOTTY) },			/* sigaction sigprocmask ioctl */
	{ 28, NULL, 0 }, { 39, NULL, 1 }, { 60, sys_exit, 0 },				/* madvise getpid */
	{ 89, NULL, ERR(ENOENT) }, { 158, sys_arch_prctl, 0 }, { 186, NULL, 1 },	/* readlink gettid */
	{ 202, NULL, 0 }, { 218, NULL, 1 }, { 228, sys_clock_gettime, 0 },		/* futex set_tid_address */
	{ 231, sys_exit, 0 }, { 257, NULL, ERR(ENOENT) }, { 262, NULL, ERR(EBADF) },	/* openat newfstatat */
	{ 267, NULL, ERR(ENOENT) }, { 318, sys_getrandom, 0 },
};

static void system_call(void)
{
	struct args p = { prog.g.rdi, prog.g.rsi, prog.g.rdx, prog.g.r10, prog.g.r8, prog.g.r9 };
	uint64_t nr = prog.vmcb->rax;
	size_t i;

	if (prog.vmcb->cpl)
		dead("VMMCALL at CPL3", nr);
	prog.vmcb->rax = ERR(ENOSYS);
	for (i = 0; i < ARRAY_LEN(calls); i++)
		if (calls[i].number == nr)
			prog.vmcb->rax = calls[i].run ? calls[i].run(&p) : calls[i].answer;
	if (prog.waits)		/* the same call again, when there is something to read */
		prog.vmcb->rax = nr;
	else
		prog.vmcb->rip += 3;
}

/* Until it waits. The FPU belongs to the guest whose exit this serves: its state is put aside meanwhile. */
static void run(void)
{
	__asm__ volatile("fxsave64 %0" : "=m"(prog.guest_fpu));
	__asm__ volatile("fxrstor64 %0" : : "m"(prog.fpu));
	prog.waits = false;
	while (!prog.waits) {
		prog.vmcb->efer |= EFER_SVME;
		svm_run((uint64_t)prog.vmcb, &prog.g, (uint64_t)prog.host);
		if (prog.vmcb->exit_code == EXIT_NMI)
			cpu_take_nmi();
		else if (prog.vmcb->exit_code == EXIT_VMMCALL)
			system_call();
		else
			dead("it stopped with", prog.vmcb->exit_code);
	}
	__asm__ volatile("fxsave64 %0" : "=m"(prog.fpu));
	__asm__ volatile("fxrstor64 %0" : : "m"(prog.guest_fpu));
}

void program_start(struct module elf)
{
	uint64_t mem = (uint64_t)page_alloc(MEM_LEN / PAGE_LEN + 511);

	prog.mem = (uint8_t *)((mem + HUGE_LEN - 1) & ~(HUGE_LEN - 1));
	prog.vmcb = page_alloc(1);
	prog.host = page_alloc(1);
	load(slice_of(elf.at, elf.len));
	make_tables();
	make_vmcb();
	run();
}

void program_call(struct slice head, struct slice data, uint8_t *out, uint64_t max, uint64_t *len)
{
	prog.in[0] = head;
	prog.in[1] = data;
	prog.out = out;
	prog.out_len = 0;
	prog.out_max = max;
	run();
	if (prog.in[0].len || prog.in[1].len)
		dead("request not read", prog.in[1].len);
	*len = prog.out_len;
}
