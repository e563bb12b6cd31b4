/*
 * What a client of a WebSocket sends: frames, whole and cut, are the same messages, and no frame makes more of us than
 * a close. The first byte is the size of the pieces.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096

static void
on_message(void *owner, bool is_text, struct slice message)
{
	struct buf *seen = owner;

	assert(message.len <= MESSAGE_MAX);
	assert(buf_addf(seen, "%c%zu:", is_text ? 't' : 'b', message.len) == 0);
	assert(buf_add_slice(seen, message) == 0);
}

/* Pongs and closes are counted, so that many pings are no leak. */
static int
on_write(void *owner, struct slice bytes)
{
	return buf_addf(owner, "w%zu:", bytes.len);
}

static void
feed(struct slice in, size_t piece, struct buf *seen)
{
	const struct websocket_ops ops = {
	    .on_message = on_message, .write = on_write, .owner = seen};
	struct websocket *ws = websocket_new(&ops, MESSAGE_MAX);
	int err = 0;

	assert(ws != NULL);
	while (err == 0 && in.len > 0) {
		size_t n = MIN(piece, in.len);

		err = websocket_feed(ws, (struct slice){in.ptr, n});
		assert(websocket_held(ws) <= 2 * MESSAGE_MAX);
		in.ptr += n;
		in.len -= n;
	}
	assert(websocket_send(ws, true, SLICE_LIT("{}")) == 0);
	websocket_free(&ws);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;

	if (size < 2) {
		return 0;
	}
	buf_init(&whole, 0);
	buf_init(&pieces, 0);
	feed((struct slice){data + 1, size - 1}, size, &whole);
	feed((struct slice){data + 1, size - 1}, (size_t)data[0] % 16 + 1, &pieces);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
