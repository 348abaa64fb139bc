/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the client; see secure.h. */
#include "client/secure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct secure {
	SSL_CTX *ctx;
	SSL *ssl; /* NULL between connections */
	int fd;
	bool ready, insecure, broken;
	bool borrows; /* ctx and method are another's */
	BIO_METHOD *method;
};

static const char *newest_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "no reason given";
}

/* OpenSSL's own socket BIO would let a closed connection kill the program with SIGPIPE. */
static int bio_write(BIO *b, const char *from, int len)
{
	struct secure *s = BIO_get_data(b);
	ssize_t n = send(s->fd, from, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)n;
}

static int bio_read(BIO *b, char *to, int len)
{
	struct secure *s = BIO_get_data(b);
	ssize_t n = recv(s->fd, to, (size_t)len, 0);

	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

MUST_CHECK static bool set_up(struct secure *s, const char *ca)
{
	s->ctx = SSL_CTX_new(TLS_client_method());
	s->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client connection");
	if (!s->ctx || !s->method || BIO_meth_set_read(s->method, bio_read) != 1 ||
	    BIO_meth_set_write(s->method, bio_write) != 1 || BIO_meth_set_ctrl(s->method, bio_ctrl) != 1)
		return false;
	SSL_CTX_set_options(s->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(s->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_security_level(s->ctx, s->insecure ? 1 : 2);
	SSL_CTX_set_verify(s->ctx, s->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	return SSL_CTX_set_min_proto_version(s->ctx, TLS1_2_VERSION) == 1 &&
	       (s->insecure || (ca ? SSL_CTX_load_verify_file(s->ctx, ca) : SSL_CTX_set_default_verify_paths(s->ctx)) == 1);
}

MUST_CHECK static bool show_own(struct secure *s, const char *own)
{
	return SSL_CTX_use_certificate_chain_file(s->ctx, own) == 1 &&
	       SSL_CTX_use_PrivateKey_file(s->ctx, own, SSL_FILETYPE_PEM) == 1;
}

struct secure *secure_new(const char *ca, const char *own, bool insecure, char *why, size_t why_len)
{
	struct secure *s = calloc(1, sizeof(*s));

	ERR_clear_error();
	if (s) {
		s->fd = -1;
		s->insecure = insecure;
		s->ready = set_up(s, ca);
		if (s->ready && (!own || show_own(s, own)))
			return s;
	}
	if (s && own && SSL_CTX_get0_certificate(s->ctx))
		snprintf(why, why_len, "%s: holds no key for its certificate that can be opened: %s", own, newest_error());
	else if (own && s && s->ready)
		snprintf(why, why_len, "%s: holds no certificate to show: %s", own, newest_error());
	else if (ca)
		snprintf(why, why_len, "%s: holds no certificates to trust: %s", ca, newest_error());
	else
		snprintf(why, why_len, "TLS cannot be set up: %s", newest_error());
	secure_free(s);
	return NULL;
}

struct secure *secure_like(const struct secure *of)
{
	struct secure *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct secure){ .ctx = of->ctx, .method = of->method, .insecure = of->insecure, .ready = true,
				      .borrows = true, .fd = -1 };
	return s;
}

void secure_end(struct secure *s)
{
	if (!s->ssl)
		return;
	if (!s->broken && SSL_is_init_finished(s->ssl))
		(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->fd = -1;
}

void secure_free(struct secure *s)
{
	if (!s)
		return;
	secure_end(s);
	if (!s->borrows) {
		SSL_CTX_free(s->ctx);
		BIO_meth_free(s->method);
	}
	free(s);
}

/* An address is looked for among the certificate's addresses, and is not sent as a name. */
MUST_CHECK static bool expect_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	uint8_t address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(p, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum rc secure_begin(struct secure *s, int fd, const char *host, char *why, size_t why_len)
{
	BIO *bio;

	secure_end(s);
	s->ssl = SSL_new(s->ctx);
	bio = s->ssl ? BIO_new(s->method) : NULL;
	if (!bio || !expect_host(s->ssl, host)) {
		BIO_free(bio);
		secure_end(s);
		snprintf(why, why_len, "TLS cannot be set up: %s", newest_error());
		return RC_MACHINE;
	}
	s->fd = fd;
	s->broken = false;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_connect_state(s->ssl);
	return RC_OK;
}

enum rc secure_handshake(struct secure *s, char *why, size_t why_len)
{
	int n, e, reason;
	long verdict;

	ERR_clear_error();
	n = SSL_do_handshake(s->ssl);
	if (n == 1)
		return RC_OK;
	e = SSL_get_error(s->ssl, n);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return RC_BUSY;
	s->broken = true;
	verdict = SSL_get_verify_result(s->ssl);
	reason = ERR_GET_REASON(ERR_peek_last_error());
	if (verdict != X509_V_OK && !s->insecure)
		snprintf(why, why_len, "the server's certificate is not accepted: %s; --ca FILE names authorities to trust",
			 X509_verify_cert_error_string(verdict));
	else if (reason == SSL_R_WRONG_VERSION_NUMBER)
		snprintf(why, why_len, "the server does not speak TLS; use an http:// address");
	else
		snprintf(why, why_len, "the TLS handshake failed: %s", newest_error());
	ERR_clear_error();
	return RC_DENIED;
}

/* As a system call would have ended. */
static ssize_t failed(struct secure *s, int ret)
{
	int e;

	e = SSL_get_error(s->ssl, ret);
	if (e == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	s->broken |= errno != EAGAIN;
	ERR_clear_error();
	return -1;
}

ssize_t secure_send(struct secure *s, const void *p, size_t len)
{
	size_t n = 0;
	int ret;

	ERR_clear_error();
	ret = SSL_write_ex(s->ssl, p, len, &n);
	return ret == 1 ? (ssize_t)n : failed(s, ret);
}

ssize_t secure_recv(struct secure *s, void *to, size_t room)
{
	size_t n = 0;
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(s->ssl, to, room, &n);
	return ret == 1 ? (ssize_t)n : failed(s, ret);
}

short secure_events(const struct secure *s)
{
	return SSL_want_write(s->ssl) ? POLLOUT : POLLIN;
}
