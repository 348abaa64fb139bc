/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the property list, one "name=value" a line; then some questions to what came of it. */
#include <stdlib.h>

#include "tests/fake/core.h"

static struct core c;

static void ask(const char *user, const char *key)
{
	struct wire_acl_req m = { .key = slice_str(key) };
	struct slice rule;
	uint8_t ok;

	core_as(&c, user);
	core_groups(&c, "ga", "gb");
	for (m.op = OP_NONE + 1; m.op < OP_COUNT; m.op++) {
		m.cred = core_cred(&c);
		wire_acl_req_put(core_req(&c), &m);
		INVARIANT(core_send(&c, CALL_ACL_CHECK) == E_OK);
		INVARIANT(cur_u8(&c.ans.body, &ok) && ok <= 1 && cur_str16(&c.ans.body, 2048, &rule) && rule.len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cur_of(data, size);
	struct sink *s;
	uint32_t count = 0;

	if (!c.svc)
		core_start(&c, 1);
	if (size > 100000)
		return 0;
	s = core_req(&c);
	wire_config_req_put(s, 0);
	while (in.left) {
		const uint8_t *nl = memchr(in.at, '\n', in.left), *eq;
		size_t n = nl ? (size_t)(nl - in.at) : in.left;

		eq = memchr(in.at, '=', n);
		wire_property_put(s, slice_of(in.at, eq ? (size_t)(eq - in.at) : n),
				  eq ? slice_of(eq + 1, (size_t)(in.at + n - eq) - 1) : slice_of("", 0));
		count++;
		n += nl != NULL;
		in.at += n;
		in.left -= n;
	}
	if (!sink_ok(s))
		return 0;
	memcpy(c.req, &count, sizeof(count));
	if (core_send(&c, CALL_CONFIG) != E_OK) {
		INVARIANT(c.err == E_CONFIG || c.err == E_BAD_MESSAGE);
		if (c.err == E_CONFIG)
			INVARIANT(c.ans.arg.len > 2);
		INVARIANT(core_config(&c, NULL) == E_OK);
		return 0;
	}
	ask("ann", "k");
	ask("bob", "other");
	/* A name is enough, unless the configuration asks for more. */
	INVARIANT(core_name(&c, CALL_AUTH, "") == E_OK || c.ans.head.num[0] == SCHEME_NEGOTIATE);
	c.has_do_as = true;
	c.do_as = slice_str("ann");
	c.peer = slice_of("\x0a\0\0\1", 4);
	INVARIANT(core_name(&c, CALL_AUTH, "") == E_OK || c.err == E_DO_AS_DENIED || c.err == E_UNAUTHENTICATED);
	c.has_do_as = false;
	return 0;
}
