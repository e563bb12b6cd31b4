/* What a session reads and writes: requests into the queue, answers out of it, replies of the server between. */
#include <assert.h>
#include <errno.h>

#include "backend/arrival.h"
#include "base/log.h"
#include "conf/conf.h"
#include "httpd/accesslog.h"
#include "httpd/api.h"
#include "httpd/batch.h"
#include "httpd/exchange.h"
#include "httpd/request.h"
#include "httpd/session_priv.h"
#include "httpd/ws.h"

#define QUEUE_MAX       64 /* requests of one client that wait for answers */
#define QUEUE_RESUME    32 /* … when we read on */
#define LINGER_BYTES    ((size_t)16 * 1024 * 1024)
#define BODY_STEP_BYTES ((uint64_t)16 * 1024) /* so much of a body earns its sender new time */

static void
say_continue(struct session *s)
{
	s->owes_continue = false;
	if (conn_write(s->conn, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0) {
		session_tell(s, SESSION_DROP);
	}
}

/* Answers the first of the queue, as many as can be. False when the session is gone. */
static bool
answer_first(struct session *s)
{
	struct exchange *x;

	while ((x = session_first(s)) != NULL && !s->broken && exchange_pump(x) && !s->broken) {
		httpd_note_answer(s->httpd, x);
		list_del(&x->link);
		s->queued--;
		exchange_free(&x);
	}
	if (s->broken) {
		session_tell(s, SESSION_DROP);
	}
	return s->state != SESSION_GONE;
}

void
session_go_on(struct session *s)
{
	bool was_busy = s->queued > 0;

	do {
		if (s->state == SESSION_GONE || !answer_first(s)) {
			return;
		}
		if (s->kept > 0) {
			(void)session_account(s);
		}
	} while (exchange_send_waiting(s));
	conn_flush(s->conn);
	if (s->queued == 0 && was_busy) {
		session_tell(s, SESSION_ANSWERED);
	}
	if (s->state == SESSION_GONE) {
		return;
	}
	if (s->owes_continue && s->queued == 0) {
		say_continue(s);
	}
	if (s->state < SESSION_CLOSING && conn_is_paused(s->conn) && s->queued <= QUEUE_RESUME &&
	    !session_is_full(s)) {
		conn_pause(s->conn, false);
	}
}

/* ---- what the client sends ---- */

void
session_queue(struct session *s, struct exchange *x)
{
	list_push(&s->queue, &x->link);
	s->queued++;
	session_tell(s, SESSION_REQUEST);
}

static void
take_request(struct session *s, struct http_request *req)
{
	struct exchange *x = exchange_new(s->httpd, s);
	bool last = !req->keep_alive;

	request_begin(x, req);
	last = last || x->state == EXCHANGE_STREAMING || (x->api != NULL && api_is_stream(x->api));
	x->last = last;
	session_queue(s, x);
	if (last) {
		session_tell(s, SESSION_FINAL);
	}
	if (x->limit_ms != 0) {
		session_arm_limit(s);
	}
	session_go_on(s);
}

/* A head whose body is still to come: what would be refused anyway is refused before it is sent. */
static void
take_head(struct session *s, const struct http_request *req)
{
	struct http_fault fault;

	if (!request_is_welcome(s, req, &fault)) {
		session_push_fault(s, fault, true);
		session_go_on(s);
		return;
	}
	session_tell(s, SESSION_BYTES);
	if (req->expects_continue && s->queued == 0) {
		say_continue(s);
	} else {
		s->owes_continue = req->expects_continue;
	}
}

static void
take_fault(struct session *s, struct http_fault fault)
{
	session_push_fault(s, fault, true);
	session_go_on(s);
}

/* A slow body earns time by coming at all, but not by a byte at a time. */
static void
note_partial(struct session *s)
{
	if (!http_reader_is_amid(&s->reader)) {
		return;
	}
	session_tell(s, SESSION_BYTES);
	if (s->state == SESSION_READING &&
	    http_reader_body_bytes(&s->reader) >= s->body_before + BODY_STEP_BYTES) {
		session_renew(s);
	}
}

bool
session_takes_more(const struct session *s)
{
	return s->state < SESSION_CLOSING && !s->upgrading && s->queued < QUEUE_MAX &&
	       !session_is_full(s);
}

static size_t
take(struct conn *c, struct session *s, struct slice in)
{
	struct http_request *req = &s->httpd->request;
	struct http_fault fault;
	enum http_got got = HTTP_GOT_REQUEST;
	size_t done = 0, used;

	if (s->state == SESSION_LINGERING && (s->lingered += in.len) > LINGER_BYTES) {
		session_tell(s, SESSION_LATE);
		return in.len;
	}
	if (s->state == SESSION_WEBSOCKET) {
		done = ws_take(s, in);
		if (s->state == SESSION_WEBSOCKET && !session_account(s) && ws_held(s->ws) > 0) {
			ws_close(s, WS_TRY_AGAIN, "too many large messages at once; try again");
			if (s->state != SESSION_GONE) {
				(void)session_account(s); /* what it held is free for others */
			}
		}
		return s->state < SESSION_CLOSING ? done : in.len;
	}
	while (got != HTTP_GOT_NOTHING && s->ws == NULL && session_takes_more(s)) {
		got = http_reader_next(
		    &s->reader, (struct slice){in.ptr + done, in.len - done}, &used, req, &fault);
		done += used;
		s->pending_in = in.len - done;
		if (got == HTTP_GOT_REQUEST) {
			s->owes_continue = false;
			take_request(s, req);
		} else if (got == HTTP_GOT_HEAD) {
			take_head(s, req);
		} else if (got == HTTP_GOT_FAULT) {
			take_fault(s, fault);
		}
	}
	if (s->state == SESSION_GONE) {
		return in.len;
	}
	if (s->state >= SESSION_CLOSING) {
		s->pending_in = 0;
		return in.len;
	}
	if (s->ws != NULL) {
		conn_show_again(c); /* what came behind the upgrade */
	} else if (got != HTTP_GOT_NOTHING) {
		conn_pause(c, true);
	} else {
		note_partial(s);
	}
	if (!session_account(s) && http_reader_is_amid(&s->reader)) {
		take_fault(s, (struct http_fault){.status = 503,
				  .why = "too many large requests at once; try again",
				  .warns = true});
		http_reader_fini(&s->reader); /* what it held is free for others */
		if (s->state != SESSION_GONE) {
			(void)session_account(s);
		}
		return in.len;
	}
	return done;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct session *s = session_of(owner);
	struct httpd *h = s->httpd;
	size_t used;

	(void)backend_tick(h->backend);
	used = take(c, s, in);
	h->in_bytes += used;
	return used;
}

static void
on_eof(struct conn *c, void *owner)
{
	struct session *s = session_of(owner);

	(void)c;
	s->eof = true;
	session_tell(s, SESSION_EOF);
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct session *s = session_of(owner);

	s->conn = NULL;
	s->httpd->out_bytes += conn_sent_total(c);
	if (error == -EPROTONOSUPPORT) {
		arrivals_say_strange(c);
	}
	if (error == -ENOBUFS) {
		log_peer(LOG_WARN,
		    "a client is closed: it sends more than is taken at a time client=%s",
		    conn_peer(c, (char[ENDPOINT_TEXT_SIZE]){0}));
	}
	session_tell(s, SESSION_DROP);
}

static void
on_room(struct conn *c, void *owner)
{
	struct session *s = session_of(owner);

	if (s->state == SESSION_CLOSING && s->queued == 0) {
		if (conn_unsent(c) == 0) {
			session_tell(s, SESSION_SENT);
		}
		return;
	}
	session_go_on(s);
}

const struct conn_ops session_conn_ops = {
    .on_data = on_data, .on_room = on_room, .on_eof = on_eof, .on_close = on_close};

/* ---- what the server sends ---- */

static void
on_reply(void *owner, const struct lane_reply *reply)
{
	struct session *s = session_of(owner);
	struct exchange *x = NULL;
	bool is_first = true;

	/* replies come in the order of requests: it belongs to the first without one */
	list_for_each (item, &s->queue) {
		x = CONTAINER_OF(item, struct exchange, link);
		if (!exchange_is_answered(x)) {
			break;
		}
		is_first = false;
	}
	assert(x != NULL && !exchange_is_answered(x));
	exchange_on_reply(x, reply, is_first);
	if (x->kept != NULL && !session_account(s)) {
		exchange_give_up(x, 503, "too many large replies at once; try again");
	}
	session_go_on(s);
}

static void
on_lane_room(void *owner)
{
	session_go_on(session_of(owner));
}

/*
 * A pinned lane lost its link: what was on its way there may have happened or not, and what the session had there is
 * gone. Of a transaction it is known when its EXEC was not sent whole.
 */
static void
on_lane_lost(void *owner, struct lane *lane, unsigned dropped, unsigned unsent)
{
	struct session *s = session_of(owner);
	struct lane_reply reply = {
	    .raw = SLICE_LIT("-UNCERTAIN master lost before it answered; the write may or may not "
			     "have happened\r\n"),
	    .first = true,
	    .last = true,
	    .type = '-',
	    .local = true};

	list_for_each (item, &s->queue) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		if (x->batch != NULL && x->lane == lane) {
			if (batch_is_lost(x, unsent)) {
				exchange_lose(x);
			}
		} else if (x->batch == NULL && dropped > 0 && !exchange_is_answered(x) &&
			   x->state >= EXCHANGE_SENDING && x->state <= EXCHANGE_REPLYING) {
			exchange_on_reply(x, &reply, false);
		}
	}
	if (s->state_lane != NULL && s->ws != NULL) {
		ws_close(s, WS_RESTART, "the master was lost, and this connection's state with it");
	} else {
		session_go_on(s); /* a batch may begin anew */
	}
}

const struct requester_ops session_requester_ops = {
    .on_reply = on_reply, .on_room = on_lane_room, .on_lost = on_lane_lost};

/* ---- WebSockets ---- */

void
session_upgraded(struct session *s)
{
	s->upgrading = false;
	s->database = s->httpd->conf->http_database;
	session_tell(s, SESSION_UPGRADED);
}

void
session_finish(struct session *s)
{
	session_tell(s, SESSION_FINAL);
	if (s->queued == 0) {
		session_tell(s, SESSION_ANSWERED);
	} else {
		session_go_on(s);
	}
}
