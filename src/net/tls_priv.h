/* What net/tls.c, the connection, and net/tls_context.c, which reads certificates, share. Nobody else includes it. */
#ifndef NET_TLS_PRIV_H
#define NET_TLS_PRIV_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct tls_server {
	SSL_CTX *ctx; /* ref */
	struct tls_facts facts;
};

/* As what this process reaches servers (tls_set_client); borrowed, NULL: not set. */
SSL_CTX *tls_client_ctx(void);
/* The socket of a connection that tls.c made. */
int tls_fd_of(const SSL *ssl);

/* --- tls_sessions.c --- */
/* Sessions of this context, a client's, are kept. */
void tls_sessions_keep(SSL_CTX *ctx);
/* Goes on from the last session with the peer of this socket; NULL: there is none. What it gives is a mark for tls_sessions_drop only. */
const void *tls_sessions_use(SSL *ssl, int fd);
/* The handshake with it failed. */
void tls_sessions_drop(const void *offered);
void tls_sessions_forget(void);
/* The library's own words for what went wrong last; its queue is empty afterwards. Static text. */
const char *tls_last_reason(const char *otherwise);

#endif
