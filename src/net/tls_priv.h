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
/* The library's own words for what went wrong last; its queue is empty afterwards. Static text. */
const char *tls_last_reason(const char *otherwise);

#endif
