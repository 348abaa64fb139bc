/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cookie is checked in this order: signature, form, type, expiry; only then is anything in it
 * believed. See cookie.h.
 */
#include <stdio.h>

#include "service/state.h"

#define SIG_LEN 44	/* Base64 of 32 bytes, padded */

void signer_init(struct signer *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
}

static enum rc signer_roll(struct svc_worker *w, struct signer *s, uint64_t validity_ms, uint64_t now)
{
	uint8_t fresh[32];
	enum rc rc = crypto_random_get(w->crypto, &w->random, fresh, sizeof(fresh));

	if (rc == RC_OK) {
		s->old = s->now;
		crypto_mac_key_set(&s->now, fresh, sizeof(fresh));
		s->roll_at = now + validity_ms;
		s->fixed = false;
	}
	mem_wipe(fresh, sizeof(fresh));
	return rc;
}

enum rc signer_configure(struct svc_worker *w, struct signer *s, const struct config *c, uint64_t now)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&s->lock);
	if (c->has_secret) {
		bool same = s->now.id && s->now.len == c->secret.len && ct_equal(s->now.b, c->secret.p, c->secret.len);

		if (!same) {
			s->old = s->now;
			crypto_mac_key_set(&s->now, c->secret.p, c->secret.len);
			s->roll_at = now + c->validity_ms;
		}
		s->fixed = true;
	} else if (!s->now.id || s->fixed) {
		rc = signer_roll(w, s, c->validity_ms, now);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void signer_forget(struct signer *s, bool all)
{
	pthread_mutex_lock(&s->lock);
	mem_wipe(&s->old, sizeof(s->old));
	if (all || !s->fixed) {	/* whoever configured before had cookies made with a random one */
		mem_wipe(&s->now, sizeof(s->now));
		s->fixed = false;
		s->roll_at = 0;
	}
	pthread_mutex_unlock(&s->lock);
}

enum rc signer_get(struct svc_worker *w, struct signer *s, uint64_t validity_ms, uint64_t now,
		   struct crypto_mac_key *cur, struct crypto_mac_key *old)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&s->lock);
	if (!s->fixed && now >= s->roll_at)
		rc = signer_roll(w, s, validity_ms, now);
	else if (s->old.id && now >= s->roll_at)
		mem_wipe(&s->old, sizeof(s->old));
	/* Only the bytes in use: the buffers are large for the sake of secrets from files. */
	cur->id = s->now.id;
	cur->len = s->now.len;
	memcpy(cur->b, s->now.b, s->now.len);
	old->id = s->old.id;
	old->len = s->old.len;
	memcpy(old->b, s->old.b, s->old.len);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void signer_drop(struct crypto_mac_key *k)
{
	mem_wipe(k->b, k->len <= sizeof(k->b) ? k->len : sizeof(k->b));
}

/* Standard alphabet, padded. */
static void base64(const uint8_t in[32], char out[SIG_LEN])
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i, o = 0;

	for (i = 0; i < 33; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | (i + 2 < 32 ? in[i + 2] : 0u);

		out[o++] = set[v >> 18 & 63];
		out[o++] = set[v >> 12 & 63];
		out[o++] = set[v >> 6 & 63];
		out[o++] = i + 2 < 32 ? set[v & 63] : '=';
	}
}

static enum rc sign(struct svc_worker *w, unsigned slot, const struct crypto_mac_key *k, struct slice text,
		    char sig[SIG_LEN])
{
	uint8_t mac[CRYPTO_HASH_LEN];
	enum rc rc = crypto_mac(w->crypto, slot, k, &text, 1, mac);

	if (rc == RC_OK)
		base64(mac, sig);
	return rc;
}

MUST_CHECK static bool decimal(struct slice v, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	if (v.len == 0)
		return false;
	for (i = 0; i < v.len; i++)
		if (v.p[i] < '0' || v.p[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n))
			return false;
	*out = n;
	return true;
}

/*
 * key=value pairs joined by '&', as other servers that share the secret may write them: in any order,
 * of a repeated one the last counts, unknown ones mean nothing. e=-1 is a token that does not expire.
 */
static enum wire_note cookie_parse(struct slice text, struct cookie *t)
{
	bool has_expiry = false;

	memset(t, 0, sizeof(*t));
	while (text.len) {
		const uint8_t *amp = memchr(text.p, '&', text.len);
		size_t n = amp ? (size_t)(amp - text.p) : text.len;
		const uint8_t *eq = n ? memchr(text.p, '=', n) : NULL;
		struct slice v;

		if (!eq)
			return NOTE_TOKEN;
		v = slice_of(eq + 1, (size_t)(text.p + n - eq - 1));
		if (eq - text.p == 1)
			switch (text.p[0]) {
			case 'u':
				t->user = v;
				break;
			case 'p':
				t->principal = v;
				break;
			case 't':
				t->type = v;
				break;
			case 'e':
				has_expiry = true;
				t->expires = COOKIE_NEVER;
				if (!slice_is(v, "-1") && !decimal(v, &t->expires))
					return NOTE_TOKEN;
				break;
			case 'i':
				t->has_inactive = !slice_is(v, "-1");
				if (t->has_inactive && !decimal(v, &t->inactive))
					return NOTE_TOKEN;
				break;
			default:
				break;
			}
		text.p += n + (amp != NULL);
		text.len -= n + (amp != NULL);
	}
	return t->user.p && t->principal.p && t->type.p && has_expiry ? NOTE_NONE : NOTE_TOKEN_MISSING;
}

MUST_CHECK static bool split_signature(struct slice cookie, struct slice *text, struct slice *sig)
{
	size_t i;

	for (i = cookie.len; i >= 3; i--)
		if (memcmp(cookie.p + i - 3, "&s=", 3) == 0) {
			*text = slice_of(cookie.p, i - 3);
			*sig = slice_of(cookie.p + i, cookie.len - i);
			return true;
		}
	return false;
}

bool user_valid(struct slice u)
{
	size_t i;

	if (u.len == 0 || u.len > WIRE_USER_MAX)
		return false;
	for (i = 0; i < u.len; i++)
		if (u.p[i] == '&' || u.p[i] < ' ' || u.p[i] == 0x7f || u.p[i] == '"')
			return false;
	return true;
}

enum wire_note cookie_check(struct op *o, struct slice cookie, const struct crypto_mac_key *cur,
			    const struct crypto_mac_key *old, struct cookie *t)
{
	struct slice text, sig;
	char expect[SIG_LEN];
	enum wire_note note;
	bool good;

	if (cookie.len == 0)
		return NOTE_EMPTY_COOKIE;
	if (!split_signature(cookie, &text, &sig))
		return NOTE_UNSIGNED;
	if (sig.len != SIG_LEN)
		return NOTE_SIGNATURE;
	good = sign(o->w, MAC_SIGN, cur, text, expect) == RC_OK && ct_equal(expect, sig.p, SIG_LEN);
	if (!good && old->id)
		good = sign(o->w, MAC_SIGN_OLD, old, text, expect) == RC_OK && ct_equal(expect, sig.p, SIG_LEN);
	if (!good)
		return NOTE_SIGNATURE;
	note = cookie_parse(text, t);
	/* Whoever shares the secret may have signed any name: it has to be one that we would sign. */
	if (note == NOTE_NONE && (!user_valid(t->user) || !user_valid(t->principal)))
		note = NOTE_TOKEN;
	if (note != NOTE_NONE)
		return note;
	if (!slice_is(t->type, config_cookie_type(o->cfg)))
		return NOTE_TYPE;
	if (o->now > t->expires || (t->has_inactive && o->now > t->inactive))
		return NOTE_EXPIRED;
	return NOTE_NONE;
}

enum wire_err cookie_issue(struct op *o, const struct crypto_mac_key *k, struct slice user, struct slice principal,
			   uint64_t expires, uint64_t idle)
{
	int n, m = 0;
	char *c = o->w->cookie;

	n = snprintf(c, sizeof(o->w->cookie), "u=%.*s&p=%.*s&t=%s", (int)user.len, (const char *)user.p,
		     (int)principal.len, (const char *)principal.p, config_cookie_type(o->cfg));
	INVARIANT(n > 0 && (size_t)n < sizeof(o->w->cookie) - 128);
	if (idle)
		m = snprintf(c + n, 64, "&i=%llu", (unsigned long long)idle);
	n += m;
	if (expires == COOKIE_NEVER)
		n += snprintf(c + n, 64, "&e=-1");
	else
		n += snprintf(c + n, 64, "&e=%llu", (unsigned long long)expires);
	memcpy(c + n, "&s=", 3);
	if (sign(o->w, MAC_SIGN, k, slice_of(c, (size_t)n), c + n + 3) != RC_OK)
		return E_INTERNAL;
	o->ans.cookie = slice_of(c, (size_t)n + 3 + SIG_LEN);
	return E_OK;
}
