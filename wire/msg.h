/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between proxy and service: fixed binary layouts, each with its reader and writer side by
 * side in msg.c. docs/protocol.md says the same in prose.
 *
 * Readers take a cursor over a private copy, accept nothing extra, and write *out only on success; the
 * slices they return point into that copy. Writers write to a sink; check sink_ok() once at the end.
 * All texts are UTF-8 bytes with a length; none is terminated.
 */
#ifndef WIRE_MSG_H
#define WIRE_MSG_H

#include "base/base.h"

/* Limits of what one message may carry. Longer input is refused, never cut. */
#define WIRE_NAME_MAX 1024u		/* key names */
#define WIRE_VERSION_NAME_MAX (WIRE_NAME_MAX + 12u)
#define WIRE_CIPHER_MAX 128u
#define WIRE_DESCRIPTION_MAX 4096u
#define WIRE_ATTRS_MAX 16384u		/* encoded attributes */
#define WIRE_USER_MAX 512u
#define WIRE_PRINCIPAL_MAX 1024u /* primary/instance@REALM */
#define WIRE_COOKIE_MAX 4096u
#define WIRE_NEGOTIATE_MAX 49152u /* a SPNEGO or Kerberos token */
#define WIRE_TOKEN_MAX 4096u      /* a delegation token */
#define WIRE_PEER_NAMES_MAX 64u
#define WIRE_CHAIN_MAX 65535u /* audit chain entries of one call */
#define WIRE_GROUPS_MAX 1024u
#define WIRE_GROUP_MAX 256u
#define WIRE_MATERIAL_MAX 32u		/* key material */
#define WIRE_EEK_MAX 4096u		/* an encrypted key; Hadoop accepts any length */
#define WIRE_VERSIONS_MAX 4096u		/* versions of one key */
#define WIRE_VALUE_MAX (1u << 20)	/* one configuration value */
#define WIRE_ID_LEN 16u
#define WIRE_EEK_COUNT_MAX 10000u	/* encrypted keys in one call */
#define WIRE_EVENTS_MAX 8u

enum wire_call {
	/* control */
	CALL_HELLO = 1,
	CALL_CONFIG,
	CALL_STATUS,
	CALL_STORE_CREATE,
	CALL_STORE_OPEN,
	CALL_STORE_LOAD,
	CALL_STORE_READY,
	CALL_HEAD,
	CALL_COMMIT,
	CALL_ABORT,
	CALL_SLOT_RECOVERY,
	CALL_RECOVER_BEGIN,
	CALL_RECOVER_FINISH,
	CALL_ACL_CHECK,
	CALL_CONFIG_SIGNED,
	CALL_DT_EXPIRE,
	CALL_AUDIT_RESUME,
	CALL_AUDIT_CHECKPOINT,
	CALL_AUDIT_GAP,
	CALL_KEYTAB, /* stages the keytab of the configuration in force for the store */
	/* on behalf of a user */
	CALL_AUTH,
	CALL_ADMIN,
	CALL_DT_GET,
	CALL_DT_RENEW,
	CALL_DT_CANCEL,
	CALL_CREATE,
	CALL_IMPORT,
	CALL_DELETE,
	CALL_ROLL,
	CALL_INVALIDATE,
	CALL_NAMES,
	CALL_METADATA,
	CALL_METADATAS,
	CALL_CURRENT,
	CALL_VERSION_GET,
	CALL_VERSIONS,
	CALL_GENERATE,
	CALL_DECRYPT,
	CALL_REENCRYPT,
	CALL_REENCRYPT_BATCH,
	CALL_COUNT
};

/*
 * Results. The proxy maps them one to one onto HTTP; proxy/answer.c has the texts. They stand in audit chains too, as
 * enum wire_op and enum wire_keyop do: new ones go to the end.
 */
enum wire_err {
	E_OK = 0,
	E_BAD_MESSAGE, /* the proxy's fault */
	E_TOO_BIG,     /* the answer needs num[0] bytes: ask again with a larger slot */
	E_BUSY,        /* the key has an uncommitted change: ask again after the commit */
	E_NOT_READY,   /* no store is open */
	E_STATE,       /* the call does not fit the state of the store */
	E_NO_CONFIG,
	E_NO_MEMORY,
	E_FULL,   /* a limit of the core is reached; num[0] names it: enum wire_limit */
	E_RANDOM, /* the random source failed its tests; nothing was generated */
	E_INTERNAL,
	/* identity and rights */
	E_UNAUTHENTICATED, /* note: enum wire_note; num[0]: enum wire_scheme; arg: the offending text, if any */
	E_OP_DENIED,       /* num[0]: enum wire_op; arg: key name if num[1] */
	E_KEY_DENIED,      /* num[0]: enum wire_keyop; arg: ACL name */
	E_CREATE_DENIED,
	/* arguments */
	E_NAME_NULL,
	E_NAME_EMPTY,
	E_UPPERCASE,
	E_LIMIT,          /* an argument is longer than allowed; num[0]: the limit */
	E_ACL_NAME_TWICE, /* an empty key.acl.name, where the core would add one */
	E_EXISTS,
	E_NO_KEY,      /* delete, roll with material */
	E_NO_METADATA, /* roll without material */
	E_GENERATE_NO_KEY,
	E_MATERIAL_LENGTH, /* num[0] required bits, num[1] got */
	E_KEY_SIZE,
	E_ALGORITHM,
	E_VERSION_NOT_FOUND,
	E_VERSION_NOT_FOUND_NOAUTH, /* the same with key authorization off */
	E_VERSION_MISMATCH,
	E_IV_LENGTH,
	E_CIPHER_KEY, /* the configured suite has no such key length */
	E_CONFIG,     /* arg: which property, and why */
	/* store */
	E_SLOT_KEY, /* no keyslot opens with the platform's key */
	E_SLOT_FORMAT,
	E_HEAD,         /* the head is damaged or belongs to another store */
	E_EPOCH_FLOOR,  /* num[0] epoch found, num[1] floor */
	E_RECORD,       /* a record does not open; arg: its id */
	E_RECORD_AHEAD, /* a record is newer than the head; arg: its id */
	E_RECORD_TWICE, /* two records of one key; arg: its id */
	E_COUNT,        /* num[0] found, num[1] expected */
	E_SET,          /* right number, but not the records the head was sealed over */
	E_RECOVERY_KEY,
	/* owner */
	E_OWNER_ONLY,      /* the store has an owner: only what the owner signed is taken */
	E_OWNER_SIGNATURE, /* the signature does not fit, or the key is none */
	E_OWNER_OTHER,     /* signed by somebody who is not the owner */
	E_OWNER_OLD,       /* num[0] version signed, num[1] the least that is taken */
	E_OWNER_STORE,     /* signed for another store */
	/* identity, further */
	E_NEGOTIATE,    /* Kerberos did not accept; arg: why */
	E_TOKEN,        /* a delegation token does not count; arg: Hadoop's text */
	E_TOKEN_DENIED, /* not this user's to renew or to cancel; arg: Hadoop's text */
	E_DO_AS_DENIED, /* num[0]: enum wire_do_as; arg: whom */
	E_ADMIN_DENIED, /* not in hadoop.kms.http.administrators */
	E_KEYTAB,       /* arg: what is wrong with it */
	E_AUDIT,        /* the audit chain cannot be kept, and the setting says to refuse */
	E_GROUPS,       /* the operating system's groups of arg are needed: ask again with them; nothing was done */
	E_COUNT_
};

enum wire_limit { LIMIT_KEYS = 1, LIMIT_MEMORY, LIMIT_VERSIONS, LIMIT_PENDING, LIMIT_MEMLOCK, LIMIT_TOKENS };

/* num[0] of E_UNAUTHENTICATED: how one may show who he is. */
enum wire_scheme { SCHEME_PSEUDO = 1, SCHEME_NEGOTIATE = 2 };

enum wire_do_as { DO_AS_USER = 0, DO_AS_HOST = 1 };

/* Why no cookie was accepted (specs: Hadoop KMS, authentication filter). */
enum wire_note {
	NOTE_NONE = 0,
	NOTE_EMPTY_COOKIE,
	NOTE_UNSIGNED,
	NOTE_SIGNATURE,
	NOTE_TOKEN,
	NOTE_TOKEN_MISSING,
	NOTE_TYPE,
	NOTE_EXPIRED,
	NOTE_USER,		/* the name given is not one */
	NOTE_CONTINUE,		/* Kerberos needs another round; arg: the token for the client */
};

/* Operations as ACLs and audit know them. */
enum wire_op {
	OP_NONE = 0,
	OP_CREATE_KEY,
	OP_DELETE_KEY,
	OP_ROLL_NEW_VERSION,
	OP_INVALIDATE_CACHE,
	OP_GET_KEYS,
	OP_GET_KEYS_METADATA,
	OP_GET_METADATA,
	OP_GET_CURRENT_KEY,
	OP_GET_KEY_VERSION,
	OP_GET_KEY_VERSIONS,
	OP_GENERATE_EEK,
	OP_DECRYPT_EEK,
	OP_REENCRYPT_EEK,
	OP_REENCRYPT_EEK_BATCH,
	OP_COUNT
};

enum wire_keyop { KEYOP_MANAGEMENT, KEYOP_GENERATE_EEK, KEYOP_DECRYPT_EEK, KEYOP_READ, KEYOP_ALL, KEYOP_COUNT };

const char *wire_op_name(unsigned op);		/* "CREATE_KEY"; never NULL */
const char *wire_keyop_name(unsigned op);	/* "MANAGEMENT"; never NULL */

/* ---- requests on behalf of a user ---- */

/*
 * cred := flags:u8 [cookie:str16] [user:str16] [token:str16] [negotiate:str16] [do_as:str16] [group_user:str16]
 *         peer:str16 names:u16 name:str16[names] groups:u16 group:str16[groups]
 * What a request shows of who is calling, as it came: nothing of it is believed before it is proven. peer,
 * names and groups are the proxy's word; the groups count for group_user and for nobody else.
 */
struct wire_cred {
	bool has_cookie, has_user, has_token, has_negotiate, has_do_as, tls;
	struct slice cookie, user;
	struct slice token;     /* a delegation token, decoded from its URL form */
	struct slice negotiate; /* what follows "Negotiate", decoded */
	struct slice do_as;
	struct slice peer; /* the client's address: 4 or 16 bytes, or none */
	uint16_t names;
	struct cursor
		name; /* those host names of the proxy-user rules that are this peer; wire_group_next() */
	struct slice group_user; /* whose groups were looked up; empty: nobody's, and there are none */
	uint16_t groups;
	struct cursor group; /* what the operating system says they are; wire_group_next() */
};
void wire_cred_put(struct sink *s, const struct wire_cred *c);
MUST_CHECK bool wire_group_next(struct cursor *c, struct slice *out);

/*
 * name_req := cred flags:u8 name:str16 count:u32 from:u64
 * AUTH, DELETE, INVALIDATE, NAMES (from), METADATA, CURRENT, VERSION_GET (name is a version name),
 * VERSIONS, GENERATE (count).
 */
struct wire_name_req {
	struct wire_cred cred;
	struct slice name;
	uint32_t count;
	uint64_t from;
};
enum rc wire_name_req_get(struct cursor in, struct wire_name_req *out);
void wire_name_req_put(struct sink *s, const struct wire_name_req *m);

/*
 * dt_req := cred flags:u8 renewer:str16 token:str16   (DT_GET: renewer, if any; DT_RENEW, DT_CANCEL: token)
 * Bodies: staged; the kv's material is the token (DT_GET), or the date it counts until, ms:u64 (DT_RENEW).
 * DT_EXPIRE, a control call: from:u64; body: next:u64 count:u32 staged[count], next 0 at the end.
 */
struct wire_dt_req {
	struct wire_cred cred;
	bool has_renewer;
	struct slice renewer, token;
};
enum rc wire_dt_req_get(struct cursor in, struct wire_dt_req *out);
void wire_dt_req_put(struct sink *s, const struct wire_dt_req *m);

/*
 * create_req := cred flags:u8 length:u32 created:u64 name:str16 cipher:str16 description:str16
 *               attrs:u16 (key:str16 value:str16)[attrs] materials:u16 material:str16[materials]
 * CREATE has at most one material; IMPORT has one a version, oldest first, and sets created (ms).
 */
struct wire_create_req {
	struct wire_cred cred;
	bool name_null, upper, has_cipher, has_description;
	uint32_t length;	/* bits; 0: the default */
	uint64_t created;
	struct slice name, cipher, description;
	uint16_t attrs;
	struct cursor attr;	/* wire_attr_next() */
	uint16_t materials;
	struct cursor material;	/* wire_material_next() */
};
enum rc wire_create_req_get(struct cursor in, struct wire_create_req *out);
void wire_create_req_put(struct sink *s, const struct wire_create_req *m);
MUST_CHECK bool wire_attr_next(struct cursor *c, struct slice *key, struct slice *value);
MUST_CHECK bool wire_material_next(struct cursor *c, struct slice *out);

/* roll_req := cred flags:u8 name:str16 material:str16 */
struct wire_roll_req {
	struct wire_cred cred;
	bool has_material;
	struct slice name, material;
};
enum rc wire_roll_req_get(struct cursor in, struct wire_roll_req *out);
void wire_roll_req_put(struct sink *s, const struct wire_roll_req *m);

/* eek_req := cred flags:u8 version_name:str16 name:str16 iv:str16 material:str16   (DECRYPT, REENCRYPT) */
struct wire_eek_req {
	struct wire_cred cred;
	bool has_name;
	struct slice version_name, name, iv, material;
};
enum rc wire_eek_req_get(struct cursor in, struct wire_eek_req *out);
void wire_eek_req_put(struct sink *s, const struct wire_eek_req *m);
/* Only what stands before the IV; the writer then puts IV and material with wire_hole_*(), in place. */
void wire_eek_req_head_put(struct sink *s, const struct wire_eek_req *m);
/*
 * A str16 that is written in place: wire_hole_begin() gives its first byte (NULL: full) with s->left
 * bytes of room, wire_hole_end() says how many were used.
 */
uint8_t *wire_hole_begin(struct sink *s);
void wire_hole_end(struct sink *s, size_t used);

/* batch_req := cred name:str16 count:u32 item[count];  item := version_name:str16 iv:str16 material:str16 */
struct wire_batch_req {
	struct wire_cred cred;
	struct slice name;
	uint32_t count;
	struct cursor item;	/* wire_item_next() */
};
struct wire_item {
	struct slice version_name, iv, material;
};
enum rc wire_batch_req_get(struct cursor in, struct wire_batch_req *out);
void wire_batch_req_put(struct sink *s, const struct wire_batch_req *m);	/* then count items */
void wire_item_put(struct sink *s, const struct wire_item *m);
MUST_CHECK bool wire_item_next(struct cursor *c, struct wire_item *out);

/* names_req := cred count:u32 name:str16[count]   (METADATAS) */
struct wire_names_req {
	struct wire_cred cred;
	uint32_t count;
	struct cursor name;	/* wire_name_next() */
};
enum rc wire_names_req_get(struct cursor in, struct wire_names_req *out);
void wire_names_req_put(struct sink *s, const struct wire_names_req *m);	/* then count str16 */
MUST_CHECK bool wire_name_next(struct cursor *c, struct slice *out);

/* ---- answers on behalf of a user ---- */

/*
 * ans := head body trailer;
 * trailer := user:str16 principal:str16 real:str16 cookie:str16 arg:str16 event[events] chain:str16
 * event := status:u8 op:u8 has_key:u8 key:str16
 * The head is written last, so that the body is built in place in the response page.
 */
struct wire_ans_head {
	uint16_t err;		/* enum wire_err */
	uint8_t note;		/* enum wire_note */
	uint8_t events;
	uint32_t body_len;
	uint32_t trailer_len;
	uint32_t zero;
	uint64_t num[2];
};
ABI_SIZE(struct wire_ans_head, 32);

enum wire_event_status { EVENT_OK = 1, EVENT_UNAUTHORIZED = 2, EVENT_UNAUTHORIZED_KEY = 3 };
struct wire_event {
	uint8_t status;		/* enum wire_event_status */
	uint8_t op;		/* enum wire_op, or enum wire_keyop for EVENT_UNAUTHORIZED_KEY */
	bool has_key;
	struct slice key;
};

struct wire_ans {
	struct wire_ans_head head;
	struct cursor body;
	struct slice user;      /* the short name that rights were asked for */
	struct slice principal; /* as the audit log shows the caller */
	struct slice real;      /* who acts for user, if somebody does */
	struct slice cookie, arg;
	struct slice chain; /* entries of the audit chain that the call made, for its file */
	struct wire_event event[WIRE_EVENTS_MAX];
};
/* in: the whole answer, private or the service's own response page. */
enum rc wire_ans_get(struct cursor in, struct wire_ans *out);
/* The sink must start at the answer's first byte, with room for the head already taken (wire_ans_begin). */
void wire_ans_begin(struct sink *s);
/* start: where the answer began. Returns the answer's length, or 0 when it did not fit. */
MUST_CHECK size_t wire_ans_end(struct sink *s, uint8_t *start, const struct wire_ans *m);

/* kv := present:u8 [number:u32 has_material:u8 name:str16 material:str16] */
struct wire_kv {
	bool present, has_material;
	uint32_t number;
	struct slice name, material;
};
MUST_CHECK bool wire_kv_next(struct cursor *c, struct wire_kv *out);
void wire_kv_put(struct sink *s, const struct wire_kv *m);

/*
 * meta := present:u8 [flags:u8 length:u32 created:u64 versions:u32 name:str16 cipher:str16
 *                     description:str16 attrs:u16 (key:str16 value:str16)[attrs]]
 */
struct wire_meta {
	bool present, has_description;
	uint32_t length, versions;
	uint64_t created;
	struct slice name, cipher, description;
	uint16_t attrs;
	struct cursor attr;
};
MUST_CHECK bool wire_meta_next(struct cursor *c, struct wire_meta *out);
void wire_meta_put(struct sink *s, const struct wire_meta *m);

/*
 * eek := number:u32 unchanged:u8 iv[16] material:str16
 * Bodies: GENERATE and REENCRYPT_BATCH: count:u32 eek[count]; REENCRYPT: eek name:str16, the key's name.
 */
struct wire_eek {
	uint32_t number;
	bool unchanged;
	uint8_t iv[16];
	struct slice material;
};
MUST_CHECK bool wire_eek_next(struct cursor *c, struct wire_eek *out);
void wire_eek_put(struct sink *s, const struct wire_eek *m);

/*
 * Body of a successful CREATE, IMPORT, ROLL, DELETE: staged := ticket:u64 remove:u8 id[16] record:str32 kv
 * Nothing is visible before COMMIT.
 */
struct wire_staged {
	uint64_t ticket;
	bool remove;		/* the record is to be removed; none follows */
	uint8_t id[WIRE_ID_LEN];
	struct slice record;
	struct wire_kv kv;
};
MUST_CHECK bool wire_staged_next(struct cursor *c, struct wire_staged *out);
void wire_staged_put(struct sink *s, const struct wire_staged *m);

/* Body of NAMES: next:u64 count:u32 name:str16[count]; next is 0 at the end. */

/* ---- control ---- */

/*
 * config_req := count:u32 (name:str16 len:u32 value[len])[count]
 * The properties of Hadoop's files that the core decides by; it ignores names it does not know.
 * "svsm.secret.signature" carries the content of the signature secret file.
 */
struct wire_config_req {
	uint32_t count;
	struct cursor property;	/* wire_property_next() */
};
enum rc wire_config_req_get(struct cursor in, struct wire_config_req *out);
void wire_config_req_put(struct sink *s, uint32_t count);	/* then count properties */
void wire_property_put(struct sink *s, struct slice name, struct slice value);
MUST_CHECK bool wire_property_next(struct cursor *c, struct slice *name, struct slice *value);

/*
 * signed_req := signature:str16 signed
 * signed     := "SVSMCFG1" version:u64 flags:u32 store_id[16] public:str16 config_req
 * What the owner says to the core: ECDSA P-384 with SHA-384 (DER) over every byte after the signature. The
 * public key is SubjectPublicKeyInfo DER. The version counts up; store_id may be zeros (any store) unless
 * SIGNED_ENROLL asks a store without an owner to take this one.
 */
#define SIGNED_MAGIC "SVSMCFG1"
#define SIGNED_ENROLL 1u
#define SIGNED_SIGNATURE_MAX 128u
#define SIGNED_PUBLIC_MAX 1024u
struct wire_signed_req {
	struct slice signature, text;	/* text: what is signed */
	uint64_t version;
	uint32_t flags;
	uint8_t store_id[16];
	struct slice public_der;
	struct wire_config_req config;
};
enum rc wire_signed_req_get(struct cursor in, struct wire_signed_req *out);
/* The signed text, to be followed by a config_req. signature and text of m are not used. */
void wire_signed_text_put(struct sink *s, const struct wire_signed_req *m);

/* open_req := floor:u64 count:u64 head:str16 slots:u8 (number:u8 blob:str16)[slots]; count: records to come */
struct wire_open_req {
	uint64_t floor, count;
	struct slice head;
	uint8_t slots;
	struct cursor slot;	/* wire_slot_next() */
};
enum rc wire_open_req_get(struct cursor in, struct wire_open_req *out);
void wire_open_req_put(struct sink *s, const struct wire_open_req *m);	/* then slots */
void wire_slot_put(struct sink *s, uint8_t number, struct slice blob);
MUST_CHECK bool wire_slot_next(struct cursor *c, uint8_t *number, struct slice *blob);

/* load_req := count:u32 (id[16] record:str32)[count] */
struct wire_load_req {
	uint32_t count;
	struct cursor record;	/* wire_record_next() */
};
enum rc wire_load_req_get(struct cursor in, struct wire_load_req *out);
void wire_load_req_put(struct sink *s, uint32_t count);	/* then count records */
void wire_record_put(struct sink *s, const uint8_t id[WIRE_ID_LEN], struct slice record);
MUST_CHECK bool wire_record_next(struct cursor *c, const uint8_t **id, struct slice *record);

/* tickets_req := epoch:u64 count:u32 ticket:u64[count]   (HEAD, COMMIT, ABORT) */
struct wire_tickets_req {
	uint64_t epoch;
	uint32_t count;
	struct cursor ticket;	/* cur_le64() */
};
enum rc wire_tickets_req_get(struct cursor in, struct wire_tickets_req *out);
void wire_tickets_req_put(struct sink *s, const struct wire_tickets_req *m);	/* then tickets */

/* blob_req := blob:str16   (SLOT_RECOVERY: public key DER; RECOVER_FINISH: wrapped root) */
enum rc wire_blob_req_get(struct cursor in, struct slice *out);
void wire_blob_req_put(struct sink *s, struct slice blob);

/* acl_req := cred op:u8 key:str16   (ACL_CHECK: would this user be allowed, and which rule decides) */
struct wire_acl_req {
	struct wire_cred cred;	/* the user, as if authenticated; no cookie */
	uint8_t op;
	struct slice key;
};
enum rc wire_acl_req_get(struct cursor in, struct wire_acl_req *out);
void wire_acl_req_put(struct sink *s, const struct wire_acl_req *m);

/* Body of STATUS. */
struct wire_status {
	uint32_t isolation;
	uint32_t store;		/* enum wire_store_state */
	uint64_t keys, epoch, memory, memory_limit;
	uint32_t pending;
	uint32_t random_ok;
	uint32_t memory_locked;
	uint32_t config;	/* enum wire_config_state */
	uint8_t store_id[16];
	uint8_t owner[32];	/* SHA-256 of the owner's public key; zeros: none */
	uint64_t config_version;	/* of the signed configuration in force, else 0 */
	uint32_t owner_unsealed;	/* 1: a HEAD and COMMIT are needed to keep owner and version */
	uint32_t keytab;	/* enum wire_keytab_state */
	uint64_t tokens;	/* delegation tokens */
	/* the audit chain: its last entry, and the key of its checkpoints (Ed25519); zeros without a store */
	uint64_t chain_seq;
	uint8_t chain_hash[32], audit_key[32];
	uint8_t upload_key[32];	/* secrets for this core are sealed to it (X25519); zeros without a store */
};
ABI_SIZE(struct wire_status, 232);
enum wire_config_state { CONFIG_NONE = 0, CONFIG_UNSIGNED = 1, CONFIG_SIGNED = 2 };
/* GIVEN: in force, but not in the store yet (CALL_KEYTAB); MISSING: nobody can show a ticket */
enum wire_keytab_state { KEYTAB_NONE = 0, KEYTAB_GIVEN = 1, KEYTAB_SEALED = 2, KEYTAB_MISSING = 3 };
enum wire_store_state { STORE_NONE = 0, STORE_LOADING = 1, STORE_READY = 2, STORE_REFUSED = 3 };

/* A record or blob with a 32-bit length: str32 := len:u32 bytes[len] */
MUST_CHECK bool wire_str32_get(struct cursor *c, size_t max, struct slice *out);
void wire_str32_put(struct sink *s, struct slice v);

#endif
