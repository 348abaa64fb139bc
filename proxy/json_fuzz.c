/* SPDX-License-Identifier: Apache-2.0 */
/* What the short way accepts, the long way must accept, with the same members. */
#include <stdlib.h>

#include "proxy/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);	/* exactly as long: reading over the end is seen */
	struct json_flat flat;
	enum json_fault fault;
	const cJSON *m;
	cJSON *j;
	size_t i;

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	j = json_parse(slice_of(copy, size), &fault);
	INVARIANT((j == NULL) == (fault != JSON_FINE));
	if (json_flat(slice_of(copy, size), &flat)) {
		INVARIANT(cJSON_IsObject(j) && cJSON_GetArraySize(j) == (int)flat.count);
		for (i = 0, m = j->child; i < flat.count; i++, m = m->next)
			INVARIANT(slice_is(flat.member[i].name, m->string) && cJSON_IsString(m) &&
				  slice_is(flat.member[i].value, m->valuestring));
	}
	cJSON_Delete(j);
	free(copy);
	return 0;
}
