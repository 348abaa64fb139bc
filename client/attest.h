/* SPDX-License-Identifier: Apache-2.0 */
/* Private to `svsm-kms attest`: verb_attest.c parses and fetches, attest_print.c shows a verdict. */
#ifndef CLIENT_ATTEST_H
#define CLIENT_ATTEST_H

#include "client/cli.h"
#include "verifier/verifier.h"

/* Every field, every check, the verdict: as one document. The caller deletes it. */
cJSON *attest_document(const struct verifier_verdict *v);
/* The same for people; with -q only the verdict's line. */
void attest_print(const struct cli *c, const struct verifier_verdict *v);

#endif
