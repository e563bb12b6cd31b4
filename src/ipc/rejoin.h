/*
 * How a worker that lost its supervisor meets the next one: DIR/NAME.sock, a SOCK_SEQPACKET socket of
 * mode 0600 on which the worker listens from the time it serves until its orderly end.
 *
 *   old supervisor gone ─→ the worker accepts ─→ the connection is its channel (channel.h)
 *   new supervisor: connect, is it the very process?, hear what it has, adopt it
 *
 * While a worker has a channel, callers wait in the backlog: one that comes before the worker has seen
 * the end of the old channel is not turned away. Only the same user and root are let in.
 */
#ifndef IPC_REJOIN_H
#define IPC_REJOIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/defs.h"
#include "net/loop.h"

struct rejoin;

/* A supervisor came; the fd is the callee's. Nobody else is let in until rejoin_accept. */
typedef void rejoin_fn(void *owner, int fd);

/*
 * Listens as NAME.sock in the working folder, in place of a file that is there; callers wait. 0 or
 * negative errno.
 */
int rejoin_new(struct loop *loop, const char *name, rejoin_fn *fn, void *owner,
    struct rejoin **ret_rejoin) ATTR_WARN_UNUSED;
/* The channel is gone: the next one who calls is let in. */
void rejoin_accept(struct rejoin *r);
/* Turns callers away from here on and removes the file if it is still ours. NULL is fine. */
void rejoin_free(struct rejoin **r);

/*
 * The supervisor's side: a connection to the worker NAME in the data folder `dir`, for channel_new.
 * -ESRCH: another process than `pid` listens there; -ECONNREFUSED or -ENOENT: nobody does; others.
 */
int rejoin_connect(const char *dir, const char *name, pid_t pid, int *ret_fd) ATTR_WARN_UNUSED;
/* Removes the file that a dead worker has left. */
void rejoin_remove(const char *dir, const char *name);

#endif
