/* Replies as the operator's interface writes them: every type of RESP, nothing lost, and what is no reply refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "httpd/typed.h"

static void
assert_typed(struct slice raw, const char *wanted)
{
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(typed_add_reply(&out, raw), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&out).ptr, wanted);
	buf_fini(&out);
	/* cut anywhere it is none */
	for (size_t len = 0; len < raw.len; len++) {
		buf_init(&out, 0);
		assert_int_equal(typed_add_reply(&out, (struct slice){raw.ptr, len}), -EBADMSG);
		buf_fini(&out);
	}
}

static void
test_each_type(void **state)
{
	static const struct {
		struct slice raw;
		const char *json;
	} cases[] = {
	    {SLICE_LIT("+OK\r\n"), "{\"status\":\"OK\"}"},
	    {SLICE_LIT("-ERR no \"x\"\r\n"), "{\"error\":\"ERR no \\\"x\\\"\"}"},
	    {SLICE_LIT(":-12\r\n"), "-12"},
	    {SLICE_LIT("$2\r\nab\r\n"), "\"ab\""},
	    {SLICE_LIT("$0\r\n\r\n"), "\"\""},
	    {SLICE_LIT("$-1\r\n"), "null"},
	    {SLICE_LIT("*-1\r\n"), "null"},
	    {SLICE_LIT("_\r\n"), "null"},
	    {SLICE_LIT("#t\r\n"), "true"},
	    {SLICE_LIT("#f\r\n"), "false"},
	    {SLICE_LIT(",1.5e3\r\n"), "{\"double\":\"1.5e3\"}"},
	    {SLICE_LIT(",-inf\r\n"), "{\"double\":\"-inf\"}"},
	    {SLICE_LIT("(123456789012345678901234567890\r\n"),
		"{\"bignum\":\"123456789012345678901234567890\"}"},
	    {SLICE_LIT("=6\r\ntxt:ab\r\n"), "{\"verbatim\":\"ab\",\"format\":\"txt\"}"},
	    {SLICE_LIT("*0\r\n"), "[]"},
	    {SLICE_LIT("*2\r\n:1\r\n*1\r\n$-1\r\n"), "[1,[null]]"},
	    {SLICE_LIT("~2\r\n+a\r\n:1\r\n"), "{\"set\":[{\"status\":\"a\"},1]}"},
	    {SLICE_LIT("~0\r\n"), "{\"set\":[]}"},
	    {SLICE_LIT(">1\r\n:1\r\n"), "{\"push\":[1]}"},
	    {SLICE_LIT("%0\r\n"), "{\"map\":[]}"},
	    {SLICE_LIT("%2\r\n+a\r\n:1\r\n*1\r\n:2\r\n%1\r\n:3\r\n:4\r\n"),
		"{\"map\":[[{\"status\":\"a\"},1],[[2],{\"map\":[[3,4]]}]]}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_typed(cases[i].raw, cases[i].json);
	}
}

static void
test_bytes_that_are_no_text(void **state)
{
	assert_typed(SLICE_LIT("$3\r\n\xff\0a\r\n"), "{\"base64\":\"/wBh\"}");
	assert_typed(SLICE_LIT("$2\r\n\xc3\xab\r\n"), "\"\xc3\xab\"");
	assert_typed(SLICE_LIT("$1\r\n\xc3\r\n"), "{\"base64\":\"ww==\"}");
	/* a surrogate, which no JSON reader takes */
	assert_typed(SLICE_LIT("$3\r\n\xed\xa0\x80\r\n"), "{\"base64\":\"7aCA\"}");
	assert_typed(SLICE_LIT("$1\r\n\0\r\n"), "\"\\u0000\"");
	assert_typed(SLICE_LIT("=5\r\ntxt:\xff\r\n"), "{\"base64\":\"dHh0Ov8=\"}");
}

/* A reader of JSON has doubles. */
static void
test_integers_at_the_edge(void **state)
{
	assert_typed(SLICE_LIT(":9007199254740991\r\n"), "9007199254740991");
	assert_typed(SLICE_LIT(":9007199254740992\r\n"), "{\"integer\":\"9007199254740992\"}");
	assert_typed(SLICE_LIT(":-9007199254740992\r\n"), "{\"integer\":\"-9007199254740992\"}");
	assert_typed(
	    SLICE_LIT(":9223372036854775807\r\n"), "{\"integer\":\"9223372036854775807\"}");
	assert_typed(
	    SLICE_LIT(":-9223372036854775808\r\n"), "{\"integer\":\"-9223372036854775808\"}");
}

static int
nested(unsigned depth, struct buf *out)
{
	struct buf raw;
	int err;

	buf_init(&raw, 0);
	for (unsigned i = 0; i < depth; i++) {
		assert_int_equal(buf_add_str(&raw, "*1\r\n"), 0);
	}
	assert_int_equal(buf_add_str(&raw, ":1\r\n"), 0);
	buf_init(out, 0);
	err = typed_add_reply(out, buf_slice(&raw));
	buf_fini(&raw);
	return err;
}

static void
test_depth_is_bounded(void **state)
{
	struct buf out;

	assert_int_equal(nested(30, &out), 0);
	assert_int_equal(buf_len(&out), 61);
	buf_fini(&out);
	assert_int_equal(nested(31, &out), -EBADMSG);
	buf_fini(&out);
}

static void
test_a_full_buffer_is_told(void **state)
{
	static const struct slice raws[] = {SLICE_LIT("*2\r\n$5\r\nhello\r\n:1\r\n"),
	    SLICE_LIT("%1\r\n+a\r\n~1\r\n,1.5\r\n"), SLICE_LIT("=6\r\ntxt:ab\r\n"),
	    SLICE_LIT("$1\r\n\xff\r\n")};

	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		struct buf whole, out;

		buf_init(&whole, 0);
		assert_int_equal(typed_add_reply(&whole, raws[i]), 0);
		for (size_t limit = 1; limit < buf_len(&whole); limit++) {
			buf_init(&out, limit);
			assert_int_equal(typed_add_reply(&out, raws[i]), -ENOBUFS);
			buf_fini(&out);
		}
		buf_fini(&whole);
	}
}

static void
test_what_is_no_reply(void **state)
{
	static const struct slice raws[] = {SLICE_LIT(""), SLICE_LIT("\r\n"),
	    SLICE_LIT("hello\r\n"), SLICE_LIT("$5\r\nab\r\n"), SLICE_LIT("*1\r\n"),
	    SLICE_LIT(":x\r\n"), SLICE_LIT("|1\r\n+a\r\n:1\r\n:2\r\n")};

	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		struct buf out;

		buf_init(&out, 0);
		assert_int_equal(typed_add_reply(&out, raws[i]), -EBADMSG);
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_type),
	    cmocka_unit_test(test_bytes_that_are_no_text),
	    cmocka_unit_test(test_integers_at_the_edge),
	    cmocka_unit_test(test_depth_is_bounded),
	    cmocka_unit_test(test_a_full_buffer_is_told),
	    cmocka_unit_test(test_what_is_no_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
