/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `svsm-kms doctor --conf` says of a configuration: settings that the server takes, and that let somebody in or
 * stop working soon. Each check is a row of the table below and says at least one line, good or bad.
 *
 * Reads the files as the server does, as the user who asks; changes nothing. What is printed holds no secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/kms.h"
#include "proxy/krb5_keytab.h"
#include "proxy/offline.h"
#include "proxy/text.h"
#include "proxy/tls.h"
#include "wire/chain.h"

#define EXPIRES_SOON (30 * 24 * 3600) /* seconds */
#define CLOCK_BACK 300		      /* seconds that the clock may be behind what was written */
#define SKEW_MAX 300		      /* Kerberos' own default */
#define SKEW_MIN 30

struct judge {
	const struct settings *set;
	const struct conf *conf;
	const char *data; /* NULL: as configured */
	offline_say say;
	void *ctx;
};

__attribute__((format(printf, 5, 6))) static void say(const struct judge *j, enum offline_level level, const char *what,
						      const char *remedy, const char *format, ...)
{
	char found[1400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(found, sizeof(found), format, ap);
	va_end(ap);
	j->say(j->ctx, level, what, level == OFFLINE_OK ? NULL : remedy, found);
}

/* Who else may read a file that holds a secret. False: nobody, or it is not there (which is another check's). */
MUST_CHECK static bool open_to_others(const struct judge *j, const char *what, const char *path)
{
	char remedy[4200];
	struct stat st;

	if (stat(path, &st) != 0 || (st.st_mode & 077) == 0)
		return false;
	snprintf(remedy, sizeof(remedy), "chmod 600 %s, give it to the server's user, think about who may have read it",
		 path);
	say(j, st.st_mode & 07 ? OFFLINE_FAIL : OFFLINE_WARN, what, remedy, "%s has mode %o: %s", path, st.st_mode & 07777u,
	    st.st_mode & 07 ? "everybody on this machine gets at it" : "its group gets at it");
	return true;
}

static void check_notices(const struct judge *j)
{
	const struct settings_notice *n;
	unsigned warnings = 0;
	size_t at = 0;

	while ((n = settings_notice_next(j->set, &at)))
		if (n->level == SETTINGS_WARNING && ++warnings)
			say(j, OFFLINE_WARN, "settings", "see docs/operations.md, configuration", "%s", n->text);
	if (!warnings)
		say(j, OFFLINE_OK, "settings", NULL, "nothing in them that the server would warn of");
}

/* ---- who is on the other side ---- */

/* An address that other machines reach, "" when there is none. As `serve` without --listen would choose. */
static void public_address(const struct settings *set, char *out, size_t room)
{
	char list[512], *save = NULL, *one;

	if (*settings_str(set, SET_LISTEN))
		snprintf(list, sizeof(list), "%s", settings_str(set, SET_LISTEN));
	else
		snprintf(list, sizeof(list), "%s:%lld", settings_str(set, SET_HTTP_HOST),
			 (long long)settings_int(set, SET_HTTP_PORT));
	*out = 0;
	for (one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save))
		if (!setup_is_loopback(one))
			snprintf(out, room, "%s", one);
}

static void check_network(const struct judge *j)
{
	bool tls = settings_bool(j->set, SET_SSL_ENABLED),
	     certificates = tls && (settings_bool(j->set, SET_SSL_NEED_CLIENT) ||
				    strcmp(settings_str(j->set, SET_SSL_CLIENT_AUTH), "required") == 0);
	char address[300];

	public_address(j->set, address, sizeof(address));
	if (!*address)
		say(j, OFFLINE_OK, "network", NULL, "only this machine is served");
	else if (!settings_kerberos(j->set) && !certificates)
		say(j, OFFLINE_FAIL, "network",
		    "set hadoop.kms.authentication.type to kerberos, or let only trusted machines reach the port and ask for "
		    "client certificates",
		    "%s can be reached from elsewhere, and with simple authentication whoever reaches it is who he says",
		    address);
	else if (!settings_kerberos(j->set))
		say(j, OFFLINE_WARN, "network", "set hadoop.kms.authentication.type to kerberos",
		    "with simple authentication every holder of a client certificate is who he says");
	else if (!tls)
		say(j, OFFLINE_WARN, "network", "set hadoop.kms.ssl.enabled to true and name a certificate in ssl-server.xml",
		    "%s speaks http: keys and cookies cross the network in the clear, and who reads a cookie is its user",
		    address);
	else
		say(j, OFFLINE_OK, "network", NULL, "%s: https, and who asks is proven by Kerberos", address);
}

/* ---- Kerberos ---- */

/* This host's full name, as clients would ask a KDC for it. */
static void own_name(char out[256])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME }, *list = NULL;

	if (gethostname(out, 256) != 0)
		*out = 0;
	out[255] = 0;
	if (*out && !strchr(out, '.') && getaddrinfo(out, NULL, &hints, &list) == 0 && list->ai_canonname)
		snprintf(out, 256, "%s", list->ai_canonname);
	if (list)
		freeaddrinfo(list);
}

struct found {
	unsigned http, usable; /* entries HTTP/..., those of them with an AES key */
	bool wanted, host;     /* among those: the name that is asked for; this host's */
};

/* wanted: "*", or "HTTP/host" with or without "@REALM"; compared as the core does it, the host's name in any case. */
MUST_CHECK static bool read_names(struct slice file, struct slice wanted, struct found *f)
{
	char host[256];
	struct krb5_keytab_entry e;
	struct cursor c;
	enum rc rc = krb5_keytab_begin(file, &c);

	*f = (struct found){ 0 };
	own_name(host);
	while (rc == RC_OK && (rc = krb5_keytab_next(&c, &e)) == RC_OK) {
		size_t n = strcspn(e.name, "@");

		if (strncmp(e.name, "HTTP/", 5) != 0)
			continue;
		f->http++;
		if (e.etype < 17 || e.etype > 20) /* AES, RFC 3962 and 8009 */
			continue;
		f->usable++;
		f->wanted |= slice_is(wanted, "*") || slice_is(wanted, e.name) || slice_eq(wanted, slice_of(e.name, n));
		f->host |= *host && n == 5 + strlen(host) && strncasecmp(e.name + 5, host, n - 5) == 0;
	}
	return rc == RC_BUSY;
}

/* The first of the configured names that the keytab has no usable key of. False: it has all. */
MUST_CHECK static bool name_without_key(const struct judge *j, struct slice *out)
{
	struct slice list = slice_str(settings_str(j->set, SET_KRB_PRINCIPAL));
	struct found f;

	while (list.len) {
		const uint8_t *comma = memchr(list.p, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.p) : list.len;

		*out = text_trim(slice_of(list.p, n));
		if (out->len && (!read_names(settings_keytab(j->set), *out, &f) || !f.wanted))
			return true;
		n += comma != NULL;
		list = slice_of(list.p + n, list.len - n);
	}
	return false;
}

static void check_keytab(const struct judge *j)
{
	struct slice file = settings_keytab(j->set), name;
	struct found f;
	char path[4096], host[256];

	if (!settings_kerberos(j->set))
		return;
	settings_keytab_path(j->set, path, sizeof(path));
	if (!file.len) {
		say(j, OFFLINE_WARN, "keytab", "put it there once; the core then keeps it in its store, and the file can go",
		    "%s is not there: logins fail unless the store has the server's Kerberos keys already", path);
		return;
	}
	(void)!open_to_others(j, "keytab", path);
	own_name(host);
	if (!read_names(file, slice_str("*"), &f))
		say(j, OFFLINE_FAIL, "keytab", "export it again with kadmin or ktutil of MIT Kerberos 5",
		    "%s is no keytab of format 0x0502, or damaged", path);
	else if (!f.http)
		say(j, OFFLINE_FAIL, "keytab", "add the key of HTTP/<this host's full name>: browsers and Hadoop ask for that",
		    "%s has no HTTP/ name", path);
	else if (!f.usable)
		say(j, OFFLINE_FAIL, "keytab", "give the principal AES keys and export it again",
		    "%s has no AES key of an HTTP/ name; RC4 and DES are refused", path);
	else if (name_without_key(j, &name))
		say(j, OFFLINE_FAIL, "keytab", "name those that `klist -k` shows, or * for all of them",
		    "%s has no AES key of %.*s, which %s names", path, TEXT_ARG(name), settings_name(SET_KRB_PRINCIPAL));
	else if (!f.host)
		say(j, OFFLINE_WARN, "keytab", "fine if clients use another name, such as a load balancer's",
		    "%s has no key of HTTP/%s, this host's name", path, *host ? host : "?");
	else
		say(j, OFFLINE_OK, "keytab", NULL, "%s: HTTP/%s is in it", path, host);
}

static void check_skew(const struct judge *j)
{
	long long skew = settings_int(j->set, SET_KRB_SKEW);

	if (!settings_kerberos(j->set))
		return;
	if (skew > SKEW_MAX)
		say(j, OFFLINE_WARN, "skew", "synchronise the clocks (NTP), and take the default of 300",
		    "svsm.kms.kerberos.skew.sec is %lld: that long a stolen ticket is good after its end", skew);
	else if (skew < SKEW_MIN)
		say(j, OFFLINE_WARN, "skew", "take 60 at least, or the default of 300",
		    "svsm.kms.kerberos.skew.sec is %lld: clients whose clocks differ a little are refused", skew);
	else
		say(j, OFFLINE_OK, "skew", NULL, "clocks may differ by %lld s", skew);
}

/* ---- certificate ---- */

/* Seconds from now to t, far away where it cannot be told. */
static long long until(const ASN1_TIME *t)
{
	int days = 0, seconds = 0;

	return ASN1_TIME_diff(&days, &seconds, NULL, t) == 1 ? days * 86400ll + seconds : 0;
}

static void judge_certificate(const struct judge *j, const char *file, const struct keystore *ks)
{
	long long begins = until(X509_get0_notBefore(ks->cert)), ends = until(X509_get0_notAfter(ks->cert));

	if (begins > 0)
		say(j, OFFLINE_FAIL, "tls", "look at this machine's clock, or wait",
		    "the certificate in %s is not valid yet", file);
	else if (ends <= 0)
		say(j, OFFLINE_FAIL, "tls", "put a new one there; the server takes it without a restart",
		    "the certificate in %s has expired", file);
	else if (ends < EXPIRES_SOON)
		say(j, OFFLINE_WARN, "tls", "put a new one there; the server takes it without a restart",
		    "the certificate in %s expires in %lld days", file, ends / 86400);
	else
		say(j, OFFLINE_OK, "tls", NULL, "%s: the certificate is good for %lld days", file, ends / 86400);
}

/* The passwords of key stores are in ssl-server.xml. */
static void check_passwords(const struct judge *j)
{
	static const enum setting secrets[] = { SET_SSL_KEYSTORE_PASSWORD, SET_SSL_KEY_PASSWORD };
	const char *seen = "";
	size_t i;

	for (i = 0; i < ARRAY_LEN(secrets); i++) {
		const struct conf_prop *p = conf_find(j->conf, CONF_SSL, slice_str(settings_name(secrets[i])));

		if (p && p->value.p && p->value.len && strcmp(seen, p->file) != 0) {
			(void)!open_to_others(j, "tls", p->file);
			seen = p->file;
		}
	}
}

static void check_tls(const struct judge *j)
{
	struct tls_paths *paths;
	struct keystore_error err;
	struct tls_options o;
	struct keystore ks;

	if (!settings_bool(j->set, SET_SSL_ENABLED))
		return;
	paths = calloc(1, sizeof(*paths));
	if (!paths || tls_options_of(j->set, j->conf, &o, paths, &err) != RC_OK ||
	    keystore_identity(&o.identity, &ks, &err) != RC_OK) {
		say(j, OFFLINE_FAIL, "tls", "the server does not start with that", "%s", paths ? err.text : "no memory");
	} else {
		(void)!open_to_others(j, "tls", o.identity.key_file ? o.identity.key_file : o.identity.file);
		judge_certificate(j, o.identity.file, &ks);
		keystore_release(&ks);
	}
	free(paths);
	check_passwords(j);
}

/* ---- the rest ---- */

static void check_signature(const struct judge *j)
{
	const char *path = settings_str(j->set, SET_SECRET_FILE);

	if (strcmp(settings_str(j->set, SET_SECRET_PROVIDER), "file") != 0)
		say(j, OFFLINE_OK, "signature", NULL, "the core makes the secret that signs cookies");
	else if (*path && !open_to_others(j, "signature", path))
		say(j, OFFLINE_OK, "signature", NULL, "%s, which signs cookies, is for its owner only", path);
}

static void chain_path(const struct judge *j, char out[4096])
{
	const char *file = settings_str(j->set, SET_AUDIT_CHAIN_FILE);

	snprintf(out, 4096, "%s%s%s", *file == '/' ? "" : j->data ? j->data : settings_str(j->set, SET_DATA_DIR),
		 *file == '/' ? "" : "/", file);
}

static void check_audit(const struct judge *j)
{
	if (strcmp(settings_str(j->set, SET_AUDIT_CHAIN_FILE), "none") == 0)
		say(j, OFFLINE_WARN, "audit", "remove svsm.kms.audit.chain.file, its default is a file beside the store",
		    "the audit chain is off: nobody will be able to tell whether the audit log was changed");
	else if (strcmp(settings_str(j->set, SET_AUDIT_ON_FAILURE), "refuse") != 0)
		say(j, OFFLINE_WARN, "audit", "set svsm.kms.audit.on-failure to refuse where the log must be whole",
		    "keys are used on while the audit chain cannot be written");
	else
		say(j, OFFLINE_OK, "audit", NULL, "every decision is in the audit chain, or is not made");
}

/* The time of the file's last entry, ms. The length that stands behind it leads to its beginning. */
MUST_CHECK static bool last_entry(int fd, uint64_t *ms)
{
	uint8_t frame[CHAIN_FRAME_MAX], end[4];
	off_t size = lseek(fd, 0, SEEK_END);
	struct cursor c = cur_of(end, sizeof(end));
	struct chain_entry e;
	struct chain_frame f;
	uint32_t len;
	size_t whole;

	if (size < (off_t)(CHAIN_HEADER_LEN + CHAIN_FRAME_EXTRA) || pread(fd, end, sizeof(end), size - 4) != 4 ||
	    !cur_le32(&c, &len) || len > CHAIN_ENTRY_MAX)
		return false;
	whole = len + CHAIN_FRAME_EXTRA;
	if ((off_t)whole > size || pread(fd, frame, whole, size - (off_t)whole) != (ssize_t)whole)
		return false;
	c = cur_of(frame, whole);
	if (chain_frame_next(&c, &f) != RC_OK || chain_entry_get(f.entry, &e) != RC_OK)
		return false;
	*ms = e.time_ms;
	return true;
}

/* What the core was told the time to be when it last decided something: it does not go back behind that. */
static void check_time(const struct judge *j)
{
	int64_t now = (int64_t)time(NULL), behind;
	uint64_t ms;
	char path[4096];
	int fd;

	if (strcmp(settings_str(j->set, SET_AUDIT_CHAIN_FILE), "none") == 0)
		return;
	chain_path(j, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return; /* a server that was never started, or another user's */
	if (last_entry(fd, &ms)) {
		behind = (int64_t)(ms / 1000) - now;
		if (behind > CLOCK_BACK)
			say(j, OFFLINE_FAIL, "time",
			    "set the clock (NTP); until it is later, cookies and tickets are judged by the later time",
			    "this machine's clock is %lld s behind the last entry of %s", (long long)behind, path);
		else
			say(j, OFFLINE_OK, "time", NULL, "the clock is not behind the last entry of the audit chain");
	}
	close(fd);
}

MUST_CHECK static bool is_star(const struct judge *j, struct slice prefix, const char *what)
{
	char name[600];
	const struct conf_prop *p;

	snprintf(name, sizeof(name), "%.*s.%s", TEXT_ARG(prefix), what);
	p = conf_find(j->conf, CONF_SITE, slice_str(name));
	return p && p->value.p && slice_is(text_trim(p->value), "*");
}

static void check_proxy_users(const struct judge *j)
{
	static const char prefix[] = "hadoop.kms.proxyuser.", suffix[] = ".hosts";
	const struct conf_prop *p;
	unsigned rules = 0, bad = 0;
	size_t at = 0;

	while ((p = conf_next(j->conf, CONF_SITE, prefix, &at))) {
		struct slice user = p->name;

		if (user.len <= sizeof(prefix) + sizeof(suffix) - 2 ||
		    memcmp(user.p + user.len - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) != 0)
			continue;
		user.len -= sizeof(suffix) - 1;
		rules++;
		if (is_star(j, user, "hosts") && (is_star(j, user, "users") || is_star(j, user, "groups")) && ++bad)
			say(j, OFFLINE_WARN, "proxyuser",
			    "name the hosts that it runs on, or the users or groups that it acts for",
			    "%.*s may act for everybody, from everywhere: who has its key or ticket has everybody's rights",
			    (int)(user.len - (sizeof(prefix) - 1)), (const char *)user.p + sizeof(prefix) - 1);
	}
	if (!bad)
		say(j, OFFLINE_OK, "proxyuser", NULL, "%u rules, none of them for everybody from everywhere", rules);
}

static void (*const checks[])(const struct judge *) = {
	check_notices,	 check_network, check_keytab, check_skew, check_tls,
	check_signature, check_audit,	check_time,   check_proxy_users,
};

void offline_judge(const char *dir, const char *data, offline_say say_line, void *ctx)
{
	struct settings *set = NULL;
	struct conf *conf = NULL;
	struct core_error err;
	struct judge j = { .data = data, .say = say_line, .ctx = ctx };
	size_t i;

	if (setup_conf(dir, &conf, &set, &err) != RC_OK) {
		say(&j, OFFLINE_FAIL, "settings", "the server does not start with that", "%s", err.text);
		return;
	}
	j.set = set;
	j.conf = conf;
	for (i = 0; i < ARRAY_LEN(checks); i++)
		checks[i](&j);
	settings_free(set);
	conf_free(conf);
}
