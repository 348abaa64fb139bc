/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices on the guest's behalf: ports, MSRs, memory-mapped registers, all done on the CPU that asks. The guest
 * gets QEMU's devices, with two exceptions: INIT and start-up IPIs, which would let a CPU out of L0's hands, and the
 * port by which L0 ends QEMU.
 */
#include "emulator/l0.h"

#define LAPIC 0xfee00000ull
#define ICR_MODE(v) ((v) >> 8 & 7)
#define ICR_MODE_INIT 5u
#define ICR_MODE_STARTUP 6u

uint32_t host_in(uint16_t port, unsigned len)
{
	return len == 1 ? cpu_in8(port) : len == 2 ? cpu_in16(port) : cpu_in32(port);
}

void host_out(uint16_t port, unsigned len, uint32_t value)
{
	if (port + len > DEBUG_EXIT_PORT && port < DEBUG_EXIT_PORT + 4)
		return;
	if (len == 1)
		cpu_out8(port, (uint8_t)value);
	else if (len == 2)
		cpu_out16(port, (uint16_t)value);
	else
		cpu_out32(port, value);
}

static bool is_cpu_reset(uint64_t icr)
{
	return ICR_MODE(icr) == ICR_MODE_INIT || ICR_MODE(icr) == ICR_MODE_STARTUP;
}

/* MSRs the host serves: the CPU's own, or zero and no effect. All others are #GP. */
static const struct {
	uint32_t first, last;
	bool native;
} msrs[] = {
	{ 0x10, 0x10, true },			/* TSC */
	{ 0x1b, 0x1b, true },			/* APIC base */
	{ 0x8b, 0x8b, false },			/* microcode level */
	{ 0xfe, 0xfe, true },			/* MTRRs */
	{ 0x179, 0x17b, false },		/* machine check */
	{ 0x1a0, 0x1a0, false },
	{ 0x200, 0x20f, true },
	{ 0x250, 0x250, true },
	{ 0x258, 0x259, true },
	{ 0x268, 0x26f, true },
	{ 0x2ff, 0x2ff, true },
	{ 0x400, 0x47f, false },
	{ 0x800, 0x83f, true },			/* x2APIC */
	{ 0xc0010010, 0xc0010010, false },	/* SYSCFG */
	{ 0xc0010015, 0xc001001f, false },	/* HWCR .. northbridge */
	{ 0xc0010055, 0xc0010055, false },
	{ 0xc0010058, 0xc0010058, false },
	{ 0xc0010061, 0xc0010068, false },	/* P-states */
	{ 0xc0010112, 0xc0010113, false },
	{ 0xc0011000, 0xc001103f, false },	/* CPUID overrides, errata */
	{ 0xc00110a2, 0xc00110e3, false },
};

bool host_msr(uint32_t msr, bool write, uint64_t *value)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(msrs); i++) {
		if (msr < msrs[i].first || msr > msrs[i].last)
			continue;
		if (!write)
			*value = msrs[i].native ? cpu_rdmsr(msr) : 0;
		else if (msrs[i].native && !(msr == MSR_X2APIC_ICR && is_cpu_reset(*value)))
			cpu_wrmsr(msr, *value);
		return true;
	}
	return false;
}

bool host_mmio(uint64_t gpa, unsigned len, bool write, uint64_t *value)
{
	volatile void *p = (volatile void *)gpa;

	if (gpa >= 1ull << CBIT || gpa % len || is_ram(gpa) || (gpa >= L0_BASE && gpa < L0_END))
		return false;
	if (write && gpa == LAPIC + 0x300 && is_cpu_reset(*value))
		return true;
	switch (len) {
	case 1:
		if (write)
			*(volatile uint8_t *)p = (uint8_t)*value;
		else
			*value = *(volatile uint8_t *)p;
		return true;
	case 2:
		if (write)
			*(volatile uint16_t *)p = (uint16_t)*value;
		else
			*value = *(volatile uint16_t *)p;
		return true;
	case 4:
		if (write)
			*(volatile uint32_t *)p = (uint32_t)*value;
		else
			*value = *(volatile uint32_t *)p;
		return true;
	default:
		if (write)
			*(volatile uint64_t *)p = *value;
		else
			*value = *(volatile uint64_t *)p;
		return true;
	}
}
