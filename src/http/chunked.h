/*
 * Decoder of the chunked coding (RFC 9112 section 7.1), strict: sizes are hex digits only, every
 * line ends in CRLF, extensions and trailers are bounded and dropped. Lenient decoders here are
 * what request smuggling lives on. It keeps no bytes: data goes straight to the caller's buffer.
 */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

enum http_chunked_state {
	HTTP_CHUNK_SIZE_FIRST,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_EXT,
	HTTP_CHUNK_SIZE_LF,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILER_FIRST,
	HTTP_CHUNK_TRAILER,
	HTTP_CHUNK_TRAILER_LF,
	HTTP_CHUNK_END_LF,
	HTTP_CHUNK_DONE,
};

/* Embedded; zeroed by http_chunked_init. */
struct http_chunked {
	enum http_chunked_state state;
	uint64_t left;    /* of the current chunk */
	size_t overhead;  /* extension and trailer bytes so far */
	size_t extra_max; /* most of those */
};

void http_chunked_init(struct http_chunked *c, size_t extra_max);

/*
 * Decodes from `in` into `body` (whose max is the limit). *ret_used counts the bytes taken, also on
 * failure. 1 when the last chunk and its trailer ended, 0 when more is needed, -EBADMSG malformed,
 * -E2BIG too many extension or trailer bytes, -ENOBUFS body over its limit, -ENOMEM.
 */
int http_chunked_feed(
    struct http_chunked *c, struct slice in, struct buf *body, size_t *ret_used) ATTR_WARN_UNUSED;

#endif
