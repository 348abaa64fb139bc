/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as kms-site.xml. Whatever is accepted must be found again under its name. */
#include "proxy/xml_conf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = conf_new();
	struct conf_error err;
	const struct conf_prop *p;
	size_t at = 0;

	if (!c)
		return 0;
	if (conf_parse(c, CONF_SITE, "fuzz.xml", slice_of(data, size), &err) == RC_OK &&
	    conf_seal(c, CONF_SITE, &err) == RC_OK)
		while ((p = conf_next(c, CONF_SITE, "", &at)))
			INVARIANT(conf_find(c, CONF_SITE, p->name) == p && p->value.p[p->value.len] == 0);
	else
		INVARIANT(err.text[0] != 0);
	conf_free(c);
	return 0;
}
