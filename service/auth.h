/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity, decided in the core: who calls, by cookie, delegation token, Kerberos ticket or (type simple) the name he
 * gives, and for whom he may act. Whoever carries the request adds nothing that is believed, except the peer's address
 * and the groups that the operating system knows, each where the configuration says so.
 */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

#include "service/cookie.h"

/*
 * Finds out who calls. E_OK sets o->user (whom rights are asked for), o->mark and the groups, and user, principal and
 * real of the answer; it puts a new cookie on the answer where one is due. E_UNAUTHENTICATED sets the note, num[0] to
 * the schemes that are offered (enum wire_scheme), and the argument if the note has one. E_NEGOTIATE, E_TOKEN,
 * E_DO_AS_DENIED: see wire/msg.h; of the latter the answer names the one who wanted to act. E_GROUPS: see below; never of
 * CALL_AUTH by oneself, where a ticket may be shown that is good for once.
 */
enum wire_err auth_check(struct op *o, const struct wire_cred *cred);
/*
 * The groups that o->user is judged by. E_GROUPS, with his name as the argument: they would be the operating system's, and
 * what was sent are those of somebody else. Those are neither lent to him, nor are his own left out: he may be on a black list.
 */
enum wire_err auth_groups(struct op *o, const struct wire_cred *cred);

#endif
