/* SPDX-License-Identifier: Apache-2.0 */
/* The acceptor against a client and KDC of our own (tests/fake/krb_client.h): what is accepted, and each refusal. */
#include <stdlib.h>

#include "service/krb.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

#define NOW_S 1700000000ull
#define NOW (NOW_S * 1000)
#define SKEW 300000ull

static struct side {
	struct crypto *c;
	struct crypto_random random;
	struct krb_replay replay;
	struct krb_keys *keys;
	struct krb_accept_options o;
	struct slice principals[4];
	struct krb_identity id;
} s;

static enum rc entropy(void *ctx, uint8_t *out, size_t len)
{
	uint8_t *n = ctx;

	for (; len; len--)
		*out++ = (*n)++;
	return RC_OK;
}

static size_t entry_of(uint8_t *out, size_t room, const struct fake_krb *f)
{
	return fake_krb_keytab_entry(out, room, f->server, f->server_realm, (uint8_t)f->kvno, (uint32_t)f->kvno,
				     f->service.etype, f->service.b, crypto_krb_key_len(f->service.etype));
}

static void keytab(const struct fake_krb *const *f, size_t count)
{
	uint8_t file[8192] = { 5, 2 };
	const char *why;
	size_t len = 2;

	while (count--)
		len += entry_of(file + len, sizeof(file) - len, *f++);
	krb_keytab_free(s.keys);
	EXPECT(krb_keytab_parse(slice_of(file, len), &s.keys, &why) == RC_OK);
	s.o.keys = s.keys;
}

/* A fresh acceptor whose keytab has f's key. */
static void start(const struct fake_krb *f)
{
	static uint8_t seed;

	EXPECT(crypto_start() == RC_OK);
	if (!s.c)
		s.c = crypto_new();
	crypto_random_init(&s.random, entropy, &seed);
	krb_replay_wipe(&s.replay);
	EXPECT(krb_replay_init(&s.replay, s.c, &s.random) == RC_OK);
	keytab(&f, 1);
	s.principals[0] = slice_str("HTTP/kms.example.com");
	s.o.principals = s.principals;
	s.o.nprincipals = 1;
	s.o.now_ms = NOW;
	s.o.skew_ms = SKEW;
	s.o.random = &s.random;
}

static void stop(void)
{
	krb_keytab_free(s.keys);
	krb_replay_wipe(&s.replay);
	crypto_free(s.c);
	s.keys = NULL;
	s.c = NULL;
}

static uint8_t token[65536];
static size_t token_len;

static enum krb_result again(void)
{
	uint8_t *p = test_fence(token, token_len);
	enum krb_result k = krb_accept(s.c, &s.o, &s.replay, slice_of(p, token_len), &s.id);
	static const struct krb_identity nobody;

	test_fence_free(p, token_len);
	/* Nothing is said of a client that is not accepted. */
	if (k == KRB_CONTINUE)
		EXPECT(s.id.principal_len == 0 && s.id.ends_ms == 0 && s.id.reply_len > 0);
	else if (k != KRB_OK)
		EXPECT_MEM(&s.id, &nobody, sizeof(nobody));
	EXPECT(k < KRB_RESULT_COUNT && strlen(krb_result_text(k)) > 5);
	return k;
}

static enum krb_result accept_of(struct fake_krb *f)
{
	token_len = fake_krb_token(f, token, sizeof(token));
	return again();
}

static bool principal_is(const char *name)
{
	return slice_is(slice_of(s.id.principal, s.id.principal_len), name);
}

static bool reply_fits(const struct fake_krb *f)
{
	return fake_krb_reply_fits(f, slice_of(s.id.reply, s.id.reply_len));
}

/* A good client against a fresh acceptor, to be made bad. */
static struct fake_krb good(void)
{
	struct fake_krb f;

	fake_krb_init(&f, 18, NOW_S);
	start(&f);
	return f;
}

TEST(every_encryption_type_and_form_is_accepted_and_answered)
{
	static const enum fake_krb_form forms[] = { FAKE_KRB_RAW, FAKE_KRB_SPNEGO, FAKE_KRB_MS, FAKE_KRB_RESP };
	struct fake_krb f;
	int32_t etype;
	size_t i;
	int way;

	for (etype = 17; etype <= 20; etype++)
		for (i = 0; i < ARRAY_LEN(forms); i++)
			for (way = 0; way < 8; way++) {
				fake_krb_init(&f, etype, NOW_S);
				f.form = forms[i];
				f.mic = way & 1 && (i == 1 || i == 2);
				if (way & 2) {	/* a subkey of any other type */
					f.subkey = (struct crypto_krb_key){ .etype = 17 + (etype + way) % 4, .b = "sub" };
				}
				if (way & 4)	/* one-sided */
					f.gss_flags = f.ap_options = 0;
				start(&f);
				EXPECT_INT(accept_of(&f), KRB_OK);
				EXPECT(principal_is("alice@EXAMPLE.COM"));
				EXPECT(s.id.ends_ms == (NOW_S + 3600) * 1000);
				EXPECT(reply_fits(&f));
			}
	stop();
}

TEST(services_and_clients_of_two_components_have_them_in_the_name)
{
	struct fake_krb f = good();

	f.client = "hdfs/node1.example.com";
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT(principal_is("hdfs/node1.example.com@EXAMPLE.COM"));
	stop();
}

TEST(the_session_key_may_be_of_another_type_than_the_service_key)
{
	struct fake_krb f = good();

	f.session.etype = 20;
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT(reply_fits(&f));
	stop();
}

TEST(a_token_is_accepted_once)
{
	struct fake_krb f = good();

	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(again(), KRB_REPLAY);
	s.o.now_ms += SKEW - 1000;
	EXPECT_INT(again(), KRB_REPLAY);
	/* Not in another wrapping either: what counts is the authenticator. */
	f.form = FAKE_KRB_RAW;
	f.confounder[0]--;
	EXPECT_INT(accept_of(&f), KRB_REPLAY);
	/* Nor with a longer memory of time: then its age refuses it. */
	s.o.now_ms = NOW + 3 * SKEW;
	EXPECT_INT(accept_of(&f), KRB_SKEW);
	stop();
}

TEST(a_new_authenticator_with_the_same_ticket_is_accepted)
{
	struct fake_krb f = good();
	int i;

	for (i = 0; i < 100; i++)
		EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(s.replay.live, 100);
	stop();
}

TEST(only_what_passed_every_check_enters_the_cache)
{
	struct fake_krb f = good();

	f.auth_flip = 300;
	EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
	f.auth_flip = 0;
	f.gss_flags |= 0x1000;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.gss_flags = 2;
	f.mic = f.bad_mic = true;
	EXPECT_INT(accept_of(&f), KRB_MIC);
	EXPECT_INT(s.replay.live, 0);
	stop();
}

TEST(a_flood_of_one_client_does_not_lock_out_another_and_forgets_nothing)
{
	struct fake_krb f = good(), g = f;
	uint8_t first[8192];
	size_t first_len, i;

	s.replay.max = 400;
	EXPECT_INT(accept_of(&f), KRB_OK);
	memcpy(first, token, token_len);
	first_len = token_len;
	for (i = 1; i < 100; i++)
		EXPECT_INT(accept_of(&f), KRB_OK);
	for (i = 0; i < 50; i++)
		EXPECT_INT(accept_of(&f), KRB_BUSY);
	g.client = "bob";
	EXPECT_INT(accept_of(&g), KRB_OK);
	memcpy(token, first, first_len);
	token_len = first_len;
	EXPECT_INT(again(), KRB_REPLAY);
	/* When the time of the entries is over, there is room again. */
	s.o.now_ms = NOW + 2 * SKEW + 3000;
	f.ctime_s = NOW_S + 600;
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(s.replay.live, 1);
	stop();
}

TEST(a_full_cache_refuses_and_keeps_what_it_has)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" };
	struct fake_krb f = good();
	size_t i, j, busy = 0;

	s.replay.max = 40;
	for (i = 0; i < ARRAY_LEN(names); i++)
		for (j = 0; j < 10; j++) {
			enum krb_result k;

			f.client = names[i];
			k = accept_of(&f);
			EXPECT(k == KRB_OK || k == KRB_BUSY);
			busy += k == KRB_BUSY;
		}
	EXPECT_INT(busy, 80);
	EXPECT_INT(s.replay.live, 40);
	stop();
}

TEST(many_entries_come_and_go_in_order)
{
	struct fake_krb f = good();
	uint64_t t;
	size_t i, total = 0;

	/* More than one chunk of entries; time moves, so that old ones leave while new ones come. */
	for (t = 0; t < 1200; t += 100) {
		s.o.now_ms = NOW + t * 1000;
		f.ctime_s = NOW_S + t;
		for (i = 0; i < 900; i++, total++)
			EXPECT_INT(accept_of(&f), KRB_OK);
		EXPECT_INT(again(), KRB_REPLAY);
	}
	EXPECT(total == 10800 && s.replay.live < 6400 && s.replay.made < 2 * 4096);
	stop();
}

/*
 * Skews that a reload may set, in any order; time goes on between, and now and then a worker has read the clock long before
 * it gets its turn. Whatever was accepted once never is again, and a client whose clock is right is never refused.
 */
TEST(no_change_of_the_skew_lets_an_authenticator_in_twice)
{
	enum { KEPT = 400, STEPS = 6000 };
	static const uint64_t skews[] = { 1, 30, 60, 300, 301, 3600, 86400 };
	static struct {
		uint8_t b[1024];
		size_t len;
	} old[KEPT];
	struct fake_krb f = good();
	uint64_t now = NOW_S, skew = 60;
	size_t i, n = 0, accepted = 0, late = 0;
	enum krb_result k;

	f.end_s = NOW_S + 100 * 86400;
	for (i = 0; i < STEPS; i++) {
		if (test_random(40) == 0)
			skew = skews[test_random(ARRAY_LEN(skews))];
		now += test_random(8) ? test_random(20) : test_random((uint32_t)skew + 400);
		s.o.skew_ms = skew * 1000;
		s.o.now_ms = now * 1000 + test_random(1000);
		f.ctime_s = test_random(2) ? now : now - skew + 1 + test_random(2 * (uint32_t)skew - 1);
		f.cusec = test_random(1000);
		k = accept_of(&f);
		EXPECT(k == KRB_OK || (k == KRB_FORGOTTEN && f.ctime_s < now));
		accepted += k == KRB_OK;
		late += k == KRB_FORGOTTEN;
		if (k == KRB_OK) {
			EXPECT(token_len <= sizeof(old[0].b));
			memcpy(old[n % KEPT].b, token, token_len);
			old[n++ % KEPT].len = token_len;
		}
		if (n) {
			size_t pick = test_random(n < KEPT ? (uint32_t)n : KEPT);

			memcpy(token, old[pick].b, old[pick].len);
			token_len = old[pick].len;
			if (test_random(3) == 0)
				s.o.now_ms -= 1000 * (uint64_t)test_random((uint32_t)skew + 400);
			EXPECT(again() != KRB_OK);
		}
	}
	EXPECT(accepted > STEPS / 2 && late > 10);
	stop();
}

TEST(the_edges_of_the_skew_are_where_they_should_be)
{
	struct fake_krb f = good();

	f.cusec = 0;
	f.ctime_s = NOW_S + 300;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.ctime_s = NOW_S - 300;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.ctime_s = NOW_S - 301;
	EXPECT_INT(accept_of(&f), KRB_SKEW);
	f.ctime_s = NOW_S + 300;
	f.cusec = 1000;
	EXPECT_INT(accept_of(&f), KRB_SKEW);
	f.ctime_s = NOW_S + 86400;
	EXPECT_INT(accept_of(&f), KRB_SKEW);
	stop();
}

TEST(tickets_that_have_ended_or_not_begun_are_refused)
{
	struct fake_krb f = good();

	f.end_s = NOW_S - 300;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.end_s = NOW_S - 301;
	EXPECT_INT(accept_of(&f), KRB_EXPIRED);
	f.end_s = NOW_S + 9999;
	f.start_s = NOW_S + 300;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.start_s = NOW_S + 301;
	EXPECT_INT(accept_of(&f), KRB_NOT_YET);
	f.start_s = 0;
	f.auth_s = NOW_S + 301;	/* without a start, that is the start */
	EXPECT_INT(accept_of(&f), KRB_NOT_YET);
	f.start_s = NOW_S;
	EXPECT_INT(accept_of(&f), KRB_OK);
	stop();
}

TEST(tickets_for_other_servers_are_refused)
{
	static const struct {
		const char *server, *realm;
		enum krb_result k;
	} v[] = {
		{ "HTTP/kms.example.com", "OTHER.COM", KRB_NO_KEY },	/* any realm is permitted, but only one has a key */
		{ "HTTP/other.example.com", "EXAMPLE.COM", KRB_NOT_US },
		{ "http/kms.example.com", "EXAMPLE.COM", KRB_NOT_US },
		{ "host/kms.example.com", "EXAMPLE.COM", KRB_NOT_US },
		{ "HTTP", "EXAMPLE.COM", KRB_NOT_US },
		{ "HTTP/kms.example.com/x", "EXAMPLE.COM", KRB_NOT_US },
		{ "HTTP|kms.example.com", "EXAMPLE.COM", KRB_NOT_US },
		{ "HTTP/kms.example.com@EXAMPLE.COM", "EXAMPLE.COM", KRB_NOT_US },
		{ "krbtgt/EXAMPLE.COM", "EXAMPLE.COM", KRB_NOT_US },
	};
	struct fake_krb f = good();
	size_t i;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		f.server = v[i].server;
		f.server_realm = v[i].realm;
		EXPECT_INT(accept_of(&f), v[i].k);
	}
	stop();
}

TEST(a_key_of_the_keytab_that_is_not_http_or_not_listed_serves_nobody)
{
	struct fake_krb f = good(), host = f, second = f;
	const struct fake_krb *all[] = { &f, &host, &second };

	host.server = "host/kms.example.com";
	second.server = "HTTP/second.example.com";
	second.confounder[8] = 1;	/* or its authenticators would be the first one's */
	keytab(all, 3);
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(accept_of(&host), KRB_NOT_US);
	EXPECT_INT(accept_of(&second), KRB_NOT_US);
	s.principals[0] = slice_str("*");
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(accept_of(&host), KRB_NOT_US);
	EXPECT_INT(accept_of(&second), KRB_OK);
	s.principals[0] = slice_str("HTTP/kms.example.com@EXAMPLE.COM");
	s.principals[1] = slice_str("HTTP/second.example.com@OTHER.COM");
	s.principals[2] = slice_str("host/kms.example.com");
	s.o.nprincipals = 3;
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(accept_of(&second), KRB_NOT_US);
	EXPECT_INT(accept_of(&host), KRB_NOT_US);
	s.o.nprincipals = 0;
	EXPECT_INT(accept_of(&f), KRB_NOT_US);
	stop();
}

TEST(the_keys_version_chooses_the_key)
{
	struct fake_krb f = good(), old = f;
	const struct fake_krb *both[] = { &f, &old };

	old.kvno = 2;
	old.service.b[0] ^= 1;
	old.confounder[8] = 1;
	keytab(both, 2);
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(accept_of(&old), KRB_OK);
	f.kvno = 2;	/* the right key under the wrong number */
	EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
	f.kvno = 4;
	EXPECT_INT(accept_of(&f), KRB_NO_KEY);
	f.kvno = 3 + 256;	/* the file has all 32 bits */
	EXPECT_INT(accept_of(&f), KRB_NO_KEY);
	f.kvno = -1;	/* not told: each is tried */
	EXPECT_INT(accept_of(&f), KRB_OK);
	old.kvno = -1;
	EXPECT_INT(accept_of(&old), KRB_OK);
	f.kvno = 0;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.service.b[1] ^= 1;
	EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
	stop();
}

TEST(a_version_of_which_the_file_has_eight_bits_is_compared_by_those)
{
	uint8_t file[512] = { 5, 2 };
	struct fake_krb f = good();
	const char *why;
	size_t len = 2;

	krb_keytab_free(s.keys);
	len += fake_krb_keytab_entry(file + len, sizeof(file) - len, f.server, f.server_realm, 1, 0, 18, f.service.b, 32);
	EXPECT(krb_keytab_parse(slice_of(file, len), &s.keys, &why) == RC_OK);
	s.o.keys = s.keys;
	f.kvno = 257;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.kvno = 258;
	EXPECT_INT(accept_of(&f), KRB_NO_KEY);
	stop();
}

TEST(weak_and_unknown_encryption_types_are_refused_wherever_they_stand)
{
	static const int32_t types[] = { 1, 2, 3, 16, 23, 24, 25, 26, -128, 99 };
	struct fake_krb f = good();
	size_t i;

	for (i = 0; i < ARRAY_LEN(types); i++) {
		f.ticket_etype = types[i];
		EXPECT_INT(accept_of(&f), KRB_ETYPE);
		f.ticket_etype = 0;
		f.session_etype = types[i];
		EXPECT_INT(accept_of(&f), KRB_ETYPE);
		f.session_etype = 0;
		f.auth_etype = types[i];
		EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
		f.auth_etype = 0;
		f.subkey.etype = 18;
		f.subkey_etype = types[i];
		EXPECT_INT(accept_of(&f), KRB_ETYPE);
		f.subkey.etype = f.subkey_etype = 0;
	}
	f.ticket_etype = 17;	/* AES, but the keytab has no such key */
	EXPECT_INT(accept_of(&f), KRB_NO_KEY);
	f.ticket_etype = 0;
	f.session_etype = 17;	/* a key of the wrong length */
	EXPECT_INT(accept_of(&f), KRB_DEFECTIVE);
	stop();
}

TEST(any_changed_bit_of_ticket_or_authenticator_is_refused)
{
	struct fake_krb f = good();
	uint32_t i;

	for (i = 1; i < 2400; i += 7) {
		f.ticket_flip = i;
		EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
		f.ticket_flip = 0;
		f.auth_flip = i;
		EXPECT_INT(accept_of(&f), KRB_INTEGRITY);
		f.auth_flip = 0;
	}
	EXPECT_INT(s.replay.live, 0);
	stop();
}

TEST(an_authenticator_of_somebody_else_does_not_fit)
{
	struct fake_krb f = good();

	f.auth_client = "bob";
	EXPECT_INT(accept_of(&f), KRB_MISMATCH);
	f.auth_client = "alice/admin";
	EXPECT_INT(accept_of(&f), KRB_MISMATCH);
	f.auth_client = NULL;
	f.auth_realm = "OTHER.COM";
	EXPECT_INT(accept_of(&f), KRB_MISMATCH);
	stop();
}

TEST(names_that_could_look_like_others_are_refused)
{
	static const char *const names[] = { "alice|admin", "alice@OTHER.COM", "alice\\", "al\nice", "al\x7fice", "",
					     "hdfs/", "/x", "al\tice" };
	struct fake_krb f = good();
	char longest[600];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		f.client = names[i];
		EXPECT_INT(accept_of(&f), KRB_NAME);
	}
	memset(longest, 'x', sizeof(longest));
	longest[KRB_PRINCIPAL_MAX - 12] = 0;	/* and "@EXAMPLE.COM" */
	f.client = longest;
	EXPECT_INT(accept_of(&f), KRB_OK);
	EXPECT_INT(s.id.principal_len, KRB_PRINCIPAL_MAX);
	longest[KRB_PRINCIPAL_MAX - 12] = 'x';
	longest[KRB_PRINCIPAL_MAX - 11] = 0;
	EXPECT_INT(accept_of(&f), KRB_NAME);
	f.client = "alice";
	f.client_realm = "EXAMPLE.COM@X";
	EXPECT_INT(accept_of(&f), KRB_NAME);
	f.client_realm = "";
	EXPECT_INT(accept_of(&f), KRB_NAME);
	stop();
}

TEST(clients_of_other_realms_need_a_way_that_somebody_has_checked)
{
	struct fake_krb f = good();

	f.client_realm = "PARTNER.COM";
	EXPECT_INT(accept_of(&f), KRB_OK);	/* nobody between */
	EXPECT(principal_is("alice@PARTNER.COM"));
	f.path = "MIDDLE.COM";
	EXPECT_INT(accept_of(&f), KRB_REALM);
	f.ticket_flags = 1u << 19;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.ticket_flags = 0;
	f.client_realm = "EXAMPLE.COM";
	EXPECT_INT(accept_of(&f), KRB_OK);
	stop();
}

TEST(flags_that_we_do_not_serve_are_refused)
{
	struct fake_krb f = good();

	f.ap_options |= 1u << 30;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.ap_options = 0;
	f.ticket_flags = 1u << 24;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.ticket_flags = 1u << 15;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.ticket_flags = 1u << 30 | 1u << 22 | 1u << 21;	/* forwardable, initial, pre-authenticated */
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.gss_flags = 0x1002;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.gss_flags = 0x3e;
	EXPECT_INT(accept_of(&f), KRB_OK);
	stop();
}

TEST(the_gss_checksum_has_to_be_there_and_in_its_form)
{
	static const uint8_t delegated[] = { 16, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 3, 0, 0, 0,
					     1, 0, 4, 0, 9, 9, 9, 9 };
	struct fake_krb f = good();
	uint8_t bytes[40];
	size_t i;

	f.sum_type = 0;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.sum_type = 16;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.sum_type = 0x8003;
	/* with delegation: passed over; bindings are not looked at, and something may follow */
	memcpy(bytes, delegated, sizeof(delegated));
	f.sum = slice_of(bytes, sizeof(delegated));
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.sum.len = sizeof(bytes);
	EXPECT_INT(accept_of(&f), KRB_OK);
	for (i = 0; i < sizeof(delegated); i++) {
		f.sum.len = i;
		EXPECT_INT(accept_of(&f), KRB_FLAGS);
	}
	f.sum.len = sizeof(delegated);
	bytes[0] = 17;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	bytes[0] = 16;
	bytes[24] = 2;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	bytes[24] = 1;
	bytes[27] = 1;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	stop();
}

TEST(restrictions_that_must_be_understood_are_refused_and_the_others_ignored)
{
	struct fake_krb f = good();

	f.ticket_ad = 1;
	f.auth_ad = 1;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.ticket_ad = 71;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	f.ticket_ad = 0;
	f.auth_ad = 4;
	EXPECT_INT(accept_of(&f), KRB_FLAGS);
	stop();
}

TEST(addresses_in_a_ticket_are_not_looked_at)
{
	struct fake_krb f = good();

	f.addresses = true;
	EXPECT_INT(accept_of(&f), KRB_OK);
	stop();
}

TEST(other_mechanisms_are_told_to_come_with_kerberos)
{
	struct fake_krb f = good();
	/* a1 seq { accept-incomplete or request-mic, krb5 } */
	uint8_t want[64];
	size_t n = test_unhex("a1 14 30 12 a0 03 0a01 03 a1 0b 06 09 2a864886f712010202", want, sizeof(want));

	f.form = FAKE_KRB_NTLM_FIRST;
	EXPECT_INT(accept_of(&f), KRB_CONTINUE);
	EXPECT_INT(s.id.reply_len, n);
	EXPECT_MEM(s.id.reply, want, n);
	f.form = FAKE_KRB_NO_TOKEN;
	want[8] = 1;
	EXPECT_INT(accept_of(&f), KRB_CONTINUE);
	EXPECT_MEM(s.id.reply, want, n);
	f.form = FAKE_KRB_NTLM_ONLY;
	EXPECT_INT(accept_of(&f), KRB_MECHANISM);
	memcpy(token, "NTLMSSP\0\1\0\0\0", 12);
	token_len = 12;
	EXPECT_INT(again(), KRB_MECHANISM);
	EXPECT_INT(s.replay.live, 0);
	stop();
}

TEST(a_changed_list_of_mechanisms_is_noticed_where_there_is_a_mic)
{
	struct fake_krb f = good();

	f.mic = true;
	EXPECT_INT(accept_of(&f), KRB_OK);
	f.bad_mic = true;
	EXPECT_INT(accept_of(&f), KRB_MIC);
	f.bad_mic = false;
	token_len = fake_krb_token(&f, token, sizeof(token));
	{	/* NTLM becomes another mechanism */
		uint8_t *p = memmem(token, token_len, "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a", 10);

		p[9] = 0x1e;
	}
	EXPECT_INT(again(), KRB_MIC);
	stop();
}

TEST(every_truncation_and_every_longer_token_is_refused)
{
	static const enum fake_krb_form forms[] = { FAKE_KRB_RAW, FAKE_KRB_SPNEGO, FAKE_KRB_RESP };
	struct fake_krb f = good();
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(forms); i++) {
		f.form = forms[i];
		len = fake_krb_token(&f, token, sizeof(token));
		for (token_len = 0; token_len < len; token_len++)
			EXPECT_INT(again(), KRB_DEFECTIVE);
		token[len] = 0;
		token_len = len + 1;
		EXPECT_INT(again(), KRB_DEFECTIVE);
		token_len = KRB_TOKEN_MAX;
		EXPECT_INT(again(), KRB_DEFECTIVE);
	}
	EXPECT_INT(s.replay.live, 0);
	stop();
}

TEST(no_changed_byte_of_a_token_makes_another_client)
{
	struct fake_krb f = good();
	size_t i, len, accepted = 0;
	unsigned bit;

	len = fake_krb_token(&f, token, sizeof(token));
	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++) {
			enum krb_result k;

			token[i] ^= (uint8_t)(1 << bit);
			token_len = len;
			k = again();
			if (k == KRB_OK) {	/* some bytes mean nothing: name types, ignored options */
				EXPECT(principal_is("alice@EXAMPLE.COM"));
				accepted++;
				krb_replay_wipe(&s.replay);
				EXPECT(krb_replay_init(&s.replay, s.c, &s.random) == RC_OK);
			}
			token[i] ^= (uint8_t)(1 << bit);
		}
	EXPECT(accepted < 150);
	stop();
}

TEST(hostile_der_is_refused)
{
	static const char *const v[] = {
		"",
		"60",
		"60 80 0606 2b0601050502 0000",			/* indefinite */
		"60 82 0008 0606 2b0601050502",			/* lengths in a longer form than needed */
		"60 81 08 0606 2b0601050502",
		"60 84 00000008 0606 2b0601050502",
		"60 ff 0606 2b0601050502",
		"60 83 ffffff 0606 2b0601050502",
		"60 08 0606 2b0601050502",			/* nothing behind the OID */
		"60 0c 0606 2b0601050502 a0023000",		/* no list */
		"60 10 0606 2b0601050502 a006 3004 a002 3000 00",
		"60 12 0606 2b0601050502 a008 3006 a004 3002 0600",	/* an empty OID: no mechanism that we have */
		"a1 00",
		"a1 02 3000",
		"a1 08 3006 a204 0402 6000",
		"60 0d 06 09 2a864886f712010202 0200",		/* an AP-REP as AP-REQ */
		"60 0d 06 09 2a864886f712010202 0101",
		"60 0d 06 09 2a864886f712010202 0100",		/* nothing in it */
		"60 0f 06 09 2a864886f712010202 0100 6e00",
		"60 11 06 09 2a864886f712010202 0100 6e02 3000",
		"7f81 00",
		"1f1f1f1f1f1f1f1f",
	};
	struct fake_krb f = good();
	size_t i, depth;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		enum krb_result k;

		token_len = test_unhex(v[i], token, sizeof(token));
		k = again();
		EXPECT(k == KRB_DEFECTIVE || (k == KRB_MECHANISM && i == 11));
	}
	/* Nested as deep as it goes. */
	for (depth = 0; depth < 20000; depth++)
		token[depth] = depth % 2 ? 0x30 : 0x60;
	token_len = depth;
	EXPECT_INT(again(), KRB_DEFECTIVE);
	(void)f;
	stop();
}

TEST(every_truncation_of_what_is_encrypted_is_refused)
{
	struct fake_krb f = good();
	uint8_t plain[2048];
	size_t len, i;

	len = fake_krb_ticket_plain(&f, plain, sizeof(plain));
	for (i = 0; i < len; i++) {
		f.ticket_plain = slice_of(plain, i);
		EXPECT_INT(accept_of(&f), KRB_DEFECTIVE);
	}
	f.ticket_plain = slice_of(plain, len + 1);
	plain[len] = 0;
	EXPECT_INT(accept_of(&f), KRB_DEFECTIVE);
	f.ticket_plain = slice_of(NULL, 0);
	len = fake_krb_auth_plain(&f, plain, sizeof(plain));
	for (i = 0; i < len; i++) {
		f.auth_plain = slice_of(plain, i);
		EXPECT_INT(accept_of(&f), KRB_DEFECTIVE);
	}
	stop();
}

TEST(times_are_read_as_the_calendar_has_them)
{
	static const struct {
		const char *text;
		uint64_t s;	/* 0: refused */
	} v[] = {
		{ "19700101000001Z", 1 },	      { "20000229235959Z", 951868799 },  { "20010301000000Z", 983404800 },
		{ "20380119031408Z", 2147483648 },    { "99991231235959Z", 253402300799 }, { "20231114221320Z", 1700000000 },
		{ "20231314221320Z", 0 },	      { "20230014221320Z", 0 },		   { "20231100221320Z", 0 },
		{ "20231132221320Z", 0 },	      { "20231114241320Z", 0 },		   { "20231114226020Z", 0 },
		{ "20231114221360Z", 0 },	      { "20231114221320z", 0 },		   { "2023111422132 Z", 0 },
		{ "19691231235959Z", 0 },	      { "202311142213200", 0 },
	};
	struct fake_krb f = good();
	uint8_t plain[2048], *p;
	size_t i, len;

	len = fake_krb_ticket_plain(&f, plain, sizeof(plain));
	p = memmem(plain, len, "20231114231320Z", 15);	/* the end: an hour from now */
	EXPECT(p != NULL);
	f.ticket_plain = slice_of(plain, len);
	for (i = 0; i < ARRAY_LEN(v); i++) {
		enum krb_result k;

		memcpy(p, v[i].text, 15);
		k = accept_of(&f);
		if (!v[i].s)
			EXPECT_INT(k, KRB_DEFECTIVE);
		else if (v[i].s < NOW_S - 300)
			EXPECT_INT(k, KRB_EXPIRED);
		else
			EXPECT(k == KRB_OK && s.id.ends_ms == v[i].s * 1000);
	}
	stop();
}

#define THREADS 4
#define ROUNDS 50
static struct {
	uint8_t b[2048];
	size_t len;
} shared[ROUNDS];
static _Atomic unsigned accepted_by_all, refused_by_all;

static void *one_thread(void *unused)
{
	struct crypto *c = crypto_new();
	struct crypto_random random;
	struct krb_accept_options o = s.o;
	struct krb_identity id;
	uint8_t seed = 1;
	size_t i;

	(void)unused;
	crypto_random_init(&random, entropy, &seed);
	o.random = &random;
	for (i = 0; i < ROUNDS; i++) {
		enum krb_result k = krb_accept(c, &o, &s.replay, slice_of(shared[i].b, shared[i].len), &id);

		accepted_by_all += k == KRB_OK;
		refused_by_all += k == KRB_REPLAY;
	}
	crypto_free(c);
	return NULL;
}

TEST(of_threads_with_the_same_token_one_is_served)
{
	struct fake_krb f = good();
	pthread_t t[THREADS];
	size_t i;

	accepted_by_all = refused_by_all = 0;
	for (i = 0; i < ROUNDS; i++)
		shared[i].len = fake_krb_token(&f, shared[i].b, sizeof(shared[i].b));
	for (i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&t[i], NULL, one_thread, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	EXPECT_INT(accepted_by_all, ROUNDS);
	EXPECT_INT(refused_by_all, ROUNDS * (THREADS - 1));
	stop();
}

static enum rc no_entropy(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	(void)out;
	(void)len;
	return RC_MACHINE;
}

TEST(without_randomness_nobody_is_accepted)
{
	struct fake_krb f = good();

	crypto_random_init(&s.random, no_entropy, NULL);
	EXPECT_INT(accept_of(&f), KRB_MACHINE);
	EXPECT_INT(s.replay.live, 0);
	stop();
}

TEST(texts_are_fit_for_a_reason_phrase)
{
	int k;

	for (k = 0; k <= KRB_RESULT_COUNT; k++) {
		const char *t = krb_result_text((enum krb_result)k);

		EXPECT(strlen(t) > 5 && strlen(t) < 250);
		for (; *t; t++)
			EXPECT(*t >= ' ' && *t < 0x7f && *t != '"');
	}
}
