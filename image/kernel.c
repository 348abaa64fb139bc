/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux kernel file (bzImage) in its two parts, for the 64-bit boot protocol. Offsets and meanings:
 * Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#include "image/image.h"
#include "image/internal.h"

#define SECTOR 512u

struct setup_header {	/* from 1F1; only what is looked at has a name */
	uint8_t setup_sects;
	uint8_t skip0[12];
	uint16_t boot_flag;
	uint8_t skip1[2];
	uint32_t magic;
	uint16_t version;
	uint8_t skip2[0x211 - 0x208];
	uint8_t loadflags;
	uint8_t skip3[0x22c - 0x212];
	uint32_t initrd_addr_max;
	uint8_t skip4[4];
	uint8_t relocatable;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint8_t skip5[0x258 - 0x23c];
	uint64_t pref_address;
	uint32_t init_size;
} __attribute__((packed));
ABI_AT(struct setup_header, magic, 0x202 - 0x1f1);
ABI_AT(struct setup_header, loadflags, 0x211 - 0x1f1);
ABI_AT(struct setup_header, xloadflags, 0x236 - 0x1f1);
ABI_AT(struct setup_header, init_size, 0x260 - 0x1f1);

#define HEADER_AT 0x1f1u
#define HEADER_MAGIC 0x53726448u	/* "HdrS" */
#define BOOT_FLAG 0xaa55u
#define VERSION_64BIT 0x020cu		/* the first with xloadflags */
#define LOADED_HIGH 1u
#define XLF_KERNEL_64 1u

enum rc image_kernel_read(struct slice file, struct image_kernel *out, const char **why)
{
	struct cursor head = cur_of(file.p, file.len), all = head;
	struct image_kernel r = { 0 };
	struct setup_header h;
	struct slice skipped, real;
	size_t sectors;

	if (!cur_sub(&head, HEADER_AT, &skipped) || !cur_copy(&head, &h, sizeof(h)) || h.boot_flag != BOOT_FLAG ||
	    h.magic != HEADER_MAGIC)
		return image_bad(why, "kernel: not a bzImage");
	if (h.version < VERSION_64BIT || !(h.loadflags & LOADED_HIGH) || !(h.xloadflags & XLF_KERNEL_64))
		return image_bad(why, "kernel: it has no 64-bit entry");
	sectors = h.setup_sects ? h.setup_sects : 4;
	if (!cur_sub(&all, (sectors + 1) * SECTOR, &real) || all.left == 0)
		return image_bad(why, "kernel: the file is too short");
	r.setup = slice_of(real.p, real.len < IMAGE_PAGE ? real.len : IMAGE_PAGE);
	r.code = slice_of(all.at, all.left);
	r.init_size = h.init_size;
	r.cmdline_max = h.cmdline_size;
	r.initrd_max = h.initrd_addr_max;
	*out = r;
	return RC_OK;
}
