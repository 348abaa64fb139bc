/* SPDX-License-Identifier: Apache-2.0 */
/* Private to image/. */
#ifndef IMAGE_INTERNAL_H
#define IMAGE_INTERNAL_H

#include "base/base.h"

/* An ELF program as it lies in guest memory. mem is the owner's to free(). */
struct image_elf {
	uint64_t base;	/* guest-physical, page aligned */
	uint8_t *mem;	/* whole pages, .bss as zeros */
	size_t len;
	uint64_t entry;	/* virtual */
	uint64_t cr3;	/* guest-physical address of `boot_pml4` */
};
enum rc image_elf_load(struct slice file, size_t max, struct image_elf *out, const char **why);

/* A bzImage in its two parts; slices point into the file. */
struct image_kernel {
	struct slice setup;	/* boot sector and setup header, at most a page */
	struct slice code;	/* the protected-mode part */
	uint64_t init_size;	/* bytes it needs from where it is loaded */
	uint32_t cmdline_max;
	uint32_t initrd_max;	/* highest address an initrd may reach */
};
enum rc image_kernel_read(struct slice file, struct image_kernel *out, const char **why);

/* CRC-32 (IEEE 802.3) of the concatenation of two pieces. */
uint32_t image_crc32(struct slice a, struct slice b);

/* Fails with a text: `return image_bad(why, "...")`. */
static inline enum rc image_bad(const char **why, const char *text)
{
	*why = text;
	return RC_BAD_INPUT;
}

#endif
