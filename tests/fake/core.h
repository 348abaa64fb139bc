/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the service's core directly, without a process: builds requests, parses answers, and plays the
 * proxy's store in memory. Nothing here is trusted by what it drives; whatever is not well formed in an
 * answer aborts the program, so every test also checks that.
 *
 * Uses INVARIANT, not EXPECT: threads and fuzz targets use it too.
 */
#ifndef TESTS_FAKE_CORE_H
#define TESTS_FAKE_CORE_H

#include "service/service.h"
#include "wire/chain.h"

/* Shown by the counting clock that cores are given, ms; tests move it. */
extern _Atomic uint64_t fake_mono;
/* The entropy source: as long as it is broken, it returns RC_MACHINE. */
extern _Atomic bool fake_entropy_broken;
extern _Atomic uint64_t fake_entropy_calls;
/* Set it to start the same row of bytes again. */
extern _Atomic uint64_t fake_entropy_state;

#define FAKE_WALL 1700000000000ull	/* ms; told to every new core */

/* What the proxy keeps on its disk. */
struct fake_record {
	uint8_t id[WIRE_ID_LEN];
	uint8_t *p;	/* len bytes, owned */
	size_t len;
};
struct fake_store {
	struct fake_record *rec;
	size_t count, cap;
	uint8_t head[256];
	size_t head_len;
	struct {
		uint8_t number, b[512];
		size_t len;
	} slot[4];
	uint8_t slots;
	uint64_t floor;
};
void fake_store_copy(struct fake_store *to, const struct fake_store *from);
void fake_store_free(struct fake_store *s);
/* The index of a record, or -1. */
int fake_store_find(const struct fake_store *s, const uint8_t id[WIRE_ID_LEN]);
void fake_store_put(struct fake_store *s, const uint8_t id[WIRE_ID_LEN], struct slice record);
void fake_store_remove(struct fake_store *s, size_t at);

struct core {
	struct svc *svc;
	struct svc_worker *w;
	bool owns;		/* frees svc */
	struct fake_store store;
	/* who calls next */
	struct slice user, cookie, token;
	bool has_user, has_cookie, has_token;
	/* and for whom, from where */
	struct slice do_as, peer;
	bool has_do_as;
	const char *peer_name;	/* NULL: none */
	uint8_t name_bytes[300];
	const char *groups[8];	/* as the proxy looked them up; ends with NULL */
	const char *groups_user;	/* of whom; NULL: do_as, or user */
	uint8_t group_bytes[1024];
	/* the request being built */
	uint8_t *req;
	struct sink out;
	/* the last answer */
	uint8_t *rsp;
	size_t room;		/* offered for the next answer; at least CALL_PAGE */
	uint32_t len;
	enum wire_err err;
	struct wire_ans ans;
	struct wire_staged staged;	/* of the last successful change */
};

/* A new core without configuration or store; platform key: 32 times `platform`. */
void core_start(struct core *c, uint8_t platform);
/* Another caller of the same core, with its own worker. */
void core_share(struct core *c, const struct core *of);
void core_stop(struct core *c);

/* core_start(), a configuration that permits everything, an empty store, user "root". */
void core_ready(struct core *c);

void core_as(struct core *c, const char *user);
void core_as_cookie(struct core *c, struct slice cookie);
void core_as_token(struct core *c, struct slice token);
void core_groups(struct core *c, const char *a, const char *b);
struct wire_cred core_cred(struct core *c);
/* Numbered, but not answered by anybody yet. */
static inline bool core_call_is_open(uint32_t call)
{
	switch (call) {
	case CALL_ADMIN:
		return true;
	}
	return false;
}

/* Sees every request as it is sent, when set. */
extern void (*fake_tap)(uint32_t call, const void *p, size_t len);

/* Starts a request; write it to c->out. */
struct sink *core_req(struct core *c);
/* Sends what was written. */
enum wire_err core_send(struct core *c, uint32_t call);
enum wire_err core_bytes(struct core *c, uint32_t call, const void *p, size_t len);

/* name, value, name, value, ..., NULL */
enum wire_err core_config(struct core *c, ...) __attribute__((sentinel));
/* The same; key and operation ACLs that are not named permit everyone. */
extern const char *const core_open_acls[];
enum wire_err core_config_list(struct core *c, const char *const *list);

enum wire_err core_store_create(struct core *c);
enum wire_err core_store_open(struct core *c, const struct fake_store *s);	/* OPEN, LOAD, READY */
/* Takes the audit chain up; both of the above end with it. tail: the last entry of a file, or NULL. */
enum wire_err core_resume(struct core *c, const struct chain_tail *tail);
enum wire_err core_open_only(struct core *c, const struct fake_store *s);
enum wire_err core_load(struct core *c, const struct fake_store *s, size_t from, size_t count);
enum wire_err core_status(struct core *c, struct wire_status *out);

/* One call by name. */
enum wire_err core_name(struct core *c, enum wire_call call, const char *name);
enum wire_err core_name_n(struct core *c, enum wire_call call, const char *name, uint32_t count, uint64_t from);
/* material: hex or NULL. Staged only. bits 0: default; cipher NULL: default. */
enum wire_err core_create(struct core *c, const char *name, uint32_t bits, const char *cipher, const char *material);
enum wire_err core_create_attr(struct core *c, const char *name, const char *attr, const char *value);
enum wire_err core_roll(struct core *c, const char *name, const char *material);
enum wire_err core_eek(struct core *c, enum wire_call call, const char *version, const char *name, struct slice iv,
		       struct slice material);

/* HEAD over the tickets, into the store, COMMIT. */
enum wire_err core_head(struct core *c, const uint64_t *ticket, uint32_t count, uint64_t *epoch);
enum wire_err core_commit_epoch(struct core *c, uint64_t epoch);
enum wire_err core_abort(struct core *c, uint64_t epoch, const uint64_t *ticket, uint32_t count);
/* What the last answer staged: puts it into the store and commits. Aborts the test on any error. */
void core_commit(struct core *c);
/* Create and commit; hex material or NULL. */
void core_make(struct core *c, const char *name, const char *material);
/* The material of the current version after CURRENT; {NULL, 0} if there is no such key. */
struct slice core_current(struct core *c, const char *name);

/*
 * DT_GET (renewer or NULL), DT_RENEW, DT_CANCEL. Staged only; token: in the answer of DT_GET, out must have room for
 * WIRE_TOKEN_MAX bytes; until: of DT_RENEW.
 */
enum wire_err core_dt_get(struct core *c, const char *renewer, uint8_t *out, struct slice *token);
enum wire_err core_dt_renew(struct core *c, struct slice token, uint64_t *until);
enum wire_err core_dt_cancel(struct core *c, struct slice token);

/* A keytab as an owner's bundle carries it: sealed to this core's upload key. out: keytab.len + CRYPTO_UPLOAD_OVERHEAD bytes. */
struct slice core_seal_keytab(struct core *c, struct slice keytab, uint8_t *out);

size_t core_hex(const char *hex, uint8_t *out, size_t max);

#endif
