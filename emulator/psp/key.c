/* SPDX-License-Identifier: Apache-2.0 */
/* MSG_KEY_REQ: keys bound to chip, level and what the guest selects. 56860, MSG_KEY_REQ. */
#include "emulator/psp/work.h"

#define FIELDS_KNOWN (SNP_KEY_MIX_POLICY | SNP_KEY_MIX_IMAGE_ID | SNP_KEY_MIX_FAMILY_ID | SNP_KEY_MIX_MEASUREMENT | \
		      SNP_KEY_MIX_GUEST_SVN | SNP_KEY_MIX_TCB)

/* All that a key can depend on; what was not selected is zeros, and `fields` says which. */
struct key_input {
	char label[16];
	uint32_t root;
	uint32_t vmpl;
	uint64_t fields;
	uint64_t policy;
	uint8_t image_id[16];
	uint8_t family_id[16];
	uint8_t measurement[SNP_DIGEST_LEN];
	uint64_t guest_svn;
	uint8_t tcb[SNP_TCB_LEN];
	uint8_t reported_tcb[SNP_TCB_LEN];	/* the VCEK itself depends on it; zeros for the VMRK */
};
ABI_SIZE(struct key_input, 16 + 8 + 8 + 8 + 32 + 48 + 8 + 16);

/* Component by component; what has no name must be zero, as it is in ours. */
static bool tcb_is_committed(const uint8_t tcb[SNP_TCB_LEN], const uint8_t committed[SNP_TCB_LEN])
{
	size_t i;

	for (i = 0; i < SNP_TCB_LEN; i++)
		if (tcb[i] > committed[i])
			return false;
	return true;
}

static bool request_is_sound(const struct psp *p, uint32_t vmpl, const struct snp_key_req *r)
{
	uint8_t tcb[SNP_TCB_LEN];

	memcpy(tcb, &r->tcb, sizeof(tcb));
	return r->root <= SNP_KEY_ROOT_VMRK && r->zero == 0 && (r->fields & ~(uint64_t)FIELDS_KNOWN) == 0 &&
	       r->vmpl >= vmpl && r->vmpl < PSP_VMPCKS && r->guest_svn <= p->guest.id.guest_svn &&
	       tcb_is_committed(tcb, p->chip.tcb);
}

static void collect(const struct psp *p, const struct snp_key_req *r, struct key_input *in)
{
	const struct psp_guest *g = &p->guest;

	*in = (struct key_input){ .label = "SNP derived key", .root = r->root, .vmpl = r->vmpl, .fields = r->fields };
	if (r->fields & SNP_KEY_MIX_POLICY)
		in->policy = g->policy;
	if (r->fields & SNP_KEY_MIX_IMAGE_ID)
		memcpy(in->image_id, g->id.image_id, sizeof(in->image_id));
	if (r->fields & SNP_KEY_MIX_FAMILY_ID)
		memcpy(in->family_id, g->id.family_id, sizeof(in->family_id));
	if (r->fields & SNP_KEY_MIX_MEASUREMENT)
		memcpy(in->measurement, g->digest, sizeof(in->measurement));
	if (r->fields & SNP_KEY_MIX_GUEST_SVN)
		in->guest_svn = r->guest_svn;
	if (r->fields & SNP_KEY_MIX_TCB)
		memcpy(in->tcb, &r->tcb, sizeof(in->tcb));
	if (r->root == SNP_KEY_ROOT_VCEK)
		memcpy(in->reported_tcb, p->chip.tcb, sizeof(in->reported_tcb));
}

enum rc psp_derive_key(struct psp *p, uint32_t vmpl, const struct snp_key_req *req, struct snp_key_rsp *rsp)
{
	struct crypto_mac_key root;
	struct key_input in;
	struct slice part = slice_of(&in, sizeof(in));
	enum rc rc;

	*rsp = (struct snp_key_rsp){ .status = SNP_FW_INVALID_PARAM };
	if (!request_is_sound(p, vmpl, req))
		return RC_OK;
	collect(p, req, &in);
	if (req->root == SNP_KEY_ROOT_VCEK)
		crypto_mac_key_set(&root, p->chip.secret, sizeof(p->chip.secret));
	else
		crypto_mac_key_set(&root, p->guest.vmrk.b, sizeof(p->guest.vmrk.b));
	rc = crypto_mac(p->crypto, 0, &root, &part, 1, rsp->key);
	crypto_mac_key_wipe(&root);
	if (rc == RC_OK)
		rsp->status = SNP_FW_OK;
	return rc;
}
