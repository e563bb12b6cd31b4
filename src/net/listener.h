/*
 * Listening sockets. The supervisor binds them and passes the fd on; a worker accepts on what it
 * was given, so a worker's death refuses no connection.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/errmsg.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct listener;

/* `fd` is the callee's from here: non-blocking, CLOEXEC, TCP_NODELAY set. */
typedef void listener_accept_fn(void *owner, int fd);

/*
 * A bound, listening, non-blocking, CLOEXEC socket in *ret_fd. Errors: negative errno; for
 * -EADDRINUSE the text names the port and, where /proc tells, the process that holds it. A stale
 * unix socket nobody listens on is replaced.
 */
int listener_bind(const struct endpoint *ep, int *ret_fd, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * Lets others than its owner connect to a unix socket that was bound (and is its owner's only until then): mode 0600 to 0666. 0 or a
 * negative errno. Of TCP there is nothing to do.
 */
int listener_let_in(const struct endpoint *ep, unsigned mode, struct errmsg *err) ATTR_WARN_UNUSED;

/* Can the port be bound right now? Same errors; nothing stays open. */
int listener_probe(const struct endpoint *ep, struct errmsg *err) ATTR_WARN_UNUSED;

/* Accepts on `fd` (owned from here) until freed: at most 64 connections a turn; out of fds it waits
 * 100 ms. */
struct listener *listener_new(
    struct loop *loop, int fd, listener_accept_fn *accept_fn, void *owner);
/* Stops accepting and closes this process' copy of the fd. */
void listener_free(struct listener **l);
/* Stop and go on accepting (drain; too many clients). */
void listener_pause(struct listener *l, bool paused);

/* "NAME (pid N)" of a process that listens on this local TCP port, or "" when /proc does not tell.
 * Returns `text`. */
char *listener_holder(uint16_t port, char *text, size_t size);

#endif
