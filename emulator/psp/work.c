/* SPDX-License-Identifier: Apache-2.0 */
/* The chip, and which request goes where. One row a request. */
#include "emulator/psp/work.h"

static uint32_t on_init(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	struct cursor c = cur_of(data, req->len);
	struct crypto_p384_signature sig;
	struct crypto_p384_public q;
	struct psp_chip chip;
	struct slice certs;
	enum rc rc;

	(void)out;
	if (!cur_copy(&c, &chip, sizeof(chip)) || chip.magic != PSP_CHIP_MAGIC || chip.version != PSP_CHIP_VERSION ||
	    chip.certs_len > PSP_OUT_MAX || !cur_sub(&c, chip.certs_len, &certs) || !cur_end(&c) || chip.zero[0] ||
	    chip.zero[1] || chip.cpuid_family < 0xf)
		return PSP_INVALID_PARAM;
	/* A chip whose key does not fit would make reports that nobody can verify: find out now. */
	memcpy(q.x, chip.vcek_x, sizeof(q.x));
	memcpy(q.y, chip.vcek_y, sizeof(q.y));
	rc = crypto_p384_sign(chip.vcek, &q, slice_of(&chip.chip_id, sizeof(chip.chip_id)), &sig);
	if (rc == RC_OK) {
		p->chip = chip;
		memcpy(p->certs, certs.p, certs.len);
		p->has_chip = true;
	}
	mem_wipe(&chip, sizeof(chip));
	return rc == RC_OK ? SNP_FW_OK : PSP_INVALID_PARAM;
}

static uint32_t on_certs(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	size_t pages = (p->chip.certs_len + PSP_PAGE - 1) / PSP_PAGE;

	(void)req;
	(void)data;
	memcpy(out->data, p->certs, pages * PSP_PAGE);
	out->len = pages * PSP_PAGE;
	return SNP_FW_OK;
}

static const struct row {
	uint32_t op;
	bool chip;		/* a chip must be there; else: must not */
	enum psp_guest_state state;
	bool any_state;
	uint32_t (*work)(struct psp *, const struct psp_req *, const uint8_t *, struct psp_answer *);
} rows[] = {
	{ PSP_INIT, false, GUEST_NONE, false, on_init },
	{ PSP_LAUNCH_START, true, GUEST_NONE, false, psp_launch_start },
	{ PSP_LAUNCH_UPDATE, true, GUEST_LAUNCHING, false, psp_launch_update },
	{ PSP_LAUNCH_FINISH, true, GUEST_LAUNCHING, false, psp_launch_finish },
	{ PSP_GUEST_REQUEST, true, GUEST_RUNNING, false, psp_guest_request },
	{ PSP_CERTS, true, GUEST_NONE, true, on_certs },
};

bool psp_start(struct psp *p)
{
	*p = (struct psp){ 0 };
	return crypto_start() == RC_OK && (p->crypto = crypto_new()) != NULL;
}

uint32_t psp_work(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	uint32_t status = SNP_FW_INVALID_COMMAND;
	size_t i;

	*out = (struct psp_answer){ 0 };
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].op != req->op)
			continue;
		if (rows[i].chip != p->has_chip)
			status = PSP_INVALID_PLATFORM_STATE;
		else if (!rows[i].any_state && rows[i].state != p->guest.state)
			status = PSP_INVALID_GUEST_STATE;
		else
			status = rows[i].work(p, req, data, out);
	}
	if (status != SNP_FW_OK) {
		out->len = 0;
		mem_wipe(out->data, sizeof(out->data));
	}
	return status;
}
