/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMS proxy: Hadoop's REST interface on one side, calls to the service on the other. It translates
 * and carries; who somebody is and what he may do is decided in the service, and everything here treats
 * its answer as final. Private to proxy/.
 *
 * A request's way: route.c finds the endpoint, encode.c writes the call into a request slot, kms.c makes
 * all calls of a turn in one crossing, answer.c turns the answer into HTTP. Changes go through
 * commit.c first, which makes them durable.
 */
#ifndef PROXY_KMS_H
#define PROXY_KMS_H

#include <pthread.h>
#include <time.h>

#include "channel/channel.h"
#include "proxy/attest.h"
#include "proxy/audit.h"
#include "proxy/chainlog.h"
#include "proxy/metrics.h"
#include "proxy/offline.h"
#include "proxy/server.h"
#include "proxy/settings.h"
#include "proxy/store.h"
#include "proxy/throttle.h"
#include "proxy/tls.h"
#include "wire/msg.h"

/* What a path and method ask for. */
enum endpoint {
	EP_NONE,
	EP_OPTIONS,
	EP_CREATE,
	EP_IMPORT,
	EP_NAMES,
	EP_METADATAS,
	EP_METADATA,
	EP_CURRENT,
	EP_VERSIONS,
	EP_GENERATE,
	EP_ROLL,
	EP_INVALIDATE,
	EP_BATCH,
	EP_DELETE,
	EP_VERSION,
	EP_DECRYPT, /* and re-encrypt, by eek_op */
	EP_REENCRYPT,
	EP_NOT_FOUND, /* under /kms, but nothing there */
	EP_BAD_METHOD,
	EP_DELEGATION, /* on any path, by the parameter op */
	/* pages that ask who is there first */
	EP_FIRST_PAGE,
	EP_JMX = EP_FIRST_PAGE,
	EP_CONF,
	EP_STACKS,
	EP_PROM,
	EP_PAGE_METHOD, /* a page, but not with this method */
	EP_BAD_NAME,    /* characters that must be percent-encoded */
	EP_OUTSIDE,     /* not under /kms: a plain 404 */
	/* pages for everybody */
	EP_HEALTH,
	EP_ATTESTATION,
	EP_METRICS,
	EP_INDEX,
	EP_OPENAPI,
	EP_MISSING,	/* below /static, which is open */
	EP_BAD_PATH,	/* a percent code that is none */
	EP_COUNT
};

/* Operations on delegation tokens. */
enum delegation { DELEGATION_GET, DELEGATION_RENEW, DELEGATION_CANCEL };

struct route {
	enum endpoint ep;
	enum delegation delegation; /* of EP_DELEGATION */
	struct slice name;	/* decoded key name or version name; points into worker memory */
	const char *allow;	/* for EP_BAD_METHOD */
};

/* A refusal that the proxy itself finds: sent once the service has said who the caller is. */
struct refusal {
	unsigned status;		/* 0: none */
	const char *exception;		/* Java class; the part behind the last dot is the simple name */
	char message[512];
};

struct kms;
struct kms_worker;

enum work_state { WORK_FREE, WORK_CALLED, WORK_STAGED, WORK_BUSY, WORK_WAITING };

/* One request under way. */
struct work {
	struct work *next;
	struct kms_worker *w;
	struct server_conn *c;
	const struct http_request *r;
	enum work_state state;
	struct route route;
	enum wire_call call;
	enum kms_op op;
	int slot;
	bool large;
	bool unknown;	/* nobody who may ask was known to */
	enum metrics_credential shown;
	bool judged;	/* it is looked at only once whether it is to be turned away */
	uint64_t prints[2];	/* of its cookie and its token, for the throttle */
	bool has_material, has_description, has_body_name;
	/*
	 * A request that shows a Kerberos ticket is two calls: the first asks who it is (a ticket is good for once), the
	 * second is made with the cookie that the first gave, as often as it must be.
	 */
	enum { PROOF_NONE, PROOF_ASKED, PROOF_GIVEN } proof;
	struct outbuf proven_cookie;	/* which the first call gave; empty: none */
	struct outbuf proven_user;	/* whom the first call was answered for */
	struct outbuf group_user;	/* whose groups the core asked for; empty: it did not */
	unsigned groups_asked;		/* how often */
	struct outbuf gss;		/* what the client is to be told by Kerberos */
	uint32_t generation;	/* of the service, when the call was made */
	uint32_t names_generation;	/* of the names gathered so far */
	struct refusal refusal;
	struct timespec began;
	struct attest_job *attest;	/* EP_ATTESTATION */
	/* EP_NAMES: pages gathered so far; EP_METADATA...: unused */
	struct outbuf gathered;
	uint64_t from;
	size_t name_len, body_name_len, description_len;
	uint8_t name[WIRE_VERSION_NAME_MAX], body_name[WIRE_NAME_MAX], user[WIRE_USER_MAX + 1];
	uint8_t *description;	/* for the audit line; malloc */
	uint32_t result;	/* enum wire_err, with ans */
	struct wire_ans ans;
	/* WORK_STAGED */
	struct wire_staged staged;
	uint32_t outcome;	/* enum wire_err, or WORK_DIED, WORK_STORE */
	char *outcome_text;	/* WORK_STORE: what the store said; malloc */
};
#define WORK_DIED 1000u		/* the service died before the change was durable */
#define WORK_STORE 1001u	/* the store refused; nothing was changed */
#define WORK_ATTESTED 1002u	/* work->attest is done */

struct kms_worker {
	struct kms *k;
	unsigned number;
	struct channel_lane *lane;
	struct work *free;
	struct work *called, **called_end;	/* submitted since the last flush */
	struct work *busy, **busy_end;		/* wait for the commit of another change to their key */
	struct work *waiting, **waiting_end;	/* wait for a slot */
	struct outbuf body, headers, scratch;
	struct outbuf entries;	/* for the audit chain */
	uint8_t *decoded;	/* the path's name, decoded */
	size_t decoded_room;
	/* written by the commit thread */
	pthread_mutex_t done_lock;
	struct work *done, **done_end;
	uint32_t has_busy;	/* atomic */
	struct group_cache *groups;
	uint32_t asks_groups;	/* atomic: perhaps of the operating system, which may take long */
	/* of the credential being written */
	uint8_t do_as[WIRE_USER_MAX], token[WIRE_TOKEN_MAX], peer[16];
	struct outbuf negotiate, peer_names;
};

struct commit_queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct work *first, **end;
	unsigned queued;	/* in that list */
	unsigned writers;	/* changes that were under way at once when the last group ended */
	uint64_t took_ns;	/* the last group */
	bool stop, checkpoint;
	pthread_t thread;
	uint32_t turns;		/* atomic: groups finished */
};

/* Copies of settings that the request path reads. Never changed: a reload makes new ones, the old live on. */
struct hot_settings {
	const struct hot_settings *older;
	bool groups_os, cookie_persistent;
	bool negotiate;		/* tickets are looked at */
	bool admin_pages, admin_instrumentation;	/* pages for administrators only: some, the others too */
	uint32_t eek_max, dt_scan_s;
	char cookie_suffix[1024];	/* "; Path=..; Domain=.." */
	char whitelist[1024];		/* pages for everybody, "/jmx,/conf" */
};

#define CARRY_CHUNK 4080u	/* with its header one page of the store */
#define CARRY_CHUNKS ((4 + CHAINLOG_PIECE_MAX + CARRY_CHUNK - 1) / CARRY_CHUNK)

struct kms {
	struct channel *channel;
	struct store *store;
	struct server *server;
	struct audit *audit;
	struct chainlog *chain;		/* NULL: it is not kept */
	bool chain_taken_up;		/* once since this program's start */
	/* Entries of the chain that the store carries; with carried_known: so many items, and what is in them. */
	unsigned carried;
	bool carried_known;
	uint8_t carry[CARRY_CHUNKS][CARRY_CHUNK];
	struct metrics *metrics;
	struct attest *attest;
	struct tls *tls;	/* NULL: plain HTTP */
	struct peers *peers;
	struct throttle *throttle;
	struct throttle *unauthenticated;	/* of the lines that a 401 makes in kms-audit.log */
	uint64_t not_logged;		/* of these, left out by it; atomic */
	uint64_t turned_away;		/* requests, by it; atomic */
	struct settings *settings;
	struct conf *conf;
	pthread_rwlock_t settings_lock;	/* settings and conf may be replaced by a reload */
	pthread_mutex_t control;	/* the control lane */
	pthread_mutex_t status_lock;	/* of the two below: what the core last said of itself */
	struct wire_status status;
	bool status_known;		/* false while it is started again */
	struct kms_worker *worker;	/* one each */
	unsigned workers;
	char device[256];		/* of the service at VMPL0; empty: it is a process */
	struct commit_queue commits;
	uint64_t restarts;		/* of the service; atomic */
	uint64_t groups;		/* commits made; atomic */
	uint32_t at_disk;		/* who has `control` waits for a disk, not for the core; atomic */
	uint64_t committed;		/* changes in them; atomic */
	char fatal[1024];		/* why the server must stop; empty: it need not */
	uint32_t must_stop;		/* atomic */
	/* copies of settings that the hot path reads */
	const struct hot_settings *hot;	/* atomic; kms_hot() */
};

static inline const struct hot_settings *kms_hot(const struct kms *k)
{
	return __atomic_load_n(&k->hot, __ATOMIC_ACQUIRE);
}

/* Monotonic, to some milliseconds. */
static inline uint64_t kms_coarse_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

extern const struct server_ops kms_ops;

/* route.c: never fails; w->decoded holds the name. */
void route_find(struct kms_worker *w, const struct http_request *r, struct route *out);
/*
 * First value of a query parameter, form-decoded into buf. False: not there. len 0 and true: empty, or, with
 * p NULL, there but malformed or too long for buf: to be refused, never ignored.
 */
MUST_CHECK bool query_get(struct slice query, const char *name, bool ignore_case, uint8_t *buf, size_t room,
			  struct slice *out);
/* Walks all parameters of that name. Start with *at = 0. */
MUST_CHECK bool query_next(struct slice query, size_t *at, const char *name, bool ignore_case, uint8_t *buf,
			   size_t room, struct slice *out);
/* Percent-decodes; plus: '+' is a space. False: malformed, or no room. */
MUST_CHECK bool percent_decode(struct slice in, bool plus, uint8_t *out, size_t room, size_t *len);

/* The name of an operation on delegation tokens, "GETDELEGATIONTOKEN", and its method. */
const char *delegation_name(enum delegation d);
const char *delegation_method(enum delegation d);

/* encode.c: writes the call's body. Sets work->call, op, and work->refusal where the request is wrong. */
void encode_request(struct work *k, struct sink *s);
/* Does the request show a ticket, or a delegation token? */
MUST_CHECK bool encode_has_ticket(const struct http_request *r);
MUST_CHECK bool encode_has_token(const struct http_request *r);
/* Shows it what can be wrong, so that nobody being known makes an entry of the audit chain? Not a bare name. */
MUST_CHECK bool encode_may_be_refused(const struct work *k);
/* The client's address, 4 or 16 bytes in the worker's memory. */
struct slice encode_peer(struct work *k);
/* Copies a name into the work, where it outlives the turn. */
void encode_keep_name(struct work *k, struct slice name);

/* answer.c: replies to the client, writes the audit lines. */
void answer_call(struct work *k, uint32_t err, const struct wire_ans *ans);
/* An operation on tokens that is asked for with a wrong method: true, and answered; it does not matter who
 * asks. */
MUST_CHECK bool answer_delegation_method(struct work *k);
void answer_died(struct work *k);
void answer_store(struct work *k, const char *text);
/* After so many refusals; seconds until it may come again. */
void answer_turned_away(struct work *k, uint32_t seconds);
void answer_unlogged(struct work *k);	/* the audit chain cannot be written */
/* A JSON error; events of ans are written first. */
void answer_refusal(struct work *k, const struct wire_ans *ans, unsigned status, const char *exception,
		    const char *message);
/* Appends the names of a page; true: there are more, w->from is set. */
MUST_CHECK bool answer_names_page(struct work *k, const struct wire_ans *ans);

/* For pages.c: headers are ready lines; the body is copied. A page in HTML for an error. */
void answer_page(struct work *k, const struct wire_ans *ans, unsigned status, const char *reason, const char *type,
		 const char *headers, struct slice body);
void answer_html(struct work *k, const struct wire_ans *ans, unsigned status, const char *message);

/* pages.c: everything that is not a key operation. */
void page_attested(struct work *k);
void page_attest_drop(struct work *k);	/* frees what a question left */
/* In words, what the isolation is worth: nobody should take "process" for hardware protection. */
const char *isolation_protects(const char *isolation);
void page_answer(struct work *k, const struct wire_ans *ans);
MUST_CHECK bool page_for_admins(const struct work *k);
MUST_CHECK bool page_for_everybody(const struct work *k);	/* by hadoop.kms.authentication.kerberos.endpoint.whitelist */
void page_open(struct work *k);

/* openapi.c: docs/openapi.json, which is part of the program. */
struct slice openapi_document(void);

/* groups.c: the operating system's groups of a user, encoded for wire_cred; cached. */
struct group_cache *groups_new(void);
void groups_free(struct group_cache *g);
struct cursor groups_of(struct group_cache *g, struct slice user, uint16_t *count);

/*
 * peers.c: which of the hosts that the proxy-user rules name a client is. Names are looked up by a thread of its own, now
 * and every minute, never by a request. What it finds is this program's word: the core takes it as such.
 */
struct peers *peers_new(void);
void peers_free(struct peers *p);	/* NULL is fine */
/* The names in a configuration as the core is told it; waits a moment for the first look-up. NULL: nothing is done. */
void peers_learn(struct peers *p, const struct wire_config_req *config);
/* Appends each name (str16) that is the host with that address (4 or 16 bytes); returns their number. */
uint16_t peers_of(struct peers *p, struct slice addr, struct outbuf *names);

/* commit.c */
enum rc commit_start(struct kms *k);
void commit_stop(struct kms *k);	/* after the server has stopped */
void commit_add(struct kms *k, struct work *list);	/* a list by next; ownership passes */
/* From any thread: hands finished work back to its worker, which has to be woken. */
void work_give_back(struct work *k, uint32_t outcome, const char *text);

/* Has the thread make a checkpoint of the audit chain, and keep its place in the store, if anything is new. */
void commit_checkpoint(struct kms *k);
/* The last one, in the caller's thread, when no other uses the control lane any more. */
void commit_last_checkpoint(struct kms *k);

/* Seals and stores a head without changes: what else it keeps is new. Caller holds the control lock. */
enum rc commit_head(struct kms *k, struct core_error *err);
/* The piece of the audit chain's file that the last group took into the store (chainlog_restore()); false: none. */
MUST_CHECK bool commit_carried(struct store *store, struct outbuf *piece);
/*
 * Makes a call whose answer stages changes, any number of them, and makes those durable. what: for the message of an
 * error. Caller holds the control lock.
 */
enum rc commit_call(struct kms *k, enum wire_call call, struct slice request, const char *what, struct core_error *err);

/* owner.c */
#define OWNER_BUNDLE "kms-owner.bundle"	/* in the configuration directory */
/* *found: there is one, and out holds it. */
enum rc owner_bundle_read(const struct conf *conf, struct outbuf *out, bool *found, struct core_error *err);
/*
 * With configuration and store in place: a new owner or version is made durable; RC_DENIED: the store has an
 * owner, and no configuration of theirs is in force. Caller holds the control lock.
 */
enum rc owner_keep(struct kms *k, struct core_error *err);

/* kms.c */
void workers_prepare(struct kms *k);	/* before any thread runs: the commit thread knows all of them */
void worker_free(struct kms_worker *w);	/* when neither workers nor the commit thread run any more */
void work_finish(struct work *k);	/* after server_reply(): frees slot and work */

/* core.c: start-up of the core: configuration and store, over the control lane or several lanes. */
enum rc core_configure(struct kms *k, struct channel_lane *l, struct core_error *err);
/* What core_configure() sends when there is no owner's bundle: a config_req. with_secrets: also keytab and signature secret. */
enum rc core_config_body(const struct settings *settings, const struct conf *conf, bool with_secrets, struct outbuf *body,
			 struct core_error *err);
/* setup.c: what serving and the offline commands share. Messages and exit codes go to err. */
enum rc setup_conf(const char *dir, struct conf **conf, struct settings **settings, struct core_error *err);
void setup_notices(const struct settings *s);
/* "HOST:PORT"; names are not looked up: 127.example.org may be any address. */
MUST_CHECK bool setup_is_loopback(const char *listen);
/* The platform slot's key: 32 bytes in a 0600 file, made when absent and wanted. */
enum rc setup_platform_key(const char *data, bool create, struct secret *key, struct core_error *err);
/* Which isolation: "process" or "svsm:DEVICE", from the option, or, without one, from svsm.kms.channel. */
enum rc setup_choose_channel(struct kms *k, const char *option, struct core_error *err);
/*
 * Starts the service. key: the platform slot's, unused at VMPL0, where it comes from the secure processor. k->workers
 * becomes the number of lanes that there are; 0 before: as many as the isolation offers.
 */
enum rc setup_channel(struct kms *k, const struct secret *key, struct core_error *err);
enum rc setup_store(struct kms *k, const char *data, const struct store_options *opt, struct core_error *err);
enum rc core_open_store(struct kms *k, bool create, bool many_lanes, struct core_error *err);
/* Has the core say in the chain what its file has lost, if there is such a thing and room for it. */
void core_declare_gap(struct kms *k);
/* Without waiting: while the control lane is in use, what it said last. RC_MACHINE: it is not there. */
enum rc core_status(struct kms *k, struct wire_status *out);
/* The same, for who holds the control lock: as it is now. */
enum rc core_status_locked(struct kms *k, struct wire_status *out);
void core_status_forget(struct kms *k);	/* it is not there any more */
/* One call on a lane with nothing else under way; *ans points into the slot, which the caller releases. */
enum rc core_call(struct channel_lane *l, enum wire_call call, struct slice body, int *slot, uint32_t *err,
		  struct wire_ans *ans);
void core_error_text(uint32_t isolation, uint32_t err, const struct wire_ans *ans, char *out, size_t room);

/*
 * recovery.c: the keyslot for the owner's public key (PEM file). Written when there is none or when the
 * key is another one.
 */
/* The DER of a PUBLIC KEY in a PEM file; what it holds is for the core to check. */
enum rc recovery_read_pem(const char *path, uint8_t *der, size_t room, size_t *len, struct core_error *err);
enum rc recovery_slot_update(struct kms *k, const char *pem_path, struct core_error *err);

#endif
