/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one line of krb5.conf that matters here: the default realm. Trusts the file as the machine's own; what it cannot
 * read in it is passed over. Files that it includes are not read.
 */
#ifndef PROXY_KRB5_CONF_H
#define PROXY_KRB5_CONF_H

#include "base/base.h"

/* default_realm in [libdefaults]; the first counts. False: there is none. *realm points into text. */
MUST_CHECK bool krb5_conf_realm(struct slice text, struct slice *realm);

/* The same of the files that $KRB5_CONFIG names (separated by colons), or of /etc/krb5.conf; NUL-terminated. */
MUST_CHECK bool krb5_conf_default_realm(char *out, size_t room);

#endif
