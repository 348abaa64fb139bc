/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `svsm-kms import`: copies keys from a running Hadoop KMS to ours, and believes it only after reading
 * every key back. Nothing is ever overwritten: the target refuses existing names, and a key that is
 * there already is only compared. Key material is compared without branching on it, and wiped.
 */
#include <fnmatch.h>
#include <stdarg.h>
#include <unistd.h>

#include "client/b64.h"
#include "client/cli.h"

enum outcome {
	COPIED,
	SAME,
	WOULD_COPY,
	CONFLICT,
	FAILED,
	OUTCOMES,
};

static const char *const outcome_names[OUTCOMES] = {
	[COPIED] = "copied",     [SAME] = "same",     [WOULD_COPY] = "would copy",
	[CONFLICT] = "conflict", [FAILED] = "failed",
};

struct import {
	struct cli *cli;
	struct kms *from, *to;
	unsigned long count[OUTCOMES];
	int code;		/* of the first key that was not copied */
	bool hopeless;		/* the next key cannot fare better: a server is gone, or of another kind */
	cJSON *report;		/* array; with -o json */
	char why[512];		/* about the key at hand */
};

/* One key, complete: what is known about it and all of its versions. */
struct key {
	cJSON *metadata;
	cJSON *versions;
};

static void key_drop(struct key *k)
{
	cJSON_Delete(k->metadata);
	cJSON_Delete(k->versions);
}
#define KEY __attribute__((cleanup(key_drop))) struct key

__attribute__((format(printf, 2, 3))) static bool differs(struct import *im, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(im->why, sizeof(im->why), fmt, ap);
	va_end(ap);
	return false;
}

/* False: kms_error(k) says what is wrong. */
static bool read_key(struct kms *k, const char *name, struct key *out)
{
	const cJSON *v;
	int64_t count = 0;

	if (!kms_metadata(k, name, &out->metadata) || !kms_versions(k, name, &out->versions))
		return false;
	if (!json_int(out->metadata, "versions", 1, INT32_MAX, &count) ||
	    count != cJSON_GetArraySize(out->versions))
		return kms_fail(k, EXIT_REFUSED, "the key was changed while it was read; run import again");
	cJSON_ArrayForEach(v, out->versions) {
		if (!json_text(v, "material"))
			return kms_fail(k, EXIT_AUTH, "the server withholds the key material of %s",
					json_text(v, "versionName"));
	}
	return true;
}

static bool same_text(const cJSON *a, const cJSON *b, const char *member)
{
	const char *x = json_text(a, member), *y = json_text(b, member);

	return (!x && !y) || (x && y && strcmp(x, y) == 0);
}

static bool same_int(const cJSON *a, const cJSON *b, const char *member)
{
	int64_t x = 0, y = 0;

	return json_int(a, member, 0, INT64_MAX, &x) && json_int(b, member, 0, INT64_MAX, &y) && x == y;
}

/*
 * Each attribute of a is in b. Servers add key.acl.name with the key's own name when it is missing,
 * so that one may be absent on either side.
 */
static bool attributes_within(const cJSON *a, const cJSON *b)
{
	const char *name = json_text(a, "name");
	const cJSON *m;

	cJSON_ArrayForEach(m, doc_member(a, "attributes")) {
		const char *other = json_text(doc_member(b, "attributes"), m->string);
		bool implied = strcmp(m->string, "key.acl.name") == 0 && strcmp(m->valuestring, name) == 0;

		if (!other && implied)
			continue;
		if (!other || strcmp(other, m->valuestring) != 0)
			return false;
	}
	return true;
}

static bool same_material(const cJSON *a, const cJSON *b)
{
	uint8_t x[KMS_MATERIAL_MAX] = { 0 }, y[KMS_MATERIAL_MAX] = { 0 };
	size_t nx = 0, ny = 0;
	const char *ta = json_text(a, "material"), *tb = json_text(b, "material");
	bool same = ta && tb && b64_read(slice_str(ta), x, sizeof(x), &nx) == RC_OK &&
		    b64_read(slice_str(tb), y, sizeof(y), &ny) == RC_OK && nx == ny && ct_equal(x, y, nx);

	mem_wipe(x, sizeof(x));
	mem_wipe(y, sizeof(y));
	return same;
}

static bool same_versions(struct import *im, const struct key *a, const struct key *b)
{
	const cJSON *x = a->versions->child, *y = b->versions->child;

	for (; x && y; x = x->next, y = y->next) {
		if (!same_text(x, y, "versionName"))
			return differs(im, "version %s is named %s there", json_text(x, "versionName"),
				       json_text(y, "versionName"));
		if (!same_material(x, y))
			return differs(im, "version %s has other key material there",
				       json_text(x, "versionName"));
	}
	if (x || y)
		return differs(im, "the number of versions differs");
	return true;
}

/* True when both are the same key in every respect; else im->why says the first difference. */
static bool same_key(struct import *im, const struct key *a, const struct key *b)
{
	static const char *const texts[] = { "name", "cipher", "description" };
	static const char *const numbers[] = { "length", "created", "versions" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		if (!same_text(a->metadata, b->metadata, texts[i]))
			return differs(im, "%s differs", texts[i]);
	}
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		if (!same_int(a->metadata, b->metadata, numbers[i]))
			return differs(im, "%s differs", numbers[i]);
	}
	if (!attributes_within(a->metadata, b->metadata) || !attributes_within(b->metadata, a->metadata))
		return differs(im, "attributes differ");
	return same_versions(im, a, b);
}

static cJSON *import_document(const struct key *key)
{
	static const char *const members[] = { "name",        "cipher",     "length",
					       "description", "attributes", "created" };
	cJSON *doc = json_object(), *v;
	size_t i;

	for (i = 0; i < ARRAY_LEN(members); i++)
		json_put_copy(doc, members[i], doc_member(key->metadata, members[i]));
	json_put_copy(doc, "versions", key->versions);
	cJSON_ArrayForEach(v, doc_member(doc, "versions"))
		cJSON_DeleteItemFromObjectCaseSensitive(v, "name");
	return doc;
}

static bool send_key(struct import *im, const struct key *key)
{
	JSON *doc = import_document(key), *answer = NULL;
	struct kms_request r = { .method = "POST",
				 .root = "",
				 .before = "/svsm/v1/import",
				 .body = doc,
				 .want = 201,
				 .about = json_text(key->metadata, "name") };

	if (kms_call(im->to, &r, &answer))
		return true;
	if (kms_error_code(im->to) != EXIT_NOT_FOUND)
		return false;
	im->hopeless = true;
	return kms_fail(im->to, EXIT_NOT_FOUND, "the target has no import interface; it is not SVSM-KMS");
}

/* Which rights import uses where it was refused; the servers' texts name the operation only. */
static const char *rights(const struct import *im, const struct kms *k)
{
	if (kms_error_code(k) != EXIT_AUTH || kms_shut_out(k))
		return "";
	return k == im->from ? " (import reads with hadoop.kms.acl.GET_METADATA, GET, and key ACL READ)" :
			       " (import writes with hadoop.kms.acl.CREATE, SET_KEY_MATERIAL, GET_METADATA, GET, and key ACLs "
			       "MANAGEMENT, READ)";
}

static enum outcome failed(struct import *im, const struct kms *k)
{
	(void)differs(im, "%s%s", kms_error(k), rights(im, k));
	if (im->code == EXIT_OK)
		im->code = kms_error_code(k);
	if (kms_error_code(k) == EXIT_CONNECT || kms_shut_out(k))
		im->hopeless = true;
	return FAILED;
}

static enum outcome conflict(struct import *im)
{
	if (im->code == EXIT_OK)
		im->code = EXIT_CONFLICT;
	return CONFLICT;
}

static enum outcome import_key(struct import *im, const char *name, bool dry)
{
	KEY source = { 0 };
	KEY there = { 0 };
	KEY back = { 0 };

	if (!read_key(im->from, name, &source))
		return failed(im, im->from);
	if (kms_metadata(im->to, name, &there.metadata)) {
		if (!kms_versions(im->to, name, &there.versions))
			return failed(im, im->to);
		return same_key(im, &source, &there) ? SAME : conflict(im);
	}
	if (kms_error_code(im->to) != EXIT_NOT_FOUND)
		return failed(im, im->to);
	if (dry)
		return WOULD_COPY;
	if (!send_key(im, &source) || !read_key(im->to, name, &back))
		return failed(im, im->to);
	/* Also when the target lied or lost something: only what reads back the same counts as copied. */
	return same_key(im, &source, &back) ? COPIED : conflict(im);
}

static bool wanted(struct cli *c, const char *name)
{
	const char *pattern;
	bool any = false;
	size_t i = 0;

	while ((pattern = args_each(&c->args, "key", &i))) {
		any = true;
		if (fnmatch(pattern, name, 0) == 0)
			return true;
	}
	return !any;
}

static void report_key(struct import *im, const char *name, enum outcome o)
{
	bool bad = o == CONFLICT || o == FAILED;
	cJSON *line;

	im->count[o]++;
	if (im->report) {
		line = json_object();
		json_put_text(line, "name", name);
		json_put_text(line, "result", outcome_names[o]);
		if (bad)
			json_put_text(line, "reason", im->why);
		if (!cJSON_AddItemToArray(im->report, line))
			cJSON_Delete(line);
	} else if (bad) {
		cli_print("%-10s %s: %s", outcome_names[o], name, im->why);
	} else if (!im->cli->quiet) {
		cli_print("%-10s %s", outcome_names[o], name);
	}
}

static void progress(struct import *im, unsigned long at, unsigned long all)
{
	/* Lines on standard output show it already when both go to the same terminal. */
	if (im->cli->quiet || !isatty(STDERR_FILENO) || (isatty(STDOUT_FILENO) && !im->report))
		return;
	fprintf(stderr, "\r%lu of %lu keys%s", at, all, at == all ? "\n" : "");
}

static void summary(struct import *im)
{
	JSON *doc = NULL;
	enum outcome o;

	if (!im->report) {
		cli_note(im->cli, "%lu copied, %lu same, %lu would be copied, %lu conflicts, %lu failed",
			 im->count[COPIED], im->count[SAME], im->count[WOULD_COPY], im->count[CONFLICT],
			 im->count[FAILED]);
		return;
	}
	doc = json_object();
	json_put_copy(doc, "keys", im->report);
	for (o = 0; o < OUTCOMES; o++)
		json_put_int(doc, o == WOULD_COPY ? "wouldCopy" : outcome_names[o], (int64_t)im->count[o]);
	cli_print_json(doc);
}

static int import_all(struct import *im)
{
	bool dry = args_has(&im->cli->args, "dry-run");
	unsigned long at = 0, all;
	JSON *names = NULL;
	const cJSON *n;

	if (!kms_names(im->from, &names))
		return cli_fail_kms(im->cli, im->from);
	all = (unsigned long)cJSON_GetArraySize(names);
	cJSON_ArrayForEach(n, names) {
		progress(im, ++at, all);
		if (!wanted(im->cli, n->valuestring))
			continue;
		report_key(im, n->valuestring, import_key(im, n->valuestring, dry));
		if (im->hopeless)
			break;
	}
	summary(im);
	if (im->code != EXIT_OK && !im->report)
		return cli_fail(im->cli, im->code, "not everything was imported");
	return im->code;
}

int verb_import(struct cli *c)
{
	struct import im = { .cli = c, .to = cli_kms(c) };
	const char *from = args_text(&c->args, "from", NULL);
	struct cli_login as = { 0 };
	int code;

	if (!from)
		return cli_fail(c, EXIT_USAGE, "import: --from says which server to copy from");
	if (!im.to)
		return EXIT_USAGE;
	as.user = args_text(&c->args, "from-user", cli_user(c));
	as.principal = args_text(&c->args, "from-user", args_text(&c->args, "user", NULL));
	as.token = args_text(&c->args, "from-token", NULL);
	as.negotiate = args_has(&c->args, "from-negotiate");
	im.from = cli_kms_at(c, "--from", from, &as);
	if (!im.from)
		return EXIT_USAGE;
	im.report = c->json ? cJSON_CreateArray() : NULL;
	code = import_all(&im);
	cJSON_Delete(im.report);
	kms_close(im.from);
	return code;
}
