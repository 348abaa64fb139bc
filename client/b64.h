/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 for key material: writes the URL-safe alphabet without padding, reads both alphabets, padded
 * or not, and nothing else (no white space, no stray bits). No table is indexed by secret bytes.
 */
#ifndef CLIENT_B64_H
#define CLIENT_B64_H

#include "client/buf.h"

/* Adds the text for s. */
void b64_write(struct buf *to, struct slice s);

/* The same in the other alphabet, + and /, with padding: for headers. */
void b64_write_padded(struct buf *to, struct slice s);

/* Decodes all of s into out[0..max). RC_BAD_INPUT: not Base64. RC_NO_ROOM: longer than max. */
enum rc b64_read(struct slice s, uint8_t *out, size_t max, size_t *len);

/* Decodes hexadecimal digits, an even number of them. Same results. */
enum rc hex_read(struct slice s, uint8_t *out, size_t max, size_t *len);

#endif
