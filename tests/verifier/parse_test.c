/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier's parsers: reports, manifests, certificate tables. */
#include "tests/test.h"
#include "tests/verifier/forge.h"

static struct snp_report plain(void)
{
	return (struct snp_report){ .version = 2, .signature_algo = SNP_SIG_ECDSA_P384_SHA384 };
}

TEST(a_report_is_refused_at_every_other_length)
{
	struct snp_report r = plain(), out;
	uint8_t longer[SNP_REPORT_LEN + 1] = { 0 };
	size_t i;

	EXPECT(verifier_report_parse(slice_of(&r, sizeof(r)), &out) == RC_OK);
	for (i = 0; i < sizeof(r); i++) {
		uint8_t *cut = test_fence(&r, i);

		EXPECT(verifier_report_parse(slice_of(cut, i), &out) == RC_BAD_INPUT);
		test_fence_free(cut, i);
	}
	memcpy(longer, &r, sizeof(r));
	EXPECT(verifier_report_parse(slice_of(longer, sizeof(longer)), &out) == RC_BAD_INPUT);
	EXPECT(verifier_report_parse(slice_of(NULL, 0), &out) == RC_BAD_INPUT);
}

TEST(unsigned_bytes_of_a_report_must_be_zero)
{
	struct snp_report r = plain(), out;
	uint8_t *p = (uint8_t *)&r;
	size_t i;

	for (i = SNP_REPORT_SIGNED_LEN; i < sizeof(r); i++) {
		bool signature = (i >= 0x2a0 && i < 0x2a0 + 48) || (i >= 0x2e8 && i < 0x2e8 + 48);

		p[i] = 1;
		EXPECT((verifier_report_parse(slice_of(&r, sizeof(r)), &out) == RC_OK) == signature);
		p[i] = 0;
	}
}

TEST(a_report_with_another_signature_algorithm_is_refused)
{
	struct snp_report r = plain(), out;

	r.signature_algo = 0;
	EXPECT(verifier_report_parse(slice_of(&r, sizeof(r)), &out) == RC_BAD_INPUT);
	r.signature_algo = 2;
	EXPECT(verifier_report_parse(slice_of(&r, sizeof(r)), &out) == RC_BAD_INPUT);
}

TEST(tcb_versions_are_read_in_their_product_s_layout)
{
	static const uint8_t raw[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct verifier_tcb t;

	EXPECT(verifier_tcb_decode(PRODUCT_MILAN, raw, &t));
	EXPECT_MEM(t.part, ((const uint8_t[]){ 0, 1, 2, 7, 8 }), TCB_PARTS);
	EXPECT(verifier_tcb_decode(PRODUCT_GENOA, raw, &t));
	EXPECT_MEM(t.part, ((const uint8_t[]){ 0, 1, 2, 7, 8 }), TCB_PARTS);
	EXPECT(verifier_tcb_decode(PRODUCT_TURIN, raw, &t));
	EXPECT_MEM(t.part, ((const uint8_t[]){ 1, 2, 3, 4, 8 }), TCB_PARTS);
	EXPECT(!verifier_tcb_decode(PRODUCT_UNKNOWN, raw, &t));
	EXPECT(!verifier_tcb_decode(PRODUCTS, raw, &t));
}

TEST(cpus_belong_to_products_and_unknown_ones_to_none)
{
	EXPECT(verifier_product_of_cpu(0x19, 0x01) == PRODUCT_MILAN);
	EXPECT(verifier_product_of_cpu(0x19, 0x11) == PRODUCT_GENOA);
	EXPECT(verifier_product_of_cpu(0x19, 0xa0) == PRODUCT_GENOA);
	EXPECT(verifier_product_of_cpu(0x1a, 0x02) == PRODUCT_TURIN);
	EXPECT(verifier_product_of_cpu(0x19, 0x20) == PRODUCT_UNKNOWN);
	EXPECT(verifier_product_of_cpu(0x1a, 0x12) == PRODUCT_UNKNOWN);
	EXPECT(verifier_product_of_cpu(0x17, 0x31) == PRODUCT_UNKNOWN);
	EXPECT(verifier_product_of_cpu(0, 0) == PRODUCT_UNKNOWN);
}

TEST(a_manifest_is_refused_at_every_other_length)
{
	uint8_t m[512];
	size_t len = forge_manifest(m, sizeof(m)), i;
	struct verifier_manifest out;

	EXPECT(verifier_manifest_parse(slice_of(m, len), &out) == RC_OK);
	EXPECT(out.table && out.has_kms && out.count == 2 && out.service[0].len == 10);
	EXPECT_INT(out.kms.protocol, 0xC0534B4D);
	for (i = 0; i < len; i++) {
		uint8_t *cut = test_fence(m, i);

		EXPECT(verifier_manifest_parse(slice_of(cut, i), &out) == RC_BAD_INPUT);
		test_fence_free(cut, i);
	}
	m[len] = 0;
	EXPECT(verifier_manifest_parse(slice_of(m, len + 1), &out) == RC_BAD_INPUT);
}

/* Writes v over the 32 bits at off of a good manifest. */
static enum rc bent(size_t off, uint32_t v)
{
	uint8_t m[512];
	size_t len = forge_manifest(m, sizeof(m));
	struct verifier_manifest out;

	memcpy(m + off, &v, 4);
	return verifier_manifest_parse(slice_of(m, len), &out);
}

TEST(a_manifest_with_lengths_that_lie_is_refused)
{
	static const uint32_t values[] = { 0, 1, 9, 11, 71, 73, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff6 };
	static const size_t fields[] = { 16, 20, 40, 44, 64, 68 };
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(fields); i++)
		for (k = 0; k < ARRAY_LEN(values); k++)
			EXPECT(bent(fields[i], values[k]) == RC_BAD_INPUT);
	EXPECT(bent(20, 1) == RC_BAD_INPUT);
	EXPECT(bent(20, 3) == RC_BAD_INPUT);
	EXPECT(bent(20, VERIFIER_SERVICES + 1) == RC_BAD_INPUT);
	EXPECT(bent(24 + 48 + 10, 2) == RC_BAD_INPUT);	/* the key service's manifest has another version */
}

TEST(a_manifest_that_names_a_service_twice_is_refused)
{
	uint8_t m[512];
	size_t len = forge_manifest(m, sizeof(m));
	struct verifier_manifest out;

	memcpy(m + 24 + 24, m + 24, 16);
	EXPECT(verifier_manifest_parse(slice_of(m, len), &out) == RC_BAD_INPUT);
}

TEST(the_key_service_s_manifest_alone_is_read_too)
{
	uint8_t m[512];
	size_t len = forge_manifest(m, sizeof(m)), i;
	struct verifier_manifest out;
	const uint8_t *alone = m + len - sizeof(struct attest_kms_manifest);

	EXPECT(verifier_manifest_parse(slice_of(alone, 264), &out) == RC_OK);
	EXPECT(!out.table && out.has_kms && out.count == 1 && out.kms.platform[47] == 0x9f);
	for (i = 0; i < 264; i++) {
		uint8_t *cut = test_fence(alone, i);

		EXPECT(verifier_manifest_parse(slice_of(cut, i), &out) == RC_BAD_INPUT);
		test_fence_free(cut, i);
	}
}

TEST(a_certificate_table_without_end_or_with_entries_outside_is_refused)
{
	struct snp_cert_entry t[4] = { { { 1 }, 72, 8 }, { { 2 }, 80, 16 } };
	struct slice out[3];
	size_t count, i;

	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 3, &count) == RC_OK);
	EXPECT(count == 2 && out[1].len == 16 && out[1].p == (uint8_t *)t + 80);
	for (i = 0; i < 96; i++) {
		uint8_t *cut = test_fence(t, i);

		EXPECT(verifier_cert_table_parse(slice_of(cut, i), out, 3, &count) == RC_BAD_INPUT);
		test_fence_free(cut, i);
	}
	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 1, &count) == RC_BAD_INPUT);
	t[1].len = 17;
	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 3, &count) == RC_BAD_INPUT);
	t[1].len = UINT32_MAX;
	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 3, &count) == RC_BAD_INPUT);
	t[1] = (struct snp_cert_entry){ { 2 }, UINT32_MAX, 2 };
	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 3, &count) == RC_BAD_INPUT);
	t[1] = (struct snp_cert_entry){ { 2 }, 71, 1 };	/* into the entries */
	EXPECT(verifier_cert_table_parse(slice_of(t, sizeof(t)), out, 3, &count) == RC_BAD_INPUT);
}

TEST(every_truncation_of_a_certificate_is_refused)
{
	struct forge_how h;
	static struct forge f;
	struct crypto_cert *c[2];
	size_t n, i;

	forge_how_is(&h, PRODUCT_MILAN, false);
	forge(&h, &f);
	for (i = 0; i < f.leaf_len; i++) {
		uint8_t *cut = test_fence(f.leaf, i);

		EXPECT(crypto_certs_read(slice_of(cut, i), c, 2, &n) == RC_BAD_INPUT);
		test_fence_free(cut, i);
	}
	EXPECT(crypto_certs_read(slice_of(f.leaf, f.leaf_len + 1), c, 2, &n) == RC_BAD_INPUT);	/* a zero behind it */
	EXPECT(crypto_certs_read(slice_of(f.leaf, f.leaf_len), c, 2, &n) == RC_OK);
	EXPECT(n == 1);
	crypto_cert_free(c[0]);
}
