#include "tls_peer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

struct tls_issuer {
	EVP_PKEY *key;
	X509 *cert;
};

struct tls_peer {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	SSL_SESSION *session; /* the newest */
	const char *fault;
};

static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert(e != NULL && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

struct tls_issuer *
tls_issued_by(const struct tls_issuer *by, const char *name, long from_s, long until_s)
{
	static long serial;
	struct tls_issuer *i = xcalloc(1, sizeof(*i));
	X509_NAME *subject;

	i->key = EVP_EC_gen("P-256");
	i->cert = X509_new();
	assert(i->key != NULL && i->cert != NULL);
	assert(X509_set_version(i->cert, X509_VERSION_3) == 1);
	assert(ASN1_INTEGER_set(X509_get_serialNumber(i->cert), ++serial) == 1);
	assert(X509_gmtime_adj(X509_getm_notBefore(i->cert), from_s) != NULL);
	assert(X509_gmtime_adj(X509_getm_notAfter(i->cert), until_s) != NULL);
	subject = X509_get_subject_name(i->cert);
	assert(X509_NAME_add_entry_by_txt(
		   subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1);
	assert(X509_set_issuer_name(
		   i->cert, by != NULL ? X509_get_subject_name(by->cert) : subject) == 1);
	assert(X509_set_pubkey(i->cert, i->key) == 1);
	add_extension(i->cert, NID_basic_constraints, by == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	assert(X509_sign(i->cert, by != NULL ? by->key : i->key, EVP_sha256()) > 0);
	return i;
}

struct tls_issuer *
tls_issuer_new(const char *name, long from_s, long until_s)
{
	return tls_issued_by(NULL, name, from_s, until_s);
}

void
tls_issuer_free(struct tls_issuer **ip)
{
	struct tls_issuer *i = *ip;

	*ip = NULL;
	if (i != NULL) {
		EVP_PKEY_free(i->key);
		X509_free(i->cert);
		free(i);
	}
}

void
tls_issuer_write(
    const struct tls_issuer *i, const char *cert_path, const char *key_path, const char *passphrase)
{
	FILE *f;

	if (cert_path != NULL) {
		f = fopen(cert_path, "we");
		assert(f != NULL && PEM_write_X509(f, i->cert) == 1);
		(void)fclose(f);
	}
	if (key_path != NULL) {
		f = fopen(key_path, "we");
		assert(f != NULL && fchmod(fileno(f), 0600) == 0);
		assert(PEM_write_PKCS8PrivateKey(f, i->key,
			   passphrase != NULL ? EVP_aes_128_cbc() : NULL, passphrase,
			   passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
		(void)fclose(f);
	}
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_peer *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1; /* ours now */
}

struct tls_peer *
tls_peer_new(int fd, const struct tls_issuer *own)
{
	struct tls_peer *p = xcalloc(1, sizeof(*p));

	*p = (struct tls_peer){.fd = fd, .ctx = SSL_CTX_new(TLS_client_method()), .fault = ""};
	assert(p->ctx != NULL);
	(void)SSL_CTX_set_mode(
	    p->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(
	    p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, on_session);
	if (own != NULL) {
		assert(SSL_CTX_use_certificate(p->ctx, own->cert) == 1);
		assert(SSL_CTX_use_PrivateKey(p->ctx, own->key) == 1);
	}
	p->ssl = SSL_new(p->ctx);
	assert(p->ssl != NULL && SSL_set_fd(p->ssl, fd) == 1);
	(void)SSL_set_app_data(p->ssl, p);
	SSL_set_connect_state(p->ssl);
	return p;
}

void
tls_peer_free(struct tls_peer **pp)
{
	struct tls_peer *p = *pp;

	*pp = NULL;
	if (p != NULL) {
		SSL_SESSION_free(p->session);
		SSL_free(p->ssl);
		SSL_CTX_free(p->ctx);
		(void)close(p->fd);
		free(p);
	}
}

static void
note_fault(struct tls_peer *p, int rc)
{
	int kind = SSL_get_error(p->ssl, rc);

	if (kind == SSL_ERROR_SSL || kind == SSL_ERROR_SYSCALL) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		p->fault = reason != NULL ? reason : "the connection ended";
	}
	ERR_clear_error();
}

bool
tls_peer_shake(struct tls_peer *p)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(p->ssl);
	if (rc != 1) {
		note_fault(p, rc);
	}
	return rc == 1;
}

ssize_t
tls_peer_read(struct tls_peer *p, void *into, size_t room)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(p->ssl, into, room, &n);
	if (rc == 1) {
		return (ssize_t)n;
	}
	if (SSL_get_error(p->ssl, rc) == SSL_ERROR_ZERO_RETURN) {
		return 0;
	}
	note_fault(p, rc);
	return -1;
}

ssize_t
tls_peer_write(struct tls_peer *p, const void *bytes, size_t len)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(p->ssl, bytes, len, &n);
	if (rc == 1) {
		return (ssize_t)n;
	}
	note_fault(p, rc);
	return -1;
}

void
tls_peer_finish(struct tls_peer *p)
{
	ERR_clear_error();
	(void)SSL_shutdown(p->ssl);
	ERR_clear_error();
}

const char *
tls_peer_sees(const struct tls_peer *p)
{
	static char name[128];
	X509 *cert = SSL_get0_peer_certificate(p->ssl);

	name[0] = '\0';
	if (cert != NULL) {
		(void)X509_NAME_get_text_by_NID(
		    X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
	}
	return name;
}

const char *
tls_peer_fault(const struct tls_peer *p)
{
	return p->fault;
}

bool
tls_peer_is_resumed(const struct tls_peer *p)
{
	return SSL_session_reused(p->ssl) == 1;
}

void
tls_peer_resume(struct tls_peer *to, const struct tls_peer *from)
{
	assert(from->session != NULL && SSL_set_session(to->ssl, from->session) == 1);
}
