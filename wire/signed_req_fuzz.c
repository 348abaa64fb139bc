/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the reader of signed_req. What it accepts lies inside the input, and is signed as a whole. */
#include <stdlib.h>

#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_signed_req m;
	struct slice name, value;

	if (wire_signed_req_get(cur_of(data, size), &m) != RC_OK)
		return 0;
	if (m.text.p + m.text.len != data + size || m.signature.p + m.signature.len != m.text.p || m.version == 0)
		abort();
	while (wire_property_next(&m.config.property, &name, &value))
		if (value.p + value.len > data + size)
			abort();
	return 0;
}
