#include "net/tls_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/mem.h"

#define TLS_MAGIC 0x544c5343U
/* Most that one call takes from the socket: a peer that sends without end must not keep the loop to itself. */
#define TURN_BYTES ((size_t)256 * 1024)

struct tls {
	uint32_t magic;
	int fd;           /* borrowed */
	SSL *ssl;         /* owned */
	struct buf early; /* owned: read before TLS began, not taken yet */
	size_t budget;    /* what this call may still take from the socket */
	int error;        /* what the socket said last, negative errno or 0 */
	bool dry;         /* the socket has no more for this call */
	bool ended;       /* the socket's stream has ended */
	bool wants_write; /* the last handshake or read waits for room in the socket */
	bool more;        /* see tls_has_more */
	bool stands;      /* the handshake is over */
	bool failed;      /* nothing may be sent any more */
	const void
	    *offered; /* client: the session that it would go on from; a mark, not a reference */
	const char *fault;
};

/* ---- the socket, as the library sees it ---- */

static int
on_bio_read(BIO *bio, char *into, int size)
{
	struct tls *t = OBJ_CAST((struct tls *)BIO_get_data(bio), TLS_MAGIC);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (size <= 0) {
		return 0;
	}
	if (buf_len(&t->early) > 0) {
		n = (ssize_t)MIN(buf_len(&t->early), (size_t)size);
		memcpy(into, buf_slice(&t->early).ptr, (size_t)n);
		buf_consume(&t->early, (size_t)n);
		buf_release(&t->early);
		return (int)n;
	}
	n = t->dry ? -1 : recv(t->fd, into, (size_t)size, 0);
	if (n == -1) {
		if (t->dry || errno == EAGAIN || errno == EINTR) {
			t->dry = true;
			BIO_set_retry_read(bio);
		} else {
			t->error = -errno;
		}
		return -1;
	}
	t->ended = n == 0;
	t->budget -= MIN(t->budget, (size_t)n);
	/* less than was asked for: the next call would only say that there is no more */
	t->dry = n < size || t->budget == 0;
	return (int)n;
}

static int
on_bio_write(BIO *bio, const char *bytes, int len)
{
	struct tls *t = OBJ_CAST((struct tls *)BIO_get_data(bio), TLS_MAGIC);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (len <= 0) {
		return 0;
	}
	do {
		n = send(t->fd, bytes, (size_t)len, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN) {
		BIO_set_retry_write(bio);
	} else if (n == -1) {
		t->error = -errno;
	}
	return (int)n;
}

static long
on_bio_ctrl(BIO *bio, int cmd, long number, void *arg)
{
	const struct tls *t = BIO_get_data(bio);

	if (cmd == BIO_CTRL_EOF) {
		return t->ended ? 1 : 0;
	}
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

/* One for the process, like the library's own. */
static const BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast");
		if (method != NULL) {
			(void)BIO_meth_set_read(method, on_bio_read);
			(void)BIO_meth_set_write(method, on_bio_write);
			(void)BIO_meth_set_ctrl(method, on_bio_ctrl);
		}
	}
	return method;
}

/* ---- a connection ---- */

static struct tls *
make(SSL_CTX *ctx, int fd)
{
	const BIO_METHOD *method = bio_method();
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *bio = method != NULL ? BIO_new(method) : NULL;

	*t = (struct tls){.magic = TLS_MAGIC, .fd = fd, .ssl = SSL_new(ctx), .fault = ""};
	buf_init(&t->early, 0);
	if (bio == NULL || t->ssl == NULL) {
		BIO_free(bio);
		tls_free(&t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	return t;
}

int
tls_fd_of(const SSL *ssl)
{
	const struct tls *t = BIO_get_data(SSL_get_rbio(ssl));

	return t->fd;
}

struct tls *
tls_new(const struct tls_server *server, int fd)
{
	struct tls *t = make(server->ctx, fd);

	if (t != NULL) {
		SSL_set_accept_state(t->ssl);
	}
	return t;
}

struct tls *
tls_new_client(int fd)
{
	SSL_CTX *ctx = tls_client_ctx();
	struct tls *t = ctx != NULL ? make(ctx, fd) : NULL;

	if (t != NULL) {
		SSL_set_connect_state(t->ssl);
		t->offered = tls_sessions_use(t->ssl, fd);
	}
	return t;
}

void
tls_feed(struct tls *t, struct buf *early)
{
	assert(buf_len(&t->early) == 0);
	buf_fini(&t->early);
	t->early = *early;
	buf_init(early, early->max);
}

void
tls_free(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t == NULL) {
		return;
	}
	SSL_free(t->ssl);
	ERR_clear_error();
	buf_fini(&t->early);
	t->magic = 0;
	free(t);
}

/* What a call of the library that did not succeed means. 0: the stream has ended. */
static int
outcome(struct tls *t, int rc)
{
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		t->failed = true;
		t->fault = t->error < 0 ? strerror(-t->error) : "the peer went away";
		ERR_clear_error();
		return t->error < 0 ? t->error : -ECONNRESET;
	default:
		t->failed = true;
		t->fault = tls_last_reason("protocol error");
		return -EPROTO;
	}
}

static void
begin_call(struct tls *t)
{
	ERR_clear_error();
	t->dry = t->wants_write = t->more = false;
	t->budget = TURN_BYTES;
}

int
tls_handshake(struct tls *t)
{
	int rc;

	assert(!t->stands && !t->failed);
	begin_call(t);
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1) {
		t->stands = true;
		t->more = true; /* what came with the peer's last words */
		return 0;
	}
	rc = outcome(t, rc);
	if (rc == 0) {
		t->failed = true;
		t->fault = "the peer ended it";
		rc = -ECONNRESET;
	}
	if (t->failed && t->offered != NULL) {
		tls_sessions_drop(t->offered); /* the next one shows its certificate */
	}
	return rc;
}

ssize_t
tls_read(struct tls *t, uint8_t *into, size_t room)
{
	size_t got = 0, n;
	int rc = -EAGAIN;

	assert(t->stands);
	begin_call(t);
	while (got < room) {
		rc = SSL_read_ex(t->ssl, into + got, room - got, &n);
		if (rc != 1) {
			rc = outcome(t, rc);
			break;
		}
		got += n;
	}
	/* An end or an error behind the bytes is told by the next call. */
	t->more = got > 0 && rc != -EAGAIN;
	return got > 0 ? (ssize_t)got : rc;
}

bool
tls_has_more(const struct tls *t)
{
	return t->more;
}

ssize_t
tls_write(struct tls *t, const uint8_t *bytes, size_t len)
{
	bool read_wants_write = t->wants_write;
	size_t done = 0, n;
	int rc = -EAGAIN;

	assert(t->stands);
	if (t->failed) {
		return -EPIPE;
	}
	ERR_clear_error();
	t->wants_write = false;
	while (done < len) {
		rc = SSL_write_ex(t->ssl, bytes + done, len - done, &n);
		if (rc != 1) {
			rc = outcome(t, rc);
			break;
		}
		done += n;
	}
	if (rc == -EAGAIN && !t->wants_write && len > 0) {
		t->failed = true; /* to read first is what only a renegotiation would ask for */
		t->fault = "renegotiation";
		rc = -EPROTO;
	}
	/* that the socket is full is told by the result; what a read waits for is another matter */
	t->wants_write = read_wants_write;
	return done > 0 ? (ssize_t)done : rc == 0 ? -EPIPE : rc;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

void
tls_shutdown(struct tls *t)
{
	if (t->stands && !t->failed) {
		ERR_clear_error();
		(void)SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
}

bool
tls_is_resumed(const struct tls *t)
{
	return t->stands && SSL_session_reused(t->ssl) == 1;
}

const char *
tls_fault(const struct tls *t)
{
	return t->fault;
}
