/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner: who may say what the access control lists are. The other side (which a compromised machine is)
 * can send anything, in any order, and start the core again as often as it likes; it cannot open a list.
 */
#include <stdlib.h>

#include "crypto/crypto.h"
#include "service/seal.h"
#include "tests/fake/core.h"
#include "tests/test.h"

#define M16 "000102030405060708090a0b0c0d0e0f"

struct who {
	uint8_t priv[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX];
	size_t npriv, npub;
};

static void new_who(struct who *w)
{
	w->npriv = w->npub = CRYPTO_DER_MAX;
	EXPECT(crypto_wrap_keypair(w->priv, &w->npriv, w->pub, &w->npub) == RC_OK);
}

struct bundle {
	uint8_t b[8192];
	size_t len, text;	/* where the signed text begins */
};

static const char *const closed_acls[] = { "hadoop.kms.acl.GET", "alice", "default.key.acl.READ", "alice", NULL };

static void sign(struct bundle *b, const struct who *w, uint64_t version, uint32_t flags, const uint8_t *store,
		 const char *const *list)
{
	struct wire_signed_req m = { .version = version, .flags = flags, .public_der = slice_of(w->pub, w->npub) };
	uint8_t text[8192], sig[CRYPTO_SIGNATURE_MAX];
	struct sink t = sink_of(text, sizeof(text)), s = sink_of(b->b, sizeof(b->b));
	size_t nsig = sizeof(sig);
	uint32_t n = 0;

	if (store)
		memcpy(m.store_id, store, 16);
	while (list[2 * n])
		n++;
	wire_signed_text_put(&t, &m);
	wire_config_req_put(&t, n);
	for (; *list; list += 2)
		wire_property_put(&t, slice_str(list[0]), slice_str(list[1]));
	EXPECT(sink_ok(&t));
	EXPECT(crypto_sign(slice_of(w->priv, w->npriv), slice_of(text, t.need), sig, &nsig) == RC_OK);
	sink_str16(&s, slice_of(sig, nsig));
	b->text = s.need;
	sink_put(&s, text, t.need);
	EXPECT(sink_ok(&s));
	b->len = s.need;
}

static enum wire_err send_bundle(struct core *c, const struct bundle *b)
{
	return core_bytes(c, CALL_CONFIG_SIGNED, b->b, b->len);
}

static void keep(struct core *c)
{
	uint64_t epoch;

	EXPECT_INT(core_head(c, NULL, 0, &epoch), E_OK);
	EXPECT_INT(core_commit_epoch(c, epoch), E_OK);
}

static void status_of(struct core *c, struct wire_status *st)
{
	EXPECT_INT(core_status(c, st), E_OK);
}

/* A store with a key, owned: version 5 is in force, and sealed. */
static void owned(struct core *c, struct who *w)
{
	struct wire_status st;
	struct bundle b;

	core_ready(c);
	new_who(w);
	core_make(c, "a", M16);
	status_of(c, &st);
	sign(&b, w, 5, SIGNED_ENROLL, st.store_id, closed_acls);
	EXPECT_INT(send_bundle(c, &b), E_OK);
	status_of(c, &st);
	EXPECT_INT(st.owner_unsealed, 1);
	keep(c);
	status_of(c, &st);
	EXPECT_INT(st.owner_unsealed, 0);
	EXPECT_INT(st.config, CONFIG_SIGNED);
	EXPECT_INT(st.config_version, 5);
}

static void must_be_closed(struct core *c)
{
	core_as(c, "mallory");
	EXPECT(core_name(c, CALL_CURRENT, "a") != E_OK);
	core_as(c, "alice");
	EXPECT_INT(core_name(c, CALL_CURRENT, "a"), E_OK);
}

TEST(with_an_owner_unsigned_lists_are_refused_and_the_old_ones_stay)
{
	struct core c;
	struct who w;

	owned(&c, &w);
	must_be_closed(&c);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OWNER_ONLY);
	must_be_closed(&c);
	core_stop(&c);
}

TEST(an_edit_of_any_byte_of_a_bundle_is_refused)
{
	struct wire_status st;
	struct bundle b;
	struct core c;
	struct who w;
	size_t i;

	owned(&c, &w);
	status_of(&c, &st);
	sign(&b, &w, 6, 0, st.store_id, core_open_acls);
	for (i = 0; i < b.len; i++) {
		b.b[i] ^= 1u << (i % 8);
		EXPECT(send_bundle(&c, &b) != E_OK);
		b.b[i] ^= 1u << (i % 8);
	}
	for (i = 0; i < b.len; i++)
		EXPECT(core_bytes(&c, CALL_CONFIG_SIGNED, b.b, i) != E_OK);
	must_be_closed(&c);
	EXPECT_INT(send_bundle(&c, &b), E_OK);
	core_as(&c, "mallory");
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_OK);
	core_stop(&c);
}

TEST(somebody_elses_bundle_is_refused_even_if_it_asks_to_enroll)
{
	struct wire_status st;
	struct bundle b;
	struct core c;
	struct who w, other;

	owned(&c, &w);
	new_who(&other);
	status_of(&c, &st);
	sign(&b, &other, 9, 0, NULL, core_open_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OWNER_OTHER);
	sign(&b, &other, 9, SIGNED_ENROLL, st.store_id, core_open_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OWNER_OTHER);
	/* The owner's name on somebody else's signature. */
	memcpy(other.pub, w.pub, w.npub);
	other.npub = w.npub;
	sign(&b, &other, 9, 0, NULL, core_open_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OWNER_SIGNATURE);
	must_be_closed(&c);
	core_stop(&c);
}

TEST(an_older_bundle_and_a_second_one_of_the_same_number_are_refused)
{
	struct bundle five, same, four, six;
	struct wire_status st;
	struct core c;
	struct who w;

	owned(&c, &w);
	status_of(&c, &st);
	sign(&five, &w, 5, SIGNED_ENROLL, st.store_id, core_open_acls);
	EXPECT_INT(send_bundle(&c, &five), E_OWNER_OLD);
	EXPECT_INT(c.ans.head.num[1], 6);
	sign(&four, &w, 4, 0, NULL, core_open_acls);
	EXPECT_INT(send_bundle(&c, &four), E_OWNER_OLD);
	EXPECT_INT(c.ans.head.num[0], 4);
	sign(&six, &w, 6, 0, NULL, closed_acls);
	EXPECT_INT(send_bundle(&c, &six), E_OK);
	EXPECT_INT(send_bundle(&c, &six), E_OK);
	sign(&same, &w, 5, 0, NULL, core_open_acls);
	EXPECT_INT(send_bundle(&c, &same), E_OWNER_OLD);
	must_be_closed(&c);
	core_stop(&c);
}

TEST(a_bundle_for_another_store_is_refused)
{
	uint8_t id[16] = { 1 };
	struct bundle b;
	struct core c, d;
	struct who w;

	owned(&c, &w);
	sign(&b, &w, 6, 0, id, core_open_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OWNER_STORE);
	must_be_closed(&c);
	core_stop(&c);
	/* Nor does a store take an owner by a bundle that could be for any. */
	core_ready(&d);
	sign(&b, &w, 6, SIGNED_ENROLL, NULL, closed_acls);
	EXPECT_INT(send_bundle(&d, &b), E_OWNER_STORE);
	core_stop(&d);
}

/* A new core over the same store; list or bundle before the store is opened. */
static void restart(struct core *c, struct core *old, const char *const *list, const struct bundle *b)
{
	core_start(c, 0x11);
	core_as(c, "alice");
	if (list)
		EXPECT_INT(core_config_list(c, list), E_OK);
	if (b)
		EXPECT_INT(send_bundle(c, b), E_OK);
	EXPECT_INT(core_store_open(c, &old->store), E_OK);
}

TEST(after_a_restart_no_unsigned_old_or_foreign_configuration_is_in_force)
{
	struct bundle five, six, old, other_six;
	struct wire_status st;
	struct core c, d;
	struct who w, other;

	owned(&c, &w);
	new_who(&other);
	status_of(&c, &st);
	sign(&five, &w, 5, 0, NULL, closed_acls);
	sign(&six, &w, 6, 0, NULL, closed_acls);
	sign(&old, &w, 4, 0, NULL, core_open_acls);
	sign(&other_six, &other, 6, SIGNED_ENROLL, st.store_id, core_open_acls);

	restart(&d, &c, core_open_acls, NULL);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "a"), E_NO_CONFIG);
	EXPECT_INT(core_config_list(&d, core_open_acls), E_OWNER_ONLY);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "a"), E_NO_CONFIG);
	status_of(&d, &st);
	EXPECT_INT(st.config, CONFIG_NONE);
	core_stop(&d);
	restart(&d, &c, NULL, &old);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "a"), E_NO_CONFIG);
	core_stop(&d);
	restart(&d, &c, NULL, &other_six);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "a"), E_NO_CONFIG);
	/* The owner's newest, before or after the store, puts it right. */
	EXPECT_INT(send_bundle(&d, &six), E_OK);
	must_be_closed(&d);
	core_stop(&d);
	/* Number 5 again, but another text than the one that was sealed: no. */
	restart(&d, &c, NULL, &five);
	EXPECT_INT(core_name(&d, CALL_CURRENT, "a"), E_NO_CONFIG);
	core_stop(&d);
	restart(&d, &c, NULL, &six);
	must_be_closed(&d);
	status_of(&d, &st);
	EXPECT_INT(st.owner_unsealed, 1);
	keep(&d);
	/* And now 6 is the least. */
	memcpy(c.store.head, d.store.head, d.store.head_len);
	c.store.head_len = d.store.head_len;
	core_stop(&d);
	core_stop(&c);
}

TEST(an_owner_is_enrolled_before_the_store_is_open_as_well_as_after)
{
	struct wire_status st;
	struct bundle b;
	struct core c, d;
	struct who w;

	core_ready(&c);
	core_make(&c, "a", M16);
	new_who(&w);
	status_of(&c, &st);
	sign(&b, &w, 1, SIGNED_ENROLL, st.store_id, closed_acls);
	restart(&d, &c, NULL, &b);
	must_be_closed(&d);
	status_of(&d, &st);
	EXPECT_INT(st.owner_unsealed, 1);
	EXPECT_INT(core_config_list(&d, core_open_acls), E_OWNER_ONLY);
	core_stop(&d);
	core_stop(&c);
}

TEST(a_store_without_an_owner_is_configured_as_before)
{
	struct wire_status st;
	struct bundle b;
	struct core c;
	struct who w;

	core_ready(&c);
	core_make(&c, "a", M16);
	new_who(&w);
	sign(&b, &w, 3, 0, NULL, closed_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OK);	/* signed, but nobody asked to be the owner */
	must_be_closed(&c);
	status_of(&c, &st);
	EXPECT_INT(st.owner_unsealed, 0);
	EXPECT_INT(core_config_list(&c, core_open_acls), E_OK);
	core_stop(&c);
}

TEST(with_an_owner_only_the_recovery_key_that_the_owner_named_gets_the_root)
{
	const char *list[] = { "hadoop.kms.acl.GET", "alice", "svsm.kms.recovery.public-key-sha256", NULL, NULL };
	uint8_t body[2 + CRYPTO_DER_MAX], id[CRYPTO_HASH_LEN];
	char hex[2 * CRYPTO_HASH_LEN + 1];
	struct who w, named, other;
	struct bundle b;
	struct core c;
	struct sink s;
	size_t i;

	owned(&c, &w);
	new_who(&named);
	new_who(&other);
	s = sink_of(body, sizeof(body));
	wire_blob_req_put(&s, slice_of(named.pub, named.npub));
	EXPECT_INT(core_bytes(&c, CALL_SLOT_RECOVERY, body, s.need), E_OWNER_ONLY);
	EXPECT(crypto_sha256(named.pub, named.npub, id) == RC_OK);
	for (i = 0; i < sizeof(id); i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	list[3] = hex;
	sign(&b, &w, 6, 0, NULL, list);
	EXPECT_INT(send_bundle(&c, &b), E_OK);
	EXPECT_INT(core_bytes(&c, CALL_SLOT_RECOVERY, body, s.need), E_OK);
	s = sink_of(body, sizeof(body));
	wire_blob_req_put(&s, slice_of(other.pub, other.npub));
	EXPECT_INT(core_bytes(&c, CALL_SLOT_RECOVERY, body, s.need), E_OWNER_ONLY);
	core_stop(&c);
}

TEST(keys_that_are_no_p384_keys_sign_nothing)
{
	static const uint8_t junk[] = { 0x30, 3, 2, 1, 0 };
	struct bundle b;
	struct core c;
	struct who w;

	core_ready(&c);
	new_who(&w);
	memcpy(w.pub, junk, sizeof(junk));
	w.npub = sizeof(junk);
	sign(&b, &w, 1, 0, NULL, closed_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OWNER_SIGNATURE);
	core_stop(&c);
}

TEST(the_evidence_names_the_owner_that_the_store_keeps_and_the_configuration_in_force)
{
	static const struct call_evidence nothing;
	struct call_evidence e;
	uint8_t id[CRYPTO_HASH_LEN];
	struct wire_status st;
	struct bundle b;
	struct core c;
	struct who w;

	core_start(&c, 0x11);
	svc_evidence(c.svc, &e);
	EXPECT_MEM(&e, &nothing, sizeof(e));
	core_stop(&c);
	core_ready(&c);
	new_who(&w);
	EXPECT(crypto_sha256(w.pub, w.npub, id) == RC_OK);
	status_of(&c, &st);
	sign(&b, &w, 3, SIGNED_ENROLL, st.store_id, closed_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OK);
	svc_evidence(c.svc, &e);
	EXPECT_MEM(e.owner, nothing.owner, 32);	/* not durable yet */
	EXPECT_MEM(e.store_id, st.store_id, 16);
	EXPECT_MEM(e.audit_key, st.audit_key, 32);
	EXPECT_MEM(e.upload_key, st.upload_key, 32);
	EXPECT(memcmp(e.upload_key, nothing.upload_key, 32) != 0 && memcmp(e.audit_key, nothing.audit_key, 32) != 0);
	keep(&c);
	svc_evidence(c.svc, &e);
	EXPECT_MEM(e.owner, id, 32);
	EXPECT_INT(e.config_version, 3);
	EXPECT(crypto_sha256(b.b + b.text, b.len - b.text, id) == RC_OK);
	EXPECT_MEM(e.config_hash, id, 32);
	core_stop(&c);
}

TEST(a_token_secret_from_before_the_owner_s_configuration_lets_no_cookie_in_afterwards)
{
	static const char *const mallorys[] = { "svsm.secret.signature", "a secret of mallory's",
						 "default.key.acl.READ", "*", NULL };
	const char *const *list;
	char cookie[WIRE_COOKIE_MAX];
	struct bundle six;
	struct core c, d;
	struct who w;
	int way, early;
	size_t n;

	owned(&c, &w);
	sign(&six, &w, 6, 0, NULL, closed_acls);
	for (way = 0; way < 4; way++) {
		early = way & 1;	/* the owner's bundle before or after the store */
		list = mallorys + (way & 2);	/* with a secret, or with one that the core makes */
		core_start(&d, 0x11);
		EXPECT_INT(core_config_list(&d, list), E_OK);
		core_as(&d, "alice");
		EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_OK);
		n = d.ans.cookie.len;
		EXPECT(n > 0 && n <= sizeof(cookie));
		memcpy(cookie, d.ans.cookie.p, n);
		core_as_cookie(&d, slice_of(cookie, n));
		EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_OK);	/* while it counts */
		if (early)
			EXPECT_INT(send_bundle(&d, &six), E_OK);
		EXPECT_INT(core_store_open(&d, &c.store), E_OK);
		if (!early)
			EXPECT_INT(send_bundle(&d, &six), E_OK);
		core_as_cookie(&d, slice_of(cookie, n));
		EXPECT_INT(core_name(&d, CALL_AUTH, ""), E_UNAUTHENTICATED);
		core_stop(&d);
	}
	core_stop(&c);
}

TEST(cookies_and_tokens_from_before_there_was_an_owner_are_nobody_s_afterwards)
{
	static uint8_t buf[WIRE_TOKEN_MAX];
	char cookie[WIRE_COOKIE_MAX];
	struct wire_status st;
	struct slice token;
	struct bundle b;
	struct core c;
	struct who w;
	size_t n;

	core_ready(&c);
	new_who(&w);
	core_make(&c, "a", M16);
	core_as(&c, "alice");
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	n = c.ans.cookie.len;
	EXPECT(n > 0 && n <= sizeof(cookie));
	memcpy(cookie, c.ans.cookie.p, n);
	EXPECT_INT(core_dt_get(&c, "alice", buf, &token), E_OK);
	core_commit(&c);
	core_as_token(&c, token);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_OK);
	status_of(&c, &st);
	sign(&b, &w, 5, SIGNED_ENROLL, st.store_id, closed_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OK);
	keep(&c);
	core_as_token(&c, token);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_TOKEN);
	core_as_cookie(&c, slice_of(cookie, n));
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_UNAUTHENTICATED);
	core_as(&c, "alice");
	EXPECT_INT(core_dt_renew(&c, token, &(uint64_t){ 0 }), E_TOKEN_DENIED);
	/* those made since count, after the next version of the same owner's as well */
	EXPECT_INT(core_name(&c, CALL_AUTH, ""), E_OK);
	n = c.ans.cookie.len;
	memcpy(cookie, c.ans.cookie.p, n);
	EXPECT_INT(core_dt_get(&c, "alice", buf, &token), E_OK);
	core_commit(&c);
	sign(&b, &w, 6, 0, st.store_id, closed_acls);
	EXPECT_INT(send_bundle(&c, &b), E_OK);
	core_as_token(&c, token);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_OK);
	core_as_cookie(&c, slice_of(cookie, n));
	EXPECT_INT(core_name(&c, CALL_CURRENT, "a"), E_OK);
	core_stop(&c);
}
