/*
 * Bytes of a connection → requests, one after the other, incrementally and within limits.
 *
 *     bytes ──► head (waits in the caller's buffer until whole, then is parsed in place)
 *                 ├─ no body, or a body that is there already ─► HTTP_GOT_REQUEST, nothing copied
 *                 └─ body to come ─► HTTP_GOT_HEAD, then head and body are kept here
 *                                    until HTTP_GOT_REQUEST
 *
 * An idle reader holds no memory. After HTTP_GOT_FAULT the connection's framing is lost: answer the
 * fault and close. The reader never answers by itself and knows no socket.
 */
#ifndef HTTP_READER_H
#define HTTP_READER_H

#include "base/buf.h"
#include "http/chunked.h"
#include "http/parser.h"

struct http_limits {
	size_t line_bytes;  /* request line */
	size_t head_bytes;  /* all headers together; also all trailers, and all chunk extensions */
	size_t body_bytes;  /* decoded body */
	size_t max_headers; /* at most HTTP_MAX_HEADERS */
};

enum http_got {
	HTTP_GOT_NOTHING, /* more bytes are needed */
	HTTP_GOT_HEAD,    /* a head whose body is still to come: a chance to refuse it, or to say
			     100 Continue */
	HTTP_GOT_REQUEST, /* one whole request */
	HTTP_GOT_FAULT,   /* refused; stays so */
};

enum http_reader_state { HTTP_READ_HEAD, HTTP_READ_BODY, HTTP_READ_CHUNKS, HTTP_READ_FAULT };

/* Embedded in the session. */
struct http_reader {
	const struct http_limits *limits; /* borrowed (outlives the reader) */
	enum http_reader_state state;
	size_t scanned;     /* bytes of the pending head that were looked at */
	size_t line_start;  /* where its current line begins */
	size_t line_count;  /* whole lines before that */
	size_t first_bytes; /* length of its request line, with CRLF */
	struct buf head;    /* owned: a head whose body is being read */
	struct buf body;    /* owned: that body */
	uint64_t left;      /* bytes of a body with a length that are still to come */
	struct http_chunked chunked;
	struct http_fault fault;
	bool handed_out; /* head and body were given to the caller: dropped at the next call */
};

void http_reader_init(struct http_reader *r, const struct http_limits *limits);
void http_reader_fini(struct http_reader *r);

/*
 * Looks at `in` (all bytes that were not used before) and says what was found. *ret_used is how
 * many bytes from the front are done with. ret_req is filled for a head and a request; its slices
 * hold until `in` goes or the next call. Call again until HTTP_GOT_NOTHING or HTTP_GOT_FAULT.
 */
enum http_got http_reader_next(struct http_reader *r, struct slice in, size_t *ret_used,
    struct http_request *ret_req, struct http_fault *ret_fault) ATTR_WARN_UNUSED;

/* After HTTP_GOT_REQUEST: the body as a buffer of the caller's, moved when it is kept here, else copied. 0 or
 * buf.h's errors. req->body is gone then. */
int http_reader_take_body(
    struct http_reader *r, struct http_request *req, struct buf *into) ATTR_WARN_UNUSED;

/* Bytes of the present body so far. */
uint64_t http_reader_body_bytes(const struct http_reader *r);
/* True between the first byte of a request and its end: a deadline for slow senders runs then. */
bool http_reader_is_amid(const struct http_reader *r);
/* Bytes of memory held for a body. */
size_t http_reader_held(const struct http_reader *r);

#endif
