/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: RFC 4648 section 10. */
#include "client/b64.h"
#include "tests/test.h"

static enum rc read_text(const char *text, uint8_t *out, size_t max, size_t *len)
{
	uint8_t *p = test_fence(text, strlen(text));
	enum rc rc = b64_read(slice_of(p, strlen(text)), out, max, len);

	test_fence_free(p, strlen(text));
	return rc;
}

TEST(the_vectors_of_the_standard_are_written_and_read_padded_or_not)
{
	static const struct {
		const char *plain, *text, *padded;
	} v[] = {
		{ "", "", "" },
		{ "f", "Zg", "Zg==" },
		{ "fo", "Zm8", "Zm8=" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	};
	uint8_t out[16];
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(v); i++) {
		BUF b = { .max = 100 };
		BUF padded = { .max = 100 };

		b64_write(&b, slice_str(v[i].plain));
		EXPECT_STR(buf_text(&b), v[i].text);
		b64_write_padded(&padded, slice_str(v[i].plain));
		EXPECT_STR(buf_text(&padded), v[i].padded);
		EXPECT(read_text(v[i].text, out, sizeof(out), &len) == RC_OK);
		EXPECT(slice_is(slice_of(out, len), v[i].plain));
		EXPECT(read_text(v[i].padded, out, sizeof(out), &len) == RC_OK);
		EXPECT(slice_is(slice_of(out, len), v[i].plain));
	}
}

TEST(every_byte_survives_and_both_alphabets_are_read)
{
	uint8_t all[256], out[256];
	BUF b = { .max = 1000 };
	size_t i, len;

	for (i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	b64_write(&b, slice_of(all, sizeof(all)));
	EXPECT(b64_read(slice_of(b.p, b.len), out, sizeof(out), &len) == RC_OK);
	EXPECT_INT(len, sizeof(all));
	EXPECT_MEM(out, all, sizeof(all));
	buf_clear(&b);
	buf_str(&b, "before -_ ");	/* is left as it is */
	b64_write_padded(&b, slice_of("\xfb\xff\xbf\xfb", 4));
	EXPECT_STR(buf_text(&b), "before -_ +/+/+w==");
	EXPECT(read_text("-_+/", out, sizeof(out), &len) == RC_OK);
	EXPECT_MEM(out, "\xfb\xff\xbf", 3);
}

TEST(what_is_not_base64_is_refused)
{
	static const char *const bad[] = {
		"Z",    "Zg=",   "Zg===", "=",   "==",       "====",    "Zm9v=",
		"Z m8", "Zm8\n", "Zh",    "Zm9", "Zg==Zg==", "Zm9\x80", "Zm.v",
	};
	uint8_t out[16];
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(read_text(bad[i], out, sizeof(out), &len) == RC_BAD_INPUT);
	EXPECT(read_text("Zm9vYmFy", out, 5, &len) == RC_NO_ROOM);
}

TEST(hexadecimal_is_read_strictly)
{
	uint8_t out[4];
	size_t len;

	EXPECT(hex_read(slice_str("00fFa1"), out, sizeof(out), &len) == RC_OK);
	EXPECT_INT(len, 3);
	EXPECT_MEM(out, "\x00\xff\xa1", 3);
	EXPECT(hex_read(slice_str("0"), out, sizeof(out), &len) == RC_BAD_INPUT);
	EXPECT(hex_read(slice_str("0g"), out, sizeof(out), &len) == RC_BAD_INPUT);
	EXPECT(hex_read(slice_str("0x"), out, sizeof(out), &len) == RC_BAD_INPUT);
	EXPECT(hex_read(slice_str("0000000000"), out, sizeof(out), &len) == RC_NO_ROOM);
}
