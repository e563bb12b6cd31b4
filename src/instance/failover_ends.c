/* How a failover ends: what is left behind, and what its owner is told. */
#include <errno.h>
#include <stdlib.h>

#include "instance/failover_priv.h"
#include "topo/link.h"

static void
free_now(void *obj)
{
	struct failover *f = obj;

	free(f->nodes);
	free(f->sentinels);
	f->magic = 0;
	free(f);
}

void
fo_forget_answers(struct failover *f, bool of_nodes)
{
	f->pending = 0;
	ev_timer_stop(loop_ev(f->loop), &f->tick);
	ev_timer_stop(loop_ev(f->loop), &f->ahead);
	for (size_t i = 0; i < f->count && of_nodes; i++) {
		f->nodes[i].asking = false;
		if (f->nodes[i].as.link != NULL) {
			link_forget(f->nodes[i].as.link, &f->nodes[i]);
		}
	}
	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		for (size_t k = 0; k < f->sentinel_count; k++) {
			link_forget(watcher_link(f->watcher, i), &f->sentinels[k]);
		}
	}
}

void
fo_close_down(struct failover *f)
{
	fo_forget_answers(f, true);
	ev_timer_stop(loop_ev(f->loop), &f->deadline);
	ev_timer_stop(loop_ev(f->loop), &f->begin);
	watcher_unwatch(&f->observer);
	loop_bury(f->loop, free_now, f);
}

static void
end(struct failover *f, int error, const struct topo_master *master, const char *text)
{
	fo_restore(f);
	fo_close_down(f);
	f->ops->on_done(f->owner, error, master, text);
}

void
fo_fail(void *obj)
{
	struct failover *f = obj;

	if (f->why.text[0] == '\0') {
		errmsg_set(&f->why, "the servers and sentinels took too long to answer");
	}
	fo_unpause(f);
	end(f, -EAGAIN, NULL, f->why.text);
}

void
fo_fail_nobody(void *obj)
{
	struct failover *f = obj;

	if (f->why.text[0] == '\0') {
		errmsg_set(&f->why, "no replica answers");
	}
	end(f, -ENOENT, NULL, f->why.text);
}

void
fo_fail_moved(void *obj)
{
	struct failover *f = obj;

	errmsg_set(&f->why, "the sentinels have just chosen another master themselves");
	fo_fail(f);
}

void
fo_fail_pause(void *obj)
{
	struct failover *f = obj;

	if (f->why.text[0] == '\0') {
		errmsg_set(&f->why,
		    "%s did not catch up with the writes of %s in time; nothing has changed, try "
		    "again when there are fewer writes",
		    f->target < f->count ? f->nodes[f->target].as.name : "no replica",
		    f->nodes[f->master].as.name);
	}
	fo_fail(f);
}

void
fo_fail_taken_back(void *obj)
{
	struct failover *f = obj;

	if (f->why.text[0] == '\0') {
		errmsg_set(&f->why, "%s did not answer when it was to be promoted; %s stays master",
		    f->nodes[f->target].as.name, f->nodes[f->master].as.name);
	}
	fo_take_back(f);
	fo_fail(f);
}

void
fo_fail_asked(void *obj)
{
	struct failover *f = obj;

	if (f->why.text[0] == '\0') {
		errmsg_set(&f->why, "Sentinel began a failover and promoted nobody in time");
	}
	fo_fail(f);
}

void
fo_succeed(void *obj)
{
	struct failover *f = obj;
	struct topo_master master = {f->nodes[f->target].as.at, f->epoch};

	(void)fo_majority_agrees(f, &master);
	fo_tell_owner(f);
	fo_restore(f); /* before what is now is written to the files */
	fo_rewrite(f);
	end(f, 0, &master, "");
}

void
fo_half_done(void *obj)
{
	struct failover *f = obj;
	struct topo_master master = {f->nodes[f->target].as.at, f->epoch};
	struct errmsg why;

	errmsg_set(&why, "%s is master and takes writes, but %s", f->nodes[f->target].as.name,
	    fo_majority_agrees(f, &master)
		? "the old one could not be made its replica: restart it"
		: "the sentinels do not name it yet: see `holdfast status`");
	end(f, -ETIMEDOUT, &master, why.text);
}

void
fo_show_plan(void *obj)
{
	struct failover *f = obj;
	struct failover_candidate candidates[FAILOVER_MAX_NODES];
	char texts[FAILOVER_MAX_NODES][160];
	const struct fo_node *master = &f->nodes[f->master];
	struct failover_plan plan = {.candidates = candidates,
	    .why = f->why.text,
	    .master_offset = master->answered ? master->offset : 0};

	plan.target = f->count - 1;
	for (size_t i = 0; i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];

		if (i == f->master) {
			continue;
		}
		if (i == f->target) {
			plan.target = plan.count;
		}
		candidates[plan.count] = (struct failover_candidate){.name = n->as.name,
		    .why = fo_unfitness(f, i, texts[plan.count], sizeof(texts[0])),
		    .answered = n->answered,
		    .offset = n->offset,
		    .priority = n->priority};
		plan.count++;
	}
	fo_close_down(f);
	f->ops->on_plan(f->owner, &plan);
}
