/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on delegation tokens, with Hadoop's rules, order of checks and texts. They are asked for and renewed with other
 * credentials than a token; cancelled by a cookie, or, without one, by whoever holds the token.
 */
#include <stdarg.h>
#include <stdio.h>

#include "service/names.h"
#include "service/state.h"

#define INVALID "org.apache.hadoop.security.token.SecretManager$InvalidToken: "
#define DENIED "org.apache.hadoop.security.AccessControlException: "
#define TEXT(s) (int)(s).len, (const char *)(s).p
#define ID_TEXT_MAX (WIRE_TOKEN_MAX + 256)
#define EXPIRE_STAGED 64
#define EXPIRE_LOOKED 4096

/* ---- how many ---- */

void dtoken_counts_init(struct dtoken_counts *t, const uint64_t seed[2])
{
	keys_wipe(&t->owners);
	keys_init(&t->owners, seed);
	t->sequence = 0;
}

static struct key *count_of(struct svc *s, struct slice owner)
{
	struct key_view v = { .kind = KIND_TOKEN, .name = owner };
	struct key *k = keys_find(&s->dtokens.owners, owner);

	if (k)
		return k;
	if (key_new(&v, &k) != RC_OK)
		return NULL;
	if (keys_add(&s->dtokens.owners, k) == RC_OK)
		return k;
	key_free(k);
	return NULL;
}

enum rc dtoken_counted(struct svc *s, struct slice identifier, uint64_t limit)
{
	struct wire_dtoken_id id;
	struct key *k;
	enum rc rc = RC_OK;

	if (wire_dtoken_id_get(identifier, &id) || id.owner.len == 0)
		return RC_BAD_INPUT;
	pthread_mutex_lock(&s->dtokens.lock);
	k = count_of(s, id.owner);
	if (!k)
		rc = RC_NO_ROOM;
	else if (limit && k->created >= limit)
		rc = RC_DENIED;
	else
		k->created++;
	pthread_mutex_unlock(&s->dtokens.lock);
	return rc;
}

void dtoken_uncounted(struct svc *s, struct slice identifier)
{
	struct wire_dtoken_id id;
	struct key *k;

	INVARIANT(!wire_dtoken_id_get(identifier, &id));
	pthread_mutex_lock(&s->dtokens.lock);
	k = keys_find(&s->dtokens.owners, id.owner);
	INVARIANT(k && k->created);
	if (--k->created == 0)
		keys_remove(&s->dtokens.owners, k);
	pthread_mutex_unlock(&s->dtokens.lock);
}

/* Never the one of a token that this store has seen: it is not behind the number of changes. */
static int32_t next_sequence(struct svc *s)
{
	uint64_t changes;
	uint32_t n;

	pthread_mutex_lock(&s->txn.lock);
	changes = s->txn.next_version;
	pthread_mutex_unlock(&s->txn.lock);
	pthread_mutex_lock(&s->dtokens.lock);
	n = s->dtokens.sequence + 1;
	if (n < (changes & INT32_MAX))
		n = (uint32_t)(changes & INT32_MAX);
	s->dtokens.sequence = n & INT32_MAX;
	pthread_mutex_unlock(&s->dtokens.lock);
	return (int32_t)(n & INT32_MAX);
}

/* ---- what is said ---- */

__attribute__((format(printf, 3, 4))) static enum wire_err say(struct op *o, enum wire_err e, const char *format, ...)
{
	size_t room = sizeof(o->w->arg), i, n;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(o->w->arg, room, format, ap);
	va_end(ap);
	n = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
	for (i = 0; i < n; i++)		/* it may become a line of an answer's head */
		if ((uint8_t)o->w->arg[i] < ' ' || o->w->arg[i] == 0x7f)
			o->w->arg[i] = '?';
	o->ans.arg = slice_of(o->w->arg, n);
	return e;
}

/* No token at all. */
static enum wire_err say_fault(struct op *o, enum wire_err e, const char *why, const struct wire_dtoken *t)
{
	return why == wire_dtoken_unknown_version ? say(o, e, "%s%d", why, t->id.key) : say(o, e, "%s", why);
}

static const char *id_text(const struct wire_dtoken_id *id, char out[ID_TEXT_MAX])
{
	snprintf(out, ID_TEXT_MAX,
		 "(" WIRE_DTOKEN_KIND
		 " owner=%.*s, renewer=%.*s, realUser=%.*s, issueDate=%lld, maxDate=%lld, "
		 "sequenceNumber=%d, masterKeyId=%d)",
		 TEXT(id->owner), TEXT(id->renewer), TEXT(id->real), (long long)id->issued,
		 (long long)id->most, id->sequence, id->key);
	return out;
}

/* "2026-11-21 19:51:36,193+0000". By hand, in years that begin in March: the C library's calendar opens
 * files. */
static const char *date_text(int64_t ms, char out[64])
{
	int64_t t = ms < 0 ? 0 : ms / 1000, day = t / 86400 + 719468, era = day / 146097, d = day % 146097;
	int64_t year = (d - d / 1460 + d / 36524 - d / 146096) / 365,
		of_year = d - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	year += era * 400 + (month > 9);
	snprintf(out, 64, "%04lld-%02d-%02d %02d:%02d:%02d,%03d+0000", (long long)year,
		 (int)(month < 10 ? month + 3 : month - 9), (int)(of_year - (153 * month + 2) / 5 + 1),
		 (int)(t / 3600 % 24), (int)(t / 60 % 60), (int)(t % 60), (int)(ms < 0 ? 0 : ms % 1000));
	return out;
}

/* ---- passwords ---- */

/*
 * The last master key is kept: making it costs as much as using it. What was made before the store had this owner does not
 * count: whoever configured then could call himself anybody; nor, where names are proven, what was made when they were not.
 */
static enum rc password_of(struct op *o, struct slice identifier, int32_t n, uint8_t out[DTOKEN_PASSWORD_LEN])
{
	const struct crypto_mac_key *root = &o->s->store.key_token;
	uint64_t number = (uint32_t)n | (o->cfg->auth == AUTH_SIMPLE ? 1ull << 32 : 0);
	const struct owner *owner = &o->s->txn.owner;
	struct slice parts[] = { slice_str("master key"), slice_of(owner->id, sizeof(owner->id)),
				 slice_of(&number, sizeof(number)) };
	struct svc_worker *w = o->w;
	uint8_t key[CRYPTO_HASH_LEN];
	enum rc rc = RC_OK;

	if (!w->dt_key.id || w->dt_root != root->id || w->dt_number != number ||
	    memcmp(w->dt_owner, owner->id, sizeof(w->dt_owner)) != 0) {
		rc = crypto_mac(w->crypto, MAC_TOKEN_ROOT, root, parts, ARRAY_LEN(parts), key);
		if (rc == RC_OK)
			crypto_mac_key_set(&w->dt_key, key, sizeof(key));
		w->dt_root = rc == RC_OK ? root->id : 0;
		w->dt_number = number;
		memcpy(w->dt_owner, owner->id, sizeof(w->dt_owner));
		mem_wipe(key, sizeof(key));
	}
	return rc == RC_OK ? crypto_mac(w->crypto, MAC_TOKEN, &w->dt_key, &identifier, 1, out) : rc;
}

static enum wire_err password_fits(struct op *o, const struct wire_dtoken *t, bool *fits)
{
	uint8_t expect[DTOKEN_PASSWORD_LEN];

	*fits = false;
	if (password_of(o, t->identifier, t->id.key, expect) != RC_OK)
		return E_INTERNAL;
	*fits = t->password.len == sizeof(expect) && ct_equal(expect, t->password.p, sizeof(expect));
	mem_wipe(expect, sizeof(expect));
	return E_OK;
}

/* ---- use ---- */

/* The record of a token that counts now. */
static enum wire_err verify(struct op *o, const struct wire_dtoken *t, struct key **found)
{
	struct key *k = keys_find(&o->s->tokens, t->identifier);
	char id[ID_TEXT_MAX], now[64], until[64];
	enum wire_err e;
	bool fits;

	if (!k)
		return say(o, E_TOKEN, INVALID "Token for real user: %.*s, can't be found in cache", TEXT(t->id.real));
	e = password_fits(o, t, &fits);
	if (e != E_OK)
		return e;
	if (k->created < o->now)
		return say(o, E_TOKEN, INVALID "Token %.*s has expired, current time: %s expected renewal time: %s",
			   TEXT(t->id.real), date_text((int64_t)o->now, now), date_text((int64_t)k->created, until));
	if (!fits)
		return say(o, E_TOKEN, INVALID "token %s is invalid, password doesn't match", id_text(&t->id, id));
	*found = k;
	return E_OK;
}

enum wire_err dtoken_identify(struct op *o, struct slice token, struct slice *owner, struct slice *real)
{
	const char *why;
	struct wire_dtoken t;
	struct key *k;
	enum wire_err e;

	if (o->s->store.state != STORE_READY)
		return E_NOT_READY;
	why = wire_dtoken_get(token, &t);
	if (why)
		return say_fault(o, E_TOKEN, why, &t);
	e = verify(o, &t, &k);
	if (e != E_OK)
		return e;
	*owner = t.id.owner;
	*real = slice_eq(t.id.real, t.id.owner) ? slice_of("", 0) : t.id.real;
	return E_OK;
}

/* ---- the calls ---- */

/* Who asks for a token or renews one: by anything but a token. */
static enum wire_err who(struct op *o, struct wire_dt_req *m)
{
	if (wire_dt_req_get(o->in, m) != RC_OK)
		return E_BAD_MESSAGE;
	m->cred.has_token = false;
	return auth_check(o, &m->cred);
}

/*
 * A renewer is a short name: by the name rules, and without Kerberos what stands before instance and realm.
 * buf: where it may be written. False: no rule makes a name of it, or it is none that may stand in an
 * identifier and a line that quotes it.
 */
MUST_CHECK static bool short_name(const struct op *o, struct slice given, char buf[WIRE_USER_MAX], struct slice *out)
{
	size_t i, n;

	for (n = 0; n < given.len && given.p[n] != '/' && given.p[n] != '@'; n++)
		;
	*out = slice_of(given.p, n);
	if (n < given.len && o->cfg->names) {
		if (names_map(o->cfg->names, given, buf, WIRE_USER_MAX, &n) != RC_OK)
			return false;
		*out = slice_of(buf, n);
	}
	for (i = 0; i < out->len; i++)
		if (out->p[i] < ' ' || out->p[i] == 0x7f)
			return false;
	return out->len <= WIRE_USER_MAX;
}

static enum wire_err stage_new(struct op *o, struct slice id, uint64_t until, struct slice token)
{
	struct key_view v = { .kind = KIND_TOKEN, .created = until, .name = id };
	const struct wire_kv kv = { .present = true, .has_material = true, .name = slice_of("", 0), .material = token };
	enum rc rc = dtoken_counted(o->s, id, o->cfg->dt_per_user);
	enum wire_err e = E_NO_MEMORY;
	struct key *k;

	if (rc != RC_OK)
		return rc == RC_DENIED ? op_fail_num(o, E_FULL, LIMIT_TOKENS, o->cfg->dt_per_user) : E_NO_MEMORY;
	if (key_new(&v, &k) == RC_OK)
		e = txn_stage(o, NULL, k, &kv);
	if (e != E_OK)
		dtoken_uncounted(o->s, id);
	return e;
}

/* Body: staged, with the token as the material of kv. */
enum wire_err op_dt_get(struct op *o)
{
	uint8_t id_bytes[DTOKEN_ID_MAX], token[DTOKEN_ID_MAX + 64], password[DTOKEN_PASSWORD_LEN];
	struct sink s = sink_of(id_bytes, sizeof(id_bytes)), t = sink_of(token, sizeof(token));
	const struct config *cfg = o->cfg;
	struct wire_dtoken_id id = { 0 };
	struct wire_dt_req m;
	char renewer[WIRE_USER_MAX];
	uint64_t until;
	enum wire_err e = who(o, &m);

	if (e != E_OK)
		return e;
	id.owner = o->user;
	id.real = o->ans.real;
	id.issued = (int64_t)o->now;
	id.most = (int64_t)(o->now + cfg->dt_life_ms);
	id.key = (int32_t)(o->now / cfg->dt_update_ms & INT32_MAX);
	id.sequence = next_sequence(o->s);
	id.renewer = o->user;
	if (m.has_renewer && !short_name(o, m.renewer, renewer, &id.renewer))
		return say(o, E_TOKEN_DENIED, "java.lang.IllegalArgumentException: the renewer is no user name");
	wire_dtoken_id_put(&s, &id);
	if (!sink_ok(&s))
		return say(o, E_TOKEN_DENIED, "java.io.IOException: owner, renewer and real user are too long together");
	if (password_of(o, slice_of(id_bytes, s.need), id.key, password) != RC_OK)
		return E_INTERNAL;
	wire_dtoken_put(&t, slice_of(id_bytes, s.need), slice_of(password, sizeof(password)));
	INVARIANT(sink_ok(&t));
	until = o->now + (cfg->dt_renew_ms < cfg->dt_life_ms ? cfg->dt_renew_ms : cfg->dt_life_ms);
	e = stage_new(o, slice_of(id_bytes, s.need), until, slice_of(token, t.need));
	mem_wipe(token, sizeof(token));
	mem_wipe(password, sizeof(password));
	return e;
}

/* Of this number there was no master key when the token says it was made: to Hadoop another case than a wrong
 * password. */
MUST_CHECK static bool key_unknown(const struct op *o, const struct wire_dtoken_id *id)
{
	return id->key != (int32_t)((uint64_t)id->issued / o->cfg->dt_update_ms & INT32_MAX);
}

static enum wire_err may_renew(struct op *o, const struct wire_dtoken *t, struct key **k)
{
	char id[ID_TEXT_MAX], most[64], now[64];
	enum wire_err e;
	bool fits;

	id_text(&t->id, id);
	if (t->id.most < (int64_t)o->now)
		return say(o, E_TOKEN_DENIED,
			   INVALID "%.*s tried to renew an expired token %s max expiration date: %s currentTime: %s",
			   TEXT(o->user), id, date_text(t->id.most, most), date_text((int64_t)o->now, now));
	if (t->id.renewer.len == 0)
		return say(o, E_TOKEN_DENIED, DENIED "%.*s tried to renew a token %s without a renewer", TEXT(o->user), id);
	if (!slice_eq(t->id.renewer, o->user))
		return say(o, E_TOKEN_DENIED, DENIED "%.*s tries to renew a token %s with non-matching renewer %.*s",
			   TEXT(o->user), id, TEXT(t->id.renewer));
	e = password_fits(o, t, &fits);
	if (e != E_OK)
		return e;
	if (!fits && key_unknown(o, &t->id))
		return say(
			o, E_TOKEN_DENIED,
			INVALID
			"Unable to find master key for keyId=%d from cache. Failed to renew an unexpired token %s "
			"with sequenceNumber=%d",
			t->id.key, id, t->id.sequence);
	if (!fits)
		return say(o, E_TOKEN_DENIED, DENIED "%.*s is trying to renew a token %s with wrong password",
			   TEXT(o->user), id);
	*k = keys_find(&o->s->tokens, t->identifier);
	return *k ? E_OK : say(o, E_TOKEN_DENIED, INVALID "Renewal request for unknown token %s", id);
}

/* Body: staged, with the new date (u64, ms) as the material of kv. */
enum wire_err op_dt_renew(struct op *o)
{
	struct wire_dt_req m;
	enum wire_err e = who(o, &m);
	struct key_view v;
	struct wire_dtoken t;
	struct key *k = NULL, *made;
	const char *why;
	uint64_t until;
	struct wire_kv kv = { .present = true, .has_material = true, .name = slice_of("", 0) };

	if (e != E_OK)
		return e;
	why = wire_dtoken_get(m.token, &t);
	e = why ? say_fault(o, E_TOKEN_DENIED, why, &t) : may_renew(o, &t, &k);
	if (e != E_OK)
		return e;
	until = o->now + o->cfg->dt_renew_ms;
	if (until > (uint64_t)t.id.most)
		until = (uint64_t)t.id.most;
	v = key_view(k);
	v.created = until;
	if (key_new(&v, &made) != RC_OK)
		return E_NO_MEMORY;
	kv.material = slice_of(&until, sizeof(until));
	return txn_stage(o, k, made, &kv);
}

/*
 * A cookie says who cancels; nothing else that the request shows is looked at. Without a good one it is the token's own
 * user, if the token counts. Body: staged.
 */
enum wire_err op_dt_cancel(struct op *o)
{
	const struct wire_kv none = { 0 };
	char id[ID_TEXT_MAX];
	struct wire_dt_req m;
	struct wire_dtoken t;
	struct key *k = NULL;
	const char *why;
	enum wire_err e;

	if (wire_dt_req_get(o->in, &m) != RC_OK)
		return E_BAD_MESSAGE;
	m.cred.has_token = m.cred.has_user = m.cred.has_negotiate = false;
	e = auth_check(o, &m.cred);
	if (e != E_OK && e != E_UNAUTHENTICATED)
		return e;
	why = wire_dtoken_get(m.token, &t);
	if (why)
		return say_fault(o, E_TOKEN_DENIED, why, &t);
	if (e == E_UNAUTHENTICATED) {
		o->ans.head.note = NOTE_NONE;
		o->ans.arg = slice_of("", 0);	/* a cookie, and no part of what the staged change needs */
		(void)op_fail_num(o, E_OK, 0, 0);
		e = verify(o, &t, &k);
		o->user = o->ans.user = o->ans.principal = e == E_OK ? t.id.owner : o->user;
	} else if (!slice_eq(t.id.owner, o->user) && (t.id.renewer.len == 0 || !slice_eq(t.id.renewer, o->user))) {
		e = say(o, E_TOKEN_DENIED, DENIED "%.*s is not authorized to cancel the token %s", TEXT(o->user),
			id_text(&t.id, id));
	} else {
		k = keys_find(&o->s->tokens, t.identifier);
		e = k ? E_OK : say(o, E_TOKEN_DENIED, INVALID "Token not found %s", id_text(&t.id, id));
	}
	return e == E_OK ? txn_stage(o, k, NULL, &none) : e;
}

/*
 * Request: from:u64. Body: next:u64 count:u32 staged[count]: removals of tokens whose time is over, of those made since
 * `from`; next is 0 at the end. A token with a change under way is left for another time.
 */
enum wire_err op_dt_expire(struct op *o)
{
	const struct wire_kv none = { 0 };
	uint32_t staged = 0, looked = 0;
	const struct key *k;
	uint64_t from, next = 0;
	size_t hint = 0;
	struct sink at;
	uint8_t *head;

	if (!cur_le64(&o->in, &from) || !cur_end(&o->in))
		return E_BAD_MESSAGE;
	head = sink_room(&o->out, sizeof(next) + sizeof(staged));
	for (k = keys_from(&o->s->tokens, from, &hint); k; k = keys_from(&o->s->tokens, k->seq + 1, &hint)) {
		next = k->seq;
		if (staged == EXPIRE_STAGED || looked++ == EXPIRE_LOOKED || o->out.left < WIRE_NAME_MAX)
			break;
		if (k->created >= o->now)
			continue;
		at = o->out;
		if (txn_stage(o, k, NULL, &none) == E_OK)
			staged++;
		else
			o->out = at;
	}
	INVARIANT(head);
	next = k ? next : 0;
	memcpy(head, &next, sizeof(next));
	memcpy(head + sizeof(next), &staged, sizeof(staged));
	return E_OK;
}
