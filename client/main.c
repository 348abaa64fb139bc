/* SPDX-License-Identifier: Apache-2.0 */
/* The program `svsm-kms`: all it does is in the table of verbs (table.c). */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "client/client.h"

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "svsm-kms: internal error: %s (%s:%d)\n", what, file, line);
	abort();
}

int main(int argc, char **argv)
{
	return client_main(argc, argv);
}
