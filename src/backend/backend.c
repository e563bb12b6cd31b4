/*
 * The pool: which master, is it one (master_probe.c), and what the lanes may do.
 *
 *   none → probing → routing ⇄ paused
 *            ↑__________┘  (a wire broke, ROLE says otherwise, another master)
 */
#include "backend/backend.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "backend/fsm.h"
#include "backend/scripts.h"
#include "base/clock.h"
#include "base/mem.h"
#include "topo/link.h"

#define HELD_BYTES_MAX   ((size_t)64 * 1024 * 1024)
#define HELD_COUNT_MAX   100000
#define STALL_MS         1000
#define GIVE_UP_LEAST_MS 1000
#define REAP_MS          5000
#define IDLE_MS          30000
/* Beyond the pause, whose end the old master may reach by itself. */
#define LEAVE_MORE_MS 1000

enum backend_event { B_MASTER, B_IS_MASTER, B_NOT_MASTER, B_SUSPECT, B_HOLD, B_RELEASE, B_EVENTS };

static const char *const state_names[B_STATES] = {"none", "probing", "routing", "paused"};
static const char *const event_names[B_EVENTS] = {
    "master", "is-master", "not-master", "suspect", "hold", "release"};

static void move_to_master(void *obj);
static void ask_role(void *obj);
static void ask_role_later(void *obj);
static void on_entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row);

static bool
is_paused(void *obj)
{
	const struct backend *b = obj;

	return b->paused;
}

static const struct fsm_row rows[] = {
    {.state = FSM_ANY,
	.event = B_MASTER,
	.action = move_to_master,
	.next = B_PROBING,
	.comment = "another address: wires to the old one are cut, or drain if it was planned"},
    {.state = B_PROBING,
	.event = B_IS_MASTER,
	.guard = is_paused,
	.action = ask_role_later,
	.next = B_PAUSED,
	.comment = "still told to hold"},
    {.state = B_PROBING,
	.event = B_IS_MASTER,
	.action = ask_role_later,
	.next = B_ROUTING,
	.comment = "ROLE says master and it serves"},
    {.state = B_PROBING,
	.event = B_NOT_MASTER,
	.action = ask_role_later,
	.next = FSM_SAME,
	.comment = "not yet, or not any more"},
    {.state = B_PROBING,
	.event = B_SUSPECT,
	.action = ask_role,
	.next = FSM_SAME,
	.comment = "being looked at"},
    {.state = B_ROUTING,
	.event = B_SUSPECT,
	.action = ask_role,
	.next = B_PROBING,
	.comment = "a wire broke or a server refused"},
    {.state = B_ROUTING,
	.event = B_NOT_MASTER,
	.action = ask_role_later,
	.next = B_PROBING,
	.comment = "it was demoted"},
    {.state = B_ROUTING,
	.event = B_IS_MASTER,
	.action = ask_role_later,
	.next = FSM_SAME,
	.comment = "as ever"},
    {.state = B_ROUTING,
	.event = B_HOLD,
	.next = B_PAUSED,
	.comment = "told to hold: a switchover, or no majority of the hosts"},
    {.state = B_PAUSED, .event = B_RELEASE, .next = B_ROUTING, .comment = "it did not come"},
    {.state = B_PAUSED,
	.event = B_SUSPECT,
	.action = ask_role,
	.next = B_PROBING,
	.comment = "lost in the middle of a switchover"},
    {.state = B_PAUSED,
	.event = B_NOT_MASTER,
	.action = ask_role_later,
	.next = B_PROBING,
	.comment = "demoted, the next one is awaited"},
    {.state = B_PAUSED,
	.event = B_IS_MASTER,
	.action = ask_role_later,
	.next = FSM_SAME,
	.comment = "still holding"},
    {.state = FSM_ANY, .event = B_SUSPECT, .next = FSM_SAME, .comment = "nobody to ask"},
    {.state = FSM_ANY, .event = B_HOLD, .next = FSM_SAME, .comment = "holding anyway"},
    {.state = FSM_ANY, .event = B_RELEASE, .next = FSM_SAME, .comment = "nothing to release"},
};

const struct fsm backend_fsm = {.name = "backend",
    .states = state_names,
    .state_count = ARRAY_LEN(state_names),
    .events = event_names,
    .event_count = ARRAY_LEN(event_names),
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = on_entered};

static void
step(struct backend *b, enum backend_event event)
{
	(void)fsm_step(&backend_fsm, b, &b->state, event);
}

bool
backend_is_routing(const struct backend *b)
{
	return b->state == B_ROUTING;
}

bool
backend_is_expected(const struct backend *b)
{
	return b->state == B_ROUTING || b->expected;
}

/* Calls `fn` for each lane; lanes may come and go meanwhile. */
static void
each_lane(struct backend *b, void (*fn)(struct lane *lane))
{
	struct list todo, *item;

	list_init(&todo);
	list_move(&todo, &b->lanes);
	while ((item = list_shift(&todo)) != NULL) {
		list_push(&b->lanes, item);
		fn(CONTAINER_OF(item, struct lane, link));
	}
}

static void
tell(struct backend *b, bool route)
{
	list_for_each_safe (item, next, &b->watchers) {
		struct backend_watcher *w = CONTAINER_OF(item, struct backend_watcher, link);

		if (route) {
			w->on_route(w->arg, &b->master.at);
		} else {
			w->on_noroute(w->arg, b->why);
		}
	}
}

/*
 * A server that is silent but not gone (stopped, hanging disk) keeps its connections: what is in
 * flight there must not wait for ever.
 */
static void
on_give_up_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct backend *b = OBJ_CAST((struct backend *)timer->data, BACKEND_MAGIC);

	b->generation++;
	each_lane(b, lane_cut);
}

static void
give_up_later(struct backend *b)
{
	ev_timer_stop(loop_ev(b->loop), &b->give_up_timer);
	ev_timer_set(&b->give_up_timer,
	    (double)MAX(b->conf.hold_ms, (uint64_t)GIVE_UP_LEAST_MS) / 1000., 0.);
	ev_timer_start(loop_ev(b->loop), &b->give_up_timer);
}

static void
on_entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct backend *b = obj;

	if (to == B_ROUTING) {
		b->why[0] = '\0';
		ev_timer_stop(loop_ev(b->loop), &b->give_up_timer);
		tell(b, true);
		each_lane(b, lane_go);
	} else if (from == B_ROUTING) {
		if (b->why[0] == '\0') {
			(void)snprintf(b->why, sizeof(b->why), "%s", row->comment);
		}
		tell(b, false);
	}
	b->expected = false;
	if (to == B_PROBING) {
		b->probing_since_ms = clock_mono_ms();
		if (from != B_PROBING) {
			give_up_later(b);
		}
	}
}

/* Why nothing is routed; told again when it changes. */
static void
set_why(struct backend *b, const char *why)
{
	if (b->state != B_ROUTING && strcmp(b->why, why) != 0) {
		(void)snprintf(b->why, sizeof(b->why), "%s", why);
		tell(b, false);
	}
}

void
backend_expect(struct backend *b)
{
	if (b->expected) {
		return;
	}
	b->expected = true;
	each_lane(b, lane_go);
	list_for_each_safe (it, next, &b->watchers) {
		struct backend_watcher *w = CONTAINER_OF(it, struct backend_watcher, link);

		if (w->on_expected != NULL) {
			w->on_expected(w->arg);
		}
	}
}

static void
ask_role(void *obj)
{
	master_probe_ask(obj);
}

static void
ask_role_later(void *obj)
{
	master_probe_ask_later(obj);
}

static void
move_to_master(void *obj)
{
	struct backend *b = obj;
	bool planned = b->paused && !b->isolated;
	struct list *item;

	b->paused = b->isolated = false;
	b->preparing = false;
	ev_timer_stop(loop_ev(b->loop), &b->prepare_timer);
	b->generation++;
	ev_timer_stop(loop_ev(b->loop), &b->hold_timer);
	master_probe_begin(b);
	while ((item = list_shift(&b->spares)) != NULL) {
		struct lane *lane = CONTAINER_OF(item, struct lane, link);

		b->spare_count--;
		lane_free(&lane);
	}
	each_lane(b, planned ? lane_leave : lane_cut);
	list_for_each_safe (it, next, &b->watchers) {
		struct backend_watcher *w = CONTAINER_OF(it, struct backend_watcher, link);

		if (w->on_move != NULL) {
			w->on_move(w->arg, planned);
		}
	}
}

void
backend_suspect(struct backend *b, const char *why)
{
	step(b, B_SUSPECT);
	set_why(b, why);
}

void
backend_on_role(struct backend *b, const char *why_not)
{
	if (why_not == NULL) {
		step(b, B_IS_MASTER);
	} else {
		step(b, B_NOT_MASTER);
		set_why(b, why_not);
	}
}

static void
on_master(void *arg, const struct topo_master *master)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);
	bool moved = b->state == B_NONE || !endpoint_equal(&b->master.at, &master->at);

	b->master = *master;
	step(b, moved ? B_MASTER : B_SUSPECT);
}

/* ---- planned hold ---- */

static void
end_hold(struct backend *b)
{
	ev_timer_stop(loop_ev(b->loop), &b->hold_timer);
	b->paused = b->isolated = false;
	step(b, B_RELEASE);
}

static void
on_hold_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	end_hold(OBJ_CAST((struct backend *)timer->data, BACKEND_MAGIC));
}

void
backend_hold(struct backend *b, uint64_t ms)
{
	if (ms == 0) {
		end_hold(b);
		return;
	}
	b->paused = true;
	b->leave_ms = ms + LEAVE_MORE_MS;
	ev_timer_stop(loop_ev(b->loop), &b->hold_timer);
	ev_timer_set(&b->hold_timer, (double)ms / 1000., 0.);
	ev_timer_start(loop_ev(b->loop), &b->hold_timer);
	step(b, B_HOLD);
}

void
backend_isolate(struct backend *b, uint64_t ms)
{
	b->isolated = true;
	backend_hold(b, ms);
}

/* ---- what cannot be sent again ---- */

static bool
has_streams(const struct backend *b)
{
	list_for_each (item, &b->lanes) {
		const struct lane *lane = CONTAINER_OF(item, struct lane, link);

		list_for_each (it, &lane->wires) {
			struct wire *w = CONTAINER_OF(it, struct wire, link);

			for (size_t i = 0; i < w->queue.count; i++) {
				const struct flight *f = queue_at(&w->queue, i);

				if ((f->flags & FLIGHT_STREAM) != 0 && f->who != NULL) {
					return true;
				}
			}
		}
	}
	return false;
}

static void
on_look_streams(void *arg)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);

	if (!b->preparing || b->prepared || has_streams(b)) {
		return;
	}
	b->prepared = true;
	list_for_each_safe (item, next, &b->watchers) {
		struct backend_watcher *w = CONTAINER_OF(item, struct backend_watcher, link);

		if (w->on_prepared != NULL) {
			w->on_prepared(w->arg);
		}
	}
}

void
backend_stream_ended(struct backend *b)
{
	if (b->preparing) {
		loop_hook_ask(b->loop, &b->look_streams);
	}
}

static void
on_prepare_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	backend_prepare(OBJ_CAST((struct backend *)timer->data, BACKEND_MAGIC), 0);
}

void
backend_prepare(struct backend *b, uint64_t ms)
{
	ev_timer_stop(loop_ev(b->loop), &b->prepare_timer);
	b->prepared = false;
	b->preparing = ms > 0;
	if (ms == 0) {
		each_lane(b, lane_wake);
		return;
	}
	ev_timer_set(&b->prepare_timer, (double)ms / 1000., 0.);
	ev_timer_start(loop_ev(b->loop), &b->prepare_timer);
	loop_hook_ask(b->loop, &b->look_streams);
}

/* ---- idle lanes ---- */

static void
free_if_idle(struct lane *lane)
{
	uint64_t now = clock_mono_ms();

	if (lane->refs == 0 && now - lane->idle_since_ms >= IDLE_MS) {
		lane_free(&lane);
	}
}

static void
on_reap_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct backend *b = OBJ_CAST((struct backend *)timer->data, BACKEND_MAGIC);
	uint64_t now = clock_mono_ms();

	each_lane(b, free_if_idle);
	/* the newest come first */
	while (!list_is_empty(&b->spares)) {
		struct lane *lane = CONTAINER_OF(b->spares.prev, struct lane, link);

		if (now - lane->idle_since_ms < IDLE_MS) {
			break;
		}
		b->spare_count--;
		lane_free(&lane);
	}
}

/* ---- life ---- */

void
backend_configure(struct backend *b, const struct backend_conf *conf)
{
	b->conf = *conf;
	if (b->conf.held_bytes_max == 0) {
		b->conf.held_bytes_max = HELD_BYTES_MAX;
	}
	if (b->conf.held_count_max == 0) {
		b->conf.held_count_max = HELD_COUNT_MAX;
	}
	if (b->conf.stall_ms == 0) {
		b->conf.stall_ms = STALL_MS;
	}
}

struct backend *
backend_new(struct loop *loop, struct topo *topo, const struct backend_conf *conf)
{
	struct backend *b = xcalloc(1, sizeof(*b));

	*b = (struct backend){.magic = BACKEND_MAGIC, .loop = loop, .topo = topo, .state = B_NONE};
	(void)snprintf(b->why, sizeof(b->why), "no master is known yet");
	b->metrics = conf->metrics != NULL ? conf->metrics : metrics_new();
	b->scripts = conf->scripts != NULL ? conf->scripts : scripts_new();
	backend_configure(b, conf);
	list_init(&b->lanes);
	list_init(&b->spares);
	list_init(&b->watchers);
	ev_init(&b->hold_timer, on_hold_timer);
	b->hold_timer.data = b;
	loop_hook_init(&b->look_streams, on_look_streams, b);
	ev_init(&b->prepare_timer, on_prepare_timer);
	b->prepare_timer.data = b;
	ev_init(&b->give_up_timer, on_give_up_timer);
	b->give_up_timer.data = b;
	master_probe_init(b);
	ev_timer_init(&b->reap_timer, on_reap_timer, REAP_MS / 1000., REAP_MS / 1000.);
	b->reap_timer.data = b;
	ev_timer_start(loop_ev(loop), &b->reap_timer);
	b->observer = (struct topo_observer){.on_master = on_master, .arg = b};
	topo_watch(topo, &b->observer);
	return b;
}

static void
free_lane(struct lane *lane)
{
	lane_free(&lane);
}

static void
free_now(void *obj)
{
	struct backend *b = obj;

	if (b->secret != NULL) {
		explicit_bzero(b->secret, strlen(b->secret));
	}
	free(b->user);
	free(b->secret);
	if (b->conf.metrics == NULL) {
		metrics_free(&b->metrics);
	}
	if (b->conf.scripts == NULL) {
		scripts_free(&b->scripts);
	}
	b->magic = 0;
	free(b);
}

void
backend_free(struct backend **bp)
{
	struct backend *b = *bp;
	struct ev_loop *ev;

	*bp = NULL;
	if (b == NULL) {
		return;
	}
	ev = loop_ev(b->loop);
	topo_unwatch(&b->observer);
	master_probe_fini(b);
	loop_hook_cancel(&b->look_streams);
	ev_timer_stop(ev, &b->prepare_timer);
	ev_timer_stop(ev, &b->hold_timer);
	ev_timer_stop(ev, &b->give_up_timer);
	ev_timer_stop(ev, &b->reap_timer);
	each_lane(b, free_lane);
	while (!list_is_empty(&b->spares)) {
		struct lane *lane = CONTAINER_OF(b->spares.next, struct lane, link);

		lane_free(&lane);
	}
	while (list_shift(&b->watchers) != NULL) {
	}
	loop_bury(b->loop, free_now, b);
}

void
backend_set_secret(struct backend *b, const char *user, const char *password)
{
	link_free(&b->probe); /* it borrows them */
	free(b->user);
	free(b->secret);
	b->user = xstrdup(user);
	b->secret = xstrdup(password);
	if (b->state != B_NONE) {
		master_probe_begin(b);
		step(b, B_SUSPECT);
	}
}

void
backend_watch(struct backend *b, struct backend_watcher *w)
{
	list_push(&b->watchers, &w->link);
	if (b->state == B_ROUTING) {
		w->on_route(w->arg, &b->master.at);
	} else {
		w->on_noroute(w->arg, b->why);
	}
}

void
backend_unwatch(struct backend_watcher *w)
{
	list_del(&w->link);
}

bool
backend_master(const struct backend *b, struct endpoint *ret_master)
{
	if (b->state == B_ROUTING) {
		*ret_master = b->master.at;
	}
	return b->state == B_ROUTING;
}

bool
backend_is_process(const struct backend *b, unsigned process, struct slice run_id)
{
	return process == b->process && b->run_id[0] != '\0' && slice_eq(run_id, b->run_id);
}

struct metrics *
backend_metrics(const struct backend *b)
{
	return b->metrics;
}

struct scripts *
backend_scripts(const struct backend *b)
{
	return b->scripts;
}

uint64_t
backend_tick(struct backend *b)
{
	b->now_us = clock_mono_us();
	return b->now_us;
}

uint64_t
backend_now_us(const struct backend *b)
{
	return b->now_us;
}

void
backend_stats(const struct backend *b, struct backend_stats *ret_stats)
{
	*ret_stats = b->stats;
}
