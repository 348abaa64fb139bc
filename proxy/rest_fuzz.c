/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole request on its way into a slot: whatever the bytes, what the proxy writes for the service is a
 * message that the service's reader takes, or nothing; and nothing is read or written out of bounds.
 */
#include "tests/proxy/rest_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rest *t = rest_new(data, size);
	struct work *k = &t->work;

	if (t->slot && t->fits) {
		INVARIANT(t->need <= t->room);
		INVARIANT(rest_read_back(t) == RC_OK);
		/* What the proxy finds wrong is told only after the question who is calling. */
		INVARIANT(!k->refusal.status || k->call == CALL_AUTH || k->call == CALL_REENCRYPT_BATCH);
		INVARIANT(!k->refusal.status || (k->refusal.status >= 400 && k->refusal.status < 600));
		INVARIANT(!k->refusal.status || (k->refusal.exception &&
						 memchr(k->refusal.message, 0, sizeof(k->refusal.message))));
		INVARIANT(k->name_len <= sizeof(k->name) && k->body_name_len <= sizeof(k->body_name));
	}
	if (t->slot) {	/* and where it is first asked who that is */
		k->proof = PROOF_ASKED;
		rest_encode(t, 1 << 16);
		INVARIANT(t->fits && k->call == CALL_AUTH && rest_read_back(t) == RC_OK);
	}
	rest_free(t);
	return 0;
}
