/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/settings.h"
#include "tests/test.h"

#define P(name, value) "<property><name>" name "</name><value>" value "</value></property>\n"
#define DOC(x) "<configuration>\n" x "</configuration>"
#define OPEN P("default.key.acl.READ", "*")

static struct conf *conf;
static struct conf_error err;

static void add(enum conf_list list, const char *label, const char *xml)
{
	EXPECT(conf_parse(conf, list, label, slice_str(xml), &err) == RC_OK);
}

static enum rc load(const char *core, const char *site, const char *acls, struct settings **out)
{
	conf = conf_new();
	EXPECT(conf != NULL);
	add(CONF_SITE, "/c/core-site.xml", core);
	add(CONF_SITE, "/c/kms-site.xml", site);
	add(CONF_ACLS, "/c/kms-acls.xml", acls);
	EXPECT(conf_seal(conf, CONF_SITE, &err) == RC_OK);
	EXPECT(conf_seal(conf, CONF_ACLS, &err) == RC_OK);
	return settings_read(conf, out, &err);
}

static struct settings *good(const char *site, const char *acls)
{
	struct settings *s = NULL;

	if (load(DOC(""), site, acls, &s) != RC_OK)
		fail_msg("%s", err.text);
	EXPECT_STR(err.text, "");
	return s;
}

static void done(struct settings *s)
{
	settings_free(s);
	conf_free(conf);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' lacks '%s'", text, part);
}

static void refused(const char *site, const char *acls, const char *part)
{
	struct settings *s = NULL;

	EXPECT(load(DOC(""), site, acls, &s) == RC_BAD_INPUT);
	has(err.text, part);
	EXPECT(s == NULL);
	conf_free(conf);
}

/* The n-th notice whose text contains part, or NULL. */
static const struct settings_notice *notice(const struct settings *s, const char *part)
{
	const struct settings_notice *n;
	size_t at = 0;

	while ((n = settings_notice_next(s, &at)))
		if (strstr(n->text, part))
			return n;
	return NULL;
}

TEST(without_any_file_content_the_defaults_are_hadoops)
{
	struct settings *s = good(DOC(""), DOC(OPEN));
	size_t at = 0;

	EXPECT_STR(settings_str(s, SET_HTTP_HOST), "0.0.0.0");
	EXPECT_INT(settings_int(s, SET_HTTP_PORT), 9600);
	EXPECT_INT(settings_int(s, SET_TOKEN_VALIDITY), 36000);
	EXPECT_INT(settings_int(s, SET_TOKEN_INACTIVE), -1);
	EXPECT_INT(settings_int(s, SET_BODY_MAX), 16 << 20);
	EXPECT_INT(settings_int(s, SET_IDLE_TIMEOUT), 60000);
	EXPECT(settings_bool(s, SET_KEY_AUTHORIZATION));
	EXPECT(!settings_bool(s, SET_GROUPS_OS));
	EXPECT(!settings_is_set(s, SET_HTTP_PORT));
	EXPECT(settings_signature_secret(s).len == 0);
	EXPECT(settings_notice_next(s, &at) == NULL);
	done(s);
}

TEST(the_built_in_configuration_is_accepted_silently)
{
	struct settings *s;
	size_t at = 0;

	EXPECT(conf_default(&conf, &err) == RC_OK);
	EXPECT(settings_read(conf, &s, &err) == RC_OK);
	EXPECT_STR(settings_str(s, SET_HTTP_HOST), "127.0.0.1");
	EXPECT(settings_notice_next(s, &at) == NULL);
	done(s);
}

TEST(values_are_trimmed_and_may_have_units)
{
	struct settings *s =
		good(DOC(P("svsm.kms.body.max", " 2M\n") P("svsm.kms.timeout.header.ms", "3s")
				 P("svsm.kms.pin", " FALSE ") P("hadoop.kms.http.port", "0x2580")
					 P("svsm.kms.listen", "127.0.0.1:9600, [::1]:9600,host:0")
						 P("svsm.kms.data.dir", " /x y ")),
		     DOC(OPEN));

	EXPECT_INT(settings_int(s, SET_BODY_MAX), 2 << 20);
	EXPECT_INT(settings_int(s, SET_TIMEOUT_HEADER), 3000);
	EXPECT(!settings_bool(s, SET_PIN));
	EXPECT_STR(settings_str(s, SET_PIN), "false");
	EXPECT_INT(settings_int(s, SET_HTTP_PORT), 9600);
	EXPECT_STR(settings_str(s, SET_HTTP_PORT), "9600");
	EXPECT_STR(settings_str(s, SET_DATA_DIR), "/x y");
	done(s);
}

TEST(malformed_values_are_refused_with_file_line_and_remedy)
{
	static const struct {
		const char *name, *value;
	} bad[] = {
		{"svsm.kms.workers", "-1"},
		{"svsm.kms.workers", "1k"},
		{"svsm.kms.workers", "two"},
		{"svsm.kms.workers", "99999999999999999999"},
		{"svsm.kms.workers", "1 2"},
		{"svsm.kms.workers", "+"},
		{"svsm.kms.body.max", "9999999t"},
		{"svsm.kms.body.max", "1x"},
		{"svsm.kms.body.max", "0"},
		{"svsm.kms.pin", "yes"},
		{"svsm.kms.timeout.body.ms", "10 s"},
		{"svsm.kms.timeout.body.ms", "0"},
		{"svsm.kms.listen", "9600"},
		{"svsm.kms.listen", "h:"},
		{"svsm.kms.listen", "h:65536"},
		{"svsm.kms.listen", "::1:9600"},
		{"svsm.kms.listen", "h:1,"},
		{"svsm.kms.listen", ":1"},
		{"svsm.kms.listen", "h:-1"},
		{"svsm.kms.listen", "h:0x"},
		{"hadoop.kms.http.port", "70000"},
		{"hadoop.kms.http.port", "0x"},
		{"hadoop.kms.authentication.token.validity", "0"},
		{"hadoop.kms.authentication.token.validity", "10h"},
		{"hadoop.kms.key.authorization.enable", "1"},
		{"hadoop.security.key.default.bitlength", "64"},
		{"hadoop.security.crypto.cipher.suite", "AES/CBC/NoPadding"},
		{"hadoop.kms.audit.aggregation.window.ms", "9"},
	};
	char xml[512];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(
			xml, sizeof(xml),
			"<configuration>\n\n<property><name>%s</name><value>%s</value></property></configuration>",
			bad[i].name, bad[i].value);
		refused(xml, DOC(OPEN), bad[i].name);
		has(err.text, "/c/kms-site.xml:3: ");
		has(err.text, "; ");
	}
}

TEST(an_unknown_name_of_ours_is_refused_with_a_suggestion)
{
	refused(DOC(P("svsm.kms.worker", "1")), DOC(OPEN), "did you mean 'svsm.kms.workers'?");
	refused(DOC(P("svsm.kms.eek.maximum.number", "1")), DOC(OPEN),
		"/c/kms-site.xml:2: there is no setting");
	refused(DOC(P("svsm.data.dir", "1")), DOC(OPEN), "did you mean 'svsm.kms.data.dir'?");
}

TEST(an_unknown_name_of_hadoops_is_noted_and_foreign_names_are_not)
{
	struct settings *s = good(DOC(P("hadoop.kms.http.prot", "1") P("fs.defaultFS", "hdfs://x")
					      P("hadoop.kms.zzz", "1") P("hadoop.kms.acl.GET", "*")),
				  DOC(OPEN));

	EXPECT(notice(s, "did you mean 'hadoop.kms.http.port'?") != NULL);
	EXPECT(notice(s, "hadoop.kms.zzz is not known") != NULL);
	EXPECT(notice(s, "move it to kms-acls.xml") != NULL);
	EXPECT(notice(s, "fs.defaultFS") == NULL);
	done(s);
}

TEST(what_would_weaken_security_silently_is_refused)
{
	refused(DOC(P("hadoop.kms.authentication.type", "ldap")), DOC(OPEN), "weaker authentication");
	refused(DOC(P("hadoop.kms.authentication.type", "Kerberos")), DOC(OPEN), "weaker authentication");
	refused(DOC(P("hadoop.kms.ssl.enabled", "true")
		    P("hadoop.security.credential.provider.path", "jceks://file/etc/kms.jceks")), DOC(OPEN),
		"svsm.kms.ssl.certificate.file");
	refused(DOC(P("hadoop.kms.authentication.signer.secret.provider", "zookeeper")), DOC(OPEN),
		"random and file");
	refused(DOC(P("hadoop.kms.key.provider.uri", "dbks://http@ranger:9292/kms")), DOC(OPEN),
		"svsm-kms import");
	refused(DOC(""), DOC(OPEN P("hadoop.kms.blacklist.DECRYPT_EEK", "hdfs supergroup")),
		"no groups are known");
}

#define MULTI \
	P("hadoop.kms.authentication.type", \
	  "org.apache.hadoop.security.token.delegation.web.MultiSchemeDelegationTokenAuthenticationHandler")
#define SCHEMES "hadoop.kms.authentication.multi-scheme-auth-handler."

TEST(several_schemes_are_those_that_there_are)
{
	struct settings *s = good(DOC(MULTI P(SCHEMES "schemes", " Negotiate ,") P(SCHEMES "delegation.schemes", "negotiate")
					      P(SCHEMES "schemes.negotiate.handler", "kerberos")),
				  DOC(OPEN));

	EXPECT(settings_kerberos(s));
	done(s);
	refused(DOC(MULTI), DOC(OPEN), "set it to negotiate");
	refused(DOC(MULTI P(SCHEMES "schemes", " , ")), DOC(OPEN), "set it to negotiate");
	refused(DOC(MULTI P(SCHEMES "schemes", "basic,negotiate")), DOC(OPEN), "LDAP");
	refused(DOC(MULTI P(SCHEMES "schemes", "negotiate") P(SCHEMES "delegation.schemes", "basic")), DOC(OPEN), "LDAP");
	refused(DOC(MULTI P(SCHEMES "schemes", "negotiate") P(SCHEMES "schemes.negotiate.handler", "ldap")), DOC(OPEN),
		"write kerberos");
}

TEST(a_principal_with_hadoops_variable_for_the_host_is_refused_with_what_to_write)
{
	refused(DOC(P("hadoop.kms.authentication.type", "kerberos")
		    P("hadoop.kms.authentication.kerberos.principal", "HTTP/_HOST@EXAMPLE.COM")), DOC(OPEN), "full name");
	refused(DOC(MULTI P(SCHEMES "schemes", "negotiate")
		    P("hadoop.kms.authentication.kerberos.principal", "HTTP/a,HTTP/_HOST")), DOC(OPEN), "`*`");
	done(good(DOC(P("hadoop.kms.authentication.kerberos.principal", "HTTP/_HOST")), DOC(OPEN)));
}

TEST(the_mechanism_of_name_rules_is_the_kms_s_or_else_that_of_all_of_hadoop)
{
	static const struct {
		const char *site, *is;
	} cases[] = {
		{ "", "hadoop" },
		{ P("hadoop.security.auth_to_local.mechanism", "mit"), "mit" },
		{ P("hadoop.security.auth_to_local.mechanism", "mit")
		  P("hadoop.kms.authentication.kerberos.name.rules.mechanism", "hadoop"), "hadoop" },
		{ P("hadoop.kms.authentication.kerberos.name.rules.mechanism", "mit"), "mit" },
	};
	char site[1024];
	struct settings *s;
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(site, sizeof(site),
			 "<configuration>" P("hadoop.kms.authentication.type", "kerberos") "%s</configuration>",
			 cases[i].site);
		s = good(site, DOC(OPEN));
		EXPECT_STR(settings_str(s, SET_KRB_MECHANISM), cases[i].is);
		done(s);
	}
	refused(DOC(P("hadoop.kms.authentication.type", "kerberos") P("hadoop.security.auth_to_local.mechanism", "none")),
		DOC(OPEN), "choose one of them");
}

TEST(the_keytab_is_read_for_kerberos_only_and_need_not_be_there)
{
	static const char path[] = "settings_test.keytab";
	static const struct {
		const char *type;
		bool read;
	} types[] = {
		{ "simple", false }, { "kerberos", true },
		{ "org.apache.hadoop.security.token.delegation.web.KerberosDelegationTokenAuthenticationHandler", true },
		{ "org.apache.hadoop.security.token.delegation.web.PseudoDelegationTokenAuthenticationHandler", false },
	};
	char site[1024];
	size_t i;

	for (i = 0; i < 2 * ARRAY_LEN(types); i++) {
		FILE *f = i < ARRAY_LEN(types) ? fopen(path, "w") : NULL;
		struct settings *s;

		if (f) {
			EXPECT(fputs("keys", f) > 0 && fclose(f) == 0);
		} else {
			(void)!remove(path);
		}
		snprintf(site, sizeof(site),
			 "<configuration>" P("hadoop.kms.authentication.type", "%s")
				 P("hadoop.kms.authentication.kerberos.keytab", "%s")
			 "</configuration>", types[i % ARRAY_LEN(types)].type, path);
		s = good(site, DOC(OPEN));
		EXPECT(settings_kerberos(s) == types[i % ARRAY_LEN(types)].read);
		EXPECT(slice_is(settings_keytab(s), types[i % ARRAY_LEN(types)].read && i < ARRAY_LEN(types) ? "keys" : ""));
		done(s);
	}
	refused(DOC(P("hadoop.kms.authentication.type", "kerberos") P("hadoop.kms.authentication.kerberos.keytab", "/dev")),
		DOC(OPEN), "a keytab of at most");
	refused(DOC(P("hadoop.kms.authentication.type", "kerberos") P("hadoop.kms.authentication.kerberos.endpoint.whitelist",
								   "/jmx,/kms")), DOC(OPEN), "for nobody without a name");
}

TEST(the_default_realm_is_that_of_krb5_conf_unless_it_is_set)
{
	static const char path[] = "settings_test.krb5.conf";
	FILE *f = fopen(path, "w");
	struct settings *s;

	EXPECT(f && fputs("[realms]\n default_realm = NO\n# default_realm = NO\n[libdefaults]\n\tdefault_realm =  EXAMPLE.COM \n",
			  f) > 0 && fclose(f) == 0);
	EXPECT(setenv("KRB5_CONFIG", "no-such-file:settings_test.krb5.conf", 1) == 0);
	s = good(DOC(P("hadoop.kms.authentication.type", "kerberos")), DOC(OPEN));
	EXPECT(strcmp(settings_str(s, SET_KRB_REALM), "EXAMPLE.COM") == 0);
	done(s);
	s = good(DOC(P("hadoop.kms.authentication.type", "kerberos") P("svsm.kms.kerberos.realm", "OTHER")), DOC(OPEN));
	EXPECT(strcmp(settings_str(s, SET_KRB_REALM), "OTHER") == 0);
	done(s);
	s = good(DOC(""), DOC(OPEN));
	EXPECT(strcmp(settings_str(s, SET_KRB_REALM), "") == 0);
	done(s);
	EXPECT(unsetenv("KRB5_CONFIG") == 0 && remove(path) == 0);
}

TEST(a_blacklist_of_groups_needs_a_source_of_groups)
{
	static const char acls[] = DOC(OPEN P("hadoop.kms.blacklist.DECRYPT_EEK", "hdfs supergroup"));

	done(good(DOC(P("svsm.kms.groups.os", "true")), acls));
	done(good(DOC(P("hadoop.user.group.static.mapping.overrides", "hdfs=supergroup")), acls));
	done(good(DOC(""), DOC(OPEN P("hadoop.kms.blacklist.DECRYPT_EEK", "hdfs,yarn"))));
	done(good(DOC(""), DOC(OPEN P("hadoop.kms.blacklist.DECRYPT_EEK", "hdfs "))));
	done(good(DOC(""), DOC(OPEN P("hadoop.kms.blacklist.DECRYPT_EEK", "*"))));
}

TEST(what_has_no_meaning_here_is_accepted_with_a_notice_unless_it_is_the_default)
{
	struct settings *s = good(
		DOC(P("hadoop.kms.key.provider.uri", "jceks://file@/x/kms.keystore") P(
			"hadoop.kms.audit.logger", "com.example.Logger") P("hadoop.kms.cache.enable", "true")
			    P("hadoop.http.temp.dir",
			      "${hadoop.tmp.dir}/kms") P("hadoop.kms.authentication.kerberos.keytabs", "/k")
				    P("hadoop.kms.authentication.zk-dt-secret-manager.enable", "true")),
		DOC(OPEN));

	EXPECT(notice(s, "hadoop.kms.key.provider.uri has no effect")->level == SETTINGS_NOTICE);
	EXPECT(notice(s, "hadoop.kms.audit.logger") != NULL);
	EXPECT(notice(s, "kerberos.keytabs has no effect") != NULL);
	EXPECT(notice(s, "zk-dt-secret-manager.enable") != NULL);
	EXPECT(notice(s, "hadoop.kms.cache.enable") == NULL);
	EXPECT(notice(s, "hadoop.http.temp.dir") == NULL);
	done(s);
}

TEST(core_site_does_not_override_defaults_of_the_kms_as_in_hadoop)
{
	struct settings *s;

	EXPECT(load(DOC(P("hadoop.kms.http.port", "1") P("hadoop.security.key.default.bitlength", "256")),
		    DOC(""), DOC(OPEN), &s) == RC_OK);
	EXPECT_INT(settings_int(s, SET_HTTP_PORT), 9600);
	EXPECT_STR(settings_str(s, SET_KEY_BITS), "256"); /* not in kms-default.xml */
	EXPECT(notice(s, "move it to kms-site.xml")->level == SETTINGS_WARNING);
	done(s);
	EXPECT(load(DOC("<property name='hadoop.kms.http.port' value='1' final='true'/>"),
		    DOC(P("hadoop.kms.http.port", "2")), DOC(OPEN), &s) == RC_OK);
	EXPECT_INT(settings_int(s, SET_HTTP_PORT), 1);
	EXPECT(notice(s, "an earlier definition is final") != NULL);
	done(s);
}

TEST(suspicious_acls_are_noted)
{
	struct settings *s =
		good(DOC(""), DOC(P("hadoop.kms.acl.CREATE", "") P("hadoop.kms.acl.CREAT", "x")
					  P("key.acl.k.WRITE", "x") P("key.acl.READ", "x")
						  P("whitelist.key.acl.ALL", "x") P("key.acl.a.b.ALL", "x")
							  P("hadoop.kms.acl.GET", "alice, bob admins")
								  P("hadoop.kms.acl.DELETE", " ")));

	EXPECT(strstr(notice(s, "hadoop.kms.acl.CREATE is empty")->text, "everyone is allowed"));
	EXPECT(strstr(notice(s, "acl.CREATE is empty")->text, "/c/kms-acls.xml:2: "));
	EXPECT(notice(s, "hadoop.kms.acl.CREAT has no effect") != NULL);
	EXPECT(notice(s, "key.acl.k.WRITE has no effect") != NULL);
	EXPECT(notice(s, "whitelist.key.acl.ALL has no effect") != NULL);
	EXPECT(notice(s, "key.acl.a.b.ALL") == NULL);
	EXPECT(notice(s, "acl.GET: what follows the first blank") != NULL);
	EXPECT(notice(s, "acl.DELETE") == NULL);
	EXPECT(notice(s, "there are no key ACLs") == NULL);
	done(s);
	s = good(DOC(""), DOC(P("hadoop.kms.acl.GET", "*")));
	EXPECT(notice(s, "there are no key ACLs") != NULL);
	EXPECT(settings_check_acls(s, conf, &err) == RC_OK); /* again, as after a reload: not doubled */
	EXPECT_STR(notice(s, "there are no key ACLs")->text, notice(s, "kms-acls.xml")->text);
	done(s);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	EXPECT(f != NULL);
	fputs(text, f);
	EXPECT(fclose(f) == 0);
}

TEST(reloaded_acls_that_are_refused_leave_the_old_ones_and_their_notices)
{
	static const char *const names[] = {"kms-site.xml", "kms-acls.xml"};
	char dir[] = "/tmp/settings_test.XXXXXX", path[128];
	struct settings *s;
	size_t i;

	EXPECT(mkdtemp(dir) != NULL);
	write_file(dir, names[0], DOC(""));
	write_file(dir, names[1], DOC(OPEN P("key.acl.old.FOO", "u")));
	EXPECT(conf_load_dir(dir, &conf, &err) == RC_OK);
	EXPECT(settings_read(conf, &s, &err) == RC_OK);
	EXPECT(notice(s, "key.acl.old.FOO") != NULL);

	write_file(dir, names[1], DOC(OPEN P("key.acl.new.FOO", "u") P("hadoop.kms.blacklist.GET", "u g")));
	EXPECT(conf_acls_changed(conf));
	EXPECT(settings_reload_acls(s, conf, &err) == RC_BAD_INPUT);
	has(err.text, "no groups are known");
	EXPECT(conf_find(conf, CONF_ACLS, slice_str("key.acl.old.FOO")) != NULL);
	EXPECT(conf_find(conf, CONF_ACLS, slice_str("hadoop.kms.blacklist.GET")) == NULL);
	EXPECT(notice(s, "key.acl.old.FOO") != NULL && notice(s, "key.acl.new.FOO") == NULL);
	EXPECT(!conf_acls_changed(conf));

	write_file(dir, names[1], DOC(OPEN P("key.acl.new.FOO", "u")));
	EXPECT(settings_reload_acls(s, conf, &err) == RC_OK);
	EXPECT(notice(s, "key.acl.old.FOO") == NULL && notice(s, "key.acl.new.FOO") != NULL);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	EXPECT(rmdir(dir) == 0);
	done(s);
}

static char secret_path[64];

static void secret_file(const void *p, size_t len, mode_t mode)
{
	int fd;

	strcpy(secret_path, "/tmp/settings_test.XXXXXX");
	fd = mkstemp(secret_path);
	EXPECT(fd >= 0 && write(fd, p, len) == (ssize_t)len && fchmod(fd, mode) == 0);
	close(fd);
}

static const char *secret_site(void)
{
	static char xml[1024];

	snprintf(
		xml, sizeof(xml),
		"<configuration><property name='hadoop.kms.authentication.signer.secret.provider' value='file'/>"
		"<property name='hadoop.kms.authentication.signature.secret.file' value='%s'/></configuration>",
		secret_path);
	return xml;
}

TEST(the_signature_secret_is_the_whole_file)
{
	struct settings *s;

	secret_file("abc\n", 4, 0600);
	s = good(secret_site(), DOC(OPEN));
	EXPECT(slice_is(settings_signature_secret(s), "abc\n"));
	EXPECT(notice(s, "chmod 600") == NULL);
	done(s);
	EXPECT(chmod(secret_path, 0644) == 0);
	s = good(secret_site(), DOC(OPEN));
	EXPECT(notice(s, "chmod 600")->level == SETTINGS_WARNING);
	done(s);
	unlink(secret_path);
}

TEST(a_signature_secret_that_cannot_be_used_is_refused_not_replaced)
{
	static uint8_t big[4097];
	struct settings *s = NULL;

	strcpy(secret_path, "/nonexistent/secret");
	EXPECT(load(DOC(""), secret_site(), DOC(OPEN), &s) == RC_MACHINE);
	has(err.text, "/nonexistent/secret: No such file");
	conf_free(conf);
	secret_file("", 0, 0600);
	EXPECT(load(DOC(""), secret_site(), DOC(OPEN), &s) == RC_BAD_INPUT);
	has(err.text, "is empty");
	conf_free(conf);
	unlink(secret_path);
	secret_file(big, sizeof(big), 0600);
	EXPECT(load(DOC(""), secret_site(), DOC(OPEN), &s) == RC_MACHINE);
	conf_free(conf);
	unlink(secret_path);
	s = good(DOC(P("hadoop.kms.authentication.signer.secret.provider", "file")), DOC(OPEN));
	EXPECT(settings_signature_secret(s).len == 0);
	EXPECT(notice(s, "random secret")->level == SETTINGS_WARNING);
	done(s);
}

/* All of the core's list as lines "name=value". */
static const char *core_list(const struct settings *s)
{
	static char out[16384];
	struct settings_core_iter it = {0};
	struct slice name, value;

	strcpy(out, "\n");
	while (settings_core_next(s, conf, &it, &name, &value))
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s=%.*s\n", (int)name.len,
			 (const char *)name.p, (int)value.len, (const char *)value.p);
	EXPECT(!settings_core_next(s, conf, &it, &name, &value));
	return out;
}

TEST(the_core_is_told_normalised_settings_and_acls_as_written)
{
	struct settings *s = good(
		DOC(P("hadoop.kms.authentication.token.validity", " 0x10 ") P("svsm.kms.groups.os", "TRUE")
			    P("svsm.kms.core.memory.max", "64m")
			    P("hadoop.kms.proxyuser.oozie.hosts", "*") P("hadoop.kms.acl.GET", "wrong file")
				    P("hadoop.kms.authentication.foo", " x ") P("svsm.kms.workers", "3")
					    P("hadoop.kms.authentication.signature.secret.file", "/s")
						    P("my.password", "x")),
		DOC(OPEN P("hadoop.kms.acl.GET", " ") P("key.acl.k.READ", "a,b ") P("foo", "bar")
			    P("hadoop.kms.authentication.type", "kerberos")));
	const char *l = core_list(s);

	has(l, "\nhadoop.kms.authentication.type=simple\n");
	has(l, "\nhadoop.kms.authentication.token.validity=16\n");
	has(l, "\nhadoop.kms.authentication.token.max-inactive-interval=-1\n");
	has(l, "\nhadoop.kms.key.authorization.enable=true\n");
	has(l, "\nsvsm.kms.core.memory.max=67108864\n");
	has(l, "\nhadoop.security.crypto.cipher.suite=AES/CTR/NoPadding\n");
	has(l, "\nhadoop.security.key.default.bitlength=128\n");
	has(l, "\nsvsm.kms.groups.os=true\n");
	has(l, "\nhadoop.kms.proxyuser.oozie.hosts=*\n");
	has(l, "\nhadoop.kms.authentication.foo= x \n");
	has(l, "\nhadoop.kms.acl.GET= \n");
	has(l, "\nkey.acl.k.READ=a,b \n");
	EXPECT(!strstr(l, "wrong file"));
	EXPECT(!strstr(l, "secret.file"));
	EXPECT(!strstr(l, "type=kerberos"));
	EXPECT(!strstr(l, "workers"));
	EXPECT(!strstr(l, "foo=bar"));
	EXPECT(!strstr(l, "my.password"));
	EXPECT(!strstr(l, "cookie.domain")); /* empty: not set */
	done(s);
}

static const char *dump(const struct settings *s, enum settings_format format, const char *name)
{
	static char out[65536];
	FILE *f = fmemopen(out, sizeof(out), "w");
	bool found;

	EXPECT(f != NULL);
	found = settings_dump(s, conf, format, slice_str(name), f);
	fclose(f);
	return found ? out : NULL;
}

TEST(conf_shows_what_is_in_force_without_secrets)
{
	struct settings *s = good(DOC(P("my.password", "SECRET") P("a", "x&lt;&amp;&quot;${b}") P("b", "2")
					      P("svsm.kms.pin", "FALSE") P("u", "http://me:SECRET@h/x")
						      P("fs.s3a.secret.key", "SECRET")),
				  DOC(OPEN));

	EXPECT_STR(
		dump(s, SETTINGS_XML, "a"),
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><configuration>\n<property><name>a</name>"
		"<value>x&lt;&amp;&quot;${b}</value><final>false</final><source>kms-site.xml</source></property>\n"
		"</configuration>\n");
	EXPECT_STR(
		dump(s, SETTINGS_JSON, "a"),
		"{\"property\":{\"key\":\"a\",\"value\":\"x<&\\\"2\",\"isFinal\":false,\"resource\":\"kms-site.xml\"}}");
	EXPECT_STR(dump(s, SETTINGS_JSON, "hadoop.kms.http.port"),
		   "{\"property\":{\"key\":\"hadoop.kms.http.port\",\"value\":\"9600\",\"isFinal\":false,"
		   "\"resource\":\"kms-default.xml\"}}");
	EXPECT_STR(dump(s, SETTINGS_JSON, "my.password"),
		   "{\"property\":{\"key\":\"my.password\",\"value\":\"<redacted>\",\"isFinal\":false,"
		   "\"resource\":\"kms-site.xml\"}}");
	EXPECT(dump(s, SETTINGS_XML, "nope") == NULL);
	EXPECT(!strstr(dump(s, SETTINGS_XML, ""), "SECRET"));
	EXPECT(!strstr(dump(s, SETTINGS_JSON, ""), "SECRET"));
	has(dump(s, SETTINGS_XML, ""), "<name>svsm.kms.workers</name>");
	done(s);
}

TEST(names_of_secrets_are_known_and_others_are_shown)
{
	static const char *const secret[] = {"a.password",
					     "A.PASSWORD",
					     "x.secret",
					     "ssl.server.keystore.keypassword",
					     "fs.azure.account.key.foo",
					     "fs.s3a.bucket.secret.key",
					     "my.credential",
					     "fs.s3a.session.token",
					     "dfs.oauth2.refresh"};
	static const char *const open[] = {
		"hadoop.kms.authentication.token.validity", "svsm.kms.recovery.public-key",
		"hadoop.kms.authentication.signature.secret.file", "hadoop.security.key.default.bitlength",
		"hadoop.kms.authentication.signer.secret.provider"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(secret); i++)
		EXPECT(settings_is_secret(slice_str(secret[i]), slice_str("v")));
	for (i = 0; i < ARRAY_LEN(open); i++)
		EXPECT(!settings_is_secret(slice_str(open[i]), slice_str("v")));
	EXPECT(settings_is_secret(slice_str("x"), slice_str("jdbc:mysql://u:p@h/d")));
	EXPECT(!settings_is_secret(slice_str("x"), slice_str("http://h:80/a@b")));
}

TEST(the_documentation_lists_every_setting_once)
{
	char *text = NULL, name[128];
	const char *at;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	unsigned i;

	settings_print_table(f);
	fclose(f);
	for (i = 0; i < SET_COUNT; i++) {
		snprintf(name, sizeof(name), "| `%s` |", settings_name((enum setting)i));
		at = strstr(text, name);
		EXPECT(at != NULL);
		EXPECT(strstr(at + 1, name) == NULL);
	}
	free(text);
}
