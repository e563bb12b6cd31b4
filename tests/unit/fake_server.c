#include "fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/listener.h"

struct fake {
	struct loop *loop;
	struct listener *listener;
	struct endpoint at;
	struct list clients;
	size_t accepted;
	fake_request_fn *fn;
	void *arg;
};

struct fake_client {
	struct list link;
	struct fake *fake;
	struct conn *conn;
	redisReader *reader;
	int mark;
};

static void
client_free_now(void *obj)
{
	struct fake_client *c = obj;

	redisReaderFree(c->reader);
	free(c);
}

static void
client_end(struct fake_client *c)
{
	list_del(&c->link);
	conn_close(&c->conn);
	loop_bury(c->fake->loop, client_free_now, c);
}

static size_t
on_data(struct conn *conn, void *owner, struct slice in)
{
	struct fake_client *c = owner;
	void *request = NULL;

	assert_int_equal(redisReaderFeed(c->reader, (const char *)in.ptr, in.len), REDIS_OK);
	while (c->conn != NULL && redisReaderGetReply(c->reader, &request) == REDIS_OK &&
	       request != NULL) {
		c->fake->fn(c->fake->arg, c, request);
		freeReplyObject(request);
	}
	return in.len;
}

static void
on_close(struct conn *conn, void *owner, int error)
{
	struct fake_client *c = owner;

	c->conn = NULL;
	client_end(c);
}

static const struct conn_ops ops = {.on_data = on_data, .on_close = on_close};

static void
on_accept(void *owner, int fd)
{
	struct fake *f = owner;
	struct fake_client *c = xcalloc(1, sizeof(*c));

	list_init(&c->link);
	list_push(&f->clients, &c->link);
	c->fake = f;
	c->reader = redisReaderCreate();
	c->conn = conn_new(f->loop, fd, &ops, c);
	f->accepted++;
}

struct fake *
fake_new(struct loop *loop, fake_request_fn *fn, void *arg)
{
	struct fake *f = xcalloc(1, sizeof(*f));
	struct endpoint any = endpoint_tcp("127.0.0.1", 0);
	struct errmsg err = ERRMSG_NONE;
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd;

	assert_int_equal(listener_bind(&any, &fd, &err), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	f->loop = loop;
	f->at = endpoint_tcp("127.0.0.1", ntohs(addr.sin_port));
	list_init(&f->clients);
	f->fn = fn;
	f->arg = arg;
	f->listener = listener_new(loop, fd, on_accept, f);
	return f;
}

void
fake_free(struct fake **fp)
{
	struct fake *f = *fp;

	*fp = NULL;
	if (f == NULL) {
		return;
	}
	fake_drop_all(f);
	listener_free(&f->listener);
	loop_bury(f->loop, free, f);
}

const struct endpoint *
fake_at(const struct fake *f)
{
	return &f->at;
}

size_t
fake_clients(const struct fake *f)
{
	size_t count = 0;

	list_for_each (it, &f->clients) {
		count++;
	}
	return count;
}

size_t
fake_accepted(const struct fake *f)
{
	return f->accepted;
}

void
fake_drop(struct fake_client *c)
{
	client_end(c);
}

void
fake_drop_all(struct fake *f)
{
	list_for_each_safe (it, tmp, &f->clients) {
		client_end(CONTAINER_OF(it, struct fake_client, link));
	}
}

void
fake_say(struct fake_client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	assert_int_equal(buf_vaddf(conn_out(c->conn), fmt, ap), 0);
	va_end(ap);
	conn_flush(c->conn);
}

void
fake_say_all(struct fake *f, const char *text)
{
	list_for_each (it, &f->clients) {
		fake_say(CONTAINER_OF(it, struct fake_client, link), "%s", text);
	}
}

void
fake_say_marked(struct fake *f, const char *text)
{
	list_for_each (it, &f->clients) {
		struct fake_client *c = CONTAINER_OF(it, struct fake_client, link);

		if (c->mark != 0) {
			fake_say(c, "%s", text);
		}
	}
}

int *
fake_mark(struct fake_client *c)
{
	return &c->mark;
}

struct run {
	struct loop *loop;
	bool (*done)(void *arg);
	void *arg;
	ev_prepare look;
	ev_timer guard;
};

static void
on_look(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct run *r = w->data;

	if (r->done(r->arg)) {
		loop_stop(r->loop);
	}
}

static void
on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	fail_msg("what was awaited did not happen within 10 s");
}

void
fake_run_until(struct loop *loop, bool (*done)(void *arg), void *arg)
{
	struct run r = {.loop = loop, .done = done, .arg = arg};

	/* At the end of each turn, after the loop's hooks. */
	ev_prepare_init(&r.look, on_look);
	ev_set_priority(&r.look, EV_MINPRI);
	r.look.data = &r;
	ev_prepare_start(loop_ev(loop), &r.look);
	ev_timer_init(&r.guard, on_guard, 10., 0.);
	ev_timer_start(loop_ev(loop), &r.guard);
	if (!done(arg)) {
		loop_run(loop);
	}
	ev_timer_stop(loop_ev(loop), &r.guard);
	ev_prepare_stop(loop_ev(loop), &r.look);
}
