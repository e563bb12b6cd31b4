/*
 * A small certificate authority of one's own, for hosts that are one cluster and have none: it signs one certificate for each host and nothing
 * else. Keys are ECDSA on P-256. A host's certificate serves both sides, since servers and sentinels are each other's clients; an authority's
 * cannot sign another authority.
 *
 *   tls_issue_authority ──► authority ──┬─ tls_issue_host ──► key and certificate of a host
 *                                       └─ tls_issue_asked ◄── tls_request_new on another host, whose key stays there
 *
 * Everything is text in PEM; nothing here reads or writes a file. Like tls_context.c it knows the library (OpenSSL 3), so that others need not.
 */
#ifndef NET_TLS_ISSUE_H
#define NET_TLS_ISSUE_H

#include <stddef.h>
#include <time.h>

#include "base/defs.h"
#include "base/errmsg.h"

#define TLS_AUTHORITY_DAYS 3650
#define TLS_HOST_DAYS      825
#define TLS_NAME_MAX       64 /* of a subject, X.509's own limit */

/* PEM texts, owned. `key` of an authority that only checks may be NULL. */
struct tls_pair {
	char *cert, *key;
};

void tls_pair_fini(struct tls_pair *p);

/* Whose certificate it is: borrowed. */
struct tls_subject {
	const char *name; /* the host's; also one of the names that the certificate is for */
	const char *const *addresses; /* further ones: addresses, or names where they are none */
	size_t address_count;
};

/* A new authority of that name, valid from a day before `now`: clocks differ. 0, or -EIO with what the library said. */
int tls_issue_authority(
    const char *name, time_t now, struct tls_pair *ret_pair, struct errmsg *err) ATTR_WARN_UNUSED;
/* A new key and its certificate. 0; -EINVAL: the authority's texts are none, or not a pair, or it is out of date; -EIO. */
int tls_issue_host(const struct tls_pair *authority, const struct tls_subject *who, time_t now,
    struct tls_pair *ret_pair, struct errmsg *err) ATTR_WARN_UNUSED;

/* A new key, and a request (PKCS #10) for a certificate of it. What the certificate says is the authority's business. 0 or -EIO. */
int tls_request_new(char **ret_key, char **ret_request, struct errmsg *err) ATTR_WARN_UNUSED;
/* The certificate for the key of a request from elsewhere, which must be signed with that key; nothing else of it counts. 0, -EINVAL or -EIO. */
int tls_issue_asked(const struct tls_pair *authority, const char *request,
    const struct tls_subject *who, time_t now, char **ret_cert,
    struct errmsg *err) ATTR_WARN_UNUSED;

#endif
