/*
 * Clients between accept and their session: what has to happen on a connection before a role sees it. On a listener
 * behind proxies that is the header of the PROXY protocol, with TLS the handshake.
 *
 *   accept → arrivals_take ─┬─────────────────────────────► arrived → the role's session
 *                           └─► [header] → [handshake] ───►
 *
 * Who comes to nothing is closed here: one that may announce nobody, or does not do so; one that speaks plain text to
 * TLS (it is told so in words of its own protocol), one whose certificate is refused, one that takes its time. All that
 * wait here have at most ARRIVAL_MS, and are at most ARRIVAL_MAX: when so many wait, the listeners pause, and only
 * ARRIVAL_CROWDED_MS are granted, so that those who merely hold places make room soon.
 */
#ifndef BACKEND_ARRIVAL_H
#define BACKEND_ARRIVAL_H

#include <stdbool.h>
#include <stddef.h>

#include "net/cidr.h"
#include "net/conn.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/tls.h"

#define ARRIVAL_MS         10000
#define ARRIVAL_CROWDED_MS 1000
#define ARRIVAL_MAX        512

struct arrivals;

struct arrival_ops {
	/* A client is there: conn is the callee's, to be handed over (conn_hand_over) or closed. */
	void (*arrived)(void *owner, struct conn *c, void *door);
	/* ARRIVAL_MAX wait (true), or fewer again. */
	void (*crowded)(void *owner, bool crowded);
};

struct arrivals *arrivals_new(struct loop *loop, const struct arrival_ops *ops, void *owner);
/* Closes all that wait. NULL is fine. */
void arrivals_free(struct arrivals **a);

/*
 * What listeners with TLS show from now on: borrowed until the next call; NULL: none. `hint`: what a client is told
 * that speaks plain text there, static.
 */
void arrivals_set_tls(struct arrivals *a, const struct tls_server *server, const char *hint);

/* Who may announce clients, as of now; copied. Whoever comes over a unix socket may. */
void arrivals_set_trusted(struct arrivals *a, const struct cidr *trusted, size_t count);

/*
 * The fd, accepted at `at`, is the callee's. `door` comes back in `arrived`, which may be called before this returns.
 */
void arrivals_take(struct arrivals *a, int fd, const struct endpoint *at, void *door);

/* For the log: an arrived client spoke TLS where plain text is spoken (conn.h, -EPROTONOSUPPORT). */
void arrivals_say_strange(const struct conn *c);

#endif
