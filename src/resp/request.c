#include "resp/request.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "resp/write.h"

/* The least an argument takes on the wire: "$0", CRLF, CRLF. */
#define LEAST_ARG_BYTES 6

enum header { HEADER_OK, HEADER_MORE, HEADER_BAD, HEADER_LONG };

void
resp_request_init(struct resp_request_scanner *s)
{
	*s = (struct resp_request_scanner){0};
}

static enum resp_request_status
bad(struct resp_request *req, const char *what)
{
	(void)snprintf(req->error, sizeof(req->error), "Protocol error: %s", what);
	return RESP_REQUEST_BAD;
}

/* The digits between `*` or `$` and CR, as strictly as Redis reads them: no sign but '-', no
 * leading zero. */
static bool
to_number(const uint8_t *p, size_t len, int64_t *ret)
{
	if (len == 0 || p[0] == '+' || (p[0] == '0' && len > 1) ||
	    (p[0] == '-' && (len < 2 || p[1] == '0'))) {
		return false;
	}
	return slice_to_i64((struct slice){p, len}, ret);
}

/* Reads the line that begins at *at with its type byte; moves *at behind CRLF. */
static enum header
read_header(struct slice in, size_t *at, int64_t *ret)
{
	const uint8_t *p = in.ptr + *at + 1, *end = in.ptr + in.len, *cr;
	uint64_t n = 0;

	/* the usual case: a few digits, complete */
	for (cr = p; cr < end && cr - p < 10 && (uint8_t)(*cr - '0') < 10; cr++) {
		n = n * 10 + (uint64_t)(*cr - '0');
	}
	if (end - cr >= 2 && cr[0] == '\r' && cr > p && (p[0] != '0' || cr - p == 1)) {
		if (cr[1] != '\n') {
			return HEADER_BAD;
		}
		*ret = (int64_t)n;
		*at = (size_t)(cr + 2 - in.ptr);
		return HEADER_OK;
	}
	cr = memchr(p, '\r', (size_t)(end - p));
	if (cr == NULL) {
		return in.len - *at > RESP_INLINE_MAX ? HEADER_LONG : HEADER_MORE;
	}
	if (cr + 1 == end) {
		return HEADER_MORE;
	}
	if (cr[1] != '\n' || !to_number(p, (size_t)(cr - p), ret)) {
		return HEADER_BAD;
	}
	*at = (size_t)(cr + 2 - in.ptr);
	return HEADER_OK;
}

/* A bulk header at *at. Sets `req->error` when it is none. */
static enum header
read_bulk_header(const struct resp_limits *limits, struct slice in, size_t *at,
    struct resp_request *req, uint64_t *ret_len)
{
	enum header h;
	int64_t n;

	if (*at == in.len) {
		return HEADER_MORE;
	}
	if (in.ptr[*at] != '$') {
		uint8_t c = in.ptr[*at];

		(void)snprintf(req->error, sizeof(req->error),
		    "Protocol error: expected '$', got '%c'", c == '\r' || c == '\n' ? ' ' : c);
		return HEADER_BAD;
	}
	h = read_header(in, at, &n);
	if (h == HEADER_LONG) {
		(void)bad(req, "too big bulk count string");
	} else if (h == HEADER_BAD ||
		   (h == HEADER_OK && (n < 0 || (uint64_t)n > limits->bulk_max))) {
		(void)bad(req, "invalid bulk length");
		return HEADER_BAD;
	} else if (h == HEADER_OK) {
		*ret_len = (uint64_t)n;
	}
	return h;
}

/* One word of an inline command from *at, unescaped into `out` (NULL: only measured). False: quotes
 * are not balanced. */
static bool
inline_word(struct slice line, size_t *at, uint8_t *out, size_t *ret_len)
{
	static const char escapes[] = "n\nr\rt\tb\ba\a";
	size_t i = *at, len = 0;
	uint8_t quote = 0;

	for (; i < line.len; i++) {
		uint8_t c = line.ptr[i];

		if (quote == 0) {
			if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
				break;
			}
			if (c == '"' || c == '\'') {
				quote = c;
				continue;
			}
		} else if (c == quote) {
			if (i + 1 < line.len && !isspace(line.ptr[i + 1])) {
				return false;
			}
			quote = 0;
			i++;
			break;
		} else if (quote == '\'' && c == '\\' && i + 1 < line.len &&
			   line.ptr[i + 1] == '\'') {
			c = line.ptr[++i];
		} else if (quote == '"' && c == '\\' && i + 3 < line.len &&
			   line.ptr[i + 1] == 'x' && isxdigit(line.ptr[i + 2]) &&
			   isxdigit(line.ptr[i + 3])) {
			c = 0;
			for (int k = 2; k <= 3; k++) {
				uint8_t d = (uint8_t)tolower(line.ptr[i + k]);

				c = (uint8_t)(c * 16 + (d <= '9' ? d - '0' : d - 'a' + 10));
			}
			i += 3;
		} else if (quote == '"' && c == '\\' && i + 1 < line.len) {
			const char *e;

			c = line.ptr[++i];
			for (e = escapes; *e != '\0' && (uint8_t)*e != c; e += 2) {
			}
			c = *e != '\0' ? (uint8_t)e[1] : c;
		}
		if (out != NULL) {
			out[len] = c;
		}
		len++;
	}
	if (quote != 0) {
		return false;
	}
	*at = i;
	*ret_len = len;
	return true;
}

static size_t
skip_blanks(struct slice line, size_t at)
{
	while (at < line.len && isspace(line.ptr[at])) {
		at++;
	}
	return at;
}

/* Rewrites the words of `line` as RESP. */
static enum resp_request_status
rewrite_inline(struct slice line, struct buf *into, struct resp_request *req)
{
	size_t offsets[RESP_ARGV_KEPT], len, at;

	req->argc = 0;
	for (at = skip_blanks(line, 0); at < line.len; at = skip_blanks(line, at)) {
		if (!inline_word(line, &at, NULL, &len)) {
			return bad(req, "unbalanced quotes in request");
		}
		req->argc++;
	}
	buf_clear(into);
	if (req->argc == 0) {
		return RESP_REQUEST_MORE;
	}
	if (resp_add_header(into, '*', req->argc) < 0) {
		return bad(req, "too big inline request");
	}
	for (at = skip_blanks(line, 0); at < line.len; at = skip_blanks(line, at)) {
		size_t again = at;

		(void)inline_word(line, &again, NULL, &len);
		if (resp_add_header(into, '$', len) < 0 || buf_reserve(into, len + 2) < 0) {
			return bad(req, "too big inline request");
		}
		if (req->kept < RESP_ARGV_KEPT) {
			offsets[req->kept] = buf_len(into);
			req->argv[req->kept++].len = len;
		}
		(void)inline_word(line, &at, buf_tail(into), &len);
		buf_commit(into, len);
		if (buf_add(into, "\r\n", 2) < 0) {
			return bad(req, "too big inline request");
		}
	}
	req->raw = buf_slice(into);
	for (size_t i = 0; i < req->kept; i++) {
		req->argv[i].ptr = req->raw.ptr + offsets[i];
	}
	return RESP_REQUEST_WHOLE;
}

/* MORE with `used` > 0: a blank line was skipped. */
static enum resp_request_status
scan_inline(struct resp_request_scanner *s, struct slice in, struct buf *inline_buf,
    struct resp_request *req)
{
	const uint8_t *nl = memchr(in.ptr, '\n', in.len);
	struct slice line;

	/* Redis looks with strchr: a NUL hides the end of the line */
	if (nl == NULL || memchr(in.ptr, '\0', (size_t)(nl - in.ptr)) != NULL) {
		s->need = (uint32_t)MIN(in.len + 1, RESP_INLINE_MAX + 1);
		return in.len > RESP_INLINE_MAX ? bad(req, "too big inline request")
						: RESP_REQUEST_MORE;
	}
	line = (struct slice){in.ptr, (size_t)(nl - in.ptr)};
	if (line.len > RESP_INLINE_MAX) {
		return bad(req, "too big inline request");
	}
	req->used = line.len + 1;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
		line.len--;
	}
	return rewrite_inline(line, inline_buf, req);
}

static bool
is_crlf(const uint8_t *p)
{
	return p[0] == '\r' && p[1] == '\n';
}

/* The request that begins with `in` will not be seen as a whole: `at` bytes of it are looked at. */
static enum resp_request_status
begin_streaming(struct resp_request_scanner *s, struct slice in, size_t at, uint64_t args_left,
    uint64_t bulk_left, struct resp_request *req)
{
	s->streaming = true;
	s->args_left = args_left;
	s->bulk_left = bulk_left;
	s->total = at + bulk_left;
	s->need = 0;
	req->raw = (struct slice){in.ptr, at};
	req->used = at;
	return RESP_REQUEST_BEGIN;
}

static enum resp_request_status
scan_array(struct resp_request_scanner *s, const struct resp_limits *limits, struct slice in,
    struct resp_request *req)
{
	size_t at = 0;
	int64_t count;
	enum header h = read_header(in, &at, &count);

	if (h == HEADER_MORE) {
		s->need = (uint32_t)in.len + 1;
		return RESP_REQUEST_MORE;
	}
	if (h != HEADER_OK || (count > 0 && (uint64_t)count > limits->args_max)) {
		return bad(req,
		    h == HEADER_LONG ? "too big mbulk count string" : "invalid multibulk length");
	}
	if (count <= 0) {
		req->used = at;
		return RESP_REQUEST_MORE;
	}
	req->argc = (uint64_t)count;
	for (uint64_t left = req->argc; left > 0; left--) {
		size_t header = at;
		uint64_t len, end;

		h = read_bulk_header(limits, in, &at, req, &len);
		if (h == HEADER_BAD || h == HEADER_LONG) {
			return RESP_REQUEST_BAD;
		}
		if (h == HEADER_MORE) {
			if (header > limits->whole_max) {
				return begin_streaming(s, in, header, left, 0, req);
			}
			s->need = (uint32_t)(in.len + 1);
			return RESP_REQUEST_MORE;
		}
		end = at + len + 2;
		if (end > limits->total_max) {
			return bad(req, "too big request");
		}
		if (end > in.len) {
			if (end <= limits->whole_max) {
				uint64_t least = end + (left - 1) * LEAST_ARG_BYTES;

				s->need = (uint32_t)MIN(least, limits->whole_max);
				return RESP_REQUEST_MORE;
			}
			if (end - in.len == 1 && in.ptr[in.len - 1] != '\r') {
				return bad(req, "expected CRLF behind a bulk string");
			}
			return begin_streaming(s, in, in.len, left - 1, end - in.len, req);
		}
		if (!is_crlf(in.ptr + at + len)) {
			return bad(req, "expected CRLF behind a bulk string");
		}
		if (req->kept < RESP_ARGV_KEPT) {
			req->argv[req->kept++] = (struct slice){in.ptr + at, len};
		}
		at = (size_t)end;
	}
	req->raw = (struct slice){in.ptr, at};
	req->used = at;
	req->last = true;
	return RESP_REQUEST_WHOLE;
}

/* Takes what is there of the present argument; false when CRLF is not where it belongs. */
static bool
take_bulk(struct resp_request_scanner *s, struct slice in, size_t *at)
{
	uint64_t n = MIN(s->bulk_left, (uint64_t)(in.len - *at));

	for (uint64_t tail = MIN(s->bulk_left, 2); tail > 0; tail--) {
		uint64_t pos = s->bulk_left - tail;

		if (pos < n && in.ptr[*at + pos] != (tail == 2 ? '\r' : '\n')) {
			return false;
		}
	}
	*at += (size_t)n;
	s->bulk_left -= n;
	return true;
}

static enum resp_request_status
scan_piece(struct resp_request_scanner *s, const struct resp_limits *limits, struct slice in,
    struct resp_request *req)
{
	size_t at = 0;

	for (;;) {
		uint64_t len;
		size_t line = at;
		enum header h;

		if (!take_bulk(s, in, &at)) {
			return bad(req, "expected CRLF behind a bulk string");
		}
		if (s->bulk_left > 0 || s->args_left == 0) {
			break;
		}
		line = at;
		h = read_bulk_header(limits, in, &at, req, &len);
		if (h == HEADER_MORE) {
			at = line;
			break;
		}
		if (h != HEADER_OK) {
			return RESP_REQUEST_BAD;
		}
		s->args_left--;
		s->bulk_left = len + 2;
		s->total += at - line + len + 2;
		if (s->total > limits->total_max) {
			return bad(req, "too big request");
		}
	}
	if (at == 0) {
		return RESP_REQUEST_MORE;
	}
	req->raw = (struct slice){in.ptr, at};
	req->used = at;
	req->last = s->args_left == 0 && s->bulk_left == 0;
	s->streaming = !req->last;
	return RESP_REQUEST_PIECE;
}

enum resp_request_status
resp_request_scan(struct resp_request_scanner *s, const struct resp_limits *limits, struct slice in,
    struct buf *inline_buf, struct resp_request *ret_req)
{
	enum resp_request_status status;
	size_t skipped = 0;

	assert(limits->whole_max <= RESP_WHOLE_MAX);
	ret_req->used = 0;
	ret_req->kept = 0;
	ret_req->argc = 0;
	ret_req->last = false;
	if (s->streaming) {
		return in.len == 0 ? RESP_REQUEST_MORE : scan_piece(s, limits, in, ret_req);
	}
	while (in.len > 0 && in.len >= s->need) {
		s->need = 0;
		ret_req->used = 0;
		status = in.ptr[0] == '*' ? scan_array(s, limits, in, ret_req)
					  : scan_inline(s, in, inline_buf, ret_req);
		if (status == RESP_REQUEST_WHOLE) {
			ret_req->last = true;
		}
		if (status != RESP_REQUEST_MORE || ret_req->used == 0) {
			ret_req->used += skipped;
			return status;
		}
		/* a blank line or an empty array: Redis goes on without a word */
		skipped += ret_req->used;
		in.ptr += ret_req->used;
		in.len -= ret_req->used;
	}
	ret_req->used = skipped;
	return RESP_REQUEST_MORE;
}
