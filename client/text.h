/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that came from a server and goes to a person's terminal. A description may hold escape
 * sequences that repaint the screen, or characters that reverse the reading order: both are shown
 * as escapes, never sent as they are.
 */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include "client/buf.h"

/* Adds s; control characters, reordering characters and invalid UTF-8 as \xNN or \uNNNN, "\" as is. */
void text_safe(struct buf *to, struct slice s);

/* The same for a whole JSON document: what has to be escaped becomes \uNNNN and it stays JSON. */
void text_safe_json(struct buf *to, struct slice s);

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b; both < 64 bytes. */
unsigned text_edits(const char *a, const char *b);

#endif
