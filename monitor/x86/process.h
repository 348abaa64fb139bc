/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs at CPL3: the key service and the platform service. A static ELF file each, an address space
 * each, threads that any vCPU may run, one vCPU at a time.
 */
#ifndef MONITOR_X86_PROCESS_H
#define MONITOR_X86_PROCESS_H

#include "monitor/x86/x86.h"

#define PROCESS_AREAS 256	/* pieces of anonymous memory */
#define USER_MMAP 0x100000000000ull	/* anonymous memory, upwards */
#define USER_REQ 0x200000000000ull	/* the lanes' request areas, then response areas */
#define USER_RSP 0x300000000000ull
#define USER_STACK 0x7ffffff00000ull	/* its end */
#define USER_STACK_LEN (256ull << 10)

struct thread {
	struct regs regs;
	uint8_t fpu[512] __attribute__((aligned(16)));	/* FXSAVE */
	uint64_t fs_base;
	uint64_t clear_tid;	/* CLONE_CHILD_CLEARTID: zeroed when the thread ends */
	uint32_t tid;		/* 0: free */
	bool asleep;		/* waits for its lane's next call */
	uint32_t lane;		/* while asleep */
};

struct area {		/* [from, to) of anonymous memory; unused ones keep their pages, zeroed, for the next taker */
	uint64_t from, to;
	bool used;
};

struct pipe {		/* what read(0) and write(1) of the platform service move */
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len, out_max;
};

struct process {
	uint32_t lock;		/* memory, threads */
	bool dead;
	uint32_t inside;	/* vCPUs in process_run(); atomic */
	uint64_t *top;		/* page table */
	uint64_t brk_first, brk, brk_mapped;
	uint64_t mmap_next;
	struct area area[PROCESS_AREAS];
	unsigned areas;
	struct thread *thread;
	unsigned threads_max;
	unsigned threads;	/* used so far */
	const struct boot_msg *boot;	/* the key service's; NULL: the platform service */
	size_t boot_read;
	struct pipe pipe;
};

enum ran {
	RAN_ON,		/* nothing special: goes on */
	RAN_YIELD,	/* cannot go on by itself now */
	RAN_ASLEEP,	/* waits for the next call */
	RAN_DEAD,	/* the process has ended or failed */
};

/* An empty address space. RC_NO_ROOM. threads: array of `max`, zeroed. */
enum rc process_new(struct process *p, struct thread *threads, unsigned max);
/* Loads a static ELF file and makes its first thread. RC_BAD_INPUT: not such a file; RC_NO_ROOM. */
enum rc process_load(struct process *p, struct slice file);
/* Maps a page that belongs to somebody else at va. */
enum rc process_map(struct process *p, uint64_t va, uint64_t gpa, bool writable);
/* Frees and wipes up to `budget` pages and tables; RC_BUSY: more are left; RC_OK: nothing is. */
enum rc process_free(struct process *p, unsigned budget);
/*
 * At the end of the monitor: no thread runs on, and nothing is left in the process's memory, unless another vCPU is
 * inside: then it is for that one to wipe when it comes out. Waits for no lock, frees nothing.
 */
void process_wipe(struct process *p);
/* Runs a thread until it can not or need not go on. Not RAN_ON. */
enum ran process_run(struct process *p, struct thread *t);

/* Memory of the process, by its own page tables: false when it is not mapped, or not with this right. */
MUST_CHECK bool user_read(struct process *p, uint64_t va, void *to, size_t len);
MUST_CHECK bool user_write(struct process *p, uint64_t va, const void *from, size_t len);

/* Anonymous memory: results as Linux gives them (an address or 0, or a negative errno). Caller: p->lock. */
int64_t process_mmap(struct process *p, uint64_t len, bool mapped, bool writable);
int64_t process_munmap(struct process *p, uint64_t va, uint64_t len);
int64_t process_protect(struct process *p, uint64_t va, uint64_t len, bool mapped, bool writable);
int64_t process_zero(struct process *p, uint64_t va, uint64_t len);
int64_t process_brk(struct process *p, uint64_t to);

/* syscall.c: the call in t->regs; its result goes there. */
enum ran syscall_do(struct process *p, struct thread *t);

/* service.c */
void platform_load(const struct launch_range *file);	/* and runs it until it waits for a request */
void service_file(const struct launch_range *file);
void service_wipe(void);				/* at the end of the monitor: both programs */

/* random.c: RC_MACHINE: no sound source; then never again. */
enum rc random_fill(void *to, size_t len);

/* clock.c: nanoseconds since the start, by the TSC. */
uint64_t clock_ns(void);

const struct snp_cpuid_entry *cpuid_find(uint32_t function, uint32_t sub);

#endif
