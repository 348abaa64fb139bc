/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public header of verifier/: an attestation report, certificates and what the caller demands, in; a
 * verdict, out. See verifier/README.md.
 *
 * Trusts: libcrypto, the machine it runs on, and the three keys of AMD in roots.c. Everything handed in is
 * taken for the attacker's: report, certificates, manifest. Always holds: a check that could not be made has
 * failed; what was not asked for is said, and never counts as passed. No I/O, no state, no clock of its own.
 */
#ifndef VERIFIER_VERIFIER_H
#define VERIFIER_VERIFIER_H

#include "crypto/x509.h"
#include "snp/report.h"
#include "wire/attest.h"
#include "wire/boot.h"

enum verifier_product {
	PRODUCT_UNKNOWN = 0,
	PRODUCT_MILAN,
	PRODUCT_GENOA,
	PRODUCT_TURIN,
	PRODUCTS
};

/* Components of a TCB version. Compared one by one (56860, TCB_VERSION). */
enum verifier_tcb_part {
	TCB_FMC,		/* Turin only; 0 elsewhere */
	TCB_BOOT_LOADER,
	TCB_TEE,
	TCB_SNP,
	TCB_MICROCODE,
	TCB_PARTS
};

struct verifier_tcb {
	uint8_t part[TCB_PARTS];
};

enum verifier_tcb_kind {
	TCB_REPORTED,
	TCB_CURRENT,
	TCB_COMMITTED,
	TCB_LAUNCH,
	TCB_KINDS
};

#define VERIFIER_SOURCES 8		/* files with certificates */
#define VERIFIER_CERTS 24		/* certificates in all of them */
#define VERIFIER_SOURCE_MAX (64u << 10)	/* bytes of one of them */
#define VERIFIER_MANIFEST_MAX (64u << 10)

/*
 * Borrowed for the call. A source of certificates is PEM, DER certificates one behind the other, or the
 * certificate table of an extended guest request; leaf, intermediate and root may come in any order.
 */
struct verifier_input {
	struct slice report;
	struct slice certs[VERIFIER_SOURCES];
	size_t sources;
	struct slice root;	/* a test root that the caller accepts, PEM or DER; p NULL: AMD's only */
	struct slice manifest;	/* p NULL: none */
};

/* A zeroed policy is the strict one; set `at` always. */
struct verifier_policy {
	int64_t at;			/* seconds since 1970: when the certificates must be valid */
	uint32_t vmpl;			/* the report must be of this level; the key service runs at 0 */
	bool allow_debug;		/* guest policy: the host may read and write the guest */
	bool allow_migration;		/* guest policy: a migration agent may be attached, or is */
	bool allow_unknown_version;	/* reports newer than version 5, read as version 5 */
	bool has_min_tcb;		/* none of the report's four TCB versions may be below */
	struct verifier_tcb min_tcb;
	uint64_t policy_set, policy_clear;	/* further bits of the guest policy (snp/report.h) */
	uint64_t platform_set, platform_clear;	/* bits of the platform info */
	bool has_owner;
	uint8_t owner[32];	/* SHA-256 of the public key that must own the service's store */
	bool has_measurement;
	uint8_t measurement[48];
	size_t nonce_len;		/* 0: not asked; else 1..ATTEST_NONCE_MAX */
	uint8_t nonce[ATTEST_NONCE_MAX];
};

enum verifier_check_id {
	CHECK_FORMAT,
	CHECK_VERSION,
	CHECK_CERTIFICATES,
	CHECK_ROOT,
	CHECK_INTERMEDIATE,
	CHECK_LEAF,
	CHECK_VALIDITY,
	CHECK_PRODUCT,
	CHECK_SIGNER,
	CHECK_CHIP,
	CHECK_TCB,
	CHECK_SIGNATURE,
	CHECK_MIN_TCB,
	CHECK_VMPL,
	CHECK_DEBUG,
	CHECK_MIGRATION,
	CHECK_POLICY,
	CHECK_PLATFORM,
	CHECK_MEASUREMENT,
	CHECK_REPORT_DATA,
	CHECK_MANIFEST,
	CHECK_OWNER,
	CHECK_REVOCATION,	/* never asked: lists of revoked certificates are not read */
	CHECKS
};

enum verifier_result {
	CHECK_FAILED = 0,	/* also: could not be made */
	CHECK_PASSED,
	CHECK_NOT_ASKED,
};

struct verifier_check {
	enum verifier_result result;
	char says[256];		/* one sentence; may quote certificates' names (printable ASCII) */
};

enum verifier_root {
	ROOT_NONE,		/* the chain does not end at a root that counts */
	ROOT_AMD,		/* pinned in roots.c */
	ROOT_TEST,		/* the caller's test root: shows nothing about hardware */
};

struct verifier_leaf {
	bool vlek;
	uint64_t structure_version;		/* extension .1 */
	char product[32], csp_id[64];		/* .2; .5, empty when absent */
	uint8_t tcb[SNP_TCB_LEN];		/* .3.*, in the layout of TCB_VERSION */
	uint8_t hwid[64];			/* .4 */
	size_t hwid_len;			/* 0: absent */
	enum verifier_product by_name;		/* what product[] means */
};

/* In a chain. */
enum verifier_cert_role {
	CERT_ARK,
	CERT_ASK,
	CERT_LEAF,
	CERT_ROLES
};

#define VERIFIER_SERVICES 16
struct verifier_manifest {
	size_t count;			/* of services; 1 and no table: the key service's own manifest */
	bool table;
	struct {
		uint8_t guid[16];	/* as in memory: first three fields little-endian */
		uint32_t len;		/* of its manifest */
	} service[VERIFIER_SERVICES];
	bool has_kms;
	struct attest_kms_manifest kms;
};

struct verifier_verdict {
	bool accepted;			/* every check passed, or was not asked */
	enum verifier_root root;
	/*
	 * What is shown of the key service (enum boot_isolation): emulated for a test root; SNP only when
	 * measurement, nonce and manifest were asked for and hold; else 0.
	 */
	uint32_t isolation;
	bool has_report;
	struct snp_report report;
	bool has_cpuid, has_mitigations;	/* fields that the report's version has */
	enum verifier_product product;	/* for the layout of TCB versions */
	struct verifier_tcb tcb[TCB_KINDS];	/* when the product is known */
	bool has_cert[CERT_ROLES];	/* found; says nothing about being genuine */
	struct crypto_cert_info cert[CERT_ROLES];
	bool has_leaf;
	struct verifier_leaf leaf;
	bool has_manifest;		/* it could be read */
	struct verifier_manifest manifest;
	struct verifier_check check[CHECKS];
};

/*
 * Fills *out in every case but RC_MACHINE. RC_OK: accepted. RC_DENIED: a check failed, out->check says
 * which. RC_MACHINE: libcrypto or memory failed and nothing is known.
 */
enum rc verifier_judge(const struct verifier_input *in, const struct verifier_policy *policy,
		       struct verifier_verdict *out);

/*
 * The report data that belongs to a nonce (1..ATTEST_NONCE_MAX bytes) and a manifest (p NULL: none): the
 * nonce brought to 64 bytes (wire/attest.h); with a manifest SHA-512 over those bytes and the manifest.
 */
enum rc verifier_report_data(struct slice nonce, struct slice manifest, uint8_t out[SNP_REPORT_DATA_LEN]);

/* For people and programs; never NULL. */
const char *verifier_check_name(enum verifier_check_id id);
const char *verifier_product_name(enum verifier_product p);
const char *verifier_tcb_part_name(enum verifier_tcb_part p);
const char *verifier_tcb_kind_name(enum verifier_tcb_kind k);

/* Whether a public key (SHA-384 of its SubjectPublicKeyInfo) is a root of AMD. */
MUST_CHECK bool verifier_is_root(const uint8_t key_sha384[CRYPTO_SHA384_LEN]);

/* The parsers, for tests. Each writes *out only on RC_OK; all else is RC_BAD_INPUT. */
enum rc verifier_report_parse(struct slice in, struct snp_report *out);
enum rc verifier_manifest_parse(struct slice in, struct verifier_manifest *out);
enum rc verifier_leaf_parse(const struct crypto_cert *c, struct verifier_leaf *out);
/* Certificates of a table, by position; each is DER. *count is at most max. */
enum rc verifier_cert_table_parse(struct slice in, struct slice *out, size_t max, size_t *count);
/* The TCB version in a product's layout. False: the product is unknown. */
MUST_CHECK bool verifier_tcb_decode(enum verifier_product p, const uint8_t in[SNP_TCB_LEN], struct verifier_tcb *out);
/* What a CPU is (56860, CPUID_FAM_ID and CPUID_MOD_ID of the report; combined values). */
enum verifier_product verifier_product_of_cpu(uint8_t family, uint8_t model);

#endif
