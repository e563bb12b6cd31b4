/*
 * The order of start and stop, as a table. A step is the set of instances that it wants up (or down); it is done when each of them is proven ready (or
 * has stopped). An instance that does not come up within PATIENCE, or has failed, is reported and the rest goes on; only for the
 * master there is no going on, as long as it is not given up.
 */
#include "base/log.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor.h"
#include "supervisor/supervisor_priv.h"

#define PATIENCE_S 10.

enum plan_event { PLAN_DONE, PLAN_PATIENCE, PLAN_STOP, PLAN_EVENT_COUNT };

static void act_step(void *obj);
static void act_hand_over(void *obj);
static void act_give_up(void *obj);

/* Several hosts: the others need not find out that this one is gone, nor wait for it. */
static bool
has_to_hand_over(void *obj)
{
	const struct supervisor *s = obj;

	return hosts_are_several(s) && s->master != NULL && s->failover == NULL && !s->succession &&
	       handover_is_possible(s, s->master);
}

static bool
master_settled(void *obj)
{
	const struct supervisor *s = obj;

	return s->master == NULL || process_state(s->master->process) == PROCESS_FAILED;
}

static const char *const state_names[PLAN_STATE_COUNT] = {
    [PLAN_AGREEMENT] = "agreement",
    [PLAN_MASTER] = "master",
    [PLAN_REPLICAS] = "replicas",
    [PLAN_SENTINELS] = "sentinels",
    [PLAN_PROXY] = "proxy",
    [PLAN_HTTP] = "http",
    [PLAN_RUNNING] = "running",
    [PLAN_HANDING_OVER] = "handing-over",
    [PLAN_STOP_HTTP] = "stop-http",
    [PLAN_STOP_PROXY] = "stop-proxy",
    [PLAN_STOP_SENTINELS] = "stop-sentinels",
    [PLAN_STOP_REPLICAS] = "stop-replicas",
    [PLAN_STOP_MASTER] = "stop-master",
    [PLAN_STOPPED] = "stopped",
};

static const char *const event_names[PLAN_EVENT_COUNT] = {
    [PLAN_DONE] = "done",
    [PLAN_PATIENCE] = "patience",
    [PLAN_STOP] = "stop",
};

#define ROW(s, e, g, n, c)                                                                         \
	{                                                                                          \
		.state = (s), .event = (e), .guard = (g), .action = act_step, .next = (n),         \
		.comment = (c)                                                                     \
	}
#define SAME(s, e, c)                                                                              \
	{                                                                                          \
		.state = (s), .event = (e), .next = FSM_SAME, .comment = (c)                       \
	}

static const struct fsm_row rows[] = {
    ROW(PLAN_AGREEMENT, PLAN_DONE, NULL, PLAN_MASTER, "a majority of the hosts names the master"),
    ROW(PLAN_MASTER, PLAN_DONE, NULL, PLAN_REPLICAS, "the master answers"),
    ROW(PLAN_MASTER, PLAN_PATIENCE, master_settled, PLAN_REPLICAS, "goes on without the master"),
    SAME(PLAN_MASTER, PLAN_PATIENCE, "the master is still loading or starting"),
    ROW(PLAN_REPLICAS, PLAN_DONE, NULL, PLAN_SENTINELS, "the replicas follow"),
    ROW(PLAN_REPLICAS, PLAN_PATIENCE, NULL, PLAN_SENTINELS,
	"goes on while replicas are not in sync"),
    ROW(PLAN_SENTINELS, PLAN_DONE, NULL, PLAN_PROXY, "the sentinels agree"),
    ROW(PLAN_SENTINELS, PLAN_PATIENCE, NULL, PLAN_PROXY, "goes on while sentinels do not agree"),
    ROW(PLAN_PROXY, PLAN_DONE, NULL, PLAN_HTTP, "the proxy routes"),
    ROW(PLAN_PROXY, PLAN_PATIENCE, NULL, PLAN_HTTP, "goes on while the proxy does not route"),
    ROW(PLAN_HTTP, PLAN_DONE, NULL, PLAN_RUNNING, "everything was started"),
    ROW(PLAN_HTTP, PLAN_PATIENCE, NULL, PLAN_RUNNING, "goes on while http does not route"),
    SAME(PLAN_RUNNING, PLAN_DONE, "runs"),
    {.state = PLAN_RUNNING,
	.event = PLAN_STOP,
	.guard = has_to_hand_over,
	.action = act_hand_over,
	.next = PLAN_HANDING_OVER,
	.comment = "told to stop: another host becomes master first"},
    ROW(PLAN_HANDING_OVER, PLAN_DONE, NULL, PLAN_STOP_HTTP, "handed over, or could not"),
    {.state = PLAN_HANDING_OVER,
	.event = PLAN_PATIENCE,
	.action = act_give_up,
	.next = PLAN_STOP_HTTP,
	.comment = "stops without having handed over"},
    ROW(PLAN_STOP_HTTP, PLAN_DONE, NULL, PLAN_STOP_PROXY, "http has drained"),
    ROW(PLAN_STOP_PROXY, PLAN_DONE, NULL, PLAN_STOP_SENTINELS, "the proxy has drained"),
    ROW(PLAN_STOP_SENTINELS, PLAN_DONE, NULL, PLAN_STOP_REPLICAS, "the sentinels have stopped"),
    ROW(PLAN_STOP_REPLICAS, PLAN_DONE, NULL, PLAN_STOP_MASTER, "the replicas have stopped"),
    ROW(PLAN_STOP_MASTER, PLAN_DONE, NULL, PLAN_STOPPED, "the master has saved and stopped"),
    SAME(PLAN_STOPPED, PLAN_DONE, "has stopped"),
    SAME(PLAN_STOP_HTTP, PLAN_STOP, "is stopping"),
    SAME(PLAN_STOP_PROXY, PLAN_STOP, "is stopping"),
    SAME(PLAN_STOP_SENTINELS, PLAN_STOP, "is stopping"),
    SAME(PLAN_STOP_REPLICAS, PLAN_STOP, "is stopping"),
    SAME(PLAN_STOP_MASTER, PLAN_STOP, "is stopping"),
    SAME(PLAN_STOPPED, PLAN_STOP, "has stopped"),
    ROW(FSM_ANY, PLAN_STOP, NULL, PLAN_STOP_HTTP, "told to stop"),
    SAME(FSM_ANY, PLAN_PATIENCE, "each process has its own time limit"),
};

const struct fsm plan_fsm = {
    .name = "plan",
    .states = state_names,
    .state_count = PLAN_STATE_COUNT,
    .events = event_names,
    .event_count = PLAN_EVENT_COUNT,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
};

/* Is the unit one of those that this state wants up or down? */
static bool
is_in_step(const struct supervisor *s, const struct unit *u)
{
	switch ((enum plan_state)s->plan) {
	case PLAN_MASTER:
		return u->kind == UNIT_REDIS && u == s->master;
	/* All of them: the master may have become another one since the step before. */
	case PLAN_REPLICAS:
	case PLAN_STOP_MASTER:
		return u->kind == UNIT_REDIS;
	case PLAN_STOP_REPLICAS:
		return u->kind == UNIT_REDIS && u != s->master;
	case PLAN_AGREEMENT:
	case PLAN_SENTINELS:
	case PLAN_STOP_SENTINELS:
		return u->kind == UNIT_SENTINEL;
	case PLAN_PROXY:
	case PLAN_STOP_PROXY:
		return u->kind == UNIT_PROXY;
	case PLAN_HTTP:
	case PLAN_STOP_HTTP:
		return u->kind == UNIT_HTTP;
	default:
		return false;
	}
}

static bool
is_stopping(const struct supervisor *s)
{
	return s->plan >= PLAN_STOP_HTTP;
}

static bool
is_settled(const struct supervisor *s, const struct unit *u)
{
	enum process_state state = process_state(u->process);

	if (is_stopping(s)) {
		return !process_runs(u->process) &&
		       (state == PROCESS_STOPPED || state == PROCESS_FAILED);
	}
	if (s->plan == PLAN_AGREEMENT) {
		return unit_is_ready(u) && agree_is_reached(u->sup);
	}
	if (!process_is_wanted(u->process) || state == PROCESS_FAILED) {
		return true;
	}
	switch (u->kind) {
	case UNIT_REDIS:
		return unit_is_ready(u) &&
		       (u == s->master || (servers_is_synced(u) && u->ondisk.complete));
	case UNIT_SENTINEL:
		return unit_is_ready(u) && roles_sentinels_agree(s);
	default:
		return workers_route(u);
	}
}

static void
step(struct supervisor *s, enum plan_event event)
{
	unsigned from = s->plan;
	const struct fsm_row *row = fsm_step(&plan_fsm, s, &s->plan, event);

	if (row != NULL && s->plan != from) {
		log_info("%s step=%s", row->comment, state_names[s->plan]);
	}
}

static void
on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct supervisor *s = w->data;

	step(s, PLAN_PATIENCE);
}

static void
act_step(void *obj)
{
	struct supervisor *s = obj;

	ev_timer_stop(loop_ev(s->loop), &s->plan_patience);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (!is_in_step(s, u)) {
			continue;
		}
		if (is_stopping(s)) {
			process_down(u->process);
			if (s->plan_hurried) {
				process_kill(u->process);
			}
		} else if (process_state(u->process) == PROCESS_STOPPED && !u->leaving &&
			   !u->held_down) {
			process_up(u->process);
		}
	}
	if (s->plan < PLAN_RUNNING) {
		ev_timer_set(&s->plan_patience, PATIENCE_S, PATIENCE_S);
		ev_timer_start(loop_ev(s->loop), &s->plan_patience);
	}
	supervisor_touch(s);
}

static void
act_hand_over(void *obj)
{
	struct supervisor *s = obj;
	struct errmsg err = ERRMSG_NONE;

	ev_timer_stop(loop_ev(s->loop), &s->plan_patience);
	ev_timer_set(&s->plan_patience, PATIENCE_S, 0.);
	ev_timer_start(loop_ev(s->loop), &s->plan_patience);
	if (handover_switch(s, NULL, NULL, NULL, false, &err) < 0) {
		log_warn("the master stops without handing over, the other hosts find out by "
			 "themselves: %s",
		    err.text);
	}
	supervisor_touch(s);
}

static void
act_give_up(void *obj)
{
	handover_cancel(obj, "everything is being stopped, the handover took too long");
	act_step(obj);
}

void
plan_begin(struct supervisor *s)
{
	ev_init(&s->plan_patience, on_patience);
	s->plan_patience.data = s;
	act_step(s);
}

void
plan_stop(struct supervisor *s)
{
	if (s->plan > PLAN_RUNNING) {
		s->plan_hurried = true;
		log_warn("told to stop again: what still runs is killed");
		if (s->plan == PLAN_HANDING_OVER) {
			step(s, PLAN_PATIENCE);
		} else {
			act_step(s);
		}
		return;
	}
	if (s->succession) {
		log_notice(
		    "the sentinels still elect a successor of the dead master: the rest stops "
		    "after that, or when told to stop again");
	}
	step(s, PLAN_STOP);
}

/*
 * A dead master's successor has writes that the dead one may not have saved: its election is waited for (roles.c bounds it), or
 * the next start would begin with less.
 */
static bool
waits_for_successor(const struct supervisor *s)
{
	return s->plan == PLAN_STOP_PROXY && s->succession && !s->plan_hurried;
}

void
plan_check(struct supervisor *s)
{
	/* Several steps may be done at once, when everything was adopted or nothing is left to stop. */
	for (unsigned before = PLAN_STATE_COUNT;
	     before != s->plan && s->plan != PLAN_STOPPED && s->plan != PLAN_RUNNING;) {
		bool done = !waits_for_successor(s) &&
			    (s->plan != PLAN_HANDING_OVER || s->failover == NULL);

		before = s->plan;
		for (size_t i = 0; i < s->unit_count; i++) {
			if (is_in_step(s, s->units[i]) && !is_settled(s, s->units[i])) {
				done = false;
			}
		}
		if (done) {
			step(s, PLAN_DONE);
		}
	}
	if (s->plan == PLAN_STOPPED) {
		loop_stop(s->loop);
	}
}
