/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests: TEST(name_that_is_a_sentence) { ... EXPECT(x); }. A test registers itself; main() is
 * in test.c and runs all of the program's tests through cmocka. Pass a name's part to run some.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

void test_register(const char *name, void (*fn)(void **));

#define TEST(name) \
	static void test_##name(void **state_); \
	__attribute__((constructor)) static void reg_##name(void) \
	{ \
		test_register(#name, test_##name); \
	} \
	static void test_##name(__attribute__((unused)) void **state_)

#define EXPECT(x) assert_true(x)
#define EXPECT_INT(a, b) assert_int_equal(a, b)
#define EXPECT_STR(a, b) assert_string_equal(a, b)
#define EXPECT_MEM(a, b, n) assert_memory_equal(a, b, n)

/*
 * A private copy of p[0..len) that ends at an unmapped page: reading one byte too many crashes.
 * Free with test_fence_free(). Never returns NULL.
 */
uint8_t *test_fence(const void *p, size_t len);
void test_fence_free(uint8_t *p, size_t len);

/* The next of a sequence that is the same in each run: below n. For one thread. */
uint32_t test_random(uint32_t n);

/* Hex digits to bytes (spaces ignored); returns the number of bytes. */
size_t test_unhex(const char *hex, uint8_t *out, size_t max);

#endif
