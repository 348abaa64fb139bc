/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the acceptor share. Private to service/krb*.c. */
#ifndef SERVICE_KRB_PRIV_H
#define SERVICE_KRB_PRIV_H

#include "crypto/krb.h"
#include "service/krb.h"

struct krb_entry {
	struct crypto_krb_key key;
	uint32_t kvno;
	bool kvno8;		/* the file says its low eight bits only */
	uint16_t len;		/* of the principal's text */
	uint8_t principal[KRB_PRINCIPAL_MAX];
};
struct krb_keys {
	size_t count;
	struct krb_entry entry[];
};

/* A principal's text as it is put together. */
struct krb_name {
	size_t len, parts;
	uint8_t b[KRB_PRINCIPAL_MAX];
};
/*
 * Adds a component, or with realm the realm. False: too long, empty, or a character that would make two different principals
 * look alike ('/', '@', '\') or that no log may see (controls).
 */
MUST_CHECK bool krb_name_add(struct krb_name *n, struct slice part, bool realm);

/* Is the full principal one that this entry of krb_accept_options.principals stands for? */
MUST_CHECK bool krb_principal_fits(struct slice wanted, struct slice full);

/*
 * Enters an authenticator of a client, made at made_ms, which is within the skew: KRB_OK, KRB_REPLAY, KRB_FORGOTTEN, KRB_BUSY
 * or KRB_MACHINE.
 */
enum krb_result krb_replay_enter(struct krb_replay *r, struct slice client, struct slice authenticator, uint64_t made_ms,
				 uint64_t now_ms, uint64_t skew_ms);

/* One AP-REQ, verified. */
struct krb_ap {
	struct krb_name client;
	struct slice authenticator;	/* its cipher text, in the caller's token: for the cache of replays */
	struct crypto_krb_key session, key;	/* key: the initiator's subkey, or the session key */
	uint64_t made_ms, ends_ms;
	uint32_t cusec;
	uint8_t ctime[15];
	bool mutual;
};
/*
 * Verifies the AP-REQ in `req` (RFC 4120 section 5.5.1) but for replay. work: as many bytes as req has, for decryption;
 * the caller wipes it, and *ap.
 */
enum krb_result krb_ap_verify(const struct krb_accept_options *o, struct slice req, uint8_t *work, struct krb_ap *ap);

#endif
