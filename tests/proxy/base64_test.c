/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base64.h"
#include "tests/test.h"

static void decodes(const char *text, const char *plain)
{
	uint8_t *in = test_fence(text, strlen(text)), out[128];
	size_t len;

	EXPECT(base64_decode(slice_of(in, strlen(text)), out, sizeof(out), &len));
	EXPECT_INT(len, strlen(plain));
	EXPECT_MEM(out, plain, len);
	test_fence_free(in, strlen(text));
}

/* The vectors of RFC 4648, section 10. */
static const char *const rfc[][3] = {
	{ "", "", "" },
	{ "f", "Zg", "Zg==" },
	{ "fo", "Zm8", "Zm8=" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
};

TEST(published_vectors_encode_and_decode)
{
	char out[16];
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(rfc); i++) {
		EXPECT(base64_url_encode(slice_str(rfc[i][0]), out, sizeof(out), &len));
		EXPECT(slice_is(slice_of(out, len), rfc[i][1]));
		EXPECT_INT(base64_url_len(strlen(rfc[i][0])), len);
		EXPECT(base64_std_encode(slice_str(rfc[i][0]), out, sizeof(out), &len));
		EXPECT(slice_is(slice_of(out, len), rfc[i][2]));
		EXPECT_INT(base64_std_len(strlen(rfc[i][0])), len);
		decodes(rfc[i][1], rfc[i][0]);
		decodes(rfc[i][2], rfc[i][0]);
	}
}

TEST(the_alphabets_differ_in_two_characters_and_both_are_read)
{
	static const uint8_t bytes[] = { 0xfb, 0xff, 0xbf };
	char out[4];
	size_t len;

	EXPECT(base64_url_encode(slice_of(bytes, 3), out, 4, &len));
	EXPECT_MEM(out, "-_-_", 4);
	EXPECT(base64_std_encode(slice_of(bytes, 3), out, 4, &len));
	EXPECT_MEM(out, "+/+/", 4);
	decodes("-_-_", "\xfb\xff\xbf");
	decodes("+/+/", "\xfb\xff\xbf");
	decodes("-/+_", "\xfb\xff\xbf");
}

TEST(characters_outside_the_alphabets_are_skipped)
{
	decodes("Z m 9\tv\r\nYm Fy", "foobar");
	decodes("Zm9v\xc3\xa4YmFy", "foobar");
	decodes("  Zg", "f");
	decodes("{}!", "");
}

TEST(the_first_padding_character_ends_the_text)
{
	decodes("Zg==Zm9v", "f");
	decodes("Zg=", "f");
	decodes("=Zm9v", "");
	decodes("Zm9v=YmFy", "foo");
}

TEST(surplus_bits_are_dropped_and_a_single_character_gives_nothing)
{
	decodes("Zh", "f");
	decodes("Zm9", "fo");
	decodes("Zm9vY", "foo");
	decodes("Z", "");
	decodes("Z=", "");
}

TEST(neither_direction_writes_past_its_room)
{
	uint8_t *out, plain[32];
	size_t len, room;

	memset(plain, 0x5a, sizeof(plain));
	for (room = 0; room < 48; room++) {
		char fill[48] = { 0 };

		out = test_fence(fill, room);
		EXPECT(base64_url_encode(slice_of(plain, 32), out, room, &len) == (room >= 43));
		EXPECT(base64_std_encode(slice_of(plain, 32), out, room, &len) == (room >= 44));
		EXPECT(base64_decode(slice_str("Zm9vYmFyZm9vYmFyZm9vYmFyZg"), out, room, &len) ==
		       (room >= 19));
		EXPECT(base64_decode(slice_str("Zm 9vYmFyZm9v YmFyZm9vYmFyZm8="), out, room, &len) ==
		       (room >= 20));
		test_fence_free(out, room);
	}
}

TEST(decoding_in_place_is_allowed)
{
	char text[] = "Zm9v YmFyZm9vYmE=";
	size_t len;

	EXPECT(base64_decode(slice_of(text, sizeof(text) - 1), text, sizeof(text), &len));
	EXPECT(slice_is(slice_of(text, len), "foobarfooba"));
}

TEST(every_byte_string_survives_a_round_trip)
{
	uint8_t plain[67], back[67];
	char text[100];
	size_t n, i, len, got;

	for (n = 0; n <= sizeof(plain); n++) {
		for (i = 0; i < n; i++)
			plain[i] = (uint8_t)(i * 151 + n * 31);
		EXPECT(base64_url_encode(slice_of(plain, n), text, sizeof(text), &len));
		EXPECT(base64_decode(slice_of(text, len), back, sizeof(back), &got));
		EXPECT(got == n && memcmp(plain, back, n) == 0);
		EXPECT(base64_std_encode(slice_of(plain, n), text, sizeof(text), &len));
		EXPECT(base64_decode(slice_of(text, len), back, n, &got));
		EXPECT(got == n && memcmp(plain, back, n) == 0);
	}
}
