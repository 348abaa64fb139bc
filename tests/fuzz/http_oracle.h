/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what our request parser saw with what the http-parser library sees in the same bytes. */
#ifndef TESTS_FUZZ_HTTP_ORACLE_H
#define TESTS_FUZZ_HTTP_ORACLE_H

#include "base/base.h"

struct http_seen {
	unsigned minor;
	struct slice method, target, path, query, body;
};

/* data[0..used) is one request that we accepted. Aborts when the library disagrees. */
void http_oracle_check(const uint8_t *data, size_t used, const struct http_seen *r);

#endif
