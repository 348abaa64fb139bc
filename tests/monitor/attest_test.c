/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the secure processor, the sealing root, and the attestation protocol. */
#include "crypto/crypto.h"
#include "crypto/hash.h"
#include "snp/ghcb.h"
#include "tests/fake/plat.h"
#include "tests/monitor/session.h"
#include "tests/test.h"
#include "wire/attest.h"

#define BLOCK 0x8000ull
#define NONCE 0x8100ull
#define REPORT 0x9000ull
#define MANIFEST 0xa000ull
#define CERTS 0x10000ull
#define MANIFEST_ALL (24 + 24 + 264)

static const uint8_t kms_guid[16] = ATTEST_KMS_GUID;

static struct svsm_attest_req request(void)
{
	struct svsm_attest_req q = { .report = { REPORT, 4096, 0 }, .nonce = { NONCE, 64, 0 }, .manifest = { MANIFEST, 4096, 0 },
				     .certs = { CERTS, 0x4000, 0 } };

	memcpy(q.guid, kms_guid, 16);
	return q;
}

static uint32_t attest(struct mon *m, uint32_t call, struct svsm_attest_req q, struct mon_regs *r)
{
	uint8_t nonce[64];
	uint32_t rax;

	memset(nonce, 0x4e, sizeof(nonce));
	fake_guest_write(NONCE, nonce, sizeof(nonce));
	fake_guest_write(BLOCK, &q, sizeof(q));
	*r = (struct mon_regs){ .rcx = BLOCK, .rdx = ~0ull, .r8 = ~0ull };
	rax = fake_call(m, 0, SVSM_PROTO_ATTEST, call, r);
	fake_check(m);
	return rax;
}

static void boot_with(struct mon **m, const enum fake_host *host, size_t count)
{
	*m = fake_boot();
	memcpy(fake.host, host, count * sizeof(*host));
	fake.host_at = 0;
}
#define BOOT_WITH(m, ...) \
	boot_with(m, (const enum fake_host[]){ __VA_ARGS__ }, ARRAY_LEN(((const enum fake_host[]){ __VA_ARGS__ })))

static void expect_bound(const struct snp_report *report, const uint8_t *manifest, size_t len)
{
	uint8_t bytes[64 + 512], want[64];

	memset(bytes, 0x4e, 64);
	memcpy(bytes + 64, manifest, len);
	EXPECT(crypto_sha512(&(struct slice){ bytes, 64 + len }, 1, want) == RC_OK);
	EXPECT_MEM(report->report_data, want, 64);
	EXPECT_INT(report->vmpl, 0);
}

TEST(a_report_is_bound_to_nonce_and_manifest)
{
	struct mon *m = fake_boot();
	struct attest_kms_manifest manifest;
	struct snp_report report;
	struct mon_regs r;

	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	EXPECT(r.rcx == sizeof(manifest) && r.r8 == SNP_REPORT_LEN && r.rdx == 0);
	fake_guest_read(REPORT, &report, sizeof(report));
	fake_guest_read(MANIFEST, &manifest, sizeof(manifest));
	expect_bound(&report, (const uint8_t *)&manifest, sizeof(manifest));
	EXPECT(manifest.version == 1 && manifest.protocol == CALL_PROTOCOL);
}

TEST(the_manifest_holds_the_hashes_of_the_files_that_were_launched)
{
	struct mon *m = fake_boot();
	struct attest_kms_manifest manifest;
	uint8_t want[48];
	struct mon_regs r;

	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	fake_guest_read(MANIFEST, &manifest, sizeof(manifest));
	EXPECT(crypto_sha384(&(struct slice){ fake.priv + fake_info.service.gpa, fake_info.service.len }, 1, want) == RC_OK);
	EXPECT_MEM(manifest.service, want, 48);
	EXPECT(crypto_sha384(&(struct slice){ fake.priv + fake_info.platform.gpa, fake_info.platform.len }, 1, want) == RC_OK);
	EXPECT_MEM(manifest.platform, want, 48);
}

TEST(the_list_of_all_services_holds_ours)
{
	static const uint8_t guid[] = SVSM_GUID_SERVICES;
	struct mon *m = fake_boot();
	uint8_t manifest[MANIFEST_ALL];
	struct svsm_manifest_entry e;
	struct svsm_manifest_hdr h;
	struct snp_report report;
	struct mon_regs r;

	EXPECT_INT(attest(m, SVSM_ATTEST_SERVICES, request(), &r), SVSM_SUCCESS);
	EXPECT_INT(r.rcx, MANIFEST_ALL);
	fake_guest_read(MANIFEST, manifest, sizeof(manifest));
	memcpy(&h, manifest, sizeof(h));
	memcpy(&e, manifest + sizeof(h), sizeof(e));
	EXPECT_MEM(h.guid, guid, 16);
	EXPECT(h.len == MANIFEST_ALL && h.count == 1);
	EXPECT_MEM(e.guid, kms_guid, 16);
	EXPECT(e.off == 48 && e.len == 264);
	fake_guest_read(REPORT, &report, sizeof(report));
	expect_bound(&report, manifest, sizeof(manifest));
}

/* A table of one certificate: an entry, the end, the certificate. */
static uint32_t put_certs(uint32_t off, uint32_t len)
{
	struct snp_cert_entry e = { .guid = SNP_CERT_GUID_VCEK, .off = off, .len = len };

	memset(fake.certs, 0, sizeof(fake.certs));
	memcpy(fake.certs, &e, sizeof(e));
	if (off < sizeof(fake.certs) && len <= sizeof(fake.certs) - off)
		memset(fake.certs + off, 0xce, len);
	return off + len;
}

TEST(certificates_come_from_the_host_and_are_cut_to_their_length)
{
	struct mon *m = fake_boot();
	uint32_t len = put_certs(48, 1000);
	struct mon_regs r;
	uint8_t got[2];

	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, len);
	fake_guest_read(CERTS + len - 1, got, 2);
	EXPECT(got[0] == 0xce && got[1] == 0);
}

TEST(a_certificate_table_of_nonsense_counts_as_none)
{
	static const uint32_t bad[][2] = { { 48, MON_CERT_LEN }, { MON_CERT_LEN, 1 }, { UINT32_MAX, 1 },
					   { UINT32_MAX, UINT32_MAX }, { 48, UINT32_MAX - 10 } };
	struct mon_regs r;
	struct mon *m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		m = fake_boot();
		put_certs(bad[i][0], bad[i][1]);
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
		EXPECT_INT(r.rdx, 0);
	}
	m = fake_boot();
	memset(fake.certs, 1, sizeof(fake.certs));	/* never ends */
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	EXPECT_INT(r.rdx, 0);
}

TEST(certificates_are_not_asked_for_when_nobody_wants_them)
{
	struct svsm_attest_req q = request();
	struct mon *m = fake_boot();
	struct mon_regs r;

	q.certs = (struct svsm_attest_buf){ 0 };
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), SVSM_SUCCESS);
	EXPECT(!fake.ext && r.rdx == 0);
}

TEST(buffers_that_are_too_small_are_told_with_the_lengths_needed)
{
	struct svsm_attest_req q;
	struct mon *m = fake_boot();
	unsigned requests = fake.requests;
	struct mon_regs r;

	q = request();
	q.manifest.len = 199;
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), SVSM_INVALID_PARAMETER);
	EXPECT(r.rcx == 264 && r.r8 == SNP_REPORT_LEN);
	q.manifest.len = 264;
	q.report.len = SNP_REPORT_LEN - 1;
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), SVSM_INVALID_PARAMETER);
	EXPECT_INT(fake.requests, requests);	/* no message was spent */
	put_certs(48, 5000);
	q = request();
	q.certs.len = 5047;
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), SVSM_INVALID_PARAMETER);
	EXPECT_INT(r.rdx, 5048);
	q.certs.len = 5048;
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), SVSM_SUCCESS);
}

TEST(requests_that_are_malformed_or_point_elsewhere_are_refused)
{
	struct mon *m = fake_boot();
	struct mon_regs r;
	unsigned i, requests = fake.requests;

	for (i = 0; i < 27; i++) {
		struct svsm_attest_req q = request();
		uint32_t want = i < 13 ? SVSM_INVALID_PARAMETER : SVSM_INVALID_ADDRESS;

		switch (i) {
		case 0: q.report.gpa++; break;
		case 1: q.manifest.gpa += 8; break;
		case 2: q.certs.gpa += 0x800; break;
		case 3: q.nonce.len = 63; break;
		case 4: q.nonce.len = 65; break;
		case 5: q.nonce.len = 0; break;
		case 6: q.nonce.len = UINT32_MAX; break;
		case 7: q.report.len = 0; break;
		case 8: q.manifest.len = 0; break;
		case 9: q.guid[0] ^= 1; break;
		case 10: q.guid[15] ^= 0x80; break;
		case 11: q.manifest_version = 2; break;
		case 12: memset(q.guid, 0, 16); break;
		case 13: q.report.gpa = LAUNCH_MON_BASE; break;
		case 14: q.report.gpa = LAUNCH_MON_BASE - MON_PAGE; q.report.len = 8192; break;
		case 15: q.manifest.gpa = LAUNCH_SECRETS; break;
		case 16: q.certs.gpa = FAKE_BOOT_VMSA; break;
		case 17: q.report.gpa = 1ull << 39; break;
		case 18: q.report.gpa = REPORT | 1ull << 51; break;
		case 19: q.report.gpa = ~0xfffull; break;
		case 20: q.report.len = UINT32_MAX; q.report.gpa = MON_GPA_END - 0x1000; break;
		case 21: q.certs.len = UINT32_MAX; break;
		case 22: q.nonce.gpa = LAUNCH_MON_BASE; break;
		case 23: q.nonce.gpa = LAUNCH_MON_BASE - 63; break;
		case 24: q.nonce.gpa = ~0ull - 10; break;
		case 25: q.nonce.gpa = 0xa0000; break;
		case 26: q.manifest.gpa = MON_GPA_END; break;
		}
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, q, &r), want);
	}
	for (i = 0; i < 5; i++) {
		static const uint64_t at[] = { BLOCK + 4, BLOCK + MON_PAGE - 0x50, LAUNCH_MON_BASE, 1ull << 39, ~0x7full };

		r = (struct mon_regs){ .rcx = at[i] };
		EXPECT_INT(fake_call(m, 0, 1, 1, &r), i < 2 || i == 4 ? (i == 4 ? SVSM_INVALID_ADDRESS : SVSM_INVALID_PARAMETER) :
									   SVSM_INVALID_ADDRESS);
	}
	EXPECT_INT(fake.requests, requests);
}

TEST(a_host_that_is_busy_gets_the_same_message_again)
{
	struct mon *m;
	struct mon_regs r;
	unsigned i;

	BOOT_WITH(&m, HOST_BUSY, HOST_NOT_CALLED, HOST_BUSY);
	for (i = 0; i < 3; i++)
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
	EXPECT_INT(attest(m, SVSM_ATTEST_SERVICES, request(), &r), SVSM_SUCCESS);	/* another message than before */
	EXPECT(!fake.reused && !m->msg.dead);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
}

TEST(a_storm_of_busy_costs_nothing_but_time)
{
	struct mon *m = fake_boot();
	struct mon_regs r;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(fake.host); i++)
		fake.host[i] = HOST_BUSY;
	fake.host_at = 0;
	for (i = 0; i < ARRAY_LEN(fake.host); i++)
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
}

TEST(a_host_that_swallows_a_message_gets_it_again)
{
	struct mon *m;
	struct mon_regs r;

	BOOT_WITH(&m, HOST_DROP, HOST_REPLAY);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	EXPECT(!fake.reused && !m->msg.dead);
}

TEST(after_a_doubtful_outcome_the_key_is_given_up_for_ever)
{
	static const enum fake_host kinds[] = { HOST_CORRUPT, HOST_FW_ERROR, HOST_BUSY_LIE };
	struct mon_regs r;
	struct mon *m;
	unsigned i, requests;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		BOOT_WITH(&m, kinds[i]);
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
		EXPECT(m->msg.dead && m->msg.key.b[1] == 0);
		requests = fake.requests;
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
		EXPECT_INT(fake.requests, requests);
		EXPECT(!fake.reused);
	}
}

TEST(an_answer_with_anything_wrong_in_its_header_is_not_taken)
{
	struct mon_regs r;
	struct mon *m;
	unsigned i;

	for (i = 0; i < 6; i++) {
		m = fake_boot();
		fake.psp_len_add = i == 4 ? 16 : i == 5 ? (uint16_t)-16 : 0;
		fake.psp_type_xor = i == 0 ? 3 : 0;
		fake.psp_vmpck = i == 1 ? 1 : 0;
		fake.psp_version_xor = i == 2 ? 2 : 0;
		fake.psp_status = i == 3 ? SNP_FW_INVALID_PARAM : 0;
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
		EXPECT(m->msg.dead == (i != 3));	/* a refusal in an authentic answer costs nothing */
	}
}

TEST(a_host_with_too_many_certificates_is_asked_without)
{
	struct mon *m;
	struct mon_regs r;

	BOOT_WITH(&m, HOST_LEN);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	EXPECT(!fake.ext && r.rdx == 0 && !fake.reused);
	BOOT_WITH(&m, HOST_LEN, HOST_LEN);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_REQUEST);
	EXPECT(m->msg.dead);
}

TEST(a_platform_service_that_fails_fails_the_call)
{
	struct mon_regs r;
	struct mon *m;
	unsigned at;

	for (at = 1; at <= 4; at++) {
		m = fake_boot();
		fake.refuse = FAKE_PLATFORM;
		fake.refuse_at = at;
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), at <= 3 ? SVSM_INVALID_REQUEST : SVSM_SUCCESS);
		EXPECT(!fake.reused);
	}
}

static struct mon *asking;
static uint64_t goes;

/* CPU 1 of the guest, while CPU 0 waits for the secure processor. */
static void gives_away(void)
{
	struct svsm_pvalidate_list list = { .entries = 1 };
	struct mon_regs r = { .rcx = 0xb000 };

	fake.in_request = NULL;
	fake_guest_write(0xb000, &list, sizeof(list));
	fake_guest_write(0xb008, &goes, 8);
	EXPECT_INT(fake_call(asking, 1, 0, SVSM_PVALIDATE, &r), SVSM_SUCCESS);
}

TEST(buffers_that_change_hands_while_the_report_is_made_are_not_written)
{
	static const uint64_t buffers[] = { REPORT, MANIFEST, CERTS };
	struct mon_regs r;
	struct mon *m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(buffers); i++) {
		m = fake_boot();
		session_cpu(m, 1);
		put_certs(48, 1000);
		asking = m;
		goes = buffers[i];
		fake.in_request = gives_away;
		EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_INVALID_ADDRESS);
	}
}

TEST(an_old_answer_is_not_taken_for_a_new_one)
{
	static const struct snp_key_req req = { .fields = SNP_KEY_MIX_POLICY };
	struct snp_key_rsp rsp;
	struct mon *m;

	BOOT_WITH(&m, HOST_REPLAY, HOST_HONEST);	/* the answer of the start: authentic, and of the same type */
	EXPECT(msg_exchange(m, SNP_MSG_KEY_REQ, &req, sizeof(req), &rsp, sizeof(rsp), false) == RC_OK);
	EXPECT_INT(fake.requests, 3);
	EXPECT_INT(rsp.key[0], 0xa0 + SNP_KEY_MIX_POLICY);
}

TEST(the_sealing_root_is_asked_for_once_at_start)
{
	struct mon *m = fake_boot();

	EXPECT(m->have_root);
	EXPECT_INT(fake.requests, 1);
	EXPECT_INT(m->root.b[1], 0xa1 + (SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT));
	EXPECT_INT(m->msg.seq, 2);
}

TEST(a_start_with_a_busy_host_goes_on_and_a_hostile_one_leaves_no_root)
{
	static struct mon m;
	unsigned i;

	for (i = 0; i < 3; i++) {
		memset(&m, 0, sizeof(m));
		fake_reset();
		memset(fake.host, 0, sizeof(fake.host));
		fake.host[0] = i == 0 ? HOST_BUSY : i == 1 ? HOST_CORRUPT : HOST_FW_ERROR;
		EXPECT(fake_init(&m) == RC_OK && mon_memory(&m, fake_map, ARRAY_LEN(fake_map)) == RC_OK);
		EXPECT(mon_keys(&m) == RC_OK);
		EXPECT(m.have_root == (i == 0) && m.msg.dead == (i != 0));
	}
	memset(&m, 0, sizeof(m));
	fake_reset();
	fake.psp_status = SNP_FW_INVALID_PARAM;
	EXPECT(fake_init(&m) == RC_OK && mon_memory(&m, fake_map, ARRAY_LEN(fake_map)) == RC_OK);
	EXPECT(mon_keys(&m) == RC_OK && !m.have_root && !m.msg.dead);
	memset(&m, 0, sizeof(m));
	fake_reset();
	fake.refuse = FAKE_PLATFORM;
	fake.refuse_at = 1;
	EXPECT(fake_init(&m) == RC_OK && mon_memory(&m, fake_map, ARRAY_LEN(fake_map)) == RC_OK);
	EXPECT(mon_keys(&m) == RC_MACHINE);
}

TEST(the_message_on_the_wire_is_the_one_of_the_specification)
{
	struct mon *m = fake_boot();
	uint8_t want[64], page[MON_PAGE];
	static const struct snp_key_req req = { .fields = SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT };
	struct snp_key_rsp rsp;

	/* Check value of specification 5.1: KEY_REQ, sequence 3, VMPCK0 = 00..1f. */
	memset(fake.host, 0, sizeof(fake.host));
	fake.host_at = 0;
	fake.host[0] = HOST_BUSY;
	EXPECT(msg_exchange(m, SNP_MSG_KEY_REQ, &req, sizeof(req), &rsp, sizeof(rsp), false) == RC_BUSY);
	memcpy(page, m->msg.req, sizeof(page));
	EXPECT_INT(test_unhex("4c1952e610e8147d1b74b16a0d13eeff", want, sizeof(want)), 16);
	EXPECT_MEM(page, want, 16);
	EXPECT_INT(test_unhex("908c5899595132d8f1388fa492d606c92fd3c064da9bd2e0cb97494f1e4bd012", want, sizeof(want)), 32);
	EXPECT_MEM(page + 0x60, want, 32);
}

TEST(a_panic_wipes_what_the_core_knows)
{
	struct mon *m = fake_boot();

	EXPECT_STOPS(MON_REASON_INVARIANT, mon_panic(m, MON_REASON_INVARIANT));
	EXPECT(m->root.b[0] == 0 && m->root.b[31] == 0 && m->msg.key.b[31] == 0);
}

/* What another CPU of the same machine does while this one runs a lane. */
static struct mon *panicking;
static void another_cpu_panics(uint32_t lane)
{
	(void)lane;
	EXPECT_STOPS(MON_REASON_EXCEPTION, mon_panic(panicking, MON_REASON_EXCEPTION));
}

/* T-232: a host may let the other CPUs run on, to see them use zeros as keys. */
TEST(after_a_panic_that_the_host_ignores_no_cpu_goes_on_with_wiped_keys)
{
	struct mon *m = fake_boot();
	struct gpa vmsa, caa;
	struct mon_regs r = { 0 };
	struct vmpl_block b = { .magic = VMPL_MAGIC, .version = VMPL_VERSION };

	session_cpu(m, 1);
	session_fill(m, 2);
	session_start(m);
	panicking = m;
	fake.in_lane = another_cpu_panics;
	fake_guest_write(session_block(m, 1), &b, sizeof(b));
	r = (struct mon_regs){ .rax = (uint64_t)CALL_PROTOCOL << 32 | VMPL_CALL, .rcx = session_block(m, 1), .rdx = ~0ull,
			       .r8 = ~0ull };
	EXPECT(mon_take(m, 1, &vmsa, &caa));
	mon_call(m, 1, &r);
	EXPECT(!m->have_root && m->msg.dead);
	EXPECT_STOPS(MON_REASON_ENDED, mon_release(m, 1));
	EXPECT_STOPS(MON_REASON_ENDED, (void)!mon_take(m, 0, &vmsa, &caa));
	EXPECT_STOPS(MON_REASON_ENDED, (void)!mon_take(m, 0, &vmsa, &caa));
}

/* T-218 */
TEST(the_manifest_says_what_the_running_service_says_of_itself)
{
	struct attest_kms_manifest manifest;
	struct call_evidence says = { .config_version = 7 }, none = { 0 };
	struct mon *m = fake_boot();
	struct mon_regs r;
	uint64_t at;

	session_fill(m, 2);
	at = session_rsp(1) + offsetof(struct call_rsp_ctl, evidence);
	memset(says.owner, 0x0e, sizeof(says.owner));
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	fake_guest_read(MANIFEST, &manifest, sizeof(manifest));
	EXPECT_MEM(&manifest.evidence, &none, sizeof(none));
	session_start(m);
	plat_write((struct gpa){ at }, &says, sizeof(says));	/* as the service does, at its own mapping */
	EXPECT(!fake_guest_may(at / MON_PAGE * MON_PAGE, RMP_W));
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	fake_guest_read(MANIFEST, &manifest, sizeof(manifest));
	EXPECT_MEM(&manifest.evidence, &says, sizeof(says));
	/* A service that is gone says nothing, whatever stands in its pages. */
	session_until_done(m, VMPL_RESET);
	EXPECT_INT(attest(m, SVSM_ATTEST_SINGLE_SERVICE, request(), &r), SVSM_SUCCESS);
	fake_guest_read(MANIFEST, &manifest, sizeof(manifest));
	EXPECT_MEM(&manifest.evidence, &none, sizeof(none));
}
