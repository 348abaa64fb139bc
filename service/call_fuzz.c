/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a row of calls on one core, (call:u8 len:u16 bytes[len])*. The top bit of `call` offers one
 * page for the answer instead of a large slot; call 0x7f moves time; 0x7e breaks or mends the entropy.
 * The first byte says how far the core is when it begins: nothing, configured, with an empty store.
 */
#include <stdlib.h>

#include "tests/fake/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cur_of(data, size);
	struct slice body;
	uint8_t start, call;
	uint16_t len;
	struct core c;

	if (!cur_u8(&in, &start))
		return 0;
	fake_entropy_state = 1;
	fake_entropy_broken = false;
	core_start(&c, 0x11);
	if (start % 3 >= 1)
		INVARIANT(core_config_list(&c, core_open_acls) == E_OK);
	if (start % 3 == 2)
		INVARIANT(core_store_create(&c) == E_OK);
	while (cur_u8(&in, &call) && cur_le16(&in, &len)) {
		if (!cur_sub(&in, len < in.left ? len : in.left, &body))
			break;
		if (call == 0x7f) {
			fake_mono += len;
		} else if (call == 0x7e) {
			fake_entropy_broken = len & 1;
		} else {
			c.room = call & 0x80 ? CALL_PAGE : CALL_LARGE_LEN;
			INVARIANT(core_bytes(&c, call & 0x7f, body.p, body.len) < E_COUNT_);
		}
	}
	core_stop(&c);
	return 0;
}
