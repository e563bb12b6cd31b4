/* The request scanner: what it finds, wherever the bytes are cut; what it refuses, in Redis' words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "resp/request.h"
#include "resp/write.h"

/*
 * Feeds `in` in two runs cut at `cut`, as a connection does: what is not used is shown again. Each
 * request is written to `log` as "name,arg,…;" (those in pieces as "~BYTES;"), an error as
 * "!text".
 */
static void
feed(const struct resp_limits *limits, struct slice in, size_t cut, struct buf *log)
{
	struct resp_request_scanner s;
	struct resp_request req;
	struct buf inline_buf;
	size_t done = 0, pieces = 0;

	buf_init(&inline_buf, 0);
	resp_request_init(&s);
	for (int run = 0; run < 2; run++) {
		size_t end = run == 0 ? cut : in.len;

		for (;;) {
			/* a copy of its own, so that the sanitizer sees a look past the end */
			size_t len = end - done;
			uint8_t *copy = malloc(len + 1);
			enum resp_request_status st;
			struct slice now = {copy, len};

			assert_non_null(copy);
			copy = memcpy(copy, in.ptr + done, len);
			copy = realloc(copy, len > 0 ? len : 1);
			now.ptr = copy;
			st = resp_request_scan(&s, limits, now, &inline_buf, &req);
			if (st == RESP_REQUEST_WHOLE) {
				for (size_t i = 0; i < req.kept; i++) {
					assert_int_equal(buf_addf(log, i > 0 ? "," : ""), 0);
					assert_int_equal(buf_add_slice(log, req.argv[i]), 0);
				}
				assert_int_equal(buf_add_str(log, ";"), 0);
			} else if (st == RESP_REQUEST_BEGIN) {
				pieces = req.raw.len;
			} else if (st == RESP_REQUEST_PIECE) {
				pieces += req.raw.len;
			} else if (st == RESP_REQUEST_BAD) {
				assert_int_equal(buf_addf(log, "!%s", req.error), 0);
			}
			if (st == RESP_REQUEST_PIECE && req.last) {
				assert_int_equal(buf_addf(log, "~%zu;", pieces), 0);
			}
			done += req.used;
			free(copy);
			if (st == RESP_REQUEST_BAD) {
				goto out;
			}
			if (st == RESP_REQUEST_MORE) {
				break;
			}
		}
	}
out:
	buf_fini(&inline_buf);
}

static void
expect_cut(
    const struct resp_limits *limits, struct slice in, size_t from, size_t to, const char *want)
{
	for (size_t cut = from; cut <= to; cut++) {
		struct buf log;

		buf_init(&log, 0);
		feed(limits, in, cut, &log);
		assert_int_equal(buf_add(&log, "", 1), 0);
		if (strcmp((const char *)buf_slice(&log).ptr, want) != 0) {
			print_error("cut at %zu\n", cut);
		}
		assert_string_equal((const char *)buf_slice(&log).ptr, want);
		buf_fini(&log);
	}
}

static void
expect_within(const struct resp_limits *limits, struct slice in, const char *want)
{
	expect_cut(limits, in, 0, in.len, want);
}

#define EXPECT(in, want) expect_within(&RESP_LIMITS_DEFAULT, SLICE_LIT(in), want)

static void
test_arrays_are_found_wherever_they_are_cut(void **state)
{
	EXPECT("*1\r\n$4\r\nPING\r\n", "PING;");
	EXPECT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nva\r\nl\r\n",
	    "GET,k;SET,k,va\r\nl;");
	EXPECT("*1\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", ";PING;");
	EXPECT("*2\r\n$3\r\nGET\r\n$1\r\n", "");
}

static void
test_empty_arrays_and_blank_lines_are_passed_over(void **state)
{
	EXPECT("*-1\r\n*0\r\n\r\n\n   \r\n*1\r\n$4\r\nPING\r\n", "PING;");
	EXPECT("*-2147483649\r\nPING\r\n", "PING;");
}

static void
test_inline_commands_are_split_as_redis_splits_them(void **state)
{
	EXPECT("PING\r\n", "PING;");
	EXPECT("  get   k\t\n", "get,k;");
	EXPECT("get \"a b\" 'c\\'d'\r\n", "get,a b,c'd;");
	EXPECT("get \"\\x41\\x6a\\\"\\n\\q\"\r\n", "get,Aj\"\nq;");
	EXPECT("get a\rb\r\n", "get,a,b;");
	EXPECT("set a\x0b"
	       "b \"\"\r\nPING\n",
	    "set,a\x0b"
	    "b,;PING;");
	EXPECT("get x\"y z\"\r\n", "get,xy z;");
}

static void
test_an_inline_command_is_rewritten_as_resp(void **state)
{
	struct resp_request_scanner s;
	struct resp_request req;
	struct buf b;

	buf_init(&b, 0);
	resp_request_init(&s);
	assert_int_equal(
	    resp_request_scan(&s, &RESP_LIMITS_DEFAULT, SLICE_LIT("set k \"a b\"\r\n"), &b, &req),
	    RESP_REQUEST_WHOLE);
	assert_true(slice_eq(req.raw, "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$3\r\na b\r\n"));
	buf_fini(&b);
}

static void
test_violations_are_named_as_redis_names_them(void **state)
{
	EXPECT("*01\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*+1\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("* 1\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*a\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*2147483648\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*99999999999999999999\r\n", "!Protocol error: invalid multibulk length");
	EXPECT("*1\rX", "!Protocol error: invalid multibulk length");
	EXPECT("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length");
	EXPECT("*1\r\n$04\r\nPING\r\n", "!Protocol error: invalid bulk length");
	EXPECT("*1\r\n$536870913\r\n", "!Protocol error: invalid bulk length");
	EXPECT("*1\r\n$\r\n", "!Protocol error: invalid bulk length");
	EXPECT("*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'");
	EXPECT("*1\r\n\r\n", "!Protocol error: expected '$', got ' '");
	EXPECT("get \"a\r\n", "!Protocol error: unbalanced quotes in request");
	EXPECT("get \"a\"b\r\n", "!Protocol error: unbalanced quotes in request");
	EXPECT("PING\r\n*1\r\n$x\r\n", "PING;!Protocol error: invalid bulk length");
	EXPECT("*1\r\n$4\r\nPINGxx", "!Protocol error: expected CRLF behind a bulk string");
}

static struct slice
repeat(char *into, size_t len, const char *before, char c)
{
	size_t n = strlen(before);

	assert_true(n < len);
	memset(memcpy(into, before, n) == into ? into + n : into, c, len - n);
	return (struct slice){(const uint8_t *)into, len};
}

static void
test_endless_lines_are_refused(void **state)
{
	static char big[70000];
	struct buf log;
	static const struct {
		const char *before, *want;
	} cases[] = {
	    {"a", "!Protocol error: too big inline request"},
	    {"*1", "!Protocol error: too big mbulk count string"},
	    {"*1\r\n$1", "!Protocol error: too big bulk count string"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&log, 0);
		feed(
		    &RESP_LIMITS_DEFAULT, repeat(big, sizeof(big), cases[i].before, '1'), 10, &log);
		assert_int_equal(buf_add(&log, "", 1), 0);
		assert_string_equal((const char *)buf_slice(&log).ptr, cases[i].want);
		buf_fini(&log);
	}
}

static void
test_a_large_request_comes_in_pieces(void **state)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;

	/* from where its size is known to where it is complete */
	limits.whole_max = 24;
	expect_cut(&limits,
	    SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20\r\n01234567890123456789\r\nPING\r\n"), 25,
	    46, "~47;PING;");
	expect_cut(&limits,
	    SLICE_LIT("*5\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\nPING\r\n"),
	    24, 40, "~41;PING;");
}

/* Only a request that does not lie in `in` as a whole is cut into pieces. */
static void
test_a_large_request_that_is_there_is_shown_whole(void **state)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request_scanner s;
	struct resp_request req;
	struct buf b;

	limits.whole_max = 16;
	buf_init(&b, 0);
	resp_request_init(&s);
	assert_int_equal(resp_request_scan(&s, &limits,
			     SLICE_LIT("*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n"), &b, &req),
	    RESP_REQUEST_WHOLE);
	assert_int_equal(req.kept, 2);
	buf_fini(&b);
}

static void
test_the_first_piece_shows_the_arguments_so_far(void **state)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request_scanner s;
	struct resp_request req;
	struct buf b;

	buf_init(&b, 0);
	resp_request_init(&s);
	assert_int_equal(
	    resp_request_scan(&s, &limits,
		SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$268435456\r\nxyz"), &b, &req),
	    RESP_REQUEST_BEGIN);
	assert_int_equal(req.argc, 3);
	assert_int_equal(req.kept, 2);
	assert_true(slice_eq(req.argv[1], "k"));
	assert_true(resp_request_is_streaming(&s));
	assert_int_equal(s.bulk_left, 268435456 - 3 + 2);
	buf_fini(&b);
}

static void
test_violations_inside_pieces_are_found(void **state)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;

	limits.whole_max = 12;
	limits.total_max = 100;
	expect_within(&limits, SLICE_LIT("*2\r\n$10\r\n0123456789\r\n$01\r\n"),
	    "!Protocol error: invalid bulk length");
	expect_within(&limits, SLICE_LIT("*1\r\n$10\r\n0123456789\rX"),
	    "!Protocol error: expected CRLF behind a bulk string");
	expect_within(&limits, SLICE_LIT("*1\r\n$10\r\n0123456789XX"),
	    "!Protocol error: expected CRLF behind a bulk string");
	expect_within(
	    &limits, SLICE_LIT("*2\r\n$1\r\na\r\n$100\r\n"), "!Protocol error: too big request");
	expect_within(&limits, SLICE_LIT("*2\r\n$20\r\n01234567890123456789\r\n$90\r\n"),
	    "!Protocol error: too big request");
}

static void
test_arguments_beyond_those_kept_are_counted(void **state)
{
	struct resp_request_scanner s;
	struct resp_request req;
	struct buf in, b;

	buf_init(&in, 0);
	buf_init(&b, 0);
	assert_int_equal(resp_add_header(&in, '*', 100), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(resp_add_bulk(&in, SLICE_LIT("x")), 0);
	}
	resp_request_init(&s);
	assert_int_equal(resp_request_scan(&s, &RESP_LIMITS_DEFAULT, buf_slice(&in), &b, &req),
	    RESP_REQUEST_WHOLE);
	assert_int_equal(req.argc, 100);
	assert_int_equal(req.kept, RESP_ARGV_KEPT);
	assert_int_equal(req.raw.len, buf_len(&in));
	buf_fini(&in);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arrays_are_found_wherever_they_are_cut),
	    cmocka_unit_test(test_empty_arrays_and_blank_lines_are_passed_over),
	    cmocka_unit_test(test_inline_commands_are_split_as_redis_splits_them),
	    cmocka_unit_test(test_an_inline_command_is_rewritten_as_resp),
	    cmocka_unit_test(test_violations_are_named_as_redis_names_them),
	    cmocka_unit_test(test_endless_lines_are_refused),
	    cmocka_unit_test(test_a_large_request_comes_in_pieces),
	    cmocka_unit_test(test_a_large_request_that_is_there_is_shown_whole),
	    cmocka_unit_test(test_the_first_piece_shows_the_arguments_so_far),
	    cmocka_unit_test(test_violations_inside_pieces_are_found),
	    cmocka_unit_test(test_arguments_beyond_those_kept_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
