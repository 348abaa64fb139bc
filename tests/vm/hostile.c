/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile [RANDOM|reset]: every call of every protocol with bad addresses, lengths and reserved bits in every register, by
 * the guest's kernel (/dev/probe), then RANDOM more, drawn with a fixed seed. VMPL0 has to take each call, and to
 * refuse it where it asks for anything that is not the guest's. Nothing here is a call that root may make: no page
 * that the kernel uses is given away.
 *
 * hostile reset: ends the service instead, as root may.
 *
 * Prints a line for each call that succeeded and should not have, was not taken, or changed a register it should
 * not; then `N calls, S succeeded, R refused, U unexpected`. Exit code 1 if something was unexpected.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "snp/svsm.h"
#include "tests/vm/module/probe.h"
#include "wire/launch.h"
#include "wire/vmpl.h"

#define C_BIT (1ull << 39)

static int probe;
static uint64_t calls, succeeded, refused, unexpected;
static uint64_t own_page, caa;
static struct probe_call c;

/* May the call succeed? */
enum may { REFUSE, MAY };

static void complain(const char *what, const struct probe_call *in)
{
	unexpected++;
	printf("unexpected: %s: rax=%" PRIx64 " rcx=%" PRIx64, what, in->rax, in->rcx);
	printf(" rdx=%" PRIx64 " r8=%" PRIx64 " r9=%" PRIx64, in->rdx, in->r8, in->r9);
	printf(" -> %" PRIx64 "\n", c.rax);
}

static void issue(struct probe_call in, enum may may)
{
	c = in;
	calls++;
	if (ioctl(probe, PROBE_IOC_CALL, &c) != 0) {
		printf("unexpected: no call possible: %s\n", strerror(errno));
		exit(2);
	}
	if ((c.msr & 0xfff) != 0x17)
		complain("not the answer of a VMPL switch", &in);
	else if (c.pending)
		complain("the call was not taken", &in);
	else if (c.rax == 0 && may == REFUSE)
		complain("succeeded", &in);
	else if (c.rax != 0 && (c.rax >> 32 || !(c.rax & 0x80000000)))
		complain("a result that is none", &in);
	if (c.rax)
		refused++;
	else
		succeeded++;
}

/* Addresses that are nobody's, somebody else's, misaligned, or wrap. 0 ends the list. */
static const uint64_t bad[] = {
	1, 7, 8, 0xfff, LAUNCH_MON_BASE, LAUNCH_MON_BASE + 8, LAUNCH_SECRETS, LAUNCH_CPUID, LAUNCH_IMAGE,
	LAUNCH_MON_BASE + LAUNCH_MON_LEN - 4096, LAUNCH_MON_BASE + LAUNCH_MON_LEN - 8, LAUNCH_MON_BASE - 8,
	0x30000000, 0x33fff000, 0xa0000, 0xfee00000, 0xfec00000, 0xffffffff, 0x100000000, 0x7ffffffff000,
	C_BIT, C_BIT | 0x1000, C_BIT | LAUNCH_MON_BASE, 1ull << 40, 1ull << 51, 1ull << 52 | 0x1000, 1ull << 62, 1ull << 63,
	0xfffffffffffff000, 0xfffffffffffffff8, ~0ull, 0xffff800000000000, 0x000fffffffffe000,
};
#define BAD (sizeof(bad) / sizeof(bad[0]))

/* A call with its address register only, or with the same in all. */
static void with(uint64_t rax, uint64_t rcx, uint64_t others, enum may may)
{
	issue((struct probe_call){ .rax = rax, .rcx = rcx, .rdx = others, .r8 = others, .r9 = others }, may);
}

static uint64_t protocol(uint32_t proto, uint32_t call)
{
	return (uint64_t)proto << 32 | call;
}

static void unknown_calls(void)
{
	static const uint32_t protocols[] = {
		2, 3, 0x7fffffff, 0x80000000, 0xffffffff, CALL_PROTOCOL - 1, CALL_PROTOCOL ^ 0x80000000,
	};

	for (size_t i = 0; i < sizeof(protocols) / 4; i++)
		for (uint32_t call = 0; call < 12; call++)
			issue((struct probe_call){ .rax = protocol(protocols[i], call) }, REFUSE);
	for (uint32_t call = 8; call < 64; call++) {
		issue((struct probe_call){ .rax = protocol(SVSM_PROTO_CORE, call) }, REFUSE);
		issue((struct probe_call){ .rax = protocol(SVSM_PROTO_ATTEST, call), .flags = PROBE_RCX_BUFFER }, REFUSE);
		issue((struct probe_call){ .rax = protocol(CALL_PROTOCOL, call), .flags = PROBE_RCX_BUFFER }, REFUSE);
	}
	issue((struct probe_call){ .rax = protocol(SVSM_PROTO_CORE, ~0u) }, REFUSE);
}

/* Calls whose RCX is an address: each bad one, the other registers quiet and then not. */
static void bad_addresses(void)
{
	static const uint64_t with_address[] = { SVSM_REMAP_CA, SVSM_PVALIDATE, SVSM_CREATE_VCPU, SVSM_DELETE_VCPU };

	for (size_t i = 0; i < BAD; i++) {
		for (size_t k = 0; k < 4; k++) {
			with(with_address[k], bad[i], 0, REFUSE);
			with(with_address[k], bad[i], bad[i], REFUSE);
		}
		/* A good first page, and a bad calling area or APIC id. */
		issue((struct probe_call){ .rax = SVSM_CREATE_VCPU, .rcx = own_page, .rdx = bad[i], .r8 = 0 }, REFUSE);
		issue((struct probe_call){ .rax = SVSM_CREATE_VCPU, .rcx = own_page, .rdx = own_page, .r8 = bad[i] }, REFUSE);
		for (uint32_t call = 0; call < 2; call++)
			issue((struct probe_call){ .rax = protocol(SVSM_PROTO_ATTEST, call), .rcx = bad[i] }, REFUSE);
		for (uint32_t call = 0; call < VMPL_CALLS; call++)
			with(protocol(CALL_PROTOCOL, call), bad[i], ~0ull, REFUSE);
		issue((struct probe_call){ .rax = SVSM_DEPOSIT_MEM, .rcx = bad[i] }, MAY);
		issue((struct probe_call){ .rax = SVSM_WITHDRAW_MEM, .rcx = bad[i] }, MAY);
		with(SVSM_QUERY_PROTOCOL, bad[i], bad[i], MAY);
		issue((struct probe_call){ .rax = SVSM_CONFIGURE_VTOM, .rcx = bad[i] & ~1ull }, REFUSE);
		issue((struct probe_call){ .rax = SVSM_CONFIGURE_VTOM, .rcx = bad[i] | 1 }, MAY);	/* a question */
	}
	/* The calling area itself as what it must not be. */
	issue((struct probe_call){ .rax = SVSM_CREATE_VCPU, .flags = PROBE_RCX_CAA, .rdx = own_page }, REFUSE);
	issue((struct probe_call){ .rax = SVSM_DELETE_VCPU, .flags = PROBE_RCX_CAA }, REFUSE);
	issue((struct probe_call){ .rax = SVSM_REMAP_CA, .rcx = 8, .flags = PROBE_RCX_CAA }, REFUSE);
	issue((struct probe_call){ .rax = SVSM_REMAP_CA, .rcx = C_BIT, .flags = PROBE_RCX_CAA }, REFUSE);
}

static void list(const struct svsm_pvalidate_list *head, const uint64_t *entries, size_t count, enum may may)
{
	struct probe_call in = { .rax = SVSM_PVALIDATE, .flags = PROBE_RCX_BUFFER };

	memcpy(in.buffer, head, sizeof(*head));
	memcpy(in.buffer + sizeof(*head), entries, count * 8);
	in.len = (uint32_t)(sizeof(*head) + count * 8);
	issue(in, may);
}

/* PVALIDATE's list: heads that lie, entries for what is not the guest's, in all four sizes and both directions. */
static void bad_lists(void)
{
	static const struct svsm_pvalidate_list heads[] = {
		{ 511, 0, 0 }, { 0xffff, 0, 0 }, { 1, 2, 0 }, { 1, 0xffff, 0 },
		{ 0, 1, 0 },   { 1, 0, 1 },	 { 1, 0, ~0u }, { 510, 511, 0 },
	};
	struct svsm_pvalidate_list one = { 1, 0, 0 };
	uint64_t e;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		e = own_page | SVSM_PV_VALIDATE;
		list(&heads[i], &e, 1, REFUSE);
	}
	for (size_t i = 0; i < BAD; i++)
		for (uint64_t low = 0; low < 16; low++) {
			if ((bad[i] & ~0xfffull) == 0)
				continue;
			e = (bad[i] & ~0xfffull) | low;
			list(&one, &e, 1, REFUSE);
		}
	for (uint64_t reserved = 16; reserved < 4096; reserved <<= 1) {
		e = own_page | SVSM_PV_VALIDATE | reserved;
		list(&one, &e, 1, REFUSE);
	}
	e = own_page | SVSM_PV_VALIDATE;	/* validated already: never again */
	list(&one, &e, 1, REFUSE);
	e = own_page | SVSM_PV_VALIDATE | 1;	/* 2 MiB, not aligned to it */
	list(&one, &e, 1, REFUSE);
	e = caa & ~0xfffull;			/* the calling area, taken back while it is in use */
	list(&one, &e, 1, REFUSE);
	/* A list that would leave its page. */
	for (uint64_t off = 0xff0; off < 0x1000; off += 8)
		issue((struct probe_call){ .rax = SVSM_PVALIDATE, .rcx = own_page + off + 4096 * 0 }, MAY);
}

/* A key-management block with one thing wrong at a time. Those that would only stop the service are not in it. */
static void bad_blocks(void)
{
	static const struct {
		enum vmpl_call call;
		struct vmpl_block b;
	} blocks[] = {
		{ VMPL_OPEN, { VMPL_MAGIC, VMPL_VERSION, 0, 0, 0, 0, { 0 } } },
		{ VMPL_OPEN, { VMPL_MAGIC, VMPL_VERSION, 0, ~0u, 0, 0, { 0 } } },
		{ VMPL_OPEN, { VMPL_MAGIC, VMPL_VERSION, 0, 2, 0, 0, { 0 } } },	/* open already */
		{ VMPL_ADD, { VMPL_MAGIC, VMPL_VERSION, 0, 0, 0, 0x1000, { 0 } } },
		{ VMPL_ADD, { VMPL_MAGIC, VMPL_VERSION, 0, 0, 1, LAUNCH_MON_BASE, { 0 } } },
		{ VMPL_ADD, { VMPL_MAGIC, VMPL_VERSION, 0, 0, 513, 0x1000, { 0 } } },
		{ VMPL_ADD, { VMPL_MAGIC, VMPL_VERSION, 0, 0, ~0u, ~0ull, { 0 } } },
		{ VMPL_CALL, { VMPL_MAGIC, VMPL_VERSION, ~0u, 0, 0, 0, { 0 } } },
		{ VMPL_CALL, { VMPL_MAGIC, VMPL_VERSION, 257, 0, 0, 0, { 0 } } },
	};
	struct probe_call in;
	struct vmpl_block b;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		in = (struct probe_call){ .rax = protocol(CALL_PROTOCOL, blocks[i].call), .rdx = ~0ull, .r8 = ~0ull,
					  .flags = PROBE_RCX_BUFFER, .len = VMPL_BLOCK_LEN };
		memcpy(in.buffer, &blocks[i].b, VMPL_BLOCK_LEN);
		issue(in, REFUSE);
	}
	/* Each call with a wrong magic, version, or a byte set that must be zero. */
	for (uint32_t call = 0; call < VMPL_CALLS; call++)
		for (unsigned wrong = 0; wrong < 9; wrong++) {
			b = (struct vmpl_block){ .magic = VMPL_MAGIC, .version = VMPL_VERSION };
			if (wrong == 0)
				b.magic ^= 1;
			else if (wrong == 1)
				b.version = 2;
			else
				b.zero[wrong - 2] = 1ull << (call * 7);
			in = (struct probe_call){ .rax = protocol(CALL_PROTOCOL, call), .rdx = ~0ull, .r8 = ~0ull,
						  .flags = PROBE_RCX_BUFFER, .len = VMPL_BLOCK_LEN };
			memcpy(in.buffer, &b, sizeof(b));
			issue(in, REFUSE);
		}
}

/* Attestation: buffers that lie across pages, in VMPL0's memory, too long, with reserved bits. */
static void bad_attest(void)
{
	struct probe_call in = { .flags = PROBE_RCX_BUFFER, .len = sizeof(struct svsm_attest_req) };
	struct svsm_attest_req r;

	for (size_t i = 0; i < BAD; i++)
		for (unsigned which = 0; which < 8; which++) {
			/* The first page of memory is the guest's; and a nonce may lie anywhere. */
			bool guests = which == 1 && bad[i] < 4096;
			struct svsm_attest_buf *buf[] = { &r.report, &r.nonce, &r.manifest, &r.certs };

			memset(&r, 0, sizeof(r));
			r.report = (struct svsm_attest_buf){ own_page, 4096, 0 };
			r.nonce = (struct svsm_attest_buf){ own_page + 4096, 64, 0 };
			r.manifest = (struct svsm_attest_buf){ own_page + 8192, 4096, 0 };
			if (which < 4)
				buf[which]->gpa = bad[i];
			else
				buf[which - 4]->zero = (uint32_t)bad[i] | 1;
			/* Reserved fields may be ignored, and a report takes long: two are enough. */
			if (which >= 4 && i > 1)
				continue;
			/* No certificates asked for is no mistake, whatever their address. */
			for (uint32_t call = 0; call < 2; call++) {
				if (which == 3)
					r.certs.len = 4096;
				in.rax = protocol(SVSM_PROTO_ATTEST, call);
				memcpy(in.buffer, &r, sizeof(r));
				issue(in, which < 4 && !guests ? REFUSE : MAY);
			}
		}
}

static uint64_t state = 0x9e3779b97f4a7c15ull;

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static uint64_t any_register(void)
{
	uint64_t r = draw();

	switch (r & 7) {
	case 0:
		return own_page + (r >> 8 & 0x3ff8);
	case 1:
		return bad[(r >> 8) % BAD];
	case 2:
		return bad[(r >> 8) % BAD] ^ 1ull << (r >> 40 & 63);
	case 3:
		return LAUNCH_MON_BASE + (r >> 8) % LAUNCH_MON_LEN;
	default:
		return r | 0xff00000000000000ull;	/* above all memory: never a page in use by chance */
	}
}

static bool may_be_ram(uint64_t gpa)
{
	return gpa < LAUNCH_MON_BASE || (gpa >= 0x34000000 && gpa < 0x100000000);
}

/* Everything at random. Reaching VMPL0's own pages through it would show as an access fault that stops the machine. */
static void at_random(uint64_t count)
{
	static const uint32_t protocols[] = { SVSM_PROTO_CORE, SVSM_PROTO_ATTEST, CALL_PROTOCOL };
	struct probe_call in;

	while (count--) {
		uint32_t proto = protocols[draw() % 3], call = (uint32_t)(draw() % 9);

		in = (struct probe_call){ .rax = protocol(proto, call), .rcx = any_register(), .rdx = any_register(),
					  .r8 = any_register(), .r9 = any_register() };
		/* What is the guest's would be granted, and would be the kernel's to lose. */
		if (proto == SVSM_PROTO_CORE && call <= SVSM_WITHDRAW_MEM && may_be_ram(in.rcx))
			in.rcx |= 1ull << 63;
		issue(in, MAY);
	}
}

/* What VMPL1 may not do by itself: rights and validation are VMPL0's. */
static void own_instructions(void)
{
	static const uint64_t targets[] = { 0, 1 };

	for (size_t i = 0; i < sizeof(targets) / 8; i++) {
		c = (struct probe_call){ .rax = own_page, .rcx = 0, .rdx = targets[i] | 0xf00 };
		calls++;
		if (ioctl(probe, PROBE_IOC_RMPADJUST, &c) == 0 && c.rax == 0) {
			unexpected++;
			printf("unexpected: RMPADJUST for VMPL%" PRIu64 " succeeded\n", targets[i]);
		} else {
			refused++;
		}
	}
}

/* What root may do: end the service under the server. */
static int reset(void)
{
	struct vmpl_block b = { .magic = VMPL_MAGIC, .version = VMPL_VERSION };

	do {
		c = (struct probe_call){ .rax = protocol(CALL_PROTOCOL, VMPL_RESET), .rdx = ~0ull, .r8 = ~0ull,
					 .flags = PROBE_RCX_BUFFER, .len = VMPL_BLOCK_LEN };
		memcpy(c.buffer, &b, sizeof(b));
		if (ioctl(probe, PROBE_IOC_CALL, &c) || c.rax)
			return 1;
	} while (c.rdx != VMPL_DONE);
	return 0;
}

int main(int argc, char **argv)
{
	struct probe_page page = { .order = 2 };

	probe = open(PROBE_DEVICE, O_RDWR);
	if (probe < 0 || ioctl(probe, PROBE_IOC_PAGE, &page) || ioctl(probe, PROBE_IOC_CAA, &caa)) {
		perror("hostile");
		return 2;
	}
	own_page = page.gpa;
	if (argc > 1 && strcmp(argv[1], "reset") == 0)
		return reset();
	unknown_calls();
	bad_addresses();
	bad_lists();
	bad_blocks();
	bad_attest();
	own_instructions();
	at_random(argc > 1 ? strtoull(argv[1], NULL, 10) : 0);
	printf("%" PRIu64 " calls, %" PRIu64 " succeeded, %" PRIu64 " refused, %" PRIu64 " unexpected\n", calls, succeeded,
	       refused, unexpected);
	return unexpected ? 1 : 0;
}
