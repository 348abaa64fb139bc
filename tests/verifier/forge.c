/* SPDX-License-Identifier: Apache-2.0 */
/* See forge.h. */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/verifier/forge.h"

#define YEAR (365 * 24 * 3600)
#define NEED(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "forge: %s\n", #x); \
			abort(); \
		} \
	} while (0)

static FILE *key_file(unsigned i, const char *mode)
{
	const char *dir = getenv("SVSM_TEST_KEYS");
	char path[512];

	if (!dir)
		return NULL;
	snprintf(path, sizeof(path), "%s/rsa%u.pem", dir, i);
	return fopen(path, mode);
}

static EVP_PKEY *kept_key(unsigned i)
{
	FILE *f = key_file(i, "r");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return key;
}

static void keep_key(unsigned i, EVP_PKEY *key)
{
	FILE *f = key_file(i, "w");

	if (!f)
		return;
	NEED(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
}

static EVP_PKEY *rsa_key(unsigned i)
{
	static EVP_PKEY *keys[3];

	NEED(i < 3);
	if (!keys[i])
		keys[i] = kept_key(i);
	if (!keys[i]) {
		keys[i] = EVP_RSA_gen(4096);
		NEED(keys[i]);
		keep_key(i, keys[i]);
	}
	return keys[i];
}

static EVP_PKEY *ec_key(unsigned i)
{
	static EVP_PKEY *keys[2];

	NEED(i < 2);
	if (!keys[i])
		keys[i] = EVP_EC_gen("P-384");
	NEED(keys[i]);
	return keys[i];
}

static void set_name(X509_NAME *n, const char *cn)
{
	NEED(X509_NAME_add_entry_by_txt(n, "O", MBSTRING_ASC, (const uint8_t *)"Forge", -1, -1, 0) == 1);
	NEED(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) == 1);
}

static X509 *new_cert(const char *subject, const char *issuer, EVP_PKEY *key, long serial, int64_t from, int64_t to)
{
	X509 *x = X509_new();

	NEED(x && X509_set_version(x, X509_VERSION_3) == 1);
	NEED(ASN1_INTEGER_set(X509_get_serialNumber(x), serial) == 1);
	set_name(X509_get_subject_name(x), subject);
	set_name(X509_get_issuer_name(x), issuer);
	NEED(ASN1_TIME_set(X509_getm_notBefore(x), from) && ASN1_TIME_set(X509_getm_notAfter(x), to));
	NEED(X509_set_pubkey(x, key) == 1);
	return x;
}

static size_t sign_cert(X509 *x, EVP_PKEY *by, const struct forge_how *h, uint8_t out[FORGE_DER])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t *p = out;
	int len;

	NEED(ctx && EVP_DigestSignInit_ex(ctx, &pctx, h->hash, NULL, NULL, by, NULL) == 1);
	if (!h->pkcs1)
		NEED(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, h->salt) == 1);
	NEED(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	len = i2d_X509(x, NULL);
	NEED(len > 0 && len <= FORGE_DER && i2d_X509(x, &p) == len);
	X509_free(x);
	return (size_t)len;
}

static void add_ext(X509 *x, const char *oid, const void *value, size_t len)
{
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	NEED(o && s && ASN1_OCTET_STRING_set(s, value, (int)len) == 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, o, 0, s);
	NEED(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(s);
	ASN1_OBJECT_free(o);
}

#define ARC "1.3.6.1.4.1.3704.1."

static void add_byte(X509 *x, const char *oid, uint8_t v)
{
	uint8_t small[] = { 2, 1, v }, large[] = { 2, 2, 0, v };

	if (v < 0x80)
		add_ext(x, oid, small, sizeof(small));
	else
		add_ext(x, oid, large, sizeof(large));
}

static void add_text(X509 *x, const char *oid, const char *text)
{
	uint8_t der[64];
	size_t n = strlen(text);

	NEED(n + 2 <= sizeof(der));
	der[0] = 0x16;
	der[1] = (uint8_t)n;
	memcpy(der + 2, text, n);
	add_ext(x, oid, der, n + 2);
}

/* Written down again, not taken from the verifier. */
static void add_spls(X509 *x, const struct forge_how *h)
{
	static const uint8_t milan[] = { 1, 2, 4, 5, 6, 7, 3, 8 }, turin[] = { 9, 1, 2, 3, 5, 6, 7, 8 };
	const uint8_t *order = h->product == PRODUCT_TURIN ? turin : milan;
	char oid[64];
	size_t i;

	for (i = 0; i < 8; i++) {
		if (order[i] == h->skip_spl)
			continue;
		snprintf(oid, sizeof(oid), ARC "3.%u", order[i]);
		add_byte(x, oid, h->report.reported_tcb[i]);
	}
}

static void add_hwid(X509 *x, const struct forge_how *h)
{
	size_t n = h->product == PRODUCT_TURIN ? 8 : 64;
	uint8_t der[66] = { 4, (uint8_t)n };

	memcpy(der + 2, h->report.chip_id, n);
	if (h->wrapped_hwid)
		add_ext(x, ARC "4", der, n + 2);
	else
		add_ext(x, ARC "4", der + 2, n);
}

static void add_leaf_extensions(X509 *x, const struct forge_how *h)
{
	char product[32];

	snprintf(product, sizeof(product), "%s%s", verifier_product_name(h->product),
		 h->product == PRODUCT_MILAN && !h->vlek ? "-B0" : "");
	add_byte(x, ARC "1", (uint8_t)(h->structure >= 0 ? h->structure : h->product == PRODUCT_TURIN));
	add_text(x, ARC "2", h->product_name ? h->product_name : product);
	if (h->duplicate_extension)
		add_text(x, ARC "2", product);
	add_spls(x, h);
	if (!h->vlek || h->hwid_on_vlek)
		add_hwid(x, h);
	if ((h->vlek && !h->no_csp) || h->csp_on_vcek)
		add_text(x, ARC "5", "a cloud");
	if (h->usual_extension) {
		static const uint8_t none[] = { 0x30, 0 };

		add_ext(x, "2.5.29.19", none, sizeof(none));
	}
}

void forge_how_is(struct forge_how *h, enum verifier_product p, bool vlek)
{
	static const uint8_t milan[8] = { 3, 0, 0, 0, 0, 0, 8, 0xce }, turin[8] = { 1, 1, 1, 4, 0, 0, 0, 0x51 };
	const uint8_t *tcb = p == PRODUCT_TURIN ? turin : milan;
	struct snp_report *r;
	size_t i;

	*h = (struct forge_how){
		.product = p, .vlek = vlek, .ask_key = 1, .leaf_signer = 1, .salt = 48, .hash = "SHA384",
		.structure = -1, .ark_to = FORGE_NOW + YEAR, .ask_to = FORGE_NOW + YEAR,
		.leaf_from = FORGE_NOW - YEAR, .leaf_to = FORGE_NOW + YEAR,
	};
	r = &h->report;
	r->version = p == PRODUCT_TURIN ? 5 : 3;
	r->policy = 0x30000;
	r->signature_algo = SNP_SIG_ECDSA_P384_SHA384;
	r->key_info = vlek ? SNP_SIGNER_VLEK << 2 : 0;
	memcpy(r->reported_tcb, tcb, 8);
	memcpy(r->current_tcb, tcb, 8);
	memcpy(r->committed_tcb, tcb, 8);
	memcpy(r->launch_tcb, tcb, 8);
	r->cpuid_family = p == PRODUCT_TURIN ? 0x1a : 0x19;
	r->cpuid_model = p == PRODUCT_TURIN ? 2 : p == PRODUCT_GENOA ? 0x11 : 1;
	memset(r->report_id_ma, 0xff, sizeof(r->report_id_ma));
	for (i = 0; i < sizeof(r->measurement); i++)
		r->measurement[i] = (uint8_t)(i + 1);
	for (i = 0; !vlek && i < (p == PRODUCT_TURIN ? 8 : 64); i++)
		r->chip_id[i] = (uint8_t)(0x80 + i);
}

static void sign_report(struct snp_report *r, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128], part[48];
	const uint8_t *p = der;
	size_t len = sizeof(der), i;
	ECDSA_SIG *sig;

	NEED(ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA384", NULL, NULL, key, NULL) == 1);
	NEED(EVP_DigestSign(ctx, der, &len, (const uint8_t *)r, SNP_REPORT_SIGNED_LEN) == 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	NEED(sig);
	NEED(BN_bn2binpad(ECDSA_SIG_get0_r(sig), part, 48) == 48);
	for (i = 0; i < 48; i++)
		r->r[i] = part[47 - i];
	NEED(BN_bn2binpad(ECDSA_SIG_get0_s(sig), part, 48) == 48);
	for (i = 0; i < 48; i++)
		r->s[i] = part[47 - i];
	ECDSA_SIG_free(sig);
}

void forge_sign(struct snp_report *r)
{
	sign_report(r, ec_key(0));
}

void forge(const struct forge_how *h, struct forge *out)
{
	const char *p = verifier_product_name(h->product);
	char ark[64], ask[64], leaf[64];
	X509 *x;

	snprintf(ark, sizeof(ark), "ARK-%s%s", p, h->as_amd ? "" : " (TEST ROOT, NOT AMD)");
	snprintf(ask, sizeof(ask), "SEV-%s%s%s", h->vlek ? "VLEK-" : "", p, h->as_amd ? "" : " (TEST, NOT AMD)");
	snprintf(leaf, sizeof(leaf), "SEV-%s%s", h->vlek ? "VLEK" : "VCEK", h->as_amd ? "" : " (TEST, NOT AMD)");
	if (h->ark_name)
		snprintf(ark, sizeof(ark), "%s", h->ark_name);
	if (h->ask_name)
		snprintf(ask, sizeof(ask), "%s", h->ask_name);
	if (h->leaf_name)
		snprintf(leaf, sizeof(leaf), "%s", h->leaf_name);

	memset(out, 0, sizeof(*out));
	x = new_cert(ark, ark, rsa_key(h->ark_key), 1, FORGE_NOW - YEAR, h->ark_to);
	out->ark_len = sign_cert(x, rsa_key(h->ark_key), h, out->ark);
	x = new_cert(ask, ark, rsa_key(h->ask_key), 2, FORGE_NOW - YEAR, h->ask_to);
	out->ask_len = sign_cert(x, rsa_key(h->ask_signer), h, out->ask);
	x = new_cert(leaf, h->leaf_issuer ? h->leaf_issuer : ask, ec_key(0), h->leaf_serial, h->leaf_from, h->leaf_to);
	add_leaf_extensions(x, h);
	out->leaf_len = sign_cert(x, rsa_key(h->leaf_signer), h, out->leaf);
	out->report = h->report;
	sign_report(&out->report, ec_key(h->bad_signature_key));
}

size_t forge_cert_table(const struct forge *f, bool vlek, uint8_t *out, size_t room)
{
	static const uint8_t guids[4][16] = { SNP_CERT_GUID_ARK, SNP_CERT_GUID_ASK, SNP_CERT_GUID_VCEK,
					      SNP_CERT_GUID_VLEK };
	const uint8_t *const der[] = { f->ark, f->ask, f->leaf };
	const size_t len[] = { f->ark_len, f->ask_len, f->leaf_len };
	struct sink s = sink_of(out, room);
	size_t i, at = 4 * sizeof(struct snp_cert_entry);

	for (i = 0; i < 3; i++) {
		sink_put(&s, guids[i == 2 && vlek ? 3 : i], 16);
		sink_le32(&s, (uint32_t)at);
		sink_le32(&s, (uint32_t)len[i]);
		at += len[i];
	}
	sink_put(&s, (const uint8_t[24]){ 0 }, 24);
	for (i = 0; i < 3; i++)
		sink_put(&s, der[i], len[i]);
	NEED(sink_ok(&s));
	return s.need;
}

size_t forge_manifest(uint8_t *out, size_t room)
{
	static const uint8_t services[16] = { 0xbb, 0x9e, 0x84, 0x63, 0x92, 0x3d, 0x70, 0x46,
					      0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb };
	static const uint8_t other[16] = { 0xeb, 0xf1, 0x76, 0xc4, 1 }, kms[16] = ATTEST_KMS_GUID;
	struct attest_kms_manifest m = { .version = ATTEST_KMS_VERSION, .protocol = 0xC0534B4D };
	struct sink s = sink_of(out, room);

	memset(m.service, 0x5e, sizeof(m.service));
	memset(m.platform, 0x9f, sizeof(m.platform));
	memset(m.evidence.owner, 0x0e, sizeof(m.evidence.owner));
	m.evidence.config_version = 7;
	sink_put(&s, services, 16);
	sink_le32(&s, 24 + 2 * 24 + 10 + sizeof(m));
	sink_le32(&s, 2);
	sink_put(&s, other, 16);
	sink_le32(&s, 24 + 2 * 24);
	sink_le32(&s, 10);
	sink_put(&s, kms, 16);
	sink_le32(&s, 24 + 2 * 24 + 10);
	sink_le32(&s, sizeof(m));
	sink_put(&s, "0123456789", 10);
	sink_put(&s, &m, sizeof(m));
	NEED(sink_ok(&s));
	return s.need;
}

void forge_ask(const struct forge *f, struct verifier_input *in, struct verifier_policy *policy)
{
	*in = (struct verifier_input){
		.report = slice_of(&f->report, sizeof(f->report)),
		.certs = { slice_of(f->leaf, f->leaf_len), slice_of(f->ask, f->ask_len), slice_of(f->ark, f->ark_len) },
		.sources = 3,
		.root = slice_of(f->ark, f->ark_len),
	};
	*policy = (struct verifier_policy){ .at = FORGE_NOW };
}
