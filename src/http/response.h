/*
 * Writes a response into a buffer, in one pass, with the body last: the places of ETag and
 * Content-Length are left open and filled when the body stands, so that a reply can be formatted
 * straight into a connection's output.
 *
 *     begin ─ header… ─ body ─ (append to out) ─ end
 *
 * The caller must not consume from `out` between begin and end. On any failure, or to answer
 * something else after all, http_response_abort takes back every byte.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

struct tagmemo;

/* The value of Date, made once a second. Plain data, all zero to begin with. */
struct http_date {
	uint64_t second;
	char text[sizeof("Sun, 06 Nov 1994 08:49:37 GMT")];
};
struct slice http_date_at(struct http_date *date, uint64_t wall_ms);

/* Plain data; lives on the caller's stack. */
struct http_response {
	struct buf *out; /* borrowed */
	size_t at;       /* all offsets count from the front of what `out` holds */
	size_t etag_at, length_at, body_at;
	unsigned status;
	bool etag;            /* give one */
	struct tagmemo *memo; /* borrowed, set by the caller after begin; NULL: none */
};

/* Status line, and `Server`. 0 or buf.h's errors. */
int http_response_begin(struct http_response *r, struct buf *out, unsigned status) ATTR_WARN_UNUSED;
/* Neither name nor value may come from outside without http_value_is_safe. */
int http_response_header(
    struct http_response *r, const char *name, struct slice value) ATTR_WARN_UNUSED;
/* Ends the headers: from here the caller appends the body to `out`. length_guess: how long it will
 * probably be. */
int http_response_body(struct http_response *r, bool etag, size_t length_guess) ATTR_WARN_UNUSED;
/*
 * Fills in length and tag. if_none_match: the request's header or an empty slice; when it names the
 * tag, the response becomes a 304 without a body. head_only: the body is taken back (HEAD), the
 * headers stay.
 */
int http_response_end(
    struct http_response *r, struct slice if_none_match, bool head_only) ATTR_WARN_UNUSED;
/* Instead of body and end, when the body is known but comes later: its length, and its tag as MD5_HEX_BYTES
 * digits or NULL; `weak`: the bytes are not those that the digits are of, only what they mean. The caller appends the body afterwards. */
int http_response_known(
    struct http_response *r, const char *tag_hex, bool weak, size_t length) ATTR_WARN_UNUSED;
/* Is the tag of these digits among those of an If-None-Match header? */
bool http_tag_is_known(struct slice if_none_match, const char *tag_hex);
void http_response_abort(struct http_response *r);

/* May these bytes stand in a header's value? No control characters (tab excepted). */
bool http_value_is_safe(struct slice value);

#endif
