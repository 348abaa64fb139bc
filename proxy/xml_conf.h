/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hadoop's configuration files: core-site.xml, kms-site.xml and kms-acls.xml, read as Hadoop's own
 * Configuration class reads them, so that files of an existing installation mean the same here.
 *
 * - <name> is trimmed, <value> is not; <property name="" value=""/> is understood too.
 * - An empty <value></value> sets nothing (it is noted, because it surprises people); value="" does.
 * - A later definition wins unless an earlier one was <final>true</final>.
 * - ${name} is replaced: ${env.X}, ${env.X-default}, ${env.X:-default}, the common Java system
 *   properties, then other properties of the same list; at most 20 times; unknown names stay as they are.
 * - <xi:include href="other.xml"/> reads a file of the same directory, at most 4 deep.
 * - core-site.xml and kms-site.xml form one list, kms-acls.xml another, ssl-server.xml a third: none sees another.
 *   The third is read only where hadoop.kms.ssl.enabled is true.
 *
 * Trusts the files to be the operator's, not to be well formed or small: sizes are bounded, document
 * types (and so entities) are refused. All texts are NUL-terminated UTF-8 without inner NULs.
 */
#ifndef PROXY_XML_CONF_H
#define PROXY_XML_CONF_H

#include "base/base.h"

#define CONF_FILE_MAX (16u << 20)  /* bytes of one file */
#define CONF_VALUE_MAX (1u << 20)  /* bytes of one value after substitution */
#define CONF_PROPS_MAX 500000u     /* properties of one list */
#define CONF_TEXT_MAX (128u << 20) /* bytes of all texts of one list */

enum conf_list {
	CONF_SITE, /* core-site.xml, then kms-site.xml */
	CONF_ACLS, /* kms-acls.xml */
	CONF_SSL,  /* ssl-server.xml, or the file that hadoop.ssl.server.conf names */
	CONF_LISTS,
};

struct conf_prop {
	struct slice name;
	struct slice value; /* after substitution; p is NULL: final, but never set */
	struct slice raw;   /* as written in the file */
	const char *file;   /* path of the file; "built-in" for conf_default() */
	unsigned line;
	bool final;
};

/* What is legal and yet probably not what its writer meant. */
enum conf_note_kind {
	CONF_NOTE_EMPTY,    /* <value></value>: counts as not set */
	CONF_NOTE_FINAL,    /* ignored, an earlier definition is final */
	CONF_NOTE_TWICE,    /* replaces an earlier definition in the same file */
	CONF_NOTE_MISSING,  /* the file does not exist; name is empty */
	CONF_NOTE_WRITABLE, /* anybody may write the file; name is empty */
};

struct conf_note {
	enum conf_note_kind kind;
	struct slice name;
	const char *file;
	unsigned line;
};

/* "file:line: what is wrong; what to do", ready to print. Empty when there was no error. */
struct conf_error {
	char text[1024];
};

struct conf;

/*
 * Reads the files of a directory. kms-site.xml and kms-acls.xml must exist, core-site.xml may be absent.
 * The result belongs to the caller, who frees it with conf_free().
 * RC_BAD_INPUT: a file is missing or wrong, RC_MACHINE: it cannot be read, RC_NO_ROOM: over a limit above.
 */
enum rc conf_load_dir(const char *dir, struct conf **out, struct conf_error *err);

/* What a server without a configuration directory runs with: simple authentication, loopback only, all ACLs
 * open. */
enum rc conf_default(struct conf **out, struct conf_error *err);

/* An empty configuration, to be filled by conf_parse(); for tests and tools. NULL when out of memory. */
struct conf *conf_new(void);

/*
 * Adds the properties of one document to a list; xml need not outlive the call. Includes are refused. Values
 * are substituted by conf_seal(), to be called once all documents of the list were added.
 */
enum rc conf_parse(struct conf *c, enum conf_list list, const char *label, struct slice xml,
		   struct conf_error *err);
enum rc conf_seal(struct conf *c, enum conf_list list, struct conf_error *err);

void conf_free(struct conf *c);

/* The directory given to conf_load_dir(), or NULL. */
const char *conf_dir(const struct conf *c);

/*
 * The property in force, or NULL when it is not set. Valid until conf_free(); those of CONF_ACLS until
 * a conf_acls_reload() that returns RC_OK.
 */
const struct conf_prop *conf_find(const struct conf *c, enum conf_list list, struct slice name);

/* The value of a property of CONF_SITE, or NULL when it is not set. */
const struct slice *conf_get(const struct conf *c, const char *name);

/*
 * Properties in force whose names start with prefix ("" for all), in the order of their first definition.
 * Start with *at = 0; NULL at the end.
 */
const struct conf_prop *conf_next(const struct conf *c, enum conf_list list, const char *prefix, size_t *at);

/* Notes in the order in which they were found, same convention. */
const struct conf_note *conf_note_next(const struct conf *c, enum conf_list list, size_t *at);

/*
 * Whether kms-acls.xml is another file, has another size or another modification time than when it was last
 * read. One stat(); meant to be called once a second. False when there is no directory, and false for a file
 * that conf_acls_reload() already found broken, until it changes again. A file that vanished has not changed.
 */
MUST_CHECK bool conf_acls_changed(const struct conf *c);

/*
 * Reads kms-acls.xml again. check, if not NULL, is called with the new list in place and may refuse it. On
 * any error the list in force is the one from before; the caller logs err. Not safe against concurrent
 * readers of CONF_ACLS: call it in the thread that hands the list to the core. See settings_reload_acls().
 */
enum rc conf_acls_reload(struct conf *c,
			 enum rc (*check)(void *ctx, const struct conf *c, struct conf_error *err), void *ctx,
			 struct conf_error *err);

#endif
