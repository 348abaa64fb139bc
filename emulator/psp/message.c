/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest messages. 56860, SNP_GUEST_REQUEST: header, AES-256-GCM under the VMPCK, one number after the other.
 *
 * Order of checks: form, then number, then tag. Only a message that is authentic and was answered moves the counter,
 * so an untouched message may be sent again after a refusal, and an answered one never. Which status firmware gives
 * for a number out of order is not certain; 1D is what it calls errors of the number.
 */
#include "emulator/psp/work.h"

struct message {
	struct snp_msg_hdr h;
	uint8_t payload[SNP_MSG_MAX_PAYLOAD];
};
ABI_SIZE(struct message, PSP_PAGE);

static enum rc on_key(struct psp *p, uint32_t vmpl, const uint8_t *in, uint8_t *out)
{
	struct snp_key_req req;
	struct snp_key_rsp rsp;
	enum rc rc;

	memcpy(&req, in, sizeof(req));
	rc = psp_derive_key(p, vmpl, &req, &rsp);
	memcpy(out, &rsp, sizeof(rsp));
	mem_wipe(&rsp, sizeof(rsp));
	return rc;
}

static enum rc on_report(struct psp *p, uint32_t vmpl, const uint8_t *in, uint8_t *out)
{
	struct snp_report_req req;
	struct snp_report_rsp rsp;
	enum rc rc;

	memcpy(&req, in, sizeof(req));
	rc = psp_report(p, vmpl, &req, &rsp);
	memcpy(out, &rsp, sizeof(rsp));
	return rc;
}

static const struct kind {
	uint8_t type, version;
	uint16_t req_len, rsp_len;
	enum rc (*answer)(struct psp *, uint32_t vmpl, const uint8_t *in, uint8_t *out);
} kinds[] = {
	{ SNP_MSG_KEY_REQ, 1, sizeof(struct snp_key_req), sizeof(struct snp_key_rsp), on_key },
	{ SNP_MSG_REPORT_REQ, 1, sizeof(struct snp_report_req), sizeof(struct snp_report_rsp), on_report },
};

static bool header_is_sound(const struct snp_msg_hdr *h)
{
	static const uint8_t zeros[sizeof(h->zero2)];

	return h->algo == SNP_MSG_AES_256_GCM && h->hdr_version == SNP_MSG_HDR_VERSION && h->hdr_len == sizeof(*h) &&
	       h->payload_len <= SNP_MSG_MAX_PAYLOAD && h->zero0 == 0 && h->zero1 == 0 && h->vmpck < PSP_VMPCKS &&
	       memcmp(h->zero2, zeros, sizeof(zeros)) == 0;
}

static enum rc open_message(const struct psp_guest *g, struct message *m)
{
	struct slice aad = slice_of(&m->h.algo, SNP_MSG_AAD_LEN);
	uint8_t iv[CRYPTO_GCM_IV_LEN] = { 0 };

	memcpy(iv, &m->h.seqno, sizeof(m->h.seqno));
	return crypto_gcm_open(&g->vmpck[m->h.vmpck], iv, aad, m->payload, m->h.payload_len, m->h.tag);
}

static enum rc seal_message(const struct psp_guest *g, struct message *m)
{
	struct slice aad = slice_of(&m->h.algo, SNP_MSG_AAD_LEN);
	uint8_t iv[CRYPTO_GCM_IV_LEN] = { 0 };

	memcpy(iv, &m->h.seqno, sizeof(m->h.seqno));
	return crypto_gcm_seal(&g->vmpck[m->h.vmpck], iv, aad, m->payload, m->h.payload_len, m->h.tag);
}

/* An opened message in, a sealed answer out. */
static uint32_t answer_message(struct psp *p, const struct message *in, struct message *out)
{
	const struct kind *k = NULL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == in->h.type && kinds[i].version == in->h.version)
			k = &kinds[i];
	if (!k || in->h.payload_len != k->req_len)
		return PSP_INVALID_PARAM;
	*out = (struct message){
		.h = { .seqno = in->h.seqno + 1, .algo = SNP_MSG_AES_256_GCM, .hdr_version = SNP_MSG_HDR_VERSION,
		       .hdr_len = sizeof(out->h), .type = (uint8_t)(k->type + 1), .version = k->version,
		       .payload_len = k->rsp_len, .vmpck = in->h.vmpck },
	};
	/* VMPCKn belongs to VMPLn: who can seal with it speaks for that level. */
	if (k->answer(p, in->h.vmpck, in->payload, out->payload) != RC_OK || seal_message(&p->guest, out) != RC_OK)
		return SNP_FW_INVALID_COMMAND;
	return SNP_FW_OK;
}

uint32_t psp_guest_request(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	struct psp_guest *g = &p->guest;
	struct message in, reply;
	uint32_t status;

	if (req->len != sizeof(in) || req->arg[0] || req->arg[1] || req->arg[2])
		return PSP_INVALID_PARAM;
	memcpy(&in, data, sizeof(in));
	if (!header_is_sound(&in.h))
		return PSP_INVALID_PARAM;
	if (g->seqno[in.h.vmpck] > UINT64_MAX - 2 || in.h.seqno != g->seqno[in.h.vmpck] + 1)
		return SNP_FW_AEAD_OFLOW;
	if (open_message(g, &in) != RC_OK)
		return SNP_FW_BAD_MEASUREMENT;
	status = answer_message(p, &in, &reply);
	if (status == SNP_FW_OK) {
		g->seqno[in.h.vmpck] += 2;
		memcpy(out->data, &reply, sizeof(reply));
		out->len = sizeof(reply);
	}
	mem_wipe(&in, sizeof(in));
	mem_wipe(&reply, sizeof(reply));
	return status;
}
