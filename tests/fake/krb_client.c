/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/der.h"
#include "tests/fake/krb_client.h"

#define PLAIN_MAX 8192

static const uint8_t krb5[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02 };
static const uint8_t ms_krb5[] = { 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02 };
static const uint8_t spnego[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02 };
static const uint8_t ntlm[] = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a };

void fake_krb_init(struct fake_krb *f, int32_t etype, uint64_t now_s)
{
	*f = (struct fake_krb){
		.service = { .etype = etype, .b = "the service's key of 32 bytes.." },
		.session = { .etype = etype, .b = "the session key, 32 bytes long." },
		.kvno = 3, .server = "HTTP/kms.example.com", .server_realm = "EXAMPLE.COM",
		.client = "alice", .client_realm = "EXAMPLE.COM", .ap_options = 1u << 29, .gss_flags = 2 | 32,
		.auth_s = now_s - 60, .end_s = now_s + 3600, .ctime_s = now_s, .cusec = 123456, .seq = 77,
		.sum_type = 0x8003, .form = FAKE_KRB_SPNEGO, .path = "",
	};
}

static size_t finish(struct back *b, uint8_t *out, size_t room)
{
	size_t len = (size_t)(b->end - b->at);

	INVARIANT(!b->full && len <= room);
	memmove(out, b->at, len);
	return len;
}

static void put_ctx(struct back *b, unsigned n, unsigned tag, const void *p, size_t len)
{
	const uint8_t *mark = b->at;

	back_element(b, tag, p, len);
	back_wrap(b, DER_CTX(n), mark);
}

static void put_int(struct back *b, unsigned n, int64_t v)
{
	uint8_t minus[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	size_t skip = 0;

	if (v >= 0) {
		back_int(b, n, (uint32_t)v);
		return;
	}
	while (skip < 3 && minus[skip] == 0xff && minus[skip + 1] >= 0x80)
		skip++;
	put_ctx(b, n, DER_INT, minus + skip, 4 - skip);
}

/* "YYYYMMDDhhmmssZ", day by day: gmtime() would open files. */
static void stamp(uint64_t s, char text[32])
{
	static const unsigned len[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year = 1970, month = 0, days = (unsigned)(s / 86400), n;

	for (;; days -= n) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		n = len[month] + (month == 1 && leap);
		if (days < n)
			break;
		month = (month + 1) % 12;
		year += month == 0;
	}
	snprintf(text, 32, "%04u%02u%02u%02u%02u%02uZ", year % 10000, month + 1, days + 1, (unsigned)(s / 3600 % 24),
		 (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static void put_time(struct back *b, unsigned n, uint64_t s)
{
	char text[32];

	stamp(s, text);
	put_ctx(b, n, DER_TIME, text, strlen(text));
}

static void put_flags(struct back *b, unsigned n, uint32_t v)
{
	const uint8_t bits[5] = { 0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	put_ctx(b, n, DER_BITS, bits, 5);
}

/* "a/b": two components. A '|' stands for a slash inside a component. */
static void put_name(struct back *b, unsigned n, const char *name)
{
	const uint8_t *outer = b->at;
	const char *end = name + strlen(name), *from = end;

	for (;;) {
		while (from > name && from[-1] != '/')
			from--;
		{
			char part[512];
			size_t i, len = (size_t)(end - from);

			INVARIANT(len < sizeof(part));
			for (i = 0; i < len; i++)
				part[i] = from[i] == '|' ? '/' : from[i];
			back_element(b, DER_STRING, part, len);
		}
		if (from == name)
			break;
		end = --from;
	}
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(1), outer);
	back_int(b, 0, 1);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(n), outer);
}

static void put_key(struct back *b, unsigned n, const struct crypto_krb_key *k, int32_t told)
{
	const uint8_t *outer = b->at;

	put_ctx(b, 1, DER_OCTETS, k->b, crypto_krb_key_len(k->etype));
	put_int(b, 0, told ? told : k->etype);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(n), outer);
}

static void put_restriction(struct back *b, unsigned n, int32_t type)
{
	const uint8_t *outer = b->at;

	put_ctx(b, 1, DER_OCTETS, "\x30\x00", 2);
	put_int(b, 0, type);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(n), outer);
}

size_t fake_krb_ticket_plain(const struct fake_krb *f, uint8_t *out, size_t room)
{
	uint8_t buf[PLAIN_MAX];
	struct back b = back_of(buf, sizeof(buf));
	const uint8_t *mark;

	if (f->ticket_plain.p) {
		INVARIANT(f->ticket_plain.len <= room);
		memcpy(out, f->ticket_plain.p, f->ticket_plain.len);
		return f->ticket_plain.len;
	}
	if (f->ticket_ad)
		put_restriction(&b, 10, f->ticket_ad);
	if (f->addresses) {
		mark = b.at;
		put_ctx(&b, 1, DER_OCTETS, "\xc0\x00\x02\x01", 4);
		back_int(&b, 0, 2);
		back_wrap(&b, DER_SEQ, mark);
		back_wrap(&b, DER_SEQ, mark);
		back_wrap(&b, DER_CTX(9), mark);
	}
	put_time(&b, 7, f->end_s);
	if (f->start_s)
		put_time(&b, 6, f->start_s);
	put_time(&b, 5, f->auth_s);
	mark = b.at;
	put_ctx(&b, 1, DER_OCTETS, f->path, strlen(f->path));
	back_int(&b, 0, 1);
	back_wrap(&b, DER_SEQ, mark);
	back_wrap(&b, DER_CTX(4), mark);
	put_name(&b, 3, f->client);
	put_ctx(&b, 2, DER_STRING, f->client_realm, strlen(f->client_realm));
	put_key(&b, 1, &f->session, f->session_etype);
	put_flags(&b, 0, f->ticket_flags);
	back_wrap(&b, DER_SEQ, b.end);
	back_wrap(&b, DER_APP(3), b.end);
	return finish(&b, out, room);
}

size_t fake_krb_auth_plain(const struct fake_krb *f, uint8_t *out, size_t room)
{
	uint8_t buf[PLAIN_MAX], gss[24] = { 16 };
	struct back b = back_of(buf, sizeof(buf));
	const char *realm = f->auth_realm ? f->auth_realm : f->client_realm;
	struct slice sum = f->sum.p ? f->sum : slice_of(gss, sizeof(gss));
	const uint8_t *mark;

	if (f->auth_plain.p) {
		INVARIANT(f->auth_plain.len <= room);
		memcpy(out, f->auth_plain.p, f->auth_plain.len);
		return f->auth_plain.len;
	}
	memcpy(gss + 20, &f->gss_flags, 4);
	if (f->auth_ad)
		put_restriction(&b, 8, f->auth_ad);
	if (f->seq >= 0)
		back_int(&b, 7, (uint32_t)f->seq);
	if (f->subkey.etype)
		put_key(&b, 6, &f->subkey, f->subkey_etype);
	put_time(&b, 5, f->ctime_s);
	back_int(&b, 4, f->cusec);
	if (f->sum_type) {
		mark = b.at;
		put_ctx(&b, 1, DER_OCTETS, sum.p, sum.len);
		put_int(&b, 0, f->sum_type);
		back_wrap(&b, DER_SEQ, mark);
		back_wrap(&b, DER_CTX(3), mark);
	}
	put_name(&b, 2, f->auth_client ? f->auth_client : f->client);
	put_ctx(&b, 1, DER_STRING, realm, strlen(realm));
	back_int(&b, 0, 5);
	back_wrap(&b, DER_SEQ, b.end);
	back_wrap(&b, DER_APP(2), b.end);
	return finish(&b, out, room);
}

static void put_encrypted(struct back *b, unsigned n, const struct crypto_krb_key *k, uint32_t usage, int32_t told,
			  int64_t kvno, const uint8_t confounder[16], uint8_t *buf, size_t len, uint32_t flip)
{
	const uint8_t *outer = b->at;

	INVARIANT(crypto_krb_encrypt(k, usage, confounder, buf, len, &len) == RC_OK);
	if (flip)
		buf[(flip - 1) / 8 % len] ^= (uint8_t)(1 << (flip - 1) % 8);
	put_ctx(b, 2, DER_OCTETS, buf, len);
	if (kvno >= 0)
		put_int(b, 1, kvno);
	put_int(b, 0, told ? told : k->etype);
	back_wrap(b, DER_SEQ, outer);
	back_wrap(b, DER_CTX(n), outer);
}

size_t fake_krb_ap_req(struct fake_krb *f, uint8_t *out, size_t room)
{
	static uint8_t buf[4 * PLAIN_MAX], plain[PLAIN_MAX + CRYPTO_KRB_OVERHEAD_MAX];
	struct back b = back_of(buf, sizeof(buf));
	const uint8_t *mark;
	size_t len;
	unsigned i;

	for (i = 0; i < sizeof(f->confounder) && ++f->confounder[i] == 0; i++)
		;
	len = fake_krb_auth_plain(f, plain + CRYPTO_KRB_CONFOUNDER, PLAIN_MAX);
	put_encrypted(&b, 4, &f->session, 11, f->auth_etype, -1, f->confounder, plain, len, f->auth_flip);
	mark = b.at;
	len = fake_krb_ticket_plain(f, plain + CRYPTO_KRB_CONFOUNDER, PLAIN_MAX);
	put_encrypted(&b, 3, &f->service, 2, f->ticket_etype, f->kvno, (const uint8_t *)"a ticket's noise", plain, len,
		      f->ticket_flip);
	put_name(&b, 2, f->server);
	put_ctx(&b, 1, DER_STRING, f->server_realm, strlen(f->server_realm));
	back_int(&b, 0, 5);
	back_wrap(&b, DER_SEQ, mark);
	back_wrap(&b, DER_APP(1), mark);
	back_wrap(&b, DER_CTX(3), mark);
	put_flags(&b, 2, f->ap_options);
	back_int(&b, 1, 14);
	back_int(&b, 0, 5);
	back_wrap(&b, DER_SEQ, b.end);
	back_wrap(&b, DER_APP(14), b.end);
	return finish(&b, out, room);
}

/* MechTypeList */
static size_t mech_list(const struct fake_krb *f, uint8_t *out, size_t room)
{
	uint8_t buf[128];
	struct back b = back_of(buf, sizeof(buf));

	if (f->form != FAKE_KRB_NTLM_FIRST)
		back_element(&b, DER_OID, ntlm, sizeof(ntlm));
	if (f->form != FAKE_KRB_NTLM_ONLY)
		back_element(&b, DER_OID, krb5, sizeof(krb5));
	if (f->form == FAKE_KRB_MS)
		back_element(&b, DER_OID, ms_krb5, sizeof(ms_krb5));
	if (f->form == FAKE_KRB_NTLM_FIRST)
		back_element(&b, DER_OID, ntlm, sizeof(ntlm));
	back_wrap(&b, DER_SEQ, b.end);
	return finish(&b, out, room);
}

static const struct crypto_krb_key *mic_key(const struct fake_krb *f)
{
	return f->subkey.etype ? &f->subkey : &f->session;
}

static size_t mic_of(const struct fake_krb *f, uint32_t usage, uint8_t flags, const uint8_t seq[4], uint8_t *out)
{
	uint8_t list[128], head[16] = { 4, 4, flags, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct slice parts[] = { slice_of(list, mech_list(f, list, sizeof(list))), slice_of(head, sizeof(head)) };

	memcpy(head + 12, seq, 4);
	memcpy(out, head, sizeof(head));
	INVARIANT(crypto_krb_checksum(mic_key(f), usage, parts, 2, out + sizeof(head)) == RC_OK);
	return sizeof(head) + crypto_krb_sum_len(mic_key(f)->etype);
}

size_t fake_krb_token(struct fake_krb *f, uint8_t *out, size_t room)
{
	static uint8_t buf[5 * PLAIN_MAX], req[4 * PLAIN_MAX];
	struct back b = back_of(buf, sizeof(buf));
	uint8_t list[128], mic[64];
	size_t len;

	if (f->form == FAKE_KRB_NTLM_ONLY || f->form == FAKE_KRB_NTLM_FIRST) {
		put_ctx(&b, 2, DER_OCTETS, "NTLMSSP\0\1\0\0\0", 12);
	} else if (f->form != FAKE_KRB_NO_TOKEN) {
		const uint8_t *mark;

		if (f->mic) {
			len = mic_of(f, 25, 0, (const uint8_t[]){ 0, 0, 0, 77 }, mic);
			mic[len - 1] ^= f->bad_mic;
			put_ctx(&b, 3, DER_OCTETS, mic, len);
		}
		mark = b.at;
		len = fake_krb_ap_req(f, req, sizeof(req));
		back_put(&b, req, len);
		back_put(&b, "\x01\x00", 2);
		back_element(&b, DER_OID, krb5, sizeof(krb5));
		back_wrap(&b, DER_APP(0), mark);
		if (f->form == FAKE_KRB_RAW)
			return finish(&b, out, room);
		back_wrap(&b, DER_OCTETS, mark);
		back_wrap(&b, DER_CTX(2), mark);
	}
	if (f->form == FAKE_KRB_RESP) {
		back_wrap(&b, DER_SEQ, b.end);
		back_wrap(&b, DER_CTX(1), b.end);
		return finish(&b, out, room);
	}
	len = mech_list(f, list, sizeof(list));
	{
		const uint8_t *mark = b.at;

		back_put(&b, list, len);
		back_wrap(&b, DER_CTX(0), mark);
	}
	back_wrap(&b, DER_SEQ, b.end);
	back_wrap(&b, DER_CTX(0), b.end);
	back_element(&b, DER_OID, spnego, sizeof(spnego));
	back_wrap(&b, DER_APP(0), b.end);
	return finish(&b, out, room);
}

/* 60 len OID 02 00 AP-REP */
static bool ap_rep_fits(const struct fake_krb *f, struct slice rep)
{
	struct cursor c = cur_of(rep.p, rep.len), body, in, t;
	struct slice plain;
	uint8_t copy[512], id, zero;
	char text[32];
	int64_t v;

	if (!der_take(&c, DER_APP(0), &body) || !cur_end(&c) || !der_take(&body, DER_OID, &t) ||
	    !slice_eq(der_slice(t), slice_of(krb5, sizeof(krb5))) || !cur_u8(&body, &id) || id != 2 ||
	    !cur_u8(&body, &zero) || zero != 0 || !der_take(&body, DER_APP(15), &in) || !cur_end(&body) ||
	    !der_take(&in, DER_SEQ, &t) || !cur_end(&in) || !der_int(&t, 0, &v) || v != 5 || !der_int(&t, 1, &v) || v != 15 ||
	    !der_field(&t, 2, DER_SEQ, &in) || !cur_end(&t) || !der_int(&in, 0, &v) || v != f->session.etype ||
	    !der_field(&in, 2, DER_OCTETS, &t) || !cur_end(&in) || t.left > sizeof(copy))
		return false;
	memcpy(copy, t.at, t.left);
	if (crypto_krb_decrypt(&f->session, 12, copy, t.left, &plain) != RC_OK)
		return false;
	stamp(f->ctime_s, text);
	c = cur_of(plain.p, plain.len);
	return der_take(&c, DER_APP(27), &in) && cur_end(&c) && der_take(&in, DER_SEQ, &t) && cur_end(&in) &&
	       der_field(&t, 0, DER_TIME, &in) && slice_is(der_slice(in), text) && der_int(&t, 1, &v) &&
	       v == f->cusec && der_int(&t, 3, &v) && v >= 0 && cur_end(&t);
}

bool fake_krb_reply_fits(const struct fake_krb *f, struct slice reply)
{
	struct cursor c = cur_of(reply.p, reply.len), in, state, mech, rep, mic;
	uint8_t want[64];
	bool mutual = f->gss_flags & 2 || f->ap_options >> 29 & 1;

	if (f->form == FAKE_KRB_RAW)
		return mutual ? ap_rep_fits(f, reply) : reply.len == 0;
	if (!der_take(&c, DER_CTX(1), &in) || !cur_end(&c) || !der_take(&in, DER_SEQ, &c) || !cur_end(&in) ||
	    !der_field(&c, 0, DER_ENUM, &state) || state.left != 1 || state.at[0] != 0 || !der_maybe(&c, 1, DER_OID, &mech) ||
	    !der_maybe(&c, 2, DER_OCTETS, &rep) || !der_maybe(&c, 3, DER_OCTETS, &mic) || !cur_end(&c))
		return false;
	if (!slice_eq(der_slice(mech), f->form == FAKE_KRB_RESP ? slice_of(NULL, 0) :
				       f->form == FAKE_KRB_MS   ? slice_of(ms_krb5, sizeof(ms_krb5)) :
								  slice_of(krb5, sizeof(krb5))))
		return false;
	if (mutual ? !ap_rep_fits(f, der_slice(rep)) : rep.left != 0)
		return false;
	if (!f->mic)
		return mic.left == 0;
	return mic.left > 16 && slice_eq(der_slice(mic), slice_of(want, mic_of(f, 23, 1, mic.at + 12, want)));
}

static void put_be(struct back *b, size_t n, uint32_t v)
{
	const uint8_t be[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	back_put(b, be + 4 - n, n);
}

size_t fake_krb_keytab_entry(uint8_t *out, size_t room, const char *principal, const char *realm, uint8_t kvno8,
			     uint32_t kvno32, int32_t etype, const uint8_t *key, size_t key_len)
{
	uint8_t buf[2048];
	struct back b = back_of(buf, sizeof(buf));
	const char *end = principal + strlen(principal), *from;
	uint32_t count = 0;

	if (kvno32)
		put_be(&b, 4, kvno32);
	back_put(&b, key, key_len);
	put_be(&b, 2, (uint32_t)key_len);
	put_be(&b, 2, (uint32_t)etype);
	put_be(&b, 1, kvno8);
	put_be(&b, 4, 1700000000);
	put_be(&b, 4, 1);
	for (from = end;; end = --from, from = end) {
		while (from > principal && from[-1] != '/')
			from--;
		back_put(&b, from, (size_t)(end - from));
		put_be(&b, 2, (uint32_t)(end - from));
		count++;
		if (from == principal)
			break;
	}
	back_put(&b, realm, strlen(realm));
	put_be(&b, 2, (uint32_t)strlen(realm));
	put_be(&b, 2, count);
	put_be(&b, 4, (uint32_t)(b.end - b.at));
	return finish(&b, out, room);
}
