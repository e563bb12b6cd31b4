/*
 * The control protocol: how the command line and the HTTP workers (for the web page) ask the supervisor, over the
 * unix socket DIR/control.sock, mode 0600.
 *
 *   client → server   {"cmd":"failover","args":{"to":"redis-2"},"by":"ann"}         one line
 *   server → client   {"event":{…}}                                      any number of lines, then
 *                     {"ok":true,…}   or   {"ok":false,"error":"what, and what to do","exit":1}
 *
 * `by` (may be left out) is who asked, where the client acts for somebody: an HTTP worker for its user. It is a word for the
 * history; whoever reaches the socket may do everything.
 *
 * One request at a time on a connection; the next may be sent before the answer of the first and
 * waits. Commands and their arguments are the table commands.def: the server refuses what does not
 * fit it, so a handler sees checked arguments only. A client that leaves its side of the connection
 * half open (shutdown) still gets its answer.
 *
 * Bounds: 64 clients, requests of 64 KiB, 30 s to send a request, each command its own longest time
 * (commands.def), a client that does not read is dropped when 16 MiB wait for it or none of it moves
 * for 30 s. The path of a unix socket has at most 107 bytes: a longer one is reached through
 * /proc/self/fd of its folder, on both sides.
 *
 * The server owns its clients and requests; it never decides what a command does. The client below
 * blocks and is for processes without a loop; call.h is for those with one.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/defs.h"
#include "base/errmsg.h"
#include "net/loop.h"

#define CTL_SOCKET_NAME "control.sock"

/* What a failed command makes of the exit code of the process that asked. */
enum ctl_exit {
	CTL_EXIT_FAILED = 1,
	CTL_EXIT_USAGE = 2,
	CTL_EXIT_NOT_READY = 3,
	CTL_EXIT_CONFIG = 78
};

/* --- server ---------------------------------------------------------------------------------- */

struct ctl_server;

/*
 * One request under way. It lives until ctl_done or ctl_fail, and the handler may keep the pointer
 * until then. When the client leaves earlier: with on_gone registered, that is called and the
 * request is gone with its return; without, the request stays usable, what is sent is dropped, and
 * ctl_done or ctl_fail still end it.
 */
struct ctl_request;

/* `args` is an object with exactly the arguments of the table that were given; borrowed until the
 * handler returns. The handler may answer before it returns, or later. */
typedef void ctl_handler_fn(struct ctl_request *req, const json_t *args, void *owner);
typedef void ctl_gone_fn(struct ctl_request *req, void *arg);

struct ctl_command {
	const char *name; /* of commands.def */
	ctl_handler_fn *handler;
};

/*
 * Listens at `path` (socket of mode 0600; a stale one is replaced). `commands` is kept by
 * reference; those of the table without a handler are answered "not available". NULL with the
 * reason in err, e.g. another process listens there.
 */
struct ctl_server *ctl_server_new(struct loop *loop, const char *path,
    const struct ctl_command *commands, size_t command_count, void *owner, struct errmsg *err);
/*
 * Closes all clients (unsent answers get 1 s), removes the socket. Requests under way end as if
 * their clients had left. NULL is fine.
 */
void ctl_server_free(struct ctl_server **s);
size_t ctl_server_clients(const struct ctl_server *s);

/* The arguments, for handlers: NULL, otherwise or false when they were not given. */
const char *ctl_arg_text(const json_t *args, const char *name);
uint64_t ctl_arg_count(const json_t *args, const char *name, uint64_t otherwise); /* count, id */
bool ctl_arg_bool(const json_t *args, const char *name);

/*
 * One line of a stream; takes over the reference to `line`. 0; -EPIPE: the client has left (only
 * without on_gone); -ENOBUFS: it does not read and will be dropped (on_gone follows from the loop,
 * never before this returns): stop sending.
 */
int ctl_send(struct ctl_request *req, json_t *line);
/* Ends the request: {"ok":true} and the members of `fields` (reference taken over; may be NULL). */
void ctl_done(struct ctl_request *req, json_t *fields);
/* Ends it with an error. `exit_code`: enum ctl_exit. */
void ctl_fail(struct ctl_request *req, int exit_code, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The same with further members, e.g. {"faults":[…]} (reference taken over). */
void ctl_fail_with(struct ctl_request *req, int exit_code, json_t *fields, const char *fmt, ...)
    ATTR_PRINTF(4, 5);
/* Called once if the client leaves before the end; see above. Only before the handler returns. */
void ctl_on_gone(struct ctl_request *req, ctl_gone_fn *fn, void *arg);
/*
 * A copy of the client's connection (CLOEXEC), for whoever ends the request in our place; -1 when the client has left.
 */
int ctl_request_dup(const struct ctl_request *req);
/* For whom the client asks, without control characters; "" when it did not say. Borrowed until the request ends. */
const char *ctl_request_by(const struct ctl_request *req);

/* --- the table ------------------------------------------------------------------------------- */

struct ctl_command_info {
	const char *name;
	const char *args; /* as in commands.def */
	uint64_t longest_ms;
	const char *help;
};

/* NULL past the end. */
const struct ctl_command_info *ctl_command_at(size_t index);
const struct ctl_command_info *ctl_command_find(const char *name);
/* 0, or -EINVAL with the reason; `args` may be NULL (none given). */
int ctl_args_check(
    const struct ctl_command_info *info, json_t *args, struct errmsg *err) ATTR_WARN_UNUSED;

/* --- client ---------------------------------------------------------------------------------- */

struct ctl_client;

/*
 * Connects to the supervisor of the data folder `dir`. -ENOTCONN: none runs (exit code 3; the text
 * says how to start one); -EACCES; others.
 */
int ctl_client_open(
    const char *dir, struct ctl_client **ret_client, struct errmsg *err) ATTR_WARN_UNUSED;
void ctl_client_close(struct ctl_client **c);

/* Sends a request; takes over the reference to `args` (may be NULL). */
int ctl_client_send(
    struct ctl_client *c, const char *cmd, json_t *args, struct errmsg *err) ATTR_WARN_UNUSED;

enum { CTL_END = 0, CTL_LINE = 1 };
/*
 * Waits for the next line: CTL_LINE, a line of the stream; CTL_END, the command is done. Either way
 * *ret_line is the caller's reference. -EREMOTEIO: the supervisor refused or failed (its words in
 * err, *ret_line set as well, ctl_client_exit says the exit code); -EPIPE: it went away;
 * -ETIMEDOUT: nothing in timeout_ms (0: wait for ever); -EINTR: a signal came; -EPROTO.
 */
int ctl_client_next(struct ctl_client *c, uint64_t timeout_ms, json_t **ret_line,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* Send, and wait for the end; lines of a stream are skipped. 0 or as above; *ret_reply is NULL when
 * there was no answer. */
int ctl_client_call(struct ctl_client *c, const char *cmd, json_t *args, uint64_t timeout_ms,
    json_t **ret_reply, struct errmsg *err) ATTR_WARN_UNUSED;
/* The exit code that goes with the last error. */
int ctl_client_exit(const struct ctl_client *c);
/* To wait for a line together with other things (poll for reading, then ctl_client_next). */
int ctl_client_fd(const struct ctl_client *c);

#endif
