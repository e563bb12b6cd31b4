/*
 * A client's session against a server of ours that answers anything at any time. The input is a list of steps: a byte
 * that says what happens, and for some a length and so many bytes. Whatever comes, from either side, the session ends
 * with its client, and every lane goes back.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/confirm.h"
#include "base/list.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/listener.h"
#include "proxy/proxy_priv.h"
#include "topo/topo.h"

#define LINKS 64

static const struct conn_ops no_ops; /* until the session has it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
	STEP_SAY,
	STEP_TURNS,
	STEP_ANSWER,
	STEP_MODE,
	STEP_DROP,
	STEP_MOVE,
	STEP_HOLD,
	STEP_LEAVE,
	STEPS
};
enum mode {
	MODE_OK,
	MODE_MUTE,
	MODE_READONLY,
	MODE_LOADING,
	MODE_BULK,
	MODE_NESTED,
	MODE_PUSH,
	MODE_NULL,
	MODES
};

static const char *const answers[MODES] = {"+OK\r\n", "",
    "-READONLY You can't write against a read only replica.\r\n", "-LOADING Redis is loading\r\n",
    "$3\r\nabc\r\n", "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n_\r\n", ">2\r\n+x\r\n:1\r\n+OK\r\n", "*-1\r\n"};

struct server {
	struct listener *listener;
	struct endpoint at;
	struct conn *links[LINKS];
	struct resp_request_scanner scans[LINKS];
	struct buf inline_buf;
};

static struct loop *loop;
static struct server servers[2];
static enum mode mode;

/* ---- the server ---- */

static void
say(struct conn *c, const char *text)
{
	int err = conn_write(c, text, strlen(text));

	assert(err == 0);
}

static void
answer(struct conn *c, const struct resp_request *req)
{
	struct slice name = req->kept > 0 ? req->argv[0] : (struct slice){(const uint8_t *)"", 0};

	/* what the pool itself asks, so that there is a route */
	if (slice_eq(name, "ROLE")) {
		say(c, "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n");
	} else if (slice_eq(name, "INFO")) {
		say(c, "$10\r\nrun_id:a\r\n\r\n");
	} else if (slice_eq(name, "PING")) {
		say(c, "+PONG\r\n");
	} else if (slice_eq(name, "WAIT")) {
		say(c, mode == MODE_NULL   ? "-UNBLOCKED\r\n"
		       : mode == MODE_BULK ? ":0\r\n"
					   : ":9\r\n");
	} else {
		say(c, answers[mode]);
	}
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	static const struct resp_limits limits = {
	    RESP_WHOLE_MAX, RESP_BULK_MAX, RESP_ARGS_MAX, UINT64_MAX};
	struct server *s = owner;
	size_t i = 0, at = 0;

	while (s->links[i] != c) {
		i++;
		assert(i < LINKS);
	}
	for (;;) {
		struct resp_request req;
		enum resp_request_status st = resp_request_scan(&s->scans[i], &limits,
		    (struct slice){in.ptr + at, in.len - at}, &s->inline_buf, &req);

		assert(st != RESP_REQUEST_BAD); /* the proxy sends what it has understood */
		at += req.used;
		if (st == RESP_REQUEST_MORE) {
			return at;
		}
		if (req.last) {
			answer(c, &req);
		}
	}
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct server *s = owner;

	for (size_t i = 0; i < LINKS; i++) {
		s->links[i] = s->links[i] == c ? NULL : s->links[i];
	}
}

static const struct conn_ops link_ops = {.on_data = on_data, .on_close = on_close};

static void
on_accept(void *owner, int fd)
{
	struct server *s = owner;

	for (size_t i = 0; i < LINKS; i++) {
		if (s->links[i] == NULL) {
			resp_request_init(&s->scans[i]);
			s->links[i] = conn_new(loop, fd, &link_ops, s);
			conn_set_limits(s->links[i], 0, 1 << 20);
			return;
		}
	}
	(void)close(fd);
}

static void
drop(struct server *s)
{
	for (size_t i = 0; i < LINKS; i++) {
		conn_close(&s->links[i]);
	}
}

/* Anything, to all that are connected: also in the middle of an answer, or unasked. */
static void
blurt(struct server *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < LINKS; i++) {
		if (s->links[i] != NULL && conn_write(s->links[i], bytes, len) < 0) {
			abort();
		}
	}
}

/* ---- a run ---- */

static void
turns(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
	}
}

static void
name_master(struct topo *topo, unsigned which)
{
	static uint64_t epoch;
	struct topo_master m = {.at = servers[which].at, .epoch = ++epoch};

	(void)topo_offer(topo, &m, TOPO_FROM_SENTINEL);
}

static void
clean_up(void)
{
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		listener_free(&servers[i].listener);
		buf_fini(&servers[i].inline_buf);
	}
	loop_free(&loop);
}

static void
set_up(void)
{
	log_setup(LOG_ERROR, false, NULL);
	loop = loop_new();
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		struct sockaddr_in addr;
		socklen_t len = sizeof(addr);
		struct errmsg err = ERRMSG_NONE;
		struct endpoint any = endpoint_tcp("127.0.0.1", 0);
		int fd = -1, rc = listener_bind(&any, &fd, &err);

		assert(rc == 0);
		rc = getsockname(fd, (struct sockaddr *)&addr, &len);
		assert(rc == 0);
		servers[i].at = endpoint_tcp("127.0.0.1", ntohs(addr.sin_port));
		buf_init(&servers[i].inline_buf, 0);
		servers[i].listener = listener_new(loop, fd, on_accept, &servers[i]);
	}
	(void)atexit(clean_up);
}

static void
do_step(
    struct backend *b, struct topo *topo, int client, const uint8_t *at, size_t len, uint8_t step)
{
	static unsigned which;

	switch ((enum step)(step % STEPS)) {
	case STEP_SAY:
		(void)send(client, at, len, MSG_NOSIGNAL);
		turns(4);
		break;
	case STEP_TURNS:
		turns(step / STEPS);
		break;
	case STEP_ANSWER:
		blurt(&servers[which], at, len);
		turns(2);
		break;
	case STEP_MODE:
		mode = (enum mode)(step / STEPS % MODES);
		break;
	case STEP_DROP:
		drop(&servers[which]);
		turns(2);
		break;
	case STEP_MOVE:
		which = 1 - which;
		name_master(topo, which);
		turns(6);
		break;
	case STEP_HOLD:
		backend_hold(b, step / STEPS % 2 == 0 ? 0 : 10000);
		break;
	case STEP_LEAVE:
		(void)shutdown(client, SHUT_WR);
		turns(2);
		break;
	default:
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct backend_conf conf = {.hold_ms = 20};
	struct topo *topo;
	struct proxy proxy = {.magic = PROXY_MAGIC,
	    .next_id = 1,
	    .limits = RESP_LIMITS_DEFAULT,
	    .conf = {.max_clients = 9, .max_output_bytes = 1 << 20}};
	int ends[2], rc;

	if (size < 1 || size > 32768) {
		return 0;
	}
	if (loop == NULL) {
		set_up();
	}
	mode = MODE_OK;
	topo = topo_new();
	proxy.loop = loop;
	proxy.backend = backend_new(loop, topo, &conf);
	proxy.limits.whole_max = data[0] & 2 ? 64 : RESP_WHOLE_MAX;
	list_init(&proxy.sessions);
	buf_init(&proxy.inline_buf, 0);
	if (data[0] & 1) {
		proxy.confirms[DOOR_LISTEN] = confirm_new(proxy.backend);
		confirm_configure(proxy.confirms[DOOR_LISTEN], 1, 10);
	}
	rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
	assert(rc == 0);
	session_new(&proxy, conn_new(loop, ends[1], &no_ops, NULL), DOOR_LISTEN);
	name_master(topo, 0);
	turns(6);
	for (size_t at = 1; at < size;) {
		uint8_t step = data[at++];
		bool has_bytes = step % STEPS == STEP_SAY || step % STEPS == STEP_ANSWER;
		size_t len = has_bytes && at < size ? MIN((size_t)data[at] + 1, size - at - 1) : 0;

		at += has_bytes && at < size ? 1 : 0;
		do_step(proxy.backend, topo, ends[0], data + at, len, step);
		at += len;
	}
	(void)close(ends[0]);
	turns(4);
	list_for_each_safe (item, next, &proxy.sessions) {
		session_close(CONTAINER_OF(item, struct session, link));
	}
	assert(proxy.session_count == 0);
	confirm_free(&proxy.confirms[DOOR_LISTEN]);
	backend_free(&proxy.backend);
	topo_free(&topo);
	drop(&servers[0]);
	drop(&servers[1]);
	turns(4);
	buf_fini(&proxy.inline_buf);
	return 0;
}
