/*
 * The one failover that may be under way: a switchover that somebody asked for, or a takeover from a dead master. instance/failover.h does the work;
 * here it is told who may take part, and everybody here is told what comes of it.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define PREPARE_MS 40000 /* longer than any switchover; its end is told */

void
handover_cancel(struct supervisor *s, const char *why)
{
	struct ctl_request *req = s->failover_req;

	if (s->succession) {
		return; /* a takeover is what everything else waits for */
	}
	failover_cancel(&s->failover);
	workers_prepare_switch(s, 0);
	s->failover_req = NULL;
	s->failover_then = NULL; /* who waits for that unit sees it stop */
	if (req != NULL) {
		ctl_fail(req, CTL_EXIT_NOT_READY, "%s", why);
	}
}

static double
since_ms(const struct supervisor *s)
{
	return (double)(clock_mono_us() - s->failover_since_us) / 1000.;
}

static bool
may_pause(void *owner)
{
	return workers_are_prepared(owner);
}

static void
on_hold(void *owner, uint64_t ms)
{
	workers_hold(owner, ms);
	suspect_tell_hold(owner, ms);
}

static void
on_promoted(void *owner, size_t i, const struct topo_master *master)
{
	struct supervisor *s = owner;

	s->failover_promoted_ms = since_ms(s);
	(void)topo_offer(s->topo, master, TOPO_FROM_SUPERVISOR);
}

/* What the switchover was for. */
static void
after_switch(struct supervisor *s, int error)
{
	struct unit *then = s->failover_then;

	s->failover_then = NULL;
	if (then == NULL || error != 0) {
		return;
	}
	if (s->failover_then_restart) {
		process_restart(then->process);
	} else {
		then->held_down = true;
		process_down(then->process);
	}
}

void
handover_answer(struct supervisor *s, int error, const char *text)
{
	struct ctl_request *req = s->failover_req;

	s->failover_req = NULL;
	if (req != NULL && error == 0) {
		ctl_done(
		    req, json_pack("{s:{s:s,s:s,s:i,s:I}}", "master", "name", roles_master_name(s),
			     "host", s->master_at.at.host, "port", (int)s->master_at.at.port,
			     "epoch", (json_int_t)s->master_at.epoch));
	} else if (req != NULL) {
		ctl_fail(req, CTL_EXIT_FAILED, "%s", text);
	} else if (error != 0 && s->failover_then != NULL) {
		control_switch_failed(s, s->failover_then, text);
	}
}

static void
on_done(void *owner, int error, const struct topo_master *master, const char *text)
{
	struct supervisor *s = owner;
	const char *subject;

	s->failover = NULL;
	if (master != NULL) {
		(void)topo_offer(s->topo, master, TOPO_FROM_SUPERVISOR);
	}
	figures_count_failover(s, error == 0 ? s->failover_promoted_ms : -1);
	subject = roles_master_name(s);
	if (error == 0) {
		history_add(s->history, EVENT_FAILOVER_DONE, subject,
		    json_pack("{s:f,s:f}", "writes_ms", s->failover_promoted_ms, "agreed_ms",
			since_ms(s)),
		    "takes writes after %.1f ms, all agree after %.1f ms", s->failover_promoted_ms,
		    since_ms(s));
	} else {
		history_add(s->history, EVENT_FAILOVER_FAILED, subject, NULL, "%s", text);
	}
	workers_prepare_switch(s, 0);
	handover_answer(s, error, text);
	after_switch(s, error);
	rolling_switched(s, error, text);
	if (error != 0 && s->succession) {
		succession_takeover_failed(s, error);
	}
	supervisor_touch(s);
}

static bool
is_still_dead(void *owner)
{
	struct supervisor *s = owner;
	const struct host *h = hosts_at(s, &s->master_at.at);

	return h != NULL && !h->self && suspect_is_dead(s, h);
}

static const struct failover_ops failover_ops = {
    .on_hold = on_hold,
    .on_promoted = on_promoted,
    .on_done = on_done,
    .may_pause = may_pause,
    .is_still_dead = is_still_dead,
};

void
handover_fill_spec(struct supervisor *s, struct failover_spec *spec, struct failover_node *nodes)
{
	spec->master_name = s->name;
	spec->watcher = s->watcher;
	spec->claim = s->claim;
	spec->acquaint = s->acquaint;
	spec->nodes = nodes;
	spec->epoch = s->master_at.epoch;
	spec->barred = hosts_bar_sentinel(s);
	spec->all = spec->remote && succession_takes_all(s);
	spec->down_after_ms = s->conf->sentinel_down_after_ms;
	for (size_t i = 0; i < s->unit_count && spec->count < FAILOVER_MAX_NODES; i++) {
		struct unit *u = s->units[i];

		if (u->kind != UNIT_REDIS) {
			continue;
		}
		if (u == s->master) {
			spec->master = spec->count;
		}
		nodes[spec->count++] = (struct failover_node){.name = u->name,
		    .at = u->at,
		    .link = u->probe != NULL && unit_is_ready(u) ? probe_link(u->probe) : NULL,
		    .synced = s->orphaned    ? succession_may_be_heir(s, u)
			      : spec->barred ? process_runs(u->process)
					     : succession_is_heir(s, u),
		    .known = succession_is_heir(s, u),
		    .on_disk = u->ondisk.complete,
		    .unfit = loaded_unfitness(u)};
	}
	for (size_t i = 0; i < s->host_count && spec->count < FAILOVER_MAX_NODES; i++) {
		const struct host *h = &s->hosts[i];

		if (h->self) {
			continue;
		}
		if (s->master == NULL && endpoint_equal(&h->redis, &s->master_at.at)) {
			spec->master = spec->count;
		}
		nodes[spec->count++] = (struct failover_node){.name = h->redis_name,
		    .at = h->redis,
		    .link = probe_link(h->probe),
		    .synced =
			spec->barred ? !succession_does_without(h) : succession_is_heir_host(h),
		    .known = succession_is_heir_host(h),
		    .on_disk = true};
	}
}

/* Starts it among all redis instances. False with `err` when it cannot begin. */
static bool
start_failover(struct supervisor *s, struct failover_spec *spec, struct errmsg *err)
{
	struct failover_node nodes[FAILOVER_MAX_NODES];

	handover_fill_spec(s, spec, nodes);
	s->failover_since_us = clock_mono_us();
	s->failover_from = s->master;
	s->failover = failover_start(s->loop, spec, &failover_ops, s, err);
	return s->failover != NULL;
}

bool
handover_take_over(struct supervisor *s, bool orphaned, struct errmsg *err)
{
	const struct unit *old = s->master;
	struct failover_spec spec = {.dead = true};

	/* Of one that died while nobody looked nothing was seen: whoever has anything will do. */
	spec.seen_offset = orphaned ? 1 : old->seen_offset;
	if (old->probe != NULL) {
		/* Its end is seen before its process has ended. */
		spec.seen_offset = MAX(spec.seen_offset, probe_get(old->probe)->offset);
	}
	if (!start_failover(s, &spec, err)) {
		return false;
	}
	history_add(s->history, EVENT_FAILOVER_STARTED, s->master->name,
	    json_pack("{s:b}", "takeover", 1), "is dead, a replica takes over");
	return true;
}

bool
handover_take_over_from(struct supervisor *s, const struct host *master, const char *why,
    uint64_t retry_ms, struct errmsg *err)
{
	struct failover_spec spec = {.dead = true, .remote = true, .retry_ms = retry_ms};

	if (!start_failover(s, &spec, err)) {
		return false;
	}
	history_add(s->history, EVENT_FAILOVER_STARTED, master->redis_name,
	    json_pack("{s:b,s:s}", "takeover", 1, "why", why),
	    "is dead as far as this host can see (%s), a replica takes over", why);
	return true;
}

int
handover_switch(struct supervisor *s, const char *to, struct ctl_request *req, struct unit *then,
    bool restart, struct errmsg *err)
{
	struct failover_spec spec = {.to = to};

	if (s->failover != NULL || s->succession) {
		errmsg_set(
		    err, "a failover is already under way: wait for it (`holdfast events -f`)");
		return -EBUSY;
	}
	/* Of another host's, or one that has just become master, the failover itself asks what it is. */
	if (hosts_are_several(s) ? !s->master_known || hosts_at(s, &s->master_at.at) == NULL
				 : s->master == NULL || !servers_is_master(s->master)) {
		errmsg_set(
		    err, "there is no master here that could hand over: see `holdfast status`");
		return -ENOENT;
	}
	if (!start_failover(s, &spec, err)) {
		return -EAGAIN;
	}
	workers_prepare_switch(s, PREPARE_MS);
	s->failover_req = req;
	s->failover_then = then;
	s->failover_then_restart = restart;
	history_add(s->history, EVENT_FAILOVER_STARTED, roles_master_name(s),
	    json_pack("{s:s?}", "to", to), "hands over%s%s", to != NULL ? " to " : "",
	    to != NULL ? to : "");
	return 0;
}

bool
handover_is_possible(const struct supervisor *s, const struct unit *u)
{
	if (u->kind != UNIT_REDIS || u != s->master || !servers_is_master(u)) {
		return false;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i] != u && s->units[i]->kind == UNIT_REDIS &&
		    servers_is_synced(s->units[i])) {
			return true;
		}
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (!s->hosts[i].self && hosts_is_synced(&s->hosts[i])) {
			return true;
		}
	}
	return false;
}
