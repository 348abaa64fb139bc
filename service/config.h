/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration in force: what the properties of Hadoop's files say to the core, parsed once and
 * then immutable. A new upload makes a new object; a refused one leaves the old in place.
 */
#ifndef SERVICE_CONFIG_H
#define SERVICE_CONFIG_H

#include "base/base.h"
#include "crypto/crypto.h"
#include "wire/msg.h"

/* An access control list in Hadoop's form: "user,user group,group", "*", " ". */
struct acl {
	bool set;		/* a property gave it */
	bool all;
	uint32_t nusers, ngroups;
	struct slice *users, *groups;	/* sorted */
};

enum acl_type {
	ACL_CREATE,
	ACL_DELETE,
	ACL_ROLLOVER,
	ACL_GET,
	ACL_GET_KEYS,
	ACL_GET_METADATA,
	ACL_SET_KEY_MATERIAL,
	ACL_GENERATE_EEK,
	ACL_DECRYPT_EEK,
	ACL_COUNT
};
const char *acl_type_name(enum acl_type t);

struct key_acl {
	struct slice name;
	struct acl type[KEYOP_COUNT];
};

struct user_groups {
	struct slice user;
	uint32_t count;
	struct slice *groups;
};

/* An address with how many of its bits count, IPv4 as ::ffff:a.b.c.d; or a host's name. */
#define HOST_BY_NAME 255
struct host_rule {
	uint8_t addr[16], bits;
	struct slice name;
};

/* hadoop.kms.proxyuser.<name>: whom this user may act for, and from where. */
struct proxy_user {
	struct slice name;
	struct acl whom;
	bool any_host;
	uint32_t nhosts;
	struct host_rule *hosts;
};

enum auth_type { AUTH_SIMPLE, AUTH_KERBEROS, AUTH_MULTI };

struct config {
	enum auth_type auth;
	/* Kerberos */
	struct slice *principals;	/* the server's names, or "*" */
	uint32_t nprincipals;
	struct slice rules, realm;
	bool mit;
	uint64_t skew_ms;
	struct slice sealed;		/* a keytab that only the core with the store can open; or empty */
	struct slice keytab;		/* as it was given; empty: it is the store's */
	struct krb_keys *server_keys;	/* NULL: not known (yet) */
	struct name_rules *names;	/* NULL: type simple */
	struct acl op[ACL_COUNT], black[ACL_COUNT];
	struct acl fallback[KEYOP_COUNT], white[KEYOP_COUNT];	/* default.key.acl, whitelist.key.acl */
	struct key_acl *keys;		/* sorted by name */
	size_t nkeys;
	struct user_groups *users;	/* static mapping, sorted by user */
	size_t nusers;
	struct proxy_user *proxies;
	size_t nproxies;
	struct acl admins;
	bool key_authorization, groups_os, anonymous;
	enum crypto_cipher suite;
	uint32_t default_bits;
	struct slice default_cipher;
	uint64_t validity_ms, inactive_ms;	/* inactive_ms 0: off */
	uint64_t dt_update_ms, dt_life_ms, dt_renew_ms;	/* delegation tokens: none is 0 */
	uint64_t dt_per_user;		/* tokens that one user may have */
	bool has_secret;
	struct slice secret;		/* signs tokens instead of a random one */
	bool has_recovery;
	uint8_t recovery[CRYPTO_HASH_LEN];	/* SHA-256 of the recovery public key that the owner permits */
	uint64_t memory_max;		/* bytes of keys; 0: no limit of its own */
	struct arena *arena;		/* owns everything above */
};

/*
 * RC_BAD_INPUT: *bad names the property that cannot be used (a slice of the message), *why says why.
 * RC_NO_ROOM: no memory.
 */
enum rc config_parse(const struct wire_config_req *m, struct config **out, struct slice *bad, const char **why);
/*
 * Gives a configuration its Kerberos keys; the file is not kept. RC_BAD_INPUT, *why: no keytab, or without a key for a
 * name that the server is to have. On errors nothing has changed.
 */
enum rc config_keytab(struct config *c, struct slice file, const char **why);
/* Wipes. NULL is fine. */
void config_free(struct config *c);

const struct user_groups *config_user(const struct config *c, struct slice user);
const struct key_acl *config_key_acl(const struct config *c, struct slice name);

/* The rule for a user who wants to act for others; NULL: he may not. */
const struct proxy_user *config_proxy_user(const struct config *c, struct slice user);
/* May he from there? peer: 4 or 16 bytes, or none; names: which host names of the rules that is. */
MUST_CHECK bool proxy_user_from(const struct proxy_user *p, struct slice peer, struct cursor names);
/* What cookies are called that this configuration accepts. */
const char *config_cookie_type(const struct config *c);

/* Whom a list is asked about. */
struct caller {
	struct slice user;
	struct slice mark;		/* "~" and the name of who acts for user; empty: nobody does */
	const struct user_groups *mapped;	/* the static mapping's groups of user, if it has him */
	struct cursor os_groups;	/* otherwise these; empty unless they are accepted */
};
MUST_CHECK bool acl_permits(const struct acl *a, const struct caller *who);

#endif
