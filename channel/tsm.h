/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation reports of this machine, through Linux's configfs-tsm: a directory is made for each report, the
 * kernel fills it with files, inblob is written, the others are read. Under an SVSM the kernel asks VMPL0
 * (service_provider "svsm"), so the report is of VMPL0 and comes with the services' manifest.
 *
 * Who may not make a directory uses TSM_GIVEN, which root made and whose files root gave to this user.
 *
 * Untrusted: it carries bytes whose worth only a verifier can tell. Always holds: what it made, it removes;
 * the three blobs are answers to the same question, and to ours.
 */
#ifndef CHANNEL_TSM_H
#define CHANNEL_TSM_H

#include <sys/types.h>

#include "base/base.h"

#define TSM_DIR "/sys/kernel/config/tsm/report"
#define TSM_GIVEN "svsm-kms"
#define TSM_INBLOB 64
#define TSM_REPORT_MAX 4096
#define TSM_MANIFEST_MAX 32768
#define TSM_CERTS_MAX 65536

/*
 * The file system, as far as this needs it. Each returns a negative errno when it fails; read returns the
 * length, -EFBIG when there is more than room. Tests put a model of the kernel's rules in its place.
 */
struct tsm_ops {
	int (*make)(void *ctx, const char *dir);
	int (*remove)(void *ctx, const char *dir);
	int (*write)(void *ctx, const char *file, struct slice value);
	ssize_t (*read)(void *ctx, const char *file, uint8_t *buf, size_t room);
};
extern const struct tsm_ops tsm_linux;

struct tsm {
	const char *dir;		/* TSM_DIR, or another in tests */
	const struct tsm_ops *ops;
	void *ctx;
};

struct tsm_answer {
	size_t report_len, manifest_len, certs_len;	/* certs may be 0: the host gave none */
	uint8_t report[TSM_REPORT_MAX], manifest[TSM_MANIFEST_MAX], certs[TSM_CERTS_MAX];
};

/*
 * Asks for a report; takes as long as the hardware does, which may be a minute when the host throttles.
 * RC_MACHINE: this machine has no TSM, none under an SVSM, or it failed; RC_DENIED: not allowed; RC_BUSY: try
 * again later. `why` then says it for a person. Callable from any thread.
 */
enum rc tsm_ask(const struct tsm *t, const uint8_t in[TSM_INBLOB], struct tsm_answer *out, char *why, size_t room);

/* The 64 bytes to ask with for a nonce of 1..64 bytes (wire/attest.h). RC_BAD_INPUT: another length. */
enum rc tsm_inblob(struct slice nonce, uint8_t out[TSM_INBLOB]);

#endif
