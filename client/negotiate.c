/* SPDX-License-Identifier: Apache-2.0 */
/* Logins by ticket; see negotiate.h. */
#include "client/negotiate.h"

#include <dlfcn.h>
#include <gssapi/gssapi_ext.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRARY "libgssapi_krb5.so.2"

/* What is used of the library; the rows of `symbols` are in the same order. */
struct gss {
	typeof(gss_import_name) *import_name;
	typeof(gss_release_name) *release_name;
	typeof(gss_acquire_cred) *acquire_cred;
	typeof(gss_set_neg_mechs) *set_neg_mechs;
	typeof(gss_release_cred) *release_cred;
	typeof(gss_init_sec_context) *init_sec_context;
	typeof(gss_delete_sec_context) *delete_sec_context;
	typeof(gss_release_buffer) *release_buffer;
	typeof(gss_display_status) *display_status;
};

static const struct {
	const char *name;
	size_t at;
} symbols[] = {
#define ROW(f) { "gss_" #f, offsetof(struct gss, f) }
	ROW(import_name), ROW(release_name), ROW(acquire_cred), ROW(set_neg_mechs), ROW(release_cred),
	ROW(init_sec_context), ROW(delete_sec_context), ROW(release_buffer), ROW(display_status),
#undef ROW
};
_Static_assert(sizeof(struct gss) == ARRAY_LEN(symbols) * sizeof(void (*)(void)), "a symbol for each function");

struct negotiate {
	struct gss gss;
	gss_name_t server;
	gss_cred_id_t cred;
	gss_ctx_id_t context;
	bool proven;
};

#define OID(bytes) { sizeof(bytes) - 1, (void *)(uintptr_t)(bytes) }
static gss_OID_desc spnego = OID("\x2b\x06\x01\x05\x05\x02");			     /* 1.3.6.1.5.5.2, RFC 4178 */
static gss_OID_desc kerberos = OID("\x2a\x86\x48\x86\xf7\x12\x01\x02\x02");	     /* 1.2.840.113554.1.2.2, RFC 1964 */
static gss_OID_desc user_name = OID("\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x01");     /* GSS_C_NT_USER_NAME, RFC 2743 */
static gss_OID_desc host_service = OID("\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"); /* GSS_C_NT_HOSTBASED_SERVICE */

/* Words of MIT's, Java's and our core's errors. The first that fits counts. */
static const struct {
	const char *words, *advice;
} advices[] = {
	{ "Can't find client principal", "run kinit for it, or leave out --user to be who has a ticket" },
	{ "does not match desired name", "run kinit for it, or leave out --user to be who has a ticket" },
	{ "No Kerberos credentials available", "run kinit; klist shows the tickets there are" },
	{ "No credentials cache found", "run kinit; klist shows the tickets there are" },
	{ "credentials cache", "run kinit; klist shows the tickets there are" },
	{ "xpired", "run kinit: the ticket's time is over" },
	{ "not yet valid", "compare the clocks of this machine, the server and the KDC" },
	{ "Clock skew", "set the clocks: this machine, the server and the KDC must agree within minutes" },
	{ "not found in Kerberos database",
	  "the KDC does not know that server: the address (--url, --from) must have the host name of its keytab" },
	{ "ticket is not for us", "the address (--url, --from) must have the host name that the server's keytab is for" },
	{ "Cannot find KDC", "krb5.conf ($KRB5_CONFIG, else /etc/krb5.conf) does not say where the realm's KDC is" },
	{ "Cannot contact any KDC", "krb5.conf ($KRB5_CONFIG, else /etc/krb5.conf) says where it is looked for" },
	{ "does not specify default realm", "set default_realm in krb5.conf ($KRB5_CONFIG, else /etc/krb5.conf)" },
	{ "Checksum failed", "the server's keytab and the KDC have other keys: write a new keytab there, kinit here" },
	{ "Cannot find key", "the server's keytab and the KDC have other keys: write a new keytab there, kinit here" },
	{ "encryption type", "the KDC, krb5.conf here and the server must share an AES encryption type" },
	{ "etype", "the KDC, krb5.conf here and the server must share an AES encryption type" },
};

const char *negotiate_advice(const char *error)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(advices); i++) {
		if (strstr(error, advices[i].words))
			return advices[i].advice;
	}
	return "";
}

/* Once for the whole program: the library keeps state and must not be closed. */
MUST_CHECK static bool open_library(struct gss *g, char *why, size_t why_len)
{
	void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	void *f;
	size_t i;

	for (i = 0; lib && i < ARRAY_LEN(symbols); i++) {
		f = dlsym(lib, symbols[i].name);
		if (!f)
			break;
		memcpy((uint8_t *)g + symbols[i].at, &f, sizeof(f));
	}
	if (lib && i == ARRAY_LEN(symbols))
		return true;
	snprintf(why, why_len, "a login with a Kerberos ticket needs " LIBRARY "; remedy: apt-get install libgssapi-krb5-2, or "
		 "show a delegation token with --token");
	return false;
}

/* Adds the first line that the library has about a code. */
static void add_status(struct negotiate *n, OM_uint32 code, int kind, gss_OID mech, struct buf *to)
{
	gss_buffer_desc text = { 0 };
	OM_uint32 more = 0, minor;

	if (n->gss.display_status(&minor, code, kind, mech, &more, &text) == GSS_S_COMPLETE)
		buf_put(to, text.value, text.length);
	(void)n->gss.release_buffer(&minor, &text);
}

static enum rc explain(struct negotiate *n, OM_uint32 major, OM_uint32 minor, gss_OID mech, char *why, size_t why_len)
{
	BUF text = { .max = 1024 };
	const char *error, *advice;

	if (minor)
		add_status(n, minor, GSS_C_MECH_CODE, mech, &text);
	if (!text.len)
		add_status(n, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &text);
	error = text.len && buf_text(&text) ? buf_text(&text) : "no reason given";
	advice = negotiate_advice(error);
	snprintf(why, why_len, "no login by Kerberos: %s%s%s", error, advice[0] ? "; " : "", advice);
	return RC_DENIED;
}

MUST_CHECK static bool import_name(struct negotiate *n, const char *text, gss_OID kind, gss_name_t *out, char *why,
				   size_t why_len)
{
	gss_buffer_desc b = { .length = strlen(text), .value = (void *)(uintptr_t)text };
	OM_uint32 major, minor;

	major = n->gss.import_name(&minor, &b, kind, out);
	if (!GSS_ERROR(major))
		return true;
	(void)explain(n, major, minor, GSS_C_NO_OID, why, why_len);
	return false;
}

/*
 * The ticket, for Kerberos alone: whatever else the library could negotiate is not asked for a login. Kerberos is asked
 * first, since SPNEGO tells no reason.
 */
MUST_CHECK static bool find_ticket(struct negotiate *n, const char *principal, char *why, size_t why_len)
{
	gss_OID_set_desc only_spnego = { 1, &spnego }, only_kerberos = { 1, &kerberos };
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 major, minor, ignored;
	gss_OID mech = &kerberos;

	if (principal && !import_name(n, principal, &user_name, &name, why, why_len))
		return false;
	major = n->gss.acquire_cred(&minor, name, GSS_C_INDEFINITE, &only_kerberos, GSS_C_INITIATE, &n->cred, NULL, NULL);
	if (!GSS_ERROR(major)) {
		mech = &spnego;
		(void)n->gss.release_cred(&ignored, &n->cred);
		major = n->gss.acquire_cred(&minor, name, GSS_C_INDEFINITE, &only_spnego, GSS_C_INITIATE, &n->cred, NULL, NULL);
	}
	if (!GSS_ERROR(major))
		major = n->gss.set_neg_mechs(&minor, n->cred, &only_kerberos);
	(void)n->gss.release_name(&ignored, &name);
	if (!GSS_ERROR(major))
		return true;
	(void)explain(n, major, minor, mech, why, why_len);
	return false;
}

struct negotiate *negotiate_new(const char *host, const char *principal, char *why, size_t why_len)
{
	struct negotiate *n = calloc(1, sizeof(*n));
	char service[300];

	if (!n) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	if (!open_library(&n->gss, why, why_len)) {
		free(n);
		return NULL;
	}
	snprintf(service, sizeof(service), "HTTP@%s", host);
	if (import_name(n, service, &host_service, &n->server, why, why_len) && find_ticket(n, principal, why, why_len))
		return n;
	negotiate_free(n);
	return NULL;
}

void negotiate_free(struct negotiate *n)
{
	OM_uint32 minor;

	if (!n)
		return;
	(void)n->gss.delete_sec_context(&minor, &n->context, GSS_C_NO_BUFFER);
	(void)n->gss.release_cred(&minor, &n->cred);
	(void)n->gss.release_name(&minor, &n->server);
	free(n);
}

enum rc negotiate_step(struct negotiate *n, struct slice answer, struct buf *token, char *why, size_t why_len)
{
	gss_buffer_desc in = { .length = answer.len, .value = (void *)(uintptr_t)answer.p }, out = { 0 };
	OM_uint32 major, minor = 0, flags = 0, ignored;

	if (n->proven) {
		snprintf(why, why_len, "the server goes on with a login that is complete");
		return RC_DENIED;
	}
	major = n->gss.init_sec_context(&minor, n->cred, &n->context, n->server, &spnego, GSS_C_MUTUAL_FLAG, 0,
					GSS_C_NO_CHANNEL_BINDINGS, &in, NULL, &out, &flags, NULL);
	if (out.length && !GSS_ERROR(major))
		buf_put(token, out.value, out.length);
	(void)n->gss.release_buffer(&ignored, &out);
	if (GSS_ERROR(major) && answer.len) {
		snprintf(why, why_len, "the server does not prove that it is who the ticket is for: its answer to the login is "
			 "wrong; nothing more is sent to it");
		return RC_DENIED;
	}
	if (GSS_ERROR(major))
		return explain(n, major, minor, &spnego, why, why_len);
	if (!buf_ok(token) || (!token->len && (major & GSS_S_CONTINUE_NEEDED))) {
		snprintf(why, why_len, "the login by Kerberos cannot go on: the library has nothing to send");
		return RC_DENIED;
	}
	if (major & GSS_S_CONTINUE_NEEDED)
		return RC_BUSY;
	n->proven = (flags & GSS_C_MUTUAL_FLAG) != 0;
	if (n->proven)
		return RC_OK;
	snprintf(why, why_len, "the server does not prove that it is who the ticket is for; nothing more is sent to it");
	return RC_DENIED;
}
