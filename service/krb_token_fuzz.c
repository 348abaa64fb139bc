/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: tokens of clients. The first byte chooses what the rest is: a whole token, or a plain text that is put behind
 * good encryption, so that the parsers inside are reached too:
 *   mode & 7     0: token  1: ticket's inside  2: authenticator's inside  3: both (len:u16 of the first, in front)
 *   mode & 8     in Kerberos' own frame, not in SPNEGO      mode & 0x30  encryption type      mode & 0x40  with a MIC
 * Nobody is accepted who is not in the authenticated part, and a token is accepted once.
 */
#include <stdlib.h>

#include "service/krb.h"
#include "tests/fake/krb_client.h"

#define NOW_S 1700000000ull

static struct crypto *c;
static struct crypto_random rnd;
static struct krb_keys *keys[4];

static enum rc entropy(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	memset(out, 7, len);
	return RC_OK;
}

static void start(void)
{
	struct fake_krb f;
	uint8_t file[512] = { 5, 2 };
	const char *why;
	size_t len, i;

	INVARIANT(crypto_start() == RC_OK);
	c = crypto_new();
	crypto_random_init(&rnd, entropy, NULL);
	for (i = 0; i < 4; i++) {
		fake_krb_init(&f, 17 + (int32_t)i, NOW_S);
		len = 2 + fake_krb_keytab_entry(file + 2, sizeof(file) - 2, f.server, f.server_realm, 3, 3, f.service.etype,
						f.service.b, crypto_krb_key_len(f.service.etype));
		INVARIANT(krb_keytab_parse(slice_of(file, len), &keys[i], &why) == RC_OK);
	}
}

static void check(const struct krb_accept_options *o, struct slice token)
{
	static struct krb_replay replay;
	struct krb_identity id, second;
	enum krb_result k;
	size_t i, slashes = 0, ats = 0;

	if (!replay.bucket)
		INVARIANT(krb_replay_init(&replay, c, &rnd) == RC_OK);
	k = krb_accept(c, o, &replay, token, &id);
	INVARIANT(k < KRB_RESULT_COUNT && k != KRB_MACHINE);
	INVARIANT(id.principal_len <= KRB_PRINCIPAL_MAX && id.reply_len <= KRB_REPLY_MAX);
	if (k != KRB_OK) {
		INVARIANT(id.principal_len == 0 && (id.reply_len > 0) == (k == KRB_CONTINUE));
		return;
	}
	for (i = 0; i < id.principal_len; i++) {
		INVARIANT(id.principal[i] >= ' ' && id.principal[i] != '\\');
		slashes += id.principal[i] == '/';
		ats += id.principal[i] == '@';
	}
	INVARIANT(ats == 1 && slashes < id.principal_len);
	INVARIANT(krb_accept(c, o, &replay, token, &second) == KRB_REPLAY && second.principal_len == 0);
	krb_replay_wipe(&replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice any = { (const uint8_t *)"*", 1 };
	static uint8_t token[65536];
	struct krb_accept_options o = { .principals = &any, .nprincipals = 1, .now_ms = NOW_S * 1000, .skew_ms = 300000,
					.random = &rnd };
	struct fake_krb f;
	uint8_t mode;
	size_t n;

	if (!c)
		start();
	if (size < 4 || size > 8000)
		return 0;
	mode = *data++;
	size--;
	o.keys = keys[mode >> 4 & 3];
	if ((mode & 7) == 0) {
		check(&o, slice_of(data, size));
		return 0;
	}
	fake_krb_init(&f, 17 + (mode >> 4 & 3), NOW_S);
	f.form = mode & 8 ? FAKE_KRB_RAW : FAKE_KRB_SPNEGO;
	f.mic = f.form == FAKE_KRB_SPNEGO && mode & 0x40;
	switch (mode & 7) {
	case 1:
		f.ticket_plain = slice_of(data, size);
		break;
	case 2:
		f.auth_plain = slice_of(data, size);
		break;
	case 3:
		n = (size_t)(data[0] | data[1] << 8) % (size - 1);
		f.ticket_plain = slice_of(data + 2, n < size - 2 ? n : size - 2);
		f.auth_plain = slice_of(data + 2 + f.ticket_plain.len, size - 2 - f.ticket_plain.len);
		break;
	default:
		break;
	}
	n = fake_krb_token(&f, token, sizeof(token));
	check(&o, slice_of(token, n));
	return 0;
}
