/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the readers of the monitor's ELF file and of the kernel; what they give lies inside of the file. */
#include <stdlib.h>

#include "image/image.h"
#include "image/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ELF_MAX (1u << 20)

static bool inside(struct slice part, const uint8_t *data, size_t size)
{
	return part.p >= data && part.len <= size && (size_t)(part.p - data) <= size - part.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice file = slice_of(data, size);
	struct image_kernel k;
	struct image_elf elf;
	const char *why = NULL;

	if (image_elf_load(file, ELF_MAX, &elf, &why) == RC_OK) {
		INVARIANT(elf.len <= ELF_MAX && elf.len % IMAGE_PAGE == 0 && elf.base % IMAGE_PAGE == 0);
		INVARIANT(elf.cr3 >= elf.base && elf.cr3 - elf.base < elf.len);
		free(elf.mem);
	} else {
		INVARIANT(why != NULL);
	}
	why = NULL;
	if (image_kernel_read(file, &k, &why) == RC_OK)
		INVARIANT(inside(k.setup, data, size) && inside(k.code, data, size) && k.setup.len <= IMAGE_PAGE);
	else
		INVARIANT(why != NULL);
	return 0;
}
