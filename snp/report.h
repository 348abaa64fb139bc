/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation reports: MSG_REPORT_REQ and its answer, ATTESTATION_REPORT, TCB_VERSION, and the table of
 * certificates that a host hands to its guests. AMD publication 56860 (SEV-SNP firmware ABI), tables of
 * MSG_REPORT_REQ, MSG_REPORT_RSP, ATTESTATION_REPORT and TCB_VERSION; 56421 (GHCB), extended guest
 * request; 57230 (VCEK certificates). All fields are little-endian.
 *
 * Layouts only. A report comes from outside: whoever reads one checks it first (verifier/).
 */
#ifndef SNP_REPORT_H
#define SNP_REPORT_H

#include "base/rc.h"

/* MSG_REPORT_REQ, message types 5 and 6, version 1. */
#define SNP_REPORT_DATA_LEN 64u
struct snp_report_req {
	uint8_t report_data[SNP_REPORT_DATA_LEN];
	uint32_t vmpl;		/* at least the level of the key that the message is sealed with */
	uint32_t key_sel;	/* enum snp_key_sel in bits 1:0 */
	uint8_t zero[24];
};
ABI_SIZE(struct snp_report_req, 96);
ABI_AT(struct snp_report_req, vmpl, 0x40);
ABI_AT(struct snp_report_req, key_sel, 0x44);

enum snp_key_sel {
	SNP_KEY_SEL_ANY = 0,	/* VLEK where one is loaded, else VCEK */
	SNP_KEY_SEL_VCEK = 1,
	SNP_KEY_SEL_VLEK = 2,
};

/*
 * TCB_VERSION, in memory. Two layouts: compare component by component, in the product's layout, never as
 * one number. In certificates the same bytes are the extensions named in brackets (57230, arc .3).
 */
#define SNP_TCB_LEN 8u
struct snp_tcb_milan {		/* Milan, Genoa */
	uint8_t boot_loader;	/* [.3.1] */
	uint8_t tee;		/* [.3.2] */
	uint8_t spl4[4];	/* [.3.4 .. .3.7] reserved */
	uint8_t snp;		/* [.3.3] */
	uint8_t microcode;	/* [.3.8] */
};
ABI_SIZE(struct snp_tcb_milan, SNP_TCB_LEN);
ABI_AT(struct snp_tcb_milan, snp, 6);

struct snp_tcb_turin {
	uint8_t fmc;		/* [.3.9] */
	uint8_t boot_loader;
	uint8_t tee;
	uint8_t snp;
	uint8_t spl5[3];	/* [.3.5 .. .3.7] reserved */
	uint8_t microcode;
};
ABI_SIZE(struct snp_tcb_turin, SNP_TCB_LEN);
ABI_AT(struct snp_tcb_turin, microcode, 7);

/* Guest policy, ATTESTATION_REPORT 008. */
#define SNP_POLICY_ABI_MINOR(p) ((unsigned)((p) & 0xff))
#define SNP_POLICY_ABI_MAJOR(p) ((unsigned)((p) >> 8 & 0xff))
#define SNP_POLICY_SMT (1ull << 16)		/* allowed */
#define SNP_POLICY_RESERVED_1 (1ull << 17)	/* always 1 */
#define SNP_POLICY_MIGRATE_MA (1ull << 18)	/* a migration agent may be attached */
#define SNP_POLICY_DEBUG (1ull << 19)		/* the host may read and write the guest */
#define SNP_POLICY_SINGLE_SOCKET (1ull << 20)

/* PLATFORM_INFO, ATTESTATION_REPORT 040. */
#define SNP_PLATFORM_SMT (1ull << 0)
#define SNP_PLATFORM_TSME (1ull << 1)
#define SNP_PLATFORM_ECC (1ull << 2)
#define SNP_PLATFORM_RAPL_DIS (1ull << 3)
#define SNP_PLATFORM_CIPHERTEXT_HIDING (1ull << 4)
#define SNP_PLATFORM_ALIAS_CHECK (1ull << 5)
#define SNP_PLATFORM_TIO (1ull << 7)

/* ATTESTATION_REPORT 048. */
#define SNP_KEY_INFO_AUTHOR (1u << 0)
#define SNP_KEY_INFO_MASKED (1u << 1)		/* the chip's key was masked: not signed */
#define SNP_KEY_INFO_SIGNER(k) ((k) >> 2 & 7u)
enum snp_signer {
	SNP_SIGNER_VCEK = 0,
	SNP_SIGNER_VLEK = 1,
	SNP_SIGNER_NONE = 7,
};

#define SNP_SIG_ECDSA_P384_SHA384 1u
#define SNP_SIG_COMPONENT 72u	/* of R and S, little-endian; P-384 uses 48 */
#define SNP_SIG_P384 48u

struct snp_report {
	uint32_t version;		/* 2, 3 and 5 are made by silicon */
	uint32_t guest_svn;
	uint64_t policy;
	uint8_t family_id[16];
	uint8_t image_id[16];
	uint32_t vmpl;			/* that the report was asked for */
	uint32_t signature_algo;	/* SNP_SIG_ECDSA_P384_SHA384 */
	uint8_t current_tcb[SNP_TCB_LEN];
	uint64_t platform_info;
	uint32_t key_info;
	uint32_t zero0;
	uint8_t report_data[SNP_REPORT_DATA_LEN];
	uint8_t measurement[48];	/* launch digest */
	uint8_t host_data[32];
	uint8_t id_key_digest[48];
	uint8_t author_key_digest[48];
	uint8_t report_id[32];
	uint8_t report_id_ma[32];	/* all ones: no migration agent */
	uint8_t reported_tcb[SNP_TCB_LEN];	/* the signing key was derived for this one */
	uint8_t cpuid_family;		/* from version 3 */
	uint8_t cpuid_model;		/* from version 3 */
	uint8_t cpuid_stepping;		/* from version 3 */
	uint8_t zero1[21];
	uint8_t chip_id[64];		/* Turin: the first 8; zero when masked, or signed with a VLEK */
	uint8_t committed_tcb[SNP_TCB_LEN];
	uint8_t current_build;
	uint8_t current_minor;
	uint8_t current_major;
	uint8_t zero2;
	uint8_t committed_build;
	uint8_t committed_minor;
	uint8_t committed_major;
	uint8_t zero3;
	uint8_t launch_tcb[SNP_TCB_LEN];
	uint64_t launch_mitigations;	/* from version 5 */
	uint64_t current_mitigations;	/* from version 5 */
	uint8_t zero4[152];
	uint8_t r[SNP_SIG_COMPONENT];	/* the signature covers all above */
	uint8_t s[SNP_SIG_COMPONENT];
	uint8_t zero5[368];
};
#define SNP_REPORT_LEN 1184u
#define SNP_REPORT_SIGNED_LEN 0x2a0u
ABI_SIZE(struct snp_report, SNP_REPORT_LEN);
ABI_AT(struct snp_report, policy, 0x008);
ABI_AT(struct snp_report, vmpl, 0x030);
ABI_AT(struct snp_report, current_tcb, 0x038);
ABI_AT(struct snp_report, platform_info, 0x040);
ABI_AT(struct snp_report, key_info, 0x048);
ABI_AT(struct snp_report, report_data, 0x050);
ABI_AT(struct snp_report, measurement, 0x090);
ABI_AT(struct snp_report, host_data, 0x0c0);
ABI_AT(struct snp_report, id_key_digest, 0x0e0);
ABI_AT(struct snp_report, author_key_digest, 0x110);
ABI_AT(struct snp_report, report_id, 0x140);
ABI_AT(struct snp_report, report_id_ma, 0x160);
ABI_AT(struct snp_report, reported_tcb, 0x180);
ABI_AT(struct snp_report, cpuid_family, 0x188);
ABI_AT(struct snp_report, chip_id, 0x1a0);
ABI_AT(struct snp_report, committed_tcb, 0x1e0);
ABI_AT(struct snp_report, current_build, 0x1e8);
ABI_AT(struct snp_report, committed_build, 0x1ec);
ABI_AT(struct snp_report, launch_tcb, 0x1f0);
ABI_AT(struct snp_report, launch_mitigations, 0x1f8);
ABI_AT(struct snp_report, current_mitigations, 0x200);
ABI_AT(struct snp_report, r, SNP_REPORT_SIGNED_LEN);
ABI_AT(struct snp_report, s, 0x2e8);
ABI_AT(struct snp_report, zero5, 0x330);

struct snp_report_rsp {
	uint32_t status;	/* 0; SNP_REPORT_BAD_PARAM; SNP_REPORT_BAD_KEY */
	uint32_t report_len;	/* SNP_REPORT_LEN */
	uint8_t zero[24];
	struct snp_report report;
};
ABI_SIZE(struct snp_report_rsp, 0x20 + SNP_REPORT_LEN);
ABI_AT(struct snp_report_rsp, report, 0x20);
#define SNP_REPORT_BAD_PARAM 0x16u
#define SNP_REPORT_BAD_KEY 0x27u

/*
 * Certificate table of an extended guest request: entries, an all-zero entry, then the certificates (DER).
 * off counts from the table's start. The GUIDs are in the order in which they are printed, as the tools
 * that fill such tables on hosts write them.
 */
struct snp_cert_entry {
	uint8_t guid[16];
	uint32_t off;
	uint32_t len;
};
ABI_SIZE(struct snp_cert_entry, 24);

/* 63da758d-e664-4564-adc5-f4b93be8accd */
#define SNP_CERT_GUID_VCEK \
	{ 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd }
/* a8074bc2-a25a-483e-aae6-39c045a0b8a1 */
#define SNP_CERT_GUID_VLEK \
	{ 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 }
/* 4ab7b379-bbac-4fe4-a02f-05aef327c782 */
#define SNP_CERT_GUID_ASK \
	{ 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 }
/* c0b406a4-a803-4952-9743-3fb6014cd0ae */
#define SNP_CERT_GUID_ARK \
	{ 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae }

#endif
