/*
 * The control protocol over a real socket. The server runs in a child with handlers made for the
 * test; each test is its client and sees what a client can see. Counters that only the server knows
 * are its answer to `status`.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"
#include "scratch.h"

#define PATIENT_MS 60000 /* a bound only: sanitizers on a busy machine take their time */

static char *dir;
static pid_t server_pid;
static struct errmsg err;

/* --- the server's process -------------------------------------------------------------------- */

static struct {
	struct loop *loop;
	struct ctl_server *server;
	struct ctl_request *late;    /* failover: answered by the timer */
	struct ctl_request *waiting; /* stop: ended by restart */
	ev_timer timer;
	unsigned gone, refused;
} served;

static void
on_ping(struct ctl_request *req, const json_t *args, void *owner)
{
	assert_ptr_equal(owner, &served);
	ctl_done(req, NULL);
}

static void
on_status(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_done(
	    req, json_pack("{s:i, s:i, s:i}", "clients", (int)ctl_server_clients(served.server),
		     "gone", (int)served.gone, "refused", (int)served.refused));
}

static void
on_stream_gone(struct ctl_request *req, void *arg)
{
	served.gone++;
}

static void
on_events(struct ctl_request *req, const json_t *args, void *owner)
{
	static char kilobyte[1025];
	uint64_t n = ctl_arg_count(args, "n", 2);

	memset(kilobyte, 'k', sizeof(kilobyte) - 1);
	ctl_on_gone(req, on_stream_gone, NULL);
	for (uint64_t i = 0; i < n; i++) {
		json_t *line = json_pack("{s:I, s:s}", "line", (json_int_t)i, "text", kilobyte);

		if (ctl_send(req, line) == -ENOBUFS) {
			served.refused++;
			return;
		}
	}
	if (!ctl_arg_bool(args, "follow")) {
		ctl_done(req, NULL);
	}
}

static void
on_failover(struct ctl_request *req, const json_t *args, void *owner)
{
	served.late = req;
	ev_timer_set(&served.timer, 0.01, 0.);
	ev_timer_start(loop_ev(served.loop), &served.timer);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct ctl_request *req = served.late;

	served.late = NULL;
	ctl_done(req, json_pack("{s:{s:s}}", "master", "name", "redis-2"));
}

static void
on_start(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_fail(req, CTL_EXIT_NOT_READY, "no instance is called '%s'", ctl_arg_text(args, "name"));
}

static void
on_stop(struct ctl_request *req, const json_t *args, void *owner)
{
	served.waiting = req; /* without on_gone: it stays usable */
}

static void
on_restart(struct ctl_request *req, const json_t *args, void *owner)
{
	int rc = -EINVAL;

	if (served.waiting != NULL) {
		rc = ctl_send(served.waiting, json_pack("{s:s}", "log", "one more"));
		ctl_done(served.waiting, NULL);
		served.waiting = NULL;
	}
	ctl_done(req, json_pack("{s:b}", "left", rc == -EPIPE));
}

static void
on_reload(struct ctl_request *req, const json_t *args, void *owner)
{
	loop_stop(served.loop);
	ctl_fail_with(req, CTL_EXIT_CONFIG, json_pack("{s:[s]}", "faults", "line 3"),
	    "bytes that are no text: \xff");
}

static const struct ctl_command commands[] = {
    {"ping", on_ping},
    {"status", on_status},
    {"events", on_events},
    {"failover", on_failover},
    {"start", on_start},
    {"stop", on_stop},
    {"restart", on_restart},
    {"reload", on_reload},
};

static void
serve(const char *path, int ready, uint64_t send_ms, uint64_t longest_ms)
{
	served.loop = loop_new();
	served.server =
	    ctl_server_new(served.loop, path, commands, ARRAY_LEN(commands), &served, &err);
	if (served.server == NULL || write(ready, "r", 1) != 1) {
		_exit(9);
	}
	if (send_ms > 0) {
		ctl_server_set_patience(served.server, send_ms, longest_ms);
	}
	ev_init(&served.timer, on_timer);
	loop_run(served.loop);
	ctl_server_free(&served.server);
	loop_run(served.loop); /* what is unsent still goes out */
	loop_free(&served.loop);
}

static void
start_server(const char *path, uint64_t send_ms, uint64_t longest_ms)
{
	int ends[2];
	char c;

	assert_int_equal(pipe(ends), 0);
	server_pid = fork();
	assert_int_not_equal(server_pid, -1);
	if (server_pid == 0) {
		(void)close(ends[0]);
		serve(path, ends[1], send_ms, longest_ms);
		exit(0); /* with the leak check, if there is one */
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	(void)close(ends[0]);
}

/* Ends the server by its own command, so that it shows whether it cleaned up. */
static void
stop_server(const char *in_dir)
{
	struct ctl_client *c = NULL;
	json_t *reply = NULL;
	int status;

	assert_int_equal(ctl_client_open(in_dir, &c, &err), 0);
	assert_int_equal(ctl_client_call(c, "reload", NULL, PATIENT_MS, &reply, &err), -EREMOTEIO);
	json_decref(reply);
	ctl_client_close(&c);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int
setup(void **state)
{
	dir = scratch_make();
	err = ERRMSG_NONE;
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);
	return 0;
}

static int
teardown(void **state)
{
	stop_server(dir);
	assert_int_equal(access(scratch_path(dir, CTL_SOCKET_NAME), F_OK), -1);
	scratch_remove(&dir);
	return 0;
}

static int
setup_without_server(void **state)
{
	dir = scratch_make();
	err = ERRMSG_NONE;
	return 0;
}

static int
teardown_without_server(void **state)
{
	scratch_remove(&dir);
	return 0;
}

/* --- helpers of the clients ------------------------------------------------------------------ */

static struct ctl_client *
connect_client(void)
{
	struct ctl_client *c = NULL;
	int rc = ctl_client_open(dir, &c, &err);

	if (rc < 0) {
		fail_msg("%s", err.text);
	}
	return c;
}

/* One call on a connection of its own; the result of the call. */
static int
call(const char *cmd, json_t *args, json_t **ret_reply)
{
	struct ctl_client *c = connect_client();
	json_t *reply = NULL;
	int rc = ctl_client_call(c, cmd, args, PATIENT_MS, &reply, &err);

	ctl_client_close(&c);
	if (ret_reply != NULL) {
		*ret_reply = reply;
	} else {
		json_decref(reply);
	}
	return rc;
}

static int
server_counter(const char *name)
{
	json_t *reply = NULL;
	int value;

	assert_int_equal(call("status", NULL, &reply), 0);
	value = (int)json_integer_value(json_object_get(reply, name));
	json_decref(reply);
	return value;
}

/* Asks until the server has noticed, for up to PATIENT_MS; each round is an answer of the server. */
static void
wait_for_counter(const char *name, int value)
{
	uint64_t give_up_at = clock_mono_ms() + PATIENT_MS;

	while (server_counter(name) != value) {
		assert_true(clock_mono_ms() < give_up_at);
	}
}

/* A bare connection, for what the client library would never send. */
static int
raw_connect(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval bound = {.tv_sec = PATIENT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", scratch_path(dir, CTL_SOCKET_NAME));
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
	return fd;
}

static void
raw_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the server closes. */
static const char *
raw_read_all(int fd)
{
	static char text[65536];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
	}
	text[len] = '\0';
	(void)close(fd);
	return text;
}

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
			     PATIENT_MS, &reply, &err),
	    -EREMOTEIO);
	assert_string_equal(err.text, "no instance is called 'redis-9'");
	assert_int_equal(ctl_client_exit(c), CTL_EXIT_NOT_READY);
	json_decref(reply);
	/* and the connection goes on */
	assert_int_equal(ctl_client_call(c, "ping", NULL, PATIENT_MS, &reply, &err), 0);
	json_decref(reply);
	ctl_client_close(&c);
}

static void
test_stream_then_end(void **state)
{
	struct ctl_client *c = connect_client();
	json_t *line = NULL;

	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 3), &err), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &err), CTL_LINE);
		assert_int_equal(json_integer_value(json_object_get(line, "line")), i);
		json_decref(line);
	}
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &err), CTL_END);
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
	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 3000), &err), 0);
	while ((rc = ctl_client_next(c, PATIENT_MS, &line, &err)) == CTL_LINE) {
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
	assert_int_equal(ctl_client_call(c, "reload", NULL, PATIENT_MS, &reply, &err), -EREMOTEIO);
	assert_int_equal(ctl_client_exit(c), CTL_EXIT_CONFIG);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(reply, "faults"), 0)), "line 3");
	assert_true(strlen(err.text) > 0);
	json_decref(reply);
	ctl_client_close(&c);
	assert_int_equal(waitpid(server_pid, NULL, 0), server_pid); /* that command ends it */
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);     /* for teardown */
}

/* --- what does not fit ----------------------------------------------------------------------- */

static void
test_unknown_command_lists_the_known(void **state)
{
	assert_int_equal(call("failovr", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "unknown command \"failovr\""));
	assert_non_null(strstr(err.text, "failover, start, stop"));
}

static void
test_command_without_handler(void **state)
{
	assert_int_equal(call("logs", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "not available"));
}

static void
test_wrong_arguments_never_reach_the_handler(void **state)
{
	assert_int_equal(call("start", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "start needs the argument 'name'"));
	assert_int_equal(call("events", json_pack("{s:s}", "n", "ten"), NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "argument 'n' of events must be a number"));
	assert_int_equal(call("ping", json_pack("{s:i}", "n", 1), NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "ping has no argument 'n'"));
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
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 1, "follow", 1), &err), 0);
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &err), CTL_LINE);
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

	assert_int_equal(ctl_client_send(c, "stop", json_pack("{s:s}", "name", "a"), &err), 0);
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
	assert_int_equal(ctl_client_send(c, "events", json_pack("{s:i}", "n", 20000), &err), 0);
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
	    ctl_client_call(clients[CTL_CLIENTS_MAX - 1], "ping", NULL, PATIENT_MS, &reply, &err),
	    0);
	json_decref(reply);
	assert_int_equal(call("ping", NULL, NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "64 control clients"));
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
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 0, "follow", 1), &err), 0);
	assert_int_equal(
	    ctl_client_send(waiting, "stop", json_pack("{s:s}", "name", "a"), &err), 0);
	wait_for_counter("clients", 3);
	/* lets the server forget the request that it kept, or its leak check would rightly find it */
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(dir);
	assert_int_equal(ctl_client_next(c, PATIENT_MS, &line, &err), -EPIPE);
	assert_string_equal(err.text, "the supervisor went away");
	ctl_client_close(&c);
	ctl_client_close(&waiting);
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0); /* for teardown */
}

/* --- time ------------------------------------------------------------------------------------ */

static void
test_silent_client_is_closed(void **state)
{
	static const char *const starts[] = {"", "{\"cmd\":"};

	start_server(scratch_path(dir, CTL_SOCKET_NAME), 20, 60000);
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		int fd = raw_connect();

		raw_send(fd, starts[i]);
		assert_non_null(strstr(raw_read_all(fd), "no request came"));
	}
	stop_server(dir);
}

static void
test_command_that_takes_too_long_is_told(void **state)
{
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 60000, 20);
	assert_int_equal(call("stop", json_pack("{s:s}", "name", "a"), NULL), -EREMOTEIO);
	assert_non_null(strstr(err.text, "stop did not end in"));
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(dir);
}

static void
test_stalled_reader_is_dropped(void **state)
{
	struct ctl_client *c;

	start_server(scratch_path(dir, CTL_SOCKET_NAME), 50, 60000);
	c = connect_client();
	/* below the bound in bytes, but more than the socket takes */
	assert_int_equal(
	    ctl_client_send(c, "events", json_pack("{s:i, s:b}", "n", 2000, "follow", 1), &err), 0);
	wait_for_counter("gone", 1);
	ctl_client_close(&c);
	stop_server(dir);
}

static void
test_client_waits_no_longer_than_told(void **state)
{
	struct ctl_client *c;
	json_t *reply = NULL;

	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);
	c = connect_client();
	assert_int_equal(
	    ctl_client_call(c, "stop", json_pack("{s:s}", "name", "a"), 20, &reply, &err),
	    -ETIMEDOUT);
	assert_null(reply);
	assert_non_null(strstr(err.text, "does not answer"));
	ctl_client_close(&c);
	assert_int_equal(call("restart", json_pack("{s:s}", "name", "a"), NULL), 0);
	stop_server(dir);
}

/* --- the socket ------------------------------------------------------------------------------ */

static void
test_socket_is_private(void **state)
{
	struct stat st;

	assert_int_equal(stat(scratch_path(dir, CTL_SOCKET_NAME), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_second_server_is_refused(void **state)
{
	struct loop *loop = loop_new();
	const char *path = scratch_path(dir, CTL_SOCKET_NAME);

	assert_null(ctl_server_new(loop, path, commands, ARRAY_LEN(commands), &served, &err));
	assert_non_null(strstr(err.text, "another process listens"));
	assert_non_null(strstr(err.text, path));
	loop_free(&loop);
	assert_int_equal(call("ping", NULL, NULL), 0);
}

static void
test_stale_socket_is_replaced(void **state)
{
	int status;

	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(kill(server_pid, SIGKILL), 0);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(call("ping", NULL, NULL), 0);
	stop_server(dir);
}

static void
test_path_longer_than_an_address(void **state)
{
	char *deep = xasprintf("%s/%0*d", dir, 150, 7);

	assert_int_equal(mkdir(deep, 0700), 0);
	start_server(scratch_path(deep, CTL_SOCKET_NAME), 0, 0);
	stop_server(deep);
	assert_int_equal(access(scratch_path(deep, CTL_SOCKET_NAME), F_OK), -1);
	free(deep);
}

static void
test_nobody_there(void **state)
{
	struct ctl_client *c = NULL;
	char *expected =
	    xasprintf("nobody supervises %s: start it with `holdfast run -d %s`", dir, dir);
	int status;

	assert_int_equal(ctl_client_open(dir, &c, &err), -ENOTCONN);
	assert_string_equal(err.text, expected);
	start_server(scratch_path(dir, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(kill(server_pid, SIGKILL), 0);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	assert_int_equal(ctl_client_open(dir, &c, &err), -ENOTCONN); /* left by kill -9 */
	assert_string_equal(err.text, expected);
	assert_null(c);
	free(expected);
}

static void
test_missing_folder(void **state)
{
	struct loop *loop = loop_new();

	assert_null(ctl_server_new(loop, scratch_path(dir, "none/control.sock"), commands,
	    ARRAY_LEN(commands), &served, &err));
	assert_non_null(strstr(err.text, "none/control.sock"));
	loop_free(&loop);
}

int
main(void)
{
#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define ALONE(fn) cmocka_unit_test_setup_teardown(fn, setup_without_server, teardown_without_server)
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
	    TEST(test_socket_is_private),
	    TEST(test_second_server_is_refused),
	    ALONE(test_stale_socket_is_replaced),
	    ALONE(test_path_longer_than_an_address),
	    ALONE(test_nobody_there),
	    ALONE(test_missing_folder),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
