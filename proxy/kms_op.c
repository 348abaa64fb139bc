/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations; see kms_op.h. */
#include "proxy/kms_op.h"

#define ROW(id, text, agg) [id] = {.name = text, .aggregated = agg},
static const struct kms_op_info table[KMS_OP_COUNT] = {KMS_OPS(ROW)};

const struct kms_op_info *kms_op_info(enum kms_op op)
{
	INVARIANT((unsigned)op < KMS_OP_COUNT);
	return &table[op];
}
