/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies: what is issued is accepted, and nothing else. */
#include <stdlib.h>

#include "tests/fake/core.h"
#include "tests/test.h"

#define SECOND 1000ull
#define VALID "hadoop.kms.authentication.token.validity"
#define INACTIVE "hadoop.kms.authentication.token.max-inactive-interval"
#define SECRET_FILE "svsm.secret.signature"

static char cookie[WIRE_COOKIE_MAX + 1];

/* Copies the cookie of the last answer. */
static struct slice keep_cookie(struct core *c)
{
	EXPECT(c->ans.cookie.len > 0 && c->ans.cookie.len <= WIRE_COOKIE_MAX);
	memcpy(cookie, c->ans.cookie.p, c->ans.cookie.len);
	cookie[c->ans.cookie.len] = 0;
	return slice_of(cookie, c->ans.cookie.len);
}

/* text || "&s=" || Base64(HMAC) under a secret the test knows. */
static struct slice sign_text(const char *secret, const void *text, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char out[20000];
	struct crypto *cr = crypto_new();
	struct crypto_mac_key k;
	struct slice part = slice_of(text, len);
	uint8_t mac[33] = { 0 };
	size_t i, o = len + 3;

	crypto_mac_key_set(&k, secret, strlen(secret));
	EXPECT(crypto_mac(cr, 0, &k, &part, 1, mac) == RC_OK);
	crypto_free(cr);
	memcpy(out, text, len);
	memcpy(out + len, "&s=", 3);
	for (i = 0; i < 33; i += 3) {
		uint32_t v = (uint32_t)mac[i] << 16 | (uint32_t)mac[i + 1] << 8 | mac[i + 2];

		out[o++] = set[v >> 18];
		out[o++] = set[v >> 12 & 63];
		out[o++] = set[v >> 6 & 63];
		out[o++] = set[v & 63];
	}
	out[o - 1] = '=';
	return slice_of(out, o);
}

static struct slice sign_str(const char *text)
{
	return sign_text("signing-secret", text, strlen(text));
}

static void start(struct core *c)
{
	core_start(c, 1);
	EXPECT_INT(core_config(c, SECRET_FILE, "signing-secret", NULL), E_OK);
}

static enum wire_err auth(struct core *c)
{
	return core_name(c, CALL_AUTH, "");
}

static enum wire_note note_of(struct core *c, struct slice text)
{
	core_as_cookie(c, text);
	if (auth(c) == E_OK)
		return NOTE_NONE;
	EXPECT_INT(c->err, E_UNAUTHENTICATED);
	EXPECT_INT(c->ans.user.len, 0);
	EXPECT_INT(c->ans.cookie.len, 0);
	EXPECT_INT(c->ans.head.events, 0);
	return (enum wire_note)c->ans.head.note;
}

TEST(a_user_gets_a_cookie_in_hadoops_form_and_it_is_accepted)
{
	char expect[200];
	struct core c;

	start(&c);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(slice_is(c.ans.user, "hdfs"));
	snprintf(expect, sizeof(expect), "u=hdfs&p=hdfs&t=simple-dt&e=%llu", FAKE_WALL + 36000 * SECOND);
	EXPECT(slice_eq(c.ans.cookie, sign_str(expect)));
	core_as_cookie(&c, keep_cookie(&c));
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(slice_is(c.ans.user, "hdfs"));
	EXPECT_INT(c.ans.cookie.len, 0);	/* no new one for each request */
	core_stop(&c);
}

TEST(the_specification_example_is_signed_right_but_of_another_type)
{
	static const char text[] = "u=hdfs&p=hdfs@EXAMPLE.COM&t=kerberos-dt&e=1700000036000"
				   "&s=PKhRj2UhfFX3f8npitdvXw9eqP8f+Uc7ujk1N0HlT6o=";
	static char forged[sizeof(text)];
	struct core c;

	start(&c);
	EXPECT_INT(note_of(&c, slice_str(text)), NOTE_TYPE);
	memcpy(forged, text, sizeof(text));
	forged[sizeof(text) - 3] = 'p';
	EXPECT_INT(note_of(&c, slice_str(forged)), NOTE_SIGNATURE);
	core_stop(&c);
}

TEST(every_flipped_byte_and_every_truncation_is_refused)
{
	static char bent[WIRE_COOKIE_MAX];
	struct core c;
	struct slice good;
	size_t i, len;
	int bit;

	start(&c);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	good = keep_cookie(&c);
	for (i = 0; i < good.len; i++)
		for (bit = 0; bit < 8; bit++) {
			enum wire_note n;

			memcpy(bent, good.p, good.len);
			bent[i] = (char)(bent[i] ^ 1 << bit);
			n = note_of(&c, slice_of(bent, good.len));
			EXPECT(n == NOTE_SIGNATURE || n == NOTE_UNSIGNED);
		}
	for (len = 0; len < good.len; len++) {
		enum wire_note n = note_of(&c, slice_of(good.p, len));

		EXPECT(n == NOTE_SIGNATURE || n == NOTE_UNSIGNED || (len == 0 && n == NOTE_EMPTY_COOKIE));
		if (n == NOTE_UNSIGNED)
			EXPECT(slice_eq(c.ans.arg, slice_of(good.p, len)));
	}
	memcpy(bent, good.p, good.len);
	bent[good.len] = '=';
	EXPECT_INT(note_of(&c, slice_of(bent, good.len + 1)), NOTE_SIGNATURE);
	memset(bent, 'x', sizeof(bent));	/* a long one without a signature: the note is cut, not lost */
	EXPECT_INT(note_of(&c, slice_of(bent, sizeof(bent))), NOTE_UNSIGNED);
	EXPECT(c.ans.arg.len > 1000);
	core_stop(&c);
}

TEST(signed_text_that_is_no_token_is_refused)
{
	static const char *const bad[] = {
		"u", "&", "u=&p=a&t=simple-dt&e=9999999999999", "u=a&p=&t=simple-dt&e=9999999999999",
		"u=a&p=a&t=simple-dt&e=", "u=a&p=a&t=simple-dt&e=x", "u=a&p=a&t=simple-dt&e=-2",
		"u=a&p=a&t=simple-dt&e=99999999999999999999", "u=a&p=a&t=simple-dt&e=9999999999999&i=",
		"u=a&p=a&t=simple-dt&e=9999999999999&i=z", "u=a&p=a&t=simple-dt&&e=9999999999999",
		"u=a&p=a&t=simple-dt&e=9999999999999&u", "u=a b\n&p=a&t=simple-dt&e=9999999999999",
		"u=a\"&p=a\"&t=simple-dt&e=9999999999999", "u=\x7f&p=\x7f&t=simple-dt&e=9999999999999",
		"u=a\x01&p=a&t=simple-dt&e=9999999999999", "u=a&p=\x1f&t=simple-dt&e=9999999999999",
		"u=a&u=&p=a&t=simple-dt&e=9999999999999",
	};
	static const char *const missing[] = {
		"", "=", "u=a", "u=", "u=a&p=a&t=simple-dt", "u=a&p=a&e=9999999999999", "u=a&t=simple-dt&e=9999999999999",
		"p=a&t=simple-dt&e=9999999999999", "U=a&p=a&t=simple-dt&e=9999999999999",
		"uu=a&p=a&t=simple-dt&e=9999999999999",
	};
	/* Other servers that share the secret may write these; Hadoop takes them, and the last of two counts. */
	static const char *const fine[] = {
		"u=a&p=a&t=simple-dt&e=-1", "u=a&p=a&t=simple-dt&e=1&e=9999999999999", "e=-1&t=simple-dt&p=b&u=a",
		"u=root&u=a&p=a&t=simple-dt&e=9999999999999", "u=a&p=a&t=simple-dt&e=9999999999999&x=1",
		"u=a&p=a&t=simple-dt&e=9999999999999&i=-1",
	};
	static const char nul[] = "u=root\0x&p=root\0x&t=simple-dt&e=9999999999999";
	static const char *const other[] = { "simple", "kerberos", "kerberos-dt", "simple-dtx", "Simple-dt", "simple-d" };
	char text[4200];
	struct core c;
	size_t i;

	start(&c);
	EXPECT_INT(note_of(&c, sign_str("u=a&p=a&t=simple-dt&e=9999999999999")), NOTE_NONE);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(note_of(&c, sign_str(bad[i])), NOTE_TOKEN);
	for (i = 0; i < ARRAY_LEN(missing); i++)
		EXPECT_INT(note_of(&c, sign_str(missing[i])), NOTE_TOKEN_MISSING);
	for (i = 0; i < ARRAY_LEN(fine); i++) {
		EXPECT_INT(note_of(&c, sign_str(fine[i])), NOTE_NONE);
		EXPECT(slice_is(c.ans.user, "a"));
	}
	EXPECT_INT(note_of(&c, sign_text("signing-secret", nul, sizeof(nul) - 1)), NOTE_TOKEN);
	for (i = 0; i < ARRAY_LEN(other); i++) {
		snprintf(text, sizeof(text), "u=a&p=a&t=%s&e=9999999999999", other[i]);
		EXPECT_INT(note_of(&c, sign_str(text)), NOTE_TYPE);
	}
	core_stop(&c);
}

TEST(a_signed_name_longer_than_a_name_may_be_is_refused)
{
	/* Whoever shares the secret may sign it; it must not reach an answer, nor a cookie issued anew. */
	static char text[4096];
	static char name[4000];
	struct core c;
	size_t n;

	start(&c);
	EXPECT_INT(core_config(&c, SECRET_FILE, "signing-secret", INACTIVE, "100", NULL), E_OK);
	for (n = 500; n < 3900; n += 17) {
		memset(name, 'u', n);
		name[n] = 0;
		snprintf(text, sizeof(text), "u=%s&p=p&t=simple-dt&e=9999999999999", name);
		EXPECT_INT(note_of(&c, sign_str(text)), n <= WIRE_USER_MAX ? NOTE_NONE : NOTE_TOKEN);
	}
	core_stop(&c);
}

TEST(the_last_signature_counts)
{
	struct core c;

	start(&c);
	/* "&s=" inside the text is part of what is signed, and says nothing more. */
	EXPECT_INT(note_of(&c, sign_str("u=a&p=a&t=simple-dt&e=9999999999999&s=x")), NOTE_NONE);
	EXPECT_INT(note_of(&c, slice_str("u=a&p=a&t=simple-dt&e=9999999999999&s=x&s=y")), NOTE_SIGNATURE);
	core_stop(&c);
}

TEST(a_cookie_expires_by_its_time_and_not_one_ms_earlier)
{
	struct core c;

	start(&c);
	EXPECT_INT(core_config(&c, SECRET_FILE, "signing-secret", VALID, "10", NULL), E_OK);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	svc_time(c.svc, FAKE_WALL + 10 * SECOND);
	EXPECT_INT(auth(&c), E_OK);
	svc_time(c.svc, FAKE_WALL + 10 * SECOND + 1);
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.note, NOTE_EXPIRED);
	core_stop(&c);
}

TEST(time_that_stands_still_or_goes_back_does_not_keep_a_cookie_alive)
{
	struct core c;
	unsigned i;

	start(&c);
	EXPECT_INT(core_config(&c, SECRET_FILE, "signing-secret", VALID, "10", NULL), E_OK);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	for (i = 0; i < 10; i++) {
		svc_time(c.svc, i & 1 ? FAKE_WALL : 0);	/* the proxy's story: no time has passed */
		EXPECT_INT(auth(&c), E_OK);
		fake_mono += SECOND;
	}
	svc_time(c.svc, FAKE_WALL);
	fake_mono += 1;
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.note, NOTE_EXPIRED);
	svc_time(c.svc, 1);
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	/* A jump ahead and back again does not revive it either, and no time is too late to add to. */
	svc_time(c.svc, UINT64_MAX);
	svc_time(c.svc, FAKE_WALL);
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	EXPECT_INT(auth(&c), E_OK);
	fake_mono += 10 * SECOND + 1;
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	core_stop(&c);
}

TEST(inactivity_ends_a_session_and_use_prolongs_it_but_not_beyond_its_expiry)
{
	char expect[200];
	struct core c;
	unsigned i;
	uint64_t t = FAKE_WALL;

	start(&c);
	EXPECT_INT(core_config(&c, SECRET_FILE, "signing-secret", VALID, "100", INACTIVE, "10", NULL), E_OK);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(!memmem(c.ans.cookie.p, c.ans.cookie.len, "&i=", 3));	/* the first carries none */
	core_as_cookie(&c, keep_cookie(&c));
	for (i = 0; i < 11; i++) {
		EXPECT_INT(auth(&c), E_OK);
		snprintf(expect, sizeof(expect), "u=hdfs&p=hdfs&t=simple-dt&i=%llu&e=%llu",
			 (unsigned long long)t + 10 * SECOND, FAKE_WALL + 100 * SECOND);
		EXPECT(slice_eq(c.ans.cookie, sign_str(expect)));
		core_as_cookie(&c, keep_cookie(&c));
		t += 9 * SECOND;
		svc_time(c.svc, t);
	}
	EXPECT_INT(auth(&c), E_OK);	/* 99 s */
	core_as_cookie(&c, keep_cookie(&c));
	svc_time(c.svc, FAKE_WALL + 100 * SECOND + 1);
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.note, NOTE_EXPIRED);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	fake_mono += 10 * SECOND + 1;
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.note, NOTE_EXPIRED);
	core_stop(&c);
}

TEST(a_random_secret_rolls_and_the_one_before_is_accepted)
{
	char first[WIRE_COOKIE_MAX], second[WIRE_COOKIE_MAX];
	struct slice a, b;
	struct core c;

	core_start(&c, 1);
	EXPECT_INT(core_config(&c, VALID, "100", NULL), E_OK);
	core_as(&c, "hdfs");
	fake_mono += 60 * SECOND;
	EXPECT_INT(auth(&c), E_OK);
	a = slice_of(first, c.ans.cookie.len);
	memcpy(first, c.ans.cookie.p, a.len);
	fake_mono += 60 * SECOND;	/* 120 s: rolled once */
	EXPECT_INT(auth(&c), E_OK);
	b = slice_of(second, c.ans.cookie.len);
	memcpy(second, c.ans.cookie.p, b.len);
	EXPECT_INT(note_of(&c, a), NOTE_NONE);	/* signed by the one before; lives until 160 s */
	EXPECT_INT(note_of(&c, b), NOTE_NONE);
	/* A longer validity prolongs no cookie: what is signed by neither secret is refused as such. */
	EXPECT_INT(core_config(&c, VALID, "100", NULL), E_OK);
	EXPECT_INT(note_of(&c, a), NOTE_NONE);	/* a new configuration does not roll */
	fake_mono += 101 * SECOND;
	EXPECT_INT(note_of(&c, b), NOTE_EXPIRED);
	EXPECT_INT(note_of(&c, a), NOTE_SIGNATURE);	/* rolled twice since */
	fake_mono += 101 * SECOND;
	EXPECT_INT(note_of(&c, b), NOTE_SIGNATURE);
	core_stop(&c);
}

TEST(a_secret_from_the_configuration_is_shared_and_never_rolls)
{
	struct core c, d;

	start(&c);
	start(&d);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	keep_cookie(&c);
	EXPECT_INT(note_of(&d, slice_str(cookie)), NOTE_NONE);
	fake_mono += 35999 * SECOND;
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_NONE);
	/* The next secret: the one before is still accepted, the one before that is not. */
	EXPECT_INT(core_config(&c, SECRET_FILE, "other-secret", NULL), E_OK);
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_NONE);
	EXPECT_INT(core_config(&c, SECRET_FILE, "other-secret", NULL), E_OK);	/* the same again changes nothing */
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_NONE);
	EXPECT_INT(core_config(&c, SECRET_FILE, "third-secret", NULL), E_OK);
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_SIGNATURE);
	EXPECT_INT(core_config(&c, VALID, "10", NULL), E_OK);	/* to a random one */
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	keep_cookie(&c);
	EXPECT_INT(note_of(&d, slice_str(cookie)), NOTE_SIGNATURE);
	core_stop(&c);
	core_stop(&d);
}

/* It may have been replaced because somebody else has it: his cookies say themselves how long they last. */
TEST(a_secret_that_was_replaced_counts_for_one_validity_more_and_not_for_ever)
{
	char forged[WIRE_COOKIE_MAX];
	struct slice f = sign_str("u=hdfs&p=hdfs&t=simple-dt&e=99999999999999");
	struct core c;

	memcpy(forged, f.p, f.len);
	f.p = (const uint8_t *)forged;
	start(&c);
	fake_mono += 100000 * SECOND;
	EXPECT_INT(note_of(&c, f), NOTE_NONE);
	EXPECT_INT(core_config(&c, SECRET_FILE, "other-secret", NULL), E_OK);
	fake_mono += 35999 * SECOND;
	EXPECT_INT(note_of(&c, f), NOTE_NONE);	/* as are those that were given right before */
	EXPECT_INT(core_config(&c, SECRET_FILE, "other-secret", NULL), E_OK);	/* the same again prolongs nothing */
	fake_mono += 1 * SECOND;
	EXPECT_INT(note_of(&c, f), NOTE_SIGNATURE);
	core_as(&c, "hdfs");
	EXPECT_INT(auth(&c), E_OK);
	EXPECT_INT(note_of(&c, keep_cookie(&c)), NOTE_NONE);
	fake_mono += 35999 * SECOND;
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_NONE);	/* the secret in force goes on */
	core_stop(&c);
}

TEST(a_cookie_of_another_start_is_refused)
{
	struct core c;

	core_ready(&c);
	EXPECT_INT(auth(&c), E_OK);
	keep_cookie(&c);
	core_stop(&c);
	core_ready(&c);
	EXPECT_INT(note_of(&c, slice_str(cookie)), NOTE_SIGNATURE);
	core_stop(&c);
}

TEST(names_that_could_break_a_cookie_or_an_audit_line_are_refused)
{
	static const char *const bad[] = { "a&b", "&", "a\"", "\"", "a\nb", "\r", "a\tb", "\x01", "\x1f", "\x7f",
					   "a&t=kerberos", "x&e=9" };
	static const char *const good[] = { "a", "a b", " ", "a=b", "a@B", "u/host@REALM", "\xc3\xa9", "~a", "a,b", "%26",
					    "a;b", "\\" };
	char longest[WIRE_USER_MAX + 1];
	struct core c;
	size_t i;

	start(&c);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		core_as(&c, bad[i]);
		EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
		EXPECT_INT(c.ans.head.note, NOTE_USER);
		EXPECT_INT(c.ans.cookie.len, 0);
	}
	core_as(&c, "");
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	EXPECT_INT(c.ans.head.note, NOTE_NONE);
	c.has_user = false;
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	core_as(&c, "x");
	c.user = slice_of("a\0b", 3);
	EXPECT_INT(auth(&c), E_UNAUTHENTICATED);
	for (i = 0; i < ARRAY_LEN(good); i++) {
		core_as(&c, good[i]);
		EXPECT_INT(auth(&c), E_OK);
		EXPECT(slice_is(c.ans.user, good[i]));
		core_as_cookie(&c, keep_cookie(&c));
		EXPECT_INT(auth(&c), E_OK);
		EXPECT(slice_is(c.ans.user, good[i]));
	}
	memset(longest, 'z', WIRE_USER_MAX);
	longest[WIRE_USER_MAX] = 0;
	core_as(&c, longest);
	EXPECT_INT(auth(&c), E_OK);
	core_as_cookie(&c, keep_cookie(&c));
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(slice_is(c.ans.user, longest));
	core_stop(&c);
}

TEST(a_bad_cookie_beside_a_name_does_no_harm_and_a_good_one_wins)
{
	struct core c;

	start(&c);
	core_as_cookie(&c, slice_str("nonsense"));
	c.has_user = true;
	c.user = slice_str("ann");
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(slice_is(c.ans.user, "ann"));
	EXPECT(c.ans.cookie.len > 0);
	EXPECT_INT(c.ans.head.note, NOTE_NONE);
	core_as_cookie(&c, keep_cookie(&c));
	c.has_user = true;
	c.user = slice_str("bob");
	EXPECT_INT(auth(&c), E_OK);
	EXPECT(slice_is(c.ans.user, "ann"));
	core_stop(&c);
}

TEST(identity_works_before_a_store_is_open_but_not_before_a_configuration)
{
	struct core c;

	core_start(&c, 1);
	core_as(&c, "ann");
	EXPECT_INT(auth(&c), E_NO_CONFIG);
	EXPECT_INT(core_config(&c, NULL), E_OK);
	EXPECT_INT(auth(&c), E_OK);
	EXPECT_INT(core_name(&c, CALL_CURRENT, "k"), E_NOT_READY);
	core_stop(&c);
}
