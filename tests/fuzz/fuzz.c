/* SPDX-License-Identifier: Apache-2.0 */
/* What each fuzz target needs besides its parser: a broken invariant is a crash. */
#include <stdio.h>
#include <stdlib.h>

#include "base/rc.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}
