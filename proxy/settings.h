/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the server reads from its configuration, in one table: Hadoop's names with Hadoop's
 * defaults, and ours under svsm.kms. From the same table come the documentation (settings_print_table),
 * /conf (settings_dump) and the list handed to the trusted core (settings_core_next).
 *
 * Trusts the operator's intent, not the spelling: a name under svsm.kms. that does not exist or a value
 * that cannot be read is refused with file, line and remedy. What Hadoop knows and this server does not need
 * is accepted with a notice. What would silently weaken security if ignored (groups in
 * blacklists that nobody looks up) is refused.
 */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include <stdio.h>

#include "base/base.h"
#include "proxy/xml_conf.h"

enum setting {
	/* Hadoop's, used by the proxy */
	SET_HTTP_HOST,
	SET_HTTP_PORT,
	SET_HTTP_ADMINISTRATORS,
	SET_SECURITY_AUTHORIZATION,
	SET_INSTRUMENTATION_ADMIN,
	SET_HEADER_MAX,
	SET_BACKLOG,
	SET_IDLE_TIMEOUT,
	SET_AUDIT_WINDOW,
	SET_METRICS_PROCESS,
	SET_METRICS_SESSION,
	SET_PROMETHEUS,
	SET_SECRET_FILE,
	/* Hadoop's, TLS; those from SET_SSL_FIRST_IN_FILE on are in ssl-server.xml */
	SET_SSL_ENABLED,
	SET_SSL_CONF,
	SET_SSL_PROTOCOLS,
	SET_SSL_FIRST_IN_FILE,
	SET_SSL_KEYSTORE = SET_SSL_FIRST_IN_FILE,
	SET_SSL_KEYSTORE_TYPE,
	SET_SSL_KEYSTORE_PASSWORD,
	SET_SSL_KEY_PASSWORD,
	SET_SSL_TRUSTSTORE,
	SET_SSL_TRUSTSTORE_TYPE,
	SET_SSL_TRUSTSTORE_PASSWORD,
	SET_SSL_NEED_CLIENT,
	SET_SSL_EXCLUDE,
	SET_SSL_RELOAD,
	SET_SSL_RELOAD_OLD,
	/* Hadoop's, decided by the core */
	SET_AUTH_TYPE,
	SET_AUTH_ANONYMOUS,
	SET_KRB_PRINCIPAL,
	SET_KRB_KEYTAB,
	SET_KRB_RULES,
	SET_KRB_MECHANISM,
	SET_KRB_MECHANISM_ALL,
	SET_KRB_WHITELIST,
	SET_SCHEMES,
	SET_SCHEMES_DT,
	SET_SCHEME_NEGOTIATE,
	SET_TOKEN_VALIDITY,
	SET_TOKEN_INACTIVE,
	SET_COOKIE_DOMAIN,
	SET_COOKIE_PATH,
	SET_COOKIE_PERSISTENT,
	SET_SECRET_PROVIDER,
	SET_DT_UPDATE,
	SET_DT_LIFETIME,
	SET_DT_RENEW,
	SET_DT_SCAN,
	SET_KEY_AUTHORIZATION,
	SET_CIPHER_SUITE,
	SET_KEY_CIPHER,
	SET_KEY_BITS,
	SET_STATIC_GROUPS,
	/* ours */
	SET_DATA_DIR,
	SET_LISTEN,
	SET_CHANNEL,
	SET_WORKERS,
	SET_PIN,
	SET_SPIN_US,
	SET_CONNECTIONS_MAX,
	SET_BODY_MAX,
	SET_EEK_MAX,
	SET_ATTEST_DIR,
	SET_TIMEOUT_HEADER,
	SET_TIMEOUT_BODY,
	SET_TIMEOUT_WRITE,
	SET_GROUPS_OS,
	SET_KRB_REALM,
	SET_KRB_SKEW,
	SET_AUDIT_FILE,
	SET_AUDIT_CHAIN_FILE,
	SET_AUDIT_ON_FAILURE,
	SET_AUDIT_CHECKPOINT_MS,
	SET_AUDIT_CHECKPOINT_ENTRIES,
	SET_STORE_MAP_MAX,
	SET_STORE_EPOCH_MIN,
	SET_RECOVERY_KEY,
	SET_DT_PER_USER,
	SET_CORE_MEMORY_MAX,
	SET_SSL_CERT_FILE,
	SET_SSL_KEY_FILE,
	SET_SSL_CLIENT_AUTH,
	SET_SSL_SECURITY_LEVEL,
	SET_TIMEOUT_HANDSHAKE,
	SET_HANDSHAKES_MAX,
	SET_FAILED_LOGINS,
	/* Hadoop's without meaning here: accepted, so that existing files work */
	SET_KEY_PROVIDER_URI,
	SET_KEY_PROVIDER_URI_OLD,
	SET_GROUP_MAPPING,
	SET_NOTHING_FIRST,
	SET_COUNT = SET_NOTHING_FIRST + 14,
};

enum settings_level {
	SETTINGS_NOTICE,  /* accepted, has no effect here */
	SETTINGS_WARNING, /* probably not what was meant */
};

struct settings_notice {
	enum settings_level level;
	const char *text; /* "file:line: ..." */
};

struct settings;

/*
 * Reads and checks a configuration. The settings keep no reference to c and belong to the caller.
 * RC_BAD_INPUT: something is refused, err says what; RC_MACHINE: the secret file cannot be read; RC_NO_ROOM.
 */
enum rc settings_read(const struct conf *c, struct settings **out, struct conf_error *err);

/* Wipes the signature secret. NULL is fine. */
void settings_free(struct settings *s);

/* Numbers, sizes in bytes, durations in the unit of their name (.ms, .sec, else see the table), booleans as 0
 * or 1. */
int64_t settings_int(const struct settings *s, enum setting id);
MUST_CHECK bool settings_bool(const struct settings *s, enum setting id);

/* Any setting as NUL-terminated text, trimmed; "" when it is empty. Valid until settings_free(). */
const char *settings_str(const struct settings *s, enum setting id);

/* Whether a file sets it, even to its default. */
MUST_CHECK bool settings_is_set(const struct settings *s, enum setting id);

/* The name and one line of help of a setting. */
const char *settings_name(enum setting id);

/* Start with *at = 0; NULL at the end. */
const struct settings_notice *settings_notice_next(const struct settings *s, size_t *at);

/*
 * What cookies are signed with, when hadoop.kms.authentication.signer.secret.provider is "file": the content
 * of the file. Empty: the core makes a random secret. Valid until settings_free(). A secret: never log it.
 */
struct slice settings_signature_secret(const struct settings *s);

/* Whether the authentication type looks at Kerberos tickets. */
MUST_CHECK bool settings_kerberos(const struct settings *s);

/*
 * The content of the keytab file. Empty: the type is simple, or there is no such file, since the core has taken the keys
 * into the store. Valid until settings_free(). A secret: never log it.
 */
struct slice settings_keytab(const struct settings *s);
/* Where that file is to be; ${user.home} of Hadoop's default is filled in. */
void settings_keytab_path(const struct settings *s, char *out, size_t room);
/* The core has it in its store: nothing here is to know it any longer. */
void settings_keytab_forget(struct settings *s);

/*
 * Checks the access control lists; called by settings_read() and settings_reload_acls(). Notices about ACLs
 * found earlier are replaced. RC_BAD_INPUT: a blacklist names groups, but there is no source of
 * groups.
 */
enum rc settings_check_acls(struct settings *s, const struct conf *c, struct conf_error *err);

/*
 * To be called when conf_acls_changed(): reads kms-acls.xml again and checks it. On any error the ACLs in
 * force and their notices stay; the caller logs err and goes on.
 */
enum rc settings_reload_acls(struct settings *s, struct conf *c, struct conf_error *err);

/*
 * What the trusted core is told, one (name, value) after the other; start with a zeroed iterator, false at
 * the end. Settings of the table come with their defaults filled in and normalised: "true"/"false", plain
 * decimal numbers. ACLs and proxy users come as they are written (values are not trimmed: a single blank is
 * meaningful). Names occur once. The slices are valid as long as s and c.
 */
struct settings_core_iter {
	unsigned phase;
	size_t at;
};
MUST_CHECK bool settings_core_next(const struct settings *s, const struct conf *c,
				   struct settings_core_iter *it, struct slice *name, struct slice *value);

/* The table as markdown, for docs/operations.md. */
void settings_print_table(FILE *f);

enum settings_format { SETTINGS_XML, SETTINGS_JSON };

/*
 * The configuration in force as Hadoop's /conf shows it, secrets replaced. name: one property only, or an
 * empty slice for all. False: there is no such property (nothing was written; Hadoop answers 404 "Property x
 * not found").
 */
MUST_CHECK bool settings_dump(const struct settings *s, const struct conf *c, enum settings_format format,
			      struct slice name, FILE *f);

/* Whether the value of a property must not be shown. */
MUST_CHECK bool settings_is_secret(struct slice name, struct slice value);

#endif
