/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxy that wants to be somebody else. It speaks the call interface, keeps whatever it ever saw of its victim that is no
 * proof (a cookie with another signature, a ticket that was used, a token that was cancelled...), has full credentials of
 * its own, and a rule that lets it act for a third user. The store has an owner. Every call is made with every combination
 * of such credentials, and then in random orders with all control calls between, each cookie and token that comes out being
 * used again: nothing may ever be answered as the victim.
 */
#include <stdlib.h>

#include "service/dtoken.h"
#include "tests/fake/core.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"
#define NOW_S (FAKE_WALL / 1000)
#define AES256 18
#define VICTIM "victim"
#define MINE "bob"
#define THIRD "carol"

struct bytes {
	uint8_t b[4096];
	size_t len;
};

static struct world {
	struct core c;
	struct fake_krb me, victim, third;
	struct bytes cookie[9], token[5], ticket[7];
	struct bytes seen_cookie[8], seen_token[8];	/* what answers gave */
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX];
	size_t npriv, npub;
	unsigned long asked, granted, own;
} w;

static struct slice of(const struct bytes *b)
{
	return slice_of(b->b, b->len);
}

static void keep(struct bytes *to, struct slice s)
{
	EXPECT(s.len <= sizeof(to->b));
	if (s.len)
		memcpy(to->b, s.p, s.len);
	to->len = s.len;
}

/* ---- the world ---- */

static void fresh(struct fake_krb *f, struct bytes *out)
{
	f->cusec++;
	out->len = fake_krb_token(f, out->b, sizeof(out->b));
}

static void configure(uint32_t flags, const uint8_t *store)
{
	static const char *const list[] = {
		"hadoop.kms.authentication.type", "kerberos",
		"hadoop.kms.authentication.kerberos.principal", "HTTP/kms.example.com",
		"hadoop.kms.proxyuser.bob.users", THIRD, "hadoop.kms.proxyuser.bob.hosts", "*",
		"hadoop.kms.http.administrators", VICTIM, "key.acl.v.ALL", VICTIM, "key.acl.b.ALL", "bob,carol",
		"hadoop.user.group.static.mapping.overrides", "victim=staff",
	};
	struct wire_signed_req m = { .version = 1, .flags = flags, .public_der = slice_of(w.pub, w.npub) };
	uint8_t text[8192], sig[CRYPTO_SIGNATURE_MAX], keytab[512] = { 5, 2 }, sealed[512 + CRYPTO_UPLOAD_OVERHEAD];
	struct sink t = sink_of(text, sizeof(text));
	size_t nsig = sizeof(sig), len = 2, i;

	len += fake_krb_keytab_entry(keytab + 2, sizeof(keytab) - 2, "HTTP/kms.example.com", "EXAMPLE.COM", (uint8_t)w.me.kvno,
				     (uint32_t)w.me.kvno, AES256, w.me.service.b, crypto_krb_key_len(AES256));
	memcpy(m.store_id, store, 16);
	wire_signed_text_put(&t, &m);
	wire_config_req_put(&t, ARRAY_LEN(list) / 2 + 1);
	for (i = 0; i < ARRAY_LEN(list); i += 2)
		wire_property_put(&t, slice_str(list[i]), slice_str(list[i + 1]));
	wire_property_put(&t, slice_str("svsm.sealed.keytab"), core_seal_keytab(&w.c, slice_of(keytab, len), sealed));
	EXPECT(sink_ok(&t) && crypto_sign(slice_of(w.priv, w.npriv), slice_of(text, t.need), sig, &nsig) == RC_OK);
	sink_str16(core_req(&w.c), slice_of(sig, nsig));
	sink_put(&w.c.out, text, t.need);
	EXPECT_INT(core_send(&w.c, CALL_CONFIG_SIGNED), E_OK);
}

/* As an honest proxy would, for whoever has a ticket. */
static void log_in(struct fake_krb *f, struct bytes *cookie, struct bytes *ticket)
{
	struct wire_name_req m = { .name = slice_of("", 0) };
	struct bytes t;

	fresh(f, &t);
	m.cred.has_negotiate = true;
	m.cred.negotiate = of(&t);
	wire_name_req_put(core_req(&w.c), &m);
	EXPECT_INT(core_send(&w.c, CALL_AUTH), E_OK);
	EXPECT(slice_is(w.c.ans.user, f->client) && w.c.ans.cookie.len);
	keep(cookie, w.c.ans.cookie);
	if (ticket)
		*ticket = t;
}

static void token_of(const struct bytes *cookie, struct bytes *out)
{
	static uint8_t buf[WIRE_TOKEN_MAX];
	struct slice token;

	core_as_cookie(&w.c, of(cookie));
	EXPECT_INT(core_dt_get(&w.c, MINE, buf, &token), E_OK);
	core_commit(&w.c);
	keep(out, token);
}

static void prepare(void)
{
	struct wire_status st;
	struct bytes cookie, other;
	uint64_t epoch;
	char text[512];

	fake_mono = 1000;
	core_start(&w.c, 0x11);
	fake_krb_init(&w.me, AES256, NOW_S);
	w.victim = w.third = w.me;
	w.me.client = MINE;
	w.victim.client = VICTIM;
	w.third.client = THIRD;
	w.npriv = w.npub = CRYPTO_DER_MAX;
	EXPECT(crypto_wrap_keypair(w.priv, &w.npriv, w.pub, &w.npub) == RC_OK);
	EXPECT_INT(core_store_create(&w.c), E_OK);
	EXPECT_INT(core_status(&w.c, &st), E_OK);
	configure(SIGNED_ENROLL, st.store_id);
	EXPECT_INT(core_head(&w.c, NULL, 0, &epoch), E_OK);
	EXPECT_INT(core_commit_epoch(&w.c, epoch), E_OK);

	/* An expired cookie, first: time only goes on. */
	log_in(&w.victim, &w.cookie[6], &w.ticket[2]);
	fake_mono += 36000 * 1000ull + 1;
	w.me.ctime_s = w.victim.ctime_s = w.third.ctime_s = NOW_S + 36001;
	w.me.end_s = w.victim.end_s = w.third.end_s = NOW_S + 10 * 36000;
	log_in(&w.victim, &cookie, &w.ticket[2]);
	core_as_cookie(&w.c, of(&cookie));
	core_make(&w.c, "v", M16);
	token_of(&cookie, &w.token[2]);
	w.token[2].b[w.token[2].len / 2] ^= 1;
	token_of(&cookie, &w.token[3]);
	EXPECT_INT(core_dt_cancel(&w.c, of(&w.token[3])), E_OK);
	core_commit(&w.c);

	log_in(&w.me, &w.cookie[2], NULL);
	core_as_cookie(&w.c, of(&w.cookie[2]));
	core_make(&w.c, "b", M16);
	token_of(&w.cookie[2], &w.token[1]);

	/* 0: none, 1: empty, 2: mine; then what might pass for the victim's */
	snprintf(text, sizeof(text), "u=" VICTIM "&p=" VICTIM "@EXAMPLE.COM%.*s", (int)w.cookie[2].len,
		 (const char *)memmem(w.cookie[2].b, w.cookie[2].len, "&t=", 3));
	text[w.cookie[2].len - strlen("u=bob&p=bob@EXAMPLE.COM") + strlen("u=" VICTIM "&p=" VICTIM "@EXAMPLE.COM")] = 0;
	keep(&w.cookie[3], slice_str(text));
	w.cookie[4] = cookie;
	w.cookie[4].b[cookie.len - 3] = cookie.b[cookie.len - 3] == 'A' ? 'B' : 'A';
	keep(&w.cookie[5], slice_of(cookie.b, cookie.len - 48));	/* without the signature */
	keep(&w.cookie[7], slice_str("u=" VICTIM "&p=" VICTIM "&t=kerberos-dt&e=9999999999999&s="
				     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
	snprintf(text, sizeof(text), "u=" VICTIM "&p=x&t=kerberos-dt&e=-1&%.*s", (int)w.cookie[2].len, (char *)w.cookie[2].b);
	keep(&w.cookie[8], slice_str(text));	/* two in one */

	/* 0: none, 1: mine, made anew each time; 2: the victim's, used; then others in the victim's name */
	other = w.ticket[2];
	fresh(&w.victim, &w.ticket[3]);
	w.ticket[3] = other;
	w.ticket[3].b[w.ticket[3].len - 1] ^= 1;	/* another authenticator */
	w.victim.service.b[0] ^= 1;
	fresh(&w.victim, &w.ticket[4]);		/* sealed with another key */
	w.victim.service.b[0] ^= 1;
	w.victim.end_s = NOW_S;
	fresh(&w.victim, &w.ticket[5]);		/* over */
	w.victim.end_s = w.me.end_s;
	w.victim.client_realm = "OTHER.TEST";
	fresh(&w.victim, &w.ticket[6]);		/* the same name of another realm */
	w.victim.client_realm = "EXAMPLE.COM";
	keep(&w.token[4], slice_str("garbage"));
}

/* ---- attacks ---- */

/* Which of each is shown; the last two are what answers gave before. */
struct shown {
	unsigned cookie, token, ticket, name, whom;
};

static struct wire_cred cred_of(const struct shown *s)
{
	static const char *const whom[] = { "", VICTIM, VICTIM "@EXAMPLE.COM", THIRD };
	struct wire_cred c = { .has_cookie = s->cookie != 0, .has_token = s->token != 0, .has_negotiate = s->ticket != 0,
			       .has_user = s->name != 0, .has_do_as = s->whom != 0 };

	c.cookie = s->cookie < ARRAY_LEN(w.cookie) ? of(&w.cookie[s->cookie]) :
						      of(&w.seen_cookie[test_random(ARRAY_LEN(w.seen_cookie))]);
	c.token = s->token < ARRAY_LEN(w.token) ? of(&w.token[s->token]) :
						  of(&w.seen_token[test_random(ARRAY_LEN(w.seen_token))]);
	if (s->ticket == 1)
		fresh(&w.me, &w.ticket[1]);
	c.negotiate = of(&w.ticket[s->ticket]);
	c.user = slice_str(s->name ? VICTIM : "");
	c.do_as = slice_str(whom[s->whom]);
	return c;
}

static const enum wire_call by_name[] = { CALL_AUTH, CALL_ADMIN, CALL_DELETE, CALL_INVALIDATE, CALL_NAMES, CALL_METADATA,
					  CALL_CURRENT, CALL_VERSION_GET, CALL_VERSIONS, CALL_GENERATE };
static const enum wire_call others[] = { CALL_CREATE, CALL_IMPORT, CALL_ROLL, CALL_DECRYPT, CALL_REENCRYPT,
					 CALL_REENCRYPT_BATCH, CALL_METADATAS, CALL_DT_GET, CALL_DT_RENEW, CALL_DT_CANCEL };
#define CALLS (ARRAY_LEN(by_name) + ARRAY_LEN(others))

static void write_other(enum wire_call call, const struct wire_cred *cred, const char *key)
{
	static const uint8_t zero[16], one[18] = { 16 };
	char version[16];
	struct slice name = slice_str(key), at;
	struct wire_item item = { .iv = slice_of(zero, 16), .material = slice_of(zero, 16) };
	struct wire_create_req create = { .cred = *cred, .name = name, .cipher = slice_of("", 0), .description = slice_of("", 0),
					  .materials = call == CALL_IMPORT,
					  .material = cur_of(one, call == CALL_IMPORT ? 18 : 0) };
	struct wire_roll_req roll = { .cred = *cred, .name = name, .material = slice_of("", 0) };
	struct wire_batch_req batch = { .cred = *cred, .name = name, .count = 1 };
	struct wire_names_req names = { .cred = *cred, .count = 1 };
	struct wire_eek_req eek = { .cred = *cred, .has_name = true, .name = name, .iv = item.iv, .material = item.material };
	struct wire_dt_req dt = { .cred = *cred, .renewer = slice_of("", 0), .token = of(&w.token[1 + test_random(3)]) };
	struct sink *s = core_req(&w.c);

	snprintf(version, sizeof(version), "%s@0", key);
	at = slice_str(version);
	item.version_name = eek.version_name = at;
	switch (call) {
	case CALL_CREATE:
	case CALL_IMPORT:
		wire_create_req_put(s, &create);
		break;
	case CALL_ROLL:
		wire_roll_req_put(s, &roll);
		break;
	case CALL_REENCRYPT_BATCH:
		wire_batch_req_put(s, &batch);
		wire_item_put(s, &item);
		break;
	case CALL_METADATAS:
		wire_names_req_put(s, &names);
		sink_str16(s, name);
		break;
	case CALL_DECRYPT:
	case CALL_REENCRYPT:
		wire_eek_req_put(s, &eek);
		break;
	default:
		if (call == CALL_DT_GET)
			dt.token = slice_of("", 0);
		wire_dt_req_put(s, &dt);
	}
}

static bool is_victim(struct slice s)
{
	return s.len >= strlen(VICTIM) && memmem(s.p, s.len, VICTIM, strlen(VICTIM));
}

/* Whatever was asked: the answer is never the victim's, and nothing was done in that name. */
static void judge(enum wire_call call, const char *key)
{
	struct wire_ans *a = &w.c.ans;
	struct cursor body = a->body;
	struct wire_staged st;
	struct wire_dtoken t;

	w.asked++;
	EXPECT(!is_victim(a->user) && !is_victim(a->principal) && !is_victim(a->real) && !is_victim(a->cookie));
	if (a->cookie.len)
		keep(&w.seen_cookie[test_random(ARRAY_LEN(w.seen_cookie))], a->cookie);
	if (w.c.err != E_OK)
		return;
	w.granted++;
	EXPECT(call != CALL_ADMIN);
	if (call == CALL_DT_GET) {
		EXPECT(wire_staged_next(&body, &st) && wire_dtoken_get(st.kv.material, &t) == NULL);
		EXPECT(slice_is(t.id.owner, MINE) || slice_is(t.id.owner, THIRD));
		keep(&w.seen_token[test_random(ARRAY_LEN(w.seen_token))], st.kv.material);
	}
	if (call == CALL_AUTH || call == CALL_NAMES || call == CALL_DT_GET || call == CALL_DT_RENEW || call == CALL_DT_CANCEL)
		return;
	EXPECT(strcmp(key, "v") != 0);	/* which is the victim's alone */
	w.own++;
}

/* The store takes in whatever the core has staged, or drops it. */
static void finish(void)
{
	struct cursor body = w.c.ans.body;
	struct wire_staged st;
	uint64_t epoch = 0;

	if (w.c.err != E_OK || !wire_staged_next(&body, &st))
		return;
	w.c.staged = st;
	if (test_random(2))
		core_commit(&w.c);
	else
		(void)!core_abort(&w.c, epoch, &st.ticket, 1);
}

static void attack(enum wire_call call, const struct shown *s, const char *key)
{
	struct wire_cred cred = cred_of(s);
	bool named = false, changes = call == CALL_CREATE || call == CALL_IMPORT || call == CALL_ROLL || call == CALL_DELETE ||
				      call == CALL_DT_GET || call == CALL_DT_RENEW || call == CALL_DT_CANCEL;
	size_t i;

	for (i = 0; i < ARRAY_LEN(by_name); i++)
		named |= by_name[i] == call;
	if (named) {
		char version[16];
		struct wire_name_req m = { .cred = cred, .count = call == CALL_GENERATE };

		snprintf(version, sizeof(version), "%s@0", key);
		m.name = slice_str(call == CALL_VERSION_GET ? version : key);
		wire_name_req_put(core_req(&w.c), &m);
	} else {
		write_other(call, &cred, key);
	}
	core_send(&w.c, call) == E_OK ? (void)0 : (void)0;
	judge(call, key);
	if (changes)
		finish();
}

static enum wire_call call_at(size_t i)
{
	return i < ARRAY_LEN(by_name) ? by_name[i] : others[i - ARRAY_LEN(by_name)];
}

static void expect_untouched(void)
{
	struct bytes cookie;
	uint8_t material[16];
	struct slice m;

	w.victim.ctime_s = NOW_S + (fake_mono - 1000) / 1000;
	log_in(&w.victim, &cookie, NULL);
	core_as_cookie(&w.c, of(&cookie));
	m = core_current(&w.c, "v");
	EXPECT(m.len == 16 && core_hex(M16, material, 16) == 16 && memcmp(m.p, material, 16) == 0);
	EXPECT_INT(core_name(&w.c, CALL_ADMIN, ""), E_OK);
}

TEST(every_call_with_every_credential_that_is_no_proof_is_nobodys_or_ones_own)
{
	struct shown s = { 0 };
	size_t i;

	memset(&w, 0, sizeof(w));
	prepare();
	for (i = 0; i < CALLS; i++)
		for (s.cookie = 0; s.cookie < ARRAY_LEN(w.cookie); s.cookie++)
			for (s.token = 0; s.token < ARRAY_LEN(w.token); s.token++)
				for (s.ticket = 0; s.ticket < ARRAY_LEN(w.ticket); s.ticket++)
					for (s.name = 0; s.name < 2; s.name++)
						for (s.whom = 0; s.whom < 4; s.whom++)
							attack(call_at(i), &s, "v");
	EXPECT(w.granted > 1000);	/* as oneself, or the third: the attack is not refused for its form */
	expect_untouched();
	printf("%lu calls, %lu of them answered, none as somebody else\n", w.asked, w.granted);
	core_stop(&w.c);
}

/* ---- in any order, with control calls between ---- */

static void control(void)
{
	static const enum wire_call calls[] = { CALL_HELLO, CALL_CONFIG, CALL_CONFIG_SIGNED, CALL_STATUS, CALL_STORE_CREATE,
						CALL_STORE_OPEN, CALL_STORE_LOAD, CALL_STORE_READY, CALL_HEAD, CALL_COMMIT,
						CALL_ABORT, CALL_SLOT_RECOVERY, CALL_RECOVER_BEGIN, CALL_RECOVER_FINISH,
						CALL_ACL_CHECK, CALL_DT_EXPIRE, CALL_KEYTAB, CALL_AUDIT_RESUME,
						CALL_AUDIT_CHECKPOINT, CALL_AUDIT_GAP };
	enum wire_call call = calls[test_random(ARRAY_LEN(calls))];
	struct sink *s = core_req(&w.c);

	if (call == CALL_COMMIT || call == CALL_HEAD || call == CALL_ABORT)
		return;		/* what the store is told at random is another test's */
	switch (call) {
	case CALL_CONFIG:
		wire_config_req_put(s, 2);
		wire_property_put(s, slice_str("key.acl.v.ALL"), slice_str("*"));
		wire_property_put(s, slice_str("hadoop.kms.authentication.type"), slice_str("simple"));
		break;
	case CALL_CONFIG_SIGNED: {
		struct wire_signed_req m = { .version = 99, .public_der = slice_of(w.pub, w.npub) };
		uint8_t sig[64] = { 0x30 };

		sink_str16(s, slice_of(sig, sizeof(sig)));
		wire_signed_text_put(s, &m);
		wire_config_req_put(s, 0);
		break;
	}
	case CALL_SLOT_RECOVERY:
		wire_blob_req_put(s, slice_of(w.pub, w.npub));
		break;
	case CALL_DT_EXPIRE:
		sink_le64(s, 0);
		break;
	case CALL_ACL_CHECK: {
		struct wire_acl_req m = { .op = OP_DECRYPT_EEK, .key = slice_str("v") };

		m.cred.has_user = true;
		m.cred.user = slice_str(VICTIM);
		wire_acl_req_put(s, &m);
		break;
	}
	default:
		break;
	}
	core_send(&w.c, call) == E_OK ? (void)0 : (void)0;
	w.asked++;
	EXPECT(!is_victim(w.c.ans.user) && !is_victim(w.c.ans.cookie));
	EXPECT(w.c.err != E_OK || (call != CALL_CONFIG && call != CALL_CONFIG_SIGNED && call != CALL_SLOT_RECOVERY));
}

TEST(no_order_of_calls_makes_a_proof_of_what_is_none)
{
	size_t i;

	memset(&w, 0, sizeof(w));
	prepare();
	for (i = 0; i < 60000; i++) {
		struct shown s = { test_random(ARRAY_LEN(w.cookie) + 2), test_random(ARRAY_LEN(w.token) + 2),
				   test_random(ARRAY_LEN(w.ticket)), test_random(2), test_random(4) };

		if (test_random(3) == 0)
			s.cookie = 0;
		if (test_random(2) == 0)
			s.token = 0;
		if (test_random(10) == 0)
			control();
		else
			attack(call_at(test_random(CALLS)), &s, test_random(3) ? "v" : "b");
	}
	EXPECT(w.granted > 1000 && w.own > 100);
	expect_untouched();
	printf("%lu calls, %lu of them answered, %lu on keys of one's own, none as somebody else\n", w.asked, w.granted, w.own);
	core_stop(&w.c);
}
