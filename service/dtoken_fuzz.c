/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the form of delegation tokens. The first byte chooses: a token, an identifier, a number. What is accepted is
 * what the writer would write, byte for byte; a token that is none identifies nobody.
 */
#include "service/dtoken.h"
#include "tests/fake/core.h"

static uint8_t out[70000];

static void number(struct slice in)
{
	struct cursor c = cur_of(in.p, in.len);
	struct sink s = sink_of(out, sizeof(out));
	size_t before = c.left;
	int64_t v;

	if (!wire_vlong_get(&c, &v)) {
		INVARIANT(c.left == before);
		return;
	}
	wire_vlong_put(&s, v);
	INVARIANT(sink_ok(&s) && s.need == before - c.left && memcmp(out, in.p, s.need) == 0);
}

static void identifier(struct slice in)
{
	struct sink s = sink_of(out, sizeof(out));
	struct wire_dtoken_id id = { 0 };

	if (wire_dtoken_id_get(in, &id))
		return;
	wire_dtoken_id_put(&s, &id);
	INVARIANT(sink_ok(&s) && slice_eq(slice_of(out, s.need), in));
}

static void token(struct slice in)
{
	struct sink s = sink_of(out, sizeof(out));
	struct wire_dtoken t = { 0 };
	static struct core c;
	const char *why = wire_dtoken_get(in, &t);

	if (!why) {
		wire_dtoken_put(&s, t.identifier, t.password);
		/* All but the service, and its length. */
		INVARIANT(sink_ok(&s) && s.need - 1 <= in.len - t.service.len && memcmp(out, in.p, s.need - 1) == 0);
	}
	if (in.len > WIRE_TOKEN_MAX)
		return;
	if (!c.svc)
		core_ready(&c);
	core_as_token(&c, in);
	INVARIANT(core_name(&c, CALL_AUTH, "") == E_TOKEN && c.ans.user.len == 0 && c.ans.arg.len > 0);
	core_as(&c, "bob");
	INVARIANT(core_dt_renew(&c, in, &(uint64_t){ 0 }) == E_TOKEN_DENIED);
	INVARIANT(core_dt_cancel(&c, in) == E_TOKEN || c.err == E_TOKEN_DENIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data + 1, size ? size - 1 : 0);

	if (size == 0 || size > 66000)
		return 0;
	switch (data[0] % 3) {
	case 0:
		token(in);
		break;
	case 1:
		identifier(in);
		break;
	default:
		number(in);
	}
	return 0;
}
