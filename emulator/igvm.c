/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an IGVM file; see igvm.h.
 */
#include "emulator/igvm.h"

#define IGVM_PAGE 4096u

static uint32_t crc32_more(uint32_t crc, const uint8_t *p, size_t len)
{
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		crc ^= p[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

enum rc igvm_open(struct slice file, struct igvm *out)
{
	struct cursor c = cur_of(file.p, file.len), whole;
	struct igvm_fixed_header h;
	struct slice headers;
	uint32_t crc, sum;

	if (file.len > UINT32_MAX || !cur_copy(&c, &h, sizeof(h)))
		return RC_BAD_INPUT;
	if (h.magic != IGVM_MAGIC || h.format_version != IGVM_FORMAT_VERSION || h.total_file_size != file.len ||
	    h.variable_header_offset != sizeof(h))
		return RC_BAD_INPUT;
	if (!cur_sub(&c, h.variable_header_size, &headers))
		return RC_BAD_INPUT;
	sum = h.checksum;
	h.checksum = 0;
	crc = crc32_more(UINT32_MAX, (const uint8_t *)&h, sizeof(h));
	crc = ~crc32_more(crc, headers.p, headers.len);
	if (crc != sum)
		return RC_BAD_INPUT;
	whole = cur_of(headers.p, headers.len);
	*out = (struct igvm){ .file = file, .headers = whole,
			      .data_start = (uint32_t)(sizeof(h) + h.variable_header_size) };
	return RC_OK;
}

/* The fixed-size headers; `len` bytes of the item after its type. */
static const struct {
	uint32_t type, len;
} sizes[] = {
	{ IGVM_SUPPORTED_PLATFORM, sizeof(struct igvm_supported_platform) },
	{ IGVM_GUEST_POLICY, sizeof(struct igvm_guest_policy) },
	{ IGVM_PARAMETER_AREA, sizeof(struct igvm_parameter_area) },
	{ IGVM_PAGE_DATA, sizeof(struct igvm_page_data) },
	{ IGVM_PARAMETER_INSERT, sizeof(struct igvm_parameter_insert) },
	{ IGVM_VP_CONTEXT, sizeof(struct igvm_vp_context) },
	{ IGVM_REQUIRED_MEMORY, sizeof(struct igvm_required_memory) },
	{ IGVM_VP_COUNT, sizeof(struct igvm_parameter) },
	{ IGVM_MEMORY_MAP, sizeof(struct igvm_parameter) },
};

enum rc igvm_next(struct igvm *f, struct igvm_item *out)
{
	struct cursor c = f->headers;
	struct slice body, padding;
	struct igvm_item item = { 0 };
	uint32_t len;
	size_t i;

	if (cur_end(&c)) {
		*out = item;
		return RC_OK;
	}
	if (!cur_le32(&c, &item.type) || !cur_le32(&c, &len) || !cur_sub(&c, len, &body))
		return RC_BAD_INPUT;
	if (len % 8 && !cur_sub(&c, 8 - len % 8, &padding))
		return RC_BAD_INPUT;
	for (i = 0; i < ARRAY_LEN(sizes) && sizes[i].type != item.type; i++)
		;
	if (i == ARRAY_LEN(sizes) || sizes[i].len != len)
		return RC_BAD_INPUT;
	memcpy(&item.platform, body.p, len);
	f->headers = c;
	*out = item;
	return RC_OK;
}

enum rc igvm_data(const struct igvm *f, uint32_t offset, struct slice *out)
{
	struct cursor c = cur_of(f->file.p, f->file.len);
	struct slice before;

	if (offset < f->data_start || !cur_sub(&c, offset, &before) || !cur_sub(&c, IGVM_PAGE, out))
		return RC_BAD_INPUT;
	return RC_OK;
}
