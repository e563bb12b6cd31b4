/* The reply reader tells the content in order, wherever the bytes are cut; the cursor walks short
 * replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "resp/reader.h"
#include "resp/reply.h"
#include "resp/write.h"

static const char letters[] = "+-$=i,(bn*~>%|";

static void
on_item(void *arg, enum resp_type type, int64_t number)
{
	assert_int_equal(buf_addf(arg, "%c%lld ", letters[type], (long long)number), 0);
}

static void
on_bytes(void *arg, struct slice bytes)
{
	assert_int_equal(buf_add_slice(arg, bytes), 0);
}

static void
on_end(void *arg)
{
	assert_int_equal(buf_add_str(arg, "."), 0);
}

static const struct resp_reader_ops ops = {on_item, on_bytes, on_end};

static enum resp_reader_status
read_in_steps(struct slice in, size_t step, uint64_t max, struct buf *log)
{
	struct resp_reader r;
	enum resp_reader_status st = RESP_READER_MORE;
	size_t used;

	resp_reader_init(&r, max);
	for (size_t at = 0; at < in.len && st == RESP_READER_MORE; at += step) {
		size_t n = in.len - at < step ? in.len - at : step;

		st = resp_reader_feed(&r, (struct slice){in.ptr + at, n}, &ops, log, &used);
		assert_true(st != RESP_READER_DONE || at + used == in.len);
	}
	return st;
}

static void
expect(struct slice in, const char *want)
{
	for (size_t step = 1; step <= in.len; step++) {
		struct buf log;

		buf_init(&log, 0);
		assert_int_equal(read_in_steps(in, step, 0, &log), RESP_READER_DONE);
		assert_int_equal(buf_add(&log, "", 1), 0);
		assert_string_equal((const char *)buf_slice(&log).ptr, want);
		buf_fini(&log);
	}
}

#define EXPECT(in, want) expect(SLICE_LIT(in), want)

static void
test_each_type_is_told(void **state)
{
	EXPECT("+OK\r\n", "+0 OK.");
	EXPECT("-ERR x\r\n", "-0 ERR x.");
	EXPECT("!3\r\nERR\r\n", "-3 ERR.");
	EXPECT("$4\r\na\r\nb\r\n", "$4 a\r\nb.");
	EXPECT("$0\r\n\r\n", "$0 .");
	EXPECT("$-1\r\n", "n0 ");
	EXPECT("*-1\r\n", "n0 ");
	EXPECT("_\r\n", "n0 ");
	EXPECT(":-9223372036854775808\r\n", "i-9223372036854775808 ");
	EXPECT("#t\r\n", "b1 ");
	EXPECT(",inf\r\n", ",0 inf.");
	EXPECT("(12\r\n", "(0 12.");
	EXPECT("=5\r\ntxt:a\r\n", "=5 txt:a.");
}

static void
test_aggregates_are_told_with_their_sizes(void **state)
{
	EXPECT("*2\r\n*1\r\n:1\r\n$1\r\na\r\n", "*2 *1 i1 $1 a.");
	EXPECT("%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n", "%1 +0 a.~2 i1 i2 ");
	EXPECT("*0\r\n", "*0 ");
	EXPECT("*2\r\n*0\r\n*1\r\n*0\r\n", "*2 *0 *1 *0 ");
	EXPECT("|1\r\n+k\r\n+v\r\n:5\r\n", "|1 +0 k.+0 v.i5 ");
}

static void
test_depth_and_count_are_bounded(void **state)
{
	struct buf in, log;

	buf_init(&in, 0);
	buf_init(&log, 0);
	for (int i = 0; i < RESP_READER_DEPTH + 1; i++) {
		assert_int_equal(resp_add_header(&in, '*', 1), 0);
	}
	assert_int_equal(read_in_steps(buf_slice(&in), 7, 0, &log), RESP_READER_BAD);
	assert_int_equal(
	    read_in_steps(SLICE_LIT("*3\r\n:1\r\n:2\r\n:3\r\n"), 100, 3, &log), RESP_READER_BAD);
	buf_fini(&in);
	buf_fini(&log);
}

static void
test_bad_bytes_are_refused(void **state)
{
	static const char *const bad[] = {"x", "#y\r\n", "#\r\n", "_1\r\n", "$-2\r\n", "%-1\r\n",
	    "$1\r\naXX", ":\r\n", ":1x", "$9999999999999999999\r\n"};
	struct buf log;

	buf_init(&log, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(read_in_steps(slice_str(bad[i]), 1, 0, &log), RESP_READER_BAD);
	}
	buf_fini(&log);
}

static void
test_the_cursor_walks_a_role_reply(void **state)
{
	struct resp_cursor c = {SLICE_LIT("*3\r\n$6\r\nmaster\r\n:3129\r\n*0\r\n")};
	struct resp_item item;

	assert_true(resp_cursor_next(&c, &item));
	assert_int_equal(item.type, RESP_ARRAY);
	assert_int_equal(item.number, 3);
	assert_true(resp_cursor_next(&c, &item));
	assert_true(slice_eq(item.str, "master"));
	assert_true(resp_cursor_next(&c, &item));
	assert_int_equal(item.number, 3129);
	assert_true(resp_cursor_next(&c, &item));
	assert_int_equal(item.type, RESP_ARRAY);
	assert_false(resp_cursor_next(&c, &item));
}

static void
test_the_cursor_refuses_half_an_element(void **state)
{
	struct resp_cursor c = {SLICE_LIT("$6\r\nmast")};
	struct resp_item item;

	assert_false(resp_cursor_next(&c, &item));
}

static void
test_writers(void **state)
{
	struct buf b;
	struct slice argv[] = {SLICE_LIT("SET"), SLICE_LIT("k"), SLICE_LIT("")};

	buf_init(&b, 0);
	assert_int_equal(resp_add_command(&b, argv, 3), 0);
	assert_int_equal(resp_add_command_str(&b, "PING", NULL), 0);
	assert_int_equal(resp_add_error(&b, "ERR a\r\n%d", 1), 0);
	assert_int_equal(resp_add_int(&b, -7), 0);
	assert_int_equal(resp_add_null(&b, 2), 0);
	assert_int_equal(resp_add_null(&b, 3), 0);
	assert_true(slice_eq(buf_slice(&b), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\n"
					    "PING\r\n-ERR a  1\r\n:-7\r\n$-1\r\n_\r\n"));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_type_is_told),
	    cmocka_unit_test(test_aggregates_are_told_with_their_sizes),
	    cmocka_unit_test(test_depth_and_count_are_bounded),
	    cmocka_unit_test(test_bad_bytes_are_refused),
	    cmocka_unit_test(test_the_cursor_walks_a_role_reply),
	    cmocka_unit_test(test_the_cursor_refuses_half_an_element),
	    cmocka_unit_test(test_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
