/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the server until verb_serve.c is there; delete this file then. */
#include <stdio.h>

#include "base/base.h"
#include "client/client.h"

__attribute__((weak)) int serve_main(__attribute__((unused)) int argc, __attribute__((unused)) char **argv)
{
	fprintf(stderr, "svsm-kms: serve: not built in\n");
	return EXIT_REFUSED;
}
