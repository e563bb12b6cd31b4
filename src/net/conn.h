/*
 * A buffered, non-blocking stream connection: proxy clients, backends, HTTP clients, control
 * clients.
 *
 *   peer → read → [in: what the owner has not consumed yet] → on_data
 *   owner → conn_write / conn_out + conn_flush → [out] → one write(2) at the end of the turn → peer
 *
 * With TLS (conn_start_tls) `read` and `write` are tls_read and tls_write; the owner sees plain bytes.
 *
 * Who owns what: the owner creates and closes the conn; the conn owns fd and buffers. An idle conn
 * holds no buffer memory. The owner may close it inside any callback. After on_close the conn is
 * gone: the owner must drop its pointer and not call conn_close. Water marks: when `out` passes
 * `high`, conn_is_full is true: the owner stops reading from whoever feeds it (conn_pause) until
 * on_room says that `out` fell to half of that.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "base/slice.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct conn;
struct tls_server;

struct conn_ops {
	/* An outgoing connection, or TLS, stands. May be NULL. */
	void (*on_open)(struct conn *c, void *owner);
	/*
	 * Bytes arrived: `in` is all that is not consumed yet. Returns how many bytes from the
	 * front are consumed; the rest is shown again together with what comes next. The return
	 * value is ignored when the owner closed the conn.
	 */
	size_t (*on_data)(struct conn *c, void *owner, struct slice in);
	/* `out` fell to the low mark after it had been full. May be NULL. */
	void (*on_room)(struct conn *c, void *owner);
	/*
	 * The peer will send no more but may still read. NULL: the same as on_close with 0.
	 * Otherwise the conn stays until the owner closes it.
	 */
	void (*on_eof)(struct conn *c, void *owner);
	/*
	 * The conn ended by itself: 0 end of stream, -ETIMEDOUT its deadline passed, -ENOBUFS the
	 * peer sent more than in_max bytes that could not be consumed, -EPROTO TLS failed (conn_fault,
	 * which may still be called here), -EPROTONOSUPPORT see conn_expect_plain, else what the socket said.
	 * Not called after conn_close.
	 */
	void (*on_close)(struct conn *c, void *owner, int error);
};

/* Takes over a connected, non-blocking fd; it is closed with the conn. */
struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner);
/*
 * Begins to connect (numeric address or unix path); on_open or on_close follows, never before this
 * returns. NULL with the reason in `err` when it cannot even begin. timeout_ms 0: none.
 */
struct conn *conn_connect(struct loop *loop, const struct endpoint *ep, uint64_t timeout_ms,
    const struct conn_ops *ops, void *owner, struct errmsg *err);
/*
 * From now on every TCP connection by conn_connect is TLS, whatever its address says: all that this process connects to are the servers and
 * sentinels of one cluster that speaks nothing else. Their addresses have no `tls:`, since that is no part of who they are. See tls_set_client.
 */
void conn_connect_by_tls(bool always);
/* conn_connect to a door of ours (proxy.listen): TLS only if its address says so. */
struct conn *conn_connect_door(struct loop *loop, const struct endpoint *ep, uint64_t timeout_ms,
    const struct conn_ops *ops, void *owner, struct errmsg *err);

/*
 * From the end of this turn on the peer must speak TLS, as a client; what is unconsumed is the beginning of it.
 * on_open or on_close follows; the time for it is the owner's deadline. 0 or -ENOMEM.
 */
int conn_start_tls(struct conn *c, const struct tls_server *server) ATTR_WARN_UNUSED;
/* A peer that begins with a TLS handshake is told so (an alert) and closed with -EPROTONOSUPPORT. Before anything was read. */
void conn_expect_plain(struct conn *c);
/* Another owner from here; what is unconsumed is shown to it at the end of this turn. */
void conn_hand_over(struct conn *c, const struct conn_ops *ops, void *owner);

/* Closes at once, unsent bytes are lost, no callback; *c is NULL afterwards. NULL is fine. */
void conn_close(struct conn **c);
/*
 * Closes once `out` is sent and the peer has had the chance to read it: it is told the end of the
 * stream, and what it still sends is thrown away until it closes too, since a close with unread bytes
 * would reset the connection and take our last bytes with it. At the latest after timeout_ms; 0: what
 * the socket takes at the end of this turn, then closed. No further callback; *c is NULL afterwards.
 */
void conn_close_after_flush(struct conn **c, uint64_t timeout_ms);

/*
 * in_max: most unconsumed bytes (default 64 KiB; 0: no limit); past it the conn ends with -ENOBUFS, but
 * not for what arrived in the read in which its owner paused it. out_high: see above (default 1 MiB).
 */
void conn_set_limits(struct conn *c, size_t in_max, size_t out_high);
/* Ends the conn with -ETIMEDOUT in that many ms unless set anew; 0: no deadline. */
void conn_set_deadline(struct conn *c, uint64_t timeout_ms);

/* Queues bytes for the end of this turn. 0 or -ENOMEM. Bytes queued before the connection stands
 * are kept. */
int conn_write(struct conn *c, const void *bytes, size_t len) ATTR_WARN_UNUSED;
/*
 * For large runs: what the socket takes now goes without a copy, if nothing is queued before it; the
 * rest is queued as conn_write does. Never calls back. 0 or -ENOMEM.
 */
int conn_send(struct conn *c, const void *bytes, size_t len) ATTR_WARN_UNUSED;
/* For owners that format straight into the buffer: append here, then conn_flush. Borrowed. */
struct buf *conn_out(struct conn *c);
/* What is in `out` goes with one write at the end of this turn. */
void conn_flush(struct conn *c);
bool conn_is_full(const struct conn *c);
/* Bytes queued and not yet taken by the socket. */
size_t conn_unsent(const struct conn *c);
/* Bytes that the socket has taken since the conn began. */
uint64_t conn_sent_total(const struct conn *c);

/* Stops or goes on reading; unconsumed bytes are shown again (at the end of this turn) when reading
 * goes on. */
void conn_pause(struct conn *c, bool paused);
bool conn_is_paused(const struct conn *c);
/* Shows unconsumed bytes again at the end of this turn (when it is not paused then). */
void conn_show_again(struct conn *c);

/* Tells the peer that no more comes, when all is sent; reading goes on. */
void conn_end_output(struct conn *c);

/* Whose connection it is really, as conn_peer says it from now on: a proxy has announced it. */
void conn_set_peer(struct conn *c, const char *text);
int conn_fd(const struct conn *c);
bool conn_is_tls(const struct conn *c);
/* Why TLS failed; "" when it did not. Static text. */
const char *conn_fault(const struct conn *c);
/* "ADDRESS:PORT" of the peer, or "unix", or what conn_set_peer was given; returns `text`, of at least ENDPOINT_TEXT_SIZE bytes. */
char *conn_peer(const struct conn *c, char *text);

#endif
