/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: commands of the host and messages of the guest. The input is a list of (kind, length, bytes); kind 0 is a
 * raw guest request, 1 one whose tag fits, others are commands. What is in an answer is only what the rules allow.
 */
#include <stdlib.h>

#include "emulator/psp/work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct psp psp;
static struct psp_answer answer;
static uint8_t in[PSP_IN_MAX];

static void power_on(void)
{
	struct crypto *crypto = psp.crypto;

	/* A chip without a key that signs: reports fail in libcrypto, after all that is parsed. */
	if (!crypto && !psp_start(&psp))
		abort();
	crypto = psp.crypto;
	psp = (struct psp){ .has_chip = true, .crypto = crypto };
	psp.chip.fw_major = 1;
	memset(psp.chip.tcb, 3, sizeof(psp.chip.tcb));
}

/* Gives the message in `in` the tag it needs to be opened. */
static void fit_tag(void)
{
	struct snp_msg_hdr h;
	uint8_t iv[CRYPTO_GCM_IV_LEN] = { 0 };

	memcpy(&h, in, sizeof(h));
	if (h.payload_len > SNP_MSG_MAX_PAYLOAD)
		return;
	memcpy(iv, &h.seqno, sizeof(h.seqno));
	if (crypto_gcm_seal(&psp.guest.vmpck[h.vmpck % PSP_VMPCKS], iv, slice_of(&h.algo, SNP_MSG_AAD_LEN), in + sizeof(h),
			    h.payload_len, h.tag) != RC_OK)
		abort();
	memcpy(in, &h, sizeof(h));
}

static void step(uint8_t kind, struct slice s)
{
	struct psp_req req = { .op = kind < 2 ? PSP_GUEST_REQUEST : kind, .len = (uint32_t)s.len };
	struct cursor c = cur_of(s.p, s.len);
	uint64_t before[PSP_VMPCKS], moved = 0;
	uint32_t status;
	size_t i;

	memset(in, 0, PSP_PAGE);
	if (kind >= 2 && (!cur_copy(&c, req.arg, sizeof(req.arg)) || c.left > sizeof(in)))
		return;
	req.len = kind < 2 ? PSP_PAGE : (uint32_t)c.left;
	if (c.left > (kind < 2 ? PSP_PAGE : sizeof(in)))
		return;
	memcpy(in, c.at, c.left);
	if (kind == 1)
		fit_tag();
	memcpy(before, psp.guest.seqno, sizeof(before));
	status = psp_work(&psp, &req, in, &answer);
	INVARIANT(answer.len <= sizeof(answer.data) && (status == SNP_FW_OK || answer.len == 0));
	for (i = 0; i < PSP_VMPCKS; i++)
		moved += psp.guest.seqno[i] - before[i];
	INVARIANT(req.op != PSP_GUEST_REQUEST || moved == (status == SNP_FW_OK ? 2 : 0));
	INVARIANT(req.op != PSP_GUEST_REQUEST || kind == 1 || status != SNP_FW_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cur_of(data, size);
	struct slice s;
	uint8_t kind;

	power_on();
	while (cur_u8(&c, &kind) && cur_str16(&c, UINT16_MAX, &s))
		step(kind, s);
	return 0;
}
