/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 as Hadoop clients and servers speak it: strict when writing, lenient when reading.
 *
 * Trusts nothing about its input. Always holds: never writes past the room it was given, and the
 * number of bytes a decoder can produce is known before (base64_decoded_max()).
 * Not constant-time: the proxy is not allowed to see anything that would need it.
 */
#ifndef PROXY_BASE64_H
#define PROXY_BASE64_H

#include "base/base.h"

/* Characters that n bytes become, without and with padding. n is at most SIZE_MAX / 2. */
static inline size_t base64_url_len(size_t n)
{
	return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

static inline size_t base64_std_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* An upper bound for the bytes that n characters decode to. */
static inline size_t base64_decoded_max(size_t n)
{
	return n / 4 * 3 + n % 4;
}

/*
 * Write `in` to out[0..room) and its length in characters to *len; nothing is terminated. The URL
 * form uses '-' and '_' and no padding; the standard form '+', '/' and '='.
 * False, with nothing written, when it does not fit. `in` and `out` must not overlap.
 */
MUST_CHECK bool base64_url_encode(struct slice in, void *out, size_t room, size_t *len);
MUST_CHECK bool base64_std_encode(struct slice in, void *out, size_t room, size_t *len);

/*
 * Reads both alphabets, mixed if need be, and never calls text malformed:
 *  - bytes outside the alphabets are skipped, line breaks and non-ASCII included;
 *  - the first '=' ends the text wherever it stands, whatever follows is not looked at;
 *  - a last group of two or three characters gives one or two bytes, its surplus bits are dropped;
 *    a single left-over character gives nothing.
 * Writes at most `room` bytes and the number of them to *len. False when more would be needed; out
 * then holds part of the answer and *len is not written. Decoding in place (out == in.p) is allowed.
 */
MUST_CHECK bool base64_decode(struct slice in, void *out, size_t room, size_t *len);

#endif
