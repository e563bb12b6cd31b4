/*
 * GET /api/v1/monitor: what a server is asked by everybody, line by line, over a connection of its own. It costs the server up to half of its
 * throughput, so it ends by itself: after `seconds`, after `max` lines, or when the page goes. Lines that a slow page has no room for are
 * counted, not kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/worker.h"
#include "base/mem.h"
#include "httpd/api_command.h"
#include "httpd/exchange.h"
#include "httpd/monline.h"
#include "httpd/sse.h"
#include "net/conn.h"
#include "resp/reply.h"
#include "resp/write.h"

#define MONITORS_MAX   4 /* of one worker at a time */
#define LINE_BYTES_MAX ((size_t)64 * 1024)

struct monitor {
	struct api *api;     /* borrowed (its owner) */
	struct httpd *httpd; /* borrowed (outlives us) */
	struct conn *conn;   /* owned */
	struct resp_reply_scanner scanner;
	unsigned setup; /* answers to AUTH and MONITOR that are to come */
	uint64_t most, lines, left_out;
};

static void
drop_monitor(void *work)
{
	struct monitor *m = work;

	m->httpd->monitors--;
	conn_close(&m->conn);
	loop_bury(m->httpd->loop, free, m); /* this may be one of its callbacks */
}

static void
end(struct monitor *m, const char *reason)
{
	struct api *a = m->api;
	json_t *doc = json_pack("{s:s,s:I,s:I}", "reason", reason, "lines", (json_int_t)m->lines,
	    "left_out", (json_int_t)m->left_out);

	api_set_work(a, NULL, NULL);
	drop_monitor(m);
	sse_end_with(a, doc);
}

/* ---- a line ---- */

/* True when the monitor is over. */
static bool
take_line(struct monitor *m, struct slice raw)
{
	struct buf text;
	bool lives = true;

	if (m->setup > 0) {
		m->setup--;
		if (raw.ptr[0] == '-') {
			end(m, "the server refuses it");
			return true;
		}
		return false;
	}
	if (sse_is_busy(m->api) || raw.len > LINE_BYTES_MAX) {
		m->left_out++;
		return false;
	}
	buf_init(&text, 0);
	if (monline_add_json(&text, raw) == 0) {
		m->lines++;
		lives = sse_send(m->api, "line", NULL, buf_slice(&text));
	}
	buf_fini(&text);
	if (!lives) {
		return true;
	}
	if (m->lines + m->left_out >= m->most) {
		end(m, "so many lines were asked for");
		return true;
	}
	return false;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct monitor *m = owner;
	size_t done = 0;

	(void)c;
	while (done < in.len) {
		struct slice rest = {in.ptr + done, in.len - done};
		size_t used = 0;
		enum resp_reply_status status = resp_reply_scan(&m->scanner, rest, &used);

		if (status == RESP_REPLY_BAD) {
			end(m, "the server answers in a way that is no RESP");
			return in.len;
		}
		if (status == RESP_REPLY_MORE) {
			resp_reply_init(&m->scanner); /* shown again when it is whole */
			break;
		}
		done += used;
		if (take_line(m, (struct slice){rest.ptr, used})) {
			return in.len;
		}
	}
	return done;
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct monitor *m = owner;

	(void)c;
	m->conn = NULL;
	end(m, error == -ENOBUFS ? "a command was too long to be shown" : "the server went away");
}

static const struct conn_ops conn_ops = {.on_data = on_data, .on_close = on_close};

static void
on_late(void *work)
{
	end(work, "the time is over");
}

static void
begin(struct api *a, const struct run_target *target)
{
	struct httpd *h = a->x->httpd;
	struct endpoint at = target->at;
	const char *user = worker_user(h->worker), *secret = worker_secret(h->worker);
	struct errmsg err = ERRMSG_NONE;
	struct monitor *m;
	int rc = 0;

	if (!target->is_instance && !backend_master(h->backend, &at)) {
		api_fail(a, 503, "there is no master at the moment; try again");
		return;
	}
	if (target->is_sentinel || target->is_proxy) {
		api_fail(a, 400, "a %s has no MONITOR here: name a redis instance",
		    target->is_proxy ? "proxy" : "sentinel");
		return;
	}
	m = xcalloc(1, sizeof(*m));
	*m = (struct monitor){.api = a, .httpd = h, .most = a->count};
	resp_reply_init(&m->scanner);
	m->conn = conn_connect(h->loop, &at, 0, &conn_ops, m, &err);
	if (m->conn == NULL) {
		free(m);
		api_fail(a, 503, "the server cannot be reached: %s", err.text);
		return;
	}
	h->monitors++;
	api_set_work(a, m, drop_monitor);
	conn_set_limits(m->conn, (size_t)1024 * 1024, 0);
	if (user != NULL && secret != NULL) {
		rc = resp_add_command_str(conn_out(m->conn), "AUTH", user, secret, NULL);
		m->setup++;
	}
	m->setup++;
	if (rc < 0 || resp_add_command_str(conn_out(m->conn), "MONITOR", NULL) < 0) {
		api_fail(a, 503, "out of memory");
		return;
	}
	conn_flush(m->conn);
	api_limit_work(a, on_late);
	if (sse_begin(a)) {
		(void)sse_comment(a);
	}
}

void
api_monitor(struct api *a)
{
	if (!api_number(a, "seconds", 1, 600, 10, &a->seconds) ||
	    !api_number(a, "max", 1, 100000, 10000, &a->count)) {
		return;
	}
	if (!api_acl_allows(a, "MONITOR")) {
		api_fail(a, 403, "an access rule ([acl-NAME]) forbids MONITOR to you");
		return;
	}
	if (a->x->httpd->monitors >= MONITORS_MAX) {
		api_fail(a, 503,
		    "%d are under way in this worker already, and each slows its server down: end "
		    "one of them",
		    MONITORS_MAX);
		return;
	}
	api_find_target(a, api_param(a, "target", 0), 0, begin);
}
