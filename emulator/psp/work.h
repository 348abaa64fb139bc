/* SPDX-License-Identifier: Apache-2.0 */
/* Private to emulator/psp/: the secure processor's state, and one request's work. */
#ifndef EMULATOR_PSP_WORK_H
#define EMULATOR_PSP_WORK_H

#include "crypto/crypto.h"
#include "crypto/snp.h"
#include "emulator/psp/psp.h"

#define PSP_VMPCKS 4

enum psp_guest_state {
	GUEST_NONE = 0,
	GUEST_LAUNCHING,
	GUEST_RUNNING,
};

struct psp_guest {
	enum psp_guest_state state;
	uint64_t policy;
	uint8_t digest[SNP_DIGEST_LEN];
	struct secret vmpck[PSP_VMPCKS];
	uint64_t seqno[PSP_VMPCKS];	/* of the last message answered with that key */
	struct secret vmrk;
	uint8_t report_id[32];
	uint8_t host_data[32];
	bool has_id, has_author;
	struct snp_id_block id;		/* zeros without */
	uint8_t id_key_digest[SNP_DIGEST_LEN], author_key_digest[SNP_DIGEST_LEN];
};

struct psp {
	bool has_chip;
	struct psp_chip chip;
	uint8_t certs[PSP_OUT_MAX];
	struct psp_guest guest;
	struct crypto *crypto;
};

/* What a request gives back. */
struct psp_answer {
	size_t len;
	uint8_t data[PSP_OUT_MAX];
};

/* False: libcrypto does not start. */
MUST_CHECK bool psp_start(struct psp *p);
/* data: req->len bytes. Returns the status; an answer without success has no data. */
MUST_CHECK uint32_t psp_work(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out);

/* launch.c */
uint32_t psp_launch_start(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out);
uint32_t psp_launch_update(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out);
uint32_t psp_launch_finish(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out);

/* message.c */
uint32_t psp_guest_request(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out);

/* key.c: MSG_KEY_REQ by VMPL `vmpl`. rsp->status says how it went. */
enum rc psp_derive_key(struct psp *p, uint32_t vmpl, const struct snp_key_req *req, struct snp_key_rsp *rsp);
/* report.c: MSG_REPORT_REQ likewise. */
enum rc psp_report(struct psp *p, uint32_t vmpl, const struct snp_report_req *req, struct snp_report_rsp *rsp);

#endif
