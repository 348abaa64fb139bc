/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: certificates and the leaf's extensions; what is read has printable, terminated names. */
#include "verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void printable(const char *s, size_t room)
{
	INVARIANT(strnlen(s, room) < room);
	for (; *s; s++)
		INVARIANT(*s >= 0x20 && *s <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crypto_cert *cert[4];
	struct verifier_leaf leaf;
	size_t count = 0, i;

	if (crypto_certs_read(slice_of(data, size), cert, ARRAY_LEN(cert), &count) != RC_OK)
		return 0;
	INVARIANT(count >= 1 && count <= ARRAY_LEN(cert));
	for (i = 0; i < count; i++) {
		printable(crypto_cert_info(cert[i])->subject, CRYPTO_NAME_MAX);
		printable(crypto_cert_info(cert[i])->issuer, CRYPTO_NAME_MAX);
		if (verifier_leaf_parse(cert[i], &leaf) == RC_OK) {
			printable(leaf.product, sizeof(leaf.product));
			printable(leaf.csp_id, sizeof(leaf.csp_id));
			INVARIANT(leaf.hwid_len == 0 || leaf.hwid_len == 8 || leaf.hwid_len == 64);
		}
		crypto_cert_free(cert[i]);
	}
	return 0;
}
