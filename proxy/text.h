/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small pieces of text handling that configuration, audit log and metrics share: UTF-8, escaping for
 * JSON and XML, form decoding, edit distance.
 *
 * Trusts nothing about its input: every text is a pointer with a length, any byte may occur in it.
 * What is written through these functions is always valid UTF-8 and cannot leave its quotes.
 */
#ifndef PROXY_TEXT_H
#define PROXY_TEXT_H

#include <stdio.h>

#include "base/base.h"

/*
 * Takes one code point. An invalid, overlong or surrogate sequence consumes one byte, stores that
 * byte in *cp and returns false. The cursor must not be at its end.
 */
MUST_CHECK bool text_utf8(struct cursor *c, uint32_t *cp);

/* s in double quotes, escaped for JSON; invalid UTF-8 becomes U+FFFD. */
void text_json(FILE *f, struct slice s);

/* s escaped for XML content and attribute values; what XML cannot say becomes U+FFFD. */
void text_xml(FILE *f, struct slice s);

/*
 * Decodes application/x-www-form-urlencoded text (%XX, '+' as a space) into out[0..max) and stores
 * the number of bytes. False when an escape is malformed or out is too small.
 */
MUST_CHECK bool text_form_decode(struct slice s, char *out, size_t max, size_t *len);

/*
 * The value of the first query parameter called name, still encoded; false when there is none.
 * Parameters are separated by '&' only; the name is compared after decoding.
 */
MUST_CHECK bool text_query_find(struct slice query, const char *name, struct slice *value);

/* Without leading and trailing bytes up to and including space, as Java's String.trim(). */
struct slice text_trim(struct slice s);

/* ASCII case-insensitive. */
MUST_CHECK bool text_is_nocase(struct slice s, const char *t);

/* Number of insertions, deletions and replacements from a to b; UINT_MAX when either exceeds 256. */
unsigned text_distance(struct slice a, struct slice b);

/* "%.*s" arguments of a slice, cut at 200 bytes for messages. */
#define TEXT_ARG(s) (int)((s).len < 200 ? (s).len : 200), (const char *)(s).p

#endif
