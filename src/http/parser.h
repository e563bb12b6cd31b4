/*
 * The head of one HTTP/1 request, from bytes to fields. This is the only place that knows which
 * parsing library is there (llhttp, or http-parser): nothing of it shows here.
 *
 * The library splits the request line and the headers; what decides about framing, and so about
 * request smuggling, is decided here once for both libraries and is stricter than either: exactly
 * one length, never a length with chunked, "chunked" as the only coding, no folded lines, no
 * blanks in names, one Host.
 *
 * All slices of a request point into the head that was given; it owns nothing.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

#define HTTP_MAX_HEADERS 100

enum http_verb {
	HTTP_VERB_GET,
	HTTP_VERB_HEAD,
	HTTP_VERB_POST,
	HTTP_VERB_PUT,
	HTTP_VERB_DELETE,
	HTTP_VERB_OPTIONS,
	HTTP_VERB_OTHER, /* a method that exists but that nothing here serves */
};

struct http_header {
	struct slice name, value; /* borrowed; value without blanks around it */
};

/* Plain data. */
struct http_request {
	enum http_verb verb;
	struct slice method;    /* as it was sent */
	struct slice target;    /* "/path?query", or "*" */
	struct slice authority; /* host[:port] of the target or of Host; empty: none was named */
	unsigned minor;         /* HTTP/1.minor */
	bool keep_alive;        /* what the client asked for */
	bool expects_continue;
	bool chunked;
	bool has_length;   /* a Content-Length was there */
	uint64_t length;   /* Content-Length; 0 without one */
	struct slice body; /* set by http/reader.h */
	size_t header_count;
	struct http_header headers[HTTP_MAX_HEADERS];
};

/* Why a request is refused: the status to answer, and a sentence that says what to do. */
struct http_fault {
	unsigned status;
	const char *why; /* static */
	bool warns;      /* whoever runs this should see it in the log */
};

/*
 * `head` is a whole head: the request line, headers, and the empty line, each ended by CRLF
 * (reader.h sees to that). 0, or -EBADMSG with `fault` set; ret_req is scratch then.
 */
int http_head_parse(
    struct slice head, struct http_request *ret_req, struct http_fault *ret_fault) ATTR_WARN_UNUSED;

/* The first header of that name (any case), or NULL. */
const struct http_header *http_header_get(const struct http_request *req, struct slice name);
static inline const struct http_header *
http_header_find(const struct http_request *req, const char *name)
{
	return http_header_get(req, slice_str(name));
}
/* Takes the next item of a list in a header off `rest`, without the blanks around it; false at the end. */
bool http_next_item(struct slice *rest, char separator, struct slice *ret_item);
/* Is `word` (any case) one of the comma separated tokens of `value`? */
bool http_token_in(struct slice value, const char *word);

#endif
