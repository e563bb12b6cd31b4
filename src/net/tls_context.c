#include "net/tls_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/mem.h"

#define FILE_MAX_BYTES ((size_t)1024 * 1024)
/* A ticket is taken during the period that it is from and the next one. */
#define TICKET_PERIOD_MS ((uint64_t)12 * 3600 * 1000)
#define TICKET_NAME      16
#define TICKET_KEY       32

/* ---- words ---- */

const char *
tls_last_reason(const char *otherwise)
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
		    tls_last_reason("not a certificate for TLS"));
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
		errmsg_set(err, "the key in %s is refused: %s", file->path,
		    tls_last_reason("unknown kind"));
		rc = -EINVAL;
	}
	EVP_PKEY_free(key);
	BIO_free(in);
	ERR_clear_error();
	s->facts.key_is_open = (file->mode & (S_IRWXO | S_IWGRP)) != 0;
	return rc;
}

/* The peer must show a certificate that one of these has signed. */
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
		    rc < 0       ? tls_last_reason("refused")
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

/* ---- what is shown, and what the peer must show ---- */

static SSL_CTX *
new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

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

/* `method` says on which side; certificate and key may be missing on a client's. */
static int
new_context(const struct tls_files *files, const SSL_METHOD *method, struct tls_server **ret_server,
    struct errmsg *err)
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
	s->ctx = rc == 0 ? new_ctx(method) : NULL;
	if (rc == 0 && s->ctx == NULL) {
		errmsg_set(
		    err, "TLS cannot begin: %s", tls_last_reason("the library says no more"));
		rc = -ENOMEM;
	}
	if (rc == 0 && files->cert != NULL) {
		rc = use_chain(s, &pems[0], err);
	}
	if (rc == 0 && files->cert != NULL) {
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

int
tls_server_new(const struct tls_files *files, struct tls_server **ret_server, struct errmsg *err)
{
	return new_context(files, TLS_server_method(), ret_server, err);
}

static struct tls_server *client; /* for the whole process */

int
tls_set_client(const struct tls_files *files, struct errmsg *err)
{
	struct tls_server *made = NULL;
	int rc = files != NULL ? new_context(files, TLS_client_method(), &made, err) : 0;

	if (rc == 0) {
		tls_sessions_forget();
		tls_server_free(&client);
		client = made;
		if (client != NULL) {
			tls_sessions_keep(client->ctx);
		}
	}
	return rc;
}

SSL_CTX *
tls_client_ctx(void)
{
	return client != NULL ? client->ctx : NULL;
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
