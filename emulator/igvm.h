/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an IGVM file, hostile input: header by header, with the data of pages. Pure C, copies nothing.
 */
#ifndef EMULATOR_IGVM_H
#define EMULATOR_IGVM_H

#include "base/base.h"
#include "snp/igvm.h"

struct igvm {
	struct slice file;		/* stays the caller's */
	struct cursor headers;		/* what is left to read */
	uint32_t data_start;		/* first byte behind the headers */
};

/* One variable header; type 0: there is no more. */
struct igvm_item {
	uint32_t type;
	union {
		struct igvm_supported_platform platform;
		struct igvm_guest_policy policy;
		struct igvm_parameter_area area;
		struct igvm_page_data page;
		struct igvm_parameter_insert insert;
		struct igvm_vp_context context;
		struct igvm_required_memory required;
		struct igvm_parameter parameter;
	};
};

/* RC_BAD_INPUT: not such a file (magic, version, lengths, checksum). */
enum rc igvm_open(struct slice file, struct igvm *out);
/* RC_BAD_INPUT: malformed, or a header that this reader does not know. */
enum rc igvm_next(struct igvm *f, struct igvm_item *out);
/* A page's 4096 bytes at this file offset (not 0). RC_BAD_INPUT: outside the data. */
enum rc igvm_data(const struct igvm *f, uint32_t offset, struct slice *out);

#endif
