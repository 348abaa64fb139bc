/* SPDX-License-Identifier: Apache-2.0 */
/* `svsm-kms eek ...`: encrypted keys, printed and read as JSON, one per line. */
#include "client/cli.h"

#define INPUT_MAX (16u << 20)	/* bytes of encrypted keys read */
#define BATCH_MAX 1000		/* encrypted keys in one request */

/* One per line for people and pipes; an array for programs. */
static void print_list(struct cli *c, const cJSON *list)
{
	const cJSON *e;

	if (c->json) {
		cli_print_json(list);
		return;
	}
	cJSON_ArrayForEach(e, list)
		cli_print_json(e);
}

static bool all_eeks(const cJSON *list)
{
	const cJSON *e;

	if (!cJSON_IsArray(list))
		return false;
	cJSON_ArrayForEach(e, list) {
		if (!kms_is_eek(e))
			return false;
	}
	return true;
}

int verb_eek_generate(struct cli *c)
{
	struct kms_request r = {
		.method = "GET", .before = "/v1/key/", .name = c->args.words[0], .after = "/_eek", .want = 200
	};
	struct kms *k = cli_kms(c);
	JSON *list = NULL;
	char query[64];

	if (!k)
		return EXIT_USAGE;
	snprintf(query, sizeof(query), "eek_op=generate&num_keys=%llu",
		 (unsigned long long)args_number(&c->args, "count", 1));
	r.query = query;
	if (!kms_call(k, &r, &list))
		return cli_fail_kms(c, k);
	if (!all_eeks(list))
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not a list of encrypted keys");
	print_list(c, list);
	return EXIT_OK;
}

/* input := (object | array of objects)*, white space between: what generate and reencrypt print */
static bool parse_input(struct buf *in, cJSON *list)
{
	const char *at = buf_text(in), *end;

	while (at) {
		JSON *d = NULL;

		at += strspn(at, " \t\r\n");
		if (!*at)
			return at == (const char *)in->p + in->len;
		d = cJSON_ParseWithOpts(at, &end, 0);
		if (cJSON_IsObject(d)) {
			if (!cJSON_AddItemToArray(list, cJSON_Duplicate(d, 1)))
				return false;
		} else if (cJSON_IsArray(d)) {
			while (d->child) {
				if (!cJSON_AddItemToArray(list, cJSON_DetachItemViaPointer(d, d->child)))
					return false;
			}
		} else {
			return false;
		}
		at = end;
	}
	return false;
}

/* NULL: the error is printed and *code set. */
static cJSON *read_eeks(struct cli *c, int *code)
{
	const char *path = c->args.nwords ? c->args.words[0] : "-";
	BUF in = { .max = INPUT_MAX };
	cJSON *list;

	*code = EXIT_USAGE;
	if (!cli_read_file(c, path, false, &in))
		return NULL;
	list = cJSON_CreateArray();
	if (list && parse_input(&in, list) && all_eeks(list) && list->child)
		return list;
	cJSON_Delete(list);
	*code = cli_fail(c, EXIT_USAGE, "%s: not encrypted keys as `eek generate` prints them",
			 strcmp(path, "-") == 0 ? "standard input" : path);
	return NULL;
}

/* The key's name: said inside, else what stands before the last @ of the version. False: neither. */
static bool key_of(const cJSON *eek, struct buf *name)
{
	const char *given = json_text(doc_member(eek, "encryptedKeyVersion"), "name");
	const char *version = json_text(eek, "versionName");
	const char *at = strrchr(version, '@');

	if (given)
		buf_str(name, given);
	else if (at)
		buf_put(name, version, (size_t)(at - version));
	else
		return false;
	return buf_text(name) != NULL;
}

static bool ask_one(struct kms *k, const cJSON *eek, const char *query, cJSON **doc)
{
	JSON *body = json_object();
	struct kms_request r = { .method = "POST",
				 .before = "/v1/keyversion/",
				 .name = json_text(eek, "versionName"),
				 .after = "/_eek",
				 .query = query,
				 .body = body,
				 .want = 200 };
	BUF name = { .max = 65536 };

	if (!key_of(eek, &name))
		return kms_fail(k, EXIT_USAGE, "%s is not the name of a version", r.name);
	json_put_text(body, "name", buf_text(&name));
	json_put_text(body, "iv", json_text(eek, "iv"));
	json_put_text(body, "material", json_text(doc_member(eek, "encryptedKeyVersion"), "material"));
	return kms_call(k, &r, doc);
}

int verb_eek_decrypt(struct cli *c)
{
	struct kms *k = cli_kms(c);
	JSON *list = NULL, *keys = cJSON_CreateArray();
	const cJSON *e;
	int code = EXIT_USAGE;

	if (!k || !(list = read_eeks(c, &code)))
		return code;
	cJSON_ArrayForEach(e, list) {
		JSON *answer = NULL;

		if (!ask_one(k, e, "eek_op=decrypt", &answer))
			return cli_fail_kms(c, k);
		if (!kms_is_version(answer, NULL) || !json_text(answer, "material"))
			return cli_fail(c, EXIT_REFUSED, "the server's answer is not a key");
		if (!c->json)
			cli_print("%s", json_text(answer, "material"));
		else if (!cJSON_AddItemToArray(keys, cJSON_Duplicate(answer, 1)))
			return cli_fail(c, EXIT_REFUSED, "out of memory");
	}
	if (c->json)
		cli_print_json(keys);
	return EXIT_OK;
}

/* Re-encrypts the first entries of `list` that share a key, in one request; moves them out of it. */
static bool ask_batch(struct kms *k, cJSON *list, cJSON **doc)
{
	JSON *body = cJSON_CreateArray();
	struct kms_request r = {
		.method = "POST", .before = "/v1/key/", .after = "/_reencryptbatch", .body = body, .want = 200
	};
	BUF name = { .max = 65536 };
	int count = 0;

	if (!key_of(list->child, &name))
		return kms_fail(k, EXIT_USAGE, "%s is not the name of a version",
				json_text(list->child, "versionName"));
	for (; list->child && count < BATCH_MAX; count++) {
		BUF next = { .max = 65536 };
		cJSON *e, *inner;

		if (!key_of(list->child, &next) || strcmp(buf_text(&next), buf_text(&name)) != 0)
			break;
		e = cJSON_DetachItemViaPointer(list, list->child);
		inner = cJSON_GetObjectItemCaseSensitive(e, "encryptedKeyVersion");
		cJSON_DeleteItemFromObjectCaseSensitive(inner, "versionName");
		json_put_text(inner, "versionName", "EEK");
		if (!cJSON_AddItemToArray(body, e))
			return kms_fail(k, EXIT_REFUSED, "out of memory");
	}
	r.name = buf_text(&name);
	if (!kms_call(k, &r, doc))
		return false;
	if (!all_eeks(*doc) || cJSON_GetArraySize(*doc) != count)
		return kms_fail(k, EXIT_REFUSED,
				"the server's answer is not the list of encrypted keys asked for");
	return true;
}

int verb_eek_reencrypt(struct cli *c)
{
	struct kms *k = cli_kms(c);
	JSON *list = NULL, *all = cJSON_CreateArray();
	int code = EXIT_USAGE;

	if (!k || !(list = read_eeks(c, &code)))
		return code;
	while (list->child) {
		JSON *done = NULL;

		if (!ask_batch(k, list, &done))
			return cli_fail_kms(c, k);
		while (done->child) {
			if (!cJSON_AddItemToArray(all, cJSON_DetachItemViaPointer(done, done->child)))
				return cli_fail(c, EXIT_REFUSED, "out of memory");
		}
	}
	print_list(c, all);
	return EXIT_OK;
}
