/*
 * One connection to the master. What comes over it: replies.c.
 *
 *   connecting → setup (AUTH, HELLO, SELECT) → up ──────────────→ ended
 *                                              └→ draining ──────┘   takes no more, answers what is out
 *
 * In a planned switchover the old master answers what it has: OK is OK, READONLY is sent again to the
 * new one, and only what never gets an answer is uncertain.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "backend/fsm.h"
#include "base/mem.h"
#include "resp/write.h"

#define CONNECT_MS    2000
#define SETUP_MS      5000
#define DRAIN_MS      1000
#define WIRE_OUT_HIGH ((size_t)1024 * 1024)
#define STREAM_HIGH   ((size_t)256 * 1024) /* of a value in pieces, which is not to be held */
#define GATHER_BYTES  ((size_t)4 * 1024)

/* ---- state ---- */

static bool
needs_no_setup(void *obj)
{
	const struct wire *w = obj;

	return w->setup_left == 0;
}

bool
wire_is_idle(const struct wire *w)
{
	const struct requester *r = w->lane->requester;

	if (w->lane->raw && r != NULL && r->ops->is_settled != NULL) {
		return r->ops->is_settled(r->owner);
	}
	return w->queue.count == 0;
}

static bool
is_idle(void *obj)
{
	return wire_is_idle(obj);
}

static void
on_entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct wire *w = obj;

	if (from == WIRE_UP) {
		lane_on_wire_closed(w->lane, w);
	}
	switch ((enum wire_state)to) {
	case WIRE_SETUP:
		conn_set_deadline(w->conn, SETUP_MS);
		break;
	case WIRE_UP:
		conn_set_deadline(w->conn, 0);
		w->was_up = true;
		lane_on_wire_up(w->lane, w);
		break;
	default:
		break;
	}
}

static void start_drain(void *obj);
static void start_leave(void *obj);
static void end_wire(void *obj);

static const char *const state_names[WIRE_STATES] = {
    "connecting", "setup", "up", "draining", "ended"};
static const char *const event_names[WIRE_EVENTS] = {
    "opened", "set-up", "refused", "turned", "stalled", "left", "empty", "lost"};

static const struct fsm_row rows[] = {
    {.state = WIRE_CONNECTING,
	.event = WIRE_OPENED,
	.guard = needs_no_setup,
	.next = WIRE_UP,
	.comment = "nothing to set up"},
    {.state = WIRE_CONNECTING,
	.event = WIRE_OPENED,
	.next = WIRE_SETUP,
	.comment = "log in, choose the database"},
    {.state = WIRE_SETUP, .event = WIRE_SET_UP, .next = WIRE_UP, .comment = "requests may go"},
    {.state = WIRE_SETUP,
	.event = WIRE_REFUSED,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "the server's error went to those who wait"},
    {.state = WIRE_UP,
	.event = WIRE_TURNED,
	.guard = is_idle,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "no proper master, nothing in flight"},
    {.state = WIRE_UP,
	.event = WIRE_TURNED,
	.action = start_drain,
	.next = WIRE_DRAINING,
	.comment = "no proper master: wait for what is in flight"},
    {.state = WIRE_UP,
	.event = WIRE_STALLED,
	.next = WIRE_DRAINING,
	.comment = "a slow reader: the others get a wire of their own"},
    {.state = WIRE_DRAINING,
	.event = WIRE_TURNED,
	.next = FSM_SAME,
	.comment = "one more request to send again"},
    {.state = WIRE_DRAINING, .event = WIRE_STALLED, .next = FSM_SAME, .comment = "waits"},
    {.state = WIRE_UP,
	.event = WIRE_LEFT,
	.guard = is_idle,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "planned switchover, nothing in flight"},
    {.state = WIRE_UP,
	.event = WIRE_LEFT,
	.action = start_leave,
	.next = WIRE_DRAINING,
	.comment = "planned switchover: wait for what is in flight"},
    {.state = WIRE_DRAINING,
	.event = WIRE_LEFT,
	.action = start_leave,
	.next = FSM_SAME,
	.comment = "planned switchover: there is time"},
    {.state = FSM_ANY,
	.event = WIRE_LEFT,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "planned switchover, not yet in use"},
    {.state = WIRE_DRAINING,
	.event = WIRE_EMPTY,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "all is answered"},
    {.state = FSM_ANY,
	.event = WIRE_LOST,
	.action = end_wire,
	.next = WIRE_ENDED,
	.comment = "broken or cut"},
};

const struct fsm wire_fsm = {.name = "wire",
    .states = state_names,
    .state_count = ARRAY_LEN(state_names),
    .events = event_names,
    .event_count = ARRAY_LEN(event_names),
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = on_entered};

void
wire_step(struct wire *w, enum wire_event event)
{
	(void)fsm_step(&wire_fsm, w, &w->state, event);
}

/* ---- end ---- */

static void
free_now(void *obj)
{
	struct wire *w = obj;

	queue_fini(&w->queue);
	queue_fini(&w->retry);
	w->magic = 0;
	free(w);
}

static void
stop_all(struct wire *w)
{
	struct backend *b = w->lane->backend;

	ev_timer_stop(loop_ev(b->loop), &w->timer);
	ev_timer_stop(loop_ev(b->loop), &w->drain);
	loop_hook_cancel(&w->flush);
	conn_close(&w->conn);
	list_del(&w->link);
	backend_stream_ended(b);
	loop_bury(b->loop, free_now, w);
}

static void
end_wire(void *obj)
{
	struct wire *w = obj;
	uint64_t sent = w->conn != NULL ? conn_sent_total(w->conn) : w->sent_bytes;
	uint64_t before = w->setup_bytes + w->popped_bytes;

	if (w->rest_is_undone) {
		sent = 0;
	}
	stop_all(w);
	lane_take_back(w->lane, w, sent > before ? sent - before : 0);
}

void
wire_cut(struct wire *w)
{
	wire_step(w, WIRE_LOST);
}

void
wire_leave(struct wire *w)
{
	wire_step(w, WIRE_LEFT);
}

void
wire_suspect(struct wire *w, const char *why)
{
	struct backend *b = w->lane->backend;

	if (w->generation == b->generation) {
		backend_suspect(b, why);
	}
}

void
wire_drop(struct wire *w)
{
	stop_all(w);
}

static void
arm_drain(struct wire *w, uint64_t ms)
{
	struct ev_loop *ev = loop_ev(w->lane->backend->loop);

	w->heard = false;
	ev_timer_stop(ev, &w->drain);
	ev_timer_set(&w->drain, (double)ms / 1000., 0.);
	ev_timer_start(ev, &w->drain);
}

static void
start_drain(void *obj)
{
	arm_drain(obj, DRAIN_MS);
}

static void
start_leave(void *obj)
{
	struct wire *w = obj;

	arm_drain(w, w->lane->backend->leave_ms);
}

/* Draining takes too long; but a reply that is on its way may be as long as it likes. */
static void
on_drain(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct wire *w = OBJ_CAST((struct wire *)timer->data, WIRE_MAGIC);

	if (w->stalled || (w->in_reply && w->heard)) {
		arm_drain(w, DRAIN_MS);
	} else {
		wire_step(w, WIRE_LOST);
	}
}

/* A slow reader keeps others waiting. */
static void
on_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct wire *w = OBJ_CAST((struct wire *)timer->data, WIRE_MAGIC);
	struct flight *f = w->queue.count > 0 ? queue_at(&w->queue, 0) : NULL;

	if (!w->stalled || f == NULL) {
		return;
	}
	/* It had its time, once for all that it has asked for here: others are behind. */
	for (size_t i = 0; i < w->queue.count; i++) {
		struct flight *mine = queue_at(&w->queue, i);

		mine->flags |= mine->who == f->who ? FLIGHT_NO_STALL : 0;
	}
	w->stalled = false;
	conn_pause(w->conn, false);
}

/* ---- requests ---- */

static void
flush(struct wire *w)
{
	struct slice all = buf_slice(&w->queue.bytes);

	if (w->conn == NULL || all.len == w->flushed) {
		return;
	}
	if (conn_send(w->conn, all.ptr + w->flushed, all.len - w->flushed) < 0) {
		wire_step(w, WIRE_LOST);
		return;
	}
	w->lane->backend->stats.out_bytes += all.len - w->flushed;
	w->flushed = all.len;
}

/*
 * While the server works on one batch, the next one gathers: it would be answered no sooner, and half as many wake-ups
 * of a server cost half as much. What is not sent yet is also sure not to have happened, when the master is lost.
 */
static bool
gathers(struct wire *w)
{
	return !w->lane->is_own && w->flushed > 0 &&
	       buf_len(&w->queue.bytes) - w->flushed < GATHER_BYTES;
}

static void
on_flush(void *arg)
{
	struct wire *w = OBJ_CAST((struct wire *)arg, WIRE_MAGIC);

	if (!gathers(w)) {
		flush(w);
	}
}

void
wire_ask_flush(struct wire *w)
{
	loop_hook_ask(w->lane->backend->loop, &w->flush);
}

void
wire_ask_id(struct wire *w)
{
	/* not CLIENT ID, which some users may not: HELLO is for all */
	static const char ask[] = "*1\r\n$5\r\nHELLO\r\n";
	struct flight f = {.len = sizeof(ask) - 1,
	    .flags =
		FLIGHT_ID | LANE_READ | LANE_WHOLE | LANE_AS_IS | LANE_SILENT | LANE_UNCOUNTED};

	if (!w->id_asked) {
		w->id_asked =
		    queue_push(&w->queue, &f, (struct slice){(const uint8_t *)ask, f.len}) == 0;
	}
}

void
wire_set_streaming(struct wire *w, bool streaming)
{
	w->streaming = streaming;
	conn_set_limits(w->conn, LANE_WHOLE_MAX + 2 * LOOP_SCRATCH_BYTES,
	    streaming ? STREAM_HIGH : WIRE_OUT_HIGH);
}

int
wire_stream(struct wire *w, struct slice raw)
{
	flush(w);
	w->lane->backend->stats.out_bytes += raw.len;
	return w->conn != NULL ? conn_send(w->conn, raw.ptr, raw.len) : 0;
}

/* ---- slow readers ---- */

/* Does anybody else wait for an answer on this wire? */
static bool
somebody_is_behind(struct wire *w, const struct requester *r)
{
	for (size_t i = 0; i < w->queue.count; i++) {
		const struct requester *who = queue_at(&w->queue, i)->who;

		if (who != NULL && who != r) {
			return true;
		}
	}
	return false;
}

void
wire_set_slow(struct wire *w, struct requester *r, bool slow)
{
	struct backend *b = w->lane->backend;

	if (w->conn == NULL || w->stalled == slow) {
		return;
	}
	if (slow && !w->lane->is_own) {
		const struct flight *f = w->queue.count > 0 ? queue_at(&w->queue, 0) : NULL;

		if (f == NULL || f->who != r || (f->flags & FLIGHT_BEGUN) == 0 ||
		    (f->flags & FLIGHT_NO_STALL) != 0) {
			return; /* others come first; its own replies are looked at one by one */
		}
		if (somebody_is_behind(w, r)) {
			ev_timer_set(&w->timer, (double)b->conf.stall_ms / 1000., 0.);
			ev_timer_start(loop_ev(b->loop), &w->timer);
		}
		wire_step(w, WIRE_STALLED);
	}
	w->stalled = slow;
	conn_pause(w->conn, slow);
	if (!slow) {
		ev_timer_stop(loop_ev(b->loop), &w->timer);
	}
}

/* ---- connection ---- */

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct wire *w = OBJ_CAST((struct wire *)owner, WIRE_MAGIC);
	struct backend *b = w->lane->backend;
	size_t used;

	w->heard = true;
	(void)backend_tick(b);
	used = replies_read(w, in);
	b->stats.in_bytes += used;

	if (w->conn != NULL && !list_is_empty(&w->lane->waiting)) {
		lane_wake(w->lane);
	}
	return used;
}

static int
add_setup(struct wire *w, struct buf *out)
{
	const struct lane *l = w->lane;
	struct slice user = {(const uint8_t *)l->user, l->user_len};
	struct slice password = {(const uint8_t *)l->password, l->password_len};
	struct slice argv[5];
	size_t argc = 0;
	char number[12];
	int err = 0;

	if (l->protocol >= 3) {
		argv[argc++] = SLICE_LIT("HELLO");
		argv[argc++] = SLICE_LIT("3");
	}
	if (l->password != NULL) {
		argv[argc++] = SLICE_LIT("AUTH");
		if (l->user != NULL) {
			argv[argc++] = user;
		} else if (l->protocol >= 3) {
			argv[argc++] = SLICE_LIT("default");
		}
		argv[argc++] = password;
	}
	if (argc > 0) {
		err = resp_add_command(out, argv, argc);
		w->setup_left++;
	}
	if (err == 0 && l->database != 0) {
		(void)snprintf(number, sizeof(number), "%u", l->database);
		err = resp_add_command_str(out, "SELECT", number, NULL);
		w->setup_left++;
	}
	if (err == 0 && l->more != NULL) {
		err = buf_add(out, l->more, l->more_len);
		w->setup_left += l->more_count;
	}
	if (err == 0 && l->backend->conf.client_name != NULL && w->setup_left > 0) {
		err = resp_add_command_str(
		    out, "CLIENT", "SETNAME", l->backend->conf.client_name, NULL);
		w->setup_name = true;
		w->setup_left++;
	}
	return err;
}

static void
on_open(struct conn *c, void *owner)
{
	struct wire *w = OBJ_CAST((struct wire *)owner, WIRE_MAGIC);
	struct buf *out = conn_out(c);

	w->lane->backend->stats.connects++;
	if (add_setup(w, out) < 0) {
		wire_step(w, WIRE_LOST);
		return;
	}
	w->setup_bytes = buf_len(out);
	conn_flush(c);
	wire_step(w, WIRE_OPENED);
}

static void
on_room(struct conn *c, void *owner)
{
	struct wire *w = OBJ_CAST((struct wire *)owner, WIRE_MAGIC);

	lane_wake(w->lane);
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct wire *w = OBJ_CAST((struct wire *)owner, WIRE_MAGIC);
	struct backend *b = w->lane->backend;

	w->sent_bytes = conn_sent_total(c);
	w->conn = NULL;
	b->stats.losses++;
	wire_suspect(w, error == 0         ? "the server closed a connection"
			: error == -EPROTO ? conn_fault(c)
					   : strerror(-error));
	wire_step(w, WIRE_LOST);
}

static const struct conn_ops ops = {
    .on_open = on_open, .on_data = on_data, .on_room = on_room, .on_close = on_close};

/* Over its unix socket if it has one here and listens there: a server that began before it was told to does not. */
static struct conn *
connect_to_master(struct wire *w)
{
	struct backend *b = w->lane->backend;

	for (size_t i = 0; i < b->conf.near_count; i++) {
		const struct backend_near *n = &b->conf.near[i];

		if (endpoint_equal(&n->at, &b->master.at)) {
			struct conn *c =
			    conn_connect(b->loop, &n->socket, CONNECT_MS, &ops, w, NULL);

			if (c != NULL) {
				return c;
			}
		}
	}
	return conn_connect(b->loop, &b->master.at, CONNECT_MS, &ops, w, NULL);
}

struct wire *
wire_new(struct lane *lane)
{
	struct backend *b = lane->backend;
	struct wire *w = xcalloc(1, sizeof(*w));

	w->magic = WIRE_MAGIC;
	w->lane = lane;
	w->generation = b->generation;
	w->process = b->process;
	queue_init(&w->queue);
	queue_init(&w->retry);
	w->queue.wire = w;
	resp_reply_init(&w->scan);
	loop_hook_init(&w->flush, on_flush, w);
	ev_init(&w->timer, on_timer);
	w->timer.data = w;
	ev_init(&w->drain, on_drain);
	w->drain.data = w;
	w->conn = connect_to_master(w);
	if (w->conn == NULL) {
		free_now(w);
		return NULL;
	}
	wire_set_streaming(w, false);
	list_push(&lane->wires, &w->link);
	return w;
}
