/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the service's answers to HTTP, JSON and audit lines. Every text that a Hadoop client or its
 * users may look for is Hadoop's (specs: REST API and errors).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/base64.h"
#include "proxy/kms.h"
#include "proxy/text.h"
#include "wire/dtoken.h"

#define AUTHORIZATION "org.apache.hadoop.security.authorize.AuthorizationException"
#define AUTHENTICATION "org.apache.hadoop.security.authentication.client.AuthenticationException"
#define ILLEGAL "java.lang.IllegalArgumentException"
#define IO "java.io.IOException"
#define UNLOGGED "The audit chain cannot be written, so nothing is done for anybody; the server's log says why"

_Static_assert((int)KMS_OP_CREATE_KEY == (int)OP_CREATE_KEY &&
		       (int)KMS_OP_REENCRYPT_EEK_BATCH == (int)OP_REENCRYPT_EEK_BATCH,
	       "operations are numbered alike");
_Static_assert((int)KMS_OP_CANCEL_TOKEN - (int)KMS_OP_GET_TOKEN == (int)DELEGATION_CANCEL - (int)DELEGATION_GET,
	       "operations of tokens are numbered alike");
_Static_assert((int)KMS_OP_ACL_ALL - (int)KMS_OP_ACL_MANAGEMENT == (int)KEYOP_ALL - (int)KEYOP_MANAGEMENT,
	       "key operations are numbered alike");

static struct slice work_name(const struct work *k)
{
	return slice_of(k->name, k->name_len);
}

/* ---- replying ---- */

static uint64_t since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)((now.tv_sec - began->tv_sec) * 1000000000ll + (now.tv_nsec - began->tv_nsec));
}

static void put_expires(struct outbuf *o, struct slice cookie)
{
	const uint8_t *e = memmem(cookie.p, cookie.len, "&e=", 3);
	struct tm tm;
	char text[64];
	time_t t;

	if (!e)
		return;
	t = (time_t)(strtoull((const char *)e + 3, NULL, 10) / 1000);
	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "; Expires=%a, %d-%b-%Y %H:%M:%S GMT", &tm))
		outbuf_str(o, text);
}

/* clear: tell the client to forget its cookie. */
static void put_cookie(struct work *k, struct slice cookie, bool clear)
{
	struct outbuf *o = &k->w->headers;
	const struct hot_settings *s = kms_hot(k->w->k);

	if (cookie.len == 0 && !clear)
		return;
	outbuf_str(o, "Set-Cookie: hadoop.auth=");
	if (cookie.len) {
		outbuf_str(o, "\"");
		outbuf_add(o, cookie);
		outbuf_str(o, "\"");
	}
	outbuf_str(o, s->cookie_suffix);
	if (cookie.len && s->cookie_persistent)
		put_expires(o, cookie);
	outbuf_str(o, server_conn_tls(k->c) ? "; Secure; HttpOnly\r\n" : "; HttpOnly\r\n");
}

/* "WWW-Authenticate: Negotiate", with what Kerberos has to tell the client. */
static void put_negotiate(struct work *k, struct slice gss)
{
	struct outbuf *o = &k->w->headers;
	size_t room = base64_std_len(gss.len), len;
	uint8_t *to;

	outbuf_str(o, gss.len ? "WWW-Authenticate: Negotiate " : "WWW-Authenticate: Negotiate");
	to = outbuf_room(o, room + 1);
	if (to && base64_std_encode(gss, to, room, &len))
		outbuf_used(o, len);
	outbuf_str(o, "\r\n");
}

static void send(struct work *k, unsigned status, const char *reason, const char *type)
{
	struct kms_worker *w = k->w;
	struct reply r = {
		.status = status,
		.reason = reason,
		.content_type = type,
		.headers = slice_of(w->headers.len ? w->headers.p : (const uint8_t *)"", w->headers.len),
		.body = slice_of(w->body.len ? w->body.p : (const uint8_t *)"", w->body.len),
	};

	if (!outbuf_ok(&w->body) || !outbuf_ok(&w->headers)) {
		r = (struct reply){ .status = 503, .headers = slice_of("", 0), .body = slice_of("", 0) };
		status = 503;
	}
	metrics_request(metrics_worker(w->k->metrics, w->number), k->op, status, !k->unknown, since(&k->began));
	if (status == 200 && k->route.ep >= EP_JMX && k->route.ep <= EP_STACKS)	/* Hadoop's pages set no status: to its */
		metrics_mark(metrics_worker(w->k->metrics, w->number), METER_INVALID);	/* meter that is none of the good */
	server_reply(k->c, &r);
	work_finish(k);
}

static void begin(struct work *k, const struct wire_ans *ans)
{
	outbuf_reset(&k->w->body);
	outbuf_reset(&k->w->headers);
	if (!ans)
		return;
	if (k->route.ep != EP_DELEGATION) /* which give no cookie */
		put_cookie(k, ans->cookie.len ? ans->cookie : outbuf_slice(&k->proven_cookie), false);
	if (k->gss.len)
		put_negotiate(k, outbuf_slice(&k->gss));
}

/* ---- audit ---- */

static struct slice method_of(const struct work *k)
{
	return k->r->method_text;
}

static struct slice extra_of(struct work *k, const struct wire_ans *ans)
{
	struct outbuf *o = &k->w->scratch;
	struct cursor body = ans->body;
	struct wire_staged st;

	outbuf_reset(o);
	switch (k->op) {
	case KMS_OP_CREATE_KEY:
	case KMS_OP_IMPORT:
		outbuf_str(o, k->has_material ? "UserProvidedMaterial:true Description:" :
						"UserProvidedMaterial:false Description:");
		if (k->has_description)
			outbuf_put(o, k->description ? k->description : (const uint8_t *)"",
				   k->description ? k->description_len : 0);
		else
			outbuf_str(o, "null");
		break;
	case KMS_OP_ROLL_NEW_VERSION:
		outbuf_str(o, k->has_material ? "UserProvidedMaterial:true NewVersion:" :
						"UserProvidedMaterial:false NewVersion:");
		if (wire_staged_next(&body, &st)) {
			outbuf_add(o, st.kv.name);
			outbuf_printf(o, "@%u", st.kv.number);
		}
		break;
	case KMS_OP_REENCRYPT_EEK_BATCH: {
		uint32_t count = 0;

		if (cur_le32(&body, &count))
			outbuf_printf(o, "reencrypted %u keys", count);
		break;
	}
	default:
		break;
	}
	return slice_of(o->len ? o->p : (const uint8_t *)"", outbuf_ok(o) ? o->len : 0);
}

/* The decisions that the service made. ok: the operation took place. */
static void audit_events(struct work *k, const struct wire_ans *ans, bool ok)
{
	struct kms *s = k->w->k;
	unsigned i;

	for (i = 0; i < ans->head.events; i++) {
		const struct wire_event *e = &ans->event[i];
		struct slice key = e->has_key ? e->key : slice_of("", 0);

		if (e->status == EVENT_OK && ok)
			audit_event(s->audit, AUDIT_OK, (enum kms_op)e->op, ans->principal, key, extra_of(k, ans));
		else if (e->status == EVENT_UNAUTHORIZED)
			audit_event(s->audit, AUDIT_UNAUTHORIZED, (enum kms_op)e->op, ans->principal, key, slice_of("", 0));
		else if (e->status == EVENT_UNAUTHORIZED_KEY)
			audit_event(s->audit, AUDIT_UNAUTHORIZED,
				    (enum kms_op)((unsigned)KMS_OP_ACL_MANAGEMENT + e->op), ans->principal, key,
				    slice_of("", 0));
	}
}

/* ---- errors ---- */

static void put_error_json(struct outbuf *o, const char *exception, const char *message)
{
	const char *dot = strrchr(exception, '.'), *simple = dot ? dot + 1 : exception;
	const char *inner = strrchr(simple, '$');
	size_t line = message ? strcspn(message, "\r\n") : 0;

	outbuf_str(o, "{\n  \"RemoteException\" : {\n    \"message\" : ");
	if (message)
		outbuf_json(o, slice_of(message, line));
	else
		outbuf_str(o, "null");
	outbuf_str(o, ",\n    \"exception\" : ");
	outbuf_json(o, slice_str(inner ? inner + 1 : simple));
	outbuf_str(o, ",\n    \"javaClassName\" : ");
	outbuf_json(o, slice_str(exception));
	outbuf_str(o, "\n  }\n}");
}

void answer_refusal(struct work *k, const struct wire_ans *ans, unsigned status, const char *exception,
		    const char *message)
{
	bool audited = strcmp(exception, AUTHORIZATION) == 0 || strcmp(exception, AUTHENTICATION) == 0;

	begin(k, ans);
	if (ans)
		audit_events(k, ans, false);
	if (!audited && k->op != KMS_OP_STATUS && k->route.ep != EP_DELEGATION)
		audit_error(k->w->k->audit, ans ? ans->principal : slice_of("", 0), method_of(k),
			    slice_str(message ? message : "null"));
	if (status == 405) {
		outbuf_str(&k->w->headers, "Allow: ");
		outbuf_str(&k->w->headers, k->route.allow ? k->route.allow : "GET");
		outbuf_str(&k->w->headers, "\r\n");
	}
	put_error_json(&k->w->body, exception, message);
	send(k, status, NULL, "application/json");
}

static void put_html(struct outbuf *o, unsigned status, const char *message)
{
	const char *p;

	outbuf_printf(o, "<html>\n<head><title>Error %u</title></head>\n<body><h2>HTTP ERROR %u</h2>\n<p>",
		      status, status);
	for (p = message; *p; p++) {
		if (*p == '<')
			outbuf_str(o, "&lt;");
		else if (*p == '&')
			outbuf_str(o, "&amp;");
		else
			outbuf_put(o, p, 1);
	}
	outbuf_str(o, "</p></body>\n</html>\n");
}

/* A page for people, as a container would send it; none where a program asks. */
static void send_html(struct work *k, unsigned status, const char *message)
{
	enum http_method m = k->r->method;

	if (m != HTTP_GET && m != HTTP_POST && m != HTTP_HEAD) {
		send(k, status, message, NULL);
		return;
	}
	put_html(&k->w->body, status, message);
	send(k, status, message, "text/html;charset=utf-8");
}

static const char *note_text(const struct wire_ans *ans, char *buf, size_t room)
{
	static const char signer[] = "org.apache.hadoop.security.authentication.util.SignerException";

	switch (ans->head.note) {
	case NOTE_EMPTY_COOKIE:
		return "Unauthorized access";
	case NOTE_UNSIGNED:
		snprintf(buf, room, "%s: Invalid signed text: %.*s", signer,
			 (int)(ans->arg.len < 200 ? ans->arg.len : 200), (const char *)ans->arg.p);
		return buf;
	case NOTE_SIGNATURE:
		snprintf(buf, room, "%s: Invalid signature", signer);
		return buf;
	case NOTE_TOKEN:
		return "Invalid authentication token";
	case NOTE_TOKEN_MISSING:
		return "Invalid token string, missing attributes";
	case NOTE_TYPE:
		return "Invalid AuthenticationToken type";
	case NOTE_EXPIRED:
		return "AuthenticationToken expired";
	case NOTE_USER:
		return "Invalid user name";
	default:
		return "Authentication required";
	}
}

/* Anybody makes these lines, with nothing in hand: they must not fill the disk that the audit chain is on. */
MUST_CHECK static bool may_log(struct work *k)
{
	struct throttle *t = k->w->k->unauthenticated;
	uint64_t now = kms_coarse_ms();

	if (throttle_wait(t, encode_peer(k), now)) {
		__atomic_fetch_add(&k->w->k->not_logged, 1, __ATOMIC_RELAXED);
		return false;
	}
	throttle_refused(t, encode_peer(k), now, NULL, 0);
	return true;
}

static void answer_unauthenticated(struct work *k, const struct wire_ans *ans)
{
	char buf[400];
	const char *text = note_text(ans, buf, sizeof(buf));

	begin(k, NULL);
	put_cookie(k, slice_of("", 0), true);
	if (ans->head.num[0] == SCHEME_NEGOTIATE)
		put_negotiate(k, ans->head.note == NOTE_CONTINUE ? ans->arg : slice_of("", 0));
	else
		outbuf_str(&k->w->headers, "WWW-Authenticate: PseudoAuth\r\n");
	if (k->r->method != HTTP_OPTIONS && may_log(k)) {
		outbuf_reset(&k->w->scratch);
		outbuf_str(&k->w->scratch, server_conn_tls(k->c) ? "https://" : "http://");
		outbuf_add(&k->w->scratch, k->r->host);
		outbuf_add(&k->w->scratch, k->r->target);
		audit_unauthenticated(k->w->k->audit, slice_str(server_conn_peer(k->c)), method_of(k),
				      outbuf_slice(&k->w->scratch), slice_str(text));
	}
	send_html(k, 401, text);
}

/* A ticket that does not count: no word of how else one might try, as the reference has it. */
static void answer_negotiate(struct work *k, const struct wire_ans *ans)
{
	char text[400];

	begin(k, NULL);
	put_cookie(k, slice_of("", 0), true);
	snprintf(text, sizeof(text), "%.*s", (int)ans->arg.len, (const char *)ans->arg.p);
	send_html(k, 403, text);
}

#define ARG (int)(ans->arg.len < 1200 ? ans->arg.len : 1200), (const char *)ans->arg.p
#define USER (int)ans->user.len, (const char *)ans->user.p
#define NAME (int)k->name_len, (const char *)k->name
#define NUM(i) (unsigned long long)ans->head.num[i]

struct java_error {
	unsigned status;
	const char *exception;
	const char *text;	/* NULL: error_text() composes it */
};

/* What each error of the service is for a Hadoop client. The texts follow in error_text(). */
static const struct java_error java_errors[E_COUNT_] = {
	[E_OP_DENIED] = { 403, AUTHORIZATION, NULL },
	[E_KEY_DENIED] = { 403, AUTHORIZATION, NULL },
	[E_CREATE_DENIED] = { 403, AUTHORIZATION, NULL },
	[E_DO_AS_DENIED] = { 403, AUTHORIZATION, NULL },
	[E_TOKEN] = { 403, AUTHENTICATION, NULL },
	[E_NAME_NULL] = { 400, ILLEGAL,
			"Parameter 'name' cannot be null" },
	[E_NAME_EMPTY] = { 400, ILLEGAL, NULL },
	[E_UPPERCASE] = { 400, ILLEGAL, NULL },
	[E_LIMIT] = { 400, ILLEGAL, NULL },
	[E_ACL_NAME_TWICE] = { 400, ILLEGAL, NULL },
	[E_EXISTS] = { 500, IO, NULL },
	[E_NO_KEY] = { 500, IO, NULL },
	[E_NO_METADATA] = { 500, IO, NULL },
	[E_GENERATE_NO_KEY] = { 500, IO, NULL },
	[E_MATERIAL_LENGTH] = { 500, IO, NULL },
	[E_KEY_SIZE] = { 400, "java.security.InvalidParameterException",
			"Wrong keysize: must be equal to 128, 192 or 256" },
	[E_ALGORITHM] = { 500, "java.lang.reflect.UndeclaredThrowableException", NULL },
	[E_VERSION_NOT_FOUND] = { 400, ILLEGAL, NULL },
	[E_VERSION_NOT_FOUND_NOAUTH] = { 500, "java.lang.NullPointerException", NULL },
	[E_VERSION_MISMATCH] = { 400, ILLEGAL, NULL },
	[E_IV_LENGTH] = { 500, IO,
			"java.security.InvalidAlgorithmParameterException: Wrong IV length: must be 16 bytes long" },
	[E_CIPHER_KEY] = { 500, IO, NULL },
	[E_FULL] = { 503, IO, NULL },
	[E_NO_MEMORY] = { 503, IO,
			"The key service has no memory left; delete keys, or raise the limit of locked memory (ulimit -l)" },
	[E_NOT_READY] = { 503, IO,
			"The key service is starting; try again" },
	[E_KEYTAB] = { 503, IO,
			"The key service has no Kerberos keys" },
	[E_NO_CONFIG] = { 503, IO,
			"The key service is starting; try again" },
	[E_TOO_BIG] = { 413, ILLEGAL,
			"The answer is larger than one call to the key service can be; ask for less at a time" },
	[E_RANDOM] = { 503, IO,
			"The random source failed its tests; nothing was generated" },
	[E_AUDIT] = { 503, IO, UNLOGGED },
	[E_GROUPS] = { 503, IO,
			"Who is asking changed while the groups were looked up; try again" },
};

static void full_text(const struct wire_ans *ans, char *t, size_t n)
{
	static const char *const what[] = {
		[LIMIT_KEYS] = "the number of keys",
		[LIMIT_MEMORY] = "the memory for keys (svsm.kms.core.memory.max)",
		[LIMIT_VERSIONS] = "the number of versions of one key",
		[LIMIT_PENDING] = "the number of changes under way; try again",
		[LIMIT_MEMLOCK] = "the memory that may be locked (ulimit -l)",
		[LIMIT_TOKENS] =
			"the number of delegation tokens of one user (svsm.kms.delegation-token.max-per-user)",
	};
	uint64_t i = ans->head.num[0];

	snprintf(t, n, "The key service is full: %s", i > 0 && i < ARRAY_LEN(what) ? what[i] : "a limit is reached");
}

static void denied_text(enum wire_err e, const struct wire_ans *ans, char *t, size_t n)
{
	const char *op = e == E_KEY_DENIED ? wire_keyop_name((unsigned)ans->head.num[0]) :
					     wire_op_name((unsigned)ans->head.num[0]);

	if (e == E_CREATE_DENIED)
		snprintf(t, n, "User [%.*s] is not authorized to create key !!", USER);
	else if (e == E_KEY_DENIED)
		snprintf(t, n, "User [%.*s] is not authorized to perform [%s] on key with ACL name [%.*s]!!", USER, op, ARG);
	else if (ans->head.num[1])
		snprintf(t, n, "User:%.*s not allowed to do '%s' on '%.*s'", USER, op, ARG);
	else
		snprintf(t, n, "User:%.*s not allowed to do '%s'", USER, op);
}

/* Addresses as Java shows them, with a slash in front. */
static void do_as_text(struct work *k, const struct wire_ans *ans, char *t, size_t n)
{
	/* Operations on tokens name the short one, as the reference does. */
	struct slice who = k->route.ep == EP_DELEGATION ? ans->user : ans->principal;

	if (ans->head.num[0] == DO_AS_HOST)
		snprintf(t, n, "Unauthorized connection for super-user: %.*s from IP /%s", (int)who.len,
			 (const char *)who.p, server_conn_peer(k->c));
	else
		snprintf(t, n, "User: %.*s is not allowed to impersonate %.*s", (int)who.len,
			 (const char *)who.p, ARG);
}

/* Texts around the key's name; before is NULL where there is none. */
struct name_text {
	const char *before, *after;
};

static struct name_text name_text_of(enum wire_err e, enum kms_op op)
{
	static const struct name_text texts[] = {
		[E_UPPERCASE] = { "Uppercase key names are unsupported: ", "" },
		[E_ACL_NAME_TWICE] = { "Multiple entries with same key: key.acl.name=", " and key.acl.name=" },
		[E_EXISTS] = { "Key ", " already exists in svsm-kms" },
		[E_NO_KEY] = { "Key ", " not found" },
		[E_NO_METADATA] = { "Can't find Metadata for key ", "" },
		[E_GENERATE_NO_KEY] = { "org.apache.hadoop.thirdparty.com.google.common.util.concurrent."
					"UncheckedExecutionException: java.lang.NullPointerException: No KeyVersion exists "
					"for key '", "' " },
	};

	if (e == E_NO_KEY && op == KMS_OP_DELETE_KEY)
		return (struct name_text){ "Key ", " does not exist in svsm-kms" };
	return e < ARRAY_LEN(texts) ? texts[e] : (struct name_text){ NULL, NULL };
}

static void mismatch_text(struct work *k, const struct wire_ans *ans, char *t, size_t n)
{
	struct slice other = work_name(k);

	if (k->op != KMS_OP_REENCRYPT_EEK_BATCH)
		other = k->has_body_name ? slice_of(k->body_name, k->body_name_len) : slice_str("null");
	snprintf(t, n, "KeyVersion '%.*s' does not belong to the key '%.*s'", ARG, (int)other.len, (const char *)other.p);
}

/* Where java_errors[] has none. NULL: the exception has no message. */
static const char *error_text(struct work *k, enum wire_err e, const struct wire_ans *ans, char *t, size_t n)
{
	struct name_text around = name_text_of(e, k->op);

	if (around.before) {
		snprintf(t, n, "%s%.*s%s", around.before, NAME, around.after);
		return t;
	}
	switch (e) {
	case E_OP_DENIED:
	case E_KEY_DENIED:
	case E_CREATE_DENIED:
		denied_text(e, ans, t, n);
		break;
	case E_DO_AS_DENIED:
		do_as_text(k, ans, t, n);
		break;
	case E_TOKEN:
		snprintf(t, n, "%.*s", (int)ans->arg.len, (const char *)ans->arg.p);
		break;
	case E_NAME_EMPTY:
		snprintf(t, n, "Parameter '%s' cannot be empty",
			 k->route.ep == EP_VERSION || k->route.ep == EP_DECRYPT ? "versionName" : "name");
		break;
	case E_LIMIT:
		snprintf(t, n, "An argument is over its limit of %llu", NUM(0));
		break;
	case E_MATERIAL_LENGTH:
		snprintf(t, n, "Wrong key length. Required %d, but got %llu", (int)(int32_t)ans->head.num[0], NUM(1));
		break;
	case E_ALGORITHM:
		return NULL;
	case E_VERSION_NOT_FOUND:
		snprintf(t, n, "'%.*s' not found", ARG);
		break;
	case E_VERSION_NOT_FOUND_NOAUTH:
		snprintf(t, n, "KeyVersion name '%.*s' does not exist", ARG);
		break;
	case E_VERSION_MISMATCH:
		mismatch_text(k, ans, t, n);
		break;
	case E_CIPHER_KEY:
		snprintf(t, n, "The configured cipher suite has no key of %llu bits", NUM(0));
		break;
	case E_FULL:
		full_text(ans, t, n);
		break;
	default:
		snprintf(t, n, "The key service answered with error %d", (int)e);
	}
	return t;
}

static void answer_error(struct work *k, enum wire_err e, const struct wire_ans *ans)
{
	struct java_error j = e < E_COUNT_ ? java_errors[e] : (struct java_error){ 0, NULL, NULL };
	char text[WIRE_TOKEN_MAX + 512];

	if (!j.status)
		j = (struct java_error){ 500, IO, NULL };
	if (e == E_OP_DENIED)
		metrics_mark(metrics_worker(k->w->k->metrics, k->w->number), METER_UNAUTHORIZED);
	answer_refusal(k, ans, j.status, j.exception, j.text ? j.text : error_text(k, e, ans, text, sizeof(text)));
}

/* ---- JSON of the answers ---- */

static void put_version_name(struct outbuf *o, struct slice name, uint32_t number)
{
	outbuf_json(o, name);
	if (outbuf_ok(o)) {
		o->len--;	/* the closing quote */
		outbuf_str(o, "@");
		outbuf_u64(o, number);
		outbuf_str(o, "\"");
	}
}

static void put_b64(struct outbuf *o, struct slice bytes)
{
	size_t n = base64_url_len(bytes.len), len;
	uint8_t *to = outbuf_room(o, n + 2);

	if (!to)
		return;
	to[0] = '"';
	if (!base64_url_encode(bytes, to + 1, n, &len)) {
		o->failed = true;
		return;
	}
	to[len + 1] = '"';
	outbuf_used(o, len + 2);
}

static void put_kv(struct outbuf *o, const struct wire_kv *kv)
{
	if (!kv->present) {
		outbuf_str(o, "{ }");
		return;
	}
	outbuf_str(o, "{\"name\":");
	outbuf_json(o, kv->name);
	outbuf_str(o, ",\"versionName\":");
	put_version_name(o, kv->name, kv->number);
	outbuf_str(o, ",\"material\":");
	if (kv->has_material)
		put_b64(o, kv->material);
	else
		outbuf_str(o, "null");
	outbuf_str(o, "}");
}

static void put_meta(struct outbuf *o, struct wire_meta *m)
{
	struct slice key, value;
	bool first = true;

	if (!m->present) {
		outbuf_str(o, "{ }");
		return;
	}
	outbuf_str(o, "{\"name\":");
	outbuf_json(o, m->name);
	outbuf_str(o, ",\"cipher\":");
	outbuf_json(o, m->cipher);
	outbuf_printf(o, ",\"length\":%u,\"description\":", m->length);
	if (m->has_description)
		outbuf_json(o, m->description);
	else
		outbuf_str(o, "null");
	outbuf_str(o, ",\"attributes\":{");
	while (wire_attr_next(&m->attr, &key, &value)) {
		if (!first)
			outbuf_str(o, ",");
		first = false;
		outbuf_json(o, key);
		outbuf_str(o, ":");
		outbuf_json(o, value);
	}
	outbuf_printf(o, "},\"created\":%llu,\"versions\":%u}", (unsigned long long)m->created, m->versions);
}

/* inner_name: NULL prints null. */
static void put_eek(struct outbuf *o, const struct wire_eek *e, struct slice key, const struct slice *inner_name)
{
	outbuf_str(o, "{\"versionName\":");
	put_version_name(o, key, e->number);
	outbuf_str(o, ",\"iv\":");
	put_b64(o, slice_of(e->iv, sizeof(e->iv)));
	outbuf_str(o, ",\"encryptedKeyVersion\":{\"name\":");
	if (inner_name)
		outbuf_json(o, *inner_name);
	else
		outbuf_str(o, "null");
	outbuf_str(o, ",\"versionName\":\"EEK\",\"material\":");
	put_b64(o, e->material);
	outbuf_str(o, "}}");
}

/* Answers are parsed like any other input: a wrong one is a 500, not a crash. */
static bool put_list(struct work *k, struct outbuf *o, struct cursor body)
{
	struct slice name = work_name(k);
	struct wire_meta meta;
	struct wire_eek eek;
	struct wire_kv kv;
	uint32_t count, i;

	if (!cur_le32(&body, &count))
		return false;
	outbuf_str(o, "[");
	for (i = 0; i < count; i++) {
		if (i)
			outbuf_str(o, ",");
		switch (k->call) {
		case CALL_METADATAS:
			if (!wire_meta_next(&body, &meta))
				return false;
			put_meta(o, &meta);
			break;
		case CALL_VERSIONS:
			if (!wire_kv_next(&body, &kv))
				return false;
			put_kv(o, &kv);
			break;
		default:
			if (!wire_eek_next(&body, &eek))
				return false;
			put_eek(o, &eek, name, eek.unchanged && k->call == CALL_REENCRYPT_BATCH ? NULL : &name);
		}
	}
	outbuf_str(o, "]");
	return cur_end(&body);
}

bool answer_names_page(struct work *k, const struct wire_ans *ans)
{
	struct cursor body = ans->body;
	struct slice name;
	uint32_t count;

	k->from = 0;
	if (!cur_le64(&body, &k->from) || !cur_le32(&body, &count))
		return false;
	while (wire_name_next(&body, &name)) {
		outbuf_str(&k->gathered, k->gathered.len ? "," : "[");
		outbuf_json(&k->gathered, name);
	}
	return k->from != 0;
}

static void put_location(struct work *k)
{
	struct outbuf *o = &k->w->headers;
	struct slice host = k->r->host;
	size_t i;

	outbuf_str(o, server_conn_tls(k->c) ? "Location: https://" : "Location: http://");
	outbuf_add(o, host);
	outbuf_str(o, "/kms/v1/key/");
	for (i = 0; i < k->name_len; i++) {
		uint8_t c = k->name[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c && memchr("-._~!$&'()*+,;=:@/", c, 18)))
			outbuf_put(o, &c, 1);
		else
			outbuf_printf(o, "%%%02X", c);
	}
	outbuf_str(o, "\r\n");
}

/* The body of a success. False: the answer is not what it should be. */
static bool put_success(struct work *k, const struct wire_ans *ans, struct outbuf *o)
{
	struct cursor body = ans->body;
	struct wire_staged st;
	struct wire_meta meta;
	struct wire_eek eek;
	struct wire_kv kv;
	struct slice name;

	switch (k->call) {
	case CALL_METADATAS:
	case CALL_VERSIONS:
	case CALL_GENERATE:
	case CALL_REENCRYPT_BATCH:
		return put_list(k, o, body);
	case CALL_METADATA:
		if (!wire_meta_next(&body, &meta))
			return false;
		put_meta(o, &meta);
		return true;
	case CALL_CURRENT:
	case CALL_VERSION_GET:
		if (!wire_kv_next(&body, &kv))
			return false;
		put_kv(o, &kv);
		return true;
	case CALL_DECRYPT:
		if (!wire_kv_next(&body, &kv))
			return false;
		outbuf_str(o, "{\"name\":");
		outbuf_json(o, kv.name);
		outbuf_str(o, ",\"versionName\":\"EK\",\"material\":");
		put_b64(o, kv.material);
		outbuf_str(o, "}");
		return true;
	case CALL_REENCRYPT:
		if (!wire_eek_next(&body, &eek) || !cur_str16(&body, WIRE_NAME_MAX, &name))
			return false;
		put_eek(o, &eek, name, &name);
		return true;
	case CALL_CREATE:
	case CALL_ROLL:
		if (!wire_staged_next(&body, &st))
			return false;
		put_kv(o, &st.kv);
		return true;
	case CALL_IMPORT:
		if (!wire_staged_next(&body, &st))
			return false;
		outbuf_str(o, "{\"name\":");
		outbuf_json(o, st.kv.name);
		outbuf_printf(o, ",\"versions\":%u}", st.kv.number + 1);
		return true;
	case CALL_NAMES:
		if (k->gathered.len == 0)
			outbuf_str(o, "[");
		outbuf_put(o, k->gathered.p, k->gathered.len);
		outbuf_str(o, "]");
		if (!outbuf_ok(&k->gathered))
			o->failed = true;
		return true;
	default:
		return true;
	}
}

static void answer_ok(struct work *k, const struct wire_ans *ans)
{
	bool created = k->call == CALL_CREATE || k->call == CALL_IMPORT;

	if (k->route.ep >= EP_FIRST_PAGE) {
		page_answer(k, ans);
		return;
	}
	begin(k, ans);
	audit_events(k, ans, true);
	if (k->call == CALL_AUTH) {	/* the handshake */
		outbuf_str(&k->w->headers, "Allow: ");
		outbuf_str(&k->w->headers, k->route.allow ? k->route.allow : "OPTIONS");
		outbuf_str(&k->w->headers, "\r\nVary: Accept\r\n");
		send(k, 200, NULL, NULL);
		return;
	}
	if (!put_success(k, ans, &k->w->body)) {
		answer_refusal(k, NULL, 500, IO, "The key service's answer could not be read");
		return;
	}
	if (k->call == CALL_DELETE || k->call == CALL_INVALIDATE) {
		send(k, 200, NULL, "text/plain;charset=utf-8");
		return;
	}
	if (k->call == CALL_CREATE)
		put_location(k);
	send(k, created ? 201 : 200, NULL, "application/json");
}

/* ---- delegation tokens ---- */

/* The service that the client wants in its token: the last part of it, which nothing vouches for. */
static struct slice with_service(struct work *k, struct slice token, uint8_t *out, size_t room)
{
	uint8_t service[WIRE_NAME_MAX + 1];
	struct sink s = sink_of(out, room);
	struct slice v;

	if (token.len == 0 || token.p[token.len - 1] != 0 ||
	    !query_get(k->r->query, "service", false, service, sizeof(service), &v) || v.len == 0)
		return token;
	sink_put(&s, token.p, token.len - 1);
	wire_vlong_put(&s, (int64_t)v.len);
	sink_put(&s, v.p, v.len);
	return sink_ok(&s) ? slice_of(out, s.need) : token;
}

static void delegation_ok(struct work *k, const struct wire_ans *ans)
{
	uint8_t token[WIRE_TOKEN_MAX + WIRE_NAME_MAX + 8];
	struct outbuf *o = &k->w->body;
	struct cursor body = ans->body, date;
	struct wire_staged st;
	uint64_t until;

	begin(k, ans);
	if (!wire_staged_next(&body, &st)) {
		answer_refusal(k, NULL, 500, IO, "The key service's answer could not be read");
		return;
	}
	date = cur_of(st.kv.material.p, st.kv.material.len);
	if (k->call == CALL_DT_GET) {
		outbuf_str(o, "{\"Token\":{\"urlString\":");
		put_b64(o, with_service(k, st.kv.material, token, sizeof(token)));
		outbuf_str(o, "}}\n");
	} else if (k->call == CALL_DT_RENEW && cur_le64(&date, &until)) {
		outbuf_printf(o, "{\"long\":%llu}\n", (unsigned long long)until);
	} else {
		send(k, 200, NULL, "text/plain;charset=utf-8");
		return;
	}
	send(k, 200, NULL, "application/json");
}

/* Refusals are the authentication filter's: said in the reason, and not in the audit log. */
static void answer_delegation(struct work *k, enum wire_err err, const struct wire_ans *ans)
{
	char text[WIRE_TOKEN_MAX];
	bool cancel = k->route.delegation == DELEGATION_CANCEL;

	if (k->refusal.status && (err == E_OK || cancel)) {
		begin(k, ans);
		send_html(k, k->refusal.status, k->refusal.message);
	} else if (err == E_OK) {
		delegation_ok(k, ans);
	} else if (err == E_UNAUTHENTICATED) {
		bool negotiate = ans->head.num[0] == SCHEME_NEGOTIATE;

		begin(k, NULL);
		if (negotiate)
			put_negotiate(k, ans->head.note == NOTE_CONTINUE ? ans->arg : slice_of("", 0));
		else
			outbuf_str(&k->w->headers, "WWW-Authenticate: PseudoAuth\r\n");
		send(k, negotiate ? 401 : 403, NULL, "text/plain;charset=utf-8");
	} else if ((err == E_TOKEN || err == E_TOKEN_DENIED) && cancel) {
		begin(k, ans);
		send_html(k, 404, "Invalid delegation token, cannot cancel");
	} else if (err == E_TOKEN_DENIED) {
		begin(k, ans);
		put_cookie(k, slice_of("", 0), true);
		snprintf(text, sizeof(text), "%.*s", (int)ans->arg.len, (const char *)ans->arg.p);
		send_html(k, 403, text);
	} else {
		answer_error(k, err, ans);
	}
}

bool answer_delegation_method(struct work *k)
{
	const char *want = delegation_method(k->route.delegation);
	char text[256];

	k->op = (enum kms_op)((unsigned)KMS_OP_GET_TOKEN + (unsigned)k->route.delegation);
	if (slice_is(method_of(k), want))
		return false;
	snprintf(text, sizeof(text), "Wrong HTTP method [%.*s] for operation [%s], it should be [%s]",
		 (int)(method_of(k).len < 32 ? method_of(k).len : 32), (const char *)method_of(k).p,
		 delegation_name(k->route.delegation), want);
	begin(k, NULL);
	send_html(k, 400, text);
	return true;
}

/*
 * What the throttle is to know. A first leg of several is not refused yet, unless it came with a cookie that is; a name alone
 * is no credential.
 */
static void note_credential(struct work *k, bool refused, const struct wire_ans *ans)
{
	struct throttle *t = k->w->k->throttle;

	if (refused && (ans->head.note != NOTE_CONTINUE || k->prints[0]) && encode_may_be_refused(k)) {
		throttle_refused(t, encode_peer(k), kms_coarse_ms(), k->prints, ARRAY_LEN(k->prints));
		if (k->shown == CREDENTIAL_TOKEN || k->call == CALL_DT_CANCEL)
			throttle_token_refused(t, k->prints[1], kms_coarse_ms());
	} else if (!refused && ans->user.len) {
		throttle_accepted(t, throttle_print(t, ans->cookie));
		if (k->shown == CREDENTIAL_COOKIE || k->shown == CREDENTIAL_NEGOTIATE)
			throttle_accepted(t, k->prints[0]);
		else if (k->shown == CREDENTIAL_TOKEN)
			throttle_accepted(t, k->prints[1]);
	}
}

/* A cookie that did not count, so that another came, was not what was believed. */
static void count_credential(struct work *k, uint32_t err, const struct wire_ans *ans)
{
	struct metrics_worker *m = metrics_worker(k->w->k->metrics, k->w->number);
	/* The token of a renewal is not what shows who asks. */
	bool refused = err == E_UNAUTHENTICATED || err == E_NEGOTIATE || (err == E_TOKEN && k->shown == CREDENTIAL_TOKEN);

	if (!refused && k->shown == CREDENTIAL_COOKIE && ans->cookie.len)
		k->shown = CREDENTIAL_USER_NAME;
	if (refused || ans->user.len)
		metrics_authentication(m, k->shown, !refused);
	if (err == E_DO_AS_DENIED)
		metrics_event(m, EVENT_DO_AS_REFUSED);
	k->unknown = refused || err == E_DO_AS_DENIED;
	/* Whoever cancels a token need show nothing but that token. */
	refused |= k->call == CALL_DT_CANCEL && (err == E_TOKEN || err == E_TOKEN_DENIED) && !ans->user.len;
	note_credential(k, refused, ans);
}

void answer_turned_away(struct work *k, uint32_t seconds)
{
	char headers[64];

	snprintf(headers, sizeof(headers), "Retry-After: %u\r\n", seconds);
	answer_page(k, NULL, 429, NULL, "text/plain;charset=utf-8", headers,
		    slice_str("Too many cookies, tickets or tokens from your address were refused; try again later\n"));
}

void answer_call(struct work *k, uint32_t err, const struct wire_ans *ans)
{
	count_credential(k, err, ans);
	if (err == E_NEGOTIATE)
		answer_negotiate(k, ans);
	else if (k->route.ep == EP_DELEGATION)
		answer_delegation(k, (enum wire_err)err, ans);
	else if (err == E_UNAUTHENTICATED)
		answer_unauthenticated(k, ans);
	else if (err == E_ADMIN_DENIED)
		answer_html(k, ans, 403, "Unauthenticated users are not authorized to access this page.");
	else if (err != E_OK)
		answer_error(k, (enum wire_err)err, ans);
	else if (k->refusal.status)
		answer_refusal(k, ans, k->refusal.status, k->refusal.exception, k->refusal.message);
	else
		answer_ok(k, ans);
}

void answer_died(struct work *k)
{
	answer_refusal(k, NULL, 503, IO, "The key service stopped and is being started again; nothing is known of this "
					 "request's outcome");
}

void answer_unlogged(struct work *k)
{
	answer_refusal(k, NULL, 503, IO, UNLOGGED);
}

void answer_store(struct work *k, const char *text)
{
	answer_refusal(k, NULL, 503, IO, text);
}

/* A page of pages.c. */
void answer_page(struct work *k, const struct wire_ans *ans, unsigned status, const char *reason, const char *type,
		 const char *headers, struct slice body)
{
	begin(k, ans);
	outbuf_str(&k->w->headers, headers);
	outbuf_add(&k->w->body, body);
	send(k, status, reason, type);
}

void answer_html(struct work *k, const struct wire_ans *ans, unsigned status, const char *message)
{
	begin(k, ans);
	send_html(k, status, message);
}
