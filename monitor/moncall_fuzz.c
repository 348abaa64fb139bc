/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a guest's session with the monitor on the machine of tests/fake/plat.c. The input is a list of steps:
 *
 *   step := 0 protocol:u8 call:u8 rcx:u64 rdx:u64 r8:u64 r9:u64    a call (protocol: 0, 1, 2 = key management)
 *         | 1 page:u8 off:u16 len:u8 bytes[len]                    the guest writes
 *         | 2 op:u8 at:u8 code:u8                                  the hardware refuses a later call
 *         | 3 kinds:u8[4]                                          what the host does with guest requests
 *
 * A machine that stops (the host took a page away) ends the input. Invariants are checked at the end.
 */
#include "tests/fake/plat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 0x1001000ull	/* behind the tiny machine's kernel */

static bool step_call(struct mon *m, struct cursor *c)
{
	static const uint32_t protocols[] = { SVSM_PROTO_CORE, SVSM_PROTO_ATTEST, CALL_PROTOCOL, 0x55 };
	uint8_t protocol, call;
	struct mon_regs r;

	if (!cur_u8(c, &protocol) || !cur_u8(c, &call) || !cur_le64(c, &r.rcx) || !cur_le64(c, &r.rdx) ||
	    !cur_le64(c, &r.r8) || !cur_le64(c, &r.r9))
		return false;
	(void)fake_call(m, 0, protocols[protocol % 4], call, &r);
	return true;
}

static bool step_write(struct cursor *c)
{
	uint8_t page, len;
	uint16_t off;
	uint64_t at;
	struct slice s;

	if (!cur_u8(c, &page) || !cur_le16(c, &off) || !cur_u8(c, &len) || !cur_sub(c, len, &s))
		return false;
	at = (page & 0x80 ? FAKE_CA : PAGES + (uint64_t)(page % 16) * MON_PAGE) + off % (MON_PAGE - 255);
	if (len && fake_guest_may(at, RMP_W))
		fake_guest_write(at, s.p, s.len);
	return true;
}

static bool step(struct mon *m, struct cursor *c)
{
	uint8_t kind, v[4];
	unsigned i;

	if (!cur_u8(c, &kind))
		return false;
	if (kind % 4 == 0)
		return step_call(m, c);
	if (kind % 4 == 1)
		return step_write(c);
	if (!cur_copy(c, v, kind % 4 == 2 ? 3 : 4))
		return false;
	if (kind % 4 == 2) {
		fake.refuse = v[0] & 1 ? FAKE_PVALIDATE : FAKE_RMPADJUST;
		fake.refuse_at = v[1];
		fake.refuse_code = v[2] & 1 ? SNP_FAIL_PERMISSION : SNP_FAIL_SIZEMISMATCH;
		return true;
	}
	fake.host_at = 0;
	for (i = 0; i < 4; i++)
		fake.host[i] = (enum fake_host)(v[i] % HOST_KINDS);
	return true;
}

static void play(struct mon *m, struct cursor *c)
{
	if (setjmp(fake_stop))
		return;
	fake_stop_armed = true;
	while (step(m, c))
		;
	fake_check(m);
	fake_stop_armed = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cur_of(data, size);

	fake_tiny = true;
	play(fake_boot(), &c);
	return 0;
}
