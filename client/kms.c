/* SPDX-License-Identifier: Apache-2.0 */
/* The REST interface; see kms.h. Trusts no response beyond its form, and form is checked here. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"
#include "client/kms.h"

#define INT_EXACT_MAX 9007199254740992.0	/* doubles are exact up to here */

struct kms {
	struct session *session;
	int code;
	bool shut_out;
	char why[1024];
};

/* Each block knows its size, so that freeing can wipe it. */
struct block {
	size_t len;
	max_align_t data[];
};

static void *block_new(size_t n)
{
	struct block *b;
	size_t total;

	if (__builtin_add_overflow(n, sizeof(*b), &total))
		return NULL;
	b = malloc(total);
	if (!b)
		return NULL;
	b->len = n;
	return b->data;
}

static void block_free(void *p)
{
	struct block *b;

	if (!p)
		return;
	b = (struct block *)((char *)p - offsetof(struct block, data));
	mem_wipe(b->data, b->len);
	free(b);
}

void kms_json_init(void)
{
	cJSON_Hooks hooks = { .malloc_fn = block_new, .free_fn = block_free };

	cJSON_InitHooks(&hooks);
}

struct kms *kms_open(const struct session_options *o)
{
	struct kms *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->session = session_new(o);
	if (!k->session) {
		free(k);
		return NULL;
	}
	return k;
}

void kms_close(struct kms *k)
{
	if (!k)
		return;
	session_free(k->session);
	free(k);
}

struct session *kms_session(struct kms *k)
{
	return k->session;
}

int kms_error_code(const struct kms *k)
{
	return k->code;
}

bool kms_shut_out(const struct kms *k)
{
	return k->shut_out;
}

const char *kms_error(const struct kms *k)
{
	return k->why;
}

bool kms_fail(struct kms *k, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->why, sizeof(k->why), fmt, ap);
	va_end(ap);
	k->code = code;
	return false;
}

void json_drop(cJSON **doc)
{
	cJSON_Delete(*doc);
}

cJSON *doc_parse(const char *text, size_t len)
{
	return cJSON_ParseWithLengthOpts(text, len + 1, NULL, 1);
}

const cJSON *doc_member(const cJSON *o, const char *member)
{
	return cJSON_GetObjectItemCaseSensitive(o, member);
}

const char *json_text(const cJSON *o, const char *member)
{
	return cJSON_GetStringValue(doc_member(o, member));
}

bool json_int(const cJSON *o, const char *member, int64_t min, int64_t max, int64_t *out)
{
	const cJSON *m = doc_member(o, member);

	if (!cJSON_IsNumber(m) || !(m->valuedouble > -INT_EXACT_MAX && m->valuedouble < INT_EXACT_MAX) ||
	    (double)(int64_t)m->valuedouble != m->valuedouble)
		return false;
	if ((int64_t)m->valuedouble < min || (int64_t)m->valuedouble > max)
		return false;
	*out = (int64_t)m->valuedouble;
	return true;
}

static void out_of_memory(void)
{
	fprintf(stderr, "svsm-kms: out of memory\n");
	exit(EXIT_REFUSED);
}

static void put(cJSON *o, const char *member, cJSON *value)
{
	if (!value || !cJSON_AddItemToObject(o, member, value))
		out_of_memory();
}

cJSON *json_object(void)
{
	cJSON *o = cJSON_CreateObject();

	if (!o)
		out_of_memory();
	return o;
}

void json_put_text(cJSON *o, const char *member, const char *value)
{
	put(o, member, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

void json_put_int(cJSON *o, const char *member, int64_t value)
{
	put(o, member, cJSON_CreateNumber((double)value));
}

void json_put_copy(cJSON *o, const char *member, const cJSON *value)
{
	put(o, member, value ? cJSON_Duplicate(value, 1) : cJSON_CreateNull());
}

static const struct {
	unsigned status;
	int code;
} status_codes[] = {
	{ 401, EXIT_AUTH }, { 403, EXIT_AUTH }, { 404, EXIT_NOT_FOUND }, { 409, EXIT_CONFLICT },
};

/* Hadoop answers 500 for keys that are missing or there already; its texts tell them apart. */
static const struct {
	const char *before, *after;	/* what stands around the key's name */
	int code;
} known_texts[] = {
	{ "Key ", " already exists in ", EXIT_CONFLICT },
	{ "Key ", " does not exist in ", EXIT_NOT_FOUND },
	{ "Key ", " not found", EXIT_NOT_FOUND },
	{ "Can't find Metadata for key ", "", EXIT_NOT_FOUND },
	{ "No KeyVersion exists for key '", "'", EXIT_NOT_FOUND },
};

static bool begins_with(const char **text, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*text, word, n) != 0)
		return false;
	*text += n;
	return true;
}

static int code_of(unsigned status, const char *message, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(status_codes); i++) {
		if (status_codes[i].status == status)
			return status_codes[i].code;
	}
	for (i = 0; message && name && status == 500 && i < ARRAY_LEN(known_texts); i++) {
		/* Inside generate the message has the original exception's class in front. */
		const char *at = strstr(message, known_texts[i].before);

		if (at && begins_with(&at, known_texts[i].before) && begins_with(&at, name) &&
		    begins_with(&at, known_texts[i].after))
			return known_texts[i].code;
	}
	return EXIT_REFUSED;
}

/* What a 401 means here: a login by ticket, where it was asked for, has been made already. */
static const char *no_login(const struct session_options *o)
{
	if (o->token)
		return "; it does not take the delegation token (--token, --from-token)";
	return o->negotiate ? "; it does not take the cookie that it gave for the Kerberos ticket" :
			      "; it asks for a login that svsm-kms does not know";
}

static bool refused(struct kms *k, const struct session_answer *a, const cJSON *doc, const char *name)
{
	const cJSON *e = doc_member(doc, "RemoteException");
	const char *message = json_text(e, "message");
	const char *type = json_text(e, "exception");

	if (message)
		return kms_fail(k, code_of(a->status, message, name), "%s", message);
	if (type)
		return kms_fail(k, code_of(a->status, NULL, name), "the server answered %u: %s", a->status,
				type);
	return kms_fail(k, code_of(a->status, NULL, name), "the server answered %u%s%s%s", a->status,
			a->reason[0] ? " " : "", a->reason, a->status == 401 ? no_login(session_of(k->session)) : "");
}

static bool write_path(struct kms *k, const struct kms_request *r, struct buf *path)
{
	buf_str(path, r->root ? r->root : session_of(k->session)->url.path);
	if (r->before)
		buf_str(path, r->before);
	if (r->name)
		kms_url_encode(path, slice_str(r->name));
	if (r->after)
		buf_str(path, r->after);
	return buf_text(path) || kms_fail(k, EXIT_USAGE, "the name is too long");
}

/* "application/json", parameters allowed */
static bool is_json(const char *type)
{
	static const char name[] = "application/json";
	struct slice t = slice_of(type, strcspn(type, "; \t"));

	return http_same_word(t, name);
}

static bool take_answer(struct kms *k, const struct kms_request *r, struct session_answer *a, cJSON **doc)
{
	bool json = is_json(a->type);
	JSON *d = NULL;

	if (json && a->body.len && buf_text(&a->body))
		d = doc_parse(buf_text(&a->body), a->body.len);
	if (a->status != r->want)
		return refused(k, a, d, r->about ? r->about : r->name);
	if (r->no_document)
		return true;
	if (!json)
		return kms_fail(k, EXIT_REFUSED,
				"the server's answer is not JSON; is this a key management server?");
	if (!d)
		return kms_fail(k, EXIT_REFUSED, "the server's answer is malformed JSON");
	*doc = d;
	d = NULL;
	return true;
}

bool kms_call(struct kms *k, const struct kms_request *r, cJSON **doc)
{
	struct session_request q = { .method = r->method, .query = r->query, .anonymous = r->anonymous };
	struct session_answer a = { 0 };
	BUF path = { .max = 16384 };
	char *body = NULL;
	enum rc rc;
	bool ok;

	if (doc)
		*doc = NULL;
	if (!write_path(k, r, &path))
		return false;
	q.path = buf_text(&path);
	if (r->body) {
		body = cJSON_PrintUnformatted(r->body);
		if (!body)
			out_of_memory();
		q.has_body = true;
		q.body = slice_str(body);
	}
	rc = session_call(k->session, &q, &a);
	k->shut_out = rc == RC_DENIED;
	cJSON_free(body);
	if (rc == RC_OK)
		ok = take_answer(k, r, &a, doc);
	else
		ok = kms_fail(k, rc == RC_MACHINE ? EXIT_CONNECT : rc == RC_DENIED ? EXIT_AUTH : EXIT_REFUSED, "%s",
			      session_why(k->session));
	buf_free(&a.body);
	return ok;
}

static bool is_texts(const cJSON *o)
{
	const cJSON *m;

	if (!cJSON_IsObject(o))
		return false;
	cJSON_ArrayForEach(m, o) {
		if (!cJSON_IsString(m))
			return false;
	}
	return true;
}

static bool text_or_null(const cJSON *o, const char *member)
{
	const cJSON *m = doc_member(o, member);

	return !m || cJSON_IsNull(m) || cJSON_IsString(m);
}

bool kms_is_metadata(const cJSON *doc, const char *name)
{
	const char *n = json_text(doc, "name");
	const cJSON *attributes = doc_member(doc, "attributes");
	int64_t v;

	return n && (!name || strcmp(n, name) == 0) && json_text(doc, "cipher") &&
	       json_int(doc, "length", 1, KMS_MATERIAL_MAX * 8, &v) && text_or_null(doc, "description") &&
	       (!attributes || cJSON_IsNull(attributes) || is_texts(attributes)) &&
	       json_int(doc, "created", 0, INT64_MAX, &v) && json_int(doc, "versions", 0, INT32_MAX, &v);
}

bool kms_is_version(const cJSON *doc, const char *name)
{
	const char *n = json_text(doc, "name");

	return n && (!name || strcmp(n, name) == 0) && json_text(doc, "versionName") &&
	       text_or_null(doc, "material");
}

bool kms_is_eek(const cJSON *doc)
{
	const cJSON *inner = doc_member(doc, "encryptedKeyVersion");

	return json_text(doc, "versionName") && json_text(doc, "iv") && text_or_null(inner, "name") &&
	       json_text(inner, "material");
}

static bool unexpected(struct kms *k, const char *what)
{
	return kms_fail(k, EXIT_REFUSED, "the server's answer is not a %s", what);
}

bool kms_names(struct kms *k, cJSON **doc)
{
	struct kms_request r = { .method = "GET", .before = "/v1/keys/names", .want = 200 };
	const cJSON *n;
	JSON *d = NULL;

	if (!kms_call(k, &r, &d))
		return false;
	if (!cJSON_IsArray(d))
		return unexpected(k, "list of names");
	cJSON_ArrayForEach(n, d) {
		if (!cJSON_IsString(n))
			return unexpected(k, "list of names");
	}
	*doc = d;
	d = NULL;
	return true;
}

bool kms_metadata(struct kms *k, const char *name, cJSON **doc)
{
	struct kms_request r = { .method = "GET", .before = "/v1/key/", .name = name,
				 .after = "/_metadata", .want = 200 };
	JSON *d = NULL;

	if (!kms_call(k, &r, &d))
		return false;
	if (cJSON_IsObject(d) && !d->child)
		return kms_fail(k, EXIT_NOT_FOUND, "key %s does not exist", name);
	if (!kms_is_metadata(d, name))
		return unexpected(k, "key's metadata");
	*doc = d;
	d = NULL;
	return true;
}

bool kms_versions(struct kms *k, const char *name, cJSON **doc)
{
	struct kms_request r = { .method = "GET", .before = "/v1/key/", .name = name,
				 .after = "/_versions", .want = 200 };
	const cJSON *v;
	JSON *d = NULL;

	if (!kms_call(k, &r, &d))
		return false;
	if (!cJSON_IsArray(d))
		return unexpected(k, "list of versions");
	if (!d->child)
		return kms_fail(k, EXIT_NOT_FOUND, "key %s does not exist", name);
	cJSON_ArrayForEach(v, d) {
		if (!kms_is_version(v, name))
			return unexpected(k, "list of versions");
	}
	*doc = d;
	d = NULL;
	return true;
}
