/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of launch images. One pass checks everything, so that walking the pages afterwards cannot fail.
 * A directive is a row of a table: its type, its exact size, and what it does to the reader's state.
 */
#include "image/image.h"
#include "image/internal.h"
#include "snp/igvm.h"

#define GPA_END (1ull << 48)	/* addresses of launch pages stay below */

struct reading {
	struct image img;
	const char **why;
	uint64_t next_gpa;	/* launch pages ascend: the lowest that is still allowed */
	unsigned seen;		/* bit n: a directive of row n was there */
};

/* variable_header := type:u32 len:u32 body[len] pad, to a multiple of eight */
MUST_CHECK static bool next_header(struct cursor *c, uint32_t *type, struct slice *body)
{
	struct slice pad;
	uint32_t len;

	return cur_le32(c, type) && cur_le32(c, &len) && cur_sub(c, len, body) && cur_sub(c, -len % 8u, &pad);
}

/* A page of the file, or NULL for offset 0; false: it is not inside the file's data. */
MUST_CHECK static bool file_page(struct slice file, uint32_t off, const uint8_t **out)
{
	struct cursor c = cur_of(file.p, file.len);
	struct slice skipped;

	*out = NULL;
	return off == 0 || (cur_sub(&c, off, &skipped) && cur_take(&c, IMAGE_PAGE, out));
}

static enum rc claim_page(struct reading *r, uint64_t gpa)
{
	if (gpa % IMAGE_PAGE || gpa < r->next_gpa || gpa >= GPA_END)
		return image_bad(r->why, "a launch page is not aligned, is out of order, or comes twice");
	r->next_gpa = gpa + IMAGE_PAGE;
	r->img.pages++;
	return RC_OK;
}

static enum rc on_platform(struct reading *r, const void *body)
{
	struct igvm_supported_platform p;

	memcpy(&p, body, sizeof(p));
	if (p.compatibility_mask != 1 || p.platform_type != IGVM_PLATFORM_SEV_SNP || p.platform_version != 1 ||
	    p.highest_vtl != 0 || p.shared_gpa_boundary != 0)
		return image_bad(r->why, "it is not for SEV-SNP, or not only");
	return RC_OK;
}

static enum rc on_policy(struct reading *r, const void *body)
{
	struct igvm_guest_policy p;

	memcpy(&p, body, sizeof(p));
	if (p.compatibility_mask != 1 || p.zero != 0)
		return image_bad(r->why, "its guest policy is malformed");
	r->img.policy = p.policy;
	return RC_OK;
}

static enum rc on_memory(struct reading *r, const void *body)
{
	struct igvm_required_memory m;

	memcpy(&m, body, sizeof(m));
	if (m.compatibility_mask != 1 || m.gpa % IMAGE_PAGE || m.bytes % IMAGE_PAGE || m.flags || m.zero)
		return image_bad(r->why, "its required memory is malformed");
	return RC_OK;
}

static enum rc on_area(struct reading *r, const void *body)
{
	struct igvm_parameter_area a;

	memcpy(&a, body, sizeof(a));
	if (a.bytes != IMAGE_PAGE || a.index != 0 || a.file_offset != 0)
		return image_bad(r->why, "its parameter area is not one page of zeros");
	return RC_OK;
}

static enum rc on_parameter(struct reading *r, const void *body)
{
	struct igvm_parameter p;

	memcpy(&p, body, sizeof(p));
	if (p.index != 0 || p.byte_offset >= IMAGE_PAGE)
		return image_bad(r->why, "a parameter lies outside of its area");
	return RC_OK;
}

static enum rc page_of_data(struct slice file, const struct igvm_page_data *d, struct image_page *out)
{
	bool unmeasured = d->flags & IGVM_PAGE_UNMEASURED;

	if (d->compatibility_mask != 1 || d->zero != 0 || (d->flags & ~IGVM_PAGE_UNMEASURED) ||
	    (d->data_type != IGVM_DATA_NORMAL && (unmeasured || d->file_offset)) ||
	    !file_page(file, d->file_offset, &out->data))
		return RC_BAD_INPUT;
	out->gpa = d->gpa;
	switch (d->data_type) {
	case IGVM_DATA_NORMAL:
		out->type = unmeasured ? SNP_PAGE_UNMEASURED : SNP_PAGE_NORMAL;
		return RC_OK;
	case IGVM_DATA_SECRETS:
		out->type = SNP_PAGE_SECRETS;
		return RC_OK;
	case IGVM_DATA_CPUID:
		out->type = SNP_PAGE_CPUID;
		return RC_OK;
	default:
		return RC_BAD_INPUT;
	}
}

static enum rc on_page(struct reading *r, const void *body)
{
	struct igvm_page_data d;
	struct image_page page;

	memcpy(&d, body, sizeof(d));
	if (page_of_data(r->img.file, &d, &page) != RC_OK)
		return image_bad(r->why, "a launch page is of a kind that is not used here, or not in the file");
	return claim_page(r, page.gpa);
}

static enum rc on_insert(struct reading *r, const void *body)
{
	struct igvm_parameter_insert p;

	memcpy(&p, body, sizeof(p));
	if (p.compatibility_mask != 1 || p.index != 0)
		return image_bad(r->why, "it inserts a parameter area that is not there");
	return claim_page(r, p.gpa);
}

static enum rc on_vmsa(struct reading *r, const void *body)
{
	struct igvm_vp_context v;
	const uint8_t *data;

	memcpy(&v, body, sizeof(v));
	if (v.compatibility_mask != 1 || v.gpa != SNP_VMSA_GPA || v.vp_index != 0 || v.zero || v.pad ||
	    v.file_offset == 0 || !file_page(r->img.file, v.file_offset, &data))
		return image_bad(r->why, "the state of its first vCPU is malformed, or not in the file");
	r->img.pages++;
	return RC_OK;
}

/* In the order of their first appearance in a file; only pages may come more than once. */
static const struct row {
	uint32_t type;
	uint32_t len;
	bool many;
	enum rc (*on)(struct reading *, const void *);
} rows[] = {
	{ IGVM_SUPPORTED_PLATFORM, sizeof(struct igvm_supported_platform), false, on_platform },
	{ IGVM_GUEST_POLICY, sizeof(struct igvm_guest_policy), false, on_policy },
	{ IGVM_REQUIRED_MEMORY, sizeof(struct igvm_required_memory), false, on_memory },
	{ IGVM_PARAMETER_AREA, sizeof(struct igvm_parameter_area), false, on_area },
	{ IGVM_VP_COUNT, sizeof(struct igvm_parameter), false, on_parameter },
	{ IGVM_MEMORY_MAP, sizeof(struct igvm_parameter), false, on_parameter },
	{ IGVM_PAGE_DATA, sizeof(struct igvm_page_data), true, on_page },
	{ IGVM_PARAMETER_INSERT, sizeof(struct igvm_parameter_insert), false, on_insert },
	{ IGVM_VP_CONTEXT, sizeof(struct igvm_vp_context), false, on_vmsa },
};
#define ROW_PAGE 6u
#define ROW_VMSA 8u
#define ALL_SEEN ((1u << ARRAY_LEN(rows)) - 1)
_Static_assert(ARRAY_LEN(rows) == ROW_VMSA + 1, "the VMSA's row is the last");

static enum rc take_directive(struct reading *r, uint32_t type, struct slice body)
{
	unsigned i, before;

	for (i = 0; i < ARRAY_LEN(rows) && rows[i].type != type; i++)
		;
	if (i == ARRAY_LEN(rows) || body.len != rows[i].len)
		return image_bad(r->why, "a directive is of a kind or size that is not used here");
	before = i < ROW_PAGE ? (1u << i) - 1 : i == ROW_VMSA ? (1u << ROW_VMSA) - 1 : (1u << ROW_PAGE) - 1;
	if ((r->seen & before) != before || r->seen & 1u << ROW_VMSA || (!rows[i].many && r->seen & 1u << i) ||
	    (i < ROW_PAGE && r->seen >> ROW_PAGE))
		return image_bad(r->why, "a directive comes twice, or out of order");
	r->seen |= 1u << i;
	return rows[i].on(r, body.p);
}

static enum rc read_fixed(struct slice file, struct cursor *headers, const char **why)
{
	struct cursor c = cur_of(file.p, file.len);
	struct igvm_fixed_header h;
	struct slice variable;
	uint32_t sum;

	if (file.len > IMAGE_FILE_MAX || !cur_copy(&c, &h, sizeof(h)) || h.magic != IGVM_MAGIC ||
	    h.format_version != IGVM_FORMAT_VERSION)
		return image_bad(why, "not an IGVM file of version 1");
	if (h.variable_header_offset != sizeof(h) || h.total_file_size != file.len ||
	    !cur_sub(&c, h.variable_header_size, &variable))
		return image_bad(why, "its header says another size than it has");
	sum = h.checksum;
	h.checksum = 0;
	if (sum != image_crc32(slice_of(&h, sizeof(h)), variable))
		return image_bad(why, "its checksum does not fit: the file is damaged");
	*headers = cur_of(variable.p, variable.len);
	return RC_OK;
}

enum rc image_open(struct slice file, struct image *out, const char **why)
{
	struct reading r = { .img = { .file = file }, .why = why };
	struct cursor headers;
	struct slice body;
	uint32_t type;
	enum rc rc = read_fixed(file, &headers, why);

	if (rc != RC_OK)
		return rc;
	r.img.directives = headers;
	while (!cur_end(&headers)) {
		if (!next_header(&headers, &type, &body))
			return image_bad(why, "its last directive is cut off");
		rc = take_directive(&r, type, body);
		if (rc != RC_OK)
			return rc;
	}
	if (r.seen != ALL_SEEN)
		return image_bad(why, "a directive is missing");
	*out = r.img;
	return RC_OK;
}

bool image_next(const struct image *img, struct cursor *at, struct image_page *out)
{
	struct igvm_parameter_insert insert;
	struct igvm_page_data data;
	struct igvm_vp_context vmsa;
	struct slice body;
	uint32_t type;

	while (next_header(at, &type, &body)) {
		switch (type) {
		case IGVM_PAGE_DATA:
			memcpy(&data, body.p, sizeof(data));
			return page_of_data(img->file, &data, out) == RC_OK;
		case IGVM_PARAMETER_INSERT:
			memcpy(&insert, body.p, sizeof(insert));
			*out = (struct image_page){ .gpa = insert.gpa, .type = SNP_PAGE_UNMEASURED };
			return true;
		case IGVM_VP_CONTEXT:
			memcpy(&vmsa, body.p, sizeof(vmsa));
			*out = (struct image_page){ .gpa = SNP_VMSA_GPA, .type = SNP_PAGE_VMSA };
			return file_page(img->file, vmsa.file_offset, &out->data);
		default:
			break;
		}
	}
	return false;
}
