/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetric primitives through libcrypto's EVP. Contexts are created once per thread: creating one per
 * call costs several times the operation itself.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"
#include "crypto/internal.h"

static struct {
	EVP_MAC *hmac;
	EVP_CIPHER *ctr[3][33];	/* by cipher and key length */
	EVP_CIPHER *gcm;
	EVP_CIPHER *chacha;
	EVP_MD *sha256;
} alg;

struct crypto {
	EVP_MAC_CTX *mac[CRYPTO_MAC_SLOTS];
	uint64_t mac_id[CRYPTO_MAC_SLOTS];
	EVP_CIPHER_CTX *ctr[2];
	const EVP_CIPHER *ctr_now[2];	/* what they are bound to */
	EVP_CIPHER_CTX *gcm;
	EVP_CIPHER_CTX *chacha;
	EVP_MD_CTX *sha;
};

enum rc crypto_start(void)
{
	if (alg.hmac)
		return RC_OK;
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return RC_MACHINE;
	alg.ctr[CRYPTO_AES][16] = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
	alg.ctr[CRYPTO_AES][24] = EVP_CIPHER_fetch(NULL, "AES-192-CTR", NULL);
	alg.ctr[CRYPTO_AES][32] = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
	alg.ctr[CRYPTO_SM4][16] = EVP_CIPHER_fetch(NULL, "SM4-CTR", NULL);
	alg.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	alg.chacha = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
	alg.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	alg.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!alg.ctr[CRYPTO_AES][16] || !alg.ctr[CRYPTO_AES][24] || !alg.ctr[CRYPTO_AES][32] ||
	    !alg.ctr[CRYPTO_SM4][16] || !alg.gcm || !alg.chacha || !alg.sha256 || !alg.hmac)
		return RC_MACHINE;
	return RC_OK;
}

struct crypto *crypto_new(void)
{
	struct crypto *c = calloc(1, sizeof(*c));
	bool ok = c != NULL;
	size_t i;

	for (i = 0; ok && i < CRYPTO_MAC_SLOTS; i++)
		ok = (c->mac[i] = EVP_MAC_CTX_new(alg.hmac)) != NULL;
	for (i = 0; ok && i < 2; i++)
		ok = (c->ctr[i] = EVP_CIPHER_CTX_new()) != NULL;
	ok = ok && (c->gcm = EVP_CIPHER_CTX_new()) && (c->chacha = EVP_CIPHER_CTX_new()) &&
	     (c->sha = EVP_MD_CTX_new());
	/* Bound to their cipher now, so that later calls only change key and IV. */
	ok = ok && EVP_EncryptInit_ex2(c->gcm, alg.gcm, NULL, NULL, NULL) == 1 &&
	     EVP_EncryptInit_ex2(c->chacha, alg.chacha, NULL, NULL, NULL) == 1 &&
	     EVP_DigestInit_ex2(c->sha, alg.sha256, NULL) == 1;
	if (!ok) {
		crypto_free(c);
		return NULL;
	}
	return c;
}

void crypto_free(struct crypto *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < CRYPTO_MAC_SLOTS; i++)
		EVP_MAC_CTX_free(c->mac[i]);
	for (i = 0; i < 2; i++)
		EVP_CIPHER_CTX_free(c->ctr[i]);
	EVP_CIPHER_CTX_free(c->gcm);
	EVP_CIPHER_CTX_free(c->chacha);
	EVP_MD_CTX_free(c->sha);
	free(c);
}

void crypto_mac_key_set(struct crypto_mac_key *k, const void *key, size_t len)
{
	static atomic_uint_least64_t next = 1;

	INVARIANT(len <= sizeof(k->b));
	mem_wipe(k->b, sizeof(k->b));
	if (len)
		memcpy(k->b, key, len);
	k->len = len;
	k->id = atomic_fetch_add(&next, 1);
}

void crypto_mac_key_wipe(struct crypto_mac_key *k)
{
	mem_wipe(k, sizeof(*k));
}

static bool mac_begin(struct crypto *c, unsigned slot, const struct crypto_mac_key *k)
{
	static char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
				OSSL_PARAM_construct_end() };

	INVARIANT(slot < CRYPTO_MAC_SLOTS && k->id != 0);
	if (c->mac_id[slot] == k->id)
		return EVP_MAC_init(c->mac[slot], NULL, 0, NULL) == 1;
	c->mac_id[slot] = 0;
	if (EVP_MAC_init(c->mac[slot], k->b, k->len, params) != 1)
		return false;
	c->mac_id[slot] = k->id;
	return true;
}

enum rc crypto_mac(struct crypto *c, unsigned slot, const struct crypto_mac_key *k, const struct slice *parts,
		   size_t count, uint8_t out[CRYPTO_HASH_LEN])
{
	uint8_t sum[CRYPTO_HASH_LEN];
	size_t i, n;

	if (!mac_begin(c, slot, k))
		return RC_MACHINE;
	for (i = 0; i < count; i++)
		if (EVP_MAC_update(c->mac[slot], parts[i].p, parts[i].len) != 1)
			return RC_MACHINE;
	if (EVP_MAC_final(c->mac[slot], sum, &n, sizeof(sum)) != 1 || n != sizeof(sum))
		return RC_MACHINE;
	memcpy(out, sum, sizeof(sum));
	mem_wipe(sum, sizeof(sum));
	return RC_OK;
}

enum rc crypto_ctr_key(struct crypto *c, unsigned slot, enum crypto_cipher cipher, const uint8_t *key,
		       size_t key_len)
{
	const EVP_CIPHER *want;

	INVARIANT(slot < 2 && (cipher == CRYPTO_AES || cipher == CRYPTO_SM4));
	if (key_len > 32 || !alg.ctr[cipher][key_len])
		return RC_BAD_INPUT;
	/* Naming the cipher again would have libcrypto free what it has for it, and make it anew. */
	want = alg.ctr[cipher][key_len];
	if (EVP_EncryptInit_ex2(c->ctr[slot], want == c->ctr_now[slot] ? NULL : want, key, NULL, NULL) != 1) {
		c->ctr_now[slot] = NULL;
		return RC_MACHINE;
	}
	c->ctr_now[slot] = want;
	return RC_OK;
}

enum rc crypto_ctr(struct crypto *c, unsigned slot, const uint8_t iv[CRYPTO_IV_LEN], const uint8_t *in,
		   size_t len, uint8_t *out)
{
	int n = 0;

	INVARIANT(slot < 2);
	if (len > INT32_MAX)
		return RC_BAD_INPUT;
	if (EVP_EncryptInit_ex2(c->ctr[slot], NULL, NULL, iv, NULL) != 1 ||
	    (len && EVP_EncryptUpdate(c->ctr[slot], out, &n, in, (int)len) != 1) || n != (int)len)
		return RC_MACHINE;
	return RC_OK;
}

static const uint8_t zero_iv[16];

enum rc crypto_seal(struct crypto *c, const struct secret *once, struct slice aad, const uint8_t *in, size_t len,
		    uint8_t *out, uint8_t tag[CRYPTO_TAG_LEN])
{
	int n = 0;

	if (len > INT32_MAX || aad.len > INT32_MAX)
		return RC_BAD_INPUT;
	if (EVP_EncryptInit_ex2(c->gcm, NULL, once->b, zero_iv, NULL) != 1 ||
	    (aad.len && EVP_EncryptUpdate(c->gcm, NULL, &n, aad.p, (int)aad.len) != 1) ||
	    (len && EVP_EncryptUpdate(c->gcm, out, &n, in, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(c->gcm, out + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c->gcm, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN, tag) != 1)
		return RC_MACHINE;
	return RC_OK;
}

enum rc crypto_open(struct crypto *c, const struct secret *once, struct slice aad, const uint8_t *in, size_t len,
		    uint8_t *out, const uint8_t tag[CRYPTO_TAG_LEN])
{
	uint8_t expect[CRYPTO_TAG_LEN];
	int n = 0;

	if (len > INT32_MAX || aad.len > INT32_MAX)
		return RC_BAD_INPUT;
	memcpy(expect, tag, sizeof(expect));
	if (EVP_DecryptInit_ex2(c->gcm, NULL, once->b, zero_iv, NULL) != 1 ||
	    (aad.len && EVP_DecryptUpdate(c->gcm, NULL, &n, aad.p, (int)aad.len) != 1) ||
	    (len && EVP_DecryptUpdate(c->gcm, out, &n, in, (int)len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(c->gcm, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, expect) != 1) {
		mem_wipe(out, len);
		return RC_MACHINE;
	}
	if (EVP_DecryptFinal_ex(c->gcm, out + len, &n) != 1) {
		mem_wipe(out, len);
		return RC_DENIED;
	}
	return RC_OK;
}

enum rc crypto_sha256(const void *p, size_t len, uint8_t out[CRYPTO_HASH_LEN])
{
	unsigned n = 0;

	if (EVP_Digest(p, len, out, &n, alg.sha256, NULL) != 1 || n != CRYPTO_HASH_LEN)
		return RC_MACHINE;
	return RC_OK;
}

enum rc crypto_sha256_two(struct crypto *c, struct slice a, struct slice b, uint8_t out[CRYPTO_HASH_LEN])
{
	unsigned n = 0;

	if (EVP_DigestInit_ex2(c->sha, NULL, NULL) != 1 || EVP_DigestUpdate(c->sha, a.p, a.len) != 1 ||
	    EVP_DigestUpdate(c->sha, b.p, b.len) != 1 || EVP_DigestFinal_ex(c->sha, out, &n) != 1 || n != CRYPTO_HASH_LEN)
		return RC_MACHINE;
	return RC_OK;
}

enum rc crypto_chacha(struct crypto *c, const struct secret *key, uint8_t *out, size_t len)
{
	int n = 0;

	memset(out, 0, len);
	if (EVP_EncryptInit_ex2(c->chacha, NULL, key->b, zero_iv, NULL) != 1 ||
	    EVP_EncryptUpdate(c->chacha, out, &n, out, (int)len) != 1 || n != (int)len) {
		mem_wipe(out, len);
		return RC_MACHINE;
	}
	return RC_OK;
}
