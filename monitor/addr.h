/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where a number from outside becomes an address. Every bit above the table's end (the C-bit, those
 * beyond the physical width) makes it out of range. Whose page it is: monitor/page.h.
 */
#ifndef MONITOR_ADDR_H
#define MONITOR_ADDR_H

#include "monitor/limits.h"
#include "monitor/plat.h"

_Static_assert(MON_GPA_END <= 1ull << 36, "below any C-bit and any processor's physical width");
_Static_assert(MON_FRAMES <= UINT32_MAX, "a frame number has 32 bits");

static inline struct gpa addr_of_frame(uint32_t frame)
{
	return (struct gpa){ (uint64_t)frame * MON_PAGE };
}

static inline uint32_t addr_frame(struct gpa at)
{
	return (uint32_t)(at.v / MON_PAGE);
}

/* The frames that [at, at + len) touches. False: empty, wraps, or ends behind the table. */
MUST_CHECK static inline bool addr_span(uint64_t at, uint64_t len, uint32_t *frame, uint32_t *pages)
{
	uint64_t end;

	if (len == 0 || __builtin_add_overflow(at, len, &end) || end > MON_GPA_END)
		return false;
	*frame = (uint32_t)(at / MON_PAGE);
	*pages = (uint32_t)((end - 1) / MON_PAGE - at / MON_PAGE + 1);
	return true;
}

static inline bool addr_aligned(uint64_t at, uint64_t to)
{
	return at % to == 0;
}

#endif
