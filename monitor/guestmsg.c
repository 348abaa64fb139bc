/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to the secure processor (specification 5.1), through a host that may drop, repeat, change or delay them.
 * The AEAD belongs to the platform service; here is the rule that keeps it sound: a number is used for one plaintext
 * only. Until an authentic answer with the next number has come, the message stays what it is: it is sent again
 * bit by bit, or the key is given up for ever. Nothing else is ever sent in its place.
 */
#include "monitor/state.h"
#include "snp/ghcb.h"

#define TRIES 3u		/* of one message, in one call */
#define ROOT_WAIT_MS 10000u	/* at start; later START asks again */
#define ROOT_PAUSE_MS 100u

static enum rc platform(struct mon_msg *g, enum platform_op op, unsigned flags, size_t len)
{
	enum rc rc;

	g->ask.op = op;
	g->ask.flags = flags;
	g->ask.len = (uint32_t)len;
	g->ask.zero0 = 0;
	rc = plat_platform(&g->ask, sizeof(g->ask), &g->answer, sizeof(g->answer));
	mem_wipe(&g->ask, sizeof(g->ask));
	if (rc != RC_OK || g->answer.op != op)
		return RC_MACHINE;
	if (g->answer.status == PLATFORM_OK)
		return RC_OK;
	return g->answer.status == PLATFORM_DENIED ? RC_DENIED : RC_MACHINE;
}

enum rc msg_hash(struct mon *m, enum platform_op op, unsigned flags, size_t len)
{
	INVARIANT(len <= sizeof(m->msg.ask.data));
	return platform(&m->msg, op, flags, len);
}

static enum rc give_up(struct mon_msg *g)
{
	secret_wipe(&g->key);
	mem_wipe(g->req, sizeof(g->req));
	g->dead = true;
	g->open = false;
	return RC_DENIED;
}

static enum rc seal(struct mon_msg *g, enum snp_msg_type type, const void *payload, size_t len)
{
	struct snp_msg_hdr h = { .seqno = g->seq + 1, .algo = SNP_MSG_AES_256_GCM, .hdr_version = SNP_MSG_HDR_VERSION,
				 .hdr_len = sizeof(h), .type = (uint8_t)type, .version = 1,
				 .payload_len = (uint16_t)len, .vmpck = 0 };
	enum rc rc;

	INVARIANT(len <= SNP_MSG_MAX_PAYLOAD);
	memset(g->ask.data, 0, MON_PAGE);
	memcpy(g->ask.data, &h, sizeof(h));
	memcpy(g->ask.data + sizeof(h), payload, len);
	memcpy(g->ask.key, g->key.b, sizeof(g->ask.key));
	rc = platform(g, PLATFORM_SEAL, 0, MON_PAGE);
	if (rc != RC_OK)	/* a number whose use is not certain */
		return give_up(g);
	memcpy(g->req, g->answer.data, MON_PAGE);
	g->open = true;
	return RC_OK;
}

/* The header says what it must, and the tag fits; then the payload is the secure processor's word. */
static bool authentic(struct mon_msg *g)
{
	struct snp_msg_hdr h;

	memcpy(&h, g->rsp, sizeof(h));
	if (h.seqno != g->seq + 2 || h.algo != SNP_MSG_AES_256_GCM || h.hdr_version != SNP_MSG_HDR_VERSION ||
	    h.hdr_len != sizeof(h) || h.type != g->rsp_type || h.version != 1 || h.payload_len != g->rsp_len || h.vmpck != 0)
		return false;
	memcpy(g->ask.data, g->rsp, MON_PAGE);
	memcpy(g->ask.key, g->key.b, sizeof(g->ask.key));
	return platform(g, PLATFORM_OPEN, 0, MON_PAGE) == RC_OK;
}

/* Sends what is open until its fate is known. */
static enum rc send(struct mon_msg *g, bool certs)
{
	unsigned i;

	for (i = 0; i < TRIES; i++) {
		uint64_t info;
		uint32_t host, fw;

		mem_wipe(g->rsp, sizeof(g->rsp));
		mem_wipe(g->certs, sizeof(g->certs));
		info = plat_guest_request(g->req, g->rsp, certs ? g->certs : NULL, certs ? sizeof(g->certs) : 0);
		host = (uint32_t)(info >> 32);
		fw = (uint32_t)info;
		if (host == GUEST_REQ_VMM_BUSY || (host == 0 && fw == SNP_FW_NOT_CALLED))
			return RC_BUSY;
		if (host == GUEST_REQ_VMM_LEN && certs)	/* more than we hold: then without */
			certs = false;
		else if (info != 0)
			break;
		else if (authentic(g)) {
			g->seq += 2;
			g->open = false;
			return RC_OK;
		}
	}
	return give_up(g);
}

enum rc msg_exchange(struct mon *m, enum snp_msg_type type, const void *req, size_t req_len, void *rsp, size_t rsp_len,
		     bool certs)
{
	struct mon_msg *g = &m->msg;
	enum rc rc;

	if (g->dead)
		return RC_DENIED;
	if (g->open) {	/* an earlier one, whose answer nobody waits for any more */
		rc = send(g, false);
		mem_wipe(&g->answer, sizeof(g->answer));
		if (rc != RC_OK)
			return rc;
	}
	g->rsp_type = (uint8_t)(type + 1);
	g->rsp_len = (uint16_t)rsp_len;
	rc = seal(g, type, req, req_len);
	if (rc == RC_OK)
		rc = send(g, certs);
	if (rc == RC_OK)
		memcpy(rsp, g->answer.data + sizeof(struct snp_msg_hdr), rsp_len);
	mem_wipe(&g->answer, sizeof(g->answer));
	return rc;
}

enum rc mon_root(struct mon *m)
{
	static const struct snp_key_req req = { .root = SNP_KEY_ROOT_VCEK,
						.fields = SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT, .vmpl = 0 };
	struct snp_key_rsp rsp;
	enum rc rc;

	SPIN_HELD(&m->msg.lock);
	rc = msg_exchange(m, SNP_MSG_KEY_REQ, &req, sizeof(req), &rsp, sizeof(rsp), false);
	if (rc == RC_OK && rsp.status != SNP_FW_OK)
		rc = RC_DENIED;
	if (rc == RC_OK) {
		memcpy(m->root.b, rsp.key, sizeof(m->root.b));
		m->have_root = true;
	}
	mem_wipe(&rsp, sizeof(rsp));
	return rc;
}

/* SHA-384 of a launch range, in pieces. */
static enum rc hash_file(struct mon *m, const struct launch_range *file, uint8_t out[48])
{
	uint64_t off = 0;
	unsigned flags;
	size_t n;
	enum rc rc;

	SPIN_HELD(&m->msg.lock);
	do {
		n = file->len - off < PLATFORM_DATA_MAX ? (size_t)(file->len - off) : PLATFORM_DATA_MAX;
		flags = (off == 0 ? PLATFORM_FIRST : 0) | (off + n == file->len ? PLATFORM_LAST : 0);
		if (n)
			plat_read((struct gpa){ file->gpa + off }, m->msg.ask.data, n);
		rc = msg_hash(m, PLATFORM_SHA384, flags, n);
		off += n;
	} while (rc == RC_OK && off < file->len);
	memcpy(out, m->msg.answer.data, 48);
	return rc;
}

enum rc mon_keys(struct mon *m)
{
	uint64_t start = plat_now_ms(), last = start;
	enum rc rc = hash_file(m, &m->info->service, m->service_hash);

	if (rc == RC_OK)
		rc = hash_file(m, &m->info->platform, m->platform_hash);
	if (rc != RC_OK)
		return RC_MACHINE;
	while (mon_root(m) == RC_BUSY && plat_now_ms() - start < ROOT_WAIT_MS) {
		last = plat_now_ms();
		while (plat_now_ms() - last < ROOT_PAUSE_MS)
			__asm__ volatile("pause");
	}
	return RC_OK;
}
