#include "http/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/base64.h"

#define KEY_BYTES    24 /* sixteen in base64 */
#define DIGEST_BYTES 20

struct websocket {
	struct websocket_ops ops;
	wslay_event_context_ptr ctx; /* owned */
	struct slice in;             /* borrowed while it is fed */
	struct buf message;          /* owned: what came of the present one … */
	size_t max;                  /* … and most of it */
	bool is_control;             /* the present frame is amid a message, and none of it */
	int err;                     /* the first of write's and buf.h's errors */
};

/* RFC 6455 section 4.2.2. */
int
websocket_accept(struct slice key, char ret_accept[static WEBSOCKET_ACCEPT_BYTES])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t text[KEY_BYTES + sizeof(guid) - 1], digest[EVP_MAX_MD_SIZE], nonce[KEY_BYTES];
	char accept[WEBSOCKET_ACCEPT_BYTES + 1];
	unsigned len = 0;

	if (key.len != KEY_BYTES || base64_decode(key, nonce) != 16) {
		return -EINVAL;
	}
	memcpy(text, key.ptr, KEY_BYTES);
	memcpy(text + KEY_BYTES, guid, sizeof(guid) - 1);
	if (EVP_Digest(text, sizeof(text), digest, &len, EVP_sha1(), NULL) != 1 ||
	    len != DIGEST_BYTES) {
		return -EINVAL;
	}
	(void)EVP_EncodeBlock((uint8_t *)accept, digest, DIGEST_BYTES);
	memcpy(ret_accept, accept, WEBSOCKET_ACCEPT_BYTES);
	return 0;
}

/* ---- what the library calls ---- */

static ssize_t
on_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t len, int flags, void *arg)
{
	struct websocket *ws = arg;
	size_t n = MIN(len, ws->in.len);

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(to, ws->in.ptr, n);
	ws->in.ptr += n;
	ws->in.len -= n;
	return (ssize_t)n;
}

static ssize_t
on_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len, int flags, void *arg)
{
	struct websocket *ws = arg;

	(void)flags;
	if (ws->err == 0) {
		ws->err = ws->ops.write(ws->ops.owner, (struct slice){bytes, len});
	}
	if (ws->err < 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)len;
}

static void
on_chunk(
    wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct websocket *ws = arg;

	(void)ctx;
	if (ws->err == 0 && !ws->is_control) {
		ws->err = buf_add(&ws->message, chunk->data, chunk->data_length);
	}
}

static void
on_frame(
    wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct websocket *ws = arg;

	(void)ctx;
	ws->is_control = wslay_is_ctrl_frame(frame->opcode);
	/* the library's own limit is only for messages that it keeps itself */
	if (!ws->is_control && frame->payload_length > ws->max - buf_len(&ws->message)) {
		ws->err = -ENOBUFS;
	}
}

static void
on_whole(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct websocket *ws = arg;
	struct buf whole = ws->message;

	(void)ctx;
	if (wslay_is_ctrl_frame(msg->opcode) || ws->err != 0) {
		return;
	}
	buf_init(&ws->message, 0);
	ws->ops.on_message(ws->ops.owner, msg->opcode == WSLAY_TEXT_FRAME, buf_slice(&whole));
	buf_fini(&whole);
}

/* ---- */

struct websocket *
websocket_new(const struct websocket_ops *ops, size_t message_max)
{
	static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
	    .send_callback = on_send,
	    .on_frame_recv_start_callback = on_frame,
	    .on_frame_recv_chunk_callback = on_chunk,
	    .on_msg_recv_callback = on_whole};
	struct websocket *ws = xcalloc(1, sizeof(*ws));

	ws->ops = *ops;
	buf_init(&ws->message, 0);
	if (wslay_event_context_server_init(&ws->ctx, &callbacks, ws) != 0) {
		free(ws);
		return NULL;
	}
	wslay_event_config_set_no_buffering(ws->ctx, 1);
	ws->max = message_max;
	return ws;
}

void
websocket_free(struct websocket **wsp)
{
	struct websocket *ws = *wsp;

	*wsp = NULL;
	if (ws != NULL) {
		wslay_event_context_free(ws->ctx);
		buf_fini(&ws->message);
		free(ws);
	}
}

static int
write_queued(struct websocket *ws)
{
	while (wslay_event_want_write(ws->ctx)) {
		if (wslay_event_send(ws->ctx) != 0) {
			return ws->err < 0 ? ws->err : -ENOMEM;
		}
	}
	return 0;
}

int
websocket_feed(struct websocket *ws, struct slice bytes)
{
	int rc, err;

	ws->in = bytes;
	rc = wslay_event_recv(ws->ctx);
	ws->in = (struct slice){0};
	if (ws->err == -ENOBUFS || ws->err == -ENOMEM) {
		bool too_large = ws->err == -ENOBUFS;

		ws->err = 0;
		buf_fini(&ws->message);
		websocket_close(ws,
		    too_large ? WSLAY_CODE_MESSAGE_TOO_BIG : WSLAY_CODE_INTERNAL_SERVER_ERROR,
		    too_large ? "larger than http.max_request_bytes" : "out of memory");
		return -ECONNRESET;
	}
	err = write_queued(ws);
	return rc != 0 || err < 0 || !wslay_event_want_read(ws->ctx) ? -ECONNRESET : 0;
}

int
websocket_send(struct websocket *ws, bool is_text, struct slice message)
{
	struct wslay_event_msg msg = {.opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME,
	    .msg = message.ptr,
	    .msg_length = message.len};
	int rc = wslay_event_queue_msg(ws->ctx, &msg);

	if (rc == WSLAY_ERR_NO_MORE_MSG) {
		return 0; /* the close is out: nobody reads on */
	}
	return rc != 0 ? -ENOMEM : write_queued(ws);
}

int
websocket_ping(struct websocket *ws)
{
	struct wslay_event_msg msg = {.opcode = WSLAY_PING};
	int rc = wslay_event_queue_msg(ws->ctx, &msg);

	return rc != 0 && rc != WSLAY_ERR_NO_MORE_MSG ? -ENOMEM : write_queued(ws);
}

void
websocket_close(struct websocket *ws, uint16_t code, const char *reason)
{
	if (wslay_event_queue_close(ws->ctx, code, (const uint8_t *)reason, strlen(reason)) == 0) {
		(void)write_queued(ws);
	}
	buf_fini(&ws->message); /* its end is not waited for */
}

uint16_t
websocket_close_code(const struct websocket *ws)
{
	uint16_t code = wslay_event_get_status_code_sent(ws->ctx);

	return code != 0 ? code : wslay_event_get_status_code_received(ws->ctx);
}

size_t
websocket_held(const struct websocket *ws)
{
	return ws->message.cap;
}
