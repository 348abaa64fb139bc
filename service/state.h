/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service remembers. Private to service/.
 *
 * Locks: `lock` protects config, keys and store. Every call on behalf of a user holds it for reading;
 * COMMIT, CONFIG and the loading of records hold it for writing. `txn.lock` protects staged changes
 * and is taken inside `lock`.
 */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H

#include <pthread.h>

#include "service/auth.h"
#include "service/chain.h"
#include "service/clock.h"
#include "service/config.h"
#include "service/dtoken.h"
#include "service/keys.h"
#include "service/keytab.h"
#include "service/krb.h"
#include "service/owner.h"
#include "service/seal.h"
#include "service/service.h"
#include "service/txn.h"

struct svc {
	struct svc_options opt;
	pthread_rwlock_t lock;
	struct config *config;		/* NULL before the first CONFIG */
	struct signed_by config_by;
	uint8_t config_hash[CRYPTO_HASH_LEN];	/* of what is in force, secrets left out if it is not signed */
	struct keys keys, tokens, secrets;	/* by kind: svc_table() */
	struct dtoken_counts dtokens;
	struct store store;
	struct txn txn;
	struct clock clock;
	struct signer signer;
	struct chain chain;
	uint8_t upload_key[CRYPTO_UPLOAD_KEY_LEN];	/* the public half; zeros without a store */
	struct krb_replay replay;	/* bucket NULL: no configuration has asked for Kerberos yet */
	struct svc_worker *workers[CALL_LANES_MAX];	/* for svc_panic_wipe(); made before the first call */
	/* the ephemeral key of a recovery in progress */
	uint8_t recover_key[CRYPTO_DER_MAX];
	size_t recover_len;
};

static inline struct keys *svc_table(struct svc *s, uint8_t kind)
{
	return kind == KIND_TOKEN ? &s->tokens : kind == KIND_SECRET ? &s->secrets : &s->keys;
}
static inline uint64_t svc_memory(const struct svc *s)
{
	return s->keys.bytes + s->tokens.bytes + s->secrets.bytes;
}

#define SMALL_REQ CALL_PAGE
struct svc_worker {
	struct svc *svc;
	struct crypto *crypto;
	struct crypto_random random;
	uint8_t *big;			/* private copy of a large request, as long as it lasts */
	size_t big_len;
	uint16_t number;
	struct chain_out *chain;
	uint8_t small[SMALL_REQ];
	char cookie[WIRE_COOKIE_MAX];
	char mark[WIRE_USER_MAX + 1], short_name[WIRE_USER_MAX], acted[WIRE_USER_MAX];
	struct krb_identity identity;
	char arg[4096];
	/* the master key of delegation tokens that was used last: of that root and owner, with that number */
	struct crypto_mac_key dt_key;
	uint64_t dt_root;
	uint8_t dt_owner[32];
	uint64_t dt_number;
};

/* One call in progress. */
struct op {
	struct svc *s;
	struct svc_worker *w;
	const struct config *cfg;
	struct cursor in;		/* private copy of the request */
	struct sink out;		/* the answer's body, in place */
	struct wire_ans ans;		/* what goes around it */
	/* who calls; see struct caller */
	struct slice user, mark;
	const struct user_groups *static_groups;	/* NULL: not in the static mapping */
	struct cursor os_groups;	/* as the proxy looked them up; used only where allowed */
	uint32_t call;
	struct slice reply;	/* of the Kerberos acceptor, for the client */
	bool by_token;		/* a delegation token said so: doAs does not count */
	uint64_t now;
	/* for the audit chain */
	struct slice peer, claimed;
	bool shown;			/* some credential */
	uint64_t ticket;		/* of what was staged */
	size_t chain_from;		/* this call's entries in w->chain */
	struct chain_loss loss;
};

typedef enum wire_err (*op_handler)(struct op *o);

/* Puts an event on the answer. Key may be {0}: none. */
void op_event(struct op *o, enum wire_event_status status, unsigned what, const struct slice *key);
/* Remembers the text argument of an error (copied into the worker). */
void op_arg(struct op *o, struct slice text);
enum wire_err op_fail_num(struct op *o, enum wire_err e, uint64_t a, uint64_t b);
/*
 * E_TOO_BIG if this body may not fit with all that goes around it; one more event will name the key. Asked before a change
 * is reserved, and before a secret is written: what stands in the answer's page has been said, and a call that is to be
 * made again is in no audit chain.
 */
enum wire_err op_room(struct op *o, size_t body, struct slice key);
#define KV_LEN(name, material) (10 + (name) + (material))	/* what wire_kv_put() writes */

/* ops_key.c, ops_eek.c, ops_store.c */
enum wire_err op_auth(struct op *o);
enum wire_err op_admin(struct op *o);
enum wire_err op_keytab(struct op *o);
enum wire_err op_create(struct op *o);
enum wire_err op_import(struct op *o);
enum wire_err op_delete(struct op *o);
enum wire_err op_roll(struct op *o);
enum wire_err op_invalidate(struct op *o);
enum wire_err op_names(struct op *o);
enum wire_err op_metadata(struct op *o);
enum wire_err op_metadatas(struct op *o);
enum wire_err op_current(struct op *o);
enum wire_err op_version_get(struct op *o);
enum wire_err op_versions(struct op *o);
enum wire_err op_generate(struct op *o);
enum wire_err op_decrypt(struct op *o);
enum wire_err op_reencrypt(struct op *o);
enum wire_err op_reencrypt_batch(struct op *o);
enum wire_err op_hello(struct op *o);
enum wire_err op_config(struct op *o);
enum wire_err op_config_signed(struct op *o);
enum wire_err op_status(struct op *o);
enum wire_err op_store_create(struct op *o);
enum wire_err op_store_open(struct op *o);
enum wire_err op_store_load(struct op *o);
enum wire_err op_store_ready(struct op *o);
enum wire_err op_head(struct op *o);
enum wire_err op_commit(struct op *o);
enum wire_err op_abort(struct op *o);
enum wire_err op_slot_recovery(struct op *o);
enum wire_err op_recover_begin(struct op *o);
enum wire_err op_recover_finish(struct op *o);
enum wire_err op_acl_check(struct op *o);

/* ops_dtoken.c */
enum wire_err op_dt_get(struct op *o);
enum wire_err op_dt_renew(struct op *o);
enum wire_err op_dt_cancel(struct op *o);
enum wire_err op_dt_expire(struct op *o);

#endif
