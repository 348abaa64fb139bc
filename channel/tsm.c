/* SPDX-License-Identifier: Apache-2.0 */
/* Reports through configfs-tsm. See tsm.h. The kernel's side: Documentation/ABI/testing/configfs-tsm. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/tsm.h"
#include "crypto/hash.h"
#include "wire/attest.h"

#define NAMES 16	/* tried before we believe that somebody is in our way */

struct asking {
	const struct tsm *t;
	char dir[512];
	bool given;	/* made by root for us, and to stay */
	char *why;
	size_t room;
};

__attribute__((format(printf, 3, 4))) static enum rc because(struct asking *a, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->why, a->room, fmt, ap);
	va_end(ap);
	return rc;
}

#define NOT_ALLOWED "not allowed: reports are root's to ask for; root may make a directory " TSM_GIVEN " beside the others, \
and give its files to this user"

/* What the kernel means by an error, by where it met it; the first fitting row. */
static enum rc explain(struct asking *a, const char *what, int err)
{
	static const struct {
		const char *what;	/* NULL: anywhere */
		int err;
		enum rc rc;
		const char *text;
	} rows[] = {
		{ "mkdir", ENOENT, RC_MACHINE,
		  "this machine offers no attestation reports: no configfs-tsm (is configfs mounted, is the module tsm "
		  "loaded?)" },
		{ "mkdir", ENXIO, RC_MACHINE,
		  "this machine offers no attestation reports: configfs-tsm has no provider (is the module sev-guest "
		  "loaded?)" },
		{ "service_provider", ENOENT, RC_MACHINE,
		  "the kernel does not run under an SVSM: there is no VMPL0 service to attest" },
		{ NULL, EACCES, RC_DENIED, NOT_ALLOWED },
		{ NULL, EPERM, RC_DENIED, NOT_ALLOWED },
		{ "provider", ENOENT, RC_DENIED, NOT_ALLOWED },	/* of the given directory, which is not there */
		{ NULL, EAGAIN, RC_BUSY, "the report was asked for twice at once; try again" },
		{ NULL, EBUSY, RC_BUSY, "the secure processor is busy; try again" },
		{ NULL, EINTR, RC_BUSY, "interrupted; try again" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (err == rows[i].err && (!rows[i].what || strcmp(what, rows[i].what) == 0))
			return because(a, rows[i].rc, "%s", rows[i].text);
	return because(a, RC_MACHINE, "configfs-tsm, %s: %s", what, strerror(err));
}

static bool path_of(const struct asking *a, const char *file, char out[640])
{
	int n = snprintf(out, 640, "%s/%s", a->dir, file);

	return n > 0 && n < 640;
}

static enum rc put(struct asking *a, const char *file, struct slice value)
{
	char path[640];
	int err = path_of(a, file, path) ? a->t->ops->write(a->t->ctx, path, value) : -ENAMETOOLONG;

	return err ? explain(a, file, -err) : RC_OK;
}

static enum rc get(struct asking *a, const char *file, uint8_t *to, size_t room, size_t *len)
{
	char path[640];
	ssize_t n = path_of(a, file, path) ? a->t->ops->read(a->t->ctx, path, to, room) : -ENAMETOOLONG;

	if (n < 0)
		return explain(a, file, (int)-n);
	*len = (size_t)n;
	return RC_OK;
}

/* A decimal number and a line end. */
static enum rc get_generation(struct asking *a, uint32_t *out)
{
	uint8_t text[16];
	size_t len, i;
	uint32_t v = 0;
	enum rc rc = get(a, "generation", text, sizeof(text), &len);

	if (rc != RC_OK)
		return rc;
	if (len && text[len - 1] == '\n')
		len--;
	if (len == 0 || len > 9)
		return because(a, RC_MACHINE, "configfs-tsm: the generation is no number");
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return because(a, RC_MACHINE, "configfs-tsm: the generation is no number");
		v = v * 10 + (uint32_t)(text[i] - '0');
	}
	*out = v;
	return RC_OK;
}

/*
 * Asks the question. A blob that the kernel refuses is refused when its file is closed, and nobody hears of
 * it: that both writes counted shows in the generation.
 */
static enum rc question(struct asking *a, const uint8_t in[TSM_INBLOB], uint32_t *generation)
{
	uint32_t before, after;
	uint8_t provider[32];
	size_t len;
	enum rc rc = get(a, "provider", provider, sizeof(provider), &len);

	if (rc != RC_OK)
		return rc;
	if (len && provider[len - 1] == '\n')
		len--;
	if (!slice_is(slice_of(provider, len), "sev_guest"))
		return because(a, RC_MACHINE, "the provider of attestation reports is not SEV-SNP's");
	rc = get_generation(a, &before);
	if (rc == RC_OK)
		rc = put(a, "service_provider", slice_str("svsm"));
	if (rc == RC_OK)
		rc = put(a, "inblob", slice_of(in, TSM_INBLOB));
	if (rc == RC_OK)
		rc = get_generation(a, &after);
	if (rc != RC_OK)
		return rc;
	if (after - before != 2)
		return because(a, RC_BUSY, "configfs-tsm did not take the question, or somebody else wrote to it");
	*generation = after;
	return RC_OK;
}

static enum rc answer(struct asking *a, uint32_t generation, struct tsm_answer *out)
{
	uint32_t after;
	enum rc rc = get(a, "outblob", out->report, sizeof(out->report), &out->report_len);

	if (rc == RC_OK)
		rc = get(a, "auxblob", out->certs, sizeof(out->certs), &out->certs_len);
	if (rc == RC_OK)
		rc = get(a, "manifestblob", out->manifest, sizeof(out->manifest), &out->manifest_len);
	if (rc == RC_OK)
		rc = get_generation(a, &after);
	if (rc != RC_OK)
		return rc;
	if (after != generation)
		return because(a, RC_BUSY, "somebody else wrote to the report's directory; try again");
	if (out->report_len == 0 || out->manifest_len == 0)
		return because(a, RC_MACHINE, "the report or its manifest is empty");
	return RC_OK;
}

static enum rc make_dir(struct asking *a)
{
	static atomic_uint next;
	int err = -EEXIST, i, n;

	for (i = 0; i < NAMES && err == -EEXIST; i++) {
		n = snprintf(a->dir, sizeof(a->dir), "%s/svsm-kms-%ld-%u", a->t->dir, (long)getpid(),
			     atomic_fetch_add(&next, 1));
		if (n < 0 || (size_t)n >= sizeof(a->dir))
			return because(a, RC_MACHINE, "the name of the directory is too long");
		err = a->t->ops->make(a->t->ctx, a->dir);
	}
	if (err == -EACCES || err == -EPERM) {
		n = snprintf(a->dir, sizeof(a->dir), "%s/" TSM_GIVEN, a->t->dir);
		a->given = n > 0 && (size_t)n < sizeof(a->dir);
		err = a->given ? 0 : err;
	}
	return err ? explain(a, "mkdir", -err) : RC_OK;
}

enum rc tsm_ask(const struct tsm *t, const uint8_t in[TSM_INBLOB], struct tsm_answer *out, char *why, size_t room)
{
	struct asking a = { .t = t, .why = why, .room = room };
	uint32_t generation = 0;
	enum rc rc = make_dir(&a);

	if (rc != RC_OK)
		return rc;
	rc = question(&a, in, &generation);
	if (rc == RC_OK)
		rc = answer(&a, generation, out);
	/* One that stays is a small leak in the kernel, and no reason to withhold the report. */
	if (!a.given)
		(void)t->ops->remove(t->ctx, a.dir);
	return rc;
}

enum rc tsm_inblob(struct slice nonce, uint8_t out[TSM_INBLOB])
{
	if (nonce.len == 0 || nonce.len > ATTEST_NONCE_MAX)
		return RC_BAD_INPUT;
	if (nonce.len != TSM_INBLOB)
		return crypto_sha512(&nonce, 1, out);
	memcpy(out, nonce.p, TSM_INBLOB);
	return RC_OK;
}

/* ---- the real file system ---- */

static int linux_make(void *ctx, const char *dir)
{
	(void)ctx;
	return mkdir(dir, 0700) == 0 ? 0 : -errno;
}

static int linux_remove(void *ctx, const char *dir)
{
	(void)ctx;
	return rmdir(dir) == 0 ? 0 : -errno;
}

/* In one write: an attribute takes its value whole. */
static int linux_write(void *ctx, const char *file, struct slice value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;
	ssize_t n;

	(void)ctx;
	if (fd < 0)
		return -errno;
	n = write(fd, value.p, value.len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != value.len)
		err = -EIO;
	if (close(fd) != 0 && !err)
		err = -errno;
	return err;
}

static ssize_t linux_read(void *ctx, const char *file, uint8_t *buf, size_t room)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t len = 0;
	uint8_t more;
	ssize_t n;

	(void)ctx;
	if (fd < 0)
		return -errno;
	for (;;) {
		n = read(fd, len < room ? buf + len : &more, len < room ? room - len : 1);
		if (n <= 0)
			break;
		if (len == room) {
			n = -1;
			errno = EFBIG;
			break;
		}
		len += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)len;
	close(fd);
	return n;
}

const struct tsm_ops tsm_linux = {
	.make = linux_make,
	.remove = linux_remove,
	.write = linux_write,
	.read = linux_read,
};
