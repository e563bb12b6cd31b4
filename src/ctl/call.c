#include "ctl/call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/ctl_priv.h"
#include "net/conn.h"

#define CALL_MAGIC 0x4354434dU

struct ctl_call {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	struct conn *conn; /* owned; NULL: at its end */
	const struct ctl_call_ops *ops;
	void *owner;   /* borrowed; who cancels before it goes */
	size_t looked; /* bytes of what is there that are known to hold no newline */
	ev_timer limit;
	bool over; /* on_end was called, or it was cancelled */
};

static void
free_call(void *obj)
{
	struct ctl_call *c = obj;

	c->magic = 0;
	free(c);
}

static void
bury(struct ctl_call *c)
{
	c->over = true;
	ev_timer_stop(loop_ev(c->loop), &c->limit);
	conn_close(&c->conn);
	loop_bury(c->loop, free_call, c);
}

static void
end(struct ctl_call *c, int error, json_t *reply, const char *why)
{
	if (!c->over) {
		bury(c);
		c->ops->on_end(c->owner, error, reply, why);
	}
}

/* False when it is over. */
static bool
take_line(struct ctl_call *c, struct slice text)
{
	json_t *line = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	const json_t *ok = json_object_get(line, "ok");
	const char *words = json_string_value(json_object_get(line, "error"));

	if (!json_is_object(line)) {
		end(c, -EPROTO, NULL,
		    "the supervisor answers in a way that this holdfast does not know");
	} else if (ok == NULL) {
		if (c->ops->on_line != NULL) {
			c->ops->on_line(c->owner, line);
		}
	} else if (json_is_true(ok)) {
		end(c, 0, line, "");
	} else {
		end(c, -EREMOTEIO, line,
		    words != NULL ? words : "the supervisor refused without a reason");
	}
	json_decref(line);
	return !c->over;
}

static size_t
on_data(struct conn *conn, void *owner, struct slice in)
{
	struct ctl_call *c = OBJ_CAST((struct ctl_call *)owner, CALL_MAGIC);
	size_t used = 0;
	bool more = true;

	(void)conn;
	while (more) {
		size_t from = used + c->looked;
		const uint8_t *stop =
		    in.len > from ? memchr(in.ptr + from, '\n', in.len - from) : NULL;

		if (stop == NULL) {
			c->looked = in.len - used;
			break;
		}
		c->looked = 0;
		more = take_line(c, (struct slice){in.ptr + used, (size_t)(stop - in.ptr) - used});
		used = (size_t)(stop - in.ptr) + 1;
	}
	return used;
}

static void
on_close(struct conn *conn, void *owner, int error)
{
	struct ctl_call *c = OBJ_CAST((struct ctl_call *)owner, CALL_MAGIC);

	(void)conn;
	c->conn = NULL;
	if (error == -ENOENT || error == -ECONNREFUSED) {
		end(c, -ENOTCONN, NULL, "no supervisor runs at the moment");
	} else if (error == -ENOBUFS) {
		end(c, -EPROTO, NULL, "the supervisor's answer is too long");
	} else {
		end(c, -EPIPE, NULL, "the supervisor went away before it answered");
	}
}

static void
on_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct ctl_call *c = OBJ_CAST((struct ctl_call *)w->data, CALL_MAGIC);

	(void)ev;
	(void)revents;
	end(c, -ETIMEDOUT, NULL,
	    "the supervisor does not answer in time; it may still do what was asked");
}

static const struct conn_ops conn_ops = {.on_data = on_data, .on_close = on_close};

static int
send_request(struct ctl_call *c, const char *cmd, json_t *args, const char *by)
{
	json_t *doc = json_pack("{s:s}", "cmd", cmd);
	int rc;

	if (args != NULL) {
		(void)json_object_set(doc, "args", args);
	}
	if (by != NULL) {
		(void)json_object_set_new(doc, "by", json_string(by));
	}
	rc = ctl_add_line(conn_out(c->conn), doc);
	json_decref(doc);
	conn_flush(c->conn);
	return rc;
}

struct ctl_call *
ctl_call_begin(struct loop *loop, const char *path, const char *cmd, json_t *args, const char *by,
    uint64_t timeout_ms, const struct ctl_call_ops *ops, void *owner, struct errmsg *err)
{
	struct ctl_call *c = xcalloc(1, sizeof(*c));
	struct endpoint at;
	int folder_fd = -1;

	*c = (struct ctl_call){.magic = CALL_MAGIC, .loop = loop, .ops = ops, .owner = owner};
	ev_init(&c->limit, on_limit);
	c->limit.data = c;
	if (ctl_socket_endpoint(path, &at, &folder_fd, err) == 0) {
		c->conn = conn_connect(loop, &at, 0, &conn_ops, c, err);
	}
	if (folder_fd != -1) {
		(void)close(folder_fd);
	}
	if (c->conn == NULL) {
		free(c);
		json_decref(args);
		return NULL;
	}
	conn_set_limits(c->conn, CTL_UNSENT_MAX * 2, CTL_UNSENT_MAX);
	if (timeout_ms > 0) {
		ev_timer_set(&c->limit, (double)timeout_ms / 1000., 0.);
		ev_timer_start(loop_ev(loop), &c->limit);
	}
	if (send_request(c, cmd, args, by) < 0) {
		errmsg_set(err, "out of memory");
		bury(c);
		c = NULL;
	}
	json_decref(args);
	return c;
}

void
ctl_call_cancel(struct ctl_call **cp)
{
	struct ctl_call *c = *cp;

	*cp = NULL;
	if (c != NULL && !c->over) {
		bury(c);
	}
}
