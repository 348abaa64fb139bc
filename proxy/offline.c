/* SPDX-License-Identifier: Apache-2.0 */
/* See offline.h. Each command is a short life of a server without its sockets. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/kms.h"
#include "proxy/offline.h"

#define RECOVERY_SLOT 1

__attribute__((format(printf, 3, 4))) static enum rc fail(struct core_error *err, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	err->exit_code = code;
	return RC_MACHINE;
}

/* How a store is read beside a server that may be running: all of it from one commit. */
static const struct store_options one_state = { .read_only = true, .snapshot = true };

static void close_all(struct kms *k)
{
	channel_close(k->channel);
	store_close(k->store);
	settings_free(k->settings);
	conf_free(k->conf);
	k->channel = NULL;
	k->store = NULL;
	k->settings = NULL;
	k->conf = NULL;
}

static enum rc open_conf(struct kms *k, const char *conf, const char *channel, struct core_error *err)
{
	enum rc rc;

	k->workers = 1;
	pthread_mutex_init(&k->control, NULL);
	pthread_mutex_init(&k->status_lock, NULL);
	rc = setup_conf(conf, &k->conf, &k->settings, err);
	return rc == RC_OK ? setup_choose_channel(k, channel, err) : rc;
}

/* Service and configuration; the store must be open. */
static enum rc open_core(struct kms *k, const char *data, bool make_key, struct core_error *err)
{
	SECRET key = { 0 };
	enum rc rc = *k->device ? RC_OK : setup_platform_key(data, make_key, &key, err);

	if (rc == RC_OK)
		rc = setup_channel(k, &key, err);
	if (rc == RC_OK)
		rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), err);
	return rc;
}

static enum rc fill_report(struct kms *k, struct offline_report *r, struct core_error *err)
{
	struct wire_status st;
	struct store_stat stat;
	struct store_error serr;
	bool slots[256];

	if (core_status(k, &st) != RC_OK)
		return fail(err, 70, "the key service does not answer");
	if (store_stat(k->store, &stat, &serr) != RC_OK || store_keyslot_list(k->store, slots, &serr) != RC_OK)
		return fail(err, serr.exit_code, "%s", serr.text);
	*r = (struct offline_report){
		.keys = st.keys,
		.tokens = st.tokens,
		.epoch = st.epoch,
		.memory = st.memory,
		.file_bytes = stat.file_bytes,
		.recovery_slot = slots[RECOVERY_SLOT],
		.isolation = boot_isolation_name(st.isolation),
	};
	memcpy(r->store_id, st.store_id, sizeof(r->store_id));
	return RC_OK;
}

/* Has a core open and check the store that k has, which does not change meanwhile. */
static enum rc verify_open(struct kms *k, const char *data, struct offline_report *r, struct core_error *err)
{
	enum rc rc = open_core(k, data, false, err);

	if (rc == RC_OK)
		rc = core_open_store(k, false, true, err);
	return rc == RC_OK ? fill_report(k, r, err) : rc;
}

enum rc offline_verify(const char *data, const char *conf, const char *channel, struct offline_report *r,
		       struct core_error *err)
{
	struct kms k = { 0 };
	enum rc rc = open_conf(&k, conf, channel, err);

	if (rc == RC_OK)
		rc = setup_store(&k, data, &one_state, err);
	if (rc == RC_OK)
		rc = verify_open(&k, data, r, err);
	close_all(&k);
	return rc;
}

/* Writes the last commit to a new file. */
static enum rc write_copy(struct kms *k, const char *data, int fd, const char *file, struct core_error *err)
{
	const struct store_options opt = { .read_only = true };
	struct store_error serr;
	enum rc rc = setup_store(k, data, &opt, err);

	if (rc == RC_OK && store_backup_fd(k->store, fd, &serr) != RC_OK)
		rc = fail(err, serr.exit_code, "%s", serr.text);
	if (rc == RC_OK && fsync(fd) != 0)
		rc = fail(err, 74, "%s: %s", file, strerror(errno));
	close_all(k);
	return rc;
}

/* Whether the key of this machine opens all that the copy has, and the owner's key would. */
static enum rc verify_copy(struct kms *k, const char *data, const char *file, const char *channel,
			   struct offline_report *r, struct core_error *err)
{
	struct store_error serr;
	enum rc rc = open_conf(k, NULL, channel, err);

	if (rc == RC_OK && store_open_copy(file, &k->store, &serr) != RC_OK)
		rc = fail(err, serr.exit_code, "%s", serr.text);
	if (rc == RC_OK)
		rc = verify_open(k, data, r, err);
	if (rc == RC_OK && !r->recovery_slot)
		rc = fail(
			err, 78,
			"the store has no recovery keyslot, so a copy could be opened on this machine only. Set "
			"svsm.kms.recovery.public-key, start the server once, and export again");
	close_all(k);
	return rc;
}

enum rc offline_export(const char *data, const char *file, const char *channel, struct offline_report *r,
		       struct core_error *err)
{
	struct kms k = { 0 };
	enum rc rc;
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(err, 73, "%s: %s; choose a file that is not there yet", file, strerror(errno));
	rc = write_copy(&k, data, fd, file, err);
	close(fd);
	if (rc == RC_OK)
		rc = verify_copy(&k, data, file, channel, r, err);
	if (rc != RC_OK)
		unlink(file);
	return rc;
}

/* The service's key of the moment goes to the owner's side, the wrapped root comes back as a keyslot. */
static enum rc recover_slot(struct kms *k, struct slice slot, offline_unwrap unwrap, void *ctx,
			    struct core_error *err)
{
	struct channel_lane *l = channel_lane(k->channel, CHANNEL_CONTROL);
	uint8_t blob[OFFLINE_RECOVER_LEN], body[2 + OFFLINE_RECOVER_LEN];
	struct sink s = sink_of(body, sizeof(body));
	struct store_error serr;
	struct slice text;
	struct wire_ans ans;
	uint32_t e;
	int n;
	enum rc rc;

	if (core_call(l, CALL_RECOVER_BEGIN, slice_of("", 0), &n, &e, &ans) != RC_OK)
		return fail(err, 70, "the key service does not answer");
	if (e != E_OK || !cur_str16(&ans.body, UINT16_MAX, &text))
		rc = fail(err, 70, "the key service makes no key for the recovery");
	else
		rc = unwrap(ctx, slot, text, blob, err);
	channel_slot_release(l, n);
	if (rc != RC_OK)
		return rc;
	wire_blob_req_put(&s, slice_of(blob, sizeof(blob)));
	if (core_call(l, CALL_RECOVER_FINISH, slice_of(body, s.need), &n, &e, &ans) != RC_OK)
		return fail(err, 70, "the key service does not answer");
	if (e != E_OK || !cur_str16(&ans.body, UINT16_MAX, &text)) {
		core_error_text(channel_isolation(k->channel), e, &ans, err->text, sizeof(err->text));
		err->exit_code = 65;
		rc = RC_DENIED;
	} else if (store_keyslot_put(k->store, 0, text, &serr) != RC_OK) {
		rc = fail(err, serr.exit_code, "%s", serr.text);
	}
	channel_slot_release(l, n);
	return rc;
}

enum rc offline_recover(const char *data, const char *channel, offline_unwrap unwrap, void *ctx,
			struct offline_report *r, struct core_error *err)
{
	const struct store_options opt = { .create = false };
	struct store_buf slot = { 0 };
	struct store_error serr;
	struct kms k = { 0 };
	char key[PATH_MAX];
	bool had_key = snprintf(key, sizeof(key), "%s/platform.key", data) < (int)sizeof(key) && access(key, F_OK) == 0;
	enum rc rc = open_conf(&k, NULL, channel, err);

	if (rc == RC_OK)
		rc = setup_store(&k, data, &opt, err);
	if (rc == RC_OK && store_keyslot_get(k.store, RECOVERY_SLOT, &slot, &serr) != RC_OK)
		rc = fail(err, serr.exit_code, "%s", serr.text);
	if (rc == RC_OK && !slot.found)
		rc = fail(
			err, 65,
			"the store has no recovery keyslot: only the machine that it was made on can open it");
	if (rc == RC_OK)
		rc = open_core(&k, data, true, err);
	if (rc == RC_OK) {
		rc = recover_slot(&k, slice_of(slot.p, slot.len), unwrap, ctx, err);
		if (rc != RC_OK && !had_key && !*k.device)
			unlink(key);	/* it opens nothing */
	}
	if (rc == RC_OK)
		rc = core_open_store(&k, false, true, err);
	if (rc == RC_OK)
		rc = fill_report(&k, r, err);
	store_buf_free(&slot);
	close_all(&k);
	return rc;
}

static bool op_number(const char *name, uint8_t *op)
{
	for (*op = 1; *op < OP_COUNT; (*op)++)
		if (strcasecmp(wire_op_name(*op), name) == 0)
			return true;
	return false;
}

static enum rc ask_acl(struct kms *k, const char *user, uint8_t op, const char *key, bool *allowed, char *rule,
		       size_t room, struct core_error *err)
{
	struct channel_lane *l = channel_lane(k->channel, CHANNEL_CONTROL);
	struct wire_acl_req m = { .op = op, .key = slice_str(key) };
	struct group_cache *groups = groups_new();
	OUTBUF body = { 0 };
	uint8_t *to = outbuf_room(&body, CALL_LARGE_LEN / 4);
	struct sink s = sink_of(to, to ? CALL_LARGE_LEN / 4 : 0);
	struct wire_ans ans;
	struct slice text;
	uint8_t yes = 0;
	uint32_t e = E_INTERNAL;
	enum rc rc;
	int n;

	m.cred.has_user = true;
	m.cred.user = slice_str(user);
	m.cred.group = cur_of(NULL, 0);
	m.cred.group_user = m.cred.user;
	if (groups && settings_bool(k->settings, SET_GROUPS_OS))
		m.cred.group = groups_of(groups, m.cred.user, &m.cred.groups);
	wire_acl_req_put(&s, &m);
	groups_free(groups);
	if (!sink_ok(&s) || core_call(l, CALL_ACL_CHECK, slice_of(to, s.need), &n, &e, &ans) != RC_OK)
		return fail(err, 70, "the key service does not answer");
	if (e != E_OK || !cur_u8(&ans.body, &yes) || !cur_str16(&ans.body, UINT16_MAX, &text)) {
		rc = fail(err, 2,
			  "the key service does not understand the question (names may have %u bytes)",
			  WIRE_NAME_MAX);
	} else {
		*allowed = yes;
		snprintf(rule, room, "%.*s", (int)text.len, (const char *)text.p);
		rc = RC_OK;
	}
	channel_slot_release(l, n);
	return rc;
}

enum rc offline_config(const char *dir, struct offline_config *out, struct core_error *err)
{
	OUTBUF body = { .max = CALL_LARGE_LEN - 2048 };
	struct kms k = { 0 };
	enum rc rc = open_conf(&k, dir, "process", err);	/* nothing is opened */

	if (rc == RC_OK)
		rc = core_config_body(k.settings, k.conf, false, &body, err);
	*out = (struct offline_config){ .recovery_len = sizeof(out->recovery),
					.kerberos = rc == RC_OK && settings_kerberos(k.settings),
					.signature_secret = rc == RC_OK && settings_signature_secret(k.settings).len };
	if (rc == RC_OK && *settings_str(k.settings, SET_RECOVERY_KEY))
		rc = recovery_read_pem(settings_str(k.settings, SET_RECOVERY_KEY), out->recovery, sizeof(out->recovery),
				       &out->recovery_len, err);
	else
		out->recovery_len = 0;
	if (rc == RC_OK) {
		out->body = malloc(body.len);
		out->len = body.len;
		if (out->body)
			memcpy(out->body, body.p, body.len);
		else
			rc = fail(err, 71, "no memory");
	}
	if (body.p)
		mem_wipe(body.p, body.len);
	close_all(&k);
	return rc;
}

enum rc offline_acl(const char *conf, const char *data, const char *user, const char *op, const char *key,
		    bool *allowed, char *rule, size_t room, struct core_error *err)
{
	const struct secret no_key = { 0 };
	struct kms k = { 0 };
	uint8_t number;
	enum rc rc;

	if (!op_number(op, &number))
		return fail(err, 2, "no operation is called %.60s; see OP in `svsm-kms acl check --help`", op);
	rc = open_conf(&k, conf, data ? NULL : "process", err);	/* ACLs alone are no secret: any core will do */
	if (rc == RC_OK && data) {
		rc = setup_store(&k, data, &one_state, err);
		if (rc == RC_OK)
			rc = open_core(&k, data, false, err);
		if (rc == RC_OK)
			rc = core_open_store(&k, false, true, err);
	} else if (rc == RC_OK) {
		rc = setup_channel(&k, &no_key, err);
		if (rc == RC_OK)
			rc = core_configure(&k, channel_lane(k.channel, CHANNEL_CONTROL), err);
	}
	if (rc == RC_OK)
		rc = ask_acl(&k, user, number, key, allowed, rule, room, err);
	close_all(&k);
	return rc;
}
