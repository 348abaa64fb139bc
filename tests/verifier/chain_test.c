/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts over chains made here: what real data does not have (Turin, VLEK, an emulator's root), and every
 * way to be wrong. Real reports are in vectors_test.c.
 */
#include "tests/test.h"
#include "tests/verifier/forge.h"

static struct verifier_input in;
static struct verifier_policy policy;
static struct verifier_verdict v;
static struct forge f;

/* Forges and judges with a strict policy and the root accepted. */
static enum rc judged(const struct forge_how *h)
{
	forge(h, &f);
	forge_ask(&f, &in, &policy);
	return verifier_judge(&in, &policy, &v);
}

static enum rc judged_again(void)
{
	return verifier_judge(&in, &policy, &v);
}

/* Refused, by exactly these checks. */
static bool only_failed(const struct verifier_verdict *w, uint32_t mask)
{
	size_t i;

	for (i = 0; i < CHECKS; i++) {
		if ((w->check[i].result == CHECK_FAILED) != (mask >> i & 1)) {
			fprintf(stderr, "%s: %s\n", verifier_check_name((enum verifier_check_id)i), w->check[i].says);
			return false;
		}
	}
	return !w->accepted && w->isolation == 0;
}
#define FAILED_ONLY(...) only_failed(&v, mask_of((const int[]){ __VA_ARGS__, -1 }))

static uint32_t mask_of(const int *ids)
{
	uint32_t mask = 0;

	for (; *ids >= 0; ids++)
		mask |= 1u << *ids;
	return mask;
}

static struct forge_how milan(void)
{
	struct forge_how h;

	forge_how_is(&h, PRODUCT_MILAN, false);
	return h;
}

TEST(chains_of_every_product_and_leaf_are_accepted_as_a_test_root_s_and_never_as_hardware)
{
	static const enum verifier_product products[] = { PRODUCT_MILAN, PRODUCT_GENOA, PRODUCT_TURIN };
	struct forge_how h;
	size_t i, vlek;

	for (i = 0; i < ARRAY_LEN(products); i++) {
		for (vlek = 0; vlek < 2; vlek++) {
			forge_how_is(&h, products[i], vlek);
			EXPECT(judged(&h) == RC_OK);
			EXPECT(v.accepted && v.root == ROOT_TEST && v.isolation == ISOLATION_VMPL0_EMULATED);
			EXPECT_INT(v.product, products[i]);
			EXPECT(v.leaf.vlek == vlek);
			EXPECT(strstr(v.check[CHECK_ROOT].says, "TEST ROOT"));
		}
	}
	EXPECT_INT(v.tcb[TCB_REPORTED].part[TCB_FMC], 1);	/* Turin's layout */
	EXPECT_INT(v.tcb[TCB_REPORTED].part[TCB_SNP], 4);
	EXPECT_INT(v.tcb[TCB_REPORTED].part[TCB_MICROCODE], 0x51);
	EXPECT(v.has_mitigations && v.has_cpuid);
}

/* T-200 */
TEST(an_emulator_s_root_is_refused_unless_the_caller_hands_it_in)
{
	struct forge_how h = milan();

	EXPECT(judged(&h) == RC_OK);
	in.root = slice_of(NULL, 0);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(v.check[CHECK_ROOT].result == CHECK_FAILED && v.root == ROOT_NONE && v.isolation == 0);
	EXPECT(strstr(v.check[CHECK_ROOT].says, "test root"));
}

/* T-200 */
TEST(another_root_than_the_one_handed_in_is_refused)
{
	struct forge_how h = milan();
	struct forge other;

	h.ark_key = 2;
	h.ask_signer = 2;
	forge(&h, &other);
	h = milan();
	EXPECT(judged(&h) == RC_OK);
	in.root = slice_of(other.ark, other.ark_len);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(v.check[CHECK_ROOT].result == CHECK_FAILED && v.root == ROOT_NONE);
	in.root = slice_of(other.ask, other.ask_len);	/* not a root at all */
	EXPECT(judged_again() == RC_DENIED);
	in.root = slice_of("nothing", 7);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(v.check[CHECK_CERTIFICATES].result == CHECK_FAILED);
}

/* T-201 */
TEST(a_chain_that_takes_amd_s_names_is_refused_even_when_its_root_is_handed_in)
{
	struct forge_how h = milan();

	h.as_amd = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_ROOT].result == CHECK_FAILED && v.root == ROOT_NONE);
	EXPECT(strstr(v.check[CHECK_ROOT].says, "neither AMD's nor marked"));
}

TEST(a_test_chain_must_carry_its_mark_in_every_certificate)
{
	struct forge_how h = milan();

	h.ask_name = "SEV-Milan";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_INTERMEDIATE));
	h = milan();
	h.leaf_name = "SEV-VCEK";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_LEAF));
	h = milan();
	h.ark_name = "ARK-Milan (TEST ROOT, NOT AMD) really";
	EXPECT(judged(&h) == RC_DENIED);
	h = milan();
	h.ark_name = "ARK-Venice (TEST ROOT, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
}

/* T-202 */
TEST(a_swapped_intermediate_is_refused)
{
	struct forge_how h = milan();
	struct forge other;

	h.ask_key = 2;
	h.leaf_signer = 2;
	forge(&h, &other);	/* same names, same root, another key */
	h = milan();
	EXPECT(judged(&h) == RC_OK);
	in.certs[1] = slice_of(other.ask, other.ask_len);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_LEAF));
	in.certs[3] = slice_of(f.ask, f.ask_len);	/* a decoy beside the right one does no harm */
	in.sources = 4;
	EXPECT(judged_again() == RC_OK);
}

/* T-202 */
TEST(an_intermediate_that_the_root_did_not_sign_is_refused)
{
	struct forge_how h = milan();

	h.ask_signer = 2;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_INTERMEDIATE));
}

/* T-202 */
TEST(a_leaf_that_the_intermediate_did_not_sign_is_refused)
{
	struct forge_how h = milan();

	h.leaf_signer = 0;	/* not even by the root */
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_LEAF));
	h.leaf_signer = 2;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_LEAF));
}

TEST(a_leaf_that_names_another_issuer_is_refused)
{
	struct forge_how h = milan();

	h.leaf_issuer = "SEV-Genoa (TEST, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_CERTIFICATES].result == CHECK_FAILED && v.check[CHECK_LEAF].result == CHECK_FAILED);
}

/* T-202 */
TEST(other_signature_algorithms_are_refused)
{
	struct forge_how h = milan();

	h.salt = 32;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_ROOT, CHECK_INTERMEDIATE, CHECK_LEAF, CHECK_PRODUCT));
	h = milan();
	h.hash = "SHA256";
	EXPECT(judged(&h) == RC_DENIED);
	h = milan();
	h.pkcs1 = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_LEAF].result == CHECK_FAILED);
}

TEST(a_leaf_unlike_amd_s_is_refused)
{
	struct forge_how h = milan();

	h.leaf_serial = 1;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_LEAF));
	h = milan();
	h.usual_extension = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(!v.has_leaf && v.check[CHECK_LEAF].result == CHECK_FAILED);
	h = milan();
	h.duplicate_extension = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(!v.has_leaf);
	h = milan();
	h.skip_spl = 8;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(!v.has_leaf);
	h = milan();
	h.leaf_name = "SEV-VCEK2 (TEST, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_LEAF].result == CHECK_FAILED);
}

/* T-203 */
TEST(each_certificate_must_be_valid_at_the_time_asked_about)
{
	struct forge_how h = milan();

	EXPECT(judged(&h) == RC_OK);
	policy.at = h.leaf_to;
	EXPECT(judged_again() == RC_OK);
	policy.at = h.leaf_to + 1;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VALIDITY));
	policy.at = h.leaf_from - 1;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VALIDITY));
	h.ask_to = FORGE_NOW - 1;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VALIDITY));
	EXPECT(strstr(v.check[CHECK_VALIDITY].says, "intermediate"));
	h = milan();
	h.ark_to = FORGE_NOW - 1;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VALIDITY));
}

/* T-203 */
TEST(an_expired_vlek_is_refused_now_and_accepted_at_the_time_it_was_valid)
{
	struct forge_how h;

	forge_how_is(&h, PRODUCT_MILAN, true);
	h.leaf_to = FORGE_NOW - 3600;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VALIDITY));
	policy.at = FORGE_NOW - 7200;
	EXPECT(judged_again() == RC_OK);
}

/* T-204 */
TEST(a_report_of_another_product_than_its_chain_is_refused)
{
	struct forge_how h = milan();

	h.report.cpuid_model = 0x11;	/* a Genoa */
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_PRODUCT));
	h.report.cpuid_family = 0x1b;	/* nothing we know */
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_PRODUCT));
	h = milan();
	h.product_name = "Genoa";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_PRODUCT));
	h = milan();
	h.product_name = "Milano";
	EXPECT(judged(&h) == RC_DENIED);
	h = milan();
	h.structure = 1;	/* Turin's form */
	EXPECT(judged(&h) == RC_DENIED);
	h = milan();
	h.structure = 2;
	EXPECT(judged(&h) == RC_DENIED);
	h = milan();
	h.ask_name = "SEV-Genoa (TEST, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_INTERMEDIATE));
}

TEST(a_report_without_cpu_identity_takes_the_product_from_the_leaf)
{
	struct forge_how h = milan();

	h.report.version = 2;
	h.report.cpuid_family = 0;
	h.report.cpuid_model = 0;
	EXPECT(judged(&h) == RC_OK);
	EXPECT(!v.has_cpuid && v.product == PRODUCT_MILAN && v.tcb[TCB_REPORTED].part[TCB_SNP] == 8);
}

/* T-205 */
TEST(the_signing_key_must_be_of_the_kind_that_the_report_says)
{
	struct forge_how h = milan();

	h.report.key_info = SNP_SIGNER_VLEK << 2;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	h.report.key_info = SNP_SIGNER_NONE << 2;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	h.report.key_info = SNP_KEY_INFO_MASKED;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	h = milan();
	h.csp_on_vcek = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	forge_how_is(&h, PRODUCT_MILAN, true);
	h.no_csp = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	forge_how_is(&h, PRODUCT_MILAN, true);
	h.hwid_on_vlek = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNER));
	forge_how_is(&h, PRODUCT_MILAN, true);
	h.ask_name = "SEV-Milan (TEST, NOT AMD)";	/* a VLEK under the VCEKs' intermediate */
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_INTERMEDIATE));
}

/* T-205 */
TEST(a_report_of_another_chip_is_refused)
{
	struct forge_how h = milan();

	EXPECT(judged(&h) == RC_OK);
	f.report.chip_id[63] ^= 1;
	forge_sign(&f.report);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_CHIP));
	memset(f.report.chip_id, 0, sizeof(f.report.chip_id));
	forge_sign(&f.report);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_CHIP));
	forge_how_is(&h, PRODUCT_TURIN, false);
	EXPECT(judged(&h) == RC_OK);
	f.report.chip_id[7] ^= 1;
	forge_sign(&f.report);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_CHIP));
	forge_how_is(&h, PRODUCT_MILAN, true);
	h.report.chip_id[0] = 1;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_CHIP));
}

TEST(the_wrapped_form_of_the_hardware_id_is_read_too)
{
	struct forge_how h = milan();

	h.wrapped_hwid = true;
	EXPECT(judged(&h) == RC_OK);
	forge_how_is(&h, PRODUCT_TURIN, false);
	h.wrapped_hwid = true;
	EXPECT(judged(&h) == RC_OK);
	EXPECT_INT(v.leaf.hwid_len, 8);
}

/* T-206 */
TEST(a_leaf_of_another_tcb_is_refused_in_each_component)
{
	struct forge_how h;
	size_t i;

	forge_how_is(&h, PRODUCT_TURIN, false);
	EXPECT(judged(&h) == RC_OK);
	for (i = 0; i < SNP_TCB_LEN; i++) {
		f.report.reported_tcb[i] ^= 0x80;
		forge_sign(&f.report);
		EXPECT(judged_again() == RC_DENIED);
		EXPECT(FAILED_ONLY(CHECK_TCB));
		f.report.reported_tcb[i] ^= 0x80;
	}
}

/* T-206 */
TEST(a_minimum_tcb_holds_for_each_component_of_each_version)
{
	struct forge_how h = milan();
	size_t i;

	EXPECT(judged(&h) == RC_OK);
	EXPECT(v.check[CHECK_MIN_TCB].result == CHECK_NOT_ASKED);
	policy.has_min_tcb = true;
	policy.min_tcb = v.tcb[TCB_REPORTED];
	EXPECT(judged_again() == RC_OK);
	EXPECT(v.check[CHECK_MIN_TCB].result == CHECK_PASSED);
	for (i = 0; i < TCB_PARTS; i++) {
		policy.min_tcb.part[i]++;
		EXPECT(judged_again() == RC_DENIED);
		EXPECT(FAILED_ONLY(CHECK_MIN_TCB));
		policy.min_tcb.part[i]--;
	}
	/* A high component does not make up for a low one: as one number this TCB would be the greater. */
	f.report.launch_tcb[7] = 0xff;
	f.report.launch_tcb[6] = 7;
	forge_sign(&f.report);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_MIN_TCB));
	EXPECT(strstr(v.check[CHECK_MIN_TCB].says, "launch TCB has snp 7"));
}

/* T-207 */
TEST(every_flipped_bit_of_a_report_is_refused)
{
	struct forge_how h = milan();
	uint8_t *p = (uint8_t *)&f.report;
	size_t i;

	EXPECT(judged(&h) == RC_OK);
	for (i = 0; i < SNP_REPORT_LEN; i++) {
		p[i] ^= (uint8_t)(1 << i % 8);
		if (judged_again() != RC_DENIED)
			fail_msg("byte %zu", i);
		p[i] ^= (uint8_t)(1 << i % 8);
	}
	EXPECT(judged_again() == RC_OK);
}

/* T-207 */
TEST(a_signature_by_another_key_or_of_zeros_is_refused)
{
	struct forge_how h = milan();

	h.bad_signature_key = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNATURE));
	memset(f.report.r, 0, sizeof(f.report.r));
	memset(f.report.s, 0, sizeof(f.report.s));
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNATURE));
	memset(f.report.r, 0xff, SNP_SIG_P384);	/* above the group's order */
	memset(f.report.s, 0xff, SNP_SIG_P384);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_SIGNATURE));
}

/* T-202 */
TEST(every_flipped_bit_of_a_certificate_is_refused)
{
	struct forge_how h = milan();
	uint8_t *const der[] = { f.leaf, f.ask, f.ark };
	size_t i, k;

	EXPECT(judged(&h) == RC_OK);
	const size_t len[] = { f.leaf_len, f.ask_len, f.ark_len };

	for (k = 0; k < 3; k++) {
		for (i = k; i < len[k]; i += k ? 7 : 1) {
			/* The root's flips are in the caller's copy as well: the same bytes. */
			der[k][i] ^= (uint8_t)(1 << i % 8);
			if (judged_again() != RC_DENIED)
				fail_msg("certificate %zu, byte %zu", k, i);
			der[k][i] ^= (uint8_t)(1 << i % 8);
		}
	}
	EXPECT(judged_again() == RC_OK);
}

/* T-208 */
TEST(a_guest_that_may_be_debugged_or_migrated_is_refused)
{
	struct forge_how h = milan();

	h.report.policy |= SNP_POLICY_DEBUG;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_DEBUG));
	policy.allow_debug = true;
	EXPECT(judged_again() == RC_OK);
	h = milan();
	h.report.policy |= SNP_POLICY_MIGRATE_MA;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_MIGRATION));
	h = milan();
	h.report.report_id_ma[31] = 0;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_MIGRATION));
	policy.allow_migration = true;
	EXPECT(judged_again() == RC_OK);
}

TEST(further_bits_of_guest_policy_and_platform_are_checked_when_asked)
{
	struct forge_how h = milan();

	h.report.platform_info = SNP_PLATFORM_SMT | SNP_PLATFORM_ECC;
	EXPECT(judged(&h) == RC_OK);
	EXPECT(v.check[CHECK_POLICY].result == CHECK_NOT_ASKED && v.check[CHECK_PLATFORM].result == CHECK_NOT_ASKED);
	policy.policy_clear = SNP_POLICY_SMT;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_POLICY));
	policy.policy_clear = 0;
	policy.policy_set = SNP_POLICY_SINGLE_SOCKET;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_POLICY));
	policy.policy_set = SNP_POLICY_RESERVED_1;
	EXPECT(judged_again() == RC_OK);
	policy.platform_set = SNP_PLATFORM_CIPHERTEXT_HIDING | SNP_PLATFORM_ECC;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_PLATFORM));
	policy.platform_set = 0;
	policy.platform_clear = SNP_PLATFORM_SMT;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_PLATFORM));
}

/* T-209 */
TEST(a_report_of_another_level_is_refused)
{
	struct forge_how h = milan();
	uint32_t vmpl;

	for (vmpl = 1; vmpl < 5; vmpl++) {
		h.report.vmpl = vmpl;
		EXPECT(judged(&h) == RC_DENIED);
		EXPECT(FAILED_ONLY(CHECK_VMPL));
	}
	policy.vmpl = vmpl - 1;
	EXPECT(judged_again() == RC_OK);
	EXPECT(v.isolation == 0);	/* it says nothing about VMPL0 */
	h.report.vmpl = 0;
	EXPECT(judged(&h) == RC_OK);
	policy.vmpl = 1;
	EXPECT(judged_again() == RC_DENIED);
}

/* T-210 */
TEST(another_measurement_is_refused)
{
	struct forge_how h = milan();
	size_t i;

	EXPECT(judged(&h) == RC_OK);
	EXPECT(v.check[CHECK_MEASUREMENT].result == CHECK_NOT_ASKED);
	policy.has_measurement = true;
	memcpy(policy.measurement, h.report.measurement, sizeof(policy.measurement));
	EXPECT(judged_again() == RC_OK);
	for (i = 0; i < sizeof(policy.measurement); i++) {
		policy.measurement[i] ^= 1;
		EXPECT(judged_again() == RC_DENIED);
		EXPECT(FAILED_ONLY(CHECK_MEASUREMENT));
		policy.measurement[i] ^= 1;
	}
}

static void set_nonce(const char *nonce, size_t len)
{
	memcpy(policy.nonce, nonce, len);
	policy.nonce_len = len;
}

/* T-218 */
TEST(a_store_of_another_owner_or_of_none_is_refused_when_one_is_asked_for)
{
	struct forge_how h = milan();
	uint8_t manifest[512];
	size_t len = forge_manifest(manifest, sizeof(manifest));
	struct slice nonce = slice_str("a nonce of this caller"), m = slice_of(manifest, len);

	EXPECT(verifier_report_data(nonce, m, h.report.report_data) == RC_OK);
	EXPECT(judged(&h) == RC_OK && v.check[CHECK_OWNER].result == CHECK_NOT_ASKED);
	in.manifest = m;
	set_nonce("a nonce of this caller", 22);
	policy.has_owner = true;
	memset(policy.owner, 0x0e, sizeof(policy.owner));
	EXPECT(judged_again() == RC_OK && v.check[CHECK_OWNER].result == CHECK_PASSED);
	EXPECT(v.manifest.kms.evidence.config_version == 7);
	policy.owner[31] ^= 1;
	EXPECT(judged_again() == RC_DENIED && FAILED_ONLY(CHECK_OWNER));
	policy.owner[31] ^= 1;
	in.manifest = slice_of(NULL, 0);
	policy.nonce_len = 0;
	EXPECT(judged_again() == RC_DENIED && FAILED_ONLY(CHECK_OWNER));
}

/* T-211 */
TEST(another_nonce_or_manifest_is_refused)
{
	struct forge_how h = milan();
	uint8_t manifest[512];
	size_t len = forge_manifest(manifest, sizeof(manifest));
	struct slice nonce = slice_str("a nonce of this caller"), m = slice_of(manifest, len);

	EXPECT(verifier_report_data(nonce, m, h.report.report_data) == RC_OK);
	EXPECT(judged(&h) == RC_OK);
	EXPECT(v.check[CHECK_REPORT_DATA].result == CHECK_NOT_ASKED && v.check[CHECK_MANIFEST].result == CHECK_NOT_ASKED);
	in.manifest = m;
	set_nonce("a nonce of this caller", 22);
	EXPECT(judged_again() == RC_OK);
	EXPECT(v.check[CHECK_REPORT_DATA].result == CHECK_PASSED && v.check[CHECK_MANIFEST].result == CHECK_PASSED);
	EXPECT(v.manifest.has_kms && v.manifest.count == 2 && v.manifest.kms.service[0] == 0x5e);
	manifest[len - 150] ^= 1;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_REPORT_DATA));
	manifest[len - 150] ^= 1;
	policy.nonce[3] ^= 1;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_REPORT_DATA));
	policy.nonce[3] ^= 1;
	in.manifest = slice_of(NULL, 0);	/* the nonce alone is not what the monitor signs */
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_REPORT_DATA));
	in.manifest = m;
	policy.nonce_len = 0;	/* nor is a manifest anything without its nonce */
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_REPORT_DATA));
}

TEST(a_nonce_of_64_bytes_is_taken_as_it_is_and_any_other_is_hashed)
{
	struct forge_how h = milan();
	uint8_t nonce[64];

	memset(nonce, 0x6e, sizeof(nonce));
	memcpy(h.report.report_data, nonce, sizeof(nonce));
	EXPECT(judged(&h) == RC_OK);
	set_nonce((const char *)nonce, 64);
	EXPECT(judged_again() == RC_OK);
	set_nonce((const char *)nonce, 63);	/* zero padding is not a nonce's expansion */
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(verifier_report_data(slice_of(nonce, 63), slice_of(NULL, 0), h.report.report_data) == RC_OK);
	EXPECT(judged(&h) == RC_OK);
	set_nonce((const char *)nonce, 63);
	EXPECT(judged_again() == RC_OK);
	EXPECT(verifier_report_data(slice_of(nonce, 0), slice_of(NULL, 0), nonce) == RC_BAD_INPUT);
}

/* T-211 */
TEST(a_manifest_without_the_key_service_is_refused_though_it_is_signed)
{
	struct forge_how h = milan();
	uint8_t manifest[512];
	size_t len = forge_manifest(manifest, sizeof(manifest));

	manifest[24 + 24] ^= 1;	/* the second service's GUID */
	EXPECT(verifier_report_data(slice_str("n"), slice_of(manifest, len), h.report.report_data) == RC_OK);
	EXPECT(judged(&h) == RC_OK);
	in.manifest = slice_of(manifest, len);
	set_nonce("n", 1);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_MANIFEST));
	EXPECT(verifier_report_data(slice_str("n"), slice_of(manifest, len - 1), f.report.report_data) == RC_OK);
	forge_sign(&f.report);
	in.manifest = slice_of(manifest, len - 1);
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_MANIFEST));
}

/* T-212 */
TEST(report_versions_newer_than_known_are_refused_unless_allowed)
{
	struct forge_how h = milan();
	uint32_t version;

	for (version = 2; version <= 5; version++) {
		h.report.version = version;
		EXPECT(judged(&h) == RC_OK);
		EXPECT(v.has_cpuid == (version >= 3) && v.has_mitigations == (version >= 5));
	}
	h.report.version = 6;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(FAILED_ONLY(CHECK_VERSION));
	policy.allow_unknown_version = true;
	EXPECT(judged_again() == RC_OK);
	h.report.version = 1;
	EXPECT(judged(&h) == RC_DENIED);
	policy.allow_unknown_version = true;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(!v.has_report && v.check[CHECK_FORMAT].result == CHECK_FAILED);
}

TEST(without_a_report_or_without_certificates_everything_has_failed)
{
	struct forge_how h = milan();
	size_t i;

	EXPECT(judged(&h) == RC_OK);
	in.sources = 0;
	EXPECT(judged_again() == RC_DENIED);
	for (i = CHECK_CERTIFICATES; i <= CHECK_SIGNATURE; i++)
		EXPECT(v.check[i].result == CHECK_FAILED && v.check[i].says[0]);
	forge_ask(&f, &in, &policy);
	in.report = slice_of("", 0);
	EXPECT(judged_again() == RC_DENIED);
	for (i = 0; i < CHECKS; i++)
		EXPECT(v.check[i].says[0]);
	EXPECT(v.check[CHECK_VMPL].result == CHECK_FAILED && v.check[CHECK_DEBUG].result == CHECK_FAILED);
	EXPECT(v.check[CHECK_SIGNATURE].result == CHECK_FAILED && v.check[CHECK_MEASUREMENT].result == CHECK_FAILED);
}

TEST(a_certificate_table_serves_as_well_and_each_truncation_of_it_is_refused)
{
	struct forge_how h = milan();
	static uint8_t table[3 * FORGE_DER];
	size_t len, i;

	EXPECT(judged(&h) == RC_OK);
	len = forge_cert_table(&f, false, table, sizeof(table));
	in.certs[0] = slice_of(table, len);
	in.sources = 1;
	in.root = slice_of(f.ark, f.ark_len);
	EXPECT(judged_again() == RC_OK);
	for (i = 0; i < len; i += i < 128 ? 1 : 61) {
		uint8_t *cut = test_fence(table, i);

		in.certs[0] = slice_of(cut, i);
		EXPECT(judged_again() == RC_DENIED);
		test_fence_free(cut, i);
	}
	memset(table, 0x77, 16);	/* an unknown GUID: the certificate itself says what it is */
	in.certs[0] = slice_of(table, len);
	EXPECT(judged_again() == RC_OK);
}

TEST(more_certificates_than_there_is_room_for_are_refused)
{
	struct forge_how h = milan();
	static uint8_t many[30 * 2048];
	size_t i, len = 0;

	EXPECT(judged(&h) == RC_OK);
	for (i = 0; i < 25; i++, len += f.leaf_len) {
		EXPECT(len + f.leaf_len <= sizeof(many));
		memcpy(many + len, f.leaf, f.leaf_len);
	}
	in.certs[3] = slice_of(many, len);
	in.sources = 4;
	EXPECT(judged_again() == RC_DENIED);
	EXPECT(v.check[CHECK_CERTIFICATES].result == CHECK_FAILED);
}
