/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of server addresses and encoding of names; see kms_url.h. */
#include "client/kms_url.h"

#define DEFAULT_PORT 9600

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool one_of(uint8_t c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

static bool host_char(uint8_t c)
{
	return is_alnum(c) || one_of(c, ".-_");
}

static bool ipv6_char(uint8_t c)
{
	return is_alnum(c) || one_of(c, ":.%");
}

static bool path_char(uint8_t c)
{
	return is_alnum(c) || one_of(c, "/-._~");
}

static bool take_word(struct cursor *c, const char *word)
{
	struct cursor t = *c;
	struct slice s;

	if (!cur_sub(&t, strlen(word), &s) || !slice_is(s, word))
		return false;
	*c = t;
	return true;
}

/* Copies the bytes that `good` likes, at least one and at most max, and ends them with a zero. */
static bool take_text(struct cursor *c, bool (*good)(uint8_t), char *out, size_t max)
{
	size_t n = 0;

	while (n < c->left && good(c->at[n]))
		n++;
	if (n == 0 || n > max || !cur_copy(c, out, n))
		return false;
	out[n] = 0;
	return true;
}

static bool take_host(struct cursor *c, char *out)
{
	if (take_word(c, "["))
		return take_text(c, ipv6_char, out, KMS_HOST_MAX) && take_word(c, "]");
	return take_text(c, host_char, out, KMS_HOST_MAX);
}

/* hosts := host (";" host)* */
static bool take_hosts(struct cursor *c, struct kms_url *u)
{
	do {
		if (u->hosts == KMS_HOSTS_MAX || !take_host(c, u->host[u->hosts]))
			return false;
		u->hosts++;
	} while (take_word(c, ";"));
	return true;
}

/* port := 1*5DIGIT, 1..65535 */
static bool take_port(struct cursor *c, uint16_t *out)
{
	uint32_t n = 0, digits = 0;

	while (c->left && c->at[0] >= '0' && c->at[0] <= '9') {
		uint8_t d;

		if (++digits > 5 || !cur_u8(c, &d))
			return false;
		n = n * 10 + (uint32_t)(d - '0');
	}
	if (n == 0 || n > UINT16_MAX)
		return false;
	*out = (uint16_t)n;
	return true;
}

static bool take_path(struct cursor *c, char *out)
{
	size_t len;

	if (!take_text(c, path_char, out, KMS_PATH_MAX))
		return false;
	len = strlen(out);
	while (len && out[len - 1] == '/')
		out[--len] = 0;
	return strstr(out, "//") == NULL && strstr(out, "/.") == NULL;
}

static const struct scheme {
	const char *prefix;
	bool tls;
} schemes[] = {
	{ "http://", false },
	{ "kms://http@", false },
	{ "https://", true },
	{ "kms://https@", true },
};

static const struct scheme *take_scheme(struct cursor *c)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		if (take_word(c, schemes[i].prefix))
			return &schemes[i];
	}
	return NULL;
}

enum rc kms_url_parse(struct slice in, struct kms_url *out, const char **why)
{
	struct cursor c = cur_of(in.p, in.len);
	struct kms_url u = { .port = DEFAULT_PORT, .path = "/kms" };
	const struct scheme *scheme = take_scheme(&c);

	*why = "expected http://HOST:PORT/kms or kms://http@HOST:PORT/kms, or either with https";
	if (!scheme)
		return RC_BAD_INPUT;
	u.tls = scheme->tls;
	if (!take_hosts(&c, &u)) {
		*why = "the host name is missing or malformed";
		return RC_BAD_INPUT;
	}
	if (take_word(&c, ":") && !take_port(&c, &u.port)) {
		*why = "the port must be a number from 1 to 65535";
		return RC_BAD_INPUT;
	}
	if (!cur_end(&c) && c.at[0] == '/' && !take_path(&c, u.path)) {
		*why = "the path is malformed; it is usually /kms";
		return RC_BAD_INPUT;
	}
	if (!cur_end(&c)) {
		*why = "unexpected characters at the end; expected http://HOST:PORT/kms";
		return RC_BAD_INPUT;
	}
	*out = u;
	return RC_OK;
}

void kms_url_encode(struct buf *to, struct slice name)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < name.len; i++) {
		uint8_t c = name.p[i];
		char escaped[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (is_alnum(c) || one_of(c, "._*-"))
			buf_put(to, &c, 1);
		else
			buf_put(to, escaped, sizeof(escaped));
	}
}
