/* The reply scanner finds where a reply ends, wherever the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resp/reply.h"

/* Feeds in runs of `step` bytes; returns the length of the first reply, 0 if it does not end, -1 if
 * bad. */
static long
first_reply(struct slice in, size_t step, char *ret_type)
{
	struct resp_reply_scanner s;
	size_t used;

	resp_reply_init(&s);
	for (size_t at = 0; at < in.len; at += step) {
		size_t n = in.len - at < step ? in.len - at : step;

		switch (resp_reply_scan(&s, (struct slice){in.ptr + at, n}, &used)) {
		case RESP_REPLY_DONE:
			assert_int_equal(s.elements, 0);
			*ret_type = (char)s.type;
			return (long)(at + used);
		case RESP_REPLY_BAD:
			return -1;
		case RESP_REPLY_MORE:
			break;
		}
	}
	return 0;
}

static void
expect(const char *reply, size_t len, char want_type)
{
	static const char rest[] = "+OK\r\n$3\r\nabc\r\n";
	uint8_t *both = malloc(len + sizeof(rest));
	struct slice in = {both, len + sizeof(rest) - 1};
	char type = 0;

	assert_non_null(both);
	memcpy(memcpy(both, reply, len) == both ? both + len : both, rest, sizeof(rest));
	for (size_t step = 1; step <= in.len; step++) {
		assert_int_equal(first_reply(in, step, &type), len);
		assert_int_equal(type, want_type);
		assert_int_equal(first_reply((struct slice){both, len - 1}, step, &type), 0);
	}
	free(both);
}

#define EXPECT(reply, type) expect(reply, sizeof(reply) - 1, type)

static void
test_each_type_ends_where_it_ends(void **state)
{
	EXPECT("+OK\r\n", '+');
	EXPECT("-ERR no\r\n", '-');
	EXPECT(":-12\r\n", ':');
	EXPECT("$5\r\nab\r\nc\r\n", '$');
	EXPECT("$0\r\n\r\n", '$');
	EXPECT("$-1\r\n", '$');
	EXPECT("*-1\r\n", '*');
	EXPECT("*0\r\n", '*');
	EXPECT("*2\r\n$1\r\na\r\n:1\r\n", '*');
	EXPECT(",1.5\r\n", ',');
	EXPECT("#t\r\n", '#');
	EXPECT("_\r\n", '_');
	EXPECT("(123456789012345678901234567890\r\n", '(');
	EXPECT("=7\r\ntxt:abc\r\n", '=');
	EXPECT("!5\r\nERR x\r\n", '!');
	EXPECT("%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n*0\r\n", '%');
	EXPECT("~1\r\n+a\r\n", '~');
	EXPECT(">2\r\n+a\r\n*2\r\n*0\r\n*1\r\n_\r\n", '>');
	EXPECT("%0\r\n", '%');
}

static void
test_nested_aggregates_end_together(void **state)
{
	EXPECT("*2\r\n*2\r\n*1\r\n:1\r\n$-1\r\n*2\r\n*-1\r\n*0\r\n", '*');
	EXPECT("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+deep\r\n", '*');
}

static void
test_attributes_belong_to_the_reply_behind_them(void **state)
{
	EXPECT("|1\r\n+ttl\r\n:10\r\n$1\r\nx\r\n", '$');
	EXPECT("|1\r\n+ttl\r\n*1\r\n:1\r\n*1\r\n|1\r\n+a\r\n+b\r\n:7\r\n", '*');
	EXPECT("|0\r\n+OK\r\n", '+');
}

static void
test_what_is_no_resp_is_refused(void **state)
{
	static const char *const bad[] = {"hello\r\n", "\r\n", "$x\r\n", "$-2\r\n", "%-1\r\n",
	    "$\r\n", "$?\r\n", "*1\rx", "$1\r\naXX", "$--1\r\n", "*999999999999999999999\r\n",
	    "*1\r\nX",
	    ("*900000000000000000\r\n*900000000000000000\r\n*900000000000000000\r\n"
	     "*900000000000000000\r\n*900000000000000000\r\n*900000000000000000\r\n")};
	char type;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++) {
		assert_int_equal(first_reply(slice_str(bad[i]), 1, &type), -1);
		assert_int_equal(first_reply(slice_str(bad[i]), 100, &type), -1);
	}
}

static void
test_a_huge_string_is_not_held(void **state)
{
	struct resp_reply_scanner s;
	static uint8_t block[65536];
	uint64_t left = 536870912;
	size_t used = 0;

	resp_reply_init(&s);
	assert_int_equal(resp_reply_scan(&s, SLICE_LIT("$536870912\r\n"), &used), RESP_REPLY_MORE);
	for (; left > 0; left -= sizeof(block)) {
		assert_int_equal(resp_reply_scan(&s, (struct slice){block, sizeof(block)}, &used),
		    RESP_REPLY_MORE);
	}
	assert_int_equal(resp_reply_scan(&s, SLICE_LIT("\r\n+OK"), &used), RESP_REPLY_DONE);
	assert_int_equal(used, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_type_ends_where_it_ends),
	    cmocka_unit_test(test_nested_aggregates_end_together),
	    cmocka_unit_test(test_attributes_belong_to_the_reply_behind_them),
	    cmocka_unit_test(test_what_is_no_resp_is_refused),
	    cmocka_unit_test(test_a_huge_string_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
