/* SPDX-License-Identifier: Apache-2.0 */
#include <cJSON.h>
#include <stdlib.h>

#include "proxy/jmx.h"
#include "tests/test.h"

#define S UINT64_C(1000000000)

static struct metrics *metrics;
static char *text;

static double half(void *ctx)
{
	(void)ctx;
	return 0.5;
}

/* The answer to a query, parsed; its status must be the one given. */
static cJSON *ask(const char *query, unsigned status)
{
	struct jmx_source s = {.metrics = metrics, .now = 7 * S, .process_name = "KMS", .session_id = ""};
	static const struct metrics_gauge gauge = {.name = "svsm_kms_half", .help = "H.", .read = half};
	uint8_t *q = test_fence(query, strlen(query));
	size_t len;
	cJSON *json;
	FILE *f;

	if (!metrics) {
		EXPECT(metrics_create(1, 2 * S, &metrics) == RC_OK);
		EXPECT(metrics_add_gauge(metrics, &gauge) == RC_OK);
		metrics_mark(metrics_worker(metrics, 0), METER_ADMIN);
		s.metrics = metrics;
	}
	free(text);
	text = NULL;
	f = open_memstream(&text, &len);
	EXPECT_INT(jmx_write(&s, slice_of(q, strlen(query)), f), status);
	fclose(f);
	test_fence_free(q, strlen(query));
	json = cJSON_Parse(text);
	if (!json)
		fail_msg("not JSON: %s", text);
	return json;
}

static int beans(const char *query)
{
	cJSON *json = ask(query, 200);
	int n = cJSON_GetArraySize(cJSON_GetObjectItem(json, "beans"));

	cJSON_Delete(json);
	return n;
}

TEST(all_beans_are_listed_with_what_monitoring_looks_for)
{
	cJSON *json = ask("", 200), *bean;

	EXPECT_INT(cJSON_GetArraySize(cJSON_GetObjectItem(json, "beans")), 16);
	cJSON_ArrayForEach(bean, cJSON_GetObjectItem(json, "beans"))
	{
		EXPECT(cJSON_IsString(cJSON_GetObjectItem(bean, "name")));
		EXPECT(cJSON_IsString(cJSON_GetObjectItem(bean, "modelerType")));
	}
	cJSON_Delete(json);
	EXPECT(strstr(text, "java.lang:type=Memory"));
	EXPECT(strstr(text, "Hadoop:service=KMS,name=JvmMetrics"));
	EXPECT(strstr(text, "\"svsm_kms_half\" : 0.5"));
	EXPECT_INT(beans("user.name=a"), 16);
	EXPECT_INT(beans("qry="), 16);
}

TEST(a_meter_looks_as_in_hadoop)
{
	cJSON_Delete(ask("qry=metrics:name=hadoop.kms.admin.calls.meter", 200));
	EXPECT_STR(text, "{\n"
			 "  \"beans\" : [ {\n"
			 "    \"name\" : \"metrics:name=hadoop.kms.admin.calls.meter\",\n"
			 "    \"modelerType\" : \"com.codahale.metrics.JmxReporter$JmxMeter\",\n"
			 "    \"Count\" : 1,\n"
			 "    \"FifteenMinuteRate\" : 0.2,\n"
			 "    \"FiveMinuteRate\" : 0.2,\n"
			 "    \"MeanRate\" : 0.2,\n"
			 "    \"OneMinuteRate\" : 0.2,\n"
			 "    \"RateUnit\" : \"events/second\"\n"
			 "  } ]\n"
			 "}");
	cJSON_Delete(ask("qry=a:b=c", 200));
	EXPECT_STR(text, "{\n  \"beans\" : [ ]\n}");
}

TEST(patterns_select_as_in_java)
{
	EXPECT_INT(beans("qry=*:*"), 16);
	EXPECT_INT(beans("qry=metrics:*"), 9);
	EXPECT_INT(beans("qry=java.lang:type=Memory"), 1);
	EXPECT_INT(beans("qry=java.lang:type=M*"), 1);
	EXPECT_INT(beans("qry=java.lang:type=M?mory"), 1);
	EXPECT_INT(beans("qry=java.lang:*,type=*"), 4);
	EXPECT_INT(beans("qry=java.lang:type=Memory,*"), 1);
	EXPECT_INT(beans("qry=*:type=Memory"), 1);
	EXPECT_INT(beans("qry=java.*:*"), 4);
	EXPECT_INT(beans("qry=Hadoop:name=JvmMetrics,service=KMS"), 1); /* order does not matter */
	EXPECT_INT(beans("qry=Hadoop:name=JvmMetrics"), 0);             /* all properties are needed */
	EXPECT_INT(beans("qry=Hadoop:name=JvmMetrics,*"), 1);
	EXPECT_INT(beans("qry=Hadoop:name=JvmMetrics,x=*,*"), 0);
	EXPECT_INT(beans("qry=java.lang:type=memory"), 0);
	EXPECT_INT(beans("qry=:type=Memory"), 0);
	EXPECT_INT(beans("qry=java.lang%3Atype%3DMemory"), 1);
	EXPECT_INT(beans("qry=java.lang:type=Memory&qry=*:*"), 1); /* the first counts */
}

TEST(malformed_patterns_are_400)
{
	static const char *const bad[] = {
		"bad",
		"java.lang:",
		"java.lang:type",
		"a:=c",
		"a:b=c,b=d",
		"a:b=c,,d=e",
		"a:b=c,",
		"a:*,*",
		"a:b=x=y",
		"a:b=x:y",
		"a:b*=x",
		"*",
		"a%0A:b=c",
		"a:b=c%0A",
		"a:b=c%00",
		"a:b=%",
		"a:b=%4",
		"a:b=%zz",
		"a:a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1",
	};
	char query[256], *big;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(query, sizeof(query), "qry=%s", bad[i]);
		cJSON_Delete(ask(query, 400));
		EXPECT_STR(text, "{ }");
	}
	big = malloc(70001);
	EXPECT(big != NULL);
	memset(big, 'a', 70000);
	memcpy(big, "qry=a:b=", 8);
	big[70000] = 0;
	cJSON_Delete(ask(big, 400));
	free(big);
}

TEST(one_attribute_can_be_asked_for)
{
	cJSON_Delete(ask("get=java.lang:type=Memory::Verbose", 200));
	EXPECT_STR(text,
		   "{\n  \"beans\" : [ {\n    \"name\" : \"java.lang:type=Memory\",\n"
		   "    \"modelerType\" : \"sun.management.MemoryImpl\",\n    \"Verbose\" : false\n  } ]\n}");
	EXPECT_INT(beans("get=metrics:*::Count"), 9);
	EXPECT_INT(beans("get=java.lang:type=Nope::Name"), 0);
	EXPECT_INT(beans("get=Hadoop:service=KMS,name=JvmMetrics::tag.SessionId"), 1);
	EXPECT(strstr(text, "\"tag.SessionId\" : null"));
}

TEST(an_unknown_attribute_is_404_and_a_malformed_get_400)
{
	static const char *const bad[] = {"x", "", "::", "a:b=c::", "a::b::c", "java.lang:type=Memory"};
	char query[128];
	size_t i;

	cJSON_Delete(ask("get=java.lang:type=Memory::Foo%22", 404));
	EXPECT_STR(text, "{\n  \"beans\" : [ {\n    \"name\" : \"java.lang:type=Memory\",\n"
			 "    \"modelerType\" : \"sun.management.MemoryImpl\",\n    \"result\" : \"ERROR\",\n"
			 "    \"message\" : \"No attribute with name Foo\\\" was found.\"\n  } ]\n}");
	cJSON_Delete(ask("get=*:*::Verbose", 404)); /* the first bean has none */
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(query, sizeof(query), "get=%s", bad[i]);
		cJSON_Delete(ask(query, 400));
		EXPECT_STR(
			text,
			"{\n  \"result\" : \"ERROR\",\n  \"message\" : \"query format is not as expected.\"\n}");
	}
	cJSON_Delete(ask("get=Foo::Bar", 400));
	EXPECT_STR(text, "{ }");
}

TEST(matching_many_stars_ends)
{
	char pattern[2000], name[2000];
	bool yes = true;
	size_t i;

	strcpy(pattern, "a:b=");
	for (i = 4; i < 1900; i += 2)
		memcpy(pattern + i, "*a", 3);
	strcpy(name, "a:b=");
	memset(name + 4, 'a', 1900);
	strcpy(name + 1900, "b");
	EXPECT(jmx_match(slice_str(pattern), name, &yes) == RC_OK);
	EXPECT(!yes);
}

TEST(an_odd_process_name_does_not_break_the_object_name)
{
	struct jmx_source s = {.process_name = "a=b,c:*\n\"", .session_id = "s"};
	size_t len;
	cJSON *json;
	FILE *f;

	EXPECT(metrics_create(1, 0, &s.metrics) == RC_OK);
	free(text);
	text = NULL;
	f = open_memstream(&text, &len);
	EXPECT_INT(jmx_write(&s, slice_str("qry=Hadoop:*"), f), 200);
	fclose(f);
	json = cJSON_Parse(text);
	EXPECT(json != NULL);
	cJSON_Delete(json);
	EXPECT(strstr(text, "Hadoop:service=a_b_c___\\\",name=JvmMetrics"));
	EXPECT(strstr(text, "\"tag.SessionId\" : \"s\""));
	metrics_free(s.metrics);
}
