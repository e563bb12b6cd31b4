/* Replies and the bodies they become: golden pairs, whole and cut at every byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "httpd/render.h"

static int
render_cut(
    struct slice reply, size_t at, const struct render_wish *wish, struct buf *out, bool *nil)
{
	struct render r;
	int err = 0;

	render_init(&r, wish, out);
	if (at > reply.len) {
		for (size_t i = 0; err == 0 && i < reply.len; i++) {
			err = render_feed(&r, (struct slice){reply.ptr + i, 1}, i + 1 == reply.len);
		}
	} else {
		if (at > 0 && at < reply.len) {
			err = render_feed(&r, (struct slice){reply.ptr, at}, false);
		} else {
			at = 0;
		}
		if (err == 0) {
			err = render_feed(&r, (struct slice){reply.ptr + at, reply.len - at}, true);
		}
	}
	*nil = r.is_nil;
	render_fini(&r);
	return err;
}

static void
assert_renders(struct slice reply, const struct render_wish *wish, struct slice body)
{
	for (size_t at = 0; at <= reply.len + 1; at++) {
		struct buf out;
		bool nil;

		buf_init(&out, 0);
		assert_int_equal(render_cut(reply, at, wish, &out, &nil), 0);
		if (buf_len(&out) != body.len ||
		    (body.len > 0 && memcmp(buf_slice(&out).ptr, body.ptr, body.len) != 0)) {
			fail_msg("cut at %zu: \"%.*s\", expected \"%.*s\"", at, (int)buf_len(&out),
			    (const char *)buf_slice(&out).ptr, (int)body.len,
			    (const char *)body.ptr);
		}
		buf_fini(&out);
	}
}

static struct render_wish
json_wish(const char *command, size_t argc)
{
	struct slice name = slice_str(command);

	return (struct render_wish){
	    .kind = RENDER_JSON, .command = name, .shape = shape_of(name, argc)};
}

static struct render_wish
msg_wish(const char *command, size_t argc)
{
	struct render_wish w = json_wish(command, argc);

	w.kind = RENDER_MSGPACK;
	return w;
}

#define MSG(command, argc, reply, body)                                                            \
	do {                                                                                       \
		struct render_wish w_ = msg_wish(command, argc);                                   \
		assert_renders(SLICE_LIT(reply), &w_, SLICE_LIT(body));                            \
	} while (0)

#define JSON(command, argc, reply, body)                                                           \
	do {                                                                                       \
		struct render_wish w_ = json_wish(command, argc);                                  \
		assert_renders(SLICE_LIT(reply), &w_, SLICE_LIT(body));                            \
	} while (0)

static void
json_of_plain_replies(void **state)
{
	JSON("GET", 2, "$5\r\nworld\r\n", "{\"GET\":\"world\"}");
	JSON("gEt", 2, "$0\r\n\r\n", "{\"gEt\":\"\"}");
	JSON("INCR", 2, ":42\r\n", "{\"INCR\":42}");
	JSON("INCR", 2, ":-9223372036854775808\r\n", "{\"INCR\":-9223372036854775808}");
	JSON("GET", 2, "$-1\r\n", "{\"GET\":null}");
	JSON("BLPOP", 3, "*-1\r\n", "{\"BLPOP\":null}");
	JSON("SET", 3, "+OK\r\n", "{\"SET\":[true,\"OK\"]}");
	JSON("FOO", 1, "-ERR no \"such\" thing\r\n",
	    "{\"FOO\":[false,\"ERR no \\\"such\\\" thing\"]}");
}

static void
json_of_arrays(void **state)
{
	JSON("KEYS", 2, "*0\r\n", "{\"KEYS\":[]}");
	JSON("LRANGE", 4, "*3\r\n$1\r\na\r\n$-1\r\n:3\r\n", "{\"LRANGE\":[\"a\",null,3]}");
	JSON(
	    "SCAN", 2, "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n*0\r\n", "{\"SCAN\":[\"0\",[\"a\",[]]]}");
	JSON("EXEC", 1, "*3\r\n+OK\r\n-ERR x\r\n*1\r\n*1\r\n:1\r\n",
	    "{\"EXEC\":[\"OK\",[false,\"ERR x\"],[[1]]]}");
}

static void
json_is_valid_whatever_the_bytes(void **state)
{
	JSON("GET", 2, "$6\r\na\0b\r\n\"\r\n", "{\"GET\":\"a\\u0000b\\r\\n\\\"\"}");
	JSON("GET", 2, "$2\r\n\xff\xfe\r\n", "{\"GET\":\"\xef\xbf\xbd\xef\xbf\xbd\"}");
	JSON("GET", 2, "$7\r\n\xe2\x82\xac\xf0\x9f\x98\x80\r\n",
	    "{\"GET\":\"\xe2\x82\xac\xf0\x9f\x98\x80\"}");
	/* sequences that break off, before a byte, before another one, and at the end */
	JSON("GET", 2, "$3\r\n\xe2\x82x\r\n", "{\"GET\":\"\xef\xbf\xbd\xef\xbf\xbdx\"}");
	JSON("GET", 2, "$4\r\n\xe2\xe2\x82\xac\r\n", "{\"GET\":\"\xef\xbf\xbd\xe2\x82\xac\"}");
	JSON("GET", 2, "$3\r\n\xf0\x9f\x98\r\n",
	    "{\"GET\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
	JSON("G\"\xff", 2, ":1\r\n", "{\"G\\\"\xef\xbf\xbd\":1}");
}

static void
json_of_info(void **state)
{
	JSON("info", 1, "$47\r\n# Server\r\nversion:7.0\r\n\r\n# CPU\r\nused:a:\"b\"\nlast\r\n",
	    "{\"info\":{\"version\":\"7.0\",\"used\":\"a:\\\"b\\\"\"}}");
	JSON("INFO", 2, "$0\r\n\r\n", "{\"INFO\":{}}");
	JSON("INFO", 1, "-NOAUTH x\r\n", "{\"INFO\":[false,\"NOAUTH x\"]}");
}

static void
json_of_hashes(void **state)
{
	JSON("hgetall", 2, "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$-1\r\n",
	    "{\"hgetall\":{\"a\":\"1\",\"b\":null}}");
	JSON("HGETALL", 2, "*0\r\n", "{\"HGETALL\":{}}");
	JSON("HGETALL", 2, "*1\r\n$1\r\na\r\n", "{\"HGETALL\":{\"a\":null}}");
	JSON("HGETALL", 2, "-WRONGTYPE x\r\n", "{\"HGETALL\":[false,\"WRONGTYPE x\"]}");
	JSON("HGETALL", 2, "%1\r\n:1\r\n#t\r\n", "{\"HGETALL\":{\"1\":true}}");
	JSON("CONFIG", 3, "%1\r\n$1\r\na\r\n$1\r\nb\r\n", "{\"CONFIG\":{\"a\":\"b\"}}");
}

#define MESSAGE "*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"

static void
json_of_streams(void **state)
{
	JSON("XRANGE", 4, "*2\r\n" MESSAGE MESSAGE,
	    "{\"XRANGE\":[{\"id\":\"1-0\",\"msg\":{\"f\":\"v\"}},{\"id\":\"1-0\",\"msg\":{"
	    "\"f\":\"v\"}}]}");
	JSON("XREVRANGE", 4, "*0\r\n", "{\"XREVRANGE\":[]}");
	JSON("XCLAIM", 7, "*2\r\n$3\r\n1-0\r\n$-1\r\n", "{\"XCLAIM\":[\"1-0\",null]}");
	JSON("XREAD", 4, "*2\r\n*2\r\n$1\r\ns\r\n*1\r\n" MESSAGE "*2\r\n$1\r\nt\r\n*0\r\n",
	    "{\"XREAD\":{\"s\":[{\"id\":\"1-0\",\"msg\":{\"f\":\"v\"}}],\"t\":[]}}");
	JSON("XREADGROUP", 7, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n",
	    "{\"XREADGROUP\":{\"s\":[{\"id\":\"1-0\",\"msg\":null}]}}");
	JSON("XREAD", 4, "*-1\r\n", "{\"XREAD\":null}");
	JSON("XPENDING", 3,
	    "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n",
	    "{\"XPENDING\":{\"msgs\":2,\"idmin\":\"1-0\",\"idmax\":\"2-0\",\"msgsperconsumer\":{"
	    "\"c\":\"2\"}}}");
	JSON("XPENDING", 3, "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", "{\"XPENDING\":{\"msgs\":0}}");
	JSON("XPENDING", 6, "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n:5\r\n:1\r\n",
	    "{\"XPENDING\":[{\"id\":\"1-0\",\"owner\":\"c\",\"elapsedtime\":5,\"deliveries\":1}]"
	    "}");
}

static void
json_of_places(void **state)
{
	JSON("GEORADIUS", 9,
	    "*1\r\n*4\r\n$1\r\np\r\n$3\r\n1.5\r\n:7\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n",
	    "{\"GEORADIUS\":[{\"name\":\"p\",\"dist\":\"1.5\",\"hash\":7,\"coords\":[\"1\",\"2\"]}"
	    "]}");
	JSON("georadiusbymember", 5, "*1\r\n$1\r\np\r\n", "{\"georadiusbymember\":[\"p\"]}");
}

/* Shapes of commands meet replies that do not fit them (a module may have the same name). */
static void
json_is_valid_when_the_shape_does_not_fit(void **state)
{
	JSON("XREAD", 4, "*2\r\n$1\r\na\r\n:1\r\n", "{\"XREAD\":{\"\":\"a\",\"\":1}}");
	JSON("XREAD", 4, "*2\r\n*0\r\n*1\r\n$1\r\na\r\n", "{\"XREAD\":{\"\":null,\"a\":null}}");
	JSON("XREAD", 4, "*2\r\n%1\r\n$1\r\na\r\n:1\r\n:2\r\n", "{\"XREAD\":{\"a\":1,\"\":2}}");
	JSON("XRANGE", 4, "*1\r\n*3\r\n:1\r\n:2\r\n:3\r\n", "{\"XRANGE\":[{\"id\":1,\"msg\":2}]}");
	JSON("HGETALL", 2, "$1\r\na\r\n", "{\"HGETALL\":\"a\"}");
	JSON("INFO", 1, "*1\r\n$1\r\na\r\n", "{\"INFO\":[\"a\"]}");
}

static void
json_in_a_function_call(void **state)
{
	struct render_wish w = json_wish("GET", 2);

	w.jsonp = SLICE_LIT("cb");
	assert_renders(SLICE_LIT("$1\r\na\r\n"), &w, SLICE_LIT("cb({\"GET\":\"a\"});\n"));
}

static void
raw_is_the_reply(void **state)
{
	static const char reply[] = "*3\r\n$3\r\na\0b\r\n$-1\r\n:1\r\n";
	struct render_wish w = {.kind = RENDER_RAW};

	assert_renders(SLICE_LIT(reply), &w, SLICE_LIT(reply));
	assert_renders(SLICE_LIT("-ERR x\r\n"), &w, SLICE_LIT("-ERR x\r\n"));
}

#define BARE(sep, reply, body)                                                                     \
	do {                                                                                       \
		struct render_wish w_ = {.kind = RENDER_BARE, .separator = SLICE_LIT(sep)};        \
		assert_renders(SLICE_LIT(reply), &w_, SLICE_LIT(body));                            \
	} while (0)

static void
bare_values(void **state)
{
	BARE("", "$5\r\na\0b\r\n\r\n", "a\0b\r\n");
	BARE("", "$0\r\n\r\n", "");
	BARE("", ":-7\r\n", "-7");
	BARE("", "+OK\r\n", "+OK");
	BARE("", "-ERR x\r\n", "-ERR x");
	BARE("", "*0\r\n", "");
	BARE("", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "ab");
	BARE(", ", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "a, b");
	/* Webdis: strings directly in the array, and a separator before all but the first element */
	BARE(",", "*4\r\n:1\r\n$1\r\nb\r\n*1\r\n$1\r\nx\r\n$1\r\nc\r\n", ",b,c");
}

static void
a_bare_nil_is_no_value(void **state)
{
	struct render_wish w = {.kind = RENDER_BARE};
	struct buf out;
	bool nil;

	buf_init(&out, 0);
	assert_int_equal(render_cut(SLICE_LIT("$-1\r\n"), 0, &w, &out, &nil), 0);
	assert_true(nil);
	assert_int_equal(render_cut(SLICE_LIT("*1\r\n$-1\r\n"), 0, &w, &out, &nil), 0);
	assert_false(nil);
	assert_int_equal(buf_len(&out), 0);
	buf_fini(&out);
}

static void
refuses_what_is_no_reply(void **state)
{
	static const char *const bad[] = {
	    "?\r\n", "$3\r\nab\r\n", ":1\r\n:2\r\n", "*1\r\n", "$x\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct render_wish w = json_wish("GET", 2);
		struct buf out;
		bool nil;

		buf_init(&out, 0);
		assert_int_equal(render_cut(slice_str(bad[i]), 0, &w, &out, &nil), -EBADMSG);
		buf_fini(&out);
	}
}

static void
a_full_buffer_is_an_error_not_a_crash(void **state)
{
	static const char reply[] = "*2\r\n$4\r\nab\r\n\r\n*2\r\n:1\r\n$-1\r\n";

	for (size_t max = 1; max < 24; max++) {
		struct render_wish w = json_wish("LRANGE", 4);
		struct buf out;
		bool nil;

		buf_init(&out, max);
		assert_int_equal(render_cut(SLICE_LIT(reply), 0, &w, &out, &nil), -ENOBUFS);
		buf_fini(&out);
	}
}

static void
test_msgpack(void **state)
{
	(void)state;
	MSG("GET", 2, "$5\r\nworld\r\n", "\x81\xa3GET\xa5world");
	MSG("GET", 2, "$-1\r\n", "\x81\xa3GET\xc0");
	MSG("INCR", 2, ":-42\r\n", "\x81\xa4INCR\xd0\xd6");
	MSG("SET", 3, "+OK\r\n", "\x81\xa3SET\x92\xc3\xa2OK");
	MSG("FOO", 1, "-ERR no\r\n",
	    "\x81\xa3"
	    "FOO\x92\xc2\xa6"
	    "ERR no");
	MSG("LRANGE", 4, "*3\r\n$1\r\na\r\n*0\r\n$0\r\n\r\n",
	    "\x81\xa6LRANGE\x93\xa1"
	    "a\x90\xa0");
	MSG("HGETALL", 2, "*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
	    "\x81\xa7HGETALL\x81\xa1"
	    "f\xa1v");
	MSG("XPENDING", 3, "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", "\x81\xa8XPENDING\x81\xa4msgs\x00");
	MSG("XREAD", 4,
	    "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
	    "\x81\xa5XREAD\x81\xa1s\x91\x82\xa2id\xa3"
	    "1-1\xa3msg\x81\xa1"
	    "f\xa1v");
	MSG("INFO", 1, "$17\r\n# Server\r\na:1\r\nb:\r\n",
	    "\x81\xa4INFO\x82\xa1"
	    "a\xa1"
	    "1\xa1"
	    "b\xa0");
}

static void
test_msgpack_strings_that_are_no_text(void **state)
{
	(void)state;
	/* a str for UTF-8, a bin for all else, whatever its length */
	MSG("GET", 2, "$2\r\n\xff\x00\r\n", "\x81\xa3GET\xc4\x02\xff\x00");
	MSG("GET", 2, "$32\r\n0123456789012345678901234567890\xff\r\n",
	    "\x81\xa3GET\xc4\x20"
	    "0123456789012345678901234567890\xff");
	MSG("GET", 2, "$32\r\n012345678901234567890123456789\xc3\xa4\r\n",
	    "\x81\xa3GET\xd9\x20"
	    "012345678901234567890123456789\xc3\xa4");
}

static void
test_base64(void **state)
{
	struct render_wish w = json_wish("LRANGE", 4);

	(void)state;
	w.base64 = true;
	assert_renders(SLICE_LIT("*5\r\n$0\r\n\r\n$1\r\n\xff\r\n$2\r\nab\r\n$3\r\nabc\r\n:7\r\n"),
	    &w, SLICE_LIT("{\"LRANGE\":[\"\",\"/w==\",\"YWI=\",\"YWJj\",7]}"));
	assert_renders(SLICE_LIT("-ERR x\r\n"), &w, SLICE_LIT("{\"LRANGE\":[false,\"ERR x\"]}"));
	w.shape = shape_of(SLICE_LIT("HGETALL"), 2);
	assert_renders(SLICE_LIT("*2\r\n$4\r\nabcd\r\n$7\r\n1234567\r\n"), &w,
	    SLICE_LIT("{\"LRANGE\":{\"YWJjZA==\":\"MTIzNDU2Nw==\"}}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_msgpack),
	    cmocka_unit_test(test_msgpack_strings_that_are_no_text),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(json_of_plain_replies),
	    cmocka_unit_test(json_of_arrays),
	    cmocka_unit_test(json_is_valid_whatever_the_bytes),
	    cmocka_unit_test(json_of_info),
	    cmocka_unit_test(json_of_hashes),
	    cmocka_unit_test(json_of_streams),
	    cmocka_unit_test(json_of_places),
	    cmocka_unit_test(json_is_valid_when_the_shape_does_not_fit),
	    cmocka_unit_test(json_in_a_function_call),
	    cmocka_unit_test(raw_is_the_reply),
	    cmocka_unit_test(bare_values),
	    cmocka_unit_test(a_bare_nil_is_no_value),
	    cmocka_unit_test(refuses_what_is_no_reply),
	    cmocka_unit_test(a_full_buffer_is_an_error_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
