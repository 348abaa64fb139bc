/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates from wherever they come, and what AMD writes into the leaf. Nothing here is believed: the pool
 * is what the other side sent, and chain.c decides. Which certificate plays which role follows from its
 * names and its key alone, so a table's GUIDs cannot mislead.
 */
#include "verifier/internal.h"

/* ---- the certificate table of an extended guest request (snp/report.h) ---- */

enum rc verifier_cert_table_parse(struct slice in, struct slice *out, size_t max, size_t *count)
{
	static const uint8_t end[sizeof(struct snp_cert_entry)];
	struct cursor c = cur_of(in.p, in.len);
	struct snp_cert_entry e;
	size_t n = 0;

	for (;;) {
		if (!cur_copy(&c, &e, sizeof(e)))
			return RC_BAD_INPUT;
		if (memcmp(&e, end, sizeof(e)) == 0)
			break;
		if (n == max || e.off > in.len || e.len > in.len - e.off)
			return RC_BAD_INPUT;
		out[n++] = slice_of(in.p + e.off, e.len);
	}
	/* The entries end where c stands: what they point to lies behind. */
	for (size_t i = 0; i < n; i++)
		if (out[i].p < c.at)
			return RC_BAD_INPUT;
	*count = n;
	return RC_OK;
}

/* ---- the leaf's extensions (57230, arc 1.3.6.1.4.1.3704.1) ---- */

#define ARC "1.3.6.1.4.1.3704.1."

enum { EXT_STRUCTURE, EXT_PRODUCT, EXT_SPL1, EXT_SPL9 = EXT_SPL1 + 8, EXT_HWID, EXT_CSP, EXTS };

static const char *const ext_oids[EXTS] = {
	[EXT_STRUCTURE] = ARC "1", [EXT_PRODUCT] = ARC "2",  [EXT_SPL1] = ARC "3.1",     [EXT_SPL1 + 1] = ARC "3.2",
	[EXT_SPL1 + 2] = ARC "3.3", [EXT_SPL1 + 3] = ARC "3.4", [EXT_SPL1 + 4] = ARC "3.5", [EXT_SPL1 + 5] = ARC "3.6",
	[EXT_SPL1 + 6] = ARC "3.7", [EXT_SPL1 + 7] = ARC "3.8", [EXT_SPL9] = ARC "3.9",     [EXT_HWID] = ARC "4",
	[EXT_CSP] = ARC "5",
};

/* Byte i of a TCB_VERSION is the extension .3.<spl[i]>, by structure version; `must` of them are never absent. */
#define STRUCTURES 2
static const struct {
	uint8_t spl[SNP_TCB_LEN];
	uint8_t must;		/* bit i: byte i */
	uint8_t never;		/* .3.<never> does not exist here */
	size_t hwid_len;
} structures[STRUCTURES] = {
	{ { 1, 2, 4, 5, 6, 7, 3, 8 }, 0xc3, 9, 64 },	/* Milan, Genoa */
	{ { 9, 1, 2, 3, 5, 6, 7, 8 }, 0x8f, 4, 8 },	/* Turin */
};

/* INTEGER 0..255, in its one DER form. */
static bool der_byte(struct slice v, uint8_t *out)
{
	if (v.len == 3 && v.p[0] == 2 && v.p[1] == 1 && v.p[2] < 0x80)
		*out = v.p[2];
	else if (v.len == 4 && v.p[0] == 2 && v.p[1] == 2 && v.p[2] == 0 && v.p[3] >= 0x80)
		*out = v.p[3];
	else
		return false;
	return true;
}

/* IA5String, printable, that fits with a zero behind it. */
static bool der_text(struct slice v, char *out, size_t room)
{
	size_t i, n = v.len - 2;

	if (v.len < 3 || v.p[0] != 0x16 || v.p[1] >= 0x80 || v.p[1] != n || n >= room)
		return false;
	for (i = 0; i < n; i++)
		if (v.p[i + 2] < 0x20 || v.p[i + 2] > 0x7e)
			return false;
	memcpy(out, v.p + 2, n);
	out[n] = 0;
	return true;
}

/* Raw bytes; a form wrapped once more as OCTET STRING also circulates. */
static bool hwid_bytes(struct slice v, size_t want, uint8_t out[64])
{
	if (v.len == want + 2 && v.p[0] == 4 && v.p[1] == want)
		v = slice_of(v.p + 2, want);
	if (v.len != want)
		return false;
	memcpy(out, v.p, want);
	return true;
}

/* Each known extension once; none outside AMD's arc. Unknown ones inside it are AMD's to add. */
static bool collect(const struct crypto_cert *c, struct slice ext[EXTS])
{
	char oid[CRYPTO_OID_MAX];
	struct slice value;
	size_t i, k;

	for (i = 0; crypto_cert_extension(c, i, oid, &value); i++) {
		if (strncmp(oid, ARC, sizeof(ARC) - 1) != 0)
			return false;
		for (k = 0; k < EXTS; k++) {
			if (strcmp(oid, ext_oids[k]) != 0)
				continue;
			if (ext[k].p)
				return false;
			ext[k] = value;
		}
	}
	return true;
}

static bool parse_tcb(const struct slice ext[EXTS], size_t structure, uint8_t out[SNP_TCB_LEN])
{
	size_t i;

	if (ext[EXT_SPL1 + structures[structure].never - 1].p)
		return false;
	for (i = 0; i < SNP_TCB_LEN; i++) {
		struct slice v = ext[EXT_SPL1 + structures[structure].spl[i] - 1];

		out[i] = 0;
		if (v.p ? !der_byte(v, &out[i]) : structures[structure].must >> i & 1)
			return false;
	}
	return true;
}

enum rc verifier_leaf_parse(const struct crypto_cert *c, struct verifier_leaf *out)
{
	struct slice ext[EXTS] = { 0 };
	struct verifier_leaf l = { 0 };
	uint8_t structure;
	size_t n;

	if (!collect(c, ext) || !ext[EXT_STRUCTURE].p || !der_byte(ext[EXT_STRUCTURE], &structure) ||
	    structure >= STRUCTURES || !ext[EXT_PRODUCT].p ||
	    !der_text(ext[EXT_PRODUCT], l.product, sizeof(l.product)) || !parse_tcb(ext, structure, l.tcb))
		return RC_BAD_INPUT;
	if (ext[EXT_CSP].p && !der_text(ext[EXT_CSP], l.csp_id, sizeof(l.csp_id)))
		return RC_BAD_INPUT;
	if (ext[EXT_HWID].p) {
		l.hwid_len = structures[structure].hwid_len;
		if (!hwid_bytes(ext[EXT_HWID], l.hwid_len, l.hwid))
			return RC_BAD_INPUT;
	}
	n = strcspn(l.product, "-");	/* "Milan-B0": a stepping follows */
	l.by_name = product_named(slice_of(l.product, n));
	l.structure_version = structure;
	l.vlek = slice_starts(slice_str(crypto_cert_info(c)->subject), "SEV-VLEK");
	*out = l;
	return RC_OK;
}

/* ---- the pool, and a chain out of it ---- */

static enum rc pool_add(struct verifier_case *c, struct slice in)
{
	size_t n = 0;
	enum rc rc = crypto_certs_read(in, c->pool + c->pooled, VERIFIER_CERTS - c->pooled, &n);

	c->pooled += n;
	return rc;
}

/* Entries of a table that are no certificates (revocation lists and the like) are passed over. */
static enum rc pool_add_table(struct verifier_case *c, struct slice in)
{
	struct slice entry[VERIFIER_CERTS];
	size_t count, i, before = c->pooled;

	if (verifier_cert_table_parse(in, entry, VERIFIER_CERTS, &count) != RC_OK)
		return RC_BAD_INPUT;
	for (i = 0; i < count; i++) {
		enum rc rc = pool_add(c, entry[i]);

		if (rc != RC_OK && rc != RC_BAD_INPUT)
			return rc;
	}
	return c->pooled == before ? RC_BAD_INPUT : RC_OK;
}

static enum rc pool_fill(struct verifier_case *c, size_t *source)
{
	const struct verifier_input *in = c->in;
	enum rc rc = RC_OK;

	INVARIANT(in->sources <= VERIFIER_SOURCES);
	for (*source = 0; *source < in->sources; ++*source) {
		struct slice s = in->certs[*source];

		if (s.len > VERIFIER_SOURCE_MAX)
			return RC_BAD_INPUT;
		rc = pool_add(c, s);
		if (rc == RC_BAD_INPUT)
			rc = pool_add_table(c, s);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static bool is_leaf(const struct crypto_cert_info *i, const char *name)
{
	return i->key == CRYPTO_KEY_P384 && slice_starts(slice_str(i->subject), name);
}

/* The leaf of the kind that the report says; else any, so that the verdict can say what is wrong. */
static const struct crypto_cert *pick_leaf(const struct verifier_case *c)
{
	bool vlek = c->v->has_report && SNP_KEY_INFO_SIGNER(c->v->report.key_info) == SNP_SIGNER_VLEK;
	const char *want = vlek ? "SEV-VLEK" : "SEV-VCEK", *other = vlek ? "SEV-VCEK" : "SEV-VLEK";
	size_t i;

	for (i = 0; i < c->pooled; i++)
		if (is_leaf(crypto_cert_info(c->pool[i]), want))
			return c->pool[i];
	for (i = 0; i < c->pooled; i++)
		if (is_leaf(crypto_cert_info(c->pool[i]), other))
			return c->pool[i];
	return NULL;
}

/* Who is named as issuer; of several with that name the one that signed, so that a decoy does no harm. */
static const struct crypto_cert *pick_issuer(const struct verifier_case *c, const struct crypto_cert *of)
{
	const struct crypto_cert *found = NULL;
	size_t i;

	for (i = 0; of && i < c->pooled + (c->root != NULL); i++) {
		const struct crypto_cert *p = i < c->pooled ? c->pool[i] : c->root;

		if (p == of || !crypto_cert_names_issuer(of, p))
			continue;
		if (!found || crypto_cert_signed_by(of, p) == RC_OK)
			found = p;
	}
	return found;
}

void case_certs_read(struct verifier_case *c)
{
	struct verifier_verdict *v = c->v;
	size_t source = 0, i, n = 0;
	enum rc rc = pool_fill(c, &source), root = RC_OK;

	if (c->in->root.p && rc == RC_OK)
		root = crypto_certs_read(c->in->root, &c->root, 1, &n);
	c->machine |= rc == RC_MACHINE || root == RC_MACHINE;
	c->cert[CERT_LEAF] = pick_leaf(c);
	c->cert[CERT_ASK] = pick_issuer(c, c->cert[CERT_LEAF]);
	c->cert[CERT_ARK] = pick_issuer(c, c->cert[CERT_ASK]);
	for (i = 0; i < CERT_ROLES; i++) {
		v->has_cert[i] = c->cert[i] != NULL;
		if (c->cert[i])
			v->cert[i] = *crypto_cert_info(c->cert[i]);
	}
	if (c->cert[CERT_LEAF])
		v->has_leaf = verifier_leaf_parse(c->cert[CERT_LEAF], &v->leaf) == RC_OK;
	if (rc != RC_OK)
		judge(v, CHECK_CERTIFICATES, false,
		      "certificate source %zu is neither PEM nor DER nor a table of certificates, or holds too many",
		      source + 1);
	else if (root != RC_OK)
		judge(v, CHECK_CERTIFICATES, false, "the root given is not one certificate");
	else
		judge(v, CHECK_CERTIFICATES, c->cert[CERT_LEAF] && c->cert[CERT_ASK] && c->cert[CERT_ARK],
		      "%zu certificates; root %s, intermediate %s, leaf %s", c->pooled,
		      c->cert[CERT_ARK] ? "found" : "missing", c->cert[CERT_ASK] ? "found" : "missing",
		      c->cert[CERT_LEAF] ? "found" : "missing");
}

void case_certs_free(struct verifier_case *c)
{
	while (c->pooled)
		crypto_cert_free(c->pool[--c->pooled]);
	crypto_cert_free(c->root);
	c->root = NULL;
}
