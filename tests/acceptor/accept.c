/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's acceptor as a program, for tests/acceptor/suite:   accept KEYTAB PRINCIPAL...
 * Reads lines "now_ms token" and prints "result principal reply" for each; token and reply are hex, "-" if empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "service/krb.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

static enum rc entropy(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? RC_OK : RC_MACHINE;
}

static size_t unhex(const char *text, uint8_t *out)
{
	size_t i, n = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;

	for (i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

int main(int argc, char **argv)
{
	static char line[2 * KRB_TOKEN_MAX + 64], text[sizeof(line)];
	static uint8_t token[KRB_TOKEN_MAX], file[KRB_KEYTAB_MAX];
	struct slice principal[16];
	struct krb_accept_options o = { .principals = principal, .skew_ms = 300000 };
	struct krb_replay replay;
	struct crypto_random random;
	struct krb_identity id;
	struct krb_keys *keys;
	struct crypto *c;
	const char *why;
	size_t n, i;
	FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;

	if (!f || crypto_start() != RC_OK || !(c = crypto_new()))
		return 2;
	n = fread(file, 1, sizeof(file), f);
	fclose(f);
	if (krb_keytab_parse(slice_of(file, n), &keys, &why) != RC_OK) {
		printf("keytab: %s\n", why);
		return 1;
	}
	crypto_random_init(&random, entropy, NULL);
	if (krb_replay_init(&replay, c, &random) != RC_OK)
		return 2;
	for (; o.nprincipals < 16 && argv[2 + o.nprincipals]; o.nprincipals++)
		principal[o.nprincipals] = slice_str(argv[2 + o.nprincipals]);
	o.keys = keys;
	o.random = &random;
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long long now;

		if (sscanf(line, "%llu %s", &now, text) != 2)
			return 2;
		o.now_ms = now;
		n = unhex(text, token);
		printf("%d ", krb_accept(c, &o, &replay, slice_of(token, n), &id));
		printf("%.*s%s ", (int)id.principal_len, (char *)id.principal, id.principal_len ? "" : "-");
		for (i = 0; i < id.reply_len; i++)
			printf("%02x", id.reply[i]);
		printf("%s\n", id.reply_len ? "" : "-");
		fflush(stdout);
	}
	krb_replay_wipe(&replay);
	krb_keytab_free(keys);
	crypto_free(c);
	return 0;
}
