/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acceptor and the name rules in a program linked as the service is, static, behind the service's system-call filter:
 * whatever libcrypto still has to fetch must come without a file or a call that the filter does not allow. Exit code 0: all
 * well; ended by SIGSYS: not so.
 */
#include <unistd.h>

#include "service/krb.h"
#include "service/names.h"
#include "service/sandbox.h"
#include "tests/fake/krb_client.h"

void invariant_failed(const char *what, const char *file, int line)
{
	(void)what;
	(void)file;
	_exit(line % 100 + 1);
}

static enum rc entropy(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	memset(out, 5, len);
	return RC_OK;
}

int main(void)
{
	static uint8_t token[65536], file[512] = { 5, 2 };
	static struct krb_identity id;
	static struct krb_replay replay;
	static struct crypto_random random;
	struct slice any = slice_str("*");
	struct krb_accept_options o = { .principals = &any, .nprincipals = 1, .now_ms = 1700000000000, .skew_ms = 1000,
					.random = &random };
	struct name_rules *rules;
	struct krb_keys *keys;
	struct crypto *c;
	struct fake_krb f;
	const char *why;
	char name[64];
	int32_t etype;
	size_t n;

	INVARIANT(crypto_start() == RC_OK && sandbox_early() == RC_OK);
	sandbox_heap();
	INVARIANT(sandbox_filter() == RC_OK);
	c = crypto_new();
	INVARIANT(c);
	crypto_random_init(&random, entropy, NULL);
	INVARIANT(krb_replay_init(&replay, c, &random) == RC_OK);
	INVARIANT(names_parse(slice_str("RULE:[1:$1@$0](.*@EXAMPLE.COM)s/@.*//"), false, any, &rules, &why) == RC_OK);
	for (etype = 17; etype <= 20; etype++) {
		fake_krb_init(&f, etype, 1700000000);
		f.mic = true;
		n = 2 + fake_krb_keytab_entry(file + 2, sizeof(file) - 2, f.server, f.server_realm, 3, 3, etype, f.service.b,
					      crypto_krb_key_len(etype));
		INVARIANT(krb_keytab_parse(slice_of(file, n), &keys, &why) == RC_OK);
		o.keys = keys;
		n = fake_krb_token(&f, token, sizeof(token));
		INVARIANT(krb_accept(c, &o, &replay, slice_of(token, n), &id) == KRB_OK);
		INVARIANT(fake_krb_reply_fits(&f, slice_of(id.reply, id.reply_len)));
		INVARIANT(names_map(rules, slice_of(id.principal, id.principal_len), name, sizeof(name), &n) == RC_OK);
		INVARIANT(slice_is(slice_of(name, n), "alice"));
		krb_keytab_free(keys);
	}
	_exit(0);
}
