/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a JKS file. Whatever is accepted has the entries that it counts, each with its
 * certificates inside the file, and no key of it opens with a password that its check does not know.
 */
#include "proxy/jks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct jks *j, struct slice file)
{
	uint8_t *room = malloc(JKS_DER_MAX);
	struct jks_entry e;
	struct slice der;
	uint32_t entries = 0, certs;
	size_t len;

	while (jks_next(j, &e)) {
		entries++;
		for (certs = 0; jks_next_cert(&e, &der); certs++)
			INVARIANT(der.len && der.p >= file.p && der.p + der.len <= file.p + file.len);
		INVARIANT(certs == e.cert_count && e.certs.left == 0);
		if (room && e.is_key && jks_key_open(e.key, slice_str("changeit"), room, JKS_DER_MAX, &len) == RC_OK)
			INVARIANT(len < e.key.len);
	}
	INVARIANT(entries == j->count && j->entries.left == 0);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice file = slice_of(data, size);
	struct jks j;

	if (jks_parse(file, &j) != RC_OK)
		return 0;
	INVARIANT(jks_is(file) && j.covered.len + 20 == size);
	(void)!jks_check(&j, slice_str("changeit"));
	walk(&j, file);
	return 0;
}
