/* Lines of MONITOR, as servers send them and as nobody does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "httpd/monline.h"

static void
assert_line(const char *line, const char *wanted)
{
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(monline_add_json(&out, slice_str(line)), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&out).ptr, wanted);
	buf_fini(&out);
}

static void
test_a_line(void **state)
{
	assert_line("+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n",
	    "{\"time\":1339518083.107412,\"db\":0,\"client\":\"127.0.0.1:60866\",\"command\":["
	    "\"keys\",\"*\"]}");
	assert_line("+1.5 [15 unix:/run/redis.sock] \"ping\"\r\n",
	    "{\"time\":1.5,\"db\":15,\"client\":\"unix:/run/redis.sock\",\"command\":[\"ping\"]}");
	assert_line("+1.5 [0 lua] \"set\" \"\" \"b c\"\r\n",
	    "{\"time\":1.5,\"db\":0,\"client\":\"lua\",\"command\":[\"set\",\"\",\"b c\"]}");
}

static void
test_an_address_with_brackets(void **state)
{
	assert_line("+1.5 [3 [::1]:60866] \"get\" \"[a] \"\r\n",
	    "{\"time\":1.5,\"db\":3,\"client\":\"[::1]:60866\",\"command\":[\"get\",\"[a] \"]}");
}

static void
test_bytes_as_the_server_writes_them(void **state)
{
	assert_line(
	    "+1.5 [0 lua] \"\\\"q\\\" \\\\ \\n\\r\\t\\a\\b\" \"\\xff\\x00\" \"\\xC3\\xab\"\r\n",
	    "{\"time\":1.5,\"db\":0,\"client\":\"lua\",\"command\":[\"\\\"q\\\" \\\\ "
	    "\\n\\r\\t\\u0007\\u0008\",{\"base64\":\"/wA=\"},\"\xc3\xab\"]}");
}

static void
test_what_is_no_line(void **state)
{
	static const char *const lines[] = {"", "+OK\r\n", "+1.5 \"a\"\r\n", "+x [0 lua] \"a\"\r\n",
	    "+1.5.5 [0 lua] \"a\"\r\n", "+. [0 lua] \"a\"\r\n", "+1. [0 lua] \"a\"\r\n",
	    "+01 [0 lua] \"a\"\r\n", "+1.5[0 lua] \"a\"\r\n", "+1.5 [0] \"a\"\r\n",
	    "+1.5 [0 lua]\r\n", "-1.5 [0 lua] \"a\"\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct buf out;

		buf_init(&out, 0);
		if (monline_add_json(&out, slice_str(lines[i])) != -EBADMSG) {
			fail_msg("taken for a line: %s", lines[i]);
		}
		assert_int_equal(buf_len(&out), 0);
		buf_fini(&out);
	}
}

/* What is cut within a word has the words before it. */
static void
test_a_line_that_is_cut(void **state)
{
	assert_line("+1.5 [0 lua] \"set\" \"k",
	    "{\"time\":1.5,\"db\":0,\"client\":\"lua\",\"command\":[\"set\"]}");
	assert_line("+1.5 [0 lua] \"set\" \"k\\",
	    "{\"time\":1.5,\"db\":0,\"client\":\"lua\",\"command\":[\"set\"]}");
	assert_line("+1.5 [0 lua] \"set\" \"k\\x4\"\r\n",
	    "{\"time\":1.5,\"db\":0,\"client\":\"lua\",\"command\":[\"set\",\"kx4\"]}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_line),
	    cmocka_unit_test(test_an_address_with_brackets),
	    cmocka_unit_test(test_bytes_as_the_server_writes_them),
	    cmocka_unit_test(test_what_is_no_line),
	    cmocka_unit_test(test_a_line_that_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
