/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AP-REQ, RFC 4120 sections 3.2.3 and 5.5.1. First the form, then the ticket under our key, then the authenticator under the
 * ticket's: nothing is used before what protects it has been checked.
 */
#include "base/der.h"
#include "service/krb_priv.h"

#define USAGE_TICKET 2
#define USAGE_AUTHENTICATOR 11
#define KEYS_TRIED_MAX 16	/* of a ticket that does not say its key's version */

#define AP_USE_SESSION_KEY (1u << 30)
#define AP_MUTUAL (1u << 29)
#define TICKET_INVALID (1u << 24)
#define TICKET_TRANSITED_CHECKED (1u << 19)
#define TICKET_ANONYMOUS (1u << 15 | 1u << 17)	/* RFC 8062, and its draft */
#define GSS_DELEG 1u
#define GSS_MUTUAL 2u
#define GSS_DCE_STYLE 0x1000u
#define CHECKSUM_GSS 0x8003
#define AD_IF_RELEVANT 1

struct encrypted {
	int64_t etype, kvno;	/* kvno 0: not said */
	struct slice cipher;
};

struct request {
	uint32_t options;
	struct krb_name server;
	struct encrypted ticket, authenticator;
};

/* "YYYYMMDDhhmmssZ" to ms since 1970. */
MUST_CHECK static bool time_parse(struct cursor in, uint64_t *ms)
{
	static const uint8_t width[6] = { 4, 2, 2, 2, 2, 2 };
	static const uint16_t low[6] = { 1970, 1, 1, 0, 0, 0 }, high[6] = { 9999, 12, 31, 23, 59, 59 };
	uint32_t v[6] = { 0 }, y, days;
	size_t i, j;

	if (in.left != 15 || in.at[14] != 'Z')
		return false;
	for (i = 0; i < 6; i++) {
		for (j = 0; j < width[i]; j++, in.at++) {
			if (*in.at < '0' || *in.at > '9')
				return false;
			v[i] = v[i] * 10 + *in.at - '0';
		}
		if (v[i] < low[i] || v[i] > high[i])
			return false;
	}
	/* Years that begin in March, so that the leap day is their last. */
	y = v[0] - (v[1] < 3);
	days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * (v[1] + (v[1] < 3 ? 9 : -3u)) + 2) / 5 + v[2] - 1 - 719468;
	*ms = (((days * 24ull + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000;
	return true;
}

/* KerberosFlags: 32 bits, the first one highest; what is missing is zero. */
MUST_CHECK static bool flags_parse(struct cursor in, uint32_t *out)
{
	uint32_t v = 0;
	size_t i;

	if (in.left == 0 || in.at[0] > 7)
		return false;
	for (i = 1; i <= 4; i++)
		v = v << 8 | (i < in.left ? in.at[i] : 0);
	*out = v;
	return true;
}

MUST_CHECK static bool encrypted_parse(struct cursor in, struct encrypted *e)
{
	struct cursor s;

	e->kvno = 0;
	if (!der_int(&in, 0, &e->etype) || (der_is(&in, DER_CTX(1)) && !der_int(&in, 1, &e->kvno)) ||
	    !der_field(&in, 2, DER_OCTETS, &s) || !cur_end(&in))
		return false;
	e->cipher = der_slice(s);
	return true;
}

/* False: not a PrincipalName. *fine: it has a text. With the realm, which comes before it in all formats. */
MUST_CHECK static bool name_parse(struct cursor in, struct slice realm, struct krb_name *n, bool *fine)
{
	struct cursor list, part;
	int64_t type;

	if (!der_int(&in, 0, &type) || !der_field(&in, 1, DER_SEQ, &list) || !cur_end(&in))
		return false;
	*n = (struct krb_name){ 0 };
	*fine = list.left != 0;
	while (list.left) {
		if (!der_take(&list, DER_STRING, &part))
			return false;
		*fine = *fine && krb_name_add(n, der_slice(part), false);
	}
	*fine = *fine && krb_name_add(n, realm, true);
	return true;
}

MUST_CHECK static bool ticket_parse(struct cursor in, struct request *q, bool *fine)
{
	struct cursor realm, name, enc;
	int64_t version;

	return der_int(&in, 0, &version) && version == 5 && der_field(&in, 1, DER_STRING, &realm) &&
	       der_field(&in, 2, DER_SEQ, &name) && name_parse(name, der_slice(realm), &q->server, fine) &&
	       der_field(&in, 3, DER_SEQ, &enc) && cur_end(&in) && encrypted_parse(enc, &q->ticket);
}

MUST_CHECK static bool request_parse(struct slice req, struct request *q, bool *fine)
{
	struct cursor c = cur_of(req.p, req.len), app, in, flags, ticket, t, enc;
	int64_t version, type;

	return der_take(&c, DER_APP(14), &app) && cur_end(&c) && der_take(&app, DER_SEQ, &in) && cur_end(&app) &&
	       der_int(&in, 0, &version) && version == 5 && der_int(&in, 1, &type) && type == 14 &&
	       der_field(&in, 2, DER_BITS, &flags) && flags_parse(flags, &q->options) &&
	       der_field(&in, 3, DER_APP(1), &ticket) && der_take(&ticket, DER_SEQ, &t) && cur_end(&ticket) &&
	       ticket_parse(t, q, fine) && der_field(&in, 4, DER_SEQ, &enc) && cur_end(&in) &&
	       encrypted_parse(enc, &q->authenticator);
}

/* False: not an EncryptionKey. k->etype is 0 if it is of a type we refuse. */
MUST_CHECK static bool key_parse(struct cursor in, struct crypto_krb_key *k)
{
	struct cursor value;
	int64_t type;

	if (!der_int(&in, 0, &type) || !der_field(&in, 1, DER_OCTETS, &value) || !cur_end(&in))
		return false;
	k->etype = 0;
	if (type < 0 || type > INT32_MAX || crypto_krb_key_len((int32_t)type) == 0)
		return true;
	k->etype = (int32_t)type;
	return value.left == crypto_krb_key_len(k->etype) && cur_copy(&value, k->b, value.left);
}

/*
 * Restrictions that somebody has put into ticket or authenticator. Those that may be ignored are marked so; any other one
 * has to be understood (RFC 4120 section 5.2.6), and we understand none.
 */
MUST_CHECK static bool restrictions_parse(struct cursor list, bool *understood)
{
	struct cursor in, data;
	int64_t type;

	while (list.left) {
		if (!der_take(&list, DER_SEQ, &in) || !der_int(&in, 0, &type) || !der_field(&in, 1, DER_OCTETS, &data) ||
		    !cur_end(&in))
			return false;
		*understood = *understood && type == AD_IF_RELEVANT;
	}
	return true;
}

struct ticket {
	uint32_t flags;
	struct slice realm;
	bool has_path, fine, understood;
	uint64_t starts_ms, ends_ms;
};

MUST_CHECK static bool transited_parse(struct cursor in, bool *has_path)
{
	struct cursor path;
	int64_t type;

	if (!der_int(&in, 0, &type) || !der_field(&in, 1, DER_OCTETS, &path) || !cur_end(&in))
		return false;
	*has_path = path.left != 0;
	return true;
}

/* EncTicketPart. The fields behind it that we do not use have to be there in their form nevertheless. */
MUST_CHECK static bool ticket_inner(struct slice plain, struct krb_ap *ap, struct ticket *t)
{
	struct cursor c = cur_of(plain.p, plain.len), app, in, f, realm, start, end, unused;
	uint64_t authtime;

	if (!der_take(&c, DER_APP(3), &app) || !cur_end(&c) || !der_take(&app, DER_SEQ, &in) || !cur_end(&app) ||
	    !der_field(&in, 0, DER_BITS, &f) || !flags_parse(f, &t->flags) || !der_field(&in, 1, DER_SEQ, &f) ||
	    !key_parse(f, &ap->session) || !der_field(&in, 2, DER_STRING, &realm) || !der_field(&in, 3, DER_SEQ, &f) ||
	    !name_parse(f, der_slice(realm), &ap->client, &t->fine) || !der_field(&in, 4, DER_SEQ, &f) ||
	    !transited_parse(f, &t->has_path) || !der_field(&in, 5, DER_TIME, &f) || !time_parse(f, &authtime) ||
	    !der_maybe(&in, 6, DER_TIME, &start) || !der_field(&in, 7, DER_TIME, &end) || !time_parse(end, &t->ends_ms) ||
	    !der_maybe(&in, 8, DER_TIME, &unused) || !der_maybe(&in, 9, DER_SEQ, &unused) ||
	    !der_maybe(&in, 10, DER_SEQ, &f) || !cur_end(&in))
		return false;
	t->realm = der_slice(realm);
	t->starts_ms = authtime;
	if (start.left && !time_parse(start, &t->starts_ms))
		return false;
	t->understood = true;
	return restrictions_parse(f, &t->understood);
}

struct authenticator {
	struct krb_name client;
	bool fine, understood;
	int64_t sum_type;
	struct slice sum;
};

/* Decrypted under the session key, so ap->key starts as that. */
MUST_CHECK static bool authenticator_inner(struct slice plain, struct krb_ap *ap, struct authenticator *a)
{
	struct cursor c = cur_of(plain.p, plain.len), app, in, realm, f, sum, value, time, unused;
	int64_t version, cusec;

	if (!der_take(&c, DER_APP(2), &app) || !cur_end(&c) || !der_take(&app, DER_SEQ, &in) || !cur_end(&app) ||
	    !der_int(&in, 0, &version) || version != 5 || !der_field(&in, 1, DER_STRING, &realm) ||
	    !der_field(&in, 2, DER_SEQ, &f) || !name_parse(f, der_slice(realm), &a->client, &a->fine) ||
	    !der_maybe(&in, 3, DER_SEQ, &sum) || !der_int(&in, 4, &cusec) || cusec < 0 || cusec > 999999 ||
	    !der_field(&in, 5, DER_TIME, &time) || !time_parse(time, &ap->made_ms))
		return false;
	if (sum.left && (!der_int(&sum, 0, &a->sum_type) || !der_field(&sum, 1, DER_OCTETS, &value) || !cur_end(&sum)))
		return false;
	a->sum = a->sum_type ? der_slice(value) : slice_of(NULL, 0);
	if (!der_maybe(&in, 6, DER_SEQ, &f) || (f.left && !key_parse(f, &ap->key)) ||
	    !der_maybe(&in, 7, DER_INT, &unused) || !der_maybe(&in, 8, DER_SEQ, &f) || !cur_end(&in))
		return false;
	memcpy(ap->ctime, time.at, sizeof(ap->ctime));
	ap->cusec = (uint32_t)cusec;
	ap->made_ms += (uint64_t)cusec / 1000;
	a->understood = true;
	return restrictions_parse(f, &a->understood);
}

/*
 * The GSS checksum, which is no checksum but flags (RFC 4121 section 4.1.1): len:u32=16 bindings[16] flags:u32
 * [option:u16=1 len:u16 KRB-CRED] [extensions], little-endian.
 */
MUST_CHECK static bool gss_flags(const struct authenticator *a, uint32_t *flags)
{
	struct cursor c = cur_of(a->sum.p, a->sum.len);
	struct slice skipped;
	uint32_t len;
	uint16_t option;

	if (a->sum_type != CHECKSUM_GSS || !cur_le32(&c, &len) || len != 16 || !cur_sub(&c, len, &skipped) ||
	    !cur_le32(&c, flags))
		return false;
	return !(*flags & GSS_DELEG) || (cur_le16(&c, &option) && option == 1 && cur_str16(&c, UINT16_MAX, &skipped));
}

static bool permitted(const struct krb_accept_options *o, struct slice server)
{
	size_t i;

	for (i = 0; i < o->nprincipals; i++)
		if (krb_principal_fits(o->principals[i], server))
			return true;
	return false;
}

/* Zero stands for any version, as some tools write it; see Java's acceptor. */
static bool version_fits(const struct krb_entry *e, uint32_t kvno)
{
	return kvno == 0 || e->kvno == 0 || e->kvno == kvno || (e->kvno8 && e->kvno == (kvno & 0xff));
}

/* The ticket's plain text in work, by the first key of that server, type and version that opens it. */
static enum krb_result ticket_open(const struct krb_accept_options *o, const struct request *q, uint8_t *work,
				   struct slice *plain)
{
	struct slice server = slice_of(q->server.b, q->server.len);
	enum krb_result k = KRB_NO_KEY;
	unsigned tried = 0;
	size_t i;

	for (i = 0; i < o->keys->count && tried < KEYS_TRIED_MAX; i++) {
		const struct krb_entry *e = &o->keys->entry[i];
		enum rc rc;

		if (e->key.etype != q->ticket.etype || !version_fits(e, (uint32_t)q->ticket.kvno) ||
		    !slice_eq(server, krb_keytab_principal(o->keys, i)))
			continue;
		memcpy(work, q->ticket.cipher.p, q->ticket.cipher.len);
		rc = crypto_krb_decrypt(&e->key, USAGE_TICKET, work, q->ticket.cipher.len, plain);
		if (rc == RC_OK)
			return KRB_OK;
		if (rc == RC_MACHINE)
			return KRB_MACHINE;
		k = KRB_INTEGRITY;
		tried++;
	}
	return k;
}

static enum krb_result times_check(const struct krb_accept_options *o, const struct ticket *t, const struct krb_ap *ap)
{
	uint64_t now = o->now_ms, skew = o->skew_ms;

	if (ap->made_ms > now + skew || ap->made_ms + skew < now)
		return KRB_SKEW;
	if (t->starts_ms > now + skew)
		return KRB_NOT_YET;
	if (t->ends_ms + skew < now)
		return KRB_EXPIRED;
	return KRB_OK;
}

/* What a genuine ticket and authenticator have to say. */
static enum krb_result policy_check(const struct krb_accept_options *o, const struct request *q, const struct ticket *t,
				    const struct authenticator *a, struct krb_ap *ap)
{
	struct slice client = slice_of(ap->client.b, ap->client.len);
	uint32_t flags;
	enum krb_result k;

	if (!t->fine)
		return KRB_NAME;
	if (!a->fine || !slice_eq(client, slice_of(a->client.b, a->client.len)))
		return KRB_MISMATCH;
	k = times_check(o, t, ap);
	if (k != KRB_OK)
		return k;
	if (t->flags & (TICKET_INVALID | TICKET_ANONYMOUS) || !t->understood || !a->understood || !gss_flags(a, &flags) ||
	    flags & GSS_DCE_STYLE)
		return KRB_FLAGS;
	/* The server's text ends with its realm. */
	if (t->has_path && !(t->flags & TICKET_TRANSITED_CHECKED)) {
		const uint8_t *at = memchr(q->server.b, '@', q->server.len);

		if (!slice_eq(t->realm, slice_of(at + 1, (size_t)(q->server.b + q->server.len - at - 1))))
			return KRB_REALM;
	}
	ap->ends_ms = t->ends_ms;
	ap->mutual = flags & GSS_MUTUAL || q->options & AP_MUTUAL;
	return KRB_OK;
}

enum krb_result krb_ap_verify(const struct krb_accept_options *o, struct slice req, uint8_t *work, struct krb_ap *ap)
{
	struct request q = { 0 };
	struct ticket t = { 0 };
	struct authenticator a = { 0 };
	struct slice plain;
	enum krb_result k;
	bool fine;
	enum rc rc;

	if (!request_parse(req, &q, &fine))
		return KRB_DEFECTIVE;
	if (q.options & AP_USE_SESSION_KEY)
		return KRB_FLAGS;
	if (!fine || !permitted(o, slice_of(q.server.b, q.server.len)))
		return KRB_NOT_US;
	if (q.ticket.etype < 0 || q.ticket.etype > INT32_MAX || crypto_krb_key_len((int32_t)q.ticket.etype) == 0)
		return KRB_ETYPE;
	k = ticket_open(o, &q, work, &plain);
	if (k != KRB_OK)
		return k;
	if (!ticket_inner(plain, ap, &t))
		return KRB_DEFECTIVE;
	if (ap->session.etype == 0)
		return KRB_ETYPE;
	ap->key = ap->session;
	/* t.realm lies in work, before what is decrypted now: the authenticator is behind the ticket in the token. */
	work += q.ticket.cipher.len;
	memcpy(work, q.authenticator.cipher.p, q.authenticator.cipher.len);
	if (q.authenticator.etype != ap->session.etype)
		return KRB_INTEGRITY;
	rc = crypto_krb_decrypt(&ap->session, USAGE_AUTHENTICATOR, work, q.authenticator.cipher.len, &plain);
	if (rc != RC_OK)
		return rc == RC_MACHINE ? KRB_MACHINE : KRB_INTEGRITY;
	if (!authenticator_inner(plain, ap, &a))
		return KRB_DEFECTIVE;
	if (ap->key.etype == 0)
		return KRB_ETYPE;
	ap->authenticator = q.authenticator.cipher;
	return policy_check(o, &q, &t, &a, ap);
}
