/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's Kerberos keys: brought once, kept in the store, used when nobody brings any; never an earlier configurer's
 * once there is an owner; sealed for this core where they travel in a bundle.
 */
#include "service/krb_priv.h"
#include "service/state.h"
#include "tests/fake/core.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

#define NOW_S (FAKE_WALL / 1000)
#define AES256 18
#define KRB "hadoop.kms.authentication.kerberos."

struct file {
	uint8_t b[600];
	size_t len;
};

static struct fake_krb f;
static uint8_t owner_priv[CRYPTO_DER_MAX], owner_pub[CRYPTO_DER_MAX];
static size_t npriv, npub;

static struct slice of(const struct file *k)
{
	return slice_of(k->b, k->len);
}

/* A keytab for the fake KDC's service key, or for another one. */
static void keytab_of(struct file *k, uint8_t other)
{
	uint8_t key[32];

	memcpy(key, f.service.b, sizeof(key));
	key[0] ^= other;
	k->b[0] = 5;
	k->b[1] = 2;
	k->len = 2 + fake_krb_keytab_entry(k->b + 2, sizeof(k->b) - 2, f.server, f.server_realm, (uint8_t)f.kvno,
					   (uint32_t)f.kvno, AES256, key, crypto_krb_key_len(AES256));
}

/* keytab, sealed: of length 0, none. Writes a config_req. */
static void put_config(struct sink *s, struct slice keytab, struct slice sealed, const char *principal, const char *rules)
{
	wire_config_req_put(s, 4u + (keytab.len != 0) + (sealed.len != 0));
	wire_property_put(s, slice_str("hadoop.kms.authentication.type"), slice_str("kerberos"));
	wire_property_put(s, slice_str(KRB "principal"), slice_str(principal));
	wire_property_put(s, slice_str(KRB "name.rules"), slice_str(rules));
	wire_property_put(s, slice_str("default.key.acl.READ"), slice_str("*"));
	if (keytab.len)
		wire_property_put(s, slice_str("svsm.secret.keytab"), keytab);
	if (sealed.len)
		wire_property_put(s, slice_str("svsm.sealed.keytab"), sealed);
}

static const struct slice nothing = { (const uint8_t *)"", 0 };
#define NAME "HTTP/kms.example.com"

static enum wire_err configure(struct core *c, struct slice keytab)
{
	put_config(core_req(c), keytab, nothing, NAME, "DEFAULT");
	return core_send(c, CALL_CONFIG);
}

/* The beginning of the owner's bundle for this store, in `t`. */
static void bundle_begin(struct core *c, struct sink *t, uint64_t version, uint32_t flags)
{
	struct wire_signed_req m = { .version = version, .flags = flags, .public_der = slice_of(owner_pub, npub) };
	struct wire_status st;

	EXPECT_INT(core_status(c, &st), E_OK);
	memcpy(m.store_id, st.store_id, sizeof(m.store_id));
	wire_signed_text_put(t, &m);
}

/* Signs it, and sends it. */
static enum wire_err bundle_send(struct core *c, struct slice text)
{
	uint8_t sig[CRYPTO_SIGNATURE_MAX];
	size_t nsig = sizeof(sig);

	EXPECT(crypto_sign(slice_of(owner_priv, npriv), text, sig, &nsig) == RC_OK);
	sink_str16(core_req(c), slice_of(sig, nsig));
	sink_put(&c->out, text.p, text.len);
	return core_send(c, CALL_CONFIG_SIGNED);
}

static enum wire_err configure_signed(struct core *c, uint64_t version, uint32_t flags, struct slice keytab, struct slice sealed)
{
	uint8_t text[8192];
	struct sink t = sink_of(text, sizeof(text));

	bundle_begin(c, &t, version, flags);
	put_config(&t, keytab, sealed, NAME, "DEFAULT");
	EXPECT(sink_ok(&t));
	return bundle_send(c, slice_of(text, t.need));
}

/* A reload with another skew. */
static void set_skew(struct core *c, struct slice keytab, const char *seconds)
{
	wire_config_req_put(core_req(c), 4);
	wire_property_put(&c->out, slice_str("hadoop.kms.authentication.type"), slice_str("kerberos"));
	wire_property_put(&c->out, slice_str(KRB "principal"), slice_str(NAME));
	wire_property_put(&c->out, slice_str("svsm.kms.kerberos.skew.sec"), slice_str(seconds));
	wire_property_put(&c->out, slice_str("svsm.secret.keytab"), keytab);
	EXPECT_INT(core_send(c, CALL_CONFIG), E_OK);
}

static uint32_t state_of(struct core *c)
{
	struct wire_status st;

	EXPECT_INT(core_status(c, &st), E_OK);
	return st.keytab;
}

static enum wire_err log_in(struct core *c)
{
	struct wire_name_req m = { .name = nothing };
	uint8_t token[4096];

	f.cusec++;
	f.ctime_s = NOW_S + (fake_mono - 1000) / 1000;
	m.cred.has_negotiate = true;
	m.cred.negotiate = slice_of(token, fake_krb_token(&f, token, sizeof(token)));
	wire_name_req_put(core_req(c), &m);
	return core_send(c, CALL_AUTH);
}

static void seal(struct core *c)
{
	struct cursor body;

	EXPECT_INT(state_of(c), KEYTAB_GIVEN);
	core_req(c);
	EXPECT_INT(core_send(c, CALL_KEYTAB), E_OK);
	body = c->ans.body;
	EXPECT(wire_staged_next(&body, &c->staged) && cur_end(&body));
	core_commit(c);
	EXPECT_INT(state_of(c), KEYTAB_SEALED);
}

static void start(struct core *c)
{
	fake_mono = 1000;
	core_start(c, 0x11);
	fake_krb_init(&f, AES256, NOW_S);
}

/* The same store in a core that starts anew; the configuration comes first, as it does. */
static void again(struct core *c, struct core *from, enum wire_err (*how)(struct core *c))
{
	core_start(c, 0x11);
	EXPECT_INT(how(c), E_OK);
	EXPECT_INT(core_store_open(c, &from->store), E_OK);
}

static enum wire_err without(struct core *c)
{
	return configure(c, nothing);
}

TEST(a_keytab_is_brought_once_and_kept)
{
	struct file k, k2;
	struct core c, d, e;

	start(&c);
	keytab_of(&k, 0);
	keytab_of(&k2, 1);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	EXPECT_INT(log_in(&c), E_OK);
	EXPECT(slice_is(c.ans.user, "alice") && slice_is(c.ans.principal, "alice@EXAMPLE.COM"));
	seal(&c);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_KEYTAB), E_OK);
	EXPECT_INT(c.ans.body.left, 0);		/* nothing new */
	again(&d, &c, without);
	EXPECT_INT(state_of(&d), KEYTAB_SEALED);
	EXPECT_INT(log_in(&d), E_OK);
	/* Another one takes its place, also in the store. */
	EXPECT_INT(configure(&d, of(&k2)), E_OK);
	EXPECT_INT(log_in(&d), E_NEGOTIATE);
	fake_store_copy(&d.store, &c.store);
	seal(&d);
	again(&e, &d, without);
	EXPECT_INT(log_in(&e), E_NEGOTIATE);
	core_stop(&e);
	core_stop(&d);
	core_stop(&c);
}

TEST(without_any_keytab_nobody_can_show_a_ticket)
{
	struct core c;

	start(&c);
	EXPECT_INT(without(&c), E_OK);
	EXPECT_INT(state_of(&c), KEYTAB_MISSING);
	EXPECT_INT(core_store_create(&c), E_OK);
	EXPECT_INT(state_of(&c), KEYTAB_MISSING);
	EXPECT_INT(log_in(&c), E_KEYTAB);
	core_req(&c);
	EXPECT_INT(core_send(&c, CALL_KEYTAB), E_OK);
	EXPECT_INT(c.ans.body.left, 0);
	EXPECT_INT(without(&c), E_KEYTAB);
	EXPECT_INT(core_config(&c, "hadoop.kms.authentication.type", "simple", NULL), E_OK);
	EXPECT_INT(state_of(&c), KEYTAB_NONE);
	EXPECT_INT(log_in(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.num[0], SCHEME_PSEUDO);
	/* What would let nobody in is not taken: the one in force stays. */
	EXPECT_INT(without(&c), E_KEYTAB);
	EXPECT(slice_starts(c.ans.arg, "there is no keytab"));
	EXPECT_INT(state_of(&c), KEYTAB_NONE);
	EXPECT_INT(log_in(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.num[0], SCHEME_PSEUDO);
	core_stop(&c);
}

TEST(a_keytab_that_cannot_be_used_changes_nothing)
{
	static const struct {
		const char *principal, *rules, *named;
	} bad[] = {
		{ "HTTP/other.example.com", "DEFAULT", KRB "keytab: " },
		{ NAME "@OTHER.TEST", "DEFAULT", KRB "keytab: " },
		{ "HTTP/kms.example.com,HTTP/other", "DEFAULT", KRB "keytab: " },
		{ "kms/kms.example.com", "DEFAULT", KRB "principal: " },
		{ "", "DEFAULT", KRB "principal: " },
		{ NAME, "RULE:[1", KRB "name.rules: " },
	};
	struct file k, cut;
	struct core c;
	size_t i;

	start(&c);
	keytab_of(&k, 0);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		put_config(core_req(&c), of(&k), nothing, bad[i].principal, bad[i].rules);
		EXPECT_INT(core_send(&c, CALL_CONFIG), E_CONFIG);
		EXPECT(slice_starts(c.ans.arg, bad[i].named));
		EXPECT_INT(log_in(&c), E_OK);
	}
	for (i = 1; i < k.len; i++) {
		cut = k;
		cut.len = i;
		EXPECT_INT(configure(&c, of(&cut)), E_CONFIG);
	}
	EXPECT_INT(log_in(&c), E_OK);
	put_config(core_req(&c), of(&k), nothing, "*", "DEFAULT");
	EXPECT_INT(core_send(&c, CALL_CONFIG), E_OK);
	EXPECT_INT(log_in(&c), E_OK);
	core_stop(&c);
}

static struct slice owner_sealed;

static enum wire_err owners(struct core *c)
{
	return configure_signed(c, 2, 0, nothing, owner_sealed);
}

TEST(the_keytab_of_whoever_configured_before_the_owner_counts_no_more)
{
	static uint8_t blob[1024];
	struct core c, d;
	struct file k, k2;

	start(&c);
	npriv = npub = CRYPTO_DER_MAX;
	EXPECT(crypto_wrap_keypair(owner_priv, &npriv, owner_pub, &npub) == RC_OK);
	keytab_of(&k, 0);
	keytab_of(&k2, 1);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	seal(&c);
	EXPECT_INT(log_in(&c), E_OK);
	/* He could make a ticket in any name. Without another keytab nobody is enrolled, and all stays as it was. */
	EXPECT_INT(configure_signed(&c, 1, SIGNED_ENROLL, nothing, nothing), E_KEYTAB);
	EXPECT(slice_starts(c.ans.arg, "the bundle brings no keytab"));
	EXPECT_INT(log_in(&c), E_OK);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(configure_signed(&c, 1, SIGNED_ENROLL, nothing, core_seal_keytab(&c, of(&k2), blob)), E_OK);
	EXPECT_INT(log_in(&c), E_NEGOTIATE);
	EXPECT_INT(configure(&c, of(&k)), E_OWNER_ONLY);
	EXPECT_INT(log_in(&c), E_NEGOTIATE);
	EXPECT_INT(configure_signed(&c, 2, 0, nothing, core_seal_keytab(&c, of(&k), blob)), E_OK);
	seal(&c);
	owner_sealed = nothing;
	core_start(&d, 0x11);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(configure_signed(&d, 3, 0, nothing, nothing), E_OK);
	EXPECT_INT(log_in(&d), E_OK);
	core_stop(&d);
	core_stop(&c);
}

TEST(in_a_bundle_a_keytab_is_sealed_for_the_core_that_has_the_store)
{
	static uint8_t blob[1024];
	struct core c, d, other;
	struct wire_status st, st2;
	struct file k;
	size_t i;

	start(&c);
	npriv = npub = CRYPTO_DER_MAX;
	EXPECT(crypto_wrap_keypair(owner_priv, &npriv, owner_pub, &npub) == RC_OK);
	keytab_of(&k, 0);
	EXPECT_INT(core_store_create(&c), E_OK);
	EXPECT_INT(core_status(&c, &st), E_OK);
	owner_sealed = core_seal_keytab(&c, of(&k), blob);
	EXPECT(!memmem(blob, owner_sealed.len, f.service.b, 16));
	EXPECT_INT(configure_signed(&c, 1, SIGNED_ENROLL, nothing, owner_sealed), E_OK);
	EXPECT_INT(log_in(&c), E_OK);
	seal(&c);
	/* It may also come before the store is open. */
	core_start(&d, 0x11);
	EXPECT_INT(core_store_open(&d, &c.store), E_OK);
	EXPECT_INT(core_status(&d, &st2), E_OK);
	EXPECT_MEM(st2.upload_key, st.upload_key, 32);
	EXPECT_INT(owners(&d), E_OK);
	EXPECT_INT(log_in(&d), E_OK);
	core_stop(&d);
	/* Another store's core cannot open it, and every changed byte is noticed. */
	core_start(&other, 0x11);
	EXPECT_INT(core_store_create(&other), E_OK);
	EXPECT_INT(core_status(&other, &st2), E_OK);
	EXPECT(memcmp(st2.upload_key, st.upload_key, 32) != 0);
	EXPECT_INT(configure_signed(&other, 1, SIGNED_ENROLL, nothing, owner_sealed), E_KEYTAB);
	core_stop(&other);
	for (i = 0; i < owner_sealed.len; i += 7) {
		blob[i] ^= 0x10;
		EXPECT_INT(configure_signed(&c, 5 + i, 0, nothing, owner_sealed), E_KEYTAB);
		blob[i] ^= 0x10;
	}
	for (i = 1; i < owner_sealed.len; i += 11)
		EXPECT_INT(configure_signed(&c, 5, 0, nothing, slice_of(blob, i)), E_KEYTAB);
	EXPECT_INT(log_in(&c), E_OK);
	core_stop(&c);
}

/* One more property in a bundle that is good without it. */
static enum wire_err configure_with(struct core *c, uint64_t version, uint32_t flags, const char *name, struct slice value)
{
	uint8_t text[8192];
	struct sink t = sink_of(text, sizeof(text));

	bundle_begin(c, &t, version, flags);
	wire_config_req_put(&t, 2);
	wire_property_put(&t, slice_str("default.key.acl.READ"), slice_str("*"));
	wire_property_put(&t, slice_str(name), value);
	EXPECT(sink_ok(&t));
	return bundle_send(c, slice_of(text, t.need));
}

TEST(a_bundle_with_a_secret_in_the_clear_is_refused_whoever_signed_it)
{
	static const char *const names[] = { "svsm.secret.keytab", "svsm.secret.signature", "svsm.secret.", "svsm.secret.other" };
	static uint8_t blob[1024];
	struct wire_status st;
	struct core c;
	struct file k;
	size_t i;

	start(&c);
	npriv = npub = CRYPTO_DER_MAX;
	EXPECT(crypto_wrap_keypair(owner_priv, &npriv, owner_pub, &npub) == RC_OK);
	keytab_of(&k, 0);
	for (i = 0; i < ARRAY_LEN(names); i++) {	/* without a store, and before there is an owner */
		EXPECT_INT(configure_with(&c, 1, 0, names[i], of(&k)), E_CONFIG);
		EXPECT_INT(configure_with(&c, 1, 0, names[i], nothing), E_CONFIG);
	}
	EXPECT_INT(core_store_create(&c), E_OK);
	for (i = 0; i < ARRAY_LEN(names); i++)
		EXPECT_INT(configure_with(&c, 1, SIGNED_ENROLL, names[i], of(&k)), E_CONFIG);
	EXPECT_INT(core_status(&c, &st), E_OK);
	EXPECT(st.config == CONFIG_NONE && st.owner_unsealed == 0);
	EXPECT_INT(configure_signed(&c, 1, SIGNED_ENROLL, nothing, core_seal_keytab(&c, of(&k), blob)), E_OK);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		EXPECT_INT(configure_with(&c, 2, 0, names[i], of(&k)), E_CONFIG);
		EXPECT(slice_starts(c.ans.arg, names[i]) && memmem(c.ans.arg.p, c.ans.arg.len, "`svsm-kms owner sign", 20));
		EXPECT(!memmem(c.ans.arg.p, c.ans.arg.len, of(&k).p, k.len));
	}
	EXPECT_INT(configure_signed(&c, 2, 0, of(&k), nothing), E_CONFIG);
	EXPECT_INT(log_in(&c), E_OK);		/* what was in force is */
	EXPECT_INT(configure_with(&c, 2, 0, "svsm.secrets", of(&k)), E_OK);	/* which is nothing to the core */
	core_stop(&c);
}

TEST(a_panic_wipes_the_keys_that_open_tickets)
{
	const struct krb_keys *keys;
	struct core c;
	struct file k;
	size_t i;

	start(&c);
	keytab_of(&k, 0);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	keys = c.svc->config->server_keys;
	EXPECT(keys->count == 1 && keys->entry[0].key.etype == AES256);
	svc_panic_wipe(c.svc);
	for (i = 0; i < sizeof(*keys) + sizeof(keys->entry[0]); i++)
		EXPECT_INT(((const uint8_t *)keys)[i], 0);
	core_stop(&c);
}

TEST(without_randomness_no_cache_of_replays_is_left_without_its_salt)
{
	static const struct secret zero;
	struct core c;
	struct file k;

	start(&c);
	keytab_of(&k, 0);
	fake_entropy_broken = true;
	EXPECT(configure(&c, of(&k)) != E_OK);
	fake_entropy_broken = false;
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT(memcmp(&c.svc->replay.salt, &zero, sizeof(zero)) != 0);
	core_stop(&c);
}

TEST(a_user_under_kerberos_is_what_the_rules_make_of_the_principal)
{
	static const struct {
		const char *client, *realm, *user;	/* NULL: nobody */
	} who[] = {
		{ "alice", "EXAMPLE.COM", "alice" }, { "hdfs/nn.example.com", "EXAMPLE.COM", "super" },
		{ "alice/admin", "EXAMPLE.COM", "alice" }, { "alice", "OTHER.TEST", NULL }, { "root", "EXAMPLE.COM", NULL },
	};
	struct core c;
	struct file k;
	size_t i;

	start(&c);
	keytab_of(&k, 0);
	put_config(core_req(&c), of(&k), nothing, NAME,
		   "RULE:[2:$1@$0](hdfs@EXAMPLE.COM)s/.*/super/ RULE:[1:$1](root)s/root/a@b/ DEFAULT");
	EXPECT_INT(core_send(&c, CALL_CONFIG), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	for (i = 0; i < ARRAY_LEN(who); i++) {
		f.client = who[i].client;
		f.client_realm = who[i].realm;
		EXPECT_INT(log_in(&c), who[i].user ? E_OK : E_NEGOTIATE);
		if (who[i].user)
			EXPECT(slice_is(c.ans.user, who[i].user) && c.ans.cookie.len && c.ans.body.left > 2);
		else
			EXPECT(c.ans.user.len == 0 && c.ans.cookie.len == 0 && c.ans.arg.len);
	}
	core_stop(&c);
}

/* Nobody counts these: each an entry, they would fill the disk. */
TEST(half_a_login_or_a_mere_name_makes_no_entry_unless_something_else_is_shown_with_it)
{
	struct wire_name_req m = { .name = nothing };
	uint8_t token[4096];
	struct core c;
	struct file k;
	unsigned i;

	start(&c);
	keytab_of(&k, 0);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	f.form = FAKE_KRB_NTLM_FIRST;
	for (i = 0; i < 3; i++) {
		EXPECT_INT(log_in(&c), E_UNAUTHENTICATED);
		EXPECT(c.ans.head.note == NOTE_CONTINUE && c.ans.arg.len && c.ans.chain.len == 0);
	}
	m.cred.has_negotiate = m.cred.has_cookie = true;
	m.cred.negotiate = slice_of(token, fake_krb_token(&f, token, sizeof(token)));
	m.cred.cookie = slice_str("u=alice&p=alice&t=kerberos-dt&e=99999999999999&s=AAAA");
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_UNAUTHENTICATED);
	EXPECT(c.ans.head.note == NOTE_CONTINUE && c.ans.chain.len > 0);
	core_as(&c, "mallory");			/* a name is not even asked for here */
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.chain.len, 0);
	EXPECT_INT(core_name(&c, CALL_METADATA, "k"), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.chain.len, 0);
	fake_krb_init(&f, AES256, NOW_S);
	EXPECT_INT(log_in(&c), E_OK);
	EXPECT(c.ans.chain.len > 0);
	core_stop(&c);
}

TEST(a_skew_that_a_reload_raises_does_not_let_an_old_authenticator_in_again)
{
	struct wire_name_req m = { .name = nothing };
	uint8_t token[4096];
	struct core c;
	struct file k;
	unsigned i;

	start(&c);
	keytab_of(&k, 0);
	set_skew(&c, of(&k), "60");
	EXPECT_INT(core_store_create(&c), E_OK);
	f.cusec++;
	m.cred.has_negotiate = true;
	m.cred.negotiate = slice_of(token, fake_krb_token(&f, token, sizeof(token)));
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_OK);
	fake_mono += 130 * 1000;		/* past twice the skew */
	for (i = 0; i < 3; i++)
		EXPECT_INT(log_in(&c), E_OK);	/* somebody else's call lets go of what is over */
	set_skew(&c, of(&k), "300");
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_NEGOTIATE);
	EXPECT(memmem(c.ans.arg.p, c.ans.arg.len, "skew.sec", 8) && c.ans.cookie.len == 0 && c.ans.user.len == 0);
	EXPECT_INT(log_in(&c), E_OK);		/* a new one counts at once */
	core_stop(&c);
}

TEST(a_ticket_counts_where_nothing_else_is_done_and_once)
{
	struct wire_name_req m = { .name = slice_str("k") };
	uint8_t token[4096];
	enum wire_call call;
	struct core c;
	struct file k;

	start(&c);
	keytab_of(&k, 0);
	EXPECT_INT(configure(&c, of(&k)), E_OK);
	EXPECT_INT(core_store_create(&c), E_OK);
	f.cusec++;
	m.cred.has_negotiate = true;
	m.cred.negotiate = slice_of(token, fake_krb_token(&f, token, sizeof(token)));
	for (call = CALL_ADMIN; call < CALL_COUNT; call++) {
		wire_name_req_put(core_req(&c), &m);
		EXPECT(core_send(&c, call) == E_UNAUTHENTICATED || c.err == E_BAD_MESSAGE);
		EXPECT(c.err == E_BAD_MESSAGE || c.ans.head.num[0] == SCHEME_NEGOTIATE);
	}
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_OK);
	wire_name_req_put(core_req(&c), &m);
	EXPECT_INT(core_send(&c, CALL_AUTH), E_NEGOTIATE);
	core_stop(&c);
}
