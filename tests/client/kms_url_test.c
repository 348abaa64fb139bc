/* SPDX-License-Identifier: Apache-2.0 */
#include "client/kms_url.h"
#include "tests/test.h"

static enum rc parse(const char *text, struct kms_url *u)
{
	uint8_t *p = test_fence(text, strlen(text));
	const char *why = NULL;
	enum rc rc = kms_url_parse(slice_of(p, strlen(text)), u, &why);

	test_fence_free(p, strlen(text));
	if (rc != RC_OK)
		EXPECT(why != NULL);
	return rc;
}

TEST(both_forms_of_addresses_are_read)
{
	struct kms_url u;

	EXPECT(parse("http://127.0.0.1:9600/kms", &u) == RC_OK);
	EXPECT_STR(u.host[0], "127.0.0.1");
	EXPECT_INT(u.port, 9600);
	EXPECT_STR(u.path, "/kms");
	EXPECT(parse("kms://http@a.example;b:1/x/", &u) == RC_OK);
	EXPECT_INT(u.hosts, 2);
	EXPECT_STR(u.host[1], "b");
	EXPECT_INT(u.port, 1);
	EXPECT_STR(u.path, "/x");
	EXPECT(parse("http://[::1]", &u) == RC_OK);
	EXPECT_STR(u.host[0], "::1");
	EXPECT_STR(u.path, "/kms");
	EXPECT(parse("http://h/", &u) == RC_OK);
	EXPECT_STR(u.path, "");
}

TEST(https_is_told_from_http_and_never_downgraded)
{
	struct kms_url u;

	EXPECT(parse("https://h/kms", &u) == RC_OK && u.tls && u.port == 9600);
	EXPECT(parse("kms://https@a;b:1/kms", &u) == RC_OK && u.tls && u.hosts == 2);
	EXPECT(parse("http://https/kms", &u) == RC_OK && !u.tls);
	EXPECT(parse("kms://http@https", &u) == RC_OK && !u.tls);
	EXPECT(parse("https:/h/kms", &u) == RC_BAD_INPUT);
	EXPECT(parse("kms://https:h/kms", &u) == RC_BAD_INPUT);
}

TEST(malformed_addresses_are_refused)
{
	static const char *const bad[] = {
		"",
		"h",
		"h:9600",
		"ftp://h",
		"http://",
		"http:///kms",
		"http://h:",
		"http://h:0",
		"http://h:65536",
		"http://h:123456",
		"http://h:9600x",
		"http://h:-1",
		"http://u@h/",
		"http://h/a?b",
		"http://h/a#b",
		"http://h/a b",
		"http://h/a//b",
		"http://h/../x",
		"http://h/a\r\nX: y",
		"http://[::1",
		"http://h;",
		"http://;h",
		"http://h\n",
		"kms://h",
		"http://a;b;c;d;e;f;g;h;i",
	};
	struct kms_url u;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(parse(bad[i], &u) == RC_BAD_INPUT);
}

TEST(every_truncation_of_an_address_is_read_or_refused_within_its_bytes)
{
	static const char good[] = "kms://http@[fe80::1];b.example:9600/kms/x";
	struct kms_url u;
	size_t n;

	for (n = 0; n < sizeof(good) - 1; n++) {
		char cut[64];

		snprintf(cut, sizeof(cut), "%.*s", (int)n, good);
		if (parse(cut, &u) == RC_OK)
			EXPECT(u.hosts >= 1 && u.port != 0);
	}
}

TEST(names_in_paths_are_encoded_as_hadoop_does_it_but_spaces)
{
	BUF b = { .max = 1000 };

	kms_url_encode(&b, slice_str("aZ09._*-/@ %+~\xc3\xbc"));
	EXPECT_STR(buf_text(&b), "aZ09._*-%2F%40%20%25%2B%7E%C3%BC");
}
