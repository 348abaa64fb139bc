/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Java's regular expressions, the part that has no need of backtracking: literals, `.`, classes, \d \w \s \D \W \S,
 * escaped punctuation, ^ $, groups ( ) and (?: ), |, * + ? {m,n} and their lazy forms, (?i) in front. Everything else
 * (back references, look-around, possessive quantifiers, named groups, nested classes, a repetition of something that
 * may be empty) is refused when compiled.
 *
 * Prefers what Java prefers (leftmost, then first alternative) in time and memory of at most text times program. Works on
 * bytes: `.` and negated classes match one byte of a longer UTF-8 character; classes hold ASCII only.
 */
#ifndef SERVICE_REGEX_H
#define SERVICE_REGEX_H

#include "base/base.h"

#define REGEX_GROUPS 10		/* with group 0, the whole */
#define REGEX_TEXT_MAX 1024u
#define REGEX_NONE UINT16_MAX

struct regex;

/* RC_BAD_INPUT: *why; RC_NO_ROOM: no memory, or the program would be too large (*why). */
enum rc regex_compile(struct slice pattern, struct regex **out, const char **why);
void regex_free(struct regex *re);	/* NULL is fine */
/* Number of groups, without group 0. */
unsigned regex_groups(const struct regex *re);

struct regex_match {
	uint16_t at[REGEX_GROUPS], end[REGEX_GROUPS];	/* REGEX_NONE: the group took no part */
};
/*
 * Searches from offset `from` on; whole: the match must begin at `from` and end with the text. RC_OK: found; RC_DENIED:
 * none; RC_NO_ROOM: text too long; RC_MACHINE: no memory.
 */
enum rc regex_search(const struct regex *re, struct slice text, size_t from, bool whole, struct regex_match *m);

/* Is `to` a replacement that Java would take with this expression: $n for groups there are, \x for x? */
MUST_CHECK bool regex_replacement_valid(const struct regex *re, struct slice to);
/* Java's replaceAll() or replaceFirst(). *len: bytes written; RC_NO_ROOM: longer than room; otherwise as regex_search(). */
enum rc regex_replace(const struct regex *re, struct slice text, struct slice to, bool all, char *out, size_t room,
		      size_t *len);

#endif
