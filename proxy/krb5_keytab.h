/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in a Kerberos keytab, for `svsm-kms doctor`. What the keys are is the core's business (service/krb_keytab.c):
 * here they are skipped over, never copied. Format 0x0502, as MIT's keytab.txt describes it. Trusts nothing in it.
 */
#ifndef PROXY_KRB5_KEYTAB_H
#define PROXY_KRB5_KEYTAB_H

#include "base/base.h"

#define KRB5_KEYTAB_NAME_MAX 1024 /* with the NUL */

struct krb5_keytab_entry {
	char name[KRB5_KEYTAB_NAME_MAX]; /* "HTTP/host@REALM"; "" when it is too long or holds control characters */
	uint16_t etype;			 /* RFC 3961's number */
};

/* Sets c behind the file's head. RC_BAD_INPUT: it is none of this format. */
enum rc krb5_keytab_begin(struct slice file, struct cursor *c);
/* The next entry that is not deleted. RC_BUSY: there is none left; RC_BAD_INPUT: it is cut off or damaged. */
enum rc krb5_keytab_next(struct cursor *c, struct krb5_keytab_entry *out);

#endif
