/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that work on a data directory without a server: they start a service of their own in its
 * sandbox, and let it open and check the store as a server's would. The only header of proxy/ that the
 * command line includes.
 *
 * channel: "process" or "svsm:DEVICE", NULL: as the configuration says. The service at VMPL0 is for one program at a
 * time: not while a server has it.
 */
#ifndef PROXY_OFFLINE_H
#define PROXY_OFFLINE_H

#include "base/base.h"

struct core_error {
	char text[1400];	/* what happened, and what to do */
	int exit_code;
};

struct offline_report {
	uint64_t keys, tokens, epoch, file_bytes, memory;
	uint8_t store_id[16];
	bool recovery_slot;
	const char *isolation;	/* constant */
};

/*
 * Checks structure, seals, and that nothing is missing or old, of the last commit at the time of the call.
 * Works beside a running server, however fast it changes the store; the server's file may grow meanwhile.
 */
enum rc offline_verify(const char *data, const char *conf, const char *channel, struct offline_report *r,
		       struct core_error *err);

/*
 * Writes a consistent copy of the store to a new file (0600), and checks that very copy as offline_verify()
 * does, and that it has a recovery keyslot: the report is about it. A copy that is not good is removed. It is
 * a whole store: put it in place as store.mdb, then recover. Works beside a running server.
 */
enum rc offline_export(const char *data, const char *file, const char *channel, struct offline_report *r,
		       struct core_error *err);

/*
 * Gives the store a platform keyslot for this machine. `unwrap` is given the recovery slot and the public
 * key (DER) of the service's moment, and returns the blob for it: store_id[16] and the wrapped data root,
 * 162 bytes. The recovery key itself never leaves the caller.
 */
#define OFFLINE_RECOVER_LEN (16 + 1 + 97 + 16 + 32)
typedef enum rc (*offline_unwrap)(void *ctx, struct slice slot, struct slice public_der,
				  uint8_t out[OFFLINE_RECOVER_LEN], struct core_error *err);
enum rc offline_recover(const char *data, const char *channel, offline_unwrap unwrap, void *ctx,
			struct offline_report *r, struct core_error *err);

/*
 * What a configuration directory says to the core, as the server would send it (wire/msg.h, config_req), for an
 * owner to sign, but for the secrets: a bundle is read by others. body is malloc()ed; recovery is the public key (DER) that the
 * configuration names for the recovery keyslot, if any.
 */
struct offline_config {
	uint8_t *body;
	size_t len;
	uint8_t recovery[1024];
	size_t recovery_len;
	bool kerberos;		/* the core will need a keytab for it */
	bool signature_secret;	/* the configuration has one; it is not in the body */
};
enum rc offline_config(const char *conf, struct offline_config *out, struct core_error *err);

/*
 * Judges a configuration directory for `svsm-kms doctor`: one or more lines for each check. Texts are valid during the
 * call of say; remedy is NULL where there is nothing to do. data may be NULL: the configured directory.
 */
enum offline_level { OFFLINE_OK, OFFLINE_WARN, OFFLINE_FAIL };
typedef void (*offline_say)(void *ctx, enum offline_level level, const char *what, const char *remedy, const char *found);
void offline_judge(const char *conf, const char *data, offline_say say, void *ctx);

/* Which rule decides whether user may do op on key. data may be NULL: then no key exists. */
enum rc offline_acl(const char *conf, const char *data, const char *user, const char *op, const char *key,
		    bool *allowed, char *rule, size_t room, struct core_error *err);

#endif
