/*
 * Bytes of an HTTP connection, whole and in small pieces: both must be read as the same requests.
 * The first byte chooses the size of the pieces.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small, so that the limits themselves are reached. */
static const struct http_limits limits = {
    .line_bytes = 256, .head_bytes = 512, .body_bytes = 256, .max_headers = 8};

static void
note(struct buf *log, struct slice s)
{
	int err = buf_add_slice(log, s);

	assert(err == 0);
	err = buf_add_str(log, "\n");
	assert(err == 0);
}

static bool
look(struct http_reader *r, struct buf *kept, struct buf *log)
{
	for (;;) {
		struct slice in = buf_slice(kept);
		struct http_request req;
		struct http_fault fault = {0};
		uint8_t *copy = malloc(in.len + 1);
		size_t used;
		enum http_got got;

		assert(copy != NULL);
		if (in.len > 0) {
			memcpy(copy, in.ptr, in.len);
		}
		got = http_reader_next(r, (struct slice){copy, in.len}, &used, &req, &fault);
		assert(used <= in.len);
		assert(http_reader_held(r) <= 4 * (256 + 512 + 256));
		if (got == HTTP_GOT_REQUEST) {
			note(log, req.method);
			note(log, req.target);
			note(log, req.authority);
			note(log, req.body);
			for (size_t i = 0; i < req.header_count; i++) {
				note(log, req.headers[i].name);
				note(log, req.headers[i].value);
			}
		} else if (got == HTTP_GOT_FAULT) {
			assert(fault.status >= 400 && fault.why != NULL);
		}
		free(copy);
		if (got == HTTP_GOT_FAULT) {
			note(log, slice_str(fault.why));
			return false;
		}
		buf_consume(kept, used);
		if (got == HTTP_GOT_NOTHING) {
			return true;
		}
	}
}

static struct buf
read_all(const uint8_t *data, size_t size, size_t piece)
{
	struct http_reader r;
	struct buf kept, log;

	http_reader_init(&r, &limits);
	buf_init(&kept, 0);
	buf_init(&log, 0);
	for (size_t at = 0; at < size; at += piece) {
		int err = buf_add(&kept, data + at, piece < size - at ? piece : size - at);

		assert(err == 0);
		if (!look(&r, &kept, &log)) {
			break;
		}
	}
	http_reader_fini(&r);
	buf_fini(&kept);
	return log;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;

	if (size < 2) {
		return 0;
	}
	whole = read_all(data + 1, size - 1, size);
	pieces = read_all(data + 1, size - 1, (size_t)data[0] % 16 + 1);
	assert(buf_len(&whole) == buf_len(&pieces));
	assert(buf_len(&whole) == 0 ||
	       memcmp(buf_slice(&whole).ptr, buf_slice(&pieces).ptr, buf_len(&whole)) == 0);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
