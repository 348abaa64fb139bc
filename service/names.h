/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From Kerberos principals to short names: Hadoop's auth_to_local rules (KerberosName of 3.4.1), mechanisms `hadoop`
 * and `mit`. Rules come from the configuration, principals from clients. Parsed once, then immutable.
 */
#ifndef SERVICE_NAMES_H
#define SERVICE_NAMES_H

#include "base/base.h"

#define NAMES_RULES_MAX 256u
#define NAMES_PRINCIPAL_MAX 512u

struct name_rules;

/*
 * rules: "DEFAULT" and "RULE:[n:format](regex)s/from/to/g/L", separated by white space or by nothing; empty: DEFAULT.
 * realm: the default realm, copied; empty: DEFAULT maps nobody. RC_BAD_INPUT: *why says what is wrong with the first bad
 * rule (what only fails in Hadoop once it is used, a parameter or group that is not there, is refused here);
 * RC_NO_ROOM: no memory, or too many rules.
 */
enum rc names_parse(struct slice rules, bool mit, struct slice realm, struct name_rules **out, const char **why);
void names_free(struct name_rules *n);	/* NULL is fine */

/*
 * "primary[/instance][@REALM]" to a short name in out[0..*len). A name of one part without a realm is short already; one
 * with an instance has, as in Hadoop, "null" for $0. RC_DENIED: not of that form (control bytes included), no rule applies,
 * or the result is empty; in mode hadoop also when the result of the first rule that applies has a '/' or '@'; in mode mit
 * a principal that no rule applies to maps to itself. RC_NO_ROOM: longer than room. RC_MACHINE: no memory.
 */
enum rc names_map(const struct name_rules *n, struct slice principal, char *out, size_t room, size_t *len);

#endif
