/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what the manifest parser accepts accounts for every byte of the input. */
#include "verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verifier_manifest m;
	size_t i, sum;

	if (verifier_manifest_parse(slice_of(data, size), &m) != RC_OK)
		return 0;
	INVARIANT(m.count <= VERIFIER_SERVICES);
	sum = m.table ? 24 + 24 * m.count : 0;
	for (i = 0; i < m.count; i++)
		sum += m.service[i].len;
	INVARIANT(sum == size);
	INVARIANT(!m.has_kms || m.kms.version == ATTEST_KMS_VERSION);
	return 0;
}
