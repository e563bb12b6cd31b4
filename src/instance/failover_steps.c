/* What is said to servers and sentinels in each state, and what their answers mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "instance/failover_priv.h"
#include "instance/hello.h"
#include "topo/link.h"
#include "topo/reply.h"

#define ANSWER_MS       1500
#define PREPARE_MS      1000 /* for the owner to get prepared for the pause */
#define PREPARE_TICK_MS 2
#define CATCH_UP_MS     1   /* between two looks at the target's offset */
#define STEER_TICK_MS   250 /* between two looks at what a sentinel knows */
#define ASK_TICK_MS     5   /* between two looks at who was promoted */
#define TELL_TICK_MS    50
#define HELLO_AGAIN_MS  500 /* a sentinel that has not taken a hello gets another */
#define TELL_LATEST_MS  100 /* the workers are told, whether the old master answers or not */

static size_t
index_of(const struct fo_node *n)
{
	return (size_t)(n - n->f->nodes);
}

/* ---- steering ---- */

/* The first sentinel that can be asked and knows the old master; false when there is none. */
static bool
choose_sentinel(struct failover *f)
{
	for (size_t i = 0; i < f->sentinel_count; i++) {
		for (size_t k = 0; k < watcher_count(f->watcher); k++) {
			const struct watcher_sentinel *v = watcher_get(f->watcher, k);

			if (endpoint_equal(&v->at, &f->sentinels[i].at) && v->knows &&
			    f->sentinels[i].answers && fo_sentinel_link(f, i) != NULL) {
				f->asked = i;
				return true;
			}
		}
	}
	errmsg_set(&f->why, "no sentinel answers any more");
	return false;
}

/* Does this list of SENTINEL REPLICAS show priority 0 for every node that we steered? */
static bool
shows_priorities(const struct failover *f, const struct redisReply *list)
{
	size_t steered = 0, shown = 0;

	for (size_t i = 0; i < f->count; i++) {
		steered += f->nodes[i].steered;
		for (size_t k = 0; f->nodes[i].steered && k < reply_count(list); k++) {
			const struct redisReply *r = reply_at(list, k);
			struct endpoint at;
			uint64_t priority;

			shown +=
			    reply_endpoint(reply_field(r, "ip"), reply_field(r, "port"), &at) &&
			    endpoint_equal(&at, &f->nodes[i].as.at) &&
			    reply_u64(reply_field(r, "slave-priority"), &priority) && priority == 0;
		}
	}
	return shown >= steered;
}

static void
on_replicas(void *arg, const struct redisReply *reply, int error)
{
	struct fo_sentinel *s = arg;
	struct failover *f = s->f;

	(void)fo_answered(f);
	if (error == 0 && shows_priorities(f, reply)) {
		fo_step(f, FO_DONE);
	} else {
		fo_tick_in(f, STEER_TICK_MS);
	}
}

static void
look_at_priorities(struct failover *f)
{
	struct link *l = fo_sentinel_link(f, f->asked);

	if (l == NULL || link_send(l, ANSWER_MS, on_replicas, &f->sentinels[f->asked], "SENTINEL",
			     "REPLICAS", f->name, NULL) < 0) {
		errmsg_set(&f->why, "the sentinel that was to fail over does not answer any more");
		fo_step(f, FO_BAD);
		return;
	}
	f->pending++;
}

static void
on_priority(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;
	bool last = fo_answered(f);

	if (error != 0 || !reply_is_ok(reply)) {
		errmsg_set(&f->why, "the replica-priority of %s cannot be set: %s", n->as.name,
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
		fo_step(f, FO_BAD);
	} else if (last) {
		look_at_priorities(f);
	}
}

/* Sentinel never promotes a replica of priority 0: so all but the target get it for the time. */
void
fo_steer(void *obj)
{
	struct failover *f = obj;

	if (!choose_sentinel(f)) {
		fo_step(f, FO_BAD);
		return;
	}
	f->steered = true;
	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];
		struct link *l = fo_node_link(f, i);

		if (i == f->master || i == f->target || !n->answered || n->is_master ||
		    n->priority == 0 || l == NULL) {
			continue;
		}
		if (link_send(l, ANSWER_MS, on_priority, n, "CONFIG", "SET", "replica-priority",
			"0", NULL) == 0) {
			n->steered = true;
			n->priority_before = n->priority;
			f->pending++;
		}
	}
	if (f->pending == 0) {
		fo_step(f, FO_DONE); /* there is no other */
	}
}

void
fo_restore(struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];
		struct link *l = fo_node_link(f, i);
		char priority[12];

		if (!n->steered) {
			continue;
		}
		n->steered = false;
		(void)snprintf(priority, sizeof(priority), "%u", n->priority_before);
		if (l == NULL || link_send(l, 0, NULL, NULL, "CONFIG", "SET", "replica-priority",
				     priority, NULL) < 0) {
			log_warn(
			    "replica-priority stays 0 until it is set again instance=%s was=%u",
			    n->as.name, n->priority_before);
		}
	}
}

/* ---- pausing ---- */

/* Only the target is waited for, unless Sentinel is free in its choice. */
static bool
must_catch_up(const struct failover *f, size_t i)
{
	if (f->leads || f->to != NULL) {
		return i == f->target;
	}
	return i != f->master && f->nodes[i].answered && f->nodes[i].link_up;
}

static void
on_offset(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;
	bool behind = false;

	n->link_up = error == 0 && fo_read_info(n, reply) && n->link_up;
	if (!fo_answered(f)) {
		return;
	}
	for (size_t i = 0; i < f->count; i++) {
		behind = behind || (must_catch_up(f, i) && f->nodes[i].offset < f->final_offset);
	}
	if (behind) {
		fo_tick_in(f, CATCH_UP_MS);
	} else {
		fo_step(f, FO_DONE);
	}
}

static void
look_at_offsets(struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct link *l = fo_node_link(f, i);

		if (must_catch_up(f, i) && l != NULL) {
			f->pending += link_send(l, ANSWER_MS, on_offset, &f->nodes[i], "INFO",
					  "replication", NULL) == 0;
		}
	}
	if (f->pending == 0 || !f->nodes[f->target].link_up) {
		errmsg_set(&f->why, "%s was lost while it caught up", f->nodes[f->target].as.name);
		fo_step(f, FO_BAD);
	}
}

static void
on_paused(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	(void)fo_answered(f);
	if (error != 0 || !reply_is_ok(reply)) {
		errmsg_set(&f->why, "writes on %s cannot be paused: %s", n->as.name,
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
		fo_step(f, FO_BAD);
	}
}

/* What the old master has with writes paused is all there is. */
static void
on_final(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	(void)fo_answered(f);
	if (error != 0 || !fo_read_info(n, reply) || !n->is_master) {
		errmsg_set(&f->why, "%s was lost, or is no master any more", n->as.name);
		fo_step(f, FO_BAD);
		return;
	}
	f->final_offset = n->offset;
	look_at_offsets(f);
}

static void
pause_now(struct failover *f)
{
	struct fo_node *old = &f->nodes[f->master];
	struct link *l = fo_node_link(f, f->master);
	char ms[24];

	if (l == NULL) {
		errmsg_set(&f->why, "%s was lost", old->as.name);
		fo_step(f, FO_BAD);
		return;
	}
	f->paused = true;
	if (f->ops->on_hold != NULL) {
		f->ops->on_hold(f->owner, f->pause_ms);
	}
	if (f->state != FO_PAUSING) {
		return; /* the owner gave up */
	}
	(void)snprintf(ms, sizeof(ms), "%llu", (unsigned long long)f->pause_ms);
	f->pending +=
	    link_send(l, ANSWER_MS, on_paused, old, "CLIENT", "PAUSE", ms, "WRITE", NULL) == 0;
	f->pending += link_send(l, ANSWER_MS, on_final, old, "INFO", "replication", NULL) == 0;
}

static void
pause_when_prepared(struct failover *f)
{
	if (f->ops->may_pause != NULL && clock_mono_ms() < f->patient_ms &&
	    !f->ops->may_pause(f->owner)) {
		fo_tick_in(f, PREPARE_TICK_MS);
	} else {
		pause_now(f);
	}
}

void
fo_pause(void *obj)
{
	struct failover *f = obj;

	f->patient_ms = clock_mono_ms() + PREPARE_MS;
	pause_when_prepared(f);
}

void
fo_unpause(struct failover *f)
{
	struct link *l = fo_node_link(f, f->master);

	if (!f->paused) {
		return;
	}
	f->paused = false;
	if (l != NULL) {
		(void)link_send(l, 0, NULL, NULL, "CLIENT", "UNPAUSE", NULL);
	}
	if (f->ops->on_hold != NULL) {
		f->ops->on_hold(f->owner, 0);
	}
}

/* ---- promoting ---- */

static int
send_replicaof(struct failover *f, size_t i, const struct endpoint *master, link_reply_fn *fn)
{
	struct link *l = fo_node_link(f, i);
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", master->port);
	return l == NULL ? -ENOTCONN
			 : link_send(l, ANSWER_MS, fn, fn != NULL ? &f->nodes[i] : NULL,
			       "REPLICAOF", master->host, port, NULL);
}

static void
on_promoted(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	(void)fo_answered(f);
	if (error == 0 && reply_is_ok(reply)) {
		fo_step(f, FO_DONE);
		return;
	}
	errmsg_set(&f->why, "%s cannot be promoted: %s", n->as.name,
	    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	fo_step(f, FO_BAD);
}

void
fo_promote(void *obj)
{
	struct failover *f = obj;
	struct link *l = fo_node_link(f, f->target);

	if (l == NULL || link_send(l, ANSWER_MS, on_promoted, &f->nodes[f->target], "REPLICAOF",
			     "NO", "ONE", NULL) < 0) {
		errmsg_set(&f->why, "%s was lost before it could be promoted",
		    f->nodes[f->target].as.name);
		fo_step(f, FO_BAD);
		return;
	}
	f->pending++;
	/*
	 * After a death the others follow it at once, rather than after its answer: to connect takes them longer than the order takes
	 * to reach it. fo_tell says it again, and sees to it that they were told.
	 */
	for (size_t i = 0; i < f->count && f->dead; i++) {
		const struct fo_node *n = &f->nodes[i];

		if (i != f->target && i != f->master && n->answered && !n->is_master) {
			(void)send_replicaof(f, i, &f->nodes[f->target].as.at, NULL);
		}
	}
}

/* On the same link, so behind the order to be a master, should that still be on its way. */
void
fo_take_back(struct failover *f)
{
	if (send_replicaof(f, f->target, &f->nodes[f->master].as.at, NULL) < 0) {
		log_warn("the target of the failover is lost, its role is compared when it is back "
			 "instance=%s",
		    f->nodes[f->target].as.name);
	}
}

/* ---- asking Sentinel ---- */

static void
on_role(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	n->asking = false;
	if (error == 0 && fo_read_info(n, reply) && n->is_master) {
		f->target = index_of(n);
		fo_step(f, FO_DONE);
	}
}

static void
look_for_master(struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];
		struct link *l = fo_node_link(f, i);

		/* Sentinel's promotion ends the connections of a server, ours too: asked again. */
		if (l == NULL) {
			n->asking = false;
		} else if (i != f->master && !n->asking) {
			n->asking =
			    link_send(l, ANSWER_MS, on_role, n, "INFO", "replication", NULL) == 0;
		}
	}
	fo_tick_in(f, ASK_TICK_MS);
}

static void
on_failover(void *arg, const struct redisReply *reply, int error)
{
	struct fo_sentinel *s = arg;
	struct failover *f = s->f;

	(void)fo_answered(f);
	if (error == 0 && reply_is_ok(reply)) {
		look_for_master(f);
		return;
	}
	if (reply_has_code(reply, "INPROG")) {
		errmsg_set(&f->why, "Sentinel runs a failover already: wait for it");
	} else if (reply_has_code(reply, "NOGOODSLAVE")) {
		errmsg_set(&f->why, "Sentinel finds no replica fit to take over: see `holdfast "
				    "status`");
	} else {
		errmsg_set(&f->why, "Sentinel refused to fail over: %s",
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
	fo_step(f, FO_BAD);
}

void
fo_ask_sentinel(void *obj)
{
	struct failover *f = obj;
	struct link *l;

	/* It does as it is told, even alone: so we look whether it is. */
	if (!fo_majority_answers(f)) {
		fo_step(f, FO_BAD);
		return;
	}
	/* Steered: the one that knows the priorities. */
	if ((!f->steered && !choose_sentinel(f)) || (l = fo_sentinel_link(f, f->asked)) == NULL ||
	    link_send(l, ANSWER_MS, on_failover, &f->sentinels[f->asked], "SENTINEL", "FAILOVER",
		f->name, NULL) < 0) {
		errmsg_set(&f->why, "the sentinel that was to fail over does not answer any more");
		fo_step(f, FO_BAD);
		return;
	}
	f->pending++;
}

/* ---- telling ---- */

static bool
names_target(const struct failover *f, const struct watcher_sentinel *v)
{
	return v->knows && endpoint_equal(&v->names.at, &f->nodes[f->target].as.at) &&
	       (!f->leads || v->names.epoch >= f->epoch);
}

bool
fo_majority_agrees(const struct failover *f, struct topo_master *ret_master)
{
	struct topo_master named;

	if (!watcher_majority(f->watcher, &named) ||
	    !endpoint_equal(&named.at, &f->nodes[f->target].as.at) ||
	    (f->leads && named.epoch < f->epoch)) {
		return false;
	}
	*ret_master = named;
	return true;
}

/* All sentinels that can be heard name the target; a majority does. */
static bool
do_all_agree(const struct failover *f)
{
	struct topo_master named;

	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		/* Sentinel's own failover goes on for a second after the promotion. */
		if (v->connected && (!names_target(f, v) || v->failover)) {
			return false;
		}
	}
	return fo_majority_agrees(f, &named);
}

void
fo_tell_owner(struct failover *f)
{
	struct topo_master master = {f->nodes[f->target].as.at, f->epoch};

	if (!f->promoted_told) {
		f->promoted_told = true;
		if (f->ops->on_promoted != NULL) {
			f->ops->on_promoted(f->owner, f->target, &master);
		}
	}
}

void
fo_check_end(struct failover *f)
{
	if (f->state == FO_TELLING && f->old_is_replica && f->promoted_told && do_all_agree(f)) {
		fo_step(f, FO_DONE);
	}
}

static void
on_unpaused(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;

	fo_tell_owner(n->f);
	fo_check_end(n->f);
}

static void
on_repointed(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	n->asking = false;
	if (error != 0 || reply_is_error(reply)) {
		log_warn("cannot be told of the new master, tried again instance=%s: %s",
		    n->as.name, error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
		return;
	}
	n->done = true;
	if (index_of(n) != f->master) {
		return;
	}
	f->old_is_replica = true;
	f->paused = false;
	/* What was held up in the old master is refused now, READONLY; then it goes to the new one. */
	if (fo_node_link(f, f->master) == NULL ||
	    link_send(fo_node_link(f, f->master), ANSWER_MS, on_unpaused, n, "CLIENT", "UNPAUSE",
		NULL) < 0) {
		fo_tell_owner(f);
		fo_check_end(f);
	}
}

static void
repoint(struct failover *f, size_t i)
{
	struct fo_node *n = &f->nodes[i];

	if (fo_node_link(f, i) == NULL) {
		n->asking = false;
	} else if (!n->done && !n->asking && i != f->target) {
		n->asking = send_replicaof(f, i, &f->nodes[f->target].as.at, on_repointed) == 0;
	}
}

/* In the name of a sentinel that each of them knows; see sentinel.c, hello messages. */
static void
send_hello(struct failover *f, size_t i)
{
	const struct topo_master master = {f->nodes[f->target].as.at, f->epoch};
	struct link *l = fo_sentinel_link(f, i);
	char hello[HELLO_SIZE];

	if (l != NULL && f->sentinels[i].tellable) {
		hello_format(hello, f->sentinels[i].peer, f->epoch, f->name, &master);
		(void)hello_send(l, hello, ANSWER_MS, NULL, NULL);
	}
}

static void
send_hellos(struct failover *f)
{
	f->hello_ms = clock_mono_ms();
	for (size_t i = 0; i < f->sentinel_count; i++) {
		send_hello(f, i);
	}
	fo_ask_for_peers(f); /* of those whose answers the vote did not wait for: fo_tell_late */
	watcher_ask(f->watcher);
}

void
fo_tell_late(struct failover *f, size_t i)
{
	if (f->leads && f->sentinels[i].peer[0] != '\0') {
		f->sentinels[i].tellable = true;
		send_hello(f, i);
		watcher_ask(f->watcher);
	}
}

static void
tell_round(struct failover *f)
{
	uint64_t now = clock_mono_ms();

	repoint(f, f->master); /* first of all: no write must be taken by two */
	if (f->leads && now - f->hello_ms >= HELLO_AGAIN_MS) {
		send_hellos(f);
	}
	for (size_t i = 0; i < f->count; i++) {
		repoint(f, i);
	}
	if (now - f->told_since_ms >= TELL_LATEST_MS) {
		fo_tell_owner(f);
	}
	if (f->state != FO_TELLING) {
		return; /* the owner gave up */
	}
	fo_tick_in(f, TELL_TICK_MS);
	fo_check_end(f);
}

void
fo_note_dead(void *obj)
{
	struct failover *f = obj;

	f->dead = f->old_is_replica = true; /* as which it comes back */
	f->paused = false;
	if (f->state == FO_TELLING) {
		fo_tell_owner(f);
		fo_check_end(f);
	}
}

void
fo_promote_other(void *obj)
{
	struct failover *f = obj;

	log_warn("it cannot be promoted, another is tried instance=%s: %s",
	    f->nodes[f->target].as.name, f->why.text);
	f->nodes[f->target].dropped = true;
	f->why = ERRMSG_NONE;
	if (fo_choose(f) < 0) {
		fo_step(f, FO_BAD);
		return;
	}
	fo_promote(f);
}

void
fo_tell(void *obj)
{
	struct failover *f = obj;

	for (size_t i = 0; i < f->count; i++) {
		f->nodes[i].done = f->nodes[i].asking = false;
	}
	f->told_since_ms = clock_mono_ms();
	f->hello_ms = 0;
	if (f->dead) {
		fo_note_dead(
		    f); /* nothing is to be waited for: clients go to the new one at once */
	}
	if (f->state == FO_TELLING) {
		tell_round(f);
	}
}

/* Off the critical path: each rewrite waits for the disk. */
void
fo_rewrite(struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct link *l = fo_node_link(f, i);

		if (l != NULL) {
			(void)link_send(l, 0, NULL, NULL, "CONFIG", "REWRITE", NULL);
		}
	}
}

/* ---- again ---- */

void
fo_on_tick(struct failover *f)
{
	switch ((enum failover_state)f->state) {
	case FO_VOTING:
		fo_vote_again(f);
		break;
	case FO_DRAINING:
		fo_drain_again(f);
		break;
	case FO_STEERING:
		look_at_priorities(f);
		break;
	case FO_PAUSING:
		if (f->paused) {
			look_at_offsets(f);
		} else {
			pause_when_prepared(f);
		}
		break;
	case FO_ASKING:
		look_for_master(f);
		break;
	case FO_TELLING:
		tell_round(f);
		break;
	case FO_LOOKING:
		fo_look(f);
		break;
	case FO_FREEZING:
	case FO_PROMOTING:
	case FO_ENDED:
	case FO_STATE_COUNT:
		break;
	}
}
