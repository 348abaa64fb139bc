/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a store's file: the checker may refuse it, and must not read outside it or hang. */
#include "proxy/store_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_meta m[2];
	struct store_check_report rep;
	struct store_check_stat st;

	if (store_check_metas(slice_of(data, size), m, &rep) != STORE_FINE) {
		INVARIANT(rep.what);
		return 0;
	}
	if (store_check_tree(slice_of(data, size), &m[0], &st, &rep) == STORE_FINE)
		INVARIANT(st.used_pages <= size / m[0].page_bytes);
	(void)store_check_older(slice_of(data, size), &m[1], &rep);
	return 0;
}
