/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of page state at VMPL0, one by one: spec sections 1.1, 2.1 to 2.4.
 */
#include "tests/guests/guest.h"

void guest_main(void);
void level1_main(void);

void level1_main(void)
{
}

void guest_main(void)
{
	guest_setup();
	check(rdmsr(MSR_SEV_STATUS) == 7, "SEV status says SEV, ES and SNP");
	finish();
}
