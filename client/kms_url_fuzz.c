/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: what the address parser accepts is terminated, in range, and says why when it refuses. */
#include "client/kms_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct kms_url u;
	BUF b = { .max = 1 << 20 };
	unsigned i;

	kms_url_encode(&b, slice_of(data, size));
	INVARIANT(!buf_ok(&b) || (b.len >= size && b.len <= 3 * size));
	if (kms_url_parse(slice_of(data, size), &u, &why) != RC_OK) {
		INVARIANT(why != NULL);
		return 0;
	}
	INVARIANT(u.hosts >= 1 && u.hosts <= KMS_HOSTS_MAX && u.port != 0);
	for (i = 0; i < u.hosts; i++)
		INVARIANT(strnlen(u.host[i], KMS_HOST_MAX + 1) <= KMS_HOST_MAX && u.host[i][0]);
	INVARIANT(strnlen(u.path, KMS_PATH_MAX + 1) <= KMS_PATH_MAX);
	return 0;
}
