/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch image: the pages that the secure processor loads and measures before the monitor runs, in an
 * IGVM file (snp/igvm.h). This folder builds the file, reads one, and computes its launch digest without
 * running anything.
 *
 * A file that is read is hostile. What image_open() accepts is exactly what image_build() can make: SEV-SNP
 * only, launch pages by ascending address, each address once, one parameter page, the boot vCPU's VMSA last.
 * Launch order, and with it the digest, is the order of the directives.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/base.h"
#include "snp/launch.h"
#include "snp/report.h"

#define IMAGE_PAGE 4096u
#define IMAGE_FILE_MAX (1u << 30)	/* bytes of a file that is read or built */

/* What goes into an image. Slices are whole files, owned by the caller; only the monitor is required. */
struct image_parts {
	struct slice monitor;	/* ELF, linked at LAUNCH_IMAGE (wire/launch.h), with a symbol `boot_pml4` */
	struct slice service;	/* ELF, carried as it is */
	struct slice platform;	/* likewise */
	struct slice kernel;	/* bzImage for x86-64; required when there is an initrd or a command line */
	struct slice initrd;
	struct slice cmdline;	/* printable ASCII, at most LAUNCH_CMDLINE_MAX bytes */
	uint64_t policy;	/* guest policy */
	uint32_t guest_vmpl;	/* 1..3 */
};

/*
 * Makes the file: the same parts, the same bytes. *file is the caller's to free(). RC_BAD_INPUT: a part is
 * unfit, *why says which and why (a static text); RC_NO_ROOM: the parts are too large for their places;
 * RC_MACHINE: no memory.
 */
enum rc image_build(const struct image_parts *p, uint8_t **file, size_t *len, const char **why);

struct image_page {
	uint64_t gpa;			/* SNP_VMSA_GPA for the VMSA */
	enum snp_page_type type;
	const uint8_t *data;		/* IMAGE_PAGE bytes in the file; NULL: zeros */
};

struct image {
	struct slice file;
	struct cursor directives;	/* private to image_next() */
	uint64_t policy;
	uint32_t pages;			/* launch pages, the VMSA among them */
};

/* Checks the whole file and keeps pointers into it. RC_BAD_INPUT: *why is a static text. */
enum rc image_open(struct slice file, struct image *out, const char **why);

/* Walks the launch pages in launch order: `struct cursor at = img->directives; while (image_next(img, &at, &page))`. */
MUST_CHECK bool image_next(const struct image *img, struct cursor *at, struct image_page *out);

/* The launch digest (56860, PAGE_INFO). RC_MACHINE: libcrypto failed. */
enum rc image_measure(const struct image *img, uint8_t digest[SNP_DIGEST_LEN]);

/* One step of it: digest becomes the digest with this page behind. contents: IMAGE_PAGE bytes; NULL: zeros. */
enum rc image_digest_page(uint8_t digest[SNP_DIGEST_LEN], enum snp_page_type type, uint64_t gpa,
			  const uint8_t *contents);

#endif
