/* SPDX-License-Identifier: Apache-2.0 */
/* Base64; see base64.h for what is accepted. Table driven, four characters at a time. */
#include "proxy/base64.h"

static const char url_digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The digit's value plus 1; 0 for what is no digit of either alphabet. */
static const uint8_t value[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
	['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
	['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
	['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
	['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['-'] = 63,
	['/'] = 64, ['_'] = 64,
};

/* Room was checked. Returns the number of characters, padding not included. */
static size_t encode(struct slice in, const char digits[64], char *out)
{
	const uint8_t *p = in.p;
	size_t left = in.len;
	char *o = out;
	uint32_t v;

	for (; left >= 3; left -= 3, p += 3, o += 4) {
		v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		o[0] = digits[v >> 18];
		o[1] = digits[v >> 12 & 63];
		o[2] = digits[v >> 6 & 63];
		o[3] = digits[v & 63];
	}
	if (left) {
		v = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);
		*o++ = digits[v >> 18];
		*o++ = digits[v >> 12 & 63];
		if (left == 2)
			*o++ = digits[v >> 6 & 63];
	}
	return (size_t)(o - out);
}

bool base64_url_encode(struct slice in, void *out, size_t room, size_t *len)
{
	if (in.len > SIZE_MAX / 2 || base64_url_len(in.len) > room)
		return false;
	*len = encode(in, url_digits, out);
	return true;
}

bool base64_std_encode(struct slice in, void *out, size_t room, size_t *len)
{
	char *o = out;
	size_t n;

	if (in.len > SIZE_MAX / 2 || base64_std_len(in.len) > room)
		return false;
	n = encode(in, std_digits, o);
	while (n % 4)
		o[n++] = '=';
	*len = n;
	return true;
}

/* Writes the top `count` bytes of the 24 bits in v. */
static bool emit(uint32_t v, size_t count, uint8_t *out, size_t room, size_t *n)
{
	size_t i;

	if (count > room - *n)
		return false;
	for (i = 0; i < count; i++)
		out[(*n)++] = (uint8_t)(v >> (16 - 8 * i));
	return true;
}

bool base64_decode(struct slice in, void *out, size_t room, size_t *len)
{
	struct cursor text = cur_of(in.p, in.len);
	const uint8_t *p = text.at, *end = p + text.left;
	size_t n = 0, have = 0;
	uint32_t v = 0;

	while (p < end) {
		if (have == 0 && end - p >= 4 && room - n >= 3) {
			uint32_t a = value[p[0]], b = value[p[1]], c = value[p[2]], d = value[p[3]];

			if (a && b && c && d) {
				uint8_t *o = (uint8_t *)out + n;

				v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
				o[0] = (uint8_t)(v >> 16);
				o[1] = (uint8_t)(v >> 8);
				o[2] = (uint8_t)v;
				n += 3;
				p += 4;
				continue;
			}
			v = 0;
		}
		if (*p == '=')
			break;
		if (value[*p]) {
			v = v << 6 | (value[*p] - 1u);
			if (++have == 4) {
				if (!emit(v, 3, out, room, &n))
					return false;
				have = 0;
				v = 0;
			}
		}
		p++;
	}
	if (have >= 2 && !emit(v << (24 - 6 * have), have - 1, out, room, &n))
		return false;
	*len = n;
	return true;
}
