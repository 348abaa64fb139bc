/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates out of PEM or DER, and signatures by their keys. See x509.h. Not used by the service. */
#include <stdlib.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/x509.h"

struct crypto_cert {
	X509 *x;
	struct crypto_cert_info info;
};

void crypto_cert_free(struct crypto_cert *c)
{
	if (!c)
		return;
	X509_free(c->x);
	free(c);
}

const struct crypto_cert_info *crypto_cert_info(const struct crypto_cert *c)
{
	return &c->info;
}

/* The one common name, if it is printable and fits: it will be compared and shown. */
static bool common_name(const X509_NAME *name, char out[CRYPTO_NAME_MAX])
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1), i, len;
	const ASN1_STRING *s;
	const uint8_t *p;

	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return false;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	len = ASN1_STRING_length(s);
	p = ASN1_STRING_get0_data(s);
	if (len < 1 || len >= CRYPTO_NAME_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	memcpy(out, p, (size_t)len);
	out[len] = 0;
	return true;
}

static bool seconds(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

static enum crypto_key_kind kind_of(EVP_PKEY *key)
{
	char group[32];
	size_t len;

	if (!key)
		return CRYPTO_KEY_OTHER;
	if (EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) == 4096)
		return CRYPTO_KEY_RSA4096;
	if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	    strcmp(group, "secp384r1") == 0)
		return CRYPTO_KEY_P384;
	return CRYPTO_KEY_OTHER;
}

static bool key_hash(X509 *x, uint8_t out[CRYPTO_SHA384_LEN])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	struct slice all = slice_of(der, len > 0 ? (size_t)len : 0);
	bool ok = len > 0 && crypto_sha384(&all, 1, out) == RC_OK;

	OPENSSL_free(der);
	return ok;
}

static bool fill_info(X509 *x, struct crypto_cert_info *out)
{
	struct crypto_cert_info i = { 0 };

	if (X509_get_version(x) != X509_VERSION_3 || !common_name(X509_get_subject_name(x), i.subject) ||
	    !common_name(X509_get_issuer_name(x), i.issuer) || !seconds(X509_get0_notBefore(x), &i.not_before) ||
	    !seconds(X509_get0_notAfter(x), &i.not_after) || !key_hash(x, i.key_sha384))
		return false;
	i.serial_zero = ASN1_INTEGER_get(X509_get0_serialNumber(x)) == 0;
	i.key = kind_of(X509_get0_pubkey(x));
	*out = i;
	return true;
}

/* Other encodings of the same content would be other bytes that verify alike: only the canonical one counts. */
static bool is_canonical(X509 *x, const uint8_t *der, size_t len)
{
	uint8_t *again = NULL;
	int n = i2d_X509(x, &again);
	bool same = n > 0 && (size_t)n == len && memcmp(again, der, len) == 0;

	OPENSSL_free(again);
	return same;
}

/* One certificate from the front of in, which moves on behind it. */
static enum rc read_der(struct cursor *in, struct crypto_cert **out)
{
	size_t room = in->left < CRYPTO_CERT_MAX ? in->left : CRYPTO_CERT_MAX;
	const uint8_t *at = in->at, *skipped;
	X509 *x = d2i_X509(NULL, &at, (long)room);
	struct crypto_cert *c = calloc(1, sizeof(*c));
	enum rc rc = c ? RC_BAD_INPUT : RC_MACHINE;

	if (c && x && is_canonical(x, in->at, (size_t)(at - in->at)) && fill_info(x, &c->info) &&
	    cur_take(in, (size_t)(at - in->at), &skipped)) {
		c->x = x;
		*out = c;
		return RC_OK;
	}
	X509_free(x);
	free(c);
	ERR_clear_error();
	return rc;
}

/* The next block of a PEM text. RC_BUSY: there is none. */
static enum rc read_pem(BIO *in, struct crypto_cert **out)
{
	char *name = NULL, *header = NULL;
	uint8_t *der = NULL;
	long len = 0;
	enum rc rc = RC_BAD_INPUT;

	if (PEM_read_bio(in, &name, &header, &der, &len) != 1) {
		bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

		ERR_clear_error();
		return end ? RC_BUSY : RC_BAD_INPUT;
	}
	if (strcmp(name, "CERTIFICATE") == 0 && header[0] == 0 && len > 0) {
		struct cursor c = cur_of(der, (size_t)len);

		rc = read_der(&c, out);
		if (rc == RC_OK && !cur_end(&c)) {
			crypto_cert_free(*out);
			rc = RC_BAD_INPUT;
		}
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	return rc;
}

enum rc crypto_certs_read(struct slice in, struct crypto_cert **out, size_t max, size_t *count)
{
	bool pem = in.len && memmem(in.p, in.len, "-----BEGIN ", 11);
	struct cursor der = cur_of(in.p, in.len);
	BIO *bio = pem && in.len <= INT32_MAX ? BIO_new_mem_buf(in.p, (int)in.len) : NULL;
	enum rc rc = pem && !bio ? RC_MACHINE : RC_OK;
	struct crypto_cert *one;
	size_t n = 0;

	while (rc == RC_OK && (pem || !cur_end(&der))) {
		rc = pem ? read_pem(bio, &one) : read_der(&der, &one);
		if (rc != RC_OK)
			break;
		if (n == max) {
			crypto_cert_free(one);
			rc = RC_NO_ROOM;
			break;
		}
		out[n++] = one;
	}
	BIO_free(bio);
	if (rc == RC_BUSY)	/* the end of a PEM text */
		rc = RC_OK;
	if (rc == RC_OK && n == 0)
		rc = RC_BAD_INPUT;
	if (rc == RC_OK)
		*count = n;
	while (rc != RC_OK && n)
		crypto_cert_free(out[--n]);
	return rc;
}

bool crypto_cert_extension(const struct crypto_cert *c, size_t i, char oid[CRYPTO_OID_MAX], struct slice *value)
{
	X509_EXTENSION *e = i <= INT32_MAX ? X509_get_ext(c->x, (int)i) : NULL;
	const ASN1_OCTET_STRING *s;
	int n;

	if (!e)
		return false;
	n = OBJ_obj2txt(oid, CRYPTO_OID_MAX, X509_EXTENSION_get_object(e), 1);
	if (n <= 0 || n >= CRYPTO_OID_MAX)
		memcpy(oid, "?", 2);
	s = X509_EXTENSION_get_data(e);
	*value = slice_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	return true;
}

bool crypto_cert_names_issuer(const struct crypto_cert *c, const struct crypto_cert *by)
{
	return X509_NAME_cmp(X509_get_issuer_name(c->x), X509_get_subject_name(by->x)) == 0;
}

static bool is_sha384(const X509_ALGOR *a)
{
	return a && OBJ_obj2nid(a->algorithm) == NID_sha384;
}

static bool is_mgf1_sha384(const X509_ALGOR *a)
{
	const ASN1_STRING *inner;
	const uint8_t *p;
	X509_ALGOR *hash;
	bool ok;

	if (!a || OBJ_obj2nid(a->algorithm) != NID_mgf1 || !a->parameter || a->parameter->type != V_ASN1_SEQUENCE)
		return false;
	inner = a->parameter->value.sequence;
	p = ASN1_STRING_get0_data(inner);
	hash = d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(inner));
	ok = is_sha384(hash);
	X509_ALGOR_free(hash);
	return ok;
}

/* The parameters stand in the certificate, chosen by whoever wrote it: only the one set is taken. */
static bool is_pss_sha384(const X509 *x)
{
	const ASN1_STRING *seq;
	const X509_ALGOR *alg;
	RSA_PSS_PARAMS *params;
	const uint8_t *p;
	bool ok;

	X509_get0_signature(NULL, &alg, x);
	if (OBJ_obj2nid(alg->algorithm) != NID_rsassaPss || !alg->parameter ||
	    alg->parameter->type != V_ASN1_SEQUENCE)
		return false;
	seq = alg->parameter->value.sequence;
	p = ASN1_STRING_get0_data(seq);
	params = d2i_RSA_PSS_PARAMS(NULL, &p, ASN1_STRING_length(seq));
	ok = params && is_sha384(params->hashAlgorithm) && is_mgf1_sha384(params->maskGenAlgorithm) &&
	     params->saltLength && ASN1_INTEGER_get(params->saltLength) == 48 &&
	     (!params->trailerField || ASN1_INTEGER_get(params->trailerField) == 1);
	RSA_PSS_PARAMS_free(params);
	return ok;
}

enum rc crypto_cert_signed_by(const struct crypto_cert *c, const struct crypto_cert *by)
{
	bool ok = by->info.key == CRYPTO_KEY_RSA4096 && is_pss_sha384(c->x) &&
		  X509_verify(c->x, X509_get0_pubkey(by->x)) == 1;

	ERR_clear_error();
	return ok ? RC_OK : RC_DENIED;
}

/* (r, s) as libcrypto wants it. Free with OPENSSL_free(); 0: no memory. */
static int signature_der(const uint8_t r[48], const uint8_t s[48], uint8_t **der)
{
	BIGNUM *br = BN_bin2bn(r, 48, NULL), *bs = BN_bin2bn(s, 48, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int n = 0;

	if (sig && br && bs && ECDSA_SIG_set0(sig, br, bs) == 1) {
		br = NULL;	/* the signature's now */
		bs = NULL;
		n = i2d_ECDSA_SIG(sig, der);
	}
	BN_free(br);
	BN_free(bs);
	ECDSA_SIG_free(sig);
	return n > 0 ? n : 0;
}

enum rc crypto_cert_p384_verify(const struct crypto_cert *c, struct slice message, const uint8_t r[48],
				const uint8_t s[48])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *der = NULL;
	int n = signature_der(r, s, &der);
	enum rc rc = RC_DENIED;

	if (!ctx || !n)
		rc = RC_MACHINE;
	else if (c->info.key == CRYPTO_KEY_P384 &&
		 EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, X509_get0_pubkey(c->x)) == 1 &&
		 EVP_DigestVerify(ctx, der, (size_t)n, message.p, message.len) == 1)
		rc = RC_OK;
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}
