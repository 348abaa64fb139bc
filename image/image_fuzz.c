/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the reader of launch images. The checksum is made to fit, or hardly anything would come further. What
 * was accepted can be walked to its end, by ascending addresses, and measured.
 */
#include <stdlib.h>

#include "image/image.h"
#include "image/internal.h"
#include "snp/igvm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fit_checksum(uint8_t *file, size_t size)
{
	struct igvm_fixed_header h;

	if (size < sizeof(h))
		return;
	memcpy(&h, file, sizeof(h));
	if (h.variable_header_size > size - sizeof(h))
		return;
	h.total_file_size = (uint32_t)size;
	h.checksum = 0;
	h.checksum = image_crc32(slice_of(&h, sizeof(h)), slice_of(file + sizeof(h), h.variable_header_size));
	memcpy(file, &h, sizeof(h));
}

static void walk(const struct image *img)
{
	struct cursor at = img->directives;
	uint8_t digest[SNP_DIGEST_LEN];
	struct image_page page = { 0 };
	uint64_t next = 0;
	uint32_t n = 0;

	while (image_next(img, &at, &page)) {
		INVARIANT(page.gpa % IMAGE_PAGE == 0 && page.gpa >= next);
		INVARIANT(!page.data || (page.data >= img->file.p && page.data + IMAGE_PAGE <= img->file.p + img->file.len));
		next = page.gpa + IMAGE_PAGE;
		n++;
	}
	INVARIANT(n == img->pages && page.type == SNP_PAGE_VMSA && page.data);
	INVARIANT(image_measure(img, digest) == RC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1);
	const char *why = NULL;
	struct image img;

	if (!file)
		abort();
	memcpy(file, data, size);
	fit_checksum(file, size);
	if (image_open(slice_of(file, size), &img, &why) == RC_OK)
		walk(&img);
	else
		INVARIANT(why != NULL);
	free(file);
	return 0;
}
