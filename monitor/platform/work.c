/* SPDX-License-Identifier: Apache-2.0 */
/* What the platform service does with a request; see platform.h. */
#include "crypto/crypto.h"
#include "monitor/platform/work.h"
#include "snp/guestmsg.h"

static const uint8_t zeros[64];

/* 56860, guest message header: reserved bytes zero, the only algorithm there is, the payload inside of the page. */
static bool header_is_sound(const struct snp_msg_hdr *h)
{
	return h->algo == SNP_MSG_AES_256_GCM && h->hdr_version == SNP_MSG_HDR_VERSION && h->hdr_len == sizeof(*h) &&
	       h->payload_len <= SNP_MSG_MAX_PAYLOAD && h->seqno != 0 && h->zero0 == 0 && h->zero1 == 0 && h->vmpck <= 3 &&
	       memcmp(h->zero2, zeros, sizeof(h->zero2)) == 0;
}

static enum platform_status message(struct platform_req *req, struct platform_rsp *rsp)
{
	uint8_t iv[CRYPTO_GCM_IV_LEN] = { 0 };
	struct snp_msg_hdr h;
	SECRET key = { 0 };
	struct slice aad;
	enum rc rc;

	if (req->len != PLATFORM_PAGE || req->flags)
		return PLATFORM_BAD;
	memcpy(rsp->data, req->data, PLATFORM_PAGE);
	memcpy(&h, rsp->data, sizeof(h));
	if (!header_is_sound(&h))
		return PLATFORM_BAD;
	memcpy(key.b, req->key, sizeof(key.b));
	memcpy(iv, &h.seqno, sizeof(h.seqno));
	aad = slice_of(rsp->data + SNP_MSG_AAD_OFF, SNP_MSG_AAD_LEN);
	if (req->op == PLATFORM_SEAL) {
		memset(h.tag, 0, sizeof(h.tag));
		rc = crypto_gcm_seal(&key, iv, aad, rsp->data + sizeof(h), h.payload_len, h.tag);
		memcpy(rsp->data, h.tag, sizeof(h.tag));
	} else {
		rc = crypto_gcm_open(&key, iv, aad, rsp->data + sizeof(h), h.payload_len, h.tag);
	}
	return rc == RC_OK ? PLATFORM_OK : rc == RC_DENIED ? PLATFORM_DENIED : PLATFORM_FAILED;
}

static enum platform_status hash_step(struct platform *p, const struct platform_req *req, struct platform_rsp *rsp)
{
	enum rc rc = RC_OK;

	if (req->flags & PLATFORM_FIRST)
		rc = crypto_hash_begin(p->hash, req->op == PLATFORM_SHA384 ? 384 : 512);
	if (rc == RC_OK)
		rc = crypto_hash_add(p->hash, slice_of(req->data, req->len));
	if (rc == RC_OK && req->flags & PLATFORM_LAST)
		rc = crypto_hash_end(p->hash, rsp->data);
	p->hashing = rc == RC_OK && !(req->flags & PLATFORM_LAST) ? req->op : 0;
	return rc == RC_OK ? PLATFORM_OK : PLATFORM_FAILED;
}

static enum platform_status hash(struct platform *p, struct platform_req *req, struct platform_rsp *rsp)
{
	/* A piece belongs to the hash that was begun last, and to no other. */
	if ((req->flags & ~(PLATFORM_FIRST | PLATFORM_LAST)) || req->len > PLATFORM_DATA_MAX ||
	    memcmp(req->key, zeros, sizeof(req->key)) != 0 || (!(req->flags & PLATFORM_FIRST) && p->hashing != req->op))
		return PLATFORM_BAD;
	return hash_step(p, req, rsp);
}

static enum platform_status dispatch(struct platform *p, struct platform_req *req, struct platform_rsp *rsp)
{
	if (req->zero0 != 0 || memcmp(req->zero1, zeros, sizeof(req->zero1)) != 0)
		return PLATFORM_BAD;
	switch (req->op) {
	case PLATFORM_SEAL:
	case PLATFORM_OPEN:
		return message(req, rsp);
	case PLATFORM_SHA384:
	case PLATFORM_SHA512:
		return hash(p, req, rsp);
	default:
		return PLATFORM_BAD;
	}
}

bool platform_start(struct platform *p)
{
	*p = (struct platform){ 0 };
	return crypto_start() == RC_OK && (p->hash = crypto_hash_new()) != NULL;
}

void platform_work(struct platform *p, struct platform_req *req, struct platform_rsp *rsp)
{
	enum platform_status status;

	memset(rsp, 0, sizeof(*rsp));
	status = dispatch(p, req, rsp);
	if (status != PLATFORM_OK)
		mem_wipe(rsp->data, sizeof(rsp->data));
	rsp->status = status;
	rsp->op = req->op;
	mem_wipe(req, sizeof(*req));
}
