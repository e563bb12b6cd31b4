/*
 * The last writes of a dead master: what its kernel had taken from it still arrives at the replicas. Each is asked until its link has
 * ended, which comes behind all data, or, since a big process frees its memory before it closes its sockets, until two looks
 * in a row have found nothing more; between two answers a redis goes through its event loop and reads all that is there.
 *
 * That begins while the sentinels vote: with hosts that are far apart it is over when they have.
 *
 * Then the one that has applied most is promoted. A replica that had all writes and does not answer now may be the only one that
 * has confirmed a write (WAIT): it is waited for, up to the deadline of the state.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "instance/failover_priv.h"
#include "topo/link.h"

#define AGAIN_MS 1
#define DRAIN_MS                                                                                   \
	50 /* a redis that does not say what it has read (before 7), on a master that is long in dying */

static void
note_progress(struct fo_node *n)
{
	bool same = n->looked && n->tells_read && n->offset == n->offset_before &&
		    n->read_offset == n->read_before;

	n->drained = !n->link_up || same;
	n->looked = true;
	n->offset_before = n->offset;
	n->read_before = n->read_offset;
}

static bool
is_awaited(const struct fo_node *n)
{
	const struct failover *f = n->f;
	size_t i = (size_t)(n - f->nodes);

	/* barred: also one that is not connected, for it may be in a moment */
	return n->as.synced && !n->is_master && i != f->master &&
	       (f->barred || fo_node_link(f, i) != NULL);
}

/* All that are waited for have answered. */
static void
looked(struct failover *f)
{
	bool cut_short = clock_mono_ms() - f->drain_since_ms >= DRAIN_MS, drained = true;

	for (size_t i = 0; i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];

		drained = drained && (!is_awaited(n) || (n->answered && (n->drained || cut_short)));
	}
	if (!drained) {
		fo_tick_in(f, AGAIN_MS);
	} else if (fo_choose(f) < 0) {
		fo_step(f, FO_BAD);
	} else {
		fo_step(f, FO_DONE);
	}
}

static bool
is_asking(const struct failover *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->nodes[i].asking) {
			return true;
		}
	}
	return false;
}

static void
on_look(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;
	struct failover *f = n->f;

	n->asking = false;
	n->answered = error == 0 && fo_read_info(n, reply);
	if (n->answered) {
		note_progress(n);
	}
	if (f->state == FO_DRAINING && !is_asking(f)) {
		looked(f);
	}
}

/* False: there is nobody to be asked. Of whom nothing more is to come nothing is asked either. */
static bool
ask(struct failover *f)
{
	bool any = false;

	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];
		struct link *l = fo_node_link(f, i);

		if (!is_awaited(n)) {
			continue;
		}
		if (l != NULL && !n->asking && !(n->answered && n->drained)) {
			/* unanswered: the deadline of the state ends the wait */
			n->asking = link_send(l, 0, on_look, n, "INFO", "replication", NULL) == 0;
		}
		any = any || n->asking || n->drained;
	}
	return any;
}

void
fo_drain_again(struct failover *f)
{
	if (!ask(f)) {
		errmsg_set(&f->why, "no replica answers");
		fo_step(f, FO_BAD);
	} else if (!is_asking(f)) {
		looked(f);
	}
}

void
fo_drain_ahead(struct failover *f)
{
	(void)ask(f);
}

void
fo_drain(void *obj)
{
	struct failover *f = obj;

	f->drain_since_ms = clock_mono_ms();
	fo_drain_again(f);
}
