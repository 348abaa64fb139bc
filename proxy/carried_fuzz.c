/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as what a store carries of the audit chain, and any last entry of the chain's file. Whatever is
 * to be written again is whole frames with rising numbers above the file's, the last one with a MAC.
 */
#include "proxy/chainlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t none[CHAIN_MAC_LEN];
	struct cursor in = cur_of(data, size);
	struct chain_tail at = { 0 }, end = { 0 };
	struct chain_frame f = { 0 };
	struct slice rest;
	uint64_t seq;

	if (!cur_le64(&in, &at.seq) || !cur_copy(&in, at.hash, sizeof(at.hash)) || !cur_le64(&in, &seq))
		return 0;
	rest = chainlog_rest(slice_of(in.at, in.left), seq, &at, &end);
	if (rest.len == 0)
		return 0;
	INVARIANT(rest.p >= in.at && rest.p + rest.len <= in.at + in.left);
	in = cur_of(rest.p, rest.len);
	for (seq = at.seq; in.left; seq = f.seq)
		INVARIANT(chain_frame_next(&in, &f) == RC_OK && f.seq > seq);
	INVARIANT(f.seq == end.seq && memcmp(f.mac, none, sizeof(none)) != 0 && memcmp(f.mac, end.mac, sizeof(none)) == 0);
	return 0;
}
