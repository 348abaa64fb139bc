/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between a guest and the secure processor. AMD publication 56860: guest message header,
 * MSG_KEY_REQ. (MSG_REPORT_REQ and the report itself: snp/report.h.)
 */
#ifndef SNP_GUESTMSG_H
#define SNP_GUESTMSG_H

#include "base/rc.h"

struct snp_msg_hdr {
	uint8_t tag[32];	/* 16 used */
	uint64_t seqno;
	uint64_t zero0;
	uint8_t algo;		/* from here to the end: additional data of the AEAD, 48 bytes */
	uint8_t hdr_version;
	uint16_t hdr_len;
	uint8_t type;
	uint8_t version;
	uint16_t payload_len;
	uint32_t zero1;
	uint8_t vmpck;
	uint8_t zero2[35];
};
ABI_SIZE(struct snp_msg_hdr, 0x60);
ABI_AT(struct snp_msg_hdr, seqno, 0x20);
ABI_AT(struct snp_msg_hdr, algo, 0x30);
ABI_AT(struct snp_msg_hdr, vmpck, 0x3c);

#define SNP_MSG_AAD_OFF 0x30u
#define SNP_MSG_AAD_LEN 0x30u
#define SNP_MSG_TAG_LEN 16u
#define SNP_MSG_IV_LEN 12u	/* seqno little-endian, then four zero bytes */
#define SNP_MSG_MAX_PAYLOAD (4096u - 0x60u)
#define SNP_MSG_AES_256_GCM 1u
#define SNP_MSG_HDR_VERSION 1u

enum snp_msg_type {
	SNP_MSG_CPUID_REQ = 1,
	SNP_MSG_CPUID_RSP = 2,
	SNP_MSG_KEY_REQ = 3,
	SNP_MSG_KEY_RSP = 4,
	SNP_MSG_REPORT_REQ = 5,
	SNP_MSG_REPORT_RSP = 6,
};

#define SNP_KEY_ROOT_VCEK 0u
#define SNP_KEY_ROOT_VMRK 1u
#define SNP_KEY_MIX_POLICY (1u << 0)
#define SNP_KEY_MIX_IMAGE_ID (1u << 1)
#define SNP_KEY_MIX_FAMILY_ID (1u << 2)
#define SNP_KEY_MIX_MEASUREMENT (1u << 3)
#define SNP_KEY_MIX_GUEST_SVN (1u << 4)
#define SNP_KEY_MIX_TCB (1u << 5)

struct snp_key_req {
	uint32_t root;
	uint32_t zero;
	uint64_t fields;
	uint32_t vmpl;		/* >= the requester's */
	uint32_t guest_svn;
	uint64_t tcb;
};
struct snp_key_rsp {
	uint32_t status;
	uint8_t zero[28];
	uint8_t key[32];
};
ABI_SIZE(struct snp_key_req, 32);
ABI_SIZE(struct snp_key_rsp, 64);

/* Firmware status codes, as far as used. */
#define SNP_FW_OK 0u
#define SNP_FW_INVALID_LEN 0x04u
#define SNP_FW_POLICY_FAILURE 0x07u
#define SNP_FW_BAD_SIGNATURE 0x0au
#define SNP_FW_BAD_MEASUREMENT 0x0bu
#define SNP_FW_INVALID_COMMAND 0x11u
#define SNP_FW_INVALID_PARAM 0x16u
#define SNP_FW_AEAD_OFLOW 0x1du
#define SNP_FW_INVALID_KEY 0x27u
#define SNP_FW_NOT_CALLED 0xffffffffu

#endif
