/* SPDX-License-Identifier: Apache-2.0 */
/* `svsm-kms key ...`. Key material is printed by `key show --material` only, whatever a server sends. */
#include <stdlib.h>
#include <unistd.h>

#include "client/b64.h"
#include "client/cli.h"

#define VERSIONS_MAX 1000000
#define NAMES_PER_CALL 1500	/* characters, four more for each name: what Hadoop's own client sends */

static const struct {
	const char *name;
	enum rc (*read)(struct slice s, uint8_t *out, size_t max, size_t *len);
} formats[] = {
	{ "raw", NULL },
	{ "base64", b64_read },
	{ "hex", hex_read },
};

static struct slice without_newline(const struct buf *b)
{
	struct slice s = slice_of(b->p, b->len);

	while (s.len && (s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r'))
		s.len--;
	return s;
}

/* Decodes --material-file into out; an exit code. */
static int read_material(struct cli *c, struct buf *out)
{
	const char *format = args_text(&c->args, "material-format", "raw");
	const char *path = args_text(&c->args, "material-file", NULL);
	BUF file = { .max = 2 * KMS_MATERIAL_MAX + 2 };
	size_t i, len = 0;
	uint8_t *room;

	if (!cli_read_file(c, path, true, &file))
		return EXIT_USAGE;
	for (i = 0; strcmp(formats[i].name, format) != 0; i++)
		INVARIANT(i + 1 < ARRAY_LEN(formats));
	if (!formats[i].read) {
		buf_put(out, file.p, file.len);
	} else {
		room = buf_room(out, KMS_MATERIAL_MAX);
		if (!room || formats[i].read(without_newline(&file), room, KMS_MATERIAL_MAX, &len) != RC_OK)
			return cli_fail(c, EXIT_USAGE, "%s: not a key in the format %s", path, format);
		out->len += len;
	}
	if (!buf_ok(out) || out->len == 0)
		return cli_fail(c, EXIT_USAGE, "%s: a key has 1 to %d bytes", path, KMS_MATERIAL_MAX);
	return EXIT_OK;
}

/* Adds "material" to a request when the user gave a file, and checks it against --length. */
static int put_material(struct cli *c, cJSON *body, uint64_t *bits)
{
	BUF material = { .max = KMS_MATERIAL_MAX }, text = { .max = 2 * KMS_MATERIAL_MAX };
	int code;

	if (!args_has(&c->args, "material-file")) {
		if (args_has(&c->args, "material-format"))
			return cli_fail(c, EXIT_USAGE, "--material-format needs --material-file");
		return EXIT_OK;
	}
	code = read_material(c, &material);
	if (code != EXIT_OK)
		return code;
	if (*bits && *bits != material.len * 8)
		return cli_fail(c, EXIT_USAGE, "the key in the file has %zu bits, --length says %llu",
				material.len * 8, (unsigned long long)*bits);
	*bits = material.len * 8;
	b64_write(&text, slice_of(material.p, material.len));
	if (!buf_text(&text))
		return cli_fail(c, EXIT_USAGE, "out of memory");
	json_put_text(body, "material", buf_text(&text));
	return EXIT_OK;
}

static int put_attributes(struct cli *c, cJSON *body)
{
	JSON *attributes = json_object();
	const char *given;
	size_t i = 0;

	while ((given = args_each(&c->args, "attr", &i))) {
		const char *eq = strchr(given, '=');
		char name[256];

		if (!eq || eq == given || (size_t)(eq - given) >= sizeof(name))
			return cli_fail(c, EXIT_USAGE, "--attr %s: expected NAME=VALUE", given);
		snprintf(name, sizeof(name), "%.*s", (int)(eq - given), given);
		if (doc_member(attributes, name))
			return cli_fail(c, EXIT_USAGE, "--attr %s is given twice", name);
		json_put_text(attributes, name, eq + 1);
	}
	if (attributes->child)
		json_put_copy(body, "attributes", attributes);
	return EXIT_OK;
}

/* Sends a request that answers with a key version, and reports the version without its material. */
static int ask_version(struct cli *c, const struct kms_request *r, const char *name, const char *did)
{
	struct kms *k = cli_kms(c);
	JSON *answer = NULL, *shown = NULL;

	if (!k)
		return EXIT_USAGE;
	if (!kms_call(k, r, &answer))
		return cli_fail_kms(c, k);
	if (!kms_is_version(answer, name))
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not a key version");
	if (!c->json) {
		cli_print("%s %s", did, json_text(answer, "versionName"));
		return EXIT_OK;
	}
	shown = json_object();
	json_put_text(shown, "name", json_text(answer, "name"));
	json_put_text(shown, "versionName", json_text(answer, "versionName"));
	cli_print_json(shown);
	return EXIT_OK;
}

int verb_key_create(struct cli *c)
{
	const char *name = c->args.words[0];
	uint64_t bits = args_number(&c->args, "length", 0);
	JSON *body = json_object();
	struct kms_request r = { .method = "POST", .before = "/v1/keys", .about = name, .body = body,
				 .want = 201 };
	int code;

	json_put_text(body, "name", name);
	if (args_has(&c->args, "cipher"))
		json_put_text(body, "cipher", args_text(&c->args, "cipher", NULL));
	if (args_has(&c->args, "description"))
		json_put_text(body, "description", args_text(&c->args, "description", NULL));
	code = put_attributes(c, body);
	if (code == EXIT_OK)
		code = put_material(c, body, &bits);
	if (code != EXIT_OK)
		return code;
	if (bits)
		json_put_int(body, "length", (int64_t)bits);
	return ask_version(c, &r, name, "created");
}

int verb_key_roll(struct cli *c)
{
	const char *name = c->args.words[0];
	JSON *body = json_object();
	struct kms_request r = {
		.method = "POST", .before = "/v1/key/", .name = name, .body = body, .want = 200
	};
	uint64_t bits = 0;
	int code = put_material(c, body, &bits);

	return code == EXIT_OK ? ask_version(c, &r, name, "rolled to") : code;
}

static void print_metadata(const cJSON *m)
{
	const char *description = json_text(m, "description");
	int64_t length = 0, created = 0, versions = 0;
	const cJSON *a;
	char when[32];

	INVARIANT(json_int(m, "length", 0, INT64_MAX, &length) &&
		  json_int(m, "created", 0, INT64_MAX, &created) &&
		  json_int(m, "versions", 0, INT64_MAX, &versions));
	cli_time(created, when);
	cli_print("%s", json_text(m, "name"));
	cli_print("  cipher       %s", json_text(m, "cipher"));
	cli_print("  length       %lld", (long long)length);
	cli_print("  versions     %lld", (long long)versions);
	cli_print("  created      %s", when);
	if (description)
		cli_print("  description  %s", description);
	cJSON_ArrayForEach(a, doc_member(m, "attributes"))
		cli_print("  attribute    %s=%s", a->string, a->valuestring);
}

/* Metadata of as many of the names as one request may hold; *name moves behind them. */
static bool ask_metadata(struct kms *k, const cJSON **name, cJSON **doc)
{
	struct kms_request r = { .method = "GET", .before = "/v1/keys/metadata", .want = 200 };
	BUF query = { .max = 8 * NAMES_PER_CALL + 65536 };
	size_t room = NAMES_PER_CALL;

	do {
		size_t cost = strlen((*name)->valuestring) + 4;

		if (query.len && cost > room)
			break;
		buf_str(&query, query.len ? "&key=" : "key=");
		kms_url_encode(&query, slice_str((*name)->valuestring));
		room = cost < room ? room - cost : 0;
		*name = (*name)->next;
	} while (*name);
	r.query = buf_text(&query);
	if (!r.query)
		return kms_fail(k, EXIT_REFUSED, "the server lists a name that is too long");
	if (!kms_call(k, &r, doc))
		return false;
	return cJSON_IsArray(*doc) || kms_fail(k, EXIT_REFUSED, "the server's answer is not a list of keys");
}

static int list_metadata(struct cli *c, struct kms *k, const cJSON *names)
{
	const cJSON *name = names->child, *m;
	JSON *all = cJSON_CreateArray();

	while (name) {
		JSON *part = NULL;

		if (!ask_metadata(k, &name, &part))
			return cli_fail_kms(c, k);
		cJSON_ArrayForEach(m, part) {
			if (cJSON_IsObject(m) && !m->child)
				continue;	/* deleted since it was listed */
			if (!kms_is_metadata(m, NULL))
				return cli_fail(c, EXIT_REFUSED, "the server's answer is not a list of keys");
			if (!c->json)
				print_metadata(m);
			else if (!cJSON_AddItemToArray(all, cJSON_Duplicate(m, 1)))
				return cli_fail(c, EXIT_REFUSED, "out of memory");
		}
	}
	if (c->json)
		cli_print_json(all);
	return EXIT_OK;
}

static int by_name(const void *a, const void *b)
{
	const cJSON *const *x = a, *const *y = b;

	return strcmp((*x)->valuestring, (*y)->valuestring);
}

/* The server's order means nothing; people and diffs want the names sorted. */
static bool sort_names(cJSON *names)
{
	size_t count = (size_t)cJSON_GetArraySize(names), i = 0;
	cJSON **list = calloc(count + 1, sizeof(cJSON *)), *n;

	if (!list)
		return false;
	cJSON_ArrayForEach(n, names)
		list[i++] = n;
	qsort(list, count, sizeof(*list), by_name);
	for (i = 0; i < count; i++) {
		list[i]->next = list[i + 1];
		list[i]->prev = i ? list[i - 1] : list[count - 1]; /* cJSON: the first points to the last */
	}
	names->child = list[0];
	free(list);
	return true;
}

int verb_key_list(struct cli *c)
{
	struct kms *k = cli_kms(c);
	JSON *names = NULL;
	const cJSON *n;

	if (!k)
		return EXIT_USAGE;
	if (!kms_names(k, &names))
		return cli_fail_kms(c, k);
	if (!sort_names(names))
		return cli_fail(c, EXIT_REFUSED, "out of memory");
	if (args_has(&c->args, "metadata"))
		return list_metadata(c, k, names);
	if (c->json) {
		cli_print_json(names);
		return EXIT_OK;
	}
	cJSON_ArrayForEach(n, names)
		cli_print("%s", n->valuestring);
	return EXIT_OK;
}

/* Versions are numbered from 0, so their names need no request that would carry their material. */
static int name_versions(struct cli *c, cJSON *metadata, const char *name)
{
	JSON *list = cJSON_CreateArray();
	int64_t count = 0, i;

	INVARIANT(json_int(metadata, "versions", 0, INT64_MAX, &count));
	if (count > VERSIONS_MAX)
		return cli_fail(c, EXIT_REFUSED, "the server says the key has %lld versions",
				(long long)count);
	for (i = 0; i < count; i++) {
		BUF text = { .max = 65536 };
		cJSON *v;

		buf_fmt(&text, "%s@%lld", name, (long long)i);
		v = json_object();
		if (!buf_text(&text) || !cJSON_AddItemToArray(list, v))
			return cli_fail(c, EXIT_REFUSED, "out of memory");
		json_put_text(v, "versionName", buf_text(&text));
		if (!c->json)
			cli_print("  version      %s", buf_text(&text));
	}
	json_put_copy(metadata, "versionList", list);
	return EXIT_OK;
}

static int show_material(struct cli *c, struct kms *k, cJSON *metadata, const char *name)
{
	JSON *versions = NULL;
	const cJSON *v;

	if (!kms_versions(k, name, &versions))
		return cli_fail_kms(c, k);
	cJSON_ArrayForEach(v, versions) {
		const char *material = json_text(v, "material");

		if (!c->json)
			cli_print("  version      %s  %s", json_text(v, "versionName"),
				  material ? material : "(withheld by the server)");
	}
	json_put_copy(metadata, "versionList", versions);
	return EXIT_OK;
}

int verb_key_show(struct cli *c)
{
	const char *name = c->args.words[0];
	struct kms *k = cli_kms(c);
	JSON *m = NULL;
	int code = EXIT_OK;

	if (!k)
		return EXIT_USAGE;
	if (!kms_metadata(k, name, &m))
		return cli_fail_kms(c, k);
	if (!c->json)
		print_metadata(m);
	if (args_has(&c->args, "material"))
		code = show_material(c, k, m, name);
	else if (args_has(&c->args, "versions"))
		code = name_versions(c, m, name);
	if (c->json && code == EXIT_OK)
		cli_print_json(m);
	return code;
}

/* On a terminal the name is asked for again; a script has to say --yes. */
static int confirm(struct cli *c, const char *name)
{
	char line[512];

	if (args_has(&c->args, "yes"))
		return EXIT_OK;
	if (!isatty(STDIN_FILENO))
		return cli_fail(c, EXIT_USAGE, "key delete: say --yes, there is no terminal to ask on");
	fprintf(stderr, "All versions of this key will be lost, and with them what they encrypt.\n"
			"Type its name to delete it: ");
	if (!fgets(line, sizeof(line), stdin))
		return cli_fail(c, EXIT_USAGE, "not deleted");
	line[strcspn(line, "\n")] = 0;
	return strcmp(line, name) == 0 ? EXIT_OK : cli_fail(c, EXIT_USAGE, "not deleted");
}

static int act(struct cli *c, const struct kms_request *r, const char *did)
{
	struct kms *k = cli_kms(c);
	JSON *shown = NULL;

	if (!k)
		return EXIT_USAGE;
	if (!kms_call(k, r, NULL))
		return cli_fail_kms(c, k);
	if (!c->json) {
		cli_print("%s %s", did, r->name);
		return EXIT_OK;
	}
	shown = json_object();
	json_put_text(shown, "name", r->name);
	cli_print_json(shown);
	return EXIT_OK;
}

int verb_key_delete(struct cli *c)
{
	struct kms_request r = { .method = "DELETE",
				 .before = "/v1/key/",
				 .name = c->args.words[0],
				 .want = 200,
				 .no_document = true };
	int code = confirm(c, r.name);

	return code == EXIT_OK ? act(c, &r, "deleted") : code;
}

int verb_key_invalidate(struct cli *c)
{
	struct kms_request r = { .method = "POST", .before = "/v1/key/", .name = c->args.words[0],
				 .after = "/_invalidatecache", .want = 200, .no_document = true };

	return act(c, &r, "invalidated");
}
