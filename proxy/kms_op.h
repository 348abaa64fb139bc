/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of the service under the names that Hadoop's audit log and meters give them. One
 * table for audit log and metrics, so that they cannot disagree.
 */
#ifndef PROXY_KMS_OP_H
#define PROXY_KMS_OP_H

#include "base/base.h"

/* X(identifier, text, aggregated in the audit log) */
/* clang-format off */
#define KMS_OPS(X) \
	X(KMS_OP_NONE, "", 0)	/* no operation: ERROR and UNAUTHENTICATED audit lines */ \
	X(KMS_OP_CREATE_KEY, "CREATE_KEY", 0) \
	X(KMS_OP_DELETE_KEY, "DELETE_KEY", 0) \
	X(KMS_OP_ROLL_NEW_VERSION, "ROLL_NEW_VERSION", 0) \
	X(KMS_OP_INVALIDATE_CACHE, "INVALIDATE_CACHE", 0) \
	X(KMS_OP_GET_KEYS, "GET_KEYS", 0) \
	X(KMS_OP_GET_KEYS_METADATA, "GET_KEYS_METADATA", 0) \
	X(KMS_OP_GET_METADATA, "GET_METADATA", 0) \
	X(KMS_OP_GET_CURRENT_KEY, "GET_CURRENT_KEY", 1) \
	X(KMS_OP_GET_KEY_VERSION, "GET_KEY_VERSION", 1) \
	X(KMS_OP_GET_KEY_VERSIONS, "GET_KEY_VERSIONS", 0) \
	X(KMS_OP_GENERATE_EEK, "GENERATE_EEK", 1) \
	X(KMS_OP_DECRYPT_EEK, "DECRYPT_EEK", 1) \
	X(KMS_OP_REENCRYPT_EEK, "REENCRYPT_EEK", 1) \
	X(KMS_OP_REENCRYPT_EEK_BATCH, "REENCRYPT_EEK_BATCH", 0) \
	/* what a key ACL denial names: an ACL type, never aggregated */ \
	X(KMS_OP_ACL_MANAGEMENT, "MANAGEMENT", 0) \
	X(KMS_OP_ACL_GENERATE_EEK, "GENERATE_EEK", 0) \
	X(KMS_OP_ACL_DECRYPT_EEK, "DECRYPT_EEK", 0) \
	X(KMS_OP_ACL_READ, "READ", 0) \
	X(KMS_OP_ACL_ALL, "ALL", 0) \
	/* measured, not audited */ \
	X(KMS_OP_HANDSHAKE, "OPTIONS", 0) \
	X(KMS_OP_GET_TOKEN, "GETDELEGATIONTOKEN", 0) \
	X(KMS_OP_RENEW_TOKEN, "RENEWDELEGATIONTOKEN", 0) \
	X(KMS_OP_CANCEL_TOKEN, "CANCELDELEGATIONTOKEN", 0) \
	X(KMS_OP_IMPORT, "IMPORT", 0) \
	X(KMS_OP_STATUS, "STATUS", 0)	/* /health, /jmx, /metrics, /conf and the like */ \
	X(KMS_OP_OTHER, "OTHER", 0)
/* clang-format on */

#define KMS_OP_ID(id, text, aggregated) id,
enum kms_op { KMS_OPS(KMS_OP_ID) KMS_OP_COUNT };
#undef KMS_OP_ID

struct kms_op_info {
	const char *name;
	bool aggregated;
};

/* op must be below KMS_OP_COUNT. */
const struct kms_op_info *kms_op_info(enum kms_op op);

#endif
