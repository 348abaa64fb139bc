/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hadoop's order: a cookie that counts; else a delegation token; else what the authentication type asks for. A bad
 * cookie beside other valid credentials does no harm. Then, unless a token spoke: may he act for whom he names?
 */
#include "service/names.h"
#include "service/state.h"

static enum wire_err unauthenticated(struct op *o, enum wire_note note)
{
	o->ans.head.note = (uint8_t)note;
	return op_fail_num(o, E_UNAUTHENTICATED, o->cfg->auth == AUTH_SIMPLE ? SCHEME_PSEUDO : SCHEME_NEGOTIATE, 0);
}

static void found(struct op *o, struct slice user, struct slice principal)
{
	o->user = o->ans.user = user;
	o->ans.principal = principal;
}

/* Type simple: whoever says a name has it. */
static enum wire_err by_name(struct op *o, struct slice user, const struct crypto_mac_key *k)
{
	if (!user_valid(user))
		return unauthenticated(o, NOTE_USER);
	found(o, user, user);
	return cookie_issue(o, k, user, user, o->now + o->cfg->validity_ms, 0);
}

/* Somebody else acts for the user: ACLs can name him as "~name". */
static void acted_by(struct op *o, struct slice real)
{
	char *mark = o->w->mark;

	INVARIANT(real.len < sizeof(o->w->mark));	/* it was a user's name when it was let in */
	mark[0] = '~';
	memcpy(mark + 1, real.p, real.len);
	o->mark = slice_of(mark, real.len + 1);
	o->ans.real = real;
}

static enum wire_err by_token(struct op *o, struct slice token)
{
	struct slice user, real;
	enum wire_err e = dtoken_identify(o, token, &user, &real);

	if (e != E_OK)
		return e;
	found(o, user, user);
	if (real.len)
		acted_by(o, real);
	o->by_token = true;
	return E_OK;
}

/* The ticket is good for this once; the cookie lasts. */
static enum wire_err by_ticket(struct op *o, struct slice ticket, bool with_cookie, const struct crypto_mac_key *k)
{
	const struct config *c = o->cfg;
	struct krb_identity *id = &o->w->identity;
	struct krb_accept_options a = { .keys = c->server_keys, .principals = c->principals, .nprincipals = c->nprincipals,
					.now_ms = o->now, .skew_ms = c->skew_ms, .random = &o->w->random };
	struct slice user, principal;
	enum krb_result r;
	size_t len;

	if (!c->server_keys)
		return E_KEYTAB;
	r = krb_accept(o->w->crypto, &a, &o->s->replay, ticket, id);
	if (r == KRB_CONTINUE) {
		op_arg(o, slice_of(id->reply, id->reply_len));
		o->shown = with_cookie;	/* half a login is no decision yet */
		return unauthenticated(o, NOTE_CONTINUE);
	}
	if (r != KRB_OK) {
		op_arg(o, slice_str(krb_result_text(r)));
		return r == KRB_MACHINE ? E_NO_MEMORY : E_NEGOTIATE;
	}
	principal = slice_of(id->principal, id->principal_len);
	if (names_map(c->names, principal, o->w->short_name, sizeof(o->w->short_name), &len) != RC_OK)
		len = 0;
	user = slice_of(o->w->short_name, len);
	if (!user_valid(user) || !user_valid(principal)) {
		op_arg(o, slice_str("No rules applied to the principal (hadoop.kms.authentication.kerberos.name.rules)"));
		return E_NEGOTIATE;
	}
	found(o, user, principal);
	o->reply = slice_of(id->reply, id->reply_len);
	return cookie_issue(o, k, user, principal, o->now + c->validity_ms, 0);
}

static enum wire_err identify(struct op *o, const struct wire_cred *cred, const struct crypto_mac_key *cur,
			      const struct crypto_mac_key *old)
{
	enum wire_note note = NOTE_NONE;
	struct cookie t;

	if (cred->has_cookie) {
		note = cookie_check(o, cred->cookie, cur, old, &t);
		if (note == NOTE_NONE) {
			found(o, t.user, t.principal);
			if (o->cfg->inactive_ms)
				return cookie_issue(o, cur, t.user, t.principal, t.expires,
						    o->now + o->cfg->inactive_ms);
			return E_OK;
		}
	}
	if (cred->has_token)
		return by_token(o, cred->token);
	if (o->cfg->auth == AUTH_SIMPLE && cred->has_user && cred->user.len)
		return by_name(o, cred->user, cur);
	/* Only where a call does nothing else: made again, as any other may have to be, it would be a replay. */
	if (o->cfg->auth != AUTH_SIMPLE && cred->has_negotiate && o->call == CALL_AUTH)
		return by_ticket(o, cred->negotiate, cred->has_cookie, cur);
	if (note == NOTE_UNSIGNED)
		op_arg(o, cred->cookie);
	return unauthenticated(o, note);
}

enum wire_err auth_groups(struct op *o, const struct wire_cred *cred)
{
	bool os;

	o->static_groups = config_user(o->cfg, o->user);
	os = o->cfg->groups_os && !o->static_groups;
	o->os_groups = os ? cred->group : cur_of(NULL, 0);
	if (!os || slice_eq(cred->group_user, o->user))
		return E_OK;
	op_arg(o, o->user);
	return E_GROUPS;
}

static enum wire_err do_as_denied(struct op *o, struct slice whom, enum wire_do_as why)
{
	op_arg(o, whom);
	return op_fail_num(o, E_DO_AS_DENIED, why, 0);
}

/* Under Kerberos whoever is named may be named in full. */
MUST_CHECK static bool short_name(struct op *o, struct slice *user)
{
	size_t len;

	if (!o->cfg->names || !(memchr(user->p, '@', user->len) || memchr(user->p, '/', user->len)))
		return true;
	if (names_map(o->cfg->names, *user, o->w->acted, sizeof(o->w->acted), &len) != RC_OK)
		return false;
	*user = slice_of(o->w->acted, len);
	return user_valid(*user);
}

/* The rule is looked up by the caller's short name, and judges the short name and groups of whom he names. */
static enum wire_err act_for(struct op *o, const struct wire_cred *cred)
{
	const struct proxy_user *p = config_proxy_user(o->cfg, o->user);
	struct slice real = o->user, user = cred->do_as;
	enum wire_err e;

	if (!p || !user_valid(user) || !short_name(o, &user))
		return do_as_denied(o, cred->do_as, DO_AS_USER);
	o->user = user;
	e = auth_groups(o, cred);
	if (e != E_OK)
		return e;
	if (!acl_permits(&p->whom, &(struct caller){ o->user, slice_of("", 0), o->static_groups, o->os_groups }))
		return do_as_denied(o, cred->do_as, DO_AS_USER);
	if (!proxy_user_from(p, cred->peer, cred->name))
		return do_as_denied(o, cred->do_as, DO_AS_HOST);
	acted_by(o, real);
	found(o, user, cred->do_as);
	return E_OK;
}

enum wire_err auth_check(struct op *o, const struct wire_cred *cred)
{
	struct crypto_mac_key cur, old;
	enum wire_err e;

	chain_see(o, cred);
	if (signer_get(o->w, &o->s->signer, o->cfg->validity_ms, o->now, &cur, &old) != RC_OK)
		e = E_RANDOM;
	else
		e = identify(o, cred, &cur, &old);
	signer_drop(&cur);
	signer_drop(&old);
	if (e == E_OK && cred->has_do_as && !o->by_token)
		e = act_for(o, cred);
	else if (e == E_OK && o->call != CALL_AUTH)
		e = auth_groups(o, cred);
	return e;
}
