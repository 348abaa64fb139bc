/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L0's start: options, the machine's memory, the modules, the launch, then the boot vCPU's loop. What the boot
 * loader left in guest memory is gone before the guest runs.
 */
#include "emulator/attack.h"
#include "emulator/secure.h"

#define MULTIBOOT_MAGIC 0x2badb002u
#define MULTIBOOT_MMAP (1u << 6)
#define PM_TIMER 0x608u
#define PM_TIMER_HZ 3579545ull
#define MODULES 3u
#define RSDP_START 0xe0000ull
#define RSDP_END 0x100000ull
#define RSDP_LEN 36u
#define PCI_ADDRESS 0xcf8u
#define PCI_DATA 0xcfcu
#define BRIDGE_440FX 0x12378086u

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, module_count, modules;
	uint32_t syms[4];
	uint32_t mmap_len, mmap;
};
struct multiboot_module {
	uint32_t start, end, string, zero;
};
struct multiboot_range {
	uint32_t size;
	uint64_t start, len;
	uint32_t type;
} __attribute__((packed));

struct options opt;
uint64_t ram_end, tsc_khz;
struct host_range host_map[32];
unsigned host_map_count;
extern uint32_t l0_boot_magic, l0_boot_info;
void l0_main(void);

static void serial_setup(void)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} writes[] = { { 0x3f9, 0 }, { 0x3fb, 0x80 }, { 0x3f8, 1 }, { 0x3f9, 0 }, { 0x3fb, 3 }, { 0x3fa, 7 }, { 0x3fc, 3 },
		       { 0x21, 0xff }, { 0xa1, 0xff } };	/* and the PIC: SeaBIOS leaves it unmasked */
	size_t i;

	for (i = 0; i < ARRAY_LEN(writes); i++)
		cpu_out8(writes[i].port, writes[i].value);
}

static void calibrate(void)
{
	uint32_t start = cpu_in32(PM_TIMER) & 0xffffff, ticks;
	uint64_t from = cpu_tsc();

	do
		ticks = ((cpu_in32(PM_TIMER) & 0xffffff) - start) & 0xffffff;
	while (ticks < PM_TIMER_HZ / 50);
	tsc_khz = (cpu_tsc() - from) * PM_TIMER_HZ / ticks / 1000;
}

/* Does the word at s..end begin with `name`? Returns what follows it, or NULL. */
static const char *after(const char *s, const char *name)
{
	size_t n = strlen(name);

	return memcmp(s, name, n) ? NULL : s + n;
}

static void read_options(const char *s)
{
	static const struct {
		const char *word;
		bool *set, value;
	} words[] = {
		{ "io=strict", &opt.strict_io, true }, { "io=fast", &opt.strict_io, false },
		{ "rmp2m=strict", &opt.small_pages, true }, { "rmp2m=lenient", &opt.small_pages, false },
		{ "verbose", &opt.verbose, true }, { "exit-counters", &opt.counters, true },
	};
	size_t i;

	for (; *s; s++) {
		if (s[-1] != ' ')	/* the first word is our own name */
			continue;
		for (i = 0; i < ARRAY_LEN(words); i++) {
			const char *end = after(s, words[i].word);

			if (end && (*end == ' ' || !*end))
				*words[i].set = words[i].value;
		}
		if (after(s, "attack="))
			opt.attack = after(s, "attack=");
	}
}

/* The machine's RAM as the BIOS counts it: CMOS has the part above 16 MiB in 64 KiB units. */
static void find_ram(void)
{
	uint64_t units;

	cpu_out8(0x70, 0x34);
	units = cpu_in8(0x71);
	cpu_out8(0x70, 0x35);
	units |= (uint64_t)cpu_in8(0x71) << 8;
	ram_end = (16ull << 20) + units * 0x10000;
	if (ram_end <= L0_END || ram_end > RAM_MAX)
		l0_stop(STOP_BUG, "machine has %lu MiB, wanted more than %lu, at most %lu", ram_end >> 20, L0_END >> 20,
			RAM_MAX >> 20);
}

static void add_range(uint64_t start, uint64_t end, bool reserved)
{
	if (start >= end)
		return;
	if (host_map_count == ARRAY_LEN(host_map))
		l0_stop(STOP_BUG, "too many memory ranges");
	host_map[host_map_count++] = (struct host_range){ start, end, reserved };
}

/* Where the BIOS has put the ACPI tables: from the end of the last usable range to the end of RAM. */
static uint64_t tables_start(const struct multiboot_info *m)
{
	uint64_t end = 0;
	uint32_t at;

	for (at = m->mmap; at < m->mmap + m->mmap_len;) {
		const struct multiboot_range *r = (const void *)(uint64_t)at;

		if (r->type == 1 && r->start < ram_end && r->start + r->len > end)
			end = r->start + r->len;
		at += r->size + 4;
	}
	return end & ~(PAGE_LEN - 1);
}

/* The RSDP moves next to the tables it points to: the guest gets one range, which begins with it. */
static void place_rsdp(uint64_t to)
{
	uint64_t at;

	memset((void *)to, 0, PAGE_LEN);
	for (at = RSDP_START; at < RSDP_END; at += 16) {
		if (memcmp((const void *)at, "RSD PTR ", 8))
			continue;
		memcpy((void *)to, (const void *)at, RSDP_LEN);
		return;
	}
	l0_stop(STOP_BUG, "no RSDP");
}

/*
 * 0xc0000..0xfffff becomes plain memory, as KVM's guests have it: the BIOS has left its shadow write-protected in
 * the host bridge's registers (440FX: 0x59.., Q35: 0x90..).
 */
static void unlock_shadow(void)
{
	uint32_t bridge = 1u << 31, reg, i;

	cpu_out32(PCI_ADDRESS, bridge);
	reg = cpu_in32(PCI_DATA) == BRIDGE_440FX ? 0x59 : 0x90;
	for (i = reg; i < reg + 7; i++) {
		cpu_out32(PCI_ADDRESS, bridge | (i & ~3u));
		cpu_out8((uint16_t)(PCI_DATA + (i & 3)), 0x33);
	}
}

static void make_map(const struct multiboot_info *m)
{
	uint64_t tables = tables_start(m), rsdp = tables - PAGE_LEN;

	place_rsdp(rsdp);
	unlock_shadow();
	add_range(0, VGA_START, false);
	add_range(VGA_END, L0_BASE, false);
	add_range(L0_END, rsdp, false);
	add_range(rsdp, ram_end, true);
}

static void find_modules(const struct multiboot_info *m, struct module *out)
{
	const struct multiboot_module *mods = (const void *)(uint64_t)m->modules;
	uint32_t i;

	if (m->module_count != MODULES)
		l0_stop(STOP_BUG, "%u modules, wanted launch image, chip file, secure processor's program", m->module_count);
	for (i = 0; i < m->module_count; i++)
		out[i] = (struct module){ (const uint8_t *)(uint64_t)mods[i].start, mods[i].end - mods[i].start };
}

static bool is_launched(uint64_t gpa)
{
	return rmp_assigned(&rmp, host_pfn(gpa / PAGE_LEN));
}

/* The modules, what L0 read at boot and the trampoline: nothing of it is for the guest. */
static void wipe(const struct module *m, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		uint64_t at = (uint64_t)m[i].at & ~(PAGE_LEN - 1), end = (uint64_t)m[i].at + m[i].len;

		for (; at < end; at += PAGE_LEN)
			if (!is_launched(at))
				memset((void *)at, 0, PAGE_LEN);
	}
}

void l0_main(void)
{
	const struct multiboot_info *m = (const void *)(uint64_t)l0_boot_info;
	struct module modules[MODULES] = { 0 };

	serial_setup();
	if (l0_boot_magic != MULTIBOOT_MAGIC || !(m->flags & MULTIBOOT_MMAP))
		l0_stop(STOP_BUG, "not started by a multiboot loader");
	read_options((const char *)(uint64_t)m->cmdline + 1);
	attack_init();
	find_ram();
	calibrate();
	npt_init();
	svm_init();
	cpu_setup(&vcpus[0]);
	smp_start();
	make_map(m);
	find_modules(m, modules);
	secure_start(modules[1], modules[2]);
	launch(modules[0]);
	wipe(modules, m->module_count);
	l0_print("L0: %u vCPUs, io=%s\n", vcpu_count, opt.strict_io ? "strict" : "fast");
	smp_release();
	vcpu_loop(&vcpus[0]);
}
