/* SPDX-License-Identifier: Apache-2.0 */
/* Key stores; see keystore.h. */
#include "proxy/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/jks.h"

enum format { F_PEM, F_PKCS12, F_JKS };

/* A file in memory, wiped when it is let go: it holds a private key. */
struct file {
	uint8_t *p;
	size_t len;
};

static void file_release(struct file *f)
{
	if (f->p)
		mem_wipe(f->p, f->len);
	free(f->p);
	*f = (struct file){ 0 };
}
#define KEY_FILE __attribute__((cleanup(file_release))) struct file

__attribute__((format(printf, 4, 5))) static enum rc fail(struct keystore_error *err, enum rc rc, const char *file,
							  const char *fmt, ...)
{
	int n = snprintf(err->text, sizeof(err->text), "%.500s: ", file);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text + n, sizeof(err->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return rc;
}

const char *keystore_openssl_says(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = ERR_reason_error_string(e);

	ERR_clear_error();
	return text ? text : "no reason given";
}

static bool given(const char *s)
{
	return s && *s;
}

/* ---- files ---- */

static enum rc read_all(int fd, const char *path, struct file *out, struct keystore_error *err)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fail(err, RC_BAD_INPUT, path, "not a regular file");
	if (st.st_size <= 0 || st.st_size > (off_t)KEYSTORE_FILE_MAX)
		return fail(err, RC_BAD_INPUT, path, "is %s for a key store",
			    st.st_size <= 0 ? "empty, too little" : "too large");
	out->p = malloc((size_t)st.st_size);
	if (!out->p)
		return fail(err, RC_NO_ROOM, path, "out of memory");
	while (out->len < (size_t)st.st_size) {
		n = read(fd, out->p + out->len, (size_t)st.st_size - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(err, RC_MACHINE, path, "%s", n < 0 ? strerror(errno) : "became shorter while it was read");
		out->len += (size_t)n;
	}
	return RC_OK;
}

static enum rc file_read(const char *path, const char *setting, struct file *out, struct keystore_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum rc rc;

	if (fd < 0)
		return fail(err, RC_MACHINE, path, "%s; %s must name a file that the server's user can read",
			    strerror(errno), setting);
	rc = read_all(fd, path, out, err);
	close(fd);
	if (rc != RC_OK)
		file_release(out);
	return rc;
}

static enum rc format_of(const struct file *f, const struct keystore_source *from, enum format *out,
			 struct keystore_error *err)
{
	static const char mark[] = "-----BEGIN ";

	if (jks_is(slice_of(f->p, f->len)))
		*out = F_JKS;
	else if (f->p[0] == 0x30)
		*out = F_PKCS12;
	else if (memmem(f->p, f->len, mark, sizeof(mark) - 1))
		*out = F_PEM;
	else if (jks_is_jceks(slice_of(f->p, f->len)))
		return fail(err, RC_BAD_INPUT, from->file,
			    "is a JCEKS key store; convert it with `keytool -importkeystore -srcstoretype JCEKS -deststoretype "
			    "PKCS12 -srckeystore FILE -destkeystore NEW`");
	else
		return fail(err, RC_BAD_INPUT, from->file,
			    "is neither JKS nor PKCS#12 nor PEM; %s must name such a file", from->setting);
	return RC_OK;
}

/* ---- putting the result together ---- */

MUST_CHECK static bool add_cert(struct keystore *k, X509 *cert)
{
	if (!cert)
		return false;
	if (sk_X509_num(k->chain) < KEYSTORE_CERTS_MAX && sk_X509_push(k->chain, cert) > 0)
		return true;
	X509_free(cert);
	return false;
}

static X509 *cert_of(struct slice der)
{
	const uint8_t *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.len);

	if (x && p == der.p + der.len)
		return x;
	X509_free(x);
	return NULL;
}

static EVP_PKEY *key_of(const uint8_t *pkcs8, size_t len)
{
	const uint8_t *p = pkcs8;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
	EVP_PKEY *key = info && p == pkcs8 + len ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

void keystore_release(struct keystore *k)
{
	EVP_PKEY_free(k->key);
	X509_free(k->cert);
	sk_X509_pop_free(k->chain, X509_free);
	*k = (struct keystore){ 0 };
}

static enum rc wrong_password(const struct keystore_source *from, const char *what, struct keystore_error *err)
{
	return fail(err, RC_DENIED, from->file,
		    "the password does not open %s (or it is damaged); correct the password beside %s", what, from->setting);
}

/* ---- JKS ---- */

static enum rc jks_chain(struct jks_entry *e, struct keystore *k, const struct keystore_source *from,
			 struct keystore_error *err)
{
	struct slice der;

	while (jks_next_cert(e, &der))
		if (!add_cert(k, cert_of(der)))
			return fail(err, RC_BAD_INPUT, from->file, "the certificate of '%.*s' is malformed: %s",
				    (int)(e->alias.len < 100 ? e->alias.len : 100), e->alias.p, keystore_openssl_says());
	return RC_OK;
}

static enum rc jks_key(const struct jks_entry *e, const struct keystore_source *from, EVP_PKEY **out)
{
	const char *password = given(from->key_password) ? from->key_password : from->password ? from->password : "";
	uint8_t *plain = malloc(e->key.len);
	size_t len = 0;
	enum rc rc;

	if (!plain)
		return RC_NO_ROOM;
	rc = jks_key_open(e->key, slice_str(password), plain, e->key.len, &len);
	if (rc == RC_OK) {
		*out = key_of(plain, len);
		rc = *out ? RC_OK : RC_BAD_INPUT;
	}
	mem_wipe(plain, e->key.len);
	free(plain);
	return rc;
}

static void say_chosen(struct keystore *k, const struct keystore_source *from, struct slice alias)
{
	snprintf(k->warning, sizeof(k->warning), "%.120s holds several keys; '%.*s' is used", from->file,
		 (int)(alias.len < 60 ? alias.len : 60), alias.p);
}

static enum rc jks_identity(struct jks j, const struct keystore_source *from, struct keystore *k,
			    struct keystore_error *err)
{
	enum rc rc = RC_OK, last = RC_BAD_INPUT;
	struct slice alias = slice_of("", 0);
	struct jks_entry e;
	unsigned keys = 0;

	while (jks_next(&j, &e)) {
		if (!e.is_key || e.cert_count == 0)
			continue;
		keys++;
		if (k->key)
			continue;
		last = jks_key(&e, from, &k->key);
		if (last == RC_OK) {
			alias = e.alias;
			rc = jks_chain(&e, k, from, err);
			if (rc != RC_OK)
				return rc;
		}
	}
	if (keys == 0)
		return fail(err, RC_BAD_INPUT, from->file, "has no private key with a certificate; was the trust store meant?");
	if (!k->key && last == RC_DENIED)
		return wrong_password(from, "the private key (ssl.server.keystore.keypassword)", err);
	if (!k->key)
		return fail(err, last, from->file, "the private key is malformed or not protected as JKS does");
	if (keys > 1)
		say_chosen(k, from, alias);
	k->cert = sk_X509_shift(k->chain);
	return RC_OK;
}

static enum rc jks_trust(struct jks j, const struct keystore_source *from, struct keystore *k,
			 struct keystore_error *err)
{
	struct jks_entry e;
	enum rc rc = RC_OK;

	while (rc == RC_OK && jks_next(&j, &e))
		if (!e.is_key)
			rc = jks_chain(&e, k, from, err);
	return rc;
}

static enum rc open_jks(const struct file *f, const struct keystore_source *from, bool identity, struct keystore *k,
			struct keystore_error *err)
{
	struct jks j;

	if (jks_parse(slice_of(f->p, f->len), &j) != RC_OK)
		return fail(err, RC_BAD_INPUT, from->file, "is a damaged JKS key store");
	if (from->password && jks_check(&j, slice_str(from->password)) != RC_OK)
		return wrong_password(from, "the JKS key store", err);
	return identity ? jks_identity(j, from, k, err) : jks_trust(j, from, k, err);
}

/* ---- PKCS#12 ---- */

/*
 * Java 8 and older seal PKCS#12 with RC2-40, which OpenSSL 3 keeps in its legacy provider. That is loaded for such a
 * file only, in a library context of its own: nothing else of the program ever sees its algorithms.
 */
struct old_ciphers {
	OSSL_LIB_CTX *ctx;
	OSSL_PROVIDER *usual, *legacy;
};

MUST_CHECK static bool old_ciphers_load(struct old_ciphers *o)
{
	o->ctx = OSSL_LIB_CTX_new();
	o->usual = o->ctx ? OSSL_PROVIDER_load(o->ctx, "default") : NULL;
	o->legacy = o->usual ? OSSL_PROVIDER_load(o->ctx, "legacy") : NULL;
	return o->legacy;
}

static void old_ciphers_unload(struct old_ciphers *o)
{
	if (o->legacy)
		OSSL_PROVIDER_unload(o->legacy);
	if (o->usual)
		OSSL_PROVIDER_unload(o->usual);
	OSSL_LIB_CTX_free(o->ctx);
}

/* As it stands in the other library context, it would need that for ever. */
static EVP_PKEY *key_here(EVP_PKEY *there)
{
	PKCS8_PRIV_KEY_INFO *info = there ? EVP_PKEY2PKCS8(there) : NULL;
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(there);
	return key;
}

static X509 *cert_here(X509 *there)
{
	uint8_t *der = NULL;
	int len = there ? i2d_X509(there, &der) : 0;
	X509 *cert = len > 0 ? cert_of(slice_of(der, (size_t)len)) : NULL;

	OPENSSL_free(der);
	return cert;
}

static PKCS12 *p12_decode(const struct file *f, OSSL_LIB_CTX *ctx)
{
	PKCS12 *p = ctx ? PKCS12_init_ex(NID_pkcs7_data, ctx, NULL) : NULL;
	const uint8_t *at = f->p;

	if (ctx && !p)
		return NULL;
	return d2i_PKCS12(&p, &at, (long)f->len);
}

/* Whether the last failure was for lack of an algorithm, not of the password. */
static bool lacks_algorithm(void)
{
	unsigned long e;
	bool lacks = false;

	while ((e = ERR_get_error()))
		lacks |= ERR_GET_REASON(e) == ERR_R_UNSUPPORTED ||
			 (ERR_GET_LIB(e) == ERR_LIB_EVP && ERR_GET_REASON(e) == EVP_R_UNSUPPORTED_ALGORITHM) ||
			 (ERR_GET_LIB(e) == ERR_LIB_PKCS12 && ERR_GET_REASON(e) == PKCS12_R_UNKNOWN_DIGEST_ALGORITHM);
	return lacks;
}

/* Fills k; the certificates of `ca` may be NULL. */
static enum rc p12_parse(const struct file *f, OSSL_LIB_CTX *ctx, const char *password, struct keystore *k, bool *lacks)
{
	STACK_OF(X509) *ca = NULL;
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	PKCS12 *p;
	bool ok = true;
	int i;

	ERR_clear_error();
	*lacks = false;
	p = p12_decode(f, ctx);
	if (!p)
		return RC_BAD_INPUT;
	if (PKCS12_parse(p, password, &key, &cert, &ca) != 1) {
		PKCS12_free(p);
		*lacks = lacks_algorithm();
		return RC_DENIED;
	}
	k->key = key_here(key);
	k->cert = cert_here(cert);
	ok = (!key || k->key) && (!cert || k->cert);
	for (i = 0; ok && i < sk_X509_num(ca); i++)
		ok = add_cert(k, cert_here(sk_X509_value(ca, i)));
	X509_free(cert);
	sk_X509_pop_free(ca, X509_free);
	PKCS12_free(p);
	return ok ? RC_OK : RC_BAD_INPUT;
}

static enum rc p12_open(const struct file *f, const struct keystore_source *from, struct keystore *k,
			struct keystore_error *err)
{
	const char *password = from->password ? from->password : "";
	struct old_ciphers old = { 0 };
	bool lacks;
	enum rc rc = p12_parse(f, NULL, password, k, &lacks);

	if (rc == RC_DENIED && lacks) {
		if (!old_ciphers_load(&old)) {
			old_ciphers_unload(&old);
			ERR_clear_error();
			return fail(err, RC_BAD_INPUT, from->file,
				    "is sealed with an old cipher, for which OpenSSL's legacy provider is needed and missing; "
				    "write the file anew with a recent keytool");
		}
		rc = p12_parse(f, old.ctx, password, k, &lacks);
		old_ciphers_unload(&old);
	}
	ERR_clear_error();
	if (rc == RC_DENIED)
		return wrong_password(from, "the PKCS#12 key store", err);
	return rc == RC_OK ? RC_OK : fail(err, rc, from->file, "is no PKCS#12 key store, or damaged");
}

static enum rc open_p12(const struct file *f, const struct keystore_source *from, bool identity, struct keystore *k,
			struct keystore_error *err)
{
	enum rc rc = p12_open(f, from, k, err);

	if (rc != RC_OK)
		return rc;
	if (!identity) {	/* certificates with a key are the machine's own, not trusted */
		EVP_PKEY_free(k->key);
		X509_free(k->cert);
		k->key = NULL;
		k->cert = NULL;
		return RC_OK;
	}
	if (!k->key || !k->cert)
		return fail(err, RC_BAD_INPUT, from->file, "has no private key with a certificate; was the trust store meant?");
	return RC_OK;
}

/* ---- PEM ---- */

static int pem_password(char *to, int room, int writing, void *user)
{
	const char *password = user;
	size_t n = password ? strlen(password) : 0;

	(void)writing;
	if (n == 0 || n > (size_t)room)
		return -1;
	memcpy(to, password, n);
	return (int)n;
}

static enum rc pem_key(const struct file *f, const char *path, const struct keystore_source *from, struct keystore *k,
		       struct keystore_error *err)
{
	const char *password = given(from->key_password) ? from->key_password : from->password;
	BIO *bio = BIO_new_mem_buf(f->p, (int)f->len);
	static const char mark[] = "PRIVATE KEY-----";

	k->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, pem_password, (void *)(uintptr_t)password) : NULL;
	BIO_free(bio);
	if (k->key)
		return RC_OK;
	if (!memmem(f->p, f->len, mark, sizeof(mark) - 1)) {
		ERR_clear_error();
		return fail(err, RC_BAD_INPUT, path, "holds no private key; name its file in svsm.kms.ssl.key.file");
	}
	return fail(err, RC_DENIED, path, "the private key cannot be opened: %s; is ssl.server.keystore.keypassword right?",
		    keystore_openssl_says());
}

static enum rc pem_certs(const struct file *f, const struct keystore_source *from, struct keystore *k,
			 struct keystore_error *err)
{
	BIO *bio = BIO_new_mem_buf(f->p, (int)f->len);
	unsigned long e;
	bool ok = bio;
	X509 *x;

	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		ok = add_cert(k, x);
	BIO_free(bio);
	e = ERR_peek_last_error();
	if (!ok || !(ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE))
		return fail(err, RC_BAD_INPUT, from->file, "a certificate in it is malformed: %s", keystore_openssl_says());
	ERR_clear_error();
	if (sk_X509_num(k->chain) == 0)
		return fail(err, RC_BAD_INPUT, from->file, "holds no certificate");
	return RC_OK;
}

static enum rc open_pem(const struct file *f, const struct keystore_source *from, bool identity, struct keystore *k,
			struct keystore_error *err)
{
	KEY_FILE other = { 0 };
	enum rc rc = pem_certs(f, from, k, err);

	if (rc != RC_OK || !identity)
		return rc;
	k->cert = sk_X509_shift(k->chain);
	if (!given(from->key_file))
		return pem_key(f, from->file, from, k, err);
	rc = file_read(from->key_file, "svsm.kms.ssl.key.file", &other, err);
	return rc == RC_OK ? pem_key(&other, from->key_file, from, k, err) : rc;
}

/* ---- the public face ---- */

static enum rc open_store(const struct keystore_source *from, bool identity, struct keystore *out,
			  struct keystore_error *err)
{
	static enum rc (*const openers[])(const struct file *, const struct keystore_source *, bool, struct keystore *,
					  struct keystore_error *) = {
		[F_PEM] = open_pem, [F_PKCS12] = open_p12, [F_JKS] = open_jks
	};
	KEY_FILE f = { 0 };
	struct keystore k = { 0 };
	enum format format = F_PEM;
	enum rc rc = file_read(from->file, from->setting, &f, err);

	if (rc == RC_OK)
		rc = format_of(&f, from, &format, err);
	if (rc != RC_OK)
		return rc;
	k.chain = sk_X509_new_null();
	rc = k.chain ? openers[format](&f, from, identity, &k, err) : fail(err, RC_NO_ROOM, from->file, "out of memory");
	if (rc != RC_OK)
		keystore_release(&k);
	else
		*out = k;
	return rc;
}

enum rc keystore_identity(const struct keystore_source *from, struct keystore *out, struct keystore_error *err)
{
	struct keystore k;
	enum rc rc = open_store(from, true, &k, err);

	if (rc != RC_OK)
		return rc;
	if (X509_check_private_key(k.cert, k.key) != 1) {
		ERR_clear_error();
		keystore_release(&k);
		return fail(err, RC_BAD_INPUT, from->file, "the private key does not belong to its first certificate");
	}
	*out = k;
	return RC_OK;
}

enum rc keystore_trust(const struct keystore_source *from, struct keystore *out, struct keystore_error *err)
{
	struct keystore k;
	enum rc rc = open_store(from, false, &k, err);

	if (rc != RC_OK)
		return rc;
	if (sk_X509_num(k.chain) == 0) {
		keystore_release(&k);
		return fail(err, RC_BAD_INPUT, from->file, "holds no trusted certificate");
	}
	*out = k;
	return RC_OK;
}
