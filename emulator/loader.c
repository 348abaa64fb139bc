/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch: an IGVM file's directives in their order become guest memory, each page through the firmware's
 * eyes (type, contents, address), so that the digest is that of the file. Spec section 4.
 */
#include "emulator/attack.h"
#include "emulator/igvm.h"
#include "emulator/l0.h"
#include "emulator/psp/psp.h"
#include "emulator/secure.h"

#define PLATFORM_MASK 1u
#define AREAS 4u
#define AREA_MAX 0x10000u

static struct area {
	uint8_t *at;
	uint64_t len;
} areas[AREAS];
static bool has_policy, has_context;

__attribute__((noreturn)) static void malformed(const char *what)
{
	l0_stop(STOP_IMAGE, "image: %s", what);
}

/* Pages of one type in a row, not yet shown to the firmware. */
static struct {
	enum snp_page_type type;
	uint64_t gpa, count;
} batch;

static void measure_batch(void)
{
	uint32_t status;

	if (!batch.count)
		return;
	status = secure_launch_page(batch.type, batch.gpa, batch.count, (uint8_t *)batch.gpa);
	if (status)
		l0_stop(STOP_IMAGE, "firmware refuses page %lx type %u status %x", batch.gpa, batch.type, status);
	batch.count = 0;
}

static void measure(enum snp_page_type type, uint64_t gpa)
{
	bool goes_on = batch.count && batch.type == type && batch.gpa + batch.count * PAGE_LEN == gpa &&
		       batch.count < PSP_PAGES_MAX && type != SNP_PAGE_SECRETS && type != SNP_PAGE_CPUID;

	if (!goes_on) {
		measure_batch();
		batch.type = type;
		batch.gpa = gpa;
	}
	batch.count++;
}

/* Puts one page in place. `contents` NULL: zeros. */
static void launch_page(uint64_t gpa, enum snp_page_type type, const uint8_t *contents)
{
	uint64_t gfn = gpa / PAGE_LEN;
	uint8_t *to;

	if (gpa % PAGE_LEN || !is_ram(gpa) || rmp_assigned(&rmp, host_pfn(gfn)))
		malformed("page address");
	to = gmem_shared(gpa, PAGE_LEN);
	if (!to)
		malformed("page address");
	if (contents)
		memcpy(to, contents, PAGE_LEN);
	else
		memset(to, 0, PAGE_LEN);
	if (type == SNP_PAGE_CPUID)
		cpuid_page_fill((struct snp_cpuid_page *)to);
	if (rmp_launch(&rmp, host_pfn(gfn), gfn, false) != RC_OK)
		malformed("page given twice");
	measure(type, gpa);
}

static void load_page(const struct igvm *f, const struct igvm_page_data *d)
{
	enum snp_page_type type;
	struct slice data = { 0 };

	if (d->flags & ~IGVM_PAGE_UNMEASURED || d->compatibility_mask != PLATFORM_MASK)
		malformed("page flags");
	switch (d->data_type) {
	case IGVM_DATA_NORMAL:
		type = d->flags & IGVM_PAGE_UNMEASURED ? SNP_PAGE_UNMEASURED : SNP_PAGE_NORMAL;
		break;
	case IGVM_DATA_SECRETS:
		type = SNP_PAGE_SECRETS;
		break;
	case IGVM_DATA_CPUID:
		type = SNP_PAGE_CPUID;
		break;
	default:
		malformed("page type");
	}
	if (d->file_offset && igvm_data(f, d->file_offset, &data) != RC_OK)
		malformed("page data");
	launch_page(d->gpa, type, data.p);
}

static void load_area(const struct igvm *f, const struct igvm_parameter_area *d)
{
	uint64_t i, pages = (d->bytes + PAGE_LEN - 1) / PAGE_LEN;
	struct slice data;

	if (d->index >= AREAS || areas[d->index].at || !d->bytes || d->bytes > AREA_MAX || d->bytes % PAGE_LEN)
		malformed("parameter area");
	areas[d->index] = (struct area){ .at = page_alloc(pages), .len = d->bytes };
	for (i = 0; d->file_offset && i < pages; i++) {
		if (igvm_data(f, d->file_offset + (uint32_t)(i * PAGE_LEN), &data) != RC_OK)
			malformed("parameter area data");
		memcpy(areas[d->index].at + i * PAGE_LEN, data.p, PAGE_LEN);
	}
}

/* Room for len bytes of a parameter, in an area not yet inserted. */
static uint8_t *parameter_at(const struct igvm_parameter *p, uint64_t len, uint64_t *room)
{
	if (p->index >= AREAS || !areas[p->index].at || p->byte_offset > areas[p->index].len ||
	    len > areas[p->index].len - p->byte_offset)
		malformed("parameter");
	if (room)
		*room = areas[p->index].len - p->byte_offset;
	return areas[p->index].at + p->byte_offset;
}

static void put_vp_count(const struct igvm_parameter *p)
{
	uint32_t count = attack_now(ATTACK_BAD_VP_COUNT) ? 1000 : vcpu_count;

	memcpy(parameter_at(p, 4, NULL), &count, 4);
}

static void put_memory_map(const struct igvm_parameter *p)
{
	uint64_t room, i;
	uint8_t *to = parameter_at(p, 0, &room);

	if ((host_map_count + 1) * sizeof(struct igvm_memory_map_entry) > room)
		malformed("no room for the memory map");
	for (i = 0; i < host_map_count; i++) {
		struct igvm_memory_map_entry e = {
			.first_page = host_map[i].start / PAGE_LEN,
			.pages = (host_map[i].end - host_map[i].start) / PAGE_LEN,
			.type = host_map[i].reserved ? IGVM_MEM_RESERVED : IGVM_MEM_RAM,
		};

		if (i && attack_now(ATTACK_BAD_MEMORY_MAP))
			e.first_page = host_map[i - 1].start / PAGE_LEN;
		memcpy(to + i * sizeof(e), &e, sizeof(e));
	}
}

static void insert_area(const struct igvm_parameter_insert *d)
{
	uint64_t i;

	if (d->index >= AREAS || !areas[d->index].at || d->compatibility_mask != PLATFORM_MASK)
		malformed("parameter insert");
	for (i = 0; i < areas[d->index].len; i += PAGE_LEN)
		launch_page(d->gpa + i, SNP_PAGE_UNMEASURED, areas[d->index].at + i);
	areas[d->index] = (struct area){ 0 };
}

/* The boot vCPU's VMSA lies outside of guest memory, as KVM has it. */
static void load_context(const struct igvm *f, const struct igvm_vp_context *d)
{
	struct vmsa *a = page_alloc(1);
	uint64_t pfn = (uint64_t)a / PAGE_LEN;
	struct slice data;

	if (has_context || d->vp_index || d->compatibility_mask != PLATFORM_MASK || d->gpa != SNP_VMSA_GPA ||
	    igvm_data(f, d->file_offset, &data) != RC_OK)
		malformed("vCPU context");
	memcpy(a, data.p, PAGE_LEN);
	measure_batch();
	if (secure_launch_page(SNP_PAGE_VMSA, SNP_VMSA_GPA, 1, (uint8_t *)a))
		malformed("vCPU context refused by the firmware");
	if (a->vmpl || rmp_launch(&rmp, pfn, FIRMWARE_GFN, true) != RC_OK)
		malformed("vCPU context");
	vcpus[0].level[0].next_vmsa = pfn;
	vcpus[0].level[0].start = true;
	has_context = true;
}

static void check_required(const struct igvm_required_memory *d)
{
	uint64_t i;

	for (i = 0; i < d->bytes; i += PAGE_LEN)
		if (!is_ram(d->gpa + i))
			malformed("required memory is not there");
}

static void directive(const struct igvm *f, const struct igvm_item *item)
{
	switch (item->type) {
	case IGVM_SUPPORTED_PLATFORM:
		if (item->platform.platform_type != IGVM_PLATFORM_SEV_SNP ||
		    item->platform.compatibility_mask != PLATFORM_MASK)
			malformed("not for SEV-SNP");
		break;
	case IGVM_GUEST_POLICY:
		if (has_policy || secure_launch_start(item->policy.policy))
			malformed("guest policy");
		has_policy = true;
		break;
	case IGVM_PARAMETER_AREA:
		load_area(f, &item->area);
		break;
	case IGVM_PAGE_DATA:
		load_page(f, &item->page);
		break;
	case IGVM_PARAMETER_INSERT:
		insert_area(&item->insert);
		break;
	case IGVM_VP_CONTEXT:
		load_context(f, &item->context);
		break;
	case IGVM_REQUIRED_MEMORY:
		check_required(&item->required);
		break;
	case IGVM_VP_COUNT:
		put_vp_count(&item->parameter);
		break;
	case IGVM_MEMORY_MAP:
		put_memory_map(&item->parameter);
		break;
	default:
		malformed("unknown directive");
	}
}

void launch(struct module image)
{
	uint8_t digest[SNP_DIGEST_LEN];
	struct igvm_item item;
	struct igvm f;
	unsigned i;

	if (igvm_open(slice_of(image.at, image.len), &f) != RC_OK)
		malformed("not an IGVM file");
	for (;;) {
		if (igvm_next(&f, &item) != RC_OK)
			malformed("bad header");
		if (!item.type)
			break;
		directive(&f, &item);
	}
	if (!has_context)
		malformed("no vCPU context");
	measure_batch();
	if (secure_launch_finish(digest))
		malformed("launch refused by the firmware");
	l0_print("L0: launch digest ");
	for (i = 0; i < sizeof(digest); i++)
		l0_print("%02x", digest[i]);
	l0_print("\n");
}
