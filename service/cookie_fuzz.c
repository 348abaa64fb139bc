/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: cookies behind their signature. The input is signed with a secret that the core knows (as
 * another server sharing it could), so that the token's text is parsed; what is accepted must name somebody
 * who may be named, and be worth a new cookie that is accepted in turn.
 */
#include <stdlib.h>

#include "tests/fake/core.h"

static struct core c;

static size_t sign(const uint8_t *text, size_t len, char *out)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static struct crypto *cr;
	static struct crypto_mac_key k;
	struct slice part = slice_of(text, len);
	uint8_t mac[33] = { 0 };
	size_t i, o = len + 3;

	if (!cr) {
		cr = crypto_new();
		crypto_mac_key_set(&k, "secret", 6);
	}
	INVARIANT(crypto_mac(cr, 0, &k, &part, 1, mac) == RC_OK);
	if (len)
		memcpy(out, text, len);
	memcpy(out + len, "&s=", 3);
	for (i = 0; i < 33; i += 3) {
		uint32_t v = (uint32_t)mac[i] << 16 | (uint32_t)mac[i + 1] << 8 | mac[i + 2];

		out[o++] = set[v >> 18];
		out[o++] = set[v >> 12 & 63];
		out[o++] = set[v >> 6 & 63];
		out[o++] = set[v & 63];
	}
	out[o - 1] = '=';
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char cookie[WIRE_COOKIE_MAX], user[WIRE_USER_MAX];
	size_t i, len, n;

	if (!c.svc) {
		core_start(&c, 1);
		INVARIANT(core_config(&c, "svsm.secret.signature", "secret",
				      "hadoop.kms.authentication.token.max-inactive-interval", "1000", NULL) == E_OK);
	}
	if (size > WIRE_COOKIE_MAX - 47)
		return 0;
	/* Unsigned first: only the signature can make a cookie. */
	core_as_cookie(&c, slice_of(data, size));
	INVARIANT(core_name(&c, CALL_AUTH, "") == E_UNAUTHENTICATED);
	len = sign(data, size, cookie);
	core_as_cookie(&c, slice_of(cookie, len));
	if (core_name(&c, CALL_AUTH, "") != E_OK) {
		INVARIANT(c.err == E_UNAUTHENTICATED && c.ans.head.note != NOTE_SIGNATURE && c.ans.user.len == 0);
		return 0;
	}
	n = c.ans.user.len;
	INVARIANT(n > 0 && n <= WIRE_USER_MAX && c.ans.cookie.len > 0 && c.ans.cookie.len <= WIRE_COOKIE_MAX);
	for (i = 0; i < n; i++)
		INVARIANT(c.ans.user.p[i] >= ' ' && c.ans.user.p[i] != '&' && c.ans.user.p[i] != '"');
	memcpy(user, c.ans.user.p, n);
	len = c.ans.cookie.len;
	memcpy(cookie, c.ans.cookie.p, len);
	core_as_cookie(&c, slice_of(cookie, len));
	INVARIANT(core_name(&c, CALL_AUTH, "") == E_OK && slice_eq(c.ans.user, slice_of(user, n)));
	return 0;
}
