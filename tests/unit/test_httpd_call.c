/* Requests and the commands they become. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/lane.h"
#include "backend/metrics.h"
#include "httpd/call.h"
#include "httpd/reply_status.h"

struct fixture {
	struct buf resp, text;
	struct call call;
	struct http_fault fault;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	buf_init(&f->resp, 0);
	buf_init(&f->text, 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	buf_fini(&f->resp);
	buf_fini(&f->text);
	free(f);
	return 0;
}

static int
read_call(
    struct fixture *f, enum http_verb verb, const char *target, struct slice body, bool has_length)
{
	struct http_request req = {.verb = verb,
	    .target = slice_str(target),
	    .body = body,
	    .length = body.len,
	    .has_length = has_length};

	buf_clear(&f->resp);
	return call_read(&req, 3, &f->resp, &f->text, &f->call, &f->fault);
}

static void
assert_resp(struct fixture *f, struct slice expected)
{
	struct slice got = buf_slice(&f->resp);

	if (got.len != expected.len || memcmp(got.ptr, expected.ptr, got.len) != 0) {
		fail_msg("\"%.*s\", expected \"%.*s\"", (int)got.len, (const char *)got.ptr,
		    (int)expected.len, (const char *)expected.ptr);
	}
}

#define GETS(f, target, resp)                                                                      \
	do {                                                                                       \
		assert_int_equal(                                                                  \
		    read_call(f, HTTP_VERB_GET, target, (struct slice){0}, false), 0);             \
		assert_resp(f, SLICE_LIT(resp));                                                   \
	} while (0)

static void
refuses(struct fixture *f, enum http_verb verb, const char *target, struct slice body)
{
	f->fault = (struct http_fault){0};
	assert_int_equal(read_call(f, verb, target, body, true), -EBADMSG);
	assert_int_equal(f->fault.status, 400);
	assert_true(strlen(f->fault.why) > 0);
}

static void
a_path_is_a_command(void **state)
{
	struct fixture *f = *state;

	GETS(f, "/GET/k", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	GETS(f, "/ping", "*1\r\n$4\r\nping\r\n");
	GETS(f, "/PING/", "*1\r\n$4\r\nPING\r\n");
	GETS(f, "/SET//v", "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n");
	GETS(f, "/SET/a%2fb%00/c+d%3f%2e", "*3\r\n$3\r\nSET\r\n$4\r\na/b\0\r\n$5\r\nc d?.\r\n");
	GETS(f, "/GET/k?a=b/c", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	assert_int_equal(f->call.argc, 2);
	assert_int_equal(f->call.database, 3);
	assert_true(slice_eq(f->call.wish.command, "GET"));
	assert_int_equal(f->call.wish.kind, RENDER_JSON);
	assert_true(slice_eq(f->call.content_type, "application/json"));
}

static void
digits_in_front_are_a_database(void **state)
{
	struct fixture *f = *state;

	GETS(f, "/7/GET/k", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	assert_int_equal(f->call.database, 7);
	GETS(f, "/7x/k", "*2\r\n$2\r\n7x\r\n$1\r\nk\r\n");
	assert_int_equal(f->call.database, 3);
	GETS(f, "/GET/7", "*2\r\n$3\r\nGET\r\n$1\r\n7\r\n");
	refuses(f, HTTP_VERB_GET, "/7", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/7/", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/99999999999999999999/GET/k", (struct slice){0});
}

static void
an_extension_chooses_the_format(void **state)
{
	struct fixture *f = *state;

	static const struct format formats[] = {
#define FORMAT(ext, kind, type) {ext, kind, SLICE_LIT(type)},
#include "httpd/formats.def"
#undef FORMAT
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		char target[64];

		(void)snprintf(target, sizeof(target), "/GET/a.b.%s", formats[i].extension);
		GETS(f, target, "*2\r\n$3\r\nGET\r\n$3\r\na.b\r\n");
		assert_int_equal(f->call.wish.kind, formats[i].kind);
		assert_true(
		    slice_eq(f->call.content_type, (const char *)formats[i].content_type.ptr));
	}
	GETS(f, "/PING.txt", "*1\r\n$4\r\nPING\r\n");
	GETS(f, "/GET/a.unknown", "*2\r\n$3\r\nGET\r\n$9\r\na.unknown\r\n");
	GETS(f, "/GET/a.TXT", "*2\r\n$3\r\nGET\r\n$5\r\na.TXT\r\n");
	GETS(f, "/GET/a%2etxt", "*2\r\n$3\r\nGET\r\n$5\r\na.txt\r\n");
	GETS(f, "/GET.txt/a", "*2\r\n$7\r\nGET.txt\r\n$1\r\na\r\n");
	GETS(f, "/GET/a.", "*2\r\n$3\r\nGET\r\n$2\r\na.\r\n");
	assert_int_equal(f->call.wish.kind, RENDER_JSON);
}

static void
the_query_shapes_the_answer(void **state)
{
	struct fixture *f = *state;

	GETS(f, "/LRANGE/l/0/-1.txt?sep=%2c+&x=y&type=image%2fgif",
	    "*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n");
	assert_true(slice_eq(f->call.wish.separator, ", "));
	assert_true(slice_eq(f->call.content_type, "image/gif"));
	assert_int_equal(f->call.wish.kind, RENDER_BARE);
	GETS(f, "/GET/k?callback=a.b_$1", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	assert_true(slice_eq(f->call.wish.jsonp, "a.b_$1"));
	GETS(f, "/GET/k?jsonp=f", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	assert_true(slice_eq(f->call.wish.jsonp, "f"));
	refuses(f, HTTP_VERB_GET, "/GET/k?jsonp=alert(1)", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/GET/k?jsonp=", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/GET/k?type=a%0d%0aSet-Cookie:x", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/GET/k?type=%z", (struct slice){0});
}

static void
a_post_brings_the_command_in_its_body(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    read_call(f, HTTP_VERB_POST, "/?sep=a", SLICE_LIT("7/SET/k%2f/v.raw?sep=b"), true), 0);
	assert_resp(f, SLICE_LIT("*3\r\n$3\r\nSET\r\n$2\r\nk/\r\n$1\r\nv\r\n"));
	assert_int_equal(f->call.database, 7);
	assert_int_equal(f->call.wish.kind, RENDER_RAW);
	assert_true(slice_eq(f->call.wish.separator, "b"));
	assert_int_equal(read_call(f, HTTP_VERB_POST, "/", SLICE_LIT("/GET/k"), true), 0);
	assert_resp(f, SLICE_LIT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"));
	assert_int_equal(read_call(f, HTTP_VERB_POST, "/DEL/k", (struct slice){0}, true), 0);
	assert_resp(f, SLICE_LIT("*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"));
}

static void
a_put_brings_the_last_argument(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_call(f, HTTP_VERB_PUT, "/SET/k", SLICE_LIT("a/%41?\0\r\n"), true), 0);
	assert_resp(f, SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\na/%41?\0\r\n\r\n"));
	assert_int_equal(read_call(f, HTTP_VERB_PUT, "/SET/k", (struct slice){0}, true), 0);
	assert_resp(f, SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"));
	assert_int_equal(read_call(f, HTTP_VERB_PUT, "/GET/k", (struct slice){0}, false), 0);
	assert_resp(f, SLICE_LIT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"));
	/* bodies of other methods are no arguments */
	assert_int_equal(read_call(f, HTTP_VERB_GET, "/GET/k", SLICE_LIT("x"), true), 0);
	assert_resp(f, SLICE_LIT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"));
}

static void
a_large_body_is_not_copied(void **state)
{
	struct fixture *f = *state;
	struct slice body = {calloc(1, CALL_TAIL_MIN), CALL_TAIL_MIN};

	assert_non_null(body.ptr);
	assert_int_equal(read_call(f, HTTP_VERB_PUT, "/SET/k", body, true), 0);
	assert_resp(f, SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$65536\r\n"));
	assert_ptr_equal(f->call.tail.ptr, body.ptr);
	assert_int_equal(f->call.tail.len, body.len);
	free((void *)(uintptr_t)body.ptr);
}

static void
refuses_what_is_no_command(void **state)
{
	struct fixture *f = *state;

	refuses(f, HTTP_VERB_GET, "/", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "//k", (struct slice){0});
	refuses(f, HTTP_VERB_POST, "/", SLICE_LIT("/"));
	refuses(f, HTTP_VERB_GET, "/GET/%zz", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/G%/k", (struct slice){0});
	refuses(f, HTTP_VERB_POST, "/", SLICE_LIT("SET/k/100%"));
}

static void
refuses_too_many_arguments(void **state)
{
	struct fixture *f = *state;
	size_t len = 2 * CALL_ARGS_MAX + 4;
	char *target = malloc(len + 1);

	assert_non_null(target);
	for (size_t i = 0; i < len; i++) {
		target[i] = i % 2 == 0 ? '/' : 'a';
	}
	target[len] = '\0';
	refuses(f, HTTP_VERB_GET, target, (struct slice){0});
	free(target);
}

static void
a_full_buffer_is_an_error_not_a_crash(void **state)
{
	struct fixture *f = *state;
	struct http_request req = {
	    .verb = HTTP_VERB_GET, .target = SLICE_LIT("/SET/key/value?sep=x")};

	for (size_t max = 1; max < 30; max++) {
		struct buf small;

		buf_init(&small, max);
		assert_int_equal(
		    call_read(&req, 0, &small, &f->text, &f->call, &f->fault), -ENOBUFS);
		buf_fini(&small);
	}
}

static void
arguments_behind_the_body(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    read_call(f, HTTP_VERB_PUT, "/SET/k?args=EX/a%2fb/", SLICE_LIT("v"), true), 0);
	assert_resp(
	    f, SLICE_LIT("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nEX\r\n$3\r\na/b\r\n"));
	/* where there is no body they stand in the path */
	refuses(f, HTTP_VERB_GET, "/GET/k?args=EX/60", (struct slice){0});
	refuses(f, HTTP_VERB_PUT, "/SET/k?args=%", SLICE_LIT("v"));
}

static void
flags_of_the_query(void **state)
{
	struct fixture *f = *state;

	GETS(f, "/PING?status=1&timeout_ms=250", "*1\r\n$4\r\nPING\r\n");
	assert_true(f->call.maps_status && f->call.timeout_ms == 250 && !f->call.atomic);
	refuses(f, HTTP_VERB_GET, "/PING?timeout_ms=", (struct slice){0});
	refuses(f, HTTP_VERB_GET, "/PING?status=yes", (struct slice){0});
}

static void
errors_as_statuses(void **state)
{
	static const struct {
		const char *reply;
		unsigned status;
	} cases[] = {{"+OK\r\n", 200}, {":0\r\n", 200}, {"$0\r\n\r\n", 200}, {"$-1\r\n", 404},
	    {"*-1\r\n", 404}, {"*0\r\n", 200}, {"-ERR x\r\n", 400}, {"-OOM x\r\n", 507},
	    {"-OOMS x\r\n", 400}, {"-NOAUTH\r\n", 401}, {"-BUSY x\r\n", 503},
	    {"-BUSYKEY x\r\n", 409}, {"", 200}, {"-", 400}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (reply_status(slice_str(cases[i].reply)) != cases[i].status) {
			fail_msg("%s", cases[i].reply);
		}
	}
}

/* Status of the refusal, or 0. */
static unsigned
admit(struct fixture *f, const char *target, const char *allowed)
{
	const char *const names[] = {allowed};

	assert_int_equal(read_call(f, HTTP_VERB_GET, target, (struct slice){0}, false), 0);
	if (call_admit(&f->call, names, allowed != NULL, false, &f->fault) < 0) {
		assert_true(strlen(f->fault.why) > 0);
		return f->fault.status;
	}
	return 0;
}

static void
ordinary_commands_share_a_connection(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(admit(f, "/get/k", NULL), 0);
	assert_int_equal(f->call.way, CALL_SHARED);
	assert_true(f->call.lane_flags & LANE_READ);
	assert_int_equal(
	    f->call.lane_flags >> LANE_COMMAND_SHIFT, metrics_command(f->call.command));
	assert_int_equal(admit(f, "/SET/k/v", NULL), 0);
	assert_int_equal(f->call.way, CALL_SHARED);
	assert_false(f->call.lane_flags & LANE_READ);
	assert_int_equal(admit(f, "/CLIENT/LIST", NULL), 0);
}

static void
what_may_wait_or_is_unknown_gets_its_own(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(admit(f, "/BLPOP/l/0", NULL), 0);
	assert_int_equal(f->call.way, CALL_OWN);
	assert_int_equal(admit(f, "/XREAD/BLOCK/0/STREAMS/s/$", NULL), 0);
	assert_int_equal(f->call.way, CALL_OWN);
	assert_int_equal(admit(f, "/SOME.MODULE/x", NULL), 0);
	assert_int_equal(f->call.way, CALL_OWN);
	assert_null(f->call.command);
}

static void
dangerous_commands_need_leave(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(admit(f, "/SHUTDOWN", NULL), 403);
	assert_int_equal(admit(f, "/shut%64own/nosave", NULL), 403);
	assert_int_equal(admit(f, "/REPLICAOF/no/one", NULL), 403);
	assert_int_equal(admit(f, "/CONFIG/REWRITE", NULL), 403);
	assert_int_equal(admit(f, "/CONFIG/GET/save", NULL), 0);
	assert_int_equal(admit(f, "/DEBUG/SLEEP/0", NULL), 403);
	assert_int_equal(admit(f, "/DEBUG/SLEEP/0", "DEBUG"), 0);
}

static void
state_of_a_connection_has_no_place_here(void **state)
{
	struct fixture *f = *state;

	static const char *const all[] = {"/MULTI", "/EXEC", "/DISCARD", "/WATCH/k", "/UNWATCH",
	    "/SELECT/1", "/AUTH/x", "/HELLO/3", "/QUIT", "/RESET", "/CLIENT/SETNAME/x",
	    "/CLIENT/TRACKING/ON"};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (admit(f, all[i], NULL) != 403) {
			fail_msg("%s is let through", all[i]);
		}
	}
	assert_int_equal(admit(f, "/SUBSCRIBE/c", NULL), 0);
	assert_int_equal(admit(f, "/PSUBSCRIBE/c", NULL), 0);
	assert_int_equal(admit(f, "/MONITOR", NULL), 403);
	assert_int_equal(admit(f, "/CLIENT/REPLY/OFF", NULL), 403);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_path_is_a_command),
	    TEST(digits_in_front_are_a_database),
	    TEST(an_extension_chooses_the_format),
	    TEST(the_query_shapes_the_answer),
	    TEST(a_post_brings_the_command_in_its_body),
	    TEST(a_put_brings_the_last_argument),
	    TEST(a_large_body_is_not_copied),
	    TEST(arguments_behind_the_body),
	    TEST(flags_of_the_query),
	    cmocka_unit_test(errors_as_statuses),
	    TEST(refuses_what_is_no_command),
	    TEST(refuses_too_many_arguments),
	    TEST(a_full_buffer_is_an_error_not_a_crash),
	    TEST(ordinary_commands_share_a_connection),
	    TEST(what_may_wait_or_is_unknown_gets_its_own),
	    TEST(dangerous_commands_need_leave),
	    TEST(state_of_a_connection_has_no_place_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
