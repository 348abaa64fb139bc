/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter is an allow list; anything else kills the process. There is no call in it that names a
 * file or a socket. Debian has no static libseccomp, and the program is thirty instructions long, so
 * it is assembled here; tests/service/sandbox_test.c tries it from outside.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/sandbox.h"

const int sandbox_calls[] = {
	/* any arguments */
	SYS_futex, SYS_munmap, SYS_brk, SYS_madvise, SYS_getrandom, SYS_clock_gettime, SYS_sched_yield,
	SYS_rt_sigreturn, SYS_restart_syscall, SYS_getpid, SYS_gettid, SYS_exit, SYS_exit_group,
	SYS_set_robust_list, SYS_rt_sigprocmask, SYS_munlock, SYS_mremap,
	/* with conditions, see filter[] */
	SYS_mmap, SYS_mprotect, SYS_tgkill, SYS_write,
	-1,
};
#define FREE_CALLS 17	/* how many of them come first, without conditions */

enum rc sandbox_early(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return RC_MACHINE;
	return RC_OK;
}

void sandbox_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	/* One heap for all sizes: at VMPL0 what was mapped for one large block is never there for small ones again. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);	/* nor given back and asked for again with each large request */
}

bool sandbox_lock_memory(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_MEMLOCK, &r) != 0)
			return false;
	}
	/* On fault: the lanes are large, and mostly never touched. */
	return syscall(SYS_mlockall, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
/* If A == k go on, else skip n instructions. */
#define UNLESS_SKIP(k, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (n))

/* A sanitizer's runtime opens files and threads of its own: such a build, which is for tests, has no filter. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum rc sandbox_filter(void)
{
	struct sock_filter f[FREE_CALLS * 2 + 40];
	struct sock_fprog prog = { .filter = f };
	unsigned short n = 0;
	size_t i;

#define ADD(...) (f[n++] = (struct sock_filter)__VA_ARGS__)
	ADD(LOAD(arch));
	ADD(UNLESS_SKIP(AUDIT_ARCH_X86_64, 1));
	ADD(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
	ADD(LOAD(nr));
	for (i = 0; i < FREE_CALLS; i++) {
		ADD(UNLESS_SKIP((unsigned)sandbox_calls[i], 1));
		ADD(RET(SECCOMP_RET_ALLOW));
	}
	/* mprotect(.., prot): never executable */
	ADD(UNLESS_SKIP(SYS_mprotect, 4));
	ADD(LOAD_ARG(2));
	ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
	ADD(RET(SECCOMP_RET_ALLOW));
	/* mmap(.., prot, flags): anonymous and never executable */
	ADD(UNLESS_SKIP(SYS_mmap, 6));
	ADD(LOAD_ARG(2));
	ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 2, 0));
	ADD(LOAD_ARG(3));
	ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 1, 0));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
	ADD(RET(SECCOMP_RET_ALLOW));
	/* tgkill(own pid, ..): abort(); nobody else's process */
	ADD(UNLESS_SKIP(SYS_tgkill, 4));
	ADD(LOAD_ARG(0));
	ADD(UNLESS_SKIP((unsigned)getpid(), 1));
	ADD(RET(SECCOMP_RET_ALLOW));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
	/* write(2, ..): the last words */
	ADD(UNLESS_SKIP(SYS_write, 4));
	ADD(LOAD_ARG(0));
	ADD(UNLESS_SKIP(2, 1));
	ADD(RET(SECCOMP_RET_ALLOW));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
	ADD(RET(SECCOMP_RET_KILL_PROCESS));
#undef ADD
	prog.len = n;
	if (SANITIZED)
		return RC_OK;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return RC_MACHINE;
	return RC_OK;
}
