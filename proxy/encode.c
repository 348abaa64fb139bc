/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From HTTP and JSON to the calls of wire/msg.h, written in place in the request slot. What is wrong
 * with a request on this side is only noted (work->refusal): the service first says who is calling,
 * since a stranger learns nothing but 401.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <wctype.h>

#include "proxy/base64.h"
#include "proxy/json.h"
#include "proxy/kms.h"
#include "proxy/text.h"

#define ILLEGAL "java.lang.IllegalArgumentException"
#define PARSE "com.fasterxml.jackson.core.JsonParseException"
#define PARSE_EOF "com.fasterxml.jackson.core.io.JsonEOFException"
#define MISMATCH "com.fasterxml.jackson.databind.exc.MismatchedInputException"
#define NULL_POINTER "java.lang.NullPointerException"
#define CAST "java.lang.ClassCastException"

__attribute__((format(printf, 4, 5))) static void refuse(struct work *k, unsigned status, const char *exception,
							  const char *format, ...)
{
	va_list ap;

	if (k->refusal.status)
		return;		/* the first one counts */
	k->refusal.status = status;
	k->refusal.exception = exception;
	va_start(ap, format);
	vsnprintf(k->refusal.message, sizeof(k->refusal.message), format, ap);
	va_end(ap);
}

/* ---- credentials ---- */

/* The first hadoop.auth of the Cookie headers; its value without quotes. */
static bool find_cookie(const struct http_request *r, struct slice *out)
{
	const struct http_header *h = NULL;

	while ((h = http_header_next(r, "cookie", h))) {
		struct slice rest = h->value;

		while (rest.len) {
			const uint8_t *semi = memchr(rest.p, ';', rest.len), *eq;
			struct slice one = slice_of(rest.p, semi ? (size_t)(semi - rest.p) : rest.len);

			rest.p += one.len + (semi != NULL);
			rest.len -= one.len + (semi != NULL);
			one = text_trim(one);
			eq = one.len ? memchr(one.p, '=', one.len) : NULL;
			if (!eq || !http_name_is(text_trim(slice_of(one.p, (size_t)(eq - one.p))), "hadoop.auth"))
				continue;
			*out = text_trim(slice_of(eq + 1, (size_t)(one.p + one.len - eq - 1)));
			if (out->len >= 2 && out->p[0] == '"' && out->p[out->len - 1] == '"')
				*out = slice_of(out->p + 1, out->len - 2);
			return true;
		}
	}
	return false;
}

/* "Negotiate" as the reference knows it: to the letter, with or without a blank behind it. */
bool encode_has_ticket(const struct http_request *r)
{
	return slice_starts(http_header_value(r, "authorization"), "Negotiate");
}

/* What cannot be decoded stays a credential, an empty one that is nobody's. */
static bool find_ticket(struct work *k, struct slice *out)
{
	struct slice text = http_header_value(k->r, "authorization");
	struct outbuf *o = &k->w->negotiate;
	size_t room, len = 0;
	uint8_t *to;

	if (!slice_starts(text, "Negotiate"))
		return false;
	text = slice_of(text.p + 9, text.len - 9);
	room = base64_decoded_max(text.len) + 1;
	outbuf_reset(o);
	to = outbuf_room(o, room);
	if (!to || !base64_decode(text, to, room, &len) || len > WIRE_NEGOTIATE_MAX)
		len = 0;
	*out = slice_of(to ? to : (const uint8_t *)"", len);
	return true;
}

/* The header first, then the query. */
static bool find_token(struct work *k, struct slice *out)
{
	const struct http_header *h = http_header_next(k->r, "x-hadoop-delegation-token", NULL);
	uint8_t buf[WIRE_TOKEN_MAX * 2];
	struct slice text = slice_of("", 0);
	size_t len = 0;

	if (h)
		text = h->value;
	else if (!k->r->query.len || !query_get(k->r->query, "delegation", false, buf, sizeof(buf), &text))
		return false;
	if (!text.p || !base64_decode(text, k->w->token, sizeof(k->w->token), &len))
		len = 0;
	*out = slice_of(k->w->token, len);
	return true;
}

bool encode_has_token(const struct http_request *r)
{
	uint8_t buf[16];
	struct slice v;

	return http_header_next(r, "x-hadoop-delegation-token", NULL) ||
	       (r->query.len && query_get(r->query, "delegation", false, buf, sizeof(buf), &v));
}

/* A name that cannot be read is an empty one: for nobody, but never passed over. */
static bool find_do_as(struct work *k, struct slice *out)
{
	if (!k->r->query.len || !query_get(k->r->query, "doas", true, k->w->do_as, sizeof(k->w->do_as), out))
		return false;
	if (!out->p)
		*out = slice_of("", 0);
	return true;
}

/* Where the request came from: 4 or 16 bytes. */
bool encode_may_be_refused(const struct work *k)
{
	return k->call == CALL_DT_CANCEL || (k->shown != CREDENTIAL_NONE && k->shown != CREDENTIAL_USER_NAME);
}

struct slice encode_peer(struct work *k)
{
	const char *text = k->c ? server_conn_peer(k->c) : "";

	if (inet_pton(AF_INET, text, k->w->peer) == 1)
		return slice_of(k->w->peer, 4);
	return slice_of(k->w->peer, inet_pton(AF_INET6, text, k->w->peer) == 1 ? 16 : 0);
}

/* Who the request claims to be, for looking up groups: a guess, since the service decides who it is. */
static struct slice claimed_user(const struct wire_cred *c)
{
	struct slice rest = c->has_cookie ? c->cookie : slice_of("", 0), found = c->has_user ? c->user : slice_of("", 0);

	while (rest.len) {	/* others that share the secret have an order of their own; the last one counts */
		const uint8_t *amp = memchr(rest.p, '&', rest.len);
		size_t n = amp ? (size_t)(amp - rest.p) : rest.len;

		if (n >= 2 && memcmp(rest.p, "u=", 2) == 0)
			found = slice_of(rest.p + 2, n - 2);
		rest.p += n + (amp != NULL);
		rest.len -= n + (amp != NULL);
	}
	return found;
}

/*
 * Whose groups go with the request: those of the one acted for. They count for that name only; when the core finds that it is
 * somebody else, it says so, and the call is made again with his.
 */
static struct slice groups_for(const struct work *k, const struct wire_cred *c)
{
	if (k->group_user.len)
		return outbuf_slice(&k->group_user);
	if (c->has_do_as && !c->has_token)
		return c->do_as;
	if (k->proof == PROOF_GIVEN)
		return outbuf_slice(&k->proven_user);
	return c->has_token ? slice_of("", 0) : claimed_user(c);
}

static enum metrics_credential shown_by(const struct work *k, const struct wire_cred *c)
{
	return c->has_token ? CREDENTIAL_TOKEN :
	       c->has_negotiate || k->proven_cookie.len ? CREDENTIAL_NEGOTIATE :
	       c->has_cookie ? CREDENTIAL_COOKIE :
	       c->has_user ? CREDENTIAL_USER_NAME : CREDENTIAL_NONE;
}

/* The first call of two only asks who it is. */
static struct wire_cred cred_of(struct work *k)
{
	struct wire_cred c = { .name = cur_of(NULL, 0), .group = cur_of(NULL, 0), .peer = encode_peer(k),
			       .tls = k->c && server_conn_tls(k->c) };
	bool asks = k->proof == PROOF_ASKED, groups_os = kms_hot(k->w->k)->groups_os;

	c.tls = k->c && server_conn_tls(k->c);
	c.has_cookie = find_cookie(k->r, &c.cookie);
	if (c.cookie.len > WIRE_COOKIE_MAX)
		c.cookie.len = 8;	/* too long to be ours: not signed either way */
	if (k->proven_cookie.len) {
		c.has_cookie = true;
		c.cookie = outbuf_slice(&k->proven_cookie);
	}
	c.has_token = k->route.ep != EP_DELEGATION && find_token(k, &c.token); /* a token fetches no token */
	k->prints[0] = throttle_print(k->w->k->throttle, c.has_cookie ? c.cookie : slice_of("", 0));
	k->prints[1] = throttle_print(k->w->k->throttle, c.has_token ? c.token : slice_of("", 0));
	if (asks) {
		c.has_negotiate = !c.has_token && find_ticket(k, &c.negotiate);
		k->shown = shown_by(k, &c);
		return c;
	}
	c.has_do_as = find_do_as(k, &c.do_as);
	if (!c.has_token && k->r->query.len)
		c.has_user = query_get(k->r->query, "user.name", false, k->user, sizeof(k->user), &c.user);
	if (c.has_user && (!c.user.p || c.user.len > WIRE_USER_MAX))
		c.has_user = false;
	k->shown = shown_by(k, &c);
	if (groups_os || k->group_user.len) {
		c.group_user = groups_for(k, &c);
		if (c.group_user.len > WIRE_USER_MAX)
			c.group_user.len = 0;
		__atomic_store_n(&k->w->asks_groups, 1, __ATOMIC_RELEASE);
		c.group = groups_of(k->w->groups, c.group_user, &c.groups);
		__atomic_store_n(&k->w->asks_groups, 0, __ATOMIC_RELEASE);
	}
	if (c.has_do_as && k->w->k->peers) {
		outbuf_reset(&k->w->peer_names);
		c.names = peers_of(k->w->k->peers, c.peer, &k->w->peer_names);
		if (c.names)
			c.name = cur_of(k->w->peer_names.p, k->w->peer_names.len);
	}
	return c;
}

static void put_name(struct work *k, struct sink *s, enum wire_call call, struct slice name, uint32_t count,
		     uint64_t from)
{
	struct wire_name_req m = { .cred = cred_of(k), .name = name, .count = count, .from = from };

	k->call = call;
	wire_name_req_put(s, &m);
}

/* Nothing but the question who is calling. */
static void put_auth(struct work *k, struct sink *s)
{
	put_name(k, s, CALL_AUTH, slice_of("", 0), 0, 0);
}

/* ---- names ---- */

/* False, and a refusal, when the name cannot be one. */
static bool name_fits(struct work *k, struct slice name, size_t max)
{
	if (name.len > max) {
		refuse(k, 400, ILLEGAL, "The name has %zu bytes; %zu are allowed", name.len, max);
		return false;
	}
	if (name.len && memchr(name.p, 0, name.len)) {
		refuse(k, 400, ILLEGAL, "NUL characters are not accepted in names");
		return false;
	}
	return true;
}

/* Invalid UTF-8 becomes U+FFFD, as Java decodes it. */
void encode_keep_name(struct work *k, struct slice name)
{
	struct cursor c = cur_of(name.p, name.len);
	size_t n = 0;
	uint32_t cp;

	while (c.left && n + 4 < sizeof(k->name)) {
		const uint8_t *start = c.at;

		if (text_utf8(&c, &cp)) {
			memcpy(k->name + n, start, (size_t)(c.at - start));
			n += (size_t)(c.at - start);
		} else {
			memcpy(k->name + n, "\xef\xbf\xbd", 3);
			n += 3;
		}
	}
	k->name_len = n;
}

static struct slice kept_name(const struct work *k)
{
	return slice_of(k->name, k->name_len);
}

static locale_t utf8;

static void make_locale(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* Any letter that Java's toLowerCase would change. */
static bool has_upper(struct slice name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cursor c = cur_of(name.p, name.len);
	uint32_t cp;

	pthread_once(&once, make_locale);
	while (c.left) {
		if (!text_utf8(&c, &cp))
			continue;
		if (cp < 0x80 ? (cp >= 'A' && cp <= 'Z') : utf8 && towlower_l((wint_t)cp, utf8) != (wint_t)cp)
			return true;
	}
	return false;
}

/* ---- bodies ---- */

static bool content_is_json(const struct http_request *r)
{
	struct slice t = http_header_value(r, "content-type");
	const uint8_t *semi = t.len ? memchr(t.p, ';', t.len) : NULL;

	if (semi)
		t.len = (size_t)(semi - t.p);
	return http_name_is(text_trim(t), "application/json");
}

/* The body as an object or array; NULL and a refusal otherwise. want: cJSON_Object or cJSON_Array. */
static cJSON *body_json(struct work *k, int want)
{
	enum json_fault fault;
	cJSON *j;

	if (!content_is_json(k->r)) {
		refuse(k, 415, "javax.ws.rs.WebApplicationException",
		       "This request needs the header Content-Type: application/json");
		return NULL;
	}
	j = json_parse(k->r->body, &fault);
	if (!j) {
		refuse(k, 400, fault == JSON_EMPTY ? MISMATCH : fault == JSON_CUT ? PARSE_EOF : PARSE, "%s",
		       json_fault_text(fault));
		return NULL;
	}
	if ((j->type & 0xff) == want)
		return j;
	if (cJSON_IsNull(j) && want == cJSON_Array)
		refuse(k, 400, ILLEGAL, "Parameter 'jsonPayload' cannot be null");
	else if (cJSON_IsNull(j))
		refuse(k, 400, NULL_POINTER, "The request's body must not be null");
	else
		refuse(k, 400, MISMATCH, "The request's body must be a JSON %s",
		       want == cJSON_Object ? "object" : "array");
	cJSON_Delete(j);
	return NULL;
}

/* A text member; absent and null are both "not there". A wrong type is refused. */
static bool text_member(struct work *k, const cJSON *j, const char *name, struct slice *out)
{
	const cJSON *m = json_member(j, name);

	*out = slice_of("", 0);
	if (!m)
		return false;
	if (!cJSON_IsString(m)) {
		refuse(k, 400, CAST, "Member '%s' must be a string", name);
		return false;
	}
	*out = slice_str(m->valuestring);
	return true;
}

static bool int_member(struct work *k, const cJSON *j, const char *name, double min, double max, double *out)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(j, name);

	*out = 0;
	if (!m)
		return false;
	if (cJSON_IsNull(m)) {
		refuse(k, 400, NULL_POINTER, "Member '%s' must not be null", name);
		return false;
	}
	/* The range first: a conversion of what does not fit is undefined. */
	if (!cJSON_IsNumber(m) || !(m->valuedouble >= min && m->valuedouble <= max) ||
	    m->valuedouble != (double)(int64_t)m->valuedouble) {
		refuse(k, 400, CAST, "Member '%s' must be an integer", name);
		return false;
	}
	*out = m->valuedouble;
	return true;
}

/* Base64 straight into the message. */
static void put_base64(struct work *k, struct sink *s, struct slice text, size_t max, const char *what)
{
	uint8_t *at = wire_hole_begin(s);
	size_t len;

	if (!at)
		return;
	if (base64_decoded_max(text.len) > max) {
		refuse(k, 400, ILLEGAL, "Parameter '%s' has more than %zu bytes", what, max);
		return;
	}
	if (!base64_decode(text, at, s->left, &len)) {
		s->left = SIZE_MAX;	/* the slot is full: a larger one will be tried */
		return;
	}
	wire_hole_end(s, len);
}

static void put16(struct outbuf *o, struct slice v)
{
	uint16_t len = (uint16_t)v.len;

	if (v.len > UINT16_MAX)
		o->failed = true;
	outbuf_put(o, &len, sizeof(len));
	outbuf_add(o, v);
}

/* Attributes as the message has them, into the scratch buffer. */
static void encode_attrs(struct work *k, const cJSON *attrs, struct wire_create_req *m, struct outbuf *o)
{
	const cJSON *a;
	unsigned n = 0;

	if (!attrs)
		return;
	if (!cJSON_IsObject(attrs)) {
		refuse(k, 400, CAST, "Member 'attributes' must be an object");
		return;
	}
	cJSON_ArrayForEach(a, attrs) {
		if (!cJSON_IsString(a)) {
			refuse(k, 400, cJSON_IsNull(a) ? NULL_POINTER : CAST, "Attribute '%.100s' must be a string",
			       a->string);
			return;
		}
		put16(o, slice_str(a->string));
		put16(o, slice_str(a->valuestring));
		n++;
	}
	if (!outbuf_ok(o) || o->len > WIRE_ATTRS_MAX) {
		refuse(k, 400, ILLEGAL, "The attributes have more than %u bytes", WIRE_ATTRS_MAX);
		return;
	}
	m->attrs = (uint16_t)n;
}

static void encode_material(struct work *k, struct slice text, struct outbuf *o, uint16_t *count)
{
	uint8_t buf[WIRE_EEK_MAX];
	size_t len;

	if (!base64_decode(text, buf, sizeof(buf), &len)) {
		refuse(k, 400, ILLEGAL, "The key material has more than %u bytes", WIRE_MATERIAL_MAX);
		return;
	}
	put16(o, slice_of(buf, len));
	mem_wipe(buf, len);
	(*count)++;
}

/* IMPORT: the versions must be name@0, name@1, ... in this order, so that their names stay what they are. */
static void encode_versions(struct work *k, const cJSON *j, struct wire_create_req *m, struct outbuf *o)
{
	const cJSON *list = json_member(j, "versions"), *v;
	char want[WIRE_VERSION_NAME_MAX + 1];
	struct slice name, material;

	if (!cJSON_IsArray(list) || !list->child) {
		refuse(k, 400, ILLEGAL, "Parameter 'versions' must be a list with at least one version");
		return;
	}
	cJSON_ArrayForEach(v, list) {
		int n = snprintf(want, sizeof(want), "%.*s@%u", (int)m->name.len, (const char *)m->name.p,
				 m->materials);

		if (m->materials >= WIRE_VERSIONS_MAX || !cJSON_IsObject(v) ||
		    !text_member(k, v, "versionName", &name) || n < 0 || !slice_eq(name, slice_of(want, (size_t)n)) ||
		    !text_member(k, v, "material", &material)) {
			refuse(k, 400, ILLEGAL, "Version %u of 'versions' must be named %.300s and have its material",
			       m->materials, want);
			return;
		}
		encode_material(k, material, o, &m->materials);
	}
}

static void create_fields(struct work *k, const cJSON *j, struct wire_create_req *m)
{
	double number;

	m->name_null = !text_member(k, j, "name", &m->name);
	m->has_cipher = text_member(k, j, "cipher", &m->cipher);
	m->has_description = text_member(k, j, "description", &m->description);
	if (int_member(k, j, "length", INT32_MIN, INT32_MAX, &number))
		m->length = (uint32_t)(int32_t)number;
	if (int_member(k, j, "created", 0, 1e15, &number))
		m->created = (uint64_t)number;
	if (k->route.ep != EP_IMPORT)
		m->created = 0;
	if (m->cipher.len > WIRE_CIPHER_MAX || m->description.len > WIRE_DESCRIPTION_MAX)
		refuse(k, 400, ILLEGAL, "The %s is too long",
		       m->cipher.len > WIRE_CIPHER_MAX ? "cipher" : "description");
	if (name_fits(k, m->name, WIRE_NAME_MAX))
		encode_keep_name(k, m->name);
	m->upper = has_upper(m->name);
}

static void keep_description(struct work *k, struct slice d)
{
	free(k->description);
	k->description = NULL;
	k->has_description = false;
	if (d.len && !(k->description = malloc(d.len)))
		return;
	if (d.len)
		memcpy(k->description, d.p, d.len);
	k->description_len = d.len;
	k->has_description = true;
}

static void encode_create(struct work *k, struct sink *s)
{
	OUTBUF attrs = { 0 };
	OUTBUF materials = { 0 };
	JSON_VALUE *j = body_json(k, cJSON_Object);
	struct wire_create_req m = { .cred = cred_of(k), .name = slice_of("", 0) };
	struct slice text;

	k->op = k->route.ep == EP_IMPORT ? KMS_OP_IMPORT : KMS_OP_CREATE_KEY;
	k->call = k->route.ep == EP_IMPORT ? CALL_IMPORT : CALL_CREATE;
	if (j) {
		create_fields(k, j, &m);
		encode_attrs(k, json_member(j, "attributes"), &m, &attrs);
		if (k->route.ep == EP_IMPORT)
			encode_versions(k, j, &m, &materials);
		else if (text_member(k, j, "material", &text))
			encode_material(k, text, &materials, &m.materials);
		if (m.has_description)
			keep_description(k, m.description);
	}
	k->has_material = m.materials > 0;
	m.attr = cur_of(attrs.p, attrs.len);
	m.material = cur_of(materials.p, materials.len);
	if (k->refusal.status)
		put_auth(k, s);
	else
		wire_create_req_put(s, &m);
	if (materials.p)
		mem_wipe(materials.p, materials.len);
}

static void encode_roll(struct work *k, struct sink *s)
{
	JSON_VALUE *j = body_json(k, cJSON_Object);
	struct wire_roll_req m = { .cred = cred_of(k), .name = kept_name(k), .material = slice_of("", 0) };
	uint8_t material[WIRE_EEK_MAX];
	struct slice text;
	size_t len = 0;

	k->op = KMS_OP_ROLL_NEW_VERSION;
	k->call = CALL_ROLL;
	if (j && text_member(k, j, "material", &text)) {
		m.has_material = true;
		if (!base64_decode(text, material, sizeof(material), &len))
			refuse(k, 400, ILLEGAL, "The key material has more than %u bytes", WIRE_MATERIAL_MAX);
		m.material = slice_of(material, len);
	}
	k->has_material = m.has_material;
	if (k->refusal.status)
		put_auth(k, s);
	else
		wire_roll_req_put(s, &m);
	mem_wipe(material, len);
}

/* ---- encrypted keys ---- */

struct eek_body {
	struct json_flat flat;
	cJSON *j;		/* NULL: flat has it */
	struct slice name, iv, material;
	bool has_name, has_iv, has_material;
};

/* Of the request that comes most; its usual form needs no tree. False: refused. */
static bool eek_body(struct work *k, struct eek_body *b)
{
	b->j = NULL;
	if (content_is_json(k->r) && json_flat(k->r->body, &b->flat)) {
		b->has_name = json_flat_get(&b->flat, "name", &b->name);
		b->has_iv = json_flat_get(&b->flat, "iv", &b->iv);
		b->has_material = json_flat_get(&b->flat, "material", &b->material);
		return true;
	}
	b->j = body_json(k, cJSON_Object);
	if (!b->j)
		return false;
	b->has_name = text_member(k, b->j, "name", &b->name);
	b->has_iv = text_member(k, b->j, "iv", &b->iv);
	b->has_material = text_member(k, b->j, "material", &b->material);
	return true;
}

static void encode_eek(struct work *k, struct sink *s)
{
	struct wire_eek_req m = { .cred = cred_of(k), .version_name = kept_name(k), .name = slice_of("", 0) };
	struct sink start = *s;
	struct eek_body b;
	uint8_t buf[64];
	struct slice eek_op;
	bool has_op;

	has_op = query_get(k->r->query, "eek_op", false, buf, sizeof(buf), &eek_op);
	k->op = has_op && slice_is(eek_op, "reencrypt") ? KMS_OP_REENCRYPT_EEK : KMS_OP_DECRYPT_EEK;
	k->call = k->op == KMS_OP_REENCRYPT_EEK ? CALL_REENCRYPT : CALL_DECRYPT;
	if (eek_body(k, &b)) {
		m.has_name = b.has_name;
		m.name = b.name;
		if (m.version_name.len == 0)
			refuse(k, 400, ILLEGAL, "Parameter 'versionName' cannot be empty");
		else if (!has_op)
			refuse(k, 400, ILLEGAL, "Parameter 'eekOp' cannot be null");
		else if (!b.has_iv || !b.has_material)
			refuse(k, 400, ILLEGAL, "Parameter '%s' cannot be null", b.has_iv ? "material" : "iv");
		else if (!slice_is(eek_op, "decrypt") && !slice_is(eek_op, "reencrypt"))
			refuse(k, 400, ILLEGAL,
			       "IllegalArgumentException Wrong eek_op value, it must be generate or decrypt");
		else if (name_fits(k, m.name, WIRE_NAME_MAX)) {
			k->has_body_name = m.has_name;
			k->body_name_len = m.name.len;
			memcpy(k->body_name, m.name.p, m.name.len);
			wire_eek_req_head_put(s, &m);
			put_base64(k, s, b.iv, WIRE_EEK_MAX, "iv");
			put_base64(k, s, b.material, WIRE_EEK_MAX, "material");
		}
	}
	cJSON_Delete(b.j);
	if (k->refusal.status) {
		*s = start;
		put_auth(k, s);
	}
}

static void encode_generate(struct work *k, struct sink *s)
{
	uint8_t buf[64], num[64];
	struct slice op, n;
	bool has_op = query_get(k->r->query, "eek_op", false, buf, sizeof(buf), &op);
	bool has_num = query_get(k->r->query, "num_keys", false, num, sizeof(num) - 1, &n);
	long long count = 1;
	char *end;

	k->op = KMS_OP_GENERATE_EEK;
	if (has_num && (!n.p || (n.len && !(n.len == 1 && n.p[0] == ' ')))) {
		num[n.len] = 0;
		count = strtoll((char *)num, &end, 10);
		if (!n.p || end != (char *)num + n.len || isspace(num[0]) || count < INT32_MIN || count > INT32_MAX)
			refuse(k, 400, "com.sun.jersey.api.ParamException$QueryParamException",
			       "num_keys must be an integer");
	}
	if (kept_name(k).len == 0)
		refuse(k, 400, ILLEGAL, "Parameter 'name' cannot be empty");
	if (!has_op)
		refuse(k, 400, ILLEGAL, "Parameter 'eekOp' cannot be null");
	else if (!slice_is(op, "generate"))
		refuse(k, 400, ILLEGAL, "IllegalArgumentException Wrong eek_op value, it must be generate or decrypt");
	if (count > (long long)kms_hot(k->w->k)->eek_max)
		refuse(k, 400, ILLEGAL,
		       "num_keys is %lld; at most %u are generated at a time (svsm.kms.eek.max)", count,
		       kms_hot(k->w->k)->eek_max);
	if (k->refusal.status)
		put_auth(k, s);
	else
		put_name(k, s, CALL_GENERATE, kept_name(k), count > 0 ? (uint32_t)count : 0, 0);
}

/* One element of a batch. False: refused. */
static bool put_item(struct work *k, struct sink *s, const cJSON *e)
{
	const cJSON *inner = cJSON_IsObject(e) ? json_member(e, "encryptedKeyVersion") : NULL;
	struct slice version, iv, inner_version, material;
	const char *missing = NULL;

	if (!cJSON_IsObject(e)) {
		refuse(k, 400, ILLEGAL, "Parameter 'valueMap' cannot be null");
		return false;
	}
	if (!text_member(k, e, "versionName", &version))
		missing = "versionName";
	else if (!text_member(k, e, "iv", &iv))
		missing = "iv";
	else if (!cJSON_IsObject(inner))
		missing = "encryptedKeyVersion";
	else if (!text_member(k, inner, "versionName", &inner_version))
		missing = "versionName";
	else if (!text_member(k, inner, "material", &material))
		missing = "material";
	if (missing) {
		refuse(k, 400, ILLEGAL, "Parameter '%s' cannot be null", missing);
		return false;
	}
	if (!slice_is(inner_version, "EEK")) {
		refuse(k, 400, ILLEGAL, "encryptedKey version name must be 'EEK', but found '%.*s'",
		       (int)(inner_version.len < 200 ? inner_version.len : 200), (const char *)inner_version.p);
		return false;
	}
	if (!name_fits(k, version, WIRE_VERSION_NAME_MAX))
		return false;
	sink_str16(s, version);
	put_base64(k, s, iv, WIRE_EEK_MAX, "iv");
	put_base64(k, s, material, WIRE_EEK_MAX, "material");
	return k->refusal.status == 0;
}

static void encode_batch(struct work *k, struct sink *s)
{
	JSON_VALUE *j = NULL;
	struct wire_batch_req m = { .cred = cred_of(k), .name = kept_name(k) };
	struct sink start = *s;
	const cJSON *e;
	uint32_t max = kms_hot(k->w->k)->eek_max;
	int n;

	k->op = KMS_OP_REENCRYPT_EEK_BATCH;
	k->call = CALL_REENCRYPT_BATCH;
	if (m.name.len == 0)
		refuse(k, 400, ILLEGAL, "Parameter 'name' cannot be empty");
	j = body_json(k, cJSON_Array);
	n = j ? cJSON_GetArraySize(j) : 0;
	if (max > WIRE_EEK_COUNT_MAX)
		max = WIRE_EEK_COUNT_MAX;
	if (n > (int)max)
		refuse(k, 400, ILLEGAL, "The batch has %d keys; at most %u are re-encrypted at a time (svsm.kms.eek.max)", n,
		       max);
	if (k->refusal.status) {
		put_auth(k, s);
		return;
	}
	m.count = (uint32_t)n;
	wire_batch_req_put(s, &m);
	cJSON_ArrayForEach(e, j)
		if (!put_item(k, s, e))
			break;
	if (k->refusal.status) {	/* the right to do it at all is checked before the entries are */
		*s = start;
		m.count = 0;
		wire_batch_req_put(s, &m);
	}
}

/* ---- lists ---- */

static void encode_metadatas(struct work *k, struct sink *s)
{
	OUTBUF names = { 0 };
	struct wire_names_req m = { .cred = cred_of(k) };
	uint8_t buf[WIRE_NAME_MAX + 1];
	struct slice name;
	size_t at = 0;

	k->op = KMS_OP_GET_KEYS_METADATA;
	while (query_next(k->r->query, &at, "key", false, buf, sizeof(buf), &name)) {
		if (!name.p)
			refuse(k, 400, ILLEGAL, "A parameter 'key' is malformed or longer than %u bytes", WIRE_NAME_MAX);
		if (!name.p || !name_fits(k, name, WIRE_NAME_MAX))
			break;
		put16(&names, name);
		m.count++;
	}
	if (k->refusal.status || !outbuf_ok(&names)) {
		put_auth(k, s);
		return;
	}
	k->call = CALL_METADATAS;
	wire_names_req_put(s, &m);
	sink_put(s, names.p, names.len);
}

/* ---- all ---- */

static const struct {
	enum wire_call call;
	enum kms_op op;
} by_name[EP_COUNT] = {
	[EP_NAMES] = { CALL_NAMES, KMS_OP_GET_KEYS },
	[EP_METADATA] = { CALL_METADATA, KMS_OP_GET_METADATA },
	[EP_CURRENT] = { CALL_CURRENT, KMS_OP_GET_CURRENT_KEY },
	[EP_VERSIONS] = { CALL_VERSIONS, KMS_OP_GET_KEY_VERSIONS },
	[EP_INVALIDATE] = { CALL_INVALIDATE, KMS_OP_INVALIDATE_CACHE },
	[EP_DELETE] = { CALL_DELETE, KMS_OP_DELETE_KEY },
	[EP_VERSION] = { CALL_VERSION_GET, KMS_OP_GET_KEY_VERSION },
};

/* The token of the query, decoded; what cannot be decoded is an empty one, which is none. */
static struct slice query_token(struct work *k)
{
	uint8_t text[WIRE_TOKEN_MAX * 2];
	struct slice v = slice_of("", 0);
	size_t len = 0;

	if (!query_get(k->r->query, "token", false, text, sizeof(text), &v))
		refuse(k, 400, ILLEGAL, "Operation [%s] requires the parameter [token]",
		       delegation_name(k->route.delegation));
	if (!v.p || !base64_decode(v, k->w->token, sizeof(k->w->token), &len))
		len = 0;
	return slice_of(k->w->token, len);
}

static void encode_delegation(struct work *k, struct sink *s)
{
	static const enum wire_call calls[] = { CALL_DT_GET, CALL_DT_RENEW, CALL_DT_CANCEL };
	struct wire_dt_req m = { .cred = cred_of(k), .renewer = slice_of("", 0), .token = slice_of("", 0) };
	uint8_t renewer[WIRE_PRINCIPAL_MAX + 1], service[WIRE_NAME_MAX + 1];
	struct slice v;

	k->call = calls[k->route.delegation];
	if (k->call != CALL_DT_GET) {
		m.token = query_token(k);
		k->prints[1] = throttle_print(k->w->k->throttle, m.token);
	} else {
		m.has_renewer =
			query_get(k->r->query, "renewer", false, renewer, sizeof(renewer), &m.renewer);
		if (m.has_renewer && (!m.renewer.p || m.renewer.len > WIRE_PRINCIPAL_MAX))
			refuse(k, 400, ILLEGAL, "The parameter [renewer] is malformed or too long");
		if (query_get(k->r->query, "service", false, service, sizeof(service), &v) && !v.p)
			refuse(k, 400, ILLEGAL, "The parameter [service] is malformed or too long");
	}
	if (!k->refusal.status) {
		wire_dt_req_put(s, &m);
		return;
	}
	k->call = CALL_AUTH;
	if (k->route.delegation == DELEGATION_CANCEL) /* it needs nobody */
		m.cred.has_cookie = m.cred.has_user = m.cred.has_do_as = false;
	wire_name_req_put(s, &(struct wire_name_req){ .cred = m.cred, .name = slice_of("", 0) });
}

static void encode_other(struct work *k, struct sink *s)
{
	k->op = k->route.ep == EP_OPTIONS      ? KMS_OP_HANDSHAKE
		: k->route.ep >= EP_FIRST_PAGE ? KMS_OP_STATUS
					       : KMS_OP_OTHER;
	switch (k->route.ep) {
	case EP_NOT_FOUND: {
		struct slice host = k->r->host, t = k->r->target;

		/* The container adds the slash that it would redirect to. */
		int bare = slice_starts(t, "/kms") && (t.len == 4 || t.p[4] == '?') ? 4 : 0;

		refuse(k, 404, "com.sun.jersey.api.NotFoundException", "null for uri: http%s://%.*s%.*s%s%.*s",
		       k->c && server_conn_tls(k->c) ? "s" : "",
		       (int)(host.len < 100 ? host.len : 100), (const char *)host.p, bare, (const char *)t.p,
		       bare ? "/" : "", (int)(t.len < 300 ? t.len : 300) - bare, (const char *)t.p + bare);
		break;
	}
	case EP_BAD_METHOD:
		refuse(k, 405, "javax.ws.rs.WebApplicationException", "Method not allowed; allowed are %s",
		       k->route.allow);
		break;
	default:
		break;
	}
	put_name(k, s, page_for_admins(k) ? CALL_ADMIN : CALL_AUTH, slice_of("", 0), 0, 0);
}

void encode_request(struct work *k, struct sink *s)
{
	enum endpoint ep = k->route.ep;

	memset(&k->refusal, 0, sizeof(k->refusal));
	if (k->proof == PROOF_ASKED) {
		k->op = KMS_OP_HANDSHAKE;
		put_auth(k, s);
		return;
	}
	if (by_name[ep].call || ep == EP_GENERATE || ep == EP_ROLL || ep == EP_BATCH || ep == EP_DECRYPT) {
		size_t max = ep == EP_VERSION || ep == EP_DECRYPT ? WIRE_VERSION_NAME_MAX : WIRE_NAME_MAX;

		(void)name_fits(k, k->route.name, max);
	}
	if (k->refusal.status && ep != EP_NOT_FOUND && ep != EP_BAD_METHOD) {
		k->op = by_name[ep].op;
		put_auth(k, s);
		return;
	}
	switch (ep) {
	case EP_CREATE:
	case EP_IMPORT:
		encode_create(k, s);
		return;
	case EP_ROLL:
		encode_roll(k, s);
		return;
	case EP_DECRYPT:
		encode_eek(k, s);
		return;
	case EP_GENERATE:
		encode_generate(k, s);
		return;
	case EP_BATCH:
		encode_batch(k, s);
		return;
	case EP_METADATAS:
		encode_metadatas(k, s);
		return;
	case EP_DELEGATION:
		encode_delegation(k, s);
		return;
	default:
		break;
	}
	if (!by_name[ep].call) {
		encode_other(k, s);
		return;
	}
	k->op = by_name[ep].op;
	put_name(k, s, by_name[ep].call, kept_name(k), 0, k->from);
}
