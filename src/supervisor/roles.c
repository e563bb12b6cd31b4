/*
 * Who is master, and who follows whom. The sentinels decide; what they say arrives in topo, and here it becomes true: the state database, the
 * workers and the instances are told. A dead master waits for its successor before it may start again, as a replica.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

/* A role that is wrong for so long is set right. Sentinel needs about 10 s for the same. */
#define WRONG_ROLE_MS 3000
#define STRAY_MS      5000 /* hellos come every 2 s */
/* A replica that has been without its master for longer is no longer up to date when that dies. */
#define HEIR_UNLINKED_MS 3000
#define PREPARE_MS       40000 /* longer than any switchover; its end is told */

static bool take_over(struct supervisor *s, bool orphaned, struct errmsg *err);
static void answer_switch(struct supervisor *s, int error, const char *text);

bool
roles_sentinels_agree(const struct supervisor *s)
{
	size_t at = 0, wanted = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		const struct watcher_sentinel *v;

		if (s->units[i]->kind != UNIT_SENTINEL) {
			continue;
		}
		v = at < watcher_count(s->watcher) ? watcher_get(s->watcher, at) : NULL;
		at++;
		if (s->units[i]->held_down) {
			continue;
		}
		wanted++;
		if (v == NULL || !v->connected || !v->hears || !v->knows || !s->master_known ||
		    v->others + 1 < watcher_count(s->watcher) ||
		    v->names.epoch != s->master_at.epoch ||
		    !endpoint_equal(&v->names.at, &s->master_at.at)) {
			return false;
		}
	}
	if (hosts_are_several(s)) {
		struct topo_master named;

		return wanted > 0 && watcher_majority(s->watcher, &named) &&
		       named.epoch == s->master_at.epoch &&
		       endpoint_equal(&named.at, &s->master_at.at);
	}
	return wanted * 2 > at;
}

const char *
roles_master_name(struct supervisor *s)
{
	const struct host *h = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;

	return h != NULL && !h->self ? h->redis_name
	       : s->master != NULL   ? s->master->name
				     : "elsewhere";
}

/* Does a sentinel carry out a failover? With `or_soon` also: does it hold the master for down, so that one may begin? */
static bool
sentinels_are_busy(const struct supervisor *s, bool or_soon)
{
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		if (v->knows && (v->failover || (or_soon && v->o_down))) {
			return true;
		}
	}
	return false;
}

static void
store_master(struct supervisor *s)
{
	struct store_master row = {.port = s->master_at.at.port, .epoch = s->master_at.epoch};
	struct errmsg err = ERRMSG_NONE;

	(void)snprintf(row.cluster, sizeof(row.cluster), "%s", s->name);
	(void)snprintf(
	    row.instance, sizeof(row.instance), "%s", s->master != NULL ? s->master->name : "");
	(void)snprintf(row.host, sizeof(row.host), "%s", s->master_at.at.host);
	if (store_master_put(s->store, &row, &err) < 0) {
		log_error(
		    "the master is not stored, a full restart will ask the sentinels' files: %s",
		    err.text);
	}
}

static void
end_succession(struct supervisor *s)
{
	s->succession = s->orphaned = false;
	ev_timer_stop(loop_ev(s->loop), &s->election);
}

/* What the change of the master means for the rest, once clients, sentinels and replicas have been told: it may wait for the disk. */
static void
on_settle(void *arg)
{
	struct supervisor *s = arg;
	struct unit *before = s->master_before;

	/* Several hosts: what a single sentinel says at the beginning is no reason to forget what was. */
	if (hosts_are_several(s) && (s->plan == PLAN_AGREEMENT || s->master_at.epoch == 0)) {
		return;
	}
	store_master(s);
	if (!s->master_moved) {
		return;
	}
	s->master_moved = false;
	if (s->master_had_one) {
		history_add(s->history, EVENT_MASTER_ELECTED, roles_master_name(s),
		    json_pack("{s:s,s:i,s:I,s:s?}", "host", s->master_at.at.host, "port",
			(int)s->master_at.at.port, "epoch", (json_int_t)s->master_at.epoch,
			"before", before != NULL ? before->name : NULL),
		    "is master at %s, epoch %llu", ENDPOINT_TEXT(&s->master_at.at),
		    (unsigned long long)s->master_at.epoch);
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind != UNIT_REDIS) {
			continue;
		}
		unit_store(u);
		if (u->probe != NULL && process_runs(u->process)) {
			probe_ask(u->probe);
		}
		process_kick(u->process); /* the dead one may start, as a replica */
	}
	loaded_compare(s);
}

/* topo has a master of another address or epoch. */
static void
on_master(void *arg, const struct topo_master *master)
{
	struct supervisor *s = arg;
	struct unit *before = s->master;
	bool first = !s->master_known;
	bool moved = first || !endpoint_equal(&s->master_at.at, &master->at);

	s->master_at = *master;
	s->master_known = true;
	s->master = unit_at(s, &master->at);
	workers_tell_master(s); /* clients wait for it */
	supervisor_touch(s);
	/* Behind what this turn of the loop sends to servers and sentinels: see loop.h, hooks. */
	loop_hook_cancel(&s->settle);
	loop_hook_ask(s->loop, &s->settle);
	if (!moved) {
		return;
	}
	if (!s->master_moved) {
		s->master_before = before;
		s->master_had_one = !first;
	}
	s->master_moved = true;
	end_succession(s);
	hosts_on_master(s);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS) {
			/* It may follow the new master already, and then its probe has no news of it. */
			u->was_synced = u != s->master && servers_is_synced(u);
			u->wrong_since_ms = 0;
			servers_watch_end(u);
		}
	}
}

/* Would the dead master come back empty while others, who would copy that, have data? */
static bool
would_wipe(const struct supervisor *s)
{
	if (s->master == NULL || servers_keeps_data(s->master)) {
		return false;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u != s->master &&
		    (servers_folder_time(u->dir) > 0 ||
			(process_runs(u->process) && u->was_synced))) {
			return true;
		}
	}
	return false;
}

/* The time for a successor is over. */
static void
on_election_over(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct supervisor *s = w->data;

	/* That they hold it for down is no promise: without a fit replica they say so for ever. */
	if (sentinels_are_busy(s, false)) {
		return; /* they are at it: the timer repeats */
	}
	if (would_wipe(s)) {
		log_error(
		    "%s: has no data and would take its replicas' with it, it stays down until the "
		    "sentinels promote another: if they do not, stop and start holdfast, which "
		    "begins with the newest data",
		    s->master->name);
		return;
	}
	end_succession(s);
	history_add(s->history, EVENT_FAILOVER_FAILED, s->master->name, NULL,
	    "no replica took over in time, it is started again as master with its own data");
	process_kick(s->master->process);
}

void
roles_init(struct supervisor *s)
{
	ev_init(&s->election, on_election_over);
	s->election.data = s;
	loop_hook_init(&s->settle, on_settle, s);
	s->observer = (struct topo_observer){.on_master = on_master, .arg = s};
	list_init(&s->observer.link);
	topo_watch(s->topo, &s->observer);
}

void
roles_fini(struct supervisor *s)
{
	ev_timer_stop(loop_ev(s->loop), &s->election);
	loop_hook_cancel(&s->settle);
	topo_unwatch(&s->observer);
	failover_cancel(&s->failover);
}

int
roles_for_start(struct unit *u, const struct endpoint **ret_follow)
{
	const struct supervisor *s = u->sup;

	if (!s->master_known || s->plan > PLAN_RUNNING || s->plan == PLAN_AGREEMENT ||
	    (u == s->master && s->succession)) {
		return -EAGAIN;
	}
	if (u == s->master && hosts_are_several(s) && !hosts_may_be_master(s, u)) {
		return -EAGAIN; /* looked at again in hosts_tick */
	}
	*ret_follow = u == s->master ? NULL : &s->master_at.at;
	return 0;
}

/* Does it run, with all that the master had until a moment ago? Its link breaks with the master, often before we hear of the death. */
static bool
is_heir(const struct supervisor *s, const struct unit *u)
{
	return u->kind == UNIT_REDIS && u != s->master && process_runs(u->process) &&
	       unit_is_ready(u) && u->was_synced &&
	       (u->linked || clock_mono_ms() - u->unlinked_ms < HEIR_UNLINKED_MS);
}

/* Is there such a replica, and a majority of sentinels to promote it? */
bool
roles_have_heir(const struct supervisor *s)
{
	size_t connected = 0, heirs = 0;

	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		connected += watcher_get(s->watcher, i)->connected ? 1 : 0;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		heirs += is_heir(s, s->units[i]) ? 1 : 0;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		heirs += hosts_is_heir(&s->hosts[i], HEIR_UNLINKED_MS) ? 1 : 0;
	}
	return heirs > 0 && connected > watcher_count(s->watcher) / 2;
}

void
roles_await_successor(struct supervisor *s, const char *text)
{
	double wait_s =
	    (double)(s->conf->sentinel_down_after_ms + s->conf->sentinel_failover_timeout_ms) /
	    1000.;

	s->succession = true;
	ev_timer_stop(loop_ev(s->loop), &s->election);
	ev_timer_set(&s->election, wait_s, wait_s);
	ev_timer_start(loop_ev(s->loop), &s->election);
	history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL, "%s", text);
}

/* The dead master's replicas may die with it, one after the other: then nobody has more than it has itself. */
static bool
has_heir_left(const struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u != s->master && process_runs(u->process) &&
		    u->was_synced) {
			return true;
		}
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (hosts_is_heir(&s->hosts[i], UINT64_MAX)) {
			return true;
		}
	}
	return sentinels_are_busy(s, false); /* one of them may have been promoted already */
}

/*
 * The master runs no more code. While a replica can take over it does not start again. The supervisor leads the takeover; what
 * it cannot do is left to Sentinel, whose own detection goes on by itself.
 */
static void
master_died(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;

	if (s->plan != PLAN_RUNNING || s->succession) {
		return;
	}
	if (!roles_have_heir(s) && !would_wipe(s)) {
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "no replica in sync or no majority of sentinels: it is started again with its "
		    "data");
		return;
	}
	if (s->failover != NULL && s->failover_from == s->master) {
		roles_await_successor(s, "died while it handed over; it comes back as a replica");
		/* The switchover becomes a takeover; or it was done, and the master is another one now. */
		failover_master_died(s->failover);
		return;
	}
	if (s->failover != NULL) {
		/* Nobody need be told of it any more. */
		failover_cancel(&s->failover);
		answer_switch(s, -ECANCELED, "the new master has died, another one takes over");
		s->failover_then = NULL;
	}
	if (take_over(s, false, &err)) {
		roles_await_successor(s, "a replica takes over; it comes back as a replica");
	} else {
		log_warn("the sentinels are left to find out by themselves: %s", err.text);
		roles_await_successor(
		    s, "the sentinels elect a successor; it comes back as a replica");
	}
}

/*
 * Does it still follow the master that died while nobody looked? Whether it was in step then is not known: as Sentinel does, the one that
 * has most is taken; none that has nothing at all.
 */
static bool
may_be_heir(const struct supervisor *s, const struct unit *u)
{
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	return u->kind == UNIT_REDIS && u != s->master && unit_is_ready(u) && v != NULL &&
	       v->role == PROBE_REPLICA && endpoint_equal(&v->master, &s->master_at.at);
}

void
roles_look_for_orphans(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;
	struct topo_master named;

	if (!s->succession || !s->orphaned || s->failover != NULL ||
	    !watcher_majority(s->watcher, &named) || !endpoint_equal(&named.at, &s->master_at.at) ||
	    sentinels_are_busy(s, false)) {
		return;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && process_runs(u->process) && !may_be_heir(s, u)) {
			return; /* not seen yet */
		}
	}
	if (!take_over(s, true, &err)) {
		log_notice("the sentinels are left to find out by themselves: %s", err.text);
	}
	s->orphaned = false; /* once: what it could not do is left to Sentinel */
}

void
roles_on_dying(struct unit *u)
{
	if (u == u->sup->master) {
		master_died(u->sup);
	}
}

void
roles_on_silence(struct unit *u, uint64_t silent_ms)
{
	struct supervisor *s = u->sup;

	if (u != s->master || s->plan != PLAN_RUNNING || s->succession) {
		return;
	}
	history_add(s->history, EVENT_INSTANCE_SILENT, u->name,
	    json_pack("{s:I}", "silent_ms", (json_int_t)silent_ms),
	    "runs but has not answered for %llu ms (redis.probe_ms): it is killed before it can "
	    "take "
	    "another write",
	    (unsigned long long)silent_ms);
	process_kill(u->process);
	master_died(s);
}

void
roles_on_exit(struct unit *u)
{
	struct supervisor *s = u->sup;

	if (s->succession && u != s->master && !has_heir_left(s) && !would_wipe(s)) {
		end_succession(s);
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "the last replica in sync has ended too: it is started again with its data");
		process_kick(s->master->process);
		return;
	}
	if (u == s->master) {
		master_died(s);
	}
}

bool
roles_is_right(const struct unit *u)
{
	const struct supervisor *s = u->sup;
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	if (v == NULL || !v->answering || v->loading || v->role == PROBE_UNKNOWN ||
	    !s->master_known) {
		return true; /* nothing is known that would be wrong */
	}
	if (u == s->master) {
		return v->role == PROBE_MASTER;
	}
	return v->role == PROBE_REPLICA && endpoint_equal(&v->master, &s->master_at.at);
}

static void
on_corrected(void *arg, const struct redisReply *reply, int error)
{
	struct unit *u = arg;

	if (error != 0 || reply_is_error(reply)) {
		log_warn("%s: could not be told its role, tried again: %s", u->name,
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
	probe_ask(u->probe);
}

static void
correct(struct unit *u)
{
	struct supervisor *s = u->sup;
	const struct endpoint *at = &s->master_at.at;
	char port[8];
	int rc;

	(void)snprintf(port, sizeof(port), "%u", at->port);
	if (u == s->master) {
		rc = link_send(
		    probe_link(u->probe), 0, on_corrected, u, "REPLICAOF", "NO", "ONE", NULL);
	} else {
		rc = link_send(
		    probe_link(u->probe), 0, on_corrected, u, "REPLICAOF", at->host, port, NULL);
	}
	if (rc == 0) {
		history_add(s->history, EVENT_ROLE_CORRECTED, u->name,
		    json_pack("{s:s}", "master", ENDPOINT_TEXT(at)),
		    u == s->master ? "the sentinels name it master but it was a replica: promoted"
				   : "did not follow the master that the sentinels name: told to");
	}
}

/*
 * A sentinel that was still at the end of one failover when the next one happened can stay with the old address under the
 * new epoch for ever: no hello of the others moves it then. It starts anew with the majority's word.
 */
static bool
is_stray(const struct unit *u, const struct topo_master *named)
{
	const struct watcher *w = u->sup->watcher;
	const struct watcher_sentinel *v =
	    u->number <= watcher_count(w) ? watcher_get(w, u->number - 1) : NULL;

	return u->kind == UNIT_SENTINEL && unit_is_ready(u) && v != NULL && v->connected &&
	       v->knows && endpoint_equal(&v->at, &u->at) && v->names.epoch <= named->epoch &&
	       !endpoint_equal(&v->names.at, &named->at);
}

static void
bring_back(struct unit *u, const struct topo_master *named)
{
	history_add(u->sup->history, EVENT_ROLE_CORRECTED, u->name,
	    json_pack("{s:s}", "master", ENDPOINT_TEXT(&named->at)),
	    "named another master than the majority of the sentinels and would not learn: started "
	    "anew "
	    "with their word");
	u->stray = true;
	process_restart(u->process);
}

void
roles_tick(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();
	struct topo_master named;

	/* Only what a majority says, and nothing while a failover is under way. */
	if (s->plan != PLAN_RUNNING || s->failover != NULL || s->succession ||
	    sentinels_are_busy(s, true) || !watcher_majority(s->watcher, &named) ||
	    !endpoint_equal(&named.at, &s->master_at.at)) {
		for (size_t i = 0; i < s->unit_count; i++) {
			s->units[i]->wrong_since_ms = 0;
		}
		return;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (is_stray(u, &named)) {
			if (u->wrong_since_ms == 0) {
				u->wrong_since_ms = now;
			} else if (now - u->wrong_since_ms >= STRAY_MS) {
				u->wrong_since_ms = 0;
				bring_back(u, &named);
			}
			continue;
		}
		/* Nobody is told to follow a master that is not one, or not there: what it has may be all there is. */
		if (u->kind != UNIT_REDIS || !unit_is_ready(u) || roles_is_right(u) ||
		    (u != s->master && s->master != NULL && !servers_is_master(s->master))) {
			u->wrong_since_ms = 0;
		} else if (u->wrong_since_ms == 0) {
			u->wrong_since_ms = now;
		} else if (now - u->wrong_since_ms >= WRONG_ROLE_MS) {
			u->wrong_since_ms = now;
			correct(u);
		}
	}
}

/* ---- switchover and takeover ---- */

void
roles_cancel_switch(struct supervisor *s, const char *why)
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

/* Who is told how the failover ended. */
static void
answer_switch(struct supervisor *s, int error, const char *text)
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

/* A takeover that changed nothing: the dead master's own data, or Sentinel's own failover, is what is left. */
static void
after_failed_takeover(struct supervisor *s, int error)
{
	if (error == -ENOENT && !would_wipe(s)) {
		end_succession(s);
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "no replica can take over: it is started again with its data");
		process_kick(s->master->process);
	} else {
		log_notice("the sentinels are left to elect a successor by themselves");
	}
}

static void
on_switched(void *owner, int error, const struct topo_master *master, const char *text)
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
	answer_switch(s, error, text);
	after_switch(s, error);
	rolling_switched(s, error, text);
	if (error != 0 && s->succession) {
		after_failed_takeover(s, error);
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
    .on_done = on_switched,
    .may_pause = may_pause,
    .is_still_dead = is_still_dead,
};

void
roles_fill_spec(struct supervisor *s, struct failover_spec *spec, struct failover_node *nodes)
{
	spec->master_name = s->name;
	spec->watcher = s->watcher;
	spec->claim = s->claim;
	spec->nodes = nodes;
	spec->epoch = s->master_at.epoch;
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
		    .synced = s->orphaned ? may_be_heir(s, u) : is_heir(s, u),
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
		    .synced = hosts_is_heir(h, HEIR_UNLINKED_MS),
		    .on_disk = true};
	}
}

/* Starts it among all redis instances. False with `err` when it cannot begin. */
static bool
start_failover(struct supervisor *s, struct failover_spec *spec, struct errmsg *err)
{
	struct failover_node nodes[FAILOVER_MAX_NODES];

	roles_fill_spec(s, spec, nodes);
	s->failover_since_us = clock_mono_us();
	s->failover_from = s->master;
	s->failover = failover_start(s->loop, spec, &failover_ops, s, err);
	return s->failover != NULL;
}

/* `orphaned`: it died while no supervisor ran. */
static bool
take_over(struct supervisor *s, bool orphaned, struct errmsg *err)
{
	const struct unit *old = s->master;
	struct failover_spec spec = {.dead = true};

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
roles_take_over_from(
    struct supervisor *s, const struct host *master, uint64_t retry_ms, struct errmsg *err)
{
	struct failover_spec spec = {.dead = true, .remote = true, .retry_ms = retry_ms};

	if (!start_failover(s, &spec, err)) {
		return false;
	}
	history_add(s->history, EVENT_FAILOVER_STARTED, master->redis_name,
	    json_pack("{s:b}", "takeover", 1),
	    "is dead as far as this host can see, a replica takes over");
	return true;
}

int
roles_switch(struct supervisor *s, const char *to, struct ctl_request *req, struct unit *then,
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
