/*
 * What a lane holds because no wire takes it: how long, in what order it goes, and what becomes of requests whose wire
 * ended before they were answered.
 *
 *   pending_push ────────┐
 *   a wire that ended ───┴→ pending ┬→ pending_release: the next wire
 *                                   └→ sweep: -MASTERDOWN after hold_ms; -UNCERTAIN and what was cut, in their turn
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "backend/backend_priv.h"
#include "base/clock.h"

#define SWEEP_LEAST_MS   20
#define CONNECT_GRACE_MS 1000 /* with a route, even when hold_ms is less */

static void
pop(struct lane *lane)
{
	struct backend *b = lane->backend;
	const struct flight *f = queue_at(&lane->pending, 0);

	b->stats.held_count--;
	b->stats.held_bytes -= (size_t)f->len;
	queue_pop(&lane->pending);
}

static uint64_t
hold_limit(const struct lane *lane)
{
	const struct backend *b = lane->backend;

	return backend_is_routing(b) ? MAX(b->conf.hold_ms, (uint64_t)CONNECT_GRACE_MS)
				     : b->conf.hold_ms;
}

static void
arm_expire(struct lane *lane, uint64_t in_ms)
{
	struct ev_loop *ev = loop_ev(lane->backend->loop);

	if (!ev_is_active(&lane->expire)) {
		ev_timer_set(
		    &lane->expire, (double)MAX(in_ms, (uint64_t)SWEEP_LEAST_MS) / 1000., 0.);
		ev_timer_start(ev, &lane->expire);
	}
}

int
pending_push(struct lane *lane, const struct flight *f, struct slice raw)
{
	struct backend *b = lane->backend;
	struct flight held = *f;
	int err;

	if (b->stats.held_count >= b->conf.held_count_max ||
	    b->stats.held_bytes + (size_t)f->len > b->conf.held_bytes_max) {
		return -ENOBUFS;
	}
	held.since = clock_mono_ms();
	err = queue_push(&lane->pending, &held, raw);
	if (err == 0) {
		b->stats.held_count++;
		b->stats.held_bytes += (size_t)f->len;
		arm_expire(lane, hold_limit(lane));
	}
	return err;
}

void
pending_clear(struct lane *lane)
{
	while (lane->pending.count > 0) {
		pop(lane);
	}
}

/* Once for each, however often it is held. */
static void
count_held(struct backend *b, struct flight *f)
{
	if (f->since != 0 && (f->flags & (FLIGHT_COUNTED | LANE_SILENT | LANE_UNCOUNTED)) == 0) {
		f->flags |= FLIGHT_COUNTED;
		metrics_add_held(b->metrics, f->flags >> LANE_COMMAND_SHIFT,
		    (clock_mono_ms() - f->since) * 1000);
	}
}

/* Answers and drops what need not wait any longer: `now` 0 looks at local answers only. */
static void
sweep(struct lane *lane, uint64_t now)
{
	struct backend *b = lane->backend;
	uint64_t limit = hold_limit(lane), next = UINT64_MAX;
	uint32_t pass = ++b->pass;
	char expired[64];

	(void)snprintf(expired, sizeof(expired), "-MASTERDOWN no master within %llu ms\r\n",
	    (unsigned long long)b->conf.hold_ms);
	for (size_t i = 0; i < lane->pending.count; i++) {
		struct flight *f = queue_at(&lane->pending, i);
		struct requester *r = f->who;

		if (r == NULL) {
			continue;
		}
		if ((f->flags & FLIGHT_LOCAL) != 0 ? r->pass == pass : f->since + limit > now) {
			/* it waits, and so does what the same requester asked after it */
			r->pass = pass;
			if ((f->flags & FLIGHT_LOCAL) == 0) {
				next = MIN(next, f->since + limit);
			}
			continue;
		}
		f->who = NULL;
		b->stats.uncertain += (f->flags & FLIGHT_UNCERTAIN) != 0;
		b->stats.expired += (f->flags & FLIGHT_LOCAL) == 0;
		count_held(b, f);
		requester_answer(
		    b, r, f, (f->flags & FLIGHT_LOCAL) != 0 ? flight_local_error(f) : expired);
	}
	while (lane->pending.count > 0 && queue_at(&lane->pending, 0)->who == NULL) {
		pop(lane);
	}
	if (lane->pending.count == 0) {
		queue_release(&lane->pending);
	} else if (next != UINT64_MAX && now != 0) {
		arm_expire(lane, next - now);
	}
}

static void
on_expire(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct lane *lane = OBJ_CAST((struct lane *)timer->data, LANE_MAGIC);

	sweep(lane, clock_mono_ms());
	lane_wake(lane);
}

void
pending_release(struct lane *lane)
{
	struct wire *w = lane->wire;

	while (lane->pending.count > 0) {
		struct flight f = *queue_at(&lane->pending, 0);

		if (f.who != NULL) {
			count_held(lane->backend, &f);
			if ((f.flags & LANE_BLOCKS) != 0) {
				wire_ask_id(w);
			}
			if (queue_push(&w->queue, &f, queue_front_bytes(&lane->pending)) < 0) {
				break;
			}
			f.who->queue = &w->queue;
			lane->backend->stats.sent++;
		}
		pop(lane);
	}
	if (lane->pending.count == 0) {
		queue_release(&lane->pending);
		ev_timer_stop(loop_ev(lane->backend->loop), &lane->expire);
	}
	wire_ask_flush(w);
	lane_wake(lane);
}

void
pending_refuse(struct lane *lane, struct slice error)
{
	/* each of those who wait now gets the server's word; what they ask next tries again */
	for (size_t n = lane->pending.count; n > 0 && lane->pending.count > 0; n--) {
		struct flight f = *queue_at(&lane->pending, 0);

		pop(lane);
		if (f.who != NULL) {
			struct lane_reply reply = {
			    .raw = error, .first = true, .last = true, .type = '-'};

			(void)backend_tick(lane->backend);
			flight_answered(lane->backend, &f, true);
			requester_settle(f.who, f.len);
			f.who->ops->on_reply(f.who->owner, &reply);
		}
	}
	lane_wake(lane);
}

/* ---- a wire ended ---- */

/* What becomes of a request whose wire ended before its reply: flags to be added. */
static uint32_t
fate(const struct flight *f, bool was_sent)
{
	bool whole = (f->flags & FLIGHT_OPEN) == 0;

	if ((f->flags & FLIGHT_LOCAL) != 0) {
		return 0;
	}
	if (!was_sent || !whole) {
		return (f->flags & FLIGHT_STREAM) != 0 ? FLIGHT_CUT : 0;
	}
	if ((f->flags & LANE_READ) == 0) {
		return FLIGHT_UNCERTAIN;
	}
	return (f->flags & FLIGHT_STREAM) != 0 ? FLIGHT_CUT : 0;
}

static void
take_back_queue(
    struct lane *lane, struct queue *from, struct queue *into, bool in_flight, uint64_t sent)
{
	struct backend *b = lane->backend;
	uint64_t now = clock_mono_ms(), end = 0;

	for (; from->count > 0; queue_pop(from)) {
		struct flight f = *queue_at(from, 0);
		struct slice raw = queue_front_bytes(from);
		uint32_t flags;
		bool was_sent;

		end += (f.flags & FLIGHT_LOCAL) == 0 ? f.len : 0;
		was_sent = in_flight && end <= sent;
		flags = in_flight ? fate(&f, was_sent) : 0;
		if (f.who == NULL) {
			continue;
		}
		b->stats.sent_again += was_sent && flags == 0;
		f.flags |= flags;
		if (!flight_is_kept(&f)) {
			raw = (struct slice){NULL, 0};
		}
		if (f.since == 0) {
			f.since = now;
		}
		if (queue_push(into, &f, raw) < 0) {
			f.flags |= FLIGHT_UNCERTAIN;
			requester_answer(b, f.who, &f, flight_local_error(&f));
			continue;
		}
		f.who->queue = &lane->pending;
		b->stats.held_count++;
		b->stats.held_bytes += (size_t)f.len;
	}
}

/* A reply that was handed on in part cannot be mended: its client must be closed. */
static void
cut_begun(struct backend *b, struct queue *q)
{
	struct flight *f = q->count > 0 ? queue_at(q, 0) : NULL;

	if (f != NULL && f->who != NULL && (f->flags & FLIGHT_BEGUN) != 0) {
		struct requester *r = f->who;

		f->who = NULL;
		requester_answer(b, r, f, "");
	}
}

void
pending_take_back(struct lane *lane, struct wire *w, uint64_t sent)
{
	struct queue first;

	cut_begun(lane->backend, &w->queue);
	queue_init(&first);
	take_back_queue(lane, &w->retry, &first, false, 0);
	take_back_queue(lane, &w->queue, &first, true, sent);
	for (; lane->pending.count > 0; queue_pop(&lane->pending)) {
		struct flight f = *queue_at(&lane->pending, 0);

		if (queue_push(&first, &f, queue_front_bytes(&lane->pending)) < 0 &&
		    f.who != NULL) {
			requester_answer(lane->backend, f.who, &f, flight_local_error(&f));
		}
	}
	queue_fini(&lane->pending);
	lane->pending = first;
	sweep(lane, 0);
	if (lane->pending.count > 0) {
		arm_expire(lane, 0);
	}
}

void
pending_init(struct lane *lane)
{
	queue_init(&lane->pending);
	ev_init(&lane->expire, on_expire);
	lane->expire.data = lane;
}
