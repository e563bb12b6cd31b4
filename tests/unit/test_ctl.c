/* Requests and answers of the control protocol, clients that leave, lag or are too many, and time. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ctl/ctl_priv.h"
#include "ctl_world.h"
#include "scratch.h"

/* --- requests and answers -------------------------------------------------------------------- */

static void
test_answer_at_once(void **state)
{
	json_t *reply = NULL;

	assert_int_equal(call("ping", NULL, &reply), 0);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
}

static void
test_answer_later(void **state)
{
	json_t *reply = NULL;

	assert_int_equal(call("failover", json_pack("{s:s}", "to", "redis-2"), &reply), 0);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(reply, "master"), "name")),
	    "redis-2");
	json_decref(reply);
}

static void
test_failure_brings_text_and_exit_code(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *reply = NULL;

	assert_int_equal(ctl_client_call(c, "start", json_pack("{s:s}", "name", "redis-9"),
			     PATIENT_MS, &reply, &said),
	    -EREMOTEIO);
	assert_string_equal(said.text, "no instance is called 'redis-9'");
	assert_int_equal(ctl_client_exit(c), CTL_EXIT_NOT_READY);
	json_decref(reply);
	/* and the connection goes on */
	assert_int_equal(ctl_client_call(c, "ping", NULL, PATIENT_MS, &reply, &said), 0);
	json_decref(reply);
	ctl_client_close(&c);
}

static void
test_stream_then_end(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *line = NULL;

	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 3), &said), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &said), CTL_LINE);
		assert_int_equal(json_integer_value(json_object_get(line, "line")), i);
		json_decref(line);
	}
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &said), CTL_END);
	json_decref(line);
	ctl_client_close(&c);
}

static void
test_large_stream_to_a_reader(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *line = NULL;
	int n = 0, rc;

	/* 3 MiB in one go: more than a socket buffer, less than the bound */
	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 3000), &said), 0);
	while ((rc = ctl_client_next(c, PATIENT_MS, &line, &said)) == CTL_LINE) {
		json_decref(line);
		n++;
	}
	assert_int_equal(rc, CTL_END);
	assert_int_equal(n, 3000);
	json_decref(line);
	ctl_client_close(&c);
}

static void
test_requests_in_one_write_are_answered_in_order(void **state)
{
	int fd = raw_connect();
	const char *text, *late, *ping;

	raw_send(fd, "{\"cmd\":\"failover\"}\n\n{\"cmd\":\"ping\"}\n{\"cmd\":\"start\",\"args\":"
		     "{\"name\":\"x\"}}\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	text = raw_read_all(fd);
	late = strstr(text, "redis-2");
	ping = strstr(text, "{\"ok\":true}");
	assert_non_null(late);
	assert_non_null(ping);
	assert_true(late < ping);
	assert_non_null(strstr(ping, "no instance is called 'x'"));
}

static void
test_error_with_more_members(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *reply = NULL;

	/* its text carries a byte that is no UTF-8, so it comes without the text */
	assert_int_equal(ctl_client_call(c, "reload", NULL, PATIENT_MS, &reply, &said), -EREMOTEIO);
	assert_int_equal(ctl_client_exit(c), CTL_EXIT_CONFIG);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(reply, "faults"), 0)), "line 3");
	assert_true(strlen(said.text) > 0);
	json_decref(reply);
	ctl_client_close(&c);
	assert_int_equal(waitpid(server_pid, NULL, 0), server_pid); /* that command ends it */
	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);    /* for teardown */
}

/* --- what does not fit ----------------------------------------------------------------------- */

static void
test_unknown_command_lists_the_known(void **state)
{
	assert_int_equal(call("failovr", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "unknown command \"failovr\""));
	assert_non_null(strstr(said.text, "failover, start, stop"));
}

static void
test_command_without_handler(void **state)
{
	assert_int_equal(call("logs", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "not available"));
}

static void
test_wrong_arguments_never_reach_the_handler(void **state)
{
	assert_int_equal(call("start", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "start needs the argument 'name'"));
	assert_int_equal(call("events", json_pack("{s:s}", "n", "ten"), NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "argument 'n' of events must be a number"));
	assert_int_equal(call("ping", json_pack("{s:i}", "n", 1), NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "ping has no argument 'n'"));
}

static void
test_garbage_is_answered_and_closed(void **state)
{
	static const char *const garbage[] = {
	    "GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "{\"cmd\":\n", "\x16\x03\x01\n"};

	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		int fd = raw_connect();
		const char *text;

		raw_send(fd, garbage[i]);
		text = raw_read_all(fd);
		assert_non_null(strstr(text, "one JSON object a line"));
		assert_null(strchr(strchr(text, '\n') + 1, '\n')); /* one answer, then the end */
	}
	assert_int_equal(call("ping", NULL, NULL), 0);
}

static void
test_json_of_another_shape(void **state)
{
	static const char *const shapes[] = {"[]\n", "{}\n", "{\"cmd\":1}\n",
	    "{\"cmd\":\"ping\",\"arg\":{}}\n", "{\"cmd\":\"ping\",\"args\":{},\"x\":1}\n"};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		int fd = raw_connect();

		raw_send(fd, shapes[i]);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		assert_non_null(strstr(raw_read_all(fd), "a request is {"));
	}
}

static void
test_oversized_request_is_refused(void **state)
{
	char *text = malloc(CTL_REQUEST_MAX + 100);
	int fd = raw_connect();

	memset(text, 'x', CTL_REQUEST_MAX + 99);
	text[CTL_REQUEST_MAX + 99] = '\0';
	raw_send(fd, text);
	free(text);
	assert_non_null(strstr(raw_read_all(fd), "at most 64 KiB"));
	assert_int_equal(call("ping", NULL, NULL), 0);
}

static void
test_flood_behind_a_request_is_bounded(void **state)
{
	struct ctl_client *c = connect_client();
	static char block[32768];
	int fd = raw_connect();
	size_t sent = 0;
	ssize_t n;

	raw_send(fd, "{\"cmd\":\"events\",\"args\":{\"n\":0,\"follow\":true}}\n");
	memset(block, '\n', sizeof(block));
	while ((n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0 && sent < 64 << 20) {
		sent += (size_t)n;
	}
	assert_int_equal(n, -1); /* closed on us, long before 64 MiB */
	(void)close(fd);
	wait_for_counter("gone", 1);
	ctl_client_close(&c);
}

/* --- clients that leave, lag or are too many ------------------------------------------------- */

static void
test_leaving_follower_is_noticed(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *line = NULL;

	assert_int_equal(
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 1, "follow", 1), &said), 0);
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &said), CTL_LINE);
	json_decref(line);
	assert_int_equal(server_counter("gone"), 0);
	ctl_client_close(&c);
	wait_for_counter("gone", 1);
	assert_int_equal(server_counter("clients"), 1);
}

static void
test_request_without_on_gone_outlives_its_client(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *reply = NULL;

	assert_int_equal(ctl_client_send(c, "stop", json_pack("{s:s}", "name", "a"), &said), 0);
	wait_for_counter("clients", 2);
	ctl_client_close(&c);
	wait_for_counter("clients", 1);
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), &reply), 0);
	assert_true(json_is_true(json_object_get(reply, "left")));
	json_decref(reply);
}

static void
test_slow_reader_is_dropped(void **state)
{
	struct ctl_client *c = connect_client();

	/* 20 MiB that nobody reads */
	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 20000), &said), 0);
	wait_for_counter("gone", 1);
	assert_int_equal(server_counter("refused"), 1);
	assert_int_equal(server_counter("clients"), 1);
	ctl_client_close(&c);
}

static void
test_too_many_clients_are_told(void **state)
{
	struct ctl_client *clients[CTL_CLIENTS_MAX];
	json_t *reply = NULL;

	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = connect_client();
	}
	/* the last of them is surely accepted once it is answered */
	assert_int_equal(
	    ctl_client_call(clients[CTL_CLIENTS_MAX - 1], "ping", NULL, PATIENT_MS, &reply, &said),
	    0);
	json_decref(reply);
	assert_int_equal(call("ping", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "64 control clients"));
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		ctl_client_close(&clients[i]);
	}
	for (int i = 0; i < 2000 && call("ping", NULL, NULL) != 0; i++) {
		/* until it has seen them leave */
	}
	assert_int_equal(call("ping", NULL, NULL), 0);
}

static void
test_server_ends_its_requests_when_it_goes(void **state)
{
	struct ctl_client *c = connect_client(), *waiting = connect_client();
	json_t *line = NULL;

	assert_int_equal(
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 0, "follow", 1), &said), 0);
	assert_int_equal(
	    ctl_client_send(waiting, "stop", json_pack("{s:s}", "name", "a"), &said), 0);
	wait_for_counter("clients", 3);
	/* lets the server forget the request that it kept, or its leak check would rightly find it */
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(home);
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &said), -EPIPE);
	assert_string_equal(said.text, "the supervisor went away");
	ctl_client_close(&c);
	ctl_client_close(&waiting);
	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0); /* for teardown */
}

/* --- time ------------------------------------------------------------------------------------ */

static void
test_silent_client_is_closed(void **state)
{
	static const char *const starts[] = {"", "{\"cmd\":"};

	start_server(scratch_path(home, CTL_SOCKET_NAME), 20, 60000);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		int fd = raw_connect();

		raw_send(fd, starts[i]);
		assert_non_null(strstr(raw_read_all(fd), "no request came"));
	}
	stop_server(home);
}

static void
test_command_that_takes_too_long_is_told(void **state)
{
	start_server(scratch_path(home, CTL_SOCKET_NAME), 60000, 20);
	assert_int_equal(call("stop", json_pack("{s:s}", "name", "a"), NULL), -EREMOTEIO);
	assert_non_null(strstr(said.text, "stop did not end in"));
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(home);
}

static void
test_stalled_reader_is_dropped(void **state)
{
	struct ctl_client *c;

	start_server(scratch_path(home, CTL_SOCKET_NAME), 50, 60000);
	c = connect_client();
	/* below the bound in bytes, but more than the socket takes */
	assert_int_equal(
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 2000, "follow", 1), &said),
	    0);
	wait_for_counter("gone", 1);
	ctl_client_close(&c);
	stop_server(home);
}

static void
test_client_waits_no_longer_than_told(void **state)
{
	struct ctl_client *c;
	json_t *reply = NULL;

	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);
	c = connect_client();
	assert_int_equal(
	    ctl_client_call(c, "stop", json_pack("{s:s}", "name", "a"), 20, &reply, &said),
	    -ETIMEDOUT);
	assert_null(reply);
	assert_non_null(strstr(said.text, "does not answer"));
	ctl_client_close(&c);
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(home);
}

int
main(void)
{
#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
#define ALONE(fn) cmocka_unit_test_setup_teardown(fn, world_setup_alone, world_teardown_alone)
	const struct CMUnitTest tests[] = {
	    TEST(test_answer_at_once),
	    TEST(test_answer_later),
	    TEST(test_failure_brings_text_and_exit_code),
	    TEST(test_stream_then_end),
	    TEST(test_large_stream_to_a_reader),
	    TEST(test_requests_in_one_write_are_answered_in_order),
	    TEST(test_error_with_more_members),
	    TEST(test_unknown_command_lists_the_known),
	    TEST(test_command_without_handler),
	    TEST(test_wrong_arguments_never_reach_the_handler),
	    TEST(test_garbage_is_answered_and_closed),
	    TEST(test_json_of_another_shape),
	    TEST(test_oversized_request_is_refused),
	    TEST(test_flood_behind_a_request_is_bounded),
	    TEST(test_leaving_follower_is_noticed),
	    TEST(test_request_without_on_gone_outlives_its_client),
	    TEST(test_slow_reader_is_dropped),
	    TEST(test_too_many_clients_are_told),
	    TEST(test_server_ends_its_requests_when_it_goes),
	    ALONE(test_silent_client_is_closed),
	    ALONE(test_command_that_takes_too_long_is_told),
	    ALONE(test_stalled_reader_is_dropped),
	    ALONE(test_client_waits_no_longer_than_told),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
