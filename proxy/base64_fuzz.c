/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes anything, then checks against a decoder written one character at a time, and that what was
 * decoded survives a round trip through both encoders. The first byte chooses how much room to give.
 */
#include <stdlib.h>

#include "proxy/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

static size_t slow_decode(struct slice in, uint8_t *out)
{
	size_t i, n = 0, bits = 0;
	uint32_t v = 0;

	for (i = 0; i < in.len && in.p[i] != '='; i++) {
		if (digit(in.p[i]) < 0)
			continue;
		v = v << 6 | (uint32_t)digit(in.p[i]);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(v >> bits);
		}
	}
	return n;
}

static void round_trip(struct slice plain)
{
	size_t room = base64_std_len(plain.len), len, back;
	uint8_t *text = malloc(room + 1), *again = malloc(plain.len + 1);

	if (!text || !again)
		abort();
	INVARIANT(base64_std_encode(plain, text, room, &len) && len == room);
	INVARIANT(base64_decode(slice_of(text, len), again, plain.len, &back) && back == plain.len);
	INVARIANT(back == 0 || memcmp(again, plain.p, back) == 0);
	INVARIANT(base64_url_encode(plain, text, room, &len) && len == base64_url_len(plain.len));
	INVARIANT(base64_decode(slice_of(text, len), text, room, &back) && back == plain.len);
	INVARIANT(back == 0 || memcmp(text, plain.p, back) == 0);
	free(text);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room, len = 0, want;
	uint8_t *got, *slow;
	struct slice in;

	if (size == 0)
		return 0;
	in = slice_of(data + 1, size - 1);
	room = base64_decoded_max(in.len);
	if (data[0] != 255 && data[0] < room)
		room = data[0];
	got = malloc(room ? room : 1);
	slow = malloc(in.len + 1);
	if (!got || !slow)
		abort();
	want = slow_decode(in, slow);
	INVARIANT(want <= base64_decoded_max(in.len));
	if (base64_decode(in, got, room, &len)) {
		INVARIANT(len == want && (len == 0 || memcmp(got, slow, len) == 0));
		round_trip(slice_of(got, len));
	} else {
		INVARIANT(want > room);
	}
	free(got);
	free(slow);
	return 0;
}
