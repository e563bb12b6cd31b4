#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/reader.h"

#define TEXT_BYTES 2048

static const struct http_limits limits = {
    .line_bytes = 200, .head_bytes = 400, .body_bytes = 64, .max_headers = 8};

/* What a stream of bytes was read as, in words. */
struct seen {
	char text[TEXT_BYTES];
	size_t len;
	unsigned fault; /* status, or 0 */
	size_t heads;   /* times a body was announced before it was whole */
};

static void
say(struct seen *s, struct slice bytes, const char *end)
{
	assert_true(s->len + bytes.len + strlen(end) < sizeof(s->text));
	if (bytes.len > 0) {
		memcpy(s->text + s->len, bytes.ptr, bytes.len);
	}
	s->len += bytes.len;
	memcpy(s->text + s->len, end, strlen(end) + 1);
	s->len += strlen(end);
}

/* As a connection does: what is not used is shown again with what comes next. Bytes live in exact
 * memory of their own, so that reading beyond them is seen. */
static bool
show(struct http_reader *r, struct buf *kept, struct slice piece, struct seen *s)
{
	struct http_request req;
	struct http_fault fault;

	assert_int_equal(buf_add_slice(kept, piece), 0);
	for (;;) {
		struct slice in = buf_slice(kept);
		uint8_t *copy = malloc(in.len + 1);
		size_t used = 0;
		enum http_got got;

		assert_non_null(copy);
		if (in.len > 0) {
			memcpy(copy, in.ptr, in.len);
		}
		copy = realloc(copy, in.len > 0 ? in.len : 1);
		got = http_reader_next(r, (struct slice){copy, in.len}, &used, &req, &fault);
		if (got == HTTP_GOT_REQUEST) {
			say(s, req.method, " ");
			say(s, req.target, " ");
			say(s, req.body, req.keep_alive ? "\n" : " close\n");
		} else if (got == HTTP_GOT_HEAD) {
			s->heads++;
		}
		free(copy);
		if (got == HTTP_GOT_FAULT) {
			s->fault = fault.status;
			assert_true(strlen(fault.why) > 0);
			return false;
		}
		assert_true(used <= in.len);
		buf_consume(kept, used);
		if (got == HTTP_GOT_NOTHING) {
			return true;
		}
	}
}

/* Reads `text` cut into two pieces at `at`, or byte by byte when at is SIZE_MAX. */
static struct seen
read_text(struct slice text, size_t at)
{
	struct http_reader r;
	struct buf kept;
	struct seen s = {0};
	bool more = true;

	http_reader_init(&r, &limits);
	buf_init(&kept, 0);
	if (at == SIZE_MAX) {
		for (size_t i = 0; more && i < text.len; i++) {
			more = show(&r, &kept, (struct slice){text.ptr + i, 1}, &s);
		}
	} else {
		more = show(&r, &kept, (struct slice){text.ptr, at}, &s);
		if (more) {
			(void)show(&r, &kept, (struct slice){text.ptr + at, text.len - at}, &s);
		}
	}
	http_reader_fini(&r);
	buf_fini(&kept);
	return s;
}

/* The same is read wherever the bytes are cut. */
static void
assert_reads(struct slice text, const char *expected, unsigned fault)
{
	for (size_t at = 0; at <= text.len + 1; at++) {
		struct seen s = read_text(text, at > text.len ? SIZE_MAX : at);

		if (s.fault != fault || strcmp(s.text, expected) != 0) {
			fail_msg("cut at %zu: read \"%s\" fault %u, expected \"%s\" fault %u", at,
			    s.text, s.fault, expected, fault);
		}
	}
}

#define HOST                         "Host: a\r\n"
#define READS(text, expected, fault) assert_reads(SLICE_LIT(text), expected, fault)

static void
reads_a_request_wherever_it_is_cut(void **state)
{
	READS(
	    "GET /GET/k HTTP/1.1\r\n" HOST "X-Empty:\r\nAccept: a, b\r\n\r\n", "GET /GET/k \n", 0);
}

static void
a_body_may_hold_any_byte(void **state)
{
	static const char head[] = "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n";
	struct http_reader r;
	struct http_request req;
	struct http_fault fault;
	struct buf text;
	size_t used;

	http_reader_init(&r, &limits);
	buf_init(&text, 0);
	assert_int_equal(buf_add(&text, head, sizeof(head) - 1), 0);
	assert_int_equal(buf_add(&text, "\0\r\n", 3), 0);

	assert_int_equal(
	    http_reader_next(&r, buf_slice(&text), &used, &req, &fault), HTTP_GOT_REQUEST);

	assert_int_equal(used, buf_len(&text));
	assert_int_equal(req.body.len, 3);
	assert_memory_equal(req.body.ptr, "\0\r\n", 3);
	assert_int_equal(http_reader_held(&r), 0); /* it was there: nothing was copied */
	buf_fini(&text);
	http_reader_fini(&r);
}

static void
reads_bodies(void **state)
{
	READS("PUT /2 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n" HOST
	      "\r\n",
	    "PUT /2 abc\nGET /3 \n", 0);
	READS("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
	      "3;x=y\r\nSET\r\n4\r\n/k/v\r\n0\r\nTrailer: t\r\n\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n",
	    "POST / SET/k/v\nGET /3 \n", 0);
	READS("PUT /2 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "PUT /2 \n", 0);
}

static void
keeps_alive_by_version_and_wish(void **state)
{
	READS("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "GET /  close\n", 0);
	READS("GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", "GET /  close\n", 0);
	READS("GET / HTTP/1.0\r\n\r\n", "GET /  close\n", 0);
	READS("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / \n", 0);
}

static void
skips_empty_lines_before_a_request(void **state)
{
	READS("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET / \n", 0);
}

static void
takes_the_absolute_form(void **state)
{
	READS("GET http://h:1/k?x HTTP/1.1\r\n" HOST "\r\n", "GET /k?x \n", 0);
	READS("GET http://h HTTP/1.1\r\n" HOST "\r\n", "GET  \n", 0);
	READS("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * \n", 0);
}

static void
refuses_ambiguous_lengths(void **state)
{
	READS(
	    "PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "", 400);
	READS(
	    "PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\nabc", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST
	      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST
	      "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
	    "", 400);
	READS("PUT / HTTP/1.1\r\n" HOST
	      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "", 400);
	READS("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 400);
}

static void
refuses_other_codings(void **state)
{
	READS(
	    "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "", 501);
	READS("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", "", 501);
	READS("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", "", 501);
}

#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

static void
refuses_bad_chunks(void **state)
{
	READS(CHUNKED "x\r\n", "", 400);
	READS(CHUNKED "\r\n", "", 400);
	READS(CHUNKED ";a\r\n", "", 400);
	READS(CHUNKED "0x3\r\nabc\r\n", "", 400);
	READS(CHUNKED " 3\r\nabc\r\n", "", 400);
	READS(CHUNKED "3 \r\nabc\r\n", "", 400);
	READS(CHUNKED "-3\r\nabc\r\n", "", 400);
	READS(CHUNKED "3\nabc\r\n", "", 400);
	READS(CHUNKED "3\r\nabcd\r\n", "", 400);
	READS(CHUNKED "3\r\nabc\n0\r\n\r\n", "", 400);
	READS(CHUNKED "3\r\nabc\r0\r\n\r\n", "", 400);
	READS(CHUNKED "3\rXabc\r\n", "", 400);
	READS(CHUNKED "3;a\nb\r\nabc\r\n", "", 400);
	READS(CHUNKED "0\r\n folded\r\n\r\n", "", 400);
	READS(CHUNKED "0\r\nA: b\n\r\n", "", 400);
	READS(CHUNKED "0\r\n\rX", "", 400);
	READS(CHUNKED "ffffffffffffffffff\r\n", "", 400);
}

static void
refuses_what_only_looks_like_a_head(void **state)
{
	READS("get / HTTP/1.1\r\n", "", 400);
	READS("\x16\x03\x01\x02", "", 400); /* TLS on a plain port */
	READS("*1\r\n$4\r\nPING\r\n", "", 400);
	READS("GET /\r\n\r\n", "", 400); /* HTTP/0.9 */
	READS("GET / \r\n\r\n", "", 400);
	READS("GET  HTTP/1.1\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1 \r\n\r\n", "", 400);
	READS("GET /a b HTTP/1.1\r\n" HOST "\r\n", "", 400);
	READS("GET k HTTP/1.1\r\n" HOST "\r\n", "", 400);
	READS("GET * HTTP/1.1\r\n" HOST "\r\n", "", 400);
	READS("GET / HTTP/1.1\n" HOST "\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A: b\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST ": v\r\n\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n", "", 400);
	READS("GET /\0 HTTP/1.1\r\n" HOST "\r\n", "", 400);
	READS("GET / HTTP/1.1\r\n\r\n", "", 400); /* no Host */
	READS("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "", 400);
	READS("GET / HTTP/2.0\r\n" HOST "\r\n", "", 505);
	READS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", 505);
	READS("FROB / HTTP/1.1\r\n" HOST "\r\n", "", 501);
	READS("GET / HTTP/1.1\r\n" HOST "Expect: the-moon\r\n\r\n", "", 417);
}

static void
a_fault_leaves_earlier_requests_alone(void **state)
{
	READS("GET /1 HTTP/1.1\r\n" HOST "\r\nnonsense\r\n\r\n", "GET /1 \n", 400);
}

/* `count` times `what` between `before` and `after`. */
static struct buf
long_text(const char *before, const char *what, size_t count, const char *after)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(buf_add_str(&b, before), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(buf_add_str(&b, what), 0);
	}
	assert_int_equal(buf_add_str(&b, after), 0);
	return b;
}

static void
assert_fault(struct buf text, unsigned status)
{
	assert_int_equal(read_text(buf_slice(&text), SIZE_MAX).fault, status);
	assert_int_equal(read_text(buf_slice(&text), buf_len(&text)).fault, status);
	buf_fini(&text);
}

static void
keeps_to_its_limits(void **state)
{
	/* at the limit, and one beyond */
	assert_fault(long_text("GET /", "a", 200 - 16, " HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_fault(long_text("GET /", "a", 201 - 16, " HTTP/1.1\r\n" HOST "\r\n"), 400);
	assert_fault(long_text("GET / HTTP/1.1\r\n" HOST "A: ", "b", 400 - 16, "\r\n\r\n"), 0);
	assert_fault(long_text("GET / HTTP/1.1\r\n" HOST "A: ", "b", 401 - 16, "\r\n\r\n"), 431);
	assert_fault(long_text("GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 7, "\r\n"), 0);
	assert_fault(long_text("GET / HTTP/1.1\r\n" HOST, "A: b\r\n", 8, "\r\n"), 431);
	assert_fault(
	    long_text("PUT / HTTP/1.1\r\n" HOST "Content-Length: 64\r\n\r\n", "x", 64, ""), 0);
	assert_fault(
	    long_text("PUT / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n", "x", 65, ""), 413);
	assert_fault(long_text(CHUNKED, "1\r\nx\r\n", 64, "0\r\n\r\n"), 0);
	assert_fault(long_text(CHUNKED, "1\r\nx\r\n", 65, "0\r\n\r\n"), 413);
	assert_fault(long_text(CHUNKED "1;", "e", 401, "\r\n"), 431);
	assert_fault(long_text(CHUNKED "0\r\n", "Trailer: x\r\n", 41, "\r\n"), 431);
}

static void
a_line_without_end_is_refused_as_soon_as_it_is_too_long(void **state)
{
	assert_fault(long_text("GET /", "a", 196, ""), 400);
	assert_fault(long_text("GET / HTTP/1.1\r\nA: ", "a", 400, ""), 431);
}

static void
announces_a_body_that_is_still_to_come(void **state)
{
	static const char text[] =
	    "PUT /k HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
	struct http_reader r;
	struct http_request req;
	struct http_fault fault;
	size_t used;

	http_reader_init(&r, &limits);
	assert_false(http_reader_is_amid(&r));
	assert_int_equal(http_reader_next(&r, SLICE_LIT(text), &used, &req, &fault), HTTP_GOT_HEAD);

	assert_int_equal(used, sizeof(text) - 1);
	assert_true(req.expects_continue);
	assert_true(http_reader_is_amid(&r));
	assert_int_equal(
	    http_reader_next(&r, SLICE_LIT("o"), &used, &req, &fault), HTTP_GOT_NOTHING);
	assert_int_equal(
	    http_reader_next(&r, SLICE_LIT("k"), &used, &req, &fault), HTTP_GOT_REQUEST);
	assert_true(slice_eq(req.body, "ok"));
	assert_true(slice_eq(req.target, "/k"));
	assert_false(http_reader_is_amid(&r));
	assert_int_equal(
	    http_reader_next(&r, SLICE_LIT("G"), &used, &req, &fault), HTTP_GOT_NOTHING);
	assert_int_equal(http_reader_held(&r), 0); /* memory of the body went with the next call */
	assert_true(http_reader_is_amid(&r));
	http_reader_fini(&r);
}

static void
finds_headers_and_tokens(void **state)
{
	struct http_request req;
	struct http_fault fault;

	assert_int_equal(
	    http_head_parse(
		SLICE_LIT("GET / HTTP/1.1\r\nhOST:\t[::1]:80 \t\r\nAccept:a ,B\r\n\r\n"), &req,
		&fault),
	    0);

	assert_true(slice_eq(req.authority, "[::1]:80"));
	assert_int_equal(req.header_count, 2);
	assert_true(slice_eq(http_header_find(&req, "host")->value, "[::1]:80"));
	assert_null(http_header_find(&req, "accep"));
	assert_true(http_token_in(http_header_find(&req, "accept")->value, "b"));
	assert_true(http_token_in(http_header_find(&req, "accept")->value, "A"));
	assert_false(http_token_in(http_header_find(&req, "accept")->value, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_a_request_wherever_it_is_cut),
	    cmocka_unit_test(reads_bodies),
	    cmocka_unit_test(a_body_may_hold_any_byte),
	    cmocka_unit_test(keeps_alive_by_version_and_wish),
	    cmocka_unit_test(skips_empty_lines_before_a_request),
	    cmocka_unit_test(takes_the_absolute_form),
	    cmocka_unit_test(refuses_ambiguous_lengths),
	    cmocka_unit_test(refuses_other_codings),
	    cmocka_unit_test(refuses_bad_chunks),
	    cmocka_unit_test(refuses_what_only_looks_like_a_head),
	    cmocka_unit_test(a_fault_leaves_earlier_requests_alone),
	    cmocka_unit_test(keeps_to_its_limits),
	    cmocka_unit_test(a_line_without_end_is_refused_as_soon_as_it_is_too_long),
	    cmocka_unit_test(announces_a_body_that_is_still_to_come),
	    cmocka_unit_test(finds_headers_and_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
