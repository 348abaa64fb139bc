/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call filter, tried from inside: each forbidden call must be the last thing a process does. */
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "service/sandbox.h"
#include "tests/test.h"

/* Builds with a sanitizer have no filter (service/sandbox.c). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FILTERED 0
#endif
#endif
#ifndef FILTERED
#define FILTERED 1
#endif

struct try {
	const char *what;
	long nr;
	long a[6];
};

static char path[] = "/dev/null";
static uint8_t buf[64];

/* How a child ends that is locked in and then makes one call: a signal's number, or 0 if it lives. */
static int end_of(const struct try *t)
{
	int status = 0;
	pid_t pid = fork();

	EXPECT(pid >= 0);
	if (pid == 0) {
		if (sandbox_early() != RC_OK || sandbox_filter() != RC_OK)
			_exit(1);
		syscall(t->nr, t->a[0], t->a[1], t->a[2], t->a[3], t->a[4], t->a[5]);
		syscall(SYS_exit_group, 0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	EXPECT_INT(WEXITSTATUS(status), 0);
	return 0;
}

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

TEST(every_call_that_reaches_outside_kills)
{
	const struct try no[] = {
		{ "open", SYS_open, { (long)path } },
		{ "openat", SYS_openat, { AT_FDCWD, (long)path } },
		{ "openat2", SYS_openat2, { AT_FDCWD, (long)path } },
		{ "creat", SYS_creat, { (long)path } },
		{ "read", SYS_read, { 0, (long)buf, 0 } },
		{ "pread64", SYS_pread64, { 0, (long)buf, 0 } },
		{ "readv", SYS_readv, { 0, (long)buf, 0 } },
		{ "write to stdout", SYS_write, { 1, (long)buf, 0 } },
		{ "write to another descriptor", SYS_write, { 3, (long)buf, 0 } },
		{ "write to a negative one", SYS_write, { -1, (long)buf, 0 } },
		{ "writev", SYS_writev, { 2, (long)buf, 0 } },
		{ "pwrite64", SYS_pwrite64, { 2, (long)buf, 0 } },
		{ "sendfile", SYS_sendfile, { 1, 0, 0, 0 } },
		{ "close", SYS_close, { 0 } },
		{ "dup", SYS_dup, { 0 } },
		{ "dup2", SYS_dup2, { 0, 9 } },
		{ "fcntl", SYS_fcntl, { 0, F_GETFD } },
		{ "ioctl", SYS_ioctl, { 0, 0 } },
		{ "pipe", SYS_pipe, { (long)buf } },
		{ "memfd_create", SYS_memfd_create, { (long)path, 0 } },
		{ "stat", SYS_stat, { (long)path, (long)buf } },
		{ "readlink", SYS_readlink, { (long)path, (long)buf, 1 } },
		{ "unlink", SYS_unlink, { (long)path } },
		{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
		{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, (long)buf } },
		{ "connect", SYS_connect, { 0 } },
		{ "sendto", SYS_sendto, { 0 } },
		{ "recvfrom", SYS_recvfrom, { 0 } },
		{ "execve", SYS_execve, { (long)path, 0, 0 } },
		{ "execveat", SYS_execveat, { AT_FDCWD, (long)path, 0, 0, 0 } },
		{ "fork", SYS_fork, { 0 } },
		{ "vfork", SYS_vfork, { 0 } },
		{ "clone", SYS_clone, { SIGCHLD, 0, 0, 0, 0 } },
		{ "clone3", SYS_clone3, { (long)buf, 64 } },
		{ "kill", SYS_kill, { 0, 0 } },
		{ "tkill", SYS_tkill, { 1, 0 } },
		{ "tgkill of another process", SYS_tgkill, { getppid(), getppid(), 0 } },
		{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { 1, 0, (long)buf } },
		{ "pidfd_send_signal", SYS_pidfd_send_signal, { 0, 0 } },
		{ "rt_sigaction", SYS_rt_sigaction, { SIGUSR1, 0, 0, 8 } },
		{ "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
		{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
		{ "prctl", SYS_prctl, { 4, 1 } },
		{ "seccomp", SYS_seccomp, { 0, 0, 0 } },
		{ "setrlimit", SYS_setrlimit, { 4, (long)buf } },
		{ "prlimit64", SYS_prlimit64, { 0, 4, 0, (long)buf } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "unshare", SYS_unshare, { 0 } },
		{ "bpf", SYS_bpf, { 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 1, (long)buf } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { (long)buf } },
		{ "personality", SYS_personality, { 0 } },
		{ "arch_prctl", SYS_arch_prctl, { 0x1003, (long)buf } },
		{ "munlockall", SYS_munlockall, { 0 } },
		{ "pkey_mprotect", SYS_pkey_mprotect, { (long)buf, 0, RW, -1 } },
		{ "remap_file_pages", SYS_remap_file_pages, { 0 } },
		{ "shmget", SYS_shmget, { 0 } },
		{ "sysinfo", SYS_sysinfo, { (long)buf } },
		{ "uname", SYS_uname, { (long)buf } },
		{ "getppid", SYS_getppid, { 0 } },
		{ "mmap of a file", SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE, 0, 0 } },
		{ "mmap executable", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, ANON, -1, 0 } },
		{ "mmap writable and executable", SYS_mmap, { 0, 4096, RW | PROT_EXEC, ANON, -1, 0 } },
		{ "mprotect executable", SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC } },
		{ "mprotect only executable", SYS_mprotect, { 0, 4096, PROT_EXEC } },
		{ "x32 getpid", 0x40000000 + SYS_getpid, { 0 } },
		{ "x32 mmap", 0x40000000 + SYS_mmap, { 0, 4096, RW, ANON, -1, 0 } },
		{ "no call at all", 100000, { 0 } },
		{ "minus one", -1, { 0 } },
	};
	size_t i;

	if (!FILTERED)
		skip();
	for (i = 0; i < ARRAY_LEN(no); i++) {
		int end = end_of(&no[i]);

		if (end != SIGSYS)
			fprintf(stderr, "%s: %d\n", no[i].what, end);
		EXPECT_INT(end, SIGSYS);
	}
}

TEST(another_architectures_entry_kills)
{
	int status = 0;
	pid_t pid;

	if (!FILTERED)
		skip();
	pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		unsigned nr = 20;	/* getpid of i386 */

		if (sandbox_early() != RC_OK || sandbox_filter() != RC_OK)
			_exit(1);
		__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
		syscall(SYS_exit_group, 0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	/* Without 32-bit entry in the kernel it is a fault instead. */
	EXPECT(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
}

TEST(what_the_service_needs_is_allowed)
{
	uint32_t word = 1;
	const struct try yes[] = {
		{ "futex", SYS_futex, { (long)&word, FUTEX_WAKE, 1, 0, 0, 0 } },
		{ "mmap", SYS_mmap, { 0, 4096, RW, ANON, -1, 0 } },
		{ "mmap without access", SYS_mmap, { 0, 4096, PROT_NONE, ANON | MAP_NORESERVE, -1, 0 } },
		{ "mprotect", SYS_mprotect, { 0, 0, RW } },
		{ "write to stderr", SYS_write, { 2, (long)buf, 0 } },
		{ "munmap", SYS_munmap, { 0, 4096 } },
		{ "brk", SYS_brk, { 0 } },
		{ "madvise", SYS_madvise, { 0, 0, MADV_DONTNEED } },
		{ "mremap", SYS_mremap, { 0, 0, 0, 0 } },
		{ "getrandom", SYS_getrandom, { (long)buf, 8, 0 } },
		{ "clock_gettime", SYS_clock_gettime, { CLOCK_MONOTONIC, (long)buf } },
		{ "sched_yield", SYS_sched_yield, { 0 } },
		{ "getpid", SYS_getpid, { 0 } },
		{ "gettid", SYS_gettid, { 0 } },
		{ "exit_group", SYS_exit_group, { 0 } },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(yes); i++) {
		int end = end_of(&yes[i]);

		if (end)
			fprintf(stderr, "%s: %d\n", yes[i].what, end);
		EXPECT_INT(end, 0);
	}
}

TEST(the_readme_lists_what_the_filter_allows)
{
	static const struct {
		const char *name;
		int nr;
	} names[] = {
#define N(x) { #x, SYS_##x }
		N(futex), N(munmap), N(brk), N(madvise), N(getrandom), N(clock_gettime), N(sched_yield),
		N(rt_sigreturn), N(restart_syscall), N(getpid), N(gettid), N(exit), N(exit_group),
		N(set_robust_list), N(rt_sigprocmask), N(munlock), N(tgkill), N(mmap), N(mprotect), N(mremap),
		N(write), N(open), N(openat), N(read), N(close), N(socket), N(execve), N(clone), N(ioctl), N(prctl),
		N(sched_getaffinity), N(kill),
#undef N
	};
	static char text[16384];
	FILE *f = fopen(SVSM_SOURCE "/service/README.md", "r");
	char *from, *to, *word, *save = NULL;
	unsigned listed[ARRAY_LEN(names)] = { 0 };
	size_t i, n, count = 0;

	EXPECT(f != NULL);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	from = strstr(text, "System calls after start");
	EXPECT(from != NULL);
	to = strstr(from, "No files");
	EXPECT(to != NULL);
	*to = 0;
	for (word = strtok_r(from, " ,;:().\n", &save); word; word = strtok_r(NULL, " ,;:().\n", &save))
		for (i = 0; i < ARRAY_LEN(names); i++)
			if (strcmp(word, names[i].name) == 0)
				listed[i]++;
	for (i = 0; sandbox_calls[i] >= 0; i++) {
		for (n = 0; n < ARRAY_LEN(names) && names[n].nr != sandbox_calls[i]; n++)
			;
		EXPECT(n < ARRAY_LEN(names));
		if (!listed[n])
			fprintf(stderr, "%s is allowed but not listed\n", names[n].name);
		EXPECT(listed[n] == 1);
		count++;
	}
	for (i = 0, n = 0; i < ARRAY_LEN(names); i++)
		n += listed[i];
	EXPECT_INT(n, count);
}
