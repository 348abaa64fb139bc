/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The acceptor of Kerberos: a GSS token of a client (SPNEGO, RFC 4178, or Kerberos alone, RFC 4121) in, the proven
 * name of the client and the token of the answer out. One leg, no state between tokens but the cache of replays.
 *
 * Trusted: the keys of the keytab, the time that the caller says, libcrypto. Every byte of the token is hostile; the
 * ticket's server name and key version only choose a key, nothing in the token is believed before its integrity is
 * proven with that key. Encryption types: AES with SHA-1 (RFC 3962) and SHA-2 (RFC 8009); RC4 and DES are refused.
 */
#ifndef SERVICE_KRB_H
#define SERVICE_KRB_H

#include <pthread.h>

#include "base/base.h"
#include "crypto/crypto.h"

#define KRB_PRINCIPAL_MAX 512u	/* bytes of "primary/instance@REALM" */
#define KRB_TOKEN_MAX 65536u	/* longer ones are defective */
#define KRB_REPLY_MAX 512u
#define KRB_KEYTAB_MAX (1u << 20)
#define KRB_KEYS_MAX 4096u	/* usable entries of a keytab */

/* The usable keys of a keytab: immutable, wiped when freed. */
struct krb_keys;
/*
 * A keytab file, format 0x0502 (MIT's keytab.txt). Deleted entries (holes) and those of refused encryption types are
 * passed over. RC_BAD_INPUT: not such a file or nothing usable in it, *why says what to do; RC_NO_ROOM: no memory.
 * The file's bytes are not kept.
 */
enum rc krb_keytab_parse(struct slice file, struct krb_keys **out, const char **why);
void krb_keytab_free(struct krb_keys *k);	/* NULL is fine */
void krb_keytab_wipe(struct krb_keys *k);	/* NULL too; what is left has no entries and is to be freed */
size_t krb_keytab_count(const struct krb_keys *k);
/* "primary/instance@REALM" of entry i: valid as long as the keys; for status pages and "does my principal have a key". */
struct slice krb_keytab_principal(const struct krb_keys *k, size_t i);
/* The realm of the first entry. */
struct slice krb_keytab_realm(const struct krb_keys *k);
/* Is there a key for this entry of `principals` (below)? */
MUST_CHECK bool krb_keytab_serves(const struct krb_keys *k, struct slice principal);

/*
 * The authenticators that were accepted and could be accepted again, by hash. An entry stays as long as its time is within
 * the skew, and nothing pushes one out before: a full cache refuses (KRB_BUSY). What is as old as one that has gone is
 * refused (KRB_FORGOTTEN), should it be within the skew once more: because a reload has raised that, or a worker has read
 * its clock long ago. Only requests that passed every other check enter, and
 * one client may hold a quarter of it at most, so that it takes several clients of the realm to fill it.
 * Memory grows with what is live: 32 bytes an entry and 272 KiB, 8.3 MiB at most. Has its own lock.
 */
#define KRB_REPLAY_ENTRIES (1u << 18)
#define KRB_REPLAY_SHARE (KRB_REPLAY_ENTRIES / 4)
struct krb_replay_chunk;
struct krb_replay {
	pthread_mutex_t lock;
	struct secret salt;		/* of the hashes, so that nobody chooses where he is put */
	uint32_t *bucket;
	uint32_t *share;
	struct krb_replay_chunk *chunk[64];
	uint32_t made, live, max, oldest, newest, free;
	uint32_t since;			/* all that was accepted and made then or later is there; in TICKs */
};
/* RC_MACHINE: no randomness; RC_NO_ROOM: no memory. */
enum rc krb_replay_init(struct krb_replay *r, struct crypto *c, struct crypto_random *random);
/* Forgets all, and frees. A zeroed one is fine. */
void krb_replay_wipe(struct krb_replay *r);

struct krb_accept_options {
	const struct krb_keys *keys;
	/* "HTTP/host.example", with or without "@REALM"; or "*": every HTTP/... of the keytab */
	const struct slice *principals;
	size_t nprincipals;
	uint64_t now_ms;		/* since 1970 */
	uint64_t skew_ms;
	struct crypto_random *random;	/* the worker's */
};

enum krb_result {
	KRB_OK = 0,
	KRB_CONTINUE,	/* Kerberos was offered, but the token is another mechanism's or missing: send out->reply with a 401 */
	KRB_DEFECTIVE,	/* not a token, or not DER as the RFCs say */
	KRB_MECHANISM,	/* NTLM or another mechanism alone */
	KRB_ETYPE,	/* RC4, DES or another encryption type that is refused */
	KRB_NO_KEY,	/* the keytab lacks the ticket's key version or encryption type */
	KRB_NOT_US,	/* the ticket is for another server name */
	KRB_INTEGRITY,	/* ticket or authenticator do not decrypt */
	KRB_MISMATCH,	/* authenticator and ticket name different clients */
	KRB_EXPIRED,
	KRB_NOT_YET,
	KRB_SKEW,
	KRB_REPLAY,
	KRB_FORGOTTEN,	/* so old that it cannot be told from a replay */
	KRB_BUSY,	/* the cache of replays is full of live entries */
	KRB_FLAGS,	/* user-to-user, DCE style, invalid or anonymous ticket, no GSS checksum */
	KRB_REALM,	/* came through realms that no KDC has checked */
	KRB_NAME,	/* the client's name has characters that no rule may see */
	KRB_MIC,	/* the mechanism list was changed on the way */
	KRB_MACHINE,	/* libcrypto, randomness or memory failed */
	KRB_RESULT_COUNT
};

struct krb_identity {
	uint64_t ends_ms;		/* of the ticket */
	size_t principal_len, reply_len;
	uint8_t principal[KRB_PRINCIPAL_MAX];	/* "primary/instance@REALM", with no '/', '@', '\' or control inside a part */
	uint8_t reply[KRB_REPLY_MAX];	/* for "WWW-Authenticate: Negotiate"; empty: none */
};

/*
 * One token. On KRB_OK *out is the client's identity and the answer; on KRB_CONTINUE only the answer is set, otherwise
 * *out is zero. May be called by several threads with the same keys and cache.
 *
 * As MIT's acceptor does without bindings of its own, channel bindings are not looked at. Delegated credentials are passed over.
 * A client of another realm is accepted if the KDC of ours vouches for the way (TRANSITED-POLICY-CHECKED) or nobody is
 * between the two. Tickets bound to addresses are accepted: the peer's address is told by somebody we do not trust.
 */
enum krb_result krb_accept(struct crypto *c, const struct krb_accept_options *o, struct krb_replay *r,
			   struct slice token, struct krb_identity *out);

/* One line in the manner of GSS-API, without quotes or controls, and what to do. */
const char *krb_result_text(enum krb_result r);

#endif
