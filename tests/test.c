/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/test.h"

static struct CMUnitTest tests[512];
static size_t count;

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

void test_register(const char *name, void (*fn)(void **))
{
	if (count == ARRAY_LEN(tests))
		abort();
	tests[count++] = (struct CMUnitTest){ .name = name, .test_func = fn };
}

uint32_t test_random(uint32_t n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32) % n;
}

static size_t fence_pages(size_t len)
{
	return (len + 4095) / 4096 + (len == 0);
}

uint8_t *test_fence(const void *p, size_t len)
{
	size_t pages = fence_pages(len);
	uint8_t *m = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + pages * 4096, 4096, PROT_NONE) != 0)
		abort();
	if (len)
		memcpy(m + pages * 4096 - len, p, len);
	return m + pages * 4096 - len;
}

void test_fence_free(uint8_t *p, size_t len)
{
	size_t pages = fence_pages(len);

	munmap(p + len - pages * 4096, (pages + 1) * 4096);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t test_unhex(const char *hex, uint8_t *out, size_t max)
{
	size_t n = 0;

	while (*hex) {
		int hi, lo;

		if (*hex == ' ' || *hex == '\n') {
			hex++;
			continue;
		}
		hi = nibble(hex[0]);
		lo = nibble(hex[1]);
		if (hi < 0 || lo < 0 || n == max)
			abort();
		out[n++] = (uint8_t)(hi << 4 | lo);
		hex += 2;
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}
