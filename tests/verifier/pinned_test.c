/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a pinned root leads to, with real names and no real key: this program brings its own roots.c, in
 * which the pin for Milan is a key made here.
 */
#include "tests/test.h"
#include "tests/verifier/forge.h"
#include "verifier/internal.h"

static uint8_t pin[CRYPTO_SHA384_LEN];

enum verifier_product root_product(const uint8_t key_sha384[CRYPTO_SHA384_LEN])
{
	return memcmp(pin, key_sha384, sizeof(pin)) == 0 ? PRODUCT_MILAN : PRODUCT_UNKNOWN;
}

bool verifier_is_root(const uint8_t key_sha384[CRYPTO_SHA384_LEN])
{
	return root_product(key_sha384) != PRODUCT_UNKNOWN;
}

static struct verifier_input in;
static struct verifier_policy policy;
static struct verifier_verdict v;
static struct forge f;
static uint8_t manifest[512];

static enum rc judged(const struct forge_how *h)
{
	struct crypto_cert *ark;
	size_t n;

	forge(h, &f);
	EXPECT(crypto_certs_read(slice_of(f.ark, f.ark_len), &ark, 1, &n) == RC_OK);
	memcpy(pin, crypto_cert_info(ark)->key_sha384, sizeof(pin));
	crypto_cert_free(ark);
	forge_ask(&f, &in, &policy);
	in.root = slice_of(NULL, 0);
	return verifier_judge(&in, &policy, &v);
}

static struct forge_how milan(void)
{
	struct forge_how h;

	forge_how_is(&h, PRODUCT_MILAN, false);
	h.as_amd = true;
	return h;
}

TEST(the_isolation_is_hardware_s_only_when_code_nonce_and_manifest_were_asked_for)
{
	struct forge_how h = milan();
	size_t len = forge_manifest(manifest, sizeof(manifest));

	EXPECT(verifier_report_data(slice_str("n"), slice_of(manifest, len), h.report.report_data) == RC_OK);
	EXPECT(judged(&h) == RC_OK);
	EXPECT(v.root == ROOT_AMD && v.isolation == 0);
	policy.has_measurement = true;
	memcpy(policy.measurement, h.report.measurement, sizeof(policy.measurement));
	EXPECT(verifier_judge(&in, &policy, &v) == RC_OK);
	EXPECT(v.isolation == 0);
	policy.nonce[0] = 'n';
	policy.nonce_len = 1;
	in.manifest = slice_of(manifest, len);
	EXPECT(verifier_judge(&in, &policy, &v) == RC_OK);
	EXPECT(v.root == ROOT_AMD && v.isolation == ISOLATION_VMPL0_SNP);
	policy.has_measurement = false;
	EXPECT(verifier_judge(&in, &policy, &v) == RC_OK);
	EXPECT(v.isolation == 0);
}

/* T-201 */
TEST(a_pinned_key_under_another_name_or_product_is_refused)
{
	struct forge_how h = milan();

	h.ark_name = "ARK-Genoa";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_ROOT].result == CHECK_FAILED && v.root == ROOT_NONE);
	forge_how_is(&h, PRODUCT_GENOA, false);
	h.as_amd = true;
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_ROOT].result == CHECK_FAILED);
	h = milan();
	h.ark_name = "ARK-Milan (TEST ROOT, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
}

TEST(a_chain_with_test_marks_under_a_pinned_root_is_refused)
{
	struct forge_how h = milan();

	h.ask_name = "SEV-Milan (TEST, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_INTERMEDIATE].result == CHECK_FAILED);
	h = milan();
	h.leaf_name = "SEV-VCEK (TEST, NOT AMD)";
	EXPECT(judged(&h) == RC_DENIED);
	EXPECT(v.check[CHECK_LEAF].result == CHECK_FAILED);
}

/* T-200 */
TEST(a_test_root_handed_in_beside_a_pinned_chain_changes_nothing)
{
	struct forge_how h = milan(), t;
	static struct forge test;

	forge_how_is(&t, PRODUCT_MILAN, false);
	t.ark_key = 2;
	t.ask_signer = 2;
	forge(&t, &test);
	EXPECT(judged(&h) == RC_OK);
	in.root = slice_of(test.ark, test.ark_len);
	EXPECT(verifier_judge(&in, &policy, &v) == RC_OK);
	EXPECT(v.root == ROOT_AMD);
}
