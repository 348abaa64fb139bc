/* SPDX-License-Identifier: Apache-2.0 */
/* Private to verifier/. */
#ifndef VERIFIER_INTERNAL_H
#define VERIFIER_INTERNAL_H

#include "verifier/verifier.h"

/* What a case is about while it is judged. */
struct verifier_case {
	const struct verifier_input *in;
	const struct verifier_policy *policy;
	struct verifier_verdict *v;
	struct crypto_cert *pool[VERIFIER_CERTS];
	size_t pooled;
	struct crypto_cert *root;	/* the caller's, or NULL */
	const struct crypto_cert *cert[CERT_ROLES];	/* chosen from the pool; NULL: none */
	bool machine;			/* libcrypto or memory failed: there will be no verdict */
};

/* Records a check; returns ok. */
__attribute__((format(printf, 4, 5))) bool judge(struct verifier_verdict *v, enum verifier_check_id id, bool ok,
						  const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void not_asked(struct verifier_verdict *v, enum verifier_check_id id,
						      const char *fmt, ...);

/* certs.c: fills the pool from all sources and picks a chain from it; judges CERTIFICATES. */
void case_certs_read(struct verifier_case *c);
void case_certs_free(struct verifier_case *c);
/* chain.c: judges ROOT, INTERMEDIATE, LEAF, VALIDITY, PRODUCT, SIGNER, CHIP, TCB, SIGNATURE. */
void case_chain(struct verifier_case *c);
/* policy.c: judges the rest; only with a report. case_manifest() judges MANIFEST, also without one. */
void case_policy(struct verifier_case *c);
void case_manifest(struct verifier_case *c);

/* roots.c: the product whose root has this public key (SHA-384 of its SubjectPublicKeyInfo). */
enum verifier_product root_product(const uint8_t key_sha384[CRYPTO_SHA384_LEN]);

/* Names that a test chain carries: "ARK-Milan (TEST ROOT, NOT AMD)", "SEV-VCEK (TEST, NOT AMD)". */
#define TEST_ROOT_MARK " (TEST ROOT, NOT AMD)"
#define TEST_MARK " (TEST, NOT AMD)"

/* By the name AMD gives it ("Milan", "Genoa", "Turin"); PRODUCT_UNKNOWN for all else. */
enum verifier_product product_named(struct slice name);

#endif
