/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `svsm-kms doctor`: looks for what users commonly get wrong. Each check is a function in a table and
 * prints lines "ok|warn|fail  what  found", with a remedy where one is known. It changes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <expat.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "client/cli.h"
#include "proxy/offline.h"

#define SKEW_WARN 5		/* seconds */
#define SKEW_FAIL 300
#define DISK_WARN (1ull << 30)	/* bytes */
#define DISK_FAIL (64ull << 20)
#define MEMLOCK_WANTED (64ull << 20)
#define FILES_WANTED 4096
#define CONF_MAX (4u << 20)

enum level {
	OK,
	WARN,
	FAIL,
};

static const char *const levels[] = { "ok", "warn", "fail" };

struct doctor {
	struct cli *cli;
	cJSON *report;	/* array; with -o json */
	unsigned count[3];
};

/* remedy may be NULL; it is a whole sentence without its point */
__attribute__((format(printf, 5, 6))) static void say(struct doctor *d, enum level l, const char *what,
						      const char *remedy, const char *fmt, ...)
{
	char found[1024];
	cJSON *line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(found, sizeof(found), fmt, ap);
	va_end(ap);
	d->count[l]++;
	if (!d->report) {
		if (l != OK || !d->cli->quiet)
			cli_print("%-4s  %-10s %s%s%s", levels[l], what, found, remedy ? "; remedy: " : "",
				  remedy ? remedy : "");
		return;
	}
	line = json_object();
	json_put_text(line, "level", levels[l]);
	json_put_text(line, "check", what);
	json_put_text(line, "found", found);
	json_put_text(line, "remedy", remedy);
	if (!cJSON_AddItemToArray(d->report, line))
		cJSON_Delete(line);
}

static const struct {
	const char *name;
	enum level level;
	const char *means;
} isolations[] = {
	{ "process", WARN,
	  "keys are protected against other users only, not against root or the machine's owner" },
	{ "vmpl0-emulated", WARN, "emulated: no memory encryption, no hardware protection" },
	{ "vmpl0-snp", OK, "keys are kept in VMPL0 of an SEV-SNP guest" },
};

static void check_isolation(struct doctor *d, const cJSON *health)
{
	const char *name = json_text(health, "isolation");
	size_t i;

	if (!name) {
		say(d, WARN, "isolation", NULL, "the server does not say which isolation is active");
		return;
	}
	for (i = 0; i < ARRAY_LEN(isolations); i++) {
		if (strcmp(isolations[i].name, name) == 0) {
			say(d, isolations[i].level, "isolation",
			    isolations[i].level == OK ? NULL
						      : "fine for trying; keys of value need vmpl0-snp",
			    "%s: %s", name, isolations[i].means);
			return;
		}
	}
	say(d, WARN, "isolation", "use the svsm-kms that came with the server", "%s is not known here", name);
}

/* At VMPL0 keys are kept from root, but root configures, and may name a recovery key, until there is an owner. */
static void check_owner(struct doctor *d, const cJSON *health)
{
	const char *isolation = json_text(health, "isolation"), *owner = json_text(health, "owner");

	if (!isolation || strncmp(isolation, "vmpl0", 5) != 0)
		return;
	if (owner && *owner)
		say(d, OK, "owner", NULL, "the store is configured by the holder of key %.16s... only", owner);
	else
		say(d, FAIL, "owner", "`svsm-kms owner enroll`, before there are keys of value",
		    "the store has no owner: root can give itself every right, and a recovery key");
}

static void check_health(struct doctor *d, const struct session_answer *a)
{
	JSON *health = a->body.p ? doc_parse((const char *)a->body.p, a->body.len) : NULL;
	const char *status = json_text(health, "status");
	bool well = a->status == 200;

	/* Our own is open to all and always there; what says 401 or 404 is Hadoop's web server. */
	if (a->status >= 400 && a->status < 500) {
		say(d, WARN, "health", NULL, "no /health: a key management server that is not SVSM-KMS");
		return;
	}
	if (!cJSON_IsObject(health)) {
		say(d, FAIL, "health", "see the server's log", "/health answers %u without a JSON object",
		    a->status);
		return;
	}
	say(d, well ? OK : FAIL, "health", well ? NULL : "see the server's log", "%s",
	    status ? status : well ? "answers" : "not well");
	check_isolation(d, health);
	check_owner(d, health);
}

static void check_clock(struct doctor *d)
{
	struct kms *k = cli_kms(d->cli);
	int64_t skew;
	enum level l;

	if (!k || !session_skew(kms_session(k), &skew))
		return;
	skew = skew < 0 ? -skew : skew;
	l = skew > SKEW_FAIL ? FAIL : skew > SKEW_WARN ? WARN : OK;
	say(d, l, "clock", l == OK ? NULL : "synchronise the clocks of server and client (NTP)",
	    "server and this machine are %lld s apart", (long long)skew);
}

static void check_server(struct doctor *d)
{
	struct session_request r = { .method = "GET", .path = "/health", .anonymous = true };
	struct kms *k = cli_kms(d->cli);
	struct session_answer a = { 0 };

	if (!k) {
		d->count[FAIL]++;
		return;
	}
	if (session_call(kms_session(k), &r, &a) != RC_OK) {
		say(d, FAIL, "server", "start it with `svsm-kms serve`, or say where it is with --url", "%s",
		    session_why(kms_session(k)));
	} else {
		say(d, OK, "server", NULL, "answers at %s:%u", session_of(kms_session(k))->url.host[0],
		    session_of(kms_session(k))->url.port);
		(void)buf_text(&a.body);
		check_health(d, &a);
	}
	buf_free(&a.body);
}

static void check_user(struct doctor *d)
{
	struct kms *k = cli_kms(d->cli);
	JSON *names = NULL;

	if (!k)
		return;
	if (kms_names(k, &names))
		say(d, OK, "user", NULL, "%s may list keys (%d)", cli_user(d->cli),
		    cJSON_GetArraySize(names));
	else if (kms_error_code(k) == EXIT_AUTH)
		say(d, WARN, "user",
		    "choose another with --user, or see hadoop.kms.acl.GET_KEYS in kms-acls.xml",
		    "%s may not list keys: %s", cli_user(d->cli), kms_error(k));
	else if (kms_error_code(k) != EXIT_CONNECT)
		say(d, FAIL, "user", "see the server's log", "listing keys: %s", kms_error(k));
}

static void check_mode(struct doctor *d, const char *path, const struct stat *st, mode_t allowed)
{
	char remedy[4200];

	if ((st->st_mode & 07777 & ~allowed) == 0)
		return;
	snprintf(remedy, sizeof(remedy), "chmod %o %s", (unsigned)allowed, path);
	say(d, FAIL, "data", remedy, "%s has mode %o: other users get at it", path,
	    (unsigned)(st->st_mode & 07777));
}

static void check_data_files(struct doctor *d, const char *dir, uid_t owner)
{
	unsigned before = d->count[FAIL], files = 0;
	struct dirent *e;
	DIR *list = opendir(dir);

	if (!list) {
		say(d, WARN, "data", "run doctor as the server's user", "%s cannot be read: %s", dir,
		    strerror(errno));
		return;
	}
	while ((e = readdir(list))) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode))
			continue;
		files++;
		if (S_ISLNK(st.st_mode))
			say(d, FAIL, "data", "put the file itself there", "%s is a symbolic link", path);
		else
			check_mode(d, path, &st, 0600);
		if (st.st_uid != owner)
			say(d, FAIL, "data", "give all files to the server's user",
			    "%s belongs to another user", path);
	}
	closedir(list);
	if (d->count[FAIL] == before)
		say(d, OK, "data", NULL, "%s: %u files, for their owner only", dir, files);
}

static void check_data(struct doctor *d)
{
	const char *dir = args_text(&d->cli->args, "data", NULL);
	struct stat st;

	if (!dir)
		return;
	errno = ENOTDIR;
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
		say(d, FAIL, "data", "name the directory that `svsm-kms serve --data` uses", "%s: %s", dir,
		    strerror(errno));
		return;
	}
	check_mode(d, dir, &st, 0700);
	check_data_files(d, dir, st.st_uid);
}

static void check_disk(struct doctor *d)
{
	const char *dir = args_text(&d->cli->args, "data", NULL);
	unsigned long long bytes;
	struct statvfs v;
	enum level l;

	if (!dir || statvfs(dir, &v) != 0)
		return;
	bytes = (unsigned long long)v.f_bavail * v.f_frsize;
	l = bytes < DISK_FAIL ? FAIL : bytes < DISK_WARN ? WARN : OK;
	say(d, l, "disk", l == OK ? NULL : "free some space: a full disk stops every change of keys",
	    "%llu MiB free", bytes >> 20);
}

static void check_memlock(struct doctor *d)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r) != 0)
		return;
	if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= MEMLOCK_WANTED)
		say(d, OK, "memlock", NULL, "keys can be locked into memory");
	else
		say(d, WARN, "memlock", "raise it: `ulimit -l`, or LimitMEMLOCK= in the service's unit",
		    "only %llu KiB may be locked; keys could reach the swap space",
		    (unsigned long long)r.rlim_cur >> 10);
}

static void check_core(struct doctor *d)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_CORE, &r) != 0)
		return;
	if (r.rlim_cur == 0)
		say(d, OK, "core", NULL, "core dumps are off");
	else
		say(d, WARN, "core", "`ulimit -c 0`, or LimitCORE=0 in the service's unit",
		    "core dumps are on; a crash could write memory to disk");
}

static void check_files(struct doctor *d)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	if (r.rlim_cur >= FILES_WANTED)
		say(d, OK, "files", NULL, "%llu open files allowed", (unsigned long long)r.rlim_cur);
	else
		say(d, WARN, "files", "raise it: `ulimit -n 65536`, or LimitNOFILE= in the service's unit",
		    "only %llu open files allowed; each connection needs one",
		    (unsigned long long)r.rlim_cur);
}

#ifdef __x86_64__
static void check_cpu(struct doctor *d)
{
	unsigned a = 0, b = 0, c = 0, x = 0, b7 = 0;
	bool aes, random, sha;

	if (__get_cpuid(1, &a, &b, &c, &x) == 0)
		return;
	aes = c & bit_AES;
	random = c & bit_RDRND;
	if (__get_cpuid_count(7, 0, &a, &b7, &c, &x)) {
		random = random || (b7 & bit_RDSEED);
		sha = b7 & bit_SHA;
	} else {
		sha = false;
	}
	say(d, aes ? OK : WARN, "cpu", aes ? NULL : "let the virtual machine see the host's CPU",
	    aes ? "AES instructions" : "no AES instructions: slower, and AES may leak through caches");
	say(d, random ? OK : WARN, "cpu", random ? NULL : "let the virtual machine see the host's CPU",
	    random ? "hardware random numbers" : "neither RDSEED nor RDRAND");
	say(d, OK, "cpu", NULL, sha ? "SHA instructions" : "no SHA instructions: somewhat slower");
}
#else
static void check_cpu(struct doctor *d)
{
	say(d, WARN, "cpu", "use an x86-64 machine", "not an x86-64 CPU");
}
#endif

struct conf_check {
	XML_Parser parser;
	unsigned depth, properties;
	const char *why;
};

static void XMLCALL conf_start(void *ctx, const XML_Char *name, __attribute__((unused)) const XML_Char **atts)
{
	struct conf_check *k = ctx;

	if (k->depth == 0 && strcmp(name, "configuration") != 0) {
		k->why = "the outermost element must be <configuration>";
		XML_StopParser(k->parser, XML_FALSE);
	}
	if (k->depth == 1 && strcmp(name, "property") == 0)
		k->properties++;
	k->depth++;
}

static void XMLCALL conf_end(void *ctx, __attribute__((unused)) const XML_Char *name)
{
	struct conf_check *k = ctx;

	k->depth--;
}

/* Entities can grow without bound and read files: no configuration needs them. */
static void XMLCALL conf_doctype(void *ctx, __attribute__((unused)) const XML_Char *name,
				 __attribute__((unused)) const XML_Char *sysid,
				 __attribute__((unused)) const XML_Char *pubid,
				 __attribute__((unused)) int internal)
{
	struct conf_check *k = ctx;

	k->why = "a document type declaration is not allowed";
	XML_StopParser(k->parser, XML_FALSE);
}

static void parse_conf(struct doctor *d, const char *path, const struct buf *text)
{
	struct conf_check k = { .parser = XML_ParserCreate(NULL) };

	if (!k.parser) {
		say(d, WARN, "conf", NULL, "%s: out of memory", path);
		return;
	}
	XML_SetUserData(k.parser, &k);
	XML_SetElementHandler(k.parser, conf_start, conf_end);
	XML_SetStartDoctypeDeclHandler(k.parser, conf_doctype);
	if (XML_Parse(k.parser, (const char *)text->p, (int)text->len, 1) != XML_STATUS_OK)
		say(d, FAIL, "conf", "correct the file; the server refuses it", "%s:%lu: %s", path,
		    (unsigned long)XML_GetCurrentLineNumber(k.parser),
		    k.why ? k.why : XML_ErrorString(XML_GetErrorCode(k.parser)));
	else
		say(d, OK, "conf", NULL, "%s: %u properties", path, k.properties);
	XML_ParserFree(k.parser);
}

static void check_conf(struct doctor *d)
{
	static const struct {
		const char *name;
		bool needed;
	} files[] = { { "core-site.xml", false }, { "kms-site.xml", true }, { "kms-acls.xml", true } };
	const char *dir = args_text(&d->cli->args, "conf", NULL);
	size_t i;

	for (i = 0; dir && i < ARRAY_LEN(files); i++) {
		BUF text = { .max = CONF_MAX };
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		if (access(path, F_OK) != 0)
			say(d, files[i].needed ? FAIL : WARN, "conf",
			    files[i].needed ? "the server wants it; <configuration/> will do" :
					      "fine when the defaults are meant",
			    "%s is not there", path);
		else if (!cli_read_file(d->cli, path, false, &text))
			d->count[FAIL]++;
		else
			parse_conf(d, path, &text);
	}
}

static void judged(void *ctx, enum offline_level level, const char *what, const char *remedy, const char *found)
{
	static const enum level levels_of[] = { [OFFLINE_OK] = OK, [OFFLINE_WARN] = WARN, [OFFLINE_FAIL] = FAIL };

	say(ctx, levels_of[level], what, remedy, "%s", found);
}

static void check_security(struct doctor *d)
{
	const char *dir = args_text(&d->cli->args, "conf", NULL);

	if (dir)
		offline_judge(dir, args_text(&d->cli->args, "data", NULL), judged, d);
}

static void (*const checks[])(struct doctor *) = {
	check_server, check_user, check_clock, check_conf, check_security, check_data,
	check_disk, check_memlock, check_core, check_files, check_cpu,
};

int verb_doctor(struct cli *c)
{
	struct doctor d = { .cli = c, .report = c->json ? cJSON_CreateArray() : NULL };
	JSON *doc = NULL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&d);
	if (d.report) {
		doc = json_object();
		json_put_copy(doc, "checks", d.report);
		for (i = 0; i < ARRAY_LEN(levels); i++)
			json_put_int(doc, levels[i], d.count[i]);
		cli_print_json(doc);
		cJSON_Delete(d.report);
	} else {
		cli_note(c, "%u ok, %u warnings, %u failed", d.count[OK], d.count[WARN], d.count[FAIL]);
	}
	return d.count[FAIL] ? EXIT_CONFLICT : EXIT_OK;
}
