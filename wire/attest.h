/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attestation says about the key service: its manifest in the SVSM attestation protocol. Written by
 * the monitor, read by the verifier. Bound to a report because the report's data is
 * SHA-512(nonce || manifest). All fields are little-endian.
 */
#ifndef WIRE_ATTEST_H
#define WIRE_ATTEST_H

#include "base/rc.h"
#include "wire/call.h"

/* 5d1cba34-5c2e-4b0f-9a3e-6b1f0e5a7c11, as it lies in memory (first three fields little-endian). */
#define ATTEST_KMS_GUID \
	{ 0x34, 0xba, 0x1c, 0x5d, 0x2e, 0x5c, 0x0f, 0x4b, 0x9a, 0x3e, 0x6b, 0x1f, 0x0e, 0x5a, 0x7c, 0x11 }
#define ATTEST_KMS_GUID_TEXT "5d1cba34-5c2e-4b0f-9a3e-6b1f0e5a7c11"

#define ATTEST_KMS_VERSION 1u

struct attest_kms_manifest {
	uint32_t version;	/* ATTEST_KMS_VERSION */
	uint32_t protocol;	/* CALL_PROTOCOL, wire/call.h */
	uint8_t service[48];	/* SHA-384 of the service's ELF file */
	uint8_t platform[48];	/* SHA-384 of the platform service's ELF file */
	struct call_evidence evidence;	/* what the service says of itself; zeros while it does not run */
};
ABI_SIZE(struct attest_kms_manifest, 264);
ABI_AT(struct attest_kms_manifest, evidence, 104);
ABI_AT(struct attest_kms_manifest, service, 8);
ABI_AT(struct attest_kms_manifest, platform, 56);

/*
 * The 64 bytes that a report is asked for with: the caller's nonce where it has exactly that length, else
 * its SHA-512. A nonce has 1..ATTEST_NONCE_MAX bytes.
 */
#define ATTEST_NONCE_MAX 64u

#endif
