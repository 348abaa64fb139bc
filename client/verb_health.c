/* SPDX-License-Identifier: Apache-2.0 */
/* `svsm-kms health` and `svsm-kms version`. */
#include "client/cli.h"

static void print_members(const cJSON *doc)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, doc) {
		char *text;

		if (cJSON_IsString(m)) {
			cli_print("%-14s %s", m->string, m->valuestring);
			continue;
		}
		text = cJSON_PrintUnformatted(m);
		cli_print("%-14s %s", m->string, text ? text : "?");
		cJSON_free(text);
	}
}

int verb_health(struct cli *c)
{
	struct kms_request r = {
		.method = "GET", .root = "", .before = "/health", .want = 200, .anonymous = true
	};
	struct kms *k = cli_kms(c);
	JSON *doc = NULL;

	if (!k)
		return EXIT_USAGE;
	if (!kms_call(k, &r, &doc)) {
		/* Hadoop KMS asks for a login before it says that there is no such page. */
		if (kms_error_code(k) == EXIT_NOT_FOUND || kms_error_code(k) == EXIT_AUTH)
			return cli_fail(c, EXIT_NOT_FOUND, "the server has no /health; it is not SVSM-KMS");
		return cli_fail_kms(c, k);
	}
	if (!cJSON_IsObject(doc))
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not a JSON object");
	if (c->json)
		cli_print_json(doc);
	else
		print_members(doc);
	return EXIT_OK;
}

int verb_version(struct cli *c)
{
	JSON *doc = json_object();

	json_put_text(doc, "version", SVSM_VERSION);
	if (c->json)
		cli_print_json(doc);
	else
		cli_print("svsm-kms %s", SVSM_VERSION);
	return EXIT_OK;
}
