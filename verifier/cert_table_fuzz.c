/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: every entry of an accepted certificate table lies inside the table and can be read. */
#include "verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice entry[8];
	size_t count = 0, i, k;
	uint8_t sum = 0;

	if (verifier_cert_table_parse(slice_of(data, size), entry, ARRAY_LEN(entry), &count) != RC_OK)
		return 0;
	INVARIANT(count <= ARRAY_LEN(entry));
	for (i = 0; i < count; i++) {
		INVARIANT(entry[i].p >= data + 24 * (count + 1) && entry[i].p + entry[i].len <= data + size);
		for (k = 0; k < entry[i].len && k < 4096; k++)
			sum ^= entry[i].p[k];
	}
	__asm__ volatile("" : : "r"(sum));
	return 0;
}
