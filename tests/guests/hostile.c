/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under a hostile host: each way in which it can lie that a guest can see. Without an attack all lines are ok; with
 * one, the line that names its detection fails, and tests/guests/suite expects exactly that. Spec sections 1.7, 6.2, 8.4.
 */
#include "snp/guestmsg.h"
#include "snp/igvm.h"
#include "tests/guests/guest.h"
#include "wire/launch.h"

#define REQUEST 0x10000000ul	/* pages that are nobody's: shared */
#define RESPONSE 0x10001000ul
#define CERTS 0x10010000ul

void guest_main(void);
void level1_main(void);
extern uint8_t level1_start[];
static uint8_t stack1[4096] __attribute__((aligned(16)));
static uint8_t vmsa_page[PAGE] __attribute__((aligned(4096)));
static bool pending;
static unsigned entered;

void level1_main(void)
{
	bool taken;

	guest_traps();
	(void)msr_protocol(GHCB_MSR_REGISTER_GPA_REQ | ghcb_gpa);
	for (;;) {
		__atomic_store_n(&pending, true, __ATOMIC_SEQ_CST);
		entered++;
		(void)msr_protocol(GHCB_MSR_RUN_VMPL_REQ);
		taken = !__atomic_exchange_n(&pending, false, __ATOMIC_SEQ_CST);
		check(taken, "VMPL0 has taken the call");
		if (entered == 3)
			break;
	}
	for (;;)
		(void)msr_protocol(GHCB_MSR_RUN_VMPL_REQ);
}

static void test_levels(void)
{
	struct vmsa *v = (void *)vmsa_page;
	unsigned i, seen = 0;
	bool ran, called = true;

	vmsa_fill(v, 1, level1_start, stack1 + sizeof(stack1));
	(void)grant_image(v);
	(void)rmpadjust((uint64_t)v, 0, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA);
	check(ap_create(1ul << 16 | AP_CREATE, (uint64_t)v, true) == 0, "VMPL0 names its VMPL1");
	ran = true;
	for (i = 0; i < 8 && seen < 3; i++) {
		ran = ran && run_vmpl(1) == RUN_DONE;
		called = called && __atomic_exchange_n(&pending, false, __ATOMIC_SEQ_CST);
		seen = entered;
	}
	check(ran, "the host enters the VMSA it was given");
	check(called, "VMPL0 runs only when VMPL1 has called");
}

static uint64_t cpuid_by_page(uint32_t leaf)
{
	const struct snp_cpuid_page *p = (void *)LAUNCH_CPUID;
	uint32_t i;

	for (i = 0; i < p->count && i < 64; i++)
		if (p->e[i].eax_in == leaf)
			return p->e[i].eax | (uint64_t)p->e[i].ebx << 32;
	return 0;
}

static void test_answers(void)
{
	ghcb_clear();
	ghcb->rax = 0x8000001f;
	ghcb->rcx = 0;
	ghcb_valid(GHCB_BIT(rax));
	ghcb_valid(GHCB_BIT(rcx));
	(void)ghcb_call(NAE_CPUID, 0, 0, NULL);
	check(ghcb_is_valid(GHCB_BIT(rbx)) && !ghcb_is_valid(GHCB_BIT(scratch)), "the host has answered in the GHCB page");
	check((uint32_t)ghcb->rax == (uint32_t)cpuid_by_page(0x8000001f), "CPUID by the host is that of the page");
	check((cpuid_by_page(0x8000001f) >> 32 & 0x3f) == 39, "the CPUID page has the C-bit that works");
	check((msr_protocol(GHCB_MSR_FEATURES_REQ) & GHCB_INFO_MASK) == GHCB_MSR_FEATURES_RESP, "an answer has its code");
}

static void test_parameters(void)
{
	const struct igvm_memory_map_entry *e = (void *)(LAUNCH_PARAMS + LAUNCH_PARAM_MEMORY_MAP);
	uint32_t count = *(uint32_t *)LAUNCH_PARAMS, i;
	uint64_t last = 0;
	bool rising = true;

	check(count >= 1 && count <= 8, "the number of vCPUs is possible");
	for (i = 0; i < LAUNCH_PARAM_MAP_MAX && e[i].pages; i++) {
		rising = rising && e[i].first_page >= last;
		last = e[i].first_page + e[i].pages;
	}
	check(i > 2 && rising, "the memory map's ranges do not overlap");
}

/* Small guests have no cipher: what they see of a guest message is how the host handles it. */
static uint64_t request(uint64_t code, uint64_t from, uint64_t to)
{
	uint64_t out;

	ghcb_clear();
	ghcb->rax = CERTS;
	ghcb->rbx = code == NAE_EXT_GUEST_REQUEST ? 16 : 0;
	ghcb_valid(GHCB_BIT(rax));
	ghcb_valid(GHCB_BIT(rbx));
	return ghcb_call(code, from, to, &out) ? UINT64_MAX : out;
}

static void test_messages(void)
{
	struct snp_msg_hdr *h = shared_at(REQUEST);
	uint64_t out;

	memset(h, 0, PAGE);
	*h = (struct snp_msg_hdr){ .seqno = 1, .algo = SNP_MSG_AES_256_GCM, .hdr_version = SNP_MSG_HDR_VERSION,
				   .hdr_len = sizeof(*h), .type = SNP_MSG_KEY_REQ, .version = 1, .payload_len = 32 };
	check(request(NAE_GUEST_REQUEST, REQUEST, REQUEST) == UINT64_MAX, "request and response must be two pages");
	check(request(NAE_GUEST_REQUEST, REQUEST + 8, RESPONSE) == UINT64_MAX, "a request is a whole page");
	check(request(NAE_GUEST_REQUEST, LAUNCH_SECRETS, RESPONSE) == UINT64_MAX, "a private page is no request");
	check(request(NAE_GUEST_REQUEST, REQUEST, 0x30000000) == UINT64_MAX, "a response goes to the guest's memory");
	check(request(NAE_GUEST_REQUEST, REQUEST, RESPONSE) == SNP_FW_BAD_MEASUREMENT,
	      "the firmware refuses a message without the right tag");
	check(request(NAE_EXT_GUEST_REQUEST, REQUEST, RESPONSE) == SNP_FW_BAD_MEASUREMENT && *(uint64_t *)shared_at(CERTS),
	      "certificates come with the extended request");
	ghcb_clear();
	ghcb->rax = CERTS;
	ghcb->rbx = 0;
	ghcb_valid(GHCB_BIT(rax));
	ghcb_valid(GHCB_BIT(rbx));
	check(ghcb_call(NAE_EXT_GUEST_REQUEST, REQUEST, RESPONSE, &out) == 0 && out >> 32 == GUEST_REQ_VMM_LEN && ghcb->rbx,
	      "too few pages for them are said");
}

/* A launch page: validated by the firmware, so never 0x404, whatever the host does. */
static void test_memory(void)
{
	uint64_t va = LAUNCH_INFO;

	expect_trap(2);
	__asm__ volatile(".byte 0x8a, 0x07" : : "D"(va) : "rax", "memory");
	check(!expected.came, "private memory stays validated");
	expected.armed = false;
	check(*(uint64_t *)va == LAUNCH_MAGIC, "private memory keeps its contents");
}

void guest_main(void)
{
	guest_setup();
	test_parameters();
	test_answers();
	test_messages();
	test_levels();
	test_memory();
	finish();
}
