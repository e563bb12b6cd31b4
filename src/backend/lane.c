/*
 * Lanes: who has one, and the wire that it sends on. While there is none, its requests are pending (pending.c).
 */
#include "backend/lane.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "base/clock.h"
#include "base/mem.h"

#define REQUESTS_MAX   1024
#define REQUEST_BYTES  ((size_t)256 * 1024) /* kept for one requester */
#define WIRE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define RETRY_FIRST_MS 2
#define RETRY_MOST_MS  250

/* ---- those who wait for room ---- */

void
lane_wake(struct lane *lane)
{
	struct list woken, *item;

	/* those who are full again wait for the next time */
	list_init(&woken);
	list_move(&woken, &lane->waiting);
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
	pending_init(lane);
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
	free(lane->more);
	free(lane->user);
	free(lane->password);
	queue_fini(&lane->pending);
	lane->magic = 0;
	free(lane);
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
	pending_clear(lane);
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

void
lane_set_more(struct lane *lane, struct slice requests, unsigned count)
{
	assert(lane->is_own);
	free(lane->more);
	lane->more = requests.len > 0 ? xcalloc(1, requests.len) : NULL;
	if (requests.len > 0) {
		memcpy(lane->more, requests.ptr, requests.len);
	}
	lane->more_len = requests.len;
	lane->more_count = count;
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
static struct queue *
target(struct lane *lane)
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

int
lane_send(struct requester *r, struct lane *lane, struct slice raw, unsigned flags)
{
	struct backend *b = lane->backend;
	struct queue *q = target(lane);
	struct flight f = {
	    .who = r, .len = raw.len, .flags = flags, .arrived_us = (uint32_t)b->now_us};
	int err;

	if (lane->raw && lane->wire != NULL && lane->wire->state == WIRE_UP) {
		return wire_stream(lane->wire, raw);
	}
	assert(r->unanswered == 0 || r->queue == q);
	if (q->wire != NULL) {
		if ((flags & LANE_BLOCKS) != 0) {
			wire_ask_id(q->wire);
		}
		err = queue_push(q, &f, raw);
		if (err == 0) {
			wire_ask_flush(q->wire);
			b->stats.sent++;
		}
	} else {
		err = pending_push(lane, &f, raw);
		if (err == 0) {
			connect_lane(lane);
		}
	}
	if (err == 0) {
		r->queue = q;
		r->unanswered++;
		r->kept_bytes += (uint32_t)MIN(raw.len, (size_t)(UINT32_MAX - r->kept_bytes));
	}
	return err;
}

uint64_t
lane_blocked_id(const struct lane *lane, struct endpoint *ret_at)
{
	const struct requester *r = lane->requester;
	const struct wire *w = r != NULL && r->queue != NULL ? r->queue->wire : NULL;

	if (w == NULL || w->generation != lane->backend->generation || w->server_id == 0) {
		return 0;
	}
	*ret_at = lane->backend->master.at;
	return w->server_id;
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
	struct queue *q = target(lane);
	bool full = r->unanswered >= REQUESTS_MAX || r->kept_bytes >= REQUEST_BYTES ||
		    (r->unanswered > 0 && r->queue != q) ||
		    (q->wire != NULL &&
			(buf_len(&q->bytes) >= WIRE_BYTES_MAX || conn_is_full(q->wire->conn)));

	if (full && list_is_empty(&r->waiting)) {
		list_push(&lane->waiting, &r->waiting);
	}
	return full;
}

void
lane_go(struct lane *lane)
{
	if (lane->wire != NULL && lane->wire->state == WIRE_UP) {
		if (backend_is_routing(lane->backend)) {
			pending_release(lane);
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

/* ---- a wire ended ---- */

/* How many of the last requests on the wire its socket did not take whole. */
static unsigned
count_unsent(struct wire *w, uint64_t sent)
{
	uint64_t end = 0;
	unsigned n = 0;

	for (size_t i = 0; i < w->queue.count; i++) {
		const struct flight *f = queue_at(&w->queue, i);

		end += (f->flags & FLIGHT_LOCAL) == 0 ? f->len : 0;
		n += f->who != NULL && (end > sent || (f->flags & FLIGHT_OPEN) != 0);
	}
	return n;
}

void
lane_take_back(struct lane *lane, struct wire *w, uint64_t sent)
{
	struct requester *r = lane->requester;

	lane_on_wire_closed(lane, w);
	if (!w->was_up) {
		back_off(lane);
	} else if (lane->pinned && r != NULL) {
		unsigned unanswered = r->unanswered;
		unsigned unsent = count_unsent(w, sent) + (unsigned)lane->pending.count;

		queue_fini(&w->queue);
		pending_clear(lane);
		r->unanswered = 0;
		r->kept_bytes = 0;
		r->queue = NULL;
		if (r->ops->on_lost != NULL) {
			r->ops->on_lost(r->owner, lane, unanswered, unsent);
		}
		lane_wake(lane); /* nothing is out any more; closed within, it has nobody waiting */
		return;
	}
	if (w->was_up && lane->is_own && r != NULL && r->ops->on_lost != NULL) {
		r->ops->on_lost(r->owner, lane, 0, 0);
	}
	pending_take_back(lane, w, sent);
	if (lane->pending.count > 0) {
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
	list_move(&todo, &lane->wires);
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
