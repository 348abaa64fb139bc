/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch image: what is built, what is read, what is refused. The digest's known answers were computed from the
 * layout of AMD publication 56860 (PAGE_INFO) by another implementation of SHA-384.
 */
#include <elf.h>
#include <stdlib.h>

#include "image/image.h"
#include "image/internal.h"
#include "snp/igvm.h"
#include "snp/vmsa.h"
#include "tests/test.h"
#include "wire/launch.h"

/* ---- parts ---- */

#define HIGH 0xffffffff80000000ull

/* A monitor: text of one page, data of one page and three of zeros, and the symbol; ready to be spoiled. */
struct monitor {
	Elf64_Ehdr h;
	Elf64_Phdr p[3];
	Elf64_Shdr s[3];
	Elf64_Sym sym[2];
	char names[24];
	uint8_t text[4096], data[4096];
};

static struct monitor good_monitor(void)
{
	struct monitor m = {
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
		       .e_machine = EM_X86_64, .e_version = 1, .e_entry = HIGH + 0x10, .e_phoff = offsetof(struct monitor, p),
		       .e_shoff = offsetof(struct monitor, s), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
		       .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3 },
		.p = { { .p_type = PT_LOAD, .p_offset = offsetof(struct monitor, text), .p_vaddr = HIGH, .p_paddr = LAUNCH_IMAGE,
			 .p_filesz = 4096, .p_memsz = 4096 },
		       { .p_type = PT_LOAD, .p_offset = offsetof(struct monitor, data), .p_vaddr = HIGH + 0x1000,
			 .p_paddr = LAUNCH_IMAGE + 0x1000, .p_filesz = 4096, .p_memsz = 4096 + 3 * 4096 - 100 },
		       { .p_type = PT_NOTE } },
		.s = { { 0 },
		       { .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct monitor, sym), .sh_size = 2 * sizeof(Elf64_Sym),
			 .sh_link = 2 },
		       { .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct monitor, names), .sh_size = sizeof(m.names) } },
		.sym = { { 0 }, { .st_name = 1, .st_shndx = 1, .st_value = HIGH + 0x1000 } },
		.names = "\0boot_pml4",
	};

	memset(m.text, 0x90, sizeof(m.text));
	memset(m.data, 0xda, sizeof(m.data));
	return m;
}

/* A bzImage with one setup sector and a page and a half of kernel. */
static uint8_t kernel[1024 + 6000];

static void put(uint8_t *to, uint64_t v, size_t n)
{
	memcpy(to, &v, n);
}

static void good_kernel(void)
{
	memset(kernel, 0x4b, sizeof(kernel));
	memset(kernel, 0, 1024);
	kernel[0x1f1] = 1;
	put(kernel + 0x1fe, 0xaa55, 2);
	memcpy(kernel + 0x202, "HdrS", 4);
	put(kernel + 0x206, 0x20f, 2);
	kernel[0x211] = 1;
	put(kernel + 0x22c, 0x7fffffff, 4);
	put(kernel + 0x236, 0x3f, 2);
	put(kernel + 0x238, 2047, 4);
	put(kernel + 0x258, 0x1000000, 8);
	put(kernel + 0x260, 0x2000000, 4);
}

static struct monitor mon;
static uint8_t service[5000], platform[4096], initrd[9000];

static struct image_parts good_parts(void)
{
	mon = good_monitor();
	good_kernel();
	memset(service, 0x5e, sizeof(service));
	memset(platform, 0x9f, sizeof(platform));
	memset(initrd, 0x1d, sizeof(initrd));
	memset(initrd + 4096, 0, 4096);
	return (struct image_parts){
		.monitor = slice_of(&mon, sizeof(mon)), .service = slice_of(service, sizeof(service)),
		.platform = slice_of(platform, sizeof(platform)), .kernel = slice_of(kernel, sizeof(kernel)),
		.initrd = slice_of(initrd, sizeof(initrd)), .cmdline = slice_str("console=ttyS0"),
		.policy = SNP_POLICY_DEFAULT, .guest_vmpl = 1,
	};
}

static uint8_t *file;
static size_t len;
static const char *why;
static struct image img;

static enum rc build(struct image_parts p)
{
	free(file);
	file = NULL;
	why = NULL;
	return image_build(&p, &file, &len, &why);
}

static enum rc reopen(void)
{
	why = NULL;
	return image_open(slice_of(file, len), &img, &why);
}

static void need_good(void)
{
	EXPECT(build(good_parts()) == RC_OK && reopen() == RC_OK);
}

static void measured(struct image_parts p, uint8_t digest[48])
{
	EXPECT(build(p) == RC_OK && reopen() == RC_OK && image_measure(&img, digest) == RC_OK);
}

/* ---- the digest ---- */

static bool is_hex(const uint8_t *p, const char *hex)
{
	uint8_t want[64];
	size_t n = test_unhex(hex, want, sizeof(want));

	return memcmp(p, want, n) == 0;
}

TEST(the_digest_is_that_of_the_specification)
{
	uint8_t d[48] = { 0 }, page[4096];
	size_t i;

	for (i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)i;
	EXPECT(image_digest_page(d, SNP_PAGE_NORMAL, 0x100000, page) == RC_OK);
	EXPECT(is_hex(d, "fcd01075a27fb4ad66ad0375d1910f07e220325f9329fb1861839b569b9d15ca877eafd18e0f8023fba22e173c42b4d1"));
	EXPECT(image_digest_page(d, SNP_PAGE_ZERO, 0x101000, page) == RC_OK);
	EXPECT(is_hex(d, "cc47e9eb3d0518bcda78466bf3c2bfc00ee10271dfddad35ece9f68ae41b60bed79199f962a3778f87d085a19116d793"));
	EXPECT(image_digest_page(d, SNP_PAGE_SECRETS, 0x102000, NULL) == RC_OK);
	EXPECT(is_hex(d, "7acc026e82fbc06f647298f19b1c421f4017859372ca7b2ee09417d52078be60b07dcffee779bf104c2dff6799be822e"));
	EXPECT(image_digest_page(d, SNP_PAGE_CPUID, 0x103000, NULL) == RC_OK);
	EXPECT(is_hex(d, "881e4c4fc9b4487005d9c17672367f18caa6a54f69594a634019f5f657901209d16fe6e9567d1619d109deb09971b0e9"));
	EXPECT(image_digest_page(d, SNP_PAGE_VMSA, SNP_VMSA_GPA, NULL) == RC_OK);
	EXPECT(is_hex(d, "3acbbb345c2a527bd2b5521a734ef5942abf4ad031f840af174e3d62b63a5fb36d3e431174e73e9924b1a5d5e586db7e"));
}

TEST(the_checksum_is_the_standard_one)
{
	EXPECT(image_crc32(slice_str("1234"), slice_str("56789")) == 0xcbf43926);
}

/* ---- what is built ---- */

static size_t find(uint64_t gpa, struct image_page *out)
{
	struct cursor at = img.directives;
	size_t i;

	for (i = 0; image_next(&img, &at, out); i++)
		if (out->gpa == gpa)
			return i;
	return SIZE_MAX;
}

TEST(every_part_is_where_the_monitor_is_told)
{
	struct launch_info info;
	struct image_page page;

	need_good();
	EXPECT(img.policy == SNP_POLICY_DEFAULT);
	EXPECT(find(LAUNCH_INFO, &page) != SIZE_MAX && page.type == SNP_PAGE_NORMAL && page.data);
	memcpy(&info, page.data, sizeof(info));
	EXPECT(info.magic == LAUNCH_MAGIC && info.version == LAUNCH_VERSION && info.guest_vmpl == 1);
	EXPECT(info.monitor.gpa == LAUNCH_IMAGE && info.monitor.len == 5 * 4096);
	EXPECT(info.service.gpa == LAUNCH_IMAGE + 5 * 4096 && info.service.len == sizeof(service));
	EXPECT(info.platform.gpa == info.service.gpa + 2 * 4096 && info.platform.len == sizeof(platform));
	EXPECT(info.setup.gpa == info.platform.gpa + 4096 && info.setup.len == 1024);
	EXPECT(info.cmdline.gpa == info.setup.gpa + 4096 && info.cmdline.len == 13);
	EXPECT(info.memory_end == info.cmdline.gpa + 4096);
	EXPECT(info.kernel.gpa == LAUNCH_KERNEL && info.kernel.len == 6000);
	EXPECT(info.initrd.gpa == LAUNCH_INITRD && info.initrd.len == sizeof(initrd));

	EXPECT(find(info.service.gpa + 4096, &page) != SIZE_MAX && page.data[5000 - 4096 - 1] == 0x5e &&
	       page.data[5000 - 4096] == 0 && page.data[4095] == 0);
	EXPECT(find(info.cmdline.gpa, &page) != SIZE_MAX && memcmp(page.data, "console=ttyS0\0", 14) == 0);
	EXPECT(find(LAUNCH_KERNEL + 4096, &page) != SIZE_MAX && page.data[6000 - 4096 - 1] == 0x4b);
	EXPECT(find(LAUNCH_IMAGE + 4096, &page) != SIZE_MAX && page.data[0] == 0xda);
	EXPECT(find(LAUNCH_IMAGE + 2 * 4096, &page) != SIZE_MAX && page.type == SNP_PAGE_NORMAL && !page.data);
	EXPECT(find(LAUNCH_INITRD + 4096, &page) != SIZE_MAX && page.type == SNP_PAGE_NORMAL && !page.data);
	EXPECT(find(info.memory_end, &page) == SIZE_MAX);
}

TEST(firmware_and_host_fill_their_pages_only)
{
	struct image_page page;
	struct cursor at;
	unsigned n[8] = { 0 };

	need_good();
	EXPECT(find(LAUNCH_SECRETS, &page) != SIZE_MAX && page.type == SNP_PAGE_SECRETS && !page.data);
	EXPECT(find(LAUNCH_CPUID, &page) != SIZE_MAX && page.type == SNP_PAGE_CPUID && !page.data);
	EXPECT(find(LAUNCH_PARAMS, &page) != SIZE_MAX && page.type == SNP_PAGE_UNMEASURED && !page.data);
	for (at = img.directives; image_next(&img, &at, &page);)
		n[page.type]++;
	EXPECT(n[SNP_PAGE_SECRETS] == 1 && n[SNP_PAGE_CPUID] == 1 && n[SNP_PAGE_UNMEASURED] == 1 && n[SNP_PAGE_VMSA] == 1);
	EXPECT(n[SNP_PAGE_NORMAL] == img.pages - 4 && n[SNP_PAGE_ZERO] == 0);
}

TEST(the_first_vcpu_starts_at_the_monitors_entry_at_vmpl0)
{
	struct image_page page;
	struct vmsa v;

	need_good();
	EXPECT(find(SNP_VMSA_GPA, &page) == img.pages - 1 && page.type == SNP_PAGE_VMSA);
	memcpy(&v, page.data, sizeof(v));
	EXPECT(v.rip == HIGH + 0x10 && v.rdi == LAUNCH_INFO && v.cr3 == LAUNCH_IMAGE + 0x1000);
	EXPECT(v.vmpl == 0 && v.cpl == 0 && v.sev_features == SEV_FEATURE_SNP && v.rflags == 2);
	EXPECT(v.efer == 0x1d00 && v.cr0 == 0x80010033 && v.cr4 == 0x20);
	EXPECT(v.rax == 0 && v.rsp == 0 && v.rsi == 0 && v.r15 == 0 && v.event_inj == 0);
}

TEST(the_same_parts_give_the_same_bytes)
{
	static uint8_t first[1 << 20];
	size_t n;

	need_good();
	EXPECT(len < sizeof(first));
	memcpy(first, file, len);
	n = len;
	need_good();
	EXPECT(n == len && memcmp(first, file, len) == 0);
}

TEST(a_byte_of_any_part_changes_the_measurement)
{
	uint8_t before[48], after[48];
	size_t i;

	measured(good_parts(), before);
	for (i = 0; i < 8; i++) {
		struct image_parts p = good_parts();

		switch (i) {
		case 0: mon.text[4095] ^= 1; break;
		case 1: service[4999] ^= 1; break;
		case 2: platform[0] ^= 1; break;
		case 3: kernel[0x200] ^= 1; break;
		case 4: kernel[sizeof(kernel) - 1] ^= 1; break;
		case 5: initrd[4097] ^= 1; break;	/* in a page of zeros */
		case 6: p.cmdline = slice_str("console=ttyS1"); break;
		default: p.guest_vmpl = 2; break;
		}
		measured(p, after);
		EXPECT(memcmp(before, after, sizeof(after)) != 0);
	}
}

TEST(the_policy_is_in_the_image_but_not_in_the_measurement)
{
	struct image_parts p = good_parts();
	uint8_t before[48], after[48];

	measured(p, before);
	p.policy |= SNP_POLICY_SINGLE_SOCKET;
	measured(p, after);
	EXPECT(img.policy == p.policy);
	EXPECT_MEM(before, after, sizeof(after));
}

TEST(a_part_in_another_place_changes_the_measurement)
{
	struct image_parts p = good_parts();
	uint8_t before[48], after[48];

	memset(platform, 0x5e, sizeof(platform));
	p.service = slice_of(service, 4096);
	measured(p, before);
	p.platform = p.service;
	p.service = slice_of(NULL, 0);
	measured(p, after);
	EXPECT(memcmp(before, after, sizeof(after)) != 0);
}

TEST(a_monitor_alone_makes_an_image)
{
	struct image_parts p = good_parts();

	p.service = p.platform = p.kernel = p.initrd = p.cmdline = slice_of(NULL, 0);
	EXPECT(build(p) == RC_OK && reopen() == RC_OK);
	EXPECT_INT(img.pages, 4 + 5 + 1);
}

/* ---- parts that are refused ---- */

TEST(settings_out_of_range_are_refused)
{
	struct image_parts p = good_parts();

	p.guest_vmpl = 0;
	EXPECT(build(p) == RC_BAD_INPUT && why);
	p.guest_vmpl = 4;
	EXPECT(build(p) == RC_BAD_INPUT && why);
	p = good_parts();
	p.policy = SNP_POLICY_SMT;
	EXPECT(build(p) == RC_BAD_INPUT && why);
}

TEST(a_monitor_that_is_not_linked_as_agreed_is_refused)
{
	size_t i;

	for (i = 0; i < 24; i++) {
		struct image_parts p = good_parts();

		switch (i) {
		case 0: mon.h.e_ident[0] = 0; break;
		case 1: mon.h.e_ident[EI_CLASS] = ELFCLASS32; break;
		case 2: mon.h.e_ident[EI_DATA] = ELFDATA2MSB; break;
		case 3: mon.h.e_type = ET_DYN; break;
		case 4: mon.h.e_machine = EM_386; break;
		case 5: mon.h.e_phentsize--; break;
		case 6: mon.h.e_phoff = UINT64_MAX - 8; break;
		case 7: mon.h.e_phnum = 0xffff; break;
		case 8: mon.h.e_entry = HIGH - 1; break;
		case 9: mon.h.e_entry = HIGH + 5 * 4096; break;
		case 10: mon.p[0].p_paddr += 4096; break;			/* overlaps */
		case 11: mon.p[0].p_paddr -= 4096; break;			/* starts too low */
		case 12: mon.p[0].p_filesz = 8192; break;			/* more file than memory */
		case 13: mon.p[1].p_offset = sizeof(mon) - 4095; break;		/* beyond the file */
		case 14: mon.p[1].p_memsz = UINT64_MAX - 4096; break;		/* wraps */
		case 15: mon.p[1].p_memsz = LAUNCH_MON_LEN; break;		/* too large */
		case 16: mon.p[2].p_type = PT_INTERP; break;
		case 17: mon.p[2].p_type = PT_DYNAMIC; break;
		case 18: mon.names[1] = 'x'; break;				/* no such symbol */
		case 19: mon.sym[1].st_value++; break;				/* not at a page */
		case 20: mon.sym[1].st_value = 0x1000; break;			/* not in memory */
		case 21: mon.sym[1].st_shndx = SHN_UNDEF; break;
		case 22: mon.s[2].sh_size = 10; break;				/* its name is cut off */
		default: mon.p[0].p_type = mon.p[1].p_type = PT_NULL; break;
		}
		EXPECT(build(p) == RC_BAD_INPUT && why && !file);
	}
}

TEST(every_truncation_of_a_monitor_is_refused)
{
	struct image_elf elf;
	size_t n;

	mon = good_monitor();
	for (n = 0; n < sizeof(mon); n += n < offsetof(struct monitor, text) ? 1 : 513) {
		uint8_t *cut = test_fence(&mon, n);

		EXPECT(image_elf_load(slice_of(cut, n), LAUNCH_MON_LEN, &elf, &why) == RC_BAD_INPUT);
		test_fence_free(cut, n);
	}
}

TEST(a_file_that_is_no_64_bit_kernel_is_refused)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = { { 0x1fe, 0 }, { 0x202, 0 }, { 0x206, 0x0b }, { 0x211, 0 }, { 0x236, 0 }, { 0x1f1, 60 } };
	struct image_kernel k;
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct image_parts p = good_parts();

		kernel[bad[i].at] = bad[i].value;
		EXPECT(build(p) == RC_BAD_INPUT && why);
	}
	good_kernel();
	for (n = 0; n <= 1024; n++) {
		uint8_t *cut = test_fence(kernel, n);

		EXPECT(image_kernel_read(slice_of(cut, n), &k, &why) == RC_BAD_INPUT);
		test_fence_free(cut, n);
	}
}

TEST(an_old_kernel_that_says_no_setup_sectors_has_four)
{
	struct image_kernel k;

	good_kernel();
	kernel[0x1f1] = 0;
	EXPECT(image_kernel_read(slice_of(kernel, sizeof(kernel)), &k, &why) == RC_OK);
	EXPECT(k.code.p == kernel + 5 * 512 && k.setup.len == 5 * 512);
}

TEST(command_lines_that_are_too_long_or_not_text_are_refused)
{
	static char text[LAUNCH_CMDLINE_MAX + 1];
	struct image_parts p = good_parts();

	memset(text, 'a', sizeof(text));
	p.cmdline = slice_of(text, LAUNCH_CMDLINE_MAX);
	EXPECT(build(p) == RC_OK);
	p.cmdline.len++;
	EXPECT(build(p) == RC_BAD_INPUT && why);
	p.cmdline = slice_of("a\0b", 3);
	EXPECT(build(p) == RC_BAD_INPUT);
	p.cmdline = slice_str("a\nb");
	EXPECT(build(p) == RC_BAD_INPUT);
	p.cmdline = slice_str("\xc3\xa4");
	EXPECT(build(p) == RC_BAD_INPUT);
	p.cmdline = slice_str("quiet");
	put(kernel + 0x238, 4, 4);	/* what this kernel takes */
	EXPECT(build(p) == RC_BAD_INPUT);
}

TEST(an_initrd_or_command_line_without_a_kernel_is_refused)
{
	struct image_parts p = good_parts();

	p.kernel = slice_of(NULL, 0);
	EXPECT(build(p) == RC_BAD_INPUT);
	p.initrd = slice_of(NULL, 0);
	EXPECT(build(p) == RC_BAD_INPUT);
	p.cmdline = slice_of(NULL, 0);
	EXPECT(build(p) == RC_OK);
}

TEST(parts_that_do_not_fit_their_places_are_refused)
{
	struct image_parts p = good_parts();
	size_t big = LAUNCH_INITRD_END - LAUNCH_INITRD + 1;
	uint8_t *much = calloc(1, big);

	EXPECT(much != NULL);
	p.initrd = slice_of(much, big);
	EXPECT(build(p) == RC_NO_ROOM && why);
	p = good_parts();
	p.service = slice_of(much, LAUNCH_MON_LEN - 0x100000 - 4 * 4096);
	EXPECT(build(p) == RC_NO_ROOM && why);
	free(much);
	p = good_parts();
	put(kernel + 0x260, LAUNCH_INITRD - LAUNCH_KERNEL + 1, 4);
	EXPECT(build(p) == RC_NO_ROOM);
	p = good_parts();
	put(kernel + 0x22c, LAUNCH_INITRD + sizeof(initrd) - 2, 4);
	EXPECT(build(p) == RC_NO_ROOM);
	put(kernel + 0x22c, LAUNCH_INITRD + sizeof(initrd) - 1, 4);
	EXPECT(build(p) == RC_OK);
}

/* ---- files that are refused ---- */

static void fit_checksum(void)
{
	struct igvm_fixed_header h;

	memcpy(&h, file, sizeof(h));
	h.checksum = 0;
	h.checksum = image_crc32(slice_of(&h, sizeof(h)), slice_of(file + sizeof(h), h.variable_header_size));
	memcpy(file, &h, sizeof(h));
}

/* The n-th directive of a type: where its body is in the file. */
static uint8_t *body(uint32_t type, unsigned n)
{
	struct igvm_variable_header v;
	size_t at = sizeof(struct igvm_fixed_header);

	for (;; at += sizeof(v) + (v.len + 7) / 8 * 8) {
		memcpy(&v, file + at, sizeof(v));
		if (v.type == type && n-- == 0)
			return file + at + sizeof(v);
	}
}

TEST(every_truncation_of_an_image_is_refused)
{
	size_t n;

	need_good();
	for (n = 0; n < len; n += n < 64 ? 1 : 1021) {
		uint8_t *cut = test_fence(file, n);

		EXPECT(image_open(slice_of(cut, n), &img, &why) == RC_BAD_INPUT);
		if (n >= 24) {	/* with a header that says so */
			put(cut + 16, n, 4);
			EXPECT(image_open(slice_of(cut, n), &img, &why) == RC_BAD_INPUT);
		}
		test_fence_free(cut, n);
	}
}

TEST(a_changed_byte_in_the_headers_is_found)
{
	struct igvm_fixed_header h;
	size_t i;

	need_good();
	memcpy(&h, file, sizeof(h));
	for (i = 0; i < sizeof(h) + h.variable_header_size; i++) {
		file[i] ^= 0x10;
		EXPECT(reopen() == RC_BAD_INPUT && why);
		file[i] ^= 0x10;
	}
	EXPECT(reopen() == RC_OK);
}

TEST(headers_that_the_builder_cannot_have_made_are_refused)
{
	static const struct {
		uint32_t type;
		unsigned n, off, size;
		uint64_t value;
	} bad[] = {
		{ IGVM_SUPPORTED_PLATFORM, 0, 0, 4, 3 },	/* for other platforms too */
		{ IGVM_SUPPORTED_PLATFORM, 0, 4, 1, 2 },	/* a paravisor's level */
		{ IGVM_SUPPORTED_PLATFORM, 0, 5, 1, 3 },	/* TDX */
		{ IGVM_SUPPORTED_PLATFORM, 0, 6, 2, 2 },
		{ IGVM_GUEST_POLICY, 0, 8, 4, 2 },
		{ IGVM_GUEST_POLICY, 0, 12, 4, 1 },
		{ IGVM_REQUIRED_MEMORY, 0, 0, 8, 1 },
		{ IGVM_REQUIRED_MEMORY, 0, 16, 4, 1 },
		{ IGVM_PARAMETER_AREA, 0, 0, 8, 8192 },
		{ IGVM_PARAMETER_AREA, 0, 8, 4, 1 },
		{ IGVM_PARAMETER_AREA, 0, 12, 4, 4096 },
		{ IGVM_VP_COUNT, 0, 4, 4, 4096 },
		{ IGVM_MEMORY_MAP, 0, 0, 4, 1 },
		{ IGVM_PARAMETER_INSERT, 0, 8, 4, 0 },
		{ IGVM_PARAMETER_INSERT, 0, 12, 4, 1 },
		{ IGVM_PARAMETER_INSERT, 0, 0, 8, LAUNCH_CPUID },	/* where a page lies already */
		{ IGVM_PAGE_DATA, 0, 0, 8, LAUNCH_KERNEL + 1 },
		{ IGVM_PAGE_DATA, 1, 0, 8, LAUNCH_KERNEL },		/* twice */
		{ IGVM_PAGE_DATA, 1, 0, 8, LAUNCH_INITRD },		/* too far: the next one comes twice */
		{ IGVM_PAGE_DATA, 0, 0, 8, 1ull << 48 },
		{ IGVM_PAGE_DATA, 0, 8, 4, 3 },
		{ IGVM_PAGE_DATA, 0, 12, 4, UINT32_MAX },		/* outside of the file */
		{ IGVM_PAGE_DATA, 0, 16, 4, IGVM_PAGE_2MB },
		{ IGVM_PAGE_DATA, 0, 16, 4, IGVM_PAGE_SHARED },
		{ IGVM_PAGE_DATA, 0, 20, 2, 3 },
		{ IGVM_PAGE_DATA, 0, 20, 2, IGVM_DATA_SECRETS },	/* with data */
		{ IGVM_PAGE_DATA, 0, 22, 2, 1 },
		{ IGVM_VP_CONTEXT, 0, 0, 8, 0x1000 },
		{ IGVM_VP_CONTEXT, 0, 12, 4, 0 },
		{ IGVM_VP_CONTEXT, 0, 12, 4, UINT32_MAX - 4000 },
		{ IGVM_VP_CONTEXT, 0, 16, 2, 1 },			/* another vCPU */
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		need_good();
		memcpy(body(bad[i].type, bad[i].n) + bad[i].off, &bad[i].value, bad[i].size);
		fit_checksum();
		EXPECT(reopen() == RC_BAD_INPUT && why);
	}
}

TEST(directives_of_unknown_kinds_sizes_and_orders_are_refused)
{
	static const uint32_t once[] = { IGVM_SUPPORTED_PLATFORM, IGVM_GUEST_POLICY, IGVM_REQUIRED_MEMORY, IGVM_PARAMETER_AREA,
					 IGVM_PARAMETER_INSERT, IGVM_VP_CONTEXT };
	size_t i;

	for (i = 0; i < ARRAY_LEN(once); i++) {	/* one is missing: it became another */
		need_good();
		put(body(once[i], 0) - 8, 0x30d, 4);
		fit_checksum();
		EXPECT(reopen() == RC_BAD_INPUT);
		need_good();
		put(body(once[i], 0) - 4, 0, 4);
		fit_checksum();
		EXPECT(reopen() == RC_BAD_INPUT);
	}
	need_good();
	put(body(IGVM_MEMORY_MAP, 0) - 8, IGVM_VP_COUNT, 4);	/* twice */
	fit_checksum();
	EXPECT(reopen() == RC_BAD_INPUT);
	need_good();
	put(body(IGVM_VP_COUNT, 0) - 8, IGVM_MEMORY_MAP, 4);	/* before its turn */
	fit_checksum();
	EXPECT(reopen() == RC_BAD_INPUT);
}

TEST(an_image_that_ends_before_its_vcpu_is_refused)
{
	struct igvm_fixed_header h;

	need_good();
	memcpy(&h, file, sizeof(h));
	h.variable_header_size -= 8 + (uint32_t)sizeof(struct igvm_vp_context);
	memcpy(file, &h, sizeof(h));
	fit_checksum();
	EXPECT(reopen() == RC_BAD_INPUT);
	need_good();
	h.variable_header_size += 8;	/* cut inside of it */
	memcpy(file, &h, sizeof(h));
	fit_checksum();
	EXPECT(reopen() == RC_BAD_INPUT);
}
