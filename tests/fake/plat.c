/* SPDX-License-Identifier: Apache-2.0 */
/* See plat.h. The rules are those of the specification's sections 2.1 to 2.3, 5.1 to 5.3. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "monitor/platform/work.h"
#include "snp/ghcb.h"
#include "tests/fake/plat.h"

struct fake fake;
struct launch_info fake_info;
struct snp_secrets fake_secrets;
struct igvm_memory_map_entry fake_map[LAUNCH_PARAM_MAP_MAX];
jmp_buf fake_stop;
bool fake_stop_armed;
bool fake_tiny;

#define TINY_END 0x1400u	/* frames */

static struct mon the_mon;
static struct platform platform_service, psp;
static unsigned in_platform, in_request, in_rmp, in_service, turn;
static uint8_t answers[2][MON_PAGE];	/* the last two of the secure processor */
static struct {
	uint64_t seqno;
	uint8_t page[MON_PAGE];
} seen[256];
static unsigned seen_count;

__attribute__((noreturn)) static void broken(const char *what, uint64_t gpa)
{
	fprintf(stderr, "fake machine: %s (gpa %#llx)\n", what, (unsigned long long)gpa);
	abort();
}

void plat_terminate(unsigned reason)
{
	if (!fake_stop_armed)
		broken("stopped unexpectedly", reason);
	fake_stop_armed = false;
	longjmp(fake_stop, (int)reason);
}

/* What one CPU does at a time: the core has a lock for it, or plat.h demands it. */
static void enter(unsigned *inside)
{
	if (__atomic_fetch_add(inside, 1, __ATOMIC_ACQUIRE) != 0)
		broken("two at a time", 0);
	if (fake.dawdle && __atomic_add_fetch(&turn, 1, __ATOMIC_RELAXED) % 8 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);	/* the others run */
}

static void leave(unsigned *inside)
{
	__atomic_fetch_sub(inside, 1, __ATOMIC_RELEASE);
}

/* A fault that no handler of the monitor can mend. */
__attribute__((noreturn)) static void fault(void)
{
	mon_panic(&the_mon, MON_REASON_NOT_VALIDATED);
}

static bool refuses(enum fake_op op)
{
	if (fake.refuse != op && fake.refuse != FAKE_ANY)
		return false;
	if (fake.refuse_at == 0 || --fake.refuse_at != 0)
		return false;
	fake.refused = true;
	return true;
}

static struct fake_rmp *rmp_of(uint64_t gpa)
{
	if (gpa >= MON_GPA_END)
		broken("address out of range", gpa);
	return &fake.rmp[gpa / MON_PAGE];
}

void fake_host_smashes(uint64_t gpa)
{
	uint64_t base = gpa & ~(uint64_t)(MON_PAGE * MON_HUGE_PAGES - 1);
	unsigned i;

	for (i = 0; i < MON_HUGE_PAGES; i++)
		rmp_of(base + (uint64_t)i * MON_PAGE)->huge = 0;
}

/* Does the size fit the entry? A small request splits a large entry: the host does that and resumes. */
static bool size_fits(struct gpa page, bool huge)
{
	if (page.v % (huge ? MON_PAGE * MON_HUGE_PAGES : MON_PAGE))
		broken("not aligned", page.v);
	if (!rmp_of(page.v)->assigned)
		fault();
	if (huge && !rmp_of(page.v)->huge)
		return false;
	if (!huge && rmp_of(page.v)->huge)
		fake_host_smashes(page.v);
	return true;
}

unsigned plat_pvalidate(struct gpa page, bool huge, bool validate)
{
	unsigned i, n = huge ? MON_HUGE_PAGES : 1;

	if (refuses(FAKE_PVALIDATE))
		return fake.refuse_code;
	if (!size_fits(page, huge))
		return SNP_FAIL_SIZEMISMATCH;
	if (rmp_of(page.v)->validated == validate)
		return PLAT_NO_CHANGE;
	enter(&in_rmp);
	for (i = 0; i < n; i++)
		rmp_of(page.v + (uint64_t)i * MON_PAGE)->validated = validate;
	leave(&in_rmp);
	if (!validate)
		__atomic_store_n(&fake.stale, true, __ATOMIC_RELAXED);
	return SNP_OK;
}

unsigned plat_rmpadjust(struct gpa page, bool huge, uint64_t attr)
{
	unsigned i, n = huge ? MON_HUGE_PAGES : 1, vmpl = attr & 0xff, perm = attr >> 8 & 0xff;
	bool vmsa = attr & RMPADJUST_VMSA;

	if (refuses(FAKE_RMPADJUST))
		return fake.refuse_code;
	if (!size_fits(page, huge))
		return SNP_FAIL_SIZEMISMATCH;
	if (!rmp_of(page.v)->validated)
		fault();
	if (vmpl == 0)
		return SNP_FAIL_PERMISSION;
	if (vmpl > 3 || perm & ~RMP_ALL || (vmsa && huge))
		return SNP_FAIL_INPUT;
	if (rmp_of(page.v)->running && !vmsa)
		return PLAT_FAIL_IN_USE;
	enter(&in_rmp);
	for (i = 0; i < n; i++) {
		struct fake_rmp *r = rmp_of(page.v + (uint64_t)i * MON_PAGE);

		if (r->perm[vmpl] & ~perm)
			__atomic_store_n(&fake.stale, true, __ATOMIC_RELAXED);
		r->perm[vmpl] = (uint8_t)perm;
		r->vmsa = vmsa;
	}
	leave(&in_rmp);
	return SNP_OK;
}

static void private_only(uint64_t at, size_t len)
{
	uint64_t p;

	for (p = at / MON_PAGE; p <= (at + len - 1) / MON_PAGE; p++)
		if (!rmp_of(p * MON_PAGE)->assigned || !rmp_of(p * MON_PAGE)->validated)
			fault();
}

void plat_zero(struct gpa at, size_t len)
{
	private_only(at.v, len);
	if (at.v % MON_PAGE == 0 && len % MON_PAGE == 0 && len > 16 * MON_PAGE)
		madvise(fake.priv + at.v, len, MADV_DONTNEED);
	else
		memset(fake.priv + at.v, 0, len);
}

void plat_read(struct gpa at, void *to, size_t len)
{
	private_only(at.v, len);
	if (fake.on_read)
		fake.on_read(at.v);
	memcpy(to, fake.priv + at.v, len);
}

void plat_write(struct gpa at, const void *from, size_t len)
{
	private_only(at.v, len);
	memcpy(fake.priv + at.v, from, len);
}

void plat_read_shared(struct gpa at, void *to, size_t len)
{
	if (rmp_of(at.v)->assigned || rmp_of(at.v + len - 1)->assigned)
		fault();
	memcpy(to, fake.shared + at.v, len);
}

void plat_flush(void)
{
	__atomic_add_fetch(&fake.flushes, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&fake.stale, false, __ATOMIC_RELAXED);
}

static void assign(uint64_t gpa, bool huge)
{
	*rmp_of(gpa) = (struct fake_rmp){ .assigned = 1, .huge = huge, .perm = { RMP_ALL } };
}

enum rc plat_page_state(struct gpa first, uint64_t pages, bool to_private)
{
	uint64_t i, j, n;

	if (refuses(FAKE_PSC))
		return RC_MACHINE;
	if (!to_private)
		broken("the monitor gave its memory away", first.v);
	for (i = 0; i < pages; i += n) {
		uint64_t gpa = first.v + i * MON_PAGE;
		bool huge = !fake.small && gpa % (MON_PAGE * MON_HUGE_PAGES) == 0 && pages - i >= MON_HUGE_PAGES;

		n = huge ? MON_HUGE_PAGES : 1;
		for (j = 0; j < n; j++) {
			if (rmp_of(gpa + j * MON_PAGE)->assigned)
				broken("a page made private twice", gpa);
			assign(gpa + j * MON_PAGE, huge);
		}
	}
	return RC_OK;
}

uint64_t plat_now_ms(void)
{
	return __atomic_add_fetch(&fake.now, 10, __ATOMIC_RELAXED);
}

/* The platform service, in process. */

enum rc plat_platform(const void *req, size_t req_len, void *rsp, size_t rsp_len)
{
	static struct platform_req copy;

	if (req_len != sizeof(copy) || rsp_len != sizeof(struct platform_rsp))
		broken("misuse of the platform service", 0);
	if (refuses(FAKE_PLATFORM))
		return RC_MACHINE;
	enter(&in_platform);
	memcpy(&copy, req, sizeof(copy));
	platform_work(&platform_service, &copy, rsp);
	leave(&in_platform);
	return RC_OK;
}

/* The secure processor. */

static bool psp_crypt(enum platform_op op, uint8_t page[MON_PAGE])
{
	static struct platform_req req;
	static struct platform_rsp rsp;

	memset(&req, 0, sizeof(req));
	req.op = op;
	req.len = MON_PAGE;
	memcpy(req.key, fake.vmpck.b, sizeof(req.key));
	memcpy(req.data, page, MON_PAGE);
	platform_work(&psp, &req, &rsp);
	memcpy(page, rsp.data, MON_PAGE);
	return rsp.status == PLATFORM_OK;
}

static size_t psp_key(const struct snp_key_req *q, struct snp_key_rsp *a)
{
	unsigned i;

	*a = (struct snp_key_rsp){ .status = fake.psp_status };
	if (q->vmpl > 3 || q->root != SNP_KEY_ROOT_VCEK)
		a->status = SNP_FW_INVALID_PARAM;
	if (a->status == SNP_FW_OK)
		for (i = 0; i < sizeof(a->key); i++)
			a->key[i] = (uint8_t)(0xa0 + i + q->fields + 16 * q->vmpl);
	return sizeof(*a);
}

static size_t psp_report(const struct snp_report_req *q, struct snp_report_rsp *a)
{
	*a = (struct snp_report_rsp){ .status = fake.psp_status, .report_len = SNP_REPORT_LEN,
				      .report = { .version = 2, .vmpl = q->vmpl } };
	memcpy(a->report.report_data, q->report_data, sizeof(a->report.report_data));
	return sizeof(*a);
}

/* Returns the firmware's error. */
static uint32_t psp_message(const uint8_t *req, uint8_t *rsp)
{
	_Alignas(8) uint8_t page[MON_PAGE];
	struct snp_msg_hdr h;
	size_t len;

	memcpy(page, req, MON_PAGE);
	memcpy(&h, page, sizeof(h));
	if (h.seqno != fake.psp_seq + 1)
		return SNP_FW_AEAD_OFLOW;
	if (!psp_crypt(PLATFORM_OPEN, page) || h.vmpck != 0)
		return SNP_FW_BAD_SIGNATURE;
	fake.psp_seq += 2;
	if (h.type == SNP_MSG_KEY_REQ && h.payload_len == sizeof(struct snp_key_req))
		len = psp_key((const void *)(page + sizeof(h)), (void *)(rsp + sizeof(h)));
	else if (h.type == SNP_MSG_REPORT_REQ && h.payload_len == sizeof(struct snp_report_req))
		len = psp_report((const void *)(page + sizeof(h)), (void *)(rsp + sizeof(h)));
	else
		return SNP_FW_INVALID_COMMAND;
	h = (struct snp_msg_hdr){ .seqno = h.seqno + 1, .algo = SNP_MSG_AES_256_GCM, .hdr_version = SNP_MSG_HDR_VERSION,
				  .hdr_len = sizeof(h), .type = (uint8_t)((h.type + 1) ^ fake.psp_type_xor),
				  .version = 1 ^ fake.psp_version_xor, .vmpck = fake.psp_vmpck,
				  .payload_len = (uint16_t)(len + fake.psp_len_add) };
	memcpy(rsp, &h, sizeof(h));
	if (!psp_crypt(PLATFORM_SEAL, rsp))
		broken("the secure processor cannot seal", 0);
	memcpy(answers[0], answers[1], MON_PAGE);
	memcpy(answers[1], rsp, MON_PAGE);
	return SNP_FW_OK;
}

/* The host keeps everything it ever saw. */
static void host_compares(const uint8_t *req)
{
	uint64_t seqno;
	unsigned i;

	memcpy(&seqno, req + offsetof(struct snp_msg_hdr, seqno), sizeof(seqno));
	for (i = 0; i < seen_count; i++)
		if (seen[i].seqno == seqno && memcmp(seen[i].page, req, MON_PAGE) != 0)
			fake.reused = true;
	if (seen_count < ARRAY_LEN(seen)) {
		seen[seen_count].seqno = seqno;
		memcpy(seen[seen_count++].page, req, MON_PAGE);
	}
}

uint64_t plat_guest_request(const uint8_t *req, uint8_t *rsp, uint8_t *certs, size_t certs_len)
{
	enum fake_host host = fake.host_at < ARRAY_LEN(fake.host) ? fake.host[fake.host_at++] : HOST_HONEST;
	uint64_t info = 0;

	enter(&in_request);
	host_compares(req);
	if (fake.in_request)
		fake.in_request();
	fake.requests++;
	fake.ext = certs != NULL;
	if (host == HOST_BUSY)
		info = (uint64_t)GUEST_REQ_VMM_BUSY << 32;
	else if (host == HOST_NOT_CALLED)
		info = SNP_FW_NOT_CALLED;
	else if (host == HOST_LEN)
		info = (uint64_t)GUEST_REQ_VMM_LEN << 32;
	else if (host == HOST_FW_ERROR)
		info = SNP_FW_INVALID_PARAM;
	else if (host == HOST_REPLAY)
		memcpy(rsp, answers[1], MON_PAGE);
	else if (host != HOST_DROP) {
		info = psp_message(req, rsp);
		if (host == HOST_CORRUPT)
			rsp[sizeof(struct snp_msg_hdr) + 5] ^= 1;
		if (host == HOST_BUSY_LIE) {
			memset(rsp, 0, MON_PAGE);
			info = (uint64_t)GUEST_REQ_VMM_BUSY << 32;
		}
		if (certs && info == 0)
			memcpy(certs, fake.certs, certs_len < sizeof(fake.certs) ? certs_len : sizeof(fake.certs));
	}
	leave(&in_request);
	return info;
}

/* The key service. */

static void check_areas(void)
{
	uint32_t half = fake.lanes * MON_AREA_PAGES, i;

	for (i = 0; i < 2 * half; i++) {
		const struct fake_rmp *r = &fake.rmp[fake.frames[i]];

		if (!r->assigned || !r->validated || r->vmsa)
			broken("a lane's page is not memory", (uint64_t)fake.frames[i] * MON_PAGE);
		if (i >= half && (r->perm[1] | r->perm[2] | r->perm[3]) & ~RMP_R)
			broken("the guest can write a response page", (uint64_t)fake.frames[i] * MON_PAGE);
	}
}

enum rc plat_service_start(const struct boot_msg *boot, const uint32_t *frames)
{
	if (refuses(FAKE_SERVICE_START))
		return RC_MACHINE;
	enter(&in_service);
	leave(&in_service);
	if (!fake.loaded) {
		fake.loaded = true;
		fake.piece = 0;
		fake.starts++;
		fake.frames = frames;
		fake.lanes = boot->lanes;
		fake.boot = *boot;
		check_areas();
	}
	if (memcmp(&fake.boot, boot, sizeof(*boot)) != 0)
		broken("the boot message changed", 0);
	if (fake.dies_at_start)
		return RC_DENIED;
	return fake.piece++ < fake.start_pieces ? RC_BUSY : RC_OK;
}

enum rc plat_service_run(uint32_t lane)
{
	uint32_t half = fake.lanes * MON_AREA_PAGES;
	struct call_rsp_ctl *rsp;

	if (!fake.loaded || lane >= fake.lanes)
		broken("a lane that does not exist runs", lane);
	if (__atomic_fetch_add(&fake.lane_inside[lane], 1, __ATOMIC_ACQUIRE) != 0)
		broken("a lane runs twice", lane);
	__atomic_fetch_add(&fake.runs, 1, __ATOMIC_RELAXED);
	rsp = (struct call_rsp_ctl *)(fake.priv + (uint64_t)fake.frames[half + lane * MON_AREA_PAGES] * MON_PAGE);
	rsp->done++;
	if (fake.in_lane)
		fake.in_lane(lane);
	__atomic_fetch_sub(&fake.lane_inside[lane], 1, __ATOMIC_RELEASE);
	return fake.run_result;
}

enum rc plat_service_destroy(void)
{
	unsigned i;

	enter(&in_service);
	leave(&in_service);
	for (i = 0; i < MON_LANES; i++)
		if (__atomic_load_n(&fake.lane_inside[i], __ATOMIC_ACQUIRE))
			broken("the service goes while a lane runs", i);
	if (fake.destroys++ % (fake.destroy_pieces + 1) != fake.destroy_pieces)
		return RC_BUSY;
	fake.loaded = false;
	return RC_OK;
}

/* The guest. */

bool fake_guest_may(uint64_t gpa, unsigned right)
{
	const struct fake_rmp *r = rmp_of(gpa);

	return r->assigned && r->validated && !(r->vmsa && right != RMP_R) && (r->perm[FAKE_VMPL] & right) == right;
}

void fake_guest_write(uint64_t gpa, const void *p, size_t len)
{
	if (!fake_guest_may(gpa, RMP_W) || !fake_guest_may(gpa + len - 1, RMP_W))
		broken("the guest cannot write here", gpa);
	memcpy(fake.priv + gpa, p, len);
}

void fake_guest_read(uint64_t gpa, void *p, size_t len)
{
	if (!fake_guest_may(gpa, RMP_R) || !fake_guest_may(gpa + len - 1, RMP_R))
		broken("the guest cannot read here", gpa);
	memcpy(p, fake.priv + gpa, len);
}

/* The host. */

void fake_host_takes(uint64_t gpa)
{
	if (rmp_of(gpa)->huge)
		fake_host_smashes(gpa);
	*rmp_of(gpa) = (struct fake_rmp){ 0 };
}

void fake_host_gives(uint64_t gpa, uint64_t contents)
{
	fake_host_takes(gpa);
	assign(gpa, false);
	memcpy(fake.priv + gpa, fake.priv + contents, MON_PAGE);
}

/* The machine after launch. */

static void launch(uint64_t gpa, uint32_t pages)
{
	uint32_t i;

	for (i = 0; i < pages; i++) {
		assign(gpa + (uint64_t)i * MON_PAGE, false);
		rmp_of(gpa + (uint64_t)i * MON_PAGE)->validated = 1;
		memset(fake.priv + gpa + (uint64_t)i * MON_PAGE, 0x40 + (int)(i & 15), MON_PAGE);
	}
}

static void *fresh(void *old, size_t len)
{
	void *p;

	if (old) {
		madvise(old, len, MADV_DONTNEED);
		return old;
	}
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		broken("no memory", 0);
	return p;
}

static void lay_out(void)
{
	unsigned i;

	fake_info = (struct launch_info){ .magic = LAUNCH_MAGIC, .version = LAUNCH_VERSION, .guest_vmpl = FAKE_VMPL,
					  .monitor = { LAUNCH_IMAGE, 0x80000 },
					  .service = { LAUNCH_IMAGE + 0x80000, 0x9123 },
					  .platform = { LAUNCH_IMAGE + 0x90000, 0x4000 },
					  .setup = { LAUNCH_IMAGE + 0xa0000, 0x1000 },
					  .kernel = { LAUNCH_KERNEL, FAKE_KERNEL_PAGES * MON_PAGE - 100 },
					  .initrd = { LAUNCH_INITRD, FAKE_INITRD_PAGES * MON_PAGE },
					  .cmdline = { LAUNCH_IMAGE + 0xa1000, 12 },
					  .memory_end = LAUNCH_MON_BASE + 0x300000 };
	fake_secrets = (struct snp_secrets){ 0 };
	for (i = 0; i < 32; i++)
		fake_secrets.vmpck[0][i] = (uint8_t)i;
	memcpy(fake.vmpck.b, fake_secrets.vmpck[0], 32);
	memset(fake_map, 0, sizeof(fake_map));
	fake_map[0] = (struct igvm_memory_map_entry){ .first_page = 0, .pages = 0x9f };
	fake_map[1] = (struct igvm_memory_map_entry){ .first_page = FAKE_ACPI / MON_PAGE, .pages = 3,
						      .type = IGVM_MEM_RESERVED };
	fake_map[2] = (struct igvm_memory_map_entry){ .first_page = 0x100, .pages = FAKE_TOP / MON_PAGE - 0x100 };
	if (fake_tiny) {
		fake_info.kernel.len = 4 * MON_PAGE;
		fake_info.initrd = (struct launch_range){ 0 };
		fake_info.memory_end = LAUNCH_MON_BASE + LAUNCH_MON_LEN;
		fake_map[2].pages = TINY_END - 0x100;
		launch(FAKE_BOOT_VMSA, 1);
	}
	memcpy(fake.shared + FAKE_ACPI, "RSD PTR and what follows", 24);
	memcpy(fake.shared + FAKE_ACPI + 2 * MON_PAGE, "DSDT", 4);
	launch(LAUNCH_MON_BASE, 4);
	launch(LAUNCH_IMAGE, 0x200);
	launch(LAUNCH_KERNEL, fake_tiny ? 4 : FAKE_KERNEL_PAGES);
	launch(LAUNCH_INITRD, fake_tiny ? 0 : FAKE_INITRD_PAGES);
}

void fake_reset(void)
{
	struct fake old = fake;

	memset(&fake, 0, sizeof(fake));
	fake.rmp = fresh(old.rmp, MON_FRAMES * sizeof(struct fake_rmp));
	fake.priv = fresh(old.priv, MON_GPA_END);
	fake.shared = fresh(old.shared, MON_GPA_END);
	memset(&the_mon, 0, sizeof(the_mon));
	memset(answers, 0, sizeof(answers));
	seen_count = in_platform = in_request = in_rmp = in_service = 0;
	if (!platform_service.hash && (!platform_start(&platform_service) || !platform_start(&psp)))
		broken("libcrypto does not start", 0);
	lay_out();
}

enum rc fake_init(struct mon *m)
{
	struct mon_options o = { .info = &fake_info, .secrets = &fake_secrets, .guest_features = SEV_FEATURE_SNP,
				 .isolation = ISOLATION_VMPL0_EMULATED };

	return mon_init(m, &o);
}

struct mon *fake_boot(void)
{
	struct mon *m = &the_mon;
	unsigned i;

	fake_reset();
	if (fake_init(m) != RC_OK || mon_memory(m, fake_map, ARRAY_LEN(fake_map)) != RC_OK || mon_keys(m) != RC_OK)
		broken("does not boot", 0);
	for (i = 0; i < FAKE_CPUS; i++)
		if (mon_cpu(m, i, FAKE_APIC(i)) != RC_OK)
			broken("no such CPU", i);
	if (plat_rmpadjust((struct gpa){ FAKE_BOOT_VMSA }, false, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) != SNP_OK ||
	    mon_boot_vcpu(m, 0, (struct gpa){ FAKE_BOOT_VMSA }, (struct gpa){ FAKE_CA }) != RC_OK)
		broken("no boot CPU", 0);
	fake_check(m);
	return m;
}

uint32_t fake_call(struct mon *m, unsigned cpu, uint32_t protocol, uint32_t call, struct mon_regs *r)
{
	struct gpa vmsa, caa;

	r->rax = (uint64_t)protocol << 32 | call;
	if (!mon_take(m, cpu, &vmsa, &caa))
		broken("this CPU has no guest", cpu);
	mon_call(m, cpu, r);
	mon_release(m, cpu);
	if (r->rax > UINT32_MAX)
		broken("RAX is not 32 bits", r->rax);
	return (uint32_t)r->rax;
}

/* The rights that a page in this state must have at the guest's level; -1: no statement. */
static int rights_of(enum page_state s)
{
	switch (s) {
	case PAGE_GUEST:
	case PAGE_CA:
	case PAGE_LANE_REQ:
		return RMP_ALL;
	case PAGE_LANE_RSP:
	case PAGE_VMSA:
		return RMP_R;
	case PAGE_MONITOR:
	case PAGE_LAUNCH:
		return 0;
	default:
		return -1;
	}
}

static void check_page(uint32_t frame, enum page_state s)
{
	const struct fake_rmp *r = &fake.rmp[frame];
	uint64_t gpa = (uint64_t)frame * MON_PAGE;
	int rights = rights_of(s);

	if (s >= PAGE_STATES)
		broken("no such state", gpa);
	if (!r->assigned)
		return;	/* the host's choice: nobody can use it */
	if (r->perm[2] || r->perm[3])
		broken("another level has rights", gpa);
	if (r->validated && rights >= 0 && r->perm[FAKE_VMPL] != rights)
		broken("wrong rights", gpa);
	if (s == PAGE_VMSA && !r->vmsa)
		broken("not a VMSA", gpa);
	if (r->vmsa && s != PAGE_VMSA && gpa != FAKE_BOOT_VMSA)
		broken("a VMSA in the wrong state", gpa);
	if (s == PAGE_SHARED && r->validated)
		broken("rescinded, and still validated", gpa);
}

static void check_kms(struct mon *m, uint32_t lane_pages)
{
	struct mon_kms *s = &m->kms;
	uint32_t i, half = s->lanes * MON_AREA_PAGES;

	if (lane_pages != s->have)
		broken("lane pages that no lane has", lane_pages);
	for (i = 0; i < s->have; i++)
		if (m->page[s->frame[i]] != (i < half ? PAGE_LANE_REQ : PAGE_LANE_RSP))
			broken("a lane's page in the wrong state", (uint64_t)s->frame[i] * MON_PAGE);
	if ((s->state == VMPL_STATE_CLOSED) != (s->lanes == 0) || (s->state == VMPL_STATE_CLOSED && s->have))
		broken("closed, and not empty", s->have);
}

void fake_check(struct mon *m)
{
	uint32_t i, ca = 0, vmsa = 0, lane = 0, ready = 0, slots = 0;

	if (fake.stale)
		broken("a right was taken away without a flush", 0);
	if (fake.reused)
		broken("a sequence number was used twice", 0);
	for (i = 0; i < FAKE_TOP / MON_PAGE; i++) {
		enum page_state s = m->page[i];

		if (fake_tiny && i == TINY_END)	/* to the monitor's memory */
			i = LAUNCH_MON_BASE / MON_PAGE;
		check_page(i, s);
		ca += s == PAGE_CA;
		vmsa += s == PAGE_VMSA;
		lane += s == PAGE_LANE_REQ || s == PAGE_LANE_RSP;
	}
	for (i = 0; i < MON_CPUS; i++) {
		ready += m->cpu[i].ready;
		if (m->cpu[i].ready && m->page[m->cpu[i].caa] != PAGE_CA)
			broken("a calling area in the wrong state", addr_of_frame(m->cpu[i].caa).v);
	}
	for (i = 0; i < MON_VMSAS; i++) {
		slots += m->vmsa[i].frame != 0;
		if (m->vmsa[i].frame && m->page[m->vmsa[i].frame] != PAGE_VMSA)
			broken("a registered VMSA in the wrong state", addr_of_frame(m->vmsa[i].frame).v);
	}
	if (ca != ready || vmsa != slots)
		broken("pages in use that nobody uses", ca);
	check_kms(m, lane);
}
