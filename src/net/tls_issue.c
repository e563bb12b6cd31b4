#include "net/tls_issue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "net/tls_priv.h"

#define DAY_S        (24 * 3600L)
#define EARLY_S      DAY_S
#define SERIAL_BYTES 19
#define REQUEST_MAX  ((size_t)16 * 1024)

void
tls_pair_fini(struct tls_pair *p)
{
	if (p->key != NULL) {
		explicit_bzero(p->key, strlen(p->key));
	}
	free(p->cert);
	free(p->key);
	*p = (struct tls_pair){0};
}

static int
failed(struct errmsg *err, const char *what)
{
	errmsg_set(err, "%s: %s", what, tls_last_reason("the TLS library says no more"));
	return -EIO;
}

/* ---- texts ---- */

/* The caller's; NULL: no memory. */
static char *
text_of(BIO *bio)
{
	char *bytes = NULL;
	long len = bio != NULL ? BIO_get_mem_data(bio, &bytes) : 0;

	return len > 0 ? xstrndup(bytes, (size_t)len) : NULL;
}

static char *
key_text(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;

	if (bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
		text = text_of(bio);
	}
	BIO_free(bio);
	return text;
}

static char *
cert_text(X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (bio != NULL && PEM_write_bio_X509(bio, cert) == 1) {
		text = text_of(bio);
	}
	BIO_free(bio);
	return text;
}

/* Nobody is there to type, and the library would ask the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static int
read_authority(
    const struct tls_pair *p, time_t now, X509 **ret_cert, EVP_PKEY **ret_key, struct errmsg *err)
{
	BIO *cert_in = BIO_new_mem_buf(p->cert, -1), *key_in = BIO_new_mem_buf(p->key, -1);
	X509 *cert = NULL;
	EVP_PKEY *key = NULL;
	int rc = -EINVAL;

	if (cert_in != NULL && key_in != NULL) {
		cert = PEM_read_bio_X509(cert_in, NULL, no_passphrase, NULL);
		key = PEM_read_bio_PrivateKey(key_in, NULL, no_passphrase, NULL);
	}
	if (cert == NULL || X509_check_ca(cert) != 1) {
		errmsg_set(err, "the authority's certificate is none of an authority, in PEM");
	} else if (key == NULL) {
		errmsg_set(
		    err, "the authority's key is no private key in PEM without a passphrase");
	} else if (X509_check_private_key(cert, key) != 1) {
		errmsg_set(err, "the authority's key is not that of its certificate");
	} else if (X509_cmp_time(X509_get0_notAfter(cert), &now) < 0) {
		errmsg_set(err,
		    "the authority's certificate is out of date: make a new one in an empty "
		    "folder, and give it to all hosts before their own certificates");
	} else {
		*ret_cert = cert;
		*ret_key = key;
		cert = NULL;
		key = NULL;
		rc = 0;
	}
	BIO_free(cert_in);
	BIO_free(key_in);
	X509_free(cert);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

/* ---- certificates ---- */

static EVP_PKEY *
new_key(void)
{
	return EVP_EC_gen("P-256");
}

static bool
set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *n =
	    RAND_bytes(bytes, sizeof(bytes)) == 1 ? BN_bin2bn(bytes, sizeof(bytes), NULL) : NULL;
	bool good = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;

	BN_free(n);
	return good;
}

static bool
set_name(X509 *cert, const char *name)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
		   (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool
add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool good = ext != NULL && X509_add_ext(cert, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return good;
}

static bool
add_name(GENERAL_NAMES *names, const char *text)
{
	uint8_t bytes[16];
	bool v4 = inet_pton(AF_INET, text, bytes) == 1;
	bool address = v4 || inet_pton(AF_INET6, text, bytes) == 1;
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value =
	    address ? (ASN1_STRING *)ASN1_OCTET_STRING_new() : (ASN1_STRING *)ASN1_IA5STRING_new();
	bool good = name != NULL && value != NULL &&
		    ASN1_STRING_set(value, address ? (const void *)bytes : text,
			address ? (v4 ? 4 : 16) : -1) == 1;

	if (good) {
		GENERAL_NAME_set0_value(name, address ? GEN_IPADD : GEN_DNS, value);
		value = NULL;
		good = sk_GENERAL_NAME_push(names, name) > 0;
		name = good ? NULL : name;
	}
	ASN1_STRING_free(value);
	GENERAL_NAME_free(name);
	return good;
}

/* Not by text: a name with a comma would be two. */
static bool
add_names(X509 *cert, const struct tls_subject *who)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool good = names != NULL && add_name(names, who->name);

	for (size_t i = 0; i < who->address_count && good; i++) {
		good =
		    strcmp(who->addresses[i], who->name) == 0 || add_name(names, who->addresses[i]);
	}
	good = good && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return good;
}

/* All that both kinds have; `issuer` NULL: itself. */
static X509 *
begin_cert(const char *name, EVP_PKEY *key, X509 *issuer, time_t now, long days)
{
	X509 *cert = X509_new();
	time_t from = now - EARLY_S, until = now + days * DAY_S;

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    ASN1_TIME_set(X509_getm_notBefore(cert), from) != NULL &&
	    ASN1_TIME_set(X509_getm_notAfter(cert), until) != NULL && set_name(cert, name) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert)) ==
		1 &&
	    X509_set_pubkey(cert, key) == 1) {
		return cert;
	}
	X509_free(cert);
	return NULL;
}

int
tls_issue_authority(const char *name, time_t now, struct tls_pair *ret_pair, struct errmsg *err)
{
	EVP_PKEY *key = new_key();
	X509 *cert = key != NULL ? begin_cert(name, key, NULL, now, TLS_AUTHORITY_DAYS) : NULL;
	struct tls_pair pair = {0};
	X509V3_CTX ctx;
	int rc = 0;

	if (cert != NULL) {
		X509V3_set_ctx_nodb(&ctx);
		X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	}
	if (cert == NULL ||
	    !add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(cert, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !add_extension(cert, &ctx, NID_subject_key_identifier, "hash") ||
	    X509_sign(cert, key, EVP_sha256()) == 0) {
		rc = failed(err, "cannot make an authority");
	} else {
		pair = (struct tls_pair){cert_text(cert), key_text(key)};
		if (pair.cert == NULL || pair.key == NULL) {
			rc = failed(err, "cannot write an authority");
		}
	}
	if (rc == 0) {
		*ret_pair = pair;
	} else {
		tls_pair_fini(&pair);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}

/* A host's certificate for that key. */
static int
sign(const struct tls_pair *authority, EVP_PKEY *key, const struct tls_subject *who, time_t now,
    char **ret_cert, struct errmsg *err)
{
	X509 *ca = NULL, *cert = NULL;
	EVP_PKEY *ca_key = NULL;
	X509V3_CTX ctx;
	char *text = NULL;
	int rc = read_authority(authority, now, &ca, &ca_key, err);

	if (rc < 0) {
		return rc;
	}
	cert = begin_cert(who->name, key, ca, now, TLS_HOST_DAYS);
	if (cert != NULL) {
		X509V3_set_ctx_nodb(&ctx);
		X509V3_set_ctx(&ctx, ca, cert, NULL, NULL, 0);
	}
	if (cert != NULL && add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(cert, &ctx, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    add_extension(cert, &ctx, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, &ctx, NID_authority_key_identifier, "keyid") &&
	    add_names(cert, who) && X509_sign(cert, ca_key, EVP_sha256()) > 0) {
		text = cert_text(cert);
	}
	if (text == NULL) {
		rc = failed(err, "cannot make a certificate");
	} else {
		*ret_cert = text;
	}
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return rc;
}

int
tls_issue_host(const struct tls_pair *authority, const struct tls_subject *who, time_t now,
    struct tls_pair *ret_pair, struct errmsg *err)
{
	EVP_PKEY *key = new_key();
	struct tls_pair pair = {.key = key != NULL ? key_text(key) : NULL};
	int rc = pair.key != NULL ? sign(authority, key, who, now, &pair.cert, err)
				  : failed(err, "cannot make a key");

	if (rc == 0) {
		*ret_pair = pair;
	} else {
		tls_pair_fini(&pair);
	}
	EVP_PKEY_free(key);
	return rc;
}

/* ---- requests ---- */

int
tls_request_new(char **ret_key, char **ret_request, struct errmsg *err)
{
	EVP_PKEY *key = new_key();
	X509_REQ *request = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *secret = NULL;
	int rc = 0;

	if (key != NULL && request != NULL && bio != NULL &&
	    X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(request, key) == 1 &&
	    X509_REQ_sign(request, key, EVP_sha256()) > 0 &&
	    PEM_write_bio_X509_REQ(bio, request) == 1) {
		text = text_of(bio);
		secret = key_text(key);
	}
	if (text == NULL || secret == NULL) {
		rc = failed(err, "cannot ask for a certificate");
		free(text);
		free(secret);
	} else {
		*ret_key = secret;
		*ret_request = text;
	}
	BIO_free(bio);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
	return rc;
}

int
tls_issue_asked(const struct tls_pair *authority, const char *request,
    const struct tls_subject *who, time_t now, char **ret_cert, struct errmsg *err)
{
	BIO *in = strlen(request) <= REQUEST_MAX ? BIO_new_mem_buf(request, -1) : NULL;
	X509_REQ *req = in != NULL ? PEM_read_bio_X509_REQ(in, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY *key = req != NULL ? X509_REQ_get0_pubkey(req) : NULL;
	int rc;

	if (key == NULL || X509_REQ_verify(req, key) != 1) {
		errmsg_set(err, "the request for a certificate is none, or not signed by its key");
		ERR_clear_error();
		rc = -EINVAL;
	} else if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_bits(key) != 256) {
		errmsg_set(err, "the request for a certificate is for a key that is not on P-256");
		rc = -EINVAL;
	} else {
		rc = sign(authority, key, who, now, ret_cert, err);
	}
	X509_REQ_free(req);
	BIO_free(in);
	return rc;
}
