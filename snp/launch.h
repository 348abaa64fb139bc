/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch: page types, the digest's input, guest policy, and the two pages that the firmware fills.
 * AMD publication 56860 (SEV-SNP firmware ABI): SNP_LAUNCH_UPDATE, PAGE_INFO, secrets page, CPUID page,
 * ID block.
 */
#ifndef SNP_LAUNCH_H
#define SNP_LAUNCH_H

#include "base/rc.h"

#define SNP_DIGEST_LEN 48u

#define SNP_POLICY_SMT (1ull << 16)
#define SNP_POLICY_ONE (1ull << 17)	/* must be one */
#define SNP_POLICY_MIGRATE (1ull << 18)
#define SNP_POLICY_DEBUG (1ull << 19)
#define SNP_POLICY_SINGLE_SOCKET (1ull << 20)
#define SNP_POLICY_DEFAULT (SNP_POLICY_SMT | SNP_POLICY_ONE)

enum snp_page_type {
	SNP_PAGE_NORMAL = 1,
	SNP_PAGE_VMSA = 2,
	SNP_PAGE_ZERO = 3,
	SNP_PAGE_UNMEASURED = 4,
	SNP_PAGE_SECRETS = 5,
	SNP_PAGE_CPUID = 6,
};

/* The launch digest: LD' = SHA-384 of this, LD starts as zeros. */
struct snp_page_info {
	uint8_t digest[SNP_DIGEST_LEN];		/* current LD */
	uint8_t contents[SNP_DIGEST_LEN];	/* SHA-384 of a NORMAL or VMSA page, else zeros */
	uint16_t len;				/* 0x70 */
	uint8_t page_type;
	uint8_t imi;
	uint8_t zero;
	uint8_t vmpl1_perms, vmpl2_perms, vmpl3_perms;
	uint64_t gpa;
};
ABI_SIZE(struct snp_page_info, 0x70);
#define SNP_VMSA_GPA 0xFFFFFFFFF000ull	/* where a VMSA is measured */

struct snp_secrets {
	uint32_t version;
	uint32_t imi;
	uint32_t fms;
	uint32_t zero0;
	uint8_t gosvw[16];
	uint8_t vmpck[4][32];
	uint32_t msg_seqno[4];		/* guest OS area begins here */
	uint64_t ap_jump_table;
	uint8_t zero1[40];
	uint8_t guest_usage[32];
	uint8_t vmsa_tweak[64];
	uint64_t svsm_base;
	uint64_t svsm_size;		/* 0: no SVSM */
	uint64_t svsm_caa;
	uint32_t svsm_max_version;
	uint8_t svsm_guest_vmpl;
	uint8_t zero2[3];
	uint32_t tsc_factor;
	uint8_t zero3[0xe9c];
};
ABI_SIZE(struct snp_secrets, 4096);
ABI_AT(struct snp_secrets, vmpck, 0x20);
ABI_AT(struct snp_secrets, msg_seqno, 0xa0);
ABI_AT(struct snp_secrets, vmsa_tweak, 0x100);
ABI_AT(struct snp_secrets, svsm_base, 0x140);
ABI_AT(struct snp_secrets, svsm_guest_vmpl, 0x15c);
ABI_AT(struct snp_secrets, tsc_factor, 0x160);

struct snp_cpuid_entry {
	uint32_t eax_in, ecx_in;
	uint64_t xcr0_in, xss_in;
	uint32_t eax, ebx, ecx, edx;
	uint64_t zero;
};
struct snp_cpuid_page {
	uint32_t count;		/* 1..64 */
	uint32_t zero0;
	uint64_t zero1;
	struct snp_cpuid_entry e[64];
	uint8_t zero2[1008];
};
ABI_SIZE(struct snp_cpuid_entry, 48);
ABI_SIZE(struct snp_cpuid_page, 4096);

struct snp_id_block {
	uint8_t digest[SNP_DIGEST_LEN];
	uint8_t family_id[16];
	uint8_t image_id[16];
	uint32_t version;	/* 1 */
	uint32_t guest_svn;
	uint64_t policy;
};
ABI_SIZE(struct snp_id_block, 96);

/* What Linux is pointed to by a setup_data node of type 7. */
struct snp_cc_blob {
	uint32_t magic;
	uint16_t version;
	uint16_t zero0;
	uint64_t secrets_gpa;
	uint32_t secrets_len;
	uint32_t zero1;
	uint64_t cpuid_gpa;
	uint32_t cpuid_len;
	uint32_t zero2;
};
ABI_SIZE(struct snp_cc_blob, 40);
#define SNP_CC_BLOB_MAGIC 0x45444d41u

#endif
