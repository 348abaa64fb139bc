/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes attestation reports with chains of certificates of their own, right or wrong in one chosen way.
 * Keys are made when they are first needed, once a program; where SVSM_TEST_KEYS names a directory, RSA keys are
 * kept there for the next one.
 */
#ifndef TESTS_VERIFIER_FORGE_H
#define TESTS_VERIFIER_FORGE_H

#include "verifier/verifier.h"

#define FORGE_NOW 1750000000	/* June 2025; certificates are valid a year before and after */
#define FORGE_DER 4096

/* forge_how_is() gives what makes a good Milan chain; a test then spoils something. */
struct forge_how {
	enum verifier_product product;
	bool vlek;
	bool as_amd;			/* names without the marks of a test chain */
	unsigned ark_key, ask_key;	/* 0..2: which RSA key */
	unsigned ask_signer;		/* which RSA key signs the ASK */
	unsigned leaf_signer;		/* which RSA key signs the leaf */
	const char *ark_name, *ask_name, *leaf_name, *leaf_issuer;	/* NULL: as it should be */
	long leaf_serial;
	int salt;			/* of all PSS signatures */
	const char *hash;		/* "SHA384" */
	bool pkcs1;			/* instead of PSS */
	bool usual_extension;		/* the leaf has basicConstraints */
	bool duplicate_extension;	/* the product name twice */
	bool wrapped_hwid, hwid_on_vlek, no_csp, csp_on_vcek;
	const char *product_name;	/* in the leaf; NULL: as it should be */
	int structure;			/* -1: as it should be */
	unsigned skip_spl;		/* do not write .3.<this>; 0: none */
	int64_t ark_to, ask_to, leaf_from, leaf_to;
	struct snp_report report;	/* signed as it stands when forge() is called */
	bool bad_signature_key;		/* signed by another P-384 key */
};

struct forge {
	uint8_t ark[FORGE_DER], ask[FORGE_DER], leaf[FORGE_DER];
	size_t ark_len, ask_len, leaf_len;
	struct snp_report report;
};

void forge_how_is(struct forge_how *h, enum verifier_product p, bool vlek);
/* Aborts when libcrypto fails. */
void forge(const struct forge_how *h, struct forge *out);
/* Signs a report with the leaf's key once more. */
void forge_sign(struct snp_report *r);

/* A table as hosts hand it out, with the three certificates. Returns its length. */
size_t forge_cert_table(const struct forge *f, bool vlek, uint8_t *out, size_t room);
/* A services manifest with the key service and, before it, another one. Returns its length. */
size_t forge_manifest(uint8_t *out, size_t room);

/* Input and a strict policy at FORGE_NOW that accepts f: chain, test root. */
void forge_ask(const struct forge *f, struct verifier_input *in, struct verifier_policy *policy);

#endif
