/*
 * Messages between the supervisor and a worker, over a SOCK_SEQPACKET pair: one datagram a message,
 * a verb and string arguments, and up to four file descriptors (listening sockets).
 *
 * A worker is `holdfast proxy --worker NAME` or `holdfast http --worker NAME` with the channel on
 * fd IPC_WORKER_FD; nothing else is in its argv or environment. Verbs are text and unknown verbs
 * are ignored, so that an older worker and a newer supervisor understand each other.
 *
 *   supervisor → worker
 *   config TEXT              the whole configuration as INI
 *   secret USER PASSWORD     our own redis user
 *   listen OPTION ENDPOINT   + fd; OPTION is e.g. proxy.listen
 *   sentinels ENDPOINT…      whom to watch
 *   near (ENDPOINT SOCKET)…  the servers of this host, and where each listens for this host alone
 *   master HOST PORT EPOCH   who is master, in the supervisor's eyes
 *   prepare MS               a planned switchover is near: begin nothing in pieces, at most MS; 0: called off
 *   hold MS                  planned switchover: hold requests until the next `master`, at most MS
 *   go                       all is said: begin (the first time) or apply (after a reload)
 *   drain MS                 stop accepting, answer what was asked, exit 0 within MS
 *   share SLOT               + fd: the page of all workers of this role (share.h); before the first `go`
 *
 *   worker → supervisor
 *   ready                    accepting on all its sockets
 *   route HOST PORT EPOCH    ROLE was checked, commands go there
 *   noroute WHY              no master to send to, holding
 *   stats JSON               what was counted since its start, about once a second while that changes
 *   prepared                 since `prepare` nothing is under way in pieces any more
 *
 * What a worker asks those of its role (backend/others.h):
 *
 *   asker → supervisor       ask TICKET WORD…
 *   supervisor → asker       asking TICKET COUNT         so many have been asked
 *   supervisor → others      asked NAME TICKET WORD…     NAME: of the asker
 *   others → supervisor      tell NAME TICKET TEXT       as often as they like, then told NAME TICKET
 *   supervisor → asker       tell TICKET TEXT, told TICKET
 *
 * A worker outlives its supervisor. The next one connects to it (rejoin.h), that connection becomes the
 * channel, and the worker begins:
 *
 *   worker → supervisor
 *   name NAME VERSION        who I am, and of which holdfast
 *   door OPTION ENDPOINT     + fd: what I listen on, one message each
 *   share                    + fd
 *   end                      that was all
 *
 *   supervisor → worker      config, secret, listen (what it has already is left alone), sentinels, master, go
 *
 *   worker → supervisor      ready and route or noroute, as from a new one; or
 *   unfit OPTION             a changed option that takes effect at a start only: start another in my place
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <stddef.h>

#include "base/defs.h"
#include "net/loop.h"

#define IPC_WORKER_FD 3
#define IPC_MAX_ARGS  64
#define IPC_MAX_BYTES ((size_t)128 * 1024)

struct channel;

struct channel_msg {
	const char *verb;                   /* borrowed, as all below, until the callback returns */
	const char *args[IPC_MAX_ARGS + 1]; /* NULL after the last */
	size_t arg_count;
	int fds[4]; /* the callee's; those left >= 0 are closed after the callback */
	size_t fd_count;
};

struct channel_ops {
	void (*on_msg)(struct channel *ch, void *owner, struct channel_msg *msg);
	/* The other side is gone; the channel is still to be closed by its owner. */
	void (*on_gone)(struct channel *ch, void *owner);
};

/* Both ends, CLOEXEC; the worker's is passed on as IPC_WORKER_FD. 0 or negative errno. */
int channel_pair(int *ret_ours, int *ret_workers) ATTR_WARN_UNUSED;
/* Takes over the fd. */
struct channel *channel_new(struct loop *loop, int fd, const struct channel_ops *ops, void *owner);
/*
 * Blocks until a datagram was read, and delivers it: for a supervisor whose loop does not run yet. 0; -EPIPE:
 * the peer is gone (on_gone was called); -ETIMEDOUT. The channel may be closed when it returns.
 */
int channel_wait(struct channel *ch, uint64_t timeout_ms) ATTR_WARN_UNUSED;
/* No callback after this; safe inside one. */
void channel_close(struct channel **ch);

/*
 * Sends a message; the last argument is NULL. `fd` -1: none; it is duplicated by the kernel, the
 * caller keeps its own. Messages wait in order when the peer is slow, up to 4 MiB. 0, -EPIPE (peer
 * gone), -ENOBUFS (peer does not read), -EMSGSIZE.
 */
int channel_send(struct channel *ch, int fd, const char *verb, ...) __attribute__((sentinel));
/* The same with `count` (at most IPC_MAX_ARGS) arguments in an array. */
int channel_sendv(
    struct channel *ch, int fd, const char *verb, const char *const *args, size_t count);

#endif
