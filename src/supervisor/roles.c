/*
 * Who is master, and who follows whom. The sentinels decide; what they say arrives in topo, and here it becomes true: the state database, the
 * workers and the instances are told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

/* A role that is wrong for so long is set right. Sentinel needs about 10 s for the same. */
#define WRONG_ROLE_MS 3000
#define STRAY_MS      5000 /* hellos come every 2 s */

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
bool
roles_sentinels_are_busy(const struct supervisor *s, bool or_soon)
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
	if (moved && !first) {
		s->master_since_ms = clock_mono_ms();
	}
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
	succession_end(s);
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

void
roles_init(struct supervisor *s)
{
	succession_init(s);
	loop_hook_init(&s->settle, on_settle, s);
	s->observer = (struct topo_observer){.on_master = on_master, .arg = s};
	list_init(&s->observer.link);
	topo_watch(s->topo, &s->observer);
}

void
roles_fini(struct supervisor *s)
{
	succession_fini(s);
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

static bool
is_right(const struct unit *u)
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
	    roles_sentinels_are_busy(s, !hosts_bar_sentinel(s)) ||
	    !watcher_majority(s->watcher, &named) || !endpoint_equal(&named.at, &s->master_at.at)) {
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
		if (u->kind != UNIT_REDIS || !unit_is_ready(u) || is_right(u) ||
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
