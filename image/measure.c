/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch digest, as the secure processor computes it: AMD publication 56860, SNP_LAUNCH_UPDATE,
 * PAGE_INFO. Also the file's checksum, which protects against accidents only.
 */
#include "crypto/hash.h"
#include "image/image.h"
#include "image/internal.h"

static const uint8_t zeros[IMAGE_PAGE];

enum rc image_digest_page(uint8_t digest[SNP_DIGEST_LEN], enum snp_page_type type, uint64_t gpa,
			  const uint8_t *contents)
{
	struct snp_page_info info = { .len = sizeof(info), .page_type = (uint8_t)type, .gpa = gpa };
	struct slice page = slice_of(contents ? contents : zeros, IMAGE_PAGE);
	struct slice all = slice_of(&info, sizeof(info));

	memcpy(info.digest, digest, sizeof(info.digest));
	if (type == SNP_PAGE_NORMAL || type == SNP_PAGE_VMSA) {
		enum rc rc = crypto_sha384(&page, 1, info.contents);

		if (rc != RC_OK)
			return rc;
	}
	return crypto_sha384(&all, 1, digest);
}

enum rc image_measure(const struct image *img, uint8_t digest[SNP_DIGEST_LEN])
{
	struct cursor at = img->directives;
	uint8_t sum[SNP_DIGEST_LEN] = { 0 };
	struct image_page page;
	enum rc rc;

	while (image_next(img, &at, &page)) {
		rc = image_digest_page(sum, page.type, page.gpa, page.data);
		if (rc != RC_OK)
			return rc;
	}
	memcpy(digest, sum, sizeof(sum));
	return RC_OK;
}

static uint32_t crc_add(uint32_t crc, struct slice s)
{
	size_t i;
	int bit;

	for (i = 0; i < s.len; i++) {
		crc ^= s.p[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

uint32_t image_crc32(struct slice a, struct slice b)
{
	return ~crc_add(crc_add(UINT32_MAX, a), b);
}
