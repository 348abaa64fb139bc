/* SPDX-License-Identifier: Apache-2.0 */
/* The launch image reader: what is not exactly such a file is refused. */
#include "emulator/igvm.h"
#include "tests/test.h"

static struct {
	struct igvm_fixed_header fixed;
	struct igvm_variable_header platform_is;
	struct igvm_supported_platform platform;
	struct igvm_variable_header page_is;
	struct igvm_page_data page;
	uint8_t data[4096];
} __attribute__((packed)) file;

static uint32_t crc(const uint8_t *p, size_t len)
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

static void seal(void)
{
	file.fixed.checksum = 0;
	file.fixed.checksum = crc((const uint8_t *)&file, offsetof(__typeof__(file), data));
}

static void setup(void)
{
	memset(&file, 0, sizeof(file));
	file.fixed = (struct igvm_fixed_header){ IGVM_MAGIC, 1, 24, offsetof(__typeof__(file), data) - 24, sizeof(file), 0 };
	file.platform_is = (struct igvm_variable_header){ IGVM_SUPPORTED_PLATFORM, sizeof(file.platform) };
	file.page_is = (struct igvm_variable_header){ IGVM_PAGE_DATA, sizeof(file.page) };
	file.page.gpa = 0x1000;
	file.page.file_offset = offsetof(__typeof__(file), data);
	seal();
}

static enum rc open_file(struct igvm *f)
{
	return igvm_open(slice_of(&file, sizeof(file)), f);
}

TEST(a_good_file_is_read_to_its_end)
{
	struct igvm_item item;
	struct slice data;
	struct igvm f;

	setup();
	EXPECT(open_file(&f) == RC_OK);
	EXPECT(igvm_next(&f, &item) == RC_OK && item.type == IGVM_SUPPORTED_PLATFORM);
	EXPECT(igvm_next(&f, &item) == RC_OK && item.type == IGVM_PAGE_DATA && item.page.gpa == 0x1000);
	EXPECT(igvm_data(&f, item.page.file_offset, &data) == RC_OK && data.len == 4096 && data.p == file.data);
	EXPECT(igvm_next(&f, &item) == RC_OK && item.type == 0);
}

TEST(every_truncation_is_refused)
{
	struct igvm f;
	size_t len;

	setup();
	for (len = 0; len < sizeof(file); len++) {
		uint8_t *p = test_fence(&file, len);

		EXPECT(igvm_open(slice_of(p, len), &f) == RC_BAD_INPUT);
		test_fence_free(p, len);
	}
}

TEST(one_wrong_bit_in_the_headers_is_refused)
{
	struct igvm f;
	size_t bit;

	for (bit = 0; bit < offsetof(__typeof__(file), data) * 8; bit++) {
		setup();
		((uint8_t *)&file)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		EXPECT(open_file(&f) == RC_BAD_INPUT);
	}
}

TEST(an_unknown_header_is_refused)
{
	struct igvm_item item;
	struct igvm f;

	setup();
	file.platform_is.type = 0x777;
	seal();
	EXPECT(open_file(&f) == RC_OK && igvm_next(&f, &item) == RC_BAD_INPUT);
}

TEST(a_header_of_another_length_is_refused)
{
	struct igvm_item item;
	struct igvm f;

	setup();
	file.platform_is.len = 8;
	seal();
	EXPECT(open_file(&f) == RC_OK && igvm_next(&f, &item) == RC_BAD_INPUT);
	file.platform_is.len = UINT32_MAX;
	seal();
	EXPECT(open_file(&f) == RC_OK && igvm_next(&f, &item) == RC_BAD_INPUT);
}

TEST(data_outside_of_the_file_is_refused)
{
	struct slice data;
	struct igvm f;

	setup();
	EXPECT(open_file(&f) == RC_OK);
	EXPECT(igvm_data(&f, 0, &data) == RC_BAD_INPUT);
	EXPECT(igvm_data(&f, file.page.file_offset - 1, &data) == RC_BAD_INPUT);
	EXPECT(igvm_data(&f, file.page.file_offset + 1, &data) == RC_BAD_INPUT);
	EXPECT(igvm_data(&f, UINT32_MAX, &data) == RC_BAD_INPUT);
}
