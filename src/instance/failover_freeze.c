/*
 * The takeover from a master on another host, which nobody here has seen die: it may only be cut off, and go on. So once the epoch is won, and once
 * more nobody is found to be a master already, every replica that is reached stops following it, before any offset is read. From then on the old
 * master cannot have a write confirmed (WAIT, min-replicas-to-write) that the chosen one has not.
 *
 * Where writes are acknowledged by replicas (spec.barred) every replica that may have acknowledged must answer, connected or not: a host that comes back from a
 * cut may hear another's sentinel, and not yet its redis, which has followed the master all the time.
 *
 * When the takeover is given up after that, they are left as they are. Another host may have led at the same time, with a higher epoch, and
 * made one of them master by now: whoever points them back to the old master throws away what the new one has acknowledged. The supervisor of
 * each sets it right some seconds later, by what a majority of the sentinels names (roles_tick).
 */
#include <string.h>

#include "base/log.h"
#include "instance/failover_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define ANSWER_MS 800

static void
on_frozen(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	(void)fo_answered(f); /* its offset comes behind */
	if (error != 0 || !reply_is_ok(reply)) {
		errmsg_set(
		    &f->why, "%s could not be told to stop following the old master", n->as.name);
		fo_step(f, FO_BAD);
	}
}

static void
on_offset(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;
	bool last = fo_answered(f);

	n->answered = error == 0 && fo_read_info(n, reply);
	if (!n->answered && n->as.synced) {
		/* It may be the only one that has a confirmed write. */
		errmsg_set(&f->why, "%s does not answer", n->as.name);
		fo_step(f, FO_BAD);
	} else if (last) {
		fo_step(f, fo_choose(f) < 0 ? FO_BAD : FO_DONE);
	}
}

/* In one packet: from the order on it reads nothing of the old master, so what it has is what it says then. */
static void
freeze_all(struct failover *f)
{
	f->frozen = true;
	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];
		struct link *l = fo_node_link(f, i);

		if (i == f->master || !n->answered) {
			continue;
		}
		if (l != NULL &&
		    link_send(l, ANSWER_MS, on_frozen, n, "REPLICAOF", FAILOVER_NOWHERE_HOST,
			FAILOVER_NOWHERE_PORT, NULL) == 0 &&
		    link_send(l, ANSWER_MS, on_offset, n, "INFO", "replication", NULL) == 0) {
			f->pending += 2;
		} else if (n->as.synced || f->all) {
			/* It has answered, and is gone again: what it has is not known. */
			errmsg_set(&f->why, "%s does not answer any more", n->as.name);
			fo_step(f, FO_BAD);
			return;
		}
	}
	if (f->pending == 0) {
		errmsg_set(&f->why, "no replica answers");
		fo_step(f, FO_BAD);
	}
}

/* All have said what they are. */
static void
looked(struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];

		if (i == f->master) {
			continue;
		}
		if (f->all && n->answered && n->priority == 0) {
			errmsg_set(&f->why,
			    "%s was started anew, or must not become master, and what it has is "
			    "not known",
			    n->as.name);
			fo_step(f, FO_BAD);
			return;
		}
		if ((n->as.synced || f->all) && !n->answered) {
			/* It may be the only one that has a confirmed write. */
			errmsg_set(&f->why, "%s does not answer", n->as.name);
			fo_step(f, FO_BAD);
			return;
		}
		if (n->answered && n->is_master) {
			errmsg_set(&f->why, "%s is a master already", n->as.name);
			fo_step(f, FO_BAD);
			return;
		}
		if (f->barred && n->answered && n->priority_said != 0 && fo_sentinel_is_busy(f)) {
			/* A person has let it, and there is no way back from what it has begun. */
			errmsg_set(&f->why, "Sentinel may promote %s, whose replica-priority is %u",
			    n->as.name, n->priority_said);
			fo_step(f, FO_BAD);
			return;
		}
		if (n->answered && !endpoint_equal(&n->follows, &f->nodes[f->master].as.at)) {
			errmsg_set(
			    &f->why, "%s follows %s", n->as.name, ENDPOINT_TEXT(&n->follows));
			fo_step(f, FO_BAD);
			return;
		}
	}
	freeze_all(f);
}

static void
on_look(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;

	n->answered = error == 0 && fo_read_info(n, reply);
	if (fo_answered(n->f)) {
		looked(n->f);
	}
}

void
fo_freeze(void *obj)
{
	struct failover *f = obj;

	if (f->ops->is_still_dead != NULL && !f->ops->is_still_dead(f->owner)) {
		errmsg_set(&f->why, "the master is heard again");
		fo_step(f, FO_BAD);
		return;
	}
	for (size_t i = 0; i < f->count; i++) {
		struct link *l = fo_node_link(f, i);

		f->nodes[i].answered = false;
		if (i != f->master && l != NULL) {
			f->pending += link_send(l, ANSWER_MS, on_look, &f->nodes[i], "INFO",
					  "replication", NULL) == 0;
		}
	}
	if (f->pending == 0) {
		errmsg_set(&f->why, "no replica answers");
		fo_step(f, FO_BAD);
	}
}
