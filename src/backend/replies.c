/*
 * What comes over a wire, reply by reply: each goes to whoever asked the oldest request there.
 *
 *   bytes → scan → run (a reply, or a part of one) ┬ of the setup
 *                                                  ├ unasked: a push, a raw lane
 *                                                  ├ a refusal: the request is sent again, and with it what the same one asked after it
 *                                                  └ handed on
 */
#include <assert.h>

#include "backend/backend_priv.h"
#include "backend/refusal.h"
#include "resp/reader.h"

#define ERROR_MAX      ((size_t)64 * 1024)
#define SHORT_BYTES    32
#define IDLE_BYTES_MAX ((size_t)64 * 1024)
#define RAW_WHOLE_MAX  ((size_t)16 * 1024)

static void
pop(struct wire *w)
{
	struct flight *f = queue_at(&w->queue, 0);

	w->popped_bytes += (f->flags & FLIGHT_LOCAL) == 0 ? f->len : 0;
	if ((f->flags & FLIGHT_STREAM) != 0) {
		backend_stream_ended(w->lane->backend);
	}
	if (flight_is_kept(f)) {
		assert(w->flushed >= f->len);
		w->flushed -= (size_t)f->len;
	}
	queue_pop(&w->queue);
	if (w->flushed == 0 && buf_len(&w->queue.bytes) > 0) {
		wire_ask_flush(w); /* what has gathered */
	}
}

/* Those that are to be answered here have come to the front. */
static void
answer_local(struct wire *w)
{
	while (w->conn != NULL && w->queue.count > 0) {
		struct flight f = *queue_at(&w->queue, 0);

		if ((f.flags & FLIGHT_LOCAL) == 0) {
			return;
		}
		pop(w);
		if (f.who != NULL) {
			requester_answer(w->lane->backend, f.who, &f, flight_local_error(&f));
		}
	}
}

/* Moves the first flight to those that are sent again; `flags` are added to its own. */
static void
keep_for_retry(struct wire *w, uint32_t flags)
{
	struct flight f = *queue_at(&w->queue, 0);
	struct slice raw = queue_front_bytes(&w->queue);

	if ((f.flags & FLIGHT_STREAM) != 0 && (flags & FLIGHT_LOCAL) == 0) {
		flags |= FLIGHT_CUT; /* its bytes are gone, but it was refused */
	}
	f.flags |= flags;
	if ((f.flags & FLIGHT_LOCAL) != 0) {
		raw = (struct slice){NULL, 0};
	}
	f.who->pass = w->pass;
	if (queue_push(&w->retry, &f, raw) < 0) {
		requester_answer(
		    w->lane->backend, f.who, &f, "-ERR out of memory in the proxy\r\n");
	}
}

/* True when the first reply is not for its requester, for what it asked before is to be sent again. */
static bool
held_for_order(struct wire *w, const struct flight *f)
{
	return w->retry.count > 0 && f->who != NULL && f->who->pass == w->pass;
}

/* The first part of a large value for one of many: its rest is read and thrown away, and the
 * requester asks again where nobody is behind it. */
static bool
is_to_detour(const struct wire *w, const struct flight *f)
{
	return (f->flags & LANE_READ) != 0 && !w->lane->is_own && w->scan.type == '$' &&
	       w->scan.bytes >= LANE_LARGE && f->who != NULL && f->who->unanswered == 1 &&
	       f->who->ops->on_large != NULL;
}

static void
detour(struct wire *w)
{
	struct flight *f = queue_at(&w->queue, 0);
	struct requester *r = f->who;

	f->who = NULL;
	requester_settle(r, f->len);
	r->ops->on_large(r->owner, queue_front_bytes(&w->queue));
}

/* HELLO's reply: names, each before its value. */
static void
on_id(struct wire *w, struct slice run, bool first, bool last)
{
	struct resp_cursor c = {run};
	struct resp_item item;

	while (first && last && resp_cursor_next(&c, &item)) {
		if (item.type == RESP_BULK && slice_eq(item.str, "id") &&
		    resp_cursor_next(&c, &item) && item.type == RESP_INT && item.number > 0) {
			w->server_id = (uint64_t)item.number;
			break;
		}
	}
	if (last) {
		pop(w);
	}
}

static void
hand_on(struct wire *w, struct slice run, bool first, bool last)
{
	struct flight f = *queue_at(&w->queue, 0);
	struct requester *r = f.who;
	struct lane_reply reply = {
	    run, first, last, (char)w->scan.type, false, (f.flags & LANE_READ) != 0, w->process};

	if ((f.flags & FLIGHT_ID) != 0) {
		on_id(w, run, first, last);
		return;
	}
	if (first && !last && is_to_detour(w, &f)) {
		detour(w);
		return;
	}
	if (last) {
		pop(w);
		if (r != NULL) {
			requester_settle(r, f.len);
		}
		flight_answered(w->lane->backend, &f, w->scan.type == '-');
		w->lane->backend->stats.answered++;
	} else {
		queue_at(&w->queue, 0)->flags |= FLIGHT_BEGUN;
	}
	if (r == NULL || (f.flags & LANE_SILENT) != 0) {
		return;
	}
	r->ops->on_reply(r->owner, &reply);
	if (!last && w->conn != NULL && queue_at(&w->queue, 0)->who != NULL && r->slow) {
		wire_set_slow(w, r, true);
	}
}

static void
on_answer(struct wire *w, struct slice run, bool first, bool last)
{
	struct flight *f = queue_at(&w->queue, 0);

	if (first && last && w->scan.type == '-' && (f->flags & LANE_AS_IS) == 0 &&
	    !w->lane->pinned && refusal_is_one(run)) {
		struct lane *lane = w->lane;

		if (w->retry.count == 0) {
			w->pass = ++lane->backend->pass;
		}
		if (f->who != NULL) {
			keep_for_retry(w, 0);
		}
		pop(w);
		/* it closes the link behind that word, and reads no further */
		w->rest_is_undone = refusal_is_unblocked(run);
		wire_suspect(w, "the server is no proper master");
		if (w->conn != NULL) {
			wire_step(w, w->rest_is_undone ? WIRE_LOST : WIRE_TURNED);
		}
	} else if (held_for_order(w, f)) {
		if (last) {
			keep_for_retry(w, (f->flags & LANE_READ) != 0 ? 0 : FLIGHT_UNCERTAIN);
			pop(w);
		}
	} else {
		hand_on(w, run, first, last);
	}
	if (last) {
		answer_local(w);
		if (w->conn != NULL && w->queue.count == 0) {
			if (w->queue.bytes.cap > IDLE_BYTES_MAX) {
				queue_release(&w->queue);
			}
			if (w->state == WIRE_DRAINING) {
				wire_step(w, WIRE_EMPTY);
			}
		}
	}
}

static void
on_setup_answer(struct wire *w, struct slice run)
{
	w->setup_left--;
	if (run.ptr[0] == '-' && !(w->setup_name && w->setup_left == 0)) {
		struct lane *lane = w->lane;

		if (refusal_is_one(run)) {
			wire_step(w, WIRE_LOST);
			return;
		}
		pending_refuse(lane, run);
		if (w->conn != NULL) {
			wire_step(w, WIRE_REFUSED);
		}
		return;
	}
	if (w->setup_left == 0) {
		wire_step(w, WIRE_SET_UP);
	}
}

/* Has the server got the request that this would be the reply to? */
static bool
is_asked(struct wire *w)
{
	const struct flight *f;

	if (w->queue.count == 0) {
		return false;
	}
	f = queue_at(&w->queue, 0);
	return !flight_is_kept(f) || w->flushed >= f->len;
}

/* One reply, or a part of it. */
static void
on_run(struct wire *w, struct slice run, bool last)
{
	bool first = !w->in_reply;

	w->in_reply = !last;
	if (w->state == WIRE_SETUP) {
		if (last) {
			on_setup_answer(w, run);
		} else {
			wire_step(w, WIRE_LOST);
		}
	} else if (w->lane->raw || w->scan.type == '>') {
		struct requester *r = w->lane->requester;
		struct lane_reply reply = {
		    run, first, last, (char)w->scan.type, false, true, w->process};

		if (r != NULL) {
			r->ops->on_reply(r->owner, &reply);
		}
		if (w->conn != NULL && w->state == WIRE_DRAINING && w->lane->raw && last &&
		    wire_is_idle(w)) {
			wire_step(w, WIRE_EMPTY);
		}
	} else if (!is_asked(w)) {
		/* "max number of clients reached", or out of step: not to be trusted any more */
		wire_step(w, WIRE_LOST);
	} else {
		on_answer(w, run, first, last);
	}
}

/* Is this partial reply to be shown again as a whole? */
static bool
wants_whole(struct wire *w, struct slice part)
{
	uint32_t flags = w->queue.count > 0 ? queue_at(&w->queue, 0)->flags : 0;

	if (w->in_reply) {
		return false;
	}
	if (part.len < SHORT_BYTES) {
		return true; /* so that the length of a value is always seen with its first part */
	}
	if (w->scan.type == '-' || w->state == WIRE_SETUP) {
		return part.len < ERROR_MAX;
	}
	if (w->lane->raw || w->scan.type == '>') {
		return part.len < RAW_WHOLE_MAX;
	}
	return (flags & LANE_WHOLE) != 0 && part.len < LANE_WHOLE_MAX;
}

size_t
replies_read(struct wire *w, struct slice in)
{
	size_t at = 0;

	while (at < in.len) {
		struct slice rest = {in.ptr + at, in.len - at};
		struct slice fresh = {rest.ptr + w->scanned, rest.len - w->scanned};
		size_t used = 0;

		switch (resp_reply_scan(&w->scan, fresh, &used)) {
		case RESP_REPLY_BAD:
			wire_step(w, WIRE_LOST);
			return in.len;
		case RESP_REPLY_MORE:
			if (wants_whole(w, rest)) {
				w->scanned = rest.len;
				return at;
			}
			w->scanned = 0;
			on_run(w, rest, false);
			return in.len;
		case RESP_REPLY_DONE:
			used += w->scanned;
			w->scanned = 0;
			on_run(w, (struct slice){rest.ptr, used}, true);
			at += used;
			break;
		}
		if (w->conn == NULL) {
			return in.len;
		}
		if (conn_is_paused(w->conn)) {
			break;
		}
	}
	return at;
}
