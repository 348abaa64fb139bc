/* SPDX-License-Identifier: Apache-2.0 */
/* Private to monitor/platform/: one request's work, apart from how requests come in. */
#ifndef MONITOR_PLATFORM_WORK_H
#define MONITOR_PLATFORM_WORK_H

#include "crypto/snp.h"
#include "monitor/platform/platform.h"

struct platform {
	struct crypto_hash *hash;
	uint32_t hashing;	/* the op of the hash that is under way, or 0 */
};

/* False: libcrypto does not start. */
MUST_CHECK bool platform_start(struct platform *p);
/* Wipes req. Fills all of rsp. */
void platform_work(struct platform *p, struct platform_req *req, struct platform_rsp *rsp);

#endif
