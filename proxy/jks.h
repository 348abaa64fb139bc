/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Java's own key store format, JKS: what keytool wrote by default before Java 9, and what the
 * ssl-server.xml of most Hadoop clusters names.
 *
 *   store   := magic:u32=0xfeedfeed version:u32(1|2) count:u32 entry[count] digest[20]
 *   entry   := tag:u32(1 key|2 certificate) alias:str16 created_ms:u64 (key | cert)
 *   key     := len:u32 EncryptedPrivateKeyInfo[len] certs:u32 cert[certs]
 *   cert    := type:str16 (version 2 only) len:u32 DER[len]
 *   digest  := SHA-1(password in UTF-16BE, "Mighty Aphrodite", all before it)
 *
 * All integers are big-endian. There is no public specification; the layout is that of the JDK's
 * sun.security.provider.JavaKeyStore, the key protection that of its KeyProtector: SHA-1 in a chain as a
 * key stream. It protects little: who can read the file can guess the password at the speed of SHA-1.
 *
 * Trusts nothing in the file: sizes are bounded, everything is read through a cursor. The parser knows
 * certificates as bytes only.
 */
#ifndef PROXY_JKS_H
#define PROXY_JKS_H

#include "base/base.h"

#define JKS_ENTRIES_MAX 4096u
#define JKS_CHAIN_MAX 64u	   /* certificates of one key */
#define JKS_DER_MAX (1u << 20)	   /* bytes of one key or certificate */
#define JKS_PASSWORD_MAX 1024u	   /* bytes of UTF-8 */

/* A parsed store: slices into the caller's file, which has to outlive it. */
struct jks {
	uint32_t version, count;
	struct cursor entries; /* moved by jks_next() */
	struct slice covered;  /* what the digest is over */
	const uint8_t *digest; /* 20 bytes */
};

struct jks_entry {
	bool is_key;	      /* else a trusted certificate */
	struct slice alias;   /* modified UTF-8 */
	uint64_t created_ms;
	struct slice key;     /* EncryptedPrivateKeyInfo; empty unless is_key */
	struct cursor certs;  /* moved by jks_next_cert() */
	uint32_t cert_count;
	uint32_t version;
};

/* Whether a file begins as one: JKS, or JCEKS, which has the same layout with sealed Java objects in it. */
MUST_CHECK bool jks_is(struct slice file);
MUST_CHECK bool jks_is_jceks(struct slice file);

/* Checks the whole structure, not the digest. RC_BAD_INPUT: it is no JKS, or damaged, or over a limit. */
enum rc jks_parse(struct slice file, struct jks *out);

/* The next entry, the next certificate of an entry (leaf first); false: there are no more. */
MUST_CHECK bool jks_next(struct jks *j, struct jks_entry *out);
MUST_CHECK bool jks_next_cert(struct jks_entry *e, struct slice *der);

/* RC_DENIED: another password, or the file was changed. RC_BAD_INPUT: the password is no UTF-8 or too long. */
enum rc jks_check(const struct jks *j, struct slice password);

/*
 * Opens a private key: PKCS#8 DER into out[0..room), which is a secret the caller wipes; room >= the entry's
 * key.len is always enough. RC_DENIED: wrong password; RC_BAD_INPUT: not protected the way JKS does it.
 */
enum rc jks_key_open(struct slice key, struct slice password, uint8_t *out, size_t room, size_t *len);

#endif
