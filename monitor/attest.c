/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation protocol (specification 6.4): a report of the secure processor for VMPL0, bound to the caller's
 * nonce and to a manifest that says which service this monitor runs. The report proves the measurement, which covers
 * the service's file already; the manifest names it.
 */
#include "monitor/state.h"
#include "snp/report.h"
#include "snp/svsm.h"
#include "wire/attest.h"

#define NONCE_LEN 64u
#define EVIDENCE_TRIES 100u
#define SINGLE_LEN 0x40u	/* of the block for all services; the rest is for one */

struct manifest {
	struct svsm_manifest_hdr hdr;
	struct svsm_manifest_entry entry;
	struct attest_kms_manifest kms;
};

/*
 * What the service says of itself, from the control lane's answer page, which nobody else can write. Only what a
 * running service says counts: in a page that is not (or not yet) its own there may be anything.
 */
static void read_evidence(struct mon *m, struct call_evidence *out)
{
	struct mon_kms *s = &m->kms;
	struct call_evidence again;
	struct gpa at;
	unsigned i;

	*out = (struct call_evidence){ 0 };
	SPIN_HELD(&s->lock);
	if (s->state != VMPL_STATE_RUNNING)
		return;
	at = addr_of_frame(s->frame[(2 * s->lanes - 1) * MON_AREA_PAGES]);
	at.v += offsetof(struct call_rsp_ctl, evidence);
	/* The control lane may be writing it on another CPU: what was read twice alike is whole. */
	for (i = 0; i < EVIDENCE_TRIES; i++) {
		plat_read(at, out, sizeof(*out));
		plat_read(at, &again, sizeof(again));
		if (memcmp(out, &again, sizeof(again)) == 0)
			return;
	}
	*out = (struct call_evidence){ 0 };
}

/* What is said of the key service; `all`: within the list of services. The bytes start at *at. */
static size_t make_manifest(struct mon *m, bool all, struct manifest *o, const uint8_t **at)
{
	static const uint8_t services[] = SVSM_GUID_SERVICES, kms[] = ATTEST_KMS_GUID;

	*o = (struct manifest){ .hdr = { .len = sizeof(*o), .count = 1 },
				.entry = { .off = offsetof(struct manifest, kms), .len = sizeof(o->kms) },
				.kms = { .version = ATTEST_KMS_VERSION, .protocol = CALL_PROTOCOL } };
	memcpy(o->hdr.guid, services, sizeof(services));
	memcpy(o->entry.guid, kms, sizeof(kms));
	memcpy(o->kms.service, m->service_hash, sizeof(o->kms.service));
	memcpy(o->kms.platform, m->platform_hash, sizeof(o->kms.platform));
	read_evidence(m, &o->kms.evidence);
	*at = all ? (const uint8_t *)o : (const uint8_t *)&o->kms;
	return all ? sizeof(*o) : sizeof(o->kms);
}

/* Version 0 asks for whatever there is. */
static bool asks_for_us(const struct svsm_attest_req *q)
{
	static const uint8_t kms[] = ATTEST_KMS_GUID;

	return memcmp(q->guid, kms, sizeof(kms)) == 0 && q->manifest_version <= ATTEST_KMS_VERSION;
}

static bool guests(const struct mon_locked *k, const struct svsm_attest_buf *b)
{
	uint32_t frame, pages;

	return addr_span(b->gpa, b->len, &frame, &pages) && page_all_in(k, frame, pages, PAGE_READABLE);
}

/* Copies the request and the nonce, and judges them. */
static uint32_t read_request(struct mon *m, uint64_t at, uint32_t call, struct svsm_attest_req *q, uint8_t nonce[NONCE_LEN])
{
	size_t len = call == SVSM_ATTEST_SERVICES ? SINGLE_LEN : sizeof(*q);

	if (!addr_aligned(at, sizeof(uint64_t)) || at % MON_PAGE > MON_PAGE - len)
		return SVSM_INVALID_PARAMETER;
	*q = (struct svsm_attest_req){ 0 };
	MON_LOCK(k, m);
	if (page_read(&k, at, q, len) != RC_OK)
		return SVSM_INVALID_ADDRESS;
	if (q->nonce.len != NONCE_LEN || !addr_aligned(q->report.gpa, MON_PAGE) || !addr_aligned(q->manifest.gpa, MON_PAGE) ||
	    (q->certs.len && !addr_aligned(q->certs.gpa, MON_PAGE)) || q->report.len == 0 || q->manifest.len == 0 ||
	    (call == SVSM_ATTEST_SINGLE_SERVICE && !asks_for_us(q)))
		return SVSM_INVALID_PARAMETER;
	if (!guests(&k, &q->report) || !guests(&k, &q->manifest) || (q->certs.len && !guests(&k, &q->certs)) ||
	    page_read(&k, q->nonce.gpa, nonce, NONCE_LEN) != RC_OK)
		return SVSM_INVALID_ADDRESS;
	return SVSM_SUCCESS;
}

/* How much of the host's certificate table there is: to the end of its last certificate; 0 for none, or nonsense. */
static uint32_t certs_len(const uint8_t *table, size_t len)
{
	static const struct snp_cert_entry last;
	struct cursor c = cur_of(table, len);
	struct snp_cert_entry e;
	uint32_t need = 0, end;

	for (;;) {
		if (!cur_copy(&c, &e, sizeof(e)))
			return 0;
		if (memcmp(&e, &last, sizeof(e)) == 0)
			return need;
		if (__builtin_add_overflow(e.off, e.len, &end) || end > len)
			return 0;
		need = end > need ? end : need;
	}
}

/* Asks for the report. The caller holds msg.lock. */
static enum rc get_report(struct mon *m, const uint8_t nonce[NONCE_LEN], const uint8_t *manifest, size_t len, bool certs,
			  struct snp_report_rsp *rsp)
{
	struct snp_report_req req = { .vmpl = 0, .key_sel = SNP_KEY_SEL_ANY };
	enum rc rc;

	memcpy(m->msg.ask.data, nonce, NONCE_LEN);
	memcpy(m->msg.ask.data + NONCE_LEN, manifest, len);
	rc = msg_hash(m, PLATFORM_SHA512, PLATFORM_FIRST | PLATFORM_LAST, NONCE_LEN + len);
	if (rc != RC_OK)
		return rc;
	memcpy(req.report_data, m->msg.answer.data, sizeof(req.report_data));
	rc = msg_exchange(m, SNP_MSG_REPORT_REQ, &req, sizeof(req), rsp, sizeof(*rsp), certs);
	if (rc == RC_OK && (rsp->status != SNP_FW_OK || rsp->report_len != SNP_REPORT_LEN ||
			    memcmp(rsp->report.report_data, req.report_data, sizeof(req.report_data)) != 0))
		rc = RC_DENIED;
	return rc;
}

uint32_t attest_call(struct mon *m, unsigned cpu, uint32_t call, struct mon_regs *r)
{
	uint8_t nonce[NONCE_LEN];
	struct snp_report_rsp rsp;
	struct svsm_attest_req q;
	struct manifest all;
	const uint8_t *manifest;
	size_t len;
	uint32_t rax, certs;

	(void)cpu;
	if (call > SVSM_ATTEST_SINGLE_SERVICE)
		return SVSM_UNSUPPORTED_CALL;
	rax = read_request(m, r->rcx, call, &q, nonce);
	if (rax != SVSM_SUCCESS)
		return rax;
	len = make_manifest(m, call == SVSM_ATTEST_SERVICES, &all, &manifest);
	r->rcx = len;
	r->rdx = 0;
	r->r8 = SNP_REPORT_LEN;
	if (q.manifest.len < len || q.report.len < SNP_REPORT_LEN)
		return SVSM_INVALID_PARAMETER;

	SPIN_HELD(&m->msg.lock);
	if (get_report(m, nonce, manifest, len, q.certs.len != 0, &rsp) != RC_OK)
		return SVSM_INVALID_REQUEST;
	certs = q.certs.len ? certs_len(m->msg.certs, sizeof(m->msg.certs)) : 0;
	r->rdx = certs;
	if (certs > q.certs.len)
		return SVSM_INVALID_PARAMETER;
	MON_LOCK(k, m);	/* the pages may have changed hands meanwhile: each write looks again */
	if (page_write(&k, q.report.gpa, &rsp.report, sizeof(rsp.report)) != RC_OK ||
	    page_write(&k, q.manifest.gpa, manifest, len) != RC_OK ||
	    (certs && page_write(&k, q.certs.gpa, m->msg.certs, certs) != RC_OK))
		return SVSM_INVALID_ADDRESS;
	return SVSM_SUCCESS;
}
