/* SPDX-License-Identifier: Apache-2.0 */
/* From report, certificates and policy to a verdict. See verifier.h. */
#include <stdarg.h>
#include <stdio.h>

#include "crypto/crypto.h"
#include "verifier/internal.h"

static const char *const check_names[CHECKS] = {
	[CHECK_FORMAT] = "format",
	[CHECK_VERSION] = "version",
	[CHECK_CERTIFICATES] = "certificates",
	[CHECK_ROOT] = "root",
	[CHECK_INTERMEDIATE] = "intermediate",
	[CHECK_LEAF] = "leaf",
	[CHECK_VALIDITY] = "validity",
	[CHECK_PRODUCT] = "product",
	[CHECK_SIGNER] = "signer",
	[CHECK_CHIP] = "chip",
	[CHECK_TCB] = "tcb",
	[CHECK_SIGNATURE] = "signature",
	[CHECK_MIN_TCB] = "minimumTcb",
	[CHECK_VMPL] = "vmpl",
	[CHECK_DEBUG] = "debug",
	[CHECK_MIGRATION] = "migration",
	[CHECK_POLICY] = "policy",
	[CHECK_PLATFORM] = "platform",
	[CHECK_MEASUREMENT] = "measurement",
	[CHECK_REPORT_DATA] = "reportData",
	[CHECK_MANIFEST] = "manifest",
	[CHECK_OWNER] = "owner",
	[CHECK_REVOCATION] = "revocation",
};

const char *verifier_check_name(enum verifier_check_id id)
{
	return id < CHECKS ? check_names[id] : "?";
}

bool judge(struct verifier_verdict *v, enum verifier_check_id id, bool ok, const char *fmt, ...)
{
	struct verifier_check *c = &v->check[id];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->says, sizeof(c->says), fmt, ap);
	va_end(ap);
	c->result = ok ? CHECK_PASSED : CHECK_FAILED;
	return ok;
}

void not_asked(struct verifier_verdict *v, enum verifier_check_id id, const char *fmt, ...)
{
	struct verifier_check *c = &v->check[id];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->says, sizeof(c->says), fmt, ap);
	va_end(ap);
	c->result = CHECK_NOT_ASKED;
}

static void read_report(struct verifier_case *c)
{
	struct verifier_verdict *v = c->v;

	v->has_report = verifier_report_parse(c->in->report, &v->report) == RC_OK;
	if (!v->has_report) {
		judge(v, CHECK_FORMAT, false,
		      "not an attestation report: %u bytes, version 2 or newer, ECDSA P-384, zeros where nothing is",
		      SNP_REPORT_LEN);
		return;
	}
	judge(v, CHECK_FORMAT, true, "an attestation report of %u bytes", SNP_REPORT_LEN);
	v->has_cpuid = v->report.version >= 3;
	v->has_mitigations = v->report.version >= 5;
}

/* A report without CPU identity leaves the product to the leaf. */
static void decode_tcbs(struct verifier_verdict *v)
{
	const uint8_t *const raw[TCB_KINDS] = {
		[TCB_REPORTED] = v->report.reported_tcb,
		[TCB_CURRENT] = v->report.current_tcb,
		[TCB_COMMITTED] = v->report.committed_tcb,
		[TCB_LAUNCH] = v->report.launch_tcb,
	};
	size_t k;

	v->product = v->has_cpuid ? verifier_product_of_cpu(v->report.cpuid_family, v->report.cpuid_model) :
		     v->has_leaf  ? v->leaf.by_name :
				    PRODUCT_UNKNOWN;
	for (k = 0; k < TCB_KINDS; k++)
		if (!verifier_tcb_decode(v->product, raw[k], &v->tcb[k]))
			v->product = PRODUCT_UNKNOWN;
}

/*
 * What may be said of the key service's isolation. A test root shows the emulator, at most. AMD's shows hardware,
 * and that the service is what it should be only if code, freshness and manifest were all asked for.
 */
static uint32_t isolation_shown(const struct verifier_verdict *v)
{
	if (!v->accepted || v->report.vmpl != 0)
		return 0;
	if (v->root != ROOT_AMD)
		return ISOLATION_VMPL0_EMULATED;
	return v->check[CHECK_MEASUREMENT].result == CHECK_PASSED &&
			       v->check[CHECK_REPORT_DATA].result == CHECK_PASSED &&
			       v->check[CHECK_MANIFEST].result == CHECK_PASSED ?
		       ISOLATION_VMPL0_SNP :
		       0;
}

static void sum_up(struct verifier_verdict *v)
{
	bool accepted = true;
	size_t i;

	for (i = 0; i < CHECKS; i++)
		if (v->check[i].result == CHECK_FAILED)
			accepted = false;
	v->accepted = accepted;
	v->isolation = isolation_shown(v);
}

enum rc verifier_judge(const struct verifier_input *in, const struct verifier_policy *policy,
		       struct verifier_verdict *out)
{
	struct verifier_case c = { .in = in, .policy = policy, .v = out };
	size_t i;

	memset(out, 0, sizeof(*out));	/* every check starts as failed */
	if (crypto_start() != RC_OK)
		return RC_MACHINE;
	for (i = 0; i < CHECKS; i++)
		judge(out, (enum verifier_check_id)i, false, "there is no report to check");
	not_asked(out, CHECK_REVOCATION, "lists of revoked certificates are not read");
	read_report(&c);
	case_certs_read(&c);
	case_chain(&c);
	if (out->has_report) {
		decode_tcbs(out);
		case_policy(&c);
	}
	case_manifest(&c);
	case_certs_free(&c);
	if (c.machine) {
		memset(out, 0, sizeof(*out));
		return RC_MACHINE;
	}
	sum_up(out);
	return out->accepted ? RC_OK : RC_DENIED;
}
