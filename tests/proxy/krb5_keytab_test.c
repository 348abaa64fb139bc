/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/krb5_keytab.h"
#include "tests/test.h"

/* Two entries and a deleted one between them, by hand after MIT's keytab.txt. */
#define ENTRY(host, etype)                                                                                          \
	"\x00\x00\x00\x35" /* 53 bytes */                                                                           \
	"\x00\x02" "\x00\x05" "REALM" "\x00\x04" "HTTP" "\x00\x03" host                                             \
	"\x00\x00\x00\x01" "\x60\x00\x00\x00" "\x02" "\x00" etype "\x00\x10" "0123456789abcdef" "\x00\x00\x00\x02"
#define FILE_OF(x) slice_of(x, sizeof(x) - 1)

static const char good[] = "\x05\x02" ENTRY("one", "\x11") "\xff\xff\xff\xfc" "gone" ENTRY("two", "\x17");

TEST(each_entry_gives_its_name_and_key_type)
{
	struct krb5_keytab_entry e;
	struct cursor c;

	EXPECT(krb5_keytab_begin(FILE_OF(good), &c) == RC_OK);
	EXPECT(krb5_keytab_next(&c, &e) == RC_OK);
	EXPECT_STR(e.name, "HTTP/one@REALM");
	EXPECT_INT(e.etype, 17);
	EXPECT(krb5_keytab_next(&c, &e) == RC_OK);
	EXPECT_STR(e.name, "HTTP/two@REALM");
	EXPECT_INT(e.etype, 23);
	EXPECT(krb5_keytab_next(&c, &e) == RC_BUSY);
}

TEST(a_file_that_is_cut_off_anywhere_else_is_noticed)
{
	struct krb5_keytab_entry e;
	struct cursor c;
	size_t len, whole = 0;
	enum rc rc;

	for (len = 0; len < sizeof(good) - 1; len++) {
		if (krb5_keytab_begin(slice_of(good, len), &c) != RC_OK) {
			EXPECT(len < 2);
			continue;
		}
		while ((rc = krb5_keytab_next(&c, &e)) == RC_OK)
			;
		whole += rc == RC_BUSY;
	}
	EXPECT_INT(whole, 3); /* behind the head, the first entry, the deleted one */
}

TEST(other_formats_are_refused)
{
	struct cursor c;

	EXPECT(krb5_keytab_begin(FILE_OF("\x05\x01"), &c) == RC_BAD_INPUT);
	EXPECT(krb5_keytab_begin(FILE_OF("-----BEGIN"), &c) == RC_BAD_INPUT);
	EXPECT(krb5_keytab_begin(FILE_OF(""), &c) == RC_BAD_INPUT);
}

TEST(a_name_that_would_act_on_a_terminal_is_empty)
{
	static const char bad[] = "\x05\x02" ENTRY("\x1b[m", "\x11");
	struct krb5_keytab_entry e;
	struct cursor c;

	EXPECT(krb5_keytab_begin(FILE_OF(bad), &c) == RC_OK);
	EXPECT(krb5_keytab_next(&c, &e) == RC_OK);
	EXPECT_STR(e.name, "");
}
