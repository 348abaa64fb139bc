/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as a program for CPL3. What is loaded is given back whole. */
#include "tests/fake/x86.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct process p;
	static struct thread t[1];
	enum rc rc;

	fake_x86_reset(512);
	INVARIANT(process_new(&p, t, 1) == RC_OK);
	rc = process_load(&p, slice_of(data, size));
	if (rc == RC_OK)
		INVARIANT(t[0].regs.rsp % 16 == 0 && t[0].regs.rflags == 2);
	while (process_free(&p, 64) == RC_BUSY)
		;
	INVARIANT(fake_pages_out() == 0);
	return 0;
}
