/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a hostile audit chain's file, read as `audit verify` and `audit show` read it. */
#include <stdlib.h>

#include "client/chain_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the reader says was there can be written, and is the same then. */
static void round_trip(const struct chain_frame *f)
{
	struct chain_entry e;
	uint8_t *b;
	struct sink s;

	if (chain_entry_get(f->entry, &e) != RC_OK)
		return;
	b = malloc(f->entry.len);
	s = sink_of(b, f->entry.len);
	chain_entry_put(&s, &e);
	INVARIANT(sink_ok(&s) && s.left == 0 && memcmp(b, f->entry.p, f->entry.len) == 0);
	INVARIANT(chain_op_name(&e) && chain_type_name(e.type) && chain_status_name(e.status));
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cur_of(data, size);
	struct chain_check c;
	struct chain_frame f;
	struct slice header;
	enum chain_bad b;
	uint64_t seen = 0;

	if (!cur_sub(&in, CHAIN_HEADER_LEN, &header))
		return 0;
	INVARIANT(chain_check_init(&c) == RC_OK);
	b = chain_check_header(&c, header);
	while (b == CHAIN_GOOD && chain_frame_next(&in, &f) == RC_OK) {
		round_trip(&f);
		b = chain_check_frame(&c, &f);
		seen++;
	}
	if (b == CHAIN_GOOD)
		b = chain_check_end(&c);
	INVARIANT(b == CHAIN_GOOD || b == CHAIN_LOSSES || c.why);
	INVARIANT(c.entries <= seen);
	chain_check_free(&c);
	return 0;
}
