/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builder of launch images. First it decides what lies where (struct plan), then writes the file in one
 * pass. Nothing but the parts goes in: no time, no names, no padding with what was in memory.
 */
#include <stdlib.h>

#include "image/image.h"
#include "image/internal.h"
#include "snp/igvm.h"
#include "snp/vmsa.h"
#include "wire/launch.h"

#define COMPAT 1u
#define RUNS_MAX 16

/* Consecutive launch pages of one kind. */
struct run {
	uint64_t gpa;
	struct slice data;	/* the last page is filled with zeros; empty: one page that the host or firmware fills */
	uint32_t directive;	/* IGVM_PAGE_DATA or IGVM_PARAMETER_INSERT */
	uint16_t data_type;
};

struct plan {
	struct run run[RUNS_MAX];	/* by ascending address */
	unsigned runs;
	uint64_t next;			/* the monitor's first free byte */
	uint64_t policy;
	struct launch_info info;
	struct vmsa vmsa;
};

static uint64_t page_up(uint64_t n)
{
	return (n + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
}

static void add_run(struct plan *p, struct run r)
{
	INVARIANT(p->runs < RUNS_MAX);
	INVARIANT(p->runs == 0 || p->run[p->runs - 1].gpa < r.gpa);
	p->run[p->runs++] = r;
}

/* Puts data at gpa, unless there is none, and says so in the launch information. */
static void place(struct plan *p, uint64_t gpa, struct slice data, struct launch_range *where)
{
	if (data.len == 0)
		return;
	*where = (struct launch_range){ .gpa = gpa, .len = data.len };
	add_run(p, (struct run){ .gpa = gpa, .data = data, .directive = IGVM_PAGE_DATA });
}

/* The same at the monitor's next free page. */
static enum rc place_next(struct plan *p, struct slice data, struct launch_range *where, const char **why)
{
	if (data.len > LAUNCH_MON_BASE + LAUNCH_MON_LEN - p->next) {
		*why = "the parts do not fit into the monitor's memory";
		return RC_NO_ROOM;
	}
	place(p, p->next, data, where);
	p->next += page_up(data.len);
	return RC_OK;
}

/* The boot vCPU at VMPL0: 64-bit mode, flat segments, interrupts off. APM volume 2, table B-4. */
static void make_vmsa(struct vmsa *v, const struct image_elf *monitor)
{
	const struct vmsa_seg code = { .selector = 0x08, .attrib = 0xa9b, .limit = UINT32_MAX };
	const struct vmsa_seg data = { .selector = 0x10, .attrib = 0xc93, .limit = UINT32_MAX };

	v->cs = code;
	v->ss = v->ds = v->es = v->fs = v->gs = data;
	v->ldtr = (struct vmsa_seg){ .attrib = 0x82, .limit = 0xffff };
	v->tr = (struct vmsa_seg){ .attrib = 0x8b, .limit = 0xffff };
	v->efer = VMSA_EFER_SVME | 0x800 | 0x400 | 0x100;	/* NXE, LMA, LME */
	v->cr0 = 0x80010033;					/* PG, WP, NE, ET, MP, PE */
	v->cr3 = monitor->cr3;
	v->cr4 = 0x20;						/* PAE */
	v->dr6 = 0xffff0ff0;
	v->dr7 = 0x400;
	v->rflags = 2;
	v->rip = monitor->entry;
	v->rdi = LAUNCH_INFO;
	v->g_pat = 0x0007040600070406;
	v->sev_features = SEV_FEATURE_SNP;
	v->xcr0 = 1;
	v->mxcsr = 0x1f80;
	v->x87_fcw = 0x37f;
	v->x87_ftw = 0x5555;
}

static enum rc check_cmdline(struct slice s, uint32_t max, const char **why)
{
	size_t i;

	if (s.len > LAUNCH_CMDLINE_MAX || s.len > max)
		return image_bad(why, "command line: too long");
	for (i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return image_bad(why, "command line: not printable ASCII");
	return RC_OK;
}

/* Linux: protected-mode part and initrd at their fixed addresses. */
static enum rc plan_linux(struct plan *p, const struct image_parts *parts, struct slice *setup, const char **why)
{
	struct image_kernel k = { 0 };
	enum rc rc;

	*setup = slice_of(NULL, 0);
	if (parts->kernel.len == 0) {
		if (parts->initrd.len || parts->cmdline.len)
			return image_bad(why, "kernel: missing, but there is an initrd or a command line for it");
		return RC_OK;
	}
	rc = image_kernel_read(parts->kernel, &k, why);
	if (rc == RC_OK)
		rc = check_cmdline(parts->cmdline, k.cmdline_max, why);
	if (rc != RC_OK)
		return rc;
	if (k.init_size > LAUNCH_INITRD - LAUNCH_KERNEL || k.code.len > LAUNCH_INITRD - LAUNCH_KERNEL ||
	    parts->initrd.len > LAUNCH_INITRD_END - LAUNCH_INITRD ||
	    LAUNCH_INITRD + parts->initrd.len > (uint64_t)k.initrd_max + 1) {
		*why = "the kernel or the initrd is too large for its place";
		return RC_NO_ROOM;
	}
	place(p, LAUNCH_KERNEL, k.code, &p->info.kernel);
	place(p, LAUNCH_INITRD, parts->initrd, &p->info.initrd);
	*setup = k.setup;
	return RC_OK;
}

static enum rc plan_all(struct plan *p, const struct image_parts *parts, const struct image_elf *monitor,
			const char **why)
{
	struct launch_info *info = &p->info;
	struct slice setup;
	enum rc rc = plan_linux(p, parts, &setup, why);

	if (rc != RC_OK)
		return rc;
	add_run(p, (struct run){ .gpa = LAUNCH_INFO, .data = slice_of(info, sizeof(*info)), .directive = IGVM_PAGE_DATA });
	add_run(p, (struct run){ .gpa = LAUNCH_SECRETS, .directive = IGVM_PAGE_DATA, .data_type = IGVM_DATA_SECRETS });
	add_run(p, (struct run){ .gpa = LAUNCH_CPUID, .directive = IGVM_PAGE_DATA, .data_type = IGVM_DATA_CPUID });
	add_run(p, (struct run){ .gpa = LAUNCH_PARAMS, .directive = IGVM_PARAMETER_INSERT });
	p->next = LAUNCH_IMAGE;
	rc = place_next(p, slice_of(monitor->mem, monitor->len), &info->monitor, why);
	if (rc == RC_OK)
		rc = place_next(p, parts->service, &info->service, why);
	if (rc == RC_OK)
		rc = place_next(p, parts->platform, &info->platform, why);
	if (rc == RC_OK)
		rc = place_next(p, setup, &info->setup, why);
	if (rc == RC_OK)
		rc = place_next(p, parts->cmdline, &info->cmdline, why);
	info->magic = LAUNCH_MAGIC;
	info->version = LAUNCH_VERSION;
	info->guest_vmpl = parts->guest_vmpl;
	info->memory_end = p->next;
	p->policy = parts->policy;
	make_vmsa(&p->vmsa, monitor);
	return rc;
}

/* ---- the file ---- */

static const uint8_t zeros[IMAGE_PAGE];

static uint64_t run_pages(const struct run *r)
{
	return r->data.len ? page_up(r->data.len) / IMAGE_PAGE : 1;
}

/* The i-th page of a run in buf; false: it is zeros. */
static bool run_page(const struct run *r, uint64_t i, uint8_t buf[IMAGE_PAGE])
{
	size_t off = i * IMAGE_PAGE, n = r->data.len > off ? r->data.len - off : 0;

	memset(buf, 0, IMAGE_PAGE);
	if (n)
		memcpy(buf, r->data.p + off, n < IMAGE_PAGE ? n : IMAGE_PAGE);
	return memcmp(buf, zeros, IMAGE_PAGE) != 0;
}

static void directive(struct sink *s, uint32_t type, const void *body, uint32_t len)
{
	sink_le32(s, type);
	sink_le32(s, len);
	sink_put(s, body, len);
	sink_put(s, zeros, -len % 8u);
}

static void write_run(struct sink *headers, struct sink *data, uint32_t data_at, const struct run *r)
{
	uint8_t page[IMAGE_PAGE];
	uint64_t i;

	for (i = 0; i < run_pages(r); i++) {
		struct igvm_page_data d = { .gpa = r->gpa + i * IMAGE_PAGE, .compatibility_mask = COMPAT,
					    .data_type = r->data_type };
		struct igvm_parameter_insert in = { .gpa = d.gpa, .compatibility_mask = COMPAT };

		if (r->directive == IGVM_PARAMETER_INSERT) {
			directive(headers, IGVM_PARAMETER_INSERT, &in, sizeof(in));
			continue;
		}
		if (run_page(r, i, page)) {
			d.file_offset = data_at + (uint32_t)data->need;
			sink_put(data, page, sizeof(page));
		}
		directive(headers, IGVM_PAGE_DATA, &d, sizeof(d));
	}
}

static void write_plan(const struct plan *p, struct sink *headers, struct sink *data, uint32_t data_at)
{
	const struct igvm_supported_platform platform = { .compatibility_mask = COMPAT, .platform_version = 1,
							  .platform_type = IGVM_PLATFORM_SEV_SNP };
	const struct igvm_guest_policy policy = { .policy = p->policy, .compatibility_mask = COMPAT };
	const struct igvm_required_memory memory = { .gpa = LAUNCH_MON_BASE, .compatibility_mask = COMPAT,
						     .bytes = LAUNCH_MON_LEN };
	const struct igvm_parameter_area area = { .bytes = IMAGE_PAGE };
	const struct igvm_parameter count = { .byte_offset = LAUNCH_PARAM_VP_COUNT };
	const struct igvm_parameter map = { .byte_offset = LAUNCH_PARAM_MEMORY_MAP };
	struct igvm_vp_context vp = { .gpa = SNP_VMSA_GPA, .compatibility_mask = COMPAT };
	unsigned i;

	directive(headers, IGVM_SUPPORTED_PLATFORM, &platform, sizeof(platform));
	directive(headers, IGVM_GUEST_POLICY, &policy, sizeof(policy));
	directive(headers, IGVM_REQUIRED_MEMORY, &memory, sizeof(memory));
	directive(headers, IGVM_PARAMETER_AREA, &area, sizeof(area));
	directive(headers, IGVM_VP_COUNT, &count, sizeof(count));
	directive(headers, IGVM_MEMORY_MAP, &map, sizeof(map));
	for (i = 0; i < p->runs; i++)
		write_run(headers, data, data_at, &p->run[i]);
	vp.file_offset = data_at + (uint32_t)data->need;
	sink_put(data, &p->vmsa, sizeof(p->vmsa));
	directive(headers, IGVM_VP_CONTEXT, &vp, sizeof(vp));
}

static enum rc write_file(const struct plan *p, uint8_t **file, size_t *len, const char **why)
{
	struct igvm_fixed_header h = { .magic = IGVM_MAGIC, .format_version = IGVM_FORMAT_VERSION,
				       .variable_header_offset = sizeof(h) };
	struct sink headers = sink_of(NULL, 0), data = headers;
	uint64_t data_at, total;
	uint8_t *out;

	write_plan(p, &headers, &data, 0);	/* into nothing: how much is it? */
	data_at = page_up(sizeof(h) + headers.need);
	total = data_at + data.need;
	if (total > IMAGE_FILE_MAX) {
		*why = "the image is too large";
		return RC_NO_ROOM;
	}
	h.variable_header_size = (uint32_t)headers.need;
	h.total_file_size = (uint32_t)total;
	out = calloc(1, total);
	if (!out)
		return RC_MACHINE;
	headers = sink_of(out + sizeof(h), h.variable_header_size);
	data = sink_of(out + data_at, total - data_at);
	write_plan(p, &headers, &data, (uint32_t)data_at);
	INVARIANT(sink_ok(&headers) && headers.left == 0 && sink_ok(&data) && data.left == 0);
	h.checksum = image_crc32(slice_of(&h, sizeof(h)), slice_of(out + sizeof(h), h.variable_header_size));
	memcpy(out, &h, sizeof(h));
	*file = out;
	*len = total;
	return RC_OK;
}

enum rc image_build(const struct image_parts *parts, uint8_t **file, size_t *len, const char **why)
{
	struct image_elf monitor = { 0 };
	struct plan *p = NULL;
	enum rc rc;

	*why = "out of memory";
	if (parts->guest_vmpl < 1 || parts->guest_vmpl > 3)
		return image_bad(why, "the guest's VMPL is not 1, 2 or 3");
	if (!(parts->policy & SNP_POLICY_ONE))
		return image_bad(why, "bit 17 of the guest policy has to be one");
	rc = image_elf_load(parts->monitor, LAUNCH_MON_LEN - (LAUNCH_IMAGE - LAUNCH_MON_BASE), &monitor, why);
	if (rc != RC_OK)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p)
		rc = RC_MACHINE;
	else if (monitor.base != LAUNCH_IMAGE)
		rc = image_bad(why, "monitor: not linked to where images are loaded");
	else
		rc = plan_all(p, parts, &monitor, why);
	if (rc == RC_OK)
		rc = write_file(p, file, len, why);
	free(p);
	free(monitor.mem);
	return rc;
}
