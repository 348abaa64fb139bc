/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS; see tls.h.
 *
 * OpenSSL reads through a BIO of ours: it knows from the server's edges whether the socket can hold anything, so
 * that a request costs one recv() under TLS too, and never waits. Session tickets are sealed with keys that all workers and
 * all contexts share, and that are replaced every hour; an old one is good for opening two hours longer.
 */
#include "proxy/tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "proxy/text.h"

#define TICKET_KEYS 3
#define TICKET_ROTATE_S 3600
#define SESSION_S (2 * TICKET_ROTATE_S)
#define SESSIONS_MAX 10000 /* of clients that know no tickets, such as older Java */
#define FILES 3

struct ticket_key {
	uint8_t name[16], aes[32], mac[32];
};

struct watched {
	char *path; /* NULL: no such file */
	struct stat st;
	bool there;
};

struct tls {
	pthread_mutex_t lock; /* of ctx */
	SSL_CTX *ctx;
	struct watched files[FILES];
	pthread_mutex_t ticket_lock; /* of the three below */
	struct ticket_key ticket[TICKET_KEYS]; /* the newest first */
	unsigned tickets;
	time_t rotate_at; /* monotonic seconds */
};

struct tls_conn {
	SSL *ssl;
	int fd;
	bool ready;   /* the socket may hold something */
	bool hung_up; /* and then its end */
	bool ended;   /* which has been read */
	bool done, failed, closed, wants_write;
	char *client;
};

/* ---- ticket keys ---- */

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

/* Caller holds ticket_lock. */
MUST_CHECK static bool ticket_rotate(struct tls *t)
{
	struct ticket_key fresh;

	if (t->tickets && now_s() < t->rotate_at)
		return true;
	if (RAND_bytes((uint8_t *)&fresh, sizeof(fresh)) != 1)
		return t->tickets;
	memmove(t->ticket + 1, t->ticket, sizeof(fresh) * (TICKET_KEYS - 1));
	t->ticket[0] = fresh;
	mem_wipe(&fresh, sizeof(fresh));
	t->tickets = t->tickets < TICKET_KEYS ? t->tickets + 1 : TICKET_KEYS;
	/* After a long pause the older ones are too old altogether. */
	if (t->rotate_at && now_s() >= t->rotate_at + SESSION_S)
		t->tickets = 1;
	t->rotate_at = now_s() + TICKET_ROTATE_S;
	return true;
}

/* The key to seal with, or the one of that name; 0: there is none, 2: it is not the newest. */
static int ticket_choose(struct tls *t, uint8_t name[16], bool seal, struct ticket_key *out)
{
	int found = 0;
	unsigned i;

	pthread_mutex_lock(&t->ticket_lock);
	if (ticket_rotate(t)) {
		for (i = 0; i < t->tickets && !found; i++) {
			if (!seal && memcmp(t->ticket[i].name, name, 16) != 0)
				continue;
			*out = t->ticket[i];
			found = i == 0 ? 1 : 2;
		}
	}
	pthread_mutex_unlock(&t->ticket_lock);
	return found;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int seal)
{
	struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key = { 0 };
	char sha256[] = "SHA256";
	int found = ticket_choose(t, name, seal, &key);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof(key.mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end(),
	};
	bool ok = found && EVP_MAC_CTX_set_params(mac, params) == 1;

	if (ok && seal) {
		memcpy(name, key.name, 16);
		ok = RAND_bytes(iv, 16) == 1 &&
		     EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv) == 1;
	} else if (ok) {
		ok = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.aes, iv) == 1;
	}
	mem_wipe(&key, sizeof(key));
	/* Without a key: no ticket is given out, or the one that came is as none. */
	return ok ? found : found ? -1 : 0;
}

/* ---- cipher suites ---- */

static const struct suite {
	const char *openssl, *java;
	bool tls13;
} suites[] = {
	{ "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", true },
	{ "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", true },
	{ "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", true },
	{ "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", false },
	{ "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", false },
	{ "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", false },
	{ "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", false },
	{ "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", false },
	{ "ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", false },
};

static bool is_plain_name(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

/* As the Java server does: the whole name has to match. RC_BAD_INPUT: no regular expression. */
static enum rc excludes(const char *entry, const char *java, bool *yes)
{
	char anchored[300];
	regex_t r;

	if (is_plain_name(entry)) {
		*yes = strncmp(entry, "SSL_", 4) == 0 ? strcmp(entry + 4, java + 4) == 0 : strcmp(entry, java) == 0;
		return RC_OK;
	}
	snprintf(anchored, sizeof(anchored), "^(%s)$", entry);
	if (regcomp(&r, anchored, REG_EXTENDED | REG_NOSUB) != 0)
		return RC_BAD_INPUT;
	*yes = regexec(&r, java, 0, NULL, 0) == 0;
	regfree(&r);
	return RC_OK;
}

static enum rc mark_excluded(const char *list, bool out[ARRAY_LEN(suites)], struct keystore_error *err)
{
	struct slice rest = slice_str(list ? list : ""), one;
	char entry[256];
	bool yes = false;
	size_t i;

	while (rest.len) {
		const uint8_t *comma = memchr(rest.p, ',', rest.len);

		one = text_trim(slice_of(rest.p, comma ? (size_t)(comma - rest.p) : rest.len));
		rest = comma ? slice_of(comma + 1, rest.len - (size_t)(comma + 1 - rest.p)) : slice_of(rest.p, 0);
		if (!one.len)
			continue;
		snprintf(entry, sizeof(entry), "%.*s", (int)(one.len < 255 ? one.len : 255), (const char *)one.p);
		for (i = 0; i < ARRAY_LEN(suites); i++) {
			if (one.len > 255 || excludes(entry, suites[i].java, &yes) != RC_OK) {
				snprintf(err->text, sizeof(err->text),
					 "ssl.server.exclude.cipher.list: '%.100s' is neither a Java cipher suite nor a POSIX "
					 "regular expression",
					 entry);
				return RC_BAD_INPUT;
			}
			out[i] |= yes;
		}
	}
	return RC_OK;
}

/* TLS 1.2 and 1.3 have a list each; without a suite a version cannot be offered. */
static enum rc choose_suites(SSL_CTX *ctx, const struct tls_options *o, struct keystore_error *err)
{
	char list[2][1024] = { "", "" };
	bool excluded[ARRAY_LEN(suites)] = { false };
	enum rc rc = mark_excluded(o->exclude, excluded, err);
	bool tls12 = o->tls12, tls13 = o->tls13;
	size_t i;

	if (rc != RC_OK)
		return rc;
	for (i = 0; i < ARRAY_LEN(suites); i++) {
		char *to = list[suites[i].tls13];
		size_t n = strlen(to);

		if (!excluded[i])
			snprintf(to + n, sizeof(list[0]) - n, "%s%s", n ? ":" : "", suites[i].openssl);
	}
	tls12 &= *list[0] != 0;
	tls13 &= *list[1] != 0;
	if (!tls12 && !tls13) {
		snprintf(err->text, sizeof(err->text),
			 "ssl.server.exclude.cipher.list leaves no cipher suite for the protocols that are enabled; shorten it");
		return RC_BAD_INPUT;
	}
	if ((*list[0] && SSL_CTX_set_cipher_list(ctx, list[0]) != 1) || SSL_CTX_set_ciphersuites(ctx, list[1]) != 1 ||
	    SSL_CTX_set_min_proto_version(ctx, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
		snprintf(err->text, sizeof(err->text), "TLS cannot be set up: %s", keystore_openssl_says());
		return RC_MACHINE;
	}
	return RC_OK;
}

/* ---- contexts ---- */

#define EXPIRY_DAYS 14

/* A server with an expired certificate is still of use to whom its operator is about to help. */
static void say_expiry(const X509 *cert, const char *file, char warning[256])
{
	time_t soon = time(NULL) + EXPIRY_DAYS * 86400;

	if (*warning)
		return;
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		snprintf(warning, 256, "%.180s: the certificate has expired; clients refuse it", file);
	else if (X509_cmp_time(X509_get0_notAfter(cert), &soon) < 0)
		snprintf(warning, 256, "%.180s: the certificate expires within %d days", file, EXPIRY_DAYS);
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		snprintf(warning, 256, "%.180s: the certificate is not valid yet; clients refuse it", file);
}

static enum rc use_identity(SSL_CTX *ctx, const struct tls_options *o, char warning[256], struct keystore_error *err)
{
	struct keystore k;
	enum rc rc = keystore_identity(&o->identity, &k, err);

	if (rc != RC_OK)
		return rc;
	snprintf(warning, 256, "%s", k.warning);
	say_expiry(k.cert, o->identity.file, warning);
	if (SSL_CTX_use_certificate(ctx, k.cert) != 1 || SSL_CTX_use_PrivateKey(ctx, k.key) != 1 ||
	    SSL_CTX_set1_chain(ctx, k.chain) != 1) {
		snprintf(err->text, sizeof(err->text),
			 "%.500s: the certificate cannot be used: %s; use RSA of at least 2048 bits or an elliptic curve, signed "
			 "with SHA-256 (svsm.kms.ssl.security.level 1 accepts weaker ones)",
			 o->identity.file, keystore_openssl_says());
		rc = RC_BAD_INPUT;
	}
	keystore_release(&k);
	return rc;
}

MUST_CHECK static bool trust_all(SSL_CTX *ctx, const struct keystore *k, EVP_MD_CTX *digest)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	uint8_t id[EVP_MAX_MD_SIZE];
	unsigned len;
	int i;

	/* Java trusts what is in the store, whether or not it signed itself. */
	if (X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return false;
	for (i = 0; i < sk_X509_num(k->chain); i++) {
		X509 *x = sk_X509_value(k->chain, i);

		if (X509_STORE_add_cert(store, x) != 1 || SSL_CTX_add_client_CA(ctx, x) != 1 ||
		    X509_digest(x, EVP_sha256(), id, &len) != 1 || EVP_DigestUpdate(digest, id, len) != 1)
			return false;
	}
	return true;
}

/*
 * A session remembers whose certificate was verified: it may be taken up only where the same certificates are trusted
 * and the same is demanded, also after a reload.
 */
static enum rc use_trust(SSL_CTX *ctx, const struct tls_options *o, struct keystore_error *err)
{
	static const int modes[] = {
		[TLS_CLIENT_NONE] = SSL_VERIFY_NONE,
		[TLS_CLIENT_OPTIONAL] = SSL_VERIFY_PEER,
		[TLS_CLIENT_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	uint8_t mode = (uint8_t)o->client_auth, id[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	struct keystore k = { 0 };
	enum rc rc = RC_OK;
	bool ok = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(digest, &mode, 1) == 1;

	if (ok && o->client_auth != TLS_CLIENT_NONE) {
		rc = keystore_trust(&o->trust, &k, err);
		ok = rc == RC_OK && trust_all(ctx, &k, digest);
	}
	ok = ok && EVP_DigestFinal_ex(digest, id, NULL) == 1 &&
	     SSL_CTX_set_session_id_context(ctx, id, SSL_MAX_SID_CTX_LENGTH) == 1;
	SSL_CTX_set_verify(ctx, modes[o->client_auth], NULL);
	EVP_MD_CTX_free(digest);
	keystore_release(&k);
	if (rc == RC_OK && !ok) {
		snprintf(err->text, sizeof(err->text), "%.500s: cannot be used as a trust store: %s",
			 o->trust.file ? o->trust.file : "", keystore_openssl_says());
		rc = RC_MACHINE;
	}
	return rc;
}

MUST_CHECK static bool set_rules(SSL_CTX *ctx, const struct tls_options *o)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_security_level(ctx, o->security_level ? (int)o->security_level : 2);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
	SSL_CTX_sess_set_cache_size(ctx, SESSIONS_MAX);
	SSL_CTX_set_timeout(ctx, SESSION_S);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 && SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:"
					      "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}

/* ALPN: http/1.1 if it is offered, else nothing is said, as a server that has never heard of ALPN would. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
		   void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static enum rc make_context(struct tls *t, const struct tls_options *o, SSL_CTX **out, char warning[256],
			    struct keystore_error *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	enum rc rc;

	ERR_clear_error();
	warning[0] = 0;
	if (!ctx || !set_rules(ctx, o)) {
		SSL_CTX_free(ctx);
		snprintf(err->text, sizeof(err->text), "TLS cannot be set up: %s", keystore_openssl_says());
		return RC_MACHINE;
	}
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	rc = choose_suites(ctx, o, err);
	if (rc == RC_OK)
		rc = use_identity(ctx, o, warning, err);
	if (rc == RC_OK)
		rc = use_trust(ctx, o, err);
	if (rc != RC_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out = ctx;
	return RC_OK;
}

/* ---- watching the files ---- */

static void look(struct watched *w)
{
	memset(&w->st, 0, sizeof(w->st));
	w->there = w->path && stat(w->path, &w->st) == 0;
}

static void unwatch(struct watched files[FILES])
{
	size_t i;

	for (i = 0; i < FILES; i++) {
		free(files[i].path);
		files[i] = (struct watched){ 0 };
	}
}

/* Before they are read, so that a change meanwhile is seen afterwards. */
MUST_CHECK static bool watch(struct watched files[FILES], const struct tls_options *o)
{
	const char *const paths[FILES] = { o->identity.file, o->identity.key_file, o->trust.file };
	size_t i;

	for (i = 0; i < FILES; i++) {
		bool some = paths[i] && *paths[i];

		files[i].path = some ? strdup(paths[i]) : NULL;
		if (some && !files[i].path)
			return false;
		look(&files[i]);
	}
	return true;
}

MUST_CHECK static bool same_paths(const struct watched a[FILES], const struct watched b[FILES])
{
	size_t i;

	for (i = 0; i < FILES; i++)
		if (!a[i].path != !b[i].path || (a[i].path && strcmp(a[i].path, b[i].path) != 0))
			return false;
	return true;
}

bool tls_changed(const struct tls *t)
{
	size_t i;

	for (i = 0; i < FILES; i++) {
		const struct watched *old = &t->files[i];
		struct watched now = { .path = old->path };

		look(&now);
		/* One that vanished is about to come back; the old certificate is good meanwhile. */
		if (now.there && (!old->there || now.st.st_ino != old->st.st_ino || now.st.st_dev != old->st.st_dev ||
				  now.st.st_size != old->st.st_size || now.st.st_mtim.tv_sec != old->st.st_mtim.tv_sec ||
				  now.st.st_mtim.tv_nsec != old->st.st_mtim.tv_nsec))
			return true;
	}
	return false;
}

enum rc tls_reload(struct tls *t, const struct tls_options *o, char warning[256], struct keystore_error *err)
{
	struct watched seen[FILES] = { 0 };
	SSL_CTX *fresh = NULL, *old;
	enum rc rc = RC_NO_ROOM;

	snprintf(err->text, sizeof(err->text), "out of memory");
	if (watch(seen, o))
		rc = make_context(t, o, &fresh, warning, err);
	/* Broken files are not read again before they change; other files that are broken are not ours. */
	if (rc != RC_OK && !same_paths(seen, t->files)) {
		unwatch(seen);
		return rc;
	}
	unwatch(t->files);
	memcpy(t->files, seen, sizeof(seen));
	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&t->lock);
	old = t->ctx;
	t->ctx = fresh;
	pthread_mutex_unlock(&t->lock);
	SSL_CTX_free(old);
	err->text[0] = 0;
	return RC_OK;
}

enum rc tls_create(const struct tls_options *o, struct tls **out, char warning[256], struct keystore_error *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	enum rc rc;

	if (!t) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return RC_NO_ROOM;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->ticket_lock, NULL);
	rc = tls_reload(t, o, warning, err);
	if (rc != RC_OK) {
		tls_free(t);
		return rc;
	}
	*out = t;
	return RC_OK;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	unwatch(t->files);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->ticket_lock);
	mem_wipe(t->ticket, sizeof(t->ticket));
	free(t);
}

/* ---- the socket as OpenSSL sees it ---- */

static int sock_read(BIO *b, char *to, int len)
{
	struct tls_conn *c = BIO_get_data(b);
	ssize_t n = -1;

	BIO_clear_retry_flags(b);
	errno = EAGAIN;
	if (c->ready) {
		do
			n = recv(c->fd, to, (size_t)len, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < len && n != 0 && !(n > 0 && c->hung_up))
			c->ready = false;
	}
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	c->ended |= n == 0;
	return (int)n;
}

static int sock_write(BIO *b, const char *from, int len)
{
	struct tls_conn *c = BIO_get_data(b);
	ssize_t n;

	BIO_clear_retry_flags(b);
	do
		n = send(c->fd, from, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	return (int)n;
}

static long sock_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	struct tls_conn *c = BIO_get_data(b);

	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)	/* an end without close_notify is an end all the same: HTTP knows its lengths */
		return c->ended;
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static BIO_METHOD *sock_method;

static void make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "server connection");

	if (m && BIO_meth_set_read(m, sock_read) == 1 && BIO_meth_set_write(m, sock_write) == 1 &&
	    BIO_meth_set_ctrl(m, sock_ctrl) == 1)
		sock_method = m;
}

static BIO *sock_bio(struct tls_conn *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *b;

	pthread_once(&once, make_method);
	b = sock_method ? BIO_new(sock_method) : NULL;
	if (!b)
		return NULL;
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	return b;
}

/* ---- connections ---- */

struct tls_conn *tls_conn_new(struct tls *t, int fd, bool thrifty)
{
	struct tls_conn *c = calloc(1, sizeof(*c));
	BIO *bio = c ? sock_bio(c) : NULL;

	if (!bio) {
		free(c);
		return NULL;
	}
	c->fd = fd;
	pthread_mutex_lock(&t->lock);
	c->ssl = SSL_new(t->ctx);	/* holds the context from here on */
	pthread_mutex_unlock(&t->lock);
	if (!c->ssl) {
		BIO_free(bio);
		free(c);
		return NULL;
	}
	SSL_set_bio(c->ssl, bio, bio);
	if (thrifty)
		SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_set_accept_state(c->ssl);
	return c;
}

void tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	free(c->client);
	free(c);
}

void tls_conn_ready(struct tls_conn *c, bool hung_up)
{
	c->ready = true;
	c->hung_up |= hung_up;
}

static void keep_client(struct tls_conn *c)
{
	X509 *x = SSL_get_verify_result(c->ssl) == X509_V_OK ? SSL_get0_peer_certificate(c->ssl) : NULL;
	BIO *b = x ? BIO_new(BIO_s_mem()) : NULL;
	char *text;
	long n;

	if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
		n = BIO_get_mem_data(b, &text);
		c->client = n > 0 ? strndup(text, (size_t)n) : NULL;
	}
	BIO_free(b);
}

static enum tls_step why_failed(struct tls_conn *c)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;

	ERR_clear_error();
	c->failed = true;
	return reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST ? TLS_PLAIN_HTTP : TLS_FAILED;
}

enum tls_step tls_conn_handshake(struct tls_conn *c)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(c->ssl);
	if (n == 1) {
		c->done = true;
		keep_client(c);
		ERR_clear_error();	/* such as of a ticket that was none */
		return TLS_DONE;
	}
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TLS_AGAIN;
	default:
		return why_failed(c);
	}
}

/* What a failed call comes to, as errno; 0: the peer has ended it properly. */
static int errno_of(struct tls_conn *c, int ret)
{
	int e = SSL_get_error(c->ssl, ret);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return EAGAIN;
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	ERR_clear_error();
	c->failed = true;
	if (e == SSL_ERROR_SYSCALL)	/* a connection that broke says nothing against its session */
		SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	return ECONNRESET;
}

/* The error queue, which SSL_get_error() looks at, is empty before each of these: whoever fails clears it. */

ssize_t tls_conn_recv(struct tls_conn *c, void *to, size_t room)
{
	size_t n = 0;
	int ret, e;

	ret = SSL_read_ex(c->ssl, to, room, &n);
	if (ret == 1) {
		c->wants_write = false;
		return (ssize_t)n;
	}
	c->wants_write = SSL_want_write(c->ssl);
	e = errno_of(c, ret);
	errno = e;
	return e ? -1 : 0;
}

ssize_t tls_conn_send(struct tls_conn *c, const struct iovec *v, size_t count)
{
	size_t total = 0, i, at, n;
	int ret;

	for (i = 0; i < count; i++) {
		for (at = 0; at < v[i].iov_len; at += n, total += n) {
			n = 0;
			ret = SSL_write_ex(c->ssl, (const uint8_t *)v[i].iov_base + at, v[i].iov_len - at, &n);
			if (ret == 1)
				continue;
			errno = errno_of(c, ret);
			if (errno == 0)
				errno = EPIPE;
			return total && errno == EAGAIN ? (ssize_t)total : -1;
		}
	}
	return (ssize_t)total;
}

bool tls_conn_more(const struct tls_conn *c)
{
	return c->ready || SSL_has_pending(c->ssl);
}

bool tls_conn_recv_wants_write(const struct tls_conn *c)
{
	return c->wants_write;
}

void tls_conn_close(struct tls_conn *c)
{
	if (!c->done || c->failed || c->closed)
		return;
	c->closed = true;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);
	ERR_clear_error();
}

const char *tls_conn_client(const struct tls_conn *c)
{
	return c->client;
}

bool tls_conn_resumed(const struct tls_conn *c)
{
	return SSL_session_reused(c->ssl) == 1;
}
