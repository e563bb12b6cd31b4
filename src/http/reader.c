#include "http/reader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void
http_reader_init(struct http_reader *r, const struct http_limits *limits)
{
	*r = (struct http_reader){.limits = limits};
	assert(limits->max_headers <= HTTP_MAX_HEADERS);
	buf_init(&r->head, limits->line_bytes + limits->head_bytes);
	buf_init(&r->body, limits->body_bytes);
}

void
http_reader_fini(struct http_reader *r)
{
	buf_fini(&r->head);
	buf_fini(&r->body);
}

bool
http_reader_is_amid(const struct http_reader *r)
{
	return (r->state == HTTP_READ_HEAD && r->scanned > 0) || r->state == HTTP_READ_BODY ||
	       r->state == HTTP_READ_CHUNKS;
}

size_t
http_reader_held(const struct http_reader *r)
{
	return r->head.cap + r->body.cap;
}

int
http_reader_take_body(struct http_reader *r, struct http_request *req, struct buf *into)
{
	int err = 0;

	buf_fini(into);
	if (r->handed_out && req->body.len > 0 && req->body.ptr == buf_slice(&r->body).ptr) {
		size_t max = r->body.max;

		*into = r->body;
		into->max = 0;
		buf_init(&r->body, max);
	} else {
		err = buf_add_slice(into, req->body);
	}
	req->body = (struct slice){0};
	return err;
}

uint64_t
http_reader_body_bytes(const struct http_reader *r)
{
	return buf_len(&r->body);
}

static enum http_got
refuse(struct http_reader *r, unsigned status, const char *why)
{
	r->fault = (struct http_fault){.status = status, .why = why};
	r->state = HTTP_READ_FAULT;
	buf_fini(&r->head);
	buf_fini(&r->body);
	return HTTP_GOT_FAULT;
}

/* The same for what is larger than a limit. */
static enum http_got
refuse_large(struct http_reader *r, unsigned status, const char *why)
{
	enum http_got got = refuse(r, status, why);

	r->fault.warns = true;
	return got;
}

/* Empty lines before a request are skipped (RFC 9112 section 2.2). */
static size_t
skip_blank(struct slice in)
{
	size_t n = 0;

	while (in.len - n >= 2 && in.ptr[n] == '\r' && in.ptr[n + 1] == '\n') {
		n += 2;
	}
	return n;
}

/* Are there more pending bytes than the limits allow, however the line goes on? */
static enum http_got
check_size(struct http_reader *r, size_t upto)
{
	const struct http_limits *l = r->limits;

	if (r->line_count == 0) {
		return upto > l->line_bytes
			   ? refuse_large(
				 r, 400, "the request line is longer than http.max_request_bytes")
			   : HTTP_GOT_NOTHING;
	}
	return upto - r->first_bytes > l->head_bytes
		   ? refuse_large(r, 431, "the headers are too long")
		   : HTTP_GOT_NOTHING;
}

/*
 * Looks for the empty line that ends a head. Only CRLF ends a line: what this reader and something
 * in front of it might read differently is refused. *ret_len 0: not there yet.
 */
static enum http_got
find_head_end(struct http_reader *r, struct slice in, size_t *ret_len)
{
	const uint8_t *lf;

	*ret_len = 0;
	while (r->scanned < in.len &&
	       (lf = memchr(in.ptr + r->scanned, '\n', in.len - r->scanned)) != NULL) {
		size_t at = (size_t)(lf - in.ptr), start = r->line_start;

		if (check_size(r, at + 1) == HTTP_GOT_FAULT) {
			return HTTP_GOT_FAULT;
		}
		if (at == start || in.ptr[at - 1] != '\r') {
			return refuse(r, 400, "a line must end in CR LF");
		}
		r->scanned = r->line_start = at + 1;
		if (at - 1 == start) {
			*ret_len = at + 1;
			return HTTP_GOT_NOTHING;
		}
		if (r->line_count == 0) {
			r->first_bytes = at + 1;
		} else if (in.ptr[start] == ' ' || in.ptr[start] == '\t') {
			return refuse(r, 400, "a header may not be folded over lines");
		}
		if (r->line_count++ > r->limits->max_headers) {
			return refuse_large(r, 431, "too many headers");
		}
	}
	r->scanned = in.len;
	return check_size(r, in.len);
}

/* The head stands: what comes behind it? */
static enum http_got
begin_body(
    struct http_reader *r, struct slice in, size_t head_len, size_t *used, struct http_request *req)
{
	struct slice rest = {in.ptr + head_len, in.len - head_len};

	r->scanned = r->line_start = r->line_count = r->first_bytes = 0;
	if (!req->chunked && req->length > r->limits->body_bytes) {
		return refuse_large(r, 413, "the body is larger than http.max_request_bytes");
	}
	*used += head_len;
	if (!req->chunked && req->length <= rest.len) {
		req->body = (struct slice){rest.ptr, (size_t)req->length};
		*used += req->body.len;
		return HTTP_GOT_REQUEST;
	}
	if (buf_add(&r->head, in.ptr, head_len) < 0) {
		return refuse(r, 503, "out of memory");
	}
	if (req->chunked) {
		r->state = HTTP_READ_CHUNKS;
		http_chunked_init(&r->chunked, r->limits->head_bytes);
	} else {
		r->state = HTTP_READ_BODY;
		r->left = req->length;
	}
	return HTTP_GOT_HEAD;
}

static enum http_got
read_head(struct http_reader *r, struct slice in, size_t *used, struct http_request *req)
{
	size_t len;

	if (r->scanned == 0) {
		*used = skip_blank(in);
		in = (struct slice){in.ptr + *used, in.len - *used};
		if (in.len == 0 || (in.len == 1 && in.ptr[0] == '\r')) {
			return HTTP_GOT_NOTHING;
		}
		if (in.ptr[0] < 'A' || in.ptr[0] > 'Z') {
			return refuse(r, 400, "this is not an HTTP request");
		}
	}
	if (find_head_end(r, in, &len) == HTTP_GOT_FAULT) {
		return HTTP_GOT_FAULT;
	}
	if (len == 0) {
		return HTTP_GOT_NOTHING;
	}
	if (http_head_parse((struct slice){in.ptr, len}, req, &r->fault) < 0) {
		return refuse(r, r->fault.status, r->fault.why);
	}
	return begin_body(r, in, len, used, req);
}

/* The body is whole. Its head is split once more: cheaper than keeping a table of headers for every
 * upload, and the pieces now point into memory that stays. */
static enum http_got
finish_body(struct http_reader *r, struct http_request *req)
{
	int err = http_head_parse(buf_slice(&r->head), req, &r->fault);

	assert(err == 0);
	req->body = buf_slice(&r->body);
	r->state = HTTP_READ_HEAD;
	r->handed_out = true;
	return HTTP_GOT_REQUEST;
}

static enum http_got
read_body(struct http_reader *r, struct slice in, size_t *used, struct http_request *req)
{
	size_t n = in.len;

	if (n > r->left) {
		n = (size_t)r->left;
	}
	if (buf_add(&r->body, in.ptr, n) < 0) {
		return refuse(r, 503, "out of memory");
	}
	*used = n;
	r->left -= n;
	return r->left > 0 ? HTTP_GOT_NOTHING : finish_body(r, req);
}

static enum http_got
read_chunks(struct http_reader *r, struct slice in, size_t *used, struct http_request *req)
{
	switch (http_chunked_feed(&r->chunked, in, &r->body, used)) {
	case 0:
		return HTTP_GOT_NOTHING;
	case 1:
		return finish_body(r, req);
	case -ENOBUFS:
		return refuse_large(r, 413, "the body is larger than http.max_request_bytes");
	case -E2BIG:
		return refuse_large(r, 431, "chunk extensions or trailers are too long");
	case -ENOMEM:
		return refuse(r, 503, "out of memory");
	default:
		return refuse(r, 400, "a chunk is malformed");
	}
}

enum http_got
http_reader_next(struct http_reader *r, struct slice in, size_t *ret_used,
    struct http_request *ret_req, struct http_fault *ret_fault)
{
	enum http_got got = HTTP_GOT_FAULT;
	size_t used = 0;

	if (r->handed_out) {
		r->handed_out = false;
		buf_fini(&r->head);
		buf_fini(&r->body);
	}
	*ret_used = 0;
	if (in.len == 0 && r->state != HTTP_READ_FAULT) {
		return HTTP_GOT_NOTHING;
	}
	switch (r->state) {
	case HTTP_READ_HEAD:
		got = read_head(r, in, &used, ret_req);
		break;
	case HTTP_READ_BODY:
		got = read_body(r, in, &used, ret_req);
		break;
	case HTTP_READ_CHUNKS:
		got = read_chunks(r, in, &used, ret_req);
		break;
	case HTTP_READ_FAULT:
		break;
	}
	*ret_used = used;
	if (got == HTTP_GOT_FAULT) {
		*ret_fault = r->fault;
	}
	return got;
}
