/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/xml_conf.h"
#include "tests/test.h"

static char dir[64];

static void dir_make(void)
{
	strcpy(dir, "/tmp/xml_conf_test.XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	EXPECT(f != NULL);
	fputs(text, f);
	EXPECT(fclose(f) == 0);
}

static void dir_remove(void)
{
	static const char *const names[] = {"core-site.xml", "kms-site.xml", "kms-acls.xml", "more.xml"};
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	EXPECT(rmdir(dir) == 0);
}

#define P(name, value) "<property><name>" name "</name><value>" value "</value></property>"
#define FINAL(name, value) \
	"<property><name>" name "</name><value>" value "</value><final>true</final></property>"
#define DOC(x) "<configuration>" x "</configuration>"

static struct conf *read_one(const char *xml)
{
	struct conf *c = conf_new();
	struct conf_error err;

	EXPECT(c != NULL);
	EXPECT(conf_parse(c, CONF_SITE, "t.xml", slice_str(xml), &err) == RC_OK);
	EXPECT(conf_seal(c, CONF_SITE, &err) == RC_OK);
	EXPECT_STR(err.text, "");
	return c;
}

static void refused(const char *xml, enum rc want, const char *part)
{
	struct conf *c = conf_new();
	struct conf_error err;
	enum rc rc;

	EXPECT(c != NULL);
	rc = conf_parse(c, CONF_SITE, "t.xml", slice_str(xml), &err);
	if (rc == RC_OK)
		rc = conf_seal(c, CONF_SITE, &err);
	EXPECT_INT(rc, want);
	EXPECT(strncmp(err.text, "t.xml:", 6) == 0);
	if (!strstr(err.text, part))
		fail_msg("'%s' lacks '%s'", err.text, part);
	conf_free(c);
}

static void expect(const struct conf *c, const char *name, const char *value)
{
	const struct slice *v = conf_get(c, name);

	if (!value) {
		EXPECT(v == NULL);
		return;
	}
	EXPECT(v != NULL);
	EXPECT_STR((const char *)v->p, value);
	EXPECT_INT(v->len, strlen(value));
}

TEST(names_are_trimmed_and_values_are_not)
{
	struct conf *c = read_one(DOC(P("\n a \t", " ") P("b", " x\n")));

	expect(c, "a", " ");
	expect(c, "b", " x\n");
	conf_free(c);
}

TEST(an_empty_value_sets_nothing_and_is_noted)
{
	struct conf *c =
		read_one("<configuration>\n" P("a", "") "\n" P("b", "1") "\n" P("b", "") "</configuration>");
	const struct conf_note *n;
	size_t at = 0;

	expect(c, "a", NULL);
	expect(c, "b", "1");
	n = conf_note_next(c, CONF_SITE, &at);
	EXPECT(n && n->kind == CONF_NOTE_EMPTY && slice_is(n->name, "a") && n->line == 2);
	n = conf_note_next(c, CONF_SITE, &at);
	EXPECT(n && n->kind == CONF_NOTE_EMPTY && slice_is(n->name, "b") && n->line == 4);
	EXPECT(conf_note_next(c, CONF_SITE, &at) == NULL);
	conf_free(c);
}

TEST(an_empty_value_attribute_is_a_value)
{
	struct conf *c = read_one(
		DOC("<property name='a' value=''/><property name='b' value='x' final='true'/>" P("b", "y")));

	expect(c, "a", "");
	expect(c, "b", "x");
	conf_free(c);
}

TEST(the_last_definition_wins_unless_an_earlier_one_is_final)
{
	struct conf *c = read_one(DOC(P("a", "1") P("a", "2") FINAL("b", "1") P("b", "2") FINAL("n", "") P(
		"n", "1") "<property><name>f</name><value>1</value><final> true</final></property>" P("f",
												      "2")));

	expect(c, "a", "2");
	expect(c, "b", "1");
	expect(c, "n", NULL); /* final without a value: never set */
	expect(c, "f", "2");  /* only exactly "true" is final */
	conf_free(c);
}

TEST(variables_are_replaced_as_hadoop_does)
{
	struct conf *c;

	setenv("XML_CONF_SET", "env", 1);
	setenv("XML_CONF_EMPTY", "", 1);
	unsetenv("XML_CONF_NOT");
	c = read_one(DOC(P("a", "1") P("b", "<![CDATA[${a}]]>/${a}") P("c", "${b}${nope}")
				 P("self", "x${self}") P("env", "${env.XML_CONF_SET}${env.XML_CONF_NOT}") P(
					 "d", "${env.XML_CONF_NOT-d}${env.XML_CONF_EMPTY-d}")
					 P("e", "${env.XML_CONF_EMPTY:-e}") P("odd", "${}${ a}${$a}$${a}{${")
						 P("sys", "${file.separator}${java.io.tmpdir}")));
	expect(c, "b", "1/1");
	expect(c, "c", "1/1${nope}");
	expect(c, "self", "x${self}");
	expect(c, "env", "env${env.XML_CONF_NOT}");
	expect(c, "d", "d");
	expect(c, "e", "e");
	expect(c, "odd", "${}${ a}${$a}$1{${");
	expect(c, "sys", "//tmp");
	conf_free(c);
}

TEST(a_circle_of_variables_is_refused_with_file_line_and_remedy)
{
	refused("<configuration>\n" P("a", "${b}") P("b", "${c}") P("c", "${a}") "</configuration>",
		RC_BAD_INPUT, "more than 20 substitutions");
}

TEST(values_that_grow_beyond_the_limit_are_refused)
{
	size_t n = CONF_VALUE_MAX / 2 + 1;
	char *xml = malloc(n + 256);
	int at;

	EXPECT(xml != NULL);
	at = sprintf(xml, "<configuration>" P("a", "${v}${v}") "<property><name>v</name><value>");
	memset(xml + at, 'x', n);
	strcpy(xml + at + n, "</value></property></configuration>");
	refused(xml, RC_NO_ROOM, "'a' becomes longer");
	free(xml);
}

TEST(document_types_are_refused)
{
	refused("<!DOCTYPE c [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" DOC(P("x", "&b;")), RC_BAD_INPUT,
		"DOCTYPE");
	refused("<!DOCTYPE c SYSTEM \"file:///etc/passwd\">" DOC(""), RC_BAD_INPUT, "DOCTYPE");
}

TEST(what_is_not_a_configuration_is_refused)
{
	refused("", RC_BAD_INPUT, "not valid XML");
	refused("<other/>", RC_BAD_INPUT, "<configuration>");
	refused("<configuration>\n<property>\n</configuration>", RC_BAD_INPUT, "t.xml:3");
	refused(DOC(P("a", "&nope;")), RC_BAD_INPUT, "not valid XML");
	refused(DOC("") "x", RC_BAD_INPUT, "not valid XML");
	refused(DOC("<xi:include href='a.xml'/>"), RC_BAD_INPUT, "not valid XML"); /* prefix not declared */
	refused(DOC("<include href='a.xml'/>"), RC_BAD_INPUT, "same directory");
}

TEST(every_truncation_is_refused)
{
	static const char xml[] = DOC(P("a", "${b}") "<property name='b' value='&lt;'/>");
	size_t n;

	for (n = 0; n < sizeof(xml) - 1; n++) {
		uint8_t *p = test_fence(xml, n);
		struct conf *c = conf_new();
		struct conf_error err;

		EXPECT(c != NULL);
		EXPECT(conf_parse(c, CONF_SITE, "t", slice_of(p, n), &err) == RC_BAD_INPUT);
		EXPECT(err.text[0] != 0);
		conf_free(c);
		test_fence_free(p, n);
	}
}

TEST(many_properties_are_found_again_in_order)
{
	char *xml = NULL, name[32];
	const struct conf_prop *p;
	struct conf *c;
	size_t len, at = 0;
	FILE *f = open_memstream(&xml, &len);
	int i;

	fprintf(f, "<configuration>");
	for (i = 0; i < 20000; i++)
		fprintf(f, "<property><name>k.%d</name><value>%d</value></property>\n", i, i);
	fprintf(f, "</configuration>");
	fclose(f);
	c = read_one(xml);
	for (i = 0; i < 20000; i++) {
		sprintf(name, "k.%d", i);
		p = conf_next(c, CONF_SITE, "k.", &at);
		EXPECT(p && slice_is(p->name, name) && p->line == (unsigned)i + 1);
		EXPECT(conf_find(c, CONF_SITE, p->name) == p);
	}
	EXPECT(conf_next(c, CONF_SITE, "k.", &at) == NULL);
	conf_free(c);
	free(xml);
}

TEST(a_directory_needs_kms_site_and_kms_acls_but_not_core_site)
{
	struct conf_error err;
	struct conf *c;

	dir_make();
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "kms-site.xml does not exist"));
	put("kms-site.xml", DOC(P("a", "site${x}")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "kms-acls.xml does not exist"));
	put("kms-acls.xml", DOC(P("hadoop.kms.acl.GET", "${b}${a}${b}") P("b", "acl")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	expect(c, "a", "site${x}");
	conf_free(c);

	put("core-site.xml", DOC(P("x", "core") FINAL("a", "core${x}") P("y", "1")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	expect(c, "a", "corecore");
	expect(c, "b", NULL); /* the lists do not see each other */
	EXPECT_STR((const char *)conf_find(c, CONF_ACLS, slice_str("hadoop.kms.acl.GET"))->value.p,
		   "acl${a}${b}");
	EXPECT(strstr(conf_find(c, CONF_SITE, slice_str("y"))->file, "/core-site.xml"));
	conf_free(c);
	dir_remove();
}

#define XI "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='"

TEST(includes_stay_in_the_directory_and_end)
{
	struct conf_error err;
	struct conf *c;

	dir_make();
	put("kms-acls.xml", DOC(""));
	put("more.xml", DOC(P("m", "1")));
	put("kms-site.xml", DOC(XI "more.xml'/>" P("a", "${m}")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	expect(c, "a", "1");
	conf_free(c);

	put("kms-site.xml", DOC(XI "not-there.xml'/>"));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "does not exist"));
	put("kms-site.xml", DOC(XI "not-there.xml'><xi:fallback>" P("f", "1") "</xi:fallback></xi:include>"));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	expect(c, "f", "1");
	conf_free(c);
	put("kms-site.xml",
	    DOC(XI "more.xml'><xi:fallback>" P("f", "1") "</xi:fallback></xi:include>" P("g", "1")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	expect(c, "f", NULL);
	expect(c, "g", "1");
	conf_free(c);

	put("kms-site.xml", DOC(XI "../more.xml'/>"));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	put("kms-site.xml", DOC(XI "/etc/passwd'/>"));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	put("kms-site.xml", DOC(XI "kms-site.xml'/>"));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "nested too deeply"));
	put("kms-site.xml", DOC(XI "more.xml'/>"));
	put("more.xml", "<configuration>");
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "/more.xml:1"));
	dir_remove();
}

TEST(what_is_not_a_regular_file_or_too_large_is_refused)
{
	struct conf_error err;
	struct conf *c;
	char path[128];

	dir_make();
	put("kms-acls.xml", DOC(""));
	snprintf(path, sizeof(path), "%s/kms-site.xml", dir);
	EXPECT(mkfifo(path, 0600) == 0);
	EXPECT(conf_load_dir(dir, &c, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "not a regular file"));
	EXPECT(unlink(path) == 0);
	put("kms-site.xml", "");
	EXPECT(truncate(path, (off_t)CONF_FILE_MAX + 1) == 0);
	EXPECT(conf_load_dir(dir, &c, &err) == RC_NO_ROOM);
	EXPECT(strstr(err.text, "kms-site.xml: larger"));
	dir_remove();
}

TEST(a_world_writable_file_is_noted)
{
	const struct conf_note *n;
	struct conf_error err;
	struct conf *c;
	char path[128];
	size_t at = 0;

	dir_make();
	put("kms-site.xml", DOC(""));
	put("core-site.xml", DOC(""));
	put("kms-acls.xml", DOC(""));
	snprintf(path, sizeof(path), "%s/kms-acls.xml", dir);
	EXPECT(chmod(path, 0666) == 0);
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	n = conf_note_next(c, CONF_ACLS, &at);
	EXPECT(n && n->kind == CONF_NOTE_WRITABLE && strstr(n->file, "/kms-acls.xml"));
	conf_free(c);
	dir_remove();
}

static const char *acl_get(const struct conf *c)
{
	const struct conf_prop *p = conf_find(c, CONF_ACLS, slice_str("hadoop.kms.acl.GET"));

	return p ? (const char *)p->value.p : "";
}

TEST(a_broken_acl_file_leaves_the_old_one_in_force)
{
	struct conf_error err;
	struct conf *c;
	char path[128];

	dir_make();
	put("kms-site.xml", DOC(""));
	put("kms-acls.xml", DOC(P("hadoop.kms.acl.GET", "alice")));
	EXPECT(conf_load_dir(dir, &c, &err) == RC_OK);
	EXPECT(!conf_acls_changed(c));

	put("kms-acls.xml", DOC(P("hadoop.kms.acl.GET", "alice,bob")));
	EXPECT(conf_acls_changed(c));
	EXPECT(conf_acls_reload(c, NULL, NULL, &err) == RC_OK);
	EXPECT_STR(acl_get(c), "alice,bob");
	EXPECT(!conf_acls_changed(c));

	put("kms-acls.xml", "<configuration><property><name>hadoop.kms.acl.GET</na");
	EXPECT(conf_acls_changed(c));
	EXPECT(conf_acls_reload(c, NULL, NULL, &err) == RC_BAD_INPUT);
	EXPECT(strstr(err.text, "kms-acls.xml:1"));
	EXPECT_STR(acl_get(c), "alice,bob");
	EXPECT(!conf_acls_changed(c)); /* not read again and again */

	snprintf(path, sizeof(path), "%s/kms-acls.xml", dir);
	EXPECT(unlink(path) == 0);
	EXPECT(!conf_acls_changed(c));
	EXPECT(conf_acls_reload(c, NULL, NULL, &err) == RC_BAD_INPUT);
	EXPECT_STR(acl_get(c), "alice,bob");
	put("kms-acls.xml", DOC(""));
	EXPECT(conf_acls_changed(c));
	EXPECT(conf_acls_reload(c, NULL, NULL, &err) == RC_OK);
	EXPECT_STR(acl_get(c), "");
	conf_free(c);
	dir_remove();
}

TEST(the_built_in_configuration_is_open_but_on_loopback_only)
{
	struct conf_error err;
	struct conf *c;
	size_t at = 0;
	int n = 0;

	EXPECT(conf_default(&c, &err) == RC_OK);
	expect(c, "hadoop.kms.http.host", "127.0.0.1");
	expect(c, "hadoop.kms.authentication.type", "simple");
	while (conf_next(c, CONF_ACLS, "", &at))
		n++;
	EXPECT_INT(n, 13);
	EXPECT(!conf_acls_changed(c));
	EXPECT(conf_acls_reload(c, NULL, NULL, &err) == RC_DENIED);
	conf_free(c);
}
