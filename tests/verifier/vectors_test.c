/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real reports and AMD's real certificates. They are not part of this tree: SVSM_KMS_VECTORS names the folder
 * (default: ../shared/vectors from the tree's root; its SOURCES.md says where each file is from). Without
 * them these tests are skipped, and say so.
 */
#include <stdlib.h>

#include "tests/test.h"
#include "verifier/verifier.h"

/* In 2024 all certificates in use were valid. */
#define THEN 1704067200

struct file {
	uint8_t b[16384];
	size_t len;
};

static bool load(const char *name, struct file *out)
{
	const char *env = getenv("SVSM_KMS_VECTORS");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/snp/%s", env ? env : SVSM_SOURCE "/../shared/vectors", name);
	f = fopen(path, "rb");
	if (!f)
		return false;
	out->len = fread(out->b, 1, sizeof(out->b), f);
	fclose(f);
	return out->len > 0 && out->len < sizeof(out->b);
}

static struct file report, vcek, chain, other;
static struct verifier_input in;
static struct verifier_policy policy;
static struct verifier_verdict v;

#define GOOGLE "go-sev-guest/attestation.bin", "go-sev-guest/vcek.testcer", "go-sev-guest/ask_ark_milan.pem"
#define TRUSTEE "trustee/test-report.bin", "trustee/test-vcek.der", "trustee/milan_ask_ark_asvk.pem"

static void ready(const char *r, const char *leaf, const char *ca)
{
	if (!load(r, &report) || !load(leaf, &vcek) || !load(ca, &chain)) {
		fprintf(stderr, "no public reports: SVSM_KMS_VECTORS names no folder with snp/%s; skipped\n", r);
		skip();
	}
	in = (struct verifier_input){ .report = slice_of(report.b, report.len),
				      .certs = { slice_of(vcek.b, vcek.len), slice_of(chain.b, chain.len) },
				      .sources = 2 };
	policy = (struct verifier_policy){ .at = THEN };
}

static enum rc judged(void)
{
	return verifier_judge(&in, &policy, &v);
}

static bool failed(enum verifier_check_id id)
{
	return v.check[id].result == CHECK_FAILED;
}

static unsigned failures(void)
{
	unsigned i, n = 0;

	for (i = 0; i < CHECKS; i++)
		n += failed((enum verifier_check_id)i);
	return n;
}

TEST(a_real_report_is_accepted_as_amd_s)
{
	ready(TRUSTEE);
	EXPECT(judged() == RC_OK);
	EXPECT(v.root == ROOT_AMD && v.isolation == 0 && v.product == PRODUCT_MILAN);
	EXPECT_STR(v.leaf.product, "Milan-B0");
	EXPECT_INT(v.report.policy, 0x3001f);
	EXPECT_INT(v.report.guest_svn, 4);
}

/* T-206 */
TEST(the_leaf_belongs_to_the_reported_tcb_and_not_to_the_current_one)
{
	ready(TRUSTEE);
	EXPECT(judged() == RC_OK);
	EXPECT_INT(v.tcb[TCB_REPORTED].part[TCB_MICROCODE], 0x73);
	EXPECT_INT(v.tcb[TCB_CURRENT].part[TCB_MICROCODE], 0xce);
	EXPECT_INT(v.leaf.tcb[7], 0x73);
	policy.has_min_tcb = true;
	policy.min_tcb = v.tcb[TCB_CURRENT];
	EXPECT(judged() == RC_DENIED);	/* what the report proves is the reported one */
	EXPECT(failures() == 1 && failed(CHECK_MIN_TCB));
	policy.min_tcb = v.tcb[TCB_REPORTED];
	EXPECT(judged() == RC_OK);
}

/* T-208 */
TEST(a_real_report_of_a_guest_that_may_be_debugged_is_refused)
{
	ready(GOOGLE);
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_DEBUG));
	EXPECT(v.root == ROOT_AMD && v.isolation == 0);
	policy.allow_debug = true;
	EXPECT(judged() == RC_OK);
	EXPECT_INT(v.report.policy, 0xb0000);
}

/* T-211 */
TEST(a_real_report_has_its_nonce_and_no_other)
{
	ready(GOOGLE);
	policy.allow_debug = true;
	policy.nonce_len = 64;
	memcpy(policy.nonce, (const uint8_t[]){ 1, 2, 3, 4, 5 }, 5);
	EXPECT(judged() == RC_OK);
	policy.nonce[63] = 1;
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_REPORT_DATA));
	policy.nonce_len = 5;	/* it was padded with zeros, not hashed */
	EXPECT(judged() == RC_DENIED);
}

/* T-209, T-210 */
TEST(a_real_report_is_refused_for_another_level_or_measurement)
{
	ready(TRUSTEE);
	policy.vmpl = 1;
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_VMPL));
	policy.vmpl = 0;
	policy.has_measurement = true;
	memcpy(policy.measurement, report.b + 0x90, 48);
	EXPECT(judged() == RC_OK);
	policy.measurement[47] ^= 1;
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_MEASUREMENT));
}

/* T-202 */
TEST(altered_certificates_fail_at_the_intermediate_s_signature)
{
	static const char *const altered[] = { "trustee/test-vcek-invalid-legacy.der",
					       "trustee/test-vcek-invalid-new.der" };
	size_t i;

	ready(TRUSTEE);
	for (i = 0; i < ARRAY_LEN(altered); i++) {
		EXPECT(load(altered[i], &vcek));
		in.certs[0] = slice_of(vcek.b, vcek.len);
		EXPECT(judged() == RC_DENIED);
		EXPECT(failed(CHECK_LEAF) && !failed(CHECK_ROOT) && !failed(CHECK_INTERMEDIATE));
		EXPECT(strstr(v.check[CHECK_LEAF].says, "was not signed by"));
	}
}

/* T-204 */
TEST(chains_of_other_products_and_of_vleks_are_refused)
{
	static const char *const chains[] = {
		"go-sev-guest/ask_ark_genoa.pem",      "go-sev-guest/ask_ark_turin_vcek.pem",
		"go-sev-guest/ask_ark_milan_vlek.pem", "go-sev-guest/ask_ark_genoa_vlek.pem",
		"trustee/genoa_ask_ark_asvk.pem",      "trustee/turin_ask_ark_asvk.pem",
	};
	size_t i;

	ready(TRUSTEE);
	for (i = 0; i < ARRAY_LEN(chains); i++) {
		EXPECT(load(chains[i], &chain));
		in.certs[1] = slice_of(chain.b, chain.len);
		EXPECT(judged() == RC_DENIED);
		EXPECT(failed(CHECK_CERTIFICATES) && failed(CHECK_LEAF));
	}
	EXPECT(load("go-sev-guest/milan.testcer", &chain));
	in.certs[1] = slice_of(chain.b, chain.len);
	EXPECT(judged() == RC_OK);
	EXPECT(load("go-sev-guest/milanvlek.testcer", &chain));
	in.certs[1] = slice_of(chain.b, chain.len);
	EXPECT(judged() == RC_DENIED);
}

TEST(all_chains_together_are_no_obstacle)
{
	ready(TRUSTEE);
	EXPECT(load("trustee/genoa_ask_ark_asvk.pem", &other));
	in.certs[2] = slice_of(other.b, other.len);
	in.sources = 3;
	EXPECT(judged() == RC_OK);
}

/* T-205 */
TEST(the_certificate_of_another_chip_is_refused)
{
	ready(TRUSTEE);
	EXPECT(load("go-sev-guest/vcek.testcer", &vcek));
	in.certs[0] = slice_of(vcek.b, vcek.len);
	EXPECT(judged() == RC_DENIED);
	EXPECT(!failed(CHECK_LEAF) && failed(CHECK_CHIP) && failed(CHECK_TCB) && failed(CHECK_SIGNATURE));
}

/* T-203 */
TEST(a_real_chain_is_not_valid_before_it_was_made_or_after_its_end)
{
	ready(TRUSTEE);
	EXPECT(judged() == RC_OK);
	policy.at = v.cert[CERT_LEAF].not_before - 1;
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_VALIDITY));
	policy.at = v.cert[CERT_LEAF].not_after + 1;
	EXPECT(judged() == RC_DENIED);
	EXPECT(failures() == 1 && failed(CHECK_VALIDITY));
}

/* T-207 */
TEST(every_flipped_bit_of_a_real_report_is_refused)
{
	size_t i;

	ready(TRUSTEE);
	for (i = 0; i < 8 * report.len; i += 11) {
		report.b[i / 8] ^= (uint8_t)(1 << i % 8);
		if (judged() != RC_DENIED)
			fail_msg("bit %zu", i);
		report.b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	EXPECT(judged() == RC_OK);
}

/* T-202 */
TEST(every_flipped_bit_of_a_real_certificate_is_refused)
{
	size_t i;

	ready(TRUSTEE);
	for (i = 0; i < 8 * vcek.len; i += 5) {
		vcek.b[i / 8] ^= (uint8_t)(1 << i % 8);
		if (judged() != RC_DENIED)
			fail_msg("bit %zu", i);
		vcek.b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	EXPECT(judged() == RC_OK);
}

TEST(every_truncation_of_a_real_certificate_and_report_is_refused)
{
	size_t i;

	ready(TRUSTEE);
	for (i = 0; i < vcek.len; i += 3) {
		uint8_t *cut = test_fence(vcek.b, i);

		in.certs[0] = slice_of(cut, i);
		EXPECT(judged() == RC_DENIED);
		test_fence_free(cut, i);
	}
	in.certs[0] = slice_of(vcek.b, vcek.len);
	for (i = 0; i < report.len; i += 3) {
		uint8_t *cut = test_fence(report.b, i);

		in.report = slice_of(cut, i);
		EXPECT(judged() == RC_DENIED);
		test_fence_free(cut, i);
	}
}

/* T-200 */
TEST(the_pins_are_the_keys_of_the_three_roots_and_both_sources_agree)
{
	static const struct {
		const char *file, *name;
	} cas[] = {
		{ "go-sev-guest/ask_ark_milan.pem", "ARK-Milan" },	{ "trustee/milan_ask_ark_asvk.pem", "ARK-Milan" },
		{ "go-sev-guest/ask_ark_genoa.pem", "ARK-Genoa" },	{ "trustee/genoa_ask_ark_asvk.pem", "ARK-Genoa" },
		{ "go-sev-guest/ask_ark_turin_vcek.pem", "ARK-Turin" }, { "trustee/turin_ask_ark_asvk.pem", "ARK-Turin" },
		{ "go-sev-guest/ask_ark_turin_vlek.pem", "ARK-Turin" },
	};
	struct crypto_cert *c[4];
	size_t i, k, n, pinned = 0;

	ready(TRUSTEE);
	for (i = 0; i < ARRAY_LEN(cas); i++) {
		EXPECT(load(cas[i].file, &chain));
		EXPECT(crypto_certs_read(slice_of(chain.b, chain.len), c, 4, &n) == RC_OK);
		for (k = 0; k < n; k++) {
			const struct crypto_cert_info *info = crypto_cert_info(c[k]);

			EXPECT(verifier_is_root(info->key_sha384) == (strcmp(info->subject, cas[i].name) == 0));
			pinned += verifier_is_root(info->key_sha384);
		}
		while (n)
			crypto_cert_free(c[--n]);
	}
	EXPECT_INT(pinned, ARRAY_LEN(cas));
}
