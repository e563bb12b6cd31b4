#include "net/tls_shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/mem.h"
#include "net/tls_priv.h"

#define IDENTITY "holdfast"
#define SUITE    "TLS_AES_128_GCM_SHA256"
#define HEAD     4 /* bytes of a message's length, the highest first */

static const unsigned char suite_id[] = {0x13, 0x01};

struct tls_shared {
	SSL_CTX *ctx;
	SSL *ssl;
	uint8_t key[TLS_SHARED_KEY];
};

bool
tls_shared_new_key(uint8_t ret_key[TLS_SHARED_KEY])
{
	return RAND_priv_bytes(ret_key, TLS_SHARED_KEY) == 1;
}

/* The key in the form in which the library takes it: a session that is resumed. */
static SSL_SESSION *
session_of(SSL *ssl)
{
	const struct tls_shared *t = SSL_get_app_data(ssl);
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite_id);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session != NULL && cipher != NULL &&
	    SSL_SESSION_set1_master_key(session, t->key, sizeof(t->key)) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1) {
		return session;
	}
	SSL_SESSION_free(session);
	return NULL;
}

static int
on_find(SSL *ssl, const unsigned char *identity, size_t len, SSL_SESSION **ret_session)
{
	*ret_session = len == sizeof(IDENTITY) - 1 && memcmp(identity, IDENTITY, len) == 0
			   ? session_of(ssl)
			   : NULL;
	return 1;
}

static int
on_use(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity, size_t *ret_len,
    SSL_SESSION **ret_session)
{
	*ret_identity = (const unsigned char *)IDENTITY;
	*ret_len = sizeof(IDENTITY) - 1;
	*ret_session = md == NULL || EVP_MD_get_type(md) == NID_sha256 ? session_of(ssl) : NULL;
	return 1;
}

static SSL_CTX *
new_ctx(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, SUITE) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* a message says how long it is, so an end in between is seen */
	(void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
	if (server) {
		SSL_CTX_set_psk_find_session_callback(ctx, on_find);
	} else {
		/* No certificate is taken for the key: there are no authorities. */
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_psk_use_session_callback(ctx, on_use);
	}
	return ctx;
}

static void
limit(int fd, uint64_t wait_ms)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* What a call of the library that returned `rc` means. */
static int
fault(struct tls_shared *t, int rc, struct errmsg *err)
{
	int saved = errno, kind = SSL_get_error(t->ssl, rc);

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE ||
	    (kind == SSL_ERROR_SYSCALL && saved == EAGAIN)) {
		ERR_clear_error();
		errmsg_set(err, "the other end does not answer");
		return -ETIMEDOUT;
	}
	if (kind == SSL_ERROR_ZERO_RETURN || (kind == SSL_ERROR_SYSCALL && saved == 0)) {
		ERR_clear_error();
		errmsg_set(err, "the other end has closed the connection");
		return -EPIPE;
	}
	errmsg_set(err, "the connection broke: %s",
	    kind == SSL_ERROR_SYSCALL ? strerror(saved) : tls_last_reason("no reason given"));
	return -EIO;
}

int
tls_shared_open(int fd, bool server, const uint8_t key[TLS_SHARED_KEY], uint64_t wait_ms,
    struct tls_shared **ret_t, struct errmsg *err)
{
	struct tls_shared *t = xcalloc(1, sizeof(*t));
	int rc = -EIO, shaken;

	ERR_clear_error();
	memcpy(t->key, key, sizeof(t->key));
	limit(fd, wait_ms);
	t->ctx = new_ctx(server);
	t->ssl = t->ctx != NULL ? SSL_new(t->ctx) : NULL;
	if (t->ssl == NULL || SSL_set_app_data(t->ssl, t) != 1 || SSL_set_fd(t->ssl, fd) != 1) {
		errmsg_set(
		    err, "TLS cannot begin: %s", tls_last_reason("the library says no more"));
		tls_shared_close(&t);
		return rc;
	}
	errno = 0;
	shaken = server ? SSL_accept(t->ssl) : SSL_connect(t->ssl);
	if (shaken != 1) {
		rc = fault(t, shaken, err);
	} else if (SSL_session_reused(t->ssl) == 1) {
		*ret_t = t;
		return 0;
	}
	if (rc == -EIO) {
		rc = -EACCES;
		errmsg_prefix(err, "the other end has another token, or is no holdfast");
	}
	SSL_set_quiet_shutdown(t->ssl, 1);
	tls_shared_close(&t);
	return rc;
}

void
tls_shared_close(struct tls_shared **tp)
{
	struct tls_shared *t = *tp;

	*tp = NULL;
	if (t == NULL) {
		return;
	}
	if (t->ssl != NULL) {
		(void)SSL_shutdown(t->ssl);
		SSL_free(t->ssl);
	}
	SSL_CTX_free(t->ctx);
	ERR_clear_error();
	explicit_bzero(t, sizeof(*t));
	free(t);
}

static int
send_all(struct tls_shared *t, const uint8_t *bytes, size_t len, struct errmsg *err)
{
	size_t done = 0;
	int rc = 1;

	errno = 0;
	if (len > 0) {
		rc = SSL_write_ex(t->ssl, bytes, len, &done);
	}
	return rc == 1 ? 0 : fault(t, rc, err);
}

int
tls_shared_send(struct tls_shared *t, struct slice message, struct errmsg *err)
{
	uint8_t head[HEAD];
	int rc;

	for (size_t i = 0; i < HEAD; i++) {
		head[i] = (uint8_t)(message.len >> (8 * (HEAD - 1 - i)));
	}
	rc = send_all(t, head, sizeof(head), err);
	return rc < 0 ? rc : send_all(t, message.ptr, message.len, err);
}

static int
receive_all(struct tls_shared *t, uint8_t *bytes, size_t len, struct errmsg *err)
{
	for (size_t done = 0; done < len;) {
		size_t n = 0;
		int rc;

		errno = 0;
		rc = SSL_read_ex(t->ssl, bytes + done, len - done, &n);
		if (rc != 1) {
			return fault(t, rc, err);
		}
		done += n;
	}
	return 0;
}

int
tls_shared_receive(struct tls_shared *t, struct buf *out, struct errmsg *err)
{
	uint8_t head[HEAD], chunk[4096];
	size_t len = 0;
	int rc = receive_all(t, head, sizeof(head), err);

	for (size_t i = 0; i < HEAD; i++) {
		len = len << 8 | head[i];
	}
	while (rc == 0 && len > 0) {
		size_t now = MIN(len, sizeof(chunk));

		rc = receive_all(t, chunk, now, err);
		if (rc == 0 && buf_add(out, chunk, now) < 0) {
			errmsg_set(err, "the other end sends too much");
			rc = -EMSGSIZE;
		}
		len -= now;
	}
	explicit_bzero(chunk, sizeof(chunk));
	return rc;
}
