/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/audit.h"
#include "tests/test.h"

/* 2024-05-01 12:00:00,007 UTC; wall and monotonic time move together unless a test says otherwise */
#define START 1714564800007

static struct audit_time fake;
static unsigned reports;
static char reported[512];
static char path[64];

static void fake_clock(void *ctx, struct audit_time *now)
{
	(void)ctx;
	*now = fake;
}

static void fake_report(void *ctx, const char *text)
{
	(void)ctx;
	reports++;
	snprintf(reported, sizeof(reported), "%s", text);
}

static void pass(int64_t ms)
{
	fake.wall_ms += ms;
	fake.mono_ms += ms;
}

static struct audit *start(uint32_t groups)
{
	struct audit_options o = {.path = path,
				  .window_ms = 1000,
				  .groups_max = groups,
				  .clock = fake_clock,
				  .report = fake_report};
	struct audit *a;
	int fd;

	setenv("TZ", "UTC", 1);
	tzset();
	fake = (struct audit_time){.wall_ms = START, .mono_ms = 50};
	reports = 0;
	strcpy(path, "/tmp/audit_test.XXXXXX");
	fd = mkstemp(path);
	EXPECT(fd >= 0);
	close(fd);
	EXPECT(audit_open(&o, &a) == RC_OK);
	return a;
}

/* What the file holds, without the 24 characters of each line's date; empties the file. */
static const char *take(void)
{
	static char out[65536];
	char line[32768];
	FILE *f = fopen(path, "r");

	EXPECT(f != NULL);
	out[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		EXPECT(strlen(line) > 24 && line[23] == ' ');
		strcat(out, line + 24);
	}
	fclose(f);
	EXPECT(truncate(path, 0) == 0);
	return out;
}

static void stop(struct audit *a)
{
	audit_close(a);
	unlink(path);
}

static void ok(struct audit *a, enum kms_op op, const char *user, const char *key, const char *extra)
{
	audit_event(a, AUDIT_OK, op, slice_str(user), slice_str(key), slice_str(extra));
}

static void decrypt(struct audit *a)
{
	ok(a, KMS_OP_DECRYPT_EEK, "u", "k", "");
}

static void denied(struct audit *a, enum kms_op op)
{
	audit_event(a, AUDIT_UNAUTHORIZED, op, slice_str("u"), slice_str("k"), slice_str(""));
}

#define FIRST "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=1, interval=0ms] \n"

TEST(every_form_is_byte_exact)
{
	struct audit *a = start(0);

	ok(a, KMS_OP_CREATE_KEY, "u", "k", "UserProvidedMaterial:false Description:null");
	ok(a, KMS_OP_DELETE_KEY, "u", "k", "");
	ok(a, KMS_OP_GET_KEYS, "u@R", "", "");
	ok(a, KMS_OP_GET_KEYS_METADATA, "u", "", "");
	ok(a, KMS_OP_REENCRYPT_EEK_BATCH, "u", "k", "reencrypted 3 keys");
	denied(a, KMS_OP_CREATE_KEY);
	denied(a, KMS_OP_ACL_READ);
	audit_event(a, AUDIT_UNAUTHORIZED, KMS_OP_GET_KEYS, slice_str("u"), slice_str(""), slice_str(""));
	audit_error(a, slice_str("u"), slice_str("POST"), slice_str("first\nsecond"));
	audit_error(a, slice_str(""), slice_str("GET"), slice_str(""));
	audit_unauthenticated(a, slice_str("127.0.0.1"), slice_str("GET"),
			      slice_str("http://h/kms/v1/keys/names?op=X"),
			      slice_str("Authentication required"));
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(),
		   "OK[op=CREATE_KEY, key=k, user=u] UserProvidedMaterial:false Description:null\n"
		   "OK[op=DELETE_KEY, key=k, user=u] \n"
		   "OK[op=GET_KEYS, user=u@R] \n"
		   "OK[op=GET_KEYS_METADATA, user=u] \n"
		   "OK[op=REENCRYPT_EEK_BATCH, key=k, user=u] reencrypted 3 keys\n"
		   "UNAUTHORIZED[op=CREATE_KEY, key=k, user=u] \n"
		   "UNAUTHORIZED[op=READ, key=k, user=u] \n"
		   "UNAUTHORIZED[op=GET_KEYS, user=u] \n"
		   "ERROR[user=u] Method:'POST' Exception:'first'\n"
		   "ERROR Method:'GET' Exception:''\n"
		   "UNAUTHENTICATED RemoteHost:127.0.0.1 Method:GET URL:http://h/kms/v1/keys/names?op=X "
		   "ErrorMsg:'Authentication required'\n");
	stop(a);
}

TEST(the_date_is_local_time_with_a_comma_before_the_milliseconds)
{
	struct audit *a = start(0);
	char line[128];
	FILE *f;

	ok(a, KMS_OP_GET_KEYS, "u", "", "");
	pass(60993);
	ok(a, KMS_OP_GET_KEYS, "u", "", "");
	EXPECT(audit_flush(a) == RC_OK);
	f = fopen(path, "r");
	EXPECT(f && fgets(line, sizeof(line), f));
	EXPECT_STR(line, "2024-05-01 12:00:00,007 OK[op=GET_KEYS, user=u] \n");
	EXPECT(fgets(line, sizeof(line), f) != NULL);
	EXPECT_STR(line, "2024-05-01 12:01:01,000 OK[op=GET_KEYS, user=u] \n");
	fclose(f);
	stop(a);
}

TEST(nothing_is_written_before_a_flush)
{
	struct audit *a = start(0);
	struct audit_state s;

	ok(a, KMS_OP_GET_KEYS, "u", "", "");
	EXPECT_STR(take(), "");
	audit_state(a, &s);
	EXPECT(s.pending > 0 && s.lines == 1);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "OK[op=GET_KEYS, user=u] \n");
	audit_state(a, &s);
	EXPECT_INT(s.pending, 0);
	stop(a);
}

TEST(one_isolated_access_gives_two_lines_with_count_one)
{
	struct audit *a = start(0);
	struct audit_state s;

	decrypt(a);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), FIRST);
	pass(999);
	audit_tick(a);
	EXPECT_STR(take(), "");
	pass(1);
	audit_tick(a);
	EXPECT_STR(take(), "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=1, interval=1000ms] \n");
	audit_state(a, &s);
	EXPECT_INT(s.groups, 1); /* kept for another window */
	pass(1000);
	audit_tick(a);
	EXPECT_STR(take(), "");
	audit_state(a, &s);
	EXPECT_INT(s.groups, 0);
	stop(a);
}

TEST(further_events_only_count_and_the_interval_grows)
{
	struct audit *a = start(0);
	int i;

	for (i = 0; i < 7; i++)
		decrypt(a);
	pass(1010);
	audit_tick(a);
	EXPECT_STR(take(), FIRST "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=7, interval=1010ms] \n");
	decrypt(a); /* after a window: counted, not written */
	decrypt(a);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "");
	pass(1090);
	audit_tick(a);
	EXPECT_STR(take(), "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=2, interval=2100ms] \n");
	pass(1000);
	audit_tick(a); /* silent: the group goes */
	decrypt(a);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), FIRST);
	stop(a);
}

TEST(groups_differ_by_user_key_and_operation)
{
	struct audit *a = start(0);

	ok(a, KMS_OP_DECRYPT_EEK, "ab", "c", "");
	ok(a, KMS_OP_DECRYPT_EEK, "a", "bc", "");
	ok(a, KMS_OP_GENERATE_EEK, "ab", "c", "");
	ok(a, KMS_OP_DECRYPT_EEK, "ab", "c", "");
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "OK[op=DECRYPT_EEK, key=c, user=ab, accessCount=1, interval=0ms] \n"
			   "OK[op=DECRYPT_EEK, key=bc, user=a, accessCount=1, interval=0ms] \n"
			   "OK[op=GENERATE_EEK, key=c, user=ab, accessCount=1, interval=0ms] \n");
	stop(a);
}

TEST(a_denial_writes_the_pending_count_first)
{
	struct audit *a = start(0);

	denied(a, KMS_OP_DECRYPT_EEK); /* no group: just the line */
	decrypt(a);
	decrypt(a);
	pass(300);
	denied(a, KMS_OP_DECRYPT_EEK);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "UNAUTHORIZED[op=DECRYPT_EEK, key=k, user=u] \n" FIRST
			   "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=2, interval=300ms] \n"
			   "UNAUTHORIZED[op=DECRYPT_EEK, key=k, user=u] \n");
	decrypt(a);                        /* the group lives on */
	denied(a, KMS_OP_ACL_DECRYPT_EEK); /* a key ACL type is not an operation: nothing is flushed */
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "UNAUTHORIZED[op=DECRYPT_EEK, key=k, user=u] \n");
	pass(999); /* the window began again at the denial */
	audit_tick(a);
	EXPECT_STR(take(), "");
	pass(1);
	audit_tick(a);
	EXPECT_STR(take(), "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=1, interval=1300ms] \n");
	stop(a);
}

TEST(aggregated_operations_without_a_key_are_plain_lines)
{
	struct audit *a = start(0);

	ok(a, KMS_OP_GET_KEY_VERSION, "u", "", "");
	ok(a, KMS_OP_GET_KEY_VERSION, "u", "", "");
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "OK[op=GET_KEY_VERSION, user=u] \nOK[op=GET_KEY_VERSION, user=u] \n");
	stop(a);
}

TEST(a_wall_clock_set_back_does_not_disturb_windows)
{
	struct audit *a = start(0);

	decrypt(a);
	fake.wall_ms -= 3600000;
	fake.mono_ms += 1000;
	audit_tick(a);
	EXPECT_STR(take(), FIRST "OK[op=DECRYPT_EEK, key=k, user=u, accessCount=1, interval=1000ms] \n");
	stop(a);
}

TEST(hostile_names_cannot_forge_a_line)
{
	struct audit *a = start(0);

	ok(a, KMS_OP_DELETE_KEY, "eve\r\n2024-05-01 12:00:00,007 OK[op=DELETE_KEY, key=k, user=bob] ",
	   "\x1b[2J\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xff\xc0\x8a", "x\ny\\z");
	ok(a, KMS_OP_GENERATE_EEK, "u", "a\nb", "");
	ok(a, KMS_OP_DELETE_KEY, "j\xc3\xbcrgen", "\xe9\x94\xae", "");
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(
		take(),
		"OK[op=DELETE_KEY, key=\\u001b[2J\\u007f\\u0085\\u2028\\u202e\\xff\\xc0\\x8a, "
		"user=eve\\u000d\\u000a2024-05-01 12:00:00,007 OK[op=DELETE_KEY, key=k, user=bob] ] x\\u000ay\\z\n"
		"OK[op=GENERATE_EEK, key=a\\u000ab, user=u, accessCount=1, interval=0ms] \n"
		"OK[op=DELETE_KEY, key=\xe9\x94\xae, user=j\xc3\xbcrgen] \n");
	stop(a);
}

static const char *url_line(struct audit *a, const char *url)
{
	audit_unauthenticated(a, slice_str("h"), slice_str("GET"), slice_str(url), slice_str("m"));
	EXPECT(audit_flush(a) == RC_OK);
	return take();
}

#define URL(u) "UNAUTHENTICATED RemoteHost:h Method:GET URL:" u " ErrorMsg:'m'\n"

TEST(credentials_in_urls_are_not_written)
{
	struct audit *a = start(0);

	EXPECT_STR(url_line(a, "/k?delegation=SECRET&op=X"), URL("/k?delegation=<redacted>&op=X"));
	EXPECT_STR(url_line(a, "/k?op=X&token=SECRET"), URL("/k?op=X&token=<redacted>"));
	EXPECT_STR(url_line(a, "/k?%64elegation=SECRET&a=b"), URL("/k?%64elegation=<redacted>&a=b"));
	EXPECT_STR(url_line(a, "/k?DeLegation=SE=CRET;tokens=1"), URL("/k?DeLegation=<redacted>;tokens=1"));
	EXPECT_STR(url_line(a, "/k?%zz=SECRET"), URL("/k?%zz=<redacted>"));
	EXPECT_STR(url_line(a, "/k?delegation&&=&token="), URL("/k?delegation&&=&token=<redacted>"));
	EXPECT_STR(url_line(a, "/token=x"), URL("/token=x"));
	EXPECT_STR(url_line(a, ""), URL(""));
	audit_error(a, slice_str("u"), slice_str("GET"), slice_str("Invalid: u=a&e=1&s=SECRET' tail"));
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "ERROR[user=u] Method:'GET' Exception:'Invalid: u=a&e=1&s=<redacted>' tail'\n");
	stop(a);
}

TEST(long_fields_are_cut_and_not_kept_as_groups)
{
	struct audit *a = start(0);
	struct audit_state s;
	static char key[70000];
	const char *got;

	memset(key, 'k', sizeof(key) - 1);
	ok(a, KMS_OP_DECRYPT_EEK, "u", key, "");
	ok(a, KMS_OP_DECRYPT_EEK, "u", key, "");
	audit_state(a, &s);
	EXPECT_INT(s.groups, 0);
	EXPECT_INT(s.lines, 2);
	EXPECT(audit_flush(a) == RC_OK);
	got = take();
	EXPECT(strstr(got, "kkk..., user=u, accessCount=1, interval=0ms] \n"));
	EXPECT(strlen(got) < 2 * (AUDIT_FIELD_MAX + 100));
	memset(key, '\n', sizeof(key) - 1); /* the longest escapes */
	audit_unauthenticated(a, slice_str(key), slice_str(key), slice_str(key), slice_str(key));
	ok(a, KMS_OP_CREATE_KEY, key, key, key);
	EXPECT(audit_flush(a) == RC_OK);
	stop(a);
}

TEST(beyond_the_bound_on_groups_each_event_is_a_line)
{
	struct audit *a = start(8); /* one a shard */
	struct audit_state s;
	char user[16];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		ok(a, KMS_OP_DECRYPT_EEK, user, "k", "");
	}
	audit_state(a, &s);
	EXPECT_INT(s.lines, 100);
	EXPECT(s.groups <= 8);
	ok(a, KMS_OP_DECRYPT_EEK, user, "k", "");
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT(strstr(take(), "user=u99, accessCount=1, interval=0ms] \n"));
	stop(a);
}

TEST(closing_writes_what_was_counted)
{
	struct audit *a = start(0);
	char user[16];
	int i, n = 0;
	const char *at;

	decrypt(a);
	decrypt(a);
	for (i = 0; i < 300; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		ok(a, KMS_OP_DECRYPT_EEK, user, "k", "");
	}
	audit_close(a);
	at = take();
	EXPECT(strstr(at, "user=u, accessCount=2, interval=0ms] \n"));
	while ((at = strchr(at, '\n'))) {
		n++;
		at++;
	}
	EXPECT_INT(n, 602);
	unlink(path);
}

TEST(after_logrotate_lines_go_to_the_new_file)
{
	struct audit *a = start(0);
	char old[80];
	struct stat st;

	ok(a, KMS_OP_GET_KEYS, "before", "", "");
	snprintf(old, sizeof(old), "%s.1", path);
	EXPECT(rename(path, old) == 0);
	EXPECT(audit_reopen(a) == RC_OK);
	ok(a, KMS_OP_GET_KEYS, "after", "", "");
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_STR(take(), "OK[op=GET_KEYS, user=after] \n");
	EXPECT(stat(old, &st) == 0 && st.st_size == 24 + 30);
	EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640);
	unlink(old);
	stop(a);
}

TEST(a_path_that_cannot_be_opened_is_refused_and_a_failed_reopen_keeps_the_file)
{
	struct audit_options o = {.path = "/nonexistent/kms-audit.log"};
	struct audit *a = NULL;
	struct audit_state s;

	EXPECT(audit_open(&o, &a) == RC_MACHINE);
	o.window_ms = 9;
	EXPECT(audit_open(&o, &a) == RC_BAD_INPUT);
	a = start(0);
	EXPECT(unlink(path) == 0);
	EXPECT(mkdir(path, 0700) == 0);
	EXPECT(audit_reopen(a) == RC_MACHINE);
	EXPECT_INT(reports, 1);
	audit_state(a, &s);
	EXPECT(s.failing && s.failures == 1);
	ok(a, KMS_OP_GET_KEYS, "u", "", "");
	EXPECT(audit_flush(a) == RC_OK); /* into the old, unlinked file */
	EXPECT(rmdir(path) == 0);
	EXPECT(audit_reopen(a) == RC_OK);
	stop(a);
}

/* A file size limit of this process stands in for a full disk: it can be lifted again. */
static void limit_file_size(rlim_t n)
{
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	EXPECT(getrlimit(RLIMIT_FSIZE, &r) == 0);
	r.rlim_cur = n;
	EXPECT(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

TEST(a_full_disk_is_reported_once_and_loses_no_line_while_memory_lasts)
{
	struct audit *a = start(0);
	struct audit_state s;
	int i;

	limit_file_size(100); /* the third line ends within the file */
	for (i = 0; i < 4; i++) {
		ok(a, KMS_OP_GET_KEYS, "u", "", "");
		pass(1);
	}
	EXPECT(audit_flush(a) == RC_MACHINE);
	ok(a, KMS_OP_GET_KEYS, "late", "", "");
	EXPECT(audit_flush(a) == RC_MACHINE);
	EXPECT_INT(reports, 1);
	EXPECT(strstr(reported, "make room"));
	audit_state(a, &s);
	EXPECT(s.failing && s.failures == 2 && s.dropped == 0 && s.pending > 0);

	limit_file_size(RLIM_INFINITY);
	EXPECT(audit_flush(a) == RC_OK);
	EXPECT_INT(reports, 2);
	EXPECT(strstr(reported, "works again"));
	audit_state(a, &s);
	EXPECT(!s.failing && s.pending == 0);
	EXPECT_STR(take(), "OK[op=GET_KEYS, user=u] \nOK[op=GET_KEYS, user=u] \nOK[op=GET_KEYS, user=u] \n"
			   "OK[op=GET_KEYS, user=u] \nOK[op=GET_KEYS, user=late] \n");
	stop(a);
}

TEST(lines_beyond_the_buffer_are_dropped_and_counted_not_kept)
{
	struct audit *a = start(0);
	struct audit_state s;
	static char key[4000];
	int i;

	memset(key, 'k', sizeof(key) - 1);
	limit_file_size(1);
	for (i = 0; i < 3000; i++)
		ok(a, KMS_OP_DELETE_KEY, "u", key, "");
	audit_state(a, &s);
	EXPECT(s.dropped > 0 && s.dropped < 3000);
	EXPECT(s.pending <= 2 * AUDIT_BUFFER_MAX);
	EXPECT_INT(s.lines + s.dropped, 3000);
	EXPECT_INT(reports, 1);
	limit_file_size(RLIM_INFINITY);
	EXPECT(audit_flush(a) == RC_OK);
	stop(a);
}

/* Every look at the clock is a millisecond later, so that only a group's first line says "interval=0ms". */
static void running_clock(void *ctx, struct audit_time *now)
{
	static int64_t ms;

	(void)ctx;
	now->mono_ms = __atomic_add_fetch(&ms, 1, __ATOMIC_RELAXED);
	now->wall_ms = START + now->mono_ms;
}

#define THREADS 4
#define EVENTS 20000

static void *hammer(void *arg)
{
	struct audit *a = arg;
	char user[16];
	int i;

	for (i = 0; i < EVENTS; i++) {
		snprintf(user, sizeof(user), "u%d", i % 50);
		ok(a, KMS_OP_DECRYPT_EEK, user, "k", "");
		if (i % 100 == 0) {
			ok(a, KMS_OP_DELETE_KEY, user, "k", "");
			INVARIANT(audit_flush(a) == RC_OK);
		}
		if (i % 1000 == 0)
			audit_tick(a);
	}
	return NULL;
}

TEST(threads_lose_and_double_nothing)
{
	struct audit_options o = {.path = path, .window_ms = 10, .clock = running_clock};
	unsigned long long total = 0, n;
	unsigned deletes = 0;
	pthread_t t[THREADS];
	struct audit *a = start(0);
	char line[256];
	const char *p;
	FILE *f;
	int i;

	audit_close(a);
	EXPECT(audit_open(&o, &a) == RC_OK);
	for (i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&t[i], NULL, hammer, a) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	audit_close(a);
	f = fopen(path, "r");
	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		EXPECT(line[strlen(line) - 1] == '\n');
		deletes += strstr(line, "DELETE_KEY") != NULL;
		p = strstr(line, "accessCount=");
		/* the first line of a group is counted again in its window: only windows are summed */
		if (p && !strstr(line, "accessCount=1, interval=0ms")) {
			EXPECT(sscanf(p, "accessCount=%llu", &n) == 1);
			total += n;
		}
	}
	fclose(f);
	EXPECT_INT(deletes, THREADS * EVENTS / 100);
	EXPECT_INT(total, THREADS * EVENTS);
	unlink(path);
}
