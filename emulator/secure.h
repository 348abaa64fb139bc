/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor, as the host drives it: launch commands, guest requests, certificates. It is the program
 * of emulator/psp/, with a chip file that makes it one chip. Lock held for all of these.
 */
#ifndef EMULATOR_SECURE_H
#define EMULATOR_SECURE_H

#include "emulator/l0.h"
#include "snp/launch.h"

/* Starts the program and gives it its chip. Stops L0 when one of them is no good. */
void secure_start(struct module chip, struct module program);

/* The launch; each result is a firmware status (snp/guestmsg.h, emulator/psp/psp.h), 0: done. */
uint32_t secure_launch_start(uint64_t policy);
/* `pages` consecutive pages at gpa, with their contents where the type has some; SECRETS: `contents` is written. */
uint32_t secure_launch_page(enum snp_page_type type, uint64_t gpa, uint64_t pages, uint8_t *contents);
uint32_t secure_launch_finish(uint8_t digest[SNP_DIGEST_LEN]);

/* One guest message: both 4096 bytes; the response is written only with status 0. */
uint32_t secure_request(const uint8_t *request, uint8_t *response);
/* The certificate table, whole pages; *len gets its length. The bytes stay valid. */
const uint8_t *secure_certs(uint64_t *len);

#endif
