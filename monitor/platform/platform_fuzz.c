/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a request leaves no trace, and no answer without success has data. */
#include <stdlib.h>

#include "monitor/platform/work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool all_zero(const void *m, size_t len)
{
	const uint8_t *b = m;
	size_t i;

	for (i = 0; i < len && !b[i]; i++)
		;
	return i == len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct platform_req req;
	static struct platform_rsp rsp;
	static struct platform p;

	if (!p.hash && !platform_start(&p))
		abort();
	memset(&req, 0, sizeof(req));
	if (size)
		memcpy(&req, data, size < sizeof(req) ? size : sizeof(req));
	platform_work(&p, &req, &rsp);
	INVARIANT(all_zero(&req, sizeof(req)));
	INVARIANT(rsp.status <= PLATFORM_FAILED && all_zero(rsp.zero, sizeof(rsp.zero)));
	INVARIANT(rsp.status == PLATFORM_OK || all_zero(rsp.data, sizeof(rsp.data)));
	return 0;
}
