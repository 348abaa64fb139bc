/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor's driver; see secure.h. It only carries messages: what they mean is emulator/psp/'s.
 */
#include "emulator/program.h"
#include "emulator/psp/psp.h"
#include "emulator/secure.h"

static uint8_t answer[sizeof(struct psp_rsp) + PSP_OUT_MAX];
static uint8_t certs[PSP_OUT_MAX];
static uint64_t certs_len;

/* One request; *out gets the answer's data, which lives until the next one. */
static uint32_t ask(struct psp_req req, struct slice data, struct slice *out)
{
	struct cursor c;
	struct psp_rsp rsp;
	uint64_t len;

	req.len = (uint32_t)data.len;
	program_call(slice_of(&req, sizeof(req)), data, answer, sizeof(answer), &len);
	c = cur_of(answer, len);
	if (!cur_copy(&c, &rsp, sizeof(rsp)) || !cur_sub(&c, rsp.len, out) || !cur_end(&c))
		l0_stop(STOP_BUG, "secure processor: malformed answer to request %u", req.op);
	return rsp.status;
}

void secure_start(struct module chip, struct module program)
{
	struct slice out;
	uint32_t status;

	program_start(program);
	status = ask((struct psp_req){ .op = PSP_INIT }, slice_of(chip.at, chip.len), &out);
	if (status)
		l0_stop(STOP_IMAGE, "chip file refused, status %x", status);
	status = ask((struct psp_req){ .op = PSP_CERTS }, slice_of(&status, 0), &out);
	if (status || out.len > sizeof(certs) || out.len % PAGE_LEN)
		l0_stop(STOP_IMAGE, "certificates refused, status %x", status);
	memcpy(certs, out.p, out.len);
	certs_len = out.len;
}

uint32_t secure_launch_start(uint64_t policy)
{
	struct slice out;

	return ask((struct psp_req){ .op = PSP_LAUNCH_START, .arg = { policy } }, slice_of(&policy, 0), &out);
}

uint32_t secure_launch_page(enum snp_page_type type, uint64_t gpa, uint64_t pages, uint8_t *contents)
{
	bool has_data = type == SNP_PAGE_NORMAL || type == SNP_PAGE_VMSA || type == SNP_PAGE_CPUID;
	struct psp_req req = { .op = PSP_LAUNCH_UPDATE, .arg = { type, gpa, pages } };
	struct slice out;
	uint32_t status = ask(req, slice_of(contents, has_data ? pages * PAGE_LEN : 0), &out);

	if (!status && type == SNP_PAGE_SECRETS) {
		if (out.len != PAGE_LEN)
			l0_stop(STOP_BUG, "secure processor: secrets page of %lu bytes", out.len);
		memcpy(contents, out.p, PAGE_LEN);
	}
	return status;
}

/* Without an ID block, and with zeros for host data. */
uint32_t secure_launch_finish(uint8_t digest[SNP_DIGEST_LEN])
{
	static const struct psp_finish f;
	struct slice out;
	uint32_t status;

	status = ask((struct psp_req){ .op = PSP_LAUNCH_FINISH }, slice_of(&f, sizeof(f)), &out);
	if (!status && out.len != SNP_DIGEST_LEN)
		l0_stop(STOP_BUG, "secure processor: digest of %lu bytes", out.len);
	if (!status)
		memcpy(digest, out.p, SNP_DIGEST_LEN);
	return status;
}

uint32_t secure_request(const uint8_t *request, uint8_t *response)
{
	struct slice out;
	uint32_t status = ask((struct psp_req){ .op = PSP_GUEST_REQUEST }, slice_of(request, PAGE_LEN), &out);

	if (!status && out.len != PAGE_LEN)
		l0_stop(STOP_BUG, "secure processor: response of %lu bytes", out.len);
	if (!status)
		memcpy(response, out.p, PAGE_LEN);
	return status;
}

const uint8_t *secure_certs(uint64_t *len)
{
	*len = certs_len;
	return certs;
}
