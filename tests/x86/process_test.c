/* SPDX-License-Identifier: Apache-2.0 */
/* Programs at CPL3: the ELF loader, their memory, their system calls. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/fake/x86.h"
#include "tests/test.h"

static struct process p;
static struct thread threads[4];
static uint8_t file[FAKE_ELF_LEN];
static const struct boot_msg boot = { .magic = BOOT_MAGIC, .version = BOOT_VERSION, .lanes = 3 };

#define EHDR ((Elf64_Ehdr *)file)
#define PHDR(i) ((Elf64_Phdr *)(file + 64) + (i))

static enum rc load_len(size_t len)
{
	uint8_t *fenced = test_fence(file, len);
	enum rc rc;

	rc = process_load(&p, slice_of(fenced, len));
	test_fence_free(fenced, len);
	return rc;
}

static void fresh(unsigned pages)
{
	fake_x86_reset(pages);
	memset(threads, 0, sizeof(threads));
	EXPECT(process_new(&p, threads, ARRAY_LEN(threads)) == RC_OK);
	(void)fake_elf(file, sizeof(file));
}

static void loaded(void)
{
	fresh(2000);
	EXPECT(load_len(sizeof(file)) == RC_OK);
}

static bool byte_at(uint64_t va, uint8_t *out)
{
	return user_read(&p, va, out, 1);
}

static void give_back(void)
{
	while (process_free(&p, 7) == RC_BUSY)
		;
	EXPECT_INT(fake_pages_out(), 0);
}

TEST(a_static_elf_file_is_loaded_with_the_rights_of_its_segments)
{
	uint8_t b, w = 1;

	loaded();
	EXPECT(byte_at(FAKE_TEXT + 0x300, &b) && b == file[0x300]);
	EXPECT(!user_write(&p, FAKE_TEXT + 0x300, &w, 1));
	EXPECT(!user_write(&p, FAKE_TEXT + 0x1000, &w, 1));
	EXPECT(byte_at(FAKE_DATA, &b) && b == file[0x2100]);
	EXPECT(byte_at(FAKE_BSS_END - 1, &b) && b == 0);
	EXPECT(user_write(&p, FAKE_DATA, &w, 1));
	EXPECT(!byte_at(0x405000, &b) && !byte_at(FAKE_TEXT - 1, &b));
	EXPECT_INT(threads[0].regs.rip, FAKE_TEXT + 0x200);
	EXPECT_INT(threads[0].regs.rsp % 16, 0);
	EXPECT_INT(threads[0].regs.rflags, 2);
	give_back();
}

TEST(every_truncation_of_a_good_file_is_refused)
{
	size_t len;

	for (len = 0; len < sizeof(file); len += len < 400 ? 1 : 97) {
		fresh(2000);
		EXPECT(load_len(len) == RC_BAD_INPUT);
		give_back();
	}
}

enum change { CLASS, TYPE, MACHINE, PHENT, NO_PH, MANY_PH, PHOFF, INTERP, DYNAMIC, WX, LOW, HIGH, WRAP, SHORT_MEM, OFFSET, FILESZ,
	      OVERLAP, SAME_PAGE, CHANGES };

static void change(enum change what)
{
	switch (what) {
	case CLASS: EHDR->e_ident[EI_CLASS] = ELFCLASS32; break;
	case TYPE: EHDR->e_type = ET_DYN; break;
	case MACHINE: EHDR->e_machine = EM_386; break;
	case PHENT: EHDR->e_phentsize++; break;
	case NO_PH: EHDR->e_phnum = 0; break;
	case MANY_PH: EHDR->e_phnum = 17; break;
	case PHOFF: EHDR->e_phoff = ~7ull; break;
	case INTERP: PHDR(3)->p_type = PT_INTERP; break;
	case DYNAMIC: PHDR(3)->p_type = PT_DYNAMIC; break;
	case WX: PHDR(0)->p_flags |= PF_W; break;
	case LOW: PHDR(0)->p_vaddr = 0; break;
	case HIGH: PHDR(2)->p_vaddr = USER_END; break;
	case WRAP: PHDR(2)->p_memsz = ~0ull; break;
	case SHORT_MEM: PHDR(2)->p_memsz = PHDR(2)->p_filesz - 1; break;
	case OFFSET: PHDR(2)->p_offset = ~0ull; break;
	case FILESZ: PHDR(2)->p_filesz = PHDR(2)->p_memsz; break;
	case OVERLAP: PHDR(2)->p_vaddr = FAKE_TEXT + 0x100; break;
	case SAME_PAGE: PHDR(2)->p_vaddr = FAKE_TEXT + 0x1900; break;
	default: break;
	}
}

/* T-242 */
TEST(a_file_that_is_not_a_plain_static_program_is_refused)
{
	int i;

	for (i = 0; i < CHANGES; i++) {
		fresh(2000);
		change((enum change)i);
		EXPECT(load_len(sizeof(file)) == RC_BAD_INPUT);
		give_back();
	}
}

TEST(a_program_that_does_not_fit_is_refused_and_leaves_nothing)
{
	unsigned pages;

	for (pages = 1; pages < 70; pages += 3) {
		fresh(pages);
		EXPECT(load_len(sizeof(file)) == RC_NO_ROOM);
		give_back();
	}
}

/* T-240 */
TEST(memory_of_the_monitor_and_addresses_that_wrap_are_nobodys)
{
	static const uint64_t bad[] = { 0, USER_END, USER_END - 1, MON_VA, ~0ull, ~0ull - 3, 0xffff800000000000ull, 1ull << 63 };
	uint8_t b[8] = { 0 };
	size_t i;

	loaded();
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		EXPECT(!user_read(&p, bad[i], b, sizeof(b)));
		EXPECT(!user_write(&p, bad[i], b, sizeof(b)));
	}
	EXPECT(!user_read(&p, 0x404ffc, b, sizeof(b)));	/* runs into a page that is not there */
	give_back();
}

/* T-243 */
TEST(what_is_given_back_comes_again_as_zeros)
{
	uint64_t secret = 0x1122334455667788, v = 1;
	int64_t at, again;

	loaded();
	at = process_mmap(&p, 3 * PAGE, true, true);
	EXPECT(at > 0 && user_write(&p, (uint64_t)at + PAGE, &secret, 8));
	EXPECT_INT(process_munmap(&p, (uint64_t)at, 3 * PAGE), 0);
	again = process_mmap(&p, 2 * PAGE, true, true);
	EXPECT(again == at);
	EXPECT(user_read(&p, (uint64_t)again + PAGE, &v, 8) && v == 0);
	EXPECT(process_mmap(&p, PAGE, true, true) == at + 2 * (int64_t)PAGE);
	at = process_brk(&p, 0);
	EXPECT(process_brk(&p, (uint64_t)at + 5000) == at + 5000);
	EXPECT(user_write(&p, (uint64_t)at + 4990, &secret, 8));
	EXPECT(process_brk(&p, (uint64_t)at + 10) == at + 10);
	EXPECT(process_brk(&p, (uint64_t)at + 5000) == at + 5000);
	EXPECT(user_read(&p, (uint64_t)at + 4990, &v, 8) && v == 0);
	give_back();
}

TEST(memory_that_is_not_the_callers_to_change_is_refused)
{
	int64_t at;

	loaded();
	at = process_mmap(&p, 2 * PAGE, true, false);
	EXPECT(process_munmap(&p, (uint64_t)at, 3 * PAGE) < 0);
	EXPECT(process_munmap(&p, (uint64_t)at + 1, PAGE) < 0);
	EXPECT(process_munmap(&p, FAKE_DATA & ~(PAGE - 1), PAGE) < 0);
	EXPECT(process_munmap(&p, USER_REQ, PAGE) < 0);
	EXPECT(process_protect(&p, FAKE_TEXT, PAGE, true, true) < 0);	/* the text stays as it is */
	EXPECT(process_protect(&p, USER_REQ, PAGE, true, true) < 0);
	EXPECT(process_protect(&p, MON_VA, PAGE, true, true) < 0);
	EXPECT(process_protect(&p, (uint64_t)at, ~0ull, true, true) < 0);
	EXPECT(process_mmap(&p, 0, true, true) < 0 && process_mmap(&p, ~0ull, true, true) < 0);
	EXPECT(process_mmap(&p, 100000 * PAGE, true, true) < 0);
	EXPECT_INT(process_protect(&p, FAKE_DATA & ~(PAGE - 1), PAGE, true, false), 0);
	give_back();
}

TEST(a_lanes_page_is_neither_changed_nor_freed_by_the_process)
{
	uint64_t lane = 100 * PAGE, v = 42, w = 7;

	loaded();
	memcpy(fake_memory + lane, &v, 8);
	EXPECT(process_map(&p, USER_REQ, lane, false) == RC_OK);
	EXPECT(user_read(&p, USER_REQ, &v, 8) && v == 42 && !user_write(&p, USER_REQ, &w, 8));
	EXPECT(process_zero(&p, USER_REQ, PAGE) < 0 && process_protect(&p, USER_REQ, PAGE, true, true) < 0);
	give_back();
	EXPECT_INT(fake_memory[lane], 42);
}

static uint32_t seed;
static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

TEST(random_requests_for_memory_never_give_one_page_twice)
{
	static struct { uint64_t at, len; uint8_t mark; } have[64];
	unsigned round, i;

	seed = 1;
	for (round = 0; round < 20; round++) {
		loaded();
		memset(have, 0, sizeof(have));
		for (unsigned step = 0; step < 400; step++) {
			i = below(ARRAY_LEN(have));
			if (have[i].len) {
				uint8_t b;

				for (uint64_t off = 0; off < have[i].len; off += 800)
					EXPECT(byte_at(have[i].at + off, &b) && b == have[i].mark);
				EXPECT_INT(process_munmap(&p, have[i].at, have[i].len), 0);
				have[i].len = 0;
				continue;
			}
			uint64_t len = (below(6) + 1) * PAGE;
			int64_t at = process_mmap(&p, len, true, true);

			EXPECT(at > 0 && p.areas <= 2 * ARRAY_LEN(have) + 1);	/* what is given back grows together */
			have[i].at = (uint64_t)at;
			have[i].len = len;
			have[i].mark = (uint8_t)(step | 1);
			for (uint64_t off = 0; off < len; off += 40) {
				uint8_t b = 1;

				EXPECT(byte_at(have[i].at + off, &b) && b == 0);
				EXPECT(user_write(&p, have[i].at + off, &have[i].mark, 1));
			}
		}
		give_back();
	}
}

/* System calls: what the program asks for next, and its answer. */
static uint64_t asked[7];
static int64_t answered;
static unsigned step;

static uint64_t ask(struct regs *r)
{
	if (step++) {
		answered = (int64_t)r->rax;
		r->rax = 60;	/* the first thread's exit ends it */
		return VECTOR_SYSCALL;
	}
	r->rax = asked[0];
	r->rdi = asked[1];
	r->rsi = asked[2];
	r->rdx = asked[3];
	r->r10 = asked[4];
	r->r8 = asked[5];
	r->r9 = asked[6];
	return VECTOR_SYSCALL;
}

static int64_t call(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, enum ran *ran)
{
	uint64_t v[] = { nr, a, b, c, d, e, f };
	enum ran r;

	memcpy(asked, v, sizeof(v));
	answered = 0x7777;
	step = 0;
	fake_user = ask;
	p.dead = false;
	threads[0].tid = 1;
	threads[0].asleep = false;
	r = process_run(&p, &threads[0]);
	if (ran)
		*ran = r;
	return r == RAN_ASLEEP || r == RAN_YIELD ? (int64_t)threads[0].regs.rax : answered;
}

#define CALL(...) call_n(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define call_n(nr, a, b, c, d, e, f, ...) call(nr, a, b, c, d, e, f, NULL)

TEST(a_call_that_is_not_in_the_table_does_not_exist)
{
	static const uint16_t absent[] = { 2, 4, 41, 42, 56, 57, 58, 59, 62, 101, 165, 175, 250, 321, 425, 500, 0xffff };
	size_t i;

	loaded();
	for (i = 0; i < ARRAY_LEN(absent); i++)
		EXPECT_INT(CALL(absent[i]), -ENOSYS);
	EXPECT_INT(CALL(1ull << 32 | 39), -ENOSYS);
	give_back();
}

TEST(nothing_becomes_executable_and_no_address_is_chosen)
{
	loaded();
	EXPECT_INT(CALL(9, 0, PAGE, 7, 0x22), -EPERM);
	EXPECT_INT(CALL(9, FAKE_TEXT, PAGE, 3, 0x32), -EPERM);
	EXPECT_INT(CALL(10, FAKE_DATA & ~0xfffull, PAGE, 5), -EPERM);
	give_back();
}

TEST(there_are_no_files_but_the_lanes)
{
	uint64_t room = FAKE_DATA;

	loaded();
	EXPECT_INT(CALL(257, 0, FAKE_TEXT), -ENOENT);
	EXPECT_INT(CALL(9, 0, PAGE, 1, 1, 4), -EACCES);		/* no lanes without a boot message */
	EXPECT_INT(CALL(0, 3, room, 128), -EBADF);
	p.boot = &boot;
	EXPECT_INT(CALL(9, 0, 3 * CALL_AREA_LEN, 1, 1, 4), USER_REQ);
	EXPECT_INT(CALL(9, 0, 3 * CALL_AREA_LEN, 3, 1, 5), USER_RSP);
	EXPECT_INT(CALL(9, 0, 3 * CALL_AREA_LEN, 3, 1, 4), -EACCES);	/* requests are for reading */
	EXPECT_INT(CALL(9, 0, 2 * CALL_AREA_LEN, 1, 1, 4), -EACCES);
	EXPECT_INT(CALL(9, 0, 3 * CALL_AREA_LEN, 1, 1, 6), -EACCES);
	EXPECT_INT(CALL(0, 3, room, 100), 100);
	EXPECT_INT(CALL(0, 3, room, 100), 28);
	EXPECT_INT(CALL(0, 3, room, 100), 0);
	EXPECT_INT(CALL(0, 0, room, 100), -EBADF);
	EXPECT_INT(CALL(1, 1, room, 100), -EBADF);
	give_back();
}

/* T-240 */
TEST(any_call_with_any_arguments_stays_inside_the_process)
{
	static const uint64_t special[] = {
		0, 1, 2, 3, 4, 5, 8, 0x22, 128, PAGE, 0x3d0f00, FAKE_TEXT, FAKE_DATA, FAKE_DATA + 0xffc, USER_MMAP, USER_REQ,
		USER_RSP, USER_STACK - 8, USER_END, MON_VA, ~0ull, ~0ull - 7, 1ull << 63, 0xfffffffff000ull,
	};
	unsigned i, k;

	seed = 7;
	for (i = 0; i < 20000; i++) {
		uint64_t a[6];

		if (i % 500 == 0) {
			if (i)
				give_back();
			loaded();
			p.boot = i % 1000 ? &boot : NULL;
		}
		for (k = 0; k < 6; k++)
			a[k] = special[below(ARRAY_LEN(special))];
		(void)call(below(440), a[0], a[1], a[2], a[3], a[4], a[5], NULL);
		EXPECT_INT(fake_cr3, 0x1000);	/* whatever happened, the monitor's own tables are back */
		EXPECT(!p.lock);
	}
	give_back();
}

TEST(waiting_on_a_lanes_tail_ends_the_crossing_and_any_other_wait_returns)
{
	uint64_t lane = 200 * PAGE;
	enum ran ran;

	loaded();
	p.boot = &boot;
	EXPECT(process_map(&p, USER_REQ + CALL_AREA_LEN, lane, false) == RC_OK);
	EXPECT_INT(call(202, USER_REQ + CALL_AREA_LEN, 0, 0, 0, 0, 0, &ran), 0);
	EXPECT(ran == RAN_ASLEEP && threads[0].asleep && threads[0].lane == 1);
	EXPECT_INT(call(202, USER_REQ + CALL_AREA_LEN, 0, 9, 0, 0, 0, &ran), -EAGAIN);
	EXPECT(ran == RAN_DEAD);	/* it went on, to its exit */
	EXPECT_INT(call(202, USER_REQ + CALL_AREA_LEN + 64, 0, 0, 0, 0, 0, &ran), 0);
	EXPECT(ran == RAN_YIELD);
	EXPECT_INT(call(202, USER_REQ, 0, 0, 0, 0, 0, &ran), -EFAULT);
	give_back();
}

TEST(what_a_program_prints_is_marked_cut_and_one_line)
{
	loaded();
	EXPECT(user_write(&p, FAKE_DATA, "hello\n", 6));
	EXPECT_INT(CALL(1, 2, FAKE_DATA, 6), 6);
	EXPECT_INT(strncmp(fake_said, "service: hello", 14), 0);
	EXPECT_INT(CALL(1, 2, FAKE_DATA, 2000), 2000);
	EXPECT(strlen(fake_said) <= 9 + 256);
	EXPECT_INT(CALL(1, 2, MON_VA, 10), -EFAULT);
	give_back();
}

static uint64_t trap_vector, trap_error;
static uint64_t trap(struct regs *r)
{
	if (step++) {
		r->rax = 60;
		return VECTOR_SYSCALL;
	}
	r->error = trap_error;
	r->rax = 7;
	r->rcx = 0;
	return trap_vector;
}

/* T-241 */
TEST(a_fault_ends_the_process_and_only_cpuid_is_answered)
{
	static const uint8_t cpuid[] = { 0x0f, 0xa2 };
	static const struct { uint64_t vector, error; } fatal[] = {
		{ 0, 0 }, { 1, 0 }, { 3, 0 }, { 6, 0 }, { 13, 0 }, { VECTOR_PF, 4 }, { VECTOR_PF, 6 }, { 29, NAE_IOIO },
		{ 29, NAE_MSR }, { 29, VC_NPF }, { 29, VC_NOT_VALIDATED }, { 29, NAE_VMMCALL }, { 18, 0 },
	};
	size_t i;

	fake_user = trap;
	for (i = 0; i < ARRAY_LEN(fatal); i++) {
		loaded();
		trap_vector = fatal[i].vector;
		trap_error = fatal[i].error;
		fake_cr2 = MON_VA;
		step = 0;
		EXPECT(process_run(&p, &threads[0]) == RAN_DEAD && p.dead);
		EXPECT_INT(step, 1);
		EXPECT(process_run(&p, &threads[0]) == RAN_DEAD);	/* for ever */
		EXPECT_INT(step, 1);
		give_back();
	}
	fresh(2000);
	memcpy(file + 0x200, cpuid, sizeof(cpuid));
	EXPECT(load_len(sizeof(file)) == RC_OK);
	trap_vector = VECTOR_VC;
	trap_error = NAE_CPUID;
	step = 0;
	(void)process_run(&p, &threads[0]);
	EXPECT(step == 2 && threads[0].regs.rbx == fake_cpuid_ebx7 && threads[0].regs.rdx == 4);
	give_back();
	loaded();	/* the same, with another instruction there: an injected lie */
	step = 0;
	EXPECT(process_run(&p, &threads[0]) == RAN_DEAD && step == 1);
	give_back();
}

static uint64_t end_of_the_monitor(struct regs *r)
{
	(void)r;
	step++;
	process_wipe(&p);
	return 14;
}

/* T-233: the host may hold one vCPU in the middle of its wiping while another goes on. */
TEST(at_the_end_no_memory_is_wiped_under_a_thread_that_runs_on_another_vcpu)
{
	static const uint8_t key[] = "a key of the service's";
	uint8_t now[sizeof(key)];

	loaded();
	EXPECT(user_write(&p, FAKE_DATA, key, sizeof(key)));
	p.inside = 1;
	process_wipe(&p);
	EXPECT(p.dead && user_read(&p, FAKE_DATA, now, sizeof(now)));
	EXPECT_MEM(now, key, sizeof(key));
	step = 0;
	fake_user = end_of_the_monitor;
	EXPECT(process_run(&p, &threads[0]) == RAN_DEAD);	/* nor does one begin to run any more */
	EXPECT_INT(step, 0);
	p.inside = 0;
	process_wipe(&p);
	EXPECT(!memmem(fake_memory, FAKE_MEMORY, key, sizeof(key)));
	give_back();

	loaded();	/* on the vCPU that is inside itself */
	EXPECT(user_write(&p, FAKE_DATA, key, sizeof(key)));
	EXPECT(process_run(&p, &threads[0]) == RAN_DEAD);
	EXPECT_INT(step, 1);
	EXPECT(!memmem(fake_memory, FAKE_MEMORY, key, sizeof(key)));
	give_back();
}

static uint64_t leaves_a_key_in_xmm7(struct regs *r)
{
	static const uint8_t key[16] = "a round key";

	__asm__ volatile("movdqu %0, %%xmm7" : : "m"(key) : "xmm7");
	r->rax = 24;	/* sched_yield */
	return VECTOR_SYSCALL;
}

TEST(what_a_program_has_in_its_vector_registers_stays_in_its_thread)
{
	uint8_t now[16];

	loaded();
	fake_user = leaves_a_key_in_xmm7;
	EXPECT(process_run(&p, &threads[0]) == RAN_YIELD);
	__asm__ volatile("movdqu %%xmm7, %0" : "=m"(now));
	EXPECT(now[0] == 0 && now[10] == 0);
	EXPECT_MEM(threads[0].fpu + 160 + 16 * 7, "a round key", 12);
	give_back();
}

TEST(of_the_programs_own_pages_rights_are_only_taken_away)
{
	uint64_t data = FAKE_DATA & ~(PAGE - 1);
	uint8_t b = 1;

	loaded();
	EXPECT_INT(process_protect(&p, FAKE_TEXT + 0x1000, PAGE, true, true), -EACCES);	/* constants */
	EXPECT(!user_write(&p, FAKE_TEXT + 0x1000, &b, 1));
	EXPECT_INT(process_protect(&p, FAKE_TEXT, PAGE, true, false), -ENOMEM);	/* code stays code */
	EXPECT_INT(process_protect(&p, data, PAGE, true, false), 0);	/* what the loader has relocated */
	EXPECT(!user_write(&p, FAKE_DATA, &b, 1));
	EXPECT_INT(process_protect(&p, data, PAGE, true, true), -EACCES);
	EXPECT(!user_write(&p, FAKE_DATA, &b, 1));
	give_back();
}

TEST(a_thread_that_has_ended_neither_runs_nor_lends_its_place)
{
	uint64_t a[8] = { 0x3d0f00, 0, FAKE_DATA + 512, FAKE_DATA + 520, 0, USER_MMAP, 0x8000, FAKE_DATA };
	enum ran ran;

	loaded();
	EXPECT(user_write(&p, FAKE_DATA, a, sizeof(a)));
	EXPECT_INT(CALL(435, FAKE_DATA, 88), 2);
	threads[1].tid = 0;	/* it has called exit */
	EXPECT_INT(CALL(435, FAKE_DATA, 88), 3);
	EXPECT_INT(threads[1].tid, 0);
	step = 0;
	fake_user = end_of_the_monitor;
	ran = process_run(&p, &threads[1]);
	EXPECT(ran == RAN_DEAD && p.dead);
	EXPECT_INT(step, 0);
	give_back();
}

TEST(a_thread_is_made_only_as_the_c_library_makes_it)
{
	uint64_t a[8] = { 0x3d0f00, 0, FAKE_DATA + 512, FAKE_DATA + 520, 0, USER_MMAP, 0x8000, FAKE_DATA };
	uint64_t bad[][2] = { { 0, 0x3d0f01 }, { 0, 0 }, { 0, 0x100 }, { 5, USER_END }, { 6, ~0ull }, { 7, MON_VA } };
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t b[8];

		loaded();
		memcpy(b, a, sizeof(b));
		b[bad[i][0]] = bad[i][1];
		EXPECT(user_write(&p, FAKE_DATA, b, sizeof(b)));
		EXPECT_INT(CALL(435, FAKE_DATA, 88), -EINVAL);
		give_back();
	}
	loaded();
	EXPECT(user_write(&p, FAKE_DATA, a, sizeof(a)));
	EXPECT_INT(CALL(435, FAKE_DATA, 40), -EINVAL);
	EXPECT_INT(CALL(435, MON_VA, 88), -EINVAL);
	EXPECT_INT(CALL(435, FAKE_DATA, 88), 2);
	EXPECT_INT(CALL(435, FAKE_DATA, 88), 3);
	EXPECT_INT(CALL(435, FAKE_DATA, 88), 4);
	EXPECT_INT(CALL(435, FAKE_DATA, 88), -EAGAIN);
	EXPECT(threads[1].regs.rsp == USER_MMAP + 0x8000 && threads[1].regs.rax == 0 && threads[1].fs_base == FAKE_DATA);
	give_back();
}
