/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that the services make: a table; what is not in it is ENOSYS. Nothing here reaches a file or a
 * network. The caller is trusted with its own memory only: each address is resolved in its page tables.
 */
#include <errno.h>
#include <string.h>

#include "monitor/x86/process.h"
#include "wire/call.h"

#define CLONE_FLAGS 0x003d0f00ull	/* what a thread is made with: VM FS FILES SIGHAND THREAD SYSVSEM SETTLS *_TID */
#define CLONE_PARENT_SETTID 0x00100000ull
#define ARCH_SET_FS 0x1002u
#define F_GET_SEALS 1034u
#define SEALS 7u	/* SEAL, SHRINK, GROW */
#define PROT_WRITE 2u
#define PROT_EXEC 4u
#define MAP_FIXED 0x10u
#define MAP_ANONYMOUS 0x20u
#define FUTEX_COMMAND 0x7fu
#define FUTEX_WAIT 0u
#define FUTEX_WAKE 1u
#define FUTEX_WAIT_BITSET 9u
#define FUTEX_WAKE_BITSET 10u
#define MADV_DONTNEED 4u
#define LINE_MAX 256u
#define READ_MAX 65536u

struct call {
	struct process *p;
	struct thread *t;
	uint64_t a[6];
	enum ran ran;	/* RAN_ON unless the call says otherwise */
};

static int64_t call_read(struct call *c)
{
	struct process *p = c->p;
	const uint8_t *from;
	size_t *at, left;

	if (p->boot && c->a[0] == BOOT_FD) {
		from = (const uint8_t *)p->boot + p->boot_read;
		left = sizeof(*p->boot) - p->boot_read;
		at = &p->boot_read;
		if (c->a[2] < left)
			left = c->a[2];
		*at += left;
	} else if (!p->boot && c->a[0] == 0) {
		if (!p->pipe.in_len) {	/* asleep until there is a request; the call is made again then */
			c->t->regs.rip -= 2;
			c->ran = RAN_ASLEEP;
			return (int64_t)c->t->regs.rax;
		}
		from = p->pipe.in;
		left = c->a[2] < p->pipe.in_len ? c->a[2] : p->pipe.in_len;
		p->pipe.in += left;
		p->pipe.in_len -= left;
	} else {
		return -EBADF;
	}
	return user_write(p, c->a[1], from, left) ? (int64_t)left : -EFAULT;
}

static int64_t print(struct call *c, uint64_t va, uint64_t len)
{
	static const char mark[] = "service: ";
	char line[LINE_MAX + sizeof(mark)];
	size_t n = len < LINE_MAX ? len : LINE_MAX;

	memcpy(line, mark, sizeof(mark) - 1);
	if (!user_read(c->p, va, line + sizeof(mark) - 1, n))
		return -EFAULT;
	n += sizeof(mark) - 1;
	while (n && (line[n - 1] == '\n' || line[n - 1] == 0))
		n--;
	line[n] = 0;
	say(line);
	return (int64_t)len;
}

static int64_t call_write(struct call *c)
{
	struct pipe *w = &c->p->pipe;
	size_t n = c->a[2];

	if (c->a[0] == 2 && n <= READ_MAX)
		return print(c, c->a[1], n);
	if (c->p->boot || c->a[0] != 1)
		return -EBADF;
	if (n > w->out_max - w->out_len)
		return -ENOSPC;
	if (!user_read(c->p, c->a[1], w->out + w->out_len, n))
		return -EFAULT;
	w->out_len += n;
	return (int64_t)n;
}

/* The only files are the lanes: fd 4, request areas, and fd 5, response areas. */
static bool is_lanes(struct call *c, uint64_t fd)
{
	return c->p->boot && (fd == BOOT_FD_REQ || fd == BOOT_FD_RSP);
}

static uint64_t lanes_len(const struct call *c)
{
	return (uint64_t)c->p->boot->lanes * CALL_AREA_LEN;
}

static int64_t call_mmap(struct call *c)
{
	uint64_t len = c->a[1], prot = c->a[2], flags = c->a[3], fd = c->a[4];

	if ((prot & PROT_EXEC) || (flags & MAP_FIXED))
		return -EPERM;
	if (flags & MAP_ANONYMOUS)
		return process_mmap(c->p, len, prot, prot & PROT_WRITE);
	if (!is_lanes(c, fd) || len != lanes_len(c) || c->a[5] || (fd == BOOT_FD_REQ && (prot & PROT_WRITE)))
		return -EACCES;
	return fd == BOOT_FD_REQ ? (int64_t)USER_REQ : (int64_t)USER_RSP;
}

static int64_t call_mprotect(struct call *c)
{
	if (c->a[2] & PROT_EXEC)
		return -EPERM;
	return process_protect(c->p, c->a[0], c->a[1], c->a[2], c->a[2] & PROT_WRITE);
}

static int64_t call_munmap(struct call *c)
{
	return process_munmap(c->p, c->a[0], c->a[1]);
}

static int64_t call_madvise(struct call *c)
{
	return c->a[2] == MADV_DONTNEED ? process_zero(c->p, c->a[0], c->a[1]) : 0;
}

static int64_t call_brk(struct call *c)
{
	return process_brk(c->p, c->a[0]);
}

static int64_t call_fcntl(struct call *c)
{
	if (c->a[1] == F_GET_SEALS)
		return is_lanes(c, c->a[0]) ? (int64_t)SEALS : -EINVAL;
	return -EBADF;
}

#define STAT_LEN 144u
#define STAT_MODE 24u
#define STAT_SIZE 48u
static int64_t fill_stat(struct call *c, uint64_t fd, uint64_t to)
{
	uint8_t st[STAT_LEN] = { 0 };
	uint32_t mode = 0100600;
	uint64_t len;

	if (!is_lanes(c, fd))
		return -EBADF;
	len = lanes_len(c);
	memcpy(st + STAT_MODE, &mode, sizeof(mode));
	memcpy(st + STAT_SIZE, &len, sizeof(len));
	return user_write(c->p, to, st, sizeof(st)) ? 0 : -EFAULT;
}

static int64_t call_fstat(struct call *c)
{
	return fill_stat(c, c->a[0], c->a[1]);
}

static int64_t call_newfstatat(struct call *c)
{
	uint8_t first;

	if (!user_read(c->p, c->a[1], &first, 1) || first)
		return -ENOENT;
	return fill_stat(c, c->a[0], c->a[2]);
}

/* Limits, old signal actions and masks: zeros, when asked for. */
static int64_t zeros_to(struct call *c, uint64_t va, size_t len)
{
	static const uint8_t zeros[64];

	return !va || user_write(c->p, va, zeros, len) ? 0 : -EFAULT;
}

static int64_t call_sigaction(struct call *c)
{
	return zeros_to(c, c->a[2], 32);
}

static int64_t call_sigprocmask(struct call *c)
{
	return zeros_to(c, c->a[2], 8);
}

static int64_t call_prlimit(struct call *c)
{
	static const uint64_t none[2] = { ~0ull, ~0ull };

	return !c->a[3] || user_write(c->p, c->a[3], none, sizeof(none)) ? 0 : -EFAULT;
}

static int64_t call_arch_prctl(struct call *c)
{
	if (c->a[0] != ARCH_SET_FS || c->a[1] >= USER_END)
		return -EINVAL;
	c->t->fs_base = c->a[1];
	wrmsr(MSR_FS_BASE, c->a[1]);
	return 0;
}

static int64_t call_set_tid(struct call *c)
{
	c->t->clear_tid = c->a[0];
	return c->t->tid;
}

static int64_t call_gettid(struct call *c)
{
	return c->t->tid;
}

static int64_t call_getpid(struct call *c)
{
	(void)c;
	return 1;
}

/* Never the slot of a thread that has ended: the vCPU on which it ended may still be in it. */
static struct thread *thread_slot(struct process *p)
{
	return p->threads < p->threads_max ? &p->thread[p->threads++] : NULL;
}

struct clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static int64_t call_clone3(struct call *c)
{
	struct clone_args a;
	struct thread *t;
	uint32_t tid;

	if (c->a[1] < sizeof(a) || !user_read(c->p, c->a[0], &a, sizeof(a)) || a.flags != CLONE_FLAGS ||
	    a.tls >= USER_END || a.stack >= USER_END || a.stack_size >= USER_END)
		return -EINVAL;
	t = thread_slot(c->p);
	if (!t)
		return -EAGAIN;
	tid = (uint32_t)(t - c->p->thread) + 1;
	if (!user_write(c->p, a.parent_tid, &tid, sizeof(tid)))
		return -EFAULT;
	*t = (struct thread){ .regs = c->t->regs, .fs_base = a.tls, .clear_tid = a.child_tid };
	__asm__ volatile("fxsave %0" : "=m"(t->fpu));
	t->regs.rsp = a.stack + a.stack_size;
	t->regs.rax = 0;
	t->tid = tid;
	return tid;
}

static int64_t call_exit(struct call *c)
{
	static const uint32_t zero;

	if (c->t->clear_tid && !user_write(c->p, c->t->clear_tid, &zero, sizeof(zero)))
		c->ran = RAN_DEAD;
	else
		c->ran = RAN_YIELD;
	c->t->tid = 0;
	if (c->t == c->p->thread)
		c->ran = RAN_DEAD;
	return 0;
}

static int64_t call_die(struct call *c)
{
	say_number("a service ends itself: ", c->a[0]);
	c->ran = RAN_DEAD;
	return 0;
}

static bool is_tail(struct call *c, uint64_t va, uint32_t *lane)
{
	uint64_t off = va - USER_REQ;

	if (!c->p->boot || off >= lanes_len(c) || off % CALL_AREA_LEN)
		return false;
	*lane = (uint32_t)(off / CALL_AREA_LEN);
	return true;
}

/*
 * Waiting on a lane's `tail` is what ends a crossing. Any other wait returns at once, as Linux may too: whoever
 * holds what is waited for runs on another vCPU, or is next here.
 */
static int64_t call_futex(struct call *c)
{
	uint32_t command = (uint32_t)c->a[1] & FUTEX_COMMAND, now;

	if (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET)
		return 0;
	if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	if (c->a[0] % 4 || !user_read(c->p, c->a[0], &now, sizeof(now)))
		return -EFAULT;
	if (now != (uint32_t)c->a[2])
		return -EAGAIN;
	c->ran = RAN_YIELD;
	if (is_tail(c, c->a[0], &c->t->lane)) {
		c->t->asleep = true;
		c->ran = RAN_ASLEEP;
	}
	return 0;
}

static int64_t call_yield(struct call *c)
{
	c->ran = RAN_YIELD;
	return 0;
}

static int64_t call_getrandom(struct call *c)
{
	uint8_t b[256];
	size_t n = c->a[1] < sizeof(b) ? c->a[1] : sizeof(b);
	bool ok;

	if (random_fill(b, n) != RC_OK)
		return -EIO;
	ok = user_write(c->p, c->a[0], b, n);
	mem_wipe(b, sizeof(b));
	return ok ? (int64_t)n : -EFAULT;
}

static int64_t call_clock_gettime(struct call *c)
{
	uint64_t ns = clock_ns(), t[2] = { ns / 1000000000, ns % 1000000000 };

	return user_write(c->p, c->a[1], t, sizeof(t)) ? 0 : -EFAULT;
}

static int64_t call_time(struct call *c)
{
	(void)c;
	return (int64_t)(clock_ns() / 1000000000);
}

static int64_t call_nothing(struct call *c)
{
	(void)c;
	return 0;
}

static int64_t call_no_file(struct call *c)
{
	(void)c;
	return -ENOENT;
}

static int64_t call_no_memory(struct call *c)
{
	(void)c;
	return -ENOMEM;
}

static int64_t call_no_terminal(struct call *c)
{
	(void)c;
	return -ENOTTY;
}

static const struct {
	uint16_t number;
	bool locked;	/* changes memory or threads */
	int64_t (*call)(struct call *c);
} calls[] = {
	{ 0, true, call_read },			/* one boot message, however many read it at once */
	{ 1, false, call_write },
	{ 3, false, call_nothing },		/* close */
	{ 5, false, call_fstat },
	{ 9, true, call_mmap },
	{ 10, true, call_mprotect },
	{ 11, true, call_munmap },
	{ 12, true, call_brk },
	{ 13, false, call_sigaction },
	{ 14, false, call_sigprocmask },
	{ 16, false, call_no_terminal },	/* ioctl */
	{ 24, false, call_yield },
	{ 25, false, call_no_memory },		/* mremap: the C library copies instead */
	{ 28, true, call_madvise },
	{ 39, false, call_getpid },
	{ 60, true, call_exit },
	{ 72, false, call_fcntl },
	{ 89, false, call_no_file },		/* readlink */
	{ 149, false, call_nothing },		/* mlock: nothing here is ever paged */
	{ 150, false, call_nothing },
	{ 151, false, call_nothing },		/* mlockall */
	{ 157, false, call_nothing },		/* prctl */
	{ 158, false, call_arch_prctl },
	{ 160, false, call_nothing },		/* setrlimit */
	{ 186, false, call_gettid },
	{ 201, false, call_time },
	{ 202, false, call_futex },
	{ 203, false, call_nothing },		/* sched_setaffinity */
	{ 218, false, call_set_tid },
	{ 228, false, call_clock_gettime },
	{ 231, false, call_die },		/* exit_group */
	{ 234, false, call_die },		/* tgkill: abort() */
	{ 257, false, call_no_file },		/* openat */
	{ 262, false, call_newfstatat },
	{ 273, false, call_nothing },		/* set_robust_list */
	{ 302, false, call_prlimit },
	{ 317, false, call_nothing },		/* seccomp: this table is the filter */
	{ 318, false, call_getrandom },
	{ 435, true, call_clone3 },
};

enum ran syscall_do(struct process *p, struct thread *t)
{
	struct regs *r = &t->regs;
	struct call c = { p, t, { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 }, RAN_ON };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(calls); i++) {
		if (calls[i].number != r->rax)
			continue;
		if (calls[i].locked)
			spin_lock(&p->lock);
		r->rax = (uint64_t)calls[i].call(&c);
		if (calls[i].locked)
			spin_unlock(&p->lock);
		return c.ran;
	}
	r->rax = (uint64_t)-ENOSYS;
	return RAN_ON;
}
