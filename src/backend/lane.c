/*
 * Lanes and those who send over them. A lane's requests are on its wire, or pending while there is
 * none; lane_take_back decides what becomes of requests whose wire ended.
 */
#include "backend/lane.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "base/clock.h"
#include "base/mem.h"

#define REQUESTS_MAX     1024
#define REQUEST_BYTES    ((size_t)256 * 1024) /* kept for one requester */
#define WIRE_BYTES_MAX   ((size_t)16 * 1024 * 1024)
#define SWEEP_LEAST_MS   20
#define CONNECT_GRACE_MS 1000 /* with a route, even when hold_ms is less */
#define RETRY_FIRST_MS   2
#define RETRY_MOST_MS    250

static const char uncertain_error[] =
    "-UNCERTAIN master lost before it answered; the write may or may not have happened\r\n";
static const char cut_error[] =
    "-MASTERDOWN master lost while the request was on its way; it was not executed\r\n";

const char *
flight_local_error(const struct flight *f)
{
	return (f->flags & FLIGHT_UNCERTAIN) != 0 ? uncertain_error : cut_error;
}

/* ---- requesters ---- */

void
requester_init(struct requester *r, const struct requester_ops *ops, void *owner)
{
	*r = (struct requester){.ops = ops, .owner = owner};
	list_init(&r->waiting);
}

void
requester_fini(struct requester *r)
{
	list_del(&r->waiting);
	if (r->queue != NULL) {
		struct wire *w = r->queue->wire;

		requester_set_slow(r, false);
		if (w != NULL) {
			(void)queue_forget(&w->retry, r);
		}
		(void)queue_forget(r->queue, r);
		r->queue = NULL;
	}
	r->unanswered = 0;
	if (r->own != NULL) {
		r->own->requester = NULL;
		r->own = NULL;
	}
}

void
requester_set_slow(struct requester *r, bool slow)
{
	struct wire *w = r->queue != NULL ? r->queue->wire : NULL;

	r->slow = slow;
	if (r->own != NULL) {
		w = r->own->wire;
	} else if (w != NULL && !slow &&
		   (w->queue.count == 0 || queue_at(&w->queue, 0)->who != r)) {
		return; /* if it is stalled, then for another */
	}
	if (w != NULL) {
		wire_set_slow(w, r, slow);
	}
}

void
requester_settle(struct requester *r, uint64_t len)
{
	assert(r->unanswered > 0);
	r->kept_bytes -= (uint32_t)MIN(len, (uint64_t)r->kept_bytes);
	if (--r->unanswered == 0) {
		r->queue = NULL;
	}
}

void
flight_answered(struct backend *b, const struct flight *f, bool error)
{
	if ((f->flags & (LANE_SILENT | LANE_UNCOUNTED)) == 0) {
		/* a difference of the lower halves: right for an hour */
		metrics_add(b->metrics, f->flags >> LANE_COMMAND_SHIFT, error,
		    (uint32_t)b->now_us - f->arrived_us);
	}
}

void
requester_answer(struct backend *b, struct requester *r, const struct flight *f, const char *error)
{
	struct lane_reply reply = {
	    .raw = slice_str(error), .first = true, .last = true, .type = '-', .local = true};

	if (error[0] == '\0') {
		reply.first = false;
	}
	(void)backend_tick(b);
	flight_answered(b, f, true);
	requester_settle(r, f->len);
	r->ops->on_reply(r->owner, &reply);
}

void
lane_wake(struct lane *lane)
{
	struct list woken, *item;

	/* those who are full again wait for the next time */
	list_init(&woken);
	while ((item = list_shift(&lane->waiting)) != NULL) {
		list_push(&woken, item);
	}
	while ((item = list_shift(&woken)) != NULL) {
		struct requester *r = CONTAINER_OF(item, struct requester, waiting);

		r->ops->on_room(r->owner);
	}
}

/* ---- lanes ---- */

static char *
dup_slice(struct slice s)
{
	return s.ptr != NULL ? xstrndup((const char *)s.ptr, s.len) : NULL;
}

static bool
key_eq(const struct lane *l, const struct lane_key *key)
{
	return l->database == key->database && l->protocol == key->protocol &&
	       (l->user == NULL) == (key->user.ptr == NULL) && l->user_len == key->user.len &&
	       (l->password == NULL) == (key->password.ptr == NULL) &&
	       l->password_len == key->password.len &&
	       (l->user_len == 0 || memcmp(l->user, key->user.ptr, l->user_len) == 0) &&
	       (l->password_len == 0 ||
		   memcmp(l->password, key->password.ptr, l->password_len) == 0);
}

static void on_expire(struct ev_loop *ev, ev_timer *timer, int revents);
static void on_retry(struct ev_loop *ev, ev_timer *timer, int revents);

static struct lane *
lane_new(struct backend *b, const struct lane_key *key)
{
	struct lane *lane = xcalloc(1, sizeof(*lane));

	*lane = (struct lane){.magic = LANE_MAGIC,
	    .backend = b,
	    .user = dup_slice(key->user),
	    .password = dup_slice(key->password),
	    .user_len = key->user.len,
	    .password_len = key->password.len,
	    .database = key->database,
	    .protocol = key->protocol};
	list_init(&lane->wires);
	list_init(&lane->waiting);
	queue_init(&lane->pending);
	ev_init(&lane->expire, on_expire);
	lane->expire.data = lane;
	ev_init(&lane->retry, on_retry);
	lane->retry.data = lane;
	list_push(&b->lanes, &lane->link);
	b->stats.lanes++;
	return lane;
}

static void
free_now(void *obj)
{
	struct lane *lane = obj;

	if (lane->password != NULL) {
		explicit_bzero(lane->password, lane->password_len);
	}
	free(lane->user);
	free(lane->password);
	queue_fini(&lane->pending);
	lane->magic = 0;
	free(lane);
}

static void
pop_pending(struct lane *lane)
{
	struct backend *b = lane->backend;
	const struct flight *f = queue_at(&lane->pending, 0);

	b->stats.held_count--;
	b->stats.held_bytes -= (size_t)f->len;
	queue_pop(&lane->pending);
}

void
lane_free(struct lane **lp)
{
	struct lane *lane = *lp;
	struct ev_loop *ev;

	*lp = NULL;
	if (lane == NULL) {
		return;
	}
	ev = loop_ev(lane->backend->loop);
	ev_timer_stop(ev, &lane->expire);
	ev_timer_stop(ev, &lane->retry);
	lane->wire = NULL;
	while (!list_is_empty(&lane->wires)) {
		wire_drop(CONTAINER_OF(lane->wires.next, struct wire, link));
	}
	while (lane->pending.count > 0) {
		pop_pending(lane);
	}
	while (list_shift(&lane->waiting) != NULL) {
	}
	if (lane->requester != NULL) {
		lane->requester->own = NULL;
		lane->requester->queue = NULL;
		lane->requester->unanswered = 0;
		lane->requester = NULL;
	}
	list_del(&lane->link);
	lane->backend->stats.lanes--;
	loop_bury(lane->backend->loop, free_now, lane);
}

struct lane *
lane_shared(struct backend *b, const struct lane_key *key)
{
	struct lane *lane;

	list_for_each (item, &b->lanes) {
		lane = CONTAINER_OF(item, struct lane, link);
		if (!lane->is_own && key_eq(lane, key)) {
			lane->refs++;
			return lane;
		}
	}
	lane = lane_new(b, key);
	lane->refs = 1;
	return lane;
}

struct lane *
lane_own(struct backend *b, const struct lane_key *key, struct requester *r)
{
	struct lane *lane = NULL;

	assert(r->own == NULL);
	list_for_each (item, &b->spares) {
		struct lane *spare = CONTAINER_OF(item, struct lane, link);

		if (key_eq(spare, key)) {
			lane = spare;
			list_del(&lane->link);
			list_push(&b->lanes, &lane->link);
			b->spare_count--;
			break;
		}
	}
	if (lane == NULL) {
		lane = lane_new(b, key);
		lane->is_own = true;
	}
	lane->refs = 1;
	lane->requester = r;
	r->own = lane;
	return lane;
}

void
lane_release(struct lane **lp)
{
	struct lane *lane = *lp;

	*lp = NULL;
	if (lane == NULL) {
		return;
	}
	assert(lane->refs > 0);
	if (--lane->refs > 0) {
		return;
	}
	if (lane->is_own) {
		lane_free(&lane);
		return;
	}
	lane->idle_since_ms = clock_mono_ms(); /* the pool frees it when nobody comes back */
}

void
lane_return(struct lane **lp)
{
	struct lane *lane = *lp;
	struct backend *b = lane->backend;

	*lp = NULL;
	assert(lane->is_own && lane->refs == 1);
	if (lane->wire != NULL && lane->wire->stalled) {
		wire_set_slow(lane->wire, lane->requester, false);
	}
	if (lane->requester != NULL) {
		lane->requester->own = NULL;
		lane->requester = NULL;
	}
	if (lane->wire == NULL || lane->wire->state != WIRE_UP || lane->wire->queue.count > 0 ||
	    lane->pending.count > 0 || b->spare_count >= 64) {
		lane_free(&lane);
		return;
	}
	lane->pinned = false;
	lane->raw = false;
	lane->refs = 0;
	lane->idle_since_ms = clock_mono_ms();
	list_del(&lane->link);
	list_unshift(&b->spares, &lane->link);
	b->spare_count++;
}

void
lane_set_key(struct lane *lane, const struct lane_key *key)
{
	assert(lane->is_own);
	if (lane->password != NULL) {
		explicit_bzero(lane->password, lane->password_len);
	}
	free(lane->user);
	free(lane->password);
	lane->user = dup_slice(key->user);
	lane->password = dup_slice(key->password);
	lane->user_len = key->user.len;
	lane->password_len = key->password.len;
	lane->database = key->database;
	lane->protocol = key->protocol;
}

bool
lane_is_own(const struct lane *lane)
{
	return lane->is_own;
}

void
lane_set_pinned(struct lane *lane, bool pinned)
{
	lane->pinned = pinned;
}

void
lane_set_raw(struct lane *lane, bool raw)
{
	lane->raw = raw;
}

/* ---- sending ---- */

/* Where a request goes that is sent now. */
struct queue *
lane_target(struct lane *lane)
{
	struct wire *w = lane->wire;

	if (w != NULL && w->state == WIRE_UP && lane->pending.count == 0 &&
	    (lane->pinned || backend_is_routing(lane->backend))) {
		return &w->queue;
	}
	return &lane->pending;
}

bool
lane_is_ready(const struct lane *lane)
{
	return lane->wire != NULL && lane->wire->state == WIRE_UP && lane->pending.count == 0 &&
	       (lane->pinned || backend_is_routing(lane->backend));
}

bool
lane_may_stream(const struct lane *lane)
{
	return lane_is_ready(lane) && !lane->backend->preparing;
}

static void
back_off(struct lane *lane)
{
	lane->retry_ms = MIN(MAX(lane->retry_ms * 2, RETRY_FIRST_MS), RETRY_MOST_MS);
	ev_timer_stop(loop_ev(lane->backend->loop), &lane->retry);
	ev_timer_set(&lane->retry, (double)lane->retry_ms / 1000., 0.);
	ev_timer_start(loop_ev(lane->backend->loop), &lane->retry);
}

/* Makes sure that a wire is there or on its way. */
static void
connect_lane(struct lane *lane)
{
	struct backend *b = lane->backend;

	if (lane->wire != NULL || !backend_is_expected(b) || ev_is_active(&lane->retry)) {
		return;
	}
	lane->wire = wire_new(lane);
	if (lane->wire == NULL) {
		back_off(lane);
		backend_suspect(b, "cannot connect to the master");
	}
}

static void
on_retry(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct lane *lane = OBJ_CAST((struct lane *)timer->data, LANE_MAGIC);

	lane_go(lane);
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

static int
push_pending(struct lane *lane, struct flight *f, struct slice raw)
{
	struct backend *b = lane->backend;
	int err;

	if (f->since == 0) {
		f->since = clock_mono_ms();
	}
	err = queue_push(&lane->pending, f, raw);
	if (err == 0) {
		b->stats.held_count++;
		b->stats.held_bytes += (size_t)f->len;
		arm_expire(lane, hold_limit(lane));
	}
	return err;
}

int
lane_send(struct requester *r, struct lane *lane, struct slice raw, unsigned flags)
{
	struct backend *b = lane->backend;
	struct queue *q = lane_target(lane);
	struct flight f = {
	    .who = r, .len = raw.len, .flags = flags, .arrived_us = (uint32_t)b->now_us};
	int err;

	if (lane->raw && lane->wire != NULL && lane->wire->state == WIRE_UP) {
		return wire_stream(lane->wire, raw);
	}
	assert(r->unanswered == 0 || r->queue == q);
	if (q->wire != NULL) {
		err = queue_push(q, &f, raw);
		if (err == 0) {
			wire_ask_flush(q->wire);
			b->stats.sent++;
		}
	} else if (b->stats.held_count >= b->conf.held_count_max ||
		   b->stats.held_bytes + raw.len > b->conf.held_bytes_max) {
		return -ENOBUFS;
	} else {
		err = push_pending(lane, &f, raw);
		connect_lane(lane);
	}
	if (err == 0) {
		r->queue = q;
		r->unanswered++;
		r->kept_bytes += (uint32_t)MIN(raw.len, (size_t)(UINT32_MAX - r->kept_bytes));
	}
	return err;
}

int
lane_send_piece(
    struct requester *r, struct lane *lane, struct slice raw, bool first, bool last, unsigned flags)
{
	struct wire *w = lane->wire;
	struct flight f = {.who = r,
	    .flags = flags | FLIGHT_STREAM | FLIGHT_OPEN,
	    .arrived_us = (uint32_t)lane->backend->now_us};
	int err;

	assert(lane->is_own);
	if (first) {
		assert(lane_is_ready(lane));
		err = queue_push(&w->queue, &f, raw);
		if (err < 0) {
			return err;
		}
		r->queue = &w->queue;
		r->unanswered++;
		wire_set_streaming(w, true);
		lane->backend->stats.sent++;
	}
	if (w == NULL || w->state != WIRE_UP || !w->streaming) {
		return 0; /* lost meanwhile; the reply has said so */
	}
	queue_at(&w->queue, w->queue.count - 1)->len += raw.len;
	err = wire_stream(w, raw);
	if (last && w->state == WIRE_UP) {
		queue_at(&w->queue, w->queue.count - 1)->flags &= ~(uint32_t)FLIGHT_OPEN;
		wire_set_streaming(w, false);
	}
	return err;
}

void
lane_want(struct requester *r, struct lane *lane)
{
	if (list_is_empty(&r->waiting)) {
		list_push(&lane->waiting, &r->waiting);
	}
	connect_lane(lane);
}

bool
lane_is_full(struct requester *r, struct lane *lane)
{
	struct queue *q = lane_target(lane);
	bool full = r->unanswered >= REQUESTS_MAX || r->kept_bytes >= REQUEST_BYTES ||
		    (r->unanswered > 0 && r->queue != q) ||
		    (q->wire != NULL &&
			(buf_len(&q->bytes) >= WIRE_BYTES_MAX || conn_is_full(q->wire->conn)));

	if (full && list_is_empty(&r->waiting)) {
		list_push(&lane->waiting, &r->waiting);
	}
	return full;
}

/* ---- what is held ---- */

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
		pop_pending(lane);
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

/* Moves what is held onto the wire. */
static void
release_pending(struct lane *lane)
{
	struct wire *w = lane->wire;

	while (lane->pending.count > 0) {
		struct flight f = *queue_at(&lane->pending, 0);

		if (f.who != NULL) {
			count_held(lane->backend, &f);
			if (queue_push(&w->queue, &f, queue_front_bytes(&lane->pending)) < 0) {
				break;
			}
			f.who->queue = &w->queue;
			lane->backend->stats.sent++;
		}
		pop_pending(lane);
	}
	if (lane->pending.count == 0) {
		queue_release(&lane->pending);
		ev_timer_stop(loop_ev(lane->backend->loop), &lane->expire);
	}
	wire_ask_flush(w);
	lane_wake(lane);
}

void
lane_go(struct lane *lane)
{
	if (lane->wire != NULL && lane->wire->state == WIRE_UP) {
		if (backend_is_routing(lane->backend)) {
			release_pending(lane);
		}
	} else if (lane->pending.count > 0 || !list_is_empty(&lane->waiting) ||
		   (lane->refs > 0 && !lane->is_own)) {
		connect_lane(lane);
	}
}

void
lane_on_wire_up(struct lane *lane, struct wire *w)
{
	assert(lane->wire == w);
	lane->retry_ms = 0;
	lane_go(lane);
}

void
lane_on_wire_closed(struct lane *lane, struct wire *w)
{
	if (lane->wire == w) {
		lane->wire = NULL;
	}
}

void
lane_on_wire_refused(struct lane *lane, struct slice error)
{
	/* each of those who wait now gets the server's word; what they ask next tries again */
	for (size_t n = lane->pending.count; n > 0 && lane->pending.count > 0; n--) {
		struct flight f = *queue_at(&lane->pending, 0);

		pop_pending(lane);
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
			requester_answer(b, f.who, &f, uncertain_error);
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
lane_take_back(struct lane *lane, struct wire *w, uint64_t sent)
{
	struct requester *r = lane->requester;
	struct queue first;

	lane_on_wire_closed(lane, w);
	if (!w->was_up) {
		back_off(lane);
	} else if (lane->pinned && r != NULL) {
		unsigned unanswered = r->unanswered;

		queue_fini(&w->queue);
		while (lane->pending.count > 0) {
			pop_pending(lane);
		}
		r->unanswered = 0;
		r->kept_bytes = 0;
		r->queue = NULL;
		if (r->ops->on_lost != NULL) {
			r->ops->on_lost(r->owner, lane, unanswered);
		}
		return;
	}
	if (w->was_up && lane->is_own && r != NULL && r->ops->on_lost != NULL) {
		r->ops->on_lost(r->owner, lane, 0);
	}
	cut_begun(lane->backend, &w->queue);
	queue_init(&first);
	take_back_queue(lane, &w->retry, &first, false, 0);
	take_back_queue(lane, &w->queue, &first, true, sent);
	for (; lane->pending.count > 0; queue_pop(&lane->pending)) {
		struct flight f = *queue_at(&lane->pending, 0);

		if (queue_push(&first, &f, queue_front_bytes(&lane->pending)) < 0 &&
		    f.who != NULL) {
			requester_answer(lane->backend, f.who, &f, cut_error);
		}
	}
	queue_fini(&lane->pending);
	lane->pending = first;
	sweep(lane, 0);
	if (lane->pending.count > 0) {
		arm_expire(lane, 0);
		lane_go(lane);
	}
	lane_wake(lane);
}

static void
each_old_wire(struct lane *lane, void (*fn)(struct wire *w))
{
	struct list todo, *item;

	/* callbacks may end wires and the lane, and make new ones */
	list_init(&todo);
	while ((item = list_shift(&lane->wires)) != NULL) {
		list_push(&todo, item);
	}
	while ((item = list_shift(&todo)) != NULL) {
		struct wire *w = CONTAINER_OF(item, struct wire, link);

		list_push(&lane->wires, &w->link);
		if (w->generation != lane->backend->generation) {
			fn(w);
		}
	}
}

void
lane_cut(struct lane *lane)
{
	each_old_wire(lane, wire_cut);
}

void
lane_leave(struct lane *lane)
{
	each_old_wire(lane, wire_leave);
}

void
lane_abandon(struct lane *lane)
{
	struct wire *w = lane->wire;

	assert(lane->is_own);
	list_for_each (item, &lane->wires) {
		struct wire *other = CONTAINER_OF(item, struct wire, link);

		w = other->state == WIRE_DRAINING ? other : w; /* that is where replies come from */
	}
	if (w != NULL) {
		wire_suspect(w, "the server is no proper master");
	}
	if (w != NULL && w->conn != NULL) {
		wire_cut(w);
	}
}
