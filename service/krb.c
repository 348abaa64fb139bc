/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token around an AP-REQ, and the answer to it: GSS-API framing (RFC 2743 section 3.1), SPNEGO (RFC 4178), AP-REP (RFC 4120
 * section 5.5.2), the MIC of the mechanism list (RFC 4121 section 4.2.6.1).
 *
 * Kerberos is the only mechanism here, so whoever edits the list of mechanisms can only make the exchange fail; a MIC
 * is checked and answered nevertheless when the client sends one. Each HTTP request stands alone: when a client goes on from
 * KRB_CONTINUE, its second token is taken as it is, without the first.
 */
#include <stdlib.h>

#include "base/der.h"
#include "service/krb_priv.h"

#define USAGE_AP_REP 12
#define USAGE_MIC_ACCEPTOR 23
#define USAGE_MIC_INITIATOR 25
#define TOKEN_AP_REQ 0x01	/* 01 00 in front of the AP-REQ */
#define TOKEN_AP_REP 0x02
#define MIC_HEAD 16u
#define STATE_COMPLETED 0
#define STATE_INCOMPLETE 1
#define STATE_REQUEST_MIC 3

static const uint8_t oid_spnego[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
static const uint8_t oid_krb5[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02 };
static const uint8_t oid_ms_krb5[] = { 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02 };	/* an old slip of Windows */

enum form { FORM_RAW, FORM_INIT, FORM_RESP };
struct token {
	enum form form;
	struct slice ap_req;		/* empty: none */
	struct slice mech;		/* what the client calls Kerberos */
	struct slice list;		/* its MechTypeList as encoded */
	struct slice mic;		/* over the list; empty: none */
	bool first;			/* Kerberos is the client's first choice */
};

static bool is_krb5(struct slice oid)
{
	return slice_eq(oid, slice_of(oid_krb5, sizeof(oid_krb5))) ||
	       slice_eq(oid, slice_of(oid_ms_krb5, sizeof(oid_ms_krb5)));
}

/* Kerberos' own token: 60 len OID 01 00 AP-REQ. */
static enum krb_result raw_parse(struct slice in, struct token *t)
{
	struct cursor c = cur_of(in.p, in.len), body, oid;
	uint8_t id, zero;

	if (!der_take(&c, DER_APP(0), &body) || !cur_end(&c) || !der_take(&body, DER_OID, &oid))
		return KRB_DEFECTIVE;
	if (!is_krb5(der_slice(oid)))
		return KRB_MECHANISM;
	if (!cur_u8(&body, &id) || !cur_u8(&body, &zero) || id != TOKEN_AP_REQ || zero != 0)
		return KRB_DEFECTIVE;
	t->ap_req = der_slice(body);
	return KRB_OK;
}

/* NegTokenInit, in its context tag. */
static enum krb_result init_parse(struct cursor c, struct token *t)
{
	struct cursor in, outer, list, oid, skipped, token, mic;
	bool first = true;

	t->form = FORM_INIT;
	if (!der_field(&c, 0, DER_SEQ, &in) || !cur_end(&c) || !der_take(&in, DER_CTX(0), &outer))
		return KRB_DEFECTIVE;
	t->list = der_slice(outer);
	if (!der_take(&outer, DER_SEQ, &list) || !cur_end(&outer) ||
	    !der_maybe(&in, 1, DER_BITS, &skipped) || !der_maybe(&in, 2, DER_OCTETS, &token) ||
	    !der_maybe(&in, 3, DER_OCTETS, &mic) || !cur_end(&in))
		return KRB_DEFECTIVE;
	for (; list.left; first = false) {
		if (!der_take(&list, DER_OID, &oid))
			return KRB_DEFECTIVE;
		if (!t->mech.len && is_krb5(der_slice(oid))) {
			t->mech = der_slice(oid);
			t->first = first;
		}
	}
	if (!t->mech.len)
		return KRB_MECHANISM;
	if (!t->first || !token.left)
		return KRB_CONTINUE;
	t->mic = der_slice(mic);
	return raw_parse(der_slice(token), t);
}

/* NegTokenResp: a client that goes on after KRB_CONTINUE. What its MIC is over was in a token that is gone. */
static enum krb_result resp_parse(struct cursor c, struct token *t)
{
	struct cursor in, skipped, token;

	t->form = FORM_RESP;
	if (!der_field(&c, 1, DER_SEQ, &in) || !cur_end(&c) || !der_maybe(&in, 0, DER_ENUM, &skipped) ||
	    !der_maybe(&in, 1, DER_OID, &skipped) || !der_field(&in, 2, DER_OCTETS, &token) ||
	    !der_maybe(&in, 3, DER_OCTETS, &skipped) || !cur_end(&in))
		return KRB_DEFECTIVE;
	return raw_parse(der_slice(token), t);
}

static enum krb_result token_parse(struct slice in, struct token *t)
{
	struct cursor c = cur_of(in.p, in.len), body, oid;

	if (slice_starts(in, "NTLMSSP"))
		return KRB_MECHANISM;
	if (der_is(&c, DER_CTX(1)))
		return resp_parse(c, t);
	if (!der_take(&c, DER_APP(0), &body) || !cur_end(&c) || !der_take(&body, DER_OID, &oid))
		return KRB_DEFECTIVE;
	if (slice_eq(der_slice(oid), slice_of(oid_spnego, sizeof(oid_spnego))))
		return init_parse(body, t);
	return raw_parse(in, t);
}

/* A MIC token (04 04 flags ff*5 seq:u64, big-endian, sum) for a list of mechanisms; its head is given. */
static enum krb_result mic_sum(const struct krb_ap *ap, uint32_t usage, struct slice list, const uint8_t *head, uint8_t *sum)
{
	const struct slice parts[] = { list, { head, MIC_HEAD } };

	return crypto_krb_checksum(&ap->key, usage, parts, 2, sum) == RC_OK ? KRB_OK : KRB_MACHINE;
}

static enum krb_result mic_check(const struct token *t, const struct krb_ap *ap)
{
	static const uint8_t head[8] = { 4, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff };
	size_t len = crypto_krb_sum_len(ap->key.etype);
	uint8_t sum[CRYPTO_KRB_SUM_MAX];
	enum krb_result k;

	if (t->mic.len != MIC_HEAD + len || memcmp(t->mic.p, head, sizeof(head)) != 0)
		return KRB_MIC;
	k = mic_sum(ap, USAGE_MIC_INITIATOR, t->list, t->mic.p, sum);
	if (k != KRB_OK)
		return k;
	return ct_equal(sum, t->mic.p + MIC_HEAD, len) ? KRB_OK : KRB_MIC;
}

/* AP-REP in its GSS frame. seq: our first sequence number. */
static enum krb_result ap_rep_write(struct back *b, const struct krb_ap *ap, const uint8_t confounder[16], uint32_t seq)
{
	static const uint8_t token[] = { TOKEN_AP_REP, 0 };
	uint8_t plain[128], enc[CRYPTO_KRB_OVERHEAD_MAX + 128];
	struct back in = back_of(plain, sizeof(plain));
	const uint8_t *outer = b->at, *mark;
	size_t len;

	back_int(&in, 3, seq);
	back_int(&in, 1, ap->cusec);
	mark = in.at;
	back_element(&in, DER_TIME, ap->ctime, sizeof(ap->ctime));
	back_wrap(&in, DER_CTX(0), mark);
	back_wrap(&in, DER_SEQ, in.end);
	back_wrap(&in, DER_APP(27), in.end);
	len = (size_t)(in.end - in.at);
	if (in.full || len > sizeof(plain))
		return KRB_MACHINE;
	memcpy(enc + CRYPTO_KRB_CONFOUNDER, in.at, len);
	if (crypto_krb_encrypt(&ap->session, USAGE_AP_REP, confounder, enc, len, &len) != RC_OK)
		return KRB_MACHINE;
	back_element(b, DER_OCTETS, enc, len);
	back_wrap(b, DER_CTX(2), outer);
	back_int(b, 0, (uint32_t)ap->session.etype);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(2), outer);
	back_int(b, 1, 15);
	back_int(b, 0, 5);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_APP(15), outer);
	back_put(b, token, sizeof(token));
	back_element(b, DER_OID, oid_krb5, sizeof(oid_krb5));
	back_wrap(b, DER_APP(0), outer);
	return KRB_OK;
}

/* NegTokenResp around what `b` holds already; that and the MIC may be empty. */
static void resp_write(struct back *b, const struct token *t, uint8_t state, struct slice mic)
{
	uint8_t rep[KRB_REPLY_MAX];
	size_t len = (size_t)(b->end - b->at);
	const uint8_t *mark;

	memcpy(rep, b->at, len);
	b->at = b->end;
	if (mic.len) {
		back_element(b, DER_OCTETS, mic.p, mic.len);
		back_wrap(b, DER_CTX(3), b->end);
	}
	mark = b->at;
	if (len) {
		back_element(b, DER_OCTETS, rep, len);
		back_wrap(b, DER_CTX(2), mark);
	}
	mark = b->at;
	if (t->mech.len) {
		back_element(b, DER_OID, t->mech.p, t->mech.len);
		back_wrap(b, DER_CTX(1), mark);
	}
	mark = b->at;
	back_element(b, DER_ENUM, &state, 1);
	back_wrap(b, DER_CTX(0), mark);
	back_wrap(b, DER_SEQ, b->end);
	back_wrap(b, DER_CTX(1), b->end);
}

static enum krb_result reply_take(struct back *b, struct krb_identity *out)
{
	if (b->full)
		return KRB_MACHINE;
	out->reply_len = (size_t)(b->end - b->at);
	memmove(out->reply, b->at, out->reply_len);
	return KRB_OK;
}

static enum krb_result answer(struct crypto *c, const struct krb_accept_options *o, const struct token *t,
			      const struct krb_ap *ap, struct krb_identity *out)
{
	struct back b = back_of(out->reply, sizeof(out->reply));
	uint8_t mic[MIC_HEAD + CRYPTO_KRB_SUM_MAX] = { 4, 4, 1, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t random[CRYPTO_KRB_CONFOUNDER + 4];
	struct slice ours = { 0 };
	enum krb_result k = KRB_OK;

	if (crypto_random_get(c, o->random, random, sizeof(random)) != RC_OK)
		return KRB_MACHINE;
	random[CRYPTO_KRB_CONFOUNDER] &= 0x3f;	/* as MIT and Heimdal do, whose elders had signed numbers */
	memcpy(mic + 12, random + CRYPTO_KRB_CONFOUNDER, 4);
	if (ap->mutual)
		k = ap_rep_write(&b, ap, random,
				 (uint32_t)mic[12] << 24 | (uint32_t)mic[13] << 16 | (uint32_t)mic[14] << 8 | mic[15]);
	if (k == KRB_OK && t->mic.len) {
		k = mic_sum(ap, USAGE_MIC_ACCEPTOR, t->list, mic, mic + MIC_HEAD);
		ours = slice_of(mic, MIC_HEAD + crypto_krb_sum_len(ap->key.etype));
	}
	if (k == KRB_OK && t->form != FORM_RAW)
		resp_write(&b, t, STATE_COMPLETED, ours);
	return k == KRB_OK ? reply_take(&b, out) : k;
}

static enum krb_result accept_token(struct crypto *c, const struct krb_accept_options *o, struct krb_replay *r,
				    const struct token *t, uint8_t *work, struct krb_ap *ap, struct krb_identity *out)
{
	enum krb_result k = krb_ap_verify(o, t->ap_req, work, ap);

	if (k == KRB_OK && t->mic.len)
		k = mic_check(t, ap);
	if (k == KRB_OK)
		k = answer(c, o, t, ap, out);
	if (k == KRB_OK)	/* last: what is refused for another reason leaves no trace */
		k = krb_replay_enter(r, slice_of(ap->client.b, ap->client.len), ap->authenticator, ap->made_ms, o->now_ms,
				     o->skew_ms);
	if (k != KRB_OK)
		return k;
	out->ends_ms = ap->ends_ms;
	out->principal_len = ap->client.len;
	memcpy(out->principal, ap->client.b, ap->client.len);
	return KRB_OK;
}

enum krb_result krb_accept(struct crypto *c, const struct krb_accept_options *o, struct krb_replay *r,
			   struct slice in, struct krb_identity *out)
{
	struct token t = { 0 };
	struct krb_ap ap = { 0 };
	enum krb_result k;
	uint8_t *work;

	memset(out, 0, sizeof(*out));
	if (in.len > KRB_TOKEN_MAX)
		return KRB_DEFECTIVE;
	k = token_parse(in, &t);
	if (k == KRB_CONTINUE) {
		struct back b = back_of(out->reply, sizeof(out->reply));

		resp_write(&b, &t, t.first ? STATE_INCOMPLETE : STATE_REQUEST_MIC, slice_of(NULL, 0));
		return reply_take(&b, out) == KRB_OK ? KRB_CONTINUE : KRB_MACHINE;
	}
	if (k != KRB_OK)
		return k;
	work = malloc(t.ap_req.len + 1);
	if (!work)
		return KRB_MACHINE;
	k = accept_token(c, o, r, &t, work, &ap, out);
	if (k != KRB_OK)
		memset(out, 0, sizeof(*out));
	mem_wipe(&ap, sizeof(ap));
	mem_wipe(work, t.ap_req.len + 1);
	free(work);
	return k;
}

#define FAILED "GSSException: Failure unspecified at GSS-API level (Mechanism level: "
const char *krb_result_text(enum krb_result r)
{
	static const char *const text[KRB_RESULT_COUNT] = {
		[KRB_OK] = "accepted",
		[KRB_CONTINUE] = "Kerberos was chosen, send its token",
		[KRB_DEFECTIVE] = "GSSException: Defective token detected (Mechanism level: not Kerberos or SPNEGO)",
		[KRB_MECHANISM] = "GSSException: Unsupported mechanism requested: not NTLM but Kerberos; kinit first",
		[KRB_ETYPE] = FAILED "Encryption type not permitted (14)): RC4 and DES are refused; allow AES in the KDC",
		[KRB_NO_KEY] = FAILED "Specified version of key is not available (44)): export the keytab again, or kinit again",
		[KRB_NOT_US] = FAILED "The ticket is not for us (35)): use the host name that is in kerberos.principal",
		[KRB_INTEGRITY] = FAILED "Integrity check on decrypted field failed (31)): the keytab has not the KDC's key",
		[KRB_MISMATCH] = FAILED "Ticket and authenticator do not match (36))",
		[KRB_EXPIRED] = FAILED "Ticket expired (32)): kinit again",
		[KRB_NOT_YET] = FAILED "Ticket not yet valid (33)): check the clocks",
		[KRB_SKEW] = FAILED "Clock skew too great (37)): check the clocks",
		[KRB_REPLAY] = FAILED "Request is a replay (34)): send a new one",
		[KRB_FORGOTTEN] = FAILED "The authenticator is from before what is remembered, since "
				  "svsm.kms.kerberos.skew.sec was raised): set the client's clock, or try again in some minutes",
		[KRB_BUSY] = "GSSException: too many logins to remember; try again in some minutes, and use the cookie",
		[KRB_FLAGS] = FAILED "user-to-user, DCE style, or an invalid, anonymous or restricted ticket)",
		[KRB_REALM] = FAILED "the KDC has not checked the path of realms)",
		[KRB_NAME] = FAILED "the client's name has a character that is not accepted)",
		[KRB_MIC] = "GSSException: Message integrity check of the mechanism list failed",
		[KRB_MACHINE] = FAILED "out of memory or randomness)",
	};

	return r < KRB_RESULT_COUNT && text[r] ? text[r] : "GSSException";
}
