/* SPDX-License-Identifier: Apache-2.0 */
/* From Hadoop's settings to struct tls_options; see tls.h. */
#include <stdio.h>

#include "proxy/settings.h"
#include "proxy/text.h"
#include "proxy/tls.h"

/* Hadoop takes file names and file: addresses. A relative one starts in the configuration directory. */
MUST_CHECK static bool place(const struct conf *c, const char *name, char out[4096])
{
	const char *dir = conf_dir(c);
	int n;

	if (strncmp(name, "file://", 7) == 0)
		name += 7;
	else if (strncmp(name, "file:/", 6) == 0)
		name += 5;
	if (*name == '/' || !*name || !dir)
		n = snprintf(out, 4096, "%s", name);
	else
		n = snprintf(out, 4096, "%s/%s", dir, name);
	return n >= 0 && n < 4096;
}

/* As it is written, blanks included; NULL when it is not set. */
static const char *password(const struct conf *c, enum setting id)
{
	const struct conf_prop *p = conf_find(c, CONF_SSL, slice_str(settings_name(id)));

	return p ? (const char *)p->value.p : NULL;
}

static enum rc refuse(struct keystore_error *err, const char *text)
{
	snprintf(err->text, sizeof(err->text), "%s", text);
	return RC_BAD_INPUT;
}

static enum rc choose_identity(const struct settings *s, const struct conf *c, struct tls_options *o,
			       struct tls_paths *paths, struct keystore_error *err)
{
	bool pem = *settings_str(s, SET_SSL_CERT_FILE);

	o->identity.setting = settings_name(pem ? SET_SSL_CERT_FILE : SET_SSL_KEYSTORE);
	if (!place(c, settings_str(s, pem ? SET_SSL_CERT_FILE : SET_SSL_KEYSTORE), paths->identity) ||
	    !place(c, settings_str(s, SET_SSL_KEY_FILE), paths->key))
		return refuse(err, "the name of the key store's file is too long");
	if (!*paths->identity)
		return refuse(err, "hadoop.kms.ssl.enabled is true, but there is no certificate; set "
				   "ssl.server.keystore.location in ssl-server.xml, "
				   "or svsm.kms.ssl.certificate.file in kms-site.xml");
	o->identity.file = paths->identity;
	o->identity.key_file = *paths->key ? paths->key : NULL;
	o->identity.type = settings_str(s, SET_SSL_KEYSTORE_TYPE);
	o->identity.password = password(c, SET_SSL_KEYSTORE_PASSWORD);
	o->identity.key_password = password(c, SET_SSL_KEY_PASSWORD);
	return RC_OK;
}

static enum rc choose_trust(const struct settings *s, const struct conf *c, struct tls_options *o, struct tls_paths *paths,
			    struct keystore_error *err)
{
	const char *auth = settings_str(s, SET_SSL_CLIENT_AUTH);

	if (settings_bool(s, SET_SSL_NEED_CLIENT) || strcmp(auth, "required") == 0)
		o->client_auth = TLS_CLIENT_REQUIRED;
	else if (strcmp(auth, "optional") == 0)
		o->client_auth = TLS_CLIENT_OPTIONAL;
	if (o->client_auth == TLS_CLIENT_NONE)
		return RC_OK;
	if (!place(c, settings_str(s, SET_SSL_TRUSTSTORE), paths->trust))
		return refuse(err, "the name of the trust store's file is too long");
	if (!*paths->trust)
		return refuse(err, "client certificates are asked for, but nothing says which to trust; set "
				   "ssl.server.truststore.location in ssl-server.xml");
	o->trust.file = paths->trust;
	o->trust.type = settings_str(s, SET_SSL_TRUSTSTORE_TYPE);
	o->trust.password = password(c, SET_SSL_TRUSTSTORE_PASSWORD);
	o->trust.setting = settings_name(SET_SSL_TRUSTSTORE);
	return RC_OK;
}

/* "TLSv1.2" alone is Hadoop's default and means whatever is safe; anything else is a list. */
static enum rc choose_protocols(const char *list, struct tls_options *o, struct keystore_error *err)
{
	struct slice rest = slice_str(list), one;

	o->tls12 = o->tls13 = strcmp(list, "TLSv1.2") == 0;
	while (rest.len) {
		const uint8_t *comma = memchr(rest.p, ',', rest.len);

		one = text_trim(slice_of(rest.p, comma ? (size_t)(comma - rest.p) : rest.len));
		rest = comma ? slice_of(comma + 1, rest.len - (size_t)(comma + 1 - rest.p)) : slice_of(rest.p, 0);
		o->tls12 |= text_is_nocase(one, "TLSv1.2");
		o->tls13 |= text_is_nocase(one, "TLSv1.3");
	}
	if (o->tls12 || o->tls13)
		return RC_OK;
	return refuse(err, "hadoop.ssl.enabled.protocols names neither TLSv1.2 nor TLSv1.3; older protocols are broken and not "
			   "spoken here. Add TLSv1.2");
}

enum rc tls_options_of(const struct settings *s, const struct conf *c, struct tls_options *out, struct tls_paths *paths,
		       struct keystore_error *err)
{
	struct tls_options o = {
		.exclude = settings_str(s, SET_SSL_EXCLUDE),
		.security_level = (unsigned)settings_int(s, SET_SSL_SECURITY_LEVEL),
	};
	enum rc rc;

	memset(paths, 0, sizeof(*paths));
	rc = choose_identity(s, c, &o, paths, err);
	if (rc == RC_OK)
		rc = choose_trust(s, c, &o, paths, err);
	if (rc == RC_OK)
		rc = choose_protocols(settings_str(s, SET_SSL_PROTOCOLS), &o, err);
	if (rc == RC_OK)
		*out = o;
	return rc;
}
