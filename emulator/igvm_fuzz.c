/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the launch image reader. Its checksum would stop nearly everything, so it is mended first. */
#include <stdlib.h>

#include "emulator/igvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t checksum(const uint8_t *p, size_t len)
{
	uint32_t c = UINT32_MAX;
	int bit;

	while (len--) {
		c ^= *p++;
		for (bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

static void mend(uint8_t *p, size_t size)
{
	struct igvm_fixed_header h;

	if (size < sizeof(h))
		return;
	memcpy(&h, p, sizeof(h));
	h.checksum = 0;
	h.total_file_size = (uint32_t)size;
	memcpy(p, &h, sizeof(h));
	if (h.variable_header_size <= size - sizeof(h)) {
		h.checksum = checksum(p, sizeof(h) + h.variable_header_size);
		memcpy(p, &h, sizeof(h));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + !size);
	struct igvm_item item;
	struct slice page;
	struct igvm f;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	mend(copy, size);
	if (igvm_open(slice_of(copy, size), &f) == RC_OK)
		while (igvm_next(&f, &item) == RC_OK && item.type)
			if (item.type == IGVM_PAGE_DATA && igvm_data(&f, item.page.file_offset, &page) == RC_OK &&
			    page.p + page.len > copy + size)
				abort();
	free(copy);
	return 0;
}
