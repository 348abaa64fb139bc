/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a keytab: it comes to an end, and every name is text that fits. */
#include <stddef.h>

#include "proxy/krb5_keytab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice file = slice_of(data ? data : (const uint8_t *)"", size);
	struct krb5_keytab_entry e;
	struct cursor c;
	size_t entries = 0, i;

	if (krb5_keytab_begin(file, &c) != RC_OK)
		return 0;
	while (krb5_keytab_next(&c, &e) == RC_OK) {
		entries++;
		INVARIANT(memchr(e.name, 0, sizeof(e.name)) && entries * 4 < size);
		for (i = 0; e.name[i]; i++)
			INVARIANT(e.name[i] != ' ' && e.name[i] != '\n' && e.name[i] != 0x1b);
	}
	return 0;
}
