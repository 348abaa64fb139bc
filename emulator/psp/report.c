/* SPDX-License-Identifier: Apache-2.0 */
/* MSG_REPORT_REQ: attestation reports, version 3, signed by the chip's VCEK. 56860, ATTESTATION_REPORT. */
#include "emulator/psp/work.h"

#define REPORT_VERSION 3u

static void collect(const struct psp *p, const struct snp_report_req *req, struct snp_report *r)
{
	const struct psp_guest *g = &p->guest;
	const struct psp_chip *c = &p->chip;

	*r = (struct snp_report){
		.version = REPORT_VERSION, .guest_svn = g->id.guest_svn, .policy = g->policy, .vmpl = req->vmpl,
		.signature_algo = SNP_SIG_ECDSA_P384_SHA384, .key_info = g->has_author ? SNP_KEY_INFO_AUTHOR : 0,
		.cpuid_family = c->cpuid_family, .cpuid_model = c->cpuid_model, .cpuid_stepping = c->cpuid_stepping,
		.current_build = c->fw_build, .current_minor = c->fw_minor, .current_major = c->fw_major,
		.committed_build = c->fw_build, .committed_minor = c->fw_minor, .committed_major = c->fw_major,
	};
	memcpy(r->family_id, g->id.family_id, sizeof(r->family_id));
	memcpy(r->image_id, g->id.image_id, sizeof(r->image_id));
	memcpy(r->report_data, req->report_data, sizeof(r->report_data));
	memcpy(r->measurement, g->digest, sizeof(r->measurement));
	memcpy(r->host_data, g->host_data, sizeof(r->host_data));
	memcpy(r->id_key_digest, g->id_key_digest, sizeof(r->id_key_digest));
	memcpy(r->author_key_digest, g->author_key_digest, sizeof(r->author_key_digest));
	memcpy(r->report_id, g->report_id, sizeof(r->report_id));
	memset(r->report_id_ma, 0xff, sizeof(r->report_id_ma));	/* no migration agent */
	memcpy(r->current_tcb, c->tcb, SNP_TCB_LEN);
	memcpy(r->reported_tcb, c->tcb, SNP_TCB_LEN);
	memcpy(r->committed_tcb, c->tcb, SNP_TCB_LEN);
	memcpy(r->launch_tcb, c->tcb, SNP_TCB_LEN);
	memcpy(r->chip_id, c->chip_id, sizeof(r->chip_id));
}

static enum rc sign(const struct psp_chip *c, struct snp_report *r)
{
	struct crypto_p384_signature sig;
	struct crypto_p384_public q;
	enum rc rc;
	size_t i;

	memcpy(q.x, c->vcek_x, sizeof(q.x));
	memcpy(q.y, c->vcek_y, sizeof(q.y));
	rc = crypto_p384_sign(c->vcek, &q, slice_of(r, SNP_REPORT_SIGNED_LEN), &sig);
	for (i = 0; rc == RC_OK && i < CRYPTO_P384_LEN; i++) {	/* little-endian in the report */
		r->r[i] = sig.r[CRYPTO_P384_LEN - 1 - i];
		r->s[i] = sig.s[CRYPTO_P384_LEN - 1 - i];
	}
	return rc;
}

enum rc psp_report(struct psp *p, uint32_t vmpl, const struct snp_report_req *req, struct snp_report_rsp *rsp)
{
	static const uint8_t zeros[sizeof(req->zero)];
	enum rc rc;

	*rsp = (struct snp_report_rsp){ .status = SNP_REPORT_BAD_PARAM };
	if (req->vmpl < vmpl || req->vmpl >= PSP_VMPCKS || req->key_sel > SNP_KEY_SEL_VLEK ||
	    memcmp(req->zero, zeros, sizeof(zeros)) != 0)
		return RC_OK;
	if (req->key_sel == SNP_KEY_SEL_VLEK) {	/* none is loaded */
		rsp->status = SNP_REPORT_BAD_KEY;
		return RC_OK;
	}
	collect(p, req, &rsp->report);
	rc = sign(&p->chip, &rsp->report);
	if (rc == RC_OK) {
		rsp->status = SNP_FW_OK;
		rsp->report_len = sizeof(rsp->report);
	}
	return rc;
}
