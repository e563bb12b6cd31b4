#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/md5.h"
#include "http/tagmemo.h"
#include "http/response.h"

#define BEGIN "HTTP/1.1 200 OK\r\nServer: Holdfast\r\nContent-Type: text/plain\r\n"
/* md5 of "hello" */
#define TAG "\"5d41402abc4b2a76b9719d911017c592\""

static struct buf
respond(const char *body, bool etag, size_t guess, const char *if_none_match, bool head_only)
{
	struct http_response r;
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(buf_add_str(&out, "xearlier "), 0);
	buf_consume(&out, 1);
	assert_int_equal(http_response_begin(&r, &out, 200), 0);
	assert_int_equal(http_response_header(&r, "Content-Type", SLICE_LIT("text/plain")), 0);
	assert_int_equal(http_response_body(&r, etag, guess), 0);
	assert_int_equal(buf_add_str(&out, body), 0);
	assert_int_equal(http_response_end(&r, slice_str(if_none_match), head_only), 0);
	return out;
}

static void
assert_is(struct buf out, const char *expected)
{
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&out).ptr, expected);
	buf_fini(&out);
}

static void
writes_a_response(void **state)
{
	assert_is(respond("hello", false, 5, "", false),
	    "earlier " BEGIN "Content-Length: 5\r\n\r\nhello");
	assert_is(respond("", false, 0, "", false), "earlier " BEGIN "Content-Length: 0\r\n\r\n");
}

static void
corrects_a_wrong_guess_of_the_length(void **state)
{
	assert_is(respond("hello", false, 123456, "", false),
	    "earlier " BEGIN "Content-Length: 5\r\n\r\nhello");
	assert_is(respond("hello, world", false, 3, "", false),
	    "earlier " BEGIN "Content-Length: 12\r\n\r\nhello, world");
}

static void
tags_the_body(void **state)
{
	assert_is(respond("hello", true, 5, "", false),
	    "earlier " BEGIN "ETag: " TAG "\r\nContent-Length: 5\r\n\r\nhello");
	assert_is(respond("hello", true, 5, "\"other\"", false),
	    "earlier " BEGIN "ETag: " TAG "\r\nContent-Length: 5\r\n\r\nhello");
}

#define NOT_MODIFIED                                                                               \
	"earlier HTTP/1.1 304 Not Modified\r\nServer: Holdfast\r\nContent-Type: text/plain\r\n"    \
	"ETag: " TAG "\r\n\r\n"

static void
answers_304_when_the_tag_is_known(void **state)
{
	assert_is(respond("hello", true, 5, TAG, false), NOT_MODIFIED);
	assert_is(respond("hello", true, 5, "\"a\", W/" TAG, false), NOT_MODIFIED);
	assert_is(respond("hello", true, 5, "*", false), NOT_MODIFIED);
	assert_is(respond("hello", true, 5, TAG, true), NOT_MODIFIED);
}

static void
head_has_the_length_but_no_body(void **state)
{
	assert_is(
	    respond("hello", false, 99, "", true), "earlier " BEGIN "Content-Length: 5\r\n\r\n");
}

static void
abort_takes_everything_back(void **state)
{
	struct http_response r;
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(buf_add_str(&out, "kept"), 0);
	assert_int_equal(http_response_begin(&r, &out, 404), 0);
	assert_int_equal(http_response_body(&r, false, 0), 0);
	http_response_abort(&r);
	assert_is(out, "kept");
}

static void
a_full_buffer_is_an_error_not_a_crash(void **state)
{
	for (size_t max = 1; max < 150; max++) {
		struct http_response r;
		struct buf out;
		int err;

		buf_init(&out, max);
		err = http_response_begin(&r, &out, 200);
		if (err == 0) {
			err = http_response_header(&r, "X", SLICE_LIT("y"));
		}
		if (err == 0) {
			err = http_response_body(&r, true, 1);
		}
		if (err == 0) {
			err = buf_add_str(&out, "body of some length");
		}
		if (err == 0) {
			err = http_response_end(&r, SLICE_LIT("*"), false);
		}
		http_response_abort(&r);
		assert_int_equal(buf_len(&out), 0);
		buf_fini(&out);
	}
}

/* Bodies that share their place in the memo, that differ in one byte, of every size around the bounds. */
static void
a_memo_changes_no_tag(void **state)
{
	static const size_t sizes[] = {0, 1, TAGMEMO_MIN - 1, TAGMEMO_MIN, TAGMEMO_MIN + 1, 19,
	    TAGMEMO_SMALL, TAGMEMO_SMALL + 1, 5000, TAGMEMO_MAX, TAGMEMO_MAX + 1};
	static uint8_t body[TAGMEMO_MAX + 1];
	struct tagmemo *memo = tagmemo_new();
	char hex[MD5_HEX_BYTES], right[MD5_HEX_BYTES];

	(void)state;
	memset(body, 'a', sizeof(body));
	for (int turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			for (size_t at = 0; at < sizes[i]; at += sizes[i] / 7 + 1) {
				body[at]++;
				md5_hex((struct slice){body, sizes[i]}, right);
				for (int again = 0; again < 2; again++) {
					tagmemo_hex(memo, (struct slice){body, sizes[i]}, hex);
					assert_memory_equal(hex, right, MD5_HEX_BYTES);
				}
				body[at]--;
			}
		}
	}
	tagmemo_free(&memo);
}

static void
md5_is_md5(void **state)
{
	static const struct {
		const char *text, *hex;
	} known[] = {
	    {"", "d41d8cd98f00b204e9800998ecf8427e"},
	    {"abc", "900150983cd24fb0d6963f7d28e17f72"},
	    {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
	    {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		"d174ab98d277d9f5a5611c2c9f419d9f"},
	    {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		"57edf4a22be3c955ac49da2e2107b67a"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		char hex[MD5_HEX_BYTES];

		md5_hex(slice_str(known[i].text), hex);
		assert_memory_equal(hex, known[i].hex, MD5_HEX_BYTES);
	}
}

static void
control_characters_are_not_safe_in_a_header(void **state)
{
	assert_true(http_value_is_safe(SLICE_LIT("text/plain; a\t\xff")));
	assert_false(http_value_is_safe(SLICE_LIT("a\r\nSet-Cookie: x")));
	assert_false(http_value_is_safe(SLICE_LIT("a\0")));
	assert_false(http_value_is_safe(SLICE_LIT("\x7f")));
}

static void
date_is_made_once_a_second(void **state)
{
	struct http_date date = {0};
	struct slice text;

	(void)state;
	text = http_date_at(&date, 784111777000);
	assert_true(slice_eq(text, "Sun, 06 Nov 1994 08:49:37 GMT"));
	date.text[0] = 's';
	assert_true(slice_eq(http_date_at(&date, 784111777999), "sun, 06 Nov 1994 08:49:37 GMT"));
	/* a clock that is set back, too */
	assert_true(slice_eq(http_date_at(&date, 784111776999), "Sun, 06 Nov 1994 08:49:36 GMT"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_a_response),
	    cmocka_unit_test(corrects_a_wrong_guess_of_the_length),
	    cmocka_unit_test(tags_the_body),
	    cmocka_unit_test(date_is_made_once_a_second),
	    cmocka_unit_test(answers_304_when_the_tag_is_known),
	    cmocka_unit_test(head_has_the_length_but_no_body),
	    cmocka_unit_test(abort_takes_everything_back),
	    cmocka_unit_test(a_full_buffer_is_an_error_not_a_crash),
	    cmocka_unit_test(md5_is_md5),
	    cmocka_unit_test(a_memo_changes_no_tag),
	    cmocka_unit_test(control_characters_are_not_safe_in_a_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
