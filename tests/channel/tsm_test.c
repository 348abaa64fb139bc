/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports through a model of configfs-tsm: directories fill themselves, each accepted write raises the
 * generation, inblob takes 64 bytes and refuses others without a word, blobs exist only for a question asked.
 */
#include <errno.h>

#include "channel/tsm.h"
#include "tests/test.h"

struct fake {
	/* how it is */
	int make_error;			/* negative errno */
	const char *provider;
	bool given;			/* root made a directory for us, and only that may be used */
	bool no_svsm, drops_inblob, interferes, no_manifest, no_certs;
	const char *unreadable;		/* this file cannot be read... */
	int unreadable_error;		/* ...for this reason */
	unsigned taken;			/* directories that exist already */
	size_t report_len;
	/* what happened */
	unsigned dirs, made, removed, generation;
	bool svsm, asked;
	uint8_t in[TSM_INBLOB];
	char dir[512];
};

static struct fake fake;
static struct tsm_answer out;
static char why[256];

static void fresh(void)
{
	fake = (struct fake){ .provider = "sev_guest\n", .report_len = 1184 };
	memset(&out, 0, sizeof(out));
	why[0] = 0;
}

static int fake_make(void *ctx, const char *dir)
{
	struct fake *f = ctx;

	if (f->make_error) {
		if (f->given) {
			snprintf(f->dir, sizeof(f->dir), "/fake/svsm-kms");
			f->dirs = 1;
		}
		return f->make_error;
	}
	if (f->taken) {
		f->taken--;
		return -EEXIST;
	}
	EXPECT(strncmp(dir, "/fake/", 6) == 0 && !strchr(dir + 6, '/'));
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->dirs++;
	f->made++;
	return 0;
}

static int fake_remove(void *ctx, const char *dir)
{
	struct fake *f = ctx;

	EXPECT_STR(dir, f->dir);
	f->dirs--;
	f->removed++;
	return 0;
}

static const char *file_of(const struct fake *f, const char *path)
{
	size_t n = strlen(f->dir);

	if (f->dirs == 0)
		return "none";
	EXPECT(f->dirs == 1 && strncmp(path, f->dir, n) == 0 && path[n] == '/');
	return path + n + 1;
}

static int fake_write(void *ctx, const char *path, struct slice value)
{
	struct fake *f = ctx;
	const char *file = file_of(f, path);

	if (strcmp(file, "service_provider") == 0) {
		if (f->no_svsm)
			return -ENOENT;
		if (!slice_is(value, "svsm"))
			return -EINVAL;
		f->svsm = true;
	} else if (strcmp(file, "inblob") == 0) {
		if (value.len != TSM_INBLOB || f->drops_inblob)
			return 0;	/* the kernel says nothing: the error comes at close, and is lost */
		memcpy(f->in, value.p, TSM_INBLOB);
		f->asked = true;
	} else {
		return -ENOENT;
	}
	f->generation++;
	return 0;
}

static ssize_t text_out(const char *s, uint8_t *buf, size_t room)
{
	size_t n = strlen(s);

	if (n > room)
		return -EFBIG;
	memcpy(buf, s, n);
	return (ssize_t)n;
}

static ssize_t blob_out(struct fake *f, uint8_t byte, size_t n, uint8_t *buf, size_t room)
{
	if (!f->asked)
		return -EINVAL;
	if (n > room)
		return -EFBIG;
	memset(buf, byte ^ f->in[0], n);
	return (ssize_t)n;
}

static ssize_t fake_read(void *ctx, const char *path, uint8_t *buf, size_t room)
{
	struct fake *f = ctx;
	const char *file = file_of(f, path);
	char number[16];

	if (f->unreadable && strcmp(file, f->unreadable) == 0)
		return f->unreadable_error;
	if (strcmp(file, "provider") == 0)
		return text_out(f->provider, buf, room);
	if (strcmp(file, "generation") == 0) {
		snprintf(number, sizeof(number), "%u\n", f->generation);
		return text_out(number, buf, room);
	}
	if (strcmp(file, "outblob") == 0)
		return blob_out(f, 0x10, f->report_len, buf, room);
	if (strcmp(file, "auxblob") == 0) {
		if (f->interferes)
			f->generation++;
		return blob_out(f, 0x20, f->no_certs ? 0 : 3000, buf, room);
	}
	if (strcmp(file, "manifestblob") == 0)
		return blob_out(f, 0x30, f->no_manifest ? 0 : 176, buf, room);
	return -ENOENT;
}

static const struct tsm_ops fake_ops = { fake_make, fake_remove, fake_write, fake_read };
static const struct tsm tsm = { .dir = "/fake", .ops = &fake_ops, .ctx = &fake };

static enum rc ask(void)
{
	static const uint8_t in[TSM_INBLOB] = { 7, 1, 2 };

	return tsm_ask(&tsm, in, &out, why, sizeof(why));
}

/* Refused with these words, and nothing left behind. */
static bool refused(enum rc want, const char *words)
{
	bool ok = ask() == want && strstr(why, words) && fake.dirs == 0 && fake.made == fake.removed;

	if (!ok)
		fprintf(stderr, "says: %s\n", why);
	return ok;
}

TEST(a_report_is_asked_for_once_with_our_question_and_the_directory_removed)
{
	fresh();
	EXPECT(ask() == RC_OK);
	EXPECT(fake.svsm && fake.in[0] == 7 && fake.in[2] == 2);
	EXPECT(out.report_len == 1184 && out.report[0] == 0x17);
	EXPECT(out.certs_len == 3000 && out.certs[2999] == 0x27);
	EXPECT(out.manifest_len == 176 && out.manifest[0] == 0x37);
	EXPECT(fake.made == 1 && fake.removed == 1);
}

TEST(a_host_without_certificates_is_no_error)
{
	fresh();
	fake.no_certs = true;
	EXPECT(ask() == RC_OK);
	EXPECT(out.certs_len == 0);
}

TEST(a_machine_without_tsm_is_told_apart)
{
	fresh();
	fake.make_error = -ENOENT;
	EXPECT(refused(RC_MACHINE, "no configfs-tsm"));
	fake.make_error = -ENXIO;
	EXPECT(refused(RC_MACHINE, "no provider"));
	fake.make_error = -EACCES;
	EXPECT(refused(RC_DENIED, "not allowed"));
}

TEST(a_kernel_without_an_svsm_is_told_apart)
{
	fresh();
	fake.no_svsm = true;
	EXPECT(refused(RC_MACHINE, "not run under an SVSM"));
}

TEST(another_provider_is_refused)
{
	fresh();
	fake.provider = "tdx_guest\n";
	EXPECT(refused(RC_MACHINE, "not SEV-SNP's"));
	fake.provider = "sev_guest2\n";
	EXPECT(refused(RC_MACHINE, "not SEV-SNP's"));
	fake.provider = "";
	EXPECT(refused(RC_MACHINE, "not SEV-SNP's"));
}

TEST(a_question_that_the_kernel_drops_silently_is_noticed)
{
	fresh();
	fake.drops_inblob = true;
	EXPECT(refused(RC_BUSY, "did not take the question"));
}

TEST(an_answer_to_somebody_else_s_question_is_refused)
{
	fresh();
	fake.interferes = true;
	EXPECT(refused(RC_BUSY, "somebody else"));
}

TEST(an_answer_without_report_or_manifest_is_refused)
{
	fresh();
	fake.no_manifest = true;
	EXPECT(refused(RC_MACHINE, "empty"));
	fresh();
	fake.report_len = 0;
	EXPECT(refused(RC_MACHINE, "empty"));
	fresh();
	fake.report_len = TSM_REPORT_MAX + 1;
	EXPECT(refused(RC_MACHINE, "outblob"));
}

TEST(files_that_cannot_be_read_are_named)
{
	static const char *const files[] = { "provider", "generation", "outblob", "auxblob", "manifestblob" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		fresh();
		fake.unreadable = files[i];
		fake.unreadable_error = -EIO;
		EXPECT(refused(RC_MACHINE, files[i]));
		fake.unreadable_error = -EBUSY;
		EXPECT(refused(RC_BUSY, "busy"));
		fake.unreadable_error = -EAGAIN;
		EXPECT(refused(RC_BUSY, "again"));
	}
}

TEST(directories_of_others_are_left_alone)
{
	fresh();
	fake.taken = 3;
	EXPECT(ask() == RC_OK);
	EXPECT(fake.made == 1 && fake.removed == 1);
	fake.taken = 1000;
	EXPECT(refused(RC_MACHINE, "exists"));
}

TEST(the_real_file_system_without_tsm_says_so)
{
	static const uint8_t in[TSM_INBLOB];
	struct tsm real = { .dir = "/nonexistent/tsm/report", .ops = &tsm_linux };

	EXPECT(tsm_ask(&real, in, &out, why, sizeof(why)) == RC_MACHINE);
	EXPECT(strstr(why, "no configfs-tsm"));
}

TEST(a_nonce_of_64_bytes_is_the_question_and_any_other_is_hashed)
{
	uint8_t nonce[65] = { 1, 2, 3 }, in[TSM_INBLOB], hash[64];

	EXPECT(tsm_inblob(slice_of(nonce, 64), in) == RC_OK);
	EXPECT_MEM(in, nonce, 64);
	EXPECT(tsm_inblob(slice_of("abc", 3), in) == RC_OK);
	/* FIPS 180-2, appendix C.1 */
	test_unhex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", hash, 64);
	EXPECT_MEM(in, hash, 64);
	EXPECT(tsm_inblob(slice_of(nonce, 0), in) == RC_BAD_INPUT);
	EXPECT(tsm_inblob(slice_of(nonce, 65), in) == RC_BAD_INPUT);
}

TEST(who_may_not_make_a_directory_asks_in_the_one_that_root_gave_and_leaves_it)
{
	const struct tsm t = { "/fake", &fake_ops, &fake };
	uint8_t in[TSM_INBLOB] = { 7 };
	unsigned i;

	fresh();
	fake.make_error = -EACCES;
	fake.given = true;
	for (i = 0; i < 3; i++) {
		in[0]++;
		EXPECT_INT(tsm_ask(&t, in, &out, why, sizeof(why)), RC_OK);
		EXPECT(out.report_len == 1184 && out.report[0] == (0x10 ^ in[0]));
	}
	EXPECT(fake.made == 0 && fake.removed == 0);
	/* Not given: said in words, with what root can do. */
	fresh();
	fake.make_error = -EACCES;
	EXPECT_INT(tsm_ask(&t, in, &out, why, sizeof(why)), RC_DENIED);
	EXPECT(strstr(why, "root") && strstr(why, "svsm-kms"));
}
