/*
 * What a server sends, as the body of a response: the same however it is cut, and always valid JSON.
 * The first byte chooses the command, the second the size of the pieces.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <msgpack.h>

#include "httpd/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *name;
	size_t argc;
} commands[] = {{"GET", 2}, {"INFO", 1}, {"HGETALL", 2}, {"XRANGE", 4}, {"XREAD", 4},
    {"XPENDING", 3}, {"XPENDING", 6}, {"GEORADIUS", 6}};

static int
render_all(struct slice reply, size_t piece, const struct render_wish *wish, struct buf *out)
{
	struct render r;
	int err = 0;

	render_init(&r, wish, out);
	for (size_t at = 0; err == 0 && at < reply.len; at += piece) {
		size_t n = MIN(piece, reply.len - at);
		uint8_t *copy = malloc(n);

		assert(copy != NULL);
		memcpy(copy, reply.ptr + at, n);
		err = render_feed(&r, (struct slice){copy, n}, at + n == reply.len);
		free(copy);
	}
	render_fini(&r);
	return err;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct render_wish wish = {.separator = SLICE_LIT(",")};
	struct buf whole, pieces;
	struct slice reply;
	int err;

	if (size < 3) {
		return 0;
	}
	reply = (struct slice){data + 2, size - 2};
	wish.command = slice_str(commands[data[0] % ARRAY_LEN(commands)].name);
	wish.shape = shape_of(wish.command, commands[data[0] % ARRAY_LEN(commands)].argc);
	wish.kind = (data[0] & 0x80) != 0   ? RENDER_BARE
		    : (data[0] & 0x40) != 0 ? RENDER_MSGPACK
					    : RENDER_JSON;
	wish.base64 = (data[0] & 0x20) != 0;
	buf_init(&whole, 0);
	buf_init(&pieces, 0);
	err = render_all(reply, reply.len, &wish, &whole);
	assert(render_all(reply, (size_t)data[1] % 16 + 1, &wish, &pieces) == err);
	assert(err == 0 || err == -EBADMSG);
	if (err == 0) {
		assert(buf_len(&whole) == buf_len(&pieces));
		assert(buf_len(&whole) == 0 ||
		       memcmp(buf_slice(&whole).ptr, buf_slice(&pieces).ptr, buf_len(&whole)) == 0);
	}
	if (err == 0 && wish.kind == RENDER_MSGPACK) {
		msgpack_unpacked doc;
		size_t used = 0;

		msgpack_unpacked_init(&doc);
		assert(msgpack_unpack_next(&doc, (const char *)buf_slice(&whole).ptr,
			   buf_len(&whole), &used) == MSGPACK_UNPACK_SUCCESS &&
		       used == buf_len(&whole));
		msgpack_unpacked_destroy(&doc);
	}
	if (err == 0 && wish.kind == RENDER_JSON) {
		json_t *doc = json_loadb((const char *)buf_slice(&whole).ptr, buf_len(&whole),
		    JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

		/* the library takes no NUL in a name, though JSON does */
		assert(json_is_object(doc) || memchr(reply.ptr, 0, reply.len) != NULL);
		json_decref(doc);
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
