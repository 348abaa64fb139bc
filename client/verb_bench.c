/* SPDX-License-Identifier: Apache-2.0 */
/* `svsm-kms bench`: what to ask for, and the table of results. The loop is in bench.c. */
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>

#include "client/bench.h"
#include "client/cli.h"

#define RUNS_MAX 16
#define REQUESTS_MAX 100000000ull	/* of one run */
#define CREATES_MAX 10000000ull

struct bench {
	struct cli *cli;
	struct kms *kms;
	const char *op;
	char name[64];		/* of our own key, and the beginning of the names that create makes */
	const char *key;	/* the key to use */
	bool own_key;
	struct buf request;	/* the same bytes each time; decrypt and generate */
	uint64_t created;	/* names numbered below this may exist */
	cJSON *report;
};

static volatile int interrupted;

static void on_interrupt(__attribute__((unused)) int sig)
{
	interrupted = 1;
}

static void make_fixed(void *ctx, __attribute__((unused)) uint64_t n, struct buf *to)
{
	struct bench *b = ctx;

	buf_put(to, b->request.p, b->request.len);
}

static void make_create(void *ctx, uint64_t n, struct buf *to)
{
	struct bench *b = ctx;
	BUF path = { .max = 512 };
	char body[160];
	struct session_request r = { .method = "POST", .has_body = true };

	buf_fmt(&path, "%s/v1/keys", session_of(kms_session(b->kms))->url.path);
	snprintf(body, sizeof(body), "{\"name\":\"%s-%llu\",\"length\":128}", b->name, (unsigned long long)n);
	r.path = buf_text(&path);
	r.body = slice_str(body);
	if (r.path)
		session_write_request(kms_session(b->kms), &r, to);
}

static void make_delete(void *ctx, uint64_t n, struct buf *to)
{
	struct bench *b = ctx;
	BUF path = { .max = 512 };
	struct session_request r = { .method = "DELETE" };

	buf_fmt(&path, "%s/v1/key/%s-%llu", session_of(kms_session(b->kms))->url.path, b->name,
		(unsigned long long)n);
	r.path = buf_text(&path);
	if (r.path)
		session_write_request(kms_session(b->kms), &r, to);
}

/* One encrypted key, and from it the request that decrypts it. */
static bool prepare_decrypt(struct bench *b, const cJSON *eek)
{
	const char *base = session_of(kms_session(b->kms))->url.path;
	JSON *body = json_object();
	BUF path = { .max = 4096 };
	struct session_request r = { .method = "POST", .query = "eek_op=decrypt", .has_body = true };
	char *text;

	json_put_text(body, "name", b->key);
	json_put_text(body, "iv", json_text(eek, "iv"));
	json_put_text(body, "material", json_text(doc_member(eek, "encryptedKeyVersion"), "material"));
	text = cJSON_PrintUnformatted(body);
	buf_fmt(&path, "%s/v1/keyversion/", base);
	kms_url_encode(&path, slice_str(json_text(eek, "versionName")));
	buf_str(&path, "/_eek");
	r.path = buf_text(&path);
	if (text && r.path) {
		r.body = slice_str(text);
		session_write_request(kms_session(b->kms), &r, &b->request);
	}
	cJSON_free(text);
	return b->request.len && buf_ok(&b->request);
}

static bool prepare_generate(struct bench *b)
{
	BUF path = { .max = 4096 };
	struct session_request r = { .method = "GET", .query = "eek_op=generate&num_keys=1" };

	buf_fmt(&path, "%s/v1/key/", session_of(kms_session(b->kms))->url.path);
	kms_url_encode(&path, slice_str(b->key));
	buf_str(&path, "/_eek");
	r.path = buf_text(&path);
	if (!r.path)
		return false;
	session_write_request(kms_session(b->kms), &r, &b->request);
	return buf_ok(&b->request);
}

static bool make_key(struct bench *b)
{
	JSON *body = json_object(), *answer = NULL;
	struct kms_request r = {
		.method = "POST", .before = "/v1/keys", .about = b->name, .body = body, .want = 201
	};

	json_put_text(body, "name", b->name);
	json_put_int(body, "length", 128);
	b->own_key = kms_call(b->kms, &r, &answer);
	return b->own_key;
}

/* Also logs in, so that the requests carry the cookie. An exit code. */
static int prepare(struct bench *b)
{
	struct kms_request r = { .method = "GET", .before = "/v1/key/", .after = "/_eek",
				 .query = "eek_op=generate&num_keys=1", .want = 200 };
	JSON *list = NULL;
	bool ok;

	b->key = args_text(&b->cli->args, "key", NULL);
	if (!b->key) {
		b->key = b->name;
		if (!make_key(b))
			return cli_fail_kms(b->cli, b->kms);
	}
	r.name = b->key;
	if (!kms_call(b->kms, &r, &list))
		return cli_fail_kms(b->cli, b->kms);
	if (!kms_is_eek(list->child))
		return cli_fail(b->cli, EXIT_REFUSED, "the server's answer is not an encrypted key");
	if (strcmp(b->op, "create") == 0)
		return EXIT_OK;
	ok = strcmp(b->op, "decrypt") == 0 ? prepare_decrypt(b, list->child) : prepare_generate(b);
	return ok ? EXIT_OK : cli_fail(b->cli, EXIT_REFUSED, "out of memory");
}

static void report(struct bench *b, unsigned connections, const struct bench_result *r)
{
	double rate = r->ns ? (double)r->good * 1e9 / (double)r->ns : 0;
	double p50 = (double)bench_percentile(r, 50) / 1000, p99 = (double)bench_percentile(r, 99) / 1000;
	cJSON *line;

	if (!b->report) {
		cli_print("%-10s %11u %12.0f %10.0f %10.0f %8llu", b->op, connections, rate, p50, p99,
			  (unsigned long long)r->errors);
		fflush(stdout);
		return;
	}
	line = json_object();
	json_put_text(line, "op", b->op);
	json_put_int(line, "connections", connections);
	json_put_int(line, "requests", (int64_t)r->good);
	json_put_int(line, "requestsPerSecond", (int64_t)(rate + 0.5));
	json_put_int(line, "p50us", (int64_t)(p50 + 0.5));
	json_put_int(line, "p99us", (int64_t)(p99 + 0.5));
	json_put_int(line, "errors", (int64_t)r->errors);
	if (!cJSON_AddItemToArray(b->report, line))
		cJSON_Delete(line);
}

static int run(struct bench *b, unsigned connections)
{
	bool create = strcmp(b->op, "create") == 0;
	struct bench_load load = { .session = kms_session(b->kms), .ctx = b, .connections = connections };
	struct bench_result *r = calloc(1, sizeof(*r));
	enum rc rc;

	if (!r)
		return cli_fail(b->cli, EXIT_REFUSED, "out of memory");
	load.make = create ? make_create : make_fixed;
	load.first = b->created;
	load.count = create ? CREATES_MAX : REQUESTS_MAX;
	load.want = create ? 201 : 200;
	load.ms = (unsigned)args_number(&b->cli->args, "seconds", 5) * 1000;
	rc = bench_run(&load, &interrupted, r);
	if (create)
		b->created += r->sent;
	report(b, connections, r);
	free(r);
	if (rc != RC_OK && !interrupted)
		return cli_fail(b->cli, EXIT_REFUSED, "no request succeeded");
	return EXIT_OK;
}

/* "1,16,64": a run for each */
static int run_list(struct bench *b, const char *list)
{
	unsigned runs = 0;
	int code = EXIT_OK;

	while (code == EXIT_OK && !interrupted) {
		size_t n = strcspn(list, ",");
		uint64_t connections;
		char one[16];

		snprintf(one, sizeof(one), "%.*s", (int)(n < 15 ? n : 15), list);
		if (++runs > RUNS_MAX || !args_decimal(one, 1, BENCH_CONNECTIONS_MAX, &connections))
			return cli_fail(b->cli, EXIT_USAGE,
					"--connections: expected numbers from 1 to %d, such as 1,16,64",
					BENCH_CONNECTIONS_MAX);
		code = run(b, (unsigned)connections);
		if (!list[n])
			break;
		list += n + 1;
	}
	return code;
}

static void clean_up(struct bench *b)
{
	struct bench_load load = { .session = kms_session(b->kms),
				   .ctx = b,
				   .make = make_delete,
				   .connections = 16,
				   .count = b->created,
				   .want = 200 };
	struct kms_request r = { .method = "DELETE", .before = "/v1/key/", .name = b->name, .want = 200,
				 .no_document = true };
	struct bench_result *result;
	static const volatile int never;

	signal(SIGINT, SIG_DFL);
	if (b->own_key && !kms_call(b->kms, &r, NULL))
		cli_warn(b->cli, "%s could not be deleted: %s", b->name, kms_error(b->kms));
	result = b->created ? calloc(1, sizeof(*result)) : NULL;
	if (!result)
		return;
	cli_note(b->cli, "deleting %llu keys", (unsigned long long)b->created);
	if (bench_run(&load, &never, result) != RC_OK || result->errors)
		cli_warn(b->cli, "%llu keys named %s-... were not deleted",
			 (unsigned long long)(b->created - result->good), b->name);
	free(result);
}

int verb_bench(struct cli *c)
{
	struct bench b = { .cli = c, .kms = cli_kms(c), .op = args_text(&c->args, "op", "decrypt"),
			   .request = { .max = 1 << 20 } };
	uint32_t unique = 0;
	JSON *doc = NULL;
	int code;

	if (!b.kms)
		return EXIT_USAGE;
	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return cli_fail(c, EXIT_REFUSED, "getrandom failed");
	snprintf(b.name, sizeof(b.name), "svsm-kms-bench-%08x", unique);
	b.report = c->json ? cJSON_CreateArray() : NULL;
	signal(SIGINT, on_interrupt);
	code = prepare(&b);
	if (code == EXIT_OK && !c->json)
		cli_print("%-10s %11s %12s %10s %10s %8s", "operation", "connections", "requests/s", "p50 us",
			  "p99 us", "errors");
	if (code == EXIT_OK)
		code = run_list(&b, args_text(&c->args, "connections", "1,16,64"));
	clean_up(&b);
	if (b.report && code == EXIT_OK) {
		doc = json_object();
		json_put_copy(doc, "runs", b.report);
		cli_print_json(doc);
	}
	cJSON_Delete(b.report);
	buf_free(&b.request);
	return code;
}
