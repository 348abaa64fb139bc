/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a report that is read is the bytes given, its version is known to be at least 2, and nothing
 * lies outside what is signed; its TCB versions decode without reading further than eight bytes.
 */
#include "verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verifier_tcb tcb;
	struct snp_report r;
	size_t i;

	if (verifier_report_parse(slice_of(data, size), &r) != RC_OK)
		return 0;
	INVARIANT(size == SNP_REPORT_LEN && memcmp(data, &r, size) == 0 && r.version >= 2);
	for (i = 0x330; i < size; i++)
		INVARIANT(data[i] == 0);
	if (verifier_tcb_decode(verifier_product_of_cpu(r.cpuid_family, r.cpuid_model), r.reported_tcb, &tcb))
		INVARIANT(tcb.part[TCB_MICROCODE] == r.reported_tcb[7]);
	return 0;
}
