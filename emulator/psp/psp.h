/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated secure processor, as L0 sees it: a program that reads requests on fd 0 and writes answers on
 * fd 1, for ever. It models what SEV-SNP firmware does for one guest (AMD publication 56860): launch, digest,
 * VMPCKs, guest messages, reports, derived keys. Its caller plays the host: what it hands over may be anything.
 *
 * A request is struct psp_req and `len` bytes behind it; the answer is struct psp_rsp and `len` bytes behind
 * that. A request that is cut short, or announces more than PSP_IN_MAX bytes, ends the program.
 */
#ifndef EMULATOR_PSP_PSP_H
#define EMULATOR_PSP_PSP_H

#include "base/base.h"
#include "snp/guestmsg.h"
#include "snp/launch.h"
#include "snp/report.h"

#define PSP_PAGE 4096u
#define PSP_PAGES_MAX 64u			/* launch pages in one request */
#define PSP_IN_MAX (PSP_PAGES_MAX * PSP_PAGE)	/* bytes behind a request's header */
#define PSP_OUT_MAX (4u * PSP_PAGE)		/* bytes behind an answer's header */

enum psp_op {
	/* The chip file (struct psp_chip and certificates). Once, first. */
	PSP_INIT = 1,
	/* arg[0]: guest policy. No data. SNP_LAUNCH_START. */
	PSP_LAUNCH_START = 2,
	/*
	 * SNP_LAUNCH_UPDATE for consecutive pages: arg[0] enum snp_page_type, arg[1] GPA of the first, arg[2] how many
	 * (1..PSP_PAGES_MAX). Data by type:
	 *   NORMAL      arg[2] pages: their contents
	 *   VMSA        one page; measured with SNP_VMSA_GPA whatever arg[1] is
	 *   ZERO, UNMEASURED  none: only address and type count
	 *   CPUID       one page: as the host proposes; PSP_INVALID_PARAM when its form is wrong
	 *   SECRETS     none, one page only; the answer's data is the page to be put there
	 * VMPL1..3 get no rights to launch pages.
	 */
	PSP_LAUNCH_UPDATE = 3,
	/* Data: struct psp_finish. SNP_LAUNCH_FINISH. Answer's data: the launch digest, 48 bytes. */
	PSP_LAUNCH_FINISH = 4,
	/*
	 * Data: the request page, 4096 bytes (a copy: the guest can change the original). Answer's data, only with
	 * status 0: the response page, 4096 bytes. SNP_GUEST_REQUEST. `status` is the firmware error for exit info 2.
	 */
	PSP_GUEST_REQUEST = 5,
	/* No data. Answer's data: the host's table of certificates, filled with zeros to whole pages. Any time after INIT. */
	PSP_CERTS = 6,
};

struct psp_req {
	uint32_t op;		/* enum psp_op */
	uint32_t len;		/* of the data behind */
	uint64_t arg[3];	/* unused ones zero */
};
ABI_SIZE(struct psp_req, 32);

struct psp_rsp {
	uint32_t status;	/* SNP_FW_..., PSP_... below */
	uint32_t len;		/* of the data behind; 0 when status is not 0 */
	uint64_t zero;
};
ABI_SIZE(struct psp_rsp, 16);

/* Firmware status codes beside those in snp/guestmsg.h (56860, status codes). */
#define PSP_INVALID_PLATFORM_STATE 0x01u	/* no chip yet, or one already */
#define PSP_INVALID_GUEST_STATE 0x02u		/* not in the order start, update.., finish, request.. */
#define PSP_INVALID_ADDRESS 0x09u
#define PSP_UNSUPPORTED 0x15u
#define PSP_INVALID_PARAM 0x16u

#define PSP_FINISH_ID_BLOCK (1u << 0)
#define PSP_FINISH_AUTHOR_KEY (1u << 1)		/* only with the ID block */

/* 56860, ID block authentication: numbers little-endian. */
struct psp_public_key {
	uint32_t curve;		/* 2: P-384 */
	uint8_t x[72], y[72];
	uint8_t zero[880];
};
struct psp_signature {
	uint8_t r[72], s[72];
	uint8_t zero[368];
};
struct psp_id_auth {
	uint32_t id_key_algo;		/* 1: ECDSA P-384 with SHA-384 */
	uint32_t author_key_algo;	/* likewise; 0 without */
	uint8_t zero0[56];
	struct psp_signature id_block_sig;	/* by the ID key, over the ID block */
	struct psp_public_key id_key;
	uint8_t zero1[60];
	struct psp_signature id_key_sig;	/* by the author key, over the ID key */
	struct psp_public_key author_key;
	uint8_t zero2[892];
};
ABI_SIZE(struct psp_public_key, 0x404);
ABI_SIZE(struct psp_signature, 512);
ABI_SIZE(struct psp_id_auth, 4096);
ABI_AT(struct psp_id_auth, id_block_sig, 0x40);
ABI_AT(struct psp_id_auth, id_key, 0x240);
ABI_AT(struct psp_id_auth, id_key_sig, 0x680);
ABI_AT(struct psp_id_auth, author_key, 0x880);

struct psp_finish {
	uint32_t flags;		/* PSP_FINISH_... */
	uint32_t zero;
	uint8_t host_data[32];
	struct snp_id_block id_block;	/* not looked at without its flag, nor is what follows */
	struct psp_id_auth id_auth;
};
ABI_SIZE(struct psp_finish, 40 + 96 + 4096);

/* The chip file: what makes one chip different from all others. Made by mkchip, kept like a private key. */
#define PSP_CHIP_MAGIC 0x5049484350535653ull	/* "SVSPCHIP" */
#define PSP_CHIP_VERSION 1u
struct psp_chip {
	uint64_t magic;
	uint32_t version;
	uint32_t certs_len;		/* of the table of certificates behind this struct, at most PSP_OUT_MAX */
	uint8_t chip_id[64];
	uint8_t secret[32];		/* derived keys come from it */
	uint8_t vcek[48];		/* private key, big-endian */
	uint8_t vcek_x[48], vcek_y[48];
	uint8_t tcb[SNP_TCB_LEN];	/* current, committed, reported and launch TCB */
	uint8_t cpuid_family, cpuid_model, cpuid_stepping;
	uint8_t fw_build, fw_minor, fw_major;
	uint8_t zero[2];
};
ABI_SIZE(struct psp_chip, 272);

#endif
