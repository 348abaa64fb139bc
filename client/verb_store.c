/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verbs that open a data directory without a server. The work is done in proxy/offline.c, by a core in a
 * sandbox of its own; only the recovery key stays on this side.
 */
#include <stdlib.h>

#include "client/cli.h"
#include "crypto/crypto.h"
#include "proxy/offline.h"

#define DEFAULT_DATA "/var/lib/svsm-kms"
#define SLOT_HEAD 20	/* format type zero[2] store_id[16], authenticated with the wrapped root */
#define SLOT_LEN (SLOT_HEAD + CRYPTO_WRAP_LEN)
#define SLOT_TYPE_RECOVERY 2

/* Where the core runs; NULL: as the configuration says. */
static const char *channel(struct cli *c)
{
	return args_text(&c->args, "channel", NULL);
}

static const char *data_dir(struct cli *c)
{
	return args_text(&c->args, "data", DEFAULT_DATA);
}

/* A store that does not verify is a conflict; the rest is a refusal. */
static int fail_offline(struct cli *c, const struct core_error *err)
{
	return cli_fail(c, err->exit_code == 65 ? EXIT_CONFLICT : err->exit_code == 2 ? EXIT_USAGE : EXIT_REFUSED, "%s",
			err->text);
}

static void hex(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = 0;
}

static int print_report(struct cli *c, const char *what, const struct offline_report *r)
{
	char id[33], tokens[64] = "";
	cJSON *j;

	hex(r->store_id, sizeof(r->store_id), id);
	if (r->tokens)
		snprintf(tokens, sizeof(tokens), "%llu delegation tokens, ", (unsigned long long)r->tokens);
	if (!c->json) {
		if (!c->quiet)
			cli_print(
				"%s: %llu keys, %sepoch %llu, store %s, %llu bytes, recovery slot: %s (checked in isolation: %s)",
				what, (unsigned long long)r->keys, tokens, (unsigned long long)r->epoch, id,
				(unsigned long long)r->file_bytes, r->recovery_slot ? "yes" : "no",
				r->isolation);
		return EXIT_OK;
	}
	j = cJSON_CreateObject();
	cJSON_AddStringToObject(j, "result", what);
	cJSON_AddNumberToObject(j, "keys", (double)r->keys);
	cJSON_AddNumberToObject(j, "delegationTokens", (double)r->tokens);
	cJSON_AddNumberToObject(j, "epoch", (double)r->epoch);
	cJSON_AddStringToObject(j, "store", id);
	cJSON_AddNumberToObject(j, "bytes", (double)r->file_bytes);
	cJSON_AddBoolToObject(j, "recoverySlot", r->recovery_slot);
	cJSON_AddStringToObject(j, "isolation", r->isolation);
	cli_print_json(j);
	cJSON_Delete(j);
	return EXIT_OK;
}

int verb_store_verify(struct cli *c)
{
	struct offline_report r;
	struct core_error err;

	if (offline_verify(data_dir(c), args_text(&c->args, "conf", NULL), channel(c), &r, &err) != RC_OK)
		return fail_offline(c, &err);
	return print_report(c, "verified", &r);
}

int verb_export(struct cli *c)
{
	const char *file = args_text(&c->args, "recovery", NULL);
	struct offline_report r;
	struct core_error err;

	if (!file)
		return cli_fail(c, EXIT_USAGE, "export: --recovery FILE says where to write the copy");
	if (offline_export(data_dir(c), file, channel(c), &r, &err) != RC_OK)
		return fail_offline(c, &err);
	return print_report(c, "exported", &r);
}

struct recovery {
	struct buf pem;
	uint8_t der[CRYPTO_DER_MAX];
	size_t der_len;
};

static enum rc unwrap_failed(struct core_error *err, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%s", why);
	err->exit_code = 65;
	return RC_DENIED;
}

/* The root is in the clear here, between the two wrappings, and nowhere else. */
static enum rc unwrap(void *ctx, struct slice slot, struct slice public_der, uint8_t out[OFFLINE_RECOVER_LEN],
		      struct core_error *err)
{
	const struct recovery *rec = ctx;
	struct crypto *crypto = crypto_start() == RC_OK ? crypto_new() : NULL;
	SECRET root = { 0 };
	enum rc rc = RC_OK;

	if (!crypto)
		return unwrap_failed(err, "libcrypto does not start");
	if (slot.len != SLOT_LEN || slot.p[1] != SLOT_TYPE_RECOVERY)
		rc = unwrap_failed(err, "the recovery keyslot is damaged; restore the data directory from a backup");
	else if (crypto_unwrap(crypto, slice_of(rec->der, rec->der_len), slice_of(slot.p, SLOT_HEAD),
			       slot.p + SLOT_HEAD, &root) != RC_OK)
		rc = unwrap_failed(
			err,
			"this recovery key does not open the store: it is another key, or the keyslot is damaged");
	else if (crypto_wrap(crypto, public_der, slice_str("svsm-kms recovery root"), &root, out + 16) != RC_OK)
		rc = unwrap_failed(err, "the data root cannot be wrapped for the key service");
	else
		memcpy(out, slot.p + 4, 16);
	crypto_free(crypto);
	return rc;
}

int verb_store_recover(struct cli *c)
{
	struct recovery rec = { .pem = { .max = 16384 }, .der_len = CRYPTO_DER_MAX };
	const char *file = args_text(&c->args, "key", NULL);
	struct offline_report r;
	struct core_error err;
	int code = EXIT_OK;

	if (!file)
		return cli_fail(c, EXIT_USAGE, "store recover: --key FILE is the owner's private recovery key");
	if (!cli_read_file(c, file, true, &rec.pem))
		return EXIT_USAGE;
	if (crypto_pem_private(slice_of(rec.pem.p, rec.pem.len), rec.der, &rec.der_len) != RC_OK)
		code = cli_fail(c, EXIT_USAGE, "%s holds no unencrypted P-384 private key in PEM", file);
	else if (offline_recover(data_dir(c), channel(c), unwrap, &rec, &r, &err) != RC_OK)
		code = fail_offline(c, &err);
	else
		code = print_report(c, "recovered", &r);
	buf_free(&rec.pem);
	mem_wipe(rec.der, sizeof(rec.der));
	return code;
}

int verb_acl_check(struct cli *c)
{
	const char *user = c->args.words[0], *op = c->args.words[1], *key = c->args.words[2];
	struct core_error err;
	char rule[2048];
	bool allowed;
	cJSON *j;

	if (offline_acl(args_text(&c->args, "conf", NULL), args_text(&c->args, "data", NULL), user, op, key,
			&allowed, rule, sizeof(rule), &err) != RC_OK)
		return fail_offline(c, &err);
	if (c->json) {
		j = cJSON_CreateObject();
		cJSON_AddBoolToObject(j, "allowed", allowed);
		cJSON_AddStringToObject(j, "rule", rule);
		cli_print_json(j);
		cJSON_Delete(j);
	} else {
		cli_print("%s: %s", allowed ? "allowed" : "denied", rule);
	}
	return allowed ? EXIT_OK : EXIT_AUTH;
}
