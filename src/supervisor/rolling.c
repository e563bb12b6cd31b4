/*
 * The rolling restart: every server takes up its program and its settings anew, and no client notices.
 *
 *   each replica ─→ the master hands over ─→ the old master ─→ each sentinel
 *
 * One at a time, each step only when the whole cluster is ready again, so at every moment there is a master, a replica in sync
 * that could follow it, and a majority of sentinels. The sentinels are restarted always, too: whether their program changed on
 * disk cannot be told from outside, and two of three go on meanwhile. Workers are not: their clients would be cut. It stops at
 * the first step that fails and leaves everything else as it is. A supervisor that ends forgets it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/supervisor.h"
#include "supervisor/supervisor_priv.h"

/* A step without visible progress (data being read in, a copy being taken) has failed after that. */
#define PATIENCE_S 60.

enum rolling_state {
	ROLLING_CHECKING,   /* the modules: do they load, may what leaves leave */
	ROLLING_SETTLING,   /* until the cluster is ready */
	ROLLING_RESTARTING, /* one instance */
	ROLLING_SWITCHING,  /* the master hands over */
	ROLLING_ENDED,
	ROLLING_STATE_COUNT
};

enum rolling_event {
	ROLLING_DONE, /* the step is done */
	ROLLING_BAD,  /* it cannot be done; `why` says it */
	ROLLING_LATE, /* it is not done in time */
	ROLLING_STOP, /* everything is being stopped */
	ROLLING_EVENT_COUNT
};

struct rolling {
	struct supervisor *sup;  /* borrowed (outlives it) */
	struct ctl_request *req; /* borrowed; who asked and is told, or NULL when it has left */
	unsigned state;          /* enum rolling_state; written by fsm_step only */
	struct unit **todo;  /* owned array of borrowed units; redis and sentinel units live on */
	size_t count, next;  /* next: index of the one after the present one */
	size_t old_master;   /* index in `todo`; before it the master hands over */
	struct unit *master; /* borrowed: who must be it, or something else has happened */
	bool switched;
	bool settled;     /* the present one is ready, and so is the cluster */
	pid_t pid_before; /* of the one that is being restarted */
	uint64_t begun_ms, step_ms;
	ev_timer patience;
	struct errmsg why;
};

static const char *const state_names[ROLLING_STATE_COUNT] = {
    [ROLLING_CHECKING] = "checking",
    [ROLLING_SETTLING] = "settling",
    [ROLLING_RESTARTING] = "restarting",
    [ROLLING_SWITCHING] = "switching",
    [ROLLING_ENDED] = "ended",
};
static const char *const event_names[ROLLING_EVENT_COUNT] = {
    [ROLLING_DONE] = "done",
    [ROLLING_BAD] = "bad",
    [ROLLING_LATE] = "late",
    [ROLLING_STOP] = "stop",
};

static bool
must_switch(void *obj)
{
	const struct rolling *r = obj;

	return r->next == r->old_master && !r->switched;
}

static bool
has_next(void *obj)
{
	const struct rolling *r = obj;

	return r->next < r->count;
}

static void act_settle(void *obj);
static void act_switch(void *obj);
static void act_restart(void *obj);
static void act_succeed(void *obj);
static void act_fail(void *obj);
static void act_give_up(void *obj);

#define ROW(s, e, g, a, n, c)                                                                      \
	{                                                                                          \
		.state = (s), .event = (e), .guard = (g), .action = (a), .next = (n),              \
		.comment = (c)                                                                     \
	}
#define FAILS(s, c)                                                                                \
	ROW(s, ROLLING_BAD, NULL, act_fail, ROLLING_ENDED, c),                                     \
	    ROW(s, ROLLING_LATE, NULL, act_fail, ROLLING_ENDED, c),                                \
	    ROW(s, ROLLING_STOP, NULL, act_give_up, ROLLING_ENDED, "everything is being stopped")

static const struct fsm_row rows[] = {
    ROW(ROLLING_CHECKING, ROLLING_DONE, NULL, act_settle, ROLLING_SETTLING,
	"the modules are as they should be"),
    FAILS(ROLLING_CHECKING, "the modules are not"),

    ROW(ROLLING_SETTLING, ROLLING_DONE, must_switch, act_switch, ROLLING_SWITCHING,
	"all replicas are done: the master hands over"),
    ROW(ROLLING_SETTLING, ROLLING_DONE, has_next, act_restart, ROLLING_RESTARTING, "the next one"),
    ROW(ROLLING_SETTLING, ROLLING_DONE, NULL, act_succeed, ROLLING_ENDED, "all are done"),
    FAILS(ROLLING_SETTLING, "the cluster does not get ready"),

    ROW(ROLLING_RESTARTING, ROLLING_DONE, NULL, act_settle, ROLLING_SETTLING, "it serves again"),
    FAILS(ROLLING_RESTARTING, "it does not come back"),

    ROW(ROLLING_SWITCHING, ROLLING_DONE, NULL, act_settle, ROLLING_SETTLING,
	"there is a new master"),
    FAILS(ROLLING_SWITCHING, "the master could not hand over"),
};

const struct fsm rolling_fsm = {
    .name = "rolling",
    .states = state_names,
    .state_count = ROLLING_STATE_COUNT,
    .events = event_names,
    .event_count = ROLLING_EVENT_COUNT,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
};

static void
step(struct rolling *r, enum rolling_event event)
{
	(void)fsm_step(&rolling_fsm, r, &r->state, event);
}

/* ---- who is told ---- */

/* One line of progress to who asked. */
static void ATTR_PRINTF(2, 3) say(struct rolling *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("rolling restart: %s", text);
	if (r->req != NULL) {
		(void)ctl_send(r->req, json_pack("{s:s}", "step", text));
	}
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	struct supervisor *s = arg;

	if (s->rolling != NULL) {
		s->rolling->req = NULL; /* it goes on without anybody to tell */
	}
}

/* "redis-2, redis-3" of todo[from] to todo[to - 1]; "none". */
static void
name_units(const struct rolling *r, size_t from, size_t to, char *text, size_t size)
{
	size_t used = 0;

	(void)snprintf(text, size, "none");
	for (size_t i = from; i < to && used < size; i++) {
		int n = snprintf(
		    text + used, size - used, "%s%s", i > from ? ", " : "", r->todo[i]->name);

		used += n > 0 ? (size_t)n : 0;
	}
}

/* ---- ends ---- */

void
rolling_free(struct supervisor *s)
{
	struct rolling *r = s->rolling;

	s->rolling = NULL;
	if (r != NULL) {
		ev_timer_stop(loop_ev(s->loop), &r->patience);
		free(r->todo);
		loop_bury(s->loop, free, r);
	}
}

static void
act_succeed(void *obj)
{
	struct rolling *r = obj;
	struct supervisor *s = r->sup;
	double took_s = (double)(clock_mono_ms() - r->begun_ms) / 1000.;
	struct ctl_request *req = r->req;

	say(r, "all %zu servers were restarted in %.1f s; %s is the master", r->count, took_s,
	    s->master->name);
	history_add(s->history, EVENT_ROLLING_DONE, s->node,
	    json_pack("{s:i,s:f}", "restarted", (int)r->count, "took_s", took_s),
	    "all %zu servers were restarted, one after the other, in %.1f s", r->count, took_s);
	modules_rolled(s, true);
	rolling_free(s);
	if (req != NULL) {
		ctl_done(req, NULL);
	}
}

/* `how`: what stopped it. The present one counts as done once it was ready again. */
static void
end_early(struct rolling *r, int exit_code, const char *how, const char *then)
{
	struct supervisor *s = r->sup;
	struct ctl_request *req = r->req;
	size_t done = r->next;
	char before[256], after[256];
	char text[1024];

	if (!r->settled && done > 0) {
		done--; /* the present one may run, but it was not seen to be well */
	}
	name_units(r, 0, done, before, sizeof(before));
	name_units(r, done, r->count, after, sizeof(after));
	(void)snprintf(text, sizeof(text),
	    "the rolling restart stopped: %s (restarted: %s; not: %s)%s", how, before, after, then);
	history_add(s->history, EVENT_ROLLING_FAILED, s->node,
	    json_pack("{s:s,s:s,s:s}", "why", how, "restarted", before, "not_restarted", after),
	    "%s", text);
	removal_free(s);
	modules_rolled(s, false);
	rolling_free(s);
	if (req != NULL) {
		ctl_fail(req, exit_code, "%s", text);
	}
}

static void
act_fail(void *obj)
{
	struct rolling *r = obj;
	char then[160];

	(void)snprintf(
	    then, sizeof(then), "; see `holdfast status`, and begin again once the state is ready");
	if (r->next > 0) {
		(void)snprintf(then, sizeof(then),
		    "; see `holdfast status` and `holdfast logs %s`, and begin again once the "
		    "state is ready",
		    r->todo[r->next - 1]->name);
	}
	end_early(r, CTL_EXIT_FAILED, r->why.text, then);
}

static void
act_give_up(void *obj)
{
	end_early(obj, CTL_EXIT_NOT_READY, "everything is being stopped", "");
}

/* ---- steps ---- */

static struct unit *
present(const struct rolling *r)
{
	return r->todo[r->next - 1];
}

static void
begin_step(struct rolling *r)
{
	struct ev_loop *ev = loop_ev(r->sup->loop);

	r->step_ms = clock_mono_ms();
	ev_timer_stop(ev, &r->patience);
	ev_timer_set(&r->patience, PATIENCE_S, PATIENCE_S);
	ev_timer_start(ev, &r->patience);
	supervisor_touch(r->sup);
}

static void
act_settle(void *obj)
{
	struct rolling *r = obj;
	uint64_t began_ms = r->step_ms;

	begin_step(r);
	r->step_ms = began_ms; /* that it is in sync again is part of it */
}

static void
act_restart(void *obj)
{
	struct rolling *r = obj;
	struct unit *u = r->todo[r->next++];

	say(r, "%s: restarts (%zu of %zu)", u->name, r->next, r->count);
	r->pid_before = process_pid(u->process);
	r->settled = false;
	begin_step(r);
	process_restart(u->process);
}

static void
act_switch(void *obj)
{
	struct rolling *r = obj;
	struct unit *old = r->todo[r->old_master];

	say(r, "%s: hands over", old->name);
	begin_step(r);
	if (roles_switch(r->sup, NULL, NULL, NULL, false, &r->why) < 0) {
		errmsg_prefix(&r->why, "%s cannot hand over", old->name);
		step(r, ROLLING_BAD);
	}
}

void
rolling_switched(struct supervisor *s, int error, const char *text)
{
	struct rolling *r = s->rolling;

	if (r == NULL || r->state != ROLLING_SWITCHING) {
		return;
	}
	if (error != 0 || s->master == r->master || s->master == NULL) {
		errmsg_set(&r->why, "%s could not hand over: %s", r->master->name,
		    text != NULL && text[0] != '\0' ? text : "nobody else became master");
		step(r, ROLLING_BAD);
		return;
	}
	r->switched = true;
	r->master = s->master;
	say(r, "%s: is the master now, after %.1f s", s->master->name,
	    (double)(clock_mono_ms() - r->step_ms) / 1000.);
	step(r, ROLLING_DONE);
}

bool
rolling_is_checking(const struct supervisor *s)
{
	return s->rolling != NULL && s->rolling->state == ROLLING_CHECKING;
}

void
rolling_modules_ready(struct supervisor *s, const char *why_not)
{
	struct rolling *r = s->rolling;

	if (!rolling_is_checking(s)) {
		return;
	}
	if (why_not != NULL) {
		errmsg_set(&r->why, "%s", why_not);
		step(r, ROLLING_BAD);
	} else {
		step(r, ROLLING_DONE);
	}
}

/* ---- looking ---- */

/* Something that is not ours to go on with; false with `why`. */
static bool
is_undisturbed(struct rolling *r)
{
	const struct supervisor *s = r->sup;

	if (s->succession || s->master != r->master) {
		errmsg_set(&r->why, "the master changed meanwhile (a failover, not ours)");
		return false;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (process_state(u->process) == PROCESS_FAILED) {
			errmsg_set(&r->why, "%s was given up after it failed again and again: %s",
			    u->name, u->last_exit);
			return false;
		}
	}
	return true;
}

void
rolling_check(struct supervisor *s)
{
	struct rolling *r = s->rolling;

	if (r == NULL) {
		return;
	}
	if (r->state == ROLLING_SWITCHING ? s->succession : !is_undisturbed(r)) {
		if (r->state == ROLLING_SWITCHING) {
			errmsg_set(&r->why, "%s died while it handed over", r->master->name);
		}
		step(r, ROLLING_BAD);
		return;
	}
	if (r->state == ROLLING_RESTARTING && unit_is_ready(present(r)) &&
	    process_pid(present(r)->process) != r->pid_before) {
		step(r, ROLLING_DONE);
	} else if (r->state == ROLLING_SETTLING && s->health == HEALTH_READY) {
		if (r->next > 0 && !r->settled) {
			r->settled = true;
			say(r, "%s: ready%s after %.1f s", present(r)->name,
			    present(r)->kind == UNIT_REDIS ? " and in sync" : "",
			    (double)(clock_mono_ms() - r->step_ms) / 1000.);
		}
		step(r, ROLLING_DONE);
	}
}

static bool
makes_progress(const struct supervisor *s)
{
	if (s->removal != NULL) {
		return true; /* each of its questions has a bound */
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];
		const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

		if (u->kind == UNIT_REDIS && v != NULL && v->answering &&
		    (v->loading || v->sync == PROBE_SYNC_TRANSFER)) {
			return true;
		}
	}
	return false;
}

static void
on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct rolling *r = w->data;

	if (makes_progress(r->sup)) {
		return; /* the timer repeats */
	}
	errmsg_set(&r->why, "%s: not ready%s within %.0f s",
	    r->next > 0 ? present(r)->name : "the cluster",
	    r->next > 0 && present(r)->kind == UNIT_REDIS ? " and in sync" : "", PATIENCE_S);
	step(r, ROLLING_LATE);
}

/* ---- beginning ---- */

/* Why it cannot begin: the exit code, or 0. */
static int
refuse(struct supervisor *s, struct errmsg *err)
{
	const struct unit *lone = NULL;
	size_t up = 0;
	json_t *status;

	if (s->plan > PLAN_RUNNING) {
		errmsg_set(err, "everything is being stopped");
		return CTL_EXIT_NOT_READY;
	}
	if (s->rolling != NULL) {
		errmsg_set(err, "a rolling restart is under way already: `holdfast events -f` "
				"shows when it is done");
		return CTL_EXIT_FAILED;
	}
	if (s->upgrade != NULL) {
		errmsg_set(err, "an upgrade is under way: begin again once it is done");
		return CTL_EXIT_FAILED;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && !s->units[i]->held_down) {
			lone = s->units[i];
			up++;
		}
	}
	if (up == 1) {
		errmsg_set(err,
		    "%s is the only redis server that is to run, so nobody could take over while "
		    "it "
		    "restarts: `holdfast restart %s` does that, and clients wait meanwhile",
		    lone->name, lone->name);
		return CTL_EXIT_FAILED;
	}
	if (s->failover != NULL || s->succession) {
		errmsg_set(err, "a failover is under way: begin again once it is done "
				"(`holdfast events -f`)");
		return CTL_EXIT_FAILED;
	}
	if (s->plan == PLAN_RUNNING && s->health == HEALTH_READY && s->master != NULL) {
		return 0;
	}
	status = health_status(s);
	errmsg_set(err, "the cluster is not ready (%s): begin again once `holdfast status` says so",
	    json_array_size(json_object_get(status, "reasons")) > 0
		? json_string_value(json_array_get(json_object_get(status, "reasons"), 0))
		: "it is still starting");
	json_decref(status);
	return CTL_EXIT_NOT_READY;
}

/* Those that an operator stopped take everything up when they are started. */
static void
add_units(struct rolling *r, enum unit_kind kind)
{
	const struct supervisor *s = r->sup;

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == kind && u != s->master && !u->held_down) {
			r->todo[r->count++] = u;
		}
	}
}

void
rolling_begin(struct supervisor *s, struct ctl_request *req, bool detach)
{
	struct errmsg err = ERRMSG_NONE;
	int code = refuse(s, &err);
	struct rolling *r;

	if (code != 0) {
		ctl_fail(req, code, "%s", err.text);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	*r = (struct rolling){
	    .sup = s, .req = detach ? NULL : req, .master = s->master, .begun_ms = clock_mono_ms()};
	r->todo = xcalloc(s->unit_count, sizeof(struct unit *));
	add_units(r, UNIT_REDIS);
	r->old_master = r->count;
	r->todo[r->count++] = s->master;
	add_units(r, UNIT_SENTINEL);
	ev_init(&r->patience, on_patience);
	r->patience.data = r;
	s->rolling = r;
	asked_note(s, req, s->node, "restart all servers, one after the other");
	if (detach) {
		ctl_done(req, NULL);
	} else {
		ctl_on_gone(req, on_gone, s);
	}
	history_add(s->history, EVENT_ROLLING_STARTED, s->node,
	    json_pack("{s:i,s:s}", "servers", (int)r->count, "master", s->master->name),
	    "all %zu servers are restarted, one after the other", r->count);
	begin_step(r);
	modules_roll(s);
}

void
rolling_stop(struct supervisor *s)
{
	if (s->rolling != NULL) {
		step(s->rolling, ROLLING_STOP);
	}
}
