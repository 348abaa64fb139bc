/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `svsm-kms attest report` fetches an attestation report, from a server or from this machine's kernel; both are
 * only carriers. `svsm-kms attest verify` judges one (verifier/): the side that has something to lose runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "channel/tsm.h"
#include "client/attest.h"
#include "client/b64.h"

/* ---- options ---- */

/* An option of exactly n bytes in hexadecimal digits, or up to n where min is less. False: printed. */
static bool hex_option(struct cli *c, const char *name, size_t min, size_t n, uint8_t *out, size_t *len)
{
	const char *s = args_text(&c->args, name, "");

	if (hex_read(slice_str(s), out, n, len) == RC_OK && *len >= min)
		return true;
	(void)cli_fail(c, EXIT_USAGE, min == n ? "--%s: %zu bytes in hexadecimal digits are needed" :
						 "--%s: 1 to %zu bytes in hexadecimal digits are needed", name, n);
	return false;
}

/* Up to 16 hexadecimal digits, with or without 0x. */
static bool bits_option(struct cli *c, const char *name, uint64_t *out)
{
	const char *s = args_text(&c->args, name, NULL), *p;
	uint64_t v = 0;

	if (!s)
		return true;
	p = s[0] == '0' && (s[1] | 0x20) == 'x' ? s + 2 : s;
	if (!*p || strlen(p) > 16 || p[strspn(p, "0123456789abcdefABCDEF")]) {
		(void)cli_fail(c, EXIT_USAGE, "--%s: %s is no mask of 64 bits in hexadecimal digits", name, s);
		return false;
	}
	for (; *p; p++)
		v = v << 4 | (uint64_t)(*p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10);
	*out = v;
	return true;
}

/* "2024-01-31T12:00:00Z", "2024-01-31", or seconds since 1970. */
static bool time_option(struct cli *c, int64_t *out)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d" };
	const char *s = args_text(&c->args, "at", NULL), *end;
	uint64_t seconds;
	size_t i;

	if (!s) {
		*out = time(NULL);
		return true;
	}
	if (args_decimal(s, 0, UINT32_MAX, &seconds)) {
		*out = (int64_t)seconds;
		return true;
	}
	for (i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { 0 };

		end = strptime(s, forms[i], &tm);
		if (end && !*end) {
			*out = timegm(&tm);
			return true;
		}
	}
	(void)cli_fail(c, EXIT_USAGE, "--at: %s is no time; write 2024-01-31T12:00:00Z, 2024-01-31 or seconds since 1970",
		       s);
	return false;
}

static bool tcb_part(const char *name, size_t len, enum verifier_tcb_part *out)
{
	size_t p;

	for (p = 0; p < TCB_PARTS; p++) {
		const char *is = verifier_tcb_part_name((enum verifier_tcb_part)p);

		if (strlen(is) == len && strncasecmp(is, name, len) == 0) {
			*out = (enum verifier_tcb_part)p;
			return true;
		}
	}
	return false;
}

/* "snp=8,microcode=115": what is not named may be anything. */
static bool min_tcb_option(struct cli *c, struct verifier_policy *policy)
{
	const char *s = args_text(&c->args, "min-tcb", NULL);

	policy->has_min_tcb = s != NULL;
	while (s && *s) {
		size_t n = strcspn(s, ","), eq = strcspn(s, "=");
		enum verifier_tcb_part part;
		uint64_t v;
		char number[8];

		if (eq >= n || n - eq - 1 >= sizeof(number) || !tcb_part(s, eq, &part))
			break;
		memcpy(number, s + eq + 1, n - eq - 1);
		number[n - eq - 1] = 0;
		if (!args_decimal(number, 0, 255, &v))
			break;
		policy->min_tcb.part[part] = (uint8_t)v;
		s += n;
		if (*s == ',' && !*++s)
			break;
		if (!*s)
			return true;
	}
	if (!policy->has_min_tcb)
		return true;
	(void)cli_fail(c, EXIT_USAGE,
		       "--min-tcb: write NAME=0..255, separated by commas; names are fmc, bootLoader, tee, snp, microcode");
	return false;
}

static bool policy_of(struct cli *c, struct verifier_policy *p)
{
	size_t len;

	p->vmpl = (uint32_t)args_number(&c->args, "vmpl", 0);
	p->allow_debug = args_has(&c->args, "allow-debug");
	p->allow_migration = args_has(&c->args, "allow-migration");
	p->allow_unknown_version = args_has(&c->args, "allow-unknown-version");
	p->has_measurement = args_has(&c->args, "measurement");
	if (p->has_measurement &&
	    !hex_option(c, "measurement", sizeof(p->measurement), sizeof(p->measurement), p->measurement, &len))
		return false;
	p->has_owner = args_has(&c->args, "owner");
	if (p->has_owner && !hex_option(c, "owner", sizeof(p->owner), sizeof(p->owner), p->owner, &len))
		return false;
	if (args_has(&c->args, "nonce") && !hex_option(c, "nonce", 1, sizeof(p->nonce), p->nonce, &p->nonce_len))
		return false;
	return time_option(c, &p->at) && min_tcb_option(c, p) && bits_option(c, "policy-set", &p->policy_set) &&
	       bits_option(c, "policy-clear", &p->policy_clear) && bits_option(c, "platform-set", &p->platform_set) &&
	       bits_option(c, "platform-clear", &p->platform_clear);
}

/* ---- verify ---- */

struct files {
	struct buf report, manifest, root, certs[VERIFIER_SOURCES];
};

static void files_free(struct files *f)
{
	size_t i;

	buf_free(&f->report);
	buf_free(&f->manifest);
	buf_free(&f->root);
	for (i = 0; i < ARRAY_LEN(f->certs); i++)
		buf_free(&f->certs[i]);
}

/* Leaves *out empty, not absent, for an empty file. */
static bool read_into(struct cli *c, const char *path, size_t max, struct buf *b, struct slice *out)
{
	static const uint8_t nothing;

	b->max = max;
	if (!cli_read_file(c, path, false, b))
		return false;
	*out = b->len ? slice_of(b->p, b->len) : slice_of(&nothing, 0);
	return true;
}

static bool read_certs(struct cli *c, struct files *f, struct verifier_input *in)
{
	static const char *const options[] = { "vcek", "chain" };
	const char *path;
	size_t k, i;

	for (k = 0; k < ARRAY_LEN(options); k++) {
		for (i = 0; (path = args_each(&c->args, options[k], &i));) {
			if (in->sources == VERIFIER_SOURCES) {
				(void)cli_fail(c, EXIT_USAGE, "at most %d files with certificates", VERIFIER_SOURCES);
				return false;
			}
			if (!read_into(c, path, VERIFIER_SOURCE_MAX, &f->certs[in->sources], &in->certs[in->sources]))
				return false;
			in->sources++;
		}
	}
	return true;
}

static int verify(struct cli *c, struct files *f)
{
	const char *manifest = args_text(&c->args, "manifest", NULL), *root = args_text(&c->args, "root", NULL);
	struct verifier_policy policy = { 0 };
	struct verifier_input in = { 0 };
	struct verifier_verdict v;
	JSON *doc = NULL;

	if (!policy_of(c, &policy) || !read_into(c, c->args.words[0], VERIFIER_SOURCE_MAX, &f->report, &in.report) ||
	    (manifest && !read_into(c, manifest, VERIFIER_MANIFEST_MAX, &f->manifest, &in.manifest)) ||
	    (root && !read_into(c, root, VERIFIER_SOURCE_MAX, &f->root, &in.root)) || !read_certs(c, f, &in))
		return EXIT_USAGE;
	if (in.sources == 0)
		return cli_fail(c, EXIT_USAGE, "attest verify: --chain FILE and --vcek FILE name the certificates");
	if (verifier_judge(&in, &policy, &v) == RC_MACHINE)
		return cli_fail(c, EXIT_REFUSED, "the report could not be judged: no memory, or libcrypto failed");
	if (c->json) {
		doc = attest_document(&v);
		cli_print_json(doc);
	} else {
		attest_print(c, &v);
	}
	return v.accepted ? EXIT_OK : EXIT_CONFLICT;
}

int verb_attest_verify(struct cli *c)
{
	struct files f = { 0 };
	int code = verify(c, &f);

	files_free(&f);
	return code;
}

/* ---- report ---- */

static int from_kernel(struct cli *c, struct slice nonce, struct tsm_answer *out)
{
	struct tsm t = { .dir = args_text(&c->args, "tsm", TSM_DIR), .ops = &tsm_linux };
	uint8_t in[TSM_INBLOB];
	char why[256];

	if (tsm_inblob(nonce, in) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "libcrypto failed");
	if (tsm_ask(&t, in, out, why, sizeof(why)) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "%s", why);
	return EXIT_OK;
}

static bool member(const cJSON *doc, const char *name, uint8_t *to, size_t room, size_t *len)
{
	const char *text = json_text(doc, name);

	return text && b64_read(slice_str(text), to, room, len) == RC_OK;
}

static int from_server(struct cli *c, struct slice nonce, struct tsm_answer *out)
{
	char query[6 + 2 * ATTEST_NONCE_MAX + 1] = "nonce=";
	struct kms_request r = {
		.method = "GET", .root = "", .before = "/attestation", .query = query, .want = 200, .anonymous = true
	};
	struct kms *k = cli_kms(c);
	JSON *doc = NULL;
	size_t i;

	if (!k)
		return EXIT_USAGE;
	for (i = 0; i < nonce.len; i++)
		snprintf(query + 6 + 2 * i, 3, "%02x", nonce.p[i]);
	if (!kms_call(k, &r, &doc)) {
		if (kms_error_code(k) == EXIT_NOT_FOUND || kms_error_code(k) == EXIT_AUTH)
			return cli_fail(c, EXIT_NOT_FOUND, "the server has no /attestation; it is not SVSM-KMS, or older");
		return cli_fail_kms(c, k);
	}
	if (!cJSON_IsObject(doc) || !member(doc, "report", out->report, sizeof(out->report), &out->report_len) ||
	    !member(doc, "manifest", out->manifest, sizeof(out->manifest), &out->manifest_len) ||
	    !member(doc, "certificates", out->certs, sizeof(out->certs), &out->certs_len) || !out->report_len ||
	    !out->manifest_len)
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not an attestation report");
	if (json_text(doc, "isolation"))
		cli_note(c, "the server says of itself: isolation %s", json_text(doc, "isolation"));
	return EXIT_OK;
}

static bool write_file(struct cli *c, const char *path, const uint8_t *p, size_t len)
{
	CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	ssize_t n;

	for (; fd >= 0 && len; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0 && errno != EINTR)
			break;
		n = n < 0 ? 0 : n;
	}
	if (fd >= 0 && !len)
		return true;
	(void)cli_fail(c, EXIT_REFUSED, "%s: %s", path, strerror(errno));
	return false;
}

static void put_b64(cJSON *doc, const char *name, const uint8_t *p, size_t n)
{
	BUF text = { .max = 2 * TSM_CERTS_MAX };

	b64_write(&text, slice_of(p, n));
	json_put_text(doc, name, buf_text(&text));
}

static int hand_out(struct cli *c, const struct tsm_answer *a)
{
	const struct {
		const char *option, *name;
		const uint8_t *p;
		size_t len;
	} parts[] = {
		{ "out", "report", a->report, a->report_len },
		{ "manifest", "manifest", a->manifest, a->manifest_len },
		{ "certs", "certificates", a->certs, a->certs_len },
	};
	JSON *doc = json_object();
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		const char *path = args_text(&c->args, parts[i].option, NULL);

		if (path && !write_file(c, path, parts[i].p, parts[i].len))
			return EXIT_REFUSED;
		if (c->json)
			put_b64(doc, parts[i].name, parts[i].p, parts[i].len);
		else if (!c->quiet)
			cli_print("%-13s %6zu bytes  %s", parts[i].name, parts[i].len,
				  path ? path : "(not written)");
	}
	if (c->json)
		cli_print_json(doc);
	return EXIT_OK;
}

/* From the kernel when it is named or no server is. */
static bool asks_server(const struct cli *c)
{
	const char *env = getenv("SVSM_KMS_URL");

	return !args_has(&c->args, "tsm") && (args_has(&c->args, "url") || (env && env[0]));
}

int verb_attest_report(struct cli *c)
{
	uint8_t nonce[ATTEST_NONCE_MAX];
	struct tsm_answer *a;
	size_t len;
	int code;

	if (!args_has(&c->args, "nonce"))
		return cli_fail(c, EXIT_USAGE, "attest report: --nonce HEX is needed; take random bytes that you have never "
					       "used, and verify with the same");
	if (!hex_option(c, "nonce", 1, sizeof(nonce), nonce, &len))
		return EXIT_USAGE;
	if (!c->json && !args_has(&c->args, "out"))
		return cli_fail(c, EXIT_USAGE, "attest report: --out FILE says where to write the report, or -o json");
	a = calloc(1, sizeof(*a));
	if (!a)
		return cli_fail(c, EXIT_REFUSED, "out of memory");
	code = asks_server(c) ? from_server(c, slice_of(nonce, len), a) : from_kernel(c, slice_of(nonce, len), a);
	if (code == EXIT_OK)
		code = hand_out(c, a);
	free(a);
	return code;
}
