/*
 * One WebSocket (RFC 6455) of a server, over wslay: frames in, messages out, and back. Pings are answered and
 * closes acknowledged here; masks, reserved bits, fragments and the UTF-8 of text are checked. It knows no
 * socket: what is to be sent goes to the owner's `write`.
 *
 * A message is kept until it is whole, within the limit; an idle websocket holds no buffer.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

#define WEBSOCKET_ACCEPT_BYTES 28

struct websocket;

struct websocket_ops {
	/* A whole message, borrowed until it returns. The owner may not free the websocket within. */
	void (*on_message)(void *owner, bool is_text, struct slice message);
	/* Bytes for the peer. 0 or a negative errno, which ends it. */
	int (*write)(void *owner, struct slice bytes);
	void *owner; /* borrowed (outlives it) */
};

/* Of the Sec-WebSocket-Key header. 0, or -EINVAL when it is none. */
int websocket_accept(
    struct slice key, char ret_accept[static WEBSOCKET_ACCEPT_BYTES]) ATTR_WARN_UNUSED;

/* NULL without memory. `ops` is copied. */
struct websocket *websocket_new(const struct websocket_ops *ops, size_t message_max);
void websocket_free(struct websocket **ws);

/*
 * What the peer sent; all of it is taken. 0, or -ECONNRESET: the close was said on both sides, or the peer broke the
 * rules and was told; nothing more is to be read, what was written is to be sent, then the connection closed.
 */
int websocket_feed(struct websocket *ws, struct slice bytes) ATTR_WARN_UNUSED;
/* Queues and writes one message. 0 or a negative errno. */
int websocket_send(struct websocket *ws, bool is_text, struct slice message) ATTR_WARN_UNUSED;
int websocket_ping(struct websocket *ws) ATTR_WARN_UNUSED;
/* Says close with that code (RFC 6455 section 7.4); nothing can be sent afterwards. */
void websocket_close(struct websocket *ws, uint16_t code, const char *reason);
/* The code that either side closed with, or 0. */
uint16_t websocket_close_code(const struct websocket *ws);
/* Bytes of memory held for a message that is not whole. */
size_t websocket_held(const struct websocket *ws);

#endif
