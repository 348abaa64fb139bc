/* SPDX-License-Identifier: Apache-2.0 */
/* The address space of monitor/x86/ for a test: "guest-physical" memory is an array of the test's. */
#ifndef TESTS_FAKE_X86_LAYOUT_H
#define TESTS_FAKE_X86_LAYOUT_H

#include "../../../../../monitor/x86/layout.h"

#undef DIRECT_VA
#define DIRECT_VA ((uint64_t)fake_memory)

#endif
