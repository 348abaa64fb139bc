/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to a verb, and what verbs share; see cli.h. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/b64.h"
#include "client/cli.h"
#include "client/text.h"

#define DEFAULT_URL "http://127.0.0.1:9600/kms"
#define PRINT_MAX (256u << 20)

static void print_safe(FILE *to, const char *before, const char *fmt, va_list ap)
{
	BUF raw = { .max = PRINT_MAX }, safe = { .max = PRINT_MAX };
	va_list again;
	uint8_t *room;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	room = n >= 0 ? buf_room(&raw, (size_t)n) : NULL;
	if (!room)
		return;
	vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
	raw.len += (size_t)n;
	text_safe(&safe, slice_of(raw.p, raw.len));
	if (buf_text(&safe))
		fprintf(to, "%s%s\n", before, buf_text(&safe));
}

void cli_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_safe(stdout, "", fmt, ap);
	va_end(ap);
}

void cli_print_json(const cJSON *doc)
{
	BUF safe = { .max = PRINT_MAX };
	char *text = cJSON_PrintUnformatted(doc);

	if (!text) {
		fprintf(stderr, "svsm-kms: out of memory\n");
		exit(EXIT_REFUSED);
	}
	text_safe_json(&safe, slice_str(text));
	cJSON_free(text);
	if (buf_text(&safe))
		puts(buf_text(&safe));
}

static void print_error(struct cli *c, int code, const char *text)
{
	BUF safe = { .max = PRINT_MAX };
	char *printed = NULL;
	cJSON *doc, *e;

	if (!c->json) {
		text_safe(&safe, slice_str(text));
		fprintf(stderr, "svsm-kms: %s\n", buf_text(&safe) ? buf_text(&safe) : "");
		return;
	}
	doc = json_object();
	e = json_object();
	json_put_int(e, "code", code);
	json_put_text(e, "message", text);
	json_put_copy(doc, "error", e);
	printed = cJSON_PrintUnformatted(doc);
	if (printed)
		text_safe_json(&safe, slice_str(printed));
	fprintf(stderr, "%s\n", buf_text(&safe) ? buf_text(&safe) : "");
	cJSON_free(printed);
	cJSON_Delete(e);
	cJSON_Delete(doc);
}

int cli_fail(struct cli *c, int code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_error(c, code, text);
	return code;
}

int cli_fail_kms(struct cli *c, const struct kms *k)
{
	print_error(c, kms_error_code(k), kms_error(k));
	if (strncmp(kms_error(k), "cannot connect", 14) == 0)
		cli_note(c, "is the server running? `svsm-kms serve` starts one; --url says where it is");
	return kms_error_code(k);
}

void cli_note(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet || c->json)
		return;
	va_start(ap, fmt);
	print_safe(stderr, "", fmt, ap);
	va_end(ap);
}

void cli_warn(__attribute__((unused)) struct cli *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_safe(stderr, "svsm-kms: warning: ", fmt, ap);
	va_end(ap);
}

void cli_time(int64_t ms, char out[32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, 32, "%lld", (long long)ms);
}

const char *cli_user(struct cli *c)
{
	const char *given = args_text(&c->args, "user", NULL);
	const struct passwd *pw;

	if (given)
		return given;
	if (!c->login[0]) {
		pw = getpwuid(getuid());
		if (pw && pw->pw_name)
			snprintf(c->login, sizeof(c->login), "%s", pw->pw_name);
		else
			snprintf(c->login, sizeof(c->login), "%u", (unsigned)getuid());
	}
	return c->login;
}

const char *cli_token(struct cli *c, const char *path, struct buf *file)
{
	uint8_t raw[8192];
	JSON *answer = NULL;
	const char *text;
	size_t n;

	if (!cli_read_file(c, path, true, file))
		return NULL;
	text = buf_text(file);
	if (text && text[0] == '{') {
		answer = cJSON_Parse(text);
		text = json_text(cJSON_GetObjectItemCaseSensitive(answer, "Token"), "urlString");
		buf_clear(file);
		buf_str(file, text ? text : "");
	}
	while (file->len && (file->p[file->len - 1] == '\n' || file->p[file->len - 1] == '\r'))
		file->len--;
	/* Base64 is fit for a header as well. */
	text = buf_text(file);
	if (text && b64_read(slice_of(file->p, file->len), raw, sizeof(raw), &n) == RC_OK && n)
		return text;
	(void)cli_fail(c, EXIT_USAGE, "%s: no delegation token in it; wanted is what `token get` or GETDELEGATIONTOKEN answered",
		       path);
	return NULL;
}

struct kms *cli_kms_at(struct cli *c, const char *option, const char *url, const struct cli_login *as)
{
	struct session_options o = { .user = as->user, .principal = as->principal, .negotiate = as->negotiate,
				     .body_max = KMS_BODY_MAX };
	BUF file = { .max = 16384 };
	struct kms *k;
	const char *why;

	o.ca = args_text(&c->args, "ca", NULL);
	o.client_cert = args_text(&c->args, "client-cert", NULL);
	o.insecure = args_has(&c->args, "insecure");
	o.timeout_ms = (unsigned)args_number(&c->args, "timeout", 60) * 1000;
	if (kms_url_parse(slice_str(url), &o.url, &why) != RC_OK) {
		(void)cli_fail(c, EXIT_USAGE, "%s: %s: %s", option, url, why);
		return NULL;
	}
	if (o.url.tls && o.insecure)
		cli_warn(c, "--insecure: whoever answers at %s is believed, and gets the keys that are sent", url);
	if (!as->user[0]) {
		(void)cli_fail(c, EXIT_USAGE, "--user: the name is empty");
		return NULL;
	}
	if (as->token && as->negotiate) {
		(void)cli_fail(c, EXIT_USAGE, "%s: either a delegation token or a Kerberos ticket, not both", url);
		return NULL;
	}
	if (as->token) {
		o.token = cli_token(c, as->token, &file);
		if (!o.token)
			return NULL;
	}
	k = kms_open(&o);
	if (!k)
		(void)cli_fail(c, EXIT_USAGE, "out of memory");
	return k;
}

struct kms *cli_kms(struct cli *c)
{
	const char *env = getenv("SVSM_KMS_URL");
	const char *url = args_text(&c->args, "url", NULL);
	struct cli_login as = { .user = cli_user(c), .principal = args_text(&c->args, "user", NULL),
				.token = args_text(&c->args, "token", NULL), .negotiate = args_has(&c->args, "negotiate") };

	if (c->kms)
		return c->kms;
	if (url)
		c->kms = cli_kms_at(c, "--url", url, &as);
	else if (env && env[0])
		c->kms = cli_kms_at(c, "SVSM_KMS_URL", env, &as);
	else
		c->kms = cli_kms_at(c, "--url", DEFAULT_URL, &as);
	return c->kms;
}

bool cli_read_file(struct cli *c, const char *path, bool secret, struct buf *out)
{
	bool from_stdin = strcmp(path, "-") == 0;
	CLOSE int fd = from_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	uint8_t *to;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)cli_fail(c, EXIT_USAGE, "%s: %s", path, strerror(errno));
		return false;
	}
	if (secret && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)))
		cli_warn(c, "%s: other users can read this key; remedy: chmod 600 %s", path, path);
	for (;;) {
		size_t room = out->max - out->len < 65536 ? out->max - out->len : 65536;
		uint8_t more;

		to = buf_room(out, room);
		n = to ? read(fd, room ? to : &more, room ? room : 1) : -1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return true;
		if (n < 0 || room == 0)
			break;
		out->len += (size_t)n;
	}
	(void)cli_fail(c, EXIT_USAGE, "%s: %s", path, n < 0 ? strerror(errno) : "the file is too large");
	return false;
}

static const struct verb *verb_named(const char *first, const char *second)
{
	size_t n = strlen(first), m = second ? strlen(second) : 0;
	const struct verb *v;

	for (v = cli_verbs; v->name; v++) {
		size_t len = strlen(v->name);

		if (!second && len == n && memcmp(v->name, first, n) == 0)
			return v;
		if (second && len == n + 1 + m && memcmp(v->name, first, n) == 0 && v->name[n] == ' ' &&
		    memcmp(v->name + n + 1, second, m) == 0)
			return v;
	}
	return NULL;
}

static bool is_group(const char *word)
{
	size_t n = strlen(word);
	const struct verb *v;

	for (v = cli_verbs; v->name; v++) {
		if (strncmp(v->name, word, n) == 0 && v->name[n] == ' ')
			return true;
	}
	return false;
}

static int unknown_verb(struct cli *c, const char *first, const char *second)
{
	const char *best = NULL;
	unsigned best_distance = 4, d;
	const struct verb *v;
	char word[64], one[64];

	snprintf(one, sizeof(one), "%s", first);
	snprintf(word, sizeof(word), "%s%s%s", first, second ? " " : "", second ? second : "");
	for (v = cli_verbs; v->name; v++) {
		d = text_edits(word, v->name);
		if (d > text_edits(one, v->name) && !strchr(v->name, ' '))
			d = text_edits(one, v->name);
		if (d < best_distance) {
			best = v->name;
			best_distance = d;
		}
	}
	if (best)
		return cli_fail(c, EXIT_USAGE, "unknown verb `%s`; did you mean `%s`?",
				is_group(first) ? word : one, best);
	return cli_fail(c, EXIT_USAGE, "unknown verb `%s`; `svsm-kms help` lists them",
			is_group(first) ? word : one);
}

/* Picks the verb at argv[*at]; NULL: *code is the exit code. */
static const struct verb *find_verb(struct cli *c, int argc, char **argv, int *at, int *code)
{
	const char *first = argv[*at];
	const char *second = *at + 1 < argc ? argv[*at + 1] : NULL;
	const struct verb *v = verb_named(first, NULL);

	if (v) {
		*at += 1;
		return v;
	}
	if (is_group(first) && (!second || second[0] == '-')) {
		bool asked = second && (strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0);

		if (asked)
			help_group(first);
		else
			(void)cli_fail(c, EXIT_USAGE, "`%s` needs one more word; see `svsm-kms %s --help`",
				       first, first);
		*code = asked ? EXIT_OK : EXIT_USAGE;
		return NULL;
	}
	v = second ? verb_named(first, second) : NULL;
	if (v) {
		*at += 2;
		return v;
	}
	*code = unknown_verb(c, first, second);
	return NULL;
}

static void note_format(struct cli *c)
{
	const char *o = args_text(&c->args, "output", "text");

	c->json = strcmp(o, "json") == 0;
	c->quiet = args_has(&c->args, "quiet");
}

static int run_verb(struct cli *c, int argc, char **argv, int at)
{
	const struct verb *v = c->verb;

	c->args.tables[1] = v->opts;
	if (v->raw) {
		bool help = at < argc && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0);
		static char serve_name[] = "serve";

		if (help || args_has(&c->args, "help")) {
			help_verb(v);
			return EXIT_OK;
		}
		if (c->args.count)
			return cli_fail(c, EXIT_USAGE, "%s: options follow the verb", v->name);
		argv[at - 1] = serve_name;
		return v->raw(argc - at + 1, argv + at - 1);
	}
	if (args_parse(&c->args, argc, argv, &at, false) != RC_OK)
		return cli_fail(c, EXIT_USAGE, "%s: %s", v->name, c->args.why);
	note_format(c);
	if (args_has(&c->args, "help")) {
		help_verb(v);
		return EXIT_OK;
	}
	if (c->args.nwords < v->min || c->args.nwords > v->max)
		return cli_fail(c, EXIT_USAGE, "usage: svsm-kms %s%s%s; see `svsm-kms %s --help`", v->name,
				v->args[0] ? " " : "", v->args, v->name);
	return v->run(c);
}

static int choose_and_run(struct cli *c, int argc, char **argv)
{
	int at = 1, code = EXIT_USAGE;

	c->args.tables[0] = cli_common;
	if (args_parse(&c->args, argc, argv, &at, true) != RC_OK)
		return cli_fail(c, EXIT_USAGE, "%s", c->args.why);
	note_format(c);
	if (at >= argc) {
		help_all();
		return args_has(&c->args, "help") ? EXIT_OK : EXIT_USAGE;
	}
	c->verb = find_verb(c, argc, argv, &at, &code);
	return c->verb ? run_verb(c, argc, argv, at) : code;
}

int client_main(int argc, char **argv)
{
	struct cli c = { 0 };
	int code;

	kms_json_init();
	code = choose_and_run(&c, argc, argv);
	kms_close(c.kms);
	/* A full disk or a closed pipe must not look like success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
		fprintf(stderr, "svsm-kms: cannot write the output: %s\n", strerror(errno));
		code = EXIT_REFUSED;
	}
	return code;
}
