/* SPDX-License-Identifier: Apache-2.0 */
/* Reports into fields: format, TCB versions, products. Layouts: snp/report.h. */
#include "verifier/internal.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

/*
 * What the signature does not cover must be what it has to be, or there would be many reports for one
 * signature. Reserved bytes that it covers are the firmware's business: later versions use them.
 */
enum rc verifier_report_parse(struct slice in, struct snp_report *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct snp_report r;

	if (!cur_copy(&c, &r, sizeof(r)) || !cur_end(&c))
		return RC_BAD_INPUT;
	if (r.version < 2 || r.signature_algo != SNP_SIG_ECDSA_P384_SHA384 ||
	    !all_zero(r.r + SNP_SIG_P384, sizeof(r.r) - SNP_SIG_P384) ||
	    !all_zero(r.s + SNP_SIG_P384, sizeof(r.s) - SNP_SIG_P384) || !all_zero(r.zero5, sizeof(r.zero5)))
		return RC_BAD_INPUT;
	*out = r;
	return RC_OK;
}

/* Where each component is; NO_PART: the product has none. */
#define NO_PART 0xff
static const uint8_t layout_milan[TCB_PARTS] = {
	[TCB_FMC] = NO_PART,
	[TCB_BOOT_LOADER] = offsetof(struct snp_tcb_milan, boot_loader),
	[TCB_TEE] = offsetof(struct snp_tcb_milan, tee),
	[TCB_SNP] = offsetof(struct snp_tcb_milan, snp),
	[TCB_MICROCODE] = offsetof(struct snp_tcb_milan, microcode),
};
static const uint8_t layout_turin[TCB_PARTS] = {
	[TCB_FMC] = offsetof(struct snp_tcb_turin, fmc),
	[TCB_BOOT_LOADER] = offsetof(struct snp_tcb_turin, boot_loader),
	[TCB_TEE] = offsetof(struct snp_tcb_turin, tee),
	[TCB_SNP] = offsetof(struct snp_tcb_turin, snp),
	[TCB_MICROCODE] = offsetof(struct snp_tcb_turin, microcode),
};

static const struct {
	const char *name;
	const uint8_t *layout;
} products[PRODUCTS] = {
	[PRODUCT_UNKNOWN] = { "unknown", NULL },
	[PRODUCT_MILAN] = { "Milan", layout_milan },
	[PRODUCT_GENOA] = { "Genoa", layout_milan },
	[PRODUCT_TURIN] = { "Turin", layout_turin },
};

bool verifier_tcb_decode(enum verifier_product p, const uint8_t in[SNP_TCB_LEN], struct verifier_tcb *out)
{
	size_t i;

	if (p >= PRODUCTS || !products[p].layout)
		return false;
	for (i = 0; i < TCB_PARTS; i++)
		out->part[i] = products[p].layout[i] == NO_PART ? 0 : in[products[p].layout[i]];
	return true;
}

enum verifier_product product_named(struct slice name)
{
	size_t i;

	for (i = PRODUCT_UNKNOWN + 1; i < PRODUCTS; i++)
		if (slice_is(name, products[i].name))
			return (enum verifier_product)i;
	return PRODUCT_UNKNOWN;
}

enum verifier_product verifier_product_of_cpu(uint8_t family, uint8_t model)
{
	static const struct {
		uint8_t family, first, last;
		enum verifier_product product;
	} cpus[] = {
		{ 0x19, 0x00, 0x0f, PRODUCT_MILAN },
		{ 0x19, 0x10, 0x1f, PRODUCT_GENOA },
		{ 0x19, 0xa0, 0xaf, PRODUCT_GENOA },
		{ 0x1a, 0x00, 0x11, PRODUCT_TURIN },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cpus); i++)
		if (family == cpus[i].family && model >= cpus[i].first && model <= cpus[i].last)
			return cpus[i].product;
	return PRODUCT_UNKNOWN;
}

const char *verifier_product_name(enum verifier_product p)
{
	return products[p < PRODUCTS ? p : PRODUCT_UNKNOWN].name;
}

const char *verifier_tcb_part_name(enum verifier_tcb_part p)
{
	static const char *const names[TCB_PARTS] = { "fmc", "bootLoader", "tee", "snp", "microcode" };

	return p < TCB_PARTS ? names[p] : "?";
}

const char *verifier_tcb_kind_name(enum verifier_tcb_kind k)
{
	static const char *const names[TCB_KINDS] = { "reported", "current", "committed", "launch" };

	return k < TCB_KINDS ? names[k] : "?";
}
