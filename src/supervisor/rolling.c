/*
 * The rolling restart: every server takes up its program and its settings anew, and no client notices.
 *
 *   each replica ─→ the master hands over ─→ the old master ─→ each sentinel
 *
 * Of several hosts each does that for its own servers, when it is its turn: the supervisor that was asked tells one after the other (voice.c), the
 * master's host last, and each answers when it is done. Both are said again and again, since nothing that is said is sure to be heard.
 *
 *   "roll ID HOST" ─▸ HOST: "rolling ID" … "rolled ID ok", or "rolled ID no WHY"
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
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor.h"
#include "supervisor/supervisor_priv.h"

/* A step without visible progress (data being read in, a copy being taken) has failed after that. */
#define PATIENCE_S 60.
#define ANSWER_MS                                                                                  \
	30000 /* how long a host says that it is done; who asked looks ten times a second */

enum rolling_state {
	ROLLING_CHECKING,   /* the modules: do they load, may what leaves leave */
	ROLLING_SETTLING,   /* until the cluster is ready */
	ROLLING_RESTARTING, /* one instance */
	ROLLING_ELSEWHERE,  /* another host has its turn */
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

/* One of both. */
struct step {
	struct unit *unit; /* borrowed; redis and sentinel units live on */
	struct host *host; /* borrowed: all servers of another host */
};

struct rolling {
	struct supervisor *sup;  /* borrowed (outlives it) */
	struct ctl_request *req; /* borrowed; who asked and is told, or NULL when it has left */
	unsigned state;          /* enum rolling_state; written by fsm_step only */
	struct step *todo;       /* owned */
	size_t count, next;      /* next: index of the one after the present one */
	size_t
	    old_master; /* index in `todo`; before it the master hands over; SIZE_MAX: it is on another host */
	struct endpoint master; /* who must be it, or something else has happened */
	uint64_t id;            /* several hosts: what it is called */
	bool ordered;           /* by another host, which is told the end */
	uint64_t heard_ms;      /* when the host that has its turn was last heard to be at it */
	bool switched;
	bool settled;     /* the present one is ready, and so is the cluster */
	pid_t pid_before; /* of the one that is being restarted */
	uint64_t begun_ms, step_ms;
	ev_timer patience;
	struct errmsg why;
	char what[32];
};

static const char *const state_names[ROLLING_STATE_COUNT] = {
    [ROLLING_CHECKING] = "checking",
    [ROLLING_SETTLING] = "settling",
    [ROLLING_RESTARTING] = "restarting",
    [ROLLING_ELSEWHERE] = "elsewhere",
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

static bool
is_elsewhere(void *obj)
{
	const struct rolling *r = obj;

	return r->next < r->count && r->todo[r->next].host != NULL;
}

static void act_settle(void *obj);
static void act_tell_host(void *obj);
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
    ROW(ROLLING_SETTLING, ROLLING_DONE, is_elsewhere, act_tell_host, ROLLING_ELSEWHERE,
	"the next host"),
    ROW(ROLLING_SETTLING, ROLLING_DONE, has_next, act_restart, ROLLING_RESTARTING, "the next one"),
    ROW(ROLLING_SETTLING, ROLLING_DONE, NULL, act_succeed, ROLLING_ENDED, "all are done"),
    FAILS(ROLLING_SETTLING, "the cluster does not get ready"),

    ROW(ROLLING_RESTARTING, ROLLING_DONE, NULL, act_settle, ROLLING_SETTLING, "it serves again"),
    FAILS(ROLLING_RESTARTING, "it does not come back"),

    ROW(ROLLING_ELSEWHERE, ROLLING_DONE, NULL, act_settle, ROLLING_SETTLING,
	"the other host is done"),
    FAILS(ROLLING_ELSEWHERE, "the other host could not"),

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

static const char *
step_name(const struct step *t)
{
	return t->unit != NULL ? t->unit->name : t->host->name;
}

/* "redis-2, redis-3" of todo[from] to todo[to - 1]; "none". */
static void
name_units(const struct rolling *r, size_t from, size_t to, char *text, size_t size)
{
	size_t used = 0;

	(void)snprintf(text, size, "none");
	for (size_t i = from; i < to && used < size; i++) {
		int n = snprintf(
		    text + used, size - used, "%s%s", i > from ? ", " : "", step_name(&r->todo[i]));

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

/* Who has ordered it is told from now on that it has ended, NULL: well. */
static void
answer_order(struct rolling *r, const char *why_not)
{
	struct supervisor *s = r->sup;

	if (r->ordered) {
		s->roll_answer_until_ms = clock_mono_ms() + ANSWER_MS;
		(void)snprintf(s->roll_answer, sizeof(s->roll_answer), "%s%s",
		    why_not != NULL ? "no " : "ok", why_not != NULL ? why_not : "");
	}
}

/* "5 servers", "servers of this host", "servers of all hosts" */
static const char *
what(struct rolling *r)
{
	if (hosts_are_several(r->sup)) {
		return r->ordered ? "servers of this host" : "servers of all hosts";
	}
	(void)snprintf(r->what, sizeof(r->what), "%zu servers", r->count);
	return r->what;
}

static void
act_succeed(void *obj)
{
	struct rolling *r = obj;
	struct supervisor *s = r->sup;
	double took_s = (double)(clock_mono_ms() - r->begun_ms) / 1000.;
	struct ctl_request *req = r->req;

	say(r, "all %s were restarted in %.1f s; %s is the master", what(r), took_s,
	    roles_master_name(s));
	history_add(s->history, EVENT_ROLLING_DONE, s->node,
	    json_pack("{s:i,s:f}", "restarted", (int)r->count, "took_s", took_s),
	    "all %s were restarted, one after the other, in %.1f s", what(r), took_s);
	modules_rolled(s, true);
	answer_order(r, NULL);
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
	answer_order(r, how);
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
		const struct step *t = &r->todo[r->next - 1];

		(void)snprintf(then, sizeof(then),
		    "; see `holdfast status` and `holdfast logs%s%s`%s, and begin again once the "
		    "state is ready",
		    t->unit != NULL ? " " : "", t->unit != NULL ? t->unit->name : "",
		    t->unit != NULL ? "" : " there");
	}
	end_early(r, CTL_EXIT_FAILED, r->why.text, then);
}

static void
act_give_up(void *obj)
{
	end_early(obj, CTL_EXIT_NOT_READY, "everything is being stopped", "");
}

/* ---- steps ---- */

static const struct step *
present(const struct rolling *r)
{
	return &r->todo[r->next - 1];
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
	struct unit *u = r->todo[r->next++].unit;

	say(r, "%s: restarts (%zu of %zu)", u->name, r->next, r->count);
	r->pid_before = process_pid(u->process);
	r->settled = false;
	begin_step(r);
	process_restart(u->process);
}

static void
act_tell_host(void *obj)
{
	struct rolling *r = obj;
	struct host *h = r->todo[r->next++].host;

	say(r, "host %s: has its turn (%zu of %zu)", h->name, r->next, r->count);
	r->settled = false;
	r->heard_ms = clock_mono_ms();
	begin_step(r);
}

static void
act_switch(void *obj)
{
	struct rolling *r = obj;
	struct unit *old = r->todo[r->old_master].unit;

	say(r, "%s: hands over", old->name);
	begin_step(r);
	if (handover_switch(r->sup, NULL, NULL, NULL, false, &r->why) < 0) {
		errmsg_prefix(&r->why, "%s cannot hand over", old->name);
		step(r, ROLLING_BAD);
	}
}

static const char *
old_master_name(const struct rolling *r)
{
	return r->todo[r->old_master].unit->name;
}

void
rolling_switched(struct supervisor *s, int error, const char *text)
{
	struct rolling *r = s->rolling;

	if (r == NULL || r->state != ROLLING_SWITCHING) {
		return;
	}
	if (error != 0 || endpoint_equal(&s->master_at.at, &r->master)) {
		errmsg_set(&r->why, "%s could not hand over: %s", old_master_name(r),
		    text != NULL && text[0] != '\0' ? text : "nobody else became master");
		step(r, ROLLING_BAD);
		return;
	}
	r->switched = true;
	r->master = s->master_at.at;
	say(r, "%s: is the master now, after %.1f s", roles_master_name(s),
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

static bool
is_redis(const struct step *t)
{
	return t->unit == NULL || t->unit->kind == UNIT_REDIS;
}

/* Something that is not ours to go on with; false with `why`. */
static bool
is_undisturbed(struct rolling *r)
{
	const struct supervisor *s = r->sup;

	if (s->succession || !endpoint_equal(&s->master_at.at, &r->master)) {
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
	if (r->state == ROLLING_ELSEWHERE) {
		return; /* the master may hand over there */
	}
	if (r->state == ROLLING_SWITCHING ? s->succession : !is_undisturbed(r)) {
		if (r->state == ROLLING_SWITCHING) {
			errmsg_set(&r->why, "%s died while it handed over", old_master_name(r));
		}
		step(r, ROLLING_BAD);
		return;
	}
	if (r->state == ROLLING_RESTARTING && unit_is_ready(present(r)->unit) &&
	    process_pid(present(r)->unit->process) != r->pid_before) {
		step(r, ROLLING_DONE);
	} else if (r->state == ROLLING_SETTLING && s->health == HEALTH_READY) {
		if (r->next > 0 && !r->settled) {
			r->settled = true;
			say(r, "%s: ready%s after %.1f s", step_name(present(r)),
			    is_redis(present(r)) ? " and in sync" : "",
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
	if (s->rolling->state == ROLLING_ELSEWHERE &&
	    clock_mono_ms() - s->rolling->heard_ms < (uint64_t)(PATIENCE_S * 1000. / 2.)) {
		return true; /* it has a patience of its own */
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
	    r->next > 0 ? step_name(present(r)) : "the cluster",
	    r->next > 0 && is_redis(present(r)) ? " and in sync" : "", PATIENCE_S);
	step(r, ROLLING_LATE);
}

/* ---- beginning ---- */

/* Why it cannot begin: the exit code, or 0. `ordered`: that the cluster is ready was seen elsewhere, and is seen before the first step. */
static int
refuse(struct supervisor *s, bool ordered, struct errmsg *err)
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
	if (up == 1 && s->host_count <= 1) {
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
	if (s->plan == PLAN_RUNNING && s->master_known &&
	    (s->master != NULL || hosts_are_several(s)) && (ordered || s->health == HEALTH_READY)) {
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
			r->todo[r->count++].unit = u;
		}
	}
}

static void
add_own(struct rolling *r)
{
	add_units(r, UNIT_REDIS);
	if (r->sup->master != NULL) {
		r->old_master = r->count;
		r->todo[r->count++].unit = r->sup->master;
	}
	add_units(r, UNIT_SENTINEL);
}

/* The master's host is the last one: so the master hands over once. */
static void
add_all(struct rolling *r)
{
	struct supervisor *s = r->sup;

	for (unsigned masters = 0; masters < 2; masters++) {
		for (size_t i = 0; i < s->host_count; i++) {
			struct host *h = &s->hosts[i];

			if (endpoint_equal(&h->redis, &s->master_at.at) != (masters == 1)) {
				continue;
			}
			if (h->self) {
				add_own(r);
			} else {
				r->todo[r->count++].host = h;
			}
		}
	}
	if (s->host_count == 0) {
		add_own(r);
	}
}

static void
begin(struct supervisor *s, struct ctl_request *req, uint64_t id, bool ordered)
{
	struct rolling *r = xcalloc(1, sizeof(*r));

	*r = (struct rolling){.sup = s,
	    .req = req,
	    .id = id,
	    .ordered = ordered,
	    .master = s->master_at.at,
	    .old_master = SIZE_MAX,
	    .begun_ms = clock_mono_ms()};
	r->todo = xcalloc(s->unit_count + s->host_count, sizeof(*r->todo));
	if (ordered) {
		add_own(r);
	} else {
		add_all(r);
	}
	ev_init(&r->patience, on_patience);
	r->patience.data = r;
	s->rolling = r;
	history_add(s->history, EVENT_ROLLING_STARTED, s->node,
	    json_pack("{s:i,s:s,s:b}", "servers", (int)r->count, "master", roles_master_name(s),
		"ordered", (int)ordered),
	    "all %s are restarted, one after the other%s", what(r),
	    ordered ? ": another host says that it is our turn" : "");
	begin_step(r);
	modules_roll(s);
}

void
rolling_begin(struct supervisor *s, struct ctl_request *req, bool detach)
{
	struct errmsg err = ERRMSG_NONE;
	int code = refuse(s, false, &err);

	if (code != 0) {
		ctl_fail(req, code, "%s", err.text);
		return;
	}
	asked_note(s, req, s->node, "restart all servers, one after the other");
	if (detach) {
		ctl_done(req, NULL);
	} else {
		ctl_on_gone(req, on_gone, s);
	}
	begin(s, detach ? NULL : req, clock_wall_ms(), false);
}

void
rolling_stop(struct supervisor *s)
{
	if (s->rolling != NULL) {
		step(s->rolling, ROLLING_STOP);
	}
}

/* ---- several hosts ---- */

void
rolling_pulse(struct supervisor *s)
{
	const struct rolling *r = s->rolling;

	if (r != NULL && r->state == ROLLING_ELSEWHERE) {
		voice_say(s, "roll %llu %s", (unsigned long long)r->id, present(r)->host->name);
	} else if (r != NULL && r->ordered) {
		voice_say(s, "rolling %llu", (unsigned long long)r->id);
	} else if (r == NULL && s->roll_order != 0 && clock_mono_ms() < s->roll_answer_until_ms) {
		voice_say(s, "rolled %llu %s", (unsigned long long)s->roll_order, s->roll_answer);
	}
}

static void
obey(struct supervisor *s, uint64_t id)
{
	struct errmsg err = ERRMSG_NONE;

	if (id == s->roll_order) {
		return; /* it is under way, or its end is being said */
	}
	s->roll_order = id;
	s->roll_answer_until_ms = clock_mono_ms() + ANSWER_MS;
	if (refuse(s, true, &err) != 0) {
		(void)snprintf(s->roll_answer, sizeof(s->roll_answer), "no %s", err.text);
	} else {
		begin(s, NULL, id, true);
	}
}

/* It has ended there, or goes on. */
static void
hear(struct supervisor *s, const struct host *sender, uint64_t id, const char *answer)
{
	struct rolling *r = s->rolling;

	if (r == NULL || r->state != ROLLING_ELSEWHERE || r->id != id ||
	    present(r)->host != sender) {
		return;
	}
	r->heard_ms = clock_mono_ms();
	if (strcmp(answer, "ok") == 0) {
		r->master = s->master_at.at;
		step(r, ROLLING_DONE);
	} else if (strncmp(answer, "no ", 3) == 0) {
		errmsg_set(&r->why, "host %s: %s", sender->name, answer + 3);
		step(r, ROLLING_BAD);
	}
}

void
rolling_on_words(struct supervisor *s, const struct host *sender, const char *words)
{
	char verb[12] = "", number[24] = "";
	const char *rest = words;
	uint64_t id;

	for (size_t i = 0; i < 2 && rest != NULL; i++) {
		size_t len = strcspn(rest, " ");

		(void)snprintf(i == 0 ? verb : number, i == 0 ? sizeof(verb) : sizeof(number),
		    "%.*s", (int)len, rest);
		rest = rest[len] == ' ' ? rest + len + 1 : rest + len;
	}
	if (!slice_to_u64(slice_str(number), &id) || id == 0) {
		return;
	}
	if (strcmp(verb, "roll") == 0 && strcmp(rest, s->node) == 0) {
		obey(s, id);
	} else if (strcmp(verb, "rolling") == 0 || strcmp(verb, "rolled") == 0) {
		hear(s, sender, id, rest);
	}
}
