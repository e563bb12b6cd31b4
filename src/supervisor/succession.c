/*
 * What becomes of a master of this host that has died: who could take over from it, and when it may start again. While a replica can take over
 * it does not start; it comes back as that one's replica.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"

/* A replica that has been without its master for longer is no longer up to date when that dies. */
#define HEIR_UNLINKED_MS 3000

void
succession_end(struct supervisor *s)
{
	s->succession = s->orphaned = false;
	ev_timer_stop(loop_ev(s->loop), &s->election);
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
	if (roles_sentinels_are_busy(s, false)) {
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
	succession_end(s);
	history_add(s->history, EVENT_FAILOVER_FAILED, s->master->name, NULL,
	    "no replica took over in time, it is started again as master with its own data");
	process_kick(s->master->process);
}

void
succession_init(struct supervisor *s)
{
	ev_init(&s->election, on_election_over);
	s->election.data = s;
}

void
succession_fini(struct supervisor *s)
{
	ev_timer_stop(loop_ev(s->loop), &s->election);
}

/* Does it run, with all that the master had until a moment ago? Its link breaks with the master, often before we hear of the death. */
bool
succession_is_heir(const struct supervisor *s, const struct unit *u)
{
	return u->kind == UNIT_REDIS && u != s->master && process_runs(u->process) &&
	       unit_is_ready(u) && u->was_synced &&
	       (u->linked || clock_mono_ms() - u->unlinked_ms < HEIR_UNLINKED_MS);
}

bool
succession_is_heir_host(const struct host *h)
{
	return hosts_is_heir(h, HEIR_UNLINKED_MS);
}

bool
succession_does_without(const struct host *h)
{
	return hosts_is_excused(h, hosts_at(h->sup, &h->sup->master_at.at), HEIR_UNLINKED_MS);
}

static size_t
count_heirs(const struct supervisor *s)
{
	size_t heirs = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		heirs += succession_is_heir(s, s->units[i]) ? 1 : 0;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		heirs += succession_is_heir_host(&s->hosts[i]) ? 1 : 0;
	}
	return heirs;
}

/* On any host; and the sentinels that are connected are enough to promote it. */
bool
succession_has_heir(const struct supervisor *s)
{
	size_t connected = 0;

	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		connected += watcher_get(s->watcher, i)->connected ? 1 : 0;
	}
	return count_heirs(s) > 0 && connected > watcher_count(s->watcher) / 2;
}

bool
succession_takes_all(const struct supervisor *s)
{
	const struct unit *u = hosts_own_redis(s);

	if (!hosts_bar_sentinel(s) || s->master != NULL || count_heirs(s) > 0 || u == NULL ||
	    !unit_is_ready(u) || u->unproven) {
		return false;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		if (!h->self && !endpoint_equal(&h->redis, &s->master_at.at) &&
		    (h->silent || !probe_get(h->probe)->answering)) {
			return false;
		}
	}
	return true;
}

void
succession_begin(struct supervisor *s, const char *text)
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
	return roles_sentinels_are_busy(s, false); /* one of them may have been promoted already */
}

/*
 * The master runs no more code. While a replica can take over it does not start again. The supervisor leads the takeover; what
 * it cannot do is left to Sentinel, whose own detection goes on by itself.
 */
static void
master_died(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;

	if ((s->plan != PLAN_RUNNING && s->plan != PLAN_HANDING_OVER) || s->succession) {
		return;
	}
	if (!succession_has_heir(s) && !would_wipe(s)) {
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "no replica in sync or no majority of sentinels: it is started again with its "
		    "data");
		return;
	}
	if (s->failover != NULL && s->failover_from == s->master) {
		succession_begin(s, "died while it handed over; it comes back as a replica");
		/* The switchover becomes a takeover; or it was done, and the master is another one now. */
		failover_master_died(s->failover);
		return;
	}
	if (s->failover != NULL) {
		/* Nobody need be told of it any more. */
		failover_cancel(&s->failover);
		handover_answer(s, -ECANCELED, "the new master has died, another one takes over");
		s->failover_then = NULL;
	}
	if (handover_take_over(s, false, &err)) {
		succession_begin(s, "a replica takes over; it comes back as a replica");
	} else {
		log_warn("the sentinels are left to find out by themselves: %s", err.text);
		succession_begin(s, "the sentinels elect a successor; it comes back as a replica");
	}
}

/*
 * Does it still follow the master that died while nobody looked? Whether it was in step then is not known: as Sentinel does, the one that
 * has most is taken; none that has nothing at all.
 */
bool
succession_may_be_heir(const struct supervisor *s, const struct unit *u)
{
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	return u->kind == UNIT_REDIS && u != s->master && unit_is_ready(u) && v != NULL &&
	       v->role == PROBE_REPLICA && endpoint_equal(&v->master, &s->master_at.at);
}

void
succession_look_for_orphans(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;
	struct topo_master named;

	if (!s->succession || !s->orphaned || s->failover != NULL ||
	    !watcher_majority(s->watcher, &named) || !endpoint_equal(&named.at, &s->master_at.at) ||
	    roles_sentinels_are_busy(s, false)) {
		return;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && process_runs(u->process) &&
		    !succession_may_be_heir(s, u)) {
			return; /* not seen yet */
		}
	}
	if (!handover_take_over(s, true, &err)) {
		log_notice("the sentinels are left to find out by themselves: %s", err.text);
	}
	s->orphaned = false; /* once: what it could not do is left to Sentinel */
}

void
succession_on_dying(struct unit *u)
{
	if (u == u->sup->master) {
		master_died(u->sup);
	}
}

void
succession_on_silence(struct unit *u, uint64_t silent_ms)
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
succession_on_exit(struct unit *u)
{
	struct supervisor *s = u->sup;

	if (s->succession && u != s->master && !has_heir_left(s) && !would_wipe(s)) {
		succession_end(s);
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "the last replica in sync has ended too: it is started again with its data");
		process_kick(s->master->process);
		return;
	}
	if (u == s->master) {
		master_died(s);
	}
}

/* A takeover that changed nothing: the dead master's own data, or Sentinel's own failover, is what is left. */
void
succession_takeover_failed(struct supervisor *s, int error)
{
	if (error == -ENOENT && !would_wipe(s)) {
		succession_end(s);
		history_add(s->history, EVENT_MASTER_LOST, s->master->name, NULL,
		    "no replica can take over: it is started again with its data");
		process_kick(s->master->process);
	} else {
		log_notice("%s", hosts_bar_sentinel(s)
				     ? "the supervisors of the other hosts may take over yet"
				     : "the sentinels are left to elect a successor by themselves");
	}
}
