/*
 * For tests of TLS: certificates that are made on the spot, and a client on a non-blocking socket that does one step
 * when it is told to.
 */
#ifndef TESTS_UNIT_TLS_PEER_H
#define TESTS_UNIT_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_peer;
struct tls_issuer;

/* A key and a certificate of its own. `from_s` and `until_s`: valid, in seconds from now. */
struct tls_issuer *tls_issuer_new(const char *name, long from_s, long until_s);
/* The same, signed by `by`. */
struct tls_issuer *tls_issued_by(
    const struct tls_issuer *by, const char *name, long from_s, long until_s);
void tls_issuer_free(struct tls_issuer **i);
/* Writes PEM files; NULL: not that one. A passphrase of NULL: none. The key's mode is 0600. */
void tls_issuer_write(const struct tls_issuer *i, const char *cert_path, const char *key_path,
    const char *passphrase);

/* A client on `fd` (taken over). `own` NULL: without a certificate. Trusts everyone. */
struct tls_peer *tls_peer_new(int fd, const struct tls_issuer *own);
void tls_peer_free(struct tls_peer **p);
/* Goes on with the handshake; true once it stands. */
bool tls_peer_shake(struct tls_peer *p);
/* As read(2) and write(2) have it: -1 with nothing there; 0 at the end (close_notify, not a mere close). */
ssize_t tls_peer_read(struct tls_peer *p, void *into, size_t room);
ssize_t tls_peer_write(struct tls_peer *p, const void *bytes, size_t len);
void tls_peer_finish(struct tls_peer *p); /* close_notify */
/* The subject of the certificate that was shown; "" before. Static. */
const char *tls_peer_sees(const struct tls_peer *p);
/* Why its handshake failed, in the library's words; "" if it did not. */
const char *tls_peer_fault(const struct tls_peer *p);
bool tls_peer_is_resumed(const struct tls_peer *p);
/* The next handshake of `to` is to resume the session of `from`, whose tickets must have been read. */
void tls_peer_resume(struct tls_peer *to, const struct tls_peer *from);

#endif
