/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkchip DIR: makes an emulated chip, once: DIR/chip.bin (mode 0600: it holds the chip's secret and its VCEK) and
 * DIR/ark.pem, ask.pem, vcek.pem. An existing chip is left alone, since stores are sealed to it. The keys of ARK and
 * ASK are forgotten at the end of the program.
 *
 * The chain has AMD's form (publication 57230) and says in every name that it is not AMD's. A host tool; it uses
 * libcrypto directly, for certificates are made nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "emulator/psp/psp.h"

#define DAY (24 * 3600)
#define YEARS(n) ((time_t)(n) * 365 * DAY)

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "mkchip: %s\n", what);
	exit(1);
}

#define NEED(x) \
	do { \
		if (!(x)) \
			fail("libcrypto: " #x); \
	} while (0)

/* ---- certificates ---- */

static void add_name(X509_NAME *n, const char *cn)
{
	NEED(X509_NAME_add_entry_by_txt(n, "O", MBSTRING_ASC, (const uint8_t *)"SVSM-KMS emulator", -1, -1, 0) == 1);
	NEED(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) == 1);
}

static X509 *cert_new(const char *subject, const char *issuer, EVP_PKEY *key, long serial, time_t lasts)
{
	X509 *x = X509_new();
	time_t now = time(NULL);

	NEED(x && X509_set_version(x, X509_VERSION_3) == 1);
	NEED(ASN1_INTEGER_set(X509_get_serialNumber(x), serial) == 1);
	add_name(X509_get_subject_name(x), subject);
	add_name(X509_get_issuer_name(x), issuer);
	NEED(ASN1_TIME_set(X509_getm_notBefore(x), now - DAY) && ASN1_TIME_set(X509_getm_notAfter(x), now + lasts));
	NEED(X509_set_pubkey(x, key) == 1);
	return x;
}

static void add_extension(X509 *x, const char *oid, bool critical, const uint8_t *value, size_t len)
{
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	NEED(o && s && ASN1_OCTET_STRING_set(s, value, (int)len) == 1);
	e = X509_EXTENSION_create_by_OBJ(NULL, o, critical, s);
	NEED(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(s);
	ASN1_OBJECT_free(o);
}

static void add_ca_extensions(X509 *x)
{
	static const uint8_t ca[] = { 0x30, 3, 1, 1, 0xff };	/* SEQUENCE { BOOLEAN TRUE } */
	static const uint8_t usage[] = { 3, 2, 2, 4 };		/* keyCertSign */

	add_extension(x, "2.5.29.19", true, ca, sizeof(ca));
	add_extension(x, "2.5.29.15", true, usage, sizeof(usage));
}

#define ARC "1.3.6.1.4.1.3704.1."

static void add_byte(X509 *x, const char *oid, uint8_t v)
{
	const uint8_t small[] = { 2, 1, v }, large[] = { 2, 2, 0, v };

	if (v < 0x80)
		add_extension(x, oid, false, small, sizeof(small));
	else
		add_extension(x, oid, false, large, sizeof(large));
}

/* 57230: structure version 0, product name, the TCB's components, hardware id without a tag. */
static void add_vcek_extensions(X509 *x, const struct psp_chip *c)
{
	static const uint8_t product[] = { 0x16, 8, 'M', 'i', 'l', 'a', 'n', '-', 'B', '0' };
	static const char *const spl[SNP_TCB_LEN] = { ARC "3.1", ARC "3.2", ARC "3.4", ARC "3.5",
						      ARC "3.6", ARC "3.7", ARC "3.3", ARC "3.8" };
	size_t i;

	add_byte(x, ARC "1", 0);
	add_extension(x, ARC "2", false, product, sizeof(product));
	for (i = 0; i < SNP_TCB_LEN; i++)
		add_byte(x, spl[i], c->tcb[i]);
	add_extension(x, ARC "4", false, c->chip_id, sizeof(c->chip_id));
}

static void sign(X509 *x, EVP_PKEY *by)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;

	NEED(ctx && EVP_DigestSignInit_ex(ctx, &p, "SHA384", NULL, NULL, by, NULL) == 1);
	NEED(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1);
	NEED(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, 48) == 1);
	NEED(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

/* ---- the chip ---- */

static void number_of(EVP_PKEY *key, const char *name, uint8_t out[48])
{
	BIGNUM *n = NULL;

	NEED(EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_bn2binpad(n, out, 48) == 48);
	BN_clear_free(n);
}

static void fill_chip(struct psp_chip *c, EVP_PKEY *vcek)
{
	*c = (struct psp_chip){
		.magic = PSP_CHIP_MAGIC, .version = PSP_CHIP_VERSION,
		.tcb = { 3, 0, 0, 0, 0, 0, 8, 0x73 },	/* boot loader, TEE, .., SNP, microcode: any plausible Milan */
		.cpuid_family = 0x19, .cpuid_model = 1, .cpuid_stepping = 1,
		.fw_major = 1, .fw_minor = 55, .fw_build = 1,
	};
	NEED(RAND_bytes(c->chip_id, sizeof(c->chip_id)) == 1);
	NEED(RAND_priv_bytes(c->secret, sizeof(c->secret)) == 1);
	number_of(vcek, OSSL_PKEY_PARAM_PRIV_KEY, c->vcek);
	number_of(vcek, OSSL_PKEY_PARAM_EC_PUB_X, c->vcek_x);
	number_of(vcek, OSSL_PKEY_PARAM_EC_PUB_Y, c->vcek_y);
}

struct chain {
	X509 *ark, *ask, *vcek;
};

static struct chain make_chain(const struct psp_chip *c, EVP_PKEY *vcek)
{
	static const char ark[] = "ARK-Milan (TEST ROOT, NOT AMD)", ask[] = "SEV-Milan (TEST, NOT AMD)";
	EVP_PKEY *ark_key = EVP_RSA_gen(4096), *ask_key = EVP_RSA_gen(4096);
	struct chain r;

	NEED(ark_key && ask_key);
	r.ark = cert_new(ark, ark, ark_key, 0x10000, YEARS(25));
	add_ca_extensions(r.ark);
	sign(r.ark, ark_key);
	r.ask = cert_new(ask, ark, ask_key, 0x10001, YEARS(25));
	add_ca_extensions(r.ask);
	sign(r.ask, ark_key);
	r.vcek = cert_new("SEV-VCEK (TEST, NOT AMD)", ask, vcek, 0, YEARS(7));
	add_vcek_extensions(r.vcek, c);
	sign(r.vcek, ask_key);
	EVP_PKEY_free(ark_key);
	EVP_PKEY_free(ask_key);
	return r;
}

/* The table that a host hands out in extended guest requests (56421). */
static size_t make_table(const struct chain *chain, uint8_t out[PSP_OUT_MAX])
{
	static const uint8_t guids[3][16] = { SNP_CERT_GUID_VCEK, SNP_CERT_GUID_ASK, SNP_CERT_GUID_ARK };
	X509 *const certs[3] = { chain->vcek, chain->ask, chain->ark };
	const struct snp_cert_entry end = { 0 };
	struct sink s = sink_of(out, PSP_OUT_MAX);
	size_t at = 4 * sizeof(end);
	uint8_t *der;
	int i, len;

	for (i = 0; i < 3; i++) {
		len = i2d_X509(certs[i], NULL);
		NEED(len > 0);
		sink_put(&s, guids[i], sizeof(guids[i]));
		sink_le32(&s, (uint32_t)at);
		sink_le32(&s, (uint32_t)len);
		at += (size_t)len;
	}
	sink_put(&s, &end, sizeof(end));
	for (i = 0; i < 3; i++) {
		der = NULL;
		len = i2d_X509(certs[i], &der);
		NEED(len > 0);
		sink_put(&s, der, (size_t)len);
		OPENSSL_free(der);
	}
	if (!sink_ok(&s))
		fail("the certificates are too large");
	return s.need;
}

/* ---- files ---- */

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: ", file, line);
	fail(what);
}

/* In one piece or not at all: written beside its place and moved there. */
static void write_file(const char *dir, const char *name, mode_t mode, const void *a, size_t a_len, const void *b, size_t b_len)
{
	char path[4096], temp[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    snprintf(temp, sizeof(temp), "%s/%s.new", dir, name) >= (int)sizeof(temp))
		fail("the directory's name is too long");
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || write(fd, a, a_len) != (ssize_t)a_len || write(fd, b, b_len) != (ssize_t)b_len || close(fd) != 0 ||
	    rename(temp, path) != 0)
		fail(strerror(errno));
}

static void write_cert(const char *dir, const char *name, X509 *x)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	long len;

	NEED(out && PEM_write_bio_X509(out, x) == 1 && (len = BIO_get_mem_data(out, &text)) > 0);
	write_file(dir, name, 0644, text, (size_t)len, "", 0);
	BIO_free(out);
}

int main(int argc, char **argv)
{
	static uint8_t table[PSP_OUT_MAX];
	struct psp_chip chip;
	struct chain chain;
	EVP_PKEY *vcek;
	char path[4096];

	if (argc != 2 || snprintf(path, sizeof(path), "%s/chip.bin", argv[1]) >= (int)sizeof(path)) {
		fprintf(stderr, "usage: mkchip DIR\n");
		return 2;
	}
	if (access(path, F_OK) == 0)
		return 0;
	if (mkdir(argv[1], 0755) != 0 && errno != EEXIST)
		fail(strerror(errno));
	vcek = EVP_EC_gen("P-384");
	NEED(vcek);
	fill_chip(&chip, vcek);
	chain = make_chain(&chip, vcek);
	chip.certs_len = (uint32_t)make_table(&chain, table);
	write_cert(argv[1], "ark.pem", chain.ark);
	write_cert(argv[1], "ask.pem", chain.ask);
	write_cert(argv[1], "vcek.pem", chain.vcek);
	write_file(argv[1], "chip.bin", 0600, &chip, sizeof(chip), table, chip.certs_len);
	OPENSSL_cleanse(&chip, sizeof(chip));
	EVP_PKEY_free(vcek);
	X509_free(chain.ark);
	X509_free(chain.ask);
	X509_free(chain.vcek);
	return 0;
}
