#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/mem.h"

#define TLS_MAGIC      0x544c5343U
#define FILE_MAX_BYTES ((size_t)1024 * 1024)
/* Most that one call takes from the socket: a peer that sends without end must not keep the loop to itself. */
#define TURN_BYTES ((size_t)256 * 1024)
/* A ticket is taken during the period that it is from and the next one. */
#define TICKET_PERIOD_MS ((uint64_t)12 * 3600 * 1000)
#define TICKET_NAME      16
#define TICKET_KEY       32

struct tls_server {
	SSL_CTX *ctx; /* ref */
	struct tls_facts facts;
};

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
	const char *fault;
};

/* ---- words ---- */

/* The library's own words for what went wrong last; the queue is empty afterwards. Static text. */
static const char *
last_reason(const char *otherwise)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return reason != NULL ? reason : otherwise;
}

char *
tls_facts_text(const struct tls_facts *facts, char *text, size_t size)
{
	char day[16] = "";
	struct tm tm;

	if (gmtime_r(&facts->not_after, &tm) != NULL) {
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	}
	(void)snprintf(text, size, "%s, until %s", facts->subject, day);
	return text;
}

const char *
tls_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

/* ---- files ---- */

struct pem {
	const char *what; /* "certificate" */
	const char *path;
	uint8_t *bytes; /* owned */
	size_t len;
	mode_t mode;
};

static void
pem_fini(struct pem *p)
{
	if (p->bytes != NULL) {
		explicit_bzero(p->bytes, p->len);
	}
	free(p->bytes);
	p->bytes = NULL;
}

static int
pem_read(struct pem *p, struct errmsg *err)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t n;

	if (fd == -1 || fstat(fd, &st) == -1) {
		rc = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	} else if (st.st_size > (off_t)FILE_MAX_BYTES) {
		rc = -EFBIG;
	}
	if (rc == 0) {
		p->mode = st.st_mode;
		p->bytes = xcalloc(1, (size_t)st.st_size + 1);
		while (p->len < (size_t)st.st_size &&
		       (n = read(fd, p->bytes + p->len, (size_t)st.st_size - p->len)) != 0) {
			if (n == -1 && errno != EINTR) {
				rc = -errno;
				break;
			}
			p->len += n > 0 ? (size_t)n : 0;
		}
	}
	if (rc < 0) {
		errmsg_set(
		    err, "the %s cannot be read from %s: %s", p->what, p->path, strerror(-rc));
	}
	if (fd != -1) {
		(void)close(fd);
	}
	return rc;
}

/* Called for a key that is encrypted: nobody is there to type, and the library would ask the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

/* The next certificate of a file, or NULL at its end; *ret_bad: there is one, but it cannot be read. */
static X509 *
next_certificate(BIO *in, bool *ret_bad)
{
	bool asked = false;
	X509 *cert = PEM_read_bio_X509(in, NULL, no_passphrase, &asked);
	unsigned long e = ERR_peek_last_error();

	*ret_bad = cert == NULL &&
		   (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE);
	ERR_clear_error();
	return cert;
}

static time_t
time_of(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void
note_facts(struct tls_facts *facts, X509 *cert)
{
	BIO *out = BIO_new(BIO_s_mem());
	int n = 0;

	if (out != NULL && X509_NAME_print_ex(out, X509_get_subject_name(cert), 0,
			       XN_FLAG_ONELINE) >= 0) { /* ASCII only */
		n = BIO_read(out, facts->subject, sizeof(facts->subject) - 1);
	}
	facts->subject[n > 0 ? n : 0] = '\0';
	if (n <= 0) {
		(void)snprintf(
		    facts->subject, sizeof(facts->subject), "a certificate without a name");
	}
	BIO_free(out);
	facts->not_before = time_of(X509_get0_notBefore(cert));
	facts->not_after = time_of(X509_get0_notAfter(cert));
	ERR_clear_error();
}

static int
use_chain(struct tls_server *s, const struct pem *file, struct errmsg *err)
{
	BIO *in = BIO_new_mem_buf(file->bytes, (int)file->len);
	bool bad = false;
	unsigned count = 0;
	X509 *cert = NULL;
	int rc = 0;

	while (in != NULL && rc == 0 && (cert = next_certificate(in, &bad)) != NULL) {
		if (count++ == 0) {
			note_facts(&s->facts, cert);
			rc = SSL_CTX_use_certificate(s->ctx, cert) == 1 ? 0 : -EINVAL;
		} else {
			rc = SSL_CTX_add1_chain_cert(s->ctx, cert) == 1 ? 0 : -EINVAL;
		}
		X509_free(cert);
	}
	BIO_free(in);
	if (rc < 0) {
		errmsg_set(err, "the certificate in %s is refused: %s", file->path,
		    last_reason("not a certificate for TLS"));
	} else if (count == 0 || bad) {
		errmsg_set(err,
		    "%s %s: it must hold the certificate and those that lead to its root, in PEM, "
		    "one "
		    "after the other",
		    file->path,
		    bad ? "holds something that is no certificate" : "holds no certificate");
		rc = -EINVAL;
	}
	return rc;
}

static int
use_key(struct tls_server *s, const struct pem *file, const char *cert_path, struct errmsg *err)
{
	BIO *in = BIO_new_mem_buf(file->bytes, (int)file->len);
	bool asked = false;
	EVP_PKEY *key =
	    in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked) : NULL;
	int rc = 0;

	if (asked) {
		errmsg_set(err,
		    "the key in %s has a passphrase, which nobody is there to type: store it "
		    "without one "
		    "(openssl pkey -in OLD -out NEW), readable by its owner only",
		    file->path);
		rc = -EINVAL;
	} else if (key == NULL) {
		errmsg_set(err, "%s holds no private key in PEM", file->path);
		rc = -EINVAL;
	} else if (X509_check_private_key(SSL_CTX_get0_certificate(s->ctx), key) != 1) {
		errmsg_set(err,
		    "the key in %s is not that of the certificate in %s: one of them is of another "
		    "pair",
		    file->path, cert_path);
		rc = -EINVAL;
	} else if (SSL_CTX_use_PrivateKey(s->ctx, key) != 1) {
		errmsg_set(
		    err, "the key in %s is refused: %s", file->path, last_reason("unknown kind"));
		rc = -EINVAL;
	}
	EVP_PKEY_free(key);
	BIO_free(in);
	ERR_clear_error();
	s->facts.key_is_open = (file->mode & (S_IRWXO | S_IWGRP)) != 0;
	return rc;
}

/* Clients must show a certificate that one of these has signed. */
static int
use_authorities(struct tls_server *s, const struct pem *file, struct errmsg *err)
{
	BIO *in = BIO_new_mem_buf(file->bytes, (int)file->len);
	X509_STORE *store = SSL_CTX_get_cert_store(s->ctx);
	bool bad = false;
	unsigned count = 0;
	X509 *cert;
	int rc = 0;

	while (in != NULL && rc == 0 && (cert = next_certificate(in, &bad)) != NULL) {
		count++;
		rc = X509_STORE_add_cert(store, cert) == 1 &&
			     SSL_CTX_add_client_CA(s->ctx, cert) == 1
			 ? 0
			 : -EINVAL;
		X509_free(cert);
	}
	BIO_free(in);
	if (rc < 0 || bad || count == 0) {
		errmsg_set(err, "the authorities in %s cannot be used: %s", file->path,
		    rc < 0       ? last_reason("refused")
		    : count == 0 ? "it holds no certificate in PEM"
				 : "it holds something that is no certificate");
		return -EINVAL;
	}
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

/* A session goes on only where clients are held to the same authorities as where it began. */
static void
bind_sessions(struct tls_server *s, const struct pem *ca)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(ca->len > 0 ? ca->bytes : (const uint8_t *)"", ca->len, digest, &len,
		EVP_sha256(), NULL) != 1 ||
	    SSL_CTX_set_session_id_context(
		s->ctx, digest, MIN(len, SSL_MAX_SSL_SESSION_ID_LENGTH)) != 1) {
		(void)SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
	}
}

static void
note_digest(struct tls_server *s, const struct pem *files, size_t count)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < count && good; i++) {
		uint64_t len = files[i].len;

		good = EVP_DigestUpdate(md, &len, sizeof(len)) == 1 &&
		       (len == 0 || EVP_DigestUpdate(md, files[i].bytes, files[i].len) == 1);
	}
	if (!good || EVP_DigestFinal_ex(md, s->facts.digest, NULL) != 1) {
		(void)RAND_bytes(s->facts.digest, sizeof(s->facts.digest)); /* like nothing else */
	}
	EVP_MD_CTX_free(md);
}

/* ---- tickets ---- */

static uint8_t ticket_secret[TICKET_KEY];
static bool ticket_secret_set;

void
tls_set_ticket_secret(const void *secret, size_t len)
{
	unsigned n = 0;
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(secret, len, digest, &n, EVP_sha256(), NULL) == 1 &&
	    n == sizeof(ticket_secret)) {
		memcpy(ticket_secret, digest, sizeof(ticket_secret));
		ticket_secret_set = true;
	}
	explicit_bzero(digest, sizeof(digest));
}

struct ticket_keys {
	uint8_t name[TICKET_KEY], aes[TICKET_KEY], mac[TICKET_KEY];
};

static bool
derive(uint64_t period, const char *label, uint8_t *ret_key)
{
	char text[64];
	unsigned len = 0;
	int n = snprintf(
	    text, sizeof(text), "holdfast tls ticket %s %llu", label, (unsigned long long)period);

	return HMAC(EVP_sha256(), ticket_secret, sizeof(ticket_secret), (const uint8_t *)text,
		   (size_t)n, ret_key, &len) != NULL &&
	       len == TICKET_KEY;
}

static bool
derive_all(uint64_t period, struct ticket_keys *ret_keys)
{
	return derive(period, "name", ret_keys->name) && derive(period, "aes", ret_keys->aes) &&
	       derive(period, "mac", ret_keys->mac);
}

static bool
begin_ticket(const struct ticket_keys *keys, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    bool making)
{
	uint8_t mac_key[TICKET_KEY];
	char digest[] = "sha256";
	OSSL_PARAM params[3];

	memcpy(mac_key, keys->mac, sizeof(mac_key));
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof(mac_key));
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, keys->aes, iv, making ? 1 : 0) ==
		   1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 done, 2 done and to be renewed, 0 not known, -1 failed. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int making)
{
	uint64_t now = clock_wall_ms() / TICKET_PERIOD_MS;
	struct ticket_keys keys;
	int rc = making ? -1 : 0;

	if (making && RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
	    derive_all(now, &keys) && begin_ticket(&keys, iv, cipher, mac, true)) {
		memcpy(name, keys.name, TICKET_NAME);
		rc = 1;
	}
	for (uint64_t back = 0; !making && rc == 0 && back < 2; back++) {
		if (derive_all(now - back, &keys) && memcmp(name, keys.name, TICKET_NAME) == 0) {
			rc = !begin_ticket(&keys, iv, cipher, mac, false) ? -1 : back == 0 ? 1 : 2;
		}
	}
	explicit_bzero(&keys, sizeof(keys));
	return rc;
}

/* ---- what a listener shows ---- */

static SSL_CTX *
new_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL) {
		return NULL;
	}
	if (!ticket_secret_set && RAND_bytes(ticket_secret, sizeof(ticket_secret)) == 1) {
		ticket_secret_set = true;
	}
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					   SSL_OP_IGNORE_UNEXPECTED_EOF |
					   (ticket_secret_set ? 0 : SSL_OP_NO_TICKET));
	/* an idle connection keeps no buffers; the chain is what the file says */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int
tls_server_new(const struct tls_files *files, struct tls_server **ret_server, struct errmsg *err)
{
	struct pem pems[] = {{.what = "certificate", .path = files->cert},
	    {.what = "key", .path = files->key},
	    {.what = "list of authorities", .path = files->ca}};
	struct tls_server *s = xcalloc(1, sizeof(*s));
	int rc = 0;

	ERR_clear_error();
	for (size_t i = 0; i < ARRAY_LEN(pems) && rc == 0; i++) {
		rc = pems[i].path != NULL ? pem_read(&pems[i], err) : 0;
	}
	s->ctx = rc == 0 ? new_ctx() : NULL;
	if (rc == 0 && s->ctx == NULL) {
		errmsg_set(err, "TLS cannot begin: %s", last_reason("the library says no more"));
		rc = -ENOMEM;
	}
	if (rc == 0) {
		rc = use_chain(s, &pems[0], err);
	}
	if (rc == 0) {
		rc = use_key(s, &pems[1], files->cert, err);
	}
	if (rc == 0 && files->ca != NULL) {
		rc = use_authorities(s, &pems[2], err);
	}
	if (rc == 0) {
		bind_sessions(s, &pems[2]);
		note_digest(s, pems, ARRAY_LEN(pems));
		*ret_server = s;
		s = NULL;
	}
	tls_server_free(&s);
	for (size_t i = ARRAY_LEN(pems); i > 0; i--) {
		pem_fini(&pems[i - 1]);
	}
	return rc;
}

void
tls_server_free(struct tls_server **sp)
{
	struct tls_server *s = *sp;

	*sp = NULL;
	if (s != NULL) {
		SSL_CTX_free(s->ctx);
		free(s);
	}
}

const struct tls_facts *
tls_server_facts(const struct tls_server *s)
{
	return &s->facts;
}

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

struct tls *
tls_new(const struct tls_server *server, int fd)
{
	const BIO_METHOD *method = bio_method();
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *bio = method != NULL ? BIO_new(method) : NULL;

	*t = (struct tls){.magic = TLS_MAGIC, .fd = fd, .ssl = SSL_new(server->ctx), .fault = ""};
	buf_init(&t->early, 0);
	if (bio == NULL || t->ssl == NULL) {
		BIO_free(bio);
		tls_free(&t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_accept_state(t->ssl);
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
		t->fault = last_reason("protocol error");
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

const char *
tls_fault(const struct tls *t)
{
	return t->fault;
}
