#include "http/chunked.h"

#include <errno.h>

#define SIZE_MAX_BITS 60 /* sixteen digits and more are no honest chunk */

void
http_chunked_init(struct http_chunked *c, size_t extra_max)
{
	*c = (struct http_chunked){.extra_max = extra_max};
}

static int
take_data(struct http_chunked *c, struct slice in, struct buf *body, size_t *i)
{
	size_t n = in.len - *i;
	int err;

	if (n > c->left) {
		n = (size_t)c->left;
	}
	err = buf_add(body, in.ptr + *i, n);
	if (err < 0) {
		return err;
	}
	*i += n;
	c->left -= n;
	if (c->left == 0) {
		c->state = HTTP_CHUNK_DATA_CR;
	}
	return 0;
}

/* The size line: hex digits, then an extension or the end of the line. */
static int
take_size(struct http_chunked *c, uint8_t byte)
{
	int digit = slice_hex_digit(byte);

	if (digit >= 0) {
		if (c->left >> (SIZE_MAX_BITS - 4) != 0) {
			return -EBADMSG;
		}
		c->left = c->left << 4 | (uint64_t)digit;
		c->state = HTTP_CHUNK_SIZE;
		return 0;
	}
	if (c->state == HTTP_CHUNK_SIZE_FIRST) {
		return -EBADMSG;
	}
	if (byte == '\r') {
		c->state = HTTP_CHUNK_SIZE_LF;
		return 0;
	}
	if (byte == ';') {
		c->state = HTTP_CHUNK_EXT;
		return 0;
	}
	return -EBADMSG;
}

/* A byte of an extension or of a trailer line. */
static int
take_extra(struct http_chunked *c, uint8_t byte, enum http_chunked_state at_end)
{
	if (byte == '\r') {
		c->state = at_end;
		return 0;
	}
	if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
		return -EBADMSG;
	}
	return ++c->overhead > c->extra_max ? -E2BIG : 0;
}

static int
take_byte(struct http_chunked *c, uint8_t byte)
{
	switch (c->state) {
	case HTTP_CHUNK_SIZE_FIRST:
	case HTTP_CHUNK_SIZE:
		return take_size(c, byte);
	case HTTP_CHUNK_EXT:
		return take_extra(c, byte, HTTP_CHUNK_SIZE_LF);
	case HTTP_CHUNK_SIZE_LF:
		c->state = c->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER_FIRST;
		return byte == '\n' ? 0 : -EBADMSG;
	case HTTP_CHUNK_DATA_CR:
		c->state = HTTP_CHUNK_DATA_LF;
		return byte == '\r' ? 0 : -EBADMSG;
	case HTTP_CHUNK_DATA_LF:
		c->state = HTTP_CHUNK_SIZE_FIRST;
		return byte == '\n' ? 0 : -EBADMSG;
	case HTTP_CHUNK_TRAILER_FIRST:
		if (byte == '\r') {
			c->state = HTTP_CHUNK_END_LF;
			return 0;
		}
		if (byte == ' ' || byte == '\t' || byte == ':') {
			return -EBADMSG; /* a folded line, or a field without a name */
		}
		c->state = HTTP_CHUNK_TRAILER;
		return take_extra(c, byte, HTTP_CHUNK_TRAILER_LF);
	case HTTP_CHUNK_TRAILER:
		return take_extra(c, byte, HTTP_CHUNK_TRAILER_LF);
	case HTTP_CHUNK_TRAILER_LF:
		c->state = HTTP_CHUNK_TRAILER_FIRST;
		return byte == '\n' ? 0 : -EBADMSG;
	case HTTP_CHUNK_END_LF:
		c->state = HTTP_CHUNK_DONE;
		return byte == '\n' ? 0 : -EBADMSG;
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_DONE:
		break;
	}
	return -EBADMSG;
}

int
http_chunked_feed(struct http_chunked *c, struct slice in, struct buf *body, size_t *ret_used)
{
	size_t i = 0;
	int err = 0;

	while (err == 0 && i < in.len && c->state != HTTP_CHUNK_DONE) {
		if (c->state == HTTP_CHUNK_DATA) {
			err = take_data(c, in, body, &i);
		} else {
			err = take_byte(c, in.ptr[i++]);
		}
	}
	*ret_used = i;
	return err < 0 ? err : c->state == HTTP_CHUNK_DONE;
}
