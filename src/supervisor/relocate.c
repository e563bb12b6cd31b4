/*
 * Servers of this host get another address while all runs, and with that this host becomes one of several, or none of them any more.
 *
 *   one of several ... a reload with the section [peer-NAME] of this host, alone. The servers of a host alone listen on the loopback network, its one redis of
 *                      several where the others reach it:
 *                      redis-1 is restarted there as a replica → takes over as master → we begin anew in place (upgrade.c), with redis-1 as it runs, a
 *                      sentinel that is started anew, and without the other servers
 *   none of them ..... a reload without any such section, where there is no other host any more: we begin anew in place, with redis-1 as it runs,
 *                      wherever that is (place.c: it is misplaced); the other servers are started; then redis-1 moves as above
 *
 * One that moves does so at its next start as a replica, since a master's clients and sentinels know it where it is. Each step is taken only when all is
 * ready. That the rest begins anew, instead of being changed, is for its simplicity: it is the way of each start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "supervisor/lock.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define AGAIN_MS   2000
#define PATIENCE_S 120.

/* This host becomes one of several. */
struct relocation {
	struct supervisor *sup;  /* borrowed (outlives it) */
	struct ctl_request *req; /* borrowed; who is told when it cannot be; NULL */
	struct conf *conf;       /* owned; the configuration to come */
	ev_timer patience;
};

/* ---- where a server is, and is to be ---- */

const struct conf *
relocate_conf(const struct unit *u)
{
	const struct relocation *r = u->sup->relocation;

	return r != NULL && u->number == 1 && !u->misplaced ? r->conf : unit_conf_of(u);
}

void
relocate_stay(struct unit *u, const struct endpoint *at)
{
	u->to = u->at;
	u->to_listens = u->listens;
	u->at = *at;
	u->listens = endpoint_tcp(at->host, u->listens.port);
	u->misplaced = true;
}

void
relocate_start(struct unit *u)
{
	struct supervisor *s = u->sup;

	if (!u->misplaced) {
		return;
	}
	history_add(s->history, EVENT_INSTANCE_MOVED, u->name, NULL, "is reached at %s from now on",
	    ENDPOINT_TEXT(&u->to));
	u->at = u->to;
	u->listens = u->to_listens;
	u->misplaced = false;
	place_remember_host(u);
	if (u->probe != NULL) {
		probe_move(u->probe, &u->at);
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		s->units[i]->stale = s->units[i]->kind == UNIT_SENTINEL;
	}
	workers_tell_near(s);
}

/* ---- ends ---- */

void
relocate_fini(struct supervisor *s)
{
	struct relocation *r = s->relocation;

	s->relocation = NULL;
	if (r != NULL) {
		ev_timer_stop(loop_ev(s->loop), &r->patience);
		conf_free(&r->conf);
		free(r);
	}
}

/* What has moved moves back, as it went. */
static void
give_up(struct supervisor *s, const char *why)
{
	struct unit *u = hosts_own_redis(s);
	struct ctl_request *req = s->relocation->req;
	struct endpoint at, listens;

	relocate_fini(s);
	unit_find_places(u, s->conf, s->address, &at, &listens);
	if (endpoint_equal(&at, &u->at)) {
		u->misplaced = false;
	} else {
		u->to = at;
		u->to_listens = listens;
		u->misplaced = true;
	}
	log_error("this host does not become one of several: %s", why);
	history_add(s->history, EVENT_CONFIG_REJECTED, s->node, NULL,
	    "this host does not become one of several, the old configuration stays: %s", why);
	if (req != NULL) {
		ctl_fail(req, CTL_EXIT_NOT_READY,
		    "this host does not become one of several, the old configuration stays: %s",
		    why);
	}
	supervisor_touch(s);
}

static void
on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	give_up(w->data, "its servers did not get ready in time, see `holdfast status`");
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	struct supervisor *s = arg;

	if (s->relocation != NULL && s->relocation->req == req) {
		s->relocation->req = NULL;
	}
}

/* ---- may it be ---- */

static const char *
find_common_obstacle(const struct supervisor *s, const struct conf *conf)
{
	const struct unit *u = hosts_own_redis(s);

	if (s->plan != PLAN_RUNNING || s->health != HEALTH_READY || s->failover != NULL ||
	    s->succession || s->rolling != NULL || s->upgrade != NULL || s->relocation != NULL ||
	    u == NULL || u->misplaced) {
		return "a host becomes one of several, or none of them, when all is ready and "
		       "nothing else is under way: "
		       "wait until `holdfast status` says ready";
	}
	if (strcmp(conf->holdfast_name, s->name) != 0) {
		return "holdfast.name cannot change: it is the cluster's";
	}
	if (conf->holdfast_secret != NULL ? strcmp(conf->holdfast_secret, s->secret) != 0
					  : !lock_is_own_secret(s->secret)) {
		return "holdfast.secret must stay what it is while servers run: say "
		       "holdfast.secret = @FILE with the file `secret` of the data folder";
	}
	if (conf_hosts_use_tls(conf) || conf_hosts_use_tls(s->conf)) {
		return "a host becomes one of several, or none of them, without redis.tls_ca: TLS "
		       "between hosts begins after that, and ends before";
	}
	if (conf->redis_instances == 0 || conf->redis[0].port != u->listens.port) {
		return "ports do not change together with the hosts";
	}
	return NULL;
}

static bool
has_company(const struct supervisor *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		count += s->units[i]->kind == UNIT_REDIS && unit_is_ready(s->units[i]);
	}
	return count > 1;
}

/* To be one of several. NULL: nothing stands against it. */
static const char *
find_obstacle(struct supervisor *s, const struct conf *conf, bool moves)
{
	const char *obstacle = find_common_obstacle(s, conf);

	if (obstacle != NULL) {
		return obstacle;
	}
	if (conf->peer_count != 1 || !conf_peer_is_self(conf, 0)) {
		return "a host becomes one of several with the section [peer-NAME] of its own, "
		       "NAME being its "
		       "holdfast.node: write that one alone, reload, and add the others when they "
		       "run";
	}
	if (!has_company(s) && (moves || s->master == NULL || s->master->number != 1)) {
		return "there is no second server that could take over while the first one moves "
		       "to the address of "
		       "[peer-NAME]: set redis.instances = 2 and `holdfast upgrade` first, or stop "
		       "and start with the section";
	}
	return NULL;
}

/* To be none of several any more. */
static const char *
find_obstacle_alone(const struct supervisor *s, const struct conf *conf)
{
	const struct unit *u = hosts_own_redis(s);
	const char *obstacle = find_common_obstacle(s, conf);

	if (obstacle != NULL) {
		return obstacle;
	}
	if (s->host_count != 1) {
		return "there are other hosts: take out their sections first, one at a time, then "
		       "that of this host";
	}
	if (conf->redis_instances < 2 && strcmp(conf->holdfast_address, u->at.host) != 0) {
		return "without a second server (redis.instances) none can take over while the "
		       "only one moves to another "
		       "address: keep holdfast.address";
	}
	return NULL;
}

/* Whoever begins in our place could not, if somebody else listens where a server is to be. */
static int
find_taken(struct supervisor *s, const struct conf *conf, const char *address, struct errmsg *err)
{
	unsigned all = conf->redis_instances + conf->sentinel_instances;

	for (unsigned i = 0; i < all; i++) {
		bool redis = i < conf->redis_instances;
		struct unit wanted = {.kind = redis ? UNIT_REDIS : UNIT_SENTINEL,
		    .number = redis ? i + 1 : i + 1 - conf->redis_instances};
		const struct unit *is;
		struct endpoint at, listens;

		(void)snprintf(wanted.name, sizeof(wanted.name), "%s-%u",
		    unit_kind_name(wanted.kind), wanted.number);
		is = unit_find(s, wanted.name);
		unit_find_places(&wanted, conf, address, &at, &listens);
		if (is != NULL && is->listens.port == listens.port &&
		    (strcmp(is->listens.host, listens.host) == 0 ||
			strcmp(listens.host, "0.0.0.0") == 0 || strcmp(listens.host, "::") == 0 ||
			strcmp(is->listens.host, "0.0.0.0") == 0 ||
			strcmp(is->listens.host, "::") == 0)) {
			continue; /* it is that one itself which listens there */
		}
		if (listener_probe(&listens, err) < 0) {
			errmsg_prefix(err, "%s is to be there", wanted.name);
			return -EADDRINUSE;
		}
	}
	return 0;
}

/* ---- the beginning ---- */

static enum members_answer
refuse(struct conf_faults *faults, const char *why)
{
	conf_faults_add(faults, "%s", why);
	return MEMBERS_REFUSED;
}

/* The rest of it is done by the next one, which reads the configuration itself. */
static void
begin_anew(struct supervisor *s, struct ctl_request *req, const char *what)
{
	history_add(s->history, EVENT_CONFIG_RELOADED, s->node, NULL,
	    "this host %s: the supervisor begins anew, everything else goes on", what);
	upgrade_begin(s, req, supervisor_program(s));
}

static enum members_answer
begin_alone(struct supervisor *s, const struct conf *conf, struct ctl_request *req,
    struct conf_faults *faults)
{
	const char *obstacle = find_obstacle_alone(s, conf);
	struct host h = {.sup = s, .name = "address"};
	struct errmsg err = ERRMSG_NONE;

	if (obstacle != NULL) {
		return refuse(faults, obstacle);
	}
	if (hosts_resolve(&h, conf->holdfast_address, conf, &err) < 0 ||
	    find_taken(s, conf, h.redis.host, &err) < 0) {
		return refuse(faults, err.text);
	}
	begin_anew(s, req, "is none of several any more");
	return MEMBERS_WAIT;
}

enum members_answer
relocate_begin(
    struct supervisor *s, struct conf *conf, struct ctl_request *req, struct conf_faults *faults)
{
	struct unit *u = hosts_own_redis(s);
	struct errmsg err = ERRMSG_NONE;
	struct relocation *r;
	struct host h = {.sup = s};
	struct endpoint to, to_listens;
	const char *obstacle;

	if (conf->peer_count == 0) {
		return begin_alone(s, conf, req, faults);
	}
	(void)snprintf(h.name, sizeof(h.name), "%s", conf->peers[0].name);
	if (hosts_resolve(&h, conf->peers[0].address, conf, &err) < 0) {
		return refuse(faults, err.text);
	}
	obstacle = find_obstacle(s, conf, u == NULL || !endpoint_equal(&h.redis, &u->at));
	if (obstacle != NULL) {
		return refuse(faults, obstacle);
	}
	if (find_taken(s, conf, h.redis.host, &err) < 0) {
		return refuse(faults, err.text);
	}
	unit_find_places(u, conf, h.redis.host, &to, &to_listens);
	r = s->relocation = xcalloc(1, sizeof(*r));
	*r = (struct relocation){.sup = s, .req = req, .conf = conf};
	ev_timer_init(&r->patience, on_patience, PATIENCE_S, 0.);
	r->patience.data = s;
	ev_timer_start(loop_ev(s->loop), &r->patience);
	if (req != NULL) {
		ctl_on_gone(req, on_gone, s);
	}
	u->to = to;
	u->to_listens = to_listens;
	u->misplaced = !endpoint_equal(&to, &u->at);
	log_notice("this host becomes one of several: %s takes over as master at %s, then the rest "
		   "begins anew",
	    u->name, ENDPOINT_TEXT(&u->to));
	supervisor_touch(s);
	return MEMBERS_TAKEN;
}

/* ---- step by step ---- */

static void
hand_over(struct supervisor *s, const char *to)
{
	struct errmsg err = ERRMSG_NONE;

	if (handover_switch(s, to, NULL, NULL, false, &err) < 0) {
		log_warn("%s cannot hand over so that servers can move, tried again: %s",
		    s->master->name, err.text);
	}
	s->relocate_again_ms = clock_mono_ms() + AGAIN_MS;
}

static struct unit *
find_unit(const struct supervisor *s, bool (*is_meant)(const struct unit *u))
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (is_meant(s->units[i])) {
			return s->units[i];
		}
	}
	return NULL;
}

static bool
is_misplaced(const struct unit *u)
{
	return u->misplaced;
}

static bool
is_stale(const struct unit *u)
{
	return u->stale;
}

/* This host is one of several from now on. */
static void
become(struct supervisor *s)
{
	struct ctl_request *req = s->relocation->req;

	if (s->master->number != 1) {
		hand_over(s, hosts_own_redis(s)->name);
		return;
	}
	ev_timer_stop(loop_ev(s->loop), &s->relocation->patience);
	s->relocation->req = NULL;
	s->relocate_again_ms = UINT64_MAX; /* unless it cannot: see relocate_failed */
	begin_anew(s, req, "is one of several from now on");
}

void
relocate_failed(struct supervisor *s, const char *why)
{
	if (s->relocation != NULL) {
		s->relocate_again_ms = 0;
		give_up(s, why);
	}
}

void
relocate_check(struct supervisor *s)
{
	struct unit *u;

	if (hosts_are_several(s) || s->plan != PLAN_RUNNING || s->health != HEALTH_READY ||
	    s->failover != NULL || s->succession || s->rolling != NULL || s->upgrade != NULL ||
	    s->master == NULL || clock_mono_ms() < s->relocate_again_ms) {
		return;
	}
	u = find_unit(s, is_misplaced);
	if (u == s->master && u != NULL) {
		if (has_company(s)) {
			hand_over(s, NULL);
		}
	} else if (u != NULL) {
		process_restart(u->process);
	} else if (s->relocation != NULL) {
		become(s);
	} else {
		u = find_unit(s, is_stale);
		if (u != NULL) {
			process_restart(u->process); /* and forgets, see prepare_sentinel */
		}
	}
}
