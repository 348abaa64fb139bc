/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that open a data directory without a server; they need the store and the core. */
#include "client/cli.h"

static int not_built_in(struct cli *c)
{
	return cli_fail(c, EXIT_REFUSED, "%s: not built in", c->verb->name);
}

int verb_export(struct cli *c)
{
	return not_built_in(c);
}

int verb_store_verify(struct cli *c)
{
	return not_built_in(c);
}

int verb_store_recover(struct cli *c)
{
	return not_built_in(c);
}

int verb_acl_check(struct cli *c)
{
	return not_built_in(c);
}
