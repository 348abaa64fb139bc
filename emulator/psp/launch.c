/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch: policy, digest, secrets page, ID block. 56860: SNP_LAUNCH_START, SNP_LAUNCH_UPDATE with PAGE_INFO,
 * SNP_LAUNCH_FINISH.
 */
#include "emulator/psp/work.h"

/*
 * Policy: what this firmware can keep. Migration agents, and the bits from 22 on (memory encryption modes, RAPL,
 * ciphertext hiding) ask for what is not here.
 */
#define POLICY_KNOWN (0xffffull | SNP_POLICY_SMT | SNP_POLICY_ONE | SNP_POLICY_MIGRATE | SNP_POLICY_DEBUG | \
		      SNP_POLICY_SINGLE_SOCKET | 1ull << 21)

static uint32_t abi_version(uint64_t policy)
{
	return SNP_POLICY_ABI_MAJOR(policy) << 8 | SNP_POLICY_ABI_MINOR(policy);
}

uint32_t psp_launch_start(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	struct psp_guest *g = &p->guest;
	uint64_t policy = req->arg[0];

	(void)data;
	(void)out;
	if (req->len || req->arg[1] || req->arg[2])
		return PSP_INVALID_PARAM;
	if (!(policy & SNP_POLICY_ONE) || (policy & ~POLICY_KNOWN) ||
	    abi_version(policy) > ((uint32_t)p->chip.fw_major << 8 | p->chip.fw_minor))
		return SNP_FW_POLICY_FAILURE;
	*g = (struct psp_guest){ .policy = policy };
	if (crypto_os_random(g->vmpck, sizeof(g->vmpck)) != RC_OK ||
	    crypto_os_random(&g->vmrk, sizeof(g->vmrk)) != RC_OK ||
	    crypto_os_random(g->report_id, sizeof(g->report_id)) != RC_OK)
		return SNP_FW_INVALID_COMMAND;
	g->state = GUEST_LAUNCHING;
	return SNP_FW_OK;
}

/* contents: NULL where only address and type count. */
static enum rc measure_page(struct psp_guest *g, enum snp_page_type type, uint64_t gpa, const uint8_t *contents)
{
	struct snp_page_info info = { .len = sizeof(info), .page_type = (uint8_t)type, .gpa = gpa };
	struct slice page = slice_of(contents, PSP_PAGE), all = slice_of(&info, sizeof(info));

	memcpy(info.digest, g->digest, sizeof(info.digest));
	if (contents && crypto_sha384(&page, 1, info.contents) != RC_OK)
		return RC_MACHINE;
	return crypto_sha384(&all, 1, g->digest);
}

/* 56860, secrets page. */
static void fill_secrets(const struct psp *p, struct psp_answer *out)
{
	struct snp_secrets s = { .version = 3 };
	size_t i;

	s.fms = (uint32_t)((p->chip.cpuid_family - 0xfu) << 20 | (p->chip.cpuid_model >> 4) << 16 | 0xf << 8 |
			   (p->chip.cpuid_model & 0xf) << 4 | p->chip.cpuid_stepping);
	for (i = 0; i < PSP_VMPCKS; i++)
		memcpy(s.vmpck[i], p->guest.vmpck[i].b, sizeof(s.vmpck[i]));
	memcpy(out->data, &s, sizeof(s));
	out->len = sizeof(s);
	mem_wipe(&s, sizeof(s));
}

/* 56860, CPUID page: what could not be a table is refused. (Firmware also compares with the CPU; here there is none.) */
static bool cpuid_is_sound(const uint8_t *data)
{
	struct snp_cpuid_page c;
	size_t i;

	memcpy(&c, data, sizeof(c));
	if (c.count < 1 || c.count > ARRAY_LEN(c.e) || c.zero0 || c.zero1)
		return false;
	for (i = 0; i < c.count; i++)
		if (c.e[i].zero)
			return false;
	return true;
}

/* What goes with each page type. */
static const struct kind {
	uint32_t pages_max;
	bool data;	/* pages come with the request */
	bool contents;	/* and are measured */
} kinds[] = {
	[SNP_PAGE_NORMAL] = { PSP_PAGES_MAX, true, true },
	[SNP_PAGE_VMSA] = { 1, true, true },
	[SNP_PAGE_ZERO] = { PSP_PAGES_MAX, false, false },
	[SNP_PAGE_UNMEASURED] = { PSP_PAGES_MAX, false, false },
	[SNP_PAGE_SECRETS] = { 1, false, false },
	[SNP_PAGE_CPUID] = { 1, true, false },
};

uint32_t psp_launch_update(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	uint64_t type = req->arg[0], gpa = req->arg[1], count = req->arg[2], i;
	const struct kind *k;

	if (type >= ARRAY_LEN(kinds) || kinds[type].pages_max == 0)
		return PSP_INVALID_PARAM;
	k = &kinds[type];
	if (count < 1 || count > k->pages_max || req->len != (k->data ? count * PSP_PAGE : 0))
		return PSP_INVALID_PARAM;
	if (type == SNP_PAGE_VMSA)
		gpa = SNP_VMSA_GPA;
	if (gpa % PSP_PAGE || gpa > SNP_VMSA_GPA)
		return PSP_INVALID_ADDRESS;
	if (type == SNP_PAGE_CPUID && !cpuid_is_sound(data))
		return PSP_INVALID_PARAM;
	for (i = 0; i < count; i++)
		if (measure_page(&p->guest, (enum snp_page_type)type, gpa + i * PSP_PAGE,
				 k->contents ? data + i * PSP_PAGE : NULL) != RC_OK)
			return SNP_FW_INVALID_COMMAND;
	if (type == SNP_PAGE_SECRETS)
		fill_secrets(p, out);
	return SNP_FW_OK;
}

/* ---- ID block ---- */

/* A number of 48 bytes, little-endian in a field of 72: big-endian out. */
static bool number_of(const uint8_t in[72], uint8_t out[CRYPTO_P384_LEN])
{
	size_t i;

	for (i = CRYPTO_P384_LEN; i < 72; i++)
		if (in[i])
			return false;
	for (i = 0; i < CRYPTO_P384_LEN; i++)
		out[i] = in[CRYPTO_P384_LEN - 1 - i];
	return true;
}

static bool is_signed(const struct psp_public_key *key, struct slice message, const struct psp_signature *sig)
{
	struct crypto_p384_signature s;
	struct crypto_p384_public q;

	return key->curve == 2 && number_of(key->x, q.x) && number_of(key->y, q.y) && number_of(sig->r, s.r) &&
	       number_of(sig->s, s.s) && crypto_p384_verify(&q, message, &s) == RC_OK;
}

static uint32_t check_id_block(const struct psp_guest *g, const struct psp_finish *f)
{
	const struct psp_id_auth *a = &f->id_auth;
	bool author = f->flags & PSP_FINISH_AUTHOR_KEY;

	if (f->id_block.version != 1 || a->id_key_algo != 1 || (author && a->author_key_algo != 1))
		return PSP_INVALID_PARAM;
	if (!is_signed(&a->id_key, slice_of(&f->id_block, sizeof(f->id_block)), &a->id_block_sig) ||
	    (author && !is_signed(&a->author_key, slice_of(&a->id_key, sizeof(a->id_key)), &a->id_key_sig)))
		return SNP_FW_BAD_SIGNATURE;
	if (memcmp(f->id_block.digest, g->digest, sizeof(g->digest)) != 0)
		return SNP_FW_BAD_MEASUREMENT;
	if (f->id_block.policy != g->policy)
		return SNP_FW_POLICY_FAILURE;
	return SNP_FW_OK;
}

static enum rc digest_key(const struct psp_public_key *key, uint8_t out[SNP_DIGEST_LEN])
{
	struct slice s = slice_of(key, sizeof(*key));

	return crypto_sha384(&s, 1, out);
}

static enum rc take_id(struct psp_guest *g, const struct psp_finish *f)
{
	enum rc rc = digest_key(&f->id_auth.id_key, g->id_key_digest);

	if (rc == RC_OK && f->flags & PSP_FINISH_AUTHOR_KEY)
		rc = digest_key(&f->id_auth.author_key, g->author_key_digest);
	g->has_id = true;
	g->has_author = f->flags & PSP_FINISH_AUTHOR_KEY;
	g->id = f->id_block;
	return rc;
}

uint32_t psp_launch_finish(struct psp *p, const struct psp_req *req, const uint8_t *data, struct psp_answer *out)
{
	struct psp_guest *g = &p->guest;
	struct psp_finish f;
	uint32_t status;

	if (req->len != sizeof(f) || req->arg[0] || req->arg[1] || req->arg[2])
		return PSP_INVALID_PARAM;
	memcpy(&f, data, sizeof(f));
	if (f.zero || (f.flags & ~(PSP_FINISH_ID_BLOCK | PSP_FINISH_AUTHOR_KEY)) || f.flags == PSP_FINISH_AUTHOR_KEY)
		return PSP_INVALID_PARAM;
	if (f.flags & PSP_FINISH_ID_BLOCK) {
		status = check_id_block(g, &f);
		if (status != SNP_FW_OK)
			return status;
		if (take_id(g, &f) != RC_OK)
			return SNP_FW_INVALID_COMMAND;
	}
	memcpy(g->host_data, f.host_data, sizeof(g->host_data));
	g->state = GUEST_RUNNING;
	memcpy(out->data, g->digest, sizeof(g->digest));
	out->len = sizeof(g->digest);
	return SNP_FW_OK;
}
