/* How requests leave: in order, over the shared lane where they can, in pieces where they are large. */
#include "base/clock.h"
#include "conf/conf.h"
#include "httpd/answer.h"
#include "httpd/batch.h"
#include "httpd/exchange.h"
#include "httpd/session.h"
#include "httpd/stream.h"

#define PIECE_BYTES ((size_t)256 * 1024)

void
exchange_find_lane(struct exchange *x)
{
	struct httpd *h = x->httpd;

	if (x->call.database == h->home->database && buf_len(&x->secret) == 0) {
		x->home = h->home;
		x->home->users++;
		x->lane = h->home->lane;
	} else {
		struct lane_key key = exchange_key(x);

		x->lane = lane_shared(h->backend, &key);
	}
}

/* Requests are carried out in order: what goes another way waits until the way before is quiet. */
static bool
may_go(const struct session *s, const struct exchange *x)
{
	return s->requester.unanswered == 0 || s->lane == x->lane;
}

static void
note_sent(struct exchange *x)
{
	x->session->lane = x->lane;
	x->state = EXCHANGE_SENT;
}

void
exchange_send_again(struct exchange *x)
{
	if (x->state == EXCHANGE_SENT) {
		x->state = EXCHANGE_WAITING;
		x->session->unsent++;
	}
}

bool
exchange_send_now(struct exchange *x, struct slice raw)
{
	struct session *s = x->session;

	if (s->unsent > 0 || !may_go(s, x) || session_is_full(s) ||
	    lane_is_full(&s->requester, x->lane) ||
	    lane_send(&s->requester, x->lane, raw, x->call.lane_flags | LANE_WHOLE) < 0) {
		return false;
	}
	note_sent(x);
	return true;
}

/* The next run of a large request; an empty one when all is sent. */
static struct slice
next_piece(const struct exchange *x, bool *ret_last)
{
	struct slice s = buf_slice(&x->request);

	if (s.len == 0) {
		s = buf_slice(&x->body);
	}
	if (s.len == 0 && x->call.tail.len > 0 && !x->end_sent) {
		s = SLICE_LIT("\r\n");
	}
	if (s.len > PIECE_BYTES) {
		s.len = PIECE_BYTES;
	}
	*ret_last = x->call.tail.len > 0
			? s.len == 2 && buf_len(&x->request) == 0 && buf_len(&x->body) == 0
			: s.len == buf_len(&x->request);
	return s;
}

static void
drop_piece(struct exchange *x, size_t len)
{
	if (buf_len(&x->request) > 0) {
		buf_consume(&x->request, len);
	} else if (buf_len(&x->body) > 0) {
		buf_consume(&x->body, len);
	} else {
		x->end_sent = true;
	}
}

static int
send_pieces(struct exchange *x)
{
	struct session *s = x->session;
	struct requester *r = &s->requester;
	bool last = false;

	if (!x->piece_sent && !lane_may_stream(x->lane)) {
		lane_want(r, x->lane);
		return 0;
	}
	while (!last && (!x->piece_sent || !lane_is_full(r, x->lane))) {
		struct slice piece = next_piece(x, &last);
		int err = lane_send_piece(
		    r, x->lane, piece, !x->piece_sent, last, x->call.lane_flags | LANE_WHOLE);

		if (err < 0) {
			return err;
		}
		x->piece_sent = true;
		drop_piece(x, piece.len);
	}
	if (last) {
		buf_fini(&x->request);
		buf_fini(&x->body);
		note_sent(x);
		s->unsent--;
	}
	return 0;
}

static void
begin_pieces(struct exchange *x)
{
	x->state = EXCHANGE_SENDING;
	x->give_up_ms = clock_mono_ms() + x->httpd->conf->proxy_hold_ms;
	session_renew(x->session);
}

/* A lane of its own, or the session's. False: what went another way must be answered first. */
static bool
take_lane(struct exchange *x)
{
	struct session *s = x->session;
	struct lane_key key = exchange_key(x);
	bool keeps = x->call.way == CALL_SESSION;

	if (keeps && s->state_lane != NULL) {
		x->lane = s->state_lane;
		x->borrows = true;
		return true;
	}
	if (s->requester.unanswered > 0 || s->state_lane != NULL) {
		return false;
	}
	x->lane = lane_own(x->httpd->backend, &key, &s->requester);
	if (keeps) {
		/* its state dies with its link: nothing may be sent again */
		lane_set_pinned(x->lane, true);
		s->state_lane = x->lane;
		x->borrows = true;
	}
	return true;
}

/* One exchange; 1 when it must wait, and so all behind it. */
static int
send_one(struct exchange *x)
{
	struct session *s = x->session;
	int err;

	if (x->lane == NULL && !take_lane(x)) {
		return 1;
	}
	if (x->state == EXCHANGE_WAITING && !may_go(s, x)) {
		return 1;
	}
	if (x->pieces) {
		if (x->state == EXCHANGE_WAITING) {
			begin_pieces(x);
		}
		err = send_pieces(x);
		return err < 0 ? err : x->state == EXCHANGE_SENDING;
	}
	if (x->batch != NULL) {
		err = batch_send(x);
		if (err == 0) {
			note_sent(x);
			s->unsent--;
		}
		return err;
	}
	if (session_is_full(s) || lane_is_full(&s->requester, x->lane)) {
		return 1;
	}
	err = lane_send(
	    &s->requester, x->lane, buf_slice(&x->request), x->call.lane_flags | LANE_WHOLE);
	if (err == 0) {
		note_sent(x);
		buf_fini(&x->request);
		s->unsent--;
	}
	return err;
}

static bool
is_unsent(const struct exchange *x)
{
	return x->state == EXCHANGE_WAITING || x->state == EXCHANGE_SENDING;
}

/* It gets an answer of ours instead. */
static void
answer_instead(struct exchange *x, unsigned status, const char *why)
{
	if (is_unsent(x)) {
		x->session->unsent--;
	}
	x->state = EXCHANGE_LOCAL;
	x->answer = answer_fault;
	x->fault = (struct http_fault){.status = status, .why = why};
}

bool
exchange_send_waiting(struct session *s)
{
	list_for_each (item, &s->queue) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);
		int err;

		if (s->unsent == 0 || x->state == EXCHANGE_API) {
			break; /* what is behind the latter waits for its end */
		}
		if (!is_unsent(x)) {
			continue;
		}
		err = send_one(x);
		if (err == 1) {
			break;
		}
		if (err < 0) {
			answer_instead(x, 503, "too many requests wait for the master; try again");
			return true;
		}
	}
	return false;
}

bool
exchange_may_expire(const struct exchange *x)
{
	return (x->state == EXCHANGE_SENDING && !x->piece_sent) ||
	       (x->state == EXCHANGE_STREAMING && x->stream != NULL &&
		   !stream_has_begun(x->stream));
}

/* Its own lane is closed, which ends what waits on the server, too. */
static void
time_out(struct exchange *x)
{
	const char *why = is_unsent(x)
			      ? "timeout_ms passed before it could be sent; it was not carried out"
			      : "timeout_ms passed before the server answered; it may or may not "
				"be carried out";

	exchange_drop_lane(x);
	answer_instead(x, 504, why);
}

void
exchange_lose(struct exchange *x)
{
	exchange_drop_lane(x);
	answer_instead(x, 502,
	    "the master was lost before it answered; the transaction may or may not have happened");
}

bool
exchange_time_out(struct session *s)
{
	bool any = false;

	list_for_each (item, &s->queue) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		if (x->limit_ms != 0 && !exchange_is_answered(x) &&
		    clock_mono_ms() >= x->limit_ms) {
			time_out(x);
			any = true;
		}
	}
	return any;
}

bool
exchange_expire(struct session *s)
{
	list_for_each (item, &s->queue) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		if (!exchange_may_expire(x) || clock_mono_ms() < x->give_up_ms) {
			continue;
		}
		if (x->state == EXCHANGE_STREAMING) {
			stream_refuse(x, "there is no master at the moment; try again");
			return true;
		}
		answer_instead(x, 503, "there is no master at the moment; try again");
		return true;
	}
	return false;
}
