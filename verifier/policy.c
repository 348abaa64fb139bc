/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller demands of a report whose origin chain.c has judged. */
#include <stdio.h>

#include "verifier/internal.h"

static void judge_version(struct verifier_case *c)
{
	uint32_t version = c->v->report.version;

	/* Below 2 there is no report: the parser has refused it. */
	judge(c->v, CHECK_VERSION, version <= 5 || c->policy->allow_unknown_version, "report version %u%s", version,
	      version <= 5 ? "" : ", which is newer than this verifier");
}

static void judge_min_tcb(struct verifier_case *c)
{
	struct verifier_verdict *v = c->v;
	size_t k, p;

	if (!c->policy->has_min_tcb) {
		not_asked(v, CHECK_MIN_TCB, "no minimum TCB was asked for: old firmware with known flaws passes");
		return;
	}
	if (v->product == PRODUCT_UNKNOWN) {
		judge(v, CHECK_MIN_TCB, false, "the product is unknown, and with it the layout of TCB versions");
		return;
	}
	for (k = 0; k < TCB_KINDS; k++)
		for (p = 0; p < TCB_PARTS; p++)
			if (v->tcb[k].part[p] < c->policy->min_tcb.part[p]) {
				judge(v, CHECK_MIN_TCB, false, "the %s TCB has %s %u, at least %u was asked for",
				      verifier_tcb_kind_name((enum verifier_tcb_kind)k),
				      verifier_tcb_part_name((enum verifier_tcb_part)p), v->tcb[k].part[p],
				      c->policy->min_tcb.part[p]);
				return;
			}
	judge(v, CHECK_MIN_TCB, true, "reported, current, committed and launch TCB are not below the minimum");
}

/* Bits of the guest policy that make a guest no secret to its host, whatever else it says. */
static void judge_guest_policy(struct verifier_case *c)
{
	const struct verifier_policy *p = c->policy;
	const struct snp_report *r = &c->v->report;
	bool debug = r->policy & SNP_POLICY_DEBUG, agent = r->policy & SNP_POLICY_MIGRATE_MA;
	size_t i;

	for (i = 0; i < sizeof(r->report_id_ma); i++)
		agent |= r->report_id_ma[i] != 0xff;
	judge(c->v, CHECK_DEBUG, !debug || p->allow_debug,
	      debug ? "debugging is allowed: the host can read and write the guest" : "debugging is not allowed");
	judge(c->v, CHECK_MIGRATION, !agent || p->allow_migration,
	      agent ? "a migration agent is attached or may be" : "no migration agent");
	if (!p->policy_set && !p->policy_clear)
		not_asked(c->v, CHECK_POLICY, "no further bits of the guest policy were asked for");
	else
		judge(c->v, CHECK_POLICY,
		      (r->policy & p->policy_set) == p->policy_set && !(r->policy & p->policy_clear),
		      "guest policy 0x%llx; must be set 0x%llx, must be clear 0x%llx", (unsigned long long)r->policy,
		      (unsigned long long)p->policy_set, (unsigned long long)p->policy_clear);
}

static void judge_platform(struct verifier_case *c)
{
	const struct verifier_policy *p = c->policy;
	uint64_t info = c->v->report.platform_info;

	if (!p->platform_set && !p->platform_clear)
		not_asked(c->v, CHECK_PLATFORM, "no bits of the platform info were asked for");
	else
		judge(c->v, CHECK_PLATFORM,
		      (info & p->platform_set) == p->platform_set && !(info & p->platform_clear),
		      "platform info 0x%llx; must be set 0x%llx, must be clear 0x%llx", (unsigned long long)info,
		      (unsigned long long)p->platform_set, (unsigned long long)p->platform_clear);
}

static void judge_measurement(struct verifier_case *c)
{
	bool same = memcmp(c->v->report.measurement, c->policy->measurement, sizeof(c->policy->measurement)) == 0;

	if (!c->policy->has_measurement)
		not_asked(c->v, CHECK_MEASUREMENT, "no measurement was asked for: nothing is known of what runs there");
	else
		judge(c->v, CHECK_MEASUREMENT, same,
		      same ? "the launch measurement is the one asked for" :
			     "the launch measurement is another than the one asked for");
}

enum rc verifier_report_data(struct slice nonce, struct slice manifest, uint8_t out[SNP_REPORT_DATA_LEN])
{
	uint8_t full[SNP_REPORT_DATA_LEN];
	struct slice parts[] = { slice_of(full, sizeof(full)), manifest };
	enum rc rc = RC_OK;

	if (nonce.len == 0 || nonce.len > ATTEST_NONCE_MAX)
		return RC_BAD_INPUT;
	if (nonce.len == sizeof(full))
		memcpy(full, nonce.p, sizeof(full));
	else
		rc = crypto_sha512(&nonce, 1, full);
	if (rc != RC_OK)
		return rc;
	if (manifest.p)
		return crypto_sha512(parts, ARRAY_LEN(parts), out);
	memcpy(out, full, sizeof(full));
	return RC_OK;
}

static void judge_report_data(struct verifier_case *c)
{
	struct slice nonce = slice_of(c->policy->nonce, c->policy->nonce_len);
	uint8_t want[SNP_REPORT_DATA_LEN];
	bool with = c->in->manifest.p != NULL, same;

	if (!nonce.len && !with) {
		not_asked(c->v, CHECK_REPORT_DATA, "no nonce was asked for: the report may be an old one");
		return;
	}
	if (!nonce.len) {
		judge(c->v, CHECK_REPORT_DATA, false, "a manifest is bound to the report only together with its nonce");
		return;
	}
	if (verifier_report_data(nonce, c->in->manifest, want) != RC_OK) {
		c->machine = true;
		return;
	}
	same = memcmp(want, c->v->report.report_data, sizeof(want)) == 0;
	judge(c->v, CHECK_REPORT_DATA, same, "the report data %s%s", same ? "is " : "is not ",
	      with ? "SHA-512 of nonce and manifest" : "the nonce");
}

/* Worth as much as the manifest: bound by the report data, and only then. */
static void judge_owner(struct verifier_case *c)
{
	struct verifier_verdict *v = c->v;
	bool same;

	if (!c->policy->has_owner) {
		not_asked(v, CHECK_OWNER, "no owner was asked for: who wrote its access control lists is not known");
		return;
	}
	if (!v->has_manifest || !v->manifest.has_kms) {
		judge(v, CHECK_OWNER, false, "the owner stands in the key service's manifest, and there is none");
		return;
	}
	same = memcmp(v->manifest.kms.evidence.owner, c->policy->owner, sizeof(c->policy->owner)) == 0;
	judge(v, CHECK_OWNER, same, "the store's owner is %s", same ? "the one asked for" : "another, or nobody");
}

void case_manifest(struct verifier_case *c)
{
	struct verifier_verdict *v = c->v;

	if (!c->in->manifest.p) {
		not_asked(v, CHECK_MANIFEST, "no manifest was given: the report is not one of the SVSM protocol");
		judge_owner(c);
		return;
	}
	v->has_manifest = verifier_manifest_parse(c->in->manifest, &v->manifest) == RC_OK;
	if (!v->has_manifest)
		judge(v, CHECK_MANIFEST, false, "the manifest is malformed");
	else
		judge(v, CHECK_MANIFEST, v->manifest.has_kms, "the manifest names %zu services, %s", v->manifest.count,
		      v->manifest.has_kms ? "one is the key service" : "none is the key service");
	judge_owner(c);
}

void case_policy(struct verifier_case *c)
{
	judge_version(c);
	judge_min_tcb(c);
	judge(c->v, CHECK_VMPL, c->v->report.vmpl == c->policy->vmpl, "the report is of VMPL %u, asked for was %u",
	      c->v->report.vmpl, c->policy->vmpl);
	judge_guest_policy(c);
	judge_platform(c);
	judge_measurement(c);
	judge_report_data(c);
}
