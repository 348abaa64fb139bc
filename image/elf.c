/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's ELF file as memory: loadable segments at their physical addresses, and the two addresses
 * the boot vCPU starts with. The file comes from our own linker, and is checked as if it did not.
 */
#include <elf.h>
#include <stdlib.h>

#include "image/image.h"
#include "image/internal.h"

#define SEGMENTS_MAX 16
#define PML4_SYMBOL "boot_pml4"

struct elf {
	struct slice file;
	Elf64_Ehdr h;
	Elf64_Phdr load[SEGMENTS_MAX];	/* PT_LOAD with memory, in the file's order */
	unsigned loads;
	uint64_t low, high;		/* physical, from the first byte to behind the last */
};

/* A piece of the file. */
MUST_CHECK static bool piece(struct slice file, uint64_t off, uint64_t len, struct cursor *out)
{
	struct cursor c = cur_of(file.p, file.len);
	struct slice skipped, s;

	if (!cur_sub(&c, off, &skipped) || !cur_sub(&c, len, &s))
		return false;
	*out = cur_of(s.p, s.len);
	return true;
}

static enum rc read_header(struct elf *e, const char **why)
{
	static const uint8_t ident[] = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT };
	struct cursor c = cur_of(e->file.p, e->file.len);

	if (!cur_copy(&c, &e->h, sizeof(e->h)) || memcmp(e->h.e_ident, ident, sizeof(ident)) != 0)
		return image_bad(why, "monitor: not a 64-bit ELF file");
	if (e->h.e_type != ET_EXEC || e->h.e_machine != EM_X86_64)
		return image_bad(why, "monitor: not a static x86-64 program");
	if (e->h.e_phentsize != sizeof(Elf64_Phdr) || e->h.e_shentsize != sizeof(Elf64_Shdr))
		return image_bad(why, "monitor: its ELF header is malformed");
	return RC_OK;
}

static enum rc check_segment(const struct elf *e, const Elf64_Phdr *p, const char **why)
{
	uint64_t end, vend;
	struct cursor data;
	unsigned i;

	if (p->p_filesz > p->p_memsz || __builtin_add_overflow(p->p_paddr, p->p_memsz, &end) ||
	    __builtin_add_overflow(p->p_vaddr, p->p_memsz, &vend) ||
	    !piece(e->file, p->p_offset, p->p_filesz, &data))
		return image_bad(why, "monitor: a segment reaches beyond its file or its memory");
	for (i = 0; i < e->loads; i++)
		if (p->p_paddr < e->load[i].p_paddr + e->load[i].p_memsz && e->load[i].p_paddr < end)
			return image_bad(why, "monitor: its segments overlap");
	return RC_OK;
}

static enum rc read_segments(struct elf *e, const char **why)
{
	struct cursor c;
	Elf64_Phdr p;
	unsigned i;
	enum rc rc;

	if (!piece(e->file, e->h.e_phoff, (uint64_t)e->h.e_phnum * sizeof(p), &c))
		return image_bad(why, "monitor: its program headers are not in the file");
	for (i = 0; i < e->h.e_phnum; i++) {
		if (!cur_copy(&c, &p, sizeof(p)))
			return image_bad(why, "monitor: its program headers are malformed");
		if (p.p_type == PT_DYNAMIC || p.p_type == PT_INTERP)
			return image_bad(why, "monitor: not a static x86-64 program");
		if (p.p_type != PT_LOAD || p.p_memsz == 0)
			continue;
		if (e->loads == SEGMENTS_MAX)
			return image_bad(why, "monitor: too many segments");
		rc = check_segment(e, &p, why);
		if (rc != RC_OK)
			return rc;
		e->load[e->loads++] = p;
		if (e->loads == 1 || p.p_paddr < e->low)
			e->low = p.p_paddr;
		if (p.p_paddr + p.p_memsz > e->high)
			e->high = p.p_paddr + p.p_memsz;
	}
	return e->loads ? RC_OK : image_bad(why, "monitor: nothing in it is to be loaded");
}

/* Where a virtual address lies in guest memory. */
MUST_CHECK static bool physical(const struct elf *e, uint64_t va, uint64_t *out)
{
	unsigned i;

	for (i = 0; i < e->loads; i++) {
		if (va >= e->load[i].p_vaddr && va - e->load[i].p_vaddr < e->load[i].p_memsz) {
			*out = e->load[i].p_paddr + (va - e->load[i].p_vaddr);
			return true;
		}
	}
	return false;
}

MUST_CHECK static bool section(const struct elf *e, unsigned n, Elf64_Shdr *out)
{
	struct cursor c;
	uint64_t off;

	return n < e->h.e_shnum && !__builtin_add_overflow(e->h.e_shoff, (uint64_t)n * sizeof(*out), &off) &&
	       piece(e->file, off, sizeof(*out), &c) && cur_copy(&c, out, sizeof(*out));
}

/* Whether the string table has exactly this name at off. */
MUST_CHECK static bool is_name(struct cursor names, uint32_t off, const char *name)
{
	struct slice skipped, s;

	return cur_sub(&names, off, &skipped) && cur_sub(&names, strlen(name) + 1, &s) &&
	       memcmp(s.p, name, strlen(name) + 1) == 0;
}

MUST_CHECK static bool find_symbol(const struct elf *e, const char *name, uint64_t *value)
{
	Elf64_Shdr table, strings;
	struct cursor syms, names;
	Elf64_Sym sym;
	unsigned i;

	for (i = 0; section(e, i, &table); i++) {
		if (table.sh_type != SHT_SYMTAB || !section(e, table.sh_link, &strings) ||
		    !piece(e->file, table.sh_offset, table.sh_size, &syms) ||
		    !piece(e->file, strings.sh_offset, strings.sh_size, &names))
			continue;
		while (cur_copy(&syms, &sym, sizeof(sym))) {
			if (sym.st_shndx != SHN_UNDEF && is_name(names, sym.st_name, name)) {
				*value = sym.st_value;
				return true;
			}
		}
	}
	return false;
}

enum rc image_elf_load(struct slice file, size_t max, struct image_elf *out, const char **why)
{
	struct elf e = { .file = file };
	struct image_elf r = { 0 };
	uint64_t pml4, entry_gpa;
	enum rc rc = read_header(&e, why);
	unsigned i;

	if (rc == RC_OK)
		rc = read_segments(&e, why);
	if (rc != RC_OK)
		return rc;
	if (e.low % IMAGE_PAGE || e.high - e.low > max)
		return image_bad(why, "monitor: it does not start at a page, or is too large");
	if (!physical(&e, e.h.e_entry, &entry_gpa))
		return image_bad(why, "monitor: its entry is not inside of it");
	if (!find_symbol(&e, PML4_SYMBOL, &pml4) || !physical(&e, pml4, &r.cr3) || r.cr3 % IMAGE_PAGE)
		return image_bad(why, "monitor: it has no page-aligned symbol " PML4_SYMBOL);
	r.base = e.low;
	r.entry = e.h.e_entry;
	r.len = (e.high - e.low + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
	r.mem = calloc(1, r.len);
	if (!r.mem)
		return RC_MACHINE;
	for (i = 0; i < e.loads; i++)
		memcpy(r.mem + (e.load[i].p_paddr - e.low), file.p + e.load[i].p_offset, e.load[i].p_filesz);
	*out = r;
	return RC_OK;
}
