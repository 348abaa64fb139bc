/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the table of settings as docs/operations.md has it; tests/docs/suite compares the two. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/settings.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

int main(void)
{
	settings_print_table(stdout);
	return ferror(stdout) != 0;
}
