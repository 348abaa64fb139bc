/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as krb5.conf: a realm that is found stands in the text, without blanks around it. */
#include <stddef.h>

#include "proxy/krb5_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data ? data : (const uint8_t *)"", size), realm;

	if (krb5_conf_realm(text, &realm))
		INVARIANT(realm.len && realm.p >= text.p && realm.p + realm.len <= text.p + text.len && realm.p[0] > ' ' &&
			  realm.p[realm.len - 1] > ' ' && !memchr(realm.p, '\n', realm.len));
	return 0;
}
