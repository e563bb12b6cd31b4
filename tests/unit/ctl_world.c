#include "ctl_world.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <ev.h>

#include "base/clock.h"
#include "ctl/ctl_priv.h"
#include "scratch.h"
#include "unit.h"

char *home;
pid_t server_pid;
struct errmsg said;

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
	    ctl_server_new(served.loop, path, commands, ARRAY_LEN(commands), &served, &said);
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

void
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

void
stop_server(const char *in_dir)
{
	struct ctl_client *c = NULL;
	json_t *reply = NULL;
	int status;

	assert_int_equal(ctl_client_open(in_dir, &c, &said), 0);
	assert_int_equal(ctl_client_call(c, "reload", NULL, PATIENT_MS, &reply, &said), -EREMOTEIO);
	json_decref(reply);
	ctl_client_close(&c);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
world_setup(void **state)
{
	home = scratch_make();
	said = ERRMSG_NONE;
	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);
	return 0;
}

int
world_teardown(void **state)
{
	stop_server(home);
	assert_int_equal(access(scratch_path(home, CTL_SOCKET_NAME), F_OK), -1);
	scratch_remove(&home);
	return 0;
}

int
world_setup_alone(void **state)
{
	home = scratch_make();
	said = ERRMSG_NONE;
	return 0;
}

int
world_teardown_alone(void **state)
{
	scratch_remove(&home);
	return 0;
}

/* --- helpers of the clients ------------------------------------------------------------------ */

struct ctl_client *
connect_client(void)
{
	struct ctl_client *c = NULL;
	int rc = ctl_client_open(home, &c, &said);

	if (rc < 0) {
		fail_msg("%s", said.text);
	}
	return c;
}

int
call(const char *cmd, json_t *args, json_t **ret_reply)
{
	struct ctl_client *c = connect_client();
	json_t *reply = NULL;
	int rc = ctl_client_call(c, cmd, args, PATIENT_MS, &reply, &said);

	ctl_client_close(&c);
	if (ret_reply != NULL) {
		*ret_reply = reply;
	} else {
		json_decref(reply);
	}
	return rc;
}

int
server_counter(const char *name)
{
	json_t *reply = NULL;
	int value;

	assert_int_equal(call("status", NULL, &reply), 0);
	value = (int)json_integer_value(json_object_get(reply, name));
	json_decref(reply);
	return value;
}

void
wait_for_counter(const char *name, int value)
{
	uint64_t give_up_at = clock_mono_ms() + PATIENT_MS;

	while (server_counter(name) != value) {
		assert_true(clock_mono_ms() < give_up_at);
	}
}

int
raw_connect(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct timeval bound = {.tv_sec = PATIENT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", scratch_path(home, CTL_SOCKET_NAME));
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
	return fd;
}

void
raw_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

const char *
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
