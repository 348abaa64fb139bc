/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: name rules and the expressions in them. mode:u8 principal '\n' rules: the rules are parsed and asked for the
 * principal; a short name has nothing in it that no user may have.
 */
#include "service/names.h"
#include "service/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line;
	struct name_rules *n = NULL;
	struct regex *re = NULL;
	char out[1024];
	const char *why;
	size_t len, i;
	bool mit;

	if (size < 2 || size > 2048)
		return 0;
	mit = *data++ & 1;
	size--;
	line = memchr(data, '\n', size);
	if (!line)
		return 0;
	len = (size_t)(line - data);
	if (regex_compile(slice_of(line + 1, size - len - 1), &re, &why) == RC_OK) {
		if (regex_replacement_valid(re, slice_of(data, len)))
			(void)!regex_replace(re, slice_of(data, len), slice_of(data, len), true, out, sizeof(out), &i);
		regex_free(re);
	}
	if (names_parse(slice_of(line + 1, size - len - 1), mit, slice_str("EXAMPLE.COM"), &n, &why) != RC_OK) {
		INVARIANT(why && !n);
		return 0;
	}
	if (names_map(n, slice_of(data, len), out, sizeof(out), &i) == RC_OK) {
		INVARIANT(i > 0 && i <= sizeof(out));
		while (i--) {
			INVARIANT((uint8_t)out[i] >= ' ' && out[i] != 0x7f);
			INVARIANT(mit || (out[i] != '/' && out[i] != '@'));
		}
	}
	names_free(n);
	return 0;
}
