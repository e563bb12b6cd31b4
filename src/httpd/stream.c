#include "httpd/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "httpd/answer.h"
#include "httpd/events.h"
#include "httpd/exchange.h"
#include "httpd/hub.h"
#include "httpd/session.h"
#include "resp/reader.h"

#define PING_S                                                                                     \
	15. /* a comment then shows that the connection lives: what lies between cuts silent ones */

struct stream {
	struct exchange *exchange; /* borrowed (its owner) */
	ev_timer ping;             /* while events are told */
	struct subscriber subscriber;
	bool began;
	bool chunked; /* HTTP/1.1 */
	bool events;  /* as server-sent events */
};

/* ---- the response ---- */

static int
begin_response(struct stream *s)
{
	struct exchange *x = s->exchange;
	struct http_response r;
	int err = exchange_respond(
	    x, &r, 200, s->events ? SLICE_LIT("text/event-stream") : x->call.content_type);

	if (err == 0 && s->events) {
		err = http_response_header(&r, "Cache-Control", SLICE_LIT("no-store"));
	}
	if (err == 0 && s->chunked) {
		err = http_response_header(&r, "Transfer-Encoding", SLICE_LIT("chunked"));
	}
	if (err == 0) {
		err = buf_add(r.out, "\r\n", 2);
	}
	if (err < 0) {
		http_response_abort(&r);
		return err;
	}
	s->began = true;
	x->session->streams = true;
	if (s->events) {
		ev_timer_start(loop_ev(x->httpd->loop), &s->ping);
	}
	session_renew(x->session);
	return 0;
}

static bool
same_slice(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/*
 * What the present message is in this form. Most subscribers of a channel want the same, so the last one is
 * kept; the wish beside it is a copy whose slices are looked at only while it is certain that they live: those of
 * the command are compared by what is rendered first.
 */
static int
render_message(struct httpd *h, const struct render_wish *wish, struct slice raw)
{
	struct render render;
	int err;

	if (h->said_rendered == h->said && same_slice(h->rendered_wish.command, wish->command) &&
	    same_slice(h->rendered_wish.jsonp, wish->jsonp) &&
	    same_slice(h->rendered_wish.separator, wish->separator) &&
	    h->rendered_wish.kind == wish->kind && h->rendered_wish.base64 == wish->base64) {
		return 0;
	}
	h->said_rendered = 0;
	buf_clear(&h->rendered);
	render_init(&render, wish, &h->rendered);
	err = render_feed(&render, raw, true);
	render_fini(&render);
	if (err == 0) {
		h->rendered_wish = *wish;
		h->said_rendered = h->said;
	}
	return err;
}

static int
write_message(struct stream *s, struct slice body)
{
	struct buf *out = conn_out(s->exchange->session->conn);
	size_t len = body.len + (s->events ? sizeof("data: \n\n") - 1 : 0);
	int err = s->chunked ? buf_addf(out, "%zx\r\n", len) : 0;

	if (err == 0 && s->events) {
		err = buf_add_str(out, "data: ");
	}
	if (err == 0) {
		err = buf_add_slice(out, body);
	}
	if (err == 0 && s->events) {
		err = buf_add_str(out, "\n\n");
	}
	if (err == 0 && s->chunked) {
		err = buf_add_str(out, "\r\n");
	}
	return err;
}

/* Bytes of a message are in the output, unless `err`. May end the session. */
static void
send_out(struct stream *s, int err)
{
	struct session *session = s->exchange->session;

	if (err < 0) {
		s->exchange->httpd->said_rendered = 0; /* its wish goes with it */
		session_kill(session);
		return;
	}
	conn_flush(session->conn);
	if (conn_unsent(session->conn) > STREAM_UNSENT_MAX ||
	    (!session_account(session) && conn_is_full(session->conn))) {
		char peer[ENDPOINT_TEXT_SIZE];

		log_peer(LOG_WARN,
		    "a subscriber that does not read is closed, others go on client=%s",
		    conn_peer(session->conn, peer));
		s->exchange->httpd->said_rendered = 0;
		s->exchange->httpd->slow++;
		session_abort(session);
	}
}

static void
on_message(void *owner, enum hub_kind kind, struct slice raw)
{
	struct stream *s = owner;
	struct httpd *h = s->exchange->httpd;
	int err = s->began ? 0 : begin_response(s);

	(void)kind;
	if (err == 0) {
		err = render_message(h, &s->exchange->call.wish, raw);
	}
	if (err == 0 && buf_len(&h->rendered) > 0) {
		err = write_message(s, buf_slice(&h->rendered));
	}
	send_out(s, err);
}

static void
on_ping(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct stream *s = timer->data;

	(void)ev;
	(void)revents;
	send_out(s, buf_add_str(conn_out(s->exchange->session->conn),
			s->chunked ? "3\r\n:\n\n\r\n" : ":\n\n"));
}

/* ---- beginning and end ---- */

void
stream_refuse(struct exchange *x, const char *why)
{
	stream_free(&x->stream);
	exchange_drop_lane(x);
	events_free(&x->events);
	x->state = EXCHANGE_LOCAL;
	x->answer = answer_fault;
	x->fault = (struct http_fault){.status = 503, .why = why};
}

static void
on_refused(void *owner, struct slice error, bool local)
{
	struct stream *s = owner;
	struct exchange *x = s->exchange;
	struct lane_reply reply = {
	    .raw = error, .first = true, .last = true, .type = '-', .local = local};

	if (s->began) {
		/* the rest of it goes on, if there is any */
		if (s->subscriber.count == 0) {
			stream_end(x);
			session_go_on(x->session);
		}
		return;
	}
	/* it is the first of the queue, or had not been begun */
	stream_free(&x->stream);
	x->state = EXCHANGE_SENT;
	exchange_on_reply(x, &reply, true);
	session_go_on(x->session);
}

static const struct subscriber_ops subscriber_ops = {
    .on_message = on_message, .on_refused = on_refused};

bool
stream_begin(struct exchange *x)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	struct session *session = x->session;
	struct lane_key key = exchange_key(x);
	struct resp_cursor c = {buf_slice(&x->request)};
	struct resp_item item;
	enum hub_kind kind = HUB_CHANNEL;
	bool subscribes = true;
	int err = 0;

	(void)hub_kind_of(x->call.command->id, &kind, &subscribes);
	s->exchange = x;
	s->chunked = !x->old_version;
	s->events =
	    x->wants_events && x->call.wish.kind == RENDER_JSON && x->call.wish.jsonp.len == 0;
	ev_timer_init(&s->ping, on_ping, PING_S, PING_S);
	s->ping.data = s;
	subscriber_init(&s->subscriber, x->httpd, &subscriber_ops, s);
	x->stream = s;
	x->give_up_ms = clock_mono_ms() + x->httpd->conf->proxy_hold_ms;
	session_renew(x->session);
	/* the array's header, and the name of the command */
	if (!resp_cursor_next(&c, &item) || !resp_cursor_next(&c, &item)) {
		err = -EBADMSG;
	}
	/* a confirmation may come at once, and end the session */
	while (err == 0 && session->conn != NULL && resp_cursor_next(&c, &item)) {
		err = hub_subscribe(&s->subscriber, &key, kind, item.str);
	}
	if (err < 0 && session->conn != NULL) {
		stream_refuse(x, "a request subscribes to 10000 channels at most");
		x->answer(x);
		return true;
	}
	return false;
}

bool
stream_has_begun(const struct stream *s)
{
	return s->began;
}

void
stream_end(struct exchange *x)
{
	bool chunked = !x->old_version;

	if (!x->session->streams) {
		stream_refuse(x, "this process is stopping; try again");
		return;
	}
	if (chunked && conn_write(x->session->conn, "0\r\n\r\n", sizeof("0\r\n\r\n") - 1) < 0) {
		x->session->broken = true;
	}
	stream_free(&x->stream);
	exchange_drop_lane(x);
	events_free(&x->events);
	x->session->streams = false;
	x->state = EXCHANGE_REPLIED;
}

void
stream_free(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s != NULL) {
		ev_timer_stop(loop_ev(s->exchange->httpd->loop), &s->ping);
		subscriber_fini(&s->subscriber);
		free(s);
	}
}
