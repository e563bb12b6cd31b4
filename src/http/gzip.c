#include "http/gzip.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>

#include "http/parser.h"

#define LEVEL       1 /* text shrinks to a third already, at a fifth of the cost of the usual one */
#define WINDOW_GZIP 31 /* 15, and 16 for gzip's header */
#define MEMORY      8
#define STEP_BYTES  ((size_t)64 * 1024)

int
gzip_add(struct buf *out, struct slice body)
{
	z_stream z = {0};
	int rc = Z_OK, err = 0;

	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		return -ENOMEM;
	}
	while (err == 0 && rc != Z_STREAM_END) {
		size_t n = MIN(body.len, STEP_BYTES);
		bool last = n == body.len;

		z.next_in = (z_const Bytef *)(uintptr_t)body.ptr;
		z.avail_in = (uInt)n;
		do {
			err = buf_reserve(out, STEP_BYTES);
			if (err < 0) {
				break;
			}
			z.next_out = buf_tail(out);
			z.avail_out = (uInt)STEP_BYTES;
			rc = deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
			buf_commit(out, STEP_BYTES - z.avail_out);
		} while (z.avail_out == 0);
		body.ptr += n;
		body.len -= n;
	}
	(void)deflateEnd(&z);
	return err;
}

int
gzip_undo(struct buf *out, struct slice gzip, size_t bytes)
{
	z_stream z = {0};
	int rc, err = buf_reserve(out, bytes);

	if (err < 0) {
		return err;
	}
	if (inflateInit2(&z, WINDOW_GZIP) != Z_OK) {
		return -ENOMEM;
	}
	z.next_in = (z_const Bytef *)(uintptr_t)gzip.ptr;
	z.avail_in = (uInt)gzip.len;
	z.next_out = buf_tail(out);
	z.avail_out = (uInt)bytes;
	rc = inflate(&z, Z_FINISH);
	if (rc == Z_STREAM_END && z.avail_out == 0) {
		buf_commit(out, bytes);
	} else {
		err = -EBADMSG;
	}
	(void)inflateEnd(&z);
	return err;
}

bool
gzip_is_accepted(struct slice header)
{
	struct slice item;

	while (http_next_item(&header, ',', &item)) {
		if (item.len >= 4 && strncasecmp((const char *)item.ptr, "gzip", 4) == 0) {
			/* ";q=0" refuses it, and so does "0.0" */
			const uint8_t *q = memmem(item.ptr, item.len, "q=0", 3);
			bool none = q != NULL;

			for (const uint8_t *p = q; none && p + 3 < item.ptr + item.len; p++) {
				none = p[3] == '.' || p[3] == '0' || p[3] == ' ';
			}
			return !none && (item.len == 4 || item.ptr[4] == ';' || item.ptr[4] == ' ');
		}
	}
	return false;
}
