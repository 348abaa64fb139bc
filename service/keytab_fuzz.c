/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: keytab files. What is taken has at least one key, with a name that can be shown. */
#include "service/krb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct krb_keys *k = NULL;
	const char *why;
	size_t i, j;

	if (krb_keytab_parse(slice_of(data, size), &k, &why) != RC_OK) {
		INVARIANT(why && !k);
		return 0;
	}
	INVARIANT(krb_keytab_count(k) > 0 && krb_keytab_realm(k).len > 0);
	for (i = 0; i < krb_keytab_count(k); i++) {
		struct slice p = krb_keytab_principal(k, i);

		INVARIANT(p.len >= 3 && memchr(p.p, '@', p.len));
		for (j = 0; j < p.len; j++)
			INVARIANT(p.p[j] >= ' ' && p.p[j] != 0x7f);
		(void)!krb_keytab_serves(k, p);
	}
	krb_keytab_free(k);
	return 0;
}
