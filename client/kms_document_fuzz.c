/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: documents that pass a form check have the members that verbs then use without asking. */
#include "client/kms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const cJSON *d)
{
	const cJSON *a;
	int64_t n = -1;

	if (kms_is_metadata(d, NULL)) {
		INVARIANT(json_text(d, "name") && json_text(d, "cipher"));
		INVARIANT(json_int(d, "length", 0, INT64_MAX, &n) && n >= 1);
		INVARIANT(json_int(d, "created", 0, INT64_MAX, &n) &&
			  json_int(d, "versions", 0, INT64_MAX, &n));
		cJSON_ArrayForEach(a, doc_member(d, "attributes"))
			INVARIANT(a->string && a->valuestring);
	}
	if (kms_is_version(d, NULL))
		INVARIANT(json_text(d, "name") && json_text(d, "versionName"));
	if (kms_is_eek(d))
		INVARIANT(json_text(d, "versionName") && json_text(d, "iv") &&
			  json_text(doc_member(d, "encryptedKeyVersion"), "material"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BUF text = { .max = 1 << 20 };
	JSON *doc = NULL;
	const cJSON *m;

	kms_json_init();
	buf_put(&text, data, size);
	if (!buf_text(&text))
		return 0;
	doc = doc_parse(buf_text(&text), text.len);
	if (!doc)
		return 0;
	check(doc);
	if (cJSON_IsArray(doc)) {
		cJSON_ArrayForEach(m, doc)
			check(m);
	}
	return 0;
}
