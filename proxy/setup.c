/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, platform key, service and store: what every command that runs a core needs first. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/kms.h"
#include "wire/uapi.h"

#define EXIT_CONFIG 78	/* sysexits: configuration error */

__attribute__((format(printf, 3, 4))) static enum rc fail(struct core_error *err, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	err->exit_code = code;
	return RC_MACHINE;
}

enum rc setup_conf(const char *dir, struct conf **conf, struct settings **settings, struct core_error *err)
{
	struct conf_error cerr;
	enum rc rc = dir ? conf_load_dir(dir, conf, &cerr) : conf_default(conf, &cerr);

	if (rc == RC_OK) {
		rc = settings_read(*conf, settings, &cerr);
		if (rc != RC_OK) {
			conf_free(*conf);
			*conf = NULL;
		}
	}
	return rc == RC_OK ? RC_OK : fail(err, EXIT_CONFIG, "%s", cerr.text);
}

bool setup_is_loopback(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	char host[INET_ADDRSTRLEN];
	struct in_addr a;

	if (strncmp(listen, "localhost:", 10) == 0 || strncmp(listen, "[::1]:", 6) == 0)
		return true;
	if (!colon || (size_t)(colon - listen) >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - listen), listen);
	return inet_pton(AF_INET, host, &a) == 1 && (ntohl(a.s_addr) >> 24) == 127;
}

void setup_notices(const struct settings *s)
{
	const struct settings_notice *n;
	size_t at = 0;

	while ((n = settings_notice_next(s, &at)))
		fprintf(stderr, "svsm-kms: %s%s\n", n->level == SETTINGS_WARNING ? "warning: " : "", n->text);
}

static enum rc check_key_file(int fd, const char *path, struct core_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fail(err, EXIT_CONFIG, "%s is not a file", path);
	if (st.st_mode & 077)
		return fail(err, EXIT_CONFIG,
			    "%s can be read by others, and it opens the store: chmod 600 it, and think "
			    "about who may have read it",
			    path);
	if (st.st_uid != geteuid())
		return fail(err, EXIT_CONFIG,
			    "%s belongs to another user: chown it to the one who runs this server", path);
	return RC_OK;
}

static bool sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Written under another name and renamed, so that a crash leaves a whole key or none. */
static enum rc make_key(const char *data, const char *path, struct secret *key, struct core_error *err)
{
	char tmp[PATH_MAX + 8];
	bool ok;
	int fd;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, EXIT_CONFIG, "%s: cannot be made: %s", tmp, strerror(errno));
	ok = getrandom(key->b, sizeof(key->b), 0) == (ssize_t)sizeof(key->b) &&
	     write(fd, key->b, sizeof(key->b)) == (ssize_t)sizeof(key->b) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (!ok || rename(tmp, path) != 0 || !sync_directory(data)) {
		unlink(tmp);
		return fail(err, 74, "%s: cannot be written: %s; free some space", path, strerror(errno));
	}
	return RC_OK;
}

enum rc setup_platform_key(const char *data, bool create, struct secret *key, struct core_error *err)
{
	char path[PATH_MAX];
	uint8_t more;
	ssize_t n;
	enum rc rc;
	int fd;

	if (snprintf(path, sizeof(path), "%s/platform.key", data) >= (int)sizeof(path) - 8)
		return fail(err, EXIT_CONFIG, "the name of the data directory is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);	/* a pipe must not keep us waiting */
	if (fd < 0 && errno == ENOENT && create)
		return make_key(data, path, key, err);
	if (fd < 0)
		return fail(err, EXIT_CONFIG,
			    "%s: %s. It is the key that opens the store; put it back, or run `svsm-kms "
			    "store recover` with the recovery key",
			    path, strerror(errno));
	rc = check_key_file(fd, path, err);
	if (rc == RC_OK) {
		n = read(fd, key->b, sizeof(key->b));
		if (n != (ssize_t)sizeof(key->b) || read(fd, &more, 1) != 0)
			rc = fail(err, EXIT_CONFIG, "%s must hold exactly 32 bytes. Put the right file back, or run "
				  "`svsm-kms store recover` with the recovery key", path);
	}
	close(fd);
	return rc;
}

/* Beside this program, or where `make install` puts it. */
static bool service_path(char *out, size_t room)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = 0;
	if (snprintf(out, room, "%s/svsm-kms-service", self) < (int)room && access(out, X_OK) == 0)
		return true;
	return snprintf(out, room, "%s/../libexec/svsm-kms/svsm-kms-service", self) < (int)room;
}

enum rc setup_choose_channel(struct kms *k, const char *option, struct core_error *err)
{
	const char *text = option ? option : k->settings ? settings_str(k->settings, SET_CHANNEL) : "process";

	*k->device = 0;
	if (strcmp(text, "process") == 0)
		return RC_OK;
	if (strcmp(text, "svsm") == 0)
		text = "svsm:" SVSM_DEVICE;
	if (strncmp(text, "svsm:/", 6) != 0 || strlen(text + 5) >= sizeof(k->device))
		return fail(err, EXIT_CONFIG, "%s is \"%.300s\"; write process, or svsm: and the device file (svsm:%s)",
			    option ? "--channel" : "svsm.kms.channel", text, SVSM_DEVICE);
	snprintf(k->device, sizeof(k->device), "%s", text + 5);
	return RC_OK;
}

static enum rc open_device(struct kms *k, struct core_error *err)
{
	struct channel_error cerr;

	if (channel_open_svsm(k->device, k->workers, &k->channel, &cerr) != RC_OK)
		return fail(err, 70, "%s", cerr.text);
	k->workers = channel_workers(k->channel);
	return RC_OK;
}

enum rc setup_channel(struct kms *k, const struct secret *key, struct core_error *err)
{
	struct channel_options o = { .workers = k->workers };
	struct channel_error cerr;
	char path[PATH_MAX];
	enum rc rc;

	if (*k->device)
		return open_device(k, err);
	if (!service_path(path, sizeof(path)))
		return fail(err, 70, "cannot find the program's own directory in /proc");
	o.service_path = path;
	if (k->settings) {
		o.pin = settings_bool(k->settings, SET_PIN);
		o.spin_us = (uint32_t)settings_int(k->settings, SET_SPIN_US);
	}
	memcpy(o.platform_key.b, key->b, sizeof(key->b));
	rc = channel_open_process(&o, &k->channel, &cerr);
	secret_wipe(&o.platform_key);
	return rc == RC_OK ? RC_OK : fail(err, 70, "%s", cerr.text);
}

enum rc setup_store(struct kms *k, const char *data, const struct store_options *opt, struct core_error *err)
{
	struct store_error serr;
	enum rc rc = store_open(data, opt, &k->store, &serr);

	if (rc == RC_OK)
		return RC_OK;
	(void)fail(err, serr.exit_code, "%s", serr.text);
	return rc;
}
