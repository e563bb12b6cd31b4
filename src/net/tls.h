/*
 * TLS below a connection. tls.c and tls_context.c alone know the library (OpenSSL 3); conn.c calls them where it would call
 * read(2) and send(2), everyone else sees only that an address begins with `tls:`.
 *
 *   peer ⇄ socket ⇄ [records] ⇄ struct tls ⇄ [plain bytes] ⇄ struct conn ⇄ its owner
 *
 * struct tls_server is what a listener shows: certificate chain, key and, where clients must have certificates of their
 * own, the authorities that sign them. A connection goes on with what it began with when another takes its place.
 *
 * TLS 1.2 and 1.3, no renegotiation, no compression, no early data, ciphers as the system's policy has them. Sessions
 * are resumed with tickets (RFC 5077, RFC 8446 4.6.1); nothing is kept here for them. All workers of a process family
 * that were given the same tls_set_ticket_secret take each other's tickets.
 *
 * Nothing here waits, but for reading the three files. Functions return negative errnos: -EAGAIN when the socket has or
 * takes no more now, -EPROTO when the peer breaks the protocol or is refused (tls_fault has the words).
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"

struct tls;
struct tls_server;

/* PEM files; borrowed texts. */
struct tls_files {
	const char *cert; /* the certificate, and those between it and its root */
	const char *key;  /* its key, without a passphrase */
	const char *ca;   /* authorities of clients; NULL: clients need no certificate */
};

#define TLS_DIGEST_BYTES 32

/* What is to be known of the files. Plain data. */
struct tls_facts {
	char subject[160]; /* "CN = redis.example.org" */
	time_t not_before, not_after;
	bool key_is_open;                 /* others on this host can read the key's file */
	uint8_t digest[TLS_DIGEST_BYTES]; /* of all three: the same for the same content only */
};

/*
 * Reads the files and checks that they belong together; validity in time is not looked at. 0, or negative errno with
 * what is wrong and what to do about it. Reads files.
 */
int tls_server_new(const struct tls_files *files, struct tls_server **ret_server,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* Connections that use it go on. NULL is fine. */
void tls_server_free(struct tls_server **server);
/* Borrowed from the server. */
const struct tls_facts *tls_server_facts(const struct tls_server *server);
/* "CN = a.example.org, until 2027-01-31": for people. Returns `text`. */
char *tls_facts_text(const struct tls_facts *facts, char *text, size_t size);

/*
 * Tickets are made with keys that come from this secret and the time of day. Without it from a random one. For the
 * whole process; connections that stand are not touched.
 */
void tls_set_ticket_secret(const void *secret, size_t len);

/*
 * As what this process reaches servers at addresses with `tls:`: its certificate and key, or NULL for both, and the authorities that the server's
 * certificate must come from, which is all that is checked of it, as Redis itself does: addresses change, and names are not what its
 * sentinels tell. For the whole process, connections that stand are not touched. NULL: none, such a connection fails. 0, or negative
 * errno with what is wrong, and what was set before stays. Reads files.
 */
int tls_set_client(const struct tls_files *files, struct errmsg *err) ATTR_WARN_UNUSED;

/* The client's side of a connection on a connected non-blocking socket (borrowed; outlives it). NULL: no memory, or tls_set_client was not called. */
struct tls *tls_new_client(int fd);
/* The server's side of a connection on a connected non-blocking socket (borrowed; outlives it). NULL: no memory. */
struct tls *tls_new(const struct tls_server *server, int fd);
/* Bytes that were read from the socket already, before the first handshake step: the buffer is empty afterwards. */
void tls_feed(struct tls *t, struct buf *early);
/* Does not touch the socket. NULL is fine. */
void tls_free(struct tls **t);

/* One step. 0: the connection stands. -EAGAIN: call again when the socket can be read, or written (tls_wants_write). */
int tls_handshake(struct tls *t) ATTR_WARN_UNUSED;
/* Up to `room` bytes: > 0; 0: the peer sends no more. -EAGAIN likewise. */
ssize_t tls_read(struct tls *t, uint8_t *into, size_t room);
/* The last read left something here that no event of the socket will tell of: read again. */
bool tls_has_more(const struct tls *t);
/*
 * How many of the bytes were taken. What is offered after fewer, or after -EAGAIN, must begin with the bytes that were
 * left, for some of them may be on their way already.
 */
ssize_t tls_write(struct tls *t, const uint8_t *bytes, size_t len);
/* The last handshake or read waits for room in the socket. */
bool tls_wants_write(const struct tls *t);
/* Tells the peer that no more comes; what it sends may still be read. Best effort. */
void tls_shutdown(struct tls *t);
/* Did its handshake go on from an earlier connection, with no certificate shown? */
bool tls_is_resumed(const struct tls *t);

/* Why it failed, in the library's words; "" when it has not. */
const char *tls_fault(const struct tls *t);
/* "3.0.19", as loaded. */
const char *tls_library_version(void);

#endif
