#include "http/parser.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#ifdef HAVE_LLHTTP
#include <llhttp.h>
#define LIB_PARSER llhttp_t
#else
#include <http_parser.h>
#define LIB_PARSER struct http_parser
#endif

/* What the library's callbacks collect. */
struct collector {
	struct http_request *req;
	struct slice url;
	bool amid_value; /* the last callback was a value: the next name begins a header */
	bool too_many;
};

static int
refuse(struct http_fault *fault, unsigned status, const char *why)
{
	*fault = (struct http_fault){.status = status, .why = why};
	return -EBADMSG;
}

/* A piece may come in several calls; as the head is in one place, they touch. */
static void
extend(struct slice *s, const char *at, size_t len)
{
	if (s->ptr == NULL) {
		*s = (struct slice){(const uint8_t *)at, len};
	} else {
		s->len = (size_t)((const uint8_t *)at - s->ptr) + len;
	}
}

static int
on_url(LIB_PARSER *p, const char *at, size_t len)
{
	extend(&((struct collector *)p->data)->url, at, len);
	return 0;
}

static int
on_name(LIB_PARSER *p, const char *at, size_t len)
{
	struct collector *c = p->data;
	struct http_request *req = c->req;

	if (req->header_count == 0 || c->amid_value) {
		if (req->header_count == HTTP_MAX_HEADERS) {
			c->too_many = true;
			return 0;
		}
		req->headers[req->header_count++] = (struct http_header){0};
		c->amid_value = false;
	}
	extend(&req->headers[req->header_count - 1].name, at, len);
	return 0;
}

static int
on_value(LIB_PARSER *p, const char *at, size_t len)
{
	struct collector *c = p->data;

	c->amid_value = true;
	if (!c->too_many) {
		extend(&c->req->headers[c->req->header_count - 1].value, at, len);
	}
	return 0;
}

static int
on_head_done(LIB_PARSER *p)
{
	return 1; /* no body for the library: reader.c reads it, under its own limits */
}

#ifdef HAVE_LLHTTP
static int
run_library(struct slice head, struct collector *c)
{
	llhttp_settings_t settings;
	llhttp_t p;
	llhttp_errno_t err;

	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_headers_complete = on_head_done;
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = c;
	err = llhttp_execute(&p, (const char *)head.ptr, head.len);
	return err == HPE_OK || err == HPE_PAUSED_UPGRADE ? 0 : -EBADMSG;
}
#else
static int
run_library(struct slice head, struct collector *c)
{
	static const struct http_parser_settings settings = {.on_url = on_url,
	    .on_header_field = on_name,
	    .on_header_value = on_value,
	    .on_headers_complete = on_head_done};
	LIB_PARSER p;

	/* Its own limit is for callers who feed it without one; the reader has counted already. */
	http_parser_set_max_header_size(INT_MAX);
	http_parser_init(&p, HTTP_REQUEST);
	p.data = c;
	(void)http_parser_execute(&p, &settings, (const char *)head.ptr, head.len);
	return p.http_errno == HPE_OK ? 0 : -EBADMSG;
}
#endif

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
		s.len--;
	}
	return s;
}

const struct http_header *
http_header_get(const struct http_request *req, struct slice name)
{
	for (size_t i = 0; i < req->header_count; i++) {
		const struct http_header *h = &req->headers[i];

		if (h->name.len == name.len &&
		    strncasecmp((const char *)h->name.ptr, (const char *)name.ptr, name.len) == 0) {
			return h;
		}
	}
	return NULL;
}

bool
http_next_item(struct slice *rest, char separator, struct slice *ret_item)
{
	const uint8_t *stop;
	size_t len;

	if (rest->len == 0) {
		return false;
	}
	stop = memchr(rest->ptr, separator, rest->len);
	len = stop != NULL ? (size_t)(stop - rest->ptr) : rest->len;
	*ret_item = trim((struct slice){rest->ptr, len});
	len += stop != NULL;
	rest->ptr += len;
	rest->len -= len;
	return true;
}

bool
http_token_in(struct slice value, const char *word)
{
	struct slice token;

	while (http_next_item(&value, ',', &token)) {
		if (slice_caseeq(token, word)) {
			return true;
		}
	}
	return false;
}

/* RFC 9110 section 5.6.2 */
static const bool is_tchar[256] = {['a' ... 'z'] = true,
    ['A' ... 'Z'] = true,
    ['0' ... '9'] = true,
    ['!'] = true,
    ['#' ... '\''] = true,
    ['*'] = true,
    ['+'] = true,
    ['-'] = true,
    ['.'] = true,
    ['^' ... '`'] = true,
    ['|'] = true,
    ['~'] = true};

static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!is_tchar[s.ptr[i]]) {
			return false;
		}
	}
	return s.len > 0;
}

static enum http_verb
verb_of(struct slice method)
{
	static const struct {
		const char *name;
		enum http_verb verb;
	} verbs[] = {{"GET", HTTP_VERB_GET}, {"PUT", HTTP_VERB_PUT}, {"POST", HTTP_VERB_POST},
	    {"HEAD", HTTP_VERB_HEAD}, {"DELETE", HTTP_VERB_DELETE}, {"OPTIONS", HTTP_VERB_OPTIONS}};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (slice_eq(method, verbs[i].name)) {
			return verbs[i].verb;
		}
	}
	return HTTP_VERB_OTHER;
}

/* METHOD SP target SP HTTP/1.x, so that both libraries refuse the same things with the same words.
 */
static int
check_line(struct slice line, struct http_request *req, struct http_fault *fault)
{
	static const char version[] = "HTTP/";
	const uint8_t *space = memchr(line.ptr, ' ', line.len);
	const uint8_t *v;

	req->method = (struct slice){line.ptr, space != NULL ? (size_t)(space - line.ptr) : 0};
	if (!is_token(req->method)) {
		return refuse(fault, 400, "this is not an HTTP request");
	}
	v = memrchr(line.ptr, ' ', line.len);
	if (v == space || line.ptr + line.len - ++v != 8 ||
	    memcmp(v, version, sizeof(version) - 1) != 0) {
		return refuse(fault, 400, "the request line must end in HTTP/1.1 or HTTP/1.0");
	}
	if (v[5] != '1' || v[6] != '.' || v[7] < '0' || v[7] > '9') {
		return refuse(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	}
	req->minor = (unsigned)(v[7] - '0');
	req->verb = verb_of(req->method);
	return 0;
}

/* "http://host/path" becomes "/path"; the host named there replaces Host (RFC 9112 section 3.2.2).
 */
static int
check_target(struct slice url, struct http_request *req, struct http_fault *fault)
{
	const uint8_t *colon, *rest, *end = url.ptr + url.len;

	req->target = url;
	if (url.len > 0 && url.ptr[0] == '/') {
		return 0;
	}
	if (slice_eq(url, "*") && req->verb == HTTP_VERB_OPTIONS) {
		return 0;
	}
	colon = url.len > 0 ? memmem(url.ptr, url.len, "://", 3) : NULL;
	if (colon == NULL) {
		return refuse(fault, 400, "the request target must begin with '/'");
	}
	colon += 3;
	rest = colon;
	while (rest < end && *rest != '/' && *rest != '?') {
		rest++;
	}
	req->authority = (struct slice){colon, (size_t)(rest - colon)};
	req->target = (struct slice){rest, (size_t)(end - rest)};
	return 0;
}

static int
take_length(struct slice value, struct http_request *req, struct http_fault *fault)
{
	if (req->has_length) {
		return refuse(fault, 400, "more than one Content-Length");
	}
	req->has_length = true;
	if (!slice_to_u64(value, &req->length)) {
		return refuse(fault, 400, "Content-Length must be one decimal number");
	}
	return 0;
}

static int
take_coding(struct slice value, struct http_request *req, struct http_fault *fault)
{
	if (req->chunked) {
		return refuse(fault, 400, "more than one Transfer-Encoding");
	}
	if (!slice_caseeq(value, "chunked")) {
		return refuse(fault, 501, "the only Transfer-Encoding served here is chunked");
	}
	req->chunked = true;
	return 0;
}

static int
take_expect(struct slice value, struct http_request *req, struct http_fault *fault)
{
	if (!slice_caseeq(value, "100-continue")) {
		return refuse(fault, 417, "the only expectation served here is 100-continue");
	}
	req->expects_continue = req->minor >= 1;
	return 0;
}

/* Everything that decides where this request ends and what happens to the connection. */
static int
check_headers(struct http_request *req, struct http_fault *fault)
{
	bool host = false, asked_close = false, asked_keep = false;
	int err = 0;

	for (size_t i = 0; err == 0 && i < req->header_count; i++) {
		struct http_header *h = &req->headers[i];

		if (!is_token(h->name)) {
			return refuse(fault, 400,
			    "a header's name has a blank or another sign that "
			    "may not stand there");
		}
		h->value = trim(h->value);
		if (slice_caseeq(h->name, "content-length")) {
			err = take_length(h->value, req, fault);
		} else if (slice_caseeq(h->name, "transfer-encoding")) {
			err = take_coding(h->value, req, fault);
		} else if (slice_caseeq(h->name, "connection")) {
			asked_close = asked_close || http_token_in(h->value, "close");
			asked_keep = asked_keep || http_token_in(h->value, "keep-alive");
		} else if (slice_caseeq(h->name, "expect")) {
			err = take_expect(h->value, req, fault);
		} else if (slice_caseeq(h->name, "host")) {
			if (host) {
				return refuse(fault, 400, "more than one Host");
			}
			host = true;
			if (req->authority.len == 0) {
				req->authority = h->value;
			}
		}
	}
	if (err == 0 && req->has_length && req->chunked) {
		return refuse(fault, 400, "Content-Length and Transfer-Encoding together");
	}
	if (err == 0 && req->chunked && req->minor == 0) {
		return refuse(fault, 400, "HTTP/1.0 knows no Transfer-Encoding");
	}
	if (err == 0 && !host && req->minor >= 1) {
		return refuse(fault, 400, "HTTP/1.1 needs a Host header");
	}
	req->keep_alive = !asked_close && (req->minor >= 1 || asked_keep);
	return err;
}

int
http_head_parse(struct slice head, struct http_request *ret_req, struct http_fault *ret_fault)
{
	struct collector c = {.req = ret_req};
	const uint8_t *eol = head.len > 0 ? memchr(head.ptr, '\r', head.len) : NULL;
	struct slice line = {head.ptr, eol != NULL ? (size_t)(eol - head.ptr) : 0};
	int err;

	/* The array of headers is large and need not be wiped. */
	memset(ret_req, 0, offsetof(struct http_request, headers));
	err = check_line(line, ret_req, ret_fault);
	if (err < 0) {
		return err;
	}
	if (memchr(head.ptr, 0, head.len) != NULL) {
		return refuse(ret_fault, 400, "a NUL byte in the head of the request");
	}
	if (run_library(head, &c) < 0) {
		/* The library knows every registered method: a proper line with another one. */
		return ret_req->verb == HTTP_VERB_OTHER && c.url.ptr == NULL
			   ? refuse(ret_fault, 501,
				 "unknown method; GET, HEAD, POST, PUT and OPTIONS are served")
			   : refuse(ret_fault, 400, "the head of the request is malformed");
	}
	if (c.too_many) {
		return refuse(ret_fault, 431, "too many headers");
	}
	err = check_target(c.url, ret_req, ret_fault);
	return err < 0 ? err : check_headers(ret_req, ret_fault);
}
