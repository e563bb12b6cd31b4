#include "httpd/run.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/lane.h"
#include "backend/worker.h"
#include "base/mem.h"
#include "httpd/httpd_priv.h"
#include "net/conn.h"
#include "resp/reply.h"
#include "resp/write.h"

#define RUN_MAGIC     0x52554e20U
#define REQUEST_BYTES ((size_t)24 * 1024 * 1024)

/* What is said first to an instance. */
enum setup { SETUP_AUTH, SETUP_HELLO, SETUP_SELECT, SETUP_MAX };

struct command_sent {
	size_t len;
	bool reads;
};

struct run {
	uint32_t magic;
	struct httpd *httpd;       /* borrowed (outlives all) */
	const struct run_ops *ops; /* borrowed (static) */
	void *owner;               /* borrowed; it frees us before it goes */
	struct run_target target;
	struct buf request;            /* owned: what is not sent yet */
	struct command_sent *commands; /* owned */
	size_t count, room, sent, answered;
	struct buf piece; /* owned: a reply so far */
	size_t bytes;     /* of it, kept or not */
	size_t budget;
	ev_timer limit;
	struct loop_hook begin; /* the end of this turn */
	bool over;
	/* to the master */
	struct requester requester;
	struct lane *lane; /* owned; NULL: it has none */
	/* to an instance */
	struct conn *conn; /* owned; NULL: it has none */
	struct resp_reply_scanner scanner;
	enum setup setup[SETUP_MAX];
	size_t setup_count, setup_done;
};

static struct run *
run_of(void *arg)
{
	return OBJ_CAST((struct run *)arg, RUN_MAGIC);
}

/* ---- ends ---- */

static void
free_now(void *obj)
{
	struct run *r = obj;

	buf_fini(&r->request);
	buf_fini(&r->piece);
	free(r->commands);
	r->magic = 0;
	free(r);
}

static void
close_down(struct run *r)
{
	r->over = true;
	ev_timer_stop(loop_ev(r->httpd->loop), &r->limit);
	loop_hook_cancel(&r->begin);
	if (r->lane != NULL && r->requester.unanswered == 0 && r->answered == r->count) {
		lane_return(&r->lane);
	} else if (r->lane != NULL) {
		lane_release(&r->lane);
	}
	requester_fini(&r->requester);
	conn_close(&r->conn);
	loop_bury(r->httpd->loop, free_now, r);
}

static void
end(struct run *r, unsigned status, const char *why)
{
	if (!r->over) {
		close_down(r);
		r->ops->on_end(r->owner, status, why);
	}
}

void
run_free(struct run **rp)
{
	struct run *r = *rp;

	*rp = NULL;
	if (r != NULL && !r->over) {
		close_down(r);
	}
}

static void
on_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	end(run_of(w->data), 504,
	    "timeout_ms passed before all was answered; what was sent may or may not be carried "
	    "out");
}

/* ---- replies ---- */

/* A part of a reply; true when the run is over. */
static bool
take_piece(struct run *r, struct slice raw, bool last)
{
	struct slice whole;
	size_t bytes;

	r->bytes += raw.len;
	if (r->bytes > r->budget || buf_add_slice(&r->piece, raw) < 0) {
		buf_fini(&r->piece);
	}
	if (!last) {
		return false;
	}
	whole =
	    r->bytes <= r->budget ? buf_slice(&r->piece) : (struct slice){(const uint8_t *)"", 0};
	bytes = r->bytes;
	r->bytes = 0;
	r->answered++;
	r->ops->on_reply(r->owner, r->answered - 1, whole, bytes);
	if (r->over) {
		return true;
	}
	buf_clear(&r->piece);
	if (r->answered == r->count) {
		end(r, 0, "");
	}
	return r->over;
}

/* ---- to the master ---- */

static void
send_some(struct run *r)
{
	while (r->sent < r->count && !lane_is_full(&r->requester, r->lane)) {
		const struct command_sent *c = &r->commands[r->sent];
		struct slice raw = {buf_slice(&r->request).ptr, c->len};

		if (lane_send(
			&r->requester, r->lane, raw, LANE_WHOLE | (c->reads ? LANE_READ : 0)) < 0) {
			end(r, 503, "too many requests wait for the master; try again");
			return;
		}
		buf_consume(&r->request, c->len);
		r->sent++;
	}
}

static void
on_lane_reply(void *owner, const struct lane_reply *reply)
{
	(void)take_piece(run_of(owner), reply->raw, reply->last);
}

static void
on_lane_room(void *owner)
{
	struct run *r = run_of(owner);

	if (!r->over) {
		send_some(r);
	}
}

static const struct requester_ops requester_ops = {
    .on_reply = on_lane_reply, .on_room = on_lane_room};

static void
begin_master(struct run *r)
{
	struct lane_key key = httpd_lane_key(r->httpd, r->target.database);

	key.protocol = 3;
	r->lane = lane_own(r->httpd->backend, &key, &r->requester);
	send_some(r);
}

/* ---- to an instance ---- */

/* AUTH must be taken; HELLO may be refused by an old server, which then speaks RESP2. True when the run is over. */
static bool
take_setup(struct run *r, struct slice raw)
{
	bool refused = raw.ptr[0] == '-';
	enum setup step = r->setup[r->setup_done++];

	if (refused && step == SETUP_AUTH) {
		end(r, 502,
		    "the instance does not take our user: restart it, so that it gets the "
		    "cluster's users");
	} else if (refused && step == SETUP_SELECT) {
		end(r, 400, "the instance has no such database");
	}
	return r->over;
}

static size_t
on_conn_data(struct conn *c, void *owner, struct slice in)
{
	struct run *r = run_of(owner);
	size_t done = 0;

	(void)c;
	while (done < in.len) {
		struct slice rest = {in.ptr + done, in.len - done};
		size_t used = 0;
		enum resp_reply_status status = resp_reply_scan(&r->scanner, rest, &used);

		if (status == RESP_REPLY_BAD) {
			end(r, 502, "the instance answers in a way that is no RESP");
			return in.len;
		}
		if (status == RESP_REPLY_MORE && r->setup_done < r->setup_count) {
			/* short: shown again when it is whole */
			resp_reply_init(&r->scanner);
			return done;
		}
		if (status == RESP_REPLY_MORE) {
			(void)take_piece(r, rest, false);
			return in.len;
		}
		rest.len = used;
		done += used;
		if (r->setup_done < r->setup_count ? take_setup(r, rest)
						   : take_piece(r, rest, true)) {
			return in.len;
		}
	}
	return done;
}

static void
on_conn_close(struct conn *c, void *owner, int error)
{
	struct run *r = run_of(owner);

	(void)c;
	(void)error;
	r->conn = NULL;
	end(r, r->sent > 0 ? 502 : 503,
	    "the instance cannot be reached, or went away before it answered: see GET "
	    "/api/v1/status");
}

static const struct conn_ops conn_ops = {.on_data = on_conn_data, .on_close = on_conn_close};

static int
add_setup(struct run *r, struct buf *out)
{
	const struct httpd *h = r->httpd;
	struct lane_key key = httpd_lane_key(h, 0);
	const char *user = worker_user(h->worker), *secret = worker_secret(h->worker);
	char db[12];
	int err = 0;

	if (r->target.is_sentinel) {
		/* they know no users */
	} else if (r->target.as_us && user != NULL && secret != NULL) {
		err = resp_add_command_str(out, "AUTH", user, secret, NULL);
		r->setup[r->setup_count++] = SETUP_AUTH;
	} else if (key.password.len > 0) {
		const struct slice argv[] = {SLICE_LIT("AUTH"), key.password};

		err = resp_add_command(out, argv, 2);
		r->setup[r->setup_count++] = SETUP_AUTH;
	}
	if (err == 0) {
		err = resp_add_command_str(out, "HELLO", "3", NULL);
	}
	r->setup[r->setup_count++] = SETUP_HELLO;
	if (err == 0 && r->target.database > 0) {
		(void)snprintf(db, sizeof(db), "%u", r->target.database);
		err = resp_add_command_str(out, "SELECT", db, NULL);
		r->setup[r->setup_count++] = SETUP_SELECT;
	}
	return err;
}

static void
begin_instance(struct run *r)
{
	struct errmsg err = ERRMSG_NONE;
	struct buf *out;

	r->conn = (r->target.is_proxy ? conn_connect_door : conn_connect)(
	    r->httpd->loop, &r->target.at, 0, &conn_ops, r, &err);
	if (r->conn == NULL) {
		end(r, 503, "the instance cannot be reached: see GET /api/v1/status");
		return;
	}
	/* pieces are taken as they come */
	conn_set_limits(r->conn, (size_t)1024 * 1024, REQUEST_BYTES);
	out = conn_out(r->conn);
	resp_reply_init(&r->scanner);
	if (add_setup(r, out) < 0 || buf_add_slice(out, buf_slice(&r->request)) < 0) {
		end(r, 503, "out of memory");
		return;
	}
	buf_fini(&r->request);
	r->sent = r->count;
	conn_flush(r->conn);
}

/* ---- beginning ---- */

static void
on_begin(void *arg)
{
	struct run *r = run_of(arg);

	if (r->count == 0) {
		end(r, 0, "");
	} else if (r->target.is_instance) {
		begin_instance(r);
	} else {
		begin_master(r);
	}
}

struct run *
run_new(struct httpd *h, const struct run_target *target, size_t budget, const struct run_ops *ops,
    void *owner)
{
	struct run *r = xcalloc(1, sizeof(*r));

	*r = (struct run){.magic = RUN_MAGIC,
	    .httpd = h,
	    .ops = ops,
	    .owner = owner,
	    .target = *target,
	    .budget = budget};
	buf_init(&r->request, REQUEST_BYTES);
	buf_init(&r->piece, 0);
	requester_init(&r->requester, &requester_ops, r);
	loop_hook_init(&r->begin, on_begin, r);
	ev_init(&r->limit, on_limit);
	r->limit.data = r;
	return r;
}

int
run_add(struct run *r, struct slice resp, bool reads)
{
	int err = buf_add_slice(&r->request, resp);

	if (err == 0) {
		if (r->count == r->room) {
			r->room = MAX(r->room * 2, (size_t)16);
			r->commands = xreallocarray(r->commands, r->room, sizeof(*r->commands));
		}
		r->commands[r->count++] = (struct command_sent){resp.len, reads};
	}
	return err;
}

void
run_set_budget(struct run *r, size_t budget)
{
	r->budget = budget;
}

void
run_go(struct run *r, uint64_t timeout_ms)
{
	ev_timer_set(&r->limit, (double)timeout_ms / 1000., 0.);
	ev_timer_start(loop_ev(r->httpd->loop), &r->limit);
	loop_hook_ask(r->httpd->loop, &r->begin);
}
