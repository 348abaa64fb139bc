/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's bundle: configuration that the store's owner signed, carried to the core as it is. This side
 * cannot make one, and what it says of the configuration files beside it is advice only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/kms.h"

enum rc owner_bundle_read(const struct conf *conf, struct outbuf *out, bool *found, struct core_error *err)
{
	const char *dir = conf_dir(conf);
	char path[1200];
	struct stat st;
	uint8_t *to;
	ssize_t n = -1;
	int fd;

	*found = false;
	if (!dir)
		return RC_OK;
	snprintf(path, sizeof(path), "%.1100s/" OWNER_BUNDLE, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return RC_OK;
	err->exit_code = 78;
	if (fd < 0) {
		snprintf(err->text, sizeof(err->text), "%s: %s; it has to be the server's user's own, or readable for it", path,
			 strerror(errno));
		return RC_BAD_INPUT;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= CALL_LARGE_LEN) {
		to = outbuf_room(out, (size_t)st.st_size);
		n = to ? read(fd, to, (size_t)st.st_size) : -1;
		if (n == st.st_size)
			outbuf_used(out, (size_t)n);
		else
			n = -1;
	}
	close(fd);
	if (n < 0) {
		snprintf(err->text, sizeof(err->text), "%s: cannot be read, or is not what `svsm-kms owner sign` wrote; "
			 "sign it again, or remove it if the store has no owner", path);
		return RC_BAD_INPUT;
	}
	*found = true;
	return RC_OK;
}

static enum rc keep(struct kms *k, struct core_error *err)
{
	static const uint8_t none[32];
	struct wire_status st;

	if (core_status_locked(k, &st) != RC_OK)
		return RC_OK;	/* it died: the restart comes here again */
	if (st.store == STORE_READY && st.config == CONFIG_NONE && memcmp(st.owner, none, sizeof(none)) != 0) {
		snprintf(err->text, sizeof(err->text),
			 "the store has an owner, and the configuration is not signed by the owner, or is older than one "
			 "that the store has seen. Put the owner's newest bundle into the configuration directory as "
			 OWNER_BUNDLE "; `svsm-kms owner sign` writes it");
		err->exit_code = 78;
		return RC_DENIED;
	}
	if (st.store == STORE_READY && st.keytab == KEYTAB_MISSING) {
		snprintf(err->text, sizeof(err->text),
			 "the authentication type needs Kerberos keys, and neither is there a keytab "
			 "(hadoop.kms.authentication.kerberos.keytab) nor has the store one%s. Put the keytab there for "
			 "one start",
			 memcmp(st.owner, none, sizeof(none)) != 0 ?
				 " of this owner's; `svsm-kms owner sign --keytab` sends one" : "");
		err->exit_code = 78;
		return RC_DENIED;
	}
	if (st.store == STORE_READY && st.keytab == KEYTAB_GIVEN &&
	    commit_call(k, CALL_KEYTAB, slice_of("", 0), "the Kerberos keys cannot be kept in the store", err) != RC_OK)
		return RC_MACHINE;
	if (st.keytab != KEYTAB_GIVEN && !st.owner_unsealed)
		return RC_OK;
	if (st.owner_unsealed && commit_head(k, err) != RC_OK)
		return RC_MACHINE;
	(void)!core_status_locked(k, &st);	/* for those who are told the last one known */
	return RC_OK;
}

enum rc owner_keep(struct kms *k, struct core_error *err)
{
	struct wire_status st;
	enum rc rc = keep(k, err);

	/* Durable over there: a service that is started again has it from the store. */
	if (rc == RC_OK && k->settings && core_status_locked(k, &st) == RC_OK && st.keytab == KEYTAB_SEALED)
		settings_keytab_forget(k->settings);
	return rc;
}
