/* SPDX-License-Identifier: Apache-2.0 */
/* The description of all endpoints, as it stands in docs/: the assembler puts the file's bytes into the program. */
#include "proxy/kms.h"

__asm__(".pushsection .rodata\n"
	".global openapi_begin, openapi_end\n"
	"openapi_begin:\n"
	".incbin \"" SVSM_OPENAPI "\"\n"
	"openapi_end:\n"
	".byte 0\n"
	".popsection\n");

extern const uint8_t openapi_begin[], openapi_end[];

struct slice openapi_document(void)
{
	return slice_of(openapi_begin, (size_t)(openapi_end - openapi_begin));
}
