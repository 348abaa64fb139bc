/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's start, without firmware: Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst), its memory
 * map, the blob that says "SEV-SNP", its copies of secrets and CPUID page, its first calling area, its VMSA.
 *
 * Kernel, initramfs, command line and setup header are launch pages, hence measured. The memory map comes from the
 * core, which has checked what the host says. The guest's secrets hold no key of a level above its own.
 */
#include <string.h>

#include "monitor/x86/linux.h"

/* The guest's first pages; all lie in RAM that the core has granted. */
#define BOOT_PARAMS 0x10000ull
#define CMDLINE 0x11000ull
#define BOOT_GDT 0x12000ull
#define BOOT_TOP 0x13000ull
#define BOOT_MID 0x14000ull
#define SETUP_DATA 0x15000ull	/* in RAM: of reserved pages the kernel would make a shared mapping */
#define STACK 0x9f000ull
/* In one 2 MiB piece: the kernel reaches them early, through whatever its decompressor happened to map. */
#define BLOB 0xe00000ull
#define SECRETS (BLOB + 0x1000)
#define CPUID (BLOB + 0x2000)
#define CALLING_AREA (BLOB + 0x3000)
#define BLOB_LEN 0x4000ull

/* struct boot_params */
#define BP_RSDP 0x070
#define BP_E820_COUNT 0x1e8
#define BP_HEADER 0x1f1
#define BP_E820 0x2d0
#define E820_MAX 128
/* its setup header */
#define HDR_JUMP_LEN 0x201
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_LOADER 0x210
#define HDR_LOADFLAGS 0x211
#define HDR_RAMDISK 0x218
#define HDR_RAMDISK_LEN 0x21c
#define HDR_HEAP_END 0x224
#define HDR_CMDLINE 0x228
#define HDR_XLOADFLAGS 0x236
#define HDR_SETUP_DATA 0x250
#define HDR_INIT_SIZE 0x260
#define HDR_END 0x268
#define XLF_KERNEL_64 1u
#define ENTRY_64 0x200

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };
struct e820_entry {
	uint64_t addr, len;
	uint32_t type;
} __attribute__((packed));

static void put16(uint8_t *p, size_t off, uint16_t v)
{
	memcpy(p + off, &v, sizeof(v));
}

static void put32(uint8_t *p, size_t off, uint32_t v)
{
	memcpy(p + off, &v, sizeof(v));
}

static void put64(uint8_t *p, size_t off, uint64_t v)
{
	memcpy(p + off, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *p, size_t off)
{
	uint32_t v;

	memcpy(&v, p + off, sizeof(v));
	return v;
}

static void e820_add(uint8_t *params, uint64_t from, uint64_t to, enum e820_type type)
{
	unsigned n = params[BP_E820_COUNT];
	struct e820_entry e = { from, to - from, type };

	if (from >= to)
		return;
	if (n == E820_MAX)
		stop(MON_REASON_MEMORY_MAP, "too many pieces of memory");
	memcpy(params + BP_E820 + n * sizeof(e), &e, sizeof(e));
	params[BP_E820_COUNT] = (uint8_t)(n + 1);
}

/* Cuts the pages that the kernel must leave alone out of its RAM. True: [from, to) holds them all. */
static bool e820_ram(uint8_t *params, uint64_t from, uint64_t to)
{
	if (from > BLOB || to < BLOB + BLOB_LEN) {
		e820_add(params, from, to, E820_RAM);
		return false;
	}
	e820_add(params, from, BLOB, E820_RAM);
	e820_add(params, BLOB, BLOB + BLOB_LEN, E820_RESERVED);
	e820_add(params, BLOB + BLOB_LEN, to, E820_RAM);
	return true;
}

static void fill_memory_map(uint8_t *params)
{
	static struct mon_ram ram[E820_MAX];
	size_t n = mon_ram(&mon, ram, E820_MAX), i;
	bool low = false, blob = false;

	for (i = 0; i < n; i++) {
		uint64_t from = ram[i].first.v, to = from + ram[i].pages * PAGE;

		if (ram[i].acpi) {
			e820_add(params, from, to, E820_ACPI);
			continue;
		}
		low |= from == 0 && to >= STACK;
		blob |= e820_ram(params, from, to);
	}
	if (!low || !blob)
		stop(MON_REASON_MEMORY_MAP, "no memory where the kernel starts");
}

static void fill_header(uint8_t *params, const struct launch_info *info)
{
	const uint8_t *file = direct(info->setup.gpa);
	size_t end;

	if (info->setup.len < PAGE || get32(file, HDR_MAGIC) != 0x53726448 || file[HDR_VERSION + 1] < 2 ||
	    !(file[HDR_XLOADFLAGS] & XLF_KERNEL_64) || info->kernel.gpa != LAUNCH_KERNEL ||
	    info->kernel.gpa + get32(file, HDR_INIT_SIZE) > info->initrd.gpa)
		stop(MON_REASON_LAUNCH, "not a kernel that starts in 64 bits");
	end = HDR_MAGIC + file[HDR_JUMP_LEN];
	if (end < HDR_END || end > BP_E820)
		stop(MON_REASON_LAUNCH, "the kernel's setup header has a strange length");
	memcpy(params + BP_HEADER, file + BP_HEADER, end - BP_HEADER);
	params[HDR_LOADER] = 0xff;
	params[HDR_LOADFLAGS] |= 0x81;		/* loaded high; heap_end_ptr is meant */
	put16(params, HDR_HEAP_END, 0xde00);
	put32(params, HDR_CMDLINE, CMDLINE);
	put32(params, HDR_RAMDISK, (uint32_t)info->initrd.gpa);
	put32(params, HDR_RAMDISK_LEN, (uint32_t)info->initrd.len);
	put64(params, HDR_SETUP_DATA, SETUP_DATA);
	put64(params, BP_RSDP, mon_rsdp(&mon));
}

static void fill_blob(const struct launch_info *info)
{
	struct snp_cc_blob *blob = direct(BLOB);
	struct snp_secrets *s = direct(SECRETS);
	uint8_t *node = direct(SETUP_DATA);
	uint32_t i;

	*blob = (struct snp_cc_blob){ .magic = SNP_CC_BLOB_MAGIC, .secrets_gpa = SECRETS, .secrets_len = PAGE,
				      .cpuid_gpa = CPUID, .cpuid_len = PAGE };
	memcpy(s, direct(LAUNCH_SECRETS), sizeof(*s));
	for (i = 0; i < info->guest_vmpl; i++) {
		mem_wipe(s->vmpck[i], sizeof(s->vmpck[i]));
		s->msg_seqno[i] = 0;
	}
	s->svsm_base = LAUNCH_MON_BASE;
	s->svsm_size = LAUNCH_MON_LEN;
	s->svsm_caa = CALLING_AREA;
	s->svsm_max_version = 1;
	s->svsm_guest_vmpl = (uint8_t)info->guest_vmpl;
	memcpy(direct(CPUID), direct(LAUNCH_CPUID), PAGE);
	put32(node, 8, 7);	/* SETUP_CC_BLOB */
	put32(node, 12, 4);
	put32(node, 16, BLOB);
}

static void fill_tables(void)
{
	uint64_t *gdt = direct(BOOT_GDT), *t = direct(BOOT_TOP), *mid = direct(BOOT_MID), i;

	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	t[0] = BOOT_MID | PTE_C | PTE_P | PTE_W;
	for (i = 0; i < 4; i++)
		mid[i] = i << 30 | PTE_C | PTE_P | PTE_W | PTE_HUGE;
}

void vmsa_long_mode(struct vmsa *v)
{
	const struct vmsa_seg data = { 0x18, 0xc93, 0xffffffff, 0 };

	*v = (struct vmsa){ .es = data, .ss = data, .ds = data, .fs = data, .gs = data,
			    .cs = { 0x10, 0xa9b, 0xffffffff, 0 }, .ldtr = { 0, 0x82, 0xffff, 0 },
			    .tr = { 0, 0x8b, 0xffff, 0 }, .cr0 = 0x80010033, .cr4 = 0x620, .dr6 = 0xffff0ff0,
			    .dr7 = 0x400, .rflags = 2, .g_pat = 0x0007040600070406, .xcr0 = 1, .mxcsr = 0x1f80,
			    .x87_fcw = 0x37f, .x87_ftw = 0x5555, .sev_features = SEV_FEATURE_SNP,
			    .efer = VMSA_EFER_SVME | 0xd00 /* NXE LMA LME */ };
}

struct vmsa *vmsa_alloc(void)
{
	uint64_t gpa = pages_alloc(1);

	if (gpa && gpa % HUGE == 0)	/* an erratum: the first page of a 2 MiB piece is no VMSA */
		gpa = pages_alloc(1);
	if (!gpa)
		stop(MON_REASON_MEMORY, "no page for a VMSA");
	return direct(gpa);
}

void vmsa_make(struct vmsa *v)
{
	if (insn_rmpadjust((uint64_t)v, false, RMPADJUST_ATTR(1, 0) | RMPADJUST_VMSA) != SNP_OK)
		stop(MON_REASON_CPU, "cannot make a VMSA");
}

void linux_load(const struct launch_info *info)
{
	uint8_t *params = direct(BOOT_PARAMS);

	if (!info->cmdline.len || info->cmdline.len > LAUNCH_CMDLINE_MAX)
		stop(MON_REASON_LAUNCH, "the command line's length");
	fill_memory_map(params);	/* first: it checks that there is memory */
	fill_header(params, info);
	memcpy(direct(CMDLINE), direct(info->cmdline.gpa), info->cmdline.len);
	fill_blob(info);
	fill_tables();
}

struct vmsa *linux_vmsa(const struct launch_info *info, struct gpa *caa)
{
	struct vmsa *v = vmsa_alloc();

	vmsa_long_mode(v);
	v->vmpl = (uint8_t)info->guest_vmpl;
	v->gdtr = (struct vmsa_seg){ .limit = 31, .base = BOOT_GDT };
	v->cr3 = BOOT_TOP | PTE_C;
	v->rip = info->kernel.gpa + ENTRY_64;
	v->rsi = BOOT_PARAMS;
	v->rsp = STACK;
	vmsa_make(v);
	caa->v = CALLING_AREA;
	return v;
}
