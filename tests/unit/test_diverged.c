/* What of a master's replication stream is kept: from which offset, in which database, and nothing that is no data. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "instance/diverged.h"

#define SELECT(n) "*2\r\n$6\r\nSELECT\r\n$1\r\n" n "\r\n"
#define SET(k, v) "*3\r\n$3\r\nSET\r\n$1\r\n" k "\r\n$1\r\n" v "\r\n"
#define PING      "*1\r\n$4\r\nPING\r\n"
#define BEAT      "*3\r\n$7\r\nPUBLISH\r\n$17\r\n__holdfast__:beat\r\n$3\r\na 1\r\n"
#define GETACK    "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
#define MULTI     "*1\r\n$5\r\nMULTI\r\n"
#define EXEC      "*1\r\n$4\r\nEXEC\r\n"
#define AT(text)  (1000 + sizeof(text) - 1)
#define FIRST     1000

static struct buf out;
static size_t writes;

static int
setup(void **state)
{
	buf_init(&out, 0);
	return 0;
}

static int
teardown(void **state)
{
	buf_fini(&out);
	return 0;
}

static void
assert_kept(const char *stream, uint64_t from, const char *kept, size_t count)
{
	assert_int_equal(diverged_extract(slice_str(stream), FIRST, from, &out, &writes), 0);
	assert_int_equal(buf_len(&out), strlen(kept));
	assert_memory_equal(buf_slice(&out).ptr, kept, strlen(kept));
	assert_int_equal(writes, count);
}

static void
what_begins_before_is_left_out(void **state)
{
	assert_kept(
	    BEAT SET("a", "1") SET("b", "2"), AT(BEAT SET("a", "1")), SELECT("0") SET("b", "2"), 1);
}

static void
the_database_is_that_of_the_stream(void **state)
{
	assert_kept(SELECT("3") SET("a", "1") SET("b", "2") SELECT("0") SET("c", "3"),
	    AT(SELECT("3") SET("a", "1")), SELECT("3") SET("b", "2") SELECT("0") SET("c", "3"), 2);
}

static void
a_database_without_writes_is_not_selected(void **state)
{
	assert_kept(SELECT("3") SET("a", "1") SELECT("0") BEAT SELECT("3") SET("b", "2"), FIRST,
	    SELECT("3") SET("a", "1") SET("b", "2"), 2);
}

static void
what_is_no_data_is_left_out(void **state)
{
	assert_kept(PING BEAT GETACK SET("a", "1") PING, FIRST, SELECT("0") SET("a", "1"), 1);
}

static void
transactions_stay_whole(void **state)
{
	assert_kept(BEAT MULTI SET("a", "1") SET("b", "2") EXEC, FIRST,
	    SELECT("0") MULTI SET("a", "1") SET("b", "2") EXEC, 2);
}

static void
a_command_that_is_cut_short_is_left_out(void **state)
{
	assert_kept(BEAT SET("a", "1") "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$9\r\nxx", FIRST,
	    SELECT("0") SET("a", "1"), 1);
}

/* Larger than what the scanner shows as a whole. */
static void
a_large_value_is_kept_whole_or_not_at_all(void **state)
{
	struct buf in;
	char value[100000];
	size_t len;

	memset(value, 'x', sizeof(value));
	buf_init(&in, 0);
	assert_int_equal(buf_add_str(&in, BEAT "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n"), 0);
	assert_int_equal(buf_add(&in, value, sizeof(value)), 0);
	assert_int_equal(buf_add_str(&in, "\r\n" SET("a", "1")), 0);
	assert_int_equal(diverged_extract(buf_slice(&in), FIRST, AT(BEAT), &out, &writes), 0);
	len = strlen(SELECT("0")) + buf_len(&in) - strlen(BEAT);
	assert_int_equal(buf_len(&out), len);
	assert_int_equal(writes, 2);
	buf_clear(&out);
	buf_truncate(&in, 50000);
	assert_int_equal(diverged_extract(buf_slice(&in), FIRST, AT(BEAT), &out, &writes), 0);
	assert_int_equal(buf_len(&out), 0);
	assert_int_equal(writes, 0);
	buf_fini(&in);
}

static void
what_is_no_stream_is_refused(void **state)
{
	assert_int_equal(
	    diverged_extract(slice_str(SET("a", "1") "*1\r\n:3\r\n"), FIRST, FIRST, &out, &writes),
	    -EPROTO);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_begins_before_is_left_out),
	    T(the_database_is_that_of_the_stream),
	    T(a_database_without_writes_is_not_selected),
	    T(what_is_no_data_is_left_out),
	    T(transactions_stay_whole),
	    T(a_command_that_is_cut_short_is_left_out),
	    T(a_large_value_is_kept_whole_or_not_at_all),
	    T(what_is_no_stream_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
