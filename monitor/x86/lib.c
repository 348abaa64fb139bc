/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler and base/ expect of a C library. Wide plain loads and stores: on QEMU's software CPU they are
 * many times faster than string instructions, and zeroing memory is most of the monitor's start. memcpy()
 * loads each byte once: its source may be memory that somebody else changes (plat_read).
 */
#include <stdint.h>
#include <string.h>

#define STEP 64	/* bytes in one turn */

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	const volatile uint64_t *s = from;
	volatile uint64_t *d = to;
	size_t left = n % 8, words = n / 8;

	for (; words >= STEP / 8; words -= STEP / 8, s += STEP / 8, d += STEP / 8) {
		d[0] = s[0];
		d[1] = s[1];
		d[2] = s[2];
		d[3] = s[3];
		d[4] = s[4];
		d[5] = s[5];
		d[6] = s[6];
		d[7] = s[7];
	}
	while (words--)
		*d++ = *s++;
	for (size_t i = n - left; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (d <= s || d >= s + n) {
		for (size_t i = 0; i < n; i++)
			d[i] = s[i];
		return to;
	}
	while (n--)
		d[n] = s[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	uint64_t v = (uint8_t)c * 0x0101010101010101ull;
	volatile uint64_t *d = to;
	size_t left = n % 8, words = n / 8;

	for (; words >= STEP / 8; words -= STEP / 8, d += STEP / 8) {
		d[0] = v;
		d[1] = v;
		d[2] = v;
		d[3] = v;
		d[4] = v;
		d[5] = v;
		d[6] = v;
		d[7] = v;
	}
	while (words--)
		*d++ = v;
	for (size_t i = n - left; i < n; i++)
		((volatile uint8_t *)to)[i] = (uint8_t)c;
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
