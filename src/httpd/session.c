#include "httpd/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "httpd/answer.h"
#include "httpd/api.h"
#include "httpd/httpd.h"
#include "httpd/session_priv.h"
#include "httpd/sse.h"
#include "httpd/stream.h"
#include "httpd/ws.h"

#define LINGER_MS 2000

static const char *const state_names[] = {
    "idle", "reading", "serving", "websocket", "closing", "lingering", "gone"};
static const char *const event_names[] = {
    "bytes", "request", "answered", "upgraded", "final", "sent", "eof", "late", "drop"};
_Static_assert(ARRAY_LEN(state_names) == SESSION_STATES, "a name for each state");
_Static_assert(ARRAY_LEN(event_names) == SESSION_EVENTS, "a name for each event");

/* ---- guards and actions of the table ---- */

static bool
is_amid(void *obj)
{
	return http_reader_is_amid(&session_of(obj)->reader);
}

/* What it waits for may come much later and would be lost: an element taken by BLPOP for nobody. */
static bool
blocks(void *obj)
{
	struct session *s = session_of(obj);

	list_for_each (item, &s->queue) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		if (x->state == EXCHANGE_STREAMING || (x->api != NULL && api_is_stream(x->api)) ||
		    (!exchange_is_answered(x) && x->call.command != NULL &&
			(x->call.command->flags & CMD_BLOCKING) != 0)) {
			return true;
		}
	}
	return false;
}

/* Output waits, and the client took none of it in all the time it had. */
static bool
is_stuck(void *obj)
{
	struct session *s = session_of(obj);

	return conn_unsent(s->conn) > 0 && conn_sent_total(s->conn) == s->sent_before;
}

static bool
is_sending(void *obj)
{
	return conn_unsent(session_of(obj)->conn) > 0;
}

static bool
is_reading_slowly(void *obj)
{
	return is_sending(obj) && !is_stuck(obj);
}

static bool
saw_eof(void *obj)
{
	return session_of(obj)->eof;
}

/* Asks whether it still lives; false when it was asked already and kept silent. */
static bool
is_alive(void *obj)
{
	return ws_ask_alive(session_of(obj));
}

static void begin_closing(void *obj);
static void say_goodbye(void *obj);
static void refuse_late(void *obj);
static void end_session(void *obj);
static void end_stuck(void *obj);
static void end_cut(void *obj);

static void
note_time(void *obj)
{
	session_renew(session_of(obj));
}

/* ---- the table ---- */

static const struct fsm_row rows[] = {
    {SESSION_IDLE, SESSION_BYTES, NULL, NULL, SESSION_READING, "a request begins"},
    {SESSION_READING, SESSION_BYTES, NULL, NULL, FSM_SAME, "and goes on"},
    {SESSION_SERVING, SESSION_BYTES, NULL, NULL, FSM_SAME, "the next begins meanwhile"},
    {SESSION_IDLE, SESSION_REQUEST, NULL, NULL, SESSION_SERVING, "asked"},
    {SESSION_READING, SESSION_REQUEST, NULL, NULL, SESSION_SERVING, "asked"},
    {SESSION_SERVING, SESSION_REQUEST, NULL, NULL, FSM_SAME, "pipelined"},
    {SESSION_SERVING, SESSION_ANSWERED, is_amid, NULL, SESSION_READING, "the next is half here"},
    {SESSION_SERVING, SESSION_ANSWERED, NULL, NULL, SESSION_IDLE, "all answered"},
    {SESSION_SERVING, SESSION_UPGRADED, NULL, NULL, SESSION_WEBSOCKET, "101"},
    {SESSION_WEBSOCKET, SESSION_REQUEST, NULL, NULL, FSM_SAME, "asked"},
    {SESSION_WEBSOCKET, SESSION_ANSWERED, NULL, NULL, FSM_SAME, "all answered"},
    {SESSION_WEBSOCKET, SESSION_FINAL, NULL, NULL, SESSION_CLOSING, "one side said close"},
    {SESSION_WEBSOCKET, SESSION_EOF, NULL, end_session, SESSION_GONE, "gone without a close"},
    {SESSION_WEBSOCKET, SESSION_LATE, is_stuck, end_stuck, SESSION_GONE, "it does not read"},
    {SESSION_WEBSOCKET, SESSION_LATE, is_alive, note_time, FSM_SAME, "a ping asks it"},
    {SESSION_WEBSOCKET, SESSION_LATE, NULL, end_session, SESSION_GONE, "it does not answer"},
    {SESSION_CLOSING, SESSION_ANSWERED, NULL, begin_closing, FSM_SAME, "wait for the socket"},
    {SESSION_SERVING, SESSION_FINAL, NULL, NULL, SESSION_CLOSING, "no more after these"},
    {SESSION_CLOSING, SESSION_FINAL, NULL, NULL, FSM_SAME, "closing already"},
    {SESSION_CLOSING, SESSION_SENT, saw_eof, end_session, SESSION_GONE, "both sides said all"},
    {SESSION_CLOSING, SESSION_SENT, NULL, say_goodbye, SESSION_LINGERING,
	"a reset would take the answer back"},
    {SESSION_IDLE, SESSION_EOF, is_sending, begin_closing, SESSION_CLOSING, "it may still read"},
    {SESSION_IDLE, SESSION_EOF, NULL, end_session, SESSION_GONE, "the client is done"},
    {SESSION_READING, SESSION_EOF, NULL, end_cut, SESSION_GONE, "a request without its end"},
    {SESSION_SERVING, SESSION_EOF, blocks, end_session, SESSION_GONE,
	"do not take what nobody waits for"},
    {SESSION_SERVING, SESSION_EOF, NULL, NULL, SESSION_CLOSING, "it may still read"},
    {SESSION_CLOSING, SESSION_EOF, blocks, end_session, SESSION_GONE,
	"do not take what nobody waits for"},
    {SESSION_CLOSING, SESSION_EOF, NULL, NULL, FSM_SAME, "it may still read"},
    {SESSION_LINGERING, SESSION_EOF, NULL, end_session, SESSION_GONE, "both sides said all"},
    {SESSION_IDLE, SESSION_LATE, is_reading_slowly, note_time, FSM_SAME,
	"it still reads the answer"},
    {SESSION_IDLE, SESSION_LATE, is_stuck, end_stuck, SESSION_GONE, "it does not read"},
    {SESSION_IDLE, SESSION_LATE, NULL, end_session, SESSION_GONE, "idle for too long"},
    {SESSION_READING, SESSION_LATE, NULL, refuse_late, FSM_SAME, "too slow: 408"},
    {SESSION_SERVING, SESSION_LATE, is_stuck, end_stuck, SESSION_GONE, "it does not read"},
    {SESSION_SERVING, SESSION_LATE, NULL, note_time, FSM_SAME, "the server takes its time"},
    {SESSION_CLOSING, SESSION_LATE, is_stuck, end_stuck, SESSION_GONE, "it does not read"},
    {SESSION_CLOSING, SESSION_LATE, NULL, note_time, FSM_SAME, "the server takes its time"},
    {SESSION_LINGERING, SESSION_LATE, NULL, end_session, SESSION_GONE, "it was told"},
    {FSM_ANY, SESSION_DROP, NULL, end_session, SESSION_GONE, "gone"},
};

static void
entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct session *s = session_of(obj);

	(void)from;
	(void)row;
	if (to != SESSION_GONE) {
		session_renew(s);
	}
}

const struct fsm http_session_fsm = {.name = "http_session",
    .states = state_names,
    .state_count = SESSION_STATES,
    .events = event_names,
    .event_count = SESSION_EVENTS,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = entered};

void
session_tell(struct session *s, enum session_event event)
{
	if (s->state != SESSION_GONE) {
		(void)fsm_step(&http_session_fsm, s, &s->state, event);
	}
}

/* ---- time ---- */

static void
on_limit(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct session *s = session_of(timer->data);

	(void)ev;
	(void)revents;
	(void)backend_tick(s->httpd->backend);
	if (exchange_time_out(s)) {
		session_go_on(s);
	}
	if (s->state != SESSION_GONE) {
		session_arm_limit(s);
	}
}

void
session_arm_limit(struct session *s)
{
	struct ev_loop *ev = loop_ev(s->httpd->loop);
	uint64_t first = UINT64_MAX, now = clock_mono_ms();

	list_for_each (item, &s->queue) {
		const struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		if (x->limit_ms != 0 && !exchange_is_answered(x)) {
			first = MIN(first, x->limit_ms);
		}
	}
	ev_timer_stop(ev, &s->limit);
	if (first != UINT64_MAX) {
		ev_timer_set(&s->limit, first > now ? (double)(first - now) / 1000. : 0., 0.);
		ev_timer_start(ev, &s->limit);
	}
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct session *s = session_of(timer->data);
	double left = s->due - ev_now(ev);

	(void)revents;
	if (s->due == 0) {
		return;
	}
	if (left > 0.001) {
		/* the time was put off since the timer was set */
		ev_timer_set(timer, left, 0.);
		ev_timer_start(ev, timer);
		return;
	}
	(void)backend_tick(s->httpd->backend);
	if (exchange_expire(s)) {
		session_renew(s);
		session_go_on(s);
	} else {
		session_tell(s, SESSION_LATE);
	}
}

/* Gives the present state its time. The timer itself is only moved when it would be late. */
void
session_renew(struct session *s)
{
	struct ev_loop *ev = loop_ev(s->httpd->loop);
	uint64_t ms = s->httpd->conf->http_client_timeout_s * 1000;
	struct exchange *x = session_first(s);

	if (s->state == SESSION_LINGERING) {
		ms = LINGER_MS;
	} else if (x != NULL && exchange_may_expire(x)) {
		uint64_t hold = MAX(s->httpd->conf->proxy_hold_ms, (uint64_t)1);

		ms = ms == 0 ? hold : MIN(ms, hold);
	}
	s->sent_before = s->conn != NULL ? conn_sent_total(s->conn) : 0;
	s->body_before = http_reader_body_bytes(&s->reader);
	s->due = ms == 0 ? 0 : ev_now(ev) + (double)ms / 1000.;
	if (ms == 0) {
		ev_timer_stop(ev, &s->timer);
	} else if (!ev_is_active(&s->timer) ||
		   ev_now(ev) + ev_timer_remaining(ev, &s->timer) > s->due + 0.001) {
		ev_timer_stop(ev, &s->timer);
		ev_timer_set(&s->timer, (double)ms / 1000., 0.);
		ev_timer_start(ev, &s->timer);
	}
}

/* ---- the end ---- */

static void
free_now(void *obj)
{
	struct session *s = obj;

	http_reader_fini(&s->reader);
	ws_free(&s->ws);
	if (s->authorization.data != NULL) {
		explicit_bzero(s->authorization.data, s->authorization.cap);
	}
	buf_fini(&s->authorization);
	s->magic = 0;
	free(s);
}

static void
end_session(void *obj)
{
	struct session *s = session_of(obj);
	struct list *item;

	ev_timer_stop(loop_ev(s->httpd->loop), &s->timer);
	ev_timer_stop(loop_ev(s->httpd->loop), &s->limit);
	if (s->streams && s->conn != NULL) {
		httpd_note_answer(s->httpd, session_first(s)); /* it ends as it should */
	}
	if (s->conn != NULL) {
		s->httpd->out_bytes += conn_sent_total(s->conn);
	}
	conn_close(&s->conn);
	if (s->ws != NULL) {
		ws_leave(s->ws);
	}
	requester_fini(&s->requester);
	while ((item = list_shift(&s->queue)) != NULL) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		exchange_free(&x);
	}
	lane_release(&s->state_lane);
	s->queued = 0;
	s->httpd->held_bytes -= s->held;
	s->held = 0;
	list_del(&s->link);
	loop_bury(s->httpd->loop, free_now, s);
	httpd_session_gone(s->httpd);
}

static void
end_stuck(void *obj)
{
	char peer[ENDPOINT_TEXT_SIZE];

	log_peer(LOG_WARN, "a client that does not read its answers is closed client=%s",
	    conn_peer(session_of(obj)->conn, peer));
	end_session(obj);
}

static void
end_cut(void *obj)
{
	char peer[ENDPOINT_TEXT_SIZE];

	log_peer(LOG_INFO, "a client went away in the middle of its request client=%s",
	    conn_peer(session_of(obj)->conn, peer));
	end_session(obj);
}

void
session_kill(struct session *s)
{
	session_tell(s, SESSION_DROP);
}

void
session_abort(struct session *s)
{
	const struct linger at_once = {.l_onoff = 1};

	(void)setsockopt(conn_fd(s->conn), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	session_kill(s);
}

/* The queue is empty and nothing follows: when the socket has all of it we say so. */
static void
begin_closing(void *obj)
{
	struct session *s = session_of(obj);

	if (conn_unsent(s->conn) == 0) {
		session_tell(s, SESSION_SENT);
		return;
	}
	/* on_room now means: all is sent */
	conn_set_limits(s->conn, IN_SLACK_BYTES, 1);
	conn_flush(s->conn);
	conn_pause(s->conn, false);
}

static void
say_goodbye(void *obj)
{
	struct session *s = session_of(obj);

	conn_end_output(s->conn);
	conn_pause(s->conn, false);
}

bool
session_is_last(const struct session *s, const struct exchange *x)
{
	return x->last || (s->state == SESSION_CLOSING && x->link.next == &s->queue);
}

/* ---- the queue ---- */

bool
session_account(struct session *s)
{
	struct httpd *h = s->httpd;
	size_t held = http_reader_held(&s->reader) + s->pending_in;

	if (s->streams || s->ws != NULL) {
		held += conn_unsent(s->conn) + (s->ws != NULL ? ws_held(s->ws) : 0);
	}

	s->kept = 0;
	list_for_each (item, &s->queue) {
		const struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		held += exchange_held(x);
		s->kept += exchange_kept(x);
	}
	h->held_bytes = h->held_bytes - s->held + held;
	s->held = held;
	return h->held_bytes <= h->held_max;
}

bool
session_is_full(const struct session *s)
{
	return s->kept >= OUT_HIGH_BYTES || conn_is_full(s->conn);
}

/* An answer of our own, in the order of requests. */
void
session_push_fault(struct session *s, struct http_fault fault, bool last)
{
	struct exchange *x = exchange_new(s->httpd, s);

	x->state = EXCHANGE_LOCAL;
	x->verb = HTTP_VERB_OTHER;
	x->answer = answer_fault;
	x->fault = fault;
	x->began_us = backend_now_us(s->httpd->backend);
	x->last = last;
	session_queue(s, x);
	if (last) {
		session_tell(s, SESSION_FINAL);
	}
}

static void
refuse_late(void *obj)
{
	struct session *s = session_of(obj);

	session_push_fault(s,
	    (struct http_fault){
		.status = 408, .why = "the request took too long to arrive", .warns = true},
	    true);
	session_go_on(s);
}

/* ---- beginning ---- */

void
session_open(struct httpd *h, struct conn *c, const struct endpoint *at)
{
	struct session *s = xcalloc(1, sizeof(*s));

	*s = (struct session){.magic = SESSION_MAGIC, .httpd = h, .at = at, .state = SESSION_IDLE};
	list_init(&s->queue);
	list_init(&s->link);
	buf_init(&s->authorization, 0);
	list_push(&h->sessions, &s->link);
	h->session_count++;
	http_reader_init(&s->reader, &h->limits);
	requester_init(&s->requester, &session_requester_ops, s);
	ev_init(&s->timer, on_timer);
	s->timer.data = s;
	ev_init(&s->limit, on_limit);
	s->limit.data = s;
	s->conn = c;
	conn_hand_over(c, &session_conn_ops, s);
	/* a subscriber that vanished would be kept for ever, since it is never asked anything */
	(void)setsockopt(conn_fd(c), SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	conn_set_limits(
	    s->conn, h->limits.line_bytes + h->limits.head_bytes + IN_SLACK_BYTES, OUT_HIGH_BYTES);
	session_renew(s);
}

void
session_wind_up(struct session *s)
{
	if (s->state == SESSION_IDLE || s->state == SESSION_READING) {
		session_tell(s, SESSION_DROP);
		return;
	}
	if (s->state == SESSION_SERVING) {
		session_tell(s, SESSION_FINAL);
	}
	if (s->state == SESSION_WEBSOCKET) {
		ws_close(s, WS_GOING_AWAY, "this process is stopping");
	} else if (s->streams && session_first(s)->api != NULL) {
		sse_end(session_first(s)->api);
	} else if (s->streams) {
		stream_end(session_first(s));
		session_go_on(s);
	}
}
