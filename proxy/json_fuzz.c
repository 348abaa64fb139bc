/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted is printed and read again; what is refused has a fault with a text; what the short way
 * accepts, the long way accepts too, with the same members.
 */
#include <stdlib.h>

#include "proxy/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_members(const struct json_flat *flat, const cJSON *j)
{
	const cJSON *m;
	size_t i;

	INVARIANT(cJSON_IsObject(j) && cJSON_GetArraySize(j) == (int)flat->count);
	for (i = 0, m = j->child; i < flat->count; i++, m = m->next)
		INVARIANT(slice_is(flat->member[i].name, m->string) && cJSON_IsString(m) &&
			  slice_is(flat->member[i].value, m->valuestring));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct json_flat flat;
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
	if (json_flat(slice_of(copy, size), &flat))
		same_members(&flat, j);
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
