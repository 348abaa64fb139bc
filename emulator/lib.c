/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L0's own floor: memory functions the compiler asks for, pages, the serial console, and the ways to stop.
 */
#include <stdarg.h>

#include "emulator/l0.h"

#define COM1 0x3f8u

void *memset(void *to, int c, size_t n)
{
	uint64_t pattern = (uint8_t)c * 0x0101010101010101ull;
	size_t words = n / 8, bytes = n % 8;
	void *at = to;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(pattern) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	size_t words = n / 8, bytes = n % 8;
	void *at = to;

	__asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	size_t i;

	for (i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

extern uint8_t l0_pool[], l0_pool_end[];
static uint64_t pool_used;
static void *free_pages;	/* a list through their first words */

void *page_alloc(uint64_t count)
{
	void *p = free_pages;

	if (count == 1 && p) {
		free_pages = *(void **)p;
	} else {
		p = l0_pool + pool_used;
		if (count > (uint64_t)(l0_pool_end - l0_pool) / PAGE_LEN ||
		    pool_used + count * PAGE_LEN > (uint64_t)(l0_pool_end - l0_pool))
			l0_stop(STOP_BUG, "out of memory");
		pool_used += count * PAGE_LEN;
	}
	return memset(p, 0, count * PAGE_LEN);
}

void page_free(void *page)
{
	*(void **)page = free_pages;
	free_pages = page;
}

static void put(char c)
{
	while (!(cpu_in8(COM1 + 5) & 0x20))
		;
	cpu_out8(COM1, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n < width && n < sizeof(digits))
		digits[n++] = pad;
	while (n)
		put(digits[--n]);
}

/* %s %.*s %c %u %x %lu %lx %d, with 0 and a width before a number: what L0 uses, and no more. */
static void print(const char *f, va_list ap)
{
	for (; *f; f++) {
		unsigned width = 0, precision = UINT32_MAX;
		bool wide = false;
		const char *s;
		char pad = ' ';
		int d;

		if (*f == '\n')
			put('\r');
		if (*f != '%') {
			put(*f);
			continue;
		}
		f++;
		if (*f == '.' && f[1] == '*') {
			precision = va_arg(ap, unsigned);
			f += 2;
		}
		if (*f == '0')
			pad = *f++;
		while (*f >= '0' && *f <= '9')
			width = width * 10 + (unsigned)(*f++ - '0');
		while (*f == 'l') {
			wide = true;
			f++;
		}
		switch (*f) {
		case 's':
			for (s = va_arg(ap, const char *); precision && *s; s++, precision--)
				put(*s);
			break;
		case 'c':
			put((char)va_arg(ap, int));
			break;
		case 'd':
			d = va_arg(ap, int);
			if (d < 0)
				put('-');
			put_number(d < 0 ? -(uint64_t)d : (uint64_t)d, 10, width, pad);
			break;
		case 'u':
		case 'x':
			put_number(wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), *f == 'u' ? 10 : 16, width, pad);
			break;
		default:
			put(*f);
		}
	}
}

void l0_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
}

void l0_stop(enum stop_code code, const char *fmt, ...)
{
	va_list ap;

	l0_print("\nL0: stop: ");
	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
	l0_print("\n");
	if (opt.verbose)
		stats_print();
	cpu_out32(DEBUG_EXIT_PORT, code);
	for (;;)
		__asm__ volatile("hlt");
}

void invariant_failed(const char *what, const char *file, int line)
{
	l0_stop(STOP_BUG, "invariant %s %s:%d", what, file, line);
}

/* frame: vector, error code, RIP, CS, RFLAGS, RSP, SS */
__attribute__((noreturn)) void l0_exception(const uint64_t *frame);

void l0_exception(const uint64_t *frame)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	l0_stop(STOP_BUG, "exception %lu code=%lx rip=%lx rsp=%lx cr2=%lx", frame[0], frame[1], frame[2], frame[5], cr2);
}

static uint64_t exit_counts[EXIT_COUNT], counts[STAT_COUNT], ticks[VMPLS], host_ticks;

void stat_exit(uint64_t code)
{
	if (code < EXIT_COUNT)
		exit_counts[code]++;
}

void stat_add(enum stat s)
{
	counts[s]++;
}

void stat_ticks(unsigned vmpl, uint64_t guest, uint64_t host)
{
	ticks[vmpl] += guest;
	host_ticks += host;
}

void stats_print(void)
{
	static const char *const names[STAT_COUNT] = {
		"vc", "pvalidate", "rmpadjust", "psc", "run-vmpl", "ghcb", "kick", "fill", "cr3-fix",
	};
	unsigned i;

	l0_print("L0: counters:");
	for (i = 0; i < STAT_COUNT; i++)
		l0_print(" %s=%lu", names[i], counts[i]);
	for (i = 0; i < EXIT_COUNT; i++)
		if (exit_counts[i])
			l0_print(" exit-%x=%lu", i, exit_counts[i]);
	for (i = 0; i < VMPLS; i++)
		if (ticks[i])
			l0_print(" ticks-vmpl%u=%lu", i, ticks[i]);
	l0_print(" ticks-l0=%lu", host_ticks);
	l0_print("\n");
}
