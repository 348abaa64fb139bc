/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings; see settings.h. A new one is a line in the enum and a line in the table.
 *
 * What always holds after settings_read(): each setting has a value of its type within its range.
 */
#include "proxy/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/krb5_conf.h"
#include "proxy/text.h"

#define SECRET_MAX 4096u

enum type {
	T_BOOL,
	T_INT,
	T_SIZE, /* bytes; k, m, g, t */
	T_MS,   /* ours may have a suffix: ms, s, m, h, d */
	T_SECONDS,
	T_ENUM, /* one of `choices` */
	T_STRING,
	T_PATH,
	T_ADDRESS, /* HOST:PORT, several separated by commas */
};

enum {
	KMS_DEFAULT = 1, /* in kms-default.xml, which in Hadoop overrides core-site.xml */
	CORE = 2,        /* handed to the trusted core */
	NOTHING = 4,     /* has no effect here */
	SSL_FILE = 8,    /* read from ssl-server.xml */
};

struct row {
	const char *name;
	enum type type;
	unsigned flags;
	const char *value; /* default */
	int64_t min, max;
	const char *choices; /* T_ENUM: "a|b" */
	const char *refusal; /* T_ENUM: why anything else is refused, and what to do */
	const char *help;
};

#define AUTH "hadoop.kms.authentication."
#define WEB "org.apache.hadoop.security.token.delegation.web."
#define KEYTAB_MAX 65000u /* what the core can keep in its store */
#define DAY_MS 86400000

/* clang-format off */
static const struct row table[SET_COUNT] = {
	[SET_HTTP_HOST] = { "hadoop.kms.http.host", T_STRING, KMS_DEFAULT, "0.0.0.0", .help =
		"address to listen on; without a configuration directory 127.0.0.1" },
	[SET_HTTP_PORT] = { "hadoop.kms.http.port", T_INT, KMS_DEFAULT, "9600", 0, 65535, .help =
		"port to listen on; 0 takes a free one" },
	[SET_HTTP_ADMINISTRATORS] = { "hadoop.kms.http.administrators", T_STRING, KMS_DEFAULT | CORE, "", .help =
		"users and groups (`u1,u2 g1,g2`) who may see the administrative pages" },
	[SET_SECURITY_AUTHORIZATION] = { "hadoop.security.authorization", T_BOOL, 0, "false", .help =
		"restrict the administrative pages to administrators" },
	[SET_INSTRUMENTATION_ADMIN] = { "hadoop.security.instrumentation.requires.admin", T_BOOL, 0, "false", .help =
		"extend that restriction to /jmx, /conf and /stacks" },
	[SET_HEADER_MAX] = { "hadoop.http.max.request.header.size", T_INT, KMS_DEFAULT, "65536", 1024, 1 << 20, .help =
		"bytes of request line and headers" },
	[SET_BACKLOG] = { "hadoop.http.socket.backlog.size", T_INT, KMS_DEFAULT, "500", 1, 65535, .help =
		"connections waiting to be accepted" },
	[SET_IDLE_TIMEOUT] = { "hadoop.http.idle_timeout.ms", T_MS, KMS_DEFAULT, "60000", 1, DAY_MS, .help =
		"an idle connection is closed after this time" },
	[SET_AUDIT_WINDOW] = { "hadoop.kms.audit.aggregation.window.ms", T_MS, KMS_DEFAULT, "10000", 10, DAY_MS, .help =
		"equal audit events within this time become one line" },
	[SET_METRICS_PROCESS] = { "hadoop.kms.metrics.process.name", T_STRING, 0, "KMS", .help =
		"name in the JvmMetrics bean of /jmx" },
	[SET_METRICS_SESSION] = { "hadoop.kms.metrics.session.id", T_STRING, 0, "", .help =
		"session in the JvmMetrics bean of /jmx" },
	[SET_PROMETHEUS] = { "hadoop.prometheus.endpoint.enabled", T_BOOL, 0, "false", .help =
		"serve /prom as Hadoop does; /metrics is always there" },
	[SET_SECRET_FILE] = { AUTH "signature.secret.file", T_PATH, 0, "", .help =
		"its content signs cookies when the provider is `file`; mode 0600" },

	[SET_SSL_ENABLED] = { "hadoop.kms.ssl.enabled", T_BOOL, KMS_DEFAULT, "false", .help =
		"speak HTTPS instead of HTTP, on the same port" },
	[SET_SSL_CONF] = { "hadoop.ssl.server.conf", T_PATH, 0, "ssl-server.xml", .help =
		"file with the settings below; in the configuration directory unless it is a whole path" },
	[SET_SSL_PROTOCOLS] = { "hadoop.ssl.enabled.protocols", T_STRING, 0, "TLSv1.2", .help =
		"protocols; the default means all that are safe: TLSv1.2 and TLSv1.3. Older ones are never spoken" },
	[SET_SSL_KEYSTORE] = { "ssl.server.keystore.location", T_PATH, SSL_FILE, "", .help =
		"file with certificate, chain and private key: JKS, PKCS#12 or PEM; a relative path starts in the configuration "
		"directory" },
	[SET_SSL_KEYSTORE_TYPE] = { "ssl.server.keystore.type", T_STRING, SSL_FILE, "jks", .help =
		"jks, pkcs12 or pem; the file's content decides" },
	[SET_SSL_KEYSTORE_PASSWORD] = { "ssl.server.keystore.password", T_STRING, SSL_FILE, "", .help =
		"password of the key store" },
	[SET_SSL_KEY_PASSWORD] = { "ssl.server.keystore.keypassword", T_STRING, SSL_FILE, "", .help =
		"password of the private key; if it is not set, the key store's" },
	[SET_SSL_TRUSTSTORE] = { "ssl.server.truststore.location", T_PATH, SSL_FILE, "", .help =
		"file with the certificates that client certificates are checked against: JKS, PKCS#12 or PEM; read only if "
		"client certificates are asked for" },
	[SET_SSL_TRUSTSTORE_TYPE] = { "ssl.server.truststore.type", T_STRING, SSL_FILE, "jks", .help =
		"jks, pkcs12 or pem; the file's content decides" },
	[SET_SSL_TRUSTSTORE_PASSWORD] = { "ssl.server.truststore.password", T_STRING, SSL_FILE, "", .help =
		"password of the trust store" },
	[SET_SSL_NEED_CLIENT] = { "ssl.server.need.client.auth", T_BOOL, SSL_FILE, "false", .help =
		"refuse clients without a certificate that the trust store accepts" },
	[SET_SSL_EXCLUDE] = { "ssl.server.exclude.cipher.list", T_STRING, SSL_FILE, "", .help =
		"cipher suites not to offer, by their Java names, or regular expressions (POSIX) for whole names, separated "
		"by commas. Offered at most: ECDHE with AES-GCM or ChaCha20-Poly1305" },
	[SET_SSL_RELOAD] = { "ssl.server.stores.reload.interval", T_MS, SSL_FILE, "10000", 100, DAY_MS, .help =
		"how often to look whether key store and trust store have changed" },
	[SET_SSL_RELOAD_OLD] = { "ssl.server.truststore.reload.interval", T_MS, SSL_FILE, "10000", 100, DAY_MS, .help =
		"the same, by its older name; counts if the newer one is not set" },

	[SET_AUTH_TYPE] = { AUTH "type", T_ENUM, KMS_DEFAULT | CORE, "simple", .choices = "simple|kerberos|"
		WEB "PseudoDelegationTokenAuthenticationHandler|" WEB "KerberosDelegationTokenAuthenticationHandler|"
		WEB "MultiSchemeDelegationTokenAuthenticationHandler", .refusal =
		"other handlers are Java classes that this server cannot load, and it does not start with a weaker "
		"authentication than it was told", .help =
		"how users are authenticated: `simple` believes the name they give; `kerberos`; or one of Hadoop's classes" },
	[SET_AUTH_ANONYMOUS] = { AUTH "simple.anonymous.allowed", T_BOOL, CORE, "false", .help =
		"accepted, but a request without a user is answered 401 all the same" },
	[SET_KRB_PRINCIPAL] = { AUTH "kerberos.principal", T_STRING, KMS_DEFAULT | CORE, "HTTP/localhost", .help =
		"the server's names in Kerberos, `HTTP/host` with or without `@REALM`, several separated by commas; `*` is every "
		"`HTTP/` name of the keytab" },
	[SET_KRB_KEYTAB] = { AUTH "kerberos.keytab", T_PATH, KMS_DEFAULT, "${user.home}/kms.keytab", .help =
		"the server's keys; sealed into the store at the first start, after which the file may be removed" },
	[SET_KRB_RULES] = { AUTH "kerberos.name.rules", T_STRING, KMS_DEFAULT | CORE, "DEFAULT", .help =
		"from principals to user names: rules in Hadoop's form and `DEFAULT`" },
	[SET_KRB_MECHANISM] = { AUTH "kerberos.name.rules.mechanism", T_ENUM, CORE, "hadoop", .choices = "hadoop|mit",
		.refusal = "choose one of them", .help =
		"`hadoop`: a principal that no rule maps to a plain name is refused; `mit`: it is its own name" },
	[SET_KRB_MECHANISM_ALL] = { "hadoop.security.auth_to_local.mechanism", T_ENUM, 0, "hadoop", .choices = "hadoop|mit",
		.refusal = "choose one of them", .help = "the same for all of Hadoop; counts if the KMS's own is not set" },
	[SET_KRB_WHITELIST] = { AUTH "kerberos.endpoint.whitelist", T_STRING, 0, "", .help =
		"pages that need no authentication, such as `/jmx,/prom`" },
	[SET_SCHEMES] = { AUTH "multi-scheme-auth-handler.schemes", T_STRING, 0, "", .help =
		"with the multi-scheme class: `negotiate`, the only scheme there is here" },
	[SET_SCHEMES_DT] = { AUTH "multi-scheme-auth-handler.delegation.schemes", T_STRING, 0, "", .help =
		"schemes that delegation tokens can be had with: `negotiate`" },
	[SET_SCHEME_NEGOTIATE] = { AUTH "multi-scheme-auth-handler.schemes.negotiate.handler", T_STRING, 0, "", .help =
		"`kerberos`" },
	[SET_TOKEN_VALIDITY] = { AUTH "token.validity", T_SECONDS, CORE, "36000", 1, 315360000, .help =
		"seconds until a cookie expires" },
	[SET_TOKEN_INACTIVE] = { AUTH "token.max-inactive-interval", T_SECONDS, CORE, "-1", -1, 315360000, .help =
		"seconds without a request until a cookie expires; -1 is off" },
	[SET_COOKIE_DOMAIN] = { AUTH "cookie.domain", T_STRING, CORE, "", .help = "Domain of the cookie" },
	[SET_COOKIE_PATH] = { AUTH "cookie.path", T_STRING, CORE, "", .help = "Path of the cookie" },
	[SET_COOKIE_PERSISTENT] = { AUTH "cookie.persistent", T_BOOL, CORE, "false", .help =
		"give the cookie an expiry date" },
	[SET_SECRET_PROVIDER] = { AUTH "signer.secret.provider", T_ENUM, KMS_DEFAULT | CORE, "random",
		.choices = "random|file", .refusal =
		"only random and file are supported; servers that shall accept each other's cookies can share a file", .help =
		"where the secret that signs cookies comes from" },
	[SET_DT_UPDATE] = { AUTH "delegation-token.update-interval.sec", T_SECONDS, CORE, "86400", 1, 315360000, .help =
		"seconds between new master keys of delegation tokens" },
	[SET_DT_LIFETIME] = { AUTH "delegation-token.max-lifetime.sec", T_SECONDS, CORE, "604800", 1, 315360000, .help =
		"seconds a delegation token can be renewed at most" },
	[SET_DT_RENEW] = { AUTH "delegation-token.renew-interval.sec", T_SECONDS, CORE, "86400", 1, 315360000, .help =
		"seconds a renewal lasts" },
	[SET_DT_SCAN] = { AUTH "delegation-token.removal-scan-interval.sec", T_SECONDS, CORE, "3600", 1, 315360000, .help =
		"seconds between removals of expired delegation tokens" },
	[SET_KEY_AUTHORIZATION] = { "hadoop.kms.key.authorization.enable", T_BOOL, KMS_DEFAULT | CORE, "true", .help =
		"check key ACLs; false leaves only the operation ACLs" },
	[SET_CIPHER_SUITE] = { "hadoop.security.crypto.cipher.suite", T_ENUM, CORE, "AES/CTR/NoPadding",
		.choices = "AES/CTR/NoPadding|SM4/CTR/NoPadding", .refusal = "choose one of them", .help =
		"how data keys are encrypted under their key" },
	[SET_KEY_CIPHER] = { "hadoop.security.key.default.cipher", T_STRING, CORE, "AES/CTR/NoPadding", .help =
		"cipher of keys created without one" },
	[SET_KEY_BITS] = { "hadoop.security.key.default.bitlength", T_ENUM, CORE, "128", .choices = "128|192|256",
		.refusal = "choose one of them", .help = "bits of keys created without a length" },
	[SET_STATIC_GROUPS] = { "hadoop.user.group.static.mapping.overrides", T_STRING, CORE, "dr.who=;", .help =
		"groups of users: `user=group,group;user=;`" },

	[SET_DATA_DIR] = { "svsm.kms.data.dir", T_PATH, 0, "/var/lib/svsm-kms", .help =
		"directory of the sealed store" },
	[SET_LISTEN] = { "svsm.kms.listen", T_ADDRESS, 0, "", .help =
		"`HOST:PORT`, several separated by commas; replaces hadoop.kms.http.host and .port" },
	[SET_CHANNEL] = { "svsm.kms.channel", T_STRING, 0, "process", .help =
		"where the trusted core runs: `process`, a sandboxed process; `svsm:/dev/svsm`, VMPL0 of this virtual machine" },
	[SET_WORKERS] = { "svsm.kms.workers", T_INT, 0, "0", 0, 256, .help = "worker threads; 0 is one per CPU" },
	[SET_PIN] = { "svsm.kms.pin", T_BOOL, 0, "true", .help =
		"keep each worker and its partner in the core on one CPU" },
	[SET_SPIN_US] = { "svsm.kms.spin.us", T_INT, 0, "0", 0, 1000, .help =
		"microseconds to poll before sleeping while traffic flows; useful with idle CPUs only" },
	[SET_CONNECTIONS_MAX] = { "svsm.kms.connections.max", T_INT, 0, "10000", 1, 1000000, .help =
		"open connections; beyond it new ones are answered 503" },
	[SET_BODY_MAX] = { "svsm.kms.body.max", T_SIZE, 0, "16m", 65536, 1 << 30, .help =
		"bytes of a request body; beyond it 413" },
	[SET_EEK_MAX] = { "svsm.kms.eek.max", T_INT, 0, "10000", 1, 10000, .help =
		"encrypted keys in one generate or re-encrypt request" },
	[SET_ATTEST_DIR] = { "svsm.kms.attestation.dir", T_PATH, 0, "/sys/kernel/config/tsm/report", .help =
		"where the kernel hands out attestation reports (configfs-tsm)" },
	[SET_TIMEOUT_HEADER] = { "svsm.kms.timeout.header.ms", T_MS, 0, "10000", 1, DAY_MS, .help =
		"a request's headers must be complete within this time" },
	[SET_TIMEOUT_BODY] = { "svsm.kms.timeout.body.ms", T_MS, 0, "30000", 1, DAY_MS, .help =
		"a request's body must be complete within this time" },
	[SET_TIMEOUT_WRITE] = { "svsm.kms.timeout.write.ms", T_MS, 0, "30000", 1, DAY_MS, .help =
		"a client that takes none of its answer for this time is disconnected" },
	[SET_GROUPS_OS] = { "svsm.kms.groups.os", T_BOOL, CORE, "false", .help =
		"believe the operating system about the groups of a user; the core cannot check what it is told" },
	[SET_KRB_REALM] = { "svsm.kms.kerberos.realm", T_STRING, CORE, "", .help =
		"the realm whose principals the rule `DEFAULT` maps; empty: `default_realm` of $KRB5_CONFIG or /etc/krb5.conf, "
		"else the realm of the keytab's first key" },
	[SET_KRB_SKEW] = { "svsm.kms.kerberos.skew.sec", T_SECONDS, CORE, "300", 1, 86400, .help =
		"seconds that a client's clock may be wrong" },
	[SET_AUDIT_FILE] = { "svsm.kms.audit.file", T_PATH, 0, "kms-audit.log", .help =
		"audit log; a relative path starts in the data directory" },
	[SET_AUDIT_CHAIN_FILE] = { "svsm.kms.audit.chain.file", T_PATH, 0, "kms-audit.chain", .help =
		"tamper-evident audit chain, beside the audit log; a relative path starts in the data directory; `none`: it is "
		"not kept" },
	[SET_AUDIT_ON_FAILURE] = { "svsm.kms.audit.on-failure", T_ENUM, 0, "refuse", .choices = "refuse|continue", .refusal =
		"write refuse (requests are refused while the audit chain cannot be kept) or continue (they go on, and the "
		"chain says what it lost)", .help =
		"while the audit chain cannot be written: `refuse` requests (503), and the start if entries are missing; or "
		"`continue`, with the gap declared in the chain" },
	[SET_AUDIT_CHECKPOINT_MS] = { "svsm.kms.audit.checkpoint.interval.ms", T_MS, 0, "30000", 100, DAY_MS, .help =
		"how often, if anything is new, the audit chain gets a signed checkpoint and the store's head remembers it" },
	[SET_AUDIT_CHECKPOINT_ENTRIES] = { "svsm.kms.audit.checkpoint.entries", T_INT, 0, "100000", 1, INT64_C(1) << 40, .help =
		"the same after so many entries" },
	[SET_STORE_MAP_MAX] = { "svsm.kms.store.map.max", T_SIZE, 0, "16g", 1 << 20, INT64_C(1) << 44, .help =
		"bytes the store may grow to" },
	[SET_STORE_EPOCH_MIN] = { "svsm.kms.store.epoch.min", T_INT, 0, "0", 0, INT64_MAX, .help =
		"refuse a store older than this epoch: detects that the whole store was set back" },
	[SET_RECOVERY_KEY] = { "svsm.kms.recovery.public-key", T_PATH, 0, "", .help =
		"PEM file of the owner's public key, for the recovery keyslot" },
	[SET_DT_PER_USER] = { "svsm.kms.delegation-token.max-per-user", T_INT, CORE, "10000", 1, 1000000000, .help =
		"delegation tokens that one user may have at a time; beyond it 503" },
	[SET_CORE_MEMORY_MAX] = { "svsm.kms.core.memory.max", T_SIZE, CORE, "1g", 16 << 20, INT64_C(1) << 44, .help =
		"bytes of memory the core may use for keys" },
	[SET_SSL_CERT_FILE] = { "svsm.kms.ssl.certificate.file", T_PATH, 0, "", .help =
		"PEM file with the certificate and its chain, in place of ssl.server.keystore.location" },
	[SET_SSL_KEY_FILE] = { "svsm.kms.ssl.key.file", T_PATH, 0, "", .help =
		"PEM file with the private key, if it is not in the certificate's file" },
	[SET_SSL_CLIENT_AUTH] = { "svsm.kms.ssl.client.auth", T_ENUM, 0, "none", .choices = "none|optional|required",
		.refusal = "choose one of them", .help =
		"ask clients for a certificate; `required` is what ssl.server.need.client.auth means" },
	[SET_SSL_SECURITY_LEVEL] = { "svsm.kms.ssl.security.level", T_INT, 0, "2", 1, 5, .help =
		"OpenSSL's security level: 2 wants RSA keys of 2048 bits and SHA-2 signatures; 1 takes old certificates "
		"with less" },
	[SET_TIMEOUT_HANDSHAKE] = { "svsm.kms.timeout.handshake.ms", T_MS, 0, "10000", 1, DAY_MS, .help =
		"a TLS handshake must be complete within this time" },
	[SET_HANDSHAKES_MAX] = { "svsm.kms.ssl.handshakes.max", T_INT, 0, "2000", 1, 1000000, .help =
		"TLS handshakes under way, at most half of `svsm.kms.connections.max`; beyond it the oldest is given up" },
	[SET_FAILED_LOGINS] = { "svsm.kms.failed-logins.per-minute", T_INT, 0, "6000", 0, 1000000, .help =
		"refused cookies, tickets and tokens from one address; beyond it, those not known from before get 429; 0 is no "
		"limit" },

	[SET_KEY_PROVIDER_URI] = { "hadoop.kms.key.provider.uri", T_STRING, KMS_DEFAULT | NOTHING,
		"jceks://file@/${user.home}/kms.keystore", .help =
		"keys are in the sealed store; bring existing ones over with `svsm-kms import`" },
	[SET_KEY_PROVIDER_URI_OLD] = { "hadoop.security.key.provider.uri", T_STRING, NOTHING, "", .help =
		"keys are in the sealed store; bring existing ones over with `svsm-kms import`" },
	[SET_GROUP_MAPPING] = { "hadoop.security.group.mapping", T_STRING, NOTHING,
		"org.apache.hadoop.security.JniBasedUnixGroupsMappingWithFallback", .help =
		"groups come from hadoop.user.group.static.mapping.overrides and, if svsm.kms.groups.os is true, from the "
		"operating system" },
	[SET_NOTHING_FIRST] =
	{ "hadoop.http.max.threads", T_STRING, KMS_DEFAULT | NOTHING, "1000", .help =
		"there is no thread per request; see svsm.kms.workers" },
	{ "hadoop.http.max.response.header.size", T_STRING, KMS_DEFAULT | NOTHING, "65536", .help =
		"response headers are always small" },
	{ "hadoop.http.temp.dir", T_STRING, KMS_DEFAULT | NOTHING, "${hadoop.tmp.dir}/kms", .help =
		"no temporary files are written" },
	{ "hadoop.security.keystore.java-keystore-provider.password-file", T_STRING, KMS_DEFAULT | NOTHING, "", .help =
		"there is no Java key store" },
	{ "hadoop.kms.cache.enable", T_STRING, KMS_DEFAULT | NOTHING, "true", .help =
		"keys are always in memory and always current" },
	{ "hadoop.kms.cache.timeout.ms", T_STRING, KMS_DEFAULT | NOTHING, "600000", .help =
		"keys are always in memory and always current" },
	{ "hadoop.kms.current.key.cache.timeout.ms", T_STRING, KMS_DEFAULT | NOTHING, "30000", .help =
		"keys are always in memory and always current" },
	{ "hadoop.kms.audit.logger", T_STRING, KMS_DEFAULT | NOTHING,
		"org.apache.hadoop.crypto.key.kms.server.SimpleKMSAuditLogger", .help =
		"Java classes cannot be loaded; the audit log has the simple logger's format" },
	{ "hadoop.kms.aggregation.delay.ms", T_STRING, NOTHING, "", .help =
		"never read by Hadoop either; see hadoop.kms.audit.aggregation.window.ms" },
	{ "hadoop.security.kms.encrypted.key.cache.size", T_STRING, KMS_DEFAULT | NOTHING, "100", .help =
		"encrypted keys are made when asked for" },
	{ "hadoop.security.kms.encrypted.key.cache.low.watermark", T_STRING, KMS_DEFAULT | NOTHING, "0.3", .help =
		"encrypted keys are made when asked for" },
	{ "hadoop.security.kms.encrypted.key.cache.num.fill.threads", T_STRING, KMS_DEFAULT | NOTHING, "2", .help =
		"encrypted keys are made when asked for" },
	{ "hadoop.security.kms.encrypted.key.cache.expiry", T_STRING, KMS_DEFAULT | NOTHING, "43200000", .help =
		"encrypted keys are made when asked for" },
	{ "hadoop.security.crypto.jce.provider", T_STRING, NOTHING, "", .help =
		"there are no Java providers; SM4 works without one" },
};
/* clang-format on */

/* Families of names. The first that matches counts; names in the table are not looked up here. */
enum family_kind { F_CORE, F_NOTHING, F_ACL, F_UNKNOWN_NOTICE, F_UNKNOWN_REFUSED };
static const struct family {
	const char *prefix;
	enum family_kind kind;
	const char *help;
} families[] = {
	{"hadoop.kms.proxyuser.", F_CORE, "who may act for whom: `.users`, `.groups`, `.hosts`"},
	{AUTH "kerberos.", F_NOTHING, "there is no such setting of Kerberos"},
	{AUTH "multi-scheme-auth-handler.", F_NOTHING, "only `negotiate` is a scheme here"},
	{AUTH "signer.secret.provider.zookeeper.", F_NOTHING, "ZooKeeper is not used"},
	{AUTH "zk-dt-secret-manager.", F_NOTHING,
	 "ZooKeeper is not used: delegation tokens are this server's own"},
	{"hadoop.http.header.", F_NOTHING, "extra response headers are not supported yet"},
	{"hadoop.kms.acl.", F_ACL, NULL},
	{"hadoop.kms.blacklist.", F_ACL, NULL},
	{"key.acl.", F_ACL, NULL},
	{"default.key.acl.", F_ACL, NULL},
	{"whitelist.key.acl.", F_ACL, NULL},
	{"hadoop.kms.", F_UNKNOWN_NOTICE, NULL},
	{"svsm.kms.", F_UNKNOWN_REFUSED, NULL},
	{"svsm.", F_UNKNOWN_REFUSED, NULL},
};

struct value {
	char *text; /* trimmed and normalised */
	int64_t n;
	bool set;
};

struct notices {
	struct settings_notice *p;
	size_t count, room;
};

struct settings {
	struct value value[SET_COUNT];
	struct notices notices, acl_notices;
	uint8_t secret[SECRET_MAX];
	size_t secret_len;
	uint8_t *keytab;
	size_t keytab_len;
	bool no_memory; /* while reading: a notice or value could not be kept */
};

/* ---- errors and notices ---- */

__attribute__((format(printf, 3, 4))) static enum rc refuse(struct conf_error *err, const struct conf_prop *p,
							    const char *fmt, ...)
{
	int n = snprintf(err->text, sizeof(err->text), "%s:%u: ", p->file, p->line);
	va_list ap;

	if (n < 0 || (size_t)n >= sizeof(err->text))
		return RC_BAD_INPUT;
	va_start(ap, fmt);
	vsnprintf(err->text + n, sizeof(err->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return RC_BAD_INPUT;
}

static enum rc no_memory(struct conf_error *err)
{
	snprintf(err->text, sizeof(err->text), "configuration: out of memory");
	return RC_NO_ROOM;
}

__attribute__((format(printf, 6, 7))) static void note(struct settings *s, struct notices *to,
						       enum settings_level level, const char *file,
						       unsigned line, const char *fmt, ...)
{
	size_t room = to->room ? to->room * 2 : 16;
	char where[600] = "", what[1024];
	struct settings_notice *p;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (file)
		snprintf(where, sizeof(where), line ? "%s:%u: " : "%s: ", file, line);
	if (to->count == to->room) {
		p = reallocarray(to->p, room, sizeof(*p));
		if (!p) {
			s->no_memory = true;
			return;
		}
		to->p = p;
		to->room = room;
	}
	if (asprintf(&text, "%s%s", where, what) < 0) {
		s->no_memory = true;
		return;
	}
	to->p[to->count++] = (struct settings_notice){.level = level, .text = text};
}

static void notices_clear(struct notices *n)
{
	while (n->count)
		free((char *)n->p[--n->count].text);
	free(n->p);
	*n = (struct notices){0};
}

/* ---- values ---- */

/* Decimal digits with an optional sign, or 0x and hex digits; what follows is left in *s. */
MUST_CHECK static bool take_number(struct slice *s, int64_t *out)
{
	bool negative = s->len && s->p[0] == '-';
	size_t i = negative || (s->len && s->p[0] == '+');
	int base = 10, d;
	size_t digits = 0;
	int64_t v = 0;

	if (s->len >= i + 2 && s->p[i] == '0' && (s->p[i + 1] | 0x20) == 'x') {
		base = 16;
		i += 2;
	}
	for (; i < s->len; i++, digits++) {
		uint8_t c = s->p[i];

		d = c >= '0' && c <= '9'                                   ? c - '0'
		    : base == 16 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
									   : -1;
		if (d < 0)
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = negative ? -v : v;
	*s = slice_of(s->p + i, s->len - i);
	return digits > 0;
}

struct suffix {
	const char *text;
	int64_t factor;
};

static const struct suffix sizes[] = {
	{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", INT64_C(1) << 40}};
static const struct suffix ms[] = {{"", 1},      {"ms", 1},      {"s", 1000},
				   {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}};
static const struct suffix plain[] = {{"", 1}};

MUST_CHECK static bool number_of(const struct row *r, struct slice v, int64_t *out)
{
	bool ours = strncmp(r->name, "svsm.", 5) == 0;
	const struct suffix *t = plain;
	size_t count = 1, i;

	if (r->type == T_SIZE) {
		t = sizes;
		count = ARRAY_LEN(sizes);
	} else if (r->type == T_MS && ours) {
		t = ms;
		count = ARRAY_LEN(ms);
	}
	if (!take_number(&v, out))
		return false;
	for (i = 0; i < count; i++)
		if (text_is_nocase(v, t[i].text))
			return !__builtin_mul_overflow(*out, t[i].factor, out) && *out >= r->min &&
			       *out <= r->max;
	return false;
}

MUST_CHECK static bool is_choice(const char *choices, struct slice v)
{
	const char *at = choices;

	while (at) {
		const char *bar = strchr(at, '|');
		size_t n = bar ? (size_t)(bar - at) : strlen(at);

		if (slice_eq(v, slice_of(at, n)))
			return true;
		at = bar ? bar + 1 : NULL;
	}
	return false;
}

/* HOST:PORT or [IPv6]:PORT, one or more separated by commas. */
MUST_CHECK static bool is_address_list(struct slice v)
{
	while (v.len) {
		const uint8_t *comma = memchr(v.p, ',', v.len);
		struct slice one = text_trim(slice_of(v.p, comma ? (size_t)(comma - v.p) : v.len));
		const uint8_t *colon = one.len ? memrchr(one.p, ':', one.len) : NULL;
		struct slice port;
		int64_t n;

		if (!colon || colon == one.p)
			return false;
		port = slice_of(colon + 1, one.len - (size_t)(colon + 1 - one.p));
		if (!port.len || port.p[0] < '0' || port.p[0] > '9' || !take_number(&port, &n) || port.len ||
		    n > 65535)
			return false;
		if (one.p[0] != '[' && memchr(one.p, ':', (size_t)(colon - one.p)))
			return false; /* an IPv6 address needs brackets */
		v = comma ? slice_of(comma + 1, v.len - (size_t)(comma + 1 - v.p)) : slice_of(v.p, 0);
		if (comma && !v.len)
			return false;
	}
	return true;
}

/* Fills v; false when the text is no value of the row's type. v->text is NULL when out of memory. */
MUST_CHECK static bool value_of(const struct row *r, struct slice text, struct value *v)
{
	text = text_trim(text);
	v->n = 0;
	switch (r->type) {
	case T_BOOL:
		v->n = text_is_nocase(text, "true");
		if (!v->n && !text_is_nocase(text, "false"))
			return false;
		v->text = strdup(v->n ? "true" : "false");
		return true;
	case T_INT:
	case T_SIZE:
	case T_MS:
	case T_SECONDS:
		if (!number_of(r, text, &v->n))
			return false;
		if (asprintf(&v->text, "%lld", (long long)v->n) < 0)
			v->text = NULL;
		return true;
	case T_ENUM:
		if (!is_choice(r->choices, text))
			return false;
		break;
	case T_ADDRESS:
		if (!is_address_list(text))
			return false;
		break;
	case T_STRING:
	case T_PATH:
		break;
	}
	v->text = strndup((const char *)text.p, text.len);
	return true;
}

static const char *number_form(const struct row *r)
{
	if (r->type == T_SIZE)
		return "bytes, also with k, m, g, t";
	if (r->type == T_MS)
		return strncmp(r->name, "svsm.", 5) == 0 ? "milliseconds, also with s, m, h, d"
							 : "milliseconds";
	return r->type == T_SECONDS ? "seconds" : "a number";
}

static enum rc refuse_value(struct conf_error *err, const struct row *r, const struct conf_prop *p)
{
	switch (r->type) {
	case T_BOOL:
		return refuse(err, p, "%s is '%.*s'; write true or false", r->name, TEXT_ARG(p->value));
	case T_ENUM:
		return refuse(err, p, "%s is '%.*s', accepted: %s; %s", r->name, TEXT_ARG(p->value),
			      r->choices, r->refusal);
	case T_ADDRESS:
		return refuse(err, p, "%s is '%.*s'; write HOST:PORT, an IPv6 address in brackets", r->name,
			      TEXT_ARG(p->value));
	default:
		return refuse(err, p, "%s is '%.*s'; write %s, from %lld to %lld", r->name,
			      TEXT_ARG(p->value), number_form(r), (long long)r->min, (long long)r->max);
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * In Hadoop the defaults in kms-default.xml are loaded after core-site.xml: what core-site.xml says about
 * them is not in force unless it is final. Obeying it here would make the same files mean something else.
 */
MUST_CHECK static bool overridden_by_default(const struct row *r, const struct conf_prop *p)
{
	return (r->flags & KMS_DEFAULT) && !p->final && strcmp(base_name(p->file), "core-site.xml") == 0;
}

static enum rc read_row(struct settings *s, const struct conf *c, enum setting id, struct conf_error *err)
{
	const struct row *r = &table[id];
	enum conf_list list = r->flags & SSL_FILE ? CONF_SSL : CONF_SITE;
	const struct conf_prop *p = conf_find(c, list, slice_str(r->name));
	struct value *v = &s->value[id];

	if (p && overridden_by_default(r, p)) {
		note(s, &s->notices, SETTINGS_WARNING, p->file, p->line,
		     "%s has no effect in core-site.xml (a default of the KMS comes later); move it to kms-site.xml",
		     r->name);
		p = NULL;
	}
	if (p) {
		v->set = true;
		if (!value_of(r, p->value, v))
			return refuse_value(err, r, p);
	} else {
		INVARIANT(value_of(r, slice_str(r->value), v));
	}
	if (!v->text)
		return no_memory(err);
	if (p && (r->flags & NOTHING) && strcmp(v->text, r->value) != 0 &&
	    !slice_is(text_trim(p->raw), r->value))
		note(s, &s->notices, SETTINGS_NOTICE, p->file, p->line, "%s has no effect here: %s", r->name,
		     r->help);
	return RC_OK;
}

/* ---- names ---- */

static const struct row *row_find(struct slice name)
{
	size_t i;

	for (i = 0; i < SET_COUNT; i++)
		if (slice_is(name, table[i].name))
			return &table[i];
	return NULL;
}

/* The nearest name of the table, or NULL when none is near. */
static const char *did_you_mean(struct slice name)
{
	unsigned best = name.len < 16 ? 4 : (unsigned)(name.len / 4), d;
	const char *found = NULL;
	size_t i;

	for (i = 0; i < SET_COUNT; i++) {
		d = text_distance(name, slice_str(table[i].name));
		if (d <= best) {
			best = d - (d > 0);
			found = table[i].name;
		}
	}
	return found;
}

static const struct family *family_of(struct slice name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(families); i++)
		if (slice_starts(name, families[i].prefix))
			return &families[i];
	return NULL;
}

static enum rc check_name(struct settings *s, const struct conf *c, const struct conf_prop *p,
			  struct conf_error *err)
{
	const struct row *r = row_find(p->name);
	const struct family *f = r ? NULL : family_of(p->name);
	const char *near, *quote;

	if (r && r->flags & SSL_FILE)
		note(s, &s->notices, SETTINGS_WARNING, p->file, p->line, "%s has no effect in this file; move it to %s", r->name,
		     settings_str(s, SET_SSL_CONF));
	if (!f || f->kind == F_CORE)
		return RC_OK;
	if (f->kind == F_NOTHING) {
		note(s, &s->notices, SETTINGS_NOTICE, p->file, p->line, "%.*s has no effect here: %s",
		     TEXT_ARG(p->name), f->help);
		return RC_OK;
	}
	if (f->kind == F_ACL) {
		if (!conf_find(c, CONF_ACLS, p->name))
			note(s, &s->notices, SETTINGS_WARNING, p->file, p->line,
			     "%.*s has no effect in this file; move it to kms-acls.xml", TEXT_ARG(p->name));
		return RC_OK;
	}
	near = did_you_mean(p->name);
	quote = near ? "'" : "";
	if (f->kind == F_UNKNOWN_REFUSED)
		return refuse(err, p, "there is no setting '%.*s'; %s%s%s%s", TEXT_ARG(p->name),
			      near ? "did you mean "
				   : "remove it, the settings are listed in docs/operations.md",
			      quote, near ? near : "", near ? "'?" : "");
	note(s, &s->notices, SETTINGS_WARNING, p->file, p->line, "%.*s is not known and has no effect%s%s%s",
	     TEXT_ARG(p->name), near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return RC_OK;
}

/* ---- rules about several settings ---- */

static void conf_notes(struct settings *s, const struct conf *c, enum conf_list list, struct notices *to)
{
	const struct conf_note *n;
	size_t at = 0;

	while ((n = conf_note_next(c, list, &at))) {
		switch (n->kind) {
		case CONF_NOTE_EMPTY:
			break; /* matters for ACLs only, see there */
		case CONF_NOTE_FINAL:
			note(s, to, SETTINGS_WARNING, n->file, n->line,
			     "%.*s has no effect: an earlier definition is final", TEXT_ARG(n->name));
			break;
		case CONF_NOTE_TWICE:
			note(s, to, SETTINGS_WARNING, n->file, n->line,
			     "%.*s is defined twice, this definition counts", TEXT_ARG(n->name));
			break;
		case CONF_NOTE_MISSING:
			note(s, to, SETTINGS_NOTICE, n->file, 0, "does not exist, taken as empty");
			break;
		case CONF_NOTE_WRITABLE:
			note(s, to, SETTINGS_WARNING, n->file, 0, "anybody may write this file; chmod o-w");
			break;
		}
	}
}

/* Other names of ssl-server.xml are the client's half of Hadoop's TLS settings, or misspelt. */
static void check_ssl_names(struct settings *s, const struct conf *c)
{
	const struct conf_prop *p;
	size_t at = 0;

	conf_notes(s, c, CONF_SSL, &s->notices);
	while ((p = conf_next(c, CONF_SSL, "", &at))) {
		const struct row *r = row_find(p->name);
		const char *near = r ? NULL : did_you_mean(p->name);

		if (r && r->flags & SSL_FILE)
			continue;
		if (r || slice_starts(p->name, "ssl.server."))
			note(s, &s->notices, SETTINGS_WARNING, p->file, p->line, "%.*s has no effect in this file%s%s%s",
			     TEXT_ARG(p->name), near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
}

/*
 * Hadoop would look for passwords in the credential provider first. Its files are Java key stores with sealed Java
 * objects, which nothing but Java reads.
 */
static enum rc check_credentials(struct settings *s, const struct conf *c, struct conf_error *err)
{
	static const char name[] = "hadoop.security.credential.provider.path";
	const struct conf_prop *p = conf_find(c, CONF_SSL, slice_str(name));

	if (!p)
		p = conf_find(c, CONF_SITE, slice_str(name));
	if (!p || !settings_bool(s, SET_SSL_ENABLED) || !text_trim(p->value).len || *settings_str(s, SET_SSL_CERT_FILE))
		return RC_OK;
	if (!settings_is_set(s, SET_SSL_KEYSTORE_PASSWORD))
		return refuse(err, p,
			      "%s cannot be read here, and %s is not in %s; write the password there (mode 0600), or use a "
			      "PEM file: svsm.kms.ssl.certificate.file",
			      name, table[SET_SSL_KEYSTORE_PASSWORD].name, settings_str(s, SET_SSL_CONF));
	note(s, &s->notices, SETTINGS_WARNING, p->file, p->line, "%s is not read here: the passwords in %s count", name,
	     settings_str(s, SET_SSL_CONF));
	return RC_OK;
}

static enum rc check_provider(const struct conf *c, enum setting id, struct conf_error *err)
{
	const struct conf_prop *p = conf_find(c, CONF_SITE, slice_str(table[id].name));

	if (!p || overridden_by_default(&table[id], p) || slice_starts(text_trim(p->value), "jceks:") ||
	    slice_starts(text_trim(p->value), "localjceks:") || text_trim(p->value).len == 0)
		return RC_OK;
	return refuse(err, p,
		      "%s names a key store that this server cannot replace silently; copy the keys with "
		      "`svsm-kms import` from the server that uses it, then remove the property",
		      table[id].name);
}

static enum rc read_secret(struct settings *s, const char *path, struct conf_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t more;
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			errno = EINVAL;
		} else {
			if (st.st_mode & 077)
				note(s, &s->notices, SETTINGS_WARNING, path, 0,
				     "others may read the secret that signs cookies; chmod 600");
			n = read(fd, s->secret, SECRET_MAX);
			if (n == (ssize_t)SECRET_MAX && read(fd, &more, 1) != 0) {
				n = -1;
				errno = EFBIG;
			}
		}
	}
	if (n <= 0)
		snprintf(err->text, sizeof(err->text),
			 "%s: %s; %s needs a file of 1 to %u bytes that the server can read", path,
			 n < 0 ? strerror(errno) : "is empty", table[SET_SECRET_FILE].name, SECRET_MAX);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return RC_MACHINE;
	if (n == 0)
		return RC_BAD_INPUT;
	s->secret_len = (size_t)n;
	return RC_OK;
}

static enum rc secret(struct settings *s, struct conf_error *err)
{
	const char *path = settings_str(s, SET_SECRET_FILE);

	if (strcmp(settings_str(s, SET_SECRET_PROVIDER), "file") != 0)
		return RC_OK;
	if (*path)
		return read_secret(s, path, err);
	note(s, &s->notices, SETTINGS_WARNING, NULL, 0,
	     "%s is file, but %s is not set: cookies are signed with a random secret and end with the server",
	     table[SET_SECRET_PROVIDER].name, table[SET_SECRET_FILE].name);
	return RC_OK;
}

/* ---- Kerberos ---- */

bool settings_kerberos(const struct settings *s)
{
	const char *type = settings_str(s, SET_AUTH_TYPE);

	return strcmp(type, "simple") != 0 && strcmp(type, WEB "PseudoDelegationTokenAuthenticationHandler") != 0;
}

struct slice settings_keytab(const struct settings *s)
{
	return slice_of(s->keytab ? s->keytab : (const uint8_t *)"", s->keytab_len);
}

void settings_keytab_forget(struct settings *s)
{
	if (s->keytab)
		mem_wipe(s->keytab, s->keytab_len);
	free(s->keytab);
	s->keytab = NULL;
	s->keytab_len = 0;
}

/* ${user.home} in the default, as Hadoop fills it in. */
void settings_keytab_path(const struct settings *s, char *out, size_t room)
{
	const char *path = settings_str(s, SET_KRB_KEYTAB), *home = getenv("HOME");
	static const char var[] = "${user.home}";

	if (strncmp(path, var, sizeof(var) - 1) == 0)
		snprintf(out, room, "%s%s", home ? home : "", path + sizeof(var) - 1);
	else
		snprintf(out, room, "%s", path);
}

/* RC_OK without one: the core may have the keys already, and says so if it has not. */
static enum rc read_keytab(struct settings *s, struct conf_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = -1;
	int fd;

	settings_keytab_path(s, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT) {
		note(s, &s->notices, SETTINGS_NOTICE, NULL, 0,
		     "%.600s is not there: the Kerberos keys that the store keeps count", path);
		return RC_OK;
	}
	s->keytab = malloc(KEYTAB_MAX + 1);
	if (!s->keytab) {
		if (fd >= 0)
			close(fd);
		return no_memory(err);
	}
	if (fd >= 0 && fstat(fd, &st) == 0) {
		errno = S_ISREG(st.st_mode) ? 0 : EINVAL;
		if (st.st_mode & 077)
			note(s, &s->notices, SETTINGS_WARNING, path, 0,
			     "others may read the server's Kerberos keys and speak for any user; give it to the "
			     "server's user, chmod 600");
		n = errno ? -1 : read(fd, s->keytab, KEYTAB_MAX + 1);
		if (n > (ssize_t)KEYTAB_MAX) {
			n = -1;
			errno = EFBIG;
		}
	}
	if (n < 0)
		snprintf(err->text, sizeof(err->text),
			 "%.600s: %s; %s needs a keytab of at most %u bytes that the server can read",
			 path, strerror(errno), table[SET_KRB_KEYTAB].name, KEYTAB_MAX);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return RC_BAD_INPUT;
	s->keytab_len = (size_t)n;
	return RC_OK;
}

static enum rc find_realm(struct settings *s, struct conf_error *err)
{
	struct value *v = &s->value[SET_KRB_REALM];
	char realm[256];

	if (v->text[0] || !krb5_conf_default_realm(realm, sizeof(realm)))
		return RC_OK;
	free(v->text);
	v->text = strdup(realm);
	return v->text ? RC_OK : no_memory(err);
}

/* Each entry of the comma list must be one of two; *found: there was one. */
static bool only(struct slice list, const char *one, bool *found)
{
	*found = false;
	while (list.len) {
		const uint8_t *comma = memchr(list.p, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.p) : list.len;
		struct slice v = text_trim(slice_of(list.p, n));

		if (v.len && !text_is_nocase(v, one))
			return false;
		*found |= v.len != 0;
		n += comma != NULL;
		list = slice_of(list.p + n, list.len - n);
	}
	return true;
}

static enum rc check_schemes(const struct settings *s, const struct conf *c, struct conf_error *err)
{
	static const enum setting lists[] = {SET_SCHEMES, SET_SCHEMES_DT};
	const char *handler = settings_str(s, SET_SCHEME_NEGOTIATE);
	const struct conf_prop *p;
	size_t i;
	bool found;

	if (strcmp(settings_str(s, SET_AUTH_TYPE), WEB "MultiSchemeDelegationTokenAuthenticationHandler") != 0)
		return RC_OK;
	for (i = 0; i < ARRAY_LEN(lists); i++) {
		p = conf_find(c, CONF_SITE, slice_str(table[lists[i]].name));
		if (!only(slice_str(settings_str(s, lists[i])), "negotiate", &found))
			return refuse(err, p,
				      "%s: only the scheme `negotiate` can be offered; `basic` would have this server pass "
				      "passwords on to an LDAP server, `digest` has no handler in Hadoop either. Remove them",
				      table[lists[i]].name);
		if (!found && lists[i] == SET_SCHEMES) {
			p = conf_find(c, CONF_SITE, slice_str(table[SET_AUTH_TYPE].name));
			return refuse(err, p, "the multi-scheme authentication needs %s; set it to negotiate",
				      table[SET_SCHEMES].name);
		}
	}
	p = conf_find(c, CONF_SITE, slice_str(table[SET_SCHEME_NEGOTIATE].name));
	if (*handler && strcmp(handler, "kerberos") != 0 &&
	    strcmp(handler, "org.apache.hadoop.security.authentication.server.KerberosAuthenticationHandler") != 0)
		return refuse(err, p, "%s is '%.100s'; write kerberos", table[SET_SCHEME_NEGOTIATE].name, handler);
	return RC_OK;
}

/* Hadoop's form: a slash and a word. */
static enum rc check_whitelist(struct settings *s, const struct conf *c, struct conf_error *err)
{
	static const char *const pages[] = {"/jmx", "/conf", "/stacks", "/prom"};
	struct slice list = slice_str(settings_str(s, SET_KRB_WHITELIST));
	const struct conf_prop *p = conf_find(c, CONF_SITE, slice_str(table[SET_KRB_WHITELIST].name));
	size_t i;

	while (list.len) {
		const uint8_t *comma = memchr(list.p, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.p) : list.len;
		struct slice v = text_trim(slice_of(list.p, n));

		for (i = 0; i < ARRAY_LEN(pages) && !slice_is(v, pages[i]); i++)
			;
		if (slice_is(v, "/kms"))
			return refuse(err, p, "%s names /kms: keys are for nobody without a name. Remove it",
				      table[SET_KRB_WHITELIST].name);
		if (v.len && i == ARRAY_LEN(pages))
			note(s, &s->notices, SETTINGS_NOTICE, p->file, p->line,
			     "%s: there is no page %.*s that asks who is there", table[SET_KRB_WHITELIST].name, TEXT_ARG(v));
		n += comma != NULL;
		list = slice_of(list.p + n, list.len - n);
	}
	return RC_OK;
}

/* Hadoop's other servers put the host's name there; its KMS does not, and looks for that very name in the keytab. */
static enum rc check_principal(const struct settings *s, const struct conf *c, struct conf_error *err)
{
	const char *name = table[SET_KRB_PRINCIPAL].name;

	if (!strstr(settings_str(s, SET_KRB_PRINCIPAL), "_HOST"))
		return RC_OK;
	return refuse(err, conf_find(c, CONF_SITE, slice_str(name)),
		      "%s: _HOST is not replaced, by Hadoop's KMS neither; write this host's full name in its place, or `*` "
		      "for all HTTP/ names of the keytab (`klist -k` lists them)", name);
}

static enum rc kerberos(struct settings *s, const struct conf *c, struct conf_error *err)
{
	struct value *own = &s->value[SET_KRB_MECHANISM];
	enum rc rc;

	if (!settings_kerberos(s))
		return RC_OK;
	if (!own->set) {
		free(own->text);
		own->text = strdup(settings_str(s, SET_KRB_MECHANISM_ALL));
		if (!own->text)
			return no_memory(err);
	}
	rc = check_schemes(s, c, err);
	if (rc == RC_OK)
		rc = check_principal(s, c, err);
	if (rc == RC_OK)
		rc = check_whitelist(s, c, err);
	if (rc == RC_OK)
		rc = find_realm(s, err);
	return rc == RC_OK ? read_keytab(s, err) : rc;
}

static const char *const unix_mappings[] = {
	"org.apache.hadoop.security.JniBasedUnixGroupsMapping",
	"org.apache.hadoop.security.JniBasedUnixGroupsMappingWithFallback",
	"org.apache.hadoop.security.ShellBasedUnixGroupsMapping",
	"org.apache.hadoop.security.NullGroupsMapping",
};

static void general_notices(struct settings *s)
{
	const char *mapping = settings_str(s, SET_GROUP_MAPPING);
	size_t i;

	for (i = 0; i < ARRAY_LEN(unix_mappings) && strcmp(mapping, unix_mappings[i]) != 0; i++)
		;
	if (i == ARRAY_LEN(unix_mappings))
		note(s, &s->notices, SETTINGS_WARNING, NULL, 0,
		     "groups of %.100s are not looked up; let the operating system know them (sssd, nss) and set %s to true, or "
		     "list them in %s",
		     mapping, table[SET_GROUPS_OS].name, table[SET_STATIC_GROUPS].name);
	if (!settings_bool(s, SET_KEY_AUTHORIZATION))
		note(s, &s->notices, SETTINGS_WARNING, NULL, 0, "%s is false: key ACLs are not checked",
		     table[SET_KEY_AUTHORIZATION].name);
	if (settings_bool(s, SET_AUTH_ANONYMOUS))
		note(s, &s->notices, SETTINGS_WARNING, NULL, 0,
		     "%s is true: requests without a user are refused all the same",
		     table[SET_AUTH_ANONYMOUS].name);
}

/* ---- access control lists ---- */

static const char op_types[] =
	"CREATE|DELETE|ROLLOVER|GET|GET_KEYS|GET_METADATA|SET_KEY_MATERIAL|GENERATE_EEK|DECRYPT_EEK";
static const char key_types[] = "MANAGEMENT|GENERATE_EEK|DECRYPT_EEK|READ|ALL";
static const char default_types[] = "MANAGEMENT|GENERATE_EEK|DECRYPT_EEK|READ";

static const struct acl_kind {
	const char *prefix;
	const char *types;
	bool named; /* a key's ACL name stands before the type */
	bool blacklist;
	const char *empty; /* what an empty value means */
} acl_kinds[] = {
	{"hadoop.kms.acl.", op_types, false, false, "everyone is allowed"},
	{"hadoop.kms.blacklist.", op_types, false, true, "nobody is excluded"},
	{"key.acl.", key_types, true, false, "there is no such entry"},
	{"default.key.acl.", default_types, false, false, "there is no such entry"},
	{"whitelist.key.acl.", default_types, false, false, "there is no such entry"},
};

static const struct acl_kind *acl_kind_of(struct slice name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(acl_kinds); i++)
		if (slice_starts(name, acl_kinds[i].prefix))
			return &acl_kinds[i];
	return NULL;
}

/* The type in an ACL's name; empty when there is none. */
static struct slice acl_type(const struct acl_kind *k, struct slice name)
{
	struct slice rest = slice_of(name.p + strlen(k->prefix), name.len - strlen(k->prefix));
	const uint8_t *dot;

	if (!k->named)
		return rest;
	dot = rest.len ? memrchr(rest.p, '.', rest.len) : NULL;
	return dot ? slice_of(dot + 1, rest.len - (size_t)(dot + 1 - rest.p)) : slice_of(rest.p, 0);
}

/* Users and groups are separated by the first blank. */
static struct slice acl_groups(struct slice value)
{
	const uint8_t *blank = value.len ? memchr(value.p, ' ', value.len) : NULL;

	return blank ? text_trim(slice_of(blank + 1, value.len - (size_t)(blank + 1 - value.p)))
		     : slice_of(value.p, 0);
}

static void check_acl(struct settings *s, const struct acl_kind *k, const struct conf_prop *p)
{
	const uint8_t *blank = p->value.len ? memchr(p->value.p, ' ', p->value.len) : NULL;

	if (!is_choice(k->types, acl_type(k, p->name)))
		note(s, &s->acl_notices, SETTINGS_WARNING, p->file, p->line,
		     "%.*s has no effect: types are %s", TEXT_ARG(p->name), k->types);
	if (blank && blank > p->value.p && blank[-1] == ',' && acl_groups(p->value).len)
		note(s, &s->acl_notices, SETTINGS_WARNING, p->file, p->line,
		     "%.*s: what follows the first blank are groups; write `user1,user2 group1,group2` without blanks "
		     "after commas",
		     TEXT_ARG(p->name));
}

static enum rc check_blacklist(const struct settings *s, const struct conf_prop *p, struct conf_error *err)
{
	struct slice groups = acl_groups(p->value);

	if (!groups.len || slice_is(groups, "*") || settings_bool(s, SET_GROUPS_OS) ||
	    settings_is_set(s, SET_STATIC_GROUPS))
		return RC_OK;
	return refuse(
		err, p,
		"%.*s excludes groups, but no groups are known and nobody would be excluded; set %s to true, or "
		"list the members in %s",
		TEXT_ARG(p->name), table[SET_GROUPS_OS].name, table[SET_STATIC_GROUPS].name);
}

static void empty_acls(struct settings *s, const struct conf *c)
{
	const struct conf_note *n;
	size_t at = 0;

	while ((n = conf_note_next(c, CONF_ACLS, &at))) {
		const struct acl_kind *k = n->kind == CONF_NOTE_EMPTY ? acl_kind_of(n->name) : NULL;

		if (k)
			note(s, &s->acl_notices, SETTINGS_WARNING, n->file, n->line,
			     "%.*s is empty, which Hadoop takes as not set: %s. A single blank means nobody",
			     TEXT_ARG(n->name), k->empty);
	}
}

enum rc settings_check_acls(struct settings *s, const struct conf *c, struct conf_error *err)
{
	const struct conf_prop *p;
	bool any_key_acl = false;
	enum rc rc = RC_OK;
	size_t at = 0;

	err->text[0] = 0;
	notices_clear(&s->acl_notices);
	conf_notes(s, c, CONF_ACLS, &s->acl_notices);
	empty_acls(s, c);
	while (rc == RC_OK && (p = conf_next(c, CONF_ACLS, "", &at))) {
		const struct acl_kind *k = acl_kind_of(p->name);

		if (!k)
			continue;
		any_key_acl |= k->types != op_types;
		check_acl(s, k, p);
		if (k->blacklist)
			rc = check_blacklist(s, p, err);
	}
	if (rc == RC_OK && !any_key_acl && settings_bool(s, SET_KEY_AUTHORIZATION))
		note(s, &s->acl_notices, SETTINGS_WARNING, "kms-acls.xml", 0,
		     "there are no key ACLs, so no key can be used; add default.key.acl.MANAGEMENT, .GENERATE_EEK, .DECRYPT_EEK "
		     "and .READ");
	return rc;
}

static enum rc check_reloaded(void *ctx, const struct conf *c, struct conf_error *err)
{
	return settings_check_acls(ctx, c, err);
}

enum rc settings_reload_acls(struct settings *s, struct conf *c, struct conf_error *err)
{
	enum rc rc = conf_acls_reload(c, check_reloaded, s, err);
	struct conf_error again;

	/* the notices are to be those of the list in force, which was accepted before */
	if (rc != RC_OK)
		INVARIANT(settings_check_acls(s, c, &again) == RC_OK);
	return rc;
}

/* ---- the public face ---- */

static enum rc read_all(struct settings *s, const struct conf *c, struct conf_error *err)
{
	const struct conf_prop *p;
	enum rc rc = RC_OK;
	size_t at = 0;
	unsigned id;

	conf_notes(s, c, CONF_SITE, &s->notices);
	for (id = 0; id < SET_COUNT && rc == RC_OK; id++)
		rc = read_row(s, c, (enum setting)id, err);
	while (rc == RC_OK && (p = conf_next(c, CONF_SITE, "", &at)))
		rc = check_name(s, c, p, err);
	if (rc == RC_OK)
		rc = check_provider(c, SET_KEY_PROVIDER_URI, err);
	if (rc == RC_OK)
		rc = check_provider(c, SET_KEY_PROVIDER_URI_OLD, err);
	if (rc == RC_OK)
		rc = secret(s, err);
	if (rc == RC_OK)
		rc = kerberos(s, c, err);
	if (rc == RC_OK)
		rc = check_credentials(s, c, err);
	if (rc != RC_OK)
		return rc;
	check_ssl_names(s, c);
	general_notices(s);
	rc = settings_check_acls(s, c, err);
	if (rc == RC_OK && s->no_memory)
		rc = no_memory(err);
	return rc;
}

enum rc settings_read(const struct conf *c, struct settings **out, struct conf_error *err)
{
	struct settings *s = calloc(1, sizeof(*s));
	enum rc rc;

	err->text[0] = 0;
	if (!s)
		return no_memory(err);
	rc = read_all(s, c, err);
	if (rc != RC_OK) {
		settings_free(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void settings_free(struct settings *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < SET_COUNT; i++)
		free(s->value[i].text);
	notices_clear(&s->notices);
	notices_clear(&s->acl_notices);
	mem_wipe(s->secret, sizeof(s->secret));
	settings_keytab_forget(s);
	free(s);
}

int64_t settings_int(const struct settings *s, enum setting id)
{
	INVARIANT((unsigned)id < SET_COUNT);
	INVARIANT(table[id].type == T_BOOL || table[id].type == T_INT || table[id].type == T_SIZE ||
		  table[id].type == T_MS || table[id].type == T_SECONDS);
	return s->value[id].n;
}

bool settings_bool(const struct settings *s, enum setting id)
{
	INVARIANT((unsigned)id < SET_COUNT && table[id].type == T_BOOL);
	return s->value[id].n != 0;
}

const char *settings_str(const struct settings *s, enum setting id)
{
	INVARIANT((unsigned)id < SET_COUNT);
	return s->value[id].text;
}

bool settings_is_set(const struct settings *s, enum setting id)
{
	INVARIANT((unsigned)id < SET_COUNT);
	return s->value[id].set;
}

const char *settings_name(enum setting id)
{
	INVARIANT((unsigned)id < SET_COUNT);
	return table[id].name;
}

const struct settings_notice *settings_notice_next(const struct settings *s, size_t *at)
{
	size_t i = *at;

	if (i >= s->notices.count + s->acl_notices.count)
		return NULL;
	(*at)++;
	return i < s->notices.count ? &s->notices.p[i] : &s->acl_notices.p[i - s->notices.count];
}

struct slice settings_signature_secret(const struct settings *s)
{
	return slice_of(s->secret, s->secret_len);
}

/* ---- the core's list ---- */

MUST_CHECK static bool core_wants(const struct conf_prop *p, enum conf_list list)
{
	if (list == CONF_ACLS)
		return acl_kind_of(p->name) != NULL;
	if (row_find(p->name))
		return false; /* came with the table, or is not the core's */
	return slice_starts(p->name, AUTH) || slice_starts(p->name, "hadoop.kms.proxyuser.");
}

bool settings_core_next(const struct settings *s, const struct conf *c, struct settings_core_iter *it,
			struct slice *name, struct slice *value)
{
	static const enum conf_list lists[] = {CONF_SITE, CONF_ACLS};
	const struct conf_prop *p;

	while (it->phase == 0 && it->at < SET_COUNT) {
		size_t i = it->at++;

		if ((table[i].flags & CORE) && s->value[i].text[0]) {
			*name = slice_str(table[i].name);
			*value = slice_str(s->value[i].text);
			return true;
		}
	}
	if (it->phase == 0)
		*it = (struct settings_core_iter){.phase = 1};
	while (it->phase <= ARRAY_LEN(lists)) {
		while ((p = conf_next(c, lists[it->phase - 1], "", &it->at))) {
			if (core_wants(p, lists[it->phase - 1])) {
				*name = p->name;
				*value = p->value;
				return true;
			}
		}
		*it = (struct settings_core_iter){.phase = it->phase + 1};
	}
	return false;
}

/* ---- documentation and /conf ---- */

static const char *const type_names[] = {
	[T_BOOL] = "true or false", [T_INT] = "number",      [T_SIZE] = "size",
	[T_MS] = "milliseconds",    [T_SECONDS] = "seconds", [T_ENUM] = NULL,
	[T_STRING] = "text",        [T_PATH] = "path",       [T_ADDRESS] = "addresses",
};

static void print_type(FILE *f, const struct row *r)
{
	const char *p;

	if (r->type == T_ENUM) {
		fputc('`', f);
		for (p = r->choices; *p; p++)
			fputs(*p == '|' ? "`, `" : (const char[]){*p, 0}, f);
		fputc('`', f);
		return;
	}
	fputs(type_names[r->type], f);
	if (r->type == T_INT && r->max != INT64_MAX)
		fprintf(f, ", %lld to %lld", (long long)r->min, (long long)r->max);
}

static void print_rows(FILE *f, const char *title, unsigned from, unsigned to)
{
	unsigned i;

	fprintf(f, "\n### %s\n\n| Name | Value | Default | Meaning |\n|---|---|---|---|\n", title);
	for (i = from; i < to; i++) {
		fprintf(f, "| `%s` | ", table[i].name);
		print_type(f, &table[i]);
		fprintf(f, table[i].value[0] ? " | `%s` | " : " |%s | ", table[i].value);
		fprintf(f, "%s |\n", table[i].help);
	}
}

void settings_print_table(FILE *f)
{
	size_t i;

	fputs("<!-- written by settings_print_table(); edit proxy/settings.c -->\n", f);
	print_rows(f, "SVSM-KMS", SET_DATA_DIR, SET_KEY_PROVIDER_URI);
	print_rows(f, "Hadoop: server", SET_HTTP_HOST, SET_SSL_ENABLED);
	print_rows(f, "Hadoop: HTTPS", SET_SSL_ENABLED, SET_SSL_FIRST_IN_FILE);
	print_rows(f, "Hadoop: HTTPS, in `ssl-server.xml`", SET_SSL_FIRST_IN_FILE, SET_AUTH_TYPE);
	print_rows(f, "Hadoop: authentication and keys", SET_AUTH_TYPE, SET_DATA_DIR);
	fputs("\n### Hadoop: accepted without effect\n\n| Name | Instead |\n|---|---|\n", f);
	for (i = SET_KEY_PROVIDER_URI; i < SET_COUNT; i++)
		fprintf(f, "| `%s` | %s |\n", table[i].name, table[i].help);
	for (i = 0; i < ARRAY_LEN(families); i++)
		if (families[i].kind == F_NOTHING)
			fprintf(f, "| `%s*` | %s |\n", families[i].prefix, families[i].help);
}

MUST_CHECK static bool has_word(const char *name, const char *const *words, size_t count, bool at_end)
{
	size_t n = strlen(name), i;

	for (i = 0; i < count; i++) {
		const char *p = strstr(name, words[i]);
		size_t len = strlen(words[i]);

		if (at_end ? n >= len && strcmp(name + n - len, words[i]) == 0 : p != NULL)
			return true;
	}
	return false;
}

/* scheme://user:password@host */
MUST_CHECK static bool has_userinfo(struct slice v)
{
	const uint8_t *at = v.len ? memmem(v.p, v.len, "://", 3) : NULL;
	bool colon = false;

	if (!at)
		return false;
	for (at += 3; at < v.p + v.len && *at != '/'; at++) {
		if (*at == '@' && colon)
			return true;
		colon |= *at == ':';
	}
	return false;
}

bool settings_is_secret(struct slice name, struct slice value)
{
	static const char *const ends[] = {"secret", "password",   "passwd", "passphrase",
					   ".pass",  "credential", "token",  ".keypassword"};
	static const char *const parts[] = {
		"secret.key",           "session.key",     "session.token", "encryption.key",   "secretkey",
		"fs.azure.account.key", "fs.azure.oauth2", "fs.adl.oauth2", "fs.gs.encryption", "fs.gs.proxy",
		"fs.gs.auth",           "access.key",      "oauth",         "private.key"};
	char lower[256];
	size_t i;

	if (name.len >= sizeof(lower))
		return true;
	for (i = 0; i < name.len; i++)
		lower[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
	lower[i] = 0;
	return has_word(lower, ends, ARRAY_LEN(ends), true) ||
	       has_word(lower, parts, ARRAY_LEN(parts), false) || has_userinfo(value);
}

struct dump {
	FILE *f;
	enum settings_format format;
	struct slice only;
	unsigned written;
};

static void dump_one(struct dump *d, struct slice name, struct slice raw, struct slice value, bool final,
		     const char *source)
{
	bool secret_one = settings_is_secret(name, value);

	if (d->only.len && !slice_eq(d->only, name))
		return;
	if (d->format == SETTINGS_XML) {
		if (d->written == 0)
			fputs("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><configuration>\n",
			      d->f);
		fputs("<property><name>", d->f);
		text_xml(d->f, name);
		fputs("</name><value>", d->f);
		text_xml(d->f, secret_one ? slice_str("******") : raw);
		fprintf(d->f, "</value><final>%s</final><source>", final ? "true" : "false");
		text_xml(d->f, slice_str(source));
		fputs("</source></property>\n", d->f);
	} else {
		if (d->written == 0)
			fputs(d->only.len ? "{\"property\":" : "{\"properties\":[", d->f);
		else
			fputc(',', d->f);
		fputs("{\"key\":", d->f);
		text_json(d->f, name);
		fputs(",\"value\":", d->f);
		text_json(d->f, secret_one ? slice_str("<redacted>") : value);
		fprintf(d->f, ",\"isFinal\":%s,\"resource\":", final ? "true" : "false");
		text_json(d->f, slice_str(source));
		fputc('}', d->f);
	}
	d->written++;
}

static const char *default_source(const struct row *r)
{
	if (strncmp(r->name, "svsm.", 5) == 0)
		return "built-in";
	return (r->flags & KMS_DEFAULT) ? "kms-default.xml" : "core-default.xml";
}

bool settings_dump(const struct settings *s, const struct conf *c, enum settings_format format,
		   struct slice name, FILE *f)
{
	struct dump d = {.f = f, .format = format, .only = name};
	const struct conf_prop *p;
	size_t at = 0, i;

	for (i = 0; i < SET_COUNT; i++)
		if (!s->value[i].set && !(table[i].flags & SSL_FILE))
			dump_one(&d, slice_str(table[i].name), slice_str(table[i].value),
				 slice_str(table[i].value), false, default_source(&table[i]));
	while ((p = conf_next(c, CONF_SITE, "", &at))) {
		const struct row *r = row_find(p->name);

		if (!r || s->value[r - table].set)
			dump_one(&d, p->name, p->raw, p->value, p->final, base_name(p->file));
	}
	if (!d.written)
		return false;
	fputs(format == SETTINGS_XML ? "</configuration>\n" : name.len ? "}" : "]}", f);
	return true;
}
