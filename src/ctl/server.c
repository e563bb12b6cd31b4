/*
 * The server's side. A client is a connection that asks one thing at a time:
 *
 *   idle ──line──→ busy ──ctl_done / ctl_fail──→ idle
 *     │ 30 s         │ longest time of the command: told, and detached from its request
 *     ↓              │ left, or dropped for not reading: on_gone, or detached
 *   closed ←─────────┘
 *
 * A request that is detached has no client any more and waits for its handler to end it. Memory
 * goes at the end of the loop's turn, so a handler may end a request anywhere.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"
#include "net/conn.h"
#include "net/listener.h"

#define SERVER_MAGIC  0x43545356U
#define CLIENT_MAGIC  0x4354434cU
#define REQUEST_MAGIC 0x43545251U

struct ctl_server {
	uint32_t magic;
	struct loop *loop;         /* borrowed (outlives all) */
	struct listener *listener; /* owned */
	char *path;                /* owned */
	struct stat socket;        /* what we bound, so that we remove no other */
	struct list clients;       /* struct client.link */
	size_t client_count;
	const struct ctl_command *commands; /* borrowed (outlives the server) */
	size_t command_count;
	void *owner;                  /* borrowed (outlives the server) */
	uint64_t send_ms, longest_ms; /* bounds; longest_ms 0: each command's own */
};

struct client {
	uint32_t magic;
	struct list link;
	struct ctl_server *server; /* borrowed (frees its clients first) */
	struct conn *conn;         /* owned; NULL once closed */
	struct ctl_request *req;   /* the one under way (ref), or NULL */
	ev_timer limit;            /* idle: to send a request; busy: longest time of the command */
	ev_timer stall;            /* runs while something is unsent */
	uint64_t stall_mark;       /* bytes sent when it was started */
	struct loop_hook drop;     /* closes a client that does not read, out of ctl_send */
	bool in_data;              /* its lines are being gone through */
	bool has_line;             /* a whole line waits behind the request under way */
	bool half_closed;          /* it sends no more, but reads */
};

struct ctl_request {
	uint32_t magic;
	struct loop *loop;     /* borrowed (outlives all) */
	struct client *client; /* NULL: detached */
	const struct ctl_command_info *info;
	char by[CTL_BY_MAX + 1];
	ctl_gone_fn *gone; /* NULL: none registered */
	void *gone_arg;    /* borrowed, of whoever registered it */
};

/* --- ends ------------------------------------------------------------------------------------ */

static void
free_request(void *obj)
{
	struct ctl_request *req = obj;

	req->magic = 0;
	free(req);
}

static void
free_client(void *obj)
{
	struct client *c = obj;

	c->magic = 0;
	free(c);
}

/* The client is no longer there for its request. */
static void
detach_request(struct client *c)
{
	struct ctl_request *req = c->req;

	c->req = NULL;
	if (req == NULL) {
		return;
	}
	req->client = NULL;
	if (req->gone != NULL) {
		req->gone(req, req->gone_arg);
		loop_bury(req->loop, free_request, req);
	}
}

/* `flush_ms` 0: unsent bytes are lost. */
static void
close_client(struct client *c, uint64_t flush_ms)
{
	struct ev_loop *ev = loop_ev(c->server->loop);

	if (list_is_empty(&c->link)) {
		return;
	}
	list_del(&c->link);
	c->server->client_count--;
	ev_timer_stop(ev, &c->limit);
	ev_timer_stop(ev, &c->stall);
	loop_hook_cancel(&c->drop);
	if (flush_ms > 0) {
		conn_close_after_flush(&c->conn, flush_ms);
	} else {
		conn_close(&c->conn);
	}
	loop_bury(c->server->loop, free_client, c);
	detach_request(c);
}

static void
set_limit(struct client *c, uint64_t ms)
{
	struct ev_loop *ev = loop_ev(c->server->loop);

	ev_timer_stop(ev, &c->limit);
	if (ms > 0) {
		ev_timer_set(&c->limit, (double)ms / 1000., 0.);
		ev_timer_start(ev, &c->limit);
	}
}

/* --- sending --------------------------------------------------------------------------------- */

static void
on_client_drop(void *arg)
{
	struct client *c = OBJ_CAST((struct client *)arg, CLIENT_MAGIC);

	log_peer(LOG_WARN, "a control client does not read its answer, dropping it");
	close_client(c, 0);
}

static void
on_client_stall(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct client *c = OBJ_CAST((struct client *)w->data, CLIENT_MAGIC);
	uint64_t sent = conn_sent_total(c->conn);

	if (conn_unsent(c->conn) == 0) {
		ev_timer_stop(ev, w);
	} else if (sent == c->stall_mark) {
		on_client_drop(c);
	} else {
		c->stall_mark = sent;
		ev_timer_again(ev, w);
	}
}

/* Appends the line for the client; 0 or -ENOBUFS. Takes over the reference. */
static int
put_line(struct client *c, json_t *line)
{
	int rc = conn_unsent(c->conn) > CTL_UNSENT_MAX ? -ENOBUFS : 0;

	if (rc == 0) {
		rc = ctl_add_line(conn_out(c->conn), line);
	}
	json_decref(line);
	if (rc < 0) {
		loop_hook_ask(c->server->loop, &c->drop);
		return -ENOBUFS;
	}
	conn_flush(c->conn);
	if (!ev_is_active(&c->stall)) {
		c->stall_mark = conn_sent_total(c->conn);
		ev_timer_again(loop_ev(c->server->loop), &c->stall);
	}
	return 0;
}

static json_t *
error_line(int exit_code, json_t *fields, const char *text)
{
	json_t *line = json_object(), *words = json_string(text);

	(void)json_object_set_new(line, "ok", json_false());
	(void)json_object_set_new(
	    line, "error", words != NULL ? words : json_string("failed; the reason is not text"));
	(void)json_object_set_new(line, "exit", json_integer(exit_code));
	if (fields != NULL) {
		(void)json_object_update_missing(line, fields);
		json_decref(fields);
	}
	return line;
}

/* --- requests -------------------------------------------------------------------------------- */

/* The answer is complete: on to the next line, or to the end. */
static void
end_request(struct ctl_request *req)
{
	struct client *c = req->client;

	req->client = NULL;
	loop_bury(req->loop, free_request, req);
	if (c == NULL) {
		return;
	}
	c->req = NULL;
	if (c->in_data) {
		return;
	}
	if (c->has_line) {
		/* what came meanwhile is shown again at the end of this turn */
		conn_pause(c->conn, true);
		conn_pause(c->conn, false);
	} else if (c->half_closed) {
		close_client(c, CTL_SEND_TIME_MS);
		return;
	}
	set_limit(c, c->server->send_ms);
}

int
ctl_send(struct ctl_request *req, json_t *line)
{
	assert(req->magic == REQUEST_MAGIC && json_is_object(line));
	if (req->client == NULL) {
		json_decref(line);
		return -EPIPE;
	}
	return put_line(req->client, line);
}

void
ctl_done(struct ctl_request *req, json_t *fields)
{
	json_t *line = json_object();

	assert(req->magic == REQUEST_MAGIC);
	(void)json_object_set_new(line, "ok", json_true());
	if (fields != NULL) {
		(void)json_object_update_missing(line, fields);
		json_decref(fields);
	}
	(void)ctl_send(req, line);
	end_request(req);
}

static void ATTR_PRINTF(4, 0) fail_request(
    struct ctl_request *req, int exit_code, json_t *fields, const char *fmt, va_list ap)
{
	char *text = xvasprintf(fmt, ap);

	assert(req->magic == REQUEST_MAGIC);
	(void)ctl_send(req, error_line(exit_code, fields, text));
	end_request(req);
	free(text);
}

void
ctl_fail(struct ctl_request *req, int exit_code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_request(req, exit_code, NULL, fmt, ap);
	va_end(ap);
}

void
ctl_fail_with(struct ctl_request *req, int exit_code, json_t *fields, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_request(req, exit_code, fields, fmt, ap);
	va_end(ap);
}

void
ctl_on_gone(struct ctl_request *req, ctl_gone_fn *fn, void *arg)
{
	assert(req->magic == REQUEST_MAGIC && req->client != NULL);
	req->gone = fn;
	req->gone_arg = arg;
}

int
ctl_request_dup(const struct ctl_request *req)
{
	assert(req->magic == REQUEST_MAGIC);
	return req->client == NULL ? -1 : fcntl(conn_fd(req->client->conn), F_DUPFD_CLOEXEC, 0);
}

const char *
ctl_request_by(const struct ctl_request *req)
{
	return req->by;
}

/* --- lines that arrive ----------------------------------------------------------------------- */

static void
refuse(struct client *c, const char *text)
{
	(void)put_line(c, error_line(CTL_EXIT_USAGE, NULL, text));
}

static void
unknown_command(struct client *c, const char *name)
{
	struct buf text;

	buf_init(&text, CTL_REQUEST_MAX);
	if (buf_addf(&text, "unknown command %s: known are", LOG_QUOTE(slice_str(name))) == 0) {
		const struct ctl_command_info *info;

		for (size_t i = 0; (info = ctl_command_at(i)) != NULL; i++) {
			if (buf_addf(&text, "%s %s", i == 0 ? "" : ",", info->name) < 0) {
				break;
			}
		}
	}
	if (buf_add(&text, "", 1) == 0) {
		refuse(c, (const char *)buf_slice(&text).ptr);
	}
	buf_fini(&text);
}

static void
begin_request(
    struct client *c, const struct ctl_command_info *info, const json_t *args, const char *by)
{
	const struct ctl_server *s = c->server;
	struct ctl_request *req;

	for (size_t i = 0; i < s->command_count; i++) {
		if (strcmp(s->commands[i].name, info->name) != 0) {
			continue;
		}
		req = xcalloc(1, sizeof(*req));
		*req = (struct ctl_request){
		    .magic = REQUEST_MAGIC, .loop = s->loop, .client = c, .info = info};
		if (by != NULL) {
			(void)snprintf(req->by, sizeof(req->by), "%s", by);
		}
		c->req = req;
		set_limit(c, s->longest_ms > 0 ? s->longest_ms : info->longest_ms);
		s->commands[i].handler(req, args, s->owner);
		return;
	}
	(void)put_line(c, error_line(CTL_EXIT_FAILED, NULL, "this command is not available here"));
}

/* What goes into the history as it is. */
static bool
is_name(const json_t *by)
{
	const char *text = json_string_value(by);
	size_t len = json_string_length(by);

	for (size_t i = 0; i < len; i++) {
		if (iscntrl((unsigned char)text[i])) {
			return false;
		}
	}
	return text != NULL && len > 0 && len <= CTL_BY_MAX;
}

/* A request that is an object with a known command and fitting arguments is begun; any other is
 * answered. */
static void
handle_request(struct client *c, const json_t *doc)
{
	const json_t *cmd = json_object_get(doc, "cmd"), *by = json_object_get(doc, "by");
	json_t *args = json_object_get(doc, "args"), *none;
	const struct ctl_command_info *info;
	struct errmsg err = ERRMSG_NONE;

	if (!json_is_string(cmd) ||
	    json_object_size(doc) != 1u + (args != NULL ? 1u : 0u) + (by != NULL ? 1u : 0u) ||
	    (by != NULL && !is_name(by))) {
		refuse(c, "a request is {\"cmd\":NAME} or {\"cmd\":NAME,\"args\":{…}}, and may say "
			  "\"by\":WHO");
		return;
	}
	info = ctl_command_find(json_string_value(cmd));
	if (info == NULL) {
		unknown_command(c, json_string_value(cmd));
		return;
	}
	if (ctl_args_check(info, args, &err) < 0) {
		refuse(c, err.text);
		return;
	}
	none = args == NULL ? json_object() : NULL;
	begin_request(c, info, args != NULL ? args : none, json_string_value(by));
	json_decref(none);
}

/* False when the line is no JSON: what follows cannot be trusted to be lines. */
static bool
handle_line(struct client *c, struct slice line)
{
	json_error_t fault;
	json_t *doc;
	char *text;

	if (line.len == 0) {
		return true;
	}
	doc = json_loadb((const char *)line.ptr, line.len, JSON_REJECT_DUPLICATES, &fault);
	if (doc == NULL) {
		text = xasprintf("a request is one JSON object a line: %s", fault.text);
		refuse(c, text);
		free(text);
		return false;
	}
	handle_request(c, doc);
	json_decref(doc);
	return true;
}

static size_t
on_client_data(struct conn *conn, void *owner, struct slice in)
{
	struct client *c = OBJ_CAST((struct client *)owner, CLIENT_MAGIC);
	size_t used = 0;
	bool broken = false;

	c->in_data = true;
	while (c->req == NULL && !broken) {
		struct slice rest = {in.ptr + used, in.len - used};
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);

		if (end == NULL) {
			broken = rest.len >= CTL_REQUEST_MAX;
			if (broken) {
				refuse(c, "a request has at most 64 KiB");
			}
			break;
		}
		rest.len = (size_t)(end - rest.ptr);
		used += rest.len + 1;
		broken = !handle_line(c, rest);
	}
	c->in_data = false;
	c->has_line = memchr(in.ptr + used, '\n', in.len - used) != NULL;
	if (broken || (c->half_closed && c->req == NULL)) {
		close_client(c, CTL_GOODBYE_MS);
		return 0;
	}
	if (c->req == NULL && used > 0) {
		set_limit(c, c->server->send_ms);
	}
	return used;
}

/* --- connections ----------------------------------------------------------------------------- */

static void
on_client_eof(struct conn *conn, void *owner)
{
	struct client *c = OBJ_CAST((struct client *)owner, CLIENT_MAGIC);
	struct pollfd state = {.fd = conn_fd(conn), .events = POLLOUT};

	if (poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0) {
		close_client(c, 0); /* closed altogether */
		return;
	}
	c->half_closed = true;
	if (c->req == NULL) {
		close_client(c, CTL_SEND_TIME_MS);
	}
}

static void
on_client_close(struct conn *conn, void *owner, int error)
{
	struct client *c = OBJ_CAST((struct client *)owner, CLIENT_MAGIC);

	c->conn = NULL;
	close_client(c, 0);
}

static void
on_client_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct client *c = OBJ_CAST((struct client *)w->data, CLIENT_MAGIC);
	char text[160];

	if (c->req == NULL) {
		refuse(c, "no request came in time");
	} else {
		(void)snprintf(text, sizeof(text),
		    "%s did not end in %llu s and goes on: see `holdfast events` and `holdfast "
		    "status`",
		    c->req->info->name, (unsigned long long)c->req->info->longest_ms / 1000);
		(void)put_line(c, error_line(CTL_EXIT_FAILED, NULL, text));
	}
	close_client(c, CTL_GOODBYE_MS);
}

static const struct conn_ops client_ops = {
    .on_data = on_client_data,
    .on_eof = on_client_eof,
    .on_close = on_client_close,
};

static void
on_client_accept(void *owner, int fd)
{
	static const char busy[] = "{\"ok\":false,\"error\":\"64 control clients are connected, "
				   "which is the limit: end one of them\",\"exit\":1}\n";
	struct ctl_server *s = OBJ_CAST((struct ctl_server *)owner, SERVER_MAGIC);
	struct client *c;

	if (s->client_count >= CTL_CLIENTS_MAX) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct client){.magic = CLIENT_MAGIC, .server = s};
	list_init(&c->link);
	list_push(&s->clients, &c->link);
	s->client_count++;
	loop_hook_init(&c->drop, on_client_drop, c);
	ev_init(&c->limit, on_client_limit);
	c->limit.data = c;
	ev_timer_init(&c->stall, on_client_stall, 0., (double)s->send_ms / 1000.);
	c->stall.data = c;
	c->conn = conn_new(s->loop, fd, &client_ops, c);
	/* while a request is under way the next may already come */
	conn_set_limits(c->conn, CTL_REQUEST_MAX * 2, CTL_UNSENT_MAX);
	set_limit(c, c->server->send_ms);
}

/* --- the server ------------------------------------------------------------------------------ */

static int
bind_socket(const char *path, int *ret_fd, struct stat *ret_socket, struct errmsg *err)
{
	struct errmsg why = ERRMSG_NONE;
	struct endpoint ep;
	mode_t mask;
	int folder, rc = ctl_socket_endpoint(path, &ep, &folder, err);

	if (rc < 0) {
		return rc;
	}
	mask = umask(0177); /* from its first moment nobody else may connect */
	rc = listener_bind(&ep, ret_fd, &why);
	(void)umask(mask);
	if (folder != -1) {
		(void)close(folder);
	}
	if (rc == -EADDRINUSE) {
		errmsg_set(err, "another process listens on %s: end that first", path);
	} else if (rc < 0) {
		errmsg_set(err, "cannot listen on %s: %s", path, strerror(-rc));
	} else if (lstat(path, ret_socket) == -1) {
		rc = -errno;
		errmsg_set(err, "cannot find %s, which was just made: %m", path);
		(void)close(*ret_fd);
	}
	return rc;
}

struct ctl_server *
ctl_server_new(struct loop *loop, const char *path, const struct ctl_command *commands,
    size_t command_count, void *owner, struct errmsg *err)
{
	struct ctl_server *s;
	struct stat st;
	int fd;

	for (size_t i = 0; i < command_count; i++) {
		assert(ctl_command_find(commands[i].name) != NULL);
	}
	if (bind_socket(path, &fd, &st, err) < 0) {
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	*s = (struct ctl_server){.magic = SERVER_MAGIC,
	    .loop = loop,
	    .path = xstrdup(path),
	    .socket = st,
	    .commands = commands,
	    .command_count = command_count,
	    .owner = owner,
	    .send_ms = CTL_SEND_TIME_MS};
	list_init(&s->clients);
	s->listener = listener_new(loop, fd, on_client_accept, s);
	return s;
}

static void
free_server(void *obj)
{
	struct ctl_server *s = obj;

	free(s->path);
	s->magic = 0;
	free(s);
}

void
ctl_server_free(struct ctl_server **sp)
{
	struct ctl_server *s = *sp;
	struct stat st;

	*sp = NULL;
	if (s == NULL) {
		return;
	}
	assert(s->magic == SERVER_MAGIC);
	listener_free(&s->listener);
	while (!list_is_empty(&s->clients)) {
		close_client(CONTAINER_OF(s->clients.next, struct client, link), CTL_GOODBYE_MS);
	}
	if (lstat(s->path, &st) == 0 && st.st_ino == s->socket.st_ino &&
	    st.st_dev == s->socket.st_dev) {
		(void)unlink(s->path);
	}
	loop_bury(s->loop, free_server, s);
}

size_t
ctl_server_clients(const struct ctl_server *s)
{
	return s->client_count;
}

void
ctl_server_set_patience(struct ctl_server *s, uint64_t send_ms, uint64_t longest_ms)
{
	s->send_ms = send_ms;
	s->longest_ms = longest_ms;
}
