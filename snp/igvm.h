/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Independent Guest Virtual Machine file format, version 1, as far as an SEV-SNP launch needs it:
 * a fixed header, variable headers (each padded to 8 bytes), then page data.
 */
#ifndef SNP_IGVM_H
#define SNP_IGVM_H

#include "base/rc.h"

#define IGVM_MAGIC 0x4d564749u
#define IGVM_FORMAT_VERSION 1u

struct igvm_fixed_header {
	uint32_t magic;
	uint32_t format_version;
	uint32_t variable_header_offset;
	uint32_t variable_header_size;
	uint32_t total_file_size;
	uint32_t checksum;	/* CRC-32 of fixed and variable headers, with this field as zero */
};
ABI_SIZE(struct igvm_fixed_header, 24);

struct igvm_variable_header {
	uint32_t type;
	uint32_t len;		/* of what follows, padding not counted */
};

enum igvm_type {
	IGVM_SUPPORTED_PLATFORM = 0x1,
	IGVM_GUEST_POLICY = 0x101,
	IGVM_PARAMETER_AREA = 0x301,
	IGVM_PAGE_DATA = 0x302,
	IGVM_PARAMETER_INSERT = 0x303,
	IGVM_VP_CONTEXT = 0x304,
	IGVM_REQUIRED_MEMORY = 0x305,
	IGVM_VP_COUNT = 0x307,
	IGVM_SNP_ID_BLOCK = 0x30b,
	IGVM_MEMORY_MAP = 0x30c,
	IGVM_COMMAND_LINE = 0x30e,
};

#define IGVM_PLATFORM_SEV_SNP 2u
struct igvm_supported_platform {
	uint32_t compatibility_mask;
	uint8_t highest_vtl;
	uint8_t platform_type;
	uint16_t platform_version;	/* 1 */
	uint64_t shared_gpa_boundary;
};
ABI_SIZE(struct igvm_supported_platform, 16);

struct igvm_guest_policy {
	uint64_t policy;
	uint32_t compatibility_mask;
	uint32_t zero;
};
ABI_SIZE(struct igvm_guest_policy, 16);

struct igvm_parameter_area {
	uint64_t bytes;
	uint32_t index;
	uint32_t file_offset;	/* 0: starts as zeros */
};
ABI_SIZE(struct igvm_parameter_area, 16);

#define IGVM_DATA_NORMAL 0u
#define IGVM_DATA_SECRETS 1u
#define IGVM_DATA_CPUID 2u
#define IGVM_PAGE_2MB (1u << 0)
#define IGVM_PAGE_UNMEASURED (1u << 1)
#define IGVM_PAGE_SHARED (1u << 2)
struct igvm_page_data {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t file_offset;	/* 0: a page of zeros, loaded and measured as a NORMAL page like any other */
	uint32_t flags;
	uint16_t data_type;
	uint16_t zero;
};
ABI_SIZE(struct igvm_page_data, 24);

struct igvm_parameter_insert {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t index;
};
ABI_SIZE(struct igvm_parameter_insert, 16);

struct igvm_parameter {		/* VP_COUNT: u32; MEMORY_MAP: entries */
	uint32_t index;
	uint32_t byte_offset;
};
ABI_SIZE(struct igvm_parameter, 8);

struct igvm_vp_context {	/* SNP: file data is the VMSA, 4096 bytes */
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t file_offset;
	uint16_t vp_index;
	uint16_t zero;
	uint32_t pad;
};
ABI_SIZE(struct igvm_vp_context, 24);

struct igvm_required_memory {
	uint64_t gpa;
	uint32_t compatibility_mask;
	uint32_t bytes;
	uint32_t flags;
	uint32_t zero;
};
ABI_SIZE(struct igvm_required_memory, 24);

#define IGVM_MEM_RAM 0u
#define IGVM_MEM_RESERVED 1u
struct igvm_memory_map_entry {
	uint64_t first_page;	/* page number */
	uint64_t pages;		/* 0: end of the list */
	uint16_t type;
	uint16_t flags;
	uint32_t zero;
};
ABI_SIZE(struct igvm_memory_map_entry, 24);

#endif
