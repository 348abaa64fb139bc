/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as the query string of /jmx. The answer must be JSON that cJSON can read. */
#include "proxy/jmx.h"

#include <cJSON.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct metrics *m;
	struct jmx_source s = {.process_name = "KMS", .session_id = ""};
	char *text = NULL;
	size_t len = 0;
	unsigned status;
	cJSON *json;
	FILE *f;

	if (!m && metrics_create(1, 0, &m) != RC_OK)
		return 0;
	s.metrics = m;
	f = open_memstream(&text, &len);
	if (!f)
		return 0;
	status = jmx_write(&s, slice_of(data, size), f);
	fclose(f);
	INVARIANT(status == 200 || status == 400 || status == 404);
	json = cJSON_ParseWithLength(text, len);
	INVARIANT(json != NULL);
	cJSON_Delete(json);
	free(text);
	return 0;
}
