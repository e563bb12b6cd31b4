#include "conn_world.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

struct loop *loop;
struct owner owner;
int peer;

static void
on_open(struct conn *c, void *arg)
{
	struct owner *o = arg;

	o->opens++;
	if (o->close_on_open) {
		conn_close(&o->conn);
	}
}

static size_t
on_data(struct conn *c, void *arg, struct slice in)
{
	struct owner *o = arg;
	size_t len = strlen(o->seen);

	(void)snprintf(o->seen + len, sizeof(o->seen) - len, "[%.*s]",
	    (int)(in.len < 40 ? in.len : 40), (const char *)in.ptr);
	if (o->answer != NULL) {
		assert_int_equal(conn_write(c, o->answer, strlen(o->answer)), 0);
	}
	if (o->pause_on_data) {
		conn_pause(c, true);
	}
	if (o->resume_on_data) {
		conn_pause(c, false);
	}
	if (o->finish_on_data) {
		conn_close_after_flush(&o->conn, 5000);
	}
	if (o->close_on_data) {
		conn_close(&o->conn);
	}
	return in.len < o->take ? in.len : o->take;
}

static void
on_room(struct conn *c, void *arg)
{
	struct owner *o = arg;

	o->rooms++;
	if (o->close_on_room) {
		conn_close(&o->conn);
		return;
	}
	for (size_t i = 0; i < o->fill_on_room; i += 1024) {
		char block[1024] = {0};

		assert_int_equal(conn_write(c, block, sizeof(block)), 0);
	}
}

static void
on_eof(struct conn *c, void *arg)
{
	struct owner *o = arg;

	o->eofs++;
	if (o->answer != NULL) {
		assert_int_equal(conn_write(c, o->answer, strlen(o->answer)), 0);
	}
	if (o->close_on_eof) {
		conn_close(&o->conn);
	}
}

static void
on_close(struct conn *c, void *arg, int error)
{
	struct owner *o = arg;

	o->closes++;
	o->error = error;
	o->conn = NULL;
}

const struct conn_ops owner_ops = {
    .on_open = on_open, .on_data = on_data, .on_room = on_room, .on_close = on_close};
const struct conn_ops owner_ops_with_eof = {.on_open = on_open,
    .on_data = on_data,
    .on_room = on_room,
    .on_eof = on_eof,
    .on_close = on_close};

int
conn_world_setup(void **state)
{
	loop = loop_new();
	owner = (struct owner){.take = SIZE_MAX};
	peer = -1;
	return 0;
}

int
conn_world_teardown(void **state)
{
	conn_close(&owner.conn);
	loop_free(&loop); /* frees all: the leak sanitizer looks */
	if (peer != -1) {
		(void)close(peer);
	}
	return 0;
}

void
start_kind(int kind, const struct conn_ops *with)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	peer = fds[1];
	owner.conn = conn_new(loop, fds[0], with, &owner);
}

void
start(void)
{
	start_kind(SOCK_STREAM, &owner_ops);
}

void
turn(void)
{
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

void
peer_says(const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn();
}

const char *
peer_hears(void)
{
	static char text[4096];
	ssize_t n = read(peer, text, sizeof(text) - 1);

	if (n == 0) {
		return NULL;
	}
	if (n == -1 && errno == ECONNRESET) {
		return "reset";
	}
	text[n > 0 ? n : 0] = '\0';
	return text;
}

bool
peer_hears_the_end(void)
{
	return peer_hears() == NULL;
}
