/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A KDC and an initiator in one, for tests: makes tickets, AP-REQs and tokens of any encryption type that we have, and any
 * wrong ones. Independent of the acceptor but for the DER writer (base/der.h) and the encryption (crypto/krb.h), which
 * has known answers of its own. Aborts on what cannot be made.
 */
#ifndef TESTS_FAKE_KRB_CLIENT_H
#define TESTS_FAKE_KRB_CLIENT_H

#include "crypto/krb.h"

enum fake_krb_form {
	FAKE_KRB_RAW,		/* Kerberos' token alone */
	FAKE_KRB_SPNEGO,	/* NegTokenInit, Kerberos first, with its token */
	FAKE_KRB_MS,		/* the same with Microsoft's wrong OID in front */
	FAKE_KRB_NTLM_FIRST,	/* NegTokenInit: NTLM with its token, then Kerberos */
	FAKE_KRB_NTLM_ONLY,
	FAKE_KRB_NO_TOKEN,	/* NegTokenInit: Kerberos, no token */
	FAKE_KRB_RESP,		/* NegTokenResp with Kerberos' token */
};

struct fake_krb {
	struct crypto_krb_key service, session, subkey;	/* subkey.etype 0: none */
	int32_t ticket_etype, session_etype, auth_etype, subkey_etype;	/* told instead of the true ones, if not 0 */
	int64_t kvno;				/* -1: not told */
	const char *server, *server_realm;	/* "HTTP/host" */
	const char *client, *client_realm;
	const char *auth_client, *auth_realm;	/* in the authenticator; NULL: the same */
	uint32_t ap_options, ticket_flags, gss_flags;
	uint64_t auth_s, start_s, end_s;	/* of the ticket; start_s 0: none */
	uint64_t ctime_s;
	uint32_t cusec;
	int64_t seq;				/* -1: none */
	const char *path;			/* of realms */
	int32_t sum_type;			/* 0: no checksum */
	struct slice sum;			/* instead of the GSS one */
	int32_t ticket_ad, auth_ad;		/* types of authorization data; 0: none */
	bool addresses;
	bool mic, bad_mic;
	enum fake_krb_form form;
	struct slice ticket_plain, auth_plain;	/* instead of the true ones */
	uint8_t confounder[CRYPTO_KRB_CONFOUNDER];	/* of the authenticator: counted up for every token */
	uint32_t ticket_flip, auth_flip;	/* bit of the cipher text to turn over, + 1 */
};

/* Alice of EXAMPLE.COM with a good ticket for HTTP/kms.example.com, at now_s, keys of etype. */
void fake_krb_init(struct fake_krb *f, int32_t etype, uint64_t now_s);
/* The length of the token in out. */
size_t fake_krb_token(struct fake_krb *f, uint8_t *out, size_t room);
/* The AP-REQ alone. */
size_t fake_krb_ap_req(struct fake_krb *f, uint8_t *out, size_t room);
/* Plain texts as they are encrypted into the two. */
size_t fake_krb_ticket_plain(const struct fake_krb *f, uint8_t *out, size_t room);
size_t fake_krb_auth_plain(const struct fake_krb *f, uint8_t *out, size_t room);
/* Is this the answer that the last token asks for? Opens the AP-REP with the session key, and the MIC. */
MUST_CHECK bool fake_krb_reply_fits(const struct fake_krb *f, struct slice reply);
/* A keytab entry (behind the file's head 05 02). kvno32 0: without. */
size_t fake_krb_keytab_entry(uint8_t *out, size_t room, const char *principal, const char *realm, uint8_t kvno8,
			     uint32_t kvno32, int32_t etype, const uint8_t *key, size_t key_len);

#endif
