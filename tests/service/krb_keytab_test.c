/* SPDX-License-Identifier: Apache-2.0 */
/* Keytab files: what is taken, passed over, refused. */
#include <stdlib.h>

#include "service/krb.h"
#include "tests/fake/krb_client.h"
#include "tests/test.h"

static const uint8_t key[32] = "a key of thirty-two bytes......";
static uint8_t file[8192];
static size_t len;

static void begin(void)
{
	file[0] = 5;
	file[1] = 2;
	len = 2;
}

static void add(const char *principal, const char *realm, int32_t etype, size_t key_len)
{
	len += fake_krb_keytab_entry(file + len, sizeof(file) - len, principal, realm, 1, 0x12345, etype, key, key_len);
}

static void hole(uint32_t n)
{
	const uint32_t minus = -n;
	const uint8_t be[4] = { (uint8_t)(minus >> 24), (uint8_t)(minus >> 16), (uint8_t)(minus >> 8), (uint8_t)minus };

	memcpy(file + len, be, 4);
	memset(file + len + 4, 0xdd, n);
	len += 4 + n;
}

static struct krb_keys *parse(void)
{
	uint8_t *p = test_fence(file, len);
	struct krb_keys *k = NULL;
	const char *why = NULL;
	enum rc rc = krb_keytab_parse(slice_of(p, len), &k, &why);

	test_fence_free(p, len);
	if (rc == RC_OK)
		return k;
	EXPECT(rc == RC_BAD_INPUT && why && strlen(why) > 10);
	return NULL;
}

TEST(entries_of_all_aes_types_are_taken)
{
	struct krb_keys *k;

	begin();
	add("HTTP/a.example.com", "EXAMPLE.COM", 17, 16);
	add("HTTP/a.example.com", "EXAMPLE.COM", 18, 32);
	hole(50);
	add("HTTP/b.example.com", "OTHER.COM", 19, 16);
	hole(1);
	add("host/b.example.com", "OTHER.COM", 20, 32);
	k = parse();
	EXPECT(k && krb_keytab_count(k) == 4);
	EXPECT(slice_is(krb_keytab_principal(k, 0), "HTTP/a.example.com@EXAMPLE.COM"));
	EXPECT(slice_is(krb_keytab_principal(k, 3), "host/b.example.com@OTHER.COM"));
	EXPECT(slice_is(krb_keytab_realm(k), "EXAMPLE.COM"));
	EXPECT(krb_keytab_serves(k, slice_str("*")));
	EXPECT(krb_keytab_serves(k, slice_str("HTTP/a.example.com")));
	EXPECT(krb_keytab_serves(k, slice_str("HTTP/b.example.com@OTHER.COM")));
	EXPECT(!krb_keytab_serves(k, slice_str("HTTP/b.example.com@EXAMPLE.COM")));
	EXPECT(!krb_keytab_serves(k, slice_str("HTTP/a")));
	EXPECT(!krb_keytab_serves(k, slice_str("host/b.example.com")));
	EXPECT(!krb_keytab_serves(k, slice_str("")));
	krb_keytab_free(k);
}

TEST(entries_of_refused_types_and_of_odd_names_are_passed_over)
{
	struct krb_keys *k;

	begin();
	add("HTTP/a", "EXAMPLE.COM", 23, 16);
	add("HTTP/a", "EXAMPLE.COM", 3, 8);
	add("HTTP/a@b", "EXAMPLE.COM", 18, 32);
	add("HTTP//a", "EXAMPLE.COM", 18, 32);
	add("HTTP/a", "", 18, 32);
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	k = parse();
	EXPECT(k && krb_keytab_count(k) == 1);
	krb_keytab_free(k);
}

TEST(a_file_without_a_usable_key_is_refused)
{
	begin();
	EXPECT(parse() == NULL);
	hole(20);
	EXPECT(parse() == NULL);
	add("HTTP/a", "EXAMPLE.COM", 23, 16);
	EXPECT(parse() == NULL);
}

TEST(other_files_and_formats_are_refused)
{
	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	file[1] = 1;
	EXPECT(parse() == NULL);
	file[1] = 3;
	EXPECT(parse() == NULL);
	file[0] = 4;
	EXPECT(parse() == NULL);
	len = 0;
	EXPECT(parse() == NULL);
	len = 1;
	EXPECT(parse() == NULL);
	len = KRB_KEYTAB_MAX + 1;
	{
		uint8_t *big = calloc(1, len);
		struct krb_keys *k;
		const char *why;

		big[0] = 5;
		big[1] = 2;
		EXPECT(krb_keytab_parse(slice_of(big, len), &k, &why) == RC_BAD_INPUT);
		free(big);
	}
}

TEST(every_truncation_is_refused_or_has_fewer_keys)
{
	struct krb_keys *k;
	size_t all, one;

	begin();
	add("HTTP/a.example.com", "EXAMPLE.COM", 18, 32);
	one = len;
	add("HTTP/b.example.com", "EXAMPLE.COM", 17, 16);
	all = len;
	for (len = 0; len < all; len++) {
		k = parse();
		EXPECT((k != NULL) == (len == one));
		krb_keytab_free(k);
	}
}

TEST(a_key_of_the_wrong_length_and_lengths_that_lie_are_refused)
{
	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 16);
	EXPECT(parse() == NULL);
	begin();
	add("HTTP/a", "EXAMPLE.COM", 17, 32);
	EXPECT(parse() == NULL);
	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	file[2] = 0x7f;
	EXPECT(parse() == NULL);
	file[2] = 0x80;	/* a hole of 2 GiB */
	EXPECT(parse() == NULL);
	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	file[6] = 0xff;	/* components */
	EXPECT(parse() == NULL);
	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	file[8] = 0xff;	/* the realm's length */
	EXPECT(parse() == NULL);
}

TEST(a_zero_length_ends_the_file)
{
	struct krb_keys *k;

	begin();
	add("HTTP/a", "EXAMPLE.COM", 18, 32);
	memset(file + len, 0, 4);
	len += 4;
	memset(file + len, 0xff, 64);
	len += 64;
	k = parse();
	EXPECT(k && krb_keytab_count(k) == 1);
	krb_keytab_free(k);
}
