#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/acquaint.h"
#include "instance/claim.h"
#include "instance/failover_priv.h"
#include "instance/sentinel_conf.h"
#include "topo/link.h"

#define DEFAULT_PAUSE_MS   5000
#define DEFAULT_TIMEOUT_MS 30000
#define LOOK_MS            12000 /* Sentinel may still be at a failover of its own */
#define VOTE_MS            6000  /* a vote is written to disk by the sentinel */
#define FREEZE_MS          1500
#define STEER_MS           15000 /* a sentinel asks for INFO every 10 s */
#define PROMOTE_MS         1500
#define DEFAULT_TELL_MS    15000
#define DEFAULT_DOWN_MS    5000
#define DRAIN_WAIT_MS      1000 /* for a replica that had all writes and does not answer now */
#define TAKEN_OVER_MS      5000 /* takeover, Sentinel's way: until somebody is master */

static const char *const state_names[] = {
    [FO_LOOKING] = "looking",
    [FO_VOTING] = "voting",
    [FO_FREEZING] = "freezing",
    [FO_DRAINING] = "draining",
    [FO_STEERING] = "steering",
    [FO_PAUSING] = "pausing",
    [FO_PROMOTING] = "promoting",
    [FO_ASKING] = "asking",
    [FO_TELLING] = "telling",
    [FO_ENDED] = "ended",
};
static const char *const event_names[] = {
    [FO_DONE] = "done",
    [FO_BAD] = "bad",
    [FO_LATE] = "late",
    [FO_MOVED] = "moved",
    [FO_DIED] = "died",
};
_Static_assert(ARRAY_LEN(state_names) == FO_STATE_COUNT, "a name for each state");
_Static_assert(ARRAY_LEN(event_names) == FO_EVENT_COUNT, "a name for each event");

/* ---- the table ---- */

static bool
is_dry(void *obj)
{
	return ((struct failover *)obj)->dry;
}

static bool
is_dead(void *obj)
{
	return ((struct failover *)obj)->dead;
}

static bool
is_remote(void *obj)
{
	return ((struct failover *)obj)->remote;
}

/* Nobody but us, and not without all that may have what was acknowledged. */
static bool
must_lead(void *obj)
{
	const struct failover *f = obj;

	return f->remote || f->barred;
}

/* A takeover in which whoever has most is not passed over. */
static bool
is_takeover_led(void *obj)
{
	return is_dead(obj) && ((struct failover *)obj)->barred;
}

/* Among those that have answered in time. */
static bool
is_anybody_fit(void *obj)
{
	return fo_choose(obj) == 0;
}

static bool
is_anybody_fit_led(void *obj)
{
	return ((struct failover *)obj)->leads && is_anybody_fit(obj);
}

/* A takeover, and somebody else than the target could be promoted. */
static bool
is_other_fit(void *obj)
{
	struct failover *f = obj;
	struct errmsg why = f->why;
	size_t target = f->target;
	bool fit;

	if (!f->dead) {
		return false;
	}
	f->nodes[target].dropped = true;
	fit = fo_choose(f) == 0;
	f->nodes[target].dropped = false;
	f->target = target;
	f->why = why;
	return fit;
}

static bool
may_lead(void *obj)
{
	return ((struct failover *)obj)->leads;
}

static bool
must_steer(void *obj)
{
	return ((struct failover *)obj)->to != NULL;
}

static bool
is_sentinel_busy(void *obj)
{
	const struct failover *f = obj;

	return f->dead && fo_sentinel_is_busy(f);
}

static bool
lacks_majority(void *obj)
{
	return !fo_majority_answers(obj);
}

static bool
is_settled(void *obj)
{
	struct failover *f = obj;
	struct topo_master master;

	return f->old_is_replica && fo_majority_agrees(f, &master);
}

/* One that does not answer may have writes that no other has: that is said. */
static void
pass_over(const struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];

		if (i != f->master && n->as.synced && !n->answered) {
			log_warn("does not answer and is passed over, writes that only it has are "
				 "lost instance=%s",
			    n->as.name);
		}
	}
}

static void
act_promote_without(void *obj)
{
	pass_over(obj);
	fo_promote(obj);
}

static void
act_steer_without(void *obj)
{
	pass_over(obj);
	fo_steer(obj);
}

/* The second way: nothing was changed yet by the first. */
static void
act_stop_leading(void *obj)
{
	struct failover *f = obj;

	log_notice("the sentinels did not vote, asking one of them to fail over: %s", f->why.text);
	f->why = ERRMSG_NONE;
	f->leads = false;
}

/* A takeover: Sentinel counts on from what it had itself. Its choice would be by offsets of a while ago: so we choose, and it is steered. */
static void
act_drain_instead(void *obj)
{
	struct failover *f = obj;

	act_stop_leading(obj);
	fo_count_voters(f);
	fo_drain(obj);
}

static void
act_steer_instead(void *obj)
{
	act_stop_leading(obj);
	fo_steer(obj);
}

static void
act_pause_instead(void *obj)
{
	act_stop_leading(obj);
	fo_pause(obj);
}

#define ROW(s, e, g, a, n, c)                                                                      \
	{                                                                                          \
		.state = (s), .event = (e), .guard = (g), .action = (a), .next = (n),              \
		.comment = (c)                                                                     \
	}

/* Before anybody was told to be master. */
#define SENTINEL_FIRST(s) ROW(s, FO_MOVED, NULL, fo_fail_moved, FO_ENDED, "Sentinel was first")
#define MASTER_DIES(s)                                                                             \
	ROW(s, FO_DIED, NULL, fo_take_over, FO_VOTING, "the master is dead: a takeover")

static const struct fsm_row rows[] = {
    ROW(FO_LOOKING, FO_DONE, is_dry, fo_show_plan, FO_ENDED, "only looked"),
    ROW(FO_LOOKING, FO_DONE, may_lead, fo_vote, FO_VOTING, "the sentinels can be led"),
    ROW(FO_LOOKING, FO_DONE, must_steer, fo_steer, FO_STEERING, "Sentinel's way, to a given node"),
    ROW(FO_LOOKING, FO_DONE, NULL, fo_pause, FO_PAUSING, "Sentinel's way"),
    ROW(FO_LOOKING, FO_BAD, NULL, fo_fail, FO_ENDED, "no time for a switchover"),
    ROW(FO_LOOKING, FO_LATE, NULL, fo_fail, FO_ENDED, "not all was to be seen"),
    SENTINEL_FIRST(FO_LOOKING),
    MASTER_DIES(FO_LOOKING),

    ROW(FO_VOTING, FO_DONE, is_remote, fo_freeze, FO_FREEZING, "the epoch is won"),
    ROW(FO_VOTING, FO_BAD, must_lead, fo_fail, FO_ENDED, "no votes: another may lead"),
    ROW(FO_VOTING, FO_LATE, must_lead, fo_fail, FO_ENDED, "no votes in time: another may lead"),
    ROW(FO_VOTING, FO_DONE, is_dead, fo_drain, FO_DRAINING, "the epoch is won"),
    ROW(FO_VOTING, FO_DONE, NULL, fo_pause, FO_PAUSING, "the epoch is won"),
    ROW(FO_VOTING, FO_BAD, is_sentinel_busy, fo_fail, FO_ENDED, "takeover: Sentinel is at it"),
    ROW(FO_VOTING, FO_BAD, lacks_majority, fo_fail, FO_ENDED, "a majority is gone"),
    ROW(FO_VOTING, FO_BAD, is_dead, act_drain_instead, FO_DRAINING, "no votes: Sentinel's way"),
    ROW(FO_VOTING, FO_BAD, must_steer, act_steer_instead, FO_STEERING,
	"no votes: Sentinel's way, to a given node"),
    ROW(FO_VOTING, FO_BAD, NULL, act_pause_instead, FO_PAUSING, "no votes: Sentinel's way"),
    ROW(FO_VOTING, FO_LATE, is_dead, act_drain_instead, FO_DRAINING,
	"no votes in time: Sentinel's way"),
    ROW(FO_VOTING, FO_LATE, NULL, fo_fail, FO_ENDED, "no votes in time"),
    SENTINEL_FIRST(FO_VOTING),
    ROW(FO_VOTING, FO_DIED, is_dead, NULL, FSM_SAME, "as is known"),
    MASTER_DIES(FO_VOTING),

    ROW(FO_FREEZING, FO_DONE, NULL, fo_promote, FO_PROMOTING,
	"nobody follows the old master, the highest offset is known"),
    ROW(FO_FREEZING, FO_BAD, NULL, fo_fail, FO_ENDED, "no time for a takeover"),
    ROW(FO_FREEZING, FO_LATE, NULL, fo_fail, FO_ENDED, "not all have stopped following"),
    SENTINEL_FIRST(FO_FREEZING),
    ROW(FO_FREEZING, FO_DIED, NULL, NULL, FSM_SAME, "as is known"),

    ROW(FO_DRAINING, FO_LATE, must_lead, fo_fail, FO_ENDED,
	"a replica does not answer, which may have what no other has"),
    ROW(FO_DRAINING, FO_DONE, may_lead, fo_promote, FO_PROMOTING, "the highest offset is known"),
    ROW(FO_DRAINING, FO_DONE, NULL, fo_steer, FO_STEERING,
	"Sentinel's way, to the one that has most"),
    ROW(FO_DRAINING, FO_BAD, NULL, fo_fail_nobody, FO_ENDED, "no replica can take over"),
    ROW(FO_DRAINING, FO_LATE, is_anybody_fit_led, act_promote_without, FO_PROMOTING,
	"a replica does not answer, another can take over"),
    ROW(FO_DRAINING, FO_LATE, is_anybody_fit, act_steer_without, FO_STEERING,
	"a replica does not answer, another can take over, Sentinel's way"),
    ROW(FO_DRAINING, FO_LATE, NULL, fo_fail_nobody, FO_ENDED, "no replica can take over"),
    SENTINEL_FIRST(FO_DRAINING),
    ROW(FO_DRAINING, FO_DIED, NULL, NULL, FSM_SAME, "as is known"),

    ROW(FO_STEERING, FO_DONE, is_dead, fo_ask_sentinel, FO_ASKING, "Sentinel knows whom"),
    ROW(FO_STEERING, FO_DONE, NULL, fo_pause, FO_PAUSING, "Sentinel knows the priorities"),
    ROW(FO_STEERING, FO_BAD, NULL, fo_fail, FO_ENDED, "priorities cannot be set"),
    ROW(FO_STEERING, FO_LATE, NULL, fo_fail, FO_ENDED, "Sentinel does not see the priorities"),
    SENTINEL_FIRST(FO_STEERING),
    ROW(FO_STEERING, FO_DIED, is_dead, NULL, FSM_SAME, "as is known"),
    MASTER_DIES(FO_STEERING),

    ROW(FO_PAUSING, FO_DONE, may_lead, fo_promote, FO_PROMOTING, "the target has every write"),
    ROW(FO_PAUSING, FO_DONE, NULL, fo_ask_sentinel, FO_ASKING, "replicas have every write"),
    ROW(FO_PAUSING, FO_BAD, NULL, fo_fail_pause, FO_ENDED, "writes cannot be paused"),
    ROW(FO_PAUSING, FO_LATE, NULL, fo_fail_pause, FO_ENDED, "the target lags behind"),
    SENTINEL_FIRST(FO_PAUSING),
    MASTER_DIES(FO_PAUSING),

    ROW(FO_PROMOTING, FO_DONE, NULL, fo_tell, FO_TELLING, "promoted"),
    ROW(FO_PROMOTING, FO_LATE, is_remote, fo_fail, FO_ENDED,
	"whether it was promoted is not known: no other may be"),
    ROW(FO_PROMOTING, FO_BAD, is_takeover_led, fo_fail, FO_ENDED,
	"takeover: the target refused, another has less"),
    ROW(FO_PROMOTING, FO_LATE, is_takeover_led, fo_fail, FO_ENDED,
	"takeover: the target did not answer, another has less"),
    ROW(FO_PROMOTING, FO_BAD, is_other_fit, fo_promote_other, FO_PROMOTING,
	"takeover: the target refused, another is promoted"),
    ROW(FO_PROMOTING, FO_BAD, is_dead, fo_fail_nobody, FO_ENDED, "takeover: the target refused"),
    ROW(FO_PROMOTING, FO_LATE, is_other_fit, fo_promote_other, FO_PROMOTING,
	"takeover: the target did not answer, another is promoted"),
    ROW(FO_PROMOTING, FO_LATE, is_dead, fo_fail, FO_ENDED, "takeover: the target did not answer"),
    ROW(FO_PROMOTING, FO_BAD, NULL, fo_fail_taken_back, FO_ENDED, "the target refused"),
    ROW(FO_PROMOTING, FO_LATE, NULL, fo_fail_taken_back, FO_ENDED, "the target did not answer"),
    /* Its order is on its way: what comes of it decides, and the higher epoch is ours. */
    ROW(FO_PROMOTING, FO_MOVED, NULL, NULL, FSM_SAME, "too late to stop"),
    ROW(FO_PROMOTING, FO_DIED, NULL, fo_note_dead, FSM_SAME, "the target has every write"),

    ROW(FO_ASKING, FO_DONE, NULL, fo_tell, FO_TELLING, "promoted by Sentinel"),
    ROW(FO_ASKING, FO_BAD, NULL, fo_fail_asked, FO_ENDED, "Sentinel refused or aborted"),
    ROW(FO_ASKING, FO_LATE, NULL, fo_fail_asked, FO_ENDED, "Sentinel promoted nobody"),
    ROW(FO_ASKING, FO_MOVED, NULL, NULL, FSM_SAME, "as it should: ROLE says who it is"),
    ROW(FO_ASKING, FO_DIED, NULL, fo_note_dead, FSM_SAME, "Sentinel is at it"),

    ROW(FO_TELLING, FO_DONE, NULL, fo_succeed, FO_ENDED, "all agree"),
    ROW(FO_TELLING, FO_BAD, NULL, fo_half_done, FO_ENDED, "not all can be told"),
    ROW(FO_TELLING, FO_LATE, is_settled, fo_succeed, FO_ENDED, "a majority agrees"),
    ROW(FO_TELLING, FO_LATE, NULL, fo_half_done, FO_ENDED, "they do not agree"),
    ROW(FO_TELLING, FO_MOVED, NULL, NULL, FSM_SAME, "as it should"),
    ROW(FO_TELLING, FO_DIED, NULL, fo_note_dead, FSM_SAME, "it is not waited for"),
};

static uint64_t
state_ms(const struct failover *f, unsigned state)
{
	switch ((enum failover_state)state) {
	case FO_LOOKING:
		return LOOK_MS;
	case FO_FREEZING:
		return FREEZE_MS;
	case FO_VOTING:
		if (f->remote) {
			return VOTE_MS;
		}
		return f->dead ? MIN(VOTE_MS, f->down_after_ms / 2) : VOTE_MS;
	case FO_DRAINING:
		return MIN(DRAIN_WAIT_MS, f->down_after_ms / 4);
	case FO_STEERING: /* takeover: its own detection comes in the end, and asks anew every second */
		return f->dead ? MIN(STEER_MS, 2 * f->down_after_ms) : STEER_MS;
	case FO_PAUSING: /* the rest of the pause is for the promotion */
		return f->pause_ms / 2;
	case FO_PROMOTING:
		return MIN(PROMOTE_MS, f->pause_ms / 4);
	case FO_ASKING:
		return f->dead ? TAKEN_OVER_MS : f->pause_ms / 4;
	case FO_TELLING:
		return f->tell_ms;
	case FO_ENDED:
	case FO_STATE_COUNT:
		break;
	}
	return 0;
}

/* How much is left of the whole. */
static uint64_t
left_ms(const struct failover *f)
{
	uint64_t now = clock_mono_ms();

	return f->end_ms > now ? f->end_ms - now : 0;
}

/* Each state's deadline is armed here, where the state is entered. */
static void
entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct failover *f = obj;
	uint64_t ms = state_ms(f, to);

	log_info("failover %s -> %s: %s", state_names[from], state_names[to], row->comment);
	fo_forget_answers(f, to != FO_DRAINING);
	ev_timer_stop(loop_ev(f->loop), &f->deadline);
	if (to == FO_ENDED) {
		return;
	}
	if (to != FO_PROMOTING && to != FO_TELLING) { /* those have to be gone through */
		ms = MIN(ms, left_ms(f));
	}
	ev_timer_set(&f->deadline, (double)ms / 1000., 0.);
	ev_timer_start(loop_ev(f->loop), &f->deadline);
}

const struct fsm failover_fsm = {
    .name = "failover",
    .states = state_names,
    .state_count = FO_STATE_COUNT,
    .events = event_names,
    .event_count = FO_EVENT_COUNT,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = entered,
};

void
fo_step(struct failover *f, enum failover_event event)
{
	(void)fsm_step(&failover_fsm, f, &f->state, event);
}

/* ---- for the steps ---- */

bool
fo_answered(struct failover *f)
{
	assert(f->pending > 0);
	f->pending--;
	return f->pending == 0;
}

void
fo_tick_in(struct failover *f, uint64_t ms)
{
	ev_timer_stop(loop_ev(f->loop), &f->tick);
	ev_timer_set(&f->tick, (double)ms / 1000., 0.);
	ev_timer_start(loop_ev(f->loop), &f->tick);
}

struct link *
fo_sentinel_link(const struct failover *f, size_t i)
{
	for (size_t k = 0; k < watcher_count(f->watcher); k++) {
		struct link *l = watcher_link(f->watcher, k);

		if (endpoint_equal(link_at(l), &f->sentinels[i].at)) {
			return link_is_up(l) ? l : NULL;
		}
	}
	return NULL;
}

struct link *
fo_node_link(const struct failover *f, size_t i)
{
	struct link *l = f->nodes[i].as.link;

	return l != NULL && link_is_up(l) ? l : NULL;
}

/* ---- events ---- */

static void
on_deadline(struct ev_loop *ev, ev_timer *w, int revents)
{
	fo_step(OBJ_CAST((struct failover *)w->data, FAILOVER_MAGIC), FO_LATE);
}

static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	fo_on_tick(OBJ_CAST((struct failover *)w->data, FAILOVER_MAGIC));
}

static void
on_ahead(struct ev_loop *ev, ev_timer *w, int revents)
{
	fo_drain_ahead(OBJ_CAST((struct failover *)w->data, FAILOVER_MAGIC));
}

static void
on_begin(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct failover *f = OBJ_CAST((struct failover *)w->data, FAILOVER_MAGIC);

	f->end_ms += clock_mono_ms();
	if (f->dead) {
		fo_step(f, FO_DIED);
		return;
	}
	ev_timer_set(&f->deadline, LOOK_MS / 1000., 0.);
	ev_timer_start(loop_ev(f->loop), &f->deadline);
	fo_look(f);
}

static void
on_watch_change(void *arg, size_t i, const struct watcher_sentinel *view)
{
	struct failover *f = OBJ_CAST((struct failover *)arg, FAILOVER_MAGIC);
	struct topo_master named;

	if (f->state == FO_TELLING) {
		fo_check_end(f);
	} else if (watcher_majority(f->watcher, &named) && named.epoch > f->known_epoch &&
		   !endpoint_equal(&named.at, &f->nodes[f->master].as.at)) {
		/* with a lower one they have not heard of the present master yet */
		fo_step(f, FO_MOVED);
	}
}

static void
on_watch_event(void *arg, size_t i, struct slice channel, struct slice text)
{
	struct failover *f = OBJ_CAST((struct failover *)arg, FAILOVER_MAGIC);
	static const char abort[] = "-failover-abort-";

	if (f->state == FO_ASKING && channel.len > sizeof(abort) - 1 &&
	    memcmp(channel.ptr, abort, sizeof(abort) - 1) == 0 && i < watcher_count(f->watcher) &&
	    endpoint_equal(&watcher_get(f->watcher, i)->at, &f->sentinels[f->asked].at)) {
		errmsg_set(&f->why, "Sentinel gave the failover up: %s", LOG_QUOTE(channel));
		fo_step(f, FO_BAD);
	}
}

/* ---- for the owner ---- */

static int
check_spec(const struct failover_spec *spec, struct errmsg *err)
{
	size_t to = 0;

	if (spec->count < 2 || spec->count > FAILOVER_MAX_NODES) {
		errmsg_set(err, "there is no other redis instance that could take over");
		return -EINVAL;
	}
	if (spec->to != NULL) {
		while (to < spec->count && strcmp(spec->nodes[to].name, spec->to) != 0) {
			to++;
		}
		if (to == spec->count) {
			errmsg_set(err,
			    "there is no redis instance '%s': `holdfast status` names them",
			    spec->to);
			return -EINVAL;
		}
		if (to == spec->master) {
			errmsg_set(err, "%s is the master already", spec->to);
			return -EINVAL;
		}
	}
	if (watcher_count(spec->watcher) == 0) {
		errmsg_set(err, "there is no sentinel, and Sentinel decides who is master");
		return -EINVAL;
	}
	return 0;
}

static void
copy_peers(struct failover *f, const struct failover_spec *spec)
{
	f->count = spec->count;
	f->nodes = xcalloc(spec->count, sizeof(*f->nodes));
	for (size_t i = 0; i < spec->count; i++) {
		f->nodes[i].f = f;
		f->nodes[i].as = spec->nodes[i];
	}
	f->sentinel_count = watcher_count(spec->watcher);
	f->sentinels = xcalloc(f->sentinel_count, sizeof(*f->sentinels));
	for (size_t i = 0; i < f->sentinel_count; i++) {
		f->sentinels[i].f = f;
		f->sentinels[i].at = watcher_get(spec->watcher, i)->at;
		f->sentinels[i].introduced =
		    spec->acquaint != NULL &&
		    acquaint_get(spec->acquaint, &f->sentinels[i].at, f->sentinels[i].peer);
	}
}

struct failover *
failover_start(struct loop *loop, const struct failover_spec *spec, const struct failover_ops *ops,
    void *owner, struct errmsg *err)
{
	struct failover *f;

	if (check_spec(spec, err) < 0) {
		return NULL;
	}
	f = xcalloc(1, sizeof(*f));
	f->magic = FAILOVER_MAGIC;
	f->state = FO_LOOKING;
	f->loop = loop;
	f->watcher = spec->watcher;
	f->ops = ops;
	f->owner = owner;
	f->name = spec->master_name;
	f->to = spec->to;
	f->master = spec->master;
	f->target = spec->count;
	f->sentinel_only = spec->sentinel_only;
	f->dead = spec->dead;
	f->remote = spec->remote;
	f->barred = spec->barred;
	f->all = spec->all;
	f->retry_ms = spec->retry_ms;
	f->dry = spec->dry;
	f->seen_offset = spec->seen_offset;
	f->known_epoch = spec->epoch;
	f->down_after_ms = spec->down_after_ms > 0 ? spec->down_after_ms : DEFAULT_DOWN_MS;
	f->pause_ms = spec->pause_ms > 0 ? spec->pause_ms : DEFAULT_PAUSE_MS;
	f->end_ms = spec->timeout_ms > 0 ? spec->timeout_ms : DEFAULT_TIMEOUT_MS;
	f->tell_ms = spec->tell_ms > 0 ? spec->tell_ms : DEFAULT_TELL_MS;
	copy_peers(f, spec);
	if (spec->claim != NULL) {
		(void)snprintf(f->id, sizeof(f->id), "%s", claim_id(spec->claim));
		f->claimed_epoch = claim_epoch(spec->claim);
	} else {
		sentinel_conf_new_id(f->id);
	}
	ev_init(&f->deadline, on_deadline);
	f->deadline.data = f;
	ev_init(&f->tick, on_tick);
	f->tick.data = f;
	ev_init(&f->ahead, on_ahead);
	f->ahead.data = f;
	ev_timer_init(&f->begin, on_begin, 0., 0.);
	f->begin.data = f;
	ev_timer_start(loop_ev(loop), &f->begin);
	f->observer = (struct watcher_observer){
	    .on_change = on_watch_change, .on_event = on_watch_event, .arg = f};
	watcher_watch(f->watcher, &f->observer);
	return f;
}

void
failover_master_died(struct failover *f)
{
	if (ev_is_active(&f->begin)) {
		f->dead = true; /* it has not even begun */
	} else {
		fo_step(f, FO_DIED);
	}
}

void
failover_cancel(struct failover **fp)
{
	struct failover *f = *fp;

	*fp = NULL;
	if (f == NULL || f->state == FO_ENDED) {
		return;
	}
	if (f->state == FO_PROMOTING && !f->dead) {
		fo_take_back(f);
	}
	if (f->state != FO_TELLING) {
		fo_unpause(f);
	}
	fo_restore(f);
	f->state = FO_ENDED;
	fo_close_down(f);
}

const char *
failover_state(const struct failover *f)
{
	return state_names[f->state];
}
