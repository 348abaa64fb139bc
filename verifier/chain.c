/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain, by hand: ARK (self-signed, pinned) -> ASK -> VCEK, or ARK -> ASVK -> VLEK, and what ties the leaf
 * to the report. AMD publications 57230 (certificates) and 56860 (report).
 *
 * A test chain follows the same rules under names that say what it is; it counts only when the caller handed
 * in its very root key, and never as AMD's.
 */
#include <stdio.h>

#include "verifier/internal.h"

static const struct crypto_cert_info *info(const struct verifier_case *c, enum verifier_cert_role r)
{
	return c->cert[r] ? crypto_cert_info(c->cert[r]) : NULL;
}

/* prefix + middle + mark, the only name that a role may carry */
static bool is_named(const char *name, const char *prefix, const char *middle, const char *mark)
{
	struct slice s = slice_str(name);
	const char *const parts[] = { prefix, middle, mark };
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		if (!slice_starts(s, parts[i]))
			return false;
		s = slice_of(s.p + strlen(parts[i]), s.len - strlen(parts[i]));
	}
	return s.len == 0;
}

static const char *mark_of(const struct verifier_case *c, const char *test)
{
	return c->v->root == ROOT_TEST ? test : "";
}

/* ---- root ---- */

/* The product in the name of a test root. */
static enum verifier_product test_root_product(const char *name)
{
	size_t p;

	for (p = PRODUCT_UNKNOWN + 1; p < PRODUCTS; p++)
		if (is_named(name, "ARK-", verifier_product_name((enum verifier_product)p), TEST_ROOT_MARK))
			return (enum verifier_product)p;
	return PRODUCT_UNKNOWN;
}

static void judge_unpinned(struct verifier_case *c, const struct crypto_cert_info *ark)
{
	const struct crypto_cert_info *given = c->root ? crypto_cert_info(c->root) : NULL;
	enum verifier_product p = test_root_product(ark->subject);

	if (!given)
		judge(c->v, CHECK_ROOT, false, "the chain ends at \"%s\", which is no root of AMD%s", ark->subject,
		      p ? "; it is a test root, and none was accepted by the caller" : "");
	else if (memcmp(given->key_sha384, ark->key_sha384, sizeof(ark->key_sha384)) != 0)
		judge(c->v, CHECK_ROOT, false, "the chain ends at \"%s\", which is neither AMD's nor the root given",
		      ark->subject);
	else if (!p)
		judge(c->v, CHECK_ROOT, false,
		      "the root given, \"%s\", is neither AMD's nor marked as a test root", ark->subject);
	else if (judge(c->v, CHECK_ROOT, crypto_cert_signed_by(c->cert[CERT_ARK], c->cert[CERT_ARK]) == RC_OK,
		       "\"%s\" is the TEST ROOT that the caller accepts; it shows nothing about hardware",
		       ark->subject))
		c->v->root = ROOT_TEST;
}

/* Returns the product that the root speaks for. */
static enum verifier_product judge_root(struct verifier_case *c)
{
	const struct crypto_cert_info *ark = info(c, CERT_ARK);
	enum verifier_product p;

	if (!ark) {
		judge(c->v, CHECK_ROOT, false, "there is no root certificate");
		return PRODUCT_UNKNOWN;
	}
	p = root_product(ark->key_sha384);
	if (p == PRODUCT_UNKNOWN) {
		judge_unpinned(c, ark);
		return c->v->root == ROOT_TEST ? test_root_product(ark->subject) : PRODUCT_UNKNOWN;
	}
	if (!crypto_cert_names_issuer(c->cert[CERT_ARK], c->cert[CERT_ARK]) ||
	    crypto_cert_signed_by(c->cert[CERT_ARK], c->cert[CERT_ARK]) != RC_OK ||
	    !is_named(ark->subject, "ARK-", verifier_product_name(p), "")) {
		judge(c->v, CHECK_ROOT, false, "\"%s\" has AMD's key but is not AMD's self-signed certificate",
		      ark->subject);
		return PRODUCT_UNKNOWN;
	}
	c->v->root = ROOT_AMD;
	judge(c->v, CHECK_ROOT, true, "\"%s\" is AMD's root for %s, by its public key", ark->subject,
	      verifier_product_name(p));
	return p;
}

/* ---- intermediate and leaf ---- */

static void judge_intermediate(struct verifier_case *c, enum verifier_product p)
{
	const struct crypto_cert_info *ask = info(c, CERT_ASK), *leaf = info(c, CERT_LEAF);
	bool vlek = leaf && slice_starts(slice_str(leaf->subject), "SEV-VLEK");

	if (!ask || !c->cert[CERT_ARK])
		judge(c->v, CHECK_INTERMEDIATE, false, "there is no intermediate certificate with its root");
	else if (crypto_cert_signed_by(c->cert[CERT_ASK], c->cert[CERT_ARK]) != RC_OK)
		judge(c->v, CHECK_INTERMEDIATE, false, "\"%s\" was not signed by \"%s\"", ask->subject,
		      info(c, CERT_ARK)->subject);
	else
		judge(c->v, CHECK_INTERMEDIATE,
		      p != PRODUCT_UNKNOWN && ask->key == CRYPTO_KEY_RSA4096 &&
			      is_named(ask->subject, vlek ? "SEV-VLEK-" : "SEV-", verifier_product_name(p),
				       mark_of(c, TEST_MARK)),
		      "\"%s\" was signed by the root; it must be the one for %s and this kind of leaf", ask->subject,
		      verifier_product_name(p));
}

static void judge_leaf(struct verifier_case *c)
{
	const struct crypto_cert_info *leaf = info(c, CERT_LEAF);
	bool named;

	if (!leaf || !c->cert[CERT_ASK]) {
		judge(c->v, CHECK_LEAF, false, "there is no leaf certificate with its issuer");
		return;
	}
	named = is_named(leaf->subject, "SEV-VCEK", "", mark_of(c, TEST_MARK)) ||
		is_named(leaf->subject, "SEV-VLEK", "", mark_of(c, TEST_MARK));
	if (crypto_cert_signed_by(c->cert[CERT_LEAF], c->cert[CERT_ASK]) != RC_OK)
		judge(c->v, CHECK_LEAF, false, "\"%s\" was not signed by \"%s\"", leaf->subject,
		      info(c, CERT_ASK)->subject);
	else if (!c->v->has_leaf)
		judge(c->v, CHECK_LEAF, false, "\"%s\" lacks AMD's extensions, or has others", leaf->subject);
	else
		judge(c->v, CHECK_LEAF, named && leaf->serial_zero && leaf->key == CRYPTO_KEY_P384,
		      "\"%s\" was signed by \"%s\"; serial number 0, P-384 key, only AMD's extensions", leaf->subject,
		      info(c, CERT_ASK)->subject);
}

static void judge_validity(struct verifier_case *c)
{
	static const char *const roles[CERT_ROLES] = { "root", "intermediate", "leaf" };
	int64_t at = c->policy->at;
	size_t i;

	for (i = 0; i < CERT_ROLES; i++) {
		const struct crypto_cert_info *x = info(c, (enum verifier_cert_role)i);

		if (!x || at < x->not_before || at > x->not_after) {
			judge(c->v, CHECK_VALIDITY, false, "the %s certificate is %s at the time asked about", roles[i],
			      !x ? "missing" : at < x->not_before ? "not valid yet" : "no longer valid");
			return;
		}
	}
	judge(c->v, CHECK_VALIDITY, true, "all three certificates are valid at the time asked about");
}

/* ---- the leaf and the report ---- */

/* Root, leaf and, where it says so, the CPU must be of one product, and the leaf in that product's form. */
static void judge_product(struct verifier_case *c, enum verifier_product root)
{
	struct verifier_verdict *v = c->v;
	enum verifier_product cpu = v->has_cpuid ? verifier_product_of_cpu(v->report.cpuid_family,
									   v->report.cpuid_model) :
						   v->leaf.by_name;
	const char *said = v->has_cpuid ? verifier_product_name(cpu) : "nothing";

	if (!v->has_leaf || !v->has_report) {
		judge(v, CHECK_PRODUCT, false, "there is no leaf or no report to compare");
		return;
	}
	judge(v, CHECK_PRODUCT,
	      root != PRODUCT_UNKNOWN && v->leaf.by_name == root && cpu == root &&
		      v->leaf.structure_version == (root == PRODUCT_TURIN),
	      "the root is for %s, the leaf for \"%s\" (form %u), the report's CPU says %s",
	      verifier_product_name(root), v->leaf.product, (unsigned)v->leaf.structure_version, said);
}

static void judge_signer(struct verifier_verdict *v)
{
	uint32_t signer = SNP_KEY_INFO_SIGNER(v->report.key_info);
	bool fits;

	if (!v->has_leaf || !v->has_report) {
		judge(v, CHECK_SIGNER, false, "there is no leaf or no report to compare");
		return;
	}
	if (v->leaf.vlek)
		fits = signer == SNP_SIGNER_VLEK && v->leaf.csp_id[0] && !v->leaf.hwid_len;
	else
		fits = signer == SNP_SIGNER_VCEK && !v->leaf.csp_id[0] && v->leaf.hwid_len;
	judge(v, CHECK_SIGNER, fits && !(v->report.key_info & SNP_KEY_INFO_MASKED),
	      "the report says it was signed with %s, the leaf is a %s", signer == SNP_SIGNER_VCEK ? "a VCEK" :
	      signer == SNP_SIGNER_VLEK ? "a VLEK" : "no key", v->leaf.vlek ? "VLEK" : "VCEK");
}

static void judge_chip(struct verifier_verdict *v)
{
	static const uint8_t none[sizeof(v->report.chip_id)];

	if (!v->has_leaf || !v->has_report)
		judge(v, CHECK_CHIP, false, "there is no leaf or no report to compare");
	else if (v->leaf.vlek)
		judge(v, CHECK_CHIP, memcmp(v->report.chip_id, none, sizeof(none)) == 0,
		      "a report signed with a VLEK names no chip");
	else if (memcmp(v->report.chip_id, none, sizeof(none)) == 0)
		judge(v, CHECK_CHIP, false, "the host masks the chip id: the report cannot be tied to a VCEK");
	else
		judge(v, CHECK_CHIP,
		      v->leaf.hwid_len && memcmp(v->report.chip_id, v->leaf.hwid, v->leaf.hwid_len) == 0,
		      "the chip id of the report must be the hardware id of the leaf");
}

static void judge_tcb(struct verifier_verdict *v)
{
	if (!v->has_leaf || !v->has_report)
		judge(v, CHECK_TCB, false, "there is no leaf or no report to compare");
	else
		judge(v, CHECK_TCB, memcmp(v->leaf.tcb, v->report.reported_tcb, SNP_TCB_LEN) == 0,
		      "each component of REPORTED_TCB must be the leaf's");
}

static void judge_signature(struct verifier_case *c)
{
	uint8_t r[SNP_SIG_P384], s[SNP_SIG_P384];
	size_t i;
	enum rc rc;

	if (!c->cert[CERT_LEAF] || !c->v->has_report) {
		judge(c->v, CHECK_SIGNATURE, false, "there is no leaf or no report");
		return;
	}
	for (i = 0; i < SNP_SIG_P384; i++) {	/* little-endian in the report */
		r[i] = c->v->report.r[SNP_SIG_P384 - 1 - i];
		s[i] = c->v->report.s[SNP_SIG_P384 - 1 - i];
	}
	rc = crypto_cert_p384_verify(c->cert[CERT_LEAF], slice_of(&c->v->report, SNP_REPORT_SIGNED_LEN), r, s);
	c->machine |= rc == RC_MACHINE;
	judge(c->v, CHECK_SIGNATURE, rc == RC_OK, rc == RC_OK ? "the leaf's key signed the report" :
								"the leaf's key did not sign this report");
}

void case_chain(struct verifier_case *c)
{
	enum verifier_product root = judge_root(c);

	judge_intermediate(c, root);
	judge_leaf(c);
	judge_validity(c);
	judge_product(c, root);
	judge_signer(c->v);
	judge_chip(c->v);
	judge_tcb(c->v);
	judge_signature(c);
}
