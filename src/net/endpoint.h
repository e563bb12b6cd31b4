/* Where something listens: HOST:PORT, [IPv6]:PORT or unix:PATH, and what is spoken there before anything else: TLS, as
 * in tls:HOST:PORT, and before that the PROXY protocol, as in proxied:tls:HOST:PORT. Plain data. */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/defs.h"
#include "base/errmsg.h"

enum endpoint_kind { ENDPOINT_TCP, ENDPOINT_UNIX };

struct endpoint {
	enum endpoint_kind kind;
	char host[256]; /* TCP: name or address, without brackets; UNIX: the path */
	uint16_t port;  /* TCP only */
	bool tls;       /* TCP only */
	bool proxied;
};

#define ENDPOINT_TEXT_SIZE 300

struct endpoint endpoint_tcp(const char *host, uint16_t port);
/* "HOST:PORT", "HOST" (then default_port, unless that is 0), "[::1]:PORT", "unix:PATH"; the first and the
 * third with "tls:" in front, too, and all of these with "proxied:". 0 or -EINVAL with the reason. */
int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_ep,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* As endpoint_parse reads it; returns `text`, of at least ENDPOINT_TEXT_SIZE bytes. */
char *endpoint_format(const struct endpoint *ep, char *text);
#define ENDPOINT_TEXT(ep) endpoint_format((ep), (char[ENDPOINT_TEXT_SIZE]){0})

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/* True for a unix path, 127.0.0.0/8, ::1 and "localhost". */
bool endpoint_is_loopback(const struct endpoint *ep);
/*
 * The socket address. Names are looked up with getaddrinfo, which blocks: in workers only at start,
 * else numeric only. 0, -EINVAL (not an address and `numeric_only`), -EADDRNOTAVAIL (name unknown),
 * with the reason in `err`.
 */
int endpoint_resolve(const struct endpoint *ep, bool numeric_only,
    struct sockaddr_storage *ret_addr, socklen_t *ret_len, struct errmsg *err) ATTR_WARN_UNUSED;
/*
 * Begins to connect (numeric address or unix path): a non-blocking, CLOEXEC socket in *ret_fd that can be written when it
 * stands, TCP_NODELAY set. 0 or negative errno with the reason.
 */
int endpoint_connect(const struct endpoint *ep, int *ret_fd, struct errmsg *err) ATTR_WARN_UNUSED;
/* "ADDRESS:PORT" of a socket's peer, or "unix", "gone"; returns `text`, of at least ENDPOINT_TEXT_SIZE bytes. */
char *endpoint_peer(int fd, char *text);

#endif
