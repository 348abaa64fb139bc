/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strangers who show one credential after the other that does not count: each makes an entry of the audit chain, so
 * without a bound they fill the disk, and with `refuse` that ends all service. From each address so many a minute are let
 * through to the core; then requests from there with a credential are turned away for a while, except those whose cookie or
 * delegation token the core has accepted before: who works goes on working, also behind one address with a stranger.
 *
 * A delegation token that has ended is often shown on and on by a job that does not notice. It has a small allowance of its
 * own, a part of the address', and is turned away beyond that: so it does not keep out who logs in from the same host.
 *
 * Always holds: only refusals use up the allowance, so an address from which nothing is refused is never turned away; what
 * is turned away never reaches the core; memory is fixed. An address is what the network says: who has many of them
 * has many allowances (of an IPv6 address the first half counts). Nothing here decides who somebody is.
 */
#ifndef PROXY_THROTTLE_H
#define PROXY_THROTTLE_H

#include "base/base.h"

#define THROTTLE_SETS 1024u /* of THROTTLE_WAYS addresses; beyond it, the one that has used least of its allowance is forgotten */
#define THROTTLE_WAYS 4u
#define THROTTLE_KNOWN 65536u /* credentials; one takes another's place now and then */

#define THROTTLE_TOKENS 4096u /* tokens that were refused; one takes another's place now and then */
#define THROTTLE_TOKEN_PART 64u /* what of an address' allowance one token may use up; at least one a minute */

struct throttle;

/* NULL: no memory, or no randomness. Every function takes NULL: then nothing is ever turned away. From any thread. */
struct throttle *throttle_new(void);
void throttle_free(struct throttle *t);

/* Refusals a minute from one address; a minute's worth at once. 0: no limit. */
void throttle_set(struct throttle *t, uint32_t per_minute);

/* What a credential is remembered by; 0: none. */
uint64_t throttle_print(const struct throttle *t, struct slice credential);
void throttle_accepted(struct throttle *t, uint64_t print);
MUST_CHECK bool throttle_knows(const struct throttle *t, uint64_t print);

/* The core has refused what came from there (4 or 16 bytes, or none); the credentials it came with are known no more. */
void throttle_refused(struct throttle *t, struct slice address, uint64_t now_ms, const uint64_t *prints, size_t count);

/* The core has refused that token; and seconds until it is looked at again, from wherever: 0: it is now. */
void throttle_token_refused(struct throttle *t, uint64_t print, uint64_t now_ms);
uint32_t throttle_token_wait(struct throttle *t, uint64_t print, uint64_t now_ms);

/* Seconds until a credential from there is looked at again; 0: it is now. Cheap while nobody is turned away. */
uint32_t throttle_wait(struct throttle *t, struct slice address, uint64_t now_ms);

#endif
