/*
 * A lasting command link to one redis or sentinel process: it connects, authenticates, sends
 * commands in a pipeline, hands each reply to its callback, and connects again when the link
 * breaks. hiredis formats the commands and parses the replies; the socket is a net/conn, so that
 * nothing here waits, and no byte of the peer can do more than end the link.
 *
 *   connecting → authenticating → up (on_up) → broken (on_down) → pause of 100 ms … 2 s →
 * connecting
 *
 * With `channels` set the link listens: it subscribes, each message goes to on_push, and commands
 * cannot be sent. The owner creates and frees the link and may free it inside any of its callbacks.
 * No callback runs before the call that led to it has returned. Nothing that is sent is logged.
 */
#ifndef TOPO_LINK_H
#define TOPO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct link;
struct redisReply;

/* Zero in a number means the default. All pointers are borrowed and must outlive the link. */
struct link_spec {
	struct endpoint at;          /* numeric address, or a unix path */
	const char *user;            /* NULL: the default user */
	const char *password;        /* NULL: no AUTH */
	const char *const *channels; /* ends with NULL; see above */
	uint64_t connect_ms;         /* 1000: to connect and to authenticate, each */
	uint64_t stall_ms;           /* 5000: a command unanswered for so long breaks the link */
	uint64_t ping_ms;            /* none: PING when nothing was heard for so long */
	uint64_t retry_min_ms;       /* 100: the first pause after a link that stood */
	uint64_t retry_max_ms;       /* 2000 */
	size_t reply_max_bytes;      /* 1 MiB: a bigger reply breaks the link */
};

struct link_ops {
	/* Commands can be sent. May be NULL. */
	void (*on_up)(struct link *l, void *owner);
	/*
	 * The link broke, or an attempt failed; the next comes by itself. `error` is a negative
	 * errno
	 * (-EACCES: the peer refused user or password), `why` says it in words, untrusted bytes
	 * quoted. Callbacks of unanswered commands ran before. May be NULL.
	 */
	void (*on_down)(struct link *l, void *owner, int error, const char *why);
	/* A message: an array of at least three strings, "message", channel, text. */
	void (*on_push)(struct link *l, void *owner, const struct redisReply *message);
};

/*
 * The answer to a command: error 0 and a reply (borrowed until the return; possibly an error reply
 * of the server), or NULL with -ETIMEDOUT (no answer in time; a late one is thrown away) or what
 * broke the link. Runs exactly once, unless link_free or link_forget comes first.
 */
typedef void link_reply_fn(void *arg, const struct redisReply *reply, int error);

/* Begins to connect with the next turn of the loop. `ops` are static. */
struct link *link_new(
    struct loop *loop, const struct link_spec *spec, const struct link_ops *ops, void *owner);
/* No callback after this. NULL is fine. */
void link_free(struct link **l);

bool link_is_up(const struct link *l);
const struct endpoint *link_at(const struct link *l);
/* Milliseconds since the peer last said anything, or since the link was made if it never did. */
uint64_t link_silent_ms(const struct link *l);
/*
 * It stands, and for so long the peer's kernel has not even acknowledged what was sent: the host is gone, not only busy (tcp(7), TCP_INFO). What was sent
 * a moment ago is on its way, or its acknowledgement is held back a while, as kernels do when the program has no answer to go with it.
 */
bool link_is_unheard(const struct link *l, uint64_t for_ms);
/*
 * For how long each attempt to connect was turned away by the peer's kernel, with nothing else in between: it is there, and nothing listens. 0: the last one
 * was not.
 */
uint64_t link_refused_ms(const struct link *l);
/* Connects now instead of after the pause: somebody knows that the peer is there. */
void link_kick(struct link *l);
/* Rests: disconnects and stays so (false: connects again at once). No on_down for what it ends. */
void link_rest(struct link *l, bool resting);
/* Another address from now on: breaks the link when it differs. */
void link_move(struct link *l, const struct endpoint *at);

/*
 * Queues a command; the last argument is NULL. timeout_ms 0: stall_ms. `fn` may be NULL. 0,
 * -ENOTCONN (not up), -ENOBUFS (1024 commands are unanswered); on an error `fn` never runs.
 */
int link_send(struct link *l, uint64_t timeout_ms, link_reply_fn *fn, void *arg, const char *verb,
    ...) __attribute__((sentinel));
/* The same with the words in an array; they may hold any bytes. */
int link_sendv(struct link *l, uint64_t timeout_ms, link_reply_fn *fn, void *arg, size_t count,
    const char *const *words, const size_t *lengths);
/* The callbacks of commands sent with this `arg` do not run any more. */
void link_forget(struct link *l, const void *arg);

#endif
