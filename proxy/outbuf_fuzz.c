/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever goes in, outbuf_json() gives printable JSON text in valid UTF-8, and valid UTF-8 comes back
 * unchanged from cJSON.
 */
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "proxy/outbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Well-formed UTF-8, decided the long way: by the value decoded. */
static bool utf8_valid(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t i = 0, n, k;
	uint32_t v;

	while (i < len) {
		n = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3 : p[i] >> 3 == 30 ? 4 : 0;
		if (n == 0 || n > len - i)
			return false;
		v = n == 1 ? p[i] : p[i] & (0x7fu >> n);
		for (k = 1; k < n; k++) {
			if (p[i + k] >> 6 != 2)
				return false;
			v = v << 6 | (p[i + k] & 63);
		}
		if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			return false;
		i += n;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OUTBUF o = { 0 };
	cJSON *json;
	size_t i;

	outbuf_json(&o, slice_of(data, size));
	INVARIANT(outbuf_ok(&o) && o.len >= 2 && utf8_valid(o.p, o.len));
	for (i = 0; i < o.len; i++)
		INVARIANT(o.p[i] >= 0x20);
	/* cJSON hands out C strings, so text with a NUL cannot be compared. */
	if (size && memchr(data, 0, size))
		return 0;
	json = cJSON_ParseWithLength((const char *)o.p, o.len);
	INVARIANT(json && cJSON_IsString(json));
	if (utf8_valid(data, size))
		INVARIANT(strlen(json->valuestring) == size && memcmp(json->valuestring, data, size) == 0);
	cJSON_Delete(json);
	return 0;
}
