/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SVSM calls: what a monitor at VMPL0 offers to the levels below. AMD publication 58019: calling
 * area, register conventions, core protocol (0), attestation protocol (1).
 */
#ifndef SNP_SVSM_H
#define SNP_SVSM_H

#include "base/rc.h"

/* The calling area: one page per vCPU, owned by the guest, so each byte may change at any time. */
struct svsm_ca {
	uint8_t call_pending;	/* guest: 1 before the call; monitor: exchanged with 0 when it takes it */
	uint8_t mem_available;
	uint8_t no_eoi_required;
	uint8_t zero[5];
	uint8_t buffer[4088];
};
ABI_SIZE(struct svsm_ca, 4096);
#define SVSM_CA_BUFFER 8u

/* Results in RAX. */
#define SVSM_SUCCESS 0u
#define SVSM_INCOMPLETE 0x80000000u
#define SVSM_UNSUPPORTED_PROTOCOL 0x80000001u
#define SVSM_UNSUPPORTED_CALL 0x80000002u
#define SVSM_INVALID_ADDRESS 0x80000003u
#define SVSM_INVALID_FORMAT 0x80000004u
#define SVSM_INVALID_PARAMETER 0x80000005u
#define SVSM_INVALID_REQUEST 0x80000006u
#define SVSM_BUSY 0x80000007u
#define SVSM_PROTOCOL_BASE 0x80001000u

#define SVSM_PROTO_CORE 0u
#define SVSM_PROTO_ATTEST 1u

enum svsm_core {
	SVSM_REMAP_CA = 0,
	SVSM_PVALIDATE = 1,
	SVSM_CREATE_VCPU = 2,
	SVSM_DELETE_VCPU = 3,
	SVSM_DEPOSIT_MEM = 4,
	SVSM_WITHDRAW_MEM = 5,
	SVSM_QUERY_PROTOCOL = 6,
	SVSM_CONFIGURE_VTOM = 7,
};
#define SVSM_CORE_VERSION 1u

/* Core protocol's own errors: SVSM_PROTOCOL_BASE + the instruction's result. */
#define SVSM_CORE_FAIL_INPUT 0x80001001u
#define SVSM_CORE_FAIL_PERMISSION 0x80001002u
#define SVSM_CORE_IN_USE 0x80001003u
#define SVSM_CORE_SIZEMISMATCH 0x80001006u
#define SVSM_CORE_NO_CHANGE 0x80001010u

struct svsm_pvalidate_list {	/* 8-byte aligned, inside one page */
	uint16_t entries;
	uint16_t next;		/* advanced as entries are done; on error: the one that failed */
	uint32_t zero;
};
ABI_SIZE(struct svsm_pvalidate_list, 8);
#define SVSM_PVALIDATE_MAX 510u
/* Entry: [1:0] size, [2] validate, [3] ignore CF, [11:4] zero, [63:12] frame. */
#define SVSM_PV_SIZE(e) ((unsigned)((e) & 3))
#define SVSM_PV_VALIDATE (1u << 2)
#define SVSM_PV_IGNORE_CF (1u << 3)
#define SVSM_PV_ZERO 0xff0u
#define SVSM_PV_GPA(e) ((e) & ~0xfffull)

enum svsm_attest {
	SVSM_ATTEST_SERVICES = 0,
	SVSM_ATTEST_SINGLE_SERVICE = 1,
};
#define SVSM_ATTEST_VERSION 1u

struct svsm_attest_buf {
	uint64_t gpa;
	uint32_t len;
	uint32_t zero;
};
struct svsm_attest_req {	/* 0x40 bytes for call 0, all 0x58 for call 1 */
	struct svsm_attest_buf report, nonce, manifest, certs;
	uint8_t guid[16];
	uint32_t manifest_version;
	uint32_t zero;
};
ABI_SIZE(struct svsm_attest_req, 0x58);
ABI_AT(struct svsm_attest_req, guid, 0x40);

/* Services manifest: this header, `count` entries, then the services' manifests. GUIDs in wire order. */
struct svsm_manifest_hdr {
	uint8_t guid[16];	/* 63849ebb-3d92-4670-a1ff-58f9c94b87bb */
	uint32_t len;		/* of everything */
	uint32_t count;
};
struct svsm_manifest_entry {
	uint8_t guid[16];
	uint32_t off;
	uint32_t len;
};
ABI_SIZE(struct svsm_manifest_hdr, 24);
ABI_SIZE(struct svsm_manifest_entry, 24);

/* A GUID as printed, in the order of bytes in memory (first three fields little-endian). */
#define SVSM_GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7) \
	{ (uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16), (uint8_t)((a) >> 24), (uint8_t)(b), \
	  (uint8_t)((b) >> 8), (uint8_t)(c), (uint8_t)((c) >> 8), d0, d1, d2, d3, d4, d5, d6, d7 }
#define SVSM_GUID_SERVICES SVSM_GUID(0x63849ebbu, 0x3d92, 0x4670, 0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb)

#endif
