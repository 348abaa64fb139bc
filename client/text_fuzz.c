/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what goes to a terminal has no control character; Base64 written is read back the same. */
#include "client/b64.h"
#include "client/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_controls(const struct buf *b)
{
	size_t i;

	for (i = 0; i < b->len; i++)
		INVARIANT(b->p[i] >= 0x20 && b->p[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BUF plain = { .max = 1 << 20 }, json = { .max = 1 << 20 }, text = { .max = 1 << 20 };
	uint8_t out[4096];
	size_t len;

	if (size > sizeof(out))
		return 0;
	text_safe(&plain, slice_of(data, size));
	text_safe_json(&json, slice_of(data, size));
	INVARIANT(buf_ok(&plain) && buf_ok(&json));
	no_controls(&plain);
	no_controls(&json);
	b64_write(&text, slice_of(data, size));
	INVARIANT(b64_read(slice_of(text.p ? text.p : data, text.len), out, size, &len) == RC_OK);
	INVARIANT(len == size && (size == 0 || memcmp(out, data, size) == 0));
	if (b64_read(slice_of(data, size), out, sizeof(out), &len) == RC_OK)
		INVARIANT(len <= size);
	if (hex_read(slice_of(data, size), out, sizeof(out), &len) == RC_OK)
		INVARIANT(len == size / 2);
	return 0;
}
