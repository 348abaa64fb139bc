/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoint a method and path mean, as Hadoop KMS matches them, and what a name decodes to. */
#include <stdlib.h>

#include "proxy/kms.h"
#include "tests/test.h"

static struct kms_worker worker;

static struct route find(enum http_method m, const char *path, const char *query)
{
	struct http_request r = { .method = m, .path = slice_str(path), .query = slice_str(query) };
	struct route out;

	r.has_query = query[0] != 0;
	route_find(&worker, &r, &out);
	return out;
}

static const struct row {
	enum http_method m;
	const char *path;
	enum endpoint ep;
	const char *name;	/* NULL: not compared */
} rows[] = {
	{ HTTP_POST, "/kms/v1/keys", EP_CREATE, "" },
	{ HTTP_POST, "/kms/v1/keys/", EP_CREATE, "" },
	{ HTTP_GET, "/kms/v1/keys", EP_BAD_METHOD, NULL },
	{ HTTP_GET, "/kms/v1/keys/names", EP_NAMES, "" },
	{ HTTP_HEAD, "/kms/v1/keys/names/", EP_NAMES, "" },
	{ HTTP_GET, "/kms/v1/keys/namesx", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kms/v1/keys/metadata", EP_METADATAS, "" },
	{ HTTP_GET, "/kms/v1/key/k", EP_METADATA, "k" },
	{ HTTP_GET, "/kms/v1/key/k/", EP_METADATA, "k/" },
	{ HTTP_GET, "/kms/v1/key/k/_metadata", EP_METADATA, "k" },
	{ HTTP_GET, "/kms/v1/key/k/_metadata/", EP_METADATA, "k" },
	{ HTTP_GET, "/kms/v1/key/k/_metadata//", EP_METADATA, "k/_metadata//" },
	{ HTTP_GET, "/kms/v1/key/_metadata", EP_METADATA, "_metadata" },
	{ HTTP_GET, "/kms/v1/key/a/b/_metadata", EP_METADATA, "a/b" },
	{ HTTP_GET, "/kms/v1/key//_metadata", EP_METADATA, "" },
	{ HTTP_GET, "/kms/v1/key/", EP_METADATA, "" },
	{ HTTP_GET, "/kms/v1/key", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kms/v1/key/k/_currentversion", EP_CURRENT, "k" },
	{ HTTP_GET, "/kms/v1/key/k/_versions", EP_VERSIONS, "k" },
	{ HTTP_GET, "/kms/v1/key/k/_eek", EP_GENERATE, "k" },
	{ HTTP_POST, "/kms/v1/key/k/_eek", EP_BAD_METHOD, NULL },
	{ HTTP_POST, "/kms/v1/key/k", EP_ROLL, "k" },
	{ HTTP_DELETE, "/kms/v1/key/k", EP_DELETE, "k" },
	{ HTTP_PUT, "/kms/v1/key/k", EP_BAD_METHOD, NULL },
	{ HTTP_OTHER, "/kms/v1/key/k", EP_BAD_METHOD, NULL },
	{ HTTP_DELETE, "/kms/v1/key/k/_metadata", EP_BAD_METHOD, NULL },
	{ HTTP_POST, "/kms/v1/key/k/_invalidatecache", EP_INVALIDATE, "k" },
	{ HTTP_POST, "/kms/v1/key/k/_reencryptbatch", EP_BATCH, "k" },
	{ HTTP_GET, "/kms/v1/keyversion/k@0", EP_VERSION, "k@0" },
	{ HTTP_GET, "/kms/v1/keyversion/a/b@0", EP_VERSION, "a/b@0" },
	{ HTTP_POST, "/kms/v1/keyversion/k%400/_eek", EP_DECRYPT, "k@0" },
	{ HTTP_GET, "/kms/v1/keyversion/k%400/_eek", EP_BAD_METHOD, NULL },
	{ HTTP_OPTIONS, "/kms/v1", EP_OPTIONS, NULL },
	{ HTTP_OPTIONS, "/kms/v1/", EP_OPTIONS, NULL },
	{ HTTP_OPTIONS, "/kms/v1/key/k/_eek", EP_OPTIONS, NULL },
	{ HTTP_OPTIONS, "/kms/v1/nosuch", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kms/v1/", EP_BAD_METHOD, NULL },
	{ HTTP_GET, "/kms/v1x/keys/names", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kms/v2/keys/names", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kms", EP_NOT_FOUND, NULL },
	{ HTTP_GET, "/kmsx", EP_OUTSIDE, NULL },
	{ HTTP_GET, "//kms/v1/keys/names", EP_OUTSIDE, NULL },
	{ HTTP_GET, "/", EP_INDEX, NULL },
	{ HTTP_GET, "/health", EP_HEALTH, NULL },
	{ HTTP_GET, "/attestation", EP_ATTESTATION, NULL },
	{ HTTP_GET, "/kms/attestation", EP_ATTESTATION, NULL },
	{ HTTP_POST, "/attestation", EP_PAGE_METHOD, NULL },
	{ HTTP_GET, "/kms/health", EP_HEALTH, NULL },
	{ HTTP_GET, "/kms/jmx", EP_JMX, NULL },
	{ HTTP_GET, "/jmx/", EP_OUTSIDE, NULL },
	{ HTTP_POST, "/conf", EP_PAGE_METHOD, NULL },
	{ HTTP_GET, "/kms/metrics", EP_NOT_FOUND, NULL },
	{ HTTP_POST, "/svsm/v1/import", EP_IMPORT, NULL },
	{ HTTP_GET, "/svsm/v1/import", EP_BAD_METHOD, NULL },
	/* encoding */
	{ HTTP_GET, "/kms/v1/key/a%2Fb", EP_METADATA, "a/b" },
	{ HTTP_GET, "/kms/v1/key/a%2F_metadata", EP_METADATA, "a/_metadata" },
	{ HTTP_GET, "/kms/v1/key/a+b", EP_METADATA, "a+b" },
	{ HTTP_GET, "/kms/v1/key/a%20b", EP_METADATA, "a b" },
	{ HTTP_GET, "/kms/v1/key/a%2520b", EP_METADATA, "a%20b" },
	{ HTTP_GET, "/kms/v1/key/%c3%A9", EP_METADATA, "\xc3\xa9" },
	{ HTTP_GET, "/kms/v1/key/%", EP_BAD_PATH, NULL },
	{ HTTP_GET, "/kms/v1/key/%4", EP_BAD_PATH, NULL },
	{ HTTP_GET, "/kms/v1/key/%4g", EP_BAD_PATH, NULL },
	{ HTTP_GET, "/kms/v1/key/%-1", EP_BAD_PATH, NULL },
	{ HTTP_GET, "/kms/v1/key/..", EP_METADATA, ".." },
	/* matrix parameters are no part of a name, unless they are encoded */
	{ HTTP_GET, "/kms/v1/key/k;a=b/_metadata;c", EP_METADATA, "k" },
	{ HTTP_GET, "/kms;x/v1;y/keys;z/names", EP_NAMES, "" },
	{ HTTP_GET, "/kms/v1/key/k%3Ba=b", EP_METADATA, "k;a=b" },
};

TEST(paths_mean_what_they_mean_in_hadoop_kms)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct route r = find(rows[i].m, rows[i].path, "");

		if (r.ep != rows[i].ep)
			fprintf(stderr, "%s: %d\n", rows[i].path, (int)r.ep);
		EXPECT_INT(r.ep, rows[i].ep);
		if (rows[i].name)
			EXPECT(slice_is(r.name, rows[i].name));
		if (r.ep == EP_BAD_METHOD)
			EXPECT(r.allow && r.allow[0]);
	}
}

TEST(no_prefix_of_a_path_reads_past_its_end)
{
	static const char path[] = "/kms/v1/keyversion/a%2Fb;c=d/%C3%A9%40%30/_eek/";
	enum http_method m;
	size_t n;

	for (m = HTTP_OTHER; m <= HTTP_OPTIONS; m++)
		for (n = 1; n < sizeof(path); n++) {
			uint8_t *p = test_fence(path, n);
			struct http_request r = { .method = m, .path = slice_of(p, n), .query = slice_of("", 0) };
			struct route out;

			route_find(&worker, &r, &out);
			EXPECT(out.ep > EP_NONE && out.ep < EP_COUNT);
			test_fence_free(p, n);
		}
}

TEST(token_operations_are_seen_in_any_spelling_of_the_value)
{
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "op=GETDELEGATIONTOKEN").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_PUT, "/kms/v1/keys/names", "a=b&op=renewDelegationToken").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "%6fp=CANCELDELEGATIONTOKEN").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_OPTIONS, "/kms/v1/", "op=GETDELEGATIONTOKEN").ep, EP_OPTIONS);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "op=RenewDelegationToken").delegation, DELEGATION_RENEW);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "op=CANCELDELEGATIONTOKEN&op=GETDELEGATIONTOKEN").delegation, DELEGATION_CANCEL);
	/* On any path that is guarded, and on none that is open. */
	EXPECT_INT(find(HTTP_GET, "/nothing", "op=GETDELEGATIONTOKEN").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_POST, "/kms/v1/keys", "op=GETDELEGATIONTOKEN").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_GET, "/jmx", "op=GETDELEGATIONTOKEN").ep, EP_DELEGATION);
	EXPECT_INT(find(HTTP_GET, "/health", "op=GETDELEGATIONTOKEN").ep, EP_HEALTH);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/key/%zz", "op=GETDELEGATIONTOKEN").ep, EP_BAD_PATH);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "op=GETDELEGATIONTOKENS").ep, EP_BAD_METHOD);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/", "op=%zz&op=GETDELEGATIONTOKEN").ep, EP_BAD_METHOD);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/keys/names", "op=other").ep, EP_NAMES);
	EXPECT_INT(find(HTTP_GET, "/kms/v1/keys/names", "Op=GETDELEGATIONTOKEN").ep, EP_NAMES);
}

static struct slice query(const char *q, const char *name, bool ignore_case, uint8_t *buf, size_t room, bool *there)
{
	struct slice v = slice_of("", 0);

	*there = query_get(slice_str(q), name, ignore_case, buf, room, &v);
	return v;
}

TEST(the_first_value_of_a_parameter_counts)
{
	uint8_t buf[32];
	bool there;

	EXPECT(slice_is(query("a=1&a=2", "a", false, buf, sizeof(buf), &there), "1") && there);
	EXPECT(slice_is(query("b=0&&=&a=%31+%2B", "a", false, buf, sizeof(buf), &there), "1 +") && there);
	EXPECT(query("a", "a", false, buf, sizeof(buf), &there).len == 0 && there);
	EXPECT(query("a=", "a", false, buf, sizeof(buf), &there).len == 0 && there);
	EXPECT(slice_is(query("%61=x", "a", false, buf, sizeof(buf), &there), "x") && there);
	EXPECT(slice_is(query("A=x", "a", true, buf, sizeof(buf), &there), "x") && there);
	EXPECT((query("A=x", "a", false, buf, sizeof(buf), &there), !there));
	EXPECT((query("", "a", false, buf, sizeof(buf), &there), !there));
	EXPECT((query("ab=x&=a", "a", false, buf, sizeof(buf), &there), !there));
}

TEST(a_first_value_that_cannot_be_read_hides_those_behind_it)
{
	static const char *const bad[] = { "a=%zz&a=good", "a=%&a=good", "a=%4&a=good", "a=toolongforthebuffer&a=good" };
	uint8_t buf[8];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		bool there;
		struct slice v = query(bad[i], "a", false, buf, sizeof(buf), &there);

		EXPECT(there && v.p == NULL && v.len == 0);
	}
}

TEST(a_walk_over_parameters_ends)
{
	static const char q[] = "key=a&x=1&key=%zz&key&key=b&";
	struct slice v;
	uint8_t buf[8];
	size_t at = 0, n = 0;

	while (query_next(slice_str(q), &at, "key", false, buf, sizeof(buf), &v))
		n++;
	EXPECT_INT(n, 4);
}

TEST(percent_decoding_refuses_what_is_malformed_or_does_not_fit)
{
	uint8_t buf[4];
	size_t len;

	EXPECT(percent_decode(slice_str("%41%42+d"), true, buf, 4, &len) && len == 4);
	EXPECT_MEM(buf, "AB d", 4);
	EXPECT(percent_decode(slice_str("a+b"), false, buf, 4, &len) && len == 3 && buf[1] == '+');
	EXPECT(!percent_decode(slice_str("abcde"), false, buf, 4, &len));
	EXPECT(!percent_decode(slice_str("%4"), false, buf, 4, &len));
	EXPECT(!percent_decode(slice_str("%g0"), false, buf, 4, &len));
	EXPECT(!percent_decode(slice_str("a"), false, buf, 0, &len));
	EXPECT(percent_decode(slice_str(""), false, buf, 0, &len) && len == 0);
}
