/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces, the ELF loader, and the way into a thread.
 *
 * A process's pages are its own until it ends: what it gives back (munmap, brk) is zeroed and stays mapped for its
 * next request, so that no translation that another vCPU remembers ever leads to somebody else's page. A
 * right that is taken away (mprotect) is certain on this vCPU only: it guards the process against itself.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "monitor/x86/process.h"

#define PTE_OWN (1ull << 9)	/* the page is the process's, not a lane's */
#define LEVELS 4
#define ELF_FIRST 0x10000ull
#define ELF_END 0x40000000ull

static uint64_t *entry_of(struct process *p, uint64_t va, bool make)
{
	uint64_t *t = p->top;
	int level;

	if (va >= USER_END)
		return NULL;
	for (level = LEVELS - 1; level > 0; level--) {
		uint64_t *e = &t[va >> (12 + 9 * level) & 511];

		if (!*e) {
			uint64_t gpa = make ? pages_alloc(1) : 0;

			if (!gpa)
				return NULL;
			*e = gpa | PTE_C | PTE_P | PTE_W | PTE_U;
		}
		t = direct(*e & PTE_ADDR);
	}
	return &t[va >> 12 & 511];
}

static uint64_t rights_of(bool mapped, bool writable, bool executable)
{
	return (mapped ? PTE_P | PTE_U : 0) | (writable ? PTE_W : 0) | (executable ? 0 : PTE_NX);
}

/* Gives the page at va these rights, and memory if it has none and is to be mapped. */
static bool page_set(struct process *p, uint64_t va, uint64_t rights)
{
	uint64_t *e = entry_of(p, va, true), gpa;

	if (!e || (*e && !(*e & PTE_OWN)))
		return false;
	gpa = *e & PTE_ADDR;
	if (!gpa && (rights & PTE_P))
		gpa = pages_alloc(1);
	if (!gpa)
		return !(rights & PTE_P);
	*e = gpa | PTE_C | PTE_OWN | rights;
	invlpg(va);
	return true;
}

enum rc process_map(struct process *p, uint64_t va, uint64_t gpa, bool writable)
{
	uint64_t *e = entry_of(p, va, true);

	if (!e)
		return RC_NO_ROOM;
	INVARIANT(!*e);
	*e = gpa | PTE_C | rights_of(true, writable, false);
	return RC_OK;
}

/* What is behind va, up to the page's end; NULL: no such right. */
static uint8_t *user_at(struct process *p, uint64_t va, uint64_t need, size_t *room)
{
	uint64_t *e = entry_of(p, va, false);

	if (!e || (*e & need) != need)
		return NULL;
	*room = PAGE - va % PAGE;
	return (uint8_t *)direct(*e & PTE_ADDR) + va % PAGE;
}

bool user_read(struct process *p, uint64_t va, void *to, size_t len)
{
	uint8_t *out = to, *at;
	size_t room;

	for (; len; len -= room, va += room, out += room) {
		at = user_at(p, va, PTE_P | PTE_U, &room);
		if (!at)
			return false;
		room = room < len ? room : len;
		memcpy(out, at, room);
	}
	return true;
}

bool user_write(struct process *p, uint64_t va, const void *from, size_t len)
{
	const uint8_t *in = from;
	uint8_t *at;
	size_t room;

	for (; len; len -= room, va += room, in += room) {
		at = user_at(p, va, PTE_P | PTE_U | PTE_W, &room);
		if (!at)
			return false;
		room = room < len ? room : len;
		memcpy(at, in, room);
	}
	return true;
}

static struct area *area_of(struct process *p, uint64_t va, uint64_t len)
{
	unsigned i;

	for (i = 0; i < p->areas; i++)
		if (p->area[i].used && va >= p->area[i].from && va < p->area[i].to)
			return len <= p->area[i].to - va ? &p->area[i] : NULL;
	return NULL;
}

static bool area_split(struct process *p, struct area *a, uint64_t at)
{
	if (at == a->from || at == a->to)
		return true;
	if (p->areas == PROCESS_AREAS)
		return false;
	p->area[p->areas++] = (struct area){ at, a->to, a->used };
	a->to = at;
	return true;
}

/* An unused piece that is large enough, or a new one. */
static struct area *area_take(struct process *p, uint64_t len)
{
	unsigned i;

	for (i = 0; i < p->areas; i++) {
		struct area *a = &p->area[i];

		if (!a->used && a->to - a->from >= len && area_split(p, a, a->from + len)) {
			a->used = true;
			return a;
		}
	}
	if (p->areas == PROCESS_AREAS || len > USER_REQ - p->mmap_next)
		return NULL;
	p->area[p->areas] = (struct area){ p->mmap_next, p->mmap_next + len, true };
	p->mmap_next += len;
	return &p->area[p->areas++];
}

/* Unused neighbours become one piece. */
static void areas_join(struct process *p, unsigned i)
{
	unsigned k = 0;

	while (k < p->areas) {
		struct area *a = &p->area[i], *b = &p->area[k];

		if (b->used || (b->to != a->from && b->from != a->to)) {
			k++;
			continue;
		}
		a->from = b->from < a->from ? b->from : a->from;
		a->to = b->to > a->to ? b->to : a->to;
		*b = p->area[--p->areas];
		if (i == p->areas)
			i = k;
		k = 0;
	}
}

static bool pages_set(struct process *p, uint64_t from, uint64_t to, uint64_t rights)
{
	uint64_t va;

	for (va = from; va < to; va += PAGE)
		if (!page_set(p, va, rights))
			return false;
	return true;
}

static void pages_wipe(struct process *p, uint64_t from, uint64_t to)
{
	uint64_t va, *e;

	for (va = from; va < to; va += PAGE) {
		e = entry_of(p, va, false);
		if (e && (*e & PTE_OWN))
			mem_wipe(direct(*e & PTE_ADDR), PAGE);
	}
}

static bool whole_pages(uint64_t *len)
{
	if (!*len || *len > LAUNCH_MON_LEN)
		return false;
	*len = (*len + PAGE - 1) & ~(PAGE - 1);
	return true;
}

int64_t process_mmap(struct process *p, uint64_t len, bool mapped, bool writable)
{
	struct area *a;

	if (!whole_pages(&len) || (mapped && len / PAGE > pages_left()))
		return -ENOMEM;
	a = area_take(p, len);
	if (!a)
		return -ENOMEM;
	if (!pages_set(p, a->from, a->to, rights_of(mapped, writable, false))) {
		a->used = false;
		return -ENOMEM;
	}
	return (int64_t)a->from;
}

int64_t process_munmap(struct process *p, uint64_t va, uint64_t len)
{
	struct area *a;

	if (va % PAGE || !whole_pages(&len))
		return -EINVAL;
	a = area_of(p, va, len);
	if (!a || !area_split(p, a, va))
		return -ENOMEM;
	a = area_of(p, va, len);
	if (!a || !area_split(p, a, va + len))
		return -ENOMEM;
	pages_wipe(p, va, va + len);
	a->used = false;
	areas_join(p, (unsigned)(a - p->area));
	return 0;
}

int64_t process_protect(struct process *p, uint64_t va, uint64_t len, bool mapped, bool writable)
{
	uint64_t at, *e;

	if (va % PAGE || !whole_pages(&len))
		return -EINVAL;
	if (!area_of(p, va, len)) {	/* the program's own pages: of these, rights are only taken away */
		for (at = va; at < va + len; at += PAGE) {
			e = entry_of(p, at, false);
			if (!e || !(*e & PTE_OWN) || !(*e & PTE_NX))
				return -ENOMEM;
			if ((writable && !(*e & PTE_W)) || (mapped && !(*e & PTE_P)))
				return -EACCES;
		}
	}
	return pages_set(p, va, va + len, rights_of(mapped, writable, false)) ? 0 : -ENOMEM;
}

int64_t process_zero(struct process *p, uint64_t va, uint64_t len)
{
	if (va % PAGE || !whole_pages(&len) || !area_of(p, va, len))
		return -EINVAL;
	pages_wipe(p, va, va + len);
	return 0;
}

int64_t process_brk(struct process *p, uint64_t to)
{
	uint64_t end = (to + PAGE - 1) & ~(PAGE - 1), keep;

	if (to < p->brk_first || to > p->brk_first + LAUNCH_MON_LEN)
		return (int64_t)p->brk;
	if (end > p->brk_mapped) {
		if ((end - p->brk_mapped) / PAGE > pages_left() ||
		    !pages_set(p, p->brk_mapped, end, rights_of(true, true, false)))
			return (int64_t)p->brk;
		p->brk_mapped = end;
	}
	if (to < p->brk) {	/* given back: zeros when it is asked for again */
		keep = end - to;
		if (keep) {
			size_t room;
			uint8_t *at = user_at(p, to, PTE_P | PTE_W, &room);

			if (at)
				mem_wipe(at, room);
		}
		pages_wipe(p, end, p->brk_mapped);
	}
	p->brk = to;
	return (int64_t)to;
}

enum rc process_new(struct process *p, struct thread *threads, unsigned max)
{
	uint64_t gpa = pages_alloc(1);

	if (!gpa)
		return RC_NO_ROOM;
	*p = (struct process){ .top = direct(gpa), .mmap_next = USER_MMAP, .thread = threads, .threads_max = max };
	memory_share_kernel(p->top);
	return RC_OK;
}

/* Frees what is below a table; false: the budget is used up. */
static bool free_below(uint64_t *t, unsigned entries, int level, unsigned *budget)
{
	unsigned i;

	for (i = 0; i < entries; i++) {
		if (!t[i])
			continue;
		if (!*budget)
			return false;
		if (level && !free_below(direct(t[i] & PTE_ADDR), 512, level - 1, budget))
			return false;
		if (level || (t[i] & PTE_OWN))
			page_free(t[i] & PTE_ADDR);
		t[i] = 0;
		if (*budget)
			--*budget;
	}
	return true;
}

enum rc process_free(struct process *p, unsigned budget)
{
	if (!p->top)
		return RC_OK;
	if (!free_below(p->top, 256, LEVELS - 1, &budget))
		return RC_BUSY;
	page_free(direct_gpa(p->top));
	mem_wipe(p->thread, p->threads_max * sizeof(*p->thread));
	mem_wipe(p, sizeof(*p));
	return RC_OK;
}

static void wipe_below(const uint64_t *t, unsigned entries, int level)
{
	unsigned i;

	for (i = 0; i < entries; i++)
		if (level && (t[i] & PTE_P))
			wipe_below(direct(t[i] & PTE_ADDR), 512, level - 1);
		else if (!level && (t[i] & PTE_OWN))
			mem_wipe(direct(t[i] & PTE_ADDR), PAGE);
}

/* A thread that ran on while its keys become zeros might take zeros for keys. */
void process_wipe(struct process *p)
{
	uint32_t own = this_cpu()->inside == p;

	__atomic_store_n(&p->dead, true, __ATOMIC_SEQ_CST);
	if (!p->top || __atomic_load_n(&p->inside, __ATOMIC_SEQ_CST) > own)
		return;
	wipe_below(p->top, 256, LEVELS - 1);
	mem_wipe(p->thread, p->threads_max * sizeof(*p->thread));
}

#define HEADERS_MAX 16
struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr ph[HEADERS_MAX];
};

static enum rc elf_read(struct slice file, struct elf *e)
{
	static const uint8_t magic[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT };
	struct cursor c = cur_of(file.p, file.len), headers = c;
	const Elf64_Ehdr *h = &e->h;
	const uint8_t *skipped;

	if (!cur_copy(&c, &e->h, sizeof(e->h)) || memcmp(h->e_ident, magic, sizeof(magic)) || h->e_type != ET_EXEC ||
	    h->e_machine != EM_X86_64 || h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum || h->e_phnum > HEADERS_MAX)
		return RC_BAD_INPUT;
	if (!cur_take(&headers, h->e_phoff, &skipped) || !cur_copy(&headers, e->ph, h->e_phnum * sizeof(e->ph[0])))
		return RC_BAD_INPUT;
	return RC_OK;
}

static bool segment_ok(const Elf64_Phdr *h, size_t len, uint64_t first)
{
	return h->p_filesz <= h->p_memsz && h->p_offset <= len && h->p_filesz <= len - h->p_offset &&
	       h->p_vaddr >= first && h->p_vaddr < ELF_END && h->p_memsz <= ELF_END - h->p_vaddr &&
	       (h->p_flags & (PF_W | PF_X)) != (PF_W | PF_X);
}

static enum rc load_segment(struct process *p, struct slice file, const Elf64_Phdr *h)
{
	uint64_t va = h->p_vaddr, end = h->p_vaddr + h->p_memsz, at;
	size_t left = h->p_filesz, room;
	const uint8_t *from = file.p + h->p_offset;

	for (at = va & ~(PAGE - 1); at < end; at += PAGE)
		if (!page_set(p, at, rights_of(true, h->p_flags & PF_W, h->p_flags & PF_X)))
			return RC_NO_ROOM;
	for (; left; left -= room, va += room, from += room) {
		uint8_t *to = user_at(p, va, PTE_P, &room);

		INVARIANT(to);
		room = room < left ? room : left;
		memcpy(to, from, room);
	}
	return RC_OK;
}

/* argc, argv, envp and the auxiliary vector, as the System V ABI has them. */
static enum rc make_stack(struct process *p, const Elf64_Ehdr *h, uint64_t headers)
{
	static const char name[] = "service";
	uint64_t top = USER_STACK - 64, random = USER_STACK - 32, at, n = 0;
	uint64_t v[40] = { 0 };
	const uint64_t aux[][2] = { { AT_PAGESZ, PAGE }, { AT_RANDOM, random }, { AT_PHDR, headers },
				    { AT_PHENT, h->e_phentsize }, { AT_PHNUM, h->e_phnum }, { AT_ENTRY, h->e_entry },
				    { AT_SECURE, 0 }, { AT_UID, 0 }, { AT_EUID, 0 }, { AT_GID, 0 }, { AT_EGID, 0 },
				    { AT_CLKTCK, 100 }, { AT_NULL, 0 } };
	uint8_t seed[16];

	v[n++] = 1;
	v[n++] = top;
	n += 2;			/* the ends of argv and envp */
	memcpy(&v[n], aux, sizeof(aux));
	n += sizeof(aux) / 8;
	at = (top - n * 8) & ~15ull;
	if (random_fill(seed, sizeof(seed)) != RC_OK)
		return RC_MACHINE;
	if (!pages_set(p, USER_STACK - USER_STACK_LEN, USER_STACK, rights_of(true, true, false)) ||
	    !user_write(p, at, v, n * 8) || !user_write(p, top, name, sizeof(name)) ||
	    !user_write(p, random, seed, sizeof(seed)))
		return RC_NO_ROOM;
	p->thread[0].regs = (struct regs){ .rip = h->e_entry, .rsp = at, .cs = SEL_UCODE, .ss = SEL_UDATA, .rflags = 2 };
	return RC_OK;
}

/* As FNINIT leaves it, and MXCSR's default. */
static const uint8_t fpu_clean[512] __attribute__((aligned(16))) = { 0x7f, 0x03, [24] = 0x80, 0x1f };

enum rc process_load(struct process *p, struct slice file)
{
	uint64_t next = ELF_FIRST, headers = 0;
	struct elf e;
	enum rc rc = elf_read(file, &e);
	unsigned i;

	for (i = 0; rc == RC_OK && i < e.h.e_phnum; i++) {
		const Elf64_Phdr *ph = &e.ph[i];

		if (ph->p_type == PT_INTERP || ph->p_type == PT_DYNAMIC)
			return RC_BAD_INPUT;
		if (ph->p_type != PT_LOAD || !ph->p_memsz)
			continue;
		if (!segment_ok(ph, file.len, next))
			return RC_BAD_INPUT;
		rc = load_segment(p, file, ph);
		if (e.h.e_phoff >= ph->p_offset && e.h.e_phoff - ph->p_offset < ph->p_filesz)
			headers = ph->p_vaddr + (e.h.e_phoff - ph->p_offset);
		next = (ph->p_vaddr + ph->p_memsz + PAGE - 1) & ~(PAGE - 1);	/* no page of two segments */
	}
	if (rc != RC_OK)
		return rc;
	p->brk_first = p->brk = p->brk_mapped = next + PAGE;
	memcpy(p->thread[0].fpu, fpu_clean, sizeof(fpu_clean));
	p->thread[0].tid = 1;
	p->threads = 1;
	return make_stack(p, &e.h, headers);
}

/* CPUID at CPL3, from the table that the secure processor has checked; anything else is not answered. */
static bool answer_cpuid(struct process *p, struct regs *r)
{
	static const uint32_t with_sub[] = { 4, 7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x24,
					     0x8000001d };
	const struct snp_cpuid_entry *e;
	uint32_t sub = 0;
	uint8_t code[2];
	unsigned i;

	if (r->error != NAE_CPUID || !user_read(p, r->rip, code, sizeof(code)) || code[0] != 0x0f || code[1] != 0xa2)
		return false;
	for (i = 0; i < ARRAY_LEN(with_sub); i++)
		if ((uint32_t)r->rax == with_sub[i])
			sub = (uint32_t)r->rcx;
	e = cpuid_find((uint32_t)r->rax, sub);
	r->rax = e ? e->eax : 0;
	r->rbx = e ? e->ebx : 0;
	r->rcx = e ? e->ecx : 0;
	r->rdx = e ? e->edx : 0;
	r->rip += 2;
	return true;
}

/* Another thread may have been given the page meanwhile. */
static bool fault_is_stale(struct process *p, const struct regs *r)
{
	uint64_t va = read_cr2(), *e = entry_of(p, va, false);
	uint64_t need = PTE_P | PTE_U | (r->error & 2 ? PTE_W : 0);

	if (!e || (*e & need) != need || (r->error & 16 && *e & PTE_NX))
		return false;
	invlpg(va);
	return true;
}

static enum ran trap_do(struct process *p, struct thread *t, uint64_t vector)
{
	if (vector == VECTOR_SYSCALL)
		return syscall_do(p, t);
	if (vector == VECTOR_VC && answer_cpuid(p, &t->regs))
		return RAN_ON;
	if (vector == VECTOR_PF && fault_is_stale(p, &t->regs))
		return RAN_ON;
	say_number("a service fails: vector ", vector);
	say_number("  at ", t->regs.rip);
	return RAN_DEAD;
}

enum ran process_run(struct process *p, struct thread *t)
{
	struct cpu *c = this_cpu();
	enum ran ran = t->tid ? RAN_ON : RAN_DEAD;	/* a thread that has ended does not come back */

	c->inside = p;
	__atomic_add_fetch(&p->inside, 1, __ATOMIC_SEQ_CST);	/* before `dead` is read: process_wipe() */
	cpu_user_stack(c, &t->regs);
	write_cr3(direct_gpa(p->top) | PTE_C);
	wrmsr(MSR_FS_BASE, t->fs_base);
	__asm__ volatile("fxrstor %0" : : "m"(t->fpu));
	while (ran == RAN_ON && !__atomic_load_n(&p->dead, __ATOMIC_SEQ_CST))
		ran = trap_do(p, t, user_run(&t->regs));
	__asm__ volatile("fxsave %0; fxrstor %1" : "=m"(t->fpu) : "m"(fpu_clean));	/* round keys stay in no register */
	write_cr3(memory_root());
	if (ran == RAN_ON)
		ran = RAN_DEAD;
	if (ran == RAN_DEAD)
		__atomic_store_n(&p->dead, true, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&p->inside, 1, __ATOMIC_SEQ_CST);
	c->inside = NULL;
	return ran;
}
