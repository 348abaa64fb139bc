/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core costs, without HTTP, channel or disk: calls svc_call() as the service's worker does, on
 * one thread, and counts that thread's CPU time. `make bench` reads the output: "name value" lines.
 *
 *   core_bench              nanoseconds per call and per encrypted key, encrypted keys per second
 *   core_bench repeat N     N decrypt calls and nothing else: for counting instructions under valgrind,
 *                           where the difference of two runs leaves the start-up out
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "service/entropy.h"
#include "service/krb.h"
#include "service/state.h"
#include "tests/fake/krb_client.h"

#define ROUNDS 9
#define ROUND_NS 60000000.0
#define BATCH 1000

struct bench {
	struct svc *svc;
	struct svc_worker *w;
	struct wire_cred cred;
	uint8_t cookie[WIRE_COOKIE_MAX];
	uint8_t req[CALL_LARGE_LEN], rsp[CALL_LARGE_LEN];
	struct sink s;
	struct wire_ans ans;
	uint8_t iv[16], material[32];
	uint64_t ticket;
	/* a record of the store, for sealing and opening alone */
	uint8_t id[WIRE_ID_LEN], plain[200], record[400], tag[CRYPTO_TAG_LEN];
	uint64_t version;
};

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "core_bench: %s\n", what);
	exit(1);
}

static uint64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The machine may be busy with other things: CPU time, not wall time. */
static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint8_t *begin(struct bench *b)
{
	b->s = sink_of(b->req, sizeof(b->req));
	return b->req;
}

/* Makes the call that stands in b->req; the answer lies in b->rsp. */
static uint32_t call(struct bench *b, enum wire_call c, size_t room)
{
	uint32_t len;

	if (!sink_ok(&b->s))
		die("a request does not fit");
	return svc_call(b->svc, b->w, c, shared_of(b->req, b->s.need), b->rsp, room, &len);
}

/* The same, where anything but success is the end; reads the answer. */
static void must(struct bench *b, enum wire_call c)
{
	uint32_t len, e;

	e = svc_call(b->svc, b->w, c, shared_of(b->req, b->s.need), b->rsp, sizeof(b->rsp), &len);
	if (e != E_OK || wire_ans_get(cur_of(b->rsp, len), &b->ans) != RC_OK) {
		fprintf(stderr, "core_bench: call %d: error %u\n", (int)c, e);
		exit(1);
	}
}

/* ---- setting up: a store, a configuration with ACLs, two versions of one key ---- */

/* ACLs that are really looked at: the user is in the group that each of them names. */
static const char *const properties[][2] = {
	{ "hadoop.kms.acl.CREATE", "admin keepers" },
	{ "hadoop.kms.acl.ROLLOVER", "admin keepers" },
	{ "hadoop.kms.acl.GENERATE_EEK", "hdfs keepers" },
	{ "hadoop.kms.acl.DECRYPT_EEK", "hdfs keepers" },
	{ "hadoop.kms.blacklist.DECRYPT_EEK", "root,hdfs" },
	{ "hadoop.user.group.static.mapping.overrides", "bench=keepers,users;hdfs=users" },
	{ "key.acl.zone.ALL", "nobody keepers" },
	{ "default.key.acl.MANAGEMENT", "*" },
};

static void configure(struct bench *b)
{
	size_t i;

	begin(b);
	wire_config_req_put(&b->s, ARRAY_LEN(properties));
	for (i = 0; i < ARRAY_LEN(properties); i++)
		wire_property_put(&b->s, slice_str(properties[i][0]), slice_str(properties[i][1]));
	must(b, CALL_CONFIG);
}

static void put_tickets(struct bench *b, uint64_t epoch, uint64_t ticket)
{
	begin(b);
	wire_tickets_req_put(&b->s, &(struct wire_tickets_req){ .epoch = epoch, .count = ticket != 0 });
	if (ticket)
		sink_le64(&b->s, ticket);
}

static void commit(struct bench *b)
{
	struct cursor body;
	struct wire_staged st;
	uint64_t epoch;

	body = b->ans.body;
	if (!wire_staged_next(&body, &st))
		die("a change has no ticket");
	put_tickets(b, 0, st.ticket);
	must(b, CALL_HEAD);
	body = b->ans.body;
	if (!cur_le64(&body, &epoch))
		die("a head has no epoch");
	put_tickets(b, epoch, 0);
	must(b, CALL_COMMIT);
}

static void put_create(struct bench *b, const char *name)
{
	begin(b);
	wire_create_req_put(&b->s, &(struct wire_create_req){ .cred = b->cred, .name = slice_str(name),
							      .attr = cur_of(NULL, 0), .material = cur_of(NULL, 0) });
}

static void put_name(struct bench *b, const char *name, uint32_t count)
{
	begin(b);
	wire_name_req_put(&b->s, &(struct wire_name_req){ .cred = b->cred, .name = slice_str(name), .count = count });
}

static void log_in(struct bench *b)
{
	b->cred = (struct wire_cred){ .has_user = true, .user = slice_str("bench"), .group = cur_of(NULL, 0) };
	put_name(b, "", 0);
	must(b, CALL_AUTH);
	if (b->ans.cookie.len == 0 || b->ans.cookie.len > sizeof(b->cookie))
		die("no cookie");
	memcpy(b->cookie, b->ans.cookie.p, b->ans.cookie.len);
	b->cred = (struct wire_cred){ .has_cookie = true, .cookie = slice_of(b->cookie, b->ans.cookie.len),
				      .group = cur_of(NULL, 0) };
}

static struct bench *set_up(void)
{
	static struct entropy entropy;
	static struct bench b;
	struct svc_options o = { .isolation = ISOLATION_PROCESS, .entropy = entropy_get, .entropy_ctx = &entropy,
				 .mono_us = mono_us };

	if (crypto_start() != RC_OK || entropy_init(&entropy) != RC_OK)
		die("libcrypto or the source of entropy does not start");
	b.svc = svc_new(&o);
	b.w = b.svc ? svc_worker_new(b.svc) : NULL;
	if (!b.w)
		die("no memory");
	svc_time(b.svc, (uint64_t)time(NULL) * 1000);
	configure(&b);
	begin(&b);
	must(&b, CALL_STORE_CREATE);
	begin(&b);
	wire_blob_req_put(&b.s, slice_of("", 0));
	sink_le64(&b.s, 0);
	must(&b, CALL_AUDIT_RESUME);
	log_in(&b);
	put_create(&b, "zone");
	must(&b, CALL_CREATE);
	commit(&b);
	begin(&b);
	wire_roll_req_put(&b.s, &(struct wire_roll_req){ .cred = b.cred, .name = slice_str("zone"),
							 .material = slice_of("", 0) });
	must(&b, CALL_ROLL);
	commit(&b);
	return &b;
}

/* ---- the calls measured ---- */

static void prepare_auth(struct bench *b)
{
	put_name(b, "", 0);
}

static void prepare_decrypt(struct bench *b)
{
	begin(b);
	wire_eek_req_put(&b->s, &(struct wire_eek_req){ .cred = b->cred, .has_name = true,
							.version_name = slice_str("zone@1"), .name = slice_str("zone"),
							.iv = slice_of(b->iv, 16), .material = slice_of(b->material, 16) });
}

static void prepare_generate_1(struct bench *b)
{
	put_name(b, "zone", 1);
}

static void prepare_generate_150(struct bench *b)
{
	put_name(b, "zone", 150);
}

/* All of an old version, as after a roll. */
static void prepare_batch(struct bench *b, const char *version)
{
	struct wire_item item = { .version_name = slice_str(version), .iv = slice_of(b->iv, 16),
				  .material = slice_of(b->material, 16) };
	unsigned i;

	begin(b);
	wire_batch_req_put(&b->s, &(struct wire_batch_req){ .cred = b->cred, .name = slice_str("zone"), .count = BATCH });
	for (i = 0; i < BATCH; i++)
		wire_item_put(&b->s, &item);
}

static void prepare_reencrypt(struct bench *b)
{
	prepare_batch(b, "zone@0");
}

static void prepare_create(struct bench *b)
{
	(void)b;
}

static void run_small(struct bench *b, enum wire_call c)
{
	if (call(b, c, CALL_PAGE) != E_OK)
		die("a call failed");
}

static void run_large(struct bench *b, enum wire_call c)
{
	if (call(b, c, CALL_LARGE_LEN) != E_OK)
		die("a call failed");
}

/* Staged and dropped again: generation, sealing, the set hash; no commit. */
static void run_create(struct bench *b, enum wire_call c)
{
	struct cursor body;
	struct wire_staged st;

	put_create(b, "another-key-0001");
	must(b, c);
	body = b->ans.body;
	if (!wire_staged_next(&body, &st))
		die("a change has no ticket");
	put_tickets(b, 0, st.ticket);
	must(b, CALL_ABORT);
}

static void prepare_seal(struct bench *b)
{
	memset(b->id, 7, sizeof(b->id));
	if (seal_record(b->w, &b->svc->store, KIND_KEY, b->id, 1, b->plain, sizeof(b->plain), b->record, b->tag) != RC_OK)
		die("sealing failed");
}

static void run_seal(struct bench *b, enum wire_call c)
{
	(void)c;
	prepare_seal(b);
}

static void run_open(struct bench *b, enum wire_call c)
{
	uint8_t kind;

	(void)c;
	if (seal_record_open(b->w, &b->svc->store, b->id,
			     slice_of(b->record, sizeof(b->plain) + SEAL_RECORD_OVERHEAD), b->plain, &kind, &b->version,
			     b->tag) != RC_OK)
		die("opening failed");
}

/*
 * A Kerberos login as it comes in HTTP. It is the same token each time, refused as a replay only when all work is done and the
 * answer is made.
 */
static struct {
	struct krb_keys *keys;
	struct krb_replay replay;
	uint8_t token[4096];
	size_t len;
} spnego;

static void prepare_spnego(struct bench *b, int32_t etype)
{
	uint8_t file[512] = { 5, 2 };
	struct fake_krb f;
	const char *why;
	size_t len;

	fake_krb_init(&f, etype, 1700000000);
	len = 2 + fake_krb_keytab_entry(file + 2, sizeof(file) - 2, f.server, f.server_realm, 3, 3, etype, f.service.b,
					crypto_krb_key_len(etype));
	krb_keytab_free(spnego.keys);
	krb_replay_wipe(&spnego.replay);
	if (krb_keytab_parse(slice_of(file, len), &spnego.keys, &why) != RC_OK ||
	    krb_replay_init(&spnego.replay, b->w->crypto, &b->w->random) != RC_OK)
		die("no keytab");
	spnego.len = fake_krb_token(&f, spnego.token, sizeof(spnego.token));
}

static void prepare_spnego_sha1(struct bench *b)
{
	prepare_spnego(b, CRYPTO_KRB_AES256_SHA1);
}

static void prepare_spnego_sha384(struct bench *b)
{
	prepare_spnego(b, CRYPTO_KRB_AES256_SHA384);
}

static void run_spnego(struct bench *b, enum wire_call c)
{
	const struct slice any = slice_str("*");
	const struct krb_accept_options o = { .keys = spnego.keys, .principals = &any, .nprincipals = 1,
					      .now_ms = 1700000000000, .skew_ms = 300000, .random = &b->w->random };
	struct krb_identity id;
	enum krb_result k = krb_accept(b->w->crypto, &o, &spnego.replay, slice_of(spnego.token, spnego.len), &id);

	(void)c;
	if (k != KRB_OK && k != KRB_REPLAY)
		die(krb_result_text(k));
}

static const struct row {
	const char *name;
	void (*prepare)(struct bench *b);
	void (*run)(struct bench *b, enum wire_call c);
	enum wire_call call;
	unsigned keys;		/* encrypted keys a call makes; 0: none */
} rows[] = {
	{ "auth", prepare_auth, run_small, CALL_AUTH, 0 },
	{ "spnego_aes256_sha1", prepare_spnego_sha1, run_spnego, 0, 0 },
	{ "spnego_aes256_sha384", prepare_spnego_sha384, run_spnego, 0, 0 },
	{ "decrypt", prepare_decrypt, run_small, CALL_DECRYPT, 0 },
	{ "generate_1", prepare_generate_1, run_small, CALL_GENERATE, 1 },
	{ "generate_150", prepare_generate_150, run_large, CALL_GENERATE, 150 },
	{ "reencrypt_1000", prepare_reencrypt, run_large, CALL_REENCRYPT_BATCH, BATCH },
	{ "create_and_abort", prepare_create, run_create, CALL_CREATE, 0 },
	{ "seal_200_bytes", prepare_seal, run_seal, 0, 0 },
	{ "open_200_bytes", prepare_seal, run_open, 0, 0 },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double round_ns(struct bench *b, const struct row *r, unsigned n)
{
	double from = cpu_ns();
	unsigned i;

	for (i = 0; i < n; i++)
		r->run(b, r->call);
	return (cpu_ns() - from) / n;
}

static void measure(struct bench *b, const struct row *r)
{
	double ns[ROUNDS], once;
	unsigned n, i;

	r->prepare(b);
	(void)round_ns(b, r, 3);
	once = round_ns(b, r, 10);
	n = (unsigned)(ROUND_NS / once) + 1;
	for (i = 0; i < ROUNDS; i++)
		ns[i] = round_ns(b, r, n);
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	printf("%s_ns %.1f\n", r->name, ns[ROUNDS / 2]);
	printf("%s_ns_least %.1f\n", r->name, ns[0]);
	if (r->keys)
		printf("%s_keys_per_s %.0f\n", r->name, r->keys / ns[ROUNDS / 2] * 1e9);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct bench *b = set_up();
	unsigned long i, n;

	if (argc == 3 && strcmp(argv[1], "repeat") == 0) {
		n = strtoul(argv[2], NULL, 10);
		prepare_decrypt(b);
		for (i = 0; i < n; i++)
			run_small(b, CALL_DECRYPT);
		return 0;
	}
	if (argc != 1)
		die("usage: core_bench [repeat N]");
	for (i = 0; i < ARRAY_LEN(rows); i++)
		measure(b, &rows[i]);
	return 0;
}
